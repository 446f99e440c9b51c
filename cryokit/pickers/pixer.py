"""PIXER: one network turns the micrograph into a map of densities, another judges the map's maxima."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.validation import check_choice, check_number
from cryokit._util.wording import plural
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame
from cryokit.imaging.peaks import NOT_ON_EDGE, inside, refine
from cryokit.imaging.suppression import nms_distance
from cryokit.networks.architectures.pixer_net import (
    DILATIONS,
    FULL_BOX,
    QUARTER_BOX,
    PixerClassifierConfig,
    PixerConfig,
)
from cryokit.pickers import boxes as examples
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene, particle_map

if TYPE_CHECKING:
    import keras

    from cryokit.networks.scoring import ScoreMap
    from cryokit.networks.training import Samples

logger = logging.getLogger(__name__)

BOX_DIAMETERS = 1.25  # side of the classification network's box
# Diameters from a particle's centre: pixels nearer than the first are part of it, beyond the second they are not;
# between the two, and around ignored ones, nothing is asked.
INSIDE, OUTSIDE, IGNORED = 0.3, 0.42, 0.5
SMOOTH = 0.1  # diameters, standard deviation: takes the grain off the map
GRID = 0.25  # diameters, side of the grid's cells
APART = 0.5  # diameters between two picks at least
LEAST = 0.05  # density of a maximum that is judged
WRONG = 0.35  # diameters from all particles: what is found there is false
CROP = 4  # diameters, side of the parts of pictures to train on
ON_PARTICLES = 0.7  # share of the crops that are put on a particle
EDGE = 0.4  # diameters from a crop's edge: what a pixel there is part of is not seen
CENTRED = 0.1  # diameters by which copies of particles are shifted
BATCH, RATE = 4, 1e-3


class PixerPicker(NetworkPicker):
    """Picks as PIXER does: by a segmentation network and a classification network.

    1. *Segmentation* (`cryokit.networks.architectures.pixer_net`): trained on parts of the micrographs to tell discs around particles
       from background, each of the two classes weighing the same. Over a micrograph it gives a map of densities, the
       probability that a pixel is part of a particle.
    2. *Maxima.* The map is smoothed and divided by a grid; the largest density of each cell is a candidate if it is no
       smaller than those around it. Of candidates closer than half a diameter the best stays.
    3. *Classification*: AlexNet, trained on particles against false candidates of the first network on the same
       micrographs and against background. A pick's score is the probability that it gives to a particle, times the
       density.

    What is otherwise here: PIXER makes training pictures of its own, here both networks learn from labels. They are
    narrow by default (`width`), and the pictures a quarter of the size at which AlexNet's box of 227 pixels holds a
    particle of 182; the dilations of the branches and AlexNet's first convolution are in proportion. ``size="full"``
    and ``width=1`` are the published networks. What they are shown is turned, mirrored and changed in contrast at
    random. At the borders the micrograph goes on as its mirror image in place of zeros.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph; the median of the labels when not given.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; with labels it makes no difference.
    width : float
        Factor on the numbers of filters and units of both networks.
    size : {"quarter", "full"}
        Of the pictures.
    crops : int
        Parts of micrographs that the segmentation network is trained on, in each epoch.
    per_class : int
        Boxes of particles, and as many others, that the classification network is trained on.
    epochs : int
        Of either network.
    validation, seed
        As for every labelled picker.

    Notes
    -----
    Zhang et al. 2019, "PIXER: an automated particle-selection method based on segmentation using a deep neural
    network", BMC Bioinformatics 20:41.
    """

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        width: float = 0.125,
        size: Literal["quarter", "full"] = "quarter",
        crops: int = 120,
        per_class: int = 400,
        epochs: int = 6,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, validation, seed)
        check_choice("size", size, ("quarter", "full"))
        for name, value in (("crops", crops), ("per_class", per_class), ("epochs", epochs)):
            check_number(name, value, 1, whole=True)
        self.width = width
        self.size = size
        self.crops = crops
        self.per_class = per_class
        self.epochs = epochs
        self._configs()  # checks their settings

    @property
    def working_diameter(self) -> float:
        """The particle's diameter in pixels of the picture."""
        return self.window / BOX_DIAMETERS

    @property
    def window(self) -> int:
        """Side of the classification network's box, and of the window in which the picture is levelled."""
        return FULL_BOX if self.size == "full" else QUARTER_BOX

    def _configs(self) -> tuple[PixerConfig, PixerClassifierConfig]:
        # 6, 12, 18 and 24 become 2, 3, 5 and 6: a quarter, halves rounded up.
        dilations = DILATIONS if self.size == "full" else tuple(math.floor(each / 4 + 0.5) for each in DILATIONS)
        return (
            PixerConfig(width=self.width, dilations=dilations, seed=2 * self.seed),
            PixerClassifierConfig(width=self.width, box=self.window, seed=2 * self.seed + 1),
        )

    def _learn(self, scenes: Sequence[Scene]) -> None:
        from cryokit.networks.training import TrainingSettings, train

        number = sum(len(scene.particles) for scene in scenes)
        if not number:
            raise PickerError("no particle is labelled on the micrographs to learn from; give more of them")
        rng = np.random.default_rng(self.seed)
        configs = self._configs()
        network, judge = (config.build() for config in configs)
        settings = TrainingSettings(learning_rate=RATE, batch_size=BATCH, epochs=self.epochs, patience=None)
        told = {"segmentation": train(network, self._parts(scenes, rng), None, settings, seed=self.seed).summary()}

        samples, false = self._boxes(network, scenes, rng)
        settings = TrainingSettings(learning_rate=RATE, epochs=self.epochs, patience=None)
        told["classification"] = train(judge, samples, None, settings, seed=self.seed).summary()
        self._decide(
            f"trained on {plural(number, 'particle')} in {plural(len(scenes), 'micrograph')}; the classification "
            f"network on {plural(false, 'false candidate')} of the segmentation network, too"
        )
        self.model_ = self._model(network, configs[0], {"classifier": (configs[1], judge)}, **told)

    def _parts(self, scenes: Sequence[Scene], rng: np.random.Generator) -> Samples:
        """Return parts of the pictures with what each of their pixels is part of: 0 particle, 1 background."""
        from cryokit.networks.scoring.running import mirrored
        from cryokit.networks.training import Samples

        side = 8 * math.ceil(CROP * self.working_diameter / 8)
        edge = round(EDGE * self.working_diameter)
        x = np.empty((self.crops, side, side, 1), np.float32)
        y, weights = np.empty((2, self.crops, side, side), np.int8)
        # Micrographs with many particles are shown more often.
        owner = np.repeat(np.arange(len(scenes)), [len(scene.particles) for scene in scenes])
        chosen, starts = np.empty(self.crops, int), np.empty((self.crops, 2), int)
        for k in range(self.crops):
            chosen[k] = rng.choice(owner)
            scene = scenes[chosen[k]]
            size = np.array(scene.shape)
            middle = rng.uniform(0, size)
            if rng.random() < ON_PARTICLES:
                middle = rng.choice(scene.particles)[::-1] + rng.uniform(-0.35, 0.35, 2) * side
            start = np.rint(middle - side / 2).astype(int)
            starts[k] = np.clip(start, np.minimum(0, size - side), np.maximum(0, size - side))
        for index in np.unique(chosen):
            planes = scenes[index].picture, *self._discs(scenes[index])
            for k in np.flatnonzero(chosen == index):
                x[k, ..., 0], y[k], weights[k] = (mirrored(plane, tuple(starts[k]), (side, side)) for plane in planes)
        weights[:, :edge] = weights[:, -edge:] = 0
        weights[:, :, :edge] = weights[:, :, -edge:] = 0
        return Samples(x, y, weights)

    def _discs(self, scene: Scene) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return the class of each pixel of a picture, and whether it counts."""
        reach = math.ceil(self.working_diameter * max(OUTSIDE, IGNORED)) + 1

        def distance(places: NDArray) -> NDArray:
            nearest = np.full(scene.shape, np.inf, np.float32)
            for x, y in places:
                rows, columns = (slice(max(0, round(each) - reach), max(0, round(each) + reach + 1)) for each in (y, x))
                here = nearest[rows, columns]
                row, column = np.ogrid[: here.shape[0], : here.shape[1]]
                np.minimum(here, np.hypot(row + rows.start - y, column + columns.start - x), out=here)
            return nearest / self.working_diameter

        particle, ignored = distance(scene.particles), distance(scene.ignored)
        inside = particle <= INSIDE
        counts = inside | ((particle > OUTSIDE) & (ignored > IGNORED))
        return (~inside).astype(np.int8), counts.astype(np.int8)

    def _boxes(self, network: keras.Model, scenes: Sequence[Scene], rng: np.random.Generator) -> tuple[Samples, int]:
        """Return what the classification network learns from, and how many of it are false candidates."""
        from cryokit.networks.training import Samples

        false = []
        for scene in scenes:
            found = self._maxima(network, scene.picture)
            places = examples.wrongly_found(scene, found.x, found.y, WRONG * self.working_diameter)
            false.append(examples.cut(scene.picture, places[: math.ceil(self.per_class / len(scenes))], self.window))
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
        from cryokit.networks.training import probabilities

        found = self._maxima(self.model_.network, picture)
        if not len(found.x):
            return found
        boxes = examples.cut(picture, np.column_stack([found.x, found.y]), self.window)
        judged = probabilities(self.model_.companions["classifier"][1], examples.whitened(boxes))[:, 0]
        score = judged * found.score
        kept = score >= least
        return Candidates(found.x[kept], found.y[kept], score[kept])

    def densities(self, network: keras.Model, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each pixel of a picture to be part of a particle, shape of `picture`."""
        from cryokit.networks.scoring import dense

        # The map is taken before it is enlarged: so any picture can be seen tile by tile.
        cells = dense(picture, network.get_layer("cells"), classes=("particle", "background"))
        odds = (cells.scores[..., 0] - cells.scores[..., 1]).astype(np.float32)
        columns, rows = cells.frame.from_source(np.arange(picture.shape[1]), np.arange(picture.shape[0]))
        odds = _between(_between(odds, rows).T, columns).T
        return 1 / (1 + np.exp(-odds))

    def _maxima(self, network: keras.Model, picture: NDArray[np.float32]) -> Candidates:
        """Return the maxima of the map of densities, best first."""
        smooth = ndimage.gaussian_filter(
            self.densities(network, picture), SMOOTH * self.working_diameter, mode="nearest"
        )
        row, column = grid_maxima(smooth, max(2, round(GRID * self.working_diameter)))
        score = smooth[row, column].astype(np.float64)
        kept = (score >= LEAST) & inside(column, row, smooth.shape, NOT_ON_EDGE)
        row, column, score = row[kept], column[kept], score[kept]
        x, y = refine(smooth, row, column)
        kept = nms_distance(x, y, score, APART * self.working_diameter)
        return Candidates(x[kept], y[kept], score[kept])


