"""SuperCryoEMPicker: clustering of superpixels of enhanced micrographs, for irregular and complex particles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.validation import check_number
from cryokit.imaging import SUPER_OPENING, Preprocessing, bin_integer
from cryokit.imaging.peaks import find_peaks
from cryokit.pickers.clustering import ClusteringPicker
from cryokit.pickers.interface import Micrographs
from cryokit.segmentation import (
    Particle,
    blobs,
    clean,
    coverage,
    irregular_views,
    label_image,
    objects,
    particle_mask,
    shapes_at,
    super_kmeans,
    superpixel_count,
)

# Chosen on simulated ribosomes and beta-galactosidase and on half of the real micrographs of the latter; only
# NOISE_SKEWNESS lies between what noise measures and the least of all real micrographs.
EVIDENCE, EVIDENCE_STEP = 0.43, 0.06  # as likely a particle as not; and e times as likely
APART = 0.5  # diameters between two particles, at least
CAUTION = 0.9  # on an estimated diameter: it is up to a fifth too large, by which more is lost than by too small a one
PER_PARTICLE = 20  # superpixels in a particle's area
NOISE_SKEWNESS = 0.22  # of the blobs' grey values: noise is symmetrical, particles have one sign
SMALLEST = 0.1  # particle areas: the published 500 pixels in ribosomes of 320 pixels, after halving, are even less
NOISE_DIAMETER = 10.0  # pixels across a particle that suffice to tell blobs from noise
CLEAR = 3.5  # robust standard deviations: hardly one in a thousand blobs of noise stands out so far


class SuperCryoEMPicker(ClusteringPicker):
    """Picks particles of any compact shape by clustering superpixels of enhanced micrographs, without labels.

    1. The preprocessing chain (`cryokit.imaging`) at the particle's scale; superpixels (SLIC), replaced by their
       means, and k-means of these (`cryokit.segmentation.super_kmeans`); the darkest cluster is the particle mask.
    2. The geometric mean of two things is the evidence: how much of the particle's disc the mask covers
       (`cryokit.segmentation.coverage`), and whether it is a blob of that size, with empty surroundings
       (`cryokit.segmentation.blobs`). Its maxima are the candidates.
    3. A candidate's score is a logistic function of the evidence, 0.5 at a threshold that is the same for all
       micrographs.
    4. Equalisation makes noise as strong as particles. So where the grey values before it are as symmetrical as
       noise, only candidates that stand out of them clearly are kept.

    The published method, as `PublishedSuperCryoEMPicker`, takes the cleaned mask's connected objects for particles,
    so that touching ones are lost.

    Parameters
    ----------
    diameter : float, optional
        Of the particle, in pixels of the micrograph; nine tenths of what the method ``template`` estimates when not
        given.
    contrast : {"dark", "bright"}, optional
        Of the particles in the micrograph; detected when not given.
    max_micrographs : int
        At most so many micrographs, spread evenly over those given, tell contrast and diameter.
    clusters : int
        Of superpixels.
    superpixels : int
        In a particle's area. The paper has 1,500 in a micrograph, whatever its size.
    seed : int
        Of the first centres of k-means.
    preprocessing : Preprocessing or mapping, optional
        The chain, or the parameters to change. By default the published one with a uniform
        instead of a Rayleigh distribution in adaptive equalisation.

    Attributes
    ----------
    diameter_ : float
    contrast_ : {"dark", "bright"}

    Notes
    -----
    Al-Azzawi et al. 2019 (SuperCryoEMPicker), as used by DeepCryoPicker (2020, BMC Bioinformatics 21:509).
    """

    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing(clahe_distribution="uniform")

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        max_micrographs: int = 12,
        clusters: int = 4,
        superpixels: int = PER_PARTICLE,
        seed: int = 0,
        preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(diameter, contrast, max_micrographs, preprocessing)
        check_number("clusters", clusters, 2, 64, whole=True)
        check_number("superpixels", superpixels, 1, 200, whole=True)
        check_number("seed", seed, 0, whole=True)
        self.clusters = clusters
        self.superpixels = superpixels
        self.seed = seed

    def _estimated_diameter(self, micrographs: Micrographs) -> float:
        return CAUTION * super()._estimated_diameter(micrographs)

    def _clusters(self, picture: NDArray, diameter: float) -> Any:
        number = superpixel_count(picture.shape, diameter, self.superpixels)
        return super_kmeans(picture, self.clusters, n=number, seed=self.seed)

    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        clustering = self._clusters(stages["opened"], diameter)
        masks = {"cluster": clustering.labels == 0}
        evidence = np.sqrt(coverage(masks["cluster"], diameter) * np.maximum(blobs(masks["cluster"], diameter), 0))
        x, y, height = find_peaks(evidence, APART * diameter)
        shrink = max(1, int(diameter / NOISE_DIAMETER))
        standing_out = _standing_out(bin_integer(stages["stretched"], shrink).data, diameter / shrink)
        if _skewness(standing_out) < NOISE_SKEWNESS:
            last_row, last_column = (side - 1 for side in standing_out.shape)
            row, column = np.rint(y).astype(int), np.rint(x).astype(int)
            clear = standing_out[np.minimum(row // shrink, last_row), np.minimum(column // shrink, last_column)] > CLEAR
            x, y, height = x[clear], y[clear], height[clear]
        score = 1 / (1 + np.exp(-np.clip((height - EVIDENCE) / EVIDENCE_STEP, -50, 50)))
        masks["cleaned"] = clean(masks["cluster"], diameter, smallest=0.2, largest_hole=0.2)
        shapes = objects(masks["cleaned"], diameter)
        under = shapes_at(shapes, label_image(shapes, evidence.shape), x, y)
        particles = [
            Particle(float(each_x), float(each_y), "irregular", diameter, math.nan, shape, None, float(each_score))
            for each_x, each_y, shape, each_score in zip(x, y, under, score, strict=True)
        ]
        return dict(clustering=clustering, masks=masks, evidence=evidence, particles=particles)


def _standing_out(picture: NDArray, diameter: float) -> NDArray[np.float32]:
    """Return dark blobs of the picture in robust standard deviations."""
    response = blobs(1 - picture, diameter)
    # A thicker part of the ice lifts all blobs in it.
    response = response - ndimage.gaussian_filter(response, 2 * diameter)
    response = response - np.median(response)
    return response / max(1.4826 * float(np.median(np.abs(response))), 1e-6)


def _skewness(response: NDArray) -> float:
    response = np.clip(response, -3, 3)  # one crystal of ice, or one particle, must not speak for all
    response = response - response.mean()
    squared = response * response
    spread = float(squared.mean())
    return float((squared * response).mean()) / spread**1.5 if spread else 0.0


class PublishedSuperCryoEMPicker(SuperCryoEMPicker):
    """SuperCryoEMPicker as published: the connected objects of the cleaned mask, but the smallest.

    The published chain with its opening, super k-means, and the cluster that looks most like particles, where the
    published program asks its user (`cryokit.segmentation.particle_cluster`). Then cleaning, and the objects with a filled
    area above the 20th percentile, with the box of their mean width and height, 1.125 times as large. All sizes follow
    the diameter, and so does the number of superpixels.

    Parameters
    ----------
    diameter, contrast, max_micrographs, clusters, superpixels, seed, preprocessing
        As for `SuperCryoEMPicker`.

    Notes
    -----
    Scores are no probabilities: the filled area in areas of a particle, 1 at most. All objects are picked.
    """

    own_threshold: ClassVar[float] = 0.0
    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing(opening_radii=SUPER_OPENING)

    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        clustering = self._clusters(stages["opened"], diameter)
        masks = {"cluster": particle_mask(clustering, diameter)}
        masks["cleaned"] = clean(masks["cluster"], diameter, smallest=SMALLEST)
        particles = irregular_views(masks["cleaned"], diameter)
        return dict(clustering=clustering, masks=masks, evidence=None, particles=particles)
