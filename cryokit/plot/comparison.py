"""Pictures of a comparison of methods: curves, F1 with intervals, sweeps, time, and picks side by side.

As in `cryokit.plot.pictures`, every function draws on the matplotlib axes that it is given and returns them. The results are
those of `cryokit.benchmark.results.load`. A method looks the same in every picture of a result (`styles`): **solid
lines and filled marks did not learn from labels, dashed lines and open marks did**; dotted lines and grey marks are
picks as given, which are drawn in the pictures of both kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cryokit import plot
from cryokit.benchmark import reported, summary
from cryokit.errors import CryokitError
from cryokit.evaluate import evaluate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cryokit.micrograph import Micrograph

Result = Mapping[str, Any]

# Okabe and Ito's colours that are seen on white, and three of Paul Tol's that are told apart from them.
COLOURS = ("#000000", "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9", "#882255", "#999933", "#777777")
MARKERS = ("o", "s", "^", "D", "v", "<", ">", "p", "h", "P", "X", "*")
# Which of the colours a method has where nothing else has taken it: the same in the pictures of different results.
_USUAL = {
    **{"auto": 0, "auto_labels": 0, "auto_pretrained": 9, "template": 1, "relion_template": 1},
    **{"autocryopicker": 2, "supercryoempicker": 3, "supercryoempicker_published": 7, "autocryopicker_published": 8},
    **{"deepcryopicker": 4, "deepcryopicker_labels": 4, "deepcryopicker_negative": 5, "deepcryopicker_five": 6},
    **{"deepem": 2, "deeppicker": 3, "pixer": 5, "fastparticlepicker": 6, "eman2_cnn": 7, "topaz_labels": 8},
}
AXIS_WORDS = {
    "snr": "signal-to-noise ratio",
    "defocus": "defocus (µm)",
    "density": "particles per square micrometre",
    "n_particles": "particles in a micrograph",
    "contamination": "ice crystals per square micrometre",
    "train": "micrographs to learn from",
}
# Learned from labels (None: picks as given) -> line, and the inside of its marks where that is not the line's colour.
_KINDS = {False: ("solid", None), True: ("dashed", "white"), None: ("dotted", "0.8")}
WHAT_WORDS = {"f1": "F1", "average_precision": "average precision"}


class Style(NamedTuple):
    """How a method is drawn."""

    colour: str
    line: str
    marker: str


def styles(result: Result) -> dict[str, Style]:
    """Return how each method of a result is drawn.

    Returns
    -------
    dict of str to Style
        Of the methods that learn from labels, and of the others, no two have the same colour (as long as there are
        no more than `COLOURS`) or the same mark (as long as there are no more than `MARKERS`). Nor have picks as given.
    """
    found: dict[str, Style] = {}
    for labels, (line, _) in _KINDS.items():
        names = [name for name in result["methods"] if summary.learns(result, name) == labels]
        # The usual colours first, so that an unknown method does not take one of them away.
        slots = {name: _USUAL[name] for name in names if name in _USUAL}
        for name in names:
            if name not in slots:
                used = Counter(slots.values())
                slots[name] = min(range(len(COLOURS)), key=lambda slot: (used[slot], slot))
        for number, name in enumerate(names):
            found[name] = Style(COLOURS[slots[name]], line, MARKERS[number % len(MARKERS)])
    return {name: found[name] for name in result["methods"]}


def precision_recall(
    ax: Axes,
    result: Result,
    dataset: str,
    *,
    view: str | None = None,
    labels: bool | None = None,
    methods: Sequence[str] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the precision-recall curves of the methods on a dataset.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : mapping
    dataset : str
    view : str, optional
        Only of the particles of this view, as the paper's figure 6; by default of all.
    labels : bool, optional
        Only the methods that learned from labels, or only the others (with picks as given, either way): more than ten
        curves on one pair of axes can hardly be told apart.
    methods : sequence of str, optional
        Only these.
    legend : bool
        Explain the lines below the axes, best F1 first, with average precision and F1 (means over the seeds).

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Of several seeds, the curve is that of the one with the median F1 (of two, the lower). The mark is where the
    method picked: at the threshold that was chosen on the validation micrographs.
    """
    # Nothing but the lines of equal F1.
    plot.precision_recall(ax, {}, legend=False)
    looks = styles(result)
    table = summary.scores(result, dataset) if view is None else summary.views(result, dataset)
    if view is not None:
        table = table[table["view"] == view].sort_values("f1", ascending=False, kind="stable")
    handles = []
    for row in table.itertuples():
        if not _among(row.labels, labels) or (methods is not None and row.method not in methods):
            continue
        cell = _median_cell(result, dataset, row.method)
        if cell is None:
            continue
        curve = cell["curve"] if view is None else cell["view_curves"].get(view)
        point = cell["scores"] if view is None else cell["views"].get(view)
        look = looks[row.method]
        if curve and len(curve["recall"]) > 1:
            recall, precision = np.array(curve["recall"], float), np.array(curve["precision"], float)
            ax.plot(
                *(np.append(0.0, recall), np.append(precision[:1], precision)),
                **dict(drawstyle="steps-pre", color=look.colour, linestyle=look.line, linewidth=1.6),
            )
        if point:
            ax.plot(point["recall"], point["precision"], linestyle="none", zorder=3, **_mark(look, row.labels))
        label = f"{row.title}: F1 {row.f1:.3f}, AP {row.average_precision:.3f}"
        handles.append(_handle(look, row.labels, label))
    if legend and handles:
        _below(ax, handles)
    return ax


