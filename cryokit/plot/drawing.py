"""What all pictures share: grey values, titles, legends below the axes, pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patheffects import AbstractPathEffect

# One meaning, one colour, in all pictures of micrographs: mostly Okabe and Ito's, told apart by the colour-blind.
# A pick is blue, and orange-red as soon as it is known to be wrong: never green against red.
PALETTE = {
    "pick": "#56B4E9",
    "true": "#56B4E9",
    "false": "#D55E00",
    "particle": "#F0E442",  # what the labels say
    "ignored": "#FFFFFF",  # what counts neither way
    "mask": "#CC79A7",  # masks of particles, and outlines of what is no usable ice
    "top": "#009E73",
    "side": "#E69F00",
    "irregular": "#B2A1FF",
}
MASK_COLOUR = PALETTE["mask"]
LINE, EDGE = 1.4, 0.8  # width in points of lines around particles, and of the dark edge on either side of them
DIRECT = "direct-label"  # group of the names that `label_directly` writes
CURVE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def edged(width: float) -> list[AbstractPathEffect]:
    """Return path effects that give a line of this width a dark edge, as in the explorer.

    Hue alone does not set a line off from a grey picture for everybody: to many people, green looks grey.

    Parameters
    ----------
    width : float
        Width of the line in points.
    """
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width + 2 * EDGE, foreground="black", alpha=0.7)]


def grey_limits(values: NDArray, percentiles: tuple[float, float] = (1.0, 99.0)) -> dict[str, float]:
    """Return `vmin` and `vmax` for matplotlib: two percentiles of grey values."""
    low, high = np.percentile(values, percentiles)
    return {"vmin": low, "vmax": high if high > low else low + 1}


def show_grey(ax: Axes, picture: NDArray, *, percentiles: tuple[float, float] = (1.0, 99.0), **options: Any) -> None:
    """Draw a picture in grey without ticks, black and white at two percentiles of its values."""
    ax.imshow(picture, cmap="gray", **grey_limits(picture, percentiles), **options)
    ax.set_xticks([])
    ax.set_yticks([])


def set_title(ax: Axes, title: str | None) -> None:
    """Write a title above the axes, if there is one."""
    if title:
        ax.set_title(title, fontsize="medium")


def legend_below(ax: Axes, handles: list, columns: int, *, dark: bool = False) -> None:
    """Put a legend of the handles, if any, below the axes, where it hides nothing; bright colours show on dark grey.

    It has up to `columns` columns, fewer where it would be wider than the axes: the layout would shrink them for it.
    """
    if not handles:
        return
    from matplotlib.font_manager import FontProperties

    size = FontProperties(size="small").get_size_in_points()
    longest = max(len(handle.get_label()) for handle in handles)
    entry = size * (0.55 * longest + 5)  # points: the text, the line before it, and the space between columns
    room = ax.get_position().width * ax.figure.get_figwidth() * 72
    columns = max(1, min(columns, int(room / entry)))
    if dark:
        options = {"bbox_to_anchor": (0.5, -0.01), "facecolor": "0.2", "labelcolor": "white"}
    else:
        from matplotlib.transforms import ScaledTranslation

        # Points, not a share of the height, below tick labels and axis title: axes may be flat.
        below = ax.transAxes + ScaledTranslation(0, -36 / 72, ax.figure.dpi_scale_trans)
        options = {"bbox_to_anchor": (0.5, 0), "bbox_transform": below, "frameon": False, "handlelength": 3.2}
    ax.legend(handles=handles, loc="upper center", ncols=columns, fontsize="small", **options)


def square(picture: NDArray, left: int, top: int, size: int, outside: float = 0.5) -> NDArray[np.float32]:
    """Return a square cut out of a picture, with one grey value beyond the picture's border."""
    cut = np.full((size, size), outside, np.float32)
    inside = picture[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)]
    row, column = max(0, -top), max(0, -left)
    cut[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return cut


def show_mosaic(
    ax: Axes, pictures: Sequence[NDArray | None], columns: int, names: Sequence[str] = (), **options: Any
) -> None:
    """Draw pictures of one size side by side, row by row, on white; None leaves a place empty.

    The gap between pictures is a thirty-second of their height. With names, one for each row, the axes have
    these at the left instead of frame and ticks.
    """
    from skimage.util import montage

    shape = next(picture.shape for picture in pictures if picture is not None)
    height, gap = shape[0], max(1, shape[0] // 32)
    rows = -(-len(pictures) // columns)
    tiles = np.array([np.full(shape, np.nan) if picture is None else picture for picture in pictures], np.float32)
    sheet = montage(tiles, fill=np.nan, grid_shape=(rows, columns), padding_width=gap)
    ax.imshow(sheet[gap:-gap, gap:-gap], cmap="gray", **options)
    ax.set_xticks([])
    ax.set_yticks((height - 1) / 2 + (height + gap) * np.arange(len(names)), names)
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)


def label_directly(ax: Axes, entries: Sequence[tuple[float, float, str, str]], *, size: float = 8.0) -> None:
    """Write names beside the axes, each joined to its point by a thin line, so that no legend has to be searched.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes whose limits and scales are set.
    entries : sequence of (float, float, str, str)
        Point in data coordinates, text and colour of each name.
    size : float
        Font size in points.
    """
    if not entries:
        return
    height = ax.figure.get_figheight() * ax.get_position().height
    gap = 1.35 * size / 72 / max(height, 0.5)
    to_axes = ax.transData.transform
    wanted = ax.transAxes.inverted().transform([to_axes(point[:2]) for point in entries])[:, 1]
    order = np.argsort(-wanted, kind="stable")
    # From the top down no name is nearer to the one above it than `gap`; what has run out below is pushed up again.
    places = np.clip(wanted[order], 0.02, 0.98)
    for index in range(1, len(places)):
        places[index] = min(places[index], places[index - 1] - gap)
    places[-1] = max(places[-1], 0.0)
    for index in range(len(places) - 2, -1, -1):
        places[index] = max(places[index], places[index + 1] + gap)
    at = dict(zip(order.tolist(), places.tolist(), strict=True))
    for index, (x, y, text, colour) in enumerate(entries):
        ax.annotate(
            text.replace("$", r"\$"),
            (x, y),
            (1.04, at[index]),
            textcoords="axes fraction",
            color=colour,
            fontsize=size,
            va="center",
            gid=DIRECT,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.6,
                "alpha": 0.55,
                "shrinkA": 0,
                "shrinkB": 3,
            },
        )
