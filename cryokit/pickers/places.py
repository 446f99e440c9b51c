"""Where to cut examples from: places at the centre of no particle, and places a little off a particle's centre."""

from __future__ import annotations

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
    *,
    apart: float = BESIDE[0],
) -> NDArray[np.float64]:
    """Return places that are at the centre of no particle, half of them beside particles, the others anywhere.

    Parameters
    ----------
    particles : ndarray of float, shape (n, 2)
        Centres, x and y, of particles and of whatever else must not be taken for background.
    diameter : float
        In the same pixels.
    shape : tuple of (int, int)
        Rows and columns of the picture.
    number : int
        How many places; fewer are returned where there is no room.
    rng : numpy.random.Generator
    apart : float
        Diameters between a place and the nearest particle's centre at least. From `BESIDE`'s upper end on, none is
        beside a particle.

    Returns
    -------
    ndarray of float64, shape (m, 2)
        m is at most `number`.
    """
    anywhere = rng.uniform(0, shape[::-1], (4 * number, 2))
    places = [anywhere]
    if len(particles):
        distance, angle = diameter * rng.uniform(*BESIDE, 4 * number), rng.uniform(0, 2 * math.pi, 4 * number)
        beside = particles[rng.integers(len(particles), size=4 * number)]
        beside = beside + np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])
        # Alternating, so that half of the first ones that can be used are of either kind.
        places = [np.stack([anywhere, beside], axis=1).reshape(-1, 2)]
    places = np.concatenate(places)
    free = (places >= 0).all(axis=1) & (places <= np.array(shape[::-1]) - 1).all(axis=1)
    if len(particles):
        free &= cKDTree(particles).query(places)[0] >= apart * diameter
    return places[free][:number]


def scattered(
    particles: NDArray[np.float64], distance: float, copies: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return each place `copies` times, moved at random by up to `distance`, evenly over the disc.

    Parameters
    ----------
    particles : ndarray of float, shape (n, 2)
    distance : float
    copies : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (copies * n, 2)
        The places in their order, `copies` times one after the other.
    """
    places = np.concatenate([particles] * copies).astype(np.float64)
    far = distance * np.sqrt(rng.random(len(places)))
    angle = rng.uniform(0, 2 * math.pi, len(places))
    return places + np.column_stack([far * np.cos(angle), far * np.sin(angle)])
