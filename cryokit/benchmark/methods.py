"""The rows of the comparison: a picker, its settings, and whether it is given labels."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cryokit.errors import BenchmarkError

if TYPE_CHECKING:
    from cryokit.pickers import Picker


@dataclass(frozen=True)
class Row:
    """A method as it is compared.

    Attributes
    ----------
    name : str
        Of the row, and of its folders in that of the run (`check_name`).
    picker : str or None
        One of `cryokit.pickers.available`, or ``topaz``, ``cryolo``, ``apple`` (`cryokit.pickers.external`); None for
        picks that somebody else has made.
    settings : dict
        Arguments of the picker's class. Of somebody's picks: ``path``, a file or folder, and arguments of
        `cryokit.coordinates.read_folder`.
    labels : bool or None
        Whether its `fit` is given the labels of the training micrographs; None for somebody's picks, of which it is not
        known.
    title, source : str
        For people: what it is called, and where it is from.
    """

    name: str
    picker: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    labels: bool | None = False
    title: str = ""
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as the result file tells it."""
        return {
            "title": self.title or self.name,
            "picker": self.picker,
            "settings": dict(self.settings),
            "labels": self.labels,
            "source": self.source,
        }


_THIS = "Al-Azzawi et al. 2020"
_ROWS = (
    Row("auto", "auto", {}, False, "auto", "cryokit"),
    Row("auto_pretrained", "auto", {"pretrained": True}, False, "auto, shipped network only", "cryokit"),
    Row("auto_labels", "auto", {}, True, "auto, trained with labels", "cryokit"),
    Row("template", "template", {}, False, "template (own reference)", "cryokit, after Roseman 2003"),
    Row("autocryopicker", "autocryopicker", {}, False, "AutoCryoPicker", "Al-Azzawi et al. 2019"),
    Row(
        *("autocryopicker_published", "autocryopicker_published", {}, False),
        *("AutoCryoPicker, as published", "Al-Azzawi et al. 2019"),
    ),
    Row("supercryoempicker", "supercryoempicker", {}, False, "SuperCryoEMPicker", "Al-Azzawi et al. 2019"),
    Row(
        *("supercryoempicker_published", "supercryoempicker_published", {}, False),
        *("SuperCryoEMPicker, as published", "Al-Azzawi et al. 2019"),
    ),
    Row("deepcryopicker", "deepcryopicker", {}, False, "DeepCryoPicker, 4 + background", _THIS),
    Row(
        *("deepcryopicker_negative", "deepcryopicker", {"classes_setting": "4 + negative"}, False),
        *("DeepCryoPicker, 4 + negative", _THIS),
    ),
    Row(
        *("deepcryopicker_five", "deepcryopicker", {"classes_setting": "five classes"}, False),
        *("DeepCryoPicker, five classes", _THIS),
    ),
    Row("deepcryopicker_labels", "deepcryopicker", {}, True, "DeepCryoPicker, trained with labels", _THIS),
    Row("relion_template", "relion_template", {}, True, "RELION-2 references", "Scheres 2015"),
    Row("deepem", "deepem", {}, True, "DeepEM", "Zhu et al. 2017"),
    Row("deeppicker", "deeppicker", {}, True, "DeepPicker", "Wang et al. 2016"),
    Row("deeppicker_unlabelled", "deeppicker", {}, False, "DeepPicker, from other molecules", "Wang et al. 2016"),
    Row("pixer", "pixer", {}, True, "PIXER", "Zhang et al. 2019"),
    Row("fastparticlepicker", "fastparticlepicker", {}, True, "FastParticlePicker", "Xiao and Yang 2017"),
    Row("eman2_cnn", "eman2_cnn", {}, True, "EMAN2 neural boxer", "Bell et al. 2018"),
    Row("topaz", "topaz", {}, False, "Topaz, pretrained (program)", "Bepler et al. 2019"),
    Row(
        *("topaz_labels", "topaz", {}, True, "Topaz, briefly trained with labels (program)"),
        "Bepler et al. 2019; trained on from its own network with 10 x 100 minibatches of 64 windows (Topaz's default: "
        "10 x 1000 of 256)",
    ),
    Row("cryolo", "cryolo", {}, False, "crYOLO, general model (program)", "Wagner et al. 2019"),
    Row("apple", "apple", {}, False, "APPLE picker (ASPIRE, program)", "Heimowitz et al. 2018"),
)
ROWS = {row.name: row for row in _ROWS}
# Pickers that run somebody else's program, not a part of a run unless asked for -> module and class.
PROGRAMS = {
    "topaz": ("cryokit.pickers.external.topaz_picker", "TopazPicker"),
    "cryolo": ("cryokit.pickers.external.cryolo_picker", "CryoloPicker"),
    "apple": ("cryokit.pickers.external.apple_picker", "ApplePicker"),
}
# What --methods all means: everything that needs nothing but cryokit.
OWN = tuple(row.name for row in _ROWS if row.picker not in PROGRAMS)
FIELDS = ("name", "picker", "settings", "labels", "title", "source")


