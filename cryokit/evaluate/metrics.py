"""Precision, recall, curves and their uncertainty, from counts of true and false picks.

A ratio without a denominator is 0, as in stardist: precision without picks, recall without particles.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

STEPS = 2048  # distinct scores that the bootstrap takes at a time, which bounds its memory
INTERVAL = (2.5, 97.5)  # percentiles


def ratio(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    """Return ``part / whole``, 0 where `whole` is 0."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole != 0)[()]


def rates(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> dict[str, Any]:
    """Return precision, recall, F1 and accuracy (the Jaccard index) of counts.

    Examples
    --------
    >>> {name: float(value) for name, value in rates(3, 1, 0).items()}
    {'precision': 0.75, 'recall': 1.0, 'f1': 0.8571428571428571, 'accuracy': 0.75}
    """
    tp, fp, fn = (np.asarray(count) for count in (tp, fp, fn))
    return {
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "accuracy": ratio(tp, tp + fp + fn),
    }


def curve(score: np.ndarray, true: np.ndarray, particles: int) -> pd.DataFrame:
    """Return the precision-recall curve: one row per distinct score, highest first.

    Parameters
    ----------
    score : ndarray of float, shape (n,)
        Scores of the counted picks.
    true : ndarray of bool, shape (n,)
        Whether a pick is matched to a particle.
    particles : int
        Number of particles, found or not.

    Returns
    -------
    pandas.DataFrame
        Columns `threshold`, `precision`, `recall`, `tp`, `fp`, `f1`. A row counts the picks with ``score >=
        threshold``, so picks of equal score come in together.
    """
    order = np.argsort(-score, kind="stable")
    score, true = score[order], true[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if score.size else np.empty(0, np.intp)
    tp = np.cumsum(true)[last]
    fp = last + 1 - tp
    table = pd.DataFrame({"threshold": score[last], "tp": tp, "fp": fp, **rates(tp, fp, particles - tp)})
    return table[["threshold", "precision", "recall", "tp", "fp", "f1"]]


def average_precision(curve: pd.DataFrame) -> float:
    """Return the sum of precision times gain in recall along a curve, without interpolation.

    This is `sklearn.metrics.average_precision_score` of the counted picks times the recall ceiling, because particles
    that no pick reaches stay missed at every threshold.
    """
    return float(np.sum(curve["precision"] * np.diff(curve["recall"], prepend=0.0)))


def bootstrap(
    counts: np.ndarray,
    score: np.ndarray,
    true: np.ndarray,
    micrograph: np.ndarray,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return 95 % percentile intervals of the pooled values, with micrographs drawn with replacement.

    Micrographs are drawn, not picks, because picks of one micrograph share its defocus, ice and labeller (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13).

    Parameters
    ----------
    counts : ndarray of int, shape (micrographs, 3)
        True positives, false positives and false negatives at the operating point.
    score, true : ndarray, shape (n,)
        Counted picks of all micrographs at all thresholds, as for `curve`.
    micrograph : ndarray of int, shape (n,)
        Row of each pick's micrograph in `counts`.
    replicates : int
        Number of draws.
    seed : int
        Random seed.

    Returns
    -------
    dict of str to tuple of float
        Lower and upper end for `precision`, `recall`, `f1`, `accuracy` and `average_precision`. Empty with fewer than
        two micrographs or without replicates.
    """
    n = len(counts)
    if n < 2 or replicates < 1:
        return {}
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=replicates)
    tp, fp, fn = (drawn @ counts).T
    values = rates(tp, fp, fn)
    areas = np.zeros(replicates)
    weight = drawn.T.astype(np.float32)  # counts are whole numbers, exact up to 2**24
    for picked, matched, gain in _cumulative_counts(score, true, micrograph, n):
        precision = picked @ weight
        np.divide(matched @ weight, precision, out=precision, where=precision > 0)
        areas += np.einsum("ij,ij->j", precision, gain @ weight, dtype=np.float64)
    values["average_precision"] = ratio(areas, tp + fn)
    return {name: tuple(map(float, np.percentile(value, INTERVAL))) for name, value in values.items()}


def _cumulative_counts(
    score: np.ndarray, true: np.ndarray, micrograph: np.ndarray, micrographs: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield picks and true picks down to each distinct score, and true picks at it, some scores at a time.

    Each is a float32 array of shape (scores, micrographs). Scores without true picks, which add nothing to an area, are
    left out.
    """
    step = np.unique(-score, return_inverse=True)[1]
    order = np.argsort(step, kind="stable")
    step, true, micrograph = step[order], true[order], micrograph[order]
    picked, matched = np.zeros(micrographs), np.zeros(micrographs)
    for first in range(0, step[-1] + 1 if step.size else 0, STEPS):
        part = slice(*np.searchsorted(step, [first, first + STEPS]))
        cell = (step[part] - first) * micrographs + micrograph[part]
        shape = (step[part][-1] - first + 1, micrographs)
        at_score = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
        gain = np.bincount(cell[true[part]], minlength=shape[0] * shape[1]).reshape(shape)
        down, down_true = picked + at_score.cumsum(axis=0), matched + gain.cumsum(axis=0)
        picked, matched = down[-1], down_true[-1]
        rows = gain.any(axis=1)
        yield tuple(counts[rows].astype(np.float32) for counts in (down, down_true, gain))
