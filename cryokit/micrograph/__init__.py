"""Micrographs: find, read and write them.

A micrograph is one `float32` array `(rows, columns)` as stored in its file, with the pixel size where the file has it.
Rows are never turned upside down: see `read` about the y axis of MRC and TIFF files.
"""

from cryokit.micrograph.finding import find
from cryokit.micrograph.loading import Micrograph, read, shape
from cryokit.micrograph.mrc_writer import write_mrc

__all__ = [
    "Micrograph",
    "find",
    "read",
    "shape",
    "write_mrc",
]
