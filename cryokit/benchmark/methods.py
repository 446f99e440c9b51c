"""The rows of the comparison: a picker, its settings, and whether it is given labels."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryokit.benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Row:
    """A method as it is compared.

    Attributes
    ----------
    name : str
        Of the row.
    picker : str or None
        One of `cryokit.pickers.available`, or ``topaz``, ``cryolo``, ``apple`` (`cryokit.pickers.external`); None for
        picks that somebody else has made.
    settings : dict
        Arguments of the picker's class.
    labels : bool
        Whether its `fit` is given the labels of the training micrographs.
    title, source : str
        For people: what it is called, and where it is from.
    """

    name: str
    picker: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    labels: bool = False
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
    Row("topaz_labels", "topaz", {}, True, "Topaz, trained with labels (program)", "Bepler et al. 2019"),
    Row("cryolo", "cryolo", {}, False, "crYOLO, general model (program)", "Wagner et al. 2019"),
    Row("apple", "apple", {}, False, "APPLE picker (ASPIRE, program)", "Heimowitz et al. 2018"),
)
ROWS = {row.name: row for row in _ROWS}
# Pickers that run somebody else's program, not a part of a run unless asked for -> module and class.
PROGRAMS = {
    "topaz": ("cryokit.pickers.external.topaz", "TopazPicker"),
    "cryolo": ("cryokit.pickers.external.cryolo", "CryoloPicker"),
    "apple": ("cryokit.pickers.external.apple", "ApplePicker"),
}
# What --methods all means: everything that needs nothing but cryokit.
OWN = tuple(row.name for row in _ROWS if row.picker not in PROGRAMS)
FIELDS = ("name", "picker", "settings", "labels", "title", "source")


def row(told: str | Mapping[str, Any]) -> Row:
    """Return a row by its name, or from a mapping that changes a known row or describes a new one.

    Parameters
    ----------
    told : str or mapping
        With ``name``; what else it has (`FIELDS`) replaces that of the known row of this name, if there is one.

    Raises
    ------
    BenchmarkError
        When there is no such row or field; the message lists those there are.

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
    values = {**({key: getattr(known, key) for key in FIELDS} if known else {}), **told}
    if not isinstance(values.get("settings", {}), Mapping) or not isinstance(values.get("labels", False), bool):
        raise BenchmarkError(f"method {told['name']!r}: settings are a mapping, labels true or false")
    return Row(**values)
