"""Files written whole or not at all."""

import contextlib
import ctypes
import errno
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryokit._util import locks
from cryokit.errors import CryokitError, WriteError

logger = logging.getLogger(__name__)

_PART = ".cryokit-part"  # ending of the hidden folders in which files are made
_LOCK = "lock"  # in them: held by the process that writes
ASIDE = "aside"  # in them: folders that others are about to replace
_DAY = 86400.0  # seconds
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_WAY_OUT = "free space there, or choose another place"
LARGEST = 1 << 30  # bytes of a table, list or description


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    Readers never see half a file, and a failed or killed write leaves an older file as it was. The temporary file is in
    the same folder (a rename is atomic only within one file system), in a hidden folder of its own (`scratch`), and
    keeps the suffixes of `path`, because several writers choose the format by them. Missing folders are made.

    Parameters
    ----------
    path : path-like
        File to write.

    Yields
    ------
    pathlib.Path
        Path to write to; it does not exist yet.

    Raises
    ------
    CryokitError
        If `path` is a folder.
    WriteError
        If nothing can be written there, or the disk is full.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "new" / "a.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    path = Path(path)
    if path.is_dir():
        raise CryokitError(f"{path}: is a folder; name a file")
    with scratch(path) as folder, writing(path):
        temporary = folder / path.name
        yield temporary
        os.replace(temporary, path)


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turn the error of a disk that takes no more into a `WriteError` that names `path`."""
    try:
        yield
    except OSError as error:
        if (reason := _refusal(error)) is None:
            raise
        raise WriteError(f"{path}: cannot be written ({reason}); {_WAY_OUT}") from error


@contextlib.contextmanager
def scratch(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty hidden folder beside `path`, in which to make what will be there; it is removed at the end.

    The folder is called after `path` and locked. So a process that finds one that nobody has locked knows that it was
    left by a process that was killed, and removes it: the next one that writes `path`, or `remove_leftovers`. What has
    been moved to `ASIDE` in it comes back then, if nothing has taken its place.

    Raises
    ------
    WriteError
        If it cannot be made.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder, lock = _own_folder(path)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}); {_WAY_OUT}") from None
    try:
        yield folder
    finally:
        _remove(folder, lock)


def _own_folder(path: Path) -> tuple[Path, locks.Lock | None]:
    """Make the hidden folder of `path`, or take over one that was left; return it with its lock."""
    number = 0
    while True:
        folder = path.parent / f".{path.name[:40]}.{number}{_PART}"  # names have a longest length
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = None if folder.is_symlink() else locks.attempt(folder / _LOCK)
        except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
            if isinstance(error, FileNotFoundError) and path.parent.is_dir():
                continue  # its owner has just removed it
            if isinstance(error, FileNotFoundError):
                raise
            lock = None
        if lock is None:
            number += 1
        elif lock.sure:
            _clear(folder)
            return folder, lock
        else:  # without locks nobody can tell whose it is
            _remove(folder, lock)
            return Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", suffix=_PART, dir=path.parent)), None


def remove_leftovers(folders: Iterable[str | os.PathLike]) -> None:
    """Remove the hidden folders that killed processes have left in `folders`.

    Those of processes that still run stay. On file systems without locks, only what is older than a day goes.
    """
    for folder in dict.fromkeys(map(Path, folders)):
        try:
            left = [entry for entry in os.scandir(folder) if entry.name.endswith(_PART) and entry.name[0] == "."]
        except OSError:
            continue
        for entry in left:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False) and (lock := locks.attempt(Path(entry.path) / _LOCK)):
                    if lock.sure or entry.stat().st_mtime < time.time() - _DAY:
                        logger.info("%s: removed, left by a process that was killed", entry.path)
                        _clear(Path(entry.path))
                        _remove(Path(entry.path), lock)
                    else:
                        lock.release()


def replace_folder(new: Path, path: Path, aside: Path) -> None:
    """Put a folder in the place of another at once; where the system cannot, the other steps aside first.

    Parameters
    ----------
    new : pathlib.Path
        Complete new folder, in the `scratch` of `path`.
    path : pathlib.Path
        Place to put it.
    aside : pathlib.Path
        The `scratch` of `path`.
    """
    if not path.exists():
        new.rename(path)
    elif not _exchanged(new, path):
        old = aside / ASIDE / path.name
        old.parent.mkdir()
        path.rename(old)
        try:
            new.rename(path)
        except OSError:
            old.rename(path)
            raise


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; return whether the system could (Linux, on most file systems)."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    at_working_folder, exchange = -100, 2  # of linux/fcntl.h and linux/fs.h
    return rename(at_working_folder, os.fsencode(one), at_working_folder, os.fsencode(other), exchange) == 0


def _refusal(error: OSError) -> str | None:
    """Return why a disk takes no more; None for other errors."""
    if error.errno in _FULL:
        return error.strerror or "no space"
    # NumPy and HDF5 pass on no number.
    text = str(error)
    return "no space" if "requested and" in text or "No space left" in text else None


def _clear(folder: Path) -> None:
    """Empty a folder that was left, but for its lock; put back what had stepped aside."""
    for old in (folder / ASIDE).iterdir() if (folder / ASIDE).is_dir() else ():
        if not os.path.lexists(folder.parent / old.name):
            old.rename(folder.parent / old.name)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        elif entry.name != _LOCK:
            os.unlink(entry.path)


def _remove(folder: Path, lock: locks.Lock | None) -> None:
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _LOCK:
                os.unlink(entry.path)
    with contextlib.suppress(OSError):
        (folder / _LOCK).unlink(missing_ok=True)
        os.rmdir(folder)  # not empty if another process has just taken it over
    if lock is not None:
        lock.release()


def home(text: str) -> Path:
    """Return a path with a user's home folder for ``~``; unknown users stay as they are, unlike `Path.expanduser`."""
    return Path(os.path.expanduser(text))


