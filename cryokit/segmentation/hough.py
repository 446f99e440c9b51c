"""Circles by votes along the gradient: AutoCryoPicker's modified circular Hough transform (MATLAB's imfindcircles)."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from cryokit._util.validation import check_number, check_picture
from cryokit.coordinates.suppression import nms_distance
from cryokit.errors import ArgumentError, MicrographError
from cryokit.imaging.peaks import find_peaks

SMALLEST_RADIUS = 3.0  # pixels: smaller discs have too few edge pixels to tell a circle from a square
TOLERANCE = 0.1  # of the radius: how far from the circle an edge still belongs to it
ALIGNED = math.cos(math.radians(20))  # so close to the radial direction an edge's gradient must be
FACING = 0.7  # cosine too, but looser: the fit still moves the centre by up to a quarter of the radius
CELLS = 12  # cells of the accumulator to a radius, at least: votes of large circles spread wider
CANDIDATE = 0.2  # of the threshold: evidence in the accumulator from which a place is looked at closely
COVER = 2.0  # times the picture's area: what all candidates together may cover, where noise makes thousands of them
GAP = 0.4  # logarithm of a ratio of radii: phases that code nothing, between those of the largest and the smallest
VOTES_AT_ONCE = 2_000_000
FITS_AT_ONCE = 500


@dataclass(frozen=True)
class Circle:
    """A circle in a picture, in pixels; `strength` is the share of its circumference that has an edge on it."""

    x: float
    y: float
    radius: float
    strength: float


@dataclass(frozen=True)
class Circles:
    """Circles in a picture, best first; iterating yields them as `Circle`.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n,)
        Centres in pixels; the centre of the first pixel is 0.
    radius : ndarray of float64, shape (n,)
        Radii in pixels.
    strength : ndarray of float64, shape (n,)
        Share of the circumference that has an edge on it, in [0, 1]; see `hough_circles`.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius: NDArray[np.float64]
    strength: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[Circle]:
        columns = (self.x, self.y, self.radius, self.strength)
        return itertools.starmap(Circle, zip(*(column.tolist() for column in columns), strict=True))


class _Edges(NamedTuple):
    """Points on edges, to a fraction of a pixel: about one for each pixel of length."""

    x: NDArray
    y: NDArray
    u: NDArray  # x and y component of the unit vector that points out of the particle
    v: NDArray


