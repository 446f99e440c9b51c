"""The main job on simulated micrographs: simulate, pick without labels, evaluate, report."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pandas as pd

from cryokit import coordinates, pickers, plot
from cryokit._util.files import make_folder
from cryokit.coordinates.table import concatenate
from cryokit.evaluate import Evaluation, by_view, evaluate
from cryokit.micrograph import Micrograph, read, write_mrc
from cryokit.pickers import many_files as picking
from cryokit.plot.html_report import Report
from cryokit.simulate import simulate_set

logger = logging.getLogger(__name__)


def demo(
    out: str | os.PathLike,
    *,
    protein: str = "klh",
    micrographs: int = 4,
    shape: tuple[int, int] = (2048, 2048),
    method: str = "auto",
    seed: int = 0,
) -> tuple[Path, Evaluation]:
    """Simulate micrographs, pick them without labels, score the picks against the truth and write a report.

    Parameters
    ----------
    out : path-like
        Folder for ``micrographs/*.mrc``, ``labels/*.csv``, ``picks/*.star`` and ``report.html``.
    protein : str
        One of `cryokit.simulate.PROTEINS`.
    micrographs : int
    shape : (rows, columns)
    method : str
        One of `cryokit.pickers.available`; it gets no labels and no settings.
    seed : int

    Returns
    -------
    report : pathlib.Path
    evaluation : Evaluation
        At the method's own threshold.
    """
    out = make_folder(out)
    paths, truths = [], []
    logger.info("simulating %d micrographs of %s", micrographs, protein)
    for micrograph, truth in simulate_set(protein, micrographs, seed=seed, shape=shape):
        paths.append(out / "micrographs" / f"{micrograph.name}.mrc")
        write_mrc(paths[-1], micrograph.data, pixel_size=micrograph.pixel_size)
        coordinates.write(truth, out / "labels" / f"{micrograph.name}.csv", "csv", joined=False)
        truths.append(truth)
    labels = concatenate(truths)

    picker = pickers.create(method)
    picking.fit_files(picker, paths)
    # The curve needs the candidates below the threshold, too; the files hold the picks above it.
    opened = [read(path) for path in paths]
    candidates = concatenate(picker.pick(micrograph, threshold=0) for micrograph in opened)
    picks = candidates[candidates["score"] >= picker.threshold_]
    names = [micrograph.name for micrograph in opened]
    coordinates.write_folder(picks, out / "picks", "star", micrographs=names)
    result = evaluate(candidates, labels, micrographs=names, threshold=picker.threshold_)
    views = by_view(candidates, labels, micrographs=names, threshold=picker.threshold_, bootstrap=0)
    report = _report(result, views, opened, picker, protein, seed)
    logger.info(
        "precision %.3f, recall %.3f, F1 %.3f, average precision %.3f",
        *(result.precision, result.recall, result.f1, result.average_precision),
    )
    return report.write(out / "report.html"), result


def _report(
    result: Evaluation,
    views: dict[str, Evaluation],
    opened: list[Micrograph],
    picker: pickers.Picker,
    protein: str,
    seed: int,
) -> Report:
    report = Report(f"cryokit: {protein} picked by {picker.name}, without labels")
    first = opened[0]
    report.text(
        f"{len(opened)} simulated micrographs of {first.data.shape[0]} x {first.data.shape[1]} pixels at "
        f"{first.pixel_size:g} Å (seed {seed}). The picker saw the micrographs only; the truth was used for nothing "
        f"but this report. A pick is true if it lies within {result.tolerance:g} diameters of a particle that no "
        "better pick has taken. Tubes, broken and overlapped particles are labelled “ignore”: picks there count as "
        "neither true nor false."
    )
    report.heading("How well")
    report.table(_figures(result))
    figure, axes = plot.figure(width=5.5, height=5.5)
    plot.precision_recall(axes[0, 0], {picker.name: result})
    report.figure(
        figure, "Precision and recall as the threshold falls; the dot is the threshold that the picker chose by itself."
    )
    report.heading("By view")
    report.table(result.per_view[["view", "particles", "tp", "fn", "recall"]])
    if len(views) > 1:
        figure, axes = plot.figure(width=5.5, height=5.5)
        plot.precision_recall(axes[0, 0], views)
        report.figure(figure, "Each view by itself: picks on particles of other views count as neither true nor false.")
    report.heading("By micrograph")
    report.table(
        result.per_micrograph[["micrograph", "particles", "picks", "tp", "fp", "fn", "precision", "recall", "f1"]]
    )
    report.heading("Where")
    for micrograph in opened[:2]:
        figure, axes = plot.figure(width=9, height=9)
        plot.overlay(axes[0, 0], micrograph, evaluation=result)
        report.figure(figure, f"{micrograph.name}: picks at the picker's own threshold.")
    report.heading("The same on your micrographs")
    report.commands(
        "cryokit pick MICROGRAPHS/*.mrc --out picks          # STAR files for RELION, and picks.csv\n"
        "cryokit evaluate --picks picks --labels LABELS      # if you have labels, in any coordinate format"
    )
    return report


def _figures(result: Evaluation) -> pd.DataFrame:
    low_high = {name: f"{low:.3f} to {high:.3f}" for name, (low, high) in result.intervals.items()}
    rows = [
        ("precision", result.precision, low_high.get("precision", "")),
        ("recall", result.recall, low_high.get("recall", "")),
        ("F1", result.f1, low_high.get("f1", "")),
        ("average precision", result.average_precision, low_high.get("average_precision", "")),
        ("recall ceiling", result.recall_ceiling, ""),
        ("accuracy, TP / (TP + FP + FN)", result.accuracy, ""),
    ]
    return pd.DataFrame(rows, columns=["", "pooled", "95 % interval over micrographs"])
