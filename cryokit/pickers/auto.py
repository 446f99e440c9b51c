"""The default method: labels that several label-free pickers agree on teach a compact network."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from cryokit._util.wording import plural
from cryokit.coordinates.table import IGNORE, concatenate
from cryokit.errors import PickerError
from cryokit.evaluate.thresholds import best_threshold, threshold_from_scores
from cryokit.imaging import common_contrast, contrast_score
from cryokit.imaging.filters import live_area, without_outliers
from cryokit.imaging.prepared import WORKING_DIAMETER, Prepared, prepare
from cryokit.micrograph import Micrograph
from cryokit.networks.devices import using
from cryokit.pickers import compact_picking as compact
from cryokit.pickers import saving as storage
from cryokit.pickers.autocryopicker import AutoCryoPicker
from cryokit.pickers.consensus import agreement, as_labels, mutual_trust, vote
from cryokit.pickers.interface import Picker, check_settings, check_whole, opened, require_fitted, spread
from cryokit.pickers.label_checks import labelled
from cryokit.pickers.supercryoempicker import SuperCryoEMPicker
from cryokit.pickers.template import TemplatePicker

if TYPE_CHECKING:
    from cryokit.networks import Model
    from cryokit.networks.scoring import ScoreMap

logger = logging.getLogger(__name__)

GENERAL = "general"  # the model that comes with the package
# Component 1 is tried on so many micrographs before the rest is looked at.
TRIED = 2
# Fewer labels than this teach a network the micrograph's noise rather than its particles.
ENOUGH = 12
STEPS = 100  # of each of the two rounds
OWN_VOICE = 2.0  # weight of what the network found itself in the second round, against each of its teachers
# The trained network's own boundary is 0.5. The scores' distribution may move it where they leave room, not across
# what the network is sure of.
THRESHOLDS = (0.4, 0.6)
LABEL_STEPS = 300
HELD_OUT = 0.25  # of labelled micrographs, for the threshold
SLACK = 0.005  # of F1 on those: what a few micrographs cannot tell
# Diameters tried, relative to the template picker's estimate, which errs by up to two thirds where particles are few.
SCALES = tuple(0.5 * 2 ** (step / 6) for step in range(10))
# The general network was trained at the right scale: there it is sure of most of what it sees at all.
SEEN, SURE, DOUBTS = 0.2, 0.8, 10
SMALLEST = 10.0  # pixels across a particle


class AutoPicker(Picker):
    """Picks by a compact network that it teaches itself on the micrographs, without labels.

    1. The particle's contrast, where not given, comes from the template picker, and so does a first estimate of its
       diameter. Around that several are tried: the network that comes with the package is surest of its picks where
       the scale is right.
    2. Three pickers that have little in common look for particles: the template picker, component 1 (the intensity or
       the super clustering, whichever agrees better with the templates on the first micrographs), and the general
       network that comes with the package, trained on simulated micrographs of many shapes. Each is trusted as far as
       it agrees with the other two; labels are what a trusted majority finds (`cryokit.pickers.consensus`).
    3. The general network goes on learning from these labels, on the micrographs prepared as in `cryokit.imaging.prepared`.
       Then once more, from what its own picks and those of its teachers now agree on: without the teachers it would
       drift.
    4. The threshold comes from the distribution of its scores, near 0.5.

    Where the micrographs show too few particles to learn from, as a single one may, or with `pretrained`, the general
    network picks as it is. With labels it learns from these instead, and the threshold is chosen on a quarter of the
    micrographs that it was not trained on.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph; estimated when not given.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; detected when not given.
    pretrained : bool
        Do not train: pick with the general network.
    max_micrographs : int
        At most so many micrographs, spread evenly over those given, are learned from. With labels all are.
    margin : float
        In diameters: picks so near to the border are left out; 0.5 leaves out all that the border cuts.
    seed : int
        Of the training.

    Attributes
    ----------
    diameter_ : float
    contrast_ : {"dark", "bright"}
    threshold_ : float
    decisions_ : list of str
        What was decided, and from what.
    history_ : pandas.DataFrame
        Of the training, a row for each epoch; empty if there was none.

    Notes
    -----
    The procedure is this package's own, in the spirit of DeepCryoPicker (Al-Azzawi et al. 2020, BMC Bioinformatics
    21:509): particles found by classical image processing train the network that picks.
    """

    name: ClassVar[str] = "auto"

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        pretrained: bool = False,
        max_micrographs: int = 12,
        margin: float = 0.0,
        seed: int = 0,
    ) -> None:
        check_settings(diameter, contrast, max_micrographs)
        check_whole("seed", seed, 0)
        if not 0 <= margin <= 2:
            raise PickerError(f"margin {margin!r}: give a number of diameters, from 0 to 2")
        self.diameter = diameter
        self.contrast = contrast
        self.pretrained = pretrained
        self.max_micrographs = max_micrographs
        self.margin = margin
        self.seed = seed
        self.model_: Model | None = None
        self.decisions_: list[str] = []
        self.history_ = pd.DataFrame()

    def fit(
        self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame | None = None
    ) -> AutoPicker:
        """Learn from micrographs; see `Picker.fit`.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        labels : pandas.DataFrame, optional
            Table of picks of these micrographs; those that it does not name are left out. Rows of the view ``ignore``
            are neither particles nor background.

        Returns
        -------
        AutoPicker
            Itself.

        Raises
        ------
        PickerError
            When there is no micrograph, no label on any of them, or they are too small for the diameter.
        """
        from cryokit.networks import Model

        self.decisions_ = []
        self.history_ = pd.DataFrame()
        with using():
            # Loaded anew: a network learns in place.
            model = Model.load(GENERAL)
            if labels is not None:
                self._learn_from_labels(model, list(opened(micrographs)), labels)
            else:
                self._learn_alone(model, list(opened(spread(list(micrographs), self.max_micrographs))))
        model.threshold, model.diameter = self.threshold_, self.diameter_
        self.model_ = model
        return self

    def pick(self, micrograph: Micrograph | str | os.PathLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`."""
        require_fitted(self, "model_")
        (micrograph,) = opened([micrograph])
        prepared = self._prepare(micrograph)
        threshold = self.threshold_ if threshold is None else threshold
        with using():
            scores = compact.score_map(self.model_.network, self.model_.config, prepared)
        return compact.candidates(
            scores, prepared, micrograph.name, self.diameter_, least=threshold, margin=self.margin
        )

    def score_map(self, micrograph: Micrograph | str | os.PathLike) -> ScoreMap:
        """Return the scores of every position of one micrograph.

        Returns
        -------
        ScoreMap
            Its positions are in pixels of the micrograph as stored.
        """
        import dataclasses

        require_fitted(self, "model_")
        (micrograph,) = opened([micrograph])
        prepared = self._prepare(micrograph)
        with using():
            scores = compact.score_map(self.model_.network, self.model_.config, prepared)
        x, y = prepared.to_micrograph(scores.x0, scores.y0)
        step = scores.step * prepared.shape[0] / prepared.image.shape[0]
        return dataclasses.replace(scores, x0=float(x), y0=float(y), step=step)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the fitted picker to a folder; see `cryokit.networks.Model`."""
        require_fitted(self, "model_")
        return storage.save_network(self, _LEARNED, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> AutoPicker:
        """Return the picker that `save` wrote."""
        with using():
            return storage.load_network(cls, _LEARNED, path)

    def _learn_alone(self, model: Model, micrographs: list[Micrograph]) -> None:
        if not micrographs:
            raise PickerError("no micrographs to learn from")
        template = TemplatePicker(self.diameter, self.contrast, self.max_micrographs).fit(micrographs)
        self.diameter_, self.contrast_ = template.diameter_, template.contrast_
        if self.diameter is None:
            self.diameter_ = self._estimated_diameter(model, micrographs)
            template = TemplatePicker(self.diameter_, self.contrast_, self.max_micrographs).fit(micrographs)
        self._decide(
            f"particles are {self.contrast_} ({'given' if self.contrast else 'detected'}), {self.diameter_:.0f} pixels "
            f"across ({'given' if self.diameter else 'estimated'})"
        )
        prepared = [self._prepare(micrograph) for micrograph in micrographs]
        names = [micrograph.name for micrograph in micrographs]
        found = self._pick_all(model, prepared, names)
        if self.pretrained:
            self._decide("the general network picks, untrained on these micrographs, as asked")
        else:
            teachers = self._teachers(template, micrographs)
            labels = self._labels({**teachers, GENERAL: found}, names)
            certain = sum(int((each["view"] != IGNORE).sum()) for each in labels)
            if certain < ENOUGH:
                self._decide(
                    f"{plural(certain, 'particle')} agreed upon, too few to learn from (fewer than {ENOUGH}): the "
                    "general network picks as it is"
                )
            else:
                self._decide(f"labels: {certain} particles agreed upon in {plural(len(names), 'micrograph')}")
                self._teach(model, prepared, labels, STEPS, compact.FINE_RATE, self.seed)
                found = self._pick_all(model, prepared, names)
                labels = self._labels({**teachers, self.name: found}, names)
                certain = sum(int((each["view"] != IGNORE).sum()) for each in labels)
                self._decide(f"the network, trained on these, picks with them: now {certain} particles agreed upon")
                self._teach(model, prepared, labels, STEPS, compact.FINE_RATE, self.seed + 1)
                found = self._pick_all(model, prepared, names)
        self.threshold_ = float(np.clip(threshold_from_scores(concatenate(found)["score"]), *THRESHOLDS))
        self._decide(f"threshold {self.threshold_:.2f}, from the distribution of the scores")

    def _estimated_diameter(self, model: Model, micrographs: Sequence[Micrograph]) -> float:
        """Return the diameter at which the general network is surest of what it finds."""
        tried, shares = [], []
        for scale in SCALES:
            diameter = scale * self.diameter_
            if diameter < SMALLEST or 2 * diameter > min(min(each.data.shape) for each in micrographs):
                continue
            seen = sure = 0
            for micrograph in spread(list(micrographs), TRIED):
                prepared = prepare(micrograph.data, diameter, self.contrast_, WORKING_DIAMETER)
                scores = compact.score_map(model.network, model.config, prepared)
                found = compact.candidates(scores, prepared, micrograph.name, diameter, least=SEEN)["score"]
                seen, sure = seen + len(found), sure + int((found > SURE).sum())
            tried.append(diameter)
            shares.append(sure / (seen + DOUBTS))
        if not tried or not max(shares) > 0:
            return self.diameter_
        best = int(np.argmax(shares))
        if not 0 < best < len(tried) - 1:
            return float(tried[best])
        # The top of a parabola over the logarithm of the diameter.
        before, top, after = shares[best - 1 : best + 2]
        shift = 0.5 * (before - after) / (before - 2 * top + after)
        return float(tried[best] * (tried[best + 1] / tried[best]) ** shift)

    def _teachers(self, template: TemplatePicker, micrographs: Sequence[Micrograph]) -> dict[str, list[pd.DataFrame]]:
        """Return what the pickers that need no training find on each micrograph, weak candidates included."""
        found = {template.name: [template.pick(each, threshold=compact.FAINTEST) for each in micrographs]}
        component1 = self._component1(found[template.name], micrographs)
        if component1 is not None:
            found[component1.name] = [component1.pick(each, threshold=compact.FAINTEST) for each in micrographs]
        return found

    def _labels(self, sources: dict[str, list[pd.DataFrame]], names: Sequence[str]) -> list[pd.DataFrame]:
        """Return what pickers agree on, as labels for each micrograph."""
        trust = mutual_trust(list(sources.values()), self.diameter_)
        self._decide(
            "trust by agreement: " + ", ".join(f"{name} {t:.2f}" for name, t in zip(sources, trust, strict=True))
        )
        if not trust.any():
            trust = np.ones(len(sources))
        if self.name in sources:
            trust = trust * [OWN_VOICE if name == self.name else 1 for name in sources]
        return [
            as_labels(vote(tables, trust, self.diameter_, name))
            for name, *tables in zip(names, *sources.values(), strict=True)
        ]

    def _component1(self, by_template: list[pd.DataFrame], micrographs: Sequence[Micrograph]) -> Picker | None:
        """Return the picker of component 1 that agrees best with the templates on the first micrographs."""
        best, most = None, -1.0
        for kind in (AutoCryoPicker, SuperCryoEMPicker):
            picker = kind(diameter=self.diameter_, contrast=self.contrast_)
            try:
                picker.fit(micrographs[:TRIED])
                picks = [picker.pick(each, threshold=compact.FAINTEST) for each in micrographs[:TRIED]]
            except PickerError as error:
                logger.debug("%s cannot be used here: %s", picker.name, error)
                continue
            agreed = agreement(picks, by_template[:TRIED], self.diameter_)
            if agreed > most:
                best, most = picker, agreed
        return best

    def _learn_from_labels(self, model: Model, micrographs: list[Micrograph], labels: pd.DataFrame) -> None:
        micrographs, labels, self.diameter_, told = labelled(micrographs, labels, self.diameter)
        self._decide(told)
        areas = [without_outliers(each.data[live_area(each.data)]) for each in micrographs]
        scores = [contrast_score(area, self.diameter_) for area in areas]
        self.contrast_ = self.contrast or common_contrast(scores)
        self._decide(f"particles are {self.contrast_} ({'given' if self.contrast else 'detected'})")
        prepared = [self._prepare(micrograph) for micrograph in micrographs]
        tables = [labels[labels["micrograph"] == micrograph.name] for micrograph in micrographs]
        rng = np.random.default_rng(self.seed)
        aside = set(rng.permutation(len(micrographs))[: round(HELD_OUT * len(micrographs))].tolist())
        kept = [k for k in range(len(micrographs)) if k not in aside]
        rate = compact.FULL_RATE
        self._teach(model, [prepared[k] for k in kept], [tables[k] for k in kept], LABEL_STEPS, rate, self.seed)
        if aside:
            names = [micrographs[k].name for k in sorted(aside)]
            found = self._pick_all(model, [prepared[k] for k in sorted(aside)], names)
            truth = concatenate([tables[k] for k in sorted(aside)])
            self.threshold_ = best_threshold(concatenate(found), truth, micrographs=names, slack=SLACK)
            self._decide(f"threshold {self.threshold_:.2f}, from {plural(len(names), 'other micrograph')}")
            # With the threshold chosen, these may be learned from, too.
            self._teach(model, prepared, tables, STEPS, compact.FINE_RATE, self.seed + 1)
        else:
            found = self._pick_all(model, prepared, [each.name for each in micrographs])
            self.threshold_ = float(np.clip(threshold_from_scores(concatenate(found)["score"]), *THRESHOLDS))
            self._decide(f"threshold {self.threshold_:.2f}, from the distribution of the scores")

    def _teach(
        self, model: Model, prepared: list[Prepared], labels: list[pd.DataFrame], steps: int, rate: float, seed: int
    ) -> None:
        history = compact.teach(model.network, model.config, prepared, labels, steps=steps, rate=rate, seed=seed)
        self.history_ = pd.concat([self.history_, history], ignore_index=True)

    def _pick_all(self, model: Model, prepared: list[Prepared], names: list[str]) -> list[pd.DataFrame]:
        return [
            compact.candidates(compact.score_map(model.network, model.config, each), each, name, self.diameter_)
            for each, name in zip(prepared, names, strict=True)
        ]

    def _prepare(self, micrograph: Micrograph) -> Prepared:
        if 2 * self.diameter_ > min(micrograph.data.shape):
            raise PickerError(
                f"{micrograph.name}: {min(micrograph.data.shape)} pixels are too few for particles of "
                f"{self.diameter_:g} pixels; give the diameter in pixels of the micrograph as stored"
            )
        return prepare(micrograph.data, self.diameter_, self.contrast_, WORKING_DIAMETER)

    def _decide(self, what: str) -> None:
        self.decisions_.append(what)
        logger.info("auto: %s", what)


_LEARNED: tuple[str, ...] = ("diameter_", "contrast_", "threshold_", "decisions_")
