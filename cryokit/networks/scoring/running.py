"""Run a network without training it, as fast as its backend can."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

_runners: weakref.WeakKeyDictionary[keras.Model, Callable[[NDArray], NDArray]] = weakref.WeakKeyDictionary()


def runner(network: keras.Model) -> Callable[[NDArray], NDArray]:
    """Return a compiled function from a batch of pictures to the network's outputs.

    It runs the network's present weights, also after further training, and is kept as long as the network.

    Parameters
    ----------
    network : keras.Model
        Network of any shape.

    Returns
    -------
    callable
        Function from an array to an array.
    """
    if network not in _runners:
        keras = import_keras()

        # A model of its own around the same layers: how the network was compiled for training stays as it is.
        model = keras.Model(network.input, network.output)
        # TensorFlow's graph with oneDNN's kernels is faster on a CPU than XLA; JAX is slow without it.
        model.compile(jit_compile=keras.backend.backend() == "jax")
        _runners[network] = model.predict_on_batch
    return _runners[network]
