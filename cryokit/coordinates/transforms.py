"""Change the frame, the units or the scores of a table of picks; every function returns a new table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cryokit.errors import CoordinateError

# The largest double below 1: a probability that rounds to 1 still has finite log-odds (36.7).
_ALMOST_ONE = 1 - 2.0**-53


def flip_y(picks: pd.DataFrame, height: int | Mapping[str, int]) -> pd.DataFrame:
    """Turn the y axis around: ``y' = height - 1 - y``.

    Needed where the file counts rows from the other end than the micrograph: programs that call the bottom row the
    first one, or that turn TIFF, PNG or JPEG copies of MRC micrographs upside down. Twice gives the table back.

    Parameters
    ----------
    picks : pandas.DataFrame
        A table of picks.
    height : int or mapping of str to int
        Rows of the micrographs; a mapping gives each micrograph's own by its name.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    CoordinateError
        When a height is not positive, or a micrograph is missing from the mapping.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> flip_y(table("a", x=[5], y=[0]), 100).y.tolist()
    [99.0]
    """
    if isinstance(height, Mapping):
        unknown = sorted(set(picks["micrograph"]) - set(height))
        if unknown:
            raise CoordinateError(f"the height of micrograph {unknown[0]} is not known, so y cannot be turned around")
        for rows in height.values():
            check_height(rows)
        heights = picks["micrograph"].map(height).to_numpy(np.float64)
    else:
        check_height(height)
        heights = np.full(len(picks), height, dtype=np.float64)
    return picks.assign(y=heights - 1 - picks["y"].to_numpy())


def check_height(height: int) -> None:
    """Refuse what cannot be a micrograph's number of rows.

    Raises
    ------
    CoordinateError
    """
    if not height > 0:
        raise CoordinateError(
            f"the micrographs' height (flip_y=, --flip-y) has to be a positive number of rows, not {height}"
        )


def scale(picks: pd.DataFrame, factor: float, *, blocks: bool = False) -> pd.DataFrame:
    """Multiply centres and diameters, to go between a micrograph and a smaller copy of it.

    Parameters
    ----------
    picks : pandas.DataFrame
        A table of picks.
    factor : float
        Above 1 from the smaller copy to the larger picture; below 1 the other way.
    blocks : bool, default False
        False: the first pixels' centres coincide, as after Fourier cropping (RELION, Topaz, MotionCor):
        ``x' = factor x``. True: the pictures' corners coincide, as when blocks of pixels are averaged (IMOD, most
        image software): ``x' = factor (x + 1/2) - 1/2``. The two differ by half a pixel of the smaller copy.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    CoordinateError
        When `factor` is not a positive finite number.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> scale(table("a", x=[10], y=[0], diameter=20), 4)[["x", "y", "diameter"]].values.tolist()
    [[40.0, 0.0, 80.0]]
    >>> scale(table("a", x=[10], y=[0]), 4, blocks=True)[["x", "y"]].values.tolist()
    [[41.5, 1.5]]
    """
    check_scale(factor)
    shift = (factor - 1) / 2 if blocks else 0.0
    return picks.assign(
        x=factor * picks["x"] + shift, y=factor * picks["y"] + shift, diameter=factor * picks["diameter"]
    )


def check_scale(factor: float) -> None:
    """Refuse what cannot be a factor between two sizes of a micrograph.

    Raises
    ------
    CoordinateError
    """
    if not (np.isfinite(factor) and factor > 0):
        raise CoordinateError(f"the scale (scale=, --scale) has to be a positive number, not {factor:g}")


def probability(log_odds: np.ndarray) -> np.ndarray:
    """Turn log-odds into probabilities with the logistic function, without overflow.

    Examples
    --------
    >>> probability(np.array([-6.0, 0.0, np.inf])).round(4).tolist()
    [0.0025, 0.5, 1.0]
    """
    log_odds = np.asarray(log_odds, dtype=np.float64)
    small = np.exp(-np.abs(log_odds))  # never overflows
    return np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small))


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Turn probabilities into finite log-odds: the inverse of `probability`; 0 and 1 give about -745 and 36.7.

    Raises
    ------
    CoordinateError
        When a value lies outside [0, 1].

    Examples
    --------
    >>> log_odds(np.array([0.5, 1.0])).round(1).tolist()
    [0.0, 36.7]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    outside = p[(p < 0) | (p > 1)]
    if outside.size:
        raise CoordinateError(
            f"a score of {outside[0]:g} is no probability, so it has no log-odds; "
            "write the scores as they are (scores='raw') or turn them into probabilities first"
        )
    p = np.clip(p, np.nextafter(0, 1), _ALMOST_ONE)
    return np.log(p) - np.log1p(-p)
