"""What a small copy of a micrograph shows of every place: the input of the classifier of `cryokit.imaging.unusable`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIDE = 256  # pixels that the longer side of the copy has at least, and at most twice as many
LEVELS = 6  # of the pyramid; each shows structures twice as wide as the one before
QUANTILES = (0.003, 0.02, 0.16, 0.5, 0.84, 0.98, 0.997)
FINE = 4  # pixels across a block whose noise is measured
_SMALLEST = 8  # pixels of a side that is not halved any more
_ROWS = 64  # binned together
_EPSILON = 1e-20


def block_size(shape: tuple[int, int]) -> int:
    """Return the side of the squares of pixels that become one pixel of the copy."""
    coarse, fine = _two_steps(shape)
    return coarse * fine


def _two_steps(shape: tuple[int, int]) -> tuple[int, int]:
    """Return by how much a micrograph is binned first, and then once more to the copy.

    Noise is measured between the two, where a large micrograph looks as a small one does.
    """
    size = max(1, min(max(shape) // SIDE, *shape))
    coarse = max(1, size // FINE)
    return coarse, size // coarse


def sign(mean: NDArray) -> int:
    """Return 1 if the darker tail of a picture's grey values is the longer one, -1 if it is the brighter one."""
    low, middle, high = np.quantile(mean, (0.02, 0.5, 0.98))
    return 1 if high - middle <= middle - low else -1


def features(data: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Measure every pixel of a small copy of a micrograph, and the copy as a whole.

    Everything is relative to the micrograph's own median and spread, so that gain, offset and units do not matter.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph, without padded borders and outliers.

    Returns
    -------
    local : ndarray of float32, shape (rows of the copy, columns of the copy, n)
        Noise and its direction; at each level of a pyramid the grey value in spreads and in tails of its distribution,
        its difference from that two levels on, and how steep it is.
    overall : ndarray of float32, shape (m,)
        Spread, skewness and tails of the distributions at each level; noise; binning.
    """
    mean, across, down = _blocks(data)
    mean = mean * sign(mean)  # a negative has the same mask
    noise = 0.5 * np.log(across + down + 1e-6 * np.median(across + down) + _EPSILON)
    usual_noise = float(np.median(noise))
    noise = np.clip(noise - usual_noise, -4, 4)
    least = 1e-6 * float(np.median(across + down)) + _EPSILON
    direction = 0.5 * np.log((across + least) / (down + least))
    direction = np.clip(direction - np.median(direction), -4, 4)
    local = [noise, direction, *(ndimage.uniform_filter(part, 9, mode="nearest") for part in (noise, direction))]
    overall = []

    pyramid = _pyramid(mean)
    shape = mean.shape
    enlarged = [resized(level, shape) for level in pyramid]
    finest = _spread(np.quantile(pyramid[0], QUANTILES))
    for number, (level, values) in enumerate(zip(pyramid, enlarged, strict=True)):
        quantiles = np.quantile(level, QUANTILES)
        spread = _spread(quantiles)
        local += _places(values, quantiles)
        overall += [np.log(spread / finest), *_tails(quantiles)]
        if number + 2 < len(pyramid):
            difference = enlarged[number] - enlarged[number + 2]
            quantiles = np.quantile(difference, QUANTILES)
            local += _places(difference, quantiles)
            overall += [np.log(_spread(quantiles) / finest), *_tails(quantiles)]
        if number < 4:
            slope = np.hypot(*np.gradient(level))
            usual = float(np.median(slope)) + 1e-3 * spread
            for steepness in (slope, ndimage.maximum_filter(slope, 5)):
                local.append(np.log((resized(steepness, shape) + 1e-3 * spread) / usual))
    for rough, reach in ((mean - enlarged[0], 3), (enlarged[0] - enlarged[min(3, len(enlarged) - 1)], 4)):
        power = ndimage.gaussian_filter(rough * rough, reach, mode="nearest")
        local.append(0.5 * np.log((power + _EPSILON) / (float(np.median(power)) + _EPSILON)))
    overall += [usual_noise - np.log(finest), np.log(_two_steps(data.shape)[1])]
    return np.stack(local, axis=-1).astype(np.float32), np.clip(np.array(overall, np.float32), -8, 8)


def _places(values: NDArray, quantiles: NDArray) -> list[NDArray]:
    """Return where values lie in their distribution: in spreads, in tails, and in what only few are beyond."""
    middle, spread = quantiles[3], _spread(quantiles)
    values = values - middle
    places = [np.arcsinh(values / spread)]
    for low, high in ((1, 5), (0, 6)):
        reach = np.where(values > 0, quantiles[high] - middle, middle - quantiles[low])
        places.append(np.arcsinh(values / (reach + 1e-3 * spread)))
    return places


def _tails(quantiles: NDArray) -> list[float]:
    """Return how long the tails of a distribution are, and how much longer for a few.

    Particles, of which there are many, have a tail that ends; a few beads or crystals have one that goes on.
    """
    spread = 0.1 * _spread(quantiles)
    lowest, low, _, middle, _, high, highest = quantiles
    far = [np.log((reach + spread) / spread) for reach in (middle - low, high - middle)]
    farther = [
        np.log((rare + spread) / (usual + spread))
        for rare, usual in ((middle - lowest, middle - low), (highest - middle, high - middle))
    ]
    return far + farther


def resized(level: NDArray, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarge a level of a pyramid by linear interpolation; its outer edges stay those of the picture."""
    if level.shape == shape:
        return level
    (row, next_row, down), (column, next_column, across) = (
        _interpolation(old, new) for old, new in zip(level.shape, shape, strict=True)
    )
    rows = level[row] * (1 - down[:, None]) + level[next_row] * down[:, None]
    return rows[:, column] * (1 - across) + rows[:, next_column] * across


def halved(picture: NDArray) -> NDArray[np.float32]:
    """Return the means of squares of two by two pixels; an odd side is continued by its last line."""
    picture = np.pad(picture, [(0, side % 2) for side in picture.shape], mode="edge")
    return 0.25 * (picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2])


