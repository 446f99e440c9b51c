"""What pickers that run another program have in common: finding it, giving it micrographs, and reading its picks."""

from __future__ import annotations

import inspect
import logging
import math
import os
import shlex
import shutil
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import IGNORE, concatenate
from cryokit.errors import MicrographError, PickerError
from cryokit.imaging.peaks import inside
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.pickers import saving as storage
from cryokit.pickers.interface import Picker, check_settings, names_of, opened, require_fitted

logger = logging.getLogger(__name__)

# Micrographs for one start of the program: a start costs seconds, and copies of the micrographs lie on the disk.
BATCH = 16
_TOLD = 12  # lines of a failed program's output that are shown


@dataclass(frozen=True)
class Copy:
    """A micrograph as the program gets it: an MRC file of floats, particles dark, under a name without dots or blanks.

    Attributes
    ----------
    name : str
        Of the micrograph.
    path : pathlib.Path
        Of the copy.
    shape : tuple of (int, int)
        Rows and columns.
    """

    name: str
    path: Path
    shape: tuple[int, int]


class ExternalPicker(Picker):
    """Base of the pickers that run another program.

    The program is looked for in the argument `command`, then in the environment variable `variable`, then as `program`
    on the PATH. It runs in a process of its own without this one's PYTHONPATH, in a temporary folder.

    A subclass has its settings as constructor arguments of the same names as its attributes, and gives ``_picks``; one
    that learns extends `fit` and the class attributes `learned` and ``_arrays``.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph; the median of the labels when not given.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; bright ones are turned before the program sees them. Dark when not given.
    command : str, optional
        Path of the program, or a command line that starts it, such as ``conda run -n topaz topaz``. It is not saved
        with the picker.

    Attributes
    ----------
    diameter_ : float
    contrast_ : {"dark", "bright"}
    threshold_ : float
        What the program itself recommends, unless `fit` found a better one.
    decisions_ : list of str
        What was decided, and from what.
    """

    program: ClassVar[str]
    variable: ClassVar[str]
    install: ClassVar[str]
    default_threshold: ClassVar[float] = 0.5
    learned: ClassVar[tuple[str, ...]] = ("diameter_", "contrast_", "threshold_", "decisions_")

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        command: str | None = None,
    ) -> None:
        check_settings(diameter, contrast, 1)
        self.diameter = diameter
        self.contrast = contrast
        self.command = command
        self.diameter_: float | None = None
        self.contrast_: str | None = None
        self.threshold_ = self.default_threshold
        self.decisions_: list[str] = []

    def fit(
        self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame | None = None
    ) -> ExternalPicker:
        """Record the particle's diameter: the program was trained, or needs no training.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Not looked at.
        labels : pandas.DataFrame, optional
            Table of picks; only their diameter is used, where the setting is not given.

        Returns
        -------
        ExternalPicker
            Itself.

        Raises
        ------
        PickerError
            When neither the setting nor the labels give the diameter.
        """
        self.threshold_, self.decisions_ = self.default_threshold, []
        self.diameter_ = self._diameter(names_of(micrographs), labels)
        self.contrast_ = self.contrast or "dark"
        self._decide(f"particles are {self.diameter_:.0f} pixels across ({'given' if self.diameter else 'by labels'})")
        return self

    def pick(self, micrograph: Micrograph | str | os.PathLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`, and `pick_many` for many."""
        return self.pick_many([micrograph], threshold=threshold)

    def pick_many(
        self, micrographs: Iterable[Micrograph | str | os.PathLike], *, threshold: float | None = None
    ) -> pd.DataFrame:
        """Find the particles of many micrographs, 16 to a start of the program.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        threshold : float, optional
            Lowest score of a pick; the picker's own threshold when not given. Picks without scores are all kept.

        Returns
        -------
        pandas.DataFrame
            Table of picks: micrographs in the order given, of each the best score first.

        Raises
        ------
        PickerError
            When the picker has not been fitted, or the program is not there or fails.
        """
        require_fitted(self, "diameter_")
        from tqdm import tqdm

        least = self.threshold_ if threshold is None else threshold
        command = self.found()
        micrographs = list(micrographs)
        tables = []
        with tqdm(total=len(micrographs), desc=self.name, unit="micrograph", disable=None, leave=False) as progress:
            for first in range(0, len(micrographs), BATCH):
                part = micrographs[first : first + BATCH]
                with tempfile.TemporaryDirectory(prefix=f"cryokit-{self.name}-") as folder:
                    copies = [self._copied(each, Path(folder), k) for k, each in enumerate(opened(part))]
                    found = self._picks(command, copies, Path(folder))
                tables += [
                    self._table(copy, picks, least) for copy, picks in zip(copies, found, strict=True)
                ]  # the order of the micrographs
                progress.update(len(part))
        return concatenate(tables)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the fitted picker to `path` (``.npz``)."""
        require_fitted(self, "diameter_")
        return storage.write(
            path,
            self.name,
            settings={
                name: getattr(self, name) for name in inspect.signature(type(self)).parameters if name != "command"
            },
            learned={name: getattr(self, name) for name in self.learned},
            arrays=self._arrays(),
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> ExternalPicker:
        """Return the picker that `save` wrote."""
        header, arrays = storage.read(path, cls.name)
        picker = cls(**header["settings"])
        for name in cls.learned:
            setattr(picker, name, header["learned"][name])
        picker._restore(arrays)
        return picker

    def found(self) -> list[str]:
        """Return the command line that starts the program.

        Raises
        ------
        PickerError
            When the program is not there; the message says how to install it.
        """
        given = self.command or os.environ.get(self.variable) or self.program
        words = [given] if Path(given).is_file() else shlex.split(given, posix=os.name == "posix")
        path = shutil.which(words[0]) if words else None
        if path is None:
            origin = (
                "the setting 'command'"
                if self.command
                else f"the environment variable {self.variable}"
                if os.environ.get(self.variable)
                else "looked for on the PATH"
            )
            raise PickerError(
                f"method {self.name!r}: the program {given!r} ({origin}) is not there. {self.install} Then give its "
                f"path as the setting 'command' or in the environment variable {self.variable}; or add picks that it "
                "made elsewhere to a comparison with `cryokit benchmark --picks NAME=PATH`"
            )
        return [path, *words[1:]]

    @abstractmethod
    def _picks(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> list[pd.DataFrame]:
        """Run the program and return a table of picks for each copy, in pixels of the copy, scores as probabilities."""

    def _arrays(self) -> dict[str, NDArray]:
        return {}

    def _restore(self, arrays: dict[str, NDArray]) -> None:
        """Take back what `_arrays` gave."""

    def _decide(self, what: str) -> None:
        self.decisions_.append(what)
        logger.info("%s: %s", self.name, what)

    def _diameter(self, names: Sequence[str], labels: pd.DataFrame | None) -> float:
        if self.diameter is not None:
            return float(self.diameter)
        if labels is not None:
            particle = labels["micrograph"].isin(names) & (labels["view"].fillna("").astype(str) != IGNORE)
            diameter = float(labels.loc[particle, "diameter"].median())
            if math.isfinite(diameter):
                return diameter
        raise PickerError(f"method {self.name!r}: give the particle's diameter, in pixels of the micrographs")

    def _copied(self, micrograph: Micrograph, folder: Path, number: int) -> Copy:
        data = np.asarray(micrograph.data, np.float32)
        if not np.isfinite(data).all():
            raise MicrographError(
                f"{micrograph.name}: has pixels that are NaN or infinite; replace them or leave it out"
            )
        # Programs cut names at dots and lists at blanks; and every one of them reads MRC without turning it over.
        path = folder / "micrographs" / f"m{number:04d}.mrc"
        write_mrc(path, -data if self.contrast_ == "bright" else data, pixel_size=micrograph.pixel_size)
        return Copy(micrograph.name, path, data.shape)

    def _table(self, copy: Copy, picks: pd.DataFrame, least: float) -> pd.DataFrame:
        score = picks["score"].to_numpy()
        kept = inside(picks["x"], picks["y"], copy.shape, 0.0) & (np.isnan(score) | (score >= least))
        picks = picks[kept].assign(micrograph=copy.name, diameter=self.diameter_)
        return picks.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def run(command: Sequence[Any], folder: Path) -> None:
    """Run a program in a folder and wait for it.

    Raises
    ------
    PickerError
        When it cannot be started or ends with an error; the message has the end of what it said.
    """
    words = [str(word) for word in command]
    logger.debug("in %s: %s", folder, shlex.join(words))
    # The program has its own Python with its own packages.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise PickerError(f"{words[0]}: cannot be run ({error.strerror}); is it the program's executable?") from None
    if done.returncode:
        said = "\n".join(done.stdout.rstrip().splitlines()[-_TOLD:]) or "nothing"
        raise PickerError(f"{words[0]}: ended with status {done.returncode}; it said:\n{said}")
