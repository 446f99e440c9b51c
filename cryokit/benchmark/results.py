"""The result of a run: one JSON file, and the pieces that it is made of."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from cryokit import __version__
from cryokit._util.cores import usable_cores
from cryokit._util.files import write_text
from cryokit.errors import BenchmarkError
from cryokit.evaluate import Evaluation

FORMAT = 1
RESULT = "result.json"
PARTIAL = "result.partial.json"  # of a run that has not come to its end
POINTS = 100  # of a curve
PACKAGES = ("numpy", "scipy", "pandas", "scikit-image", "scikit-learn", "keras")
_COUNTS = ("tp", "fp", "fn")
_RATIOS = ("precision", "recall", "f1", "accuracy", "average_precision", "recall_ceiling", "best_f1")


def scores(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation's numbers as the result file tells them."""
    told: dict[str, Any] = {name: _rounded(getattr(evaluation, name)) for name in _RATIOS}
    told |= {name: int(getattr(evaluation, name)) for name in _COUNTS}
    told["intervals"] = {name: [_rounded(end) for end in ends] for name, ends in evaluation.intervals.items()}
    return told


def curve(evaluation: Evaluation) -> dict[str, list[float]]:
    """Return the precision-recall curve, thinned to at most `POINTS` points: first, last, and evenly in recall."""
    found = evaluation.curve
    if len(found) > POINTS:
        recall = found["recall"].to_numpy()
        wanted = np.searchsorted(recall, np.linspace(recall[0], recall[-1], POINTS - 1))
        found = found.iloc[sorted({0, len(found) - 1, *wanted.clip(0, len(found) - 1).tolist()})]
    return {name: [_rounded(value) for value in found[name]] for name in ("recall", "precision", "threshold")}


def per_micrograph(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the counts of each micrograph."""
    table = evaluation.per_micrograph[["micrograph", "particles", *_COUNTS]]
    return [
        {key: value if key == "micrograph" else int(value) for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def provenance() -> dict[str, Any]:
    """Return what makes the results: versions, commit, backend and the class of machine; no names of machines."""
    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cryokit": __version__,
        "commit": commit(),
        "python": platform.python_version(),
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
    """Return the commit of the source that runs, with ``+`` where files differ from it; None outside a repository."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=20, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "cryokit").strip()
        return git("rev-parse", "--short=12", "HEAD").strip() + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def reduced(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without its curves and decisions: small enough to be committed, enough for all tables.

    What picks as given were told stays: it says what counted.
    """
    given = {name for name, row in result["methods"].items() if row["picker"] is None}
    emptied = [
        {"curve": {}, "view_curves": {}} | ({} if cell["method"] in given else {"decisions": []})
        for cell in result["cells"]
    ]
    return {**result, "cells": [cell | empty for cell, empty in zip(result["cells"], emptied, strict=True)]}


def write(result: dict[str, Any], path: str | os.PathLike) -> Path:
    """Write a result, whole or not at all."""
    write_text(path, json.dumps(_plain(result), indent=1, allow_nan=False, sort_keys=False) + "\n")
    return Path(path)


def load(path: str | os.PathLike) -> dict[str, Any]:
    """Read a result.

    Parameters
    ----------
    path : path-like
        The JSON file, or the folder of the run.

    Raises
    ------
    BenchmarkError
        When it is missing, damaged, or of another format.
    """
    path = Path(path)
    if path.is_dir():
        path = path / (RESULT if (path / RESULT).is_file() or not (path / PARTIAL).is_file() else PARTIAL)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content["cryokit_benchmark"]
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError):
        raise BenchmarkError(f"{path}: not a benchmark's result, or damaged; run the benchmark again") from None
    if found != FORMAT:
        raise BenchmarkError(f"{path}: written in format {found!r}, this version of cryokit reads {FORMAT}")
    return content


def _rounded(value: float) -> float | None:
    return round(float(value), 5) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Return JSON's types only; what is not a number is null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def _device() -> str | None:
    """Return the kind of device that networks run on in this process; None where none has been imported."""
    if "keras" not in sys.modules:
        return None
    from cryokit.networks.devices import list_devices

    return os.environ.get("CRYOKIT_DEVICE") or list_devices()[0].partition(":")[0]


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None
