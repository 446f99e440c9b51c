"""Paired comparison of methods on the same micrographs: whether one is better, or chance explains the difference.

Overlapping intervals do not answer this. Micrographs differ in ice, defocus and crowding far more than methods do, and
all methods get the same ones, so what matters is how their difference varies over the micrographs. Methods that draw
random numbers also vary from seed to seed, and that belongs into the interval, too.
"""

import functools
import itertools
import string
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryokit._util.wording import some
from cryokit.errors import CoordinateError
from cryokit.evaluate.metrics import INTERVAL, rates

EXACT = 2**13  # all exchanges of the two methods are tried if there are no more than this
COUNTS = ["tp", "fp", "fn"]
BOOTSTRAP = 1000  # draws at most: more change the third decimal of an interval no longer
LEVEL = 0.05  # of p, for two methods to be distinguishable


class Comparison(NamedTuple):
    """Result of `compare`.

    Attributes
    ----------
    difference : float
        F1 of the first method minus that of the second.
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


class Spread(NamedTuple):
    """Result of `spread`.

    Attributes
    ----------
    f1 : float
        F1 of the counts, averaged over the seeds.
    interval : tuple of float
        95 % bootstrap interval over micrographs and seeds; NaN with a single micrograph.
    micrographs : float
        Standard error of F1 from the choice of the micrographs; NaN with a single one.
    seeds : float
        Standard error of F1 from the choice of the seeds; NaN with a single one.
    """

    f1: float
    interval: tuple[float, float]
    micrographs: float
    seeds: float


class _Stratum(NamedTuple):
    """Counts of a method on one dataset."""

    names: tuple[str, ...]
    counts: NDArray[np.float64]  # shape (seeds, micrographs, 3)


def compare(first: pd.DataFrame, second: pd.DataFrame, *, replicates: int = 10_000, seed: int = 0) -> Comparison:
    """Compare the F1 of two methods on the same micrographs.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Columns `micrograph`, `tp`, `fp`, `fn`: counts of a method on each micrograph, one row for each micrograph. If
        there are several seeds, `seed` tells them apart; the numbers of seeds of the two may differ. If there are
        several datasets, `dataset` tells them apart: F1 is then that of each dataset, averaged over the datasets.
    replicates : int
        Number of exchanges of the permutation test, if not every one is tried, and of draws of the bootstrap, of which
        1000 are enough.
    seed : int
        Random seed of both.

    Returns
    -------
    Comparison

    Raises
    ------
    CoordinateError
        If the two are not on the same micrographs, or on none, or a micrograph has counts of some seeds only.

    Notes
    -----
    Test: if the methods were equal, their counts on a micrograph, averaged over the seeds, could be exchanged. `p` is
    the share of all exchanges with a difference at least as large as the observed one, in either direction. With up to
    13 micrographs all exchanges are tried; with more, `replicates` random ones besides the observed one (Good,
    Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005, chapter 3).

    Interval: a percentile bootstrap of two levels. Micrographs are drawn with replacement within each dataset, the same
    for both methods, and seeds for each method by itself. Of s seeds s - 1 are drawn, because the variance of s draws
    from so few would be too small by the factor (s - 1) / s (Rao and Wu, J. Am. Stat. Assoc. 83:231-241, 1988).

    Limits: n micrographs have 2^n exchanges, and the observed one always comes with its mirror image, so `p` is never
    below 2 / 2^n: 0.25 for 3 micrographs, 0.06 for 5. Whatever the methods do, such a test cannot give a p below 0.05,
    and a large `p` says nothing. The bootstrap interval of so few micrographs is too narrow. Neither covers other
    proteins; and the test does not cover other seeds, which only the interval does.

    Examples
    --------
    >>> names = [f"micrograph {i}" for i in range(6)]
    >>> good = pd.DataFrame({"micrograph": names, "tp": 9, "fp": 1, "fn": 1})
    >>> poor = pd.DataFrame({"micrograph": names, "tp": 5, "fp": 5, "fn": 5})
    >>> comparison = compare(good, poor)
    >>> round(comparison.difference, 6), comparison.p, comparison.micrographs
    (0.4, 0.03125, 6)
    """
    return _compare(_strata(first), _strata(second), replicates, seed)


def compare_all(tables: Mapping[str, pd.DataFrame], **settings: int) -> dict[tuple[str, str], Comparison]:
    """Compare every pair of methods on the same micrographs.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Counts by method, as for `compare`.
    **settings
        `replicates` and `seed` of `compare`.

    Returns
    -------
    dict of (str, str) to Comparison
        Each pair once, in the order of `tables`.
    """
    strata = {name: _strata(table) for name, table in tables.items()}
    return {
        (one, other): _compare(strata[one], strata[other], **settings)
        for one, other in itertools.combinations(strata, 2)
    }


def _compare(
    a: Mapping[str, _Stratum], b: Mapping[str, _Stratum], replicates: int = 10_000, seed: int = 0
) -> Comparison:
    names, other_names = ([(key, name) for key, part in of.items() for name in part.names] for of in (a, b))
    if names != other_names:
        unpaired = sorted({name for _, name in set(names) ^ set(other_names)})
        raise CoordinateError(
            f"a paired comparison needs both methods on the same micrographs; only one of them has {some(unpaired)}"
        )
    if not names:
        raise CoordinateError("a paired comparison needs at least one micrograph; the tables of counts are empty")
    return _compared(_hashable(a), _hashable(b), replicates, seed)


@functools.lru_cache(maxsize=8192)
def _compared(
    first: tuple[tuple[bytes, int], ...], second: tuple[tuple[bytes, int], ...], replicates: int, seed: int
) -> Comparison:
    """Compare counts by dataset; cached, because the tables of a report share many pairs."""
    a, b = ([_from_bytes(*part) for part in of] for of in (first, second))
    observed = _mean_f1([part.mean(axis=0).sum(axis=0) for part in a])
    observed -= _mean_f1([part.mean(axis=0).sum(axis=0) for part in b])
    sizes = tuple(part.shape[1] for part in a)
    bounds = (np.nan, np.nan)
    if sum(sizes) > 1 and replicates > 0:
        number = min(replicates, BOOTSTRAP)
        micrographs, rng = _drawn(sizes, number, seed), np.random.default_rng([seed, 1])
        drawn = [_mean_f1(_redrawn(of, micrographs, rng)) for of in (a, b)]
        low, high = np.percentile(drawn[0] - drawn[1], INTERVAL)
        bounds = (float(low), float(high))
    return Comparison(float(observed), bounds, _p(a, b, float(observed), replicates, seed), sum(sizes))


def spread(table: pd.DataFrame, *, replicates: int = 1000, seed: int = 0) -> Spread:
    """Return the F1 of one method with its uncertainty, and how much of it is due to micrographs and to seeds.

    Parameters
    ----------
    table, replicates, seed
        As for `compare`.

    Returns
    -------
    Spread

    Raises
    ------
    CoordinateError
        If there is no micrograph, or one has counts of some seeds only.

    Notes
    -----
    The interval is the two-level bootstrap of `compare`. For the two standard errors micrographs or seeds are drawn
    alone. Their squares add up to that of the whole if the two do not interact.
    """
    parts = [part.counts for part in _strata(table).values()]
    if not parts:
        raise CoordinateError("an interval needs at least one micrograph; the table of counts is empty")
    f1 = float(_mean_f1([part.mean(axis=0).sum(axis=0) for part in parts]))
    rng = np.random.default_rng([seed, 1])
    sizes = tuple(part.shape[1] for part in parts)
    several, reseeded = sum(sizes) > 1, any(len(part) > 1 for part in parts)
    if replicates < 1 or not (several or reseeded):
        return Spread(f1, (np.nan, np.nan), np.nan, np.nan)
    micrographs = _drawn(sizes, replicates, seed)
    all_of_them = [np.ones((replicates, n), int) for n in sizes]
    both = _mean_f1(_redrawn(parts, micrographs, rng))
    means = [part.mean(axis=0, keepdims=True) for part in parts]
    low, high = np.percentile(both, INTERVAL) if several else (np.nan, np.nan)
    return Spread(
        f1,
        (float(low), float(high)),
        float(np.std(_mean_f1(_redrawn(means, micrographs, rng)))) if several else np.nan,
        float(np.std(_mean_f1(_redrawn(parts, all_of_them, rng)))) if reseeded else np.nan,
    )


def interval(table: pd.DataFrame) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the F1 of one method, over micrographs and seeds (see `spread`).

    Parameters
    ----------
    table : pandas.DataFrame
        Counts, as for `compare`.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN with fewer than two micrographs.
    """
    return spread(table).interval


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Correct p values for their number (Holm, Scand. J. Stat. 6:65-70, 1979).

    If all hypotheses were true, the chance that any corrected p is below 0.05 is at most 0.05, however the tests depend
    on each other.

    Parameters
    ----------
    p : array_like, shape (n,)
        p values of all comparisons that were made.

    Returns
    -------
    ndarray of float, shape (n,)
        Corrected p values, in the same order.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def letters(apart: ArrayLike) -> list[str]:
    """Return a compact letter display: two methods share a letter if, and only if, they cannot be told apart.

    Parameters
    ----------
    apart : array_like of bool, shape (n, n)
        Which pairs of methods, best first, are told apart; symmetric.

    Returns
    -------
    list of str
        Letters of each method, ``a`` for those of a group with the first.

    Notes
    -----
    Every letter is a group of which no two members are told apart, and to which no other method can be added. The
    groups are chosen one pair after the other, best first, until every pair that is not told apart shares one.

    Examples
    --------
    >>> letters([[0, 0, 1], [0, 0, 0], [1, 0, 0]])
    ['a', 'ab', 'b']
    """
    together = ~np.asarray(apart, bool)
    n = len(together)
    np.fill_diagonal(together, True)
    shared = np.zeros((n, n), bool)
    marks: list[list[str]] = [[] for _ in range(n)]
    number = 0
    for i in range(n):
        for j in range(i, n):
            if not together[i, j] or shared[i, j]:
                continue
            # A method by itself gets a letter only if no pair gives it one.
            if i == j and together[i].sum() > 1:
                continue
            group = [i] if i == j else [i, j]
            for k in range(n):
                if k not in group and together[k, group].all():
                    group.append(k)
            shared[np.ix_(group, group)] = True
            for k in group:
                marks[k].append(_letter(number))
            number += 1
    return ["".join(of_method) for of_method in marks]


