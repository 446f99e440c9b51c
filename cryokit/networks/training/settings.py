"""How a network is trained: the paper's settings and today's."""

from dataclasses import dataclass
from typing import Literal

from cryokit._util.checked_settings import CheckedSettings, choice, number


@dataclass(frozen=True)
class TrainingSettings(CheckedSettings):
    """Settings of `cryokit.networks.training.train`.

    Attributes
    ----------
    optimizer : {"adam", "sgd"}
        Optimizer.
    learning_rate : float
        Learning rate; the largest one of a schedule.
    momentum : float
        Momentum of SGD; Adam has its own.
    schedule : {"constant", "cosine", "staircase"}
        Schedule of the learning rate. ``cosine`` rises over the first steps (`warm_up`) and then falls to a hundredth
        along half a cosine; ``staircase``, DeepPicker's, multiplies the rate by 0.95 every 400 steps. All depend on the
        number of the step only. Lowering the rate when the validation loss stops falling would need a validation set,
        and several epochs to notice, which trainings of 5 to 20 epochs lack.
    warm_up : float
        Share of the steps over which ``cosine`` rises.
    batch_size : int
        Samples of a batch.
    epochs : int
        Largest number of epochs.
    patience : int or None
        Epochs without a lower validation loss after which the training stops; None for no early stop. Without
        validation samples all epochs are trained.
    class_weights : bool
        Whether to weigh the loss of a sample by one over the share of its class in the training samples, so that each
        class counts the same. In a balanced set this changes nothing.
    augmentation : bool
        Whether to mirror and rotate the samples by multiples of 90 degrees, and change their contrast (up to 20 %) and
        brightness (up to 0.1), anew in every epoch.
    mixed_precision : bool
        Whether to compute in float16 where that is safe, with scaled losses, and keep the weights in float32: for
        graphics cards (a processor only gets slower).

    Raises
    ------
    ArgumentError
        If a value is not possible; the message names it.
    """

    optimizer: Literal["adam", "sgd"] = choice("adam", "adam", "sgd")
    learning_rate: float = number(1e-3, 0, above=True)
    momentum: float = number(0.9, 0, 0.9999)
    schedule: Literal["constant", "cosine", "staircase"] = choice("cosine", "constant", "cosine", "staircase")
    warm_up: float = number(0.05, 0, 0.5)
    batch_size: int = number(32, 1, whole=True)
    epochs: int = number(15, 1, whole=True)
    patience: int | None = number(5, 1, whole=True, optional=True)
    class_weights: bool = choice(True, True, False)
    augmentation: bool = choice(True, True, False)
    mixed_precision: bool = choice(False, True, False)


# The paper's (Al-Azzawi et al. 2020, BMC Bioinformatics 21:509, table 3 and appendix): SGD at a constant rate of 1e-4
# on mini-batches of 16. It names no momentum; 0.9 is the preset of MATLAB's `sgdm`. Its augmentation belongs to the
# training set (`cryokit.networks.patches.augment`), and it mentions neither weights nor early stopping.
PAPER_EPOCHS = (20, 32, 64)
PAPER = TrainingSettings(
    optimizer="sgd",
    learning_rate=1e-4,
    schedule="constant",
    batch_size=16,
    epochs=PAPER_EPOCHS[0],
    patience=None,
    class_weights=False,
    augmentation=False,
)
MODERN = TrainingSettings()
