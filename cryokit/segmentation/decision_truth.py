"""What the tests of the selection measure, and what labels say about the picks that they decide on."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryokit.coordinates import concatenate
from cryokit.evaluate import evaluate
from cryokit.segmentation.particles import Particle, circle_overlap
from cryokit.segmentation.seen import Seen
from cryokit.segmentation.selection import Decision, select_irregular, select_side, select_top
from cryokit.segmentation.shapes import rectangularity

TESTS = {"top": select_top, "side": select_side, "irregular": select_irregular}
FOUND = ("clean", "other view", "damaged", "nothing")
# limit of the tests -> what it limits, in words
WORDS = {
    "strength": "circumference seen",
    "circle_fit": "overlap with the disc",
    "least_round": "circularity / average",
    "rectangle_fit": "rectangle filled",
    "aspect": "length / width",
    "size": "length / median - 1",
    "smallest": "area / average",
    "largest": "area / average, at most",
    "centred": "mask off the centre",
}


def judged(seen: Sequence[Seen], decisions: Sequence[Sequence[Decision]], labels: pd.DataFrame) -> pd.DataFrame:
    """Return the picks of several micrographs with their decisions, and what the labels say about each.

    Parameters
    ----------
    seen : sequence of Seen
        What a picker saw of each micrograph.
    decisions : sequence of sequence of Decision
        Decisions on its picks.
    labels : pandas.DataFrame
        Table of labels.

    Returns
    -------
    pandas.DataFrame
        Table of picks with the columns `found` (``clean``: a whole particle of the view that the pick claims; ``other
        view``; ``damaged``: a label to be ignored; ``nothing``), `particle`, `good` and `reason`.
    """
    picks = concatenate(each.picks() for each in seen)
    result = evaluate(picks, labels, micrographs=[each.name for each in seen], bootstrap=0)
    views = np.append(result.labels["view"].to_numpy(), "")[result.picks["label"]]
    right = pd.Series(np.where(views == picks["view"].to_numpy(), "clean", "other view"))
    found = result.picks["outcome"].map({"ignored": "damaged", "false": "nothing"}).reset_index(drop=True).fillna(right)
    flat = [decision for decided in decisions for decision in decided]
    return picks.reset_index(drop=True).assign(
        found=found.to_numpy(),
        particle=[decision.particle for decision in flat],
        good=[decision.good for decision in flat],
        reason=[decision.reason for decision in flat],
    )


def kind(reason: str) -> str:
    """Return the reason of a decision without its numbers."""
    return re.sub(r"\d+(\.\d+)?", "#", reason)


def measures(view: str, particles: Sequence[Particle]) -> dict[str, np.ndarray]:
    """Return what the test of a view measures of the particles of one micrograph, all of which have an object.

    Parameters
    ----------
    view : {"top", "side", "irregular"}
        View.
    particles : sequence of Particle
        Particles of that view on one micrograph.

    Returns
    -------
    dict of str to ndarray
        Measures by the limits that they are compared with (`WORDS`).
    """
    if view == "top":
        rounds = np.array([p.shape.circularity for p in particles])
        return {
            "strength": np.array([p.circle.strength if p.circle else 0.0 for p in particles]),
            "circle_fit": np.array([circle_overlap(p.shape, p.circle) if p.circle else 0.0 for p in particles]),
            "least_round": rounds / rounds.mean(),
        }
    if view == "side":
        rectangles = [p.shape.feret.rectangle for p in particles]
        lengths = np.array([rectangle.length for rectangle in rectangles])
        return {
            "rectangle_fit": np.array([rectangularity(p.shape) for p in particles]),
            "aspect": np.array([rectangle.length / rectangle.width for rectangle in rectangles]),
            "size": lengths / np.median(lengths) - 1,
        }
    areas = np.array([p.shape.area for p in particles])
    away = [np.hypot(p.shape.x - p.x, p.shape.y - p.y) / p.diameter for p in particles]
    return {"smallest": areas / areas.mean(), "centred": np.array(away)}


def allowed(option: str, limits: dict[str, float]) -> tuple[float, float]:
    """Return from where to where a measure is good; infinity where nothing limits it."""
    if option == "size":
        return -limits["size"], limits["size"]
    if option == "smallest":
        return limits["smallest"], limits["largest"]
    if option in ("least_round", "aspect", "centred"):
        return -np.inf, limits[option]
    return limits[option], np.inf


def average_area(decided: Sequence[Decision]) -> float:
    """Return the average mask area of all particles of a micrograph that have one: equation 6 of the paper."""
    areas = [decision.particle.shape.area for decision in decided if decision.particle.shape is not None]
    return float(np.mean(areas)) if areas else float("nan")
