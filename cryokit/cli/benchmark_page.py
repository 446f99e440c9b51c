"""The report of a run: the notebook ``benchmarks/report.py``, filled from a result file, as one HTML page."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit._util.files import write_text
from cryokit._util.resources import folder
from cryokit.benchmark import results, summary
from cryokit.cli import notebook_runner as notebooks

if TYPE_CHECKING:
    from nbformat import NotebookNode


def write_report(
    result_json: str | os.PathLike,
    out: str | os.PathLike,
    *,
    data: Iterable[str | os.PathLike] = (),
    profile: str = "quick",
) -> Path:
    """Write the report of a result: an HTML page that needs no network, without the notebook's code.

    Parameters
    ----------
    result_json : path-like
        The result file, or the folder of the run. Where the run's micrographs and picks lie beside it, the picks are
        drawn on the micrographs.
    out : path-like
        The HTML file.
    data : iterable of path-like
        Where real micrographs are: folders with ``<dataset>/micrographs``, as ``cryokit benchmark --data`` takes them.
    profile : {"quick", "full"}
        Draw one micrograph of each dataset, or three.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    BenchmarkError
        When the result cannot be read.
    NotebookError
        When the notebook fails, with the cell and its traceback.
    """
    import nbformat

    from cryokit.plot.notebook_html import to_html

    result_json, out = Path(result_json), Path(out)
    title = summary.heading(results.load(result_json))
    given = {
        "result_file": os.fspath(result_json.resolve()),
        "data": [os.fspath(Path(each).resolve()) for each in data],
    }
    with tempfile.TemporaryDirectory(prefix="cryokit-report-") as temporary:
        executed = notebooks.run(folder("benchmarks") / "report.py", given, profile=profile, out=temporary)
        notebook = nbformat.read(executed, 4)
    notebook.cells = list(_told(notebook.cells))
    write_text(out, to_html(notebook, name=title))
    return out


def _told(cells: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """Leave out code, what is recorded for tests, and cells of which nothing is left."""
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if notebooks.RECORD_TYPE not in each.get("data", {})]
            # As nbconvert's own TagRemovePreprocessor tells the template to leave out a cell's code.
            cell.metadata["transient"] = {"remove_source": True}
            if not cell.outputs:
                continue
        yield cell
