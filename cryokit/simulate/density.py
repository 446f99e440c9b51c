"""Six proteins as analytic densities, and their projections.

A model is a density function in Angstrom, 1 inside protein and 0 in the ice, filled with points one every few Angstrom
that carry the potential of their share of volume: a cloud of pseudo-atoms. A projection at any orientation is then
exact up to the sampling: rotate the points, add each to the four pixels around it, and blur with the pseudo-atom's
width (done in Fourier space together with the CTF). Nothing is interpolated in three dimensions, the total mass is the
same at every orientation, and centres are right to a small fraction of a pixel.

A further protein is one more density function and one more entry of `MODELS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.spatial import cKDTree

from cryokit.coordinates import IGNORE

# Mean inner potential of protein less that of vitreous ice, volts (Vulovic et al., J. Struct. Biol. 183:19, 2013).
PROTEIN_POTENTIAL = 2.7
_SIGMA = 0.6  # Gaussian width of a point over the distance of the points: fills the gaps between them


@dataclass(frozen=True, eq=False)
class Cloud:
    """A density as points.

    Parameters
    ----------
    points : ndarray, shape (n, 3), float32
        x, y, z in Angstrom; the centre of mass is the origin.
    weights : ndarray, shape (n,), float32
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

    def kept(self, mask: np.ndarray) -> Cloud:
        """Return the part of the cloud where `mask` (shape (n,), bool) is true, not centred again."""
        return Cloud(self.points[mask], self.weights[mask], self.sigma)


@dataclass(frozen=True)
class Form:
    """One way in which a protein shows on a micrograph.

    Parameters
    ----------
    name : str
        What it is, such as ``didecamer``.
    view : str
        Its label: ``top``, ``side``, ``irregular`` or ``ignore``.
    share : float
        How often it occurs; relative to the other forms of the protein.
    diameter : float
        Angstrom, as labels on real micrographs give it.
    cloud : callable
        Gives the `Cloud`.
    tilt : tuple of (float, float) or None
        Mean and standard deviation, in degrees, of the angle between the z axis and the beam; None for any orientation.
    length : float
        Angstrom along z where longer than `diameter` (tubes), else 0.
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
    """A protein that `cryokit.simulate.simulate` can put on a micrograph.

    Parameters
    ----------
    name : str
        Micrographs are named after it.
    forms : tuple of Form
        The ways in which it shows.
    """

    name: str
    forms: tuple[Form, ...]


def rotation_matrix(phi: float, theta: float, psi: float) -> np.ndarray:
    """Return the rotation from the model's frame into the microscope's, by RELION's Euler angles (ZYZ).

    Parameters
    ----------
    phi, theta, psi : float
        Degrees: `rlnAngleRot`, `rlnAngleTilt` and `rlnAnglePsi`.

    Returns
    -------
    ndarray, shape (3, 3), float64
        Multiplies column vectors; the beam runs along the third axis.
    """
    a, b, c = np.deg2rad([phi, theta, psi])
    about_z = lambda t: np.array([[np.cos(t), np.sin(t), 0], [-np.sin(t), np.cos(t), 0], [0, 0, 1]])  # noqa: E731
    about_y = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    return about_z(c) @ about_y @ about_z(a)


def splat(
    canvas: np.ndarray, cloud: Cloud, rotation: np.ndarray, x: float, y: float, pixel_size: float, factor: float = 1.0
) -> None:
    """Add the projection of `cloud` to `canvas`, before the blur with `cloud.sigma`.

    Parameters
    ----------
    canvas : ndarray, shape (rows, columns), float32
        Projected potential, V Angstrom; changed in place. What falls outside is dropped.
    cloud : Cloud
    rotation : ndarray, shape (3, 3)
    x, y : float
        Where the origin of the cloud goes, pixels of the canvas.
    pixel_size : float
        Angstrom.
    factor : float
        Multiplies the potential.
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
    rows, columns = canvas.shape
    r0, r1, c0, c1 = max(top, 0), min(top + side, rows), max(left, 0), min(left + side, columns)
    if r0 < r1 and c0 < c1:
        canvas[r0:r1, c0:c1] += patch[r0 - top : r1 - top, c0 - left : c1 - left].astype(np.float32)


