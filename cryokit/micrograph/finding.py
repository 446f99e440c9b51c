"""Find the micrographs that files, folders and lists mean."""

import os
from collections.abc import Iterable
from pathlib import Path

from cryokit._util.files import home, read_bytes, replacing
from cryokit._util.names import MICROGRAPH_SUFFIXES, micrograph_names
from cryokit.errors import MicrographError


def find(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[Path]:
    """Return the micrograph files that `paths` mean, sorted.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files; folders, which stand for what is in them with a suffix of a micrograph format (not what is in folders
        inside, nor hidden files); and ``@list.txt``, a list of micrographs (`cryokit.micrograph.lists`): a text file
        with one path per line, relative to the folder of the list, to the working folder or to a folder above the
        list; a STAR file of RELION, for which the ``@`` is not needed; or a table of Topaz.

    Returns
    -------
    list of pathlib.Path
        Sorted; a file named twice appears once. Links to files that are gone and pipes are there, too: reading them
        fails, as that of a damaged file does. `cryokit._util.names.micrograph_names` names them.

    Raises
    ------
    MicrographError
        If a path does not exist or has another suffix, if two different files differ in their suffixes only (their
        picks could not be distinguished), or if there are no micrographs.
    """
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    files: dict[str, Path] = {}
    for entry in given:
        for path in _meant(entry):
            for file in _files(path):
                files.setdefault(os.path.realpath(file), file)
    if not files:
        raise MicrographError(
            f"no micrographs in {', '.join(given) or 'nothing'}; known suffixes: {', '.join(MICROGRAPH_SUFFIXES)}"
        )
    names: dict[str, Path] = {}
    for name, file in zip(micrograph_names(map(os.path.abspath, files.values())), files.values(), strict=True):
        other = names.setdefault(name, file)
        if other is not file:
            raise MicrographError(
                f"{other} and {file} have the same micrograph name {name!r}, so their picks could not be "
                "distinguished; leave one out or rename it"
            )
    return sorted(files.values())


def write_list(path: Path, files: Iterable[Path]) -> dict[Path, str]:
    """Write a list of micrographs that `find` reads as ``@list.txt``, by their absolute paths.

    Returns
    -------
    dict of pathlib.Path to str
        Why files are not in the list: paths with a line break would be two.
    """
    listed, problems = [], {}
    for file in files:
        text = os.path.abspath(file)
        if len(text.splitlines()) == 1 and text == text.strip():
            listed.append(os.fsencode(text) + b"\n")
        else:
            problems[file] = f"{path}: a list cannot hold the path {text!r}, as it has a line break; rename it"
    with replacing(path) as temporary:
        temporary.write_bytes(b"".join(listed))
    return problems


def _meant(entry: str) -> list[Path]:
    """Return the files and folders that one word means."""
    path = home(entry.removeprefix("@"))
    is_list = entry.startswith("@") or (path.name.lower().endswith(".star") and path.is_file())
    return _listed(path) if is_list else [home(entry)]


def _listed(path: Path) -> list[Path]:
    """Return the paths in a list."""
    from cryokit.micrograph import lists  # not above: the readers of tables are slow to import

    # Not as UTF-8: file names are bytes.
    text = os.fsdecode(read_bytes(path, MicrographError, "a list of micrographs")).removeprefix("\ufeff")
    return [lists.found(entry, path) for entry in lists.entries(path, text)]


def _files(path: Path) -> list[Path]:
    """Return the micrographs that one path means."""
    if path.is_dir():
        # Hidden files hold half-written files and the resource forks of macOS.
        files = (file for file in sorted(path.iterdir()) if not file.name.startswith(".") and not file.is_dir())
        return [file for file in files if _is_micrograph(file)]
    if not os.path.lexists(path):
        raise MicrographError(f"{path}: no such file or folder")
    if not _is_micrograph(path):
        raise MicrographError(f"{path}: not a micrograph; known suffixes: {', '.join(MICROGRAPH_SUFFIXES)}")
    return [path]


def _is_micrograph(path: Path) -> bool:
    return path.name.lower().endswith(MICROGRAPH_SUFFIXES)
