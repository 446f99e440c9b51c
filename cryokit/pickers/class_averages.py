"""Class averages of labelled particles: two-dimensional classification with alignment, for references."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

THREADS = 2  # of the Fourier transforms; does not change the result
ROUNDS = 8  # of alignment and averaging; the averages have settled by then
COARSE = 10.0  # degrees between the rotations tried in the first rounds; half of it in the others
SHIFT = 0.12  # largest shift in diameters: labels are no more accurate
SEED_RESOLUTION = 6.0  # periods per diameter that the single particles that classes begin with keep


def circle(side: int, radius: float) -> NDArray[np.bool_]:
    """Return the circular mask of a box.

    Parameters
    ----------
    side : int
        Side of the box in pixels, odd; its middle pixel is the centre.
    radius : float
        Radius in pixels.

    Returns
    -------
    ndarray of bool, shape (side, side)
    """
    offset = np.arange(side) - side // 2
    return np.hypot(offset[:, None], offset) <= radius


def cut(picture: NDArray[np.float32], places: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """Cut boxes around places between the pixels; the picture is mirrored at its border.

    Parameters
    ----------
    picture : ndarray of float32, shape (rows, columns)
        Picture to cut from.
    places : ndarray of float, shape (n, 2)
        Centres, x (column) and y (row).
    side : int
        Side of the boxes in pixels, odd.

    Returns
    -------
    ndarray of float32, shape (n, side, side)
    """
    offset = np.arange(side) - side // 2
    row, column = np.broadcast_arrays(places[:, 1, None, None] + offset[:, None], places[:, 0, None, None] + offset)
    return ndimage.map_coordinates(picture, [row, column], order=3, mode="mirror").astype(np.float32)


def turned(image: NDArray, degrees: float) -> NDArray[np.float32]:
    """Rotate a square image about its centre, as `scipy.ndimage.rotate` does, without enlarging it."""
    return ndimage.rotate(np.asarray(image, np.float32), degrees, reshape=False, order=3)


def low_passed(images: NDArray, period: float) -> NDArray[np.float32]:
    """Remove detail finer than a period.

    Parameters
    ----------
    images : ndarray, shape (..., rows, columns)
        Images to filter.
    period : float
        Shortest period in pixels. The transfer function falls smoothly from 1 to 0 around it, along a raised cosine as
        wide as a fifth of the cut-off frequency on either side; nothing is removed below two pixels.

    Returns
    -------
    ndarray of float32, shape of `images`
    """
    images = np.asarray(images, np.float32)
    if period <= 2:
        return images
    shape = images.shape[-2:]
    frequency = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1]))
    excess = np.clip((frequency * period - 1) / 0.2, -1, 1)
    transfer = (0.5 - 0.5 * np.sin(np.pi / 2 * excess)).astype(np.float32)
    return fft.irfft2(fft.rfft2(images, workers=THREADS) * transfer, shape, workers=THREADS)


def standardised(images: NDArray, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return images with mean 0 and norm 1 within a mask, and 0 outside.

    Parameters
    ----------
    images : ndarray, shape (n, side, side)
        Images to standardise.
    mask : ndarray of bool, shape (side, side)
        Mask of the pixels that count.

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
    """Sort particles into classes by their appearance, and average each class after alignment.

    Multi-reference alignment: every particle is rotated and shifted to fit each average best and joins the class that
    it fits best, then the averages are made anew. Classes begin with single particles, smoothed. A class that has
    lost its particles begins again with the particle that fits its own class least.

    Parameters
    ----------
    particles : ndarray of float32, shape (n, side, side)
        Boxes of particles; the side is odd and leaves room for `SHIFT`.
    number : int
        Number of classes, at most n.
    radius : float
        Radius in pixels of the circle that is compared.
    diameter : float
        Particle diameter in pixels.
    rng : numpy.random.Generator
        Source of randomness: chooses the particles to begin with.

    Returns
    -------
    averages : ndarray of float32, shape (classes, side, side)
        Averages of the classes that have particles, the largest class first. The orientation of an average is that of a
        particle it began with.
    members : ndarray of int, shape (classes,)
        Number of particles in each class.
    """
    n, side = particles.shape[0], particles.shape[-1]
    mask = circle(side, radius)
    reach = max(1, round(SHIFT * diameter))
    # Shifted particles are compared with masked averages; so they are standardised once, over all that may shift in.
    wide = standardised(particles, circle(side, side / 2))
    spectra = fft.rfft2(wide, workers=THREADS)
    averages = low_passed(wide[rng.choice(n, number, replace=False)], diameter / SEED_RESOLUTION)
    for turn in range(ROUNDS):
        step = COARSE if turn < ROUNDS // 2 else COARSE / 2
        score, angle, shift = _aligned(spectra, standardised(averages, mask), step, reach)
        class_of, fit = score.argmax(axis=0), score.max(axis=0)
        if turn < ROUNDS - 1:
            for k in np.setdiff1d(np.arange(number), class_of):
                class_of[fit.argmin()] = k
                fit[fit.argmin()] = np.inf
        averages = np.zeros((number, side, side), np.float32)
        members = np.bincount(class_of, minlength=number)
        for k in np.flatnonzero(members):
            # A particle lies at its shift and is rotated by its angle against the average.
            own = np.flatnonzero(class_of == k)
            averages[k] = np.mean([turned(np.roll(wide[i], -shift[k, i], (0, 1)), -angle[k, i]) for i in own], axis=0)
    order = [k for k in np.argsort(-members, kind="stable") if members[k]]
    return averages[order], members[order]


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
            index = np.column_stack(np.unravel_index(best, maps.shape[1:]))
            shift[j, better] = window[index[better]]
    return score, angle, shift
