"""Labels from several pickers that found particles independently: what they agree on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from cryokit.coordinates import IGNORE, table
from cryokit.imaging.suppression import nms_distance

SAME = 0.25  # diameters: picks of two pickers so near to each other are of the same particle
APART = 0.4  # diameters between two labels at least
PICKED = 0.5  # score of what a picker itself takes for a particle
# A label that is wrong does more harm than one that is missing: in between, a network is told nothing.
CERTAIN, DOUBTFUL = 0.7, 0.2


def agreement(first: Sequence[pd.DataFrame], second: Sequence[pd.DataFrame], diameter: float) -> float:
    """Return how far two pickers agree: the F1 score of the one's picks if the other's were the truth.

    Parameters
    ----------
    first, second : sequence of pandas.DataFrame
        Tables of picks, one for each micrograph, in the same order. Those with a score below 0.5 do not count.
    diameter : float
        Of the particle, in the picks' pixels.

    Returns
    -------
    float
        From 0 to 1, and 0 where neither picks anything.

    Examples
    --------
    >>> a, b = table("m", [10, 50, 90], [10, 10, 10], 0.9), table("m", [12, 70], [10, 10], 0.9)
    >>> agreement([a], [b], diameter=20)
    0.4
    """
    both = total = 0
    for one, other in zip(first, second, strict=True):
        one, other = (each.loc[each["score"] >= PICKED, ["x", "y"]].to_numpy() for each in (one, other))
        total += len(one) + len(other)
        if len(one) and len(other):
            distance, nearest = cKDTree(other).query(one, distance_upper_bound=SAME * diameter)
            # Two picks of one particle are one agreement.
            both += 2 * len(np.unique(nearest[np.isfinite(distance)]))
    return both / total if total else 0.0


def mutual_trust(sources: Sequence[Sequence[pd.DataFrame]], diameter: float) -> NDArray[np.float64]:
    """Return how far each picker is to be trusted: the square of its mean agreement with the others.

    A picker that is right agrees with whatever else is right; pickers that are wrong are so in different ways.

    Parameters
    ----------
    sources : sequence of sequence of pandas.DataFrame
        For each picker its tables of picks, one for each micrograph.
    diameter : float

    Returns
    -------
    ndarray of float64, shape (pickers,)
    """
    agree = np.array([[agreement(a, b, diameter) for b in sources] for a in sources])
    np.fill_diagonal(agree, 0)
    return (agree.sum(axis=1) / max(1, len(sources) - 1)) ** 2


def vote(tables: Sequence[pd.DataFrame], trust: ArrayLike, diameter: float, name: str) -> pd.DataFrame:
    """Return what several pickers found on one micrograph, scored by how many of them, and how surely, found it.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        One for each picker; scores are probabilities.
    trust : array_like, shape (pickers,)
        Weight of each.
    diameter : float
        Of the particle.
    name : str
        Of the micrograph.

    Returns
    -------
    pandas.DataFrame
        Table of picks. Positions are the weighted means of those that count as the same; scores the weighted means of
        theirs, with 0 for a picker that found nothing there.

    Examples
    --------
    >>> a, b = table("m", [10, 50], [10, 10], [0.9, 0.8]), table("m", [12], [10], [0.5])
    >>> vote([a, b], [1, 1], 20, "m")[["x", "score"]].round(2).to_numpy().tolist()
    [[10.71, 0.7], [50.0, 0.4]]
    """
    trust = np.asarray(trust, np.float64) / np.sum(trust)
    places = np.concatenate([each[["x", "y"]].to_numpy(np.float64) for each in tables])
    votes, moments = np.zeros(len(places)), np.zeros((len(places), 2))
    for weight, each in zip(trust, tables, strict=True):
        if not len(each):
            continue
        own, score = each[["x", "y"]].to_numpy(np.float64), each["score"].to_numpy(np.float64)
        for place, near in enumerate(cKDTree(own).query_ball_point(places, SAME * diameter)):
            if near:
                best = near[int(np.argmax(score[near]))]
                votes[place] += weight * score[best]
                moments[place] += weight * score[best] * own[best]
    found = votes > 0
    places, votes = moments[found] / votes[found, None], votes[found]
    kept = nms_distance(places[:, 0], places[:, 1], votes, APART * diameter)
    return table(name, places[kept, 0], places[kept, 1], np.clip(votes[kept], 0, 1), diameter)


def as_labels(picks: pd.DataFrame, certain: float = CERTAIN, doubtful: float = DOUBTFUL) -> pd.DataFrame:
    """Return picks as labels to train on: the certain ones, the doubtful as ``ignore``, without all others.

    Parameters
    ----------
    picks : pandas.DataFrame
    certain, doubtful : float
        Least scores.
    """
    picks = picks[picks["score"] >= doubtful]
    return picks.assign(view=np.where(picks["score"] >= certain, "", IGNORE).astype(object))
