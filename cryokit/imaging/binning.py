"""Make pictures smaller or larger, each with the `Frame` that says where every pixel went.

============= ================================================== ============================
operation     method                                             what stays in place
============= ================================================== ============================
`bin_fourier` crops the Fourier transform: no aliasing, any      centre of the first pixel
              factor of at least 1
`bin_integer` mean of blocks of f x f pixels, f whole            outer corner of the picture
`resize`      `bin_fourier`, or a cubic spline to enlarge        centre of the first pixel
============= ================================================== ============================
"""

import numpy as np
from numpy.typing import NDArray

from cryokit._util.validation import check_number, check_picture
from cryokit.imaging.frame import Frame, Picture

_ROWS = 256  # transformed at a time


def bin_fourier(data: NDArray, factor: float) -> Picture:
    """Bin by cropping in Fourier space: ideal low-pass and resampling in one step.

    The result samples the band-limited picture on a coarser grid whose first point is the centre of the first pixel.
    The mean is kept. The transform takes the picture as periodic, so a faint ripple runs along its edges where
    opposite edges differ much.

    Sizes with large prime factors need no padding: SciPy's pocketfft takes O(n log n) for every length, and
    4093 x 4093 pixels about as long as 4096 x 4096.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Picture.
    factor : float
        Binning factor of at least 1; need not be whole. Each side becomes ``round(side / factor)``, at least 1.

    Returns
    -------
    Picture
        Binned picture (float32) and its frame.

    Raises
    ------
    ArgumentError
        If the factor is below 1 or `data` is not two-dimensional.

    Examples
    --------
    >>> binned, frame = bin_fourier(np.zeros((1240, 1200)), 3)
    >>> binned.shape, frame.step_x, round(frame.step_y, 4)
    ((413, 400), 3.0, 3.0024)
    """
    import scipy.fft

    data = check_picture("picture", data)
    check_number("binning factor", factor, 1)
    frame = resized_frame(data.shape, 1 / factor)
    rows, columns = data.shape
    new_rows, new_columns = frame.shape
    if frame.shape == data.shape:
        return Picture(data.astype(np.float32), frame)
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
    # picture's finest detail. Left out, the result stays strictly band-limited and the frame exact.
    if new_rows % 2 == 0 and new_rows < rows:
        cropped[new_rows // 2] = 0
    if new_columns % 2 == 0 and new_columns < columns:
        cropped[:, -1] = 0
    binned = scipy.fft.irfft2(cropped, s=(new_rows, new_columns), workers=-1, overwrite_x=True)
    binned *= (new_rows * new_columns) / (rows * columns)
    binned += level
    return Picture(binned, frame)


def bin_integer(data: NDArray, factor: int) -> Picture:
    """Bin by the mean of blocks of `factor` x `factor` pixels, as a camera does.

    Rows and columns left over at the end are dropped.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Picture.
    factor : int
        Side of a block in pixels, at least 1 and at most the shorter side of the picture.

    Returns
    -------
    Picture
        Binned picture (float32) of shape ``(rows // factor, columns // factor)`` and its frame.

    Raises
    ------
    ArgumentError
        If the factor is not a whole number in that range or `data` is not two-dimensional.

    Examples
    --------
    >>> binned, frame = bin_integer(np.arange(12).reshape(2, 6), 2)
    >>> binned.tolist(), frame.x0, frame.step_x
    ([[3.5, 5.5, 7.5]], 0.5, 2.0)
    """
    data = check_picture("picture", data)
    check_number("side of the blocks", factor, 1, min(data.shape), whole=True)
    factor = int(factor)
    rows, columns = (side // factor for side in data.shape)
    blocks = data[: rows * factor, : columns * factor].reshape(rows, factor, columns * factor)
    # Down the columns first: whole rows are added, which is what memory likes.
    sums = blocks.sum(axis=1, dtype=np.float32).reshape(rows, columns, factor).sum(axis=2)
    corner = (factor - 1) / 2
    frame = Frame((rows, columns), data.shape, corner, corner, float(factor), float(factor))
    return Picture(sums / np.float32(factor * factor), frame)


def resize(data: NDArray, factor: float) -> Picture:
    """Make a picture smaller by `bin_fourier`, or larger by a cubic spline.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Picture.
    factor : float
        Size of the result relative to `data`; above 1 to enlarge.

    Returns
    -------
    Picture
        Resized picture (float32), each side ``round(side * factor)``, and its frame.

    Raises
    ------
    ArgumentError
        If the factor is not a positive number or `data` is not two-dimensional.
    """
    data = check_picture("picture", data)
    frame = resized_frame(data.shape, factor)
    if factor <= 1:
        return bin_fourier(data, 1 / factor)
    from scipy import ndimage

    enlarged = ndimage.affine_transform(
        data.astype(np.float32, copy=False),
        [frame.step_y, frame.step_x],
        output_shape=frame.shape,
        order=3,
        mode="mirror",
        output=np.float32,
    )
    return Picture(enlarged, frame)


def resized_frame(shape: tuple[int, int], factor: float) -> Frame:
    """Return the frame of a picture that `resize`, or `bin_fourier` by ``1 / factor``, makes.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the picture to be resized.
    factor : float
        Size of the result relative to it.

    Raises
    ------
    ArgumentError
        If the factor is not a positive number.
    """
    check_number("factor", factor, 0, above=True)
    rows, columns = (max(1, round(side * factor)) for side in shape)
    return Frame((rows, columns), tuple(shape), 0.0, 0.0, shape[1] / columns, shape[0] / rows)
