"""What a network is trained on and measured with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError


@dataclass(frozen=True, eq=False)
class Samples:
    """Pictures with the classes that a network has to find in them.

    Attributes
    ----------
    x : ndarray of float32, shape (n, rows, columns, channels)
        As the network takes them. Not copied where they are float32 already.
    y : ndarray of int32, shape (n,) or (n, h, w)
        Class numbers: of each picture, or of each position of the network's map. Maps must lie in the middle of their
        pictures if training augments, since both are mirrored and rotated.
    weights : ndarray of float32, shape of `y`, optional
        How much each counts, 0 for not at all; only their ratios matter.

    Raises
    ------
    PickerError
        When shapes do not fit, or something is no number.

    Examples
    --------
    >>> len(Samples(np.zeros((3, 8, 8, 1)), [0, 1, 1]))
    3
    """

    x: NDArray[np.float32]
    y: NDArray[np.int32]
    weights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        x, y = np.asarray(self.x), np.asarray(self.y)
        if x.ndim != 4 or not all(x.shape) or x.dtype.kind not in "fiu":
            raise PickerError(f"x: give numbers of the shape (n, rows, columns, channels), not {x.dtype} {x.shape}")
        if y.ndim not in (1, 3) or len(y) != len(x) or not y.size or y.dtype.kind not in "iu" or y.min() < 0:
            raise PickerError(
                f"y: give class numbers 0, 1, ... of the shape ({len(x)},) or ({len(x)}, rows, columns), not "
                f"{y.dtype} {y.shape}" + (f" from {y.min()}" if y.size and y.dtype.kind in "i" else "")
            )
        x = np.ascontiguousarray(x, np.float32)
        _require_finite(x, "x")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", np.ascontiguousarray(y, np.int32))
        if self.weights is None:
            return
        weights = np.asarray(self.weights)
        if weights.shape != y.shape or weights.dtype.kind not in "fiub":
            raise PickerError(
                f"weights: give numbers of the shape of y, {y.shape}, not {weights.dtype} {weights.shape}"
            )
        weights = np.ascontiguousarray(weights, np.float32)
        _require_finite(weights, "weights")
        if weights.min() < 0 or not weights.any():
            raise PickerError("weights: give numbers of 0 and more, not all of them 0")
        object.__setattr__(self, "weights", weights)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def is_map(self) -> bool:
        """Whether there is a class for each position instead of one for the picture."""
        return self.y.ndim == 3

    def class_shares(self, classes: int) -> NDArray[np.float64]:
        """Return each class's share of the weight, shape (classes,)."""
        weights = None if self.weights is None else self.weights.ravel()
        counted = np.bincount(self.y.ravel(), weights, minlength=classes)
        return counted / counted.sum()


def _require_finite(values: NDArray[np.float32], name: str) -> None:
    # Sums find what is not finite without an array of truth values as large as the samples.
    sums = values.reshape(len(values), -1).sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(sums))
    if len(wrong):
        raise PickerError(f"{name}: sample {wrong[0]} of {len(values)} has values that are NaN or infinite")


def check_fit(network, samples: Samples) -> int:
    """Return the number of the network's classes.

    Raises
    ------
    PickerError
        When the samples do not fit the network.
    """
    wanted = network.input_shape
    if len(wanted) != 4 or any(
        side not in (None, given) for side, given in zip(wanted[1:], samples.x.shape[1:], strict=True)
    ):
        raise PickerError(f"x: pictures of the shape {samples.x.shape[1:]} for a network that takes {wanted[1:]}")
    try:
        given = tuple(network.compute_output_shape((1, *samples.x.shape[1:])))
    except ValueError as error:
        raise PickerError(f"x: pictures of {samples.x.shape[1:]} are too small for the network ({error})") from None
    if given[1:-1] != samples.y.shape[1:]:
        one = "one class a picture" if len(given) == 2 else f"maps of {given[1]} x {given[2]} positions"
        raise PickerError(
            f"y: shape {samples.y.shape} for a network that gives {one}; give ({len(samples)}, ...) alike"
        )
    classes = given[-1]
    if classes < 2:
        raise PickerError("the network has one output; give it one for each class, background included")
    if samples.y.max() >= classes:
        raise PickerError(f"y: class {samples.y.max()} for a network of {classes} classes (0 to {classes - 1})")
    return classes
