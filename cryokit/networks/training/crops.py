"""Samples for fully convolutional networks: crops of prepared micrographs with a class at every position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import IGNORE
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.preparation import WORKING_DIAMETER
from cryokit.networks.architectures.network_config import NetworkConfig, particle_classes
from cryokit.networks.training.samples import Samples

# Distances from a particle's centre, in diameters.
CENTRE = 0.18  # so near a position shows the particle
AROUND = 0.35  # from here on it does not; between the two nothing is asked
IGNORED = 0.4  # around labels to be ignored nothing is asked, either
POSITIONS = 24  # along a side of a crop's map
ON_PARTICLES = 0.5  # share of the crops that are put on a particle; the others lie anywhere
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
    background; between, and near labels of the view ``ignore``, the weight is 0. Beyond the micrograph's border there
    is nothing (zeros), as in picking, so that particles at the border are learned as they will be met.

    Parameters
    ----------
    pictures : sequence of Picture
        Prepared micrographs, all at the same scale.
    labels : sequence of pandas.DataFrame
        For each of them its labels (`cryokit.coordinates.table`), in pixels of the micrograph as stored. A view that
        is a class of the network is taken for it; other views but ``ignore`` are its first particle class.
    config : NetworkConfig
        Of a fully convolutional network.
    number : int
        Of crops.
    seed : int
    positions : int
        Along a side of a crop's map.
    diameter : float
        Particle diameter in pixels of the pictures.
    areas : sequence of float, optional
        Relative areas of the pictures; their sizes by default. Given these, a picture is only asked for if crops are cut
        from it, and only one is held at a time.

    Returns
    -------
    Samples
        x of shape (number, side, side, 1) with side = window + stride (positions - 1), y and weights of shape
        (number, positions, positions).
    """
    background = next((config.classes.index(name) for name in _BACKGROUND if name in config.classes), None)
    if background is None or not particle_classes(config.classes):
        raise PickerError(f"classes {', '.join(config.classes)}: maps need background and at least one particle")
    rng = np.random.default_rng(seed)
    side = config.window + config.stride * (positions - 1)
    # Room for crops whose middle is anywhere on the micrograph.
    border = side // 2 + 1
    x = np.empty((number, side, side, 1), np.float32)
    y = np.full((number, positions, positions), background, np.int32)
    weights = np.ones((number, positions, positions), np.float32)
    # Large micrographs show more, and are drawn more often.
    area = np.array([picture.data.size for picture in pictures] if areas is None else areas, float)
    drawn = np.sort(rng.choice(len(labels), size=number, p=area / area.sum()))
    offsets = (config.window - 1) / 2 + config.stride * np.arange(positions)
    for k, which in enumerate(drawn):
        if not k or which != drawn[k - 1]:
            picture = pictures[which]
            target = _Targets.of(picture.frame, labels[which], config, diameter)
            padded = np.pad(picture.data, border)
            rows, columns = picture.data.shape
        if len(target.x) and rng.random() < ON_PARTICLES:
            nearest = rng.integers(len(target.x))
            middle = np.array([target.y[nearest], target.x[nearest]])
            middle += rng.uniform(-0.5, 0.5, 2) * config.stride * positions
        else:
            middle = rng.uniform(0, (rows, columns))
        start = np.clip(
            np.round(middle - side / 2).astype(int), -border, (rows + border - side, columns + border - side)
        )
        inside = tuple(slice(s + border, s + border + side) for s in start)
        x[k, :, :, 0] = padded[inside]
        target.draw(y[k], weights[k], start[1] + offsets, start[0] + offsets)
        # Outside nothing can be labelled, nor picked.
        weights[k] *= _within(start[0] + offsets, rows)[:, None] & _within(start[1] + offsets, columns)[None, :]
    return Samples(x, y, weights)


def _within(line: NDArray, size: int) -> NDArray[np.bool_]:
    return (line >= -0.5) & (line <= size - 0.5)


class _Targets:
    """Labels of one micrograph in pixels of its prepared picture."""

    def __init__(self, x: NDArray, y: NDArray, classes: NDArray, ignored: NDArray, diameter: float) -> None:
        self.x, self.y, self.classes = x, y, classes
        self.ignored, self.diameter = ignored, diameter

    @classmethod
    def of(cls, frame: Frame, labels: pd.DataFrame, config: NetworkConfig, diameter: float) -> _Targets:
        view = labels["view"].astype(str).to_numpy()
        x, y = frame.from_source(labels["x"], labels["y"])
        first = particle_classes(config.classes)[0]
        numbers = np.array([config.classes.index(v) if v in config.classes else first for v in view], np.int32)
        kept = view != IGNORE
        ignored = np.column_stack([x[~kept], y[~kept]])
        return cls(x[kept], y[kept], numbers[kept], ignored, diameter)

    def draw(self, classes: NDArray, weights: NDArray, columns: NDArray, rows: NDArray) -> None:
        """Fill in classes and weights of the positions at `columns` and `rows`."""
        reach = AROUND * self.diameter
        near = (
            (self.x > columns[0] - reach)
            & (self.x < columns[-1] + reach)
            & (self.y > rows[0] - reach)
            & (self.y < rows[-1] + reach)
        )
        distance = np.full(classes.shape, np.inf)
        if near.any():
            each = np.hypot(columns[None, :, None] - self.x[near], rows[:, None, None] - self.y[near])
            nearest = each.argmin(axis=-1)
            distance = each.min(axis=-1)
            centre = distance < CENTRE * self.diameter
            classes[centre] = self.classes[near][nearest][centre]
            weights[(distance < reach) & ~centre] = 0
        if len(self.ignored):
            gap = np.hypot(columns[None, :, None] - self.ignored[:, 0], rows[:, None, None] - self.ignored[:, 1])
            weights[(gap.min(axis=-1) < IGNORED * self.diameter) & (distance >= CENTRE * self.diameter)] = 0