def hough_circles(
    image: ArrayLike,
    radii: tuple[float, float],
    *,
    dark: bool = True,
    threshold: float = 0.4,
    edge_threshold: float | None = None,
) -> Circles:
    """Find discs in a picture or mask, including overlapping and cut ones.

    Maxima of `hough_map` are the candidates, and the phase there is their radius. Both are then fitted to the edges on
    the circle by least squares, and the fit gives the strength: the share of the circumference with an edge on it
    (within 10 % of the radius, and with a gradient within 20 degrees of the radial direction). A full disc has a
    strength close to 1, one cut in half by the border 0.5, a square or rectangle 0.5 or less, the best place in a whole
    picture of white noise 0.4 to 0.5. It depends on neither contrast nor radius, so it can be compared between
    micrographs.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Picture with any range of grey values, or a boolean mask whose particles are True.
    radii : (float, float)
        Smallest and largest radius in pixels, at least 3. Discs up to 5 % outside this range are found with its nearest
        end.
    dark : bool
        Whether the particles of a picture are darker than their surroundings. Ignored for a mask.
    threshold : float
        Smallest strength of the circles that are returned, above 0 and at most 1. Of two circles whose centres are
        closer than the smallest radius, the stronger one stays.
    edge_threshold : float, optional
        Smallest gradient of an edge as a fraction of the steepest one, between 0 and 1. By default Otsu's threshold.

    Returns
    -------
    Circles
        Circles with their centres inside the picture; empty where there is no disc.

    Raises
    ------
    ArgumentError
        If radii or a threshold are out of range, or the picture has not two dimensions.
    MicrographError
        If the picture has NaN or infinite pixels.

    Notes
    -----
    MATLAB's ``imfindcircles`` stops at the maxima of the accumulator: its radius is the phase there, its metric the
    magnitude, which depends on how wide and smooth the edges are.

    scikit-image's ``hough_circle`` has an accumulator for each radius; on micrographs it takes 5 to 19 times as long.

    Examples
    --------
    >>> row, column = np.mgrid[:50, :60]
    >>> circles = hough_circles(np.hypot(column - 33, row - 20) < 12, (8, 16))
    >>> len(circles), round(circles.x[0]), round(circles.y[0]), round(circles.radius[0])
    (1, 33, 20, 12)
    """
    smallest, largest = _checked_radii(radii)
    check_number("threshold", threshold, 0, 1, above=True)
    sigma = _sigma(smallest)
    edges = _edges(image, dark, sigma, edge_threshold)
    rows, columns = np.shape(image)
    accumulator = _accumulate(edges, (rows, columns), smallest, largest)
    x, y, radius = _candidates(accumulator, smallest, largest, CANDIDATE * threshold)
    x, y, radius, strength = _fit(edges, x, y, radius)
    # The gradient is steepest inside a blurred disc's edge, by this much (the expansion of the Bessel function I1).
    radius = radius + sigma**2 / (2 * radius)
    inside = (x > -0.5) & (y > -0.5) & (x < columns - 0.5) & (y < rows - 0.5)
    good = inside & (strength >= threshold) & (radius > 0.95 * smallest) & (radius < 1.05 * largest)
    x, y, radius, strength = x[good], y[good], np.clip(radius[good], smallest, largest), strength[good]
    kept = nms_distance(x, y, strength, smallest)
    return Circles(x[kept], y[kept], radius[kept], strength[kept])


def hough_map(image: ArrayLike, radii: tuple[float, float], *, dark: bool = True) -> NDArray[np.complex64]:
    """Return the phase-coded accumulator of circle centres.

    Every edge pixel votes for the places along its gradient, on the particle's side, at all radii of the range. A vote
    weighs 1 / circumference, and its phase codes the radius logarithmically. Votes of one circle meet in its centre
    with one phase and add up; those that meet by chance have all phases and cancel (Atherton and Kerbyson 1999, Image
    Vis. Comput. 17:795).

    Parameters
    ----------
    image, radii, dark
        As for `hough_circles`.

    Returns
    -------
    ndarray of complex64, shape (rows, columns)
        Magnitude: evidence of a centre, about 1 in the centre of a full disc. Phase: the radius (`coded_radius`).

    Raises
    ------
    ArgumentError, MicrographError
        As for `hough_circles`.

    Notes
    -----
    There are three deviations from the original. Edges are thinned to one pixel, so that the magnitude does not depend
    on their width. The accumulator's cells and radial steps double with every octave of the radius, because an error of
    the direction moves a vote in proportion to the radius. The phase does not take the full turn, so that the smallest
    and the largest radius stay apart, and never more than one turn an octave: discs that are not quite round would
    cancel their own votes.
    """
    smallest, largest = _checked_radii(radii)
    edges = _edges(image, dark, _sigma(smallest))
    return _accumulate(edges, np.shape(image), smallest, largest)


def coded_radius(accumulator: ArrayLike, radii: tuple[float, float]) -> NDArray[np.float64]:
    """Return the radius in the phase of an accumulator.

    Parameters
    ----------
    accumulator : array_like of complex
        Result of `hough_map`, or some of its elements.
    radii : (float, float)
        Range of radii that `hough_map` was given.

    Returns
    -------
    ndarray of float64, of the shape of `accumulator`
        Radii in pixels, within `radii`.

    Examples
    --------
    >>> coded_radius(np.exp([0j]), (10, 20)).tolist()
    [10.0]
    """
    smallest, largest = _checked_radii(radii)
    turn, span = _turn(smallest, largest), math.log(largest / smallest)
    logarithm = np.mod(np.angle(np.asarray(accumulator, dtype=np.complex128)) / (2 * np.pi), 1) * turn
    # A phase in the gap belongs to the nearer end.
    return smallest * np.exp(np.where(logarithm > (turn + span) / 2, 0.0, np.minimum(logarithm, span)))


