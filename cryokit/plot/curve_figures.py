"""Whole figures about a comparison of methods, 8.8 inches wide, each with an alternative text for `cryokit.plot.show`.

`cryokit.plot.comparison` draws their parts on axes that it is given, and says how a method looks (`styles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cryokit.benchmark import result_file, summary
from cryokit.benchmark.summary import Result
from cryokit.plot import comparison, pictures
from cryokit.plot.drawing import CURVE_COLOURS, PALETTE
from cryokit.plot.lesson_pictures import WIDTH, describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = ("strict", "chosen on validation", "all candidates")
_LEVEL_COLOURS = dict(zip(LEVELS, (CURVE_COLOURS[1], "black", CURVE_COLOURS[0]), strict=True))


def curve_table(cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return the curve of a cell of a result: `threshold`, `precision`, `recall`, `f1`, a row for each score."""
    curve = result_file.points(cell["curve"])
    total = (curve["precision"] + curve["recall"]).clip(lower=1e-9)
    return curve.assign(f1=2 * curve["precision"] * curve["recall"] / total)


def levels(cell: Mapping[str, Any]) -> dict[str, float]:
    """Return three thresholds of a cell: one that keeps half of the particles found, the chosen one, and the lowest."""
    curve = curve_table(cell)
    few = int((curve["recall"] >= 0.5 * cell["scores"]["recall"]).to_numpy().argmax())
    values = curve["threshold"].iloc[few], cell["threshold"], curve["threshold"].iloc[-1]
    return dict(zip(LEVELS, map(float, values), strict=True))


def reading_a_curve(cell: Mapping[str, Any], title: str) -> Figure:
    """Draw a precision-recall curve with three thresholds on it, and its numbers against the threshold.

    Parameters
    ----------
    cell : mapping
        Cell of a result, with a curve and a threshold.
    title : str
        Title of the method.
    """
    curve, ceiling = curve_table(cell), cell["scores"]["recall_ceiling"]
    figure = _figure(5)
    left, right = figure.subplots(1, 2)
    pictures.precision_recall(left, {}, legend=False)
    left.fill_between(curve["recall"], curve["precision"], step="pre", color="0.92", zorder=-1)
    pictures.draw_steps(left, curve, color="0.3")
    left.axvline(ceiling, color=CURVE_COLOURS[0], linestyle=":")
    left.text(ceiling - 0.02, 0.3, f"ceiling {ceiling:.3f}", color=CURVE_COLOURS[0], ha="right")
    left.text(0.04, 0.05, f"grey area: AP {cell['scores']['average_precision']:.3f}", color="0.2")
    for words, level in levels(cell).items():
        at = curve[curve["threshold"] >= level].iloc[-1]
        look = {"color": _LEVEL_COLOURS[words], "markeredgecolor": "white", "clip_on": False}
        left.plot(at["recall"], at["precision"], "o", markersize=10, **look)
        right.axvline(level, color=_LEVEL_COLOURS[words], label=f"{words}: {level:.2f}")
    left.set_title(title)
    for column, line in (("precision", "dashed"), ("recall", "dotted"), ("f1", "solid")):
        right.plot(curve["threshold"], curve[column], linestyle=line, color="0.3", label=column.replace("f1", "F1"))
    right.set(xlabel="threshold", ylim=(0, 1.01), xlim=(-0.01, 1.01), title="against the threshold")
    right.grid(alpha=0.3)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return describe(
        figure,
        f"Precision-recall curve of {title}: average precision {cell['scores']['average_precision']:.3f}, recall "
        f"ceiling {ceiling:.3f}, with dots at three thresholds. Beside it precision, recall and F1 against the "
        "threshold.",
    )


