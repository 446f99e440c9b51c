"""Datasets: what they are, getting their files, and their micrographs and labels by split.

A dataset is described by a manifest (`cryokit.datasets.manifest`): one YAML file with the address, size and hash of
every file. Nothing is used before its hash was found right.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit._util.names import coordinate_file_micrograph, micrograph_name
from cryokit._util.wording import plural
from cryokit.coordinates import SUFFIXES
from cryokit.datasets.manifest import (
    MANIFESTS_VARIABLE,
    SPLITS,
    DataFile,
    Manifest,
    available,
    find,
)
from cryokit.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CACHE_VARIABLE",
    "MANIFESTS_VARIABLE",
    "SPLITS",
    "DataFile",
    "Dataset",
    "Manifest",
    "available",
    "cache_folder",
    "fetch",
    "find",
    "load",
]

CACHE_VARIABLE = "CRYOKIT_DATA"


def cache_folder() -> Path:
    """Return the folder that holds all datasets: ``CRYOKIT_DATA`` where set, else the system's place for caches."""
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
    folder : pathlib.Path
        Where its files are; some or all may be missing.
    """

    manifest: Manifest
    folder: Path

    @property
    def any_here(self) -> bool:
        """Whether any of its files is there."""
        return any((self.folder / file.path).is_file() for file in self.manifest.files)

    def micrographs(self, split: str | None = None, *, partial: bool = False) -> list[Path]:
        """Return the micrographs' paths, of one split or of all, sorted as in the manifest.

        Parameters
        ----------
        split : {"train", "validation", "test"}, optional
        partial : bool
            Return those that are there, rather than fail when some are missing.

        Raises
        ------
        DatasetError
            When micrographs are missing from the cache, or there are none at all.
        """
        files = self.manifest.select("micrograph", split)
        there = [self.folder / file.path for file in files if (self.folder / file.path).is_file()]
        lacking = len(files) - len(there)
        if lacking and not (partial and there):
            verb = "is" if lacking == 1 else "are"
            raise DatasetError(
                f"{self.manifest.name}: {lacking} of {plural(len(files), 'micrograph')} {verb} not in {self.folder}; "
                f"get them with 'cryokit data fetch {self.manifest.name}'"
            )
        return there

    def pairs(
        self,
        split: str | None = None,
        *,
        labels_from: str | os.PathLike | None = None,
        partial: bool = False,
    ) -> list[tuple[Path, Path | None]]:
        """Return each micrograph with its label file, None where it has none.

        Parameters
        ----------
        split : {"train", "validation", "test"}, optional
        labels_from : path-like, optional
            A folder of label files of your own, one per micrograph and called like it; the dataset's own labels when
            not given. Where the dataset has both, published coordinates go before a label picture.
        partial : bool
            As in `micrographs`.

        Raises
        ------
        DatasetError
            When micrographs are missing, or `labels_from` has no label file, or two for one micrograph.
        """
        known = {name: path for name, (path, _) in self._label_files(labels_from).items()}
        micrographs = self.micrographs(split, partial=partial)
        return [(path, known.get(micrograph_name(path))) for path in micrographs]

    def labels(
        self,
        split: str | None = None,
        *,
        labels_from: str | os.PathLike | None = None,
        partial: bool = False,
    ) -> pd.DataFrame:
        """Read the labels of the micrographs that `pairs` returns into one table of picks.

        Label pictures are turned into centres in pixels of the micrograph (`cryokit.coordinates.label_pictures`). The
        diameter is the particle's as in the manifest where a label file has none, and where it is only that of the
        paint; the view is the manifest's where that has one view only and the label none. Micrographs without a label
        file contribute nothing; `pairs` tells which they are.

        Parameters
        ----------
        split, labels_from, partial
            As in `pairs`.

        Raises
        ------
        DatasetError
            As in `pairs`.
        CoordinateError
            When a label file cannot be read.
        """
        from cryokit import coordinates
        from cryokit.coordinates import concatenate

        known = self._label_files(labels_from)
        tables = []
        for path in self.micrographs(split, partial=partial):
            name = micrograph_name(path)
            if name not in known:
                continue
            label, file = known[name]
            if file is not None and file.role == "label-discs":
                # Smaller pictures are averages of blocks of pixels: the published one correlates 0.94 with the
                # micrograph's block average, 0.52 with every second pixel.
                picks = coordinates.read(label, format="pictures", micrograph=name, scale=file.scale, blocks=True)
                picks["diameter"] = self.manifest.diameter_pixels or picks["diameter"]
            else:
                picks = coordinates.read(label, micrograph=name)
                if self.manifest.diameter_pixels is not None:
                    picks["diameter"] = picks["diameter"].fillna(self.manifest.diameter_pixels)
            if len(self.manifest.views) == 1:
                picks["view"] = picks["view"].where(picks["view"] != "", self.manifest.views[0])
            tables.append(picks)
        return concatenate(tables)

    def _label_files(self, labels_from: str | os.PathLike | None) -> dict[str, tuple[Path, DataFile | None]]:
        """Return micrograph's name -> (label file, its manifest entry if it is the dataset's own)."""
        if labels_from is not None:
            return {name: (path, None) for name, path in _own_labels(Path(labels_from)).items()}
        found: dict[str, tuple[Path, DataFile | None]] = {}
        for role in ("label-coordinates", "label-discs"):
            for file in self.manifest.select(role):
                if (self.folder / file.path).is_file():
                    found.setdefault(file.micrograph, (self.folder / file.path, file))
        return found


def load(name: str | os.PathLike, cache: str | os.PathLike | None = None) -> Dataset:
    """Return a dataset as it is in the cache; nothing is downloaded.

    Parameters
    ----------
    name : str or path-like
        A dataset's name (`available`), or the path of a manifest.
    cache : path-like, optional
        The folder that holds all datasets; `cache_folder()` when not given.

    Raises
    ------
    DatasetError
        When there is no such dataset, or its manifest is not valid.
    """
    manifest = find(name)
    return Dataset(manifest, (cache_folder() if cache is None else Path(cache)) / manifest.name)


def fetch(
    name: str | os.PathLike,
    cache: str | os.PathLike | None = None,
    *,
    source: str | os.PathLike | None = None,
    everything: bool = False,
    link: bool = False,
    timeout: float = 30.0,
    attempts: int = 4,
    pause: float = 1.0,
    progress: bool = True,
) -> Dataset:
    """Bring a dataset's missing files into the cache and return it.

    Parameters
    ----------
    name, cache
        As in `load`.
    source : path-like, optional
        A local folder that stands in for the download (`cryokit.datasets.fetching.adopt`).
    everything, link, timeout, attempts, pause, progress
        As in `cryokit.datasets.fetching.download` and `adopt`.

    Raises
    ------
    DatasetError
        When files could not be had; those that could are kept, and the message counts the others and lists the first.
    """
    from cryokit.datasets import fetching

    dataset = load(name, cache)
    if source is None:
        fetching.download(
            dataset.manifest,
            dataset.folder,
            everything=everything,
            timeout=timeout,
            attempts=attempts,
            pause=pause,
            progress=progress,
        )
    else:
        fetching.adopt(dataset.manifest, source, dataset.folder, everything=everything, link=link, progress=progress)
    return dataset


def _own_labels(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of label files")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.lower().endswith(SUFFIXES):
            name = coordinate_file_micrograph(path)
            if name in found:
                raise DatasetError(f"{path} and {found[name]} are both labels of {name}; remove one of them")
            found[name] = path
    if not found:
        raise DatasetError(f"{folder} has no label file ({', '.join(SUFFIXES)})")
    return found
