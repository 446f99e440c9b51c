"""From a score map to positions: the maxima, non-maximum suppression by distance, sub-pixel refinement."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from cryokit._util.validation import check_number, check_picture
from cryokit.coordinates.suppression import nms_distance
from cryokit.errors import ArgumentError

# A `margin` in pixels of the map: a maximum in the outermost pixels may be the slope of one that lies beyond. Where
# the map reaches the edge of the micrograph, that is a particle outside it, or one that mirroring makes up.
NOT_ON_EDGE = 1.0
_ALL_AROUND = np.ones((3, 3), bool)  # pixels touch by a side or a corner


def find_peaks(
    scores: NDArray,
    min_distance: float,
    threshold: float = -np.inf,
    *,
    margin: float = 0.0,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Find the peaks of a score map at sub-pixel positions, best first.

    A peak is a maximum within a square with a side of `min_distance` x sqrt(2), at least 3 pixels; pixels beyond the
    border count as lower than every score. Its position is the top of a parabola (`refine`). A flat top no wider than
    `min_distance`, as scores that have reached 1.0 leave it, is one peak in its middle; a wider one says nothing about
    the place of a particle and is thinned. Of two peaks closer than `min_distance` the better one stays.

    Parameters
    ----------
    scores : ndarray of float, shape (rows, columns)
        Score map; NaN is never a peak.
    min_distance : float
        Smallest distance between peaks in pixels of the map, above 0.
    threshold : float
        Lowest score of a peak.
    margin : float
        Distance from the edge of the map, in pixels, within which peaks are left out: `NOT_ON_EDGE` drops maxima of the
        outermost pixels, half a diameter drops particles that the edge cuts (`inside`).
    allowed : ndarray of bool, shape (rows, columns), optional
        False where no peak may be (`cryokit.imaging.score_cleaning.clean`). Scores there still decide what a maximum
        is: the rim of an excluded area does not become one.

    Returns
    -------
    x, y : ndarray of float64, shape (n,)
        Column and row in the map, with the centre of the first pixel at 0. The highest pixel is the nearest one, except
        for a flat top.
    score : ndarray of float64, shape (n,)
        Score of the highest pixel.

    Raises
    ------
    ArgumentError
        If `min_distance` is not above 0, or the mask has another shape than the map.

    Notes
    -----
    `skimage.feature.peak_local_max` finds other peaks: it compares a pixel with a square twice as wide, so of two peaks
    that are `min_distance` apart along a diagonal it keeps one.

    Examples
    --------
    >>> scores = np.zeros((20, 30)); scores[4, 7:9] = 1; scores[10:13, 20] = 0.5, 0.9, 0.7
    >>> [values.round(2).tolist() for values in find_peaks(scores, 5, 0.5)]
    [[7.5, 20.0], [4.0, 11.17], [1.0, 0.9]]
    """
    scores = check_picture("scores", scores, empty=True)
    check_number("min_distance", min_distance, 0, above=True)
    if allowed is not None and np.shape(allowed) != scores.shape:
        raise ArgumentError(f"allowed has the shape {np.shape(allowed)}, the score map {scores.shape}")
    # A maximum within a disc is a maximum within the square inside it, which is found in constant time a pixel.
    half = max(1, int(min_distance / math.sqrt(2)))
    without_nan = np.where(np.isnan(scores), -np.inf, scores)
    highest = ndimage.maximum_filter(without_nan, size=2 * half + 1, mode="constant", cval=-np.inf)
    maxima = (scores >= highest) & np.isfinite(scores) & (scores >= threshold)
    if allowed is not None:
        maxima &= allowed
    x, y, score = _merged_flat_tops(scores, maxima, min_distance)
    within = inside(x, y, scores.shape, margin)
    x, y, score = x[within], y[within], score[within]
    # Places between pixels are rounded: what is as far apart as that, but for the rounding, stays.
    kept = nms_distance(x, y, score, max(0.0, min_distance - 1e-9))
    return x[kept], y[kept], score[kept]


