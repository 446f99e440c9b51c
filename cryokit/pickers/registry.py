"""The methods: one entry each, which the command line, the benchmark, the README and the tests read.

Listing methods imports nothing heavy; the module of a method is imported when the method is used.

A picker of your own is a method like any other. Name its class by location wherever a method's name is expected
(``package.module:Class`` or ``path/to/file.py:Class``), add it with `register`, or, in a package that others install,
announce it as an entry point of the group ``cryokit.pickers``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cryokit._util.wording import did_you_mean, shortened, shown
from cryokit.errors import ArgumentError, ArgumentTypeError, PickerError

if TYPE_CHECKING:
    from cryokit.pickers.interface import Picker

GROUP = "cryokit.pickers"
_FROM_FILE = "cryokit_picker_"  # prefix of the names under which modules loaded from files are imported


@dataclass(frozen=True)
class Method:
    """What there is to know of a method without importing it.

    Attributes
    ----------
    name : str
        Name in Python, on the command line and in configurations.
    title : str
        Name in tables and reports.
    source : str
        Citation of the paper.
    location : str
        Its class: ``package.module:Class`` or ``path/to/file.py:Class``.
    without_labels, with_labels : bool
        Whether `Picker.fit` works without labels, and whether it learns from labels.
    score_maps : bool
        Whether `Picker.score_map` works.
    external : bool
        Whether the method runs another program, which has to be installed.
    """

    name: str
    title: str
    source: str
    location: str
    without_labels: bool = True
    with_labels: bool = False
    score_maps: bool = False
    external: bool = False


def _own(name: str, title: str, source: str, location: str, **facts: bool) -> Method:
    """Return the entry of a class in this package; its module has the method's name, if `location` names no other."""
    module, _, class_name = location.rpartition(":")
    return Method(name, title, source, f"{GROUP}.{module or name}:{class_name}", **facts)


_INTENSITY, _SUPER = "Al-Azzawi et al. 2019, BMC Bioinformatics 20:326", "Al-Azzawi et al. 2019, Genes 10:666"
_DEEP = "Al-Azzawi et al. 2020, BMC Bioinformatics 21:509"
_RELION = "Scheres 2015, J. Struct. Biol. 189:114"
_FAST = "Xiao and Yang 2017, AIP Conf. Proc. 1836:020080"
_EMAN2 = "Bell et al. 2018, J. Struct. Biol. 204:283"
_TOPAZ = "Bepler et al. 2019, Nature Methods 16:1153"
_CRYOLO = "Wagner et al. 2019, Communications Biology 2:218"
_APPLE = "Heimowitz et al. 2018, J. Struct. Biol. 204:215"
_BOTH = {"with_labels": True, "score_maps": True}
_SUPERVISED = {"without_labels": False, **_BOTH}
_OWN = (
    _own("auto", "auto", "cryokit", "AutoPicker", **_BOTH),
    _own("template", "template", "cryokit, after Roseman 2003, Ultramicroscopy 94:225", "TemplatePicker"),
    _own("autocryopicker", "AutoCryoPicker", _INTENSITY, "AutoCryoPicker"),
    _own(
        "autocryopicker_published", "AutoCryoPicker, as published", _INTENSITY, "autocryopicker:PublishedAutoCryoPicker"
    ),
    _own("supercryoempicker", "SuperCryoEMPicker", _SUPER, "SuperCryoEMPicker"),
    _own(
        "supercryoempicker_published",
        "SuperCryoEMPicker, as published",
        _SUPER,
        "supercryoempicker:PublishedSuperCryoEMPicker",
    ),
    _own("deepcryopicker", "DeepCryoPicker", _DEEP, "DeepCryoPicker", **_BOTH),
    _own("relion_template", "RELION-2 references", _RELION, "RelionTemplatePicker", **_SUPERVISED),
    _own("deepem", "DeepEM", "Zhu et al. 2017, BMC Bioinformatics 18:348", "DeepEM", **_SUPERVISED),
    _own("deeppicker", "DeepPicker", "Wang et al. 2016, J. Struct. Biol. 195:325", "DeepPicker", **_BOTH),
    _own("pixer", "PIXER", "Zhang et al. 2019, BMC Bioinformatics 20:41", "PixerPicker", **_SUPERVISED),
    _own("fastparticlepicker", "FastParticlePicker", _FAST, "FastParticlePicker", **_SUPERVISED),
    _own("eman2_cnn", "EMAN2 neural boxer", _EMAN2, "Eman2CnnPicker", **_SUPERVISED),
    _own("topaz", "Topaz", _TOPAZ, "external.topaz_picker:TopazPicker", with_labels=True, external=True),
    _own("cryolo", "crYOLO", _CRYOLO, "external.cryolo_picker:CryoloPicker", external=True),
    _own("apple", "APPLE picker (ASPIRE)", _APPLE, "external.apple_picker:ApplePicker", external=True),
)
_BUILT_IN = {entry.name: entry for entry in _OWN}
_registered: dict[str, type[Picker]] = {}
_versions: dict[str, tuple[int, int]] = {}  # of the files that modules were loaded from: time of change and size


