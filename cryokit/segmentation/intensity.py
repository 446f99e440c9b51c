"""Clusters of grey values: intensity-based clustering, k-means and fuzzy c-means.

All three know nothing of a pixel but its grey value, so a clustering is k centres and the rule that a pixel belongs to
the nearest one (of two equally near to the darker one). They differ in where they put the centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import MicrographError, PickerError

BINS = 1024  # of the histogram that k-means and fuzzy c-means work on
STARTS = 10  # of k-means; the best result is kept
ROUNDS = 300  # at most; either iteration needs a few dozen
MOVEMENT = 1e-6  # of the range of grey values: fuzzy c-means stops when every centre moves by less
MOST = 255  # clusters: their labels are stored as uint8


@dataclass(frozen=True)
class Clustering:
    """Which cluster every pixel belongs to.

    Attributes
    ----------
    labels : ndarray of uint8, shape (rows, columns)
        0 is the darkest cluster, k - 1 the brightest.
    centres : ndarray of float64, shape (k,)
        The clusters' grey values, increasing. Where a picture has fewer different grey values than clusters were asked
        for, the last centre is repeated, and the clusters of its repetitions are empty.
    """

    labels: NDArray[np.uint8]
    centres: NDArray[np.float64]

    @property
    def k(self) -> int:
        """Number of clusters, the empty ones included."""
        return len(self.centres)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Fraction of the pixels in every cluster, shape (k,)."""
        return np.bincount(self.labels.ravel(), minlength=self.k) / max(self.labels.size, 1)


def ibc(image: NDArray, k: int = 4) -> Clustering:
    """Intensity-based clustering of AutoCryoPicker: k equal steps over the range of grey values, one pass.

    The centres are ``min + i (max - min) / k`` for i = 1 ... k: one step above the darkest grey value, two steps, ...,
    the brightest. Because no centre lies at the darkest value, the darkest cluster is one and a half steps wide, the
    brightest half a step and all others one; which is why the darkest alone is a usable particle mask.

    The published code counts its steps from 0 and not from the darkest grey value. For pictures whose darkest value is
    0, as `mat2gray` makes them, that is the same; for others it has clusters that it never uses. Counted from the
    darkest value, the labels do not depend on the picture's brightness and contrast.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Particles dark, grey values finite.
    k : int
        Clusters, 2 to 255: 4 in AutoCryoPicker, 5 in SuperCryoEMPicker.

    Returns
    -------
    Clustering
        Clusters may be empty; all pixels of a constant picture are in cluster 0. A pixel midway between two centres
        belongs to the darker one.

    Raises
    ------
    MicrographError
        When `image` is no two-dimensional array of finite numbers.
    PickerError
        When `k` is out of range.

    References
    ----------
    Al-Azzawi et al. (2019), BMC Bioinformatics 20:326.

    Examples
    --------
    >>> clustering = ibc(np.array([[0.0, 1.4, 1.6, 2.4], [2.6, 3.4, 3.6, 4.0]]))
    >>> clustering.centres
    array([1., 2., 3., 4.])
    >>> clustering.labels
    array([[0, 0, 1, 1],
           [2, 2, 3, 3]], dtype=uint8)
    """
    image = checked(image, k)
    low, high = float(image.min()), float(image.max())
    return nearest(image, low + (high - low) * (np.arange(k) + 1.0) / k)