def atom_transfer(fx: np.ndarray, fy: np.ndarray, pixel_size: float, sigma: float) -> np.ndarray:
    """Return the transform of a pseudo-atom over that of the four-pixel kernel with which `splat` drew it.

    Parameters
    ----------
    fx, fy : ndarray
        Spatial frequencies, 1 / Angstrom.
    pixel_size, sigma : float
        Angstrom; `sigma` is the cloud's.
    """

    def one(f: np.ndarray) -> np.ndarray:
        return np.exp(-2 * (np.pi * sigma * f) ** 2) / np.sinc(f * pixel_size) ** 2

    return one(fx) * one(fy)


def project(cloud: Cloud, rotation: np.ndarray, shape: tuple[int, int], pixel_size: float) -> np.ndarray:
    """Return one projection, without microscope.

    Parameters
    ----------
    cloud : Cloud
    rotation : ndarray, shape (3, 3)
        See `rotation_matrix`.
    shape : tuple of int
        Rows and columns; the centre of mass goes to pixel (rows // 2, columns // 2).
    pixel_size : float
        Angstrom.

    Returns
    -------
    ndarray, shape `shape`, float32
        Projected potential against ice, V Angstrom.
    """
    canvas = np.zeros(shape, np.float32)
    splat(canvas, cloud, rotation, shape[1] // 2, shape[0] // 2, pixel_size)
    fy = np.fft.fftfreq(shape[0], pixel_size)[:, None]
    fx = np.fft.rfftfreq(shape[1], pixel_size)[None, :]
    return np.fft.irfft2(np.fft.rfft2(canvas) * atom_transfer(fx, fy, pixel_size, cloud.sigma), shape).astype(
        np.float32
    )


# --- filling -------------------------------------------------------------------------------------------------------


def _fill(
    density: Callable[[np.ndarray], np.ndarray],
    extent: tuple[float, float, float],
    *,
    seed: int,
    spacing: float = 6.0,
    fold: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill a density with one point in every cell of a lattice, at a random place in its cell.

    `spacing` and `extent` (half the width along each axis) are in Angstrom. With `fold` n above 1 only the sector of
    azimuth 0 to 360 / n degrees is filled, and turned n times about z.
    """
    axes = [np.arange(-e, e, spacing) for e in extent]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points += np.random.default_rng(seed).uniform(0, spacing, points.shape)
    if fold > 1:
        points = points[np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi) < 2 * np.pi / fold]
    weights = density(points)
    inside = weights > 0.08
    points, weights = points[inside], weights[inside] * (PROTEIN_POTENTIAL * spacing**3)
    turns = [rotation_matrix(360 * k / fold, 0, 0).T for k in range(fold)]
    return np.concatenate([points @ turn.T for turn in turns]), np.tile(weights, fold)


def _cloud(points: np.ndarray, weights: np.ndarray, spacing: float = 6.0) -> Cloud:
    centre = np.average(points, axis=0, weights=weights)
    return Cloud((points - centre).astype(np.float32), weights.astype(np.float32), _SIGMA * spacing)


def _blobs(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Sum of Gaussians with the half-width at half maximum `radii`, at `points`."""
    total = np.zeros(len(points))
    for centre, radius in zip(centres, np.broadcast_to(radii, len(centres)), strict=True):
        total += np.exp2(-((points - centre) ** 2).sum(axis=1) / radius**2)
    return total


def _solid(level: np.ndarray, softness: float = 0.12) -> np.ndarray:
    """From 0 outside (`level` below 0.5) to 1 inside, over `softness`."""
    return 1 / (1 + np.exp(np.clip((0.5 - level) / softness, -30, 30)))


# --- keyhole limpet haemocyanin ------------------------------------------------------------------------------------

# The didecamer's outermost parts lie 355 A across and 400 A along the axis; the edge of the dark on micrographs (and so
# the labels) is somewhat inside. Three tiers of wall to a decamer, the collar within its outer end.
_KLH_DIAMETER, _KLH_LENGTH = 325.6, 374.0
_KLH_SPACING = 8.0
_KLH_TIERS = np.array([32.0, 96.0, 161.0])


@lru_cache(maxsize=1)
def _klh_half() -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of one decamer, z from the face where two of them join to the collar's end."""
    centres, radii = [], []
    for tier, z in enumerate(_KLH_TIERS):
        for k in range(20):  # functional units of the wall, in pairs, each tier turned against the one below
            azimuth = np.deg2rad(18 * k + 9 * tier + (2.5 if k % 2 else -2.5))
            radius = 143 + (3 if tier == 2 else 0)
            centres.append((radius * np.cos(azimuth), radius * np.sin(azimuth), z + (5 if k % 2 else -5)))
            radii.append(20.0)
    for k in range(20):  # collar and the arcs that hold it to the wall, five-fold, in two layers
        azimuth = np.deg2rad(36 * k + 9)
        radius, z = [(86, 150), (80, 164)][k % 2] if k < 10 else [(90, 124), (80, 136)][k % 2]
        centres.append((radius * np.cos(azimuth), radius * np.sin(azimuth), z))
        radii.append(18.0)
    centres, radii = np.array(centres), np.array(radii)

    def density(points: np.ndarray) -> np.ndarray:
        blobs = _blobs(points, centres, radii)
        # What joins the tiers: a thin cylinder inside the wall.
        wall = np.exp2(-(((np.hypot(points[:, 0], points[:, 1]) - 136) / 12) ** 2))
        return _solid(blobs + 0.45 * wall * (np.abs(points[:, 2] - 92) < 92))

    # Only z from -10 to 200 can hold anything: fill about the middle of that.
    middle = np.array([0, 0, 95.0])
    points, weights = _fill(lambda p: density(p + middle), (185, 185, 105), seed=1, spacing=_KLH_SPACING, fold=5)
    return points + middle, weights


@lru_cache(maxsize=8)
def _klh(decamers: int) -> Cloud:
    """Stack of decamers along z: two face to face are the didecamer; a tube goes on with more, collars outwards."""
    points, weights = _klh_half()
    turned = points * (1, -1, -1)  # two-fold axis along x: the D5 didecamer
    next_one = np.array([0, 0, _KLH_LENGTH / 2])
    stack = [points] if decamers == 1 else [turned, *(points + k * next_one for k in range(decamers - 1))]
    return _cloud(np.concatenate(stack), np.tile(weights, decamers), _KLH_SPACING)


# --- apoferritin ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _apoferritin() -> Cloud:
    """Hollow sphere of 24 subunits, 130 A across, cavity 76 A, with channels along the three- and four-fold axes."""
    four = np.concatenate([np.eye(3), -np.eye(3)])
    three = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) / np.sqrt(3)

    def density(points: np.ndarray) -> np.ndarray:
        radius = np.maximum(np.linalg.norm(points, axis=1), 1e-6)
        direction = points / radius[:, None]
        shell = _solid(0.5 + (radius - 39) / 12) * _solid(0.5 + (64 - radius) / 12)
        near = lambda axes, width: np.exp(((direction @ axes.T).max(axis=1) - 1) / width)  # noqa: E731
        return 0.8 * shell * (1 - 0.7 * near(four, 0.012)) * (1 - 0.6 * near(three, 0.010))

    return _cloud(*_fill(density, (70, 70, 70), seed=2, fold=4))


# --- 80S ribosome --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _ribosome() -> Cloud:
    """Two unequal subunits about 270 A across, of domains of protein and of denser RNA; irregular, the same always."""
    rng = np.random.default_rng(80)

    def ellipsoid(points: np.ndarray, centre: tuple, axes: tuple) -> np.ndarray:
        return _solid(1.5 - np.linalg.norm((points - centre) / np.asarray(axes), axis=1), 0.06)

    seeds = rng.uniform(-150, 150, (4500, 3))
    kinds = rng.choice([0.1, 0.8, 2.0], size=len(seeds), p=[0.3, 0.37, 0.33])  # solvent, protein, RNA

    def density(points: np.ndarray) -> np.ndarray:
        large = np.maximum.reduce(
            [
                ellipsoid(points, (-38, 0, 0), (72, 102, 98)),
                ellipsoid(points, (-10, 0, 98), (26, 30, 32)),  # central protuberance
                ellipsoid(points, (-8, 105, 45), (20, 26, 20)),  # L1 stalk
                ellipsoid(points, (-5, -112, 25), (16, 26, 15)),  # P stalk
            ]
        )
        small = np.maximum.reduce(
            [
                ellipsoid(points, (61, -5, -40), (40, 62, 68)),  # body
                ellipsoid(points, (65, 5, 68), (36, 54, 36)),  # head
                ellipsoid(points, (57, -42, 20), (22, 20, 24)),  # platform
                ellipsoid(points, (69, 10, -112), (20, 22, 24)),  # foot
            ]
        )
        domain = kinds[cKDTree(seeds).query(points)[1]]
        return np.maximum(large, small) * domain

    return _cloud(*_fill(density, (140, 150, 150), seed=3))


# --- beta-galactosidase --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _betagal() -> Cloud:
    """Tetramer of D2 symmetry, about 180 x 130 x 80 A; five domains to a subunit."""
    domains = np.array([(24, 20, 9), (56, 32, 18), (72, 14, -6), (37, 47, -15), (11, 41, 17)], dtype=float)
    radii = np.array([18, 16, 16, 15, 13], dtype=float)
    # The three two-fold axes; the subunits turn into each other.
    turns = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], dtype=float)
    centres = (domains[None] * turns[:, None]).reshape(-1, 3)

    def density(points: np.ndarray) -> np.ndarray:
        return _solid(_blobs(points, centres, np.tile(radii, 4)), 0.07)

    return _cloud(*_fill(density, (105, 80, 55), seed=4, fold=2))


