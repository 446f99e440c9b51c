"""Pictures of the preprocessing chain: stages before and after, one particle through all of them, and its mistakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import IGNORE
from cryokit.imaging import STAGES, Preprocessing, detect_contrast, filters, recorded
from cryokit.plot.drawing import CURVE_COLOURS, set_title, show_grey
from cryokit.plot.lesson_pictures import subplots
from cryokit.plot.pictures import scale_bar
from cryokit.simulate import simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cryokit.micrograph import Micrograph

BEFORE, AFTER = "0.75", "black"  # of histograms


class Subject(NamedTuple):
    """A micrograph with what the chain needs to know of it."""

    name: str
    data: NDArray[np.float32]  # without borders that were never recorded
    truth: pd.DataFrame  # in pixels of `data`
    diameter: float
    contrast: str
    pixel_size: float | None

    @property
    def views(self) -> list[str]:
        """Views that the labels name: top, side, irregular."""
        return sorted(set(self.truth["view"]) - {IGNORE}, reverse=True)


def subject(image: Micrograph, truth: pd.DataFrame, contrast: str = "") -> Subject:
    """Prepare a micrograph for the chain.

    Parameters
    ----------
    image : Micrograph
        Micrograph.
    truth : pandas.DataFrame
        Its labels.
    contrast : {"dark", "bright", ""}
        Contrast of the particles; detected if empty.
    """
    data, frame = recorded(image)
    x, y = frame.from_source(truth["x"], truth["y"])
    diameter = float(truth.loc[truth["view"] != IGNORE, "diameter"].median())
    sign = contrast or detect_contrast(data, diameter)
    return Subject(image.name, data, truth.assign(x=x, y=y), diameter, sign, image.pixel_size)


def loneliest(each: Subject, view: str) -> pd.Series:
    """Return the particle of a view that is farthest from all others, and whole if there is such a one."""
    x, y = each.truth["x"].to_numpy(), each.truth["y"].to_numpy()
    apart = np.hypot(x - x[:, None], y - y[:, None])
    np.fill_diagonal(apart, np.inf)
    rows, columns = each.data.shape
    whole = np.minimum.reduce([x, y, columns - 1 - x, rows - 1 - y]) > 0.8 * each.diameter
    distance = apart.min(axis=1, initial=each.diameter * 1e3) + np.where(whole, 1e6, 0)
    distance[(each.truth["view"] != view).to_numpy()] = -1
    return each.truth.loc[each.truth.index[distance.argmax()]]


def part(picture: NDArray, each: Subject, particle: pd.Series, size: float) -> NDArray:
    """Return a square of `size` diameters around a particle, moved inwards at the border; binned pictures as well."""
    scale = picture.shape[0] / each.data.shape[0]
    side = min(round(size * each.diameter * scale), *picture.shape)
    top = round(np.clip(particle["y"] * scale - side / 2, 0, picture.shape[0] - side))
    left = round(np.clip(particle["x"] * scale - side / 2, 0, picture.shape[1] - side))
    return picture[top : top + side, left : left + side]


def show_part(
    ax: Axes, picture: NDArray, each: Subject, *, size: float = 4, title: str = "", grey: bool = False
) -> None:
    """Draw a part of a picture around the subject's example, with a scale bar.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    picture : ndarray, shape (rows, columns)
        Picture of the whole micrograph, binned or not.
    each : Subject
        Micrograph.
    size : float
        Side of the part in diameters.
    title : str
        Title.
    grey : bool
        Whether to stretch the grey values for display; otherwise black is 0 and white is 1.
    """
    cut = part(picture, each, loneliest(each, each.views[0]), size)
    if grey:
        show_grey(ax, cut)
    else:
        ax.imshow(cut, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    scale_bar(ax, each.pixel_size, step=each.data.shape[0] / picture.shape[0])
    set_title(ax, title)


def before_after(
    subjects: Mapping[str, Subject],
    rows: Mapping[str, Mapping[str, NDArray]],
    curve: Callable[[Axes, str], None] | None = None,
) -> Figure:
    """Draw parts of pictures before and after a stage, and the histograms of the whole pictures below.

    Parameters
    ----------
    subjects : mapping of str to Subject
        Micrographs, a column each.
    rows : mapping of str to mapping of str to ndarray
        Pictures of all subjects by the name of the row; the first and the last are compared in the histograms.
    curve : callable, optional
        Draws more over the histogram of a subject: takes axes and the name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    heights = [1.0] * len(rows) + [0.7]
    figure, axes = subplots(
        len(heights), len(subjects), height=1.75 * len(rows) + 1.9, squeeze=False, height_ratios=heights
    )
    first, *_, last = rows
    for (name, each), column in zip(subjects.items(), axes.T, strict=True):
        for (title, pictures), ax in zip(rows.items(), column, strict=False):
            show_part(ax, pictures[name], each, title=name if ax is column[0] else "")
            if column is axes.T[0] or ax.get_subplotspec().is_first_col():
                ax.set_ylabel(title)
        ax, bins = column[-1], np.linspace(0, 1, 65)
        ax.hist(rows[first][name].ravel(), bins, density=True, color=BEFORE, label=first)
        ax.hist(rows[last][name].ravel(), bins, density=True, histtype="step", color=AFTER, label=last)
        if curve is not None:
            curve(ax, name)
        ax.set(xlabel="grey value", xlim=(0, 1), yticks=[])
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def binning_figure(subjects: Mapping[str, Subject], pictures: Mapping[str, Mapping[str, NDArray]]) -> Figure:
    """Draw parts of micrographs before and after binning, and how their grey values spread.

    Parameters
    ----------
    subjects : mapping of str to Subject
        Micrographs, a column each.
    pictures : mapping of str to mapping of str to ndarray
        Stages of the chain for each.
    """
    figure, axes = subplots(3, len(subjects), height=6.6, squeeze=False, height_ratios=[1, 1, 0.7])
    for (name, each), (top, middle, bottom) in zip(subjects.items(), axes.T, strict=True):
        binned = pictures[name]["binned"]
        show_part(top, each.data, each, title=name, grey=True)
        show_part(middle, binned, each, title=f"by {each.data.shape[0] / binned.shape[0]:.1f}", grey=True)
        sign = 1 if each.contrast == "dark" else -1
        unit, centre = each.data.std(), each.data.mean()
        bins = np.linspace(-4, 4, 81)
        before, after = sign * (each.data - centre) / unit, (binned - sign * centre) / unit
        bottom.hist(before.ravel(), bins, density=True, color=BEFORE, label="micrograph")
        bottom.hist(after.ravel(), bins, density=True, histtype="step", color=AFTER, label="binned")
        bottom.set(xlabel="st. deviations", yticks=[])
    axes[0, 0].set_ylabel("micrograph")
    axes[1, 0].set_ylabel("binned")
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def particle_strip(subjects: Mapping[str, Subject], pictures: Mapping[str, Mapping[str, NDArray]]) -> Figure:
    """Draw one particle of each view through all stages, as the paper's figure 10.

    Parameters
    ----------
    subjects, pictures
        As for `binning_figure`.
    """
    examples = [(name, each, view) for name, each in subjects.items() for view in each.views]
    figure, axes = subplots(len(examples), len(STAGES), height=1.12 * len(examples) + 0.4, squeeze=False)
    for (name, each, view), row in zip(examples, axes, strict=True):
        particle = loneliest(each, view)
        for stage, ax in zip(STAGES, row, strict=True):
            square = part(pictures[name][stage], each, particle, 1.6)
            limits = np.percentile(square, (1, 99)) if stage == "binned" else (0, 1)
            ax.imshow(square, cmap="gray", vmin=limits[0], vmax=limits[1])
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"{name}\n{view}", fontsize=10)
        scale_bar(row[-1], each.pixel_size, step=each.data.shape[0] / pictures[name]["opened"].shape[0])
    for stage, ax in zip(STAGES, axes[0], strict=True):
        ax.set_title(stage, fontsize=11)
    return figure


