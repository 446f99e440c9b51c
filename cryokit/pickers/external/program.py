"""Base of the pickers that run another program: find it, hand it micrographs, and read its picks."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from cryokit.coordinates import concatenate
from cryokit.errors import MicrographError, PickerError
from cryokit.imaging.peaks import inside
from cryokit.micrograph import Micrograph, MicrographLike, write_mrc
from cryokit.pickers.external import program_process
from cryokit.pickers.interface import Micrographs, SizedPicker
from cryokit.pickers.label_checks import labelled

logger = logging.getLogger(__name__)

# Micrographs for one start of the program: a start takes seconds, and copies of the micrographs lie on the disk.
BATCH = 16
_LAST_LINES = 12  # of a failed program's output that the error shows


@dataclass(frozen=True)
class Copy:
    """A micrograph as the program gets it: an MRC file of floats, particles dark, without dots or blanks in its name.

    Attributes
    ----------
    name : str
        Name of the micrograph.
    path : pathlib.Path
        File of the copy.
    shape : tuple of int
        Rows and columns.
    """

    name: str
    path: Path
    shape: tuple[int, int]


@dataclass(eq=False)
class ExternalPicker(SizedPicker):
    """Base of the pickers that run another program.

    The program is the setting `command`, else the environment variable `variable`, else `program` on the PATH. It runs
    in a process of its own without the PYTHONPATH of this one, in a temporary folder.

    A subclass is a dataclass whose fields are its further settings, and defines ``_picks``; one that learns extends
    `fit`.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph; default: the median of the labels.
    contrast : {"dark", "bright"}, optional
        Contrast of the particles; micrographs with bright ones are inverted for the program. Default: dark.
    command : str, optional
        Path of the program, or a command line that starts it, such as ``conda run -n topaz topaz``. It is not saved
        with the picker.

    Attributes
    ----------
    diameter_, contrast_
        See `cryokit.pickers.interface.SizedPicker`.
    threshold_ : float
        Threshold that the program itself recommends, unless `fit` found a better one.
    """

    program: ClassVar[str]
    variable: ClassVar[str]
    install: ClassVar[str]
    default_threshold: ClassVar[float] = 0.5

    command: str | None = None

    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> ExternalPicker:
        """Record the particle diameter: the program has been trained, or needs no training.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Nothing is learned from their pixels.
        labels : pandas.DataFrame, optional
            Table of picks of these micrographs; only its diameters are used, where the setting is not given.

        Returns
        -------
        ExternalPicker
            The picker itself.

        Raises
        ------
        PickerError
            If neither the setting nor the labels give the diameter, or the labels are of other micrographs.
        """
        self.threshold_, self.decisions_ = self.default_threshold, []
        if labels is not None:
            *_, self.diameter_, decision = labelled(Micrographs(micrographs), labels, self.diameter)
            self._decide(decision)
        elif self.diameter is not None:
            self.diameter_ = float(self.diameter)
            self._decide(f"particles are {self.diameter_:.0f} pixels across (given)")
        else:
            raise PickerError(f"method {self.name!r}: give the particle's diameter, in pixels of the micrographs")
        self.contrast_ = self.contrast or "dark"
        return self

    def pick(self, micrograph: MicrographLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`, and `pick_many` for many."""
        return self.pick_many([micrograph], threshold=threshold)

    def pick_many(self, micrographs: Iterable[MicrographLike], *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of many micrographs, 16 to a start of the program.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        threshold : float, optional
            Lowest score of a pick; default `threshold_`. Picks without scores are all kept.

        Returns
        -------
        pandas.DataFrame
            Table of picks: micrographs in the order given, of each the best score first.

        Raises
        ------
        PickerError
            If the picker has not been fitted, or the program is missing or fails.
        """
        from tqdm import tqdm

        self._require_fitted()
        least = self.threshold_ if threshold is None else threshold
        command = self.command_line()
        micrographs = Micrographs(micrographs)
        tables = []
        with tqdm(total=len(micrographs), desc=self.name, unit="micrograph", disable=None, leave=False) as progress:
            for first in range(0, len(micrographs), BATCH):
                part = micrographs.subset(range(first, min(first + BATCH, len(micrographs))))
                with tempfile.TemporaryDirectory(prefix=f"cryokit-{self.name}-") as folder:
                    copies = [self._copied(micrograph, Path(folder), k) for k, micrograph in enumerate(part)]
                    picks = self._picks(command, copies, Path(folder))
                tables += [self._table(copy, table, least) for copy, table in zip(copies, picks, strict=True)]
                progress.update(len(part))
        return concatenate(tables)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor but the command, which is another one on another machine."""
        return super().settings() | {"command": None}

    def command_line(self) -> list[str]:
        """Return the command line that starts the program.

        Raises
        ------
        PickerError
            If the program is missing; the message says how to install it.
        """
        given = self.command or os.environ.get(self.variable) or self.program
        words = [given] if Path(given).is_file() else shlex.split(given, posix=os.name == "posix")
        path = shutil.which(words[0]) if words else None
        if path is None:
            origin = "looked for on the PATH"
            if self.command:
                origin = "the setting 'command'"
            elif os.environ.get(self.variable):
                origin = f"the environment variable {self.variable}"
            raise PickerError(
                f"method {self.name!r}: the program {given!r} ({origin}) is missing. {self.install} Then give its path "
                f"as the setting 'command' or in the environment variable {self.variable}; or add picks that it made "
                "elsewhere to a comparison with `cryokit benchmark --picks NAME=PATH`"
            )
        return [path, *words[1:]]

    @abstractmethod
    def _picks(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> list[pd.DataFrame]:
        """Run the program and return a table of picks for each copy, in pixels of the copy, scores as probabilities."""

    def _copied(self, micrograph: Micrograph, folder: Path, number: int) -> Copy:
        data = micrograph.data
        if not np.isfinite(data).all():
            raise MicrographError(
                f"{micrograph.path or micrograph.name}: has pixels that are NaN or infinite; replace them or leave it "
                "out"
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
    """Run a program in a folder and wait for it; it ends when this process ends.

    Parameters
    ----------
    command : sequence
        Program and arguments; they are turned into text.
    folder : pathlib.Path
        Working directory; if this process ends before the program, it is removed.

    Raises
    ------
    PickerError
        If it cannot be started or ends with an error; the message shows the end of its output.
    """
    words = [str(word) for word in command]
    logger.debug("in %s: %s", folder, shlex.join(words))
    # Leaving the block, also by Ctrl-C, closes the pipe that the process follows.
    with subprocess.Popen(
        [sys.executable, "-m", program_process.__name__, os.fspath(folder), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        said = process.stdout.read().rstrip()
        status = process.wait()
    if status == program_process.NOT_RUN:
        raise PickerError(f"{words[0]}: {said}")
    if status:
        output = "\n".join(said.splitlines()[-_LAST_LINES:]) or "nothing"
        raise PickerError(f"{words[0]}: ended with status {status}; its last output:\n{output}")
