"""Saved pickers: an archive of arrays with the rest as JSON (``.npz``), or, with a network, the model's folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cryokit import __version__
from cryokit._util.archives import read_archive, write_archive
from cryokit._util.plain import json_text
from cryokit._util.wording import shown
from cryokit.errors import PickerError
from cryokit.pickers.registry import saved_name

if TYPE_CHECKING:
    from cryokit.pickers.interface import Picker

_KIND = "saved_picker"
MODEL = "model_"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


# What some attributes of every method are.
_LEARNED: dict[str, Callable[[Any], bool]] = {
    "threshold_": lambda value: _is_number(value) and 0 <= value <= 1,
    "diameter_": lambda value: value is None or (_is_number(value) and value >= 1),
    "contrast_": lambda value: value in (None, "dark", "bright"),
    "decisions_": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
}


def save(picker: Picker, path: str | os.PathLike) -> Path:
    """Write a picker whole or not at all; see `Picker.save`.

    Raises
    ------
    PickerError
        If an attribute cannot be saved; the message names it.
    """
    learned = {
        name: value
        for name, value in vars(picker).items()
        if name.endswith("_") and not name.startswith("_") and name not in picker.transient
    }
    model = learned.pop(MODEL, None)
    arrays = {name: learned.pop(name) for name in list(learned) if isinstance(learned[name], np.ndarray)}
    content = {"method": saved_name(type(picker)), "settings": picker.settings(), "learned": learned}
    _check(picker, content, arrays, with_network=model is not None)
    if model is not None:
        model.method, model.settings, model.learned = content.values()
        model.threshold = picker.threshold_
        return model.save(path)
    return write_archive(path, _KIND, {**content, "version": __version__}, arrays, compressed=True)


def _check(picker: Picker, content: dict[str, Any], arrays: dict[str, NDArray], with_network: bool) -> None:
    """Raise a PickerError that names the first attribute that cannot be saved."""
    refused = [name for name, array in arrays.items() if with_network or array.dtype.hasobject]
    for name, value in (content["settings"] | content["learned"]).items():
        try:
            json_text(value)
        except (TypeError, ValueError):
            refused.append(name)
    if refused:
        allowed = "values of JSON" if with_network else "values of JSON and arrays of numbers"
        raise PickerError(
            f"method {picker.name!r}: the attribute {refused[0]} cannot be saved; only {allowed} can. List it in "
            "`transient`, or define save and load"
        )


def load(cls: type[Picker], path: str | os.PathLike) -> Picker:
    """Return a saved picker of a class; see `Picker.load`.

    Raises
    ------
    PickerError
        If there is none, it is damaged, or it is of another method.
    """
    if (archive := _archive(path)) is not None:
        content, learned = _read(archive)
    else:
        from cryokit.networks import Model
        from cryokit.networks.devices import using

        with using():
            model = Model.load(path)
        content = {"method": model.method, "settings": model.settings, "learned": model.learned}
        learned = {MODEL: model}
    if not _same(content["method"], saved_name(cls)):
        raise PickerError(f"{path}: holds a picker of the method {shown(content['method'])}, not {cls.name!r}")
    try:
        picker = cls(**content["settings"])
    except (TypeError, ValueError) as error:
        raise PickerError(f"{path}: its settings do not fit the method {cls.name!r} ({error}); fit it anew") from error
    _check_learned(cls, content["learned"] | learned, path)
    vars(picker).update(content["learned"] | learned)
    return picker


def _check_learned(cls: type[Picker], learned: dict[str, Any], path: str | os.PathLike) -> None:
    """Raise a PickerError unless a saved picker has learned what one of its class can have."""
    fields = {field.name: field.default for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    needed = {cls.learned_in} - {None} - set(learned)
    wrong = [f"{name} is missing" for name in needed]
    for name, value in learned.items():
        if not (name.endswith("_") and name.isidentifier() and not name.startswith("_")):
            wrong.append(f"{shown(name)} is no attribute that is learned")
        elif name in _LEARNED and not _LEARNED[name](value):
            wrong.append(f"{name} is {shown(value)}")
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
            wrong.append(f"{name} holds NaN or infinity")
        elif isinstance(fields.get(name), bool | int | float) and not isinstance(value, bool | int | float):
            wrong.append(f"{name} is {shown(value)}")
    if wrong:
        raise PickerError(f"{path}: not a saved picker, or damaged ({wrong[0]}); fit it anew")


def method_of(path: str | os.PathLike) -> str:
    """Return the method of a saved picker.

    Raises
    ------
    PickerError
        If there is none, it is damaged, or it is a network without a picker.
    """
    if (archive := _archive(path)) is not None:
        return _read(archive)[0]["method"]
    from cryokit.networks import header

    method = header(path)["method"]
    if not method:
        raise PickerError(
            f"{path}: holds a network that belongs to no picker; cryokit.networks.Model.load reads it, and the method "
            "'auto' with pretrained=True picks with the one that comes with cryokit"
        )
    return method


def place(path: str | os.PathLike) -> Path:
    """Return the file or folder of a saved picker, which may be given as the name of one that comes with cryokit."""
    if (archive := _archive(path)) is not None:
        return archive
    from cryokit.networks.model import locate

    return Path(locate(path))


def _archive(path: str | os.PathLike) -> Path | None:
    """Return the file of a picker without a network, whose suffix `save` may have added; None for any other path."""
    path = Path(path)
    if path.suffix == ".npz" and not path.is_dir():
        return path
    longer = Path(f"{path}.npz")
    return longer if longer.is_file() and not path.exists() else None


def _same(saved: str, expected: str) -> bool:
    """Return whether two methods are one; a class that has moved to another module or file remains the same."""
    return saved == expected or (":" in saved and saved.rpartition(":")[2] == expected.rpartition(":")[2])


def _read(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, NDArray]]:
    content, arrays = read_archive(path, _KIND, PickerError, "give a file that --save-model wrote")
    kinds = {"method": str, "settings": dict, "learned": dict}
    if not all(isinstance(content.get(name), kind) for name, kind in kinds.items()):
        raise PickerError(f"{path}: not a saved picker, or damaged; give a file that --save-model wrote")
    return {name: content[name] for name in kinds}, arrays
