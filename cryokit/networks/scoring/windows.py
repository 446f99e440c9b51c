"""Windows on a picture: where they lie, and what they show beyond its borders. The same for every way of scoring."""

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import ArgumentError
from cryokit.imaging.frame import Frame


def lattice(shape: tuple[int, int], window: int, stride: int, pad: bool) -> Frame:
    """Return the frame, in a picture, of the lattice of all window centres.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the picture.
    window : int
        Side of the windows in pixels.
    stride : int
        Pixels between neighbouring windows.
    pad : bool
        Whether centres cover the whole picture, beginning at its first pixel (half a pixel before it if the window's
        side is even), or windows stay inside.

    Returns
    -------
    Frame

    Raises
    ------
    ArgumentError
        If no window fits inside.

    Examples
    --------
    >>> lattice((100, 90), 21, 8, pad=True)
    Frame(shape=(13, 12), source=(100, 90), x0=0.0, y0=0.0, step_x=8.0, step_y=8.0)
    >>> lattice((100, 90), 21, 8, pad=False)
    Frame(shape=(10, 9), source=(100, 90), x0=10.0, y0=10.0, step_x=8.0, step_y=8.0)
    """
    if not pad and min(shape) < window:
        raise ArgumentError(
            f"a picture of {shape[0]} x {shape[1]} pixels is smaller than the network's window of {window}; "
            "use pad=True"
        )
    rows, columns = ((side - (1 if pad else window)) // stride + 1 for side in shape)
    centre = (window - 1) / 2 - (window // 2 if pad else 0)
    return Frame((rows, columns), tuple(shape), centre, centre, float(stride), float(stride))


def mirrored(picture: NDArray, start: tuple[int, int], shape: tuple[int, int]) -> NDArray:
    """Return a rectangle of a picture that goes on beyond its borders as its mirror image (the border pixel once).

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Picture.
    start : tuple of int
        Row and column of the rectangle's first pixel; may be negative.
    shape : tuple of int
        Rows and columns of the rectangle.

    Returns
    -------
    ndarray
        Pixels; a view of the picture if the rectangle lies inside.

    Examples
    --------
    >>> mirrored(np.arange(4)[None], (0, -2), (1, 8)).tolist()
    [[2, 1, 0, 1, 2, 3, 2, 1]]
    """
    (row, column), (rows, columns) = start, shape
    if row >= 0 and column >= 0 and row + rows <= picture.shape[0] and column + columns <= picture.shape[1]:
        return picture[row : row + rows, column : column + columns]
    return picture[
        np.ix_(
            mirror(row + np.arange(rows), picture.shape[0]),
            mirror(column + np.arange(columns), picture.shape[1]),
        )
    ]


def mirror(places: NDArray, size: int) -> NDArray[np.intp]:
    """Return which pixels of a line stand for places beyond its ends: its mirror image, over and over.

    Parameters
    ----------
    places : ndarray of int
        Places along the line; its pixels are 0 to ``size - 1``.
    size : int
        Number of pixels of the line.

    Returns
    -------
    ndarray of int, shape of `places`

    Examples
    --------
    >>> mirror(np.arange(-2, 6), 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    period = max(1, 2 * (size - 1))
    places = places % period
    return np.minimum(places, period - places) if size > 1 else np.zeros_like(places)
