"""Everything from the lessons to the finished pages."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from sphinx.application import Sphinx
from sphinx.util.console import strip_escape_sequences
from sphinx.util.docutils import docutils_namespace, patch_docutils

from cryokit._util.files import make_folder, write_text
from cryokit._util.resources import folder
from cryokit.cli import lesson_links, notebook_runner
from cryokit.cli.site import executing, exercise_pages, gallery, page_parts, reference
from cryokit.cli.site.lesson_pages import Picture, prepare
from cryokit.errors import NotebookError

if TYPE_CHECKING:
    from nbformat import NotebookNode

logger = logging.getLogger(__name__)

# MathJax in a single file: formulas as SVG, which needs no fonts.
_MATHJAX = "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"
# Where links to files of the repository lead on the site
_PAGES = {
    "notebooks/README.md": "syllabus.md",
    "notebooks/exercises/README.md": "grading.md",
    "benchmarks/RESULTS.md": "results.md",
    "cryokit/README.md": "reference/index.md",
}


@dataclasses.dataclass
class Built:
    """A site.

    Attributes
    ----------
    first_page : pathlib.Path
        Its ``index.html``.
    pictures : list of Picture
        Pictures of the lessons.
    failed : list of str
        Lessons in which a cell failed.
    warnings : list of str
        What Sphinx finds wrong, such as links that lead nowhere.
    """

    first_page: Path
    pictures: list[Picture]
    failed: list[str]
    warnings: list[str]


def build(
    out: str | os.PathLike,
    *,
    work: str | os.PathLike | None = None,
    lessons: Iterable[str] | None = None,
    execute: str = "changed",
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    solutions: bool = True,
) -> Built:
    """Execute the lessons and write the site, which needs no network and no server.

    Parameters
    ----------
    out : path-like
        Folder for the pages; what another build has left there is removed.
    work : path-like, optional
        Folder for executed lessons and what Sphinx reads; by default `out` with ``-work``.
    lessons : iterable of str, optional
        Lessons to show with results, as in `cryokit.cli.notebook_runner.find`; by default all.
    execute : {"changed", "always", "never"}
        When to execute a lesson, as in `cryokit.cli.site.executing.with_outputs`.
    parameters : mapping, optional
        Values by parameter, by lesson.
    solutions : bool
        Whether the exercises have their solutions, folded.

    Returns
    -------
    Built

    Raises
    ------
    ArgumentError
        If a lesson or a parameter is unknown.
    NotebookError
        If `out` holds something else than a site, or Sphinx cannot build it.
    """
    out, work = Path(out), Path(f"{out}-work" if work is None else work)
    names = notebook_runner.available()
    shown = set(names if lessons is None else (notebook_runner.find(lesson).stem for lesson in lessons))
    given = {notebook_runner.find(name).stem: values for name, values in (parameters or {}).items()}
    for name, values in given.items():  # before the first lesson takes its time
        notebook_runner.check(name, values)
    if out.is_dir() and any(out.iterdir()) and not (out / "searchindex.js").is_file():
        raise NotebookError(f"{out}: holds something else than a site; choose another folder")
    source = work / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(folder("notebooks") / "site", source, ignore=shutil.ignore_patterns("__pycache__"))

    notebooks, failed = {}, []
    for number, name in enumerate(names, start=1):
        logger.info("%s (%d of %d)", name, number, len(names))
        if name in shown:
            when, values = execute, given.get(name)
            notebooks[name], broken = executing.with_outputs(
                name, make_folder(work / "executed"), execute=when, parameters=values
            )
            failed += [name] if broken else []
        else:
            notebooks[name] = notebook_runner.load(notebook_runner.find(name))
    logger.info("writing the pages")
    pictures = _write_sources(source, notebooks, solutions)
    warnings = _run_sphinx(source, out, work)
    return Built(out / "index.html", pictures, failed, warnings)


def _write_sources(source: Path, notebooks: dict[str, NotebookNode], solutions: bool) -> list[Picture]:
    """Write what Sphinx reads besides the pages that are written by hand."""
    exercises, quizzes = exercise_pages.exercises(), exercise_pages.quizzes()
    pages = {f"notebooks/{name}": f"lessons/{name}.ipynb" for name in notebooks}
    pages |= {f"notebooks/exercises/{name}": f"exercises/{name}.md" for name in exercises}
    pages |= {f"notebooks/quizzes/{name}": f"quizzes/{name}.md" for name in quizzes}

    def links(place: str, page: str):
        """Return where a link leads, from a file of the repository, on its page."""

        def target(path: str, fragment: str) -> str | None:
            there = os.path.normpath(os.path.join(os.path.dirname(place), path))
            found = _PAGES.get(there) or pages.get(re.sub(r"\.(py|ipynb|json)$", "", there))
            if found is None:
                kept = source / os.path.relpath(there, "notebooks/site")
                found = kept.relative_to(source).as_posix() if not there.startswith("..") and kept.is_file() else None
            if found is None or (found in _PAGES.values() and not (source / found).is_file()):
                return None
            return os.path.relpath(found, os.path.dirname(page)) + (fragment if found.endswith(".md") else "")

        return target

    titles = {name: notebook_runner.title(notebook) for name, notebook in notebooks.items()}
    results = folder("benchmarks") / "RESULTS.md"
    if results.is_file():
        text = results.read_text(encoding="utf-8")
        write_text(source / "results.md", lesson_links.rewrite(text, links("benchmarks/RESULTS.md", "results.md")))
    for name, text in reference.pages().items():
        write_text(source / "reference" / f"{name}.md", text)

    _write_readme(source)  # first of all: links lead to its pages only if they are there
    pictures, sections = [], {}
    make_folder(source / "lessons")
    for name, notebook in notebooks.items():
        contents = prepare(name, notebook, links(f"notebooks/{name}", f"lessons/{name}"))
        pictures += contents.pictures
        number = exercise_pages.number(name)
        sections |= {(number, section): label for section, label in contents.sections.items()}
        nbformat.write(notebook, source / "lessons" / f"{name}.ipynb")
    for name, notebook in exercises.items():
        text = exercise_pages.exercise_page(
            notebook, links(f"notebooks/exercises/{name}", f"exercises/{name}"), solutions=solutions
        )
        write_text(source / "exercises" / f"{name}.md", text)
    for name, questions in quizzes.items():
        title = next((title for lesson, title in titles.items() if exercise_pages.number(lesson) == name), name)
        write_text(source / "quizzes" / f"{name}.md", exercise_pages.quiz_page(title, questions))
    readme = (folder("notebooks") / "README.md").read_text(encoding="utf-8")
    notes = with_times((source / "instructor.md").read_text(encoding="utf-8"), readme)
    links_of_notes = links("notebooks/site/instructor.md", "instructor.md")
    write_text(source / "instructor.md", lesson_links.rewrite(notes, links_of_notes))
    for page in ("syllabus.md", "paper.md", "grading.md"):
        place = "notebooks/exercises/README.md" if page == "grading.md" else "notebooks/README.md"
        text = lesson_links.rewrite((source / page).read_text(encoding="utf-8"), links(place, page))
        write_text(source / page, link_sections(text, sections))
    write_text(source / "gallery.md", gallery.page(pictures, titles, source / "_static" / "gallery"))
    _write_explorer(source / "extra" / "explorer.html")
    texts = {picture.name: picture.described for picture in pictures}
    write_text(source / page_parts.FILE, json.dumps({"pictures": texts, "terms": glossary_terms(source)}))
    missing = [picture for picture in pictures if not picture.alternative_text]
    if missing:
        logger.warning("%d of %d pictures have no alternative text", len(missing), len(pictures))
    mathjax = Path(importlib.metadata.distribution("sphinx-mathjax-offline").locate_file(_MATHJAX))
    make_folder(source / "_static" / "mathjax")
    shutil.copy(mathjax, source / "_static" / "mathjax" / mathjax.name)
    return pictures


def _write_readme(source: Path) -> None:
    """Write the syllabus, the table of the paper and how to mark exercises, from the README files of the lessons."""
    readme = (folder("notebooks") / "README.md").read_text(encoding="utf-8")
    title, *sections = re.split(r"^(?=## )", readme, flags=re.MULTILINE)
    paper = [section for section in sections if re.match(r"## .*\bpaper\b", section, re.IGNORECASE)]
    rest = [section for section in sections if section not in paper]
    write_text(source / "syllabus.md", title + "".join(rest))
    grading = (folder("notebooks") / "exercises" / "README.md").read_text(encoding="utf-8")
    write_text(source / "grading.md", grading)
    write_text(source / "paper.md", re.sub(r"^#(#+) ", r"\1 ", "".join(paper), flags=re.MULTILINE))


def with_times(notes: str, readme: str) -> str:
    """Return the instructor notes with the minutes of every lesson, which are those of ``notebooks/README.md``.

    Parameters
    ----------
    notes, readme : str
        Markdown. The notes have a section for each lesson, whose heading begins with the lesson's number.
    """
    lessons = re.findall(r"^\| \[(\d\d) .*\| (\d+) \((\d+)\) \| (\d+) \((\d+)\) \|$", readme, re.MULTILINE)
    sections = re.findall(r"^\| (\d\d) \| (.+?) \| (\d+) \|$", readme, re.MULTILINE)
    for number, reading, core_reading, computing, core_computing in lessons:
        rows = "".join(f"| {title} | {minutes} |\n" for lesson, title, minutes in sections if lesson == number)
        times = (
            f"**Time.** In a class of 120 minutes {core_reading} minutes, and {core_computing} of computing meanwhile. "
            f"The whole lesson takes {reading} minutes to read and {computing} to compute.\n\n"
            f"| core section | minutes |\n| --- | --- |\n{rows}\n"
        )
        notes = re.sub(
            rf"^(## {number} .*\n\n)", lambda match, times=times: match[0] + times, notes, flags=re.MULTILINE
        )
    return notes


def link_sections(text: str, sections: Mapping[tuple[str, str], str]) -> str:
    """Return tables with links where they name a lesson and a section of it.

    Parameters
    ----------
    text : str
        Markdown.
    sections : mapping
        Target by number of the lesson and heading.

    Examples
    --------
    >>> sections = {("00", "Binning"): "00-binning"}
    >>> link_sections("| Figure 2 | 00: Binning; 01: Numbers |", sections)
    '| Figure 2 | [00: Binning](#00-binning); 01: Numbers |'
    >>> link_sections("| 00 | Binning | 3 |", sections)
    '| 00 | [Binning](#00-binning) | 3 |'
    """

    def named(match: re.Match) -> str:
        label = sections.get((match["lesson"], match["section"]))
        return match[0] if label is None else f"[{match[0]}](#{label})"

    def row(match: re.Match) -> str:
        label = sections.get((match["lesson"], match["section"]))
        return match[0] if label is None else f"| {match['lesson']} | [{match['section']}](#{label}) |"

    text = re.sub(r"(?<=[|;] )(?P<lesson>\d\d): (?P<section>[^;|\n]+?)(?=;| *\|)", named, text)
    return re.sub(r"^\| (?P<lesson>\d\d) \| (?P<section>[^|\n]+?) \|", row, text, flags=re.MULTILINE)


def glossary_terms(source: Path) -> list[str]:
    """Return the terms of the glossary in their order: lines without indentation in its only block."""
    text = (source / "glossary.md").read_text(encoding="utf-8")
    block = re.search(r"^(`{3,})\{glossary\}\n(.*?)^\1", text, re.MULTILINE | re.DOTALL)[2]
    return [line.strip() for line in block.splitlines() if line.strip() and not line.startswith((" ", ":"))]


def _write_explorer(path: Path) -> None:
    """Write a page with the explorer, which lessons link to where JupyterLab shows it."""
    from cryokit import pickers
    from cryokit.plot.explorer import Page
    from cryokit.plot.explorer.contents import Tables
    from cryokit.plot.explorer.contents import pictures as layers
    from cryokit.simulate import simulate

    micrograph, truth = simulate("ribosome", seed=0, shape=(1024, 1024), name="simulated ribosomes")
    picker = pickers.create("template", diameter=float(truth["diameter"].median()))
    picker.fit([micrograph])
    page = Page("Explorer: simulated ribosomes")
    tables = Tables([micrograph.name], picker.pick(micrograph, threshold=0), truth)
    page.add(micrograph, layers(micrograph, tables.diameter))
    make_folder(path.parent)
    page.write(path, tables, picker.threshold_)


def _run_sphinx(source: Path, out: Path, work: Path) -> list[str]:
    """Build the pages and return Sphinx's warnings."""
    import io

    status, warnings = io.StringIO(), io.StringIO()
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(work / "doctrees", ignore_errors=True)
    with patch_docutils(source), docutils_namespace():
        app = Sphinx(source, source, out, work / "doctrees", "html", status=status, warning=warnings, freshenv=True)
        app.build()
    for macros in (out / "_static").glob("*.html"):  # of the themes: parts of pages, not pages
        macros.unlink()
    lines = [line for line in strip_escape_sequences(warnings.getvalue()).splitlines() if line.strip()]
    if app.statuscode:
        raise NotebookError(f"{out}: Sphinx could not build the site: {' '.join(lines[-3:])}")
    return [line.replace(f"{source.resolve()}{os.sep}", "") for line in lines]
