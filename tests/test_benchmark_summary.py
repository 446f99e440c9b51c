"""Summaries of results and the verdict on them: values by hand, order, failures, and the paper's numbers."""

import copy
import json
import re

import numpy as np
import pandas as pd
import pytest
from benchmark_result import METHODS, SNR, result, with_given, without

from cryokit.benchmark import configuration, reported, result_file, run_files, summary, tables
from cryokit.benchmark import verdict as verdicts
from cryokit.coordinates import table as picks_table
from cryokit.coordinates import write
from cryokit.errors import ArgumentError, BenchmarkError
from cryokit.evaluate import paired

MACHINE = {"system": "Linux", "processor": "x86_64", "cores": 2, "memory_gb": 16.0, "device": None}
MADE = {
    "cryokit": "1", "commit": "one", "python": "3", "packages": {"numpy": "2"}, "backend": "jax", "machine": MACHINE,
    "date": "2026-01-01T00:00:00Z",
}  # fmt: skip


def counted(method, seed, rows, *, dataset="d", views=None, **more):
    """A cell from (tp, fp, fn) of each micrograph."""
    tp, fp, fn = (sum(column) for column in zip(*rows, strict=True))
    return {
        "method": method, "dataset": dataset, "seed": seed, "status": "done", "error": None,
        "seconds": {"fit": 10.0 * (seed + 1), "pick": 2.0}, "peak_memory_mb": 100.0 + seed,
        "threshold": 0.5, "own_threshold": 0.5, "threshold_by": "the method itself",
        "scores": scored(tp, fp, fn), "own": scored(tp, fp, fn), "wide": scored(tp + 1, fp, fn - 1),
        "localisation": {}, "views": {view: scored(*numbers) for view, numbers in (views or {}).items()},
        "view_named_right": None, "wall": 30.0, "provenance": MADE,
        "per_micrograph": [
            {"micrograph": f"m{index}", "particles": a + c, "tp": a, "fp": b, "fn": c}
            for index, (a, b, c) in enumerate(rows)
        ],
        "curve": {}, "view_curves": {}, "decisions": [], **more,
    }  # fmt: skip


def scored(tp, fp, fn):
    f1 = 2 * tp / (2 * tp + fp + fn)
    values = {"precision": tp / (tp + fp), "recall": tp / (tp + fn), "f1": f1, "accuracy": tp / (tp + fp + fn)}
    values |= {"average_precision": f1 / 2, "recall_ceiling": 1.0, "best_f1": f1, "tp": tp, "fp": fp, "fn": fn}
    return {**values, "intervals": {"f1": [f1 - 0.1, f1 + 0.1]}}


def small(cells, methods, *, micrographs=2, protein="klh"):
    names = [f"m{index}" for index in range(micrographs)]
    return {
        "cryokit_benchmark": result_file.FORMAT, "name": "small", "title": "Small", "note": "",
        "profile": None, "config": {},
        "provenance": MADE,
        "datasets": {
            "d": {"title": "Dataset", "kind": "real", "protein": protein, "diameter": 50.0, "fingerprint": "",
                  "manifest": "", "micrographs": {"train": [], "validation": [], "test": names}, "axes": {},
                  "views": {}, "note": "", "particles": {"train": 0, "validation": 0, "test": 20}},
        },
        "methods": {
            name: {"title": name.upper(), "picker": name, "settings": {}, "labels": labels, "source": ""}
            for name, labels in methods.items()
        },
        "cells": cells,
    }  # fmt: skip


def verdict(result, dataset):
    """The sentences without their italics."""
    return [sentence.replace("*", "") for sentence in verdicts.dataset(result, dataset)]


def many(method, quality, n=8, particles=50):
    return counted(method, 0, [(round(particles * q), 2, particles - round(particles * q)) for q in [quality] * n])


@pytest.fixture(scope="module")
def made_up():
    return result()


