"""A micrograph as the compact network sees it: at the particle's scale, levelled, whitened, particles bright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.imaging.filters import flatten, live_area, whiten, without_outliers

WORKING_DIAMETER = 28.0  # pixels across a particle


@dataclass(frozen=True)
class Prepared:
    """The picture, and how its pixels lie in the micrograph.

    Positions are carried over by the areas of the pixels: the outer edges of the picture are those of the recorded
    part. Labels and picks take the same way there and back, so a network's positions come out where the labels were.

    Attributes
    ----------
    image : ndarray of float32, shape (rows, columns)
        In robust standard deviations, particles bright.
    shape : (rows, columns)
        Of the recorded part of the micrograph, in its own pixels.
    left, top : int
        Corner of that part.
    diameter : float
        Of the particle, in pixels of `image`.
    """

    image: NDArray[np.float32]
    shape: tuple[int, int]
    left: int
    top: int
    diameter: float

    def from_micrograph(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where positions in the micrograph as stored are in `image`."""
        rows, columns = self._scales
        x, y = np.asarray(x, np.float64) - self.left, np.asarray(y, np.float64) - self.top
        return (x + 0.5) * columns - 0.5, (y + 0.5) * rows - 0.5

    def to_micrograph(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where positions in `image` are in the micrograph as stored."""
        rows, columns = self._scales
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        return (x + 0.5) / columns - 0.5 + self.left, (y + 0.5) / rows - 0.5 + self.top

    @property
    def _scales(self) -> tuple[float, float]:
        return self.image.shape[0] / self.shape[0], self.image.shape[1] / self.shape[1]


def prepare(
    data: NDArray,
    diameter: float,
    contrast: Literal["dark", "bright"],
    working_diameter: float = WORKING_DIAMETER,
) -> Prepared:
    """Bring a micrograph to the particle's scale and make it comparable with all others.

    Padded borders are left out, hot pixels limited, the rest is binned in Fourier space until a particle is
    `working_diameter` pixels across (enlarged by cubic splines where it is smaller), levelled
    (`cryokit.imaging.filters.flatten`) and whitened (`cryokit.imaging.filters.whiten`).

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph as stored.
    diameter : float
        Of the particle, in pixels of `data`.
    contrast : {"dark", "bright"}
        Of the particles in `data`.
    working_diameter : float

    Returns
    -------
    Prepared
    """
    rows, columns = live_area(data)
    recorded = without_outliers(data[rows, columns])
    shape = recorded.shape
    if diameter < working_diameter:
        recorded = ndimage.zoom(recorded.astype(np.float32), working_diameter / diameter, order=3, mode="reflect")
    scale = diameter * recorded.shape[0] / shape[0]
    image = flatten(recorded, scale, contrast=contrast, working_diameter=working_diameter)
    across = diameter * image.shape[0] / shape[0]
    return Prepared(whiten(image, across), shape, columns.start, rows.start, across)
