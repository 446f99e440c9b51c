"""Whole figures about networks and trainings, 8.8 inches wide, each with an alternative text for `cryokit.plot.show`.

`cryokit.plot.trainings` draws their parts on axes that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.plot import trainings
from cryokit.plot.drawing import CURVE_COLOURS, PALETTE, show_grey
from cryokit.plot.lesson_pictures import WIDTH, describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cryokit.networks.training import History, Samples

ASKED = {1: ("particle", CURVE_COLOURS[0]), 2: ("background", "white"), 0: ("not asked", "0.6")}


def anatomy(table: pd.DataFrame, title: str) -> Figure:
    """Draw a network, and below each layer its share of the parameters and of the multiply-adds.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `cryokit.networks.describe.layers`.
    title : str
        Title.

    Returns
    -------
    matplotlib.figure.Figure
    """
    picture = _figure(5.6)
    above, below = picture.subplots(2, 1, height_ratios=[1.2, 1])
    trainings.network(above, table, title=title)
    trainings.layer_shares(below, table)
    most = {column: table.loc[table[column].idxmax(), "name"] for column in ("parameters", "multiply_adds")}
    return describe(
        picture,
        f"{title}. Boxes for the layers from input to output, and below them bars. Layer {most['parameters']} has the "
        f"most parameters, layer {most['multiply_adds']} the most multiply-adds.",
    )


def training_curves(histories: Mapping[str, History] | History, classes: int) -> Figure:
    """Draw loss and accuracy of trainings over the epochs, with what a network reaches that knows nothing.

    Parameters
    ----------
    histories : History or mapping of str to History
        Results of `cryokit.networks.training.train`.
    classes : int
        Number of classes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    picture = _figure(4.8)
    left, right = picture.subplots(1, 2)
    trainings.curves(left, histories, "loss", legend=False)
    trainings.curves(right, histories, "accuracy", legend=False)
    for ax, value, words in ((left, np.log(classes), "knows nothing: log C"), (right, 1 / classes, "guesses: 1 / C")):
        ax.axhline(value, color="0.5", linewidth=1)
        ax.text(0.98, value, words, transform=ax.get_yaxis_transform(), va="bottom", ha="right", color="0.3")
    left.set_ylim(0, max(left.get_ylim()[1], 1.1 * np.log(classes)))
    picture.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    named = histories if isinstance(histories, Mapping) else {"the training": histories}
    best = "; ".join(
        f"{name}: best validation loss {history.summary()['val_loss']:.2f} in epoch {history.best_epoch}"
        for name, history in named.items()
    )
    return describe(picture, f"Cross-entropy (left) and accuracy (right) over the epochs. {best}.")


