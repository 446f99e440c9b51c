"""What each output of a fully convolutional network sees: spacing and extent of its field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryokit.errors import ArgumentError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Geometry:
    """Output i of a network sees the input pixels from ``stride * i + low`` to ``stride * i + high``, along both axes.

    Attributes
    ----------
    stride : int
        Input pixels between neighbouring outputs.
    low, high : int
        First and last pixel that output 0 sees. `low` is negative if the network pads; `high` then holds for inputs
        whose sides are multiples of the stride.
    """

    stride: int
    low: int
    high: int

    @property
    def field(self) -> int:
        """Side of the square that one output sees: the receptive field."""
        return self.high - self.low + 1


def geometry(network: keras.Model) -> Geometry:
    """Follow a fully convolutional network from its input to its output.

    Convolutions and poolings (with strides, dilation, either padding), cropping, padding and joining of branches are
    followed; layers without any spatial extent keep positions as they are.

    Parameters
    ----------
    network : keras.Model
        Network with one input (batch, rows, columns, channels) and one output (batch, rows, columns, classes).

    Returns
    -------
    Geometry

    Raises
    ------
    ArgumentError
        If the network is not fully convolutional, not the same along both axes, or has layers that cannot be followed
        (those that enlarge).
    """
    return outputs(network)[-1][0]


def outputs(network: keras.Model) -> list[tuple[Geometry, int]]:
    """Return the geometry and channels of the output of every layer, from the network's input to its output.

    Raises
    ------
    ArgumentError
        As in `geometry`.
    """
    if len(network.inputs) != 1 or len(network.outputs) != 1 or len(network.output.shape) != 4:
        raise ArgumentError(f"network {network.name!r} must have one input, and one map as output")
    first, last = network.inputs[0], network.outputs[0]
    known = {id(first): (Geometry(1, 0, 0), first.shape[-1])}
    for layer in network.operations:
        if id(layer.output) not in known:  # all but the input
            inputs = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
            joined = _joined(layer, [known[id(tensor)][0] for tensor in inputs])
            known[id(layer.output)] = _after(layer, joined), layer.output.shape[-1]
    known[id(last)] = known.pop(id(last))
    return list(known.values())


def extent(layer: Any) -> tuple[int, int, int] | None:
    """Return the kernel's side, stride and dilation of a convolution or pooling; None for other layers.

    Raises
    ------
    ArgumentError
        If they differ between rows and columns.
    """
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if kernel is None:
        return None
    stride, dilation = getattr(layer, "strides", 1), getattr(layer, "dilation_rate", 1)
    return _side(layer, kernel), _side(layer, stride), _side(layer, dilation)


def _joined(layer: Any, branches: list[Geometry]) -> Geometry:
    if len({branch.stride for branch in branches}) > 1:
        raise ArgumentError(
            f"layer {layer.name!r} joins branches of different strides, which dense scoring cannot follow"
        )
    return Geometry(branches[0].stride, min(b.low for b in branches), max(b.high for b in branches))


def _after(layer: Any, before: Geometry) -> Geometry:
    kind = type(layer).__name__
    if kind.startswith(("Flatten", "Global", "Reshape", "UpSampling")) or kind.endswith("Transpose"):
        raise ArgumentError(f"layer {layer.name!r} is a {kind}, which dense scoring cannot follow")
    jump = before.stride
    if kind in ("Cropping2D", "ZeroPadding2D"):
        amount = layer.cropping if kind == "Cropping2D" else layer.padding
        first = _side(layer, [sides[0] for sides in amount]) * jump * (1 if kind == "Cropping2D" else -1)
        return Geometry(jump, before.low + first, before.high + first)
    spans = extent(layer)
    if spans is None:
        return before
    side, stride, dilation = spans
    reach = (side - 1) * dilation
    # Keras pads a side that is a multiple of the stride by this much in total, the smaller half first.
    first = max(reach + 1 - stride, 0) // 2 if layer.padding == "same" else 0
    return Geometry(jump * stride, before.low - first * jump, before.high + (reach - first) * jump)


def _side(layer: Any, value: Any) -> int:
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1:
        raise ArgumentError(f"layer {layer.name!r} is not the same along rows and columns, as dense scoring needs it")
    return sides.pop()
