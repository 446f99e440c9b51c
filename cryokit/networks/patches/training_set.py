"""A training set and its file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.files import replacing
from cryokit._util.wording import plural
from cryokit.errors import DatasetError
from cryokit.networks.patches.cutting import standardised

CLASSES = ("top", "side", "irregular", "negative", "background")
# The paper's three experiments. Leave out the views that a protein does not have, as in
# ``[c for c in CLASS_SETTINGS["4 + background"] if c in ("top", "background")]`` for apoferritin.
CLASS_SETTINGS: dict[str, tuple[str, ...]] = {
    "4 + background": ("top", "side", "irregular", "background"),
    "4 + negative": ("top", "side", "irregular", "negative"),
    "five classes": CLASSES,
}
SPLITS = ("train", "validation", "test")
COLUMNS = {
    "micrograph": object,
    "x": np.float64,
    "y": np.float64,
    "diameter": np.float64,
    "class": object,
    "split": object,
    "rotation": np.int64,
    "augmentation": object,
    "original": np.int64,
}
_HEADER, _FORMAT = "cryokit_training_set", 1


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Patches with their classes, where each came from, and how the set was made.

    Attributes
    ----------
    patches : ndarray of uint8, shape (n, size, size)
        Particles dark; `cryokit.networks.patches.standardised` gives grey values in standard deviations.
    classes : tuple of str
        Class k of `labels` is ``classes[k]``.
    table : pandas.DataFrame
        n rows, index 0 ... n - 1, with the columns

        ============ ======= ================================================================================
        column       dtype   meaning
        ============ ======= ================================================================================
        micrograph   object  name
        x, y         float64 the patch's centre in pixels of the micrograph as stored: the particle's, as given
        diameter     float64 the particle's diameter that set the patch's scale, in the same pixels
        class        object  one of `classes`
        split        object  ``train``, ``validation`` or ``test``
        rotation     int64   0, 90, 180 or 270 degrees, counter-clockwise as seen with row 0 at the top
        augmentation object  stages that the patch went through after its rotation; "" for none
        original     int64   which cut-out it is a copy of: the row of `build`'s table of particles, counted from
                             0; background places have numbers after the last row
        ============ ======= ================================================================================

    provenance : dict
        JSON values: versions, when and from what it was made, settings, counts, what was left out.

    Raises
    ------
    DatasetError
        When the parts do not fit together.
    """

    patches: NDArray[np.uint8]
    classes: tuple[str, ...]
    table: pd.DataFrame
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.patches.ndim != 3 or self.patches.shape[1] != self.patches.shape[2] or self.patches.dtype != np.uint8:
            raise DatasetError(f"patches are uint8 (n, size, size), not {self.patches.dtype} {self.patches.shape}")
        if len(self.table) != len(self.patches):
            raise DatasetError(f"{plural(len(self.patches), 'patch')} with a table of {len(self.table)} rows")
        missing = [name for name in COLUMNS if name not in self.table.columns]
        if missing:
            raise DatasetError(f"the table of patches has no column {', '.join(missing)}")
        for name, known in (("class", self.classes), ("split", SPLITS)):
            unknown = sorted(set(self.table[name]) - set(known))
            if unknown:
                raise DatasetError(f"unknown {name} {unknown[0]!r} in the table of patches; known: {', '.join(known)}")

    def __len__(self) -> int:
        return len(self.patches)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {n}" for name, n in self.counts().sum(axis=1).items())
        return f"<TrainingSet: {len(self)} patches of {self.size} x {self.size} pixels ({counts})>"

    @property
    def size(self) -> int:
        """Side of a patch in pixels."""
        return self.patches.shape[1]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Each patch's class as its number in `classes`, shape (n,)."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[name] for name in self.table["class"]], np.int64)

    def counts(self) -> pd.DataFrame:
        """Return how many patches there are of each class (rows) in each split (columns)."""
        counted = pd.crosstab(self.table["class"], self.table["split"])
        counted = counted.reindex(index=list(self.classes), columns=list(SPLITS), fill_value=0)
        return counted.rename_axis(index=None, columns=None).astype(np.int64)

    def subset(self, split: str) -> TrainingSet:
        """Return the part of one split.

        Parameters
        ----------
        split : {"train", "validation", "test"}

        Raises
        ------
        DatasetError
            When there is no such split, or nothing in it.
        """
        chosen = (self.table["split"] == split).to_numpy()
        if not chosen.any():
            found = ", ".join(f"{name} ({n})" for name, n in self.counts().sum().items() if n) or "none"
            raise DatasetError(f"this training set has no patches in the split {split!r}; it has {found}")
        table = self.table[chosen].reset_index(drop=True)
        return TrainingSet(self.patches[chosen], self.classes, table, self.provenance)

    def arrays(self, split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return what Keras trains on.

        Parameters
        ----------
        split : {"train", "validation", "test"}

        Returns
        -------
        x : ndarray of float32, shape (n, size, size, 1)
            In standard deviations of each patch around its mean, between -4 and 4. Four times the memory of the
            patches.
        y : ndarray of int64, shape (n,)
            Class numbers (sparse categorical labels).

        Raises
        ------
        DatasetError
            As in `subset`.
        """
        part = self.subset(split)
        return standardised(part.patches)[..., np.newaxis], part.labels

    def save(self, path: str | os.PathLike) -> Path:
        """Write the set to one file, whole or not at all; ``.npz`` is added to a path without it.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        CryokitError
            When nothing can be written there.
        """
        path = Path(path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        header = json.dumps({"format": _FORMAT, "classes": list(self.classes), "provenance": self.provenance})
        # Text as fixed-width unicode: arrays of Python objects could not be read without pickle.
        columns = {
            f"table_{name}": self.table[name].to_numpy().astype(str if dtype is object else dtype)
            for name, dtype in COLUMNS.items()
        }
        with replacing(path) as temporary:
            # Not compressed: noise hardly gets smaller (by a tenth), and takes many times as long.
            np.savez(temporary, **{_HEADER: np.array(header)}, patches=self.patches, **columns)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> TrainingSet:
        """Return the set that `save` wrote.

        Raises
        ------
        DatasetError
            When the file is missing, damaged, or not a training set.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                if _HEADER not in archive.files:
                    raise DatasetError(f"{path}: holds something else than a training set; build and save one")
                header = json.loads(str(archive[_HEADER]))
                if header["format"] > _FORMAT:
                    raise DatasetError(f"{path}: written by a later version of cryokit; update cryokit")
                patches = archive["patches"]
                columns = {
                    name: pd.Series(archive[f"table_{name}"].astype(dtype), dtype=dtype)
                    for name, dtype in COLUMNS.items()
                }
            return cls(patches, tuple(header["classes"]), pd.DataFrame(columns), header["provenance"])
        except FileNotFoundError:
            raise DatasetError(f"{path}: there is no such file") from None
        except (DatasetError, MemoryError):
            raise
        # What damaged bytes raise on their way through zip and numpy has no common base.
        except Exception as error:
            raise DatasetError(f"{path}: not a training set, or damaged ({error}); save it again") from None
