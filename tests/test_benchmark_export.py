"""What leaves a result for a paper: numbers, LaTeX, BibTeX, figures; and the comparison of two results."""

import copy
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from benchmark_result import MICROGRAPHS, result, with_given, without

from cryokit.benchmark import changes, citations, latex, result_file, summary, tables
from cryokit.benchmark.methods import ROWS
from cryokit.cli import benchmark_export, main
from cryokit.errors import BenchmarkError
from cryokit.pickers import registry

HOSTILE = r"a_b & 50 % $x^2$ #1 {\input{/etc/passwd}} <script>alert(1)</script> ~"


@pytest.fixture(scope="module")
def made_up():
    return with_given(result())


# --- LaTeX -----------------------------------------------------------------------------------------------------------


def commands(text):
    return set(re.findall(r"\\([a-zA-Z]+)", text))


def test_escaped_text_has_no_meaning_to_latex():
    shown = latex.escape(HOSTILE + "\x00\u2028\n")
    assert commands(shown) <= {"textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater"}
    assert not re.search(r"(?<!\\)[&%$#_]", shown)
    assert shown.isprintable()


def test_tables_of_a_hostile_result(made_up):
    known = copy.deepcopy(made_up)
    for method in known["methods"].values():
        method["title"] = HOSTILE
    for dataset in known["datasets"].values():
        dataset["title"] = HOSTILE
    for text in (latex.main_tables(known), citations.paragraph(known)):
        assert "input" not in commands(text)
    written = latex.main_tables(known)
    bodies = re.findall(r"\\begin\{tabular\}\{(\w+)\}\n\\toprule\n(.*?)\\bottomrule", written, re.S)
    assert len(bodies) == 4  # two rankings, two datasets
    for columns, body in bodies:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 2
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}


def test_best_of_a_ranking_in_bold(made_up):
    shown, best = tables.overview(made_up, labels=False)
    written = latex.main_tables(made_up)
    assert written.count(r"\textbf{") == int(
        best.to_numpy().sum() + tables.overview(made_up, labels=True)[1].to_numpy().sum()
    )
    value, low_high, *letters = shown["mean"].iloc[0].split()
    assert rf"\textbf{{{' '.join([value, *letters])}}}\\\scriptsize {low_high.replace('-', '--')}" in written


