"""Who works through many micrographs: this process, several of this machine, or those of a Dask cluster.

An engine is opened once, is given micrographs as often as wanted, and keeps its processes until it is closed. At any
time it holds a few micrographs for each process, however many there are to do.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol

from cryokit._util.cluster import connected, lost, send
from cryokit._util.cores import usable_cores
from cryokit._util.lifeline import Lifeline, follow
from cryokit._util.prefetch import ahead
from cryokit.errors import PickerError
from cryokit.networks.devices import limit_threads
from cryokit.pickers import registry
from cryokit.pickers.file_tasks import Item, Result, Task
from cryokit.pickers.interface import Micrographs

BATCH = 16  # micrographs that are handed together to a picker that runs another program
BARREN = 5  # times in a row that processes may end without any result
AHEAD = 2  # micrographs that wait at each process, so that none is idle


class Engine(Protocol):
    """One of the classes here."""

    def pick(self, items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of each micrograph, in the order in which they are done."""

    def close(self) -> None:
        """End all processes; what they have in hand is lost."""


def engine(task: Task, *, jobs: int = 1, dask: str | None = None) -> contextlib.closing[Engine]:
    """Return the engine for a task; it is closed at the end of a ``with`` block.

    Parameters
    ----------
    task : Task
        What to do with each micrograph.
    jobs : int
        Number of processes.
    dask : str, optional
        Address of a Dask scheduler.

    Raises
    ------
    PickerError
        If the picker cannot be sent to other processes.
    """
    if dask is not None:
        return contextlib.closing(_Cluster(task, dask))
    if task.picker.external:
        return contextlib.closing(_Batches(task))
    return contextlib.closing(_Processes(task, jobs) if jobs > 1 else _OneByOne(task))


