"""Non-maximum suppression against the greedy definition, with work and memory for the lists that networks make."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cryokit.coordinates import suppression
from cryokit.coordinates.suppression import nms_distance, nms_iou
from cryokit.errors import ArgumentError

REPOSITORY = Path(__file__).resolve().parent.parent

# --- the greedy definition, word for word ----------------------------------------------------------------------------


def greedy(candidates, overlap):
    """Sort, select the best, drop what overlaps it and is of its class, repeat."""

    def rank(i):
        x, y, score, label, _ = candidates[i]
        return -score, y, x, label, i

    left = sorted(range(len(candidates)), key=rank)
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        left = [
            i for i in left if candidates[i][3] != candidates[best][3] or not overlap(candidates[i], candidates[best])
        ]
    return kept


def closer_than(distance):
    return lambda one, other: math.hypot(one[0] - other[0], one[1] - other[1]) < distance


def iou(one, other):
    """Intersection over union of two squares, from their corners."""
    sides = []
    for axis in range(2):
        low = max(one[axis] - one[4] / 2, other[axis] - other[4] / 2)
        high = min(one[axis] + one[4] / 2, other[axis] + other[4] / 2)
        sides.append(max(0.0, high - low))
    shared = sides[0] * sides[1]
    return shared / (one[4] ** 2 + other[4] ** 2 - shared)


def columns(candidates):
    return (np.array([candidate[field] for candidate in candidates]) for field in range(5))


# Whole numbers: many ties in score, many equal distances, many candidates in one place. (x, y, score, class, box)
CANDIDATES = st.lists(
    st.tuples(
        st.integers(0, 15).map(float),
        st.integers(0, 15).map(float),
        st.integers(0, 4).map(float),
        st.sampled_from(["top", "side", "irregular"]),
        st.sampled_from([2.0, 4.0, 5.0, 8.0]),
    ),
    max_size=45,
)
# Fractions that no pair of such boxes has exactly: rounding cannot decide.
LIMITS = st.sampled_from([0.0, 0.101, 0.303, 0.507, 0.9, 1.0])


@settings(max_examples=150)
@given(candidates=CANDIDATES, distance=st.sampled_from([0.0, 1.0, 1.5, 3.0, 5.0, 7.3, 40.0]))
def test_by_distance(candidates, distance):
    x, y, score, classes, _ = columns(candidates)
    kept = nms_distance(x, y, score, distance, classes=classes).tolist()
    assert kept == greedy(candidates, closer_than(distance))
    one_class = [(x, y, score, "particle", box) for x, y, score, _, box in candidates]
    assert nms_distance(x, y, score, distance).tolist() == greedy(one_class, closer_than(distance))


@settings(max_examples=150)
@given(candidates=CANDIDATES, limit=LIMITS)
def test_by_boxes_of_different_sizes(candidates, limit):
    x, y, score, classes, box = columns(candidates)
    kept = nms_iou(x, y, box, score, limit=limit, classes=classes).tolist()
    assert kept == greedy(candidates, lambda one, other: iou(one, other) > limit)


@pytest.mark.parametrize("seed", range(3))
def test_crowds_of_many(seed):
    rng = np.random.default_rng(seed)
    x, y, score = rng.normal(0, 30, 500), rng.normal(0, 30, 500), rng.random(500)
    classes, box = rng.integers(0, 3, 500), rng.choice([10.0, 12.0, 30.0], 500)
    candidates = list(zip(x, y, score, classes, box, strict=True))
    expected = greedy(candidates, closer_than(9.7))
    assert nms_distance(x, y, score, 9.7, classes=classes).tolist() == expected
    expected = greedy(candidates, lambda one, other: iou(one, other) > 0.3)
    assert nms_iou(x, y, box, score, limit=0.3, classes=classes).tolist() == expected


# --- single cases ----------------------------------------------------------------------------------------------------


def test_the_limit_itself_stays():
    assert nms_distance([0, 3], [0, 4], [1, 0.5], 5).tolist() == [0, 1]
    assert nms_distance([0, 3], [0, 4], [1, 0.5], 5.000001).tolist() == [0]
    # Boxes of side 4 that are a pixel apart share 12 of 20 pixels.
    assert nms_iou([0, 1], [0, 0], 4, [1, 0.5], limit=0.6).tolist() == [0, 1]
    assert nms_iou([0, 1], [0, 0], 4, [1, 0.5], limit=0.599).tolist() == [0]


def test_boxes_that_share_a_corner_or_nothing():
    for limit in (0, 0.005):  # one pixel of 199
        assert nms_iou([0, 9], [0, 9], 10, [1, 0.5], limit=limit).tolist() == [0]
    # A large box elsewhere widens the search for all.
    assert nms_iou([0, 5, 100], [0, 0, 0], [2, 2, 20], [3, 2, 1], limit=0.1).tolist() == [0, 1, 2]
    assert nms_iou([0, 0, 100], [0, 5, 0], [2, 2, 20], [3, 2, 1], limit=0.1).tolist() == [0, 1, 2]


def test_a_suppressed_candidate_suppresses_nothing():
    assert nms_distance([0, 4, 8], [0, 0, 0], [0.9, 0.8, 0.7], 5).tolist() == [0, 2]
    assert nms_iou([0, 4, 8], [0, 0, 0], 10, [0.9, 0.8, 0.7], limit=0.2).tolist() == [0, 2]


def test_ties_are_ordered_by_row_then_column_then_class_then_index():
    assert nms_distance([1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], 0).tolist() == [2, 3, 0, 1]
    assert nms_distance([1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], 9).tolist() == [2]
    assert nms_iou([1, 0, 0, 0], [0, 1, 0, 0], 9, [1, 1, 1, 1], limit=0.1).tolist() == [2]
    assert nms_distance([0, 0, 0], [0, 0, 0], [1, 1, 1], 0, classes=["top", "side", "side"]).tolist() == [1, 2, 0]


@settings(max_examples=50)
@given(candidates=CANDIDATES, seed=st.integers(0, 99))
@example(candidates=[(0.0, 0.0, 0.0, "top", 2.0), (0.0, 0.0, 0.0, "side", 2.0)], seed=3)  # one place, two classes
def test_the_order_of_the_list_does_not_matter(candidates, seed):
    x, y, score, classes, _ = columns(candidates)
    turned = np.random.default_rng(seed).permutation(len(candidates))

    def places(kept, order):
        return [tuple(candidates[order[i]][:4]) for i in kept]

    straight = nms_distance(x, y, score, 3, classes=classes)
    other = nms_distance(x[turned], y[turned], score[turned], 3, classes=classes[turned])
    assert places(straight, np.arange(len(candidates))) == places(other, turned)


def test_small_unsigned_numbers_do_not_wrap_around():
    x, y, score, box = (np.array(values, np.uint8) for values in ([3, 1], [1, 3], [1, 2], [200, 200]))
    assert nms_distance(x, y, score, 3).tolist() == [1]
    assert nms_iou(x, y, box, score, limit=0.9).tolist() == [1]
    assert nms_iou(x, y, box, score, limit=0.97).tolist() == [1, 0]
    assert nms_distance(x, y, score, 2.8).tolist() == [1, 0]


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one(n):
    zeros = np.zeros(n)
    assert nms_distance(zeros, zeros, zeros, 5, classes=["a"] * n).tolist() == list(range(n))
    assert nms_iou(zeros, zeros, np.ones(n), zeros).tolist() == list(range(n))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: nms_distance([0], [0], [1], -1), r"^distance .*-1"),
        (lambda: nms_distance([0, 1], [0], [1, 2], 1), r"^y .*1.*2"),
        (lambda: nms_distance([0, 1], [0, 1], [1], 1), r"^score .*1.*2"),
        (lambda: nms_distance([0], [0], [1], 1, classes=["a", "b"]), r"^classes .*2.*1"),
        (lambda: nms_distance([0], [np.nan], [1], 1), "^x and y "),
        (lambda: nms_distance([0], [0], [np.nan], 1), "^score "),
        (lambda: nms_iou([0], [0], 0, [1]), "^box "),
        (lambda: nms_iou([0], [0], [1, 2], [1]), r"^box .*2.*1"),
        (lambda: nms_iou([0], [0], 1, [1], limit=1.1), r"^limit .*1\.1"),
    ],
)
def test_wrong_arguments_are_refused(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()


# --- work and memory -------------------------------------------------------------------------------------------------

N = 20_000


@pytest.mark.parametrize("diameter", [40.0, 100.0])
def test_only_neighbours_are_compared(diameter, monkeypatch):
    compared = []
    greedy_search = suppression._greedy

    def counting(*arguments):
        *rest, overlap = arguments

        def counted(best, others):
            compared[-1] += len(others)
            return overlap(best, others)

        compared.append(0)
        return greedy_search(*rest, counted)

    monkeypatch.setattr(suppression, "_greedy", counting)
    rng = np.random.default_rng(0)
    x, y, score = rng.uniform(0, 4096, N), rng.uniform(0, 4096, N), rng.random(N)
    nms_distance(x, y, score, diameter / 2)
    nms_iou(x, y, diameter, score)
    # Of 2e8 pairs. Each candidate is suppressed by one and may have been compared with a few more before.
    assert len(compared) == 2
    assert 0 < max(compared) < 5 * N


CROWDS = """
import resource, sys
import numpy as np
from cryokit.coordinates.suppression import nms_distance, nms_iou

