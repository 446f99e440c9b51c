"""The result of a run: one JSON file with the configuration, the datasets, the methods and a cell for each combination.

``cells`` holds what `cryokit.benchmark.cells.run` returns, for every method, dataset and seed: scores on the test
micrographs, the threshold, counts of each micrograph, curves, times, and what the cell was computed with. A cell that
failed or was skipped has the same keys, without values, and says why under ``error``. Micrographs that no method could
use are in no split; ``left_out`` of their dataset says why. Those that one method could not use count as micrographs
without picks, and are listed under ``unpicked`` of its cell.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.cores import usable_cores
from cryokit._util.files import write_text
from cryokit._util.json_files import read_json
from cryokit._util.plain import json_text, plain
from cryokit._util.versions import versions
from cryokit._util.wording import shown
from cryokit.benchmark.result_check import check_result
from cryokit.errors import ArgumentError, BenchmarkError
from cryokit.evaluate import Evaluation
from cryokit.evaluate.metrics import rates

FORMAT = 3
RESULT = "result.json"
PARTIAL = "result.partial.json"  # of a run that has not finished
DONE, FAILED, SKIPPED = "done", "failed", "skipped"
# How the threshold of a cell was chosen
BY_VALIDATION, BY_METHOD, BY_NOTHING = "validation micrographs", "the method itself", "every pick counts"
# What went wrong with single micrographs
NOT_LEARNED, NOT_PICKED = "left out of the fit", "without picks"
THRESHOLDS = (BY_VALIDATION, BY_METHOD, BY_NOTHING)
WIDE = 0.5  # of the diameter: what most recent comparisons allow between pick and particle
_COUNTS = ("tp", "fp", "fn")
SCORES = ("precision", "recall", "f1", "accuracy", "average_precision", "recall_ceiling", "best_f1")


def empty_cell() -> dict[str, Any]:
    """Return a cell with all its keys and no values."""
    return {
        "status": FAILED,
        "error": None,
        "seconds": {"fit": None, "pick": None},
        "wall": None,
        "peak_memory_mb": None,
        "threshold": None,
        "own_threshold": None,
        "threshold_by": "",
        "scores": {},
        "own": {},
        "wide": {},
        "localisation": {},
        "views": {},
        "view_named_right": None,
        "per_micrograph": [],
        "curve": {},
        "view_curves": {},
        "decisions": [],
        "unpicked": [],
        "provenance": {},
    }


def scores(evaluation: Evaluation) -> dict[str, Any]:
    """Return the numbers of an evaluation, with five decimals."""
    return {
        **{name: _rounded(getattr(evaluation, name)) for name in SCORES},
        **{name: getattr(evaluation, name) for name in _COUNTS},
        "intervals": {name: [_rounded(end) for end in ends] for name, ends in evaluation.intervals.items()},
    }


def localisation(evaluation: Evaluation) -> dict[str, Any]:
    """Return the mean shift and the scatter of the true picks, in pixels and as shares of the diameter."""
    return {name: _rounded(value) for name, value in evaluation.localisation.to_dict().items()}


def curve(evaluation: Evaluation) -> dict[str, Any]:
    """Return all that a precision-recall curve is made of: the score of every candidate, and whether it is true.

    Returns
    -------
    dict
        ``particles``, their number; ``threshold``, the distinct scores from the highest to the lowest, with six
        significant digits; ``true`` and ``false``, the numbers of candidates with each of them. `points` turns it into
        a curve.
    """
    found = evaluation.curve
    # Scores that differ in their seventh digit come in together, as equal scores do.
    found = found.assign(threshold=[float(f"{score:.6g}") for score in found["threshold"]])
    found = found.drop_duplicates("threshold", keep="last")
    return {
        "particles": evaluation.tp + evaluation.fn,
        "threshold": found["threshold"].tolist(),
        **{name: np.diff(found[key], prepend=0).tolist() for name, key in (("true", "tp"), ("false", "fp"))},
    }


def points(curve: Mapping[str, Any]) -> pd.DataFrame:
    """Return the points of a stored curve: `threshold`, `precision`, `recall`, highest threshold first.

    Examples
    --------
    >>> points({"particles": 2, "threshold": [0.9, 0.5], "true": [1, 0], "false": [0, 1]})["precision"].tolist()
    [1.0, 0.5]
    """
    tp, fp = (np.cumsum(np.asarray(curve[name], np.int64)) for name in ("true", "false"))
    found = rates(tp, fp, curve["particles"] - tp)
    return pd.DataFrame({"threshold": curve["threshold"], "precision": found["precision"], "recall": found["recall"]})


def per_micrograph(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the counts of each micrograph."""
    return plain(evaluation.per_micrograph[["micrograph", "particles", *_COUNTS]].to_dict("records"))


def provenance() -> dict[str, Any]:
    """Return the versions, commit, backend and kind of machine that results are computed with; no names of machines."""
    packages = versions()
    return {
        "cryokit": packages.pop("cryokit"),
        "commit": commit(),
        "python": packages.pop("python"),
        "packages": packages,
        "backend": backend(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": usable_cores(),
            "memory_gb": _memory(),
            "device": _device(),
        },
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def backend() -> str:
    """Return the backend that Keras runs on."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def commit() -> str | None:
    """Return what ``git describe`` calls the running source: the commit, and the last tag before it if there is one.

    A ``+`` stands at the end if files differ from it. None outside a repository.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=20, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "cryokit").strip()
        return git("describe", "--always", "--tags", "--abbrev=12").strip() + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def reduced(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result without its curves and decisions: small enough to commit, enough for all tables.

    The decisions on picks as given are kept, because they say which picks counted.
    """
    given = {name for name, method in result["methods"].items() if method["picker"] is None}
    cells = [
        {**cell, "curve": {}, "view_curves": {}, "decisions": cell["decisions"] if cell["method"] in given else []}
        for cell in result["cells"]
    ]
    return {**result, "cells": cells}


def write(result: Mapping[str, Any], path: str | os.PathLike) -> Path:
    """Write a result, whole or not at all."""
    write_text(path, json_text(result))
    return Path(path)


def load(path: str | os.PathLike) -> dict[str, Any]:
    """Read a result.

    Parameters
    ----------
    path : path-like
        JSON file, or folder of the run.

    Raises
    ------
    BenchmarkError
        If it is missing, damaged, or of another format.
    """
    path = Path(path)
    if path.is_dir():
        path = path / (RESULT if (path / RESULT).is_file() or not (path / PARTIAL).is_file() else PARTIAL)
    try:
        content = read_json(path, BenchmarkError, "a benchmark's result")
        written = content["cryokit_benchmark"]
    except (KeyError, TypeError):
        raise BenchmarkError(f"{path}: not a benchmark's result, or damaged; run the benchmark again") from None
    if written != FORMAT:
        raise BenchmarkError(f"{path}: written in format {shown(written)}, but this version of cryokit reads {FORMAT}")
    try:
        check_result(content, DONE)
    except ArgumentError as error:
        raise BenchmarkError(
            f"{path}: not a benchmark's result, or damaged ({error}); run the benchmark again"
        ) from None
    return content


def _rounded(value: float) -> float:
    return round(float(value), 5) if isinstance(value, float) else value


def _device() -> str | None:
    """Return the kind of device that networks run on in this process; None if Keras has not been imported."""
    if "keras" not in sys.modules:
        return None
    from cryokit.networks.devices import list_devices

    return os.environ.get("CRYOKIT_DEVICE") or list_devices()[0].partition(":")[0]


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None
