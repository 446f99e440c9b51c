"""Coordinates of particles: one table, and readers and writers of the files that picking programs use.

`read`, `read_folder`, `write` and `write_folder` know the formats of `FORMATS`. Inside cryokit, coordinates are
centres in pixels of the micrograph as stored, the first pixel's centre being 0 (`cryokit.coordinates.table`); the
frames of other programs end in these modules. What a format cannot hold is told in the first lines of its module.
"""

from cryokit.coordinates.formats import FORMATS, Format, detect
from cryokit.coordinates.reading import SCORES, read, read_folder, read_named
from cryokit.coordinates.table import COLUMNS, IGNORE, concatenate, table, validate
from cryokit.coordinates.transforms import flip_y, scale
from cryokit.coordinates.writing import coordinate_path, write, write_folder, write_list

__all__ = [
    "COLUMNS",
    "FORMATS",
    "IGNORE",
    "SCORES",
    "Format",
    "concatenate",
    "coordinate_path",
    "detect",
    "flip_y",
    "read",
    "read_folder",
    "read_named",
    "scale",
    "table",
    "validate",
    "write",
    "write_folder",
    "write_list",
]