def predictions(
    pictures: ArrayLike, probabilities: ArrayLike, classes: Sequence[str], labels: Sequence[str], *, columns: int = 6
) -> Figure:
    """Draw patches with the class that a network gives them and its probability, as figure 2 of the paper.

    Parameters
    ----------
    pictures : array_like, shape (n, rows, columns) or (n, rows, columns, 1)
        Patches.
    probabilities : array_like, shape (n, classes)
        Class probabilities.
    classes : sequence of str
        Names of the classes.
    labels : sequence of str
        Labels of the patches; where the network says something else, the title is orange and names both.
    columns : int
        Number of patches in a row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    pictures, probabilities = np.asarray(pictures), np.asarray(probabilities)
    rows = -(-len(pictures) // columns)
    picture = _figure(1.85 * rows)
    axes = picture.subplots(rows, columns, squeeze=False)
    said = np.array(classes, object)[probabilities.argmax(axis=1)]
    for ax, one, word, share, label in zip(axes.flat, pictures, said, probabilities.max(axis=1), labels, strict=False):
        show_grey(ax, np.squeeze(one))
        right = word == label
        words = f"{word} {share:.2f}" if right else f"{word} {share:.2f}\nlabel: {label}"
        ax.set_title(words, fontsize=10, color="black" if right else "#D55E00", pad=3)
    for ax in axes.flat[len(pictures) :]:
        ax.set_axis_off()
    wrong = int((said[: len(pictures)] != np.asarray(labels, object)).sum())
    return describe(
        picture,
        f"{len(pictures)} test patches with the network's class and its probability; {wrong} differ from the label.",
    )


def grain_figure(
    noise: Mapping[str, NDArray], values: Mapping[str, NDArray], limit: float, *, side: int = 96
) -> Figure:
    """Draw a piece of noise from patches of each protein, and how the grain is distributed in each class.

    Parameters
    ----------
    noise : mapping of str to ndarray, shape (rows, columns)
        A background patch by the name of its protein.
    values : mapping of str to ndarray
        Correlations of neighbouring pixels (`cryokit.networks.patches.grain.grain`) by class.
    limit : float
        Value that tells the classes apart best.
    side : int
        Side of the pieces, in pixels of the patch.

    Returns
    -------
    matplotlib.figure.Figure
    """
    picture = _figure(3.5)
    axes = picture.subplots(1, len(noise) + 1, width_ratios=[1] * len(noise) + [2.1])
    for ax, (name, patch) in zip(axes, noise.items(), strict=False):
        corner = (np.array(patch.shape) - side) // 2
        show_grey(ax, patch[corner[0] : corner[0] + side, corner[1] : corner[1] + side])
        ax.set_title(f"noise, {name}")
    bins = np.linspace(min(map(np.min, values.values())), 1, 41)
    for number, (name, of_class) in enumerate(values.items()):
        colour = PALETTE.get(name, CURVE_COLOURS[number % len(CURVE_COLOURS)])
        axes[-1].hist(of_class, bins, color=colour, edgecolor="black", linewidth=0.5, label=name)
    axes[-1].axvline(limit, color="black", linestyle="dashed")
    axes[-1].set(xlabel="correlation of neighbouring pixels", ylabel="patches")
    axes[-1].legend(loc="upper center")
    means = ", ".join(f"{name} {np.mean(of_class):.2f}" for name, of_class in values.items())
    return describe(
        picture,
        f"Pieces of noise of {' and '.join(noise)}, one finer than the other, and histograms of the correlation of "
        f"neighbouring pixels by class: means {means}.",
    )


def kernels(
    patch: ArrayLike, start: NDArray, end: NDArray, maps: NDArray, *, count: int = 8, title: str = ""
) -> Figure:
    """Draw the first kernels of a network before and after training, what was learned, and their maps of a patch.

    Parameters
    ----------
    patch : array_like, shape (rows, columns)
        Patch.
    start, end : ndarray, shape (kernels, rows, columns)
        Kernels before and after training (`cryokit.networks.training.first_layer_kernels`).
    maps : ndarray, shape (rows, columns, kernels)
        Output of the first layer for the patch.
    count : int
        Maximum number of kernels.
    title : str
        Title of the patch.

    Returns
    -------
    matplotlib.figure.Figure
        The difference of each kernel is drawn in a contrast of its own.
    """
    count = min(count, len(end))
    picture = _figure(4.4)
    left, right = picture.subfigures(1, 2, width_ratios=[1, 3.6])
    ax = left.subplots()
    show_grey(ax, np.squeeze(patch))
    ax.set_title(title)
    lines = {"start": start, "end": end, "learned": end - start, "map": np.moveaxis(maps, -1, 0)}
    for row, (words, of_row) in zip(right.subplots(4, count), lines.items(), strict=True):
        for ax, one in zip(row, of_row, strict=False):
            limit = np.abs(one).max() or 1
            ax.imshow(one, cmap="gray", vmin=0 if words == "map" else -limit, vmax=limit)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(words)
    return describe(
        picture,
        f"{count} kernels of the first layer in four rows: as they started, as they ended, their difference, which is "
        "smoother, and the map of the patch that each gives.",
    )


def saliency_sheet(pictures: Mapping[str, ArrayLike], saliency: Mapping[str, ArrayLike]) -> Figure:
    """Draw patches of each class, and below them what speaks for the class (orange) and against it (violet).

    Parameters
    ----------
    pictures : mapping of str to array_like, shape (n, rows, columns, 1)
        Patches by class, as many of each.
    saliency : mapping of str to array_like, shape (n, rows, columns)
        Results of `cryokit.networks.training.saliency`, smoothed a little here, for the eye.

    Returns
    -------
    matplotlib.figure.Figure
    """
    number = sum(len(of_class) for of_class in pictures.values())
    picture = _figure(2 * WIDTH / number + 0.4)
    axes = picture.subplots(2, number)
    column = 0
    for name, of_class in pictures.items():
        for one, of_one in zip(of_class, saliency[name], strict=True):
            show_grey(axes[0, column], np.squeeze(one))
            axes[0, column].set_title(name, fontsize=10)
            trainings.saliency_overlay(axes[1, column], one, ndimage.gaussian_filter(of_one, 2))
            column += 1
    return describe(
        picture,
        f"{number} patches of the classes {', '.join(pictures)}; below each the same patch with orange where brighter "
        "pixels speak for the class and violet where darker ones do.",
    )


def asked_positions(example: Samples, number: int, window: int, stride: int) -> Figure:
    """Draw a crop that a fully convolutional network is trained on, and what it is asked at each position.

    Parameters
    ----------
    example : Samples
        Samples of `cryokit.networks.training.crops.crops`, with class 0 for a particle.
    number : int
        Sample to draw.
    window, stride : int
        Window and stride of the network, in pixels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    crop = ndimage.gaussian_filter(example.x[number, :, :, 0], 1)
    positions = example.y.shape[1]
    asked = np.where(example.weights[number] == 0, 0, 1 + example.y[number])
    margin = (window - 1) / 2 - stride / 2
    end = margin + stride * positions
    picture = _figure(3.6)
    axes = picture.subplots(1, 3)
    show_grey(axes[0], crop)
    axes[0].plot([margin, end, end, margin, margin], [margin, margin, end, end, margin], color=CURVE_COLOURS[1])
    axes[0].set_title("a crop, smoothed")
    show_grey(axes[1], crop)
    axes[1].set_title("its middle")
    colours = ListedColormap([ASKED[value][1] for value in sorted(ASKED)])
    axes[2].imshow(asked, cmap=colours, vmin=0, vmax=2, extent=(margin, end, end, margin))
    axes[2].set_title("what is asked there")
    for ax in axes[1:]:
        ax.set(xlim=(margin, end), ylim=(end, margin), xticks=[], yticks=[])
    handles = [Patch(facecolor=colour, edgecolor="black", label=words) for words, colour in ASKED.values()]
    picture.legend(handles=handles, loc="outside lower right", ncols=3)
    shares = ", ".join(f"{words} {np.mean(asked == value):.0%}" for value, (words, _) in ASKED.items())
    return describe(
        picture, f"A crop, its middle, and the classes of the {positions} x {positions} positions: {shares}."
    )


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")
