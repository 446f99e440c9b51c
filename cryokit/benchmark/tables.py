"""Tables of a result as they are shown: alike in ``RESULTS.md``, in the report and on the command line.

The functions return tables whose column names are headings. `DIGITS` says how many decimals a column has.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from cryokit._util.wording import plural
from cryokit.benchmark import reported, summary, verdict
from cryokit.benchmark.summary import Result
from cryokit.evaluate.metrics import rates
from cryokit.evaluate.paired import COUNTS

DIGITS = {
    "diameter, px": 1,
    "dx, %": 1,
    "dy, %": 1,
    "RMS, %": 1,
    "fit, s": 1,
    "pick, s": 2,
    "peak memory, MB": 0,
    "measured, s": 2,
    "CPU, s (reported)": 0,
    "GPU, s (reported)": 0,
}
DEFAULT_DIGITS = 3
QUANTITIES = {"f1": "F1", "average_precision": "average precision"}  # of a sweep
VIEWS_RULE = (
    "Recall is over the particles of the view; picks on particles of other views are not counted, and false picks "
    "count in every view, for all methods alike. *View named right* is the share of the true picks that name their "
    "particle's view, if a method names views."
)
NOT_COMPARED = (
    "The paper's numbers are of other micrographs, machines and labels; columns marked *(reported)* were not measured "
    "here, and no test compares them with those that were.",
    "It does not say how near to a particle a pick has to be. Its accuracy needs true negatives, which picks do not "
    "have; the measured one is TP / (TP + FP + FN).",
    "Table 3, the accuracy of patches, is measured by `benchmarks/table3.py`. Of the curves in figures 4 and 6 and the "
    "pictures in figure 5 it gives no numbers.",
)
_SCORES = {
    "wide_f1": "F1 at 0.5",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "average_precision": "AP",
    "recall_ceiling": "ceiling",
    "best_f1": "best F1",
    "own_f1": "own F1",
    "threshold_by": "threshold by",
}
RANKINGS = {False: "without labels", True: "with labels"}
MEAN = "mean"  # column of the overview
SHIFTS = {"dx_share": "dx, %", "dy_share": "dy, %", "rms_share": "RMS, %"}
_IN_PAPER = {"precision": "precision", "recall": "recall", "f1": "F1", "accuracy": "accuracy"}


def in_short(result: Result) -> dict[str, list[str]]:
    """Return sentences on each dataset and on the sweeps, by title; titles without sentences are left out."""
    sentences = {
        result["datasets"][name]["title"]: verdict.dataset(result, name) for name in summary.dataset_names(result)
    }
    sentences["Sweeps"] = verdict.sweep(result)
    return {title: lines for title, lines in sentences.items() if lines}


def overview(result: Result, *, labels: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return one of the two rankings as one table, methods by datasets.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    labels : bool
        Which ranking (`cryokit.benchmark.summary.standing`).

    Returns
    -------
    shown : pandas.DataFrame
        `method` (title), and a column for each dataset that is no point of a sweep, under its title, and their mean if
        there are several: F1, its 95 % interval, and the letters of the method; a dash without scores. The best on
        average first; methods without scores on a dataset come last.
    best : pandas.DataFrame
        Of the same shape: which cells are those of the first of their column, and of methods that are not
        distinguishable from it. Empty (all False) where there are too few micrographs to say.
    """
    names = summary.dataset_names(result)
    columns = {name: result["datasets"][name]["title"] for name in names}
    standings = {name: summary.standing(result, name, labels=labels).set_index("method") for name in names}
    if len(names) > 1:
        columns[MEAN] = MEAN
        standings[MEAN] = summary.standing(result, None, labels=labels).set_index("method")
    methods = list(dict.fromkeys(method for standing in reversed(standings.values()) for method in standing.index))
    shown = pd.DataFrame({"method": [summary.title(result, method) for method in methods]}, dtype=object)
    best = pd.DataFrame({"method": [False] * len(methods)}, dtype=bool)
    for name, title in columns.items():
        standing = standings[name]
        place = title
        while place in shown:  # two datasets of the same title
            place += " "
        shown[place] = [_cell(standing.loc[method]) if method in standing.index else "-" for method in methods]
        best[place] = [method in standing.index and bool(standing["best"][method]) for method in methods]
    return shown, best


