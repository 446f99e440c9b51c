"""Lessons as Sphinx reads them: links that lead to pages, pictures with their alternative texts, no widgets."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from cryokit.cli import lesson_links, notebook_runner

if TYPE_CHECKING:
    from nbformat import NotebookNode

_WIDGET = "application/vnd.jupyter.widget-view+json"
# A heading, or a block of code, in which a line may look like one
_HEADING = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)|^#{1,3} +(?P<heading>.+?)\s*$", re.MULTILINE | re.DOTALL)
_PICTURES = ("image/png", "image/jpeg")


@dataclasses.dataclass
class Picture:
    """A picture that a lesson has drawn.

    Attributes
    ----------
    lesson, section : str
        Name of the lesson, and the heading above the picture.
    data : bytes
        Content of the PNG or JPEG file.
    alternative_text : str
        What the lesson says for readers who do not see the picture; empty if it says nothing.
    """

    lesson: str
    section: str
    data: bytes
    alternative_text: str

    @property
    def name(self) -> str:
        """Hash of the content; MyST-NB names the file of a picture by it."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def described(self) -> str:
        """Alternative text, or where the picture stands if there is none."""
        return self.alternative_text or f"Picture in the section “{self.section}”"


@dataclasses.dataclass
class Contents:
    """What is in a lesson.

    Attributes
    ----------
    pictures : list of Picture
        Pictures, in order.
    sections : dict of str to str
        Target for links by heading, without number and mark.
    """

    pictures: list[Picture] = dataclasses.field(default_factory=list)
    sections: dict[str, str] = dataclasses.field(default_factory=dict)


def prepare(name: str, notebook: NotebookNode, target: Callable[[str, str], str | None]) -> Contents:
    """Change a lesson so that Sphinx shows it as readers see it in JupyterLab, and return what is in it.

    Parameters
    ----------
    name : str
        Name of the lesson.
    notebook : nbformat.NotebookNode
        Lesson with its outputs, which is changed.
    target : callable
        Where relative links lead, as in `cryokit.cli.lesson_links.rewrite`.

    Returns
    -------
    Contents
    """
    contents, section = Contents(), ""

    def labelled(match: re.Match) -> str:
        nonlocal section
        if match["heading"] is None:
            return match[0]
        section = plain(match["heading"])
        if section in contents.sections:
            return match[0]
        label = f"{name.partition('_')[0]}-{re.sub(r'[^a-z0-9]+', '-', section.lower()).strip('-')}"
        contents.sections[section] = label
        return f"({label})=\n{match[0]}"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _HEADING.sub(labelled, lesson_links.rewrite(cell.source, target))
        elif cell.cell_type == "code":
            cell.outputs = [output for output in map(_readable, cell.outputs) if output is not None]
            contents.pictures += _pictures(name, section, cell.outputs)
    return contents


def plain(heading: str) -> str:
    """Return a heading without its number, its mark and Markdown.

    Examples
    --------
    >>> plain("1. What `fit` does, *roughly* (core)")
    'What fit does, roughly'
    """
    text = re.sub(r"[`*]|\[(.*?)\]\(.*?\)", r"\1", heading)
    return re.sub(r"^\d+\. | \((core|further)\)$", "", text.strip())


def _readable(output: NotebookNode) -> NotebookNode | None:
    """Return an output as a page can show it, or None if it is not for readers."""
    if "data" not in output:
        return output
    data = {kind: content for kind, content in output.data.items() if kind != notebook_runner.RECORD_TYPE}
    if _WIDGET in data:
        data = {
            "text/markdown": "*An interactive explorer of picks in JupyterLab. "
            '<a href="../explorer.html">Try it on a page of its own</a>, with a simulated micrograph.*'
        }
    if not data or (len(data) < len(output.data) and set(data) == {"text/plain"}):
        return None
    output.data = data
    return output


def _pictures(name: str, section: str, outputs: list[NotebookNode]) -> list[Picture]:
    found = []
    for output in outputs:
        for kind in _PICTURES:
            if kind in output.get("data", {}):
                text = output.get("metadata", {}).get(kind, {}).get("alt", "")
                found.append(Picture(name, section, base64.b64decode(output.data[kind]), " ".join(text.split())))
                break
    return found
