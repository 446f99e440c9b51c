"""Write micrographs as MRC."""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray

from cryokit._util.files import replacing
from cryokit.errors import MicrographError

# What MRC has a mode for and keeps exactly: modes 0, 1, 6 and 12. Everything else becomes mode 2, float32.
KEPT_TYPES = ("int8", "int16", "uint16", "float16")
COMPRESSION = {".mrc": None, ".mrcs": None, ".mrc.gz": "gzip", ".mrc.bz2": "bzip2"}


def write_mrc(path: str | os.PathLike, data: NDArray, pixel_size: float | None = None) -> None:
    """Write a micrograph as MRC, whole or not at all.

    Parameters
    ----------
    path : path-like
        Ends in ``.mrc``, ``.mrcs``, ``.mrc.gz`` or ``.mrc.bz2``; the last two are compressed.
    data : ndarray, shape (rows, columns)
        int8, int16, uint16 and float16 are stored as they are (modes 0, 1, 6, 12), everything else as float32
        (mode 2). The first row is the first in the file.
    pixel_size : float, optional
        Angstrom, written as the voxel size. Zero (unknown) when not given.

    Raises
    ------
    MicrographError
        When the suffix is not one of these, the array is not two-dimensional, empty or complex, a pixel is NaN or
        infinite, or the pixel size is not a positive number.
    """
    import mrcfile

    path = os.fspath(path)
    suffix = next(
        (suffix for suffix in sorted(COMPRESSION, key=len, reverse=True) if path.lower().endswith(suffix)), None
    )
    if suffix is None:
        raise MicrographError(f"{path}: an MRC file's name ends in {', '.join(COMPRESSION)}")
    data = np.asarray(data)
    if data.ndim != 2 or data.size == 0:
        raise MicrographError(
            f"{path}: a micrograph has rows and columns; an array of shape {data.shape} is not written"
        )
    if data.dtype.kind not in "biuf":
        raise MicrographError(f"{path}: pixels of type {data.dtype} are not written; give real numbers")
    if pixel_size is not None and not (math.isfinite(pixel_size) and pixel_size > 0):
        raise MicrographError(
            f"{path}: a pixel size of {pixel_size!r} A is not written; give a positive number or None"
        )
    kept = data.dtype.newbyteorder("=").name in KEPT_TYPES
    with np.errstate(over="ignore"):
        data = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("=") if kept else np.float32)
    bad = data.size - np.count_nonzero(np.isfinite(data))
    if bad:
        raise MicrographError(f"{path}: not written, {bad} pixels are NaN or infinite; replace them first")
    with replacing(path) as temporary, mrcfile.new(temporary, compression=COMPRESSION[suffix]) as mrc:
        mrc.set_data(data)
        mrc.voxel_size = pixel_size or 0
        # mrcfile's own label holds the time; without it the same array gives the same file.
        mrc.header.label[0] = b"written by cryokit"
