"""Pictures of the first half of DeepCryoPicker: particle masks, circles and rectangles, good particles beside bad ones.

As in `cryokit.plot.pictures`, every function draws on the matplotlib axes that it is given and returns them. All is in the
pixels of the working picture, in which `cryokit.segmentation` measures; its first row is at the top.
"""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.errors import CryokitError
from cryokit.plot.pictures import show_micrograph
from cryokit.segmentation.mask import as_mask

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cryokit.segmentation import Particle
    from cryokit.segmentation.selection import Decision

# Okabe and Ito's colours, as in cryokit.plot.pictures.
VIEW_COLOURS = {"top": "#56B4E9", "side": "#E69F00", "irregular": "#CC79A7"}
DECISIONS = {  # decision -> (colour, line style, word for the legend)
    True: ("#009E73", "solid", "good"),
    False: ("#D55E00", "dashed", "bad"),
    None: ("#F0E442", "dotted", "not judged"),
}
MASK_COLOUR = "#E69F00"
TILE = 1.6  # median diameters: side of the squares of a gallery
LINES = 4  # of text under a square of a gallery
POINTS = 7.5  # size of that text


def outlines(
    ax: Axes,
    picture: NDArray | None,
    particles: Sequence[Particle],
    *,
    decisions: Sequence[Decision] | None = None,
    colour_by: str = "view",
    numbers: bool = False,
    legend: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw particles on their working picture: top views as circles, side views as rectangles, others as boxes.

    A top view's circle is that of the Hough transform, or one of its diameter where none was found. A side view's
    rectangle is the perfect Feret rectangle of its object in the mask, or its box where it has no object.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    picture : ndarray, shape (rows, columns), or None
        The picture, or mask, in which the particles were found. None draws on what the axes show already.
    particles : sequence of Particle
    decisions : sequence of Decision, optional
        Whether they are good: solid lines; bad ones are dashed, and those without a decision dotted.
    colour_by : {"view", "decision"}
        What the colours tell.
    numbers : bool
        Whether to write each particle's index in `particles` into it.
    legend : bool
        Whether to explain the lines and count them.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    CryokitError
        For another `colour_by`, or ``"decision"`` without decisions.
    """
    if colour_by not in ("view", "decision"):
        raise CryokitError(f"colour_by {colour_by!r}: colours tell the 'view' or the 'decision'")
    if colour_by == "decision" and decisions is None:
        raise CryokitError("colours tell no decision without decisions: give decisions=")
    if picture is not None:
        show_micrograph(ax, np.asarray(picture, np.float32), title=title)
    elif title:
        ax.set_title(title, fontsize="medium")
    judged = {id(decision.particle): decision.good for decision in decisions or ()}
    counts: dict[tuple[str | None, bool | None], int] = {}
    for index, particle in enumerate(particles):
        good = judged.get(id(particle))
        colour, line = _style(particle.view, good, colour_by, decided=decisions is not None)
        ax.add_artist(_outline(particle, color=colour, linestyle=line, linewidth=1.3))
        if numbers:
            ax.text(particle.x, particle.y, str(index), color=colour, fontsize=POINTS, ha="center", va="center")
        key = (particle.view if colour_by == "view" else None, good)
        counts[key] = counts.get(key, 0) + 1
    if legend and counts:
        _legend(ax, counts, colour_by, decided=decisions is not None)
    return ax


def _style(view: str | None, good: bool | None, colour_by: str, *, decided: bool) -> tuple[str, str]:
    """Return colour and line style."""
    colour, line, _ = DECISIONS[good]
    return VIEW_COLOURS[view] if colour_by == "view" else colour, line if decided else "solid"


def _outline(particle: Particle, left: float = 0, top: float = 0, **line: object) -> Artist:
    """Return a circle, rectangle or box around a particle; `left` and `top` are taken off its coordinates."""
    from matplotlib.patches import Circle, Polygon

    if particle.view == "top":
        circle = particle.circle
        x, y, radius = (
            (particle.x, particle.y, particle.diameter / 2) if circle is None else (circle.x, circle.y, circle.radius)
        )
        return Circle((x - left, y - top), radius, fill=False, **line)
    if particle.view == "side" and particle.shape is not None:
        corners = particle.shape.feret.rectangle.corners
    else:
        start_x, start_y, width, height = particle.box
        corners = np.array([start_x, start_y]) + np.array([[0, 0], [width, 0], [width, height], [0, height]])
    return Polygon(corners - [left, top], closed=True, fill=False, **line)


def _legend(ax: Axes, counts: dict[tuple[str | None, bool | None], int], colour_by: str, *, decided: bool) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for view in (*VIEW_COLOURS, None):
        for good, (_, _, word) in DECISIONS.items():
            if (view, good) in counts:
                colour, line = _style(view, good, colour_by, decided=decided)
                words = " ".join(filter(None, (view, word if decided else None)))
                label = f"{words} ({counts[view, good]})"
                handles.append(Line2D([], [], color=colour, linestyle=line, label=label))
    # As in cryokit.plot.pictures.overlay: below the picture, and dark, so that bright colours are seen.
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=2 if decided else 3,
        fontsize="small",
        facecolor="0.2",
        labelcolor="white",
    )


def mask_overlay(
    ax: Axes,
    picture: NDArray,
    mask: ArrayLike,
    *,
    colour: str = MASK_COLOUR,
    alpha: float = 0.3,
    title: str | None = None,
) -> Axes:
    """Draw a mask on its picture: objects tinted, their rims in full colour.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    picture : ndarray, shape (rows, columns)
    mask : array_like of bool, shape (rows, columns)
    colour : str
        Of the mask.
    alpha : float
        Opacity inside objects, 0 to 1; 0 leaves the rims only.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.

    Raises
    ------
    CryokitError
        When picture and mask differ in shape.
    """
    from matplotlib.colors import to_rgb

    mask = as_mask(mask)
    if np.shape(picture) != mask.shape:
        raise CryokitError(f"the mask of shape {mask.shape} is not that of a picture of shape {np.shape(picture)}")
    show_micrograph(ax, np.asarray(picture, np.float32), title=title)
    limits = ax.get_xlim(), ax.get_ylim()
    tint = np.zeros((*mask.shape, 4), np.float32)
    tint[..., :3] = to_rgb(colour)
    tint[..., 3] = np.where(mask, alpha, 0)
    tint[mask & ~ndimage.binary_erosion(mask, border_value=1), 3] = 1
    ax.imshow(tint, extent=(-0.5, mask.shape[1] - 0.5, mask.shape[0] - 0.5, -0.5), origin="upper")
    # The picture is drawn in squares of whole pixels, which may leave out a last row; the axes stay its own.
    ax.set(xlim=limits[0], ylim=limits[1])
    return ax


def gallery(
    ax: Axes | Figure,
    picture: NDArray,
    decisions: Sequence[Decision],
    n: int = 8,
    *,
    mask: ArrayLike | None = None,
    size: int | None = None,
    title: str | None = None,
) -> Axes:
    """Draw good particles above bad ones, each cut out of the picture and of the mask, with what decided below it.

    The good ones are spread evenly over those given. The bad ones are as different as can be: one for each reason in
    turn.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or matplotlib.figure.Figure
        A figure gets new axes. Texts are as wide as the squares if it is about as wide as `n` times 1.5 inches.
    picture : ndarray, shape (rows, columns)
        The working picture; all squares are drawn with the same grey values.
    decisions : sequence of Decision
    n : int
        At most so many good ones and so many bad ones.
    mask : array_like of bool, shape (rows, columns), optional
        By default each particle's own object alone.
    size : int, optional
        Side of the squares, in pixels; by default 1.6 median diameters.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
        Without particles, a sentence that says so.

    Raises
    ------
    CryokitError
        When `n` is less than 1, or picture and mask differ in shape.
    """
    if n < 1:
        raise CryokitError(f"n {n!r}: show at least one particle")
    if mask is not None and np.shape(mask) != np.shape(picture):
        raise CryokitError(f"the mask of shape {np.shape(mask)} is not that of a picture of shape {np.shape(picture)}")
    if not hasattr(ax, "imshow"):
        ax = ax.subplots()
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize="medium")
    if not decisions:
        ax.text(0.5, 0.5, "no particles to show", transform=ax.transAxes, ha="center", va="center")
        return ax
    good, bad = ([decision for decision in decisions if decision.good is wanted] for wanted in (True, False))
    rows = [(True, _spread(good, n), len(good)), (False, _varied(bad, n), len(bad))]
    rows = [row for row in rows if row[1]]
    size = size or max(5, math.ceil(TILE * float(np.median([d.particle.diameter for d in decisions]))))
    gap = max(1, size // 16)
    # Height of the text in pixels of the sheet, if a square is as wide as its share of the axes.
    inches = ax.figure.get_size_inches()[0] * ax.get_position().width / n
    words = round(1.25 * LINES * POINTS / 72 / inches * (size + gap))
    letters = max(8, round(inches * 72 / (0.55 * POINTS)))
    step = 2 * size + gap + words
    sheet = np.ones((len(rows) * step, n * (size + gap) - gap), np.float32)
    low, high = np.percentile(picture, (0.5, 99.5))
    scaled = np.clip((np.asarray(picture, np.float32) - low) / ((high - low) or 1), 0, 1)
    for row, (is_good, shown, total) in enumerate(rows):
        colour, _, word = DECISIONS[is_good]
        ax.text(
            -2 * gap,
            row * step + size + gap / 2,
            f"{word}, {len(shown)} of {total}",
            color=colour,
            rotation=90,
            ha="right",
            va="center",
        )
        for column, decision in enumerate(shown):
            particle = decision.particle
            x, y = round(particle.x) - size // 2, round(particle.y) - size // 2
            left, top = column * (size + gap), row * step
            sheet[top : top + size, left : left + size] = _square(scaled, x, y, size)
            whole = _own_mask(particle, np.shape(picture)) if mask is None else np.asarray(mask)
            below = top + size + gap
            sheet[below : below + size, left : left + size] = _square(whole.astype(np.float32), x, y, size)
            for start in (top, below):
                outline = _outline(particle, x - left, y - start, color=colour, linewidth=1.2)
                ax.add_artist(outline)
                outline.set_clip_path(_frame(ax, left, start, size))
            ax.text(
                left + size / 2,
                below + size + gap,
                "\n".join(textwrap.wrap(decision.reason, letters)[:LINES]),
                fontsize=POINTS,
                ha="center",
                va="top",
            )
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, origin="upper")
    return ax


def _spread(decisions: list[Decision], n: int) -> list[Decision]:
    return [decisions[i] for i in np.linspace(0, len(decisions) - 1, min(n, len(decisions))).round().astype(int)]


def _varied(decisions: list[Decision], n: int) -> list[Decision]:
    """Take one decision of each reason in turn, and put those of one reason side by side.

    Reasons that differ in their numbers only are one.
    """
    of_reason: dict[str, list[Decision]] = {}
    for decision in decisions:
        of_reason.setdefault(re.sub(r"[\d.]+", "", decision.reason), []).append(decision)
    turns = itertools.zip_longest(*of_reason.values())
    chosen = [decision for turn in turns for decision in turn if decision is not None][:n]
    return [decision for each in of_reason.values() for decision in each if decision in chosen]


def _square(picture: NDArray, left: int, top: int, size: int) -> NDArray[np.float32]:
    """Return a part of the picture; what lies beyond its border is grey."""
    square = np.full((size, size), 0.5, np.float32)
    inside = picture[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)]
    row, column = max(0, -top), max(0, -left)
    square[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return square


def _own_mask(particle: Particle, shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    if particle.shape is not None:
        left, top, width, height = particle.shape.bounding_box
        mask[top : top + height, left : left + width] = particle.shape.mask
    return mask


def _frame(ax: Axes, left: float, top: float, size: int) -> Artist:
    """Return a square that outlines must not leave."""
    from matplotlib.patches import Rectangle

    return Rectangle((left - 0.5, top - 0.5), size, size, transform=ax.transData)
