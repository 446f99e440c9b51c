"""Read micrographs of any format."""

import contextlib
import dataclasses
import importlib
import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cryokit._util.files import unreadable
from cryokit._util.names import MICROGRAPH_FORMATS, MICROGRAPH_SUFFIXES, micrograph_name
from cryokit._util.validation import check_number
from cryokit._util.wording import shortened
from cryokit.errors import ArgumentError, MicrographError
from cryokit.micrograph.images import Images

logger = logging.getLogger(__name__)

# Pixel sizes in Angstrom that a microscope can have. What lies outside is an unset field, or the resolution of a
# printer (72 dots per inch are 3.5 million Angstrom).
_SMALLEST_PIXEL, _LARGEST_PIXEL = 0.01, 1000.0
_SAME_PIXEL = 0.01  # x and y pixel sizes closer than this fraction are rounding, not anisotropy
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in JPEG
_ROWS = 512  # copied at a time


@dataclasses.dataclass(eq=False)
class Micrograph:
    """One micrograph.

    Attributes
    ----------
    data : ndarray of float32, shape (rows, columns)
        Pixels, C-contiguous; row 0 is the first row of the file. Other types are converted.
    pixel_size : float or None
        Pixel size in Angstrom; None if unknown.
    name : str
        Name of the micrograph (`cryokit._util.names.micrograph_name` of its file).
    path : pathlib.Path or None
        File it was read from.

    Raises
    ------
    ArgumentError
        If `data` is not two-dimensional.
    """

    data: NDArray[np.float32]
    pixel_size: float | None = None
    name: str = ""
    path: Path | None = None

    def __post_init__(self) -> None:
        self.data = np.ascontiguousarray(self.data, dtype=np.float32)
        if self.data.ndim != 2:
            raise ArgumentError(f"{self.name or 'micrograph'}: data must be 2-D, not of shape {self.data.shape}")


# What a picker takes: a micrograph, or the path of one that is read when its turn comes.
MicrographLike: TypeAlias = Micrograph | str | os.PathLike


def read(
    path: str | os.PathLike, *, sum_frames: bool = False, pixel_size: float | None = None, name: str | None = None
) -> Micrograph:
    """Read a micrograph from an MRC, TIFF, PNG or JPEG file.

    Rows are returned in the order of the file and never turned upside down. Mind this if a micrograph was converted:
    IMOD, EMAN2, SerialEM and MotionCor write the first row of an MRC file (the bottom of the picture in their display)
    as the last row of a TIFF file, so coordinates picked on one need ``y -> rows - 1 - y`` on the other.

    The formats:

    - MRC (``.mrc``, ``.mrcs``, also with ``.gz`` or ``.bz2``): modes 0, 1, 2, 6 and 12 in either byte order; files that
      are not compressed are memory-mapped. Mode 0 is signed, unless IMOD's stamp or the minimum and maximum in the
      header say otherwise. The
      pixel size is the voxel size; 0 or an impossible value means unknown. Different sizes in x and y are ignored with
      a warning: give `pixel_size`.
    - TIFF: the pixel size comes from the resolution if its unit is one of ImageJ's (nm, µm, Angstrom) or centimetres
      or inches, and the result is possible for a microscope. Several pages are a movie; thumbnails are ignored.
      MINISWHITE pixels stay as stored. Planes of samples of more than 8 bits are the frames of a movie, even if the
      file calls them red, green and blue: this is how tifffile writes an array of 3 or 4 frames.
    - PNG and JPEG, 8 or 16 bits: no pixel size.
    - Colours (RGB, palettes): channels that are all equal count as grey; otherwise the luminance
      ``0.299 R + 0.587 G + 0.114 B`` is used, with a warning. Transparency is ignored.

    Parameters
    ----------
    path : path-like
        File to read.
    sum_frames : bool
        Whether to sum the frames of a movie, one at a time and without alignment, instead of refusing it.
    pixel_size : float, optional
        Pixel size in Angstrom, instead of what the file says.
    name : str, optional
        Name of the micrograph among others (`cryokit._util.names.micrograph_names`); by default that of its file.

    Returns
    -------
    Micrograph

    Raises
    ------
    ArgumentError
        If `pixel_size` is not a positive number.
    MicrographError
        If the file is missing, empty, truncated, damaged, of an unknown format or mode, a movie or a volume, or if it
        has no pixels, NaN or infinite pixels, or the same value everywhere.
    """
    path = Path(path)
    if pixel_size is not None:
        check_number("pixel_size", pixel_size, 0, above=True)
    data, sizes = _pixels(path, sum_frames)
    if data.min() == data.max():
        raise MicrographError(f"{path}: every pixel is {data.flat[0]:g}; leave it out or export it again")
    if pixel_size is None:
        pixel_size = _square_pixel(path, *sizes)
    return Micrograph(data, pixel_size, micrograph_name(path) if name is None else name, path)


def pixels(path: str | os.PathLike) -> NDArray[np.float32]:
    """Return the pixels of a picture that may be the same everywhere, as score maps and masks can be.

    Parameters
    ----------
    path : path-like
        File as for `read`.

    Returns
    -------
    ndarray of float32, shape (rows, columns)

    Raises
    ------
    MicrographError
        As in `read`, other than for pixels that are all the same.
    """
    return _pixels(Path(path), sum_frames=False)[0]


def labels(path: str | os.PathLike) -> list[str]:
    """Return the lines of text that programs have left in the header of an MRC file; other formats have none.

    Parameters
    ----------
    path : path-like
        File as for `read`; the pixels are not read.

    Raises
    ------
    MicrographError
        As in `shape`.
    """
    path = Path(path)
    format = _format(path)
    if not hasattr(format, "labels"):
        return []
    with _own_errors(path, format.TITLE):
        return format.labels(path)


