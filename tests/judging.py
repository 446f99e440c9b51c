"""Picking and judging in one step, for tests of pickers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryokit.coordinates import concatenate
from cryokit.evaluate import Evaluation, evaluate
from cryokit.micrograph import Micrograph
from cryokit.networks.scoring import dense, sliding
from cryokit.pickers import Picker


def judged(picker: Picker, micrographs: Sequence[Micrograph], labels: pd.DataFrame) -> tuple[pd.DataFrame, Evaluation]:
    """Return the picks of a picker in micrographs, and their evaluation."""
    picks = concatenate(picker.pick(micrograph) for micrograph in micrographs)
    return picks, evaluate(picks, labels, micrographs=[micrograph.name for micrograph in micrographs], bootstrap=0)


def assert_finds_particles(
    picker: Picker, micrographs: Sequence[Micrograph], labels: pd.DataFrame, *, off_centre: float
) -> None:
    """Check that a picker finds most particles, near their centres, and gives scores above its threshold."""
    picks, result = judged(picker, micrographs, labels)
    assert result.f1 > 0.8
    true = result.picks[result.picks["outcome"] == "true"]
    assert true["distance"].median() < off_centre
    assert picks["score"].between(picker.threshold_, 1).all()


def assert_windows_one_by_one_score_the_same(
    picker: Picker, micrograph: Micrograph, size: tuple[int, int], stride: int
) -> None:
    """Check around the best candidate that the dense scores are those of each window by itself."""
    picture, _ = picker._prepare(micrograph)
    column, row = np.maximum(0, picker._find(picture, 0.5).places[0].astype(int) - size[0] // 2)
    part = picture[row : row + size[0], column : column + size[1]]
    whole, single = (score(part, picker.model_, stride=stride) for score in (dense, sliding))
    assert np.ptp(single.particle) > 0.1
    np.testing.assert_allclose(whole.scores, single.scores, atol=1e-4)
