"""MRC files (``.mrc``, ``.mrcs``, also with ``.gz`` or ``.bz2``): modes 0, 1, 2, 6 and 12 in either byte order."""

import bz2
import contextlib
import gzip
import io
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import mrcfile
import numpy as np
from mrcfile.mrcinterpreter import MrcInterpreter
from mrcfile.utils import data_dtype_from_header
from numpy.typing import NDArray

from cryokit._util.declared_sizes import check_declared
from cryokit._util.files import replacing
from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError, MicrographError
from cryokit.micrograph.images import Images, quiet

TITLE = "an MRC file"
_MODES = (0, 1, 2, 6, 12)
_OTHER_MODES = {3: "complex 16-bit integers", 4: "complex, a Fourier transform", 101: "4-bit integers"}
_VOLUME_STACK = 401  # space groups from here on stand for stacks of volumes
_MOST_EXTENDED = 1 << 28  # bytes of an extended header in a compressed file
_MOST_DECOMPRESSED = 1 << 33  # bytes
_IMOD_STAMP, _IMOD_SIGNED = 1146047817, 1
# What MRC has a mode for and keeps exactly: modes 0, 1, 6 and 12. Everything else becomes mode 2, float32.
_KEPT_TYPES = ("int8", "int16", "uint16", "float16")
_LABELS, _LABEL_LENGTH = 10, 80  # of the header: how many lines, and how many characters in each
_COMPRESSION = {".mrc.gz": "gzip", ".mrc.bz2": "bzip2", ".mrc": None, ".mrcs": None}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Images]:
    """Open an MRC file; one that is not compressed is memory-mapped."""
    with _stream(path) as (stream, compressed):
        header, extended = _header(path, stream, compressed)
        dtype, frames = _pixels(path, header, compressed)
        count = math.prod(frames)
        if compressed:
            data = np.frombuffer(_read(path, stream, extended + count * dtype.itemsize, header), dtype, offset=extended)
            data = data.reshape(frames)
        else:
            data = np.memmap(path, dtype, "r", offset=1024 + extended, shape=frames)
        if data.dtype == np.int8 and _is_unsigned(header):
            data = data.view(np.uint8)
        x, y = (
            float(length) / int(samples) if samples > 0 else 0.0
            for length, samples in ((header.cella.x, header.mx), (header.cella.y, header.my))
        )
        yield Images(len(data), data, (x, y), _is_volume(path, header))


def shape(path: Path) -> tuple[int, int]:
    """Return the rows and columns of the images in an MRC file."""
    with _stream(path) as (stream, compressed):
        header, _ = _header(path, stream, compressed)
    if min(header.nx, header.ny) <= 0 or header.mode not in _MODES:
        raise MicrographError(f"{path}: {_fault(header)}")
    return header.ny, header.nx


def labels(path: Path) -> list[str]:
    """Return the labels in the header of an MRC file."""
    with _stream(path) as (stream, compressed):
        header, _ = _header(path, stream, compressed)
    lines = (bytes(label).split(b"\0")[0].decode("ascii", "replace").rstrip() for label in header.label)
    return [line for line in lines if line]


