"""Which clusters are the particles: decided by the size of the spots they make, without looking at the picture."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.validation import check_choice, check_number
from cryokit.imaging.binning import bin_integer
from cryokit.imaging.contrast import Contrast
from cryokit.segmentation.clusters import Clustering
from cryokit.segmentation.mask import fill_holes, particle_area

FINE, COARSE = 0.18, 0.54  # diameters: standard deviations of the band's Gaussians
WORKING_DIAMETER = 8.0  # pixels: what the finer Gaussian needs at least; masks are binned to it
MOST = 0.6  # of the picture: a larger mask is background
HOLE = 0.4  # particle areas: a smaller hole belongs to the particle around it


def particle_cluster(clustering: Clustering, diameter: float, *, contrast: Contrast | None = "dark") -> tuple[int, ...]:
    """Choose the clusters that make the particle mask.

    In AutoCryoPicker the darkest cluster of IBC is the mask, and of k-means and fuzzy c-means the user picks one by
    eye. The eye looks for a mask whose spots are as large as particles, and that is measured here:

    1. Candidates are the darkest cluster, the two darkest together, the three darkest and so on (the brightest ones
       where particles are bright). A particle's flanks fall into the neighbouring clusters, so several clusters may
       belong to it; but a mask that covers more than three fifths of the picture is background, and is left out.
    2. Each mask is blurred by a Gaussian with a standard deviation of 0.18 particle diameters, and a copy blurred three
       times as much is subtracted. Spots of about the particle's size are left: the first blur removes grains of noise
       and the thin contours that the middle grey values form, the subtraction removes ice and carbon, which are several
       diameters wide.
    3. The variance of the rest, divided by the variance of the mask itself (p (1 - p) if it covers the fraction p),
       says how much of the mask consists of such spots. The candidate with the largest quotient is chosen.

    With ``contrast=None`` the same measure first decides whether particles are dark or bright. A mask and its
    complement have equal quotients, and two facts tell particles from gaps. Particles fill their outline, and dark
    rings have bright holes: holes of less than two fifths of a particle are filled, which turns rings into the discs
    that they stand for, while the space between particles becomes one large area. And particles cover less of the
    picture than their surroundings: the variance of the spots is divided by p sqrt(1 - p), the geometric mean of the
    mask's variance and its area. The end with the best mask in this sense wins. This sometimes fails on pictures of
    crowded particles; state the contrast when it is known.

    The rule is this package's own. Its numbers were chosen on simulated and real micrographs of four proteins.

    Parameters
    ----------
    clustering : Clustering
        Clusters of a picture.
    diameter : float
        Particle diameter in pixels of the clustered picture.
    contrast : {"dark", "bright"} or None
        Contrast of the particles in the clustered picture; None to decide. `Preprocessing` makes particles ``dark``.

    Returns
    -------
    tuple of int
        Labels, increasing, without empty clusters. Only the outermost cluster where that already covers more than three
        fifths; none if all pixels are in one cluster, which is no mask.

    Raises
    ------
    ArgumentError
        If `diameter` is not positive or `contrast` is unknown.

    Examples
    --------
    >>> rows, columns = np.mgrid[:120, :120]
    >>> distance = np.hypot(rows % 40 - 20, columns % 40 - 20)  # nine particles, 20 across
    >>> labels = np.digitize(distance, [6, 10, 15]).astype(np.uint8)  # core, flank, contour, background
    >>> clustering = Clustering(labels, np.array([0.2, 0.4, 0.6, 0.8]))
    >>> particle_cluster(clustering, diameter=20)
    (0, 1)
    """
    check_number("diameter", diameter, 0, above=True)
    check_choice("contrast", contrast, ("dark", "bright", None))
    filled = np.flatnonzero(clustering.shares).tolist()
    if len(filled) < 2:
        return ()
    # The outermost cluster at each end, the two outermost, ...; all together are no mask.
    ends = {
        "dark": [filled[:count] for count in range(1, len(filled))],
        "bright": [filled[-count:] for count in range(1, len(filled))],
    }
    if contrast is None:
        contrast = max(ends, key=lambda end: _likeness(clustering, ends[end], diameter))
    best, highest = (), -1.0
    for labels in ends[contrast]:
        mask = _mask(clustering, labels)
        share = float(mask.mean())
        if best and share > MOST:
            break
        quotient = _spots(mask, diameter) / (share * (1 - share))
        if quotient > highest:
            best, highest = labels, quotient
    return tuple(best)


def particle_mask(clustering: Clustering, diameter: float, *, contrast: Contrast | None = "dark") -> NDArray[np.bool_]:
    """Return the mask of the clusters that `particle_cluster` chooses.

    Parameters
    ----------
    clustering, diameter, contrast
        As for `particle_cluster`.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        True in particles; nowhere if all pixels are in one cluster.

    Raises
    ------
    ArgumentError
        As for `particle_cluster`.
    """
    return _mask(clustering, particle_cluster(clustering, diameter, contrast=contrast))


def _mask(clustering: Clustering, labels: list[int] | tuple[int, ...]) -> NDArray[np.bool_]:
    chosen = np.zeros(256, dtype=bool)  # every uint8
    chosen[list(labels)] = True
    return chosen[clustering.labels]


def _likeness(clustering: Clustering, candidates: list[list[int]], diameter: float) -> float:
    """Return how much the best of some masks looks like particles when its holes are filled."""

    def quotient(mask: NDArray[np.bool_]) -> float:
        share = float(mask.mean())
        return _spots(mask, diameter) / (share * math.sqrt(1 - share)) if share < 1 else 0.0

    best = max((_mask(clustering, labels) for labels in candidates), key=quotient)
    return quotient(fill_holes(best, HOLE * particle_area(diameter)))


def _spots(mask: NDArray[np.bool_], diameter: float) -> float:
    """Return the variance of a mask's spots of about the particle's size."""
    factor = max(1, min(int(diameter / WORKING_DIAMETER), *mask.shape))
    binned = bin_integer(mask.astype(np.float32), factor).data
    # Beyond the picture's size a wider blur changes nothing but the time it takes.
    width = min(diameter / factor, float(max(binned.shape)))
    band = ndimage.gaussian_filter(binned, FINE * width) - ndimage.gaussian_filter(binned, COARSE * width)
    return float(band.var())
