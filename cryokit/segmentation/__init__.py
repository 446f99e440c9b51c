"""From an enhanced micrograph to clean training particles without labels: clusters, shapes, views and their selection.

The first half of DeepCryoPicker, in the order of the way:

1. `ibc`, `kmeans`, `fuzzy_cmeans` or `super_kmeans` cluster the grey values; `particle_mask` chooses the particles'.
2. `clean` removes speckles and closes gaps in the mask; `components` are its objects, `split_overlaps` cuts those that
   touch.
3. `top_views`, `side_views` and `irregular_views` find the particles of each view.
4. `select` decides which of them are good examples of their view.
"""

# Imported on first use: scikit-image and SciPy take a second.
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cluster_choice": ["particle_cluster", "particle_mask"],
        "clusters": [
            "Clustering",
            "agreement",
            "dice",
            "fuzzy_cmeans",
            "ibc",
            "kmeans",
            "super_kmeans",
            "superpixel_count",
            "superpixels",
        ],
        "evidence": ["blobs", "coverage", "radial_votes"],
        "hough": ["Circle", "Circles", "hough_circles", "hough_map"],
        "mask": ["clean", "clean_stages", "fill_holes", "particle_area"],
        "overlap": ["split_overlaps", "without_overlaps"],
        "particles": [
            "Particle",
            "circle_overlap",
            "circle_radii",
            "filled",
            "irregular_views",
            "objects",
            "side_views",
            "top_views",
        ],
        "selection": ["Decision", "select", "select_irregular", "select_side", "select_top"],
        "shapes": [
            "Feret",
            "Rectangle",
            "Shape",
            "components",
            "feret",
            "label_image",
            "rectangularity",
            "roundness",
            "shapes_at",
        ],
    },
)
