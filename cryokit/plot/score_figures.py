"""Pictures of score maps and of the way from them to picks.

Functions that take axes draw on them; the others return a whole figure, 8.8 inches wide, with an alternative text for
`cryokit.plot.show`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryokit.imaging.frame import Frame
from cryokit.plot.drawing import CURVE_COLOURS, PALETTE, edged
from cryokit.plot.lesson_pictures import WIDTH, describe
from cryokit.plot.pictures import show_micrograph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from cryokit.networks.scoring import ScoreMap

MAP = "viridis"  # probabilities: even to the eye, and without red and green
WINDOWS = (CURVE_COLOURS[4], CURVE_COLOURS[5])


def score_map(
    ax: Axes,
    scores: ScoreMap,
    shape: tuple[int, int],
    values: NDArray | None = None,
    *,
    title: str = "",
    **options: Any,
) -> AxesImage:
    """Draw a score map where it lies on the picture that was scored.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    scores : ScoreMap
        Map.
    shape : tuple of int
        Rows and columns of the picture.
    values : ndarray, shape (rows, columns), optional
        Numbers to draw at the positions; by default the probability of a particle.
    title : str
        Title.
    **options
        Options of `matplotlib.axes.Axes.imshow`.

    Returns
    -------
    matplotlib.image.AxesImage
        What a colour bar needs.
    """
    values = scores.particle if values is None else values
    x, y = scores.frame.to_source([-0.5, values.shape[1] - 0.5], [-0.5, values.shape[0] - 0.5])
    options = {"cmap": MAP, "vmin": 0, "vmax": 1, "interpolation": "nearest"} | options
    drawn = ax.imshow(values, extent=(x[0], x[1], y[1], y[0]), **options)
    ax.set(xticks=[], yticks=[], xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))
    if title:
        ax.set_title(title)
    return drawn


def beside_map(
    picture: NDArray, scores: ScoreMap, frame: Frame, title: str, *, pixel_size: float | None = None
) -> Figure:
    """Draw a prepared micrograph and its score map side by side.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Prepared micrograph.
    scores : ScoreMap
        Map, whose frame lies in the micrograph as stored.
    frame : Frame
        Frame of the picture in the micrograph.
    title : str
        Title of the picture.
    pixel_size : float, optional
        Pixel size of the picture in Angstrom, for a scale bar.
    """
    figure = _figure(4.6)
    left, right = figure.subplots(1, 2)
    show_micrograph(left, picture, title=title, pixel_size=pixel_size)
    rows, columns = scores.particle.shape
    corners = scores.frame.to_source([-0.5, columns - 0.5], [-0.5, rows - 0.5])
    (low_x, high_x), (low_y, high_y) = frame.from_source(*corners)
    drawn = right.imshow(
        scores.particle, vmin=0, vmax=1, extent=(low_x, high_x, high_y, low_y), interpolation="nearest", cmap=MAP
    )
    right.set(xlim=left.get_xlim(), ylim=left.get_ylim(), xticks=[], yticks=[])
    right.set_title("probability of a particle")
    figure.colorbar(drawn, ax=right, shrink=0.8)
    high = float((scores.particle >= 0.5).mean())
    return describe(
        figure, f"{title}, and its score map: bright spots at the particles; {high:.1%} of it is above 0.5."
    )


def next_window(ax: Axes, side: int, step: int, size: int) -> None:
    """Draw two neighbouring windows in the middle of a picture.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes that show the picture.
    side : int
        Columns of the picture.
    step : int
        Pixels from one window to the next.
    size : int
        Side of a window.
    """
    from matplotlib.patches import Rectangle

    corner = (side - size) // 2
    behind = {"facecolor": "0.15", "edgecolor": "none", "pad": 3}
    for number, words in enumerate(("a window", "the next one")):
        left = corner + number * step
        ax.add_patch(Rectangle((left, corner), size, size, fill=False, edgecolor=WINDOWS[number], linewidth=2.2))
        place, side_ = (left + size + 12, "left") if number else (left - 12, "right")
        ax.text(place, corner + 60, words, color=WINDOWS[number], weight="bold", ha=side_, bbox=behind)


def padding_maps(piece: NDArray, maps: Mapping[str, tuple[NDArray, NDArray]]) -> Figure:
    """Draw the scores of a piece of a picture, window by window and all at once, and their difference.

    Parameters
    ----------
    piece : ndarray, shape (rows, columns)
        Piece of the picture.
    maps : mapping of str to (ndarray, ndarray)
        Both maps by the padding of the network.
    """
    figure = _figure(4.4)
    axes = figure.subplots(len(maps), 4, squeeze=False)
    for line, (word, (one_by_one, at_once)) in zip(axes, maps.items(), strict=True):
        show_micrograph(line[0], piece, longest_side=112, title="the piece" if line is axes[0] else "")
        line[0].set_ylabel(f"{word} padding")
        for ax, values, title in ((line[1], one_by_one, "sliding"), (line[2], at_once, "dense")):
            drawn = ax.imshow(values, cmap=MAP, vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[], title=title)
        figure.colorbar(drawn, ax=line[2])
        drawn = line[3].imshow(at_once - one_by_one, cmap="PuOr_r", vmin=-0.5, vmax=0.5)
        line[3].set(xticks=[], yticks=[], title="dense - sliding")
        figure.colorbar(drawn, ax=line[3])
    largest = ", ".join(f"{word} padding {np.abs(b - a).max():.1g}" for word, (a, b) in maps.items())
    return describe(figure, f"Score maps of a piece, sliding and dense. Largest differences: {largest}.")


def bars_of_work(work: Mapping[str, float], xlabel: str) -> Figure:
    """Draw numbers of multiply-adds as bars on a logarithmic axis, each with its share of the first."""
    figure = _figure(0.6 * len(work) + 1.1)
    ax = figure.subplots()
    first = next(iter(work.values()))
    bars = ax.barh(list(work), list(work.values()), color=[CURVE_COLOURS[number] for number in range(len(work))])
    words = [f"{value:.1e}" + ("" if value == first else f"  (1/{first / value:,.0f})") for value in work.values()]
    ax.bar_label(bars, words, padding=4)
    ax.set(xscale="log", xlabel=xlabel, xlim=(min(work.values()) / 5, 60 * first))
    ax.invert_yaxis()
    return describe(
        figure, "Bars: " + "; ".join(f"{name} {word}" for name, word in zip(work, words, strict=True)) + "."
    )


def cleaned(
    picture: NDArray, scores: ScoreMap, areas: NDArray, kept: Mapping[float, NDArray], threshold: float
) -> Figure:
    """Draw the joined areas of a score map, and which of them cleaning leaves out.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Picture that was scored.
    scores : ScoreMap
        Map.
    areas : ndarray of int, shape (rows, columns)
        Joined areas of the last closeness (`cryokit.imaging.score_cleaning.joined_areas`).
    kept : mapping of float to ndarray of bool
        Positions that stay, by closeness.
    threshold : float
        Lowest score of a position.
    """
    figure = _figure(3.5)
    axes = figure.subplots(1, 1 + len(kept))
    colour_of = np.append(0, np.random.default_rng(0).permutation(areas.max()) % 20)
    for ax in axes:
        show_micrograph(ax, picture)
    coloured = np.where(areas > 0, colour_of[areas], np.nan)
    title = f"joined, closeness {list(kept)[-1]:g}"
    score_map(axes[0], scores, picture.shape, coloured, title=title, cmap="tab20", vmax=19, alpha=0.9)
    above = scores.particle >= threshold
    for ax, (closeness, stays) in zip(axes[1:], kept.items(), strict=True):
        fate = np.where(above, np.where(stays, 0.15, 0.95), np.nan)
        score_map(ax, scores, picture.shape, fate, title=f"closeness {closeness:g}", cmap="PuOr_r", alpha=0.9)
    out = ", ".join(f"closeness {closeness:g}: {(above & ~stays).sum()}" for closeness, stays in kept.items())
    return describe(
        figure, f"Areas above {threshold:g} in colours; in orange the positions that cleaning leaves out: {out}."
    )


def boxes(ax: Axes, x: ArrayLike, y: ArrayLike, view: Sequence[str], side: float, *, line: float = 2.2) -> None:
    """Draw a box around each place, in the colour of its view."""
    from matplotlib.collections import PolyCollection

    # One collection, because a poor network has tens of thousands of candidates.
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * side / 2
    colours = [PALETTE.get(name, PALETTE["pick"]) for name in view]
    style = {"facecolors": "none", "edgecolors": colours, "linewidths": line, "path_effects": edged(line)}
    ax.add_collection(PolyCollection(np.stack([x, y], axis=-1)[:, None] + corners, **style), autolim=False)
    ax.plot(x, y, "o", color="white", markeredgecolor="black", markersize=4)


def look_at(ax: Axes, x: float, y: float, reach: float, shape: tuple[int, int]) -> None:
    """Show the surroundings of a place of a picture, or what is as near to it as the border allows."""
    x, y = np.clip([x, y], reach, np.maximum(np.array(shape[::-1]) - reach, reach))
    ax.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))


def explain_views(ax: Axes, views: Sequence[str]) -> None:
    """Add a legend of the colours of views."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=PALETTE[name], linewidth=2.5, label=name) for name in views]
    ax.legend(handles=handles, loc="upper left", facecolor="0.2", labelcolor="white")


