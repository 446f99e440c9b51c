"""``cryokit benchmark``: the methods side by side on the same micrographs."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit.cli.arguments import count
from cryokit.errors import CryokitError

if TYPE_CHECKING:
    from cryokit.benchmark.configuration import BenchmarkConfig, DatasetSpec

logger = logging.getLogger(__name__)

EXAMPLES = """
examples:
  cryokit benchmark --out run                                   all methods on simulated KLH, minutes
  cryokit benchmark --out two --methods auto template --picks mine=picks/ --report two/report.html
  cryokit benchmark --out real --config real --data data/       real micrographs: data/<dataset>/micrographs and labels
  cryokit benchmark --result run --report run/report.html       the report of a run that has been; nothing is run
  cryokit benchmark --list
"""


# What says what to run; --result runs nothing.
_TO_RUN = ("out", "config", "profile", "methods", "datasets", "seeds", "picks", "labels", "diameter", "fresh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; finished cells in it are kept")
    parser.add_argument(
        "--result",
        type=Path,
        metavar="FILE|DIR",
        help="run nothing: print the tables of a run's result, and write what --report and --summary ask for",
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and the methods")
    what = parser.add_argument_group("what to compare")
    what.add_argument("--config", metavar="NAME|FILE", help="a benchmark that comes with cryokit, or a YAML file")
    what.add_argument("--profile", choices=("quick", "full"), help="how much of it (default quick)")
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
    where.add_argument(
        "--diameter",
        action="append",
        default=[],
        metavar="DATASET=PX",
        help="how wide a dataset's particles are in pixels, where its labels do not say so or are boxes",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--fresh", action="store_true", help="compute finished cells anew, and simulate anew")
    how.add_argument("--report", type=Path, metavar="FILE.html", help="write a report, one file that needs no network")
    how.add_argument("--summary", type=Path, metavar="FILE.json", help="write the result without curves")


def run(options: argparse.Namespace) -> int:
    """Run the benchmark, or read the result of one; print its tables; return the exit status."""
    from cryokit.errors import BenchmarkError

    if options.list:
        sys.stdout.write(_listed())
        return 0
    if options.result is not None:
        if given := [name for name in _TO_RUN if getattr(options, name)]:
            raise BenchmarkError(
                f"--result runs nothing, so --{given[0]} has no place beside it; leave out one of them"
            )
        return _told_again(options)
    if options.out is None:
        raise BenchmarkError("--out DIR: say where the run's folder is to be (or --result FILE, to run nothing)")
    with _ended_by_signals():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from cryokit.benchmark import results
    from cryokit.benchmark.methods import check_name
    from cryokit.benchmark.run import failures
    from cryokit.benchmark.run import run as run_benchmark

    picks, labels = _pairs(options.picks, "--picks"), _pairs(options.labels, "--labels")
    for name in picks:
        check_name(name, "--picks")
    asked = _asked(options)
    _check_clashes(asked, picks)
    _check_folder(options.out, asked)
    _check_files(options, options.out)
    result = run_benchmark(
        asked, options.out, sources=options.data, labels_from=labels, picks=picks, fresh=options.fresh
    )
    sys.stdout.write(_text(result))
    logger.info("result: %s", options.out / results.RESULT)
    _write(options, result, options.out)
    failed = failures(result)
    if failed:
        raise CryokitError(f"{len(failed)} of {len(result['cells'])} cells failed:\n  " + "\n  ".join(failed))
    return 0


def _told_again(options: argparse.Namespace) -> int:
    """Print and write what a result says; nothing is run."""
    from cryokit.benchmark import results

    result = results.load(options.result)
    _check_files(options, options.result)
    sys.stdout.write(_text(result))
    _write(options, result, options.result)
    return 0


def _asked(options: argparse.Namespace) -> BenchmarkConfig:
    """Return the benchmark with what the options change of it."""
    from dataclasses import replace

    from cryokit.benchmark import configuration
    from cryokit.errors import BenchmarkError

    profile = options.profile or "quick"
    asked = configuration.read(options.config or profile, profile)
    if options.methods:

        def for_all(spec: DatasetSpec) -> DatasetSpec:
            return replace(spec, methods=None, otherwise=None if spec.otherwise is None else for_all(spec.otherwise))

        chosen = configuration.rows(options.methods)
        asked = replace(asked, methods=chosen, datasets=tuple(map(for_all, asked.datasets)))
    if options.datasets:
        known = {spec.name: spec for each in asked.datasets for spec in each.choices()}
        if unknown := [name for name in options.datasets if name not in known]:
            raise BenchmarkError(
                f"no dataset of this benchmark is called {unknown[0]!r}; there are: {', '.join(known)}"
            )
        named = dict.fromkeys(options.datasets)
        # One that would have taken the place of another that is named as well is there itself.
        chosen = (known[name] for name in named)
        asked = replace(
            asked,
            datasets=tuple(
                replace(spec, otherwise=None) if spec.otherwise and spec.otherwise.name in named else spec
                for spec in chosen
            ),
        )
    if options.diameter:
        asked = replace(asked, datasets=_widened(asked.datasets, _diameters(options.diameter)))
    if options.seeds:
        asked = replace(asked, seeds=options.seeds)
    return asked


def _diameters(texts: list[str]) -> dict[str, float]:
    from cryokit.errors import BenchmarkError

    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = 0.0
        if not (name and 0 < found[name] < float("inf")):
            raise BenchmarkError(f"--diameter {text}: give DATASET=PIXELS, a number above 0")
    return found


def _widened(datasets: tuple[DatasetSpec, ...], diameters: dict[str, float]) -> tuple[DatasetSpec, ...]:
    """Return the datasets with the diameters that were given for them."""
    from dataclasses import replace

    from cryokit.errors import BenchmarkError

    real = [spec.name for spec in datasets if spec.simulate is None]
    if unknown := [name for name in diameters if name not in real]:
        there_are = f"there are: {', '.join(real)}" if real else "it has none"
        raise BenchmarkError(f"--diameter {unknown[0]}: no real dataset of this benchmark; {there_are}")
    return tuple(replace(spec, diameter=diameters.get(spec.name, spec.diameter)) for spec in datasets)


def _check_clashes(asked: BenchmarkConfig, picks: Mapping[str, str]) -> None:
    """Refuse picks with the name of a method: their cells would lie in one place, and one row would stand for both."""
    from cryokit.benchmark.methods import ROWS
    from cryokit.errors import BenchmarkError

    taken = {row.name for each in asked.datasets for spec in each.choices() for row in asked.rows(spec)}
    taken |= {row.name for row in asked.methods} | set(ROWS)
    if clash := [name for name in picks if name in taken]:
        raise BenchmarkError(f"--picks {clash[0]}: there is a method of this name; choose another name")


def _check_folder(out: Path, asked: BenchmarkConfig) -> None:
    """Refuse a folder with the run of another benchmark or profile, whose result would be lost."""
    from cryokit.benchmark import results
    from cryokit.errors import BenchmarkError

    for path in (out / results.RESULT, out / results.PARTIAL):
        if not path.exists():
            continue
        try:
            there = results.load(path)
            name, profile = there["name"], there["profile"]
        except (BenchmarkError, KeyError):
            raise BenchmarkError(
                f"{path}: not a result that this version of cryokit can read; choose another --out, or remove it"
            ) from None
        held, new = repr(name), repr(asked.name)
        if name == asked.name:
            # Benchmarks that are made in Python have no profile.
            if None in (profile, asked.profile) or profile == asked.profile:
                continue
            held, new = f"{held} in the profile {profile}", f"the profile {asked.profile}"
        raise BenchmarkError(
            f"{out}: holds a run of the benchmark {held}, which one of {new} would replace; choose another --out, or "
            f"remove {path.name} in it"
        )


def _check_files(options: argparse.Namespace, place: Path) -> None:
    """Refuse, before hours of work, files for a report or a summary that cannot be, or that would replace the result.

    `place` is the result, or the folder that it is or will be in.
    """
    from cryokit.benchmark import results
    from cryokit.errors import BenchmarkError

    taken = [path.resolve() for path in (place, place / results.RESULT, place / results.PARTIAL)]
    for option, path in (("--report", options.report), ("--summary", options.summary)):
        if path is not None and path.is_dir():
            raise BenchmarkError(f"{option} {path}: is a folder; give a file")
        if path is not None and path.resolve() in taken:
            raise BenchmarkError(f"{option} {path}: is the result itself; give another file")


def _write(options: argparse.Namespace, result: dict[str, Any], place: Path) -> None:
    """Write the summary and the report, if they are asked for."""
    from cryokit.benchmark import results

    if options.summary:
        results.write(results.reduced(result), options.summary)
        logger.info("summary: %s", options.summary)
    if options.report:
        from cryokit.cli.benchmark_page import write_report

        logger.info("report: %s", write_report(place, options.report, data=options.data))


def _text(result: Mapping[str, Any]) -> str:
    """Return the tables of a result, and who is ahead of whom on each dataset."""
    from cryokit.benchmark import summary, verdict

    said = {result["datasets"][name]["title"]: verdict.dataset(result, name) for name in summary.dataset_names(result)}
    said |= {"Sweeps": verdict.sweep(result), "On the whole": verdict.run(result)}
    parts = [summary.text(result)]
    for title, lines in said.items():
        if lines:
            parts.append("\n".join([f"{title}:", *(f"  {verdict.plain(line)}" for line in lines), ""]))
    return "\n".join(parts)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the signals that end a process raise SystemExit, so that the process of the cell at work is ended, too."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {}
    # Handlers belong to the main thread. A signal that is ignored (nohup), or that somebody handles, is let alone.
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        before = {
            number: signal.signal(number, end) for number in numbers if signal.getsignal(number) is signal.SIG_DFL
        }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listed() -> str:
    from cryokit.benchmark import configuration
    from cryokit.benchmark.methods import PROGRAMS, ROWS

    lines = ["benchmarks (--config):"]
    lines += [f"  {name:28s}{title}" for name, title in configuration.titles().items()]
    lines.append("methods (--methods):")
    for row in ROWS.values():
        kind = "learns from labels" if row.labels else "no labels"
        program = ", needs the program" if row.picker in PROGRAMS else ""
        lines.append(f"  {row.name:28s}{row.title} ({kind}{program})")
    return "\n".join(lines) + "\n"


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    from cryokit.errors import BenchmarkError

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
