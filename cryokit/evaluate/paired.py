"""Compare two methods on the same micrographs: is one better, or could chance have made the difference.

Two intervals that overlap do not answer this. Micrographs differ in ice, defocus and crowding far more than methods do,
and both methods meet the same ones: what counts is how the difference between the two varies over the micrographs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from cryokit._util.wording import some
from cryokit.errors import CoordinateError
from cryokit.evaluate.metrics import INTERVAL, ratio

# With no more ways to exchange the two methods than this, all of them are tried.
EXACT = 4096
COUNTS = ["tp", "fp", "fn"]
LEVEL = 0.05


class Comparison(NamedTuple):
    """What `compare` found.

    Attributes
    ----------
    difference : float
        Pooled F1 of the first method minus that of the second.
    interval : tuple of float
        95 % bootstrap interval of the difference; NaN with a single micrograph.
    p : float
        Of the permutation test, two-sided.
    micrographs : int
        How many it is based on.
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
        Columns `micrograph`, `tp`, `fp`, `fn`: the counts of a method on each micrograph. A micrograph has a row for
        each seed; its counts are added up over the seeds, and divided by the number of rows where the two methods have
        different numbers of seeds.
    replicates : int
        Draws of the bootstrap, and of the permutation test where not every exchange can be tried.
    seed : int
        Seed of both.

    Returns
    -------
    Comparison

    Raises
    ------
    CoordinateError
        When the two are not on the same micrographs, or on none.

    Notes
    -----
    The test: if the methods were equal, the counts on a micrograph could as well be exchanged between them. `p` is the
    share of all exchanges that make a difference at least as large as the one that was seen, in either direction. With
    up to 12 micrographs all of them are tried; with more, `replicates` random ones and the one that was seen (Good,
    Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005, chapter 3).

    The interval: micrographs are drawn with replacement, the same for both methods (percentile bootstrap).

    What a few micrographs cannot show: of n micrographs there are 2^n exchanges, and the one seen always comes with its
    mirror image, so `p` is never below 2 / 2^n. With 3 micrographs the least is 0.25, with 5 it is 0.06: whatever the
    methods did, such a test cannot come out below 0.05, and a large `p` says nothing. The bootstrap interval of so few
    micrographs is too narrow. Neither knows about other proteins, or other trainings than those of the seeds at hand.

    Examples
    --------
    >>> names = [f"micrograph {i}" for i in range(6)]
    >>> good = pd.DataFrame({"micrograph": names, "tp": 9, "fp": 1, "fn": 1})
    >>> poor = pd.DataFrame({"micrograph": names, "tp": 5, "fp": 5, "fn": 5})
    >>> found = compare(good, poor)
    >>> round(found.difference, 6), found.p, found.micrographs
    (0.4, 0.03125, 6)
    """
    (names, a), (other_names, b) = _counts(first), _counts(second)
    if names != other_names:
        lonely = sorted(set(names) ^ set(other_names))
        raise CoordinateError(
            f"a paired comparison needs both methods on the same micrographs; only one of them has {some(lonely)}"
        )
    if not len(a):
        raise CoordinateError("a paired comparison needs at least one micrograph; there are no counts")
    return _compared(a.tobytes(), b.tobytes(), replicates, seed)


@functools.lru_cache(maxsize=4096)
def _compared(first: bytes, second: bytes, replicates: int, seed: int) -> Comparison:
    """Compare counts, shape (micrographs, 3): the tables of a report ask for the same pairs again and again."""
    a, b = (np.frombuffer(counts).reshape(-1, len(COUNTS)) for counts in (first, second))
    rng = np.random.default_rng(seed)
    observed = float(_f1(a.sum(axis=0)) - _f1(b.sum(axis=0)))
    ends = _percentiles(np.hstack([a, b]), lambda sums: _f1(sums[:, :3]) - _f1(sums[:, 3:]), replicates, rng)
    return Comparison(observed, ends, _p(a, b, observed, replicates, rng), len(a))


def distinguishable(p: float, interval: tuple[float, float] | None) -> bool:
    """Return whether both the test and the interval tell a difference from chance.

    Parameters
    ----------
    p : float
    interval : pair of float, or None
        As in `Comparison`; without an interval (one micrograph) nothing is distinguishable.

    Returns
    -------
    bool
        True when `p` is below 0.05 and the interval leaves out 0.

    Examples
    --------
    >>> distinguishable(0.01, (0.02, 0.1)), distinguishable(0.25, (0.02, 0.1)), distinguishable(0.01, None)
    (True, False, False)
    """
    if p is None or interval is None or any(end is None or np.isnan(end) for end in interval):
        return False
    return bool(p < LEVEL and (interval[0] > 0 or interval[1] < 0))


def interval(table: pd.DataFrame, *, replicates: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the pooled F1 of one method, micrographs drawn with replacement.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `micrograph`, `tp`, `fp`, `fn`, as for `compare`.
    replicates : int
    seed : int

    Returns
    -------
    tuple of float
        NaN with fewer than two micrographs.
    """
    return _percentiles(_counts(table)[1], _f1, replicates, np.random.default_rng(seed))


def least_p(micrographs: int) -> float:
    """Return the smallest `p` that the test can give with so many micrographs.

    Examples
    --------
    >>> least_p(1), least_p(3), least_p(6)
    (1.0, 0.25, 0.03125)
    """
    return min(1.0, 2.0 ** (1 - micrographs))


def _counts(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Add up over the seeds: the mean is the sum as far as F1 is concerned, and fair to unequal numbers of seeds.

    Returns the micrographs' names, sorted, and their counts, shape (micrographs, 3).
    """
    names, places, rows = np.unique(table["micrograph"].to_numpy(str), return_inverse=True, return_counts=True)
    counts = [np.bincount(places, table[name].to_numpy(float), minlength=len(names)) for name in COUNTS]
    return names.tolist(), np.stack(counts, axis=1) / rows[:, None]


def _f1(counts: np.ndarray) -> np.ndarray:
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return ratio(2 * tp, 2 * tp + fp + fn)


def _p(a: np.ndarray, b: np.ndarray, observed: float, replicates: int, rng: np.random.Generator) -> float:
    n = len(a)
    exact = 2**n <= EXACT
    exchanged = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 if exact else rng.integers(0, 2, (replicates, n))
    moved = exchanged @ (b - a)
    differences = _f1(a.sum(axis=0) + moved) - _f1(b.sum(axis=0) - moved)
    # The tolerance takes in what is equal but for rounding, the exchange that was seen above all.
    extreme = int(np.sum(np.abs(differences) >= abs(observed) - 1e-12))
    return extreme / 2**n if exact else (extreme + 1) / (replicates + 1)


def _percentiles(counts: np.ndarray, value: Callable, replicates: int, rng: np.random.Generator) -> tuple[float, float]:
    """Bootstrap `value` of the sums of the rows of `counts`."""
    n = len(counts)
    if n < 2 or replicates < 1:
        return (np.nan, np.nan)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=replicates)
    low, high = np.percentile(value(drawn @ counts), INTERVAL)
    return (float(low), float(high))
