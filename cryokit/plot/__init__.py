"""Pictures of micrographs, picks, curves, particle shapes, trainings and comparisons; reports as single HTML files."""

from cryokit.plot.pictures import (
    CURVE_COLOURS,
    contact_sheet,
    figure,
    overlay,
    precision_recall,
    save,
    show_micrograph,
    training_sheet,
)

__all__ = [
    "CURVE_COLOURS",
    "contact_sheet",
    "figure",
    "overlay",
    "precision_recall",
    "save",
    "show_micrograph",
    "training_sheet",
]
