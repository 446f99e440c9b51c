"""AutoCryoPicker: intensity clustering of enhanced micrographs; circles are top views, squares side views."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryokit._util.validation import check_number
from cryokit.errors import PickerError
from cryokit.imaging import Preprocessing
from cryokit.imaging.frame import Picture
from cryokit.imaging.peaks import find_peaks
from cryokit.imaging.preparation import middle, recorded
from cryokit.imaging.suppression import nms_distance
from cryokit.pickers.clustering import ClusteringPicker
from cryokit.pickers.interface import Micrographs, diameters_to_try
from cryokit.segmentation import (
    Circle,
    Clustering,
    Particle,
    circle_radii,
    clean,
    coverage,
    filled,
    hough_circles,
    ibc,
    label_image,
    objects,
    radial_votes,
    shapes_at,
    side_views,
    split_overlaps,
    top_views,
)

logger = logging.getLogger(__name__)

# Chosen on simulated KLH and apoferritin and on half of the real micrographs (benchmarks/component1.py names them).
CIRCLE, CIRCLE_STEP = 0.5, 0.05  # strength of a circle that is as likely a particle as not; and e times as likely
EVIDENCE, EVIDENCE_STEP = 0.28, 0.03  # the same of outline and filling
APART = 0.5  # diameters between two particles, at least
WEAKEST_CIRCLE = 0.2  # below it is noise
SMALLEST_PART = 0.6  # particle areas: what is cut off a filled object is a particle, not a corner of one
FEWEST = 5  # particles that tell a diameter
TRIAL_MICROGRAPHS, TRIAL_AREA = 3, 400.0  # squared diameters of each: what a diameter is tried on
SIDES = 0.15  # share of the picks without a circle that makes a micrograph one with side views


class AutoCryoPicker(ClusteringPicker):
    """Picks round and square particles in the darkest cluster of enhanced micrographs, without labels.

    1. The preprocessing chain (`cryokit.imaging`) at the particle's scale; the darkest of `clusters` intensity
       clusters (`cryokit.segmentation.ibc`) is the particle mask.
    2. Circles in the enhanced picture (`cryokit.segmentation.hough_circles`) are candidates for top views.
    3. Squares have no circle, but still a closed outline and a filled mask. The geometric mean of the two
       (`cryokit.segmentation.radial_votes` and `coverage` of the mask with gaps closed and holes filled) is the evidence; its
       maxima are candidates, too.
    4. A candidate's score is the larger of two logistic functions: of the circle's strength and of the evidence. It
       is 0.5 at the thresholds, which are the same for all micrographs. Of candidates closer than half a
       diameter the best stays.
    5. Picks with a circle are top views. The others are side views, if the micrograph has a fair share of them: in one
       that has only top views they are faint rings.

    The published method, as `PublishedAutoCryoPicker`, looks for circles in the cleaned mask instead and takes the
    objects that are left for side views, so that a particle whose mask is broken or touches another is lost.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph. When not given, the one at which the evidence, weighted by the
        particles' area, is largest, and then the median of those of the particles found. It is looked for between a
        hundredth and an eighth of the micrograph's shorter side.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; detected when not given.
    max_micrographs : int
        At most so many micrographs, spread evenly over those given, tell contrast and diameter.
    clusters : int
        Of intensity.
    preprocessing : Preprocessing or mapping, optional
        The chain, or the parameters to change. By default the published one with a uniform
        instead of a Rayleigh distribution in adaptive equalisation, which leaves more contrast to faint side views.

    Attributes
    ----------
    diameter_ : float
    contrast_ : {"dark", "bright"}

    Notes
    -----
    Al-Azzawi et al. 2019, BMC Bioinformatics 20:326 (AutoCryoPicker), as used by DeepCryoPicker (2020). There is no
    randomness.
    """

    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing(clahe_distribution="uniform")

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        max_micrographs: int = 12,
        clusters: int = 4,
        preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(diameter, contrast, max_micrographs, preprocessing)
        check_number("clusters", clusters, 2, 64, whole=True)
        self.clusters = clusters

    def _estimated_diameter(self, micrographs: Micrographs) -> float:
        """Return the diameter at which the evidence above the threshold, weighted by the particles' area, is largest.

        A smaller one sees parts of particles, a larger one few or none.
        """
        pictures = [recorded(micrograph) for micrograph in micrographs.spread(TRIAL_MICROGRAPHS)]
        pictures = [picture for picture in pictures if np.ptp(picture.data) > 0]
        if not pictures:
            raise PickerError("constant micrographs do not show the particle's diameter; give it")
        diameters = diameters_to_try(min(min(picture.data.shape) for picture in pictures))
        chain = AutoCryoPicker.usual_preprocessing
        seen = np.zeros(len(diameters))
        for index, diameter in enumerate(diameters):
            working = diameter / chain.factor(diameter)
            for picture in pictures:
                window = middle(picture, diameter, TRIAL_AREA).data
                evidence, _, _ = _evidence(chain(window, diameter, self.contrast_), working, self.clusters)
                _, _, height = find_peaks(evidence, APART * working)
                excess = np.maximum(height - EVIDENCE, 0)
                seen[index] += excess.sum() * diameter**2 / window.size
        best = int(np.argmax(seen))
        if not 0 < best < len(diameters) - 1:
            logger.warning(
                "the particles' diameter, estimated as %.0f pixels, is at the end of the range that was looked at; "
                "check it on a picture of the picks and give the diameter",
                diameters[best],
            )
            return float(diameters[best])
        # The top of a parabola through the best and its neighbours, over the logarithm of the diameter.
        before, top, after = seen[best - 1 : best + 2]
        offset = 0.5 * (before - after) / (before - 2 * top + after) if top > min(before, after) else 0.0
        return self._measured_diameter(pictures, float(diameters[best] * (diameters[1] / diameters[0]) ** offset))

    def _measured_diameter(self, pictures: list[Picture], diameter: float) -> float:
        """Return the median of the particles' own diameters: of circles, and longer sides of rectangles."""
        measured = []
        chain = AutoCryoPicker.usual_preprocessing
        factor = chain.factor(diameter)
        for picture in pictures:
            window = middle(picture, diameter, TRIAL_AREA).data
            seen = AutoCryoPicker._look(self, chain.stages(window, diameter, self.contrast_), diameter / factor)
            measured += [particle.diameter * factor for particle in seen["particles"] if particle.score >= 0.5]
        return float(np.median(measured)) if len(measured) >= FEWEST else diameter

    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        picture = stages["opened"]
        evidence, clustering, masks = _evidence(picture, diameter, self.clusters)
        circles = list(hough_circles(picture, circle_radii(diameter), threshold=WEAKEST_CIRCLE))
        particles = _particles(evidence, circles, masks["filled"], diameter)
        return dict(clustering=clustering, masks=masks, evidence=evidence, particles=particles)


