"""Running a network without training it, as fast as its backend can."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

_runners: weakref.WeakKeyDictionary[keras.Model, Callable[[NDArray], NDArray]] = weakref.WeakKeyDictionary()


def runner(network: keras.Model) -> Callable[[NDArray], NDArray]:
    """Return a compiled function that gives a network's outputs for a batch, from arrays to arrays.

    It runs the network's present weights, also after further training, and is kept as long as the network.

    Parameters
    ----------
    network : keras.Model

    Returns
    -------
    callable
    """
    if network not in _runners:
        keras = import_keras()

        # A model of its own around the same layers: how the network was compiled for training stays as it is.
        model = keras.Model(network.input, network.output)
        # TensorFlow's graph with oneDNN's kernels is faster on a CPU than XLA; JAX is slow without it.
        model.compile(jit_compile=keras.backend.backend() == "jax")
        _runners[network] = model.predict_on_batch
    return _runners[network]


def mirrored(image: NDArray, start: tuple[int, int], shape: tuple[int, int]) -> NDArray:
    """Return a rectangle of an image that goes on beyond its borders as its mirror image (the border pixel once).

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
    start : (row, column)
        Of the rectangle; may be negative.
    shape : (rows, columns)
        Of the rectangle.

    Examples
    --------
    >>> mirrored(np.arange(4)[None], (0, -2), (1, 8)).tolist()
    [[2, 1, 0, 1, 2, 3, 2, 1]]
    """
    inside = all(s >= 0 and s + n <= m for s, n, m in zip(start, shape, image.shape, strict=True))
    if inside:
        return image[start[0] : start[0] + shape[0], start[1] : start[1] + shape[1]]
    return image[np.ix_(*(mirror(s + np.arange(n), m) for s, n, m in zip(start, shape, image.shape, strict=True)))]


def mirror(places: NDArray, size: int) -> NDArray[np.intp]:
    """Return the pixels of a line of `size` that stand for places beyond its ends: its mirror image, over and over.

    Examples
    --------
    >>> mirror(np.arange(-2, 6), 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    period = max(1, 2 * (size - 1))
    places = places % period
    return np.minimum(places, period - places) if size > 1 else np.zeros_like(places)
