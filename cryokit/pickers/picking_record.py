"""The record of ``cryokit pick`` in its output folder: what has been asked for, and what has been done.

============================= ====================================================================================
file of ``record/``           content
============================= ====================================================================================
``run.json``                  settings, version of cryokit, and hash of the model
``model.npz`` or ``model/``   fitted picker, unless a saved one was given
``inputs.json``               all micrographs that were given, with their size and time
``done.jsonl``                a line per micrograph: name, path, size, time and hash of the file that was read, and its
                              picks and quality, or what went wrong
``done-3-of-8.jsonl``         the same of one shard
``lock``, ``*.lock``          which process is at work
============================= ====================================================================================

A line is written after the files of its micrograph, in one piece; of a micrograph that is done again, a line says so
before. The line of the latest turn counts: each process that opens the record begins a turn. A line that was cut short
by a kill or a full disk is not there; any other damage is an error, because what it recorded would be lost silently.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import json
import logging
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cryokit import __version__
from cryokit._util import locks
from cryokit._util.files import make_folder, remove_leftovers, write_text, writing
from cryokit._util.json_files import read_json
from cryokit._util.plain import json_text, plain
from cryokit._util.wording import shortened
from cryokit.coordinates import COLUMNS, validate
from cryokit.errors import PickerError, WriteError
from cryokit.pickers import identity
from cryokit.pickers.file_tasks import Item, Outputs, Result, Signature
from cryokit.pickers.interface import Picker
from cryokit.pickers.many_files import RECORD
from cryokit.pickers.picking_lists import Listed
from cryokit.pickers.verdicts import Quality

logger = logging.getLogger(__name__)

FORMAT = 1  # of the record
RUN, INPUTS, DONE, LOCK = "run.json", "inputs.json", "done", "lock"
_ANEW = "add --fresh to begin anew, or choose another folder"


@dataclass(frozen=True)
class Shard:
    """One of several parts of the micrographs, counted from 1."""

    number: int
    of: int

    def part(self, items: Sequence[Item]) -> list[Item]:
        """Return every `of`-th micrograph."""
        return list(items[self.number - 1 :: self.of])

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"


@dataclass(frozen=True)
class Entry:
    """A line of the record, without its picks: where it is, and what it says."""

    journal: Path
    start: int
    length: int
    turn: int
    item: Item
    signature: Signature | None
    problem: str | None
    done: bool


class Record:
    """A record that is open: nobody else writes into the folder, but other shards may.

    Use `opened`.

    Attributes
    ----------
    entries : dict of str to Entry
        The latest of each micrograph, by its real path.
    inputs : dict of str to dict
        Path, size and time of each micrograph that was ever given, by its real path.
    run : dict or None
        Content of ``run.json``; None before `begin`.
    """

    def __init__(self, out: Path, shard: Shard | None) -> None:
        self.out, self.folder, self.shard = out, out / RECORD, shard
        self.journal = self.folder / (f"{DONE}-{shard}.jsonl" if shard else f"{DONE}.jsonl")
        self.run: dict[str, Any] | None = None
        self.entries: dict[str, Entry] = {}
        self.inputs: dict[str, dict[str, Any]] = {}
        self._turn = 1

    def load(self) -> None:
        """Read what is there.

        Raises
        ------
        PickerError
            If it cannot be read, or is of another version.
        """
        path = self.folder / RUN
        if not os.path.lexists(path):
            return
        self.run = read_json(path, PickerError, "the record of a run of cryokit pick")
        wanted = {"version": str, "settings": dict, "formats": list, "pictures": list, "model": dict | None}
        if not isinstance(self.run, dict) or not all(
            name in self.run and isinstance(self.run[name], kind) for name, kind in wanted.items()
        ):
            raise PickerError(f"{path}: not the record of a run of cryokit pick, or damaged; {_ANEW}")
        if self.run.get("cryokit_pick") != FORMAT or self.run["version"] != __version__:
            raise PickerError(
                f"{path}: written by cryokit {shortened(self.run['version'])}, this is {__version__}; go on with that "
                f"one, {_ANEW}"
            )
        if (self.folder / INPUTS).exists():
            self.inputs = read_json(self.folder / INPUTS, PickerError, "the list of inputs of a run of cryokit pick")
            if not isinstance(self.inputs, dict):
                raise PickerError(f"{self.folder / INPUTS}: damaged; {_ANEW}")
        turn = 0
        for journal in sorted(self.folder.glob(f"{DONE}*.jsonl")):
            for key, entry in _lines(journal):
                turn = max(turn, entry.turn)
                if key not in self.entries or self.entries[key].turn <= entry.turn:
                    self.entries[key] = entry
        self._turn = turn + 1

    def begin(
        self, settings: Mapping[str, Any], outputs: Outputs, picker: Picker | None, model: Mapping[str, Any] | None
    ) -> None:
        """Write what is asked for, with the fitted picker.

        Parameters
        ----------
        settings : mapping
            What the picks depend on.
        outputs : Outputs
            What is written of each micrograph.
        picker : Picker or None
            Picker to keep; None if `model` is one that the user keeps.
        model : mapping or None
            Name and hash of that.
        """
        if picker is not None:
            try:
                path = picker.save(self.folder / "model")
                if path.is_dir() is False and path.suffix != ".npz":
                    raise PickerError(f"{path}: saved in a way of its own")
                model = {"path": path.name, "hash": identity.saved(path)}
            except WriteError:
                raise
            except PickerError as error:
                logger.warning("%s; a run that is broken off will be fitted anew", error)
        self.run = {
            "cryokit_pick": FORMAT,
            "version": __version__,
            "settings": plain(dict(settings)),
            "formats": list(outputs.formats),
            "pictures": list(outputs.pictures),
            "model": model,
        }
        write_text(self.folder / RUN, json_text(self.run))

    @property
    def model(self) -> Path | None:
        """The fitted picker that the record holds, if it holds one.

        Raises
        ------
        PickerError
            If it is not the one of the record.
        """
        model = self.run["model"] if self.run else None
        if model is None or model.get("path") is None:
            return None
        path = self.folder / model["path"]
        if not path.exists() or identity.saved(path) != model["hash"]:
            raise PickerError(f"{path}: gone, or not the model that this run began with; {_ANEW}")
        return path

    @property
    def outputs(self) -> Outputs:
        """What is written of each micrograph."""
        return Outputs(self.out, tuple(self.run["formats"]), tuple(self.run["pictures"]))

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse to go on with other settings.

        Raises
        ------
        PickerError
            If they differ; the message says how.
        """
        there, now = self.run["settings"], plain(dict(settings))
        different = [
            f"{name} ({_said(there.get(name))} there, {_said(now.get(name))} now)"
            for name in {**there, **now}
            if there.get(name) != now.get(name)
        ]
        if different:
            raise PickerError(f"{self.out}: holds a run with other settings: {', '.join(different)}; {_ANEW}")

    def add_inputs(self, items: Iterable[Item]) -> None:
        """Note that micrographs were given."""
        new = {}
        for item in items:
            state = Signature.of(item.path)
            entry = {"path": os.path.abspath(item.path), "size": None, "mtime_ns": None}
            if state is not None:
                entry |= {"size": state.size, "mtime_ns": state.mtime_ns}
            if self.inputs.get(key_of(item.path)) != entry:
                new[key_of(item.path)] = entry
        if new:
            self.inputs |= new
            write_text(self.folder / INPUTS, json.dumps(self.inputs, indent=0))

    def redo(self, items: Iterable[Item]) -> None:
        """Note that micrographs which have been done are done again, before their files change."""
        self._append({"path": os.path.abspath(item.path), "name": item.name} for item in items)

    def add(self, result: Result) -> None:
        """Note what came of a micrograph, after its files were written."""
        signature = result.signature
        line: dict[str, Any] = {"path": os.path.abspath(result.item.path), "name": result.item.name}
        if signature is not None:
            line |= {"size": signature.size, "mtime_ns": signature.mtime_ns, "sha256": signature.sha256}
        if result.problem is not None:
            line["problem"] = result.problem
        else:
            line["quality"] = plain(dataclasses.asdict(result.quality))
            line["picks"] = _packed(result.picks)
        self._append([line])

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        data = "".join(json.dumps({**line, "turn": self._turn}) + "\n" for line in lines).encode("ascii")
        if not data:
            return
        with writing(self.journal):
            before = self.journal.stat().st_size if self.journal.exists() else 0
            try:
                with open(self.journal, "ab", buffering=0) as file:
                    if file.write(data) != len(data):
                        raise WriteError(f"{self.journal}: cannot be written (the disk is full); free space there")
            except (OSError, WriteError):
                with contextlib.suppress(OSError):
                    os.truncate(self.journal, before)
                raise
        for key, entry in _lines(self.journal, before):
            self.entries[key] = entry

    def listed(self) -> list[Listed]:
        """Return the micrographs whose files are all there, in the order of their paths."""
        outputs = self.outputs
        entries = sorted((entry for entry in self.entries.values() if entry.done), key=lambda entry: entry.item.path)
        there = [entry for entry in entries if all(file.is_file() for file in outputs.files(entry.item.name))]
        return [Listed(entry.item, _quality(entry), functools.partial(_picks, entry)) for entry in there]

    def clear(self) -> None:
        """Remove all that the record knows to be the run's, to begin anew."""
        if self.run is not None:
            for entry in self.entries.values():
                remove_files(self.outputs, entry.item.name)
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
        self.run, self.entries, self.inputs, self._turn = None, {}, {}, 1


