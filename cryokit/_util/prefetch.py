"""Read ahead: load the next files while the device works on the one before."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from cryokit._util.validation import check_number

P = TypeVar("P")
T = TypeVar("T")


def ahead(paths: Iterable[P], load: Callable[[P], T], depth: int = 2) -> Iterator[tuple[P, T | Exception]]:
    """Load files in a thread, in order, ahead of the one that is being worked on.

    Reading waits for disks and, in NumPy, SciPy and the file readers, releases Python's lock, so it goes on beside the
    work. A consumer that stops early ends the thread, too (closing the iterator, as the end of a ``for`` loop does,
    waits for the file being read).

    Parameters
    ----------
    paths : iterable
        Files to load, taken one by one as needed.
    load : callable
        Function of one path, called in the thread.
    depth : int
        Number of loaded files that may wait. At most these and the last one yielded are in memory.

    Yields
    ------
    path : object
        The next of `paths`.
    value : object or Exception
        What `load` returned, or the exception that it raised: one file that cannot be read does not stop the others.

    Raises
    ------
    ArgumentError
        If `depth` is below 1.

    Examples
    --------
    >>> for number, value in ahead([1, 0, 2], lambda n: 6 / n):
    ...     (number, value if isinstance(value, float) else type(value).__name__)
    (1, 6.0)
    (0, 'ZeroDivisionError')
    (2, 3.0)
    """
    check_number("depth", depth, 1, whole=True)
    return _ahead(iter(paths), load, depth)


def _ahead(paths: Iterator[P], load: Callable[[P], T], depth: int) -> Iterator[tuple[P, T | Exception]]:
    waiting: deque[tuple[P, Future[T]]] = deque()
    reader = ThreadPoolExecutor(1, thread_name_prefix="cryokit-reading")
    try:
        waiting.extend((path, reader.submit(load, path)) for path in islice(paths, depth))
        while waiting:
            path, future = waiting.popleft()
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error  # KeyboardInterrupt, SystemExit
            result = [future.result() if error is None else error]
            waiting.extend((following, reader.submit(load, following)) for following in islice(paths, 1))
            # No reference to the value stays here: once the consumer drops it, its memory is free.
            del future, error
            yield path, result.pop()
    finally:
        reader.shutdown(wait=True, cancel_futures=True)
