"""Whether a file is the one that its manifest describes."""

import hashlib
import os
from pathlib import Path

from cryokit.datasets.manifest import DataFile

_CHUNK = 1 << 20


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return _digest(path, hashlib.sha256())


def git_blob_sha1(path: str | os.PathLike) -> str:
    r"""Return the hash by which git knows the content of a file: SHA-1 of ``blob <size>\0`` and the bytes.

    The same as ``git hash-object FILE`` (without filters), in hexadecimal.
    """
    return _digest(path, hashlib.sha1(b"blob %d\0" % os.stat(path).st_size))


HASHES = {"sha256": sha256, "git_blob_sha1": git_blob_sha1}


def problem(path: str | os.PathLike, file: DataFile) -> str | None:
    """Compare a file with its manifest: the size first, then every hash that the manifest has.

    Parameters
    ----------
    path : path-like
        Existing file.
    file : DataFile
        Entry of the manifest; must have a hash.

    Returns
    -------
    str or None
        What is wrong, in words; None if the file is the right one.

    Raises
    ------
    ValueError
        If the manifest has no hash for the file, so that nothing can be verified.
    """
    if not file.hashes:
        raise ValueError(f"{file.path} has no hash")
    size = os.stat(path).st_size
    if file.bytes is not None and size != file.bytes:
        return f"{size} bytes where the manifest says {file.bytes}"
    for name, expected in file.hashes.items():
        digest = HASHES[name](path)
        if digest != expected:
            return f"{name} is {digest} where the manifest says {expected}"
    return None


def _digest(path: str | os.PathLike, state) -> str:  # the type of a hash object has no public name
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()
