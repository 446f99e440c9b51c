"""Summaries of a result: `cryokit.benchmark.result_file.load` returns it, these functions turn it into pandas tables.

Every function takes the result as loaded and returns a new table. If a method ran with several seeds, values are means
over the seeds and ``..._spread`` columns their standard deviation (NaN with one seed). Failed and skipped cells keep
their rows, with the reason. How tables are shown is up to `cryokit.benchmark.tables`.

There are two rankings: of methods that learned from no labels, and of methods that labels were allowed to. Picks as
given stand in the latter unless it is known that no labels went into them.
"""

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.validation import check_choice
from cryokit._util.wording import plural
from cryokit.benchmark import configuration, reported
from cryokit.benchmark.result_file import DONE, SCORES
from cryokit.errors import CryokitError
from cryokit.evaluate import paired

SHIFTS = ("dx_share", "dy_share", "rms_share")  # of the true picks, as shares of the diameter
TIE = 0.0005  # of F1: smaller differences vanish in three decimals, and the methods share a rank
_NUMBERS = (
    *("fit", "pick", "memory", "threshold", "own_threshold", *SCORES, "f1_low", "f1_high", "own_f1", "wide_f1"),
    *("named_right", *SHIFTS),
)
# Columns of `comparisons` besides the two methods
_COMPARED = ("difference", "interval", "p", "micrographs", "corrected", "distinguishable", "testable")

Result = Mapping[str, Any]


def cells(result: Result, dataset: str | None = None) -> pd.DataFrame:
    """Return one row per cell, with its values in columns.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    dataset : str, optional
        Dataset whose cells to return; default: all.

    Returns
    -------
    pandas.DataFrame
        `method`, `dataset`, `seed`, `status`, `error`, `fit` and `pick` (seconds), `memory` (MB), `threshold`,
        `own_threshold`, the `SCORES`, `f1_low`, `f1_high`, `own_f1`, `wide_f1` (at 0.5 diameters), `named_right` (share
        of the true picks that name the view of their particle), the `SHIFTS`, `shifted` (whether the picks are shifted,
        see `cryokit.evaluate.localisation`) and `threshold_by` (one of
        `cryokit.benchmark.result_file.THRESHOLDS`); NaN for values that a cell does not have.
    """
    columns = ["method", "dataset", "seed", "status", "error", *_NUMBERS, "shifted", "threshold_by"]
    rows = []
    for cell in result["cells"]:
        if dataset not in (None, cell["dataset"]):
            continue
        # Of what a cell has, the table takes what `columns` names.
        row = {**cell, **cell["seconds"], **cell["scores"], **cell["localisation"]}
        row |= {"memory": cell["peak_memory_mb"], "own_f1": cell["own"].get("f1"), "error": cell["error"] or ""}
        row |= {"wide_f1": cell["wide"].get("f1"), "named_right": cell["view_named_right"]}
        row["f1_low"], row["f1_high"] = cell["scores"].get("intervals", {}).get("f1") or (None, None)
        rows.append({**row, "shifted": bool(row.get("shifted"))})
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_NUMBERS, float))


def finished(result: Result, dataset: str, method: str) -> list[Mapping[str, Any]]:
    """Return the cells of a method on a dataset that have scores."""
    wanted = (method, dataset, DONE)
    return [cell for cell in result["cells"] if (cell["method"], cell["dataset"], cell["status"]) == wanted]


def dataset_names(result: Result, *, swept: bool = False) -> list[str]:
    """Return the names of the datasets that are not points of a sweep; with `swept`, of those that are."""
    return [name for name, dataset in result["datasets"].items() if bool(dataset["axes"]) == swept]


