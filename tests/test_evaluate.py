"""The numbers of an evaluation, against scikit-learn, against definitions and against cases worked out by hand."""

import json
import logging
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cryokit.coordinates import concatenate, table
from cryokit.errors import ArgumentError, CoordinateError
from cryokit.evaluate import by_view, evaluate, metrics, sweep

D = 40.0  # diameter in the cases below: a tolerance of 0.25 is 10 px


def crowd(seed, *, micrographs=4, n=60, m=40, side=300.0, levels=None):
    """Random picks and labels that compete for each other; `levels` gives ties among the scores."""
    rng = np.random.default_rng(seed)
    names = np.array([f"mic_{i}" for i in range(micrographs)], object)
    scores = rng.random(micrographs * n) if levels is None else rng.integers(0, levels, micrographs * n) / levels
    picks = table(np.repeat(names, n), *rng.random((2, micrographs * n)) * side, score=scores, diameter=D)
    view = rng.choice(["top", "side", "ignore"], micrographs * m, p=[0.5, 0.35, 0.15]).astype(object)
    labels = table(np.repeat(names, m), *rng.random((2, micrographs * m)) * side, diameter=D, view=view)
    return picks, labels


# -- counts --------------------------------------------------------------------------------------------------------


def test_counts_and_ratios_of_a_case_by_hand():
    labels = table("a", x=[100, 200, 300, 400], y=[50] * 4, diameter=D)
    picks = table("a", x=[106, 200, 202, 500, 600], y=[58, 50, 50, 50, 50], score=[0.9, 0.8, 0.7, 0.6, 0.5])
    result = evaluate(picks, labels)
    assert (result.tp, result.fp, result.fn, result.ignored) == (2, 3, 2, 0)
    assert result.precision == pytest.approx(2 / 5)
    assert result.recall == pytest.approx(2 / 4)
    assert result.f1 == pytest.approx(4 / 9)
    assert result.accuracy == pytest.approx(2 / 7)
    assert result.false_positive_rate == pytest.approx(3 / 5)
    assert result.false_negative_rate == pytest.approx(2 / 4)
    assert result.centre_error == pytest.approx((10 + 0) / 2)
    assert result.recall_ceiling == pytest.approx(2 / 4)
    assert result.average_precision == pytest.approx(1 / 4 + 1 / 4)
    assert (result.best_f1, result.best_threshold) == (pytest.approx(2 * 2 / (2 + 4)), 0.8)
    assert result.curve.tp.tolist() == [1, 2, 2, 2, 2]
    assert result.curve.fp.tolist() == [0, 0, 1, 2, 3]
    assert result.picks.outcome.tolist() == ["true", "true", "false", "false", "false"]
    assert result.labels.outcome.tolist() == ["found", "found", "missed", "missed"]


def test_a_pick_serves_one_particle_and_a_particle_takes_one_pick():
    labels = table("a", x=[100, 112], y=[50, 50], diameter=D)
    assert evaluate(table("a", x=[106], y=[50]), labels).tp == 1
    assert evaluate(table("a", x=[100, 101, 102], y=[50] * 3), labels.head(1)).fp == 2


def test_threshold_counts_its_own_score_and_leaves_the_curve_whole():
    picks, labels = crowd(0, levels=10)
    full, part = evaluate(picks, labels, bootstrap=0), evaluate(picks, labels, threshold=0.5, bootstrap=0)
    row = full.curve[full.curve.threshold == 0.5].iloc[0]
    assert (part.tp, part.fp) == (row.tp, row.fp)
    assert part.picks.score.min() == 0.5
    pd.testing.assert_frame_equal(part.curve, full.curve)
    assert (part.average_precision, part.recall_ceiling) == (full.average_precision, full.recall_ceiling)


