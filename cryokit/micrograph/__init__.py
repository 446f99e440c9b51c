"""Micrographs: find, read and write them.

A micrograph is one `float32` array `(rows, columns)` as stored in its file, with the pixel size if the file has it.
Rows are never turned upside down: see `read` about the y axis of MRC and TIFF files. A format is a module of this
package (`cryokit.micrograph.images`) and a line in `cryokit._util.names.MICROGRAPH_FORMATS`.
"""

from cryokit.micrograph.finding import find
from cryokit.micrograph.loading import Micrograph, MicrographLike, labels, pixel_size, pixels, read, shape
from cryokit.micrograph.mrc import write_mrc

__all__ = ["Micrograph", "MicrographLike", "find", "labels", "pixel_size", "pixels", "read", "shape", "write_mrc"]
