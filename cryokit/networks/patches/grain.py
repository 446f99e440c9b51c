"""The grain of patches: how smooth their noise is, which can give a class away before any particle is looked at.

Patches of different proteins are brought to one window by different factors. Where the factor is larger the noise is
coarser, and a network that sees only one protein of a class can learn the noise instead of the particle. Geirhos et al.
2020 (Nature Machine Intelligence 2:665) call this shortcut learning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.errors import ArgumentError


def grain(pictures: ArrayLike) -> NDArray[np.float64]:
    """Return the correlation of neighbouring pixels in each patch, a measure of how coarse its noise is.

    Parameters
    ----------
    pictures : array_like, shape (n, rows, columns) or (n, rows, columns, 1)
        Patches.

    Returns
    -------
    ndarray of float64, shape (n,)
        From -1 to 1: 0 for white noise, near to 1 for noise that is coarse against the pixels.

    Raises
    ------
    ArgumentError
        If the patches are not pictures of at least two columns.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((1, 200, 200))
    >>> coarse = ndimage.gaussian_filter(noise, (0, 2, 2))
    >>> abs(grain(np.concatenate([noise, coarse]))).round(1).tolist()
    [0.0, 0.9]
    """
    pictures = np.asarray(pictures, np.float64)
    if pictures.ndim == 4 and pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
    if pictures.ndim != 3 or pictures.shape[2] < 2:
        raise ArgumentError(f"pictures must have the shape (n, rows, columns), got {pictures.shape}")
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    variance = (centred**2).mean(axis=(1, 2))
    return (centred[:, :, :-1] * centred[:, :, 1:]).mean(axis=(1, 2)) / np.where(variance > 0, variance, 1)


def best_split(values: ArrayLike, members: ArrayLike) -> tuple[float, float]:
    """Return the limit of a number that tells two groups apart best, and the share that it tells right.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        Numbers, such as those of `grain`.
    members : array_like of bool, shape (n,)
        Members of the group that should have the larger values.

    Returns
    -------
    limit : float
        Limit, halfway between two values.
    balanced_accuracy : float
        Mean of the shares of both groups on the right side of the limit, at most 1; 0.5 for a guess.

    Raises
    ------
    ArgumentError
        If a group is empty.

    Examples
    --------
    >>> best_split([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
    (0.5, 1.0)
    """
    values, members = np.asarray(values, float), np.asarray(members, bool)
    if values.shape != members.shape or members.all() or not members.any():
        raise ArgumentError("members must name some of the values, and not all of them")
    order = np.sort(np.unique(values))
    limits = np.concatenate([[order[0] - 1], (order[:-1] + order[1:]) / 2])
    above = values[members][:, None] > limits
    below = values[~members][:, None] <= limits
    right = (above.mean(axis=0) + below.mean(axis=0)) / 2
    return float(limits[right.argmax()]), float(right.max())


def coarsened(pictures: ArrayLike, wanted: float) -> NDArray[np.float32]:
    """Smooth each patch until its `grain` reaches a value, and bring it back to a standard deviation of 1.

    Parameters
    ----------
    pictures : array_like, shape (n, rows, columns, 1)
        Patches with mean 0 and standard deviation 1.
    wanted : float
        Correlation of neighbouring pixels to reach, below 1. Patches that are coarser already stay as they are.

    Returns
    -------
    ndarray of float32, same shape

    Raises
    ------
    ArgumentError
        If `wanted` is not between 0 and 1, or the shape is another one.
    """
    pictures = np.asarray(pictures, np.float32)
    if pictures.ndim != 4 or not 0 < wanted < 1:
        raise ArgumentError(
            f"pictures must have four axes, got {pictures.ndim}, and wanted lie in 0 to 1, got {wanted}"
        )
    changed = pictures.copy()
    for number, picture in enumerate(pictures[..., 0]):
        low, high = 0.0, 8.0  # pixels of a Gaussian
        if grain(picture[None])[0] >= wanted:
            continue
        for _ in range(7):  # to a sixteenth of a pixel
            middle = (low + high) / 2
            smooth = ndimage.gaussian_filter(picture, middle, mode="reflect")
            low, high = (low, middle) if grain(smooth[None])[0] >= wanted else (middle, high)
        smooth = ndimage.gaussian_filter(picture, high, mode="reflect")
        changed[number, ..., 0] = smooth / max(smooth.std(), 1e-6)
    return changed


def with_noise_of(pictures: ArrayLike, noise: ArrayLike, smooth: float) -> NDArray[np.float32]:
    """Keep the shapes in patches and replace their noise by that of other patches.

    Parameters
    ----------
    pictures : array_like, shape (n, rows, columns, 1)
        Patches with mean 0 and standard deviation 1.
    noise : array_like, shape (m, rows, columns, 1)
        Patches without particles, taken in turn.
    smooth : float
        Standard deviation, in pixels, of the Gaussian that leaves of a patch its shapes and hardly any noise.

    Returns
    -------
    ndarray of float32, shape (n, rows, columns, 1)
        Smoothed patches plus as much noise as was smoothed away, with a standard deviation of 1.
    """
    pictures = np.asarray(pictures, np.float32)
    shapes = ndimage.gaussian_filter(pictures, (0, smooth, smooth, 0))
    left = np.clip(1 - shapes.var(axis=(1, 2, 3), keepdims=True), 0, 1)
    other = np.resize(np.asarray(noise, np.float32), pictures.shape)
    mixed = shapes + np.sqrt(left) * other
    return mixed / np.maximum(mixed.std(axis=(1, 2, 3), keepdims=True), 1e-6)
