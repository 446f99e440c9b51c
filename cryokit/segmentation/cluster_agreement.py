"""How far two clusterings, or two masks, say the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError
from cryokit.segmentation.intensity import Clustering


def agreement(first: Clustering, second: Clustering) -> float:
    """Return the adjusted Rand index of two clusterings of one picture (Hubert and Arabie 1985).

    Of all pairs of pixels, it counts those on which the clusterings agree: together in both, or apart in both. What
    two clusterings with clusters of these sizes would agree on by chance is taken off, and the rest scaled: 1 is the
    same partition, whatever the labels are called, and 0 no more than chance. Clusterings of unequal k can be compared.

    Parameters
    ----------
    first, second : Clustering
        Of the same shape.

    Returns
    -------
    float
        At most 1; a little below 0 where they agree less than by chance.

    Raises
    ------
    PickerError
        When the shapes differ.

    Examples
    --------
    >>> labels = np.array([[0, 0], [1, 1]], dtype=np.uint8)
    >>> first, second = Clustering(labels, np.array([0.2, 0.8])), Clustering(labels.T, np.array([0.2, 0.8]))
    >>> agreement(first, first), agreement(first, second)
    (1.0, -0.5)
    """
    _same_shape(first.labels, second.labels)
    joint = np.bincount(first.labels.ravel().astype(np.intp) * second.k + second.labels.ravel())
    # Whole numbers without limit: the square of the pairs of a large micrograph does not fit into 64 bits.
    together = _pairs(joint)
    in_first = _pairs(np.bincount(first.labels.ravel()))
    in_second = _pairs(np.bincount(second.labels.ravel()))
    pairs = _pairs(np.array([first.labels.size]))
    # All in one cluster, or every pixel in its own, in both: the same partition, and nothing to adjust.
    if in_first == in_second and in_first in (0, pairs):
        return 1.0
    # (together - chance) / (mean - chance), chance = in_first * in_second / pairs, with 2 * pairs multiplied in
    return 2 * (together * pairs - in_first * in_second) / ((in_first + in_second) * pairs - 2 * in_first * in_second)


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return Dice's coefficient of two masks: twice what they share over the sum of their areas.

    Parameters
    ----------
    first, second : ndarray of bool, of the same shape

    Returns
    -------
    float
        1 for equal masks (two empty ones included), 0 for masks that share nothing. Jaccard's index, the intersection
        over the union, is ``dice / (2 - dice)``.

    Raises
    ------
    PickerError
        When the shapes differ.

    Examples
    --------
    >>> dice(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.6666666666666666
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    _same_shape(first, second)
    areas = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / areas if areas else 1.0


def _pairs(counts: NDArray) -> int:
    return sum(count * (count - 1) // 2 for count in counts.tolist())


def _same_shape(first: NDArray, second: NDArray) -> None:
    if first.shape != second.shape:
        raise PickerError(f"only clusterings of one picture can be compared, not of {first.shape} and {second.shape}")
