"""Pictures of micrographs, picks, curves, particle shapes, trainings and comparisons; reports as single HTML files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["comparison", "explorer", "html_report", "notebook_html", "particle_shapes", "pictures", "trainings"],
    submod_attrs={
        "drawing": ["CURVE_COLOURS"],
        "pictures": [
            "STYLES",
            "contact_sheet",
            "figure",
            "outline",
            "overlay",
            "precision_recall",
            "save",
            "save_overlay",
            "show_micrograph",
            "training_sheet",
        ],
    },
)