def overlap_curves(limit: float) -> tuple[Figure, dict[str, float]]:
    """Draw the intersection over union of boxes and of discs as their centres move apart.

    Parameters
    ----------
    limit : float
        Limit of the intersection over union.

    Returns
    -------
    figure : matplotlib.figure.Figure
    reached : dict of str to float
        Distance in diameters at which each reaches the limit.
    """
    away = np.linspace(0, 1, 201)
    step = away / np.sqrt(2)
    lens = (2 * np.arccos(away) - 2 * away * np.sqrt(1 - away**2)) / np.pi
    curves = {
        "boxes, side by side": ((1 - away) / (1 + away), "solid"),
        "boxes, along the diagonal": ((1 - step) ** 2 / (2 - (1 - step) ** 2), "dashed"),
        "discs": (lens / (2 - lens), "dotted"),
    }
    figure = _figure(3.8)
    ax = figure.subplots()
    for number, (words, (values, line)) in enumerate(curves.items()):
        ax.plot(away, values, linestyle=line, linewidth=2, color=CURVE_COLOURS[number], label=words)
    ax.axhline(limit, color="0.5", linewidth=1)
    ax.text(1, limit + 0.02, f"limit {limit:g}", ha="right", color="0.3")
    ax.set(xlabel="distance of the centres (diameters)", ylabel="IoU", xlim=(0, 1), ylim=(0, 1))
    ax.legend()
    ax.grid(alpha=0.3)
    reached = {words: float(np.interp(-limit, -values, away)) for words, (values, _) in curves.items()}
    words = "; ".join(f"{name} {distance:.2f} diameters apart" for name, distance in reached.items())
    return describe(figure, f"IoU against the distance of the centres. It is {limit:g} for {words}."), reached


