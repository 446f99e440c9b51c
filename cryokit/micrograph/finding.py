"""Find the micrographs that files, folders and lists mean."""

import os
from collections.abc import Iterable
from pathlib import Path

from cryokit._util.names import MICROGRAPH_SUFFIXES, micrograph_name
from cryokit.errors import MicrographError


def find(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[Path]:
    """Return the micrograph files that `paths` mean, sorted.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files; folders, which stand for the files in them with a suffix of a micrograph format (not those in folders
        inside, nor hidden ones); and ``@list.txt``, a text file with one path per line, relative to the folder of the
        list or else to the working folder. Blank lines of a list and lines that start with ``#`` are skipped.

    Returns
    -------
    list of pathlib.Path
        Sorted; a file named twice appears once.

    Raises
    ------
    MicrographError
        If a path does not exist or has another suffix, if two different files have the same micrograph name (their
        picks could not be distinguished), or if there are no micrographs.
    """
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    files: dict[Path, Path] = {}
    for entry in given:
        for path in _listed(Path(entry[1:]).expanduser()) if entry.startswith("@") else [Path(entry).expanduser()]:
            for file in _files(path):
                files.setdefault(file.resolve(), file)
    if not files:
        raise MicrographError(
            f"no micrographs in {', '.join(given) or 'nothing'}; known suffixes: {', '.join(MICROGRAPH_SUFFIXES)}"
        )
    names: dict[str, Path] = {}
    for file in files.values():
        other = names.setdefault(micrograph_name(file), file)
        if other is not file:
            raise MicrographError(
                f"{other} and {file} have the same micrograph name {micrograph_name(file)!r}, so their picks could not "
                "be distinguished; leave one out or rename it"
            )
    return sorted(files.values())


def _listed(path: Path) -> list[Path]:
    """Return the paths in a list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise MicrographError(f"{path}: no such list of micrographs") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MicrographError(f"{path}: cannot be read as a list of micrographs, one path per line ({error})") from None
    listed = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        entry = Path(line).expanduser()
        existing = next((place for place in (path.parent / entry, entry) if place.exists()), None)
        if existing is None:
            raise MicrographError(
                f"{path}, line {number}: {line} exists neither beside the list nor in the working folder"
            )
        listed.append(existing)
    return listed


def _files(path: Path) -> list[Path]:
    """Return the micrographs that one path means."""
    if path.is_dir():
        # Hidden files hold half-written files and the resource forks of macOS.
        files = (file for file in sorted(path.iterdir()) if not file.name.startswith(".") and file.is_file())
        return [file for file in files if _is_micrograph(file)]
    if not path.exists():
        raise MicrographError(f"{path}: no such file or folder")
    if not _is_micrograph(path):
        raise MicrographError(f"{path}: not a micrograph; known suffixes: {', '.join(MICROGRAPH_SUFFIXES)}")
    return [path]


def _is_micrograph(path: Path) -> bool:
    return path.name.lower().endswith(MICROGRAPH_SUFFIXES)
