"""Tables of a run's result: what `cryokit.benchmark.results.load` returns, as pandas tables.

Every function takes the result as it was loaded and returns a new table; nothing is drawn or written here. Where a
method ran with several seeds, values are means over the seeds, and ``..._spread`` is their standard deviation (NaN with
one seed). Failed and skipped cells keep their rows, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.wording import plural
from cryokit.benchmark import reported
from cryokit.errors import CryokitError, DatasetError
from cryokit.evaluate import paired
from cryokit.evaluate.metrics import ratio

SCORES = ("precision", "recall", "f1", "accuracy", "average_precision", "recall_ceiling", "best_f1")
DONE = "done"
COUNTS = ("tp", "fp", "fn")
TIE = 0.0005  # of F1: what is nearer than this is the same in three decimals, and shares its place
_VIEWS = (
    "Recall is over the particles of the view; picks on particles of other views are not counted, and false picks "
    "count in every view, for all methods alike. *View named right* is the share of the true picks that name their "
    "particle's view, where a method names views."
)
_VIEWS_AS_NAMED = (
    "These are by an older rule: a pick that names a view counted in this view only, one that names none in every "
    "view. Methods that name views cannot be compared with the others here."
)

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
        A row for each method that has a cell of this dataset, by falling F1 (equal ones by title), those without scores
        last. `method`, `title`, `labels` (whether it learned from labels, None where that is not known), `seeds` (that
        came to an end), the `SCORES`, `f1_spread`, `average_precision_spread`, `f1_low` and `f1_high` (95 % interval
        over micrographs; of several seeds, that of the counts added up over them), `own_f1` (at the threshold that the
        picker chose by itself), `fit` and `pick` (seconds), `memory` (MB, the largest), `status` and `error`.

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
    found = found.sort_values("title", kind="stable")
    return found.sort_values("f1", ascending=False, kind="stable", na_position="last", ignore_index=True)


def views(result: Result, dataset: str) -> pd.DataFrame:
    """Return the scores of each view by itself, and their average over the views, as table 7 of the paper has them.

    Returns
    -------
    pandas.DataFrame
        Rows of every method with more than one view, in the order of `scores`: `method`, `title`, `labels`,
        `named_right` (share of the method's true picks that name their particle's view; NaN where it names none),
        `view` (of the last row of a method: ``average``), the `SCORES` and `f1_spread`. Empty where there are no views.
    """
    rows = []
    for method in scores(result, dataset)["method"]:
        done = finished(result, dataset, method)
        names = list(dict.fromkeys(view for cell in done for view in cell["views"]))
        if len(names) < 2:
            continue
        one = {"method": method, "title": title(result, method), "labels": learns(result, method)}
        one["named_right"] = float(np.mean([_number(cell.get("view_named_right")) for cell in done]))
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
    return pd.DataFrame(rows, columns=["method", "title", "labels", "named_right", "view", *SCORES, "f1_spread"])


def views_rule(result: Result, dataset: str) -> str:
    """Return how picks are counted by view in this result: a sentence or two in Markdown."""
    done = [cell for cell in result["cells"] if cell["dataset"] == dataset and cell.get("views")]
    return _VIEWS if all("view_named_right" in cell for cell in done) else _VIEWS_AS_NAMED


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
        By falling F1: `method`, `title`, `f1`, `f1_low`, `f1_high`, `own_f1`, and what the first is ahead by:
        `difference`, `low`, `high`, `p` and `distinguishable`. The first itself has a difference of 0 and is not
        distinguishable from itself. Differences are of counts pooled over the seeds, and can be other than those of the
        means in `f1`.
    """
    table = scores(result, dataset)
    table = table.loc[
        (table["labels"] == labels) & (table["seeds"] > 0), ["method", "title", "f1", "f1_low", "f1_high", "own_f1"]
    ]
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


