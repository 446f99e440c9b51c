"""``cryokit benchmark``: compare methods on the same micrographs."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit.cli.arguments import add_strip, count, positive
from cryokit.errors import ArgumentError, CryokitError

if TYPE_CHECKING:
    from cryokit.benchmark.configuration import BenchmarkConfig

logger = logging.getLogger(__name__)

EXAMPLES = """
examples:
  cryokit benchmark --out run                                   all methods on simulated KLH, minutes
  cryokit benchmark --out two --methods auto template --picks mine=picks/ --report two/report.html
  cryokit benchmark --out own --methods auto blobs.py:Blobs     a picker of your own beside the default
  cryokit benchmark --out real --config real --data data/       real micrographs: data/<dataset>/micrographs and labels
  cryokit benchmark --result run --report run/report.html       the report of an earlier run; nothing is run
  cryokit benchmark --result run --export paper                 CSV, LaTeX, SVG, PDF, BibTeX of it
  cryokit benchmark --compare old.json run --json changes.json  ends with status 1 if a method has become worse
  cryokit benchmark --list
"""

# Options that say what to run, which --result excludes.
_TO_RUN = (
    *("out", "config", "profile", "trust", "methods", "datasets", "seeds", "picks", "strip", "strip_prefix"),
    *("unlabelled", "labels", "diameter", "fresh", "mixed", "dask"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; finished cells in it are kept")
    parser.add_argument(
        "--result",
        type=Path,
        metavar="FILE|DIR",
        help="result of an earlier run: print its tables, and write --report and --summary, without running anything",
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("OLD", "NEW"),
        help="compare two results (files or folders) cell by cell; the exit status is 1 if a method has become worse",
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and the methods")
    comparison = parser.add_argument_group("comparison")
    comparison.add_argument("--config", metavar="NAME|FILE", help="benchmark that comes with cryokit, or YAML file")
    comparison.add_argument("--profile", choices=("quick", "full"), help="extent of the benchmark (default quick)")
    comparison.add_argument(
        "--trust", action="store_true", help="run the code of pickers that the configuration names by module or file"
    )
    comparison.add_argument(
        "--methods",
        nargs="+",
        metavar="NAME",
        help="methods to run: names, package.module:Class, path/to/file.py:Class, or all",
    )
    comparison.add_argument("--datasets", nargs="+", metavar="NAME", help="datasets of the benchmark to run on")
    comparison.add_argument(
        "--seeds", type=count, metavar="N", help="number of runs of each method that draws random numbers"
    )
    _add_pairs(comparison, "--picks", "NAME=PATH", _path, "picks to compare, file or folder in any format")
    comparison.add_argument(
        "--unlabelled",
        nargs="+",
        metavar="NAME",
        help="those of --picks that no labels went into; the others are ranked with methods that learned from labels",
    )
    add_strip(comparison, "--picks and of labels that are not those of a manifest,")
    real = parser.add_argument_group("real micrographs (besides those of cryokit data fetch)")
    real.add_argument(
        "--data",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="folder of datasets, each <name>/micrographs and <name>/labels; may be repeated",
    )
    _add_pairs(real, "--labels", "DATASET=PATH", _path, "your own labels for a dataset, file or folder in any format")
    help_of_diameter = "particle diameter in pixels, if the labels of a dataset do not say it or are boxes"
    _add_pairs(real, "--diameter", "DATASET=PX", positive, help_of_diameter)
    output = parser.add_argument_group("output")
    output.add_argument("--dask", metavar="ADDRESS", help="run the cells on this Dask cluster (cryokit[cluster])")
    output.add_argument("--fresh", action="store_true", help="recompute finished cells, and simulate again")
    output.add_argument(
        "--mixed", action="store_true", help="keep finished cells that another state of the source has computed"
    )
    output.add_argument("--report", type=Path, metavar="FILE.html", help="self-contained HTML report")
    output.add_argument("--summary", type=Path, metavar="FILE.json", help="copy of the result without curves")
    output.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="every number as CSV, tables as LaTeX, figures as SVG and PDF, BibTeX",
    )
    output.add_argument("--json", type=Path, metavar="FILE.json", help="with --compare: write the comparison as JSON")
    output.add_argument(
        "--margin", type=positive, metavar="F1", help="with --compare: largest fall of F1 that is let pass (0.01)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the benchmark, or read a result; print its tables; return the exit status."""
    if options.list:
        sys.stdout.write(_listed())
        return 0
    if options.compare:
        return _compare(options)
    if options.json or options.margin:
        raise ArgumentError("--json and --margin are for --compare OLD NEW; give it, too, or leave them out")
    from cryokit.benchmark import result_file, tables

    place = options.result or options.out
    if place is None:
        raise ArgumentError("--out DIR is needed for the folder of the run (or --result FILE, to run nothing)")
    if options.result and (excluded := [name for name in _TO_RUN if getattr(options, name)]):
        raise ArgumentError(
            f"--result runs nothing, which excludes --{excluded[0].replace('_', '-')}; leave out one of them"
        )
    _check_outputs(options, place)
    if options.result:
        result = result_file.load(place)
    else:
        from cryokit.benchmark.run import run as run_benchmark

        result = run_benchmark(
            _configuration(options),
            options.out,
            sources=options.data,
            labels_from=_unique(options.labels, "--labels"),
            labels_reading=_reading(options),
            picks=_unique(options.picks, "--picks"),
            reading=_reading(options),
            unlabelled=options.unlabelled or (),
            fresh=options.fresh,
            mixed=options.mixed,
            dask=options.dask,
        )
        logger.info("result: %s", place / result_file.RESULT)
    sys.stdout.write(tables.text(result))
    if options.summary:
        result_file.write(result_file.reduced(result), options.summary)
        logger.info("summary: %s", options.summary)
    if options.export:
        from cryokit.cli.benchmark_export import export

        logger.info("export: %d files in %s", len(export(result, options.export)), options.export)
    if options.report:
        from cryokit.cli.benchmark_page import write_report

        logger.info("report: %s", write_report(place, options.report, data=options.data))
    if not options.result and (problems := _problems(result)):
        raise CryokitError("\n".join(problems))
    return 0


