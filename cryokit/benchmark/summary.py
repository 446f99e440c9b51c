"""Tables of a run's result: what `cryokit.benchmark.results.load` returns, as pandas tables.

Every function takes the result as it was loaded and returns a new table; nothing is drawn or written here. Where a
method ran with several seeds, values are means over the seeds, and ``..._spread`` is their standard deviation (NaN with
one seed). Failed and skipped cells keep their rows, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cryokit.benchmark import paired, reported
from cryokit.errors import DatasetError
from cryokit.evaluate.metrics import ratio
from cryokit.wording import plural

SCORES = ("precision", "recall", "f1", "accuracy", "average_precision", "recall_ceiling", "best_f1")
DONE = "done"
COUNTS = ("tp", "fp", "fn")

Result = Mapping[str, Any]


def cells(result: Result, dataset: str | None = None) -> pd.DataFrame:
    """Return a row for each cell, its values in columns.

    Parameters
    ----------
    result : mapping
    dataset : str, optional
        Only the cells of this one.

    Returns
    -------
    pandas.DataFrame
        `method`, `dataset`, `seed`, `status`, `error`, `fit` and `pick` (seconds), `memory` (MB), `threshold`,
        `own_threshold`, the `SCORES`, `f1_low`, `f1_high`, `own_f1`; NaN for what a cell does not have.
    """
    rows = []
    for cell in result["cells"]:
        if dataset not in (None, cell["dataset"]):
            continue
        scores, seconds = cell.get("scores") or {}, cell.get("seconds") or {}
        low, high = _ends((scores.get("intervals") or {}).get("f1"))
        rows.append(
            {
                **{name: cell[name] for name in ("method", "dataset", "seed", "status")},
                "error": cell.get("error") or "",
                **{name: _number(seconds.get(name)) for name in ("fit", "pick")},
                "memory": _number(cell.get("peak_memory_mb")),
                **{name: _number(cell.get(name)) for name in ("threshold", "own_threshold")},
                **{name: _number(scores.get(name)) for name in SCORES},
                **{"f1_low": low, "f1_high": high, "own_f1": _number((cell.get("own") or {}).get("f1"))},
            }
        )
    columns = ["method", "dataset", "seed", "status", "error", "fit", "pick", "memory", "threshold", "own_threshold"]
    return pd.DataFrame(rows, columns=[*columns, *SCORES, "f1_low", "f1_high", "own_f1"])


def dataset_names(result: Result, *, swept: bool = False) -> list[str]:
    """Return the names of the datasets that are no points of a sweep; with `swept`, of those that are."""
    return [name for name, dataset in result["datasets"].items() if bool(dataset.get("axes")) == swept]


def scores(result: Result, dataset: str) -> pd.DataFrame:
    """Return how good every method is on a dataset.

    Parameters
    ----------
    result : mapping
    dataset : str

    Returns
    -------
    pandas.DataFrame
        A row for each method that has a cell of this dataset, by falling F1, those without scores last. `method`,
        `title`, `labels` (whether it learned from labels), `seeds` (that came to an end), the `SCORES`, `f1_spread`,
        `average_precision_spread`, `f1_low` and `f1_high` (95 % interval over micrographs; of several seeds, that of
        the counts added up over them), `own_f1` (at the threshold that the picker chose by itself), `fit` and `pick`
        (seconds), `memory` (MB, the largest), `status` and `error`.

    Raises
    ------
    DatasetError
        When the result has no such dataset.
    """
    _known(result, dataset)
    rows = []
    for method, group in cells(result, dataset).groupby("method", sort=False):
        done = group[group["status"] == DONE]
        low, high = _interval(result, dataset, method, done)
        rows.append(
            {
                "method": method,
                "title": title(result, method),
                "labels": learns(result, method),
                "seeds": len(done),
                **{name: done[name].mean() for name in SCORES},
                **{f"{name}_spread": done[name].std() for name in ("f1", "average_precision")},
                **{"f1_low": low, "f1_high": high, "own_f1": done["own_f1"].mean()},
                **{"fit": done["fit"].mean(), "pick": done["pick"].mean(), "memory": done["memory"].max()},
                "status": _status(group["status"]),
                "error": "; ".join(dict.fromkeys(word for word in group["error"] if word)),
            }
        )
    columns = ["method", "title", "labels", "seeds", *SCORES, "f1_spread", "average_precision_spread"]
    columns += ["f1_low", "f1_high", "own_f1", "fit", "pick", "memory", "status", "error"]
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("f1", ascending=False, kind="stable", na_position="last", ignore_index=True)


def views(result: Result, dataset: str) -> pd.DataFrame:
    """Return the scores of each view by itself, and their average over the views, as table 7 of the paper has them.

    Returns
    -------
    pandas.DataFrame
        Rows of every method with more than one view, in the order of `scores`: `method`, `title`, `labels`, `view` (of
        the last row of a method: ``average``), the `SCORES` and `f1_spread`. Empty where there are no views.
    """
    rows = []
    for method in scores(result, dataset)["method"]:
        done = finished(result, dataset, method)
        names = list(dict.fromkeys(view for cell in done for view in cell["views"]))
        if len(names) < 2:
            continue
        one = {"method": method, "title": title(result, method), "labels": learns(result, method)}
        # seeds x views x scores
        values = np.array(
            [[[_number(cell["views"][view].get(name)) for name in SCORES] for view in names] for cell in done]
        )
        values = np.concatenate([values, values.mean(axis=1, keepdims=True)], axis=1)
        spread = (
            values[..., SCORES.index("f1")].std(axis=0, ddof=1) if len(done) > 1 else np.full(len(names) + 1, np.nan)
        )
        for place, view in enumerate([*names, reported.AVERAGE]):
            means = dict(zip(SCORES, values[:, place].mean(axis=0).tolist(), strict=True))
            rows.append({**one, "view": view, **means, "f1_spread": float(spread[place])})
    return pd.DataFrame(rows, columns=["method", "title", "labels", "view", *SCORES, "f1_spread"])


def per_micrograph(result: Result, dataset: str, method: str) -> pd.DataFrame:
    """Return the counts of a method: `micrograph`, `seed`, `particles`, `tp`, `fp`, `fn`."""
    rows = [
        {**row, "seed": cell["seed"]} for cell in finished(result, dataset, method) for row in cell["per_micrograph"]
    ]
    return pd.DataFrame(rows, columns=["micrograph", "seed", "particles", *COUNTS])


def comparison(result: Result, dataset: str, first: str, second: str) -> paired.Comparison:
    """Return the paired comparison of two methods: the run's own, where it has made this one."""
    for one in result.get("comparisons", []):
        if one["dataset"] != dataset or {one["first"], one["second"]} != {first, second}:
            continue
        low, high = _ends(one["interval"])
        if one["first"] == second:
            return paired.Comparison(-one["difference"], (-high, -low), one["p"], one["micrographs"])
        return paired.Comparison(one["difference"], (low, high), one["p"], one["micrographs"])
    return paired.compare(per_micrograph(result, dataset, first), per_micrograph(result, dataset, second))


