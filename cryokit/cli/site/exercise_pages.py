"""Exercises with folded solutions, or without, and quizzes with folded answers, as Sphinx reads them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit.cli import lesson_links
from cryokit.cli.exercises import quizzes as quiz_files
from cryokit.cli.exercises import sources

if TYPE_CHECKING:
    from nbformat import NotebookNode

# What stands in nbgrader's student version in place of a solution
STUB = "raise NotImplementedError()"
_SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION\n(?P<code>.*?)^[ \t]*### END SOLUTION\n?", re.MULTILINE | re.DOTALL
)
_HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS\n?", re.MULTILINE | re.DOTALL)


def exercises() -> dict[str, NotebookNode]:
    """Return the exercises, solutions and metadata included, by the name of their files."""
    return {sources.source(name).stem: sources.load(name) for name in sources.available()}


def exercise_page(notebook: NotebookNode, target: Callable[[str, str], str | None], *, solutions: bool) -> str:
    """Return an exercise as Markdown.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Exercise as its source has it. Hidden tests are never shown.
    target : callable
        Where relative links lead, as in `cryokit.cli.lesson_links.rewrite`.
    solutions : bool
        Whether to show the solutions, folded.

    Returns
    -------
    str
    """
    parts = []
    for cell in notebook.cells:
        graded = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown":
            text = lesson_links.rewrite(cell.source, target)
            if graded.get("solution"):
                text = _folded("Solution", text) if solutions else "*Your answer.*"
            parts.append(text)
        elif cell.cell_type == "code":
            source = _HIDDEN.sub("", cell.source).strip("\n")
            student = _SOLUTION.sub(rf"\g<indent># YOUR CODE HERE\n\g<indent>{STUB}\n", source).strip("\n")
            parts.append(_code(student))
            if solutions and student != source:
                parts.append(_folded("Solution", _code(_SOLUTION.sub(r"\g<code>", source).strip("\n"))))
    return "\n\n".join(part for part in parts if part) + "\n"


def quizzes() -> dict[str, list[dict[str, Any]]]:
    """Return the questions of every quiz, in jupyterquiz's format, by the number of the lesson."""
    return {lesson: quiz_files.questions(lesson) for lesson in quiz_files.available()}


def quiz_page(title: str, questions: list[dict[str, Any]]) -> str:
    """Return a quiz as Markdown: a click on an answer says whether it is right, and why.

    Parameters
    ----------
    title : str
        Title of the lesson.
    questions : list of dict
        Questions in jupyterquiz's format.

    Returns
    -------
    str
    """
    parts = [f"# Quiz: {title}", "Click an answer to see whether it is right, and why."]
    for number, question in enumerate(questions, start=1):
        parts += [f"## Question {number}", _text(question["question"])]
        offered = [answer for answer in question["answers"] if "answer" in answer]
        if offered and question.get("type") != "string":
            parts.append("\n".join(_choice(answer) for answer in quiz_files.mixed(offered)))
        else:
            right = [answer for answer in question["answers"] if answer.get("correct")]
            parts.append(_folded("Answer", "\n\n".join(_answer(answer) for answer in right)))
    return "\n\n".join(parts) + "\n"


def _choice(answer: dict[str, Any]) -> str:
    verdict, css = ("Right.", "right") if answer.get("correct") else ("Not right.", "wrong")
    feedback = html.escape(answer.get("feedback", ""), quote=False)
    return (
        f'<details class="cryokit-choice {css}"><summary>{html.escape(str(answer["answer"]), quote=False)}</summary>'
        f"<p><strong>{verdict}</strong> {feedback}</p></details>"
    )


def _answer(answer: dict[str, Any]) -> str:
    value = answer.get("answer", answer.get("value", answer.get("range", "")))
    if isinstance(value, list):
        value = " to ".join(map(str, value))
    return _text(f"**{value}** {answer.get('feedback', '')}".strip())


def _text(text: str) -> str:
    # Questions are plain text, in which MyST would take a < for the beginning of HTML.
    return text.replace("<", "&lt;")


def _folded(title: str, text: str) -> str:
    return f'<details class="cryokit-solution"><summary>{title}</summary>\n\n{text}\n\n</details>'


def _code(source: str) -> str:
    return f"```python\n{source}\n```" if source.strip() else ""


def number(path: str | Path) -> str:
    """Return the number at the beginning of a name.

    Examples
    --------
    >>> number("00_micrographs_and_picks")
    '00'
    """
    return Path(path).stem.partition("_")[0]
