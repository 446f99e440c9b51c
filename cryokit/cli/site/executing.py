"""Lessons with the outputs of a run, executed again only when they have to be."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cryokit
from cryokit._util.files import write_text
from cryokit.cli import notebook_runner
from cryokit.errors import NotebookError

if TYPE_CHECKING:
    from nbformat import NotebookNode

logger = logging.getLogger(__name__)


def with_outputs(
    name: str, folder: Path, *, execute: str = "changed", parameters: Mapping[str, Any] | None = None
) -> tuple[NotebookNode, bool]:
    """Return a lesson as its source has it, with the outputs of its last run.

    Parameters
    ----------
    name : str
        Name of the lesson.
    folder : pathlib.Path
        Folder with executed lessons, and where they are put.
    execute : {"changed", "always", "never"}
        When to execute the lesson: if its code, its parameters or the package have changed, always, or never. Changed
        text is no reason.
    parameters : mapping, optional
        Value by parameter.

    Returns
    -------
    notebook : nbformat.NotebookNode
        Lesson, with outputs as far as a run of the same code has some.
    failed : bool
        Whether a cell failed; the outputs end there.
    """
    import nbformat

    source, values = notebook_runner.check(name, parameters)
    executed, stamp = folder / f"{name}.ipynb", folder / f"{name}.json"
    key = _key(source, values)
    known = json.loads(stamp.read_text(encoding="utf-8")) if stamp.is_file() else {}
    failed = False
    if execute == "always" or (execute == "changed" and not (executed.is_file() and known.get("key") == key)):
        stamp.unlink(missing_ok=True)
        try:
            notebook_runner.run(name, parameters, out=folder, progress=True)
        except NotebookError as error:
            logger.error("%s\n", error)
            failed = True
        else:
            write_text(stamp, json.dumps({"key": key}) + "\n")
    if executed.is_file():
        _take_outputs(source, nbformat.read(executed, 4), name)
    return source, failed


def _take_outputs(source: NotebookNode, executed: NotebookNode, name: str) -> None:
    """Give the code cells of a lesson the outputs of a run, if that ran the same code."""
    ran = [cell for cell in executed.cells if cell.cell_type == "code"]
    ran = [cell for cell in ran if "injected-parameters" not in cell.metadata.get("tags", ())]
    cells = [cell for cell in source.cells if cell.cell_type == "code"]
    if [cell.source for cell in cells] != [cell.source for cell in ran]:
        logger.warning("%s: shown without results, which are those of other code; build the site again", name)
        return
    for cell, done in zip(cells, ran, strict=True):
        cell.outputs, cell.execution_count = done.outputs, done.execution_count


def _key(notebook: NotebookNode, values: Mapping[str, Any]) -> str:
    """Return a hash of everything that the outputs of a lesson depend on and that is at hand."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    package = Path(cryokit.__file__).parent
    hashed = hashlib.sha256(json.dumps([code, values], sort_keys=True, default=str).encode())
    for path in sorted(package.rglob("*.py")):
        if "site" not in path.relative_to(package).parts:  # how pages are made changes no result
            hashed.update(path.read_bytes())
    return hashed.hexdigest()
