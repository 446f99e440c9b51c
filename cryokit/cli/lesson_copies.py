"""Copies of the lessons to work in, and JupyterLab on them.

Readers change lessons and save them with their outputs. They do so in a folder of their own, so that the sources stay
as they are. `copy` brings lessons there and, when it is called again, what has changed since; a file that its reader
has changed is never overwritten: the new version is put beside it as ``NAME.new.ipynb``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryokit._util.files import inside, make_folder, replacing, write_text
from cryokit._util.json_files import read_json
from cryokit._util.resources import folder
from cryokit.cli import lesson_links, notebook_runner
from cryokit.cli.exercises import sources
from cryokit.cli.exercises.student_versions import student_version
from cryokit.errors import NotebookError

logger = logging.getLogger(__name__)

START = "Start.ipynb"
_OWN = ".cryokit"  # a folder that JupyterLab does not show
# What `copy` has delivered: the hash of every file as it was written, by its path.
_RECORD = f"{_OWN}/copied.json"
# JupyterLab asks nobody in a class whether it may fetch news.
_LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
# Besides the lessons: pictures and tables that they show
_COMPANIONS = {".svg", ".png", ".jpg", ".json", ".csv", ".md"}
_NOT_FOR_READERS = {"site", "exercises", "quizzes"}  # exercises come without solutions, see `_exercises`


@dataclasses.dataclass
class Copied:
    """Files of a folder for readers, as `copy` has left them.

    Attributes
    ----------
    written : list of pathlib.Path
        Files that were missing or out of date.
    beside : list of pathlib.Path
        New versions of files that their reader has changed, written beside these.
    """

    written: list[Path] = dataclasses.field(default_factory=list)
    beside: list[Path] = dataclasses.field(default_factory=list)


def copy(where: str | os.PathLike) -> Copied:
    """Copy the lessons, and whatever belongs to them, into a folder to work in.

    Parameters
    ----------
    where : path-like
        Folder, made if missing. What is in it already stays, unless it is a lesson in an older version, not changed
        since it was copied.

    Returns
    -------
    Copied

    Raises
    ------
    NotebookError
        If the folder is the one with the sources, or its record of what was copied is damaged.
    """
    where = Path(where)
    if where.resolve() == folder("notebooks").resolve():
        raise NotebookError(f"{where}: holds the sources of the lessons; choose another folder for the copies")
    make_folder(where)
    record = _read_record(where)
    copied = Copied()
    for name, content in _contents():
        _deliver(where, name, content, record, copied)
    write_text(where / _OWN / "overrides.json", json.dumps(_LAB_SETTINGS, indent=1) + "\n")
    write_text(where / _RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    for path in copied.beside:
        logger.warning("%s: new version of a lesson that you have changed; yours is left as it was", path)
    return copied


def lab_command(where: str | os.PathLike, *, author: bool = False, options: Sequence[str] = ()) -> list[str]:
    """Return the words that start JupyterLab on copies of the lessons or, for authors, on their sources.

    Parameters
    ----------
    where : path-like
        Folder with copies, or the repository for authors.
    author : bool
        Whether saving a lesson writes its source, the ``.py`` beside it, as well.
    options : sequence of str
        Further options of JupyterLab.

    Returns
    -------
    list of str
    """
    where = Path(where).resolve()
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={where}"]
    if author:
        words += [
            "--LabApp.default_url=/lab/tree/notebooks",
            "--JupytextConfiguration.formats=ipynb,py:percent",
            "--JupytextConfiguration.notebook_metadata_filter=-all",
            # Of the metadata of cells only what lessons and exercises need goes into the sources.
            "--JupytextConfiguration.cell_metadata_filter=tags,nbgrader,-all",
        ]
    else:
        words += [f"--LabApp.default_url=/lab/tree/{START}", f"--LabApp.app_settings_dir={where / _OWN}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")
    return [*words, *options]


def open_lab(where: str | os.PathLike, *, author: bool = False, options: Sequence[str] = ()) -> int:
    """Start JupyterLab as in `lab_command`, wait until it is stopped, and return its exit status."""
    if author:
        where = folder("notebooks").parent
        if not (where / "pyproject.toml").is_file():
            raise NotebookError(f"{folder('notebooks')}: no repository, so the lessons have no sources to edit")
    else:
        copy(where)
        logger.info("Your copies of the lessons are in %s; Ctrl-C stops JupyterLab", Path(where).resolve())
    with subprocess.Popen(lab_command(where, author=author, options=options)) as server:
        try:
            while True:
                try:
                    return server.wait()
                except KeyboardInterrupt:  # JupyterLab gets it as well, and asks whether it shall stop.
                    continue
        finally:
            server.terminate()  # nothing if it has ended; otherwise a signal ends this process


def _contents() -> Iterator[tuple[str, bytes]]:
    """Yield the path below the folder for readers, and the content, of everything that goes there."""
    source = folder("notebooks")
    for name in notebook_runner.available():
        yield f"{name}.ipynb", notebook_runner.generate(source / f"{name}.py").encode()
    exercises = dict(_exercises())
    yield from exercises.items()
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        hidden = any(part.startswith((".", "_")) for part in relative.parts)
        if path.is_file() and path.suffix in _COMPANIONS and not hidden and relative.parts[0] not in _NOT_FOR_READERS:
            if relative.as_posix() == "README.md":
                yield START, _start_page(path.read_text(encoding="utf-8"), list(exercises)).encode()
            else:
                yield relative.as_posix(), path.read_bytes()


def _exercises() -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of the exercises, without their solutions."""
    from nbformat import writes

    for name in sources.available():
        try:
            notebook = student_version(name)
        except ImportError:
            logger.info("No exercises, which need nbgrader: pip install 'cryokit[course]'")
            return
        yield f"exercises/{name}{sources.ENDING}.ipynb", f"{writes(notebook)}\n".encode()