def kmeans(image: NDArray, k: int = 4, seed: int = 0) -> Clustering:
    """k-means of the grey values (Lloyd 1982): centres with the least sum of squared distances of their pixels.

    Works on a histogram of 1024 bins, each standing for all its pixels by their mean. That makes a micrograph as fast
    as a thumbnail and leaves out only differences within one bin: a pixel's grey value is off by less than a thousandth
    of the picture's range while the centres are sought. Every pixel then joins the centre nearest to its own value.

    Lloyd's iteration finds the optimum nearest to its start. So it runs from 10 starts, drawn by k-means++ (Arthur and
    Vassilvitskii 2007), until nothing changes, and the best result is kept.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Grey values finite.
    k : int
        Clusters, 2 to 255.
    seed : int
        Of the starts; same seed, same result.

    Returns
    -------
    Clustering

    Raises
    ------
    MicrographError
        When `image` is no two-dimensional array of finite numbers.
    PickerError
        When `k` is out of range.

    Examples
    --------
    >>> clustering = kmeans(np.array([[0.0, 0.2, 5.0], [5.2, 9.0, 9.2]]), k=3)
    >>> clustering.centres
    array([0.1, 5.1, 9.1])
    >>> clustering.labels
    array([[0, 0, 1],
           [1, 2, 2]], dtype=uint8)
    """
    image = checked(image, k)
    values, counts = histogram(image)
    return nearest(image, lloyd(values, counts, k, np.random.default_rng(seed)))


def fuzzy_cmeans(image: NDArray, k: int = 4, m: float = 2.0, seed: int = 0) -> Clustering:
    """Fuzzy c-means of the grey values (Bezdek 1981): every pixel belongs to every cluster, to a degree.

    Two equations, in turn until no centre moves by more than a millionth of the range of grey values. With the distance
    d[i, j] of grey value j from centre i, the memberships are ``u[i, j] = 1 / sum over l of (d[i, j] / d[l, j]) **
    (2 / (m - 1))`` and the centres are the means of the grey values weighted by ``u ** m``. The labels are hard: the
    cluster of highest membership, which is that of the nearest centre.

    Works on the histogram of 1024 bins, as `kmeans` does and with the same error, and starts from the centres that
    `kmeans` finds.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Grey values finite.
    k : int
        Clusters, 2 to 255.
    m : float
        Fuzziness, above 1: close to 1 it is k-means, and the larger, the more the clusters blend. 2 in AutoCryoPicker
        and nearly everywhere.
    seed : int
        Of the starts of k-means; same seed, same result.

    Returns
    -------
    Clustering

    Raises
    ------
    MicrographError
        When `image` is no two-dimensional array of finite numbers.
    PickerError
        When `k` is out of range or `m` is not above 1.

    Examples
    --------
    >>> image = np.array([[0.0, 0.2, 5.0], [5.2, 9.0, 9.2]])
    >>> bool(np.abs(fuzzy_cmeans(image, k=3).centres - [0.1, 5.1, 9.1]).max() < 0.02)
    True
    """
    image = checked(image, k)
    if not (np.isfinite(m) and m > 1):
        raise PickerError(f"the fuzziness m has to be a number above 1 (usually 2), not {m!r}")
    values, counts = histogram(image)
    return nearest(image, _fuzzy(values, counts, k, m, np.random.default_rng(seed)))


def checked(image: NDArray, k: int = 2) -> NDArray:
    """Return `image` as an array of floats, or raise what is wrong with it or with the number of clusters."""
    image = np.asarray(image)
    if image.ndim != 2 or image.size == 0:
        raise MicrographError(f"clustering takes one grey picture (rows, columns), not an array of shape {image.shape}")
    if image.dtype.kind not in "buif":
        raise MicrographError(f"clustering takes a picture of real numbers, not of {image.dtype}")
    if image.dtype not in (np.float32, np.float64):
        image = image.astype(np.float64)
    if not np.isfinite([image.min(), image.max()]).all():
        raise MicrographError("a picture with NaN or infinite pixels cannot be clustered; replace them")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 2 <= k <= MOST:
        raise PickerError(f"the number of clusters k has to be a whole number from 2 to {MOST}, not {k!r}")
    return image


