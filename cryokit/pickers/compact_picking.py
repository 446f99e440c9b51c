"""Picking with the compact network: from a prepared micrograph to peaks, and its training from labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit.coordinates.table import table
from cryokit.imaging.peaks import find_peaks, inside
from cryokit.imaging.prepared import Prepared
from cryokit.networks import NetworkConfig
from cryokit.networks.scoring import ScoreMap, dense

if TYPE_CHECKING:
    import keras

APART = 0.45  # diameters between two picks at least
SMOOTH = 0.7  # positions of the map: takes the grain off a peak, not its neighbour's
FAINTEST = 0.02  # candidates with less are not worth keeping
BATCH, CROPS = 16, 800
# On top of a network that knows particles; from random weights it takes a larger rate and more steps.
FINE_RATE, FULL_RATE = 5e-4, 2e-3
TILE = 512  # pixels: larger ones take memory and are no faster


def score_map(network: keras.Model, config: NetworkConfig, prepared: Prepared) -> ScoreMap:
    """Return the scores of every position on a prepared micrograph.

    Beyond the border there is nothing (zeros), as in training.
    """
    border = config.window // 2
    found = dense(np.pad(prepared.image, border), network, tile=TILE, pad=False, classes=config.classes)
    return dataclasses.replace(found, x0=found.x0 - border, y0=found.y0 - border)


def candidates(
    scores: ScoreMap, prepared: Prepared, name: str, diameter: float, *, least: float = FAINTEST, margin: float = 0.0
) -> pd.DataFrame:
    """Return the peaks of a score map as a table of picks in pixels of the micrograph as stored, best first.

    Parameters
    ----------
    scores : ScoreMap
        Of `prepared`.
    prepared : Prepared
    name : str
        Of the micrograph.
    diameter : float
        Of the particle, in pixels of the micrograph as stored.
    least : float
        Lowest score.
    margin : float
        In diameters: picks so near to the border of the recorded area are left out.
    """
    smooth = ndimage.gaussian_filter(scores.particle, SMOOTH, mode="nearest")
    column, row, score = find_peaks(smooth, APART * prepared.diameter / scores.step, least)
    x, y = scores.to_image(row, column)
    # The map's last position may lie a fraction of a step outside.
    kept = inside(x, y, prepared.image.shape, margin * prepared.diameter)
    x, y = prepared.to_micrograph(x[kept], y[kept])
    view = _views(scores, row[kept], column[kept])
    picks = table(name, x, y, np.clip(score[kept], 0, 1), diameter, view)
    return picks.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _views(scores: ScoreMap, row: NDArray, column: NDArray) -> list[str] | str:
    from cryokit.networks import particle_classes

    indices = particle_classes(scores.classes)
    if len(indices) == 1:
        return "" if scores.classes[indices[0]] == "particle" else scores.classes[indices[0]]
    at = scores.scores[np.rint(row).astype(int), np.rint(column).astype(int)][:, indices]
    return [scores.classes[indices[k]] for k in at.argmax(axis=1)]


def teach(
    network: keras.Model,
    config: NetworkConfig,
    prepared: Sequence[Prepared],
    labels: Sequence[pd.DataFrame],
    *,
    steps: int,
    rate: float,
    seed: int,
    progress: bool = True,
) -> pd.DataFrame:
    """Train the network on crops of prepared micrographs; return the history, a row for each epoch."""
    from cryokit.networks.training import TrainingSettings, train
    from cryokit.networks.training.crops import crops

    number = min(CROPS, steps * BATCH)
    epochs = max(1, round(steps * BATCH / number))
    samples = crops(prepared, labels, config, number, seed=seed)
    settings = TrainingSettings(
        learning_rate=rate, batch_size=BATCH, epochs=epochs, patience=None, class_weights=False, augmentation=True
    )
    return train(network, samples, None, settings, seed=seed, progress=progress).table
