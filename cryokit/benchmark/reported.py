"""Numbers that the DeepCryoPicker paper reports, to stand beside measured ones, never among them.

They are in ``reported.yaml``, each under the number of its table, as printed: Al-Azzawi et al. 2020, BMC Bioinformatics
21:509, tables 3 to 8.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cryokit._util.validation import check_choice

AVERAGE = "average"
SETTING = "4 + background"  # the default classes of `deepcryopicker`, and the best ones in the paper
# beginning of a dataset's protein -> its name in reported.yaml
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

    return yaml.safe_load(Path(__file__).with_name("reported.yaml").read_text(encoding="utf-8"))


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
    """Return the numbers and titles of the paper's tables that are available.

    Examples
    --------
    >>> list(tables())
    [3, 4, 5, 6, 7, 8]
    """
    return {number: table["title"] for number, table in _document()["tables"].items()}


def table(number: int) -> pd.DataFrame:
    """Return a table of the paper.

    Parameters
    ----------
    number : {3, 4, 5, 6, 7, 8}
        Number of the table.

    Returns
    -------
    pandas.DataFrame
        One row for each of the table's. Rates (`precision`, `recall`, `f1`, `accuracy`, `patch_accuracy`) are
        fractions, `cpu` and `gpu` minutes. `method` is the name of the picker here, `setting` a `classes_setting` of
        `deepcryopicker`.

    Raises
    ------
    ArgumentError
        If the table is not available.

    Examples
    --------
    >>> table(7).query("method == 'deepem' and view == 'average'")[["accuracy", "f1"]].round(4).values.tolist()
    [[0.8904, 0.89]]
    """
    check_choice("table", number, tables())
    rows = _document()["tables"][number]["rows"]
    return pd.DataFrame([{name: _fraction(value) for name, value in row.items()} for row in rows])


def notes(number: int) -> list[str]:
    """Return remarks on a table of the paper, contradictions in it included."""
    return list(_document()["tables"][number].get("notes", []))


def protein(name: str) -> str | None:
    """Return the paper's name of a protein, None if the paper does not have it.

    Examples
    --------
    >>> protein("KLH"), protein("beta-galactosidase"), protein("80S ribosome"), protein("ms2")
    ('klh', 'betagal', 'ribosome', None)
    """
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((short for word, short in _PROTEINS.items() if letters.startswith(word)), None)


def compared(method: Mapping[str, Any]) -> str | None:
    """Return which method of the paper's comparison a method of a result is, None if it is none of them.

    The paper compares one DeepCryoPicker, of whose classes it says nothing and which learned from its own picks, with
    methods that learned from labels.

    Parameters
    ----------
    method : mapping
        Entry of ``methods`` of a result.

    Examples
    --------
    >>> compared({"picker": "deepem", "settings": {}, "labels": True})
    'deepem'
    >>> compared({"picker": "deepcryopicker", "settings": {"classes_setting": "five classes"}, "labels": False})
    """
    name = method["picker"]
    if name == "deepcryopicker":
        setting = method["settings"].get("classes_setting", SETTING)
        return name if setting == SETTING and not method["labels"] else None
    return name if method["labels"] and name in set(table(7)["method"]) else None


def row(method: Mapping[str, Any], *, protein_name: str) -> dict[str, Any]:
    """Return what the paper reports of a method on a protein.

    Parameters
    ----------
    method : mapping
        Entry of ``methods`` of a result.
    protein_name : str
        Protein of the dataset.

    Returns
    -------
    dict
        ``precision``, ``recall``, ``f1`` and ``accuracy``, averages of the two views (table 7), and ``views``, the same
        by view; ``cpu`` and ``gpu``, minutes (table 8). What the paper does not have is left out.
    """
    name, short = compared(method), protein(protein_name)
    if name is None or short is None:
        return {}
    scores, times = (
        of_table[(of_table["method"] == name) & (of_table["protein"] == short)] for of_table in (table(7), table(8))
    )
    by_view = scores.set_index("view")[["precision", "recall", "f1", "accuracy"]].to_dict("index")
    numbers: dict[str, Any] = {**by_view.pop(AVERAGE), "views": by_view} if by_view else {}
    return numbers | (times[["cpu", "gpu"]].iloc[0].to_dict() if len(times) else {})


def _fraction(value: Any) -> Any:
    """Turn a percentage into a fraction; return everything else as it is."""
    if isinstance(value, str) and value.endswith("%"):
        return round(float(value[:-1]) / 100, 6)
    return value