class TestScores:
    def test_mean_and_spread_over_seeds(self):
        found = summary.scores(
            small([counted("a", 0, [(8, 2, 2)]), counted("a", 1, [(6, 4, 4)])], {"a": False}, micrographs=1), "d"
        ).iloc[0]
        assert found["seeds"] == 2
        assert found["f1"] == pytest.approx(0.7)
        assert found["f1_spread"] == pytest.approx(np.sqrt(0.02))  # of 0.8 and 0.6
        assert (found["fit"], found["pick"], found["memory"]) == (15, 2, 101)
        assert found["title"] == "A"

    def test_one_seed_has_no_spread_over_seeds(self):
        rows = [(8, 2, 2), (9, 1, 1)]
        found = summary.scores(small([counted("a", 0, rows)], {"a": False}), "d").iloc[0]
        own = paired.spread(pd.DataFrame(rows, columns=["tp", "fp", "fn"]).assign(micrograph=["m0", "m1"]))
        assert (found["f1_low"], found["f1_high"]) == own.interval
        assert found["by_micrographs"] == own.micrographs
        assert found[["f1_spread", "by_seeds"]].isna().all()

    def test_interval_of_several_seeds_is_over_micrographs(self):
        # The two seeds are the same: they make the interval no narrower.
        rows = [(9, 1, 1), (5, 5, 5), (7, 3, 3), (2, 3, 8)]
        twice = small([counted("a", seed, rows) for seed in (0, 1)], {"a": False}, micrographs=4)
        found = summary.scores(twice, "d").iloc[0]
        once = paired.interval(pd.DataFrame(twice["cells"][0]["per_micrograph"]))
        assert (found["f1_low"], found["f1_high"]) == pytest.approx(once)

    def test_best_first_and_failures_last_with_their_reason(self, made_up):
        found = summary.scores(made_up, "apoferritin_sim")
        scored = found[found["seeds"] > 0]
        assert scored["f1"].is_monotonic_decreasing
        assert found["method"].iloc[-1] == "deepem"
        assert found["status"].iloc[-1] == "skipped"
        assert "needs labels" in found["error"].iloc[-1]
        half = found.set_index("method").loc["autocryopicker"]
        assert half["seeds"] == 1
        assert {"done", "failed"} <= set(re.findall(r"\w+", half["status"]))
        assert "no room" in half["error"]
        assert 0 < half["f1"] < 1

    def test_cells_without_values(self):
        bare = without("a", "d", 0, "failed", "no")
        found = summary.scores(small([bare], {"a": False}), "d")
        assert found["f1"].isna().all()
        assert summary.failures(small([bare], {"a": False})).iloc[0].tolist() == ["d", "a", 0, "failed", "no"]

    def test_picks_that_somebody_else_made_have_no_times(self):
        cell = counted("a", 0, [(8, 2, 2)], seconds={"fit": None, "pick": None}, own={}, peak_memory_mb=None)
        found = summary.scores(small([cell], {"a": False}, micrographs=1), "d").iloc[0]
        assert np.isnan(found[["fit", "pick", "memory", "own_f1"]].astype(float)).all()
        assert found["f1"] == pytest.approx(0.8)

    def test_equal_methods_are_in_the_order_of_their_titles(self):
        cells = [counted(name, 0, [(8, 2, 2)]) for name in ("b", "c", "a")]
        found = summary.scores(small(cells, {"b": False, "c": False, "a": True}, micrographs=1), "d")
        assert found["title"].tolist() == ["A", "B", "C"]

    def test_unknown_dataset(self, made_up):
        with pytest.raises(ArgumentError, match=r"dataset.*klh_sim.*'x'"):
            summary.scores(made_up, "x")


def test_views_are_averaged_not_pooled():
    views = {"top": (8, 2, 2), "side": (1, 0, 9)}
    found = summary.views(small([counted("a", 0, [(9, 2, 11)], views=views)], {"a": False}, micrographs=1), "d")
    assert found["view"].tolist() == ["top", "side", "average"]
    side = 2 / 11
    assert found["f1"].tolist() == pytest.approx([0.8, side, (0.8 + side) / 2])
    assert found["precision"].iloc[-1] == pytest.approx(0.9)


def test_share_of_views_that_were_named_right():
    views = {"top": (8, 2, 2), "side": (1, 0, 9)}
    cells = [
        counted("a", seed, [(9, 2, 11)], views=views, view_named_right=share) for seed, share in enumerate((0.5, 0.7))
    ]
    cells.append(counted("b", 0, [(9, 2, 11)], views=views, view_named_right=None))
    known = small(cells, {"a": False, "b": False}, micrographs=1)
    found = summary.views(known, "d").groupby("method")["named_right"].agg(["min", "max"])
    assert found.loc["a"].tolist() == pytest.approx([0.6, 0.6])
    assert found.loc["b"].isna().all()


def test_shifts_are_means_over_the_seeds_and_a_dash_where_they_were_not_measured():
    where = [{"dx_share": share, "dy_share": 0.0, "rms_share": 0.1, "shifted": share > 0.02} for share in (0.01, 0.03)]
    cells = [counted("a", seed, [(8, 2, 2)], localisation=where[seed]) for seed in (0, 1)]
    cells.append(counted("b", 0, [(8, 2, 2)]))
    known = small(cells, {"a": False, "b": False}, micrographs=1)
    found = summary.scores(known, "d").set_index("method")
    assert found.loc["a", [*summary.SHIFTS]].tolist() == pytest.approx([0.02, 0, 0.1])
    assert found["shifted"].to_dict() == {"a": True, "b": False}
    assert found.loc["b", [*summary.SHIFTS]].isna().all()
    shown = tables.formatted(tables.scores(known, "d")).set_index("method")
    assert shown.loc["A", ["dx, %", "dy, %", "RMS, %"]].tolist() == ["2.0", "0.0", "10.0"]
    assert shown.loc["B", ["dx, %", "dy, %", "RMS, %"]].tolist() == ["-", "-", "-"]
    (sentence,) = (one for one in verdict(known, "d") if "+2.0 %" in one)
    assert "A (" in sentence
    assert "B (" not in sentence


