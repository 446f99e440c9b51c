"""The objects of a mask and what their shapes measure: areas, outlines, calipers and rectangles."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from cryokit.errors import ArgumentError
from cryokit.segmentation.mask import EIGHT, as_mask, fill_holes

SAME = 1e-9  # relative: sizes that differ by less are equal but for rounding
STEPS = ((0, 1), (1, 2), (1, 1), (2, 1), (1, 0), (2, -1), (1, -1), (1, -2))  # rows, columns: half a turn, in order


@dataclass(frozen=True)
class Rectangle:
    """A rectangle in any direction.

    Attributes
    ----------
    x, y : float
        Centre in pixels.
    length, width : float
        Longer and shorter side in pixels.
    angle : float
        Direction of the longer side in degrees, in [0, 180), from the x axis towards the y axis (clockwise as pictures
        are shown). In [0, 90) for a square.
    """

    x: float
    y: float
    length: float
    width: float
    angle: float

    @property
    def corners(self) -> NDArray[np.float64]:
        """The four corners (x, y), shape (4, 2), in the sense of rotation of `angle`."""
        angle = math.radians(self.angle)
        along = np.array([math.cos(angle), math.sin(angle)])
        across = np.array([-along[1], along[0]]) * self.width / 2
        along = along * self.length / 2
        return np.array([self.x, self.y]) + np.array([-along - across, along - across, along + across, across - along])

    def mask(self, shape: tuple[int, int], top: int = 0, left: int = 0) -> NDArray[np.bool_]:
        """Return the pixels whose centres lie in the rectangle.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the mask.
        top, left : int
            Row and column of the mask's first pixel in the picture.

        Returns
        -------
        ndarray of bool, shape `shape`

        Examples
        --------
        >>> Rectangle(x=1.5, y=1, length=4, width=1, angle=0).mask((3, 5)).astype(int)
        array([[0, 0, 0, 0, 0],
               [1, 1, 1, 1, 0],
               [0, 0, 0, 0, 0]])
        """
        from skimage.draw import polygon

        # Larger by a rounding error, for pixels on the very outline.
        grown = replace(self, length=self.length + 2 * SAME, width=self.width + 2 * SAME)
        x, y = (grown.corners - (left, top)).T
        mask = np.zeros(shape, dtype=bool)
        mask[polygon(y, x, shape)] = True
        return mask


@dataclass(frozen=True)
class Feret:
    """Feret diameters of an object: its sizes between the jaws of a caliper.

    Attributes
    ----------
    longest, shortest : float
        Largest and smallest distance in pixels between two parallel lines that touch the object from both sides.
    angle : float
        Direction of the longest diameter in degrees, in [0, 180), from the x axis towards the y axis. The lowest of
        several.
    rectangle : Rectangle
        Rectangle of least area around the object: the "perfect" rectangle of a side view.
    """

    longest: float
    shortest: float
    angle: float
    rectangle: Rectangle


@dataclass(frozen=True, eq=False)
class Shape:
    """An object of a mask: pixels that touch each other, at least at their corners.

    Attributes
    ----------
    mask : ndarray of bool, shape (height, width)
        The object alone, cut to its bounding box.
    top, left : int
        Row and column of the mask's first pixel in the picture.
    """

    mask: NDArray[np.bool_]
    top: int
    left: int

    @cached_property
    def area(self) -> float:
        """Number of pixels, without those of holes."""
        return float(np.count_nonzero(self.mask))

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """The mask with all holes filled."""
        return fill_holes(self.mask)

    @cached_property
    def filled_area(self) -> float:
        """Number of pixels, with those of all holes."""
        return float(np.count_nonzero(self.filled))

    @cached_property
    def perimeter(self) -> float:
        """Length of the outer outline in pixels.

        The formula of Cauchy and Crofton: the mean width over all directions, times pi. The width in a direction is the
        distance of parallel lattice lines times how often they leave the object (holes filled), counted in 8 directions
        (steps to the side, across corners and of the chess knight), each of which stands for the angle up to half-way
        to its neighbours (Serra 1982, Image Analysis and Mathematical Morphology).

        scikit-image's `perimeter_crofton` has 4 directions at most: the circularity of a square of 36 pixels then
        varies from 1.13 to 1.32 as it turns, here from 1.21 to 1.28. Its `perimeter`, like MATLAB's, sums weighted
        steps between the centres of the border pixels: discs of radius 5, 20 and 50 have a circularity of 0.92, 1.06
        and 1.09, here 0.99, 1.00 and 1.00. Objects of one or two pixels across measure too short.
        """
        reach = 2  # pixels: of the longest step
        padded = np.pad(self.filled, reach)
        flat = padded.ravel()
        pixels = np.flatnonzero(flat)
        return sum(
            weight * np.count_nonzero(~flat[pixels + (rows * padded.shape[1] + columns)])
            for (rows, columns), weight in zip(STEPS, _STEP_WEIGHTS, strict=True)
        )

    @property
    def circularity(self) -> float:
        """perimeter^2 / (4 pi area): 1 for a disc, 1.27 for a square, more the less compact the object is."""
        return self.perimeter**2 / (4 * math.pi * self.area)

    @property
    def x(self) -> float:
        """Column of the centroid in the picture."""
        return self._centroid[0]

    @property
    def y(self) -> float:
        """Row of the centroid in the picture."""
        return self._centroid[1]

    @cached_property
    def _centroid(self) -> tuple[float, float]:
        y, x = ndimage.center_of_mass(self.mask)
        return self.left + float(x), self.top + float(y)

    @property
    def bounding_box(self) -> tuple[int, int, int, int]:
        """Left column, top row, width and height in pixels."""
        return self.left, self.top, self.mask.shape[1], self.mask.shape[0]

    @cached_property
    def feret(self) -> Feret:
        """Calipers and rectangle of least area, in coordinates of the picture."""
        return feret(self.mask, self.top, self.left)

    def touches_border(self, shape: tuple[int, int], margin: int = 0) -> bool:
        """Return whether the object reaches the border of a picture, and so may be part of something larger.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the picture.
        margin : int
            Distance in pixels from the outermost pixels that still counts as touching.
        """
        bottom, right = self.top + self.mask.shape[0], self.left + self.mask.shape[1]
        return min(self.top, self.left, shape[0] - bottom, shape[1] - right) <= margin


def components(mask: ArrayLike) -> list[Shape]:
    """Return the objects of a mask, 8-connected, in the order of their first pixels, row by row.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask.

    Returns
    -------
    list of Shape

    Raises
    ------
    ArgumentError
        If the mask has not two dimensions.

    Examples
    --------
    >>> mask = np.zeros((4, 6), dtype=bool); mask[:2, 1:4] = True; mask[3, 5] = True
    >>> [(shape.x, shape.y, shape.area, shape.bounding_box) for shape in components(mask)]
    [(2.0, 0.5, 6.0, (1, 0, 3, 2)), (5.0, 3.0, 1.0, (5, 3, 1, 1))]
    """
    # Half the time of skimage.measure.regionprops, whose other measures are not those of `Shape` (8-connected holes).
    labels, n = ndimage.label(as_mask(mask), structure=EIGHT)
    boxes = ndimage.find_objects(labels) if n else []
    return [Shape(labels[box] == label, box[0].start, box[1].start) for label, box in enumerate(boxes, 1)]


def label_image(shapes: Iterable[Shape], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Draw objects into a picture, each with its number: 1 for the first; 0 is background.

    Parameters
    ----------
    shapes : iterable of Shape
        Objects.
    shape : tuple of int
        Rows and columns of the picture in which they were found.

    Returns
    -------
    ndarray of int32, shape `shape`

    Examples
    --------
    >>> label_image(components([[1, 0, 0], [0, 0, 1]]), (2, 3))
    array([[1, 0, 0],
           [0, 0, 2]], dtype=int32)
    """
    labels = np.zeros(shape, dtype=np.int32)
    for label, object_ in enumerate(shapes, 1):
        left, top, width, height = object_.bounding_box
        labels[top : top + height, left : left + width][object_.mask] = label
    return labels


