"""Evidence of a particle at every pixel: an outline that closes around it, a filled disc, a blob of its size.

All three are in units of a perfect particle: a full disc of the particle's diameter with the picture's whole contrast
gets 1, so that values of different micrographs can be compared.
"""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, signal

from cryokit._util.validation import check_number
from cryokit.segmentation.mask import as_mask

EDGE = 0.3  # of the steepest gradients: weaker ones weigh little and cost time
BLUR = 0.06  # diameters: how far the votes for one centre scatter
RADII = (0.35, 0.575)  # diameters: where a particle's outline may lie
DISC = 0.9  # diameters: the disc that has to be filled; the very outline is ragged in a mask


def radial_votes(image: ArrayLike, diameter: float, *, dark: bool = True) -> NDArray[np.float32]:
    """Return how much of an outline lies around each pixel.

    Every edge votes for the places along its gradient, on the particle's side, at all radii from 0.35 to 0.575
    diameters, with the strength of its gradient: the fast radial symmetry transform (Loy and Zelinsky 2003, IEEE PAMI
    25:959). Unlike the Hough transform for circles (`hough_circles`), which asks all votes to come from one radius, it
    tolerates outlines that are not circles: a square collects the votes of its four sides, too.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Grey values in [0, 1], or a mask.
    diameter : float
        Particle diameter in pixels of `image`.
    dark : bool
        Whether particles are darker than their surroundings; in a mask they are not.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        About 1 in the centre of a black disc of the diameter on white (0.7 between pixels), 0.2 in that of a square;
        never negative.

    Raises
    ------
    ArgumentError
        If the diameter is not positive.

    Examples
    --------
    >>> row, column = np.mgrid[:60, :60]
    >>> white = np.hypot(row - 30, column - 25) > 15
    >>> votes = radial_votes(white, 30)
    >>> [int(i) for i in np.unravel_index(votes.argmax(), votes.shape)], round(float(votes.max()), 1)
    ([30, 25], 1.0)
    """
    check_number("diameter", diameter, 0, above=True)
    if np.size(image) == 0:
        return np.zeros(np.shape(image), np.float32)
    image = np.asarray(image, np.float32)
    votes = _votes(-image if dark else image, diameter)
    return (votes / _perfect_votes(round(float(diameter), 2))).astype(np.float32)


@functools.lru_cache(maxsize=32)
def _perfect_votes(diameter: float) -> float:
    side = 2 * math.ceil(diameter) + 1
    centre = side // 2
    row, column = np.indices((side, side)) - centre
    # An outline as sharp as pixels can be.
    disc = np.clip(diameter / 2 + 0.5 - np.hypot(row, column), 0, 1).astype(np.float32)
    return float(_votes(disc, diameter)[centre, centre]) or 1.0


def _votes(image: NDArray, diameter: float) -> NDArray[np.float32]:
    """Return the sum of the votes, in no particular unit."""
    smooth = ndimage.gaussian_filter(image, 1.0)
    along_y, along_x = ndimage.sobel(smooth, 0) / 8, ndimage.sobel(smooth, 1) / 8
    steepness = np.hypot(along_x, along_y)
    # Not the maximum: one spot must not decide for the whole picture.
    edge = steepness > max(EDGE * float(np.quantile(steepness[::2, ::2], 0.999)), 1e-6)
    row, column = np.nonzero(edge)
    weight = steepness[edge]
    step_y, step_x = along_y[edge] / weight, along_x[edge] / weight
    rows, columns = image.shape
    total = np.zeros(rows * columns)
    first, last = (fraction * diameter for fraction in RADII)
    for radius in np.linspace(first, last, max(2, round(last - first) + 1)):
        y = np.rint(row + radius * step_y).astype(np.intp)
        x = np.rint(column + radius * step_x).astype(np.intp)
        inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        total += np.bincount(y[inside] * columns + x[inside], weight[inside] / radius, minlength=total.size)
    return ndimage.gaussian_filter(total.reshape(rows, columns), BLUR * diameter).astype(np.float32)


def coverage(mask: ArrayLike, diameter: float) -> NDArray[np.float32]:
    """Return the fraction of the disc around each pixel that the mask covers.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        Mask with filled objects.
    diameter : float
        Particle diameter in pixels of `mask`. The disc is a little smaller, because outlines in a mask are ragged.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        In [0, 1]. Beyond the border nothing is covered.
    """
    mask = as_mask(mask)
    if mask.size == 0:
        return np.zeros(mask.shape, np.float32)
    reach = math.ceil(DISC * diameter / 2)
    row, column = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    disc = (np.hypot(row, column) <= DISC * diameter / 2).astype(np.float32)
    covered = signal.fftconvolve(mask.astype(np.float32), disc / disc.sum(), mode="full")
    # mode="same" has the shape of the larger operand, which can be the disc.
    covered = covered[reach : reach + mask.shape[0], reach : reach + mask.shape[1]]
    return np.clip(covered, 0, 1)


def blobs(mask: ArrayLike, diameter: float) -> NDArray[np.float32]:
    """Return the Laplacian of Gaussian of a mask, whose maxima are blobs of up to the particle's size.

    Parameters
    ----------
    mask : array_like, shape (rows, columns)
        Mask, or grey values in [0, 1] with bright particles.
    diameter : float
        Particle diameter in pixels of `mask`. The Gaussian's standard deviation is a quarter of it, less than matches
        the whole disc best, because neighbours may touch.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        1 in the centre of a full disc on empty ground.
    """
    sigma = diameter / 4
    response = -ndimage.gaussian_laplace(np.asarray(mask, np.float32), sigma)
    # In the centre of a disc of radius a the response is (a / s)^2 exp(-a^2 / 2 s^2) / s^2.
    ratio = (diameter / 2 / sigma) ** 2
    return (response * (sigma**2 / (ratio * math.exp(-ratio / 2)))).astype(np.float32)
