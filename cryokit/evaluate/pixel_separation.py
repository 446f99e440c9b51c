"""Do the grey values of a picture tell particles from background? Asked of its pixels, not of picks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit.coordinates import IGNORE
from cryokit.imaging.binning import resized_frame

PARTICLE, BACKGROUND = (
    0.45,
    0.6,
)  # diameters from a centre: pixels nearer are a particle's, pixels farther are background


def true_areas(
    shape: tuple[int, int], labels: pd.DataFrame, source_shape: tuple[int, int], diameter: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pixels of particles and those of the background.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of a picture of the micrograph, binned or not.
    labels : pandas.DataFrame
        Table of labels in pixels of the micrograph. Those to be ignored are neither.
    source_shape : tuple of int
        Rows and columns of the micrograph.
    diameter : float
        Diameter of labels without one, in pixels of the micrograph.

    Returns
    -------
    particle, background : ndarray of bool, shape `shape`
        Pixels within 0.45 diameters of a particle, and those more than 0.6 diameters from every label.
    """
    from skimage.draw import disk

    particle, background = np.zeros(shape, bool), np.ones(shape, bool)
    factor = source_shape[0] / shape[0]
    x, y = resized_frame(source_shape, 1 / factor).from_source(labels["x"], labels["y"])
    diameters = labels["diameter"].fillna(diameter) / factor
    for column, row, across, view in zip(x, y, diameters, labels["view"], strict=True):
        background[disk((row, column), BACKGROUND * across, shape=shape)] = False
        if view != IGNORE:
            particle[disk((row, column), PARTICLE * across, shape=shape)] = True
    return particle, background


def separation(picture: NDArray, areas: tuple[NDArray, NDArray]) -> float:
    """Return the probability that a pixel of a particle is darker than one of the background (the area under the ROC).

    Parameters
    ----------
    picture : ndarray, shape (rows, columns)
        Picture with dark particles.
    areas : tuple of ndarray of bool
        Result of `true_areas`.

    Returns
    -------
    float
        0.5 for a coin toss, 1 for a perfect separation by a threshold; a tie counts half.
    """
    particle, background = (np.sort(picture[area]) for area in areas)
    darker = np.searchsorted(background, particle, "left")  # how many background pixels are darker than each
    not_brighter = np.searchsorted(background, particle, "right")
    return float(1 - (darker + not_brighter).mean() / 2 / background.size)


def outline_steepness(picture: NDArray, areas: tuple[NDArray, NDArray]) -> float:
    """Return how steep a picture is between particles and background, over its steepness in the background."""
    steepness = ndimage.gaussian_gradient_magnitude(picture, 1)
    return float(steepness[~areas[0] & ~areas[1]].mean() / steepness[areas[1]].mean())
