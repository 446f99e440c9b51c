"""Matching against brute force and against cases worked out by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from cryokit.evaluate.matching import Pairs, candidates, match, near_any


def pair_set(found):
    return set(zip(found.pick.tolist(), found.label.tolist(), strict=True))


def all_matchings(picks, pairs):
    """Yield every one-to-one choice from `pairs`, as lists of (pick, label, distance)."""
    edges = {pick: [pair for pair in pairs if pair[0] == pick] for pick in picks}
    for choice in itertools.product(*([None, *edges[pick]] for pick in picks)):
        chosen = [pair for pair in choice if pair is not None]
        if len({pair[1] for pair in chosen}) == len(chosen):
            yield chosen


# Whole coordinates in a small square: crowded, with many equal distances and limits hit exactly.
points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=5)


@settings(max_examples=150, deadline=None)
@given(points, points, st.sampled_from([2.0, 3.0, 5.0]), st.data())
def test_best_of_all_matchings(picks, labels, radius, data):
    priority = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(picks), max_size=len(picks))), int)
    picks, labels = np.reshape(picks, (-1, 2)).astype(float), np.reshape(labels, (-1, 2)).astype(float)
    pairs = [
        (i, j, float(np.linalg.norm(pick - label)))
        for i, pick in enumerate(picks)
        for j, label in enumerate(labels)
        if np.linalg.norm(pick - label) <= radius
    ]
    best = min(
        (
            (-len(chosen), sorted(-priority[pick] for pick, _, _ in chosen), sum(d for _, _, d in chosen))
            for chosen in all_matchings(range(len(picks)), pairs)
        ),
    )
    found = match(candidates(picks, labels, np.full(len(labels), 4 * radius)), priority)

    assert len(found.pick) == -best[0]
    assert len(set(found.pick.tolist())) == len(set(found.label.tolist())) == len(found.pick)
    assert sorted(-priority[found.pick]) == best[1]
    assert found.distance.sum() == pytest.approx(best[2])
    assert pair_set(found) <= {(i, j) for i, j, _ in pairs}


@pytest.mark.parametrize("density", [300, 60])
def test_every_threshold_has_a_maximum_matching(density):
    """The matched picks above any threshold are as many as those picks alone could have (Hopcroft and Karp)."""
    rng = np.random.default_rng(4)
    picks, labels, scores = rng.random((120, 2)) * density, rng.random((80, 2)) * density, rng.integers(0, 30, 120)
    pairs = candidates(picks, labels, rng.uniform(60, 100, 80))
    found = match(pairs, scores)
    for threshold in np.unique(scores):
        keep = scores[pairs.pick] >= threshold
        ends = pairs.pick[keep].astype(np.int32), pairs.label[keep].astype(np.int32)
        graph = csr_array((np.ones(keep.sum()), ends), shape=(120, 80))
        most = (maximum_bipartite_matching(graph, perm_type="column") >= 0).sum()
        assert (scores[found.pick] >= threshold).sum() == most


def test_most_pairs_before_nearest_pairs():
    """The case on which clipped-cost assignment finds one pair where two are possible."""
    labels = np.array([[0.0, 0.0], [9.0, 0.0]])
    picks = np.array([[0.5, 0.0], [-9.9, 0.0]])
    found = match(candidates(picks, labels, np.array([40.0, 40.0])), np.zeros(2))
    assert pair_set(found) == {(0, 1), (1, 0)}


def test_a_pick_left_over_changes_nothing_for_the_next():
    pairs = Pairs(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 0]), np.ones(4))
    assert pair_set(match(pairs, np.array([0, 1, 2]))) == {(1, 1), (2, 0)}


@pytest.mark.parametrize(
    ("tolerance", "diameter", "distance"), [(0.25, 76, 19), (0.29, 100, 29), (0.1, 3, 0.3), (0.7, 10, 7), (1 / 3, 3, 1)]
)
def test_the_limit_itself_matches(tolerance, diameter, distance):
    label, size = np.array([[50.0, 50.0]]), np.array([float(diameter)])
    assert len(candidates(label + np.array([0, distance]), label, size, tolerance=tolerance).pick) == 1
    assert len(candidates(label + np.array([0, distance + 1e-4]), label, size, tolerance=tolerance).pick) == 0


def test_each_label_has_its_own_reach():
    labels = np.array([[0.0, 0.0], [100.0, 0.0]])
    picks = labels + np.array([10.0, 0.0])
    assert pair_set(candidates(picks, labels, np.array([20.0, 40.0]))) == {(1, 1)}


@pytest.mark.parametrize("limit", [0.2, 0.5, 0.6, 0.8])
def test_iou_of_boxes_shifted_along_one_axis(limit):
    """(s - d) / (s + d) >= limit is d <= s (1 - limit) / (1 + limit): the criteria agree there."""
    side = 90.0
    shifts = np.linspace(-80, 80, 321)
    picks = np.stack([500 + shifts, np.full(321, 500.0)], axis=1)
    label, sides = np.array([[500.0, 500.0]]), np.array([side])
    by_iou = candidates(picks, label, sides, tolerance=limit, criterion="iou")
    by_distance = candidates(picks, label, sides, tolerance=(1 - limit) / (1 + limit))
    assert 0 < len(by_iou.pick) < 321
    assert set(by_iou.pick) == set(by_distance.pick)


def test_iou_takes_the_boxes_own_sizes():
    label, sides = np.array([[0.0, 0.0]]), np.array([100.0])
    inside = {"picks": np.array([[10.0, -5.0]]), "labels": label, "diameters": sides, "criterion": "iou"}
    # A box of 80 x 80 wholly inside one of 100 x 100: IoU 0.64. Off the centre it stays inside.
    assert len(candidates(**inside, tolerance=0.64, pick_diameters=np.array([80.0])).pick) == 1
    assert len(candidates(**inside, tolerance=0.65, pick_diameters=np.array([80.0])).pick) == 0
    # Without a size of its own the pick has the label's: 90 x 95 shared, IoU 8550 / 11450.
    assert len(candidates(**inside, tolerance=0.746, pick_diameters=np.array([np.nan])).pick) == 1
    assert len(candidates(**inside, tolerance=0.747).pick) == 0
    # A large pick reaches a small label from afar: 300 and 100, 140 apart: 6000 shared of 94000.
    far = {**inside, "picks": np.array([[140.0, 0.0]])}
    assert len(candidates(**far, tolerance=0.063, pick_diameters=np.array([300.0])).pick) == 1
    assert len(candidates(**far, tolerance=0.064, pick_diameters=np.array([300.0])).pick) == 0


def test_boxes_apart_along_both_axes_do_not_overlap():
    """Two negative lengths would make a positive area; the large pick makes the search reach far."""
    picks, label = np.array([[150.0, 150.0], [1000.0, 0.0]]), np.array([[0.0, 0.0]])
    sizes = {"diameters": np.array([100.0]), "pick_diameters": np.array([20.0, 300.0])}
    assert len(candidates(picks, label, **sizes, tolerance=0.01, criterion="iou").pick) == 0


def test_boxes_that_touch_at_their_corners():
    # 72 px apart along both axes, of 100: 28 * 28 shared of 19216. The centres are farther apart than a side.
    label, sides = np.array([[0.0, 0.0]]), np.array([100.0])
    corner = {"labels": label, "diameters": sides, "criterion": "iou"}
    assert len(candidates(np.array([[72.0, 72.0]]), **corner, tolerance=0.04).pick) == 1
    assert len(candidates(np.array([[72.0, 72.0]]), **corner, tolerance=0.041).pick) == 0
    # One pixel apart along one axis they share nothing, however wide they are along the other.
    apart = np.array([[101.0, 0.0], [140.0, 0.0]])
    assert candidates(apart, **corner, tolerance=0.004, pick_diameters=np.array([100.0, 300.0])).pick.tolist() == [1]


def test_no_picks_or_no_labels():
    nothing, point = np.empty((0, 2)), np.zeros((1, 2))
    for criterion in ("distance", "iou"):
        assert len(candidates(nothing, point, np.ones(1), criterion=criterion).pick) == 0
        found = candidates(point, nothing, np.ones(0), criterion=criterion)
        assert [(values.dtype.kind, len(values)) for values in found] == [("i", 0), ("i", 0), ("f", 0)]
    assert len(match(candidates(nothing, nothing, np.ones(0)), np.ones(0)).pick) == 0
    assert near_any(point, nothing, np.ones(0)).tolist() == [False]


def test_duplicates_and_coinciding_centres():
    labels = np.array([[5.0, 5.0]])
    found = match(candidates(np.repeat(labels, 3, axis=0), labels, np.ones(1)), np.array([1, 3, 2]))
    assert pair_set(found) == {(1, 0)}


def test_near_any_is_inclusive_and_uses_each_radius():
    picks = np.array([[10.0, 0.0], [10.1, 0.0], [65.0, 0.0]])
    near = near_any(picks, np.array([[0.0, 0.0], [60.0, 0.0]]), np.array([10.0, 5.0]))
    assert near.dtype == bool
    assert near.tolist() == [True, False, True]


def test_as_many_pairs_as_there_can_be_where_all_compete():
    rng = np.random.default_rng(0)
    picks, labels = rng.random((600, 2)) * 1100, rng.random((600, 2)) * 1100
    pairs = candidates(picks, labels, np.full(600, 300.0))
    found = match(pairs, rng.permutation(600))
    graph = csr_array((np.ones(pairs.pick.size), (pairs.pick.astype(np.int32), pairs.label.astype(np.int32))))
    assert len(found.pick) == (maximum_bipartite_matching(graph, perm_type="column") >= 0).sum()