@pytest.mark.parametrize("levels", [None, 6])
def test_the_curve_is_what_each_threshold_gives_alone(levels):
    picks, labels = crowd(1, micrographs=2, levels=levels)
    curve = evaluate(picks, labels, bootstrap=0).curve
    for row in curve.iloc[:: max(1, len(curve) // 8)].itertuples():
        alone = evaluate(picks[picks.score >= row.threshold], labels, bootstrap=0)
        assert (alone.tp, alone.fp) == (row.tp, row.fp)
        assert (alone.precision, alone.recall) == pytest.approx((row.precision, row.recall))
    assert curve.threshold.is_monotonic_decreasing
    assert curve.threshold.is_unique


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, 1, 5]), st.sampled_from(["distance", "iou"]))
@example(20000, 5, "distance")  # two labels of one particle
def test_the_order_of_rows_does_not_matter(seed, levels, criterion):
    picks, labels = crowd(seed, micrographs=2, n=30, m=20, side=150, levels=levels)
    rng = np.random.default_rng(seed)
    shuffled = picks.iloc[rng.permutation(len(picks))], labels.iloc[rng.permutation(len(labels))]
    # A tolerance at which nearly everything competes with its neighbours.
    given = {"criterion": criterion, "tolerance": 0.4, "bootstrap": 20}
    one, other = evaluate(picks, labels, **given), evaluate(*shuffled, **given)
    for name in ("tp", "fp", "fn", "ignored", "average_precision", "best_f1", "best_threshold"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))
    for name, interval in one.intervals.items():
        assert interval == pytest.approx(other.intervals[name])
    pd.testing.assert_frame_equal(one.curve, other.curve)
    pd.testing.assert_frame_equal(one.per_micrograph.iloc[:, :11], other.per_micrograph.iloc[:, :11])


# -- average precision -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [None, 4])
def test_average_precision_agrees_with_scikit_learn(levels):
    """Where every pick can mean one particle at most, scikit-learn's value times the ceiling is ours."""
    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1).reshape(-1, 2) * 100.0
    labelled, picked = rng.random(400) < 0.6, rng.random(400) < 0.7
    score = rng.random(400) * 0.5 + 0.4 * labelled
    if levels:
        score = np.round(score * levels) / levels
    labels = table("a", *grid[labelled].T, diameter=D)
    picks = table("a", *(grid[picked] + rng.uniform(-5, 5, (picked.sum(), 2))).T, score=score[picked])
    result = evaluate(picks, labels)
    ceiling = (labelled & picked).sum() / labelled.sum()
    assert result.recall_ceiling == pytest.approx(ceiling)
    expected = average_precision_score(labelled[picked], score[picked]) * ceiling
    assert 0.2 < expected < 0.8
    assert result.average_precision == pytest.approx(expected)


def test_average_precision_of_crowded_picks_agrees_with_scikit_learn_on_the_outcomes():
    result = evaluate(*crowd(8, levels=12), bootstrap=0)
    counted = result.picks[result.picks.outcome != "ignored"]
    expected = average_precision_score(counted.outcome == "true", counted.score) * result.recall
    assert result.average_precision == pytest.approx(expected)


def test_ties_come_in_together():
    labels = table("a", x=[0, 100], y=[0, 0], diameter=D)
    picks = table("a", x=[0, 300, 100, 400], y=[0] * 4, score=0.5)
    result = evaluate(picks, labels)
    assert len(result.curve) == 1
    assert result.average_precision == pytest.approx(0.5)


def test_perfect_and_useless_pickers():
    labels = crowd(3, side=3000)[1]
    labels = labels[labels.view != "ignore"]
    perfect = evaluate(labels, labels)
    assert (perfect.precision, perfect.recall, perfect.f1, perfect.accuracy) == (1, 1, 1, 1)
    assert (perfect.average_precision, perfect.recall_ceiling, perfect.centre_error) == (pytest.approx(1), 1, 0)
    useless = evaluate(labels.assign(x=labels.x + 10_000), labels)
    assert (useless.precision, useless.recall, useless.f1, useless.average_precision) == (0, 0, 0, 0)
    assert math.isnan(useless.centre_error)


# -- ignore labels -----------------------------------------------------------------------------------------------------


