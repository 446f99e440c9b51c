"""One cell of the comparison: a method fitted and tested on a dataset, in a process of its own.

A process of its own has its own peak memory, and what goes wrong in it, even a crash, is the failure of one cell. It is
started as ``python -m cryokit.benchmark.cells_process JOB.json``, writes its outcome as JSON and ends with its starter.
"""

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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryokit import coordinates
from cryokit._util.files import write_text
from cryokit._util.names import matched, micrograph_names
from cryokit._util.wording import plural, some
from cryokit.benchmark import result_file, run_files
from cryokit.coordinates import concatenate
from cryokit.errors import BenchmarkError, CoordinateError, CryokitError, MicrographError, PickerError
from cryokit.evaluate import Evaluation, by_view, evaluate
from cryokit.evaluate.thresholds import SLACK, best_threshold
from cryokit.evaluate.wrong_frame import Frame, wrong_frame
from cryokit.micrograph import read, shape
from cryokit.pickers import Picker, picker_class
from cryokit.pickers.interface import Micrographs
from cryokit.pickers.many_files import fit_files
from cryokit.pickers.one_of_many import problem_of

logger = logging.getLogger(__name__)

TASK = ".job.json"  # ending of the file that tells a cell's process what to do


@dataclass(frozen=True)
class Job:
    """Task of a cell's process.

    Attributes
    ----------
    method, dataset : str
        Names of the method and of the dataset.
    seed : int
        Random seed of the method.
    picker : str or None
        Name of the picker; None for picks as given.
    settings : dict
        Arguments of the picker's class, or of `cryokit.coordinates.read_folder` for picks as given.
    labels : bool
        Whether `fit` is given labels.
    diameter : float or None
        Particle diameter in pixels, given to the picker if it has such a setting.
    micrographs : dict of str to list of str
        Paths by split.
    folder : str
        Folder of the run (`cryokit.benchmark.run_files`).
    """

    method: str
    dataset: str
    seed: int
    picker: str | None
    settings: dict[str, Any]
    labels: bool
    diameter: float | None
    micrographs: dict[str, list[str]]
    folder: str

    @property
    def out(self) -> Path:
        """File for the outcome."""
        return run_files.cell_file(self.folder, self.method, self.dataset, self.seed)


def run_in_process(job: Job, timeout: float) -> dict[str, Any]:
    """Run a cell in a process of its own, which writes a log, and return its outcome.

    Parameters
    ----------
    job : Job
        Task of the cell.
    timeout : float
        Seconds after which the process is killed.

    Returns
    -------
    dict
        ``status`` and ``error``, and what `run` returns if the cell finished.
    """
    out, log = job.out, job.out.with_suffix(".log")
    task = out.with_suffix(TASK)
    write_text(task, json.dumps(asdict(job)))
    out.unlink(missing_ok=True)
    try:
        with open(log, "w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "cryokit.benchmark.cells_process", os.fspath(task)],
                stdin=subprocess.PIPE,  # held open for as long as this process lives: `lifeline.follow_input`
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout)
            except BaseException:
                _kill(process)
                raise
            finally:
                process.stdin.close()
    except subprocess.TimeoutExpired:
        return {"status": result_file.FAILED, "error": f"took longer than {timeout / 60:g} minutes"}
    finally:
        task.unlink(missing_ok=True)
    if out.is_file():
        return json.loads(out.read_text(encoding="utf-8"))
    reason = f"signal {-code}; out of memory?" if code < 0 else f"exit status {code}"
    return {"status": result_file.FAILED, "error": f"its process ended early ({reason}); see {log}"}


