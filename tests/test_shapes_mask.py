"""Cleaning of particle masks: each step against masks worked out by hand, the whole against what it promises."""

import math
import re
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from cryokit.errors import ArgumentError
from cryokit.segmentation.mask import clean, clean_stages, fill_holes

MASKS = arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))
NOTHING = {"smallest": 0, "radius": 0, "largest_hole": 0}  # each test switches on the step it is about


def picture(*lines):
    return np.array([[pixel == "#" for pixel in line] for line in lines])


def disc(size, x, y, radius):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.hypot(columns - x, rows - y) <= radius


def brute_dilation(mask, radius):
    """Every pixel within `radius` of a pixel of the mask."""
    distance = ndimage.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
    return distance <= radius


# --- holes ---------------------------------------------------------------------------------------------------------


def test_holes_are_filled_and_bays_are_not():
    mask = picture(
        "####....",
        "#..#.###",
        "####.#..",
        ".....###",
    )
    filled = fill_holes(mask)
    assert filled[1, 1:3].all()
    assert not filled[2, 6:].any()  # open to the border of the picture
    assert filled.sum() == mask.sum() + 2


def test_a_hole_does_not_leak_through_a_corner():
    mask = picture(
        ".#.",
        "#.#",
        ".#.",
    )
    assert fill_holes(mask).sum() == 5


def test_only_holes_up_to_the_limit_are_filled():
    mask = np.ones((10, 12), dtype=bool)
    mask[1:3, 1:3] = False  # 4 pixels
    mask[5:8, 5:8] = False  # 9 pixels
    assert fill_holes(mask, largest=3).sum() == 120 - 13
    assert fill_holes(mask, largest=4).sum() == 120 - 9
    assert fill_holes(mask, largest=9).all()


@settings(max_examples=60, deadline=None)
@given(mask=MASKS)
def test_filling_all_holes_is_scipys(mask):
    assert np.array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


# --- the steps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [1, 2, 3, 5])
@settings(max_examples=20, deadline=None)
@given(mask=MASKS)
@example(mask=np.arange(16).reshape(4, 4) > 0)  # a disc as large as the picture does not reach from corner to corner
def test_erosion_and_dilation_are_by_a_disc(mask, radius):
    diameter = 10.0
    given_radius = {"radius": 0, "smallest": 0, "largest_hole": 0}
    dilated = clean(mask, diameter, **given_radius, dilation=radius / diameter)
    assert np.array_equal(dilated, brute_dilation(mask, radius))
    eroded = clean(mask, diameter, **given_radius, erosion=radius / diameter)
    assert np.array_equal(eroded, ~brute_dilation(~mask, radius))


def test_closing_bridges_a_gap_and_keeps_the_outline():
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:15, 5:14] = mask[5:15, 15:25] = True
    closed = clean_stages(mask, 10, **NOTHING | {"radius": 0.1, "erosion": 0})["closed"]
    # A disc of radius 1 does not fit into the gap of one column, but for its two open ends.
    assert closed[6:14, 14].all()
    closed[:, 14] = False
    assert np.array_equal(closed, mask)


def test_closing_at_the_border_is_as_inside():
    mask = np.zeros((12, 12), dtype=bool)
    mask[0:6, 0:6] = True
    assert np.array_equal(clean_stages(mask, 10, **NOTHING | {"closing": 0.3})["closed"], mask)


def test_small_objects_are_counted_in_areas_of_the_particle():
    # pi / 4 x 20^2 = 314.2, of which 0.2 are 62.8
    mask = np.zeros((40, 60), dtype=bool)
    mask[2:11, 2:9] = True  # 63 pixels
    mask[2:4, 20:51] = True  # 62 pixels
    kept = clean(mask, 20, **NOTHING | {"smallest": 0.2})
    assert kept[5, 5]
    assert not kept[2, 30]


def test_corners_connect():
    mask = np.eye(30, dtype=bool)
    assert np.array_equal(clean(mask, 10, **NOTHING | {"smallest": 30 / 78.6}), mask)
    assert not clean(mask, 10, **NOTHING | {"smallest": 31 / 78.5}).any()