def test_no_views(made_up):
    assert not len(summary.views(made_up, "apoferritin_sim"))
    assert set(summary.views(made_up, "klh_sim")["method"]) == set(METHODS)


class TestPairs:
    def test_against(self):
        a, b = [(8, 2, 2), (7, 3, 3)], [(6, 2, 4), (5, 5, 5)]
        known = small([counted("a", 0, a), counted("b", 0, b)], {"a": False, "b": False})
        expected = paired.compare(*(pd.DataFrame(cell["per_micrograph"]) for cell in known["cells"]))
        (row,) = summary.against(known, "d", "a").to_dict("records")
        assert (row["method"], row["difference"], row["interval"], row["p"]) == ("b", *expected[:3])
        assert row["corrected"] == row["p"]  # of a single comparison
        assert summary.against(known, "d", "b")["difference"].tolist() == pytest.approx([-expected.difference])

    def test_against_is_every_other_method_with_scores(self, made_up):
        others = summary.against(made_up, "klh_sim", "auto")["method"]
        assert sorted(others) == sorted(set(METHODS) - {"auto"})

    def test_one_micrograph_distinguishes_nothing(self):
        known = small([counted("a", 0, [(9, 0, 1)]), counted("b", 0, [(1, 9, 9)])], dict.fromkeys("ab", False))
        assert not summary.against(known, "d", "a")["distinguishable"].any()

    def test_standing(self, made_up):
        found = summary.standing(made_up, "klh_sim", labels=False)
        assert set(found["method"]) == {name for name, (*_, labels) in METHODS.items() if not labels}
        assert found["method"].iloc[0] == "auto"
        assert found["corrected"].iloc[0] == 1
        assert not found["distinguishable"].iloc[0]
        # Made to find 60 % of the particles against 95 %: no doubt on ten micrographs.
        assert found.set_index("method")["distinguishable"]["autocryopicker"]
        assert found["best"].tolist() == (~found["distinguishable"]).tolist()
        assert "a" in found["letters"].iloc[0]
        assert not set(found["letters"].iloc[-1]) & set(found["letters"].iloc[0])
        assert not len(summary.standing(small([], {"a": False}), "d", labels=True))

    def test_p_is_corrected_for_all_pairs_of_the_dataset(self, made_up):
        found = summary.comparisons(made_up, "klh_sim")
        n = len(METHODS)
        assert len(found) == n * (n - 1) // 2
        assert found["corrected"].tolist() == paired.holm(found["p"]).tolist()
        assert found["testable"].all()

    def test_too_few_micrographs_for_so_many_methods(self):
        qualities = {"a": 0.9, "b": 0.7, "c": 0.5, "d": 0.3}
        cells = [many(name, quality, 7) for name, quality in qualities.items()]
        known = small(cells, dict.fromkeys(qualities, False), micrographs=7)
        found = summary.standing(known, "d", labels=False)
        # The least p is 2 / 2^7, and there are six pairs.
        assert found["corrected"].iloc[1] == pytest.approx(6 / 64)
        assert not found["best"].any()
        assert set(found["letters"]) == {""}
        more = small([many(name, quality, 8) for name, quality in qualities.items()], dict.fromkeys(qualities, False))
        found = summary.standing(more, "d", labels=False)
        assert found["letters"].tolist() == list("abcd")
        assert found["best"].tolist() == [True, False, False, False]

    def test_all_datasets_together(self, made_up):
        found = summary.standing(made_up, None, labels=False).set_index("method")
        assert "autocryopicker" in found.index
        assert not len(summary.standing(made_up, None, labels=True).query("method == 'deepem'"))  # skipped on one
        by_dataset = [
            summary.scores(made_up, name).set_index("method")["f1"] for name in ("klh_sim", "apoferritin_sim")
        ]
        assert found.loc["auto", "f1"] == pytest.approx((by_dataset[0]["auto"] + by_dataset[1]["auto"]) / 2, abs=0.005)
        assert summary.comparisons(made_up, None)["micrographs"].unique().tolist() == [20]


def test_sweep(made_up):
    found = summary.sweep(made_up)
    assert found.groupby("method")["value"].apply(list).tolist() == [list(SNR)] * len(METHODS)
    assert set(found["axis"]) == {"snr"}
    auto = found[found["method"] == "auto"]
    assert auto["f1"].is_monotonic_increasing
    assert summary.dataset_names(made_up) == ["klh_sim", "apoferritin_sim"]
    assert len(summary.dataset_names(made_up, swept=True)) == len(SNR)


