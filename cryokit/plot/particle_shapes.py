"""Pictures of the first half of DeepCryoPicker: particle masks, circles and rectangles, good particles beside bad ones.

As in `cryokit.plot.pictures`, every function draws on the matplotlib axes that it is given and returns them. All
coordinates are pixels of the working picture, in which `cryokit.segmentation` measures; its first row is at the top.
"""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit._util.validation import check_choice, check_number
from cryokit.errors import ArgumentError
from cryokit.pickers.interface import spread
from cryokit.plot.drawing import LINE, MASK_COLOUR, PALETTE, edged, legend_below, set_title, square
from cryokit.plot.pictures import show_micrograph
from cryokit.segmentation.mask import as_mask
from cryokit.segmentation.shapes import Rectangle, label_image

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cryokit.segmentation import Decision, Particle

VIEW_COLOURS = {view: PALETTE[view] for view in ("top", "side", "irregular")}
DECISIONS = {  # decision -> (colour, line style, word for the legend)
    True: (PALETTE["true"], "solid", "good"),
    False: (PALETTE["false"], "dashed", "bad"),
    None: (PALETTE["ignored"], "dotted", "not judged"),
}
_ORDER = [(view, good) for view in (*VIEW_COLOURS, None) for good in DECISIONS]  # in the legend
MASK_OPACITY = 0.3
TILE = 1.6  # median diameters: side of a gallery's squares
LINES = 4  # of text below a square of a gallery
POINTS = 10  # size of that text


