"""CSV files with a header line: the one format that keeps every column of the table, in full precision.

Columns ``x`` and ``y`` are needed; ``micrograph``, ``score``, ``diameter`` and ``view`` may be there, others are not
read.
Without the column ``micrograph`` (label files: ``x,y,diameter,view``) the file's name says which micrograph it is.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.names import coordinate_file_micrograph, micrograph_name
from cryokit.coordinates.picks import COLUMNS, NUMERIC, validate
from cryokit.coordinates.textfiles import numbers, read_columns, write_columns
from cryokit.errors import CoordinateError


def read(path: str | os.PathLike, micrograph: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV file of picks or labels.

    Parameters
    ----------
    path : path-like
    micrograph : str, optional
        The micrograph's name where the file does not say; by default it comes from the file's name.

    Returns
    -------
    picks : pandas.DataFrame
    micrographs : list of str
        The file's one micrograph, or those that the column ``micrograph`` names.

    Raises
    ------
    CoordinateError
        When a column is missing or something is no number.
    """
    columns = read_columns(path, ",")
    missing = [name for name in ("x", "y") if name not in columns]
    if missing:
        raise CoordinateError(f"{path}: no column {', '.join(missing)} (columns found: {', '.join(columns)})")
    read = {
        name: numbers(columns[name], path, name) if name in NUMERIC else np.array(columns[name], dtype=object)
        for name in COLUMNS
        if name in columns
    }
    if "micrograph" in read:
        read["micrograph"] = np.array([micrograph_name(name) for name in read["micrograph"]], dtype=object)
        names = list(dict.fromkeys(read["micrograph"]))
    else:
        names = [micrograph or coordinate_file_micrograph(path)]
        read["micrograph"] = np.full(len(read["x"]), names[0], dtype=object)
    return validate(pd.DataFrame(read), path), names


def write(path: str | os.PathLike, picks: pd.DataFrame, *, joined: bool = True) -> None:
    """Write picks as CSV.

    Parameters
    ----------
    path : path-like
    picks : pandas.DataFrame
        A table of picks.
    joined : bool, default True
        Write the column ``micrograph``; without it the file is one micrograph's, told by the file's name.
    """
    columns = {name: picks[name] for name in COLUMNS if joined or name != "micrograph"}
    write_text(path, write_columns(columns, ","))