def against(result: Result, dataset: str, method: str) -> pd.DataFrame:
    """Compare a method with every other one on the same micrographs.

    Returns
    -------
    pandas.DataFrame
        In the order of `scores`: `method` (the other one), `title`, `labels`, `difference` (F1 of `method` minus that
        of the other one), `low`, `high`, `p`, `micrographs`, `distinguishable`. Empty when `method` has no scores.
    """
    table = scores(result, dataset)
    scored = table[table["seeds"] > 0]
    rows = []
    if (scored["method"] == method).any():
        for other in scored[scored["method"] != method].itertuples():
            found = comparison(result, dataset, method, other.method)
            rows.append(
                {
                    **{"method": other.method, "title": other.title, "labels": other.labels},
                    **{"difference": found.difference, "low": found.interval[0], "high": found.interval[1]},
                    **{"p": found.p, "micrographs": found.micrographs},
                    "distinguishable": paired.distinguishable(found.p, found.interval),
                }
            )
    columns = ["method", "title", "labels", "difference", "low", "high", "p", "micrographs", "distinguishable"]
    return pd.DataFrame(rows, columns=columns)


def standing(result: Result, dataset: str, *, labels: bool) -> pd.DataFrame:
    """Say who is first among the methods that learn from labels (or among the others), and who might as well be.

    Returns
    -------
    pandas.DataFrame
        By falling F1: `method`, `title`, `f1`, `f1_low`, `f1_high`, and what the first is ahead by: `difference`,
        `low`, `high`, `p` and `distinguishable`. The first itself has a difference of 0 and is not distinguishable from
        itself. Differences are of counts pooled over the seeds, and can be other than those of the means in `f1`.
    """
    table = scores(result, dataset)
    table = table[(table["labels"] == labels) & (table["seeds"] > 0)][["method", "title", "f1", "f1_low", "f1_high"]]
    if not len(table):
        return table.assign(difference=[], low=[], high=[], p=[], distinguishable=[])
    first = table["method"].iloc[0]
    behind = against(result, dataset, first).set_index("method")[["difference", "low", "high", "p", "distinguishable"]]
    behind.loc[first] = [0.0, 0.0, 0.0, 1.0, False]
    found = table.join(behind, on="method")
    return found.astype({"distinguishable": bool}).reset_index(drop=True)


