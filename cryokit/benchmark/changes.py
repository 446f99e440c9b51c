"""Comparison of two results of the same benchmark: what has become better, worse, or has gone missing."""

from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.plain import plain
from cryokit.benchmark import summary
from cryokit.benchmark.summary import Result
from cryokit.errors import BenchmarkError
from cryokit.evaluate import paired

MARGIN = 0.01  # of F1: a smaller fall is no reason to stop
FELL, ROSE, SAME, LOST, OTHER = "fell", "rose", "no change", "lost", "other micrographs"
COLUMNS = ("dataset", "method", "old", "new", "difference", "low", "high", "p", "micrographs", "change")


def changes(old: Result, new: Result, *, margin: float = MARGIN) -> pd.DataFrame:
    """Compare the F1 of every method on every dataset of two results.

    Parameters
    ----------
    old, new : mapping
        Results as loaded.
    margin : float
        Difference in F1 up to which nothing counts as a change.

    Returns
    -------
    pandas.DataFrame
        One row for each method and dataset of `old` that has scores there, points of sweeps included: `dataset` and
        `method` (names), `old` and `new` (F1), `difference` (new minus old), `low` and `high` (95 % interval of it),
        `p` (corrected by Holm's method for the rows that can be compared), `micrographs`, and `change`: ``fell`` or
        ``rose`` if the difference is larger than `margin` and its interval excludes 0, and p, unless so few
        micrographs allow none below 0.05, is below 0.05; ``lost`` if the new result has no scores; ``other
        micrographs`` if the test micrographs have other names; and ``no change``.

    Raises
    ------
    BenchmarkError
        If no method has scores on the same micrographs in both.

    Notes
    -----
    Micrographs are told by their names. On another machine simulated ones may differ in the last digits of their
    pixels, which is why their fingerprints are not compared.
    """
    rows, tests = [], {}
    for dataset in old["datasets"]:
        for method in summary.scored(old, dataset)["method"]:
            before = summary.per_micrograph(old, dataset, method)
            after = summary.per_micrograph(new, dataset, method)
            row: dict[str, Any] = {"dataset": dataset, "method": method, "old": paired.spread(before).f1}
            if not len(after):
                row["change"] = LOST
            elif set(before["micrograph"]) != set(after["micrograph"]):
                row |= {"new": paired.spread(after).f1, "change": OTHER}
            else:
                row["new"] = paired.spread(after).f1
                tests[len(rows)] = paired.compare(after, before)
            rows.append(row)
    if not tests:
        raise BenchmarkError(
            f"{old['name']} and {new['name']}: no method has scores on the same micrographs in both, so there is "
            "nothing to compare; give two results of the same benchmark and profile"
        )
    corrected = paired.holm([test.p for test in tests.values()])
    for (place, test), p in zip(tests.items(), corrected, strict=True):
        low, high = test.interval
        testable = paired.least_p(test.micrographs, len(tests)) < paired.LEVEL
        # Of a single micrograph nothing is known but the difference itself.
        beyond = np.isnan(low) or low > 0 or high < 0
        real = abs(test.difference) > margin and beyond and (p < paired.LEVEL or not testable)
        change = SAME if not real else ROSE if test.difference > 0 else FELL
        rows[place] |= {"difference": test.difference, "low": low, "high": high, "p": float(p)}
        rows[place] |= {"micrographs": test.micrographs, "change": change}
    numbers = dict.fromkeys(("old", "new", "difference", "low", "high", "p"), float)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(numbers).astype({"micrographs": "Int64"})


def worse(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `changes` that are reason to stop: those that fell or were lost."""
    return table[table["change"].isin([FELL, LOST])]


def document(old: Result, new: Result, table: pd.DataFrame, *, margin: float = MARGIN) -> dict[str, Any]:
    """Return a comparison as values of JSON: what was compared, ``margin``, ``worse`` (their number) and ``cells``."""

    def described(result: Result) -> dict[str, Any]:
        return {"name": result["name"], "profile": result["profile"], "commits": summary.commits(result)}

    cells = [
        {name: None if pd.isna(value) else value for name, value in row.items()} for row in table.to_dict("records")
    ]
    return plain(
        {"old": described(old), "new": described(new), "margin": margin, "worse": len(worse(table)), "cells": cells}
    )
