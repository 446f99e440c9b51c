"""DeepPicker: a network that begins with other molecules, and goes on with labels or with its own surest picks."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.validation import check_choice, check_number
from cryokit._util.wording import plural
from cryokit.coordinates import concatenate
from cryokit.evaluate.thresholds import UNDECIDED, threshold_from_scores
from cryokit.imaging.preparation import detected_contrast, levelled
from cryokit.micrograph import Micrograph
from cryokit.networks import create
from cryokit.networks.architectures.deeppicker_net import WINDOW
from cryokit.networks.devices import using
from cryokit.pickers import boxes as examples
from cryokit.pickers.interface import Micrographs, Pictures
from cryokit.pickers.labelled import FAINTEST, NetworkPicker, Scene

if TYPE_CHECKING:
    import keras

    from cryokit.networks import NetworkConfig
    from cryokit.networks.training import History, Samples

ACROSS = 1.6  # side of the box in diameters
WORKING_DIAMETER = WINDOW / ACROSS
# Diameters from its centre within which a box shows a particle, and how often each is shown at most.
CENTRED, SHOWN = 0.1, 8
NEGATIVES = 3  # boxes of background for each of a particle: most of a micrograph is background
STRIDES = (1, 2, 4, 8, 16)
# Of each way to train: batch, learning rate, and epochs.
BATCH = {"modern": 32, "paper": 50}
RATE = {"modern": 1e-3, "paper": 0.01}
EPOCHS = {"modern": 8, "paper": 40}
DECAY, DECAY_STEPS = 0.95, 400  # of the paper's rate
# Other molecules: how many micrographs, one of each; their sides and, in pixels, their particles' diameters; between
# what their signal-to-noise ratio lies, and the share of the area that particles cover; boxes of particles from each.
OTHERS, SIDE, DIAMETER = 48, 8.0, 45
SNR, COVERED = (0.3, 2.0), (0.06, 0.3)
EACH = 16
DIRT, RODS = 0.6, 0.05  # blobs and filaments for each particle at most
# Score of a pick from which it is learned from, and from which on its place is no background.
SURE, DOUBTFUL = 0.8, 0.3
FEWEST = 12  # sure picks to learn from at least


class DeepPicker(NetworkPicker):
    """Picks by DeepPicker's network, which learns from other molecules, from labels, and from its own surest picks.

    1. *Scale.* Micrographs are resized so that the network's window of 64 pixels is 1.6 diameters, and levelled
       (`cryokit.imaging.preparation.levelled`): each window then has about the mean 0 and the deviation 1, which the paper gives to
       every single box.
    2. *Other molecules.* The network learns to find particles of random shapes (`cryokit.simulate.random_protein`) on
       simulated micrographs: particles at all, whatever they look like.
    3. *With labels* it goes on with these. *Without*, it picks the micrographs, and goes on with the better half of its
       picks, those of a score of at least 0.8, as particles, and with places that it has not picked as background; and
       again in each further round.
    4. *Picking.* Scores of all windows, `stride` pixels apart; their peaks; of picks nearer to each other than half a
       diameter the best.

    What the paper leaves open or what is otherwise here: the other molecules are simulated, where the paper has real
    micrographs of some; training is by Adam by default, which two cores finish in half a minute
    (``training="paper"`` is gradient descent with momentum 0.9 and a rate of 0.01, times 0.95 every 400 steps; its
    batch of 50 is a choice made here, and the momentum begins anew at each new rate); there are three boxes of
    background for each particle, half of them beside one, since a balanced set makes a network see particles
    everywhere; particles are shown several times, a little off their centre, mirrored and rotated, and with up to a
    fifth more or less contrast; all windows are scored at once, which gives the same scores as one after the other.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph. When not given, the median of the labels; without labels it is
        estimated (`cryokit.pickers.template`).
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; detected when not given, since the network begins with dark ones. With
        labels and without `pretrain` it makes no difference.
    pretrain : bool
        Begin with other molecules. Without labels there is no other beginning.
    rounds : int
        Of learning from its own picks, without labels; 0 picks as other molecules have taught it.
    training : {"modern", "paper"}
    epochs : int, optional
        Of each training; 8 (modern) or 40 (paper) when not given.
    boxes : int
        Of particles at most.
    width : float
        Factor on the numbers of filters and units of the network.
    stride : int
        Pixels of the resized micrograph between scores: 1, 2, 4, 8 or 16.
    max_micrographs : int
        At most so many micrographs, spread evenly over those given, are learned from. With labels all are.
    validation, seed
        As in `cryokit.pickers.labelled.LabelledPicker`.

    Attributes
    ----------
    threshold_ : float
        With labels the best on micrographs held out; without, from the distribution of the scores.

    Notes
    -----
    Wang, Gong, Liu, Li, Yan, Xia, Li and Zeng 2016, J. Struct. Biol. 195:325. The other molecules are simulated and
    learned once in a process for each seed and each way to train.
    """

    working_diameter = WORKING_DIAMETER
    window = WINDOW

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        pretrain: bool = True,
        rounds: int = 2,
        training: Literal["modern", "paper"] = "modern",
        epochs: int | None = None,
        boxes: int = 800,
        width: float = 1.0,
        stride: int = 4,
        max_micrographs: int = 12,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, validation, seed)
        check_choice("pretrain", pretrain, (True, False))
        check_choice("training", training, tuple(EPOCHS))
        check_choice("stride", stride, STRIDES)
        check_number("rounds", rounds, 0, whole=True)
        check_number("boxes", boxes, 1, whole=True)
        check_number("max_micrographs", max_micrographs, 1, whole=True)
        if epochs is not None:
            check_number("epochs", epochs, 1, whole=True)
        self.pretrain = pretrain
        self.rounds = rounds
        self.training = training
        self.epochs = epochs
        self.boxes = boxes
        self.width = width
        self.stride = stride
        self.max_micrographs = max_micrographs
        self._config = create("deeppicker", width=width, seed=seed)

    @using()
    def fit(
        self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame | None = None
    ) -> DeepPicker:
        """Learn from micrographs, with labels or without.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        labels : pandas.DataFrame, optional
            As in `cryokit.pickers.labelled.LabelledPicker.fit`.

        Returns
        -------
        DeepPicker
            Itself.

        Raises
        ------
        PickerError
            When there are no micrographs, none of the labels is of these micrographs, or nothing can be learned from
            them.
        """
        if labels is not None:
            return super().fit(micrographs, labels)
        self.decisions_ = []
        micrographs = Micrographs.to_learn_from(micrographs).spread(self.max_micrographs)
        self._look(micrographs)
        network = self._taught_by_others()
        pictures = Pictures(micrographs, self._prepare)
        self.model_ = self._model(network, self._config)
        trainings = []
        for turn in range(self.rounds):
            scenes = self._labelled_by_itself(micrographs.names, pictures)
            number = sum(len(scene.particles) for scene in scenes)
            if number < FEWEST:
                self._decide(
                    f"{plural(number, 'sure pick')}, too few to learn from (fewer than {FEWEST}): the network picks as "
                    "it is"
                )
                break
            self._decide(f"round {turn + 1}: learns from {number} sure picks of its own")
            trainings.append(self._teach(network, scenes, self.seed + 1 + turn).summary())
        self.model_ = self._model(network, self._config, trainings=trainings)
        picks = concatenate(
            self._picks(name, picture, FAINTEST) for name, picture in zip(micrographs.names, pictures, strict=True)
        )
        # Below, the network itself says background.
        self.threshold_ = max(UNDECIDED, threshold_from_scores(picks["score"]))
        self._decide(
            f"threshold {self.threshold_:.2f}, from the distribution of the scores on "
            f"{plural(len(micrographs), 'micrograph')}"
        )
        return self

    def _learn(self, scenes: Sequence[Scene]) -> None:
        network = self._taught_by_others() if self.pretrain else self._config.build()
        history = self._teach(network, scenes, self.seed)
        self.model_ = self._model(network, self._config, trainings=[history.summary()])

    def _taught_by_others(self) -> keras.Model:
        network = self._config.build()
        network.set_weights(_other_weights(self._config, self.training, self.epochs))
        self._decide(f"began with {plural(OTHERS, 'simulated micrograph')} of other molecules")
        return network

    def _teach(self, network: keras.Model, scenes: Sequence[Scene], seed: int) -> History:
        number = min(self.boxes, SHOWN * sum(len(scene.particles) for scene in scenes))
        samples = _samples(scenes, number, np.random.default_rng(seed))
        return _train(network, samples, self.training, self.epochs, seed)

    def _look(self, micrographs: Micrographs) -> None:
        """Find out the contrast and the diameter, where they are not given."""
        if self.diameter is None:
            from cryokit.pickers.template import TemplatePicker

            template = TemplatePicker(contrast=self.contrast, max_micrographs=self.max_micrographs).fit(micrographs)
            self.diameter_, self.contrast_ = template.diameter_, template.contrast_
        else:
            self.diameter_, self.contrast_ = float(self.diameter), self.contrast
        if self.contrast_ is None:
            self.contrast_ = detected_contrast(micrographs, self.diameter_)
        self._decide(
            f"particles are {self.contrast_} ({'given' if self.contrast else 'detected'}), {self.diameter_:.0f} pixels "
            f"across ({'given' if self.diameter else 'estimated'})"
        )

    def _contrast(self, micrographs: Micrographs) -> str:
        # What other molecules have taught it is to find dark particles.
        seen = micrographs.spread(self.max_micrographs)
        return detected_contrast(seen, self.diameter_) if self.pretrain else "dark"

    def _labelled_by_itself(self, names: Sequence[str], pictures: Pictures) -> list[Scene]:
        """Return the pictures with the surest picks as particles, and the other picks as what is to be ignored."""
        candidates = [self._find(picture.data, DOUBTFUL) for picture in pictures]
        scores = np.concatenate([found.score for found in candidates])
        picked = scores[scores >= UNDECIDED]
        limit = max(SURE, float(np.median(picked))) if len(picked) else SURE
        scenes = []
        for index, (name, found) in enumerate(zip(names, candidates, strict=True)):
            places, sure = np.column_stack([found.x, found.y]), found.score >= limit
            views = np.full(int(sure.sum()), "", object)
            load = partial(pictures.pixels, index)
            scenes.append(Scene(name, pictures[index].data.shape, load, places[sure], views, places[~sure]))
        return scenes


def _samples(scenes: Sequence[Scene], number: int, rng: np.random.Generator) -> Samples:
    """Return so many boxes of particles, and boxes of background, as `NEGATIVES` says."""
    from cryokit.networks.training import Samples

    shift = CENTRED * WORKING_DIAMETER
    good, bad = examples.both(scenes, WINDOW, number, NEGATIVES * number, WORKING_DIAMETER, rng, shift=shift)
    return Samples(np.concatenate([good, bad]), np.repeat([0, 1], [len(good), len(bad)]))


def _train(network: keras.Model, samples: Samples, training: str, epochs: int | None, seed: int) -> History:
    """Train the network; return what happened last."""
    from cryokit.networks.training import TrainingSettings, train

    left = EPOCHS[training] if epochs is None else epochs
    settings = TrainingSettings(
        learning_rate=RATE[training],
        batch_size=BATCH[training],
        epochs=left,
        patience=None,
        class_weights=False,
    )
    if training == "modern":
        return train(network, samples, None, settings, seed=seed)
    # The rate falls in steps; each is a training of its own.
    each = max(1, round(DECAY_STEPS / math.ceil(len(samples) / BATCH[training])))
    turn = 0
    while left:
        settings = dataclasses.replace(
            settings,
            optimizer="sgd",
            schedule="constant",
            learning_rate=RATE[training] * DECAY**turn,
            epochs=min(each, left),
        )
        history = train(network, samples, None, settings, seed=seed + 1000 * turn)
        left, turn = left - settings.epochs, turn + 1
    return history


@functools.lru_cache(maxsize=4)
def _other_weights(config: NetworkConfig, training: str, epochs: int | None) -> tuple[NDArray, ...]:
    """Return the weights of a network that has learned other molecules."""
    from cryokit.networks.training import Samples

    rng = np.random.default_rng(config.seed)
    samples = [_samples([scene], EACH, rng) for scene in _other_molecules(config.seed) if len(scene.particles)]
    together = Samples(np.concatenate([each.x for each in samples]), np.concatenate([each.y for each in samples]))
    network = config.build()
    _train(network, together, training, epochs, config.seed)
    return tuple(network.get_weights())


@functools.lru_cache(maxsize=1)
def _other_molecules(seed: int) -> tuple[Scene, ...]:
    """Return simulated micrographs of proteins that do not exist, each of another one."""
    from cryokit.simulate import CONDITIONS, SimulationError, random_protein, simulate

    scenes = []
    for number in range(OTHERS):
        rng = np.random.default_rng((seed, number))
        protein = random_protein(int(rng.integers(1 << 30)))
        size = protein.forms[0].diameter
        usual = CONDITIONS[str(rng.choice(sorted(CONDITIONS)))]
        snr, covered = (math.exp(rng.uniform(*np.log(span))) for span in (SNR, COVERED))
        dirt, rods = rng.uniform(0, DIRT), max(0.0, rng.uniform(-RODS, RODS))
        density = covered / (math.pi / 4 * (size * 1e-4) ** 2)
        for attempt in range(20):
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
            except SimulationError:  # there was no room for so many
                if attempt == 19:
                    raise
                density *= 0.7
        picture = levelled(micrograph, DIAMETER, "dark", WORKING_DIAMETER / DIAMETER, WINDOW)
        scenes.append(Scene.of(micrograph, picture, truth))
    return tuple(scenes)
