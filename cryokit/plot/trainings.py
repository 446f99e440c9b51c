"""Pictures of trainings and of what trained networks look at.

As in `cryokit.plot.pictures`, every function draws on the matplotlib axes that it is given and returns them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cryokit.errors import CryokitError
from cryokit.plot.pictures import CURVE_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cryokit.networks.training import History

AXIS_WORDS = {"loss": "cross-entropy", "accuracy": "accuracy"}
# Colours for and against a class: told apart by the colour-blind, white where nothing speaks for either.
DIVERGING = "PuOr_r"
LIMIT = 99.0  # percentile of saliency that gets the full colour: single pixels stand out far


def curves(
    ax: Axes,
    histories: Mapping[str, History] | History,
    what: Literal["loss", "accuracy"] = "loss",
    *,
    legend: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw loss or accuracy over the epochs: dashed in training, solid in validation, a dot at the best epoch.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    histories : History or mapping of str to History
        What `cryokit.networks.training.train` returned; of several, the names go to the legend.
    what : {"loss", "accuracy"}
    legend : bool
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    CryokitError
        When `what` is something else.
    """
    if what not in AXIS_WORDS:
        raise CryokitError(f"what {what!r}: draw one of {', '.join(AXIS_WORDS)}")
    if not isinstance(histories, Mapping):
        histories = {"": histories}
    for number, (name, history) in enumerate(histories.items()):
        colour = CURVE_COLOURS[number % len(CURVE_COLOURS)]
        table = history.table
        held_out = table[f"val_{what}"].notna().any()
        for column, line, word in [(what, "dashed", "training"), (f"val_{what}", "solid", "validation")]:
            if column == what or held_out:
                label = f"{name}, {word}" if name else word
                # A single epoch makes no line.
                marker = "." if len(table) == 1 else None
                ax.plot(table["epoch"], table[column], color=colour, linestyle=line, marker=marker, label=label)
        best = table[table["epoch"] == history.best_epoch].iloc[0]
        ax.plot(
            history.best_epoch,
            best[f"val_{what}" if held_out else what],
            "o",
            color=colour,
            label=None if name else f"best epoch, {history.best_epoch}",
        )
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("epoch")
    ax.set_ylabel(AXIS_WORDS[what])
    ax.grid(alpha=0.3)
    if what == "loss":
        ax.set_ylim(bottom=0)
    if legend:
        ax.legend(fontsize="small")
    if title:
        ax.set_title(title, fontsize="medium")
    return ax


def network(ax: Axes, table: pd.DataFrame, *, title: str | None = None) -> Axes:
    """Draw a network as boxes from left to right: as high as its maps have rows, as broad as they are many.

    Both go with the square root, or the last layers could not be seen. Fully connected layers are black bars.
    Normalisations and activations, which change no shape, belong to the layer before. `layer_shares` draws bars at the
    same places, for axes below these.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    table : pandas.DataFrame
        Of `cryokit.networks.describe.layers`.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    from matplotlib.patches import Rectangle

    steps = _steps(table)
    shapes = [tuple(shape) for shape in steps["output_shape"]]
    tallest = max(shape[0] for shape in shapes if len(shape) == 3)
    most = {length: max((s[-1] for s in shapes if len(s) == length), default=1) for length in (1, 3)}
    for place, shape in enumerate(shapes):
        part = math.sqrt(shape[-1] / most[len(shape)])
        flat = len(shape) == 1
        height = 0.7 * part if flat else math.sqrt(shape[0] / tallest)
        breadth = 0.08 if flat else max(0.04, 0.8 * part)
        colour = "black" if flat else CURVE_COLOURS[0]
        corner = (place - breadth / 2, -height / 2)
        ax.add_patch(Rectangle(corner, breadth, height, facecolor=colour, edgecolor="black", alpha=0.75))
        words = f"{shape[0]}" if flat else f"{shape[0]} \u00d7 {shape[1]}\n\u00d7 {shape[2]}"
        ax.text(place, -0.56, words, ha="center", va="top", fontsize="small")
    ax.set_xlim(-0.6, len(shapes) - 0.4)
    ax.set_ylim(-0.85, 0.52)
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize="medium")
    return ax


def layer_shares(ax: Axes, table: pd.DataFrame, *, title: str | None = None) -> Axes:
    """Draw which share of a network's parameters and of its multiply-adds each layer has, as pairs of bars.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    table : pandas.DataFrame
        Of `cryokit.networks.describe.layers`. Normalisations and activations count with the layer before.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, in per cent.
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
    if title:
        ax.set_title(title, fontsize="medium")
    return ax


def _steps(table: pd.DataFrame) -> pd.DataFrame:
    """Join layers that neither have multiply-adds nor change the maps' size to the layer before."""
    sides = [shape[0] if len(shape) == 3 else None for shape in table["output_shape"]]
    changed = [side is not None and side != before for side, before in zip(sides, [None, *sides], strict=False)]
    starts = np.array(changed) | (table["multiply_adds"] > 0).to_numpy()
    groups = table.groupby(np.cumsum(starts), sort=False)
    joined = {"name": "first", "output_shape": "first", "parameters": "sum", "multiply_adds": "sum"}
    return groups.agg(joined).reset_index(drop=True)


