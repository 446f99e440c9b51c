"""Which clusters are the particles: told by the size of what they show, without a look at the picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit.errors import PickerError
from cryokit.imaging import bin_integer
from cryokit.segmentation.intensity import Clustering

FINE, COARSE = 0.18, 0.54  # standard deviations of the band's Gaussians, of the diameter
WORKING_DIAMETER = 8.0  # pixels, at least: what the finer Gaussian needs; masks are binned to it
MOST = 0.6  # of the picture: more is background
HOLE = 0.4  # of the particle's area: what is smaller and enclosed belongs to the particle around it


def particle_cluster(
    clustering: Clustering, diameter: float, *, contrast: Literal["dark", "bright"] | None = "dark"
) -> tuple[int, ...]:
    """Choose the clusters that make the particle mask.

    In AutoCryoPicker the darkest cluster of IBC is the mask, and of k-means and fuzzy c-means the user picks one by
    eye. What the eye looks for is a mask whose spots are as large as particles, and that is what is measured here:

    1. Candidates are the darkest cluster, the two darkest together, the three darkest and so on (the brightest ones
       where particles are bright). A particle's flanks fall into the neighbouring clusters, so several may belong to
       it; but a mask that covers more than three fifths of the picture is the background's, and is left out.
    2. Each mask is blurred by a Gaussian with a standard deviation of 0.18 particle diameters, and a copy blurred three
       times as much is subtracted. Left are spots of about the particle's size: grains of noise and the thin contours
       that the middle grey values form have gone with the first blur, ice and carbon, several diameters wide, with the
       second.
    3. The variance of what is left, divided by the variance of the mask itself (p (1 - p) if it covers the fraction p),
       says how much of the mask is such spots. The candidate with the largest quotient is chosen.

    With ``contrast=None`` the same measure tells first whether particles are dark or bright. A mask and its complement
    have equal quotients, and two facts tell particles from gaps. Particles fill their outline, dark rings have bright
    holes: enclosed holes of less than two fifths of a particle are filled, by which rings become the discs that they
    stand for, while what lies between particles becomes one large area. And particles cover less of the picture than
    their surroundings: the variance of the spots is divided by p sqrt(1 - p), the geometric mean of the mask's
    variance and its area. The end with the best mask in this sense wins. On pictures of crowded particles this
    goes wrong now and then; state the contrast when it is known.

    The rule is this package's own. Its numbers were chosen on simulated and real micrographs of four proteins.

    Parameters
    ----------
    clustering : Clustering
    diameter : float
        Of the particle, in pixels of the clustered picture.
    contrast : {"dark", "bright"} or None
        Of the particles in the clustered picture; None to have it decided. ``dark`` is what `Preprocessing` makes.

    Returns
    -------
    tuple of int
        Labels, increasing, without empty clusters. The outermost cluster alone where that already covers more than
        three fifths. Empty when all pixels are in one cluster: that is no mask.

    Raises
    ------
    PickerError
        When `diameter` is not a positive number or `contrast` is unknown.

    Examples
    --------
    >>> rows, columns = np.mgrid[:120, :120]
    >>> distance = np.hypot(rows % 40 - 20, columns % 40 - 20)  # nine particles, 20 across
    >>> labels = np.digitize(distance, [6, 10, 15]).astype(np.uint8)  # core, flank, contour, background
    >>> clustering = Clustering(labels, np.array([0.2, 0.4, 0.6, 0.8]))
    >>> particle_cluster(clustering, diameter=20)
    (0, 1)
    """
    if not (isinstance(diameter, (int, float, np.number)) and math.isfinite(diameter) and diameter > 0):
        raise PickerError(f"the particle's diameter has to be a positive number of pixels, not {diameter!r}")
    if contrast not in ("dark", "bright", None):
        raise PickerError(f"unknown contrast {contrast!r}; particles are 'dark' or 'bright', None to decide")
    filled = np.flatnonzero(clustering.shares).tolist()
    if len(filled) < 2:
        return ()
    if contrast is None:
        dark, bright = (_best_filled(clustering, filled, diameter, end) for end in ("dark", "bright"))
        contrast = "dark" if dark >= bright else "bright"
    best, highest = (), -1.0
    for labels, mask in _candidates(clustering, filled, contrast):
        share = float(mask.mean())
        if best and share > MOST:
            break
        quotient = _spots(mask, diameter) / (share * (1 - share))
        if quotient > highest:
            best, highest = labels, quotient
    return tuple(sorted(best))


def particle_mask(
    clustering: Clustering, diameter: float, *, contrast: Literal["dark", "bright"] | None = "dark"
) -> NDArray[np.bool_]:
    """Return where the clusters are that `particle_cluster` chooses.

    Parameters
    ----------
    clustering : Clustering
    diameter : float
        Of the particle, in pixels of the clustered picture.
    contrast : {"dark", "bright"} or None
        As in `particle_cluster`.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        True in particles, nowhere when all pixels are in one cluster.

    Raises
    ------
    PickerError
        As in `particle_cluster`.
    """
    return _mask(clustering, particle_cluster(clustering, diameter, contrast=contrast))


def _candidates(
    clustering: Clustering, filled: list[int], contrast: Literal["dark", "bright"]
) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
    """Give the outermost cluster at one end, the two outermost, ... with their masks; all together are none."""
    outside_in = filled if contrast == "dark" else filled[::-1]
    for count in range(1, len(filled)):
        yield outside_in[:count], _mask(clustering, outside_in[:count])


def _best_filled(
    clustering: Clustering, filled: list[int], diameter: float, contrast: Literal["dark", "bright"]
) -> float:
    """Return how much the best mask at one end looks like particles when its holes are filled."""

    def quotient(mask: NDArray[np.bool_]) -> float:
        share = float(mask.mean())
        return _spots(mask, diameter) / (share * math.sqrt(1 - share)) if share < 1 else 0.0

    best = max((mask for _, mask in _candidates(clustering, filled, contrast)), key=quotient)
    return quotient(_without_holes(best, HOLE * math.pi / 4 * diameter**2))


def _mask(clustering: Clustering, labels: list[int] | tuple[int, ...]) -> NDArray[np.bool_]:
    chosen = np.zeros(256, dtype=bool)  # every uint8
    chosen[list(labels)] = True
    return chosen[clustering.labels]


def _spots(mask: NDArray[np.bool_], diameter: float) -> float:
    """Return the variance of a mask's spots of about the particle's size."""
    factor = max(1, min(int(diameter / WORKING_DIAMETER), *mask.shape))
    small = bin_integer(mask.astype(np.float32), factor).data
    # Beyond the picture's size a wider blur changes nothing but the time it takes.
    width = min(diameter / factor, float(max(small.shape)))
    band = ndimage.gaussian_filter(small, FINE * width) - ndimage.gaussian_filter(small, COARSE * width)
    return float(band.var())


def _without_holes(mask: NDArray[np.bool_], area: float) -> NDArray[np.bool_]:
    """Fill what the mask encloses, if smaller than `area` pixels."""
    holes, _ = ndimage.label(~mask)
    small = np.bincount(holes.ravel()) < area
    small[0] = True  # the mask itself
    return small[holes]
