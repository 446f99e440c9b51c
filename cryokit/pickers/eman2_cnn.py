"""EMAN2's neural boxer: one network marks particles by blobs, a second one rejects what only looks like them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.checked_settings import number
from cryokit._util.wording import plural
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import find_peaks
from cryokit.micrograph import Micrograph
from cryokit.networks.architectures.eman2_net import BOX, Eman2Config
from cryokit.networks.scoring import ScoreMap, dense
from cryokit.networks.training import ShuffledBatches, TrainingSettings, fit_batches, probabilities
from cryokit.pickers import boxes as examples
from cryokit.pickers.class_averages import turned
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene, particle_map
from cryokit.pickers.places import off_centre

if TYPE_CHECKING:
    import keras

CLAMP = 4.0  # standard deviations to which grey values are limited
# Standard deviation of the Gaussian low-pass, in diameters. EMAN2's is 20 A, for particles of 100 to 400 A.
BLUR = 0.05
BLOB = 5 / 64  # standard deviation of the blob that is regressed, in positions of the map per pixel of the box
MAP_BLUR = 0.8 / (2 * math.pi * 0.2)  # positions of the map: EMAN2's low-pass at 0.2 of the sampling rate
APART = 0.5  # smallest distance between two picks in diameters
WRONG = 0.35  # smallest distance of a false candidate from all particles, in diameters
FEWEST = 5  # smallest number of references of a kind
GOOD = 0.2  # output of network 1 from which a candidate is kept
BATCH, RATE = 32, 2e-3
WARM_UP = 0.1  # full steps along a regression's first, large gradients leave ReLUs that never fire again


@dataclass(eq=False)
class Eman2CnnPicker(NetworkPicker):
    """Picker that works as the neural boxer of EMAN2.21 (``e2boxer.py``) does.

    1. *References.* Good references are the labelled particles. Background references are boxes whose centre is on no
       particle. Bad references are labels of the view ``ignore`` (ice, broken or overlapping particles) and the best
       false picks of network 0 on the same micrographs. Of each kind there must be 5; EMAN2's users mark 20 to 50. Each
       is rotated by random angles, to `rotated` boxes of each kind (over 500 in EMAN2).
    2. *Network 0* (`cryokit.networks.architectures.eman2_net`) learns to map a good box to a Gaussian blob and
       background to zero, by the mean squared error. Its map of a whole micrograph has a blob on every particle.
    3. *Candidates* are the peaks of the map above its mean plus `deviations` times its standard deviation.
    4. *Network 1* learns to give 1 for good boxes and 0 for bad ones, and rejects candidates below 0.2.

    A pick's score is the height of its peak, limited to the range from 0 to 1: 1 is the blob of a reference.

    Differences from EMAN2:

    - Boxes are 32 pixels wide by default instead of 64, with kernels in proportion, so that two cores train the
      networks in half a minute; after EMAN2's low-pass nothing needs more pixels. ``box=64`` is EMAN2's size.
    - The micrograph is levelled (`cryokit.imaging.preparation.levelled`) instead of filtered by a Gaussian high-pass.
    - Background beside particles is among the references, bad references need not be marked, and no output of network 1
      is cut off in training.
    - Both networks train by Adam at a rate of 2e-3 for 12 epochs. At EMAN2's 2e-5 network 1 hardly learns in 20: on
      simulated KLH its squared error is then 0.21, against 0.11 here and 0.25 for a constant answer of 0.5. There is no
      weight decay.
    - Besides the threshold in deviations there is one of the score. The former depends on how crowded a micrograph is,
      and EMAN2's preset of 2 loses particles on crowded ones.

    Parameters
    ----------
    diameter, contrast, validation, seed
        See `cryokit.pickers.labelled.LabelledPicker`.
    box : int
        Side of a box in pixels at the working scale, even; a box is 1.5 diameters wide.
    filters : int
        Number of filters of the networks' first two convolutions; 20 in EMAN2.
    references : int
        Largest number of references of each kind, drawn at random.
    rotated : int
        Number of boxes of each kind to train on, rotated ones included.
    deviations : float
        Standard deviations above the map's mean from which a peak is a candidate.
    epochs : int
        Epochs of either network.

    Notes
    -----
    Tang et al. 2007, J. Struct. Biol. 157:38; Bell et al. 2018, J. Struct. Biol. 204:283; the source of EMAN2.21.
    """

    box_diameters = 1.5  # EMAN2 advises 1.5 to 2

    box: int = BOX // 2
    filters: int = 20
    references: int = number(500, FEWEST, whole=True)
    rotated: int = number(600, FEWEST, whole=True)
    deviations: float = number(1.0, 0, 10)
    epochs: int = number(12, 1, whole=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        # Networks of the same shape must not start alike.
        self._config = Eman2Config(box=self.box, filters=self.filters, seed=2 * self.seed)
        self._judge_config = dataclasses.replace(self._config, mean=True, seed=2 * self.seed + 1)

    def _learn(self, scenes: Sequence[Scene]) -> None:
        rng = np.random.default_rng(self.seed)
        good = self._drawn([scene.particles for scene in scenes], rng)
        share = math.ceil(self.references / len(scenes))
        free = [off_centre(scene.occupied, self.working_diameter, scene.shape, share, rng) for scene in scenes]
        background = self._drawn(free, rng)
        counts = {"good": _count(good), "background": _count(background)}
        for kind, count in counts.items():
            if count < FEWEST:
                raise PickerError(
                    f"{plural(count, f'{kind} reference')}, at least {FEWEST} are needed; give more labelled "
                    "micrographs"
                )
        good_boxes = self._boxes(scenes, good, rng)
        background_boxes = self._boxes(scenes, background, rng)
        finder, judge = self._config.build(), self._judge_config.build()
        blobs = np.zeros((len(good_boxes) + len(background_boxes), self.box // 2, self.box // 2, 1), np.float32)
        blobs[: len(good_boxes)] = self._blob()
        self._fit(finder, good_boxes, background_boxes, blobs)

        ignored = self._drawn([scene.ignored for scene in scenes], rng)
        false = self._false(finder, scenes, min(self.references, counts["good"]) - _count(ignored))
        bad = [np.concatenate(pair) for pair in zip(ignored, false, strict=True)]
        counts["bad"] = _count(bad)
        self._decide("references: " + ", ".join(f"{number} {kind}" for kind, number in counts.items()))
        others = {}
        if counts["bad"] >= FEWEST:
            bad_boxes = self._boxes(scenes, bad, rng)
            answers = np.repeat(np.float32([1, 0]), [len(good_boxes), len(bad_boxes)])[:, None]
            self._fit(judge, good_boxes, bad_boxes, answers)
            others["judge"] = self._judge_config, judge
        else:
            self._decide(f"fewer than {FEWEST} bad references: all candidates are kept")
        self.model_ = self._model(finder, self._config, others, references=counts)

    def _fit(self, network: keras.Model, good: NDArray, other: NDArray, targets: NDArray) -> None:
        boxes = np.concatenate([good, other])
        batches = functools.partial(ShuffledBatches, (boxes, targets), BATCH, self.seed)
        settings = TrainingSettings(learning_rate=RATE, epochs=self.epochs, warm_up=WARM_UP)
        self.histories_.append(fit_batches(network, batches, "mean_squared_error", settings, seed=self.seed))

    def _prepare(self, micrograph: Micrograph) -> Picture:
        """Return the levelled picture without fine noise, of standard deviation 1, clamped."""
        picture, frame = super()._prepare(micrograph)
        picture = ndimage.gaussian_filter(picture, BLUR * self.working_diameter, mode="mirror")
        picture /= max(float(picture.std()), 1e-6)
        return Picture(np.clip(picture, -CLAMP, CLAMP, out=picture), frame)

    def _blob(self) -> NDArray[np.float32]:
        """Return the map of a good box, shape (box / 2, box / 2, 1)."""
        # A position of the map lies in the middle of two pixels.
        line = 2 * np.arange(self.box // 2) + 0.5 - (self.box - 1) / 2
        line = np.exp(-0.5 * (line / (2 * BLOB * self.box)) ** 2).astype(np.float32)
        return (line[:, None] * line)[..., None]

    def _drawn(self, places: list[NDArray], rng: np.random.Generator) -> list[NDArray]:
        """Return at most `references` of the places, drawn from all scenes together."""
        owner = np.repeat(np.arange(len(places)), [len(own) for own in places])
        drawn = rng.permutation(len(owner))[: self.references]
        together = np.concatenate(places)
        return [together[drawn[owner[drawn] == index]] for index in range(len(places))]

    def _boxes(self, scenes: Sequence[Scene], places: list[NDArray], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return boxes around the places, rotated by random angles to as many as are trained on."""
        # As wide as a box's diagonal, so that corners are filled when it turns.
        margin = math.ceil((self.box * (math.sqrt(2) - 1) + 2) / 2)
        wide = self.box + 2 * margin
        cuts = np.concatenate(
            [examples.cut(scene.picture, own, wide) for scene, own in zip(scenes, places, strict=True) if len(own)]
        )
        copies = math.ceil(self.rotated / len(cuts))
        angles = rng.uniform(0, 360, (copies, len(cuts)))
        inner = slice(margin, margin + self.box)
        boxes = [turned(cuts[k, ..., 0], angle)[inner, inner] for row in angles for k, angle in enumerate(row)]
        return np.clip(boxes[: max(self.rotated, len(cuts))], -CLAMP, CLAMP)[..., None]

    def _false(self, finder: keras.Model, scenes: Sequence[Scene], number: int) -> list[NDArray]:
        """Return, scene by scene, the false candidates among the best `number` of all scenes."""
        false = []
        for scene in scenes:
            candidates = self._candidates(finder, scene.picture)
            false.append(examples.mistakes(scene, candidates, WRONG * self.working_diameter))
        best = sorted(np.concatenate([candidates.score for candidates in false]), reverse=True)[: max(0, number)]
        least = best[-1] if best else math.inf
        return [candidates.where(candidates.score >= least).places for candidates in false]

    def _blobs(self, finder: keras.Model, picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], Frame]:
        """Return the smoothed map of network 0, and the frame of its positions in the picture."""
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
        candidates = self._candidates(self.model_.network, picture)
        candidates = candidates.where(candidates.score >= least)
        if "judge" in self.model_.companions and len(candidates.x):
            boxes = examples.cut(picture, candidates.places, self.box)
            answers = probabilities(self.model_.companions["judge"][1], boxes)[:, 0]
            candidates = candidates.where(answers >= GOOD)
        return candidates


def _count(places: list[NDArray]) -> int:
    return sum(len(own) for own in places)
