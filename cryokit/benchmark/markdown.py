"""The repository's ``RESULTS.md``: generated from committed results, so that it says what they say and nothing else.

The same results give the same bytes. `check` says whether a file is what would be generated; a test and the make target
use it.
"""

from __future__ import annotations

import difflib
import json
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.wording import plural
from cryokit.benchmark import reported, summary, verdict
from cryokit.benchmark.summary import Result

PATCHES = Path("patches") / "table3.json"  # in the folder of the results
LONGEST = 300  # characters of an error message

_READING = """\
Every method of a dataset got the same micrographs: fitted on those for training, its threshold chosen on those for
validation, scored on those for testing, by micrograph. A pick is true when its centre lies within 0.25 diameters of a
particle's, one pick for one particle, as many pairs as possible.

- **labels** says what `fit` was given; "?" are somebody's picks, of which that is not known. All methods are told the
  diameter, and all thresholds are chosen with the labels of the validation micrographs, where there are any: "without
  labels" is about training. **Own F1** is at the threshold that the method chose by itself, without these labels;
  methods with labels that would hold out some of their micrographs for it learn from all of them here, and have none.
- **F1** and the other scores are pooled over the test micrographs, and means over the seeds where there are several;
  **SD** is their standard deviation over the seeds. The **95 % interval** is a bootstrap over micrographs: it knows of
  other micrographs of the same kind, not of other proteins.
- **accuracy** is TP / (TP + FP + FN). **AP** is the average precision, **ceiling** the recall of all picks at any
  threshold. **Best F1** is at the threshold that is best on the test micrographs themselves: no method may use it, it
  shows what the choice of the threshold costs. Methods whose F1 is nearer than 0.0005 share their place.
- **p** is of a paired permutation test over micrographs, two-sided, of the difference in F1. Two methods count as
  distinguishable when p is below 0.05 and the bootstrap interval of the difference leaves out 0. No correction is made
  for the number of comparisons. n micrographs cannot give a p below 2 / 2^n: 0.25 for 3, 0.06 for 5.
- Columns marked **(reported)** are the paper's numbers. They were not measured here, and not on these micrographs."""


