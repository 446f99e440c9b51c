"""The particles of a micrograph: which, where and at what orientation, and the table that says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cryokit.coordinates.picks import IGNORE, table
from cryokit.errors import SimulationError
from cryokit.simulate.conditions import Conditions
from cryokit.simulate.density import Cloud, Form, rotation_matrix
from cryokit.simulate.placement import Field, Floor
from cryokit.simulate.specimen import Filament

OVERLAP = 0.85  # centres nearer than this times the sum of the radii: flagged
SEVERE_OVERLAP = 0.6  # nearer than this: nobody would take the particle, and it is labelled `ignore`
EDGE = 0.25  # centres within this times the diameter of the border are labelled `ignore`
TRUTH_COLUMNS = ("phi", "theta", "psi", "form", "overlap", "broken")


@dataclass(frozen=True)
class Particle:
    """A particle on a micrograph or beside it.

    Attributes
    ----------
    form : Form
        What it is.
    x, y : float
        Centre, pixels of the micrograph.
    angles : tuple of float
        RELION's Euler angles rot, tilt and psi, degrees.
    inside : bool
        Whether its centre was placed on the micrograph.
    broken : bool
        Whether a part of it is missing.
    """

    form: Form
    x: float
    y: float
    angles: tuple[float, float, float]
    inside: bool
    broken: bool

    def cloud(self, rng: np.random.Generator) -> Cloud:
        """Return its density; of a broken one what is beyond a random plane near its middle."""
        cloud = self.form.cloud()
        if not self.broken:
            return cloud
        normal = rng.normal(size=3)
        height = cloud.points @ (normal / np.linalg.norm(normal)).astype(np.float32)
        return cloud.part(height > np.quantile(height, rng.uniform(0.3, 0.6)))

    def discs(self, pixel_size: float) -> np.ndarray:
        """Return x, y and radius, in pixels of the micrograph, of the discs that cover it; shape (n, 3)."""
        return _discs(self.form, self.angles, pixel_size) + np.array([self.x, self.y, 0.0])


def place_particles(
    forms: Sequence[Form],
    field: Field,
    n_particles: int,
    conditions: Conditions,
    rng: np.random.Generator,
    distance: np.ndarray | None,
    rods: list[Filament],
) -> tuple[Floor, list[Particle]]:
    """Draw particles: `n_particles` with their centre on the micrograph, and others around it.

    Parameters
    ----------
    forms : sequence of Form
        Forms to draw from.
    field : Field
        Field that is simulated.
    n_particles : int
        Number of particles on the micrograph.
    conditions : Conditions
        Clustering and the fractions of overlapping and broken particles.
    rng : numpy.random.Generator
        Random numbers.
    distance : ndarray or None
        What `cryokit.simulate.specimen.carbon_distance` returned, if there is carbon.
    rods : list of Filament
        Filaments, which particles avoid.

    Returns
    -------
    floor : Floor
        What is still free.
    particles : list of Particle

    Raises
    ------
    SimulationError
        If there is no room for so many particles.
    """
    (rows, columns), pixel = field.shape, field.pixel_size
    radii = [form.diameter / 2 / pixel for form in forms]
    floor = Floor(field.shape, max(radii), max(1.0, min(radii) / 10), rng, conditions.clustering)
    if distance is not None:
        i = np.clip(np.round(floor.rows).astype(int) + field.pad, 0, distance.shape[0] - 1)
        j = np.clip(np.round(floor.columns).astype(int) + field.pad, 0, distance.shape[1] - 1)
        floor.film = distance[np.ix_(i, j)]
    for rod in rods:
        floor.add(rod.discs(pixel))

    shares = np.array([form.share for form in forms])
    shares = shares / shares.sum()
    drawn = [forms[k] for k in rng.choice(len(forms), size=n_particles, p=shares)]
    drawn.sort(key=lambda form: -form.length)  # the long ones first, while there is room
    tubes = sum(form.length > 0 for form in drawn)
    overlapping = min(round(conditions.overlap_fraction * n_particles), n_particles - max(tubes, 1))
    free = n_particles - max(overlapping, 0)
    broken = set(rng.choice(n_particles, size=round(conditions.broken_fraction * n_particles), replace=False))
    particles: list[Particle] = []

    def put(form: Form, find: Callable[[np.ndarray], tuple[float, float] | None], inside: bool) -> bool:
        """Add a particle where `find` puts its discs; return whether there was room."""
        phi, psi = rng.uniform(0, 360, 2)
        theta = np.degrees(np.arccos(rng.uniform(-1, 1))) if form.tilt is None else abs(rng.normal(*form.tilt))
        angles = float(phi), float(theta), float(psi)
        place = find(_discs(form, angles, pixel))
        if place is not None:
            x, y = map(float, place)
            particles.append(Particle(form, x, y, angles, inside, inside and len(particles) in broken))
            floor.add(particles[-1].discs(pixel))
        return place is not None

    for form in drawn[:free]:
        if not put(form, lambda discs: floor.find(discs, inside=True), True):
            raise SimulationError(
                f"only {len(particles)} of {n_particles} particles fit on {rows} x {columns} pixels; "
                "ask for fewer or a larger shape"
            )
    hosts = [particle for particle in particles if not particle.form.length]
    for form in drawn[free:]:
        put(form, lambda _, form=form: _overlapping_place(hosts, form, field, rng), True)
    # Around the micrograph they lie as densely as on it; some reach into it.
    for _ in range(rng.poisson(n_particles * np.mean(~floor.inside) / np.mean(floor.inside))):
        form = forms[rng.choice(len(forms), p=shares)]
        if not put(form, lambda discs: floor.find(discs, inside=False), False):
            break
    return floor, particles


def truth_table(particles: list[Particle], name: str, field: Field) -> pd.DataFrame:
    """Return the table of the particles whose centre is on the micrograph, sorted by row."""
    pixel_size = field.pixel_size
    closeness = _closeness([particle.discs(pixel_size) for particle in particles])
    ignored = [
        particle.broken or closest < SEVERE_OVERLAP or _at_border(particle, field)
        for particle, closest in zip(particles, closeness, strict=True)
    ]
    truth = table(
        micrograph=name,
        x=[p.x for p in particles],
        y=[p.y for p in particles],
        diameter=[max(p.form.diameter, p.form.length) / pixel_size for p in particles],
        view=[IGNORE if ignore else p.form.view for p, ignore in zip(particles, ignored, strict=True)],
    )
    truth[list(TRUTH_COLUMNS[:3])] = np.array([p.angles for p in particles], dtype=float).reshape(-1, 3)
    truth["form"] = pd.Series([p.form.name for p in particles], dtype=object)
    truth["overlap"] = closeness < OVERLAP
    truth["broken"] = np.array([p.broken for p in particles], dtype=bool)
    inside = np.array([p.inside for p in particles], dtype=bool)
    return truth[inside].sort_values(["y", "x"], ignore_index=True)


def _discs(form: Form, angles: tuple[float, float, float], pixel_size: float) -> np.ndarray:
    """Return x, y and radius, in pixels about the centre, of the disc that covers a particle, several for a tube."""
    radius = form.diameter / 2
    count = max(1, round(form.length / form.diameter * 1.3))
    axis = rotation_matrix(*angles)[:2, 2]
    along = np.linspace(-0.5, 0.5, count) * max(form.length - form.diameter, 0) if count > 1 else np.zeros(1)
    return np.column_stack([np.outer(along, axis), np.full(count, radius)]) / pixel_size


def _overlapping_place(
    hosts: list[Particle], form: Form, field: Field, rng: np.random.Generator
) -> tuple[float, float]:
    """Draw a place on the micrograph that overlaps one of `hosts`; any place if there are none."""
    bottom, right = field.shape[0] - 1, field.shape[1] - 1
    while hosts:
        host = hosts[rng.integers(len(hosts))]
        apart = rng.uniform(0.35, OVERLAP) * (host.form.diameter + form.diameter) / 2 / field.pixel_size
        direction = rng.uniform(0, 2 * np.pi)
        x, y = host.x + apart * np.cos(direction), host.y + apart * np.sin(direction)
        # Towards the middle where the border is near, so that this ends.
        x = x if 0 <= x <= right else 2 * host.x - x
        y = y if 0 <= y <= bottom else 2 * host.y - y
        if 0 <= x <= right and 0 <= y <= bottom:
            return x, y
        if apart > min(field.shape) / 2:  # a micrograph not much larger than the particle
            break
    return tuple(rng.uniform((0, 0), (right, bottom)))


def _closeness(discs: list[np.ndarray]) -> np.ndarray:
    """Return for each particle the smallest distance to another one, relative to the sum of their discs' radii."""
    closest = np.full(len(discs), np.inf)
    if len(discs) < 2:
        return closest
    owner = np.repeat(np.arange(len(discs)), [len(d) for d in discs])
    every = np.concatenate(discs)
    pairs = cKDTree(every[:, :2]).query_pairs(2 * every[:, 2].max(), output_type="ndarray")
    pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    first, second = every[pairs[:, 0]], every[pairs[:, 1]]
    relative = np.hypot(*(first - second)[:, :2].T) / (first[:, 2] + second[:, 2])
    for side in (0, 1):
        np.minimum.at(closest, owner[pairs[:, side]], relative)
    return closest


def _at_border(particle: Particle, field: Field) -> bool:
    margin = EDGE * particle.form.diameter / field.pixel_size
    return not all(
        margin <= position <= size - 1 - margin
        for position, size in zip((particle.y, particle.x), field.shape, strict=True)
    )
