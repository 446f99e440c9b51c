"""Samples for fully convolutional networks: crops of prepared micrographs with a class at every position."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.validation import check_number
from cryokit.coordinates import IGNORE
from cryokit.errors import ArgumentError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import inside
from cryokit.imaging.preparation import WORKING_DIAMETER
from cryokit.networks.architectures.network_config import NetworkConfig, particle_classes
from cryokit.networks.scoring.windows import lattice
from cryokit.networks.training.samples import Samples

# Distances from the centre of a particle, in diameters.
CENTRE = 0.18  # positions up to here show the particle
AROUND = 0.35  # positions from here on do not; between the two they have no weight
IGNORED = 0.4  # positions up to here from a label to be ignored have no weight, either
POSITIONS = 24  # positions along a side of a crop's map
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
        Labels of each micrograph (`cryokit.coordinates.table`), in pixels of the micrograph as stored. A view that is
        a class of the network stands for it; other views but ``ignore`` are its first particle class.
    config : NetworkConfig
        Settings of a fully convolutional network.
    number : int
        Number of crops.
    seed : int
        Random seed.
    positions : int
        Number of positions along a side of a crop's map.
    diameter : float
        Particle diameter in pixels of the pictures.
    areas : sequence of float, optional
        Relative areas of the pictures; their sizes by default. Given these, only the pictures that crops are cut from
        are asked for, one at a time.

    Returns
    -------
    Samples
        x of shape (number, side, side, 1) with side = window + stride (positions - 1), y and weights of shape
        (number, positions, positions).

    Raises
    ------
    ArgumentError
        If the network has no class for background or none for particles, or a number is not positive.
    """
    background = next((config.classes.index(name) for name in _BACKGROUND if name in config.classes), None)
    if background is None or not particle_classes(config.classes):
        raise ArgumentError(
            f"classes must include background and a particle for score maps, not be {', '.join(config.classes)}"
        )
    check_number("number", number, 1, whole=True)
    check_number("positions", positions, 1, whole=True)
    rng = np.random.default_rng(seed)
    side = config.window + config.stride * (positions - 1)
    grid = lattice((side, side), config.window, config.stride, pad=False)
    border = side // 2 + 1  # room for crops whose middle is anywhere on the micrograph
    x = np.empty((number, side, side, 1), np.float32)
    y = np.full((number, positions, positions), background, np.int32)
    weights = np.ones((number, positions, positions), np.float32)
    offsets = np.zeros((*y.shape, 2), np.float32) if getattr(config, "locates", False) else None
    # Large micrographs show more, and are drawn more often.
    area = np.array([picture.data.size for picture in pictures] if areas is None else areas, float)
    drawn = np.sort(rng.choice(len(labels), size=number, p=area / area.sum()))
    for crop, index in enumerate(drawn):
        if not crop or index != drawn[crop - 1]:
            picture = pictures[index]
            particles = _Particles(picture.frame, labels[index], config, diameter)
            padded = np.pad(picture.data, border)
            shape = picture.data.shape
        if len(particles.x) and rng.random() < ON_PARTICLES:
            particle = rng.integers(len(particles.x))
            middle = np.array([particles.y[particle], particles.x[particle]])
            middle += rng.uniform(-0.5, 0.5, 2) * config.stride * positions
        else:
            middle = rng.uniform(0, shape)
        start = np.round(middle - side / 2).astype(int)
        row, column = np.clip(start, -border, np.array(shape) + border - side).tolist()
        x[crop, :, :, 0] = padded[row + border : row + border + side, column + border : column + border + side]
        frame = Frame.whole(shape).crop(slice(row, row + side), slice(column, column + side)).then(grid)
        columns, rows = frame.to_source(np.arange(positions), np.arange(positions))
        particles.mark(y[crop], weights[crop], columns, rows, None if offsets is None else offsets[crop])
        # Outside nothing can be labelled, nor picked.
        weights[crop] *= inside(columns[None, :], rows[:, None], shape, 0)
    return Samples(x, y, weights, offsets)


class _Particles:
    """Labels of one micrograph, in pixels of its prepared picture."""

    def __init__(self, frame: Frame, labels: pd.DataFrame, config: NetworkConfig, diameter: float) -> None:
        x, y = frame.from_source(labels["x"], labels["y"])
        views = labels["view"].astype(str).to_numpy()
        kept = views != IGNORE
        first = particle_classes(config.classes)[0]
        self.x, self.y, self.diameter = x[kept], y[kept], diameter
        self.classes = np.array(
            [config.classes.index(view) if view in config.classes else first for view in views[kept]], np.int32
        )
        self.ignored_x, self.ignored_y = x[~kept], y[~kept]

    def mark(
        self, classes: NDArray, weights: NDArray, columns: NDArray, rows: NDArray, offsets: NDArray | None
    ) -> None:
        """Write the classes, weights and, if asked for, offsets of the positions at `columns` and `rows`."""
        reach = AROUND * self.diameter
        near = (
            (self.x > columns[0] - reach)
            & (self.x < columns[-1] + reach)
            & (self.y > rows[0] - reach)
            & (self.y < rows[-1] + reach)
        )
        distance = np.full(classes.shape, np.inf)
        if near.any():
            distances = np.hypot(columns[None, :, None] - self.x[near], rows[:, None, None] - self.y[near])
            distance = distances.min(axis=-1)
            centre = distance < CENTRE * self.diameter
            nearest = distances.argmin(axis=-1)
            classes[centre] = self.classes[near][nearest][centre]
            if offsets is not None:
                offsets[centre, 0] = ((self.x[near][nearest] - columns) / self.diameter)[centre]
                offsets[centre, 1] = ((self.y[near][nearest] - rows[:, None]) / self.diameter)[centre]
            weights[(distance < reach) & ~centre] = 0
        if len(self.ignored_x):
            distances = np.hypot(columns[None, :, None] - self.ignored_x, rows[:, None, None] - self.ignored_y)
            ignored = distances.min(axis=-1) < IGNORED * self.diameter
            weights[ignored & (distance >= CENTRE * self.diameter)] = 0
