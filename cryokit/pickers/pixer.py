"""PIXER: one network turns the micrograph into a map of densities, another judges the map's maxima."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit
from skimage.draw import disk
from skimage.util import view_as_blocks

from cryokit._util.checked_settings import choice, number
from cryokit._util.wording import plural
from cryokit.coordinates.suppression import nms_distance
from cryokit.imaging.frame import Frame
from cryokit.imaging.peaks import NOT_ON_EDGE, inside, refine
from cryokit.networks.architectures.pixer_net import (
    DILATIONS,
    FULL_BOX,
    QUARTER_BOX,
    PixerClassifierConfig,
    PixerConfig,
)
from cryokit.networks.scoring import ScoreMap, dense
from cryokit.networks.training import Samples, TrainingSettings, probabilities
from cryokit.pickers import boxes as examples
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene, particle_map

if TYPE_CHECKING:
    import keras

# Radii in diameters: pixels within the first of a particle's centre are part of it, pixels beyond the second are
# background. Those between the two, and those around ignored labels, do not count.
INSIDE, OUTSIDE, IGNORED = 0.3, 0.42, 0.5
SMOOTH = 0.1  # standard deviation in diameters: takes the grain off the map
GRID = 0.25  # side of the grid's cells in diameters
APART = 0.5  # smallest distance between two picks in diameters
LEAST = 0.05  # lowest density of a maximum that is judged
WRONG = 0.35  # smallest distance of a false candidate from all particles, in diameters
CROP = 4  # side in diameters of the parts of pictures to train on
ON_PARTICLES = 0.7  # share of these parts that are placed on a particle
EDGE = 0.4  # width in diameters of a part's margin, whose pixels may belong to particles that are not seen
CENTRED = 0.1  # distance in diameters by which copies of particles are shifted
BATCH, RATE = 4, 1e-3


@dataclass(eq=False)
class PixerPicker(NetworkPicker):
    """Picker with PIXER's segmentation network and classification network.

    1. *Segmentation* (`cryokit.networks.architectures.pixer_net`): trained on parts of the micrographs to tell discs
       around particles from background, both classes weighing the same. Over a micrograph it gives a map of
       densities: the probability that a pixel is part of a particle.
    2. *Maxima.* The map is smoothed and divided by a grid; the largest density of each cell is a candidate unless a
       neighbouring pixel is larger. Of candidates closer than half a diameter the best stays.
    3. *Classification*: AlexNet, trained on particles against background and against false candidates of the first
       network on the same micrographs. A pick's score is AlexNet's probability of a particle times the density.

    Differences from the paper:

    - PIXER makes training pictures of its own; here both networks learn from labels.
    - The networks are narrow by default (`width`), and pictures have a quarter of the published size, at which
      AlexNet's box of 227 pixels holds a particle of 182. The dilations of the branches and AlexNet's first convolution
      are in proportion. ``size="full"`` and ``width=1`` are the published networks.
    - Training examples are rotated, mirrored and changed in contrast at random.
    - Beyond its borders a micrograph continues as its mirror image instead of zeros.

    Parameters
    ----------
    diameter, contrast, validation, seed
        See `cryokit.pickers.labelled.LabelledPicker`.
    width : float
        Factor on the numbers of filters and units of both networks.
    size : {"quarter", "full"}
        Size of the pictures, relative to the published one.
    crops : int
        Number of parts of micrographs per epoch of the segmentation network.
    per_class : int
        Number of boxes of particles, and of other boxes, that the classification network is trained on.
    epochs : int
        Epochs of either network.

    Notes
    -----
    Zhang et al. 2019, "PIXER: an automated particle-selection method based on segmentation using a deep neural
    network", BMC Bioinformatics 20:41.
    """

    box_diameters = 1.25  # of the classification network's box

    width: float = 0.125
    size: Literal["quarter", "full"] = choice("quarter", "quarter", "full")
    crops: int = number(120, 1, whole=True)
    per_class: int = number(400, 1, whole=True)
    epochs: int = number(6, 1, whole=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        # 6, 12, 18 and 24 become 2, 3, 5 and 6: a quarter, halves rounded up.
        dilations = DILATIONS if self.size == "full" else tuple(math.floor(d / 4 + 0.5) for d in DILATIONS)
        self._config = PixerConfig(width=self.width, dilations=dilations, seed=2 * self.seed)
        self._judge_config = PixerClassifierConfig(width=self.width, box=self.window, seed=2 * self.seed + 1)

    @property
    def window(self) -> int:
        """Side of the classification network's box, and of the window in which the picture is levelled."""
        return FULL_BOX if self.size == "full" else QUARTER_BOX

    def _learn(self, scenes: Sequence[Scene]) -> None:
        rng = np.random.default_rng(self.seed)
        network, judge = self._config.build(), self._judge_config.build()
        settings = TrainingSettings(learning_rate=RATE, batch_size=BATCH, epochs=self.epochs)
        self._train(network, self._parts(scenes, rng), settings, self.seed)
        samples, false = self._boxes(network, scenes, rng)
        self._train(judge, samples, TrainingSettings(learning_rate=RATE, epochs=self.epochs), self.seed)
        self._decide(f"the classification network learned {plural(false, 'false candidate')} of the segmentation's")
        self.model_ = self._model(network, self._config, {"classifier": (self._judge_config, judge)})

    def _parts(self, scenes: Sequence[Scene], rng: np.random.Generator) -> Samples:
        """Return parts of the pictures with the class of each of their pixels: 0 particle, 1 background."""
        side = 8 * math.ceil(CROP * self.working_diameter / 8)
        edge = round(EDGE * self.working_diameter)
        parts = examples.parts(scenes, side, self.crops, ON_PARTICLES, rng)
        maps = [self._classes(part) for part in parts]
        classes, weights = (np.stack(planes) for planes in zip(*maps, strict=True))
        weights[:, :edge] = weights[:, -edge:] = 0
        weights[:, :, :edge] = weights[:, :, -edge:] = 0
        return Samples(np.stack([part.picture for part in parts])[..., None], classes, weights)

    def _classes(self, part: examples.Part) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return the class of each pixel of a part, and whether it counts."""

        def discs(places: NDArray, radius: float) -> NDArray[np.bool_]:
            covered = np.zeros(part.picture.shape, bool)
            for x, y in places:
                covered[disk((y, x), radius * self.working_diameter, shape=covered.shape)] = True
            return covered

        particle = discs(part.particles, INSIDE)
        counts = particle | ~(discs(part.particles, OUTSIDE) | discs(part.ignored, IGNORED))
        return (~particle).astype(np.int8), counts.astype(np.int8)

    def _boxes(self, network: keras.Model, scenes: Sequence[Scene], rng: np.random.Generator) -> tuple[Samples, int]:
        """Return the classification network's training set, and how many of its boxes are false candidates."""
        share = math.ceil(self.per_class / len(scenes))
        false = []
        for scene in scenes:
            candidates = self._maxima(network, scene.picture)
            wrong = examples.mistakes(scene, candidates, WRONG * self.working_diameter)
            false.append(examples.cut(scene.picture, wrong.places[:share], self.window))
        false = np.concatenate(false)
        good = examples.particles(scenes, self.window, self.per_class, rng, shift=CENTRED * self.working_diameter)
        # Half of the others are false candidates, as far as there are that many, shown as often as it takes.
        shown = min(self.per_class // 2, 4 * len(false))
        background = examples.background(scenes, self.window, self.per_class - shown, self.working_diameter, rng)
        x = np.concatenate([good, np.resize(false, (shown, *false.shape[1:])), background])
        y = np.repeat([0, 1], [len(good), len(x) - len(good)])
        return Samples(examples.whitened(x), y), len(false)

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        return particle_map(self.densities(self.model_.network, picture), Frame.whole(picture.shape))

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        candidates = self._maxima(self.model_.network, picture)
        if not len(candidates.x):
            return candidates
        boxes = examples.whitened(examples.cut(picture, candidates.places, self.window))
        judged = probabilities(self.model_.companions["classifier"][1], boxes)[:, 0]
        score = judged * candidates.score
        return candidates._replace(score=score).where(score >= least)

    def densities(self, network: keras.Model, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each pixel to be part of a particle.

        Parameters
        ----------
        network : keras.Model
            Trained segmentation network.
        picture : ndarray of float32, shape (rows, columns)
            Prepared micrograph.

        Returns
        -------
        ndarray of float32, shape (rows, columns)
        """
        # Scored before the network enlarges the map, so that a picture of any size can be processed tile by tile.
        cells = dense(picture, network.get_layer("cells"), classes=("particle", "background"))
        odds = (cells.scores[..., 0] - cells.scores[..., 1]).astype(np.float32)
        column, row = cells.frame.from_source(0, 0)
        step = (1 / cells.frame.step_y, 1 / cells.frame.step_x)
        return expit(ndimage.affine_transform(odds, step, (row, column), picture.shape, order=1, mode="nearest"))

    def _maxima(self, network: keras.Model, picture: NDArray[np.float32]) -> Candidates:
        """Return the maxima of the map of densities, best first."""
        densities = self.densities(network, picture)
        smooth = ndimage.gaussian_filter(densities, SMOOTH * self.working_diameter, mode="nearest")
        row, column = grid_maxima(smooth, max(2, round(GRID * self.working_diameter)))
        candidates = Candidates(*refine(smooth, row, column), smooth[row, column].astype(np.float64))
        candidates = candidates.where((candidates.score >= LEAST) & inside(column, row, smooth.shape, NOT_ON_EDGE))
        return candidates.where(nms_distance(*candidates, APART * self.working_diameter))


def grid_maxima(values: NDArray, side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the largest value of each cell of a grid, unless a neighbouring pixel is larger.

    Parameters
    ----------
    values : ndarray of float, shape (rows, columns)
        Map to search.
    side : int
        Side of a cell in pixels; cells at the far ends may be smaller.

    Returns
    -------
    row, column : ndarray of int, shape (n,)
        At most one position per cell, cell by cell. Without the second condition the slope of a maximum would give one
        in each of the cells that it reaches into.

    Examples
    --------
    >>> values = np.zeros((4, 7)); values[1, 1:4] = 2, 4, 3; values[3, 5] = 1
    >>> row, column = grid_maxima(values, 3)
    >>> (1, 2) in zip(row, column), (1, 3) in zip(row, column), (3, 5) in zip(row, column)
    (True, False, True)
    """
    full = np.pad(values, [(0, -size % side) for size in values.shape], constant_values=-np.inf)
    cells = view_as_blocks(full, (side, side))
    rows, columns = cells.shape[:2]
    best = cells.reshape(rows, columns, -1).argmax(axis=-1)
    row = (np.arange(rows)[:, None] * side + best // side).ravel()
    column = (np.arange(columns) * side + best % side).ravel()
    kept = values[row, column] >= ndimage.maximum_filter(values, 3, mode="nearest")[row, column]
    return row[kept], column[kept]
