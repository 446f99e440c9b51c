"""Power spectra of micrographs, smooth enough to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cryokit._util.validation import check_number, check_picture


def power_spectrum(data: NDArray, tile: int = 512) -> NDArray[np.float64]:
    """Average the power spectra of square tiles that overlap by half.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.
    tile : int
        Side of the tiles in pixels, at most the shorter side of the micrograph.

    Returns
    -------
    ndarray, shape (tile, tile)
        Mean squared Fourier transform of the tiles, each without its mean and faded out towards its border; frequency 0
        is at ``[tile // 2, tile // 2]``.

    Raises
    ------
    ArgumentError
        If `tile` does not fit.
    """
    data = check_picture("data", data)
    check_number("tile", tile, 8, min(data.shape), whole=True)
    window = np.hanning(tile)[:, None] * np.hanning(tile)
    tops, lefts = (range(0, side - tile + 1, max(1, tile // 2)) for side in data.shape)
    total = np.zeros((tile, tile))
    for top in tops:
        for left in lefts:
            part = np.asarray(data[top : top + tile, left : left + tile], float)
            total += np.abs(np.fft.fft2((part - part.mean()) * window)) ** 2
    return np.fft.fftshift(total) / (len(tops) * len(lefts))


def radial_mean(spectrum: NDArray) -> NDArray[np.float64]:
    """Average a spectrum with frequency 0 in its middle over rings that are one pixel wide.

    Returns
    -------
    ndarray, shape (tile // 2,)
        Mean of each ring, from frequency 0 on.
    """
    centre = spectrum.shape[0] // 2
    row, column = np.indices(spectrum.shape) - centre
    ring = np.hypot(row, column).astype(int)
    return (np.bincount(ring.ravel(), spectrum.ravel()) / np.bincount(ring.ravel()))[:centre]
