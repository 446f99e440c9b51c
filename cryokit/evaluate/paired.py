"""Paired comparison of two methods on the same micrographs: whether one is better, or chance explains the difference.

Overlapping intervals do not answer this. Micrographs differ in ice, defocus and crowding far more than methods do, and
both methods get the same ones, so what matters is how their difference varies over the micrographs.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from cryokit._util.wording import some
from cryokit.errors import CoordinateError
from cryokit.evaluate.metrics import INTERVAL, rates

EXACT = 4096  # all exchanges of the two methods are tried if there are no more than this
COUNTS = ["tp", "fp", "fn"]
LEVEL = 0.05  # of p, for two methods to be distinguishable


class Comparison(NamedTuple):
    """Result of `compare`.

    Attributes
    ----------
    difference : float
        Pooled F1 of the first method minus that of the second.
    interval : tuple of float
        95 % bootstrap interval of the difference; NaN with a single micrograph.
    p : float
        Two-sided p of the permutation test.
    micrographs : int
        Number of micrographs compared.
    """

    difference: float
    interval: tuple[float, float]
    p: float
    micrographs: int


def compare(first: pd.DataFrame, second: pd.DataFrame, *, replicates: int = 10_000, seed: int = 0) -> Comparison:
    """Compare the pooled F1 of two methods on the same micrographs.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Columns `micrograph`, `tp`, `fp`, `fn`: counts of a method on each micrograph, one row for each micrograph and
        seed. The counts of a micrograph are averaged over the seeds, so numbers of seeds may differ.
    replicates : int
        Number of draws of the bootstrap, and of the permutation test if not every exchange is tried.
    seed : int
        Random seed of both.

    Returns
    -------
    Comparison

    Raises
    ------
    CoordinateError
        If the two are not on the same micrographs, or on none.

    Notes
    -----
    Test: if the methods were equal, their counts on a micrograph could be exchanged. `p` is the share of all exchanges
    with a difference at least as large as the observed one, in either direction. With up to 12 micrographs all
    exchanges are tried; with more, `replicates` random ones besides the observed one (Good, Permutation, Parametric and
    Bootstrap Tests of Hypotheses, 2005, chapter 3).

    Interval: micrographs are drawn with replacement, the same for both methods (percentile bootstrap).

    Limits: n micrographs have 2^n exchanges, and the observed one always comes with its mirror image, so `p` is never
    below 2 / 2^n: 0.25 for 3 micrographs, 0.06 for 5. Whatever the methods do, such a test cannot give a p below 0.05,
    and a large `p` says nothing. The bootstrap interval of so few micrographs is too narrow. Neither covers other
    proteins, or other trainings than those of the given seeds.

    Examples
    --------
    >>> names = [f"micrograph {i}" for i in range(6)]
    >>> good = pd.DataFrame({"micrograph": names, "tp": 9, "fp": 1, "fn": 1})
    >>> poor = pd.DataFrame({"micrograph": names, "tp": 5, "fp": 5, "fn": 5})
    >>> comparison = compare(good, poor)
    >>> round(comparison.difference, 6), comparison.p, comparison.micrographs
    (0.4, 0.03125, 6)
    """
    (names, a), (other_names, b) = _counts(first), _counts(second)
    if names != other_names:
        unpaired = sorted(set(names) ^ set(other_names))
        raise CoordinateError(
            f"a paired comparison needs both methods on the same micrographs; only one of them has {some(unpaired)}"
        )
    if not len(a):
        raise CoordinateError("a paired comparison needs at least one micrograph; the tables of counts are empty")
    return _compared(a.tobytes(), b.tobytes(), replicates, seed)


@functools.lru_cache(maxsize=4096)
def _compared(first: bytes, second: bytes, replicates: int, seed: int) -> Comparison:
    """Compare counts of shape (micrographs, 3); cached, because the tables of a report share many pairs."""
    a, b = (np.frombuffer(counts).reshape(-1, len(COUNTS)) for counts in (first, second))
    rng = np.random.default_rng(seed)
    observed = float(_f1(a.sum(axis=0)) - _f1(b.sum(axis=0)))
    bounds = _percentiles(np.hstack([a, b]), lambda sums: _f1(sums[:, :3]) - _f1(sums[:, 3:]), replicates, rng)
    return Comparison(observed, bounds, _p(a, b, observed, replicates, rng), len(a))


def distinguishable(p: float, interval: tuple[float, float]) -> bool:
    """Return whether a difference is more than chance: `p` below 0.05 and 0 outside the interval.

    Parameters
    ----------
    p : float
        Two-sided p of the test.
    interval : tuple of float
        95 % interval of the difference. If it is NaN (one micrograph), nothing is distinguishable.

    Examples
    --------
    >>> distinguishable(0.01, (0.02, 0.1)), distinguishable(0.25, (0.02, 0.1)), distinguishable(0.01, (np.nan, np.nan))
    (True, False, False)
    """
    return bool(p < LEVEL and (interval[0] > 0 or interval[1] < 0))


def interval(table: pd.DataFrame) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the pooled F1 of one method, with micrographs drawn with replacement.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `micrograph`, `tp`, `fp`, `fn`, as for `compare`.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN with fewer than two micrographs.
    """
    return _percentiles(_counts(table)[1], _f1, 1000, np.random.default_rng(0))


def least_p(micrographs: int) -> float:
    """Return the smallest `p` that the test can give with a number of micrographs.

    Examples
    --------
    >>> least_p(1), least_p(3), least_p(6)
    (1.0, 0.25, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - micrographs))


def _counts(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Return the sorted names of the micrographs and their mean counts over the seeds, shape (micrographs, 3)."""
    names, places, rows = np.unique(table["micrograph"].to_numpy(str), return_inverse=True, return_counts=True)
    counts = [np.bincount(places, table[name].to_numpy(float), minlength=len(names)) for name in COUNTS]
    return names.tolist(), np.stack(counts, axis=1) / rows[:, None]


def _f1(counts: np.ndarray) -> np.ndarray:
    return rates(*np.moveaxis(counts, -1, 0))["f1"]


def _p(a: np.ndarray, b: np.ndarray, observed: float, replicates: int, rng: np.random.Generator) -> float:
    n = len(a)
    exact = 2**n <= EXACT
    exchanged = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 if exact else rng.integers(0, 2, (replicates, n))
    moved = exchanged @ (b - a)
    differences = _f1(a.sum(axis=0) + moved) - _f1(b.sum(axis=0) - moved)
    # The tolerance includes what is equal but for rounding, above all the observed exchange.
    extreme = int(np.sum(np.abs(differences) >= abs(observed) - 1e-12))
    return extreme / 2**n if exact else (extreme + 1) / (replicates + 1)


def _percentiles(counts: np.ndarray, value: Callable, replicates: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the bootstrap interval of `value` of the sums of the rows of `counts`."""
    n = len(counts)
    if n < 2 or replicates < 1:
        return (np.nan, np.nan)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=replicates)
    low, high = np.percentile(value(drawn @ counts), INTERVAL)
    return (float(low), float(high))
