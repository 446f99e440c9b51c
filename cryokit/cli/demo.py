"""``cryokit demo``: simulate micrographs, pick them without labels, evaluate the picks and write a report."""

import argparse
import logging
import os
import sys
from pathlib import Path

import pandas as pd

from cryokit import coordinates, pickers, plot
from cryokit._util.files import make_folder
from cryokit.cli.arguments import add_simulation
from cryokit.coordinates import concatenate
from cryokit.evaluate import Evaluation, by_view, evaluate
from cryokit.micrograph import Micrograph, read, write_mrc
from cryokit.pickers import registry
from cryokit.pickers.many_files import fit_files
from cryokit.plot.explorer import Page
from cryokit.plot.explorer.contents import Tables, pictures
from cryokit.plot.html_report import Report
from cryokit.simulate import PROTEINS, simulate_set

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), metavar="DIR", help="output folder (default: %(default)s)"
    )
    parser.add_argument(
        "--protein", choices=tuple(PROTEINS), default="klh", help="protein to simulate (default: %(default)s)"
    )
    add_simulation(parser, micrographs=4)


def run(options: argparse.Namespace) -> int:
    """Run the demo and print the path of the report."""
    report, _ = demo(
        options.out,
        protein=options.protein,
        micrographs=options.micrographs,
        shape=tuple(options.shape),
        seed=options.seed,
    )
    sys.stdout.write(f"report: {report.resolve()}\n")
    return 0


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
        Folder for ``micrographs/*.mrc``, ``labels/*.csv``, ``picks/*.star``, ``report.html`` and ``explorer.html``.
    protein : str
        Protein from `cryokit.simulate.PROTEINS`.
    micrographs : int
        Number of micrographs.
    shape : tuple of int
        Rows and columns of a micrograph.
    method : str
        Method from `cryokit.pickers.available`, run without labels and with its default settings.
    seed : int
        Random seed of the simulation.

    Returns
    -------
    report : pathlib.Path
        HTML report.
    evaluation : Evaluation
        Scores at the method's own threshold.
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
    fit_files(picker, paths)
    # The curve needs the candidates below the threshold as well; the files hold the picks above it.
    opened = [read(path) for path in paths]
    candidates = concatenate(picker.pick(micrograph, threshold=0) for micrograph in opened)
    picks = candidates[candidates["score"] >= picker.threshold_]
    names = [micrograph.name for micrograph in opened]
    coordinates.write_folder(picks, out / "picks", "star", micrographs=names)
    result = evaluate(candidates, labels, micrographs=names, threshold=picker.threshold_)
    views = by_view(candidates, labels, micrographs=names, threshold=picker.threshold_, bootstrap=0)
    report = _report(result, views, opened, picker, protein, seed)
    page, tables = Page(report.title), Tables(names, candidates, labels)
    with_maps = registry.described(type(picker)).score_maps
    for micrograph in opened:
        scores = picker.score_map(micrograph) if with_maps else None
        page.add(micrograph, pictures(micrograph, tables.diameter, scores))
    page.write(out / "explorer.html", tables, picker.threshold_)
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
    rows, columns = opened[0].data.shape
    report.text(
        f"{len(opened)} simulated micrographs of {rows} x {columns} pixels at {opened[0].pixel_size:g} Å "
        f"(seed {seed}). The picker saw nothing but the micrographs; the truth was used for this report only. A pick "
        f"is true if it lies within {result.tolerance:g} diameters of a particle that no better pick has taken. Tubes "
        "and broken or overlapped particles are labelled “ignore”: picks there count neither as true nor as false."
    )
    report.heading("Scores")
    report.table(_figures(result))
    figure, axes = plot.figure(width=5.5, height=5.5)
    plot.precision_recall(axes[0, 0], {picker.name: result})
    report.figure(figure, "Precision and recall as the threshold falls; the dot is the picker's own threshold.")
    report.heading("By view")
    report.table(result.per_view[["view", "particles", "tp", "fn", "recall"]])
    if len(views) > 1:
        figure, axes = plot.figure(width=5.5, height=5.5)
        plot.precision_recall(axes[0, 0], views)
        report.figure(
            figure, "Each view by itself: picks on particles of other views count neither as true nor as false."
        )
    report.heading("By micrograph")
    report.table(
        result.per_micrograph[["micrograph", "particles", "picks", "tp", "fp", "fn", "precision", "recall", "f1"]]
    )
    report.heading("Picks")
    for micrograph in opened[:2]:
        figure, axes = plot.figure(width=9, height=9)
        plot.overlay(axes[0, 0], micrograph, evaluation=result)
        report.figure(figure, f"{micrograph.name}: picks at the picker's own threshold.")
    report.link(
        "explorer.html",
        "The explorer",
        " shows the picks on all micrographs: zoom in, move the threshold and watch the counts, lay the score map over "
        "the micrograph, add and remove picks. It is the file explorer.html beside this one.",
    )
    report.heading("The same with your own micrographs")
    report.commands(
        "cryokit pick MICROGRAPHS/*.mrc --out picks                       # STAR files for RELION, and picks.csv\n"
        "cryokit view MICROGRAPHS/*.mrc --picks picks --out picks.html    # to look at the picks and edit them\n"
        "cryokit evaluate --picks picks --labels LABELS                   # if you have labels, in any format"
    )
    return report


def _figures(result: Evaluation) -> pd.DataFrame:
    intervals = {name: f"{low:.3f} to {high:.3f}" for name, (low, high) in result.intervals.items()}
    rows = [
        ("precision", result.precision, intervals.get("precision", "")),
        ("recall", result.recall, intervals.get("recall", "")),
        ("F1", result.f1, intervals.get("f1", "")),
        ("average precision", result.average_precision, intervals.get("average_precision", "")),
        ("recall ceiling", result.recall_ceiling, ""),
        ("accuracy, TP / (TP + FP + FN)", result.accuracy, ""),
    ]
    return pd.DataFrame(rows, columns=["", "pooled", "95 % interval over micrographs"])
