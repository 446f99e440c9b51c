"""EMAN2's ``info/<micrograph>_info.json``: key ``boxes`` with ``[x, y, kind]`` or ``[x, y, kind, score]``.

x and y are centres. The box size is a setting of the whole EMAN2 project, not of this file, so diameters are not kept;
nor are views. The file holds other facts about the micrograph (CTF, quality), which are kept when picks are written
into an existing file. A file ``..._info.json`` without the key ``boxes`` has no picks; any other JSON file must have
the key.
"""

import json
import math
import os
import sys
from pathlib import Path

import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.wording import shortened
from cryokit.coordinates.formats import WriteOptions
from cryokit.coordinates.picks import TOMOGRAM, table, validate
from cryokit.coordinates.textfiles import read_text
from cryokit.errors import CoordinateError


def recognises(text: str) -> bool:
    """Tell whether a text looks like a JSON object with boxes."""
    return text.lstrip().startswith("{") and '"boxes"' in text


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read the boxes of an EMAN2 info file (see `cryokit.coordinates.formats`)."""
    info = _load(path)
    if info.get("boxes_3d") or ("boxes_3d" in info and not info.get("boxes")):
        raise CoordinateError(f"{path}: {TOMOGRAM} (key 'boxes_3d')")
    if "boxes" not in info and not Path(path).name.endswith("_info.json"):
        raise CoordinateError(f"{path}: not an EMAN2 info file with picks (no key 'boxes')")
    boxes = info.get("boxes", [])
    if not isinstance(boxes, list):
        raise CoordinateError(f"{path}: the key 'boxes' is not a list")
    for row, box in enumerate(boxes, start=1):
        if not (isinstance(box, list) and len(box) >= 2 and all(map(_is_number, box[:2]))):
            raise CoordinateError(f"{path}: box {row} is not [x, y, ...]: {shortened(box)}")
        if len(box) > 2 and _is_number(box[2]):
            raise CoordinateError(f"{path}: box {row} begins with three numbers, x, y and z: the file {TOMOGRAM}")
    scores = [box[3] if len(box) > 3 and _is_number(box[3]) else math.nan for box in boxes]
    picks = table(micrograph, x=[box[0] for box in boxes], y=[box[1] for box in boxes], score=scores)
    return validate(picks, path), [micrograph]


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write picks into an EMAN2 info file and keep its other keys (see `cryokit.coordinates.formats`)."""
    info = _load(path) if Path(path).exists() else {}
    info["boxes"] = [
        [x, y, "manual"] if math.isnan(score) else [x, y, "auto", score]
        for x, y, score in picks[["x", "y", "score"]].to_numpy().tolist()
    ]
    write_text(path, json.dumps(info) + "\n")


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < sys.float_info.max)


def _load(path: str | os.PathLike) -> dict:
    try:
        info = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # lists within lists without end
        raise CoordinateError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(info, dict):
        raise CoordinateError(f"{path}: not an EMAN2 info file (no JSON object)")
    return info