def _merged_flat_tops(
    scores: NDArray, maxima: NDArray[np.bool_], widest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return x, y and score of the maxima, those that touch (and so are equally high) as one.

    A flat top wider than `widest` has, instead of a middle, one position in each square of that side.
    """
    row, column = np.nonzero(maxima)
    x, y = refine(scores, row, column)
    score = scores[row, column].astype(np.float64)
    labels, number = ndimage.label(maxima, structure=_ALL_AROUND)
    if number == len(row):
        return x, y, score
    flat = labels[row, column] - 1  # which flat top each maximum belongs to
    corners = [[(side.start, side.stop) for side in sides] for sides in ndimage.find_objects(labels)]
    top, left = np.array(corners)[..., 0].T
    extent = np.ptp(corners, axis=-1).max(axis=1)
    pixels = np.bincount(flat)
    merged = ((pixels > 1) & (extent <= widest))[flat]
    # Of the refined positions, not of the pixels: two equal pixels beside each other may still lean to one side.
    x[merged] = (np.bincount(flat, x) / pixels)[flat[merged]]
    y[merged] = (np.bincount(flat, y) / pixels)[flat[merged]]
    side = np.where(extent <= widest, extent, math.ceil(widest))[flat]
    squares = np.column_stack([flat, (row - top[flat]) // side, (column - left[flat]) // side])
    _, first = np.unique(squares, axis=0, return_index=True)
    return x[first], y[first], score[first]


def without_side_lobes(x: ArrayLike, y: ArrayLike, score: ArrayLike, distance: float, ratio: float) -> NDArray[np.intp]:
    """Leave out maxima beside far stronger ones: a correlation peak is surrounded by weaker rings of itself.

    Parameters
    ----------
    x, y, score : array_like, shape (n,)
        Positions and scores of the maxima.
    distance : float
        Reach of the side lobes, in the unit of `x` and `y`.
    ratio : float
        Ratio of scores: a maximum with another more than `ratio` times as high within `distance` is a side lobe.

    Returns
    -------
    ndarray of int
        Indices of the maxima that stay, in their order.

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
        Score map.
    row, column : ndarray of int, shape (n,)
        Local maxima; one on the border is left where it is along that axis.

    Returns
    -------
    x, y : ndarray of float64, shape (n,)
        Positions within half a pixel of `column` and `row`.
    """

    def along(axis: int, position: NDArray) -> NDArray:
        last = scores.shape[axis] - 1
        inner = (position > 0) & (position < last)
        step = np.zeros((2, 1), dtype=int)
        step[axis] = 1
        index = np.stack([row, column])
        before, after = np.where(inner, index - step, index), np.where(inner, index + step, index)
        left, middle, right = (scores[tuple(pixels)].astype(np.float64) for pixels in (before, index, after))
        curvature = left - 2 * middle + right
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = np.where(inner & (curvature < 0) & np.isfinite(curvature), 0.5 * (left - right) / curvature, 0.0)
        return position + np.clip(offset, -0.5, 0.5)

    return along(1, np.asarray(column)), along(0, np.asarray(row))


def inside(x: ArrayLike, y: ArrayLike, shape: tuple[int, int], margin: float) -> NDArray[np.bool_]:
    """Tell which positions are at least `margin` away from the edge of a picture.

    Parameters
    ----------
    x, y : array_like of float, shape (n,)
        Columns and rows, with the centre of the first pixel at 0: the edge is half a pixel further out.
    shape : tuple of int
        Rows and columns of the picture.
    margin : float
        Distance in pixels. Half a particle's diameter leaves only whole particles; a negative margin reaches beyond
        the edge.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    A particle 5 pixels across in the first pixels of a row:

    >>> inside([1.9, 2.0, 17.0, 17.1], [5, 5, 5, 5], (10, 20), 2.5).tolist()
    [False, True, True, False]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    rows, columns = shape
    low = margin - 0.5
    return (x >= low) & (y >= low) & (x <= columns - 1 - low) & (y <= rows - 1 - low)
