"""Write the repository's ``RESULTS.md`` from the results in a folder; `make results` does so.

    python benchmarks/results_markdown.py [FOLDER] [FILE]

The same results give the same bytes; `check` compares a file with what would be generated.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.wording import plural
from cryokit.benchmark import reported, result_file, summary, tables, verdict
from cryokit.benchmark.summary import Result

HERE = Path(__file__).resolve().parent
PATCHES = Path("patches") / "table3.json"  # in the folder of the results
LONGEST = 300  # characters of an error message

_READING = """\
Every method of a dataset got the same micrographs: fitted on the training micrographs, its threshold chosen on the
validation micrographs, scored on the test micrographs. A pick is true if its centre lies within 0.25 diameters of a
particle's; matching is one to one, with as many pairs as possible.

- **labels** says whether `fit` was given labels; "?" marks picks as given, for which it is not known. All methods are
  given the diameter, and all thresholds are chosen with the labels of the validation micrographs, if there are any:
  "without labels" refers to training. **Own F1** is at the threshold that the method chose by itself, without these
  labels; methods that hold out labelled micrographs for it learn from all of them here, and have none.
- **F1** and the other scores are pooled over the test micrographs, and are means over the seeds if there are several;
  **SD** is their standard deviation over the seeds. The **95 % interval** is a bootstrap over micrographs: it covers
  other micrographs of the same kind, not other proteins.
- **accuracy** is TP / (TP + FP + FN), **AP** the average precision, **ceiling** the recall of all picks at any
  threshold. **Best F1** is at the threshold that is best on the test micrographs themselves: no method may use it, but
  it shows what the choice of the threshold costs. Methods whose F1 differs by less than 0.0005 share a rank.
- **dx**, **dy** and **RMS** are the mean shift of the true picks against their labels (positive: to the right, down)
  and their root mean square distance, in % of the diameter; a dash stands in results from before these were measured.
- **p** is of a two-sided paired permutation test of the difference in F1 over micrographs. Two methods count as
  distinguishable if p is below 0.05 and the bootstrap interval of the difference excludes 0. There is no correction for
  the number of comparisons. With n micrographs p is at least 2 / 2^n: 0.25 for 3, 0.06 for 5.
- Columns marked **(reported)** are the paper's numbers. They were not measured here, nor on these micrographs."""


def results_markdown(results: Sequence[Result]) -> str:
    """Return the whole document.

    Parameters
    ----------
    results : sequence of mapping
        Results as `cryokit.benchmark.result_file.load` returns them; the document has them in the order of their names.
    """
    results = sorted(results, key=lambda result: (result["name"], result["provenance"]["date"]))
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
    """Return the section on the paper's table 3: what ``benchmarks/table3.py`` measured beside what is reported.

    Parameters
    ----------
    measured : mapping
        Content of the file that the script wrote.
    """
    printed = reported.table(3)
    rows = []
    for row in measured["rows"]:
        same = printed[printed["setting"] == row["setting"]]
        exact = same[same["epochs"] == row["epochs"]]
        # If the paper has other numbers of epochs only, its first.
        paper = (exact if len(exact) else same).iloc[0]
        rows.append(
            {
                "classes": row["setting"],
                "micrographs": row["data"],
                "training": row["preset"],
                "epochs": row["epochs"],
                "accuracy, test": row["test"],
                "training set": row["train"],
                "accuracy (reported)": float(paper["patch_accuracy"]),
                "epochs (reported)": int(paper["epochs"]),
            }
        )
    settings = measured["settings"]
    accuracies = ("accuracy, test", "training set", "accuracy (reported)")
    return "\n\n".join(
        [
            "## Accuracy of patches, the paper's table 3",
            f"By `benchmarks/table3.py`: the network of table 9 at a width of {settings['width']:g}, "
            f"{settings['per_class']} patches of each class. Test patches come from other micrographs than those of "
            "training; the paper's come from the same.",
            table(pd.DataFrame(rows), dict.fromkeys(accuracies, 4)),
        ]
    )


def check(folder: str | os.PathLike, file: str | os.PathLike) -> str:
    """Compare a file with what would be generated from the results in a folder.

    Returns
    -------
    str
        The first lines that differ; empty if none does.
    """
    file = Path(file)
    present = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    lines = difflib.unified_diff(present, generated(folder).splitlines(), str(file), "generated", lineterm="", n=1)
    return "\n".join(line for _, line in zip(range(40), lines, strict=False))


