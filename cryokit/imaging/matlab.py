"""The operations of the preprocessing chain, as MATLAB's Image Processing Toolbox documents them.

The published chains are MATLAB programs, and their parameters have their meaning only with MATLAB's definitions (where
it rounds, how it pads, what a clip limit is), which scikit-image does not share. Where a function here does something
else, its docstring says so and why.

Pictures are arrays (rows, columns) of floats in [0, 1]; values outside are taken for 0 or 1 where grey levels are
counted. float32 stays float32, everything else becomes float64. No function changes its input. All raise
`ArgumentError` if the picture is not a two-dimensional array with at least one pixel, or another argument is out of
its range.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit._util.validation import check_choice, check_number, check_picture
from cryokit.errors import ArgumentError

# Grey levels in which MATLAB counts a picture of floats
HISTEQ_LEVELS = 256
STRETCHLIM_LEVELS = 65536
DISTRIBUTIONS = ("uniform", "rayleigh", "exponential")


def mat2gray(image: ArrayLike, limits: tuple[float, float] | None = None) -> NDArray:
    """Map grey values linearly to [0, 1].

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Picture of any real numbers.
    limits : (low, high), optional
        Grey values that become 0 and 1; values outside are cut off. By default minimum and maximum.

    Returns
    -------
    ndarray, shape (rows, columns)
        If both limits are equal, the input limited to [0, 1], as MATLAB does.

    Examples
    --------
    >>> mat2gray([[-1.0, 0.0], [1.0, 3.0]]).tolist()
    [[0.0, 0.25], [0.5, 1.0]]
    >>> mat2gray([[-1.0, 0.0], [1.0, 3.0]], (0, 2)).tolist()
    [[0.0, 0.0], [0.5, 1.0]]
    """
    image = _picture(image)
    low, high = (float(image.min()), float(image.max())) if limits is None else map(float, limits)
    if low == high:
        return np.clip(image, 0, 1)
    # The difference first: grey values may be much larger than it, and float32 has 7 digits.
    return np.clip((image - low) / (high - low), 0, 1)


def stretchlim(image: ArrayLike, tolerance: tuple[float, float] = (0.01, 0.99)) -> tuple[float, float]:
    """Find the limits of a contrast stretch that saturates given fractions of the pixels.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values in [0, 1].
    tolerance : (low, high)
        Fractions of the pixels at or below the lower and the upper limit, 0 <= low < high <= 1.

    Returns
    -------
    low, high : float
        Grey levels of a histogram with 65,536 levels (MATLAB's number for everything but 8-bit pictures): the first
        whose cumulative share exceeds the lower fraction, and the first whose share reaches the upper one. (0, 1) if
        both are the same level.

    Examples
    --------
    >>> stretchlim([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]], (0.2, 0.8))
    (0.2, 0.8)
    """
    low, high = map(float, tolerance)
    if not 0 <= low < high <= 1:
        raise ArgumentError(f"tolerance must be two fractions with 0 <= low < high <= 1, not {low:g} and {high:g}")
    levels = _levels(_picture(image), STRETCHLIM_LEVELS)
    share = np.cumsum(np.bincount(levels.ravel(), minlength=STRETCHLIM_LEVELS)) / levels.size
    first, last = int(np.argmax(share > low)), int(np.argmax(share >= high))
    if first == last:
        return 0.0, 1.0
    return first / (STRETCHLIM_LEVELS - 1), last / (STRETCHLIM_LEVELS - 1)


def imadjust(image: ArrayLike, limits: tuple[float, float] | None = None) -> NDArray:
    """Map grey values between two limits to [0, 1], and those beyond them to 0 or 1.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values in [0, 1].
    limits : (low, high), optional
        Grey values that become 0 and 1. By default ``stretchlim(image)``, which saturates 1 % of the pixels at each
        end.

    Returns
    -------
    ndarray, shape (rows, columns)

    Examples
    --------
    >>> imadjust([[0.1, 0.3], [0.5, 0.9]], (0.1, 0.5)).round(6).tolist()
    [[0.0, 0.5], [1.0, 1.0]]
    """
    image = _picture(image)
    low, high = stretchlim(image) if limits is None else map(float, limits)
    if not low < high:
        raise ArgumentError(f"limits must be increasing, not {low:g} and {high:g}")
    return mat2gray(image, (low, high))


def histeq(image: ArrayLike, bins: int = 64) -> NDArray:
    """Equalise the histogram: about as many pixels at each of `bins` grey levels.

    The 256 grey levels k of the picture are mapped by the monotone T(k) that minimises
    ``c1(T(k)) - (c0(k) - h(k) / 2)`` among the values that are not negative (Gonzalez and Wintz; MATLAB's ``histeq``).
    Here c0 is the picture's cumulative histogram, c1 that of `bins` equally filled levels, and h(k) the number of
    pixels at level k, taken as 0 at the two ends so that black and white are reached.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values in [0, 1].
    bins : int
        Number of grey levels of the result, at least 2: 0, 1 / (bins - 1), ..., 1.

    Returns
    -------
    ndarray, shape (rows, columns)

    Examples
    --------
    >>> histeq([[0.4, 0.4, 0.5, 0.5, 0.6, 0.6, 0.7, 0.7]], 5).tolist()
    [[0.0, 0.0, 0.25, 0.25, 0.75, 0.75, 1.0, 1.0]]
    """
    image = _picture(image)
    check_number("bins", bins, 2, whole=True)
    levels = _levels(image, HISTEQ_LEVELS)
    counts = np.bincount(levels.ravel(), minlength=HISTEQ_LEVELS)
    half = counts / 2
    half[[0, -1]] = 0
    wanted = np.arange(1, bins + 1) * (image.size / bins)
    # MATLAB forgives rounding errors of the sums up to this.
    slack = image.size * math.sqrt(np.finfo(np.float64).eps)
    new = np.searchsorted(wanted, np.cumsum(counts) - half - slack)
    return (new / (bins - 1)).astype(image.dtype)[levels]


def wiener2(
    image: ArrayLike,
    window: tuple[int, int] = (3, 3),
    noise: float | None = None,
    *,
    border: Literal["zeros", "symmetric"] = "zeros",
) -> NDArray:
    """Smooth by the adaptive Wiener filter: strongly where the local variance is low, hardly where it is high.

    With the mean m and the variance v in the window around a pixel of value a, the result is
    ``m + max(v - noise, 0) / max(v, noise) * (a - m)`` (Lee 1980; Lim 1990).

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values in [0, 1].
    window : (rows, columns)
        Size of the window. An even one has one more pixel after the centre than before it, as in MATLAB.
    noise : float, optional
        Variance of the noise. By default the mean of all local variances.
    border : {"zeros", "symmetric"}
        Continuation of the picture beyond its border. MATLAB's ``zeros`` draws a dark frame, half a window wide; the
        mirror image, which MATLAB's function does not offer, does not.

    Returns
    -------
    ndarray, shape (rows, columns)
        Where the variance and the noise are both 0, the mean (MATLAB divides 0 by 0).

    Examples
    --------
    >>> wiener2([[0.0, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 0.0]]).round(6).tolist()
    [[0.1, 0.1, 0.1], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1]]
    >>> wiener2([[0.0, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 0.0]], noise=0.02).round(6)[1].tolist()
    [0.025, 0.7, 0.025]
    """
    image = _picture(image)
    window = _window(window)
    check_choice("border", border, ("zeros", "symmetric"))
    mode = "constant" if border == "zeros" else "reflect"
    mean, variance = _moments(image, window, mode)
    noise = float(variance.mean(dtype=np.float64)) if noise is None else noise
    check_number("noise", noise, 0)
    gain = np.maximum(variance - noise, 0)
    np.maximum(variance, noise, out=variance)
    np.divide(gain, variance, out=gain, where=variance > 0)
    gain *= image - mean
    gain += mean
    return gain


def adapthisteq(
    image: ArrayLike,
    tiles: tuple[int, int] = (8, 8),
    clip_limit: float = 0.01,
    bins: int = 256,
    distribution: Literal["uniform", "rayleigh", "exponential"] = "uniform",
    alpha: float = 0.4,
) -> NDArray:
    """Equalise contrast tile by tile, with limited amplification (CLAHE, Zuiderveld 1994).

    Each tile's histogram is cut off at the clip limit, the excess is distributed over the other levels, and the
    cumulative sum is the tile's mapping of grey levels. A pixel's value is interpolated bilinearly between the mappings
    of the four tiles whose centres surround it.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values in [0, 1].
    tiles : (rows, columns)
        Number of tiles. The picture is padded symmetrically until each tile has the same, even, number of pixels in
        each direction.
    clip_limit : float
        Limit between 0 (hardly any gain in contrast) and 1 (no limit): with N pixels in a tile, a level keeps at most
        ``lowest + round(clip_limit * (N - lowest))`` of them, with ``lowest = ceil(N / bins)``.
    bins : int
        Number of grey levels of the histograms, at least 2.
    distribution : {"uniform", "rayleigh", "exponential"}
        Shape that each tile's histogram is given: flat, bell-shaped, or falling.
    alpha : float
        Parameter of the Rayleigh and the exponential distribution.

    Returns
    -------
    ndarray, shape (rows, columns)

    Notes
    -----
    There are three differences from MATLAB. A single tile in a direction is allowed. A picture with less than two
    pixels for each tile, which MATLAB refuses, has fewer tiles. The result always has the full range, [0, 1]: there is
    no ``range="original"``.

    Examples
    --------
    With one tile and no limit it is plain histogram equalisation.

    >>> adapthisteq([[0.4, 0.4, 0.6, 1.0]] * 2, tiles=(1, 1), clip_limit=1).tolist()
    [[0.5, 0.5, 0.75, 1.0], [0.5, 0.5, 0.75, 1.0]]
    """
    image = _picture(image)
    for number in tiles:
        check_number("tiles", number, 1, whole=True)
    check_number("bins", bins, 2, whole=True)
    check_number("clip_limit", clip_limit, 0, 1)
    check_choice("distribution", distribution, DISTRIBUTIONS)
    check_number("alpha", alpha, 0, above=True)
    count = tuple(min(number, max(1, size // 2)) for number, size in zip(tiles, image.shape, strict=True))
    tile = tuple(2 * math.ceil(size / (2 * number)) for number, size in zip(count, image.shape, strict=True))
    padding = [number * side - size for number, side, size in zip(count, tile, image.shape, strict=True)]
    before = [pixels // 2 for pixels in padding]
    levels = np.pad(
        _levels(image, bins),
        [(first, pixels - first) for first, pixels in zip(before, padding, strict=True)],
        "symmetric",
    )
    pixels = tile[0] * tile[1]
    lowest = math.ceil(pixels / bins)
    limit = lowest + math.floor(clip_limit * (pixels - lowest) + 0.5)

    # Of all tiles, row by row
    blocks = levels.reshape(count[0], tile[0], count[1], tile[1]).swapaxes(1, 2).reshape(-1, pixels)
    clipped = np.stack([_clip_histogram(np.bincount(block, minlength=bins), limit) for block in blocks])
    shares = np.cumsum(clipped, axis=1) / pixels
    mappings = np.minimum(_quantiles(shares, distribution, alpha), 1)
    mapped = _interpolate(levels, mappings.astype(image.dtype).reshape(*count, bins), tile)
    return mapped[before[0] : before[0] + image.shape[0], before[1] : before[1] + image.shape[1]].copy()


def imguidedfilter(image: ArrayLike, window: tuple[int, int] = (5, 5), smoothing: float = 0.01) -> NDArray:
    """Smooth, but keep the edges: the guided filter with the picture as its own guide (He, Sun and Tang 2013).

    In each window the result is modelled as a linear function of the picture, ``a * image + b``, with
    ``a = var(image) / (var(image) + smoothing)``; a and b are then averaged over all windows around a pixel. These are
    four box filters, whose time does not depend on the window's size.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values in [0, 1].
    window : (rows, columns)
        Size of the window. An even one has one more pixel after the centre than before it, as in MATLAB. The border
        pixels are repeated outside the picture.
    smoothing : float
        Variance below which neighbourhoods are smoothed and above which they are kept. The default is MATLAB's
        ``0.01 * diff(getrangefromclass(image))^2``, in which the range of floats is [0, 1], whatever values the picture
        has. 0, which MATLAB refuses, keeps the picture as it is.

    Returns
    -------
    ndarray, shape (rows, columns)

    Examples
    --------
    An edge much higher than the square root of the smoothing stays.

    >>> imguidedfilter([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]], window=(1, 3), smoothing=0.002).round(3).tolist()
    [[0.0, 0.001, 0.003, 0.997, 0.999, 1.0]]
    """
    image = _picture(image)
    check_number("smoothing", smoothing, 0)
    window = _window(window)

    mean, slope = _moments(image, window)
    variance = slope + smoothing
    # Where the picture is flat and nothing is smoothed any slope will do: the picture does not vary there.
    np.divide(slope, variance, out=slope, where=variance > 0)
    offset = mean - slope * mean
    filtered = _box(slope, window)
    filtered *= image
    filtered += _box(offset, window)
    return filtered


def imopen(image: ArrayLike, radius: int) -> NDArray:
    """Remove everything that is bright and narrower than a disc: erosion, then dilation.

    The disc is MATLAB's ``strel('disk', radius, 0)``. ``strel('disk', radius)`` is the same up to radius 2, and from 3
    on an approximation made for speed.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values.
    radius : int
        Radius of the disc in pixels; 0 changes nothing.

    Returns
    -------
    ndarray, shape (rows, columns)

    Examples
    --------
    >>> imopen([[0.5, 0.5, 0.5], [0.5, 1.0, 0.5], [0.5, 0.5, 0.5]], 1).tolist()
    [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    """
    from skimage.morphology import disk, opening

    image = _picture(image)
    check_number("radius", radius, 0, whole=True)
    # scikit-image mirrors the picture at its border, which for a disc adds nothing to its minimum and maximum: as in
    # MATLAB, the border neither eats nor feeds the picture.
    return opening(image, disk(int(radius)))


def _clip_histogram(counts: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Cut a histogram off at the limit and distribute the excess over the other levels, in MATLAB's order."""
    bins = counts.size
    excess = int(np.maximum(counts - limit, 0).sum())
    share = excess // bins
    clipped = np.minimum(counts + share, limit)
    excess = int(counts.sum() - clipped.sum())
    start = 0
    while excess:
        # The fewer pixels are left, the further apart they go; each round begins one level later.
        places = np.arange(start, bins, max(bins // excess, 1))
        places = places[clipped[places] < limit][:excess]
        clipped[places] += 1
        excess -= places.size
        start = (start + 1) % bins
    return clipped


def _quantiles(shares: NDArray[np.float64], distribution: str, alpha: float) -> NDArray[np.float64]:
    """Return the grey values in [0, 1] below which a distribution, cut off at 1, has given shares."""
    if distribution == "uniform":
        return shares
    # Below 1, as in MATLAB, to avoid the logarithm of 0. log1p and expm1 keep the digits of small shares.
    most = 1 - np.finfo(np.float64).eps
    if distribution == "rayleigh":
        spread = 2 * alpha**2
        return np.sqrt(-spread * np.log1p(-np.minimum(-math.expm1(-1 / spread) * shares, most)))
    return -np.log1p(-np.minimum(-math.expm1(-alpha) * shares, most)) / alpha


def _interpolate(levels: NDArray, mappings: NDArray, tile: tuple[int, int]) -> NDArray:
    """Look up every pixel in the mappings, shape (tile rows, tile columns, bins), of the four tiles around it."""
    result = np.empty(levels.shape, mappings.dtype)
    rows, columns = (_between_centres(n, length) for n, length in zip(mappings.shape[:2], tile, strict=True))
    for top, bottom, across in rows:
        lower = np.linspace(0, 1, across.stop - across.start, endpoint=False, dtype=mappings.dtype)[:, None]
        for left, right, along in columns:
            further = np.linspace(0, 1, along.stop - along.start, endpoint=False, dtype=mappings.dtype)
            block = levels[across, along]
            # a + w (b - a) rather than (1 - w) a + w b: equal mappings give exactly the same value.
            change = mappings[:, right] - mappings[:, left]
            above, below = (mappings[row, left][block] + further * change[row][block] for row in (top, bottom))
            result[across, along] = above + lower * (below - above)
    return result


def _between_centres(count: int, length: int) -> list[tuple[int, int, slice]]:
    """Return stretches between centres of tiles: tile before, tile after (the same one at an end), pixels."""
    half = length // 2
    inner = [(i, i + 1, slice(half + i * length, half + (i + 1) * length)) for i in range(count - 1)]
    return [(0, 0, slice(0, half)), *inner, (count - 1, count - 1, slice(count * length - half, count * length))]


def _box(image: NDArray, window: tuple[int, int], mode: str = "nearest") -> NDArray:
    """Return the mean over a window around each pixel."""
    origin = tuple(-((size + 1) % 2) for size in window)
    return ndimage.uniform_filter(image, window, mode=mode, cval=0.0, origin=origin)


def _moments(image: NDArray, window: tuple[int, int], mode: str = "nearest") -> tuple[NDArray, NDArray]:
    """Return the mean and the variance in the window around each pixel."""
    mean = _box(image, window, mode)
    variance = _box(image * image, window, mode)
    variance -= mean * mean
    # Rounding leaves flat areas with a variance of about -1e-17.
    return mean, np.maximum(variance, 0, out=variance)


def _levels(image: NDArray, number: int) -> NDArray:
    """Return the nearest of `number` grey levels, from 0 to 1; halves are rounded up."""
    scaled = np.clip(image, 0, 1)
    scaled *= number - 1
    scaled += 0.5
    return scaled.astype(np.uint8 if number <= 256 else np.uint16 if number <= 65536 else np.intp)


def _picture(image: ArrayLike) -> NDArray:
    image = check_picture("picture", image)
    return image if image.dtype == np.float32 else image.astype(np.float64)


def _window(window: tuple[int, int]) -> tuple[int, int]:
    for side in window:
        check_number("window", side, 1, whole=True)
    rows, columns = window
    return int(rows), int(columns)
