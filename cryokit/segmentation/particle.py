"""Particles in a cleaned mask: top views are circles, side views rectangles, the others irregular."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.segmentation.hough import SMALLEST_RADIUS, Circles, hough_circles
from cryokit.segmentation.mask import as_mask, clean, particle_area
from cryokit.segmentation.measure import Shape, components, label_image
from cryokit.segmentation.overlap import split_overlaps, without_overlaps

RADII = (0.35, 0.65)  # diameters: circles of a top view; side views are longer, so the range is wide
ROUNDEST = 0.87  # overlap with the disc of the same area: discs reach 0.9 and more, squares 0.84
OPENING = 0.075  # diameters: strings of noise that hang on an object are thinner
IRREGULAR_BOX = 1.125  # the predecessors' margin around irregular particles


@dataclass(frozen=True)
class Circle:
    """A circle of the Hough transform, in pixels; `strength` is the share of its circumference that was seen."""

    x: float
    y: float
    radius: float
    strength: float


@dataclass(frozen=True, eq=False)
class Particle:
    """One particle in the working picture.

    Attributes
    ----------
    x, y : float
        Centre, working pixels.
    view : {"top", "side", "irregular"}
    diameter : float
        Side of its box: the circle's diameter, the longer side of the rectangle, or mean side of the bounding box.
    angle : float
        Of the rectangle's longer side, degrees in [0, 180) from the x axis towards +y; NaN for other views.
    shape : Shape or None
        Its object in the mask; None where the mask shows none.
    circle : Circle or None
        The circle that was found around it.
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

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of its square box."""
        return (self.x - self.diameter / 2, self.y - self.diameter / 2, self.diameter, self.diameter)


def roundness(shape: Shape) -> float:
    """Return how much of the disc of the same area and centre the filled object shares (intersection over union).

    Examples
    --------
    >>> row, column = np.mgrid[:41, :41] - 20
    >>> (disc,) = components(np.hypot(row, column) < 18)
    >>> (square,) = components(np.ones((30, 30), dtype=bool))
    >>> round(roundness(disc), 2), round(roundness(square), 2)
    (1.0, 0.83)
    """
    filled = ndimage.binary_fill_holes(shape.mask)
    area = float(filled.sum())
    row, column = np.nonzero(filled)
    squared = area / math.pi
    inside = int(((row - row.mean()) ** 2 + (column - column.mean()) ** 2 <= squared).sum())
    return inside / (2 * area - inside)


def rectangularity(shape: Shape) -> float:
    """Return the part of the perfect Feret rectangle that the filled object fills.

    Examples
    --------
    >>> (rectangle,) = components(np.ones((20, 30), dtype=bool))
    >>> rectangularity(rectangle)
    1.0
    """
    rectangle = shape.feret.rectangle
    return shape.filled_area / (rectangle.length * rectangle.width)


def circle_overlap(shape: Shape, circle: Circle) -> float:
    """Return the intersection over union of a filled object and a full disc: 1 for a perfect top view."""
    filled = ndimage.binary_fill_holes(shape.mask)
    row, column = np.nonzero(filled)
    row, column = row + shape.top, column + shape.left
    both = int(((column - circle.x) ** 2 + (row - circle.y) ** 2 <= circle.radius**2).sum())
    # The disc is counted in whole pixels here, and exactly there.
    return min(1.0, both / (len(row) + math.pi * circle.radius**2 - both))


def objects(mask: ArrayLike, diameter: float, *, smallest: float = 0.3) -> list[Shape]:
    """Return the objects of a filled mask, without hanging strings, and cut where several particles touch.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
    diameter : float
        Of the particle, in pixels of `mask`.
    smallest : float
        Particle areas; nothing smaller is cut off. Where masks of particles are whole discs, 0.6 saves much time.

    Returns
    -------
    list of Shape
    """
    mask = as_mask(mask)
    radius = round(OPENING * diameter)
    if radius > 0 and min(mask.shape) > 0:
        offset = np.arange(-radius, radius + 1)
        disc = np.hypot(offset[:, None], offset) <= radius
        # Beyond the border lies neither particle nor background.
        padded = np.pad(mask, 2 * radius, mode="edge")
        mask = ndimage.binary_opening(padded, disc)[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    return components(split_overlaps(mask, diameter, smallest=smallest))


def filled(mask: ArrayLike, diameter: float, closing: float = 0.05) -> NDArray[np.bool_]:
    """Close the gaps in outlines and fill what they enclose, nothing else: rings and frames become discs and squares.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
    diameter : float
        Of the particle, in pixels.
    closing : float
        Diameters; radius of the disc that closes gaps.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
    """
    return clean(mask, diameter, smallest=0, erosion=0, closing=closing, dilation=0, largest_hole=1.2)


def top_views(
    mask: ArrayLike,
    diameter: float,
    *,
    radii: tuple[float, float] = RADII,
    strength: float = 0.4,
    least_round: float = 5.0,
) -> list[Particle]:
    """Find top views in a cleaned mask: circles of the modified Hough transform (AutoCryoPicker).

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
    diameter : float
        Of the particle, in pixels of `mask`.
    radii : (float, float)
        Diameters.
    strength : float
        Share of the circumference that must be seen.
    least_round : float
        Objects of a circularity (perimeter^2 / 4 pi area) of this or more are left out.

    Returns
    -------
    list of Particle
        Strongest circle first.
    """
    shapes = [shape for shape in components(mask) if shape.circularity < least_round]
    labels = label_image(shapes, np.shape(mask))
    found = hough_circles(labels > 0, circle_radii(diameter, radii), threshold=strength)
    under = shapes_at(shapes, labels, found.x, found.y)
    return [_top(circle, shape) for circle, shape in zip(each_circle(found), under, strict=True)]


def circle_radii(diameter: float, radii: tuple[float, float] = RADII) -> tuple[float, float]:
    """Return the range of radii, in pixels, in which circles are looked for: none too small for the Hough transform."""
    smallest = max(radii[0] * diameter, SMALLEST_RADIUS)
    return smallest, max(radii[1] * diameter, 1.5 * smallest)


def _top(circle: Circle, shape: Shape | None) -> Particle:
    return Particle(circle.x, circle.y, "top", 2 * circle.radius, math.nan, shape, circle, circle.strength)


def each_circle(circles: Circles) -> list[Circle]:
    """Return circles one by one."""
    columns = (circles.x, circles.y, circles.radius, circles.strength)
    return [Circle(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


def side_views(
    mask: ArrayLike,
    diameter: float,
    *,
    smallest: float = 0.4,
    longest: float = 1.65,
    aspect: float = 1.7,
    rectangular: float = 0.65,
) -> list[Particle]:
    """Find side views in a cleaned mask: what is neither round nor too far from a rectangle, nor several particles.

    Each object that stays is replaced by its perfect Feret rectangle, which gives centre, size and angle
    (AutoCryoPicker).

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
    diameter : float
        Of the particle, in pixels of `mask`.
    smallest : float
        Particle areas (pi / 4 diameter^2); smaller objects are debris.
    longest : float
        Diameters; an object of a longer Feret diameter, or of as many areas, is several particles.
    aspect : float
        Longer side of the rectangle over the shorter one, at most.
    rectangular : float
        Part of the rectangle that is filled, at least.

    Returns
    -------
    list of Particle
        Best filled rectangle first.
    """
    shapes = [shape for shape in components(mask) if shape.area >= smallest * particle_area(diameter)]
    shapes, _ = without_overlaps(shapes, diameter, longest=longest, area=longest)
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
    """Find irregular particles in a cleaned mask: its objects but the smallest (SuperCryoEMPicker).

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
    diameter : float
        Of the particle, in pixels of `mask`.
    percentile : float
        Of the filled areas; objects at or below it are left out (15 to 30 in SuperCryoEMPicker).
    longest : float
        Diameters; longer objects are ice or carbon.

    Returns
    -------
    list of Particle
        Largest first. All have the box of their mean width and height, 1.125 times as large; the score is the filled
        area in particle areas, 1 at most.
    """
    shapes = [shape for shape in components(mask) if max(shape.bounding_box[2:]) <= longest * diameter]
    if not shapes:
        return []
    areas = np.array([shape.filled_area for shape in shapes])
    # Equal areas must not all fall at their own percentile.
    limit = np.percentile(areas, percentile) if np.ptp(areas) > 0 else 0.0
    kept = [shape for shape, area in zip(shapes, areas, strict=True) if area > limit]
    side = IRREGULAR_BOX * float(np.mean([shape.bounding_box[2:] for shape in kept]))
    particles = [
        Particle(
            *_middle(shape.bounding_box),
            "irregular",
            side,
            math.nan,
            shape,
            None,
            min(1.0, shape.filled_area / particle_area(diameter)),
        )
        for shape in kept
    ]
    return sorted(particles, key=lambda particle: -particle.score)


def _middle(box: Sequence[float]) -> tuple[float, float]:
    left, top, width, height = box
    return left + (width - 1) / 2, top + (height - 1) / 2


def shapes_at(shapes: Sequence[Shape], labels: NDArray, x: ArrayLike, y: ArrayLike) -> list[Shape | None]:
    """Return the object at each place, None where there is none.

    Parameters
    ----------
    shapes : sequence of Shape
    labels : ndarray of int, shape (rows, columns)
        Their `label_image`.
    x, y : array_like, shape (n,)
        Inside the picture.
    """
    rows = np.clip(np.rint(y).astype(int), 0, labels.shape[0] - 1)
    columns = np.clip(np.rint(x).astype(int), 0, labels.shape[1] - 1)
    return [shapes[index - 1] if index else None for index in labels[rows, columns].tolist()]
