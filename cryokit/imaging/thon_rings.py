"""Thon rings: how far into the power spectrum of a micrograph the contrast transfer of the lens can be followed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cryokit.imaging.frame import Frame, Picture

TILE = 512  # pixels; its spectrum separates up to 32 rings
TILES = 16  # at most, spread over the usable ice
SMALLEST_TILE = 128
FEWEST, FREQUENCIES = 1.0, 400  # rings up to the Nyquist frequency, and how many such numbers are tried
POINTS = 4  # of the spectrum that a ring needs to be seen
CRITERION = 0.5  # of CTFFIND4 for the correlation of rings and spectrum
LEAST_RINGS = 1.2  # over which rings have to agree with the spectrum
SEEN = 1.9  # of Fisher's transform of the correlation, times the root of the rings; noise reaches 1.5, steps 1.8
AMPLITUDE_CONTRAST = 0.07
LOWEST = 0.06  # cycles per pixel: below, the specimen itself decides
_HIGHEST = 0.47  # cycles per pixel: beyond, resampling and detectors leave their own marks


@dataclass(frozen=True)
class ThonRings:
    """Rings in the power spectrum of a micrograph.

    Attributes
    ----------
    limit : float
        Spatial frequency up to which the rings are seen, cycles per pixel; NaN if there are none.
    rings : float
        Number of rings that there would be up to the Nyquist frequency: ``wavelength * defocus / (4 * pixel_size**2)``.
    correlation : float
        Correlation of the spectrum with the rings as far as they are plainest, 0 to 1.
    """

    limit: float
    rings: float
    correlation: float

    def resolution(self, pixel_size: float) -> float:
        """Return the resolution to which rings are seen, in the unit of the pixel size; NaN if there are none."""
        return pixel_size / self.limit

    def defocus(self, pixel_size: float, wavelength: float) -> float:
        """Return the underfocus without regard to the spherical aberration.

        Parameters
        ----------
        pixel_size : float
            Pixel size in Angstrom.
        wavelength : float
            Wavelength of the electrons in Angstrom (`cryokit.simulate.ctf.electron_wavelength`).

        Returns
        -------
        float
            Micrometres; NaN if there are no rings.
        """
        return self.rings * 4 * pixel_size**2 / wavelength * 1e-4 if math.isfinite(self.limit) else math.nan


def thon_rings(picture: Picture, mask: Picture | None = None) -> ThonRings:
    """Measure the Thon rings of a micrograph.

    The logarithm of the rotationally averaged power spectrum is compared with rings of every defocus, after the mean
    over one ring has been subtracted at each frequency. The rings end where the correlation with the best of them, over
    one and a half rings, falls below 0.5, the criterion of CTFFIND4.

    Parameters
    ----------
    picture : Picture
        Recorded part of a micrograph, such as `cryokit.imaging.recorded` returns it, and its frame.
    mask : Picture, optional
        Regions that are no usable ice, and their frame in the same source; what they cover is not looked at, if enough
        remains.

    Returns
    -------
    ThonRings

    Notes
    -----
    Rohou & Grigorieff 2015, Journal of Structural Biology 192:216, for the criterion. This is a measure of quality, not
    a fit of the CTF: astigmatism blurs the rings of an average over all directions, and the spherical aberration, which
    shifts those at high resolution, is followed rather than modelled.
    """
    frequency, power, error = _spectrum(picture, mask)
    if not len(frequency):
        return ThonRings(math.nan, math.nan, 0.0)
    squared, log_power = frequency**2, np.log(power)
    # A ring has to be a few points wide where the frequency is highest.
    most = 0.25 / (2 * _HIGHEST * POINTS * (frequency[1] - frequency[0]))
    best, most_seen = ThonRings(math.nan, math.nan, 0.0), 0.0
    for rings in np.geomspace(FEWEST, max(1.5 * FEWEST, most), FREQUENCIES):
        ring = 0.25 / rings  # width in squared frequency
        residual = log_power - _mean_over(squared, log_power, ring)
        used = (squared - ring / 2 >= squared[0]) & (squared + ring / 2 <= squared[-1]) & (frequency >= LOWEST)
        if used.sum() < 3 * POINTS:
            continue
        expected = -np.cos(2 * np.pi * squared[used] / ring + 2 * math.asin(AMPLITUDE_CONTRAST))
        # Rings fade: each counts as much as the others, unless it is less than chance makes.
        spread = np.sqrt(_mean_over(squared, residual**2, ring) + error**2)
        seen = (residual / spread)[used]
        together = np.cumsum(seen * expected)
        correlation = together / np.sqrt(np.cumsum(seen**2) * np.cumsum(expected**2) + 1e-30)
        passed = (squared[used] - squared[used][0]) / ring
        weight = np.where(passed >= LEAST_RINGS, np.arctanh(np.clip(correlation, 0, 0.99)) * np.sqrt(passed), 0)
        end = int(weight.argmax())
        if weight[end] > most_seen:
            most_seen = weight[end]
            best = ThonRings(_end(frequency[used], residual[used], ring), rings, float(correlation[end]))
    if most_seen < SEEN:
        return ThonRings(math.nan, math.nan, max(0.0, best.correlation))
    return best


def _mean_over(squared: NDArray, values: NDArray, ring: float) -> NDArray:
    """Return the mean over one ring around each frequency."""
    total = np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(squared))])
    low, high = np.maximum(squared - ring / 2, squared[0]), np.minimum(squared + ring / 2, squared[-1])
    return (np.interp(high, squared, total) - np.interp(low, squared, total)) / (high - low)


def _end(frequency: NDArray, residual: NDArray, ring: float) -> float:
    """Return the frequency at which the spectrum no longer goes along with the rings; NaN if it never does."""
    phase = np.exp(-2j * np.pi * frequency**2 / ring)
    last = math.nan
    for index, middle in enumerate(frequency):
        near = np.abs(frequency**2 - middle**2) <= 0.75 * ring
        if near.sum() < POINTS:
            break
        # The phase is free: the spherical aberration shifts it slowly.
        together = 2 * abs((residual[near] * phase[near]).mean()) ** 2
        agreement = math.sqrt(together / max(float((residual[near] ** 2).mean()), 1e-30))
        if agreement < CRITERION:
            if index and math.isfinite(last):
                break
            continue
        last = float(middle)
    return last


def _spectrum(picture: Picture, mask: Picture | None) -> tuple[NDArray, NDArray, NDArray]:
    """Return frequencies, cycles per pixel, the mean power at each, and its relative standard error."""
    data = picture.data
    side = min(TILE, *data.shape)
    if side < SMALLEST_TILE:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    starts = [np.unique(np.linspace(0, size - side, -(-size // side)).astype(int)) for size in data.shape]
    corners = [(row, column) for row in starts[0] for column in starts[1]]
    if mask is not None and mask.data.any():
        hidden = [_hidden(picture.frame, mask, row, column, side) for row, column in corners]
        usable = [corner for corner, share in zip(corners, hidden, strict=True) if share < 0.05]
        corners = usable or corners
    corners = [corners[index] for index in np.unique(np.linspace(0, len(corners) - 1, TILES).astype(int))]
    window = np.outer(*2 * [np.hanning(side).astype(np.float32)])
    power = np.zeros((side, side // 2 + 1))
    for row, column in corners:
        tile = data[row : row + side, column : column + side].astype(np.float32)
        power += np.abs(fft.rfft2((tile - tile.mean()) * window)) ** 2
    radius = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None])
    # The axes hold what is left of fixed patterns of lines.
    away = np.ones(power.shape, bool)
    away[0], away[:, 0] = False, False
    bins = np.rint(radius[away] * side).astype(int)
    mean = ndimage.mean(power[away], bins, np.arange(2, round(_HIGHEST * side)))
    frequency = np.arange(2, round(_HIGHEST * side)) / side
    # Half of the directions are independent, and the window couples neighbours.
    error = np.sqrt(2 / (np.pi * frequency * side * len(corners)))
    return frequency, np.maximum(mean, 1e-30), error


def _hidden(frame: Frame, mask: Picture, row: int, column: int, side: int) -> float:
    """Return the share of a tile that a mask covers."""
    corners = frame.to_source(np.array([column, column + side - 1]), np.array([row, row + side - 1]))
    x, y = mask.frame.from_source(*corners)
    rows, columns = (slice(max(0, round(low)), round(high) + 1) for low, high in (y, x))
    return float(mask.data[rows, columns].mean()) if mask.data[rows, columns].size else 0.0
