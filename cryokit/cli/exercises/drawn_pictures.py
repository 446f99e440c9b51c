"""Pictures for exercises, drawn from a seed: crops, power spectra, masks, micrographs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit.coordinates import IGNORE, table
from cryokit.micrograph import Micrograph
from cryokit.simulate import simulate
from cryokit.simulate.ctf import ctf

_AVERAGED = 64  # tiles whose spectra are averaged
_SECTOR = 10.0  # degrees to either side of a direction


class Crop(NamedTuple):
    """A noisy particle: pixels, which of them the particle covers, and its true signal-to-noise ratio."""

    pixels: NDArray[np.float32]
    inside: NDArray[np.bool_]
    snr: float


class Spectrum(NamedTuple):
    """A power spectrum with its centre in the middle, its frequency step, and the lens that made it."""

    power: NDArray[np.float32]
    step: float  # 1/Angstrom per pixel
    wavelength: float  # Angstrom
    difference: float  # micrometres
    angle: float  # degrees, of the direction of most underfocus


def noisy_crop(seed: int, side: int = 160) -> Crop:
    """Draw a crop of a micrograph with one particle in its middle.

    Parameters
    ----------
    seed : int
        Random seed.
    side : int
        Rows and columns.

    Returns
    -------
    Crop
        The signal-to-noise ratio, from 0.4 to 2.5, is the variance of the particle's own contrast over that of the
        noise, over the pixels that the particle covers.
    """
    rng = np.random.default_rng(seed)
    row, column = np.indices((side, side)) - (side - 1) / 2
    radius = np.hypot(row, column) / (0.4 * side)
    inside = radius <= 1
    # A hollow shell seen from outside, with lobes, dark on bright.
    shell = np.sqrt(np.clip(1 - radius**2, 0, None)) - np.sqrt(np.clip(0.6 - radius**2, 0, None))
    shell *= 1 + 0.3 * np.cos(rng.integers(3, 7) * np.arctan2(row, column) + rng.uniform(0, 6))
    noise = rng.uniform(5, 20)
    snr = math.exp(rng.uniform(math.log(0.4), math.log(2.5)))
    shell *= -noise * math.sqrt(snr) / shell[inside].std()
    pixels = 100 + shell + rng.normal(0, noise, (side, side))
    return Crop(pixels.astype(np.float32), inside, snr)


def thon_rings(seed: int, side: int = 512) -> Spectrum:
    """Draw the power spectrum of a carbon film, taken with an astigmatic lens at 300 kV.

    Parameters
    ----------
    seed : int
        Random seed.
    side : int
        Rows and columns.

    Returns
    -------
    Spectrum
    """
    rng = np.random.default_rng(seed)
    mean, difference = rng.uniform(1.6, 2.4), rng.uniform(0.5, 0.9)
    # Clear of the axes of the picture, where looking only along rows and columns would do.
    angle = rng.choice([0, 90]) + rng.uniform(25, 65)
    pixel = 3.0
    f = np.fft.fftshift(np.fft.fftfreq(side, pixel))
    transfer = ctf(
        f[None, :],
        f[:, None],
        voltage=300,
        cs=2.7,
        defocus_u=mean + difference / 2,
        defocus_v=mean - difference / 2,
        angle=angle,
        amplitude_contrast=0.07,
        b_factor=100,
    )
    expected = transfer**2 + 0.08
    power = expected * rng.gamma(_AVERAGED, 1 / _AVERAGED, (side, side))
    return Spectrum(power.astype(np.float32), 1 / (side * pixel), 0.0197, difference, float(angle))


def first_zero(spectrum: Spectrum, angle: float) -> float:
    """Measure the spatial frequency of the innermost dark ring of a power spectrum along one direction.

    Parameters
    ----------
    spectrum : Spectrum
        Power spectrum.
    angle : float
        Direction in degrees, from x towards y.

    Returns
    -------
    float
        Spatial frequency, 1/Angstrom.
    """
    centre = spectrum.power.shape[0] // 2
    row, column = np.indices(spectrum.power.shape) - centre
    radius = np.hypot(row, column)
    turned = np.degrees(np.arctan2(row, column)) - angle
    sector = (np.abs((turned + 90) % 180 - 90) <= _SECTOR) & (radius < centre)
    ring = radius[sector].astype(int)
    profile = np.bincount(ring, spectrum.power[sector]) / np.maximum(np.bincount(ring), 1)
    profile = ndimage.gaussian_filter1d(profile, 2)
    first = round(1 / 45 / spectrum.step)  # Angstrom: within the first bright ring for every underfocus drawn
    last = round(1 / 14 / spectrum.step)
    low = first + int(np.argmin(profile[first:last]))
    # The bottom of a parabola through the minimum and its neighbours.
    left, middle, right = profile[low - 1 : low + 2]
    return float((low + 0.5 + 0.5 * (left - right) / (left - 2 * middle + right)) * spectrum.step)


def particles(
    seed: int, protein: str = "apoferritin", side: int = 512, **settings: float
) -> tuple[Micrograph, pd.DataFrame]:
    """Simulate a small micrograph without dirt, with particles 38 pixels across if they are apoferritin.

    Parameters
    ----------
    seed : int
        Random seed.
    protein : str
        Protein to simulate.
    side : int
        Rows and columns.
    **settings
        Arguments of `cryokit.simulate.simulate` that replace the usual ones.

    Returns
    -------
    micrograph : Micrograph
    truth : pandas.DataFrame
        Table of picks; broken and overlapping particles have the view ``ignore``.
    """
    usual = {"carbon": False, "contamination": 0, "ice_gradient": 0.0}
    if protein == "apoferritin":
        usual |= {"pixel_size": 3.2, "n_particles": round(40 * (side / 512) ** 2), "snr": 1.0}
    return simulate(protein, shape=(side, side), seed=seed, **(usual | settings))


def discs(shape: tuple[int, int], truth: pd.DataFrame, scale: float = 1.0) -> NDArray[np.bool_]:
    """Return a mask of the discs that particles cover.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    truth : pandas.DataFrame
        Table of picks.
    scale : float
        Factor on the diameters.
    """
    row, column = np.indices(shape)
    mask = np.zeros(shape, bool)
    for x, y, diameter in truth[["x", "y", "diameter"]].itertuples(index=False):
        mask |= np.hypot(column - x, row - y) <= scale * diameter / 2
    return mask


def turned_rectangle(seed: int, side: int = 128) -> tuple[NDArray[np.bool_], float]:
    """Draw the mask of a rectangle at a slant, and the ratio of its longer to its shorter side."""
    rng = np.random.default_rng(seed)
    length, width = rng.uniform(0.4, 0.6) * side, rng.uniform(0.15, 0.3) * side
    angle = math.radians(rng.choice([0, 90]) + rng.uniform(25, 65))
    row, column = np.indices((side, side)) - (side - 1) / 2
    along = column * math.cos(angle) + row * math.sin(angle)
    across = -column * math.sin(angle) + row * math.cos(angle)
    return (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2), length / width


def speckled_mask(seed: int, diameter: float = 30.0, side: int = 256) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw a mask with particles, speckles and large patches.

    Parameters
    ----------
    seed : int
        Random seed.
    diameter : float
        Particle diameter in pixels.
    side : int
        Rows and columns.

    Returns
    -------
    mask, particles : ndarray of bool
        The whole mask, and its particles alone.
    """
    rng = np.random.default_rng(seed)
    step = 2 * diameter
    places = [(y, x) for y in np.arange(step / 2, side, step) for x in np.arange(step / 2, side, step)]
    row, column = np.indices((side, side))
    mask, only = np.zeros((side, side), bool), np.zeros((side, side), bool)
    kinds = np.resize(["particle", "particle", "speckle", "patch"], len(places))
    for (y, x), kind in zip(places, rng.permutation(kinds), strict=True):
        size = {"particle": rng.uniform(0.85, 1.15), "speckle": rng.uniform(0.1, 0.5), "patch": rng.uniform(1.6, 1.9)}
        disc = np.hypot(row - y, column - x) <= size[kind] * diameter / 2
        mask |= disc
        if kind == "particle":
            only |= disc
    return mask, only


