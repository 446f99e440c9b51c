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

    loaded = result_file.load(result)
    title = summary.heading(loaded)
    place = Path(result) if Path(result).is_dir() else Path(result).parent
    parameters = {
        "result_file": os.fspath(Path(result).resolve()),
        "data": [os.fspath(Path(path).resolve()) for path in data],
        "links": _explorer_pages(loaded, place, Path(out), [Path(path) for path in data]),
    }
    with tempfile.TemporaryDirectory(prefix="cryokit-report-") as temporary:
        report = folder("benchmarks") / "report.py"
        executed = notebook_runner.run(report, parameters, out=temporary)
        notebook = nbformat.read(executed, 4)
    notebook.cells = list(_without_code(notebook.cells))
    write_text(out, to_html(notebook, name=title))
    return Path(out)


def _explorer_pages(result: summary.Result, run: Path, out: Path, data: Iterable[str | os.PathLike]) -> dict[str, str]:
    """Write the first test micrograph of each dataset, with the best method's candidates, as a page of the explorer.

    Returns
    -------
    dict of str to str
        Files beside the report by dataset; none for datasets whose micrographs or picks are not here.
    """
    from cryokit import coordinates
    from cryokit.benchmark import run_files
    from cryokit.micrograph import read
    from cryokit.plot.explorer import Page
    from cryokit.plot.explorer.contents import Tables, pictures

    links = {}
    for number, name in enumerate(summary.dataset_names(result), 1):
        labels, files = run_files.labels(run, name), run_files.micrographs(run, name, data)
        tested = [micrograph for micrograph in result["datasets"][name]["micrographs"]["test"] if micrograph in files]
        if labels is None or not tested:
            continue
        shown = tested[0]
        for method in summary.scored(result, name)["method"]:
            cell = min(summary.finished(result, name, method), key=lambda cell: cell["seed"])
            path = run_files.picks_folder(run, method, name, cell["seed"]) / f"{shown}.csv"
            if not path.is_file():
                continue
            picks = coordinates.read(path, format="csv")
            micrograph = read(files[shown], name=shown)
            diameter = result["datasets"][name]["diameter"]
            tables = Tables([shown], picks, labels[labels["micrograph"] == shown], labelled=[shown], diameter=diameter)
            page = Page(f"{summary.title(result, method)} on {shown}")
            page.add(micrograph, pictures(micrograph, tables.diameter))
            target = out.with_name(f"{out.stem}_explorer_{number}.html")
            page.write(target, tables, cell["threshold"])
            links[name] = target.name
            break
    return links


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
