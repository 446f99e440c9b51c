"""Scores of a network over an image, and where their positions are in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import PickerError
from cryokit.networks.architectures.network_config import particle_classes
from cryokit.networks.model import Model

if TYPE_CHECKING:
    import keras


@dataclass
class ScoreMap:
    """Probabilities of each class on a lattice of positions.

    Attributes
    ----------
    scores : ndarray of float32, shape (rows, columns, classes)
        They add up to 1 over the classes.
    classes : tuple of str
        What the last axis stands for; numbers where the network was given without the names.
    x0, y0 : float
        Centre of the first position, in pixels of the image that was scored (first pixel's centre = 0).
    step : float
        Pixels of that image between neighbouring positions.
    """

    scores: NDArray[np.float32]
    classes: tuple[str, ...]
    x0: float
    y0: float
    step: float

    @property
    def particle(self) -> NDArray[np.float32]:
        """Probability of a particle, whatever its view: the sum over `particle_classes`; shape (rows, columns).

        Raises
        ------
        PickerError
            When no class is a particle.
        """
        indices = particle_classes(self.classes)
        if not indices:
            raise PickerError(
                f"none of the classes {', '.join(self.classes)} is a particle; give `classes` where the map is made"
            )
        if len(indices) == 1:
            return self.scores[..., indices[0]]
        return self.scores[..., indices].sum(axis=-1)

    def to_image(self, row: ArrayLike, col: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y, in pixels of the image that was scored, of places in the map (fractions allowed).

        Examples
        --------
        >>> x, y = ScoreMap(np.zeros((3, 4, 2)), ("particle", "background"), 0.0, 0.0, 8.0).to_image([1, 2.5], [0, 3])
        >>> x.tolist(), y.tolist()
        ([0.0, 24.0], [8.0, 20.0])
        """
        x = self.x0 + self.step * np.asarray(col, np.float64)
        return x, self.y0 + self.step * np.asarray(row, np.float64)

    def write_mrc(self, path: str | os.PathLike, pixel_size: float | None = None) -> None:
        """Write the probability of a particle as an MRC file, whole or not at all.

        Parameters
        ----------
        path : path-like
            Ends in ``.mrc`` (or another suffix of `cryokit.micrograph.write_mrc`).
        pixel_size : float, optional
            Of the image that was scored, in Angstrom. The map's is `step` times that.

        Raises
        ------
        MicrographError
            As in `cryokit.micrograph.write_mrc`.
        """
        from cryokit.micrograph import write_mrc

        write_mrc(path, self.particle, None if pixel_size is None else self.step * pixel_size)


def network_and_classes(
    network: keras.Model | Model, classes: Sequence[str] | None
) -> tuple[keras.Model, tuple[str, ...]]:
    """Return the Keras network and its class names: as given, else of a saved `Model`, else the outputs' numbers.

    Raises
    ------
    PickerError
        When there are not as many names as outputs.
    """
    if isinstance(network, Model):
        network, classes = network.network, network.config.classes if classes is None else classes
    outputs = network.output_shape[-1]
    classes = tuple(map(str, range(outputs)) if classes is None else classes)
    if len(classes) != outputs:
        raise PickerError(f"classes {classes!r}: network {network.name!r} has {outputs} outputs; name each")
    return network, classes


def as_image(image: NDArray) -> NDArray[np.float32]:
    """Return the image as float32.

    Raises
    ------
    PickerError
        When it is not two-dimensional, is empty, or has pixels that are NaN or infinite.
    """
    image = np.asarray(image)
    if image.ndim != 2 or image.size == 0:
        raise PickerError(f"an image to score has rows and columns; this array has the shape {image.shape}")
    image = image.astype(np.float32, copy=False)
    if not (np.isfinite(image.min()) and np.isfinite(image.max())):
        raise PickerError("the image to score has pixels that are NaN or infinite; replace them first")
    return image