def f1_intervals(ax: Axes, result: Result, dataset: str, *, own: bool = False, told: bool = True) -> Axes:
    """Draw F1 of every method on a dataset with its interval, the best at the top.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : mapping
    dataset : str
    own : bool
        Add F1 at the threshold that the picker chose by itself, as a short vertical line.
    told : bool
        Add the F1 that the paper reports, where it has one, as a grey star; it was not measured here.

    Returns
    -------
    matplotlib.axes.Axes
        The bar is the 95 % interval over micrographs, the small dots are the seeds; a method without scores has its
        reason instead.
    """
    looks = styles(result)
    table = summary.scores(result, dataset)
    all_cells = summary.cells(result, dataset)
    all_cells = all_cells[all_cells["status"] == summary.DONE]
    for place, row in enumerate(table.itertuples()):
        if not row.seeds:
            words = f"{row.status}: {row.error}"
            ax.text(0.01, place, _short(words), fontsize="x-small", color="0.3", va="center", ha="left")
            continue
        look = looks[row.method]
        if np.isfinite(row.f1_low):
            ax.plot([row.f1_low, row.f1_high], [place, place], color=look.colour, linewidth=2, solid_capstyle="butt")
        seeds = all_cells.loc[all_cells["method"] == row.method, "f1"]
        if len(seeds) > 1:
            ax.plot(seeds, [place + 0.25] * len(seeds), ".", markersize=4, color=look.colour)
        if own and np.isfinite(row.own_f1):
            ax.plot(row.own_f1, place, "|", markersize=13, color=look.colour)
        ax.plot(row.f1, place, linestyle="none", zorder=3, **_mark(look, row.labels))
        paper = reported.row(result["methods"][row.method], protein_name=result["datasets"][dataset]["protein"])
        if told and "f1" in paper:
            ax.plot(paper["f1"], place, marker="*", markersize=11, color="0.6", linestyle="none", zorder=2)
    ax.set_yticks(range(len(table)), table["title"], fontsize="small")
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(0, 1.01), xlabel="F1")
    ax.grid(axis="x", alpha=0.3)
    ax.tick_params(left=False)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def explain_marks(ax: Axes, *, own: bool = False, told: bool = True, several: bool = True, given: bool = False) -> Axes:
    """Add a legend below `f1_intervals` that says what its marks mean; the arguments say which there are."""
    from matplotlib.lines import Line2D

    grey = {"color": "0.3", "linestyle": "none"}
    handles = [
        Line2D([], [], marker="o", label="no labels", **grey),
        Line2D([], [], marker="o", markerfacecolor="white", label="learned from labels", **grey),
        Line2D([], [], color="0.3", linewidth=2, label="95 % interval over micrographs"),
    ]
    if given:
        handles.insert(2, Line2D([], [], marker="o", markerfacecolor=_KINDS[None][1], label="picks as given", **grey))
    if several:
        handles.append(Line2D([], [], marker=".", label="a single seed", **grey))
    if own:
        handles.append(Line2D([], [], marker="|", markersize=11, label="at the picker's own threshold", **grey))
    if told:
        handles.append(
            Line2D([], [], marker="*", markersize=10, color="0.6", linestyle="none", label="paper (reported)")
        )
    _below(ax, handles, columns=2)
    return ax


