"""Clusters of grey values, of pixels or of superpixels, and how well two clusterings agree.

All methods know nothing of a pixel, or of a superpixel, but its grey value. A clustering is therefore k centres, and
the rule that a grey value belongs to the nearest centre (of two equally near, to the darker one). The methods differ
in where they put the centres. All raise `ArgumentError` if the picture has not two dimensions or another argument is
out of its range, and `MicrographError` if the picture has NaN or infinite pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit._util.validation import check_number, check_picture
from cryokit.errors import ArgumentError, MicrographError

BINS = 1024  # of the histogram that k-means and fuzzy c-means work on
STARTS = 10  # of k-means; the best result is kept
ROUNDS = 300  # at most; either iteration needs a few dozen
MOVEMENT = 1e-6  # of the range of grey values: fuzzy c-means stops when every centre moves by less
MOST = 255  # clusters: labels are stored as uint8

PER_PARTICLE = 16  # superpixels on a particle's area: each is a quarter of the diameter across
# Weight of a distance of one superpixel's width, in grey values of [0, 1]. The larger, the more regular the patches;
# the smaller, the closer they follow every edge, noise included.
COMPACTNESS = 0.3
SLIC_ROUNDS = 5  # the authors of SLIC see no more change after 10, and these masks show none after 5
GRID = 3  # pixels between the centres of superpixels, at least: closer together they are no patches any more


@dataclass(frozen=True)
class Clustering:
    """Cluster of every pixel, and the clusters' centres.

    Attributes
    ----------
    labels : ndarray of uint8, shape (rows, columns)
        Cluster of each pixel, from 0, the darkest, to k - 1, the brightest.
    centres : ndarray of float64, shape (k,)
        Grey values of the clusters, increasing. If the picture has fewer different grey values than k, the last centre
        is repeated, and the clusters of its repetitions are empty.
    """

    labels: NDArray[np.uint8]
    centres: NDArray[np.float64]

    @property
    def k(self) -> int:
        """Number of clusters, including empty ones."""
        return len(self.centres)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Fraction of the pixels in each cluster, shape (k,)."""
        return np.bincount(self.labels.ravel(), minlength=self.k) / max(self.labels.size, 1)


def ibc(image: ArrayLike, k: int = 4) -> Clustering:
    """Cluster by intensity as AutoCryoPicker does: k equal steps over the range of grey values, in one pass.

    The centres are ``min + i (max - min) / k`` for i = 1 ... k. No centre lies at the darkest grey value, so the
    darkest cluster is one and a half steps wide, the brightest half a step and all others one step; which is why the
    darkest cluster alone is a usable particle mask.

    The published code counts its steps from 0 rather than from the darkest grey value. For pictures whose darkest value
    is 0, as `mat2gray` makes them, there is no difference; for others it has clusters that it never uses. Counted from
    the darkest value, the labels depend on neither brightness nor contrast of the picture.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Picture with dark particles.
    k : int
        Number of clusters, 2 to 255: 4 in AutoCryoPicker, 5 in SuperCryoEMPicker.

    Returns
    -------
    Clustering
        Clusters may be empty; all pixels of a constant picture are in cluster 0.

    References
    ----------
    Al-Azzawi et al. (2019), BMC Bioinformatics 20:326.

    Examples
    --------
    >>> clustering = ibc([[0.0, 1.4, 1.6, 2.4], [2.6, 3.4, 3.6, 4.0]])
    >>> clustering.centres
    array([1., 2., 3., 4.])
    >>> clustering.labels
    array([[0, 0, 1, 1],
           [2, 2, 3, 3]], dtype=uint8)
    """
    image = _checked(image, k)
    low, high = float(image.min()), float(image.max())
    return _nearest(image, low + (high - low) * (np.arange(k) + 1.0) / k)