def peak():  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

n, rng = 20_000, np.random.default_rng(0)
zeros, index = np.zeros(n), np.arange(n)
spot = rng.normal(0, 10, n)
crowds = {
    "one place": (zeros, zeros, rng.random(n)),
    "one particle": (spot, rng.normal(0, 10, n), rng.random(n)),
    "a rising line": (index / 100, zeros, index / n),
    "far and near": (np.where(index < n // 2, 1000 * index, spot), zeros, index < n // 2),
}
nms_distance([0, 1], [0, 1], [0, 1], 2)
for name, (x, y, score) in crowds.items():
    before = peak()
    kept = nms_distance(x, y, score, 50).size, nms_iou(x, y, 50, score).size
    print(name, *kept, peak() - before, sep=",")
"""


def test_crowds_need_no_quadratic_memory():
    # Peaks of memory are those of a process, so it takes one of its own. All pairs of a crowd are 2e8: over 3 GB.
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", CROWDS], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    lines = [line.split(",") for line in done.stdout.splitlines()]
    assert len(lines) == 4
    for name, by_distance, by_boxes, memory in lines:
        assert int(memory) < 150e6, name
        expected = N // 2 if name == "far and near" else 1
        assert int(by_distance) >= expected, name
        assert int(by_boxes) >= expected, name
        if name != "far and near":
            assert int(by_boxes) < 30, name
