"""A student's picker in a small table of results."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from cryokit.micrograph import Micrograph

NAME = "mine"
SNR = 0.4  # a blur finds half of the particles then, an average of particles nearly all


def in_table(pick: Callable[[Micrograph], pd.DataFrame], folder: str | os.PathLike, seed: int) -> pd.DataFrame | None:
    """Enter a picker in a comparison with the method `template`, as lesson 06 does with picks of one's own.

    Parameters
    ----------
    pick : callable
        Function that returns a table of picks with scores for a micrograph.
    folder : path-like
        Folder of the run; what is finished there is kept.
    seed : int
        Random seed of the micrographs: two for the threshold, three for the test.

    Returns
    -------
    pandas.DataFrame or None
        Method, precision, recall and F1 on the test micrographs, best first. None if the picker is not written yet, or
        while nbgrader marks, which needs no table.

    Raises
    ------
    CryokitError
        If the comparison cannot be run.
    """
    from cryokit import coordinates, micrograph
    from cryokit.benchmark import configuration, summary
    from cryokit.benchmark.prepared_sets import prepare
    from cryokit.benchmark.run import run

    if os.environ.get("NBGRADER_EXECUTION"):
        return None
    folder = Path(folder)
    drawn = {"protein": "apoferritin", "train": 1, "validation": 2, "test": 3, "seed": seed, "shape": [512, 512]}
    drawn |= {"pixel_size": 3.2, "n_particles": 40, "snr": SNR, "carbon": False}
    asked = {"name": "exercise", "methods": ["template"], "datasets": [{"name": "apoferritin", "simulate": drawn}]}
    comparison = configuration.parse(asked | {"title": "Exercise 06", "timeout": 10})
    logger = logging.getLogger("cryokit.benchmark")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        prepared = prepare(comparison.datasets[0], folder)
        files = {path.stem: path for paths in prepared.paths.values() for path in paths}
        try:
            picks = [pick(micrograph.read(path)) for path in files.values()]
        except NotImplementedError:
            return None
        coordinates.write_folder(coordinates.concatenate(picks), folder / NAME, "csv", micrographs=list(files))
        scores = summary.scores(run(comparison, folder, picks={NAME: folder / NAME}), prepared.spec.name)
    finally:
        logger.setLevel(before)
    return scores[["method", "precision", "recall", "f1"]].round(3)
