"""RELION STAR files of picks.

Read: files with a single block (RELION up to 3.0), files with optics and particle blocks (3.1 and later), and the
``autopick.star`` or ``manualpick.star`` of a job, which lists the coordinate file of each micrograph (4.0 and later).
RELION's coordinates are centres in pixels of the micrograph; its figure of merit is kept as the score, whatever its
scale, and its -999 means that there is none. Of several images of a stack (``12@stack.mrcs``) the stack is the
micrograph. Files of tomograms are refused. `rlnOriginXAngst` and its kin (shifts found by refinement) are not
applied. A column `rlnDiameter`, which some pickers add, is read as the diameter in pixels.

Written: the columns that RELION's own autopicker writes, 9 significant digits. Diameters and views are not kept.
"""

import linecache
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

from cryokit._util.files import write_text
from cryokit._util.names import is_utf8, located_name
from cryokit._util.wording import shortened
from cryokit.coordinates.formats import FORMATS, WriteOptions, detect
from cryokit.coordinates.picks import concatenate, refuse_depths, require_columns, validate
from cryokit.coordinates.textfiles import read_text
from cryokit.errors import CoordinateError

# The list of a job's coordinate files, in RELION 4 and later.
LISTS = ("autopick.star", "manualpick.star")
_LIST_BLOCK = "coordinate_files"
_LIST_COLUMNS = ["rlnMicrographName", "rlnMicrographCoordinates"]
_TEXT_COLUMNS = [*_LIST_COLUMNS, "rlnImageName"]
_CENTRE = ("rlnCoordinateX", "rlnCoordinateY")
_COLUMNS = {_CENTRE[0]: "x", _CENTRE[1]: "y", "rlnAutopickFigureOfMerit": "score", "rlnDiameter": "diameter"}
_NO_SCORE = -999.0
# Beginnings of the columns that RELION has in its files of tomograms only.
_OF_TOMOGRAMS = ("rlnTomo", "rlnCenteredCoordinate")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


def recognises(text: str) -> bool:
    """Tell whether a text has a block with named columns, other than a CBOX file's."""
    return has_block(text) and bool(re.search(r"^\s*_\w+", text, re.MULTILINE)) and not has_block(text, "cryolo")


def has_block(text: str, name: str | None = None) -> bool:
    """Tell whether a text has the block of this name, or any block."""
    pattern = r"^\s*data_" if name is None else rf"^\s*data_{name}\b"
    return re.search(pattern, text, re.MULTILINE) is not None


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a STAR file of one or several micrographs, or a job's list (see `cryokit.coordinates.formats`)."""
    blocks = read_blocks(path)
    refuse_tomograms(blocks, path)
    if _LIST_BLOCK in blocks:
        return _read_listed(path, blocks[_LIST_BLOCK])
    return _read_picks(path, blocks, micrograph)


def _read_picks(
    path: str | os.PathLike, blocks: Mapping[str, pd.DataFrame], micrograph: str
) -> tuple[pd.DataFrame, list[str]]:
    holding = [name for name, block in blocks.items() if set(_CENTRE) <= set(block.columns)]
    if not holding:
        contents = "; ".join(f"data_{name}: {', '.join(block.columns)}" for name, block in blocks.items())
        raise CoordinateError(f"{path}: no block has {' and '.join(_CENTRE)}; it has {shortened(contents, 300)}")
    if len(holding) > 1 and "particles" not in holding:
        raise CoordinateError(
            f"{path}: several blocks have coordinates: data_{', data_'.join(map(shortened, holding))}"
        )
    block = blocks["particles" if "particles" in holding else holding[0]]
    if "rlnCoordinateZ" in block.columns:
        refuse_depths(pd.to_numeric(block["rlnCoordinateZ"], errors="coerce"), path)
    names = _names(block, path)
    named = names is not None
    if names is None:
        names = [micrograph] * len(block)
    columns = block.filter(_COLUMNS).rename(columns=_COLUMNS)
    picks = validate(columns.assign(micrograph=np.array(names, dtype=object)), path)
    picks["score"] = picks["score"].mask(picks["score"] == _NO_SCORE)
    return picks, list(dict.fromkeys(names)) if named else [micrograph]


