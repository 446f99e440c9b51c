"""The rows of the comparison: a picker, its settings, and whether it is given labels."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cryokit._util.wording import did_you_mean, shortened, shown
from cryokit._util.yaml_files import Node
from cryokit.errors import ArgumentError, BenchmarkError, PickerError
from cryokit.pickers import registry


@dataclass(frozen=True)
class Row:
    """A method as it is compared.

    Attributes
    ----------
    name : str
        Name of the row, and of its folders in that of the run (`check_name`).
    picker : str or None
        One of `cryokit.pickers.available`, or the location of a class; None for picks made elsewhere.
    settings : dict
        Arguments of the picker's class. For picks made elsewhere: ``path``, a file or folder, and arguments of
        `cryokit.coordinates.read_folder`.
    labels : bool or None
        Whether `Picker.fit` is given the labels of the training micrographs; for picks made elsewhere, whether labels
        went into them, None if it is not known.
    title, source : str
        Name in tables and reports, and citation.
    """

    name: str
    picker: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    labels: bool | None = False
    title: str = ""
    source: str = ""

    @property
    def random(self) -> bool:
        """Whether the method draws random numbers when it is fitted or picks, so that other seeds give other picks."""
        if self.picker is None:
            return False
        return "seed" in inspect.signature(registry.picker_class(self.picker)).parameters

    def to_dict(self) -> dict[str, Any]:
        """Return the row as the result file has it, without the folders of your own picker or picks."""
        values = {**asdict(self), "title": self.title or self.name}
        del values["name"]
        if self.picker is None:
            values["settings"]["path"] = Path(values["settings"]["path"]).name
        else:
            values["picker"] = Path(self.picker).name
        return values


# Rows other than a method with its default settings; their titles are added to that of the method.
_VARIANTS = (
    Row("auto_pretrained", "auto", {"pretrained": True}, False, "shipped network only"),
    Row("auto_labels", "auto", {}, True, "trained with labels"),
    Row("deepcryopicker", "deepcryopicker", {}, False, "4 + background"),
    Row("deepcryopicker_negative", "deepcryopicker", {"classes_setting": "4 + negative"}, False, "4 + negative"),
    Row("deepcryopicker_five", "deepcryopicker", {"classes_setting": "five classes"}, False, "five classes"),
    Row("deepcryopicker_labels", "deepcryopicker", {}, True, "trained with labels"),
    Row("deeppicker", "deeppicker", {}, True),
    Row("deeppicker_unlabelled", "deeppicker", {}, False, "from other molecules"),
    Row("topaz", "topaz", {}, False, "pretrained"),
    Row(
        "topaz_labels",
        "topaz",
        {},
        True,
        "briefly trained with labels",
        "Bepler et al. 2019, Nature Methods 16:1153; trained on from its own network with 10 x 100 minibatches of 64 "
        "windows (Topaz's default: 10 x 1000 of 256)",
    ),
    Row("cryolo", "cryolo", {}, False, "general model"),
)


def _rows() -> Iterator[Row]:
    for method in registry.built_in():
        rows = [row for row in _VARIANTS if row.picker == method.name]
        if method.name not in [row.name for row in rows]:
            rows.insert(0, Row(method.name, method.name, labels=not method.without_labels))
        for row in rows:
            title = ", ".join(filter(None, (method.title, row.title))) + (" (program)" if method.external else "")
            yield replace(row, title=title, source=row.source or method.source)


ROWS = {row.name: row for row in _rows()}
# Pickers that run another program: not a part of a run unless they are asked for.
PROGRAMS = frozenset(method.name for method in registry.built_in() if method.external)
# What --methods all means: everything that needs nothing but cryokit.
OWN = tuple(row.name for row in ROWS.values() if row.picker not in PROGRAMS)
FIELDS = ("name", "picker", "settings", "labels", "title", "source")

_NAME = re.compile(r"[\w+-][\w.+-]*")
# Where picks made elsewhere are, and what `cryokit.coordinates.read_folder` may be told about them.
_GIVEN = ("path", "format", "endings", "prefixes", "scale", "blocks", "shift", "flip_y", "diameter", "scores")


def check_name(name: str, origin: str) -> str:
    """Return the name of a row, which is also that of its folders in the run's folder.

    Parameters
    ----------
    name : str
        Name to check.
    origin : str
        Option or key that it comes from, for the message.

    Raises
    ------
    BenchmarkError
        If it has other characters than letters, digits, ``_``, ``.``, ``+`` and ``-``, or begins with a dot.

    Examples
    --------
    >>> check_name("cryolo_1.9", "--picks")
    'cryolo_1.9'
    """
    if not _NAME.fullmatch(name):
        raise BenchmarkError(
            f"{origin} {shown(name)}: a name has letters, digits and the characters _ . + - only, and does not "
            "begin with a dot"
        )
    return name


def row(given: str | Mapping[str, Any], *, trust: bool = False) -> Row:
    """Return a row by its name, by the location of a picker of your own, or from a mapping.

    Parameters
    ----------
    given : str or mapping
        Name of a row or of a method, or the location of a class; or a mapping with ``name``, whose other items
        (`FIELDS`) replace those of the known row of this name, if there is one. A new row is given labels only if its
        picker needs them, unless ``labels`` says otherwise.
    trust : bool
        Whether a class that is named by its location may be imported, which runs its code.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `given` is no name or mapping, a field is unknown or its value is of another type.
    BenchmarkError
        If there is no such row, picker or setting (the message lists those there are), or a value makes no sense.
    PickerError
        If a picker of your own cannot be imported, or is not trusted.

    Examples
    --------
    >>> row("deepem").labels
    True
    >>> row({"name": "wide", "picker": "deepcryopicker", "settings": {"width": 1}}).settings
    {'width': 1}
    """
    if isinstance(given, str) and given not in ROWS and (":" in given or given in registry.available()):
        picker, method = _own_picker(given, trust, "method")
        check_name(method.name, "method")
        if method.name in ROWS:
            raise BenchmarkError(
                f"{shortened(given)}: {shown(method.name)} is a method of cryokit's; give the class another name"
            )
        return Row(method.name, picker, {}, not method.without_labels, method.title, method.source)
    if isinstance(given, str):
        given = {"name": given}
    keys = Node(given, "method").mapping(("name",), FIELDS[1:])
    name = keys["name"].text()
    known, origin = ROWS.get(name), f"method {shown(name)}"
    if known is None and "picker" not in given:
        raise BenchmarkError(
            f"no method is called {shown(name)}{did_you_mean(name, ROWS)}; there are: {', '.join(ROWS)}"
        )
    check_name(name, "method")
    for key in ("picker", "title", "source"):
        keys[key].optional_text()
    settings = given.get("settings", known.settings if known else {})
    keys["settings"].check(isinstance(settings, dict), "a mapping")
    result = replace(known or Row(name, None), **{**given, "settings": dict(settings)})
    if result.picker is None:
        return _given(result, origin, given)
    keys["labels"].flag(result.labels)
    # The rows that come with cryokit are right; and a class costs the import of its module.
    if result == known:
        return result
    picker, method = _own_picker(result.picker, trust, origin)
    if known is None and "labels" not in given:
        result = replace(result, labels=not method.without_labels)
    if result.labels and not method.with_labels:
        raise BenchmarkError(f"{origin}: labels: {result.picker} does not learn from labels")
    if not result.labels and not method.without_labels:
        raise BenchmarkError(f"{origin}: labels: {result.picker} learns from labels only; say true")
    _check_settings(result.settings, tuple(inspect.signature(registry.picker_class(picker)).parameters), origin)
    return replace(result, picker=picker)


def _own_picker(name: str, trust: bool, origin: str) -> tuple[str, registry.Method]:
    """Return the name by which the process of a cell finds a picker, and what there is to know of it."""
    registry.check_trust(name, "the benchmark", trust)
    try:
        method = registry.method(name)
    except ArgumentError as error:
        raise BenchmarkError(f"{origin}: picker: {error}; null stands for picks as given") from None
    # Classes that were registered in this process are unknown in others.
    picker = name if method in registry.built_in() else method.location
    if picker.startswith("__main__:"):
        raise PickerError(
            f"{name}: the processes of a benchmark cannot import it from a notebook or script; write it to a file and "
            "name it path/to/file.py:Class"
        )
    return picker, method


def _given(result: Row, origin: str, given: Mapping[str, Any]) -> Row:
    """Return a row of picks made elsewhere."""
    if result.name in ROWS:
        raise BenchmarkError(f"{origin}: picker: picks as given need a name of their own; this one is a method's")
    labels = given.get("labels")
    if not (labels is None or isinstance(labels, bool)):
        raise BenchmarkError(f"{origin}: labels: expected true, false, or nothing if it is not known: {shown(labels)}")
    path = result.settings.get("path")
    if not (isinstance(path, str) and path):
        raise BenchmarkError(f"{origin}: settings: picks as given (picker: null) need the path of their file or folder")
    _check_settings(result.settings, _GIVEN, origin)
    return replace(result, labels=labels)


def _check_settings(settings: Mapping[str, Any], known: Sequence[str], origin: str) -> None:
    if unknown := [name for name in settings if name not in known]:
        raise BenchmarkError(
            f"{origin}: settings: unknown {shown(unknown[0])}; there are: {', '.join(known) or 'none'}"
        )
