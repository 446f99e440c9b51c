"""The site: its sources, how lessons and exercises become pages, and the pages in a real browser."""

import functools
import http.server
import re
import threading
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from cryokit._util.resources import folder
from cryokit.cli import lesson_links, main, notebook_runner
from cryokit.cli.site import executing, exercise_pages, lesson_pages, reference

SOURCES = folder("notebooks") / "site"
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
FORMAT = '# %% [markdown]\n# {text}\n\n# %% tags=["parameters"]\nprofile = "quick"\n\n# %%\n{code}\n'


def glossary():
    text = (SOURCES / "glossary.md").read_text(encoding="utf-8")
    entries = re.search(r"^```\{glossary\}\n(.*)^```", text, re.MULTILINE | re.DOTALL)[1].strip().split("\n\n")
    return [[line for line in entry.splitlines() if not line.startswith(" ")] for entry in entries]


class TestSources:
    def test_glossary_is_sorted_and_says_what_each_term_means(self):
        entries = glossary()
        first = [terms[0].lower() for terms in entries]
        assert len(entries) >= 60
        assert first == sorted(first)
        named = [term.lower() for terms in entries for term in terms]
        assert len(named) == len(set(named))
        text = (SOURCES / "glossary.md").read_text(encoding="utf-8")
        for terms in entries:
            assert re.search(rf"^{re.escape(terms[-1])}\n  \S", text, re.MULTILINE), terms

    def test_instructor_notes_have_a_section_for_each_lesson(self):
        text = (SOURCES / "instructor.md").read_text(encoding="utf-8")
        sections = {section.split(" ", 1)[0]: section for section in re.split(r"^## ", text, flags=re.MULTILINE)}
        for name in notebook_runner.available():
            section = sections[name.partition("_")[0]]
            for part in ("**The point.**", "roject**", "**Students stumble over**", "**They ask**"):
                assert part in section, (name, part)

    def test_links_of_pages_lead_to_pages(self):
        generated = {"syllabus", "paper", "results", "gallery", "reference/index"}
        generated |= {f"lessons/{name}" for name in notebook_runner.available()}
        generated |= {"../README", "../exercises/README"}  # the syllabus, and how to mark the exercises
        there = generated | {path.stem for path in SOURCES.glob("*.md")}
        links = []

        def target(path, fragment):
            links.append(re.sub(r"\.(md|ipynb)$", "", path))
            return path

        for path in SOURCES.glob("*.md"):
            lesson_links.rewrite(path.read_text(encoding="utf-8"), target)
        assert {"instructor", "glossary"} <= set(links)
        assert set(links) <= there

    def test_instructor_notes_get_the_minutes_of_the_syllabus(self):
        from cryokit.cli.site.building import with_times

        row = (
            "| [00 One](00_one.ipynb) | see | 30 (18) | 2 (1) |\n| [01 Two](01_two.ipynb) | look | 40 (20) | 3 (2) |\n"
        )
        notes = with_times("## 00 One\n\nText\n\n## 01 Two\n\nText\n", f"{row}\n| 01 | Binning | 7 |\n")
        first, second = notes.split("## 01 Two")
        assert "18 minutes, and 1 of" in first
        assert "30 minutes to read and 2 to compute" in first
        assert "20 minutes, and 2 of" in second
        assert "| Binning | 7 |" in second
        assert "Binning" not in first
        readme = (folder("notebooks") / "README.md").read_text(encoding="utf-8")
        own = with_times((SOURCES / "instructor.md").read_text(encoding="utf-8"), readme)
        assert own.count("**Time.**") == len(notebook_runner.available())

    def test_commands_in_the_instructor_notes_exist(self):
        from cryokit.cli import COMMANDS

        text = (SOURCES / "instructor.md").read_text(encoding="utf-8")
        assert set(re.findall(r"`cryokit ([a-z]+)", text)) <= {*COMMANDS, "course"}

    def test_reference_has_what_users_import(self):
        pages = reference.pages()
        assert "cryokit.pickers.create" in pages["cryokit.pickers"]
        assert "autofunction:: cryokit.evaluate.evaluate" in pages["cryokit.evaluate"]
        assert "autoclass:: cryokit.pickers.Picker" in pages["cryokit.pickers"]
        for package in reference.PACKAGES:
            assert f"({package}.md)" in pages["index"]