def test_tables_are_no_wider_than_a_page(made_up, tmp_path):
    """What TeX says of a page of 16 cm, where TeX is installed."""
    if not (program := shutil.which("pdflatex")):
        pytest.skip("pdflatex is not installed")
    (tmp_path / "tables.tex").write_text(latex.main_tables(made_up), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage[textwidth=16cm]{geometry}\usepackage{booktabs,textcomp}"
        r"\begin{document}\input{tables}\end{document}",
        encoding="utf-8",
    )
    ended = subprocess.run(
        [program, "-interaction=nonstopmode", "paper"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
    assert "Overfull" not in ended.stdout


# --- citations -------------------------------------------------------------------------------------------------------


def test_every_method_cites_what_the_registry_names():
    entries = citations.entries()
    assert set(citations.PAPERS) == {method.name for method in registry.built_in()}
    for method in registry.built_in():
        for key in citations.PAPERS[method.name]:
            year, journal_volume = re.search(r"(\d{4}), .*?(\d+):", method.source).groups()
            assert f"year = {{{year}}}" in entries[key]
            assert f"volume = {{{journal_volume}}}" in entries[key]
            assert re.search(r"[A-Z][\w-]+(?= et al\.| \d{4}| and)", method.source)[0] in entries[key]
        assert bool(citations.PAPERS[method.name]) == (method.source != "cryokit")


def test_bibtex_has_what_the_paragraph_cites(made_up):
    cited = {key for keys in re.findall(r"\\cite\{([\w,]+)\}", citations.paragraph(made_up)) for key in keys.split(",")}
    assert cited == set(re.findall(r"@article\{(\w+)", citations.bibtex(made_up)))
    assert {"AlAzzawi2020", "Wang2016", "Holm1979"} <= cited
    assert "Bepler2019" not in cited
    assert ROWS["topaz"].picker == "topaz"  # which is not among the methods of this result


# --- the folder ------------------------------------------------------------------------------------------------------


def test_numbers_are_all_there(made_up):
    found = benchmark_export.numbers(made_up)
    assert len(found["cells"]) == len(made_up["cells"])
    done = [cell for cell in made_up["cells"] if cell["status"] == "done"]
    assert len(found["per_micrograph"]) == sum(len(cell["per_micrograph"]) for cell in done)
    candidates = sum(len(cell["curve"]["threshold"]) for cell in done)
    assert (found["curves"]["view"] == "").sum() == candidates
    assert found["comparisons"][["low", "high"]].notna().all(axis=None)


def test_export(made_up, tmp_path):
    one = {**made_up, "datasets": {"klh_sim": made_up["datasets"]["klh_sim"]}}
    one["cells"] = [cell for cell in made_up["cells"] if cell["dataset"] == "klh_sim"]
    path = result_file.write(one, tmp_path / "one.json")
    assert main(["benchmark", "--result", str(path), "--export", str(tmp_path / "paper")]) == 0
    names = {
        file.relative_to(tmp_path / "paper").as_posix() for file in (tmp_path / "paper").rglob("*") if file.is_file()
    }
    assert {"tables.tex", "methods.tex", "references.bib", "csv/scores.csv", "csv/curves.csv"} <= names
    drawn = {name for name in names if name.startswith("figures/")}
    assert {name.rpartition(".")[0] for name in drawn if name.endswith(".svg")} == {
        name.rpartition(".")[0] for name in drawn if name.endswith(".pdf")
    }
    assert {f"figures/01_klh_sim_{kind}.svg" for kind in ("f1", "curves", "views", "localisation", "time")} <= drawn
    scores = pd.read_csv(tmp_path / "paper" / "csv" / "scores.csv").set_index("method")
    assert scores.loc["auto", "f1"] == pytest.approx(
        summary.scores(one, "klh_sim").set_index("method").loc["auto", "f1"]
    )


# --- two results -----------------------------------------------------------------------------------------------------


def weaker(known, method, share):
    """The result with a share of a method's true picks missed."""
    changed = copy.deepcopy(known)
    for cell in changed["cells"]:
        if cell["method"] == method:
            for row in cell["per_micrograph"]:
                lost = round(share * row["tp"])
                row |= {"tp": row["tp"] - lost, "fn": row["fn"] + lost}
    return changed


def test_nothing_changed(made_up):
    table = changes.changes(made_up, made_up)
    assert set(table["change"]) == {changes.SAME}
    assert (table["difference"] == 0).all()
    assert not len(changes.worse(table))


def test_a_fall_is_found_and_a_rise_is_none(made_up):
    lower = weaker(made_up, "deeppicker", 0.3)
    table = changes.changes(made_up, lower).set_index(["dataset", "method"])
    row = table.loc[("klh_sim", "deeppicker")]
    assert row["change"] == changes.FELL
    assert row["difference"] == pytest.approx(row["new"] - row["old"])
    assert row["low"] <= row["difference"] <= row["high"] < 0
    assert row["micrographs"] == MICROGRAPHS
    assert table.loc[("klh_sim", "auto"), "change"] == changes.SAME
    assert set(changes.worse(table.reset_index())["method"]) == {"deeppicker"}
    back = changes.changes(lower, made_up)
    assert not len(changes.worse(back))
    assert changes.ROSE in set(back["change"])
    # What is within the margin is let pass, however sure it is.
    assert not len(changes.worse(changes.changes(made_up, lower, margin=0.9)))


def test_scores_that_are_lost_and_micrographs_that_are_others(made_up):
    new = copy.deepcopy(made_up)
    new["cells"] = [
        without(cell["method"], cell["dataset"], cell["seed"], "failed", "no")
        if (cell["method"], cell["dataset"]) == ("auto", "klh_sim")
        else cell
        for cell in new["cells"]
    ]
    for cell in new["cells"]:
        if cell["method"] == "template" and cell["dataset"] == "klh_sim":
            cell["per_micrograph"] = cell["per_micrograph"][:-1]
    table = changes.changes(made_up, new).set_index(["dataset", "method"])["change"]
    assert table["klh_sim", "auto"] == changes.LOST
    assert table["klh_sim", "template"] == changes.OTHER
    with pytest.raises(BenchmarkError, match="nothing to compare"):
        changes.changes(made_up, {**new, "cells": []})


def test_command(made_up, tmp_path, capsys):
    old = result_file.write(made_up, tmp_path / "old.json")
    new = result_file.write(weaker(made_up, "auto", 0.4), tmp_path / "new.json")
    assert main(["benchmark", "--compare", str(old), str(old)]) == 0
    assert main(["benchmark", "--compare", str(old), str(new), "--json", str(tmp_path / "c.json")]) == 1
    assert "auto" in capsys.readouterr().out
    written = json.loads((tmp_path / "c.json").read_text())
    fallen = {(cell["dataset"], cell["method"]) for cell in written["cells"] if cell["change"] == changes.FELL}
    assert ("klh_sim", "auto") in fallen
    assert written["worse"] == len(fallen)
    assert {method for _, method in fallen} == {"auto"}
    numbers = [cell["p"] for cell in written["cells"]]
    assert all(0 < p <= 1 for p in numbers)
    assert main(["benchmark", "--compare", str(old), str(new), "--margin", "0.9"]) == 0
    for words in (["--compare", str(old), str(new), "--out", "x"], ["--json", "x", "--out", "y"]):
        assert main(["benchmark", *words]) == 1


# --- the first screen, and agreement ---------------------------------------------------------------------------------


def test_overview_page_escapes_what_comes_from_files(made_up):
    from cryokit.plot import overview_page

    known = copy.deepcopy(made_up)
    for thing in (*known["methods"].values(), *known["datasets"].values()):
        thing["title"] = HOSTILE
    page = overview_page.overview(known)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<tr") == 1 + 2 + len(known["methods"])
    marked = sum(tables.overview(known, labels=labels)[1].to_numpy().sum() for labels in (False, True))
    assert page.count('class="best"') == marked > 0


def test_overview_has_the_letters_of_the_standing(made_up):
    shown, best = tables.overview(made_up, labels=False)
    standing = summary.standing(made_up, "klh_sim", labels=False).set_index("title")
    column = made_up["datasets"]["klh_sim"]["title"]
    for row in shown.to_dict("records"):
        assert row[column].split()[0] == f"{standing.loc[row['method'], 'f1']:.3f}"
        assert row[column].split()[-1] == standing.loc[row["method"], "letters"]
    assert best[column].any()
    assert not best["method"].any()


def test_agreement_counts_methods_and_shared_false_picks():
    from cryokit.coordinates import table
    from cryokit.plot import agreement

    labels = table("m", [100.0, 200.0, 300.0], [100.0] * 3, diameter=40, view=["top", "top", "ignore"])
    picks = {
        "a": table("m", [101.0, 199.0, 500.0], [100.0] * 3, diameter=40),
        "b": table("m", [98.0, 503.0, 700.0], [100.0] * 3, diameter=40),
        "c": table("m", [300.0], [100.0], diameter=40),
    }
    found = agreement.agreement(picks, labels, "m")
    assert found.particles["found"].tolist() == [2, 1]
    (shared,) = found.false.to_dict("records")
    assert (shared["x"], shared["methods"]) == (pytest.approx(501.5), 2)
    assert found.methods == 3
    nothing = agreement.agreement({}, labels, "m")
    assert not nothing.methods
    assert not len(nothing.false)
    assert np.all(nothing.particles["found"] == 0)
