"""Samples for fully convolutional networks: crops of prepared micrographs with a class at every position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import IGNORE
from cryokit.errors import ArgumentError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.preparation import WORKING_DIAMETER
from cryokit.networks.architectures.network_config import NetworkConfig, particle_classes
from cryokit.networks.training.samples import Samples

# Distances from a particle's centre, in diameters.
CENTRE = 0.18  # up to here a position shows the particle
AROUND = 0.35  # from here on it shows background; positions between the two have no weight
IGNORED = 0.4  # up to here around labels to be ignored, positions have no weight
POSITIONS = 24  # along a side of a crop's map
ON_PARTICLES = 0.5  # share of the crops that are placed on a particle; the others lie anywhere
_BACKGROUND = ("background", "negative")


def crops(
    pictures: Sequence[Picture],
    labels: Sequence[pd.DataFrame],
    config: NetworkConfig,
    number: int,
    *,
    seed: int = 0,
    positions: int = POSITIONS,
    diameter: float = WORKING_DIAMETER,
    areas: Sequence[float] | None = None,
) -> Samples:
    """Cut crops at random places, with the class of each of their positions.

    A position within `CENTRE` diameters of a particle's centre has the particle's class, one beyond `AROUND` is
    background; between the two, and near labels of the view ``ignore``, the weight is 0. Beyond the micrograph's border
    the crops are zero, as in picking, so that particles at the border are learned as they will be met.

    Parameters
    ----------
    pictures : sequence of Picture
        Prepared micrographs, all at the same scale.
    labels : sequence of pandas.DataFrame
        Labels of each micrograph (`cryokit.coordinates.table`), in pixels of the micrograph as stored. A view that is a
        class of the network has that class; other views but ``ignore`` have its first particle class.
    config : NetworkConfig
        Settings of a fully convolutional network.
    number : int
        Number of crops.
    seed : int
        Random seed.
    positions : int
        Positions along a side of a crop's map.
    diameter : float
        Particle diameter in pixels of the pictures.
    areas : sequence of float, optional
        Relative areas of the pictures; by default their sizes. If they are given, a picture is only asked for if crops
        are cut from it, and only one is held at a time.

    Returns
    -------
    Samples
        x of shape (number, side, side, 1) with side = window + stride (positions - 1), y and weights of shape
        (number, positions, positions).

    Raises
    ------
    ArgumentError
        If the network's classes lack background or particles.
    """
    background = next((config.classes.index(name) for name in _BACKGROUND if name in config.classes), None)
    if background is None or not particle_classes(config.classes):
        raise ArgumentError(f"classes must have background and at least one particle, not {config.classes}")
    rng = np.random.default_rng(seed)
    side = config.window + config.stride * (positions - 1)
    # Room for crops whose centre is anywhere on the micrograph.
    border = side // 2 + 1
    x = np.empty((number, side, side, 1), np.float32)
    y = np.full((number, positions, positions), background, np.int32)
    weights = np.ones((number, positions, positions), np.float32)
    # Large micrographs show more, so they are drawn more often.
    area = np.array([picture.data.size for picture in pictures] if areas is None else areas, float)
    drawn = np.sort(rng.choice(len(labels), size=number, p=area / area.sum()))
    offsets = (config.window - 1) / 2 + config.stride * np.arange(positions)
    for crop, index in enumerate(drawn):
        if crop == 0 or index != drawn[crop - 1]:
            picture = pictures[index]
            targets = _Targets(picture.frame, labels[index], config, diameter)
            padded = np.pad(picture.data, border)
            shape = np.array(picture.data.shape)
        if len(targets.x) and rng.random() < ON_PARTICLES:
            particle = rng.integers(len(targets.x))
            centre = np.array([targets.y[particle], targets.x[particle]])
            centre += rng.uniform(-0.5, 0.5, 2) * config.stride * positions
        else:
            centre = rng.uniform(0, shape)
        top, left = np.clip(np.round(centre - side / 2).astype(int), -border, shape + border - side)
        x[crop, :, :, 0] = padded[top + border : top + border + side, left + border : left + border + side]
        targets.draw(y[crop], weights[crop], left + offsets, top + offsets)
        # Outside nothing can be labelled, nor picked.
        weights[crop] *= _within(top + offsets, shape[0])[:, None] & _within(left + offsets, shape[1])
    return Samples(x, y, weights)


def _within(line: NDArray, size: int) -> NDArray[np.bool_]:
    return (line >= -0.5) & (line <= size - 0.5)


class _Targets:
    """Labels of one micrograph in pixels of its prepared picture."""

    def __init__(self, frame: Frame, labels: pd.DataFrame, config: NetworkConfig, diameter: float) -> None:
        views = labels["view"].astype(str).to_numpy()
        x, y = frame.from_source(labels["x"], labels["y"])
        numbers = {name: number for number, name in enumerate(config.classes)}
        first = particle_classes(config.classes)[0]
        kept = views != IGNORE
        self.x, self.y = x[kept], y[kept]
        self.classes = np.array([numbers.get(view, first) for view in views[kept]], np.int32)
        self.ignored_x, self.ignored_y = x[~kept], y[~kept]
        self.diameter = diameter

    def draw(self, classes: NDArray, weights: NDArray, columns: NDArray, rows: NDArray) -> None:
        """Fill in classes and weights of the positions at `columns` and `rows`."""
        reach = AROUND * self.diameter
        near = (self.x > columns[0] - reach) & (self.x < columns[-1] + reach)
        near &= (self.y > rows[0] - reach) & (self.y < rows[-1] + reach)
        distance = np.full(classes.shape, np.inf)
        if near.any():
            distances = np.hypot(columns[:, None] - self.x[near], rows[:, None, None] - self.y[near])
            distance = distances.min(axis=-1)
            centre = distance < CENTRE * self.diameter
            classes[centre] = self.classes[near][distances.argmin(axis=-1)][centre]
            weights[(distance < reach) & ~centre] = 0
        if len(self.ignored_x):
            distances = np.hypot(columns[:, None] - self.ignored_x, rows[:, None, None] - self.ignored_y)
            ignored = distances.min(axis=-1) < IGNORED * self.diameter
            weights[ignored & (distance >= CENTRE * self.diameter)] = 0
