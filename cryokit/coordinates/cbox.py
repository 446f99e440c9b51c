"""crYOLO's CBOX files: STAR-based since crYOLO 1.8, bare columns ``x y w h confidence [est_width est_height]`` before.

x and y are the box's corner; its centre is ``corner + size / 2``. The confidence is a probability and is the score; a
CBOX file holds every detection, also those below crYOLO's threshold. The estimated size is the diameter, or else the
box's side where it is not given. Views are not kept. 9 significant digits are written.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from cryokit._util.names import coordinate_file_micrograph
from cryokit.coordinates.box import box_sizes, read_bare
from cryokit.coordinates.star import read_blocks, write_blocks
from cryokit.coordinates.picks import table, validate
from cryokit.coordinates.textfiles import read_text
from cryokit.errors import CoordinateError

_NEEDED = ["CoordinateX", "CoordinateY", "Width", "Height"]
_COLUMNS = [*_NEEDED, "Confidence", "EstWidth", "EstHeight"]


def read(path: str | os.PathLike, micrograph: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a CBOX file, new or old.

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
        When the file is empty, no CBOX file, of a tomogram, or damaged.
    """
    name = micrograph or coordinate_file_micrograph(path)
    text = read_text(path)
    if not text.strip():
        raise CoordinateError(f"{path}: the file is empty; even a CBOX file without picks has a header")
    values = _new_columns(path) if "data_" in text else read_bare(path, columns=(5, 6, 7))
    corner, size, confidence, estimated = values[:, :2], values[:, 2:4], values[:, 4], values[:, 5:7]
    known = (estimated > 0).all(axis=1, keepdims=True)
    diameter = np.where(known, estimated, size).mean(axis=1)
    centre = corner + size / 2
    return validate(table(name, x=centre[:, 0], y=centre[:, 1], score=confidence, diameter=diameter), path), [name]


def _new_columns(path: str | os.PathLike) -> np.ndarray:
    blocks = read_blocks(path)
    if "cryolo" not in blocks:
        raise CoordinateError(f"{path}: no block data_cryolo, so not a CBOX file")
    block = blocks["cryolo"]
    missing = [column for column in _NEEDED if column not in block.columns]
    if missing:
        raise CoordinateError(f"{path}: block data_cryolo has no column {', '.join(missing)}")
    z = (
        pd.to_numeric(block["CoordinateZ"], errors="coerce")
        if "CoordinateZ" in block.columns
        else pd.Series(dtype=float)
    )
    if len(z.dropna().unique()) > 1:
        raise CoordinateError(f"{path}: the picks of a tomogram (several z), not of a micrograph")
    try:
        return block.reindex(columns=_COLUMNS).replace("<NA>", np.nan).to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise CoordinateError(f"{path}: something in block data_cryolo is not a number ({error})") from None


def write(path: str | os.PathLike, picks: pd.DataFrame, *, box_size: float | None = None) -> None:
    """Write one micrograph's picks as a CBOX file of crYOLO 1.8 or later.

    Parameters
    ----------
    path : path-like
    picks : pandas.DataFrame
        A table of picks; the diameter is written as the estimated size.
    box_size : float, optional
        The boxes' side in pixels; each pick's diameter by default.

    Raises
    ------
    CoordinateError
        When the box size is not known.
    """
    size = box_sizes(picks, box_size, path)
    unknown = np.full(len(picks), np.nan)
    boxes = pd.DataFrame(
        {
            "CoordinateX": picks["x"].to_numpy() - size / 2,
            "CoordinateY": picks["y"].to_numpy() - size / 2,
            "CoordinateZ": unknown,
            "Width": size,
            "Height": size,
            "Depth": unknown,
            "EstWidth": picks["diameter"].to_numpy(),
            "EstHeight": picks["diameter"].to_numpy(),
            "Confidence": picks["score"].to_numpy(),
            "NumBoxes": unknown,
            "Angle": unknown,
        }
    )
    blocks = {
        "global": {"cbox_format_version": "1.0"},
        "cryolo": boxes,
        "cryolo_include": pd.DataFrame({"slice_index": np.zeros(0)}),  # only tomograms have slices
    }
    write_blocks(path, blocks, header="")
