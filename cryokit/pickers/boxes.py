"""Training examples cut from labelled pictures: boxes of particles, of background and of mistakes, and larger parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame
from cryokit.networks.scoring.windows import mirror, mirrored
from cryokit.pickers.places import distance_to_nearest, off_centre, scattered

if TYPE_CHECKING:
    from cryokit.pickers.labelled import Candidates, Scene


def cut(picture: NDArray, places: NDArray, size: int) -> NDArray[np.float32]:
    """Return the boxes around places, as the windows of `cryokit.networks.scoring` see them.

    A box starts at a whole pixel, so its centre is off by up to half a pixel: interpolation would change the grain of
    the noise. Beyond the border the picture goes on as its mirror image (`cryokit.networks.scoring.windows.mirrored`).

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Picture to cut from.
    places : ndarray of float, shape (n, 2)
        Centres, x (column) and y (row).
    size : int
        Side of a box in pixels.

    Returns
    -------
    ndarray of float32, shape (n, size, size, 1)

    Examples
    --------
    >>> cut(np.arange(12).reshape(3, 4), np.array([[2.0, 1.0], [0.0, 0.0]]), 3)[..., 0].astype(int).tolist()
    [[[1, 2, 3], [5, 6, 7], [9, 10, 11]], [[5, 4, 5], [1, 0, 1], [5, 4, 5]]]
    """
    starts = np.floor(places - (size - 1) / 2 + 0.5).astype(np.intp)
    columns, rows = (
        mirror(starts[:, axis, None] + np.arange(size), length) for axis, length in enumerate(reversed(picture.shape))
    )
    return picture[rows[:, :, None], columns[:, None, :], None].astype(np.float32, copy=False)


def rotated(boxes: NDArray) -> NDArray:
    """Return all boxes as they are, then all rotated by 90 degrees counter-clockwise, then by 180 and by 270.

    Parameters
    ----------
    boxes : ndarray, shape (n, size, size, ...)
        Boxes to rotate.

    Returns
    -------
    ndarray, shape (4 * n, size, size, ...)

    Examples
    --------
    >>> rotated(np.array([[[1, 2], [3, 4]]]))[:, 0].tolist()
    [[1, 2], [2, 4], [4, 3], [3, 1]]
    """
    return np.concatenate([np.rot90(boxes, quarters, axes=(1, 2)) for quarters in range(4)])


def whitened(boxes: NDArray) -> NDArray[np.float32]:
    """Return each box with mean 0 and standard deviation 1; a constant box becomes 0.

    Parameters
    ----------
    boxes : ndarray, shape (n, size, size, ...)
        Boxes to standardise.
    """
    boxes = np.asarray(boxes, np.float32)
    axes = tuple(range(1, boxes.ndim))
    centred = boxes - boxes.mean(axis=axes, keepdims=True)
    deviation = centred.std(axis=axes, keepdims=True)
    return centred / np.where(deviation > 1e-6, deviation, np.inf).astype(np.float32)


def particles(
    scenes: Sequence[Scene], size: int, number: int, rng: np.random.Generator, *, shift: float = 0.0
) -> NDArray[np.float32]:
    """Return boxes of particles.

    Parameters
    ----------
    scenes : sequence of Scene
        Labelled pictures with at least one particle.
    size : int
        Side of a box in pixels.
    number : int
        Number of boxes. If there are fewer particles, all are shown equally often (or once more), the first time at
        their centre.
    rng : numpy.random.Generator
        Source of randomness.
    shift : float
        Largest distance in pixels by which further copies are moved, evenly over the disc.

    Returns
    -------
    ndarray of float32, shape (number, size, size, 1)
    """
    owner, every = _owners(scenes), np.concatenate([scene.particles for scene in scenes])
    rounds = -(-number // len(every))
    chosen = np.concatenate([rng.permutation(len(every)) for _ in range(rounds)])[:number]
    places, owner = every[chosen], owner[chosen]
    if shift > 0:
        copies = scattered(places[len(every) :], shift, 1, rng)
        places = np.concatenate([places[: len(every)], copies])
    boxes = np.empty((number, size, size, 1), np.float32)
    for index in np.unique(owner):
        boxes[owner == index] = cut(scenes[index].picture, places[owner == index], size)
    return boxes


def background(
    scenes: Sequence[Scene], size: int, number: int, diameter: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return boxes of background (`cryokit.pickers.places.off_centre`), equally many from each scene.

    Parameters
    ----------
    scenes : sequence of Scene
        Labelled pictures.
    size : int
        Side of a box in pixels.
    number : int
        Number of boxes; fewer are returned if there is no room.
    diameter : float
        Particle diameter in pixels of the pictures.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float32, shape (n, size, size, 1)

    Raises
    ------
    PickerError
        If there is no room at all between the particles.
    """
    boxes = []
    for index, scene in enumerate(scenes):
        share = number * (index + 1) // len(scenes) - number * index // len(scenes)
        places = off_centre(scene.occupied, diameter, scene.shape, share, rng)
        boxes.append(cut(scene.picture, places, size))
    boxes = np.concatenate(boxes)
    if not len(boxes):
        raise PickerError("no background between the particles of the micrographs to learn from; give other ones")
    return boxes


