"""One cell of the comparison: a method fitted and tested on a dataset, in a process of its own.

A process of its own has its own peak of memory, and what goes wrong in it (a crash included) is one cell's failure.
It is started as ``python -m cryokit.benchmark.cells JOB.json`` and leaves the outcome as JSON beside the job.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cryokit._util.files import write_text
from cryokit.errors import CryokitError

if TYPE_CHECKING:
    import pandas as pd

    from cryokit.evaluate import Evaluation
    from cryokit.pickers import Picker

logger = logging.getLogger(__name__)

SLACK = 0.005  # of F1: so little on a few validation micrographs is chance
DONE, FAILED, SKIPPED = "done", "failed", "skipped"


@dataclass(frozen=True)
class Job:
    """What a cell's process has to do.

    Attributes
    ----------
    method, dataset : str
    seed : int
    picker : str or None
        None for picks that are there already.
    settings : dict
    labels : bool
        Whether `fit` is given labels.
    diameter : float or None
        Told to the picker, where it has such a setting.
    micrographs : dict of str to list of str
        Paths by split.
    truth : str
        CSV file with the labels of all micrographs.
    picks : str
        Folder for the picks of the test micrographs.
    out : str
        JSON file for the outcome.
    given : str or None
        Of a row without picker: its picks, a file or folder of any format.
    """

    method: str
    dataset: str
    seed: int
    picker: str | None
    settings: dict[str, Any]
    labels: bool
    diameter: float | None
    micrographs: dict[str, list[str]]
    truth: str
    picks: str
    out: str
    given: str | None = None


def run_in_process(job: Job, timeout: float, log: str | os.PathLike) -> dict[str, Any]:
    """Run a cell in a process of its own and return its outcome.

    Parameters
    ----------
    job : Job
    timeout : float
        Seconds after which the process is ended.
    log : path-like
        File for what the process writes.

    Returns
    -------
    dict
        ``status`` is ``done`` or ``failed``; ``error`` says why.
    """
    out = Path(job.out)
    asked = out.with_name(out.stem + ".job.json")
    write_text(asked, json.dumps(asdict(job)))
    out.unlink(missing_ok=True)
    try:
        with open(log, "w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "cryokit.benchmark.cells", os.fspath(asked)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                ended = process.wait(timeout)
            except BaseException:
                _end(process)
                raise
    except subprocess.TimeoutExpired:
        return {"status": FAILED, "error": f"took longer than {timeout / 60:g} minutes"}
    finally:
        asked.unlink(missing_ok=True)
    if out.is_file():
        return json.loads(out.read_text(encoding="utf-8"))
    how = f"signal {-ended}; memory?" if ended < 0 else f"exit status {ended}"
    return {"status": FAILED, "error": f"its process was ended ({how}); see {log}"}


def _end(process: subprocess.Popen) -> None:
    """End a process and the programs that it has started: they would go on without it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def run(job: Job) -> dict[str, Any]:
    """Fit, pick and score, in this process.

    Returns
    -------
    dict
        As in the result file, without what names the cell.

    Raises
    ------
    CryokitError
        Whatever the method has to say.
    """
    from cryokit import coordinates
    from cryokit._util.names import micrograph_name

    truth = coordinates.read(job.truth, format="csv")
    names = {split: [micrograph_name(path) for path in paths] for split, paths in job.micrographs.items()}
    if job.picker is None:
        found, told = _given(job, names)
        if found is None:
            return {"status": SKIPPED, "error": told[0]}
        _write_picks(job, found["test"], names["test"])
        return _outcome(job, truth, names, found, None, {"fit": None, "pick": None}, told)
    picker = _picker(job)
    # Without training micrographs a method that needs no labels learns from the micrographs it is to pick.
    fitted = job.micrographs["train"] or job.micrographs["test"]
    labels = truth[truth["micrograph"].isin(names["train"])] if job.labels else None
    began = time.perf_counter()
    picker.fit(list(fitted), labels)
    seconds = {"fit": time.perf_counter() - began}
    found = {}
    for split in ("validation", "test"):
        found[split], seconds["pick"] = _picked(picker, job.micrographs[split])
    _write_picks(job, found["test"], names["test"])
    own = None if found["test"]["score"].isna().any() else float(picker.threshold_)
    outcome = _outcome(job, truth, names, found, own, seconds, getattr(picker, "decisions_", []))
    if job.labels and getattr(picker, "validation", None) == 0:
        # With nothing held out it had to guess, from micrographs that it knows by heart: no choice of its own.
        outcome |= {"own_threshold": None, "own": None}
    return outcome


def _write_picks(job: Job, picks: pd.DataFrame, names: Sequence[str]) -> None:
    from cryokit import coordinates

    coordinates.write_folder(picks, Path(job.picks), "csv", micrographs=names)


def _picked(picker: Picker, paths: Sequence[str]) -> tuple[pd.DataFrame, float | None]:
    """Return all candidates, and the median of the seconds per micrograph, reading not included."""
    from cryokit.coordinates import concatenate
    from cryokit.micrograph import read

    if not paths:
        return concatenate([]), None
    if hasattr(picker, "pick_many"):
        # A program whose start costs more than its picking; its time is an average, start and reading included.
        began = time.perf_counter()
        picks = picker.pick_many(paths, threshold=0)
        return picks, (time.perf_counter() - began) / len(paths)
    tables, times = [], []
    for path in paths:
        micrograph = read(path)
        began = time.perf_counter()
        tables.append(picker.pick(micrograph, threshold=0))
        times.append(time.perf_counter() - began)
    return concatenate(tables), float(np.median(times))