def scores(result: Result, dataset: str) -> pd.DataFrame:
    """Return the scores of every method on a dataset.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    dataset : str
        Name of the dataset.

    Returns
    -------
    pandas.DataFrame
        One row per method with a cell on this dataset, by falling F1 (equal ones by title), those without scores last:
        `method`, `title`, `labels` (whether it learned from labels, None if unknown), `seeds` (number that finished),
        the `SCORES`, `f1_spread`, `average_precision_spread`, `f1_low` and `f1_high` (95 % interval over micrographs
        and seeds), `by_micrographs` and `by_seeds` (standard errors of F1 from either, see
        `cryokit.evaluate.paired.spread`), `own_f1` (at the threshold that the picker chose by itself), `wide_f1` (at
        0.5 diameters), `named_right`, `threshold_by`, `fit` and `pick` (seconds), `memory` (MB, largest), the `SHIFTS`,
        `shifted` (with any seed), `status` and `error`.

    Raises
    ------
    ArgumentError
        If the result has no such dataset.
    """
    check_choice("dataset", dataset, result["datasets"])
    table = cells(result, dataset)
    groups = table.assign(done=table["status"] == DONE).groupby("method", sort=False)
    # Cells without scores have no values to count.
    means = groups[[*SCORES, "own_f1", "wide_f1", "named_right", "fit", "pick", *SHIFTS]].mean()
    means[["f1_spread", "average_precision_spread"]] = groups[["f1", "average_precision"]].std()
    means = means.assign(
        memory=groups["memory"].max(),
        seeds=groups["done"].sum(),
        shifted=groups["shifted"].any(),
        threshold_by=groups["threshold_by"].agg(lambda ways: ", ".join(way for way in dict.fromkeys(ways) if way)),
        status=groups["status"].agg(_counted),
        error=groups["error"].agg(lambda errors: "; ".join(error for error in dict.fromkeys(errors) if error)),
    ).reset_index()
    spreads = [_spread(result, dataset, row.method) for row in means.itertuples()]
    means["f1_low"], means["f1_high"] = ([float(one.interval[end]) for one in spreads] for end in (0, 1))
    means["by_micrographs"], means["by_seeds"] = ([one[place] for one in spreads] for place in (2, 3))
    means = _with_titles(result, means)
    columns = ["method", "title", "labels", "seeds", *SCORES, "f1_spread", "average_precision_spread", "f1_low"]
    columns += ["f1_high", "by_micrographs", "by_seeds", "own_f1", "wide_f1", "named_right", "threshold_by", "fit"]
    columns += ["pick", "memory", *SHIFTS, "shifted", "status", "error"]
    return means[columns].sort_values(["f1", "title"], ascending=[False, True], na_position="last", ignore_index=True)


def scored(result: Result, dataset: str) -> pd.DataFrame:
    """Return those `scores` on a dataset that are of methods with any."""
    table = scores(result, dataset)
    return table[table["seeds"] > 0].reset_index(drop=True)


def views(result: Result, dataset: str) -> pd.DataFrame:
    """Return the scores of each view separately, and their average over the views, as table 7 of the paper has them.

    Returns
    -------
    pandas.DataFrame
        Rows for each method with more than one view, in the order of `scores`: `method`, `title`, `labels`,
        `named_right` (share of the method's true picks that name their particle's view; NaN if it names none), `view`
        (``average`` in the last row of a method), the `SCORES` and `f1_spread`. Empty if there are no views.
    """
    columns = ["method", "title", "labels", "named_right", "view", *SCORES, "f1_spread"]
    parts = []
    for method in scores(result, dataset)["method"]:
        for cell in finished(result, dataset, method):
            if len(cell["views"]) > 1:
                part = pd.DataFrame.from_dict(cell["views"], orient="index")[list(SCORES)].astype(float)
                part.loc[reported.AVERAGE] = part.mean()
                part = part.rename_axis("view").reset_index()
                parts.append(part.assign(method=method, named_right=cell["view_named_right"]))
    if not parts:
        return pd.DataFrame(columns=columns)
    groups = pd.concat(parts).astype({"named_right": float}).groupby(["method", "view"], sort=False)
    means = groups[["named_right", *SCORES]].mean().assign(f1_spread=groups["f1"].std()).reset_index()
    return _with_titles(result, means)[columns]


def per_micrograph(result: Result, dataset: str | None, method: str) -> pd.DataFrame:
    """Return the counts of a method: `dataset`, `micrograph`, `seed`, `particles`, `tp`, `fp`, `fn`.

    Without a `dataset`: on all that are no points of a sweep.
    """
    rows = [
        {**row, "dataset": name, "seed": cell["seed"]}
        for name in (dataset_names(result) if dataset is None else [dataset])
        for cell in finished(result, name, method)
        for row in cell["per_micrograph"]
    ]
    return pd.DataFrame(rows, columns=["dataset", "micrograph", "seed", "particles", *paired.COUNTS])


