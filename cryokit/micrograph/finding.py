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
        inside, nor hidden ones); and ``@list.txt``, a list of micrographs (`cryokit.micrograph.lists`): a text file
        with one path per line, relative to the folder of the list, to the working folder or to a folder above the
        list; a STAR file of RELION, for which the ``@`` is not needed; or a table of Topaz.

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
        for path in _meant(entry):
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


def _meant(entry: str) -> list[Path]:
    """Return the files and folders that one word means."""
    path = Path(entry.removeprefix("@")).expanduser()
    is_list = entry.startswith("@") or (path.name.lower().endswith(".star") and path.is_file())
    return _listed(path) if is_list else [Path(entry).expanduser()]


def _listed(path: Path) -> list[Path]:
    """Return the paths in a list."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MicrographError(f"{path}: no such list of micrographs") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MicrographError(f"{path}: cannot be read as a list of micrographs, one path per line ({error})") from None
    from cryokit.micrograph import lists  # not above: the readers of tables are slow to import

    return [lists.found(entry, path) for entry in lists.entries(path, text)]


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
