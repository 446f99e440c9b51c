"""What a comparison would have said of fewer micrographs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd

from cryokit.benchmark import summary
from cryokit.benchmark.summary import Result
from cryokit.evaluate.metrics import rates
from cryokit.evaluate.paired import COUNTS

CHOICES = 300  # of micrographs that are tried, if there are more


def turned_around(result: Result, dataset: str, sizes: Sequence[int], *, seed: int = 0) -> pd.DataFrame:
    """Return how often fewer micrographs put two neighbours of a table the other way round.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    dataset : str
        Name of the dataset.
    sizes : sequence of int
        Numbers of micrographs. All choices of so many are tried, or `CHOICES` random ones.
    seed : int
        Random seed of the choices.

    Returns
    -------
    pandas.DataFrame
        A row for each pair of neighbours in the order of F1, a column for each number: the share of the choices for
        which the second has the higher pooled F1.
    """
    scored = summary.scored(result, dataset)
    counts = {}
    for method in scored["method"]:
        table = summary.per_micrograph(result, dataset, method)
        counts[method] = table.groupby("micrograph")[list(COUNTS)].mean()
    names = next(iter(counts.values())).index
    rng, rows = np.random.default_rng(seed), {}
    choices = {size: _choices(len(names), size, rng) for size in sizes}
    for above, under in zip(scored["method"], scored["method"][1:], strict=False):
        pair = [counts[method].loc[names].to_numpy() for method in (above, under)]
        title = f"{summary.title(result, above)} > {summary.title(result, under)}"
        rows[title] = {}
        for size, which in choices.items():
            first, second = (rates(*each[which].sum(axis=1).T)["f1"] for each in pair)
            rows[title][size] = float((first < second).mean())
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(sizes))


def _choices(number: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return choices of places, shape (choices, size)."""
    if comb(number, size) <= CHOICES:
        return np.array(list(combinations(range(number), size)))
    return np.array([rng.choice(number, size, replace=False) for _ in range(CHOICES)])
