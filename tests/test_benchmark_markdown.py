"""RESULTS.md has the numbers of the results, always in the same bytes."""

import copy
import json
import re

import pandas as pd
import pytest
from benchmark_result import SNR, result, with_given, without
from scripts import BENCHMARKS, load

from cryokit.benchmark import result_file, summary
from cryokit.errors import BenchmarkError

markdown = load("results_markdown")


@pytest.fixture(scope="module")
def made_up():
    return result()


@pytest.fixture(scope="module")
def brief(made_up):
    """The part of the result that is about one dataset: its document takes less time to write."""
    cells = [cell for cell in made_up["cells"] if cell["dataset"] == "klh_sim"]
    return {**made_up, "datasets": {"klh_sim": made_up["datasets"]["klh_sim"]}, "cells": cells}


@pytest.fixture(scope="module")
def text(made_up):
    return markdown.details_markdown(made_up)


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
    """The documents in the repository, and the README's table, are those of the results beside them."""
    assert list((BENCHMARKS / "results").glob("*.json"))
    readme = BENCHMARKS.parent / "README.md"
    assert markdown.check(BENCHMARKS / "results", BENCHMARKS / "RESULTS.md", readme) == "", "run: make results MIXED=1"
    assert len((BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8").splitlines()) <= markdown.LINES


def test_same_results_same_bytes(made_up, text):
    again = json.loads(json.dumps(made_up))
    assert markdown.details_markdown(again) == text


class TestMainPage:
    def test_order_of_files_does_not_matter(self, brief):
        other = {**brief, "name": "another", "title": "Another"}
        both = markdown.results_markdown([brief, other])
        assert both == markdown.results_markdown([other, brief])
        assert both.index("## Another, profile quick") < both.index("## Made-up pickers, profile quick")

    def test_overview_and_sweep(self, made_up):
        page = markdown.results_markdown([made_up])
        overview, sweep = rows(section(page, "## Made-up pickers, profile quick"))
        auto = next(row for row in overview if row["method"] == "auto")
        expected = summary.scores(made_up, "klh_sim").set_index("method").loc["auto", "f1"]
        assert f"{expected:.3f}" in auto["simulated klh"]
        assert auto["labels"] == "no"
        # Bold type marks those that cannot be told apart from the first.
        best = summary.standing(made_up, "klh_sim", labels=False).set_index("title")["best"]
        marked = {row["method"] for row in overview if row["labels"] == "no" and row["simulated klh"].startswith("**")}
        assert marked == set(best[best].index)
        points = summary.sweep(made_up).query("method == 'auto'")
        assert float(next(row for row in sweep if row["method"] == "auto")["mean"]) == pytest.approx(
            points["f1"].mean(), abs=0.00051
        )

    def test_sentences_tell_losses_as_wins(self, made_up):
        said = [sentence.replace("*", "") for sentence in markdown.sentences([made_up])]
        assert 4 <= len(said) <= 10
        (ranks,) = (one for one in said if one.startswith("Of the methods without labels, auto"))
        firsts = sum(
            summary.standing(made_up, name, labels=False)["method"].iloc[0] == "auto"
            for name in summary.dataset_names(made_up)
        )
        assert f"first on {firsts} of 2 datasets" in ranks
        worse = copy.deepcopy(made_up)
        for cell in worse["cells"]:
            if cell["method"] == "auto":
                cell["scores"]["f1"] = 0.1
        (ranks,) = (
            one.replace("*", "")
            for one in markdown.sentences([worse])
            if one.startswith("Of the methods without labels, *auto*")
        )
        assert "first on 0 of 2 datasets" in ranks
        assert ranks.count("behind") == 2

    def test_states_of_the_source(self, brief):
        assert "`0123456789abcdef`" in markdown.results_markdown([brief])
        mixed = copy.deepcopy(brief)
        mixed["cells"][0]["provenance"] = {**mixed["cells"][0]["provenance"], "commit": "fedcba"}
        assert "2 states of the source" in markdown.results_markdown([mixed])

    def test_how_to_run_again(self, brief):
        assert "cryokit benchmark --config made_up --profile quick --seeds 2 " in markdown.results_markdown([brief])


def test_mixed_commits_are_refused_unless_asked_for(brief, tmp_path):
    mixed = copy.deepcopy(brief)
    mixed["cells"][0]["provenance"] = {**mixed["cells"][0]["provenance"], "commit": "fedcba"}
    result_file.write(mixed, tmp_path / "results" / "made_up.json")
    with pytest.raises(BenchmarkError, match="fedcba"):
        markdown.main([str(tmp_path / "results")])
    assert not (tmp_path / "RESULTS.md").exists()
    markdown.main(["--mixed", str(tmp_path / "results")])
    assert (tmp_path / "RESULTS.md").is_file()
    assert (tmp_path / "results" / "made_up.md").is_file()


def test_table_of_the_readme(brief, tmp_path):
    known = {**brief, "name": markdown.README_RESULTS[0]}
    result_file.write(known, tmp_path / "results" / "klh.json")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{markdown.BEGIN}\nold\n{markdown.END}\nafter\n", encoding="utf-8")
    text = markdown.generated(tmp_path / "results", tmp_path / "RESULTS.md", readme)[readme]
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    ((row,),) = rows(text)
    scores = summary.scores(known, "klh_sim").set_index("method")["f1"]
    assert (float(row["`auto`"]), float(row["DeepEM"])) == pytest.approx(
        (scores["auto"], scores["deepem"]), abs=0.00051
    )
    assert "Topaz, pretrained" not in row  # without any number


def test_scores_are_those_of_the_result(made_up, text):
    shown = {row["method"]: row for row in rows(section(text, "## simulated klh"))[0]}
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


def test_reported_columns_are_marked(text):
    table = next(table for table in rows(section(text, "## simulated klh")) if "F1 (reported)" in table[0])
    row = next(row for row in table if (row["method"], row["view"]) == ("deepem", "top"))
    assert (row["precision (reported)"], row["recall (reported)"], row["F1 (reported)"]) == ("0.880", "0.890", "0.880")
    assert row["F1"] != row["F1 (reported)"]
    # Nothing that is reported stands in a table of measured values.
    assert not any("reported" in name for name in rows(section(text, "## simulated klh"))[0][0])


def test_failures_with_their_reason(text, brief):
    (table,) = rows(section(text, "## Failures"))
    shown = {(row["method"], row["seeds"]): (row["what"], row["why"]) for row in table}
    assert shown["autocryopicker", "1"] == ("failed", "MemoryError: no room \\| for more")
    assert shown["deepem", "0, 1"][0] == "skipped"
    whole = [one for one in brief["cells"] if one["status"] == "done"]
    assert "## Failures" not in markdown.details_markdown({**brief, "cells": whole})


def test_provenance_and_counts(text):
    shown = {row["what"]: row["value"] for row in rows(section(text, "## What was run"))[0]}
    assert shown["commit"] == "0123456789abcdef"
    assert shown["date"] == "2026-11-22T17:00:00Z"
    (table,) = rows(section(text, "## Datasets"))
    assert [row["test: micrographs (particles)"] for row in table] == ["10 (200)", "10 (200)"]


def test_sweep_tables(made_up, text):
    f1, precision = rows(section(text, "## Sweeps"))
    auto = next(row for row in f1 if row["method"] == "auto")
    points = summary.sweep(made_up).query("method == 'auto'")
    assert [auto[f"{value:g}"] for value in points["value"]] == [f"{value:.3f}" for value in points["f1"]]
    assert len(f1) == len(precision) == len(made_up["methods"])


def test_sweep_of_a_method_that_failed_at_a_point(made_up):
    """Its mean would be of the easier points: it has none, and stands last."""
    dataset = f"klh_snr_{SNR[0]:g}"
    failed = without("auto", dataset, 0, "failed", "no memory")
    cells = [failed if (one["method"], one["dataset"]) == ("auto", dataset) else one for one in made_up["cells"]]
    f1, _ = rows(section(markdown.details_markdown({**made_up, "cells": cells}), "## Sweeps"))
    assert len(f1) == len(made_up["methods"])
    assert f1[-1]["method"] == "auto"
    assert (f1[-1][f"{SNR[0]:g}"], f1[-1]["mean"]) == ("-", "-")
    assert float(f1[-1][f"{SNR[-1]:g}"]) > 0.9


def test_picks_as_given():
    document = markdown.details_markdown(with_given(result()))
    scores, *others = rows(section(document, "## simulated klh"))
    assert next(row for row in scores if row["method"] == "mine")["labels"] == "?"
    # A table of its own against all others, with the signs turned round.
    first, own = (table for table in others if "ahead by" in table[0])
    assert len(own) == len(first) == len(scores) - 1
    behind = next(row for row in first if row["method"] == "mine")["ahead by"]
    assert next(row for row in own if row["method"] == "deeppicker")["ahead by"] == f"-{behind}"


def test_by_view(made_up, text):
    table = next(table for table in rows(section(text, "## simulated klh")) if "view named right" in table[0])
    named = {row["method"]: row["view named right"] for row in table}
    assert named.pop("deepcryopicker") == "0.875"
    assert set(named.values()) == {"-"}
    expected = summary.views(made_up, "klh_sim")
    assert [row["F1"] for row in table] == [f"{value:.3f}" for value in expected["f1"]]


def test_shifts_and_results_from_before_they_were_measured(made_up, brief, text):
    shown = rows(section(text, "## simulated klh"))[0]
    expected = summary.scores(made_up, "klh_sim").set_index("title")
    for row in shown:
        for column, name in {"dx, %": "dx_share", "dy, %": "dy_share", "RMS, %": "rms_share"}.items():
            assert float(row[column]) == pytest.approx(100 * expected[name][row["method"]], abs=0.051)
    before = copy.deepcopy(brief)
    for cell in before["cells"]:
        cell["localisation"] = {}
    shown = rows(section(markdown.details_markdown(before), "## simulated klh"))[0]
    assert {row[column] for row in shown for column in ("dx, %", "dy, %", "RMS, %")} == {"-"}


def test_paired(made_up, text):
    table = next(table for table in rows(section(text, "## simulated klh")) if "ahead by" in table[0])
    assert {row["method"] for row in table} == {"auto", "template", "autocryopicker", "deepcryopicker", "deepem"}
    assert all(float(row["p"]) >= 2 / 2**10 for row in table)
    expected = summary.against(made_up, "klh_sim", "deeppicker").set_index("title")["corrected"]
    for row in table:
        assert float(row["p"]) == pytest.approx(expected[row["method"]], rel=0.06)


def test_tables_are_whole(text):
    """Every row of a table has as many cells as its heading, with whatever is in them."""
    for line, after in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        if line.startswith("|") and after.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", after))
    assert "nan" not in text.lower().replace("apoferritin", "")


def test_methods_of_the_same_title(brief):
    twins = copy.deepcopy(brief)
    for method in twins["methods"].values():
        method["title"] = "twin"
    assert len(rows(section(markdown.details_markdown(twins), "## simulated klh"))[0]) == len(twins["methods"])


class TestCheck:
    def test_written_file_follows(self, brief, tmp_path):
        result_file.write(brief, tmp_path / "results" / "made_up.json")
        file = tmp_path / "RESULTS.md"
        assert markdown.check(tmp_path / "results", file)
        markdown.main([str(tmp_path / "results"), str(file)])
        assert markdown.check(tmp_path / "results", file) == ""
        file.write_text(file.read_text(encoding="utf-8").replace("| auto |", "| otto |", 1), encoding="utf-8")
        assert "otto" in markdown.check(tmp_path / "results", file)

    def test_changed_result_is_found(self, brief, tmp_path):
        path = result_file.write(brief, tmp_path / "results" / "made_up.json")
        markdown.main([str(tmp_path / "results"), str(tmp_path / "RESULTS.md")])
        other = copy.deepcopy(brief)
        other["cells"][0]["scores"]["f1"] -= 0.1
        result_file.write(other, path)
        assert markdown.check(tmp_path / "results", tmp_path / "RESULTS.md")

    def test_damaged_result(self, tmp_path):
        (tmp_path / "bad.json").write_text("{", encoding="utf-8")
        with pytest.raises(BenchmarkError, match=r"bad\.json"):
            markdown.check(tmp_path, tmp_path / "RESULTS.md")


def test_table_of_text_with_bars_and_lines():
    shown = markdown.table(pd.DataFrame({"a": ["x | y\nz"], "b": [None], "c": [3]}))
    assert shown.splitlines()[-1] == "| x \\| y z | - | 3 |"


def test_long_reasons_are_cut(brief):
    failed = without("auto", "klh_sim", 0, "failed", "word " * 1000)
    cells = [failed if (one["method"], one["dataset"]) == ("auto", "klh_sim") else one for one in brief["cells"]]
    shown = section(markdown.details_markdown({**brief, "cells": cells}), "## Failures")
    assert max(map(len, shown.splitlines())) < 400


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
    shown = markdown.patches_markdown(measured)
    first, second = (line for line in shown.splitlines() if line.startswith(("| 4 +", "| five")))
    assert "| 0.5000 |" in first
    assert "| 0.9778 | 32 |" in first
    assert "| 0.2500 |" in second
    assert "| 0.9662 | 20 |" in second
    # It is a part of the document where the file is there.
    place = tmp_path / markdown.PATCHES
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(measured))
    page = markdown.generated(tmp_path, tmp_path / "RESULTS.md")[tmp_path / markdown.PAPER]
    assert page.endswith(shown + "\n")