def sweep(result: Result) -> pd.DataFrame:
    """Return the points of every sweep: how good a method is as one condition changes.

    Returns
    -------
    pandas.DataFrame
        `axis` (such as ``snr``), `value`, `protein`, `dataset`, `method`, `title`, `labels`, `seeds`, `f1`, `f1_low`,
        `f1_high`, `f1_spread`, `average_precision`, `average_precision_spread`, `status`, `error`; by axis, protein and
        value.
    """
    parts = []
    for name in dataset_names(result, swept=True):
        dataset = result["datasets"][name]
        (axis, value), *_ = dataset["axes"].items()
        parts.append(scores(result, name).assign(axis=axis, value=value, protein=dataset["protein"], dataset=name))
    columns = ["axis", "value", "protein", "dataset", "method", "title", "labels", "seeds", "f1", "f1_low", "f1_high"]
    columns += ["f1_spread", "average_precision", "average_precision_spread", "status", "error"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.sort_values(["axis", "protein", "value"], kind="stable", ignore_index=True)


def failures(result: Result) -> pd.DataFrame:
    """Return the cells that have no scores: `dataset`, `method`, `seed`, `status`, `error`."""
    table = cells(result)
    return table.loc[table["status"] != DONE, ["dataset", "method", "seed", "status", "error"]].reset_index(drop=True)


def datasets(result: Result) -> pd.DataFrame:
    """Return a row for each dataset: what it is, and its micrographs and particles by split."""
    rows = []
    for name, dataset in result["datasets"].items():
        counts = {f"{split}_micrographs": len(names) for split, names in dataset["micrographs"].items()}
        counts |= {f"{split}_particles": number for split, number in dataset["particles"].items()}
        shown = ", ".join(f"{number} {view}" for view, number in (dataset.get("views") or {}).items())
        kept = {key: dataset[key] for key in ("title", "kind", "protein", "diameter")}
        rows.append({"dataset": name, **kept, **counts, "views": shown, "note": dataset.get("note") or ""})
    return pd.DataFrame(rows)


def provenance(result: Result) -> pd.DataFrame:
    """Return what made the result: two columns, `what` and `value`, both text."""
    made = result["provenance"]
    machine = made.get("machine") or {}
    seeds = sorted({cell["seed"] for cell in result["cells"]})
    rows = {
        "run": f"{result['name']}" + (f", profile {result['profile']}" if result.get("profile") else ""),
        "date": made.get("date"),
        "duration": f"{made['seconds'] / 60:.1f} min" if made.get("seconds") is not None else None,
        "machine": _machine(machine),
        "cryokit": made.get("cryokit"),
        "commit": made.get("commit"),
        "Python": made.get("python"),
        "backend": made.get("backend"),
        "packages": ", ".join(f"{name} {version}" for name, version in (made.get("packages") or {}).items()),
        "seeds": ", ".join(map(str, seeds)),
        "cells": _count_status(result),
    }
    return pd.DataFrame([(what, str(value)) for what, value in rows.items() if value], columns=["what", "value"])


def beside_reported(result: Result, dataset: str) -> pd.DataFrame:
    """Return measured scores with what the paper reports of the same method and protein (its table 7) beside them.

    Returns
    -------
    pandas.DataFrame
        Of the methods that the paper reports, in the order of `scores`, a row for each view that was measured and one
        of their average; where views were not told apart, one of all particles beside the paper's average. The columns
        have two levels: (``method``, ""), (``view``, ""), (``measured``, quantity), (``reported``, quantity). The
        quantities are `precision`, `recall`, `f1` and `accuracy`, which is not the same quantity in the two
        (`cryokit.benchmark.reported.definitions`). Empty where the paper reports nothing.
    """
    table, by_view = scores(result, dataset), views(result, dataset)
    quantities = ("precision", "recall", "f1", "accuracy")
    rows = []
    for row in table[table["seeds"] > 0].itertuples():
        told = reported.row(result["methods"][row.method], protein_name=result["datasets"][dataset]["protein"])
        if "f1" not in told:
            continue
        measured = {view["view"]: view for view in by_view[by_view["method"] == row.method].to_dict("records")}
        for view, values in (measured or {"all": row._asdict()}).items():
            other = told["views"].get(view, {}) if view in measured and view != reported.AVERAGE else told
            rows.append(
                {
                    **{("method", ""): row.title, ("view", ""): view},
                    **{("measured", name): float(values[name]) for name in quantities},
                    **{("reported", name): other.get(name, float("nan")) for name in quantities},
                }
            )
    columns = [("method", ""), ("view", "")]
    columns += [(kind, name) for kind in ("measured", "reported") for name in quantities]
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns))


