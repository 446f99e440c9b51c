"""Whole micrographs: particles placed, projected, imaged and recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np
import pandas as pd
from scipy import fft, ndimage
from scipy.spatial import cKDTree

from cryokit.coordinates import IGNORE, table
from cryokit.micrograph import Micrograph
from cryokit.simulate import specimen
from cryokit.simulate.conditions import CONDITIONS, Conditions, SimulationError
from cryokit.simulate.ctf import aberration, ctf, electron_wavelength, envelope, interaction_constant
from cryokit.simulate.density import MODELS, PROTEINS, Cloud, Form, Protein, atom_transfer, rotation_matrix, splat
from cryokit.simulate.placement import Floor, waves

SNR_RESOLUTION = 20.0  # Angstrom: the SNR is that of spatial frequencies below one over this
OVERLAP = 0.85  # centres nearer than this times the sum of the radii: flagged
SEVERE_OVERLAP = 0.6  # nearer than this: nobody would take the particle, and it is labelled `ignore`
EDGE = 0.25  # centres within this times the diameter of the border are labelled `ignore`
TRUTH_COLUMNS = ("phi", "theta", "psi", "form", "overlap", "broken")
_SMALLEST = 32  # pixels a side
_CONTRAST_SPREAD = 0.08  # standard deviation from particle to particle: ice thickness, height, damage
_MOTTLE = 60.0  # Angstrom: size of the slow grain
_DARKEST = 0.02  # of the empty ice; where a strong object would make the linear image negative
_THREADS = 2  # of the Fourier transforms; does not change the result


class Parts:
    """A simulated micrograph and what it is made of; `micrograph.data` is `signal + background + noise`.

    Attributes
    ----------
    micrograph : Micrograph
    truth : pandas.DataFrame
        See `simulate`.
    conditions : Conditions
        As used: `defocus` is what was drawn, `contrast` what gave the asked SNR.
    signal : ndarray, shape (rows, columns), float32
        What the particles alone add to the empty ice, without noise, electrons per pixel.
    background : ndarray, shape (rows, columns), float32
        Ice, carbon and contamination, without noise, electrons per pixel.
    noise : ndarray, shape (rows, columns), float32
        Shot noise and grain of the ice, electrons per pixel.
    snr : float
        As `simulate` defines it, measured on `signal` and `noise`; NaN without particles.
    """

    def __init__(
        self,
        micrograph: Micrograph,
        truth: pd.DataFrame,
        conditions: Conditions,
        signal_rate: np.ndarray,
        background_rate: np.ndarray,
    ) -> None:
        self.micrograph, self.truth, self.conditions = micrograph, truth, conditions
        self._signal_rate, self._background_rate = signal_rate, background_rate

    @cached_property
    def signal(self) -> np.ndarray:  # noqa: D102
        return record(self._signal_rate, self.conditions.mtf)

    @cached_property
    def background(self) -> np.ndarray:  # noqa: D102
        return record(self._background_rate, self.conditions.mtf)

    @cached_property
    def noise(self) -> np.ndarray:  # noqa: D102
        return self.micrograph.data - self.signal - self.background

    @cached_property
    def snr(self) -> float:  # noqa: D102
        if not len(self.truth):
            return np.nan
        pixel = self.conditions.pixel_size
        discs = _disc_mask(self.signal.shape, self.truth)
        signal = np.var(_low_pass(self.signal, pixel)[discs], dtype=float)
        return float(signal / np.var(_low_pass(self.noise, pixel), dtype=float))


@dataclass
class _Particle:
    form: Form
    x: float
    y: float
    angles: tuple[float, float, float]
    inside: bool
    broken: bool


def simulate(
    protein: str | Protein,
    *,
    shape: tuple[int, int] = (2048, 2048),
    pixel_size: float | None = None,
    n_particles: int | None = None,
    snr: float | None = None,
    defocus: float | None = None,
    seed: int | np.random.SeedSequence = 0,
    carbon: bool | None = None,
    name: str | None = None,
    conditions: Conditions | None = None,
    **overrides: float,
) -> tuple[Micrograph, pd.DataFrame]:
    """Simulate one micrograph whose truth is known.

    Parameters
    ----------
    protein : str or Protein
        One of `PROTEINS`, or another one (`cryokit.simulate.random_protein`) together with `conditions`.
    shape : tuple of (int, int)
        Rows and columns; 32 or more each.
    pixel_size : float, optional
        Angstrom; the protein's own of `CONDITIONS` when not given. Another one is another magnification: the dose per
        square Angstrom stays, and the detector's MTF belongs to the new pixels.
    n_particles : int, optional
        Rows of the truth: particles whose centre lies on the micrograph, the broken, the overlapping and tubes
        included. When not given, the usual density times the area. Others are cut off by the border, their centres
        outside, and are not in the truth.
    snr : float, optional
        Signal-to-noise ratio, to be reached by scaling the particles' contrast. It is the variance of the noise-free
        particles over the pixels of the discs of all particles not labelled ``ignore``, divided by the variance over
        the micrograph of the noise (shot noise and ice grain), both as recorded and both low-passed at `SNR_RESOLUTION`
        (20 Angstrom, or Nyquist where that is coarser), so that it does not depend on the pixel size. When not given,
        it follows from the dose and the physical contrast: more dose, less noise.
    defocus : float, optional
        Mean underfocus, micrometres; negative is overfocus. Drawn from the conditions' range when not given.
    seed : int or numpy.random.SeedSequence
        Same seed, same bytes.
    carbon : bool, optional
        Whether the edge of the carbon film shows; drawn when not given. No particles are put on it.
    name : str, optional
        Of the micrograph; ``<protein>_<seed>`` when not given.
    conditions : Conditions, optional
        Instead of the protein's own.
    **overrides
        Any other field of `Conditions`, such as `dose`, `contamination`, `ice_gradient`, `overlap_fraction`,
        `broken_fraction`, `clustering`.

    Returns
    -------
    Micrograph
        Detected electrons per pixel, float32, particles dark when underfocused, as recorded: nothing is normalised.
    pandas.DataFrame
        The truth: a table of picks (`cryokit.coordinates.table`) with the columns `TRUTH_COLUMNS` after its own:
        ``phi``, ``theta``, ``psi`` (RELION's Euler angles rot, tilt, psi, degrees), ``form`` (such as ``didecamer``),
        ``overlap`` (the discs of two particles overlap: their centres are closer than `OVERLAP` times the sum of their
        radii) and ``broken``. The view is ``ignore`` for what an expert would not take: tubes, broken particles,
        centres closer together than `SEVERE_OVERLAP` times the sum of the radii, and particles whose centre lies
        within `EDGE` diameters of the border. x and y are those of the whole particle's centre of mass.

    Raises
    ------
    SimulationError
        For an unknown protein, impossible conditions, or more particles than there is room for.

    Examples
    --------
    >>> micrograph, truth = simulate("apoferritin", shape=(256, 256), n_particles=4, seed=1)
    >>> micrograph.data.shape, len(truth), round(truth.diameter.max())
    ((256, 256), 4, 76)
    """
    parts = simulate_parts(
        protein,
        shape=shape,
        pixel_size=pixel_size,
        n_particles=n_particles,
        snr=snr,
        defocus=defocus,
        seed=seed,
        carbon=carbon,
        name=name,
        conditions=conditions,
        **overrides,
    )
    return parts.micrograph, parts.truth


def simulate_set(
    protein: str | Protein, n: int, *, seed: int = 0, name: str | None = None, **settings: object
) -> Iterator[tuple[Micrograph, pd.DataFrame]]:
    """Simulate `n` micrographs that differ in everything drawn; a longer set begins like a shorter one.

    Parameters
    ----------
    protein : str or Protein
    n : int
    seed : int
    name : str, optional
        The micrographs are called ``<name>_001`` and so on; the protein's name when not given.
    **settings
        Passed to `simulate`.

    Yields
    ------
    tuple of (Micrograph, pandas.DataFrame)
    """
    for index, child in enumerate(np.random.SeedSequence(seed).spawn(n), start=1):
        yield simulate(protein, seed=child, name=f"{name or _name(protein)}_{index:03d}", **settings)


def simulate_parts(
    protein: str | Protein,
    *,
    shape: tuple[int, int] = (2048, 2048),
    pixel_size: float | None = None,
    n_particles: int | None = None,
    snr: float | None = None,
    defocus: float | None = None,
    seed: int | np.random.SeedSequence = 0,
    carbon: bool | None = None,
    name: str | None = None,
    conditions: Conditions | None = None,
    **overrides: float,
) -> Parts:
    """Simulate one micrograph and return signal, background and noise as well; parameters as in `simulate`."""
    conditions = _conditions(protein, conditions, pixel_size, defocus, overrides)
    rows, columns = shape = _shape(shape)
    if snr is not None and not snr > 0:
        raise SimulationError(f"snr is {snr}; it has to be above zero")
    pixel = conditions.pixel_size
    if n_particles is None:
        n_particles = round(conditions.density * rows * columns * pixel**2 * 1e-8)
    if n_particles < 0:
        raise SimulationError(f"n_particles is {n_particles}; it has to be zero or more")
    if name is None:
        name = f"{_name(protein)}_{seed}" if isinstance(seed, Integral) else _name(protein)

    # One stream of random numbers per stage, so that more dirt, say, does not move the particles.
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Not spawn(): that would give other streams when the same sequence is used twice.
    for_optics, for_film, for_particles, for_dirt, for_ice, for_shots = (
        np.random.default_rng(np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, stage)))
        for stage in range(6)
    )

    mean_defocus = for_optics.uniform(*conditions.defocus)
    angle = for_optics.uniform(0, 180)
    conditions = dataclasses.replace(conditions, defocus=(mean_defocus, mean_defocus))

    # What the defocus spreads in from beyond the border has to be there: a wider field is simulated, and cut.
    spread = electron_wavelength(conditions.voltage) * abs(mean_defocus) * 1e4 * min(1 / 12, 0.5 / pixel) / pixel
    pad = int(np.clip(spread, 16, 160))
    field = tuple(fft.next_fast_len(n + 2 * pad, real=True) for n in shape)
    inner = (slice(pad, pad + rows), slice(pad, pad + columns))

    has_carbon = for_film.random() < conditions.carbon if carbon is None else carbon
    distance = specimen.carbon_distance(for_film, shape, field, pixel, pad) if has_carbon else None
    rods = specimen.filaments(for_film, shape, conditions.filaments, pixel)
    floor, particles = _place(protein, shape, n_particles, conditions, for_particles, distance, pad, rods)
    truth = _truth(particles, name, shape, pixel)

    potential = np.zeros(field, np.float32)
    for particle in particles:
        cloud = particle.form.cloud()
        if particle.broken:
            cloud = _broken(cloud, for_particles)
        factor = conditions.contrast * for_particles.normal(1, _CONTRAST_SPREAD)
        splat(potential, cloud, rotation_matrix(*particle.angles), particle.x + pad, particle.y + pad, pixel, factor)

    fy = fft.fftfreq(field[0], pixel).astype(np.float32)[:, None]
    fx = fft.rfftfreq(field[1], pixel).astype(np.float32)[None, :]
    lens = dict(
        voltage=conditions.voltage,
        cs=conditions.cs,
        defocus_u=mean_defocus + conditions.astigmatism / 2,
        defocus_v=mean_defocus - conditions.astigmatism / 2,
        angle=angle,
    )
    transfer = ctf(fx, fy, **lens, amplitude_contrast=conditions.amplitude_contrast, b_factor=conditions.b_factor)

    def image(plane: np.ndarray, *factors: np.ndarray) -> np.ndarray:
        spectrum = fft.rfft2(plane, workers=_THREADS)
        for factor in factors:
            spectrum *= factor
        return fft.irfft2(spectrum, field, workers=_THREADS)[inner]

    sigma = _forms(protein)[0].cloud().sigma
    strength = 2 * interaction_constant(conditions.voltage)
    contrast = image(potential, strength * transfer, atom_transfer(fx, fy, pixel, sigma))

    # Carbon and dirt take away more amplitude than protein does: phase and loss go through the lens each its own way.
    scenery = np.ones(shape, np.float32)
    dirty = specimen.surroundings(for_dirt, field, shape, pad, pixel, conditions.contamination, floor, distance, rods)
    if dirty is not None:
        phase, loss = dirty
        chi, damping = aberration(fx, fy, **lens), envelope(fx, fy, conditions.b_factor)
        scenery -= image(phase, 2 * np.sin(chi) * damping) + image(loss, 2 * np.cos(chi) * damping)

    # Grain of the ice: white at the specimen, so the CTF colours it; its power is relative to that of the shots.
    empty = conditions.dose * pixel**2
    grain_power = conditions.ice * transfer**2 + conditions.mottle * np.exp(-(_MOTTLE**2) * (fx * fx + fy * fy))
    grain = for_ice.standard_normal(field, dtype=np.float32) * np.float32(empty**-0.5)
    grain = image(grain, np.sqrt(grain_power))

    light = np.float32(empty) * (1 + np.float32(conditions.ice_gradient) * waves(for_ice, shape, 3))
    if snr is not None and len(truth):
        seen = _low_pass(record(light * contrast, conditions.mtf), pixel)
        signal = np.var(seen[_disc_mask(shape, truth)], dtype=float)
        passed = _mtf(fx * pixel, fy * pixel, conditions.mtf) ** 2 * _band(fx, fy, pixel)
        shots = float((light * scenery).mean()) * _mean_of_half_plane(passed, field[1])
        grains = float((light**2).mean()) / empty * _mean_of_half_plane(passed * grain_power, field[1])
        gain = float(np.sqrt(snr * (shots + grains) / signal))
        contrast *= np.float32(gain)
        conditions = dataclasses.replace(conditions, contrast=conditions.contrast * gain)

    rate = light * np.maximum(scenery + contrast + grain, _DARKEST)
    data = record(for_shots.poisson(rate).astype(np.float32), conditions.mtf)
    micrograph = Micrograph(data=data, pixel_size=float(pixel), name=name, path=None)
    return Parts(micrograph, truth, conditions, light * contrast, light * scenery)


def record(rate: np.ndarray, mtf: float) -> np.ndarray:
    """Return what a detector reads out of `rate`.

    Parameters
    ----------
    rate : ndarray, shape (rows, columns), float32
        Electrons per pixel.
    mtf : float
        Its Gaussian modulation transfer at Nyquist, above 0 to 1.

    Returns
    -------
    ndarray, shape (rows, columns), float32
    """
    if mtf == 1:
        return rate.astype(np.float32)
    reach = 8
    f = np.fft.rfftfreq(64)
    kernel = np.roll(np.fft.irfft(_mtf(f, np.zeros(1), mtf)), reach)[: 2 * reach + 1]
    kernel /= kernel.sum()
    # Separable as a Gaussian is, and mirrored at the border, where a Fourier filter would wrap around.
    return ndimage.correlate1d(ndimage.correlate1d(rate, kernel, axis=0), kernel, axis=1)


def _mtf(fx: np.ndarray, fy: np.ndarray, mtf: float) -> np.ndarray:
    """Modulation transfer at frequencies in 1 / pixel."""
    return np.exp(4 * np.log(mtf) * (fx * fx + fy * fy))


def _band(fx: np.ndarray, fy: np.ndarray, pixel_size: float) -> np.ndarray:
    return fx * fx + fy * fy <= min(1 / SNR_RESOLUTION, 0.5 / pixel_size) ** 2


def _low_pass(data: np.ndarray, pixel_size: float) -> np.ndarray:
    fy = fft.fftfreq(data.shape[0], pixel_size)[:, None]
    fx = fft.rfftfreq(data.shape[1], pixel_size)[None, :]
    spectrum = fft.rfft2(data, workers=_THREADS) * _band(fx, fy, pixel_size)
    return fft.irfft2(spectrum, data.shape, workers=_THREADS)


def _mean_of_half_plane(values: np.ndarray, columns: int) -> float:
    """Mean over the whole plane of frequencies, given the half that a real transform of `columns` columns has."""
    weights = np.full(values.shape[1], 2.0)
    weights[0] = 1
    if columns % 2 == 0:
        weights[-1] = 1
    return float((values.mean(axis=0, dtype=float) * weights).sum() / columns)


def _disc_mask(shape: tuple[int, int], truth: pd.DataFrame) -> np.ndarray:
    """Pixels of the particles not labelled `ignore` (of all, where all are)."""
    wanted = truth[truth.view != IGNORE]
    mask = np.zeros(shape, dtype=bool)
    for x, y, diameter in (wanted if len(wanted) else truth)[["x", "y", "diameter"]].to_numpy():
        radius = diameter / 2
        r0, r1 = max(int(y - radius), 0), min(int(y + radius) + 2, shape[0])
        c0, c1 = max(int(x - radius), 0), min(int(x + radius) + 2, shape[1])
        mask[r0:r1, c0:c1] |= np.hypot(np.arange(c0, c1)[None, :] - x, np.arange(r0, r1)[:, None] - y) <= radius
    return mask


def _name(protein: str | Protein) -> str:
    return protein.name if isinstance(protein, Protein) else protein


def _forms(protein: str | Protein) -> tuple[Form, ...]:
    return protein.forms if isinstance(protein, Protein) else MODELS[protein]


def _conditions(
    protein: str | Protein,
    conditions: Conditions | None,
    pixel_size: float | None,
    defocus: float | None,
    overrides: dict,
) -> Conditions:
    if isinstance(protein, Protein):
        if conditions is None:
            raise SimulationError(f"{protein.name} has no usual conditions; give `conditions`")
    elif protein not in MODELS:
        raise SimulationError(f"no protein {protein!r}; there are {', '.join(PROTEINS)}")
    if pixel_size is not None:
        overrides = {**overrides, "pixel_size": pixel_size}
    if defocus is not None:
        overrides = {**overrides, "defocus": (defocus, defocus)}
    known = [field.name for field in dataclasses.fields(Conditions)]
    unknown = [key for key in overrides if key not in known]
    if unknown:
        raise SimulationError(f"no setting {', '.join(unknown)}; there are {', '.join(known)}")
    return dataclasses.replace(conditions or CONDITIONS[protein], **overrides)


def _shape(shape: tuple[int, int]) -> tuple[int, int]:
    rows, columns = (int(n) for n in shape)
    if min(rows, columns) < _SMALLEST:
        raise SimulationError(f"shape {rows} x {columns} is too small; {_SMALLEST} pixels a side at least")
    return rows, columns


def _angles(form: Form, rng: np.random.Generator) -> tuple[float, float, float]:
    phi, psi = rng.uniform(0, 360, 2)
    theta = np.degrees(np.arccos(rng.uniform(-1, 1))) if form.tilt is None else abs(rng.normal(*form.tilt))
    return float(phi), float(theta), float(psi)


def _discs(form: Form, angles: tuple[float, float, float], pixel_size: float) -> np.ndarray:
    """Discs (x, y, radius in pixels, about the centre) that cover a particle: one, or for tubes several in a row."""
    radius = form.diameter / 2
    count = max(1, round(form.length / form.diameter * 1.3))
    axis = rotation_matrix(*angles)[:2, 2]
    along = np.linspace(-0.5, 0.5, count) * max(form.length - form.diameter, 0) if count > 1 else np.zeros(1)
    return np.column_stack([np.outer(along, axis), np.full(count, radius)]) / pixel_size


def _at(discs: np.ndarray, x: float, y: float) -> np.ndarray:
    return discs + np.array([x, y, 0.0])


def _place(
    protein: str | Protein,
    shape: tuple[int, int],
    n_particles: int,
    conditions: Conditions,
    rng: np.random.Generator,
    distance: np.ndarray | None,
    pad: int,
    rods: list[specimen.Filament],
) -> tuple[Floor, list[_Particle]]:
    """Draw the particles: `n_particles` with their centre on the micrograph, and others around it."""
    rows, columns = shape
    pixel = conditions.pixel_size
    forms = _forms(protein)
    radii = [form.diameter / 2 / pixel for form in forms]
    floor = Floor(shape, max(radii), max(1.0, min(radii) / 10), rng, conditions.clustering)
    if distance is not None:
        i = np.clip(np.round(floor.rows).astype(int) + pad, 0, distance.shape[0] - 1)
        j = np.clip(np.round(floor.columns).astype(int) + pad, 0, distance.shape[1] - 1)
        floor.film = distance[np.ix_(i, j)]
    for rod in rods:
        floor.add(rod.discs(pixel))

    shares = np.array([form.share for form in forms])
    drawn = [forms[k] for k in rng.choice(len(forms), size=n_particles, p=shares / shares.sum())]
    drawn.sort(key=lambda form: -form.length)  # the long ones first, while there is room
    tubes = sum(form.length > 0 for form in drawn)
    overlapping = min(round(conditions.overlap_fraction * n_particles), n_particles - max(tubes, 1))
    free = n_particles - max(overlapping, 0)
    broken = set(rng.choice(n_particles, size=round(conditions.broken_fraction * n_particles), replace=False))

    particles: list[_Particle] = []
    for form in drawn[:free]:
        angles = _angles(form, rng)
        discs = _discs(form, angles, pixel)
        place = floor.find(discs, inside=True)
        if place is None:
            raise SimulationError(
                f"only {len(particles)} of {n_particles} particles fit on {rows} x {columns} pixels; "
                "ask for fewer or a larger shape"
            )
        floor.add(_at(discs, *place))
        particles.append(_Particle(form, *place, angles, True, len(particles) in broken))
    hosts = [particle for particle in particles if not particle.form.length]
    for form in drawn[free:]:
        angles = _angles(form, rng)
        x, y = _on_top(hosts, form, shape, pixel, rng) if hosts else rng.uniform((0, 0), (columns - 1, rows - 1))
        floor.add(_at(_discs(form, angles, pixel), x, y))
        particles.append(_Particle(form, float(x), float(y), angles, True, len(particles) in broken))
    # Around the micrograph they lie as densely as on it; some reach into it.
    for _ in range(rng.poisson(n_particles * np.mean(~floor.inside) / np.mean(floor.inside))):
        form = forms[rng.choice(len(forms), p=shares / shares.sum())]
        angles = _angles(form, rng)
        discs = _discs(form, angles, pixel)
        place = floor.find(discs, inside=False)
        if place is None:
            break
        floor.add(_at(discs, *place))
        particles.append(_Particle(form, *place, angles, False, False))
    return floor, particles


def _on_top(
    hosts: list[_Particle], form: Form, shape: tuple[int, int], pixel_size: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Draw a place that overlaps one of `hosts`, itself on the micrograph."""
    while True:
        host = hosts[rng.integers(len(hosts))]
        apart = rng.uniform(0.35, OVERLAP) * (host.form.diameter + form.diameter) / 2 / pixel_size
        direction = rng.uniform(0, 2 * np.pi)
        x, y = host.x + apart * np.cos(direction), host.y + apart * np.sin(direction)
        # Towards the middle where the border is near, so that this ends.
        x = x if 0 <= x <= shape[1] - 1 else 2 * host.x - x
        y = y if 0 <= y <= shape[0] - 1 else 2 * host.y - y
        if 0 <= x <= shape[1] - 1 and 0 <= y <= shape[0] - 1:
            return x, y
        if apart > min(shape) / 2:  # a micrograph not much larger than the particle
            return tuple(rng.uniform((0, 0), (shape[1] - 1, shape[0] - 1)))


def _truth(particles: list[_Particle], name: str, shape: tuple[int, int], pixel_size: float) -> pd.DataFrame:
    """Table of the particles whose centre is on the micrograph, row by row of it."""
    discs = [_at(_discs(p.form, p.angles, pixel_size), p.x, p.y) for p in particles]
    closeness = _closeness(discs)
    view = [
        IGNORE if p.broken or closest < SEVERE_OVERLAP or _at_border(p, shape, pixel_size) else p.form.view
        for p, closest in zip(particles, closeness, strict=True)
    ]
    truth = table(
        micrograph=name,
        x=[p.x for p in particles],
        y=[p.y for p in particles],
        diameter=[max(p.form.diameter, p.form.length) / pixel_size for p in particles],
        view=view,
    )
    for k, column in enumerate(TRUTH_COLUMNS[:3]):
        truth[column] = np.array([p.angles[k] for p in particles], dtype=float)
    truth["form"] = pd.Series([p.form.name for p in particles], dtype=object)
    truth["overlap"] = np.array(closeness) < OVERLAP
    truth["broken"] = np.array([p.broken for p in particles], dtype=bool)
    inside = np.array([p.inside for p in particles], dtype=bool)
    return truth[inside].sort_values(["y", "x"], ignore_index=True)


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


def _at_border(particle: _Particle, shape: tuple[int, int], pixel_size: float) -> bool:
    margin = EDGE * particle.form.diameter / pixel_size
    x, y = particle.x, particle.y
    return not (margin <= x <= shape[1] - 1 - margin and margin <= y <= shape[0] - 1 - margin)


def _broken(cloud: Cloud, rng: np.random.Generator) -> Cloud:
    """Return what is left of a particle beyond a random plane near its middle."""
    normal = rng.normal(size=3)
    height = cloud.points @ (normal / np.linalg.norm(normal)).astype(np.float32)
    return cloud.kept(height > np.quantile(height, rng.uniform(0.3, 0.6)))
