"""Tables and sentences from results: values by hand, order, what failed, and the paper's numbers beside them."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
from benchmark_result import METHODS, SNR, result, with_given, without

from cryokit.benchmark import reported, run_files, summary
from cryokit.benchmark import verdict as verdicts
from cryokit.coordinates import table as picks_table
from cryokit.coordinates import write
from cryokit.errors import DatasetError
from cryokit.evaluate import paired


def counted(method, seed, rows, *, dataset="d", views=None, **more):
    """A cell from (tp, fp, fn) of each micrograph."""
    tp, fp, fn = (sum(column) for column in zip(*rows, strict=True))
    return {
        "method": method, "dataset": dataset, "seed": seed, "status": "done", "error": None,
        "seconds": {"fit": 10.0 * (seed + 1), "pick": 2.0}, "peak_memory_mb": 100.0 + seed,
        "threshold": 0.5, "own_threshold": 0.5, "scores": scored(tp, fp, fn), "own": scored(tp, fp, fn),
        "views": {view: scored(*numbers) for view, numbers in (views or {}).items()},
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
        "cryokit_benchmark": 1, "name": "small", "title": "Small", "profile": None, "config": {},
        "provenance": {"cryokit": "1", "python": "3", "date": "2026-01-01T00:00:00Z", "machine": {}},
        "datasets": {
            "d": {"title": "Dataset", "kind": "real", "protein": protein, "diameter": 50.0, "fingerprint": "",
                  "manifest": "", "micrographs": {"train": [], "validation": [], "test": names}, "axes": {},
                  "views": {}, "note": "", "particles": {"train": 0, "validation": 0, "test": 20}},
        },
        "methods": {
            name: {"title": name.upper(), "picker": name, "settings": {}, "labels": labels, "source": ""}
            for name, labels in methods.items()
        },
        "cells": cells, "comparisons": [],
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

    def test_one_seed_keeps_its_own_interval(self):
        found = summary.scores(small([counted("a", 0, [(8, 2, 2), (9, 1, 1)])], {"a": False}), "d").iloc[0]
        assert (found["f1_low"], found["f1_high"]) == pytest.approx((0.75, 0.95))
        assert np.isnan(found["f1_spread"])

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
        assert (half["status"], half["seeds"]) == ("1 done, 1 failed", 1)
        assert "no room" in half["error"]
        assert 0 < half["f1"] < 1

    def test_cells_without_values(self):
        bare = {"method": "a", "dataset": "d", "seed": 0, "status": "failed", "error": "no"}
        found = summary.scores(small([bare], {"a": False}), "d")
        assert found["f1"].isna().all()
        assert summary.failures(small([bare], {"a": False})).iloc[0].tolist() == ["d", "a", 0, "failed", "no"]

    def test_picks_that_somebody_else_made_have_no_times(self):
        cell = counted("a", 0, [(8, 2, 2)], seconds={"fit": None, "pick": None}, own=None, peak_memory_mb=None)
        found = summary.scores(small([cell], {"a": False}, micrographs=1), "d").iloc[0]
        assert np.isnan(found[["fit", "pick", "memory", "own_f1"]].astype(float)).all()
        assert found["f1"] == pytest.approx(0.8)

    def test_equal_methods_are_in_the_order_of_their_titles(self):
        cells = [counted(name, 0, [(8, 2, 2)]) for name in ("b", "c", "a")]
        found = summary.scores(small(cells, {"b": False, "c": False, "a": True}, micrographs=1), "d")
        assert found["title"].tolist() == ["A", "B", "C"]

    def test_unknown_dataset(self, made_up):
        with pytest.raises(DatasetError, match=r"no dataset 'x'.*klh_sim"):
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
    assert "for all methods alike" in summary.views_rule(known, "d")
    # A result in which one cell was counted by the older rule does not claim the newer one.
    del known["cells"][-1]["view_named_right"]
    assert "by an older rule" in summary.views_rule(known, "d")


def test_no_views(made_up):
    assert not len(summary.views(made_up, "apoferritin_sim"))
    assert set(summary.views(made_up, "klh_sim")["method"]) == set(METHODS)


class TestPairs:
    def test_the_runs_own_comparison_either_way_round(self):
        known = small([counted(name, 0, [(8, 2, 2), (7, 3, 3)]) for name in "ab"], {"a": False, "b": False})
        known["comparisons"] = [
            {"dataset": "d", "first": "a", "second": "b", "difference": 0.1, "interval": [-0.1, 0.4], "p": 0.3,
             "micrographs": 2}
        ]  # fmt: skip
        assert summary.comparison(known, "d", "a", "b") == (0.1, (-0.1, 0.4), 0.3, 2)
        assert summary.comparison(known, "d", "b", "a") == (-0.1, (-0.4, 0.1), 0.3, 2)
        known["comparisons"] = []
        assert summary.comparison(known, "d", "a", "b").difference == 0

    def test_null_interval(self):
        known = small([counted(name, 0, [(8, 2, 2)]) for name in "ab"], {"a": False, "b": False}, micrographs=1)
        told = {"difference": 0, "interval": [None, None], "p": 1, "micrographs": 1}
        known["comparisons"] = [{"dataset": "d", "first": "a", "second": "b", **told}]
        assert not summary.against(known, "d", "a")["distinguishable"].any()

    def test_standing(self, made_up):
        found = summary.standing(made_up, "klh_sim", labels=False)
        assert set(found["method"]) == {name for name, (*_, labels) in METHODS.items() if not labels}
        assert found["method"].iloc[0] == "auto"
        assert found["difference"].iloc[0] == 0
        assert not found["distinguishable"].iloc[0]
        # Made to find 60 % of the particles against 95 %: no doubt on six micrographs.
        assert found.set_index("method")["distinguishable"]["autocryopicker"]
        assert not len(summary.standing(small([], {"a": False}), "d", labels=True))


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
    def made(self, cells):
        known = small(cells, {"a": False})
        known["provenance"] |= {"commit": "last", "seconds": 60.0, "cryokit": "1"}
        return summary.provenance(known).set_index("what")["value"], summary.measured_on(known)

    def test_of_every_cell(self):
        machine = {"system": "Linux", "cores": 2, "device": None}
        cells = [
            counted("a", 0, [(8, 2, 2)], wall=30.0, provenance={"commit": "one", "machine": machine}),
            counted(
                "a", 1, [(8, 2, 2)], wall=60.0, provenance={"commit": "one", "machine": {**machine, "device": "cpu"}}
            ),
        ]
        told, measured = self.made(cells)
        # That one of the two has no network makes no other machine of it.
        assert told["machine"] == "Linux, 2 cores"
        assert (told["networks on"], told["commit"], told["duration"]) == ("cpu", "one", "1.5 min")
        assert measured.startswith("On the machine named above")
        cells[1]["provenance"] |= {"machine": {"system": "Linux", "cores": 64}, "commit": "two+"}
        told, measured = self.made(cells)
        assert told["machine"] == "Linux, 2 cores (1 cell), Linux, 64 cores (1 cell)"
        assert told["commit"].startswith("2 states of the source: one (1 cell), two+ (1 cell)")
        assert "not committed" in told["commit"]
        assert measured.startswith("On 2 machines")

    def test_of_older_results(self):
        """They know the commit of a cell, and how long the last call was, whatever it made."""
        cells = [counted("a", seed, [(8, 2, 2)], commit="x") for seed in (0, 1)]
        told, measured = self.made(cells)
        assert (told["commit"], told["duration"]) == ("x", "1.0 min")
        assert "machine named above" not in measured
        cells[0]["commit"] = "y"
        told, _ = self.made(cells)
        assert told["commit"] == "2 states of the source: y (1 cell), x (1 cell)"
        assert "duration" not in told
        assert "of the last call" in told["date"]

    def test_part_of_the_duration(self):
        cells = [counted("a", 0, [(8, 2, 2)], wall=90.0), counted("a", 1, [(8, 2, 2)])]
        assert self.made(cells)[0]["duration"] == "1.5 min (1 of 2 cells)"


class TestNotRun:
    def config(self, *methods, seeds=1):
        made = [{"name": name, "title": name.upper(), "simulate": {"protein": "klh", "test": 1}} for name in ("d", "e")]
        return {"name": "c", "methods": list(methods), "seeds": seeds, "datasets": made}

    def test_methods_datasets_and_seeds(self):
        known = small([many("auto", 0.9), many("template", 0.8)], {"auto": False, "template": False})
        known["config"] = self.config("auto", "template", "deepem", seeds=3)
        assert summary.not_run(known) == ["method: *DeepEM*", "dataset: *E*", "2 of 3 seeds"]
        assert summary.heading(known) == "Small, in part"
        assert any("Not run" in one for one in verdicts.run(known))

    def test_run_that_was_stopped(self):
        known = small(
            [many("auto", 0.9), counted("deepem", 0, [(8, 2, 2)]), counted("auto", 0, [(8, 2, 2)], dataset="e")],
            {"auto": False, "deepem": True},
        )
        known["config"] = self.config("auto", "deepem")
        assert summary.not_run(known) == ["*DeepEM* on E"]

    def test_dataset_that_takes_the_place_of_another(self):
        known = small([many("auto", 0.9)], {"auto": False})
        other = {"name": "d", "simulate": {"protein": "klh", "test": 1}}
        known["config"] = {"name": "c", "methods": ["auto"], "datasets": [{"name": "klh", "otherwise": other}]}
        assert summary.not_run(known) == []

    def test_title_of_sweeps_promises_no_other(self, made_up):
        names = summary.dataset_names(made_up, swept=True)
        part = {**made_up, "title": "Methods against everything", "profile": None}
        part["datasets"] = {name: made_up["datasets"][name] for name in names}
        part["cells"] = [one for one in made_up["cells"] if one["dataset"] in names]
        made = {"name": "klh", "simulate": {"protein": "klh", "test": 3}}
        part["config"] = {
            "name": "c",
            "methods": list(METHODS),
            "sweeps": [
                {"axis": "snr", "values": [*SNR, 0.8], "dataset": made},
                {"axis": "defocus", "values": [1, 2], "dataset": made},
            ],
        }
        assert summary.not_run(part) == ["sweep: defocus", "point: snr 0.8"]
        assert summary.heading(part) == "Methods against snr, in part"

    def test_configuration_of_another_version(self, made_up):
        assert summary.not_run(made_up) == []
        assert summary.heading(made_up) == "Made-up pickers, profile quick"


def test_provenance_and_datasets(made_up):
    told = summary.provenance(made_up).set_index("what")["value"]
    assert told["machine"] == "Linux, x86_64, 2 cores, 15.6 GB"
    assert told["networks on"] == "cpu"
    assert told["seeds"] == "0, 1"
    assert told["duration"] == "10.2 min"
    assert told["cells"] == "45 done, 1 failed, 2 skipped"
    found = summary.datasets(made_up).set_index("dataset")
    assert found.loc["klh_sim", ["train_micrographs", "test_micrographs", "test_particles"]].tolist() == [4, 6, 120]
    assert re.fullmatch(r"\d+ side, \d+ top", found.loc["klh_sim", "views"])


def test_plain_text(made_up):
    text = summary.text(made_up)
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
            for number in (3, 5, 6, 7, 8)
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
        assert reported.compared(method) == expected

    def test_table_that_is_not_here(self):
        with pytest.raises(DatasetError, match=r"table 4 .*3, 5, 6, 7, 8"):
            reported.table(4)

    def test_beside_measured(self, made_up):
        found = summary.beside_reported(made_up, "klh_sim").set_index([("method", ""), ("view", "")])
        assert set(found.index.get_level_values(0)) == {"deepcryopicker", "deepem", "deeppicker"}
        row = found.loc["deepem", "top"]
        assert row["reported"][["precision", "recall", "f1", "accuracy"]].tolist() == [0.88, 0.89, 0.88, 0.8904]
        views = summary.views(made_up, "klh_sim").set_index(["method", "view"])
        assert row["measured", "f1"] == views.loc[("deepem", "top"), "f1"]
        assert found.loc[("deepem", "average"), ("reported", "f1")] == 0.89
        assert not len(summary.beside_reported(made_up, "apoferritin_sim"))

    def test_times_in_seconds(self, made_up):
        found = summary.times_beside_reported(made_up).set_index("dataset")
        assert found.loc["klh_sim", ["reported_cpu", "reported_gpu"]].tolist() == pytest.approx([678, 72])
        assert found.loc["apoferritin_sim", "reported_cpu"] == pytest.approx(948)

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
        found = summary.class_settings(known).set_index(("classes", ""))
        # f has one of the settings only, and counts for neither.
        assert found.loc["4 + background", ("measured", "f1")] == pytest.approx(78 / (78 + 1 + 11))
        assert found.loc["five classes", ("measured", "precision")] == pytest.approx(28 / 50)
        assert found.loc["five classes", ("reported", "recall")] == 0.88
        assert found["measured", "datasets"].tolist() == [2, 2]


class TestVerdict:
    def test_win(self):
        known = small([many("auto", 0.9), many("other", 0.7)], {"auto": False, "other": False}, micrographs=8)
        said = " ".join(verdict(known, "d"))
        assert "AUTO is first" in said
        assert "every other one is distinguishable from it, the next is OTHER" in said

    def test_loss_is_told_as_plainly(self):
        known = small([many("auto", 0.7), many("other", 0.9)], {"auto": False, "other": False}, micrographs=8)
        said = verdict(known, "d")
        lost = known["cells"][1]["scores"]["f1"] - known["cells"][0]["scores"]["f1"]
        assert any("OTHER is first" in one for one in said)
        assert any(
            f"AUTO is number 2 of 2 without labels: behind OTHER by {lost:.3f} (p = 0.0078)" in one for one in said
        )
        assert any("outside its interval" in one for one in said)

    def test_not_distinguishable(self):
        a, b = [(9, 1, 1), (5, 5, 5)] * 4, [(8, 1, 2), (6, 6, 4)] * 4
        known = small([counted("auto", 0, a), counted("other", 0, b)], {"auto": False, "other": False}, micrographs=8)
        assert any("not distinguishable from it" in one for one in verdict(known, "d"))

    @pytest.mark.parametrize(("n", "words"), [(1, "single micrograph"), (3, "0.25"), (5, "0.062")])
    def test_few_micrographs(self, n, words):
        cells = [many("auto", 0.7, n), many("other", 0.9, n)]
        said = verdict(small(cells, {"auto": False, "other": False}, micrographs=n), "d")
        assert words in said[0]
        assert "every other one is distinguishable" not in " ".join(said)

    def test_with_labels_apart(self, made_up):
        said = verdict(made_up, "klh_sim")
        assert sum(one.startswith("Without labels: auto is first") for one in said) == 1
        assert sum(one.startswith("With labels: deeppicker is first") for one in said) == 1
        assert any(one.startswith("auto is, against the best with labels, behind deeppicker") for one in said)

    def test_claim_of_the_paper(self, made_up):
        (said,) = (one for one in verdict(made_up, "klh_sim") if "The paper has" in one)
        assert "behind deeppicker" in said
        assert "ahead of deepem" in said
        assert not any("The paper has" in one for one in verdict(made_up, "apoferritin_sim"))

    def test_what_has_no_scores(self, made_up):
        assert "No scores: deepem (skipped)." in verdict(made_up, "apoferritin_sim")

    def test_what_has_scores_of_some_seeds_only(self, made_up):
        assert not any("some seeds" in one for one in verdict(made_up, "klh_sim"))
        result = copy.deepcopy(made_up)
        cell = next(each for each in result["cells"] if (each["method"], each["dataset"]) == ("deepem", "klh_sim"))
        cell |= {"status": "failed", "error": "memory"}
        (said,) = (one for one in verdict(result, "klh_sim") if "some seeds" in one)
        assert "deepem (1 failed, " in said

    def test_titles_stand_out(self, made_up):
        assert verdicts.dataset(made_up, "klh_sim")[1].startswith("Without labels: *auto* is first")

    def test_nothing_was_run(self):
        assert verdict(small([], {"a": False}), "d")[-1] == "No method was run on it."

    def test_other_programs(self):
        known = small([many("auto", 0.7), many("topaz", 0.9)], {"auto": False, "topaz": False}, micrographs=8)
        assert any("AUTO and other programs: behind TOPAZ by" in one for one in verdict(known, "d"))

    def test_programs_without_labels_are_no_match_for_a_method_with(self):
        methods = {"auto": False, "auto_labels": True, "topaz": False, "topaz_labels": True}
        cells = [many(name, quality) for name, quality in zip(methods, (0.7, 0.8, 0.6, 0.9), strict=True)]
        known = small(cells, methods, micrographs=8)
        known["methods"]["topaz_labels"]["picker"] = "topaz"
        told = {one.split(" and other")[0]: one for one in verdict(known, "d") if "other programs" in one}
        assert "behind TOPAZ_LABELS" in told["AUTO"]
        assert "ahead of TOPAZ by" in told["AUTO"]
        assert "behind TOPAZ_LABELS" in told["AUTO_LABELS"]
        assert "TOPAZ by" not in told["AUTO_LABELS"]

    def test_ties_are_no_wins(self):
        names = {"auto": False, "b": False, "c": False, "d": False}
        cells = [counted(name, 0, [(19, 0, 1)] * 3) for name in ("auto", "b", "c")]
        said = verdict(small([*cells, many("d", 0.5, 3)], names, micrographs=3), "d")
        shared = next(one for one in said if one.startswith("Without labels"))
        assert "AUTO, B and C share the first place with an F1 of 0.974; the next is D" in shared
        assert "is first" not in " ".join(said)
        assert "number" not in " ".join(said)  # auto is not behind

    def test_own_thresholds_are_told_beside(self):
        """The F1 that ranks has seen labels of the validation micrographs; own thresholds have not."""
        own = {"a": scored(60, 40, 40), "b": scored(70, 30, 30)}
        cells = [{**many(name, quality), "own": own[name]} for name, quality in (("a", 0.9), ("b", 0.8))]
        known = small(cells, {"a": False, "b": False}, micrographs=8)
        assert "Without the labels" not in " ".join(verdict(known, "d"))
        known["datasets"]["d"]["micrographs"]["validation"] = ["v"]
        (said,) = (one for one in verdict(known, "d") if one.startswith("Without labels: A is first"))
        assert said.endswith("Without the labels of the validation micrographs the best is B with 0.700.")

    def test_what_the_test_can_tell(self):
        cells = [many(name, 0.9, 6) for name in "abc"]
        said = verdict(small(cells, dict.fromkeys("abc", False), micrographs=6), "d")
        assert said[0].startswith("6 micrographs cannot give a p below 0.031")
        assert "not corrected for the 2 comparisons" in said[0]

    def test_one_training(self, made_up):
        assert not any("One training" in one for one in verdicts.run(made_up))
        assert any("One training" in one for one in verdicts.run(small([many("a", 0.9)], {"a": False})))

    def test_sweep(self, made_up):
        assert "With labels, snr of klh: of 4 points and 2 methods the first is deeppicker at 4." in [
            one.replace("*", "") for one in verdicts.sweep(made_up)
        ]

    def test_sweep_with_a_tie_and_a_failure(self, made_up):
        known = copy.deepcopy(made_up)
        cells = {(one["method"], one["dataset"]): one for one in known["cells"] if one["seed"] == 0}
        first, second, third, _ = (f"klh_snr_{snr:g}" for snr in SNR)
        cells["deepem", first]["scores"] = copy.deepcopy(cells["deeppicker", first]["scores"])
        for method in ("deepem", "deeppicker"):  # nothing is found: nobody is first
            cells[method, second]["scores"]["f1"] = 0.0
        cells["deeppicker", third] |= without("deeppicker", third, 0, "failed", "no memory")
        said = [one.replace("*", "") for one in verdicts.sweep(known) if one.startswith("With labels")]
        assert said == [
            "With labels, snr of klh: of 4 points and 2 methods the first is deepem at 2, deeppicker at 2 (1 shared).",
            "With labels, snr of klh: no scores of deeppicker at 1.",
        ]


class TestGiven:
    """Picks of which nobody here knows whether labels went into them."""

    def test_neither_with_nor_without_labels(self):
        known = with_given(result(), like="auto")
        assert summary.learns(known, "mine") is None
        for labels in (False, True):
            assert "mine" not in summary.standing(known, "klh_sim", labels=labels)["method"].tolist()
        said = verdict(known, "klh_sim")
        assert next(one for one in said if one.startswith("Without labels")).startswith("Without labels: auto is first")
        (own,) = (one for one in said if one.startswith("mine (picks as given): F1 "))
        assert "level with auto" in own or " auto by 0.0" in own  # one seed of its two
        assert "behind deeppicker by" in own
        assert re.search(r"mine +\? ", summary.text(known))

    def test_results_that_have_them_without_labels(self):
        known = small([many("mine", 0.9)], {"mine": False})
        known["methods"]["mine"]["picker"] = None
        assert summary.learns(known, "mine") is None

    def test_what_is_to_be_minded(self):
        cells = [many("a", 0.8), {**many("mine", 0.9), "decisions": ["2 test micrographs of 8 without picks"]}]
        known = small(cells, {"a": False, "mine": None}, micrographs=8)
        known["methods"]["mine"]["picker"] = None
        (said,) = (one for one in verdict(known, "d") if one.startswith("MINE"))
        assert "ahead of A by" in said
        assert said.endswith("2 test micrographs of 8 without picks.")

    def test_alone(self):
        known = small([many("mine", 0.9)], {"mine": None}, micrographs=8)
        known["methods"]["mine"]["picker"] = None
        assert [one[:30] for one in verdict(known, "d")] == ["MINE (picks as given): F1 0.92"]


class TestRunFiles:
    def test_picks_above_the_threshold(self, tmp_path):
        known = small([counted("a", 3, [(8, 2, 2)])], {"a": False, "b": False}, micrographs=1)
        made = picks_table("m0", [1, 2, 3], [1, 2, 3], [0.4, 0.5, 0.9], 50)
        write(made, tmp_path / "picks" / "a" / "d" / "seed3" / "m0.csv", "csv", joined=False)
        found = run_files.picks(tmp_path, known, "d", "m0")
        assert list(found) == ["a"]
        assert found["a"]["x"].tolist() == [2, 3]
        assert run_files.picks(tmp_path, known, "d", "m0", seed=1) == {}

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
