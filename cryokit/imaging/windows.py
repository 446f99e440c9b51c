"""A micrograph as a network with a fixed window sees it: at the scale of section 2.2, every window alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.errors import MicrographError
from cryokit.imaging import bin_fourier, binned_shape
from cryokit.imaging.filters import live_area, without_outliers
from cryokit.imaging.scale import rescale, rescaled_shape
from cryokit.micrograph import Micrograph
from cryokit.networks.patches.cutting import LIMIT

BOX = 1.25  # side of the particle's box in diameters: table 4 has 94 pixels for apoferritin, which is 76 across
# Pixels across a particle in which all that is looked for is to be seen. Finer detail is noise in most micrographs,
# and a window full of noise makes a network learn the noise of its few training patches.
DETAIL = 48.0
# Where a micrograph is even (padding, the shadow of a crystal), noise must not be raised without limit.
LEAST_DEVIATION = 0.2  # of the median


@dataclass(frozen=True)
class Frame:
    """How the pixels of the picture that is scored lie in the micrograph.

    Attributes
    ----------
    resized : (rows, columns)
        Of the picture, without the line of zeros that makes a side even.
    shape : (rows, columns)
        Of the recorded part of the micrograph, in its own pixels.
    left, top : int
        Corner of that part.
    """

    resized: tuple[int, int]
    shape: tuple[int, int]
    left: int
    top: int

    @classmethod
    def of(cls, micrograph: Micrograph, diameter: float, factor: float) -> Frame:
        """Return the frame of the picture that `prepare` makes with the same arguments."""
        rows, columns = live_area(micrograph.data)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        detail = _detail(diameter)
        return cls(rescaled_shape(binned_shape(shape, detail), factor * detail), shape, columns.start, rows.start)

    @property
    def scale(self) -> float:
        """Pixels of the picture per pixel of the micrograph."""
        return self.resized[0] / self.shape[0]

    def from_micrograph(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where positions in the micrograph as stored are in the picture."""
        x, y = np.asarray(x, np.float64) - self.left, np.asarray(y, np.float64) - self.top
        return x * (self.resized[1] / self.shape[1]), y * (self.resized[0] / self.shape[0])

    def to_micrograph(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where positions in the picture are in the micrograph as stored."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        x, y = x * (self.shape[1] / self.resized[1]), y * (self.shape[0] / self.resized[0])
        return x + self.left, y + self.top


def prepare(
    micrograph: Micrograph, diameter: float, contrast: Literal["dark", "bright"], factor: float, window: int
) -> tuple[NDArray[np.float32], Frame]:
    """Bring a micrograph to the network's scale.

    Padded borders are left out, hot pixels limited, detail finer than a `DETAIL`-th of the particle removed by binning;
    then the micrograph is resized (`cryokit.imaging.scale`) and levelled: of each pixel the mean of the window around it is
    subtracted, and the difference divided by the window's standard deviation. So every window has about the mean 0 and
    the deviation 1 that patches of a training set have exactly, and one picture serves all windows.

    Parameters
    ----------
    micrograph : Micrograph
    diameter : float
        Of the particle, in pixels of the micrograph.
    contrast : {"dark", "bright"}
        Of the particles in the micrograph.
    factor : float
        By which the micrograph is resized.
    window : int
        Side of the network's window.

    Returns
    -------
    picture : ndarray of float32, shape (rows, columns)
        Particles dark.
    frame : Frame

    Raises
    ------
    MicrographError
        When pixels are NaN or infinite, or the resized micrograph is smaller than a window.
    """
    frame = Frame.of(micrograph, diameter, factor)
    if min(frame.resized) < window:
        raise MicrographError(
            f"{micrograph.name}: {frame.shape[0]} x {frame.shape[1]} pixels are too few for particles of "
            f"{diameter:.0f}; give the diameter in pixels of the micrograph as stored"
        )
    rows, columns = frame.shape
    image = micrograph.data[frame.top : frame.top + rows, frame.left : frame.left + columns]
    if not (np.isfinite(image.min()) and np.isfinite(image.max())):
        raise MicrographError(f"{micrograph.name}: has pixels that are NaN or infinite; replace them or leave it out")
    image = without_outliers(image)
    detail = _detail(diameter)
    image = bin_fourier(image if contrast == "dark" else -image, detail)
    image -= np.median(image)
    return _levelled(rescale(image, factor * detail), window), frame


def _detail(diameter: float) -> float:
    return max(1.0, diameter / DETAIL)


def _levelled(image: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    image = image - ndimage.uniform_filter(image, window, mode="reflect")
    deviation = np.sqrt(ndimage.uniform_filter(image * image, window, mode="reflect"))
    typical = float(np.median(deviation))
    image /= np.maximum(deviation, max(LEAST_DEVIATION * typical, 1e-20))
    return np.clip(image, -LIMIT, LIMIT, out=image)
