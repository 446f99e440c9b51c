"""The preprocessing chain of DeepCryoPicker: from a micrograph to a picture in which particles are dark."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError
from cryokit.imaging.binning import bin_fourier, resized_frame
from cryokit.imaging.frame import Frame
from cryokit.imaging.matlab import (
    adapthisteq,
    histeq,
    imadjust,
    imguidedfilter,
    imopen,
    mat2gray,
    stretchlim,
    wiener2,
)

STAGES = ("binned", "normalised", "stretched", "equalised", "restored", "adaptive", "guided", "opened")
# SuperCryoEMPicker opens with a disc of 3 pixels once, then with one of 1 pixel four times.
SUPER_OPENING = (0.075, 0.025, 0.025, 0.025, 0.025)
DISTRIBUTIONS = ("uniform", "rayleigh", "exponential")


@dataclass(frozen=True)
class Preprocessing:
    """The chain of DeepCryoPicker, with all its parameters; call it with a micrograph and the particle's diameter.

    ============ ===========================================================================================
    stage        what it is
    ============ ===========================================================================================
    binned       binned to the working diameter; negated where particles are bright, so that they are dark
    normalised   mapped to [0, 1] (`mat2gray`)
    stretched    contrast enhancement correction, CEC: stretched between two quantiles
    equalised    histogram equalised (`histeq`)
    restored     adaptive Wiener filter (`wiener2`)
    adaptive     histogram equalised again, then adaptively, once for each clip limit (`adapthisteq`)
    guided       guided filter, the picture its own guide, several times; then stretched again
    opened       morphological openings: bright specks inside and between particles go
    ============ ===========================================================================================

    Parameters
    ----------
    working_diameter : float
        Pixels across a particle after binning. The paper halves its micrographs, which makes particles of 80 pixels
        as large. Micrographs are never enlarged.
    stretch : (float, float)
        Quantiles that become 0 and 1, in the stages stretched and guided.
    bins : int
        Grey levels after histogram equalisation.
    wiener_window : float
        Side of the Wiener filter's window, as a fraction of the particle's diameter; 5 pixels at the working diameter.
    clahe_clip_limits : tuple of float
        One for each round of adaptive equalisation, between 0 and 1.
    clahe_tiles : (int, int)
        Tiles down and across the picture; fewer where a tile would be smaller than a particle.
    clahe_distribution : {"uniform", "rayleigh", "exponential"}
    clahe_alpha : float
        Parameter of the Rayleigh or exponential distribution.
    guided_window : float
        Side of the guided filter's window, as a fraction of the diameter.
    guided_smoothing : float
        Variance of grey values in [0, 1] below which neighbourhoods are smoothed.
    guided_times : int
    opening_radii : tuple of float
        Radii of the discs, one for each opening, as fractions of the diameter: 1 pixel at the working diameter.
        `SUPER_OPENING` is SuperCryoEMPicker's.

    Raises
    ------
    PickerError
        When a parameter is out of its range.

    Notes
    -----
    Source: Al-Azzawi et al. 2020, BMC Bioinformatics 21:509; order and values of its predecessors AutoCryoPicker and
    SuperCryoEMPicker. Windows have an odd number of pixels, at least 3; radii above 0 are at least 1 pixel. Three
    things differ from the MATLAB programs: the scale follows the particle instead of halving every micrograph; the
    Wiener filter sees the picture mirrored at its border instead of black surroundings, which would draw a dark
    frame; and small crops have fewer tiles.

    Examples
    --------
    >>> chain = Preprocessing(guided_times=2)
    >>> chain.factor(100), chain.factor(30)
    (2.5, 1.0)
    >>> chain(np.random.default_rng(0).normal(size=(100, 120)), diameter=80).shape
    (50, 60)
    """

    working_diameter: float = 40.0
    stretch: tuple[float, float] = (0.01, 0.99)
    bins: int = 64
    wiener_window: float = 0.125
    clahe_clip_limits: tuple[float, ...] = (0.02, 0.99)
    clahe_tiles: tuple[int, int] = (8, 8)
    clahe_distribution: Literal["uniform", "rayleigh", "exponential"] = "rayleigh"
    clahe_alpha: float = 0.4
    guided_window: float = 0.125
    guided_smoothing: float = 0.01
    guided_times: int = 4
    opening_radii: tuple[float, ...] = (0.025,) * 5

    def __post_init__(self) -> None:
        for name in ("stretch", "clahe_clip_limits", "clahe_tiles", "opening_radii"):
            # Lists come back from JSON.
            try:
                object.__setattr__(self, name, tuple(getattr(self, name)))
            except TypeError:
                raise PickerError(f"{name} {getattr(self, name)!r}: give a sequence of numbers") from None
        number, whole = _is_number, _is_whole
        allowed = {
            "working_diameter": (number(self.working_diameter, 4), "a number of pixels, 4 or more"),
            "stretch": (_is_interval(self.stretch), "two fractions, 0 <= low < high <= 1"),
            "bins": (whole(self.bins, 2), "a whole number of at least 2"),
            "wiener_window": (number(self.wiener_window, 0, 1), "a fraction of the diameter between 0 and 1"),
            "clahe_clip_limits": (
                all(number(limit, 0, 1) for limit in self.clahe_clip_limits),
                "numbers between 0 and 1",
            ),
            "clahe_tiles": (
                len(self.clahe_tiles) == 2 and all(whole(n, 1) for n in self.clahe_tiles),
                "two whole numbers of at least 1",
            ),
            "clahe_distribution": (self.clahe_distribution in DISTRIBUTIONS, f"one of {', '.join(DISTRIBUTIONS)}"),
            "clahe_alpha": (number(self.clahe_alpha) and self.clahe_alpha > 0, "a number above 0"),
            "guided_window": (number(self.guided_window, 0, 1), "a fraction of the diameter between 0 and 1"),
            "guided_smoothing": (number(self.guided_smoothing, 0), "a number of at least 0"),
            "guided_times": (whole(self.guided_times, 0), "a whole number of at least 0"),
            "opening_radii": (
                all(number(radius, 0, 1) for radius in self.opening_radii),
                "fractions of the diameter between 0 and 1",
            ),
        }
        for name, (holds, wanted) in allowed.items():
            if not holds:
                raise PickerError(f"{name} {getattr(self, name)!r}: give {wanted}")

    def factor(self, diameter: float) -> float:
        """Return by how much micrographs with particles of this diameter are binned, at least 1.

        Parameters
        ----------
        diameter : float
            In pixels of the micrograph.

        Raises
        ------
        PickerError
            When the diameter is not a positive number.
        """
        if not (_is_number(diameter) and diameter > 0):
            raise PickerError(f"diameter {diameter!r}: give the particle's diameter in pixels of the micrograph")
        return max(1.0, float(diameter) / self.working_diameter)

    def frame(self, shape: tuple[int, int], diameter: float) -> Frame:
        """Return the frame of the pictures that the chain makes.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the micrograph.
        diameter : float
            Particle diameter in pixels of the micrograph.
        """
        return resized_frame(shape, 1 / self.factor(diameter))

    def stages(
        self,
        data: NDArray,
        diameter: float,
        contrast: Literal["dark", "bright"] = "dark",
        *,
        keep: Collection[str] = STAGES,
    ) -> dict[str, NDArray[np.float32]]:
        """Return the pictures after each stage.

        Parameters
        ----------
        data : ndarray, shape (rows, columns)
            Micrograph; finite numbers.
        diameter : float
            Of the particle, in pixels of `data`.
        contrast : {"dark", "bright"}
            Of the particles in `data`.
        keep : collection of str
            The stages that are wanted; the pictures of the others do not take up memory.

        Returns
        -------
        dict of str to ndarray of float32
            Pictures by the names in `STAGES`, in order, all with the same `frame`; all but ``binned`` in [0, 1], particles dark. Of a constant micrograph
            they are 1 everywhere: background.

        Raises
        ------
        PickerError
            When the diameter is not a positive number or the contrast unknown.
        MicrographError
            When `data` is not two-dimensional.
        """
        return {name: picture for name, picture in self._steps(data, diameter, contrast) if name in keep}

    def __call__(
        self, data: NDArray, diameter: float, contrast: Literal["dark", "bright"] = "dark"
    ) -> NDArray[np.float32]:
        """Return the picture after the last stage; parameters and errors as for `stages`."""
        for _, picture in self._steps(data, diameter, contrast):  # noqa: B007 - one picture in memory at a time
            pass
        return picture

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON; ``Preprocessing(**parameters)`` makes the same chain."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    def _steps(self, data: NDArray, diameter: float, contrast: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
        if contrast not in ("dark", "bright"):
            raise PickerError(f"contrast {contrast!r}: particles are 'dark' or 'bright'")
        factor = self.factor(diameter)
        working = diameter / factor
        picture = bin_fourier(data, factor).data
        if contrast == "bright":
            np.negative(picture, out=picture)
        yield "binned", picture
        if picture.min() == picture.max():
            yield from ((name, np.ones_like(picture)) for name in STAGES[1:])
            return
        picture = mat2gray(picture)
        yield "normalised", picture
        picture = self._stretched(picture)
        yield "stretched", picture
        picture = histeq(picture, self.bins)
        yield "equalised", picture
        picture = wiener2(picture, (_odd(self.wiener_window * working),) * 2, border="symmetric")
        yield "restored", picture
        picture = histeq(picture, self.bins)
        # A tile smaller than a particle would equalise the particle itself away.
        tiles = tuple(
            min(n, max(1, int(side // working))) for n, side in zip(self.clahe_tiles, picture.shape, strict=True)
        )
        for limit in self.clahe_clip_limits:
            picture = adapthisteq(picture, tiles, limit, distribution=self.clahe_distribution, alpha=self.clahe_alpha)
        yield "adaptive", picture
        for _ in range(self.guided_times):
            picture = imguidedfilter(
                picture, window=(_odd(self.guided_window * working),) * 2, smoothing=self.guided_smoothing
            )
        picture = self._stretched(picture)
        yield "guided", picture
        for radius in self.opening_radii:
            if radius > 0:
                picture = imopen(picture, max(1, round(radius * working)))
        yield "opened", picture

    def _stretched(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        return imadjust(picture, stretchlim(picture, self.stretch))


def _odd(length: float) -> int:
    """Nearest odd number of pixels, at least 3."""
    return max(3, 2 * math.floor(length / 2) + 1)


def _is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return math.isfinite(value) and least <= value <= most


def _is_whole(value: object, least: int) -> bool:
    return _is_number(value, least) and value == int(value)


def _is_interval(values: tuple) -> bool:
    return len(values) == 2 and all(_is_number(value, 0, 1) for value in values) and values[0] < values[1]
