"""Component 1 of DeepCryoPicker in one step: training particles of micrographs, without labels."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from cryokit._util.wording import plural
from cryokit.coordinates import concatenate
from cryokit.errors import PickerError
from cryokit.imaging.contrast import Contrast
from cryokit.imaging.preparation import detected_contrast
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.pickers.autocryopicker import AutoCryoPicker
from cryokit.pickers.clustering import ClusteringPicker, Examination
from cryokit.pickers.interface import Micrographs, spread
from cryokit.pickers.supercryoempicker import SuperCryoEMPicker
from cryokit.segmentation.selection import Decision, select

TRIED = 4  # micrographs on which both pickers are tried
ENOUGH = 24  # good particles; if there are fewer, all picks are taken


@dataclass(frozen=True)
class TrainingParticles:
    """Particles to train a network on, as component 1 found them.

    Attributes
    ----------
    picker : ClusteringPicker
        The picker that was chosen, fitted.
    particles : pandas.DataFrame
        Good particles by their view, all others as negatives; see `Examination.training_particles`.
    picks : pandas.DataFrame
        Table of the picker's picks, good examples or not.
    reason : str
        Why this picker was chosen, and how many particles there are.
    """

    picker: ClusteringPicker
    particles: pd.DataFrame
    picks: pd.DataFrame
    reason: str


def training_particles(
    micrographs: Iterable[MicrographLike],
    *,
    diameter: float | None = None,
    contrast: Contrast | None = None,
) -> TrainingParticles:
    """Pick micrographs by component 1, and tell good examples of each view from all else.

    Round and square particles are `AutoCryoPicker`'s, irregular ones `SuperCryoEMPicker`'s; both are tried on a few
    micrographs. What the wrong one picks, or picks at a wrong diameter, are parts of particles and noise, of which few
    pass the tests of `cryokit.segmentation.selection`: full discs, filled rectangles, the usual area. So the picker
    is chosen whose good particles cover the largest area, times the share of its picks that are good.

    Parameters
    ----------
    micrographs : iterable of Micrograph or path
        Micrographs of one session, each of which is read once.
    diameter : float, optional
        Particle diameter in pixels of the micrographs; by default each picker estimates it in its way.
    contrast : {"dark", "bright"}, optional
        Contrast of the particles; detected by default.

    Returns
    -------
    TrainingParticles

    Raises
    ------
    PickerError
        If there are no micrographs, or neither picker picks anything.
    """
    micrographs = Micrographs.to_learn_from(micrographs)
    tried = spread(range(len(micrographs)), TRIED)
    trial_micrographs = [micrographs[index] for index in tried]
    contrast = contrast or detected_contrast(trial_micrographs, diameter)
    trials, problem = [], "component 1 picks nothing"
    for kind in (AutoCryoPicker, SuperCryoEMPicker):
        picker = kind(diameter=diameter, contrast=contrast)
        try:
            picker.fit(trial_micrographs)
        except PickerError as error:
            problem = str(error)
            continue
        trials.append(_Trial(picker, [_examined(picker, micrograph) for micrograph in trial_micrographs]))
    best = max(trials, key=lambda trial: trial.merit, default=None)
    if best is None or not best.picked:
        raise PickerError(f"{problem}; give the diameter and the contrast, other micrographs, or labels")

    known = dict(zip(tried, best.examined, strict=True))
    del trial_micrographs
    examined = [
        known[index] if index in known else _examined(best.picker, micrographs[index])
        for index in range(len(micrographs))
    ]
    whole = _Trial(best.picker, examined)
    reason = f"{whole.good} of {plural(whole.picked, 'pick')} are good examples"
    if len(trials) > 1:
        scores = ", ".join(f"{trial.good} of {trial.picked} by {trial.picker.name}" for trial in trials)
        reason += f" (on the micrographs that both were tried on: {scores})"
    if whole.good < ENOUGH:
        reason += f", fewer than {ENOUGH}: all are taken"
        examined = [
            (examination, [dataclasses.replace(decision, good=True) for decision in decisions])
            for examination, decisions in examined
        ]
    tables = [examination.training_particles(decisions) for examination, decisions in examined]
    particles = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
    picks = concatenate(examination.picks() for examination, _ in examined)
    return TrainingParticles(best.picker, particles, picks, reason)


@dataclass(frozen=True)
class _Trial:
    picker: ClusteringPicker
    examined: list[tuple[Examination, list[Decision]]]

    @property
    def picked(self) -> int:
        return sum(len(decisions) for _, decisions in self.examined)

    @property
    def good(self) -> int:
        return sum(decision.good for _, decisions in self.examined for decision in decisions)

    @property
    def merit(self) -> float:
        # Half a particle more than none: if all fail the tests, picks still count for something.
        return (self.good + 0.5) ** 2 / self.picked * self.picker.diameter_**2 if self.picked else 0.0


def _examined(picker: ClusteringPicker, micrograph: Micrograph) -> tuple[Examination, list[Decision]]:
    examination = picker.examine(micrograph)
    decisions = select(examination.picked)
    # Without the pictures, which take much memory: only positions are needed from here on.
    return dataclasses.replace(examination, stages={}, clustering=None, masks={}, evidence=None), decisions
