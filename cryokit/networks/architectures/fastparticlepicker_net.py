"""The network of FastParticlePicker: Fast R-CNN with a trunk over the whole picture and pooled regions of interest.

The description names Fast R-CNN, not the widths, so the layers are those of Fast R-CNN's smallest published network,
CaffeNet (Girshick 2015, model S; Krizhevsky et al. 2012), for two classes. With a `cell` of 16 and full `width`:

===== ==================================== =============================
layer type                                 output
===== ==================================== =============================
I     picture                              H x W
C1    convolution 96 @ 11 x 11, / 4        H/4 x W/4 x 96
M1    max-pooling 3 x 3, / 2               H/8 x W/8 x 96
C2    convolution 256 @ 5 x 5              H/8 x W/8 x 256
M2    max-pooling 3 x 3, / 2               H/16 x W/16 x 256
C3    convolution 384 @ 3 x 3              H/16 x W/16 x 384
C4    convolution 384 @ 3 x 3              H/16 x W/16 x 384
C5    convolution 256 @ 3 x 3              H/16 x W/16 x 256
R     region-of-interest max-pooling       6 x 6 x 256, of each box
F6    fully connected                      4096
F7    fully connected                      4096
O     classes 2, offsets 2                 4
===== ==================================== =============================

With a `cell` of 8 pixels, C1 is 5 x 5 with a stride of 2: for pictures of half the resolution. Boxes have one fixed
size, so the offsets are those of the centre along x and y, in boxes; Fast R-CNN regresses sizes, too. CaffeNet's
normalisation of responses is left out, as in most networks since.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.architectures.network_config import NetworkConfig, check_choice, check_number
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

BINS = 6  # along a side of a pooled region
ROUNDING = 1e-3  # cells by which the edge of a bin may be off


@functools.cache
def region_pooling() -> type[keras.layers.Layer]:
    """Return the layer of region-of-interest pooling, made when it is first needed: its base costs Keras' import."""
    keras = import_keras()
    ops = keras.ops

    def _running(values: Any, axis: int, most: int) -> list[Any]:
        """Return for each cell the maximum of 1, 2, ..., `most` cells from it on; the last cell is repeated."""
        found = [values]
        for _ in range(most - 1):
            last = found[-1][:, -1:] if axis == 1 else found[-1][:, :, -1:]
            following = found[-1][:, 1:] if axis == 1 else found[-1][:, :, 1:]
            found.append(ops.maximum(values, ops.concatenate([following, last], axis=axis)))
        return found

    class RegionPooling(keras.layers.Layer):
        """Max-pooling of boxes of a feature map to bins (Girshick 2015, section 2.1).

        A box is divided evenly into `bins` x `bins`; the cells of a bin are those that it touches. What lies outside
        the map counts as its nearest cell.

        Inputs are the features, shape (batch, rows, columns, channels), and boxes, shape (batch, n, 4): left, top,
        right and bottom in cells, the first cell from 0 to 1. The output has the shape (batch, n, bins, bins,
        channels).

        Parameters
        ----------
        bins : int
        largest : float
            Side of the largest box in cells; of larger ones not all cells are seen.
        **settings
            Of every layer.
        """

        def __init__(self, bins: int, largest: float, **settings: Any) -> None:
            # Boxes stay in single precision: half of it does not tell cells beyond 256 apart.
            super().__init__(autocast=False, **settings)
            self.bins, self.largest = bins, largest

        def call(self, inputs: tuple[Any, Any]) -> Any:
            features, boxes = inputs
            batch, rows, columns, channels = ops.shape(features)
            # A bin touches at most so many cells along an axis.
            most = math.ceil(self.largest / self.bins) + 1
            top, height = self._cells(boxes[..., 1], boxes[..., 3], rows, most)
            left, width = self._cells(boxes[..., 0], boxes[..., 2], columns, most)
            # The largest of 1 x 1, 1 x 2, ... cells from each cell on: a bin's value is one of these, and regions,
            # which overlap, share them.
            maps = [across for down in _running(features, 1, most) for across in _running(down, 2, most)]
            maps = ops.reshape(ops.stack(maps, axis=1), (-1, channels))
            first = ops.reshape(ops.arange(batch, dtype="int32") * most, (-1, 1, 1, 1)) + height[..., None] - 1
            index = first * most + width[:, :, None, :] - 1
            index = (index * rows + top[..., None]) * columns + left[:, :, None, :]
            return ops.take(maps, index, axis=0)

        def _cells(self, low: Any, high: Any, number: Any, most: int) -> tuple[Any, Any]:
            """Return the first cell of each bin along one axis, and how many it has; shape (batch, n, bins)."""
            edges = ops.arange(self.bins + 1, dtype="float32") / self.bins
            edges = low[..., None] + (high - low)[..., None] * edges
            last = ops.cast(number, "float32") - 1
            # An edge between two cells touches one of them, however it is rounded.
            start = ops.floor(edges[..., :-1] + ROUNDING)
            end = ops.clip(ops.maximum(ops.ceil(edges[..., 1:] - ROUNDING) - 1, start), 0, last)
            start = ops.clip(start, 0, last)
            # Boxes larger than the largest would reach for a map that there is not.
            number = ops.clip(end - start + 1, 1, most)
            return ops.cast(start, "int32"), ops.cast(number, "int32")

        def compute_output_shape(self, input_shape: tuple) -> tuple:
            features, boxes = input_shape
            return (boxes[0], boxes[1], self.bins, self.bins, features[-1])

        def get_config(self) -> dict[str, Any]:
            return super().get_config() | {"bins": self.bins, "largest": self.largest}

    return RegionPooling