def found_by(found: pd.DataFrame, views: pd.Series, titles: Mapping[str, str]) -> Figure:
    """Draw which particles each method has found: a column for each particle, those that most methods find first.

    Parameters
    ----------
    found : pandas.DataFrame of bool
        A row for each particle, a column for each method.
    views : pandas.Series
        View of each particle.
    titles : mapping of str to str
        Titles of the methods.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    often, rows = found.sum(axis=1), list(views.unique())
    figure = _figure(0.7 + (0.5 + 0.24 * found.shape[1]) * len(rows))
    colours = [PALETTE["false"], CURVE_COLOURS[0]]
    for ax, view in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        order = often[views == view].sort_values(ascending=False, kind="stable").index
        ax.imshow(found.loc[order].T, aspect="auto", cmap=ListedColormap(colours), vmin=0, vmax=1)
        ax.set_yticks(range(found.shape[1]), [titles[method] for method in found], fontsize=10)
        ax.set(xticks=[])
        ax.set_title(f"{len(order)} particles" + (f", {view} views" if view else ""))
    handles = [Patch(color=colours[1], label="found"), Patch(color=colours[0], label="missed")]
    figure.legend(handles=handles, loc="outside lower right", ncols=2)
    return describe(
        figure,
        f"{len(found)} particles by method, blue where found, orange where missed: "
        f"{(often == found.shape[1]).mean():.0%} are found by all methods, {(often == 0).mean():.0%} by none.",
    )


def micrograph_lines(result: Result, dataset: str, f1: pd.DataFrame) -> Figure:
    """Draw the F1 of every method on each test micrograph, connected, so that pairs can be compared.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    dataset : str
        Name of the dataset.
    f1 : pandas.DataFrame
        A row for each micrograph, a column for each method.
    """
    looks, figure = comparison.styles(result), _figure(5.2)
    ax = figure.subplots()
    handles = []
    for method in f1:
        ax.plot(range(len(f1)), f1[method], linestyle=looks[method].line, **looks[method].mark())
        handles.append(looks[method].handle(summary.title(result, method)))
    ax.set_xticks(range(len(f1)), range(1, len(f1) + 1))
    lowest = max(0.0, np.floor(10 * f1.min().min()) / 10 - 0.05)
    ax.set(xlabel="test micrograph", ylabel="F1", ylim=(lowest, 1.01))
    ax.grid(alpha=0.3)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=10)
    worst = int(f1.mean(axis=1).to_numpy().argmin()) + 1
    return describe(
        figure, f"F1 of {f1.shape[1]} methods on {len(f1)} micrographs; number {worst} is the hardest for all together."
    )


def thresholds(result: Result, dataset: str, *, columns: int = 3) -> Figure:
    """Draw F1 on the test micrographs against the threshold, for every method with a curve.

    A solid line is the threshold chosen on the validation micrographs, a dashed one that of the picker itself, and a
    dot marks the top of the curve.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    dataset : str
        Name of the dataset.
    columns : int
        Number of panels in a row.
    """
    cells = [summary.finished(result, dataset, method)[0] for method in summary.scored(result, dataset)["method"]]
    cells = [cell for cell in cells if cell["curve"] and cell["threshold"] is not None]
    looks, rows = comparison.styles(result), -(-len(cells) // columns)
    figure = _figure(2.3 * rows + 0.4)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, cell in zip(axes.flat, cells, strict=False):
        curve, colour = curve_table(cell), looks[cell["method"]].colour
        ax.plot(curve["threshold"], curve["f1"], color=colour)
        for words, line in (("threshold", "solid"), ("own_threshold", "dashed")):
            if cell[words] is not None:
                ax.axvline(cell[words], color="0.2", linewidth=1.5, linestyle=line)
        top = int(curve["f1"].argmax())
        ax.plot(curve["threshold"][top], curve["f1"][top], "o", color=colour, markeredgecolor="white", markersize=9)
        ax.set(xlim=(-0.02, 1.02), ylim=(0, 1.01))
        ax.set_title(summary.title(result, cell["method"]), fontsize=11)
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(cells) :]:
        ax.set_axis_off()
    figure.supxlabel("threshold", fontsize=12)
    figure.supylabel("F1 on the test micrographs", fontsize=12)
    return describe(figure, f"F1 against the threshold for {len(cells)} methods: some tops are broad, others narrow.")


def fit_times(result: Result, dataset: str) -> Figure:
    """Draw F1 against the seconds for a micrograph, and beside it the seconds to fit each method."""
    looks, scored = comparison.styles(result), summary.scored(result, dataset)
    figure = _figure(5.6)
    left, right = figure.subplots(1, 2)
    comparison.time_against_f1(left, result, dataset, names=False)
    order = scored[scored["fit"].notna()].sort_values("fit")
    bars = right.barh(
        order["title"], order["fit"].clip(lower=0.01), color=[looks[method].colour for method in order["method"]]
    )
    right.bar_label(bars, [f"{seconds:.1f} s" for seconds in order["fit"]], padding=4)
    right.set(xscale="log", xlabel="seconds to fit, once", xlim=(0.005, 90 * max(1.0, order["fit"].max())))
    right.tick_params(axis="y", labelsize=10)
    timed = scored[scored["pick"].notna()]
    handles = [looks[row.method].handle(f"{row.title} ({row.pick:.2g} s)", line=False) for row in timed.itertuples()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=10)
    slow, fast = timed.loc[timed["pick"].idxmax()], timed.loc[timed["pick"].idxmin()]
    return describe(
        figure,
        f"F1 against seconds for a micrograph, from {fast['pick']:.2g} s ({fast['title']}) to {slow['pick']:.2g} s "
        f"({slow['title']}), and the seconds to fit each method.",
    )


def intervals(result: Result, dataset: str) -> Figure:
    """Draw F1 of every method with its 95 % interval over micrographs (`cryokit.plot.comparison.f1_intervals`)."""
    scores = summary.scores(result, dataset)
    figure = _figure(1.9 + 0.42 * len(scores))
    comparison.f1_intervals(figure.subplots(), result, dataset)
    first = scores.iloc[0]
    return describe(
        figure,
        f"F1 of {len(scores)} methods with 95 % intervals over micrographs; first {first['title']} with "
        f"{first['f1']:.3f} ({first['f1_low']:.3f} to {first['f1_high']:.3f}).",
    )


def curves_by_labels(result: Result, dataset: str) -> Figure:
    """Draw the precision-recall curves of the methods without labels, and beside them of those with labels."""
    figure = _figure(6.8)
    for ax, labels in zip(figure.subplots(1, 2), (False, True), strict=True):
        comparison.precision_recall(ax, result, dataset, labels=labels, names=False)
        ax.set_title("learned from labels" if labels else "no labels")
    looks, scored = comparison.styles(result), summary.scored(result, dataset)
    handles = [looks[row.method].handle(row.title) for row in scored.itertuples()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=10)
    words = "; ".join(f"{row.title} AP {row.average_precision:.3f}" for row in scored.itertuples())
    return describe(figure, f"Precision-recall curves of all methods. {words}.")


def curves_by_view(result: Result, dataset: str, views: list[str]) -> Figure:
    """Draw the precision-recall curves of all methods for each view, as figures 4 and 6 of the paper.

    One legend serves both: a method looks the same everywhere.
    """
    looks = comparison.styles(result)
    figure = _figure(6.2)
    axes = figure.subplots(1, len(views), squeeze=False)[0]
    for ax, view in zip(axes, views, strict=True):
        comparison.precision_recall(ax, result, dataset, view=view, names=False)
        ax.set_title(f"{view} views ({result['datasets'][dataset]['views'].get(view, 0)} particles)")
    scored = summary.scored(result, dataset)
    handles = [looks[row.method].handle(row.title) for row in scored.itertuples()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=10)
    return describe(figure, f"Precision-recall curves of {len(scored)} methods for {' and '.join(views)} views.")


def unseen_bars(result: Result) -> Figure:
    """Draw F1 with its interval on every dataset of a result, methods below each other, a column for each dataset."""
    names = list(result["datasets"])
    tables = {name: summary.scored(result, name) for name in names}
    titles = list(dict.fromkeys(title for table in tables.values() for title in table["title"]))
    figure = _figure(1.2 + 0.33 * len(titles))
    for number, (ax, name) in enumerate(zip(figure.subplots(1, len(names), sharey=True), names, strict=True)):
        table = tables[name].set_index("title")
        for place, title in enumerate(titles):
            if title in table.index:
                row = table.loc[title]
                inside = "white" if row["labels"] else CURVE_COLOURS[0]
                ax.plot([row["f1_low"], row["f1_high"]], [place, place], color=CURVE_COLOURS[0])
                ax.plot(row["f1"], place, "o", markerfacecolor=inside, color=CURVE_COLOURS[0], markersize=8)
        dataset = result["datasets"][name]
        ax.set_title(
            f"{dataset['title']}\n{dataset['particles']['test']} particles, n = {len(dataset['micrographs']['test'])}"
        )
        ax.set(xlabel="F1", xlim=(None, 1.01))
        ax.grid(alpha=0.3)
        if not number:
            ax.set_yticks(range(len(titles)), titles, fontsize=10)
            ax.invert_yaxis()
    words = "; ".join(
        f"{result['datasets'][name]['title']}: {table.iloc[0]['title']} {table.iloc[0]['f1']:.3f} first"
        for name, table in tables.items()
    )
    return describe(figure, f"F1 with 95 % intervals over micrographs, open marks learned from labels. {words}.")


def explain_below(figure: Figure) -> None:
    """Add the legend of true, false, missed and not counted picks below the axes of a figure."""
    handles = [pictures.legend_line(kind, linewidth=2) for kind in ("true", "false", "missed", "ignored")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, facecolor="0.2", labelcolor="white")


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")
