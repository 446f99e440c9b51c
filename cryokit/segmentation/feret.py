"""Feret diameters: how an object measures between the jaws of a caliper, and the rectangle that fits it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import CryokitError
from cryokit.segmentation.mask import as_mask

SAME = 1e-9  # relative; sizes that differ by less are equal but for rounding


@dataclass(frozen=True)
class Rectangle:
    """A rectangle in any direction.

    Attributes
    ----------
    x, y : float
        Centre, pixels.
    length, width : float
        The longer and the shorter side, pixels.
    angle : float
        Of the longer side: degrees in [0, 180), from the x axis towards the y axis (clockwise as pictures are shown).
        In [0, 90) for a square.
    """

    x: float
    y: float
    length: float
    width: float
    angle: float

    @property
    def corners(self) -> NDArray[np.float64]:
        """The four corners (x, y), shape (4, 2), in the sense of rotation of `angle`."""
        along, across = self._axes()
        along, across = along * self.length / 2, across * self.width / 2
        return np.array([self.x, self.y]) + np.array([-along - across, along - across, along + across, across - along])

    def mask(self, shape: tuple[int, int], top: int = 0, left: int = 0) -> NDArray[np.bool_]:
        """Return the pixels whose centres lie in the rectangle.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the mask.
        top, left : int
            Where the mask's first pixel lies in the picture.

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
        # Only the rectangle's own bounding box is looked at: pictures are large, particles small.
        low, high = self.corners.min(axis=0) - (left, top), self.corners.max(axis=0) - (left, top)
        first = np.clip(np.floor(low).astype(int), 0, shape[::-1])
        end = np.clip(np.ceil(high).astype(int) + 1, 0, shape[::-1])
        x = np.arange(first[0], end[0]) + (left - self.x)
        y = np.arange(first[1], end[1])[:, None] + (top - self.y)
        along, across = self._axes()
        inside = np.abs(x * along[0] + y * along[1]) <= self.length / 2 + SAME
        inside &= np.abs(x * across[0] + y * across[1]) <= self.width / 2 + SAME
        mask = np.zeros(shape, dtype=bool)
        mask[first[1] : end[1], first[0] : end[0]] = inside
        return mask

    def _axes(self) -> tuple[NDArray, NDArray]:
        angle = math.radians(self.angle)
        along = np.array([math.cos(angle), math.sin(angle)])
        return along, np.array([-along[1], along[0]])


@dataclass(frozen=True)
class Feret:
    """The Feret diameters of an object.

    Attributes
    ----------
    longest, shortest : float
        The largest and the smallest distance between two parallel lines that touch the object from both sides, pixels.
    angle : float
        Of the longest: degrees in [0, 180), from the x axis towards the y axis. Of several equal ones the lowest.
    rectangle : Rectangle
        The rectangle of least area around the object: the "perfect" rectangle of a side view.
    """

    longest: float
    shortest: float
    angle: float
    rectangle: Rectangle


def convex_hull(mask: ArrayLike) -> NDArray[np.int64]:
    """Return the convex hull of the pixels of a mask, pixels taken as squares.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Corners (x, y) in order around the hull, where pixel (row, column) reaches from (column, row) to
        (column + 1, row + 1): subtract 0.5 for coordinates that count from the first pixel's centre.

    Raises
    ------
    CryokitError
        When no pixel is True.
    """
    mask = as_mask(mask)
    filled = mask.any(axis=1)
    if not filled.any():
        raise CryokitError("an empty mask has no outline; measure objects of at least one pixel")
    columns = mask.shape[1]
    # Of each line between two rows only the outermost corners of pixels can be on the hull.
    left = np.where(filled, mask.argmax(axis=1), columns)
    right = np.where(filled, columns - mask[:, ::-1].argmax(axis=1), 0)
    left = np.minimum(np.append(left, columns), np.append(columns, left))
    right = np.maximum(np.append(right, 0), np.append(0, right))
    rows = np.flatnonzero(left < right)
    down, up = rows.tolist(), rows[::-1].tolist()
    corners = _chain(list(zip(left[rows].tolist(), down, strict=True)))
    corners += _chain(list(zip(right[rows[::-1]].tolist(), up, strict=True)))
    return np.array(corners)


def _chain(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Keep of points in order of their rows those where the hull turns (Andrew 1979, Inf. Process. Lett. 9:216).

    In whole numbers it is exact, and for the outlines of particles faster than a call of Qhull.
    """
    kept: list[tuple[int, int]] = []
    for x, y in points:
        while len(kept) > 1:
            (x0, y0), (x1, y1) = kept[-2:]
            if (x1 - x0) * (y - y1) - (y1 - y0) * (x - x1) < 0:
                break
            kept.pop()
        kept.append((x, y))
    return kept


def feret(mask: ArrayLike, top: int = 0, left: int = 0) -> Feret:
    """Measure the Feret diameters of an object and its rectangle of least area.

    Both come from the convex hull of the pixels' corners, so that a single pixel measures 1 by 1 and its diagonal. The
    longest diameter joins two corners of the hull. For the shortest diameter and for the least rectangle one side
    lies on an edge of the hull (Freeman and Shapira 1975, Commun. ACM 18:409; "rotating calipers", Toussaint 1983,
    Proc. IEEE MELECON), so all edges are tried. MATLAB's ``bwferet`` and ``regionprops`` measure so, too.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        All its True pixels are taken as one object.
    top, left : int
        Where the mask's first pixel lies in the picture; moves the rectangle.

    Returns
    -------
    Feret

    Raises
    ------
    CryokitError
        When no pixel is True.

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

    # Edge by edge, the corners along it and across it.
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


def _degrees(x: float, y: float, turn: int) -> float:
    """Direction of (x, y) in [0, turn), where directions that differ by `turn` degrees are the same."""
    angle = math.degrees(math.atan2(y, x)) % turn
    return 0.0 if angle > turn * (1 - SAME) else angle
