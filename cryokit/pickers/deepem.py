"""DeepEM: a small network that judges boxes, trained twice, the second time with its own mistakes as negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cryokit._util.validation import check_choice, check_number
from cryokit._util.wording import plural
from cryokit.networks import create
from cryokit.pickers import boxes as examples
from cryokit.pickers.labelled import Candidates, NetworkPicker, Scene

if TYPE_CHECKING:
    from cryokit.networks.training import History

ACROSS = 1.6  # side of the box in diameters: 272 pixels for KLH, which is 170 across
# Diameters from its centre within which a box shows a particle, and how often each is shown at most.
CENTRED, SHOWN = 0.1, 4
LOWER_BOUND = 0.6  # of the score of a pick, in the paper; here of a false one that is learned from
BESIDE = 0.4  # diameters between a false pick and the nearest particle at least
STRIDES = (1, 2, 3, 4, 6, 12)


class DeepEM(NetworkPicker):
    """Picks by DeepEM's network, which learns particles from labels, and then from what it has wrongly picked.

    1. *Scale.* Micrographs are resized so that `box` pixels are 1.6 diameters, as in the paper for KLH, and levelled
       (`cryokit.imaging.preparation.levelled`).
    2. *Examples.* Boxes of particles and of background, each rotated by 90, 180 and 270 degrees.
    3. *Training*, and again in each further round, from the weights reached, with false picks on the training
       micrographs (at most `boxes`, drawn at random) among the negatives.
    4. *Picking.* Scores of all windows, `stride` pixels apart; their peaks, half a diameter apart at least; of these
       the `most` best.

    What the paper leaves open or what is otherwise here: the box has 65 pixels by default and kernels in proportion, so
    that two cores train it in half a minute (``box=272`` for the paper's); there are seldom 800 labelled particles, so
    each is shown up to four times, a little off its centre; all boxes are turned, mirrored and changed in contrast at
    random besides; background is drawn at places that are on no particle, half
    of them beside one; the training is by Adam, with batches of 64 and fewer epochs (the paper: 400 and 50), which
    trains sigmoids in far fewer steps; classes count the same, however many boxes there are of each; all windows are
    scored at once, which gives the same scores as one after the other; the paper's lower bound of the score, 0.6, says
    what a false pick is, while the picker's own threshold is chosen on micrographs held out; `most` is 2,000 and not
    500, since some micrographs of small proteins show more than 600 particles.

    Parameters
    ----------
    diameter, contrast, validation, seed
        As in `cryokit.pickers.labelled.LabelledPicker`.
    box : int
        Side of the network's window in pixels.
    boxes : int
        Of each class at most in the first round, before they are rotated; 800 as in the paper.
    rounds : int
        Trainings: 1 without learning from mistakes, 2 in the paper.
    epochs : int
        Of each training.
    batch_size : int
    learning_rate : float
    dropout : float
        Fraction of the inputs of the output unit left out in training.
    stride : int
        Pixels of the resized micrograph between scores: 1, 2, 3, 4, 6 or 12.
    most : int
        Picks of a micrograph.

    Attributes
    ----------
    histories_ : list of cryokit.networks.training.History
        Of each round, after `fit`; their summaries are saved.

    Notes
    -----
    Zhu, Ouyang and Mao 2017, BMC Bioinformatics 18:348.
    """

    transient: ClassVar[tuple[str, ...]] = ("histories_",)

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        box: int = 65,
        boxes: int = 800,
        rounds: int = 2,
        epochs: int = 8,
        batch_size: int = 64,
        learning_rate: float = 0.02,
        dropout: float = 0.5,
        stride: int = 3,
        most: int = 2000,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, validation, seed)
        whole = {"boxes": boxes, "rounds": rounds, "epochs": epochs, "batch_size": batch_size, "most": most}
        for name, value in whole.items():
            check_number(name, value, 1, whole=True)
        check_choice("stride", stride, STRIDES)
        check_number("learning_rate", learning_rate, 0, above=True)
        self.box = box
        self.boxes = boxes
        self.rounds = rounds
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.stride = stride
        self.most = most
        self.histories_: list[History] = []
        self._config = create("deepem", box=box, dropout=dropout, seed=seed)

    @property
    def working_diameter(self) -> float:
        """Pixels across a particle in the resized micrograph."""
        return self.box / ACROSS

    @property
    def window(self) -> int:
        """Side of the network's window."""
        return self.box

    def _learn(self, scenes: Sequence[Scene]) -> None:
        from cryokit.networks.training import Samples, TrainingSettings, train

        rng = np.random.default_rng(self.seed)
        diameter = self.working_diameter
        number = min(self.boxes, SHOWN * sum(len(scene.particles) for scene in scenes))
        good, bad = examples.both(scenes, self.box, number, self.boxes, diameter, rng, shift=CENTRED * diameter)
        settings = TrainingSettings(
            learning_rate=self.learning_rate, batch_size=self.batch_size, epochs=self.epochs, patience=None
        )
        network = self._config.build()
        self.model_ = self._model(network, self._config)
        self.histories_ = []
        for turn in range(self.rounds):
            if turn:
                wrong = self._mistakes(scenes)
                told = f"round {turn + 1}: {plural(len(wrong), 'false pick')}"
                # At random: the surest of very many are particles that have no label.
                wrong = wrong[np.sort(rng.permutation(len(wrong))[: self.boxes])]
                self._decide(f"{told}, {len(wrong)} more among the negatives")
                bad = np.concatenate([bad, wrong])
            boxes = examples.rotated(np.concatenate([good, bad]))
            classes = np.tile(np.repeat([0, 1], [len(good), len(bad)]), len(boxes) // (len(good) + len(bad)))
            self.histories_.append(train(network, Samples(boxes, classes), None, settings, seed=self.seed + turn))
        summaries = [history.summary() for history in self.histories_]
        self.model_ = self._model(network, self._config, trainings=summaries)

    def _mistakes(self, scenes: Sequence[Scene]) -> NDArray[np.float32]:
        """Return boxes of what is picked where no particle is."""
        boxes = []
        for scene in scenes:
            found = self._find(scene.picture, LOWER_BOUND)
            places = examples.wrongly_found(scene, found.x, found.y, BESIDE * self.working_diameter)
            boxes.append(examples.cut(scene.picture, places, self.box))
        return np.concatenate(boxes)

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        return Candidates(*(values[: self.most] for values in super()._find(picture, least)))
