"""What the pickers that cluster enhanced micrographs share: fitting, coordinates, files, and all that they see."""

from __future__ import annotations

import dataclasses
import logging
import os
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import table
from cryokit.errors import PickerError
from cryokit.imaging import STAGES, Preprocessing
from cryokit.imaging.frame import Frame
from cryokit.imaging.preparation import detected_contrast, recorded
from cryokit.micrograph import Micrograph
from cryokit.pickers.interface import Micrographs, Picker, as_micrograph, check_settings
from cryokit.segmentation import Clustering, Particle
from cryokit.segmentation.selection import Decision

logger = logging.getLogger(__name__)

FEWEST_PIXELS = 8  # along a side of the pictures
SMALLEST = 1.0  # diameters: in a smaller picture there is no particle with its surroundings


@dataclass(frozen=True, eq=False)
class Examination:
    """All that a picker saw in one micrograph, in working pixels: for notebooks, and for making training sets.

    Attributes
    ----------
    name : str
        Of the micrograph.
    stages : dict of str to ndarray of float32, shape (rows, columns)
        The pictures of the preprocessing chain, in order; empty where there was nothing to look at.
    clustering : Clustering or None
    masks : dict of str to ndarray of bool, shape (rows, columns)
        From the particle cluster to the cleaned mask, in order.
    evidence : ndarray of float32, shape (rows, columns), or None
        How much speaks for a particle at each pixel.
    particles : list of Particle
        Candidates, best first.
    diameter : float
        Of the particle, working pixels.
    frame : Frame
        Frame of the pictures in the micrograph as stored.
    threshold : float
        Lowest score of a pick.
    """

    name: str
    stages: dict[str, NDArray[np.float32]]
    clustering: Clustering | None
    masks: dict[str, NDArray[np.bool_]]
    evidence: NDArray[np.float32] | None
    particles: list[Particle]
    diameter: float
    frame: Frame
    threshold: float

    @property
    def picked(self) -> list[Particle]:
        """The candidates that the picker takes for particles."""
        return [particle for particle in self.particles if particle.score >= self.threshold]

    def picks(self, threshold: float | None = None) -> pd.DataFrame:
        """Return the candidates at or above a score, in pixels of the micrograph.

        Parameters
        ----------
        threshold : float, optional
            The picker's own when not given.

        Returns
        -------
        pandas.DataFrame
            A table of picks.
        """
        threshold = self.threshold if threshold is None else threshold
        chosen = [particle for particle in self.particles if particle.score >= threshold]
        x, y = self.frame.to_source([particle.x for particle in chosen], [particle.y for particle in chosen])
        return table(
            self.name,
            x,
            y,
            [particle.score for particle in chosen],
            self.diameter * self.frame.step,
            [particle.view for particle in chosen],
        )

    def training_particles(self, decisions: Iterable[Decision], *, debris: float | None = 0.05) -> pd.DataFrame:
        """Return the particles of a training set: good ones by their view, the others as negatives.

        Parameters
        ----------
        decisions : iterable of Decision
            On `picked`, of `cryokit.segmentation.selection.select`.
        debris : float or None
            Candidates that were not picked (ice, debris, dense noise) are negatives, too, if they have at least this
            score; None for none of them. Nearly every place of a micrograph is a candidate of score 0: with 0 hardly a
            place is left for background.

        Returns
        -------
        pandas.DataFrame
            Columns micrograph, x, y, diameter, class; pixels of the micrograph. See `cryokit.networks.patches.build`.
        """
        rows = [(each.particle, each.particle.view if each.good else "negative") for each in decisions]
        if debris is not None:
            missed = (particle for particle in self.particles if debris <= particle.score < self.threshold)
            rows += [(particle, "negative") for particle in missed]
        x, y = self.frame.to_source([particle.x for particle, _ in rows], [particle.y for particle, _ in rows])
        return pd.DataFrame(
            {
                "micrograph": self.name,
                "x": x,
                "y": y,
                "diameter": self.diameter * self.frame.step,
                "class": [what for _, what in rows],
            }
        )