@contextlib.contextmanager
def _stream(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    """Open the bytes of an MRC file, and tell whether they are compressed."""
    with open(path, "rb") as file:
        start = file.read(2)
        file.seek(0)
        module = {b"\x1f\x8b": gzip, b"BZ": bz2}.get(start)
        if module is None:
            yield file, False
        else:
            with module.open(file) as stream:
                yield stream, True


def _header(path: Path, stream: BinaryIO, compressed: bool) -> tuple[np.recarray, int]:
    """Return the header of an MRC file, and the length of its extended header in bytes."""
    raw = stream.read(1024)
    if len(raw) < 1024:
        raise MicrographError(f"{path}: not an MRC file, or truncated: shorter than its header of 1024 bytes")
    # mrcfile would take memory for whatever length of the extended header, bytes 92 to 95, is promised.
    without = io.BytesIO(raw[:92] + bytes(4) + raw[96:])
    with quiet(path):
        # Permissive, because old programs leave out the map ID or the machine stamp; other faults are raised below.
        header = MrcInterpreter(without, permissive=True, header_only=True).header
    extended = int(np.frombuffer(raw, header.nsymbt.dtype, count=1, offset=92)[0])
    if extended < 0 or extended > (_MOST_EXTENDED if compressed else os.stat(path).st_size - 1024):
        raise MicrographError(
            f"{path}: not an MRC file or truncated, its header promises an extended header of {extended} bytes"
        )
    return header, extended


def _pixels(path: Path, header: np.recarray, compressed: bool) -> tuple[np.dtype, tuple[int, int, int]]:
    """Return the type of the pixels and the number of images, rows and columns."""
    columns, rows, images = (int(header[field]) for field in ("nx", "ny", "nz"))
    if min(columns, rows, images) <= 0 or header.mode not in _MODES:
        raise MicrographError(f"{path}: {_fault(header)}")
    dtype = data_dtype_from_header(header)
    nbytes = images * rows * columns * dtype.itemsize
    if not compressed and nbytes > os.stat(path).st_size - 1024:
        raise MicrographError(f"{path}: {_fault(header)}")
    check_declared(path, rows * columns, 0 if compressed else nbytes, MicrographError, compressed=compressed)
    return dtype, (images, rows, columns)


def _read(path: Path, stream: BinaryIO, nbytes: int, header: np.recarray) -> bytearray:
    """Read so many bytes of a compressed file, as they come: none is set aside for what is not there."""
    if nbytes > _MOST_DECOMPRESSED:
        raise MicrographError(
            f"{path}: {nbytes} bytes when decompressed, more than the {_MOST_DECOMPRESSED} that are read; decompress it"
        )
    data = bytearray()
    while len(data) < nbytes:
        part = stream.read(min(1 << 24, nbytes - len(data)))
        if not part:
            raise MicrographError(f"{path}: {_fault(header)}")
        data += part
    return data


def _fault(header) -> str:
    """Say why mrcfile gave no pixels for this header, or pixels of another kind."""
    columns, rows, images, mode = (int(header[field]) for field in ("nx", "ny", "nz", "mode"))
    if bytes(header.map)[:3] != b"MAP":
        return "not an MRC file (no MAP mark in its header); name it by its true format or convert it"
    if min(columns, rows, images) <= 0:
        return f"has no pixels ({columns} columns, {rows} rows, {images} images); export it again"
    if mode not in _MODES:
        return (
            f"MRC mode {mode} ({_OTHER_MODES.get(mode, 'unknown')}) is not supported; convert it to mode 0, 1, 2, 6 or "
            "12, for example with IMOD: newstack -mode 2 INPUT OUTPUT.mrc"
        )
    return f"truncated: its header promises {columns} x {rows} x {images} pixels of mode {mode}; copy it again"


def _is_volume(path: Path, header) -> bool:
    """Tell whether a header says that the sections make up one volume or several, not a stack of images."""
    # Programs that know nothing of space groups leave a 1 there; the suffix .mrcs says what they mean.
    whole = header.ispg == 1 and header.mz == header.nz
    return header.nz > 1 and (whole or header.ispg >= _VOLUME_STACK) and not path.name.lower().endswith(".mrcs")


def _is_unsigned(header) -> bool:
    """Tell whether bytes are 0..255, as programs wrote them for years before MRC 2014 made mode 0 signed."""
    # Words 39 and 40 of the header, bytes 152-159: imodStamp and imodFlags.
    stamp, flags = np.frombuffer(header.tobytes(), dtype=header.mode.dtype, count=2, offset=152)
    if stamp == _IMOD_STAMP:
        return not flags & _IMOD_SIGNED
    # Programs other than IMOD leave the range of the pixels; a maximum below the minimum says that they have not.
    return 0 <= header.dmin < header.dmax <= 255 and header.dmax > 127


def write_mrc(
    path: str | os.PathLike,
    data: NDArray,
    pixel_size: float | tuple[float, float] | None = None,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    notes: Sequence[str] = (),
) -> None:
    """Write a micrograph as MRC, whole or not at all.

    Parameters
    ----------
    path : path-like
        File to write, with the suffix ``.mrc``, ``.mrcs``, ``.mrc.gz`` or ``.mrc.bz2``; the last two are compressed.
    data : ndarray, shape (rows, columns)
        Pixels. int8, int16, uint16 and float16 are stored as they are (modes 0, 1, 6, 12), everything else as float32
        (mode 2). The first row is the first in the file.
    pixel_size : float or (float, float), optional
        Pixel size in Angstrom, or those in x and in y, written as the voxel size; 0 (unknown) by default.
    origin : (float, float)
        Where the centre of the first pixel lies, x and y in Angstrom, as MRC 2014 has it; IMOD shows it with the
        opposite sign.
    notes : sequence of str
        Lines of ASCII text for the labels of the header (`labels`), at most 9 with at most 80 characters each.

    Raises
    ------
    ArgumentError
        If the suffix is another one, the array is not two-dimensional, empty or complex, the pixel size is not a
        positive number, or there are too many or too long notes.
    MicrographError
        If a pixel is NaN or infinite.
    """
    path = os.fspath(path)
    suffix = next((suffix for suffix in _COMPRESSION if path.lower().endswith(suffix)), None)
    if suffix is None:
        raise ArgumentError(f"{path}: the name of an MRC file must end in {', '.join(_COMPRESSION)}")
    data = np.asarray(data)
    if data.ndim != 2 or data.size == 0 or data.dtype.kind not in "biuf":
        raise ArgumentError(f"{path}: data must be a 2-D array of real numbers, not {data.dtype} of shape {data.shape}")
    sizes = (0.0, 0.0)
    if pixel_size is not None:
        sizes = tuple(pixel_size) if isinstance(pixel_size, tuple) else (pixel_size, pixel_size)
        for size in sizes:
            check_number("pixel_size", size, 0, above=True)
    lines = [line.encode("ascii", "replace") for line in ("written by cryokit", *notes)]
    if len(lines) > _LABELS or max(map(len, lines)) > _LABEL_LENGTH:
        raise ArgumentError(f"{path}: notes: at most {_LABELS - 1} lines of at most {_LABEL_LENGTH} characters")
    native = data.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):
        data = np.ascontiguousarray(data, dtype=native if native.name in _KEPT_TYPES else np.float32)
    bad = data.size - np.count_nonzero(np.isfinite(data))
    if bad:
        raise MicrographError(f"{path}: not written, {bad} of {data.size} pixels are NaN or infinite; replace them")
    with replacing(path) as temporary, mrcfile.new(temporary, compression=_COMPRESSION[suffix]) as mrc:
        with np.errstate(over="ignore"):  # the standard deviation in the header, of values near the limit of float32
            mrc.set_data(data)
        mrc.voxel_size = (*sizes, sizes[0])
        mrc.header.origin.x, mrc.header.origin.y = origin
        # mrcfile's own label holds the time; without it the same array gives the same file.
        mrc.header.label[: len(lines)] = lines
        mrc.header.nlabl = len(lines)
