"""Pictures of micrographs, picks and curves.

Every function draws on the matplotlib axes that it is given and returns them, so the same code serves a notebook
(``plt.subplots()``), a script and a report. `figure` makes axes without pyplot and without a display. Micrographs are
drawn as stored, the first row at the top, in the pixel coordinates of the picks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cryokit._util.files import replacing
from cryokit.coordinates import IGNORE, validate
from cryokit.errors import CoordinateError, DatasetError, MicrographError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from cryokit.evaluate import Evaluation
    from cryokit.micrograph import Micrograph
    from cryokit.networks.patches import TrainingSet

# what -> colour (Okabe and Ito's set, told apart by the colour-blind), line style and words for the legend; in the
# order of drawing, so that true picks lie on top
STYLES = {
    "ignore": ("#FFFFFF", "dotted", "ignore label"),
    "label": ("#F0E442", "solid", "particle"),
    "missed": ("#F0E442", "dashed", "missed particle"),
    "ignored": ("#FFFFFF", "solid", "pick not counted"),
    "pick": ("#56B4E9", "solid", "pick"),
    "false": ("#D55E00", "dashdot", "false pick"),
    "true": ("#009E73", "solid", "true pick"),
}
CURVE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
CURVE_LINES = ("solid", "dashed", "dashdot", "dotted")


def figure(rows: int = 1, columns: int = 1, *, width: float = 6.0, height: float = 6.0) -> tuple[Figure, np.ndarray]:
    """Make a figure that needs no display and leaves pyplot's state alone.

    Parameters
    ----------
    rows, columns : int
        How many axes.
    width, height : float
        Inches for each of them.

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

    Raises
    ------
    CryokitError
        When matplotlib does not know the suffix.
    """
    known = picture.canvas.get_supported_filetypes()
    suffix = os.path.splitext(os.fspath(path))[1][1:].lower()
    if suffix not in known:
        raise CoordinateError(
            f"{path}: a picture is written as one of {', '.join(sorted(known))}; choose such a suffix"
        )
    with replacing(path) as temporary:
        picture.savefig(temporary, dpi=dpi, bbox_inches="tight")


def show_micrograph(
    ax: Axes,
    micrograph: np.ndarray | Micrograph,
    *,
    percentiles: tuple[float, float] = (1.0, 99.0),
    longest_side: int = 1024,
    title: str | None = None,
) -> Axes:
    """Draw a micrograph in grey.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    micrograph : ndarray, shape (rows, columns), or Micrograph
        Drawn as stored: row 0 at the top, never flipped.
    percentiles : tuple of float
        What becomes black and what white.
    longest_side : int
        A larger picture is averaged over squares of whole pixels until its longer side is at most twice this.
    title : str, optional
        By default the micrograph's name, where it has one.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`; its data coordinates are pixels of the micrograph, the first pixel's centre at 0.
    """
    data = _data(micrograph)
    factor = max(1, max(data.shape) // longest_side)
    rows, columns = (side // factor for side in data.shape)
    small = data[: rows * factor, : columns * factor].astype(np.float32)
    small = small.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    low, high = np.percentile(small, percentiles)
    edges = (-0.5, columns * factor - 0.5, rows * factor - 0.5, -0.5)
    ax.imshow(small, cmap="gray", vmin=low, vmax=high if high > low else low + 1, extent=edges, origin="upper")
    ax.set_xticks([])
    ax.set_yticks([])
    title = getattr(micrograph, "name", "") if title is None else title
    if title:
        ax.set_title(title, fontsize="medium")
    return ax


def overlay(
    ax: Axes,
    micrograph: np.ndarray | Micrograph,
    picks: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
    *,
    evaluation: Evaluation | None = None,
    name: str | None = None,
    diameter: float | None = None,
    legend: bool = True,
    **shown,
) -> Axes:
    """Draw a micrograph with its picks as circles; with labels or an evaluation, say which picks are right.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    micrograph : ndarray, shape (rows, columns), or Micrograph
    picks, labels : pandas.DataFrame, optional
        Tables of picks; only rows of this micrograph are drawn. Given both, the picks are matched to the labels as
        `cryokit.evaluate.evaluate` does by default.
    evaluation : Evaluation, optional
        Draw its picks and labels instead, with its matching and threshold.
    name : str, optional
        The name of the micrograph in the tables; by default that of the `Micrograph`. An array without a name takes
        tables of one micrograph.
    diameter : float, optional
        Of the circles, in pixels. By default each pick's own, else the median of the labels', else a fortieth of the
        micrograph's width.
    legend : bool
        Whether to explain the circles and count them.
    **shown
        Passed to `show_micrograph`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    CoordinateError
        When there is nothing to draw, or the tables hold several micrographs and it is not said which to draw.
    """
    if evaluation is not None:
        picks, labels = evaluation.picks, evaluation.labels
    tables = [table for table in (picks, labels) if table is not None]
    if not tables:
        raise CoordinateError("nothing to draw on the micrograph: give picks, labels or an evaluation")
    name = name or getattr(micrograph, "name", None) or _only_name(*tables)
    if evaluation is None and len(tables) == 2:
        from cryokit.evaluate import evaluate

        picks, labels = (table[table["micrograph"] == name] for table in tables)
        evaluation = evaluate(picks, labels, micrographs=[name], diameter=diameter, bootstrap=0)
        picks, labels = evaluation.picks, evaluation.labels
    if evaluation is not None:
        drawn = [(picks, picks["outcome"]), (labels, labels["outcome"])]
    elif labels is None:
        drawn = [(validate(picks), "pick")]
    else:
        labels = validate(labels)
        drawn = [(labels, np.where(labels["view"] == IGNORE, "ignore", "label"))]
    marks = pd.concat([table[["micrograph", "x", "y", "diameter"]].assign(what=what) for table, what in drawn])
    marks = marks[marks["micrograph"] == name]
    usual = marks["diameter"].median() if marks["diameter"].notna().any() else _data(micrograph).shape[1] / 40
    marks = marks.assign(diameter=diameter or marks["diameter"].fillna(usual))

    show_micrograph(ax, micrograph, **shown)
    handles = [_circles(ax, marks[marks["what"] == what], what) for what in STYLES if (marks["what"] == what).any()]
    if legend and handles:
        # Below the picture it hides nothing; on dark grey yellow and white are seen.
        ax.legend(
            handles=handles[::-1],
            loc="upper center",
            bbox_to_anchor=(0.5, -0.01),
            ncols=3,
            fontsize="small",
            facecolor="0.2",
            labelcolor="white",
        )
    return ax


def precision_recall(ax: Axes, evaluations: Mapping[str, Evaluation] | Evaluation, *, legend: bool = True) -> Axes:
    """Draw precision-recall curves over lines of equal F1.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    evaluations : mapping of str to Evaluation, or Evaluation
        The names go into the legend, with average precision and F1. The dot is the operating point: the picks as given,
        or at or above the threshold of the evaluation.
    legend : bool
        Whether to draw the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    The curves are the steps that the average precision is the area of: no interpolation, and no line from the last
    point to recall 1, which the picks do not reach.
    """
    if not isinstance(evaluations, Mapping):
        evaluations = {"": evaluations}
    for f1 in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(f1 / (2 - f1), 1, 100)
        ax.plot(recall, f1 * recall / (2 * recall - f1), color="0.8", linewidth=0.8, zorder=0)
        ax.annotate(f"F1 {f1:g}", (1, f1 / (2 - f1)), color="0.5", fontsize="x-small", ha="right", va="bottom")
    for index, (name, evaluation) in enumerate(evaluations.items()):
        colour = CURVE_COLOURS[index % len(CURVE_COLOURS)]
        line = CURVE_LINES[index % len(CURVE_LINES)]
        curve = evaluation.curve
        label = f"AP {evaluation.average_precision:.3f}, F1 {evaluation.f1:.3f}"
        label = f"{name}: {label}" if name else label
        if len(curve) > 1:
            recall = np.concatenate([[0.0], curve["recall"]])
            precision = np.concatenate([curve["precision"].iloc[:1], curve["precision"]])
            ax.plot(recall, precision, drawstyle="steps-pre", color=colour, linestyle=line, linewidth=1.5, label=label)
            label = None
        ax.plot(
            *(evaluation.recall, evaluation.precision),
            **dict(marker="o", markersize=7, color=colour, markeredgecolor="white", linestyle="none", label=label),
        )
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    ax.set_aspect("equal")
    if legend and evaluations:
        ax.legend(loc="lower left", fontsize="small")
    return ax


def contact_sheet(
    ax: Axes,
    micrographs: np.ndarray | Micrograph | Iterable[Micrograph],
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
    micrographs : ndarray, Micrograph, or iterable of Micrograph
        Where the picks are cut from; an array takes picks of one micrograph.
    picks : pandas.DataFrame
        A table of picks; those on other micrographs are left out.
    n : int
        How many to show at most.
    size : int, optional
        Side of the squares cut out, in pixels; by default one and a half diameters.
    columns : int, optional
        Squares in a row; by default the sheet is about square.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    CoordinateError
        When there are no picks on the micrographs, or neither size nor diameters are known.
    """
    picks = validate(picks)
    if isinstance(micrographs, np.ndarray):
        arrays = {_only_name(picks): micrographs}
    else:
        several = [micrographs] if hasattr(micrographs, "data") else micrographs
        arrays = {micrograph.name: micrograph.data for micrograph in several}
    picks = picks[picks["micrograph"].isin(list(arrays))].sort_values("score", ascending=False, kind="stable").head(n)
    if not len(picks):
        raise CoordinateError(f"there are no picks on the micrographs {', '.join(arrays) or '(none given)'} to show")
    if size is None:
        if picks["diameter"].isna().all():
            raise CoordinateError("the picks have no diameter; give the size of the squares in pixels (size=)")
        size = max(3, round(1.5 * picks["diameter"].median()))
    columns = columns or int(np.ceil(np.sqrt(len(picks))))
    rows, gap = -(-len(picks) // columns), max(1, size // 32)
    sheet = np.ones((rows * (size + gap) - gap, columns * (size + gap) - gap), np.float32)
    for index, pick in enumerate(picks.itertuples()):
        square = _cut(arrays[pick.micrograph], pick.x, pick.y, size)
        top, left = (size + gap) * (index // columns), (size + gap) * (index % columns)
        sheet[top : top + size, left : left + size] = square
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, origin="upper")
    ax.set_axis_off()
    return ax


def training_sheet(ax: Axes, training_set: TrainingSet, per_class: int = 8, *, seed: int = 0) -> Axes:
    """Draw patches of a training set, a row for each class, drawn at random.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    training_set : TrainingSet
        All of it, or the `subset` of a split.
    per_class : int
        How many patches of each class to show at most; places stay empty where there are fewer.
    seed : int
        Another seed shows others.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`; each row is named at its left, with the class's number of patches.

    Raises
    ------
    DatasetError
        When `per_class` is less than 1.
    """
    if per_class < 1:
        raise DatasetError(f"per_class {per_class!r}: show at least one patch of each class")
    size, labels = training_set.size, training_set.labels
    gap = max(1, size // 32)
    sheet = np.ones((len(training_set.classes) * (size + gap) - gap, per_class * (size + gap) - gap), np.float32)
    rng = np.random.default_rng(seed)
    names = []
    for row, name in enumerate(training_set.classes):
        members = np.flatnonzero(labels == row)
        names.append(f"{name} ({len(members)})")
        for column, index in enumerate(rng.permutation(members)[:per_class]):
            top, left = row * (size + gap), column * (size + gap)
            sheet[top : top + size, left : left + size] = _stretched(training_set.patches[index].astype(np.float32))
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, origin="upper")
    ax.set_yticks((size - 1) / 2 + (size + gap) * np.arange(len(names)), names)
    ax.set_xticks([])
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
    return ax


def _data(micrograph: np.ndarray | Micrograph) -> np.ndarray:
    data = micrograph if isinstance(micrograph, np.ndarray) else micrograph.data
    if data.ndim != 2 or not data.size:
        raise MicrographError(f"a micrograph is an array (rows, columns); this one has the shape {data.shape}")
    return data


def _only_name(*tables: pd.DataFrame) -> str:
    names = pd.concat([table["micrograph"] for table in tables]).unique()
    if len(names) > 1:
        raise CoordinateError(
            f"the tables hold {len(names)} micrographs ({', '.join(map(str, names[:3]))}, ...): draw one at a time "
            "and name it (name=)"
        )
    return names[0] if len(names) else ""


def _circles(ax: Axes, marks: pd.DataFrame, what: str) -> Line2D:
    """Draw circles in pixels of the micrograph; return their line of the legend."""
    from matplotlib.collections import EllipseCollection
    from matplotlib.lines import Line2D

    colour, line, words = STYLES[what]
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
        linewidths=1.4,
    )
    ax.add_collection(circles, autolim=False)
    return Line2D([], [], color=colour, linestyle=line, label=f"{words} ({len(marks)})")


def _cut(data: np.ndarray, x: float, y: float, size: int) -> np.ndarray:
    """Return the square around a centre with grey values stretched to 0 ... 1; what lies outside is mid-grey."""
    left, top = round(x) - size // 2, round(y) - size // 2
    inside = data[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)]
    square = np.full((size, size), 0.5, np.float32)
    if inside.size:
        row, column = max(0, -top), max(0, -left)
        square[row : row + inside.shape[0], column : column + inside.shape[1]] = _stretched(inside)
    return square


def _stretched(values: np.ndarray) -> np.ndarray:
    """Map the 1st and 99th percentile to 0 and 1; values without any difference become mid-grey."""
    low, high = np.percentile(values, (1, 99))
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.full(values.shape, 0.5)
