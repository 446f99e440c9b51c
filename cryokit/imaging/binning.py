"""Make micrographs smaller, and say exactly where every coordinate goes.

Two ways, with two different mappings of coordinates (the centre of the first pixel is 0 before and after):

========== ============================================= ===================================
way        what it does                                  where a point goes
========== ============================================= ===================================
fourier    crops the Fourier transform: no aliasing, any ``x * columns_new / columns_old``: the
           factor >= 1                                   first pixel's centre stays in place
integer    mean of blocks of f x f pixels, f whole       ``(x + 0.5) / f - 0.5``: the first
                                                         pixel's outer corner stays in place
========== ============================================= ===================================

`bin_coordinates` and `unbin_coordinates` do the sums.
"""

from __future__ import annotations

import math
import operator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import MicrographError

Method = Literal["fourier", "integer"]
METHODS = ("fourier", "integer")
_ROWS = 256  # transformed at a time


def binned_shape(shape: tuple[int, int], factor: float, *, method: Method = "fourier") -> tuple[int, int]:
    """Return the shape that an array of `shape` has after binning by `factor`.

    Parameters
    ----------
    shape : (rows, columns)
        Before binning.
    factor : float
        At least 1; whole for ``integer``.
    method : {"fourier", "integer"}
        ``fourier`` rounds ``size / factor`` to the nearest integer (at least 1), ``integer`` rounds down.

    Raises
    ------
    MicrographError
        When the factor is below 1, not whole for ``integer``, or larger than the array for ``integer``.

    Examples
    --------
    >>> binned_shape((1240, 1200), 3), binned_shape((1240, 1200), 3, method="integer")
    ((413, 400), (413, 400))
    """
    rows, columns = shape
    if method not in METHODS:
        raise MicrographError(f"unknown way of binning {method!r}; there are {', '.join(METHODS)}")
    if not (math.isfinite(factor) and factor >= 1):
        raise MicrographError(f"cannot bin by {factor!r}; the factor has to be a number of at least 1")
    if method == "fourier":
        return max(1, round(rows / factor)), max(1, round(columns / factor))
    if factor != int(factor):
        raise MicrographError(
            f"cannot average blocks of {factor!r} pixels; use bin_fourier for a factor that is not whole"
        )
    factor = int(factor)
    if factor > min(rows, columns):
        raise MicrographError(f"cannot bin {rows} x {columns} pixels by {factor}; nothing would be left")
    return rows // factor, columns // factor


