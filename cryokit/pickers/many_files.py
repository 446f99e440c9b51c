"""Fit a picker to micrograph files, and pick many of them into coordinate files."""

import contextlib
import logging
import math
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from cryokit import coordinates
from cryokit._util.cores import usable_cores
from cryokit._util.files import inside, make_folder
from cryokit._util.names import coordinate_file_micrograph, micrograph_names
from cryokit._util.prefetch import ahead
from cryokit._util.wording import some
from cryokit.coordinates import concatenate, validate
from cryokit.errors import CryokitError, PickerError
from cryokit.imaging.contrast import contrast_score
from cryokit.imaging.preparation import recorded, unusable_regions
from cryokit.imaging.unusable import enlarged
from cryokit.micrograph import Micrograph, pixel_size, read, write_mrc
from cryokit.networks.devices import limit_threads
from cryokit.pickers import registry, verdicts
from cryokit.pickers.interface import Assessment, Micrographs, Picker, check_room, diameters_to_try, spread
from cryokit.pickers.one_of_many import problem_of, read_named

logger = logging.getLogger(__name__)

SAME_PIXEL = 1.02  # pixel sizes up to this factor apart are one
BATCH = 16  # micrographs that are handed together to a picker that runs another program
Draw = Callable[[Micrograph, pd.DataFrame, Path, str], None]  # with a title


@dataclass(frozen=True)
class Picked:
    """Outcome of picking many micrographs.

    Attributes
    ----------
    picks : pandas.DataFrame
        Table of picks of all micrographs without a problem, in their order.
    micrographs : tuple of str
        Names of these micrographs, also of those without picks.
    problems : dict of str to str
        What went wrong, by the path of the micrograph.
    qualities : pandas.DataFrame
        Quality of these micrographs (`cryokit.pickers.verdicts.Quality`), a row for each.
    """

    picks: pd.DataFrame
    micrographs: tuple[str, ...]
    problems: dict[str, str]
    qualities: pd.DataFrame


def fit_files(
    picker: Picker, paths: Sequence[Path], labels: pd.DataFrame | None = None, *, sum_frames: bool = False
) -> dict[str, str]:
    """Fit a picker to micrograph files; one that cannot be read or used is replaced by another.

    Files are read when the picker asks for them, one at a time. Only if that fails are they looked at one by one, and
    those with nothing to learn from, which are too small or have no structure, are left out.

    Parameters
    ----------
    picker : Picker
        Picker to fit.
    paths : sequence of path-like
        Micrographs.
    labels : pandas.DataFrame, optional
        Table of picks of these micrographs. With labels all micrographs are used, otherwise `picker.max_micrographs`.
    sum_frames : bool
        Whether to sum the frames of movies.

    Returns
    -------
    dict of str to str
        Files that could not be read or used, and why.

    Raises
    ------
    PickerError
        If no file can be used, or the picker can learn nothing from them.
    """
    most = len(paths) if labels is not None else picker.max_micrographs or len(paths)
    names = dict(zip(paths, micrograph_names(paths), strict=True))
    chosen = spread(list(paths), most)
    micrographs = Micrographs(chosen, names=[names[path] for path in chosen], sum_frames=sum_frames)
    try:
        picker.fit(micrographs, labels)
        return {}
    except Exception as error:  # what a micrograph of 1 x 9 pixels leads to inside of libraries is not only ours
        diameter = getattr(picker, "diameter", None)
        if diameter is None and labels is not None:
            diameter = labels["diameter"].median()
        if diameter is not None and math.isnan(diameter):
            diameter = None
        candidates = [*chosen, *(path for path in paths if path not in chosen)]
        usable, problems = _usable(candidates, most, diameter, sum_frames)
        if not problems:
            raise
        if not usable:
            if len(problems) == 1:
                raise PickerError(*problems.values()) from error
            raise PickerError("none of the micrographs can be used:\n  " + "\n  ".join(problems.values())) from error
    picker.fit(Micrographs(usable, names=[names[path] for path in usable], sum_frames=sum_frames), labels)
    return problems


