"""What is done with one micrograph of many: read, measure, pick, judge, and write its files."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from cryokit import coordinates
from cryokit._util.files import inside
from cryokit.coordinates import validate
from cryokit.datasets.integrity import sha256
from cryokit.errors import MicrographError, PickerError, WriteError
from cryokit.imaging.preparation import unusable_regions
from cryokit.imaging.unusable import enlarged
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.pickers import verdicts
from cryokit.pickers.interface import Assessment, Picker, check_room
from cryokit.pickers.one_of_many import problem_of, read_named

Draw = Callable[[Micrograph, pd.DataFrame, Path, str], None]  # with a title
PICTURES = {"overlays": ".png", "maps": ".mrc", "masks": ".mrc"}  # suffixes by folder


@dataclass(frozen=True)
class Item:
    """A micrograph file, and what it is called among the others."""

    path: Path
    name: str


@dataclass(frozen=True)
class Signature:
    """What tells whether a file has changed: its size, its time, and its content, if that is asked for."""

    size: int
    mtime_ns: int
    sha256: str = ""

    @classmethod
    def of(cls, path: Path, *, content: bool = False) -> "Signature | None":
        """Return the signature of a file; None if there is none or it cannot be read."""
        try:
            state = os.stat(path)
            return cls(state.st_size, state.st_mtime_ns, sha256(path) if content else "")
        except OSError:
            return None

    def same(self, other: "Signature | None") -> bool:
        """Tell whether size and time are the same, and the content, as far as both know it."""
        if other is None or (self.size, self.mtime_ns) != (other.size, other.mtime_ns):
            return False
        return self.sha256 == other.sha256 or not (self.sha256 and other.sha256)


@dataclass(frozen=True)
class Result:
    """What came of one micrograph: picks and quality, or what went wrong.

    Attributes
    ----------
    item : Item
    picks : pandas.DataFrame or None
    quality : cryokit.pickers.verdicts.Quality or None
    problem : str or None
    full : bool
        Whether the problem is that nothing can be written any more, so that it is no use to go on.
    signature : Signature or None
        Of the file that was read, if the task is to tell.
    """

    item: Item
    picks: pd.DataFrame | None = None
    quality: verdicts.Quality | None = None
    problem: str | None = None
    full: bool = False
    signature: Signature | None = None


@dataclass(frozen=True)
class Outputs:
    """The files that are written of each micrograph.

    Attributes
    ----------
    folder : pathlib.Path
        Folder for them.
    formats : tuple of str
        Formats of the coordinate files.
    pictures : tuple of str
        Keys of `PICTURES`.
    """

    folder: Path
    formats: tuple[str, ...] = ("star",)
    pictures: tuple[str, ...] = ()

    def coordinates(self, name: str) -> dict[str, Path]:
        """Return the coordinate files of a micrograph by format."""
        return {format: coordinates.coordinate_path(self.folder, name, format) for format in self.formats}

    def drawn(self, name: str) -> dict[str, Path]:
        """Return the files that are no coordinate files and may be called like a micrograph, by kind."""
        return {kind: inside(self.folder, f"{kind}/{name}{PICTURES[kind]}", PickerError) for kind in self.pictures}

    def files(self, name: str) -> list[Path]:
        """Return all files of a micrograph."""
        return [*self.coordinates(name).values(), *self.drawn(name).values()]

    def folders(self, names: Iterable[str]) -> set[Path]:
        """Return the folders in which the files of micrographs are, and the folder itself."""
        inner = {os.path.dirname(name) for name in names} | {""}
        roots = [self.folder, *(self.folder / kind for kind in self.pictures)]
        return {root / folder for root in roots for folder in inner}

    def check(self, items: Iterable[Item]) -> None:
        """Refuse to write over a micrograph, before the work.

        Raises
        ------
        PickerError
            If a picture would replace one of the micrographs, or would lie outside of the folder.
        """
        items = list(items)
        inputs = {os.path.realpath(item.path): item.path for item in items}
        for item in items:
            for kind, file in self.drawn(item.name).items():
                if (path := inputs.get(os.path.realpath(file))) is not None:
                    raise PickerError(f"{path}: {kind} would be written over it; choose another folder for the output")


@dataclass(frozen=True)
class Task:
    """What to do with each micrograph; an object, so that it can be sent to other processes and machines."""

    picker: Picker
    outputs: Outputs
    threshold: float | None = None
    draw: Draw | None = field(default=None)
    sum_frames: bool = False
    signed: bool = False  # whether to tell the signature of what was read

    def __call__(self, item: Item, picks: pd.DataFrame | None = None) -> Result:
        """Read, measure and pick a micrograph, unless its picks are given."""
        return self.finish(item, self.attempt(item), None if picks is None else Assessment(picks))

    def attempt(self, item: Item) -> "Loaded | Exception":
        """Return what `load` returns, or the exception that it raises."""
        try:
            return self.load(item)
        except Exception as error:
            return error

    def load(self, item: Item) -> "Loaded":
        """Read a micrograph and measure its pixels."""
        signature = Signature.of(item.path) if self.signed else None
        micrograph = read_named(item.path, item.name, sum_frames=self.sum_frames)
        if signature is not None:
            # The file is in the system's memory now, so reading it once more costs little.
            after = Signature.of(item.path, content=True)
            if not signature.same(after):
                raise MicrographError(f"{item.path}: has changed while it was read; run the command again")
            signature = after
        diameter = getattr(self.picker, "diameter_", None)
        if diameter is not None:
            check_room(micrograph.name, micrograph.data.shape, diameter)
        return micrograph, verdicts.measured(micrograph, diameter), signature

    def finish(self, item: Item, loaded: "Loaded | Exception", found: Assessment | None = None) -> Result:
        """Pick a micrograph, judge it and write its files, or report what went wrong."""
        try:
            if isinstance(loaded, Exception):
                raise loaded
            micrograph, quality, signature = loaded
            found = found or self.picker.assess(micrograph, threshold=self.threshold)
            picks = validate(found.picks, f"picks of {self.picker.name}")
            quality = verdicts.judged(quality, found)
            self.write(micrograph, picks, quality)
            return Result(item, picks, quality, signature=signature)
        except Exception as error:
            signature = Signature.of(item.path) if self.signed else None
            full = isinstance(error, WriteError)
            problem = str(error) if full else problem_of(item.path, error)
            return Result(item, problem=problem, full=full, signature=signature)

    def write(self, micrograph: Micrograph, picks: pd.DataFrame, quality: verdicts.Quality) -> None:
        """Write the files of a micrograph."""
        name = micrograph.name
        for format, path in self.outputs.coordinates(name).items():
            coordinates.write(
                picks,
                path,
                format,
                joined=False,
                micrographs=None if micrograph.path is None else {name: micrograph.path},
                shape=micrograph.data.shape,
            )
        pictures = self.outputs.drawn(name)
        if self.draw is not None:
            self.draw(micrograph, picks, pictures["overlays"], quality.title)
        if "maps" in pictures:
            self.picker.score_map(micrograph).write_mrc(pictures["maps"], micrograph.pixel_size)
        if "masks" in pictures:
            hidden = enlarged(unusable_regions(micrograph), micrograph.data.shape)
            write_mrc(pictures["masks"], hidden.astype(np.int8), micrograph.pixel_size)


Loaded = tuple[Micrograph, verdicts.Quality, Signature | None]  # the quality as far as pixels tell it
