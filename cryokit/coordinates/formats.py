"""The formats by name, and telling a file's format."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from cryokit.coordinates.textfiles import read_text
from cryokit.errors import CoordinateError


class Format(NamedTuple):
    """What is known about a format: `FORMATS` maps its name to this.

    Attributes
    ----------
    ending : str
        What follows the micrograph's name in the name of a file of one micrograph.
    title : str
        Description for people.
    many : bool
        Whether one file can hold the picks of several micrographs.
    log_odds : bool
        Whether the file's scores are log-odds, which are turned into probabilities.
    """

    ending: str
    title: str
    many: bool = False
    log_odds: bool = False


# In the order in which they are preferred where a folder holds the same picks in several formats.
FORMATS = {
    "star": Format(".star", "RELION STAR file", many=True),
    "cbox": Format(".cbox", "crYOLO CBOX file"),
    "topaz": Format(".tsv", "Topaz table", many=True, log_odds=True),
    "eman2": Format("_info.json", "EMAN2 info file"),
    "box": Format(".box", "EMAN1 box file"),
    "csv": Format(".csv", "CSV table", many=True),
    "pictures": Format(".png", "label picture with discs"),
}
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def known(format: str) -> str:
    """Return `format` if it is a key of `FORMATS`.

    Raises
    ------
    CoordinateError
        When it is not.
    """
    if format not in FORMATS:
        raise CoordinateError(f"no coordinate format {format!r}; there are {', '.join(FORMATS)}")
    return format


def detect(path: str | os.PathLike) -> str:
    """Tell the format of a coordinate file by its suffix, and by its content where that is not enough.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    str
        A key of `FORMATS`.

    Raises
    ------
    CoordinateError
        When the format cannot be told.
    """
    suffix = Path(path).suffix.lower()
    found = recognise(path)
    if found is None and suffix in (".star", ".csv"):
        return suffix[1:]  # whose reader tells what is wrong
    if found is None:
        what = "is in no format that cryokit recognises" if read_text(path).strip() else "is empty"
        raise CoordinateError(f"{path}: the file {what}; name its format ({', '.join(FORMATS)})")
    return found


def recognise(path: str | os.PathLike) -> str | None:
    """Tell the format of a coordinate file that looks like one; None when it does not.

    Raises
    ------
    CoordinateError
        When the file cannot be read as text and its suffix does not say enough.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".box", ".cbox"):
        return suffix[1:]
    if suffix in PICTURE_SUFFIXES:
        return "pictures"
    if suffix == ".json":
        return "eman2"
    return detect_text(read_text(path))


def detect_text(text: str) -> str | None:
    """Tell the format of a text file by its content; None when it cannot be told."""
    if re.search(r"^\s*data_cryolo\b", text, re.MULTILINE):
        return "cbox"
    if re.search(r"^\s*data_", text, re.MULTILINE) and re.search(r"^\s*_\w+", text, re.MULTILINE):
        return "star"
    first = next((line for line in text.splitlines() if line.strip()), "")
    if {"image_name", "x_coord", "y_coord"} <= {word.strip().lower() for word in first.split("\t")}:
        return "topaz"
    if {"x", "y"} <= {word.strip(' "').lower() for word in first.split(",")}:
        return "csv"
    if re.fullmatch(r"\s*[-+.\deE]+(\s+[-+.\deE]+){3,4}\s*", first):
        return "box"
    return None
