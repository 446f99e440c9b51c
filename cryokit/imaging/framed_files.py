"""Pictures in MRC files that say where they lie in their micrograph, such as score maps.

The frame is in three labels of the header, as text for people and programs that gives back the same numbers. The voxel
size and the origin say the same in Angstrom, as far as the pixel size is known and single precision goes.
"""

from __future__ import annotations

import logging
import math
import os
import re

from cryokit import micrograph
from cryokit.errors import MicrographError
from cryokit.imaging.frame import Frame, Picture

logger = logging.getLogger(__name__)

_NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_X = re.compile(rf"frame x = {_NUMBER} \+ {_NUMBER} \* column")
_Y = re.compile(rf"frame y = {_NUMBER} \+ {_NUMBER} \* row")
_SHAPES = re.compile(r"frame of (\d+) x (\d+) pixels in a micrograph of (\d+) x (\d+)")
_ROUNDED = 1.0  # pixels by which the sides of a micrograph that was made smaller may be rounded


def write_framed(path: str | os.PathLike, picture: Picture, pixel_size: float | None = None) -> None:
    """Write a picture and its frame as an MRC file, whole or not at all.

    Parameters
    ----------
    path : path-like
        File to write, with a suffix of `cryokit.micrograph.write_mrc`.
    picture : Picture
        Pixels, and where they lie in the micrograph.
    pixel_size : float, optional
        Pixel size of the micrograph in Angstrom.

    Raises
    ------
    ArgumentError, MicrographError
        As in `cryokit.micrograph.write_mrc`.
    """
    frame = picture.frame
    notes = (
        f"frame x = {float(frame.x0)!r} + {float(frame.step_x)!r} * column",
        f"frame y = {float(frame.y0)!r} + {float(frame.step_y)!r} * row",
        "frame of {} x {} pixels in a micrograph of {} x {}".format(*frame.shape, *frame.source),
    )
    sizes, origin = None, (0.0, 0.0)
    if pixel_size is not None:
        sizes = frame.step_x * pixel_size, frame.step_y * pixel_size
        origin = frame.x0 * pixel_size, frame.y0 * pixel_size
    micrograph.write_mrc(path, picture.data, sizes, origin=origin, notes=notes)


def read_framed(path: str | os.PathLike, source: tuple[int, int]) -> Picture:
    """Read a picture of a micrograph, with its frame in it.

    A file of another program, which has no frame, is taken for the whole micrograph made smaller, if it has the
    proportions for that; a warning says so.

    Parameters
    ----------
    path : path-like
        MRC file of `write_framed`, or a picture in any format that `cryokit.micrograph.read` takes.
    source : tuple of int
        Rows and columns of the micrograph.

    Returns
    -------
    Picture

    Raises
    ------
    MicrographError
        If the file cannot be read, its frame is damaged, or it cannot be of a micrograph of this shape.
    """
    lines = micrograph.labels(path)
    data = micrograph.pixels(path)
    found = [_match(pattern, lines) for pattern in (_X, _Y, _SHAPES)]
    if not any(found):
        return Picture(data, _whole(path, data.shape, source))
    if not all(found):
        raise MicrographError(
            f"{path}: the frame in its header is incomplete; write it again (cryokit pick --save-maps)"
        )
    (x0, step_x), (y0, step_y) = (tuple(map(float, match.groups())) for match in found[:2])
    rows, columns, *shape = map(int, found[2].groups())
    if not (all(map(math.isfinite, (x0, y0, step_x, step_y))) and min(step_x, step_y) > 0):
        raise MicrographError(f"{path}: the frame in its header has impossible numbers; write it again")
    if (rows, columns) != data.shape:
        raise MicrographError(
            f"{path}: {data.shape[0]} x {data.shape[1]} pixels, but the frame in its header is of {rows} x {columns}: "
            "another program has changed it; take the file as cryokit wrote it"
        )
    if tuple(shape) != tuple(source):
        raise MicrographError(
            f"{path}: is of a micrograph of {shape[0]} x {shape[1]} pixels, not of one of {source[0]} x {source[1]}; "
            "is it of another micrograph, or was that one binned?"
        )
    return Picture(data, Frame(data.shape, tuple(source), x0, y0, step_x, step_y))


def covering(shape: tuple[int, int], source: tuple[int, int]) -> Frame:
    """Return the frame of a picture that covers a whole micrograph, whatever its number of pixels.

    Parameters
    ----------
    shape, source : tuple of int
        Rows and columns of the picture, and of the micrograph.

    Examples
    --------
    >>> frame = covering((16, 24), (64, 96))
    >>> frame.x0, frame.step_x
    (1.5, 4.0)
    """
    step_y, step_x = (size / own for size, own in zip(source, shape, strict=True))
    return Frame(tuple(shape), tuple(source), (step_x - 1) / 2, (step_y - 1) / 2, step_x, step_y)


def _whole(path: str | os.PathLike, shape: tuple[int, int], source: tuple[int, int]) -> Frame:
    """Return the frame of a file that has none."""
    least, most = (
        [size / max(own + change, 0.5) for size, own in zip(source, shape, strict=True)]
        for change in (_ROUNDED, -_ROUNDED)
    )
    if max(least) > min(most):
        raise MicrographError(
            f"{path}: does not say where in the micrograph its {shape[0]} x {shape[1]} pixels lie, and cannot be the "
            f"whole of {source[0]} x {source[1]} pixels made smaller; write it again (pick --save-maps)"
        )
    logger.warning("%s: does not say where it lies in the micrograph; it is taken for the whole, made smaller", path)
    return covering(shape, source)


def _match(pattern: re.Pattern[str], lines: list[str]) -> re.Match[str] | None:
    return next((match for line in lines if (match := pattern.fullmatch(line))), None)
