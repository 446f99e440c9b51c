"""Results that come with cryokit, for lessons and pages that are too short to measure them anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from cryokit._util.resources import folder
from cryokit.benchmark import result_file
from cryokit.errors import BenchmarkError


def names() -> tuple[str, ...]:
    """Return the names of the results that come with cryokit.

    Examples
    --------
    >>> {"classes", "klh", "real", "unseen"} <= set(names())
    True
    """
    return tuple(sorted(path.stem for path in _results().glob("*.json")))


def measured(name: str) -> dict[str, Any]:
    """Return a result of ``cryokit benchmark`` that comes with cryokit.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    dict
        Result as `cryokit.benchmark.result_file.load` returns it. Its ``provenance`` says when and on which machine it
        was measured. Curves and decisions are left out of these files.

    Raises
    ------
    BenchmarkError
        If there is no such result.

    Examples
    --------
    >>> sorted(measured("unseen")["datasets"])
    ['ms2_unseen', 't20s_unseen']
    """
    path = _results() / f"{name}.json"
    if not path.is_file():
        raise BenchmarkError(f"no result {name!r} comes with cryokit; results: {', '.join(names())}")
    return result_file.load(path)


def table_3() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the accuracies of patches that ``benchmarks/table3.py`` has measured, and the settings of that run.

    Returns
    -------
    table : pandas.DataFrame
        Columns as of `cryokit.networks.training.classification_table`, besides ``data`` and ``preset``.
    settings : dict
        Options of the script, such as ``width``, ``per_class`` and ``proteins``, and ``at``, when it ran.

    Examples
    --------
    >>> table, settings = table_3()
    >>> sorted(table["setting"].unique())
    ['4 + background', '4 + negative', 'five classes']
    """
    content = json.loads((_results() / "patches" / "table3.json").read_text(encoding="utf-8"))
    return pd.DataFrame(content["rows"]), {**content["settings"], "at": content["provenance"]["at"]}


def _results() -> Path:
    return folder("benchmarks") / "results"
