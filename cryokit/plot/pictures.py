"""Pictures of micrographs, picks and curves.

Every function draws on the matplotlib axes that it is given and returns them, so the same code serves a notebook
(``plt.subplots()``), a script and a report. `figure` makes axes without pyplot and without a display. Micrographs are
drawn as stored, with the first row at the top, in the pixel coordinates of the picks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.files import replacing
from cryokit._util.validation import check_choice, check_number, check_picture
from cryokit.coordinates import IGNORE, validate
from cryokit.errors import ArgumentError
from cryokit.imaging.binning import bin_integer
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import unusable_regions
from cryokit.plot.drawing import (
    CURVE_COLOURS,
    LINE,
    MASK_COLOUR,
    PALETTE,
    edged,
    legend_below,
    set_title,
    show_grey,
    show_mosaic,
    square,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from cryokit.evaluate import Evaluation
    from cryokit.micrograph import Micrograph
    from cryokit.networks.patches import TrainingSet

# kind of circle -> colour, line style and words for the legend; in the order of drawing, so that true picks lie on top
STYLES = {
    "ignore": (PALETTE["ignored"], "dotted", "ignore label"),
    "label": (PALETTE["particle"], "solid", "particle"),
    "missed": (PALETTE["particle"], "dashed", "missed particle"),
    "ignored": (PALETTE["ignored"], "solid", "pick not counted"),
    "pick": (PALETTE["pick"], "solid", "pick"),
    "false": (PALETTE["false"], "dashdot", "false pick"),
    "true": (PALETTE["true"], "solid", "true pick"),
}
CURVE_LINES = ("solid", "dashed", "dashdot", "dotted")


def figure(rows: int = 1, columns: int = 1, *, width: float = 6.0, height: float = 6.0) -> tuple[Figure, np.ndarray]:
    """Make a figure that needs no display and leaves pyplot's state alone.

    Parameters
    ----------
    rows, columns : int
        Number of axes down and across.
    width, height : float
        Size of each of them in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : ndarray of matplotlib.axes.Axes, shape (rows, columns)

    Examples
    --------
    >>> picture, axes = figure(1, 2)
    >>> axes.shape
    (1, 2)
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return picture, picture.subplots(rows, columns, squeeze=False)


def save(picture: Figure, path: str | os.PathLike, *, dpi: int = 150) -> None:
    """Write a figure in the format of the suffix of `path` (png, pdf, svg, ...), whole or not at all.

    Parameters
    ----------
    picture : matplotlib.figure.Figure
        Figure to write.
    path : str or path
        File to write.
    dpi : int
        Pixels to an inch.

    Raises
    ------
    ArgumentError
        If matplotlib does not know the suffix.
    """
    suffix = os.path.splitext(os.fspath(path))[1][1:].lower()
    check_choice(f"suffix of {path}", suffix, sorted(picture.canvas.get_supported_filetypes()))
    with replacing(path) as temporary:
        picture.savefig(temporary, dpi=dpi, bbox_inches="tight")