@contextlib.contextmanager
def opened(out: Path, *, shard: Shard | None = None, fresh: bool = False) -> Iterator[Record]:
    """Open the record of a folder; a folder in which nothing has begun is left without one.

    Parameters
    ----------
    out : pathlib.Path
        Output folder, made if it is missing.
    shard : Shard, optional
        Part of the work that this process does, beside others.
    fresh : bool
        Whether to remove what is there.

    Raises
    ------
    CryokitError
        If another process is at work there, or the record cannot be read.
    WriteError
        If the folder cannot be written.
    """
    make_folder(out)
    record = Record(out, shard)
    made = not record.folder.exists()
    record.folder.mkdir(exist_ok=True)
    busy = f"{out}: another cryokit pick is at work there; wait for it, or choose another folder"
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(locks.held(record.folder / LOCK, busy, shared=shard is not None))
            if shard is not None:
                stack.enter_context(locks.held(record.folder / f"{shard}.lock", busy))
            remove_leftovers([out, record.folder])
            if fresh:
                with contextlib.suppress(PickerError):  # what cannot be read is to go
                    record.load()
                record.clear()
            else:
                record.load()
                _without_torn_line(record.journal)
            made = record.run is None and {path.name for path in record.folder.iterdir()} <= {LOCK}
            yield record
    finally:
        if made and record.run is None:
            with contextlib.suppress(OSError):
                (record.folder / LOCK).unlink(missing_ok=True)
                record.folder.rmdir()


