"""The two networks of PIXER: one says of each pixel how likely it is part of a particle, one judges candidates.

The segmentation network, after DeepLab v2 (Chen et al. 2017), with C classes; convolutions are `same` padded, all but
the last of each branch followed by ReLU:

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

The description leaves open how wide the poolings are; 2 x 2 keeps pixels and cells of the map in line. The
classification network is AlexNet: 96 @ 11 x 11 / 4, 256 @ 5 x 5, 384, 384 and 256 @ 3 x 3, 4096, 4096, C, with the
three max-poolings of 3 x 3 / 2 (as in table 9 of DeepCryoPicker, which is the same network).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit.errors import PickerError
from cryokit.networks.architectures.network_config import NetworkConfig, check_choice, check_number
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

DILATIONS = (6, 12, 18, 24)
# Boxes of the classification network: AlexNet's, and a quarter of it, after which all maps have the same sizes.
FULL_BOX, QUARTER_BOX = 227, 57


@dataclass(frozen=True)
class PixerConfig(NetworkConfig):
    """Settings of PIXER's segmentation network.

    Attributes
    ----------
    classes : tuple of str
    channels : int
    seed : int
    width : float
        Multiplies the number of filters of every layer but the output.
    dilations : tuple of int
        Of the four branches.

    Notes
    -----
    Zhang et al. 2019, BMC Bioinformatics 20:41.
    """

    kind: ClassVar[str] = "pixer"

    classes: tuple[str, ...] = ("particle", "background")
    width: float = 1.0
    dilations: tuple[int, ...] = DILATIONS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("width", self.width, 0.01, 4)
        if not isinstance(self.dilations, (tuple, list)) or not self.dilations:
            raise PickerError(f"dilations {self.dilations!r}: give whole numbers, one for each branch")
        for dilation in self.dilations:
            check_number("dilations", dilation, 1, 256, whole=True)
        object.__setattr__(self, "dilations", tuple(self.dilations))

    @property
    def window(self) -> int:
        """Side of what one cell of the map sees, before it is enlarged."""
        return 44 + 16 * max(self.dilations)

    @property
    def stride(self) -> int:
        """Pixels between the cells of the map, before it is enlarged: 8."""
        return 8

    @property
    def valid(self) -> bool:
        """False: convolutions are padded."""
        return False

    def build(self) -> keras.Model:
        """Return a new network for pictures whose sides are multiples of 8; see `NetworkConfig.build`.

        Its layer ``cells`` is a network of its own, from the picture to S of the table.
        """
        keras = import_keras()

        seeds = iter(range(1000 * self.seed, 1000 * (self.seed + 1)))

        def convolution(name: str, filters: int, size: int, dilation: int = 1) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                max(1, round(self.width * filters)),
                size,
                padding="same",
                dilation_rate=dilation,
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
                name=name,
            )

        inputs = tensor = keras.Input((None, None, self.channels), name="picture")
        for number, (filters, pooled) in enumerate(
            ((96, False), (96, True), (128, False), (128, True), (256, False), (256, False), (384, True)), start=1
        ):
            tensor = convolution(f"C{number}", filters, 3)(tensor)
            if pooled:
                tensor = keras.layers.MaxPooling2D(2, name=f"M{1 + number // 3}")(tensor)
        branches = []
        for number, dilation in enumerate(self.dilations, start=1):
            branch = convolution(f"B{number}_dilated", 1024, 3, dilation)(tensor)
            branch = convolution(f"B{number}", 1024, 1)(branch)
            branches.append(
                keras.layers.Conv2D(
                    len(self.classes),
                    1,
                    # A hundredth of the usual variance: a new network is undecided.
                    kernel_initializer=keras.initializers.VarianceScaling(0.01, seed=next(seeds)),
                    # Sums keep their digits also where the rest is computed in half precision.
                    dtype="float32",
                    name=f"B{number}_classes",
                )(branch)
            )
        summed = keras.layers.Add(dtype="float32", name="S")(branches) if len(branches) > 1 else branches[0]
        cells = keras.Model(inputs, summed, name="cells")

        pictures = keras.Input((None, None, self.channels), name="pictures")
        tensor = keras.layers.UpSampling2D(8, interpolation="bilinear", dtype="float32", name="U")(cells(pictures))
        return keras.Model(pictures, keras.layers.Softmax(dtype="float32", name="densities")(tensor), name=self.kind)


@dataclass(frozen=True)
class PixerClassifierConfig(NetworkConfig):
    """Settings of PIXER's classification network.

    Attributes
    ----------
    classes : tuple of str
    channels : int
    seed : int
    width : float
        Multiplies the number of filters and units of every layer but the output.
    box : {227, 57}
        Side of a box in pixels. With 57 the first convolution is 3 x 3 / 1 instead of 11 x 11 / 4.
    dropout : float
        Fraction of the outputs of both layers of 4096 left out in training, as in AlexNet.
    """

    kind: ClassVar[str] = "pixer_classifier"

    classes: tuple[str, ...] = ("particle", "background")
    width: float = 1.0
    box: int = FULL_BOX
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("width", self.width, 0.01, 4)
        check_choice("box", self.box, (FULL_BOX, QUARTER_BOX))
        check_number("dropout", self.dropout, 0, 0.99)

    @property
    def window(self) -> int:
        """Side of a box."""
        return self.box

    @property
    def stride(self) -> int:
        """Pixels between neighbouring scores of a dense map, which it is not used for here."""
        return 32 if self.box == FULL_BOX else 8

    @property
    def valid(self) -> bool:
        """False: convolutions are padded."""
        return False

    def build(self) -> keras.Model:
        """Return a new network: input (batch, box, box, channels), output (batch, classes)."""
        keras = import_keras()

        seeds = iter(range(1000 * self.seed, 1000 * (self.seed + 1)))

        def scaled(number: int) -> int:
            return max(1, round(self.width * number))

        inputs = tensor = keras.Input((self.box, self.box, self.channels), name="boxes")
        first = (11, 4) if self.box == FULL_BOX else (3, 1)
        for name, filters, size, stride, padding in (
            ("C1", 96, *first, "valid"),
            ("M1", None, 3, 2, "valid"),
            ("C2", 256, 5, 1, "same"),
            ("M2", None, 3, 2, "valid"),
            ("C3", 384, 3, 1, "same"),
            ("C4", 384, 3, 1, "same"),
            ("C5", 256, 3, 1, "same"),
            ("M5", None, 3, 2, "valid"),
        ):
            if filters is None:
                layer = keras.layers.MaxPooling2D(size, strides=stride, name=name)
            else:
                layer = keras.layers.Conv2D(
                    scaled(filters),
                    size,
                    strides=stride,
                    padding=padding,
                    activation="relu",
                    kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
                    name=name,
                )
            tensor = layer(tensor)
        tensor = keras.layers.Flatten(name="flatten")(tensor)
        for name in ("F6", "F7"):
            tensor = keras.layers.Dense(
                scaled(4096),
                activation="relu",
                kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
                name=name,
            )(tensor)
            if self.dropout:
                tensor = keras.layers.Dropout(self.dropout, seed=next(seeds), name=f"{name}_dropout")(tensor)
        outputs = keras.layers.Dense(
            len(self.classes),
            activation="softmax",
            kernel_initializer=keras.initializers.VarianceScaling(0.01, seed=next(seeds)),
            dtype="float32",
            name="classes",
        )(tensor)
        return keras.Model(inputs, outputs, name=self.kind)
