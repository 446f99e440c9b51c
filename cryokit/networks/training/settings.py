"""How a network is trained: the paper's settings and today's."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from cryokit.errors import PickerError


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of `cryokit.networks.training.train`.

    Attributes
    ----------
    optimizer : {"adam", "sgd"}
    learning_rate : float
        The largest of the schedule.
    momentum : float
        Of SGD; Adam has its own.
    schedule : {"constant", "cosine"}
        ``cosine`` rises over the first twentieth of the steps and then falls to a hundredth along half a cosine. It
        depends on nothing but the number of the step. Lowering the rate whenever the validation loss stops falling
        needs several epochs to notice that, which trainings of 5 to 20 epochs do not have, and a validation set.
    batch_size : int
    epochs : int
        At most so many.
    patience : int or None
        Stop when the validation loss has not fallen for so many epochs; None: never. Without validation samples there
        is nothing to stop by, and all epochs are trained.
    class_weights : bool
        Weigh the loss by one over the share of the sample's class in the training, so that each class counts the same.
        In a balanced set this changes nothing.
    augmentation : bool
        Mirror and rotate the samples by multiples of 90 degrees, and change their contrast (up to 20 %) and brightness
        (up to 0.1), anew in every epoch.
    mixed_precision : bool
        Compute in float16 where that is safe, with scaled losses, and keep the weights in float32: for graphics cards
        (a processor only gets slower).

    Raises
    ------
    PickerError
        When a value is not possible; the message names it.

    Examples
    --------
    >>> TrainingSettings(epochs=0)
    Traceback (most recent call last):
    ...
    cryokit.errors.PickerError: epochs 0: give a whole number, 1 or more
    """

    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    schedule: Literal["constant", "cosine"] = "cosine"
    batch_size: int = 32
    epochs: int = 15
    patience: int | None = 5
    class_weights: bool = True
    augmentation: bool = True
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        for name, known in (("optimizer", ("adam", "sgd")), ("schedule", ("constant", "cosine"))):
            if getattr(self, name) not in known:
                raise PickerError(f"{name} {getattr(self, name)!r}: give one of {', '.join(known)}")
        if not (_number(self.learning_rate) and self.learning_rate > 0):
            raise PickerError(f"learning_rate {self.learning_rate!r}: give a number above 0, such as 0.001")
        if not (_number(self.momentum) and 0 <= self.momentum < 1):
            raise PickerError(f"momentum {self.momentum!r}: give a number from 0 to below 1")
        for name in ("batch_size", "epochs", "patience"):
            value = getattr(self, name)
            if name == "patience" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise PickerError(f"{name} {value!r}: give a whole number, 1 or more")
        for name in ("class_weights", "augmentation", "mixed_precision"):
            if not isinstance(getattr(self, name), bool):
                raise PickerError(f"{name} {getattr(self, name)!r}: give True or False")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; ``TrainingSettings(**values)`` makes the settings again."""
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in asdict(self).items()}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


# The paper's (Al-Azzawi et al. 2020, BMC Bioinformatics 21:509, table 3 and appendix): SGD at a constant rate of 1e-4
# on mini-batches of 16. It names no momentum; 0.9 is the preset of MATLAB's `sgdm`. Its augmentation belongs to the
# training set (`cryokit.networks.patches.augment`), and it says nothing of weights or of stopping early.
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
