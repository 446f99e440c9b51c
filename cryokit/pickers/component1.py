"""Component 1 of DeepCryoPicker in one step: training particles of micrographs, without labels."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from cryokit._util.wording import plural
from cryokit.coordinates import concatenate
from cryokit.errors import PickerError
from cryokit.micrograph import Micrograph
from cryokit.pickers.autocryopicker import AutoCryoPicker
from cryokit.pickers.clustering import ClusteringPicker, Examination
from cryokit.pickers.interface import Micrographs, spread
from cryokit.pickers.supercryoempicker import SuperCryoEMPicker
from cryokit.segmentation.selection import Decision, select

TRIED = 4  # micrographs that both ways are tried on
ENOUGH = 60  # good particles; where there are fewer, all picks are taken


@dataclass(frozen=True)
class Found:
    """What component 1 found.

    Attributes
    ----------
    picker : ClusteringPicker
        The one that was taken, fitted.
    particles : pandas.DataFrame
        As `Examination.training_particles` makes it: good ones by their view, all else as negatives.
    picks : pandas.DataFrame
        Its table of picks, good examples or not.
    reason : str
        Why this picker was taken, and how many particles there are.
    """

    picker: ClusteringPicker
    particles: pd.DataFrame
    picks: pd.DataFrame
    reason: str


def training_particles(
    micrographs: Micrographs,
    *,
    diameter: float | None = None,
    contrast: Literal["dark", "bright"] | None = None,
) -> Found:
    """Pick micrographs by component 1, and tell good examples of each view from all else.

    Round and square particles are `AutoCryoPicker`'s, irregular ones `SuperCryoEMPicker`'s; both are tried on the first
    micrographs. What the wrong one picks, or picks at a wrong diameter, are not particles but parts of them and noise,
    of which few pass the tests of `cryokit.segmentation.selection`: full discs, filled rectangles, the usual area. So that one is
    taken whose good particles cover the largest area, times the share of its picks that are good.

    Parameters
    ----------
    micrographs : Micrographs
    diameter : float, optional
        Of the particle, in pixels of the micrographs; estimated, by each in its way, when not given.
    contrast : {"dark", "bright"}, optional
        Detected when not given.

    Returns
    -------
    Found

    Raises
    ------
    PickerError
        When neither picks anything.
    """
    tried = spread(range(len(micrographs)), TRIED)
    best, told, why = None, [], "component 1 picks nothing"
    for kind in (AutoCryoPicker, SuperCryoEMPicker):
        picker = kind(diameter=diameter, contrast=contrast)
        try:
            picker.fit(micrographs.subset(tried))
        except PickerError as error:
            why = str(error)
            continue
        trial = _Trial(picker, {index: _examined(picker, micrographs[index]) for index in tried})
        told.append(f"{trial.good} of {trial.picked} by {picker.name}")
        if trial.picked and (best is None or trial.merit > best.merit):
            best = trial
    if best is None:
        raise PickerError(f"{why}; give the diameter and the contrast, other micrographs, or labels")
    seen = [
        best.seen[index] if index in best.seen else _examined(best.picker, micrograph)
        for index, micrograph in enumerate(micrographs)
    ]
    whole = _Trial(best.picker, dict(enumerate(seen)))
    reason = f"{whole.good} of {plural(whole.picked, 'pick')} are good examples"
    if len(told) > 1:
        reason += f" (where both were tried: {', '.join(told)})"
    if whole.good < ENOUGH:
        reason += f", fewer than {ENOUGH}: all are taken"
        seen = [(each, [dataclasses.replace(one, good=True) for one in decisions]) for each, decisions in seen]
    tables = [each.training_particles(decisions) for each, decisions in seen]
    return Found(
        best.picker,
        pd.concat([each for each in tables if len(each)] or tables, ignore_index=True),
        concatenate(each.picks() for each, _ in seen),
        reason,
    )


@dataclass(frozen=True)
class _Trial:
    picker: ClusteringPicker
    seen: dict[int, tuple[Examination, list[Decision]]]

    @property
    def picked(self) -> int:
        return sum(len(decisions) for _, decisions in self.seen.values())

    @property
    def good(self) -> int:
        return sum(decision.good for _, decisions in self.seen.values() for decision in decisions)

    @property
    def merit(self) -> float:
        # Half a particle more than none: where all fail the tests, picks still count for something.
        return (self.good + 0.5) ** 2 / self.picked * self.picker.diameter_**2


def _examined(
    picker: ClusteringPicker, micrograph: Micrograph | str | os.PathLike
) -> tuple[Examination, list[Decision]]:
    seen = picker.examine(micrograph)
    # Without the pictures, of which there are many: only positions are needed from here on.
    return dataclasses.replace(seen, stages={}, clustering=None, masks={}, evidence=None), select(seen.picked)
