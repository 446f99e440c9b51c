"""From an enhanced micrograph to clean training particles without labels: clusters, shapes, views and their selection."""

from cryokit.segmentation.cluster_agreement import agreement, dice
from cryokit.segmentation.cluster_choice import particle_cluster, particle_mask
from cryokit.segmentation.evidence import blobs, coverage, radial_votes
from cryokit.segmentation.feret import Feret, Rectangle, feret
from cryokit.segmentation.hough import Circles, hough_circles, hough_map
from cryokit.segmentation.intensity import Clustering, fuzzy_cmeans, ibc, kmeans
from cryokit.segmentation.mask import clean, clean_stages, fill_holes, particle_area
from cryokit.segmentation.measure import Shape, components, label_image
from cryokit.segmentation.overlap import split_overlaps, without_overlaps
from cryokit.segmentation.particle import (
    Circle,
    Particle,
    circle_overlap,
    circle_radii,
    each_circle,
    filled,
    irregular_views,
    objects,
    rectangularity,
    roundness,
    shapes_at,
    side_views,
    top_views,
)
from cryokit.segmentation.selection import Decision, select, select_irregular, select_side, select_top
from cryokit.segmentation.superpixels import super_kmeans, superpixel_count, superpixels

__all__ = [
    "Circle",
    "Circles",
    "Clustering",
    "Decision",
    "Feret",
    "Particle",
    "Rectangle",
    "Shape",
    "agreement",
    "blobs",
    "circle_overlap",
    "circle_radii",
    "clean",
    "clean_stages",
    "components",
    "coverage",
    "dice",
    "each_circle",
    "feret",
    "fill_holes",
    "filled",
    "fuzzy_cmeans",
    "hough_circles",
    "hough_map",
    "ibc",
    "irregular_views",
    "kmeans",
    "label_image",
    "objects",
    "particle_area",
    "particle_cluster",
    "particle_mask",
    "radial_votes",
    "rectangularity",
    "roundness",
    "select",
    "select_irregular",
    "select_side",
    "select_top",
    "shapes_at",
    "side_views",
    "split_overlaps",
    "super_kmeans",
    "superpixel_count",
    "superpixels",
    "top_views",
    "without_overlaps",
]
