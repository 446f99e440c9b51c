"""AutoCryoPicker: intensity clustering of enhanced micrographs; circles are top views, squares side views."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit
from skimage.draw import disk

from cryokit.coordinates.suppression import nms_distance
from cryokit.errors import PickerError
from cryokit.imaging import Preprocessing
from cryokit.imaging.frame import Picture
from cryokit.imaging.peaks import find_peaks, refine
from cryokit.imaging.preparation import middle, recorded
from cryokit.pickers.clustering import ClusteringPicker, value_at
from cryokit.pickers.interface import Micrographs, diameters_to_try, warn_of_range_end
from cryokit.segmentation import (
    Circles,
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

# Chosen on simulated KLH and apoferritin and on half of the real micrographs (benchmarks/component1.py names them).
# Strength of a circle that is as likely a particle as not, and the step to odds e times as high; the same of evidence.
CIRCLE, CIRCLE_STEP = 0.5, 0.05
EVIDENCE, EVIDENCE_STEP = 0.28, 0.03
APART = 0.5  # smallest distance between two particles in diameters
WEAKEST_CIRCLE = 0.2  # strength below which a circle is noise
SMALLEST_PART = 0.6  # particle areas: what is cut off a filled object is a particle, not a corner of one
FEWEST = 5  # particles that suffice to measure a diameter
TRIAL_MICROGRAPHS, TRIAL_AREA = 3, 400.0  # squared diameters of each micrograph on which diameters are tried
SIDES = 0.15  # share of the picks without a circle from which a micrograph shows side views


@dataclass(eq=False)
class AutoCryoPicker(ClusteringPicker):
    """Picker of round and square particles in the darkest cluster of enhanced micrographs, without labels.

    1. *Enhancement* by the preprocessing chain (`cryokit.imaging.Preprocessing`) at the particle's scale. The darkest
       of `clusters` intensity clusters (`cryokit.segmentation.ibc`) is the particle mask.
    2. *Circles* in the enhanced picture (`cryokit.segmentation.hough_circles`) are candidates for top views.
    3. *Evidence.* Squares have no circle, but still a closed outline and a filled mask. The geometric mean of the two
       (`cryokit.segmentation.radial_votes`, and `cryokit.segmentation.coverage` of the mask with gaps closed and holes
       filled) is the evidence; its maxima are candidates, too.
    4. *Scores.* A candidate's score is the larger of two logistic functions, of the circle's strength and of the
       evidence. It is 0.5 at thresholds that are the same for all micrographs. Of candidates closer than half a
       diameter the best stays.
    5. *Views.* Picks with a circle are top views. The others are side views if a fair share of the micrograph's picks
       are such; in a micrograph of only top views they are faint rings.

    The published method, `PublishedAutoCryoPicker`, looks for circles in the cleaned mask instead and takes the
    objects that are left for side views. So it loses particles whose mask is broken or touches another.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph. By default it is estimated, between a hundredth and an eighth of
        the micrograph's shorter side: first the diameter at which the evidence, weighted by the particles' area, is
        largest, then the median of the diameters of the particles found.
    contrast, max_micrographs, clusters, preprocessing
        See `cryokit.pickers.clustering.ClusteringPicker`. The default chain is the published one, but with a uniform
        instead of a Rayleigh distribution in adaptive equalisation, which leaves more contrast to faint side views.

    Notes
    -----
    Al-Azzawi et al. 2019, BMC Bioinformatics 20:326 (AutoCryoPicker), as used by DeepCryoPicker (2020). There is no
    randomness.
    """

    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing(clahe_distribution="uniform")

    def _estimated_diameter(self, micrographs: Micrographs) -> float:
        """Return the diameter at which the evidence above the threshold, weighted by the particles' area, is largest.

        A smaller one sees parts of particles, a larger one few or none.
        """
        pictures = [recorded(micrograph) for micrograph in micrographs.spread(TRIAL_MICROGRAPHS)]
        pictures = [picture for picture in pictures if np.ptp(picture.data) > 0]
        if not pictures:
            raise PickerError("constant micrographs do not show the particle diameter; give it")
        diameters = diameters_to_try(min(min(picture.data.shape) for picture in pictures))
        chain = AutoCryoPicker.usual_preprocessing
        weight = np.zeros(len(diameters))
        for index, diameter in enumerate(diameters):
            working = diameter / chain.factor(diameter)
            for picture in pictures:
                window = middle(picture, diameter, TRIAL_AREA).data
                evidence, _, _ = _evidence(chain(window, diameter, self.contrast_), working, self.clusters)
                _, _, height = find_peaks(evidence, APART * working)
                weight[index] += np.maximum(height - EVIDENCE, 0).sum() * diameter**2 / window.size
        best = int(np.argmax(weight))
        if not 0 < best < len(diameters) - 1:
            warn_of_range_end(diameters[best])
            return float(diameters[best])
        # The top of a parabola through the best and its neighbours, over the logarithm of the diameter.
        top = float(refine(weight[None], np.array([0]), np.array([best]))[0][0])
        return self._measured_diameter(pictures, float(diameters[0] * (diameters[1] / diameters[0]) ** top))

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
        circles = hough_circles(picture, circle_radii(diameter), threshold=WEAKEST_CIRCLE)
        particles = _particles(evidence, circles, masks["filled"], diameter)
        return dict(clustering=clustering, masks=masks, evidence=evidence, particles=particles)


def _evidence(
    picture: NDArray, diameter: float, clusters: int
) -> tuple[NDArray[np.float32], Clustering, dict[str, NDArray[np.bool_]]]:
    """Return the evidence for a particle at each pixel, by outline and filling, and what it was derived from."""
    clustering = ibc(picture, clusters)
    masks = {"cluster": clustering.labels == 0}
    masks["filled"] = filled(masks["cluster"], diameter)
    return np.sqrt(radial_votes(picture, diameter) * coverage(masks["filled"], diameter)), clustering, masks


def _particles(evidence: NDArray, circles: Circles, mask: NDArray, diameter: float) -> list[Particle]:
    """Merge maxima of the evidence with circles, and decide on the views."""
    *peaks, height = find_peaks(evidence, APART * diameter)
    peaks, centres = np.column_stack(peaks), np.column_stack([circles.x, circles.y])
    height = np.concatenate([value_at(evidence, circles.x, circles.y), height])
    score = expit((height - EVIDENCE) / EVIDENCE_STEP)
    score[: len(circles)] = np.maximum(expit((circles.strength - CIRCLE) / CIRCLE_STEP), score[: len(circles)])
    # Each circle is a candidate, and stands for the maxima of the evidence that are the same particle; -1: no circle.
    distance, nearest = cKDTree(centres).query(peaks)
    circle_of = np.concatenate([np.arange(len(circles)), np.where(distance < APART / 2 * diameter, nearest, -1)])
    x, y = np.concatenate([centres, peaks]).T
    kept = nms_distance(x, y, score, APART * diameter)
    x, y, score, circle_of = x[kept], y[kept], score[kept], circle_of[kept]

    shapes = objects(mask, diameter, smallest=SMALLEST_PART)
    shape_of = shapes_at(shapes, label_image(shapes, mask.shape), x, y)
    is_round = np.append(circles.strength, 0)[circle_of] >= CIRCLE
    picked = score >= 0.5
    is_side = picked & ~is_round
    if is_side.sum() <= SIDES * picked.sum():
        is_side[:] = False
    circle_list = [*circles, None]
    particles = []
    for k, shape in enumerate(shape_of):
        circle = circle_list[circle_of[k]]
        view, size, angle = "top", 2 * circle.radius if circle else diameter, math.nan
        if is_side[k]:
            view, size = "side", diameter
            if shape is not None:
                size, angle = shape.feret.rectangle.length, shape.feret.rectangle.angle
        particles.append(Particle(float(x[k]), float(y[k]), view, size, angle, shape, circle, float(score[k])))
    return particles


@dataclass(eq=False)
class PublishedAutoCryoPicker(AutoCryoPicker):
    """AutoCryoPicker as published: circles and squares of the cleaned mask of the darkest cluster.

    1. *Mask.* The published chain and intensity-based clustering; the darkest cluster, cleaned
       (`cryokit.segmentation.clean`).
    2. *Top views* are circles of the Hough transform of the mask; their score is the circle's strength.
    3. *Side views* come from what is left of the mask, cut where objects overlap: objects that are neither round nor
       far from a square, each replaced by its perfect Feret rectangle; their score is the part of it that is filled.

    The scale of the chain follows the particle, where the published program halves every micrograph; all sizes follow
    the diameter.

    Parameters
    ----------
    diameter, contrast, max_micrographs, clusters, preprocessing
        See `AutoCryoPicker`; the default chain is the published one.

    Notes
    -----
    Al-Azzawi et al. 2019, BMC Bioinformatics 20:326. Scores are shares in [0, 1], not probabilities.
    """

    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing()
    threshold_ = 0.4

    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        clustering = ibc(stages["opened"], self.clusters)
        masks = {"cluster": clustering.labels == 0}
        masks["cleaned"] = clean(masks["cluster"], diameter)
        tops = top_views(masks["cleaned"], diameter)
        rest = masks["without_circles"] = masks["cleaned"].copy()
        for top in tops:
            # With a rim of a tenth of the radius.
            rest[disk((top.y, top.x), 1.1 * top.circle.radius, shape=rest.shape)] = False
        masks["split"] = split_overlaps(masks["without_circles"], diameter)
        particles = [*tops, *side_views(masks["split"], diameter)]
        return dict(clustering=clustering, masks=masks, evidence=None, particles=particles)
