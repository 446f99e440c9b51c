"""Train a network: reproducible, resumable, with the best weights in the end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.files import make_folder
from cryokit._util.wording import plural
from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.training.resume import State, describe, read_state, write_state
from cryokit.networks.training.samples import Samples, check_fit
from cryokit.networks.training.settings import MODERN, TrainingSettings

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
# Keeps the logarithm of a vanishing probability finite without hiding its gradient, as clipping at 1e-7 would.
_TINY = 1e-30
_WARM_UP, _LOWEST = 0.05, 0.01


@dataclass(frozen=True, eq=False)
class History:
    """What happened in a training.

    Attributes
    ----------
    table : pandas.DataFrame
        One row for each epoch: ``epoch`` (from 1), ``loss``, ``accuracy`` (running averages over the epoch, while the
        network learns and samples are augmented), ``val_loss``, ``val_accuracy`` (NaN without validation samples),
        ``learning_rate`` (at the end of the epoch), ``seconds``.
    best_epoch : int
        After which the network had the weights that it has now: the one of least validation loss; the last without
        validation samples.
    stopped_early : bool
        Whether patience ran out.
    settings : TrainingSettings
    seed : int
    """

    table: pd.DataFrame
    best_epoch: int
    stopped_early: bool
    settings: TrainingSettings
    seed: int

    def summary(self) -> dict[str, Any]:
        """Return what is worth keeping beside a model, in JSON values."""
        best = self.table.loc[self.table["epoch"] == self.best_epoch].iloc[0]
        figures = {name: float(best[name]) for name in COLUMNS[1:5] if math.isfinite(best[name])}
        return {
            "settings": self.settings.to_dict(),
            "seed": self.seed,
            "epochs": len(self.table),
            "best_epoch": self.best_epoch,
            "stopped_early": self.stopped_early,
            "seconds": round(float(self.table["seconds"].sum()), 1),
            **figures,
        }


def train(
    network: keras.Model,
    training: Samples,
    validation: Samples | None = None,
    settings: TrainingSettings = MODERN,
    *,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> History:
    """Train the network on the samples, from the weights that it has.

    Each epoch is a pass of Keras' `fit` over shuffled batches. The loss is the cross-entropy of the class
    probabilities, weighted by the samples' weights and, if asked, by class. In the end the network has the weights of
    the epoch with the least validation loss (without validation samples: the last). It is not left compiled.

    The same network, samples, settings and seed give the same result on one backend and one kind of device. On
    graphics cards TensorFlow needs the environment variable ``TF_DETERMINISTIC_OPS=1`` for that (slower).

    Parameters
    ----------
    network : keras.Model
        Functional or sequential, giving probabilities (softmax): shape (n, classes), or (n, rows, columns, classes).
    training, validation : Samples
        Validation samples should be of micrographs that the training samples are not of.
    settings : TrainingSettings
    seed : int
        Of the order of the samples, the augmentation and dropout. The initial weights come with the network.
    folder : path-like, optional
        Where the state is written after every epoch. The same call with the same folder goes on after the last epoch
        that was finished, and ends with the result of an uninterrupted training; a finished training is not repeated.
        At a constant rate, more `epochs` than before continue it.
    progress : bool
        Whether to show a bar with the steps.

    Returns
    -------
    History

    Raises
    ------
    PickerError
        When samples do not fit the network, the folder has the state of another training, or the loss becomes NaN or
        infinite (the network then has its best weights so far, and the folder the last good state).
    CryokitError
        When nothing can be written into the folder.

    Notes
    -----
    Al-Azzawi et al. 2020, BMC Bioinformatics 21:509, "The deep network's training"; `PAPER` has its settings.
    """
    keras = import_keras()
    from tqdm import tqdm

    from cryokit.networks.training.batches import TrainingBatches, ValidationBatches, dataset, number_of_steps

    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise PickerError(f"seed {seed!r}: give a whole number, 0 or more")
    classes = check_fit(network, training)
    if validation is not None:
        check_fit(network, validation)
    state, description = None, {}
    if folder is not None:
        folder = make_folder(folder)
        description = describe(network, training, validation, settings, seed, keras.backend.backend())
        state = read_state(folder, description)
        if state is not None and len(state.rows) > settings.epochs:
            raise PickerError(
                f"{folder}: holds a training of {len(state.rows)} epochs, more than epochs {settings.epochs}; "
                "choose another folder"
            )

    batch_size = min(settings.batch_size, len(training))
    steps = number_of_steps(len(training), batch_size)
    trainer = _compiled(network, training, settings, classes, steps)
    variables = [*_variables(network), *trainer.optimizer.variables]
    rows: list[dict[str, float]] = []
    best = _values(_variables(network))
    if state is not None:
        rows, best = list(state.rows), state.best
        _assign(variables, state.variables)
        logger.info("%s: goes on after epoch %d", folder, len(rows))

    held_out = None if validation is None else dataset(ValidationBatches(validation, settings.batch_size))
    with (
        _half_precision(network, settings.mixed_precision),
        tqdm(
            total=settings.epochs * steps, initial=len(rows) * steps, disable=None if progress else True, unit="step"
        ) as bar,
    ):
        # Within `fit`, since what that does before its first epoch may draw random numbers, too.
        callbacks = [
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_, **__: _seed_generators(network, seed, len(rows)))
        ]
        if progress:
            callbacks.append(keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: bar.update()))
        while not _finished(rows, settings):
            epoch = len(rows)
            bar.set_description(f"epoch {epoch + 1}/{settings.epochs}")
            start = time.perf_counter()
            logs = trainer.fit(
                dataset(TrainingBatches(training, batch_size, settings.augmentation, seed, epoch)),
                validation_data=held_out,
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            ).history
            row = {name: float(logs[name][-1]) if name in logs else math.nan for name in COLUMNS[1:5]}
            rate = float(keras.ops.convert_to_tensor(trainer.optimizer.learning_rate))
            row = {"epoch": epoch + 1, **row, "learning_rate": rate, "seconds": time.perf_counter() - start}
            watched = ("loss",) if held_out is None else ("loss", "val_loss")
            if not all(math.isfinite(row[name]) for name in watched):
                _assign(_variables(network), best)
                raise PickerError(
                    f"epoch {epoch + 1}: the loss became {row['loss']:g}"
                    + (f", that of the validation {row['val_loss']:g}" if held_out is not None else "")
                    + f"; train with a learning_rate below {settings.learning_rate:g}"
                    + (" or without mixed_precision" if settings.mixed_precision else "")
                )
            rows.append(row)
            if _best_epoch(rows) == len(rows):
                best = _values(_variables(network))
            if folder is not None:
                write_state(folder, description, State(rows, _values(variables), best))
            bar.set_postfix({name: f"{row[name]:.4f}" for name in COLUMNS[1:5] if math.isfinite(row[name])})
    _assign(_variables(network), best)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"epoch": np.int64})
    best_epoch = _best_epoch(rows)
    history = History(table, best_epoch, len(rows) < settings.epochs, settings, int(seed))
    shown = {name: value for name, value in rows[best_epoch - 1].items() if name in COLUMNS[1:5] and value == value}
    logger.info(
        "trained for %s, the best was %d: %s",
        plural(len(rows), "epoch"),
        best_epoch,
        ", ".join(f"{name} {value:.4f}" for name, value in shown.items()),
    )
    return history


def _compiled(
    network: keras.Model, training: Samples, settings: TrainingSettings, classes: int, steps: int
) -> keras.Model:
    """Return a model of the same layers that can be fitted.

    The network itself stays as it is, so that saving it does not save an optimizer and a loss with it.
    """
    keras = import_keras()
    ops = keras.ops

    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        total = settings.epochs * steps
        rising = round(_WARM_UP * total)
        rate = keras.optimizers.schedules.CosineDecay(
            rate / 10 if rising else rate,
            total - rising,
            alpha=_LOWEST,
            warmup_target=rate if rising else None,
            warmup_steps=rising,
        )
    if settings.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=settings.momentum)
    if settings.mixed_precision:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    weights = None
    if settings.class_weights:
        shares = training.class_shares(classes)
        present = shares > 0
        weights = np.divide(1 / present.sum(), shares, out=np.zeros(classes), where=present).astype(np.float32)

    def cross_entropy(y_true, y_pred):
        y_true = ops.cast(y_true, "int32")
        probability = ops.sum(ops.one_hot(y_true, classes, dtype="float32") * ops.cast(y_pred, "float32"), axis=-1)
        loss = -ops.log(probability + _TINY)
        return loss if weights is None else loss * ops.take(weights, y_true)

    trainer = keras.Model(network.inputs, network.outputs)
    trainer.compile(
        optimizer=optimizer,
        loss=cross_entropy,
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        # XLA makes TensorFlow's training on the processor four times slower.
        jit_compile=keras.backend.backend() == "jax",
        auto_scale_loss=False,
    )
    optimizer.build(trainer.trainable_variables)
    return trainer


@contextlib.contextmanager
def _half_precision(network: keras.Model, wanted: bool) -> Iterator[None]:
    """Let all layers but the last compute in float16 meanwhile, with weights in float32."""
    layers = [layer for layer in _layers(network)[:-1] if wanted and layer.dtype_policy.name == "float32"]
    for layer in layers:
        layer.dtype_policy = "mixed_float16"
    try:
        yield
    finally:
        for layer in layers:
            layer.dtype_policy = "float32"


def _layers(network: keras.Model) -> list[keras.Layer]:
    """Return the layers, those of layers within layers in place of them."""
    inner = ([layer] if not hasattr(layer, "layers") else _layers(layer) for layer in network.layers)
    return list(itertools.chain.from_iterable(inner))


def _seed_generators(network: keras.Model, seed: int, epoch: int) -> None:
    """Give every random generator of the network (dropout) a state that follows from the seed and the epoch."""
    keras = import_keras()

    states = [v for v in network.non_trainable_variables if v.path.endswith("seed_generator_state")]
    rng = np.random.default_rng((seed, epoch, 1))
    for state in states:
        state.assign(rng.integers(1 << 31, size=state.shape).astype(np.uint32))
    if states and keras.backend.backend() == "torch":
        # There, dropout that was made without a seed uses torch's own generator instead of its state. What Keras offers
        # to seed that seeds Python's and numpy's as well, which are not ours.
        kept = random.getstate(), np.random.get_state()  # noqa: NPY002
        keras.utils.set_random_seed(int(rng.integers(1 << 31)))
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002


def _variables(network: keras.Model) -> list:
    """Return weights and states of the network."""
    return [*network.trainable_variables, *network.non_trainable_variables]


def _values(variables: list) -> list[NDArray]:
    # Copies: on the processor some backends give views of memory that the next step overwrites.
    return [np.array(variable.numpy()) for variable in variables]


def _assign(variables: list, values: list[NDArray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _best_epoch(rows: list[dict[str, float]]) -> int:
    """Return the number of the best epoch, from 1."""
    losses = [row["val_loss"] for row in rows]
    return len(rows) if math.isnan(losses[-1]) else int(np.argmin(losses)) + 1


def _finished(rows: list[dict[str, float]], settings: TrainingSettings) -> bool:
    if len(rows) >= settings.epochs:
        return True
    return bool(rows) and settings.patience is not None and len(rows) - _best_epoch(rows) >= settings.patience
