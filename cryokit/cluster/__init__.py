"""Clustering of enhanced micrographs into grey levels, and the choice of those that are particles."""

from cryokit.cluster.agreement import agreement, dice
from cryokit.cluster.choice import particle_cluster, particle_mask
from cryokit.cluster.intensity import Clustering, fuzzy_cmeans, ibc, kmeans
from cryokit.cluster.superpixels import super_kmeans, superpixel_count, superpixels

__all__ = [
    "Clustering",
    "agreement",
    "dice",
    "fuzzy_cmeans",
    "ibc",
    "kmeans",
    "particle_cluster",
    "particle_mask",
    "super_kmeans",
    "superpixel_count",
    "superpixels",
]
