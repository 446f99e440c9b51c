"""What lies in the ice besides particles: carbon film, ice crystals and other dirt, filaments.

Each adds to two maps: `phase`, the phase shift in radians, that the lens turns into contrast, and `loss`, the logarithm
of the amplitude that thick matter takes away (scattered outside the aperture or inelastically). Both are positive for
more matter, float32 and changed in place. Sizes and strengths are set by eye after real micrographs.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cryokit.simulate.conditions import Conditions
from cryokit.simulate.density import clip_window
from cryokit.simulate.placement import Field, Floor, waves

_ROD_RADIUS, _ROD_HOLLOW = 75.0, 20.0  # Angstrom
_SHADOW = 0.006  # loss of amplitude in a crystal that hides what lies under it: a tenth of the largest
_EDGE = 12.0  # Angstrom over which the carbon film reaches its thickness


def carbon_distance(rng: np.random.Generator, field: Field) -> np.ndarray:
    """Return how far inside the hole of the carbon film each pixel lies; the film covers a part of the micrograph.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    field : Field
        Field that is simulated.

    Returns
    -------
    ndarray of float32, shape `field.padded`
        Pixels; negative on the carbon. A hole is 2 micrometres across, its edge a little ragged.
    """
    rows, columns = field.shape
    radius = 10000.0 / field.pixel_size
    direction = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(direction), np.sin(direction)
    # The film comes in from one side or corner, over 5 to 20 % of the width seen in that direction.
    width = abs(c) * columns + abs(s) * rows
    edge = width * (0.5 - rng.uniform(0.08, 0.22))
    padded_rows, padded_columns = field.padded
    x = np.arange(padded_columns, dtype=np.float32) - np.float32((columns - 1) / 2 + field.pad + (edge - radius) * c)
    y = np.arange(padded_rows, dtype=np.float32) - np.float32((rows - 1) / 2 + field.pad + (edge - radius) * s)
    distance = np.float32(radius) - np.hypot(x[None, :], y[:, None])
    # Ragged along the arc: a random curve by azimuth about the middle of the edge, near which azimuth is arc length.
    arc = np.float32(-s) * x[None, :] + np.float32(c) * y[:, None]
    curve = ndimage.gaussian_filter1d(rng.normal(size=1024), 15)
    curve *= 8.0 / field.pixel_size / curve.std()
    step = (rows + columns + 4 * field.pad) / 1000
    index = np.clip(arc / np.float32(step) + 512, 0, 1022)
    whole = index.astype(np.intp)
    return distance + (curve[whole] + (index - whole) * np.diff(curve, append=0)[whole]).astype(np.float32)


def add_carbon(
    phase: np.ndarray, loss: np.ndarray, distance: np.ndarray, rng: np.random.Generator, pixel_size: float
) -> None:
    """Add the carbon film, grainy and darker than the ice, where the `carbon_distance` is negative."""
    film = 1 / (1 + np.exp(np.clip(distance * np.float32(pixel_size / _EDGE * 4), -30, 30)))
    # Grain of an amorphous film: white, so as strong per pixel as the pixel is small.
    grain = rng.standard_normal(phase.shape, dtype=np.float32) * np.float32(0.35 / pixel_size)
    phase += film * (0.12 + grain)
    loss += 0.04 * film * (1 + 0.1 * waves(rng, phase.shape, 12))


def add_crystal(
    phase: np.ndarray, loss: np.ndarray, x: float, y: float, radius: float, rng: np.random.Generator, pixel_size: float
) -> None:
    """Add a dark blob: a crystal of ice or a drop of frozen ethane, of one to three merged lumps with a rough outline.

    `x` and `y` are its centre and `radius` that of the largest lump, in pixels.
    """
    reach = int(np.ceil(2.5 * radius)) + 3
    top, left = round(y) - reach, round(x) - reach
    window = clip_window(phase.shape, top, left, top + 2 * reach + 1, left + 2 * reach + 1)
    if window is None:
        return
    yy, xx = np.mgrid[window].astype(np.float32)
    thickness = np.zeros(yy.shape, np.float32)
    lumps = rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])
    way = rng.uniform(0, 2 * np.pi)
    for k in range(lumps):
        size = radius * (rng.uniform(0.55, 0.9) if k else 1)
        way += rng.normal(0, 0.6)
        dx, dy = (xx - x - k * radius * np.cos(way)) / size, (yy - y - k * radius * np.sin(way)) / size
        azimuth = np.arctan2(dy, dx)
        outline = 1 + sum(rng.normal(0, 0.12 / n) * np.cos(n * azimuth + rng.uniform(0, 6.3)) for n in (2, 3, 4, 5))
        lump = np.sqrt(np.clip(1 - (dx * dx + dy * dy) / outline**2, 0, None))
        thickness = np.maximum(thickness, lump * size / radius)
    angstrom = radius * pixel_size
    dense = rng.uniform(0.35, 1.0)
    texture = ndimage.gaussian_filter(rng.standard_normal(yy.shape, dtype=np.float32), 10.0 / pixel_size)
    texture /= max(float(texture.std()), 1e-6)
    # Saturates: what is thicker than some 100 A scatters so often that more of it changes little.
    depth = np.tanh(thickness * angstrom / 70) * dense
    phase[window] += depth * (0.08 + 0.03 * texture)
    loss[window] += 0.06 * depth


def add_debris(phase: np.ndarray, x: float, y: float, rng: np.random.Generator, pixel_size: float) -> None:
    """Add a scrap of protein at `x`, `y` (pixels): a few soft lumps some 30 A across."""
    for _ in range(rng.integers(2, 6)):
        sigma = rng.uniform(10, 18) / pixel_size
        px, py = rng.normal((x, y), 25 / pixel_size)
        reach = int(np.ceil(3.5 * sigma))
        row, column = round(py), round(px)
        window = clip_window(phase.shape, row - reach, column - reach, row + reach + 1, column + reach + 1)
        if window is not None:
            along_y, along_x = (
                np.exp(-0.5 * ((np.arange(part.start, part.stop) - centre) / sigma) ** 2)
                for part, centre in zip(window, (py, px), strict=True)
            )
            phase[window] += (rng.uniform(0.03, 0.09) * np.outer(along_y, along_x)).astype(np.float32)


@dataclass(frozen=True)
class Filament:
    """A long, slightly bent hollow rod, 150 A thick, such as tobacco mosaic virus.

    Attributes
    ----------
    x, y : float
        Middle, pixels of the micrograph.
    direction : float
        Direction of its axis there, radians from x towards y.
    half : float
        Half its length, pixels.
    bend : float
        Curvature: t pixels along the direction of its middle it lies ``bend * t**2`` off that direction.
    """

    x: float
    y: float
    direction: float
    half: float
    bend: float

    def discs(self, pixel_size: float) -> np.ndarray:
        """Return x, y and radius, in pixels, of discs that cover the rod; shape (n, 3)."""
        radius = _ROD_RADIUS / pixel_size
        t = np.linspace(-self.half, self.half, 2 + int(2 * self.half / radius))
        off = self.bend * t * t
        c, s = np.cos(self.direction), np.sin(self.direction)
        return np.column_stack([self.x + c * t - s * off, self.y + s * t + c * off, np.full(t.size, radius)])


def filaments(rng: np.random.Generator, field: Field, density: float) -> list[Filament]:
    """Draw rods, `density` per square micrometre of the micrograph."""
    rows, columns = field.shape
    rods = []
    for _ in range(rng.poisson(density * rows * columns * field.pixel_size**2 * 1e-8)):
        half = rng.uniform(500, 1500) / field.pixel_size
        x, y = rng.uniform((0, 0), (columns, rows))
        rods.append(Filament(x, y, rng.uniform(0, 2 * np.pi), half, rng.normal(0, 0.04) / half))
    return rods


def add_filament(phase: np.ndarray, loss: np.ndarray, rod: Filament, field: Field, rng: np.random.Generator) -> None:
    """Add a rod to the maps of a field."""
    pixel_size = field.pixel_size
    c, s = np.float32(np.cos(rod.direction)), np.float32(np.sin(rod.direction))
    yy = np.arange(phase.shape[0], dtype=np.float32)[:, None] - np.float32(rod.y + field.pad)
    xx = np.arange(phase.shape[1], dtype=np.float32)[None, :] - np.float32(rod.x + field.pad)
    along = xx * c + yy * s
    across = np.abs(yy * c - xx * s - np.float32(rod.bend) * along * along)
    rows, columns = np.nonzero((across < _ROD_RADIUS / pixel_size) & (np.abs(along) < rod.half))
    if not rows.size:
        return
    off = across[rows, columns] * np.float32(pixel_size)
    path = np.sqrt(np.clip(_ROD_RADIUS**2 - off**2, 0, None)) - np.sqrt(np.clip(_ROD_HOLLOW**2 - off**2, 0, None))
    path *= np.clip((rod.half - np.abs(along[rows, columns])) * pixel_size / 10, 0, 1) / _ROD_RADIUS
    grain = 1 + rng.standard_normal(rows.size, dtype=np.float32) * np.float32(1 / pixel_size)
    phase[rows, columns] += 0.11 * path * grain
    loss[rows, columns] += 0.01 * path


def surroundings(
    rng: np.random.Generator,
    field: Field,
    conditions: Conditions,
    floor: Floor,
    distance: np.ndarray | None,
    rods: list[Filament],
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the maps of everything but particles, or None if there is nothing.

    Parameters
    ----------
    rng, field
        As for `carbon_distance`.
    conditions : Conditions
        Crystals per square micrometre, and their size; there is twice as much debris.
    floor : Floor
        Places that are free: crystals lie beside the particles, where there is room, or not at all; debris lies
        anywhere.
    distance : ndarray or None
        What `carbon_distance` returned, if there is carbon.
    rods : list of Filament
        Filaments to add.

    Returns
    -------
    phase, loss : ndarray of float32, shape `field.padded`
        What the specimen adds.
    hidden : ndarray of bool, shape `field.padded`
        Carbon film and crystals: pixels without usable ice.
    """
    shape, pad, pixel_size = field.padded, field.pad, field.pixel_size
    area = shape[0] * shape[1] * pixel_size**2 * 1e-8
    crystals, scraps = (rng.poisson(share * conditions.contamination * area) for share in (1, 2))
    if not (crystals or scraps or rods or distance is not None):
        return None
    phase, loss = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    hidden = np.zeros(shape, bool)
    for _ in range(crystals):
        radius = float(np.clip(rng.lognormal(np.log(62), 0.3), 35, 130)) * (conditions.crystal_size / 124) / pixel_size
        place = floor.find(np.array([[0, 0, radius]]))
        if place is not None:
            floor.add(np.array([[*place, radius]]))
            add_crystal(phase, loss, place[0] + pad, place[1] + pad, radius, rng, pixel_size)
    np.greater(loss, _SHADOW, out=hidden)
    for _ in range(scraps):
        x, y = rng.uniform((0, 0), (shape[1], shape[0]))
        add_debris(phase, x, y, rng, pixel_size)
    for rod in rods:
        add_filament(phase, loss, rod, field, rng)
    if distance is not None:
        add_carbon(phase, loss, distance, rng, pixel_size)
        hidden |= distance < 0
    return phase, loss, hidden