def _names(block: pd.DataFrame, path: str | os.PathLike) -> list[str] | None:
    """Return the micrograph of each pick with its folder; None if the block does not name them."""
    if "rlnMicrographName" in block.columns:
        return _located_names(block, path)
    # Particles that a program exported without their micrographs: the stacks of images are called after these. A single
    # stack says nothing that the name of the file does not.
    if "rlnImageName" in block.columns:
        stacks = [located_name(path_in_stack(name)).removesuffix("_particles") for name in block["rlnImageName"]]
        return stacks if len(set(stacks)) > 1 else None
    return None


def path_in_stack(name: str) -> str:
    """Return the path in RELION's name of an image, without the number in the stack.

    Examples
    --------
    >>> path_in_stack("000001@Extract/job/a.mrcs"), path_in_stack("user@host.mrc")
    ('Extract/job/a.mrcs', 'user@host.mrc')
    """
    return re.sub(r"^\d+@", "", name)


def refuse_tomograms(blocks: Mapping[str, pd.DataFrame], path: str | os.PathLike) -> None:
    """Check that the blocks of a STAR file are not of tomograms, as those of RELION 5 may be.

    Raises
    ------
    CoordinateError
        If a column is one of RELION's for tomograms.
    """
    for name, block in blocks.items():
        column = next((column for column in block.columns if str(column).startswith(_OF_TOMOGRAMS)), None)
        if column is not None:
            raise CoordinateError(
                f"{path}: a file of tomograms (data_{name} has {column}), not of micrographs; use a program for "
                "tomograms"
            )


def read_blocks(path: str | os.PathLike) -> dict[str, pd.DataFrame]:
    """Read every block of a STAR file as a table; a block without a loop gives one row.

    Raises
    ------
    CoordinateError
        If the file is not a STAR file.
    """
    text = read_text(path)
    if not has_block(text):
        raise CoordinateError(f"{path}: not a STAR file (no line starts with data_)")
    # starfile takes a comment after an empty loop for the loop's data, and RELION writes a comment before every block.
    text = _COMMENT.sub("", text)
    with tempfile.TemporaryDirectory() as folder:
        cleaned = Path(folder) / "cleaned.star"
        cleaned.write_text(text, encoding="utf-8")
        try:
            blocks = starfile.read(cleaned, always_dict=True, parse_as_string=_TEXT_COLUMNS)
        except Exception as error:  # starfile lets through whatever its parser meets: ValueError, TypeError, IndexError
            raise CoordinateError(
                f"{path}: damaged STAR file ({shortened(' '.join(str(error).split()), 200)})"
            ) from None
        finally:
            linecache.clearcache()  # starfile reads through this cache and leaves it filled when it fails
    tables = {
        name: block if isinstance(block, pd.DataFrame) else pd.DataFrame({key: [value] for key, value in block.items()})
        for name, block in blocks.items()
    }
    for name, block in tables.items():
        if not block.columns.is_unique:
            repeated = block.columns[block.columns.duplicated()][0]
            raise CoordinateError(f"{path}: column {shortened(repeated)} of data_{shortened(name)} is there twice")
    return tables


def _located_names(block: pd.DataFrame, path: str | os.PathLike) -> list[str]:
    """Return the micrograph of each row with its folder."""
    for row, name in enumerate(block["rlnMicrographName"], start=1):
        if not isinstance(name, str):
            raise CoordinateError(f"{path}: row {row} has no rlnMicrographName; leave it out or complete it")
    return [located_name(path_in_stack(name)) for name in block["rlnMicrographName"]]


