"""Which labelled micrographs are at hand, in the cache or in a folder, and what fetching others would bring."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from cryokit.datasets.dataset import load
from cryokit.errors import DatasetError

LABELS = ("label-coordinates", "label-discs")


def overview(names: Iterable[str]) -> pd.DataFrame:
    """Return what ``cryokit data fetch`` would bring, and what it has brought.

    Parameters
    ----------
    names : iterable of str
        Names of datasets (`cryokit.datasets.available`).

    Returns
    -------
    pandas.DataFrame
        A row for each dataset: the command, the number of micrographs, of labelled ones and of those in the cache, and
        the size of the download in megabytes, as text (the sizes of some files are not known before they are fetched).

    Raises
    ------
    DatasetError
        If there is no such dataset.
    """
    rows = []
    for name in names:
        dataset = load(name)
        micrographs = dataset.manifest.select("micrograph")
        sizes = [file.bytes for file in dataset.manifest.files if not file.optional]
        known = round(sum(size or 0 for size in sizes) / 1e6)
        rows.append(
            {
                "command": f"cryokit data fetch {name}",
                "micrographs": len(micrographs),
                "labelled": len({file.micrograph for file in dataset.manifest.select(LABELS)}),
                "MB": f"more than {known}" if None in sizes else f"{known}",
                "in the cache": sum((dataset.folder / file.path).is_file() for file in micrographs),
            }
        )
    return pd.DataFrame(rows).set_index("command")


def labelled_pairs(name: str, folder: str | os.PathLike | None = None) -> list[tuple[Path, pd.DataFrame]]:
    """Return micrographs of a dataset that are at hand, each with its labels.

    Parameters
    ----------
    name : str
        Name of a dataset.
    folder : path-like, optional
        Folder with ``NAME/micrographs`` and ``NAME/labels``, where the label files are called like the micrographs. By
        default the cache that ``cryokit data fetch`` fills.

    Returns
    -------
    list of (pathlib.Path, pandas.DataFrame)
        Paths and tables of labels, without micrographs that have no labels: of the cache those of the test split, of a
        folder with more than three micrographs every second one, because the settings of the pickers were chosen on the
        others. Empty if there are none.

    Raises
    ------
    DatasetError
        If there is no such dataset, or no such folder.
    CoordinateError
        If labels cannot be read.
    """
    if folder is None:
        dataset = load(name)
        if not dataset.any_here:
            return []
        for split in ("test", None):
            try:
                pairs = dataset.pairs(split, partial=True)
            except DatasetError:  # none of this split
                continue
            found = [(path, dataset.read_labels(path, label)) for path, label in pairs if label is not None]
            if found:
                return found
        return []
    return _pairs_of_folder(Path(folder), name)


def _pairs_of_folder(folder: Path, name: str) -> list[tuple[Path, pd.DataFrame]]:
    from cryokit import coordinates
    from cryokit._util.names import coordinate_file_micrograph, micrograph_name
    from cryokit.micrograph import find

    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of datasets")
    if not (folder / name / "micrographs").is_dir():
        return []
    files = find(folder / name / "micrographs")
    if len(files) > 3:
        files = files[1::2]
    labels = {coordinate_file_micrograph(path): path for path in sorted((folder / name / "labels").glob("*"))}
    names = [micrograph_name(file) for file in files]
    return [
        (file, coordinates.read(labels[called], micrograph=called))
        for file, called in zip(files, names, strict=True)
        if called in labels
    ]
