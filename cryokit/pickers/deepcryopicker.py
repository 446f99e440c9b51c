"""DeepCryoPicker: component 1 finds training particles without labels, the paper's network learns them and picks."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.checked_settings import choice, number
from cryokit._util.wording import plural
from cryokit.coordinates import IGNORE, concatenate, table
from cryokit.coordinates.suppression import nms_iou
from cryokit.errors import PickerError
from cryokit.evaluate.thresholds import UNDECIDED
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import NOT_ON_EDGE, find_peaks, inside
from cryokit.imaging.scale import scale_factor
from cryokit.imaging.score_cleaning import clean, largest_area
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.networks import Model
from cryokit.networks.architectures.deepcryopicker_net import DeepCryoPickerConfig
from cryokit.networks.devices import using
from cryokit.networks.patches.building import NoSamples, build
from cryokit.networks.patches.rows import BACKGROUND, VIEWS
from cryokit.networks.patches.training_set import CLASS_SETTINGS, TrainingSet
from cryokit.networks.scoring import ScoreMap, centred, dense, sliding
from cryokit.networks.training import MODERN, PAPER, History, Samples, train
from cryokit.pickers import component1
from cryokit.pickers.interface import Micrographs, Pictures, spread
from cryokit.pickers.label_checks import labelled
from cryokit.pickers.map_picker import MapPicker
from cryokit.pickers.places import off_centre, scattered

logger = logging.getLogger(__name__)

NEGATIVE = "negative"
BOX = 1.25  # side of the particle's box in diameters: table 4 has 94 pixels for apoferritin, which is 76 across
# Fewer particles of a class are not learned but remembered.
FEWEST = 12
FEWEST_SHARE = 0.03  # of all particles: fewer of a view are mistakes of component 1 rather than examples
# Distance from its centre, in diameters, within which a window shows a particle, and how often each particle is shown.
CENTRED, SHIFTED = 0.12, 4
LEAST_PER_CLASS = 100  # patches; with so few particles, filtered copies are better than none
APART = 0.5  # smallest distance of two picks, in diameters
SMOOTH = 0.06  # diameters: the scores of a particle are high and even over a part of it, whose middle is wanted
FAINTEST = 0.02  # candidates with lower scores are not worth keeping
SCORED = 6  # micrographs on which the threshold is chosen
EPOCHS = {"modern": 15, "paper": 20}
DROPOUT = 0.3  # between the fully connected layers; the paper has none


@dataclass(eq=False)
class DeepCryoPicker(MapPicker):
    """DeepCryoPicker: a network that judges windows, trained on particles found without labels.

    1. *Training particles.* Component 1 (`AutoCryoPicker`, or `SuperCryoEMPicker` for irregular particles, see
       `cryokit.pickers.component1`) picks the micrographs, and the tests of `cryokit.segmentation.selection` decide
       which picks are good examples of their view. Given labels, these are the training particles.
    2. *Scale.* The micrographs are resized in steps of 0.125, so that the particle's box is slightly smaller than the
       network's window of 227 pixels (`cryokit.imaging.scale`).
    3. *Training set.* The training set is balanced over the classes of `classes_setting` that the micrographs show,
       and split by micrograph (`cryokit.networks.patches`).
    4. *Training.* The network is that of table 9, or its variant without padding
       (`cryokit.networks.architectures.deepcryopicker_net`).
    5. *Picking.* The whole micrograph is scored. Connected areas above the threshold that are too large for particles
       are removed; of overlapping peaks the best is picked. The class with the highest score is the view.

    What the paper leaves open, or is different here: ``padding="valid"`` is the default, because the scores of that
    variant over a whole micrograph are exact. The network is narrow by default, so that two cores train it in a minute
    or two (``width=1`` for the paper's). Windows beside particles are part of the background (`off_centre`); without
    them a network scores all parts of a particle alike. Overlapping picks are suppressed among all views together,
    because otherwise one particle could be picked as two views.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph; estimated by default (with labels: their median).
    contrast : {"dark", "bright"}, optional
        Whether particles are darker or brighter than their surroundings; detected by default. With labels it makes no
        difference.
    padding : {"valid", "same"}
        Padding of the network's convolutions; ``same`` is table 9.
    classes_setting : {"4 + background", "4 + negative", "five classes"}
        Classes of one of the paper's experiments (`cryokit.networks.patches.CLASS_SETTINGS`). Views that the
        micrographs do not show are left out.
    width : float
        Factor on the numbers of filters and units of the network.
    training : {"modern", "paper"}
        Training settings, `cryokit.networks.training.MODERN` or `PAPER`. The paper's learning rate of 1e-4 is slow:
        it needs many `epochs`.
    epochs : int, optional
        Largest number of epochs; by default 15 (modern) or 20 (paper).
    per_class : int
        Number of patches of each class, including those for validation. The paper has 1,500.
    off_centre : bool
        Whether windows centred on no particle, beside particles or anywhere, are the background (in the settings with
        negatives: are among these), and particles are also shown a little off their centre. If False, the background
        are windows that touch no particle, as in the paper.
    stride : int
        Distance of neighbouring scores in pixels of the resized micrograph: 1, 2, 4, 8, 16 or 32.
    scoring : {"dense", "sliding"}
        Whether to score all windows at once, or one after the other as in the paper (much slower).
    overlap : float
        Largest intersection over union of the boxes of two picks.
    largest : float
        Largest connected area above the threshold, in areas of a particle; larger ones are not particles.
    margin : float
        Distance from the border, in diameters, within which there are no picks; 0.5 leaves out all particles that the
        border cuts.
    max_micrographs : int
        Largest number of micrographs to learn from, spread evenly over those given. With labels, all are used.
    validation : float
        Share of the training set, from micrographs of its own (if there are two or more), that decides when to stop
        and, with labels, which threshold is best. With 0 all epochs are trained.
    seed : int
        Random seed for the choice of training particles, the weights and the training.

    Attributes
    ----------
    diameter_, contrast_
        See `cryokit.pickers.interface.SizedPicker`.
    factor_ : float
        Factor by which micrographs are resized.
    threshold_ : float
        Lowest score of a pick. With labels it is the best on the validation micrographs. Without, it is the best if the
        picks of component 1 were the truth: on simulated micrographs this is closer to the optimum than the
        distribution of the scores, which decides where there is nothing to compare with, as for a single labelled
        micrograph.
    bias_ : (float, float)
        Displacement of the peaks in pixels of the resized micrograph, which `pick` takes back
        (`cryokit.networks.scoring.turn_bias`).
    decisions_ : list of str
        What was decided, and from what.
    training_set_ : TrainingSet or None
        Training set, after `fit`; not saved.
    history_ : cryokit.networks.training.History or None
        Training history, after `fit`; its summary is saved.

    Notes
    -----
    Al-Azzawi et al. 2020, BMC Bioinformatics 21:509.
    """

    window = DeepCryoPickerConfig.window
    learned_in: ClassVar[str] = "model_"
    transient: ClassVar[tuple[str, ...]] = ("training_set_", "history_")

    padding: Literal["valid", "same"] = "valid"
    classes_setting: str = choice("4 + background", *CLASS_SETTINGS)
    width: float = 0.125
    training: Literal["modern", "paper"] = choice("modern", *EPOCHS)
    epochs: int | None = number(None, 1, whole=True, optional=True)
    per_class: int = number(800, FEWEST, whole=True)
    off_centre: bool = choice(True, True, False)
    stride: int = choice(16, 1, 2, 4, 8, 16, 32)
    scoring: Literal["dense", "sliding"] = choice("dense", "dense", "sliding")
    overlap: float = number(0.3, 0, 1)
    largest: float = number(3.0, 0, above=True)
    margin: float = number(0.0, 0, 2)
    max_micrographs: int = number(12, 1, whole=True)
    validation: float = number(0.2, 0, 0.5)
    seed: int = number(0, 0, whole=True)
    model_: Model | None = field(default=None, init=False, repr=False)
    training_set_: TrainingSet | None = field(default=None, init=False, repr=False)
    history_: History | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        # The network checks its own settings; now, not after minutes of looking for particles.
        self._config(CLASS_SETTINGS[self.classes_setting])

    @using()
    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> DeepCryoPicker:
        """Find training particles, or take them from labels, and train the network.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Micrographs to learn from. Those given as paths are read several times, one at a time.
        labels : pandas.DataFrame, optional
            Table of picks (`cryokit.coordinates.table`) with all particles of these micrographs. Views other than top
            and side are irregular; rows of the view ``ignore`` are neither particles nor background.

        Returns
        -------
        DeepCryoPicker
            The picker itself.

        Raises
        ------
        PickerError
            If there is no micrograph, there are too few particles to learn from, none of the labels is of these
            micrographs, or the micrographs are too small for the diameter.
        """
        self._forget()
        micrographs = Micrographs.to_learn_from(micrographs)
        if labels is None:
            micrographs = micrographs.spread(self.max_micrographs)
            found = self._found_particles(micrographs)
            particles, truth = found.particles, found.picks
        else:
            micrographs, labels, self.diameter_, told = labelled(micrographs, labels, self.diameter)
            self.contrast_ = self.contrast or "dark"
            self._decide(told)
            particles, truth = self._labelled_particles(labels), labels
        self.factor_ = scale_factor(BOX * self.diameter_, self.window)
        self._decide(
            f"scale {self.factor_:g}: a box of {BOX:g} diameters is "
            f"{BOX * self.working_diameter:.0f} pixels in the window of {self.window}"
        )
        pictures = Pictures(micrographs, self._prepare)
        self.training_set_ = self._training_set(pictures, particles)
        self._train(self.training_set_)
        self._choose_threshold(pictures, truth, labelled=labels is not None)
        self._centre(pictures)
        return self

    def _config(self, classes: Sequence[str]) -> Any:
        dropout = DROPOUT if self.training == "modern" else 0.0
        return DeepCryoPickerConfig(classes, seed=self.seed, padding=self.padding, width=self.width, dropout=dropout)

    @property
    def working_diameter(self) -> float:
        """Particle diameter in pixels of the resized micrograph."""
        return self.diameter_ * self.factor_

    @property
    def _factor(self) -> float:
        return self.factor_

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        score = sliding if self.scoring == "sliding" else dense
        return score(picture, self.model_, stride=self.stride)

    def _pick_prepared(self, name: str, picture: Picture, least: float) -> pd.DataFrame:
        return self._picks(self._scores(picture.data), picture.frame, name, least)

    def _picks(self, scores: ScoreMap, frame: Frame, name: str, threshold: float) -> pd.DataFrame:
        """Return the particles of a score map."""
        diameter = self.working_diameter
        particle = scores.particle
        # Areas are joined at the picker's own threshold whatever candidates are asked for: at 0 all is one area.
        cut_off = max(1.0, largest_area(diameter, scores.frame.step, particles=self.largest))
        allowed = (particle < self.threshold_) | clean(particle, self.threshold_, cut_off)
        smooth = ndimage.gaussian_filter(particle, SMOOTH * diameter / scores.frame.step, mode="nearest")
        column, row, score = find_peaks(
            smooth, APART * diameter / scores.frame.step, threshold, margin=NOT_ON_EDGE, allowed=allowed
        )
        view = scores.views(row, column)
        x, y = scores.frame.to_source(column, row)
        stored_x, stored_y = centred(frame, self.bias_).to_source(x, y)
        kept = inside(x, y, frame.shape, self.margin * diameter) & inside(stored_x, stored_y, frame.source, 0.0)
        kept = np.flatnonzero(kept)
        kept = kept[nms_iou(x[kept], y[kept], diameter, score[kept], limit=self.overlap)]
        return table(name, stored_x[kept], stored_y[kept], np.clip(score[kept], 0, 1), self.diameter_, view[kept])

    # --- training --------------------------------------------------------------------------------------------------

    def _found_particles(self, micrographs: Micrographs) -> component1.TrainingParticles:
        found = component1.training_particles(micrographs, diameter=self.diameter, contrast=self.contrast)
        self.diameter_, self.contrast_ = float(found.picker.diameter_), found.picker.contrast_
        self._decide_scale()
        self._decide(f"training particles from {found.picker.name}: {found.reason}")
        return found

    def _labelled_particles(self, labels: pd.DataFrame) -> pd.DataFrame:
        particles = labels[["micrograph", "x", "y", "diameter"]].fillna({"diameter": self.diameter_})
        particles["class"] = labels["view"].where(labels["view"].isin([*VIEWS, IGNORE]), "irregular").astype(object)
        return particles

    def _classes(self, particles: pd.DataFrame) -> tuple[str, ...]:
        """Return the classes of the setting of which there are enough particles."""
        counts = particles["class"].value_counts()
        found = sum(int(counts.get(view, 0)) for view in VIEWS)
        fewest = max(FEWEST, FEWEST_SHARE * found)
        kept = [
            name
            for name in CLASS_SETTINGS[self.classes_setting]
            if name == BACKGROUND
            or (name == NEGATIVE and self.off_centre)
            or counts.get(name, 0) >= (FEWEST if name == NEGATIVE else fewest)
        ]
        if not set(kept) & set(VIEWS):
            raise PickerError(
                f"{plural(found, 'training particle')} found, fewer than {FEWEST} of any view; give more micrographs, "
                "the diameter and the contrast, or labels"
            )
        if not set(kept) - set(VIEWS):
            raise PickerError(
                f"classes_setting {self.classes_setting!r}: there are only {counts.get(NEGATIVE, 0)} negatives; take "
                "'4 + background', or off_centre=True"
            )
        return tuple(kept)

    def _training_set(self, pictures: Pictures, particles: pd.DataFrame) -> TrainingSet:
        """Cut the training set from the very pictures that are scored."""
        classes = self._classes(particles)
        try:
            built = self._built(pictures, particles, classes)
        except NoSamples as error:
            if error.classes != (BACKGROUND,) or NEGATIVE not in classes:
                raise
            self._decide("no window is free of particles: the negatives are all the background there is")
            without = tuple(name for name in classes if name != BACKGROUND)
            built = self._built(pictures, particles, without)
        self._decide("training set: " + ", ".join(f"{n} {name}" for name, n in built.counts().sum(axis=1).items()))
        return built

    def _built(self, pictures: Pictures, particles: pd.DataFrame, classes: tuple[str, ...]) -> TrainingSet:
        # `build` takes places of its own choice for background, and others as negatives, which are no class then.
        stand_in = self.off_centre and NEGATIVE not in classes
        if stand_in:
            particles = particles.assign(**{"class": particles["class"].replace(NEGATIVE, IGNORE)})
        rows = self._rows(pictures, particles)
        per_class = self.per_class
        if self.training == "modern":
            # Training mirrors and rotates by itself. More copies than rotations would have to be filtered ones, of all
            # classes alike, and those look like no picture that is scored.
            rarest = rows["class"].value_counts()[[name for name in classes if name != BACKGROUND]].min()
            per_class = min(per_class, max(LEAST_PER_CLASS, 4 * int(rarest)))
        built = build(
            (Micrograph(picture.data, name=name) for name, picture in zip(pictures.names, pictures, strict=True)),
            rows,
            classes=[NEGATIVE if stand_in and name == BACKGROUND else name for name in classes],
            per_class=per_class,
            size=self.window,
            diameter=self.working_diameter,
            # A trifle more than the window: patches are cut out as they are, not enlarged by a rounding error.
            box=self.window / self.working_diameter * (1 + 1e-9),
            validation=self.validation if len(pictures) > 1 else 0.0,
            test=0.0,
            seed=self.seed,
        )
        if stand_in:
            table = built.table.assign(**{"class": built.table["class"].replace(NEGATIVE, BACKGROUND)})
            built = TrainingSet(built.patches, classes, table, built.provenance)
        return built

    def _rows(self, pictures: Pictures, particles: pd.DataFrame) -> pd.DataFrame:
        """Return the particles in pixels of the pictures and, with `off_centre`, other places as negatives."""
        rng = np.random.default_rng(self.seed)
        number = math.ceil(self.per_class / len(pictures))
        tables = []
        for name, (_, frame) in zip(pictures.names, pictures, strict=True):
            here = particles[particles["micrograph"] == name]
            x, y = frame.from_source(here["x"], here["y"])
            here = here.assign(x=x, y=y, diameter=here["diameter"] / frame.step)
            if self.off_centre:
                # Each particle some times, a little beside its centre: between the positions that are scored it is so.
                near = scattered(here[["x", "y"]].to_numpy(), CENTRED * self.working_diameter, SHIFTED, rng)
                here = pd.concat([here] * SHIFTED, ignore_index=True).assign(x=near[:, 0], y=near[:, 1])
            tables.append(here)
            if self.off_centre:
                places = off_centre(np.column_stack([x, y]), self.working_diameter, frame.shape, number, rng)
                tables.append(
                    pd.DataFrame(places, columns=["x", "y"]).assign(
                        **{"micrograph": name, "diameter": self.working_diameter, "class": NEGATIVE}
                    )
                )
        return pd.concat([each for each in tables if len(each)], ignore_index=True)

    def _train(self, training_set: TrainingSet) -> None:
        settings = dataclasses.replace(
            MODERN if self.training == "modern" else PAPER, epochs=self.epochs or EPOCHS[self.training]
        )
        config = self._config(training_set.classes)
        network = config.build()
        counts = training_set.counts()
        validation = Samples(*training_set.arrays("validation")) if counts["validation"].any() else None
        self.history_ = train(network, Samples(*training_set.arrays("train")), validation, settings, seed=self.seed)
        provenance = {"training": self.history_.summary(), "training_set": counts.to_dict("index")}
        self.model_ = self._window_model(network, config, provenance)

    def _locate(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        scores = dense(picture, self.model_, stride=self.stride)
        picks = self._picks(scores, Frame.whole(picture.shape), "", self.threshold_)
        return picks["x"].to_numpy(), picks["y"].to_numpy()

    def _choose_threshold(self, pictures: Pictures, truth: pd.DataFrame, labelled: bool) -> None:
        table = self.training_set_.table
        held_out = set(table.loc[table["split"] == "validation", "micrograph"])
        # Labels are what the network has learned, so those that judge it have to be others. Component 1 is wrong now
        # and then: mistakes of a single micrograph would move the threshold further than what is known by heart.
        chosen, part = spread(range(len(pictures)), SCORED), ""
        if labelled and held_out:
            chosen, part = [index for index, name in enumerate(pictures.names) if name in held_out], " held out"
        self.threshold_ = UNDECIDED
        names = [pictures.names[index] for index in chosen]
        picks = []
        for index, name in zip(chosen, names, strict=True):
            picture, frame = pictures[index]
            scores = dense(picture, self.model_, stride=self.stride)
            picks.append(self._picks(scores, frame, name, FAINTEST))
        truth = truth[truth["micrograph"].isin(names)] if held_out or not labelled else None
        best = self._set_threshold(concatenate(picks), names, truth, slack=0.0)
        self.model_.threshold = self.threshold_
        how = f"the best for the {'labels' if labelled else 'picks of component 1'}"
        how = how if best else "from the distribution of the scores"
        self._decide(f"threshold {self.threshold_:.2f}, {how} on {plural(len(names), 'micrograph')}{part}")