def _read_listed(path: str | os.PathLike, block: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    require_columns(block.columns, _LIST_COLUMNS, path)
    tables, problems = [], []
    names = _located_names(block, path)
    for name, listed in zip(names, block["rlnMicrographCoordinates"], strict=True):
        try:
            file = _find(listed, Path(path))
            format = detect(file)
            if format == "star":  # never another list: it could list itself
                tables.append(_read_picks(file, read_blocks(file), name)[0])
            else:
                tables.append(FORMATS[format].load().read(file, name)[0])
        except CoordinateError as error:
            problems.append(str(error))
    if problems:
        raise CoordinateError(
            f"{path}: {len(problems)} of {len(block)} listed coordinate files cannot be read (paths are looked up from "
            f"the list's folder and the folders above it, then by name beside the list): {'; '.join(problems)}"
        )
    return concatenate(tables), list(dict.fromkeys(names))


def listed_files(path: str | os.PathLike) -> list[str]:
    """Return the coordinate files that a job's list names, as it names them; none if it is no list."""
    columns = read_blocks(path).get(_LIST_BLOCK, pd.DataFrame())
    return [file for file in columns.get("rlnMicrographCoordinates", ()) if isinstance(file, str)]


def _find(listed: object, listing: Path) -> Path:
    """Find a listed file: RELION's paths start at the project folder, one of those above the list."""
    if not isinstance(listed, str):
        raise CoordinateError("a row has no rlnMicrographCoordinates")
    # Last, beside the list: its folder may have been renamed or moved since.
    for place in [*(folder / listed for folder in listing.absolute().parents), listing.parent / Path(listed).name]:
        if os.path.isfile(place):
            return place
    raise CoordinateError(f"{shortened(listed)} does not exist")


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write picks as RELION's autopicker does (see `cryokit.coordinates.formats`).

    Joined files have a block ``data_particles`` with `rlnMicrographName`, for programs that import the picks of many
    micrographs at once; others are for RELION's displays and particle extraction. A micrograph without a path in
    ``options.micrographs`` is written as its name and ``.mrc``, a score of NaN as -999.
    """
    columns = {
        "rlnCoordinateX": picks["x"].to_numpy(),
        "rlnCoordinateY": picks["y"].to_numpy(),
        "rlnAutopickFigureOfMerit": picks["score"].fillna(_NO_SCORE).to_numpy(),
        # RELION's autopicker writes these dummies as well: its JoinStar needs them.
        "rlnClassNumber": np.zeros(len(picks), dtype=int),
        "rlnAnglePsi": np.zeros(len(picks)),
    }
    if options.joined:
        known = options.micrographs or {}
        paths = {name: _path_text(known.get(name, f"{name}.mrc"), path) for name in picks["micrograph"].unique()}
        columns["rlnMicrographName"] = [paths[name] for name in picks["micrograph"]]
    write_blocks(path, {"particles" if options.joined else "": pd.DataFrame(columns)}, header="# version 30001")


def write_list(
    path: str | os.PathLike,
    files: Mapping[str | os.PathLike, str | os.PathLike],
    *,
    project: str | os.PathLike = ".",
    problems: list[str] | None = None,
) -> None:
    """Write the list of a picking job (``autopick.star``), which RELION 4 and later open with all its picks.

    Parameters
    ----------
    path : path-like
        List to write, by custom ``autopick.star`` in the folder of the coordinate files.
    files : mapping of path-like to path-like
        Coordinate file of each micrograph file.
    project : path-like
        RELION's project folder, by default the working folder. Files inside are listed relative to it, others by
        their absolute paths.
    problems : list of str, optional
        List to add errors of single files to, instead of raising them; the other files are listed.

    Raises
    ------
    CoordinateError
        If a path has a character that STAR files cannot hold, unless `problems` is given.
    """

    def listed(file: str | os.PathLike) -> str:
        absolute, base = Path(file).absolute(), Path(project).absolute()
        return _path_text(absolute.relative_to(base) if absolute.is_relative_to(base) else absolute, path)

    rows = []
    for micrograph, file in files.items():
        try:
            rows.append((listed(micrograph), listed(file)))
        except CoordinateError as error:
            if problems is None:
                raise
            problems.append(str(error))
    write_blocks(path, {_LIST_BLOCK: pd.DataFrame(rows, columns=_LIST_COLUMNS, dtype=object)}, header="# version 30001")


def write_blocks(path: str | os.PathLike, blocks: Mapping[str, pd.DataFrame | dict], header: str) -> None:
    """Write blocks with starfile, whole or not at all; `header` replaces starfile's dated first line."""
    _, text = starfile.to_string(dict(blocks), float_format="%.9g", na_rep="<NA>").split("\n", 1)
    write_text(path, f"{header}\n{text}")


def _path_text(file: str | os.PathLike, path: str | os.PathLike) -> str:
    text = Path(file).as_posix()
    if not is_utf8(text):
        raise CoordinateError(f"{path}: a STAR file cannot hold the path {text!r}, which is no UTF-8; rename it")
    if re.search(r"[\s\"'#]", text):
        raise CoordinateError(
            f"{path}: a STAR file cannot hold the path {text!r} (no spaces, quotes or #); rename the file or its folder"
        )
    # A line that begins like a new block or column would be read as one.
    return f"./{text}" if text.startswith(("data_", "loop_", "_")) else text
