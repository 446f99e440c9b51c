"""The interface of every picker, and the sequence of micrographs that pickers learn from."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit import micrograph as files
from cryokit._util.checked_settings import Checked, choice, number
from cryokit._util.names import micrograph_names
from cryokit.coordinates.picks import concatenate
from cryokit.errors import CryokitError, PickerError
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import unusable_regions
from cryokit.imaging.unusable import covered
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.pickers import registry

if TYPE_CHECKING:
    from cryokit.networks.scoring import ScoreMap

logger = logging.getLogger(__name__)
MEMORY = 512 << 20  # bytes of prepared pictures that are kept while a picker learns
T = TypeVar("T")


@dataclass(frozen=True)
class Assessment:
    """Picks of one micrograph, and how sure of them the method is.

    Attributes
    ----------
    picks : pandas.DataFrame
        Table of picks.
    evidence : float
        How sure, from 0 to 1; NaN if the method does not tell.
    empty : bool
        Whether there are no picks because nothing on the micrograph looks like a particle, whatever single candidates
        score.
    """

    picks: pd.DataFrame
    evidence: float = math.nan
    empty: bool = False


class Picker(ABC):
    """Finds particles: `fit` on micrographs, then `pick` on these or others.

    A picker of your own has to define `pick` and nothing else. The arguments of its constructor are its settings, kept
    in attributes of the same names. What `fit` finds out is kept in attributes whose names end with an underscore.
    By these two conventions `save`, `load` and the processes of ``cryokit pick --jobs`` work by themselves.

    Attributes
    ----------
    name : str
        Name of the method; the class's name where it is not set.
    title, source : str
        Name in tables and reports, and citation of the paper.
    without_labels, with_labels : bool
        Whether `fit` works without labels, and whether it learns from labels.
    external : bool
        Whether the method runs another program. Many micrographs are then handed to `pick_many` together.
    learned_in : str or None
        Name of the attribute that is None, or missing, until `fit` has been called; None where `fit` need not be.
    transient : tuple of str
        Names of attributes that are of use after `fit` only, such as training sets: neither saved nor sent to other
        processes.
    max_micrographs : int or None
        Largest number of micrographs that `fit` looks at without labels, spread over those given; None for all.
    threshold_ : float
        Lowest score of a pick, where `pick` is not told another one.
    decisions_ : sequence of str
        What `fit` decided, and from what.

    Notes
    -----
    For cryokit's own methods name, title, source, labels and `external` come from the entry in
    `cryokit.pickers.registry`.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> class Middle(Picker):
    ...     '''One particle in the middle of each micrograph.'''
    ...
    ...     def __init__(self, diameter=100):
    ...         self.diameter = diameter
    ...
    ...     def pick(self, micrograph, *, threshold=None):
    ...         rows, columns = micrograph.data.shape
    ...         return table(micrograph.name, [columns / 2], [rows / 2], [1.0], self.diameter)
    >>> picks = Middle(diameter=80).fit([]).pick(Micrograph(np.zeros((64, 128)), name="first"))
    >>> picks[["x", "y", "diameter"]].iloc[0].tolist()
    [64.0, 32.0, 80.0]
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    source: ClassVar[str] = ""
    without_labels: ClassVar[bool] = True
    with_labels: ClassVar[bool] = False
    external: ClassVar[bool] = False
    learned_in: ClassVar[str | None] = None
    transient: ClassVar[tuple[str, ...]] = ()
    max_micrographs: int | None = None
    threshold_: float = 0.5
    decisions_: Sequence[str] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        entry = registry.entry_of(cls)
        if entry is not None:
            for attribute in ("name", "title", "source", "without_labels", "with_labels", "external"):
                setattr(cls, attribute, getattr(entry, attribute))
        else:
            cls.name = vars(cls).get("name", cls.__name__)
            cls.title = vars(cls).get("title", cls.name)

    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> Picker:
        """Learn from micrographs. By default there is nothing to learn.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Files are read when their turn comes, one at a time; see `Micrographs`.
        labels : pandas.DataFrame, optional
            Table of picks (`cryokit.coordinates.picks`) of these micrographs.

        Returns
        -------
        Picker
            The picker itself.

        Raises
        ------
        PickerError
            If nothing can be learned from the micrographs or labels.
        """
        return self

    @abstractmethod
    def pick(self, micrograph: MicrographLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph.

        Parameters
        ----------
        micrograph : Micrograph or path
            cryokit's commands always give a `Micrograph`; `as_micrograph` reads a file.
        threshold : float, optional
            Lowest score of a pick; default `threshold_`. With 0 all candidates are returned.

        Returns
        -------
        pandas.DataFrame
            Table of picks, best score first.

        Raises
        ------
        PickerError
            If the picker has not been fitted.
        """

    def assess(self, micrograph: MicrographLike, *, threshold: float | None = None) -> Assessment:
        """Find the particles of one micrograph, and tell how sure of them the method is.

        Parameters
        ----------
        micrograph, threshold
            As in `pick`.

        Returns
        -------
        Assessment
            By default the picks alone.
        """
        return Assessment(self.pick(micrograph, threshold=threshold))

    def pick_many(self, micrographs: Iterable[MicrographLike], *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of many micrographs, one after the other.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        threshold : float, optional
            As in `pick`.

        Returns
        -------
        pandas.DataFrame
            Table of picks: micrographs in the order given, of each the best score first.
        """
        return concatenate(self.pick(micrograph, threshold=threshold) for micrograph in Micrographs(micrographs))

    def score_map(self, micrograph: MicrographLike) -> ScoreMap:
        """Return the scores of all positions of one micrograph.

        Parameters
        ----------
        micrograph : Micrograph or path

        Returns
        -------
        ScoreMap
            Its positions are in pixels of the micrograph as stored.

        Raises
        ------
        PickerError
            If the method makes no score maps, or the picker has not been fitted.
        """
        raise PickerError(f"method {self.name!r} makes no score maps; those with networks do")

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor that make such a picker, as values of JSON."""
        values = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        return {
            name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
            for name, value in values.items()
        }

    def save(self, path: str | os.PathLike) -> Path:
        """Write the settings and everything learned; `load` and `cryokit.pickers.load` read it.

        Learned attributes are arrays or values of JSON, and are written to one file (``.npz`` is added where it is
        missing). With a network, the attribute ``model_`` (`cryokit.networks.Model`), they are written to a folder.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        pathlib.Path
            The file or folder.

        Raises
        ------
        PickerError
            If the picker has not been fitted, or an attribute cannot be saved.
        """
        from cryokit.pickers import saving

        self._require_fitted()
        return saving.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Picker:
        """Return the picker that `save` wrote.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        PickerError
            If there is none, it is damaged, or it is of another method.
        """
        from cryokit.pickers import saving

        return saving.load(cls, path)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | dict.fromkeys(self.transient)

    def _require_fitted(self) -> None:
        """Raise a PickerError unless `fit` has been called, where it has to be."""
        if self.learned_in is not None and getattr(self, self.learned_in, None) is None:
            raise PickerError(
                f"the picker {self.name!r} has not been fitted; call fit(micrographs) or load(path) first"
            )

    def _decide(self, decision: str) -> None:
        """Add to `decisions_`, and say so."""
        self.decisions_ = [*self.decisions_, decision]
        logger.info("%s: %s", self.name, decision)


@dataclass(eq=False)
class SizedPicker(Checked, Picker):
    """Base of the pickers that know the particles' diameter and contrast: given, or found out by `fit`.

    A subclass is a dataclass. Its fields are its further settings, which check themselves
    (`cryokit._util.checked_settings`).

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph.
    contrast : {"dark", "bright"}, optional
        Whether particles are darker or brighter than their surroundings.

    keep_masked : bool
        Whether to look at what is no usable ice (`cryokit.imaging.unusable`) as well, and to keep the picks there.

    Attributes
    ----------
    diameter_ : float
        Particle diameter in pixels of the micrograph, given or found out.
    contrast_ : {"dark", "bright"}
        Contrast, given or found out.
    """

    learned_in: ClassVar[str] = "diameter_"

    diameter: float | None = number(None, 4, optional=True)
    contrast: Literal["dark", "bright"] | None = choice(None, None, "dark", "bright")
    keep_masked: bool = field(default=False, kw_only=True)
    diameter_: float | None = field(default=None, init=False, repr=False)
    contrast_: Literal["dark", "bright"] | None = field(default=None, init=False, repr=False)

    def _on_ice(self, micrograph: Micrograph, picks: pd.DataFrame) -> pd.DataFrame:
        """Drop the picks of a micrograph that lie on what is no usable ice, unless `keep_masked`."""
        if self.keep_masked or picks.empty:
            return picks
        hidden = covered(unusable_regions(micrograph), picks["x"], picks["y"])
        return picks[~hidden].reset_index(drop=True) if hidden.any() else picks

    def _decide_scale(self) -> None:
        """Add the particles' contrast and diameter to `decisions_`, and whether they were given."""
        self._decide(
            f"particles are {self.contrast_} ({'given' if self.contrast else 'detected'}), {self.diameter_:.0f} pixels "
            f"across ({'given' if self.diameter else 'estimated'})"
        )


class Micrographs(Sequence[Micrograph]):
    """Micrographs, each of which is read from its file when its turn comes.

    Iterating reads each file once and keeps none of them, so that a pass over hundreds of micrographs takes the memory
    of one. Names and, from the headers, shapes are known without reading.

    Parameters
    ----------
    items : iterable of Micrograph or path
        A sequence is kept as it is, anything else is made a list.
    names : sequence of str, optional
        Names of the micrographs, if they are part of a larger set; by default those of the items alone.
    sum_frames : bool
        Whether to sum the frames of movies.

    Attributes
    ----------
    problems : dict of str to str
        Why files could not be read, by their paths; what `subset` and `spread` return shares it.

    Examples
    --------
    >>> micrographs = Micrographs([Micrograph(np.zeros((3, 4)), name="first"), "missing.mrc", "a/third.mrc"])
    >>> micrographs.names, micrographs.spread(2).names, micrographs.shape(0)
    (['first', 'missing', 'third'], ['first', 'third'], (3, 4))
    """

    def __init__(
        self, items: Iterable[MicrographLike], *, names: Sequence[str] | None = None, sum_frames: bool = False
    ) -> None:
        self.problems: dict[str, str] = {}
        self.sum_frames = sum_frames
        if isinstance(items, Micrographs):
            vars(self).update(vars(items))
        else:
            self._items = items if isinstance(items, Sequence) else list(items)
            self._indices: Sequence[int] = range(len(self._items))
            self._given_names = names

    @classmethod
    def to_learn_from(cls, items: Iterable[MicrographLike]) -> Micrographs:
        """Return micrographs of which there is at least one.

        Raises
        ------
        PickerError
            If there is none.
        """
        micrographs = cls(items)
        if not micrographs:
            raise PickerError("there are no micrographs to learn from")
        return micrographs

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Micrograph]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Micrograph:
        index = self._indices[index]
        item = self._items[index]
        if isinstance(item, Micrograph):
            return item
        name = self._all_names[index]
        return self._noting(lambda path: files.read(path, sum_frames=self.sum_frames, name=name), item)

    @property
    def names(self) -> list[str]:
        """Names of the micrographs."""
        return [self._all_names[index] for index in self._indices]

    @cached_property
    def _all_names(self) -> Sequence[str]:
        """Names of the whole set: that of a file depends on the others."""
        if self._given_names is not None:
            return self._given_names
        own = iter(micrograph_names(item for item in self._items if not isinstance(item, Micrograph)))
        return [item.name if isinstance(item, Micrograph) else next(own) for item in self._items]

    def shape(self, index: int) -> tuple[int, int]:
        """Return the rows and columns of a micrograph; of a file only the header is read."""
        item = self._items[self._indices[index]]
        return item.data.shape if isinstance(item, Micrograph) else self._noting(files.shape, item)

    def subset(self, indices: Iterable[int]) -> Micrographs:
        """Return the micrographs at some positions."""
        chosen = Micrographs(self)
        chosen._indices = [self._indices[index] for index in indices]
        return chosen

    def spread(self, most: int | None) -> Micrographs:
        """Return at most `most` micrographs, spread evenly: a session's micrographs drift from first to last."""
        return self.subset(spread(range(len(self)), len(self) if most is None else most))

    def _noting(self, function: Callable[[Any], T], path: str | os.PathLike) -> T:
        try:
            return function(path)
        except CryokitError as error:
            self.problems[os.fspath(path)] = str(error)
            raise


