"""FastParticlePicker: Fast R-CNN on boxes of one size from a sliding grid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryokit._util.checked_settings import number
from cryokit._util.wording import plural
from cryokit.coordinates.suppression import nms_iou
from cryokit.imaging.frame import Frame
from cryokit.networks.architectures.fastparticlepicker_net import FastParticlePickerConfig
from cryokit.networks.devices import import_keras
from cryokit.networks.scoring import ScoreMap
from cryokit.networks.scoring.running import runner
from cryokit.networks.scoring.windows import mirrored
from cryokit.networks.training import TrainingSettings, fit_batches
from cryokit.networks.training.batches import turn
from cryokit.pickers.boxes import Part, parts
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene, particle_map
from cryokit.pickers.places import around, distance_to_nearest, scattered

# Distances from a particle's centre in diameters: boxes nearer than the first show the particle, boxes farther than the
# second do not, and none in between are trained on. Boxes of 1.25 diameters at these distances overlap on average by
# 0.67 and 0.39 of their union.
NEAR, FAR = 0.25, 0.45
FAINT = 0.7  # smallest distance of a box from ignored labels
POSITIVE = 0.25  # largest share of the boxes that show particles
AROUND = (FAR, 1.2)  # distances from particles of half of the other boxes
CROP = 5  # side in diameters of the parts of pictures to train on
PARTS = 1000  # largest number of parts cut from the pictures
CROPS, REGIONS = 2, 64  # parts per batch and boxes per part, as in Fast R-CNN
ON_PARTICLES = 0.8  # share of the parts that are placed on a particle
RATE = 1e-3
WARM_UP = 0.1  # full steps along a regression's first, large gradients leave ReLUs that never fire again
EPOCHS = 10  # into which the steps are divided, to show how the loss falls
GRID = 4  # boxes per diameter along either axis
AT_ONCE = 1024  # boxes that are pooled together


@dataclass(eq=False)
class FastParticlePicker(NetworkPicker):
    """Picker with FastParticlePicker's Fast R-CNN, whose candidate boxes come from a sliding grid.

    1. *Features.* A convolutional trunk turns the whole micrograph into a map of features, once
       (`cryokit.networks.architectures.fastparticlepicker_net`).
    2. *Candidates* are boxes of one size, the particle's, on a grid. The features in each are pooled to 6 x 6 bins.
    3. *Judgement.* A head of fully connected layers gives each box the probability of a particle, and the offset of the
       particle's centre from the box's.
    4. *Suppression.* Of overlapping boxes the best stays.

    Trunk and head are trained together, through the pooling, on batches of two parts of micrographs with 64 boxes each:
    a quarter show particles, and half of the others lie beside particles. The loss is the cross-entropy plus, for boxes
    with particles, the smooth absolute difference of the offsets.

    Differences from the paper:

    - The network starts from random weights, not from one trained on photographs, and is trained by Adam.
    - It is narrow by default (`width`), and particles are 48 pixels across, so that two cores train it in less than a
      minute.
    - There is no class for ice, since labels do not tell ice from other things to ignore; these are left out of the
      training.

    Parameters
    ----------
    diameter, contrast, validation, seed
        See `cryokit.pickers.labelled.LabelledPicker`.
    width : float
        Factor on the numbers of filters and units of the network; 1 for CaffeNet's.
    cell : {8, 16}
        Pixels of the picture per cell of the feature map. With 16, as in CaffeNet, particles are 96 pixels across.
    steps : int
        Training steps, one batch each; from ten on rounded down to a multiple of ten.
    overlap : float
        Largest intersection over union of the squares around two picks, each one diameter wide.

    Notes
    -----
    Xiao and Yang 2017, "A fast method for particle picking in cryo-electron micrographs based on Fast R-CNN", AIP Conf.
    Proc. 1836:020080; Girshick 2015, "Fast R-CNN", ICCV.
    """

    box_diameters = 1.25

    width: float = 0.2
    cell: int = 8
    steps: int = number(400, 1, whole=True)
    overlap: float = number(0.3, 0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._config = FastParticlePickerConfig(width=self.width, cell=self.cell, box=self.window, seed=self.seed)

    @property
    def window(self) -> int:
        """Side of the candidate boxes, and of the window in which the picture is levelled: a particle is 6 cells."""
        return round(self.box_diameters * 6 * self.cell)

    def _learn(self, scenes: Sequence[Scene]) -> None:
        network = self._config.build()
        epochs = min(EPOCHS, self.steps)
        steps = self.steps // epochs
        side = self.cell * math.ceil(CROP * self.working_diameter / self.cell)
        number = CROPS * steps * epochs
        cuts = parts(scenes, side, min(PARTS, number), ON_PARTICLES, np.random.default_rng(self.seed))
        history = fit_batches(
            network,
            lambda epoch: _Batches(cuts, self._config, self.working_diameter, self.seed, epoch * steps, steps),
            _loss,
            TrainingSettings(learning_rate=RATE, epochs=epochs, warm_up=WARM_UP),
            seed=self.seed,
        )
        self.histories_.append(history)
        self._decide(f"trained on {number} parts of {plural(len(scenes), 'micrograph')}")
        self.model_ = self._model(network, self._config)

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        judged, frame = self._judged(picture)
        return particle_map(judged[..., 0], frame)

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        judged, frame = self._judged(picture)
        row, column = np.nonzero(judged[..., 0] >= least)
        x, y = frame.to_source(column, row)
        score, offset = judged[row, column, 0].astype(np.float64), judged[row, column, -2:] * self.model_.config.box
        candidates = Candidates(x + offset[:, 0], y + offset[:, 1], score)
        return candidates.where(nms_iou(candidates.x, candidates.y, self.working_diameter, score, limit=self.overlap))

    def _judged(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], Frame]:
        """Return the head's output for the boxes of the grid, shape (rows, columns, 4), and the frame of the grid."""
        config, network = self.model_.config, self.model_.network
        border = -(-config.box // (2 * config.cell)) * config.cell
        shape = [-(-(side + 2 * border) // config.cell) * config.cell for side in picture.shape]
        padded = Frame.whole(picture.shape).crop(*(slice(-border, side - border) for side in shape))
        wide = mirrored(picture, (-border, -border), shape)
        features = runner(network.get_layer("trunk"))(np.ascontiguousarray(wide[None, ..., None], np.float32))
        rows, columns = (1 + math.ceil((side - 1) / self.working_diameter * GRID) for side in picture.shape)
        step_y, step_x = (picture.shape[0] - 1) / (rows - 1), (picture.shape[1] - 1) / (columns - 1)
        grid = Frame((rows, columns), picture.shape, step_x=step_x, step_y=step_y)
        column, row = np.meshgrid(np.arange(columns), np.arange(rows))
        boxes = config.boxes(np.column_stack(padded.from_source(*grid.to_source(column.ravel(), row.ravel()))))
        keras = import_keras()
        regions, head = network.get_layer("regions"), network.get_layer("head")
        judged = []
        for start in range(0, len(boxes), AT_ONCE):
            # They come row by row: of the whole map only the rows that they touch are pooled.
            part = boxes[start : start + AT_ONCE]
            top, bottom = max(0, math.floor(part[:, 1].min())), math.ceil(part[:, 3].max())
            pooled = regions([features[:, top:bottom], (part - np.float32([0, top, 0, top]))[None]])
            judged.append(keras.ops.convert_to_numpy(head(pooled))[0])
        return np.concatenate(judged).reshape(rows, columns, -1), grid


@dataclass(frozen=True, eq=False)
class _Batches:
    """Batches of one epoch: parts of pictures, boxes in them, and what they show.

    Each batch depends only on the seed and its number, which counts from `first`. Parts are mirrored and rotated at
    random; if there are more steps than parts, these are shown again.
    """

    parts: list[Part]
    config: FastParticlePickerConfig
    diameter: float
    seed: int
    first: int
    steps: int

    def __len__(self) -> int:
        return self.steps

    @property
    def side(self) -> int:
        """Side of a part in pixels."""
        return len(self.parts[0].picture)

    def __getitem__(self, index: int) -> tuple[tuple[NDArray, NDArray], NDArray]:
        rng = np.random.default_rng((self.seed, self.first + index))
        pictures = np.empty((CROPS, self.side, self.side, 1), np.float32)
        boxes = np.empty((CROPS, REGIONS, 4), np.float32)
        targets = np.empty((CROPS, REGIONS, 4), np.float32)
        for k in range(CROPS):
            picture, *labelled = self.parts[(CROPS * (self.first + index) + k) % len(self.parts)]
            way = int(rng.integers(8))
            pictures[k, ..., 0] = turn(picture[None], way)[0]
            particles, ignored = (turned_places(places, way, self.side) for places in labelled)
            places, targets[k] = self._regions(particles, ignored, rng)
            boxes[k] = self.config.boxes(places)
        return (pictures, boxes), targets

    def _regions(
        self, particles: NDArray, ignored: NDArray, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return the centres of the boxes, and class (1 for a particle), weight and offset of each."""
        low, high = self.config.box / 2 - 0.5, self.side - self.config.box / 2 - 0.5

        def within(places: NDArray) -> NDArray:
            return places[((places >= low) & (places <= high)).all(axis=1)]

        def empty(places: NDArray) -> NDArray:
            far = distance_to_nearest(places, particles) >= FAR * self.diameter
            return places[far & (distance_to_nearest(places, ignored) >= FAINT * self.diameter)]

        near = beside = np.empty((0, 2))
        if len(particles):
            near = rng.permutation(within(scattered(particles, NEAR * self.diameter, 8, rng)))
            near = near[: round(POSITIVE * REGIONS)]
        anywhere = empty(rng.uniform(low, high, (4 * REGIONS, 2)))
        if len(particles):
            low_distance, high_distance = (diameters * self.diameter for diameters in AROUND)
            beside = empty(within(around(particles, low_distance, high_distance, 8 * REGIONS, rng)))
        half = (REGIONS - len(near)) // 2
        places = np.concatenate([near, beside[:half], anywhere, beside[half:]])[:REGIONS]
        targets = np.zeros((REGIONS, 4), np.float32)
        targets[: len(places), 1] = 1
        targets[: len(near), 0] = 1
        if len(near):
            nearest = cKDTree(particles).query(near)[1]
            targets[: len(near), 2:] = (particles[nearest] - near) / self.config.box
        # If there are not enough places, boxes of weight 0 fill up.
        return np.concatenate([places, np.full((REGIONS - len(places), 2), low)]), targets


def turned_places(places: NDArray, way: int, side: int) -> NDArray[np.float64]:
    """Return where places of a square picture are after `cryokit.networks.training.batches.turn` has turned it.

    Parameters
    ----------
    places : ndarray of float, shape (n, 2)
        Places, x and y.
    way : int
        Way of turning, 0 to 7.
    side : int
        Side of the picture in pixels.

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
    """Return the loss of each box: cross-entropy plus, for particles, the smooth absolute difference of the offsets."""
    ops = import_keras().ops
    particle, weight = targets[..., 0], targets[..., 1]
    right = particle * judged[..., 0] + (1 - particle) * judged[..., 1]
    # Offsets are about a tenth of a box; Fast R-CNN, too, scales them to a standard deviation of 1.
    error = ops.abs(targets[..., 2:] - judged[..., 2:]) * 10
    smooth = ops.sum(ops.where(error < 1, 0.5 * error * error, error - 0.5), axis=-1)
    return weight * (particle * smooth - ops.log(right + 1e-7))
