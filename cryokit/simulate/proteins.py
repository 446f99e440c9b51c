"""Six proteins as analytic densities.

A further protein is one more density function here, one more entry of `MODELS`, and its conditions in
`cryokit.simulate.conditions.CONDITIONS`.
"""

from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from cryokit.coordinates.picks import IGNORE
from cryokit.simulate.density import (
    Cloud,
    Form,
    blobs,
    centred_cloud,
    fill,
    filled_cloud,
    lobes,
    nearness,
    polar,
    solid,
)


def _around_axis(places: list[tuple[float, float, float]]) -> np.ndarray:
    """Return x, y and z of places given by their distance from the z axis, azimuth in degrees and z."""
    radius, azimuth, z = np.array(places, dtype=float).T
    azimuth = np.deg2rad(azimuth)
    return np.column_stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z])


# --- keyhole limpet haemocyanin ------------------------------------------------------------------------------------

# The didecamer's outermost parts lie 355 A across and 400 A along the axis; the edge of the dark on micrographs (and so
# the labels) is somewhat inside. Three tiers of wall to a decamer, the collar within its outer end.
_KLH_DIAMETER, _KLH_LENGTH = 325.6, 374.0
_KLH_SPACING = 8.0
_KLH_TIERS = np.array([32.0, 96.0, 161.0])


@lru_cache(maxsize=1)
def _klh_half() -> tuple[np.ndarray, np.ndarray]:
    """Return points and weights of one decamer, z from the face where two of them join to the end of the collar."""
    places, radii = [], []
    for tier, z in enumerate(_KLH_TIERS):
        for k in range(20):  # functional units of the wall, in pairs, each tier turned against the one below
            side = 1 if k % 2 else -1
            places.append((143 + (3 if tier == 2 else 0), 18 * k + 9 * tier + 2.5 * side, z + 5 * side))
            radii.append(20.0)
    for k in range(20):  # collar and the arcs that hold it to the wall, five-fold, in two layers
        radius, z = [(86, 150), (80, 164)][k % 2] if k < 10 else [(90, 124), (80, 136)][k % 2]
        places.append((radius, 36 * k + 9, z))
        radii.append(18.0)
    centres = _around_axis(places)

    def density(points: np.ndarray) -> np.ndarray:
        units = blobs(points, centres, radii)
        # What joins the tiers: a thin cylinder inside the wall.
        wall = np.exp2(-(((np.hypot(points[:, 0], points[:, 1]) - 136) / 12) ** 2))
        return solid(units + 0.45 * wall * (np.abs(points[:, 2] - 92) < 92))

    # Only z from -10 to 200 can hold anything: fill about the middle of that.
    middle = np.array([0, 0, 95.0])
    points, weights = fill(lambda p: density(p + middle), (185, 185, 105), seed=1, spacing=_KLH_SPACING, fold=5)
    return points + middle, weights


@lru_cache(maxsize=8)
def _klh(decamers: int) -> Cloud:
    """Return a stack of decamers along z: two face to face are the didecamer, more with collars outwards a tube."""
    points, weights = _klh_half()
    turned = points * (1, -1, -1)  # two-fold axis along x: the D5 didecamer
    next_one = np.array([0, 0, _KLH_LENGTH / 2])
    stack = [points] if decamers == 1 else [turned, *(points + k * next_one for k in range(decamers - 1))]
    return centred_cloud(np.concatenate(stack), np.tile(weights, decamers), _KLH_SPACING)


# --- apoferritin ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _apoferritin() -> Cloud:
    """Return a hollow sphere of 24 subunits, 130 A across, cavity 76 A, channels along the 3- and 4-fold axes."""
    four = np.concatenate([np.eye(3), -np.eye(3)])
    three = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) / np.sqrt(3)

    def density(points: np.ndarray) -> np.ndarray:
        radius, direction = polar(points)
        shell = solid(0.5 + (radius - 39) / 12) * solid(0.5 + (64 - radius) / 12)
        channel_four, channel_three = nearness(direction, four, 0.012), nearness(direction, three, 0.010)
        return 0.8 * shell * (1 - 0.7 * channel_four) * (1 - 0.6 * channel_three)

    return filled_cloud(density, (70, 70, 70), seed=2, fold=4)


# --- 80S ribosome --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _ribosome() -> Cloud:
    """Return two unequal subunits, about 270 A across, of domains of protein and of denser RNA."""
    rng = np.random.default_rng(80)

    seeds = rng.uniform(-150, 150, (4500, 3))
    kinds = rng.choice([0.1, 0.8, 2.0], size=len(seeds), p=[0.3, 0.37, 0.33])  # solvent, protein, RNA
    ellipsoids = (  # centres and half-axes
        ((-38, 0, 0), (72, 102, 98)),  # large subunit
        ((-10, 0, 98), (26, 30, 32)),  # central protuberance
        ((-8, 105, 45), (20, 26, 20)),  # L1 stalk
        ((-5, -112, 25), (16, 26, 15)),  # P stalk
        ((61, -5, -40), (40, 62, 68)),  # body of the small subunit
        ((65, 5, 68), (36, 54, 36)),  # head
        ((57, -42, 20), (22, 20, 24)),  # platform
        ((69, 10, -112), (20, 22, 24)),  # foot
    )

    def density(points: np.ndarray) -> np.ndarray:
        levels = (1.5 - np.linalg.norm((points - centre) / np.asarray(axes), axis=1) for centre, axes in ellipsoids)
        domain = kinds[cKDTree(seeds).query(points)[1]]
        return np.maximum.reduce([solid(level, 0.06) for level in levels]) * domain

    return filled_cloud(density, (140, 150, 150), seed=3)