class Pictures(Sequence[Picture]):
    """What a function makes of each micrograph, made when it is asked for.

    Pictures are kept as long as all of them together take no more than `MEMORY`. Of many micrographs the others are
    made anew each time, so ask for them in the order of the micrographs.

    Parameters
    ----------
    micrographs : Micrographs
    prepare : callable
        Returns the `Picture` of a `Micrograph`.
    """

    def __init__(self, micrographs: Micrographs, prepare: Callable[[Micrograph], Picture]) -> None:
        self._micrographs, self._prepare = micrographs, prepare
        self._kept: dict[int, Picture] = {}
        self._last: tuple[int, Picture] | None = None

    def __len__(self) -> int:
        return len(self._micrographs)

    def __getitem__(self, index: int) -> Picture:
        if index in self._kept:
            return self._kept[index]
        if self._last is None or self._last[0] != index:
            self._last = None  # its memory is free before the next is made
            self.add(index, self._prepare(self._micrographs[index]))
        return self._kept[index] if index in self._kept else self._last[1]

    @property
    def names(self) -> list[str]:
        """Names of the micrographs."""
        return self._micrographs.names

    def pixels(self, index: int) -> NDArray[np.float32]:
        """Return the pixels of a picture."""
        return self[index].data

    def add(self, index: int, picture: Picture) -> None:
        """Take a picture that has been made already."""
        if sum(kept.data.nbytes for kept in self._kept.values()) + picture.data.nbytes <= MEMORY:
            self._kept[index] = picture
        else:
            self._last = index, picture


