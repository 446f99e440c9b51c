"""Callbacks and batches for Keras' `fit`. Importing this module imports Keras.

Keras' own callbacks stop early, keep the best weights and notice a loss that is not finite. What an exact resume needs
is added here: Keras' `BackupAndRestore` keeps neither the history nor the best weights, forgets how long the validation
loss has not fallen, deletes its files at the end, and may leave half a file after a kill.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.training.state import State, write_state

keras = import_keras()


class Batches(keras.utils.PyDataset):
    """Batches of each epoch, as Keras' `fit` takes them.

    Parameters
    ----------
    of_epoch : callable
        Takes the number of an epoch, from 0, and returns its batches, a sequence.
    """

    def __init__(self, of_epoch: Callable[[int], Sequence[tuple[Any, ...]]]) -> None:
        super().__init__()
        self.of_epoch = of_epoch
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Go to an epoch."""
        self.batches = self.of_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.batches[index]


class Epochs(keras.callbacks.TerminateOnNaN):
    """Prepares each epoch and records its result; a loss that is not finite is an error.

    Parameters
    ----------
    batches : Batches
        Training batches.
    seed : int
        Random seed of dropout.
    rows : list of dict
        History of the epochs before; each epoch adds a row.
    """

    # A batch's loss may be checked late, so training does not wait for the device after each batch.
    async_safe = True

    def __init__(self, batches: Batches, seed: int, rows: list[dict[str, float]]) -> None:
        super().__init__()
        self.batches, self.seed, self.rows = batches, seed, rows

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Choose the batches and the state of the random generators, which follow from seed and epoch only."""
        self.start = time.perf_counter()
        self.batches.begin(epoch)
        reseed(self.model, self.seed, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Add a row to the history, and its values to the logs."""
        losses = {name: logs[name] for name in ("loss", "val_loss") if name in logs}
        if not all(math.isfinite(value) for value in losses.values()):
            shown = ", ".join(f"{name} {value:g}" for name, value in losses.items())
            raise PickerError(f"epoch {epoch + 1}: the loss is not finite ({shown}); lower the learning rate")
        rate = float(keras.ops.convert_to_tensor(self.model.optimizer.learning_rate))
        row = {"epoch": epoch + 1, **logs, "learning_rate": rate, "seconds": time.perf_counter() - self.start}
        self.rows.append(row)
        logs.update(row)


class BestWeights(keras.callbacks.EarlyStopping):
    """Early stopping that can be resumed, and has the best weights so far at any time, also after an error.

    Without validation samples the last epoch is the best one, and training does not stop early.

    Parameters
    ----------
    validated : bool
        Whether there are validation samples.
    patience : int
        Epochs without a lower validation loss after which the training stops.
    rows : list of dict
        History of the epochs before.
    weights : list of ndarray, optional
        Best weights of these epochs.
    """

    def __init__(
        self, validated: bool, patience: int, rows: Sequence[dict[str, float]], weights: list[NDArray] | None = None
    ) -> None:
        monitor, mode = ("val_loss", "min") if validated else ("epoch", "max")
        super().__init__(monitor, patience=patience, mode=mode, restore_best_weights=True)
        self.resumed: dict[str, Any] = {}
        values = [row[monitor] for row in rows]
        if values:
            best = min(values) if validated else max(values)
            epoch = values.index(best)
            wait = len(values) - 1 - epoch
            self.resumed = {"best": best, "best_epoch": epoch, "wait": wait, "best_weights": weights}

    @property
    def out_of_patience(self) -> bool:
        """Whether the epochs before have used up the patience."""
        return self.resumed.get("wait", 0) >= self.patience

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begin where the epochs before have ended."""
        super().on_train_begin(logs)
        self.best_weights = _values(self.model.weights)
        vars(self).update(self.resumed)


class Checkpoint(keras.callbacks.Callback):
    """Writes the state of the training after every epoch, and restores it at the beginning.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the state.
    fingerprint : dict
        What distinguishes the training from others.
    rows : list of dict
        History, which `Epochs` continues.
    best : BestWeights
        Keeper of the best weights.
    variables : list of ndarray or None
        Variables to begin with.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: dict[str, Any],
        rows: list[dict[str, float]],
        best: BestWeights,
        variables: list[NDArray] | None,
    ) -> None:
        super().__init__()
        self.folder, self.fingerprint, self.rows, self.best = folder, fingerprint, rows, best
        self.first_values = variables

    def _variables(self) -> list[keras.Variable]:
        model = self.model
        return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Restore the variables."""
        if self.first_values is not None:
            for variable, value in zip(self._variables(), self.first_values, strict=True):
                variable.assign(value)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the state."""
        state = State(self.rows, _values(self._variables()), self.best.best_weights)
        write_state(self.folder, self.fingerprint, state)


def progress_bar() -> list[keras.callbacks.Callback]:
    """Return the callback that shows bars of the epochs and batches, none where nobody would see them."""
    if sys.stderr is None or not sys.stderr.isatty():
        return []
    from tqdm import tqdm
    from tqdm.keras import TqdmCallback

    return [TqdmCallback(tqdm_class=tqdm)]


def reseed(network: keras.Model, seed: int, epoch: int) -> None:
    """Give every random generator of the network (dropout) a state that follows from the seed and the epoch."""
    states = [v for v in network.non_trainable_variables if v.path.endswith("seed_generator_state")]
    rng = np.random.default_rng((seed, epoch, 1))
    for state in states:
        state.assign(rng.integers(1 << 31, size=state.shape).astype(np.uint32))
    if states and keras.backend.backend() == "torch":
        # There, dropout that was made without a seed uses torch's own generator instead of its state.
        sys.modules["torch"].manual_seed(int(rng.integers(1 << 31)))


def _values(variables: Sequence[keras.Variable]) -> list[NDArray]:
    return [variable.numpy() for variable in variables]