def shape(path: str | os.PathLike) -> tuple[int, int]:
    """Return the rows and columns of a micrograph, or of the frames of a movie, from the header of its file.

    Parameters
    ----------
    path : path-like
        File as for `read`; the pixels are not read.

    Raises
    ------
    MicrographError
        If the file is missing, empty or of an unknown format, or its header is damaged.
    """
    path = Path(path)
    format = _format(path)
    with _own_errors(path, format.TITLE):
        rows, columns = format.shape(path)
    return int(rows), int(columns)


def pixel_size(path: str | os.PathLike) -> float | None:
    """Return the pixel size of a micrograph in Angstrom, from the header of its file; None if it has none.

    Parameters
    ----------
    path : path-like
        File as for `read`; the pixels are not read.

    Raises
    ------
    MicrographError
        As in `shape`.
    """
    path = Path(path)
    format = _format(path)
    with _own_errors(path, format.TITLE), format.opened(path) as images:
        return _square_pixel(path, *images.pixel_sizes)


def _format(path: Path) -> ModuleType:
    """Return the module that reads files with this suffix."""
    name = path.name.lower()
    module = next((module for module, suffixes in MICROGRAPH_FORMATS.items() if name.endswith(suffixes)), None)
    if module is None:
        raise MicrographError(
            f"{path}: not a micrograph; known suffixes: {', '.join(MICROGRAPH_SUFFIXES)} "
            "(motion-correct movies in other formats to MRC first)"
        )
    return importlib.import_module(f"cryokit.micrograph.{module}")


@contextlib.contextmanager
def _own_errors(path: Path, title: str) -> Iterator[None]:
    """Turn what the file system and the decoders raise into errors that name the file."""
    if trouble := unreadable(path):
        raise MicrographError(f"{path}: cannot be opened ({trouble})")
    try:
        if path.stat().st_size == 0:
            raise MicrographError(f"{path}: empty (0 bytes); copy or export it again")
        yield
    except MicrographError:
        raise
    except Exception as error:  # decoders raise errors of many kinds on damaged bytes
        reason = shortened(" ".join(str(error).split()), 200)
        problem = f"cannot be read as {title} ({reason}); it is damaged or not {title}, so copy or export it again"
        if isinstance(error, MemoryError):
            problem = f"does not fit into memory ({error})"
        elif isinstance(error, OSError) and error.strerror:
            problem = f"cannot be opened ({error.strerror})"
        raise MicrographError(f"{path}: {problem}") from error


def _one_image(path: Path, images: Images, sum_frames: bool) -> NDArray[np.float32]:
    """Return the only image in float32, or the sum of all frames if that is wanted."""
    if images.volume:
        what = f"a volume of {images.count} sections by its header, such as a tomogram"
        if not sum_frames:
            raise MicrographError(
                f"{path}: {what}, not a micrograph; use a program for tomograms (a movie that says so by mistake: name "
                "it .mrcs)"
            )
        logger.warning("%s: %s, but its sections are summed as the frames of a movie", path, what)
    if images.count > 1 and not sum_frames:
        raise MicrographError(
            f"{path}: a movie of {images.count} frames; align and average it first (MotionCor, RELION), or sum the "
            "frames with sum_frames=True / --sum-frames"
        )
    total = None
    for image in images.images:
        image = _grey(path, image)
        if total is None:
            total = np.zeros(image.shape, np.float32)
        for start in range(0, len(image), _ROWS):
            total[start : start + _ROWS] += image[start : start + _ROWS]
            _release(image)
    if total is None or total.size == 0:
        raise MicrographError(f"{path}: has no pixels; export it again")
    return total


def _release(image: NDArray) -> None:
    """Let the system drop the pages of a memory-mapped file that were read: copied, they need not stay in memory."""
    base = image
    while base is not None and not hasattr(base, "madvise"):
        base = getattr(base, "_mmap", None) or getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _grey(path: Path, image: NDArray) -> NDArray:
    """Reduce colours to one channel and leave out transparency."""
    if image.ndim == 2:
        return image
    if image.ndim != 3 or not 1 <= image.shape[2] <= 4:
        raise MicrographError(f"{path}: images of shape {image.shape} are not supported; export it as grey values")
    if image.shape[2] <= 2:
        return image[..., 0]
    red, green, blue = (image[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return red
    logger.warning("%s: a colour picture, read as luminance; give a grey one if the colours mean something", path)
    return sum(
        weight * channel.astype(np.float32) for weight, channel in zip(_LUMINANCE, (red, green, blue), strict=True)
    )


def _pixels(path: Path, sum_frames: bool) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return the pixels of a file, all of them finite, and the pixel sizes in x and y that it has."""
    format = _format(path)
    with _own_errors(path, format.TITLE), format.opened(path) as images:
        data = _one_image(path, images, sum_frames)
    # NaN and infinity show in the extremes, without a copy of the array.
    if not (np.isfinite(data.min()) and np.isfinite(data.max())):
        bad = data.size - np.count_nonzero(np.isfinite(data))
        raise MicrographError(
            f"{path}: {bad} of {data.size} pixels are NaN or infinite; leave it out or replace them by the mean"
        )
    return data, images.pixel_sizes


def _square_pixel(path: Path, x: float, y: float) -> float | None:
    """Return the one pixel size, or None if the file has none or a different one for x and y."""
    known = [size for size in (x, y) if _SMALLEST_PIXEL <= size <= _LARGEST_PIXEL]
    if len(known) == 2 and abs(x - y) > _SAME_PIXEL * max(x, y):
        logger.warning("%s: pixels of %g x %g A; the pixel size counts as unknown, give pixel_size", path, x, y)
        return None
    return known[0] if known else None
