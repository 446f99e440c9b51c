"""Labels from the agreement of several pickers that found particles independently."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from cryokit.coordinates import IGNORE, table
from cryokit.coordinates.suppression import nms_distance
from cryokit.evaluate import matching

SAME = 0.25  # largest distance in diameters between picks of the same particle by two pickers
APART = 0.4  # smallest distance between two labels in diameters
PICKED = 0.5  # score of what a picker itself takes for a particle
# A wrong label does more harm than a missing one: between these scores a network is told nothing.
CERTAIN, DOUBTFUL = 0.7, 0.2


def agreement(first: Sequence[pd.DataFrame], second: Sequence[pd.DataFrame], diameter: float) -> float:
    """Return how far two pickers agree: the F1 score of one's picks if the other's were the truth.

    Parameters
    ----------
    first, second : sequence of pandas.DataFrame
        Tables of picks, one for each micrograph, in the same order. Picks with a score below 0.5 do not count.
    diameter : float
        Particle diameter in the pixels of the picks.

    Returns
    -------
    float
        Agreement from 0 to 1; 0 if neither picks anything.

    Notes
    -----
    Made for weights: crowded picks that could be paired in several ways are counted from `first` and not matched one to
    one, so that the order of the two can matter a little. `shared_particles` matches, and does not depend on it.

    Examples
    --------
    >>> a, b = table("m", [10, 50, 90], [10, 10, 10], 0.9), table("m", [12, 70], [10, 10], 0.9)
    >>> agreement([a], [b], diameter=20)
    0.4
    """
    shared = total = 0
    for tables in zip(first, second, strict=True):
        places, others = (picks.loc[picks["score"] >= PICKED, ["x", "y"]].to_numpy() for picks in tables)
        total += len(places) + len(others)
        if len(places) and len(others):
            distance, nearest = cKDTree(others).query(places, distance_upper_bound=SAME * diameter)
            # Two picks of one particle are one agreement.
            shared += 2 * len(np.unique(nearest[np.isfinite(distance)]))
    return shared / total if total else 0.0


def mutual_trust(sources: Sequence[Sequence[pd.DataFrame]], diameter: float) -> NDArray[np.float64]:
    """Return how far each picker is to be trusted: the square of its mean agreement with the others.

    A picker that is right agrees with whatever else is right; pickers that are wrong are so in different ways.

    Parameters
    ----------
    sources : sequence of sequence of pandas.DataFrame
        Tables of picks of each picker, one for each micrograph.
    diameter : float
        Particle diameter in the pixels of the picks.

    Returns
    -------
    ndarray of float64, shape (pickers,)
    """
    agreements = np.array([[agreement(first, second, diameter) for second in sources] for first in sources])
    np.fill_diagonal(agreements, 0)
    return (agreements.sum(axis=1) / max(1, len(sources) - 1)) ** 2


def vote(tables: Sequence[pd.DataFrame], trust: ArrayLike, diameter: float, name: str) -> pd.DataFrame:
    """Return what several pickers found on one micrograph, scored by how many of them found it, and how surely.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        Table of picks of each picker; scores are probabilities.
    trust : array_like, shape (pickers,)
        Weight of each picker.
    diameter : float
        Particle diameter in the pixels of the picks.
    name : str
        Name of the micrograph.

    Returns
    -------
    pandas.DataFrame
        Table of picks. Positions are weighted means of the picks of the same particle. Scores are weighted means of
        theirs, with 0 for a picker that found nothing there.

    Examples
    --------
    >>> a, b = table("m", [10, 50], [10, 10], [0.9, 0.8]), table("m", [12], [10], [0.5])
    >>> vote([a, b], [1, 1], 20, "m")[["x", "score"]].round(2).to_numpy().tolist()
    [[10.71, 0.7], [50.0, 0.4]]
    """
    trust = np.asarray(trust, np.float64) / np.sum(trust)
    places = np.concatenate([picks[["x", "y"]].to_numpy(np.float64) for picks in tables])
    votes, moments = np.zeros(len(places)), np.zeros((len(places), 2))
    for weight, picks in zip(trust, tables, strict=True):
        if not len(picks):
            continue
        own, score = picks[["x", "y"]].to_numpy(np.float64), picks["score"].to_numpy(np.float64)
        for place, near in enumerate(cKDTree(own).query_ball_point(places, SAME * diameter)):
            if near:
                best = near[int(np.argmax(score[near]))]
                votes[place] += weight * score[best]
                moments[place] += weight * score[best] * own[best]
    voted = votes > 0
    places, votes = moments[voted] / votes[voted, None], votes[voted]
    kept = nms_distance(places[:, 0], places[:, 1], votes, APART * diameter)
    return table(name, places[kept, 0], places[kept, 1], np.clip(votes[kept], 0, 1), diameter)


def shared_particles(first: pd.DataFrame, second: pd.DataFrame, diameter: float) -> int:
    """Return how many particles of one micrograph two tables share: the pairs of picks, matched one to one.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Tables of picks of one micrograph, whatever their scores.
    diameter : float
        Particle diameter in the pixels of the picks.
    """
    return len(_pairs(first, second, diameter).pick)


def found_by(tables: Sequence[pd.DataFrame], diameter: float, name: str) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return the particles that one or more of several sources found on one micrograph, and which found each.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        Table of picks of each source, a program or a person. All picks count alike, whatever their scores.
    diameter : float
        Particle diameter in the pixels of the picks.
    name : str
        Name of the micrograph.

    Returns
    -------
    particles : pandas.DataFrame
        Table of picks, where most found first; the score is the share of sources that found the particle.
    found : ndarray of bool, shape (particles, sources)
        Whether a source has a pick of the particle. A pick is of one particle at most.

    Examples
    --------
    >>> particles, found = found_by([table("m", [10, 50], [10, 10]), table("m", [12], [10])], 20, "m")
    >>> particles[["x", "score"]].to_numpy().tolist(), found.tolist()
    ([[11.0, 1.0], [50.0, 0.5]], [[True, True], [True, False]])
    """
    equal = [picks.assign(score=1.0) for picks in tables]
    particles = vote(equal, np.ones(len(equal)), diameter, name)
    found = np.zeros((len(particles), len(equal)), bool)
    for source, picks in enumerate(equal):
        found[_pairs(picks, particles, diameter).label, source] = True
    particles["score"] = found.mean(axis=1)
    # The mean of scattered picks may be too far from all of them.
    order = np.argsort(-particles["score"], kind="stable")[: np.count_nonzero(found.any(axis=1))]
    return particles.iloc[order].reset_index(drop=True), found[order]


def _pairs(picks: pd.DataFrame, others: pd.DataFrame, diameter: float) -> matching.Pairs:
    places, other_places = (rows[["x", "y"]].to_numpy(np.float64) for rows in (picks, others))
    near = matching.candidates(places, other_places, np.full(len(others), float(diameter)), tolerance=SAME)
    return matching.match(near, np.zeros(len(picks)))


def as_labels(picks: pd.DataFrame, certain: float = CERTAIN, doubtful: float = DOUBTFUL) -> pd.DataFrame:
    """Return picks as labels to train on: certain picks as particles, doubtful ones as ``ignore``.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks.
    certain, doubtful : float
        Lowest scores of certain and of doubtful picks; the others are left out.
    """
    picks = picks[picks["score"] >= doubtful]
    return picks.assign(view=np.where(picks["score"] >= certain, "", IGNORE).astype(object))
