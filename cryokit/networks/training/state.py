"""The state of a training, written after every epoch, so that the training can continue after its process has ended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.archives import read_archive, write_archive
from cryokit._util.files import make_folder, replacing
from cryokit.errors import ArgumentError, PickerError
from cryokit.networks.training.samples import Samples
from cryokit.networks.training.settings import TrainingSettings

if TYPE_CHECKING:
    import os

    import keras

FILE = "training_state.npz"
# Parts of a fingerprint that mean nothing in a message.
_UNSHOWN = ("layers", "initial weights", "training samples", "validation samples")


@dataclass
class TrainingState:
    """Everything that the rest of a training depends on, after an epoch.

    Attributes
    ----------
    folder : pathlib.Path, optional
        Folder of the file; None if the state is not to be written.
    fingerprint : dict
        JSON values that distinguish the training from others.
    rows : list of dict
        History, one row per epoch.
    variables : list of ndarray
        Variables of network and optimizer: weights, averages, states of random generators, the number of steps.
    best_weights : list of ndarray
        Weights of the network after its best epoch.
    """

    folder: Path | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    variables: list[NDArray] = field(default_factory=list)
    best_weights: list[NDArray] = field(default_factory=list)

    @classmethod
    def read(cls, folder: str | os.PathLike, fingerprint: dict[str, Any]) -> TrainingState:
        """Return the state in a folder, which is made if there is none.

        Raises
        ------
        ArgumentError
            If the state is of another training.
        PickerError
            If it is damaged.
        CryokitError
            If nothing can be written into the folder.
        """
        folder = make_folder(folder)
        path = folder / FILE
        if not path.exists():
            return cls(folder, fingerprint)
        header, arrays = read_archive(path, "training_state", PickerError, "remove it to start again")
        saved, rows = header.get("fingerprint"), header.get("rows")
        if not (isinstance(saved, dict) and isinstance(rows, list)):
            raise PickerError(f"{path}: not a training state, or damaged; remove it to start again")
        different = [
            name if name in _UNSHOWN else f"{name} ({saved.get(name)} there, {fingerprint[name]} now)"
            for name in fingerprint
            if saved.get(name) != fingerprint[name]
        ]
        if different:
            raise ArgumentError(
                f"{path}: belongs to a training with other {', '.join(different)}; choose another folder, or remove "
                "the file to start again"
            )
        variables, best_weights = (
            [arrays[name] for name in sorted(arrays) if name.startswith(kind)] for kind in ("variable", "best")
        )
        return cls(folder, fingerprint, rows, variables, best_weights)

    def write(self) -> None:
        """Write the state, whole or not at all: a kill at any moment leaves this or the previous one."""
        header = {"fingerprint": self.fingerprint, "rows": self.rows}
        arrays = {f"variable_{index:04d}": value for index, value in enumerate(self.variables)}
        arrays |= {f"best_{index:04d}": value for index, value in enumerate(self.best_weights)}
        write_archive(self.folder / FILE, "training_state", header, arrays)
        # For people to read. Keras' CSVLogger, which appends rows, would repeat or lack an epoch after a kill.
        with replacing(self.folder / "history.csv") as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)


def fingerprint(
    network: keras.Model,
    training: Samples,
    validation: Samples | None,
    settings: TrainingSettings,
    seed: int,
    backend: str,
) -> dict[str, Any]:
    """Return what distinguishes a training from others, as JSON values.

    If the rate does not depend on the number of epochs, a longer training continues a shorter one: `epochs` is no part
    of it then.
    """
    parts = settings.to_dict() | {"seed": seed, "backend": backend}
    if settings.schedule != "cosine":
        del parts["epochs"]
    return parts | {
        "layers": [type(layer).__name__ for layer in network.layers],
        "initial weights": _hash(network.get_weights()),
        "training samples": _hash(training.arrays()),
        "validation samples": "none" if validation is None else _hash(validation.arrays()),
    }


def _hash(arrays: list[NDArray] | tuple[NDArray, ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
