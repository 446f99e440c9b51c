"""EMAN2's ``info/<micrograph>_info.json``: key ``boxes`` with ``[x, y, kind]`` or ``[x, y, kind, score]``.

x and y are centres. The box size is a setting of the whole EMAN2 project, not of this file, so diameters are not kept;
nor are views. The file holds other things about the micrograph as well (CTF, quality): they stay as they are when picks
are written into a file that exists.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.names import coordinate_file_micrograph
from cryokit.coordinates.picks import table, validate
from cryokit.coordinates.textfiles import read_text
from cryokit.errors import CoordinateError


def read(path: str | os.PathLike, micrograph: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read the boxes of an EMAN2 info file.

    Parameters
    ----------
    path : path-like
        A file ``..._info.json`` without the key ``boxes`` has no picks; in any other JSON file the key has to be there.
    micrograph : str, optional
        The micrograph's name; by default it comes from the file's name.

    Returns
    -------
    picks : pandas.DataFrame
    micrographs : list of str
        The one micrograph.

    Raises
    ------
    CoordinateError
        When the file is no JSON file of this kind.
    """
    name = micrograph or coordinate_file_micrograph(path)
    info = _load(path)
    if "boxes" not in info and not Path(path).name.endswith("_info.json"):
        raise CoordinateError(f"{path}: no key 'boxes', so not an EMAN2 info file with picks")
    boxes = info.get("boxes", [])
    if not isinstance(boxes, list):
        raise CoordinateError(f"{path}: the key 'boxes' is not a list")
    x, y, score = [], [], []
    for row, box in enumerate(boxes, start=1):
        if not (isinstance(box, list) and len(box) >= 2 and all(isinstance(v, (int, float)) for v in box[:2])):
            raise CoordinateError(f"{path}: box {row} is not [x, y, ...]: {json.dumps(box)[:80]}")
        x.append(box[0])
        y.append(box[1])
        score.append(box[3] if len(box) > 3 and isinstance(box[3], (int, float)) else math.nan)
    return validate(table(name, x=x, y=y, score=score), path), [name]


def write(path: str | os.PathLike, picks: pd.DataFrame) -> None:
    """Write one micrograph's picks into an EMAN2 info file, leaving its other keys as they are.

    Parameters
    ----------
    path : path-like
    picks : pandas.DataFrame
        A table of picks.

    Raises
    ------
    CoordinateError
        When the file exists and is not an info file.
    """
    info = _load(path) if Path(path).exists() else {}
    info["boxes"] = [
        [x, y, "manual"] if math.isnan(score) else [x, y, "auto", score]
        for x, y, score in zip(picks["x"].tolist(), picks["y"].tolist(), picks["score"].tolist(), strict=True)
    ]
    write_text(path, json.dumps(info) + "\n")


def _load(path: str | os.PathLike) -> dict:
    try:
        info = json.loads(read_text(path))
    except ValueError as error:
        raise CoordinateError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(info, dict):
        raise CoordinateError(f"{path}: not an EMAN2 info file (no JSON object)")
    return info
