"""Picking many micrographs into coordinate files."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from cryokit import coordinates
from cryokit.coordinates.table import concatenate
from cryokit.errors import CryokitError, PickerError
from cryokit.files import make_folder
from cryokit.micrograph import Micrograph, read
from cryokit.names import COORDINATE_SUFFIXES, coordinate_file_micrograph, micrograph_name
from cryokit.pickers.base import Picker, spread

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picked:
    """What came of picking many micrographs.

    Attributes
    ----------
    picks : pandas.DataFrame
        Table of picks of all micrographs that went well, in their order.
    micrographs : tuple of str
        Their names, also of those without picks.
    problems : dict of str to str
        What went wrong, by the path of the micrograph.
    """

    picks: pd.DataFrame
    micrographs: tuple[str, ...]
    problems: dict[str, str]


def fit_files(picker: Picker, paths: Sequence[Path], *, sum_frames: bool = False) -> dict[str, str]:
    """Fit a picker to micrograph files; one that cannot be read is replaced by another.

    Parameters
    ----------
    picker : Picker
    paths : sequence of path-like
    sum_frames : bool
        Sum the frames of movies.

    Returns
    -------
    dict of str to str
        The files that could not be read, and why.

    Raises
    ------
    PickerError
        When no file could be read, or the picker can learn nothing from them.
    """
    most = picker.max_micrographs or len(paths)
    first = spread(list(paths), most)
    problems: dict[str, str] = {}
    readable: list[Micrograph] = []
    for path in [*first, *(path for path in paths if path not in first)]:
        if len(readable) == most:
            break
        try:
            readable.append(read(path, sum_frames=sum_frames))
        except CryokitError as error:
            problems[os.fspath(path)] = str(error)
    if not readable:
        if len(problems) == 1:
            raise PickerError(*problems.values())
        raise PickerError("none of the micrographs can be read:\n  " + "\n  ".join(problems.values()))
    picker.fit(readable)
    return problems


def pick_files(
    picker: Picker,
    paths: Sequence[Path],
    out: str | os.PathLike,
    *,
    formats: Iterable[str] = ("star",),
    threshold: float | None = None,
    overlays: bool = False,
    sum_frames: bool = False,
    jobs: int = 1,
) -> Picked:
    """Pick micrograph files with a fitted picker and write their coordinate files into a folder.

    Every micrograph's files are written as soon as it has been picked, so an interrupted run keeps them. A micrograph
    that fails does not stop the others.

    Parameters
    ----------
    picker : Picker
        Fitted.
    paths : sequence of path-like
        Micrographs, all with different names.
    out : path-like
        Folder for ``<name>.star`` and so on, ``picks.csv`` with all picks, and, with STAR files, RELION's
        ``autopick.star`` that lists them.
    formats : iterable of str
        Keys of `cryokit.coordinates.FORMATS` other than ``pictures``; CSV is always written, as ``picks.csv``.
    threshold : float, optional
        Lowest score; the picker's own threshold when not given.
    overlays : bool
        Also draw the picks of each micrograph, into ``overlays/<name>.png``.
    sum_frames : bool
        Sum the frames of movies.
    jobs : int
        Processes.

    Returns
    -------
    Picked
    """
    from tqdm import tqdm

    out = make_folder(out)
    _warn_of_older_results(out, {micrograph_name(path) for path in paths})
    formats = [format for format in dict.fromkeys(formats) if format != "csv"]
    work = _Work(picker, out, tuple(formats), threshold, overlays, sum_frames)
    found: dict[str, pd.DataFrame] = {}
    problems: dict[str, str] = {}
    results = _in_processes(work, paths, jobs) if jobs > 1 and len(paths) > 1 else map(work, paths)
    for path, picks, problem in tqdm(results, total=len(paths), desc="picking", unit="micrograph", disable=None):
        if problem is None:
            found[os.fspath(path)] = picks
        else:
            problems[os.fspath(path)] = problem
            logger.error("%s", problem)
    done = [path for path in paths if os.fspath(path) in found]
    picks = concatenate(found[os.fspath(path)] for path in done)
    coordinates.write(picks, out / "picks.csv", "csv", joined=True)
    # Without STAR files an older list would lead readers of the folder to older picks.
    (out / "autopick.star").unlink(missing_ok=True)
    if "star" in formats:
        files = {path: coordinates.coordinate_path(out, micrograph_name(path), "star") for path in done}
        unlisted: list[str] = []
        coordinates.write_list(out / "autopick.star", files, problems=unlisted)
        for problem in unlisted:
            logger.warning("%s", problem)
    return Picked(picks, tuple(micrograph_name(path) for path in done), problems)


def _warn_of_older_results(out: Path, names: set[str]) -> None:
    older = [
        file.name
        for file in sorted(out.iterdir())
        if file.name.lower().endswith(COORDINATE_SUFFIXES)
        and file.name not in ("picks.csv", "autopick.star")
        and coordinate_file_micrograph(file) not in names
    ]
    if older:
        shown = ", ".join(older[:3]) + (", ..." if len(older) > 3 else "")
        logger.warning("%s holds coordinate files of other micrographs, which stay there: %s", out, shown)


@dataclass(frozen=True)
class _Work:
    """The work on one micrograph; an object, so that it can be sent to other processes."""

    picker: Picker
    out: Path
    formats: tuple[str, ...]
    threshold: float | None
    overlays: bool
    sum_frames: bool

    def __call__(self, path: Path) -> tuple[Path, pd.DataFrame | None, str | None]:
        try:
            micrograph = read(path, sum_frames=self.sum_frames)
            picks = self.picker.pick(micrograph, threshold=self.threshold)
            for format in self.formats:
                file = coordinates.coordinate_path(self.out, micrograph.name, format)
                coordinates.write(picks, file, format, joined=False)
            if self.overlays:
                _draw(micrograph, picks, self.out / "overlays" / f"{micrograph.name}.png")
        except (CryokitError, OSError, MemoryError) as error:
            message = str(error) or type(error).__name__
            return path, None, message if os.fspath(path) in message else f"{path}: {message}"
        return path, picks, None


def _in_processes(
    work: _Work, paths: Sequence[Path], jobs: int
) -> Iterator[tuple[Path, pd.DataFrame | None, str | None]]:
    # Not forked: libraries that have started threads do not survive a fork.
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, path): path for path in paths}
        try:
            for future in as_completed(waiting):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    why = "its process was ended from outside (memory?); try fewer jobs"
                    yield waiting[future], None, f"{waiting[future]}: {why}"
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _draw(micrograph: Micrograph, picks: pd.DataFrame, path: Path) -> None:
    from cryokit import plot

    rows, columns = micrograph.data.shape
    figure, axes = plot.figure(width=8, height=8 * rows / columns)
    plot.overlay(axes[0, 0], micrograph, picks, name=micrograph.name)
    plot.save(figure, path)
