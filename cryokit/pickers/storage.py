"""The file of a saved picker: a numpy archive of its arrays, with its method and settings as JSON beside them."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryokit import __version__
from cryokit.errors import PickerError
from cryokit.files import replacing

_HEADER = "cryokit_picker"


def write(
    path: str | os.PathLike, method: str, settings: dict[str, Any], learned: dict[str, Any], arrays: dict[str, NDArray]
) -> Path:
    """Write a picker whole or not at all; ``.npz`` is added to a path without it.

    Parameters
    ----------
    path : path-like
    method : str
        The picker's name.
    settings, learned : dict
        JSON values: the constructor's arguments, and what `fit` found.
    arrays : dict of ndarray
    """
    path = Path(path)
    if path.suffix != ".npz":
        path = path.with_name(path.name + ".npz")
    header = json.dumps({"method": method, "version": __version__, "settings": settings, "learned": learned})
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **{_HEADER: np.array(header)}, **arrays)
    return path


def read(path: str | os.PathLike, method: str | None = None) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Return the header and the arrays of a saved picker.

    Parameters
    ----------
    path : path-like
    method : str, optional
        The method that the file has to hold.

    Raises
    ------
    PickerError
        When the file is missing, damaged, or not a picker (of that method).
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(str(arrays.pop(_HEADER)))
    except FileNotFoundError:
        raise PickerError(f"{path}: there is no such file") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        # What numpy says to this (to load it unsafely) leads astray.
        raise PickerError(f"{path}: not a saved picker, or damaged; give a file that --save-model wrote") from None
    if method is not None and header["method"] != method:
        raise PickerError(f"{path}: holds a picker of the method {header['method']!r}, not {method!r}")
    return header, arrays


def method_of(path: str | os.PathLike) -> str:
    """Return the method of the picker saved in `path`."""
    return read(path)[0]["method"]
