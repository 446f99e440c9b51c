"""What a network looks at: its first kernels, and the pixels that a decision depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.training.measures import probabilities

if TYPE_CHECKING:
    import keras

# Below every probability in single precision that is not 0: keeps logarithms finite.
_TINY = 1e-37


def first_layer_kernels(network: keras.Model) -> NDArray[np.float32]:
    """Return the kernels of the first convolution: the patterns that the network takes pictures apart into.

    Parameters
    ----------
    network : keras.Model

    Returns
    -------
    ndarray of float32, shape (kernels, rows, columns)
        Summed over the input's channels: what each does to a grey picture.

    Raises
    ------
    PickerError
        When the network has no convolution.
    """
    for variable in network.trainable_variables:
        if variable.path.split("/")[-1] == "kernel" and len(variable.shape) == 4:
            return np.array(variable.numpy()).sum(axis=2).transpose(2, 0, 1)
    raise PickerError("the network has no convolution, so no kernels to show")


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

    Keras has no function for gradients that all its backends share, but training has to know them: a zero picture is
    added to the input as the only weight, and a step of gradient descent at the rate 1 changes it by the gradient.

    Parameters
    ----------
    network : keras.Model
        Giving class probabilities; stays as it is. Of a map, the positions in the middle count.
    pictures : ndarray, shape (n, rows, columns, channels)
        As the network takes them.
    target : int or array of int, shape (n,), optional
        Which class; by default the most probable of each picture.
    copies : int
        Noisy copies of each picture; 1 for the plain gradient.
    noise : float
        Standard deviation of the noise, in those of the picture.
    seed : int
        Of the noise.

    Returns
    -------
    ndarray of float32, shape (n, rows, columns)
        Positive where brighter pixels speak for the class; summed over the channels.

    Raises
    ------
    PickerError
        When a class does not exist, or `pictures` or `copies` cannot be.

    Notes
    -----
    Simonyan et al. 2014, "Deep inside convolutional networks" (the gradient of a class score); Smilkov et al. 2017,
    "SmoothGrad: removing noise by adding noise" (the average over noisy copies).
    """
    pictures = np.ascontiguousarray(pictures, np.float32)
    if pictures.ndim != 4 or not pictures.size:
        raise PickerError(f"pictures: give an array of the shape (n, rows, columns, channels), not {pictures.shape}")
    if isinstance(copies, bool) or not isinstance(copies, (int, np.integer)) or copies < 1:
        raise PickerError(f"copies {copies!r}: give a whole number, 1 or more")
    if target is None:
        target = _middle(probabilities(network, pictures)).argmax(axis=-1)
    classes = network.output_shape[-1]
    targets = np.asarray(target)
    if targets.dtype.kind not in "iu" or targets.shape not in ((), (len(pictures),)):
        raise PickerError(f"target: give a class number, or one for each of the {len(pictures)} pictures")
    if targets.min() < 0 or targets.max() >= classes:
        raise PickerError(f"target {targets.tolist()}: the network has the classes 0 to {classes - 1}")
    wanted = np.eye(classes, dtype=np.float32)[np.broadcast_to(targets, len(pictures))]

    model = _descending(network, pictures.shape)
    rng = np.random.default_rng(seed)
    spread = noise * pictures.std(axis=(1, 2, 3), keepdims=True)
    for _ in range(copies):
        noisy = pictures
        if copies > 1:
            noisy = pictures + spread * rng.standard_normal(pictures.shape, np.float32)
        model.train_on_batch(noisy, wanted)
    # The loss is a mean over the pictures.
    return (np.array(model.steps.numpy()) * (len(pictures) / copies)).sum(axis=-1)


def _descending(network: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """Return a model whose only weight, `steps`, moves up the gradient of the log-odds by each training step."""
    keras = import_keras()
    ops = keras.ops

    class Descent(keras.Model):
        def __init__(self) -> None:
            super().__init__(dtype="float32")
            self.steps = self.add_weight(shape=shape, initializer="zeros", name="steps")
            # Not an attribute of its own: the network's weights are not to be trained.
            self.score = lambda inputs: network(inputs, training=False)

        def call(self, inputs):
            # Adds zero, whatever the weight is, but has its gradient.
            found = self.score(inputs + (self.steps - ops.stop_gradient(self.steps)))
            others = ops.matmul(found, 1 - ops.eye(classes))
            odds = ops.log(found + _TINY) - ops.log(others + _TINY)
            return _middle(odds)

    classes = network.output_shape[-1]
    model = Descent()
    # Compiling takes longer than these few steps do.
    model.compile(
        keras.optimizers.SGD(1.0),
        loss=lambda chosen, odds: -ops.sum(chosen * odds, axis=-1),
        run_eagerly=True,
        auto_scale_loss=False,
    )
    return model


def _middle(values):
    """Return what stands in the middle of maps (n, rows, columns, classes), or the values (n, classes) themselves."""
    if len(values.shape) == 2:
        return values
    rows, columns = values.shape[1:3]
    # Of an even number of positions, two are in the middle.
    middle = values[:, (rows - 1) // 2 : rows // 2 + 1, (columns - 1) // 2 : columns // 2 + 1]
    return sum(middle[:, i, j] for i in range(middle.shape[1]) for j in range(middle.shape[2])) / (
        middle.shape[1] * middle.shape[2]
    )
