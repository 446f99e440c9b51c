"""Whether scores are probabilities."""

import math

import numpy as np
import pytest

from cryokit.errors import ArgumentError
from cryokit.evaluate.reliability import calibration_error, reliability


def test_scores_that_are_probabilities_lie_on_the_diagonal():
    rng = np.random.default_rng(0)
    scores = rng.random(100_000)
    table = reliability(scores, rng.random(100_000) < scores)
    assert len(table) == 10
    assert table["picks"].sum() == 100_000
    np.testing.assert_allclose(table["true"], table["score"], atol=0.02)
    assert calibration_error(table) < 0.01


def test_scores_that_are_too_sure_do_not():
    rng = np.random.default_rng(1)
    share = rng.random(50_000)
    table = reliability(np.where(share > 0.5, 1.0, 0.0), rng.random(50_000) < share)
    assert calibration_error(table) == pytest.approx(0.25, abs=0.01)


def test_bins_without_picks_are_left_out_and_none_has_no_error():
    assert reliability([1.0, 0.0], [True, False], bins=4)[["low", "high"]].values.tolist() == [[0, 0.25], [0.75, 1]]
    assert math.isnan(calibration_error(reliability([], [])))


@pytest.mark.parametrize(("scores", "true"), [([1.2], [True]), ([-0.1], [True]), ([0.5, 0.5], [True])])
def test_other_scores_are_refused(scores, true):
    with pytest.raises(ArgumentError):
        reliability(scores, true)
