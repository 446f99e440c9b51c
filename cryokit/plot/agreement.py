"""On which particles methods agree, and on which they do not: one micrograph, all methods together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryokit._util.wording import plural
from cryokit.evaluate import evaluate
from cryokit.plot import pictures
from cryokit.plot.drawing import LINE, edged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cryokit.micrograph import Micrograph

# by all, by most, by few, by none (Okabe and Ito)
COLOURS = {"all": "#009E73", "most": "#56B4E9", "few": "#E69F00", "none": "#F0E442"}
SHARED_FALSE = "#D55E00"
NEAR = 0.25  # diameters between false picks of the same thing


class Agreement(NamedTuple):
    """Result of `agreement`.

    Attributes
    ----------
    particles : pandas.DataFrame
        Labels of particles, with `found`, the number of methods that found each.
    false : pandas.DataFrame
        Places where at least two methods have a false pick: `x`, `y`, `diameter`, and `methods`, their number.
    methods : int
        Number of methods.
    """

    particles: pd.DataFrame
    false: pd.DataFrame
    methods: int


def agreement(picks: Mapping[str, pd.DataFrame], labels: pd.DataFrame, name: str) -> Agreement:
    """Count by how many methods each particle was found, and where several are wrong alike.

    Parameters
    ----------
    picks : mapping of str to pandas.DataFrame
        Picks above the threshold by method.
    labels : pandas.DataFrame
        Table of labels.
    name : str
        Name of the micrograph.
    """
    labels = labels[labels["micrograph"] == name]
    found, wrong = 0, []
    particles = labels.assign(found=0)
    for number, table in enumerate(picks.values()):
        evaluation = evaluate(table[table["micrograph"] == name], labels, micrographs=[name], bootstrap=0)
        particles, outcome = evaluation.labels, evaluation.labels["outcome"].to_numpy()
        found = found + (outcome == "found")
        particles = particles.assign(found=found)[outcome != "ignore"]
        false = evaluation.picks[evaluation.picks["outcome"] == "false"]
        wrong.append(false[["x", "y"]].assign(method=number))
    diameter = float(labels["diameter"].median()) if len(labels) else 1.0
    shared = _shared(pd.concat(wrong) if wrong else None, diameter)
    return Agreement(particles.reset_index(drop=True), shared, len(picks))


def _shared(false: pd.DataFrame | None, diameter: float) -> pd.DataFrame:
    """Return places with false picks of at least two methods within the distance of a match, most methods first."""
    places = []
    if false is not None and len(false):
        xy, method = false[["x", "y"]].to_numpy(float), false["method"].to_numpy()
        near = cKDTree(xy).query_ball_point(xy, NEAR * diameter)
        left = np.ones(len(xy), bool)
        for index in sorted(range(len(xy)), key=lambda place: (-len(set(method[near[place]])), place)):
            group = [other for other in near[index] if left[other]]
            number = len(set(method[group]))
            if left[index] and number > 1:
                left[group] = False
                places.append((*xy[group].mean(axis=0), diameter, number))
    return pd.DataFrame(places, columns=["x", "y", "diameter", "methods"])


def draw(ax: Axes, micrograph: NDArray | Micrograph, found: Agreement) -> Axes:
    """Draw particles in the colour of how many methods found them, and false picks that methods share as squares.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    micrograph : ndarray, shape (rows, columns), or Micrograph
        Micrograph.
    found : Agreement
        What to draw.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle, Rectangle

    pictures.show_micrograph(ax, micrograph, longest_side=700)
    share = found.particles["found"].to_numpy() / max(found.methods, 1)
    kinds = np.select([share == 1, share >= 0.5, share > 0], ["all", "most", "few"], "none")
    for row, kind in zip(found.particles.itertuples(), kinds, strict=True):
        style = "dashed" if kind == "none" else "solid"
        ax.add_patch(
            Circle(
                (row.x, row.y),
                row.diameter / 2,
                fill=False,
                edgecolor=COLOURS[kind],
                linewidth=LINE,
                linestyle=style,
                path_effects=edged(LINE),
            )
        )
    for row in found.false.itertuples():
        side = 0.8 * row.diameter
        corner = (row.x - side / 2, row.y - side / 2)
        line = {"edgecolor": SHARED_FALSE, "linewidth": LINE, "path_effects": edged(LINE)}
        ax.add_patch(Rectangle(corner, side, side, fill=False, **line))
        ax.text(
            *corner, f"{row.methods}", color="white", fontsize=7, va="top", clip_on=True,
            bbox={"facecolor": SHARED_FALSE, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    words = {"all": "found by all", "most": "by at least half", "few": "by fewer", "none": "by none"}
    handles = [
        Line2D([], [], color=COLOURS[kind], linewidth=2, linestyle="dashed" if kind == "none" else "solid",
               label=f"{words[kind]}: {int((kinds == kind).sum())}")
        for kind in COLOURS
    ]  # fmt: skip
    label = f"false, shared by several: {len(found.false)}"
    handles.append(
        Line2D([], [], color=SHARED_FALSE, marker="s", markerfacecolor="none", linestyle="none", label=label)
    )
    ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small", facecolor="0.2",
        labelcolor="white", title=plural(found.methods, "method"), title_fontproperties={"size": "small"},
    ).get_title().set_color("white")  # fmt: skip
    return ax
