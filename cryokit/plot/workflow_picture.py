"""The workflow of DeepCryoPicker as one picture, with a mark on the step that a lesson is about.

Our own drawing of what the paper's figures 1 and 9 tell: component 1 makes a training set without labels, component 2
trains a network with it and picks.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from cryokit.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Step(NamedTuple):
    """A box of the picture."""

    words: str
    lesson: str  # number of the lesson about it
    component: int  # 0: the micrographs
    x: float  # place of its centre, in widths of a box
    y: float


STEPS = {
    "micrographs": Step("micrographs", "00", 0, 0.0, 0.5),
    "preprocessing": Step("preprocessing", "01", 1, 1.3, 1.0),
    "clustering": Step("clustering,\nmasks, shapes", "02", 1, 2.5, 1.0),
    "selection": Step("selection of\ngood particles", "03", 1, 3.7, 1.0),
    "training set": Step("training set", "03", 1, 4.9, 1.0),
    "evaluation": Step("evaluation", "06", 2, 1.3, 0.0),
    "cleaning": Step("cleaning,\nsuppression", "05", 2, 2.5, 0.0),
    "picking": Step("picking,\nscore map", "05", 2, 3.7, 0.0),
    "training": Step("training\na network", "04", 2, 4.9, 0.0),
}
COMPONENTS = {
    1: ("Component 1: a training set without labels", "#FBEBC8"),
    2: ("Component 2: picking with a network", "#CFE6F5"),
}
LESSONS = tuple(sorted({step.lesson for step in STEPS.values()}))
_WIDTH, _HEIGHT = 1.0, 0.42  # of a box
_HERE = "#0072B2"


def workflow(here: str | int | None = None) -> Figure:
    """Draw the workflow and mark the steps that a lesson is about.

    Parameters
    ----------
    here : str or int, optional
        Number of the lesson, such as ``"03"`` or 3, whose steps are dark and marked *you are here*; none by default.

    Returns
    -------
    matplotlib.figure.Figure
        Figure with an alternative text (`cryokit.plot.show`), 8.8 inches wide, with letters of 11 points and more.

    Raises
    ------
    ArgumentError
        If no step belongs to that lesson.

    Examples
    --------
    >>> picture = workflow(here="03")
    """
    from cryokit.plot.lesson_pictures import WIDTH, describe
    from cryokit.plot.pictures import figure

    lesson = None if here is None else f"{here:0>2}"
    if lesson is not None and lesson not in LESSONS:
        raise ArgumentError(f"here must be the number of a lesson, {', '.join(LESSONS)}, not {here!r}")
    picture, axes = figure(width=WIDTH, height=3.5)
    ax = axes[0, 0]
    _draw_components(ax)
    for step in STEPS.values():
        _draw_step(ax, step, step.lesson == lesson)
    _draw_arrows(ax)
    ax.set(xlim=(-0.6, 5.5), ylim=(-0.42, 1.62))
    ax.set_axis_off()
    describe(picture, _description(lesson))
    return picture


def _draw_components(ax: Axes) -> None:
    """Draw the two coloured fields and their names."""
    from matplotlib.patches import FancyBboxPatch

    for component, (words, colour) in COMPONENTS.items():
        y = 1.0 if component == 1 else 0.0
        style = "round,pad=0,rounding_size=0.06"
        field = FancyBboxPatch((0.68, y - 0.36), 4.77, 0.82, boxstyle=style, facecolor=colour, edgecolor="none")
        ax.add_patch(field)
        ax.text(0.76, y + 0.36, words, fontsize=12, fontweight="bold", va="center", ha="left")


def _draw_step(ax: Axes, step: Step, here: bool) -> None:
    """Draw one box with the number of its lesson."""
    from matplotlib.patches import FancyBboxPatch

    y = step.y - 0.06 if step.component else step.y
    corner = (step.x - _WIDTH / 2, y - _HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.05"
    colours = {"facecolor": _HERE if here else "white", "edgecolor": "black", "linewidth": 2.5 if here else 1.0}
    ax.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, boxstyle=style, zorder=2, **colours))
    colour = "white" if here else "black"
    # Two lines of words leave the corner to the number.
    ax.text(step.x, y, step.words, color=colour, fontsize=11, ha="center", va="center", zorder=3)
    ax.text(
        step.x + 0.47, y - 0.17, step.lesson, color=colour, fontsize=10, ha="right", va="center", zorder=3, alpha=0.9
    )
    if here:
        above = y + _HEIGHT / 2 + 0.015
        label = {"boxstyle": "round,pad=0.15", "facecolor": "black", "edgecolor": "none"}
        ax.text(
            step.x, above, "you are here", color="white", fontsize=11, ha="center", va="bottom", bbox=label, zorder=4
        )


def _draw_arrows(ax: Axes) -> None:
    """Connect the boxes in the order of the work."""
    chain = [
        "preprocessing",
        "clustering",
        "selection",
        "training set",
        "training",
        "picking",
        "cleaning",
        "evaluation",
    ]
    arrow = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
    for before, after in itertools.pairwise(chain):
        a, b = STEPS[before], STEPS[after]
        if a.y == b.y:
            side = _WIDTH / 2 if b.x > a.x else -_WIDTH / 2
            start, end = (a.x + side, a.y - 0.06), (b.x - side, b.y - 0.06)
        else:
            start, end = (a.x, a.y - 0.06 - _HEIGHT / 2), (b.x, b.y - 0.06 + _HEIGHT / 2)
        ax.annotate("", end, start, arrowprops=arrow)
    source = STEPS["micrographs"]
    first = STEPS["preprocessing"]
    ax.annotate("", (first.x - _WIDTH / 2, first.y - 0.06), (source.x, source.y + _HEIGHT / 2), arrowprops=arrow)
    # New micrographs go straight to the network: below all boxes.
    picking = STEPS["picking"]
    ax.plot(
        [source.x, source.x, picking.x], [source.y - _HEIGHT / 2, -0.4, -0.4], color="black", linewidth=1.5, zorder=1
    )
    ax.annotate("", (picking.x, picking.y - 0.06 - _HEIGHT / 2), (picking.x, -0.4), arrowprops=arrow)
    ax.text(0.02, -0.33, "new ones", fontsize=11, ha="left", va="bottom")


def _description(lesson: str | None) -> str:
    steps = [f"{' '.join(step.words.split())} (lesson {step.lesson})" for step in STEPS.values()]
    text = (
        "Workflow of DeepCryoPicker. Component 1 makes a training set without labels: micrographs, preprocessing, "
        "clustering, selection of good particles, training set. Component 2: training a network, picking, cleaning, "
        f"evaluation. Boxes: {', '.join(steps)}."
    )
    if lesson is not None:
        here = [" ".join(step.words.split()) for step in STEPS.values() if step.lesson == lesson]
        text += f" You are here: {', '.join(here)}."
    return text
