"""Picking with the compact network: from a prepared micrograph to picks, and training from labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit.coordinates import table
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import find_peaks, inside
from cryokit.networks import NetworkConfig
from cryokit.networks.scoring import ScoreMap, centred, dense, turn_bias

if TYPE_CHECKING:
    import keras

APART = 0.45  # smallest distance of two picks, in diameters
SMOOTH = 0.7  # positions of the map: takes the grain off a peak, not its neighbour's
FAINTEST = 0.02  # candidates with lower scores are not worth keeping
BATCH, CROPS = 16, 800
# Learning rates: on top of a network that knows particles, and for more steps.
FINE_RATE, FULL_RATE = 5e-4, 2e-3
TILE = 512  # pixels: larger tiles take memory and are no faster


def score_map(
    network: keras.Model, config: NetworkConfig, picture: Picture, bias: Sequence[float] = (0.0, 0.0)
) -> ScoreMap:
    """Score every position of a prepared micrograph.

    Beyond the border there is nothing (zeros), as in training.

    Parameters
    ----------
    network : keras.Model
        Compact network.
    config : NetworkConfig
        Its settings.
    picture : Picture
        Micrograph prepared by `cryokit.imaging.preparation.whitened`.
    bias : (float, float)
        Displacement of the network's peaks in pixels of the picture, as `centring_bias` measures it.

    Returns
    -------
    ScoreMap
        Scores; their frame leads to the micrograph as stored.
    """
    border = config.window // 2
    rows, columns = picture.data.shape
    padded = picture.frame.crop(slice(-border, rows + border), slice(-border, columns + border))
    scores = dense(np.pad(picture.data, border), network, tile=TILE, pad=False, classes=config.classes)
    return scores.within(centred(padded, bias))


def candidates(
    scores: ScoreMap,
    frame: Frame,
    name: str,
    diameter: float,
    *,
    least: float = FAINTEST,
    margin: float = 0.0,
) -> pd.DataFrame:
    """Return the peaks of a score map as a table of picks, best first.

    Parameters
    ----------
    scores : ScoreMap
        Output of `score_map`.
    frame : Frame
        Frame of the picture that was scored.
    name : str
        Name of the micrograph.
    diameter : float
        Particle diameter in pixels of the micrograph as stored.
    least : float
        Lowest score of a candidate.
    margin : float
        Distance from the border of the recorded area, in diameters, within which candidates are left out.

    Returns
    -------
    pandas.DataFrame
        Table of picks in pixels of the micrograph as stored.
    """
    smooth = ndimage.gaussian_filter(scores.particle, SMOOTH, mode="nearest")
    column, row, score = find_peaks(smooth, APART * diameter / scores.frame.step, least)
    x, y = scores.frame.to_source(column, row)
    # The last position of the map may lie a fraction of a step outside, and so may the outer pixels of the picture.
    kept = inside(*frame.from_source(x, y), frame.shape, margin * diameter / frame.step)
    kept &= inside(x, y, frame.source, 0.0)
    views = scores.views(row[kept], column[kept])
    picks = table(name, x[kept], y[kept], np.clip(score[kept], 0, 1), diameter, views)
    return picks.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def centring_bias(
    network: keras.Model, config: NetworkConfig, pictures: Sequence[Picture], diameter: float, least: float
) -> tuple[float, float]:
    """Return how far the network's peaks lie beside the particles (`cryokit.networks.scoring.turn_bias`).

    Parameters
    ----------
    network, config
        As in `score_map`.
    pictures : sequence of Picture
        Micrographs prepared by `cryokit.imaging.preparation.whitened`.
    diameter : float
        Particle diameter in pixels of the micrograph as stored.
    least : float
        Lowest score of a peak.

    Returns
    -------
    x, y : float
        Displacement in pixels of the pictures.
    """

    def locate(data: NDArray) -> tuple[NDArray, NDArray]:
        frame = Frame.whole(data.shape)
        scores = score_map(network, config, Picture(data, frame))
        picks = candidates(scores, frame, "", working, least=least)
        return picks["x"].to_numpy(), picks["y"].to_numpy()

    working = diameter / pictures[0].frame.step
    return turn_bias(locate, (picture.data for picture in pictures), working)


def teach(
    network: keras.Model,
    config: NetworkConfig,
    pictures: Sequence[Picture],
    labels: Sequence[pd.DataFrame],
    *,
    steps: int,
    rate: float,
    seed: int,
    areas: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Train the compact network on crops of prepared micrographs.

    Parameters
    ----------
    network : keras.Model
        Network to train, in place.
    config : NetworkConfig
        Its settings.
    pictures : sequence of Picture
        Micrographs prepared by `cryokit.imaging.preparation.whitened`.
    labels : sequence of pandas.DataFrame
        Labels of each, in pixels of the micrograph as stored.
    steps : int
        Number of batches.
    rate : float
        Learning rate.
    seed : int
        Random seed.
    areas : sequence of float, optional
        Relative areas of the pictures, if `pictures` makes them when they are asked for.

    Returns
    -------
    pandas.DataFrame
        Training history, one row per epoch.
    """
    from cryokit.networks.training import TrainingSettings, train
    from cryokit.networks.training.crops import crops

    number = min(CROPS, steps * BATCH)
    epochs = max(1, round(steps * BATCH / number))
    samples = crops(pictures, labels, config, number, seed=seed, areas=areas)
    settings = TrainingSettings(
        learning_rate=rate, batch_size=BATCH, epochs=epochs, patience=None, class_weights=False, augmentation=True
    )
    return train(network, samples, None, settings, seed=seed).table