def mistakes(scene: Scene, candidates: Candidates, distance: float) -> Candidates:
    """Return the candidates that are farther than `distance` from all that is labelled, ignored labels included.

    Parameters
    ----------
    scene : Scene
        Labelled picture.
    candidates : Candidates
        What a picker found in it.
    distance : float
        Distance in pixels of the picture.
    """
    return candidates.where(distance_to_nearest(candidates.places, scene.occupied) > distance)


class Part(NamedTuple):
    """Square part of a labelled picture.

    Attributes
    ----------
    picture : ndarray of float32, shape (side, side)
        Pixels, mirrored where the part is larger than the picture.
    particles, ignored : ndarray of float64, shape (n, 2)
        Centres of all particles and ignored labels of the scene, x and y in pixels of the part: also those outside.
    """

    picture: NDArray[np.float32]
    particles: NDArray[np.float64]
    ignored: NDArray[np.float64]


def parts(scenes: Sequence[Scene], side: int, number: int, on_particles: float, rng: np.random.Generator) -> list[Part]:
    """Cut parts of pictures at random, for networks that look at more than one particle at once.

    Parameters
    ----------
    scenes : sequence of Scene
        Labelled pictures; those with many particles give more parts.
    side : int
        Side of a part in pixels.
    number : int
        Number of parts.
    on_particles : float
        Share of the parts with a particle near their middle; the others may lie anywhere.
    rng : numpy.random.Generator
        Source of randomness.
    """
    chosen = rng.choice(_owners(scenes), number)
    cuts: list[Part | None] = [None] * number
    for index in np.unique(chosen):
        scene = scenes[index]
        picture, size = scene.picture, np.array(scene.shape[::-1])
        for k in np.flatnonzero(chosen == index):
            middle = rng.uniform(0, size)
            if rng.random() < on_particles:
                middle = rng.choice(scene.particles) + rng.uniform(-0.35, 0.35, 2) * side
            start = np.rint(middle - side / 2).astype(int)
            column, row = np.clip(start, np.minimum(0, size - side), np.maximum(0, size - side)).tolist()
            frame = Frame.whole(scene.shape).crop(slice(row, row + side), slice(column, column + side))
            particles, ignored = (
                np.column_stack(frame.from_source(*places.T)) for places in (scene.particles, scene.ignored)
            )
            cuts[k] = Part(mirrored(picture, (row, column), (side, side)).copy(), particles, ignored)
    return cuts


def _owners(scenes: Sequence[Scene]) -> NDArray[np.intp]:
    """Return the index of the scene of each particle."""
    return np.repeat(np.arange(len(scenes)), [len(scene.particles) for scene in scenes])