class TestLinks:
    def test_code_and_pictures_are_left_alone(self):
        text = "[a](a.py) `[b](b.py)` ![c](c.py)\n\n```\n[d](d.py)\n```\n\n"
        text += "[e](https://e.org/e.py) [f](#f) [![g](g.png)](g.py)\n"
        changed = lesson_links.rewrite(text, lambda path, fragment: f"x/{path}")
        assert changed == text.replace("(a.py)", "(x/a.py)").replace("(g.py)", "(x/g.py)")

    def test_links_that_lead_nowhere_become_text(self):
        assert lesson_links.rewrite("see [this](x.py#y)", lambda path, fragment: None) == "see this"


class TestExecuting:
    @pytest.fixture
    def lesson(self, tmp_path, monkeypatch):
        """Return a function that writes a lesson and gives it its outputs; it counts how often the lesson has run."""
        (tmp_path / "lessons").mkdir()
        monkeypatch.setattr(notebook_runner, "folder", lambda name: tmp_path / "lessons")
        runs = []

        def run(name, parameters=None, *, out, progress):
            notebook = notebook_runner.load(notebook_runner.find(name))
            runs.append(name)
            notebook.cells.insert(2, v4.new_code_cell("n = 1", metadata={"tags": ["injected-parameters"]}))
            notebook.cells[-1].outputs = [v4.new_output("stream", text=f"run {len(runs)}")]
            out.mkdir(exist_ok=True)
            nbformat.write(notebook, out / f"{name}.ipynb")

        monkeypatch.setattr(notebook_runner, "run", run)

        def lesson(text="# One", code="1", **settings):
            source = FORMAT.format(text=text, code=code)
            (tmp_path / "lessons" / "00_one.py").write_text(source, encoding="utf-8")
            notebook, failed = executing.with_outputs("00_one", tmp_path / "executed", **settings)
            assert not failed
            assert notebook.cells[0].source == text
            return [output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]

        return lesson

    def test_only_changed_code_is_a_reason(self, lesson):
        assert lesson() == ["run 1"]
        assert lesson(text="# Uno") == ["run 1"]
        assert lesson(code="2") == ["run 2"]
        assert lesson(code="2", parameters={}) == ["run 2"]
        assert lesson(code="2", execute="always") == ["run 3"]

    def test_results_of_other_code_are_not_shown(self, lesson, caplog):
        assert lesson(execute="never") == []
        lesson()
        assert lesson(execute="never") == ["run 1"]
        assert lesson(code="2", execute="never") == []
        assert "00_one" in caplog.text


class TestLessonPages:
    def test_pictures_are_found_with_their_texts(self):
        metadata = {"image/png": {"alt": "A ring\nof ice"}}
        outputs = [
            v4.new_output("display_data", data={"image/png": DOT, "text/plain": "x"}, metadata=metadata),
            v4.new_output("display_data", data={notebook_runner.RECORD_TYPE: {"f1": 1}, "text/plain": "f1 = 1"}),
            v4.new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}, "text/plain": "x"}),
        ]
        heading = v4.new_markdown_cell("## 2. Ice, *seen* (core)\n\n```\n# no heading\n```\n\n[next](01_next.py)")
        cells = [heading, v4.new_code_cell("1", outputs=outputs)]
        notebook = v4.new_notebook(cells=cells)
        contents = lesson_pages.prepare("00_one", notebook, lambda path, fragment: "there")
        (picture,) = contents.pictures
        assert (picture.section, picture.described) == ("Ice, seen", "A ring of ice")
        assert contents.sections == {"Ice, seen": "00-ice-seen"}
        assert notebook.cells[0].source.startswith("(00-ice-seen)=\n## 2.")
        assert "[next](there)" in notebook.cells[0].source
        shown = [set(output.data) for output in notebook.cells[1].outputs]
        assert shown == [{"image/png", "text/plain"}, {"text/markdown"}]
        assert "explorer.html" in notebook.cells[1].outputs[1].data["text/markdown"]


