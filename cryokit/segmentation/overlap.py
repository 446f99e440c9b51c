"""Objects that are several particles: cut at their necks, or dropped by their Feret diameters."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit._util.validation import check_number
from cryokit.segmentation.mask import EIGHT, as_mask, fill_holes, particle_area
from cryokit.segmentation.shapes import Shape, components, convex_hull


def split_overlaps(
    mask: ArrayLike,
    diameter: float,
    *,
    depth: float = 0.05,
    smallest: float = 0.3,
    convexity: float = 0.96,
    largest_hole: float = 1.0,
) -> NDArray[np.bool_]:
    """Cut objects that are several touching particles at their necks.

    The distance to the nearest background has a maximum in each particle. Two maxima belong to two particles if the
    way from one to the other leads through a neck, where one has to descend by `depth` from the lower of them
    (h-maxima, Soille 1999, Morphological Image Analysis). A watershed of the distances from these maxima then puts the
    cuts through the necks (Beucher and Lantuejoul 1979). Round, square and oblong particles have no neck and stay
    whole. So do two squares side by side that make up one straight rectangle, and three particles that overlap in one
    place: `without_overlaps` drops them.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask of particles.
    diameter : float
        Particle diameter in pixels of `mask`.
    depth : float
        Difference in diameters between half the width of the narrower particle and half the width of the neck.
    smallest : float
        Particle areas (pi / 4 diameter^2) of the smallest part that is cut off.
    convexity : float
        Fraction of its convex hull that an object covers if it has no neck worth a look; saves time.
    largest_hole : float
        Particle areas of the largest holes that count as part of the object, so that rings stay whole. Where particles
        have no pale centres, 0 is better: the filled gap between three or four of them can pass for one more.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        `mask` without the cuts, one or two pixels wide; the parts do not touch each other, not even at corners.

    Raises
    ------
    ArgumentError
        If the mask has not two dimensions, or the diameter is not positive.

    Examples
    --------
    >>> y, x = np.mgrid[:60, :80]
    >>> two = np.minimum(np.hypot(x - 24, y - 30), np.hypot(x - 56, y - 30)) <= 20
    >>> len(components(two)), len(components(split_overlaps(two, diameter=40)))
    (1, 2)
    """
    mask = as_mask(mask)
    area = particle_area(diameter)
    result = mask.copy()
    for shape in components(mask):
        # Nothing can be cut off objects smaller than two of the smallest parts.
        if shape.area < 2 * smallest * area and shape.filled_area < 2 * smallest * area:
            continue
        filled = fill_holes(shape.mask, largest_hole * area)
        x, y = convex_hull(filled).T
        enclosed = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
        if np.count_nonzero(filled) >= convexity * enclosed:
            continue
        cuts = _cuts(filled, depth * diameter, smallest * area)
        if cuts is not None:
            left, top, width, height = shape.bounding_box
            result[top : top + height, left : left + width] &= ~(cuts & shape.mask)
    return result


def without_overlaps(
    shapes: Sequence[Shape], diameter: float, *, largest: float = 1.65
) -> tuple[list[Shape], list[Shape]]:
    """Drop objects that are too long or too large for one particle, as SuperCryoEMPicker does.

    A square side view as wide as the diameter has a longest Feret diameter of 1.41 and an area of 1.27 particles; if it
    is 1.3 times as long as wide, 1.64 and 1.65. Two round particles that overlap by 30 % of the diameter measure 1.7
    and 1.81.

    Parameters
    ----------
    shapes : sequence of Shape
        Objects of a mask.
    diameter : float
        Particle diameter in pixels of the mask.
    largest : float
        Largest size of one particle: the longest Feret diameter in particle diameters, and the area, with holes filled,
        in particle areas (pi / 4 diameter^2).

    Returns
    -------
    kept, dropped : list of Shape
        Objects in the order given.

    Raises
    ------
    ArgumentError
        If the diameter or the limit is not positive.

    Examples
    --------
    >>> y, x = np.mgrid[:60, :160]
    >>> one = np.hypot(x - 24, y - 30) <= 20
    >>> two = np.minimum(np.hypot(x - 84, y - 30), np.hypot(x - 120, y - 30)) <= 20
    >>> kept, dropped = without_overlaps(components(one | two), diameter=40)
    >>> [round(shape.x) for shape in kept], [round(shape.x) for shape in dropped]
    ([24], [102])
    """
    unit = particle_area(diameter)
    check_number("largest", largest, 0, above=True)
    kept: list[Shape] = []
    dropped: list[Shape] = []
    for shape in shapes:
        # The area first: the diameters take longer.
        single = shape.filled_area <= largest * unit and shape.feret.longest <= largest * diameter
        (kept if single else dropped).append(shape)
    return kept, dropped


def _cuts(mask: NDArray, depth: float, smallest: float) -> NDArray[np.bool_] | None:
    """Return the pixels that cut an object at its necks; None if it has no neck."""
    from skimage.morphology import local_maxima, reconstruction
    from skimage.segmentation import watershed

    distance = ndimage.distance_transform_edt(np.pad(mask, 1)).astype(np.float32)  # sorted faster than float64
    # Maxima that stand out by `depth` are those that stay maxima when all are cut down by `depth`.
    cut_down = reconstruction(distance - depth, distance)
    markers, n = ndimage.label(local_maxima(cut_down, connectivity=2), structure=EIGHT)
    parts = watershed(-distance, markers, mask=distance > 0, connectivity=2)
    # Without the maxima of too small parts their neighbours take them over, and only grow.
    large = np.bincount(parts.ravel(), minlength=n + 1) >= smallest
    large[0] = False
    if large.sum() < 2:
        return None
    if large.sum() < n:
        parts = watershed(-distance, markers * large[markers], mask=distance > 0, connectivity=2)
    # Pixels beside a part of lower number: one side of each boundary is enough.
    lowest = ndimage.minimum_filter(np.where(parts > 0, parts, n + 1), size=3, mode="nearest")
    return ((parts > 0) & (lowest < parts))[1:-1, 1:-1]