def marks(result: Result) -> str:
    """Return what letters and bold type of the overview mean, and on which datasets they cannot be given."""
    names = summary.dataset_names(result)
    few = [name for name in names if not summary.comparisons(result, name)["testable"].any()]
    together = len(names) > 1 and summary.comparisons(result, None)["testable"].any()
    words = (
        "Bold: the first, and methods that cannot be told apart from it. Methods that share a letter cannot be told "
        "apart (paired permutation tests over micrographs, p corrected for all pairs)."
    )
    if len(few) == len(names) and together:
        words += " On a single dataset there are too few micrographs to mark any; over all together there are enough."
    elif len(few) == len(names):
        words = "There are too few test micrographs to tell any two of so many methods apart, so none is marked."
    elif few:
        listed = ", ".join(result["datasets"][name]["title"] for name in few)
        words += f" Too few micrographs to mark any: {listed}."
    return words


def _cell(row: pd.Series) -> str:
    interval = "" if np.isnan(row["f1_low"]) else f" ({row['f1_low']:.3f}-{row['f1_high']:.3f})"
    return f"{row['f1']:.3f}{interval} {row['letters']}".rstrip()


def datasets(result: Result) -> pd.DataFrame:
    """Return the datasets and their numbers of micrographs and particles; without the points of sweeps, if possible."""
    rows = []
    for name in summary.dataset_names(result) or result["datasets"]:
        dataset = result["datasets"][name]
        row = {"dataset": dataset["title"], "kind": dataset["kind"], "protein": dataset["protein"]}
        row["diameter, px"] = dataset["diameter"]
        for split, micrographs in dataset["micrographs"].items():
            row[f"{split}: micrographs (particles)"] = f"{len(micrographs)} ({dataset['particles'][split]})"
        row["views of the test"] = ", ".join(f"{number} {view}" for view, number in dataset["views"].items())
        rows.append({**row, "note": dataset["note"]})
    return pd.DataFrame(rows)


def scores(result: Result, dataset: str) -> pd.DataFrame:
    """Return the scores of the methods that have some on a dataset."""
    table = summary.scored(result, dataset)
    table["interval"] = _intervals(zip(table["f1_low"], table["f1_high"], strict=True))
    table[list(SHIFTS)] *= 100
    spread = {"f1_spread": "SD"} if (table["seeds"] > 1).any() else {}
    return _shown(table, {"f1": "F1", "interval": "95 % interval", **spread, **_SCORES, **SHIFTS})


def views(result: Result, dataset: str) -> pd.DataFrame:
    """Return the scores of each view and their average; empty if there are no views."""
    columns = {"view": "view", "precision": "precision", "recall": "recall", "f1": "F1", "average_precision": "AP"}
    return _shown(summary.views(result, dataset), {**columns, "named_right": "view named right"})


def views_side_by_side(result: Result, dataset: str) -> pd.DataFrame:
    """Return F1 of each view and their average, and the share of views named right, one row per method."""
    table = summary.views(result, dataset)
    wide = table.pivot_table(index="method", columns="view", values="f1", sort=False)
    wide = wide[list(table["view"].drop_duplicates())].rename(columns=lambda view: f"F1, {view}")
    named = table.groupby("method", sort=False)["named_right"].first()
    methods = list(wide.index)
    wide = wide.assign(**{"view named right": named}).reset_index(drop=True)
    wide.insert(0, "labels", summary.yes_no(summary.learns(result, method) for method in methods))
    wide.insert(0, "method", [summary.title(result, method) for method in methods])
    return wide


