"""The exercises: solutions get all points, unsolved tasks none, and wrong answers a hint."""

import functools
import re

import numpy as np
import pytest
from exercise_cells import Solved, execute, marked, settings
from wrong_answers import WRONG

import cryokit.segmentation  # which a quiz computes with
from cryokit import coordinates, evaluate
from cryokit.cli import notebook_runner
from cryokit.cli.exercises import Hint, check, drawn_pictures, drawn_tables, published_comparison, quizzes, sources
from cryokit.cli.exercises.entered import in_table
from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.simulate import seed_from_name

EXERCISES = sources.available()
ANSWERS = [
    (lesson, task, wrong) for lesson, tasks in WRONG.items() for task, answers in tasks.items() for wrong in answers
]
TASKS = [(lesson, task) for lesson, tasks in WRONG.items() for task in tasks]


@pytest.fixture(autouse=True)
def without_table(monkeypatch, tmp_path):
    """Leave out the comparison in exercise 06, as nbgrader does while it marks; files go elsewhere."""
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    monkeypatch.chdir(tmp_path)


@functools.cache
def solved(name, student=None):
    return Solved(sources.find(name), student)


@functools.cache
def student_version(name):
    """The notebook as nbgrader hands it out, by its own steps."""
    preprocessors = pytest.importorskip("nbgrader.preprocessors")
    notebook, resources = sources.load(sources.find(name)), {}
    for step in (preprocessors.ClearSolutions, preprocessors.ClearHiddenTests):
        notebook, resources = step().preprocess(notebook, resources)
    return notebook


class TestSources:
    def test_one_for_each_lesson(self):
        assert notebook_runner.available() == EXERCISES
        assert quizzes.available() == tuple(name[:2] for name in EXERCISES)

    def test_every_task_has_wrong_answers(self):
        names = {(name[:2], task) for name in EXERCISES for task in solved(name).tests}
        assert names == set(TASKS)
        assert len(names) >= 24
        assert all(len(WRONG[lesson][task]) >= 2 for lesson, task in TASKS)

    @pytest.mark.parametrize("name", EXERCISES)
    def test_cells_are_regular(self, name):
        notebook = sources.load(name)
        graded = [cell for cell in notebook.cells if settings(cell)]
        ids = [settings(cell)["grade_id"] for cell in graded]
        assert len(set(ids)) == len(ids)
        tests = [cell for cell in graded if settings(cell)["grade"]]
        solutions = [cell for cell in graded if settings(cell)["solution"]]
        assert len(tests) == len(solutions) >= 3
        for cell in solutions:
            assert not settings(cell)["locked"]
            assert cell.source.startswith("def "), "an unsolved cell must not stop the notebook"
            assert cell.source.count("### BEGIN SOLUTION") == cell.source.count("### END SOLUTION") == 1
        for cell in tests:
            assert settings(cell)["locked"]
            assert cell.metadata["tags"] == ["raises-exception"], "JupyterLab would stop at an unsolved task"
            assert cell.source.count("### BEGIN HIDDEN TESTS") == cell.source.count("### END HIDDEN TESTS") <= 1

    @pytest.mark.parametrize("name", EXERCISES)
    def test_headings_tell_the_points(self, name):
        for task in sources.tasks(sources.load(name)):
            (told,) = re.findall(r"\((\d+) points?\)", task.title)
            assert float(told) == task.points, task
        text = "\n".join(cell.source for cell in sources.load(name).cells)
        (total,) = re.findall(r"minutes for (\d+) points", text)
        assert float(total) == sum(task.points for task in sources.tasks(sources.load(name)))

    @pytest.mark.parametrize("name", EXERCISES)
    def test_sections_exist(self, name):
        headings = {}
        for lesson in notebook_runner.available():
            cells = notebook_runner.load(notebook_runner.find(lesson)).cells
            lines = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
            found = [line.lstrip("# ").strip() for line in lines if line.startswith("#")]
            headings[lesson[:2]] = [re.sub(r"^\d+\.\s*|\s*\((?:core|further)\)$", "", line) for line in found]
        text = " ".join(cell.source for cell in sources.load(name).cells if cell.cell_type == "markdown")
        named = re.findall(r"[Ll]esson (\d\d),\s+\*([^*]+)\*", text)
        assert len(named) > 3
        for lesson, section in named:
            words = " ".join(section.split())
            known = headings[lesson]
            # Headings may grow or shrink by a few words.
            like = [line for line in known if line.startswith(words) or (line and words.startswith(line))]
            assert like or notebook_runner.did_you_mean(words, known), (lesson, words)

    def test_lecturers_table(self):
        readme = (sources.source(EXERCISES[0]).parent / "README.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \| (\d+) \|$", readme, re.MULTILINE)
        tasks = {name: sources.tasks(sources.load(name)) for name in EXERCISES}
        assert [row[0] for row in rows] == list(EXERCISES)
        for name, minutes, listed, points in rows:
            text = sources.source(name).read_text(encoding="utf-8")
            assert f"Allow {minutes} minutes for {points} points" in " ".join(text.replace("\n# ", " ").split())
            assert [float(one) for one in re.findall(r"\((\d+)\)", listed)] == [task.points for task in tasks[name]]
        number, points = re.search(r"(\d+) tasks, (\d+) points", readme).groups()
        assert int(number) == sum(map(len, tasks.values()))
        assert float(points) == sum(task.points for each in tasks.values() for task in each)

    def test_find(self):
        assert sources.find("00") == sources.find("00_micrographs_and_picks_exercises") == EXERCISES[0]
        with pytest.raises(ArgumentError, match="several"):
            sources.find("0")
        with pytest.raises(ArgumentError, match="did you mean"):
            sources.find("04_trainings")