# --- beta-galactosidase --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _betagal() -> Cloud:
    """Return a tetramer of D2 symmetry, about 180 x 130 x 80 A, with five domains per subunit."""
    domains = np.array([(24, 20, 9), (56, 32, 18), (72, 14, -6), (37, 47, -15), (11, 41, 17)], dtype=float)
    radii = np.array([18, 16, 16, 15, 13], dtype=float)
    # The three two-fold axes; the subunits turn into each other.
    turns = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], dtype=float)
    centres = (domains[None] * turns[:, None]).reshape(-1, 3)

    return filled_cloud(lobes(centres, np.tile(radii, 4), 0.07), (105, 80, 55), seed=4, fold=2)


# --- bacteriophage MS2 ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _ms2(full: bool) -> Cloud:
    """Return a T = 3 capsid of 90 dimers, 270 A across and 22 A thick, full of RNA or empty; a 5-fold axis along z."""
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([(0, i, j * golden) for i in (-1, 1) for j in (-1, 1)])
    five = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    # The corner (0, 1, golden) onto the z axis.
    s, c = np.array([1, golden]) / np.hypot(1, golden)
    five = five @ np.array([(1, 0, 0), (0, c, -s), (0, s, c)]).T
    near = five @ five.T > 0.4
    i, j, k = (n.ravel() for n in np.indices((12, 12, 12)))
    faces = (i < j) & (j < k) & near[i, j] & near[j, k] & near[i, k]
    three = polar(five[i[faces]] + five[j[faces]] + five[k[faces]])[1]
    # A dimer between each pair of neighbouring capsomers: pentamers on the five-fold axes, hexamers on the three-fold.
    capsomers = np.concatenate([five, three])
    angle = np.arccos(np.clip(capsomers @ capsomers.T, -1, 1))
    first, second = np.nonzero(np.triu((angle < np.deg2rad(45)) & (angle > 0)))
    dimers = polar(capsomers[first] + capsomers[second])[1]
    rng = np.random.default_rng(75)
    seeds = rng.uniform(-112, 112, (4500, 3))
    strands = rng.choice([0.1, 0.3, 0.8], size=len(seeds), p=[0.35, 0.35, 0.3])

    def density(points: np.ndarray) -> np.ndarray:
        radius, direction = polar(points)
        ridge = nearness(direction, dimers, 0.008)  # within some 7 degrees
        wall = solid(0.5 + (radius - 110 + 3 * ridge) / 10) * solid(0.5 + (126 + 10 * ridge - radius) / 10)
        wall *= 0.85 - 0.6 * nearness(direction, capsomers, 0.003)
        if not full:
            return wall
        # RNA, twice the potential of protein but loosely packed, most of it under the capsid.
        strand = strands[cKDTree(seeds).query(points)[1]]
        return wall + strand * (0.5 + 0.9 * np.exp2(-(((radius - 94) / 10) ** 2))) * (radius < 106)

    return filled_cloud(density, (145, 145, 145), seed=5)


# --- T20S proteasome -----------------------------------------------------------------------------------------------

_T20S_DIAMETER, _T20S_LENGTH = 108.0, 144.0


@lru_cache(maxsize=1)
def _t20s() -> Cloud:
    """Return a barrel of four rings of seven subunits (alpha, beta, beta, alpha), 115 A wide and 150 A long, D7.

    Between the rings are three chambers some 50 A wide; the openings at the ends and the gates between the chambers are
    narrower.
    """
    step = 360 / 7
    places, radii = [], []
    for k in range(7):
        for z, twist, parts in (
            (18.5, 0.0, ((39, 0, 0, 14.2), (31, 12, 0, 10.0), (22, 0, 10, 7.0))),  # beta; the last part is the gate
            (55.0, 16.0, ((39, 0, 0, 14.2), (30, -12, 3, 10.0), (18, 4, 8, 8.0))),  # alpha, likewise
        ):
            for radius, turn, rise, size in parts:
                places.append((radius, step * k + twist + turn, z + rise))
                radii.append(size)
    half = _around_axis(places)
    # The two-fold axis along x.
    density = lobes(np.concatenate([half, half * (1, -1, -1)]), np.tile(radii, 2))
    return filled_cloud(density, (72, 72, 88), seed=6, spacing=4.0, fold=7)


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