def times_beside_reported(result: Result) -> pd.DataFrame:
    """Return measured seconds for a micrograph beside the minutes of the paper's table 8, which are turned to seconds.

    Returns
    -------
    pandas.DataFrame
        `dataset`, `title`, `measured` (seconds), `reported_cpu`, `reported_gpu` (seconds). Empty where nothing is
        reported.
    """
    rows = []
    for name in dataset_names(result):
        for row in scores(result, name).itertuples():
            told = reported.row(result["methods"][row.method], protein_name=result["datasets"][name]["protein"])
            if "cpu" in told and row.seeds:
                seconds = {"reported_cpu": 60 * told["cpu"], "reported_gpu": 60 * told["gpu"]}
                rows.append({"dataset": name, "title": row.title, "measured": row.pick, **seconds})
    return pd.DataFrame(rows, columns=["dataset", "title", "measured", "reported_cpu", "reported_gpu"])


def class_settings(result: Result) -> pd.DataFrame:
    """Return DeepCryoPicker's three settings of classes, pooled over the datasets, beside the paper's table 5.

    Datasets that are points of a sweep, and those where one of the settings has no scores, are left out: all settings
    are of the same micrographs.

    Returns
    -------
    pandas.DataFrame
        The columns have two levels, as those of `beside_reported`; ``("measured", "datasets")`` says how many. Empty
        when fewer than two settings were run.
    """
    settings = {
        name: (method.get("settings") or {}).get("classes_setting", reported.SETTING)
        for name, method in result["methods"].items()
        if method.get("picker") == "deepcryopicker" and not method["labels"]
    }
    settings = dict({setting: name for name, setting in reversed(settings.items())})  # setting -> its first method
    shared = [
        name
        for name in dataset_names(result)
        if settings and all(finished(result, name, method) for method in settings.values())
    ]
    told = reported.table(5).set_index("setting")
    quantities = ("precision", "recall", "f1", "accuracy")
    rows = []
    for setting in told.index:
        if setting not in settings or not shared or len(settings) < 2:
            continue
        counts = [per_micrograph(result, name, settings[setting])[list(COUNTS)].sum() for name in shared]
        tp, fp, fn = sum(counts)
        values = (ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2 * tp, 2 * tp + fp + fn), ratio(tp, tp + fp + fn))
        rows.append(
            {
                ("classes", ""): setting,
                **{("measured", name): float(value) for name, value in zip(quantities, values, strict=True)},
                ("measured", "datasets"): len(shared),
                **{("reported", name): float(told.loc[setting, name]) for name in quantities},
            }
        )
    columns = [("classes", ""), *(("measured", name) for name in (*quantities, "datasets"))]
    columns += [("reported", name) for name in quantities]
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns))