def sweep_table(points: pd.DataFrame, what: str = "f1") -> pd.DataFrame:
    """Return the points of one sweep as a wide table.

    Parameters
    ----------
    points : pandas.DataFrame
        Rows of `sweep`, of one axis and one protein.
    what : {"f1", "average_precision"}

    Returns
    -------
    pandas.DataFrame
        A row for each method (the index), a column for each value, and ``mean``: over all values, NaN where one of them
        has no score. By falling mean, those without one last.
    """
    wide = points.pivot_table(index="method", columns="value", values=what, dropna=False)
    wide["mean"] = wide.mean(axis=1, skipna=False)
    return wide.sort_values("mean", ascending=False, kind="stable", na_position="last")


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
    """Return what made the result: two columns, `what` and `value`, both text.

    Finished cells are kept from one call to the next: where they were not all made alike, it says how many cells each
    value is of. Results of older versions know the source of each cell only; the rest is that of the last call.
    """
    made = [_made(result, cell) for cell in result["cells"] if cell["status"] == DONE] or [result["provenance"]]
    commits = [one.get("commit") for one in made]
    dates = sorted({one["date"] for one in made if one.get("date")})
    devices = sorted({one["machine"]["device"] for one in made if (one.get("machine") or {}).get("device")})
    rows = {
        "run": f"{result['name']}" + (f", profile {result['profile']}" if result.get("profile") else ""),
        "date": " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]])),
        "duration": _duration(result, alike=len(set(commits)) == 1),
        "machine": _agreed(_machine(one.get("machine") or {}) for one in made),
        "networks on": ", ".join(devices),
        "cryokit": _agreed(one.get("cryokit") for one in made),
        "commit": _agreed(commits, "states of the source"),
        "Python": _agreed(one.get("python") for one in made),
        "backend": _agreed(one.get("backend") for one in made),
        "packages": _agreed(
            ", ".join(f"{name} {version}" for name, version in (one.get("packages") or {}).items()) for one in made
        ),
        "seeds": ", ".join(map(str, sorted({cell["seed"] for cell in result["cells"]}))),
        "cells": _count_status(result),
        "not run": "; ".join(not_run(result)),
    }
    if any(commit and commit.endswith("+") for commit in commits):
        rows["commit"] += " (+: with changes that were not committed)"
    if len(set(commits)) > 1 and not all(cell.get("provenance") for cell in result["cells"] if cell["status"] == DONE):
        rows["date"] += " (of the last call, as is what follows but for the commit)"
    return pd.DataFrame([(what, str(value)) for what, value in rows.items() if value], columns=["what", "value"])


def measured_on(result: Result) -> str:
    """Return how the seconds and the memory were measured, as far as the result knows: a sentence."""
    made = [cell.get("provenance") for cell in result["cells"] if cell["status"] == DONE]
    memory = "the memory is that of the cell's own process"
    if not all(made):  # by an older version
        where = "On machines that this result does not name cell by cell"
        memory = "less memory than the run's own process held shows as that one's"
    else:
        number = len({_machine(one.get("machine") or {}) for one in made})
        where = "On the machine named above" if number == 1 else f"On {number} machines (above), not to be compared"
    return f"{where}, by the wall's clock; {memory}."


def not_run(result: Result) -> list[str]:
    """Return what the run's configuration has and this result has not, each a part of a sentence in Markdown.

    Returns
    -------
    list of str
        Methods, datasets, whole sweeps, points of sweeps, methods on single datasets, seeds. Empty where all was run,
        and where the configuration is of a version that this one cannot read.
    """
    from cryokit.benchmark import configuration as config

    try:
        wanted = config.parse(result.get("config"))
    except CryokitError:
        return []
    ran = {(cell["method"], cell["dataset"]) for cell in result["cells"]}
    methods, datasets = ({pair[place] for pair in ran} for place in (0, 1))
    rows = {row.name: row for spec in wanted.datasets for row in wanted.rows(spec)}
    # A dataset counts as run where the one was that takes its place.
    names = [{each.name for each in spec.choices()} for spec in wanted.datasets]
    lacking = [spec for spec, known in zip(wanted.datasets, names, strict=True) if not known & datasets]
    whole = {axis for spec in wanted.datasets for axis in spec.axes}
    whole -= {axis for spec in wanted.datasets if spec not in lacking for axis in spec.axes}
    single = [
        f"{_italic(row.title or row.name)} on {spec.title or spec.name}"
        for spec, known in zip(wanted.datasets, names, strict=True)
        for row in wanted.rows(spec)
        if known & datasets and row.name in methods and not any((row.name, name) in ran for name in known)
    ]
    told = {
        "method": [_italic(row.title or name) for name, row in rows.items() if name not in methods],
        "dataset": [_italic(spec.title or spec.name) for spec in lacking if not spec.axes],
        "sweep": list(dict.fromkeys(axis for spec in lacking for axis in spec.axes if axis in whole)),
        "point": [f"{axis} {value:g}" for spec in lacking for axis, value in spec.axes.items() if axis not in whole],
    }
    said = [f"{kind}{'s' * (len(found) > 1)}: {', '.join(found)}" for kind, found in told.items() if found]
    seeds = len({cell["seed"] for cell in result["cells"]})
    return [*said, *single, *([f"{wanted.seeds - seeds} of {wanted.seeds} seeds"] if seeds < wanted.seeds else [])]


