"""From an enhanced micrograph to clean training particles without labels: clusters, shapes, views and their selection.

The first half of DeepCryoPicker, in the order of the way:

1. `ibc`, `kmeans`, `fuzzy_cmeans` or `super_kmeans` cluster the grey values; `particle_mask` chooses the particles'.
2. `clean` removes speckles and closes gaps in the mask; `components` are its objects, `split_overlaps` cuts those that
   touch.
3. `top_views`, `side_views` and `irregular_views` find the particles of each view.
4. `select` decides which of them are good examples of their view.
"""

from cryokit.segmentation.cluster_choice import particle_cluster, particle_mask
from cryokit.segmentation.clusters import (
    Clustering,
    agreement,
    dice,
    fuzzy_cmeans,
    ibc,
    kmeans,
    super_kmeans,
    superpixel_count,
    superpixels,
)
from cryokit.segmentation.evidence import blobs, coverage, radial_votes
from cryokit.segmentation.hough import Circle, Circles, hough_circles, hough_map
from cryokit.segmentation.mask import clean, clean_stages, fill_holes, particle_area
from cryokit.segmentation.overlap import split_overlaps, without_overlaps
from cryokit.segmentation.particles import (
    Particle,
    circle_overlap,
    circle_radii,
    filled,
    irregular_views,
    objects,
    side_views,
    top_views,
)
from cryokit.segmentation.selection import Decision, select, select_irregular, select_side, select_top
from cryokit.segmentation.shapes import (
    Feret,
    Rectangle,
    Shape,
    components,
    feret,
    label_image,
    rectangularity,
    roundness,
    shapes_at,
)

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
