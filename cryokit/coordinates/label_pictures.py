"""Label pictures: ground truth published as discs, painted on a colour picture or white on black.

Reading finds the centres of the discs, also of discs that overlap, touch the border or were saved as JPEG. Every pixel
of the outline of the marked area votes for the point one radius away along the inward normal, as in the gradient form
of the circular Hough transform (Kimme, Ballard and Sklansky 1975, Communications of the ACM 18, 120-122), over a few
per cent around the radius because discs painted by hand are not quite round. Peaks of the votes are centres if the disc
around them is marked. Centres are right to about half a pixel.

Writing gives a disc mask: 8-bit grey, discs 255 on 0. Scores and views are not kept, nor are discs that others hide.
"""

import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd

from cryokit._util.declared_sizes import check_picture, check_tiff
from cryokit._util.files import replacing
from cryokit._util.names import coordinate_file_micrograph
from cryokit._util.wording import shortened
from cryokit.coordinates.formats import WriteOptions
from cryokit.coordinates.picks import sizes, table
from cryokit.errors import CoordinateError

logger = logging.getLogger(__name__)

# The geometry is measured in copies where a disc is at least this wide; wider discs are averaged down for speed.
_WORKING_DIAMETER = 40
_SMALLEST_DIAMETER = 6
# Paint differs between its colour channels by at least this much (of 255); grey pictures and JPEG noise do not.
_COLOURED = 64
_RADIUS_SPREAD = 0.06  # of the radius: discs painted by hand vary by that much
_SHORTEST_ARC = 0.05  # of a full circle's votes: what must be left of an overlapped disc's outline
_NEAREST = 0.25  # of the diameter: peaks closer than this are one disc


def recognises(text: str) -> bool:
    """Tell that a text is not a picture."""
    return False


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Find the discs in a label picture (see `cryokit.coordinates.formats`).

    The diameter is measured if it is not given. A picture is RGB(A) with coloured discs, or grey with bright discs on
    black.
    """
    mask = marked(_read_pixels(path), path)
    if not mask.any():
        return table(micrograph), [micrograph]
    if diameter is not None and diameter < _SMALLEST_DIAMETER:
        raise CoordinateError(f"{path}: discs of {diameter:g} pixels are too small; the least is {_SMALLEST_DIAMETER}")
    width = diameter or estimate_diameter(mask)
    if width is None:
        raise CoordinateError(f"{path}: the marks are smaller than {_SMALLEST_DIAMETER} pixels, so not discs")
    x, y, measured = find_discs(mask, width)
    covered = disc_mask(mask.shape, x, y, np.full(len(x), measured)) & mask
    hidden = 1 - np.count_nonzero(covered) / np.count_nonzero(mask)
    if hidden > 0.1:
        logger.warning(
            f"{path}: {hidden:.0%} of the marked area is not covered by the {len(x)} discs found (diameter "
            f"{measured:.1f}); give the diameter if this is not it"
        )
    return table(micrograph, x=x, y=y, diameter=diameter or measured), [micrograph]


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write one micrograph's picks as a disc mask (see `cryokit.coordinates.formats`)."""
    import imageio.v3 as iio

    name = picks["micrograph"].iloc[0] if len(picks) else coordinate_file_micrograph(path)
    if name not in options.shapes:
        raise CoordinateError(f"{path}: a label picture needs the shape of its micrograph (shape=, --micrographs)")
    discs = disc_mask(options.shapes[name], picks["x"], picks["y"], sizes(picks, options.box_size, path))
    with replacing(path) as temporary:
        iio.imwrite(temporary, discs.astype(np.uint8) * 255)


def disc_mask(shape: tuple[int, int], x: np.ndarray, y: np.ndarray, diameter: np.ndarray) -> np.ndarray:
    """Return the union of discs.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the mask.
    x, y, diameter : array_like of float, shape (n,)
        Centres and diameters in pixels. Discs may reach over the border.

    Returns
    -------
    ndarray of bool, shape `shape`
    """
    rows, columns = shape
    mask = np.zeros(shape, dtype=bool)
    for cx, cy, radius in zip(x, y, np.asarray(diameter) / 2, strict=True):
        top, left = max(0, int(np.ceil(cy - radius))), max(0, int(np.ceil(cx - radius)))
        bottom, right = min(rows, int(cy + radius) + 1), min(columns, int(cx + radius) + 1)
        if top < bottom and left < right:
            dy, dx = np.ogrid[top:bottom, left:right]
            mask[top:bottom, left:right] |= (dx - cx) ** 2 + (dy - cy) ** 2 <= radius**2
    return mask


