"""crYOLO's CBOX files: STAR-based since crYOLO 1.8, bare columns ``x y w h confidence [est_width est_height]`` before.

x and y are the corner of the box; its centre is ``corner + size / 2``. The confidence is a probability and is the
score; a CBOX file holds every detection, also those below crYOLO's threshold. The estimated size is the diameter, or
the side of the box if there is none. Views are not kept. 9 significant digits are written.
"""

import os

import numpy as np
import pandas as pd

from cryokit._util.wording import shortened
from cryokit.coordinates.box import read_boxes
from cryokit.coordinates.formats import WriteOptions
from cryokit.coordinates.picks import refuse_depths, require_columns, sizes, table, validate
from cryokit.coordinates.star import has_block, read_blocks, write_blocks
from cryokit.coordinates.textfiles import read_text
from cryokit.errors import CoordinateError

_NEEDED = ["CoordinateX", "CoordinateY", "Width", "Height"]
_OPTIONAL = ["Confidence", "EstWidth", "EstHeight"]


def recognises(text: str) -> bool:
    """Tell whether a text has the block of a CBOX file."""
    return has_block(text, "cryolo")


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a CBOX file, new or old (see `cryokit.coordinates.formats`)."""
    text = read_text(path)
    if not text.strip():
        raise CoordinateError(f"{path}: empty; a CBOX file without picks still has a header")
    corner, size, further = _new_columns(path) if has_block(text) else read_boxes(path, columns=(5, 6, 7))
    known = (further[:, 1:] > 0).all(axis=1, keepdims=True)
    diameters = np.where(known, further[:, 1:], size).mean(axis=1)
    centre = corner + size / 2
    picks = table(micrograph, x=centre[:, 0], y=centre[:, 1], score=further[:, 0], diameter=diameters)
    return validate(picks, path), [micrograph]


def _new_columns(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return corners, sizes, and confidence with the estimated sizes, from a STAR-based file."""
    block = read_blocks(path).get("cryolo")
    if block is None:
        raise CoordinateError(f"{path}: not a CBOX file (no block data_cryolo)")
    require_columns(block.columns, _NEEDED, path)
    if "CoordinateZ" in block.columns:
        refuse_depths(pd.to_numeric(block["CoordinateZ"], errors="coerce"), path)
    try:
        columns = block.reindex(columns=_NEEDED + _OPTIONAL).replace("<NA>", np.nan)
        return np.hsplit(columns.to_numpy(dtype=np.float64), (2, 4))
    except (ValueError, TypeError) as error:
        raise CoordinateError(
            f"{path}: block data_cryolo holds something that is not a number ({shortened(str(error))})"
        ) from None


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write a CBOX file of crYOLO 1.8 or later (see `cryokit.coordinates.formats`)."""
    size = sizes(picks, options.box_size, path)
    boxes = pd.DataFrame(
        {
            "CoordinateX": picks["x"].to_numpy() - size / 2,
            "CoordinateY": picks["y"].to_numpy() - size / 2,
            "CoordinateZ": np.nan,
            "Width": size,
            "Height": size,
            "Depth": np.nan,
            "EstWidth": picks["diameter"].to_numpy(),
            "EstHeight": picks["diameter"].to_numpy(),
            "Confidence": picks["score"].to_numpy(),
            "NumBoxes": np.nan,
            "Angle": np.nan,
        }
    )
    blocks = {
        "global": {"cbox_format_version": "1.0"},
        "cryolo": boxes,
        "cryolo_include": pd.DataFrame({"slice_index": np.zeros(0)}),  # only tomograms have slices
    }
    write_blocks(path, blocks, header="")
