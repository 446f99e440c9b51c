"""Class averages of labelled particles: two-dimensional classification with alignment, for references."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

THREADS = 2  # of the Fourier transforms; does not change the result
ROUNDS = 8  # of alignment and averaging; the averages have settled by then
COARSE = 10.0  # degrees between rotations tried in the first rounds; then half of it
SHIFT = 0.12  # at most, in diameters: labels are not better
SEED_RESOLUTION = 6.0  # of the single particles that classes begin with: periods across a particle


def circle(side: int, radius: float) -> NDArray[np.bool_]:
    """Return the circular mask of a box.

    Parameters
    ----------
    side : int
        Of the box, odd; its middle pixel is the centre.
    radius : float
        Pixels.

    Returns
    -------
    ndarray of bool, shape (side, side)
    """
    at = np.arange(side) - side // 2
    return np.hypot(at[:, None], at) <= radius


def cut(picture: NDArray[np.float32], places: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """Cut boxes around places between the pixels; the picture is mirrored at its border.

    Parameters
    ----------
    picture : ndarray of float32, shape (rows, columns)
    places : ndarray of float, shape (n, 2)
        x and y of the centres, pixels.
    side : int
        Of the boxes, odd.

    Returns
    -------
    ndarray of float32, shape (n, side, side)
    """
    at = np.arange(side) - side // 2
    row = places[:, 1, None, None] + at[:, None]
    column = places[:, 0, None, None] + at
    row, column = np.broadcast_arrays(row, column)
    return ndimage.map_coordinates(picture, [row, column], order=3, mode="mirror").astype(np.float32)


def turned(image: NDArray, degrees: float) -> NDArray[np.float32]:
    """Turn a square image of odd side about its middle pixel, as `scipy.ndimage.rotate` does, without growing it."""
    return ndimage.rotate(np.asarray(image, np.float32), degrees, reshape=False, order=3)


def low_passed(images: NDArray, period: float) -> NDArray[np.float32]:
    """Take away detail finer than a period.

    Parameters
    ----------
    images : ndarray, shape (..., rows, columns)
    period : float
        Pixels. The transfer falls smoothly from 1 to 0 about it; below two pixels nothing is taken away.

    Returns
    -------
    ndarray of float32
    """
    images = np.asarray(images, np.float32)
    if period <= 2:
        return images
    shape = images.shape[-2:]
    spectrum = fft.rfft2(images, workers=THREADS)
    return fft.irfft2(spectrum * transfer(shape, period), shape, workers=THREADS)


def transfer(shape: tuple[int, int], period: float) -> NDArray[np.float32]:
    """Return the transfer function of `low_passed` for the half plane of a real transform."""
    frequency = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1]))
    if period <= 2:
        return np.ones(frequency.shape, np.float32)
    # A raised cosine, a fifth of the cut-off frequency wide on either side.
    off = np.clip((frequency * period - 1) / 0.2, -1, 1)
    return (0.5 - 0.5 * np.sin(np.pi / 2 * off)).astype(np.float32)


def standardised(images: NDArray, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return images with mean 0 and norm 1 within the mask, and 0 outside.

    Parameters
    ----------
    images : ndarray, shape (n, side, side)
    mask : ndarray of bool, shape (side, side)

    Returns
    -------
    ndarray of float32, shape (n, side, side)
    """
    images = np.asarray(images, np.float32)
    inner = images[:, mask]
    inner = inner - inner.mean(axis=1, keepdims=True)
    inner /= np.maximum(np.linalg.norm(inner, axis=1, keepdims=True), 1e-12)
    result = np.zeros(images.shape, np.float32)
    result[:, mask] = inner
    return result


def class_averages(
    particles: NDArray[np.float32], number: int, radius: float, diameter: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Sort particles into classes by what they look like, and average each class, aligned.

    Multi-reference alignment: every particle is turned and shifted to fit each average best, joins the class of the one
    that it fits best, and the averages are made anew. Classes begin with single particles, smoothed. A class that has
    lost its particles begins again with the particle that fits its own class least.

    Parameters
    ----------
    particles : ndarray of float32, shape (n, side, side)
        The side is odd and leaves room for `SHIFT`.
    number : int
        Of classes; no more than particles.
    radius : float
        Of the circle that is compared, pixels.
    diameter : float
        Of the particle, pixels.
    rng : numpy.random.Generator
        Chooses the particles to begin with.

    Returns
    -------
    averages : ndarray of float32, shape (classes, side, side)
        The largest class first; its orientation is that of a particle it began with. Classes without particles are
        left out.
    members : ndarray of int, shape (classes,)
        How many particles each has.
    """
    n, side = particles.shape[0], particles.shape[-1]
    mask = circle(side, radius)
    reach = max(1, round(SHIFT * diameter))
    # Shifted particles are compared with masked averages; so they are standardised once, over all that may shift in.
    wide = standardised(particles, circle(side, side / 2))
    spectra = fft.rfft2(wide, workers=THREADS)
    averages = low_passed(wide[rng.choice(n, number, replace=False)], diameter / SEED_RESOLUTION)
    for turn in range(ROUNDS):
        last = turn == ROUNDS - 1
        step = COARSE if turn < ROUNDS // 2 else COARSE / 2
        score, angle, shift = _aligned(spectra, standardised(averages, mask), step, reach)
        own = score.argmax(axis=0)
        fit = score.max(axis=0)
        for k in range(len(averages)):
            if not (own == k).any() and not last:
                own[fit.argmin()] = k
                fit[fit.argmin()] = np.inf
        members = np.bincount(own, minlength=len(averages))
        averages = np.stack(
            [
                np.mean([_moved(wide[i], angle[k, i], shift[k, i]) for i in np.flatnonzero(own == k)], axis=0)
                if members[k]
                else np.zeros((side, side), np.float32)
                for k in range(len(averages))
            ]
        )
    order = [k for k in np.argsort(-members, kind="stable") if members[k]]
    return averages[order].astype(np.float32), members[order]


def _aligned(spectra: NDArray, references: NDArray, step: float, reach: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return score, angle and shift (rows, columns) of each particle's best fit to each reference: (k, n[, 2])."""
    k, n, side = len(references), len(spectra), references.shape[-1]
    score = np.full((k, n), -np.inf, np.float32)
    angle = np.zeros((k, n))
    shift = np.zeros((k, n, 2), int)
    window = np.r_[0 : reach + 1, -reach:0]
    for j, reference in enumerate(references):
        for degrees in np.arange(0, 360, step):
            spectrum = np.conj(fft.rfft2(turned(reference, degrees)))
            maps = fft.irfft2(spectra * spectrum, (side, side), workers=THREADS)[:, window[:, None], window]
            flat = maps.reshape(n, -1)
            best = flat.argmax(axis=1)
            value = flat[np.arange(n), best]
            better = value > score[j]
            score[j, better], angle[j, better] = value[better], degrees
            at = np.column_stack(np.unravel_index(best, maps.shape[1:]))
            shift[j, better] = window[at[better]]
    return score, angle, shift


def _moved(particle: NDArray, degrees: float, shift: NDArray) -> NDArray[np.float32]:
    """Bring a particle, which lies at `shift` and is turned by `degrees` against its average, onto it."""
    return turned(np.roll(particle, (-shift[0], -shift[1]), axis=(0, 1)), -degrees)
