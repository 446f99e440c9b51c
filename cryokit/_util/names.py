"""What a micrograph is called: one rule for every reader, writer and comparison.

The name of a micrograph is its file name without the folder and without the suffix of a micrograph format. Only these
suffixes are removed, so names with dots (``May08_03.05.02``) survive. Where several micrographs of a set have the same
file name (``A/001.mrc`` and ``B/001.mrc``), all of the set are called by their paths below its common folder
(``A/001``). Names are compared whole, never by prefix; `matched` compares those of two sets with their folders.
"""

import logging
import os
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from pathlib import PurePosixPath

logger = logging.getLogger(__name__)

# Suffixes of the micrograph formats, by the module of cryokit.micrograph that reads them.
MICROGRAPH_FORMATS = {
    "mrc": (".mrc", ".mrcs", ".mrc.gz", ".mrc.bz2"),
    "tiff": (".tif", ".tiff"),
    "png_jpeg": (".png", ".jpg", ".jpeg"),
}
MICROGRAPH_SUFFIXES = tuple(suffix for suffixes in MICROGRAPH_FORMATS.values() for suffix in suffixes)
# What programs put between the name of a micrograph and the suffix of its coordinate file.
COORDINATE_ENDINGS = ("_autopick", "_manualpick", "_info")
# cryoSPARC puts its identifier in front of the name of every micrograph that it imports.
_UID = re.compile(r"(\d{21})_(?=.)")


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


def located_name(path: str | os.PathLike) -> str:
    """Return the path of a micrograph with its folder, without the suffix of a micrograph format.

    Examples
    --------
    >>> located_name("MotionCorr//job002/./A/001.mrc")
    'MotionCorr/job002/A/001'
    """
    text = _posix(path)
    folder = posixpath.normpath(posixpath.dirname(text)) if "/" in text else ""
    return posixpath.join("" if folder == "." else folder, micrograph_name(text))


