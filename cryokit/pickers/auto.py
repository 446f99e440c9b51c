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
from cryokit.evaluate.thresholds import SLACK, best_threshold, threshold_from_scores
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import WORKING_DIAMETER, detected_contrast, recorded, rescaled, whitened
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.networks import Model
from cryokit.networks.devices import using
from cryokit.networks.scoring import ScoreMap
from cryokit.networks.scoring.centring import MICROGRAPHS
from cryokit.pickers import compact_picking
from cryokit.pickers.autocryopicker import AutoCryoPicker
from cryokit.pickers.consensus import agreement, as_labels, mutual_trust, vote
from cryokit.pickers.interface import Micrographs, Picker, Pictures, check_room
from cryokit.pickers.label_checks import hold_out, labelled
from cryokit.pickers.map_picker import MapPicker
from cryokit.pickers.supercryoempicker import SuperCryoEMPicker
from cryokit.pickers.template import TemplatePicker

logger = logging.getLogger(__name__)

GENERAL = "general"  # the model that comes with the package
TRIED = 2  # micrographs on which diameters and the two kinds of component 1 are compared
# Fewer labels than this teach a network the micrograph's noise rather than its particles.
ENOUGH = 12
STEPS = 100  # training steps of each of the two rounds
OWN_VOICE = 2.0  # weight of the network's own picks in the second round, against each of its teachers
# The boundary of the trained network itself is 0.5. The distribution of its scores may move the threshold where they
# leave room, not across what the network is sure of.
THRESHOLDS = (0.4, 0.6)
LABEL_STEPS = 300
HELD_OUT = 0.25  # share of labelled micrographs that the threshold is chosen on
# Diameters tried, relative to the template picker's estimate, which errs by up to two thirds where particles are few.
SCALES = tuple(0.5 * 2 ** (step / 6) for step in range(10))
# The general network was trained at the right scale: there it is sure of most of what it sees at all.
SEEN, SURE, DOUBTS = 0.2, 0.8, 10
SMALLEST = 10.0  # pixels across a particle