EXERCISE = '''# %% [markdown]
# # Exercise
#
# [lesson](../00_one.py)

# %% nbgrader={"grade": false, "grade_id": "a", "schema_version": 3, "solution": true}
def double(x):
    """Return twice x."""
    ### BEGIN SOLUTION
    return x + x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "b", "points": 1, "schema_version": 3, "solution": false}
assert double(1) == 2
### BEGIN HIDDEN TESTS
assert double(21) == 42
### END HIDDEN TESTS
'''


class TestExercisePages:
    @pytest.mark.parametrize("solutions", [True, False])
    def test_solutions_are_folded_or_absent(self, solutions):
        import jupytext

        notebook = jupytext.reads(EXERCISE, fmt="py:percent")
        page = exercise_pages.exercise_page(notebook, lambda path, fragment: "there", solutions=solutions)
        assert "[lesson](there)" in page
        assert "    # YOUR CODE HERE\n    raise NotImplementedError()\n```" in page
        assert "assert double(1) == 2" in page
        assert "21" not in page, "a hidden test is shown"
        before, found, after = page.partition("<details")
        assert "x + x" not in before
        assert ("    return x + x\n```" in after) is bool(found) is solutions
        assert "SOLUTION" not in page

    def test_quiz(self):
        question = {"question": "Is a < b?", "type": "multiple_choice"}
        question["answers"] = [{"answer": "<yes>", "correct": True, "feedback": "so & so"}, {"answer": "no"}]
        numeric = {"question": "1 + 1", "type": "numeric", "answers": [{"type": "value", "value": 2, "correct": True}]}
        page = exercise_pages.quiz_page("One", [question, numeric])
        assert page.count('class="cryokit-choice right"') == page.count('class="cryokit-choice wrong"') == 1
        assert "<summary>&lt;yes&gt;</summary>" in page
        assert "so &amp; so" in page
        assert "**2**" in page


def test_bad_input_is_one_line(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert main(["site", "--out", str(tmp_path)]) == 1
    assert main(["site", "--out", str(tmp_path / "new"), "--lessons", "99"]) == 1
    (tmp_path / "values.json").write_text("[]", encoding="utf-8")
    assert main(["site", "--out", str(tmp_path / "new"), "--parameters", str(tmp_path / "values.json")]) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 3
    assert str(tmp_path) in errors[0]
    assert (tmp_path / "mine.txt").is_file()
    assert not (tmp_path / "new").exists()


# --- the pages -----------------------------------------------------------------------------------------------------


class Parts(HTMLParser):
    """The links of a page, what can be linked to in it, and its pictures without alternative texts."""

    def __init__(self, path):
        super().__init__()
        self.links, self.identifiers, self.undescribed = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.identifiers |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]
        if tag == "img" and not attributes.get("alt", "").strip():
            self.undescribed.append(attributes.get("src", "")[:80])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site with the results of its first lesson."""
    from cryokit.cli.site.building import build

    return build(tmp_path_factory.mktemp("site") / "html", lessons=["00"])


@pytest.fixture(scope="module")
def parts(site):
    out = site.first_page.parent
    return {path.relative_to(out).as_posix(): Parts(path) for path in sorted(out.rglob("*.html"))}


@pytest.fixture(scope="module")
def address(site):
    """The address of a server for the site."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    handler = functools.partial(Quiet, directory=str(site.first_page.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.slow
