"""What a network is trained on and measured with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import ArgumentError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Samples:
    """Pictures with the classes that a network has to find in them.

    Attributes
    ----------
    x : ndarray of float32, shape (n, rows, columns, channels)
        Pictures as the network takes them. Not copied if they are float32 already.
    y : ndarray of int32, shape (n,) or (n, h, w)
        Class of each picture, or of each position of the network's map. Maps must be centred on their pictures if the
        training augments, since both are mirrored and rotated.
    weights : ndarray of float32, shape of `y`, optional
        Weight of each class in `y`, 0 to leave it out; only their ratios matter.
    offsets : ndarray of float32, shape (n, h, w, 2), optional
        For networks that locate: x and y from each position to its particle's centre, in diameters; 0 on background.

    Raises
    ------
    ArgumentError
        If the shapes do not fit, or values are not finite numbers.

    Examples
    --------
    >>> len(Samples(np.zeros((3, 8, 8, 1)), [0, 1, 1]))
    3
    """

    x: NDArray[np.float32]
    y: NDArray[np.int32]
    weights: NDArray[np.float32] | None = None
    offsets: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        x, y = np.asarray(self.x), np.asarray(self.y)
        if x.ndim != 4 or not x.size or x.dtype.kind not in "fiu":
            raise ArgumentError(f"x must be numbers of the shape (n, rows, columns, channels), not {_described(x)}")
        if y.ndim not in (1, 3) or len(y) != len(x) or not y.size or y.dtype.kind not in "iu":
            raise ArgumentError(
                f"y must be class numbers of the shape ({len(x)},) or ({len(x)}, rows, columns), not {_described(y)}"
            )
        if y.min() < 0:
            raise ArgumentError(f"y must be class numbers from 0 on, not {y.min()}")
        object.__setattr__(self, "x", _finite("x", x))
        object.__setattr__(self, "y", np.ascontiguousarray(y, np.int32))
        if self.offsets is not None:
            offsets = np.asarray(self.offsets)
            if offsets.shape != (*y.shape, 2) or y.ndim != 3:
                raise ArgumentError(f"offsets must have the shape {(*y.shape, 2)}, not {_described(offsets)}")
            object.__setattr__(self, "offsets", _finite("offsets", offsets))
        if self.weights is None:
            return
        weights = np.asarray(self.weights)
        if weights.shape != y.shape or weights.dtype.kind not in "fiub":
            raise ArgumentError(f"weights must be numbers of the shape of y, {y.shape}, not {_described(weights)}")
        weights = _finite("weights", weights)
        if weights.min() < 0 or not weights.any():
            raise ArgumentError("weights must be 0 or more, and not all of them 0")
        object.__setattr__(self, "weights", weights)

    def __len__(self) -> int:
        return len(self.x)

    def arrays(self) -> tuple[NDArray, ...]:
        """Return x, y and, if there are any, the weights, scaled to a mean of 1.

        So the learning rate means the same with weights and without. With offsets, y has three channels: the class and
        the offset.
        """
        y = self.y if self.offsets is None else np.concatenate([self.y[..., None], self.offsets], -1, dtype=np.float32)
        if self.weights is None:
            return self.x, y
        return self.x, y, self.weights * np.float32(1 / self.weights.mean(dtype=np.float64))

    def class_shares(self, classes: int) -> NDArray[np.float64]:
        """Return the share of each class in the weight of all, shape (classes,)."""
        weights = None if self.weights is None else self.weights.ravel()
        counts = np.bincount(self.y.ravel(), weights, minlength=classes)
        return counts / counts.sum()


def _described(array: NDArray) -> str:
    return f"{array.dtype} of the shape {array.shape}"


def _finite(name: str, values: NDArray[Any]) -> NDArray[np.float32]:
    values = np.ascontiguousarray(values, np.float32)
    # Sums find what is not finite without an array of truth values as large as the samples.
    sums = values.reshape(len(values), -1).sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(sums))
    if len(wrong):
        raise ArgumentError(f"{name} must be finite, but sample {wrong[0]} of {len(values)} has NaN or infinity")
    return values


def check_fit(network: keras.Model, samples: Samples) -> int:
    """Return the number of the network's classes.

    Raises
    ------
    ArgumentError
        If the samples do not fit the network.
    """
    side = samples.x.shape[1:]
    expected = network.input_shape[1:]
    if len(expected) != 3 or any(known not in (None, given) for known, given in zip(expected, side, strict=True)):
        raise ArgumentError(f"x must be pictures of the shape {expected} for this network, not {side}")
    try:
        output = tuple(network.compute_output_shape((1, *side)))
    except ValueError as error:
        raise ArgumentError(f"x must be larger pictures for this network than {side} ({error})") from None
    if output[1:-1] != samples.y.shape[1:]:
        shape = (len(samples), *output[1:-1])
        raise ArgumentError(f"y must have the shape {shape} for this network, not {samples.y.shape}")
    classes = output[-1] - (0 if samples.offsets is None else 2)
    if classes < 2:
        raise ArgumentError("network must have an output for each class, background included; it has 1")
    if samples.y.max() >= classes:
        raise ArgumentError(f"y must be classes from 0 to {classes - 1} for this network, not {samples.y.max()}")
    return classes
