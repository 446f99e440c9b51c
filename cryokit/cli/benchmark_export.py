"""Everything of a result for a paper: numbers as CSV, tables as LaTeX, figures as SVG and PDF, a paragraph, BibTeX."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cryokit._util.csv_text import csv_text
from cryokit._util.files import make_folder, replacing, write_text
from cryokit.benchmark import citations, latex, summary
from cryokit.benchmark.result_file import points
from cryokit.benchmark.summary import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def export(result: Result, folder: str | os.PathLike) -> list[Path]:
    """Write a result into a folder.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    folder : path-like
        Folder: ``csv/*.csv``, ``tables.tex``, ``methods.tex``, ``references.bib``, ``figures/*.svg`` and ``*.pdf``.

    Returns
    -------
    list of pathlib.Path
        Files that were written.
    """
    from matplotlib import rc_context

    folder = make_folder(folder)
    texts = {Path("csv") / f"{name}.csv": csv_text(table) for name, table in numbers(result).items()}
    texts |= {
        Path("tables.tex"): latex.main_tables(result),
        Path("methods.tex"): citations.paragraph(result),
        Path("references.bib"): citations.bibtex(result),
    }
    written = []
    for name, text in texts.items():
        write_text(folder / name, text)
        written.append(folder / name)
    for name, figure in figures(result):
        for kind in ("svg", "pdf"):
            path = folder / "figures" / f"{name}.{kind}"
            # Without a date the same result gives the same bytes.
            metadata = {"Date" if kind == "svg" else "CreationDate": None}
            with replacing(path) as temporary, rc_context({"svg.hashsalt": name}):
                figure.savefig(temporary, format=kind, bbox_inches="tight", metadata=metadata)
            written.append(path)
    return written


def numbers(result: Result) -> dict[str, pd.DataFrame]:
    """Return every number of a result, as tables by name; those without rows are left out."""
    names = list(result["datasets"])

    def of_all(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
        kept = [part.assign(dataset=name) for name, part in parts.items() if len(part)]
        table = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=["dataset"])
        return table[["dataset", *(name for name in table if name != "dataset")]]

    pairs = of_all({name: summary.comparisons(result, name) for name in names})
    if "interval" in pairs:
        pairs["low"], pairs["high"] = ([ends[place] for ends in pairs["interval"]] for place in (0, 1))
        pairs = pairs.drop(columns="interval")
    counts = [
        summary.per_micrograph(result, name, method).assign(method=method)
        for name in names
        for method in result["methods"]
    ]
    curves = [
        points(curve).assign(method=cell["method"], dataset=cell["dataset"], seed=cell["seed"], view=view)
        for cell in result["cells"]
        for view, curve in {"": cell["curve"], **cell["view_curves"]}.items()
        if curve
    ]
    tables = {
        "cells": summary.cells(result),
        "scores": of_all({name: summary.scores(result, name) for name in names}),
        "comparisons": pairs,
        "views": of_all({name: summary.views(result, name) for name in names}),
        "per_micrograph": pd.concat(counts, ignore_index=True),
        "curves": pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
        "sweeps": summary.sweep(result),
        "failures": summary.failures(result),
        "micrograph_failures": summary.micrograph_failures(result),
        "provenance": summary.provenance(result),
    }
    return {name: table for name, table in tables.items() if len(table)}


def figures(result: Result) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of the report that need no micrographs, by name."""
    from cryokit.plot import comparison_figures

    for number, name in enumerate(summary.dataset_names(result), 1):
        short = f"{number:02d}_{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:60]}"
        for kind, draw in comparison_figures.OF_DATASET.items():
            figure = draw(result, name)
            if figure is not None:
                yield f"{short}_{kind}", figure
    for (axis, protein), _ in summary.sweep(result).groupby(["axis", "protein"], sort=False):
        short = re.sub(r"[^A-Za-z0-9_-]+", "_", f"sweep_{axis}_{protein}")[:60]
        yield short, comparison_figures.sweep(result, axis, protein)