def _evidence(
    picture: NDArray, diameter: float, clusters: int
) -> tuple[NDArray[np.float32], Clustering, dict[str, NDArray[np.bool_]]]:
    """Return how much speaks for a particle at each pixel, by outline and filling, and what it was taken from."""
    clustering = ibc(picture, clusters)
    masks = {"cluster": clustering.labels == 0}
    masks["filled"] = filled(masks["cluster"], diameter)
    return np.sqrt(radial_votes(picture, diameter) * coverage(masks["filled"], diameter)), clustering, masks


def _particles(evidence: NDArray, circles: list[Circle], mask: NDArray, diameter: float) -> list[Particle]:
    """Merge maxima of the evidence with circles, and tell the views."""
    x, y, height = find_peaks(evidence, APART * diameter)
    score = _logistic(height, EVIDENCE, EVIDENCE_STEP)
    circle_of: list[Circle | None] = [None] * len(x)
    if circles:
        at = np.array([(circle.x, circle.y) for circle in circles])
        inside = np.clip(np.rint(at).astype(int), 0, np.array(evidence.shape[::-1]) - 1)
        strength = np.array([circle.strength for circle in circles])
        by_evidence = _logistic(evidence[inside[:, 1], inside[:, 0]], EVIDENCE, EVIDENCE_STEP)
        # Each circle is a candidate, and stands for the maxima of the evidence that are the same particle.
        score = np.concatenate([np.maximum(_logistic(strength, CIRCLE, CIRCLE_STEP), by_evidence), score])
        x, y = np.concatenate([at[:, 0], x]), np.concatenate([at[:, 1], y])
        circle_of = [*circles, *circle_of]
        if len(height):
            distance, nearest = cKDTree(at).query(np.column_stack([x, y])[len(circles) :])
            for index in np.flatnonzero(distance < APART / 2 * diameter):
                circle_of[len(circles) + index] = circles[nearest[index]]
    kept = nms_distance(x, y, score, APART * diameter)
    x, y, score, circle_of = x[kept], y[kept], score[kept], [circle_of[index] for index in kept]
    shapes = objects(mask, diameter, smallest=SMALLEST_PART)
    under = shapes_at(shapes, label_image(shapes, mask.shape), x, y)
    round_ones = np.array([circle is not None and circle.strength >= CIRCLE for circle in circle_of], dtype=bool)
    picked = score >= 0.5
    sides = (picked & ~round_ones).sum() > SIDES * picked.sum()
    particles = []
    for index, (circle, shape) in enumerate(zip(circle_of, under, strict=True)):
        view, size, angle = "top", (2 * circle.radius if circle else diameter), math.nan
        if sides and picked[index] and not round_ones[index]:
            view, size = "side", diameter
            if shape is not None:
                size, angle = shape.feret.rectangle.length, shape.feret.rectangle.angle
        particles.append(
            Particle(float(x[index]), float(y[index]), view, size, angle, shape, circle, float(score[index]))
        )
    return particles