@dataclass(eq=False)
class AutoPicker(MapPicker):
    """Picker with a compact network that it trains on the micrographs themselves, without labels.

    1. The template picker detects the contrast and gives a first estimate of the diameter, where these are not given.
       Several diameters around the estimate are tried: the network that comes with the package is surest of its picks
       where the scale is right.
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
    network picks as it is. Given labels, it learns from these instead, and the threshold is chosen on a quarter of the
    micrographs that it was not trained on.

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
    bias_ : (float, float)
        Displacement of the network's peaks in pixels of the prepared picture, which `pick` takes back.
    decisions_ : list of str
        What was decided, and from what.
    history_ : pandas.DataFrame
        Training history, one row per epoch; empty without training.

    Notes
    -----
    The procedure is this package's own, in the spirit of DeepCryoPicker (Al-Azzawi et al. 2020, BMC Bioinformatics
    21:509): particles found by classical image processing train the network that picks.
    """

    learned_in: ClassVar[str] = "model_"
    transient: ClassVar[tuple[str, ...]] = ("history_",)

    pretrained: bool = False
    max_micrographs: int = number(12, 1, whole=True)
    margin: float = number(0.0, 0, 2)
    seed: int = number(0, 0, whole=True)
    model_: Model | None = field(default=None, init=False, repr=False)
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
        self.history_ = pd.DataFrame()
        with self._learning(), using():
            micrographs = Micrographs.to_learn_from(micrographs)
            # Loaded anew: a network is trained in place.
            self.model_ = Model.load(GENERAL)
            if labels is not None:
                self._learn_from_labels(micrographs, labels)
            else:
                self._learn_alone(micrographs.spread(self.max_micrographs))
            pictures = [self._prepare(micrograph) for micrograph in micrographs.spread(MICROGRAPHS)]
            self.bias_ = compact_picking.centring_bias(
                self.model_.network, self.model_.config, pictures, self.diameter_, self.threshold_
            )
            self.model_.threshold, self.model_.diameter = self.threshold_, self.diameter_
        return self

    def _map(self, picture: Picture) -> ScoreMap:
        return compact_picking.score_map(self.model_.network, self.model_.config, picture, self.bias_)

    def _pick_prepared(self, name: str, picture: Picture, least: float) -> pd.DataFrame:
        scores = self._map(picture)
        return compact_picking.candidates(scores, picture.frame, name, self.diameter_, least=least, margin=self.margin)

    def _learn_alone(self, micrographs: Micrographs) -> None:
        template = self._template(micrographs)
        self._decide_scale()
        teachers = [] if self.pretrained else self._teachers(template, micrographs)
        pictures = Pictures(micrographs, self._prepare)
        taught: dict[str, list[pd.DataFrame]] = {teacher.name: [] for teacher in teachers}
        for index, micrograph in enumerate(micrographs):
            pictures.add(index, self._prepare(micrograph))
            for teacher in teachers:
                taught[teacher.name].append(teacher.pick(micrograph, threshold=compact_picking.FAINTEST))
        picks = self._candidates(pictures)
        if self.pretrained:
            self._decide("the general network picks without training, as requested")
        else:
            picks = self._taught(pictures, taught, picks)
        self._choose_threshold(picks)

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
        self._teach(pictures, labels, STEPS, compact_picking.FINE_RATE, self.seed)
        labels = self._labels({**taught, self.name: self._candidates(pictures)}, pictures.names)
        self._decide(f"the trained network and its teachers agree on {_particles(labels)} particles")
        self._teach(pictures, labels, STEPS, compact_picking.FINE_RATE, self.seed + 1)
        return self._candidates(pictures)

    def _template(self, micrographs: Micrographs) -> TemplatePicker:
        """Find out contrast and diameter, where they are not given, and return the template picker for them."""
        template = TemplatePicker(self.diameter, self.contrast, self.max_micrographs)
        reduced = template.reduced(micrographs)
        self.contrast_ = template.contrast_
        self.diameter_ = self.diameter
        if self.diameter is None:
            self.diameter_ = self._estimated_diameter(template.estimated_diameter(reduced), micrographs)
        return template.make_reference(reduced, self.diameter_)

    def _estimated_diameter(self, guess: float, micrographs: Micrographs) -> float:
        """Return the diameter, around a first guess, at which the general network is surest of what it finds."""
        recordings = []
        for micrograph in micrographs.spread(TRIED):
            picture = recorded(micrograph)
            # Finer detail than the smallest diameter shows is of no use.
            finest = WORKING_DIAMETER / max(SMALLEST, SCALES[0] * guess)
            recordings.append((micrograph.name, rescaled(picture, min(1.0, finest))))
        side = min(min(picture.frame.source) for _, picture in recordings)
        diameters = [scale * guess for scale in SCALES if SMALLEST <= scale * guess <= side / 2]
        shares = []
        for diameter in diameters:
            seen = sure = 0
            for name, recording in recordings:
                picture = whitened(recording, diameter, self.contrast_)
                picks = compact_picking.candidates(self._map(picture), picture.frame, name, diameter, least=SEEN)
                score = picks["score"]
                seen, sure = seen + len(score), sure + int((score > SURE).sum())
            shares.append(sure / (seen + DOUBTS))
        if not diameters or not max(shares) > 0:
            return guess
        best = int(np.argmax(shares))
        if not 0 < best < len(diameters) - 1:
            return float(diameters[best])
        # The top of a parabola over the logarithm of the diameter.
        before, top, after = shares[best - 1 : best + 2]
        shift = 0.5 * (before - after) / (before - 2 * top + after)
        return float(diameters[best] * (diameters[best + 1] / diameters[best]) ** shift)

    def _teachers(self, template: TemplatePicker, micrographs: Micrographs) -> list[Picker]:
        """Return the pickers that need no training: the template picker and, where usable, component 1."""
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
        self._teach_labels(training, labels, LABEL_STEPS, compact_picking.FULL_RATE, self.seed)
        picks = self._candidates(Pictures(held_out or training, self._prepare))
        if held_out:
            names = held_out.names
            truth = labels[labels["micrograph"].isin(names)]
            self.threshold_ = best_threshold(concatenate(picks), truth, micrographs=names, slack=SLACK)
            self._decide(f"threshold {self.threshold_:.2f}, from {plural(len(names), 'micrograph')} held out")
            # With the threshold chosen, these may be learned from, too.
            self._teach_labels(micrographs, labels, STEPS, compact_picking.FINE_RATE, self.seed + 1)
        else:
            self._choose_threshold(picks)

    def _choose_threshold(self, picks: list[pd.DataFrame]) -> None:
        self.threshold_ = float(np.clip(threshold_from_scores(concatenate(picks)["score"]), *THRESHOLDS))
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
        return whitened(recorded(micrograph), self.diameter_, self.contrast_)


def _particles(labels: list[pd.DataFrame]) -> int:
    return sum(int((table["view"] != IGNORE).sum()) for table in labels)