def shapes_at(shapes: Sequence[Shape], labels: NDArray, x: ArrayLike, y: ArrayLike) -> list[Shape | None]:
    """Return the object at each place, None where there is none.

    Parameters
    ----------
    shapes : sequence of Shape
        Objects.
    labels : ndarray of int, shape (rows, columns)
        Their `label_image`.
    x, y : array_like of float, shape (n,)
        Columns and rows of the places, inside the picture.
    """
    rows = np.clip(np.rint(y).astype(int), 0, labels.shape[0] - 1)
    columns = np.clip(np.rint(x).astype(int), 0, labels.shape[1] - 1)
    return [shapes[label - 1] if label else None for label in labels[rows, columns].tolist()]


def roundness(shape: Shape) -> float:
    """Return the intersection over union of the filled object and the disc of the same area and centre.

    Examples
    --------
    >>> row, column = np.mgrid[:41, :41] - 20
    >>> (disc,) = components(np.hypot(row, column) < 18)
    >>> (square,) = components(np.ones((30, 30), dtype=bool))
    >>> round(roundness(disc), 2), round(roundness(square), 2)
    (1.0, 0.83)
    """
    row, column = np.nonzero(shape.filled)
    area = shape.filled_area
    inside = int(((row - row.mean()) ** 2 + (column - column.mean()) ** 2 <= area / math.pi).sum())
    return inside / (2 * area - inside)


