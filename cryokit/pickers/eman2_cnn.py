"""EMAN2's neural boxer: one network marks particles by blobs, a second one throws out what only looks like them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.validation import check_number
from cryokit._util.wording import plural
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import find_peaks
from cryokit.micrograph import Micrograph
from cryokit.networks.architectures.eman2_net import BOX, Eman2Config
from cryokit.networks.training.fitting import Shuffled, teach
from cryokit.pickers.boxes import cut, wrongly_found
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene, particle_map
from cryokit.pickers.places import off_centre

if TYPE_CHECKING:
    import keras

    from cryokit.networks.scoring import ScoreMap

logger = logging.getLogger(__name__)

BOX_DIAMETERS = 1.5  # side of a box: EMAN2 advises 1.5 to 2 diameters
CLAMP = 4.0  # standard deviations
# Low-pass, in diameters (standard deviation of the Gaussian). EMAN2's is 20 A, for particles of 100 to 400 A.
BLUR = 0.05
BLOB = 5 / 64  # standard deviation of the blob that is regressed, in positions of the map by pixels of the box
MAP_BLUR = 0.8 / (2 * math.pi * 0.2)  # positions of the map: EMAN2's low-pass at 0.2 of the sampling rate
APART = 0.5  # diameters between two picks at least
WRONG = 0.35  # diameters from all particles: what is found there is false
FEWEST = 5  # references of each kind
GOOD = 0.2  # output of network 1 for a box that is kept
BATCH, RATE = 32, 2e-3


class Eman2CnnPicker(NetworkPicker):
    """Picks as the neural boxer of EMAN2.21 (``e2boxer.py``) does.

    1. *References.* Good ones are the labelled particles. Background ones are boxes whose centre is on no particle.
       Bad ones are the labels of the view ``ignore`` (ice, broken or overlapping particles), and the best false picks
       of network 0 on the same micrographs. Of each kind there have to be 5; EMAN2's users mark 20 to 50. Each is
       rotated by random angles to as many boxes as `rotated` says (over 500 in EMAN2).
    2. *Network 0* (`cryokit.networks.architectures.eman2_net`) learns to map a good box to a Gaussian blob, background to zero, by the
       mean squared error. Over a micrograph its map has a blob wherever there is a particle.
    3. Peaks of the map above its mean plus `deviations` times its standard deviation are candidates.
    4. *Network 1* learns to give 1 for good boxes and 0 for bad ones, and rejects candidates below 0.2.

    A pick's score is the height of its peak, limited to the range from 0 to 1: 1 is the blob of a reference.

    What is otherwise here: boxes are 32 and not 64 pixels wide by default, with kernels in proportion, which two cores
    train in half a minute; EMAN2's low-pass leaves nothing that needs more pixels (``box=64`` for EMAN2's size). The
    micrograph is levelled (`cryokit.imaging.preparation.levelled`) in place of the Gaussian high-pass. Background beside particles
    is among the references, bad references need not be marked, and nothing of network 1's output is cut off in
    training. Both networks train by Adam at 2e-3 for 12 epochs: at EMAN2's 2e-5 network 1 hardly learns in 20 (on
    simulated KLH its squared error is 0.21 then, and 0.11 here; always to say 0.5 has 0.25). There is no weight decay.
    Besides the threshold in deviations, which depends on how full of particles a micrograph is and by EMAN2's preset of
    2 loses particles on full ones, there is one of the score.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph; the median of the labels when not given.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; with labels it makes no difference.
    box : int
        Side of a box at the working scale, even; it holds 1.5 diameters.
    filters : int
        Of the networks' first two convolutions; 20 in EMAN2.
    references : int
        Of each kind at most so many, drawn at random.
    rotated : int
        Boxes of each kind to train on, the rotated ones included.
    deviations : float
        How many standard deviations above its mean a peak of the map is a candidate.
    epochs : int
        Of either network.
    validation, seed
        As for every labelled picker.

    Notes
    -----
    Tang et al. 2007, J. Struct. Biol. 157:38; Bell et al. 2018, J. Struct. Biol. 204:283; the source of EMAN2.21.
    """

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        box: int = BOX // 2,
        filters: int = 20,
        references: int = 500,
        rotated: int = 600,
        deviations: float = 1.0,
        epochs: int = 12,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, validation, seed)
        check_number("references", references, FEWEST, whole=True)
        check_number("rotated", rotated, FEWEST, whole=True)
        check_number("epochs", epochs, 1, whole=True)
        check_number("deviations", deviations, 0, 10)
        self.box = box
        self.filters = filters
        self.references = references
        self.rotated = rotated
        self.deviations = deviations
        self.epochs = epochs
        self._config(mean=False)  # checks its settings

    @property
    def working_diameter(self) -> float:
        """The particle's diameter in pixels of the picture."""
        return self.box / BOX_DIAMETERS

    @property
    def window(self) -> int:
        """Side of the window in which the picture is levelled: the box."""
        return self.box

    def _config(self, mean: bool) -> Eman2Config:
        # Networks of the same shape must not start alike.
        return Eman2Config(box=self.box, filters=self.filters, mean=mean, seed=2 * self.seed + mean)

    def _learn(self, scenes: Sequence[Scene]) -> None:
        rng = np.random.default_rng(self.seed)
        good = self._drawn([scene.particles for scene in scenes], rng)
        background = self._drawn(
            [
                off_centre(
                    *(scene.occupied, self.working_diameter, scene.shape),
                    *(math.ceil(self.references / len(scenes)), rng),
                )
                for scene in scenes
            ],
            rng,
        )
        for kind, places in (("good", good), ("background", background)):
            if sum(map(len, places)) < FEWEST:
                raise PickerError(
                    f"{plural(sum(map(len, places)), f'{kind} reference')}, at least {FEWEST} are needed; give more "
                    "labelled micrographs"
                )
        good_boxes = self._boxes(scenes, good, rng)
        background_boxes = self._boxes(scenes, background, rng)
        configs = self._config(mean=False), self._config(mean=True)
        finder, judge = (config.build() for config in configs)
        blob = self._blob()
        blobs = np.concatenate(
            [np.broadcast_to(blob, (len(good_boxes), *blob.shape)), np.zeros_like(background_boxes[:, ::2, ::2])]
        )
        told = {"finder": self._fit(finder, good_boxes, background_boxes, blobs)}

        ignored = self._drawn([scene.ignored for scene in scenes], rng)
        missing = min(self.references, sum(map(len, good))) - sum(map(len, ignored))
        bad = [np.concatenate(pair) for pair in zip(ignored, self._false(finder, scenes, missing), strict=True)]
        counts = {"good": good, "background": background, "bad": bad}
        counts = {kind: sum(map(len, places)) for kind, places in counts.items()}
        self._decide("references: " + ", ".join(f"{number} {kind}" for kind, number in counts.items()))
        others = {}
        if counts["bad"] >= FEWEST:
            bad_boxes = self._boxes(scenes, bad, rng)
            outcome = np.repeat([1.0, 0.0], [len(good_boxes), len(bad_boxes)]).astype(np.float32)[:, None]
            told["judge"] = self._fit(judge, good_boxes, bad_boxes, outcome)
            others["judge"] = configs[1], judge
        else:
            self._decide(f"fewer than {FEWEST} bad references: all candidates are kept")
        self.model_ = self._model(finder, configs[0], others, references=counts, losses=told)

    def _fit(self, network: keras.Model, good: NDArray, other: NDArray, targets: NDArray) -> list[float]:
        boxes = np.concatenate([good, other])
        return teach(
            network,
            lambda epoch: Shuffled(boxes, targets.astype(np.float32), BATCH, self.seed, epoch),
            "mean_squared_error",
            epochs=self.epochs,
            rate=RATE,
        )

    def _prepare(self, micrograph: Micrograph) -> Picture:
        """Return the levelled picture without fine noise, of deviation 1, clamped."""
        picture, frame = super()._prepare(micrograph)
        picture = ndimage.gaussian_filter(picture, BLUR * self.working_diameter, mode="mirror")
        picture /= max(float(picture.std()), 1e-6)
        return Picture(np.clip(picture, -CLAMP, CLAMP, out=picture), frame)

    def _blob(self) -> NDArray[np.float32]:
        """Return the map of a good box, shape (box / 2, box / 2, 1)."""
        # A position of the map shows the pixels around the middle of its two.
        line = 2 * np.arange(self.box // 2) + 0.5 - (self.box - 1) / 2
        line = np.exp(-0.5 * (line / (2 * BLOB * self.box)) ** 2).astype(np.float32)
        return (line[:, None] * line)[..., None]

    def _drawn(self, places: list[NDArray], rng: np.random.Generator) -> list[NDArray]:
        """Return at most `references` of the places, whichever scene they are of."""
        owner = np.repeat(np.arange(len(places)), [len(each) for each in places])
        drawn = rng.permutation(len(owner))[: self.references]
        together = np.concatenate(places)
        return [together[drawn[owner[drawn] == index]] for index in range(len(places))]

    def _boxes(self, scenes: Sequence[Scene], places: list[NDArray], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return boxes around the places, rotated by random angles to as many as are trained on."""
        # As wide as a box's diagonal, so that corners are filled when it turns.
        wide = math.ceil(self.box * math.sqrt(2)) + 2
        wide += (wide - self.box) % 2
        cuts = np.concatenate(
            [cut(scene.picture, own, wide) for scene, own in zip(scenes, places, strict=True) if len(own)]
        )[..., 0]
        copies = math.ceil(self.rotated / len(cuts))
        angles = rng.uniform(0, 2 * math.pi, (copies, len(cuts)))
        margin = (wide - self.box) // 2
        middle = np.full(2, (self.box - 1) / 2)
        boxes = np.empty((copies, len(cuts), self.box, self.box, 1), np.float32)
        for k in range(len(cuts)):
            smooth = ndimage.spline_filter(cuts[k], 3, output=np.float32)
            for copy in range(copies):
                cosine, sine = math.cos(angles[copy, k]), math.sin(angles[copy, k])
                turn = np.array([[cosine, -sine], [sine, cosine]])
                boxes[copy, k, ..., 0] = ndimage.affine_transform(
                    smooth, turn, middle + margin - turn @ middle, (self.box, self.box), order=3, prefilter=False
                )
        boxes = boxes.reshape(-1, self.box, self.box, 1)[: max(self.rotated, len(cuts))]
        return np.clip(boxes, -CLAMP, CLAMP)

    def _false(self, finder: keras.Model, scenes: Sequence[Scene], number: int) -> list[NDArray]:
        """Return, of each scene, the false ones among the best `number` false candidates of all."""
        places, scores = [], []
        for scene in scenes:
            found = self._candidates(finder, scene.picture)
            places.append(wrongly_found(scene, found.x, found.y, WRONG * self.working_diameter))
            kept = {tuple(place) for place in places[-1].tolist()}
            scores.append([s for x, y, s in zip(found.x, found.y, found.score, strict=True) if (x, y) in kept])
        least = sorted(np.concatenate(scores), reverse=True)[: max(0, number)]
        least = least[-1] if least else math.inf
        return [each[np.asarray(score) >= least] for each, score in zip(places, scores, strict=True)]

    def _blobs(self, finder: keras.Model, picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], Frame]:
        """Return the smoothed map of network 0, and the frame of its positions in the picture."""
        from cryokit.networks.scoring import dense

        scores = dense(picture, finder, classes=("particle",))
        return ndimage.gaussian_filter(scores.particle, MAP_BLUR, mode="nearest"), scores.frame

    def _candidates(self, finder: keras.Model, picture: NDArray[np.float32]) -> Candidates:
        """Return the peaks of network 0's map, best first."""
        blobs, frame = self._blobs(finder, picture)
        least = float(blobs.mean() + self.deviations * blobs.std())
        column, row, score = find_peaks(blobs, APART * self.working_diameter / frame.step, least)
        return Candidates(*frame.to_source(column, row), np.clip(score, 0, 1))

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        blobs, frame = self._blobs(self.model_.network, picture)
        return particle_map(np.clip(blobs, 0, 1), frame)

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        from cryokit.networks.training import probabilities

        found = self._candidates(self.model_.network, picture)
        kept = found.score >= least
        if "judge" in self.model_.companions and kept.any():
            boxes = cut(picture, np.column_stack([found.x[kept], found.y[kept]]), self.box)
            kept[kept] = probabilities(self.model_.companions["judge"][1], boxes)[:, 0] >= GOOD
        return Candidates(found.x[kept], found.y[kept], found.score[kept])
