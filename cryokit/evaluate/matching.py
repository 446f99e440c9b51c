"""One-to-one matching of picks and particles on one micrograph, with as many pairs as possible.

The pairs are those of a maximum-cardinality matching between picks and labels that lie close enough. Two more rules
single out one of the many such matchings: picks with higher scores come first, then the total distance is minimal. The
sets of picks that can be matched at the same time form a matroid (the transversal matroid: Edmonds and Fulkerson,
J. Res. Natl. Bur. Stand. 69B:147-153, 1965). Because of that, the matched picks above *any* score threshold are as many
as a maximum matching of only those picks would have, so one matching is exact for a whole precision-recall curve.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

# A pair exactly at the limit matches, but products such as 0.29 * 100 fall a rounding error short of it.
ROUNDING = 1e-9

# criterion -> default tolerance; equal boxes shifted along one axis by 0.25 of their side have an IoU of 0.6
TOLERANCES = {"distance": 0.25, "iou": 0.6}


class Pairs(NamedTuple):
    """Pairs of a pick and a label: their indices and distances, three arrays of one length."""

    pick: np.ndarray
    label: np.ndarray
    distance: np.ndarray


def candidates(
    picks: np.ndarray,
    labels: np.ndarray,
    diameters: np.ndarray,
    *,
    tolerance: float = 0.25,
    criterion: str = "distance",
    pick_diameters: np.ndarray | None = None,
) -> Pairs:
    """Return every pair of a pick and a label that lie close enough to be the same particle.

    Parameters
    ----------
    picks : ndarray of float, shape (n, 2)
        Centres in pixels.
    labels : ndarray of float, shape (m, 2)
        Centres in pixels.
    diameters : ndarray of float, shape (m,)
        Diameters of the labels in pixels.
    tolerance : float
        With the criterion ``distance`` the largest distance between the centres as a fraction of the label's diameter,
        with ``iou`` the smallest intersection over union of the boxes. A pair exactly at the limit matches.
    criterion : {"distance", "iou"}
        ``iou`` compares squares around the centres with the diameters as sides.
    pick_diameters : ndarray of float, shape (n,), optional
        Sides of the picks' boxes; where NaN, or by default, a pick has the size of the label it is compared with.

    Returns
    -------
    Pairs
        In no particular order.
    """
    if not len(picks) or not len(labels):
        return Pairs(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
    if criterion == "iou":
        if pick_diameters is None:
            pick_diameters = np.full(len(picks), np.nan)
        # np.fmax leaves NaN out.
        reach, norm = (diameters + np.fmax(diameters, np.fmax.reduce(pick_diameters))) / 2, np.inf
    else:
        reach, norm = diameters * tolerance, 2
    near = cKDTree(picks).query_ball_point(labels, reach * (1 + 2 * ROUNDING), p=norm)
    label = np.repeat(np.arange(len(labels)), np.fromiter(map(len, near), np.intp, len(near)))
    pick = np.concatenate([np.asarray(indices, np.intp) for indices in near])
    shift = picks[pick] - labels[label]
    distance = np.hypot(shift[:, 0], shift[:, 1])
    if criterion == "iou":
        side = diameters[label]
        pick_side = np.where(np.isnan(pick_diameters[pick]), side, pick_diameters[pick])
        # Along one axis two intervals overlap by their half lengths less the shift, at most by the shorter one.
        shared = np.minimum((side + pick_side)[:, None] / 2 - np.abs(shift), np.minimum(side, pick_side)[:, None])
        intersection = np.prod(np.maximum(shared, 0), axis=1)
        keep = intersection >= tolerance * (side**2 + pick_side**2 - intersection) * (1 - ROUNDING)
    else:
        keep = distance <= tolerance * diameters[label] * (1 + ROUNDING)
    return Pairs(pick[keep], label[keep], distance[keep])


def match(pairs: Pairs, priority: np.ndarray) -> Pairs:
    """Choose a maximum-cardinality one-to-one matching.

    Among the matchings of that size, those with picks of higher priority come first, then the one with the smallest
    total distance. The order of the pairs does not matter.

    Parameters
    ----------
    pairs : Pairs
        Pairs to choose from, such as `candidates` returns.
    priority : ndarray of int, shape (number of picks,)
        Priority of each pick; larger numbers come first. Only the order matters.

    Returns
    -------
    Pairs
        Subset of `pairs` with each pick and each label at most once, sorted by pick.

    Notes
    -----
    In a matroid the sets of largest weight are bases, and are the same for all positive weights that increase with
    rank. The weights here are the ranks 1, 2, ..., less a share of the distance so small that the shares of a whole
    matching add up to less than one rank. With a private dummy label for every pick, the matching of largest weight
    becomes a full matching of least cost, which SciPy's sparse Jonker-Volgenant solver finds.

    Examples
    --------
    Two picks, two labels; the nearest pair (pick 0, label 0) would leave pick 1 without a label.

    >>> import numpy as np
    >>> near = Pairs(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.5, 8.5, 9.9]))
    >>> matching = match(near, np.array([1, 1]))
    >>> matching.pick.tolist(), matching.label.tolist()
    ([0, 1], [1, 0])
    """
    if not len(pairs.pick):
        return pairs
    pick_ids, pick = np.unique(pairs.pick, return_inverse=True)
    label_ids, label = np.unique(pairs.label, return_inverse=True)
    rank = np.unique(np.asarray(priority)[pick_ids], return_inverse=True)[1] + 1
    share = pairs.distance / (pairs.distance.max() * (pick_ids.size + 1) or 1)
    ceiling = float(rank.max() + 1)
    dummy = np.arange(pick_ids.size)
    cost = np.concatenate([ceiling - rank[pick] + share, np.full(pick_ids.size, ceiling)])
    # SciPy's graph routines use 32-bit indices; not every version converts wider ones.
    rows = np.concatenate([pick, dummy]).astype(np.int32)
    columns = np.concatenate([label, label_ids.size + dummy]).astype(np.int32)
    graph = csr_array((cost, (rows, columns)), shape=(pick_ids.size, label_ids.size + pick_ids.size))
    matched_pick, matched_label = min_weight_full_bipartite_matching(graph)
    real = matched_label < label_ids.size
    matched_pick, matched_label = matched_pick[real], matched_label[real]
    # A pair is known by its number in row-major order. SciPy may give 32-bit indices, which could overflow here.
    chosen = matched_pick.astype(np.intp) * label_ids.size + matched_label
    where = np.flatnonzero(np.isin(pick * label_ids.size + label, chosen))
    where = where[np.argsort(pairs.pick[where])]
    return Pairs(pairs.pick[where], pairs.label[where], pairs.distance[where])


def near_any(picks: np.ndarray, points: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return whether each pick lies within the radius of one of `points`, the limit included; bool, shape (n,)."""
    near = np.zeros(len(picks), bool)
    near[candidates(picks, points, np.asarray(radii, float), tolerance=1.0).pick] = True
    return near
