"""The state of a training, written after every epoch, so that it can go on after its process has ended."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.files import replacing
from cryokit.errors import PickerError
from cryokit.networks.training.samples import Samples
from cryokit.networks.training.settings import TrainingSettings

FILE = "training_state.npz"
_FORMAT = 1


@dataclass(frozen=True)
class State:
    """Everything that the rest of a training depends on, after an epoch.

    Attributes
    ----------
    rows : list of dict
        The history, one row an epoch.
    variables : list of ndarray
        Of network and optimizer: weights, averages, states of random generators, the number of steps.
    best : list of ndarray
        The network's variables after its best epoch.
    """

    rows: list[dict[str, float]]
    variables: list[NDArray]
    best: list[NDArray]


def describe(
    network, training: Samples, validation: Samples | None, settings: TrainingSettings, seed: int, backend: str
) -> dict[str, Any]:
    """Return what makes a training this one and no other, part by part, in JSON values.

    At a constant rate, more epochs are the same training, longer; so `epochs` is no part of it then.
    """
    chosen = settings.to_dict()
    if settings.schedule == "constant":
        del chosen["epochs"]
    return {
        "backend": backend,
        "settings": chosen,
        "seed": int(seed),
        "layers": [[type(layer).__name__, [list(v.shape) for v in layer.variables]] for layer in network.layers],
        "initial weights": _digest([np.asarray(value) for value in network.get_weights()]),
        "training samples": _digest([training.x, training.y, training.weights]),
        "validation samples": None if validation is None else _digest([validation.x, validation.y, validation.weights]),
    }


def write_state(folder: Path, description: dict[str, Any], state: State) -> None:
    """Write the state, whole or not at all: a kill at any moment leaves this or the previous one."""
    header = {"format": _FORMAT, "description": description, "rows": state.rows}
    arrays = {f"variable_{i:04d}": value for i, value in enumerate(state.variables)}
    arrays |= {f"best_{i:04d}": value for i, value in enumerate(state.best)}
    with replacing(folder / FILE) as temporary:
        np.savez(temporary, header=np.array(json.dumps(header)), **arrays)
    # For people; nothing reads it.
    with replacing(folder / "history.csv") as temporary:
        pd.DataFrame(state.rows).to_csv(temporary, index=False)


def read_state(folder: Path, description: dict[str, Any]) -> State | None:
    """Return the state in the folder, or None where there is none.

    Raises
    ------
    PickerError
        When it is of another training, or damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            names = sorted(archive.files)
            state = State(
                header["rows"],
                [archive[name] for name in names if name.startswith("variable_")],
                [archive[name] for name in names if name.startswith("best_")],
            )
        found = header["description"]
    except MemoryError:
        raise
    # What damaged bytes raise on their way through zip and numpy has no common base.
    except Exception as error:
        raise PickerError(
            f"{path}: not the state of a training, or damaged ({error}); remove it to start anew"
        ) from None
    wanted = json.loads(json.dumps(description))
    if header["format"] != _FORMAT:
        raise PickerError(f"{path}: written by another version of cryokit; choose another folder, or remove the file")
    different = [_difference(part, found.get(part), wanted[part]) for part in wanted if found.get(part) != wanted[part]]
    if different:
        raise PickerError(
            f"{path}: belongs to a training with other {', '.join(different)}; choose another folder, or remove the "
            "file to start anew"
        )
    return state


def _difference(part: str, found: Any, wanted: Any) -> str:
    if part in ("backend", "seed"):
        return f"{part} ({found} there, {wanted} now)"
    if part == "settings" and isinstance(found, dict):
        names = [name for name in wanted | found if found.get(name, "none") != wanted.get(name, "none")]
        return "settings (" + ", ".join(f"{n} {found.get(n)} there, {wanted.get(n)} now" for n in names) + ")"
    if part == "initial weights":
        return "initial weights (build the network with the same seed)"
    return part


def _digest(arrays: list[NDArray | None]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
