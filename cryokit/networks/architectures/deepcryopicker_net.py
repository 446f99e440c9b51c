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

In the ``valid`` variant every layer divides its input without remainder (227 = 4 x 54 + 11, 55 = 2 x 26 + 3,
23 = 2 x 10 + 3, 5 = 2 x 1 + 3) and nothing is padded: a score depends on all 227 x 227 pixels of its window and on no
others, so windows can share everything they have in common (`cryokit.networks.fully_convolutional`). It has 24.7
million parameters and not 58.3, mainly because F11 sees 2 x 2 and not 6 x 6 positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit._util.checked_settings import choice, number
from cryokit.networks.architectures.layer_factory import LayerFactory
from cryokit.networks.architectures.network_config import NetworkConfig

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class DeepCryoPickerConfig(NetworkConfig):
    """Settings of DeepCryoPicker's network; the defaults are table 9 with grey input.

    Attributes
    ----------
    classes, channels, seed
        As in `NetworkConfig`.
    padding : {"same", "valid"}
        Padding of the convolutions after the first, which is never padded. ``same`` is table 9, ``valid`` the variant.
    activation : {"relu", "sigmoid"}
        Activation of every layer but the output.
    width : float
        Factor on the number of filters and units of every layer but the output. Small ones are quick, for teaching.
    dropout : float
        Fraction of F11's and F12's outputs left out in training. None in the table, so 0; a network trained on some
        thousand patches gains by 0.5.
    """

    kind: ClassVar[str] = "deepcryopicker"
    window: ClassVar[int] = 227
    stride: ClassVar[int] = 32

    padding: str = choice("same", "same", "valid")
    activation: str = choice("relu", "relu", "sigmoid")
    width: float = number(1.0, 0.01, 4)
    dropout: float = number(0.0, 0, 0.99)

    @property
    def valid(self) -> bool:
        """Whether nothing is padded inside the network."""
        return self.padding == "valid"

    def build(self) -> keras.Model:
        """Return a new network: input (batch, 227, 227, channels), output (batch, classes).

        Weights are drawn by He's (ReLU) or Glorot's rule (sigmoid) from `seed`. The paper's "randomly initialized
        [0-1]" would let the sums of thousands of inputs run off.
        """
        make = LayerFactory(self, self.activation, self.padding)
        chain = [
            *make.alexnet("C3 M4 C5 M6 C7 C8 C9", 11, 4),
            make.pooling("M10"),
            make.layers.Flatten(name="flatten"),
            *make.two_connected("F11 F12", self.dropout),
            make.output("O13", len(self.classes)),
        ]
        return make.network(self.kind, "I1", self.window, chain)
