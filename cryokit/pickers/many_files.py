"""Picking many micrographs into coordinate files."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from cryokit import coordinates
from cryokit._util.cores import usable_cores
from cryokit._util.files import make_folder
from cryokit._util.names import coordinate_file_micrograph, micrograph_name
from cryokit._util.prefetch import ahead
from cryokit.coordinates import concatenate
from cryokit.errors import CryokitError, PickerError
from cryokit.micrograph import Micrograph, read
from cryokit.networks.devices import limit_threads
from cryokit.pickers.interface import Picker, spread

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


def fit_files(
    picker: Picker, paths: Sequence[Path], labels: pd.DataFrame | None = None, *, sum_frames: bool = False
) -> dict[str, str]:
    """Fit a picker to micrograph files; one that cannot be read is replaced by another.

    Parameters
    ----------
    picker : Picker
    paths : sequence of path-like
    labels : pandas.DataFrame, optional
        Table of picks of these micrographs, to learn from. With labels all micrographs are read: each is worth its
        labelling.
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
    most = len(paths) if labels is not None else picker.max_micrographs or len(paths)
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
    picker.fit(readable, labels)
    return problems


def check_maps(picker: Picker) -> None:
    """Raise a PickerError unless the picker makes score maps."""
    if not hasattr(picker, "score_map"):
        raise PickerError(f"the method {picker.name!r} makes no score maps; those of networks do")


def pick_files(
    picker: Picker,
    paths: Sequence[Path],
    out: str | os.PathLike,
    *,
    formats: Iterable[str] = ("star",),
    threshold: float | None = None,
    overlays: bool = False,
    maps: bool = False,
    sum_frames: bool = False,
    jobs: int = 1,
) -> Picked:
    """Pick micrograph files with a fitted picker and write their coordinate files into a folder.

    Every micrograph's files are written as soon as it has been picked, so an interrupted run keeps them. A micrograph
    that fails does not stop the others. With one job the next micrograph is read while one is picked.

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
    maps : bool
        Also write the probability of a particle at each position, into ``maps/<name>.mrc``; its pixel size is the
        distance of the positions. It takes another pass over each micrograph.
    sum_frames : bool
        Sum the frames of movies.
    jobs : int
        Processes, each with a copy of the picker. A network uses all cores by itself, so that more than one process
        hardly makes it faster; they share the cores then.

    Returns
    -------
    Picked

    Raises
    ------
    PickerError
        When `maps` are wanted of a picker that makes none.
    """
    from tqdm import tqdm

    if maps:
        check_maps(picker)
    out = make_folder(out)
    _warn_of_older_results(out, {micrograph_name(path) for path in paths})
    formats = [format for format in dict.fromkeys(formats) if format != "csv"]
    work = _Work(picker, out, tuple(formats), threshold, overlays, maps, sum_frames)
    found: dict[str, pd.DataFrame] = {}
    problems: dict[str, str] = {}
    results = _in_processes(work, paths, jobs) if jobs > 1 and len(paths) > 1 else _one_by_one(work, paths)
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
        if file.name.lower().endswith(coordinates.SUFFIXES)
        and file.name not in ("picks.csv", "autopick.star")
        and coordinate_file_micrograph(file) not in names
    ]
    if older:
        shown = ", ".join(older[:3]) + (", ..." if len(older) > 3 else "")
        logger.warning("%s holds coordinate files of other micrographs, which stay there: %s", out, shown)


_Result = tuple[Path, "pd.DataFrame | None", "str | None"]


@dataclass(frozen=True)
class _Work:
    """The work on one micrograph; an object, so that it can be sent to other processes."""

    picker: Picker
    out: Path
    formats: tuple[str, ...]
    threshold: float | None
    overlays: bool
    maps: bool
    sum_frames: bool

    def __call__(self, path: Path) -> _Result:
        """Return the path with the picks, or with what went wrong."""
        try:
            micrograph = self.read(path)
        except (CryokitError, OSError, MemoryError) as error:
            return path, None, _told(error, path)
        return self.pick(path, micrograph)

    def read(self, path: Path) -> Micrograph:
        return read(path, sum_frames=self.sum_frames)

    def pick(self, path: Path, micrograph: Micrograph) -> _Result:
        try:
            picks = self.picker.pick(micrograph, threshold=self.threshold)
            for format in self.formats:
                file = coordinates.coordinate_path(self.out, micrograph.name, format)
                coordinates.write(picks, file, format, joined=False)
            if self.overlays:
                _draw(micrograph, picks, self.out / "overlays" / f"{micrograph.name}.png")
            if self.maps:
                scores = self.picker.score_map(micrograph)
                scores.write_mrc(self.out / "maps" / f"{micrograph.name}.mrc", micrograph.pixel_size)
        except (CryokitError, OSError, MemoryError) as error:
            return path, None, _told(error, path)
        return path, picks, None


def _told(error: Exception, path: Path) -> str:
    message = str(error) or type(error).__name__
    return message if os.fspath(path) in message else f"{path}: {message}"


def _one_by_one(work: _Work, paths: Sequence[Path]) -> Iterator[_Result]:
    # One ahead: the device need not wait for the disk, and no more than two micrographs are in memory.
    with contextlib.closing(ahead(paths, work.read, depth=1)) as loaded:
        for path, micrograph in loaded:
            if isinstance(micrograph, Micrograph):
                result = work.pick(path, micrograph)
            elif isinstance(micrograph, (CryokitError, OSError, MemoryError)):
                result = path, None, _told(micrograph, path)
            else:
                raise micrograph
            del micrograph
            yield result


def _in_processes(work: _Work, paths: Sequence[Path], jobs: int) -> Iterator[_Result]:
    jobs = min(jobs, len(paths))
    # Pickled once for each process, not for each micrograph: a network is large.
    start = (pickle.dumps(work), max(1, usable_cores() // jobs))
    # Not forked: libraries that have started threads do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start, initargs=start) as pool:
        waiting = {pool.submit(_work_on, path): path for path in paths}
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


_own: _Work | None = None  # what this process works on


def _start(pickled: bytes, threads: int) -> None:
    """Begin a process: with its share of the cores, which has to be said before a network is unpickled."""
    global _own
    with contextlib.suppress(PickerError):  # Keras is there already: the main module has imported it
        limit_threads(threads)
    _own = pickle.loads(pickled)


def _work_on(path: Path) -> _Result:
    return _own(path)


def _draw(micrograph: Micrograph, picks: pd.DataFrame, path: Path) -> None:
    from cryokit import plot

    rows, columns = micrograph.data.shape
    figure, axes = plot.figure(width=8, height=8 * rows / columns)
    plot.overlay(axes[0, 0], micrograph, picks, name=micrograph.name)
    plot.save(figure, path)