def sweep(
    ax: Axes,
    result: Result,
    axis: str,
    *,
    protein: str | None = None,
    what: str = "f1",
    labels: bool | None = None,
    legend: bool = True,
) -> Axes:
    """Draw how good every method is as one condition changes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : mapping
    axis : str
        One of the axes of `cryokit.benchmark.summary.sweep`.
    protein : str, optional
        Where the axis was swept for several.
    what : {"f1", "average_precision"}
    labels : bool, optional
        Only the methods that learned from labels, or only the others.
    legend : bool
        Name the methods below the axes, the best on average first, those that failed at a point last.

    Returns
    -------
    matplotlib.axes.Axes
        Means over the seeds. The axis is logarithmic where the values are spread over more than a factor of eight. The
        intervals, which would hide the lines, are in `cryokit.benchmark.summary.sweep`.

    Raises
    ------
    CryokitError
        When the result has no such sweep.
    """
    if what not in WHAT_WORDS:
        raise CryokitError(f"what {what!r}: draw one of {', '.join(WHAT_WORDS)}")
    table = summary.sweep(result)
    chosen = table[table["axis"] == axis]
    if protein is not None:
        chosen = chosen[chosen["protein"] == protein]
    if not len(chosen):
        known = ", ".join(dict.fromkeys(table["axis"])) or "none"
        raise CryokitError(f"the result {result['name']} has no sweep of {axis!r}; sweeps: {known}")
    looks = styles(result)
    handles = []
    for method in summary.sweep_table(chosen, what).index:
        points = chosen[(chosen["method"] == method) & (chosen["seeds"] > 0)]
        look, learned = looks[method], summary.learns(result, method)
        if not len(points) or not _among(learned, labels):
            continue
        ax.plot(points["value"], points[what], linestyle=look.line, **_mark(look, learned))
        handles.append(_handle(look, learned, points["title"].iloc[0]))
    values = np.sort(chosen["value"].unique())
    if values[0] > 0 and values[-1] / values[0] > 8:
        ax.set_xscale("log")
    ax.set_xticks(values, [f"{value:g}" for value in values], fontsize="small")
    ax.minorticks_off()
    ax.set(xlabel=AXIS_WORDS.get(axis, axis), ylabel=WHAT_WORDS[what], ylim=(0, 1.01))
    ax.grid(alpha=0.3)
    if legend and handles:
        _below(ax, handles, columns=2)
    return ax


def time_against_f1(ax: Axes, result: Result, dataset: str, *, legend: bool = True) -> Axes:
    """Draw F1 of every method against the seconds that it needs for a micrograph.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : mapping
    dataset : str
    legend : bool
        Name the methods below the axes, best F1 first.

    Returns
    -------
    matplotlib.axes.Axes
        Seconds are logarithmic; fitting is not among them.
    """
    from matplotlib.ticker import LogLocator

    looks = styles(result)
    handles = []
    for row in summary.scores(result, dataset).itertuples():
        if row.seeds and row.pick > 0:
            ax.plot(row.pick, row.f1, linestyle="none", **_mark(looks[row.method], row.labels, 9))
            label = f"{row.title} ({row.pick:.2g} s)"
            handles.append(_handle(looks[row.method], row.labels, label, line=False))
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
    ax.minorticks_off()
    ax.set(xlabel="seconds for a micrograph", ylabel="F1", ylim=(0, 1.01))
    ax.grid(alpha=0.3)
    if legend and handles:
        _below(ax, handles, columns=2)
    return ax


