"""Peaks of score maps and their sub-pixel positions, against brute force and known spots."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cryokit.errors import ArgumentError
from cryokit.imaging.peaks import NOT_ON_EDGE, find_peaks, inside, refine, without_side_lobes

# Few different values: ties and plateaus everywhere.
COARSE_MAPS = arrays(
    np.float64, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 4).map(float)
)
DISTANCES = st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 4.3, 6.0, 9.0])
POINTS = st.lists(
    st.tuples(st.integers(0, 12).map(float), st.integers(0, 12).map(float), st.integers(0, 5).map(float)), max_size=40
)


def pixels(scores, distance, threshold=-np.inf):
    """Return (row, column) of the pixel at each peak, best first."""
    x, y, _ = find_peaks(scores, distance, threshold)
    return list(zip(np.rint(y).astype(int).tolist(), np.rint(x).astype(int).tolist(), strict=True))


# --- side lobes ----------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(points=POINTS, distance=DISTANCES, ratio=st.sampled_from([1.5, 2.0, 3.0]))
def test_side_lobes_have_a_far_stronger_maximum_near(points, distance, ratio):
    x, y, score = (np.array([point[axis] for point in points]) for axis in range(3))
    expected = [
        i
        for i, (*place, height) in enumerate(points)
        if not any(math.dist(place, other[:2]) <= distance and other[2] > ratio * height for other in points)
    ]
    assert without_side_lobes(x, y, score, distance, ratio).tolist() == expected


# --- which pixels are peaks ----------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(scores=COARSE_MAPS, distance=DISTANCES)
def test_a_pixel_better_than_all_around_is_a_peak(scores, distance):
    peaks = pixels(scores, distance)
    # A peak moves by up to half a pixel along each axis, the middle of a flat top by less than the distance.
    reach = 2 * distance + 2
    places = list(np.ndindex(scores.shape))
    for place in places:
        near = [other for other in places if other != place and math.dist(other, place) < reach]
        if all(scores[place] > scores[other] for other in near):
            assert place in peaks


@settings(max_examples=120, deadline=None)
@given(scores=COARSE_MAPS, distance=DISTANCES, threshold=st.integers(0, 4))
def test_peaks_are_apart_above_the_threshold_and_best_first(scores, distance, threshold):
    x, y, score = find_peaks(scores, distance, threshold)
    assert (score >= threshold).all()
    assert (np.diff(score) <= 0).all()
    assert len(x) == 0 or score[0] == scores.max()
    assert (len(x) > 0) == (scores.max() >= threshold)
    for one, other in itertools.combinations(zip(x, y, strict=True), 2):
        assert math.dist(one, other) >= distance - 1e-9


@settings(max_examples=100, deadline=None)
@given(scores=COARSE_MAPS, distance=DISTANCES)
@example(scores=np.array([[0.0, 0, 2, 3, 1, 2, 0]]), distance=2.0)  # peaks between pixels, exactly so far apart
def test_a_map_between_low_borders_has_the_same_peaks(scores, distance):
    # Were indices wrapped from the end of a row to the start of the next, the border would change what is near.
    margin = 10
    framed = np.full((scores.shape[0] + 2 * margin, scores.shape[1] + 2 * margin), -np.inf)
    framed[margin:-margin, margin:-margin] = scores
    x, y, score = find_peaks(scores, distance)
    x_framed, y_framed, score_framed = find_peaks(framed, distance)
    np.testing.assert_allclose(x_framed, x + margin)
    np.testing.assert_allclose(y_framed, y + margin)
    np.testing.assert_array_equal(score_framed, score)


def test_a_row_end_is_not_beside_the_start_of_the_next_row():
    scores = np.zeros((9, 10))
    scores[4, 9], scores[5, 0], scores[0, 4], scores[8, 5] = 4, 3, 2, 1
    assert pixels(scores, 4, 1) == [(4, 9), (5, 0), (0, 4), (8, 5)]


def test_nan_is_never_a_peak_and_hides_no_other():
    scores = np.zeros((9, 9))
    scores[4, 4], scores[4, 6] = 5, 3
    scores[4, 5] = np.nan
    assert pixels(scores, 2, 1) == [(4, 4), (4, 6)]
    scores[4, 4] = np.nan
    assert pixels(scores, 2, 1) == [(4, 6)]
    assert pixels(np.full((5, 5), np.nan), 2) == []


@pytest.mark.parametrize("place", list(np.ndindex(5, 5)))
def test_nan_on_any_side_hides_no_peak(place):
    scores = np.zeros((5, 5))
    scores[2, 2] = 1
    scores[place] = np.nan
    assert pixels(scores, 3, 0.5) == ([] if place == (2, 2) else [(2, 2)])


def test_what_is_lower_than_a_pixel_of_its_square_is_no_peak():
    # The square is 15 pixels wide. The second is suppressed by the first, and is in the square of the third.
    scores = np.zeros((20, 40))
    scores[10, [5, 14, 20]] = 3, 2, 1
    assert pixels(scores, 10, 0.5) == [(10, 5)]
    scores[10, [20, 22]] = 0, 1
    assert pixels(scores, 10, 0.5) == [(10, 5), (10, 22)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (7, 0)])
def test_empty_map(shape):
    assert [values.shape for values in find_peaks(np.zeros(shape), 3)] == [(0,)] * 3


def test_input_is_left_alone():
    scores = np.array([[np.nan, 1.0], [2.0, 0.0]])
    before = scores.copy()
    find_peaks(scores, 2)
    assert np.array_equal(scores, before, equal_nan=True)


# --- sub-pixel positions -------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    dx=st.floats(-0.5, 0.5),
    dy=st.floats(-0.5, 0.5),
    sigma=st.floats(1.5, 5),
    height=st.floats(0.1, 100),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@example(dx=0.5, dy=0.25, sigma=2.0, height=1.0, dtype=np.float32)  # two equal pixels side by side
def test_refined_positions_of_spots(dx, dy, sigma, height, dtype):
    rows, columns = np.mgrid[:31, :41]
    x, y = 22 + dx, 13 + dy
    spot = (height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))).astype(dtype)
    (peak_x,), (peak_y,), _ = find_peaks(spot, 50)
    assert (peak_x, peak_y) == pytest.approx((x, y), abs=0.1)


def test_refining_a_parabola_is_exact():
    rows, columns = np.mgrid[:9, :9]
    scores = -((columns - 4.3) ** 2) - 2 * (rows - 3.6) ** 2
    x, y = refine(scores, np.array([4]), np.array([4]))
    assert (x[0], y[0]) == pytest.approx((4.3, 3.6))


def test_maxima_on_the_border_stay_on_it_and_move_along_it():
    rows, columns = np.mgrid[:7, :9]
    top = -((columns - 4.25) ** 2) - rows.astype(float)
    x, y = refine(top, np.array([0]), np.array([4]))
    assert (x[0], y[0]) == pytest.approx((4.25, 0))
    corner = -1.0 - columns - rows
    for flip in (1, -1), (-1, 1), (-1, -1), (1, 1):
        turned = corner[:: flip[0], :: flip[1]]
        (x,), (y,), _ = find_peaks(turned, 20)
        assert (y, x) == np.unravel_index(turned.argmax(), turned.shape)


def test_refinement_stays_within_half_a_pixel_and_finite():
    flat = np.ones((5, 5))
    assert [values.tolist() for values in refine(flat, np.array([2]), np.array([2]))] == [[2.0], [2.0]]
    for slope, shift in ((np.arange(5.0) ** 2, 0), (np.arange(5.0), 0), (np.arange(5.0) ** 0.3, 0.5)):
        for turned, sign in ((slope, 1), (slope[::-1], -1)):  # no maximum at all along x
            x, y = refine(np.tile(turned, (5, 1)), np.array([2]), np.array([2]))
            assert (x[0], y[0]) == (2 + sign * shift, 2)
    beside_nan = np.array([[0, 0, 0], [np.nan, 3, 2], [0, 1, 0.0]])
    x, y = refine(beside_nan, np.array([1]), np.array([1]))
    assert x[0] == 1
    assert abs(y[0] - 1) < 0.5


def test_refining_nothing():
    none = np.empty(0, dtype=int)
    assert [values.shape for values in refine(np.zeros((4, 4)), none, none)] == [(0,), (0,)]


# --- peaks of a score map ------------------------------------------------------------------------------------------


def spots(shape, places, sigma=3.0, heights=None, dtype=np.float32):
    rows, columns = np.indices(shape)
    heights = np.ones(len(places)) if heights is None else heights
    bells = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)) for x, y in places]
    return sum(height * bell for height, bell in zip(heights, bells, strict=True)).astype(dtype)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), sigma=st.floats(2, 5))
def test_peaks_of_spots_between_the_pixels(seed, sigma):
    rng = np.random.default_rng(seed)
    grid = np.array([(x, y) for y in range(25, 130, 35) for x in range(25, 200, 35)])
    places = grid + rng.uniform(-3, 3, grid.shape)
    heights = rng.uniform(0.5, 1, len(places))
    x, y, score = find_peaks(spots((150, 220), places, sigma, heights), 3 * sigma, 0.3)
    assert len(x) == len(places)
    assert (np.diff(score) <= 0).all()
    distance = np.hypot(x[:, None] - places[:, 0], y[:, None] - places[:, 1])
    nearest = distance.argmin(axis=1)
    assert sorted(nearest) == list(range(len(places)))
    # The parabola through three values of a bell of this width is off by 0.03 pixels at most, along each axis.
    assert distance.min(axis=1).max() < 0.05
    assert score == pytest.approx(heights[nearest], abs=0.07)  # of the highest pixel, up to half a pixel beside the top


def test_peaks_of_noisy_spots_are_nearer_than_their_pixels():
    rng = np.random.default_rng(0)
    grid = np.array([(x, y) for y in range(20, 380, 40) for x in range(20, 380, 40)])
    places = grid + rng.uniform(-0.5, 0.5, grid.shape)
    scores = spots((400, 400), places, 3.0) + rng.normal(0, 0.01, (400, 400))
    x, y, _ = find_peaks(scores, 15, 0.5)
    nearest = np.hypot(x[:, None] - places[:, 0], y[:, None] - places[:, 1]).min(axis=1)
    assert len(x) == len(places)
    assert np.sqrt((nearest**2).mean()) < 0.2
    assert np.sqrt((np.hypot(*(grid - places).T) ** 2).mean()) > 0.35


@settings(max_examples=60, deadline=None)
@given(x=st.floats(20, 40), y=st.floats(20, 30), height=st.floats(1.5, 50))
def test_the_peak_of_a_score_that_has_reached_one_is_in_the_middle_of_the_flat(x, y, height):
    scores = np.minimum(spots((60, 70), [(x, y)], 4.0, [height]), 1)
    (found_x,), (found_y,), (score,) = find_peaks(scores, 25, 0.5)
    assert score == 1
    assert math.hypot(found_x - x, found_y - y) < 0.5


@pytest.mark.parametrize(
    ("flat", "middle"),
    [(([4, 5], [4, 5]), (4.5, 4.5)), ((4, slice(3, 7)), (4.5, 4)), ((slice(2, 6), slice(2, 6)), (3.5, 3.5))],
)
def test_a_flat_top_as_wide_as_the_distance_is_one_peak_in_its_middle(flat, middle):
    scores = np.zeros((10, 12))
    scores[flat] = 1
    assert [values.tolist() for values in find_peaks(scores, 4, 0.5)] == [[middle[0]], [middle[1]], [1]]


def test_flats_are_thinned_from_their_first_pixel():
    assert sorted(pixels(np.ones((1, 5)), 2)) == [(0, 0), (0, 2), (0, 4)]
    assert sorted(pixels(np.ones((5, 1)), 2)) == [(0, 0), (2, 0), (4, 0)]


def test_distances_below_a_pixel():
    scores = np.zeros((3, 7))
    scores[1, 2:5] = 1  # the outer ones lean inwards by half a pixel
    assert find_peaks(scores, 0.4, 0.5)[0].tolist() == [2.5, 3, 3.5]


def test_flats_wider_than_the_distance_are_thinned():
    scores = np.zeros((40, 90))
    scores[5:35, 5:60] = 1
    scores[19:22, 73:76] = 1
    x, y, _ = find_peaks(scores, 10, 0.5)
    assert (74, 20) in zip(x, y, strict=True)
    assert 8 < len(x) < 40
    for one, other in itertools.combinations(zip(x, y, strict=True), 2):
        assert math.dist(one, other) >= 10


def test_the_threshold_itself_is_above_it():
    scores = np.zeros((20, 20))
    scores[5, 5], scores[15, 15] = 0.5, 0.4999
    assert [values.tolist() for values in find_peaks(scores, 4, 0.5)] == [[5.0], [5.0], [0.5]]


def test_a_margin_leaves_out_particles_that_the_edge_cuts():
    scores = np.zeros((50, 70))
    for row, column in ((5, 30), (4, 50), (44, 30), (45, 50), (25, 4), (25, 64), (35, 65), (25, 35)):
        scores[row, column] = 1
    # Particles of 11 pixels: five on either side of their middle pixel.
    x, y, _ = find_peaks(scores, 3, 0.5, margin=5.5)
    assert sorted(zip(y, x, strict=True)) == [(5, 30), (25, 35), (25, 64), (44, 30)]
    assert len(find_peaks(scores, 3, 0.5)[0]) == 8


def test_what_still_rises_at_the_edge_is_no_peak():
    column, row = np.meshgrid(np.arange(40.0), np.arange(30.0))

    def bump(x, y):
        return np.exp(-((column - x) ** 2 + (row - y) ** 2) / 18)

    # One whose top lies outside, one in the corner, one whose top is the second column from the edge.
    scores = np.maximum.reduce([bump(-2, 8), bump(39.3, 29.6), bump(1, 20)])
    assert len(find_peaks(scores, 5, 0.5)[0]) == 3
    (x,), (y,), _ = find_peaks(scores, 5, 0.5, margin=NOT_ON_EDGE)
    assert (x, y) == pytest.approx((1, 20))


def test_inside_of_an_image():
    # 10 columns reach from -0.5 to 9.5.
    assert inside([-0.5, -0.6, 9.5, 9.6], [1, 1, 1, 1], (4, 10), 0).tolist() == [True, False, True, False]
    assert inside([1, 1, 1], [0.4, 0.5, 2.6], (4, 10), 1).tolist() == [False, True, False]
    assert inside([-2], [1], (4, 10), -2).tolist() == [True]


def test_excluded_pixels_are_no_peaks_but_still_count_as_neighbours():
    scores = np.zeros((20, 40))
    scores[:, :20] = np.linspace(1, 0.6, 20)
    scores[10, 30] = 0.7
    allowed = np.ones(scores.shape, bool)
    allowed[:, :10] = False
    x, y, _ = find_peaks(scores, 5, 0.5, allowed=allowed)
    assert [*zip(x, y, strict=True)] == [(30, 10)]


def test_wrong_arguments_are_named():
    for distance in (0, -1, np.nan, np.inf):
        with pytest.raises(ArgumentError, match=rf"^min_distance .*{distance}"):
            find_peaks(np.zeros((4, 4)), distance)
    with pytest.raises(ArgumentError, match=r"allowed.*\(4, 5\)"):
        find_peaks(np.zeros((4, 4)), 2, allowed=np.ones((4, 5), bool))
    with pytest.raises(ArgumentError, match=r"^scores .*\(4, 4, 2\)"):
        find_peaks(np.zeros((4, 4, 2)), 2)


def test_an_even_map_is_thinned_to_the_distance():
    assert sorted(pixels(np.ones((4, 4)), 2)) == [(0, 0), (0, 2), (2, 0), (2, 2)]
    assert len(pixels(np.ones((1000, 1000), np.float32), 10)) == 10_000