def comparisons(result: Result, dataset: str | None) -> pd.DataFrame:
    """Compare every pair of methods on the same micrographs.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    dataset : str or None
        Name of the dataset; None for all that are no points of a sweep together, with the mean over them of F1.

    Returns
    -------
    pandas.DataFrame
        One row per pair, in the order of `scores`: `first`, `second`, `difference` (F1 of the first minus that of the
        second), `interval`, `p`, `micrographs` (see `cryokit.evaluate.paired.Comparison`), `corrected` (p corrected by
        Holm's method for the number of rows), `distinguishable`, and `testable`, whether so many comparisons on so few
        micrographs can distinguish any two methods at all.
    """
    pairs = _pairs(tuple((method, _counts(result, dataset, method)) for method in _with_scores(result, dataset)))
    corrected = paired.holm([pair.p for pair in pairs.values()])
    rows = [
        {
            **{"first": first, "second": second, **pair._asdict(), "corrected": float(p)},
            "distinguishable": paired.distinguishable(p, pair.interval),
            "testable": paired.least_p(pair.micrographs, len(pairs)) < paired.LEVEL,
        }
        for ((first, second), pair), p in zip(pairs.items(), corrected, strict=True)
    ]
    return pd.DataFrame(rows, columns=["first", "second", *_COMPARED])


def against(result: Result, dataset: str | None, method: str) -> pd.DataFrame:
    """Compare a method with every other one on the same micrographs.

    Parameters
    ----------
    result, dataset
        As for `comparisons`.
    method : str
        Name of the method.

    Returns
    -------
    pandas.DataFrame
        In the order of `scores`: `method` (the other one), `title`, `labels`, and the columns of `comparisons`, with
        `method` as the first: `difference`, `interval`, `p`, `micrographs`, `corrected`, `distinguishable`,
        `testable`. Empty if `method` has no scores.
    """
    pairs = comparisons(result, dataset)
    rows = []
    for pair in pairs[(pairs["first"] == method) | (pairs["second"] == method)].to_dict("records"):
        other = pair["second"]
        if other == method:
            low, high = pair["interval"]
            other = pair["first"]
            pair |= {"difference": -pair["difference"], "interval": (-high, -low)}
        rows.append({"method": other, **{name: pair[name] for name in _COMPARED}})
    table = _with_titles(result, pd.DataFrame(rows, columns=["method", *_COMPARED]))
    return table[["method", "title", "labels", *_COMPARED]]


def standing(result: Result, dataset: str | None, *, labels: bool) -> pd.DataFrame:
    """Rank the methods that labels were allowed to (or the others), and compare each with the first.

    Parameters
    ----------
    result, dataset
        As for `comparisons`. Without a dataset, only methods with scores on all of them are ranked, by the mean of F1.
    labels : bool
        Whether to rank the methods that learned from labels, and picks as given of which it is not known; or the
        others.

    Returns
    -------
    pandas.DataFrame
        By falling F1: `method`, `title`, `labels`, `f1`, `f1_low`, `f1_high`, `own_f1` (NaN without a dataset),
        `letters` (`cryokit.evaluate.paired.letters`; empty if nothing can be told apart, because there are too few
        micrographs), `best` (whether it is the first or cannot be told apart from it; False for all if nothing can),
        and `difference` (from the first), `interval`, `corrected`, `distinguishable` and `testable` for the comparison
        of the first with it (0, NaN, 1 and False for the first itself).
    """
    columns = ["method", "title", "labels", "f1", "f1_low", "f1_high", "own_f1"]
    table = scored(result, dataset)[columns] if dataset is not None else _overall(result)
    ranked = np.array([is_ranked(result, method, labels) for method in table["method"]], bool)
    table = table[ranked].reset_index(drop=True)
    pairs = comparisons(result, dataset)
    testable = bool(pairs["testable"].any())
    methods = table["method"].tolist()
    apart = {frozenset(pair) for pair in pairs.loc[pairs["distinguishable"], ["first", "second"]].to_numpy()}
    matrix = [[frozenset((one, other)) in apart for other in methods] for one in methods]
    table["letters"] = paired.letters(matrix) if testable and methods else ""
    table["best"] = [testable and not row[0] for row in matrix]
    tests = against(result, dataset, methods[0] if methods else "").set_index("method")
    tests = tests[["difference", "interval", "corrected", "distinguishable"]].reindex(methods)
    for name, value in (("difference", 0.0), ("corrected", 1.0), ("distinguishable", False)):
        tests[name] = tests[name].astype(object).where(tests[name].notna(), value)
    tests["interval"] = [ends if isinstance(ends, tuple) else (np.nan, np.nan) for ends in tests["interval"]]
    table = table.join(tests, on="method").assign(testable=testable)
    return table.astype({"difference": float, "corrected": float, "distinguishable": bool, "testable": bool})


