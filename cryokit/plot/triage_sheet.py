"""A page of thumbnails, sorted by quality."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cryokit.imaging.binning import bin_integer
from cryokit.micrograph import Micrograph
from cryokit.pickers.verdicts import VERDICTS
from cryokit.plot.html_report import Report

SIDE = 240  # pixels that the longer side of a thumbnail has at least
_WORDS = {
    "good": "Good: pick these",
    "poor": "Poor: few or faint particles, or little usable ice",
    "empty": "Empty: nothing looks like a particle",
}
_COLOUR = (255, 170, 60)


def thumbnail(micrograph: Micrograph, picks: pd.DataFrame) -> bytes:
    """Draw a small picture of a micrograph, with circles around its picks.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph.
    picks : pandas.DataFrame
        Table of its picks.

    Returns
    -------
    bytes
        JPEG.
    """
    from PIL import Image, ImageDraw

    data = np.asarray(micrograph.data, np.float32)
    small = bin_integer(data, max(1, min(max(data.shape) // SIDE, *data.shape)))
    low, high = np.nanpercentile(small.data, (1, 99))
    grey = np.clip((np.nan_to_num(small.data) - low) / max(high - low, 1e-12) * 255, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey).convert("RGB")
    canvas = ImageDraw.Draw(picture)
    x, y = small.frame.from_source(picks["x"], picks["y"])
    for column, row, radius in zip(x, y, picks["diameter"] / small.frame.step / 2, strict=True):
        radius = max(1.5, 0 if np.isnan(radius) else radius)
        canvas.ellipse((column - radius, row - radius, column + radius, row + radius), outline=_COLOUR)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return file.getvalue()


def sheet(table: pd.DataFrame, thumbnails: Sequence[bytes], problems: Mapping[str, str]) -> Report:
    """Make a page of thumbnails: good micrographs first, and of each kind those with most evidence first.

    Parameters
    ----------
    table : pandas.DataFrame
        Output of `cryokit.pickers.verdicts.compared`.
    thumbnails : sequence of bytes
        Output of `thumbnail` for each row.
    problems : mapping of str to str
        What went wrong with other micrographs, by their paths.

    Returns
    -------
    Report
    """
    report = Report("Triage")
    counts = ", ".join(f"{(table['verdict'] == verdict).sum()} {verdict}" for verdict in VERDICTS)
    report.text(
        f"{len(table)} micrographs: {counts}. Circles are the picks of the network that comes with cryokit. The "
        "evidence is how sure the network is of what it sees, from 0 to 1. A verdict is a guess: look at those that "
        "are not good before leaving them out."
    )
    for verdict in VERDICTS:
        rows = table[table["verdict"] == verdict].sort_values("evidence", ascending=False, kind="stable")
        if len(rows):
            report.heading(_WORDS[verdict])
            report.gallery([(thumbnails[row.Index], row.micrograph, _caption(row)) for row in rows.itertuples()])
    if problems:
        report.heading("Could not be judged")
        for problem in problems.values():
            report.text(problem)
    report.heading("All numbers")
    report.table(table.drop(columns="level"), digits=2)
    return report


def _caption(row: tuple) -> str:
    parts = [f"{row.picks} picks", f"evidence {row.evidence:.2f}"]
    if row.diameter == row.diameter:
        parts.append(f"{row.diameter:.0f} px")
    if row.masked > 0.01:
        parts.append(f"{row.masked:.0%} masked")
    if row.resolution == row.resolution:
        parts.append(f"rings to {row.resolution:.1f} Å")
    elif row.rings == row.rings:
        parts.append(f"rings to {row.rings:.1f} px")
    return "; ".join([*parts, *([row.reason] if row.reason else [])])