def inside(folder: str | os.PathLike, name: str, error: type[CryokitError] = CryokitError) -> Path:
    """Return the path of a file in a folder for results, which nothing can lead out of.

    Parameters
    ----------
    folder : path-like
        Folder for results; it may be a link itself.
    name : str
        Name of the file, with folders inside if there are slashes.
    error : type
        Class of the error to raise.

    Raises
    ------
    CryokitError
        If the name leads out of the folder, or a folder inside is a link that does; of the class `error`.

    Examples
    --------
    >>> inside("picks", "A/001.star").as_posix()
    'picks/A/001.star'
    """
    path = Path(folder) / name
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        raise error(f"{path}: leads out of {folder}; rename what it is named after")
    if len(parts) > 1 and not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(folder)):
        raise error(f"{path.parent}: is a link that leads out of {folder}; remove it or choose another place")
    return path


def read_bytes(path: str | os.PathLike, error: type[CryokitError], title: str, limit: int = LARGEST) -> bytes:
    """Return the content of a file that should be small: a table, a list, a description.

    Parameters
    ----------
    path : path-like
        File to read.
    error : type
        Class of the error to raise.
    title : str
        What the file should be, with an article, for the error's message.
    limit : int
        Largest size in bytes.

    Raises
    ------
    CryokitError
        If the file is missing, no regular file, larger than the limit, or cannot be read; of the class `error`.
    """
    if trouble := unreadable(path):
        raise error(f"{path}: cannot be read as {title}: {trouble}")
    try:
        size = os.stat(path).st_size
        if size > limit:
            raise error(f"{path}: {size} bytes are too many for {title}; at most {limit} are read")
        return Path(path).read_bytes()
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None


def unreadable(path: str | os.PathLike) -> str | None:
    """Say why a path is no file to read; None if it is a regular file or leads to one.

    Opening a pipe or a device would wait for ever, or never end.

    Examples
    --------
    >>> unreadable("/no/such/file")
    'No such file'
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "a link to a file that is gone" if os.path.islink(path) else "No such file"
    except (OSError, ValueError) as error:  # a loop of links, a folder that is closed, a NUL in the path
        return getattr(error, "strerror", None) or str(error)
    if stat.S_ISDIR(mode):
        return "it is a folder"
    return None if stat.S_ISREG(mode) else "it is no regular file but a pipe, a socket or a device"


def make_folder(path: str | os.PathLike) -> Path:
    """Make a folder for results with its parents, and return it.

    Long jobs call this before they begin, so that they do not fail at the end.

    Raises
    ------
    WriteError
        If it cannot be made or nothing can be written to it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise WriteError(f"{path}: cannot be written to ({error.strerror}); choose another folder") from None
    return path


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all.

    Raises
    ------
    CryokitError
        If nothing can be written there, or the text holds a file name that is no UTF-8.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.end + 20]
        raise CryokitError(f"{path}: not written, {around!r} is no UTF-8; rename what is called so") from None
    with replacing(path) as temporary:
        temporary.write_bytes(data)