def is_ranked(result: Result, method: str, labels: bool) -> bool:
    """Return whether a method stands in the ranking that allows labels, or in the other one."""
    return (learns(result, method) is not False) == labels


def _with_scores(result: Result, dataset: str | None) -> list[str]:
    """Return the methods with scores on a dataset, or on all but points of sweeps, best first as in `scores`."""
    if dataset is None:
        return _overall(result)["method"].tolist()
    f1 = {}
    for cell in result["cells"]:
        if cell["dataset"] == dataset and cell["status"] == DONE:
            f1.setdefault(cell["method"], []).append(cell["scores"]["f1"] or 0.0)
    return sorted(f1, key=lambda method: (-sum(f1[method]) / len(f1[method]), title(result, method)))


def _overall(result: Result) -> pd.DataFrame:
    """Return the mean over all datasets of the F1 of every method that has scores on each of them."""
    names = dataset_names(result)
    methods = [m for m in result["methods"] if names and all(finished(result, name, m) for name in names)]
    rows = []
    for method in methods:
        found = _spread(result, None, method)
        rows.append({"method": method, "f1": found.f1, "f1_low": found.interval[0], "f1_high": found.interval[1]})
    table = _with_titles(result, pd.DataFrame(rows, columns=["method", "f1", "f1_low", "f1_high"]))
    table = table.assign(own_f1=np.nan)[["method", "title", "labels", "f1", "f1_low", "f1_high", "own_f1"]]
    return table.sort_values(["f1", "title"], ascending=[False, True], ignore_index=True)


def _spread(result: Result, dataset: str | None, method: str) -> paired.Spread:
    counts = _counts(result, dataset, method)
    return _spread_of(counts) if counts else paired.Spread(np.nan, (np.nan, np.nan), np.nan, np.nan)


_Counts = tuple[tuple[str, str, int, int, int, int], ...]  # dataset, micrograph, seed, tp, fp, fn


def _counts(result: Result, dataset: str | None, method: str) -> _Counts:
    """Return the counts of a method, as `per_micrograph`, in a form by which what follows from them can be kept."""
    return tuple(
        (name, row["micrograph"], cell["seed"], row["tp"], row["fp"], row["fn"])
        for name in (dataset_names(result) if dataset is None else [dataset])
        for cell in finished(result, name, method)
        for row in cell["per_micrograph"]
    )


def _table(counts: _Counts) -> pd.DataFrame:
    return pd.DataFrame(list(counts), columns=["dataset", "micrograph", "seed", *paired.COUNTS])


@functools.lru_cache(maxsize=4096)
def _spread_of(counts: _Counts) -> paired.Spread:
    return paired.spread(_table(counts))


@functools.lru_cache(maxsize=256)
def _pairs(methods: tuple[tuple[str, _Counts], ...]) -> Mapping[tuple[str, str], paired.Comparison]:
    return paired.compare_all({method: _table(counts) for method, counts in methods})


def sweep(result: Result) -> pd.DataFrame:
    """Return the points of every sweep: the scores of each method as one condition changes.

    Returns
    -------
    pandas.DataFrame
        `axis` (such as ``snr``), `value`, `protein`, `dataset`, `method`, `title`, `labels`, `seeds`, `f1`, `f1_low`,
        `f1_high`, `f1_spread`, `average_precision`, `average_precision_spread`, `status`, `error`; by axis, protein and
        value.
    """
    columns = ["axis", "value", "protein", "dataset", "method", "title", "labels", "seeds", "f1", "f1_low", "f1_high"]
    columns += ["f1_spread", "average_precision", "average_precision_spread", "status", "error"]
    parts = []
    for name in dataset_names(result, swept=True):
        dataset = result["datasets"][name]
        (axis, value), *_ = dataset["axes"].items()
        parts.append(scores(result, name).assign(axis=axis, value=value, protein=dataset["protein"], dataset=name))
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.sort_values(["axis", "protein", "value"], kind="stable", ignore_index=True)