def test_mean_of_a_sweep_needs_all_points(made_up):
    dataset = f"klh_snr_{SNR[0]:g}"
    failed = without("auto", dataset, 0, "failed", "no memory")
    cells = [failed if (one["method"], one["dataset"]) == ("auto", dataset) else one for one in made_up["cells"]]
    cells = [one for one in cells if one["method"] != "template" or one["dataset"] != f"klh_snr_{SNR[1]:g}"]
    found = summary.sweep_table(summary.sweep({**made_up, "cells": cells}))
    assert set(found.index) == set(METHODS)
    assert set(found.index[-2:]) == {"auto", "template"}
    assert found["mean"].isna().tolist() == [False] * 4 + [True] * 2
    assert found.loc["deepem", "mean"] == pytest.approx(found.loc["deepem", list(SNR)].mean())


class TestProvenance:
    def rows(self, cells):
        return summary.provenance(small(cells, {"a": False})).set_index("what")["value"]

    def test_what_all_cells_share(self):
        on_cpu = {**MADE, "machine": {**MACHINE, "device": "cpu"}, "date": "2026-01-02T00:00:00Z"}
        rows = self.rows([counted("a", 0, [(8, 2, 2)]), counted("a", 1, [(8, 2, 2)], wall=60.0, provenance=on_cpu)])
        # That one of the two has no network makes no other machine of it.
        assert rows["machine"] == "Linux, x86_64, 2 cores, 16.0 GB"
        assert (rows["networks on"], rows["commit"], rows["duration"]) == ("cpu", "one", "1.5 min")
        assert rows["date"] == "2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z"

    def test_what_they_do_not_share(self):
        other = {**MADE, "machine": {**MACHINE, "cores": 64}, "commit": "two+"}
        rows = self.rows([counted("a", seed, [(8, 2, 2)], provenance=made) for seed, made in enumerate((MADE, other))])
        assert rows["machine"].count("(1 cell)") == 2
        assert "64 cores" in rows["machine"]
        assert "one (1 cell)" in rows["commit"]
        assert "two+ (1 cell)" in rows["commit"]

    def test_failed_cells_were_made_by_nothing(self):
        rows = self.rows([counted("a", 0, [(8, 2, 2)]), without("a", "d", 1, "failed", "killed")])
        assert (rows["commit"], rows["cells"]) == ("one", "1 done, 1 failed")


class TestNotRun:
    def config(self, *methods, seeds=1):
        made = [{"name": name, "title": name.upper(), "simulate": {"protein": "klh", "test": 1}} for name in ("d", "e")]
        return {"name": "c", "methods": list(methods), "seeds": seeds, "datasets": made}

    def test_methods_datasets_and_seeds(self):
        known = small([many("auto", 0.9), many("template", 0.8)], {"auto": False, "template": False})
        known["config"] = self.config("auto", "template", "deepem", seeds=3)
        missing = " ".join(summary.not_run(known))
        assert all(name in missing for name in ("*DeepEM*", "*E*", "2 of 3"))
        assert "*auto*" not in missing
        assert summary.heading(known) != summary.heading({**known, "config": {}})
        assert any(missing.split()[-1] in sentence for sentence in verdicts.run(known))

    def test_run_that_was_stopped(self):
        known = small(
            [many("auto", 0.9), counted("deepem", 0, [(8, 2, 2)]), counted("auto", 0, [(8, 2, 2)], dataset="e")],
            {"auto": False, "deepem": True},
        )
        known["config"] = self.config("auto", "deepem")
        (missing,) = summary.not_run(known)
        assert "*DeepEM*" in missing
        assert missing.endswith("E")

    def test_dataset_that_takes_the_place_of_another(self):
        known = small([many("auto", 0.9)], {"auto": False})
        other = {"name": "d", "simulate": {"protein": "klh", "test": 1}}
        known["config"] = {"name": "c", "methods": ["auto"], "datasets": [{"name": "klh", "otherwise": other}]}
        assert summary.not_run(known) == []

    def test_points_of_sweeps(self, made_up):
        made = {"name": "klh", "simulate": {"protein": "klh", "test": 3}}
        datasets = [
            {"name": name, "simulate": {"protein": "klh", "test": 6}} for name in ("klh_sim", "apoferritin_sim")
        ]
        sweeps = [
            {"axis": "snr", "values": [*SNR, 0.8], "dataset": made},
            {"axis": "defocus", "values": [1, 2], "dataset": made},
        ]
        config = {"name": "c", "methods": list(METHODS), "datasets": datasets, "sweeps": sweeps}
        assert configuration.parse(config)
        (missing,) = summary.not_run({**made_up, "config": config})
        assert missing.endswith("snr 0.8, defocus 1, defocus 2")

    def test_configuration_that_cannot_be_read(self, made_up):
        assert summary.not_run(made_up) == []