def rectangularity(shape: Shape) -> float:
    """Return the fraction of the perfect Feret rectangle that the filled object covers.

    Examples
    --------
    >>> (rectangle,) = components(np.ones((20, 30), dtype=bool))
    >>> rectangularity(rectangle)
    1.0
    """
    rectangle = shape.feret.rectangle
    return min(1.0, shape.filled_area / (rectangle.length * rectangle.width))


def feret(mask: ArrayLike, top: int = 0, left: int = 0) -> Feret:
    """Measure the Feret diameters of an object and its rectangle of least area.

    Both come from the convex hull of the pixels' corners, so that a single pixel measures 1 by 1, and its diagonal. The
    longest diameter joins two corners of the hull. The shortest diameter and the least rectangle have a side on an edge
    of the hull (Freeman and Shapira 1975, Commun. ACM 18:409; "rotating calipers", Toussaint 1983, Proc. IEEE MELECON),
    so all edges are tried. MATLAB's ``bwferet`` and ``regionprops`` measure in the same way.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask, all of whose pixels are taken as one object.
    top, left : int
        Row and column of the mask's first pixel in the picture: where the rectangle is put.

    Returns
    -------
    Feret

    Raises
    ------
    ArgumentError
        If the mask is empty.

    Examples
    --------
    >>> measured = feret(np.ones((3, 4)))
    >>> measured.longest, measured.shortest
    (5.0, 3.0)
    >>> measured.rectangle
    Rectangle(x=1.5, y=1.0, length=4.0, width=3.0, angle=0.0)
    """
    hull = convex_hull(mask)
    x, y = hull.T
    dx, dy = x[:, None] - x, y[:, None] - y
    squared = dx * dx + dy * dy  # whole numbers: equal diameters are exactly equal
    longest = squared.max()
    farthest = squared == longest
    angle = min(_degrees(dx, dy, 180) for dx, dy in zip(dx[farthest], dy[farthest], strict=True))

    # The hull along each of its edges, and across it.
    edges = np.concatenate([hull[1:], hull[:1]]) - hull
    along = (edges / np.hypot(edges[:, 0], edges[:, 1])[:, None]).T
    across = np.array([-along[1], along[0]])
    on_along, on_across = hull @ along, hull @ across
    first_along, first_across = on_along.min(axis=0), on_across.min(axis=0)
    lengths, widths = on_along.max(axis=0) - first_along, on_across.max(axis=0) - first_across
    areas = lengths * widths
    # Of several least rectangles, the one turned least: the choice must not depend on rounding.
    least = np.flatnonzero(areas <= areas.min() * (1 + SAME))
    turned, edge = min((_degrees(*along[:, edge], 90), edge) for edge in least)
    centre = (first_along + lengths / 2)[edge] * along[:, edge] + (first_across + widths / 2)[edge] * across[:, edge]
    length, width = float(lengths[edge]), float(widths[edge])
    if abs(length - width) > SAME * length:
        turned = _degrees(*(along if length > width else across)[:, edge], 180)
    # The first pixel's centre, not its corner, has the coordinates 0.
    rectangle = Rectangle(
        float(centre[0]) - 0.5 + left, float(centre[1]) - 0.5 + top, max(length, width), min(length, width), turned
    )
    return Feret(math.sqrt(longest), float(widths.min()), angle, rectangle)


def convex_hull(mask: ArrayLike) -> NDArray[np.int64]:
    """Return the convex hull of the pixels of a mask, pixels taken as squares.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask of one object.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Corners (x, y) in order around the hull. The pixel (row, column) reaches from (column, row) to (column + 1,
        row + 1): subtract 0.5 for coordinates that count from the first pixel's centre.

    Raises
    ------
    ArgumentError
        If the mask is empty.
    """
    mask = as_mask(mask)
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        raise ArgumentError("the mask is empty and has no outline; measure objects of at least one pixel")
    # Of each row only the outermost corners of pixels can be on the hull.
    left, right = mask[rows].argmax(axis=1), mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    corners = np.column_stack([np.concatenate([left, left, right, right]), np.concatenate([rows, rows + 1] * 2)])
    hull = corners[ConvexHull(corners).vertices[::-1]]
    # In one order whatever Qhull begins with: equal objects have equal measures to the last digit.
    return np.roll(hull, -np.lexsort(hull.T)[0], axis=0)


def _degrees(x: float, y: float, turn: int) -> float:
    """Return the direction of (x, y) in [0, turn), if directions that differ by `turn` degrees are the same."""
    angle = math.degrees(math.atan2(y, x)) % turn
    return 0.0 if angle > turn * (1 - SAME) else angle


# The angle that each step stands for, over its length (the reciprocal of the distance of its lines).
_ANGLES = np.arctan2(*np.transpose(STEPS))
_STEP_WEIGHTS = (np.append(_ANGLES[1:], np.pi) - np.append(_ANGLES[-1] - np.pi, _ANGLES[:-1])) / 2
_STEP_WEIGHTS = (_STEP_WEIGHTS / np.hypot(*np.transpose(STEPS))).tolist()
