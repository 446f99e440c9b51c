"""Whole micrographs: particles placed, projected, imaged and recorded."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np
import pandas as pd
from scipy import fft, ndimage

from cryokit._util.validation import check_choice, check_number
from cryokit.coordinates.label_pictures import disc_mask
from cryokit.coordinates.picks import IGNORE
from cryokit.errors import ArgumentError
from cryokit.micrograph import Micrograph
from cryokit.simulate import specimen
from cryokit.simulate.artefacts import Artefacts
from cryokit.simulate.conditions import CONDITIONS, Conditions
from cryokit.simulate.ctf import aberration, ctf, electron_wavelength, envelope, interaction_constant
from cryokit.simulate.density import Protein, atom_transfer, rotation_matrix, splat
from cryokit.simulate.placement import Field, waves
from cryokit.simulate.population import place_particles, truth_table
from cryokit.simulate.proteins import MODELS

SNR_RESOLUTION = 20.0  # Angstrom: the SNR is that of spatial frequencies below one over this
_SMALLEST = 32  # pixels a side
_CONTRAST_SPREAD = 0.08  # standard deviation from particle to particle: ice thickness, height, damage
_MOTTLE = 60.0  # Angstrom: size of the slow grain
_DARKEST = 0.02  # of the empty ice; where a strong object would make the linear image negative
_THREADS = 2  # of the Fourier transforms; does not change the result


@dataclass(frozen=True, eq=False)
class Parts:
    """A simulated micrograph and its parts; ``micrograph.data`` is ``signal + background + noise``.

    Attributes
    ----------
    micrograph : Micrograph
        Detected electrons per pixel.
    truth : pandas.DataFrame
        Particles, see `simulate_parts`.
    conditions : Conditions
        Conditions as used: `defocus` is what was drawn, `contrast` what gave the SNR asked for.
    unusable : ndarray of bool, shape (rows, columns)
        Pixels without usable ice: carbon, crystals, and all artefacts. Filaments and debris are not among them.
    signal_rate, background_rate : ndarray of float32, shape (rows, columns)
        `signal` and `background` before the detector.
    """

    micrograph: Micrograph
    truth: pd.DataFrame
    conditions: Conditions
    unusable: np.ndarray
    signal_rate: np.ndarray
    background_rate: np.ndarray

    @cached_property
    def signal(self) -> np.ndarray:
        """Electrons per pixel that the particles alone add to the empty ice, without noise."""
        return record(self.signal_rate, self.conditions.mtf)

    @cached_property
    def background(self) -> np.ndarray:
        """Electrons per pixel of ice, carbon and contamination, without noise."""
        return record(self.background_rate, self.conditions.mtf)

    @cached_property
    def noise(self) -> np.ndarray:
        """Shot noise and grain of the ice, electrons per pixel."""
        return self.micrograph.data - self.signal - self.background

    @cached_property
    def snr(self) -> float:
        """Signal-to-noise ratio of `signal` and `noise`, as `simulate_parts` defines it; NaN without particles."""
        if not len(self.truth):
            return np.nan
        pixel = self.conditions.pixel_size
        noise = float(np.var(_low_pass(self.noise, pixel), dtype=float))
        return _signal_variance(self.signal, self.truth, pixel) / noise


def simulate(protein: str | Protein, **settings) -> tuple[Micrograph, pd.DataFrame]:
    """Simulate one micrograph whose truth is known.

    Parameters
    ----------
    protein : str or Protein
        One of `PROTEINS`, or another one together with `conditions`.
    **settings
        Keyword arguments of `simulate_parts`: `shape`, `pixel_size`, `n_particles`, `snr`, `defocus`, `seed`, `carbon`,
        `name`, `conditions`, and any field of `Conditions`.

    Returns
    -------
    micrograph : Micrograph
        Detected electrons per pixel, float32, particles dark when underfocused, as recorded: nothing is normalised.
    truth : pandas.DataFrame
        Table of picks (`cryokit.coordinates.picks`) with the columns `TRUTH_COLUMNS` after its own, see
        `simulate_parts`.

    Raises
    ------
    ArgumentError, SimulationError
        As `simulate_parts`.

    Examples
    --------
    >>> micrograph, truth = simulate("apoferritin", shape=(256, 256), n_particles=4, seed=1)
    >>> micrograph.data.shape, len(truth), round(truth.diameter.max())
    ((256, 256), 4, 76)
    """
    parts = simulate_parts(protein, **settings)
    return parts.micrograph, parts.truth


def simulate_set(
    protein: str | Protein, n: int, *, seed: int = 0, name: str | None = None, **settings
) -> Iterator[tuple[Micrograph, pd.DataFrame]]:
    """Simulate micrographs that differ in everything drawn; a longer set begins like a shorter one.

    Parameters
    ----------
    protein : str or Protein
        As for `simulate`.
    n : int
        Number of micrographs.
    seed : int
        Random seed.
    name : str, optional
        Beginning of the micrographs' names, ``<name>_001`` and so on; by default that of the protein.
    **settings
        Keyword arguments of `simulate_parts`.

    Yields
    ------
    tuple of (Micrograph, pandas.DataFrame)
        What `simulate` returns.
    """
    for parts in simulate_set_parts(protein, n, seed=seed, name=name, **settings):
        yield parts.micrograph, parts.truth


def simulate_set_parts(
    protein: str | Protein, n: int, *, seed: int = 0, name: str | None = None, **settings
) -> Iterator[Parts]:
    """Simulate the same micrographs as `simulate_set`, and yield what `simulate_parts` returns."""
    for index, child in enumerate(np.random.SeedSequence(seed).spawn(n), start=1):
        yield simulate_parts(protein, seed=child, name=f"{name or _name(protein)}_{index:03d}", **settings)


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
    """Simulate one micrograph and return its signal, background and noise as well.

    Parameters
    ----------
    protein : str or Protein
        One of `PROTEINS`, or another one (`cryokit.simulate.random_protein`) together with `conditions`.
    shape : tuple of int
        Rows and columns, 32 or more each.
    pixel_size : float, optional
        Pixel size in Angstrom; by default that of the protein's `CONDITIONS`. Another one is another magnification: the
        dose per square Angstrom stays, and the detector's MTF belongs to the new pixels.
    n_particles : int, optional
        Rows of the truth: particles whose centre lies on the micrograph, the broken, the overlapping and tubes
        included; by default the usual density times the area. Others are cut off by the border, their centres outside,
        and are not in the truth.
    snr : float, optional
        Signal-to-noise ratio, reached by scaling the contrast of the particles. It is the variance of the noise-free
        particles over the pixels of the discs of all particles not labelled ``ignore``, divided by the variance over
        the micrograph of the noise (shot noise and ice grain), both as recorded and both low-passed at `SNR_RESOLUTION`
        (20 Angstrom, or Nyquist where that is coarser), so that it does not depend on the pixel size. By default it
        follows from the dose and the physical contrast: more dose, less noise.
    defocus : float, optional
        Mean underfocus in micrometres, negative for overfocus; by default drawn from the range of the conditions.
    seed : int or numpy.random.SeedSequence
        Random seed; the same seed gives the same bytes.
    carbon : bool, optional
        Whether the edge of the carbon film shows; drawn by default. No particles are put on it.
    name : str, optional
        Name of the micrograph; ``<protein>_<seed>`` by default.
    conditions : Conditions, optional
        Imaging conditions; those of the protein by default.
    **overrides
        Other fields of `Conditions`, such as `dose`, `contamination`, `ice_gradient`, `overlap_fraction`,
        `broken_fraction`, `clustering`.

    Returns
    -------
    Parts
        Micrograph, truth and parts. The truth is a table of picks (`cryokit.coordinates.picks`) with the columns
        `TRUTH_COLUMNS` after its own: ``phi``, ``theta``, ``psi`` (RELION's Euler angles rot, tilt, psi, degrees),
        ``form`` (such as ``didecamer``), ``overlap`` (the discs of two particles overlap: their centres are closer than
        0.85 times the sum of their radii) and ``broken``. The view is ``ignore`` for what an expert would not take:
        tubes, broken particles, centres closer together than 0.6 times the sum of the radii, and particles whose
        centre lies within 0.25 diameters of the border. x and y are those of the whole particle's centre of mass.

    Raises
    ------
    ArgumentError
        If the protein or a setting is unknown or out of range.
    SimulationError
        If there is no room for so many particles.
    """
    conditions = _conditions(protein, conditions, pixel_size, defocus, overrides)
    rows, columns = shape = tuple(map(int, shape))
    check_number("shape", min(shape), _SMALLEST)
    if snr is not None:
        check_number("snr", snr, 0, above=True)
    pixel = conditions.pixel_size
    if n_particles is None:
        n_particles = round(conditions.density * rows * columns * pixel**2 * 1e-8)
    check_number("n_particles", n_particles, 0, whole=True)
    if name is None:
        name = f"{_name(protein)}_{seed}" if isinstance(seed, Integral) else _name(protein)

    # One stream of random numbers per stage, so that more dirt, say, does not move the particles.
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Not spawn(): that would give other streams when the same sequence is used twice.
    for_optics, for_film, for_particles, for_dirt, for_ice, for_shots, for_artefacts = (
        np.random.default_rng(np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, stage)))
        for stage in range(7)
    )

    mean_defocus = for_optics.uniform(*conditions.defocus)
    angle = for_optics.uniform(0, 180)
    conditions = dataclasses.replace(conditions, defocus=(mean_defocus, mean_defocus))

    # What the defocus spreads in from beyond the border has to be there: a wider field is simulated, and cut.
    spread = electron_wavelength(conditions.voltage) * abs(mean_defocus) * 1e4 * min(1 / 12, 0.5 / pixel) / pixel
    field = Field(shape, pixel, int(np.clip(spread, 16, 160)))
    padded, inner = field.padded, field.inner

    has_carbon = for_film.random() < conditions.carbon if carbon is None else carbon
    distance = specimen.carbon_distance(for_film, field) if has_carbon else None
    rods = specimen.filaments(for_film, field, conditions.filaments)
    forms = protein.forms if isinstance(protein, Protein) else MODELS[protein]
    floor, particles = place_particles(forms, field, n_particles, conditions, for_particles, distance, rods)
    truth = truth_table(particles, name, field)

    potential = np.zeros(padded, np.float32)
    for particle in particles:
        cloud = particle.cloud(for_particles)
        factor = conditions.contrast * for_particles.normal(1, _CONTRAST_SPREAD)
        x, y = particle.x + field.pad, particle.y + field.pad
        splat(potential, cloud, rotation_matrix(*particle.angles), x, y, pixel, factor)

    fx, fy = _frequencies(padded, pixel, np.float32)
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
        return fft.irfft2(spectrum, padded, workers=_THREADS)[inner]

    strength = 2 * interaction_constant(conditions.voltage)
    contrast = image(potential, strength * transfer, atom_transfer(fx, fy, pixel, forms[0].cloud().sigma))

    # Carbon and dirt take away more amplitude than protein does: phase and loss go through the lens each its own way.
    scenery = np.ones(shape, np.float32)
    dirty = specimen.surroundings(for_dirt, field, conditions, floor, distance, rods)
    artefacts = Artefacts(for_artefacts, field, conditions)
    unusable = np.zeros(shape, bool)
    if dirty is not None or artefacts.matter:
        phase, loss, dirt = dirty or (np.zeros(padded, kind) for kind in (np.float32, np.float32, bool))
        artefacts.add_matter(phase, loss)
        unusable |= dirt[inner]
        chi, damping = aberration(fx, fy, **lens), envelope(fx, fy, conditions.b_factor)
        scenery -= image(phase, 2 * np.sin(chi) * damping) + image(loss, 2 * np.cos(chi) * damping)

    # Grain of the ice: white at the specimen, so the CTF colours it; its power is relative to that of the shots.
    empty = conditions.dose * pixel**2
    grain_power = conditions.ice * transfer**2 + conditions.mottle * np.exp(-(_MOTTLE**2) * (fx * fx + fy * fy))
    grain = for_ice.standard_normal(padded, dtype=np.float32) * np.float32(empty**-0.5)
    grain = image(grain, np.sqrt(grain_power))

    light = np.float32(empty) * (1 + np.float32(conditions.ice_gradient) * waves(for_ice, shape, 3))
    beam = artefacts.light()
    if beam is not None:
        light *= beam
    if snr is not None and len(truth):
        signal = _signal_variance(record(light * contrast, conditions.mtf), truth, pixel)
        passed = _mtf(fx * pixel, fy * pixel, conditions.mtf) ** 2 * _band(fx, fy, pixel)
        shots = float((light * scenery).mean()) * _mean_of_half_plane(passed, padded[1])
        grains = float((light**2).mean()) / empty * _mean_of_half_plane(passed * grain_power, padded[1])
        gain = float(np.sqrt(snr * (shots + grains) / signal))
        contrast *= np.float32(gain)
        conditions = dataclasses.replace(conditions, contrast=conditions.contrast * gain)

    rate = light * np.maximum(scenery + contrast + grain, _DARKEST)
    data = record(for_shots.poisson(rate).astype(np.float32), conditions.mtf)
    artefacts.fill_borders(data)
    hidden = artefacts.hidden[inner]
    _ignore_hidden(truth, hidden)
    micrograph = Micrograph(data, float(pixel), name)
    return Parts(micrograph, truth, conditions, unusable | hidden, light * contrast, light * scenery)


def _ignore_hidden(truth: pd.DataFrame, hidden: np.ndarray) -> None:
    """Label the particles whose centre an artefact hides as `ignore`, in place."""
    rows, columns = (
        np.clip(np.rint(truth[axis]).astype(int), 0, size - 1) for axis, size in zip("yx", hidden.shape, strict=True)
    )
    truth.loc[hidden[rows, columns], "view"] = IGNORE


def record(rate: np.ndarray, mtf: float) -> np.ndarray:
    """Return what a detector reads out.

    Parameters
    ----------
    rate : ndarray of float32, shape (rows, columns)
        Electrons per pixel.
    mtf : float
        Gaussian modulation transfer at Nyquist, above 0 to 1.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Electrons per pixel, blurred.
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
    """Return the modulation transfer at frequencies in 1 / pixel."""
    return np.exp(4 * np.log(mtf) * (fx * fx + fy * fy))


def _frequencies(shape: tuple[int, int], pixel_size: float, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Return the spatial frequencies along x and y of a real transform, in 1 / Angstrom."""
    fy = fft.fftfreq(shape[0], pixel_size).astype(dtype)[:, None]
    return fft.rfftfreq(shape[1], pixel_size).astype(dtype)[None, :], fy


def _band(fx: np.ndarray, fy: np.ndarray, pixel_size: float) -> np.ndarray:
    return fx * fx + fy * fy <= min(1 / SNR_RESOLUTION, 0.5 / pixel_size) ** 2


def _low_pass(data: np.ndarray, pixel_size: float) -> np.ndarray:
    spectrum = fft.rfft2(data, workers=_THREADS) * _band(*_frequencies(data.shape, pixel_size, float), pixel_size)
    return fft.irfft2(spectrum, data.shape, workers=_THREADS)


def _signal_variance(signal: np.ndarray, truth: pd.DataFrame, pixel_size: float) -> float:
    """Return the low-passed variance over the discs of the particles not labelled `ignore` (of all, if all are)."""
    wanted = truth[truth.view != IGNORE]
    wanted = wanted if len(wanted) else truth
    discs = disc_mask(signal.shape, wanted["x"], wanted["y"], wanted["diameter"])
    return float(np.var(_low_pass(signal, pixel_size)[discs], dtype=float))


def _mean_of_half_plane(values: np.ndarray, columns: int) -> float:
    """Return the mean over the whole plane of frequencies from the half of a real transform of `columns` columns."""
    weights = np.full(values.shape[1], 2.0)
    weights[0] = 1
    if columns % 2 == 0:
        weights[-1] = 1
    return float((values.mean(axis=0, dtype=float) * weights).sum() / columns)


def _name(protein: str | Protein) -> str:
    return protein.name if isinstance(protein, Protein) else protein


def _conditions(
    protein: str | Protein,
    conditions: Conditions | None,
    pixel_size: float | None,
    defocus: float | None,
    overrides: dict,
) -> Conditions:
    """Return the conditions of the protein, or those given, with single fields replaced."""
    if not isinstance(protein, Protein):
        check_choice("protein", protein, MODELS)
        conditions = conditions or CONDITIONS[protein]
    elif conditions is None:
        raise ArgumentError(f"{protein.name} has no usual conditions; give conditions")
    if pixel_size is not None:
        overrides = {**overrides, "pixel_size": pixel_size}
    if defocus is not None:
        overrides = {**overrides, "defocus": (defocus, defocus)}
    known = [field.name for field in dataclasses.fields(Conditions)]
    for setting in overrides:
        check_choice("setting", setting, known)
    return dataclasses.replace(conditions, **overrides)
