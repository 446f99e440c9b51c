"""FastParticlePicker: Fast R-CNN on boxes of one size from a sliding grid."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryokit._util.validation import check_number
from cryokit._util.wording import plural
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame
from cryokit.imaging.suppression import nms_iou
from cryokit.networks.architectures.fastparticlepicker_net import FastParticlePickerConfig
from cryokit.networks.devices import import_keras
from cryokit.networks.scoring.running import mirrored, runner
from cryokit.networks.training.batches import turn
from cryokit.networks.training.fitting import teach
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene, particle_map
from cryokit.pickers.places import scattered

if TYPE_CHECKING:
    from cryokit.networks.scoring import ScoreMap

logger = logging.getLogger(__name__)

BOX_DIAMETERS = 1.25  # side of a box
# Diameters from the centre of a particle: boxes nearer than the first show it, beyond the second they do not; between
# the two nothing is asked. Boxes of 1.25 diameters overlap by 0.67 and 0.39 of their union there, on average.
NEAR, FAR = 0.25, 0.45
FAINT = 0.7  # what is ignored: boxes nearer to it are not trained on
POSITIVE = 0.25  # share of the boxes that show particles
AROUND = (FAR, 1.2)  # diameters from particles of half of the other boxes
CROP = 5  # diameters, side of the parts of pictures to train on
PARTS = 1000  # at most, cut from the pictures
CROPS, REGIONS = 2, 64  # of a batch; Fast R-CNN's
ON_PARTICLES = 0.8  # share of the crops that are put on a particle
RATE = 1e-3
EPOCHS = 10  # into which the steps are divided, to tell how the loss falls
GRID = 4  # boxes to a diameter, along either axis
AT_ONCE = 1024  # boxes that are pooled together


class FastParticlePicker(NetworkPicker):
    """Picks as FastParticlePicker does: Fast R-CNN with candidate boxes from a sliding grid.

    1. A convolutional trunk turns the whole micrograph into a map of features, once
       (`cryokit.networks.architectures.fastparticlepicker_net`).
    2. Candidates are boxes of one size, the particle's, on a grid. Of each the features are pooled to 6 x 6 bins.
    3. A head of fully connected layers gives each box the probability of a particle, and the offset of the particle's
       centre from the box's.
    4. Overlapping boxes are suppressed, the best stay.

    Trunk and head are trained together, through the pooling: on batches of two parts of micrographs with 64 boxes
    each, a quarter of which show particles, half of the others are beside particles. The loss is the cross-entropy and,
    for boxes with particles, the smooth absolute difference of the offsets.

    What is otherwise here: the network starts from random weights, not from one that knows photographs, and is trained
    by Adam; it is narrow by default (`width`), on pictures in which particles are 48 pixels across, so that two cores
    train it in less than a minute. There is no class for ice, since labels do not tell ice from other things to be
    ignored; these are left out of the training.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph; the median of the labels when not given.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; with labels it makes no difference.
    width : float
        Factor on the numbers of filters and units of the network; 1 for CaffeNet's.
    cell : {8, 16}
        Pixels of the picture to a cell of the feature map. With 16, as in CaffeNet, particles are 96 pixels across.
    steps : int
        Batches of the training; multiples of ten, from ten on.
    overlap : float
        Largest intersection over union of the squares around two picks, a diameter wide.
    validation, seed
        As for every labelled picker.

    Notes
    -----
    Xiao and Yang 2017, "A fast method for particle picking in cryo-electron micrographs based on Fast R-CNN", AIP Conf.
    Proc. 1836:020080; Girshick 2015, "Fast R-CNN", ICCV.
    """

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        width: float = 0.2,
        cell: int = 8,
        steps: int = 400,
        overlap: float = 0.3,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, validation, seed)
        check_number("steps", steps, 1, whole=True)
        check_number("overlap", overlap, 0, 1)
        self.width = width
        self.cell = cell
        self.steps = steps
        self.overlap = overlap
        self._config()  # checks its settings

    @property
    def working_diameter(self) -> float:
        """The particle's diameter in pixels of the picture."""
        return 6.0 * self.cell

    @property
    def window(self) -> int:
        """Side of the candidate boxes, and of the window in which the picture is levelled."""
        return round(BOX_DIAMETERS * self.working_diameter)

    def _config(self) -> FastParticlePickerConfig:
        return FastParticlePickerConfig(width=self.width, cell=self.cell, box=self.window, seed=self.seed)

    def _learn(self, scenes: Sequence[Scene]) -> None:
        number = sum(len(scene.particles) for scene in scenes)
        if not number:
            raise PickerError("no particle is labelled on the micrographs to learn from; give more of them")
        config = self._config()
        network = config.build()
        batches = _Batches(scenes, config, self.working_diameter, self.steps, self.seed)
        losses = teach(network, batches.epoch, _loss, epochs=batches.epochs, rate=RATE)
        self._decide(
            f"trained on {len(batches) * batches.epochs * CROPS} parts of {plural(len(scenes), 'micrograph')} with "
            f"{plural(number, 'particle')}, loss {losses[-1]:.3f}"
        )
        self.model_ = self._model(network, config, losses=losses)

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        judged, places = self._judged(picture)
        rows, columns = judged.shape[:2]
        (x0, y0), (x1, y1) = places[0, 0].tolist(), places[-1, -1].tolist()
        step_x, step_y = (x1 - x0) / max(1, columns - 1), (y1 - y0) / max(1, rows - 1)
        return particle_map(judged[..., 0], Frame((rows, columns), picture.shape, x0, y0, step_x, step_y))

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        judged, places = self._judged(picture)
        score = judged[..., 0].astype(np.float64)
        x, y = (places + judged[..., -2:] * self.model_.config.box)[score >= least].T
        score = score[score >= least]
        kept = nms_iou(x, y, self.working_diameter, score, limit=self.overlap)
        return Candidates(x[kept], y[kept], score[kept])

    def _judged(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the head's output for all boxes of the grid, and their centres (x, y): (rows, columns, ...) both."""
        config, network = self.model_.config, self.model_.network
        border = -(-config.box // (2 * config.cell)) * config.cell
        shape = [-(-(side + 2 * border) // config.cell) * config.cell for side in picture.shape]
        wide = mirrored(picture, (-border, -border), shape)
        features = runner(network.get_layer("trunk"))(np.ascontiguousarray(wide[None, ..., None], np.float32))
        step = self.working_diameter / GRID
        lines = [np.linspace(0, side - 1, 1 + math.ceil((side - 1) / step)) for side in picture.shape]
        places = np.stack(np.meshgrid(lines[1], lines[0]), axis=-1)
        boxes = config.boxes(places.reshape(-1, 2) + border)
        keras = import_keras()
        regions, head = network.get_layer("regions"), network.get_layer("head")
        judged = []
        for start in range(0, len(boxes), AT_ONCE):
            # They come row by row: of the whole map only the rows that they touch are pooled.
            part = boxes[start : start + AT_ONCE]
            top, bottom = max(0, math.floor(part[:, 1].min())), math.ceil(part[:, 3].max())
            pooled = regions([features[:, top:bottom], (part - np.float32([0, top, 0, top]))[None]])
            judged.append(keras.ops.convert_to_numpy(head(pooled))[0])
        return np.concatenate(judged).reshape(*places.shape[:2], -1), places


class _Batches:
    """Batches to train on: parts of pictures, boxes in them, and what they show.

    Each batch depends on the seed and its number only. Parts are mirrored and rotated at random; where there are more
    steps than parts, these are shown again.
    """

    def __init__(
        self, scenes: Sequence[Scene], config: FastParticlePickerConfig, diameter: float, steps: int, seed: int
    ) -> None:
        self.config, self.diameter, self.seed = config, diameter, seed
        self.epochs = min(EPOCHS, steps)
        self.steps, self.first = steps // self.epochs, 0
        self.side = config.cell * math.ceil(CROP * diameter / config.cell)
        self.parts = self._cut(scenes, np.random.default_rng(seed), min(PARTS, CROPS * self.steps * self.epochs))

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int) -> _Batches:
        """Return the batches of one epoch."""
        chosen = copy.copy(self)
        chosen.first = number * self.steps
        return chosen

    def __getitem__(self, index: int) -> tuple[tuple[NDArray, NDArray], NDArray]:
        rng = np.random.default_rng((self.seed, self.first + index))
        pictures = np.empty((CROPS, self.side, self.side, 1), np.float32)
        boxes = np.empty((CROPS, REGIONS, 4), np.float32)
        targets = np.empty((CROPS, REGIONS, 4), np.float32)
        for k in range(CROPS):
            picture, *places = self.parts[(CROPS * (self.first + index) + k) % len(self.parts)]
            way = int(rng.integers(8))
            pictures[k, ..., 0] = turn(picture[None], way)[0]
            particles, ignored = (turned_places(some, way, self.side) for some in places)
            places, targets[k] = self._regions(particles, ignored, rng)
            boxes[k] = self.config.boxes(places)
        return (pictures, boxes), targets

    def _cut(
        self, scenes: Sequence[Scene], rng: np.random.Generator, number: int
    ) -> list[tuple[NDArray, NDArray, NDArray]]:
        """Return parts of pictures, and where in them particles and ignored ones are (also beyond the border)."""
        # Micrographs with many particles are shown more often.
        owner = np.repeat(np.arange(len(scenes)), [len(scene.particles) for scene in scenes])
        parts: list[Any] = [None] * number
        chosen = rng.choice(owner, number)
        for index in np.unique(chosen):
            scene = scenes[index]
            picture, size = scene.picture, np.array(scene.shape[::-1])
            for k in np.flatnonzero(chosen == index):
                middle = rng.uniform(0, size)
                if rng.random() < ON_PARTICLES:
                    middle = rng.choice(scene.particles) + rng.uniform(-0.35, 0.35, 2) * self.side
                start = np.rint(middle - self.side / 2).astype(int)
                start = np.clip(start, np.minimum(0, size - self.side), np.maximum(0, size - self.side))
                part = mirrored(picture, (start[1], start[0]), (self.side, self.side)).copy()
                parts[k] = part, scene.particles - start, scene.ignored - start
        return parts

    def _regions(
        self, particles: NDArray, ignored: NDArray, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return the centres of the boxes, and class (1 for a particle), weight and offset of each."""
        low, high = self.config.box / 2 - 0.5, self.side - self.config.box / 2 - 0.5

        def within(places: NDArray) -> NDArray:
            return places[((places >= low) & (places <= high)).all(axis=1)]

        def far(places: NDArray, others: NDArray, diameters: float) -> NDArray:
            if not len(others) or not len(places):
                return places
            return places[cKDTree(others).query(places)[0] >= diameters * self.diameter]

        near = np.empty((0, 2))
        if len(particles):
            near = rng.permutation(within(scattered(particles, NEAR * self.diameter, 8, rng)))
            near = near[: round(POSITIVE * REGIONS)]
        other = rng.uniform(low, high, (4 * REGIONS, 2))
        if len(particles):
            distance, angle = (
                rng.uniform(*AROUND, 8 * REGIONS) * self.diameter,
                rng.uniform(0, 2 * math.pi, 8 * REGIONS),
            )
            beside = (
                rng.choice(particles, 8 * REGIONS) + np.column_stack([np.cos(angle), np.sin(angle)]) * distance[:, None]
            )
            other = [far(far(within(each), particles, FAR), ignored, FAINT) for each in (other, beside)]
            half = (REGIONS - len(near)) // 2
            other = np.concatenate([other[1][:half], other[0], other[1][half:]])
        else:
            other = far(other, ignored, FAINT)
        places = np.concatenate([near, other])[:REGIONS]
        targets = np.zeros((REGIONS, 4), np.float32)
        targets[: len(places), 1] = 1
        targets[: len(near), 0] = 1
        if len(near):
            nearest = cKDTree(particles).query(near)[1]
            targets[: len(near), 2:] = (particles[nearest] - near) / self.config.box
        # Where there are not enough places, boxes that count nothing fill up.
        return np.concatenate([places, np.full((REGIONS - len(places), 2), low)]), targets


def turned_places(places: NDArray, way: int, side: int) -> NDArray[np.float64]:
    """Return where places of a square picture are once `cryokit.networks.training.batches.turn` has turned it.

    Parameters
    ----------
    places : ndarray of float, shape (n, 2)
        x and y, first pixel's centre = 0.
    way : int
        From 0 to 7.
    side : int
        Of the picture.

    Examples
    --------
    >>> picture = np.zeros((1, 5, 5)); picture[0, 1, 3] = 1
    >>> x, y = turned_places(np.array([[3, 1]]), 6, 5)[0].astype(int)
    >>> float(turn(picture, 6)[0, y, x])
    1.0
    """
    x, y = np.asarray(places, np.float64).reshape(-1, 2).T
    if way >= 4:
        x = side - 1 - x
    for _ in range(way % 4):
        x, y = y, side - 1 - x
    return np.column_stack([x, y])


def _loss(targets: Any, judged: Any) -> Any:
    """Return the loss of each box: cross-entropy and, for particles, the smooth difference of the offsets."""
    ops = import_keras().ops
    particle, weight = targets[..., 0], targets[..., 1]
    right = particle * judged[..., 0] + (1 - particle) * judged[..., 1]
    # Offsets are about a tenth of a box; Fast R-CNN brings them to deviation 1, too.
    error = ops.abs(targets[..., 2:] - judged[..., 2:]) * 10
    smooth = ops.sum(ops.where(error < 1, 0.5 * error * error, error - 0.5), axis=-1)
    return weight * (particle * smooth - ops.log(right + 1e-7))
