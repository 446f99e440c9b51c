"""Lists of micrographs: plain text, RELION's STAR files, and the tables of Topaz."""

import csv
import os
import re
from pathlib import Path
from typing import NamedTuple

from cryokit._util.files import home
from cryokit._util.names import MICROGRAPH_SUFFIXES
from cryokit._util.wording import shortened
from cryokit.coordinates.star import path_in_stack, read_blocks, refuse_tomograms
from cryokit.coordinates.textfiles import header_fields
from cryokit.errors import CoordinateError, MicrographError


class Entry(NamedTuple):
    """An entry of a list.

    Attributes
    ----------
    line : str
        Where it is in the list, for messages.
    path : str
        Path as it is in the list.
    by_name : bool
        Whether it is the name of a micrograph, without folder and suffix.
    """

    line: str
    path: str
    by_name: bool = False


def entries(path: Path, text: str) -> list[Entry]:
    """Return what a list names.

    Parameters
    ----------
    path : pathlib.Path
        File of the list.
    text : str
        Its text: a path per line, where blank lines and those that start with ``#`` are skipped; a STAR file with a
        column `rlnMicrographName` (RELION's ``micrographs.star``, ``micrographs_ctf.star`` and so on); or a table of
        Topaz with a column `path` (its lists of images), or with names only (its tables of particles, split into
        training and test micrographs or not).

    Raises
    ------
    MicrographError
        If a STAR file or table names no micrographs, or only movies or tomograms.
    """
    if path.name.lower().endswith(".star") or re.search(r"^\s*_rln\w", text, re.MULTILINE):
        return _of_star(path)
    delimiter = next((mark for mark in "\t," if "image_name" in header_fields(text, mark)), None)
    if delimiter:
        return _of_topaz(path, text, delimiter)
    numbered = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [Entry(f"line {number}", line) for number, line in numbered if line and not line.startswith("#")]


def _of_star(path: Path) -> list[Entry]:
    try:
        blocks = read_blocks(path)
        refuse_tomograms(blocks, path)
    except CoordinateError as error:
        raise MicrographError(str(error)) from None
    named = [name for name, block in blocks.items() if "rlnMicrographName" in block.columns]
    if not named:
        movies = any("rlnMicrographMovieName" in block.columns for block in blocks.values())
        reason = "lists movies; give the STAR file of the job that aligned them" if movies else "lists no micrographs"
        raise MicrographError(f"{path}: {reason} (no column rlnMicrographName)")
    block = blocks["micrographs" if "micrographs" in named else named[0]]
    names = dict.fromkeys(path_in_stack(str(name)) for name in block["rlnMicrographName"])
    return [Entry("column rlnMicrographName", name) for name in names]


def _of_topaz(path: Path, text: str, delimiter: str) -> list[Entry]:
    rows = list(csv.reader((line for line in text.splitlines() if line.strip()), delimiter=delimiter))
    header = [field.strip().lower() for field in rows[0]]
    column = header.index("path" if "path" in header else "image_name")
    short = next((row for row in rows if len(row) <= column), None)
    if short is not None:
        raise MicrographError(f"{path}: a row has {len(short)} fields, the header {len(header)}; export it again")
    listed = dict.fromkeys(row[column].strip() for row in rows[1:])
    return [Entry(f"column {header[column]}", name, header[column] == "image_name") for name in listed]


def found(entry: Entry, path: Path) -> Path:
    """Return the file or folder that an entry means.

    Paths are looked up from the folder of the list, from the working folder, and, as RELION's paths start at the
    folder of the project, from the folders above the list.

    Raises
    ------
    MicrographError
        If there is none.
    """
    given = home(entry.path)
    folders = list(dict.fromkeys([path.parent, Path(), *path.absolute().parent.parents]))
    endings = ("", *MICROGRAPH_SUFFIXES) if entry.by_name else ("",)
    for folder in folders:
        for ending in endings:
            place = folder / f"{given}{ending}"
            if os.path.lexists(place):
                return place
    hint = "; a list of images has their paths" if entry.by_name else ""
    raise MicrographError(
        f"{path}, {entry.line}: {shortened(entry.path)} exists neither beside the list nor in the working folder, nor "
        f"in a folder above the list{hint}"
    )
