"""RESULTS.md says what the results say, always in the same bytes."""

import copy
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from benchmark_result import result

from cryokit.benchmark import markdown, results, summary
from cryokit.errors import CryokitError

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def made_up():
    return result()


@pytest.fixture(scope="module")
def text(made_up):
    return markdown.results_markdown([made_up])


def section(text, heading):
    """The text under a heading, up to the next one of the same or a higher level."""
    level = heading.split()[0]
    after = text[text.index(f"\n{heading}\n") + len(heading) + 2 :]
    end = re.search(rf"\n#{{1,{len(level)}}} ", after)
    return after[: end.start()] if end else after


def rows(part):
    """The tables of a part of the document: a list of lists of rows, each a dictionary."""
    tables, head = [], None
    for line in part.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            head = None
        elif head is None:
            head = cells
            tables.append([])
        elif not set(line) <= set("|:- "):
            tables[-1].append(dict(zip(head, cells, strict=True)))
    return tables


def test_committed_results():
    """What is in the repository follows from the results beside it."""
    folder = BENCHMARKS / "results"
    if not markdown.results_files(folder):
        pytest.skip("there are no results in benchmarks/results")
    assert markdown.check(folder, BENCHMARKS / "RESULTS.md") == "", "run: make results"


def test_same_results_same_bytes(made_up, text):
    again = json.loads(json.dumps(made_up))
    assert markdown.results_markdown([again]) == text


def test_order_of_files_does_not_matter(made_up):
    other = {**made_up, "name": "another", "title": "Another"}
    both = markdown.results_markdown([made_up, other])
    assert both == markdown.results_markdown([other, made_up])
    assert both.index("## Another, profile quick") < both.index("## Made-up pickers, profile quick")


def test_scores_are_those_of_the_result(made_up, text):
    shown = {row["method"]: row for row in rows(section(text, "### simulated klh"))[0]}
    for method in made_up["methods"]:
        cells = [one for one in made_up["cells"] if (one["method"], one["dataset"]) == (method, "klh_sim")]
        for column, name in {
            "F1": "f1",
            "precision": "precision",
            "AP": "average_precision",
            "best F1": "best_f1",
        }.items():
            mean = sum(one["scores"][name] for one in cells) / len(cells)
            assert float(shown[method][column]) == pytest.approx(mean, abs=0.00051)
        assert float(shown[method]["own F1"]) == pytest.approx(sum(one["own"]["f1"] for one in cells) / 2, abs=0.00051)
    assert [float(row["F1"]) for row in shown.values()] == sorted(
        (float(row["F1"]) for row in shown.values()), reverse=True
    )


def test_in_short_comes_first_and_tells_both(text):
    first = section(text, "## In short").replace("*", "")
    assert text.index("## In short") < text.index("## How to read this") < text.index("## Made-up pickers")
    assert "auto is first" in first
    assert "behind deeppicker by" in first
    assert "No scores: deepem (skipped)." in first


def test_reported_columns_are_marked(text):
    table = next(table for table in rows(section(text, "### simulated klh")) if "F1 (reported)" in table[0])
    row = next(row for row in table if (row["method"], row["view"]) == ("deepem", "top"))
    assert (row["precision (reported)"], row["recall (reported)"], row["F1 (reported)"]) == ("0.880", "0.890", "0.880")
    assert row["F1"] != row["F1 (reported)"]
    # Nothing that is reported stands in a table of measured values.
    assert not any("reported" in name for name in rows(section(text, "### simulated klh"))[0][0])
    assert "reported" not in section(text, "### Failures").split("## ")[0]


def test_failures_with_their_reason(text):
    (table,) = rows(section(text, "### Failures"))
    told = {(row["method"], row["seeds"]): (row["what"], row["why"]) for row in table}
    assert told["autocryopicker", "1"] == ("failed", "MemoryError: no room \\| for more")
    assert told["deepem", "0, 1"][0] == "skipped"
    whole = result()
    whole["cells"] = [one for one in whole["cells"] if one["status"] == "done"]
    assert "Every cell came to its end." in markdown.results_markdown([whole])


def test_provenance_and_counts(text):
    told = {row["what"]: row["value"] for row in rows(section(text, "## Made-up pickers, profile quick"))[0]}
    assert told["commit"] == "0123456789abcdef"
    assert told["date"] == "2026-11-22T17:00:00Z"
    (table,) = rows(section(text, "### Datasets"))
    assert [row["test: micrographs (particles)"] for row in table] == ["6 (120)", "6 (120)"]


