"""Circular Hough transform: analytic discs, a search over all circles, and symmetries that must hold."""

import itertools
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryokit.errors import ArgumentError, ArgumentTypeError, MicrographError
from cryokit.evaluate import evaluate
from cryokit.imaging import resize
from cryokit.imaging.filters import flatten
from cryokit.micrograph import read
from cryokit.segmentation.hough import coded_radius, hough_circles, hough_map


def bright_discs(shape, discs):
    """1 inside discs (x, y, radius), 0 outside, and on the rim what a pixel about covers of the disc."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    picture = np.zeros(shape)
    for x, y, radius in discs:
        picture = np.maximum(picture, np.clip(radius + 0.5 - np.hypot(column - x, row - y), 0, 1))
    return picture


def scattered(seed, number, shape, radius, distance):
    """`number` discs of equal radius at random places, at least `distance` apart."""
    rng = np.random.default_rng(seed)
    discs = []
    while len(discs) < number:
        x, y = rng.uniform(0, shape[1] - 1), rng.uniform(0, shape[0] - 1)
        if all(math.hypot(x - other[0], y - other[1]) >= distance for other in discs):
            discs.append((x, y, radius))
    return discs


def nearest(circles, discs):
    """For each disc, the index of the circle whose centre is nearest, and how far it is."""
    discs = np.asarray(discs)
    away = np.hypot(circles.x[:, None] - discs[:, 0], circles.y[:, None] - discs[:, 1])
    return away.argmin(axis=0), away.min(axis=0)


def assert_found(circles, discs, centre=0.5, only=True):
    assert len(circles) == len(discs) if only else len(circles) >= len(discs)
    index, away = nearest(circles, discs)
    assert len(set(index.tolist())) == len(discs), "one circle for two discs"
    assert away.max() <= centre
    true = np.array([disc[2] for disc in discs])
    assert (np.abs(circles.radius[index] - true) <= np.maximum(1, 0.04 * true)).all()


# --- discs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [8, 9.5, 13, 20, 24, 33.3, 48, 60])
@pytest.mark.parametrize("as_mask", [False, True])
def test_one_disc_of_any_radius_is_found_to_a_fraction_of_a_pixel(radius, as_mask):
    disc = (90.3, 81.75, radius)
    picture = bright_discs((170, 180), [disc])
    circles = hough_circles(picture > 0.5 if as_mask else 1 - picture, (8, 60))
    assert_found(circles, [disc], centre=0.25)
    assert circles.strength[0] > 0.9


def test_discs_of_very_different_radius_are_found_together():
    discs = [(20, 20, 8), (60.4, 30.2, 15), (130.7, 60.5, 40), (250.1, 90.9, 60), (60, 120, 25), (30.5, 84, 11)]
    circles = hough_circles(1 - bright_discs((170, 330), discs), (8, 60))
    assert_found(circles, discs)
    assert np.all(np.diff(circles.strength) <= 0)


@pytest.mark.parametrize("smallest", [6, 12, 15])  # smoothed with a sixth of it
def test_smoothing_does_not_shrink_the_radius(smallest):
    picture = 1 - bright_discs((80, 90), [(41.3, 38.8, 16)])
    circles = hough_circles(picture, (smallest, 22))
    assert circles.radius == pytest.approx([16], abs=0.1)


@pytest.mark.parametrize("radii", [(20, 20), (18, 22), (14, 26), (13, 85), (5, 30)])
def test_the_range_of_radii_may_be_narrow_or_wide(radii):
    discs = [(40, 45, 20), (100.5, 50.5, 20)]
    assert_found(hough_circles(bright_discs((100, 150), discs) > 0.5, radii), discs)


@pytest.mark.parametrize("radius", [10, 31])
def test_discs_outside_the_range_are_not_found(radius):
    assert len(hough_circles(bright_discs((100, 110), [(50, 52, radius)]) > 0.5, (14, 26))) == 0


@pytest.mark.parametrize("gap", [2.0, 1.8, 1.6])
@pytest.mark.parametrize("angle", [0, 30, 77])
@pytest.mark.parametrize("as_mask", [False, True])
def test_touching_and_overlapping_discs_are_all_found(gap, angle, as_mask):
    """Three discs, each two of which touch, or overlap by 10 or 20 % of the diameter."""
    radius = 20
    away = gap * radius / math.sqrt(3)
    directions = np.radians(angle + np.array([0, 120, 240]))
    discs = [(75.2 + away * math.cos(a), 74.6 + away * math.sin(a), radius) for a in directions]
    picture = bright_discs((150, 150), discs)
    assert_found(hough_circles(picture > 0.5 if as_mask else 1 - picture, (14, 26)), discs, centre=1.0)


def test_small_overlapping_discs_in_a_row_are_all_found():
    discs = [(20 + 12.8 * i, 30.3, 8) for i in range(12)]
    assert_found(hough_circles(bright_discs((60, 190), discs) > 0.5, (7, 12)), discs, centre=1.0)


def test_half_discs_at_the_border_are_found_with_about_half_the_strength():
    whole, left, bottom = (60, 40, 18), (0, 40, 18), (130, 89, 18)
    circles = hough_circles(1 - bright_discs((90, 160), [whole, left, bottom]), (14, 26))
    assert_found(circles, [whole, left, bottom])
    index, _ = nearest(circles, [whole, left, bottom])
    full, *halves = circles.strength[index]
    assert full > 0.9
    assert all(0.4 < half < 0.6 for half in halves)


def test_a_quarter_disc_in_the_corner_is_weaker_than_a_half_disc():
    circles = hough_circles(1 - bright_discs((90, 160), [(0, 0, 25), (80, 0, 25)]), (14, 40), threshold=0.1)
    index, away = nearest(circles, [(0, 0), (80, 0)])
    assert away.max() < 1
    quarter, half = circles.strength[index]
    assert quarter == pytest.approx(0.25, abs=0.08)
    assert half == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_strength_is_the_share_of_the_circumference_that_has_an_edge(share):
    """A disc whose rim fades into its surroundings within a sector."""
    row, column = np.mgrid[:120, :120]
    across, down = column - 60.0, row - 60.0
    away, angle = np.hypot(across, down), np.mod(np.arctan2(down, across), 2 * np.pi)
    disc = np.clip(30.5 - away, 0, 1)
    # Inside and outside are equally bright in the sector, except for a ramp too shallow to be an edge.
    picture = np.where(angle < 2 * np.pi * share, disc, np.clip(1 - away / 90, 0, 1))
    circles = hough_circles(picture, (20, 40), dark=False, threshold=0.2, edge_threshold=0.3)
    assert circles.strength[0] == pytest.approx(share, abs=0.08)


def test_strength_depends_on_neither_contrast_nor_radius():
    row, column = np.mgrid[:120, :260]
    small, large = (np.clip(r + 0.5 - np.hypot(column - x, row - 60), 0, 1) for x, r in ((50, 14), (170, 50)))
    circles = hough_circles(0.4 * small + large, (10, 60), dark=False, edge_threshold=0.1)
    assert len(circles) == 2
    assert circles.strength.min() > 0.9
    assert np.ptp(circles.strength) < 0.1


@pytest.mark.parametrize("sides", [(34, 34), (40, 40), (40, 70), (30, 90)])
@pytest.mark.parametrize("degrees", [0, 20, 45])
def test_squares_and_rectangles_are_clearly_weaker_than_discs(sides, degrees):
    row, column = np.mgrid[:140, :140] - 70.0
    turn = math.radians(degrees)
    along, across = column * math.cos(turn) + row * math.sin(turn), row * math.cos(turn) - column * math.sin(turn)
    rectangle = (np.abs(across) <= sides[0] / 2) & (np.abs(along) <= sides[1] / 2)
    strength = hough_circles(rectangle, (14, 26), threshold=0.05).strength
    disc = hough_circles(bright_discs((140, 140), [(70, 70, 20)]) > 0.5, (14, 26)).strength
    assert strength.max(initial=0) < 0.6
    assert strength.max(initial=0) < disc[0] - 0.35


@pytest.mark.parametrize("sigma", [0, 2])
def test_noise_is_clearly_weaker_than_discs(sigma):
    noise = np.random.default_rng(1).normal(size=(400, 420))
    noise = ndimage.gaussian_filter(noise, sigma) if sigma else noise
    assert hough_circles(noise, (14, 26), threshold=0.05).strength.max() < 0.6
    assert len(hough_circles(noise, (14, 26))) <= 5


def test_forty_discs_in_strong_noise():
    """Noise with a standard deviation as large as the discs' contrast."""
    shape = (600, 620)
    discs = scattered(7, 40, shape, 20, distance=45)
    noisy = 1 - bright_discs(shape, discs) + np.random.default_rng(8).normal(0, 1, shape)
    circles = hough_circles(noisy, (14, 26))
    index, away = nearest(circles, discs)
    inside = np.array([20 <= x < 600 and 20 <= y < 580 for x, y, _ in discs])
    assert (away[inside] < 2).all()
    assert (away < 4).sum() >= 38
    assert np.median(away) < 0.5
    assert np.median(np.abs(circles.radius[index] - 20)) < 0.5
    assert len(circles) <= 42


