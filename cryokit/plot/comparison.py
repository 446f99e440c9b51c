"""Pictures of a comparison of methods: curves, F1 with intervals, sweeps, time, and picks side by side.

As in `cryokit.plot.pictures`, every function draws on the matplotlib axes that it is given and returns them. Results
come from `cryokit.benchmark.result_file.load`. A method looks the same in every picture of a result (`styles`): **solid
lines and filled marks did not learn from labels, dashed lines and open marks did**. Dotted lines and grey marks are
picks as given of which it is not known; they are drawn with the methods that learned from labels.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.validation import check_choice
from cryokit.benchmark import reported, summary, tables
from cryokit.benchmark.result_file import DONE, points
from cryokit.benchmark.summary import Result
from cryokit.errors import ArgumentError
from cryokit.evaluate import evaluate
from cryokit.plot import pictures
from cryokit.plot.drawing import label_directly, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from cryokit.micrograph import Micrograph

# Okabe and Ito's colours that can be seen on white, and three of Paul Tol's that differ from them. Each has the methods
# that get it in the pictures of every result; the seven of lesson 06 have different ones.
COLOURS = {
    "#000000": ("auto", "auto_labels"),
    "#0072B2": ("template", "pixer"),
    "#009E73": ("autocryopicker", "fastparticlepicker"),
    "#E69F00": ("supercryoempicker", "deeppicker"),
    "#D55E00": ("deepcryopicker", "deepcryopicker_labels"),
    "#CC79A7": ("deepcryopicker_negative", "deepem"),
    "#56B4E9": ("deepcryopicker_five", "relion_template"),
    "#882255": ("supercryoempicker_published", "eman2_cnn"),
    "#999933": ("autocryopicker_published", "topaz_labels"),
    "#777777": ("auto_pretrained",),
}
_USUAL = {name: colour for colour, names in COLOURS.items() for name in names}
MARKERS = ("o", "s", "^", "D", "v", "<", ">", "p", "h", "P", "X", "*")
AXIS_WORDS = {
    "snr": "signal-to-noise ratio",
    "defocus": "defocus (µm)",
    "density": "particles per square micrometre",
    "n_particles": "particles in a micrograph",
    "contamination": "ice crystals per square micrometre",
    "train": "micrographs to learn from",
}
# learned from labels (None: picks as given) -> line, and the inside of the marks unless that has the line's colour
_KINDS = {False: ("solid", None), True: ("dashed", "white"), None: ("dotted", "0.8")}
_KIND_NAMES = {False: "no labels", True: "learned from labels", None: "picks as given"}


class Style(NamedTuple):
    """Colour, line and mark of a method."""

    colour: str
    line: str
    marker: str
    inside: str  # colour of the mark

    def mark(self, size: float = 7.0) -> dict[str, Any]:
        """Return how matplotlib draws the mark."""
        filled = self.inside == self.colour
        return {
            "marker": self.marker,
            "markersize": size,
            "color": self.colour,
            "markerfacecolor": self.inside,
            "markeredgecolor": "white" if filled else self.colour,
            "markeredgewidth": 0.7 if filled else 1.5,
            "clip_on": False,  # a mark at 1 is a whole one
        }

    def handle(self, label: str, *, line: bool = True) -> Line2D:
        """Return the entry of a legend."""
        from matplotlib.lines import Line2D

        return Line2D([], [], linestyle=self.line if line else "none", label=label, **self.mark(6.5))


def styles(result: Result) -> dict[str, Style]:
    """Return how each method of a result is drawn.

    Parameters
    ----------
    result : mapping
        Result as loaded.

    Returns
    -------
    dict of str to Style
        Styles by method. Among the methods that learn from labels, among the others and among picks as given, no two
        have the same colour or the same mark, as long as there are no more than `COLOURS` or `MARKERS`. Unknown methods
        and picks as given get colours that no other method has, as long as there are such.
    """
    looks: dict[str, Style] = {}
    taken = Counter(_USUAL[name] for name in result["methods"] if name in _USUAL)
    for labels, (line, inside) in _KINDS.items():
        names = [name for name in result["methods"] if summary.learns(result, name) == labels]
        # The usual colours first, so that an unknown method does not take one of them away.
        colours = {name: _USUAL[name] for name in names if name in _USUAL}
        for number, name in enumerate(names):
            if name not in colours:
                here = Counter(colours.values())
                colours[name] = min(COLOURS, key=lambda colour, here=here: (here[colour], taken[colour]))
                taken[colours[name]] += 1
            colour = colours[name]
            looks[name] = Style(colour, line, MARKERS[number % len(MARKERS)], inside or colour)
    return {name: looks[name] for name in result["methods"]}


def _start(values: Iterable[float]) -> float:
    """Return where an axis of scores begins: a round number below all of them, so that differences can be seen."""
    lowest = min((value for value in values if np.isfinite(value)), default=0.0)
    return max(0.0, np.floor(10 * lowest - 0.2) / 10)


def precision_recall(
    ax: Axes,
    result: Result,
    dataset: str,
    *,
    view: str | None = None,
    labels: bool | None = None,
    names: bool = True,
) -> Axes:
    """Draw the precision-recall curves of the methods on a dataset.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    result : mapping
        Result as loaded.
    dataset : str
        Name of the dataset.
    view : str, optional
        View whose particles are drawn, as in the paper's figure 6. By default all.
    labels : bool, optional
        Whether to draw only the methods that labels were allowed to, or only the others: more than ten curves on one
        pair of axes can hardly be told apart.
    names : bool
        Whether to name each method beside the axes, with its F1 (mean over the seeds). Without names the figure needs a
        legend (`styles`).

    Notes
    -----
    Of several seeds, the curve is that of the one with the median F1 (of two, the lower). The mark is where the
    method picked: at the threshold that was chosen on the validation micrographs.
    """
    pictures.precision_recall(ax, {}, legend=False)  # the lines of equal F1
    looks = styles(result)
    table = summary.scores(result, dataset) if view is None else summary.views(result, dataset)
    if view is not None:
        table = table[table["view"] == view].sort_values("f1", ascending=False, kind="stable")
    named = []
    for row in table.itertuples():
        if not _among(row.labels, labels):
            continue
        cells = summary.finished(result, dataset, row.method)
        if not cells:
            continue
        # The cell of the seed with the median F1
        cell = sorted(cells, key=lambda cell: (cell["scores"]["f1"], cell["seed"]))[(len(cells) - 1) // 2]
        curve = cell["curve"] if view is None else cell["view_curves"].get(view)
        point = cell["scores"] if view is None else cell["views"].get(view)
        look = looks[row.method]
        if curve and len(curve["threshold"]) > 1:
            pictures.draw_steps(ax, points(curve), color=look.colour, linestyle=look.line, linewidth=1.6)
        if point:
            ax.plot(point["recall"], point["precision"], linestyle="none", zorder=3, **look.mark())
        if point:
            named.append((point["recall"], point["precision"], f"{row.title}: F1 {row.f1:.3f}", look.colour))
    if names:
        label_directly(ax, named)
    return ax


def f1_intervals(ax: Axes, result: Result, dataset: str) -> Axes:
    """Draw F1 of every method on a dataset with its interval, the best at the top; marks are explained below.

    A short vertical line is F1 at the threshold that the picker chose by itself.

    Parameters
    ----------
    ax, result, dataset
        As for `precision_recall`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`. Bars are 95 % intervals over micrographs and seeds, small dots are seeds. A method without scores has the
        reason instead. The axis begins a little below the lowest value, and says so.
    """
    from matplotlib.lines import Line2D

    explained = {}

    def explain(label: str, marker: str, **options: Any) -> None:
        explained[label] = Line2D([], [], label=label, marker=marker, **{"color": "0.3", "linestyle": "none"} | options)

    looks = styles(result)
    table = summary.scores(result, dataset)
    all_cells = summary.cells(result, dataset)
    all_cells = all_cells[all_cells["status"] == DONE]
    for place, row in enumerate(table.itertuples()):
        if not row.seeds:
            reason = textwrap.shorten(f"{row.status}: {row.error}", 90, placeholder="…")
            where = ax.get_yaxis_transform()
            ax.text(0.01, place, reason, fontsize="small", color="0.3", va="center", ha="left", transform=where)
            continue
        look = looks[row.method]
        inside = _KINDS[row.labels][1]
        explain(_KIND_NAMES[row.labels], "o", **({"markerfacecolor": inside} if inside else {}))
        if np.isfinite(row.f1_low):
            explain("95 % interval", "", linestyle="solid", linewidth=2)
            ax.plot([row.f1_low, row.f1_high], [place, place], color=look.colour, linewidth=2, solid_capstyle="butt")
        seeds = all_cells.loc[all_cells["method"] == row.method, "f1"]
        if len(seeds) > 1:
            explain("a single seed", ".")
            ax.plot(seeds, [place + 0.25] * len(seeds), ".", markersize=4, color=look.colour)
        if np.isfinite(row.own_f1):
            explain("at the picker's own threshold", "|", markersize=11)
            ax.plot(row.own_f1, place, "|", markersize=13, color=look.colour)
        ax.plot(row.f1, place, linestyle="none", zorder=3, **look.mark())
    ax.set_yticks(range(len(table)), table["title"], fontsize="small")
    start = _start([*table["f1_low"], *table["f1"], *table["own_f1"], *all_cells["f1"]])
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(start, 1.01))
    ax.set_xlabel("F1" + (f" (the axis begins at {start:g})" if start else ""))
    ax.grid(axis="x", alpha=0.3)
    ax.tick_params(left=False)
    ax.spines[["top", "right", "left"]].set_visible(False)
    legend_below(ax, list(explained.values()), 2)
    return ax


def sweep(
    ax: Axes, result: Result, axis: str, *, protein: str | None = None, quantity: str = "f1", labels: bool | None = None
) -> Axes:
    """Draw the scores of every method as one condition changes.

    The methods are named beside the axes; those that failed at a point are drawn up to it.

    Parameters
    ----------
    ax, result
        As for `precision_recall`.
    axis : str
        Axis of `cryokit.benchmark.summary.sweep`.
    protein : str, optional
        Protein, if the axis was swept for several.
    quantity : {"f1", "average_precision"}
        Score to draw.
    labels : bool, optional
        As for `precision_recall`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, with means over the seeds. The axis is logarithmic if the values span more than a factor of eight. The
        intervals, which would hide the lines, are in `cryokit.benchmark.summary.sweep`.

    Raises
    ------
    ArgumentError
        If `quantity` is unknown, or the result has no such sweep.
    """
    check_choice("quantity", quantity, tables.QUANTITIES)
    table = summary.sweep(result)
    chosen = table[table["axis"] == axis]
    if protein is not None:
        chosen = chosen[chosen["protein"] == protein]
    if not len(chosen):
        known = ", ".join(dict.fromkeys(table["axis"])) or "none"
        raise ArgumentError(f"the result {result['name']} has no sweep of {axis!r}; sweeps: {known}")
    looks = styles(result)
    named = []
    for method in summary.sweep_table(chosen, quantity).index:
        own = chosen[(chosen["method"] == method) & (chosen["seeds"] > 0)]
        if not len(own) or not _among(summary.learns(result, method), labels):
            continue
        ax.plot(own["value"], own[quantity], linestyle=looks[method].line, **looks[method].mark())
        last = own.iloc[-1]
        named.append((last["value"], last[quantity], last["title"], looks[method].colour))
    values = np.sort(chosen["value"].unique())
    if values[0] > 0 and values[-1] / values[0] > 8:
        ax.set_xscale("log")
    ax.set_xticks(values, [f"{value:g}" for value in values], fontsize="small")
    ax.minorticks_off()
    ax.set(xlabel=AXIS_WORDS.get(axis, axis), ylabel=tables.QUANTITIES[quantity], ylim=(0, 1.01))
    ax.grid(alpha=0.3)
    label_directly(ax, named)
    return ax


def time_against_f1(ax: Axes, result: Result, dataset: str, *, names: bool = True) -> Axes:
    """Draw F1 of every method against the seconds that it takes for a micrograph.

    Parameters
    ----------
    ax, result, dataset
        As for `precision_recall`.
    names : bool
        Whether to name each method beside the axes, with its seconds.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`. Seconds are logarithmic, and do not include fitting. F1 begins a little below the lowest.
    """
    from matplotlib.ticker import LogLocator

    looks = styles(result)
    named, table = [], summary.scores(result, dataset)
    for row in table.itertuples():
        if row.seeds and row.pick > 0:
            ax.plot(row.pick, row.f1, linestyle="none", **looks[row.method].mark(9))
            named.append((row.pick, row.f1, f"{row.title}: {row.pick:.2g} s", looks[row.method].colour))
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.minorticks_off()
    ax.set(xlabel="seconds for a micrograph", ylabel="F1", ylim=(_start(table["f1"]), 1.01))
    ax.grid(alpha=0.3)
    if names:
        label_directly(ax, named)
    return ax


def localisation(ax: Axes, result: Result, dataset: str) -> Axes:
    """Draw the mean shift of the true picks of every method from their labels.

    The methods are named beside the axes, with their root mean square distance.

    Parameters
    ----------
    ax, result, dataset
        As for `precision_recall`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, in % of the diameter, y downwards as in the micrograph. Methods without true picks are left out.
    """
    looks = styles(result)
    named, reach = [], 1.0
    for row in summary.scores(result, dataset).itertuples():
        if not row.seeds or not np.isfinite(row.rms_share):
            continue
        x, y, rms = 100 * row.dx_share, 100 * row.dy_share, 100 * row.rms_share
        ax.plot(x, y, linestyle="none", **looks[row.method].mark(7))
        named.append((x, y, f"{row.title}: RMS {rms:.1f} %", looks[row.method].colour))
        reach = max(reach, 1.1 * abs(x), 1.1 * abs(y))
    ax.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    ax.set(xlabel="shift to the right, % of the diameter", ylabel="shift down, % of the diameter")
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    label_directly(ax, named)
    return ax


def beside_paper(axes: Sequence[Axes], result: Result, dataset: str) -> int:
    """Draw F1 as measured and, on axes of its own, as the paper reports it, for the methods that it has.

    Parameters
    ----------
    axes : sequence of two matplotlib.axes.Axes
        Axes that share their y axis: measured, reported.
    result, dataset
        As for `precision_recall`.

    Returns
    -------
    int
        Number of methods that were drawn; 0 if the paper reports none of them on this protein.
    """
    protein = result["datasets"][dataset]["protein"]
    looks, rows = styles(result), []
    for row in summary.scored(result, dataset).itertuples():
        paper = reported.row(result["methods"][row.method], protein_name=protein)
        if "f1" in paper:
            rows.append((row, paper["f1"]))
    for place, (row, printed) in enumerate(rows):
        look = looks[row.method]
        if np.isfinite(row.f1_low):
            axes[0].plot([row.f1_low, row.f1_high], [place, place], color=look.colour, linewidth=2)
        axes[0].plot(row.f1, place, linestyle="none", **look.mark())
        axes[1].plot(printed, place, marker="*", markersize=12, color=look.colour, linestyle="none", clip_on=False)
        axes[1].annotate(
            f"{printed:.3f}", (printed, place), (-8, 0), textcoords="offset points", ha="right", va="center"
        )
        left = row.f1 if np.isnan(row.f1_low) else row.f1_low
        axes[0].annotate(f"{row.f1:.3f}", (left, place), (-8, 0), textcoords="offset points", ha="right", va="center")
    axes[0].set_yticks(range(len(rows)), [row.title for row, _ in rows])
    for ax, title in zip(axes, ("measured here", "reported in the paper"), strict=True):
        ax.set(xlim=(0, 1.01), ylim=(len(rows) - 0.4, -0.6), xlabel="F1", title=title)
        ax.grid(axis="x", alpha=0.3)
        ax.tick_params(left=False)
        ax.spines[["top", "right", "left"]].set_visible(False)
    return len(rows)


def overlays(
    axes: Sequence[Axes] | NDArray,
    micrograph: NDArray | Micrograph,
    picks: Mapping[str, pd.DataFrame],
    labels: pd.DataFrame,
    *,
    name: str | None = None,
) -> None:
    """Draw a micrograph once for each method, with its true, false and missed picks, as the paper's figure 7.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        Axes, at least one for each method; those left over are switched off.
    micrograph : ndarray, shape (rows, columns), or Micrograph
        Micrograph.
    picks : mapping of str to pandas.DataFrame
        Picks above the threshold by the title of the method.
    labels : pandas.DataFrame
        Table of labels.
    name : str, optional
        Name of the micrograph in the tables. By default that of the `Micrograph`.

    Raises
    ------
    ArgumentError
        If there are fewer axes than methods, or no name.
    """
    axes = np.ravel(axes)
    name = name or getattr(micrograph, "name", None)
    if not name:
        raise ArgumentError("the micrograph has no name to find its picks by; give it (name=)")
    if len(axes) < len(picks):
        raise ArgumentError(f"axes: {len(picks)} methods need as many; there are {len(axes)}")
    labels = labels[labels["micrograph"] == name]
    for ax, (method, table) in zip(axes, picks.items(), strict=False):
        table = table[table["micrograph"] == name]
        evaluation = evaluate(table, labels, micrographs=[name], bootstrap=0)
        pictures.overlay(ax, micrograph, evaluation=evaluation, name=name, legend=False, longest_side=512)
        counts = f"{evaluation.tp} true, {evaluation.fp} false, {evaluation.fn} missed"
        ax.set_title(f"{method}\nF1 {evaluation.f1:.3f}: {counts}", fontsize="small")
    for ax in axes[len(picks) :]:
        ax.set_axis_off()


def explain_overlays(figure: Figure) -> None:
    """Add the legend of `overlays` below all axes of a figure (with matplotlib's constrained layout)."""
    handles = [pictures.legend_line(kind, linewidth=2) for kind in ("true", "false", "missed", "ignored")]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, facecolor="0.2", labelcolor="white")


def _among(learned: bool | None, labels: bool | None) -> bool:
    """Return whether a method is among those to draw; labels may have gone into picks of which it is not known."""
    return labels is None or (learned is not False) == labels
