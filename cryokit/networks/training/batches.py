"""Batches whose order and augmentation depend on the seed, the epoch and the batch only."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.training.samples import Samples

CONTRAST, BRIGHTNESS = 0.2, 0.1  # in standard deviations of a standardised patch


class ShuffledBatches:
    """One epoch of arrays in random order, in batches of one size.

    The last batch is filled up with the epoch's first samples: with one size, backends compile one function, and no
    sample of a short batch weighs more than others. Batches can be taken in any order and any number of times.

    Parameters
    ----------
    arrays : sequence of ndarray, each of shape (n, ...)
        Inputs, targets and, optionally, weights.
    batch_size : int
        Samples of a batch; at most n are taken.
    seed, epoch : int
        Random seed and number of the epoch.
    """

    def __init__(self, arrays: Sequence[NDArray], batch_size: int, seed: int, epoch: int) -> None:
        self.arrays = arrays
        self.seed, self.epoch = seed, epoch
        number = len(arrays[0])
        batch_size = min(batch_size, number)
        order = np.random.default_rng((seed, epoch)).permutation(number)
        self.order = np.resize(order, (math.ceil(number / batch_size), batch_size))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[NDArray, ...]:
        return tuple(array[self.order[index]] for array in self.arrays)


class TrainingBatches(ShuffledBatches):
    """One epoch of samples: shuffled, and augmented on request.

    Parameters
    ----------
    samples : Samples
        Training samples.
    batch_size : int
        Samples of a batch.
    augmentation : bool
        Whether to augment, as `TrainingSettings` says.
    seed, epoch : int
        Random seed and number of the epoch.
    """

    def __init__(self, samples: Samples, batch_size: int, augmentation: bool, seed: int, epoch: int) -> None:
        super().__init__(samples.arrays(), batch_size, seed, epoch)
        self.augmentation, self.offsets = augmentation, samples.offsets is not None

    def __getitem__(self, index: int) -> tuple[NDArray, ...]:
        batch = super().__getitem__(index)
        if self.augmentation:
            rng = np.random.default_rng((self.seed, self.epoch, index))
            turn_parts(batch, int(rng.integers(8)), offsets=self.offsets)
            pictures = batch[0]
            shape = (len(pictures), 1, 1, 1)
            pictures *= rng.uniform(1 - CONTRAST, 1 + CONTRAST, shape).astype(np.float32)
            pictures += rng.uniform(-BRIGHTNESS, BRIGHTNESS, shape).astype(np.float32)
        return batch


def turn_parts(batch: Sequence[NDArray], first: int, *, offsets: bool = False) -> None:
    """Mirror and rotate eighths of a batch, each in another of the 8 ways (of 4 where sides differ), in place.

    The order within a shuffled batch is random, so samples that lie together can be turned at once. All arrays of the
    batch that have rows and columns (axes 1 and 2) are turned alike.

    Parameters
    ----------
    batch : sequence of ndarray
        Arrays of a batch, pictures first.
    first : int
        Way in which the first eighth is turned; see `turn`.
    offsets : bool
        Whether the second array holds offsets (`Samples.arrays`), which turn with the picture. Its sides are equal.
    """
    square = batch[0].shape[1] == batch[0].shape[2]
    ends = np.linspace(0, len(batch[0]), 9).astype(int)
    for part in range(8):
        samples = slice(ends[part], ends[part + 1])
        way = (first + part) % 8
        if samples.start == samples.stop or way == 0:
            continue
        for array in batch:
            if array.ndim > 1:
                array[samples] = turn(array[samples], way, square).copy()
        if offsets:
            _turn_offsets(batch[1][samples], way)


def _turn_offsets(targets: NDArray[np.float32], way: int) -> None:
    """Turn the offsets of targets that are turned already, in place."""
    x, y = targets[..., 1], targets[..., 2]
    if way >= 4:
        np.negative(x, out=x)
    for _ in range(way % 4):  # a quarter turn takes the last column to the first row
        x[...], y[...] = y.copy(), -x


def turn(array: NDArray, way: int, square: bool = True) -> NDArray:
    """Return a view in which axes 1 and 2 are rotated by ``way % 4`` quarters, and mirrored first if `way` >= 4.

    If `square` is false, quarter turns become half turns, so that the shape stays.
    """
    if way >= 4:
        array = array[:, :, ::-1]
    return np.rot90(array, way % 4 if square else 2 * (way % 2), axes=(1, 2))
