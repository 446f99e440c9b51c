"""Read micrographs from MRC, TIFF, PNG and JPEG files."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import mmap
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cryokit._util.names import MICROGRAPH_SUFFIXES, micrograph_name
from cryokit.errors import MicrographError

logger = logging.getLogger(__name__)
_warnings_lock = threading.Lock()

# Pixel sizes in Angstrom that a microscope can have. What lies outside is an unset field, or the resolution of a
# printer (72 dots per inch are 3.5 million Angstrom).
SMALLEST_PIXEL, LARGEST_PIXEL = 0.01, 1000.0
SAME_PIXEL = 0.01  # x and y pixel sizes closer than this fraction are rounding, not anisotropy
# Angstrom per unit, by ImageJ's names of units.
IMAGEJ_UNITS = {
    "a": 1,
    "å": 1,
    "angstrom": 1,
    "nm": 10,
    "nanometer": 10,
    "um": 1e4,
    "µm": 1e4,
    "μm": 1e4,
    "micron": 1e4,
}
MODES = (0, 1, 2, 6, 12)  # of MRC files: those that can be read
OTHER_MODES = {3: "complex 16-bit integers", 4: "complex, a Fourier transform", 101: "4-bit integers"}
IMOD_STAMP, IMOD_SIGNED = 1146047817, 1
_ROWS = 512  # copied at a time
BY_PILLOW = ("LZW", "JPEG")  # TIFF compressions that tifffile leaves to a package of its own and Pillow reads
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in JPEG


@dataclasses.dataclass(eq=False)
class Micrograph:
    """One micrograph.

    Attributes
    ----------
    data : ndarray of float32, shape (rows, columns)
        C-contiguous; row 0 is the first row of the file. Other types are converted.
    pixel_size : float or None
        Angstrom; None where unknown.
    name : str
        `cryokit._util.names.micrograph_name` of the file.
    path : pathlib.Path or None
        The file it was read from, if any.

    Raises
    ------
    MicrographError
        When `data` is not two-dimensional.
    """

    data: NDArray[np.float32]
    pixel_size: float | None = None
    name: str = ""
    path: Path | None = None

    def __post_init__(self) -> None:
        self.data = np.ascontiguousarray(self.data, dtype=np.float32)
        if self.data.ndim != 2:
            raise MicrographError(
                f"{self.name or 'a micrograph'}: has to have rows and columns, not shape {self.data.shape}"
            )


def read(path: str | os.PathLike, *, sum_frames: bool = False, pixel_size: float | None = None) -> Micrograph:
    """Read a micrograph from an MRC, TIFF, PNG or JPEG file.

    Rows are returned in the order of the file and never turned upside down. Mind this when a micrograph was converted:
    IMOD, EMAN2, SerialEM and MotionCor write the first row of an MRC file (the bottom of the picture in their display)
    as the last row of a TIFF file, so coordinates picked on one need ``y -> rows - 1 - y`` on the other.

    What the formats hold:

    - MRC (``.mrc``, ``.mrcs``, also with ``.gz`` or ``.bz2``): modes 0, 1, 2, 6 and 12 in either byte order; files that
      are not compressed are memory-mapped. Mode 0 is signed, unless IMOD's stamp in the header says otherwise. The
      pixel size is the voxel size; 0 or an impossible value means unknown. Different sizes in x and y are refused with
      a warning: give `pixel_size`.
    - TIFF: the pixel size comes from the resolution if its unit is one of ImageJ's (nm, µm, Angstrom) or centimetres
      or inches, and the result is possible for a microscope. Several pages are a movie; thumbnails are left alone.
      MINISWHITE pixels stay as stored. Planes of samples that are no bytes are the frames of a movie, even if the file
      calls them red, green and blue: so tifffile writes an array of 3 or 4 frames.
    - PNG and JPEG, 8 or 16 bits: no pixel size.
    - Colours (RGB, palettes): channels that are all equal count as grey; otherwise the luminance
      ``0.299 R + 0.587 G + 0.114 B`` is used, with a warning. Transparency is ignored.

    Parameters
    ----------
    path : path-like
    sum_frames : bool
        Sum the frames of a movie, one at a time, instead of refusing it. Nothing is aligned.
    pixel_size : float, optional
        Angstrom; takes the place of what the file says.

    Returns
    -------
    Micrograph

    Raises
    ------
    MicrographError
        When the file is missing, empty, cut short, damaged, of an unknown format or mode or a movie; when it has no
        pixels, NaN or infinite pixels, or the same value everywhere; when `pixel_size` is not a positive number.
    """
    path = Path(path)
    if pixel_size is not None and not (math.isfinite(pixel_size) and pixel_size > 0):
        raise MicrographError(f"{path}: the pixel size has to be a positive number of Angstrom, not {pixel_size!r}")
    format = _format(path)
    _check_file(path)
    with _own_errors(path, format.kind):
        data, in_file = format.load(path, sum_frames)
    _check_pixels(path, data)
    if pixel_size is None:
        pixel_size = _square_pixel(path, *in_file)
    return Micrograph(data, pixel_size, micrograph_name(path), path)


def shape(path: str | os.PathLike) -> tuple[int, int]:
    """Return the rows and columns of a micrograph (of a movie's frames) from the header of its file.

    Parameters
    ----------
    path : path-like
        As for `read`; the pixels are not read.

    Raises
    ------
    MicrographError
        When the file is missing, empty or of an unknown format, or its header is damaged.
    """
    path = Path(path)
    format = _format(path)
    _check_file(path)
    with _own_errors(path, format.kind):
        rows, columns = format.shape(path)
    return int(rows), int(columns)


# What a loader gives: the pixels, and the pixel sizes in x and y as the file has them, plausible or not.
Loaded = tuple[NDArray, tuple[float, float]]


class _Format(NamedTuple):
    kind: str
    load: Callable[[Path, bool], Loaded]
    shape: Callable[[Path], tuple[int, int]]


def _format(path: Path) -> _Format:
    name = path.name.lower()
    if name.endswith((".mrc", ".mrcs", ".mrc.gz", ".mrc.bz2")):
        return _Format("an MRC file", _load_mrc, _mrc_shape)
    if name.endswith((".tif", ".tiff")):
        return _Format("a TIFF file", _load_tiff, _tiff_shape)
    if name.endswith((".png", ".jpg", ".jpeg")):
        return _Format("a PNG or JPEG file", _load_picture, _picture_shape)
    raise MicrographError(
        f"{path}: not a micrograph by its name; known are {', '.join(MICROGRAPH_SUFFIXES)} "
        "(movies in other formats are motion-corrected to MRC first)"
    )


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise MicrographError(f"{path}: a folder; name a file in it")
        if path.stat().st_size == 0:
            raise MicrographError(f"{path}: empty (0 bytes); copy or export it again")
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise MicrographError(f"{path}: no such file") from None
    except OSError as error:
        raise MicrographError(f"{path}: cannot be opened ({error.strerror})") from None


@contextlib.contextmanager
def _own_errors(path: Path, kind: str) -> Iterator[None]:
    """Turn what decoders raise into errors that name the file."""
    try:
        yield
    except MicrographError:
        raise
    except MemoryError as error:
        raise MicrographError(f"{path}: does not fit into memory ({error})") from error
    except Exception as error:  # decoders raise errors of many kinds on damaged bytes
        raise MicrographError(
            f"{path}: cannot be read as {kind} ({error}); it is damaged, cut short or not {kind}, so copy or export "
            "it again"
        ) from error


@contextlib.contextmanager
def _hushed(path: Path) -> Iterator[None]:
    """Log what decoders warn of as they open a file (an unset header field, a large picture) for debugging only."""
    # Filters of warnings are one for the whole process; the lock keeps threads from restoring each other's.
    with _warnings_lock:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            logger.debug("%s: %s", path, warning.message)


def _load_mrc(path: Path, sum_frames: bool) -> Loaded:
    import mrcfile

    with open(path, "rb") as file:
        compressed = file.read(2) in (b"\x1f\x8b", b"BZ")
    opener = mrcfile.open if compressed else mrcfile.mmap
    with _hushed(path):
        # Permissive, because old programs leave out the map ID or the machine stamp; what is wrong is told below.
        opened = opener(os.fspath(path), mode="r", permissive=True)
    with opened as mrc:
        header, data = mrc.header, mrc.data
        if data is None:
            raise MicrographError(f"{path}: {_mrc_fault(header)}")
        if data.dtype.kind == "c":
            raise MicrographError(f"{path}: {_unsupported_mode(int(header.mode))}")
        if data.dtype == np.int8 and _imod_unsigned(header):
            data = data.view(np.uint8)
        if not data.size:
            raise MicrographError(f"{path}: {_mrc_fault(header)}")
        images = data.reshape(-1, *data.shape[-2:])
        sizes = [
            float(length) / int(n) if n > 0 else 0.0
            for length, n in ((header.cella.x, header.mx), (header.cella.y, header.my))
        ]
        return _one_image(path, len(images), images, sum_frames), (sizes[0], sizes[1])


def _mrc_shape(path: Path) -> tuple[int, int]:
    import mrcfile

    with _hushed(path):
        opened = mrcfile.open(os.fspath(path), permissive=True, header_only=True)
    with opened as mrc:
        header = mrc.header
        if min(header.nx, header.ny) <= 0 or header.mode not in MODES:
            raise MicrographError(f"{path}: {_mrc_fault(header)}")
        return header.ny, header.nx


def _mrc_fault(header) -> str:
    """Say why mrcfile gave no pixels for this header."""
    columns, rows, frames, mode = (int(header[field]) for field in ("nx", "ny", "nz", "mode"))
    if bytes(header.map)[:3] != b"MAP":
        return "not an MRC file (no MAP mark in its header); name it by its true format or convert it"
    if min(columns, rows, frames) <= 0:
        return f"has no pixels ({columns} columns, {rows} rows, {frames} images); export it again"
    if mode not in MODES:
        return _unsupported_mode(mode)
    return (
        f"cut short: its header promises {columns} x {rows} x {frames} pixels of mode {mode}, more than the file "
        "holds; copy it again"
    )


def _unsupported_mode(mode: int) -> str:
    kind = OTHER_MODES.get(mode, "unknown")
    return (
        f"MRC mode {mode} ({kind}) is not supported; convert it to mode 0, 1, 2, 6 or 12, "
        "for example with IMOD: newstack -mode 2 INPUT OUTPUT.mrc"
    )


def _imod_unsigned(header) -> bool:
    """Whether IMOD wrote the bytes as 0..255, as it did for years before MRC 2014 made mode 0 signed."""
    # Words 39 and 40 of the header, bytes 152-159: imodStamp and imodFlags.
    stamp, flags = np.frombuffer(header.tobytes(), dtype=header.mode.dtype, count=2, offset=152)
    return stamp == IMOD_STAMP and not flags & IMOD_SIGNED


def _load_tiff(path: Path, sum_frames: bool) -> Loaded:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        # Axes of a page: rows Y, columns X, samples S (colours). Every other axis counts frames.
        frame_axes = [n for n, axis in zip(series.shape, series.axes, strict=True) if axis not in "YXS"]
        pages = math.prod(frame_axes)
        page = series.keyframe
        if page.dtype is None or page.dtype.kind not in "biuf":
            raise MicrographError(f"{path}: TIFF pixels of type {page.dtype} are not supported; export grey values")
        sizes = _tiff_pixel_sizes(page, tiff.imagej_metadata or {})
        images = _tiff_images(path, series, pages)
        frames = pages * page.shape[0] if _is_stack(page) else pages
        return _one_image(path, frames, images, sum_frames), sizes


def _tiff_images(path: Path, series, pages: int) -> Iterator[NDArray]:
    """Go through the images of a TIFF series, each (rows, columns) grey or (rows, columns, samples)."""
    page = series.keyframe
    stack = _is_stack(page)
    if getattr(page.compression, "name", "") in BY_PILLOW:
        import imageio.v3

        for image in series.pages:
            with _hushed(path):
                pixels = imageio.v3.imread(path, index=image.index, plugin="pillow")
            yield from np.moveaxis(pixels, -1, 0) if stack else [pixels]
        return
    if len(series.pages) == pages:
        images = (image.asarray() for image in series.pages)
    else:
        images = iter(series.asarray().reshape(pages, *page.shape))
    for image in images:
        if page.photometric.name == "PALETTE" and page.colormap is not None:
            image = np.moveaxis(page.colormap[:, image], 0, -1)
        elif page.axes.startswith("S") and not stack:
            image = np.moveaxis(image, 0, -1)
        yield from image if stack else [image]


def _is_stack(page) -> bool:
    """Whether the samples of a TIFF page, plane by plane, are frames: so tifffile writes 3 or 4 of them."""
    return page.axes.startswith("S") and page.dtype is not None and page.dtype.itemsize > 1


def _tiff_shape(path: Path) -> tuple[int, int]:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page = tiff.series[0].keyframe
        return page.imagelength, page.imagewidth


def _tiff_pixel_sizes(page, imagej: dict) -> tuple[float, float]:
    """Return Angstrom per pixel in x and y, 0 where the file does not say."""
    if "XResolution" not in page.tags or "YResolution" not in page.tags:
        return 0.0, 0.0
    unit = str(imagej.get("unit", "")).replace("\\u00B5", "µ").strip().lower()
    # ImageJ names its unit apart; otherwise the tag counts per inch (2) or per centimetre (3).
    angstrom = IMAGEJ_UNITS.get(unit, 0) if unit else {2: 2.54e8, 3: 1e8}.get(int(page.resolutionunit), 0)
    sizes = []
    for tag in ("XResolution", "YResolution"):
        pixels, units = page.tags[tag].value
        sizes.append(angstrom * units / pixels if pixels else 0.0)
    return sizes[0], sizes[1]


def _load_picture(path: Path, sum_frames: bool) -> Loaded:
    import imageio.v3

    with _hushed(path):
        opened = imageio.v3.imopen(path, "r", plugin="pillow")
    with opened as file:
        mode = file.metadata(index=0)["mode"]
        # Grey pictures as they are; palettes, transparency and other colour spaces as red, green, blue, opacity.
        grey = mode in ("1", "L", "I", "F") or mode.startswith("I;16")
        image = file.read(index=0) if grey else file.read(index=0, mode="RGBA")
    if not grey and _is_deep_png(path):
        logger.warning("%s: 16 bits per channel are read as 8; save it as grey PNG or TIFF to keep them all", path)
    return _one_image(path, 1, [image], sum_frames), (0.0, 0.0)


def _picture_shape(path: Path) -> tuple[int, int]:
    import imageio.v3

    with _hushed(path):
        return imageio.v3.improps(path, index=0, plugin="pillow").shape[:2]


def _is_deep_png(path: Path) -> bool:
    """Whether the bit depth in the header of a PNG file is 16."""
    with open(path, "rb") as file:
        start = file.read(25)
    return start.startswith(b"\x89PNG") and start[24] == 16


def _one_image(path: Path, count: int, images: Iterable[NDArray], sum_frames: bool) -> NDArray[np.float32]:
    """Return the only image in float32, or the sum of many if that is wanted."""
    if count > 1 and not sum_frames:
        raise MicrographError(
            f"{path}: a movie of {count} frames; align and average it first (MotionCor, RELION), or sum the frames "
            "with sum_frames=True / --sum-frames"
        )
    total = None
    for image in images:
        image = _grey(path, image)
        if total is None:
            total = np.zeros(image.shape, np.float32)
        for start in range(0, len(image), _ROWS):
            total[start : start + _ROWS] += image[start : start + _ROWS]
            _let_go(image)
    if total is None or total.size == 0:
        raise MicrographError(f"{path}: has no pixels; export it again")
    return total


def _let_go(image: NDArray) -> None:
    """Let the system take back what was read of a memory-mapped file: copied, it need not be in memory twice."""
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
        raise MicrographError(f"{path}: images of shape {image.shape} are not understood; export it as grey values")
    if image.shape[2] <= 2:
        return image[..., 0]
    red, green, blue = (image[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return red
    logger.warning("%s: a colour picture, read as luminance; give a grey one if the colours mean something", path)
    return sum(
        weight * channel.astype(np.float32) for weight, channel in zip(LUMINANCE, (red, green, blue), strict=True)
    )


def _check_pixels(path: Path, data: NDArray[np.float32]) -> None:
    low, high = data.min(), data.max()  # NaN and infinity show in the extremes, without a copy of the array
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = data.size - np.count_nonzero(np.isfinite(data))
        raise MicrographError(
            f"{path}: {bad} of {data.size} pixels are NaN or infinite; leave it out or replace them by the mean"
        )
    if low == high:
        raise MicrographError(
            f"{path}: every pixel is {low:g}, so there is nothing to see; leave it out or export it again"
        )


def _square_pixel(path: Path, x: float, y: float) -> float | None:
    """Return the one pixel size, or None where the file has none or a different one for x and y."""
    known = [size for size in (x, y) if SMALLEST_PIXEL <= size <= LARGEST_PIXEL]
    if len(known) == 2 and abs(x - y) > SAME_PIXEL * max(x, y):
        logger.warning("%s: pixels of %g x %g A; the pixel size counts as unknown, give pixel_size", path, x, y)
        return None
    return known[0] if known else None