def test_provenance_and_datasets(made_up):
    told = summary.provenance(made_up).set_index("what")["value"]
    assert told["machine"] == "Linux, x86_64, 2 cores, 15.6 GB"
    assert told["networks on"] == "cpu"
    assert told["seeds"] == "0, 1"
    assert told["duration"] == "7.5 min"
    assert told["cells"] == "45 done, 1 failed, 2 skipped"
    found = tables.datasets(made_up).set_index("dataset").loc["simulated klh"]
    assert [found[f"{split}: micrographs (particles)"] for split in ("train", "test")] == ["4 (80)", "10 (200)"]
    assert re.fullmatch(r"\d+ side, \d+ top", found["views of the test"])


def test_plain_text(made_up):
    text = tables.text(made_up)
    assert "no room" in text
    assert f"{summary.scores(made_up, 'klh_sim')['f1'].iloc[0]:.3f}" in text
    assert "simulated klh, snr 0.05" in text


class TestReported:
    def test_average_of_the_views(self):
        """The paper's averages are those of its own two rows."""
        table = reported.table(7)
        for _, rows in table.groupby("method"):
            views = rows.set_index("view")[["precision", "recall", "f1"]]
            expected = views.loc[["top", "side"]].mean()
            assert np.allclose(views.loc["average"], expected, atol=0.0051)

    @pytest.mark.real
    def test_numbers_are_in_the_paper(self, shared):
        text = (shared / "reference" / "deepcryopicker_2020_paper.txt").read_text(encoding="utf-8")
        text = text.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{NON-BREAKING HYPHEN}", "-")
        sections = {
            number: text[start : start + 2500]
            for number in (3, 4, 5, 6, 7, 8)
            for start in [re.search(rf"^Table {number} ", text, re.M).start()]
        }
        for number in (3, 7):
            column = "patch_accuracy" if number == 3 else "accuracy"
            for value in reported.table(number)[column]:
                assert f"{100 * value:.2f}" in sections[number]
        names = {"deepem": "DeepEM", "relion_template": "RELION", "pixer": "PIXER", "deeppicker": "DeepPicker"}
        names["deepcryopicker"] = "DeepCryoPicker"
        for row in reported.table(7).itertuples():
            start = sections[7].index(f"\n{names[row.method]} Top")
            words = {"top": "Top", "side": "Side", "average": "Average"}[row.view]
            line = re.search(rf"{words}.*", sections[7][start:]).group()
            found = [float(word) for word in re.findall(r"\d+\.?\d*", line)[1:]]
            if row.view == "average":
                found = [value / 100 for value in found]
            assert found == pytest.approx([row.precision, row.recall, row.f1])
        for row in reported.table(4).itertuples():
            sides = [f"{side} x {side}" for side in (row.box, row.scaled_box, row.scaled_side, row.unified_side)]
            assert all(words in sections[4] for words in sides)
            assert row.factor == 1 or f"({row.factor:g})" in sections[4]
        for row in reported.table(5).itertuples():
            assert f"{row.accuracy:.2f} {row.precision:.2f} {row.recall:.2f} {row.f1:.2f}" in sections[5]
        for row in reported.table(8).itertuples():
            assert f"{row.side_px} x {row.side_px} {row.micrographs} {row.cpu} {row.gpu}" in sections[8]
        sides = reported.table(6).set_index("split")
        assert f"side-view particles {sides.side.train} {sides.side.test}" in sections[6]
        assert f"top-view particles {sides.top.train} {sides.top.test}" in sections[6]

    def test_contradictions_that_the_notes_tell_of(self):
        rows = reported.table(7).query("method == 'deepcryopicker' and view != 'top'")
        assert (rows["f1"] > rows[["precision", "recall"]].max(axis=1)).all()
        scales = reported.table(4).set_index("title")
        follow = (scales["side"] * scales["factor"] - scales["scaled_side"]).abs() <= 1
        assert list(scales.index[~follow]) == ["apoferritin", "ribosome"]
        train = reported.table(6).set_index("split").loc["train"]
        assert train["side"] + train["top"] == train["particles"] == 1578

    def test_no_other_program_is_among_them(self):
        assert not {"topaz", "cryolo"} & set(reported.table(7)["method"])

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ({"picker": "deepem", "labels": True}, "deepem"),
            ({"picker": "deepem", "labels": False}, None),
            ({"picker": "deepcryopicker", "labels": False, "settings": {"width": 1}}, "deepcryopicker"),
            ({"picker": "deepcryopicker", "labels": False, "settings": {"classes_setting": "4 + negative"}}, None),
            ({"picker": "deepcryopicker", "labels": True}, None),
            ({"picker": "auto", "labels": False}, None),
            ({"picker": None, "labels": False}, None),
        ],
    )
    def test_which_method_of_the_paper(self, method, expected):
        assert reported.compared({"settings": {}, **method}) == expected

    def test_table_that_is_not_here(self):
        with pytest.raises(ArgumentError, match=r"table.* 2$"):
            reported.table(2)

    def test_beside_measured(self, made_up):
        found = tables.beside_reported(made_up, "klh_sim").set_index(["method", "view"])
        assert set(found.index.get_level_values(0)) == {"deepcryopicker", "deepem", "deeppicker"}
        row = found.loc["deepem", "top"]
        names = ("precision", "recall", "F1", "accuracy")
        assert [row[f"{name} (reported)"] for name in names] == [0.88, 0.89, 0.88, 0.8904]
        views = summary.views(made_up, "klh_sim").set_index(["method", "view"])
        assert row["F1"] == views.loc[("deepem", "top"), "f1"]
        assert found.loc[("deepem", "average"), "F1 (reported)"] == 0.89
        assert not len(tables.beside_reported(made_up, "apoferritin_sim"))

    def test_times_in_seconds(self, made_up):
        found = tables.times_beside_reported(made_up).set_index("dataset")
        reported_times = ["CPU, s (reported)", "GPU, s (reported)"]
        assert found.loc["simulated klh", reported_times].tolist() == pytest.approx([678, 72])
        assert found.loc["simulated apoferritin", reported_times[0]] == pytest.approx(948)

    def test_class_settings_are_pooled_over_the_datasets(self):
        methods = {"deepcryopicker": False, "five": False}
        known = small([], methods)
        known["methods"]["five"] |= {"picker": "deepcryopicker", "settings": {"classes_setting": "five classes"}}
        known["datasets"]["e"] = copy.deepcopy(known["datasets"]["d"])
        known["datasets"]["f"] = copy.deepcopy(known["datasets"]["d"])
        known["cells"] = [
            counted("deepcryopicker", 0, [(9, 1, 1)]), counted("deepcryopicker", 0, [(30, 0, 10)], dataset="e"),
            counted("five", 0, [(8, 2, 2)]), counted("five", 0, [(20, 20, 20)], dataset="e"),
            counted("deepcryopicker", 0, [(1, 99, 99)], dataset="f"),
        ]  # fmt: skip
        found = tables.class_settings(known).set_index("classes")
        # f has one of the settings only, and counts for neither.
        assert found.loc["4 + background", "F1"] == pytest.approx(78 / (78 + 1 + 11))
        assert found.loc["five classes", "precision"] == pytest.approx(28 / 50)
        assert found.loc["five classes", "recall (reported)"] == 0.88
        assert found["datasets"].tolist() == [2, 2]


