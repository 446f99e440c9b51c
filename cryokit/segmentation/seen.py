"""What functions of this package need to know of what a picker saw: `cryokit.pickers.clustering.Examination` has it."""

from __future__ import annotations

from typing import Protocol

import pandas as pd
from numpy.typing import NDArray

from cryokit.imaging.frame import Frame


class Seen(Protocol):
    """One micrograph as a picker saw it, in working pixels; the attributes are those of `Examination`."""

    name: str
    diameter: float
    frame: Frame
    stages: dict[str, NDArray]
    masks: dict[str, NDArray]

    def picks(self, threshold: float | None = None) -> pd.DataFrame:
        """Return the table of picks."""
        ...
