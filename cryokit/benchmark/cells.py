"""One cell of the comparison: a method fitted and tested on a dataset, in a process of its own.

A process of its own has its own peak of memory, and what goes wrong in it (a crash included) is one cell's failure.
It is started as ``python -m cryokit.benchmark.cells JOB.json`` and leaves the outcome as JSON beside the job.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import logging
import os
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

from cryokit.errors import CryokitError
from cryokit.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from cryokit.pickers import Picker

logger = logging.getLogger(__name__)

SLACK = 0.005  # of F1: so little on a few validation micrographs is chance
FAILED = "failed"


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
        Folder for the picks of the test micrographs; of a row without picker, the picks themselves (any format).
    out : str
        JSON file for the outcome.
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
    from cryokit.names import micrograph_name

    truth = coordinates.read(job.truth, format="csv")
    names = {split: [micrograph_name(path) for path in paths] for split, paths in job.micrographs.items()}
    if job.picker is None:
        return _outcome(job, truth, names, *_given(job, names), None, {"fit": None, "pick": None}, [])
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
    coordinates.write_folder(found["test"], Path(job.picks), "csv", micrographs=names["test"])
    own = float(picker.threshold_)
    return _outcome(
        job, truth, names, found["validation"], found["test"], own, seconds, getattr(picker, "decisions_", [])
    )


def _picked(picker: Picker, paths: Sequence[str]) -> tuple[pd.DataFrame, float | None]:
    """Return all candidates, and the median of the seconds per micrograph, reading not included."""
    from cryokit.coordinates.table import concatenate
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
    from cryokit.benchmark.methods import PROGRAMS
    from cryokit.pickers import picker_class

    if job.picker in PROGRAMS:
        module, name = PROGRAMS[job.picker]
        cls = getattr(importlib.import_module(module), name)
    else:
        cls = picker_class(job.picker)
    known = inspect.signature(cls).parameters
    # The benchmark has validation micrographs of its own: none of those to learn from need be held out.
    told = {"diameter": job.diameter, "seed": job.seed, "validation": 0.0}
    told = {name: value for name, value in told.items() if name in known and value is not None}
    return cls(**{**told, **job.settings})


def _given(job: Job, names: dict[str, list[str]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the picks that somebody else made, of the validation and of the test micrographs."""
    from cryokit import coordinates
    from cryokit.benchmark.errors import BenchmarkError

    picks, named = coordinates.read_folder(job.picks, **job.settings)
    if not set(named) & set(names["test"]):
        raise BenchmarkError(f"{job.picks}: names none of the test micrographs ({', '.join(names['test'][:3])}, ...)")
    return tuple(picks[picks["micrograph"].isin(names[split])] for split in ("validation", "test"))


def _outcome(
    job: Job,
    truth: pd.DataFrame,
    names: dict[str, list[str]],
    validation: pd.DataFrame,
    test: pd.DataFrame,
    own: float | None,
    seconds: dict[str, float | None],
    decisions: Sequence[str],
) -> dict[str, Any]:
    from cryokit.benchmark import results
    from cryokit.evaluate import by_view, evaluate

    threshold = _threshold(validation, truth, names["validation"], own)
    here = truth[truth["micrograph"].isin(names["test"])]
    settings = {"micrographs": names["test"], "seed": job.seed}
    chosen = evaluate(test, here, threshold=threshold, **settings)
    views = by_view(test, here, threshold=threshold, **settings)
    return {
        "status": "done",
        "error": None,
        "seconds": seconds,
        "peak_memory_mb": peak_memory(),
        "threshold": threshold,
        "own_threshold": own,
        "scores": results.scores(chosen),
        "own": None if own is None else results.scores(evaluate(test, here, threshold=own, **settings)),
        "views": {view: results.scores(found) for view, found in views.items()} if len(views) > 1 else {},
        "per_micrograph": results.per_micrograph(chosen),
        "curve": results.curve(chosen),
        "view_curves": {view: results.curve(found) for view, found in views.items()} if len(views) > 1 else {},
        "decisions": list(decisions),
    }


def _threshold(picks: pd.DataFrame, truth: pd.DataFrame, names: Sequence[str], own: float | None) -> float | None:
    """Return the best threshold on the validation micrographs; without any, the method's own."""
    from cryokit.errors import PickerError
    from cryokit.thresholds import best_threshold

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
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return most / (2**20 if sys.platform == "darwin" else 2**10)


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
    results.write(outcome, job.out)
    return 0 if outcome["status"] == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
