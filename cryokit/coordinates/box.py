"""EMAN1 ``.box`` files: one line a particle, ``corner_x corner_y width height`` and sometimes a fifth column.

The corner is the box's pixel with the smallest coordinates. The centre is ``corner + width // 2`` for whole widths (as
RELION and EMAN2 reckon; crYOLO's half pixel for odd sizes is neglected) and ``corner + width / 2`` otherwise. The box's
side is all that the file tells of the size, so it is read as the diameter.

The fifth column is either a score or EMAN1's code: -1 the start and -2 the end of a filament (views ``helix start`` and
``helix end``), -3 an ordinary box. A file whose fifth column holds nothing else is read as codes, any other as scores.

Views other than the helix ones are not kept, nor are scores beside helix codes. RELION reads whole numbers only, so
these are written unless floats are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.names import coordinate_file_micrograph
from cryokit.coordinates.picks import table, validate
from cryokit.coordinates.textfiles import number, numbers, read_text
from cryokit.errors import CoordinateError

HELIX_VIEWS = {-1: "helix start", -2: "helix end", -3: ""}
_CODES = {view: code for code, view in HELIX_VIEWS.items()}


def read(path: str | os.PathLike, micrograph: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a ``.box`` file; an empty file is an empty list of picks.

    Parameters
    ----------
    path : path-like
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
        When a line has other than 4 or 5 columns, something is no number, or a box has no size.
    """
    name = micrograph or coordinate_file_micrograph(path)
    values = read_bare(path, columns=(4, 5))
    corner, size, fifth = values[:, :2], values[:, 2:4], values[:, 4]
    view = ""
    if len(fifth) and np.isin(fifth, list(HELIX_VIEWS)).all():
        view = [HELIX_VIEWS[int(code)] for code in fifth]
        fifth = np.full(len(fifth), np.nan)
    centre = corner + half(size)
    picks = table(name, x=centre[:, 0], y=centre[:, 1], score=fifth, diameter=size.mean(axis=1), view=view)
    return validate(picks, path), [name]


def read_bare(path: str | os.PathLike, columns: Sequence[int]) -> np.ndarray:
    """Read a file of whitespace-separated numbers without a header.

    Parameters
    ----------
    path : path-like
    columns : sequence of int
        The numbers of columns allowed, in ascending order; lines may differ.

    Returns
    -------
    numpy.ndarray, shape (lines, max(columns)), float64
        What a line does not have is NaN.

    Raises
    ------
    CoordinateError
        When a line has another number of columns, something is no number, or a width or height is not positive.
    """
    rows = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        fields = text.split()
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) not in columns:
            allowed = " to ".join(map(str, dict.fromkeys((columns[0], columns[-1]))))
            raise CoordinateError(f"{path}: line {line} has {len(fields)} columns instead of {allowed}")
        rows.append(numbers(("nan" if f == "<NA>" else f for f in fields), path, f"line {line}"))
    values = np.full((len(rows), columns[-1]), np.nan)
    for k, row in enumerate(rows):
        values[k, : len(row)] = row
    if not (values[:, 2:4] > 0).all():
        raise CoordinateError(f"{path}: a box has no positive width and height; are columns missing?")
    return values


def half(size: np.ndarray) -> np.ndarray:
    """Return the distance from a box's corner to its centre."""
    return np.where(size == np.floor(size), size // 2, size / 2)


def box_sizes(picks: pd.DataFrame, box_size: float | None, path: str | os.PathLike) -> np.ndarray:
    """Return the side of every pick's box: `box_size`, or else its diameter.

    Raises
    ------
    CoordinateError
        When neither is known or positive.
    """
    sizes = picks["diameter"].to_numpy() if box_size is None else np.full(len(picks), box_size, dtype=np.float64)
    if not (sizes > 0).all():
        raise CoordinateError(
            f"{path}: boxes need a size and picks without a diameter have none; give a box size (box_size=, --box-size)"
        )
    return sizes


def write(
    path: str | os.PathLike, picks: pd.DataFrame, *, box_size: float | None = None, integers: bool = True
) -> None:
    """Write one micrograph's picks as boxes.

    Parameters
    ----------
    path : path-like
    picks : pandas.DataFrame
        A table of picks. Scores go into a fifth column, which lines without a score do not get.
    box_size : float, optional
        The boxes' side in pixels; each pick's diameter by default.
    integers : bool, default True
        Round corners and sizes to whole numbers, which RELION insists on.

    Raises
    ------
    CoordinateError
        When the box size is not known.
    """
    size = box_sizes(picks, box_size, path)
    if integers:
        size = np.maximum(np.rint(size), 1)
    x, y = (picks[axis].to_numpy() - half(size) for axis in ("x", "y"))
    if integers:
        x, y = np.rint(x), np.rint(y)
    if picks["view"].isin(["helix start", "helix end"]).any():
        fifth = [_CODES.get(view, -3) for view in picks["view"]]
    else:
        fifth = picks["score"]
    lines = zip(x, y, size, size, fifth, strict=True)
    write_text(path, "".join("\t".join(filter(None, map(number, line))) + "\n" for line in lines))
