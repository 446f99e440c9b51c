"""Topaz's tables: tab-separated, header ``image_name x_coord y_coord [score]``, micrographs' names without suffix.

Topaz's scores are log-likelihood ratios (the log-odds of its network's output: -6 means p = 0.0025).
`cryokit.coordinates` turns them into probabilities with the logistic function when it reads, and back when it writes,
unless told to leave them as they are. Its coordinates are those of the micrographs that it was given, downsampled ones
as a rule: scale them. Topaz itself drops the fraction of a coordinate when it trains. Diameters and views are not kept.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.names import micrograph_name
from cryokit.coordinates.picks import table, validate
from cryokit.coordinates.textfiles import numbers, read_columns, write_columns
from cryokit.errors import CoordinateError


def read(path: str | os.PathLike, micrograph: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a Topaz table; scores come as they are in the file.

    Parameters
    ----------
    path : path-like
    micrograph : str, optional
        Not used: the file names its micrographs.

    Returns
    -------
    picks : pandas.DataFrame
    micrographs : list of str
        The micrographs that have picks.

    Raises
    ------
    CoordinateError
        When a column is missing or something is no number.
    """
    columns = read_columns(path, "\t")
    missing = [name for name in ("image_name", "x_coord", "y_coord") if name not in columns]
    if missing:
        raise CoordinateError(f"{path}: no column {', '.join(missing)} (columns found: {', '.join(columns)})")
    values = {name: numbers(columns[name], path, name) for name in ("x_coord", "y_coord", "score") if name in columns}
    names = [micrograph_name(name) for name in columns["image_name"]]
    picks = table(
        np.array(names, dtype=object), x=values["x_coord"], y=values["y_coord"], score=values.get("score", np.nan)
    )
    return validate(picks, path), list(dict.fromkeys(names))


def write(path: str | os.PathLike, picks: pd.DataFrame) -> None:
    """Write picks of any number of micrographs as a Topaz table, the scores as they are in the table.

    Parameters
    ----------
    path : path-like
    picks : pandas.DataFrame
        A table of picks. Without any score the column is left out.
    """
    columns = {"image_name": picks["micrograph"], "x_coord": picks["x"], "y_coord": picks["y"]}
    if picks["score"].notna().any():
        columns["score"] = picks["score"]
    write_text(path, write_columns(columns, "\t"))
