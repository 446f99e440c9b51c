"""Where a micrograph shows nothing but background."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cryokit.networks.patches.cutting import PatchSource

FINENESS = 1 / 16  # of a patch's side: how finely room between particles is looked for
APART = (1 / 2, 1 / 4, 1 / 8)  # of a patch's side, between two centres; closer only when there is no more room


def places(
    picture: PatchSource,
    x: NDArray,
    y: NDArray,
    radius: NDArray,
    wanted: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres of patches whose squares touch none of the discs, spread over the free area.

    A lattice of centres covers the recorded area; each disc rules out those from which it would touch the square. From
    the rest centres are drawn at random, at first half a side apart in x or y, then a quarter, then
    an eighth.

    Parameters
    ----------
    picture : PatchSource
    x, y, radius : ndarray, shape (n,)
        Discs, in pixels of the micrograph as stored.
    wanted : int
        At most so many.
    rng : numpy.random.Generator

    Returns
    -------
    x, y : ndarray of float64, shape (m,)
        In the order in which they were drawn: the first ones are the most evenly spread.
    """
    columns, rows = picture.lattice(FINENESS, rng)
    free = np.ones((len(rows), len(columns)), bool)
    # Binning rounds the number of pixels, so a patch is wider than `side` by less than a pixel's fraction.
    half = (
        max(
            picture.side, *(picture.size * picture.step * step for step in (picture.frame.step_x, picture.frame.step_y))
        )
        / 2
    )
    for centre_x, centre_y, r in zip(x, y, radius, strict=True):
        across = _within(columns, centre_x, half + r)
        down = _within(rows, centre_y, half + r)
        dx = np.maximum(np.abs(columns[across] - centre_x) - half, 0)
        dy = np.maximum(np.abs(rows[down] - centre_y) - half, 0)
        free[down, across] &= dx**2 + dy[:, None] ** 2 > r**2
    drawn: list[tuple[int, int]] = []
    order = rng.permutation(np.flatnonzero(free))
    for apart in APART:
        left = free.copy()
        reach = apart * picture.side
        steps = [math.ceil(reach / (line[1] - line[0])) if len(line) > 1 else 1 for line in (rows, columns)]
        for row, column in drawn:
            _rule_out(left, row, column, steps)
        for index in order:
            if len(drawn) >= wanted:
                break
            row, column = divmod(int(index), len(columns))
            if left[row, column]:
                drawn.append((row, column))
                _rule_out(left, row, column, steps)
    chosen = np.array(drawn, np.intp).reshape(-1, 2)
    return columns[chosen[:, 1]], rows[chosen[:, 0]]


def _within(line: NDArray, centre: float, reach: float) -> slice:
    return slice(*np.searchsorted(line, (centre - reach, centre + reach)) + np.array([0, 1]))


def _rule_out(left: NDArray[np.bool_], row: int, column: int, steps: list[int]) -> None:
    down, across = steps
    left[max(0, row - down + 1) : row + down, max(0, column - across + 1) : column + across] = False