def _start_page(readme: str, exercises: Sequence[str]) -> str:
    """Return a notebook that shows the syllabus: JupyterLab opens Markdown in an editor, and notebooks as they look."""
    from nbformat import v4, writes

    text = lesson_links.to_notebooks(readme)
    if exercises:
        links = [f"[{name.removeprefix('exercises/').partition('_')[0]}]({name})" for name in exercises]
        before, heading, after = text.partition("\n## How a lesson is made\n")
        listed = f"\n## Exercises\n\nOne notebook for each lesson, with checks that give hints: {', '.join(links)}.\n"
        text = f"{before}{listed}{heading}{after}"
    cell = v4.new_markdown_cell(text, id="start")
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return writes(v4.new_notebook(cells=[cell], metadata=metadata)) + "\n"


def _deliver(where: Path, name: str, content: bytes, record: dict[str, str], copied: Copied) -> None:
    """Write a file, or a new version beside what its reader has made of it."""
    new = hashlib.sha256(content).hexdigest()
    for version in _versions(name):
        path = inside(where, version, NotebookError)
        here = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        if version == name and here is not None and record.get(name) == new:
            return  # the same lesson as last time, whatever its reader has done with it
        if here == new:
            record[version] = record[name] = new
            return
        if here is None or here == record.get(version):
            with replacing(path) as temporary:
                temporary.write_bytes(content)
            (copied.written if version == name else copied.beside).append(path)
            record[version] = record[name] = new
            return


def _versions(name: str) -> Iterator[str]:
    """Yield the names under which a file may be put: its own, then ``NAME.new``, ``NAME.new-2``, and so on."""
    path = Path(name)
    yield name
    yield path.with_suffix(f".new{path.suffix}").as_posix()
    number = 2
    while True:
        yield path.with_suffix(f".new-{number}{path.suffix}").as_posix()
        number += 1


def _read_record(where: Path) -> dict[str, str]:
    path = where / _RECORD
    if not path.is_file():
        return {}
    record = read_json(path, NotebookError, "a record of copied lessons")
    if not isinstance(record, dict) or not all(isinstance(value, str) for value in record.values()):
        raise NotebookError(f"{path}: not a record of copied lessons; delete it, and changed lessons are kept")
    return record