def built_in() -> tuple[Method, ...]:
    """Return the methods that come with cryokit.

    Examples
    --------
    >>> [method.name for method in built_in() if method.external]
    ['topaz', 'cryolo', 'apple']
    """
    return _OWN


def available() -> tuple[str, ...]:
    """Return the names of all methods: cryokit's, those of installed packages, and those that were registered.

    Examples
    --------
    >>> available()[:3]
    ('auto', 'template', 'autocryopicker')
    """
    return tuple(dict.fromkeys([*_BUILT_IN, *_announced(), *_registered]))


def method(name: str) -> Method:
    """Return what there is to know of a method.

    Parameters
    ----------
    name : str
        One of `available`, or the location of a class, whose module is imported. Errors are those of `picker_class`.

    Examples
    --------
    >>> method("deepem").without_labels, method("deepem").with_labels
    (False, True)
    """
    return _BUILT_IN[name] if name in _BUILT_IN else described(picker_class(name))


def picker_class(name: str) -> type[Picker]:
    """Return the class of a method.

    Parameters
    ----------
    name : str
        One of `available`, or the location of a class.

    Raises
    ------
    ArgumentError
        If no method has this name.
    PickerError
        If the class cannot be imported, or is not a picker.
    """
    if name in _BUILT_IN:
        module, _, cls = _BUILT_IN[name].location.partition(":")
        return getattr(importlib.import_module(module), cls)
    check_name(name)
    return _registered[name] if name in _registered else _imported(_announced().get(name, name))


def check_name(name: str) -> None:
    """Check that a text is the name of a method, or looks like the location of a class; nothing is imported.

    Raises
    ------
    ArgumentError
        If it is not; the message lists the methods there are.
    """
    if ":" not in name and name not in available():
        hint = did_you_mean(name, available())
        raise ArgumentError(
            f"no method is called {shown(name)}{hint}; there are: {', '.join(available())}; a picker of your own is "
            "package.module:Class or path/to/file.py:Class"
        )


def create(name: str, **settings: Any) -> Picker:
    """Return a new picker.

    Parameters
    ----------
    name : str
        One of `available`, or the location of a class.
    **settings
        Arguments of the class.

    Raises
    ------
    ArgumentError
        If no method has this name, or a setting has a value that makes no sense.
    ArgumentTypeError
        If the method has no such setting, or a setting is of the wrong type.

    Examples
    --------
    >>> create("template", diameter=76).diameter
    76
    """
    cls = picker_class(name)
    signature = inspect.signature(cls)
    try:
        signature.bind(**settings)
    except TypeError as error:
        known = ", ".join(signature.parameters) or "none"
        raise ArgumentTypeError(f"method {name!r}: {error}; its settings are: {known}") from None
    return cls(**settings)


def load(path: str | os.PathLike, *, trust: bool = False) -> Picker:
    """Return a saved picker, whatever its method.

    Parameters
    ----------
    path : path-like
        File (``.npz``) or folder that `Picker.save` wrote, or the name of a model that comes with cryokit
        (`cryokit.networks.shipped`).
    trust : bool
        Whether a picker whose class is named by its location may be loaded, which runs the code of that module or
        file. Methods that have a name here, cryokit's or ones that you installed or registered, need no trust.

    Raises
    ------
    PickerError
        If there is no saved picker, it is damaged, it is a network without a picker, or it names a module or a file
        and is not trusted.
    """
    from cryokit.pickers import saving

    name = saving.method_of(path)
    check_trust(name, path, trust)
    return picker_class(name).load(path)


