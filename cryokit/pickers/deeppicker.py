"""DeepPicker: a network that begins with other molecules, and goes on with labels or with its own surest picks."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.checked_settings import choice, number
from cryokit._util.wording import plural
from cryokit.evaluate.thresholds import UNDECIDED
from cryokit.imaging.preparation import detected_contrast, levelled
from cryokit.micrograph import MicrographLike
from cryokit.networks import NetworkConfig, create
from cryokit.networks.architectures.deeppicker_net import WINDOW
from cryokit.networks.devices import using
from cryokit.networks.training import Samples, TrainingSettings, train
from cryokit.pickers import boxes as examples
from cryokit.pickers.interface import Micrographs, Pictures
from cryokit.pickers.labelled import NetworkPicker, Scene

if TYPE_CHECKING:
    import keras

BOX_DIAMETERS = 1.6  # side of the network's window
WORKING_DIAMETER = WINDOW / BOX_DIAMETERS
# Diameters from a particle's centre within which a box still shows it, and how many boxes of one particle there may be.
CENTRED, SHOWN = 0.1, 8
NEGATIVES = 3  # boxes of background per box of a particle: most of a micrograph is background
SETTINGS = {
    "modern": TrainingSettings(batch_size=32, epochs=8, class_weights=False),
    "paper": TrainingSettings(
        optimizer="sgd", learning_rate=0.01, schedule="staircase", batch_size=50, epochs=40, class_weights=False
    ),
}
# Micrographs of other molecules, each with a molecule of its own: their number, their side in diameters, the diameter
# in pixels, the ranges of the signal-to-noise ratio and of the share of the area that particles cover, and the boxes of
# particles taken from each.
OTHERS, SIDE, DIAMETER = 48, 8.0, 45
SNR, COVERED = (0.3, 2.0), (0.06, 0.3)
BOXES_EACH = 16
DIRT, RODS = 0.6, 0.05  # largest numbers of blobs and of filaments per particle
# Score from which a pick is learned from, and score from which its place does not count as background.
SURE, DOUBTFUL = 0.8, 0.3
FEWEST = 12  # smallest number of sure picks to learn from


@dataclass(eq=False)
class DeepPicker(NetworkPicker):
    """Picker with DeepPicker's network, which learns from other molecules, then from labels or its own surest picks.

    1. *Scale.* Micrographs are resized so that the network's window of 64 pixels is 1.6 diameters, and levelled
       (`cryokit.imaging.preparation.levelled`). Each window then has about mean 0 and standard deviation 1, to which
       the paper brings each box.
    2. *Other molecules.* On simulated micrographs of particles of random shapes (`cryokit.simulate.random_protein`) the
       network learns to find particles of any kind.
    3. *With labels* it goes on with these. *Without*, it picks the micrographs and learns from the better half of its
       picks, those with a score of at least 0.8, as particles, and from places that it has not picked as background;
       and again in each further round.
    4. *Picking.* All windows are scored, `stride` pixels apart. The peaks of the scores are the candidates; of those
       closer than half a diameter the best stays.

    Choices that the paper leaves open, and differences from it:

    - The other molecules are simulated; the paper has real micrographs of some.
    - Training is by Adam by default, which two cores finish in half a minute. ``training="paper"`` is gradient descent
      with momentum 0.9 and a learning rate of 0.01 that is multiplied by 0.95 every 400 steps; its batch of 50 is a
      choice made here.
    - There are three boxes of background per box of a particle, half of them beside one, since a balanced set makes
      a network see particles everywhere.
    - Each particle is shown several times, a little off its centre, rotated and mirrored, and with up to a fifth more
      or less contrast.
    - All windows are scored at once, which gives the same scores as one after the other.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph; default: the median of the labels, and without labels an
        estimate (`cryokit.pickers.template`).
    contrast : {"dark", "bright"}, optional
        Contrast of the particles; detected by default, since the network begins with dark ones. With labels and without
        `pretrain` it makes no difference.
    validation, seed
        See `cryokit.pickers.labelled.LabelledPicker`.
    pretrain : bool
        Whether to begin with other molecules. Without labels there is no other beginning.
    rounds : int
        Rounds of learning from its own picks, without labels; with 0 it picks as other molecules have taught it.
    training : {"modern", "paper"}
        Way to train.
    epochs : int, optional
        Epochs per training; default: 8 (modern) or 40 (paper).
    boxes : int
        Largest number of boxes of particles.
    width : float
        Factor on the numbers of filters and units of the network.
    stride : {1, 2, 4, 8, 16}
        Distance between scores, in pixels of the resized micrograph.
    max_micrographs : int
        Largest number of micrographs to learn from, spread evenly over those given. With labels all are used.

    Attributes
    ----------
    threshold_ : float
        Lowest score of a pick: with labels the best on micrographs held out, without from the distribution of the
        scores.

    Notes
    -----
    Wang, Gong, Liu, Li, Yan, Xia, Li and Zeng 2016, J. Struct. Biol. 195:325. The other molecules are simulated and
    learned once per process for each seed and each way to train.
    """

    box_diameters = BOX_DIAMETERS
    window = WINDOW

    pretrain: bool = choice(True, True, False)
    rounds: int = number(2, 0, whole=True)
    training: Literal["modern", "paper"] = choice("modern", *SETTINGS)
    epochs: int | None = number(None, 1, whole=True, optional=True)
    boxes: int = number(800, 1, whole=True)
    width: float = 1.0
    stride: int = choice(4, 1, 2, 4, 8, 16)
    max_micrographs: int = number(12, 1, whole=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._config = create("deeppicker", width=self.width, seed=self.seed)

    @using()
    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> DeepPicker:
        """Learn from micrographs, with labels or without; see `cryokit.pickers.labelled.LabelledPicker.fit`.

        Raises
        ------
        PickerError
            If there are no micrographs, none of the labels is of these micrographs, or nothing can be learned from
            them.
        """
        if labels is not None:
            return super().fit(micrographs, labels)
        self._forget()
        micrographs = Micrographs.to_learn_from(micrographs).spread(self.max_micrographs)
        self._find_out_scale(micrographs)
        network = self._taught_by_others()
        pictures = Pictures(micrographs, self._prepare)
        self.model_ = self._model(network, self._config)
        for turn in range(self.rounds):
            scenes = self._labelled_by_itself(pictures)
            number = sum(len(scene.particles) for scene in scenes)
            if number < FEWEST:
                self._decide(
                    f"{plural(number, 'sure pick')}, too few to learn from (fewer than {FEWEST}): the network picks as "
                    "it is"
                )
                break
            self._decide(f"round {turn + 1}: learns from {number} sure picks of its own")
            self._teach(network, scenes, self.seed + 1 + turn)
        self.model_ = self._model(network, self._config)
        # Below 0.5 the network itself says background.
        self._choose_threshold(pictures, lowest=UNDECIDED)
        self._centre(pictures)
        return self

    def _learn(self, scenes: Sequence[Scene]) -> None:
        network = self._taught_by_others() if self.pretrain else self._config.build()
        self._teach(network, scenes, self.seed)
        self.model_ = self._model(network, self._config)

    @property
    def _settings(self) -> TrainingSettings:
        settings = SETTINGS[self.training]
        return dataclasses.replace(settings, epochs=self.epochs or settings.epochs)

    def _taught_by_others(self) -> keras.Model:
        network = self._config.build()
        network.set_weights(_other_weights(self._config, self._settings))
        self._decide(f"began with {plural(OTHERS, 'simulated micrograph')} of other molecules")
        return network

    def _teach(self, network: keras.Model, scenes: Sequence[Scene], seed: int) -> None:
        number = min(self.boxes, SHOWN * sum(len(scene.particles) for scene in scenes))
        self._train(network, _samples(scenes, number, np.random.default_rng(seed)), self._settings, seed)

    def _find_out_scale(self, micrographs: Micrographs) -> None:
        """Estimate the diameter and detect the contrast, unless they are given."""
        self.diameter_, self.contrast_ = self.diameter, self.contrast
        if self.diameter_ is None:
            from cryokit.pickers.template import TemplatePicker

            template = TemplatePicker(contrast=self.contrast, max_micrographs=self.max_micrographs)
            self.diameter_ = template.estimated_diameter(template.reduced(micrographs))
            self.contrast_ = template.contrast_
        elif self.contrast_ is None:
            self.contrast_ = detected_contrast(micrographs, self.diameter_)
        self._decide_scale()

    def _contrast(self, micrographs: Micrographs) -> str:
        # Other molecules have taught it to find dark particles.
        return detected_contrast(micrographs.spread(self.max_micrographs), self.diameter_) if self.pretrain else "dark"

    def _labelled_by_itself(self, pictures: Pictures) -> list[Scene]:
        """Return the pictures with the surest picks as particles, and with the other picks as ignored labels."""
        candidates = [self._find(picture.data, DOUBTFUL) for picture in pictures]
        scores = np.concatenate([found.score for found in candidates])
        picked = scores[scores >= UNDECIDED]
        limit = max(SURE, float(np.median(picked))) if len(picked) else SURE
        scenes = []
        for index, (name, found) in enumerate(zip(pictures.names, candidates, strict=True)):
            sure = found.score >= limit
            particles, ignored = found.where(sure).places, found.where(~sure).places
            load = partial(pictures.pixels, index)
            scenes.append(Scene(name, pictures[index].frame.shape, load, particles, np.repeat("", sure.sum()), ignored))
        return scenes


def _samples(scenes: Sequence[Scene], number: int, rng: np.random.Generator) -> Samples:
    """Return boxes of particles, `number` of them, and `NEGATIVES` times as many of background."""
    good = examples.particles(scenes, WINDOW, number, rng, shift=CENTRED * WORKING_DIAMETER)
    bad = examples.background(scenes, WINDOW, NEGATIVES * number, WORKING_DIAMETER, rng)
    return Samples(np.concatenate([good, bad]), np.repeat([0, 1], [len(good), len(bad)]))


@functools.lru_cache(maxsize=4)
def _other_weights(config: NetworkConfig, settings: TrainingSettings) -> tuple[NDArray, ...]:
    """Return the weights of a network that has learned other molecules."""
    rng = np.random.default_rng(config.seed)
    molecules = (_other_molecule(config.seed, number) for number in range(OTHERS))
    samples = [_samples([scene], BOXES_EACH, rng) for scene in molecules if len(scene.particles)]
    together = Samples(np.concatenate([part.x for part in samples]), np.concatenate([part.y for part in samples]))
    network = config.build()
    train(network, together, None, settings, seed=config.seed)
    return tuple(network.get_weights())


@functools.lru_cache(maxsize=OTHERS)
def _other_molecule(seed: int, number: int) -> Scene:
    """Return a simulated micrograph of a protein that does not exist, another one for each number."""
    from cryokit.errors import SimulationError
    from cryokit.simulate import CONDITIONS, random_protein, simulate

    rng = np.random.default_rng((seed, number))
    protein = random_protein(int(rng.integers(1 << 30)))
    size = protein.forms[0].diameter
    usual = CONDITIONS[str(rng.choice(sorted(CONDITIONS)))]
    snr, covered = (math.exp(rng.uniform(*np.log(span))) for span in (SNR, COVERED))
    dirt, rods = rng.uniform(0, DIRT), max(0.0, rng.uniform(-RODS, RODS))
    density = covered / (math.pi / 4 * (size * 1e-4) ** 2)
    while True:
        conditions = dataclasses.replace(
            usual,
            pixel_size=size / DIAMETER,
            density=density,
            contamination=dirt * density,
            filaments=rods * density,
            b_factor=min(usual.b_factor, (size / 20) ** 2),
        )
        try:
            micrograph, truth = simulate(
                protein,
                shape=(round(SIDE * DIAMETER),) * 2,
                snr=snr,
                seed=np.random.SeedSequence([seed, number]),
                conditions=conditions,
                name=protein.name,
            )
            break
        except SimulationError:  # there is no room for so many
            density *= 0.7
    picture = levelled(micrograph, DIAMETER, "dark", WORKING_DIAMETER / DIAMETER, WINDOW)
    return Scene.of(micrograph, picture, truth)
