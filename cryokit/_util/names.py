"""What a micrograph is called: one rule for every reader, writer and comparison.

A micrograph's name is its file name without the folder and without the suffix of a known file type. Only known suffixes
are taken off, so names with dots (``May08_03.05.02``) survive, and names are compared whole, never by prefix.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

MICROGRAPH_SUFFIXES = (".mrc", ".mrcs", ".mrc.gz", ".mrc.bz2", ".tif", ".tiff", ".png", ".jpg", ".jpeg")
COORDINATE_SUFFIXES = (".star", ".box", ".cbox", ".json", ".tsv", ".csv", ".txt")
# What programs put between a micrograph's name and the suffix of its coordinate file.
COORDINATE_ENDINGS = ("_autopick", "_manualpick", "_info")


def micrograph_name(path: str | os.PathLike) -> str:
    """Return the name of the micrograph in `path`: no folder, no known suffix.

    Examples
    --------
    >>> micrograph_name("MotionCorr/job002/a.b_01.mrc.gz")
    'a.b_01'
    >>> micrograph_name("May08_03.05.02")
    'May08_03.05.02'
    """
    return _without(_file_name(path), MICROGRAPH_SUFFIXES)


def coordinate_file_micrograph(path: str | os.PathLike) -> str:
    """Return the name of the micrograph that the coordinate file `path` belongs to.

    Examples
    --------
    >>> coordinate_file_micrograph("picks/a.b_autopick.star"), coordinate_file_micrograph("info/a.b_info.json")
    ('a.b', 'a.b')
    """
    name = _without(_file_name(path), COORDINATE_SUFFIXES)
    return micrograph_name(_without(name, COORDINATE_ENDINGS))


def _file_name(path: str | os.PathLike) -> str:
    return PurePosixPath(os.fspath(path).replace("\\", "/")).name


def _without(name: str, endings: tuple[str, ...]) -> str:
    for ending in sorted(endings, key=len, reverse=True):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
