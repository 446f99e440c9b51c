"""What has to be in a result file for tables and pages to be made of it: the kinds of its values, key by key."""

import math
from collections.abc import Mapping
from typing import Any

from cryokit._util.wording import shortened, shown
from cryokit.errors import ArgumentError

LARGEST = 1e15  # of a number: counts, bytes and seconds stay far below
LONGEST = 100_000  # characters of a text

_TEXT, _FLAG, _MAPPING = "a text", "true or false", "a mapping"
_NUMBER, _COUNT, _VALUE = "a number", "a whole number of at least 0", "a number, true or false"


class _Optional:
    """A value that may be null, or an empty mapping, or whose key may be missing."""

    def __init__(self, kind: Any, *, empty: bool = False, missing: bool = False) -> None:
        self.kind, self.empty, self.missing = kind, empty, missing


class _Each:
    """A mapping of any keys to values of one kind."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


_MACHINE = {
    "system": _TEXT,
    "processor": _TEXT,
    "cores": _COUNT,
    "memory_gb": _Optional(_NUMBER),
    "device": _Optional(_TEXT, missing=True),
}
_PROVENANCE = {
    "cryokit": _TEXT,
    "commit": _Optional(_TEXT),
    "python": _TEXT,
    "packages": _Each(_TEXT),
    "backend": _TEXT,
    "machine": _MACHINE,
    "date": _TEXT,
}
_SCORES = {
    **dict.fromkeys(("precision", "recall", "f1", "accuracy"), _Optional(_NUMBER)),
    **dict.fromkeys(("average_precision", "recall_ceiling", "best_f1"), _Optional(_NUMBER)),
    **dict.fromkeys(("tp", "fp", "fn"), _COUNT),
    "intervals": _Optional(_Each([_Optional(_NUMBER)])),
}
_CURVE = {"particles": _COUNT, "threshold": [_NUMBER], "true": [_COUNT], "false": [_COUNT]}
_CELL = {
    "method": _TEXT,
    "dataset": _TEXT,
    "seed": _COUNT,
    "status": _TEXT,
    "error": _Optional(_TEXT),
    "seconds": dict.fromkeys(("fit", "pick"), _Optional(_NUMBER)),
    **dict.fromkeys(("wall", "peak_memory_mb", "threshold", "own_threshold", "view_named_right"), _Optional(_NUMBER)),
    "threshold_by": _TEXT,
    **dict.fromkeys(("scores", "own", "wide"), _Optional(_SCORES, empty=True)),
    "localisation": _Optional(_Each(_Optional(_VALUE)), empty=True),
    "views": _Each(_SCORES),
    "per_micrograph": [{"micrograph": _TEXT, **dict.fromkeys(("particles", "tp", "fp", "fn"), _COUNT)}],
    "curve": _Optional(_CURVE, empty=True),
    "view_curves": _Each(_CURVE),
    "decisions": [_TEXT],
    "unpicked": _Optional([dict.fromkeys(("micrograph", "what", "error"), _TEXT)], missing=True),
    "provenance": _Optional(_PROVENANCE, empty=True),
}
_DATASET = {
    "title": _TEXT,
    "kind": _TEXT,
    "protein": _Optional(_TEXT),
    "diameter": _NUMBER,
    "micrographs": {split: [_TEXT] for split in ("train", "validation", "test")},
    "particles": dict.fromkeys(("train", "validation", "test"), _COUNT),
    "views": _Each(_COUNT),
    "axes": _Each(_NUMBER),
    "note": _TEXT,
    "left_out": _Optional(_Each(_TEXT), missing=True),
}
_METHOD = {
    "title": _TEXT,
    "picker": _Optional(_TEXT),
    "settings": _MAPPING,
    "labels": _Optional(_FLAG),
    "source": _TEXT,
}
_RESULT = {
    "name": _TEXT,
    "title": _TEXT,
    "note": _TEXT,
    "profile": _Optional(_TEXT),
    "config": _MAPPING,
    "provenance": _PROVENANCE,
    "datasets": _Each(_DATASET),
    "methods": _Each(_METHOD),
    "cells": [_CELL],
}


def check_result(content: Mapping[str, Any], done: str) -> None:
    """Check the content of a result file.

    Parameters
    ----------
    content : mapping
        Content.
    done : str
        Status of a cell that has scores.

    Raises
    ------
    ArgumentError
        If a key is missing, a value is of another kind, or a cell is of a method or dataset that is not there; the
        message names the key.
    """
    _check(content, _RESULT, "")
    seen = set()
    for index, cell in enumerate(content["cells"]):
        for key in ("method", "dataset"):
            if cell[key] not in content[f"{key}s"]:
                raise ArgumentError(f"cells[{index}].{key}: {shown(cell[key])} is not among the {key}s")
        which = cell["method"], cell["dataset"], cell["seed"]
        if which in seen:
            raise ArgumentError(f"cells[{index}]: {shown(which)} is there twice")
        seen.add(which)
        if cell["status"] == done and not (cell["scores"] and cell["provenance"]):
            raise ArgumentError(f"cells[{index}]: is {done} and has no scores or no provenance")
        curves = [cell["curve"], *cell["view_curves"].values()]
        columns = ("threshold", "true", "false")
        if any(len({len(curve[name]) for name in columns}) > 1 for curve in curves if curve):
            raise ArgumentError(f"cells[{index}]: a curve whose columns differ in length")
        if any(sum(curve["true"]) > curve["particles"] for curve in curves if curve):
            raise ArgumentError(f"cells[{index}]: a curve with more true candidates than particles")


def _check(value: Any, kind: Any, key: str) -> None:
    if isinstance(kind, _Optional):
        if value is None or (kind.empty and value == {}):
            return
        kind = kind.kind
    if isinstance(kind, dict):
        _require(isinstance(value, dict), key, _MAPPING, value)
        for name, inner in kind.items():
            if name not in value:
                if isinstance(inner, _Optional) and inner.missing:
                    continue
                raise ArgumentError(f"{key or 'the file'}: has no {name}")
            _check(value[name], inner, f"{key}.{name}" if key else name)
    elif isinstance(kind, _Each):
        _require(isinstance(value, dict), key, _MAPPING, value)
        for name, inner in value.items():
            _check(inner, kind.kind, f"{key}.{shortened(name)}")
    elif isinstance(kind, list):
        _require(isinstance(value, list), key, "a list", value)
        for index, inner in enumerate(value):
            _check(inner, kind[0], f"{key}[{index}]")
    else:
        _require(_IS[kind](value), key, kind, value)


def _require(valid: bool, key: str, expected: str, value: Any) -> None:
    if not valid:
        raise ArgumentError(f"{key or 'the file'}: expected {expected}, found {shortened(shown(value))}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST and math.isfinite(value)


_IS = {
    _TEXT: lambda value: isinstance(value, str) and len(value) <= LONGEST,
    _NUMBER: _is_number,
    _COUNT: lambda value: type(value) is int and 0 <= value <= LARGEST,
    _VALUE: lambda value: isinstance(value, bool) or _is_number(value),
    _FLAG: lambda value: isinstance(value, bool),
    _MAPPING: lambda value: isinstance(value, dict),
}
