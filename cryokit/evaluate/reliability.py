"""Whether scores are probabilities: how many of the picks with a score are particles."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError


def reliability(scores: ArrayLike, true: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Compare the scores of picks with the share of them that are particles.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Scores from 0 to 1, such as those of `Evaluation.picks` without a threshold.
    true : array_like of bool, shape (n,)
        Which picks are particles (their `outcome` is ``true``). Those that are not counted are left out beforehand.
    bins : int
        Number of bins of equal width.

    Returns
    -------
    pandas.DataFrame
        A row for each bin with picks: `low` and `high`, `picks`, the mean `score` and the share of `true` ones.

    Raises
    ------
    ArgumentError
        If scores lie outside 0 to 1, or there are not as many of both.

    Notes
    -----
    Reliability diagrams: DeGroot & Fienberg 1983, The Statistician 32:12; Guo et al. 2017, ICML 34:1321.

    Examples
    --------
    >>> table = reliability([0.05, 0.15, 0.9, 0.9, 0.9, 0.9], [False, False, True, True, True, False])
    >>> table[["score", "true", "picks"]].round(2).values.tolist()
    [[0.05, 0.0, 1.0], [0.15, 0.0, 1.0], [0.9, 0.75, 4.0]]
    >>> round(calibration_error(table), 3)
    0.133
    """
    check_number("bins", bins, 1)
    scores, true = np.asarray(scores, float), np.asarray(true, bool)
    if scores.shape != true.shape or scores.ndim != 1:
        raise ArgumentError(f"scores and true have the shapes {scores.shape} and {true.shape}; give one of each a pick")
    if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        raise ArgumentError("scores have to be from 0 to 1 to be probabilities")
    place = np.minimum((scores * bins).astype(int), bins - 1)
    table = pd.DataFrame({"score": scores, "true": true.astype(float)}).groupby(place).mean()
    table.insert(0, "low", table.index / bins)
    table.insert(1, "high", (table.index + 1) / bins)
    table.insert(2, "picks", np.bincount(place, minlength=bins)[table.index])
    return table.reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error: the mean difference of score and share of particles, weighted by picks.

    Parameters
    ----------
    table : pandas.DataFrame
        Output of `reliability`.

    Returns
    -------
    float
        From 0 to 1; NaN without picks.
    """
    if table.empty:
        return float("nan")
    return float(np.average(abs(table["score"] - table["true"]), weights=table["picks"]))
