"""Label pictures: ground truth published as discs, painted on a colour picture or white on black.

Reading finds the discs' centres, also of discs that overlap, touch the border or were saved as JPEG. Every pixel of the
outline of the marked area votes for the point one radius away along the inward normal, as in the gradient form of the
circular Hough transform (Kimme, Ballard and Sklansky 1975, Communications of the ACM 18, 120-122), over a few per cent
around the radius because discs painted by hand are not quite round. Peaks of the votes are centres if the disc around
them is marked.

Writing gives a disc mask. Scores and views are not kept, nor are discs that others hide.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd

from cryokit._util.files import replacing
from cryokit._util.names import micrograph_name
from cryokit.coordinates.picks import table
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


def read(
    path: str | os.PathLike, micrograph: str | None = None, *, diameter: float | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Find the discs in a label picture.

    Parameters
    ----------
    path : path-like
        A picture that imageio reads: RGB(A) with coloured discs, or grey with bright discs on black.
    micrograph : str, optional
        The micrograph's name; the file's name without its suffix by default.
    diameter : float, optional
        The discs' diameter in pixels of the picture; estimated when not given.

    Returns
    -------
    picks : pandas.DataFrame
        Centres to about half a pixel; `diameter` is the discs'.
    micrographs : list of str
        The one micrograph.

    Raises
    ------
    CoordinateError
        When the picture cannot be read, is neither of the two kinds, or its marks are no discs.
    """
    name = micrograph or micrograph_name(path)
    mask = marked(_picture(path), path)
    if not mask.any():
        return table(name), [name]
    if diameter is not None and not diameter >= _SMALLEST_DIAMETER:
        raise CoordinateError(
            f"{path}: discs of {diameter} pixels are too small; at least {_SMALLEST_DIAMETER} are needed"
        )
    width = diameter or estimate_diameter(mask)
    if width is None:
        raise CoordinateError(f"{path}: the marks are smaller than {_SMALLEST_DIAMETER} pixels, so no discs")
    x, y, found = find_discs(mask, width)
    hidden = 1 - _covered(mask, x, y, found)
    if hidden > 0.1:
        logger.warning(
            "%s: %.0f %% of the marked area is not covered by the %d discs found (diameter %.1f); "
            "give the right diameter if this is not it",
            *(path, 100 * hidden, len(x), found),
        )
    return table(name, x=x, y=y, diameter=diameter or found), [name]


def write(
    path: str | os.PathLike, picks: pd.DataFrame, shape: tuple[int, int], *, diameter: float | None = None
) -> None:
    """Write one micrograph's picks as a mask: 8-bit grey, discs 255 on 0.

    Parameters
    ----------
    path : path-like
        A file name with the suffix of a picture, ``.png`` by preference.
    picks : pandas.DataFrame
        A table of picks.
    shape : tuple of int
        Rows and columns of the micrograph.
    diameter : float, optional
        The discs' diameter; each pick's own by default.

    Raises
    ------
    CoordinateError
        When a diameter is not known.
    """
    import imageio.v3 as iio

    sizes = picks["diameter"].to_numpy() if diameter is None else np.full(len(picks), diameter, dtype=np.float64)
    if not (sizes > 0).all():
        raise CoordinateError(
            f"{path}: discs need a diameter and picks without one have none; give it (box_size=, --box-size)"
        )
    picture = _discs(shape, picks["x"].to_numpy(), picks["y"].to_numpy(), sizes).astype(np.uint8) * 255
    with replacing(path) as temporary:
        iio.imwrite(temporary, picture)


def marked(picture: np.ndarray, path: str | os.PathLike = "the picture") -> np.ndarray:
    """Return which pixels are marked: coloured ones, or the bright ones of a black and white picture.

    Parameters
    ----------
    picture : numpy.ndarray, shape (rows, columns) or (rows, columns, 2 to 4)
        Grey (with alpha) or RGB(A).
    path : path-like
        Named in error messages.

    Returns
    -------
    numpy.ndarray, shape (rows, columns), bool

    Raises
    ------
    CoordinateError
        When the picture has neither colour nor only black and white.
    """
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] > 4):
        raise CoordinateError(f"{path}: not a single picture (shape {picture.shape})")
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
        raise CoordinateError(
            f"{path}: neither discs painted in colour nor a black and white mask, so not a label picture"
        )
    return picture > 0.5 * brightest


