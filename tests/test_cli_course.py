"""``cryokit course``: one round through nbgrader, with submissions of all kinds."""

import json
import re
import shutil
import sys

import nbformat
import pandas as pd
import pytest

from cryokit.cli import main
from cryokit.cli.exercises import sources

NAME = "05_gpu_picking"
FILE = f"{NAME}_exercises.ipynb"

pytest.importorskip("nbgrader", reason="needs the extra course")


def solutions(course):
    """Return the sources of the solution cells by nbgrader's names of them."""
    cells = nbformat.read(course / "source" / NAME / FILE, 4).cells
    return {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }


def hand_in(course, student, answers, change=lambda cell: None):
    """Hand in the student version with answers; `change` may do more to each cell."""
    notebook = nbformat.read(course / "release" / NAME / FILE, 4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(name, cell.source)
        change(cell)
    folder = course / "submitted" / student / NAME
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / FILE)


def read(path):
    return pd.read_csv(path, keep_default_na=False).set_index("student")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with one exercise, handed out."""
    folder = tmp_path_factory.mktemp("class") / "course"
    assert main(["course", "student", str(folder), "05"]) == 0
    return folder


@pytest.fixture(scope="module")
def graded(course):
    """The course after marking: its folder and the exit status."""
    right = solutions(course)

    def cheat(cell):
        # A check that asks for nothing; nbgrader puts back what was handed out.
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "pass"

    def rename(cell):
        cell.source = cell.source.replace("Ada Lovelace", "Grace Hopper")

    wrong = right["shift"].replace("return (1 - overlap) / (1 + overlap)", "return 1 - overlap")
    hand_in(course, "ada", right, rename)
    hand_in(course, "bob", {})
    hand_in(course, "cheat", {}, cheat)
    hand_in(course, "mixed", {**right, "shift": wrong})
    for student, text in (("broken", '{"cells": ['), ("renamed", "{}")):
        folder = course / "submitted" / student / NAME
        folder.mkdir(parents=True)
        (folder / (FILE if student == "broken" else "my homework.ipynb")).write_text(text)
    return course, main(["course", "grade", str(course)])


class TestStudent:
    def test_student_version_has_no_solutions(self, course):
        text = (course / "release" / NAME / FILE).read_text(encoding="utf-8")
        assert "raise NotImplementedError()" in text
        assert "SOLUTION" not in text
        assert "HIDDEN" not in text

    def test_course_is_nbgraders(self, course):
        assert (course / "gradebook.db").is_file()
        assert "get_config()" in (course / "nbgrader_config.py").read_text()

    def test_changed_exercise_is_kept(self, course, tmp_path):
        mine = tmp_path / "mine"
        shutil.copytree(course, mine, ignore=shutil.ignore_patterns("submitted", "autograded", "feedback"))
        path = mine / "source" / NAME / FILE
        notebook = nbformat.read(path, 4)
        notebook.cells[0].source += "\n\nHand in by Friday."
        nbformat.write(notebook, path)
        (mine / "nbgrader_config.py").write_text("c = get_config()\nc.ClearSolutions.code_stub = {'python': '...'}\n")
        assert main(["course", "student", str(mine), "05"]) == 0
        handed_out = (mine / "release" / NAME / FILE).read_text(encoding="utf-8")
        assert "Hand in by Friday." in handed_out
        assert "raise NotImplementedError()\\n" not in handed_out.replace("`raise NotImplementedError()`", "")
        assert main(["course", "student", str(mine), "05", "--replace"]) == 0
        assert "Hand in by Friday." not in path.read_text(encoding="utf-8")

    def test_unknown_exercise(self, tmp_path, capsys):
        assert main(["course", "student", str(tmp_path / "c"), "17"]) == 1
        assert "17" in capsys.readouterr().err
        assert not (tmp_path / "c").exists()

    def test_without_nbgrader(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "nbgrader.apps", None)
        assert main(["course", "student", str(tmp_path), "05"]) == 1
        assert "cryokit[course]" in capsys.readouterr().err


class TestGrade:
    def test_marks(self, graded):
        course, status = graded
        marks = read(course / "marks.csv")
        assert status == 1, "two submissions cannot be marked"
        assert marks["status"].to_dict() == {
            "ada": "marked",
            "bob": "marked",
            "broken": "broken",
            "cheat": "marked",
            "mixed": "marked",
            "renamed": "broken",
        }
        tasks = [f"task_{number}" for number in range(1, 6)]
        points = marks[marks["status"] == "marked"][["points", "of", *tasks]].astype(float)
        full = [task.points for task in sources.tasks(sources.load(NAME))]
        assert points.loc["ada"].tolist() == [sum(full), sum(full), *full]
        assert points.loc["bob"].tolist() == [0, sum(full), 0, 0, 0, 0, 0]
        assert points.loc["cheat", "points"] == 0
        assert points.loc["mixed", tasks].tolist() == [full[0], full[1], 0, full[3], full[4]]

    def test_names(self, graded):
        names = read(graded[0] / "marks.csv")["name"]
        assert names["ada"] == "Grace Hopper"
        assert names["bob"] == names["mixed"] == "Ada Lovelace"

    def test_feedback_has_the_hints(self, graded):
        page = (graded[0] / "feedback" / "mixed" / NAME / FILE.replace("ipynb", "html")).read_text(encoding="utf-8")
        assert "if the union stayed as large as one box" in page
        assert not (graded[0] / "feedback" / "broken").exists()

    def test_unsolved_notebook_ran_to_its_end(self, graded):
        notebook = nbformat.read(graded[0] / "autograded" / "bob" / NAME / FILE, 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in code)
        errors = [out for cell in code for out in cell.outputs if out.output_type == "error"]
        assert {error.ename for error in errors} == {"Hint"}
        assert len(errors) == 5
        assert all(len(error.traceback) == 1 for error in errors)

    def test_quiz_needs_no_network(self, graded):
        pytest.importorskip("jupyterquiz")
        notebook = nbformat.read(graded[0] / "autograded" / "bob" / NAME / FILE, 4)
        shown = json.dumps([output.get("data", {}) for output in notebook.cells[-1].outputs])
        assert "What is their IoU?" in shown
        assert not re.findall(r"https?://", shown)

    def test_what_is_marked_stays(self, graded, monkeypatch, caplog):
        from nbgrader.apps import NbGraderAPI

        course = graded[0]
        before = (course / "marks.csv").read_text()
        asked = []
        original = NbGraderAPI.autograde
        monkeypatch.setattr(NbGraderAPI, "autograde", lambda *a, **k: asked.append(a[2]) or original(*a, **k))
        assert main(["course", "grade", str(course), "05"]) == 1
        assert asked == ["broken"]
        assert (course / "marks.csv").read_text() == before
        assert "NotJSONError" in caplog.text
        assert "my homework.ipynb" in caplog.text
        assert "'ada lovelace'" in caplog.text, "three students have left the name as it was"

    def test_nothing_handed_in(self, tmp_path, capsys):
        assert main(["course", "grade", str(tmp_path / "missing")]) == 1
        assert "missing" in capsys.readouterr().err
        assert main(["course", "grade", str(tmp_path)]) == 1
        assert "submitted" in capsys.readouterr().err


@pytest.mark.slow
def test_endless_loop_costs_its_task_only(course, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(course, mine, ignore=shutil.ignore_patterns("submitted", "autograded", "feedback"))
    right = solutions(mine)
    endless = right["nms"].replace("    kept = []\n", "    while True:\n        pass\n")
    assert endless != right["nms"]
    hand_in(mine, "eve", {**right, "nms": endless})
    assert main(["course", "grade", str(mine), "--timeout", "60", "--csv", str(tmp_path / "marks.csv")]) == 0
    points = read(tmp_path / "marks.csv").loc["eve", [f"task_{number}" for number in range(1, 6)]]
    assert points.astype(float).tolist() == [2, 2, 2, 0, 3]
