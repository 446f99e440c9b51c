"""The two networks of PIXER: one gives each pixel the probability of a particle, one judges candidates.

The segmentation network, after DeepLab v2 (Chen et al. 2017), with C classes. Convolutions are `same` padded, and all
but the last of each branch are followed by ReLU:

===== ==================================== =====================
layer type                                 output
===== ==================================== =====================
I     picture                              H x W
C1-2  2 convolutions 96 @ 3 x 3            H x W x 96
M1    max-pooling 2 x 2                    H/2 x W/2 x 96
C3-4  2 convolutions 128 @ 3 x 3           H/2 x W/2 x 128
M2    max-pooling 2 x 2                    H/4 x W/4 x 128
C5-6  2 convolutions 256 @ 3 x 3           H/4 x W/4 x 256
C7    convolution 384 @ 3 x 3              H/4 x W/4 x 384
M3    max-pooling 2 x 2                    H/8 x W/8 x 384
B1-4  4 branches, side by side, of
      1024 @ 3 x 3, dilated 6, 12, 18, 24  H/8 x W/8 x 1024
      1024 @ 1 x 1                         H/8 x W/8 x 1024
      C @ 1 x 1                            H/8 x W/8 x C
S     sum of the branches                  H/8 x W/8 x C
U     enlarged by 8, softmax               H x W x C
===== ==================================== =====================

The paper leaves open how wide the poolings are; with 2 x 2, pixels and cells of the map stay aligned. The
classification network is AlexNet: 96 @ 11 x 11 / 4, 256 @ 5 x 5, 384, 384 and 256 @ 3 x 3, 4096, 4096, C, with the
three max-poolings of 3 x 3 / 2 (as in table 9 of DeepCryoPicker, which is the same network).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryokit._util.checked_settings import checked, choice, number
from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError
from cryokit.networks.architectures.layer_factory import LayerFactory, through
from cryokit.networks.architectures.network_config import NetworkConfig

if TYPE_CHECKING:
    import keras

DILATIONS = (6, 12, 18, 24)
# Boxes of the classification network: AlexNet's, and a quarter of it, after which all maps have the same sizes.
FULL_BOX, QUARTER_BOX = 227, 57


def _dilations(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or not value:
        raise ArgumentError(f"{name} must be whole numbers, one for each branch, not {value!r}")
    for dilation in value:
        check_number(name, dilation, 1, 256, whole=True)
    return tuple(value)


@dataclass(frozen=True)
class PixerConfig(NetworkConfig):
    """Settings of PIXER's segmentation network.

    Attributes
    ----------
    classes, channels, seed
        As in `NetworkConfig`.
    width : float
        Factor on the number of filters of every layer but the output.
    dilations : tuple of int
        Dilation of each branch.

    Notes
    -----
    Zhang et al. 2019, BMC Bioinformatics 20:41.
    """

    kind: ClassVar[str] = "pixer"
    stride: ClassVar[int] = 8
    valid: ClassVar[bool] = False

    width: float = number(1.0, 0.01, 4)
    dilations: tuple[int, ...] = checked(DILATIONS, _dilations)

    @property
    def window(self) -> int:
        """Side of what one cell of the map sees, before the map is enlarged."""
        return 44 + 16 * max(self.dilations)

    def build(self) -> keras.Model:
        """Return a new network for pictures whose sides are multiples of 8; see `NetworkConfig.build`.

        Its layer ``cells`` is a network of its own, from the picture to S of the table.
        """
        make = LayerFactory(self, padding="same")
        keras = make.keras
        chain = [make.convolution("C1", 96, 3), make.convolution("C2", 96, 3), make.pooling("M1", 2)]
        chain += [make.convolution("C3", 128, 3), make.convolution("C4", 128, 3), make.pooling("M2", 2)]
        chain += [make.convolution(name, 256, 3) for name in ("C5", "C6")]
        chain += [make.convolution("C7", 384, 3), make.pooling("M3", 2)]
        inputs = keras.Input((None, None, self.channels), name="picture")
        features = through(inputs, chain)
        branches = []
        for index, dilation in enumerate(self.dilations, start=1):
            branch = [
                make.convolution(f"B{index}_dilated", 1024, 3, dilation_rate=dilation),
                make.convolution(f"B{index}", 1024, 1),
                # Undecided at first and in single precision, as `LayerFactory.output`.
                keras.layers.Conv2D(
                    len(self.classes),
                    1,
                    kernel_initializer=make.initializer(0.01),
                    dtype="float32",
                    name=f"B{index}_classes",
                ),
            ]
            branches.append(through(features, branch))
        summed = keras.layers.Add(dtype="float32", name="S")(branches) if len(branches) > 1 else branches[0]
        cells = keras.Model(inputs, summed, name="cells")

        pictures = keras.Input((None, None, self.channels), name="pictures")
        enlarged = keras.layers.UpSampling2D(8, interpolation="bilinear", dtype="float32", name="U")(cells(pictures))
        return keras.Model(pictures, keras.layers.Softmax(dtype="float32", name="densities")(enlarged), name=self.kind)


@dataclass(frozen=True)
class PixerClassifierConfig(NetworkConfig):
    """Settings of PIXER's classification network.

    Attributes
    ----------
    classes, channels, seed
        As in `NetworkConfig`.
    width : float
        Factor on the number of filters and units of every layer but the output.
    box : {227, 57}
        Side of a box in pixels. With 57 the first convolution is 3 x 3 / 1 instead of 11 x 11 / 4.
    dropout : float
        Fraction of the outputs of both layers of 4096 left out in training, as in AlexNet.
    """

    kind: ClassVar[str] = "pixer_classifier"
    valid: ClassVar[bool] = False

    width: float = number(1.0, 0.01, 4)
    box: int = choice(FULL_BOX, FULL_BOX, QUARTER_BOX)
    dropout: float = number(0.5, 0, 0.99)

    @property
    def stride(self) -> int:
        """Spacing of the scores of a dense map in pixels; PIXER judges single boxes."""
        return 32 if self.box == FULL_BOX else 8

    def build(self) -> keras.Model:
        """Return a new network: input (batch, box, box, channels), output (batch, classes)."""
        make = LayerFactory(self, padding="same")
        kernel, stride = (11, 4) if self.box == FULL_BOX else (3, 1)
        chain = [
            *make.alexnet("C1 M1 C2 M2 C3 C4 C5", kernel, stride),
            make.pooling("M5"),
            make.layers.Flatten(name="flatten"),
            *make.two_connected("F6 F7", self.dropout),
            make.output("classes", len(self.classes)),
        ]
        return make.network(self.kind, "boxes", self.box, chain)
