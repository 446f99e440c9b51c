"""Particle coordinates: one table of picks, and readers and writers of the files that picking programs use.

`read`, `read_folder`, `write` and `write_folder` know the formats of `FORMATS` (`cryokit.coordinates.formats`, where a
format is added). Inside cryokit, coordinates are particle centres in pixels of the micrograph as stored, the centre of
the first pixel being 0 (`cryokit.coordinates.picks`); the conventions of other programs end in this package. The
docstring of each format's module says what the format cannot hold.
"""

# Imported on first use: the list of formats costs the command line no pandas.
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "formats": ["FORMATS", "SCORES", "SUFFIXES", "Format", "detect"],
        "picks": ["COLUMNS", "IGNORE", "concatenate", "table", "validate", "without_repeats"],
        "reading": ["read", "read_folder"],
        "renaming": ["renamed"],
        "star": ["write_list"],
        "transforms": ["flip_y", "scale", "swap_xy"],
        "writing": ["coordinate_path", "write", "write_folder"],
    },
)