@dataclass(frozen=True)
class FastParticlePickerConfig(NetworkConfig):
    """Settings of FastParticlePicker's network.

    Attributes
    ----------
    classes : tuple of str
    channels : int
    seed : int
    width : float
        Multiplies the number of filters and units in every layer but the output; 1 for CaffeNet's.
    cell : int
        Pixels between the cells of the feature map: 16 (CaffeNet) or 8.
    box : int
        Side of the candidate boxes in pixels.
    dropout : float
        Fraction of F6's and F7's outputs left out in training, as in Fast R-CNN.

    Notes
    -----
    Xiao and Yang 2017, AIP Conf. Proc. 1836:020080; Girshick 2015, "Fast R-CNN", ICCV.
    """

    kind: ClassVar[str] = "fastparticlepicker"

    classes: tuple[str, ...] = ("particle", "background")
    width: float = 1.0
    cell: int = 16
    box: int = 120
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("width", self.width, 0.01, 4)
        check_choice("cell", self.cell, (8, 16))
        check_number("box", self.box, 2 * self.cell, 1024, whole=True)
        check_number("dropout", self.dropout, 0, 0.99)

    @property
    def window(self) -> int:
        """Side of the candidate boxes; around a box the trunk sees somewhat more."""
        return self.box

    @property
    def stride(self) -> int:
        """Pixels between the cells of the feature map."""
        return self.cell

    @property
    def valid(self) -> bool:
        """False: convolutions are padded."""
        return False

    def build(self) -> keras.Model:
        """Return a new network.

        Inputs: pictures (batch, rows, columns, channels), sides multiples of `cell`, and `boxes` (batch, n, 4). Output
        (batch, n, classes + 2): the probability of each class, and the offset of the particle's centre from the box's
        along x and y, in sides of a box. Its layers ``trunk``, ``regions`` and ``head`` can be run one by one.
        """
        keras = import_keras()

        seeds = iter(range(1000 * self.seed, 1000 * (self.seed + 1)))

        def scaled(number: int) -> int:
            return max(1, round(self.width * number))

        def rule() -> keras.initializers.Initializer:
            return keras.initializers.HeNormal(seed=next(seeds))

        def convolution(name: str, filters: int, size: int, stride: int = 1) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                scaled(filters),
                size,
                strides=stride,
                padding="same",
                activation="relu",
                kernel_initializer=rule(),
                name=name,
            )

        def pooling(name: str) -> keras.layers.Layer:
            return keras.layers.MaxPooling2D(3, strides=2, padding="same", name=name)

        pictures = tensor = keras.Input((None, None, self.channels), name="pictures")
        chain = [
            convolution("C1", 96, 11 if self.cell == 16 else 5, self.cell // 4),
            pooling("M1"),
            convolution("C2", 256, 5),
            pooling("M2"),
            convolution("C3", 384, 3),
            convolution("C4", 384, 3),
            convolution("C5", 256, 3),
        ]
        for layer in chain:
            tensor = layer(tensor)
        trunk = keras.Model(pictures, tensor, name="trunk")

        pooled = keras.Input((None, BINS, BINS, scaled(256)), name="pooled")
        # Connected layers work on the last axis: each region by itself.
        tensor = keras.layers.Reshape((-1, BINS * BINS * scaled(256)), name="flatten")(pooled)
        for name in ("F6", "F7"):
            tensor = keras.layers.Dense(scaled(4096), activation="relu", kernel_initializer=rule(), name=name)(tensor)
            if self.dropout:
                tensor = keras.layers.Dropout(self.dropout, seed=next(seeds), name=f"{name}_dropout")(tensor)

        def output(name: str, number: int, activation: str | None) -> Any:
            return keras.layers.Dense(
                number,
                activation=activation,
                # A hundredth of the usual variance: a new network is undecided.
                kernel_initializer=keras.initializers.VarianceScaling(0.01, seed=next(seeds)),
                # Probabilities keep their digits also where the rest is computed in half precision.
                dtype="float32",
                name=name,
            )(tensor)

        judged = [output("classes", len(self.classes), "softmax"), output("offsets", 2, None)]
        head = keras.Model(pooled, keras.layers.Concatenate(dtype="float32", name="judged")(judged), name="head")

        picture = keras.Input((None, None, self.channels), name="picture")
        boxes = keras.Input((None, 4), name="boxes")
        regions = region_pooling()(BINS, self.box / self.cell, name="regions")
        return keras.Model([picture, boxes], head(regions([trunk(picture), boxes])), name=self.kind)

    def boxes(self, places: NDArray) -> NDArray[np.float32]:
        """Return the boxes around places, in cells of the feature map of a picture whose sides are multiples of `cell`.

        Parameters
        ----------
        places : ndarray of float, shape (..., 2)
            Centres, x and y in pixels.

        Returns
        -------
        ndarray of float32, shape (..., 4)
            Left, top, right and bottom, the first cell from 0 to 1.
        """
        # The middle of what the first cell sees: paddings are uneven, more of each is at the far end.
        middle = 7 if self.cell == 8 else 14
        centre = (np.asarray(places, np.float64) - middle) / self.cell + 0.5
        half = self.box / self.cell / 2
        return np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)
