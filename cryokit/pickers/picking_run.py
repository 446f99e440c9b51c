"""A run of ``cryokit pick``: what is left to do, doing it, and the lists at the end."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryokit._util.files import remove_leftovers
from cryokit._util.names import micrograph_names
from cryokit._util.wording import plural, some
from cryokit.errors import PickerError
from cryokit.pickers.engines import Engine
from cryokit.pickers.file_tasks import Item, Signature
from cryokit.pickers.many_files import shown
from cryokit.pickers.picking_lists import have_lists, remove_lists, warn_of_older_results, write_lists
from cryokit.pickers.picking_record import Record, key_of, remove_files

logger = logging.getLogger(__name__)


@dataclass
class Summary:
    """What a run has come to.

    Attributes
    ----------
    done : int
        Micrographs picked by this run.
    kept : int
        Micrographs that had been picked before.
    picks : int
        Picks in the lists; only counted where lists are made.
    problems : dict of str to str
        What went wrong, by path.
    """

    done: int = 0
    kept: int = 0
    picks: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def named(record: Record, paths: Sequence[Path]) -> list[Item]:
    """Return the names of micrographs among all that were given to the run so far.

    Raises
    ------
    PickerError
        If one that has been picked would be called otherwise.
    """
    known = {key: Path(entry["path"]) for key, entry in record.inputs.items()}
    known |= {key: entry.item.path for key, entry in record.entries.items()}
    given = {key_of(path): path for path in paths}
    everything = known | {key: Path(os.path.abspath(path)) for key, path in given.items()}
    # Those that have been picked keep the path by which they were given.
    everything |= {key: record.entries[key].item.path for key in given if key in record.entries}
    names = dict(zip(everything, micrograph_names(everything.values()), strict=True))
    for key, entry in record.entries.items():
        if names[key] != entry.item.name:
            raise PickerError(
                f"{entry.item.path}: was picked as {entry.item.name!r} and would now be {names[key]!r}, as file names "
                "repeat; choose another folder for the micrographs that came later"
            )
    if len(set(names.values())) < len(names):
        twice = [name for name in names.values() if list(names.values()).count(name) > 1]
        raise PickerError(f"{record.out}: two micrographs would be called {twice[0]!r}; choose another folder for one")
    return [Item(path, names[key]) for key, path in given.items()]


def to_do(record: Record, items: Iterable[Item], *, verify: bool = False, only_new: bool = False) -> list[Item]:
    """Return the micrographs that are missing from a run, that failed, or that have changed.

    Parameters
    ----------
    record : Record
        What has been done.
    items : iterable of Item
        Micrographs that are given.
    verify : bool
        Whether to compare contents, not only sizes and times.
    only_new : bool
        Whether to pass over all that have been tried.
    """
    left = []
    for item in items:
        entry = record.entries.get(key_of(item.path))
        if entry is not None and only_new and (entry.done or entry.problem):
            continue
        if entry is None or not entry.done or not _same(entry.signature, item, verify) or _missing(record, item):
            left.append(item)
    return left


def _same(signature: Signature | None, item: Item, verify: bool) -> bool:
    return signature is not None and signature.same(Signature.of(item.path, content=verify))


def _missing(record: Record, item: Item) -> bool:
    return not all(file.is_file() for file in record.outputs.files(item.name))


def pick(
    record: Record, worker: Engine, items: Sequence[Item], summary: Summary, stop: threading.Event | None = None
) -> None:
    """Pick micrographs, and record each one; nothing is left of what an earlier run has made of those that fail.

    Parameters
    ----------
    record : Record
        Record of the run.
    worker : Engine
        Who picks.
    items : sequence of Item
        What is to be picked.
    summary : Summary
        What to add to.
    stop : threading.Event, optional
        Ends the work after the micrograph in hand.
    """
    if not items:
        return
    remove_lists(record.outputs)
    remove_leftovers(record.outputs.folders(item.name for item in items))
    record.redo(item for item in items if key_of(item.path) in record.entries)
    with contextlib.closing(worker.pick(items)) as results:
        for result in shown(results, len(items)):
            if result.problem is not None:
                remove_files(record.outputs, result.item.name)
                summary.problems[os.fspath(result.item.path)] = result.problem
            else:
                summary.done += 1
                summary.problems.pop(os.fspath(result.item.path), None)
            record.add(result)
            if stop is not None and stop.is_set():
                return


def finish(record: Record, summary: Summary) -> None:
    """Make the lists of all that has been picked, unless they are there.

    Files of micrographs that are not recorded as picked, since a kill came between, are removed: lists and files agree.
    """
    if have_lists(record.outputs) and not summary.done and not summary.problems:
        listed = record.listed()
        summary.picks = sum(entry.quality.picks for entry in listed)
        return
    paths = {key: Path(entry["path"]) for key, entry in record.inputs.items()}
    names = dict(zip(paths, micrograph_names(paths.values()), strict=True))
    done = {key for key, entry in record.entries.items() if entry.done}
    for key in paths.keys() - done:
        with contextlib.suppress(PickerError):
            remove_files(record.outputs, names[key])
    listed = record.listed()
    warn_of_older_results(record.out, [entry.item.name for entry in listed])
    qualities = write_lists(record.outputs, listed)
    summary.picks = int(qualities["picks"].sum())


def merge(record: Record) -> Summary:
    """Make the lists of what all shards have done, and tell what is missing.

    Raises
    ------
    PickerError
        If nothing has begun there.
    """
    if record.run is None:
        raise PickerError(f"{record.out}: holds no run of cryokit pick; give the folder that its --out named")
    summary = Summary(done=1)  # so that lists are made anew
    remove_leftovers(record.outputs.folders(entry.item.name for entry in record.entries.values()))
    finish(record, summary)
    summary.done = 0
    summary.kept = sum(entry.done for entry in record.entries.values())
    for key, given in record.inputs.items():
        entry = record.entries.get(key)
        if entry is not None and entry.problem:
            summary.problems[given["path"]] = entry.problem
        elif entry is None or not entry.done or _missing(record, entry.item):
            summary.problems[given["path"]] = f"{given['path']}: has not been picked; run its shard again"
    return summary


def arrivals(
    find: Callable[[], list[Path]], record: Record, stop: threading.Event, every: float
) -> Iterator[list[Path]]:
    """Yield files that have arrived and are complete: their size and time are those of the look before.

    Parameters
    ----------
    find : callable
        Finds the files that are there.
    record : Record
        What has been done; files that failed are there again once they have changed.
    stop : threading.Event
        Ends the waiting.
    every : float
        Seconds between two looks.
    """
    before: dict[str, Signature | None] = {}
    while not stop.is_set():
        found = {key_of(path): path for path in find()}
        now = {key: Signature.of(path) for key, path in found.items()}
        ready = []
        for key, signature in now.items():
            entry = record.entries.get(key)
            tried = entry is not None and (entry.done or entry.problem) and entry.signature is not None
            if signature is None or (tried and entry.signature.same(signature)):
                continue
            if signature.size and signature == before.get(key):
                ready.append(found[key])
        before = now
        if ready:
            logger.info("%s arrived: %s", plural(len(ready), "micrograph"), some([path.name for path in ready]))
            yield sorted(ready)
        stop.wait(every)
