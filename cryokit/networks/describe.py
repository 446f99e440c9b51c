"""A network layer by layer: shapes, parameters, and the arithmetic of one pass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from cryokit.errors import ArgumentError

if TYPE_CHECKING:
    import keras


def layers(network: keras.Model, shape: tuple[int, int] | None = None) -> pd.DataFrame:
    """Return a table of a network's layers, in the order in which they are computed.

    Parameters
    ----------
    network : keras.Model
        Network to describe.
    shape : (rows, columns), optional
        Shape of the input; needed if the network takes pictures of any size.

    Returns
    -------
    pandas.DataFrame
        Columns ``name``, ``type``, ``output_shape`` (tuple, without the batch), ``parameters`` and ``multiply_adds``:
        multiplications with a weight, each followed by an addition, for one input of this shape. The arithmetic of
        poolings, activations and normalisations is not counted.

    Raises
    ------
    ArgumentError
        If `shape` is needed and not given, or is not the network's.
    """
    rows, columns, channels = network.input_shape[1:]
    if shape is None:
        shape = (rows, columns)
    if None in shape:
        raise ArgumentError(f"shape must be given, since network {network.name!r} takes pictures of any size")
    if any(known not in (None, given) for known, given in zip((rows, columns), shape, strict=True)):
        raise ArgumentError(f"shape must be {rows} x {columns} for {network.name!r}, not {shape[0]} x {shape[1]}")
    shapes = {id(network.inputs[0]): (1, *shape, channels)}
    table = []
    for layer in network.operations:
        given = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
        inputs = [shapes[id(tensor)] for tensor in given]
        if id(layer.output) not in shapes:
            shapes[id(layer.output)] = tuple(layer.compute_output_shape(inputs if len(inputs) > 1 else inputs[0]))
        output = shapes[id(layer.output)]
        parameters = layer.count_params() if hasattr(layer, "count_params") else 0
        sums = _multiply_adds(layer, inputs[0], output) if inputs else 0
        table.append((layer.name, type(layer).__name__, output[1:], parameters, sums))
    return pd.DataFrame(table, columns=["name", "type", "output_shape", "parameters", "multiply_adds"])


def multiply_adds(network: keras.Model, shape: tuple[int, int] | None = None) -> int:
    """Return the number of multiply-adds of one pass over an input of this shape: the sum over all `layers`."""
    return int(layers(network, shape)["multiply_adds"].sum())


def _multiply_adds(layer: Any, before: tuple[int, ...], after: tuple[int, ...]) -> int:
    kind = type(layer).__name__
    positions = math.prod(after[:-1])
    if kind == "Dense":
        return positions * before[-1] * after[-1]
    if kind in ("Conv2D", "SharedConvolution"):
        # Each output is the sum over one filter's weights.
        return positions * math.prod(layer.kernel.shape)
    if kind in ("DepthwiseConv2D", "SeparableConv2D"):
        kernels = [layer.kernel] if kind == "DepthwiseConv2D" else [layer.depthwise_kernel, layer.pointwise_kernel]
        return positions * sum(math.prod(kernel.shape) for kernel in kernels)
    return 0
