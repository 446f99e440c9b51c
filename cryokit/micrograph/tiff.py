"""TIFF files of one micrograph or a movie."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from cryokit._util.declared_sizes import check_tiff
from cryokit.errors import MicrographError
from cryokit.micrograph.images import Images, quiet

TITLE = "a TIFF file"
# Angstrom per unit, by ImageJ's names of units.
_UNITS = {"a": 1, "å": 1, "angstrom": 1, "nm": 10, "nanometer": 10, "um": 1e4, "µm": 1e4, "μm": 1e4, "micron": 1e4}
# Compressions that tifffile leaves to a package of its own and Pillow reads.
_BY_PILLOW = ("LZW", "JPEG")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Images]:
    """Open a TIFF file; its first series counts, so that thumbnails do not."""
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        page = series.keyframe
        check_tiff(path, series, MicrographError)
        if page.dtype is None or page.dtype.kind not in "biuf":
            raise MicrographError(f"{path}: TIFF pixels of type {page.dtype} are not supported; export grey values")
        # Axes of a page: rows Y, columns X, samples S (colours). Every other axis counts frames.
        pages = math.prod(n for n, axis in zip(series.shape, series.axes, strict=True) if axis not in "YXS")
        count = pages * page.shape[0] if _is_stack(page) else pages
        yield Images(count, _images(path, series, pages), _pixel_sizes(page, tiff.imagej_metadata or {}))


def shape(path: Path) -> tuple[int, int]:
    """Return the rows and columns of the images in a TIFF file."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.series[0].keyframe
        return page.imagelength, page.imagewidth


def _images(path: Path, series: tifffile.TiffPageSeries, pages: int) -> Iterator[NDArray]:
    """Yield the images of a series, each (rows, columns) grey or (rows, columns, samples)."""
    page = series.keyframe
    stack = _is_stack(page)
    if getattr(page.compression, "name", "") in _BY_PILLOW:
        import imageio.v3

        for image in series.pages:
            with quiet(path):
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


def _is_stack(page: tifffile.TiffPage) -> bool:
    """Tell whether the samples of a page, plane by plane, are frames: so tifffile writes 3 or 4 of them."""
    return page.axes.startswith("S") and page.dtype is not None and page.dtype.itemsize > 1


def _pixel_sizes(page: tifffile.TiffPage, imagej: dict) -> tuple[float, float]:
    """Return Angstrom per pixel in x and y, 0 where the file does not say."""
    if "XResolution" not in page.tags or "YResolution" not in page.tags:
        return 0.0, 0.0
    unit = str(imagej.get("unit", "")).replace("\\u00B5", "µ").strip().lower()
    # ImageJ names its unit apart; otherwise the tag counts per inch (2) or per centimetre (3).
    angstrom = _UNITS.get(unit, 0) if unit else {2: 2.54e8, 3: 1e8}.get(int(page.resolutionunit), 0)
    (x_pixels, x_units), (y_pixels, y_units) = (page.tags[tag].value for tag in ("XResolution", "YResolution"))
    return (angstrom * x_units / x_pixels if x_pixels else 0.0, angstrom * y_units / y_pixels if y_pixels else 0.0)