def test_picks_on_ignore_labels_count_neither_way():
    labels = table("a", x=[100, 300], y=[100, 100], diameter=D, view=["top", "ignore"])
    picks = table("a", x=[100, 320, 320.5], y=[100, 100, 100], score=[0.9, 0.8, 0.7])
    result = evaluate(picks, labels)
    assert result.picks.outcome.tolist() == ["true", "ignored", "false"]  # half a diameter is 20 px, the limit counts
    assert (result.tp, result.fp, result.fn, result.ignored) == (1, 1, 0, 1)
    assert result.curve.threshold.tolist() == [0.9, 0.7]
    assert result.per_micrograph.picks.tolist() == [3]


def test_a_particle_beside_an_ignore_label_is_still_found():
    labels = table("a", x=[100, 105], y=[100, 100], diameter=D, view=["top", "ignore"])
    result = evaluate(table("a", x=[104], y=[100], score=[0.5]), labels)
    assert (result.tp, result.fp, result.fn, result.ignored) == (1, 0, 0, 0)


def test_of_equal_picks_the_one_on_an_ignore_label_steps_back():
    labels = table("a", x=[100, 120], y=[100, 100], diameter=D, view=["top", "ignore"])
    picks = table("a", x=[101, 95], y=[100, 100], score=0.5)  # the first is nearer the particle, but may be ignored
    for order in ([0, 1], [1, 0]):
        result = evaluate(picks.iloc[order], labels)
        assert (result.tp, result.fp, result.ignored) == (1, 0, 1)


def test_ignore_labels_are_never_missed_and_ignored_views_of_picks_are_no_picks():
    labels = table("a", x=[100, 300], y=[100, 100], diameter=D, view=["top", "ignore"])
    result = evaluate(labels, labels)
    assert (result.tp, result.fp, result.fn, result.ignored) == (1, 0, 0, 0)


# -- micrographs -----------------------------------------------------------------------------------------------------


def test_micrographs_without_picks_or_without_labels_count():
    labels = table(["a", "b"], x=[100, 100], y=[100, 100], diameter=D)
    picks = table(["a", "c"], x=[100, 100], y=[100, 100], score=0.5)
    result = evaluate(picks, labels, micrographs=["a", "b", "c", "d"])
    assert (result.tp, result.fp, result.fn) == (1, 1, 1)
    rows = result.per_micrograph.set_index("micrograph")
    assert rows.index.tolist() == ["a", "b", "c", "d"]
    assert rows.precision.tolist() == pytest.approx([1, 0, 0, math.nan], nan_ok=True)
    assert rows.recall.tolist() == pytest.approx([1, 0, math.nan, math.nan], nan_ok=True)
    assert rows.f1.tolist() == pytest.approx([1, 0, 0, math.nan], nan_ok=True)
    assert result.macro["f1"] == pytest.approx(1 / 3)
    assert result.macro["recall"] == pytest.approx(1 / 2)


def test_names_are_compared_whole():
    labels = table(["mic_1", "mic_10"], x=[100, 500], y=[100, 500], diameter=D)
    picks = table(["mic_10", "mic_1"], x=[100, 500], y=[100, 500], score=0.5)
    assert evaluate(picks, labels).tp == 0
    assert evaluate(picks.assign(micrograph=["mic_1", "mic_10"]), labels).tp == 2


def test_picks_without_labels_are_named_and_not_counted(caplog):
    labels = table("a", x=[100], y=[100], diameter=D)
    picks = table(["a", "b", "b"], x=[100, 1, 2], y=[100, 1, 2], score=0.5)
    with caplog.at_level(logging.WARNING):
        result = evaluate(picks, labels)
    assert (result.tp, result.fp, result.unlabelled) == (1, 0, ("b",))
    assert caplog.messages[0].endswith(": b")
    assert result.summary().endswith(": b")


def test_picks_that_are_all_on_other_micrographs():
    labels = table(["a", "b"], x=[100, 100], y=[100, 100], diameter=D)
    result = evaluate(table("b", x=[100], y=[100], score=0.5), labels, micrographs=["a"])
    assert (result.tp, result.fp, result.fn, result.unlabelled) == (0, 0, 1, ("b",))


