"""The lattice of positions that a window takes over an image: the same for every way of scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame


@dataclass(frozen=True)
class Positions:
    """Where windows lie along one axis.

    Attributes
    ----------
    first : int
        First pixel of the first window; negative where the image is mirrored at its border.
    number : int
    centre : float
        Of the first window.
    """

    first: int
    number: int
    centre: float


def positions(size: int, window: int, stride: int, pad: bool) -> Positions:
    """Return the windows along an axis.

    Parameters
    ----------
    size, window : int
        Pixels of the image and of the window along the axis.
    stride : int
    pad : bool
        Whether centres cover the whole image, beginning at its first pixel (half a pixel before it where the window's
        side is even), or windows stay inside.

    Raises
    ------
    PickerError
        When no window fits inside.

    Examples
    --------
    >>> positions(100, 21, 8, pad=True)
    Positions(first=-10, number=13, centre=0.0)
    >>> positions(100, 21, 8, pad=False)
    Positions(first=0, number=10, centre=10.0)
    """
    if not pad and size < window:
        raise PickerError(f"an image of {size} pixels is smaller than the network's window of {window}; use pad=True")
    first = -(window // 2) if pad else 0
    number = (size - 1) // stride + 1 if pad else (size - window) // stride + 1
    return Positions(first, number, first + (window - 1) / 2)


def lattice(shape: tuple[int, int], lines: Sequence[Positions], stride: int) -> Frame:
    """Return the frame, in an image, of the lattice of all positions of a window.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image.
    lines : sequence of Positions
        Positions along the rows' axis (down) and along the columns' (across).
    stride : int
        Pixels between neighbouring positions.
    """
    down, across = lines
    return Frame((down.number, across.number), tuple(shape), across.centre, down.centre, float(stride), float(stride))