def key_of(path: str | os.PathLike) -> str:
    """Return what stands for a file, however its path is given."""
    return os.path.realpath(path)


def remove_files(outputs: Outputs, name: str) -> None:
    """Remove all files of a micrograph."""
    for file in outputs.files(name):
        file.unlink(missing_ok=True)


def _lines(journal: Path, start: int = 0) -> Iterator[tuple[str, Entry]]:
    """Yield the lines of a journal from a place on, with the real paths of their micrographs."""
    with open(journal, "rb") as file:
        file.seek(start)
        for number, data in enumerate(file, 1):
            if not data.endswith(b"\n"):  # being written, or cut short
                return
            try:
                line = json.loads(data)
                item = Item(Path(line["path"]), line["name"])
                signature = Signature(line["size"], line["mtime_ns"], line["sha256"]) if "size" in line else None
                done = isinstance(line.get("picks"), str)
                entry = Entry(journal, start, len(data), int(line["turn"]), item, signature, line.get("problem"), done)
            except (ValueError, KeyError, TypeError):
                raise PickerError(
                    f"{journal}: line {number} is damaged; remove the line to pick its micrograph again, or {_ANEW}"
                ) from None
            yield key_of(item.path), entry
            start += len(data)


def _without_torn_line(journal: Path) -> None:
    """Remove the beginning of a line that a kill or a full disk has cut short, so that another line may follow."""
    if not journal.exists():
        return
    with open(journal, "r+b") as file:
        size, end = 0, 0
        for data in file:
            size += len(data)
            end = size if data.endswith(b"\n") else end
        if end < size:
            logger.info("%s: the last line was cut short; its micrograph is picked again", journal)
            file.truncate(end)


def _read(entry: Entry) -> dict[str, Any]:
    with open(entry.journal, "rb") as file:
        file.seek(entry.start)
        return json.loads(file.read(entry.length))


def _quality(entry: Entry) -> Quality:
    try:
        values = _read(entry)["quality"]
        return Quality(**{name: math.nan if value is None else value for name, value in values.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(entry) from None


def _picks(entry: Entry) -> pd.DataFrame:
    try:
        columns = json.loads(zlib.decompress(base64.b64decode(_read(entry)["picks"], validate=True)))
        picks = pd.DataFrame(columns, columns=[name for name in COLUMNS if name != "micrograph"])
        return validate(picks.assign(micrograph=entry.item.name))
    except Exception:  # whatever damaged bytes raise on their way
        raise _damaged(entry) from None


def _damaged(entry: Entry) -> PickerError:
    return PickerError(
        f"{entry.journal}: the line of {entry.item.path} is damaged; remove it to pick this micrograph again, or "
        f"{_ANEW}"
    )


def _packed(picks: pd.DataFrame) -> str:
    """Return picks as text: of every number the shortest text that is the same number."""
    columns = plain({name: picks[name].tolist() for name in COLUMNS if name != "micrograph"})
    return base64.b64encode(zlib.compress(json.dumps(columns).encode(), 6)).decode("ascii")


def _said(value: Any) -> str:
    return "none" if value is None else shortened(value)
