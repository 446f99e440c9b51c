"""``cryokit course``: student versions of the exercises, and the marking of what students hand in, with nbgrader."""

from __future__ import annotations

import argparse
import ast
import logging
import os
import re
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit._util.files import make_folder, replacing, write_text
from cryokit._util.wording import plural, some
from cryokit.cli.arguments import count
from cryokit.cli.exercises import sources
from cryokit.errors import ArgumentError, NotebookError

if TYPE_CHECKING:
    import pandas as pd
    from nbformat import NotebookNode
    from nbgrader.apps import NbGraderAPI

logger = logging.getLogger(__name__)

EXAMPLES = """
examples:
  cryokit course student course             all exercises: hand out course/release/*/*.ipynb
  cryokit course student course 00 02       two of them
  cryokit course grade course               mark course/submitted/STUDENT/EXERCISE/*.ipynb: course/marks.csv, and
                                            course/feedback/STUDENT/EXERCISE/*.html

The folder is an nbgrader course: source/ (with solutions; keep it to yourself), release/, submitted/, autograded/,
feedback/, gradebook.db and nbgrader_config.py. nbgrader's own commands work in it, and so does a course that exists.

Marking runs what students wrote, with your rights. Do it on a machine, or as a user, that has nothing to lose, such as
a container without network and without your files. A cell that takes too long is interrupted (--timeout).
"""