def beside_reported(result: Result, dataset: str) -> pd.DataFrame:
    """Return measured scores beside those that the paper reports for the same method and protein (its table 7).

    Returns
    -------
    pandas.DataFrame
        For each method that the paper reports, one row per measured view and one of their average; if views were not
        told apart, one row (view ``all``) beside the paper's average. Accuracy is another quantity in the two
        (`cryokit.benchmark.reported.definitions`). Empty if the paper reports nothing.
    """
    by_view = summary.views(result, dataset)
    protein = result["datasets"][dataset]["protein"]
    rows = []
    for row in summary.scored(result, dataset).to_dict("records"):
        paper = reported.row(result["methods"][row["method"]], protein_name=protein)
        if "f1" not in paper:
            continue
        views = by_view[by_view["method"] == row["method"]].to_dict("records") or [{**row, "view": "all"}]
        for values in views:
            whole = values["view"] in ("all", reported.AVERAGE)
            printed = paper if whole else paper["views"].get(values["view"], {})
            rows.append({"method": row["title"], "view": values["view"], **_beside(values, printed)})
    return pd.DataFrame(rows, columns=["method", "view", *_beside({}, {})])


def beside_the_paper(result: Result) -> dict[str, pd.DataFrame]:
    """Return what was measured beside what the paper reports, table by table; those without measurements are left out.

    Returns
    -------
    dict of str to pandas.DataFrame
        By heading, which names the table or figure of the paper.
    """
    found: dict[str, pd.DataFrame] = {}
    names = summary.dataset_names(result)
    classes = class_settings(result)
    if len(classes):
        found["DeepCryoPicker's classes, all datasets together (table 5)"] = classes
    klh = [name for name in names if reported.protein(result["datasets"][name]["protein"] or "") == "klh"]
    sets = pd.DataFrame([row for name in klh for row in _particles(result, name)])
    for name in names:
        table = beside_reported(result, name)
        if len(table):
            found[f"{result['datasets'][name]['title']} (table 7, figures 4 and 6)"] = table
    if len(sets) and any("table 7" in heading for heading in found):
        found["Micrographs and particles of KLH (table 6)"] = sets
    times = times_beside_reported(result)
    if len(times):
        found["Seconds for a micrograph (table 8)"] = times
    unseen = [name for name in names if "never seen" in result["datasets"][name]["title"]]
    if unseen:
        parts = [summary.scored(result, name).assign(dataset=result["datasets"][name]["title"]) for name in unseen]
        table = pd.concat(parts)[["dataset", "title", "f1", "precision", "recall"]]
        found["Proteins that no network has seen (figure 5, which has no numbers)"] = table.rename(
            columns={"title": "method", "f1": "F1"}
        )
    return found


def _particles(result: Result, name: str) -> Iterator[dict[str, object]]:
    """Yield rows of the paper's table 6 beside those of a dataset."""
    dataset = result["datasets"][name]
    printed = reported.table(6).set_index("split")
    learned = {split: dataset["micrographs"][split] for split in ("train", "validation")}
    counts = {
        "train": (sum(map(len, learned.values())), sum(dataset["particles"][split] for split in learned)),
        "test": (len(dataset["micrographs"]["test"]), dataset["particles"]["test"]),
    }
    for split, (micrographs, particles) in counts.items():
        yield {
            "dataset": dataset["title"],
            "split": "training and validation" if split == "train" else split,
            "micrographs": micrographs,
            "particles": particles,
            "micrographs (reported)": int(printed["micrographs"][split]),
            "particles (reported)": int(printed["particles"][split]),
        }


def class_settings(result: Result) -> pd.DataFrame:
    """Return DeepCryoPicker's three settings of classes, pooled over the datasets, beside the paper's table 5.

    Points of sweeps, and datasets on which one of the settings has no scores, are left out, so that all settings are
    measured on the same micrographs.

    Returns
    -------
    pandas.DataFrame
        One row per setting; ``datasets`` is their number. Empty if fewer than two settings were run.
    """
    methods: dict[str, str] = {}
    for name, method in result["methods"].items():
        if method["picker"] == "deepcryopicker" and not method["labels"]:
            methods.setdefault(method["settings"].get("classes_setting", reported.SETTING), name)
    shared = [
        name
        for name in summary.dataset_names(result)
        if methods and all(summary.finished(result, name, method) for method in methods.values())
    ]
    rows = []
    for printed in reported.table(5).to_dict("records"):
        if printed["setting"] in methods and shared and len(methods) > 1:
            method = methods[printed["setting"]]
            counts = sum(summary.per_micrograph(result, name, method)[COUNTS].sum() for name in shared)
            row = {"classes": printed["setting"], "datasets": len(shared)}
            rows.append({**row, **_beside(rates(*counts), printed)})
    return pd.DataFrame(rows)


