"""Proteins as clouds of pseudo-atoms, and their projections.

A model is a density function in Angstrom, 1 inside protein and 0 in the ice, filled with points one every few Angstrom
that carry the potential of their share of the volume: a cloud of pseudo-atoms. A projection at any orientation is then
exact up to the sampling: rotate the points, add each to the four pixels around it, and blur with the width of a
pseudo-atom (done in Fourier space together with the CTF). Nothing is interpolated in three dimensions, the total mass
is the same at every orientation, and centres are right to a small fraction of a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Mean inner potential of protein minus that of vitreous ice, volts (Vulovic et al., J. Struct. Biol. 183:19, 2013).
PROTEIN_POTENTIAL = 2.7
Density = Callable[[np.ndarray], np.ndarray]
_SIGMA = 0.6  # Gaussian width of a point over the distance of the points: fills the gaps between them


@dataclass(frozen=True, eq=False)
class Cloud:
    """A density as points.

    Attributes
    ----------
    points : ndarray of float32, shape (n, 3)
        x, y, z in Angstrom; the centre of mass is the origin.
    weights : ndarray of float32, shape (n,)
        Integrated potential of each point against ice, V Angstrom^3.
    sigma : float
        Gaussian width of a point, Angstrom.
    """

    points: np.ndarray
    weights: np.ndarray
    sigma: float

    @cached_property
    def radius(self) -> float:
        """Distance of the farthest point from the centre, Angstrom."""
        return float(np.sqrt((self.points**2).sum(axis=1).max()))

    def part(self, mask: np.ndarray) -> Cloud:
        """Return the points where `mask` (bool, shape (n,)) is true, not centred again."""
        return Cloud(self.points[mask], self.weights[mask], self.sigma)


@dataclass(frozen=True)
class Form:
    """One way in which a protein shows on a micrograph.

    Attributes
    ----------
    name : str
        Name, such as ``didecamer``.
    view : str
        Label: ``top``, ``side``, ``irregular`` or ``ignore``.
    share : float
        Frequency relative to the other forms of the protein.
    diameter : float
        Diameter in Angstrom, as labels on real micrographs give it.
    cloud : callable
        Function that returns the `Cloud`.
    tilt : tuple of float, or None
        Mean and standard deviation, in degrees, of the angle between the z axis and the beam; None for any orientation.
    length : float
        Length along z in Angstrom if longer than `diameter` (tubes), else 0.
    """

    name: str
    view: str
    share: float
    diameter: float
    cloud: Callable[[], Cloud]
    tilt: tuple[float, float] | None = None
    length: float = 0.0


@dataclass(frozen=True)
class Protein:
    """A protein to put on micrographs.

    Attributes
    ----------
    name : str
        Name; micrographs are named after it.
    forms : tuple of Form
        Ways in which it shows.
    """

    name: str
    forms: tuple[Form, ...]


# --- projection ----------------------------------------------------------------------------------------------------


def rotation_matrix(phi: float, theta: float, psi: float) -> np.ndarray:
    """Return the rotation from the frame of the model to that of the microscope, by RELION's Euler angles (ZYZ).

    Parameters
    ----------
    phi, theta, psi : float
        `rlnAngleRot`, `rlnAngleTilt` and `rlnAnglePsi` in degrees.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        Matrix for column vectors; the beam runs along the third axis.
    """

    def about_z(angle: float) -> np.ndarray:
        return np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])

    a, b, c = np.deg2rad([phi, theta, psi])
    about_y = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    return about_z(c) @ about_y @ about_z(a)


def clip_window(shape: tuple[int, int], top: int, left: int, bottom: int, right: int) -> tuple[slice, slice] | None:
    """Return the part of a window that lies on a picture, as row and column slices; None if there is none."""
    rows, columns = slice(max(top, 0), min(bottom, shape[0])), slice(max(left, 0), min(right, shape[1]))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def splat(
    canvas: np.ndarray, cloud: Cloud, rotation: np.ndarray, x: float, y: float, pixel_size: float, factor: float = 1.0
) -> None:
    """Add the projection of a cloud to a canvas, before the blur with ``cloud.sigma``.

    Parameters
    ----------
    canvas : ndarray of float32, shape (rows, columns)
        Projected potential, V Angstrom; changed in place. What falls outside is dropped.
    cloud : Cloud
        Cloud to project.
    rotation : ndarray, shape (3, 3)
        Orientation (`rotation_matrix`).
    x, y : float
        Position of the origin of the cloud, pixels of the canvas.
    pixel_size : float
        Pixel size, Angstrom.
    factor : float
        Factor on the potential.
    """
    position = cloud.points @ (rotation[:2].T / pixel_size).astype(np.float32)
    reach = int(np.ceil(cloud.radius / pixel_size)) + 2
    left, top = int(np.floor(x)) - reach, int(np.floor(y)) - reach
    side = 2 * reach + 2
    column = position[:, 0] + np.float32(x - left)
    row = position[:, 1] + np.float32(y - top)
    first_column, first_row = column.astype(np.intp), row.astype(np.intp)
    u, v = column - first_column, row - first_row
    index = first_row * side + first_column
    patch = np.zeros(side * side + side + 1)
    weight = cloud.weights * np.float32(factor / pixel_size**2)
    lower = weight * v
    upper = weight - lower
    for offset, share in ((0, upper * (1 - u)), (1, upper * u), (side, lower * (1 - u)), (side + 1, lower * u)):
        patch[offset:] += np.bincount(index, share, minlength=patch.size)[: patch.size - offset]
    patch = patch[: side * side].reshape(side, side)
    window = clip_window(canvas.shape, top, left, top + side, left + side)
    if window is not None:
        rows, columns = window
        part = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        canvas[window] += part.astype(np.float32)


def atom_transfer(fx: np.ndarray, fy: np.ndarray, pixel_size: float, sigma: float) -> np.ndarray:
    """Return the transform of a pseudo-atom over that of the four-pixel kernel with which `splat` drew it.

    Parameters
    ----------
    fx, fy : ndarray
        Spatial frequencies, 1 / Angstrom.
    pixel_size, sigma : float
        Pixel size and width of the cloud's points, Angstrom.
    """

    def along(f: np.ndarray) -> np.ndarray:
        return np.exp(-2 * (np.pi * sigma * f) ** 2) / np.sinc(f * pixel_size) ** 2

    return along(fx) * along(fy)


# --- filling -------------------------------------------------------------------------------------------------------


def fill(
    density: Density, extent: tuple[float, float, float], *, seed: int, spacing: float = 6.0, fold: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Fill a density with one point in every cell of a lattice, at a random place in its cell.

    Parameters
    ----------
    density : callable
        Density at points: (n, 3) -> (n,).
    extent : tuple of float
        Half the width along each axis, Angstrom.
    seed : int
        Random seed.
    spacing : float
        Side of a cell, Angstrom.
    fold : int
        Order of the symmetry about z: above 1, only the sector of azimuth 0 to 360 / fold degrees is filled, and then
        turned.

    Returns
    -------
    points : ndarray, shape (n, 3)
        Angstrom.
    weights : ndarray, shape (n,)
        Integrated potential, V Angstrom^3.
    """
    axes = [np.arange(-half, half, spacing) for half in extent]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points += np.random.default_rng(seed).uniform(0, spacing, points.shape)
    if fold > 1:
        points = points[np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi) < 2 * np.pi / fold]
    weights = density(points)
    inside = weights > 0.08
    points, weights = points[inside], weights[inside] * (PROTEIN_POTENTIAL * spacing**3)
    return turned(points, fold), np.tile(weights, fold)


