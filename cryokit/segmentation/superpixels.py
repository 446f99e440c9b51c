"""Superpixels, and k-means of them: small patches of one grey value are clustered instead of pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError
from cryokit.segmentation.intensity import Clustering, checked, lloyd, nearest

PER_PARTICLE = 16  # superpixels: each a quarter of the particle's diameter across
COMPACTNESS = 0.3
ROUNDS = 5  # of SLIC: its authors see no more change after 10, and these masks none after 5
GRID = 3  # pixels between the centres of superpixels, at least: closer together they are no patches any more


def superpixel_count(shape: tuple[int, int], diameter: float, per_particle: float = PER_PARTICLE) -> int:
    """Return how many superpixels a picture needs so that a particle holds so many of them.

    1,500 are the paper's, for micrographs of some 1,000 pixels a side with particles of some 100. On a larger picture
    of smaller particles, 1,500 superpixels are larger than the particles and wash them out; with hundreds in a
    particle, nothing is left of the smoothing that superpixels are for.

    Parameters
    ----------
    shape : (rows, columns)
    diameter : float
        Of the particle, in pixels.
    per_particle : float
        Superpixels on a particle's area.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    PickerError
        When `diameter` or `per_particle` is not a positive number.

    Examples
    --------
    >>> superpixel_count((620, 600), diameter=40)
    4736
    """
    for name, value in (("diameter", diameter), ("number of superpixels in a particle", per_particle)):
        if not (math.isfinite(value) and value > 0):
            raise PickerError(f"the {name} has to be a positive number, not {value!r}")
    rows, columns = shape
    return max(1, round(per_particle * rows * columns / (math.pi / 4 * diameter**2)))


def superpixels(
    image: NDArray, n: int = 1500, compactness: float = COMPACTNESS
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Divide a picture into patches of about one grey value (SLIC, Achanta et al. 2012) and take their means.

    scikit-image's implementation, with 5 rounds instead of its usual 10, which takes half the time. Grey values are
    scaled to [0, 1] first, so that `compactness` means the same for every picture.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Grey values finite.
    n : int
        About how many: those that come to lie in pieces are joined to their neighbours. At most one to 9 pixels.
    compactness : float
        What a distance of one superpixel's width counts, in grey values of [0, 1]: the larger the more regular the
        patches, the smaller the closer they follow every edge, noise included.

    Returns
    -------
    segments : ndarray of int32, shape (rows, columns)
        Which superpixel every pixel belongs to, 0 to s - 1.
    means : ndarray of float64, shape (s,)
        The superpixels' mean grey values.

    Raises
    ------
    MicrographError
        When `image` is no two-dimensional array of finite numbers.
    PickerError
        When `n` is not a positive whole number or `compactness` not a positive number.

    Examples
    --------
    >>> image = np.zeros((60, 60)); image[:, 30:] = 1
    >>> segments, means = superpixels(image, n=36)
    >>> segments.shape, sorted(set(means.tolist()))
    ((60, 60), [0.0, 1.0])
    """
    from skimage.segmentation import slic

    image = checked(image)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise PickerError(f"the number of superpixels n has to be a positive whole number, not {n!r}")
    if not (math.isfinite(compactness) and compactness > 0):
        raise PickerError(f"the compactness has to be a positive number (0.1 to 1 is usual), not {compactness!r}")
    low, high = float(image.min()), float(image.max())
    if low == high:
        # Without grey values that differ only the places count: SLIC would return a grid, and each of it the same mean.
        return np.zeros(image.shape, dtype=np.int32), np.array([low])
    segments = slic(
        ((image - low) / (high - low)).astype(np.float32),
        n_segments=min(int(n), max(1, image.size // GRID**2)),
        compactness=compactness,
        max_num_iter=ROUNDS,
        start_label=0,
        channel_axis=None,
    )
    counts = np.bincount(segments.ravel())
    sums = np.bincount(segments.ravel(), weights=image.ravel())
    return segments.astype(np.int32), sums / counts


def super_kmeans(
    image: NDArray, k: int = 4, n: int = 1500, seed: int = 0, compactness: float = COMPACTNESS
) -> Clustering:
    """k-means of superpixels (SuperCryoEMPicker's SP-K-means): all pixels of a superpixel share one label.

    Every superpixel is replaced by its mean, and `kmeans` clusters the means, each counting once whatever its size.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Grey values finite.
    k : int
        Clusters, 2 to 255.
    n : int
        Superpixels, about: 1,500 in SuperCryoEMPicker; `superpixel_count` fits it to the particle's size.
    seed : int
        Of the starts of k-means; same seed, same result.
    compactness : float
        As in `superpixels`.

    Returns
    -------
    Clustering

    Raises
    ------
    MicrographError
        When `image` is no two-dimensional array of finite numbers.
    PickerError
        When `k` or `n` is out of range or `compactness` not a positive number.

    References
    ----------
    Al-Azzawi et al. (2019), SuperCryoEMPicker, bioRxiv; Achanta et al. (2012), IEEE Trans. PAMI 34:2274.

    Examples
    --------
    >>> image = np.zeros((60, 60)); image[20:40, 20:40] = 1; image[5, 5] = 1
    >>> clustering = super_kmeans(image, k=2, n=36)
    >>> int(clustering.labels[30, 30]), int(clustering.labels[5, 5])
    (1, 0)
    """
    image = checked(image, k)
    segments, means = superpixels(image, n, compactness)
    values, counts = np.unique(means, return_counts=True)
    clusters = nearest(means[None, :], lloyd(values, counts.astype(np.float64), k, np.random.default_rng(seed)))
    return Clustering(clusters.labels[0][segments], clusters.centres)
