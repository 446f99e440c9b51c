"""Processes that end with the one that started them, however it ends.

The starter keeps one end of a pipe, and the processes that it starts wait at the other. When the starter ends, even by
SIGKILL, the system closes its end, which all systems do, and the others end at once. So they do if the starter cuts the
line. Files are written whole or not at all (`cryokit._util.files`), so nothing is lost but what was in hand.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection

# What a terminal or a batch system sends to all processes of a job: the starter decides, its processes follow.
_OF_THE_STARTER = ("SIGINT", "SIGTERM", "SIGHUP")
ENDING = ("SIGTERM", "SIGHUP")  # signals that end a command


class Lifeline:
    """A pipe to the processes that this one starts.

    Attributes
    ----------
    end : multiprocessing.connection.Connection
        What the processes are given, as an argument at their start, to call `follow` with.
    """

    def __init__(self) -> None:
        self.end, self._own = get_context("spawn").Pipe(duplex=False)

    def cut(self) -> None:
        """End the processes."""
        self._own.close()
        self.end.close()


def follow(end: Connection) -> None:
    """End this process when its starter ends or cuts the line, and at no other signal than SIGKILL."""
    for name in _OF_THE_STARTER:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)

    def wait() -> None:
        with contextlib.suppress(EOFError, OSError):
            end.recv_bytes()

    _watch(wait, lambda: os._exit(1))


def follow_input(first: Callable[[], None] | None = None) -> None:
    """End this process, and what it has started, when its standard input ends: a pipe that its starter holds open.

    Parameters
    ----------
    first : callable, optional
        What to do before the end.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass

    def end() -> None:
        if first is not None:
            first()
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():  # nobody else's group
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    _watch(wait, end)


def _watch(wait: Callable[[], None], end: Callable[[], None]) -> None:
    def watch() -> None:
        wait()
        end()

    threading.Thread(target=watch, name="cryokit-lifeline", daemon=True).start()


@contextlib.contextmanager
def ended_by_signals(act: Callable[[int], None] | None = None) -> Iterator[None]:
    """Turn the signals that end a process into SystemExit, so that what it has begun is ended in order.

    Parameters
    ----------
    act : callable, optional
        What to do instead, with the number of the signal; then SIGINT is among them.
    """

    def end(number: int, frame: object) -> None:
        if act is not None:
            act(number)
        else:
            raise SystemExit(128 + number)

    before = {}
    # Handlers belong to the main thread. A signal that is ignored (nohup) or handled elsewhere is left alone.
    if threading.current_thread() is threading.main_thread():
        names = ENDING if act is None else (*ENDING, "SIGINT")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: handler for number in numbers if (handler := signal.getsignal(number)) != signal.SIG_IGN}
        if act is None:
            before = {number: handler for number, handler in before.items() if handler == signal.SIG_DFL}
        for number in before:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
