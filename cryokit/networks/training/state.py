"""The state of a training, written after every epoch, so that the training can continue after its process has ended."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.files import replacing
from cryokit.errors import ArgumentError, PickerError
from cryokit.networks.training.samples import Samples
from cryokit.networks.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

FILE = "training_state.npz"
_FORMAT = 2
# Parts of a fingerprint that are hashes, and mean nothing in a message.
_HASHED = ("layers", "initial weights", "training samples", "validation samples")


@dataclass(frozen=True)
class State:
    """Everything that the rest of a training depends on, after an epoch.

    Attributes
    ----------
    rows : list of dict
        History, one row per epoch.
    variables : list of ndarray
        Variables of network and optimizer: weights, averages, states of random generators, the number of steps.
    best_weights : list of ndarray
        Weights of the network after its best epoch.
    """

    rows: list[dict[str, float]]
    variables: list[NDArray]
    best_weights: list[NDArray]


def fingerprint(
    network: keras.Model,
    training: Samples,
    validation: Samples | None,
    settings: TrainingSettings,
    seed: int,
    backend: str,
) -> dict[str, Any]:
    """Return what distinguishes a training from others, as JSON values.

    At a constant rate, a training of more epochs continues one of fewer, so `epochs` is no part of it then.
    """
    parts = settings.to_dict() | {"seed": int(seed), "backend": backend}
    if settings.schedule == "constant":
        del parts["epochs"]
    layers = [[type(layer).__name__, [list(v.shape) for v in layer.variables]] for layer in network.layers]
    return parts | {
        "layers": _hash([np.frombuffer(json.dumps(layers).encode(), np.uint8)]),
        "initial weights": _hash(network.get_weights()),
        "training samples": _hash(training.arrays()),
        "validation samples": "none" if validation is None else _hash(validation.arrays()),
    }


def write_state(folder: Path, fingerprint: dict[str, Any], state: State) -> None:
    """Write the state, whole or not at all: a kill at any moment leaves this or the previous one."""
    header = {"format": _FORMAT, "fingerprint": fingerprint, "rows": state.rows}
    arrays = {f"variable_{index:04d}": value for index, value in enumerate(state.variables)}
    arrays |= {f"best_{index:04d}": value for index, value in enumerate(state.best_weights)}
    with replacing(folder / FILE) as temporary:
        np.savez(temporary, header=np.array(json.dumps(header)), **arrays)
    # For people to read. Keras' CSVLogger, which appends rows, would repeat or lack an epoch after a kill.
    with replacing(folder / "history.csv") as temporary:
        pd.DataFrame(state.rows).to_csv(temporary, index=False)


def read_state(folder: Path, fingerprint: dict[str, Any]) -> State | None:
    """Return the state in the folder, or None if there is none.

    Raises
    ------
    ArgumentError
        If it is of another training.
    PickerError
        If it is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            saved = header["fingerprint"] if header["format"] == _FORMAT else {}
            names = sorted(archive.files)
            state = State(
                header["rows"],
                [archive[name] for name in names if name.startswith("variable_")],
                [archive[name] for name in names if name.startswith("best_")],
            )
    except MemoryError:
        raise
    # What damaged bytes raise on their way through zip and NumPy has no common base.
    except Exception as error:
        raise PickerError(
            f"{path}: not the state of a training, or damaged ({error}); remove it to start again"
        ) from None
    different = [
        name if name in _HASHED else f"{name} ({saved.get(name)} there, {fingerprint[name]} now)"
        for name in fingerprint
        if saved.get(name) != fingerprint[name]
    ]
    if different:
        raise ArgumentError(
            f"{path}: belongs to a training with other {', '.join(different)}; choose another folder, or remove the "
            "file to start again"
        )
    return state


def _hash(arrays: list[NDArray] | tuple[NDArray, ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