MARKED, BROKEN, MISSING, BY_HAND = "marked", "broken", "missing", "to be marked by hand"
_TIMEOUT = 120  # seconds
_CONFIG = """# The settings of nbgrader: https://nbgrader.readthedocs.io/en/stable/configuration/config_options.html
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = {name!r}
# Seconds that a cell may take while a submission is marked.
c.Execute.timeout = {timeout}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of this command and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    folder = {"type": Path, "metavar": "DIR", "help": "folder of the course, made if it is missing"}
    naming = {"nargs": "*", "default": [], "metavar": "EXERCISE"}

    student = actions.add_parser("student", help="generate the student versions of the exercises")
    student.add_argument("folder", **folder)
    student.add_argument("exercises", **naming, help="name of an exercise, or its beginning (default: all)")
    student.add_argument(
        "--replace", action="store_true", help="replace exercises in source/ that you have changed by those of cryokit"
    )
    student.set_defaults(action=_student)

    grade = actions.add_parser(
        "grade",
        help="mark all submissions of a course",
        description="Mark all submissions of a course. This runs what students wrote, with your rights.",
    )
    grade.add_argument("folder", **{**folder, "help": "folder of the course"})
    grade.add_argument("exercises", **naming, help="exercise to mark (default: all)")
    grade.add_argument(
        "--timeout",
        type=count,
        metavar="SECONDS",
        help=f"time that a cell may take (default: that of nbgrader_config.py, at first {_TIMEOUT})",
    )
    grade.add_argument("--again", action="store_true", help="mark submissions that are marked already, too")
    grade.add_argument("--csv", type=Path, metavar="FILE", help="table of marks to write (default: DIR/marks.csv)")
    grade.set_defaults(action=_grade)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    return options.action(options)


def _student(options: argparse.Namespace) -> int:
    names = [sources.find(name) for name in options.exercises] or list(sources.available())
    make_folder(options.folder)
    config = options.folder / "nbgrader_config.py"
    if not config.exists():
        write_text(config, _CONFIG.format(name=options.folder.resolve().name, timeout=_TIMEOUT))
    api = _api(options.folder)
    problems = []
    for name in names:
        path = _notebook(api, api.coursedir.source_directory, name)
        _write_source(sources.load(name), path, options.replace)
        problem = _problem(api.generate_assignment(name, force=True))
        if problem:
            problems.append(f"{path}: no student version can be made: {problem}")
        else:
            sys.stdout.write(f"{_notebook(api, api.coursedir.release_directory, name)}\n")
    if problems:
        raise NotebookError("\n".join(problems))
    return 0


def _write_source(notebook: NotebookNode, path: Path, replace: bool) -> None:
    import nbformat

    text = nbformat.writes(notebook) + "\n"
    if path.exists():
        if path.read_text(encoding="utf-8") == text:
            return
        if not replace:
            logger.warning("%s: differs from cryokit's exercise and is kept as it is (--replace replaces it)", path)
            return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _grade(options: argparse.Namespace) -> int:
    import pandas as pd
    from tqdm import tqdm

    from cryokit._util.csv_text import csv_text

    if not options.folder.is_dir():
        raise ArgumentError(f"{options.folder}: no such folder; make a course with 'cryokit course student DIR'")
    api = _api(options.folder, options.timeout)
    known = sorted(api.get_source_assignments())
    wanted = [_among(name, known, options.folder) for name in options.exercises] or known
    handed_in = {name: sorted(api.get_submitted_students(name)) for name in wanted}
    students = sorted(set().union(*handed_in.values()))
    if not students:
        raise ArgumentError(
            f"{options.folder}: nothing has been handed in; notebooks belong in "
            f"{Path(api.coursedir.format_path(api.coursedir.submitted_directory, 'STUDENT', 'EXERCISE'))}"
        )
    exercises = [name for name in wanted if handed_in[name]]
    pairs = [(student, name) for student in students for name in exercises]
    rows, problems = [], []
    for student, name in tqdm(pairs, desc="marking", unit="notebook", disable=None, leave=False):
        if student not in handed_in[name]:
            rows.append({"student": student, "exercise": name, "status": MISSING})
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="nbgrader")  # about its own tables
            problem = _mark(api, name, student, options.again)
            row = {"student": student, "exercise": name, "status": BROKEN} if problem else _marks(api, name, student)
        rows.append(row)
        if problem:
            problems.append(f"{student}, {name}: {problem}")
    columns = ["student", "name", "exercise", "status", "points", "of"]
    marks = pd.DataFrame(rows)
    tasks = sorted((column for column in marks if column.startswith("task_")), key=lambda text: int(text[5:]))
    marks = marks.reindex(columns=[*columns, *tasks])
    marks["name"] = marks["name"].fillna("")
    path = options.csv or options.folder / "marks.csv"
    write_text(path, csv_text(marks))
    sys.stdout.write(f"{marks[columns].to_string(index=False, na_rep='')}\n")
    _warn_of_shared_names(marks)
    logger.info("%s marked -> %s", plural(int((marks["status"] == MARKED).sum()), "submission"), path)
    if problems:
        logger.error("submissions that could not be marked: %d of %d", len(problems), sum(map(len, handed_in.values())))
        for problem in problems:
            logger.error("  %s", problem)
    return 1 if problems else 0


def _api(folder: Path, timeout: int | None = None) -> NbGraderAPI:
    """Return nbgrader's interface to a course, with the settings in the course's folder."""
    try:
        from nbgrader.apps import NbGraderAPI
    except ImportError as error:
        raise ArgumentError(
            f"nbgrader cannot be imported ({error}); install the extra 'course': pip install 'cryokit[course]'"
        ) from None
    from traitlets.config import Config, PyFileConfigLoader
    from traitlets.log import get_logger

    # nbgrader makes its gradebook with the program alembic, which is on the path only where this environment is active.
    programs = os.fspath(Path(sys.executable).parent)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    config = Config()
    if (folder / "nbgrader_config.py").is_file():
        config.merge(PyFileConfigLoader("nbgrader_config.py", path=os.fspath(folder)).load_config())
    else:
        config.Execute.timeout = _TIMEOUT
    config.CourseDirectory.root = os.fspath(folder.resolve())
    if timeout is not None:
        config.Execute.timeout = timeout
    if "extra_arguments" not in config.Execute:
        # Keeps the kernel from reporting each time that it talks over the loopback interface in plain text.
        config.Execute.extra_arguments = ["--log-level=ERROR"]
    # What nbgrader has to say of a problem comes back with its results. The rest, such as that there is no exchange to
    # hand notebooks out with, is for --verbose.
    get_logger().propagate = logging.getLogger().level == logging.DEBUG
    return NbGraderAPI(config=config)


def _folder(api: NbGraderAPI, directory: str, name: str) -> Path:
    return Path(api.coursedir.format_path(directory, ".", name))


def _notebook(api: NbGraderAPI, directory: str, name: str) -> Path:
    return Path(os.path.relpath(_folder(api, directory, name) / f"{name}{sources.ENDING}.ipynb"))


def _among(name: str, known: list[str], folder: Path) -> str:
    matches = [name] if name in known else [each for each in known if each.startswith(name)]
    if len(matches) != 1:
        raise ArgumentError(
            f"{folder}: has {'several exercises' if matches else 'no exercise'} {name!r}: {some(known)}"
        )
    return matches[0]


def _mark(api: NbGraderAPI, name: str, student: str, again: bool) -> str:
    """Mark a submission and write the feedback; return what went wrong, or an empty string."""
    course = api.coursedir
    directories = course.submitted_directory, course.autograded_directory, course.feedback_directory
    submitted, marked, told = (Path(course.format_path(directory, student, name)) for directory in directories)
    expected = {path.name for path in _folder(api, course.source_directory, name).glob("*.ipynb")}
    there = sorted(path.name for path in submitted.glob("*.ipynb"))
    if not expected & set(there):
        return f"{os.path.relpath(submitted)} lacks {some(sorted(expected))}, but has {some(there) or 'no notebook'}"
    if again or not _newest(marked) > _newest(submitted):
        problem = _problem(api.autograde(name, student, force=True))
        if problem:
            return problem
    elif _newest(told) > _newest(marked):
        return ""
    return _problem(api.generate_feedback(name, student, force=True))


def _newest(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)


def _problem(result: dict[str, Any]) -> str:
    """Return what went wrong in one of nbgrader's steps in one line, or an empty string."""
    if result["success"]:
        return ""
    lines = [line.strip() for line in result.get("error", "").splitlines() if line.strip()]
    if lines and lines[-1].startswith("KeyboardInterrupt"):
        raise KeyboardInterrupt
    # nbgrader's last words say that something failed; the cause is the last error in its log.
    named = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|NotJSON\w*|Interrupt)): (.+)")
    logged = [line.strip() for line in result.get("log", "").splitlines()]
    causes = [found for line in logged if (found := named.match(line))]
    if causes:
        return f"{causes[-1][1]}: {causes[-1][2]}"
    failures = [line for line in logged if line.startswith("[ERROR]")]
    return failures[0].removeprefix("[ERROR]").strip() if failures else (lines[-1] if lines else "unknown reason")


