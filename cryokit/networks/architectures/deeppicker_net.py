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

Nothing is padded and every layer divides its input without remainder: each score depends on its window of 64 x 64
pixels alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit._util.checked_settings import number
from cryokit.networks.architectures.layer_factory import LayerFactory
from cryokit.networks.architectures.network_config import NetworkConfig

if TYPE_CHECKING:
    import keras

WINDOW = 64
# filters and kernel of each convolution, which a pooling of 2 x 2 follows
_LAYERS = ((8, 9), (16, 5), (32, 3), (64, 2))


@dataclass(frozen=True)
class DeepPickerConfig(NetworkConfig):
    """Settings of DeepPicker's network; the defaults are the paper's.

    Attributes
    ----------
    classes, channels, seed
        As in `NetworkConfig`.
    width : float
        Factor on the number of filters and units of every layer but the output (small networks for tests).
    dropout : float
        Fraction of the inputs of the fully connected layer left out in training.
    weight_decay : float
        Weight decay of the fully connected layers: half of this times the sum of their squared weights is added to the
        loss.
    """

    kind: ClassVar[str] = "deeppicker"
    window: ClassVar[int] = WINDOW
    stride: ClassVar[int] = 2 ** len(_LAYERS)

    width: float = number(1.0, 0.05, 8)
    dropout: float = number(0.5, 0, 0.99)
    weight_decay: float = number(5e-4, 0, 1)

    def build(self) -> keras.Model:
        """Return a new network: input (batch, 64, 64, channels), output (batch, classes).

        Weights are drawn by He's rule from `seed`.
        """
        make = LayerFactory(self)
        decay = make.keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None
        chain = []
        for index, (filters, kernel) in enumerate(_LAYERS):
            chain.append(make.convolution(f"C{2 * index + 1}", filters, kernel))
            chain.append(make.pooling(f"M{2 * index + 2}", 2))
        chain += [
            make.layers.Flatten(name="flatten"),
            *make.dropout("dropout", self.dropout),
            make.connected("F9", 128, kernel_regularizer=decay),
            make.output("O10", len(self.classes), kernel_regularizer=decay),
        ]
        return make.network(self.kind, "I0", WINDOW, chain)
