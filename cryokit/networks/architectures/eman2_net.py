"""The two networks of EMAN2.21's neural boxer: one marks where particles are, one tells good boxes from bad.

Both are three convolutions, `same` padded, the first followed by max-pooling. For a box of 64 x 64:

===== ==================================== ==================
layer type                                 output
===== ==================================== ==================
C1    convolution 20 @ 15 x 15, ReLU       64 x 64 x 20
M2    max-pooling 2 x 2                    32 x 32 x 20
C3    convolution 20 @ 15 x 15, ReLU       32 x 32 x 20
C4    convolution 1 @ 15 x 15              32 x 32 x 1
===== ==================================== ==================

These are 99,041 weights. Network 0 returns the map of a picture of any size; network 1 returns the mean of the map, one
number for each box. EMAN2 sets a negative output of network 1 to 0; here it is left as it is, since an output that is
cut off has no gradient and would never learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryokit._util.checked_settings import checked, choice, number
from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError
from cryokit.networks.architectures.layer_factory import LayerFactory
from cryokit.networks.architectures.network_config import NetworkConfig

if TYPE_CHECKING:
    import keras

BOX, KERNEL, FILTERS = 64, 15, 20  # EMAN2's


def _even(name: str, value: Any) -> int:
    check_number(name, value, 16, 256, whole=True)
    if value % 2:
        raise ArgumentError(f"{name} must be even, not {value!r}")
    return int(value)


@dataclass(frozen=True)
class Eman2Config(NetworkConfig):
    """Settings of a network of EMAN2's neural boxer; the defaults are EMAN2's.

    Attributes
    ----------
    classes, channels, seed
        As in `NetworkConfig`.
    box : int
        Side of the particle's box in pixels, even. Kernels are in proportion: 15 pixels for 64, rounded to odd sides.
    filters : int
        Number of filters of the first two convolutions.
    mean : bool
        Whether the output is the mean of the map, one number for a box (network 1), or the map (network 0).

    Notes
    -----
    ``e2boxer.py`` of EMAN2.21 (Tang et al. 2007, J. Struct. Biol. 157:38; Chen et al. 2017, Nat. Methods 14:983).
    """

    kind: ClassVar[str] = "eman2"
    stride: ClassVar[int] = 2
    valid: ClassVar[bool] = False

    box: int = checked(BOX, _even)
    filters: int = number(FILTERS, 1, 1024, whole=True)
    mean: bool = choice(False, False, True)

    @property
    def kernel(self) -> int:
        """Side of the kernels."""
        return 2 * round((KERNEL * self.box / BOX - 1) / 2) + 1

    @property
    def window(self) -> int:
        """Side of what one output sees: the box (network 1), or the field of a position of the map (network 0)."""
        return self.box if self.mean else self.kernel + 1 + 4 * (self.kernel - 1)

    def build(self) -> keras.Model:
        """Return a new network.

        Network 0: input (batch, rows, columns, channels), output (batch, rows / 2, columns / 2, 1). Network 1: input
        (batch, box, box, channels), output (batch, 1). Neither output is limited to a range.
        """
        make = LayerFactory(self, padding="same")
        chain = [
            make.convolution("C1", self.filters, self.kernel),
            make.pooling("M2", 2),
            make.convolution("C3", self.filters, self.kernel),
            # A hundredth of the usual variance, since large first errors would drown the rest; in single precision,
            # so that what is regressed keeps its digits also where the rest is computed in half precision.
            make.convolution("C4", 1, self.kernel, scale=0.02, activation=None, dtype="float32"),
        ]
        if not self.mean:
            return make.network(f"{self.kind}_0", "pictures", None, chain)
        mean = make.layers.GlobalAveragePooling2D(name="mean", dtype="float32")
        return make.network(f"{self.kind}_1", "boxes", self.box, [*chain, mean])