def results_markdown(results: Sequence[Result]) -> str:
    """Return the whole document.

    Parameters
    ----------
    results : sequence of mapping
        As `cryokit.benchmark.results.load` returns them; they are told in the order of their names.

    Returns
    -------
    str
    """
    results = sorted(results, key=lambda result: (result["name"], str(result["provenance"].get("date"))))
    parts = [
        "# Results of the comparison",
        "Generated from the files in `results/` by `make results`; changes by hand are lost.",
        "## In short",
        *(_in_short(result) for result in results),
        "## How to read this",
        _READING,
        *(part for result in results for part in _sections(result)),
        *_paper(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def patches_markdown(measured: Mapping[str, Any]) -> str:
    """Return the section of the paper's table 3: what ``benchmarks/table3.py`` measured, beside what is reported.

    Parameters
    ----------
    measured : mapping
        The file that the script wrote.
    """
    shown = pd.DataFrame(measured["rows"])
    reported_rows = reported.table(3)
    rows = []
    for row in shown.to_dict("records"):
        same = reported_rows[reported_rows["setting"] == row["setting"]]
        exact = same[same["epochs"] == row["epochs"]]
        # Where the paper has other numbers of epochs only, those of its first.
        told = exact if len(exact) else same[:1]
        rows.append(
            {
                "classes": row["setting"],
                "micrographs": row["data"],
                "training": row["preset"],
                "epochs": row["epochs"],
                "accuracy, test": row["test"],
                "training set": row["train"],
                "accuracy (reported)": float(told["patch_accuracy"].iloc[0]),
                "epochs (reported)": int(told["epochs"].iloc[0]),
            }
        )
    settings = measured["settings"]
    return "\n\n".join(
        [
            "## Accuracy of patches, the paper's table 3",
            "By `benchmarks/table3.py`: the network of table 9 at a width of "
            f"{settings['width']:g}, {settings['per_class']} patches of each class, those of the test from other "
            "micrographs than those of training. The paper's come from the same micrographs.",
            table(pd.DataFrame(rows), digits=4),
        ]
    )


def results_files(folder: str | os.PathLike) -> list[Path]:
    """Return the result files of a folder, sorted; none when there is no such folder."""
    return sorted(Path(folder).glob("*.json"))


def write_results(folder: str | os.PathLike, file: str | os.PathLike) -> Path:
    """Write `file` from the results in `folder`, and return its path."""
    write_text(file, _generated(folder))
    return Path(file)


def check(folder: str | os.PathLike, file: str | os.PathLike) -> str:
    """Say whether `file` is what would be generated from the results in `folder`.

    Returns
    -------
    str
        Empty when it is; else the first lines that differ.
    """
    file = Path(file)
    there = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = difflib.unified_diff(
        *(there.splitlines(), _generated(folder).splitlines()), str(file), "generated", lineterm="", n=1
    )
    return "\n".join(line for _, line in zip(range(40), lines, strict=False))


def table(frame: pd.DataFrame, *, digits: int | Mapping[str, int] = 3, align: str | None = None) -> str:
    r"""Return a table in Markdown.

    Parameters
    ----------
    frame : pandas.DataFrame
        The names of its columns become the heading.
    digits : int or mapping of str to int
        Decimals of numbers that are not whole; by column, 3 where it is not said.
    align : str, optional
        A letter ``l`` or ``r`` for each column; by default text is left and numbers are right.

    Examples
    --------
    >>> print(table(pd.DataFrame({"a": ["x|y", "z"], "b": [0.5, float("nan")]})))
    | a | b |
    | :-- | --: |
    | x\|y | 0.500 |
    | z | - |
    """
    columns = []
    for name in frame.columns:
        number = digits if isinstance(digits, int) else digits.get(name, 3)
        columns.append([_cell(value, number) for value in frame[name].tolist()])
    align = align or "".join("r" if pd.api.types.is_numeric_dtype(frame[name]) else "l" for name in frame.columns)
    lines = ["| " + " | ".join(_cell(name, 0) for name in frame.columns) + " |"]
    lines.append("| " + " | ".join("--:" if side == "r" else ":--" for side in align) + " |")
    lines += ["| " + " | ".join(row) + " |" for row in zip(*columns, strict=True)]
    return "\n".join(lines)


def _generated(folder: str | os.PathLike) -> str:
    from cryokit.benchmark.results import load

    text = results_markdown([load(path) for path in results_files(folder)])
    patches = Path(folder) / PATCHES
    return text + ("\n" + patches_markdown(json.loads(patches.read_text())) + "\n" if patches.is_file() else "")


def _in_short(result: Result) -> str:
    parts = [f"### {summary.heading(result)}", " ".join(verdict.run(result))]
    told = {result["datasets"][name]["title"]: verdict.dataset(result, name) for name in summary.dataset_names(result)}
    told["Sweeps"] = verdict.sweep(result)
    lines = []
    for title, sentences in told.items():
        if sentences:
            lines += [f"- **{title}**", *(f"  - {sentence}" for sentence in sentences)]
    return "\n\n".join(part for part in [*parts, "\n".join(lines)] if part)


def _sections(result: Result) -> Iterable[str]:
    yield f"## {summary.heading(result)}"
    yield result.get("note") or ""
    yield table(summary.provenance(result), align="ll")
    yield "### Datasets"
    yield _datasets(result)
    for name in summary.dataset_names(result):
        yield f"### {result['datasets'][name]['title']}"
        yield from _dataset(result, name)
    yield from _class_settings(result)
    yield from _sweeps(result)
    yield from _times(result)
    yield from _failures(result)


def _datasets(result: Result) -> str:
    frame = summary.datasets(result)
    # The points of a sweep differ in one number, which their tables have.
    frame = frame[frame["dataset"].isin(summary.dataset_names(result))] if summary.dataset_names(result) else frame
    shown = pd.DataFrame({"dataset": frame["title"], "kind": frame["kind"], "diameter, px": frame["diameter"]})
    for split, word in {"train": "train", "validation": "validation", "test": "test"}.items():
        counts = zip(frame[f"{split}_micrographs"], frame[f"{split}_particles"], strict=True)
        shown[f"{word}: micrographs (particles)"] = [f"{number} ({particles})" for number, particles in counts]
    shown["views of the test"] = frame["views"]
    shown["note"] = frame["note"]
    return table(shown, digits=1, align="llrrrrll")


def _dataset(result: Result, name: str) -> Iterable[str]:
    frame = summary.scores(result, name)
    scored = frame[frame["seeds"] > 0]
    if len(scored):
        shown = pd.DataFrame(
            {"method": scored["title"], "labels": summary.yes_no(scored["labels"]), "F1": scored["f1"]}
        )
        shown["95 % interval"] = _intervals(scored["f1_low"], scored["f1_high"])
        if (scored["seeds"] > 1).any():
            shown["SD"] = scored["f1_spread"]
        for column, word in {
            **{"precision": "precision", "recall": "recall", "accuracy": "accuracy", "average_precision": "AP"},
            **{"recall_ceiling": "ceiling", "best_f1": "best F1", "own_f1": "own F1"},
        }.items():
            shown[word] = scored[column]
        yield table(shown, align="ll" + "r" * (shown.shape[1] - 2))
    else:
        yield "No method has scores on this dataset."
    yield _views(result, name)
    yield _beside(result, name)
    yield from _paired(result, name)


def _views(result: Result, name: str) -> str:
    frame = summary.views(result, name)
    if not len(frame):
        return ""
    triples = [" / ".join(f"{value:.3f}" for value in row) for row in frame[["precision", "recall", "f1"]].to_numpy()]
    wide = frame.assign(told=triples).pivot_table(index="method", columns="view", values="told", aggfunc="first")
    # This sorts: back to the order of the methods, and the average last.
    wide = wide.loc[frame["method"].drop_duplicates(), frame["view"].drop_duplicates()]
    averages = frame[frame["view"] == reported.AVERAGE].set_index("method")
    shown = wide.assign(**{"AP, average": averages["average_precision"], "view named right": averages["named_right"]})
    shown = shown.reset_index()
    shown["method"] = [summary.title(result, name) for name in shown["method"]]
    align = "l" + "r" * (shown.shape[1] - 1)
    words = f"By view, and averages over the views: precision / recall / F1. {summary.views_rule(result, name)}"
    return f"{words}\n\n{table(shown, align=align)}"


def _beside(result: Result, name: str) -> str:
    frame = summary.beside_reported(result, name)
    if not len(frame):
        return ""
    return "Measured, and reported in the paper's table 7:\n\n" + table(_flat(frame))


def _class_settings(result: Result) -> Iterable[str]:
    frame = summary.class_settings(result)
    if len(frame):
        number = plural(int(frame["measured", "datasets"].iloc[0]), "dataset")
        yield "### DeepCryoPicker's classes"
        yield (
            f"Pooled over {number} where all settings have scores; reported is the paper's table 5, which is of all "
            "its datasets together:"
        )
        yield table(_flat(frame.drop(columns=[("measured", "datasets")])))


def _paired(result: Result, name: str) -> Iterable[str]:
    """Tell the first against all others, and every row of given picks."""
    frame = summary.scores(result, name)
    scored = frame.loc[frame["seeds"] > 0, "method"].tolist()
    if len(scored) < 2:
        return
    given = [method for method in scored[1:] if summary.given(result, method)]
    for method in (scored[0], *given):
        against = summary.against(result, name, method)
        number = plural(int(against["micrographs"].iloc[0]), "micrograph")
        column = "ahead by" if method in given else "behind by"
        shown = pd.DataFrame({"method": against["title"], column: against["difference"]})
        if column == "ahead by":
            yield f"*{summary.title(result, method)}* (picks as given), paired with each; negative is behind:"
        else:
            few = verdict.few(int(against["micrographs"].iloc[0]))
            words = f"Paired with *{summary.title(result, method)}*, F1 {frame['f1'].iloc[0]:.3f}, on {number}"
            yield f"{words}. {few}".strip()
        shown["95 % interval"] = _intervals(against["low"], against["high"])
        shown["p"] = [verdict.probability(p).removeprefix("p ").removeprefix("= ") for p in against["p"]]
        shown["distinguishable"] = summary.yes_no(against["distinguishable"])
        yield table(shown, align="lrrrl")


def _sweeps(result: Result) -> Iterable[str]:
    frame = summary.sweep(result)
    if not len(frame):
        return
    yield "### Sweeps"
    for (axis, protein), part in frame.groupby(["axis", "protein"], sort=False):
        counts = {len(result["datasets"][name]["micrographs"]["test"]) for name in part["dataset"]}
        number = plural(max(counts), "micrograph")
        for column, word in {"f1": "F1", "average_precision": "Average precision"}.items():
            wide = summary.sweep_table(part, column)
            wide.columns = [value if value == "mean" else f"{value:g}" for value in wide.columns]
            shown = wide.reset_index()
            shown.insert(1, "labels", summary.yes_no(summary.learns(result, name) for name in shown["method"]))
            shown["method"] = [summary.title(result, name) for name in shown["method"]]
            yield f"{word} against {axis}, {protein} ({number} at each point):"
            yield table(shown, align="ll" + "r" * (shown.shape[1] - 2))


def _times(result: Result) -> Iterable[str]:
    names = summary.dataset_names(result)
    parts = [summary.scores(result, name).assign(dataset=result["datasets"][name]["title"]) for name in names]
    if not parts:
        return
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[frame["seeds"] > 0].sort_values(["dataset", "pick"], kind="stable", na_position="last")
    shown = frame[["dataset", "title", "fit", "pick", "memory"]].set_axis(
        ["dataset", "method", "fit, s", "pick, s per micrograph", "peak memory, MB"], axis="columns"
    )
    yield "### Time and memory"
    yield summary.measured_on(result)
    yield table(shown, digits={"fit, s": 1, "pick, s per micrograph": 2, "peak memory, MB": 0}, align="llrrr")
    told = summary.times_beside_reported(result)
    if len(told):
        told = told.assign(dataset=[result["datasets"][name]["title"] for name in told["dataset"]])
        told.columns = ["dataset", "method", "measured, s", "CPU, s (reported)", "GPU, s (reported)"]
        yield "Seconds for a micrograph beside the paper's table 8, which is of other machines and other micrographs:"
        yield table(told, digits={"measured, s": 2, "CPU, s (reported)": 0, "GPU, s (reported)": 0})


def _failures(result: Result) -> Iterable[str]:
    yield "### Failures"
    frame = summary.failures(result)
    if not len(frame):
        yield "Every cell came to its end."
        return
    grouped = frame.groupby(["dataset", "method", "status", "error"], sort=False)["seed"]
    seeds = grouped.agg(lambda values: ", ".join(map(str, values))).reset_index()
    seeds["method"] = [summary.title(result, name) for name in seeds["method"]]
    seeds["dataset"] = [result["datasets"][name]["title"] for name in seeds["dataset"]]
    seeds["error"] = [textwrap.shorten(error, LONGEST) for error in seeds["error"]]
    shown = seeds[["dataset", "method", "seed", "status", "error"]].set_axis(
        ["dataset", "method", "seeds", "what", "why"], axis="columns"
    )
    yield table(shown, align="lllll")


def _paper() -> Iterable[str]:
    yield "## What the paper reports"
    yield reported.source()
    yield "\n".join(f"- *{name}*: {text.strip()}" for name, text in reported.definitions().items())
    for number, name in reported.tables().items():
        yield f"Table {number}. {name} (reported):"
        frame = reported.table(number)
        yield table(frame, digits={"cpu": 1, "gpu": 1, "accuracy": 4, "patch_accuracy": 4})
        yield "\n".join(f"- {note}" for note in reported.notes(number))


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn two levels of columns into one: ``F1``, ``F1 (reported)``."""
    words = {"f1": "F1"}
    names = [
        words.get(low, low) + (" (reported)" if high == "reported" else "") if low else high for high, low in frame
    ]
    return frame.set_axis(names, axis="columns")


def _intervals(low: Iterable[float], high: Iterable[float]) -> list[str]:
    return ["-" if np.isnan(start) else f"{start:.3f} to {end:.3f}" for start, end in zip(low, high, strict=True)]


def _cell(value: object, digits: int) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return " ".join(str(value).split()).replace("|", "\\|")
