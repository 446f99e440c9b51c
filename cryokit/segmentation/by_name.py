"""The four clusterings by their names, and the plainest picker that can be made of each."""

from __future__ import annotations

import pandas as pd
from numpy.typing import NDArray

from cryokit import coordinates
from cryokit._util.validation import check_choice
from cryokit.segmentation.cluster_choice import particle_mask
from cryokit.segmentation.clusters import Clustering, fuzzy_cmeans, ibc, kmeans, super_kmeans, superpixel_count
from cryokit.segmentation.mask import clean, particle_area
from cryokit.segmentation.particles import objects
from cryokit.segmentation.seen import Seen

CLUSTERINGS = ("IBC", "k-means", "fuzzy c-means", "super k-means")


def clustered(name: str, picture: NDArray, k: int, diameter: float) -> Clustering:
    """Cluster the grey values of a picture.

    Parameters
    ----------
    name : {"IBC", "k-means", "fuzzy c-means", "super k-means"}
        Method.
    picture : ndarray of float32, shape (rows, columns)
        Enhanced picture, particles dark.
    k : int
        Number of clusters.
    diameter : float
        Particle diameter in pixels of the picture; the number of superpixels follows from it.
    """
    check_choice("name", name, CLUSTERINGS)
    if name == "super k-means":
        return super_kmeans(picture, k, n=superpixel_count(picture.shape, diameter))
    return {"IBC": ibc, "k-means": kmeans, "fuzzy c-means": fuzzy_cmeans}[name](picture, k)


def picked_objects(name: str, examination: Seen, k: int) -> pd.DataFrame:
    """Pick the objects of the cleaned particle cluster, cut at their necks, that are not larger than two particles.

    Parameters
    ----------
    name : str
        Clustering, as for `clustered`.
    examination : Seen
        What a picker has seen of a micrograph; only its enhanced picture is used.
    k : int
        Number of clusters.

    Returns
    -------
    pandas.DataFrame
        Table of picks.
    """
    diameter = examination.diameter
    made = clustered(name, examination.stages["opened"], k, diameter)
    mask = clean(particle_mask(made, diameter), diameter)
    found = [shape for shape in objects(mask, diameter) if shape.area <= 2 * particle_area(diameter)]
    x, y = examination.frame.to_source([shape.x for shape in found], [shape.y for shape in found])
    return coordinates.table(examination.name, x, y, diameter=diameter * examination.frame.step)
