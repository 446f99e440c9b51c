"""The paper's augmentation: a patch passed through a random choice of the preprocessing chain's stages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.patches.cutting import normalise

STAGES = ("gaussian", "histeq", "wiener2", "adapthisteq", "imguidedfilter", "imopen")
MASKS = (3, 5)  # pixels, of the Gaussian
# Lengths as fractions of the particle's diameter, as in the chain for whole micrographs.
WINDOW, RADIUS = 0.125, 0.025
# A patch is one or two particles wide: more tiles would equalise parts of a particle against each other.
TILES = (2, 2)
CLIP_LIMIT = 0.02


def augment(
    patch: NDArray[np.uint8], rng: np.random.Generator, *, diameter: float | None = None
) -> tuple[NDArray[np.uint8], str]:
    """Return the patch as a random part of the preprocessing chain changes it, and what was done.

    Each of the stages is taken with probability 1/2 (at least one is), in the chain's order: Gaussian filter with a
    standard deviation drawn from (0, 1] pixels and a mask of 3 x 3 or 5 x 5 pixels, histogram equalisation, Wiener
    filter, contrast-limited adaptive histogram equalisation (Rayleigh), guided filter, morphological opening. The
    paper names the stages, the standard deviations and the masks; the probability is a choice of this package.

    Parameters
    ----------
    patch : ndarray of uint8, shape (size, size)
        As `normalise` gives it, particles dark.
    rng : numpy.random.Generator
    diameter : float, optional
        Of the particle, in pixels of the patch; two thirds of its side when not given.

    Returns
    -------
    patch : ndarray of uint8, shape (size, size)
        Normalised again.
    description : str
        The stages, such as ``gaussian 0.41 (5 x 5) + histeq``.

    Notes
    -----
    Al-Azzawi et al. 2020, BMC Bioinformatics 21:509, "Data augmentation".
    """
    from scipy import ndimage

    from cryokit.imaging import adapthisteq, histeq, imguidedfilter, imopen, wiener2

    if diameter is None:
        diameter = min(patch.shape) / 1.5
    side = 2 * max(1, round((WINDOW * diameter - 1) / 2)) + 1
    radius = max(1, round(RADIUS * diameter))
    deviation, mask = 1 - rng.random(), int(rng.choice(MASKS))
    taken = rng.random(len(STAGES)) < 0.5
    if not taken.any():
        taken[rng.integers(len(STAGES))] = True
    image = patch.astype(np.float32) / 255
    words = []
    for stage in np.array(STAGES)[taken].tolist():
        word = stage
        if stage == "gaussian":
            image = ndimage.gaussian_filter(image, deviation, radius=mask // 2, mode="nearest")
            word = f"gaussian {deviation:.2f} ({mask} x {mask})"
        elif stage == "histeq":
            image = histeq(image)
        elif stage == "wiener2":
            image = wiener2(image, (side, side))
        elif stage == "adapthisteq":
            image = adapthisteq(image, tiles=TILES, clip_limit=CLIP_LIMIT, distribution="rayleigh")
        elif stage == "imguidedfilter":
            image = imguidedfilter(image, window=(side, side))
        else:
            image = imopen(image, radius)
        image = np.clip(image, 0, 1)
        words.append(word)
    return normalise(image), " + ".join(words)