class TestVerdict:
    """The wording is free; who is named as first, next, ahead or behind, and with what numbers, is not."""

    def ranked(self, auto, other, n=8):
        known = small([many("auto", auto, n), many("other", other, n)], dict.fromkeys(("auto", "other"), False))
        known["datasets"]["d"]["micrographs"]["test"] = [f"m{index}" for index in range(n)]
        return known, verdict(known, "d")

    def test_win(self):
        known, said = self.ranked(0.9, 0.7)
        (first,) = (one for one in said if "first" in one)
        assert "AUTO is first" in first
        scores = [cell["scores"]["f1"] for cell in known["cells"]]
        assert f"OTHER ({scores[1]:.3f}, behind by {scores[0] - scores[1]:.3f}, " in first
        assert "p = 0.0078)" in first
        assert "not distinguishable" not in first

    def test_loss_is_told_as_plainly(self):
        known, said = self.ranked(0.7, 0.9)
        lost = known["cells"][1]["scores"]["f1"] - known["cells"][0]["scores"]["f1"]
        assert any("OTHER is first" in one for one in said)
        (own,) = (one for one in said if one.startswith("AUTO"))
        assert "2 of 2" in own
        # The same on every micrograph: the interval is a point.
        assert f"behind OTHER by {lost:.3f} ({lost:.3f} to {lost:.3f}, p = 0.0078)" in own

    def test_not_distinguishable(self):
        a, b = [(9, 1, 1), (5, 5, 5)] * 4, [(8, 1, 2), (6, 6, 4)] * 4
        known = small([counted("auto", 0, a), counted("other", 0, b)], {"auto": False, "other": False}, micrographs=8)
        assert any("not distinguishable from it: OTHER" in one for one in verdict(known, "d"))

    @pytest.mark.parametrize(("n", "least"), [(1, "single"), (3, "0.25"), (5, "0.062")])
    def test_few_micrographs(self, n, least):
        _, said = self.ranked(0.7, 0.9, n)
        assert least in said[0]
        assert " distinguishable" not in " ".join(said[1:])

    def test_with_labels_apart(self, made_up):
        said = verdict(made_up, "klh_sim")
        assert sum(one.startswith("Without labels: auto is first") for one in said) == 1
        assert sum(one.startswith("With labels: deeppicker is first") for one in said) == 1
        assert any("auto is behind deeppicker by" in one for one in said)

    def test_claim_of_the_paper(self, made_up):
        (said,) = (one for one in verdict(made_up, "klh_sim") if one.startswith("The paper"))
        assert "behind deeppicker" in said
        assert "ahead of deepem" in said
        assert not any(one.startswith("The paper") for one in verdict(made_up, "apoferritin_sim"))

    def test_missing_scores(self, made_up):
        assert any("deepem (skipped)" in one for one in verdict(made_up, "apoferritin_sim"))
        assert not any("deepem (" in one for one in verdict(made_up, "klh_sim") if "0." not in one)
        result = copy.deepcopy(made_up)
        cell = next(one for one in result["cells"] if (one["method"], one["dataset"]) == ("deepem", "klh_sim"))
        cell |= {"status": "failed", "error": "memory"}
        assert any("deepem (" in one and "failed" in one for one in verdict(result, "klh_sim"))

    def test_titles_stand_out(self, made_up):
        assert any("*auto* is first" in one for one in verdicts.dataset(made_up, "klh_sim"))

    def test_nothing_was_run(self):
        assert verdict(small([], {"a": False}), "d")

    def test_other_programs(self):
        """A program that learned from labels is no match for a method that did not, but for one that did."""
        methods = {"auto": False, "auto_labels": True, "topaz": False, "topaz_labels": True}
        cells = [many(name, quality) for name, quality in zip(methods, (0.7, 0.8, 0.6, 0.9), strict=True)]
        known = small(cells, methods, micrographs=8)
        known["methods"]["topaz_labels"]["picker"] = "topaz"
        said = {one.split(" and other")[0]: one for one in verdict(known, "d") if "other programs" in one}
        assert "behind TOPAZ_LABELS" in said["AUTO"]
        assert "ahead of TOPAZ by" in said["AUTO"]
        assert "behind TOPAZ_LABELS" in said["AUTO_LABELS"]
        assert "TOPAZ by" not in said["AUTO_LABELS"]

    def test_ties_are_no_wins(self):
        names = {"auto": False, "b": False, "c": False, "d": False}
        cells = [counted(name, 0, [(19, 0, 1)] * 3) for name in ("auto", "b", "c")]
        said = verdict(small([*cells, many("d", 0.5, 3)], names, micrographs=3), "d")
        (shared,) = (one for one in said if one.startswith("Without labels"))
        assert "AUTO, B and C share" in shared
        assert "0.974" in shared
        assert "the next is D" in shared
        assert "is first" not in " ".join(said)
        assert not any(one.startswith("AUTO") for one in said)  # it is not behind

    def test_own_thresholds_stand_beside(self):
        """The F1 that ranks has seen labels of the validation micrographs; own thresholds have not."""
        own = {"a": scored(60, 40, 40), "b": scored(70, 30, 30)}
        cells = [{**many(name, quality), "own": own[name]} for name, quality in (("a", 0.9), ("b", 0.8))]
        known = small(cells, {"a": False, "b": False}, micrographs=8)
        assert "0.700" not in " ".join(verdict(known, "d"))
        known["datasets"]["d"]["micrographs"]["validation"] = ["v"]
        (said,) = (one for one in verdict(known, "d") if one.startswith("Without labels: A is first"))
        assert said.endswith("B with 0.700.")

    def test_what_the_test_can_show(self):
        cells = [many(name, quality, 6) for name, quality in (("a", 0.9), ("b", 0.5), ("c", 0.1))]
        said = verdict(small(cells, dict.fromkeys("abc", False), micrographs=6), "d")
        assert "0.094" in said[0]
        assert "3 comparisons" in said[0]
        # It does not call methods alike that are far apart, only because the test can show nothing.
        assert not any("not distinguishable" in one for one in said)

    def test_what_intervals_cover(self, made_up):
        (said,) = verdicts.run(made_up)
        assert re.search(r"\b\d+ % of the variance", said)
        assert len(verdicts.run(small([many("a", 0.9)], {"a": False}))) == 1

    def test_sweep(self, made_up):
        (said,) = (one.replace("*", "") for one in verdicts.sweep(made_up) if one.startswith("With labels"))
        assert "4 points" in said
        assert "2 methods" in said
        assert "deeppicker at 4" in said

    def test_sweep_with_a_tie_and_a_failure(self, made_up):
        known = copy.deepcopy(made_up)
        cells = {(one["method"], one["dataset"]): one for one in known["cells"] if one["seed"] == 0}
        first, second, third, _ = (f"klh_snr_{snr:g}" for snr in SNR)
        cells["deepem", first]["scores"] = copy.deepcopy(cells["deeppicker", first]["scores"])
        for method in ("deepem", "deeppicker"):  # nothing is found: no method is first
            cells[method, second]["scores"]["f1"] = 0.0
        cells["deeppicker", third] |= without("deeppicker", third, 0, "failed", "no memory")
        ranks, failed = (one.replace("*", "") for one in verdicts.sweep(known) if one.startswith("With labels"))
        assert "deepem at 2, deeppicker at 2 (1 shared)" in ranks
        assert "deeppicker at 1" in failed


