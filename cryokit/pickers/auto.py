"""The default method: labels that several label-free pickers agree on teach a compact network."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from cryokit._util.checked_settings import number
from cryokit._util.wording import plural
from cryokit.coordinates import IGNORE, concatenate
from cryokit.errors import PickerError
from cryokit.evaluate.thresholds import SLACK, UNDECIDED, best_threshold, threshold_from_scores
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import detected_contrast, recorded, whitened
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.networks import Model
from cryokit.networks.devices import using
from cryokit.networks.scoring import ScoreMap
from cryokit.pickers import compact_picking, size_search
from cryokit.pickers.autocryopicker import AutoCryoPicker
from cryokit.pickers.consensus import agreement, as_labels, mutual_trust, vote
from cryokit.pickers.interface import Assessment, Micrographs, Picker, Pictures, check_room
from cryokit.pickers.label_checks import hold_out, labelled
from cryokit.pickers.map_picker import MapPicker
from cryokit.pickers.supercryoempicker import SuperCryoEMPicker
from cryokit.pickers.template import TemplatePicker

logger = logging.getLogger(__name__)

GENERAL = "general"  # the model that comes with the package
TRIED = 2  # micrographs on which diameters and the two kinds of component 1 are compared
LOOKS = 4  # times that many are looked at for the diameter, as long as they show too little
LEAST_EVIDENCE = 0.1  # of a micrograph: below, what looks like particles is chance
CONTRASTS = 4  # micrographs that tell whether particles are dark or bright, and that the network adapts to
# Fewer labels than this teach a network the micrograph's noise rather than its particles.
ENOUGH = 12
OWN_VOICE = 2.0  # weight of the network's own picks in the second round, against each of its teachers
# The boundary of the trained network itself is 0.5. The distribution of its scores may move the threshold where they
# leave room, not across what the network is sure of.
THRESHOLDS = (0.4, 0.6)
LABEL_STEPS, MORE_STEPS = 6, 2  # with labels, times `steps`: before the threshold is chosen, and after it
HELD_OUT = 0.25  # share of labelled micrographs that the threshold is chosen on


@dataclass(eq=False)
class AutoPicker(MapPicker):
    """Picker with a compact network that it trains on the micrographs themselves, without labels.

    1. The contrast is detected and the diameter estimated, where these are not given: the network that comes with the
       package is surest of its picks where the scale is right (`cryokit.pickers.size_search`). The network's
       normalisation is adapted to the micrographs (`cryokit.pickers.compact_picking.adapt`).
    2. Three pickers that have little in common look for particles: the template picker, component 1 of DeepCryoPicker
       (AutoCryoPicker or SuperCryoEMPicker, whichever agrees better with the templates on the first micrographs), and
       the general network that comes with the package, trained on simulated micrographs of many shapes. Each is
       trusted as far as it agrees with the other two; the labels are what a trusted majority finds
       (`cryokit.pickers.consensus`).
    3. The general network is trained on these labels, on micrographs prepared by
       `cryokit.imaging.preparation.whitened`. A second round uses the labels that its own picks and those of its
       teachers now agree on: without the teachers it would drift.
    4. The threshold comes from the distribution of its scores, near 0.5.

    Where the micrographs show too few particles to learn from, as a single one may, or with `pretrained`, the general
    network picks as it is. Given labels, it learns from these
    instead, and the threshold is chosen on a quarter of the micrographs that it was not trained on.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph; estimated by default.
    contrast : {"dark", "bright"}, optional
        Whether particles are darker or brighter than their surroundings; detected by default.
    pretrained : bool
        Whether to pick with the general network, without training.
    max_micrographs : int
        Largest number of micrographs to learn from, spread evenly over those given. With labels, all are used.
    steps : int
        Training steps in each of the two rounds. With labels, six times as many before the threshold is chosen, and
        twice as many after it.
    margin : float
        Distance from the border, in diameters, within which there are no picks; 0.5 leaves out all particles that the
        border cuts.
    seed : int
        Random seed of the training.

    Attributes
    ----------
    diameter_, contrast_
        See `cryokit.pickers.interface.SizedPicker`.
    threshold_ : float
        Lowest score of a pick.
    decisions_ : list of str
        What was decided, and from what.
    evidence_ : SizeEvidence or None
        What the search for the diameter saw; None where the diameter is given.
    first_sight_ : float
        Evidence of the search for the diameter, from 0 to 1; 1 where the diameter is given.
    nothing_seen_ : bool
        Whether no diameter showed anything that looks like particles. Then there are no picks without a `threshold`.
    history_ : pandas.DataFrame
        Training history, one row per epoch; empty without training.

    Notes
    -----
    The procedure is this package's own, in the spirit of DeepCryoPicker (Al-Azzawi et al. 2020, BMC Bioinformatics
    21:509): particles found by classical image processing train the network that picks.
    """

    learned_in: ClassVar[str] = "model_"
    transient: ClassVar[tuple[str, ...]] = ("evidence_", "history_")

    pretrained: bool = False
    max_micrographs: int = number(12, 1, whole=True)
    steps: int = number(50, 1, whole=True)
    margin: float = number(0.0, 0, 2)
    seed: int = number(0, 0, whole=True)
    model_: Model | None = field(default=None, init=False, repr=False)
    evidence_: size_search.SizeEvidence | None = field(default=None, init=False, repr=False)
    nothing_seen_: bool = field(default=False, init=False, repr=False)
    first_sight_: float = field(default=1.0, init=False, repr=False)
    history_: pd.DataFrame = field(default_factory=pd.DataFrame, init=False, repr=False)

    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> AutoPicker:
        """Learn from micrographs; see `Picker.fit`.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Micrographs to learn from; those given as paths are read when their turn comes.
        labels : pandas.DataFrame, optional
            Table of picks of these micrographs; micrographs that it does not name are left out. Rows of the view
            ``ignore`` are neither particles nor background.

        Returns
        -------
        AutoPicker
            The picker itself.

        Raises
        ------
        PickerError
            If there is no micrograph, no label on any of them, or they are too small for the diameter.
        """
        self.history_, self.evidence_, self.nothing_seen_, self.first_sight_ = pd.DataFrame(), None, False, 1.0
        with self._learning(), using():
            micrographs = Micrographs.to_learn_from(micrographs)
            # Loaded anew: a network is trained in place.
            self.model_ = Model.load(GENERAL)
            if labels is not None:
                self._learn_from_labels(micrographs, labels)
            else:
                self._learn_alone(micrographs.spread(self.max_micrographs))
            self.model_.threshold, self.model_.diameter = self.threshold_, self.diameter_
        return self

    def pick(self, micrograph: MicrographLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`. On one that looks empty there are none."""
        return self.assess(micrograph, threshold=threshold).picks

    def assess(self, micrograph: MicrographLike, *, threshold: float | None = None) -> Assessment:
        """Find the particles of one micrograph, and tell how sure of them the network is; see `Picker.assess`.

        With a `threshold`, the picks of a micrograph that looks empty are returned, too.
        """
        self._require_fitted()
        least = self.threshold_ if threshold is None else threshold
        candidates = super().pick(micrograph, threshold=min(least, compact_picking.FAINTEST))
        # Adapted to a micrograph, the network is surer of it, also of an empty one, than it was at first sight.
        evidence = min(size_search.sureness(candidates["score"]), self.first_sight_)
        picks = candidates[candidates["score"] >= least].reset_index(drop=True)
        empty = self.nothing_seen_ or evidence < LEAST_EVIDENCE
        return Assessment(picks[:0] if empty and threshold is None else picks, evidence, empty)

    def _map(self, picture: Picture) -> ScoreMap:
        return compact_picking.score_map(self.model_.network, self.model_.config, picture)

    def _pick_prepared(self, name: str, picture: Picture, least: float) -> pd.DataFrame:
        scores = self._map(picture)
        return compact_picking.candidates(scores, picture.frame, name, self.diameter_, least=least, margin=self.margin)

    def _learn_alone(self, micrographs: Micrographs) -> None:
        self.contrast_ = self.contrast or detected_contrast(micrographs.spread(CONTRASTS), self.diameter)
        self.diameter_ = self.diameter or self._estimated_diameter(micrographs)
        self._decide_scale()
        shown = [self._prepare(micrograph) for micrograph in micrographs.spread(CONTRASTS)]
        compact_picking.adapt(self.model_.network, shown, self.seed)
        if self.pretrained or self.nothing_seen_:
            if self.pretrained:
                self._decide("the general network picks without training, as requested")
            scores = concatenate(
                compact_picking.candidates(self._map(picture), picture.frame, "", self.diameter_) for picture in shown
            )["score"]
            self._choose_threshold(scores, self.model_.threshold)
            return
        teachers = self._teachers(micrographs)
        pictures = Pictures(micrographs, self._prepare)
        taught: dict[str, list[pd.DataFrame]] = {teacher.name: [] for teacher in teachers}
        for index, micrograph in enumerate(micrographs):
            pictures.add(index, self._prepare(micrograph))
            for teacher in teachers:
                taught[teacher.name].append(teacher.pick(micrograph, threshold=compact_picking.FAINTEST))
        picks = self._taught(pictures, taught, self._candidates(pictures))
        self._choose_threshold(concatenate(picks)["score"])

    def _taught(
        self, pictures: Pictures, taught: dict[str, list[pd.DataFrame]], picks: list[pd.DataFrame]
    ) -> list[pd.DataFrame]:
        """Train the network in two rounds, and return its candidates."""
        labels = self._labels({**taught, GENERAL: picks}, pictures.names)
        particles = _particles(labels)
        if particles < ENOUGH:
            self._decide(
                f"the pickers agree on {plural(particles, 'particle')}, too few to learn from (fewer than {ENOUGH}): "
                "the general network picks as it is"
            )
            return picks
        self._decide(f"labels: the pickers agree on {particles} particles in {plural(len(pictures), 'micrograph')}")
        self._teach(pictures, labels, self.steps, compact_picking.FINE_RATE, self.seed)
        labels = self._labels({**taught, self.name: self._candidates(pictures)}, pictures.names)
        self._decide(f"the trained network and its teachers agree on {_particles(labels)} particles")
        self._teach(pictures, labels, self.steps, compact_picking.FINE_RATE, self.seed + 1)
        return self._candidates(pictures)

    def _estimated_diameter(self, micrographs: Micrographs) -> float:
        """Return the diameter at which the general network is surest of what it sees."""
        chosen = micrographs.spread(LOOKS * TRIED)
        rounds = math.ceil(len(chosen) / TRIED)
        found = None
        for first in range(rounds):
            part = chosen.subset(range(first, len(chosen), rounds))
            seen = size_search.look(part, self.contrast_, self._map)
            if found is None or seen.evidence.max() > found.evidence.max():
                found = seen
            if not found.doubtful:
                break
        self.evidence_, self.first_sight_ = found, float(found.evidence.max())
        if not found.credible:
            self.nothing_seen_ = True
            looked = plural(len(chosen), "micrograph")
            self._decide(f"no particles are seen on {looked} (evidence {found.evidence.max():.2f} of 1)")
            logger.warning(
                "no particles are seen at any diameter on %s, so there will be no picks; if there are particles, give "
                "their diameter in pixels, or a threshold",
                looked,
            )
            return found.diameter if math.isfinite(found.diameter) else float(found.diameters[0])
        self._decide(
            f"the general network is surest at a diameter of {found.diameter:.1f} pixels (evidence "
            f"{found.evidence.max():.2f} of 1; more than an octave away at most {found.ambiguity:.0%} of that)"
        )
        if found.doubtful:
            logger.warning(
                "the particle diameter, estimated as %.0f pixels, is doubtful; check it on a picture of the picks and "
                "give the diameter",
                found.diameter,
            )
        return found.diameter

    def _teachers(self, micrographs: Micrographs) -> list[Picker]:
        """Return the pickers that need no training: the template picker and, where usable, component 1."""
        template = TemplatePicker(self.diameter_, self.contrast_, self.max_micrographs).fit(micrographs)
        tried = list(micrographs.subset(range(min(TRIED, len(micrographs)))))
        by_template = [template.pick(micrograph, threshold=compact_picking.FAINTEST) for micrograph in tried]
        best, most = None, -1.0
        for kind in (AutoCryoPicker, SuperCryoEMPicker):
            picker = kind(diameter=self.diameter_, contrast=self.contrast_)
            try:
                picker.fit(tried)
                picks = [picker.pick(micrograph, threshold=compact_picking.FAINTEST) for micrograph in tried]
            except PickerError as error:
                logger.debug("%s cannot be used here: %s", picker.name, error)
                continue
            agreed = agreement(picks, by_template, self.diameter_)
            if agreed > most:
                best, most = picker, agreed
        return [template] if best is None else [template, best]

    def _labels(self, sources: dict[str, list[pd.DataFrame]], names: Sequence[str]) -> list[pd.DataFrame]:
        """Return what pickers agree on, as labels of each micrograph."""
        trust = mutual_trust(list(sources.values()), self.diameter_)
        self._decide(
            "trust by agreement: "
            + ", ".join(f"{name} {value:.2f}" for name, value in zip(sources, trust, strict=True))
        )
        if not trust.any():
            trust = np.ones(len(sources))
        if self.name in sources:
            trust = trust * [OWN_VOICE if name == self.name else 1 for name in sources]
        return [
            as_labels(vote(tables, trust, self.diameter_, name))
            for name, *tables in zip(names, *sources.values(), strict=True)
        ]

    def _learn_from_labels(self, micrographs: Micrographs, labels: pd.DataFrame) -> None:
        micrographs, labels, self.diameter_, decision = labelled(micrographs, labels, self.diameter)
        self._decide(decision)
        seen = micrographs.spread(self.max_micrographs)
        self.contrast_ = self.contrast or detected_contrast(seen, self.diameter_)
        self._decide(f"particles are {self.contrast_} ({'given' if self.contrast else 'detected'})")
        training, held_out = hold_out(micrographs, HELD_OUT, self.seed)
        self._teach_labels(training, labels, LABEL_STEPS * self.steps, compact_picking.FULL_RATE, self.seed)
        picks = self._candidates(Pictures(held_out or training, self._prepare))
        if held_out:
            names = held_out.names
            truth = labels[labels["micrograph"].isin(names)]
            self.threshold_ = best_threshold(concatenate(picks), truth, micrographs=names, slack=SLACK)
            self._decide(f"threshold {self.threshold_:.2f}, from {plural(len(names), 'micrograph')} held out")
            # With the threshold chosen, these may be learned from, too.
            self._teach_labels(micrographs, labels, MORE_STEPS * self.steps, compact_picking.FINE_RATE, self.seed + 1)
        else:
            self._choose_threshold(concatenate(picks)["score"])

    def _choose_threshold(self, scores: pd.Series, default: float = UNDECIDED) -> None:
        self.threshold_ = float(np.clip(threshold_from_scores(scores, default=default), *THRESHOLDS))
        self._decide(f"threshold {self.threshold_:.2f}, from the distribution of the scores")

    def _teach_labels(self, micrographs: Micrographs, labels: pd.DataFrame, steps: int, rate: float, seed: int) -> None:
        tables = [labels[labels["micrograph"] == name] for name in micrographs.names]
        areas = [math.prod(micrographs.shape(index)) for index in range(len(micrographs))]
        self._teach(Pictures(micrographs, self._prepare), tables, steps, rate, seed, areas)

    def _teach(
        self,
        pictures: Pictures,
        labels: list[pd.DataFrame],
        steps: int,
        rate: float,
        seed: int,
        areas: list[int] | None = None,
    ) -> None:
        network, config = self.model_.network, self.model_.config
        history = compact_picking.teach(
            network, config, pictures, labels, steps=steps, rate=rate, seed=seed, areas=areas
        )
        self.history_ = pd.concat([self.history_, history], ignore_index=True)

    def _candidates(self, pictures: Pictures) -> list[pd.DataFrame]:
        return [
            compact_picking.candidates(self._map(picture), picture.frame, name, self.diameter_)
            for name, picture in zip(pictures.names, pictures, strict=True)
        ]

    def _prepare(self, micrograph: Micrograph) -> Picture:
        check_room(micrograph.name, micrograph.data.shape, self.diameter_)
        return whitened(recorded(micrograph, fill=not self.keep_masked), self.diameter_, self.contrast_)


def _particles(labels: list[pd.DataFrame]) -> int:
    return sum(int((table["view"] != IGNORE).sum()) for table in labels)