def sweep_table(points: pd.DataFrame, quantity: str = "f1") -> pd.DataFrame:
    """Return the points of one sweep as a wide table.

    Parameters
    ----------
    points : pandas.DataFrame
        Rows of `sweep`, of one axis and one protein.
    quantity : {"f1", "average_precision"}
        Column of `points` to show.

    Returns
    -------
    pandas.DataFrame
        One row per method (the index), one column per value, and ``mean``: over all values, NaN if one of them has no
        score. By falling mean, those without one last.
    """
    wide = points.pivot_table(index="method", columns="value", values=quantity, dropna=False)
    wide["mean"] = wide.mean(axis=1, skipna=False)
    return wide.sort_values("mean", ascending=False, kind="stable", na_position="last")


def failures(result: Result) -> pd.DataFrame:
    """Return the cells without scores: `dataset`, `method`, `seed`, `status`, `error`."""
    table = cells(result)
    return table.loc[table["status"] != DONE, ["dataset", "method", "seed", "status", "error"]].reset_index(drop=True)


def micrograph_failures(result: Result) -> pd.DataFrame:
    """Return the micrographs that were left out or have no picks: `dataset`, `method`, `seed`, `status`, `error`.

    `method` is empty, and `seed` NaN, where all methods had to do without the micrograph.
    """
    rows = [
        {"dataset": name, "method": "", "seed": math.nan, "status": "left out", "error": error}
        for name, dataset in result["datasets"].items()
        for error in (dataset.get("left_out") or {}).values()
    ]
    rows += [
        {name: cell[name] for name in ("dataset", "method", "seed")} | {"status": one["what"], "error": one["error"]}
        for cell in result["cells"]
        for one in cell.get("unpicked") or ()
    ]
    return pd.DataFrame(rows, columns=["dataset", "method", "seed", "status", "error"])


def provenance(result: Result) -> pd.DataFrame:
    """Return how the result was made, as two columns of text, `what` and `value`.

    Finished cells are kept from one call to the next: a value that is not the same for all of them comes with the
    number of cells that have it.
    """
    done = [cell for cell in result["cells"] if cell["status"] == DONE]
    made = [cell["provenance"] for cell in done] or [result["provenance"]]
    dates = sorted({entry["date"] for entry in made})
    devices = sorted({entry["machine"].get("device") for entry in made} - {None})
    commits = [entry["commit"] for entry in made]
    minutes = sum(cell["wall"] or 0 for cell in result["cells"]) / 60
    rows = {
        "run": result["name"] + (f", profile {result['profile']}" if result["profile"] else ""),
        "date": " to ".join(dict.fromkeys([dates[0], dates[-1]])),
        "duration": f"{minutes:.1f} min" if minutes >= 0.1 else "",
        "machine": _counted(_machine(entry) for entry in made),
        "networks on": ", ".join(devices),
        "cryokit": _counted(entry["cryokit"] for entry in made),
        "commit": _counted(commits, "states of the source"),
        "Python": _counted(entry["python"] for entry in made),
        "backend": _counted(entry["backend"] for entry in made),
        "packages": _counted(", ".join(f"{name} {v}" for name, v in entry["packages"].items()) for entry in made),
        "seeds": ", ".join(map(str, sorted({cell["seed"] for cell in result["cells"]}))),
        "cells": ", ".join(f"{n} {status}" for status, n in sorted(Counter(cells(result)["status"]).items())),
        "not run": "; ".join(not_run(result)),
    }
    if any(commit and commit.endswith("+") for commit in commits):
        rows["commit"] += " (+: with uncommitted changes)"
    return pd.DataFrame([(what, value) for what, value in rows.items() if value], columns=["what", "value"])


def commits(result: Result) -> list[str]:
    """Return the states of the source that the finished cells of a result come from, most cells first."""
    made = Counter(cell["provenance"]["commit"] or "unknown" for cell in result["cells"] if cell["status"] == DONE)
    return [commit for commit, _ in made.most_common()]


