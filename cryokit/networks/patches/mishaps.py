"""Patches as they are when something has gone wrong before the network: for tests, and to learn how it looks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError


def mishaps(pictures: ArrayLike, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return patches as they are, and changed in five ways that happen in practice.

    Parameters
    ----------
    pictures : array_like, shape (n, rows, columns, 1)
        Patches with mean 0 and standard deviation 1, particles dark.
    seed : int
        Random seed of the noise.

    Returns
    -------
    dict of str to ndarray of float32, same shape
        Patches by what happened to them.
    """
    pictures = np.asarray(pictures, np.float32)
    noise = np.random.default_rng(seed).standard_normal(pictures.shape, np.float32)
    changes: dict[str, Callable[[], NDArray[np.float32]]] = {
        "as trained": lambda: pictures,
        "wrong contrast": lambda: -pictures,
        "diameter too large": lambda: zoomed(pictures, 1 / 1.5),
        "diameter too small": lambda: zoomed(pictures, 1.5),
        "not standardised": lambda: 5 * pictures + 3,
        "more noise": lambda: (pictures + 2 * noise) / np.float32(5**0.5),
    }
    return {words: change() for words, change in changes.items()}


def zoomed(pictures: ArrayLike, factor: float) -> NDArray[np.float32]:
    """Return patches with everything in them larger by a factor, as a wrong diameter makes it.

    Parameters
    ----------
    pictures : array_like, shape (n, rows, columns, 1)
        Patches.
    factor : float
        Factor, above 0. Below 1, what lies beyond the border is mirrored.

    Returns
    -------
    ndarray of float32, same shape
        Patches with a standard deviation of 1.

    Raises
    ------
    ArgumentError
        If the factor is not above 0.
    """
    check_number("factor", factor, 0, above=True)
    pictures = np.asarray(pictures, np.float32)
    offset = (np.array(pictures.shape[1:3]) - 1) * (1 - 1 / factor) / 2
    options = {"matrix": [1 / factor] * 2, "offset": offset, "order": 1, "mode": "mirror"}
    changed = np.stack([ndimage.affine_transform(picture, **options) for picture in pictures[..., 0]])
    return (changed / np.maximum(changed.std(axis=(1, 2), keepdims=True), 1e-6))[..., None]


def greyed(pictures: ArrayLike, order: ArrayLike, share: float = 0.1) -> NDArray[np.float32]:
    """Return patches with some of their pixels set to the mean grey value, 0.

    Parameters
    ----------
    pictures : array_like, shape (n, rows, columns, 1)
        Patches with mean 0.
    order : array_like, shape (n, rows, columns)
        Number for each pixel: those with the largest are replaced.
    share : float
        Share of the pixels to replace.

    Returns
    -------
    ndarray of float32, same shape

    Raises
    ------
    ArgumentError
        If there is not one number for each pixel.

    Examples
    --------
    >>> greyed([[[[1.0], [2.0]], [[3.0], [4.0]]]], [[[0, 9], [1, 2]]], share=0.25)[0, ..., 0].tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    check_number("share", share, 0, 1)
    pictures, order = np.array(pictures, np.float32), np.asarray(order, float)
    if order.shape != pictures.shape[:3]:
        raise ArgumentError(f"order must have the shape {pictures.shape[:3]}, one number for each pixel")
    flat = pictures.reshape(len(pictures), -1)
    number = round(share * flat.shape[1])
    if number:
        first = np.argsort(-order.reshape(flat.shape), axis=1, kind="stable")[:, :number]
        np.put_along_axis(flat, first, 0, axis=1)
    return flat.reshape(pictures.shape)


def likeness(pictures: ArrayLike, changed: ArrayLike, diameter: float) -> NDArray[np.float64]:
    """Return how much of the shapes in patches is left after a change: the correlation of both, smoothed.

    Parameters
    ----------
    pictures, changed : array_like, shape (n, rows, columns, 1)
        Patches before and after the change.
    diameter : float
        Particle diameter in pixels of a patch. Details below an eighth of it are smoothed away, for they are noise.

    Returns
    -------
    ndarray of float64, shape (n,)
        From -1 to 1: 1 for the same shapes, 0 for others.

    Examples
    --------
    >>> picture = np.zeros((1, 64, 64, 1))
    >>> picture[0, 20:40, 20:40] = 1
    >>> likeness(picture, 3 * picture + 1, 20).round(6).tolist()
    [1.0]
    """
    smooth = [
        ndimage.gaussian_filter(np.asarray(patches, np.float64)[..., 0], (0, diameter / 8, diameter / 8))
        for patches in (pictures, changed)
    ]
    first, second = (each - each.mean(axis=(1, 2), keepdims=True) for each in smooth)
    norm = np.sqrt((first**2).sum(axis=(1, 2)) * (second**2).sum(axis=(1, 2)))
    return (first * second).sum(axis=(1, 2)) / np.where(norm > 0, norm, 1)
