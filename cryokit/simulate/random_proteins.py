"""Random shapes of many kinds instead of proteins, for training pickers to find what they have never seen."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from cryokit._util.validation import check_choice, check_number
from cryokit.coordinates.picks import IGNORE
from cryokit.simulate.density import Cloud, Density, Form, Protein, filled_cloud, lobes, nearness, solid, turned

KINDS = ("globule", "shell", "barrel", "ring", "rod", "membrane", "flexible")
_SHARES = (0.3, 0.12, 0.16, 0.08, 0.12, 0.12, 0.1)
CONFORMATIONS = 4  # of a flexible protein
DIAMETERS = (110.0, 380.0)  # Angstrom
_POINTS = 24  # across the particle: finer detail does not show at a picker's resolution


def random_protein(seed: int, *, kind: str | None = None, diameter: float | None = None) -> Protein:
    """Make up a protein.

    A globule is a handful of domains, alone or as two- to six-fold symmetric assembly; a shell is a hollow sphere, a
    barrel a stack of rings of subunits, a ring a flat one, a rod a chain of domains up to twice as long as wide. A
    membrane protein is a globule across a thin disc of lipid or detergent; a flexible one is two bodies on a hinge, in
    several conformations.

    Parameters
    ----------
    seed : int
        Random seed; the same seed gives the same protein.
    kind : str, optional
        One of `KINDS`; drawn by default.
    diameter : float, optional
        Approximate size in Angstrom; drawn from `DIAMETERS` by default.

    Returns
    -------
    Protein
        Protein at any orientation, labelled as irregular view; with one form, flexible ones with several.

    Raises
    ------
    ArgumentError
        If `kind` is unknown or `diameter` is not positive.

    Examples
    --------
    >>> protein = random_protein(7, kind="ring", diameter=200)
    >>> protein.name, [form.view for form in protein.forms]
    ('ring_7', ['irregular'])
    """
    check_choice("kind", kind, (None, *KINDS))
    if diameter is not None:
        check_number("diameter", diameter, 0, above=True)
    rng = np.random.default_rng([seed, 41])
    drawn = str(rng.choice(KINDS, p=_SHARES))
    size = float(np.exp(rng.uniform(*np.log(DIAMETERS))))
    kind, diameter = kind or drawn, diameter or size

    conformations = CONFORMATIONS if kind == "flexible" else 1
    return Protein(f"{kind}_{seed}", tuple(_form(kind, seed, diameter, number) for number in range(conformations)))


def _form(kind: str, seed: int, diameter: float, conformation: int) -> Form:
    @lru_cache(maxsize=1)
    def cloud() -> Cloud:
        rng = np.random.default_rng([seed, 42])
        radius = diameter / 2
        if kind == "flexible":
            density = _hinged(rng, radius, np.random.default_rng([seed, 44, conformation]))
        else:
            density = _DENSITIES[kind](rng, radius)
        spacing = max(5.0, diameter / _POINTS)
        return filled_cloud(density, (1.15 * radius,) * 3, seed=int(rng.integers(1 << 31)), spacing=spacing)

    # What an expert would draw around it: nearly all of its mass, not its farthest corner.
    extent = 2 * float(np.quantile(np.linalg.norm(cloud().points, axis=1), 0.9))
    return Form(kind, "irregular", 1.0, extent, cloud)


def fragment(form: Form, seed: int, *, part: float = 0.3, share: float = 0.1) -> Form:
    """Return a piece of a protein as a form of its own: something nobody takes for a particle.

    Parameters
    ----------
    form : Form
        Form of the whole protein.
    seed : int
        Random seed; each gives another piece.
    part : float
        Share of the protein's mass.
    share : float
        Frequency relative to the other forms.

    Returns
    -------
    Form
        Form named ``fragment`` with the view ``ignore``.
    """

    @lru_cache(maxsize=1)
    def cloud() -> Cloud:
        whole = form.cloud()
        direction = np.random.default_rng([seed, 43]).normal(size=3)
        height = whole.points @ (direction / np.linalg.norm(direction))
        piece = whole.part(height > np.quantile(height, 1 - part))
        centre = np.average(piece.points, axis=0, weights=piece.weights).astype(np.float32)
        return Cloud(piece.points - centre, piece.weights, piece.sigma)

    return Form("fragment", IGNORE, share, form.diameter * part ** (1 / 3), cloud)


def _globule(rng: np.random.Generator, radius: float) -> Density:
    fold = int(rng.choice((1, 1, 2, 3, 4, 6)))
    domains = int(rng.integers(3, 9))
    axes = rng.uniform(0.5, 1, 3)
    centres = rng.normal(size=(domains, 3))
    centres *= (radius * 0.7 * rng.uniform(0.3, 1, domains) / np.linalg.norm(centres, axis=1))[:, None] * axes
    return lobes(turned(centres, fold), np.tile(radius * rng.uniform(0.16, 0.32, domains), fold))


def _shell(rng: np.random.Generator, radius: float) -> Density:
    inner = rng.uniform(0.45, 0.85)
    holes = rng.normal(size=(int(rng.integers(0, 12)), 3))
    holes /= np.linalg.norm(holes, axis=1, keepdims=True) if len(holes) else 1

    def density(points: np.ndarray) -> np.ndarray:
        distance = np.maximum(np.linalg.norm(points, axis=1), 1e-6) / radius
        wall = solid(0.5 + (distance - inner) / 0.1) * solid(0.5 + (1 - distance) / 0.1)
        if len(holes):
            wall *= 1 - 0.8 * nearness(points / (distance * radius)[:, None], holes, 0.03)
        return wall

    return density


def _rings(rng: np.random.Generator, radius: float, tiers: int, height: float) -> Density:
    """Stack rings of subunits, `height` diameters high altogether."""
    subunits = int(rng.integers(5, 15))
    wide = radius / np.hypot(1, height) if tiers > 1 else radius * 0.8
    middle = wide * rng.uniform(0.55, 0.75)
    levels = (np.arange(tiers) - (tiers - 1) / 2) * (2 * height * wide / tiers)
    turn = rng.uniform(0, 1)
    centres = [
        (middle * np.cos(angle), middle * np.sin(angle), z)
        for tier, z in enumerate(levels)
        for angle in 2 * np.pi * (np.arange(subunits) + turn * tier) / subunits
    ]
    size = np.clip(np.pi * middle / subunits, 0.2 * wide, 0.35 * wide) * rng.uniform(0.8, 1.1)
    return lobes(np.array(centres), np.array([size]))


def _rod(rng: np.random.Generator, radius: float) -> Density:
    domains = int(rng.integers(3, 7))
    along = np.linspace(-0.75, 0.75, domains) * radius
    across = rng.normal(0, 0.1 * radius, (domains, 2))
    return lobes(np.column_stack([across, along]), radius * rng.uniform(0.2, 0.4, domains))


def _membrane(rng: np.random.Generator, radius: float) -> Density:
    """Put domains across a disc and beside it; the disc is less dense than protein."""
    half, wide = rng.uniform(0.12, 0.25) * radius, rng.uniform(0.5, 0.9) * radius
    fold, domains = int(rng.choice((1, 2, 3, 4, 5))), int(rng.integers(2, 6))
    centres = rng.uniform(-1, 1, (domains, 3)) * (0.4 * wide, 0.4 * wide, 0.7 * radius)
    centres = np.concatenate([centres, centres * (1, 1, 0)])
    body = lobes(turned(centres, fold), np.tile(radius * rng.uniform(0.15, 0.28, len(centres)), fold))
    level = rng.uniform(0.25, 0.5)

    def density(points: np.ndarray) -> np.ndarray:
        away = np.maximum(np.hypot(points[:, 0], points[:, 1]) / wide, np.abs(points[:, 2]) / half)
        return np.maximum(body(points), level * solid(1.5 - away))

    return density


def _hinged(rng: np.random.Generator, radius: float, conformation: np.random.Generator) -> Density:
    """Put two bodies of several domains beside each other, at an angle that differs between conformations."""
    bodies = []
    for side in (-1, 1):
        domains = int(rng.integers(2, 6))
        size = radius * rng.uniform(0.3, 0.45)
        centres = rng.normal(0, 0.5 * size, (domains, 3)) + np.array([side * 0.8 * size, 0, 0])
        bodies.append((centres, size * rng.uniform(0.4, 0.7, domains)))
    angle = np.deg2rad(conformation.normal(0, 35))
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    (still, sizes), (moved, others) = bodies
    return lobes(np.concatenate([still, moved @ turn.T]), np.concatenate([sizes, others]))


_DENSITIES: dict[str, Callable[[np.random.Generator, float], Density]] = {
    "globule": _globule,
    "shell": _shell,
    "barrel": lambda rng, radius: _rings(rng, radius, int(rng.integers(2, 7)), rng.uniform(0.6, 1.4)),
    "ring": lambda rng, radius: _rings(rng, radius, 1, 0.3),
    "rod": _rod,
    "membrane": _membrane,
}
