"""Scores of a network over a picture, and where their positions are in it."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryokit._util.validation import check_picture
from cryokit.errors import ArgumentError, PickerError
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.framed_files import write_framed
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
        Probabilities; they add up to 1 over the classes.
    classes : tuple of str
        Names of the classes along the last axis; numbers if the network came without names.
    frame : Frame
        Frame of the lattice of positions in the picture that was scored, or in the micrograph as stored.
    offsets : ndarray of float32, shape (rows, columns, 2), optional
        x and y from each position to its particle's centre, in positions, by a network that locates.
    """

    scores: NDArray[np.float32]
    classes: tuple[str, ...]
    frame: Frame
    offsets: NDArray[np.float32] | None = None

    @property
    def particle(self) -> NDArray[np.float32]:
        """Probability of a particle, whatever its view: the sum over `particle_classes`; shape (rows, columns).

        Raises
        ------
        PickerError
            If no class is a particle.
        """
        indices = particle_classes(self.classes)
        if not indices:
            raise PickerError(
                f"none of the classes {', '.join(self.classes)} is a particle; give `classes` where the map is made"
            )
        if len(indices) == 1:
            return self.scores[..., indices[0]]
        return self.scores[..., indices].sum(axis=-1)

    def views(self, row: NDArray, column: NDArray) -> NDArray:
        """Return the most probable particle class at positions, each the nearest to a row and column of the map.

        The class ``particle``, which is no view, becomes an empty string.
        """
        indices = particle_classes(self.classes)
        names = np.array([self.classes[index] for index in indices], object)
        names[names == "particle"] = ""
        scores = self.scores[np.rint(row).astype(int), np.rint(column).astype(int)][:, indices]
        return names[scores.argmax(axis=1)]

    def located(self, x: NDArray, y: NDArray, reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the centres that the positions around peaks tell, each by the mean of them, weighted by their scores.

        Parameters
        ----------
        x, y : ndarray of float, shape (n,)
            Peaks in the map.
        reach : float
            Distance from a peak, in positions, up to which positions are asked.

        Returns
        -------
        x, y : ndarray of float64, shape (n,)
            Centres in the map; the peaks themselves where the network does not locate.
        """
        if self.offsets is None or not len(x):
            return np.asarray(x, float), np.asarray(y, float)
        steps = np.arange(-math.ceil(reach), math.ceil(reach) + 1)
        column, row = (np.rint(place).astype(int)[:, None, None] for place in (x, y))
        rows, columns = self.scores.shape[:2]
        column, row = np.broadcast_arrays(column + steps[None, None, :], row + steps[None, :, None])
        near = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        near &= np.hypot(column - np.reshape(x, (-1, 1, 1)), row - np.reshape(y, (-1, 1, 1))) <= reach
        place = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
        weights = near * self.particle[place] + 1e-9
        total = weights.sum(axis=(1, 2))
        offsets = self.offsets[place]
        return tuple(
            (weights * (lattice + offsets[..., axis])).sum(axis=(1, 2)) / total
            for axis, lattice in enumerate((column, row))
        )

    def within(self, outer: Frame) -> ScoreMap:
        """Return the same scores, with their positions in the source of the picture that was scored.

        Parameters
        ----------
        outer : Frame
            Frame of the picture that was scored.
        """
        return dataclasses.replace(self, frame=outer.then(self.frame))

    def write_mrc(self, path: str | os.PathLike, pixel_size: float | None = None) -> None:
        """Write the probability of a particle as an MRC file, whole or not at all.

        `cryokit.imaging.framed_files.read_framed` reads it, with its frame.

        Parameters
        ----------
        path : path-like
            File to write; ends in ``.mrc`` (or another suffix of `cryokit.micrograph.write_mrc`).
        pixel_size : float, optional
            Pixel size, in Angstrom, of the picture that `frame` leads to; that of the map is as many times as large as
            its positions are apart.

        Raises
        ------
        ArgumentError
            If the file's suffix is another one.
        """
        write_framed(path, Picture(self.particle, self.frame), pixel_size)


def network_and_classes(
    network: keras.Model | Model, classes: Sequence[str] | None
) -> tuple[keras.Model, tuple[str, ...]]:
    """Return the Keras network and its class names: as given, else of a saved `Model`, else the outputs' numbers.

    Raises
    ------
    ArgumentError
        If there are not as many names as outputs.
    """
    if isinstance(network, Model):
        network, classes = network.network, network.config.classes if classes is None else classes
    outputs = network.output_shape[-1]
    classes = tuple(map(str, range(outputs)) if classes is None else classes)
    if len(classes) != outputs:
        raise ArgumentError(f"classes must name the {outputs} outputs of network {network.name!r}, not be {classes!r}")
    return network, classes


def scorable(picture: NDArray) -> NDArray[np.float32]:
    """Return a picture as float32.

    Raises
    ------
    ArgumentError
        If it is not two-dimensional, is empty, or has pixels that are NaN or infinite.
    """
    picture = check_picture("the picture to score", picture).astype(np.float32, copy=False)
    if not (np.isfinite(picture.min()) and np.isfinite(picture.max())):
        raise ArgumentError("the picture to score has pixels that are NaN or infinite; replace them")
    return picture
