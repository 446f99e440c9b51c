"""What a network looks at: its first kernels, and the pixels that a decision depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError
from cryokit.networks.devices import import_keras
from cryokit.networks.training.measures import probabilities

if TYPE_CHECKING:
    import keras

# Below every probability in single precision that is not 0: keeps logarithms finite.
_TINY = 1e-37


def first_layer_kernels(network: keras.Model) -> NDArray[np.float32]:
    """Return the kernels of the first convolution: the patterns into which the network decomposes pictures.

    Parameters
    ----------
    network : keras.Model
        Network with a convolution.

    Returns
    -------
    ndarray of float32, shape (kernels, rows, columns)
        Kernels summed over the channels of the input, as they act on a grey picture.

    Raises
    ------
    ArgumentError
        If the network has no convolution.
    """
    for variable in network.trainable_variables:
        if variable.path.split("/")[-1] == "kernel" and len(variable.shape) == 4:
            return variable.numpy().sum(axis=2).transpose(2, 0, 1)
    raise ArgumentError(f"network {network.name!r} has no convolution, so there are no kernels to show")


def saliency(
    network: keras.Model,
    pictures: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    copies: int = 8,
    noise: float = 0.2,
    seed: int = 0,
) -> NDArray[np.float32]:
    r"""Return how strongly the decision for a class depends on each pixel.

    This is the gradient, with respect to the pixels, of the class's log-odds,
    :math:`\log p_c - \log \sum_{k \neq c} p_k`. Unlike the gradient of the probability it does not vanish where the
    network is sure. A single gradient is grainy, so gradients of noisy copies of the picture are averaged.

    Keras has no function for gradients on all its backends, but training computes them: a picture of zeros is added to
    the input as the only weight, and a step of gradient descent at a rate of 1 changes it by the gradient.

    Parameters
    ----------
    network : keras.Model
        Network with class probabilities as output; it stays as it is. If it gives a map, the positions in its middle
        count.
    pictures : ndarray, shape (n, rows, columns, channels)
        Pictures as the network takes them.
    target : int or array of int, shape (n,), optional
        Class; by default the most probable one of each picture.
    copies : int
        Number of noisy copies of each picture; 1 for the plain gradient.
    noise : float
        Standard deviation of the noise, as a share of the picture's.
    seed : int
        Random seed of the noise.

    Returns
    -------
    ndarray of float32, shape (n, rows, columns)
        Gradient summed over the channels, positive where brighter pixels speak for the class.

    Raises
    ------
    ArgumentError
        If a class does not exist, or `pictures` or `copies` has a wrong value.

    Notes
    -----
    Simonyan et al. 2014, "Deep inside convolutional networks" (the gradient of a class score); Smilkov et al. 2017,
    "SmoothGrad: removing noise by adding noise" (the average over noisy copies).
    """
    pictures = np.ascontiguousarray(pictures, np.float32)
    if pictures.ndim != 4 or not pictures.size:
        raise ArgumentError(f"pictures must have the shape (n, rows, columns, channels), not {pictures.shape}")
    check_number("copies", copies, 1, whole=True)
    if target is None:
        scores = _middle(probabilities(network, pictures))
        target = import_keras().ops.convert_to_numpy(scores).argmax(axis=-1)
    classes = network.output_shape[-1]
    targets = np.asarray(target)
    if targets.dtype.kind not in "iu" or targets.shape not in ((), (len(pictures),)):
        raise ArgumentError(f"target must be a class number, or one for each of the {len(pictures)} pictures")
    if targets.min() < 0 or targets.max() >= classes:
        raise ArgumentError(f"target must be a class from 0 to {classes - 1}, not {targets.tolist()}")
    chosen = np.eye(classes, dtype=np.float32)[np.broadcast_to(targets, len(pictures))]

    model = _descending(network, pictures.shape)
    rng = np.random.default_rng(seed)
    spread = noise * pictures.std(axis=(1, 2, 3), keepdims=True)
    for _ in range(int(copies)):
        noisy = pictures
        if copies > 1:
            noisy = pictures + spread * rng.standard_normal(pictures.shape, np.float32)
        model.train_on_batch(noisy, chosen)
    # The loss is a mean over the pictures.
    return (model.steps.numpy() * (len(pictures) / copies)).sum(axis=-1)


def _descending(network: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """Return a model whose only weight, `steps`, moves along the gradient of the log-odds in each training step."""
    keras = import_keras()
    ops = keras.ops

    class Descent(keras.Model):
        def __init__(self) -> None:
            super().__init__(dtype="float32")
            self.steps = self.add_weight(shape=shape, initializer="zeros", name="steps")
            # Behind a function, so that the network's weights are not trained.
            self.score = lambda inputs: network(inputs, training=False)

        def call(self, inputs):
            # Adds zero, whatever the weight is, but has its gradient.
            scores = self.score(inputs + (self.steps - ops.stop_gradient(self.steps)))
            others = ops.matmul(scores, 1 - ops.eye(classes))
            return _middle(ops.log(scores + _TINY) - ops.log(others + _TINY))

    classes = network.output_shape[-1]
    model = Descent()
    # Compiling would take longer than these few steps.
    model.compile(
        keras.optimizers.SGD(1.0),
        loss=lambda chosen, odds: -ops.sum(chosen * odds, axis=-1),
        run_eagerly=True,
        auto_scale_loss=False,
    )
    return model


def _middle(values: Any) -> Any:
    """Return the mean of the middle of maps (n, rows, columns, classes), or the values (n, classes) themselves."""
    if len(values.shape) == 2:
        return values
    rows, columns = values.shape[1:3]
    # Of an even number of positions, two are in the middle.
    middle = values[:, (rows - 1) // 2 : rows // 2 + 1, (columns - 1) // 2 : columns // 2 + 1]
    return import_keras().ops.mean(middle, axis=(1, 2))