def _marks(api: NbGraderAPI, name: str, student: str) -> dict[str, Any]:
    """Return a row of the table of marks."""
    row: dict[str, Any] = {"student": student, "exercise": name, "name": _name(api, name, student)}
    with api.gradebook as gradebook:
        submission = gradebook.find_submission(name, student)
        grades = {grade.name: grade for notebook in submission.notebooks for grade in notebook.grades}
        order = [cell.name for notebook in submission.assignment.notebooks for cell in notebook.grade_cells]
        row["status"] = BY_HAND if submission.needs_manual_grade else MARKED
        row |= {"points": submission.score, "of": submission.max_score}
    places = _places(api, name)
    order.sort(key=lambda cell: places.get(cell, len(places)))
    return row | {f"task_{number}": grades[cell].score for number, cell in enumerate(order, 1) if cell in grades}


def _places(api: NbGraderAPI, name: str) -> dict[str, int]:
    """Return the order of the graded cells, which the gradebook does not keep."""
    import nbformat

    folder = _folder(api, api.coursedir.source_directory, name)
    notebooks = [nbformat.read(path, 4) for path in sorted(folder.glob("*.ipynb"))]
    cells = [task.name for notebook in notebooks for task in sources.tasks(notebook)]
    return {cell: place for place, cell in enumerate(cells)}


def _name(api: NbGraderAPI, name: str, student: str) -> str:
    """Return the name that a student wrote into the notebook, from which the data are drawn."""
    import nbformat

    folder = Path(api.coursedir.format_path(api.coursedir.autograded_directory, student, name))
    for path in sorted(folder.glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            found = re.search(r"^STUDENT\s*=\s*(['\"].*?['\"])\s*(?:#.*)?$", cell.source, re.MULTILINE)
            if found:
                try:
                    return str(ast.literal_eval(found[1]))
                except (ValueError, SyntaxError):
                    return ""
    return ""


def _warn_of_shared_names(marks: pd.DataFrame) -> None:
    """Warn of names that several students wrote into the same exercise: their data are equal."""
    for exercise, rows in marks.groupby("exercise"):
        for name, number in Counter(" ".join(text.casefold().split()) for text in rows["name"] if text).items():
            if number > 1:
                logger.warning("%s: %d students have the name %r in it, and so the same data", exercise, number, name)
