"""Pickers by name: `available`, `create`, `load`; one interface (`Picker`), a file per method.

Examples
--------
>>> available()[:2]
('auto', 'template')
>>> create("template", diameter=76).diameter
76
"""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path
from typing import Any

from cryokit.errors import PickerError
from cryokit.pickers.interface import Picker

__all__ = ["Picker", "available", "create", "load", "picker_class"]

# name -> module and class; the module is imported when the method is used, so that listing the methods is free.
_PICKERS = {
    "auto": ("cryokit.pickers.auto", "AutoPicker"),
    "template": ("cryokit.pickers.template", "TemplatePicker"),
    "autocryopicker": ("cryokit.pickers.autocryopicker", "AutoCryoPicker"),
    "autocryopicker_published": ("cryokit.pickers.autocryopicker", "PublishedAutoCryoPicker"),
    "supercryoempicker": ("cryokit.pickers.supercryoempicker", "SuperCryoEMPicker"),
    "supercryoempicker_published": ("cryokit.pickers.supercryoempicker", "PublishedSuperCryoEMPicker"),
    "deepcryopicker": ("cryokit.pickers.deepcryopicker", "DeepCryoPicker"),
    "relion_template": ("cryokit.pickers.relion_template", "RelionTemplatePicker"),
    "deepem": ("cryokit.pickers.deepem", "DeepEM"),
    "deeppicker": ("cryokit.pickers.deeppicker", "DeepPicker"),
    "pixer": ("cryokit.pickers.pixer", "PixerPicker"),
    "fastparticlepicker": ("cryokit.pickers.fastparticlepicker", "FastParticlePicker"),
    "eman2_cnn": ("cryokit.pickers.eman2_cnn", "Eman2CnnPicker"),
}


def available() -> tuple[str, ...]:
    """Return the names of the methods."""
    return tuple(_PICKERS)


def picker_class(name: str) -> type[Picker]:
    """Return the class of the method `name`.

    Raises
    ------
    PickerError
        When there is no such method; the message lists those there are.
    """
    if name not in _PICKERS:
        raise PickerError(f"no method is called {name!r}; there are: {', '.join(available())}")
    module, cls = _PICKERS[name]
    return getattr(importlib.import_module(module), cls)


def create(name: str, **settings: Any) -> Picker:
    """Return a new picker.

    Parameters
    ----------
    name : str
        One of `available`.
    **settings
        The arguments of its class.

    Returns
    -------
    Picker

    Raises
    ------
    PickerError
        When there is no such method, or it has no such setting; the message lists those there are.
    """
    cls = picker_class(name)
    try:
        return cls(**settings)
    except TypeError as error:
        known = ", ".join(inspect.signature(cls).parameters)
        raise PickerError(f"method {name!r}: {error}; its settings are: {known}") from None


def load(path: str | os.PathLike) -> Picker:
    """Return a saved picker, whatever its method.

    Parameters
    ----------
    path : path-like
        A file (``.npz``) or folder that `Picker.save` wrote, or the name of a model that comes with the package
        (`cryokit.networks.shipped`).

    Raises
    ------
    PickerError
        When there is none, it is damaged, or it is a network without a picker.
    """
    if Path(path).suffix == ".npz":
        from cryokit.pickers.saving import method_of

        return picker_class(method_of(path)).load(path)
    from cryokit.networks import header

    method = header(path)["method"]
    if not method:
        raise PickerError(
            f"{path}: holds a network that belongs to no picker; cryokit.networks.Model.load gives it, and the method "
            "'auto' with pretrained=True picks with the one that comes with the package"
        )
    return picker_class(method).load(path)
