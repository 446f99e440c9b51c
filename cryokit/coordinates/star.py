"""RELION STAR files of picks.

Read: single-block files (RELION up to 3.0), files with optics and particle blocks (3.1 and later), and the
``autopick.star`` or ``manualpick.star`` of a job, which lists each micrograph's coordinate file (4.0 and later).
RELION's coordinates are centres in pixels of the micrograph, its figure of merit is kept as the score, whatever its
scale, and its -999 means that there is none. `rlnOriginXAngst` and its kin (shifts found by refinement) are not
applied. A column `rlnDiameter`, which some pickers add, is read as the diameter in pixels.

Written: the columns that RELION's own autopicker writes, 9 significant digits. Diameters and views are not kept.
"""

from __future__ import annotations

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
from cryokit._util.names import coordinate_file_micrograph, micrograph_name
from cryokit.coordinates.picks import concatenate, validate
from cryokit.coordinates.textfiles import read_text
from cryokit.errors import CoordinateError

NO_SCORE = -999.0
LIST_BLOCK = "coordinate_files"
_TEXT_COLUMNS = ["rlnMicrographName", "rlnMicrographCoordinates", "rlnImageName"]
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


def read(path: str | os.PathLike, micrograph: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a STAR file of picks.

    Parameters
    ----------
    path : path-like
        A STAR file of one or several micrographs, or a job's list of coordinate files.
    micrograph : str, optional
        The micrograph's name where the file does not say; by default it comes from the file's name.

    Returns
    -------
    picks : pandas.DataFrame
    micrographs : list of str
        The micrographs that the file speaks of, those without picks included where it lists them.

    Raises
    ------
    CoordinateError
        When the file is no STAR file, holds no coordinates, or lists files that are not there.
    """
    blocks = read_blocks(path)
    if LIST_BLOCK in blocks:
        return _read_listed(path, blocks[LIST_BLOCK])
    holding = [name for name, block in blocks.items() if {"rlnCoordinateX", "rlnCoordinateY"} <= set(block.columns)]
    if not holding:
        found = "; ".join(f"data_{name}: {', '.join(block.columns)}" for name, block in blocks.items())
        raise CoordinateError(f"{path}: no block has rlnCoordinateX and rlnCoordinateY (found {found})")
    if len(holding) > 1 and "particles" not in holding:
        raise CoordinateError(f"{path}: several blocks have coordinates: data_{', data_'.join(holding)}")
    block = blocks["particles" if "particles" in holding else holding[0]]
    own = micrograph or coordinate_file_micrograph(path)
    listed = "rlnMicrographName" in block.columns
    named = [micrograph_name(name) for name in block["rlnMicrographName"]] if listed else [own] * len(block)
    columns = {"micrograph": np.array(named, dtype=object), "x": block["rlnCoordinateX"], "y": block["rlnCoordinateY"]}
    for column, label in (("score", "rlnAutopickFigureOfMerit"), ("diameter", "rlnDiameter")):
        if label in block.columns:
            columns[column] = block[label]
    picks = validate(pd.DataFrame(columns), path)
    picks["score"] = picks["score"].mask(picks["score"] == NO_SCORE)
    return picks, list(dict.fromkeys(named)) if listed else [own]


def read_blocks(path: str | os.PathLike) -> dict[str, pd.DataFrame]:
    """Read every block of a STAR file as a table; a block without a loop gives one row.

    Raises
    ------
    CoordinateError
        When the file is no STAR file.
    """
    text = read_text(path)
    if not re.search(r"^\s*data_", text, re.MULTILINE):
        raise CoordinateError(f"{path}: not a STAR file (no line starts with data_)")
    # starfile takes a comment after an empty loop for the loop's data, and RELION writes a comment before every block.
    text = _COMMENT.sub("", text)
    with tempfile.TemporaryDirectory() as folder:
        cleaned = Path(folder) / "cleaned.star"
        cleaned.write_text(text, encoding="utf-8")
        try:
            blocks = starfile.read(cleaned, always_dict=True, parse_as_string=_TEXT_COLUMNS)
        except Exception as error:  # starfile lets through whatever its parser meets: ValueError, TypeError, IndexError
            raise CoordinateError(f"{path}: damaged STAR file ({' '.join(str(error).split())})") from None
        finally:
            linecache.clearcache()  # starfile reads through this cache and leaves it filled when it fails
    return {
        name: block if isinstance(block, pd.DataFrame) else pd.DataFrame({key: [value] for key, value in block.items()})
        for name, block in blocks.items()
    }


def _read_listed(path: str | os.PathLike, block: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    from cryokit.coordinates import read_named  # at call time: the package imports this module

    missing = {"rlnMicrographName", "rlnMicrographCoordinates"} - set(block.columns)
    if missing:
        raise CoordinateError(f"{path}: block data_{LIST_BLOCK} has no column {', '.join(sorted(missing))}")
    tables, names, problems = [], [], []
    for name, file in zip(block["rlnMicrographName"], block["rlnMicrographCoordinates"], strict=True):
        names.append(micrograph_name(name))
        found = _find(Path(file), Path(path))
        if found is None:
            problems.append(f"{file} is not there")
            continue
        try:
            tables.append(read_named(found, micrograph=names[-1])[0])
        except CoordinateError as error:
            problems.append(str(error))
    if problems:
        raise CoordinateError(
            f"{path}: {len(problems)} of {len(block)} listed coordinate files cannot be read "
            "(paths are looked up from the file's folder and the folders above it, then names in the file's folder): "
            + "; ".join(problems)
        )
    return concatenate(tables), list(dict.fromkeys(names))


def _find(file: Path, listing: Path) -> Path | None:
    """Find a listed file: RELION's paths start at the project folder, one of those above the list."""
    places = [folder / file for folder in listing.absolute().parents]
    # Last, beside the list: its folder may have been renamed or moved since.
    return next((place for place in [*places, listing.parent / file.name] if place.is_file()), None)


def write(
    path: str | os.PathLike,
    picks: pd.DataFrame,
    *,
    joined: bool = False,
    micrographs: Mapping[str, str | os.PathLike] | None = None,
) -> None:
    """Write picks as RELION's autopicker does.

    Parameters
    ----------
    path : path-like
        The file to write.
    picks : pandas.DataFrame
        A table of picks. A score of NaN is written as -999.
    joined : bool, default False
        False: one micrograph's file, for RELION's displays and for particle extraction. True: a block
        ``data_particles`` with `rlnMicrographName`, for programs that import the picks of many micrographs at once.
    micrographs : mapping of str to path-like, optional
        What to write as `rlnMicrographName`, by name; the name and ``.mrc`` by default.

    Raises
    ------
    CoordinateError
        When a micrograph's path has a character that STAR files cannot hold.
    """
    columns = {
        "rlnCoordinateX": picks["x"].to_numpy(),
        "rlnCoordinateY": picks["y"].to_numpy(),
        "rlnAutopickFigureOfMerit": picks["score"].fillna(NO_SCORE).to_numpy(),
        # RELION's autopicker writes these dummies as well: its JoinStar needs them.
        "rlnClassNumber": np.zeros(len(picks), dtype=int),
        "rlnAnglePsi": np.zeros(len(picks)),
    }
    if joined:
        known = micrographs or {}
        paths = {name: _path_text(known.get(name, f"{name}.mrc"), path) for name in picks["micrograph"].unique()}
        columns["rlnMicrographName"] = [paths[name] for name in picks["micrograph"]]
    write_blocks(path, {"particles" if joined else "": pd.DataFrame(columns)}, header="# version 30001")


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
        The list to write, by custom ``autopick.star`` in the folder of the coordinate files.
    files : mapping of path-like to path-like
        Micrograph file to coordinate file.
    project : path-like, default the working folder
        RELION's project folder: files inside are listed relative to it, others by their absolute path.
    problems : list of str, optional
        Where given, what is wrong with single files is added to this list, and the others are listed.

    Raises
    ------
    CoordinateError
        When a path has a character that STAR files cannot hold, unless `problems` is given.
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
    block = pd.DataFrame(rows, columns=["rlnMicrographName", "rlnMicrographCoordinates"], dtype=object)
    write_blocks(path, {LIST_BLOCK: block}, header="# version 30001")


def write_blocks(path: str | os.PathLike, blocks: Mapping[str, pd.DataFrame | dict], header: str) -> None:
    """Write blocks with starfile, whole or not at all; `header` takes the place of its dated first line."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "blocks.star"
        starfile.write(dict(blocks), temporary, float_format="%.9g", na_rep="<NA>")
        lines = temporary.read_text(encoding="utf-8").split("\n", 1)
    write_text(path, f"{header}\n{lines[1]}")


def _path_text(micrograph: str | os.PathLike, path: str | os.PathLike) -> str:
    text = Path(micrograph).as_posix()
    if re.search(r"[\s\"'#]", text) or not text:
        raise CoordinateError(
            f"{path}: {text!r} cannot stand in a STAR file (no spaces, quotes or # are allowed); rename the file or "
            "its folder"
        )
    # A line that begins like a new block or column would be read as one.
    return f"./{text}" if text.startswith(("data_", "loop_", "_")) else text
