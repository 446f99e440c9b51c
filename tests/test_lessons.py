"""Rules that every lesson keeps, and what notebooks/README.md says of them."""

import ast
import re

import pytest

from cryokit._util.resources import folder
from cryokit.cli import notebook_runner
from cryokit.cli.lesson_sections import sections

LESSONS = notebook_runner.available()
LINES = 25  # of a code cell


@pytest.fixture(scope="module")
def readme():
    return (folder("notebooks") / "README.md").read_text(encoding="utf-8")


def rows(readme, first):
    """Cells of the rows of the table whose first heading is `first`."""
    table = readme.partition(f"| {first} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def headings(name):
    """Heading -> whether it is marked as core or further, None where it has no mark; without the numbers."""
    found = {}
    for cell in notebook_runner.load(notebook_runner.find(name)).cells:
        if cell.cell_type != "markdown":
            continue
        for hashes, words in re.findall(r"^(#{1,3}) (.*)$", cell.source, re.MULTILINE):
            mark = re.search(r" \((core|further)\)$", words)
            plain = re.sub(r"^\d+\. ", "", words[: mark.start()] if mark else words)
            found[plain] = (len(hashes), mark[1] if mark else None)
    return found


def names(source):
    """Names that some code binds, and names that it uses."""
    binds, uses = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (uses if isinstance(node.ctx, ast.Load) else binds).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            binds.add(node.name)
        elif isinstance(node, ast.alias):
            binds.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.arg):
            binds.add(node.arg)
    return binds, uses


def references(readme):
    """Lessons and headings that the tables about the paper name."""
    cells = [row[-1] for first in ("section of the paper", "equation, table or figure") for row in rows(readme, first)]
    return [tuple(reference.split(": ", 1)) for cell in cells for reference in cell.split("; ")]


@pytest.mark.parametrize("name", LESSONS)
class TestLesson:
    def test_code_cells_are_short(self, name):
        cells = notebook_runner.load(notebook_runner.find(name)).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        assert not [source.splitlines()[0] for source in code if len(source.splitlines()) > LINES]

    def test_pictures_get_an_alternative_text(self, name):
        source = notebook_runner.find(name).read_text(encoding="utf-8")
        assert "plt.show()" not in source, "plot.show(figure, 'what it shows') gives the picture an alternative text"

    def test_opens_with_what_a_learner_needs(self, name):
        cells = notebook_runner.load(notebook_runner.find(name)).cells
        opening = cells[0].source
        for words in ("**Goals**", "**Before**", "**Minutes**", "**In the paper**"):
            assert words in opening, words
        number = name.split("_")[0]
        assert any(f'plot.workflow(here="{number}")' in cell.source for cell in cells[:6])

    def test_ends_with_key_points_questions_and_what_to_read(self, name):
        found = list(headings(name))
        assert found[-4:] == ["Key points", "Questions", "Try it", "Read on"]
        text = notebook_runner.find(name).read_text(encoding="utf-8").partition("## Questions")[2]
        assert 3 <= text.count("<details>") <= 5
        assert text.count("<details>") == text.count("<summary>") == text.count("</details>")

    def test_every_section_is_core_or_further(self, name):
        marks = {words: mark for words, (level, mark) in headings(name).items() if level == 2}
        ends = {"Key points", "Questions", "Try it", "Read on"}
        assert {words for words, mark in marks.items() if mark is None} == ends

    def test_what_the_paper_s_table_names_is_there(self, name, readme):
        number = name.split("_")[0]
        missing = {words for lesson, words in references(readme) if lesson == number} - set(headings(name))
        assert not missing

    def test_no_core_section_needs_a_further_one(self, name):
        bound, elsewhere, missing = set(), {}, []
        for cell, heading, core in sections(notebook_runner.load(notebook_runner.find(name))):
            if cell.cell_type != "code":
                continue
            binds, uses = names(cell.source)
            if core:
                missing += [(heading, word, elsewhere[word]) for word in uses - binds - bound if word in elsewhere]
                bound |= binds
            else:
                elsewhere |= dict.fromkeys(binds, heading)
        assert bound
        assert not missing

    def test_core_sections_are_those_of_the_class(self, name, readme):
        number = name.split("_")[0]
        core = [words for words, (level, mark) in headings(name).items() if level == 2 and mark == "core"]
        assert [row[1] for row in rows(readme, "lesson | core section") if row[0] == number] == core


class TestReadme:
    def test_syllabus_has_every_lesson(self, readme):
        linked = re.findall(r"\]\((\d\d_[a-z_]+)\.ipynb\)", readme)
        assert tuple(linked) == LESSONS

    @pytest.mark.parametrize("name", LESSONS)
    def test_minutes_are_those_of_the_lesson(self, name, readme):
        number = name.split("_")[0]
        table = rows(readme, "lesson | when you have done it, you can | reading | computing")
        (reading,) = (row[2] for row in table if row[0].startswith(f"[{number} "))
        opening = notebook_runner.load(notebook_runner.find(name)).cells[0].source
        told = re.search(r"\*\*Minutes\*\*: (\d+) to read \(core sections (\d+)\)", opening)
        assert told, "the opening says how long the lesson takes"
        core = sum(int(row[2]) for row in rows(readme, "lesson | core section") if row[0] == number)
        assert reading == "{} ({})".format(*told.groups())
        assert int(told[2]) == core

    @pytest.mark.parametrize("name", LESSONS)
    def test_minutes_to_compute_are_those_of_the_lesson(self, name, readme):
        number = name.split("_")[0]
        table = rows(readme, "lesson | when you have done it, you can | reading | computing")
        (computing,) = (row[3] for row in table if row[0].startswith(f"[{number} "))
        opening = notebook_runner.load(notebook_runner.find(name)).cells[0].source
        told = re.search(r"\*\*Minutes\*\*: .*?\), (\d+) to compute(?: \(core sections (\d+)\))?", opening)
        assert told, "the opening says how long the lesson computes"
        assert computing == f"{told[1]} ({told[2] or told[1]})"

    def test_class_takes_two_hours(self, readme):
        minutes = [int(row[2]) for row in rows(readme, "lesson | core section")]
        assert 110 <= sum(minutes) <= 120

    @pytest.mark.parametrize(("kind", "last"), [("Equation", 10), ("Table", 9), ("Figure", 18)])
    def test_nothing_of_the_paper_is_missing(self, readme, kind, last):
        named = [row[0] for row in rows(readme, "equation, table or figure") if row[0].startswith(kind)]
        assert named == [f"{kind} {number}" for number in range(1, last + 1)]

    def test_references_name_lessons(self, readme):
        numbers = {name.split("_")[0] for name in LESSONS}
        assert {lesson for lesson, _ in references(readme)} == numbers