def confusion(ax: Axes, matrix: pd.DataFrame, *, shares: bool = True, title: str | None = None) -> Axes:
    """Draw a confusion matrix: each row a true class, coloured and labelled by what it was taken for.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    matrix : pandas.DataFrame
        Of `cryokit.networks.training.confusion_matrix`.
    shares : bool
        Write each row in per cent, with the number of samples beside the class; otherwise the counts.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    counts = matrix.to_numpy(float)
    totals = counts.sum(axis=1, keepdims=True)
    part = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    ax.imshow(part, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(part):
        words = f"{100 * share:.1f}" if shares else f"{counts[row, column]:g}"
        if not totals[row, 0]:
            words = "none"
        ax.text(column, row, words, ha="center", va="center", color="white" if share > 0.6 else "black")
    names = [str(name) for name in matrix.index]
    shown = [f"{name} ({total:g})" for name, total in zip(names, totals[:, 0], strict=True)] if shares else names
    ax.set_xticks(range(len(names)), [str(name) for name in matrix.columns], rotation=30, ha="right")
    ax.set_yticks(range(len(names)), shown)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    if title is None and shares:
        title = "per cent of the true class"
    if title:
        ax.set_title(title, fontsize="medium")
    return ax


def kernels(ax: Axes, found: ArrayLike, *, columns: int | None = None, title: str | None = None) -> Axes:
    """Draw kernels side by side, each in its own contrast, grey where it is zero.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    found : ndarray, shape (kernels, rows, columns)
        Of `cryokit.networks.training.first_layer_kernels`.
    columns : int, optional
        How many in a row; by default about one and a half times as many as rows.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    CryokitError
        When there are no kernels, or less than one is to be in a row.
    """
    found = np.asarray(found, np.float32)
    if found.ndim != 3 or not found.size:
        raise CryokitError(f"kernels: give an array of the shape (kernels, rows, columns), not {found.shape}")
    if columns is None:
        columns = min(len(found), math.ceil(math.sqrt(1.5 * len(found))))
    if columns < 1:
        raise CryokitError(f"columns {columns!r}: give 1 or more")
    height, width = found.shape[1:]
    lines = -(-len(found) // columns)
    sheet = np.full((lines * (height + 1) - 1, columns * (width + 1) - 1), np.nan, np.float32)
    for number, kernel in enumerate(found):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = kernel / (np.abs(kernel).max() or 1)
    # What belongs to no kernel stays white.
    ax.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize="medium")
    return ax


def saliency_overlay(
    ax: Axes, picture: ArrayLike, found: ArrayLike, *, limit: float | None = None, title: str | None = None
) -> Axes:
    """Draw a picture in grey, and over it what speaks for a class (orange) and against it (violet).

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    picture : ndarray, shape (rows, columns) or (rows, columns, 1)
    found : ndarray, shape (rows, columns)
        Of `cryokit.networks.training.saliency`: the change of the class's log-odds as a pixel becomes brighter. So orange
        marks pixels that should be brighter for the class, violet those that should be darker.
    limit : float, optional
        Which saliency gets the full colour, to compare pictures; by default the 99th percentile of its size.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    CryokitError
        When the two have different shapes.
    """
    picture, found = np.squeeze(np.asarray(picture, np.float32)), np.asarray(found, np.float32)
    if picture.shape != found.shape or found.ndim != 2:
        raise CryokitError(f"picture of {picture.shape} with a saliency of {found.shape}: give one of the same shape")
    low, high = np.percentile(picture, (1, 99))
    ax.imshow(picture, cmap="gray", vmin=low, vmax=high if high > low else low + 1)
    if limit is None:
        limit = float(np.percentile(np.abs(found), LIMIT))
    scaled = found / limit if limit > 0 else np.zeros_like(found)
    ax.imshow(scaled, cmap=DIVERGING, vmin=-1, vmax=1, alpha=np.clip(np.abs(scaled), 0, 1) * 0.8)
    ax.set_xticks([])
    ax.set_yticks([])
    if title:
        ax.set_title(title, fontsize="medium")
    return ax


def samples(
    ax: Axes, pictures: ArrayLike, names: Sequence[str] | None = None, *, columns: int = 8, title: str | None = None
) -> Axes:
    """Draw samples side by side, all in the same contrast, so that what augmentation changes can be seen.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    pictures : ndarray, shape (n, rows, columns) or (n, rows, columns, 1)
    names : sequence of str, optional
        One for each row of the sheet, written at its left.
    columns : int
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    CryokitError
        When there is nothing to draw, or names do not fit the rows.
    """
    pictures = np.asarray(pictures, np.float32)
    if pictures.ndim == 4:
        pictures = pictures.mean(axis=-1)
    if pictures.ndim != 3 or not pictures.size or columns < 1:
        raise CryokitError(f"pictures: give an array of the shape (n, rows, columns), not {pictures.shape}")
    height, width = pictures.shape[1:]
    gap = max(1, height // 32)
    lines = -(-len(pictures) // columns)
    if names is not None and len(names) != lines:
        raise CryokitError(f"{len(names)} names for {lines} rows of pictures")
    sheet = np.full((lines * (height + gap) - gap, columns * (width + gap) - gap), np.nan, np.float32)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    low, high = np.percentile(pictures, (1, 99))
    ax.imshow(sheet, cmap="gray", vmin=low, vmax=high if high > low else low + 1)
    ax.set_xticks([])
    ax.set_yticks([] if names is None else (height - 1) / 2 + (height + gap) * np.arange(lines), names)
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title, fontsize="medium")
    return ax