def marked(picture: np.ndarray, path: str | os.PathLike = "the picture") -> np.ndarray:
    """Return which pixels are marked: coloured ones, or the bright ones of a black and white picture.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns) or (rows, columns, 2 to 4)
        Grey (with alpha) or RGB(A) values.
    path : path-like
        File of the picture, for error messages.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Raises
    ------
    CoordinateError
        If the picture has no colour and is not black and white.
    """
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] > 4):
        raise CoordinateError(f"{path}: not a single picture (shape {picture.shape})")
    if not picture.size or picture.dtype.kind not in "biuf" or not np.isfinite(picture).all():
        raise CoordinateError(f"{path}: has no pixels, or pixels of type {picture.dtype} that are no finite numbers")
    full = 1 if picture.dtype == bool else np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else picture.max()
    if picture.ndim == 3:
        if picture.shape[2] >= 3:
            red, green, blue = (picture[..., k] for k in range(3))
            highest = np.maximum(np.maximum(red, green), blue).astype(np.float32)
            coloured = highest - np.minimum(np.minimum(red, green), blue) >= full * (_COLOURED / 255)
            if coloured.any():
                return coloured
        picture = picture[..., 0]
    brightest = picture.max()  # masks are stored as 0 and 255, but also as 0 and 1
    between = np.count_nonzero((picture > 0.25 * brightest) & (picture < 0.75 * brightest))
    if between > 0.05 * picture.size or (brightest > 0 and picture.min() == brightest):
        raise CoordinateError(f"{path}: not a label picture (neither painted in colour nor black and white)")
    return picture > 0.5 * brightest


