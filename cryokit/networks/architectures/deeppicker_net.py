"""DeepPicker's network: four convolutions with ReLU and max-pooling, and two fully connected layers.

Wang et al., J. Struct. Biol. 195:325 (2016). In boxes of 64 pixels, with C classes:

==== ============================ ============
     layer                        output
==== ============================ ============
C1   convolution 8 @ 9 x 9        56 x 56 x 8
M2   max-pooling 2 x 2            28 x 28 x 8
C3   convolution 16 @ 5 x 5       24 x 24 x 16
M4   max-pooling 2 x 2            12 x 12 x 16
C5   convolution 32 @ 3 x 3       10 x 10 x 32
M6   max-pooling 2 x 2            5 x 5 x 32
C7   convolution 64 @ 2 x 2       4 x 4 x 64
M8   max-pooling 2 x 2            2 x 2 x 64
F9   fully connected              128
O10  output                       C
==== ============================ ============

Nothing is padded and every step divides without rest: each score depends on its window of 64 x 64 pixels alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit.networks.architectures.network_config import NetworkConfig, check_number
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

WINDOW, STRIDE = 64, 16
# filters and kernel of each convolution; a pooling of 2 x 2 follows
_LAYERS = ((8, 9), (16, 5), (32, 3), (64, 2))
UNITS = 128


@dataclass(frozen=True)
class DeepPickerConfig(NetworkConfig):
    """Settings of DeepPicker's network; the defaults are the paper's.

    Attributes
    ----------
    classes : tuple of str
    width : float
        Multiplies the number of filters and units in every layer but the output (small networks for tests).
    dropout : float
        Fraction of the inputs of the fully connected layer left out in training.
    weight_decay : float
        Of the weights of the fully connected layers: their squares, times half of this, are added to the loss.
    """

    kind: ClassVar[str] = "deeppicker"

    classes: tuple[str, ...] = ("particle", "background")
    width: float = 1.0
    dropout: float = 0.5
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("width", self.width, 0.05, 8)
        check_number("dropout", self.dropout, 0, 0.99)
        check_number("weight_decay", self.weight_decay, 0, 1)

    @property
    def window(self) -> int:  # noqa: D102
        return WINDOW

    @property
    def stride(self) -> int:  # noqa: D102
        return STRIDE

    @property
    def valid(self) -> bool:
        """True: nothing is padded inside the network."""
        return True

    def build(self) -> keras.Model:
        """Return a new network: input (batch, 64, 64, channels), output (batch, classes).

        Weights are drawn by He's rule from `seed`.
        """
        keras = import_keras()

        seeds = iter(range(1000 * self.seed, 1000 * (self.seed + 1)))

        def many(number: int) -> int:
            return max(1, round(self.width * number))

        def decay() -> keras.Regularizer | None:
            return keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None

        inputs = tensor = keras.Input((WINDOW, WINDOW, self.channels), name="I0")
        for number, (filters, kernel) in enumerate(_LAYERS):
            tensor = keras.layers.Conv2D(
                many(filters),
                kernel,
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
                name=f"C{2 * number + 1}",
            )(tensor)
            tensor = keras.layers.MaxPooling2D(2, name=f"M{2 * number + 2}")(tensor)
        tensor = keras.layers.Flatten(name="flatten")(tensor)
        if self.dropout:
            tensor = keras.layers.Dropout(self.dropout, seed=next(seeds), name="dropout")(tensor)
        tensor = keras.layers.Dense(
            many(UNITS),
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
            kernel_regularizer=decay(),
            name="F9",
        )(tensor)
        tensor = keras.layers.Dense(
            len(self.classes),
            activation="softmax",
            # A hundredth of the usual variance: a new network is undecided, not sure of the wrong class.
            kernel_initializer=keras.initializers.VarianceScaling(0.01, seed=next(seeds)),
            kernel_regularizer=decay(),
            # Probabilities keep their digits also where the rest is computed in half precision.
            dtype="float32",
            name="O10",
        )(tensor)
        return keras.Model(inputs, tensor, name=self.kind)
