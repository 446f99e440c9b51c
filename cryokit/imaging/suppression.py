"""Non-maximum suppression: of candidates that overlap, the best stays.

The third of the steps from a score map to picks (DeepCryoPicker, BMC Bioinformatics 21:509, 2020, "sorting, selecting
and repeating"): the best candidate stays, every other one that overlaps it goes, and so on with the best of the rest.
What "overlap" means is the intersection over union (IoU) of square boxes, as there, or the distance of the centres.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from cryokit.errors import PickerError

# Pairs of neighbours held at a time: bounds the memory (about 50 bytes a pair) where candidates crowd.
MOST_PAIRS = 500_000

Overlap = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.bool_]]


def nms_distance(
    x: ArrayLike, y: ArrayLike, score: ArrayLike, distance: float, *, classes: ArrayLike | None = None
) -> NDArray[np.intp]:
    """Keep the best of candidates whose centres are closer than `distance`.

    Parameters
    ----------
    x, y, score : array_like of float, shape (n,)
    distance : float
        In the unit of `x` and `y`. Candidates exactly so far apart both stay.
    classes : array_like, shape (n,), optional
        Of each candidate; candidates suppress only those of their own class. One class for all by default.

    Returns
    -------
    ndarray of int
        Indices of the candidates kept, best first. Equal scores are ordered by y, then x, then class label, then
        index.

    Raises
    ------
    PickerError
        When lengths differ, a value is NaN, a centre infinite, or the distance negative.

    Notes
    -----
    The result is that of the greedy definition. Time is of the order of n log n, memory of the order of n.

    Examples
    --------
    >>> nms_distance([0, 1, 5], [0, 0, 0], [0.5, 0.9, 0.1], 2).tolist()
    [1, 2]
    >>> nms_distance([0, 1, 5], [0, 0, 0], [0.5, 0.9, 0.1], 2, classes=["top", "side", "side"]).tolist()
    [1, 0, 2]
    """
    if not distance >= 0:
        raise PickerError(f"a distance between candidates has to be 0 or more, not {distance:g}")
    x, y, score, group = _checked(x, y, score, classes)

    def overlap(one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.bool_]:
        return np.hypot(x[one] - x[other], y[one] - y[other]) < distance

    return _greedy(x, y, score, group, distance, 2, overlap)


def nms_iou(
    x: ArrayLike,
    y: ArrayLike,
    box: ArrayLike,
    score: ArrayLike,
    *,
    limit: float = 0.3,
    classes: ArrayLike | None = None,
) -> NDArray[np.intp]:
    """Keep the best of candidates whose square boxes overlap.

    Parameters
    ----------
    x, y : array_like of float, shape (n,)
        Centres of the boxes.
    box : float or array_like of float, shape (n,)
        Side of the boxes, in the unit of `x` and `y`.
    score : array_like of float, shape (n,)
    limit : float
        In [0, 1]: a box whose intersection over union with a better one that stays is above it goes; at 0 boxes that
        only touch both stay, at 1 nothing is suppressed. The paper gives no value; of two discs at the distance of
        half a diameter the boxes have an IoU of 0.33 side by side and 0.26 on the diagonal.
    classes : array_like, shape (n,), optional
        Of each candidate; candidates suppress only those of their own class. One class for all by default.

    Returns
    -------
    ndarray of int
        Indices of the candidates kept, best first. Equal scores are ordered by y, then x, then class label, then
        index.

    Raises
    ------
    PickerError
        When lengths differ, a value is NaN, a centre infinite, a side not positive, or the limit outside [0, 1].

    Examples
    --------
    Two boxes of side 4 a pixel apart share 12 of 20 pixels:

    >>> nms_iou([0, 1], [0, 0], 4, [0.5, 0.9], limit=0.59).tolist()
    [1]
    >>> nms_iou([0, 1], [0, 0], 4, [0.5, 0.9], limit=0.6).tolist()
    [1, 0]
    """
    if not 0 <= limit <= 1:
        raise PickerError(f"a limit of the intersection over union has to be between 0 and 1, not {limit:g}")
    x, y, score, group = _checked(x, y, score, classes)
    side = np.asarray(box, dtype=np.float64)
    if side.ndim and side.shape != x.shape:
        raise PickerError(f"there are {x.size} candidates but {side.size} boxes; give one side for all or one for each")
    if side.size and not ((side > 0) & np.isfinite(side)).all():
        raise PickerError("the side of a box has to be a positive number of pixels")
    side = np.broadcast_to(side, x.shape)

    def overlap(one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.bool_]:
        a, b = side[one], side[other]
        reach, shorter = (a + b) / 2, np.minimum(a, b)
        width = np.clip(reach - np.abs(x[one] - x[other]), 0, shorter)
        height = np.clip(reach - np.abs(y[one] - y[other]), 0, shorter)
        shared = width * height
        # Not divided: exact where sides and distances are whole numbers and the limit is a short fraction.
        return shared > limit * (a**2 + b**2 - shared)

    # Boxes of sides a <= b overlap by at most (a + b) / 2 - |dx| times a, which has to be above
    # limit / (1 + limit) (a^2 + b^2): solved for |dx|, the two largest boxes may lie furthest apart.
    reach = side.max(initial=0.0) * (1 - limit) / (1 + limit)
    return _greedy(x, y, score, group, reach, np.inf, overlap)


def _checked(
    x: ArrayLike, y: ArrayLike, score: ArrayLike, classes: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.intp] | None]:
    x, y, score = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (x, y, score))
    group = None if classes is None else np.unique(np.asarray(classes), return_inverse=True)[1].reshape(-1)
    lengths = [values.size for values in (x, y, score, group) if values is not None]
    if len(set(lengths)) > 1:
        raise PickerError(f"candidates need as many x as y, scores and classes, not {', '.join(map(str, lengths))}")
    if not (np.isfinite(x) & np.isfinite(y)).all() or np.isnan(score).any():
        raise PickerError("a candidate has no finite centre, or its score is NaN; leave such candidates out")
    return x, y, score, group


def _greedy(
    x: NDArray, y: NDArray, score: NDArray, group: NDArray | None, reach: float, norm: float, overlap: Overlap
) -> NDArray[np.intp]:
    """Greedy suppression among candidates no further apart than `reach` in the given norm that `overlap`.

    Candidates are settled in portions, best first: those that overlap one that stays go, the rest is settled pair by
    pair. A portion with too many pairs is halved. That costs nothing in a usual list, and where thousands of candidates
    crowd in one place, the few that stay of the first portion clear the place for all others.
    """
    order = np.lexsort((x, y, -score) if group is None else (group, x, y, -score))
    points = np.column_stack([x, y])
    if group is not None:
        # Classes laid out side by side share one tree, and none has neighbours in another.
        points[:, 0] += group * (x.max(initial=0.0) - x.min(initial=0.0) + 2 * reach + 1)
    reach = reach * (1 + 1e-9)  # the tree rounds in its own way; `overlap` decides
    kept = np.empty(0, np.intp)
    waiting = [order]
    while waiting:
        portion = waiting.pop()
        if kept.size:
            tree, older = cKDTree(points[portion]), cKDTree(points[kept])
            if portion.size > 1 and tree.count_neighbors(older, reach, p=norm) > MOST_PAIRS:
                waiting += _halves(portion)
                continue
            near = tree.sparse_distance_matrix(older, reach, p=norm, output_type="ndarray")
            blocked = near["i"][overlap(portion[near["i"]], kept[near["j"]])]
            portion = np.delete(portion, blocked)
        if portion.size > 1:
            tree = cKDTree(points[portion])
            if (tree.count_neighbors(tree, reach, p=norm) - portion.size) // 2 > MOST_PAIRS:
                waiting += _halves(portion)
                continue
            pairs = tree.query_pairs(reach, p=norm, output_type="ndarray")
            pairs = pairs[overlap(portion[pairs[:, 0]], portion[pairs[:, 1]])]
            portion = portion[_settle(portion.size, pairs)]
        kept = np.append(kept, portion)
    return kept


def _halves(portion: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Return both halves, the better one last: it is taken first."""
    middle = portion.size // 2
    return [portion[middle:], portion[:middle]]


def _settle(n: int, pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which stay of `n` candidates sorted best first, given the pairs that overlap; linear in time."""
    better, worse = pairs.min(axis=1), pairs.max(axis=1)
    rows = csr_array((np.ones(len(pairs), dtype=bool), (better, worse)), shape=(n, n))
    start, worse = rows.indptr, rows.indices
    stays = np.ones(n, dtype=bool)
    for i in np.flatnonzero(np.diff(start)).tolist():
        if stays[i]:
            stays[worse[start[i] : start[i + 1]]] = False
    return stays
