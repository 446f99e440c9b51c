"""Change the frame, the units or the scores of a table of picks; every function returns a new table."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cryokit._util.validation import check_number
from cryokit.errors import CoordinateError

# The largest double below 1: a probability that rounds to 1 still has finite log-odds (36.7).
_ALMOST_ONE = 1 - 2.0**-53


def flip_y(picks: pd.DataFrame, height: int | Mapping[str, int]) -> pd.DataFrame:
    """Reverse the y axis: ``y' = height - 1 - y``.

    Needed if the file counts rows from the other end of the micrograph: some programs call the bottom row the first,
    others turn TIFF, PNG or JPEG copies of MRC micrographs upside down. Flipping twice restores the table.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.
    height : int or mapping of str to int
        Rows of the micrographs, or of each micrograph by its name.

    Returns
    -------
    pandas.DataFrame
        Table with y reversed.

    Raises
    ------
    ArgumentError
        If a height is not a positive whole number.
    CoordinateError
        If a micrograph is missing from the mapping.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> flip_y(table("a", x=[5], y=[0]), 100).y.tolist()
    [99.0]
    """
    mapped = isinstance(height, Mapping)
    for rows in height.values() if mapped else [height]:
        check_number("height", rows, 1, whole=True)
    unknown = sorted(set(picks["micrograph"]) - set(height)) if mapped else []
    if unknown:
        raise CoordinateError(f"the height of micrograph {unknown[0]} is unknown, so y cannot be flipped")
    heights = picks["micrograph"].map(height).to_numpy(np.float64) if mapped else height
    return picks.assign(y=heights - 1 - picks["y"].to_numpy())


def swap_xy(picks: pd.DataFrame) -> pd.DataFrame:
    """Exchange x and y, for tables that have the row before the column; doing it twice restores the table.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.

    Returns
    -------
    pandas.DataFrame
        Table with x and y exchanged.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> swap_xy(table("a", x=[5], y=[7]))[["x", "y"]].values.tolist()
    [[7.0, 5.0]]
    """
    return picks.assign(x=picks["y"], y=picks["x"])


def scale(picks: pd.DataFrame, factor: float, *, blocks: bool = False) -> pd.DataFrame:
    """Multiply centres and diameters, to convert between a micrograph and a smaller copy of it.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.
    factor : float
        Scale; above 1 from the smaller copy to the larger picture.
    blocks : bool
        How the smaller copy was made. False: by Fourier cropping (RELION, Topaz, MotionCor), where the centres of the
        first pixels coincide: ``x' = factor x``. True: by averaging blocks of pixels (IMOD, most image software), where
        the corners of the pictures coincide: ``x' = factor (x + 1/2) - 1/2``. The two differ by half a pixel of the
        smaller copy.

    Returns
    -------
    pandas.DataFrame
        Table with x, y and diameter scaled.

    Raises
    ------
    ArgumentError
        If `factor` is not a positive number.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> scale(table("a", x=[10], y=[0], diameter=20), 4)[["x", "y", "diameter"]].values.tolist()
    [[40.0, 0.0, 80.0]]
    >>> scale(table("a", x=[10], y=[0]), 4, blocks=True)[["x", "y"]].values.tolist()
    [[41.5, 1.5]]
    """
    check_number("factor", factor, 0, above=True)
    shift = (factor - 1) / 2 if blocks else 0.0
    return picks.assign(
        x=factor * picks["x"] + shift, y=factor * picks["y"] + shift, diameter=factor * picks["diameter"]
    )


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Convert probabilities to finite log-odds, the inverse of the logistic function; 0 and 1 give about -745 and 36.7.

    Raises
    ------
    CoordinateError
        If a value lies outside 0 to 1.

    Examples
    --------
    >>> log_odds(np.array([0.5, 1.0])).round(1).tolist()
    [0.0, 36.7]
    """
    from scipy.special import logit  # not above: rarely needed, and slow to import

    p = np.asarray(probabilities, dtype=np.float64)
    outside = p[(p < 0) | (p > 1)]
    if outside.size:
        raise CoordinateError(
            f"a score of {outside[0]:g} is not a probability and has no log-odds; write scores as they are "
            "(scores='raw', --scores-out raw) or convert them to probabilities first"
        )
    return logit(np.clip(p, np.nextafter(0, 1), _ALMOST_ONE))
