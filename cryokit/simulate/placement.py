"""Where objects lie: drawn at random, not on top of each other, crowded or not, off the carbon."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

# How near an object may come to others and to the carbon, relative to its radius. Real particles touch; tighter, and
# then onto the edge of the carbon with all but the centre, only where there is no room left.
_CLOSEST = ((0.95, 0.95), (0.85, 0.95), (0.75, 0.95), (0.65, 0.65), (0.65, 0.0))


@dataclass(frozen=True)
class Field:
    """A micrograph, and the wider field around it that is simulated.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the micrograph.
    pixel_size : float
        Pixel size, Angstrom.
    pad : int
        Position of the first row and column of the micrograph in the wider field.
    """

    shape: tuple[int, int]
    pixel_size: float
    pad: int

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns of the wider field, of which Fourier transforms are fast."""
        return tuple(fft.next_fast_len(n + 2 * self.pad, real=True) for n in self.shape)

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the micrograph in the wider field."""
        return tuple(slice(self.pad, self.pad + n) for n in self.shape)


def waves(rng: np.random.Generator, shape: tuple[int, int], order: int = 4) -> np.ndarray:
    """Return a smooth random field of mean 0 and standard deviation 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    shape : tuple of int
        Rows and columns.
    order : int
        Largest number of half-waves across the field.

    Returns
    -------
    ndarray of float32, shape `shape`
    """
    weights = rng.normal(size=(order + 1, order + 1))
    wavenumber = np.hypot(*np.meshgrid(np.arange(order + 1), np.arange(order + 1)))
    weights = np.where(wavenumber > 0, weights / np.maximum(wavenumber, 1), 0)
    rows, columns = (
        np.cos(np.pi * np.outer((np.arange(n) + 0.5) / n, np.arange(order + 1))).astype(np.float32) for n in shape
    )
    field = rows @ weights.astype(np.float32) @ columns.T
    field -= field.mean()
    deviation = field.std()
    return field / deviation if deviation > 0 else field


class Floor:
    """The area in which objects are placed; it knows the clearance of every place on a coarse grid.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the micrograph.
    margin : float
        Distance that objects may lie outside of it, pixels.
    cell : float
        Step of the grid, pixels; finer packs tighter.
    rng : numpy.random.Generator
        Random numbers.
    clustering : float
        Spread of the logarithm of the number density; 0 is even.
    """

    def __init__(
        self, shape: tuple[int, int], margin: float, cell: float, rng: np.random.Generator, clustering: float
    ) -> None:
        self.rng, self.shape, self.cell, self.margin = rng, shape, cell, margin
        counts = [int(np.ceil((n + 2 * margin) / cell)) for n in shape]
        self.rows, self.columns = ((np.arange(n) + 0.5) * cell - margin - 0.5 for n in counts)
        self.inside = self._on_micrograph(self.columns[None, :], self.rows[:, None])
        # Pixels from each grid point to the edge of the nearest object, and to the carbon.
        self.clear = np.full(counts, np.inf, dtype=np.float32)
        self.film = np.full(counts, np.inf, dtype=np.float32)
        weight = np.exp(clustering * waves(rng, tuple(counts)))
        self.weight = weight / weight.max()
        self.discs = np.empty((0, 3))

    def add(self, discs: np.ndarray) -> None:
        """Put an object down.

        Parameters
        ----------
        discs : ndarray, shape (n, 3)
            x, y and radius, in pixels, of the discs that cover it.
        """
        self.discs = np.concatenate([self.discs, discs])
        for x, y, radius in discs:
            # Farther off than this no object that is still to come can feel it.
            reach = radius + self.margin + self.cell
            i0, i1 = np.searchsorted(self.rows, (y - reach, y + reach))
            j0, j1 = np.searchsorted(self.columns, (x - reach, x + reach))
            distance = np.hypot(self.columns[None, j0:j1] - x, self.rows[i0:i1, None] - y) - radius
            np.minimum(self.clear[i0:i1, j0:j1], distance, out=self.clear[i0:i1, j0:j1], casting="same_kind")

    def find(self, discs: np.ndarray, inside: bool | None = None) -> tuple[float, float] | None:
        """Return a free place for an object, or None if there is no room.

        Parameters
        ----------
        discs : ndarray, shape (n, 3)
            x, y and radius, in pixels, of the discs that cover it; x and y relative to its centre.
        inside : bool, optional
            Whether the centre has to lie on the micrograph, or beside it; either by default.

        Returns
        -------
        tuple of float, or None
            x and y of the centre, pixels.
        """
        allowed = np.ones(self.clear.shape, bool) if inside is None else self.inside == inside
        for objects, film in _CLOSEST:
            place = self._find(discs * (1, 1, objects), film / objects, allowed)
            if place is not None:
                return place
        return None

    def _find(self, discs: np.ndarray, film: float, allowed: np.ndarray) -> tuple[float, float] | None:
        for _ in range(20):
            i, j = self.rng.integers(self.rows.size, size=64), self.rng.integers(self.columns.size, size=64)
            good = allowed[i, j] & self._free(i, j, discs, film) & (self.rng.random(64) < self.weight[i, j])
            if good.any():
                k = good.argmax()
                return self._within_cell(i[k], j[k], discs)
        # Little room: look everywhere.
        i, j = np.nonzero(allowed)
        free = self._free(i, j, discs, film)
        i, j = i[free], j[free]
        if not i.size:
            return None
        weight = self.weight[i, j].astype(float)
        k = self.rng.choice(i.size, p=weight / weight.sum())
        return self._within_cell(i[k], j[k], discs)

    def _free(self, i: np.ndarray, j: np.ndarray, discs: np.ndarray, film: float) -> np.ndarray:
        good = np.ones(i.shape, dtype=bool)
        for x, y, radius in discs:
            row, column = i + round(y / self.cell), j + round(x / self.cell)
            known = (row >= 0) & (row < self.rows.size) & (column >= 0) & (column < self.columns.size)
            row, column = np.where(known, row, 0), np.where(known, column, 0)
            clear = (self.clear[row, column] >= radius) & (self.film[row, column] >= film * radius)
            good &= clear | ~known
        return good

    def _within_cell(self, i: int, j: int, discs: np.ndarray) -> tuple[float, float]:
        """Choose a place within a grid cell whose middle is free."""
        middle = np.array([self.columns[j], self.rows[i]])
        for _ in range(8):
            place = middle + self.rng.uniform(-0.5, 0.5, 2) * self.cell
            if self._on_micrograph(*place) != self.inside[i, j]:
                continue
            moved = discs[:, :2] + place
            gap = np.linalg.norm(moved[:, None] - self.discs[None, :, :2], axis=2) - self.discs[None, :, 2]
            if not self.discs.size or (gap >= discs[:, 2:]).all():
                return float(place[0]), float(place[1])
        return float(middle[0]), float(middle[1])

    def _on_micrograph(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x >= -0.5) & (x < self.shape[1] - 0.5) & (y >= -0.5) & (y < self.shape[0] - 0.5)
