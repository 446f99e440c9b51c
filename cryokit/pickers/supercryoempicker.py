"""SuperCryoEMPicker: clustering of superpixels of enhanced micrographs, for irregular and complex particles."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from cryokit._util.checked_settings import number
from cryokit.imaging import SUPER_OPENING, Preprocessing, bin_integer
from cryokit.imaging.peaks import find_peaks
from cryokit.pickers.clustering import ClusteringPicker, value_at
from cryokit.pickers.interface import Micrographs
from cryokit.segmentation import (
    Clustering,
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
EVIDENCE, EVIDENCE_STEP = 0.43, 0.06  # evidence that is as likely a particle as not; step to odds e times as high
APART = 0.5  # smallest distance between two particles in diameters
CAUTION = 0.9  # factor on an estimated diameter: it is up to a fifth too large, and too large a one loses more picks
PER_PARTICLE = 20  # superpixels in a particle's area
NOISE_SKEWNESS = 0.22  # skewness of the blobs' grey values: noise is symmetrical, particles have one sign
SMALLEST = 0.1  # particle areas: the published 500 pixels in ribosomes of 320 pixels, after halving, are even less
NOISE_DIAMETER = 10.0  # pixels across a particle that suffice to tell blobs from noise
CLEAR = 3.5  # robust standard deviations: hardly one in a thousand blobs of noise stands out so far


@dataclass(eq=False)
class SuperCryoEMPicker(ClusteringPicker):
    """Picker of particles of any compact shape that clusters superpixels of enhanced micrographs, without labels.

    1. *Enhancement* by the preprocessing chain (`cryokit.imaging.Preprocessing`) at the particle's scale. Superpixels
       (SLIC) are replaced by their means and clustered by k-means (`cryokit.segmentation.super_kmeans`); the darkest
       cluster is the particle mask.
    2. *Evidence* is the geometric mean of two measures: the share of the particle's disc that the mask covers
       (`cryokit.segmentation.coverage`), and how much the mask is a blob of that size with empty surroundings
       (`cryokit.segmentation.blobs`). Its maxima are the candidates.
    3. *Scores.* A candidate's score is a logistic function of the evidence, 0.5 at a threshold that is the same for all
       micrographs.
    4. *Noise.* Equalisation makes noise as strong as particles. So if the grey values before it are as symmetrical as
       noise, only candidates that clearly stand out of them are kept.

    The published method, `PublishedSuperCryoEMPicker`, takes the connected objects of the cleaned mask for particles,
    and loses those that touch.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph; default: nine tenths of the estimate of the method ``template``.
    contrast, max_micrographs, clusters, preprocessing
        See `cryokit.pickers.clustering.ClusteringPicker`. The default chain is the published one, but with a uniform
        instead of a Rayleigh distribution in adaptive equalisation.
    superpixels : int
        Number of superpixels in a particle's area. The paper has 1,500 in a micrograph, whatever its size.
    seed : int
        Random seed of the first centres of k-means.

    Notes
    -----
    Al-Azzawi et al. 2019, Genes 10:666 (SuperCryoEMPicker), as used by DeepCryoPicker (2020, BMC Bioinformatics
    21:509).
    """

    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing(clahe_distribution="uniform")

    superpixels: int = number(PER_PARTICLE, 1, 200, whole=True)
    seed: int = number(0, 0, whole=True)

    def _estimated_diameter(self, micrographs: Micrographs) -> float:
        return CAUTION * super()._estimated_diameter(micrographs)

    def _clusters(self, picture: NDArray, diameter: float) -> Clustering:
        number = superpixel_count(picture.shape, diameter, self.superpixels)
        return super_kmeans(picture, self.clusters, n=number, seed=self.seed)

    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        clustering = self._clusters(stages["opened"], diameter)
        masks = {"cluster": clustering.labels == 0}
        evidence = np.sqrt(coverage(masks["cluster"], diameter) * np.maximum(blobs(masks["cluster"], diameter), 0))
        x, y, height = find_peaks(evidence, APART * diameter)
        shrink = max(1, int(diameter / NOISE_DIAMETER))
        binned = bin_integer(stages["stretched"], shrink)
        standing_out = _standing_out(binned.data, diameter / shrink)
        if _skewness(standing_out) < NOISE_SKEWNESS:
            clear = value_at(standing_out, *binned.frame.from_source(x, y)) > CLEAR
            x, y, height = x[clear], y[clear], height[clear]
        score = expit((height - EVIDENCE) / EVIDENCE_STEP)
        masks["cleaned"] = clean(masks["cluster"], diameter, smallest=0.2, largest_hole=0.2)
        shapes = objects(masks["cleaned"], diameter)
        shape_of = shapes_at(shapes, label_image(shapes, evidence.shape), x, y)
        particles = [
            Particle(float(x[k]), float(y[k]), "irregular", diameter, math.nan, shape, None, float(score[k]))
            for k, shape in enumerate(shape_of)
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
    response = np.clip(response, -3, 3)  # one crystal of ice, or one particle, must not decide for all
    response = response - response.mean()
    squared = response * response
    variance = float(squared.mean())
    return float((squared * response).mean()) / variance**1.5 if variance else 0.0


@dataclass(eq=False)
class PublishedSuperCryoEMPicker(SuperCryoEMPicker):
    """SuperCryoEMPicker as published: the connected objects of the cleaned mask, except the smallest.

    1. *Mask.* The published chain with its opening, super k-means, and the cluster that looks most like particles, for
       which the published program asks its user (`cryokit.segmentation.particle_cluster`); cleaned
       (`cryokit.segmentation.clean`).
    2. *Particles* are the objects with a filled area above the 20th percentile, with the box of their mean width and
       height, 1.125 times as large.

    All sizes follow the diameter, and so does the number of superpixels.

    Parameters
    ----------
    diameter, contrast, max_micrographs, clusters, preprocessing, superpixels, seed
        See `SuperCryoEMPicker`; the default chain is the published one.

    Notes
    -----
    Scores are no probabilities: they are the filled area in areas of a particle, at most 1. All objects are picked.
    """

    usual_preprocessing: ClassVar[Preprocessing] = Preprocessing(opening_radii=SUPER_OPENING)
    threshold_ = 0.0

    def _look(self, stages: dict[str, NDArray], diameter: float) -> dict[str, Any]:
        clustering = self._clusters(stages["opened"], diameter)
        masks = {"cluster": particle_mask(clustering, diameter)}
        masks["cleaned"] = clean(masks["cluster"], diameter, smallest=SMALLEST)
        particles = irregular_views(masks["cleaned"], diameter)
        return dict(clustering=clustering, masks=masks, evidence=None, particles=particles)