def test_sweep_tables(made_up, text):
    f1, precision = rows(section(text, "### Sweeps"))
    auto = next(row for row in f1 if row["method"] == "auto")
    points = summary.sweep(made_up).query("method == 'auto'")
    assert [auto[f"{value:g}"] for value in points["value"]] == [f"{value:.3f}" for value in points["f1"]]
    assert len(f1) == len(precision) == len(made_up["methods"])


def test_paired(text):
    table = next(table for table in rows(section(text, "### simulated klh")) if "behind by" in table[0])
    assert {row["method"] for row in table} == {"auto", "template", "autocryopicker", "deepcryopicker", "deepem"}
    assert all(float(row["p"]) >= 0.031 for row in table)  # six micrographs


def test_tables_are_whole(text):
    """Every row of a table has as many cells as its heading, with whatever is in them."""
    for line, after in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        if line.startswith("|") and after.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", after))
    assert "nan" not in text.lower().replace("apoferritin", "")


def test_methods_of_the_same_title(made_up):
    twins = copy.deepcopy(made_up)
    for method in twins["methods"].values():
        method["title"] = "twin"
    assert len(rows(section(markdown.results_markdown([twins]), "### simulated klh"))[0]) == len(twins["methods"])


class TestCheck:
    def test_written_file_follows(self, made_up, tmp_path):
        results.write(made_up, tmp_path / "results" / "made_up.json")
        file = markdown.write_results(tmp_path / "results", tmp_path / "RESULTS.md")
        assert markdown.check(tmp_path / "results", file) == ""

    def test_changes_are_found(self, made_up, tmp_path):
        results.write(made_up, tmp_path / "results" / "made_up.json")
        file = tmp_path / "RESULTS.md"
        assert "# Results of the comparison" in markdown.check(tmp_path / "results", file)
        markdown.write_results(tmp_path / "results", file)
        file.write_text(
            file.read_text(encoding="utf-8").replace("*auto* is first", "*auto* is by far the first"), encoding="utf-8"
        )
        assert "-  - Without labels: *auto* is by far the first" in markdown.check(tmp_path / "results", file)

    def test_changed_result_is_found(self, made_up, tmp_path):
        path = results.write(made_up, tmp_path / "results" / "made_up.json")
        file = markdown.write_results(tmp_path / "results", tmp_path / "RESULTS.md")
        other = copy.deepcopy(made_up)
        other["cells"][0]["scores"]["f1"] -= 0.1
        results.write(other, path)
        assert markdown.check(tmp_path / "results", file)

    def test_no_results(self, tmp_path):
        assert markdown.results_files(tmp_path / "none") == []

    def test_damaged_result(self, tmp_path):
        (tmp_path / "bad.json").write_text("{", encoding="utf-8")
        with pytest.raises(CryokitError, match=r"bad\.json"):
            markdown.check(tmp_path, tmp_path / "RESULTS.md")


def test_table_of_text_with_bars_and_lines():
    told = markdown.table(pd.DataFrame({"a": ["x | y\nz"], "b": [None], "c": [3]}))
    assert told.splitlines()[-1] == "| x \\| y z | - | 3 |"
    long = markdown.table(pd.DataFrame({"a": ["x" * 1000]})).splitlines()[-1]
    assert len(long) < 320


def test_accuracy_of_patches_stands_beside_the_reported(tmp_path):
    measured = {
        "settings": {"width": 0.1, "per_class": 50},
        "rows": [
            {
                "setting": "4 + negative",
                "data": "simulated",
                "preset": "modern",
                "epochs": 32,
                "train": 0.9,
                "test": 0.5,
            },
            {"setting": "five classes", "data": "real", "preset": "paper", "epochs": 7, "train": 0.9, "test": 0.25},
        ],
    }
    told = markdown.patches_markdown(measured)
    first, second = (line for line in told.splitlines() if line.startswith(("| 4 +", "| five")))
    assert "| 0.5000 |" in first
    assert "| 0.9778 | 32 |" in first
    assert "| 0.2500 |" in second
    assert "| 0.9662 | 20 |" in second
    # It is a part of the document where the file is there.
    place = tmp_path / markdown.PATCHES
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(measured))
    written = markdown.write_results(tmp_path, tmp_path / "RESULTS.md").read_text()
    assert written.endswith(told + "\n")
    assert not markdown.check(tmp_path, tmp_path / "RESULTS.md")