def rayleigh(ax: Axes, alpha: float) -> None:
    """Draw the density of a Rayleigh distribution that is cut off at 1."""
    grey, spread = np.linspace(0, 1, 200), 2 * alpha**2
    density = 2 * grey / spread * np.exp(-(grey**2) / spread) / (1 - np.exp(-1 / spread))
    ax.plot(grey, density, color=CURVE_COLOURS[0], linestyle="--", label="Rayleigh")


class Mistake(NamedTuple):
    """A spoilt micrograph, and what comes out of it without and with the remedy."""

    name: str
    spoilt: NDArray
    without: tuple[str, NDArray]
    remedied: tuple[str, NDArray]


def mistakes(each: Subject, chain: Preprocessing, *, seed: int = 0) -> list[Mistake]:
    """Spoil a micrograph in four ways and run the chain on it, with and without the remedy.

    Parameters
    ----------
    each : Subject
        Micrograph.
    chain : Preprocessing
        Chain.
    seed : int
        Random seed for the places of the hot pixels.
    """

    def result(data: NDArray, contrast: str = each.contrast, **changes) -> NDArray:
        return dataclasses.replace(chain, **changes)(data, each.diameter, contrast)

    data, (rows, columns) = each.data, each.data.shape
    rng = np.random.default_rng(seed)
    slanted = (data - min(data.min(), 0)) * (1 + 0.5 * np.linspace(-1, 1, columns))
    hot = data.copy()
    hot[rng.integers(rows, size=20), rng.integers(columns, size=20)] = data.mean() + 2000 * data.std()
    framed, border = data.copy(), columns // 10
    framed[:, :border] = data[:, border : border + 1]
    other = {"dark": "bright", "bright": "dark"}[each.contrast]
    return [
        Mistake(
            "ice gradient",
            slanted,
            ("without CLAHE", result(slanted, clahe_clip_limits=())),
            ("CLAHE", result(slanted)),
        ),
        Mistake(
            "hot pixels", hot, ("as they are", result(hot)), ("limited", result(np.clip(hot, *filters.limits(hot))))
        ),
        Mistake(
            "repeated border",
            framed,
            ("as it is", result(framed)),
            ("cut off", result(framed[filters.live_area(framed)])),
        ),
        Mistake("wrong contrast", data, (f"as {other}", result(data, other)), (f"as {each.contrast}", result(data))),
    ]


def half_empty(*, seed: int = 0) -> Subject:
    """Simulate a micrograph of apoferritin with particles in its left half only."""
    full, particles = simulate("apoferritin", shape=(1024, 1024), seed=seed)
    empty, _ = simulate("apoferritin", shape=(1024, 1024), seed=seed, n_particles=0)
    full.data[:, 512:] = empty.data[:, 512:]
    return subject(full, particles[particles["x"] < 512 + 38])
