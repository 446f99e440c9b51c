"""From a score map to picks step by step, as `DeepCryoPicker` does it in one go: for lessons and for debugging."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit.coordinates import table
from cryokit.coordinates.suppression import nms_distance, nms_iou
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import NOT_ON_EDGE, find_peaks
from cryokit.imaging.preparation import levelled, unusable_regions
from cryokit.imaging.unusable import covered
from cryokit.micrograph import Micrograph
from cryokit.networks.scoring import ScoreMap, dense
from cryokit.pickers.deepcryopicker import APART, DeepCryoPicker

RULES = ("all candidates", "IoU, each view by itself", "IoU, all views together", "distance, all together")


class Candidates(NamedTuple):
    """Positions of a score map that may be particles, in pixels of the picture that was scored."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float32]
    view: NDArray

    def chosen(self, which: NDArray) -> Candidates:
        """Return some of them."""
        return Candidates(*(values[which] for values in self))


class Scored(NamedTuple):
    """A micrograph as a network sees it, and what the network says."""

    name: str
    picture: Picture
    scores: ScoreMap
    usable: NDArray[np.bool_]  # positions of the map that lie on usable ice


def score(picker: DeepCryoPicker, micrograph: Micrograph) -> Scored:
    """Prepare and score a micrograph as a fitted picker does."""
    window = picker.model_.config.window
    picture = levelled(micrograph, picker.diameter_, picker.contrast_, picker.factor_, window)
    scores = dense(picture.data, picker.model_, stride=picker.stride)
    return Scored(micrograph.name, picture, scores, on_ice(scores, picture.frame, micrograph))


def on_ice(scores: ScoreMap, frame: Frame, micrograph: Micrograph) -> NDArray[np.bool_]:
    """Return which positions of a map lie on usable ice.

    Parameters
    ----------
    scores : ScoreMap
        Map.
    frame : Frame
        Frame, in the micrograph, of the picture that was scored.
    micrograph : Micrograph
        Micrograph as stored.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
    """
    row, column = np.indices(scores.particle.shape)
    places = frame.to_source(*scores.frame.to_source(column.ravel(), row.ravel()))
    return ~covered(unusable_regions(micrograph), *places).reshape(row.shape)


def candidates(scores: ScoreMap, allowed: NDArray[np.bool_], threshold: float) -> Candidates:
    """Return every position at or above the threshold among those that are allowed."""
    row, column = np.nonzero(allowed & (scores.particle >= threshold))
    x, y = scores.frame.to_source(column, row)
    return Candidates(x, y, scores.particle[row, column], scores.views(row, column))


def suppressed(found: Candidates, diameter: float, *, limit: float = 0.3) -> dict[str, Candidates]:
    """Return what stays of candidates by each of the `RULES`.

    Parameters
    ----------
    found : Candidates
        Candidates.
    diameter : float
        Particle diameter, the side of the boxes, in pixels of the picture.
    limit : float
        Largest intersection over union (IoU) of two boxes that both stay.

    Returns
    -------
    dict of str to Candidates
        Everything; what non-maximum suppression by IoU leaves, within each view (the paper's way) and among all; and
        what suppression within half a diameter leaves.
    """
    x, y, scores, view = found
    kept = (
        np.arange(x.size),
        nms_iou(x, y, diameter, scores, limit=limit, classes=view),
        nms_iou(x, y, diameter, scores, limit=limit),
        nms_distance(x, y, scores, APART * diameter),
    )
    return {rule: found.chosen(which) for rule, which in zip(RULES, kept, strict=True)}


def twice(found: Candidates, diameter: float) -> NDArray[np.int64]:
    """Return the pairs of candidates of two views less than half a diameter apart: one particle, picked twice.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Places in `found`.
    """
    near = np.hypot(found.x[:, None] - found.x, found.y[:, None] - found.y) < APART * diameter
    return np.argwhere(np.triu(near & (found.view[:, None] != found.view)))


def peaks(scores: ScoreMap, allowed: NDArray[np.bool_], threshold: float, diameter: float) -> Candidates:
    """Return the maxima of a map, placed between its positions; those on its edge are left out.

    Parameters
    ----------
    scores : ScoreMap
        Map.
    allowed : ndarray of bool
        Positions where a maximum may lie.
    threshold : float
        Lowest score.
    diameter : float
        Particle diameter in pixels of the picture.
    """
    apart = APART * diameter / scores.frame.step
    column, row, score_ = find_peaks(scores.particle, apart, threshold, margin=NOT_ON_EDGE, allowed=allowed)
    x, y = scores.frame.to_source(column, row)
    return Candidates(x, y, score_, scores.views(row, column))


def as_picks(found: Candidates, name: str, frame: Frame, diameter: float) -> pd.DataFrame:
    """Return candidates as a table of picks on the micrograph.

    Parameters
    ----------
    found : Candidates
        Candidates in pixels of the picture.
    name : str
        Name of the micrograph.
    frame : Frame
        Frame of the picture in the micrograph.
    diameter : float
        Particle diameter in pixels of the micrograph as stored.
    """
    x, y = frame.to_source(found.x, found.y)
    return table(name, x, y, np.clip(found.score, 0, 1), diameter, found.view)
