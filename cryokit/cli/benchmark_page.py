"""The report of a run: the notebook ``benchmarks/report.py``, filled from a result file, as one HTML page."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit._util.files import write_text
from cryokit._util.resources import folder
from cryokit.benchmark import result_file, summary
from cryokit.cli import notebook_runner

if TYPE_CHECKING:
    from nbformat import NotebookNode


def write_report(
    result: str | os.PathLike,
    out: str | os.PathLike,
    *,
    data: Iterable[str | os.PathLike] = (),
) -> Path:
    """Write the report of a result: an HTML page that needs no network, without the notebook's code.

    Parameters
    ----------
    result : path-like
        Result file, or folder of the run. If the run's micrographs and picks lie beside it, the picks are drawn on the
        micrographs.
    out : path-like
        HTML file to write.
    data : iterable of path-like
        Folders of real micrographs, ``<dataset>/micrographs``, as for ``cryokit benchmark --data``.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    BenchmarkError
        If the result cannot be read.
    NotebookError
        If the notebook fails, with the cell and its traceback.
    """
    import nbformat

    from cryokit.plot.notebook_html import to_html

    title = summary.heading(result_file.load(result))
    parameters = {
        "result_file": os.fspath(Path(result).resolve()),
        "data": [os.fspath(Path(path).resolve()) for path in data],
    }
    with tempfile.TemporaryDirectory(prefix="cryokit-report-") as temporary:
        report = folder("benchmarks") / "report.py"
        executed = notebook_runner.run(report, parameters, out=temporary)
        notebook = nbformat.read(executed, 4)
    notebook.cells = list(_without_code(notebook.cells))
    write_text(out, to_html(notebook, name=title))
    return Path(out)


def _without_code(cells: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """Leave out code, what is recorded for tests, and cells of which nothing is left."""
    for cell in cells:
        if cell.cell_type == "code":
            record = notebook_runner.RECORD_TYPE
            cell.outputs = [output for output in cell.outputs if record not in output.get("data", {})]
            # As nbconvert's own TagRemovePreprocessor tells the template to leave out a cell's code.
            cell.metadata["transient"] = {"remove_source": True}
            if not cell.outputs:
                continue
        yield cell
