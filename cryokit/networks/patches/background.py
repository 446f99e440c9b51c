"""Places of a micrograph that show nothing but background."""

import math

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.patches.cutting import PatchSource

FINENESS = 1 / 16  # spacing of the lattice of centres that are considered, in sides of a patch
APART = (1 / 2, 1 / 4, 1 / 8)  # distance of two centres in sides of a patch; closer only where there is no more room


def background_places(
    source: PatchSource,
    x: NDArray,
    y: NDArray,
    radius: NDArray,
    most: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres of patches whose squares touch none of some discs, spread over the free area.

    A lattice of centres covers the recorded area; each disc rules out those from which it would touch the square. From
    the rest centres are drawn at random, at first half a side apart in x or y, then a quarter, then an eighth.

    Parameters
    ----------
    source : PatchSource
        Micrograph that patches are cut from.
    x, y, radius : ndarray, shape (n,)
        Centres and radii of the discs in pixels of the micrograph as stored.
    most : int
        Largest number of places.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    x, y : ndarray of float64, shape (m,)
        Centres in the order in which they were drawn: the first ones are the most evenly spread.
    """
    columns, rows = source.lattice(FINENESS, rng)
    free = np.ones((len(rows), len(columns)), bool)
    # Binning rounds the number of pixels, so a patch is wider than `side` by less than a pixel's fraction.
    pixels = source.size * source.step
    half = max(source.side, pixels * source.frame.step_x, pixels * source.frame.step_y) / 2
    for centre_x, centre_y, r in zip(x, y, radius, strict=True):
        across, down = _within(columns, centre_x, half + r), _within(rows, centre_y, half + r)
        dx = np.maximum(np.abs(columns[across] - centre_x) - half, 0)
        dy = np.maximum(np.abs(rows[down] - centre_y) - half, 0)
        free[down, across] &= dx**2 + dy[:, None] ** 2 > r**2
    drawn: list[tuple[int, int]] = []
    order = [divmod(index, len(columns)) for index in rng.permutation(np.flatnonzero(free)).tolist()]
    for apart in APART:
        left = free.copy()
        steps = [
            math.ceil(apart * source.side / (line[1] - line[0])) if len(line) > 1 else 1 for line in (rows, columns)
        ]
        for place in drawn:
            _rule_out(left, place, steps)
        for place in order:
            if len(drawn) >= most:
                break
            if left[place]:
                drawn.append(place)
                _rule_out(left, place, steps)
    chosen = np.array(drawn, np.intp).reshape(-1, 2)
    return columns[chosen[:, 1]], rows[chosen[:, 0]]


def _within(line: NDArray, centre: float, reach: float) -> slice:
    """Return the part of an ascending line no further than `reach` from a centre, and one more at its end."""
    return slice(*np.searchsorted(line, (centre - reach, centre + reach)) + np.array([0, 1]))


def _rule_out(left: NDArray[np.bool_], place: tuple[int, int], steps: list[int]) -> None:
    """Take the surroundings of a place out of those that are left."""
    (row, column), (down, across) = place, steps
    left[max(0, row - down + 1) : row + down, max(0, column - across + 1) : column + across] = False
