"""Boxes to train on, cut from labelled pictures: particles, background, and what was wrongly taken for particles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryokit.errors import PickerError
from cryokit.networks.scoring.running import mirror
from cryokit.pickers.places import off_centre, scattered

if TYPE_CHECKING:
    from cryokit.pickers.labelled import Scene


def cut(picture: NDArray, places: NDArray, size: int) -> NDArray[np.float32]:
    """Return the boxes around places, as the windows of `cryokit.networks.scoring` see them.

    A box starts at a whole pixel, so its centre is off by up to half a pixel: interpolation would change the grain of
    the noise. Beyond the border the picture goes on as its mirror image (`cryokit.networks.scoring.running.mirrored`).

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
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
    places = np.asarray(places, np.float64).reshape(-1, 2)
    starts = np.floor(places - (size - 1) / 2 + 0.5).astype(np.intp)
    columns, rows = (
        mirror(starts[:, axis, None] + np.arange(size), length) for axis, length in enumerate(reversed(picture.shape))
    )
    return picture[rows[:, :, None], columns[:, None, :], None].astype(np.float32, copy=False)


def rotated(boxes: NDArray, turns: Sequence[int] = (0, 1, 2, 3)) -> NDArray:
    """Return all boxes, rotated by each number of quarter turns: first all by the first, then all by the second ...

    Parameters
    ----------
    boxes : ndarray, shape (n, size, size, ...)
    turns : sequence of int
        Quarter turns, counter-clockwise as the picture is shown; by default 0, 90, 180 and 270 degrees.

    Returns
    -------
    ndarray, shape (len(turns) * n, size, size, ...)

    Examples
    --------
    >>> rotated(np.array([[[1, 2], [3, 4]]]))[:, 0].tolist()
    [[1, 2], [2, 4], [4, 3], [3, 1]]
    """
    return np.concatenate([np.rot90(boxes, turn, axes=(1, 2)) for turn in turns])


def whitened(boxes: NDArray) -> NDArray[np.float32]:
    """Return each box with mean 0 and standard deviation 1; one without any variation becomes 0.

    Parameters
    ----------
    boxes : ndarray, shape (n, size, size, ...)
    """
    boxes = np.asarray(boxes, np.float32)
    axes = tuple(range(1, boxes.ndim))
    centred = boxes - boxes.mean(axis=axes, keepdims=True)
    deviation = centred.std(axis=axes, keepdims=True)
    return centred / np.where(deviation > 1e-6, deviation, np.inf).astype(np.float32)


def particles(
    scenes: Sequence[Scene], size: int, number: int | None, rng: np.random.Generator, *, shift: float = 0.0
) -> NDArray[np.float32]:
    """Return boxes of particles.

    Parameters
    ----------
    scenes : sequence of Scene
    size : int
        Side of a box in pixels.
    number : int or None
        How many; where there are fewer particles than that, each comes as often as another (but for one), the first
        time at its centre. None for each one once.
    rng : numpy.random.Generator
    shift : float
        Pixels by which copies are moved at most, evenly over the disc.

    Returns
    -------
    ndarray of float32, shape (n, size, size, 1)
        Empty where the scenes have no particles.
    """
    owner = np.concatenate([np.full(len(scene.particles), index) for index, scene in enumerate(scenes)] or [[]])
    places = np.concatenate([scene.particles for scene in scenes] or [np.empty((0, 2))])
    if not len(places):
        return np.empty((0, size, size, 1), np.float32)
    number = len(places) if number is None else number
    rounds = -(-number // len(places))
    chosen = np.concatenate([rng.permutation(len(places)) for _ in range(rounds)])[:number]
    moved = places[chosen]
    if shift > 0 and rounds > 1:
        first = min(number, len(places))
        moved = np.concatenate([moved[:first], scattered(moved[first:], shift, 1, rng)])
    return _cut_from(scenes, owner[chosen], moved, size)


def background(
    scenes: Sequence[Scene],
    size: int,
    number: int,
    diameter: float,
    rng: np.random.Generator,
    *,
    apart: float | None = None,
) -> NDArray[np.float32]:
    """Return boxes whose centre is on no particle, as many of each scene as of another.

    Parameters
    ----------
    scenes : sequence of Scene
    size : int
        Side of a box in pixels.
    number : int
        How many; fewer where there is no room.
    diameter : float
        Of the particle, in pixels of the pictures.
    rng : numpy.random.Generator
    apart : float, optional
        As in `cryokit.pickers.places.off_centre`, which draws the places: half of them beside particles.

    Returns
    -------
    ndarray of float32, shape (n, size, size, 1)
    """
    further = {} if apart is None else {"apart": apart}
    boxes = [np.empty((0, size, size, 1), np.float32)]
    for index, scene in enumerate(scenes):
        share = number * (index + 1) // len(scenes) - number * index // len(scenes)
        places = off_centre(scene.occupied, diameter, scene.shape, share, rng, **further)
        boxes.append(cut(scene.picture, places, size))
    return np.concatenate(boxes)


def both(
    scenes: Sequence[Scene],
    size: int,
    number: int,
    others: int,
    diameter: float,
    rng: np.random.Generator,
    *,
    shift: float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return boxes of particles (`particles`) and of background (`background`), some of each.

    Parameters
    ----------
    scenes : sequence of Scene
    size : int
        Side of a box in pixels.
    number, others : int
        Boxes of particles, and of background.
    diameter : float
        Of the particle, in pixels of the pictures.
    rng : numpy.random.Generator
    shift : float
        Of copies of particles, pixels.

    Raises
    ------
    PickerError
        When the scenes have no particles, or no room between them.
    """
    good = particles(scenes, size, number, rng, shift=shift)
    bad = background(scenes, size, others, diameter, rng)
    if not len(good) or not len(bad):
        what = "particles" if not len(good) else "background between the particles"
        raise PickerError(f"no {what} in the micrographs to learn from; give other ones")
    return good, bad


def wrongly_found(scene: Scene, x: NDArray, y: NDArray, distance: float) -> NDArray[np.float64]:
    """Return those of the places found in a scene that are farther than `distance` from all particles and ignored ones.

    Parameters
    ----------
    scene : Scene
    x, y : ndarray of float, shape (n,)
        Pixels of its picture.
    distance : float
        In the same pixels.

    Returns
    -------
    ndarray of float64, shape (m, 2)
        In the order in which they came.
    """
    places = np.column_stack([x, y]).astype(np.float64)
    if not len(places) or not len(scene.occupied):
        return places
    return places[cKDTree(scene.occupied).query(places)[0] > distance]


def _cut_from(scenes: Sequence[Scene], owner: NDArray, places: NDArray, size: int) -> NDArray[np.float32]:
    boxes = np.empty((len(places), size, size, 1), np.float32)
    for index, scene in enumerate(scenes):
        own = owner == index
        if own.any():
            boxes[own] = cut(scene.picture, places[own], size)
    return boxes
