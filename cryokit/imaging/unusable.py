"""Find what is no usable ice, and fill it: foil, carbon, beam edge, crystals, gold beads, aggregates, padded borders.

A classifier looks at a small copy of the micrograph (`cryokit.imaging.ice_features`), pixel by pixel. It was trained on
simulated micrographs alone (``benchmarks/train_unusable.py``). What it rejects is filled with the surrounding grey
level and with noise of the micrograph's own spectrum, so that no filter rings at a rim, and levels, spectra and
thresholds are those of the ice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage
from scipy.special import expit

from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.ice_features import block_size, features, halved, resized, sign

logger = logging.getLogger(__name__)

SURE, POSSIBLE = 0.6, 0.4  # probability that begins a region, and up to which it is grown
SMALLEST = 2  # pixels of the copy in a region
RIM = 1  # pixels of the copy by which regions are widened
LEAST = 32  # pixels of a side below which nothing is said of a micrograph
_TILE = 256  # pixels: side of the square of noise that is repeated in what is filled
_TILES = 16  # of the micrograph whose spectra are averaged


@lru_cache(maxsize=1)
def _weights() -> dict[str, NDArray[np.float32]]:
    with resources.as_file(resources.files("cryokit.imaging") / "unusable.npz") as path, np.load(path) as file:
        return {name: file[name] for name in file.files if name != "provenance"}


def probability(data: NDArray) -> NDArray[np.float32]:
    """Return the probability, for each pixel of a small copy of a micrograph, that it is no usable ice.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.

    Returns
    -------
    ndarray of float32, shape (rows of the copy, columns of the copy)
    """
    local, overall = features(data)
    weights, values = _weights(), local
    layers = sum(name.startswith("kernel") for name in weights)
    for layer in range(layers):
        kernel, bias = weights[f"kernel{layer}"], weights[f"bias{layer}"]
        if layer == 0:
            bias = bias + overall @ kernel[local.shape[-1] :]
            kernel = kernel[: local.shape[-1]]
        values = values @ kernel + bias
        if layer < layers - 1:
            np.maximum(values, 0, out=values)
    # Single pixels of noise do not decide.
    return expit(ndimage.gaussian_filter(values[..., 0], 1, mode="nearest"))


def unusable(data: NDArray) -> Picture:
    """Return the mask of what is no usable ice in a micrograph.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.

    Returns
    -------
    Picture
        Mask, bool, on a small copy, and its frame in the micrograph.

    Examples
    --------
    >>> data = np.random.default_rng(0).normal(size=(512, 512)); data[:, 400:] = 20
    >>> mask = unusable(data)
    >>> mask.data.shape, bool(mask.data[:, 210:].mean() > 0.9), bool(mask.data[:, :190].mean() < 0.05)
    ((256, 256), True, True)
    """
    size = block_size(data.shape)
    rows, columns = (side // size for side in data.shape)
    frame = Frame((rows, columns), data.shape, (size - 1) / 2, (size - 1) / 2, size, size)
    # Of hardly any grey values nothing can be said.
    low, high = np.quantile(data[::3, ::3], (0.16, 0.84))
    if min(data.shape) < LEAST or not high > low:
        return Picture(np.zeros((rows, columns), bool), frame)
    chance = probability(data)
    regions, number = ndimage.label(chance > POSSIBLE, np.ones((3, 3)))
    peaks = ndimage.maximum(chance, regions, np.arange(number + 1))
    areas = np.bincount(regions.ravel(), minlength=number + 1)
    kept = (peaks > SURE) & (areas >= SMALLEST)
    kept[0] = False
    mask = kept[regions]
    return Picture(ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=RIM) if mask.any() else mask, frame)


def covered(mask: Picture, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
    """Return which places of a micrograph a mask covers.

    Parameters
    ----------
    mask : Picture
        Output of `unusable`.
    x, y : array_like of float
        Places, pixels of the picture that the mask's frame is of.
    """
    column, row = mask.frame.from_source(x, y)
    row, column = (
        np.clip(np.rint(place).astype(int), 0, size - 1)
        for place, size in zip((row, column), mask.data.shape, strict=True)
    )
    return mask.data[row, column]


def enlarged(mask: Picture, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask at the size of the micrograph.

    Parameters
    ----------
    mask : Picture
        Mask, and its frame in the micrograph.
    shape : tuple of int
        Rows and columns of the micrograph.
    """
    rows, columns = shape
    x, _ = mask.frame.from_source(np.arange(columns), np.zeros(columns))
    _, y = mask.frame.from_source(np.zeros(rows), np.arange(rows))
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    column, row = (
        np.clip(index, 0, size - 1) for index, size in zip((column, row), mask.data.shape[::-1], strict=True)
    )
    return mask.data[np.ix_(row, column)]