def test_only_the_micrographs_asked_for():
    picks, labels = crowd(2)
    both = evaluate(picks, labels, micrographs=["mic_0", "mic_3"], bootstrap=0)
    apart = [evaluate(picks, labels, micrographs=[name], bootstrap=0) for name in ("mic_0", "mic_3")]
    assert both.tp == sum(result.tp for result in apart)
    assert both.fn == sum(result.fn for result in apart)
    assert both.per_micrograph.tp.tolist() == [result.tp for result in apart]


def test_no_picks_at_all():
    labels = table(["a", "b"], x=[100, 100], y=[100, 100], diameter=D)
    result = evaluate(table(), labels)
    assert (result.tp, result.fp, result.fn) == (0, 0, 2)
    assert (result.precision, result.recall, result.f1, result.average_precision) == (0, 0, 0, 0)
    assert math.isnan(result.best_threshold)
    assert len(result.curve) == 0
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["best_threshold"] is None
    assert result.summary()


def test_a_micrograph_without_particles_left_empty_is_no_error():
    result = evaluate(table(), table(), micrographs=["empty"])
    assert (result.tp, result.fp, result.fn, result.f1) == (0, 0, 0, 0)


# -- scores ------------------------------------------------------------------------------------------------------------


def test_picks_without_scores_are_one_point():
    labels = table("a", x=[100, 200], y=[100, 100], diameter=D)
    result = evaluate(table("a", x=[100, 300], y=[100, 100]), labels)
    assert not result.scored
    assert len(result.curve) == 1
    assert result.average_precision == pytest.approx(result.precision * result.recall) == pytest.approx(0.25)
    assert "best F1" not in result.summary()


def test_scores_of_any_range():
    """Log-likelihoods and correlations are as good as probabilities: only their order matters."""
    picks, labels = crowd(4, levels=20)
    usual = evaluate(picks, labels, bootstrap=0)
    other = evaluate(picks.assign(score=np.exp(5 * picks.score) - 50), labels, bootstrap=0)
    assert other.average_precision == pytest.approx(usual.average_precision)
    assert other.curve.tp.tolist() == usual.curve.tp.tolist()


# -- views -------------------------------------------------------------------------------------------------------------


def test_views():
    labels = table("a", x=[0, 100, 200, 300], y=[0] * 4, diameter=D, view=["top", "top", "side", "ignore"])
    picks = table("a", x=[0, 200, 500, 600], y=[0] * 4, score=0.5, view=["top", "top", "side", "irregular"])
    rows = evaluate(picks, labels).per_view.set_index("view")
    assert set(rows.index) == {"top", "side", "irregular"}
    assert rows.particles[["top", "side", "irregular"]].tolist() == [2, 1, 0]
    assert rows.recall[["top", "side"]].tolist() == [0.5, 1.0]
    assert math.isnan(rows.recall["irregular"])
    assert rows.fp[["top", "side", "irregular"]].tolist() == [0, 1, 1]
    assert rows.precision[["top", "side", "irregular"]].tolist() == [1.0, 0.5, 0.0]
    assert rows.agreement[["top", "side"]].tolist() == [1.0, 0.0]


def test_picks_without_views_have_recall_per_view_and_no_precision():
    labels = table("a", x=[0, 100], y=[0, 0], diameter=D, view=["top", "side"])
    result = evaluate(table("a", x=[0, 300], y=[0, 0], score=0.5), labels)
    rows = result.per_view.set_index("view")
    assert (rows.recall["top"], rows.recall["side"]) == (1.0, 0.0)
    assert rows[["fp", "precision", "agreement"]].isna().all(axis=None)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["per_view"][0]["precision"] is None


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_intervals_are_reproducible_and_hold_the_value():
    picks, labels = crowd(6, micrographs=12)
    # Micrographs of different quality: every third has lost most of its picks.
    lost = picks.micrograph.isin(["mic_0", "mic_3", "mic_6", "mic_9"]) & (np.arange(len(picks)) % 5 > 0)
    picks = picks[~lost]
    one, same = (evaluate(picks, labels, seed=3) for _ in range(2))
    other = evaluate(picks, labels, seed=4)
    assert one.intervals == same.intervals != other.intervals
    assert set(one.intervals) == {"precision", "recall", "f1", "accuracy", "average_precision"}
    for name, (low, high) in one.intervals.items():
        assert low < getattr(one, name) < high
        assert high - low < 0.5