def text(result: Result) -> str:
    """Return the scores of every dataset as plain text, for the command line."""
    shown = {"title": "method", "labels": "labels", "precision": "precision", "recall": "recall", "f1": "F1"}
    shown |= {"interval": "95 % interval", "average_precision": "AP", "own_f1": "F1, own threshold", "pick": "s"}
    parts = []
    for name, dataset in result["datasets"].items():
        table = scores(result, name)
        ends = zip(table["f1_low"], table["f1_high"], strict=True)
        table["interval"] = ["-" if np.isnan(low) else f"{low:.3f} - {high:.3f}" for low, high in ends]
        table["labels"] = np.where(table["labels"], "yes", "no")
        scored = table[table["seeds"] > 0]
        number = plural(len(dataset["micrographs"]["test"]), "micrograph")
        parts.append(f"{dataset['title']}: {number}, {plural(dataset['particles']['test'], 'particle')}")
        if len(scored):
            told = scored[list(shown)].rename(columns=shown)
            parts.append(told.to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
        parts += [f"{row.title}: {row.status}: {row.error}" for row in table.itertuples() if row.error]
        parts.append("")
    return "\n".join(parts)


def title(result: Result, method: str) -> str:
    """Return what a method is called in tables and pictures."""
    return result["methods"][method].get("title") or method


def learns(result: Result, method: str) -> bool:
    """Return whether a method was given labels to learn from."""
    return bool(result["methods"][method]["labels"])


def _known(result: Result, dataset: str) -> None:
    if dataset not in result["datasets"]:
        known = ", ".join(result["datasets"]) or "none"
        raise DatasetError(f"the result {result['name']} has no dataset {dataset!r}; datasets: {known}")


def finished(result: Result, dataset: str, method: str) -> list[Mapping[str, Any]]:
    """Return the cells of a method on a dataset that came to their end."""
    return [
        cell
        for cell in result["cells"]
        if cell["method"] == method and cell["dataset"] == dataset and cell["status"] == DONE
    ]


def _interval(result: Result, dataset: str, method: str, done: pd.DataFrame) -> tuple[float, float]:
    if len(done) == 1:
        return float(done["f1_low"].iloc[0]), float(done["f1_high"].iloc[0])
    return paired.interval(per_micrograph(result, dataset, method))


def _status(found: pd.Series) -> str:
    """Say what became of a method's cells: one word where all are alike."""
    kinds = list(dict.fromkeys(found))
    if len(kinds) == 1:
        return kinds[0]
    return ", ".join(f"{(found == kind).sum()} {kind}" for kind in kinds)


def _count_status(result: Result) -> str:
    found = pd.Series([cell["status"] for cell in result["cells"]], dtype=object).value_counts(sort=False)
    return ", ".join(f"{number} {kind}" for kind, number in found.sort_index().items())


def _machine(machine: Mapping[str, Any]) -> str:
    words = [machine.get("system"), machine.get("processor")]
    if machine.get("cores"):
        words.append(plural(machine["cores"], "core"))
    if machine.get("memory_gb"):
        words.append(f"{machine['memory_gb']:g} GB")
    if machine.get("device"):
        words.append(f"networks on {machine['device']}")
    return ", ".join(str(word) for word in words if word)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _ends(interval: Any) -> tuple[float, float]:
    low, high = interval or (None, None)
    return _number(low), _number(high)
