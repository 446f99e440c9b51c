"""Train a network: reproducible, resumable, with the best weights in the end."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.validation import check_number
from cryokit._util.wording import plural
from cryokit.errors import ArgumentError, PickerError
from cryokit.networks.devices import import_keras, leaf_layers, set_precision
from cryokit.networks.training.batches import TrainingBatches
from cryokit.networks.training.samples import Samples, check_fit
from cryokit.networks.training.settings import MODERN, TrainingSettings
from cryokit.networks.training.state import TrainingState, fingerprint

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")
COLUMNS = ("epoch", *MEASURES, "learning_rate", "seconds")
# Keeps the logarithm of a vanishing probability finite without hiding its gradient, as clipping at 1e-7 would.
_TINY = 1e-30
_OFFSETS = 10.0  # weight of a squared diameter against the cross-entropy
_LOWEST = 0.01  # of the largest learning rate, at the end of a schedule


@dataclass(frozen=True, eq=False)
class History:
    """Course of a training.

    Attributes
    ----------
    table : pandas.DataFrame
        One row for each epoch: ``epoch`` (from 1), ``loss``, ``accuracy`` (running averages over the epoch, while the
        network learns and samples are augmented), ``val_loss``, ``val_accuracy``, ``learning_rate`` (at the end of the
        epoch), ``seconds``. NaN where there are no validation samples, or no classes.
    best_epoch : int
        Epoch whose weights the network has: the one of lowest validation loss; the last without validation samples.
    stopped_early : bool
        Whether patience ran out.
    settings : TrainingSettings
        Settings of the training.
    seed : int
        Random seed of the training.
    """

    table: pd.DataFrame
    best_epoch: int
    stopped_early: bool
    settings: TrainingSettings
    seed: int

    def best(self) -> dict[str, float]:
        """Return the losses and accuracies of the best epoch."""
        row = self.table.loc[self.table["epoch"] == self.best_epoch].iloc[0]
        return {name: float(row[name]) for name in MEASURES if math.isfinite(row[name])}

    def summary(self) -> dict[str, Any]:
        """Return what is worth keeping beside a model, in JSON values."""
        return {
            "settings": self.settings.to_dict(),
            "seed": self.seed,
            "epochs": len(self.table),
            "best_epoch": self.best_epoch,
            "stopped_early": self.stopped_early,
            "seconds": round(float(self.table["seconds"].sum()), 1),
            **self.best(),
        }


def train(
    network: keras.Model,
    training: Samples,
    validation: Samples | None = None,
    settings: TrainingSettings = MODERN,
    *,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> History:
    """Train a network that gives class probabilities, from the weights that it has.

    The loss is the cross-entropy of the class probabilities, weighted by the samples' weights and, if the settings say
    so, by class. Samples with offsets add the squared error of these where there is a particle. In the end the network
    has the weights of the epoch with the lowest validation loss (without validation samples: the last). It is not left
    compiled.

    The same network, samples, settings and seed give the same result on one backend and one kind of device. On graphics
    cards TensorFlow needs the environment variable ``TF_DETERMINISTIC_OPS=1`` for that (slower).

    Parameters
    ----------
    network : keras.Model
        Functional or sequential network with probabilities (softmax) as output: shape (n, classes), or (n, rows,
        columns, classes).
    training, validation : Samples
        Samples to train on and to validate with, best of different micrographs.
    settings : TrainingSettings
        Settings of the training.
    seed : int
        Random seed of the order of the samples, the augmentation and dropout. The initial weights come with the
        network.
    folder : path-like, optional
        Folder for the state, which is written after every epoch. The same call with the same folder continues after the
        last finished epoch, and ends with the result of an uninterrupted training; a finished training is not repeated.
        At a constant rate, more `epochs` than before continue it.

    Returns
    -------
    History

    Raises
    ------
    ArgumentError
        If samples do not fit the network, or the folder holds the state of another training.
    PickerError
        If the loss becomes NaN or infinite (the network then has its best weights so far, and the folder the last good
        state), or the state is damaged.
    CryokitError
        If nothing can be written into the folder.

    Notes
    -----
    Al-Azzawi et al. 2020, BMC Bioinformatics 21:509, "The deep network's training"; `PAPER` has its settings.
    """
    keras = import_keras()

    check_number("seed", seed, 0, whole=True)
    classes = check_fit(network, training)
    if validation is not None:
        check_fit(network, validation)
    seed, state = int(seed), None
    if folder is not None:
        identity = fingerprint(network, training, validation, settings, seed, keras.backend.backend())
        state = TrainingState.read(folder, identity)
    return fit_batches(
        network,
        functools.partial(TrainingBatches, training, settings.batch_size, settings.augmentation, seed),
        _loss(training, classes, settings.class_weights),
        settings,
        validation=None if validation is None else validation.arrays(),
        # With offsets, targets are more than classes.
        metrics=[] if training.offsets is not None else [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        seed=seed,
        state=state,
    )


def fit_batches(
    network: keras.Model,
    batches: Callable[[int], Sequence[tuple[Any, ...]]],
    loss: str | Callable[[Any, Any], Any],
    settings: TrainingSettings,
    *,
    validation: tuple[NDArray, ...] | None = None,
    metrics: Sequence[keras.metrics.Metric] = (),
    seed: int = 0,
    state: TrainingState | None = None,
) -> History:
    """Train a network with any inputs and targets, on batches; `train` does that for classes.

    Parameters
    ----------
    network : keras.Model
        Network to train; it is not left compiled.
    batches : callable
        Takes the number of an epoch, from 0, and returns its batches (inputs, targets and, optionally, weights), a
        sequence of the same length for every epoch. For a training to be repeatable, the same number has to give the
        same batches.
    loss : str or callable
        Loss, as Keras takes it.
    settings : TrainingSettings
        Settings of the training; `class_weights` and `augmentation` have no effect, `batch_size` only on validation.
    validation : tuple of ndarray, optional
        Inputs, targets and, optionally, weights to validate with.
    metrics : sequence of keras.metrics.Metric
        Measures besides the loss, weighted as the loss is.
    seed : int
        Random seed of dropout.
    state : TrainingState, optional
        State from which the training continues.

    Returns
    -------
    History
    """
    from cryokit.networks.training.callbacks import Batches, Epochs, ResumableEarlyStopping, progress_bar

    state = TrainingState() if state is None else state
    first_epoch = len(state.rows)
    if first_epoch > settings.epochs:
        raise ArgumentError(
            f"{state.folder}: holds a training of {first_epoch} epochs, more than epochs={settings.epochs}; choose "
            "another folder"
        )
    if first_epoch:
        logger.info("%s: the training continues after epoch %d", state.folder, first_epoch)
    data = Batches(batches)
    stopping = ResumableEarlyStopping(state, validation is not None, settings.patience or settings.epochs)
    trainer = _compiled(network, loss, metrics, settings, settings.epochs * len(data))
    with _half_precision(network) if settings.mixed_precision else contextlib.nullcontext():
        try:
            trainer.fit(
                data,
                validation_data=validation,
                validation_batch_size=settings.batch_size,
                initial_epoch=first_epoch,
                epochs=first_epoch if stopping.first_wait >= stopping.patience else settings.epochs,
                shuffle=False,
                verbose=0,
                callbacks=[Epochs(data, seed, state.rows), stopping, *progress_bar()],
            )
        except PickerError:
            trainer.set_weights(stopping.best_weights)
            raise
    table = pd.DataFrame(state.rows, columns=list(COLUMNS)).astype({"epoch": np.int64})
    history = History(table, stopping.best_epoch + 1, len(table) < settings.epochs, settings, seed)
    figures = ", ".join(f"{name} {value:.4f}" for name, value in history.best().items())
    epochs = plural(len(table), "epoch")
    logger.info("%s: trained for %s, the best was %d: %s", network.name, epochs, history.best_epoch, figures)
    return history


def _compiled(
    network: keras.Model,
    loss: str | Callable[[Any, Any], Any],
    metrics: Sequence[keras.metrics.Metric],
    settings: TrainingSettings,
    steps: int,
) -> keras.Model:
    """Return a model of the same layers that can be fitted.

    The network itself stays as it is, so that saving it does not save an optimizer and a loss with it.
    """
    keras = import_keras()

    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        rising = round(settings.warm_up * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            rate / 10 if rising else rate,
            steps - rising,
            alpha=_LOWEST,
            warmup_target=rate if rising else None,
            warmup_steps=rising,
        )
    elif settings.schedule == "staircase":
        rate = keras.optimizers.schedules.ExponentialDecay(rate, 400, 0.95, staircase=True)
    if settings.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=settings.momentum)
    if settings.mixed_precision:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    trainer = keras.Model(network.inputs, network.outputs)
    trainer.compile(
        optimizer=optimizer,
        loss=loss,
        weighted_metrics=list(metrics),
        # XLA makes TensorFlow's training on the processor four times slower.
        jit_compile=keras.backend.backend() == "jax",
        auto_scale_loss=False,
    )
    optimizer.build(trainer.trainable_variables)
    return trainer


def _loss(training: Samples, classes: int, class_weights: bool) -> Callable[[Any, Any], Any]:
    ops = import_keras().ops
    weights = None
    if class_weights:
        shares = training.class_shares(classes)
        present = shares > 0
        weights = np.divide(1 / present.sum(), shares, out=np.zeros(classes), where=present).astype(np.float32)

    def cross_entropy(y_true: Any, y_pred: Any) -> Any:
        y_true = ops.cast(y_true, "int32")
        probability = ops.sum(ops.one_hot(y_true, classes, dtype="float32") * ops.cast(y_pred, "float32"), axis=-1)
        loss = -ops.log(probability + _TINY)
        return loss if weights is None else loss * ops.take(weights, y_true)

    def with_offsets(y_true: Any, y_pred: Any) -> Any:
        square = ops.sum((y_true[..., 1:] - ops.cast(y_pred[..., classes:], "float32")) ** 2, axis=-1)
        # Background, where there is nothing to locate, has offsets of exactly 0.
        particle = ops.cast(ops.any(y_true[..., 1:] != 0, axis=-1), "float32")
        return cross_entropy(y_true[..., 0], y_pred[..., :classes]) + _OFFSETS * particle * square

    return cross_entropy if training.offsets is None else with_offsets


@contextlib.contextmanager
def _half_precision(network: keras.Model) -> Iterator[None]:
    """Let all layers but the last compute in float16 in the meantime, with weights in float32."""
    policies = [(layer, layer.dtype_policy) for layer in leaf_layers(network)]
    set_precision(network, "mixed_float16")
    try:
        yield
    finally:
        for layer, policy in policies:
            layer.dtype_policy = policy