@pytest.mark.parametrize("levels", [None, 7])
def test_identical_micrographs_leave_no_uncertainty(levels, monkeypatch):
    """Whatever is drawn, the value is that of one micrograph; also when the scores are taken in many parts."""
    picks, labels = crowd(7, micrographs=1, n=200, side=500, levels=levels)
    names = [f"m{i}" for i in range(5)]
    picks, labels = (concatenate(rows.assign(micrograph=name) for name in names) for rows in (picks, labels))
    for steps in (2048, 3):
        monkeypatch.setattr(metrics, "STEPS", steps)
        result = evaluate(picks, labels, bootstrap=50)
        for name, interval in result.intervals.items():
            assert interval == pytest.approx((getattr(result, name),) * 2, rel=1e-5)


def test_interval_of_two_micrographs_by_hand():
    """One perfect micrograph and one that is missed: recall is 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4."""
    labels = table(["a", "b"], x=[0, 0], y=[0, 0], diameter=D)
    result = evaluate(table("a", x=[0], y=[0], score=0.5), labels)
    for name in ("recall", "f1", "average_precision"):
        assert result.intervals[name] == (0.0, 1.0)


@pytest.mark.parametrize("steps", [2048, 3])
def test_intervals_are_those_of_micrographs_drawn_again_with_all_their_picks(steps, monkeypatch):
    monkeypatch.setattr(metrics, "STEPS", steps)
    rng = np.random.default_rng(2)
    counts = rng.integers(1, 20, (5, 3))
    score, true, micrograph = rng.integers(0, 10, 60) / 10, rng.random(60) < 0.5, rng.integers(0, 5, 60)
    found = metrics.bootstrap(counts, score, true, micrograph, replicates=40, seed=7)
    values = []
    for times in np.random.default_rng(7).multinomial(5, np.full(5, 0.2), size=40):
        tp, fp, fn = times @ counts
        drawn = np.repeat(np.arange(60), times[micrograph])
        area = metrics.average_precision(metrics.curve(score[drawn], true[drawn], tp + fn))
        values.append({**metrics.rates(tp, fp, fn), "average_precision": area})
    for name, interval in pd.DataFrame(values).quantile([0.025, 0.975]).items():
        assert found[name] == pytest.approx(tuple(interval), rel=1e-5)
    assert len(found) == 5
    usual = metrics.bootstrap(counts, score, true, micrograph)
    assert usual == metrics.bootstrap(counts, score, true, micrograph, replicates=1000, seed=0)


def test_one_draw_is_enough_for_an_interval_of_one_point():
    once = metrics.bootstrap(np.array([[1, 1, 2], [3, 0, 1]]), *np.zeros((3, 0), int), replicates=1)
    assert all(low == high for low, high in once.values())
    assert set(once) == {"precision", "recall", "f1", "accuracy", "average_precision"}


def test_ratios_without_a_denominator_are_zero():
    assert metrics.ratio(1, [0, 2]).tolist() == [0.0, 0.5]
    assert metrics.ratio([1, 2], 0).tolist() == [0.0, 0.0]
    assert metrics.ratio([[1], [2]], [2, 4]).tolist() == [[0.5, 0.25], [1.0, 0.5]]


def test_one_micrograph_has_no_interval():
    picks, labels = crowd(0, micrographs=1)
    assert evaluate(picks, labels).intervals == {}
    assert evaluate(*crowd(0), bootstrap=0).intervals == {}


