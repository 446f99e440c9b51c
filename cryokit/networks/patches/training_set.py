"""A training set of patches and its file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.archives import read_archive, write_archive
from cryokit.errors import DatasetError
from cryokit.networks.patches.cutting import standardised

CLASSES = ("top", "side", "irregular", "negative", "background")
# The paper's three experiments. Leave out the views that a protein does not have: ``("top", "background")`` is what
# remains of "4 + background" for apoferritin.
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
_KIND = "training_set"


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Patches with their classes, where each came from, and how the set was made.

    Attributes
    ----------
    patches : ndarray of uint8, shape (n, size, size)
        Patches, particles dark; `cryokit.networks.patches.standardised` turns them into standard deviations.
    classes : tuple of str
        Names of the classes: class k of `labels` is ``classes[k]``.
    table : pandas.DataFrame
        n rows, index 0 ... n - 1, with the columns

        ============ ======= ================================================================================
        column       dtype   meaning
        ============ ======= ================================================================================
        micrograph   object  name of the micrograph
        x, y         float64 centre of the patch in pixels of the micrograph as stored: the particle's, as given
        diameter     float64 particle diameter that set the scale of the patch, in the same pixels
        class        object  one of `classes`
        split        object  ``train``, ``validation`` or ``test``
        rotation     int64   0, 90, 180 or 270 degrees, counter-clockwise as seen with row 0 at the top
        augmentation object  stages that the patch went through after its rotation; "" for none
        original     int64   number of the cut-out that it is a copy of: its row in `build`'s table of particles,
                             from 0; background places have numbers after the last row
        ============ ======= ================================================================================

    provenance : dict
        JSON values: versions, time, micrographs, settings, counts, and what was left out.

    Raises
    ------
    DatasetError
        If the parts do not fit together.
    """

    patches: NDArray[np.uint8]
    classes: tuple[str, ...]
    table: pd.DataFrame
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape, dtype = self.patches.shape, self.patches.dtype
        if len(shape) != 3 or shape[1] != shape[2] or dtype != np.uint8:
            raise DatasetError(f"patches must be uint8 of the shape (n, size, size), not {dtype} of the shape {shape}")
        if len(self.table) != len(self.patches):
            raise DatasetError(f"the table has {len(self.table)} rows for {len(self.patches)} patches")
        missing = [name for name in COLUMNS if name not in self.table.columns]
        if missing:
            raise DatasetError(f"the table of patches has no column {', '.join(missing)}")
        for name, known in (("class", self.classes), ("split", SPLITS)):
            for value in sorted(set(self.table[name]) - set(known)):
                raise DatasetError(
                    f"the table of patches has the {name} {value!r}, which is none of {', '.join(known)}"
                )

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
        """Class number of each patch, in the order of `classes`, shape (n,)."""
        return self.table["class"].map({name: number for number, name in enumerate(self.classes)}).to_numpy(np.int64)

    def counts(self) -> pd.DataFrame:
        """Return the number of patches of each class (rows) in each split (columns)."""
        counts = pd.crosstab(self.table["class"], self.table["split"])
        counts = counts.reindex(index=list(self.classes), columns=list(SPLITS), fill_value=0)
        return counts.rename_axis(index=None, columns=None).astype(np.int64)

    def subset(self, split: str) -> TrainingSet:
        """Return the patches of one split.

        Parameters
        ----------
        split : {"train", "validation", "test"}
            Name of the split.

        Raises
        ------
        DatasetError
            If there is no such split, or nothing in it.
        """
        chosen = (self.table["split"] == split).to_numpy()
        if not chosen.any():
            splits = ", ".join(f"{name} ({n})" for name, n in self.counts().sum().items() if n) or "none"
            raise DatasetError(f"this training set has no patches in the split {split!r}; it has {splits}")
        return self.where(chosen, self.classes)

    def where(self, chosen: NDArray[np.bool_], classes: tuple[str, ...]) -> TrainingSet:
        """Return the patches that a mask chooses, as a set with these classes."""
        return TrainingSet(self.patches[chosen], classes, self.table[chosen].reset_index(drop=True), self.provenance)

    def arrays(self, split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the arrays of one split that Keras trains on.

        Parameters
        ----------
        split : {"train", "validation", "test"}
            Name of the split.

        Returns
        -------
        x : ndarray of float32, shape (n, size, size, 1)
            Grey values in standard deviations of each patch around its mean, between -4 and 4. They take four times
            the memory of the patches.
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
        """Write the set to one file, whole or not at all.

        Parameters
        ----------
        path : path-like
            File to write; ``.npz`` is added if it is missing.

        Returns
        -------
        pathlib.Path
            File that was written.

        Raises
        ------
        CryokitError
            If nothing can be written there.
        """
        # Text as fixed-width unicode: arrays of Python objects could not be read without pickle.
        columns = {
            f"table_{name}": self.table[name].to_numpy().astype(str if dtype is object else dtype)
            for name, dtype in COLUMNS.items()
        }
        # Not compressed: noise hardly gets smaller (by a tenth), and takes many times as long.
        header = {"classes": self.classes, "provenance": self.provenance}
        return write_archive(path, _KIND, header, {"patches": self.patches, **columns})

    @classmethod
    def load(cls, path: str | os.PathLike) -> TrainingSet:
        """Read the set that `save` wrote.

        Parameters
        ----------
        path : path-like
            File to read.

        Raises
        ------
        DatasetError
            If the file is missing, damaged, or not a training set.
        """
        header, arrays = read_archive(path, _KIND, DatasetError, "build and save it again")
        try:
            columns = {
                name: pd.Series(arrays[f"table_{name}"].astype(dtype), dtype=dtype) for name, dtype in COLUMNS.items()
            }
            return cls(arrays["patches"], tuple(header["classes"]), pd.DataFrame(columns), header["provenance"])
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{path}: not a training set, or damaged ({error}); build and save it again") from None