@dataclass(frozen=True)
class Patch:
    """What replaces a part of a micrograph: `data` in `rows` and `columns`."""

    rows: slice
    columns: slice
    data: NDArray[np.float32]


def patches(data: NDArray, mask: Picture) -> list[Patch]:
    """Return what has to replace the masked regions of a micrograph.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.
    mask : Picture
        Output of `unusable`.

    Returns
    -------
    list of Patch
        Parts of the filled micrograph, each of which holds one region; one after the other they are put in place.
    """
    if not mask.data.any() or mask.data.all():
        return []
    size = int(mask.frame.step)
    rows, columns = mask.data.shape
    means = np.array(data[: rows * size, : columns * size], np.float32).reshape(rows, size, columns, size).mean((1, 3))
    level = _filled_level(means, mask.data)
    noise = sign(means) * _noise(data, mask)  # a negative gets the negative
    parts = []
    # Regions that touch are filled together: each patch is cut from the picture as it was.
    for region in ndimage.find_objects(ndimage.label(ndimage.binary_dilation(mask.data, np.ones((3, 3)), 2))[0]):
        (top, bottom), (left, right) = ((part.start, part.stop) for part in region)
        last_row, last_column = (
            side if end == count else end * size
            for side, end, count in zip(data.shape, (bottom, right), (rows, columns), strict=True)
        )
        window = slice(top * size, last_row), slice(left * size, last_column)
        shape = tuple(part.stop - part.start for part in window)
        cover = _enlarged(mask.data[region].astype(np.float32), size, shape)
        cover = ndimage.uniform_filter(cover, max(3, size), mode="nearest")
        tile = noise[np.ix_(*(np.arange(part.start, part.stop) % _TILE for part in window))]
        fill = _enlarged(level[region], size, shape) + tile
        parts.append(Patch(*window, (data[window] * (1 - cover) + fill * cover).astype(np.float32)))
    return parts


def _enlarged(level: NDArray, size: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarge a part of the copy to pixels of the micrograph; what is left over at the end continues its last line."""
    picture = resized(level, tuple(side * size for side in level.shape))
    return np.pad(picture, [(0, want - have) for want, have in zip(shape, picture.shape, strict=True)], mode="edge")


def _filled_level(means: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace masked means by those around, at the finest scale at which there are any (push-pull)."""
    levels = [(np.where(mask, 0, means), (~mask).astype(np.float32))]
    while min(levels[-1][0].shape) > 1:
        levels.append(tuple(halved(part) for part in levels[-1]))
    total, weight = levels[-1]
    filled = np.full(total.shape, total.sum() / max(float(weight.sum()), 1e-9), np.float32)
    for total, weight in reversed(levels):
        filled = total + (1 - weight) * ndimage.gaussian_filter(resized(filled, total.shape), 1, mode="nearest")
    return filled


def _noise(data: NDArray, mask: Picture) -> NDArray[np.float32]:
    """Return a square of noise, without a seam when repeated, with the power spectrum of the usable ice."""
    size = int(mask.frame.step)
    side = min(_TILE, *data.shape)
    blocks = max(1, side // size)
    shares = mask.data.astype(np.float32)
    shares = ndimage.uniform_filter(shares, blocks, mode="constant", cval=1, origin=-(blocks // 2))
    places = np.argwhere(shares <= shares.min() + 1e-3) * size
    places = places[(places <= np.array(data.shape) - side).all(axis=1)]
    if not len(places):
        places = np.zeros((1, 2), int)
    places = places[np.linspace(0, len(places) - 1, min(_TILES, len(places))).astype(int)]
    power = np.zeros((side, side // 2 + 1))
    window = np.outer(*2 * [np.hanning(side)])
    for row, column in places:
        tile = data[row : row + side, column : column + side].astype(float)
        power += np.abs(fft.rfft2((tile - tile.mean()) * window)) ** 2
    power[:2, :2] = 0  # the level, which is filled apart
    white = fft.rfft2(np.random.default_rng(0).standard_normal((_TILE, _TILE)))
    rows, columns = (
        np.minimum(np.arange(n) * side // _TILE, m - 1) for n, m in zip(white.shape, power.shape, strict=True)
    )
    noise = fft.irfft2(white * np.sqrt(power[np.ix_(rows, columns)]), (_TILE, _TILE))
    wanted = [data[row : row + side, column : column + side].std() for row, column in places]
    return (noise * (np.median(wanted) / max(float(noise.std()), 1e-30))).astype(np.float32)
