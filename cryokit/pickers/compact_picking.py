"""Picking with the compact network: from a prepared micrograph to picks, and training from labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

from cryokit.coordinates import table
from cryokit.coordinates.suppression import nms_distance
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import find_peaks, inside
from cryokit.imaging.preparation import WORKING_DIAMETER
from cryokit.networks import NetworkConfig
from cryokit.networks.devices import import_keras
from cryokit.networks.scoring import ScoreMap, dense

if TYPE_CHECKING:
    import keras

APART = 0.45  # smallest distance of two picks, in diameters
AROUND = 0.2  # diameters around a peak in which positions tell where the centre is
SMOOTH = 0.7  # positions of the map: takes the grain off a peak, not its neighbour's
ADAPTED = 0.5  # share of the micrographs' own statistics in the normalisation
ADAPT_CROPS, ADAPT_SIDE = 12, 256
FAINTEST = 0.02  # candidates with lower scores are not worth keeping
BATCH, CROPS = 16, 800
# Learning rates: on top of a network that knows particles, and for more steps.
FINE_RATE, FULL_RATE = 5e-4, 2e-3
TILE = 512  # pixels: larger tiles take memory and are no faster


def score_map(network: keras.Model, config: NetworkConfig, picture: Picture) -> ScoreMap:
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

    Returns
    -------
    ScoreMap
        Scores; their frame leads to the micrograph as stored.
    """
    border = config.window // 2
    rows, columns = picture.data.shape
    padded = picture.frame.crop(slice(-border, rows + border), slice(-border, columns + border))
    outputs = (*config.classes, "x", "y") if config.locates else config.classes
    scores = dense(np.pad(picture.data, border), network, tile=TILE, pad=False, classes=outputs)
    if config.locates:
        classes = len(config.classes)
        offsets = scores.scores[..., classes:] * (WORKING_DIAMETER / config.stride)
        scores = ScoreMap(scores.scores[..., :classes], config.classes, scores.frame, offsets)
    return scores.within(padded)


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
    x, y = scores.frame.to_source(*scores.located(column, row, AROUND * diameter / scores.frame.step))
    # A particle on the very edge is not lost because its centre seems to lie beyond it.
    beyond = ~inside(x, y, frame.source, 0.0)
    peak_x, peak_y = scores.frame.to_source(column, row)
    x, y = np.where(beyond, peak_x, x), np.where(beyond, peak_y, y)
    # Two peaks may tell one centre.
    apart = nms_distance(x, y, score, APART * diameter)
    column, row, score, x, y = column[apart], row[apart], score[apart], x[apart], y[apart]
    # The last position of the map may lie a fraction of a step outside, and so may the outer pixels of the picture.
    kept = inside(*frame.from_source(x, y), frame.shape, margin * diameter / frame.step)
    kept &= inside(x, y, frame.source, 0.0)
    views = scores.views(row[kept], column[kept])
    picks = table(name, x[kept], y[kept], np.clip(score[kept], 0, 1), diameter, views)
    return picks.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def adapt(network: keras.Model, pictures: Sequence[Picture], seed: int = 0) -> None:
    """Bring the network's normalisation half way to the micrographs at hand, in place; nothing is trained.

    Batch normalisation relates every channel to what it usually is on the micrographs of the training. Others, denoised
    or taken by another camera, have other means and variances, and scores that are low or high as a whole.

    Parameters
    ----------
    network : keras.Model
        Compact network.
    pictures : sequence of Picture
        Micrographs prepared by `cryokit.imaging.preparation.whitened`.
    seed : int
        Random seed of the places that are looked at.

    Notes
    -----
    Li et al. 2016, "Revisiting batch normalization for practical domain adaptation" (arXiv:1603.04779); the mixture of
    both statistics is that of Schneider et al. 2020, NeurIPS 33:11539.
    """
    keras = import_keras()

    rng = np.random.default_rng(seed)
    shown = np.zeros((ADAPT_CROPS, ADAPT_SIDE, ADAPT_SIDE, 1), np.float32)
    for crop in range(ADAPT_CROPS):
        data = pictures[crop % len(pictures)].data
        row, column = (int(rng.integers(max(1, side - ADAPT_SIDE + 1))) for side in data.shape)
        part = data[row : row + ADAPT_SIDE, column : column + ADAPT_SIDE]
        shown[crop, : part.shape[0], : part.shape[1], 0] = part
    for layer in network.layers:
        # One after the other: each sees what those before it make of the pictures now.
        if isinstance(layer, keras.layers.BatchNormalization):
            seen = keras.Model(network.inputs, layer.input).predict_on_batch(shown)
            *scale, mean, variance = layer.get_weights()
            now = seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))
            usual = (1 - ADAPTED) * mean + ADAPTED * now[0], (1 - ADAPTED) * variance + ADAPTED * now[1]
            layer.set_weights([*scale, *usual])


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