def overlays(
    axes: Sequence[Axes] | np.ndarray,
    micrograph: np.ndarray | Micrograph,
    picks: Mapping[str, pd.DataFrame],
    labels: pd.DataFrame,
    *,
    name: str | None = None,
    diameter: float | None = None,
    longest_side: int = 512,
) -> None:
    """Draw a micrograph once for each method, with its true, false and missed picks, as the paper's figure 7.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes
        At least one for each method; those left over are switched off.
    micrograph : ndarray, shape (rows, columns), or Micrograph
    picks : mapping of str to pandas.DataFrame
        What the method is called -> its picks on this micrograph, those above its threshold.
    labels : pandas.DataFrame
    name : str, optional
        Of the micrograph; that of the `Micrograph` when not given.
    diameter : float, optional
        Of the particles, in pixels, where the labels do not say.
    longest_side : int
        As for `cryokit.plot.pictures.show_micrograph`.

    Raises
    ------
    CryokitError
        When there are fewer axes than methods, or no name.
    """
    axes = np.ravel(axes)
    name = name or getattr(micrograph, "name", None)
    if not name:
        raise CryokitError("the micrograph has no name to find its picks by; give it (name=)")
    if len(axes) < len(picks):
        raise CryokitError(f"{len(picks)} methods need as many axes; there are {len(axes)}")
    labels = labels[labels["micrograph"] == name]
    for ax, (method, found) in zip(axes, picks.items(), strict=False):
        found = evaluate(found[found["micrograph"] == name], labels, micrographs=[name], diameter=diameter, bootstrap=0)
        plot.overlay(
            *(ax, micrograph),
            **dict(evaluation=found, name=name, diameter=diameter, legend=False, longest_side=longest_side),
        )
        counts = f"{found.tp} true, {found.fp} false, {found.fn} missed"
        ax.set_title(f"{method}\nF1 {found.f1:.3f}: {counts}", fontsize="small")
    for ax in axes[len(picks) :]:
        ax.set_axis_off()


def explain_overlays(figure: Figure) -> None:
    """Add the legend of `overlays` below all axes of a figure (with matplotlib's constrained layout)."""
    from matplotlib.lines import Line2D

    handles = []
    for what in ("true", "false", "missed", "ignored"):
        colour, line, words = plot.STYLES[what]
        handles.append(Line2D([], [], color=colour, linestyle=line, linewidth=2, label=words))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, facecolor="0.2", labelcolor="white")


def _median_cell(result: Result, dataset: str, method: str) -> Mapping[str, Any] | None:
    """Return the cell of the seed with the median F1."""
    done = sorted(summary.finished(result, dataset, method), key=lambda cell: (cell["scores"]["f1"], cell["seed"]))
    return done[(len(done) - 1) // 2] if done else None


def _among(learned: bool | None, labels: bool | None) -> bool:
    """Say whether a method is among those to draw; picks as given always are."""
    return labels is None or learned is None or learned == labels


def _mark(look: Style, learned: bool | None, size: float = 7.0) -> dict[str, Any]:
    face = _KINDS[learned][1] or look.colour
    edge = "white" if face == look.colour else look.colour
    return {
        **{"marker": look.marker, "markersize": size, "color": look.colour, "markerfacecolor": face},
        **{"markeredgecolor": edge, "markeredgewidth": 0.7 if face == look.colour else 1.5},
        "clip_on": False,  # a mark at 1 is a whole one
    }


def _handle(look: Style, learned: bool | None, label: str, *, line: bool = True) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle=look.line if line else "none", label=label, **_mark(look, learned, 6.5))


def _below(ax: Axes, handles: list, columns: int = 1) -> None:
    """Put a legend below the axes' label, where it hides nothing."""
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=columns,
        fontsize="small",
        frameon=False,
        handlelength=3.2,
    )


def _short(words: str, limit: int = 90) -> str:
    words = " ".join(words.split())
    return words if len(words) <= limit else f"{words[: limit - 1]}…"
