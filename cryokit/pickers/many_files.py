"""Fit a picker to micrograph files, and pick many of them into coordinate files."""

import contextlib
import functools
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cryokit._util.files import make_folder, remove_leftovers
from cryokit._util.names import micrograph_names
from cryokit.coordinates import concatenate
from cryokit.errors import CryokitError, PickerError, WriteError
from cryokit.imaging.contrast import contrast_score
from cryokit.imaging.preparation import check_values, recorded
from cryokit.micrograph import Micrograph, pixel_size, read
from cryokit.pickers import registry
from cryokit.pickers.engines import engine
from cryokit.pickers.file_tasks import Draw, Item, Outputs, Result, Task
from cryokit.pickers.interface import Micrographs, Picker, check_room, diameters_to_try, spread
from cryokit.pickers.one_of_many import problem_of
from cryokit.pickers.picking_lists import Listed, remove_lists, warn_of_older_results, write_lists

logger = logging.getLogger(__name__)

RECORD = "record"  # folder in the output of `cryokit pick` (`cryokit.pickers.picking_record`)
SAME_PIXEL = 1.02  # pixel sizes up to this factor apart are one


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
    picker: Picker,
    paths: Sequence[Path],
    labels: pd.DataFrame | None = None,
    *,
    names: Mapping[Path, str] | None = None,
    sum_frames: bool = False,
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
    names : mapping of path-like to str, optional
        Names of the micrographs, if they are part of a larger set; by default those of these alone.
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
    if names is None:
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
            check_usable(micrograph, diameter)
            contrast_score(recorded(micrograph).data, diameter)
            usable.append(path)
        except Exception as error:
            problems[os.fspath(path)] = problem_of(path, error)
    return usable, problems


def check_usable(micrograph: Micrograph, diameter: float | None) -> None:
    """Check what no method can do without: pixels that are numbers and differ, and room for particles.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph as stored.
    diameter : float or None
        Particle diameter in pixels; None if it is to be estimated.

    Raises
    ------
    MicrographError, PickerError
        If the micrograph is of no use.
    """
    check_values(micrograph)
    if diameter is None:
        diameters_to_try(min(micrograph.data.shape))
    else:
        check_room(micrograph.name, micrograph.data.shape, diameter)


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
    if maps:
        check_maps(registry.described(type(picker)))
    out = make_folder(out)
    if (out / RECORD).is_dir():
        raise PickerError(f"{out}: holds a run of cryokit pick; choose another folder")
    items = [Item(path, name) for path, name in zip(paths, micrograph_names(paths), strict=True)]
    warn_of_older_results(out, [item.name for item in items])
    task = picking_task(
        picker,
        out,
        formats=formats,
        threshold=threshold,
        draw=draw,
        maps=maps,
        masks=masks,
        sum_frames=sum_frames,
    )
    task.outputs.check(items)
    remove_lists(task.outputs)
    remove_leftovers(task.outputs.folders(item.name for item in items))
    finished: dict[Path, Result] = {}
    problems: dict[str, str] = {}
    with engine(task, jobs=min(jobs, len(items))) as worker:
        for result in shown(worker.pick(items), len(items)):
            if result.problem is None:
                finished[result.item.path] = result
            else:
                problems[os.fspath(result.item.path)] = result.problem
    done = [item for item in items if item.path in finished]
    picked = {item.path: finished[item.path].picks for item in done}
    listed = [
        Listed(item, finished[item.path].quality, functools.partial(picked.__getitem__, item.path)) for item in done
    ]
    qualities = write_lists(task.outputs, listed)
    return Picked(concatenate(picked.values()), tuple(item.name for item in done), problems, qualities)


def picking_task(
    picker: Picker,
    out: Path,
    *,
    formats: Iterable[str] = ("star",),
    threshold: float | None = None,
    draw: Draw | None = None,
    maps: bool = False,
    masks: bool = False,
    sum_frames: bool = False,
    signed: bool = False,
) -> Task:
    """Return what to do with each micrograph, by the arguments of `pick_files`."""
    formats = tuple(format for format in dict.fromkeys(formats) if format != "csv")
    pictures = {"overlays": draw is not None, "maps": maps, "masks": masks}
    outputs = Outputs(out, formats, tuple(kind for kind, wanted in pictures.items() if wanted))
    return Task(picker, outputs, threshold, draw, sum_frames, signed)


def shown(results: Iterable[Result], total: int) -> Iterator[Result]:
    """Pass on results, show how many there are, and report those that are problems.

    Raises
    ------
    WriteError
        If nothing can be written any more.
    """
    from tqdm import tqdm

    for result in tqdm(results, total=total, desc="picking", unit="micrograph", disable=None):
        if result.full:
            raise WriteError(f"{result.problem}; what was finished is kept, and the same command goes on from there")
        if result.problem is not None:
            logger.error("%s", result.problem)
        yield result