class TestSolutions:
    @pytest.mark.parametrize("student", [None, "Grace Hopper"])
    @pytest.mark.parametrize("name", EXERCISES)
    def test_get_all_points(self, name, student):
        done = solved(name, student)
        assert done.points == {task: settings(cell)["points"] for task, cell in done.tests.items()}, done.hints

    @pytest.mark.parametrize("name", EXERCISES)
    def test_unsolved_get_none_and_run_to_the_end(self, name):
        namespace, hints = {}, []
        for cell in student_version(name).cells:
            if cell.cell_type != "code":
                continue
            if settings(cell).get("grade"):
                points, hint = marked(cell, namespace)
                assert points == 0
                hints.append(hint)
            else:
                execute(cell.source, namespace)
        assert len(hints) >= 3
        assert all("not solved yet" in hint for hint in hints), hints

    @pytest.mark.parametrize("name", EXERCISES)
    def test_do_not_reach_students(self, name):
        text = "\n".join(cell.source for cell in student_version(name).cells)
        assert "SOLUTION" not in text
        assert "HIDDEN" not in text
        assert "hidden" not in text


class TestWrongAnswers:
    @pytest.mark.parametrize(("lesson", "task", "wrong"), ANSWERS, ids=[f"{a}-{b}-{c.fault}" for a, b, c in ANSWERS])
    def test_lose_points_and_get_a_hint(self, lesson, task, wrong, capsys):
        points, hint = solved(lesson).with_answer(task, wrong.body)
        assert points == wrong.points
        said = " ".join((hint + capsys.readouterr().out).split())
        assert re.search(wrong.hint, said, re.IGNORECASE), said

    @pytest.mark.parametrize(("lesson", "task"), TASKS)
    def test_are_noticed_by_the_checks_that_students_see(self, lesson, task):
        (test,) = [cell for cell in student_version(lesson).cells if settings(cell).get("grade_id") == f"{task}-test"]
        full = settings(test)["points"]
        noticed = [solved(lesson).with_answer(task, wrong.body, test)[0] < full for wrong in WRONG[lesson][task]]
        assert sum(noticed) >= 2


class TestCheck:
    def test_error_of_the_students_code_names_its_line(self):
        namespace = {}
        execute("def f(x):\n    return x / 0", namespace)
        with pytest.raises(Hint, match=r"ZeroDivisionError.*\n.*line 2 of f:  return x / 0"), check("Task 1"):
            namespace["f"](1)

    def test_missing_function(self):
        with pytest.raises(Hint, match="cell above"), check("Task 1"):
            missing_function()  # noqa: F821

    def test_nothing_returned(self):
        with pytest.raises(Hint, match="return"), check("Task 1"):
            None + 1  # noqa: B018

    def test_warnings_are_no_failure(self, capfd):
        with check("Task 1", "marked"):
            np.array([1.0]) / np.array([0.0])
        captured = capfd.readouterr()
        assert captured.err == ""
        assert captured.out == "Task 1: marked.\n"

    def test_shown_without_traceback(self):
        assert Hint("one\ntwo")._render_traceback_() == ["one", "two"]


