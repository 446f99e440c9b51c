"""Picking and judging in one step, for tests of pickers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cryokit.coordinates import concatenate
from cryokit.evaluate import Evaluation, evaluate
from cryokit.micrograph import Micrograph
from cryokit.pickers import Picker


def judged(picker: Picker, micrographs: Sequence[Micrograph], labels: pd.DataFrame) -> tuple[pd.DataFrame, Evaluation]:
    """Return the picks of a picker in micrographs, and their evaluation."""
    picks = concatenate(picker.pick(micrograph) for micrograph in micrographs)
    return picks, evaluate(picks, labels, micrographs=[micrograph.name for micrograph in micrographs], bootstrap=0)
