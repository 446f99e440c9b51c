"""From a score map to positions: local maxima, non-maximum suppression by distance, sub-pixel refinement."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import cKDTree


def local_maxima(scores: NDArray, distance: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the maxima of a score map that are at least `distance` apart, best first.

    Neighbours are sought in two dimensions, so a maximum at the end of a row never suppresses one at the start of the
    next, and pixels beyond the border count as lower than every score. The result does not depend on chance: of
    equal scores the one with the lower row, then the lower column, wins.

    Parameters
    ----------
    scores : ndarray, shape (rows, columns)
        NaN is never a maximum.
    distance : float
        Pixels; of two maxima closer than this only the better one stays.

    Returns
    -------
    row, column : ndarray of int, shape (n,)

    Examples
    --------
    >>> scores = np.zeros((4, 6)); scores[2, 5] = 2; scores[3, 0] = 1
    >>> rows, columns = local_maxima(scores, 3)
    >>> (2, 5) in zip(rows, columns), (3, 0) in zip(rows, columns)
    (True, True)
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    # A maximum within a disc is a maximum within the square inside that disc, which is found in constant time a pixel.
    half = max(1, int(distance / np.sqrt(2)))
    highest = ndimage.maximum_filter(scores, size=2 * half + 1, mode="constant", cval=-np.inf)
    row, column = np.nonzero((scores >= highest) & np.isfinite(scores))
    # Row by row as they come, a stable sort keeps the order of equal scores.
    order = np.argsort(-scores[row, column], kind="stable")
    row, column = row[order], column[order]
    kept = _apart(row, column, scores.shape, distance)
    return row[kept], column[kept]


def _apart(row: NDArray, column: NDArray, shape: tuple[int, int], distance: float) -> NDArray[np.intp]:
    """Greedy suppression of pixels sorted best first.

    Painting discs instead of pairing points: a large plateau has as many maxima as pixels, and each has as many
    neighbours as the disc has pixels.
    """
    reach = min(max(0, math.ceil(distance) - 1), max(shape))
    offset = np.arange(-reach, reach + 1)
    disc = np.hypot(offset[:, None], offset[None, :]) < distance
    taken = np.zeros((shape[0] + 2 * reach, shape[1] + 2 * reach), dtype=bool)
    kept = []
    for index, (i, j) in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        if not taken[i + reach, j + reach]:
            kept.append(index)
            taken[i : i + 2 * reach + 1, j : j + 2 * reach + 1] |= disc
    return np.array(kept, dtype=np.intp)


def suppress(x: ArrayLike, y: ArrayLike, score: ArrayLike, distance: float) -> NDArray[np.intp]:
    """Non-maximum suppression by the distance of centres.

    Greedy: the best pick stays, every other one closer than `distance` to it goes, and so on with the best of the
    rest. Ties go to the lower y, then the lower x, then the earlier row.

    Parameters
    ----------
    x, y, score : array_like, shape (n,)
    distance : float

    Returns
    -------
    ndarray of int
        The indices that stay, best first.

    Examples
    --------
    >>> suppress([0, 1, 5], [0, 0, 0], [0.5, 0.9, 0.1], 2).tolist()
    [1, 2]
    """
    x, y, score = (np.asarray(values, dtype=np.float64) for values in (x, y, score))
    order = np.lexsort((np.arange(x.size), x, y, -score))
    if x.size < 2:
        return order
    points = np.column_stack([x, y])[order]
    # `<` not `<=`: picks exactly `distance` apart both stay.
    pairs = cKDTree(points).query_pairs(np.nextafter(distance, 0), output_type="ndarray")
    better, worse = pairs.min(axis=1), pairs.max(axis=1)
    state = np.zeros(x.size, dtype=np.int8)  # 0 open, 1 stays, -1 goes
    while len(better):
        # A point stays once no open point that is better lies near it. Each round settles all such points at once.
        blocked = np.zeros(x.size, dtype=bool)
        blocked[worse] = True
        state[(state == 0) & ~blocked] = 1
        state[worse[state[better] == 1]] = -1
        open_pairs = (state[better] == 0) & (state[worse] == 0)
        better, worse = better[open_pairs], worse[open_pairs]
    state[state == 0] = 1
    return order[state == 1]


def without_side_lobes(x: ArrayLike, y: ArrayLike, score: ArrayLike, distance: float, ratio: float) -> NDArray[np.intp]:
    """Leave out maxima beside far stronger ones: a correlation peak is surrounded by weaker rings of itself.

    Parameters
    ----------
    x, y, score : array_like, shape (n,)
    distance : float
        How far side lobes reach.
    ratio : float
        A maximum with one more than `ratio` times as high within `distance` is a side lobe.

    Returns
    -------
    ndarray of int
        The indices that stay, in their order.

    Examples
    --------
    >>> without_side_lobes([0, 3, 9], [0, 0, 0], [0.9, 0.2, 0.2], 5, ratio=3).tolist()
    [0, 2]
    """
    x, y, score = (np.asarray(values, dtype=np.float64) for values in (x, y, score))
    stays = np.ones(x.size, dtype=bool)
    if x.size > 1:
        pairs = cKDTree(np.column_stack([x, y])).query_pairs(distance, output_type="ndarray")
        weaker = np.where(score[pairs[:, 0]] < score[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
        stronger = pairs.sum(axis=1) - weaker
        stays[weaker[score[stronger] > ratio * score[weaker]]] = False
    return np.flatnonzero(stays)


def refine(scores: NDArray, row: NDArray, column: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sub-pixel positions of maxima: the top of a parabola through three scores, along each axis.

    Parameters
    ----------
    scores : ndarray, shape (rows, columns)
    row, column : ndarray of int, shape (n,)
        Local maxima; one on the border is left where it is along that axis.

    Returns
    -------
    x, y : ndarray of float64, shape (n,)
        Within half a pixel of `column` and `row`.
    """

    def along(axis: int, position: NDArray) -> NDArray:
        last = scores.shape[axis] - 1
        inner = (position > 0) & (position < last)
        step = np.zeros((2, 1), dtype=int)
        step[axis] = 1
        index = np.stack([row, column])
        before, after = np.where(inner, index - step, index), np.where(inner, index + step, index)
        left, middle, right = (scores[tuple(where)].astype(np.float64) for where in (before, index, after))
        curvature = left - 2 * middle + right
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = np.where(inner & (curvature < 0), 0.5 * (left - right) / curvature, 0.0)
        return position + np.clip(offset, -0.5, 0.5)

    return along(1, np.asarray(column)), along(0, np.asarray(row))