def _kill(process: subprocess.Popen) -> None:
    """Kill a process and the programs that it has started, which would go on without it."""
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
        Values of a cell of the result file; those it lacks are empty.

    Raises
    ------
    CryokitError
        If the method fails.
    """
    truth = run_files.labels(job.folder, job.dataset)
    paths = list(dict.fromkeys(path for split in job.micrographs.values() for path in split))
    called = dict(zip(paths, micrograph_names(paths), strict=True))
    names = {split: [called[path] for path in of_split] for split, of_split in job.micrographs.items()}
    own, seconds = None, {"fit": None, "pick": None}
    unpicked: list[dict[str, str]] = []
    if job.picker is None:
        picks, decisions = _given_picks(job, names, {name: path for path, name in called.items()}, truth)
        if picks is None:
            return {"status": result_file.SKIPPED, "error": decisions[0]}
    else:
        picker = _picker(job)
        # Without training micrographs a method that needs no labels is fitted on the test micrographs.
        training = job.micrographs["train"] or job.micrographs["test"]
        labels = truth[truth["micrograph"].isin(names["train"])] if job.labels else None
        began = time.perf_counter()
        problems = fit_files(picker, training, labels, names=called)
        seconds["fit"] = time.perf_counter() - began
        unpicked += [_problem(path, called[path], result_file.NOT_LEARNED, text) for path, text in problems.items()]
        picks = {}
        for split in ("validation", "test"):
            picks[split], seconds["pick"], errors = _pick(picker, job.micrographs[split], names[split])
            if split == "test" and len(errors) == len(names[split]):
                raise next(iter(errors.values()))  # it is the method that fails, not a micrograph
            unpicked += [
                _problem(path, called[path], result_file.NOT_PICKED, problem_of(Path(path), error))
                for path, error in errors.items()
            ]
        decisions = list(picker.decisions_)
        # With labels and nothing held out the threshold was a guess from micrographs learned by heart, not a choice.
        guessed = job.labels and picker.settings().get("validation") == 0
        if not guessed and picks["test"]["score"].notna().all():
            own = float(picker.threshold_)
    folder = run_files.picks_folder(job.folder, job.method, job.dataset, job.seed)
    coordinates.write_folder(picks["test"], folder, "csv", micrographs=names["test"])
    outcome = {"status": result_file.DONE, "seconds": seconds, "own_threshold": own, "decisions": decisions}
    outcome["unpicked"] = unpicked
    return outcome | _scored(job, truth, names, picks, own)


def _problem(path: str, name: str, what: str, text: str) -> dict[str, str]:
    """Return what went wrong with one micrograph; results name no folders."""
    logger.error("%s: %s", what, text)
    return {"micrograph": name, "what": what, "error": text.replace(path, name)}


def _pick(
    picker: Picker, paths: Sequence[str], names: Sequence[str]
) -> tuple[pd.DataFrame, float | None, dict[str, Exception]]:
    """Return all candidates, the median of the seconds per micrograph, and what went wrong, by path.

    The time excludes reading. A micrograph that the method cannot pick has no candidates. That all methods are scored
    on the same micrographs matters more than why one of them has nothing to say of one.
    """
    if not paths:
        return concatenate([]), None, {}
    if picker.external:
        # A program whose start costs more than its picking: the time is an average, start and reading included.
        began = time.perf_counter()
        with contextlib.suppress(Exception):  # whichever micrograph it is, it shows below
            picks = picker.pick_many(Micrographs(paths, names=names), threshold=0)
            return picks, (time.perf_counter() - began) / len(paths), {}
    tables, times, errors = [], [], {}
    for path, name in zip(paths, names, strict=True):
        try:
            micrograph = read(path, name=name)
            began = time.perf_counter()
            if picker.external:
                tables.append(picker.pick_many(Micrographs([path], names=[name]), threshold=0))
            else:
                tables.append(picker.pick(micrograph, threshold=0))
            times.append(time.perf_counter() - began)
        except Exception as error:
            errors[path] = error
    return concatenate(tables), float(np.median(times)) if times else None, errors


def _picker(job: Job) -> Picker:
    cls = picker_class(job.picker)
    parameters = inspect.signature(cls).parameters
    settings: dict[str, Any] = {"diameter": job.diameter, "seed": job.seed}
    if job.labels and job.micrographs["validation"]:
        # The benchmark has labelled micrographs for the threshold, so no training micrograph need be held out.
        settings["validation"] = 0.0
    settings = {name: value for name, value in settings.items() if name in parameters and value is not None}
    return cls(**(settings | job.settings))


def _given_picks(
    job: Job, names: Mapping[str, Sequence[str]], paths: Mapping[str, str], truth: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame] | None, list[str]]:
    """Return picks as given by split (None if they are of other micrographs), and remarks on them."""
    try:
        picks, named = coordinates.read_folder(**job.settings, located=True)
        called = matched(named, paths)
        picks, named = coordinates.renamed(picks, called), sorted(called.values())
    except CoordinateError as error:
        raise BenchmarkError(f"{error}; convert it to a known format with cryokit convert") from None
    if not set(named) & set(names["test"]):
        return None, [
            f"{Path(job.settings['path']).name}: names {some(list(named)) or 'no micrograph'}, but none of the test "
            f"micrographs ({some(names['test'])}); names are compared without folders and suffixes (--strip, "
            "--strip-prefix)"
        ]
    remarks = []
    if missing := [name for name in names["test"] if name not in set(named)]:
        remarks.append(
            f"no picks on {len(missing)} of {plural(len(names['test']), 'test micrograph')} ({some(missing)}), whose "
            "particles count as missed"
        )
    if names["validation"] and picks["score"].notna().all() and not set(named) & set(names["validation"]):
        remarks.append(
            f"scores, but no picks on the validation micrographs ({some(names['validation'])}) to choose a threshold "
            "with, so every pick counts; add those picks, or remove what is below your own threshold"
        )
    used = Frame(
        job.settings.get("scale", 1.0),
        tuple(job.settings.get("shift", (0.0, 0.0))),
        job.settings.get("flip_y"),
        job.settings.get("swap_xy", False),
    )
    looked_at = picks[picks["micrograph"].isin([*names["validation"], *names["test"]])]
    heights = _heights({name: paths[name] for name in looked_at["micrograph"].unique()})
    hint = wrong_frame(looked_at, truth, used=used, heights=heights)
    if hint is not None:
        remarks.append(hint.warning("cryokit convert", used.options()))
    return {split: picks[picks["micrograph"].isin(names[split])] for split in ("validation", "test")}, remarks


def _heights(paths: Mapping[str, str]) -> dict[str, int] | None:
    """Return the rows of micrographs by name; None if one cannot be read."""
    try:
        return {name: shape(path)[0] for name, path in paths.items()}
    except MicrographError:
        return None


def _scored(
    job: Job,
    truth: pd.DataFrame,
    names: Mapping[str, Sequence[str]],
    picks: Mapping[str, pd.DataFrame],
    own: float | None,
) -> dict[str, Any]:
    """Choose the threshold on the validation micrographs, and score the picks on the test micrographs."""
    threshold, threshold_by = _threshold(picks["validation"], truth, names["validation"], own)
    labels = truth[truth["micrograph"].isin(names["test"])]
    settings = {"micrographs": names["test"], "seed": job.seed}
    evaluation = evaluate(picks["test"], labels, threshold=threshold, **settings)
    # The views that picks name are left aside here: most methods name none, and one rule has to serve all.
    views = by_view(picks["test"].assign(view=""), labels, threshold=threshold, **settings)
    if len(views) < 2:
        views = {}
    wide = evaluate(picks["test"], labels, threshold=threshold, tolerance=result_file.WIDE, **settings)
    own_scores = {} if own is None else result_file.scores(evaluate(picks["test"], labels, threshold=own, **settings))
    return {
        "peak_memory_mb": peak_memory(),
        "threshold": threshold,
        "threshold_by": threshold_by,
        "scores": result_file.scores(evaluation),
        "own": own_scores,
        "wide": result_file.scores(wide),
        "localisation": result_file.localisation(evaluation),
        "views": {view: result_file.scores(of_view) for view, of_view in views.items()},
        "view_named_right": _named_right(evaluation, set(views)),
        "per_micrograph": result_file.per_micrograph(evaluation),
        "curve": result_file.curve(evaluation),
        "view_curves": {view: result_file.curve(of_view) for view, of_view in views.items()},
    }


def _named_right(evaluation: Evaluation, views: set[str]) -> float | None:
    """Return the share of true picks that name the view of their particle; None if no pick names one of `views`."""
    true = evaluation.picks[evaluation.picks["outcome"] == "true"]
    if not set(true["view"]) & views:
        return None
    return float((true["view"].to_numpy() == evaluation.labels["view"].loc[true["label"]].to_numpy()).mean())


def _threshold(
    picks: pd.DataFrame, truth: pd.DataFrame, names: Sequence[str], own: float | None
) -> tuple[float | None, str]:
    """Return the best threshold on the validation micrographs, or the method's own without any, and which it is."""
    if names and not picks["score"].isna().any():
        try:
            found = best_threshold(picks, truth[truth["micrograph"].isin(names)], micrographs=names, slack=SLACK)
        except PickerError:  # no pick matches a label
            pass
        else:
            return found, result_file.BY_VALIDATION
    return own, result_file.BY_NOTHING if own is None else result_file.BY_METHOD


def peak_memory() -> float | None:
    """Return the peak memory of this process, or of one it has started, in MB; None if unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    own, started = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    with contextlib.suppress(OSError, TypeError):
        # On Linux ru_maxrss includes what the parent held before the fork; VmHWM is of this process alone.
        own = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[1])
    return max(own, started) / unit


def main(path: str) -> int:
    """Do the job in a file, and write its outcome."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    job = Job(**json.loads(Path(path).read_text(encoding="utf-8")))
    try:
        outcome = run(job)
    except CryokitError as error:
        logger.error("%s", error)
        outcome = {"status": result_file.FAILED, "error": str(error)}
    except Exception as error:  # a bug in one method must not end the comparison of the others
        traceback.print_exc()
        outcome = {"status": result_file.FAILED, "error": f"{type(error).__name__}: {error}"}
    result_file.write({**outcome, "provenance": result_file.provenance()}, job.out)
    return 1 if outcome["status"] == result_file.FAILED else 0
