"""Somebody who picks micrographs by hand: some particles are overlooked, clicks are off-centre, some are on nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cryokit import coordinates
from cryokit._util.validation import check_number
from cryokit.coordinates import IGNORE
from cryokit.micrograph import Micrograph


class Clicks(NamedTuple):
    """Clicks of an annotator, and how many of them were meant to be on a particle and on nothing."""

    picks: pd.DataFrame
    true: int
    false: int


def clicks(
    micrographs: Iterable[Micrograph],
    truth: pd.DataFrame,
    diameter: float,
    *,
    seen: float = 0.85,
    scatter: float = 0.05,
    mistakes: float = 3.0,
    seed: int = 0,
) -> Clicks:
    """Return picks as a person might make them.

    Parameters
    ----------
    micrographs : iterable of Micrograph
        Micrographs to click on.
    truth : pandas.DataFrame
        Table of all particles on them.
    diameter : float
        Particle diameter in pixels.
    seen : float
        Share of the whole particles that get a click.
    scatter : float
        Standard deviation of a click around the centre along each axis, in diameters.
    mistakes : float
        Mean number of clicks on nothing on a micrograph, at least a diameter away from everything that is labelled.
    seed : int
        Random seed.

    Returns
    -------
    Clicks
        Picks without scores.
    """
    check_number("seen", seen, 0, 1)
    rng = np.random.default_rng(seed)
    tables, true, false = [], 0, 0
    for micrograph in micrographs:
        there = truth[truth["micrograph"] == micrograph.name]
        whole = there[there["view"] != IGNORE]
        chosen = whole[rng.random(len(whole)) < seen]
        hits = chosen[["x", "y"]].to_numpy() + rng.normal(0, scatter * diameter, (len(chosen), 2))
        anywhere = rng.uniform(0, micrograph.data.shape[::-1], (200, 2))
        away = cKDTree(there[["x", "y"]]).query(anywhere)[0] if len(there) else np.full(len(anywhere), np.inf)
        wrong = anywhere[away > diameter][: rng.poisson(mistakes)]
        places = np.vstack([hits, wrong]).clip(0, np.array(micrograph.data.shape[::-1]) - 1)
        tables.append(coordinates.table(micrograph.name, places[:, 0], places[:, 1], diameter=diameter))
        true, false = true + len(hits), false + len(wrong)
    return Clicks(coordinates.concatenate(tables), true, false)
