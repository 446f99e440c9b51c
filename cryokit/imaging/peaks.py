"""From a score map to positions: local maxima, non-maximum suppression by distance, sub-pixel refinement."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from cryokit.errors import PickerError
from cryokit.imaging.suppression import nms_distance

# As a `margin`, in pixels of the map: a maximum of the outermost pixels may be the slope of one that lies beyond. Where
# the map reaches the micrograph's edge that is a particle outside of it, or one that mirroring makes up.
NOT_ON_EDGE = 1.0


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
    row, column = np.nonzero(_window_maxima(scores, distance))
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
    """Non-maximum suppression by the distance of centres, of one class (`cryokit.imaging.suppression.nms_distance`).

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
    return nms_distance(x, y, score, distance)


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


def find_peaks(
    scores: NDArray,
    min_distance: float,
    threshold: float = -np.inf,
    *,
    margin: float = 0.0,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the peaks of a score map, their positions between the pixels, best first.

    A peak is a maximum within a square of the side `min_distance` x sqrt(2) (at least 3 pixels). Its position is the
    top of a parabola (`refine`); that of a flat top no wider than `min_distance`, as scores that have reached 1.0
    leave it, is the middle of the flat. Of two peaks closer than `min_distance` the better one stays.

    Parameters
    ----------
    scores : ndarray of float, shape (rows, columns)
        NaN is never a peak.
    min_distance : float
        Pixels of the map, above 0.
    threshold : float
        Lowest score of a peak.
    margin : float
        Pixels of the map: a peak less than this from the map's edge is left out, with `NOT_ON_EDGE` maxima of the
        outermost pixels, with half a diameter the particles that the edge cuts (`inside`).
    allowed : ndarray of bool, shape (rows, columns), optional
        False where no peak may be, as `cryokit.imaging.score_cleaning.clean` says. Scores there still decide what a
        maximum is: the rim of an excluded area does not become one.

    Returns
    -------
    x, y, score : ndarray of float64, shape (n,)
        Column and row in the map, first pixel's centre = 0, and the score of the highest pixel.

    Raises
    ------
    PickerError
        When `min_distance` is not above 0, or the mask has another shape than the map.

    Examples
    --------
    >>> scores = np.zeros((20, 30)); scores[4, 7:9] = 1; scores[10:13, 20] = 0.5, 0.9, 0.7
    >>> [values.round(2).tolist() for values in find_peaks(scores, 5, 0.5)]
    [[7.5, 20.0], [4.0, 11.17], [1.0, 0.9]]
    """
    scores = np.asarray(scores)
    if not min_distance > 0:
        raise PickerError(f"the distance between peaks has to be above 0, not {min_distance:g}")
    if allowed is not None and np.shape(allowed) != scores.shape:
        raise PickerError(f"the mask of allowed pixels has the shape {np.shape(allowed)}, the map {scores.shape}")
    maxima = _window_maxima(scores, min_distance) & (scores >= threshold)
    if allowed is not None:
        maxima &= allowed
    row, column = np.nonzero(maxima)
    x, y = refine(scores, row, column)
    score = scores[row, column].astype(np.float64)
    x, y, score = _without_plateaus(maxima, x, y, score, min_distance)
    within = inside(x, y, scores.shape, margin)
    x, y, score = x[within], y[within], score[within]
    kept = nms_distance(x, y, score, min_distance)
    return x[kept], y[kept], score[kept]


def inside(x: ArrayLike, y: ArrayLike, shape: tuple[int, int], margin: float) -> NDArray[np.bool_]:
    """Say which positions are at least `margin` away from the edge of an image.

    Parameters
    ----------
    x, y : array_like of float, shape (n,)
        First pixel's centre = 0: the edge is half a pixel further out.
    shape : tuple of int
        Rows and columns of the image.
    margin : float
        Pixels. Half a particle's diameter leaves only whole particles; negative values reach beyond the edge.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    A particle of 5 pixels across the first pixels of a row:

    >>> inside([1.9, 2.0, 17.0, 17.1], [5, 5, 5, 5], (10, 20), 2.5).tolist()
    [False, True, True, False]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    rows, columns = shape
    low = margin - 0.5
    return (x >= low) & (y >= low) & (x <= columns - 1 - low) & (y <= rows - 1 - low)


def _window_maxima(scores: NDArray, distance: float) -> NDArray[np.bool_]:
    """Say which pixels are as high as all within the square inside a disc of the radius `distance`."""
    # A maximum within a disc is a maximum within the square inside it, which is found in constant time a pixel.
    half = max(1, int(distance / np.sqrt(2)))
    scores = np.where(np.isnan(scores), -np.inf, scores)
    highest = ndimage.maximum_filter(scores, size=2 * half + 1, mode="constant", cval=-np.inf)
    return (scores >= highest) & np.isfinite(scores)


def _without_plateaus(
    maxima: NDArray[np.bool_], x: NDArray, y: NDArray, score: NDArray, widest: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Replace the maxima of each flat top by one in its middle; `x`, `y` and `score` are in the order of the pixels.

    Maxima that touch are equally high. A flat wider than `widest` says nothing about one particle's place: of its
    pixels, of which there may be very many, those `widest` apart stay.
    """
    plateau, count = ndimage.label(maxima, structure=np.ones((3, 3), dtype=int))
    if count == x.size:
        return x, y, score
    extent = [max(part.stop - part.start for part in place) for place in ndimage.find_objects(plateau)]
    pixels = np.bincount(plateau[maxima], minlength=count + 1)[1:]
    flat = (pixels > 1) & (np.array(extent) <= widest)
    of_flat = flat[plateau[maxima] - 1]
    middle = np.array(ndimage.center_of_mass(maxima, plateau, np.flatnonzero(flat) + 1)).reshape(-1, 2)
    first = np.unique(plateau[maxima], return_index=True)[1][flat]
    single = pixels[plateau[maxima] - 1] == 1
    wide = np.flatnonzero(~of_flat & ~single)
    wide = wide[np.argsort(-score[wide], kind="stable")]
    row, column = np.nonzero(maxima)
    rest = np.append(np.flatnonzero(single), wide[_apart(row[wide], column[wide], maxima.shape, widest)])
    return (
        np.append(x[rest], middle[:, 1]),
        np.append(y[rest], middle[:, 0]),
        np.append(score[rest], score[first]),
    )