_NAME = re.compile(r"[\w+-][\w.+-]*")
# Where the picks are, and what `cryokit.coordinates.read_folder` may be told about them.
_GIVEN = ("path", "format", "endings", "scale", "blocks", "flip_y", "diameter", "scores")


def check_name(name: str, what: str) -> str:
    """Return the name of a row, which is that of its folders in the run's folder, too.

    Raises
    ------
    BenchmarkError
        When it has other characters than letters, digits, ``_``, ``.``, ``+`` and ``-``, or begins with a dot.

    Examples
    --------
    >>> check_name("cryolo_1.9", "--picks")
    'cryolo_1.9'
    """
    if not _NAME.fullmatch(name):
        raise BenchmarkError(
            f"{what} {name!r}: a name has letters, digits and the signs _ . + - only, and does not begin with a dot"
        )
    return name


def class_of(picker: str) -> type[Picker]:
    """Return the class of a row's picker; the module that has it is imported now.

    Raises
    ------
    PickerError
        When there is none of this name.
    """
    if picker in PROGRAMS:
        module, name = PROGRAMS[picker]
        return getattr(importlib.import_module(module), name)
    from cryokit.pickers import picker_class

    return picker_class(picker)


def row(told: str | Mapping[str, Any]) -> Row:
    """Return a row by its name, or from a mapping that changes a known row or describes a new one.

    Parameters
    ----------
    told : str or mapping
        With ``name``; what else it has (`FIELDS`) replaces that of the known row of this name, if there is one.

    Raises
    ------
    BenchmarkError
        When there is no such row, field, picker or setting (the message lists those there are), or a value makes no
        sense.

    Examples
    --------
    >>> row("deepem").labels
    True
    >>> row({"name": "wide", "picker": "deepcryopicker", "settings": {"width": 1}}).settings
    {'width': 1}
    """
    if isinstance(told, str):
        told = {"name": told}
    if not isinstance(told, Mapping) or not isinstance(told.get("name"), str):
        raise BenchmarkError(f"{told!r}: a method is a name, or a mapping with a name and {', '.join(FIELDS[1:])}")
    if unknown := [key for key in told if key not in FIELDS]:
        raise BenchmarkError(f"method {told['name']!r}: unknown {unknown[0]!r}; there are: {', '.join(FIELDS)}")
    known = ROWS.get(told["name"])
    if known is None and "picker" not in told:
        close = difflib.get_close_matches(told["name"], ROWS)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise BenchmarkError(f"no method is called {told['name']!r}{hint}; there are: {', '.join(ROWS)}")
    check_name(told["name"], "method")
    values = {**({key: getattr(known, key) for key in FIELDS} if known else {}), **told}
    found = Row(**values)
    what = f"method {found.name!r}"
    if not isinstance(found.settings, Mapping):
        raise BenchmarkError(f"{what}: settings: give a mapping, not {found.settings!r}")
    if found.picker is None:
        return _given(found, what, told)
    if found.picker not in (pickers := list(dict.fromkeys(each.picker for each in _ROWS))):
        there_are = f"there are: {', '.join(pickers)}, and null for picks as given"
        raise BenchmarkError(f"{what}: picker: {found.picker!r} is none; {there_are}")
    if not isinstance(found.labels, bool):
        raise BenchmarkError(f"{what}: labels: give true or false, not {found.labels!r}")
    _check_texts(found, what)
    # Those that come with the package are right; and a class costs the import of its module.
    if found.settings and found.settings != getattr(known, "settings", None):
        _check_settings(found.settings, tuple(inspect.signature(class_of(found.picker)).parameters), what)
    return replace(found, settings=dict(found.settings))


def _given(found: Row, what: str, told: Mapping[str, Any]) -> Row:
    """Return a row of somebody's picks."""
    if found.name in ROWS:
        raise BenchmarkError(f"{what}: picker: picks as given need a name of their own; this one is a method's")
    if told.get("labels") is not None:
        raise BenchmarkError(f"{what}: labels: leave it out: what somebody's picks have learned from is not known")
    path = found.settings.get("path")
    if not (isinstance(path, str) and path):
        raise BenchmarkError(f"{what}: settings: picks as given (picker: null) need the path of their file or folder")
    _check_texts(found, what)
    _check_settings(found.settings, _GIVEN, what)
    return replace(found, settings=dict(found.settings), labels=None)


def _check_settings(settings: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    if unknown := [name for name in settings if name not in known]:
        raise BenchmarkError(f"{what}: settings: unknown {unknown[0]!r}; there are: {', '.join(known)}")


def _check_texts(found: Row, what: str) -> None:
    for name in ("title", "source"):
        if not isinstance(getattr(found, name), str):
            raise BenchmarkError(f"{what}: {name}: give a text, not {getattr(found, name)!r}")