def reliability_curves(tables: Mapping[str, pd.DataFrame], errors: Mapping[str, float]) -> Figure:
    """Draw the share of particles against the mean score of bins, with 95 % intervals of the share.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Results of `cryokit.evaluate.reliability.reliability` by title.
    errors : mapping of str to float
        Expected calibration errors.
    """
    figure = _figure(5)
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="dashed")
    for number, (title, table) in enumerate(tables.items()):
        low, high = wilson(table["true"] * table["picks"], table["picks"])
        bars = [table["true"] - low, high - table["true"]]
        label = f"{title}: error {errors[title]:.3f}"
        ax.errorbar(
            table["score"], table["true"], np.clip(bars, 0, 1), color=CURVE_COLOURS[number], marker="os^D"[number % 4],
            capsize=3, label=label,
        )  # fmt: skip
    ax.set(xlabel="mean score of a bin", ylabel="share of particles", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    ax.legend(loc="upper left")
    words = "; ".join(f"{title} {error:.3f}" for title, error in errors.items())
    return describe(figure, f"Share of particles against the score, with 95 % intervals. Calibration errors: {words}.")


def wilson(successes: ArrayLike, trials: ArrayLike, z: float = 1.96) -> tuple[NDArray, NDArray]:
    """Return Wilson's interval of a share, which stays sensible for few trials and for shares of 0 and 1.

    Parameters
    ----------
    successes, trials : array_like, shape (n,)
        Counts; trials at least 1.
    z : float
        Quantile of the normal distribution, 1.96 for 95 %.

    Returns
    -------
    low, high : ndarray, shape (n,)

    Notes
    -----
    Wilson 1927, J. Am. Stat. Assoc. 22:209.

    Examples
    --------
    >>> [round(float(end[0]), 3) for end in wilson([9], [10])]
    [0.596, 0.982]
    """
    k, n = np.asarray(successes, float), np.asarray(trials, float)
    share, shrink = k / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")