def as_micrograph(micrograph: MicrographLike) -> Micrograph:
    """Return the micrograph, read from its file if a path is given."""
    return micrograph if isinstance(micrograph, Micrograph) else files.read(micrograph)


def spread(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` items, spread evenly over the sequence.

    Examples
    --------
    >>> spread("abcdefg", 3), spread("ab", 3)
    (['a', 'd', 'g'], ['a', 'b'])
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)] if most > 1 else list(items[:1])


def diameters_to_try(side: int) -> NDArray[np.float64]:
    """Return the diameters among which an unknown one is sought, in pixels, three to an octave.

    Parameters
    ----------
    side : int
        Shorter side of the micrographs; diameters lie between a hundredth and an eighth of it, and not below 12 pixels.

    Raises
    ------
    PickerError
        If the micrographs are too small for that.
    """
    smallest, largest = max(12.0, side / 100), side / 8
    if largest < 1.5 * smallest:
        raise PickerError(f"micrographs of {side} pixels are too small to estimate the particle's diameter; give it")
    return np.geomspace(smallest, largest, 1 + round(3 * math.log2(largest / smallest)))


def warn_of_range_end(diameter: float) -> None:
    """Warn that an estimated diameter is at the end of `diameters_to_try`."""
    logger.warning(
        "the particle diameter, estimated as %.0f pixels, is at the end of the range searched; check it on a picture "
        "of the picks and give the diameter",
        diameter,
    )


def check_room(name: str, shape: tuple[int, ...], diameter: float) -> None:
    """Check that a micrograph is at least two particles wide.

    Parameters
    ----------
    name : str
        Name of the micrograph.
    shape : tuple of int
        Rows and columns.
    diameter : float
        Particle diameter in pixels.

    Raises
    ------
    PickerError
        If it is not.
    """
    if 2 * diameter > min(shape):
        raise PickerError(
            f"{name}: {min(shape)} pixels are too few for particles of {diameter:.4g} pixels; give the diameter in "
            "pixels of the micrograph as stored"
        )