def micrograph_names(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Return the names of a set of micrographs, such that different micrographs have different names.

    Parameters
    ----------
    paths : iterable of path-like
        Files, or the paths that a coordinate file has of them.

    Returns
    -------
    list of str
        File names without suffix; if two of them are the same in different folders, all paths below the common folder.

    Examples
    --------
    >>> micrograph_names(["data/A/001.mrc", "data/B/002.mrc"])
    ['001', '002']
    >>> micrograph_names(["data/A/001.mrc", "data/B/001.mrc", "data/B/002.mrc"])
    ['A/001', 'B/001', 'B/002']
    """
    located = [located_name(path) for path in paths]
    distinct = dict.fromkeys(located)
    stems = {posixpath.basename(name) for name in distinct}
    if len(stems) == len(distinct):
        return [posixpath.basename(name) for name in located]
    absolute = {posixpath.isabs(name) for name in distinct}
    if len(absolute) > 1 or any(name.startswith("../") for name in distinct):
        located = [_posix(os.path.abspath(name)) for name in located]
    common = posixpath.commonpath({posixpath.dirname(name) for name in located})
    return [name[len(common) :].lstrip("/") for name in located]


def uid(name: str) -> int | None:
    """Return cryoSPARC's identifier in front of a name; None if there is none.

    Examples
    --------
    >>> uid("000000000000000000042_mic_a"), uid("042_mic_a")
    (42, None)
    """
    match = _UID.match(posixpath.basename(name))
    return int(match[1]) if match else None


def without_uid(name: str) -> str:
    """Return a name, which may have folders, without cryoSPARC's identifier.

    Examples
    --------
    >>> without_uid("J1/imported/000000000000000000042_mic_a")
    'J1/imported/mic_a'
    """
    folder, own = posixpath.split(name)
    return posixpath.join(folder, _UID.sub("", own, count=1))


def matched(names: Iterable[str], known: Mapping[str, str | os.PathLike]) -> dict[str, str]:
    """Find out which micrographs of a set are which of another, whose folders may be given differently.

    As long as neither set has two micrographs with the same file name, folders do not count. Otherwise one path has to
    be the end of the other: ``A/001`` and ``MotionCorr/job002/A/001`` are one micrograph, and so are ``001`` and
    ``A/001``, if this is true of no other. CryoSPARC's identifier in front of a file name does not count.

    Parameters
    ----------
    names : iterable of str
        Names of micrographs, best with their folders (`located_name`).
    known : mapping of str to path-like
        Path of each micrograph of the other set by its name.

    Returns
    -------
    dict of str to str
        For each of `names` the name in the other set; a name of its own where there is none.

    Examples
    --------
    >>> matched(["job/A/001", "job/B/001", "job/B/2"], {"A/001": "A/001.mrc", "2": "2.mrc"})
    {'job/A/001': 'A/001', 'job/B/001': 'B/001', 'job/B/2': '2'}
    >>> matched(["000000000000000000042_a"], {"a": "mics/a.mrc"})
    {'000000000000000000042_a': 'a'}
    """
    names = list(dict.fromkeys(names))
    exact = {located_name(path): name for name, path in known.items()}
    candidates = _candidates(names, exact.keys())
    claims = Counter(path for paths in candidates.values() for path in paths)
    result = {}
    taken: list[tuple[str, str]] = []  # for another name because of cryoSPARC's identifier
    for name, own in zip(names, micrograph_names(names), strict=True):
        paths = candidates[name]
        if len(paths) == 1 and claims[paths[0]] == 1:
            result[name] = exact[paths[0]]
            if uid(name) != uid(paths[0]):
                taken.append((name, result[name]))
        else:
            # No name of another micrograph: its path, marked if even that is one.
            result[name] = next(text for text in (own, name, f"./{name}") if text not in known)
    if taken:
        logger.info(
            "cryoSPARC's 21 digits in front of a name do not count: %s is taken for %s (%d such micrographs)",
            *taken[0],
            len(taken),
        )
    return result


def _candidates(names: list[str], paths: Set[str]) -> dict[str, list[str]]:
    """Return the paths that each name can be of."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_file[posixpath.basename(without_uid(path))].append(path)
    files = {name: posixpath.basename(without_uid(name)) for name in names}
    if len(set(files.values())) == len(files) and len(by_file) == len(paths):
        return {name: by_file[file] for name, file in files.items()}
    free = paths - set(names)
    return {
        name: [name] if name in paths else _of_same_end(name, [path for path in by_file[file] if path in free])
        for name, file in files.items()
    }


def _of_same_end(name: str, paths: list[str]) -> list[str]:
    """Return the paths that can be of a name with folders: one is the end of the other."""
    ends = [path for path in paths if same_micrograph(without_uid(name), without_uid(path))]
    # The folder into which cryoSPARC imports says nothing.
    return ends or [path for path in paths if uid(name) is not None or uid(path) is not None]


def is_utf8(name: str) -> bool:
    """Tell whether a name can be in a text file: names of files are bytes, which need be no text.

    Examples
    --------
    >>> is_utf8("é"), is_utf8(os.fsdecode(bytes([255])))
    (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def same_micrograph(one: str, other: str) -> bool:
    """Tell whether two names with or without folders can be of one micrograph: one is the end of the other.

    Examples
    --------
    >>> same_micrograph("A/001", "job002/A/001"), same_micrograph("A/001", "AA/001"), same_micrograph("001", "AA/001")
    (True, False, True)
    """
    return f"/{one}".endswith(f"/{other.lstrip('/')}") or f"/{other}".endswith(f"/{one.lstrip('/')}")


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
    return PurePosixPath(_posix(path)).name


def _posix(path: str | os.PathLike) -> str:
    return os.fspath(path).replace("\\", "/")


def _without(name: str, endings: tuple[str, ...]) -> str:
    for ending in sorted(endings, key=len, reverse=True):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
