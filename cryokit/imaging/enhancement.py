"""The preprocessing chain of DeepCryoPicker: from a micrograph to a picture in which particles are dark."""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cryokit._util.validation import check_choice, check_number
from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.imaging import matlab
from cryokit.imaging.binning import bin_fourier, resized_frame
from cryokit.imaging.contrast import Contrast
from cryokit.imaging.frame import Frame

STAGES = ("binned", "normalised", "stretched", "equalised", "restored", "adaptive", "guided", "opened")
# SuperCryoEMPicker opens with a disc of 3 pixels once, then with one of 1 pixel four times.
SUPER_OPENING = (0.075, 0.025, 0.025, 0.025, 0.025)


@dataclass(frozen=True)
class Preprocessing:
    """The chain of DeepCryoPicker with all its parameters; call it with a micrograph and the particle diameter.

    ============ ===========================================================================================
    stage        operation
    ============ ===========================================================================================
    binned       binned to the working diameter; negated if particles are bright, so that they become dark
    normalised   mapped to [0, 1] (`mat2gray`)
    stretched    contrast enhancement correction, CEC: stretched between two quantiles (`imadjust`)
    equalised    histogram equalised (`histeq`)
    restored     adaptive Wiener filter (`wiener2`)
    adaptive     histogram equalised again, then adaptively, once for each clip limit (`adapthisteq`)
    guided       guided filter (`imguidedfilter`), the picture its own guide, several times; stretched again
    opened       morphological openings (`imopen`), which remove bright specks inside and between particles
    ============ ===========================================================================================

    Parameters
    ----------
    working_diameter : float
        Particle diameter in pixels after binning, at least 4. The paper halves its micrographs, in which particles are
        80 pixels across. Micrographs are never enlarged.
    stretch : (float, float)
        Quantiles that become 0 and 1 in the stages stretched and guided.
    bins : int
        Number of grey levels after histogram equalisation.
    wiener_window : float
        Side of the Wiener filter's window, as a fraction of the particle's diameter; 5 pixels at the working diameter.
    clahe_clip_limits : tuple of float
        Clip limits, between 0 and 1, one for each round of adaptive equalisation.
    clahe_tiles : (int, int)
        Number of tiles down and across the picture; fewer where a tile would be smaller than a particle.
    clahe_distribution : {"uniform", "rayleigh", "exponential"}
        Shape of the tiles' histograms.
    clahe_alpha : float
        Parameter of the Rayleigh or exponential distribution.
    guided_window : float
        Side of the guided filter's window, as a fraction of the diameter.
    guided_smoothing : float
        Variance of grey values in [0, 1] below which neighbourhoods are smoothed.
    guided_times : int
        Number of times that the guided filter is applied.
    opening_radii : tuple of float
        Radii of the discs, one for each opening, as fractions of the diameter: 1 pixel at the working diameter.
        `SUPER_OPENING` has SuperCryoEMPicker's.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If a parameter is out of its range, or of the wrong type.

    Notes
    -----
    Al-Azzawi et al. 2020, BMC Bioinformatics 21:509; order and values are those of its predecessors AutoCryoPicker and
    SuperCryoEMPicker. Windows have an odd number of pixels, at least 3; radii above 0 are at least 1 pixel. There are
    three differences from the MATLAB programs. The scale follows the particle, while they halve every micrograph. The
    Wiener filter sees the picture mirrored at its border, while black surroundings would draw a dark frame. And small
    crops have fewer tiles.

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
            try:
                object.__setattr__(self, name, tuple(getattr(self, name)))  # lists come back from JSON
            except TypeError:
                raise ArgumentTypeError(f"{name} must be a list of numbers, not {getattr(self, name)!r}") from None
        for name in ("stretch", "clahe_tiles"):
            if len(getattr(self, name)) != 2:
                raise ArgumentError(f"{name} must be two numbers, not {getattr(self, name)!r}")
        check_number("working_diameter", self.working_diameter, 4)
        check_number("stretch", self.stretch[0], 0, 1)
        check_number("stretch", self.stretch[1], self.stretch[0], 1, above=True)
        check_number("bins", self.bins, 2, whole=True)
        for name in ("wiener_window", "guided_window"):
            check_number(name, getattr(self, name), 0, 1)
        for name in ("clahe_clip_limits", "opening_radii"):
            for value in getattr(self, name):
                check_number(name, value, 0, 1)
        for tiles in self.clahe_tiles:
            check_number("clahe_tiles", tiles, 1, whole=True)
        check_choice("clahe_distribution", self.clahe_distribution, matlab.DISTRIBUTIONS)
        check_number("clahe_alpha", self.clahe_alpha, 0, above=True)
        check_number("guided_smoothing", self.guided_smoothing, 0)
        check_number("guided_times", self.guided_times, 0, whole=True)

    def factor(self, diameter: float) -> float:
        """Return the factor, at least 1, by which micrographs with particles of this diameter are binned.

        Parameters
        ----------
        diameter : float
            Particle diameter in pixels of the micrograph.

        Raises
        ------
        ArgumentError
            If the diameter is not a positive number.
        """
        check_number("diameter", diameter, 0, above=True)
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
        contrast: Contrast = "dark",
        *,
        keep: Collection[str] = STAGES,
    ) -> dict[str, NDArray[np.float32]]:
        """Return the pictures after each stage.

        Parameters
        ----------
        data : ndarray, shape (rows, columns)
            Micrograph of finite numbers.
        diameter : float
            Particle diameter in pixels of `data`.
        contrast : {"dark", "bright"}
            Contrast of the particles in `data`.
        keep : collection of str
            Names of the stages to return; the pictures of the others take up no memory.

        Returns
        -------
        dict of str to ndarray of float32
            Pictures by the names in `STAGES`, in order, all with the same `frame`. All but ``binned`` are in [0, 1]
            with dark particles; for a constant micrograph they are 1 everywhere, which is background.

        Raises
        ------
        ArgumentError
            If the diameter is not positive, the contrast is unknown, or `data` is not two-dimensional.
        """
        return {name: picture for name, picture in self._steps(data, diameter, contrast) if name in keep}

    def __call__(self, data: NDArray, diameter: float, contrast: Contrast = "dark") -> NDArray[np.float32]:
        """Return the picture after the last stage; parameters, errors and `frame` are those of `stages`."""
        return self.stages(data, diameter, contrast, keep=STAGES[-1:])[STAGES[-1]]

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as JSON has them; ``Preprocessing(**parameters)`` is the same chain."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    def _steps(self, data: NDArray, diameter: float, contrast: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
        check_choice("contrast", contrast, ("dark", "bright"))
        factor = self.factor(diameter)
        working = diameter / factor
        picture = bin_fourier(data, factor).data
        if contrast == "bright":
            np.negative(picture, out=picture)
        yield "binned", picture
        if picture.min() == picture.max():
            yield from ((name, np.ones_like(picture)) for name in STAGES[1:])
            return
        picture = matlab.mat2gray(picture)
        yield "normalised", picture
        picture = self._stretched(picture)
        yield "stretched", picture
        picture = matlab.histeq(picture, self.bins)
        yield "equalised", picture
        picture = matlab.wiener2(picture, (_odd(self.wiener_window * working),) * 2, border="symmetric")
        yield "restored", picture
        picture = matlab.histeq(picture, self.bins)
        # A tile smaller than a particle would equalise the particle itself away.
        tiles = tuple(
            min(n, max(1, int(side // working))) for n, side in zip(self.clahe_tiles, picture.shape, strict=True)
        )
        for limit in self.clahe_clip_limits:
            picture = matlab.adapthisteq(
                picture, tiles, limit, distribution=self.clahe_distribution, alpha=self.clahe_alpha
            )
        yield "adaptive", picture
        for _ in range(int(self.guided_times)):
            picture = matlab.imguidedfilter(
                picture, window=(_odd(self.guided_window * working),) * 2, smoothing=self.guided_smoothing
            )
        picture = self._stretched(picture)
        yield "guided", picture
        radii = [max(1, round(radius * working)) for radius in self.opening_radii if radius > 0]
        # An opening changes nothing the second time: equal radii in a row, as published, are one opening.
        for radius, _ in itertools.groupby(radii):
            picture = matlab.imopen(picture, radius)
        yield "opened", picture

    def _stretched(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        return matlab.imadjust(picture, matlab.stretchlim(picture, self.stretch))


def _odd(length: float) -> int:
    """Return the nearest odd number of pixels, at least 3."""
    return max(3, 2 * math.floor(length / 2) + 1)
