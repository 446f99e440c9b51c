"""``cryokit benchmark``: the methods side by side on the same micrographs."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from cryokit.cli.arguments import count
from cryokit.errors import CryokitError

logger = logging.getLogger(__name__)

EXAMPLES = """
examples:
  cryokit benchmark --out run                                   all methods on simulated KLH, minutes
  cryokit benchmark --out run --methods auto template --picks mine=picks/ --report run/report.html
  cryokit benchmark --out real --config real --data data/       real micrographs: data/<dataset>/micrographs and labels
  cryokit benchmark --list
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; finished cells in it are kept")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and the methods")
    what = parser.add_argument_group("what to compare")
    what.add_argument("--config", metavar="NAME|FILE", help="a benchmark that comes with cryokit, or a YAML file")
    what.add_argument("--profile", choices=("quick", "full"), default="quick", help="how much of it (default quick)")
    what.add_argument("--methods", nargs="+", metavar="NAME", help="only these methods; all: every one of cryokit's")
    what.add_argument("--datasets", nargs="+", metavar="NAME", help="only these datasets of the benchmark")
    what.add_argument("--seeds", type=count, metavar="N", help="run every cell with the seeds 0 to N - 1")
    what.add_argument(
        "--picks",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="add somebody's picks to the table: a file or folder in any format; may be repeated",
    )
    where = parser.add_argument_group("real micrographs (besides those that cryokit data fetch has brought)")
    where.add_argument(
        "--data",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="folder of datasets, each <name>/micrographs and <name>/labels; may be repeated",
    )
    where.add_argument(
        "--labels", action="append", default=[], metavar="DATASET=DIR", help="labels of your own for a dataset"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--fresh", action="store_true", help="compute finished cells anew")
    how.add_argument("--report", type=Path, metavar="FILE.html", help="write a report, one file that needs no network")
    how.add_argument("--summary", type=Path, metavar="FILE.json", help="write the result without curves")


def run(options: argparse.Namespace) -> int:
    """Run the benchmark; print its tables; return the exit status."""
    from dataclasses import replace

    from cryokit.benchmark import config as configuration
    from cryokit.benchmark import results, summary
    from cryokit.benchmark.errors import BenchmarkError
    from cryokit.benchmark.run import failures
    from cryokit.benchmark.run import run as run_benchmark

    if options.list:
        sys.stdout.write(_listed())
        return 0
    if options.out is None:
        raise BenchmarkError("--out DIR: say where the run's folder is to be")
    picks, labels = _pairs(options.picks, "--picks"), _pairs(options.labels, "--labels")
    asked = configuration.read(options.config or options.profile, options.profile)
    if options.methods:
        chosen = configuration.rows(options.methods)
        asked = replace(asked, methods=chosen, datasets=tuple(replace(each, methods=None) for each in asked.datasets))
    if options.datasets:
        known = {each.name: each for each in asked.datasets}
        if unknown := [name for name in options.datasets if name not in known]:
            raise BenchmarkError(
                f"no dataset of this benchmark is called {unknown[0]!r}; there are: {', '.join(known)}"
            )
        asked = replace(asked, datasets=tuple(known[name] for name in options.datasets))
    if options.seeds:
        asked = replace(asked, seeds=options.seeds)
    if clash := sorted(set(picks) & {row.name for row in asked.methods}):
        raise BenchmarkError(f"--picks {clash[0]}: there is a method of this name; choose another name")
    result = run_benchmark(
        asked, options.out, sources=options.data, labels_from=labels, picks=picks, fresh=options.fresh
    )
    sys.stdout.write(summary.text(result))
    logger.info("result: %s", options.out / results.RESULT)
    if options.summary:
        results.write(results.reduced(result), options.summary)
    if options.report:
        from cryokit.benchmark.html import write_report

        logger.info("report: %s", write_report(options.out / results.RESULT, options.report, data=options.data))
    failed = failures(result)
    if failed:
        raise CryokitError(f"{len(failed)} of {len(result['cells'])} cells failed:\n  " + "\n  ".join(failed))
    return 0


def _listed() -> str:
    from cryokit.benchmark import config as configuration
    from cryokit.benchmark.methods import PROGRAMS, ROWS

    lines = ["benchmarks (--config):"]
    for name in configuration.available():
        lines.append(f"  {name:28s}{configuration.read(name).title}")
    lines.append("methods (--methods):")
    for row in ROWS.values():
        kind = "learns from labels" if row.labels else "no labels"
        program = ", needs the program" if row.picker in PROGRAMS else ""
        lines.append(f"  {row.name:28s}{row.title} ({kind}{program})")
    return "\n".join(lines) + "\n"


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    from cryokit.benchmark.errors import BenchmarkError

    pairs = {}
    for text in texts:
        name, sign, path = text.partition("=")
        if not (sign and name and path):
            raise BenchmarkError(f"{option} {text}: give NAME=PATH")
        if name in pairs:
            raise BenchmarkError(f"{option} {text}: {name!r} is given twice")
        if not Path(path).exists():
            raise BenchmarkError(f"{option} {text}: {path} does not exist")
        pairs[name] = path
    return pairs
