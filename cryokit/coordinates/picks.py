"""The table of picks: how particle coordinates are passed around everywhere in cryokit.

A table of picks is a pandas DataFrame with the columns `COLUMNS` and one row per particle:

========== ======= =====================================================================================
column     dtype   meaning
========== ======= =====================================================================================
micrograph object  name of the micrograph (`cryokit._util.names.micrograph_name`)
x, y       float64 centre: column and row in pixels of the micrograph as stored; the first pixel's centre is 0
score      float64 probability from 0 to 1 unless a picker or reader says otherwise; NaN if there is none
diameter   float64 pixels; NaN if unknown
view       object  ``top``, ``side``, ``irregular``, ``ignore`` (labels only), ``helix start`` or ``helix end``
                   (box files only), or "" if unknown
========== ======= =====================================================================================
"""

import logging
import os
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cryokit._util.names import is_utf8
from cryokit._util.wording import plural, shortened, some
from cryokit.errors import ArgumentError, CoordinateError

logger = logging.getLogger(__name__)

COLUMNS = ("micrograph", "x", "y", "score", "diameter", "view")
NUMERIC = ("x", "y", "score", "diameter")
IGNORE = "ignore"
REPEATED = 0.05  # of the diameter: labels no further apart are one particle; those of real data are 0.2 apart
# What is wrong with coordinates in three dimensions.
TOMOGRAM = "holds picks of a tomogram, with a z axis, not of micrographs; use a program for tomograms"


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
        Names of the micrographs, and views of the particles.
    x, y : sequence of float, length n
        Centres in pixels of the micrograph.
    score, diameter : float or sequence of float, length n
        Scores, and diameters in pixels of the micrograph.

    Returns
    -------
    pandas.DataFrame
        n rows; columns and dtypes as described in `cryokit.coordinates.picks`.

    Raises
    ------
    ArgumentError
        If the lengths differ.

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
            raise ArgumentError(f"column {name!r} does not fit {x.size} picks: {error}") from None
    # An explicit object dtype keeps names as plain str under pandas 2 and 3 alike.
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})