class ClusteringPicker(Picker):
    """Base of the pickers of DeepCryoPicker's first half: enhance, cluster, clean, measure shapes.

    `fit` finds out only what was not given: the contrast, and the diameter (as the method ``template`` does, unless a
    subclass knows better).
    """

    learned_in: ClassVar[str] = "diameter_"
    own_threshold: ClassVar[float] = 0.5
    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing()

    def __init__(
        self,
        diameter: float | None,
        contrast: Literal["dark", "bright"] | None,
        max_micrographs: int,
        preprocessing: Preprocessing | Mapping[str, Any] | None,
    ) -> None:
        check_settings(diameter, contrast, max_micrographs)
        self.diameter = diameter
        self.contrast = contrast
        self.max_micrographs = max_micrographs
        if not isinstance(preprocessing, Preprocessing):
            try:
                preprocessing = dataclasses.replace(self.usual_preprocessing, **(preprocessing or {}))
            except TypeError as error:
                raise PickerError(f"preprocessing: {error}; see cryokit.imaging.Preprocessing") from None
        self.preprocessing = preprocessing
        self.threshold_ = self.own_threshold
        self.diameter_: float | None = None
        self.contrast_: Literal["dark", "bright"] | None = None

    def fit(
        self, micrographs: Iterable[Micrograph | str | os.PathLike], labels: pd.DataFrame | None = None
    ) -> ClusteringPicker:
        """Find out the contrast and the diameter, where they were not given; labels are not used.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
        labels : None
            Ignored: the method needs none.

        Returns
        -------
        ClusteringPicker
            Itself.

        Raises
        ------
        PickerError
            When there is no micrograph, or they are too small to estimate the diameter.
        """
        micrographs = Micrographs.to_learn_from(micrographs).spread(self.max_micrographs)
        self.contrast_ = self.contrast or detected_contrast(micrographs, self.diameter)
        self.diameter_ = self.diameter or self._estimated_diameter(_large(micrographs))
        logger.info(
            "%s: particles are %s, %.1f pixels across (%s)",
            self.name,
            self.contrast_,
            self.diameter_,
            "given" if self.diameter else "estimated",
        )
        return self

    def pick(self, micrograph: Micrograph | str | os.PathLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`."""
        picks = self._examined(micrograph, keep=("stretched", "opened")).picks(threshold)
        return picks.sort_values("score", ascending=False, kind="stable", ignore_index=True)

    def examine(self, micrograph: Micrograph | str | os.PathLike) -> Examination:
        """Return everything that is seen on the way to the picks of one micrograph.

        Parameters
        ----------
        micrograph : Micrograph or path

        Returns
        -------
        Examination

        Raises
        ------
        PickerError
            When the picker has not been fitted.
        """
        return self._examined(micrograph, keep=STAGES)

    def _examined(self, micrograph: Micrograph | str | os.PathLike, keep: Collection[str]) -> Examination:
        self._require_fitted()
        micrograph = as_micrograph(micrograph)
        image, frame = recorded(micrograph)
        frame = frame.then(self.preprocessing.frame(image.shape, self.diameter_))
        diameter = self.diameter_ / frame.step
        seen: dict[str, Any] = dict(stages={}, clustering=None, masks={}, evidence=None, particles=[])
        if min(image.shape) < SMALLEST * self.diameter_ or min(frame.shape) < FEWEST_PIXELS:
            logger.warning(
                "%s: %d x %d pixels are too few for particles of %.0f; give the diameter in pixels of the micrograph",
                micrograph.name,
                *image.shape,
                self.diameter_,
            )
        elif np.ptp(image) > 0:
            stages = self.preprocessing.stages(image, self.diameter_, self.contrast_, keep=keep)
            seen = dict(stages=stages) | self._look(stages, diameter)
        return Examination(name=micrograph.name, diameter=diameter, frame=frame, threshold=self.threshold_, **seen)

    def _estimated_diameter(self, micrographs: Micrographs) -> float:
        # A late import: who gives the diameter does without the other method.
        from cryokit.pickers.template import TemplatePicker

        logger.info("%s: estimates the diameter as the method template does", self.name)
        return TemplatePicker(contrast=self.contrast_).fit(micrographs).diameter_

    @abstractmethod
    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        """Return clustering, masks, evidence and particles of an enhanced picture, as in `Examination`."""


def _large(micrographs: Micrographs) -> Micrographs:
    """Leave out micrographs far smaller than the largest: a stray crop must not limit which diameters are tried."""
    sides = [min(micrographs.shape(index)) for index in range(len(micrographs))]
    return micrographs.subset(index for index, side in enumerate(sides) if side >= max(sides) / 2)
