"""Cleaning of score maps: large areas of even, high scores are ice or carbon, not particles.

DeepCryoPicker's step between scoring and non-maximum suppression (BMC Bioinformatics 21:509, 2020): neighbouring pixels
"whose prediction scores are close and both above the threshold" are connected, and a connected area "larger than a
cutoff value" is a false positive and leaves the list of candidates. The paper gives neither value.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cryokit.errors import PickerError

# Scores of neighbouring pixels that differ by no more belong to one area.
CLOSENESS = 0.1
# A joined area of so many particles' areas is none: two touching particles may join, three in a row are rare.
LARGEST = 3.0
AROUND = np.ones((3, 3), dtype=int)  # neighbours touch by a side or a corner


def largest_area(diameter: float, step: float = 1.0, *, particles: float = LARGEST) -> float:
    """Return the cut-off of `clean` for particles of a given diameter.

    Parameters
    ----------
    diameter : float
        Of a particle, in pixels of the image.
    step : float
        Pixels of the image between neighbouring scores of the map.
    particles : float
        The cut-off in areas of one particle, taken for a disc.

    Returns
    -------
    float
        Pixels of the map.

    Raises
    ------
    PickerError
        When a value is not positive.

    Examples
    --------
    >>> round(largest_area(160, 8, particles=1))
    314
    """
    if not (diameter > 0 and step > 0 and particles > 0):
        raise PickerError(
            f"a cut-off needs a positive diameter, step and number of particles, not {diameter:g}, {step:g} and "
            f"{particles:g}"
        )
    return particles * math.pi / 4 * (diameter / step) ** 2


def clean(scores: NDArray, threshold: float, largest_area: float, *, closeness: float = CLOSENESS) -> NDArray[np.bool_]:
    """Say which pixels of a score map are candidates once joined areas above the cut-off are gone.

    Peaks are found on the map as it is and those outside the mask dropped (``find_peaks(..., allowed=clean(...))``).
    Were the scores of an area set to 0 instead, its rim, which is steeper and so not joined with it, would become a
    ring of peaks.

    Parameters
    ----------
    scores : ndarray of float, shape (rows, columns)
        Probability of a particle. NaN is no candidate.
    threshold : float
        Pixels with at least this score are candidates.
    largest_area : float
        Pixels of the map; a joined area with more pixels goes. See the function `largest_area`.
    closeness : float
        Neighbouring candidates (of the eight around a pixel) whose scores differ by at most this are joined. 0 joins
        only equal scores, 1 everything above the threshold that touches.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Raises
    ------
    PickerError
        When the map is not two-dimensional, the cut-off is not positive, or the closeness is negative.

    Examples
    --------
    >>> scores = np.zeros((4, 9)); scores[:, 5:] = 0.9; scores[1, 1:3] = 0.8
    >>> kept = clean(scores, 0.5, largest_area=10)
    >>> np.argwhere(kept).tolist()
    [[1, 1], [1, 2]]
    """
    if not largest_area > 0:
        raise PickerError(f"the largest area of a particle has to be a positive number of pixels, not {largest_area:g}")
    scores = _checked(scores, closeness)
    above = scores >= threshold
    # Closeness only splits: what touches and is small as a whole need not be looked at pixel by pixel.
    touching, _ = ndimage.label(above, structure=AROUND)
    pixels = np.bincount(touching.ravel(), minlength=1)
    pixels[0] = 0
    suspects = (pixels > largest_area)[touching]
    area = _joined(scores, suspects, closeness)
    too_large = np.bincount(area.ravel(), minlength=1) > largest_area
    too_large[0] = False
    return above & ~too_large[area]


def joined_areas(scores: NDArray, threshold: float, *, closeness: float = CLOSENESS) -> NDArray[np.int32]:
    """Return the joined areas that `clean` weighs.

    Parameters
    ----------
    scores : ndarray of float, shape (rows, columns)
    threshold, closeness : float
        As in `clean`.

    Returns
    -------
    ndarray of int32, shape (rows, columns)
        1, 2, ... for the areas in the order of their first pixels, 0 below the threshold.

    Raises
    ------
    PickerError
        When the map is not two-dimensional, or the closeness is negative.

    Examples
    --------
    A row's end and the next row's start are no neighbours:

    >>> joined_areas(np.array([[0.0, 0.6, 0.9], [0.9, 0.0, 0.9]]), 0.5)
    array([[0, 1, 2],
           [3, 0, 2]], dtype=int32)
    """
    scores = _checked(scores, closeness)
    return _joined(scores, scores >= threshold, closeness)


def _checked(scores: NDArray, closeness: float) -> NDArray[np.float64]:
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise PickerError(f"a score map of one class has rows and columns, not the shape {scores.shape}")
    if not closeness >= 0:
        raise PickerError(f"the closeness of scores has to be 0 or more, not {closeness:g}")
    # Differences of float32 scores would miss a closeness given in decimal digits by their rounding.
    return scores.astype(np.float64)


def _joined(scores: NDArray, chosen: NDArray[np.bool_], closeness: float) -> NDArray[np.int32]:
    """Label the joined areas among the chosen pixels."""
    rows, columns = scores.shape
    number = np.cumsum(chosen.ravel()).reshape(chosen.shape) - 1
    first, second = [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = np.s_[: rows - down, max(0, -right) : columns - max(0, right)]
        there = np.s_[down:, max(0, right) : columns - max(0, -right)]
        with np.errstate(invalid="ignore"):
            close = chosen[here] & chosen[there] & (np.abs(scores[here] - scores[there]) <= closeness)
        first.append(number[here][close])
        second.append(number[there][close])
    first, second = np.concatenate(first), np.concatenate(second)
    n = int(chosen.sum())
    graph = coo_array((np.ones(first.size, dtype=bool), (first, second)), shape=(n, n))
    area = np.zeros(scores.shape, dtype=np.int32)
    if n:
        area[chosen] = connected_components(graph, directed=False)[1] + 1
    return area
