"""The compact network: fully convolutional, about 93,000 weights, for micrographs binned to the particle's scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cryokit.networks.architectures.network_config import NetworkConfig, check_number
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

# filters, kernel, stride, dilation of each convolution
_LAYERS = ((16, 6, 2, 1), (32, 3, 1, 1), (48, 3, 2, 1), (48, 3, 1, 1), (48, 3, 1, 2), (64, 3, 1, 4), (64, 1, 1, 1))


@dataclass(frozen=True)
class CompactConfig(NetworkConfig):
    """Settings of the compact network.

    Two convolutions with stride 2 bring the picture to a quarter; dilated ones then widen what a score sees to 70
    pixels, two and a half particles of 28 pixels. Nothing is padded inside, so a score does not depend on how the
    picture is divided into tiles. Each convolution is followed by batch normalisation and ReLU; a last one of 1 x 1
    gives the classes.

    Attributes
    ----------
    classes : tuple of str
    channels : int
    seed : int
    width : float
        Factor on the number of filters of every layer (small networks for teaching and tests).

    Notes
    -----
    Not of the paper. Dilation instead of pooling follows Yu and Koltun (2016), "Multi-scale context aggregation by
    dilated convolutions".
    """

    kind: ClassVar[str] = "compact"

    classes: tuple[str, ...] = ("particle", "background")
    width: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("width", self.width, 0.05, 8)

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
        step = 1
        for _, _, stride, _ in _LAYERS:
            step *= stride
        return step

    @property
    def valid(self) -> bool:
        """True: nothing is padded inside the network."""
        return True

    def build(self) -> keras.Model:
        """Return a new network for pictures of any size, giving maps; see `NetworkConfig.build`."""
        keras = import_keras()

        seeds = keras.random.SeedGenerator(self.seed)
        pictures = values = keras.Input((None, None, self.channels), name="pictures")
        for number, (filters, kernel, stride, dilation) in enumerate(_LAYERS, start=1):
            values = keras.layers.Conv2D(
                max(4, round(filters * self.width)),
                kernel,
                strides=stride,
                dilation_rate=dilation,
                use_bias=False,
                kernel_initializer=keras.initializers.HeNormal(seed=seeds),
                name=f"conv{number}",
            )(values)
            # A short training sees few batches: the statistics for picking have to follow within some tens of them.
            values = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(values)
            values = keras.layers.ReLU(name=f"relu{number}")(values)
        scores = keras.layers.Conv2D(
            len(self.classes), 1, kernel_initializer=keras.initializers.GlorotUniform(seed=seeds), name="classes"
        )(values)
        return keras.Model(
            pictures, keras.layers.Softmax(name="probabilities", dtype="float32")(scores), name="compact"
        )
