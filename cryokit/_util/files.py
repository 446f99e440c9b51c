"""Files written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryokit.errors import CryokitError


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
        folder = tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
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
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
