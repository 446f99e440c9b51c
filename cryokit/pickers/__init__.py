"""Pickers by name: `available`, `create`, `load`; one interface (`Picker`), and a file per method.

A picker of your own needs no more than `Picker.pick`; see `Picker` and `cryokit.pickers.registry`.

Examples
--------
>>> available()[:2]
('auto', 'template')
>>> create("template", diameter=76).diameter
76
"""

# `Picker` brings NumPy and pandas, which listing the methods does not need.
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "interface": ["Picker"],
        "registry": ["Method", "available", "create", "load", "method", "picker_class", "register"],
    },
)