def _interpolation(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    before = place.astype(np.intp)
    return before, np.minimum(before + 1, old - 1), (place - before).astype(np.float32)


def _spread(quantiles: NDArray) -> float:
    """Return half the range that holds two thirds of the grey values: the standard deviation of noise."""
    return float(quantiles[4] - quantiles[2]) / 2 + 1e-12 * abs(float(quantiles[3])) + _EPSILON


def _pyramid(picture: NDArray) -> list[NDArray[np.float32]]:
    """Return blurred copies, each half as large as the one before, as far as sides allow."""
    levels = []
    for number in range(LEVELS):
        levels.append(ndimage.gaussian_filter(picture, 1.2 if number else 1.0, mode="nearest"))
        picture = halved(levels[-1]) if min(levels[-1].shape) >= _SMALLEST else levels[-1]
    return levels


def _blocks(data: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean of each block, and the mean squared difference of neighbours along rows and along columns."""
    coarse, fine = _two_steps(data.shape)
    rows, columns = (side // (coarse * fine) * fine for side in data.shape)
    # In parts that the processor's cache holds; rows first, as they lie in memory.
    picture = np.empty((rows, columns), np.float32)
    for start in range(0, rows, _ROWS):
        part = data[start * coarse : min(start + _ROWS, rows) * coarse, : columns * coarse]
        part = part.reshape(-1, coarse, columns * coarse).mean(axis=1, dtype=np.float32) if coarse > 1 else part
        picture[start : start + _ROWS] = part.reshape(-1, columns, coarse).mean(axis=2) if coarse > 1 else part
    # The last row and column have no neighbour: the difference before them counts twice.
    across = np.diff(picture, axis=1, append=2 * picture[:, -1:] - picture[:, -2:-1]) ** 2
    down = np.diff(picture, axis=0, append=2 * picture[-1:] - picture[-2:-1]) ** 2
    blocks = [
        part.reshape(rows // fine, fine, columns).mean(axis=1).reshape(rows // fine, columns // fine, fine).mean(axis=2)
        for part in (picture, across, down)
    ]
    if fine < FINE:
        # So few pixels do not tell the noise.
        blocks[1:] = [ndimage.uniform_filter(block, 5) for block in blocks[1:]]
    return tuple(blocks)