def _letter(number: int) -> str:
    known = string.ascii_lowercase + string.ascii_uppercase
    return known[number] if number < len(known) else f"({number + 1})"


def distinguishable(p: float, interval: tuple[float, float]) -> bool:
    """Return whether a difference is more than chance: `p` below 0.05 and 0 outside the interval.

    Parameters
    ----------
    p : float
        Two-sided p of the test; corrected, if there are several comparisons.
    interval : tuple of float
        95 % interval of the difference. If it is NaN (one micrograph), nothing is distinguishable.

    Examples
    --------
    >>> distinguishable(0.01, (0.02, 0.1)), distinguishable(0.25, (0.02, 0.1)), distinguishable(0.01, (np.nan, np.nan))
    (True, False, False)
    """
    return bool(p < LEVEL and (interval[0] > 0 or interval[1] < 0))


def least_p(micrographs: int, comparisons: int = 1) -> float:
    """Return the smallest `p`, corrected for a number of comparisons, that the test can give.

    Parameters
    ----------
    micrographs : int
        Number of micrographs.
    comparisons : int
        Number of comparisons.

    Examples
    --------
    >>> least_p(1), least_p(3), least_p(6), least_p(6, 10)
    (1.0, 0.25, 0.03125, 0.3125)
    """
    exchanges = min(2.0 ** (1 - micrographs), 1.0) if 2.0**micrographs <= EXACT else 1 / 10_001
    return min(1.0, exchanges * comparisons)


