"""What the DeepCryoPicker paper reports, to be shown beside what was measured, never among it.

The numbers are in ``reported.yaml``, each under the number of its table, as printed. Al-Azzawi et al. 2020, BMC
Bioinformatics 21:509, tables 3, 5, 6, 7 and 8.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cryokit.errors import DatasetError

AVERAGE = "average"
SETTING = "4 + background"  # of `deepcryopicker` where nothing else is said; the paper's best
# What a dataset's protein may be called -> what it is called in reported.yaml.
_PROTEINS = {
    "klh": "klh",
    "keyhole": "klh",
    "apoferritin": "apoferritin",
    "ribosome": "ribosome",
    "80s": "ribosome",
    "betagal": "betagal",
}


@functools.cache
def _document() -> dict[str, Any]:
    import yaml

    path = Path(__file__).with_name("reported.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def source() -> str:
    """Return the citation of the paper.

    Examples
    --------
    >>> "2020" in source()
    True
    """
    return _document()["source"]


def definitions() -> dict[str, str]:
    """Return what the paper means by its quantities, and where that differs from what is measured here."""
    return dict(_document()["definitions"])


def tables() -> dict[int, str]:
    """Return the numbers and titles of the paper's tables that are here.

    Examples
    --------
    >>> list(tables())
    [3, 5, 6, 7, 8]
    """
    return {number: table["title"] for number, table in _document()["tables"].items()}


def table(number: int) -> pd.DataFrame:
    """Return a table of the paper.

    Parameters
    ----------
    number : {3, 5, 6, 7, 8}

    Returns
    -------
    pandas.DataFrame
        A row for each of the table's. Shares (`precision`, `recall`, `f1`, `accuracy`, `patch_accuracy`) are fractions,
        `cpu` and `gpu` minutes. `method` is the name of the picker here, `setting` a `classes_setting` of
        `deepcryopicker`.

    Raises
    ------
    DatasetError
        When the paper's table is not here.

    Examples
    --------
    >>> table(7).query("method == 'deepem' and view == 'average'")[["accuracy", "f1"]].round(4).values.tolist()
    [[0.8904, 0.89]]
    """
    found = _document()["tables"].get(number)
    if found is None:
        raise DatasetError(
            f"table {number} of the paper is not among the reported ones ({', '.join(map(str, tables()))})"
        )
    return pd.DataFrame([{name: _number(value) for name, value in row.items()} for row in found["rows"]])


def notes(number: int) -> list[str]:
    """Return what has to be known about a table of the paper, contradictions in it included."""
    return list(_document()["tables"][number].get("notes", []))


def protein(name: str) -> str | None:
    """Return the paper's protein for a dataset's, None when the paper has none such.

    Examples
    --------
    >>> protein("KLH"), protein("beta-galactosidase"), protein("80S ribosome"), protein("ms2")
    ('klh', 'betagal', 'ribosome', None)
    """
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((short for word, short in _PROTEINS.items() if letters.startswith(word)), None)


def compared(method: Mapping[str, Any]) -> str | None:
    """Return which method of the paper's comparison a method of a result is, None when it is none of them.

    Parameters
    ----------
    method : mapping
        An entry of ``methods`` of a result. The paper's comparison is with one DeepCryoPicker, of whose classes it says
        nothing, and which learned from its own picks; the others learned from labels.

    Examples
    --------
    >>> compared({"picker": "deepem", "settings": {}, "labels": True})
    'deepem'
    >>> compared({"picker": "deepcryopicker", "settings": {"classes_setting": "five classes"}, "labels": False})
    """
    name = method.get("picker")
    if name == "deepcryopicker":
        setting = (method.get("settings") or {}).get("classes_setting", SETTING)
        return name if setting == SETTING and not method["labels"] else None
    return name if method["labels"] and name in set(table(7)["method"]) else None


def row(method: Mapping[str, Any], *, protein_name: str) -> dict[str, Any]:
    """Return what the paper reports of a method on a protein.

    Parameters
    ----------
    method : mapping
        An entry of ``methods`` of a result: `picker` and `settings` say which method of the paper it is.
    protein_name : str
        The dataset's protein.

    Returns
    -------
    dict
        ``table`` (7) with ``precision``, ``recall``, ``f1`` and ``accuracy``, averages of the two views, and
        ``views``, the same by view; ``cpu`` and ``gpu``, minutes (table 8). What the paper does not have is left out.
    """
    found: dict[str, Any] = {}
    name, short = compared(method), protein(protein_name)
    if name is None or short is None:
        return found
    quantities = ["precision", "recall", "f1", "accuracy"]
    told = table(7)
    told = told[(told["method"] == name) & (told["protein"] == short)].set_index("view")[quantities]
    if len(told):
        by_view = {view: {key: float(value) for key, value in values.items()} for view, values in told.iterrows()}
        found.update(by_view.pop(AVERAGE), table=7, views=by_view)
    times = table(8)
    times = times[(times["method"] == name) & (times["protein"] == short)]
    if len(times):
        found.update(cpu=float(times["cpu"].iloc[0]), gpu=float(times["gpu"].iloc[0]))
    return found


def _number(value: Any) -> Any:
    """Turn a percentage into a fraction; leave everything else as it is."""
    if isinstance(value, str) and value.endswith("%"):
        return round(float(value[:-1]) / 100, 6)
    return value
