"""Cleaning of score maps: large areas of even, high scores are ice or carbon, not particles.

DeepCryoPicker's step between scoring and non-maximum suppression (BMC Bioinformatics 21:509, 2020): neighbouring pixels
"whose prediction scores are close and both above the threshold" are connected, and a connected area "larger than a
cutoff value" is a false positive and leaves the list of candidates. The paper gives neither value.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cryokit._util.validation import check_number, check_picture

CLOSENESS = 0.1  # largest difference of neighbouring scores that belong to one area
LARGEST = 3.0  # areas of a particle that a joined area may have: two particles may touch, three in a row are rare
_ALL_AROUND = np.ones((3, 3), bool)  # pixels touch by a side or a corner


def largest_area(diameter: float, step: float = 1.0, *, particles: float = LARGEST) -> float:
    """Return the cut-off of `clean` for particles of a given diameter.

    Parameters
    ----------
    diameter : float
        Particle diameter in pixels of the picture that was scored.
    step : float
        Pixels of the picture between neighbouring scores of the map.
    particles : float
        Cut-off in areas of one particle, taken for a disc.

    Returns
    -------
    float
        Cut-off in pixels of the map.

    Raises
    ------
    ArgumentError
        If a value is not a positive number.

    Examples
    --------
    >>> round(largest_area(160, 8, particles=1))
    314
    """
    for name, value in (("diameter", diameter), ("step", step), ("particles", particles)):
        check_number(name, value, 0, above=True)
    return particles * math.pi / 4 * (diameter / step) ** 2


def clean(scores: NDArray, threshold: float, largest_area: float, *, closeness: float = CLOSENESS) -> NDArray[np.bool_]:
    """Tell which pixels of a score map are candidates once joined areas above the cut-off are gone.

    Find the peaks of the map as it is and drop those outside the mask (``find_peaks(..., allowed=clean(...))``). Were
    the scores of an area set to 0 instead, its rim, which is steeper and so not joined with it, would become a ring of
    peaks.

    Parameters
    ----------
    scores : ndarray of float, shape (rows, columns)
        Probability of a particle; NaN is no candidate.
    threshold : float
        Lowest score of a candidate.
    largest_area : float
        Largest joined area that stays, in pixels of the map (see the function `largest_area`).
    closeness : float
        Largest difference of scores at which neighbouring candidates (of the eight around a pixel) are joined. 0 joins
        only equal scores, 1 everything above the threshold that touches.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Raises
    ------
    ArgumentError
        If the map is not two-dimensional, the cut-off is not positive, or the closeness is negative.

    Examples
    --------
    >>> scores = np.zeros((4, 9)); scores[:, 5:] = 0.9; scores[1, 1:3] = 0.8
    >>> kept = clean(scores, 0.5, largest_area=10)
    >>> np.argwhere(kept).tolist()
    [[1, 1], [1, 2]]
    """
    check_number("largest_area", largest_area, 0, above=True)
    scores = _checked(scores, closeness)
    above = scores >= threshold
    # Closeness only splits: what touches and is small as a whole need not be looked at pixel by pixel.
    touching, _ = ndimage.label(above, structure=_ALL_AROUND)
    pixels = np.bincount(touching.ravel(), minlength=1)
    pixels[0] = 0
    suspects = (pixels > largest_area)[touching]
    area = _joined(scores, suspects, closeness)
    too_large = np.bincount(area.ravel(), minlength=1) > largest_area
    too_large[0] = False
    return above & ~too_large[area]


def joined_areas(scores: NDArray, threshold: float, *, closeness: float = CLOSENESS) -> NDArray[np.int32]:
    """Label the joined areas whose sizes `clean` compares with the cut-off.

    Parameters
    ----------
    scores : ndarray of float, shape (rows, columns)
        Probability of a particle.
    threshold, closeness : float
        As in `clean`.

    Returns
    -------
    ndarray of int32, shape (rows, columns)
        1, 2, ... for the areas in the order of their first pixels, 0 below the threshold.

    Raises
    ------
    ArgumentError
        If the map is not two-dimensional, or the closeness is negative.

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
    check_number("closeness", closeness, 0)
    # Differences of float32 scores would miss a closeness given in decimal digits by their rounding.
    return check_picture("scores", scores, empty=True).astype(np.float64)


def _joined(scores: NDArray, chosen: NDArray[np.bool_], closeness: float) -> NDArray[np.int32]:
    """Label the joined areas among the chosen pixels: the components of a graph of close neighbours."""
    rows, columns = scores.shape
    node = np.cumsum(chosen.ravel()).reshape(chosen.shape) - 1
    edges = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        pixels = np.s_[: rows - down, max(0, -right) : columns - max(0, right)]
        neighbours = np.s_[down:, max(0, right) : columns - max(0, -right)]
        with np.errstate(invalid="ignore"):
            close = np.abs(scores[pixels] - scores[neighbours]) <= closeness
        close &= chosen[pixels] & chosen[neighbours]
        edges.append((node[pixels][close], node[neighbours][close]))
    first, second = np.concatenate(edges, axis=1)
    nodes = int(chosen.sum())
    graph = coo_array((np.ones(first.size, bool), (first, second)), shape=(nodes, nodes))
    area = np.zeros(scores.shape, np.int32)
    if nodes:
        area[chosen] = connected_components(graph, directed=False)[1] + 1
    return area
