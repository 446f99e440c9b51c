"""Whole figures of a comparison, for the report and for papers; each is None where there is nothing to draw.

They are made without pyplot, so that nobody has to close them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cryokit.benchmark import reported, summary, tables
from cryokit.benchmark.summary import Result
from cryokit.plot import comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 2.9  # inches beside the axes, for the names of the methods
KINDS = {False: "without labels", True: "with labels"}


def f1(result: Result, dataset: str) -> Figure | None:
    """Draw F1 of every method with its interval, the best at the top."""
    number = len(summary.scores(result, dataset))
    if not number:
        return None
    figure = _figure(9.5, 1.6 + 0.29 * number)
    comparison.f1_intervals(figure.subplots(), result, dataset)
    figure.suptitle(result["datasets"][dataset]["title"])
    return figure


def curves(result: Result, dataset: str, *, view: str | None = None) -> Figure | None:
    """Draw the precision-recall curves, methods without and with labels apart; of one view, as the paper's figure 6."""
    kinds = [kind for kind in KINDS if len(summary.standing(result, dataset, labels=kind))]
    if not kinds or not any(cell["curve"] for cell in result["cells"] if cell["dataset"] == dataset):
        return None
    figure = _figure(5.4 + MARGIN, 4.4 * len(kinds))
    for ax, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds, strict=True):
        comparison.precision_recall(ax, result, dataset, view=view, labels=kind)
        ax.set_title(KINDS[kind], fontsize="medium")
    figure.suptitle(result["datasets"][dataset]["title"] + (f": {view} views" if view else ""))
    return figure


def views(result: Result, dataset: str) -> Figure | None:
    """Draw F1 of each view, a group of bars for each method."""
    table = summary.views(result, dataset)
    if not len(table):
        return None
    names = [view for view in table["view"].drop_duplicates() if view != reported.AVERAGE]
    wide = table.pivot_table(index="title", columns="view", values="f1", sort=False)[names]
    figure = _figure(9.5, 1.5 + 0.3 * len(wide))
    ax = figure.subplots()
    marks = ("o", "s", "^", "D", "v")
    for place, row in enumerate(wide.to_numpy()):
        ax.plot([row.min(), row.max()], [place, place], color="0.75", linewidth=3, zorder=1, solid_capstyle="round")
    for index, name in enumerate(names):
        colour = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#000000")[index % 5]
        ax.plot(wide[name], range(len(wide)), marks[index % 5], color=colour, label=f"{name} views", clip_on=False)
    ax.set_yticks(range(len(wide)), wide.index, fontsize="small")
    ax.set(ylim=(len(wide) - 0.4, -0.6), xlim=(0, 1.01), xlabel="F1")
    ax.grid(axis="x", alpha=0.3)
    ax.tick_params(left=False)
    ax.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=len(names), frameon=False, fontsize="small")
    figure.suptitle(result["datasets"][dataset]["title"], x=0.02, ha="left")
    return figure


def localisation(result: Result, dataset: str) -> Figure | None:
    """Draw where true picks lie."""
    if not summary.scored(result, dataset)["rms_share"].notna().any():
        return None
    figure = _figure(4.6 + MARGIN, 4.8)
    comparison.localisation(figure.subplots(), result, dataset)
    figure.suptitle(result["datasets"][dataset]["title"])
    return figure


def time(result: Result, dataset: str) -> Figure | None:
    """Draw F1 against the seconds for a micrograph."""
    if not (summary.scored(result, dataset)["pick"] > 0).any():
        return None
    figure = _figure(5.6 + MARGIN, 4.8)
    comparison.time_against_f1(figure.subplots(), result, dataset)
    figure.suptitle(result["datasets"][dataset]["title"])
    return figure


def beside_paper(result: Result, dataset: str) -> Figure | None:
    """Draw measured F1, and apart from it what the paper reports."""
    number = len(tables.beside_reported(result, dataset)["method"].drop_duplicates())
    if not number:
        return None
    figure = _figure(10, 1.5 + 0.4 * number)
    comparison.beside_paper(figure.subplots(1, 2, sharey=True), result, dataset)
    figure.suptitle(result["datasets"][dataset]["title"])
    return figure


def sweep(result: Result, axis: str, protein: str) -> Figure:
    """Draw F1 as one condition changes, methods without and with labels apart."""
    points = summary.sweep(result)
    points = points[(points["axis"] == axis) & (points["protein"] == protein) & (points["seeds"] > 0)]
    kinds = [k for k in KINDS if any(summary.is_ranked(result, method, k) for method in points["method"])] or [False]
    figure = _figure(5.4 + MARGIN, 3.8 * len(kinds))
    for ax, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds, strict=True):
        comparison.sweep(ax, result, axis, protein=protein, labels=kind)
        ax.set_title(KINDS[kind], fontsize="medium")
    figure.suptitle(f"{protein}: {comparison.AXIS_WORDS.get(axis, axis)}")
    return figure


# name of the file -> figure
OF_DATASET: Mapping[str, Callable[[Result, str], Figure | None]] = {
    "f1": f1,
    "curves": curves,
    "views": views,
    "localisation": localisation,
    "time": time,
    "beside_paper": beside_paper,
}


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    return figure
