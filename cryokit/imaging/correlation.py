"""Normalised cross-correlation with a rotationally symmetric reference, by FFT.

The measure is that of FindEM (Roseman 2003, Ultramicroscopy 94:225) and of RELION's autopicking: at each position the
micrograph inside a disc is brought to mean 0 and standard deviation 1 before it is compared with the reference, so
that ice gradients and carbon do not count as particles because they are dark.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft


class SymmetricPatches:
    """Discs around the pixels of a micrograph, each described by the mean grey value of its rings.

    Parameters
    ----------
    data : ndarray of float32, shape (rows, columns)
        Flattened micrograph of mean 0. Beyond its border pixels count as 0: with a share s of the disc inside, noise
        correlates as strongly as elsewhere and a particle by the square root of s less. (Mirroring would make half
        particles whole and everything at the border symmetric.)
    radius : int
        Radius of the discs in pixels.

    Attributes
    ----------
    deviation : ndarray of float32, shape (rows, columns)
        Standard deviation of the grey values in the disc around each pixel, as far as it lies inside the micrograph.
    ring_sizes : ndarray of int, shape (radius + 1,)
        Number of pixels in each ring.
    """

    def __init__(self, data: NDArray, radius: int) -> None:
        self.shape = data.shape
        self.radius = radius
        offsets = np.arange(-radius, radius + 1)
        distance = np.hypot(offsets[:, None], offsets[None, :])
        self._distance = distance
        disc = distance <= radius
        self._disc = (disc / disc.sum()).astype(np.float32)
        self._padded = np.pad(np.asarray(data, dtype=np.float32), radius)
        self._fft_shape = [fft.next_fast_len(size, True) for size in self._padded.shape]
        self._spectrum = fft.rfft2(self._padded, self._fft_shape)
        mean = self._correlate(self._spectrum, self._disc)
        power = self._correlate(fft.rfft2(self._padded**2, self._fft_shape), self._disc)
        # Rounding must not make flat regions (a masked border) look like strong signal.
        floor = 1e-3 * float(np.mean(power)) + 1e-12
        self._norm = np.sqrt(np.maximum(power - mean**2, floor))
        inside = np.pad(np.ones(data.shape, dtype=np.float32), radius)
        share = np.clip(self._correlate(fft.rfft2(inside, self._fft_shape), self._disc), 1e-3, 1)
        self.deviation = np.sqrt(np.maximum(power / share - (mean / share) ** 2, floor))
        rings = np.where(disc, np.round(distance), radius + 1).astype(int).ravel()
        self._ring_of = np.minimum(rings, radius + 1)
        self.ring_sizes = np.bincount(self._ring_of, minlength=radius + 2)[: radius + 1]

    def profiles(self, row: NDArray, column: NDArray) -> NDArray[np.float32]:
        """Return the mean of each ring around some pixels.

        Parameters
        ----------
        row, column : ndarray of int, shape (n,)
            Centres of the rings.

        Returns
        -------
        ndarray of float32, shape (n, radius + 1)
        """
        side = 2 * self.radius + 1
        windows = np.lib.stride_tricks.sliding_window_view(self._padded, (side, side))
        means = np.zeros((side * side, self.radius + 2), dtype=np.float32)
        means[np.arange(side * side), self._ring_of] = 1
        means = means[:, : self.radius + 1] / np.maximum(self.ring_sizes, 1)
        result = np.empty((len(row), self.radius + 1), dtype=np.float32)
        for start in range(0, len(row), 1024):  # bounds the memory of the copied windows
            part = slice(start, start + 1024)
            result[part] = windows[row[part], column[part]].reshape(-1, side * side) @ means
        return result

    def correlate(self, reference: NDArray) -> NDArray[np.float32]:
        """Return the normalised cross-correlation with a rotationally symmetric reference at each pixel.

        Parameters
        ----------
        reference : ndarray, shape (radius + 1,)
            Radial profile: the grey values 0, 1, ... pixels from the centre.

        Returns
        -------
        ndarray of float32, shape (rows, columns)
            Correlation in [-1, 1]; 0 everywhere for a reference that is the same at all distances.
        """
        image = np.interp(self._distance, np.arange(len(reference)), reference)
        image = (image - (image * self._disc).sum()) * (self._disc > 0)
        norm = np.sqrt((image**2 * self._disc).sum())
        if norm <= 1e-6 * np.abs(reference).max():  # nothing but rounding
            return np.zeros(self.shape, dtype=np.float32)
        correlation = self._correlate(self._spectrum, (image / norm * self._disc).astype(np.float32))
        return np.clip(correlation / self._norm, -1, 1)

    def _correlate(self, spectrum: NDArray, kernel: NDArray) -> NDArray:
        # The kernels are symmetric, so that convolution is correlation.
        full = fft.irfft2(spectrum * fft.rfft2(kernel, self._fft_shape), self._fft_shape)
        start = 2 * self.radius
        return full[start : start + self.shape[0], start : start + self.shape[1]]
