"""Filters that make micrographs flat and comparable before anything looks for particles in them."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cryokit.imaging.contrast import Contrast

_SAMPLED = 512  # least number of pixels of a line that tell whether it was recorded
_RINGS = 40  # rings in which a spectrum is averaged, up to the Nyquist frequency


def flatten(data: NDArray, diameter: float, *, contrast: Contrast) -> NDArray[np.float32]:
    """Level the background of a picture and count grey values in noise, particles bright.

    The subtraction of a blurred copy is the high-pass of a band-pass around the particle's size; binning, which comes
    before, is the low-pass. Grey values are counted in robust standard deviations (from the median absolute
    deviation, which a few ice crystals do not move) and limited to 5 of them, so that one crystal does not outweigh a
    hundred particles.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph at the particle's scale.
    diameter : float
        Particle diameter in pixels of `data`.
    contrast : {"dark", "bright"}
        Whether particles are darker or brighter than their surroundings.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Levelled picture; the geometry does not change.
    """
    flat = np.array(data, np.float32)
    if contrast == "dark":
        np.negative(flat, out=flat)
    flat -= np.median(flat)
    flat -= _blurred(flat, diameter)
    return _in_deviations(flat)


def _blurred(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the picture that `scipy.ndimage.gaussian_filter` returns with ``mode="reflect"``, in a fifth of its time.

    A picture mirrored at its borders is a sum of cosines, each of which the filter only makes smaller: a wide blur
    takes no longer than a narrow one.
    """
    reach = int(4 * sigma + 0.5)
    step = np.arange(1, reach + 1)
    kernel = np.exp(-0.5 * (step / sigma) ** 2)
    total = 1 + 2 * kernel.sum()
    waves = fft.dctn(image, workers=-1)
    for axis, size in enumerate(image.shape):
        response = (1 + 2 * np.cos(np.outer(np.pi / size * np.arange(size), step)) @ kernel) / total
        waves *= np.expand_dims(response.astype(np.float32), 1 - axis)
    return fft.idctn(waves, workers=-1, overwrite_x=True)


def _in_deviations(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Count grey values in robust standard deviations and limit them to 5; works in place."""
    size = np.abs(image)
    spread = 1.4826 * float(np.median(size))
    image /= np.float32(max(spread, 1e-6 * float(size.max()) + 1e-30))
    return np.clip(image, -5, 5, out=image)


def whiten(image: NDArray, diameter: float) -> NDArray[np.float32]:
    """Give a levelled micrograph the same power spectrum as any other.

    The microscope, the detector or a noise filter multiply the Fourier transform of a micrograph by a factor. It is
    divided out (by the square root of the power, averaged over rings and smoothed), so that a network trained on some
    micrographs, or on simulated ones, meets the same background on others. The spectrum that takes its place falls off
    above a quarter of the sampling rate and below one wave in 1.4 diameters.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Micrograph as `flatten` returns it.
    diameter : float
        Particle diameter in pixels of `image`.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Grey values in robust standard deviations, limited to 5 of them.
    """
    spectrum = fft.rfft2(image.astype(np.float32, copy=False), workers=-1)
    fy = fft.fftfreq(image.shape[0])[:, None]
    fx = fft.rfftfreq(image.shape[1])[None, :]
    frequency = np.hypot(fx, fy).astype(np.float32)  # waves per pixel
    ring = np.minimum((frequency * (2 * _RINGS)).astype(np.intp), _RINGS - 1).ravel()
    power = (spectrum.real**2 + spectrum.imag**2).ravel()
    power = np.bincount(ring, power, _RINGS) / np.maximum(np.bincount(ring, minlength=_RINGS), 1)
    power = np.exp(ndimage.gaussian_filter1d(np.log(power + 1e-12 * power.max() + 1e-30), 1, mode="nearest"))
    # A table of the factor, finer than the rings, saves computing it for every pixel.
    steps = np.linspace(0, frequency.max(), 16 * _RINGS)
    wanted = np.exp(-((steps / 0.3) ** 2)) * -np.expm1(-((steps * diameter / 0.7) ** 2))
    factor = wanted / np.sqrt(np.interp(steps, (np.arange(_RINGS) + 0.5) / (2 * _RINGS), power))
    spectrum *= factor.astype(np.float32)[np.rint(frequency * ((len(steps) - 1) / frequency.max())).astype(np.intp)]
    white = fft.irfft2(spectrum, s=image.shape, workers=-1)
    white -= np.median(white)
    return _in_deviations(white)


def limits(data: NDArray) -> tuple[float, float]:
    """Return the range beyond which grey values are outliers: hot pixels, hits of cosmic rays.

    Binning in Fourier space would spread a hot pixel along its row and column. The limits lie beyond the 0.1 and 99.9 %
    quantiles by as much as these are apart (about 9 standard deviations of noise), so that particles, ice and carbon
    stay as they are.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.

    Returns
    -------
    low, high : float
        Infinite where both quantiles are equal.
    """
    # Not data.ravel(), which would copy all of a part of a micrograph.
    sample = data[np.unravel_index(np.arange(0, data.size, max(1, data.size // 250_000)), data.shape)]
    low, high = np.quantile(sample, (0.001, 0.999)).tolist()
    width = high - low
    return (low - width, high + width) if width else (-np.inf, np.inf)


def live_area(data: NDArray) -> tuple[slice, slice]:
    """Return the part of a micrograph that was recorded, without padding at its borders.

    Programs that shift frames or crop fill borders with a constant or repeat the last row or column. There the
    difference between neighbouring rows (columns) nearly vanishes: less than half of the micrograph's median. Padding
    begins at the border, nearly all of its lines are of this kind, and it takes at most an eighth of a side.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.

    Returns
    -------
    rows, columns : slice
        Recorded part; all of the micrograph if nothing was padded.

    Examples
    --------
    >>> data = np.random.default_rng(0).normal(size=(64, 64)); data[:, :5] = 0
    >>> live_area(data)
    (slice(0, 64, None), slice(5, 64, None))
    """
    return _live_lines(data), _live_lines(data.T)


def _live_lines(data: NDArray) -> slice:
    """Return the rows that were recorded."""
    size = len(data)
    if size < 16:
        return slice(0, size)
    # Some hundred pixels of each line tell what is usual, and which lines have to be looked at as a whole.
    sample = data[:, :: max(1, data.shape[1] // _SAMPLED)]
    change = np.abs(np.diff(sample, axis=0)).mean(axis=1)
    usual, usual_spread = np.median(change), np.median(sample.std(axis=1))
    outer = np.arange(size - 1) < size // 8
    doubtful = np.flatnonzero((outer | outer[::-1]) & (change < 0.7 * usual))
    change[doubtful] = np.abs(data[doubtful + 1] - data[doubtful]).mean(axis=1)
    dead = change < 0.5 * usual

    def padding(dead: NDArray, lines: NDArray) -> int:
        """Return the number of padded lines before the first recorded one."""
        dead_lines = np.flatnonzero(dead[: size // 8])
        while dead_lines.size and dead[: dead_lines[-1] + 1].mean() < 0.7:
            dead_lines = dead_lines[:-1]
        if not dead_lines.size:
            return 0
        # `dead[i]` compares the lines i and i + 1: the latter was recorded, unless it is the last of a constant band.
        start = int(dead_lines[-1]) + 1
        return start + int(lines[start].std() < 0.5 * usual_spread)

    return slice(padding(dead, data), size - padding(dead[::-1], data[::-1]))
