"""What a micrograph is called: one rule for every reader, writer and comparison.

The name of a micrograph is its file name without the folder and without the suffix of a micrograph format. Only these
suffixes are removed, so names with dots (``May08_03.05.02``) survive. Names are compared whole, never by prefix.
"""

import os
import re
from pathlib import PurePosixPath

# Suffixes of the micrograph formats, by the module of cryokit.micrograph that reads them.
MICROGRAPH_FORMATS = {
    "mrc": (".mrc", ".mrcs", ".mrc.gz", ".mrc.bz2"),
    "tiff": (".tif", ".tiff"),
    "png_jpeg": (".png", ".jpg", ".jpeg"),
}
MICROGRAPH_SUFFIXES = tuple(suffix for suffixes in MICROGRAPH_FORMATS.values() for suffix in suffixes)
# What programs put between the name of a micrograph and the suffix of its coordinate file.
COORDINATE_ENDINGS = ("_autopick", "_manualpick", "_info")


def micrograph_name(path: str | os.PathLike) -> str:
    """Return the name of the micrograph in a file: no folder, no suffix of a micrograph format.

    Examples
    --------
    >>> micrograph_name("MotionCorr/job002/a.b_01.mrc.gz")
    'a.b_01'
    >>> micrograph_name("May08_03.05.02")
    'May08_03.05.02'
    """
    return _without(_file_name(path), MICROGRAPH_SUFFIXES)


def coordinate_file_micrograph(path: str | os.PathLike) -> str:
    """Return the name of the micrograph that a coordinate file belongs to.

    The last suffix is removed whatever it is, unless it begins with a digit, and then the ending that programs add.

    Examples
    --------
    >>> coordinate_file_micrograph("picks/a.b_autopick.star"), coordinate_file_micrograph("info/a.b_info.json")
    ('a.b', 'a.b')
    """
    name = re.sub(r"(?<=.)\.[A-Za-z]\w*$", "", _file_name(path))
    return micrograph_name(_without(name, COORDINATE_ENDINGS))


def _file_name(path: str | os.PathLike) -> str:
    return PurePosixPath(os.fspath(path).replace("\\", "/")).name


def _without(name: str, endings: tuple[str, ...]) -> str:
    for ending in sorted(endings, key=len, reverse=True):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
