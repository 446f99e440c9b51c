"""Pickers by name: `available`, `create`, `load`; one interface (`Picker`), and a file per method.

A picker of your own needs no more than `Picker.pick`; see `Picker` and `cryokit.pickers.registry`.

Examples
--------
>>> available()[:2]
('auto', 'template')
>>> create("template", diameter=76).diameter
76
"""

from typing import Any

from cryokit.pickers.registry import Method, available, create, load, method, picker_class, register

__all__ = ["Method", "Picker", "available", "create", "load", "method", "picker_class", "register"]


def __getattr__(name: str) -> Any:
    # `Picker` brings NumPy and pandas, which listing the methods does not need.
    if name == "Picker":
        from cryokit.pickers.interface import Picker

        return Picker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