def show_micrograph(
    ax: Axes,
    micrograph: NDArray | Micrograph,
    *,
    percentiles: tuple[float, float] = (1.0, 99.0),
    longest_side: int = 1024,
    title: str | None = None,
    pixel_size: float | None = None,
) -> Axes:
    """Draw a micrograph in grey, with a scale bar if its pixel size is known.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    micrograph : ndarray, shape (rows, columns), or Micrograph
        Micrograph, drawn as stored: row 0 at the top, never flipped.
    percentiles : tuple of float
        Percentiles of the grey values that become black and white.
    longest_side : int
        A larger picture is averaged over squares of whole pixels until its longer side is at most twice this.
    title : str, optional
        Title. By default the micrograph's name, if it has one.
    pixel_size : float, optional
        Pixel size in Angstrom, for the scale bar. By default that of the `Micrograph`.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`; its data coordinates are pixels of the micrograph, the centre of the first pixel at 0.
    """
    data = _data(micrograph)
    factor = max(1, min(max(data.shape) // longest_side, *data.shape))
    binned = bin_integer(data, factor).data
    rows, columns = binned.shape
    edges = (-0.5, columns * factor - 0.5, rows * factor - 0.5, -0.5)
    show_grey(ax, binned, percentiles=percentiles, extent=edges, origin="upper")
    set_title(ax, getattr(micrograph, "name", "") if title is None else title)
    return scale_bar(ax, getattr(micrograph, "pixel_size", None) if pixel_size is None else pixel_size)


def scale_bar(ax: Axes, pixel_size: float | None, *, step: float = 1.0) -> Axes:
    """Draw a scale bar in nanometres; without a pixel size nothing is drawn.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes that show a picture in pixels.
    pixel_size : float or None
        Pixel size of the micrograph in Angstrom.
    step : float
        Pixels of the micrograph per pixel of the axes, where a binned picture is shown.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`. The bar keeps a round length as the limits of the axes change.
    """
    if pixel_size:
        from cryokit.plot.scale_bars import ScaleBar

        ax.add_artist(ScaleBar(pixel_size * step))
    return ax


def overlay(
    ax: Axes,
    micrograph: NDArray | Micrograph,
    picks: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
    *,
    evaluation: Evaluation | None = None,
    name: str | None = None,
    diameter: float | None = None,
    legend: bool = True,
    **options: Any,
) -> Axes:
    """Draw a micrograph with its picks as circles; with labels or an evaluation, mark which picks are right.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    micrograph : ndarray, shape (rows, columns), or Micrograph
        Micrograph.
    picks, labels : pandas.DataFrame, optional
        Tables of picks, of which the rows of this micrograph are drawn. If both are given, the picks are matched to the
        labels as `cryokit.evaluate.evaluate` does by default.
    evaluation : Evaluation, optional
        Evaluation whose picks and labels are drawn instead, with its matching and threshold.
    name : str, optional
        Name of the micrograph in the tables. By default that of the `Micrograph`; an array, which has none, takes
        tables of one micrograph.
    diameter : float, optional
        Diameter of the circles in pixels. By default each pick's own, or the median of the labels', or a fortieth of
        the micrograph's width.
    legend : bool
        Whether to explain the circles and count them.
    **options
        Options of `show_micrograph`.

    Raises
    ------
    ArgumentError
        If there is nothing to draw, or the tables have several micrographs and `name` does not say which to draw.
    """
    if evaluation is not None:
        picks, labels = evaluation.picks, evaluation.labels
    tables = [table for table in (picks, labels) if table is not None]
    if not tables:
        raise ArgumentError("nothing to draw on the micrograph: give picks, labels or evaluation")
    name = name or getattr(micrograph, "name", None) or _only_name(*tables)
    if len(tables) == 2 and evaluation is None:
        from cryokit.evaluate import evaluate

        picks, labels = (table[table["micrograph"] == name] for table in tables)
        evaluation = evaluate(picks, labels, micrographs=[name], diameter=diameter, bootstrap=0)
    if evaluation is not None:
        drawn = [(table, table["outcome"]) for table in (evaluation.picks, evaluation.labels)]
    elif labels is None:
        drawn = [(validate(picks), "pick")]
    else:
        drawn = [(validate(labels), np.where(labels["view"] == IGNORE, "ignore", "label"))]
    marks = pd.concat([table[["micrograph", "x", "y", "diameter"]].assign(kind=kind) for table, kind in drawn])
    marks = marks[marks["micrograph"] == name]
    usual = marks["diameter"].median() if marks["diameter"].notna().any() else _data(micrograph).shape[1] / 40
    marks = marks.assign(diameter=diameter or marks["diameter"].fillna(usual))

    show_micrograph(ax, micrograph, **options)
    handles = [_circles(ax, marks[marks["kind"] == kind], kind) for kind in STYLES if (marks["kind"] == kind).any()]
    if legend:
        legend_below(ax, handles[::-1], 3, dark=True)
    return ax


def save_overlay(
    micrograph: Micrograph, picks: pd.DataFrame, path: str | os.PathLike, title: str | None = None
) -> None:
    """Write a picture of a micrograph with its picks, and with lines around what is no usable ice.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph.
    picks : pandas.DataFrame
        Table of its picks.
    path : path-like
        Picture file.
    title : str, optional
        Title. By default the micrograph's name.
    """
    rows, columns = micrograph.data.shape
    canvas, axes = figure(width=8, height=8 * rows / columns)
    overlay(axes[0, 0], micrograph, picks, name=micrograph.name, title=title)
    outline(axes[0, 0], unusable_regions(micrograph))
    save(canvas, path)


def outline(ax: Axes, mask: Picture) -> Axes:
    """Draw a line around the regions of a mask.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes that show the micrograph.
    mask : Picture
        Mask, such as `cryokit.imaging.unusable_regions` returns, and its frame in the micrograph.
    """
    if mask.data.any():
        # Padded, so that the line closes at the borders.
        rows, columns = (np.arange(-1, size + 1) for size in mask.data.shape)
        x, _ = mask.frame.to_source(columns, np.zeros(len(columns)))
        _, y = mask.frame.to_source(np.zeros(len(rows)), rows)
        limits = ax.get_xlim(), ax.get_ylim()
        line = ax.contour(x, y, np.pad(mask.data, 1), levels=[0.5], colors=MASK_COLOUR, linewidths=LINE)
        line.set_path_effects(edged(LINE))
        ax.set(xlim=limits[0], ylim=limits[1])
    return ax


def precision_recall(ax: Axes, evaluations: Mapping[str, Evaluation] | Evaluation, *, legend: bool = True) -> Axes:
    """Draw precision-recall curves over lines of equal F1.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    evaluations : mapping of str to Evaluation, or Evaluation
        Evaluations by the names that the legend shows, with average precision and F1. The dot is the operating point:
        the picks as given, or at or above the threshold of the evaluation.
    legend : bool
        Whether to draw the legend.

    Notes
    -----
    The area under the steps is the average precision: there is no interpolation, and no line from the last point to
    recall 1, which the picks do not reach.
    """
    if not isinstance(evaluations, Mapping):
        evaluations = {"": evaluations}
    for f1 in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(f1 / (2 - f1), 1, 100)
        ax.plot(recall, f1 * recall / (2 * recall - f1), color="0.8", linewidth=0.8, zorder=0)
        ax.annotate(f"F1 {f1:g}", (1, f1 / (2 - f1)), color="0.4", fontsize="small", ha="right", va="bottom")
    for index, (name, evaluation) in enumerate(evaluations.items()):
        colour = CURVE_COLOURS[index % len(CURVE_COLOURS)]
        line = CURVE_LINES[index % len(CURVE_LINES)]
        label = f"AP {evaluation.average_precision:.3f}, F1 {evaluation.f1:.3f}"
        label = f"{name}: {label}" if name else label
        if len(evaluation.curve) > 1:
            draw_steps(ax, evaluation.curve, color=colour, linestyle=line, linewidth=1.5, label=label)
            label = None
        point = {"marker": "o", "markersize": 7, "color": colour, "markeredgecolor": "white"}
        ax.plot(evaluation.recall, evaluation.precision, linestyle="none", label=label, **point)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    ax.set_aspect("equal")
    if legend and evaluations:
        ax.legend(loc="lower left", fontsize="small")
    return ax


def draw_steps(ax: Axes, curve: Mapping[str, Any] | pd.DataFrame, **line: Any) -> None:
    """Draw a precision-recall curve, with the columns recall and precision, as steps that begin at recall 0."""
    recall, precision = (np.asarray(curve[column], float) for column in ("recall", "precision"))
    ax.plot(np.append(0.0, recall), np.append(precision[:1], precision), drawstyle="steps-pre", **line)


def contact_sheet(
    ax: Axes,
    micrographs: NDArray | Micrograph | Iterable[Micrograph],
    picks: pd.DataFrame,
    n: int = 64,
    *,
    size: int | None = None,
    columns: int | None = None,
) -> Axes:
    """Draw the `n` picks with the highest scores side by side, best first; without scores, the first `n`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    micrographs : ndarray, Micrograph, or iterable of Micrograph
        Micrographs to cut the picks from; an array takes picks of one micrograph.
    picks : pandas.DataFrame
        Table of picks; those on other micrographs are left out.
    n : int
        Maximum number of picks.
    size : int, optional
        Side of the squares in pixels. By default one and a half diameters.
    columns : int, optional
        Number of squares in a row. By default the sheet is about square.

    Raises
    ------
    ArgumentError
        If there are no picks on the micrographs, or neither size nor diameters are known.
    """
    picks = validate(picks)
    if isinstance(micrographs, np.ndarray):
        arrays, sizes = {_only_name(picks): micrographs}, {None}
    else:
        several = [micrographs] if hasattr(micrographs, "data") else list(micrographs)
        sizes = {getattr(micrograph, "pixel_size", None) for micrograph in several}
        arrays = {micrograph.name: micrograph.data for micrograph in several}
    picks = picks[picks["micrograph"].isin(list(arrays))].sort_values("score", ascending=False, kind="stable").head(n)
    if not len(picks):
        raise ArgumentError(f"picks: there are none on the micrographs {', '.join(arrays) or '(none given)'}")
    if size is None:
        if picks["diameter"].isna().all():
            raise ArgumentError("the picks have no diameter; give the size of the squares in pixels (size=)")
        size = max(3, round(1.5 * picks["diameter"].median()))
    squares = []
    for pick in picks.itertuples():
        left, top = round(pick.x) - size // 2, round(pick.y) - size // 2
        squares.append(_stretched(square(arrays[pick.micrograph], left, top, size, outside=np.nan)))
    columns = columns or int(np.ceil(np.sqrt(len(squares))))
    show_mosaic(ax, squares, columns, vmin=0, vmax=1)
    ax.set_axis_off()
    return scale_bar(ax, sizes.pop() if len(sizes) == 1 else None)


def training_sheet(ax: Axes, training_set: TrainingSet, per_class: int = 8, *, seed: int = 0) -> Axes:
    """Draw patches of a training set, drawn at random, with a row for each class.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    training_set : TrainingSet
        Training set, or the `subset` of a split.
    per_class : int
        Maximum number of patches of each class, at least 1; places stay empty where there are fewer.
    seed : int
        Random seed of the choice.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`; each row has the name of its class and its number of patches at the left.

    Raises
    ------
    ArgumentError
        If `per_class` is less than 1.
    """
    check_number("per_class", per_class, 1, whole=True)
    rng = np.random.default_rng(seed)
    names, patches = [], []
    for index, name in enumerate(training_set.classes):
        members = np.flatnonzero(training_set.labels == index)
        names.append(f"{name} ({len(members)})")
        chosen = rng.permutation(members)[:per_class]
        patches += [_stretched(training_set.patches[member].astype(np.float32)) for member in chosen]
        patches += [None] * (per_class - len(chosen))
    show_mosaic(ax, patches, per_class, names, vmin=0, vmax=1)
    return ax


def _data(micrograph: NDArray | Micrograph) -> NDArray:
    return check_picture("micrograph", micrograph if isinstance(micrograph, np.ndarray) else micrograph.data)


def _only_name(*tables: pd.DataFrame) -> str:
    names = pd.concat([table["micrograph"] for table in tables]).unique()
    if len(names) > 1:
        first = ", ".join(map(str, names[:3]))
        raise ArgumentError(f"the tables have {len(names)} micrographs ({first}, ...); say which to draw (name=)")
    return names[0] if len(names) else ""


def _circles(ax: Axes, marks: pd.DataFrame, kind: str) -> Line2D:
    """Draw circles in pixels of the micrograph, and return their line of the legend."""
    from matplotlib.collections import EllipseCollection

    colour, line, _ = STYLES[kind]
    circles = EllipseCollection(
        widths=marks["diameter"],
        heights=marks["diameter"],
        angles=np.zeros(len(marks)),
        units="xy",
        offsets=marks[["x", "y"]].to_numpy(),
        offset_transform=ax.transData,
        facecolors="none",
        edgecolors=colour,
        linestyles=line,
        linewidths=LINE,
        path_effects=edged(LINE),
    )
    ax.add_collection(circles, autolim=False)
    return legend_line(kind, f" ({len(marks)})")


def legend_line(kind: str, suffix: str = "", **options: Any) -> Line2D:
    """Return the line of a legend that explains one of the `STYLES`."""
    from matplotlib.lines import Line2D

    colour, line, words = STYLES[kind]
    return Line2D([], [], color=colour, linestyle=line, label=f"{words}{suffix}", **options)


def _stretched(values: NDArray) -> NDArray:
    """Map the 1st and 99th percentile to 0 and 1; NaN, and values without any difference, become mid-grey."""
    inside = values[np.isfinite(values)]
    low, high = np.percentile(inside, (1, 99)) if inside.size else (0.0, 0.0)
    if high <= low:
        return np.full(values.shape, 0.5)
    return np.nan_to_num(np.clip((values - low) / (high - low), 0, 1), nan=0.5)