def turned(points: np.ndarray, fold: int) -> np.ndarray:
    """Return points, shape (n, 3), and their `fold` - 1 copies by rotation about z."""
    return np.concatenate([points @ rotation_matrix(360 * k / fold, 0, 0).T for k in range(fold)])


def filled_cloud(density: Density, extent: tuple[float, float, float], *, spacing: float = 6.0, **settings) -> Cloud:
    """Return a density as a cloud with its centre of mass at the origin; parameters as for `fill`."""
    return centred_cloud(*fill(density, extent, spacing=spacing, **settings), spacing)


def centred_cloud(points: np.ndarray, weights: np.ndarray, spacing: float) -> Cloud:
    """Return points and weights that `fill` returned as a cloud with its centre of mass at the origin."""
    centre = np.average(points, axis=0, weights=weights)
    return Cloud((points - centre).astype(np.float32), weights.astype(np.float32), _SIGMA * spacing)


def blobs(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return the sum, at `points`, of Gaussians whose half-widths at half maximum are `radii`."""
    total = np.zeros(len(points))
    for centre, radius in zip(centres, np.broadcast_to(radii, len(centres)), strict=True):
        total += np.exp2(-((points - centre) ** 2).sum(axis=1) / radius**2)
    return total


def lobes(centres: np.ndarray, radii: np.ndarray, softness: float = 0.12) -> Density:
    """Return the density of round domains that merge where they are close."""
    return lambda points: solid(blobs(points, centres, radii), softness)


def solid(level: np.ndarray, softness: float = 0.12) -> np.ndarray:
    """Return 0 outside (`level` below 0.5) to 1 inside, with a transition over `softness`."""
    return 1 / (1 + np.exp(np.clip((0.5 - level) / softness, -30, 30)))


def polar(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of points from the origin, shape (n,), and their directions, shape (n, 3)."""
    radius = np.maximum(np.linalg.norm(points, axis=1), 1e-6)
    return radius, points / radius[:, None]


def nearness(direction: np.ndarray, axes: np.ndarray, width: float) -> np.ndarray:
    """Return 1 for directions on one of several axes, falling to 0 away from them.

    Parameters
    ----------
    direction, axes : ndarray, shape (n, 3) and (m, 3)
        Unit vectors.
    width : float
        1 minus the cosine of the angle at which it has fallen to 1/e.
    """
    return np.exp(((direction @ axes.T).max(axis=1) - 1) / width)