# -- sweep, results ----------------------------------------------------------------------------------------------------


def test_sweep_rises_with_the_distance_and_falls_with_the_iou():
    picks, labels = crowd(9)
    distance = sweep(picks, labels)
    assert distance.tolerance.tolist() == [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5]
    assert distance.recall.is_monotonic_increasing
    assert distance.recall.iloc[-1] > distance.recall.iloc[0]
    assert distance.f1[3] == pytest.approx(evaluate(picks, labels, bootstrap=0).f1)
    overlap = sweep(picks, labels, [0.3, 0.5, 0.7], criterion="iou")
    assert overlap.recall.is_monotonic_decreasing


def test_the_default_of_iou_is_the_default_distance():
    label = table("a", x=[100], y=[100], diameter=D)
    at = {shift: table("a", x=[100 + shift], y=[100], score=0.5) for shift in (10, 10.5)}
    for criterion in ("distance", "iou"):
        assert evaluate(at[10], label, criterion=criterion).tp == 1
        assert evaluate(at[10.5], label, criterion=criterion).tp == 0


def test_boxes_that_cannot_match_are_told(caplog):
    labels = table("a", x=[100], y=[100], diameter=D)
    picks = table("a", x=[100], y=[100], diameter=2 * D)
    assert evaluate(picks, labels, criterion="iou").tp == 0
    assert "diameter" in caplog.text
    caplog.clear()
    assert evaluate(picks, labels, criterion="iou", diameter=D).tp == 1
    assert evaluate(picks, labels, criterion="iou", tolerance=0.25).tp == 1
    assert not caplog.text


def test_to_dict_is_json_and_holds_the_numbers():
    picks, labels = crowd(1)
    result = evaluate(picks, labels, threshold=0.3)
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    for name in ("tp", "fp", "fn", "precision", "recall", "f1", "accuracy", "average_precision", "best_f1"):
        assert content[name] == getattr(result, name)
    assert content["threshold"] == 0.3
    assert content["per_micrograph"][2]["micrograph"] == "mic_2"
    assert len(content["curve"]["precision"]) == len(result.curve)
    assert content["intervals"]["f1"] == list(result.intervals["f1"])


def test_the_summary_has_the_numbers():
    result = evaluate(*crowd(1))
    text = result.summary(per_micrograph=True)
    assert str(result) in text
    for number in (result.precision, result.recall, result.average_precision, result.intervals["f1"][1]):
        assert f"{number:.3f}" in text
    assert "mic_3" in text


def test_given_tables_stay_as_they_are():
    picks, labels = crowd(1)
    picks["score"] = np.nan
    before = picks.copy(), labels.copy()
    evaluate(picks, labels, diameter=30, bootstrap=0)
    pd.testing.assert_frame_equal(picks, before[0])
    pd.testing.assert_frame_equal(labels, before[1])


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tolerance": 0}, "tolerance.* 0$"),
        ({"tolerance": float("nan")}, "tolerance.* nan$"),
        ({"tolerance": 1.5, "criterion": "iou"}, "tolerance.* 1.5$"),
        ({"criterion": "overlap"}, "criterion.*'overlap'"),
        ({"diameter": -1}, "diameter.* -1$"),
        ({"seed": -1}, "seed.* -1$"),
        ({"bootstrap": -1}, "bootstrap.* -1$"),
    ],
)
def test_arguments_out_of_range(change, named):
    with pytest.raises(ArgumentError, match=named):
        evaluate(*crowd(0), **change)


def test_no_micrographs_at_all():
    with pytest.raises(CoordinateError):
        evaluate(*crowd(0), micrographs=[])


def test_labels_without_diameter_need_one():
    picks, labels = crowd(0)
    labels.loc[5, "diameter"] = np.nan
    with pytest.raises(CoordinateError, match=r"1 of 160 labels.*mic_0.*--diameter"):
        evaluate(picks, labels)
    assert evaluate(picks, labels, diameter=D).tp > 0


