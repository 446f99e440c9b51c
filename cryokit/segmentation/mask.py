"""Cleaning of particle masks: from the pixels of a cluster to the areas of particles."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit._util.validation import check_number, check_picture
from cryokit.errors import ArgumentError

EIGHT = np.ones((3, 3), dtype=bool)  # neighbours across a corner belong to the same object, as in MATLAB


def as_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    """Return a mask as an array of bool, True wherever `mask` is not 0.

    Raises
    ------
    ArgumentError
        If it has not two dimensions.
    """
    return check_picture("mask", mask, empty=True).astype(bool, copy=False)


def particle_area(diameter: float) -> float:
    """Return the area of a disc of the particle diameter: the unit in which areas are given.

    Raises
    ------
    ArgumentError
        If the diameter is not a positive number.
    """
    check_number("diameter", diameter, 0, above=True)
    return math.pi * diameter**2 / 4


def disc(radius: int) -> NDArray[np.bool_]:
    """Return a disc as a structuring element, shape (2 radius + 1, 2 radius + 1)."""
    from skimage.morphology import disk

    return disk(radius, dtype=bool)


def fill_holes(mask: ArrayLike, largest: float = math.inf) -> NDArray[np.bool_]:
    """Fill the holes of a mask up to a size.

    A hole is background that no path of horizontal and vertical steps connects to the border (MATLAB's
    ``imfill(mask, 'holes')``).

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask.
    largest : float
        Area in pixels up to which holes are filled.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Examples
    --------
    >>> ring = np.ones((3, 3), dtype=bool); ring[1, 1] = False
    >>> bool(fill_holes(ring).all()), bool(fill_holes(ring, largest=0).all())
    (True, False)
    """
    mask = as_mask(mask)
    # In a frame of background, all background that reaches the border is one component: the first one. As fast as
    # skimage.morphology.remove_small_holes, which takes what the border cuts off for holes, too; and twice as fast as
    # ndimage.binary_fill_holes.
    background, n = ndimage.label(np.pad(~mask, 1, constant_values=True))
    if n == 1:
        return mask.copy()
    filled = np.bincount(background.ravel(), minlength=n + 1) <= largest
    filled[0], filled[1] = True, False  # 0 is the mask itself
    return filled[background[1:-1, 1:-1]]


def clean(mask: ArrayLike, diameter: float, **sizes: float | None) -> NDArray[np.bool_]:
    """Clean a particle mask: remove speckles, close gaps within particles and smooth outlines.

    The steps of AutoCryoPicker and SuperCryoEMPicker, in their order: remove small areas, erode, fill holes, close,
    remove small areas, dilate, fill holes. Their sizes are 250 pixels (500 after super clustering) and discs of
    radius 1, for particles of about 40 pixels. Here areas are in particle areas (pi / 4 diameter^2) and radii in
    diameters, so that the same values serve every scale.

    Beyond the border of the picture there is neither particle nor background: nothing is eroded from there, and no hole
    is enclosed by it.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask, True in particles.
    diameter : float
        Particle diameter in pixels of `mask`.
    **sizes
        Sizes of the steps, as for `clean_stages`.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Raises
    ------
    ArgumentError
        If the mask has not two dimensions, or a size is not a number or negative.

    Examples
    --------
    >>> mask = np.zeros((60, 60), dtype=bool)
    >>> mask[10:40, 10:40] = True; mask[25, 25] = False; mask[50:53, 50:53] = True
    >>> cleaned = clean(mask, diameter=40)
    >>> bool(cleaned[25, 25]), bool(cleaned[51, 51])
    (True, False)
    """
    return list(clean_stages(mask, diameter, **sizes).values())[-1]


def clean_stages(
    mask: ArrayLike,
    diameter: float,
    *,
    smallest: float = 0.2,
    radius: float = 0.025,
    erosion: float | None = None,
    closing: float | None = None,
    dilation: float | None = None,
    largest_hole: float = 1.0,
) -> dict[str, NDArray[np.bool_]]:
    """Return the mask after every step of `clean`, by name and in order.

    Parameters
    ----------
    mask, diameter
        As for `clean`.
    smallest : float
        Particle areas of the smallest objects that are kept, at first and after closing: 0.2 are the 250 pixels for
        intensity clusters, 0.4 the 500 pixels for super clusters.
    radius : float
        Radius in diameters of the discs that erode, close and dilate. Rounded to pixels; less than half a pixel does
        nothing.
    erosion, closing, dilation : float, optional
        Radius of one of the three discs. Default: `radius`.
    largest_hole : float
        Particle areas of the largest holes that are filled. The published method fills all (`math.inf`): a chain of
        touching particles or a rim of carbon around empty background becomes one object as large as the micrograph.
        Holes in particles, the pale centres of rings, are smaller than a particle.

    Returns
    -------
    dict of str to ndarray of bool, shape (rows, columns)
        "without_small", "eroded", "filled", "closed", "without_small_again", "dilated" and "filled_again". The last is
        the result of `clean`.

    Raises
    ------
    ArgumentError
        As for `clean`.

    Examples
    --------
    >>> list(clean_stages(np.ones((4, 4)), 3))[:3]
    ['without_small', 'eroded', 'filled']
    """
    mask = as_mask(mask)
    area = particle_area(diameter)
    sizes = {
        "smallest": smallest,
        "erosion": radius if erosion is None else erosion,
        "closing": radius if closing is None else closing,
        "dilation": radius if dilation is None else dilation,
        "largest_hole": largest_hole,
    }
    for name, size in sizes.items():
        if not size >= 0:  # infinity is allowed
            raise ArgumentError(f"{name} must be a number of at least 0, not {size!r}")
    # No disc can do more than one that reaches from corner to corner.
    pixels = {name: math.floor(min(size * diameter + 0.5, math.hypot(*mask.shape))) for name, size in sizes.items()}
    stages = {"without_small": _of_area(mask, smallest * area)}
    stages["eroded"] = ~_dilated(~stages["without_small"], pixels["erosion"])
    stages["filled"] = fill_holes(stages["eroded"], largest_hole * area)
    # What grows over the border has to shrink back from there.
    frame = pixels["closing"]
    closed = ~_dilated(~_dilated(np.pad(stages["filled"], frame), frame), frame)
    stages["closed"] = closed[frame:, frame:][: mask.shape[0], : mask.shape[1]]
    stages["without_small_again"] = _of_area(stages["closed"], smallest * area)
    stages["dilated"] = _dilated(stages["without_small_again"], pixels["dilation"])
    stages["filled_again"] = fill_holes(stages["dilated"], largest_hole * area)
    return stages


def _dilated(mask: NDArray, radius: int) -> NDArray[np.bool_]:
    """Dilate a mask with a disc."""
    from skimage.morphology import isotropic_dilation

    # By distances it takes as long for every radius: for one of 1 pixel eight times as long, from 6 on less.
    if radius > 6:
        return isotropic_dilation(mask, radius) if mask.any() else mask.copy()
    return ndimage.binary_dilation(mask, disc(radius))


# skimage.morphology.remove_small_objects takes the same time, but its size argument was renamed in 0.26, which Python
# 3.10 does not get.
def _of_area(mask: NDArray, smallest: float) -> NDArray[np.bool_]:
    """Return the objects of at least an area in pixels."""
    labels, _ = ndimage.label(mask, structure=EIGHT)
    kept = np.bincount(labels.ravel(), minlength=1) >= smallest
    kept[0] = False
    return kept[labels]