class TestDrawnData:
    @pytest.mark.parametrize("seed", range(20))
    def test_split(self, seed):
        table, leaking = drawn_tables.split(seed)
        parts = table.set_index("micrograph")["part"]
        assert len(leaking) == 4
        assert set(parts[list(leaking)]) == {"test"}
        assert len(parts) == len(set(parts.index)) == 36

    @pytest.mark.parametrize("seed", range(20))
    def test_paper(self, seed):
        paper = published_comparison.statements(seed)
        assert [statement.letter for statement in paper] == list("ABCDEFGHIJKL")
        assert sum(bool(statement.fault) for statement in paper) == 5
        contradicted = {published_comparison.SOUND.get(statement.text) for statement in paper} - {None, ""}
        assert not contradicted & {statement.fault for statement in paper}

    def test_numbers_of_the_paper(self):
        rates = re.findall(
            r"precision of (\d.\d+) and a recall of (\d.\d+), and so an F1 of (\d.\d+)", str(vars(published_comparison))
        )
        right = [abs(2 * p * r / (p + r) - f) < 0.005 for p, r, f in {tuple(map(float, found)) for found in rates}]
        assert sorted(right) == [False, True]

    def test_boxes_are_what_the_package_reads(self, tmp_path):
        text, rows, centres = drawn_tables.flipped_boxes(3)
        (tmp_path / "a.box").write_text(text)
        picks = coordinates.flip_y(coordinates.read(tmp_path / "a.box"), rows)
        np.testing.assert_allclose(picks[["x", "y"]], centres)

    def test_astigmatism_can_be_measured(self):
        spectrum = drawn_pictures.thon_rings(7)
        zeros = np.array(
            [drawn_pictures.first_zero(spectrum, angle) for angle in (spectrum.angle, spectrum.angle + 90)]
        )
        underfocus = 1e-4 / (spectrum.wavelength * zeros**2)
        assert underfocus[0] - underfocus[1] == pytest.approx(spectrum.difference, abs=0.06)


class TestNameSeeds:
    def test_stable(self):
        # The same on every machine, now and in years: students come back to their notebooks.
        assert seed_from_name("Ada Lovelace") == 30979716

    def test_how_a_name_is_typed_does_not_matter(self):
        assert seed_from_name("José  álvarez ") == seed_from_name("Jose\u0301 A\u0301lvarez".replace("Jose", "jose"))

    def test_no_name(self):
        with pytest.raises(ArgumentError):
            seed_from_name("  ")
        with pytest.raises(ArgumentTypeError):
            seed_from_name(7)


class TestQuizzes:
    @pytest.mark.parametrize("lesson", quizzes.available())
    def test_questions(self, lesson):
        asked = quizzes.questions(lesson)
        assert len(asked) == len({question["question"] for question in asked}) == 5
        for question in asked:
            right = [answer for answer in question["answers"] if answer.get("correct")]
            assert len(right) == 1 or (question["type"] == "many_choice" and len(right) > 1)
            assert all(answer["feedback"] for answer in question["answers"])
            assert "$" not in question["question"], "formulas would need MathJax from outside"

    @pytest.mark.parametrize("lesson", quizzes.available())
    def test_numbers_are_those_of_the_code(self, lesson):
        numeric = [question for question in quizzes.questions(lesson) if question["type"] == "numeric"]
        assert numeric
        for question in numeric:
            value = eval(question["computed"], {"np": np, "cryokit": cryokit})
            # As jupyterquiz compares: to the digits that it asks for.
            assert float(f"{value:.{question['precision']}g}") == question["answers"][0]["value"], question["question"]

    def test_without_jupyterquiz(self):
        page = quizzes.as_html(quizzes.questions("00"))
        assert page.count("<details>") == 5
        assert "0.6. " in page

    def test_without_jupyterquiz_the_right_answer_is_not_always_the_first(self):
        choices = [question for lesson in quizzes.available() for question in quizzes.questions(lesson)]
        choices = [question["answers"] for question in choices if question["type"] == "multiple_choice"]
        firsts = [quizzes.mixed(answers)[0].get("correct", False) for answers in choices]
        assert 0.1 < np.mean(firsts) < 0.7

    def test_unknown_lesson(self):
        with pytest.raises(ArgumentError):
            quizzes.questions("17")


@pytest.mark.slow
def test_picker_in_the_table(tmp_path, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION")
    pick = solved("06").before["picker"]["pick"]
    table = in_table(pick, tmp_path / "run", 5).set_index("method")
    assert set(table.index) == {"mine", "template"}
    assert table.loc["mine", "f1"] > 0.8
    micrograph, truth = drawn_pictures.particles(5, snr=0.4)
    assert evaluate.evaluate(pick(micrograph), truth, bootstrap=0).f1 > 0.8
