"""Cut squares from a micrograph at the scale of its particles."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit.imaging.contrast import Contrast
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.preparation import CLIPPED, recorded, rescaled
from cryokit.micrograph import Micrograph

if TYPE_CHECKING:
    from cryokit.imaging import Preprocessing

_AT_ONCE = 1 << 20  # pixels in floating point at a time: as many as a processor's cache holds


def normalise(patches: NDArray) -> NDArray[np.uint8]:
    """Bring each patch to mean 0 and standard deviation 1, and store that as bytes.

    Bytes 0 ... 255 stand for -`CLIPPED` ... +`CLIPPED` (4) standard deviations; grey values beyond are limited. A step
    is 0.03 standard deviations, far below the noise of any micrograph, so a byte keeps what a float would, in a quarter
    of the space. A patch without variation becomes 128 everywhere.

    Parameters
    ----------
    patches : ndarray, shape (..., rows, columns)
        Grey values.

    Returns
    -------
    ndarray of uint8, same shape

    Examples
    --------
    >>> normalise(np.array([[1.0, 3.0], [3.0, 1.0]])).tolist()
    [[96, 159], [159, 96]]
    """
    patches = np.asarray(patches, np.float32)
    centred = patches - patches.mean(axis=(-2, -1), keepdims=True, dtype=np.float64).astype(np.float32)
    # Faster than numpy's `std`, which subtracts the mean again.
    spread = np.sqrt(np.einsum("...ij,...ij->...", centred, centred) / math.prod(patches.shape[-2:]))[..., None, None]
    # A patch of one grey value has a spread of rounding errors only.
    flat = spread <= 1e-6 * np.abs(patches).max(axis=(-2, -1), keepdims=True)
    centred /= np.where(flat, np.inf, spread)
    centred *= 127.5 / CLIPPED
    centred += 128  # not the middle, 127.5: so cutting off decimals rounds to the nearest
    return np.clip(centred, 0, 255).astype(np.uint8)


def standardised(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn the bytes of `normalise` back into numbers with mean 0 and standard deviation 1 in each patch.

    Parameters
    ----------
    patches : ndarray of uint8, any shape
        Normalised patches.

    Returns
    -------
    ndarray of float32, same shape
        Standard deviations, between -4 and 4.
    """
    values = patches.astype(np.float32)
    values -= np.float32(127.5)
    values *= np.float32(CLIPPED / 127.5)
    return values