def measured_on(result: Result) -> str:
    """Return a sentence on how times and memory were measured."""
    machines = {_machine(cell["provenance"]) for cell in result["cells"] if cell["status"] == DONE}
    where = next(iter(machines)) if len(machines) == 1 else f"{len(machines)} machines, not to be compared"
    return (
        f"Wall-clock times on {where}: *pick* is per micrograph, the median over the test micrographs, reading "
        "excluded; memory is the largest of the cell's own process."
    )


def not_run(result: Result) -> list[str]:
    """Return what the configuration of the run asks for and the result lacks, as phrases in Markdown.

    Returns
    -------
    list of str
        Methods, datasets, points of sweeps, methods on single datasets, seeds. Empty if everything was run, or if the
        configuration cannot be read here (a method of somebody else's, say).
    """
    try:
        wanted = configuration.parse(result["config"])
    except CryokitError:
        return []
    ran = {(cell["method"], cell["dataset"]) for cell in result["cells"]}
    methods, datasets = ({pair[place] for pair in ran} for place in (0, 1))
    titles = {row.name: f"*{row.title or row.name}*" for spec in wanted.datasets for row in wanted.rows(spec)}
    missing = {"method": [title for name, title in titles.items() if name not in methods], "dataset": [], "point": []}
    single = []
    for spec in wanted.datasets:
        # A dataset counts as run if the one was that takes its place.
        names = {choice.name for choice in spec.choices()}
        if names & datasets:
            single += [
                f"{titles[row.name]} on {spec.title or spec.name}"
                for row in wanted.rows(spec)
                if row.name in methods and not any((row.name, name) in ran for name in names)
            ]
        elif spec.axes:
            missing["point"] += [f"{axis} {value:g}" for axis, value in spec.axes.items()]
        else:
            missing["dataset"].append(f"*{spec.title or spec.name}*")
    phrases = [f"{kind}{'s' * (len(names) > 1)}: {', '.join(names)}" for kind, names in missing.items() if names]
    seeds = len({cell["seed"] for cell in result["cells"]})
    return [*phrases, *single, *([f"{wanted.seeds - seeds} of {wanted.seeds} seeds"] if seeds < wanted.seeds else [])]


def heading(result: Result) -> str:
    """Return the heading of a result: its title, its profile, and whether only a part of it was run."""
    profile = [f"profile {result['profile']}"] if result["profile"] else []
    return ", ".join([result["title"], *profile, *(["in part"] if not_run(result) else [])])


def title(result: Result, method: str) -> str:
    """Return the title of a method."""
    return result["methods"][method]["title"]


def learns(result: Result, method: str) -> bool | None:
    """Return whether a method learned from labels; None for picks as given of which it is not known."""
    return result["methods"][method]["labels"]


def given(result: Result, method: str) -> bool:
    """Return whether a row is of picks as given."""
    return result["methods"][method]["picker"] is None


def yes_no(values: Iterable[bool | None]) -> list[str]:
    """Return ``yes``, ``no`` or, for None, ``?``.

    Examples
    --------
    >>> yes_no([True, False, None])
    ['yes', 'no', '?']
    """
    return ["?" if value is None else "yes" if value else "no" for value in values]


def _with_titles(result: Result, table: pd.DataFrame) -> pd.DataFrame:
    labels = pd.Series([learns(result, method) for method in table["method"]], dtype=object)
    return table.assign(title=[title(result, method) for method in table["method"]], labels=labels)


def _counted(values: Iterable[str | None], many: str = "") -> str:
    """Return the value that all cells share, or each value with the number of cells; `many` names several of them."""
    numbers = Counter(value or "unknown" for value in values)
    if len(numbers) == 1:
        return next(iter(numbers))
    listed = ", ".join(f"{value} ({plural(number, 'cell')})" for value, number in numbers.most_common())
    return f"{len(numbers)} {many}: {listed}" if many else listed


def _machine(made: Mapping[str, Any]) -> str:
    """Describe a machine, without what its networks ran on, because not every cell has a network."""
    machine = made["machine"]
    memory = machine["memory_gb"]
    parts = [machine["system"], machine["processor"], plural(machine["cores"], "core")]
    return ", ".join([*parts, *([f"{memory} GB"] if memory else [])])
