"""Sizes that the header of a picture declares, compared with what its file can hold, before memory is taken for them.

A header is a few bytes that can promise anything. What is not compressed has to be in the file; compressed, a byte can
stand for no more than `MOST_PER_BYTE` (Deflate reaches 1032, LZW in TIFF about 2600). However it is stored, an image
has at most `LARGEST` pixels, twice as many as the largest detectors give with super-resolution.
"""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit.errors import CryokitError

if TYPE_CHECKING:
    import tifffile

LARGEST = 1 << 29  # pixels of an image
MOST_PER_BYTE = 2600  # bytes that one byte of a compressed file can stand for


def check_declared(
    path: str | os.PathLike, pixels: int, nbytes: int, error: type[CryokitError], *, compressed: bool
) -> None:
    """Check that a file can hold what its header declares.

    Parameters
    ----------
    path : path-like
        File.
    pixels : int
        Pixels of an image.
    nbytes : int
        Bytes of all images, or of whatever is to be decoded at once.
    error : type
        Class of the error to raise.
    compressed : bool
        Whether the pixels are compressed.

    Raises
    ------
    CryokitError
        If the file cannot hold them, or an image has more than `LARGEST` pixels; of the class `error`.
    """
    if pixels > LARGEST:
        raise error(f"{path}: its header promises {pixels} pixels, more than the limit of {LARGEST}")
    size = os.stat(path).st_size
    if nbytes > size * (MOST_PER_BYTE if compressed else 1):
        raise error(
            f"{path}: truncated, its header promises {nbytes} bytes of pixels, more than its {size} bytes can hold; "
            "copy it again"
        )


def check_tiff(path: str | os.PathLike, series: "tifffile.TiffPageSeries", error: type[CryokitError]) -> None:
    """Check the declared size of a TIFF file's images, and of the strips or tiles that they are decoded from.

    Raises
    ------
    CryokitError
        As `check_declared`, or if strips are missing.
    """
    page = series.keyframe
    itemsize = max(1, page.bitspersample) / 8
    compressed = page.compression not in (None, 1)
    pixels = page.imagelength * page.imagewidth
    check_declared(path, pixels, int(math.prod(page.shape) * itemsize), error, compressed=compressed)
    chunk = math.prod(page.chunks) if page.chunks else 0
    check_declared(path, 0, int(chunk * itemsize), error, compressed=True)
    if len(series.pages) == 1:  # it may stand for images that follow each other in the file
        check_declared(path, 0, int(math.prod(series.shape) * itemsize), error, compressed=compressed)
    size = os.stat(path).st_size
    for one in series.pages:
        if one is None:
            continue
        needed = math.prod(one.chunked) if one.chunked else 0
        counts = one.databytecounts
        if len(counts) < needed or len(one.dataoffsets) < needed:
            raise error(f"{path}: truncated, {len(counts)} of {needed} strips of an image are listed; copy it again")
        if any(count > size for count in counts):
            raise error(f"{path}: truncated, a strip is longer than the file; copy it again")


def check_picture(path: str | os.PathLike, error: type[CryokitError]) -> None:
    """Check the declared size of a PNG or JPEG picture.

    Raises
    ------
    CryokitError
        As `check_declared`.
    """
    from PIL import Image

    with Image.open(Path(path)) as picture:  # reads the header only
        columns, rows = picture.size
        check_declared(path, rows * columns, rows * columns * len(picture.getbands()), error, compressed=True)
