"""Pictures of micrographs, picks, curves, particle shapes, trainings and comparisons; reports as single HTML files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "comparison",
        "explorer",
        "html_report",
        "lesson_pictures",
        "notebook_html",
        "particle_shapes",
        "pictures",
        "trainings",
    ],
    submod_attrs={
        "drawing": ["CURVE_COLOURS", "PALETTE"],
        "lesson_pictures": ["WIDTH", "describe", "lesson_style", "sentences", "show", "subplots"],
        "pictures": [
            "STYLES",
            "contact_sheet",
            "figure",
            "outline",
            "overlay",
            "precision_recall",
            "save",
            "save_overlay",
            "scale_bar",
            "show_micrograph",
            "training_sheet",
        ],
        "workflow_picture": ["workflow"],
    },
)