def kmeans(image: ArrayLike, k: int = 4, seed: int = 0) -> Clustering:
    """Cluster grey values by k-means: centres with the least sum of squared distances to their pixels (Lloyd 1982).

    Works on a histogram of 1024 bins, each of which stands for all its pixels by their mean, so that a micrograph takes
    no longer than a thumbnail. While the centres are sought, a grey value is off by less than a thousandth of the
    picture's range; then every pixel joins the centre nearest to its own value.

    Lloyd's iteration finds the optimum nearest to its start. It runs from 10 starts drawn by k-means++ (Arthur and
    Vassilvitskii 2007), and the best result is kept.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Picture.
    k : int
        Number of clusters, 2 to 255.
    seed : int
        Random seed of the starts.

    Returns
    -------
    Clustering

    Examples
    --------
    >>> clustering = kmeans([[0.0, 0.2, 5.0], [5.2, 9.0, 9.2]], k=3)
    >>> clustering.centres
    array([0.1, 5.1, 9.1])
    >>> clustering.labels
    array([[0, 0, 1],
           [1, 2, 2]], dtype=uint8)
    """
    image = _checked(image, k)
    return _nearest(image, _kmeans_centres(*_histogram(image), k, np.random.default_rng(seed)))


def fuzzy_cmeans(image: ArrayLike, k: int = 4, m: float = 2.0, seed: int = 0) -> Clustering:
    """Cluster grey values by fuzzy c-means: every pixel belongs to every cluster to some degree (Bezdek 1981).

    Two equations are applied in turn until no centre moves by more than a millionth of the range of grey values. With
    the distance d[i, j] of grey value j from centre i, the memberships are ``u[i, j] = 1 / sum over l of
    (d[i, j] / d[l, j]) ** (2 / (m - 1))``, and the centres are the means of the grey values weighted by ``u ** m``. The
    labels are hard: the cluster of highest membership, which is that of the nearest centre.

    Works on the same histogram as `kmeans`, and starts from its centres.

    Parameters
    ----------
    image, k, seed
        As for `kmeans`.
    m : float
        Fuzziness, above 1. Close to 1 the method is k-means; the larger the value, the more the clusters blend. 2 in
        AutoCryoPicker and nearly everywhere else.

    Returns
    -------
    Clustering

    Examples
    --------
    >>> clustering = fuzzy_cmeans([[0.0, 0.2, 5.0], [5.2, 9.0, 9.2]], k=3)
    >>> bool(np.abs(clustering.centres - [0.1, 5.1, 9.1]).max() < 0.02)
    True
    """
    image = _checked(image, k)
    check_number("fuzziness m", m, 1, above=True)
    values, counts = _histogram(image)
    return _nearest(image, _fuzzy_centres(values, counts, k, m, np.random.default_rng(seed)))


def superpixel_count(shape: tuple[int, int], diameter: float, per_particle: float = PER_PARTICLE) -> int:
    """Return how many superpixels a picture needs for a given number of them on each particle.

    The paper has 1,500 superpixels, on micrographs of some 1,000 pixels a side with particles of some 100. On a larger
    picture of smaller particles, 1,500 superpixels are larger than the particles and wash them out; with hundreds in a
    particle, nothing is left of the smoothing that superpixels are for.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the picture.
    diameter : float
        Particle diameter in pixels of the picture.
    per_particle : float
        Superpixels on the area of a particle.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ArgumentError
        If `diameter` or `per_particle` is not positive.

    Examples
    --------
    >>> superpixel_count((620, 600), diameter=40)
    4736
    """
    check_number("diameter", diameter, 0, above=True)
    check_number("per_particle", per_particle, 0, above=True)
    rows, columns = shape
    return max(1, round(per_particle * rows * columns / (math.pi / 4 * diameter**2)))


