"""Pictures of trainings, networks and what trained networks look at.

As in `cryokit.plot.pictures`, every function draws on the matplotlib axes that it is given and returns them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cryokit._util.validation import check_choice, check_number
from cryokit.errors import ArgumentError
from cryokit.plot.drawing import CURVE_COLOURS, grey_limits, set_title, show_grey, show_mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cryokit.networks.training import History

QUANTITIES = {"loss": "cross-entropy", "accuracy": "accuracy"}
# Colours for and against a class: told apart by the colour-blind, white where nothing speaks for either
DIVERGING = "PuOr_r"
LIMIT = 99.0  # percentile of saliency that gets the full colour: single pixels stand out far


def curves(
    ax: Axes,
    histories: Mapping[str, History] | History,
    quantity: Literal["loss", "accuracy"] = "loss",
    *,
    legend: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw loss or accuracy over the epochs: dashed in training, solid in validation, a dot at the best epoch.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    histories : History or mapping of str to History
        Results of `cryokit.networks.training.train`; of several, the names go into the legend.
    quantity : {"loss", "accuracy"}
        Quantity to draw.
    legend : bool
        Whether to draw the legend.
    title : str, optional
        Title.

    Raises
    ------
    ArgumentError
        If `quantity` is something else.
    """
    check_choice("quantity", quantity, QUANTITIES)
    if not isinstance(histories, Mapping):
        histories = {"": histories}
    for number, (name, history) in enumerate(histories.items()):
        colour = CURVE_COLOURS[number % len(CURVE_COLOURS)]
        table = history.table
        lines = [(quantity, "dashed", "training")]
        if table[f"val_{quantity}"].notna().any():
            lines.append((f"val_{quantity}", "solid", "validation"))
        marker = "." if len(table) == 1 else None  # a single epoch makes no line
        for column, line, word in lines:
            label = f"{name}, {word}" if name else word
            ax.plot(table["epoch"], table[column], color=colour, linestyle=line, marker=marker, label=label)
        best = table[table["epoch"] == history.best_epoch].iloc[0]
        label = None if name else f"best epoch, {history.best_epoch}"
        ax.plot(history.best_epoch, best[lines[-1][0]], "o", color=colour, label=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("epoch")
    ax.set_ylabel(QUANTITIES[quantity])
    ax.grid(alpha=0.3)
    if quantity == "loss":
        ax.set_ylim(bottom=0)
    if legend:
        ax.legend(fontsize="small")
    set_title(ax, title)
    return ax


def network(ax: Axes, table: pd.DataFrame, *, title: str | None = None) -> Axes:
    """Draw a network as boxes from left to right, as high as its maps have rows and as broad as their number.

    Both go with the square root, or the last layers could not be seen. Fully connected layers are black bars.
    Normalisations and activations, which change no shape, belong to the layer before. `layer_shares` draws bars at the
    same places, for axes below these.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    table : pandas.DataFrame
        Result of `cryokit.networks.describe.layers`.
    title : str, optional
        Title.
    """
    from matplotlib.patches import Rectangle

    shapes = [tuple(shape) for shape in _steps(table)["output_shape"]]
    tallest = max(shape[0] for shape in shapes if len(shape) == 3)
    # Of maps and of fully connected layers, the largest number of channels or units
    most = {dimensions: max((s[-1] for s in shapes if len(s) == dimensions), default=1) for dimensions in (1, 3)}
    for place, shape in enumerate(shapes):
        part = math.sqrt(shape[-1] / most[len(shape)])
        if len(shape) == 1:
            height, breadth, colour, words = 0.7 * part, 0.08, "black", f"{shape[0]}"
        else:
            height, breadth, colour = math.sqrt(shape[0] / tallest), max(0.04, 0.8 * part), CURVE_COLOURS[0]
            sides = f"{shape[0]}\u00b2" if shape[0] == shape[1] else f"{shape[0]} \u00d7 {shape[1]}"
            words = f"{sides}\n\u00d7 {shape[2]}"
        corner = (place - breadth / 2, -height / 2)
        ax.add_patch(Rectangle(corner, breadth, height, facecolor=colour, edgecolor="black", alpha=0.75))
        ax.text(place, -0.56, words, ha="center", va="top", fontsize="small")
    ax.set_xlim(-0.6, len(shapes) - 0.4)
    ax.set_ylim(-0.85, 0.52)
    ax.set_axis_off()
    set_title(ax, title)
    return ax


def layer_shares(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw each layer's share of a network's parameters and of its multiply-adds in per cent, as pairs of bars.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    table : pandas.DataFrame
        Result of `cryokit.networks.describe.layers`. Normalisations and activations count with the layer before.
    """
    steps = _steps(table)
    places = np.arange(len(steps))
    for number, (column, words) in enumerate([("parameters", "parameters"), ("multiply_adds", "multiply-adds")]):
        shares = 100 * steps[column].to_numpy(float) / max(1, steps[column].sum())
        bars = ax.bar(places + 0.4 * number - 0.2, shares, 0.4, color=CURVE_COLOURS[number], label=words)
        ax.bar_label(bars, [f"{share:.0f}" if share >= 0.5 else "" for share in shares], fontsize="small")
    ax.set_xticks(places, steps["name"])
    ax.set_xlim(-0.6, len(steps) - 0.4)
    ax.set_ylabel("per cent")
    ax.margins(y=0.12)
    ax.legend()
    return ax


def _steps(table: pd.DataFrame) -> pd.DataFrame:
    """Join layers that neither have multiply-adds nor change the maps' size to the layer before."""
    sides = [shape[0] if len(shape) == 3 else None for shape in table["output_shape"]]
    changed = [side is not None and side != before for side, before in zip(sides, [None, *sides], strict=False)]
    starts = np.array(changed) | (table["multiply_adds"] > 0).to_numpy()
    groups = table.groupby(np.cumsum(starts), sort=False)
    joined = {"name": "first", "output_shape": "first", "parameters": "sum", "multiply_adds": "sum"}
    return groups.agg(joined).reset_index(drop=True)


def confusion(ax: Axes, matrix: pd.DataFrame) -> Axes:
    """Draw a confusion matrix in per cent of the true classes, which are its rows; the columns are the predicted ones.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    matrix : pandas.DataFrame
        Result of `cryokit.networks.training.confusion_matrix`.
    """
    counts = matrix.to_numpy(float)
    totals = counts.sum(axis=1, keepdims=True)
    part = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    ax.imshow(part, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(part):
        words = f"{100 * share:.1f}" if totals[row, 0] else "none"
        ax.text(column, row, words, ha="center", va="center", color="white" if share > 0.6 else "black")
    rows = [f"{name} ({total:g})" for name, total in zip(matrix.index, totals[:, 0], strict=True)]
    ax.set_xticks(range(len(rows)), [str(name) for name in matrix.columns], rotation=30, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    set_title(ax, "per cent of the true class")
    return ax


def saliency_overlay(ax: Axes, picture: ArrayLike, saliency: ArrayLike) -> Axes:
    """Draw a picture in grey, and over it what speaks for a class (orange) and against it (violet).

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    picture : array_like, shape (rows, columns) or (rows, columns, 1)
        Picture.
    saliency : array_like, shape (rows, columns)
        Result of `cryokit.networks.training.saliency`: the change of the class's log-odds as a pixel becomes brighter.
        Orange pixels should be brighter for the class, violet ones darker.

    Raises
    ------
    ArgumentError
        If the two have different shapes.
    """
    picture, saliency = np.squeeze(np.asarray(picture, np.float32)), np.asarray(saliency, np.float32)
    if picture.shape != saliency.shape or saliency.ndim != 2:
        raise ArgumentError(f"saliency must have the shape of the picture, {picture.shape}, not {saliency.shape}")
    show_grey(ax, picture)
    limit = float(np.percentile(np.abs(saliency), LIMIT))
    scaled = saliency / limit if limit > 0 else np.zeros_like(saliency)
    ax.imshow(scaled, cmap=DIVERGING, vmin=-1, vmax=1, alpha=np.clip(np.abs(scaled), 0, 1) * 0.8)
    return ax


def samples(
    ax: Axes, pictures: ArrayLike, names: Sequence[str] | None = None, *, columns: int = 8, title: str | None = None
) -> Axes:
    """Draw samples side by side, all in the same contrast, so that the changes made by augmentation can be seen.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    pictures : array_like, shape (n, rows, columns) or (n, rows, columns, 1)
        Samples.
    names : sequence of str, optional
        Names of the rows of the sheet, written at the left.
    columns : int
        Number of samples in a row.
    title : str, optional
        Title.

    Raises
    ------
    ArgumentError
        If there is nothing to draw, or there is not one name for each row.
    """
    pictures = np.asarray(pictures, np.float32)
    if pictures.ndim == 4:
        pictures = pictures.mean(axis=-1)
    if pictures.ndim != 3 or not pictures.size:
        raise ArgumentError(f"pictures must have the shape (n, rows, columns), not {pictures.shape}")
    check_number("columns", columns, 1, whole=True)
    rows = -(-len(pictures) // columns)
    if names is not None and len(names) != rows:
        raise ArgumentError(f"names must be as many as there are rows of pictures, {rows}, not {len(names)}")
    show_mosaic(ax, pictures, columns, names or (), **grey_limits(pictures))
    set_title(ax, title)
    return ax
