"""Particles in a cleaned mask: top views are circles, side views rectangles, the others irregular."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.segmentation.hough import SMALLEST_RADIUS, Circle, hough_circles
from cryokit.segmentation.mask import as_mask, clean, disc, particle_area
from cryokit.segmentation.overlap import split_overlaps, without_overlaps
from cryokit.segmentation.shapes import Shape, components, label_image, rectangularity, roundness, shapes_at

RADII = (0.35, 0.65)  # diameters: circles of a top view; side views are longer, so the range is wide
ROUNDEST = 0.87  # overlap with the disc of the same area: discs reach 0.9 and more, squares 0.84
OPENING = 0.075  # diameters: strings of noise that hang on an object are thinner
IRREGULAR_BOX = 1.125  # the predecessors' margin around irregular particles


@dataclass(frozen=True, eq=False)
class Particle:
    """A particle in the working picture.

    Attributes
    ----------
    x, y : float
        Centre in working pixels.
    view : {"top", "side", "irregular"}
    diameter : float
        Side of its box: diameter of the circle, longer side of the rectangle, or mean side of the bounding box.
    angle : float
        Direction of the rectangle's longer side in degrees, in [0, 180), from the x axis towards +y; NaN for other
        views.
    shape : Shape or None
        Its object in the mask; None where the mask has none.
    circle : Circle or None
        The circle around it, if there is one.
    score : float
        Evidence, larger is better; its unit is the method's.
    """

    x: float
    y: float
    view: str
    diameter: float
    angle: float
    shape: Shape | None
    circle: Circle | None
    score: float


def circle_overlap(shape: Shape, circle: Circle) -> float:
    """Return the intersection over union of a filled object and a full disc: 1 for a perfect top view."""
    row, column = np.nonzero(shape.filled)
    row, column = row + shape.top, column + shape.left
    both = int(((column - circle.x) ** 2 + (row - circle.y) ** 2 <= circle.radius**2).sum())
    # The intersection is counted in whole pixels, the disc's area is exact.
    return min(1.0, both / (len(row) + math.pi * circle.radius**2 - both))


def objects(mask: ArrayLike, diameter: float, *, smallest: float = 0.3) -> list[Shape]:
    """Return the objects of a filled mask, without hanging strings, and cut where several particles touch.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask with filled particles.
    diameter : float
        Particle diameter in pixels of `mask`.
    smallest : float
        Particle areas of the smallest part that is cut off. Where masks of particles are whole discs, 0.6 saves much
        time.

    Returns
    -------
    list of Shape
    """
    mask = as_mask(mask)
    radius = round(OPENING * diameter)
    if radius > 0 and min(mask.shape) > 0:
        # Beyond the border lies neither particle nor background.
        padded = np.pad(mask, 2 * radius, mode="edge")
        mask = ndimage.binary_opening(padded, disc(radius))[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    return components(split_overlaps(mask, diameter, smallest=smallest))


def filled(mask: ArrayLike, diameter: float, closing: float = 0.05) -> NDArray[np.bool_]:
    """Close the gaps in outlines and fill what they enclose: rings and frames become discs and squares.

    Parameters
    ----------
    mask, diameter
        As for `objects`.
    closing : float
        Radius in diameters of the disc that closes gaps.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
    """
    return clean(mask, diameter, smallest=0, erosion=0, closing=closing, dilation=0, largest_hole=1.2)


def top_views(mask: ArrayLike, diameter: float, *, strength: float = 0.4, least_round: float = 5.0) -> list[Particle]:
    """Find top views in a cleaned mask: circles of the modified Hough transform (AutoCryoPicker).

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Cleaned mask.
    diameter : float
        Particle diameter in pixels of `mask`.
    strength : float
        Smallest share of the circumference that has an edge on it.
    least_round : float
        Circularity (perimeter^2 / 4 pi area) from which objects are left out.

    Returns
    -------
    list of Particle
        Strongest circle first.
    """
    shapes = [shape for shape in components(mask) if shape.circularity < least_round]
    labels = label_image(shapes, np.shape(mask))
    circles = hough_circles(labels > 0, circle_radii(diameter), threshold=strength)
    return [
        Particle(circle.x, circle.y, "top", 2 * circle.radius, math.nan, shape, circle, circle.strength)
        for circle, shape in zip(circles, shapes_at(shapes, labels, circles.x, circles.y), strict=True)
    ]


def circle_radii(diameter: float) -> tuple[float, float]:
    """Return the range of radii in pixels in which to look for circles: none too small for the Hough transform."""
    smallest = max(RADII[0] * diameter, SMALLEST_RADIUS)
    return smallest, max(RADII[1] * diameter, 1.5 * smallest)


def side_views(
    mask: ArrayLike,
    diameter: float,
    *,
    smallest: float = 0.4,
    longest: float = 1.65,
    aspect: float = 1.7,
    rectangular: float = 0.65,
) -> list[Particle]:
    """Find side views in a cleaned mask: objects that are not round, close to a rectangle, and a single particle.

    Each object that stays is replaced by its perfect Feret rectangle, which gives centre, size and angle
    (AutoCryoPicker).

    Parameters
    ----------
    mask, diameter
        As for `top_views`.
    smallest : float
        Particle areas (pi / 4 diameter^2) below which an object is debris.
    longest : float
        Diameters that the longest Feret diameter of one particle does not exceed, and particle areas that its area does
        not exceed.
    aspect : float
        Largest ratio of the rectangle's sides, longer over shorter.
    rectangular : float
        Smallest fraction of the rectangle that the object covers.

    Returns
    -------
    list of Particle
        Best filled rectangle first.
    """
    shapes = [shape for shape in components(mask) if shape.area >= smallest * particle_area(diameter)]
    shapes, _ = without_overlaps(shapes, diameter, largest=longest)
    particles = []
    for shape in shapes:
        rectangle = shape.feret.rectangle
        fill = rectangularity(shape)
        if roundness(shape) < ROUNDEST and rectangle.length <= aspect * rectangle.width and fill >= rectangular:
            particles.append(
                Particle(rectangle.x, rectangle.y, "side", rectangle.length, rectangle.angle, shape, None, fill)
            )
    return sorted(particles, key=lambda particle: -particle.score)


def irregular_views(
    mask: ArrayLike, diameter: float, *, percentile: float = 20.0, longest: float = 2.5
) -> list[Particle]:
    """Find irregular particles in a cleaned mask: its objects except for the smallest (SuperCryoEMPicker).

    Parameters
    ----------
    mask, diameter
        As for `top_views`.
    percentile : float
        Percentile of the filled areas up to which objects are left out (15 to 30 in SuperCryoEMPicker).
    longest : float
        Diameters above which an object is ice or carbon.

    Returns
    -------
    list of Particle
        Largest first. All have the same box, 1.125 times as large as their mean width and height; the score is the
        filled area in particle areas, at most 1.
    """
    shapes = [shape for shape in components(mask) if max(shape.bounding_box[2:]) <= longest * diameter]
    if not shapes:
        return []
    areas = np.array([shape.filled_area for shape in shapes])
    # Equal areas must not all fall at their own percentile.
    limit = np.percentile(areas, percentile) if np.ptp(areas) > 0 else 0.0
    kept = [shape for shape, area in zip(shapes, areas, strict=True) if area > limit]
    side = IRREGULAR_BOX * float(np.mean([shape.bounding_box[2:] for shape in kept]))
    particles = []
    for shape in kept:
        left, top, width, height = shape.bounding_box
        score = min(1.0, shape.filled_area / particle_area(diameter))
        centre = left + (width - 1) / 2, top + (height - 1) / 2
        particles.append(Particle(*centre, "irregular", side, math.nan, shape, None, score))
    return sorted(particles, key=lambda particle: -particle.score)
