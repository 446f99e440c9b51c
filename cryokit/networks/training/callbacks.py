"""Callbacks and batches for Keras' `fit`. Importing this module imports Keras.

Keras' own callbacks stop early, keep the best weights and notice a loss that is not finite. What an exact resume needs
is added here: Keras' `BackupAndRestore` keeps neither the history nor the best weights, forgets how long the validation
loss has not fallen, deletes its files at the end, and may leave half a file after a kill.
"""

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.training.state import TrainingState

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


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):
    """Early stopping that begins with the state of a training, and writes it after every epoch.

    Without validation samples the last epoch is the best one, and training does not stop early. The best weights so far
    are there at any time, also after an error.

    Parameters
    ----------
    state : TrainingState
        State to begin with.
    validated : bool
        Whether there are validation samples.
    patience : int
        Epochs without a lower validation loss after which the training stops.
    """

    def __init__(self, state: TrainingState, validated: bool, patience: int) -> None:
        monitor, mode = ("val_loss", "min") if validated else ("epoch", "max")
        super().__init__(monitor, patience=patience, mode=mode, restore_best_weights=True)
        self.state = state
        values = [row[monitor] for row in state.rows]
        self.first_best = (min if validated else max)(values, default=None)
        self.first_best_epoch = values.index(self.first_best) if values else 0
        self.first_wait = max(0, len(values) - 1 - self.first_best_epoch)

    def _variables(self) -> list[keras.Variable]:
        model = self.model
        return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Restore the state."""
        super().on_train_begin(logs)
        self.best_weights = self.state.best_weights or self.model.get_weights()
        if self.state.rows:
            self.best, self.best_epoch, self.wait = self.first_best, self.first_best_epoch, self.first_wait
            for variable, value in zip(self._variables(), self.state.variables, strict=True):
                variable.assign(value)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Decide whether to go on, and write the state."""
        super().on_epoch_end(epoch, logs)
        self.state.best_weights = self.best_weights
        if self.state.folder is not None:
            self.state.variables = [variable.numpy() for variable in self._variables()]
            self.state.write()


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
