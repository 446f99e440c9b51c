"""Picking and judging in one step, for tests of pickers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cryokit.coordinates import concatenate
from cryokit.evaluate import Evaluation, evaluate
from cryokit.micrograph import Micrograph
from cryokit.pickers import Picker


def judged(picker: Picker, micrographs: Sequence[Micrograph], labels: pd.DataFrame) -> tuple[pd.DataFrame, Evaluation]:
    """Return what a picker finds in micrographs, and how good that is."""
    picks = concatenate(picker.pick(each) for each in micrographs)
    return picks, evaluate(picks, labels, micrographs=[each.name for each in micrographs], bootstrap=0)
