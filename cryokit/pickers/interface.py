"""The one interface of every picker."""

from __future__ import annotations

import math
import numbers
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.names import micrograph_name
from cryokit.errors import PickerError
from cryokit.micrograph import Micrograph, read


class Picker(ABC):
    """Finds particles: `fit` on micrographs, then `pick` on these or others.

    Settings are the arguments of the constructor. What `fit` finds out is kept in attributes that end with an
    underscore, and in the file that `save` writes.

    Attributes
    ----------
    name : str
        What `cryokit.pickers.create` and ``cryokit pick --method`` call it.
    needs_labels : bool
        Whether `fit` cannot do without labels.
    max_micrographs : int or None
        `fit` looks at no more micrographs than this, spread over those given; None if it looks at all.
    """

    name: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    max_micrographs: int | None = None

    @abstractmethod
    def fit(self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame | None = None) -> Picker:
        """Learn from micrographs.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        labels : pandas.DataFrame, optional
            Table of picks (`cryokit.coordinates.table`) of these micrographs.

        Returns
        -------
        Picker
            Itself.

        Raises
        ------
        PickerError
            When nothing can be learned from what was given.
        """

    @abstractmethod
    def pick(self, micrograph: Micrograph | str | os.PathLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph.

        Parameters
        ----------
        micrograph : Micrograph or path
        threshold : float, optional
            Lowest score of a pick; the picker's own threshold when not given, 0 for all candidates.

        Returns
        -------
        pandas.DataFrame
            Table of picks, best score first.

        Raises
        ------
        PickerError
            When the picker has not been fitted.
        """

    @abstractmethod
    def save(self, path: str | os.PathLike) -> Path:
        """Write settings and everything learned to one file, or with a network one folder, and return its path."""

    @classmethod
    @abstractmethod
    def load(cls, path: str | os.PathLike) -> Picker:
        """Return the picker that `save` wrote to `path`."""


def opened(micrographs: Iterable[Micrograph | str | os.PathLike]) -> Iterator[Micrograph]:
    """Yield micrographs one after the other, reading those given as paths when their turn comes."""
    for micrograph in micrographs:
        yield micrograph if isinstance(micrograph, Micrograph) else read(micrograph)


def names_of(micrographs: Iterable[Micrograph | str | os.PathLike]) -> list[str]:
    """Return the names of micrographs, without reading those given as paths."""
    return [each.name if isinstance(each, Micrograph) else micrograph_name(each) for each in micrographs]


def spread(items: list, most: int) -> list:
    """Return at most `most` items, spread evenly over the list: a session's micrographs drift from first to last."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)] if most > 1 else items[:1]


def diameters_to_try(side: int) -> NDArray[np.float64]:
    """Return the diameters among which an unknown one is looked for, in pixels, three to an octave.

    Parameters
    ----------
    side : int
        Shorter side of the micrographs: particles are between a hundredth and an eighth of it, and not under 12 pixels.

    Raises
    ------
    PickerError
        When the micrographs are too small for that.
    """
    smallest, largest = max(12.0, side / 100), side / 8
    if largest < 1.5 * smallest:
        raise PickerError(f"micrographs of {side} pixels are too small to estimate the particle's diameter; give it")
    return np.geomspace(smallest, largest, 1 + round(3 * math.log2(largest / smallest)))


def middle(image: NDArray, diameter: float, area: float) -> NDArray:
    """Return the middle of an image, at most `area` squared diameters large: a part is enough to try a diameter on."""
    side = max(1, round(math.sqrt(area) * diameter))
    start = [max(0, (size - side) // 2) for size in image.shape]
    return image[start[0] : start[0] + side, start[1] : start[1] + side]


def check_settings(diameter: float | None, contrast: str | None, max_micrographs: int) -> None:
    """Raise a PickerError, naming the setting, unless these three make sense."""
    if diameter is not None and not (_is_number(diameter) and diameter >= 4):
        raise PickerError(f"diameter {diameter!r}: give the particle's diameter in pixels, 4 or more")
    if contrast not in (None, "dark", "bright"):
        raise PickerError(f"contrast {contrast!r}: particles are 'dark' or 'bright', or None to detect it")
    check_whole("max_micrographs", max_micrographs, 1)


def check_whole(name: str, value: Any, least: int, most: float = math.inf) -> None:
    """Raise a PickerError, naming the setting, unless its value is a whole number in a range."""
    if not (_is_number(value) and int(value) == value and least <= value <= most):
        span = f"from {least} to {most}" if math.isfinite(most) else f"of at least {least}"
        raise PickerError(f"{name} {value!r}: give a whole number {span}")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def require_fitted(picker: Picker, attribute: str) -> None:
    """Raise a PickerError unless `picker` has learned `attribute`."""
    if getattr(picker, attribute, None) is None:
        raise PickerError(f"the picker {picker.name!r} has not been fitted; call fit(micrographs) or load(path) first")