def paired(result: Result, dataset: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the paired tests of the first method on a dataset, then of every row of picks as given: words, table."""
    scored = summary.scored(result, dataset).set_index("method")
    if len(scored) < 2:
        return
    given = [method for method in scored.index[1:] if summary.given(result, method)]
    for method in (scored.index[0], *given):
        tests = summary.against(result, dataset, method).rename(columns={"difference": "ahead by"})
        testable = tests["testable"].any()
        tests["95 % interval"] = _intervals(tests["interval"])
        tests["p"] = ["< 0.001" if p < 0.001 else f"{p:.2g}" for p in tests["corrected"]]
        tests["distinguishable"] = summary.yes_no(tests["distinguishable"]) if testable else "too few"
        micrographs, number = int(tests["micrographs"].iloc[0]), len(scored) * (len(scored) - 1) // 2
        words = (
            f"*{scored['title'][method]}*, F1 {scored['f1'][method]:.3f}, paired with each other method on "
            f"{plural(micrographs, 'micrograph')}; p is corrected for {plural(number, 'comparison')}. "
            f"{verdict.few(micrographs, number)}"
        )
        columns = {name: name for name in ("ahead by", "95 % interval", "p", "distinguishable")}
        yield words.rstrip(), _shown(tests, columns)


def sweep(result: Result, points: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return the points of one sweep (rows of `summary.sweep`), one column for each value."""
    table = summary.sweep_table(points, quantity)
    table.columns = [value if value == "mean" else f"{value:g}" for value in table.columns]
    methods = list(table.index)
    table.insert(0, "labels", summary.yes_no(summary.learns(result, method) for method in methods))
    table.insert(0, "method", [summary.title(result, method) for method in methods])
    return table.reset_index(drop=True)


def times(result: Result) -> pd.DataFrame:
    """Return times and memory on each dataset that is no point of a sweep, the fastest method first."""
    columns = {"f1": "F1", "fit": "fit, s", "pick": "pick, s", "memory": "peak memory, MB"}
    parts = [pd.DataFrame(columns=["dataset", "method", "labels", *columns.values()])]
    for name in summary.dataset_names(result):
        table = summary.scored(result, name).sort_values("pick", kind="stable", na_position="last")
        shown = _shown(table, columns)
        shown.insert(0, "dataset", result["datasets"][name]["title"])
        parts.append(shown)
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def times_beside_reported(result: Result) -> pd.DataFrame:
    """Return measured seconds per micrograph beside the paper's table 8; empty if the paper reports none."""
    rows = []
    for name in summary.dataset_names(result):
        dataset = result["datasets"][name]
        for row in summary.scored(result, name).itertuples():
            paper = reported.row(result["methods"][row.method], protein_name=dataset["protein"])
            if "cpu" in paper:
                times = {"CPU, s (reported)": 60 * paper["cpu"], "GPU, s (reported)": 60 * paper["gpu"]}
                rows.append({"dataset": dataset["title"], "method": row.title, "measured, s": row.pick, **times})
    return pd.DataFrame(rows)


def failures(result: Result) -> pd.DataFrame:
    """Return what failed or was skipped, cells and then micrographs; seeds with the same reason share a row."""
    parts = [summary.failures(result), summary.micrograph_failures(result)]
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    groups = table.groupby(["dataset", "method", "status", "error"], sort=False)["seed"]
    shown = groups.agg(lambda seeds: ", ".join(f"{seed:.0f}" for seed in seeds if seed == seed)).reset_index()
    shown["method"] = [_title(result, method) for method in shown["method"]]
    shown["dataset"] = [result["datasets"][name]["title"] for name in shown["dataset"]]
    shown = shown[["dataset", "method", "seed", "status", "error"]]
    return shown.rename(columns={"seed": "seeds", "status": "what", "error": "why"})


def _title(result: Result, method: str) -> str:
    return summary.title(result, method) if method else "all methods"


def text(result: Result) -> str:
    """Return the scores on every dataset and the sentences on them as plain text, for the command line."""
    columns = ["method", "labels", "precision", "recall", "F1", "95 % interval", "AP", "own F1", *SHIFTS.values()]
    parts = []
    lost = summary.micrograph_failures(result).drop_duplicates(["dataset", "method", "error"])
    for name, dataset in result["datasets"].items():
        micrographs = plural(len(dataset["micrographs"]["test"]), "micrograph")
        lines = [f"{dataset['title']}: {micrographs}, {plural(dataset['particles']['test'], 'particle')}"]
        table = summary.scores(result, name)
        shown = scores(result, name)[columns].assign(**{"pick, s": table["pick"]})
        if len(shown):
            lines.append(formatted(shown).to_string(index=False))
        lines += [f"{row.title}: {row.status}: {row.error}" for row in table[table["error"] != ""].itertuples()]
        failed = lost[lost["dataset"] == name]
        lines += [f"{_title(result, row.method)}: {row.status}: {row.error}" for row in failed.itertuples()]
        parts.append("\n".join(lines))
    for heading, sentences in {**in_short(result), "Whole run": verdict.run(result)}.items():
        if sentences:
            parts.append("\n".join([f"{heading}:", *(f"  {sentence.replace('*', '')}" for sentence in sentences)]))
    return "\n\n".join(parts) + "\n"


def changes(table: pd.DataFrame) -> str:
    """Return a comparison of two results (`cryokit.benchmark.changes.changes`) as text, the largest falls first."""
    order = table.sort_values("difference", kind="stable", na_position="first")
    shown = order[["dataset", "method", "old", "new", "difference"]].copy()
    shown["95 % interval"] = _intervals(zip(order["low"], order["high"], strict=True))
    shown["p"] = ["-" if pd.isna(p) else "< 0.001" if p < 0.001 else f"{p:.2g}" for p in order["p"]]
    shown["change"] = order["change"]
    return formatted(shown).to_string(index=False)


def formatted(table: pd.DataFrame, digits: Mapping[str, int] = DIGITS) -> pd.DataFrame:
    """Return a table as text: numbers with the decimals of their column (3 by default), missing values as a dash.

    Examples
    --------
    >>> formatted(pd.DataFrame({"F1": [0.5, np.nan], "dx, %": [1.26, None]})).to_numpy().tolist()
    [['0.500', '1.3'], ['-', '-']]
    """

    def text_of(value: object, decimals: int) -> str:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return "-"
        # Adding 0 turns a negative zero into a positive one.
        return f"{round(value, decimals) + 0.0:.{decimals}f}" if isinstance(value, float) else str(value)

    return pd.DataFrame(
        {name: [text_of(value, digits.get(name, DEFAULT_DIGITS)) for value in table[name].tolist()] for name in table}
    )


def _shown(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the titles of methods, whether they learned from labels, and further columns under their headings."""
    columns = {"title": "method", "labels": "labels", **columns}
    return table[list(columns)].rename(columns=columns).assign(labels=summary.yes_no(table["labels"]))


def _beside(measured: Mapping[str, float], printed: Mapping[str, float]) -> dict[str, float]:
    """Return measured quantities, then the paper's; NaN for what is not there."""
    values = {heading: float(measured.get(name, np.nan)) for name, heading in _IN_PAPER.items()}
    return values | {f"{heading} (reported)": printed.get(name, np.nan) for name, heading in _IN_PAPER.items()}


def _intervals(ends: Iterable[tuple[float, float]]) -> list[str]:
    return ["-" if np.isnan(low) else f"{low:.3f} to {high:.3f}" for low, high in ends]
