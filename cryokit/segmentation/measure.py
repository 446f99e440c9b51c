"""The objects of a mask and what their shapes measure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.segmentation.feret import Feret, feret
from cryokit.segmentation.mask import EIGHT, as_mask, fill_holes

REACH = 2  # pixels; of the longest step below
STEPS = ((0, 1), (1, 2), (1, 1), (2, 1), (1, 0), (2, -1), (1, -1), (1, -2))  # rows, columns: half a turn, in order


@dataclass(frozen=True, eq=False)
class Shape:
    """An object of a mask: pixels that touch each other, at least at their corners.

    Attributes
    ----------
    mask : ndarray of bool, shape (height, width)
        The object alone, cut to its bounding box.
    top, left : int
        Row and column of the mask's first pixel in the picture.
    area : float
        Number of pixels, without those of holes.
    perimeter : float
        Length of the outer outline, pixels; see `components` for how it is measured.
    """

    mask: NDArray[np.bool_]
    top: int
    left: int
    area: float
    perimeter: float

    @property
    def circularity(self) -> float:
        """perimeter^2 / (4 pi area): 1 for a disc, 1.27 for a square, more the less compact the object is."""
        return self.perimeter**2 / (4 * math.pi * self.area)

    @property
    def x(self) -> float:
        """Column of the centre of gravity in the picture, pixels."""
        return self._centroid[0]

    @property
    def y(self) -> float:
        """Row of the centre of gravity in the picture, pixels."""
        return self._centroid[1]

    @cached_property
    def _centroid(self) -> tuple[float, float]:
        height, width = self.mask.shape
        x = self.mask.sum(axis=0) @ np.arange(width) / self.area
        y = self.mask.sum(axis=1) @ np.arange(height) / self.area
        return self.left + float(x), self.top + float(y)

    @cached_property
    def filled_area(self) -> float:
        """Number of pixels with those of all holes."""
        return float(np.count_nonzero(fill_holes(self.mask)))

    @property
    def bounding_box(self) -> tuple[int, int, int, int]:
        """Left column, top row, width and height, pixels."""
        return self.left, self.top, self.mask.shape[1], self.mask.shape[0]

    @cached_property
    def feret(self) -> Feret:
        """The calipers and the rectangle of least area, in coordinates of the picture."""
        return feret(self.mask, self.top, self.left)

    def touches_border(self, shape: tuple[int, int], margin: int = 0) -> bool:
        """Return whether the object reaches the border of a picture, and so may be part of something larger.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the picture.
        margin : int
            Pixels; coming this close to the outermost pixels counts, too.

        Returns
        -------
        bool
        """
        bottom, right = self.top + self.mask.shape[0], self.left + self.mask.shape[1]
        nearest = min(self.top, self.left, shape[0] - bottom, shape[1] - right)
        return nearest <= margin


def components(mask: ArrayLike) -> list[Shape]:
    """Return the objects of a mask, 8-connected, in the order of their first pixels, row by row.

    The perimeter is that of the outer outline (holes filled), by the formula of Cauchy and Crofton: the mean width over
    all directions, times pi. The width in a direction is the distance of parallel lattice lines times the number
    of times they leave the object, counted in 8 directions (steps to the side, across corners and of the chess
    knight); each stands for the angle up to half-way to its neighbours (Serra 1982, Image Analysis and Mathematical
    Morphology; scikit-image's `perimeter_crofton` has at most 4). For discs of radius 8 to 50 the circularity is within
    0.03 of 1, and squares come out alike in all directions; objects of one or two pixels across measure too short.

    MATLAB's ``regionprops(..., 'Perimeter')`` sums weighted steps between the centres of the border pixels (0.980
    straight, 1.406 diagonal, -0.091 a corner; Vossepoel and Smeulders 1982), half a pixel inside the outline: its
    P^2 / (4 pi A) of a disc of radius r is smaller by a factor of about (1 - 0.5 / r)^2, for which ``'Circularity'``
    of newer versions corrects.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)

    Returns
    -------
    list of Shape

    Raises
    ------
    CryokitError
        When the mask has not two dimensions.

    Examples
    --------
    >>> mask = np.zeros((4, 6), dtype=bool); mask[:2, 1:4] = True; mask[3, 5] = True
    >>> [(shape.x, shape.y, shape.area, shape.bounding_box) for shape in components(mask)]
    [(2.0, 0.5, 6.0, (1, 0, 3, 2)), (5.0, 3.0, 1.0, (5, 3, 1, 1))]
    """
    labels, n = ndimage.label(as_mask(mask), structure=EIGHT)
    if n == 0:
        return []
    boxes = ndimage.find_objects(labels)
    areas = np.bincount(labels.ravel(), minlength=n + 1)
    perimeters = _outer_perimeters(labels, boxes)
    return [
        Shape(labels[box] == label, box[0].start, box[1].start, float(areas[label]), float(perimeters[label]))
        for label, box in enumerate(boxes, 1)
    ]


def label_image(shapes: Iterable[Shape], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Draw objects into a picture, each with its number: 1 for the first, 0 is background.

    Parameters
    ----------
    shapes : iterable of Shape
    shape : tuple of int
        Rows and columns of the picture in which the shapes were found.

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


def _step_weights() -> list[float]:
    """Angle that each step stands for, over its length (the reciprocal of the distance of its lattice lines)."""
    angles = [math.atan2(rows, columns) for rows, columns in STEPS]
    before, after = [angles[-1] - math.pi, *angles[:-1]], [*angles[1:], math.pi]
    return [(last - first) / 2 / math.hypot(*step) for first, last, step in zip(before, after, STEPS, strict=True)]


def _perimeters(labels: NDArray, n: int) -> NDArray[np.float64]:
    """Perimeters of the labels 0 to n, holes included; that of 0 is 0."""
    padded = np.pad(labels, REACH)
    flat = padded.ravel()
    pixels = np.flatnonzero(flat)
    own = flat[pixels]
    result = np.zeros(n + 1)
    for (rows, columns), weight in zip(STEPS, _step_weights(), strict=True):
        leaves = flat[pixels + (rows * padded.shape[1] + columns)] != own
        result += weight * np.bincount(own[leaves], minlength=n + 1)
    return result


def _outer_perimeters(labels: NDArray, boxes: list[tuple[slice, slice]]) -> NDArray[np.float64]:
    """Perimeters of the labels 0 to n without those of holes.

    Holes are filled with the label around them. Only objects with others inside their holes are measured one by one.
    """
    n = len(boxes)
    framed = np.pad(labels, 1)
    background, found = ndimage.label(framed == 0)
    if found < 2:
        return _perimeters(labels, n)
    width = framed.shape[1]
    filled, background = framed.ravel(), background.ravel()
    holes = np.flatnonzero(background > 1)
    # Above the first pixel of a hole is the object around it, above the first of an object the background around it.
    around = filled[_first(background, holes, found + 1) - width]
    outside = background[_first(filled, np.flatnonzero(filled), n + 1) - width]
    with_others = np.unique(around[outside[1:][outside[1:] > 1]])
    filled[holes] = around[background[holes]]
    result = _perimeters(framed, n)
    for label in with_others:
        whole = fill_holes(labels[boxes[label - 1]] == label)
        result[label] = _perimeters(whole.astype(np.int32), 1)[1]
    return result


def _first(labels: NDArray, pixels: NDArray, n: int) -> NDArray[np.intp]:
    """Lowest of the flat indices `pixels` (increasing) with each label below n; 0 where there is none."""
    first = np.zeros(n, dtype=np.intp)
    first[labels[pixels[::-1]]] = pixels[::-1]  # the last one written stays
    return first
