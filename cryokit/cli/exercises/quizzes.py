"""Quizzes of five questions for each lesson, shown in a notebook without a network."""

from __future__ import annotations

import hashlib
import html
import json
from typing import Any

from cryokit._util.resources import folder
from cryokit._util.validation import check_choice

# jupyterquiz fetches MathJax where the page has none; the quizzes have no formulas and need none.
_OUTSIDE = "https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-svg.js"


def available() -> tuple[str, ...]:
    """Return the numbers of the lessons that have a quiz.

    Examples
    --------
    >>> available()[:2]
    ('00', '01')
    """
    return tuple(sorted(path.stem for path in (folder("notebooks") / "quizzes").glob("*.json")))


def questions(lesson: str) -> list[dict[str, Any]]:
    """Return the questions of a lesson's quiz in jupyterquiz' format.

    Parameters
    ----------
    lesson : str
        Number of the lesson, such as ``"00"``.

    Raises
    ------
    ArgumentError
        If there is no quiz for it.
    """
    check_choice("lesson", lesson, available())
    return json.loads((folder("notebooks") / "quizzes" / f"{lesson}.json").read_text(encoding="utf-8"))


def mixed(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return answers in an order that says nothing, always the same: authors write the right one first."""
    return sorted(answers, key=lambda answer: hashlib.sha256(str(answer["answer"]).encode()).digest())


def quiz(lesson: str) -> None:
    """Show the quiz of a lesson in a notebook.

    It can be answered with a click where the package jupyterquiz (in the extra ``course``) is installed; elsewhere the
    answers are folded below the questions. Nothing is fetched from the network.

    Parameters
    ----------
    lesson : str
        Number of the lesson, such as ``"00"``.

    Raises
    ------
    ArgumentError
        If there is no quiz for it.
    """
    from IPython.display import HTML, display
    from IPython.utils.capture import capture_output

    asked = questions(lesson)
    try:
        from jupyterquiz import display_quiz
    except ImportError:
        display(HTML(as_html(asked)))
        return
    with capture_output() as shown:
        display_quiz(asked)
    for output in shown.outputs:
        data = {kind: text.replace(_OUTSIDE, "data:text/javascript,") for kind, text in output.data.items()}
        display(data, raw=True)


def as_html(asked: list[dict[str, Any]]) -> str:
    """Return questions with folded answers."""
    return f"<ol>{''.join(f'<li>{_question(question)}</li>' for question in asked)}</ol>"


def _question(question: dict[str, Any]) -> str:
    escape = html.escape
    offered = mixed([answer for answer in question["answers"] if "answer" in answer])
    right = [answer for answer in question["answers"] if answer.get("correct")]
    listed = "".join(f"<li>{escape(answer['answer'])}</li>" for answer in offered)
    answers = [
        f"{escape(str(answer.get('answer', answer.get('value', ''))))}. {escape(answer.get('feedback', ''))}"
        for answer in right
    ]
    folded = f"<details><summary>Answer</summary><p>{'<br>'.join(answers)}</p></details>"
    return f"{escape(question['question'])}{f'<ul>{listed}</ul>' if listed else ''}{folded}"