def table(frame: pd.DataFrame, digits: Mapping[str, int] = tables.DIGITS) -> str:
    r"""Return a table in Markdown, with text to the left and numbers to the right.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table whose column names are the headings.
    digits : mapping of str to int
        Decimals by column (3 by default).

    Examples
    --------
    >>> print(table(pd.DataFrame({"a": ["x|y", "z"], "b": [0.5, float("nan")]})))
    | a | b |
    | :-- | --: |
    | x\|y | 0.500 |
    | z | - |
    """
    sides = ["--:" if pd.api.types.is_numeric_dtype(frame[name]) else ":--" for name in frame]
    rows = [list(frame.columns), sides, *tables.formatted(frame, digits).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)


def generated(folder: str | os.PathLike) -> str:
    """Return the document on the results in a folder."""
    text = results_markdown([result_file.load(path) for path in sorted(Path(folder).glob("*.json"))])
    patches = Path(folder) / PATCHES
    return text + ("\n" + patches_markdown(json.loads(patches.read_text())) + "\n" if patches.is_file() else "")


def _in_short(result: Result) -> str:
    lines = []
    for title, sentences in tables.in_short(result).items():
        lines += [f"- **{title}**", *(f"  - {sentence}" for sentence in sentences)]
    parts = [f"### {summary.heading(result)}", " ".join(verdict.run(result)), "\n".join(lines)]
    return "\n\n".join(part for part in parts if part)


def _sections(result: Result) -> Iterable[str]:
    yield f"## {summary.heading(result)}"
    yield result["note"]
    yield table(summary.provenance(result))
    yield "### Datasets"
    yield table(tables.datasets(result))
    for name in summary.dataset_names(result):
        yield f"### {result['datasets'][name]['title']}"
        yield from _dataset(result, name)
    classes = tables.class_settings(result)
    if len(classes):
        number = plural(int(classes.pop("datasets").iloc[0]), "dataset")
        yield "### DeepCryoPicker's classes"
        yield (
            f"Pooled over {number} on which all settings have scores; reported is the paper's table 5, which is of all "
            "its datasets together:"
        )
        yield table(classes)
    yield from _sweeps(result)
    yield from _times(result)
    yield "### Failures"
    failures = tables.failures(result)
    failures["why"] = [textwrap.shorten(error, LONGEST) for error in failures["why"]]
    yield table(failures) if len(failures) else "All cells finished."


def _dataset(result: Result, name: str) -> Iterable[str]:
    scores = tables.scores(result, name)
    yield table(scores) if len(scores) else "No method has scores on this dataset."
    views = tables.views(result, name)
    if len(views):
        yield f"By view, and averages over the views. {tables.VIEWS_RULE}"
        yield table(views)
    beside = tables.beside_reported(result, name)
    if len(beside):
        yield "Measured, and reported in the paper's table 7:"
        yield table(beside)
    for words, tests in tables.paired(result, name):
        yield words
        yield table(tests)


def _sweeps(result: Result) -> Iterable[str]:
    points = summary.sweep(result)
    if len(points):
        yield "### Sweeps"
    for (axis, protein), part in points.groupby(["axis", "protein"], sort=False):
        most = max(len(result["datasets"][name]["micrographs"]["test"]) for name in part["dataset"])
        for column, word in tables.QUANTITIES.items():
            yield f"{word} against {axis}, {protein} ({plural(most, 'micrograph')} at each point):"
            yield table(tables.sweep(result, part, column))


def _times(result: Result) -> Iterable[str]:
    times = tables.times(result)
    if not len(times):
        return
    yield "### Time and memory"
    yield f"{summary.measured_on(result)} *pick* is per micrograph."
    yield table(times.drop(columns=["labels", "F1"]))
    beside = tables.times_beside_reported(result)
    if len(beside):
        yield "Seconds per micrograph beside the paper's table 8, which is of other machines and other micrographs:"
        yield table(beside)


def _paper() -> Iterable[str]:
    yield "## What the paper reports"
    yield reported.source()
    yield "\n".join(f"- *{name}*: {text.strip()}" for name, text in reported.definitions().items())
    for number, name in reported.tables().items():
        yield f"Table {number}. {name} (reported):"
        yield table(reported.table(number), {"cpu": 1, "gpu": 1, "accuracy": 4, "patch_accuracy": 4})
        yield "\n".join(f"- {note}" for note in reported.notes(number))


def _escaped(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def main(arguments: Sequence[str]) -> None:
    """Run from the command line."""
    folder, file = [*arguments, *(HERE / "results", HERE / "RESULTS.md")[len(arguments) :]]
    write_text(file, generated(folder))
    sys.stdout.write(f"written: {file}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