def outlines(
    ax: Axes,
    picture: NDArray | None,
    particles: Sequence[Particle],
    *,
    decisions: Sequence[Decision] | None = None,
    colour_by: str = "view",
    legend: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw particles on their working picture: top views as circles, side views as rectangles, others as boxes.

    A top view's circle is that of the Hough transform, or one of its diameter if it has none. A side view's rectangle
    is the perfect Feret rectangle of its object in the mask, or its box if it has no object.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    picture : ndarray, shape (rows, columns), or None
        Picture or mask of the particles; None to draw over what is on the axes.
    particles : sequence of Particle
        Particles.
    decisions : sequence of Decision, optional
        Decisions on the particles: good ones have solid lines, bad ones dashed lines, and those without a decision
        dotted lines.
    colour_by : {"view", "decision"}
        Meaning of the colours.
    legend : bool
        Whether to explain the lines and count them.
    title : str, optional
        Title.

    Raises
    ------
    ArgumentError
        If `colour_by` is something else, or ``"decision"`` without decisions.
    """
    from matplotlib.lines import Line2D

    check_choice("colour_by", colour_by, ("view", "decision"))
    if colour_by == "decision" and decisions is None:
        raise ArgumentError("colour_by='decision' needs decisions; give them (decisions=)")
    if picture is not None:
        show_micrograph(ax, np.asarray(picture, np.float32))
    set_title(ax, title)
    judged = {id(decision.particle): decision.good for decision in decisions or ()}
    decided = decisions is not None
    counts: Counter[tuple[str | None, bool | None]] = Counter()
    for particle in particles:
        kind = (particle.view if colour_by == "view" else None, judged.get(id(particle)))
        ax.add_artist(_outline(particle, **_style(*kind, decided)))
        counts[kind] += 1
    if legend:
        handles = []
        for view, good in sorted(counts, key=_ORDER.index):
            words = [view, DECISIONS[good][2] if decided else None]
            label = f"{' '.join(filter(None, words))} ({counts[view, good]})"
            handles.append(Line2D([], [], label=label, **_style(view, good, decided)))
        legend_below(ax, handles, 2 if decided else 3, dark=True)
    return ax


def _style(view: str | None, good: bool | None, decided: bool) -> dict[str, str]:
    """Return colour and line style: the colour of the view, or of the decision where no view is given."""
    colour, line, _ = DECISIONS[good]
    return {"color": VIEW_COLOURS.get(view, colour), "linestyle": line if decided else "solid"}


def _outline(particle: Particle, left: float = 0, top: float = 0, **line: object) -> Artist:
    """Return a circle, rectangle or box around a particle; `left` and `top` are taken off its coordinates."""
    from matplotlib.patches import Circle, Polygon

    line |= {"linewidth": LINE, "path_effects": edged(LINE)}
    if particle.view == "top":
        centre = particle.circle or particle
        radius = particle.circle.radius if particle.circle else particle.diameter / 2
        return Circle((centre.x - left, centre.y - top), radius, fill=False, **line)
    rectangle = Rectangle(particle.x, particle.y, particle.diameter, particle.diameter, 0)
    if particle.view == "side" and particle.shape is not None:
        rectangle = particle.shape.feret.rectangle
    return Polygon(rectangle.corners - [left, top], closed=True, fill=False, **line)


def mask_overlay(ax: Axes, picture: NDArray, mask: ArrayLike, *, title: str | None = None) -> Axes:
    """Draw a mask on its picture: objects tinted, their rims in full colour.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    picture : ndarray, shape (rows, columns)
        Picture.
    mask : array_like of bool, shape (rows, columns)
        Mask of the picture.
    title : str, optional
        Title.

    Raises
    ------
    ArgumentError
        If picture and mask differ in shape.
    """
    from matplotlib.colors import to_rgb

    mask = as_mask(mask)
    if mask.shape != np.shape(picture):
        raise ArgumentError(f"mask must have the shape of the picture, {np.shape(picture)}, not {mask.shape}")
    show_micrograph(ax, np.asarray(picture, np.float32), title=title)
    limits = ax.get_xlim(), ax.get_ylim()
    tint = np.zeros((*mask.shape, 4), np.float32)
    tint[..., :3] = to_rgb(MASK_COLOUR)
    tint[..., 3] = np.where(mask, MASK_OPACITY, 0)
    tint[mask & ~ndimage.binary_erosion(mask, border_value=1), 3] = 1
    ax.imshow(tint, extent=(-0.5, mask.shape[1] - 0.5, mask.shape[0] - 0.5, -0.5), origin="upper")
    # The picture is drawn in squares of whole pixels, which may leave out a last row; the axes keep its limits.
    ax.set(xlim=limits[0], ylim=limits[1])
    return ax


def gallery(
    figure: Figure, picture: NDArray, decisions: Sequence[Decision], n: int = 8, *, title: str | None = None
) -> NDArray:
    """Draw good particles above bad ones, each cut out of the picture and of the mask, with the reason below it.

    The squares are 1.6 median diameters wide. The good ones are spread evenly over those given. The bad ones differ as
    much as possible: one for each reason in turn.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Empty figure without a layout engine. The texts fit below the squares if it is about 1.75 inches times `n` wide
        and 1.6 inches high for each row of squares and of texts.
    picture : ndarray, shape (rows, columns)
        Working picture; all squares share its grey values.
    decisions : sequence of Decision
        Decisions on the particles.
    n : int
        Maximum number of good ones and of bad ones.
    title : str, optional
        Title.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (rows, n)
        Axes of the squares: for good ones, bad ones or both a row of pictures, a row of masks and one for the texts.

    Raises
    ------
    ArgumentError
        If `n` is less than 1.
    """
    check_number("n", n, 1, whole=True)
    good, bad = ([decision for decision in decisions if decision.good is kind] for kind in (True, False))
    groups = [(True, spread(good, n), len(good)), (False, _varied(bad, n), len(bad))]
    groups = [group for group in groups if group[1]]
    heights = [1, 1, 0.6] * max(1, len(groups))
    grid = {"height_ratios": heights, "hspace": 0.05, "left": 0.05, "right": 0.99, "bottom": 0.02, "top": 0.93}
    axes = figure.subplots(len(heights), n, squeeze=False, gridspec_kw=grid)
    for ax in axes.flat:
        ax.set_axis_off()
    figure.suptitle(title or "", fontsize="medium")
    if not groups:
        figure.text(0.5, 0.5, "no particles to show", ha="center", va="center")
        return axes
    diameters = [decision.particle.diameter for decision in decisions]
    size = max(5, math.ceil(TILE * float(np.median(diameters))))
    letters = max(8, round(figure.bbox.width / figure.dpi / n * 72 / (0.55 * POINTS)))
    low, high = np.percentile(picture, (0.5, 99.5))
    scaled = np.clip((np.asarray(picture, np.float32) - low) / ((high - low) or 1), 0, 1)
    for (is_good, chosen, total), rows in zip(groups, axes.reshape(-1, 3, n), strict=True):
        colour, _, word = DECISIONS[is_good]
        words = {"ha": "right", "va": "center", "rotation": 90, "color": colour, "transform": rows[0, 0].transAxes}
        rows[0, 0].text(-0.1, 0, f"{word}, {len(chosen)} of {total}", **words)
        for decision, (above, below) in zip(chosen, rows[:2].T, strict=False):
            particle = decision.particle
            own = label_image([particle.shape] if particle.shape else [], np.shape(picture))
            left, top = round(particle.x) - size // 2, round(particle.y) - size // 2
            for ax, pixels in ((above, scaled), (below, own)):
                ax.imshow(square(pixels, left, top, size), cmap="gray", vmin=0, vmax=1)
                ax.add_artist(_outline(particle, left, top, color=colour))
            reason = "\n".join(textwrap.wrap(decision.reason, letters)[:LINES])
            below.text(0.5, -0.05, reason, fontsize=POINTS, ha="center", va="top", transform=below.transAxes)
    return axes


def _varied(decisions: list[Decision], n: int) -> list[Decision]:
    """Take one decision of each reason in turn, and put those of one reason side by side.

    Reasons that differ only in their numbers are one.
    """
    of_reason: dict[str, list[Decision]] = {}
    for decision in decisions:
        of_reason.setdefault(re.sub(r"[\d.]+", "", decision.reason), []).append(decision)
    turns = itertools.zip_longest(*of_reason.values())
    chosen = [decision for turn in turns for decision in turn if decision is not None][:n]
    return [decision for alike in of_reason.values() for decision in alike if decision in chosen]
