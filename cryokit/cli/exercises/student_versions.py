"""Exercises as students get them, without an nbgrader course around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryokit.cli.exercises import sources

if TYPE_CHECKING:
    from nbformat import NotebookNode


def student_version(name: str) -> NotebookNode:
    """Return an exercise without its solutions and its hidden tests, as nbgrader makes it.

    What is handed in can be marked in an nbgrader course like what ``cryokit course student`` has released.

    Parameters
    ----------
    name : str
        Name from `cryokit.cli.exercises.sources.available`.

    Raises
    ------
    ImportError
        If nbgrader, of the extra ``course``, is not installed.
    """
    from nbgrader import preprocessors

    notebook, resources = sources.load(name), {}
    for step in (
        "ClearSolutions",
        "LockCells",
        "ClearOutput",
        "ClearHiddenTests",
        "ClearMarkScheme",
        "ComputeChecksums",
    ):
        notebook, resources = getattr(preprocessors, step)().preprocess(notebook, resources)
    return notebook
