"""Headers of tables: which column is meant by the names that programs and people give it."""

import logging
import os
import re
from collections.abc import Iterable

logger = logging.getLogger(__name__)

# Usual names in lower case without punctuation and units, the most telling first.
_COORDINATE = (
    *("{}", "{}coordinate", "coordinate{}", "{}coord", "coord{}", "{}coordinates", "rlncoordinate{}"),
    *("{}center", "center{}", "{}centre", "centre{}", "{}position", "position{}", "{}pos", "pos{}"),
)
_USUAL = {axis: tuple(name.format(axis) for name in _COORDINATE) for axis in "xyz"} | {
    "micrograph": (
        *("micrograph", "micrographs", "micrographname", "micrographfilename", "micrographsfilename"),
        *("micrographfile", "micrographpath", "rlnmicrographname", "imagename", "imagefilename", "image", "filename"),
        *("micrographid", "imageid", "imagepath", "mic", "micname"),
    ),
    "score": (
        *("score", "confidence", "probability", "figureofmerit", "autopickfigureofmerit", "fom", "nccscore"),
        "rlnautopickfigureofmerit",
    ),
    "diameter": ("diameter", "particlediameter", "diam"),
    "view": ("view",),
}
_SIDES = {"width", "height", "w", "h"}
_SAID: set[tuple[tuple[str, ...], str]] = set()  # headers with the folders of their files


def usual_columns(header: Iterable[str]) -> dict[str, str]:
    """Return the field of a header that holds each column of a table of picks (and z), by the column's name.

    Case, punctuation and a unit of pixels do not count. Of several fields for one column the most telling is taken.

    Examples
    --------
    >>> usual_columns(["X-Coordinate", "Y-Coordinate", "Diameter", "Angle-Psi"])
    {'x': 'X-Coordinate', 'y': 'Y-Coordinate', 'diameter': 'Diameter'}
    >>> usual_columns(["Micrographs Filename", "x (px)", "x_raw"])
    {'x': 'x (px)', 'micrograph': 'Micrographs Filename'}
    """
    fields: dict[str, str] = {}
    for field in header:
        fields.setdefault(_plain(field), field)
    columns = {}
    for column, usual in _USUAL.items():
        name = next((name for name in usual if name in fields), None)
        if name is not None:
            columns[column] = fields[name]
    return columns


def _plain(field: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", field.lower())
    return re.sub(r"(?<=.)(px|pix|pixels?)$", "", name)


def say(header: Iterable[str], path: str | os.PathLike) -> None:
    """Say which field was taken for which column where they have other names, and doubts.

    This is said once for the files of a folder that have the same header.
    """
    header = tuple(header)
    if (header, os.path.dirname(path)) in _SAID:
        return
    _SAID.add((header, os.path.dirname(path)))
    columns = usual_columns(header)
    taken = ", ".join(f"{field!r} for {column}" for column, field in columns.items() if field != column)
    left = [field for field in header if field not in columns.values()]
    if taken:
        ignored = f"; not read: {', '.join(left)}" if left else ""
        logger.info("%s: taken from the header: %s%s", path, taken, ignored)
    if _SIDES & {_plain(field) for field in left}:
        logger.warning(
            "%s: x and y are taken for centres, though the table has the sides of boxes; if they are corners, give "
            "half a side with --shift (shift=)",
            path,
        )