def check_trust(name: str, origin: str | os.PathLike, trust: bool) -> None:
    """Refuse to import a class that a file, maybe somebody else's, names by its location.

    Parameters
    ----------
    name : str
        Method that the file names.
    origin : str or path-like
        The file, for the message.
    trust : bool
        Whether the user trusts it.

    Raises
    ------
    PickerError
        If the class is named by its location and the file is not trusted.
    """
    if ":" in name and not trust:
        raise PickerError(
            f"{origin}: names the picker {shortened(name, 1000)}, whose code would run; if you trust whoever wrote "
            "both, say so with --trust (in Python, trust=True)"
        )


def register(cls: type[Picker]) -> type[Picker]:
    """Add a picker of your own to the methods of this process; also as a decorator.

    Parameters
    ----------
    cls : type of Picker
        Its `name` is the method's. A class of the same name that was registered before is replaced.

    Returns
    -------
    type of Picker
        `cls` itself.

    Raises
    ------
    ArgumentTypeError
        If `cls` is not a class derived from `Picker`.
    ArgumentError
        If one of cryokit's methods has this name.
    """
    from cryokit.pickers.interface import Picker

    if not (isinstance(cls, type) and issubclass(cls, Picker)):
        raise ArgumentTypeError(f"{cls!r}: only classes derived from cryokit.pickers.Picker can be registered")
    if cls.name in _BUILT_IN or not cls.name or ":" in cls.name:
        raise ArgumentError(f"{cls.__qualname__}: {cls.name!r} cannot be its name; set another one in the class")
    _registered[cls.name] = cls
    return cls


def described(cls: type[Picker]) -> Method:
    """Return what a class says of itself as a `Method`."""
    from cryokit.pickers.interface import Picker

    return Method(
        name=cls.name,
        title=cls.title,
        source=cls.source,
        location=_location(cls),
        without_labels=cls.without_labels,
        with_labels=cls.with_labels,
        score_maps=cls.score_map is not Picker.score_map,
        external=cls.external,
    )


def saved_name(cls: type[Picker]) -> str:
    """Return what a saved picker says of its class: the method's name if `picker_class` knows it, else the location.

    A class that was loaded from a file is known by its file only: nothing else tells where to find it again.
    """
    from_file = cls.__module__.startswith(_FROM_FILE)
    known = not from_file and cls.name in available() and picker_class(cls.name) is cls
    return cls.name if known else _location(cls)


def entry_of(cls: type) -> Method | None:
    """Return the entry of one of cryokit's own classes; None for others."""
    location = f"{cls.__module__}:{cls.__qualname__}"
    return next((entry for entry in _OWN if entry.location == location), None)


@functools.cache
def _announced() -> dict[str, str]:
    """Return the locations of the pickers that installed packages announce, by name."""
    from importlib.metadata import entry_points  # 20 ms, which loading a method of cryokit's does not need

    return {point.name: point.value for point in entry_points(group=GROUP) if point.name not in _BUILT_IN}


def _location(cls: type) -> str:
    module = cls.__module__
    return f"{sys.modules[module].__file__ if module.startswith(_FROM_FILE) else module}:{cls.__qualname__}"


def _imported(location: str) -> type[Picker]:
    """Return the class at a location.

    Raises
    ------
    PickerError
        If its module or file cannot be imported, has no such class, or the class is not a picker.
    """
    from cryokit.pickers.interface import Picker

    where, _, name = location.rpartition(":")
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except Exception as error:  # whatever the code of others raises
        fault = f"{type(error).__name__}: {error}"
        raise PickerError(
            f"{location}: {where or 'a module without a name'} cannot be imported ({fault}); give package.module:Class "
            "of an installed package, or path/to/file.py:Class"
        ) from error
    cls = getattr(module, name, None)
    if not (isinstance(cls, type) and issubclass(cls, Picker)):
        found = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Picker)]
        there_are = ", ".join(key for key in found if key != "Picker") or "none"
        raise PickerError(f"{location}: {where} has no class {name!r} derived from Picker (it has: {there_are})")
    return cls


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    name = _FROM_FILE + hashlib.sha256(os.fspath(path).encode()).hexdigest()[:16]
    state = path.stat()
    version = state.st_mtime_ns, state.st_size
    # A file that was edited is imported again, so that a notebook need not be restarted.
    if name not in sys.modules or _versions[name] != version:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
        _versions[name] = version
    return sys.modules[name]