def bin_fourier(data: NDArray, factor: float) -> NDArray[np.float32]:
    """Bin by cropping in Fourier space: ideal low-pass and resampling in one step.

    The result samples the band-limited micrograph on a coarser grid whose first point is the first pixel's centre, so
    a point goes from x to ``x * columns_new / columns_old`` (`bin_coordinates`). The mean is kept. The transform
    takes the micrograph as periodic, so where opposite edges differ much a faint ripple runs along them.

    Sizes with large prime factors need no padding: scipy's pocketfft takes O(n log n) for every length, and
    4093 x 4093 pixels about as long as 4096 x 4096.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
    factor : float
        At least 1; need not be whole.

    Returns
    -------
    ndarray of float32, shape ``binned_shape(data.shape, factor)``

    Raises
    ------
    MicrographError
        When the factor is not a number >= 1 or `data` is not two-dimensional.
    """
    import scipy.fft

    data = _two_dimensional(data)
    rows, columns = data.shape
    new_rows, new_columns = binned_shape(data.shape, factor)
    if (new_rows, new_columns) == data.shape:
        return data.astype(np.float32)
    # Without its mean, or nearly, a single-precision transform keeps the digits for the signal.
    level = np.float32(data[::16, ::16].mean(dtype=np.float64))
    kept = new_columns // 2 + 1
    # Some rows at a time, and of each only the frequencies that stay: the whole transform is never in memory.
    low_columns = np.empty((rows, kept), np.complex64)
    for start in range(0, rows, _ROWS):
        part = data[start : start + _ROWS].astype(np.float32)
        part -= level
        low_columns[start : start + _ROWS] = scipy.fft.rfft(part, workers=-1, overwrite_x=True)[:, :kept]
    spectrum = scipy.fft.fft(low_columns, axis=0, workers=-1, overwrite_x=True)
    low, high = (new_rows + 1) // 2, new_rows // 2
    cropped = np.concatenate([spectrum[:low], spectrum[rows - high :]])
    del low_columns, spectrum
    # At an even new size the highest frequency stands for +f and -f at once; one of the two alone would shift the
    # image's finest detail. Leave it out: the result stays strictly band-limited and the mapping exact.
    if new_rows % 2 == 0 and new_rows < rows:
        cropped[new_rows // 2] = 0
    if new_columns % 2 == 0 and new_columns < columns:
        cropped[:, -1] = 0
    binned = scipy.fft.irfft2(cropped, s=(new_rows, new_columns), workers=-1, overwrite_x=True)
    binned *= (new_rows * new_columns) / (rows * columns)
    binned += level
    return binned


def bin_integer(data: NDArray, factor: int) -> NDArray[np.float32]:
    """Bin by the mean of blocks of `factor` x `factor` pixels, as a camera does.

    Rows and columns left over at the end are dropped. A point goes from x to ``(x + 0.5) / factor - 0.5``
    (`bin_coordinates`).

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
    factor : int
        At least 1.

    Returns
    -------
    ndarray of float32, shape ``(rows // factor, columns // factor)``

    Raises
    ------
    MicrographError
        When the factor is not a whole number >= 1, or larger than the micrograph.
    """
    data = _two_dimensional(data)
    rows, columns = binned_shape(data.shape, factor, method="integer")
    factor = operator.index(int(factor))
    blocks = data[: rows * factor, : columns * factor].reshape(rows, factor, columns * factor)
    # Down the columns first: whole rows are added, which is what memory likes.
    sums = blocks.sum(axis=1, dtype=np.float32).reshape(rows, columns, factor).sum(axis=2)
    return sums / np.float32(factor * factor)


def bin_coordinates(
    x: ArrayLike, y: ArrayLike, shape: tuple[int, int], factor: float, *, method: Method = "fourier"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where points of a micrograph lie after binning.

    Parameters
    ----------
    x, y : array_like
        Column and row in pixels of the micrograph before binning.
    shape : (rows, columns)
        Before binning.
    factor : float
    method : {"fourier", "integer"}

    Returns
    -------
    x, y : ndarray of float64
        In pixels of the binned micrograph.

    Examples
    --------
    >>> x, y = bin_coordinates([0, 10], [0, 20], (512, 256), 2)
    >>> x.tolist(), y.tolist()
    ([0.0, 5.0], [0.0, 10.0])
    >>> x, y = bin_coordinates([0.5, 10.5], [0.5, 20.5], (512, 256), 2, method="integer")
    >>> x.tolist(), y.tolist()
    ([0.0, 5.0], [0.0, 10.0])
    """
    (x_scale, y_scale), shift = _mapping(shape, factor, method)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return (x + shift) * x_scale - shift, (y + shift) * y_scale - shift


def unbin_coordinates(
    x: ArrayLike, y: ArrayLike, shape: tuple[int, int], factor: float, *, method: Method = "fourier"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where points of a binned micrograph lie in the original: the inverse of `bin_coordinates`.

    Parameters
    ----------
    x, y : array_like
        Column and row in pixels of the binned micrograph.
    shape : (rows, columns)
        Of the original micrograph, before binning.
    factor : float
    method : {"fourier", "integer"}

    Returns
    -------
    x, y : ndarray of float64
        In pixels of the original micrograph.
    """
    (x_scale, y_scale), shift = _mapping(shape, factor, method)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return (x + shift) / x_scale - shift, (y + shift) / y_scale - shift


def _mapping(shape, factor, method) -> tuple[tuple[float, float], float]:
    rows, columns = binned_shape(shape, factor, method=method)
    if method == "integer":
        return (1 / factor, 1 / factor), 0.5
    return (columns / shape[1], rows / shape[0]), 0.0


def _two_dimensional(data: NDArray) -> NDArray:
    data = np.asarray(data)
    if data.ndim != 2 or data.size == 0:
        raise MicrographError(f"a micrograph to bin has rows and columns; this array has the shape {data.shape}")
    return data
