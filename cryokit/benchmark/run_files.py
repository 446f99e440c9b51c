"""What lies beside a result in the folder of its run: micrographs, labels and every method's picks.

======================================================= =======================================================
file                                                    what
======================================================= =======================================================
``data/<dataset>/<micrograph>.mrc``                     simulated micrographs
``data/<dataset>.labels.csv``                           the labels of all micrographs
``picks/<method>/<dataset>/seed<k>/<micrograph>.csv``   picks with their scores, those below the threshold included
======================================================= =======================================================

A result may be looked at where the rest of its run is not; then there is nothing here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from cryokit import coordinates
from cryokit._util.names import micrograph_name
from cryokit.benchmark import summary
from cryokit.benchmark.summary import Result
from cryokit.errors import DatasetError


def labels(run: str | os.PathLike, dataset: str) -> pd.DataFrame | None:
    """Return the labels of a dataset as a table of picks, None when they are not here."""
    path = Path(run) / "data" / f"{dataset}.labels.csv"
    return coordinates.read(path, format="csv") if path.is_file() else None


def micrographs(run: str | os.PathLike, dataset: str, data: Iterable[str | os.PathLike] = ()) -> dict[str, Path]:
    """Find the files of a dataset's micrographs.

    Parameters
    ----------
    run : path-like
        The folder of the run.
    dataset : str
    data : iterable of path-like
        Where the run was told to look for real micrographs: folders with ``<dataset>/micrographs``. Those that
        ``cryokit data fetch`` has brought are looked at last.

    Returns
    -------
    dict of str to pathlib.Path
        By the micrographs' names; empty when there are none.
    """
    from cryokit.datasets import available, load
    from cryokit.micrograph import find

    places = [Path(run) / "data" / dataset, *(Path(folder) / dataset / "micrographs" for folder in data)]
    found: list[Path] = next((find(place) for place in places if place.is_dir()), [])
    if not found and dataset in available():
        try:
            found = load(dataset).micrographs(partial=True)
        except DatasetError:  # none has been fetched
            found = []
    return {micrograph_name(path): Path(path) for path in found}


def picks(
    run: str | os.PathLike, result: Result, dataset: str, micrograph: str, *, seed: int | None = None
) -> dict[str, pd.DataFrame]:
    """Return every method's picks on a micrograph, those that its threshold keeps.

    Parameters
    ----------
    run : path-like
    result : mapping
    dataset, micrograph : str
    seed : int, optional
        By default the least one that came to its end.

    Returns
    -------
    dict of str to pandas.DataFrame
        Method to table of picks, the methods with the highest F1 on the dataset first. Methods whose picks are not here
        are left out.
    """
    found = {}
    for method in summary.scores(result, dataset)["method"]:
        done = [cell for cell in summary.finished(result, dataset, method) if seed in (None, cell["seed"])]
        if not done:
            continue
        cell = min(done, key=lambda cell: cell["seed"])
        path = Path(run) / "picks" / method / dataset / f"seed{cell['seed']}" / f"{micrograph}.csv"
        if not path.is_file():
            continue
        table = coordinates.read(path, format="csv")
        if cell["threshold"] is not None:
            table = table[~(table["score"] < cell["threshold"])]
        found[method] = table
    return found
