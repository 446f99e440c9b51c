"""A network that judges one window, turned into one that judges every window of an image at once: the same weights.

Neighbouring windows share nearly all their pixels. A fully convolutional network computes what they share only once
(Long, Shelhamer and Darrell, 2015; OverFeat, 2014): the first fully connected layer becomes a convolution with a kernel
as large as its input, the others convolutions of 1 x 1. Its positions are as far apart as the strides of all layers
multiply to. For a finer stride a layer moves by less and all later kernels are widened by the factor that it lacks
(dilation, or "a trous"): each score still comes from the very same pixels.

Convolutions are never padded here. For a network without padding of its own the scores are those of single windows,
but for rounding. For one with ``same`` padding a window's neighbourhood takes the place of the zeros around it, so the
scores are an approximation, and depend on a wider field than the window.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.geometry import extent

if TYPE_CHECKING:
    import keras

_POINTWISE = ("Activation", "ReLU", "LeakyReLU", "Softmax", "BatchNormalization")


@functools.cache
def _layer_types() -> tuple[type[keras.layers.Layer], ...]:
    """Return the three kinds of layers, made when they are first needed: their base class costs the import of Keras."""
    keras = import_keras()

    class SharedConvolution(keras.layers.Layer):
        """A convolution with the weights of another layer, `Conv2D` or `Dense`: the same variables, not copies.

        So a network that is trained further needs no new conversion, and 58 million parameters are in memory once.

        Parameters
        ----------
        source : keras.layers.Conv2D or keras.layers.Dense
        kernel_size : int
            For `Dense`: side of the square that it was connected to.
        strides, dilation_rate : int
        """

        padding = "valid"

        def __init__(self, source: keras.layers.Layer, kernel_size: int, strides: int, dilation_rate: int) -> None:
            super().__init__(name=source.name, dtype=source.dtype_policy)
            self.source = source
            self.kernel_size, self.strides, self.dilation_rate = kernel_size, strides, dilation_rate
            self.filters = source.kernel.shape[-1]
            # The weights are there already, whatever the input's size.
            self.built = True

        def call(self, inputs: Any) -> Any:
            kernel = keras.ops.cast(self.source.kernel, self.compute_dtype)
            shape = (self.kernel_size, self.kernel_size, inputs.shape[-1], self.filters)
            if tuple(kernel.shape) != shape:
                kernel = keras.ops.reshape(kernel, shape)
            outputs = keras.ops.conv(
                inputs, kernel, strides=self.strides, padding="valid", dilation_rate=self.dilation_rate
            )
            if self.source.bias is not None:
                outputs = outputs + keras.ops.cast(self.source.bias, self.compute_dtype)
            return self.source.activation(outputs)

        def compute_output_shape(self, input_shape: tuple) -> tuple:
            return _output_shape(input_shape, self.filters, self.kernel_size, self.strides, self.dilation_rate)

    class DilatedPooling(keras.layers.Layer):
        """Pooling whose taps are `dilation_rate` pixels apart (no backend's own pooling is dilated in Keras).

        Parameters
        ----------
        pool_size, strides, dilation_rate : int
        average : bool
            The mean of the taps, not the largest.
        **settings
            Of every layer.
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
                for tap in range(0, reach + 1, self.dilation_rate):
                    part = slice(tap, tap - reach or None)
                    parts.append(outputs[:, part] if axis == 1 else outputs[:, :, part])
                outputs = parts[0]
                for part in parts[1:]:
                    outputs = outputs + part if self.average else keras.ops.maximum(outputs, part)
            if self.average:
                outputs = outputs / self.pool_size**2
            return outputs[:, :: self.strides, :: self.strides] if self.strides > 1 else outputs

        def compute_output_shape(self, input_shape: tuple) -> tuple:
            return _output_shape(input_shape, input_shape[-1], self.pool_size, self.strides, self.dilation_rate)

    class SharedLayer(keras.layers.Layer):
        """Another layer that works on each pixel. Its own inputs and outputs stay those in the network it is of.

        Parameters
        ----------
        source : keras.layers.Layer
        """

        def __init__(self, source: keras.layers.Layer) -> None:
            super().__init__(name=source.name, dtype=source.dtype_policy)
            self.source = source
            self.built = True

        def call(self, inputs: Any) -> Any:
            return self.source(inputs)

        def compute_output_shape(self, input_shape: tuple) -> tuple:
            return self.source.compute_output_shape(input_shape)

    return SharedConvolution, DilatedPooling, SharedLayer


def _output_shape(shape: tuple, channels: int, side: int, stride: int, dilation: int) -> tuple:
    reach = (side - 1) * dilation
    sides = [None if n is None else (n - reach - 1) // stride + 1 for n in shape[1:3]]
    return (shape[0], *sides, channels)


def own_stride(network: keras.Model) -> int:
    """Return the product of the strides of all layers: the stride of the network's own dense map."""
    return math.prod(spans[1] for layer in network.layers if (spans := extent(layer)) is not None)


def fully_convolutional(network: keras.Model, *, stride: int | None = None) -> keras.Model:
    """Return a network with the same weights that takes images of any size and gives a map of scores.

    Parameters
    ----------
    network : keras.Model
        A chain of convolutions, poolings, layers that work on each pixel (own ones have the attribute ``pointwise``)
        or only in training, one `Flatten`, and fully connected layers, with a fixed input size:
        `DeepCryoPickerConfig.build` makes one.
    stride : int, optional
        Input pixels between scores: the network's own stride (the default; 32 for DeepCryoPicker) or a divisor of it
        that leaves each layer a whole stride.

    Returns
    -------
    keras.Model
        Input (batch, rows, columns, channels), output (batch, rows', columns', classes). It shares its variables with
        `network`; save that one.

    Raises
    ------
    PickerError
        When the network is not such a chain, or the stride does not divide its own.

    Notes
    -----
    Score (i, j) is that of the window whose first pixel is (stride * i, stride * j) of the input, moved by half the
    difference between the field (`cryokit.networks.geometry`) and the window where the network pads.
    """
    keras = import_keras()
    SharedConvolution, DilatedPooling, SharedLayer = _layer_types()
    own = own_stride(network)
    stride = own if stride is None else stride
    if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1 or own % stride:
        raise PickerError(f"stride {stride!r}: dense scores of {network.name!r} are {_divisors(own)} pixels apart")
    inputs = tensor = keras.Input((None, None, network.input_shape[-1]), name="image")
    jump = dilation = 1
    square = None  # side of what the first fully connected layer sees, between Flatten and it
    for layer in network.layers[1:]:
        kind = type(layer).__name__
        spans = extent(layer)
        if spans is not None:
            side, step, own_dilation = spans
            taken = math.gcd(step, stride // jump)
            if kind == "Conv2D" and layer.groups == 1:
                tensor = SharedConvolution(layer, side, taken, dilation * own_dilation)(tensor)
            elif kind in ("MaxPooling2D", "AveragePooling2D") and layer.padding == "valid":
                settings = {"name": layer.name, "dtype": layer.dtype_policy}
                if dilation == 1:  # the backend's own pooling is faster
                    pooling = getattr(keras.layers, kind)(side, strides=taken, **settings)
                else:
                    pooling = DilatedPooling(side, taken, dilation, kind == "AveragePooling2D", **settings)
                tensor = pooling(tensor)
            else:
                raise _unfit(network, layer)
            jump, dilation = jump * taken, dilation * step // taken
        elif kind == "Flatten":
            rows, columns = layer.input.shape[1:3]
            if rows != columns or rows is None:
                raise _unfit(network, layer)
            square = rows
        elif kind == "Dense":
            first, square = square or 1, None
            tensor = SharedConvolution(layer, first, 1, dilation if first > 1 else 1)(tensor)
        elif kind in ("Dropout", "SpatialDropout2D", "GaussianNoise"):
            continue  # without effect outside training
        elif kind in _POINTWISE or getattr(layer, "pointwise", False):
            tensor = SharedLayer(layer)(tensor)
        else:
            raise _unfit(network, layer)
    if jump != stride:
        raise PickerError(
            f"stride {stride}: the layers of {network.name!r} cannot be that close; take {_divisors(own)}"
        )
    return keras.Model(inputs, tensor, name=f"{network.name}_dense")


def _divisors(own: int) -> str:
    *others, last = [str(divisor) for divisor in range(1, own + 1) if own % divisor == 0]
    return f"{', '.join(others)} or {last}" if others else last


def _unfit(network: keras.Model, layer: keras.layers.Layer) -> PickerError:
    return PickerError(
        f"network {network.name!r}: layer {layer.name!r} ({type(layer).__name__}) has no fully convolutional form here"
    )