def _picker(job: Job) -> Picker:
    from cryokit.benchmark.methods import class_of

    cls = class_of(job.picker)
    known = inspect.signature(cls).parameters
    told = {"diameter": job.diameter, "seed": job.seed}
    if job.labels and job.micrographs["validation"]:
        # The benchmark has labelled micrographs for the threshold: none of those to learn from need be held out.
        told["validation"] = 0.0
    told = {name: value for name, value in told.items() if name in known and value is not None}
    return cls(**{**told, **job.settings})


def _given(job: Job, names: dict[str, list[str]]) -> tuple[dict[str, pd.DataFrame] | None, list[str]]:
    """Return the picks that somebody else made by split, None where they are of other micrographs; and what to mind."""
    from cryokit import coordinates
    from cryokit._util.wording import plural, some
    from cryokit.errors import BenchmarkError, CoordinateError

    given = Path(job.given)
    try:
        picks, named = coordinates.read_folder(given, **job.settings)
    except CoordinateError as error:
        raise BenchmarkError(f"{error}; cryokit convert makes a file of a known format of it") from None
    if not set(named) & set(names["test"]):
        theirs = f"names {some(list(named))}" if len(named) else "names no micrograph"
        return None, [
            f"{given.name}: {theirs}, and none of the test micrographs ({some(names['test'])}); names count without "
            "folders and suffixes"
        ]
    told = []
    if missing := [name for name in names["test"] if name not in set(named)]:
        told.append(
            f"{plural(len(missing), 'test micrograph')} of {len(names['test'])} without picks ({some(missing)}): their "
            "particles count as missed"
        )
    if names["validation"] and picks["score"].notna().all() and not set(named) & set(names["validation"]):
        told.append(
            f"scores, but no picks on the validation micrographs ({some(names['validation'])}) to choose a threshold "
            "on: every pick counts; add these, or leave out what is below your own threshold"
        )
    return {split: picks[picks["micrograph"].isin(names[split])] for split in ("validation", "test")}, told


def _outcome(
    job: Job,
    truth: pd.DataFrame,
    names: dict[str, list[str]],
    found: dict[str, pd.DataFrame],
    own: float | None,
    seconds: dict[str, float | None],
    decisions: Sequence[str],
) -> dict[str, Any]:
    from cryokit.benchmark import results
    from cryokit.evaluate import by_view, evaluate

    test = found["test"]
    threshold = _threshold(found["validation"], truth, names["validation"], own)
    here = truth[truth["micrograph"].isin(names["test"])]
    settings = {"micrographs": names["test"], "seed": job.seed}
    chosen = evaluate(test, here, threshold=threshold, **settings)
    # One rule for all: most methods name no view, so what a method calls its picks is left aside here.
    views = by_view(test.assign(view=""), here, threshold=threshold, **settings)
    return {
        "status": DONE,
        "error": None,
        "seconds": seconds,
        "peak_memory_mb": peak_memory(),
        "threshold": threshold,
        "own_threshold": own,
        "scores": results.scores(chosen),
        "own": None if own is None else results.scores(evaluate(test, here, threshold=own, **settings)),
        "views": {view: results.scores(each) for view, each in views.items()} if len(views) > 1 else {},
        "view_named_right": _named_right(chosen, set(views)) if len(views) > 1 else None,
        "per_micrograph": results.per_micrograph(chosen),
        "curve": results.curve(chosen),
        "view_curves": {view: results.curve(each) for view, each in views.items()} if len(views) > 1 else {},
        "decisions": list(decisions),
    }


def _named_right(evaluation: Evaluation, views: set[str]) -> float | None:
    """Return the share of the true picks that name the view of their particle; None where no pick names a view."""
    true = evaluation.picks[evaluation.picks["outcome"] == "true"]
    if not set(true["view"]) & views:
        return None
    return float((true["view"].to_numpy() == evaluation.labels["view"].loc[true["label"]].to_numpy()).mean())


def _threshold(picks: pd.DataFrame, truth: pd.DataFrame, names: Sequence[str], own: float | None) -> float | None:
    """Return the best threshold on the validation micrographs; without any, the method's own."""
    from cryokit.errors import PickerError
    from cryokit.evaluate.thresholds import best_threshold

    if not names or picks["score"].isna().any():
        return own
    try:
        return best_threshold(picks, truth[truth["micrograph"].isin(names)], micrographs=names, slack=SLACK)
    except PickerError:  # none of the picks is where a particle is
        return own


def peak_memory() -> float | None:
    """Return the most memory that this process, or one that it started, has held, in MB; None where unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    own, started = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    with contextlib.suppress(OSError, TypeError):
        # Linux counts as a process's own what the one that started it held: its address space says what is.
        own = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[1])
    return max(own, started) / unit


def main(path: str) -> int:
    """Do the job in a file, and write its outcome."""
    from cryokit.benchmark import results

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    job = Job(**json.loads(Path(path).read_text(encoding="utf-8")))
    try:
        outcome = run(job)
    except CryokitError as error:
        logger.error("%s", error)
        outcome = {"status": FAILED, "error": str(error)}
    except Exception as error:  # a fault of ours in one method must not end the comparison of the others
        traceback.print_exc()
        outcome = {"status": FAILED, "error": f"{type(error).__name__}: {error}"}
    results.write({**outcome, "provenance": results.provenance()}, job.out)
    return 1 if outcome["status"] == FAILED else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
