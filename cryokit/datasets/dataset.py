"""A dataset in the cache: its micrographs and labels by split."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit._util.names import coordinate_file_micrograph, micrograph_name
from cryokit._util.wording import plural
from cryokit.coordinates.formats import SUFFIXES
from cryokit.datasets.manifest import Manifest, find
from cryokit.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

CACHE_VARIABLE = "CRYOKIT_DATA"


def cache_folder() -> Path:
    """Return the folder of all datasets: ``CRYOKIT_DATA`` if set, otherwise the system's place for caches."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    import pooch

    return Path(pooch.os_cache("cryokit"))


@dataclass(frozen=True)
class Dataset:
    """A dataset in the cache.

    Attributes
    ----------
    manifest : Manifest
        Description of the dataset.
    folder : pathlib.Path
        Folder of its files, some or all of which may be missing.
    """

    manifest: Manifest
    folder: Path

    @property
    def any_here(self) -> bool:
        """Whether any of its files is in the cache."""
        return any((self.folder / file.path).is_file() for file in self.manifest.files)

    def micrographs(self, split: str | None = None, *, partial: bool = False) -> list[Path]:
        """Return the paths of the micrographs in the order of the manifest.

        Parameters
        ----------
        split : {"train", "validation", "test"}, optional
            Split to return; all by default.
        partial : bool
            Whether to return the micrographs that are in the cache if others are missing, instead of failing.

        Raises
        ------
        DatasetError
            If micrographs are missing from the cache, or all of them if `partial`.
        """
        paths = [self.folder / file.path for file in self.manifest.select("micrograph", split)]
        present = [path for path in paths if path.is_file()]
        missing = len(paths) - len(present)
        if missing and not (partial and present):
            raise DatasetError(
                f"{self.manifest.name}: {missing} of {plural(len(paths), 'micrograph')} missing from {self.folder}; "
                f"get them with 'cryokit data fetch {self.manifest.name}'"
            )
        return present

    def pairs(
        self, split: str | None = None, *, labels_from: str | os.PathLike | None = None, partial: bool = False
    ) -> list[tuple[Path, Path | None]]:
        """Return each micrograph with its label file, None if it has none.

        Parameters
        ----------
        split : {"train", "validation", "test"}, optional
            Split to return; all by default.
        labels_from : path-like, optional
            Folder of your own label files, one per micrograph and named after it; by default the labels of the
            dataset, of which published coordinates are preferred to label pictures.
        partial : bool
            Whether micrographs may be missing, as for `micrographs`.

        Raises
        ------
        DatasetError
            If micrographs are missing, or `labels_from` has no label file, or two for one micrograph.
        """
        labels = self._label_files(labels_from)
        return [(path, labels.get(micrograph_name(path))) for path in self.micrographs(split, partial=partial)]

    def labels(
        self, split: str | None = None, *, labels_from: str | os.PathLike | None = None, partial: bool = False
    ) -> pd.DataFrame:
        """Read the labels of the micrographs that `pairs` returns into one table of picks.

        Discs in label pictures become centres in pixels of the micrograph (`cryokit.coordinates.label_pictures`). The
        diameter is that of the manifest if a label file has none, or if it is only that of the paint. The view is that
        of the manifest if it has a single one and the label none. Micrographs without a label file contribute nothing;
        `pairs` tells which they are.

        Parameters
        ----------
        split, labels_from, partial
            As for `pairs`.

        Raises
        ------
        DatasetError
            As for `pairs`.
        CoordinateError
            If a label file cannot be read.
        """
        from cryokit import coordinates

        tables = []
        for path, label in self.pairs(split, labels_from=labels_from, partial=partial):
            if label is not None:
                tables.append(self.read_labels(path, label))
        return coordinates.concatenate(tables)

    def read_labels(self, path: Path, label: Path) -> pd.DataFrame:
        """Read one of the pairs that `pairs` returns, as `labels` does all."""
        from cryokit import coordinates

        scales = {self.folder / file.path: file.scale for file in self.manifest.select("label-discs")}
        name, diameter = micrograph_name(path), self.manifest.diameter_pixels
        if label in scales:
            # Smaller pictures are averages of blocks of pixels: the published one correlates 0.94 with the
            # micrograph's block average, 0.52 with every second pixel.
            picks = coordinates.read(label, "pictures", name, scale=scales[label], blocks=True)
            picks["diameter"] = diameter or picks["diameter"]
        else:
            picks = coordinates.read(label, micrograph=name)
            if diameter is not None:
                picks["diameter"] = picks["diameter"].fillna(diameter)
        if len(self.manifest.views) == 1:
            picks["view"] = picks["view"].where(picks["view"] != "", self.manifest.views[0])
        return picks

    def _label_files(self, labels_from: str | os.PathLike | None) -> dict[str, Path]:
        """Return the label file of each micrograph by its name."""
        labels: dict[str, Path] = {}
        if labels_from is None:
            for role in ("label-coordinates", "label-discs"):
                for file in self.manifest.select(role):
                    if (self.folder / file.path).is_file():
                        labels.setdefault(file.micrograph, self.folder / file.path)
            return labels
        folder = Path(labels_from)
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder of label files")
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name.lower().endswith(SUFFIXES):
                name = coordinate_file_micrograph(path)
                other = labels.setdefault(name, path)
                if other != path:
                    raise DatasetError(f"{other} and {path} both label {name}; remove one")
        if not labels:
            raise DatasetError(f"{folder}: no label file ({', '.join(SUFFIXES)})")
        return labels


def load(name: str | os.PathLike, cache: str | os.PathLike | None = None) -> Dataset:
    """Return a dataset as it is in the cache; nothing is downloaded.

    Parameters
    ----------
    name : str or path-like
        Name of a dataset (`available`), or path of a manifest.
    cache : path-like, optional
        Folder of all datasets; `cache_folder()` by default.

    Raises
    ------
    DatasetError
        If there is no such dataset, or its manifest is not valid.
    """
    manifest = find(name)
    return Dataset(manifest, (cache_folder() if cache is None else Path(cache)) / manifest.name)
