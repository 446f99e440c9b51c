"""Arrays with a header of JSON in one NumPy archive (``.npz``): how cryokit saves what is no network."""

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryokit._util.files import replacing, unreadable
from cryokit._util.plain import json_text
from cryokit.errors import CryokitError

_MOST_PER_BYTE = 1100  # bytes that one byte of Deflate can stand for, and some


def write_archive(
    path: str | os.PathLike,
    kind: str,
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray],
    *,
    compressed: bool = False,
) -> Path:
    """Write an archive, whole or not at all.

    Parameters
    ----------
    path : path-like
        File to write; ``.npz`` is added if it is missing.
    kind : str
        Kind of the archive, such as ``"training_set"``.
    header : mapping
        Values that JSON can hold.
    arrays : mapping of str to ndarray
        Arrays by name, none of Python objects.
    compressed : bool
        Whether to compress the arrays.

    Returns
    -------
    pathlib.Path
        The file, with its suffix.

    Raises
    ------
    CryokitError
        If nothing can be written there.
    """
    path = Path(path)
    if path.suffix != ".npz":
        path = path.with_name(path.name + ".npz")
    save = np.savez_compressed if compressed else np.savez
    with replacing(path) as temporary:
        save(temporary, **{_header_name(kind): np.array(json_text(header, indent=None))}, **arrays)
    return path


def read_archive(
    path: str | os.PathLike, kind: str, error: type[CryokitError], advice: str
) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Read an archive; no code in it is run.

    Parameters
    ----------
    path : path-like
        File to read.
    kind : str
        Kind of the archive.
    error : type
        Class of the error to raise.
    advice : str
        How to get another file, for the error's message.

    Returns
    -------
    header : dict
        Values of the header.
    arrays : dict of str to ndarray
        Arrays by name.

    Raises
    ------
    CryokitError
        If the file is missing, damaged, or of another kind; of the class `error`.
    """
    if trouble := unreadable(path):
        raise error(f"{path}: {trouble}")
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name.removesuffix(".npy"): _array(archive, name) for name in archive.namelist()}
        header = json.loads(str(arrays.pop(_header_name(kind))))
        if not isinstance(header, dict):
            raise TypeError("the header is no mapping")
        return header, arrays
    except MemoryError:
        raise error(f"{path}: does not fit into memory") from None
    # The errors that damaged bytes raise on their way through zip and NumPy have no common base, and what NumPy advises
    # in them (to load the file unsafely) leads astray.
    except Exception:
        raise error(f"{path}: not a {kind.replace('_', ' ')}, or damaged; {advice}") from None


def _array(archive: zipfile.ZipFile, name: str) -> NDArray:
    """Return one array of an archive; memory is taken for what is there only, whatever headers promise."""
    member = archive.getinfo(name)
    if member.file_size > _MOST_PER_BYTE * member.compress_size + 4096:
        raise ValueError("more bytes are promised than the compressed ones can hold")
    content = io.BytesIO(archive.read(member))
    version = np.lib.format.read_magic(content)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, _, dtype = read_header(content)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > len(content.getbuffer()):
        raise ValueError("more values are promised than are there")
    content.seek(0)
    return np.lib.format.read_array(content, allow_pickle=False)


def _header_name(kind: str) -> str:
    return f"cryokit_{kind}"
