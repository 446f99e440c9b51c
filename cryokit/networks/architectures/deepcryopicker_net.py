"""The network of DeepCryoPicker, and a variant of it whose scores over a whole micrograph are exact.

Table 9 and figure 18 of Al-Azzawi et al., BMC Bioinformatics 21:509 (2020). With C classes:

===== ================================ =================== ===================
layer type                             output, ``same``    output, ``valid``
===== ================================ =================== ===================
I1    input                            227 x 227           227 x 227
C3    convolution 96 @ 11 x 11, / 4    55 x 55 x 96        55 x 55 x 96
M4    max-pooling 3 x 3, / 2           27 x 27 x 96        27 x 27 x 96
C5    convolution 256 @ 5 x 5          27 x 27 x 256       23 x 23 x 256
M6    max-pooling 3 x 3, / 2           13 x 13 x 256       11 x 11 x 256
C7    convolution 384 @ 3 x 3          13 x 13 x 384       9 x 9 x 384
C8    convolution 384 @ 3 x 3          13 x 13 x 384       7 x 7 x 384
C9    convolution 256 @ 3 x 3          13 x 13 x 256       5 x 5 x 256
M10   max-pooling 3 x 3, / 2           6 x 6 x 256         2 x 2 x 256
F11   fully connected                  4096                4096
F12   fully connected                  4096                4096
O13   output                           C                   C
===== ================================ =================== ===================

P2 of the table, preprocessing, happens before the network and has no weights. The table gives the output as 1 x 1, the
probability of one class; here it is one softmax over all classes, as the cross-entropy of eq. 10 needs. Eq. 7 and 8
name the sigmoid as activation; with it gradients all but vanish in eight layers, so ReLU is the default.

In the ``valid`` variant every step divides without rest (227 = 4 x 54 + 11, 55 = 2 x 26 + 3, 23 = 2 x 10 + 3,
5 = 2 x 1 + 3) and nothing is padded: a score depends on all 227 x 227 pixels of its window and on no others, so windows
can share everything they have in common (`cryokit.networks.fully_convolutional`). It has 24.7 million parameters, mainly because F11
sees 2 x 2 and not 6 x 6 positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit.networks.architectures.network_config import NetworkConfig, check_choice, check_number
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

WINDOW, STRIDE = 227, 32


@dataclass(frozen=True)
class DeepCryoPickerConfig(NetworkConfig):
    """Settings of DeepCryoPicker's network; the defaults are table 9 with grey input.

    Attributes
    ----------
    padding : {"same", "valid"}
        Of the convolutions after the first, which is never padded. ``same`` is table 9, ``valid`` the variant.
    activation : {"relu", "sigmoid"}
    width : float
        Multiplies the number of filters and units in every layer but the output. Small ones are quick, for teaching.
    dropout : float
        Fraction of F11's and F12's outputs left out in training. None in the table, so 0; a network trained on some
        thousand patches gains by 0.5.
    """

    kind: ClassVar[str] = "deepcryopicker"

    padding: str = "same"
    activation: str = "relu"
    width: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("padding", self.padding, ("same", "valid"))
        check_choice("activation", self.activation, ("relu", "sigmoid"))
        check_number("width", self.width, 0.01, 4)
        check_number("dropout", self.dropout, 0, 0.99)

    @property
    def window(self) -> int:  # noqa: D102
        return WINDOW

    @property
    def stride(self) -> int:  # noqa: D102
        return STRIDE

    @property
    def valid(self) -> bool:  # noqa: D102
        return self.padding == "valid"

    def build(self) -> keras.Model:
        """Return a new network: input (batch, 227, 227, channels), output (batch, classes).

        Weights are drawn by He's (ReLU) or Glorot's rule (sigmoid) from `seed`. The paper's "randomly initialized
        [0-1]" would let the sums of thousands of inputs run off.
        """
        keras = import_keras()

        # Layers of the same shape must not start with the same weights: each has its own seed.
        seeds = iter(range(1000 * self.seed, 1000 * (self.seed + 1)))
        rule = keras.initializers.HeNormal if self.activation == "relu" else keras.initializers.GlorotUniform

        def filters(number: int) -> int:
            return max(1, round(self.width * number))

        def convolution(name: str, number: int, size: int, stride: int = 1) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                filters(number),
                size,
                strides=stride,
                padding="valid" if name == "C3" else self.padding,
                activation=self.activation,
                kernel_initializer=rule(seed=next(seeds)),
                name=name,
            )

        def connected(name: str) -> list[keras.layers.Layer]:
            layer = keras.layers.Dense(
                filters(4096), activation=self.activation, kernel_initializer=rule(seed=next(seeds)), name=name
            )
            if not self.dropout:
                return [layer]
            return [layer, keras.layers.Dropout(self.dropout, seed=next(seeds), name=f"{name}_dropout")]

        def pooling(name: str) -> keras.layers.Layer:
            return keras.layers.MaxPooling2D(3, strides=2, name=name)

        chain = [
            convolution("C3", 96, 11, 4),
            pooling("M4"),
            convolution("C5", 256, 5),
            pooling("M6"),
            convolution("C7", 384, 3),
            convolution("C8", 384, 3),
            convolution("C9", 256, 3),
            pooling("M10"),
            keras.layers.Flatten(name="flatten"),
            *connected("F11"),
            *connected("F12"),
            keras.layers.Dense(
                len(self.classes),
                activation="softmax",
                # A hundredth of the usual variance: a new network is undecided, not sure of the wrong class.
                kernel_initializer=keras.initializers.VarianceScaling(0.01, seed=next(seeds)),
                # Probabilities keep their digits also where the rest is computed in half precision.
                dtype="float32",
                name="O13",
            ),
        ]
        inputs = tensor = keras.Input((WINDOW, WINDOW, self.channels), name="I1")
        for layer in chain:
            tensor = layer(tensor)
        return keras.Model(inputs, tensor, name=self.kind)