def heading(result: Result) -> str:
    """Return what a result is called where it is told: its title, as far as it was run, and its profile."""
    lacking, name = not_run(result), result["title"]
    if lacking and not dataset_names(result):  # a title of sweeps names those that there might have been
        name = "Methods against " + ", ".join(dict.fromkeys(sweep(result)["axis"]))
    profile = [f"profile {result['profile']}"] if result.get("profile") else []
    return ", ".join([name, *profile, *(["in part"] if lacking else [])])


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
        table["labels"] = yes_no(table["labels"])
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


def learns(result: Result, method: str) -> bool | None:
    """Return whether a method was given labels to learn from; None for picks as given, of which nobody here knows."""
    return None if given(result, method) else result["methods"][method]["labels"]


def given(result: Result, method: str) -> bool:
    """Return whether a row is of picks that somebody else has made."""
    return result["methods"][method].get("picker") is None


def yes_no(values: Iterable[bool | None]) -> list[str]:
    """Return ``yes``, ``no`` or, for None, ``?``.

    Examples
    --------
    >>> yes_no([True, False, None])
    ['yes', 'no', '?']
    """
    return ["?" if value is None else "yes" if value else "no" for value in values]


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


def _made(result: Result, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a cell; of results that have none for each cell, that of the last call."""
    commit = {"commit": cell["commit"]} if cell.get("commit") else {}
    return {**result["provenance"], **commit, **(cell.get("provenance") or {})}


def _agreed(values: Iterable[str | None], many: str = "") -> str:
    """Say the value that all cells have, or how many have which; `many` is what to call several of them."""
    found = Counter(value or "" for value in values)
    if len(found) == 1:
        return next(iter(found))
    told = ", ".join(f"{value or 'unknown'} ({plural(number, 'cell')})" for value, number in found.most_common())
    return f"{len(found)} {many}: {told}" if many else told


def _duration(result: Result, *, alike: bool) -> str:
    """Say how long the cells took. An older version has the seconds of the last call: theirs, if it made them all."""
    walls = [cell["wall"] for cell in result["cells"] if cell.get("wall") is not None]
    seconds = sum(walls) if walls else (result["provenance"].get("seconds") or 0) if alike else 0
    number = sum(cell["status"] != "skipped" for cell in result["cells"])
    part = f" ({len(walls)} of {number} cells)" if 0 < len(walls) < number else ""
    return f"{seconds / 60:.1f} min{part}" if seconds >= 6 else ""


def _machine(machine: Mapping[str, Any]) -> str:
    """Say what a machine is; not what its networks ran on, since not every cell has a network."""
    words = [machine.get("system"), machine.get("processor")]
    if machine.get("cores"):
        words.append(plural(machine["cores"], "core"))
    if machine.get("memory_gb"):
        words.append(f"{machine['memory_gb']:g} GB")
    return ", ".join(str(word) for word in words if word)


def _italic(words: str) -> str:
    return f"*{words}*"


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _ends(interval: Any) -> tuple[float, float]:
    low, high = interval or (None, None)
    return _number(low), _number(high)