def _usable(
    paths: Iterable[Path], most: int, diameter: float | None, sum_frames: bool
) -> tuple[list[Path], dict[str, str]]:
    """Return the first `most` files that a picker can learn from, and what is wrong with the others before them."""
    usable: list[Path] = []
    problems: dict[str, str] = {}
    for path in paths:
        if len(usable) == most:
            break
        try:
            micrograph = read(path, sum_frames=sum_frames)
            if diameter is None:
                diameters_to_try(min(micrograph.data.shape))
            else:
                check_room(micrograph.name, micrograph.data.shape, diameter)
            contrast_score(recorded(micrograph).data, diameter)
            usable.append(path)
        except Exception as error:
            problems[os.fspath(path)] = problem_of(path, error)
    return usable, problems


def check_pixel_sizes(paths: Iterable[Path]) -> None:
    """Check that micrographs, as far as their headers say, have one pixel size: a diameter in pixels holds for one.

    Parameters
    ----------
    paths : iterable of path-like
        Micrographs; compressed files are passed over, and so are those that cannot be read, which picking reports.

    Raises
    ------
    PickerError
        If two pixel sizes differ by more than 2 %.
    """
    known: dict[float, Path] = {}
    for path in paths:
        if Path(path).suffix in (".gz", ".bz2"):
            continue
        with contextlib.suppress(CryokitError, OSError):
            size = pixel_size(path)
            if size is not None:
                known.setdefault(size, path)
    if known and max(known) > SAME_PIXEL * min(known):
        low, high = min(known), max(known)
        raise PickerError(
            f"micrographs differ in pixel size: {known[low]} has {low:g} A, {known[high]} {high:g} A; give those of "
            "one pixel size at a time, or bin them to one"
        )


def check_maps(method: registry.Method) -> None:
    """Check that a method makes score maps.

    Raises
    ------
    PickerError
        If it makes none; the message names cryokit's methods that do.
    """
    if not method.score_maps:
        able = ", ".join(entry.name for entry in registry.built_in() if entry.score_maps)
        raise PickerError(f"method {method.name!r} makes no score maps; these do: {able}")


def pick_files(
    picker: Picker,
    paths: Sequence[Path],
    out: str | os.PathLike,
    *,
    formats: Iterable[str] = ("star",),
    threshold: float | None = None,
    draw: Draw | None = None,
    maps: bool = False,
    masks: bool = False,
    sum_frames: bool = False,
    jobs: int = 1,
) -> Picked:
    """Pick micrograph files with a fitted picker and write their coordinate files into a folder.

    The files of a micrograph are written as soon as it has been picked, so an interrupted run keeps them. A micrograph
    that fails does not stop the others. With one job the next micrograph is read while one is picked.

    Parameters
    ----------
    picker : Picker
        Fitted picker.
    paths : sequence of path-like
        Micrographs. Where file names are the same in different folders, outputs are in folders as well
        (`cryokit._util.names.micrograph_names`).
    out : path-like
        Folder for ``<name>.star`` and so on, ``picks.csv`` with all picks, ``micrographs.csv`` with the quality of each
        micrograph, and, with STAR files, RELION's ``autopick.star`` that lists them.
    formats : iterable of str
        Keys of `cryokit.coordinates.FORMATS` other than ``pictures``; CSV is always written, as ``picks.csv``.
    threshold : float, optional
        Lowest score; default: the picker's own threshold.
    draw : callable, optional
        Draws the picks of a micrograph into a file, ``overlays/<name>.png``, such as `cryokit.plot.save_overlay`; no
        pictures by default.
    maps : bool
        Whether to write the probability of a particle at each position, into ``maps/<name>.mrc``; its pixel size is
        the distance of the positions. This takes another pass over each micrograph.
    masks : bool
        Whether to write what was not looked at, since it is no usable ice, into ``masks/<name>.mrc``: 1 there, 0
        elsewhere.
    sum_frames : bool
        Whether to sum the frames of movies.
    jobs : int
        Number of processes, each with a copy of the picker. A network uses all cores by itself, so that more than one
        process hardly makes it faster; they share the cores then. A picker that runs another program gets batches of
        micrographs in this process.

    Returns
    -------
    Picked

    Raises
    ------
    PickerError
        If `maps` are wanted of a picker that makes none, a picture or map would replace one of the micrographs, or the
        picker cannot be sent to other processes.
    """
    from tqdm import tqdm

    if maps:
        check_maps(registry.described(type(picker)))
    out = make_folder(out)
    names = dict(zip(paths, micrograph_names(paths), strict=True))
    _warn_of_older_results(out, {name.rpartition("/")[2] for name in names.values()})
    formats = tuple(format for format in dict.fromkeys(formats) if format != "csv")
    task = _Task(picker, out, names, formats, threshold, draw, maps, masks, sum_frames)
    task.check_outputs()
    if picker.external:
        results = _in_batches(task, paths)
    elif jobs > 1 and len(paths) > 1:
        results = _in_processes(task, paths, jobs)
    else:
        results = _one_by_one(task, paths)
    finished: dict[Path, _Result] = {}
    problems: dict[str, str] = {}
    for result in tqdm(results, total=len(paths), desc="picking", unit="micrograph", disable=None):
        if result.problem is None:
            finished[result.path] = result
        else:
            problems[os.fspath(result.path)] = result.problem
            logger.error("%s", result.problem)
    done = [path for path in paths if path in finished]
    _warn_of_missing_picks({names[path]: len(finished[path].picks) for path in done})
    picks = concatenate(finished[path].picks for path in done)
    coordinates.write(picks, out / "picks.csv", "csv", joined=True)
    qualities = verdicts.compared([finished[path].quality for path in done])
    verdicts.write(qualities, out / "micrographs.csv")
    # Without STAR files an older list would lead readers of the folder to older picks.
    (out / "autopick.star").unlink(missing_ok=True)
    if "star" in formats:
        files = {path: coordinates.coordinate_path(out, names[path], "star") for path in done}
        unlisted: list[str] = []
        coordinates.write_list(out / "autopick.star", files, problems=unlisted)
        for problem in unlisted:
            logger.warning("%s", problem)
    return Picked(picks, tuple(names[path] for path in done), problems, qualities)