def grid_maxima(values: NDArray, side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the largest value of each cell of a grid, where none of the pixels around it is larger.

    Parameters
    ----------
    values : ndarray of float, shape (rows, columns)
    side : int
        Of the cells; those at the far ends may be smaller.

    Returns
    -------
    row, column : ndarray of int, shape (n,)
        At most one for each cell, row by row. Without the second condition the slope of a maximum would be one in each
        of the cells that it reaches into.

    Examples
    --------
    >>> values = np.zeros((4, 7)); values[1, 1:4] = 2, 4, 3; values[3, 5] = 1
    >>> row, column = grid_maxima(values, 3)
    >>> (1, 2) in zip(row, column), (1, 3) in zip(row, column), (3, 5) in zip(row, column)
    (True, False, True)
    """
    rows, columns = (-(-size // side) for size in values.shape)
    full = np.full((rows * side, columns * side), -np.inf)
    full[: values.shape[0], : values.shape[1]] = values
    cells = full.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    best = cells.argmax(axis=-1)
    row = (np.arange(rows)[:, None] * side + best // side).ravel()
    column = (np.arange(columns) * side + best % side).ravel()
    around = ndimage.maximum_filter(values, 3, mode="nearest")
    kept = values[row, column] >= around[row, column]
    return row[kept], column[kept]


def _between(values: NDArray[np.float32], places: NDArray) -> NDArray[np.float32]:
    """Return rows at fractional places by linear interpolation; beyond the ends the last row."""
    places = np.clip(places, 0, len(values) - 1)
    low = np.minimum(places.astype(int), max(0, len(values) - 2))
    share = (places - low).astype(np.float32)[:, None]
    return values[low] * (1 - share) + values[np.minimum(low + 1, len(values) - 1)] * share
