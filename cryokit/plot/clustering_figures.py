"""Pictures of clusterings, masks and shapes, as lesson 02 shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit.evaluate import wilson
from cryokit.plot.drawing import CURVE_COLOURS, PALETTE, set_title
from cryokit.plot.lesson_pictures import subplots
from cryokit.segmentation.by_name import CLUSTERINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    from cryokit.segmentation import Clustering, Shape

STYLES = {name: {"color": colour, "marker": "."} for name, colour in zip(CLUSTERINGS, CURVE_COLOURS, strict=False)}
STYLES["improved picker"] = {"color": "black", "linewidth": 2.5, "marker": "o"}
STYLES["published picker"] = {"color": "black", "linewidth": 2, "linestyle": ":", "marker": "s"}


def show_mask(ax: Axes, mask: NDArray, title: str = "", rims: NDArray | None = None) -> None:
    """Draw a mask, white on black, with the rims of true particles in the colour of labels.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    mask : ndarray of bool, shape (rows, columns)
        Mask.
    title : str
        Title.
    rims : ndarray of bool, optional
        Discs of the true particles.
    """
    from matplotlib.colors import to_rgb

    rgb = np.repeat(np.asarray(mask, float)[..., None], 3, axis=2)
    if rims is not None:
        rgb[rims & ~ndimage.binary_erosion(rims, iterations=2)] = to_rgb(PALETTE["particle"])
    ax.imshow(rgb, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    set_title(ax, title)


def cluster_figure(name: str, picture: NDArray, made: Clustering, third: NDArray, title: str) -> Figure:
    """Draw the histogram of a picture with the centres of its clusters, the clusters, and a third picture.

    Parameters
    ----------
    name : str
        Name of the clustering.
    picture : ndarray, shape (rows, columns)
        Enhanced picture.
    made : Clustering
        Its clusters.
    third : ndarray, shape (rows, columns)
        Third picture.
    title : str
        Its title.
    """
    from matplotlib import colormaps

    figure, (left, middle, right) = subplots(1, 3, height=3.4, width_ratios=[1, 1.2, 1.05])
    left.hist(picture.ravel(), 128, color="0.8")
    height, limits = left.get_ylim(), (made.centres[1:] + made.centres[:-1]) / 2
    left.vlines(made.centres, *height, color=STYLES[name]["color"], linewidth=2.5, label="centres")
    left.vlines(limits, *height, color="0.3", linestyle=":", label="limits")
    left.set(title=name, yticks=[], xlabel="grey value", ylim=height)
    left.legend(loc="upper center")
    drawn = middle.imshow(made.labels, cmap=colormaps["cividis"].resampled(made.k), vmin=-0.5, vmax=made.k - 0.5)
    middle.set(title=f"its {made.k} clusters", xticks=[], yticks=[])
    bar = figure.colorbar(drawn, ax=middle, ticks=range(made.k), shrink=0.8)
    bar.ax.set_yticklabels([f"{share:.0%}" for share in made.shares])
    right.imshow(third, cmap="gray", interpolation="nearest")
    right.set(title=title, xticks=[], yticks=[])
    return figure


def circle(x: float, y: float, radius: float, colour: str) -> Circle:
    """Return a circle to be added to axes."""
    from matplotlib.patches import Circle

    return Circle((x, y), radius, fill=False, color=colour, linewidth=2)


def feret_axes(ax: Axes, shape: Shape) -> None:
    """Draw an object with its perfect rectangle (orange), and its longest (solid) and shortest (dashed) caliper.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    shape : Shape
        Object of a mask.
    """
    left, top, width, height = shape.bounding_box
    edges = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    ax.imshow(shape.mask, cmap="gray", interpolation="nearest", extent=edges)
    ax.set_facecolor("black")
    corners = shape.feret.rectangle.corners
    ax.plot(*np.append(corners, corners[:1], axis=0).T, color=PALETTE["side"], linewidth=2.5)
    row, column = np.nonzero(shape.mask)
    pixels = np.column_stack([column + left, row + top])
    turns = np.radians(np.arange(180))
    widths = np.ptp(pixels @ [np.cos(turns), np.sin(turns)], axis=0)
    for angle, line in ((np.radians(shape.feret.angle), "solid"), (turns[widths.argmin()], "dashed")):
        along, across = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        reach, middle = pixels @ along, np.median(pixels @ across)
        ends = [end * along + middle * across for end in (reach.min() - 0.5, reach.max() + 0.5)]
        ax.annotate("", *ends, arrowprops={"arrowstyle": "<->", "color": CURVE_COLOURS[0], "linestyle": line, "lw": 2})
    x, y, half = shape.feret.rectangle.x, shape.feret.rectangle.y, 0.6 * shape.feret.longest
    ax.set(xticks=[], yticks=[], xlim=(x - half, x + half), ylim=(y + half, y - half))


def sized_objects(ax: Axes, groups: Mapping[str, Sequence[Shape]], shape: tuple[int, int], title: str) -> None:
    """Draw the objects of a mask: grey if smaller than a particle, blue if of its size, orange-red if larger.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    groups : mapping of str to sequence of Shape
        Objects by ``"small"``, ``"single"`` and ``"large"``.
    shape : tuple of int
        Rows and columns of the mask.
    title : str
        Title.
    """
    from matplotlib.colors import to_rgb

    colours = {"small": "0.5", "single": PALETTE["true"], "large": PALETTE["false"]}
    rgb = np.zeros((*shape, 3))
    for group, shapes in groups.items():
        for each in shapes:
            left, top, width, height = each.bounding_box
            inside = rgb[top : top + height, left : left + width]
            edge = each.mask & ~ndimage.binary_erosion(each.mask)
            inside[each.mask] = to_rgb(colours[group])
            inside[edge] = 0.45 * np.array(to_rgb(colours[group]))
    ax.imshow(rgb, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    set_title(ax, title)


def curves(table: pd.DataFrame, along: str, label: str) -> Figure:
    """Draw precision and recall of several methods, a column for each protein, with 95 % intervals of the pickers.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `protein`, `method`, `tp`, `fp`, `fn`, and the one that `along` names.
    along : str
        Column of the horizontal axis.
    label : str
        Its label.
    """
    proteins = list(dict.fromkeys(table["protein"]))
    figure, axes = subplots(2, len(proteins), height=6.6, sharex=True, sharey=True, squeeze=False)
    for protein, column in zip(proteins, axes.T, strict=True):
        here = table[table["protein"] == protein]
        particles = int((here["tp"] + here["fn"]).max())
        for ax, (quantity, other) in zip(column, (("precision", "fp"), ("recall", "fn")), strict=True):
            for method, part in here.groupby("method", sort=False):
                _curve(ax, part, along, other, method)
            ax.set(ylim=(-0.03, 1.03), ylabel=quantity if protein == proteins[0] else "")
            ax.grid(alpha=0.3)
        set_title(column[0], f"{protein}, n = {particles}")
        column[1].set_xlabel(label)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _curve(ax: Axes, part: pd.DataFrame, along: str, other: str, method: str) -> None:
    """Draw one method's share of `tp` among `tp` and another count."""
    total = part["tp"] + part[other]
    share = (part["tp"] / total.where(total > 0)).to_numpy()  # no picks have no precision
    if "picker" in method:
        pairs = [wilson(int(hits), int(n)) for hits, n in zip(part["tp"], total, strict=True)]
        low, high = np.array(pairs).T
        bars = np.clip([share - low, high - share], 0, None)
        ax.errorbar(part[along], share, bars, label=method, capsize=3, elinewidth=1, **STYLES[method])
    else:
        ax.plot(part[along], share, label=method, linewidth=1.3, **STYLES[method])