class TestGiven:
    """Picks as given, of which it is not known whether labels went into them."""

    def test_ranked_where_labels_are_allowed(self):
        known = with_given(result(), like="auto")
        assert summary.learns(known, "mine") is None
        for labels in (False, True):
            ranked = summary.standing(known, "klh_sim", labels=labels)["method"].tolist()
            assert ("mine" in ranked) == labels
        said = verdict(known, "klh_sim")
        assert any(one.startswith("Without labels: auto is first") for one in said)
        (own,) = (one for one in said if one.startswith("mine"))
        assert "level with auto" in own or " auto by 0.0" in own  # one seed of its two
        assert "behind deeppicker by" in own
        assert re.search(r"mine +\? ", tables.text(known))

    def test_ranked_without_labels_if_that_is_known(self):
        known = with_given(result(), like="auto")
        known["methods"]["mine"]["labels"] = False
        assert "mine" in summary.standing(known, "klh_sim", labels=False)["method"].tolist()
        assert "mine" not in summary.standing(known, "klh_sim", labels=True)["method"].tolist()

    def test_remarks(self):
        cells = [many("a", 0.8), {**many("mine", 0.9), "decisions": ["2 test micrographs of 8 without picks"]}]
        known = small(cells, {"a": False, "mine": None}, micrographs=8)
        known["methods"]["mine"]["picker"] = None
        (said,) = (one for one in verdict(known, "d") if one.startswith("MINE"))
        assert "ahead of A by" in said
        assert said.endswith("2 test micrographs of 8 without picks.")

    def test_alone(self):
        known = small([many("mine", 0.9)], {"mine": None}, micrographs=8)
        known["methods"]["mine"]["picker"] = None
        said = next(one for one in verdict(known, "d") if one.startswith("MINE"))
        assert f"{known['cells'][0]['scores']['f1']:.3f}" in said


