"""Pictures of the selection of good particles: the tests step by step, their measures, and other limits."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.plot.drawing import PALETTE, set_title
from cryokit.plot.lesson_pictures import subplots
from cryokit.plot.particle_shapes import outlines
from cryokit.plot.pictures import scale_bar, show_micrograph
from cryokit.segmentation import Decision, Particle, fill_holes, label_image
from cryokit.segmentation.decision_truth import TESTS, WORDS, allowed, average_area, kind, measures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cryokit.pickers.clustering import Examination

# limit -> range of the measure that is drawn; what lies beyond is counted at the end
_SHOWN = {
    "least_round": (0.7, 2.5),
    "aspect": (1, 2.5),
    "size": (-0.8, 0.8),
    "smallest": (0, 2.5),
    "centred": (0, 0.4),
}
SWEEPS = {
    "circle_fit": np.linspace(0, 0.95, 9),
    "strength": np.linspace(0, 0.95, 9),
    "least_round": np.geomspace(0.85, 3, 9),
    "rectangle_fit": np.linspace(0.4, 0.9, 9),
    "aspect": np.geomspace(1.05, 3, 9),
    "size": np.geomspace(0.02, 1, 9),
    "smallest": np.linspace(0, 1.2, 9),
    "largest": np.geomspace(0.8, 4, 9),
    "centred": np.geomspace(0.01, 0.5, 9),
}
BOTH, MASK_ONLY, IDEAL_ONLY = "#FFFFFF", PALETTE["mask"], "#0072B2"


class Chosen(NamedTuple):
    """A decision, with what the picker saw of the micrograph and all decisions there."""

    seen: Examination
    decided: Sequence[Decision]
    decision: Decision
    pixel_size: float | None


def richest(
    seen: Sequence[Examination], decisions: Sequence[Sequence[Decision]], view: str
) -> tuple[Examination, Sequence[Decision]]:
    """Return the micrograph with the most decisions of both kinds on a view, and all decisions there."""

    def wealth(pair: tuple[Examination, Sequence[Decision]]) -> tuple[int, int]:
        good = [decision.good for decision in pair[1] if decision.particle.view == view]
        return min(sum(good), len(good) - sum(good)), len(good)

    return max(zip(seen, decisions, strict=True), key=wealth)


def examples(sets: Sequence, view: str, n: int = 4) -> list[Chosen]:
    """Choose a typical good decision on a view, and bad ones for different reasons.

    Parameters
    ----------
    sets : sequence
        Objects with `images`, `seen` and `decisions` of several micrographs. The good example is of the first.
    view : str
        View.
    n : int
        Maximum number of decisions.
    """
    everything = [
        (index, Chosen(each, decided, decision, image.pixel_size))
        for index, this in enumerate(sets)
        for image, each, decided in zip(this.images, this.seen, this.decisions, strict=True)
        for decision in decided
        if decision.particle.view == view and decision.particle.shape is not None
    ]
    # The border would hide what happens: those that touch it only where there are no others.
    everything.sort(key=lambda found: found[1].decision.particle.shape.touches_border(found[1].seen.evidence.shape, 4))
    good = [chosen for index, chosen in everything if chosen.decision.good and index == 0]
    good.sort(key=lambda chosen: chosen.decision.measure)
    bad = {kind(chosen.decision.reason): chosen for _, chosen in everything[::-1] if not chosen.decision.good}
    return good[len(good) // 2 :][:1] + list(bad.values())[::-1][: n - 1]


def perfect_mask(particle: Particle, shape: tuple[int, int], average: float) -> NDArray[np.bool_]:
    """Return the mask that a particle should have: a disc, a rectangle, or a disc of the average area."""
    if particle.view == "side":
        return particle.shape.feret.rectangle.mask(shape)
    x, y, radius = particle.x, particle.y, np.sqrt(average / np.pi)
    if particle.view == "top":
        if particle.circle is None:
            return np.zeros(shape, bool)
        x, y, radius = particle.circle.x, particle.circle.y, particle.circle.radius
    row, column = np.indices(shape, sparse=True)
    return np.hypot(row - y, column - x) <= radius


def step_by_step(chosen: Sequence[Chosen], titles: Sequence[str]) -> Figure:
    """Draw particles, their masks, their outlines on the masks, and the masks against the perfect shapes.

    Parameters
    ----------
    chosen : sequence of Chosen
        Decisions, a row each: what `examples` returns.
    titles : sequence of str
        Titles of the four pictures of a row.
    """
    figure, axes = subplots(max(1, len(chosen)), 5, height=1.6 * max(1, len(chosen)) + 0.4, squeeze=False)
    for row, (seen, decided, decision, pixel_size) in zip(axes, chosen, strict=False):
        particle, picture = decision.particle, seen.stages["opened"]
        own = fill_holes(label_image([particle.shape], picture.shape) > 0)
        show_micrograph(row[0], picture)
        row[1].imshow(own, cmap="gray")
        row[2].imshow(own, cmap="gray", vmax=2)
        outlines(row[2], None, [particle], decisions=[decision], colour_by="decision", legend=False)
        row[2].plot(particle.x, particle.y, "+", color="black")
        row[3].imshow(_coloured(own, perfect_mask(particle, picture.shape, average_area(decided))))
        reach = 0.8 * max(seen.diameter, particle.shape.feret.longest)
        for ax in row[:4]:
            ax.set_xlim(particle.x - reach, particle.x + reach)
            ax.set_ylim(particle.y + reach, particle.y - reach)
            ax.set(xticks=[], yticks=[], facecolor="0.5")  # grey: beyond the border
        scale_bar(row[0], pixel_size, step=seen.frame.step)
        word = "good" if decision.good else "bad"
        row[4].text(0, 0.5, "\n".join(textwrap.wrap(f"{word}: {decision.reason}", 20)), va="center", fontsize=10)
    for ax in axes[:, 4]:
        ax.set_axis_off()
    for ax, title in zip(axes[0], titles, strict=False):
        set_title(ax, title)
    return figure


def _coloured(own: NDArray, ideal: NDArray) -> NDArray:
    from matplotlib.colors import to_rgb

    colours = np.zeros((*own.shape, 3))
    for where, colour in ((own & ideal, BOTH), (own & ~ideal, MASK_ONLY), (ideal & ~own, IDEAL_ONLY)):
        colours[where] = to_rgb(colour)
    return colours


def histograms(verdicts: Mapping[str, pd.DataFrame], view: str, limits: Mapping[str, float]) -> Figure:
    """Draw the distribution of every measure of a view, of clean picks and of the others, and the limits.

    Parameters
    ----------
    verdicts : mapping of str to pandas.DataFrame
        Results of `cryokit.segmentation.decision_truth.judged`, a row of pictures each.
    view : str
        View.
    limits : mapping of str to float
        Limits that differ from the defaults. What lies on grey ground is rejected.
    """
    given = TESTS[view].__kwdefaults__ | dict(limits)
    measured = {name: _measured(verdict, view) for name, verdict in verdicts.items()}
    measured = {name: table for name, table in measured.items() if len(table)}
    options = [column for column in next(iter(measured.values())) if column != "clean"]
    figure, axes = subplots(len(measured), len(options), height=2.7 * len(measured) + 0.3, squeeze=False)
    for (name, table), line in zip(measured.items(), axes, strict=True):
        for ax, option in zip(line, options, strict=True):
            low, high = _SHOWN.get(option, (0, 1))
            both = [table.loc[table["clean"] == clean, option].clip(low, high) for clean in (True, False)]
            labels = [f"{word} ({len(part)})" for word, part in zip(("clean", "not"), both, strict=True)]
            colours = [PALETTE["true"], PALETTE["false"]]
            ax.hist(both, np.linspace(low, high, 25), stacked=True, color=colours, label=labels)
            for edge, beyond in zip(allowed(option, given), (low, high), strict=True):
                if np.isfinite(edge):
                    ax.axvline(edge, color="black", linestyle="--", linewidth=1.2)
                    ax.axvspan(min(edge, beyond), max(edge, beyond), color="0.9", zorder=0)
            ax.set(xlabel=WORDS[option], xlim=(low, high))
        line[0].set_ylabel(name)
        line[-1].legend(fontsize=10)
    return figure


def _measured(verdict: pd.DataFrame, view: str) -> pd.DataFrame:
    """Return the measures of the picks of a view that have an object in the mask, and whether they are clean."""
    in_mask = verdict["particle"].map(lambda particle: particle.shape is not None)
    parts = [
        pd.DataFrame(measures(view, list(part["particle"]))).assign(clean=(part["found"] == "clean").to_numpy())
        for _, part in verdict[in_mask & (verdict["view"] == view)].groupby("micrograph")
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def limit_curves(ax: Axes, part: pd.DataFrame, view: str, limits: Mapping[str, float]) -> None:
    """Draw how many picks each limit keeps, and how many of those are clean, as it moves from loose to strict.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    part : pandas.DataFrame
        Rows of one view of a result of `cryokit.segmentation.decision_truth.judged`.
    view : str
        The view.
    limits : mapping of str to float
        Limits that differ from the defaults. A ring marks the choice, a cross no selection at all.
    """
    options = TESTS[view].__kwdefaults__
    given = {option: value for option, value in limits.items() if option in options}
    for option in options:
        points = []
        for value in SWEEPS[option]:
            good = pd.Series(False, index=part.index)
            for _, of_micrograph in part.groupby("micrograph"):
                again = TESTS[view](list(of_micrograph["particle"]), **(given | {option: value}))
                good[of_micrograph.index] = [decision.good for decision in again]
            # Of a handful of particles a share means nothing.
            points.append(_kept_and_clean(part, good) if good.sum() >= 5 else (np.nan, np.nan))
        ax.plot(*np.array(points).T, ".-", linewidth=1.5, label=WORDS[option])
    ax.plot(*_kept_and_clean(part, part["good"]), "o", color="black", fillstyle="none", markersize=11)
    ax.plot(*_kept_and_clean(part, part["good"] | True), "x", color="black", markersize=9)
    ax.set(xlabel="share of the picks kept", ylabel="share of them clean", xlim=(0, 1.03))


def _kept_and_clean(part: pd.DataFrame, good: pd.Series) -> tuple[float, float]:
    return good.mean(), (part.loc[good, "found"] == "clean").mean()
