"""Where the pixels of a picture lie in the picture it was made from: the one place that computes positions.

Every operation that changes the geometry of a picture (cropping, padding, binning, enlarging, scoring every eighth
pixel) returns a `Picture`: the new pixels and their `Frame`. Frames are put together with `Frame.then`, and take
positions both ways, so that no other module has to know what happened to a picture on its way.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import ArgumentError


@dataclass(frozen=True)
class Frame:
    """Linear map, along each axis, between the positions in a picture and those in its source.

    The position ``(x, y)`` in the picture is ``(x0 + step_x * x, y0 + step_y * y)`` in the source. Positions are
    floats, column and row, and the centre of a picture's first pixel is 0.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the picture.
    source : tuple of int
        Rows and columns of the source, usually the micrograph as stored.
    x0, y0 : float
        Position in the source of the centre of the picture's first pixel.
    step_x, step_y : float
        Distance of neighbouring columns and rows of the picture, in pixels of the source.

    Examples
    --------
    Crop 10 columns and 20 rows off a micrograph, then average blocks of 4 x 4 pixels:

    >>> cropped = Frame.whole((1240, 1200)).crop(slice(20, 1240), slice(10, 1200))
    >>> binned = cropped.then(Frame((305, 297), (1220, 1190), 1.5, 1.5, 4.0, 4.0))
    >>> x, y = binned.to_source([0, 100], [0, 50])
    >>> x.tolist(), y.tolist()
    ([11.5, 411.5], [21.5, 221.5])
    """

    shape: tuple[int, int]
    source: tuple[int, int]
    x0: float = 0.0
    y0: float = 0.0
    step_x: float = 1.0
    step_y: float = 1.0

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Frame:
        """Return the frame of a picture that is its own source.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns.
        """
        return cls(tuple(shape), tuple(shape))

    @property
    def step(self) -> float:
        """Pixels of the source to one of the picture: divide a length in the source by it to get that in the picture.

        The geometric mean of both axes, which differ by less than a pixel in the picture's size.
        """
        return math.sqrt(self.step_x * self.step_y)

    def to_source(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where positions in the picture lie in the source.

        Parameters
        ----------
        x, y : array_like of float
            Columns and rows in the picture.

        Returns
        -------
        x, y : ndarray of float64
            Columns and rows in the source.
        """
        return self.x0 + self.step_x * np.asarray(x, np.float64), self.y0 + self.step_y * np.asarray(y, np.float64)

    def from_source(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where positions in the source lie in the picture: the inverse of `to_source`.

        Parameters
        ----------
        x, y : array_like of float
            Columns and rows in the source.

        Returns
        -------
        x, y : ndarray of float64
            Columns and rows in the picture.
        """
        return (np.asarray(x, np.float64) - self.x0) / self.step_x, (np.asarray(y, np.float64) - self.y0) / self.step_y

    def then(self, inner: Frame) -> Frame:
        """Return the frame, in this frame's source, of a picture that was made from this frame's picture.

        Parameters
        ----------
        inner : Frame
            Frame of the new picture; its source is this frame's picture.

        Returns
        -------
        Frame

        Raises
        ------
        ArgumentError
            If the source of `inner` has another shape than this frame's picture.
        """
        if tuple(inner.source) != tuple(self.shape):
            raise ArgumentError(
                f"the inner frame is of a picture of {inner.source[0]} x {inner.source[1]} pixels, "
                f"this one's picture has {self.shape[0]} x {self.shape[1]}"
            )
        return Frame(
            inner.shape,
            self.source,
            self.x0 + self.step_x * inner.x0,
            self.y0 + self.step_y * inner.y0,
            self.step_x * inner.step_x,
            self.step_y * inner.step_y,
        )

    def moved(self, x: float, y: float) -> Frame:
        """Return the frame of the same picture with all positions moved.

        Parameters
        ----------
        x, y : float
            Displacement in pixels of the source.
        """
        return dataclasses.replace(self, x0=self.x0 + x, y0=self.y0 + y)

    def crop(self, rows: slice, columns: slice) -> Frame:
        """Return the frame of a part of the picture.

        Parameters
        ----------
        rows, columns : slice
            Part of the picture, with integer limits and without a step. Limits beyond the picture stand for padding:
            ``slice(-5, 105)`` is a picture of 100 rows with 5 more at each end.

        Returns
        -------
        Frame
        """
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        return self.then(Frame(shape, self.shape, float(columns.start), float(rows.start)))


class Picture(NamedTuple):
    """Pixels, and where they lie in the picture they were made from.

    Attributes
    ----------
    data : ndarray of float32, shape (rows, columns)
        Grey values.
    frame : Frame
        Frame of `data`.
    """

    data: NDArray[np.float32]
    frame: Frame
