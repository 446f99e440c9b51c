"""Micrographs: read them from any common file, write MRC, bin them, tell whether particles are dark or bright.

A micrograph is one `float32` array `(rows, columns)` as stored in its file, with the pixel size where the file has it.
Rows are never turned upside down: see `read` about the y axis of MRC and TIFF files.
"""

from cryokit.micrograph.binning import bin_coordinates, bin_fourier, bin_integer, binned_shape, unbin_coordinates
from cryokit.micrograph.contrast import common_contrast, contrast_score, detect_contrast
from cryokit.micrograph.finding import find
from cryokit.micrograph.reading import Micrograph, read, shape
from cryokit.micrograph.writing import write_mrc

__all__ = [
    "Micrograph",
    "bin_coordinates",
    "bin_fourier",
    "bin_integer",
    "binned_shape",
    "common_contrast",
    "contrast_score",
    "detect_contrast",
    "find",
    "read",
    "shape",
    "unbin_coordinates",
    "write_mrc",
]