class TestRunFiles:
    def test_picks_above_the_threshold(self, tmp_path):
        known = small([counted("a", 3, [(8, 2, 2)])], {"a": False, "b": False}, micrographs=1)
        made = picks_table("m0", [1, 2, 3], [1, 2, 3], [0.4, 0.5, 0.9], 50)
        write(made, tmp_path / "picks" / "a" / "d" / "seed3" / "m0.csv", "csv", joined=False)
        found = run_files.picks(tmp_path, known, "d", "m0")
        assert list(found) == ["a"]
        assert found["a"]["x"].tolist() == [2, 3]

    def test_picks_without_scores_all_count(self, tmp_path):
        known = small([counted("a", 0, [(8, 2, 2)])], {"a": False}, micrographs=1)
        made = picks_table("m0", [1, 2], [1, 2], diameter=50)
        write(made, tmp_path / "picks" / "a" / "d" / "seed0" / "m0.csv", "csv", joined=False)
        assert len(run_files.picks(tmp_path, known, "d", "m0")["a"]) == 2

    def test_micrographs(self, tmp_path):
        for place in ("run/data/d", "real/e/micrographs"):
            (tmp_path / place).mkdir(parents=True)
            (tmp_path / place / "one.mrc").write_bytes(b"")
        assert list(run_files.micrographs(tmp_path / "run", "d")) == ["one"]
        assert run_files.micrographs(tmp_path / "run", "e", [tmp_path / "real"])["one"].parent.parent.name == "e"
        assert run_files.micrographs(tmp_path / "run", "nothing") == {}
        assert run_files.labels(tmp_path / "run", "d") is None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("note",), 5),
        (("cells",), {}),
        (("cells", 0, "seconds"), None),
        (("cells", 0, "method"), "unknown"),
        (("cells", 0, "scores"), {}),
        (("cells", 0, "scores", "f1"), "high"),
        (("cells", 0, "per_micrograph", 0, "tp"), -1),
        (("cells", 0, "wall"), 10**400),
        (("datasets", "klh_sim", "axes"), {"snr": "x"}),
        (("methods", "auto", "settings"), []),
        (("provenance", "machine"), None),
    ],
)
def test_results_that_are_none_are_refused(tmp_path, place, value):
    damaged = result()
    inner = damaged
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "r.json").write_text(json.dumps(damaged))
    with pytest.raises(BenchmarkError, match=r"r\.json") as caught:
        result_file.load(tmp_path / "r.json")
    assert str(place[-1]) in str(caught.value)


NO_RESULTS = ['{"cryokit_benchmark": 2}', "[" * 100_000, '{"cryokit_benchmark": NaN}', "9" * 5000, ""]


@pytest.mark.parametrize("text", NO_RESULTS, ids=range(len(NO_RESULTS)))
def test_texts_that_are_no_result_are_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(BenchmarkError, match=r"r\.json"):
        result_file.load(tmp_path / "r.json")
