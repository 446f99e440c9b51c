"""Training of networks whose inputs or targets `cryokit.networks.training` does not know: regression, or several inputs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.training.batches import dataset, number_of_steps

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

# A regression's first gradients are large; full steps along them leave ReLUs that never fire again.
WARM_UP = 0.1


class Shuffled:
    """One epoch of arrays in an order that depends on seed and epoch only, all batches of one size.

    The last batch is filled up with the epoch's first samples, as in `cryokit.networks.training`.

    Parameters
    ----------
    x, y : ndarray, shape (n, ...)
    batch_size : int
    seed, epoch : int
    """

    def __init__(self, x: NDArray, y: NDArray, batch_size: int, seed: int, epoch: int) -> None:
        self.x, self.y = x, y
        batch_size = min(batch_size, len(x))
        order = np.random.default_rng((seed, epoch)).permutation(len(x))
        self.order = np.resize(order, (number_of_steps(len(x), batch_size), batch_size))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[NDArray, NDArray]:
        chosen = self.order[index]
        return self.x[chosen], self.y[chosen]


def teach(
    network: keras.Model,
    batches: Callable[[int], Any],
    loss: str | Callable[[Any, Any], Any],
    *,
    epochs: int,
    rate: float,
    progress: bool = True,
) -> list[float]:
    """Train a network by Adam, with a rate that rises over the first tenth of the steps, then falls half a cosine.

    Parameters
    ----------
    network : keras.Model
        Trained in place, and not left compiled.
    batches : callable
        Takes the number of the epoch, from 0, and returns a sequence of batches (inputs, targets), of the same length
        for every epoch. The same numbers have to give the same batches for a training to be repeatable.
    loss : str or callable
        As Keras takes it.
    epochs : int
    rate : float
        The largest learning rate.
    progress : bool
        Whether to show a bar with the steps (on a terminal).

    Returns
    -------
    list of float
        The mean loss of each epoch.

    Raises
    ------
    PickerError
        When the loss becomes NaN or infinite.
    """
    keras = import_keras()
    from tqdm import tqdm

    total = epochs * len(batches(0))
    rising = round(WARM_UP * total)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 10 if rising else rate,
        total - rising,
        alpha=0.01,
        warmup_target=rate if rising else None,
        warmup_steps=rising,
    )
    trainer = keras.Model(network.inputs, network.outputs)
    trainer.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=loss,
        # As in `cryokit.networks.training`: XLA only costs time on TensorFlow's processor.
        jit_compile=keras.backend.backend() == "jax",
    )
    losses = []
    with tqdm(total=total, disable=None if progress else True, unit="step") as bar:
        callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: bar.update())]
        for epoch in range(epochs):
            bar.set_description(f"epoch {epoch + 1}/{epochs}")
            found = trainer.fit(dataset(batches(epoch)), shuffle=False, verbose=0, callbacks=callbacks).history
            losses.append(float(found["loss"][-1]))
            if not math.isfinite(losses[-1]):
                raise PickerError(f"epoch {epoch + 1}: the loss became {losses[-1]:g}; train at a rate below {rate:g}")
    logger.info("%s: trained for %d epochs, loss %.4f, at first %.4f", network.name, epochs, losses[-1], losses[0])
    return losses