def estimate_diameter(mask: np.ndarray) -> float | None:
    """Estimate the diameter of discs from the mask of their union.

    At the centre of a disc, the distance to the background is the radius, as long as any of its outline shows; local
    maxima of the distance are mostly such centres. Their median, weighted by the area, is the radius.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Marked pixels.

    Returns
    -------
    float or None
        Diameter in pixels; None if nothing is as large as a disc.
    """
    from scipy import ndimage

    factor = max(1, max(mask.shape) // 1024)
    while True:
        small = _averaged(mask, factor) > 0.5
        # Beyond the border the discs may go on: what is cut off must not look like a smaller disc.
        distance = ndimage.distance_transform_edt(np.pad(small, 1, mode="edge"))[1:-1, 1:-1]
        peaks = distance[(distance == ndimage.maximum_filter(distance, size=5)) & (distance > 1)]
        if peaks.size:
            peaks = np.sort(peaks)
            weights = np.cumsum(peaks**2)
            # Half a pixel less: to the outline, not to the centre of the next pixel.
            radius = peaks[np.searchsorted(weights, weights[-1] / 2)] - 0.5
            if factor == 1 or 2 * radius >= _WORKING_DIAMETER / 2:
                return 2 * radius * factor if 2 * radius * factor >= _SMALLEST_DIAMETER else None
        elif factor == 1:
            return None
        factor = max(1, factor // 2)


def find_discs(mask: np.ndarray, diameter: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Find the centres of discs of about one diameter in the mask of their union.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Marked pixels.
    diameter : float
        Diameter in pixels, right to about 6 %.

    Returns
    -------
    x, y : ndarray of float64, shape (n,)
        Centres inside the picture, those with the longest outline first.
    diameter : float
        Diameter measured from the outlines; the given one if there are no discs.
    """
    from scipy import ndimage
    from scipy.spatial import cKDTree

    from cryokit.coordinates.suppression import nms_distance

    factor = max(1, int(diameter // _WORKING_DIAMETER))
    coverage = _averaged(mask, factor)
    radius = diameter / factor / 2
    pad = int(np.ceil(radius * (1 + _RADIUS_SPREAD))) + 2
    coverage = np.pad(coverage, pad, mode="edge")  # a cut disc goes straight on, without an outline along the border
    inside = coverage > 0.5
    in_picture = np.zeros_like(inside)
    in_picture[pad:-pad, pad:-pad] = True
    outline = in_picture & inside & ~ndimage.binary_erosion(inside, border_value=1)
    y, x = np.nonzero(outline)
    smooth = ndimage.gaussian_filter(coverage, max(1.0, 0.05 * radius))
    normal_y, normal_x = (np.gradient(smooth, axis=axis)[y, x] for axis in (0, 1))
    length = np.hypot(normal_x, normal_y)
    used = length > 0
    x, y, normal_x, normal_y = x[used], y[used], normal_x[used] / length[used], normal_y[used] / length[used]

    votes = np.zeros(coverage.size, dtype=np.float32)
    # Half a pixel less, as outline pixels lie inside.
    reaches = radius * np.linspace(1 - _RADIUS_SPREAD, 1 + _RADIUS_SPREAD, 5) - 0.5
    for reach in reaches:
        to_x, to_y = np.rint(x + normal_x * reach).astype(np.intp), np.rint(y + normal_y * reach).astype(np.intp)
        votes += np.bincount(to_y * coverage.shape[1] + to_x, minlength=votes.size)
    # In units of a full circle's outline: the Gaussian gathers a vote spread of the same width with weight about 1.
    width = max(1.0, 0.06 * radius)
    votes = ndimage.gaussian_filter(votes.reshape(coverage.shape), width)
    votes *= 2 * np.pi * width**2 / (len(reaches) * 2 * np.pi * radius)
    highest = ndimage.maximum_filter(votes, size=2 * int(0.15 * radius) + 3)
    y, x = np.nonzero(in_picture & (votes > _SHORTEST_ARC) & (votes == highest))
    keep = _filled(inside, x, y, 0.85 * radius)
    y, x = y[keep], x[keep]
    if not len(x):
        return np.zeros(0), np.zeros(0), float(diameter)
    keep = nms_distance(x, y, votes[y, x], _NEAREST * 2 * radius)
    y, x = y[keep], x[keep]

    distance, _ = cKDTree(np.column_stack([x, y])).query(np.argwhere(outline)[:, ::-1])
    near = distance[np.abs(distance + 0.5 - radius) < 0.15 * radius]
    measured = 2 * factor * (float(np.median(near)) + 0.5) if near.size else float(diameter)
    # Centres of mass of the peaks, from the frame of the averaged copy back to that of the picture.
    x, y = _refined(votes, x, y)
    return factor * (x - pad + 0.5) - 0.5, factor * (y - pad + 0.5) - 0.5, measured


def _read_pixels(path: str | os.PathLike) -> np.ndarray:
    import imageio.v3 as iio

    tiff = Path(path).suffix.lower() in (".tif", ".tiff")
    try:
        if tiff:
            import tifffile

            with tifffile.TiffFile(path) as file:
                check_tiff(path, file.series[0], CoordinateError)
        else:
            check_picture(path, CoordinateError)
        # Named, because imageio would try every plugin it has on a damaged file.
        return iio.imread(path, plugin="tifffile" if tiff else "pillow")
    except CoordinateError:
        raise
    except Exception as error:  # imageio's plugins raise many kinds
        reason = shortened(" ".join(str(error).split()), 200)
        raise CoordinateError(f"{path}: cannot be read as a picture ({reason})") from None


def _averaged(mask: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` x `factor` pixels; the last blocks are filled up with the border's values."""
    rows, columns = mask.shape
    padded = np.pad(mask, ((0, -rows % factor), (0, -columns % factor)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // factor, factor, -1, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _filled(inside: np.ndarray, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Tell at which centres nearly all of a disc of `radius` is inside."""
    reach = int(radius)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = dx**2 + dy**2 <= radius**2
    rows, columns = inside.shape
    to_y = np.clip(y[:, None] + dy[disc], 0, rows - 1)
    to_x = np.clip(x[:, None] + dx[disc], 0, columns - 1)
    return inside[to_y, to_x].mean(axis=1) > 0.95


def _refined(votes: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of mass of the votes within two pixels of the peaks."""
    dy, dx = (offset.ravel() for offset in np.mgrid[-2:3, -2:3])
    weights = votes[y[:, None] + dy, x[:, None] + dx].astype(np.float64)
    total = weights.sum(axis=1)
    return x + weights @ dx / total, y + weights @ dy / total
