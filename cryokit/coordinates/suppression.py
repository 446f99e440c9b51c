"""Non-maximum suppression: of candidates that overlap, the best stays.

The third of the steps from a score map to picks (DeepCryoPicker, BMC Bioinformatics 21:509, 2020, "sorting, selecting
and repeating"): the best candidate stays, every other one that overlaps it goes, and so on with the best of the rest.
What "overlap" means is the intersection over union (IoU) of square boxes, as in the paper, or the distance of the
centres.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError

Overlap = Callable[[np.intp, NDArray[np.intp]], NDArray[np.bool_]]


def nms_distance(
    x: ArrayLike, y: ArrayLike, score: ArrayLike, distance: float, *, classes: ArrayLike | None = None
) -> NDArray[np.intp]:
    """Keep the best of candidates whose centres are closer than `distance`.

    Parameters
    ----------
    x, y, score : array_like of float, shape (n,)
        Centres and scores of the candidates.
    distance : float
        Distance in the unit of `x` and `y`. Candidates exactly so far apart both stay.
    classes : array_like, shape (n,), optional
        Class of each candidate; candidates suppress only those of their own class. One class for all by default.

    Returns
    -------
    ndarray of int
        Indices of the candidates kept, best first. Equal scores are ordered by y, then x, then class label, then
        index.

    Raises
    ------
    ArgumentError
        If lengths differ, a score is NaN, a centre is not finite, or the distance is negative.

    Examples
    --------
    >>> nms_distance([0, 1, 5], [0, 0, 0], [0.5, 0.9, 0.1], 2).tolist()
    [1, 2]
    >>> nms_distance([0, 1, 5], [0, 0, 0], [0.5, 0.9, 0.1], 2, classes=["top", "side", "side"]).tolist()
    [1, 0, 2]
    """
    check_number("distance", distance, 0)
    x, y, score, label = _checked(x, y, score, classes)

    def overlap(best: np.intp, others: NDArray[np.intp]) -> NDArray[np.bool_]:
        return np.hypot(x[best] - x[others], y[best] - y[others]) < distance

    return _greedy(x, y, score, label, distance, 2, overlap)


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
        Scores of the candidates.
    limit : float
        Highest intersection over union, in [0, 1], that two boxes that stay may have: at 0 boxes that only touch both
        stay, at 1 nothing is suppressed. The paper gives no value; of two discs at the distance of half a diameter the
        boxes have an IoU of 0.33 side by side and 0.26 on the diagonal.
    classes : array_like, shape (n,), optional
        As in `nms_distance`.

    Returns
    -------
    ndarray of int
        As `nms_distance` returns them.

    Raises
    ------
    ArgumentError
        If lengths differ, a score is NaN, a centre is not finite, a side is not positive, or the limit is outside
        [0, 1].

    Examples
    --------
    Two boxes of side 4 a pixel apart share 12 of 20 pixels:

    >>> nms_iou([0, 1], [0, 0], 4, [0.5, 0.9], limit=0.59).tolist()
    [1]
    >>> nms_iou([0, 1], [0, 0], 4, [0.5, 0.9], limit=0.6).tolist()
    [1, 0]
    """
    check_number("limit", limit, 0, 1)
    x, y, score, label = _checked(x, y, score, classes)
    side = np.asarray(box, dtype=np.float64)
    if side.ndim and side.shape != x.shape:
        raise ArgumentError(f"box has {side.size} sides for {x.size} candidates; give one for all or one for each")
    if side.size and not ((side > 0) & np.isfinite(side)).all():
        raise ArgumentError("box must be positive: one of the sides is not")
    side = np.broadcast_to(side, x.shape)

    def overlap(best: np.intp, others: NDArray[np.intp]) -> NDArray[np.bool_]:
        a, b = side[best], side[others]
        reach, shorter = (a + b) / 2, np.minimum(a, b)
        width = np.clip(reach - np.abs(x[best] - x[others]), 0, shorter)
        height = np.clip(reach - np.abs(y[best] - y[others]), 0, shorter)
        shared = width * height
        # Not divided: exact where sides and distances are whole numbers and the limit is a short fraction.
        return shared > limit * (a**2 + b**2 - shared)

    # Boxes of sides a <= b overlap by at most (a + b) / 2 - |dx| times a, which has to be above
    # limit / (1 + limit) (a^2 + b^2): solved for |dx|, the two largest boxes may lie furthest apart.
    reach = side.max(initial=0.0) * (1 - limit) / (1 + limit)
    return _greedy(x, y, score, label, reach, np.inf, overlap)


def _checked(
    x: ArrayLike, y: ArrayLike, score: ArrayLike, classes: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return the candidates as arrays of one length, classes as numbers in the order of their labels."""
    x, y, score = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (x, y, score))
    label = np.zeros(x.size, np.intp)
    if classes is not None:
        label = np.unique(np.asarray(classes), return_inverse=True)[1].reshape(-1)
    for name, values in (("y", y), ("score", score), ("classes", label)):
        if values.size != x.size:
            raise ArgumentError(f"{name} has {values.size} values for {x.size} candidates")
    if not (np.isfinite(x) & np.isfinite(y)).all():
        raise ArgumentError("x and y must be finite; leave out candidates without a centre")
    if np.isnan(score).any():
        raise ArgumentError("score must not be NaN; leave out such candidates")
    return x, y, score, label


def _greedy(
    x: NDArray, y: NDArray, score: NDArray, label: NDArray, reach: float, norm: float, overlap: Overlap
) -> NDArray[np.intp]:
    """Suppress, best first, what lies within `reach` (in the given norm) of a better candidate and overlaps it.

    Each candidate that stays asks a tree for its neighbours, if it has any: time is of the order of n log n, memory of
    the order of n, also where thousands of candidates crowd in one place and all their pairs would not fit.
    """
    order = np.lexsort((label, x, y, -score))
    points = np.column_stack([x, y])[order]
    tree = cKDTree(points)
    reach = reach * (1 + 1e-9)  # the tree rounds in its own way; `overlap` decides
    crowded = tree.query_ball_point(points, reach, p=norm, return_length=True) > 1
    stays = np.ones(order.size, bool)
    for rank in np.flatnonzero(crowded).tolist():
        if stays[rank]:
            near = np.array(tree.query_ball_point(points[rank], reach, p=norm), np.intp)
            near = near[near > rank]
            others = order[near]
            stays[near[(label[others] == label[order[rank]]) & overlap(order[rank], others)]] = False
    return order[stays]
