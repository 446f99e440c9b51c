"""Kinds of false picks, numbers that contradict each other, an annotator's clicks, and results in words."""

import numpy as np
import pytest

from cryokit.coordinates import concatenate, table
from cryokit.errors import ArgumentError, BenchmarkError
from cryokit.evaluate import evaluate, mistakes
from cryokit.evaluate.paired import Comparison
from cryokit.micrograph import Micrograph
from cryokit.plot.result_words import compared_words, f1_words
from cryokit.simulate.annotator import clicks


@pytest.fixture(scope="module")
def labels():
    return table("m", [200, 400], [200, 200], diameter=100)


class TestFalseKinds:
    def test_each_kind(self, labels):
        # True, again on the same particle, half a diameter off, at the border, and far from everything
        picks = table("m", [200, 210, 450, 20, 800], [200, 200, 200, 700, 600], [0.9, 0.8, 0.7, 0.6, 0.5], 100)
        evaluation = evaluate(picks, labels, bootstrap=0)
        kinds = mistakes.false_kinds(evaluation, {"m": (1000, 1000)}, 100)
        assert list(kinds) == [mistakes.SECOND, mistakes.BESIDE, mistakes.BORDER, mistakes.ELSE]

    def test_shape_is_needed(self, labels):
        evaluation = evaluate(table("m", [800], [800], [0.5], 100), labels, bootstrap=0)
        with pytest.raises(ArgumentError, match="m"):
            mistakes.false_kinds(evaluation, {}, 100)


@pytest.mark.parametrize("seed", range(20))
def test_rounded_numbers_of_real_picks_are_possible(seed):
    tp, fp, fn = np.random.default_rng(seed).integers(5, 300, 3)
    precision, recall, f1 = tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)
    assert mistakes.f1_possible(round(f1, 2), round(precision, 2), round(recall, 2))
    assert not mistakes.f1_possible(round(f1, 2) + 0.02, round(precision, 2), round(recall, 2))


class TestClicks:
    def test_near_particles_or_far_from_all(self):
        rng = np.random.default_rng(1)
        image = Micrograph(np.zeros((2000, 1000), np.float32), name="m")
        xy = rng.uniform(100, 900, (40, 2))
        truth = table("m", xy[:, 0], xy[:, 1], diameter=20, view=["top"] * 30 + ["ignore"] * 10)
        made = clicks([image], truth, 20, seed=3)
        result = evaluate(made.picks, truth, bootstrap=0)
        assert (result.tp, result.fp) == (made.true, made.false)
        assert 15 < made.true <= 30

    def test_same_seed_same_clicks(self, labels):
        image = Micrograph(np.zeros((500, 500), np.float32), name="m")
        first, again = (clicks([image], labels, 100, seed=7).picks for _ in range(2))
        assert first.equals(again)


class TestWords:
    def test_f1_with_and_without_interval(self, labels):
        alone = evaluate(labels.assign(score=0.5), labels)
        assert "no interval" in f1_words(alone)
        two = concatenate([labels, labels.assign(micrograph="n")])
        assert "1.000 to 1.000" in f1_words(evaluate(two.assign(score=0.5), two))

    @pytest.mark.parametrize(
        ("difference", "interval", "p", "verdict"),
        [
            (0.1, (0.05, 0.15), 0.03, "this is ahead"),
            (-0.1, (-0.15, -0.05), 0.03, "that is ahead"),
            (0.1, (-0.05, 0.15), 0.03, "do not tell"),
            (0.1, (0.05, 0.15), 0.06, "do not tell"),
        ],
    )
    def test_verdict(self, difference, interval, p, verdict):
        assert verdict in compared_words(Comparison(difference, interval, p, 6), "this", "that")


def test_results_that_come_with_cryokit():
    from cryokit.benchmark import measured_before

    assert {"klh", "quick"} <= set(measured_before.names())
    with pytest.raises(BenchmarkError, match="nothing"):
        measured_before.measured("nothing")