def superpixels(image: ArrayLike, n: int = 1500) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Divide a picture into patches of similar grey values (SLIC) and return their means.

    scikit-image's implementation with 5 rounds instead of 10, which halves the time. Grey values are scaled to [0, 1]
    first, so that the compactness has the same meaning for every picture.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Picture.
    n : int
        Approximate number of superpixels, at most one to 9 pixels; fragments are merged into their neighbours.

    Returns
    -------
    segments : ndarray of int32, shape (rows, columns)
        Superpixel of each pixel, 0 to s - 1.
    means : ndarray of float64, shape (s,)
        Mean grey values of the superpixels.

    References
    ----------
    Achanta et al. (2012), IEEE Trans. PAMI 34:2274.

    Examples
    --------
    >>> image = np.zeros((60, 60)); image[:, 30:] = 1
    >>> segments, means = superpixels(image, n=36)
    >>> segments.shape, sorted(set(means.tolist()))
    ((60, 60), [0.0, 1.0])
    """
    from skimage.segmentation import slic

    image = _checked(image)
    check_number("number of superpixels n", n, 1, whole=True)
    low, high = float(image.min()), float(image.max())
    if low == high:
        # SLIC would return a grid of patches with one mean.
        return np.zeros(image.shape, dtype=np.int32), np.array([low])
    segments = slic(
        ((image - low) / (high - low)).astype(np.float32),
        n_segments=min(int(n), max(1, image.size // GRID**2)),
        compactness=COMPACTNESS,
        max_num_iter=SLIC_ROUNDS,
        start_label=0,
        channel_axis=None,
    )
    counts = np.bincount(segments.ravel())
    sums = np.bincount(segments.ravel(), weights=image.ravel())
    return segments.astype(np.int32), sums / counts


def super_kmeans(image: ArrayLike, k: int = 4, n: int = 1500, seed: int = 0) -> Clustering:
    """Cluster superpixels by k-means (SuperCryoEMPicker's SP-K-means), so that each of them has one label.

    Every superpixel is replaced by its mean, and the means are clustered as in `kmeans`, each counting once whatever
    its size.

    Parameters
    ----------
    image, k, seed
        As for `kmeans`.
    n : int
        Approximate number of superpixels: 1,500 in SuperCryoEMPicker; `superpixel_count` fits it to the particle size.

    Returns
    -------
    Clustering

    References
    ----------
    Al-Azzawi et al. (2019), SuperCryoEMPicker, bioRxiv.

    Examples
    --------
    >>> image = np.zeros((60, 60)); image[20:40, 20:40] = 1; image[5, 5] = 1
    >>> clustering = super_kmeans(image, k=2, n=36)
    >>> int(clustering.labels[30, 30]), int(clustering.labels[5, 5])
    (1, 0)
    """
    image = _checked(image, k)
    segments, means = superpixels(image, n)
    values, counts = np.unique(means, return_counts=True)
    centres = _kmeans_centres(values, counts.astype(np.float64), k, np.random.default_rng(seed))
    return Clustering(_nearest(means[None], centres).labels[0][segments], centres)


def agreement(first: Clustering, second: Clustering) -> float:
    """Return the adjusted Rand index of two clusterings of one picture (Hubert and Arabie 1985).

    The index counts the pairs of pixels on which the clusterings agree: together in both, or apart in both. It is
    adjusted for the agreement that clusters of these sizes have by chance. The labels' values do not matter, and the
    clusterings may have different k.

    Parameters
    ----------
    first, second : Clustering
        Clusterings of the same shape.

    Returns
    -------
    float
        1 for the same partition, 0 for chance, a little below 0 for less than chance.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[0, 0], [1, 1]], dtype=np.uint8)
    >>> first, second = Clustering(labels, np.array([0.2, 0.8])), Clustering(labels.T, np.array([0.2, 0.8]))
    >>> agreement(first, first), agreement(first, second)
    (1.0, -0.5)
    """
    from sklearn.metrics import adjusted_rand_score

    _check_same_shape(first.labels, second.labels)
    return float(adjusted_rand_score(first.labels.ravel(), second.labels.ravel()))


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the Dice coefficient of two masks: twice the area that they share over the sum of their areas.

    Parameters
    ----------
    first, second : ndarray of bool
        Masks of the same shape.

    Returns
    -------
    float
        1 for equal masks (including two empty ones), 0 for masks that share nothing. The Jaccard index, intersection
        over union, is ``dice / (2 - dice)``.

    Raises
    ------
    ArgumentError
        If the shapes differ.

    Examples
    --------
    >>> dice(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.6666666666666666
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    _check_same_shape(first, second)
    areas = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / areas if areas else 1.0


def _check_same_shape(first: NDArray, second: NDArray) -> None:
    if first.shape != second.shape:
        raise ArgumentError(
            f"only clusterings or masks of one shape can be compared, not {first.shape} and {second.shape}"
        )


def _checked(image: ArrayLike, k: int = 2) -> NDArray:
    """Return `image` as an array of floats, after checking it and the number of clusters."""
    image = check_picture("picture to cluster", image)
    check_number("number of clusters k", k, 2, MOST, whole=True)
    if image.dtype not in (np.float32, np.float64):
        image = image.astype(np.float64)
    if not np.isfinite([image.min(), image.max()]).all():
        raise MicrographError("the picture to cluster has NaN or infinite pixels; replace them")
    return image


def _nearest(image: NDArray, centres: NDArray) -> Clustering:
    """Return the clustering in which every pixel joins the nearest centre, of two equally near the darker one."""
    # Rounded to the pixels' precision, so that no comparison converts the picture.
    limits = ((centres[1:] + centres[:-1]) / 2).astype(image.dtype)
    labels = np.zeros(image.shape, dtype=np.uint8)
    for limit in limits:
        labels += image > limit
    return Clustering(labels, np.asarray(centres, dtype=np.float64))


def _histogram(image: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean grey value and the number of pixels of each bin that has any, by increasing value."""
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