@dataclass(frozen=True)
class PatchSource:
    """A micrograph ready to cut patches from: its recorded area at the scale of the patches, particles dark.

    Attributes
    ----------
    data : ndarray of float32, shape (rows, columns)
        Grey values.
    frame : Frame
        Frame of `data` in the micrograph as stored.
    size : int
        Side of a patch in its own pixels.
    step : float
        Pixels of `data` per pixel of a patch: 1 where patches are cut out as they are, less where the micrograph is too
        coarse and they are enlarged.
    side : float
        Side of a patch in pixels of the micrograph as stored.
    """

    data: NDArray[np.float32]
    frame: Frame
    size: int
    step: float
    side: float

    @property
    def enlarged(self) -> bool:
        """Whether patches have more pixels than the micrograph has there."""
        return self.step < 1

    @property
    def reach(self) -> float:
        """Distance from the centre of a patch to the centres of its outermost pixels, in pixels of `data`."""
        return (self.size - 1) / 2 * self.step

    def inside(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
        """Tell which patches lie wholly in the recorded area.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Centres in pixels of the micrograph as stored.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        columns, rows = self._starts(x, y)
        # Rounding of positions on their way through the scales must not decide.
        tolerance, length = 1e-6, 2 * self.reach
        return (
            (columns >= -tolerance)
            & (rows >= -tolerance)
            & (columns + length <= self.data.shape[1] - 1 + tolerance)
            & (rows + length <= self.data.shape[0] - 1 + tolerance)
        )

    def cut(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.uint8]:
        """Return normalised patches.

        Where nothing is enlarged, a patch starts at a whole pixel, so its centre is off by up to half a pixel: grey
        values stay as they are, and so does the noise, whose grain an interpolation would change from patch to patch.
        Enlarged patches are interpolated by cubic splines at the exact centre.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Centres in pixels of the micrograph as stored; all of them have to be `inside`.

        Returns
        -------
        ndarray of uint8, shape (n, size, size)
        """
        columns, rows = self._starts(x, y)
        patches = np.empty((len(columns), self.size, self.size), np.uint8)
        at_once = max(1, _AT_ONCE // self.size**2)
        parts = [slice(start, start + at_once) for start in range(0, len(columns), at_once)]
        if not self.enlarged:
            squares = np.lib.stride_tricks.sliding_window_view(self.data, (self.size, self.size))
            for part in parts:
                patches[part] = normalise(squares[rows[part].astype(np.intp), columns[part].astype(np.intp)])
            return patches
        # The pixels under a patch, and three more for the spline; one width for all patches.
        width = math.ceil((self.size - 1) * self.step) + 4
        around = np.lib.stride_tricks.sliding_window_view(self._coefficients, (width, width))
        for part in parts:
            # A start may be a rounding error before the first pixel; the coefficients go two pixels further.
            row, column = (np.floor(starts[part]).astype(np.intp) for starts in (rows, columns))
            enlarged = _interpolate(around[row + 1, column + 1], rows[part] - row, self.step, self.size)
            enlarged = _interpolate(enlarged.swapaxes(1, 2), columns[part] - column, self.step, self.size)
            patches[part] = normalise(enlarged.swapaxes(1, 2))
        return patches

    def lattice(self, fineness: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a lattice of centres whose patches are `inside`, at most 512 along each axis.

        Parameters
        ----------
        fineness : float
            Spacing in sides of a patch.
        rng : numpy.random.Generator
            Source of randomness: the lattice starts at a random place.

        Returns
        -------
        columns, rows : ndarray of float64
            Columns and rows of the centres in pixels of the micrograph as stored.
        """
        lines = []
        for length in self.data.shape[::-1]:
            room = length - 1 - 2 * self.reach
            apart = max(1, round(fineness * self.size * self.step), -(-length // 512))
            # Whole pixels, so that the patch that is cut has exactly this centre.
            first = int(rng.integers(0, min(apart, int(room) + 1))) if room >= 0 else 0
            lines.append(np.arange(first, room + 1e-9, apart) + self.reach if room >= 0 else np.empty(0))
        return self.frame.to_source(*lines)

    @functools.cached_property
    def _coefficients(self) -> NDArray[np.float32]:
        """Coefficients of the cubic spline through all pixels, mirrored at the border, with two more at each side."""
        from scipy import ndimage

        coefficients = ndimage.spline_filter(self.data, order=3, output=np.float32, mode="mirror")
        return np.pad(coefficients, 2, mode="reflect" if min(self.data.shape) > 2 else "edge")

    def _starts(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the first pixels of patches lie in `data`."""
        columns, rows = self.frame.from_source(x, y)
        columns, rows = columns - self.reach, rows - self.reach
        if self.enlarged:
            return columns, rows
        return np.floor(columns + 0.5), np.floor(rows + 0.5)


def _interpolate(
    coefficients: NDArray[np.float32], starts: NDArray[np.float64], step: float, size: int
) -> NDArray[np.float32]:
    """Evaluate cubic splines down the rows of patches, at ``starts + step * i`` with i = 0 ... size - 1.

    One axis after the other, all patches at once: that takes a half (64 x 64 pixels) to a sixth (227 x 227) of the time
    of `scipy.ndimage.affine_transform` patch by patch.

    Parameters
    ----------
    coefficients : ndarray of float32, shape (n, rows, columns)
        Spline coefficients; the first row is the one before the pixel that contains the start.
    starts : ndarray of float, shape (n,)
        First positions, between 0 and 1.
    step : float
        Distance of positions.
    size : int
        Number of positions.

    Returns
    -------
    ndarray of float32, shape (n, size, columns)
    """
    positions = starts[:, None] + step * np.arange(size)
    knots = np.floor(positions).astype(np.intp)
    t = (positions - knots)[..., None].astype(np.float32)
    basis = [(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]
    patch = np.arange(len(starts))[:, None]
    values = np.zeros((len(starts), size, coefficients.shape[2]), np.float32)
    for offset, weights in enumerate(basis):
        values += weights / 6 * coefficients[patch, knots + offset]
    return values


def patch_source(
    micrograph: Micrograph,
    diameter: float,
    *,
    size: int,
    box: float,
    contrast: Contrast,
    preprocessing: Preprocessing | None,
) -> PatchSource:
    """Bring a micrograph to the scale at which `box` diameters are `size` pixels.

    The micrograph is cropped to the recorded area without hot pixels (`cryokit.imaging.recorded`) and binned in Fourier
    space, or preprocessed at the chain's own working scale and binned from there. It is never enlarged as a whole.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph as stored.
    diameter : float
        Particle diameter in pixels of the micrograph.
    size, box, contrast, preprocessing
        As in `cryokit.networks.patches.build`.

    Returns
    -------
    PatchSource

    Raises
    ------
    MicrographError
        If pixels are NaN or infinite.
    """
    # Whoever names the particles knows that they are there.
    area, frame = recorded(micrograph, fill=False)
    step = box * diameter / size  # pixels of the micrograph per pixel of a patch
    if preprocessing is None:
        area = area if contrast == "dark" else -area
    else:
        step /= preprocessing.factor(diameter)
        frame = frame.then(preprocessing.frame(area.shape, diameter))
        area = np.asarray(preprocessing(area, diameter, contrast), np.float32)
    if step > 1:
        (area, frame), step = rescaled(Picture(area, frame), 1 / step), 1.0
    return PatchSource(area, frame, size, step, box * diameter)
