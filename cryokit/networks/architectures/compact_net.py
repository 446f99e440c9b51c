"""The compact network: fully convolutional, about 93,000 weights, for micrographs binned to the particle's scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit._util.checked_settings import choice, number
from cryokit.networks.architectures.network_config import NetworkConfig
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

# filters, kernel, stride, dilation of each convolution
_LAYERS = ((16, 6, 2, 1), (32, 3, 1, 1), (48, 3, 2, 1), (48, 3, 1, 1), (48, 3, 1, 2), (64, 3, 1, 4), (64, 1, 1, 1))


@dataclass(frozen=True)
class CompactConfig(NetworkConfig):
    """Settings of the compact network.

    Two convolutions with stride 2 reduce the picture to a quarter; dilated ones then widen what a score sees to 70
    pixels, two and a half particles of 28 pixels. Nothing is padded inside, so a score does not depend on how the
    picture is divided into tiles. Each convolution is followed by batch normalisation and ReLU; a last one of 1 x 1
    gives the classes.

    Attributes
    ----------
    classes, channels, seed
        As in `NetworkConfig`.
    width : float
        Factor on the number of filters of every layer (small networks for teaching and tests).
    locates : bool
        Whether two more outputs say where the particle's centre is: x and y from the position, in diameters.

    Notes
    -----
    Not one of the paper's. Dilation instead of pooling follows Yu and Koltun (2016), "Multi-scale context aggregation
    by dilated convolutions".
    """

    kind: ClassVar[str] = "compact"

    width: float = number(1.0, 0.05, 8)
    locates: bool = choice(False, False, True)

    @property
    def window(self) -> int:
        """Side of the square of input pixels that one score sees: 70."""
        side, step = 1, 1
        for _, kernel, stride, dilation in _LAYERS:
            side += (kernel - 1) * dilation * step
            step *= stride
        return side

    @property
    def stride(self) -> int:
        """Input pixels between neighbouring scores: 4."""
        return math.prod(stride for _, _, stride, _ in _LAYERS)

    def build(self) -> keras.Model:
        """Return a new network for pictures of any size, giving maps; see `NetworkConfig.build`."""
        keras = import_keras()

        seeds = keras.random.SeedGenerator(self.seed)
        pictures = tensor = keras.Input((None, None, self.channels), name="pictures")
        for index, (filters, kernel, stride, dilation) in enumerate(_LAYERS, start=1):
            tensor = keras.layers.Conv2D(
                max(4, round(filters * self.width)),
                kernel,
                strides=stride,
                dilation_rate=dilation,
                use_bias=False,
                kernel_initializer=keras.initializers.HeNormal(seed=seeds),
                name=f"conv{index}",
            )(tensor)
            # A short training sees few batches: the statistics for picking have to follow within some tens of them.
            tensor = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{index}")(tensor)
            tensor = keras.layers.ReLU(name=f"relu{index}")(tensor)
        scores = keras.layers.Conv2D(
            len(self.classes) + (2 if self.locates else 0),
            1,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seeds),
            name="classes",
        )(tensor)
        if self.locates:
            from cryokit.networks.custom_layers import ClassesAndOffsets

            last = ClassesAndOffsets(len(self.classes), name="probabilities", dtype="float32")
        else:
            last = keras.layers.Softmax(name="probabilities", dtype="float32")
        probabilities = last(scores)
        return keras.Model(pictures, probabilities, name=self.kind)