def estimate_diameter(mask: np.ndarray) -> float | None:
    """Estimate the diameter of the discs that `mask` is the union of.

    The distance to the background, at a disc's centre, is its radius as long as any of its outline shows; local maxima
    of the distance are mostly such centres. Their median, weighted with the area, is the radius.

    Parameters
    ----------
    mask : numpy.ndarray, shape (rows, columns), bool

    Returns
    -------
    float or None
        Pixels; None when there is nothing as large as a disc.
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
            radius = (
                peaks[np.searchsorted(weights, weights[-1] / 2)] - 0.5
            )  # to the outline, not the next pixel's centre
            if factor == 1 or 2 * radius >= _WORKING_DIAMETER / 2:
                return 2 * radius * factor if 2 * radius * factor >= _SMALLEST_DIAMETER else None
        elif factor == 1:
            return None
        factor = max(1, factor // 2)


def find_discs(mask: np.ndarray, diameter: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Find the centres of discs of about one diameter in the mask of their union.

    Parameters
    ----------
    mask : numpy.ndarray, shape (rows, columns), bool
    diameter : float
        Pixels, right to about 6 %.

    Returns
    -------
    x, y : numpy.ndarray, shape (n,), float64
        Centres inside the picture, those with the longest outline first.
    diameter : float
        The discs' diameter as measured from their outlines; the given one when nothing is found.
    """
    from scipy import ndimage
    from scipy.spatial import cKDTree

    factor = max(1, int(diameter // _WORKING_DIAMETER))
    coverage = _averaged(mask, factor)
    radius = diameter / factor / 2
    pad = int(np.ceil(radius * (1 + _RADIUS_SPREAD))) + 2
    coverage = np.pad(coverage, pad, mode="edge")  # a cut disc goes straight on, without an outline along the border
    rows, columns = coverage.shape
    inside = coverage > 0.5
    outline = inside & ~ndimage.binary_erosion(inside, border_value=1)
    outline[:pad], outline[rows - pad :], outline[:, :pad], outline[:, columns - pad :] = False, False, False, False
    y, x = np.nonzero(outline)
    smooth = ndimage.gaussian_filter(coverage, max(1.0, 0.05 * radius))
    normal_y, normal_x = (np.gradient(smooth, axis=axis)[y, x] for axis in (0, 1))
    length = np.hypot(normal_x, normal_y)
    used = length > 0
    x, y, normal_x, normal_y = x[used], y[used], normal_x[used] / length[used], normal_y[used] / length[used]

    votes = np.zeros(coverage.size, dtype=np.float32)
    reaches = (
        radius * np.linspace(1 - _RADIUS_SPREAD, 1 + _RADIUS_SPREAD, 5) - 0.5
    )  # outline pixels lie half a pixel in
    for reach in reaches:
        to_x, to_y = np.rint(x + normal_x * reach).astype(np.intp), np.rint(y + normal_y * reach).astype(np.intp)
        votes += np.bincount(to_y * columns + to_x, minlength=votes.size)
    # In units of a full circle's outline: the Gaussian gathers a vote spread of the same width with weight about 1.
    width = max(1.0, 0.06 * radius)
    votes = ndimage.gaussian_filter(votes.reshape(coverage.shape), width)
    votes *= 2 * np.pi * width**2 / (len(reaches) * 2 * np.pi * radius)
    peaks = (votes > _SHORTEST_ARC) & (votes == ndimage.maximum_filter(votes, size=2 * int(0.15 * radius) + 3))
    y, x = np.nonzero(peaks)
    in_picture = (y >= pad) & (y < rows - pad) & (x >= pad) & (x < columns - pad)
    y, x = y[in_picture], x[in_picture]
    order = np.argsort(-votes[y, x], kind="stable")
    y, x = y[order], x[order]

    keep = _filled(inside, x, y, 0.85 * radius)
    y, x = y[keep], x[keep]
    if not len(x):
        return np.zeros(0), np.zeros(0), float(diameter)
    keep = np.ones(len(x), dtype=bool)
    for first, second in sorted(cKDTree(np.column_stack([x, y])).query_pairs(_NEAREST * 2 * radius)):
        keep[second] &= not keep[first]  # pairs come in order of votes, so `first` is settled already
    y, x = y[keep], x[keep]

    distance, _ = cKDTree(np.column_stack([x, y])).query(np.argwhere(outline)[:, ::-1])
    near = distance[np.abs(distance + 0.5 - radius) < 0.15 * radius]
    measured = 2 * factor * (float(np.median(near)) + 0.5) if near.size else float(diameter)
    # The peaks' centres of mass, and from the averaged copy's frame back to the picture's.
    x, y = _refined(votes, x, y)
    return factor * (x - pad + 0.5) - 0.5, factor * (y - pad + 0.5) - 0.5, measured


def _picture(path: str | os.PathLike) -> np.ndarray:
    import imageio.v3 as iio

    if not Path(path).is_file():
        raise CoordinateError(f"{path}: no such file")
    try:
        # Named, because imageio would try every plugin it has on a damaged file.
        return iio.imread(path, plugin="tifffile" if Path(path).suffix.lower() in (".tif", ".tiff") else "pillow")
    except Exception as error:  # imageio's plugins raise many kinds
        raise CoordinateError(f"{path}: cannot be read as a picture ({str(error).splitlines()[0]})") from None


def _averaged(mask: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` x `factor` pixels; the last rows and columns are filled up with their neighbours."""
    rows, columns = mask.shape
    padded = np.pad(mask, ((0, -rows % factor), (0, -columns % factor)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // factor, factor, -1, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _filled(inside: np.ndarray, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Tell for which centres nearly all of the disc of `radius` is inside."""
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


def _discs(shape: tuple[int, int], x: np.ndarray, y: np.ndarray, diameter: np.ndarray) -> np.ndarray:
    """Return the union of discs as a mask."""
    rows, columns = shape
    mask = np.zeros(shape, dtype=bool)
    for cx, cy, radius in zip(x, y, diameter / 2, strict=True):
        top, left = max(0, int(np.ceil(cy - radius))), max(0, int(np.ceil(cx - radius)))
        bottom, right = min(rows, int(cy + radius) + 1), min(columns, int(cx + radius) + 1)
        if top < bottom and left < right:
            dy, dx = np.ogrid[top:bottom, left:right]
            mask[top:bottom, left:right] |= (dx - cx) ** 2 + (dy - cy) ** 2 <= radius**2
    return mask


def _covered(mask: np.ndarray, x: np.ndarray, y: np.ndarray, diameter: float) -> float:
    """Return the part of the marked pixels that lie in one of the discs."""
    discs = _discs(mask.shape, x, y, np.full(len(x), diameter))
    return np.count_nonzero(discs & mask) / np.count_nonzero(mask)