def test_the_given_diameter_takes_the_place_of_the_labels_own():
    label = table("a", x=[100], y=[100], diameter=400)
    pick = table("a", x=[130], y=[100])
    assert evaluate(pick, label).tp == 1
    assert evaluate(pick, label, diameter=D).tp == 0


def test_some_scores_missing():
    picks, labels = crowd(0)
    picks.loc[3, "score"] = np.nan
    with pytest.raises(CoordinateError, match=r"1 of 240 picks.*mic_0"):
        evaluate(picks, labels)


def test_threshold_without_scores():
    picks, labels = crowd(0)
    with pytest.raises(CoordinateError, match="threshold"):
        evaluate(picks.assign(score=np.nan), labels, threshold=0.5)


def test_no_name_in_common_shows_both_kinds_of_names():
    picks, labels = crowd(0)
    with pytest.raises(CoordinateError, match=r"mic_0_DW.*mic_0, mic_1"):
        evaluate(picks.assign(micrograph=picks.micrograph + "_DW"), labels)


# -- real files --------------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(
    # F1 as published over twelve micrographs; the four here are a part of them.
    ("program", "f1", "recall"),
    [("cryolo", 0.881, 0.936), ("topaz", 0.745, 0.82), ("deeppicker", 0.302, 0.23)],
)
def test_picks_of_other_programs(shared, program, f1, recall):
    picks, labels = [], []
    for path in sorted((shared / "data/formats" / program).glob("*.box")):
        left, bottom, width, height, score = np.loadtxt(path, ndmin=2).T
        picks.append(table(path.stem, left + width / 2, 4096 - (bottom + height / 2), score=score))
        particles = pd.read_csv(shared / f"data/betagal_10017/labels/{path.stem}.csv")
        labels.append(particles.assign(micrograph=path.stem))
    picks, labels = concatenate(picks), pd.concat(labels)
    result = evaluate(picks, labels)
    assert result.f1 == pytest.approx(f1, abs=0.03)
    assert result.recall == pytest.approx(recall, abs=0.03)
    low, high = result.intervals["f1"]
    assert low < result.f1 < high
    upside_down = evaluate(picks.assign(y=4096 - picks.y), labels, bootstrap=0)
    assert upside_down.f1 < 0.2


class TestByView:
    labels = table("a", x=[100, 300, 500, 700], y=[100] * 4, diameter=80, view=["top", "top", "side", "ignore"])

    def test_picks_on_other_views_do_not_count(self):
        picks = table("a", x=[100, 300, 500, 700], y=[100] * 4, score=[0.9, 0.8, 0.7, 0.6])
        found = by_view(picks, self.labels, bootstrap=0)
        assert list(found) == ["side", "top"]
        assert [(view.tp, view.fp, view.fn) for view in found.values()] == [(1, 0, 0), (2, 0, 0)]

    def test_a_pick_that_names_the_wrong_view_is_missing_in_the_right_one(self):
        picks = table("a", x=[100, 500], y=[100, 100], score=[0.9, 0.8], view=["side", "side"])
        found = by_view(picks, self.labels, bootstrap=0)
        assert (found["side"].tp, found["side"].fp) == (1, 0)
        assert (found["top"].tp, found["top"].fn) == (0, 2)

    def test_micrographs_without_particles_of_a_view_count_against_it(self):
        labels = pd.concat([self.labels, table("b", [100], [100], diameter=80, view="top")])
        picks = table(["a", "b"], x=[500, 900], y=[100, 900], score=[0.9, 0.8])
        assert by_view(picks, labels, bootstrap=0)["side"].fp == 1


def test_one_diameter_for_all_particles_leaves_larger_ignored_things_as_they_are():
    labels = table("a", [100, 500], [100, 100], diameter=[80, 400], view=["", "ignore"])
    picks = table("a", [100, 650], [100, 100], 0.9)
    assert evaluate(picks, labels, diameter=80).fp == 0
    # One without a size has the particles'.
    assert evaluate(picks, labels.assign(diameter=[80, np.nan]), diameter=80).fp == 1