def _strata(table: pd.DataFrame) -> dict[str, _Stratum]:
    """Return the counts by dataset, names sorted."""
    datasets = table["dataset"].astype(str) if "dataset" in table else pd.Series("", table.index, dtype=str)
    strata = {}
    for key, part in table.groupby(datasets.to_numpy(), sort=True):
        names, places = np.unique(part["micrograph"].to_numpy(str), return_inverse=True)
        of_seed = part["seed"].to_numpy() if "seed" in part else np.zeros(len(part), int)
        seeds, numbers = np.unique(of_seed, return_inverse=True)
        filled = np.zeros((len(seeds), len(names)), int)
        np.add.at(filled, (numbers, places), 1)
        if (filled != 1).any():
            odd = names[(filled != 1).any(axis=0)]
            raise CoordinateError(f"counts: every micrograph needs one row for each seed; not so {some(odd.tolist())}")
        counts = np.zeros((len(seeds), len(names), len(COUNTS)))
        counts[numbers, places] = part[COUNTS].to_numpy(float)
        # The order of the seeds means nothing, so it must not change what is drawn.
        counts = counts[np.lexsort(counts.reshape(len(seeds), -1).T)]
        strata[key] = _Stratum(tuple(names.tolist()), counts)
    return strata


def _hashable(strata: dict[str, _Stratum]) -> tuple[tuple[bytes, int], ...]:
    return tuple((part.counts.tobytes(), len(part.counts)) for part in strata.values())


