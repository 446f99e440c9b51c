"""Divide micrographs into training, validation and test."""

import numpy as np
from numpy.typing import NDArray

_ALL = 20_000  # largest number of divisions of which all are tried
_STARTS, _MOVES = 40, 500
# Costs of a class that is missing from a split, and from the training, and of a split without a micrograph; deviations
# from the shares cost around 1.
_ABSENT, _UNTRAINED, _EMPTY = 1e1, 1e3, 1e6


def assign(counts: NDArray[np.int64], shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Divide micrographs so that of each class every split has about its share.

    The division minimises the sum over classes and splits of ``(actual share - share asked for)^2 / share asked for``;
    a class that is absent from a split counts as much worse, from the first split (training) most of all. Of a few
    micrographs all divisions are compared; of more, single ones are moved from random divisions on as long as that
    helps, and the best outcome is taken.

    Parameters
    ----------
    counts : ndarray of int, shape (micrographs, classes)
        Number of samples; every class has at least one.
    shares : ndarray of float, shape (splits,)
        Shares asked for, the training's first; their sum is 1. No more splits than micrographs.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int, shape (micrographs,)
        Number of each micrograph's split.

    Examples
    --------
    >>> counts = np.array([[10, 0], [0, 10], [30, 30]])
    >>> assign(counts, np.array([0.75, 0.25]), np.random.default_rng(0)).tolist()[2]
    0
    """
    number, splits = len(counts), len(shares)
    weights = counts / counts.sum(axis=0)
    if splits**number <= _ALL:
        divisions = np.indices((splits,) * number).reshape(number, -1).T
        chosen = np.eye(splits)[divisions]
        actual = np.einsum("dms,mc->dcs", chosen, weights)
        return divisions[np.argmin(_cost(actual, chosen.sum(axis=1), shares))]
    quota = np.round(np.cumsum(shares) * number)
    best, lowest = np.zeros(number, np.intp), np.inf
    for _ in range(_STARTS):
        split = np.searchsorted(quota, np.arange(number), side="right").clip(0, splits - 1)[rng.permutation(number)]
        cost = np.inf
        for _ in range(_MOVES):
            chosen = np.eye(splits)[split]
            # (micrograph moved, to which split, class, split): the shares after each possible move
            change = np.eye(splits)[None] - chosen[:, None]
            actual = weights.T @ chosen + weights[:, None, :, None] * change[:, :, None]
            members = chosen.sum(axis=0) + change
            costs = _cost(actual, members, shares)
            move = np.unravel_index(np.argmin(costs), costs.shape)
            if not costs[move] < cost - 1e-12:
                break
            cost, split[move[0]] = costs[move], move[1]
        if cost < lowest - 1e-12:
            best, lowest = split, cost
    return best


def _cost(actual: NDArray, members: NDArray, shares: NDArray) -> NDArray:
    """Return the cost of divisions, from actual shares (..., class, split) and numbers of micrographs (..., split)."""
    absent = actual < 1e-9
    cost = ((actual - shares) ** 2 / shares).sum(axis=(-2, -1))
    cost += _ABSENT * absent.sum(axis=(-2, -1)) + _UNTRAINED * absent[..., 0].sum(axis=-1)
    return cost + _EMPTY * (members < 0.5).sum(axis=-1)
