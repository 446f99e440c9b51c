"""Rehearse the class with a clock: how long each lesson computes, whole and with its core sections alone.

    python benchmarks/rehearsal.py [--lessons 00 01 ...] [--out out/rehearsal.json]

Every lesson is executed with its default parameters on simulated micrographs. The time includes the start of Python and
of the packages, as for a student who opens the lesson. That of the path of 120 minutes is the same without the cells of
further sections; with ``--core`` lessons are executed without these cells, and nothing is written. Lessons that are not
named keep what was measured before. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from cryokit._util.files import write_text
from cryokit._util.plain import json_text
from cryokit.benchmark import result_file
from cryokit.cli import notebook_runner
from cryokit.cli.lesson_sections import sections

if TYPE_CHECKING:
    from nbformat import NotebookNode


def executed(source: str | Path, folder: Path) -> tuple[float, NotebookNode]:
    """Execute a notebook; return the seconds that it took, and the notebook with its outputs."""
    given = {"data": "simulated"} if "data" in notebook_runner.parameters(notebook_runner.load(source)) else {}
    began = time.perf_counter()
    path = notebook_runner.run(source, given, out=folder, progress=True)
    return time.perf_counter() - began, nbformat.read(path, 4)


def rehearse(name: str, folder: Path) -> dict[str, Any]:
    """Execute a lesson; return its seconds, whole, of its core, and of each section."""
    whole, notebook = executed(notebook_runner.find(name), folder)
    by_section: dict[str, float] = {}
    further = 0.0
    for cell, heading, core in sections(notebook):
        seconds = cell.metadata.get("papermill", {}).get("duration") or 0
        by_section[heading] = by_section.get(heading, 0) + seconds
        further += 0 if core else seconds
    return {
        "lesson": name,
        "seconds": round(whole, 1),
        "core seconds": round(whole - further, 1),
        "sections": {heading: round(seconds, 1) for heading, seconds in by_section.items() if seconds >= 0.05},
    }


def rehearse_core(name: str, folder: Path) -> float:
    """Execute the core of a lesson alone; return its seconds."""
    notebook = notebook_runner.load(notebook_runner.find(name))
    notebook.cells = [cell for cell, _, core in sections(notebook) if core]
    nbformat.write(notebook, folder / f"{name}_core.ipynb")
    return executed(folder / f"{name}_core.ipynb", folder)[0]


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lessons", nargs="+", default=notebook_runner.available(), metavar="NAME", help="lessons")
    parser.add_argument("--out", type=Path, default=Path("out/rehearsal.json"), metavar="JSON", help="results")
    parser.add_argument("--core", action="store_true", help="execute the core sections alone, and print the seconds")
    options = parser.parse_args(arguments)
    names = [notebook_runner.find(name).stem for name in options.lessons]
    before = json.loads(options.out.read_text(encoding="utf-8"))["lessons"] if options.out.exists() else []
    lessons = {lesson["lesson"]: lesson for lesson in before}
    with tempfile.TemporaryDirectory(prefix="cryokit-rehearsal-") as temporary:
        for name in names:
            if options.core:
                sys.stdout.write(f"{name}: {rehearse_core(name, Path(temporary)):.1f} s\n")
                continue
            lessons[name] = rehearse(name, Path(temporary))
            result = {"provenance": result_file.provenance(), "lessons": [lessons[name] for name in sorted(lessons)]}
            write_text(options.out, json_text(result))


if __name__ == "__main__":
    main()
