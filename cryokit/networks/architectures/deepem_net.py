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
the box in the proportions of KLH's; in a box of 65 pixels they are 12, 5 and 2 pixels wide, and as there each step
divides without rest, so is the network for one quarter of the resolution the same in all but detail.

The one unit is described and counted as such; what it gives is the particle's probability p, and the network's output
is p and 1 - p, since everything that trains and scores networks here takes a probability for each class.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryokit.errors import PickerError
from cryokit.networks.architectures.network_config import NetworkConfig, check_number
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

BOX = 272
FILTERS, KERNELS, POOLS = (6, 12, 12), (51, 20, 10), (3, 2, 2)
SMALLEST_BOX = 32


@dataclass(frozen=True)
class DeepEMConfig(NetworkConfig):
    """Settings of DeepEM's network; the defaults are those for KLH.

    Attributes
    ----------
    classes : tuple of str
        Two; the first is the one whose probability the output unit gives.
    box : int
        Side of the window in pixels. Kernels are scaled with it.
    dropout : float
        Fraction of the inputs of the output unit left out in training.
    """

    kind: ClassVar[str] = "deepem"

    classes: tuple[str, ...] = ("particle", "background")
    box: int = BOX
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.classes) != 2:
            raise PickerError(f"classes {self.classes!r}: one output unit tells two classes apart")
        check_number("box", self.box, SMALLEST_BOX, 4 * BOX, whole=True)
        check_number("dropout", self.dropout, 0, 0.99)

    @property
    def kernels(self) -> tuple[int, ...]:
        """Sides of the three convolutions' kernels.

        Examples
        --------
        >>> DeepEMConfig().kernels, DeepEMConfig(box=65).kernels
        ((51, 20, 10), (12, 5, 2))
        """
        return tuple(max(1, round(side * self.box / BOX)) for side in KERNELS)

    @property
    def window(self) -> int:  # noqa: D102
        return self.box

    @property
    def stride(self) -> int:
        """Input pixels between neighbouring scores: 12."""
        stride = 1
        for pool in POOLS:
            stride *= pool
        return stride

    @property
    def valid(self) -> bool:
        """True: nothing is padded inside the network."""
        return True

    def build(self) -> keras.Model:
        """Return a new network: input (batch, box, box, channels), output (batch, 2).

        Weights are drawn by Glorot's rule, which is made for sigmoids.
        """
        keras = import_keras()

        seeds = iter(range(1000 * self.seed, 1000 * (self.seed + 1)))
        inputs = tensor = keras.Input((self.box, self.box, self.channels), name="I0")
        for number, (filters, kernel, pool) in enumerate(zip(FILTERS, self.kernels, POOLS, strict=True)):
            tensor = keras.layers.Conv2D(
                filters,
                kernel,
                activation="sigmoid",
                kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
                name=f"C{2 * number + 1}",
            )(tensor)
            tensor = keras.layers.AveragePooling2D(pool, name=f"S{2 * number + 2}")(tensor)
        tensor = keras.layers.Flatten(name="flatten")(tensor)
        if self.dropout:
            tensor = keras.layers.Dropout(self.dropout, seed=next(seeds), name="dropout")(tensor)
        # Probabilities keep their digits also where the rest is computed in half precision.
        unit = keras.layers.Dense(
            1, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)), dtype="float32", name="O7"
        )
        tensor = _both_ways()(name="sigmoid", dtype="float32")(unit(tensor))
        return keras.Model(inputs, tensor, name=self.kind)


@functools.cache
def _both_ways() -> type[keras.layers.Layer]:
    """Return the layer behind the output unit, made when it is first needed: its base class costs Keras' import."""
    keras = import_keras()

    class BothWays(keras.layers.Layer):
        """The sigmoid of one value and of its negative: the probability of a class, and of the other one."""

        pointwise = True  # for `cryokit.networks.fully_convolutional`

        def call(self, inputs: Any) -> Any:
            # 1 - sigmoid(x) would be 0 already at x = 17, without any gradient.
            return keras.ops.sigmoid(keras.ops.concatenate([inputs, -inputs], axis=-1))

        def compute_output_shape(self, input_shape: tuple) -> tuple:
            return (*input_shape[:-1], 2 * input_shape[-1])

    return BothWays
