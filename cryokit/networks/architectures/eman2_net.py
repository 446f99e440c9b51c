"""The two networks of EMAN2.21's neural boxer: one marks where particles are, one tells good boxes from bad.

Both are three convolutions, `same` padded, the first followed by max-pooling. Of a box of 64 x 64:

===== ==================================== ==================
layer type                                 output
===== ==================================== ==================
C1    convolution 20 @ 15 x 15, ReLU       64 x 64 x 20
M2    max-pooling 2 x 2                    32 x 32 x 20
C3    convolution 20 @ 15 x 15, ReLU       32 x 32 x 20
C4    convolution 1 @ 15 x 15              32 x 32 x 1
===== ==================================== ==================

These are 99,041 weights. Network 0's output is a map, of any picture; network 1's is the mean of the map, one number a
box. EMAN2 sets network 1's output to 0 where it is below; here whoever reads it does, since below zero it would have no
gradient and never learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit.networks.architectures.network_config import NetworkConfig, check_choice, check_number
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

BOX, KERNEL, FILTERS = 64, 15, 20  # EMAN2's


@dataclass(frozen=True)
class Eman2Config(NetworkConfig):
    """Settings of a network of EMAN2's neural boxer; the defaults are EMAN2's.

    Attributes
    ----------
    classes : tuple of str
    channels : int
    seed : int
    box : int
        Side of the particle's box in pixels, even. Kernels are in proportion: 15 pixels for 64, rounded to odd sides.
    filters : int
        Of the first two convolutions.
    mean : bool
        Whether the output is the mean of the map, one number for a box (network 1), or the map (network 0).

    Notes
    -----
    ``e2boxer.py`` of EMAN2.21 (Tang et al. 2007, J. Struct. Biol. 157:38; Chen et al. 2017, Nat. Methods 14:983).
    """

    kind: ClassVar[str] = "eman2"

    classes: tuple[str, ...] = ("particle", "background")
    box: int = BOX
    filters: int = FILTERS
    mean: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("box", self.box, 16, 256, whole=True)
        check_choice("box", self.box, range(16, 257, 2))
        check_number("filters", self.filters, 1, 1024, whole=True)

    @property
    def kernel(self) -> int:
        """Side of the kernels."""
        return 2 * round((KERNEL * self.box / BOX - 1) / 2) + 1

    @property
    def window(self) -> int:
        """Side of what one output sees: the box (network 1), or the field of a position of the map (network 0)."""
        return self.box if self.mean else self.kernel + 1 + 4 * (self.kernel - 1)

    @property
    def stride(self) -> int:
        """Pixels between the positions of the map: 2."""
        return 2

    @property
    def valid(self) -> bool:
        """False: convolutions are padded."""
        return False

    def build(self) -> keras.Model:
        """Return a new network.

        Network 0: input (batch, rows, columns, channels), output (batch, rows / 2, columns / 2, 1), not limited to any
        range. Network 1: input (batch, box, box, channels), output (batch, 1), neither.
        """
        keras = import_keras()

        seeds = iter(range(1000 * self.seed, 1000 * (self.seed + 1)))

        def convolution(name: str, filters: int, activation: str | None) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                filters,
                self.kernel,
                padding="same",
                activation=activation,
                # He's rule; a hundredth of its variance for the output, whose first errors would drown the rest.
                kernel_initializer=keras.initializers.VarianceScaling(2.0 if activation else 0.02, seed=next(seeds)),
                # What is regressed keeps its digits also where the rest is computed in half precision.
                dtype=None if activation else "float32",
                name=name,
            )

        side = self.box if self.mean else None
        inputs = keras.Input((side, side, self.channels), name="boxes" if self.mean else "pictures")
        tensor = convolution("C1", self.filters, "relu")(inputs)
        tensor = keras.layers.MaxPooling2D(2, name="M2")(tensor)
        tensor = convolution("C3", self.filters, "relu")(tensor)
        tensor = convolution("C4", 1, None)(tensor)
        if self.mean:
            tensor = keras.layers.GlobalAveragePooling2D(name="mean", dtype="float32")(tensor)
        return keras.Model(inputs, tensor, name=f"{self.kind}_{int(self.mean)}")
