"""Pictures of what a micrograph is made of: particles without noise, averages, power spectra.

As in `cryokit.plot.pictures`, every function draws on the matplotlib axes that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import IGNORE
from cryokit.errors import ArgumentError
from cryokit.imaging.power_spectrum import power_spectrum, radial_mean
from cryokit.plot.drawing import CURVE_COLOURS, set_title, show_grey, square
from cryokit.plot.pictures import scale_bar
from cryokit.simulate import CONDITIONS, simulate_parts
from cryokit.simulate.ctf import ctf

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cryokit.micrograph import Micrograph


def protein_views(axes: NDArray, proteins: Sequence[tuple[str, str]], *, seed: int = 0) -> None:
    """Draw a particle of each protein and view, without noise and as the camera sees it.

    Parameters
    ----------
    axes : ndarray of matplotlib.axes.Axes, shape (2, n)
        Axes to draw on: above without noise, below with it.
    proteins : sequence of (str, str)
        Names of `cryokit.simulate.PROTEINS`, each with one of its views.
    seed : int
        Random seed.
    """
    parts, name = None, None
    for (protein, view), (above, below) in zip(proteins, axes.T, strict=True):
        if protein != name:
            size = 1024 if protein == "klh" else 512
            parts, name = simulate_parts(protein, shape=(size, size), n_particles=16, carbon=False, seed=seed), protein
        truth = parts.truth[parts.truth["view"] == view]
        if truth.empty:
            raise ArgumentError(f"proteins: none of the simulated particles of {protein} shows the view {view!r}")
        # The one farthest from the border
        edge = np.minimum.reduce([truth["x"], truth["y"], size - truth["x"], size - truth["y"]])
        particle = truth.iloc[int(np.argmax(edge))]
        side = round(1.7 * particle["diameter"])
        left, top = round(particle["x"] - side / 2), round(particle["y"] - side / 2)
        for ax, picture in ((above, parts.signal), (below, parts.micrograph.data)):
            show_grey(ax, square(picture, left, top, side, outside=float(np.median(picture))))
            scale_bar(ax, parts.micrograph.pixel_size)
        set_title(above, f"{protein}\n{view}")
    axes[0, 0].set_ylabel("without noise")
    axes[1, 0].set_ylabel("with noise")


def squares_around(image: Micrograph, truth: pd.DataFrame, size: int) -> NDArray[np.float32]:
    """Return squares around the whole particles of a micrograph that fit into it.

    Parameters
    ----------
    image : Micrograph
        Micrograph.
    truth : pandas.DataFrame
        Labels, of which those of this micrograph count that are not to be ignored.
    size : int
        Side of the squares in pixels.

    Returns
    -------
    ndarray, shape (n, size, size)
    """
    whole = (truth["micrograph"] == image.name) & (truth["view"] != IGNORE)
    corners = np.rint(truth.loc[whole, ["x", "y"]].to_numpy() - size / 2).astype(int)
    rows, columns = image.data.shape
    corners = corners[((corners >= 0) & (corners + size <= [columns, rows])).all(axis=1)]
    squares = [image.data[y : y + size, x : x + size] for x, y in corners]
    return np.stack(squares) if squares else np.empty((0, size, size), np.float32)


def spectrum_row(axes: Sequence[Axes], image: Micrograph, *, title: str, zeros: NDArray | None = None) -> NDArray:
    """Draw a micrograph's power spectrum, and its average over rings.

    Parameters
    ----------
    axes : sequence of two matplotlib.axes.Axes
        Axes for the spectrum and for the average.
    image : Micrograph
        Micrograph.
    title : str
        Title.
    zeros : ndarray, optional
        Spatial frequencies in 1/Angstrom at which nothing is transferred, drawn as dotted lines.

    Returns
    -------
    ndarray, shape (n, 2)
        Spatial frequency in 1/Angstrom (1/pixel without a pixel size) and average power, from the third ring on.
    """
    left, right = axes
    spectrum = power_spectrum(image.data, min(512, *image.data.shape))
    rings = radial_mean(spectrum)
    frequency = np.arange(len(rings)) / spectrum.shape[0] / (image.pixel_size or 1)
    show_grey(left, np.log(spectrum), percentiles=(1.0, 99.7))
    set_title(left, title)
    right.semilogy(frequency[3:], rings[3:], color=CURVE_COLOURS[0], linewidth=1.5)
    for zero in () if zeros is None else zeros:
        right.axvline(zero, color=CURVE_COLOURS[1], linestyle=":", linewidth=1.5)
    right.set(xlabel="1/Å" if image.pixel_size else "1/pixel", yticks=[])
    right.tick_params(axis="y", which="both", left=False, labelleft=False)
    return np.column_stack([frequency, rings])[3:]


def ctf_zeros(protein: str, defocus: float, n: int = 4) -> NDArray[np.float64]:
    """Return the first `n` spatial frequencies (1/Angstrom) at which a protein's microscope transfers nothing.

    Parameters
    ----------
    protein : str
        Name of `cryokit.simulate.PROTEINS`, for the conditions of its microscope.
    defocus : float
        Underfocus in micrometres.
    n : int
        Number of zeros.
    """
    microscope = CONDITIONS[protein]
    frequency = np.linspace(0, 0.5 / microscope.pixel_size, 5000)
    transfer = ctf(
        frequency,
        np.zeros_like(frequency),
        voltage=microscope.voltage,
        cs=microscope.cs,
        defocus_u=defocus,
        amplitude_contrast=microscope.amplitude_contrast,
    )
    return frequency[1:][np.diff(np.sign(transfer)) != 0][:n]


def score_histogram(ax: Axes, outcomes: pd.DataFrame, threshold: float) -> None:
    """Draw how the scores of true and of false picks are distributed, and the threshold.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on.
    outcomes : pandas.DataFrame
        Picks with the columns `score` and `outcome`, such as the `picks` of an `Evaluation`.
    threshold : float
        Threshold on the score.
    """
    from cryokit.plot.drawing import PALETTE

    bins = np.linspace(0, 1, 21)
    scores = [outcomes.loc[outcomes["outcome"] == outcome, "score"] for outcome in ("true", "false")]
    labels = [f"{word} ({len(part)})" for word, part in zip(("true", "false"), scores, strict=True)]
    ax.hist(scores, bins, stacked=True, color=[PALETTE["true"], PALETTE["false"]], edgecolor="white", label=labels)
    ax.axvline(threshold, color="black", linestyle="--", label="threshold")
    ax.set(xlabel="score", ylabel="candidates")
    ax.legend()
