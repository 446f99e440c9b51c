"""Layers that Keras does not have. Importing this module imports Keras."""
# ruff: noqa: D102  (`call` and `compute_output_shape` are methods of every layer)

import math
from typing import Any

from cryokit.networks.devices import import_keras

keras = import_keras()
ops = keras.ops

ROUNDING = 1e-3  # cells by which the edge of a bin may be off


class SharedLayer(keras.layers.Layer):
    """Another layer that works on each pixel, whose own inputs and outputs stay those in its network.

    Parameters
    ----------
    source : keras.layers.Layer
        Layer that is called.
    """

    def __init__(self, source: keras.layers.Layer) -> None:
        super().__init__(name=source.name, dtype=source.dtype_policy)
        self.source = source
        # The weights exist already, whatever the size of the input.
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.source(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.source.compute_output_shape(input_shape)


class SharedConvolution(SharedLayer):
    """A convolution with the weights of another layer, `Conv2D` or `Dense`: the same variables, not copies.

    So a network that is trained further needs no new conversion, and 58 million parameters are in memory once.

    Parameters
    ----------
    source : keras.layers.Conv2D or keras.layers.Dense
        Layer whose weights are used.
    kernel_size : int
        Side of the kernel; for `Dense`, side of the square that it was connected to.
    strides, dilation_rate : int
        As in `Conv2D`.
    """

    padding = "valid"

    def __init__(self, source: keras.layers.Layer, kernel_size: int, strides: int, dilation_rate: int) -> None:
        super().__init__(source)
        self.kernel_size, self.strides, self.dilation_rate = kernel_size, strides, dilation_rate

    @property
    def kernel(self) -> keras.Variable:
        """Kernel of the source."""
        return self.source.kernel

    def call(self, inputs: Any) -> Any:
        kernel = ops.cast(self.kernel, self.compute_dtype)
        # The kernel of `Dense` has only two axes.
        kernel = ops.reshape(kernel, (self.kernel_size, self.kernel_size, inputs.shape[-1], kernel.shape[-1]))
        outputs = ops.conv(inputs, kernel, self.strides, "valid", dilation_rate=self.dilation_rate)
        if self.source.bias is not None:
            outputs = outputs + ops.cast(self.source.bias, self.compute_dtype)
        return self.source.activation(outputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        channels = self.kernel.shape[-1]
        return _output_shape(input_shape, channels, self.kernel_size, self.strides, self.dilation_rate)


class DilatedPooling(keras.layers.Layer):
    """Pooling over pixels that are `dilation_rate` apart, which no backend's own pooling offers in Keras.

    Parameters
    ----------
    pool_size, strides, dilation_rate : int
        As in `Conv2D`, along both axes.
    average : bool
        Whether to take the mean of the pixels, not the largest.
    **settings
        Settings of every layer.
    """

    padding = "valid"

    def __init__(
        self, pool_size: int, strides: int, dilation_rate: int, average: bool = False, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.pool_size, self.strides, self.dilation_rate = pool_size, strides, dilation_rate
        self.average = average

    def call(self, inputs: Any) -> Any:
        reach = (self.pool_size - 1) * self.dilation_rate
        outputs = inputs
        for axis in (1, 2):
            # Where the length is not known in advance, ends are counted from the end; -0 would be the start.
            parts = []
            for first in range(0, reach + 1, self.dilation_rate):
                part = slice(first, first - reach or None)
                parts.append(outputs[:, part] if axis == 1 else outputs[:, :, part])
            outputs = parts[0]
            for part in parts[1:]:
                outputs = outputs + part if self.average else ops.maximum(outputs, part)
        if self.average:
            outputs = outputs / self.pool_size**2
        return outputs[:, :: self.strides, :: self.strides] if self.strides > 1 else outputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return _output_shape(input_shape, input_shape[-1], self.pool_size, self.strides, self.dilation_rate)


class BothWays(keras.layers.Layer):
    """The sigmoid of one value and of its negative: the probability of a class, and of the other one."""

    pointwise = True  # for `cryokit.networks.fully_convolutional`

    def call(self, inputs: Any) -> Any:
        # 1 - sigmoid(x) would be 0 already at x = 17, without any gradient.
        return ops.sigmoid(ops.concatenate([inputs, -inputs], axis=-1))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], 2 * input_shape[-1])


class ClassesAndOffsets(keras.layers.Layer):
    """The probabilities of some classes, and values that stay as they are: where the particle's centre is.

    Parameters
    ----------
    classes : int
        Number of the first channels, which become probabilities.
    **settings
        Settings of every layer.
    """

    pointwise = True  # for `cryokit.networks.fully_convolutional`

    def __init__(self, classes: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.classes = classes

    def call(self, inputs: Any) -> Any:
        return ops.concatenate([ops.softmax(inputs[..., : self.classes]), inputs[..., self.classes :]], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


class RegionPooling(keras.layers.Layer):
    """Max-pooling of boxes of a feature map to bins (Girshick 2015, section 2.1).

    A box is divided evenly into `bins` x `bins`; the cells of a bin are those that it touches. Outside the map, the
    nearest cell is repeated.

    Inputs are the features, shape (batch, rows, columns, channels), and boxes, shape (batch, n, 4): left, top, right
    and bottom in cells, the first cell from 0 to 1. The output has the shape (batch, n, bins, bins, channels).

    Parameters
    ----------
    bins : int
        Bins along a side of a box.
    largest : float
        Side of the largest box in cells; of larger ones not all cells are seen.
    **settings
        Settings of every layer.
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
        # The largest of 1 x 1, 1 x 2, ... cells from each cell on: a bin's value is one of these, and regions, which
        # overlap, share them.
        maps = [across for down in _running_maxima(features, 1, most) for across in _running_maxima(down, 2, most)]
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
        # Boxes larger than the largest would reach for a map that does not exist.
        number = ops.clip(end - start + 1, 1, most)
        return ops.cast(start, "int32"), ops.cast(number, "int32")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        features, boxes = input_shape
        return (boxes[0], boxes[1], self.bins, self.bins, features[-1])


def _running_maxima(values: Any, axis: int, most: int) -> list[Any]:
    """Return for each cell the maximum of 1, 2, ..., `most` cells from it on; the last cell is repeated."""
    maxima = [values]
    for _ in range(most - 1):
        last = maxima[-1][:, -1:] if axis == 1 else maxima[-1][:, :, -1:]
        following = maxima[-1][:, 1:] if axis == 1 else maxima[-1][:, :, 1:]
        maxima.append(ops.maximum(values, ops.concatenate([following, last], axis=axis)))
    return maxima


def _output_shape(shape: tuple, channels: int, side: int, stride: int, dilation: int) -> tuple:
    reach = (side - 1) * dilation
    sides = [None if length is None else (length - reach - 1) // stride + 1 for length in shape[1:3]]
    return (shape[0], *sides, channels)
