"""A network that judges single windows, made into one that judges every window of a picture at once.

Neighbouring windows share nearly all their pixels. A fully convolutional network with the same weights computes what
they share only once (Long, Shelhamer and Darrell, 2015; OverFeat, 2014): the first fully connected layer becomes a
convolution with a kernel as large as its input, the others convolutions of 1 x 1. The spacing of its scores is the
product of the strides of all layers. For a finer spacing, a layer gets a smaller stride and all later kernels are
dilated ("a trous") by the factor that is missing: each score still comes from the same pixels.

Convolutions are never padded here. If the network has no padding of its own, the scores are those of single windows up
to rounding. If it has ``same`` padding, the neighbourhood of a window takes the place of the zeros around it: the
scores are an approximation, and depend on a wider field than the window.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cryokit.errors import ArgumentError
from cryokit.networks.devices import import_keras
from cryokit.networks.geometry import extent

if TYPE_CHECKING:
    import keras

_POINTWISE = ("Activation", "ReLU", "LeakyReLU", "Softmax", "BatchNormalization")


def fully_convolutional(network: keras.Model, *, stride: int | None = None) -> keras.Model:
    """Return a network with the same weights that takes pictures of any size and returns a map of scores.

    Parameters
    ----------
    network : keras.Model
        Chain of convolutions, poolings, layers that work on each pixel (custom ones have the attribute ``pointwise``)
        or only in training, one `Flatten`, and fully connected layers, with a fixed input size, such as
        `DeepCryoPickerConfig.build` makes.
    stride : int, optional
        Spacing of the scores in pixels of the input: the network's own stride (the default; 32 for DeepCryoPicker) or
        a divisor of it that leaves each layer a whole stride.

    Returns
    -------
    keras.Model
        Network with the input (batch, rows, columns, channels) and the output (batch, rows', columns', classes). It
        shares its variables with `network`; to save the weights, save `network`.

    Raises
    ------
    ArgumentError
        If the network is not such a chain, or `stride` does not divide its own.

    Notes
    -----
    Score (i, j) is that of the window whose first pixel is (stride * i, stride * j) of the input, moved by half the
    difference between the field (`cryokit.networks.geometry`) and the window where the network pads.
    """
    from cryokit.networks.custom_layers import DilatedPooling, SharedConvolution, SharedLayer

    keras = import_keras()
    own = math.prod(spans[1] for layer in network.layers if (spans := extent(layer)) is not None)  # its stride
    stride = own if stride is None else stride
    if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1 or own % stride:
        raise ArgumentError(f"stride must be {_divisors(own)} for {network.name!r}, not {stride!r}")
    inputs = tensor = keras.Input((None, None, network.input_shape[-1]), name="image")
    jump = dilation = 1
    square = None  # side of the map that the first fully connected layer sees
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
        raise ArgumentError(f"stride {stride} leaves a layer of {network.name!r} no whole stride; try {_divisors(own)}")
    return keras.Model(inputs, tensor, name=f"{network.name}_dense")


def _divisors(own: int) -> str:
    *others, last = [str(divisor) for divisor in range(1, own + 1) if own % divisor == 0]
    return f"{', '.join(others)} or {last}" if others else last


def _unfit(network: keras.Model, layer: keras.layers.Layer) -> ArgumentError:
    return ArgumentError(
        f"network {network.name!r}: layer {layer.name!r} ({type(layer).__name__}) has no fully convolutional form"
    )
