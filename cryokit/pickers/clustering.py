"""Base of the pickers that cluster enhanced micrographs, and all that they see on the way to their picks."""

from __future__ import annotations

import dataclasses
import logging
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryokit._util.checked_settings import number
from cryokit.coordinates import table
from cryokit.errors import ArgumentTypeError
from cryokit.imaging import STAGES, Preprocessing
from cryokit.imaging.frame import Frame
from cryokit.imaging.preparation import detected_contrast, recorded, unusable_regions
from cryokit.imaging.unusable import covered
from cryokit.micrograph import MicrographLike
from cryokit.pickers.interface import Micrographs, SizedPicker, as_micrograph
from cryokit.segmentation import Clustering, Particle
from cryokit.segmentation.selection import Decision

logger = logging.getLogger(__name__)

FEWEST_PIXELS = 8  # along a side of the pictures
SMALLEST = 1.0  # diameters: a smaller picture has no room for a particle with its surroundings


@dataclass(frozen=True, eq=False)
class Examination:
    """All that a picker saw in one micrograph: for notebooks, and for making training sets.

    Attributes
    ----------
    name : str
        Name of the micrograph.
    diameter : float
        Particle diameter in working pixels, those of the pictures.
    frame : Frame
        Frame of the pictures in the micrograph as stored.
    threshold : float
        Lowest score of a pick.
    stages : dict of str to ndarray of float32, shape (rows, columns)
        Pictures of the preprocessing chain, in order; empty for a micrograph that is constant or too small.
    clustering : Clustering or None
        Clusters of the last picture.
    masks : dict of str to ndarray of bool, shape (rows, columns)
        Masks from the particle cluster to the cleaned mask, in order.
    evidence : ndarray of float32, shape (rows, columns), or None
        Evidence for a particle at each pixel.
    particles : list of Particle
        Candidates, best first, in working pixels.
    """

    name: str
    diameter: float
    frame: Frame
    threshold: float
    stages: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    clustering: Clustering | None = None
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    evidence: NDArray[np.float32] | None = None
    particles: list[Particle] = field(default_factory=list)

    @property
    def picked(self) -> list[Particle]:
        """Candidates that the picker takes for particles."""
        return [particle for particle in self.particles if particle.score >= self.threshold]

    def picks(self, threshold: float | None = None) -> pd.DataFrame:
        """Return the candidates at or above a score.

        Parameters
        ----------
        threshold : float, optional
            Lowest score; default: the picker's.

        Returns
        -------
        pandas.DataFrame
            Table of picks in pixels of the micrograph, best first.
        """
        threshold = self.threshold if threshold is None else threshold
        chosen = [particle for particle in self.particles if particle.score >= threshold]
        scores, views = [particle.score for particle in chosen], [particle.view for particle in chosen]
        return table(self.name, *self._places(chosen), scores, self.diameter * self.frame.step, views)

    def training_particles(self, decisions: Iterable[Decision], *, debris: float | None = 0.05) -> pd.DataFrame:
        """Return the particles of a training set: good ones by their view, the others as negatives.

        Parameters
        ----------
        decisions : iterable of Decision
            Decisions on `picked`, by `cryokit.segmentation.selection.select`.
        debris : float or None
            Lowest score of candidates that were not picked (ice, debris, dense noise) but are negatives, too; None for
            none of them. Nearly every place of a micrograph is a candidate of score 0, so that 0 leaves hardly a place
            for background.

        Returns
        -------
        pandas.DataFrame
            Columns micrograph, x, y, diameter, class, in pixels of the micrograph; see
            `cryokit.networks.patches.build`.
        """
        rows = [(decision.particle, decision.particle.view if decision.good else "negative") for decision in decisions]
        if debris is not None:
            missed = (particle for particle in self.particles if debris <= particle.score < self.threshold)
            rows += [(particle, "negative") for particle in missed]
        x, y = self._places([particle for particle, _ in rows])
        diameter, classes = self.diameter * self.frame.step, [name for _, name in rows]
        return pd.DataFrame({"micrograph": self.name, "x": x, "y": y, "diameter": diameter, "class": classes})

    def _places(self, particles: list[Particle]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.frame.to_source([particle.x for particle in particles], [particle.y for particle in particles])


@dataclass(eq=False)
class ClusteringPicker(SizedPicker):
    """Base of the pickers of DeepCryoPicker's first half: enhance, cluster, clean, measure shapes.

    `fit` detects the contrast and estimates the diameter (as the method ``template`` does, unless a subclass knows
    better), as far as they are not given. A subclass defines ``_look``, and the chain `usual_preprocessing`.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph; estimated by default.
    contrast : {"dark", "bright"}, optional
        Contrast of the particles in the micrograph; detected by default.
    max_micrographs : int
        Largest number of micrographs, spread evenly over those given, from which contrast and diameter are estimated.
    clusters : int
        Number of clusters, 2 to 64.
    preprocessing : Preprocessing or mapping, optional
        Preprocessing chain, or the parameters in which it differs from the default chain.

    Attributes
    ----------
    diameter_, contrast_
        See `cryokit.pickers.interface.SizedPicker`.
    """

    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing()

    max_micrographs: int = number(12, 1, whole=True)
    clusters: int = number(4, 2, 64, whole=True)
    preprocessing: Preprocessing | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.preprocessing, Preprocessing):
            try:
                self.preprocessing = dataclasses.replace(self.usual_preprocessing, **(self.preprocessing or {}))
            except TypeError as error:
                raise ArgumentTypeError(f"preprocessing: {error}; see cryokit.imaging.Preprocessing") from None

    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> ClusteringPicker:
        """Detect the contrast and estimate the diameter, unless they are given; labels are not used.

        Raises
        ------
        PickerError
            If there is no micrograph, or they are too small to estimate the diameter.
        """
        micrographs = Micrographs.to_learn_from(micrographs).spread(self.max_micrographs)
        self.decisions_ = []
        self.contrast_ = self.contrast or detected_contrast(micrographs, self.diameter)
        self.diameter_ = self.diameter or self._estimated_diameter(_large(micrographs))
        self._decide_scale()
        return self

    def pick(self, micrograph: MicrographLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`."""
        return self._examined(micrograph, keep=("stretched", "opened")).picks(threshold)

    def examine(self, micrograph: MicrographLike) -> Examination:
        """Return everything that is seen on the way to the picks of one micrograph.

        Parameters
        ----------
        micrograph : Micrograph or path
            Micrograph as stored.

        Raises
        ------
        PickerError
            If the picker has not been fitted.
        """
        return self._examined(micrograph, keep=STAGES)

    def _examined(self, micrograph: MicrographLike, keep: Collection[str]) -> Examination:
        self._require_fitted()
        micrograph = as_micrograph(micrograph)
        image, frame = recorded(micrograph, fill=not self.keep_masked)
        frame = frame.then(self.preprocessing.frame(image.shape, self.diameter_))
        empty = Examination(micrograph.name, self.diameter_ / frame.step, frame, self.threshold_)
        if min(image.shape) < SMALLEST * self.diameter_ or min(frame.shape) < FEWEST_PIXELS:
            logger.warning(
                "%s: %d x %d pixels are too few for particles of %.0f; give the diameter in pixels of the micrograph",
                micrograph.name,
                *image.shape,
                self.diameter_,
            )
            return empty
        if not np.ptp(image) > 0:
            return empty
        stages = self.preprocessing.stages(image, self.diameter_, self.contrast_, keep=keep)
        seen = self._look(stages, empty.diameter)
        particles = seen.pop("particles")
        hidden = [False] * len(particles)
        if particles and not self.keep_masked:
            places = frame.to_source([particle.x for particle in particles], [particle.y for particle in particles])
            hidden = covered(unusable_regions(micrograph), *places)
        particles = [particle for particle, lost in zip(particles, hidden, strict=True) if not lost]
        particles.sort(key=lambda particle: -particle.score)
        return dataclasses.replace(empty, stages=stages, particles=particles, **seen)

    def _estimated_diameter(self, micrographs: Micrographs) -> float:
        # A late import: whoever gives the diameter does without the other method.
        from cryokit.pickers.template import TemplatePicker

        logger.info("%s: estimates the diameter as the method template does", self.name)
        template = TemplatePicker(contrast=self.contrast_, max_micrographs=self.max_micrographs)
        return template.estimated_diameter(template.reduced(micrographs))

    @abstractmethod
    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        """Return clustering, masks, evidence and particles of an enhanced picture, as in `Examination`."""


def value_at(picture: NDArray, x: ArrayLike, y: ArrayLike) -> NDArray:
    """Return the values of the pixels nearest to some places.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Picture to look up.
    x, y : array_like of float, shape (n,)
        Columns and rows; places outside have the value of the border.
    """
    rows, columns = (
        np.clip(np.rint(line).astype(int), 0, size - 1) for line, size in zip((y, x), picture.shape, strict=True)
    )
    return picture[rows, columns]


def _large(micrographs: Micrographs) -> Micrographs:
    """Leave out micrographs far smaller than the largest: a stray crop must not limit which diameters are tried."""
    sides = [min(micrographs.shape(index)) for index in range(len(micrographs))]
    return micrographs.subset(index for index, side in enumerate(sides) if side >= max(sides) / 2)