# --- bacteriophage MS2 ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _ms2(full: bool) -> Cloud:
    """T = 3 capsid of 90 dimers, 270 A across and 22 A thick, with or without RNA; a five-fold axis along z."""
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([(0, i, j * golden) for i in (-1, 1) for j in (-1, 1)])
    five = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    # The corner (0, 1, golden) onto the z axis.
    s, c = np.array([1, golden]) / np.hypot(1, golden)
    five = five @ np.array([(1, 0, 0), (0, c, -s), (0, s, c)]).T
    near = five @ five.T > 0.4
    i, j, k = (n.ravel() for n in np.indices((12, 12, 12)))
    faces = (i < j) & (j < k) & near[i, j] & near[j, k] & near[i, k]
    three = _directions(five[i[faces]] + five[j[faces]] + five[k[faces]])
    # A dimer between each pair of neighbouring capsomers: pentamers on the five-fold axes, hexamers on the three-fold.
    capsomers = np.concatenate([five, three])
    angle = np.arccos(np.clip(capsomers @ capsomers.T, -1, 1))
    first, second = np.nonzero(np.triu((angle < np.deg2rad(45)) & (angle > 0)))
    dimers = _directions(capsomers[first] + capsomers[second])
    rng = np.random.default_rng(75)
    seeds = rng.uniform(-112, 112, (4500, 3))
    strands = rng.choice([0.1, 0.3, 0.8], size=len(seeds), p=[0.35, 0.35, 0.3])

    def density(points: np.ndarray) -> np.ndarray:
        radius = np.maximum(np.linalg.norm(points, axis=1), 1e-6)
        direction = points / radius[:, None]
        at = lambda axes, width: np.exp(((direction @ axes.T).max(axis=1) - 1) / width)  # noqa: E731
        ridge = at(dimers, 0.008)  # within some 7 degrees
        wall = _solid(0.5 + (radius - 110 + 3 * ridge) / 10) * _solid(0.5 + (126 + 10 * ridge - radius) / 10)
        wall *= 0.85 - 0.6 * at(capsomers, 0.003)
        if not full:
            return wall
        # RNA, twice the potential of protein but loosely packed, most of it under the capsid.
        strand = strands[cKDTree(seeds).query(points)[1]]
        return wall + strand * (0.5 + 0.9 * np.exp2(-(((radius - 94) / 10) ** 2))) * (radius < 106)

    return _cloud(*_fill(density, (145, 145, 145), seed=5))


