"""Locks on files that end with the process that holds them, however it ends: nobody has to remove a stale one."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryokit.errors import CryokitError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = logging.getLogger(__name__)

_TAKEN = (errno.EAGAIN, errno.EACCES)


class Lock:
    """A lock that is held until `release`, or until the process ends.

    Attributes
    ----------
    sure : bool
        Whether the file system has locks; without them nothing is known of other processes.
    """

    def __init__(self, path: Path, descriptor: int, sure: bool) -> None:
        self.path, self._descriptor, self.sure = path, descriptor, sure

    def release(self) -> None:
        """Give the lock up; the file stays."""
        os.close(self._descriptor)


def attempt(path: str | os.PathLike, *, shared: bool = False) -> Lock | None:
    """Take the lock of a file, which is made if it is missing, without waiting.

    Parameters
    ----------
    path : path-like
        File that stands for what is locked.
    shared : bool
        Whether others may hold the lock at the same time, if they share it as well.

    Returns
    -------
    Lock or None
        None if another process, or another part of this one, has the lock.

    Raises
    ------
    OSError
        If the file cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lock"
    >>> held = attempt(path)
    >>> attempt(path) is None
    True
    >>> held.release()
    """
    path = Path(path)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except PermissionError:
            if path.exists():  # somebody else's
                return None
            raise
        sure = fcntl is not None
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _TAKEN:
                    os.close(descriptor)
                    return None
                sure = False
        try:
            # Whoever held it may have removed the file in between; then this is a lock on nothing.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return Lock(path, descriptor, sure)
        except FileNotFoundError:
            pass
        os.close(descriptor)


@contextmanager
def held(path: str | os.PathLike, busy: str, *, shared: bool = False) -> Iterator[Lock]:
    """Hold a lock while the block runs.

    Parameters
    ----------
    path : path-like
        File that stands for what is locked. It says which process has the lock, for people.
    busy : str
        What the error says if the lock is taken.
    shared : bool
        As for `attempt`.

    Raises
    ------
    CryokitError
        If the lock is taken.
    """
    lock = attempt(path, shared=shared)
    if lock is None:
        raise CryokitError(busy + _holder(path))
    if not lock.sure:
        logger.warning("%s: this file system has no locks; see to it that no two runs write here at once", path)
    try:
        if not shared:
            os.ftruncate(lock._descriptor, 0)
            os.write(lock._descriptor, f"process {os.getpid()} on {_machine()}\n".encode())
        yield lock
    finally:
        lock.release()


def _holder(path: str | os.PathLike) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f" ({text})" if text.startswith("process ") else ""


def _machine() -> str:
    return os.uname().nodename if hasattr(os, "uname") else "this machine"
