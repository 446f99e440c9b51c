"""Saved pickers: a numpy archive of arrays with method and settings as JSON, or with a network the model's folder."""

from __future__ import annotations

import inspect
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cryokit import __version__
from cryokit._util.files import replacing
from cryokit._util.plain import json_text
from cryokit.errors import PickerError

if TYPE_CHECKING:
    from cryokit.pickers.interface import Picker

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
    content = {"method": method, "version": __version__, "settings": settings, "learned": learned}
    header = json_text(content, indent=None)
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


def save_network(picker: Picker, learned: Sequence[str], path: str | os.PathLike) -> Path:
    """Write a picker whose network is its `model_` to a folder; see `cryokit.networks.Model`.

    Parameters
    ----------
    picker : Picker
        Its settings are attributes named like the arguments of its class.
    learned : sequence of str
        Names of the attributes that `fit` has set: JSON values.
    path : path-like
    """
    model = picker.model_
    model.method = picker.name
    model.settings = {name: getattr(picker, name) for name in inspect.signature(type(picker)).parameters}
    model.learned = {name: getattr(picker, name) for name in learned}
    return model.save(path)


def load_network(cls: type[Picker], learned: Sequence[str], path: str | os.PathLike) -> Picker:
    """Return the picker that `save_network` wrote.

    Raises
    ------
    PickerError
        When there is none, it is damaged, or it is of another method.
    """
    from cryokit.networks import Model

    model = Model.load(path)
    if model.method != cls.name:
        raise PickerError(f"{path}: holds a model of the method {model.method!r}, not {cls.name!r}")
    picker = cls(**model.settings)
    for name in learned:
        setattr(picker, name, model.learned[name])
    picker.model_ = model
    return picker