class _OneByOne:
    """The process itself: one is read while the one before is picked."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def pick(self, items: Sequence[Item]) -> Iterator[Result]:
        # One ahead: the device need not wait for the disk, and no more than two micrographs are in memory.
        with contextlib.closing(ahead(items, self.task.load, depth=1)) as waiting:
            for item, loaded in waiting:
                result = self.task.finish(item, loaded)
                del loaded
                yield result

    def close(self) -> None:
        """Nothing is left open."""


class _Batches(_OneByOne):
    """A program that gets many micrographs at a time."""

    def pick(self, items: Sequence[Item]) -> Iterator[Result]:
        for first in range(0, len(items), BATCH):
            batch = items[first : first + BATCH]
            try:
                paths, names = [item.path for item in batch], [item.name for item in batch]
                micrographs = Micrographs(paths, names=names, sum_frames=self.task.sum_frames)
                picks = self.task.picker.pick_many(micrographs, threshold=self.task.threshold)
            except Exception:
                yield from map(self.task, batch)  # to find out which of them is at fault
                continue
            for item in batch:
                yield self.task(item, picks[picks["micrograph"] == item.name])


class _Processes:
    """Processes of this machine, which end with this one. One that is killed costs what it had in hand twice."""

    def __init__(self, task: Task, jobs: int) -> None:
        self.jobs = jobs
        # Pickled once for each process, not for each micrograph: a network is large.
        self._sent = _sendable(task), max(1, usable_cores() // jobs)
        self._pool: ProcessPoolExecutor | None = None
        self._line: Lifeline | None = None

    def pick(self, items: Sequence[Item]) -> Iterator[Result]:
        left, suspects = deque(items), deque[Item]()
        waiting: dict[Future[Result], Item] = {}
        barren = 0
        try:
            while left or suspects or waiting:
                pool = self._opened()
                # After a process was killed, what was in hand is tried one by one, to find out which is at fault.
                source, most = (suspects, 1) if suspects else (left, AHEAD * self.jobs)
                while source and len(waiting) < most:
                    item = source.popleft()
                    try:
                        waiting[pool.submit(_pick_one, item)] = item
                    except BrokenProcessPool:
                        source.appendleft(item)
                        break
                alone = len(waiting) == 1 and most == 1
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                broken = not done
                for future in done:
                    item = waiting.pop(future)
                    try:
                        result = future.result()
                        barren = 0
                    except BrokenProcessPool:
                        broken = True
                        if not alone:
                            suspects.append(item)
                            continue
                        result = Result(item, problem=f"{item.path}: its process was killed (out of memory?)")
                    yield result
                if broken:
                    barren += 1
                    if barren == BARREN:
                        raise PickerError("processes that pick end without a result, again and again; try --jobs 1")
                    suspects.extend(waiting.values())
                    waiting.clear()
                    self.close()
        finally:
            for future in waiting:
                future.cancel()

    def _opened(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._line = Lifeline()
            # Not forked: libraries that have started threads do not survive a fork.
            self._pool = ProcessPoolExecutor(
                self.jobs,
                mp_context=get_context("spawn"),
                initializer=_start,
                initargs=(self._line.end, *self._sent[0], self._sent[1]),
            )
        return self._pool

    def close(self) -> None:
        if self._pool is not None:
            self._line.cut()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = self._line = None


class _Cluster:
    """Workers of a Dask cluster. The task is sent to each once; what a killed one had in hand is done again."""

    def __init__(self, task: Task, address: str) -> None:
        self._client = connected(address)
        self._key = f"cryokit-{uuid.uuid4().hex}"
        send(self._client, _on_workers(self._key, *_sendable(task)))

    def pick(self, items: Sequence[Item]) -> Iterator[Result]:
        from distributed import as_completed

        left = deque(items)
        running: dict[Any, Item] = {}

        def started(number: int) -> list[Any]:
            new = []
            while left and len(new) < number:
                item = left.popleft()
                # Not pure: a file may have changed. The same micrograph may be done twice, with the same outcome.
                future = self._client.submit(_pick_on_worker, self._key, item, pure=False)
                running[future] = item
                new.append(future)
            return new

        threads = sum(self._client.nthreads().values())
        done = as_completed(started(max(8, 2 * AHEAD * threads)))
        for future in done:
            item = running.pop(future)
            try:
                result = future.result()
            except Exception as error:
                if (reason := lost(error)) is None:
                    raise
                result = Result(item, problem=f"{item.path}: {reason}")
            future.release()
            done.update(started(1))
            yield result

    def close(self) -> None:
        with contextlib.suppress(Exception):  # a scheduler that is gone
            self._client.unregister_worker_plugin(self._key)
        self._client.close()


def _sendable(task: Task) -> tuple[str, bytes]:
    """Return where the picker's class is, and the task as bytes.

    Raises
    ------
    PickerError
        If other processes could not import the class.
    """
    cls = type(task.picker)
    if cls.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise PickerError(f"{cls.__qualname__}: other processes cannot import it from a notebook; write it to a file")
    return registry.described(cls).location, pickle.dumps(task)


def _received(location: str, pickled: bytes) -> Task:
    if not location.startswith("__main__:"):
        registry.picker_class(location)  # a module that was loaded from a file cannot be imported by its name
    return pickle.loads(pickled)


_task: Task | None = None  # of this process


def _start(end: Connection, location: str, pickled: bytes, threads: int) -> None:
    """Begin a process: with its share of the cores, which has to be set before a network is unpickled."""
    global _task
    follow(end)
    with contextlib.suppress(PickerError):  # Keras is there already: the main module has imported it
        limit_threads(threads)
    _task = _received(location, pickled)


def _pick_one(item: Item) -> Result:
    return _task(item)


_tasks: dict[str, Task] = {}  # of a Dask worker, by key
_one_at_a_time = threading.Lock()  # pickers are not made for threads


def _on_workers(key: str, location: str, pickled: bytes) -> Any:
    """Return a plugin that brings a task to every worker, also to those that join later."""
    from distributed import WorkerPlugin

    class Tasks(WorkerPlugin):
        name = key

        def setup(self, worker: Any) -> None:
            from cryokit.pickers import engines

            engines._tasks[key] = engines._received(location, pickled)

        def teardown(self, worker: Any) -> None:
            from cryokit.pickers import engines

            engines._tasks.pop(key, None)

    return Tasks()


def _pick_on_worker(key: str, item: Item) -> Result:
    with _one_at_a_time:
        return _tasks[key](item)
