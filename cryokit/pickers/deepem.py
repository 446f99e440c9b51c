"""DeepEM: a small network that judges boxes, trained twice, the second time with its own mistakes as negatives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryokit._util.checked_settings import choice, number
from cryokit._util.wording import plural
from cryokit.networks import create
from cryokit.networks.training import Samples, TrainingSettings
from cryokit.pickers import boxes as examples
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene

# Diameters from a particle's centre within which a box still shows it, and how many boxes of one particle there may be.
CENTRED, SHOWN = 0.1, 4
LOWER_BOUND = 0.6  # the paper's lowest score of a pick; here that of a false pick to learn from
BESIDE = 0.4  # smallest distance of a false pick from all particles, in diameters


@dataclass(eq=False)
class DeepEM(NetworkPicker):
    """Picker with DeepEM's network, which learns particles from labels and then from its own false picks.

    1. *Scale.* Micrographs are resized so that `box` pixels are 1.6 diameters, as in the paper for KLH, and levelled
       (`cryokit.imaging.preparation.levelled`).
    2. *Examples.* Boxes of particles and of background, each rotated by 90, 180 and 270 degrees.
    3. *Training.* Each further round goes on from the weights reached, with false picks on the training micrographs
       (a random choice of at most `boxes`) among the negatives.
    4. *Picking.* All windows are scored, `stride` pixels apart. The peaks of the scores, at least half a diameter
       apart, are the candidates; the best `most` of them are kept.

    Choices that the paper leaves open, and differences from it:

    - The box has 65 pixels by default, with kernels in proportion, so that two cores train the network in half a
      minute. ``box=272`` is the paper's size.
    - Few data sets have 800 labelled particles. Each is therefore shown up to four times, a little off its centre; all
      boxes are also rotated, mirrored and changed in contrast at random.
    - Background is drawn at places that are on no particle, half of them beside one.
    - Training uses Adam, batches of 64 and fewer epochs (the paper: 400 and 50), since Adam trains sigmoids in far
      fewer steps. Both classes weigh the same, however many boxes there are of each.
    - All windows are scored at once, which gives the same scores as one after the other.
    - The paper's lowest score of a pick, 0.6, says what a false pick is; the picker's own threshold is chosen on
      micrographs held out.
    - `most` is 2,000, not 500, since some micrographs of small proteins show more than 600 particles.

    Parameters
    ----------
    diameter, contrast, validation, seed
        See `cryokit.pickers.labelled.LabelledPicker`.
    box : int
        Side of the network's window in pixels.
    boxes : int
        Largest number of boxes per class in the first round, before they are rotated; 800 as in the paper.
    rounds : int
        Number of trainings: 1 without learning from mistakes, 2 in the paper.
    epochs : int
        Epochs per training.
    batch_size : int
        Boxes per training step.
    learning_rate : float
        Largest learning rate.
    dropout : float
        Fraction of the output unit's inputs that are left out in training.
    stride : {1, 2, 3, 4, 6, 12}
        Distance between scores, in pixels of the resized micrograph.
    most : int
        Largest number of picks per micrograph.

    Notes
    -----
    Zhu, Ouyang and Mao 2017, BMC Bioinformatics 18:348.
    """

    box_diameters = 1.6  # the paper's box has 272 pixels for KLH, which is 170 across

    box: int = 65
    boxes: int = number(800, 1, whole=True)
    rounds: int = number(2, 1, whole=True)
    epochs: int = number(8, 1, whole=True)
    batch_size: int = number(64, 1, whole=True)
    learning_rate: float = number(0.02, 0, above=True)
    dropout: float = 0.5
    stride: int = choice(3, 1, 2, 3, 4, 6, 12)
    most: int = number(2000, 1, whole=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._config = create("deepem", box=self.box, dropout=self.dropout, seed=self.seed)

    def _learn(self, scenes: Sequence[Scene]) -> None:
        rng = np.random.default_rng(self.seed)
        diameter = self.working_diameter
        number = min(self.boxes, SHOWN * sum(len(scene.particles) for scene in scenes))
        good = examples.particles(scenes, self.box, number, rng, shift=CENTRED * diameter)
        bad = examples.background(scenes, self.box, self.boxes, diameter, rng)
        settings = TrainingSettings(learning_rate=self.learning_rate, batch_size=self.batch_size, epochs=self.epochs)
        network = self._config.build()
        self.model_ = self._model(network, self._config)
        for turn in range(self.rounds):
            if turn:
                false = self._false_picks(scenes)
                # At random: the surest of very many are particles without a label.
                chosen = np.sort(rng.permutation(len(false))[: self.boxes])
                bad = np.concatenate([bad, false[chosen]])
                self._decide(
                    f"round {turn + 1}: {plural(len(false), 'false pick')}, {len(chosen)} more among the negatives"
                )
            boxes = examples.rotated(np.concatenate([good, bad]))
            classes = np.tile(np.repeat([0, 1], [len(good), len(bad)]), 4)
            self._train(network, Samples(boxes, classes), settings, self.seed + turn)
        self.model_ = self._model(network, self._config)

    def _false_picks(self, scenes: Sequence[Scene]) -> NDArray[np.float32]:
        """Return boxes of what is picked where no particle is."""
        boxes = []
        for scene in scenes:
            picks = self._find(scene.picture, LOWER_BOUND)
            false = examples.mistakes(scene, picks, BESIDE * self.working_diameter)
            boxes.append(examples.cut(scene.picture, false.places, self.box))
        return np.concatenate(boxes)

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        return super()._find(picture, least).where(slice(self.most))