def outlines(seed: int, n: int = 40, side: int = 64) -> tuple[list[NDArray[np.bool_]], NDArray[np.bool_]]:
    """Draw masks of single objects: top views, and objects that are none.

    Parameters
    ----------
    seed : int
        Random seed.
    n : int
        Number of masks.
    side : int
        Rows and columns of each.

    Returns
    -------
    masks : list of ndarray of bool
        Objects in the middle.
    good : ndarray of bool
        Whether each is a whole, single top view.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.resize(["good", "good", "pair", "cut", "long"], n))
    masks = [_outline(rng, kind, side) for kind in kinds]
    return masks, kinds == "good"


def labelled_by_three(seed: int, side: int = 512) -> tuple[Micrograph, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Simulate a micrograph and the labels that two people made of it.

    Parameters
    ----------
    seed : int
        Random seed.
    side : int
        Rows and columns.

    Returns
    -------
    micrograph : Micrograph
    cautious, generous : pandas.DataFrame
        Labels of somebody who leaves out the doubtful ones, and of somebody who takes too much.
    truth : pandas.DataFrame
        Particles as they are.
    """
    micrograph, truth = particles(seed, side=side, n_particles=30, snr=1.4)
    rng = np.random.default_rng(seed)
    diameter = float(truth["diameter"].median())
    whole = truth[truth["view"] != IGNORE]

    def labels(rows: pd.DataFrame, wrong: int) -> pd.DataFrame:
        clicks = rows[["x", "y"]].to_numpy() + rng.normal(0, 0.06 * diameter, (len(rows), 2))
        clicks = np.vstack([clicks, rng.uniform(diameter, side - diameter, (wrong, 2))])
        return table(micrograph.name, clicks[:, 0], clicks[:, 1], diameter=diameter)

    return micrograph, labels(whole[rng.random(len(whole)) < 0.8], 0), labels(truth, 4), truth


def _outline(rng: np.random.Generator, kind: str, side: int) -> NDArray[np.bool_]:
    row, column = np.indices((side, side)) - (side - 1) / 2
    turn = rng.uniform(0, 2 * math.pi)
    along = column * math.cos(turn) + row * math.sin(turn)
    across = -column * math.sin(turn) + row * math.cos(turn)
    radius = rng.uniform(0.2, 0.24) * side
    if kind == "pair":
        shift = rng.uniform(0.75, 0.95) * radius
        distance = np.minimum(np.hypot(along - shift, across), np.hypot(along + shift, across)) - radius
    elif kind == "cut":
        distance = np.maximum(np.hypot(along, across) - 1.3 * radius, along + rng.uniform(0.0, 0.3) * radius)
    elif kind == "long":
        distance = np.hypot(along / rng.uniform(1.9, 2.3), across) - 0.75 * radius
    else:
        distance = np.hypot(along, across) - radius
    rough = ndimage.gaussian_filter(rng.normal(size=(side, side)), 3)
    mask = distance + 0.5 * rough / rough.std() < 0
    label, _ = ndimage.label(mask)
    return ndimage.binary_fill_holes(label == np.bincount(label.ravel())[1:].argmax() + 1)
