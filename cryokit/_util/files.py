"""Files written whole or not at all."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryokit.errors import CryokitError

LARGEST = 1 << 30  # bytes of a table, list or description


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    Readers never see half a file, and a failed or killed write leaves an older file as it was. The temporary file is in
    the same folder (a rename is atomic only within one file system), in a hidden folder of its own, and keeps the
    suffixes of `path`, because several writers choose the format by them. Missing folders are made.

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
        If nothing can be written there.

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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent)  # names have a longest length
    except OSError as error:
        raise CryokitError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    temporary = Path(folder) / path.name
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        os.rmdir(folder)


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
    CryokitError
        If it cannot be made or nothing can be written to it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise CryokitError(f"{path}: cannot be written to ({error.strerror}); choose another folder") from None
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
