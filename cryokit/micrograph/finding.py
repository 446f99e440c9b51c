"""Turn what a user typed (files, folders, lists) into the micrographs meant."""

from __future__ import annotations

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
        Files; folders, of which every file with a suffix of `cryokit._util.names.MICROGRAPH_SUFFIXES` is taken (not the
        folders inside, not hidden files); and ``@list.txt``, a text file with one path a line, relative to the
        list's own folder or else to the working folder, where empty lines and lines that start with ``#`` are skipped.

    Returns
    -------
    list of pathlib.Path
        Sorted; a file named twice appears once.

    Raises
    ------
    MicrographError
        When something does not exist or is no micrograph by its suffix, when two different files have the same
        micrograph name (their picks could not be told apart), or when nothing is found.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    found: dict[Path, Path] = {}
    given = [os.fspath(path) for path in paths]
    for word in given:
        for path in _listed(Path(word[1:]).expanduser()) if word.startswith("@") else [Path(word).expanduser()]:
            for file in _files(path):
                found.setdefault(file.resolve(), file)
    if not found:
        raise MicrographError(
            f"no micrographs in {', '.join(given) or 'nothing'}; looked for {', '.join(MICROGRAPH_SUFFIXES)}"
        )
    names: dict[str, Path] = {}
    for file in found.values():
        other = names.setdefault(micrograph_name(file), file)
        if other is not file:
            raise MicrographError(
                f"{other} and {file} have the same micrograph name {micrograph_name(file)!r}, so their picks could not "
                "be told apart; leave one out or rename it"
            )
    return sorted(found.values())


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise MicrographError(f"{path}: no such list of micrographs") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MicrographError(f"{path}: cannot be read as a list of micrographs, one path a line ({error})") from None
    listed = []
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        entry = Path(line).expanduser()
        candidates = [path.parent / entry, entry]
        existing = next((candidate for candidate in candidates if candidate.exists()), None)
        if existing is None:
            raise MicrographError(
                f"{path}, line {number}: {line} exists neither beside the list nor in the working folder"
            )
        listed.append(existing)
    return listed


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.iterdir()) if _is_micrograph(file) and file.is_file()]
    if not path.exists():
        raise MicrographError(f"{path}: no such file or folder")
    if not path.name.lower().endswith(MICROGRAPH_SUFFIXES):
        raise MicrographError(f"{path}: not a micrograph by its name; known are {', '.join(MICROGRAPH_SUFFIXES)}")
    return [path]


def _is_micrograph(path: Path) -> bool:
    # Hidden files hold half-written files and the resource forks of macOS.
    return not path.name.startswith(".") and path.name.lower().endswith(MICROGRAPH_SUFFIXES)
