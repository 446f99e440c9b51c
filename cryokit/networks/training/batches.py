"""Batches for Keras, in an order and with changes that depend on the seed, the epoch and the batch only."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.devices import import_keras
from cryokit.networks.training.samples import Samples

if TYPE_CHECKING:
    import keras

CONTRAST, BRIGHTNESS = 0.2, 0.1  # in standard deviations of a standardised patch


class TrainingBatches:
    """One epoch of training: shuffled, all batches of one size, augmented when asked.

    The last batch is filled up with the epoch's first samples: with one size, backends compile one function, and
    no sample of a short batch weighs more than others. Batches can be taken in any order and any number of times.
    """

    def __init__(self, samples: Samples, batch_size: int, augmentation: bool, seed: int, epoch: int) -> None:
        self.samples = samples
        self.augmentation = augmentation
        self.seed, self.epoch = seed, epoch
        batch_size = min(batch_size, len(samples))
        order = np.random.default_rng((seed, epoch)).permutation(len(samples))
        steps = number_of_steps(len(samples), batch_size)
        self.order = np.resize(order, (steps, batch_size))
        self.square = samples.x.shape[1] == samples.x.shape[2]
        # The mean weight is 1, so that the learning rate means the same with weights and without.
        self.scale = None if samples.weights is None else np.float32(1 / samples.weights.mean(dtype=np.float64))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[NDArray, ...]:
        chosen = self.order[index]
        samples = self.samples
        batch = [samples.x[chosen], samples.y[chosen]]
        if samples.weights is not None:
            batch.append(samples.weights[chosen] * self.scale)
        if self.augmentation:
            rng = np.random.default_rng((self.seed, self.epoch, index))
            turned(batch, int(rng.integers(8)), self.square)
            shape = (len(chosen), 1, 1, 1)
            batch[0] *= rng.uniform(1 - CONTRAST, 1 + CONTRAST, shape).astype(np.float32)
            batch[0] += rng.uniform(-BRIGHTNESS, BRIGHTNESS, shape).astype(np.float32)
        return tuple(batch)


class ValidationBatches:
    """All samples once, as they are."""

    def __init__(self, samples: Samples, batch_size: int) -> None:
        self.samples, self.batch_size = samples, batch_size
        self.scale = None if samples.weights is None else np.float32(1 / samples.weights.mean(dtype=np.float64))

    def __len__(self) -> int:
        return number_of_steps(len(self.samples), self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray, ...]:
        chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        samples = self.samples
        if samples.weights is None:
            return samples.x[chosen], samples.y[chosen]
        return samples.x[chosen], samples.y[chosen], samples.weights[chosen] * self.scale


def dataset(batches: TrainingBatches | ValidationBatches) -> keras.utils.PyDataset:
    """Return batches as Keras' `fit` takes them."""
    return _dataset_type()(batches)


@functools.cache
def _dataset_type() -> type[keras.utils.PyDataset]:
    # Made when it is first needed: its base class costs the import of Keras.
    class Dataset(import_keras().utils.PyDataset):
        def __init__(self, batches: TrainingBatches | ValidationBatches) -> None:
            super().__init__()
            self.batches = batches

        def __len__(self) -> int:
            return len(self.batches)

        def __getitem__(self, index: int) -> tuple[NDArray, ...]:
            return self.batches[index]

    return Dataset


def number_of_steps(samples: int, batch_size: int) -> int:
    """Return how many batches hold so many samples.

    Examples
    --------
    >>> number_of_steps(33, 16), number_of_steps(3, 16)
    (3, 1)
    """
    return -(-samples // batch_size)


def turned(batch: list[NDArray], first: int, square: bool) -> None:
    """Mirror and rotate eighths of a batch, each in another of the 8 ways (of 4 where sides differ), in place.

    The order within a shuffled batch is random, so parts that lie together can be turned at once. All arrays of the
    batch that have rows and columns (axes 1 and 2) are turned alike.
    """
    parts = np.linspace(0, len(batch[0]), 9).astype(int)
    for part in range(8):
        here = slice(parts[part], parts[part + 1])
        way = (first + part) % 8
        if here.start == here.stop or way == 0:
            continue
        for array in batch:
            if array.ndim > 1:
                array[here] = turn(array[here], way, square).copy()


def turn(array: NDArray, way: int, square: bool = True) -> NDArray:
    """Return a view in which axes 1 and 2 are rotated by ``way % 4`` quarters, and mirrored first if `way` >= 4.

    Without `square`, quarters are halves, so that the shape stays.
    """
    if way >= 4:
        array = array[:, :, ::-1]
    return np.rot90(array, way % 4 if square else 2 * (way % 2), axes=(1, 2))
