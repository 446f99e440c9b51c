"""From a particle mask to particles: cleaning, connected components, circles, Feret diameters, overlaps, views."""

from cryokit.shapes.evidence import blobs, coverage, radial_votes
from cryokit.shapes.feret import Feret, Rectangle, feret
from cryokit.shapes.hough import Circles, hough_circles, hough_map
from cryokit.shapes.mask import clean, clean_stages, fill_holes, particle_area
from cryokit.shapes.measure import Shape, components, label_image
from cryokit.shapes.overlap import split_overlaps, without_overlaps
from cryokit.shapes.particle import (
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

__all__ = [
    "Circle",
    "Circles",
    "Feret",
    "Particle",
    "Rectangle",
    "Shape",
    "blobs",
    "circle_overlap",
    "circle_radii",
    "clean",
    "clean_stages",
    "components",
    "coverage",
    "each_circle",
    "feret",
    "fill_holes",
    "filled",
    "hough_circles",
    "hough_map",
    "irregular_views",
    "label_image",
    "objects",
    "particle_area",
    "radial_votes",
    "rectangularity",
    "roundness",
    "shapes_at",
    "side_views",
    "split_overlaps",
    "top_views",
    "without_overlaps",
]