def _problems(result: Mapping[str, Any]) -> list[str]:
    """Return the lines that say which cells failed, and which micrographs could not be used."""
    from cryokit.benchmark import summary
    from cryokit.benchmark.result_file import FAILED

    lines = []
    failed = summary.failures(result)
    failed = failed[failed["status"] == FAILED]
    if len(failed):
        lines = [f"{len(failed)} of {len(result['cells'])} cells failed:"]
        lines += [f"  {row.method} on {row.dataset} (seed {row.seed}): {row.error}" for row in failed.itertuples()]
    lost = summary.micrograph_failures(result)
    if len(lost):
        lines.append("micrographs that could not be used:")
        columns = ["dataset", "method", "status", "error"]
        for (dataset, method, status, error), rows in lost.groupby(columns, sort=False):
            seeds = ", ".join(f"{seed:.0f}" for seed in rows["seed"].dropna())
            who = f"{method} on {dataset} (seed {seeds})" if method else f"all methods on {dataset}"
            lines.append(f"  {who}: {status}: {error}")
    return lines


def _compare(options: argparse.Namespace) -> int:
    """Compare two results; return 1 if a method has become worse or has no scores any more."""
    from cryokit._util.files import write_text
    from cryokit._util.plain import json_text
    from cryokit.benchmark import changes, result_file, tables

    others = [name for name in (*_TO_RUN, "result", "report", "summary", "export") if getattr(options, name)]
    if others:
        raise ArgumentError(f"--compare excludes --{others[0].replace('_', '-')}; leave out one of them")
    margin = changes.MARGIN if options.margin is None else options.margin
    old, new = (result_file.load(path) for path in options.compare)
    table = changes.changes(old, new, margin=margin)
    worse = changes.worse(table)
    sys.stdout.write(tables.changes(table) + "\n")
    if options.json:
        write_text(options.json, json_text(changes.document(old, new, table, margin=margin)))
        logger.info("comparison: %s", options.json)
    if len(worse):
        logger.error("worse than before: %d of %d cells", len(worse), len(table))
    return 1 if len(worse) else 0


def _reading(options: argparse.Namespace) -> dict[str, Any]:
    """Return how picks and labels are read, as far as options say."""
    given = {"endings": options.strip, "prefixes": options.strip_prefix}
    if any(given.values()) and not (options.picks or options.labels or options.data):
        raise ArgumentError("--strip and --strip-prefix are for --picks and labels of your own; give these, too")
    return {name: value for name, value in given.items() if value}


def _configuration(options: argparse.Namespace) -> BenchmarkConfig:
    """Return the benchmark, as changed by the options."""
    from dataclasses import replace

    from cryokit.benchmark import configuration

    profile = options.profile or "quick"
    config = configuration.read(options.config or profile, profile, trust=options.trust)
    if options.methods:
        config = config.with_methods(options.methods)
    if options.datasets:
        config = config.with_datasets(options.datasets)
    if options.diameter:
        config = config.with_diameters(_unique(options.diameter, "--diameter"))
    return replace(config, seeds=options.seeds or config.seeds)


def _check_outputs(options: argparse.Namespace, place: Path) -> None:
    """Refuse, before hours of work, output files that cannot be written or would replace the result.

    `place` is the result, or the folder that holds or will hold it.
    """
    from cryokit.benchmark import result_file

    taken = [path.resolve() for path in (place, place / result_file.RESULT, place / result_file.PARTIAL)]
    for option, path in (("--report", options.report), ("--summary", options.summary)):
        if path is not None and path.is_dir():
            raise ArgumentError(f"{option} {path}: is a folder; give a file")
        if path is not None and path.resolve() in taken:
            raise ArgumentError(f"{option} {path}: is the result itself; give another file")


def _listed() -> str:
    from cryokit.benchmark import configuration
    from cryokit.benchmark.methods import PROGRAMS, ROWS

    lines = ["benchmarks (--config):"]
    lines += [f"  {name:28s}{title}" for name, title in configuration.titles().items()]
    lines.append("methods (--methods):")
    for row in ROWS.values():
        labels = "learns from labels" if row.labels else "no labels"
        program = ", needs the program" if row.picker in PROGRAMS else ""
        lines.append(f"  {row.name:28s}{row.title} ({labels}{program})")
    return "\n".join(lines) + "\n"


def _add_pairs(group: argparse._ActionsContainer, option: str, form: str, kind: Any, text: str) -> None:
    """Add an option that takes a name and a value of a kind, and may be repeated."""

    def pair(word: str) -> tuple[str, Any]:
        name, _, value = word.partition("=")
        if not (name and value):
            raise argparse.ArgumentTypeError(f"{word!r} is not {form}")
        return name, kind(value)

    group.add_argument(option, action="append", default=[], type=pair, metavar=form, help=f"{text}; may be repeated")


def _path(text: str) -> str:
    if not Path(text).exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return text


def _unique(pairs: Sequence[tuple[str, Any]], option: str) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ArgumentError(f"{option}: {repeated[0]!r} is given twice")
    return dict(pairs)
