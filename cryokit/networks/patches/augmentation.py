"""The paper's augmentation: a patch passed through a random choice of the preprocessing chain's stages."""

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.patches.cutting import normalise

MASKS = (3, 5)  # sides of the Gaussian's mask in pixels
# Lengths as fractions of the particle diameter, as in the chain for whole micrographs.
WINDOW, RADIUS = 0.125, 0.025
# A patch is one or two particles wide: more tiles would equalise parts of a particle against each other.
TILES = (2, 2)
CLIP_LIMIT = 0.02


def augment(
    patch: NDArray[np.uint8], rng: np.random.Generator, *, diameter: float | None = None
) -> tuple[NDArray[np.uint8], str]:
    """Pass a patch through a random part of the preprocessing chain.

    Each of the stages is taken with probability 1/2 (at least one is), in the chain's order: Gaussian filter with a
    standard deviation drawn from (0, 1] pixels and a mask of 3 x 3 or 5 x 5 pixels, histogram equalisation, Wiener
    filter, contrast-limited adaptive histogram equalisation (Rayleigh), guided filter, morphological opening. The
    paper names the stages, the standard deviations and the masks; the probability is a choice of this package.

    Parameters
    ----------
    patch : ndarray of uint8, shape (size, size)
        Patch as `normalise` returns it, particles dark.
    rng : numpy.random.Generator
        Source of randomness.
    diameter : float, optional
        Particle diameter in pixels of the patch; two thirds of its side by default.

    Returns
    -------
    patch : ndarray of uint8, shape (size, size)
        Changed patch, normalised again.
    description : str
        Stages that were taken, such as ``gaussian 0.41 (5 x 5) + histeq``.

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
    stages = {
        f"gaussian {deviation:.2f} ({mask} x {mask})": lambda image: ndimage.gaussian_filter(
            image, deviation, radius=mask // 2, mode="nearest"
        ),
        "histeq": histeq,
        "wiener2": lambda image: wiener2(image, (side, side)),
        "adapthisteq": lambda image: adapthisteq(image, tiles=TILES, clip_limit=CLIP_LIMIT, distribution="rayleigh"),
        "imguidedfilter": lambda image: imguidedfilter(image, window=(side, side)),
        "imopen": lambda image: imopen(image, radius),
    }
    taken = rng.random(len(stages)) < 0.5
    if not taken.any():
        taken[rng.integers(len(stages))] = True
    names = [name for name, chosen in zip(stages, taken, strict=True) if chosen]
    image = patch.astype(np.float32) / 255
    for name in names:
        image = np.clip(stages[name](image), 0, 1)
    return normalise(image), " + ".join(names)
