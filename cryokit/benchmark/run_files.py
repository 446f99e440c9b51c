"""Layout of a run's folder, and the micrographs, labels and picks that lie beside its result.

======================================================= =======================================================
path                                                    content
======================================================= =======================================================
``result.json``                                         result (`cryokit.benchmark.result_file`)
``lock``                                                which process runs the benchmark
``data/<dataset>/<micrograph>.mrc``                     simulated micrographs
``data/<dataset>/masks/<micrograph>.mrc``               where a simulated micrograph with artefacts is unusable
``data/<dataset>.labels.csv``                           labels of all micrographs of a dataset
``cells/<method>/<dataset>/seed<k>.json``, ``.log``     outcome and log of a cell
``picks/<method>/<dataset>/seed<k>/<micrograph>.csv``   picks with scores, including those below the threshold
======================================================= =======================================================

A result may be read without the rest of its run; `labels`, `micrographs` and `picks` then find nothing.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from cryokit import coordinates
from cryokit._util.names import micrograph_names
from cryokit.benchmark import summary
from cryokit.benchmark.summary import Result
from cryokit.errors import DatasetError

LOCK = "lock"


def labels_file(run: str | os.PathLike, dataset: str) -> Path:
    """Return the file with the labels of a dataset."""
    return Path(run) / "data" / f"{dataset}.labels.csv"


def cell_file(run: str | os.PathLike, method: str, dataset: str, seed: int) -> Path:
    """Return the file with the outcome of a cell."""
    return Path(run) / "cells" / method / dataset / f"seed{seed}.json"


def picks_folder(run: str | os.PathLike, method: str, dataset: str, seed: int) -> Path:
    """Return the folder with the picks of a cell."""
    return Path(run) / "picks" / method / dataset / f"seed{seed}"


def labels(run: str | os.PathLike, dataset: str) -> pd.DataFrame | None:
    """Return the labels of a dataset as a table of picks, None if they are not available."""
    path = labels_file(run, dataset)
    return coordinates.read_folder(path, "csv", located=True)[0] if path.is_file() else None


def micrographs(run: str | os.PathLike, dataset: str, data: Iterable[str | os.PathLike] = ()) -> dict[str, Path]:
    """Find the files of a dataset's micrographs.

    Parameters
    ----------
    run : path-like
        Folder of the run.
    dataset : str
        Name of the dataset.
    data : iterable of path-like
        Folders of real datasets, ``<dataset>/micrographs``, as the run had them. The cache of ``cryokit data fetch``
        comes last.

    Returns
    -------
    dict of str to pathlib.Path
        Files by micrograph name; empty if there are none.
    """
    from cryokit.datasets import available, load
    from cryokit.micrograph import find

    places = [Path(run) / "data" / dataset, *(Path(folder) / dataset / "micrographs" for folder in data)]
    files = next((find(place) for place in places if place.is_dir()), [])
    if not files and dataset in available():
        with contextlib.suppress(DatasetError):  # none has been fetched
            files = load(dataset).micrographs(partial=True)
    return dict(zip(micrograph_names(files), map(Path, files), strict=True))


def picks(run: str | os.PathLike, result: Result, dataset: str, micrograph: str) -> dict[str, pd.DataFrame]:
    """Return the picks of every method on a micrograph, at its threshold, from the smallest seed that finished.

    Parameters
    ----------
    run : path-like
        Folder of the run.
    result : mapping
        Result as loaded.
    dataset, micrograph : str
        Names of the dataset and of the micrograph.

    Returns
    -------
    dict of str to pandas.DataFrame
        Tables of picks by method, best F1 on the dataset first. Methods whose picks are not available are left out.
    """
    tables = {}
    for method in summary.scores(result, dataset)["method"]:
        finished = summary.finished(result, dataset, method)
        if not finished:
            continue
        cell = min(finished, key=lambda cell: cell["seed"])
        path = picks_folder(run, method, dataset, cell["seed"]) / f"{micrograph}.csv"
        if path.is_file():
            table = coordinates.read(path, format="csv")
            if cell["threshold"] is not None:
                table = table[~(table["score"] < cell["threshold"])]
            tables[method] = table
    return tables