def _logistic(values: NDArray, middle: float, step: float) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip((values - middle) / step, -50, 50)))


class PublishedAutoCryoPicker(AutoCryoPicker):
    """AutoCryoPicker as published: circles and squares of the cleaned mask of the darkest cluster.

    1. The published chain; intensity-based clustering; the darkest cluster, cleaned (`cryokit.segmentation.clean`).
    2. Circles of the Hough transform of the mask are top views; their score is the circle's strength.
    3. What is left of the mask, cut where objects overlap, gives side views: objects that are neither round nor far
       from a square, each replaced by its perfect Feret rectangle; their score is the part of it that is filled.

    The scale of the chain follows the particle instead of halving every micrograph; all sizes follow the diameter.

    Parameters
    ----------
    diameter, contrast, max_micrographs, clusters, preprocessing
        As for `AutoCryoPicker`.

    Notes
    -----
    Al-Azzawi et al. 2019, BMC Bioinformatics 20:326. Scores are shares in [0, 1], not probabilities.
    """

    own_threshold: ClassVar[float] = 0.4
    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing()

    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        clustering = ibc(stages["opened"], self.clusters)
        masks = {"cluster": clustering.labels == 0}
        masks["cleaned"] = clean(masks["cluster"], diameter)
        tops = top_views(masks["cleaned"], diameter)
        masks["without_circles"] = _without_discs(masks["cleaned"], tops)
        masks["split"] = split_overlaps(masks["without_circles"], diameter)
        particles = [*tops, *side_views(masks["split"], diameter)]
        return dict(clustering=clustering, masks=masks, evidence=None, particles=particles)


def _without_discs(mask: NDArray[np.bool_], tops: list[Particle]) -> NDArray[np.bool_]:
    """Return the mask without the discs of top views, and a rim of a tenth of their radius."""
    rest = mask.copy()
    for top in tops:
        radius = 1.1 * top.circle.radius
        first_row, first_column = max(0, math.ceil(top.y - radius)), max(0, math.ceil(top.x - radius))
        part = rest[first_row : math.floor(top.y + radius) + 1, first_column : math.floor(top.x + radius) + 1]
        row, column = np.ogrid[: part.shape[0], : part.shape[1]]
        part &= (column + first_column - top.x) ** 2 + (row + first_row - top.y) ** 2 > radius**2
    return rest