def test_a_ring_is_one_disc_by_its_outer_edge():
    """Apoferritin: a dark ring, whose inner edge has the contrast of a bright disc."""
    ring = bright_discs((90, 100), [(50, 45, 22)]) - bright_discs((90, 100), [(50, 45, 13)])
    circles = hough_circles(1 - ring, (8, 30))
    assert_found(circles, [(50, 45, 22)])
    assert_found(hough_circles(1 - ring, (8, 30), dark=False), [(50, 45, 13)])


# --- against a search over all circles -------------------------------------------------------------------------------


def share_of_rim(mask, x, y, radius):
    """Of the places on a circle, how many have the mask just inside and no mask just outside."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    rows, columns = mask.shape

    def at(away):
        column, row = np.rint(x + away * np.cos(angle)).astype(int), np.rint(y + away * np.sin(angle)).astype(int)
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        return np.where(inside, mask[row.clip(0, rows - 1), column.clip(0, columns - 1)], -1)

    return np.mean((at(radius - 0.8) == 1) & (at(radius + 0.8) == 0))


def best_of_all_circles(mask, radii):
    rows, columns = mask.shape
    return max(
        (share_of_rim(mask.astype(int), x, y, radius), x, y, radius)
        for y, x, radius in itertools.product(range(rows), range(columns), radii)
    )


@pytest.mark.parametrize(
    ("disc", "bite"),
    [
        ((12, 11, 7), np.s_[0:0, 0:0]),
        ((9, 13, 6), np.s_[0:0, 0:0]),
        ((12, 12, 8), np.s_[:, :8]),
        ((13, 10, 7), np.s_[12:, :]),
        ((2, 12, 8), np.s_[0:0, 0:0]),
        ((14, 21, 7), np.s_[0:0, 0:0]),
    ],
    ids=["whole", "small", "left third missing", "lower part missing", "over the left border", "over the lower border"],
)
def test_the_maximum_is_where_a_search_over_all_circles_has_it(disc, bite):
    mask = bright_discs((24, 24), [disc]) > 0.5
    mask[bite] = False
    share, x, y, radius = best_of_all_circles(mask, [5, 6, 7, 8, 9])
    assert share > 0.4, "there is a circle to find"
    accumulator = hough_map(mask, (5, 9))
    row, column = np.unravel_index(np.abs(accumulator).argmax(), mask.shape)
    assert math.hypot(column - x, row - y) <= 1.5
    circles = hough_circles(mask, (5, 9), threshold=0.3)
    assert math.hypot(circles.x[0] - x, circles.y[0] - y) <= 1.5
    assert circles.radius[0] == pytest.approx(radius, abs=1)
    assert circles.strength[0] == pytest.approx(share, abs=0.25)


# --- the accumulator -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [10, 14, 23, 25, 37, 55])
def test_in_the_centre_the_magnitude_is_about_one_and_the_phase_is_the_radius(radius):
    accumulator = hough_map(1 - bright_discs((150, 140), [(68, 77, radius)]), (10, 55))
    assert accumulator.shape == (150, 140)
    assert accumulator.dtype == np.complex64
    row, column = np.unravel_index(np.abs(accumulator).argmax(), accumulator.shape)
    # The cells of large radii are larger.
    assert math.hypot(column - 68, row - 77) <= max(1, radius / 12)
    assert abs(accumulator[row, column]) == pytest.approx(1, abs=0.35)
    assert coded_radius(accumulator[77, 68], (10, 55)) == pytest.approx(radius, rel=0.06)


def test_a_straight_edge_is_no_evidence():
    step = np.zeros((200, 220))
    step[:, 110:] = 1
    disc = bright_discs((200, 220), [(100, 100, 30)])
    assert np.abs(hough_map(step, (10, 60))).max() < 0.25 * np.abs(hough_map(disc, (10, 60), dark=False)).max()
    assert len(hough_circles(step, (10, 60))) == 0


@given(st.floats(3, 50), st.floats(1, 12), st.floats(0, 1))
def test_coded_radius_undoes_the_phase(smallest, ratio, where):
    """Radii in order have phases in order, which span the range from the smallest to the largest."""
    radii = (smallest, smallest * ratio)
    phases = np.exp(1j * np.linspace(0, 2 * np.pi * 0.99, 200))
    coded = coded_radius(phases, radii)
    assert coded[0] == pytest.approx(smallest)
    assert coded.max() == pytest.approx(smallest * ratio, rel=0.02)
    turning = np.flatnonzero(np.diff(coded) < 0)
    assert len(turning) <= 1, "increasing up to the gap, then the smallest again"
    assert (coded >= smallest * (1 - 1e-9)).all()
    assert (coded <= smallest * ratio * (1 + 1e-9)).all()


# --- symmetries ------------------------------------------------------------------------------------------------------

SCENE = [(30.3, 28.1, 9.5), (58.6, 40.2, 13.3), (83, 27.4, 11), (40.5, 66.7, 16)]


def by_place(circles):
    order = np.lexsort((circles.y.round(), circles.x.round()))
    return np.column_stack([circles.x, circles.y, circles.radius, circles.strength])[order]


@settings(max_examples=25, deadline=None)
@given(st.integers(-12, 40), st.integers(-12, 40))
def test_moving_the_picture_moves_the_circles(right, down):
    scene = bright_discs((140, 150), [(x + 14, y + 14, r) for x, y, r in SCENE]) > 0.5
    moved = np.roll(scene, (down, right), axis=(0, 1))
    circles, after = (by_place(hough_circles(picture, (8, 30))) for picture in (scene, moved))
    assert len(circles) == len(SCENE)
    np.testing.assert_allclose(after, circles + np.array([right, down, 0, 0]), atol=0.08)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]))
def test_inverting_the_contrast_is_the_same_as_the_other_polarity(seed, noise):
    picture = bright_discs((100, 110), SCENE) + np.random.default_rng(seed).normal(0, noise, (100, 110))
    dark, bright = by_place(hough_circles(1 - picture, (8, 20))), by_place(hough_circles(picture, (8, 20), dark=False))
    np.testing.assert_allclose(dark, bright, atol=0.02)
    assert len(dark) >= len(SCENE)


@given(st.floats(1e-3, 1e4), st.floats(-1e4, 1e4))
@settings(max_examples=20, deadline=None)
def test_brightness_and_contrast_do_not_matter(gain, offset):
    picture = 1 - bright_discs((100, 110), SCENE)
    before, after = hough_circles(picture, (8, 20)), hough_circles(gain * picture + offset, (8, 20))
    if gain > 1e-5 * abs(offset):
        np.testing.assert_allclose(by_place(after), by_place(before), atol=0.02)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turning_the_picture_turns_the_circles(turn):
    picture = 1 - bright_discs((100, 110), SCENE)
    circles = hough_circles(picture, (8, 20))
    turned = hough_circles(np.rot90(picture, turn), (8, 20))
    x, y, shape = circles.x, circles.y, picture.shape
    for _ in range(turn):
        x, y, shape = y, shape[1] - 1 - x, shape[::-1]
    index, away = nearest(turned, np.column_stack([x, y]))
    assert len(turned) == len(circles)
    assert away.max() < 0.02
    np.testing.assert_allclose(turned.radius[index], circles.radius, atol=0.02)


def test_a_mask_has_its_particles_bright_whatever_dark_says():
    mask = bright_discs((100, 110), SCENE) > 0.5
    dark, bright = hough_circles(mask, (8, 20)), hough_circles(mask, (8, 20), dark=False)
    assert len(dark) == len(SCENE)
    assert dark.x.tolist() == bright.x.tolist()


def test_the_same_picture_gives_the_same_circles_and_is_left_alone():
    picture = np.random.default_rng(0).normal(size=(90, 95))
    copy = picture.copy()
    first, second = hough_circles(picture, (8, 20), threshold=0.2), hough_circles(picture, (8, 20), threshold=0.2)
    assert len(first) > 0
    assert np.array_equal(by_place(first), by_place(second))
    assert np.array_equal(picture, copy)


# --- settings --------------------------------------------------------------------------------------------------------


def test_threshold_leaves_out_the_weaker_circles_and_nothing_else():
    picture = 1 - bright_discs((90, 160), [(60, 40, 18), (0, 40, 18), (130, 89, 18)])
    loose, strict = hough_circles(picture, (14, 26), threshold=0.4), hough_circles(picture, (14, 26), threshold=0.8)
    assert strict.strength.tolist() == [strength for strength in loose.strength if strength >= 0.8]
    assert 0 < len(strict) < len(loose)


@pytest.mark.parametrize(("apart", "number"), [(17, 2), (13, 1)])
def test_of_circles_closer_than_the_smallest_radius_the_strongest_stays(apart, number):
    discs = [(40, 40, 16), (40 + apart, 40, 16)]
    picture = 1 - bright_discs((80, 130), discs)
    assert len(hough_circles(picture, (15, 26))) == number


def test_a_weak_disc_beside_a_strong_edge_needs_a_lower_edge_threshold():
    picture = bright_discs((100, 160), [(40, 50, 18)]) * 0.1
    picture[:, 130:] = 1
    assert len(hough_circles(picture, (14, 26), dark=False, edge_threshold=0.5)) == 0
    assert_found(hough_circles(picture, (14, 26), dark=False, edge_threshold=0.05), [(40, 50, 18)])


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((50, 60)),
        np.full((50, 60), 0.1 + 1e-15),
        np.full((33, 41), 255, dtype=np.uint8),
        np.zeros((40, 40), dtype=bool),
        np.ones((40, 40), dtype=bool),
        np.zeros((1, 1)),
        np.ones((1, 1), dtype=bool),
        np.arange(7.0)[None],
        np.arange(9.0)[:, None] % 2,
        np.zeros((0, 5)),
        np.zeros((0, 0), dtype=bool),
        np.eye(3),
        np.mgrid[:31, :17][0] * 1.0,
    ],
    ids=lambda picture: f"{picture.dtype} {picture.shape}",
)
@pytest.mark.parametrize("radii", [(3, 4), (13, 85), (60, 60)])
def test_without_a_disc_there_are_no_circles_and_no_error(picture, radii):
    circles = hough_circles(picture, radii)
    assert [values.shape for values in (circles.x, circles.y, circles.radius, circles.strength)] == 4 * [(0,)]
    assert hough_map(picture, radii).shape == picture.shape
    assert np.isfinite(hough_map(picture, radii)).all()


def test_rounding_errors_are_not_noise():
    nearly_constant = 1000 + np.random.default_rng(0).normal(0, 1e-9, (80, 80))
    assert len(hough_circles(nearly_constant, (8, 20), threshold=0.05)) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(3, 20), st.floats(1, 5), st.integers(0, 99), st.booleans())
def test_any_small_picture_gives_sound_circles(rows, columns, smallest, ratio, seed, as_mask):
    picture = np.random.default_rng(seed).random((rows, columns))
    picture = picture > 0.6 if as_mask else picture
    circles = hough_circles(picture, (smallest, smallest * ratio), threshold=0.05)
    assert ((circles.x >= -0.5) & (circles.x <= columns - 0.5)).all()
    assert ((circles.y >= -0.5) & (circles.y <= rows - 0.5)).all()
    assert ((circles.radius >= smallest) & (circles.radius <= smallest * ratio)).all()
    assert ((circles.strength >= 0.05) & (circles.strength <= 1)).all()


@pytest.mark.parametrize(
    ("radii", "named"),
    [
        ((20, 10), "10"),
        ((0, 10), "0"),
        ((-5, 10), "-5"),
        ((2.5, 10), "2.5"),
        ((math.nan, 10), "nan"),
        ((5, math.inf), "inf"),
        ((5, math.nan), "nan"),
        (12, "12"),
        ((5, 6, 7), r"\(5, 6, 7\)"),
        (("a", "b"), "'a'"),
    ],
)
def test_impossible_radii_are_refused_by_value(radii, named):
    for function in (hough_circles, hough_map):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=named):
            function(np.zeros((30, 30)), radii)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"threshold": 0}, "0"),
        ({"threshold": 1.2}, "1.2"),
        ({"threshold": math.nan}, "nan"),
        ({"edge_threshold": 1}, "1"),
        ({"edge_threshold": -0.2}, "-0.2"),
    ],
)
def test_impossible_settings_are_refused_by_value(setting, named):
    with pytest.raises(ArgumentError, match=named):
        hough_circles(np.zeros((30, 30)), (5, 9), **setting)


@pytest.mark.parametrize(
    ("picture", "named"),
    [
        (np.zeros((5, 5, 3)), r"\(5, 5, 3\)"),
        (np.zeros(5), r"\(5,\)"),
        (np.zeros((5, 5), dtype=complex), "complex"),
    ],
)
def test_impossible_pictures_are_refused(picture, named):
    with pytest.raises(ArgumentError, match=named):
        hough_circles(picture, (5, 9))


@pytest.mark.parametrize("picture", [np.full((20, 20), np.nan), np.diag([np.inf] + 19 * [1.0])])
def test_pictures_with_holes_are_refused(picture):
    with pytest.raises(MicrographError):
        hough_circles(picture, (5, 9))


# --- size ------------------------------------------------------------------------------------------------------------


def test_memory_stays_small_on_a_crowded_large_picture():
    """2048 x 2048, 200,000 edge pixels, all radii from 13 to 85."""
    tile = bright_discs((44, 44), [(21.5, 21.5, 17)])
    picture = np.tile(tile, (47, 47))[:2048, :2048].astype(np.float32)
    tracemalloc.start()
    try:
        circles = hough_circles(picture, (13, 85), dark=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(circles) >= 46 * 46
    assert peak < 300e6


@pytest.mark.real
def test_apoferritin_without_labels(real_data):
    """Rings on a real micrograph, only binned and levelled: nearly all that is found is a particle."""
    folder = real_data("apoferritin_10146")
    path = min((folder / "micrographs").iterdir())
    binned, frame = resize(read(path).data, 40 / 76)
    flat = flatten(binned, 40, contrast="dark")
    circles = hough_circles(ndimage.gaussian_filter(flat, 1.5), (14, 26), dark=False, threshold=0.5)
    x, y = frame.to_source(circles.x, circles.y)
    labels = pd.read_csv(folder / "labels" / f"{path.stem}.csv")
    labels["micrograph"] = path.stem
    picks = pd.DataFrame({"micrograph": path.stem, "x": x, "y": y, "score": circles.strength, "diameter": 76.0})
    result = evaluate(picks, labels)
    assert result.precision > 0.9
    assert result.recall > 0.6