def validate(picks: pd.DataFrame, source: str | os.PathLike = "the table of picks") -> pd.DataFrame:
    """Return `picks` with the columns and dtypes of a table of picks, missing optional columns filled in.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table with at least `micrograph`, `x` and `y`. Columns other than `COLUMNS` are dropped.
    source : str or path-like
        Origin of the table, for error messages.

    Returns
    -------
    pandas.DataFrame
        New table with index 0 .. n - 1.

    Raises
    ------
    CoordinateError
        If a column is missing, a value is not a number, a centre is NaN or infinite, or a micrograph's name is no text.
    """
    require_columns(picks.columns, ("micrograph", "x", "y"), source)
    columns = {}
    for name in NUMERIC:
        values = picks[name] if name in picks.columns else np.nan
        try:
            columns[name] = np.asarray(values, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise CoordinateError(
                f"{source}: column {name!r} holds something that is not a number ({shortened(str(error))})"
            ) from None
    bad = np.flatnonzero(~(np.isfinite(columns["x"]) & np.isfinite(columns["y"])))
    if bad.size:
        raise CoordinateError(f"{source}: pick {bad[0] + 1} has no finite centre; remove or repair it")
    view = picks["view"].fillna("").astype(str).to_numpy(object) if "view" in picks.columns else ""
    # One by one, since strings of pandas have to be UTF-8.
    micrograph = [str(name) for name in picks["micrograph"]]
    require_utf8(micrograph, source)
    return table(micrograph, view=view, **columns)


def require_utf8(names: Iterable[str], source: str | os.PathLike) -> None:
    """Check that the names of micrographs are text, since tables and most files hold nothing else.

    Raises
    ------
    CoordinateError
        If one is not.
    """
    for name in dict.fromkeys(names):
        if not is_utf8(name):
            raise CoordinateError(f"{source}: the micrograph's name {name!r} is no UTF-8; rename the micrograph")


def require_columns(columns: Iterable[str], needed: Iterable[str], source: str | os.PathLike) -> None:
    """Check that columns are there.

    Raises
    ------
    CoordinateError
        If one is missing; the message lists those that `source` has.
    """
    columns = [str(name) for name in columns]
    missing = [name for name in needed if name not in columns]
    if missing:
        there = shortened(", ".join(columns), 300) or "none"
        raise CoordinateError(f"{source}: no column {', '.join(missing)}; it has {there}")


def refuse_depths(z: Iterable[float], source: str | os.PathLike) -> None:
    """Check that picks are those of micrographs, which have no depth, not of a tomogram.

    Parameters
    ----------
    z : iterable of float
        Third coordinates as `source` has them; NaN where it has none. The first section for all is taken for a dummy.
    source : str or path-like
        Origin of the picks, for the message.

    Raises
    ------
    CoordinateError
        If there are several values, or one that is neither 0 nor 1.
    """
    depths = np.asarray(list(z), dtype=np.float64)
    depths = np.unique(depths[~np.isnan(depths)])
    if len(depths) > 1 or not set(depths) <= {0, 1}:
        raise CoordinateError(f"{source}: {TOMOGRAM}")


def sizes(picks: pd.DataFrame, box_size: float | None, source: str | os.PathLike) -> np.ndarray:
    """Return the size to write for each pick: `box_size`, or its own diameter.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.
    box_size : float or None
        Size of all picks in pixels.
    source : str or path-like
        File to write, for error messages.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    CoordinateError
        If a pick has no size.
    """
    result = picks["diameter"].to_numpy() if box_size is None else np.full(len(picks), box_size, dtype=np.float64)
    if not (result > 0).all():
        raise CoordinateError(f"{source}: picks without a diameter need a box size; give one (box_size=, --box-size)")
    return result


def without_repeats(labels: pd.DataFrame, source: str | os.PathLike = "the labels") -> pd.DataFrame:
    """Return labels without those that repeat a particle, with a warning that says how many there were.

    Manual pickers write a particle twice that was clicked on twice. Two labels of a micrograph are one particle if
    their centres are at most 5 % of the diameter apart: that of the larger one, which stays (the left one of equals),
    whatever the order of the rows. Rows of the view ``ignore`` are left alone.

    Parameters
    ----------
    labels : pandas.DataFrame
        Table of picks.
    source : str or path-like
        Origin of the labels, for the warning.

    Examples
    --------
    >>> without_repeats(table("a", x=[1, 1, 9], y=[2, 2, 2], diameter=40)).x.tolist()
    [1.0, 9.0]
    """
    from scipy.spatial import cKDTree  # not above: rarely needed, and slow to import

    repeats: list[int] = []
    names = []
    for name, own in labels[labels["view"] != IGNORE].groupby("micrograph", sort=False):
        own = own.sort_values(["diameter", "x", "y", "view"], ascending=[False, True, True, True], kind="stable")
        centres = own[["x", "y"]].to_numpy()
        limits = REPEATED * own["diameter"].fillna(0).to_numpy()
        dropped: set[int] = set()
        for first, second in sorted(cKDTree(centres).query_pairs(float(limits.max()))):
            if first not in dropped and np.hypot(*(centres[first] - centres[second])) <= limits[first]:
                dropped.add(second)
        if dropped:
            names.append(f"{name} ({len(dropped)})")
            repeats.extend(own.index[sorted(dropped)])
    if not repeats:
        return labels
    logger.warning(
        "%s: %d of %s repeat a particle at the same place, and count once: %s",
        source,
        len(repeats),
        plural(len(labels), "label"),
        some(names),
    )
    return labels.drop(index=repeats).reset_index(drop=True)


def concatenate(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of picks into one with a new index; no tables give an empty one."""
    tables = [picks for picks in tables if len(picks)]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)] if tables else table()