# scikit-learn's KMeans(sample_weight=) knows nothing of sorted numbers. For the same centres (tests/test_cluster.py
# compares both) it takes 2.2 s instead of 0.02 s on the 35,000 superpixels of 4096 x 4096 pixels, where all of
# `supercryoempicker` takes 2.5 s, and 0.36 s instead of 0.005 s on a histogram of 1024 bins. A single start instead of
# ten takes 0.29 s and ends in worse optima.
def _kmeans_centres(
    values: NDArray[np.float64], weights: NDArray[np.float64], k: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the k centres of weighted k-means, increasing, for different and increasing values.

    With k values or fewer, the values are the centres, and the last one is repeated.
    """
    if len(values) <= k:
        return np.pad(values, (0, k - len(values)), mode="edge")
    low, span = values[0], values[-1] - values[0]
    unit = (values - low) / span
    # The sum over a cluster of sorted values is the difference of two running sums.
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
        # Squares within clusters are the squares in all minus those between: the more between, the better.
        between = float((mass * centres**2).sum())
        if between > highest:
            best, highest = centres, between
    return low + span * best


def _plus_plus(
    values: NDArray[np.float64], weights: NDArray[np.float64], k: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw k values, each with a probability proportional to its weight and its squared distance from those drawn."""
    chosen = [rng.choice(values, p=weights / weights.sum())]
    squares = np.full(values.shape, np.inf)
    for _ in range(k - 1):
        squares = np.minimum(squares, (values - chosen[-1]) ** 2)
        odds = weights * squares
        chosen.append(rng.choice(values, p=odds / odds.sum()))
    return np.sort(chosen)


def _fuzzy_centres(
    values: NDArray[np.float64], weights: NDArray[np.float64], k: int, m: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the k centres of weighted fuzzy c-means, increasing, for different and increasing values."""
    start = _kmeans_centres(values, weights, k, rng)
    if len(values) <= k:
        return start
    low, span = values[0], values[-1] - values[0]
    unit, centres = (values - low) / span, (start - low) / span
    for _ in range(ROUNDS):
        distance = np.maximum(np.abs(unit - centres[:, None]), 1e-12)  # a value at a centre belongs to it alone
        # Relative to the nearest centre, or a large exponent (m close to 1) overflows.
        closeness = (distance.min(axis=0) / distance) ** (2 / (m - 1))
        membership = weights * (closeness / closeness.sum(axis=0)) ** m
        previous, centres = centres, np.sort(membership @ unit / membership.sum(axis=1))
        if np.abs(centres - previous).max() < MOVEMENT:
            break
    return low + span * centres
