"""EMAN1 ``.box`` files: a line per particle, ``corner_x corner_y width height`` and an optional fifth column.

The corner is the pixel of the box with the smallest coordinates. The centre is ``corner + width // 2`` for whole widths
(as RELION and EMAN2 compute it; crYOLO's half pixel for odd sizes is neglected) and ``corner + width / 2`` otherwise.
The side of the box is all that a file says about the size, so it is read as the diameter. An empty file is an empty
list of picks.

The fifth column is either a score or EMAN1's code: -1 the start and -2 the end of a filament (views ``helix start`` and
``helix end``), -3 an ordinary box. If a file's fifth column holds nothing else it is read as codes, otherwise as
scores.

Views other than the helix ones are not kept, nor are scores beside helix codes. RELION reads whole numbers only, so
these are written unless fractions are asked for.
"""

import os
import re

import numpy as np
import pandas as pd

from cryokit._util.files import write_text
from cryokit.coordinates.formats import WriteOptions
from cryokit.coordinates.picks import sizes, table, validate
from cryokit.coordinates.textfiles import read_number_rows
from cryokit.errors import CoordinateError

HELIX_VIEWS = {-1: "helix start", -2: "helix end", -3: ""}


def recognises(text: str) -> bool:
    """Tell whether the first line of a text is four or five numbers."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return re.fullmatch(r"\s*[-+.\deE]+(\s+[-+.\deE]+){3,4}\s*", first) is not None


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a box file (see `cryokit.coordinates.formats`)."""
    corner, size, fifth = read_boxes(path, columns=(4, 5))
    fifth, view = fifth[:, 0], ""
    if len(fifth) and np.isin(fifth, list(HELIX_VIEWS)).all():
        view = [HELIX_VIEWS[int(code)] for code in fifth]
        fifth = np.full(len(fifth), np.nan)
    centre = corner + _half(size)
    picks = table(micrograph, x=centre[:, 0], y=centre[:, 1], score=fifth, diameter=size.mean(axis=1), view=view)
    return validate(picks, path), [micrograph]


def read_boxes(path: str | os.PathLike, columns: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read boxes as columns of numbers without a header.

    Parameters
    ----------
    path : path-like
        File to read.
    columns : tuple of int
        Allowed numbers of columns, see `read_number_rows`.

    Returns
    -------
    corner, size, further : ndarray of float64, shape (n, 2), (n, 2) and (n, max(columns) - 4)

    Raises
    ------
    CoordinateError
        If a line cannot be read or a box has no positive width and height.
    """
    values = read_number_rows(path, columns, volume=(3, 6))
    if not ((values[:, 2:4] > 0) & np.isfinite(values[:, 2:4])).all():
        raise CoordinateError(f"{path}: a box has no positive width and height; are columns missing?")
    return values[:, :2], values[:, 2:4], values[:, 4:]


def _half(size: np.ndarray) -> np.ndarray:
    """Return the distance from the corner of a box to its centre."""
    return np.where(size == np.floor(size), size // 2, size / 2)


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write a box file, with scores or helix codes in the fifth column (see `cryokit.coordinates.formats`)."""
    size = sizes(picks, options.box_size, path)
    if options.integers:
        size = np.maximum(np.rint(size), 1)
    x, y = (picks[axis].to_numpy() - _half(size) for axis in ("x", "y"))
    if options.integers:
        x, y = np.rint(x), np.rint(y)
    codes = {view: code for code, view in HELIX_VIEWS.items() if view}
    fifth = picks["view"].map(lambda view: codes.get(view, -3)) if picks["view"].isin(codes).any() else picks["score"]
    # The shortest text that gives a number back, without a needless ".0"; nothing for a score that is NaN.
    lines = (
        "\t".join(np.format_float_positional(value, trim="-") for value in line if not np.isnan(value)) + "\n"
        for line in zip(x, y, size, size, fifth, strict=True)
    )
    write_text(path, "".join(lines))