def _warn_of_missing_picks(counts: dict[str, int]) -> None:
    """Warn if most micrographs are without picks: their number alone would not tell an empty one from a failure."""
    empty = [name for name, count in counts.items() if not count]
    if empty and len(empty) >= len(counts) / 2:
        logger.warning(
            "no particles in %d of %d micrographs (%s); if there are any, give --diameter and --contrast, or look "
            "at the candidates of a lower --threshold (--overlays)",
            len(empty),
            len(counts),
            some(empty),
        )


def _warn_of_older_results(out: Path, names: set[str]) -> None:
    older = [
        file.name
        for file in sorted(out.iterdir())
        if file.name.lower().endswith(coordinates.SUFFIXES)
        and file.name not in ("picks.csv", "micrographs.csv", "autopick.star")
        and coordinate_file_micrograph(file) not in names
    ]
    if older:
        logger.warning("%s holds coordinate files of other micrographs, which stay there: %s", out, some(older))


_Loaded = tuple[Micrograph, verdicts.Quality]  # the quality as far as pixels tell it


@dataclass(frozen=True)
class _Result:
    """What came of one micrograph: picks and quality, or what went wrong."""

    path: Path
    picks: pd.DataFrame | None = None
    quality: verdicts.Quality | None = None
    problem: str | None = None