def _turn(smallest: float, largest: float) -> float:
    """Return the logarithm of the ratio of radii that one turn of the phase stands for."""
    return max(math.log(largest / smallest) + GAP, math.log(2))


def _candidates(
    accumulator: NDArray, smallest: float, largest: float, evidence: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Return x, y and radius of the accumulator's maxima with at least some evidence."""
    x, y, _ = find_peaks(np.abs(accumulator), smallest / 2, evidence)
    radius = coded_radius(accumulator[np.rint(y).astype(int), np.rint(x).astype(int)], (smallest, largest))
    affordable = np.cumsum(np.pi * radius**2) <= COVER * max(accumulator.size, np.pi * largest**2)
    return x[affordable], y[affordable], radius[affordable]


def _checked_radii(radii: tuple[float, float]) -> tuple[float, float]:
    try:
        smallest, largest = radii
    except (TypeError, ValueError):
        raise ArgumentError(f"radii must be two numbers, the smallest and the largest, not {radii!r}") from None
    check_number("smallest of radii", smallest, SMALLEST_RADIUS)
    check_number("largest of radii", largest, smallest)
    return float(smallest), float(largest)


def _sigma(smallest: float) -> float:
    """Return the standard deviation in pixels of the Gaussian whose derivatives give the gradient."""
    return max(1.0, smallest / 6)


def _scaled(image: NDArray) -> NDArray[np.float32]:
    """Return grey values in [0, 1], so that neither a large offset nor tiny values are lost in single precision."""
    if image.dtype == bool or image.size == 0:
        return image.astype(np.float32)
    image = image.astype(np.float64)
    low, high = image.min(), image.max()
    if not np.isfinite([low, high]).all():
        raise MicrographError("the picture has values that are not finite; replace them")
    # Grey values that differ by rounding only are one grey value, not noise.
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return np.zeros(image.shape, dtype=np.float32)
    return ((image - low) / (high - low)).astype(np.float32)


def _edges(image: ArrayLike, dark: bool, sigma: float, edge_threshold: float | None = None) -> _Edges:
    """Find edges as crests of the gradient's magnitude along its direction, to a fraction of a pixel."""
    from skimage.filters import threshold_otsu

    if edge_threshold is not None and not 0 < edge_threshold < 1:
        raise ArgumentError(f"edge_threshold must be a number between 0 and 1, not {edge_threshold!r}")
    image = check_picture("picture", image, empty=True)
    out = 1 if dark and image.dtype != bool else -1
    image = _scaled(image)
    if image.size == 0 or np.ptp(image) == 0:
        return _Edges(*np.zeros((4, 0)))
    # The picture goes on beyond the border as it ends there: a disc that is cut has no edge along the cut.
    across = ndimage.gaussian_filter(image, sigma, order=(0, 1), mode="nearest", truncate=3)
    down = ndimage.gaussian_filter(image, sigma, order=(1, 0), mode="nearest", truncate=3)
    magnitude = np.hypot(across, down)
    limit = threshold_otsu(magnitude) if edge_threshold is None else edge_threshold * magnitude.max()
    row, column = np.nonzero(magnitude > limit)
    middle = magnitude[row, column].astype(np.float64)
    u, v = across[row, column] / middle, down[row, column] / middle
    behind, ahead = (
        ndimage.map_coordinates(magnitude, [row + side * v, column + side * u], order=1, mode="nearest")
        for side in (-1, 1)
    )
    crest = (middle >= behind) & (middle > ahead)
    row, column, middle, u, v = (values[crest] for values in (row, column, middle, u, v))
    behind, ahead = behind[crest].astype(np.float64), ahead[crest].astype(np.float64)
    offset = np.clip(0.5 * (behind - ahead) / (behind - 2 * middle + ahead), -0.5, 0.5)
    return _Edges(column + offset * u, row + offset * v, out * u, out * v)


def _accumulate(edges: _Edges, shape: tuple[int, int], smallest: float, largest: float) -> NDArray[np.complex64]:
    if 0 in shape:
        return np.zeros(shape, dtype=np.complex64)
    turn = _turn(smallest, largest)
    # A disc at either end of the range gets the votes of the radii on both sides of its own.
    octaves = range(_octave(smallest), _octave(largest) + 1)
    total = np.zeros((0, 0), dtype=np.complex64)
    for octave in reversed(octaves):
        cell = 2**octave
        size = tuple(-(-length // cell) for length in shape)
        low = smallest - 2 * cell if octave == octaves[0] else CELLS * cell
        high = largest + 2 * cell if octave == octaves[-1] else 2 * CELLS * cell
        radii = np.arange(low + cell / 2, high, cell)
        phase = 2 * np.pi * np.log(radii / smallest) / turn
        votes = _votes(edges, radii, phase, cell, size)
        votes += _doubled(total, size) if total.size else 0
        total = votes
    for octave in reversed(range(octaves[0])):
        total = _doubled(total, tuple(-(-length // 2**octave) for length in shape))
    return total


def _octave(radius: float) -> int:
    return max(0, math.floor(math.log2(radius / CELLS)))


def _votes(edges: _Edges, radii: NDArray, phase: NDArray, cell: int, size: tuple[int, int]) -> NDArray[np.complex64]:
    rows, columns = size
    real, imaginary = np.zeros(rows * columns), np.zeros(rows * columns)
    at_once = max(1, VOTES_AT_ONCE // max(1, edges.x.size))
    for start in range(0, radii.size, at_once):
        part = slice(start, start + at_once)
        radius, code = radii[part, None], np.exp(1j * phase[part, None]) / (2 * np.pi * radii[part, None])
        column = np.floor((edges.x - radius * edges.u + 0.5) / cell).astype(np.int32)
        row = np.floor((edges.y - radius * edges.v + 0.5) / cell).astype(np.int32)
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        index = row[inside] * np.int32(columns) + column[inside]
        real += np.bincount(index, np.broadcast_to(code.real, inside.shape)[inside], minlength=real.size)
        imaginary += np.bincount(index, np.broadcast_to(code.imag, inside.shape)[inside], minlength=real.size)
    # A Gaussian of 1 cell with a peak of 1 adds up the votes around a centre; across the radial steps it sums to
    # sqrt(2 pi), by which the votes of a full circle are too many.
    votes = np.empty((rows, columns), dtype=np.complex64)
    for out, values in ((votes.real, real), (votes.imag, imaginary)):
        values = values.reshape(rows, columns).astype(np.float32) * np.float32(math.sqrt(2 * math.pi))
        out[...] = ndimage.gaussian_filter(values, 1.0, mode="constant", truncate=3)
    return votes


def _doubled(coarse: NDArray, shape: tuple[int, int]) -> NDArray:
    """Interpolate linearly to cells of half the size, of which there are `shape`; in a fifth of ndimage.zoom's time."""
    for axis in (0, 1):
        coarse = np.moveaxis(coarse, axis, 0)
        fine = np.repeat(np.float32(0.75) * coarse, 2, axis=0)
        quarter = np.float32(0.25) * coarse
        fine[2::2] += quarter[:-1]
        fine[1:-1:2] += quarter[1:]
        fine[[0, -1]] += quarter[[0, -1]]
        coarse = np.moveaxis(fine[: shape[axis]], 0, axis)
    return coarse


def _fit(edges: _Edges, x: NDArray, y: NDArray, radius: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Fit circles to the edges near them, and measure how much of each circumference has an edge."""
    tree = cKDTree(np.column_stack([edges.x, edges.y]))
    # In portions: where noise makes thousands of circles, they have millions of edges.
    fitted = [np.zeros((4, 0))]
    for start in range(0, x.size, FITS_AT_ONCE):
        part = slice(start, start + FITS_AT_ONCE)
        circle, point = _near(tree, edges, x[part], y[part], radius[part])
        near = _Edges(*(values[point] for values in edges))
        fitted.append(_fit_portion(near, circle, x[part], y[part], radius[part]))
    return tuple(np.concatenate(fitted, axis=1))


def _near(tree: cKDTree, edges: _Edges, x: NDArray, y: NDArray, radius: NDArray) -> tuple[NDArray, NDArray]:
    """Return the pairs of a circle and an edge near it that faces away from its centre, roughly."""
    near = tree.query_ball_point(np.column_stack([x, y]), 1.4 * radius + 2, return_sorted=False)
    count = np.array([len(points) for points in near])
    point = np.fromiter(itertools.chain.from_iterable(near), dtype=np.intp, count=int(count.sum()))
    circle = np.repeat(np.arange(count.size), count)
    across, down = edges.x[point] - x[circle], edges.y[point] - y[circle]
    away = np.hypot(across, down)
    useful = (away > 0.6 * radius[circle] - 2) & (across * edges.u[point] + down * edges.v[point] > FACING * away)
    return circle[useful], point[useful]


def _fit_portion(edges: _Edges, circle: NDArray, x: NDArray, y: NDArray, radius: NDArray) -> NDArray:
    """Return x, y, radius and strength, shape (4, n); `edges` are those near the circles, `circle` says which."""
    n = x.size

    def seen_from_centre():
        across, down = edges.x - x[circle], edges.y - y[circle]
        away = np.maximum(np.hypot(across, down), 1e-6)
        across, down = across / away, down / away
        return across, down, away, across * edges.u + down * edges.v > ALIGNED

    def sums(values, chosen):
        return np.bincount(circle[chosen], values[chosen], minlength=n)

    # From coarse to fine: the phase gives the radius to about 10 %.
    for reach in (2.5, 1.5, 1.0, 1.0):
        across, down, away, aligned = seen_from_centre()
        tolerance = reach * np.maximum(1, TOLERANCE * radius)
        error = away - radius[circle]
        share = error / tolerance[circle]
        chosen = aligned & (np.abs(share) < 1)
        weight = (1 - share**2) ** 2
        matrix, vector = np.zeros((n, 3, 3)), np.zeros((n, 3))
        direction = (across, down, np.ones_like(away))
        for i in range(3):
            vector[:, i] = sums(weight * error * direction[i], chosen)
            for j in range(i, 3):
                matrix[:, i, j] = matrix[:, j, i] = sums(weight * direction[i] * direction[j], chosen)
        # A little damping: a short arc says nothing of where its centre is along the radius.
        matrix += np.eye(3) * (0.02 * matrix[:, 2, 2] + 1e-9)[:, None, None]
        step = np.linalg.solve(matrix, vector[:, :, None])[:, :, 0]
        step = np.clip(step, -tolerance[:, None], tolerance[:, None])
        x, y, radius = x + step[:, 0], y + step[:, 1], np.maximum(radius + step[:, 2], 1.0)
    across, down, away, aligned = seen_from_centre()
    chosen = aligned & (np.abs(away - radius[circle]) < np.maximum(1, TOLERANCE * radius)[circle])
    # An unbroken edge has a point in each sector of two pixels.
    sectors = np.maximum(np.pi * radius, 6).astype(np.intp)
    first = np.concatenate([[0], np.cumsum(sectors)[:-1]])
    turn = np.mod(np.arctan2(down, across) / (2 * np.pi), 1)
    sector = first[circle] + np.minimum((turn * sectors[circle]).astype(np.intp), sectors[circle] - 1)
    filled = np.bincount(sector[chosen], minlength=int(sectors.sum())) > 0
    return np.stack([x, y, radius, np.add.reduceat(filled, first, dtype=np.float64) / sectors])
