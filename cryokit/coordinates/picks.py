"""The one table of picks that everything in cryokit passes around.

A table of picks is a pandas DataFrame with the columns `COLUMNS`, one row per particle:

========== ======= =====================================================================================
column     dtype   meaning
========== ======= =====================================================================================
micrograph object  the micrograph's name (`cryokit._util.names.micrograph_name`)
x, y       float64 centre, column and row in pixels of the micrograph as stored; the first pixel's centre is 0
score      float64 probability in [0, 1] unless a picker or reader says otherwise; NaN where there is none
diameter   float64 pixels; NaN where unknown
view       object  ``top``, ``side``, ``irregular``, ``ignore`` (labels only), ``helix start`` or ``helix end``
                   (from box files), or "" where unknown
========== ======= =====================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cryokit.errors import CoordinateError

COLUMNS = ("micrograph", "x", "y", "score", "diameter", "view")
NUMERIC = ("x", "y", "score", "diameter")
IGNORE = "ignore"


def table(
    micrograph: str | Sequence[str] = "",
    x: Sequence[float] = (),
    y: Sequence[float] = (),
    score: float | Sequence[float] = np.nan,
    diameter: float | Sequence[float] = np.nan,
    view: str | Sequence[str] = "",
) -> pd.DataFrame:
    """Make a table of picks; single values are repeated for every row.

    Parameters
    ----------
    micrograph, view : str or sequence of str, length n
    x, y : sequence of float, length n
        Centres in pixels.
    score, diameter : float or sequence of float, length n

    Returns
    -------
    pandas.DataFrame
        n rows, columns `COLUMNS` with the dtypes of this module's table.

    Raises
    ------
    CoordinateError
        When the lengths differ.

    Examples
    --------
    >>> table("a", x=[1.5, 2], y=[3, 4], diameter=76).x.tolist()
    [1.5, 2.0]
    """
    x = np.atleast_1d(np.asarray(x, dtype=np.float64))
    given = dict(micrograph=micrograph, x=x, y=y, score=score, diameter=diameter, view=view)
    columns = {}
    for name, values in given.items():
        dtype = np.float64 if name in NUMERIC else object
        try:
            columns[name] = np.broadcast_to(np.asarray(values, dtype=dtype), x.shape).copy()
        except ValueError as error:
            raise CoordinateError(f"column {name!r} does not fit {x.size} picks: {error}") from None
    # An explicit object dtype keeps names as plain str under pandas 2 and 3 alike.
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})


def validate(picks: pd.DataFrame, source: str | os.PathLike = "the table of picks") -> pd.DataFrame:
    """Return `picks` with the columns and dtypes of a table of picks; optional columns are filled in.

    Parameters
    ----------
    picks : pandas.DataFrame
        Needs at least `micrograph`, `x` and `y`. Other columns than `COLUMNS` are dropped.
    source : str or path-like
        Named in error messages.

    Returns
    -------
    pandas.DataFrame
        A new table, index 0 .. n - 1.

    Raises
    ------
    CoordinateError
        When a column is missing, a number cannot be read, or a centre is NaN or infinite.
    """
    missing = [name for name in ("micrograph", "x", "y") if name not in picks.columns]
    if missing:
        found = ", ".join(map(str, picks.columns)) or "none"
        raise CoordinateError(f"{source}: no column {', '.join(missing)} (columns found: {found})")
    columns = {}
    for name in NUMERIC:
        values = picks[name] if name in picks.columns else np.nan
        try:
            columns[name] = np.asarray(values, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise CoordinateError(f"{source}: column {name!r} holds something that is not a number ({error})") from None
    bad = np.flatnonzero(~(np.isfinite(columns["x"]) & np.isfinite(columns["y"])))
    if bad.size:
        raise CoordinateError(f"{source}: row {bad[0] + 1} of the picks has no finite centre; remove or repair it")
    view = picks["view"].fillna("").astype(str).to_numpy(object) if "view" in picks.columns else ""
    return table(micrograph=picks["micrograph"].astype(str).to_numpy(object), view=view, **columns)


def concatenate(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of picks into one, with a fresh index; no tables give an empty table."""
    tables = [picks for picks in tables if len(picks)]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)] if tables else table()