def _from_bytes(content: bytes, seeds: int) -> NDArray[np.float64]:
    return np.frombuffer(content).reshape(seeds, -1, len(COUNTS))


def _redrawn(
    parts: Sequence[NDArray[np.float64]], micrographs: Sequence[NDArray], rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Return the sums of the counts of each dataset for each draw of micrographs, seeds being drawn here."""
    sums = []
    for counts, drawn in zip(parts, micrographs, strict=True):
        seeds = len(counts)
        weights = np.ones((len(drawn), 1))
        if seeds > 1:
            weights = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=len(drawn)) / (seeds - 1)
        sums.append(sum(weights[:, [index]] * (drawn @ of_seed) for index, of_seed in enumerate(counts)))
    return sums


def _mean_f1(sums: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean over the datasets of the F1 of counts, shape (..., 3)."""
    return np.mean([rates(*np.moveaxis(counts, -1, 0))["f1"] for counts in sums], axis=0)


@functools.lru_cache(maxsize=16)
def _drawn(sizes: tuple[int, ...], replicates: int, seed: int) -> list[NDArray[np.int64]]:
    """Return how often each micrograph of each dataset is drawn, each of shape (replicates, micrographs)."""
    rng = np.random.default_rng(seed)
    return [rng.multinomial(n, np.full(n, 1 / n), size=replicates) for n in sizes]


@functools.lru_cache(maxsize=8)
def _exchanges(micrographs: int, replicates: int, seed: int) -> NDArray[np.int64]:
    """Return which micrographs are exchanged, shape (exchanges, micrographs): all, or as many as `replicates`."""
    if 2**micrographs <= EXACT:
        return (np.arange(2**micrographs)[:, None] >> np.arange(micrographs)) & 1
    return np.random.default_rng(seed).integers(0, 2, (replicates, micrographs))


def _p(a: Sequence[NDArray], b: Sequence[NDArray], observed: float, replicates: int, seed: int) -> float:
    n = sum(part.shape[1] for part in a)
    exchanged = _exchanges(n, replicates, seed)
    first, second, start = [], [], 0
    for one, other in zip(a, b, strict=True):
        one, other = one.mean(axis=0), other.mean(axis=0)
        moved = exchanged[:, start : start + len(one)] @ (other - one)
        first.append(one.sum(axis=0) + moved)
        second.append(other.sum(axis=0) - moved)
        start += len(one)
    # The tolerance includes what is equal but for rounding, above all the observed exchange.
    extreme = int(np.sum(np.abs(_mean_f1(first) - _mean_f1(second)) >= abs(observed) - 1e-12))
    return extreme / 2**n if 2**n <= EXACT else (extreme + 1) / (replicates + 1)