def nearest(image: NDArray, centres: NDArray) -> Clustering:
    """Return the clustering in which every pixel joins the nearest of the centres, of two equally near the darker."""
    # Rounded to the pixels' precision, so that no comparison converts the picture.
    limits = ((centres[1:] + centres[:-1]) / 2).astype(image.dtype)
    labels = np.zeros(image.shape, dtype=np.uint8)
    for limit in limits:
        labels += image > limit
    return Clustering(labels, np.asarray(centres, dtype=np.float64))


def histogram(image: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean grey value and the number of pixels of every bin that has any, values increasing."""
    pixels = image.ravel()
    low, high = float(image.min()), float(image.max())
    if low == high:
        return np.array([low]), np.array([float(image.size)])
    scaled = np.subtract(pixels, low, dtype=np.float64)
    scaled *= BINS / (high - low) if high - low > 1e-300 else 0.0
    # The brightest grey value belongs to the last bin and has none of its own.
    bins = np.minimum(scaled.astype(np.int16), BINS - 1)
    counts = np.bincount(bins, minlength=BINS).astype(np.float64)
    sums = np.bincount(bins, weights=pixels, minlength=BINS)
    filled = counts > 0
    return sums[filled] / counts[filled], counts[filled]


def lloyd(
    values: NDArray[np.float64], weights: NDArray[np.float64], k: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the k centres of weighted k-means, increasing, for different and increasing values: best of some starts.

    With k values or fewer, these are the centres, the last one as often as it takes.
    """
    if len(values) <= k:
        return _padded(values, k)
    low, span = values[0], values[-1] - values[0]
    unit = (values - low) / span
    # Of sorted values the sum over a cluster is the difference of two running sums.
    running = np.zeros((2, len(values) + 1))
    running[:, 1:] = np.cumsum([weights, weights * unit], axis=1)
    best, highest = unit[:k], -np.inf
    for _ in range(STARTS):
        centres = _plus_plus(unit, weights, k, rng)
        borders = np.zeros(0)
        for _ in range(ROUNDS):
            previous, borders = borders, np.searchsorted(unit, (centres[1:] + centres[:-1]) / 2, side="right")
            mass, total = np.diff(running[:, [0, *borders, len(values)]], axis=1)
            # A cluster that loses all its values keeps its centre.
            centres = np.divide(total, mass, out=centres, where=mass > 0)
            if np.array_equal(previous, borders):
                break
        # Squares within clusters = squares in all - squares between: the more between, the better.
        between = float((mass * centres**2).sum())
        if between > highest:
            best, highest = centres, between
    return low + span * best


def _fuzzy(
    values: NDArray[np.float64], weights: NDArray[np.float64], k: int, m: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the k centres of weighted fuzzy c-means, increasing; values different and increasing."""
    if len(values) <= k:
        return _padded(values, k)
    low, span = values[0], values[-1] - values[0]
    unit = (values - low) / span
    centres = lloyd(unit, weights, k, rng)
    for _ in range(ROUNDS):
        distance = np.maximum(np.abs(unit - centres[:, None]), 1e-12)  # a value at a centre belongs to it alone
        # Relative to the nearest centre, or a large exponent (m close to 1) overflows.
        closeness = (distance.min(axis=0) / distance) ** (2 / (m - 1))
        membership = weights * (closeness / closeness.sum(axis=0)) ** m
        previous, centres = centres, np.sort(membership @ unit / membership.sum(axis=1))
        if np.abs(centres - previous).max() < MOVEMENT:
            break
    return low + span * centres


def _plus_plus(
    values: NDArray[np.float64], weights: NDArray[np.float64], k: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw k of more than k different values, each with a probability that grows as the square of its distance."""
    chosen = [rng.choice(values, p=weights / weights.sum())]
    squares = np.full(values.shape, np.inf)
    for _ in range(k - 1):
        squares = np.minimum(squares, (values - chosen[-1]) ** 2)
        odds = weights * squares
        chosen.append(rng.choice(values, p=odds / odds.sum()))
    return np.sort(chosen)


def _padded(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    return np.concatenate([values, np.full(k - len(values), values[-1])])
