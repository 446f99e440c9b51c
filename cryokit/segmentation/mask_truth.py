"""Masks against labels: the discs of the true particles in the working picture, and what became of each particle."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import IGNORE
from cryokit.segmentation.clusters import dice
from cryokit.segmentation.mask import particle_area
from cryokit.segmentation.overlap import without_overlaps
from cryokit.segmentation.seen import Seen
from cryokit.segmentation.shapes import components, label_image

FATES = ("none", "a fragment", "merged", "misjudged")
FRAGMENT = 0.4  # particle areas: smaller objects are fragments


def true_discs(examination: Seen, labels: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw the labelled particles of a micrograph into its working picture.

    Parameters
    ----------
    examination : Seen
        What a picker has seen of the micrograph.
    labels : pandas.DataFrame
        Table of labels, of which those of this micrograph count.

    Returns
    -------
    discs, ignored : ndarray of bool, shape (rows, columns)
        Particles, and what counts neither way.
    """
    mine = labels[labels["micrograph"] == examination.name]
    x, y = examination.frame.from_source(mine["x"], mine["y"])
    shape = examination.stages["opened"].shape
    discs, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    row, column = np.indices(shape, sparse=True)
    for x0, y0, across, view in zip(x, y, mine["diameter"] / examination.frame.step, mine["view"], strict=True):
        disc = (column - x0) ** 2 + (row - y0) ** 2 < (across / 2) ** 2
        (ignored if view == IGNORE else discs)[disc] = True
    return discs, ignored & ~discs


def dice_with_truth(mask: NDArray, examination: Seen, labels: pd.DataFrame) -> float:
    """Return Dice's coefficient of a mask and the discs of the true particles, outside of ignored ones."""
    discs, ignored = true_discs(examination, labels)
    return dice(mask[~ignored], discs[~ignored])


def fates(examination: Seen, missed: pd.DataFrame) -> dict[str, int]:
    """Say what the cleaned mask shows at particles that were missed.

    Parameters
    ----------
    examination : Seen
        What a picker has seen of a micrograph.
    missed : pandas.DataFrame
        Labels of missed particles, of which those of this micrograph count.

    Returns
    -------
    dict of str to int
        Number of particles without an object, on a fragment, on an object larger than one particle, and on one of the
        right size.
    """
    mask = examination.masks["cleaned"]
    found = components(mask)
    numbered = label_image(found, mask.shape)
    mine = missed[missed["micrograph"] == examination.name]
    counts = dict.fromkeys(FATES, 0)
    for x, y in zip(*examination.frame.from_source(mine["x"], mine["y"]), strict=True):
        row, column = (min(max(round(at), 0), side - 1) for at, side in zip((y, x), mask.shape, strict=True))
        counts[_fate(found[numbered[row, column] - 1] if numbered[row, column] else None, examination.diameter)] += 1
    return counts


def _fate(shape, diameter: float) -> str:
    if shape is None:
        return "none"
    if shape.filled_area < FRAGMENT * particle_area(diameter):
        return "a fragment"
    return "misjudged" if without_overlaps([shape], diameter)[0] else "merged"