def test_a_ring_of_particles_does_not_swallow_the_background_it_encloses():
    particles = np.zeros((300, 300), dtype=bool)
    for angle in np.linspace(0, 2 * math.pi, 16, endpoint=False):
        particles |= disc((300, 300), 150 + 100 * math.cos(angle), 150 + 100 * math.sin(angle), 21)
    assert fill_holes(particles)[150, 150]  # they do touch each other
    cleaned = clean(particles, 40)
    assert not cleaned[150, 150]
    assert clean(particles, 40, largest_hole=math.inf)[150, 150]


def test_a_pale_centre_is_filled():
    ring = disc((80, 80), 40, 40, 20) & ~disc((80, 80), 40, 40, 12)
    assert clean(ring, 40)[40, 40]


def test_discs_keep_their_place_and_size():
    rng = np.random.default_rng(3)
    centres = [(40.3, 50.2), (120.0, 60.7), (70.4, 130.1)]
    clear = np.logical_or.reduce([disc((200, 200), x, y, 20) for x, y in centres])
    noisy = clear ^ (rng.random(clear.shape) < 0.03)
    cleaned = clean(noisy, 40)
    labels, n = ndimage.label(cleaned, np.ones((3, 3)))
    assert n == 3
    places = sorted((x, y) for y, x in ndimage.center_of_mass(cleaned, labels, [1, 2, 3]))
    for (x, y), (x0, y0) in zip(places, sorted(centres), strict=True):
        assert math.hypot(x - x0, y - y0) < 1
    assert abs(cleaned.sum() / clear.sum() - 1) < 0.1


# --- all together --------------------------------------------------------------------------------------------------


def test_stages_are_in_the_order_of_the_method_and_end_in_the_result():
    mask = np.random.default_rng(0).random((60, 60)) < 0.6
    stages = clean_stages(mask, 8)
    order = ["without_small", "eroded", "filled", "closed", "without_small_again", "dilated", "filled_again"]
    assert list(stages) == order
    assert np.array_equal(stages["filled_again"], clean(mask, 8))
    grows = {"filled", "closed", "dilated", "filled_again"}
    for before, name in zip(stages, list(stages)[1:], strict=False):
        smaller, larger = (before, name) if name in grows else (name, before)
        assert not (stages[smaller] & ~stages[larger]).any()


@settings(max_examples=40, deadline=None)
@given(mask=MASKS, diameter=st.sampled_from([1.0, 3.0, 10.0, 200.0]))
def test_cleaning_turns_with_the_picture_and_leaves_it_alone(mask, diameter):
    before = mask.copy()
    cleaned = clean(mask, diameter, smallest=0.1, radius=0.1)
    assert np.array_equal(mask, before)
    assert cleaned.dtype == bool
    turned = clean(np.rot90(mask), diameter, smallest=0.1, radius=0.1)
    assert np.array_equal(turned, np.rot90(cleaned))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (40, 30), (0, 0), (0, 4)])
@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks(shape, value):
    mask = np.full(shape, value)
    cleaned = clean(mask, 4)
    assert cleaned.shape == shape
    if not value:
        assert not cleaned.any()
    if value and mask.size > 10:
        assert cleaned.all()
    assert clean(mask, 1000, smallest=0, radius=math.inf).shape == shape


def test_numbers_count_as_masks():
    assert clean([[0, 2], [0, 0.5]], 2, **NOTHING).tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize("shape", [(4,), (3, 4, 3)])
def test_pictures_of_other_dimensions_are_refused(shape):
    with pytest.raises(ArgumentError, match=re.escape(f"{shape}")):
        clean(np.zeros(shape), 4)


@pytest.mark.parametrize("diameter", [0, -3, math.nan, math.inf])
def test_a_diameter_has_to_be_positive(diameter):
    with pytest.raises(ArgumentError, match=f"diameter .* {diameter}$"):
        clean(np.zeros((4, 4)), diameter)


@pytest.mark.parametrize("name", ["smallest", "erosion", "closing", "largest_hole"])
@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_sizes_are_checked(name, value):
    with pytest.raises(ArgumentError, match=f"{name} .* {value}$"):
        clean(np.zeros((4, 4)), 10, **{name: value})


def test_a_large_mask_is_cleaned_quickly():
    mask = ndimage.gaussian_filter(np.random.default_rng(0).random((1500, 1500)), 4) > 0.503
    start = time.process_time()
    clean(mask, 40)
    assert time.process_time() - start < 4  # seconds; 0.2 on a quiet machine
