"""Sections of a lesson: which cells belong to the path of 120 minutes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nbformat import NotebookNode

_HEADING = re.compile(r"^(#{2,3}) (?:\d+\. )?(.*?)(?: \((core|further)\))?$", re.MULTILINE)


class Placed(NamedTuple):
    """A cell, the heading of its section ("" before the first one), and whether it is a core one."""

    cell: NotebookNode
    heading: str
    core: bool


def sections(notebook: NotebookNode) -> Iterator[Placed]:
    """Yield each cell of a lesson with its section.

    Sections of the third level belong to the section they are in, unless they are marked themselves. What has no mark
    at all (the cells before the first section, key points, questions) is core.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Lesson, executed or not.

    Yields
    ------
    Placed

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> texts = ["# Lesson", "## 1. Noise (core)", "### More (further)", "### Less", "## 2. Tails (further)"]
    >>> cells = [cell for text in texts for cell in (new_markdown_cell(text), new_code_cell("1"))]
    >>> [(heading, core) for cell, heading, core in sections(new_notebook(cells=cells)) if cell.cell_type == "code"]
    [('', True), ('Noise', True), ('Noise', False), ('Noise', True), ('Tails', False)]
    """
    heading, section_is_core, core = "", True, True
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for hashes, words, mark in _HEADING.findall(cell.source):
                if hashes == "##":
                    heading, section_is_core = words, mark != "further"
                core = mark == "core" if mark else section_is_core
        yield Placed(cell, heading, core)
