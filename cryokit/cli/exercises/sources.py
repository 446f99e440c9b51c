"""The exercises' sources, and the notebooks with solutions that nbgrader makes student versions from.

An exercise is ``notebooks/exercises/NAME_exercises.py``, in jupytext's percent format; nbgrader's metadata stand in the
cells' markers. A task is a cell with a solution (between ``### BEGIN SOLUTION`` and ``### END SOLUTION``) and a graded
cell of checks, part of it hidden (``### BEGIN HIDDEN TESTS``, ``### END HIDDEN TESTS``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryokit._util.resources import folder
from cryokit._util.wording import did_you_mean
from cryokit.cli.notebook_runner import bare
from cryokit.errors import ArgumentError

if TYPE_CHECKING:
    from nbformat import NotebookNode

ENDING = "_exercises"
_KEPT = ("nbgrader", "tags")  # of the cells' metadata


class Task(NamedTuple):
    """A graded cell: nbgrader's name of it, its points, and the heading above it."""

    name: str
    points: float
    title: str


def available() -> tuple[str, ...]:
    """Return the names of the exercises, which are those of the lessons.

    Examples
    --------
    >>> available()[0]
    '00_micrographs_and_picks'
    """
    return tuple(sorted(path.stem.removesuffix(ENDING) for path in _folder().glob(f"*{ENDING}.py")))


def find(name: str) -> str:
    """Return the name of an exercise from its beginning, such as ``00``.

    Raises
    ------
    ArgumentError
        If no exercise, or more than one, matches.
    """
    names = available()
    name = name.removesuffix(ENDING)
    matches = [name] if name in names else [known for known in names if known.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ArgumentError(f"{name} is the beginning of several exercises: {', '.join(matches)}")
    raise ArgumentError(f"no exercise {name!r}{did_you_mean(name, names)}; exercises: {', '.join(names)}")


def source(name: str) -> Path:
    """Return the ``.py`` file of an exercise, which holds the solutions."""
    return _folder() / f"{name}{ENDING}.py"


def load(name: str) -> NotebookNode:
    """Return an exercise with its solutions, as nbgrader wants it in its folder ``source``.

    The same source gives the same notebook, cell identifiers included.
    """
    import jupytext

    notebook = jupytext.reads(source(name).read_text(encoding="utf-8"), fmt="py:percent")
    for place, cell in enumerate(notebook.cells):
        cell.id = hashlib.sha256(f"{name} {place}".encode()).hexdigest()[:8]
    return bare(notebook, _KEPT)


def tasks(notebook: NotebookNode) -> list[Task]:
    """Return the graded cells of an exercise, in order."""
    found, title = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("## ")]
            title = headings[-1].lstrip("# ") if headings else title
        settings = cell.metadata.get("nbgrader", {})
        if settings.get("grade"):
            found.append(Task(settings["grade_id"], float(settings["points"]), title))
    return found


def _folder() -> Path:
    return folder("notebooks") / "exercises"
