"""Places to cut training examples at: on no particle, beside particles, or a little off a particle's centre."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

# Background beside particles, in diameters from the centre of the nearest one.
BESIDE = (0.4, 0.8)


def off_centre(
    particles: NDArray[np.float64],
    diameter: float,
    shape: tuple[int, int],
    number: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return random places at the centre of no particle, half of them beside particles.

    Parameters
    ----------
    particles : ndarray of float, shape (n, 2)
        Centres, x and y, of particles and of whatever else must not be taken for background.
    diameter : float
        Particle diameter in the same pixels.
    shape : tuple of int
        Rows and columns of the picture.
    number : int
        Number of places.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float64, shape (m, 2)
        Places inside the picture; fewer than `number` if there is no room for more.
    """
    places = rng.uniform(0, shape[::-1], (4 * number, 2))
    if len(particles):
        beside = around(particles, BESIDE[0] * diameter, BESIDE[1] * diameter, 4 * number, rng)
        # Alternating, so that half of the first places that are free are of either kind.
        places = np.stack([places, beside], axis=1).reshape(-1, 2)
    free = (places >= 0).all(axis=1) & (places <= np.array(shape[::-1]) - 1).all(axis=1)
    free &= distance_to_nearest(places, particles) >= BESIDE[0] * diameter
    return places[free][:number]


def around(
    particles: NDArray[np.float64], nearest: float, farthest: float, number: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return random places around particles that are drawn at random.

    Parameters
    ----------
    particles : ndarray of float, shape (n, 2)
        Centres, x and y; at least one.
    nearest, farthest : float
        Range of the distances from the centre, which are distributed evenly.
    number, rng
        As in `off_centre`.

    Returns
    -------
    ndarray of float64, shape (number, 2)
    """
    distance, angle = rng.uniform(nearest, farthest, number), rng.uniform(0, 2 * math.pi, number)
    return particles[rng.integers(len(particles), size=number)] + _offsets(distance, angle)


def scattered(
    particles: NDArray[np.float64], distance: float, copies: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return several copies of each place, moved at random.

    Parameters
    ----------
    particles : ndarray of float, shape (n, 2)
        Places, x and y.
    distance : float
        Largest distance between a copy and its original; copies fill the disc evenly.
    copies : int
        Copies of each place.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float64, shape (copies * n, 2)
        One copy of all places in their order, then the next.
    """
    places = np.concatenate([particles] * copies).astype(np.float64)
    return places + _offsets(distance * np.sqrt(rng.random(len(places))), rng.uniform(0, 2 * math.pi, len(places)))


def distance_to_nearest(places: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each place is from the nearest of some others.

    Parameters
    ----------
    places : ndarray of float, shape (n, 2)
        Places, x and y.
    others : ndarray of float, shape (m, 2)
        Other places.

    Returns
    -------
    ndarray of float64, shape (n,)
        Distances; infinite if there are no others.
    """
    return cKDTree(others).query(places)[0] if len(others) else np.full(len(places), np.inf)


def _offsets(distance: NDArray, angle: NDArray) -> NDArray[np.float64]:
    return np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])