@dataclass(frozen=True)
class _Task:
    """What to do with each micrograph; an object, so that it can be sent to other processes."""

    picker: Picker
    out: Path
    names: dict[Path, str]
    formats: tuple[str, ...]
    threshold: float | None
    draw: Draw | None
    maps: bool
    masks: bool
    sum_frames: bool

    def __call__(self, path: Path, picks: pd.DataFrame | None = None) -> _Result:
        """Read, measure and pick a micrograph, unless its picks are given."""
        try:
            loaded = self.load(path)
        except Exception as error:
            loaded = error
        return self.finish(path, loaded, None if picks is None else Assessment(picks))

    def load(self, path: Path) -> _Loaded:
        """Read a micrograph and measure its pixels."""
        micrograph = read_named(path, self.names[path], sum_frames=self.sum_frames)
        diameter = getattr(self.picker, "diameter_", None)
        if diameter is not None:
            check_room(micrograph.name, micrograph.data.shape, diameter)
        return micrograph, verdicts.measured(micrograph, diameter)

    def finish(self, path: Path, loaded: _Loaded | Exception, found: Assessment | None = None) -> _Result:
        """Pick a micrograph, judge it and write its files, or report what went wrong."""
        try:
            if isinstance(loaded, Exception):
                raise loaded
            micrograph, quality = loaded
            found = found or self.picker.assess(micrograph, threshold=self.threshold)
            picks = validate(found.picks, f"picks of {self.picker.name}")
            quality = verdicts.judged(quality, found)
            self.write(micrograph, picks, quality)
            return _Result(path, picks, quality)
        except Exception as error:
            return _Result(path, problem=problem_of(path, error))

    def pictures(self, name: str) -> dict[str, Path]:
        """Return the files that are no coordinate files and may be called like a micrograph, by kind."""
        wanted = {"overlays": self.draw is not None, "maps": self.maps, "masks": self.masks}
        suffixes = {"overlays": ".png", "maps": ".mrc", "masks": ".mrc"}
        return {
            kind: inside(self.out, f"{kind}/{name}{suffix}", PickerError)
            for kind, suffix in suffixes.items()
            if wanted[kind]
        }

    def check_outputs(self) -> None:
        """Refuse to write over a micrograph, before the work."""
        inputs = {os.path.realpath(path): path for path in self.names}
        for name in self.names.values():
            for kind, file in self.pictures(name).items():
                if (path := inputs.get(os.path.realpath(file))) is not None:
                    raise PickerError(f"{path}: {kind} would be written over it; choose another folder for the output")

    def write(self, micrograph: Micrograph, picks: pd.DataFrame, quality: verdicts.Quality) -> None:
        """Write the files of a micrograph."""
        name = micrograph.name
        for format in self.formats:
            coordinates.write(
                picks,
                coordinates.coordinate_path(self.out, name, format),
                format,
                joined=False,
                micrographs=None if micrograph.path is None else {name: micrograph.path},
                shape=micrograph.data.shape,
            )
        pictures = self.pictures(name)
        if self.draw is not None:
            self.draw(micrograph, picks, pictures["overlays"], quality.title)
        if self.maps:
            self.picker.score_map(micrograph).write_mrc(pictures["maps"], micrograph.pixel_size)
        if self.masks:
            hidden = enlarged(unusable_regions(micrograph), micrograph.data.shape)
            write_mrc(pictures["masks"], hidden.astype(np.int8), micrograph.pixel_size)


def _one_by_one(task: _Task, paths: Sequence[Path]) -> Iterator[_Result]:
    # One ahead: the device need not wait for the disk, and no more than two micrographs are in memory.
    with contextlib.closing(ahead(paths, task.load, depth=1)) as waiting:
        for path, loaded in waiting:
            result = task.finish(path, loaded)
            del loaded
            yield result


def _in_batches(task: _Task, paths: Sequence[Path]) -> Iterator[_Result]:
    for first in range(0, len(paths), BATCH):
        batch = paths[first : first + BATCH]
        try:
            names = [task.names[path] for path in batch]
            micrographs = Micrographs(batch, names=names, sum_frames=task.sum_frames)
            picks = task.picker.pick_many(micrographs, threshold=task.threshold)
        except Exception:
            yield from map(task, batch)  # to find out which of them is at fault
            continue
        for path in batch:
            yield task(path, picks[picks["micrograph"] == task.names[path]])


def _in_processes(task: _Task, paths: Sequence[Path], jobs: int) -> Iterator[_Result]:
    jobs = min(jobs, len(paths))
    cls = type(task.picker)
    if cls.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise PickerError(f"{cls.__qualname__}: other processes cannot import it from a notebook; write it to a file")
    # Pickled once for each process, not for each micrograph: a network is large.
    arguments = (registry.described(cls).location, pickle.dumps(task), max(1, usable_cores() // jobs))
    # Not forked: libraries that have started threads do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start, initargs=arguments) as pool:
        waiting = {pool.submit(_pick_one, path): path for path in paths}
        try:
            for future in as_completed(waiting):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    reason = "its process was killed (out of memory?); try fewer jobs"
                    yield _Result(waiting[future], problem=f"{waiting[future]}: {reason}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_task: _Task | None = None  # of this process


def _start(location: str, pickled: bytes, threads: int) -> None:
    """Begin a process: with its share of the cores, which has to be set before a network is unpickled."""
    global _task
    with contextlib.suppress(PickerError):  # Keras is there already: the main module has imported it
        limit_threads(threads)
    if not location.startswith("__main__:"):
        registry.picker_class(location)  # a module that was loaded from a file cannot be imported by its name
    _task = pickle.loads(pickled)


def _pick_one(path: Path) -> _Result:
    return _task(path)