def _directions(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# --- T20S proteasome -----------------------------------------------------------------------------------------------

_T20S_DIAMETER, _T20S_LENGTH = 108.0, 144.0
_T20S_SPACING = 4.0


@lru_cache(maxsize=1)
def _t20s() -> Cloud:
    """Barrel of four rings of seven subunits (alpha, beta, beta, alpha), 115 A wide and 150 A long, D7.

    Between the rings lie three chambers some 50 A wide; the openings at the ends and the gates between the chambers are
    narrower.
    """
    step = 360 / 7
    centres, radii = [], []
    for k in range(7):
        for z, twist, parts in (
            (18.5, 0.0, ((39, 0, 0, 14.2), (31, 12, 0, 10.0), (22, 0, 10, 7.0))),  # beta; the last part is the gate
            (55.0, 16.0, ((39, 0, 0, 14.2), (30, -12, 3, 10.0), (18, 4, 8, 8.0))),  # alpha, likewise
        ):
            for radius, turn, rise, size in parts:
                azimuth = np.deg2rad(step * k + twist + turn)
                centres.append((radius * np.cos(azimuth), radius * np.sin(azimuth), z + rise))
                radii.append(size)
    centres, radii = np.array(centres), np.array(radii)
    # The two-fold axis along x.
    centres, radii = np.concatenate([centres, centres * (1, -1, -1)]), np.tile(radii, 2)
    density = lambda points: _solid(_blobs(points, centres, radii))  # noqa: E731
    return _cloud(*_fill(density, (72, 72, 88), seed=6, spacing=_T20S_SPACING, fold=7), _T20S_SPACING)


# KLH lies on its ends or sides, some degrees tilted; faint tops are single decamers. Tubes are nobody's particles.
MODELS: dict[str, tuple[Form, ...]] = {
    "klh": (
        Form("didecamer", "top", 0.30, _KLH_DIAMETER, lambda: _klh(2), (0, 3)),
        Form("decamer", "top", 0.06, _KLH_DIAMETER, lambda: _klh(1), (0, 4)),
        Form("didecamer", "side", 0.54, _KLH_LENGTH, lambda: _klh(2), (90, 4)),
        *(
            Form("tube", IGNORE, share, _KLH_DIAMETER, lambda n=n: _klh(n), (90, 3), n * _KLH_LENGTH / 2)
            for n, share in ((3, 0.05), (4, 0.04), (6, 0.01))
        ),
    ),
    "apoferritin": (Form("shell", "top", 1.0, 121.6, _apoferritin),),
    "ribosome": (Form("80S", "irregular", 1.0, 268.0, _ribosome),),
    "betagal": (Form("tetramer", "irregular", 1.0, 191.0, _betagal),),
    # Some capsids lost their RNA, or never had it; an expert takes both.
    "ms2": (
        Form("virion", "top", 0.8, 268.0, lambda: _ms2(True)),
        Form("empty", "top", 0.2, 268.0, lambda: _ms2(False)),
    ),
    # Most lie on their side, the others stand on end, nearly upright.
    "t20s": (
        Form("20S", "top", 0.3, _T20S_DIAMETER, _t20s, (0, 5)),
        Form("20S", "side", 0.7, _T20S_LENGTH, _t20s, (90, 6)),
    ),
}
PROTEINS = tuple(MODELS)