class TestPages:
    def test_built_without_complaint(self, site):
        assert site.failed == []
        assert site.warnings == []
        assert len(site.pictures) > 5

    def test_no_link_is_broken(self, site, parts):
        out = site.first_page.parent
        broken, outside = [], []
        for name, page in parts.items():
            for link in page.links:
                url = urllib.parse.urlsplit(link)
                if url.scheme in ("http", "https", "mailto", "data"):
                    outside += [url.hostname] if url.hostname else []
                    continue
                path = (out / name).parent / urllib.parse.unquote(url.path) if url.path else out / name
                path = Path(path.resolve())
                there = path.is_file() and path.is_relative_to(out.resolve())
                if there and url.fragment and path.suffix == ".html":
                    target = parts[path.relative_to(out.resolve()).as_posix()]
                    there = urllib.parse.unquote(url.fragment) in target.identifiers
                broken += [] if there else [(name, link)]
        assert broken == []
        # Readers may leave the site by a link, but only to those that the texts name.
        assert set(outside) <= OUTSIDE

    def test_every_picture_has_an_alternative_text(self, parts):
        assert {name: page.undescribed for name, page in parts.items() if page.undescribed} == {}

    def test_pictures_of_the_gallery_lead_to_their_lessons(self, site, parts):
        lessons = [link for link in parts["gallery.html"].links if "#picture-" in link]
        assert len(set(lessons)) == len({picture.name for picture in site.pictures})

    def test_lessons_lead_to_the_glossary_and_the_paper_s_table_to_lessons(self, parts):
        terms = [link for link in parts["lessons/00_micrographs_and_picks.html"].links if "glossary.html#term-" in link]
        assert len(terms) == len(set(terms)) > 10
        assert len([link for link in parts["paper.html"].links if link.startswith("lessons/0")]) > 30

    def test_every_exercise_has_a_page(self, parts):
        exercises = [name for name in parts if name.startswith("exercises/")]
        assert len(exercises) == len(list((folder("notebooks") / "exercises").glob("*_exercises.py")))

    def test_in_a_browser(self, browser, address, parts):
        """No message in the console, no request to elsewhere, and no page that scrolls sideways on a telephone."""
        names = [name for name in parts if not name.startswith(("_modules/", "genindex", "py-modindex"))]
        assert len(names) > 20
        wide = {}
        for name in names:
            page = browser(f"{address}/{name}", (390, 800))
            page.wait_for_load_state("networkidle")
            width = page.evaluate("() => document.documentElement.scrollWidth")
            if width > 390:
                wide[name] = width
            assert [message for message in page.faults if not message.startswith("[PST]")] == [], name
            assert [url for url in page.requests if not url.startswith((address, "data:", "blob:"))] == [], name
            assert page.evaluate(BROKEN_PICTURES) == [], name
            page.close()
        assert wide == {}

    @pytest.mark.parametrize("served", [True, False])
    def test_search(self, browser, address, site, served):
        """Also of pages that were opened as files, without a server."""
        place = address if served else site.first_page.parent.as_uri()
        page = browser(f"{place}/search.html?q=defocus")
        page.locator("#search-results li a").first.wait_for()
        page.wait_for_function("() => /found \\d+ page/.test(document.querySelector('#search-results').textContent)")
        found = page.locator("#search-results li a").evaluate_all("(links) => links.map((link) => link.href)")
        assert any("lessons/00_micrographs_and_picks.html" in link for link in found)
        assert any("glossary.html" in link for link in found)
        assert [message for message in page.faults if not message.startswith("[PST]")] == []
        page.close()

    def test_formulas_are_set(self, browser, address):
        page = browser(f"{address}/lessons/00_micrographs_and_picks.html")
        page.locator("mjx-container svg").first.wait_for(state="attached")
        assert page.locator("mjx-container").count() >= 3
        assert page.locator("mjx-merror").count() == 0
        page.close()


# Addresses that the texts name: of papers, archives, and programs.
OUTSIDE = {"doi.org", "www.ebi.ac.uk", "docs.astral.sh", "nbgrader.readthedocs.io"}
BROKEN_PICTURES = """() => Array.from(document.images)
    .filter((image) => image.loading !== 'lazy' && !(image.complete && image.naturalWidth > 0))
    .map((image) => image.src)"""
