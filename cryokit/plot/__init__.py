"""Pictures of micrographs, picks, curves, particle shapes, trainings and comparisons; reports as single HTML files."""

from cryokit.plot.drawing import CURVE_COLOURS
from cryokit.plot.pictures import (
    STYLES,
    contact_sheet,
    figure,
    overlay,
    precision_recall,
    save,
    save_overlay,
    show_micrograph,
    training_sheet,
)

__all__ = [
    "CURVE_COLOURS",
    "STYLES",
    "contact_sheet",
    "figure",
    "overlay",
    "precision_recall",
    "save",
    "save_overlay",
    "show_micrograph",
    "training_sheet",
]
