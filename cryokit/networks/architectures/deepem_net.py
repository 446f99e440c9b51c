"""DeepEM's network: three convolutions with sigmoids and average-poolings, and one unit that judges the box.

Zhu, Ouyang and Mao, BMC Bioinformatics 18:348 (2017). For KLH, in boxes of 272 pixels:

==== =============================== =============
     layer                           output
==== =============================== =============
C1   convolution 6 @ 51 x 51         222 x 222 x 6
S2   average-pooling 3 x 3           74 x 74 x 6
C3   convolution 12 @ 20 x 20        55 x 55 x 12
S4   average-pooling 2 x 2           27 x 27 x 12
C5   convolution 12 @ 10 x 10        18 x 18 x 12
S6   average-pooling 2 x 2           9 x 9 x 12
O7   fully connected, one sigmoid    1
==== =============================== =============

The authors chose box and kernels for each data set, about in proportion to its particles. Here the kernels follow from
the box in the proportions of KLH's. In a box of 65 pixels they are 12, 5 and 2 pixels wide; each layer then divides its
input without remainder, as in the box of 272, so the network for a quarter of the resolution differs only in detail.

The paper's single unit gives the particle's probability p. The network's output is p and 1 - p, since everything that
trains and scores networks here takes a probability for each class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryokit._util.checked_settings import checked, number
from cryokit.errors import ArgumentError
from cryokit.networks.architectures.layer_factory import LayerFactory
from cryokit.networks.architectures.network_config import NetworkConfig, check_classes

if TYPE_CHECKING:
    import keras

BOX = 272
FILTERS, KERNELS, POOLS = (6, 12, 12), (51, 20, 10), (3, 2, 2)
SMALLEST_BOX = 32


def _two_classes(name: str, value: Any) -> tuple[str, ...]:
    classes = check_classes(name, value)
    if len(classes) != 2:
        raise ArgumentError(f"{name} must be two names, which one output unit tells apart, not {value!r}")
    return classes


@dataclass(frozen=True)
class DeepEMConfig(NetworkConfig):
    """Settings of DeepEM's network; the defaults are those for KLH.

    Attributes
    ----------
    classes : tuple of str
        Two classes; the output unit gives the probability of the first.
    channels, seed
        As in `NetworkConfig`.
    box : int
        Side of the window in pixels. Kernels are scaled with it.
    dropout : float
        Fraction of the inputs of the output unit left out in training.
    """

    kind: ClassVar[str] = "deepem"
    stride: ClassVar[int] = math.prod(POOLS)

    classes: tuple[str, ...] = checked(("particle", "background"), _two_classes)
    box: int = number(BOX, SMALLEST_BOX, 4 * BOX, whole=True)
    dropout: float = number(0.5, 0, 0.99)

    @property
    def kernels(self) -> tuple[int, ...]:
        """Sides of the three convolutions' kernels.

        Examples
        --------
        >>> DeepEMConfig().kernels, DeepEMConfig(box=65).kernels
        ((51, 20, 10), (12, 5, 2))
        """
        return tuple(max(1, round(side * self.box / BOX)) for side in KERNELS)

    def build(self) -> keras.Model:
        """Return a new network: input (batch, box, box, channels), output (batch, 2).

        Weights are drawn by Glorot's rule, which is made for sigmoids.
        """
        from cryokit.networks.custom_layers import BothWays

        make = LayerFactory(self, "sigmoid")
        chain = []
        for index, (filters, kernel, pool) in enumerate(zip(FILTERS, self.kernels, POOLS, strict=True)):
            chain.append(make.convolution(f"C{2 * index + 1}", filters, kernel))
            chain.append(make.layers.AveragePooling2D(pool, name=f"S{2 * index + 2}"))
        # Probabilities keep their digits also where the rest is computed in half precision.
        chain += [
            make.layers.Flatten(name="flatten"),
            *make.dropout("dropout", self.dropout),
            make.layers.Dense(1, kernel_initializer=make.initializer(), dtype="float32", name="O7"),
            BothWays(name="sigmoid", dtype="float32"),
        ]
        return make.network(self.kind, "I0", self.box, chain)
