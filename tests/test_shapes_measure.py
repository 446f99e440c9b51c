"""Objects of a mask, their outlines, Feret diameters and overlaps, against masks measured by hand and brute force."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from cryokit.errors import ArgumentError
from cryokit.segmentation.overlap import split_overlaps, without_overlaps
from cryokit.segmentation.shapes import Rectangle, components, convex_hull, feret, label_image

MASKS = arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20)))
OBJECTS = MASKS.filter(np.any)


def picture(*lines):
    return np.array([[pixel == "#" for pixel in line] for line in lines])


def ellipse(size, x, y, length, width, degrees=0.0):
    """Pixels whose centres lie in an ellipse with these axes."""
    u, v = _along_across(size, x, y, degrees)
    return (2 * u / length) ** 2 + (2 * v / width) ** 2 <= 1


def rectangle(size, x, y, length, width, degrees=0.0):
    u, v = _along_across(size, x, y, degrees)
    return (np.abs(u) <= length / 2) & (np.abs(v) <= width / 2)


def _along_across(size, x, y, degrees):
    rows, columns = np.mgrid[: size[0], : size[1]]
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (columns - x) * c + (rows - y) * s, (rows - y) * c - (columns - x) * s


def pixel_corners(mask):
    """All four corners (x, y) of every pixel."""
    y, x = np.nonzero(mask)
    return np.concatenate([np.column_stack([x + dx, y + dy]) for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)])


def apart(one, other, turn=180):
    """Degrees between two directions."""
    return abs((one - other + turn / 2) % turn - turn / 2)


# --- objects -------------------------------------------------------------------------------------------------------


def test_objects_are_8_connected_and_cut_out():
    mask = picture(
        "##....#",
        "##...#.",
        ".......",
        "....#..",
        "...###.",
    )
    square, diagonal, tee = components(mask)
    assert square.bounding_box == (0, 0, 2, 2)
    assert (square.x, square.y, square.area) == (0.5, 0.5, 4)
    assert diagonal.bounding_box == (5, 0, 2, 2)
    assert diagonal.mask.tolist() == [[False, True], [True, False]]
    assert (diagonal.x, diagonal.y, diagonal.area) == (5.5, 0.5, 2)
    assert tee.bounding_box == (3, 3, 3, 2)
    assert (tee.x, tee.y) == (4, 3.75)


def test_a_neighbour_in_the_bounding_box_belongs_to_itself():
    mask = picture(
        "#####",
        "#....",
        "#.##.",
        "#....",
    )
    ell, bar = components(mask)
    assert ell.area == 8
    assert ell.mask.sum() == 8
    assert (bar.area, bar.x, bar.y) == (2, 2.5, 2)


def test_holes_count_only_as_filled_area():
    ring = np.ones((5, 5), dtype=bool)
    ring[1:4, 1:4] = False
    (shape,) = components(ring)
    assert (shape.area, shape.filled_area, shape.x, shape.y) == (16, 25, 2, 2)
    ring[2, 2] = True
    outer, inner = components(ring)
    assert (outer.area, outer.filled_area) == (16, 25)
    assert (inner.area, inner.filled_area) == (1, 1)


def test_perimeter_is_that_of_the_outer_outline():
    size = (90, 110)
    full = ellipse(size, 50, 45, 70, 60)
    (expected,) = components(full)
    holed = full & ~ellipse(size, 40, 40, 20, 12) & ~ellipse(size, 65, 50, 8, 8)
    (shape,) = components(holed)
    assert shape.perimeter == pytest.approx(expected.perimeter)
    assert shape.area < expected.area
    # With another object inside the hole, and one in a hole of that.
    nested = full & ~ellipse(size, 50, 45, 56, 46)
    inner_full = ellipse(size, 50, 45, 40, 36)
    nested |= inner_full & ~ellipse(size, 50, 45, 24, 20)
    nested |= ellipse(size, 50, 45, 10, 10)
    outer, inner, core = components(nested)
    assert outer.perimeter == pytest.approx(expected.perimeter)
    assert inner.perimeter == pytest.approx(components(inner_full)[0].perimeter)
    assert core.perimeter == pytest.approx(math.pi * 10, rel=0.08)


@pytest.mark.parametrize("radius", [8, 9, 11, 14, 20, 31, 50])
def test_discs_have_circularity_1(radius):
    rng = np.random.default_rng(radius)
    for _ in range(12):
        r = radius + rng.uniform(0, 1)
        middle = r + 3 + rng.uniform(-0.5, 0.5, 2)
        (shape,) = components(ellipse((int(2 * r + 8),) * 2, *middle, 2 * r, 2 * r))
        assert shape.circularity == pytest.approx(1, abs=0.03)
        assert shape.perimeter == pytest.approx(2 * math.pi * r, rel=0.03)
        assert (shape.x, shape.y) == pytest.approx(middle, abs=0.15)


@pytest.mark.parametrize("degrees", [0, 7, 15, 26.6, 30, 37, 45, 60, 80, 90])
def test_squares_and_rectangles_have_theirs_in_all_directions(degrees):
    (square,) = components(rectangle((90, 90), 45.2, 44.7, 40, 40, degrees))
    assert square.circularity == pytest.approx(4 / math.pi, rel=0.06)
    (bar,) = components(rectangle((130, 130), 65.2, 64.7, 100, 20, degrees))
    assert bar.perimeter == pytest.approx(240, rel=0.04)
    assert bar.circularity > 2


def test_touching_the_border():
    mask = np.zeros((20, 30), dtype=bool)
    mask[0:3, 10:13] = mask[8:11, 1:4] = mask[17:19, 15:18] = mask[10:12, 28:30] = mask[8:11, 12:15] = True
    touching = {shape.bounding_box[:2]: shape.touches_border(mask.shape) for shape in components(mask)}
    assert touching == {(10, 0): True, (1, 8): False, (28, 10): True, (12, 8): False, (15, 17): False}
    near = {shape.bounding_box[:2]: shape.touches_border(mask.shape, margin=1) for shape in components(mask)}
    assert near == {(10, 0): True, (1, 8): True, (28, 10): True, (12, 8): False, (15, 17): True}


@settings(max_examples=80, deadline=None)
@given(mask=MASKS)
def test_objects_put_together_are_the_mask(mask):
    shapes = components(mask)
    labels = label_image(shapes, mask.shape)
    expected, n = ndimage.label(mask, np.ones((3, 3)))
    assert len(shapes) == n
    assert np.array_equal(labels, expected)
    assert [shape.area for shape in shapes] == [float((expected == i + 1).sum()) for i in range(n)]
    for i, shape in enumerate(shapes, 1):
        assert (shape.y, shape.x) == pytest.approx(ndimage.center_of_mass(expected == i))
        assert shape.filled_area == ndimage.binary_fill_holes(expected == i).sum()


@settings(max_examples=60, deadline=None)
@given(mask=MASKS, down=st.integers(0, 3), right=st.integers(0, 3), turns=st.integers(0, 3))
def test_moving_and_turning_change_no_size(mask, down, right, turns):
    def sizes(mask):
        return sorted(
            (s.area, s.filled_area, round(s.perimeter, 6), round(s.feret.longest, 6)) for s in components(mask)
        )

    moved = np.pad(np.rot90(mask, turns), ((down, 1), (right, 2)))
    assert sizes(moved) == sizes(mask)


@settings(max_examples=60, deadline=None)
@given(mask=MASKS)
def test_each_object_measures_alike_among_others_and_alone(mask):
    for shape in components(mask):
        (alone,) = components(shape.mask)
        assert alone.perimeter == pytest.approx(shape.perimeter)
        (filled,) = components(ndimage.binary_fill_holes(shape.mask))
        assert filled.perimeter == pytest.approx(shape.perimeter)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (40, 30), (0, 0)])
def test_empty_and_full_pictures(shape):
    assert components(np.zeros(shape, dtype=bool)) == []
    assert split_overlaps(np.zeros(shape, dtype=bool), 5).tolist() == np.zeros(shape, dtype=bool).tolist()
    full = np.ones(shape, dtype=bool)
    if full.size:
        (whole,) = components(full)
        assert whole.area == full.size
        assert whole.touches_border(shape)
        assert whole.feret.rectangle.mask(shape).all()
        assert whole.circularity > 0
    assert split_overlaps(full, 5).all()


def test_thousands_of_objects_are_measured_quickly():
    one = ellipse((29, 29), 14, 14, 24, 20, 30)
    mask = np.tile(np.pad(one, 2), (45, 45))
    start = time.process_time()
    shapes = components(mask)
    assert len(shapes) == 2025
    assert all(shape.circularity > 0.9 for shape in shapes)
    assert all(shape.feret.longest > 20 for shape in shapes[:500])
    assert time.process_time() - start < 4  # seconds; 0.4 on a quiet machine


# --- Feret diameters -----------------------------------------------------------------------------------------------


def test_a_pixel():
    measured = feret([[1]])
    assert measured.longest == pytest.approx(math.sqrt(2))
    assert (measured.shortest, measured.angle) == (1, pytest.approx(45))
    assert measured.rectangle == Rectangle(0, 0, 1, 1, 0)


def test_a_line_and_a_square():
    line = feret(np.ones((1, 7)), top=3, left=10)
    assert line.longest == pytest.approx(math.hypot(7, 1))
    assert line.angle == pytest.approx(math.degrees(math.atan2(1, 7)))
    assert line.shortest == 1
    assert line.rectangle == Rectangle(13, 3, 7, 1, 0)
    assert feret(np.ones((7, 1))).rectangle == Rectangle(0, 3, 7, 1, 90)
    square = feret(np.ones((3, 3)))
    assert square.longest == pytest.approx(3 * math.sqrt(2))
    assert (square.shortest, square.rectangle) == (3, Rectangle(1, 1, 3, 3, 0))


def test_an_ell():
    # Corners of the hull: (0, 0), (1, 0), (3, 2), (3, 3), (0, 3).
    measured = feret(picture("#..", "#..", "###"))
    assert measured.longest == pytest.approx(3 * math.sqrt(2))
    assert measured.angle == pytest.approx(45)
    # Across the edge from (1, 0) to (3, 2): from x - y = 1 to (0, 3), x - y = -3.
    assert measured.shortest == pytest.approx(4 / math.sqrt(2))
    assert measured.rectangle.length * measured.rectangle.width == pytest.approx(9)


def test_diagonal_steps():
    # The hull runs along y = x + 1 and y = x - 1: sqrt(2) apart, and 5 sqrt(2) long.
    measured = feret(np.eye(5))
    assert measured.longest == pytest.approx(5 * math.sqrt(2))
    assert measured.angle == pytest.approx(45)
    assert measured.shortest == pytest.approx(math.sqrt(2))
    box = measured.rectangle
    assert (box.x, box.y, box.angle) == pytest.approx((2, 2, 45))
    assert (box.length, box.width) == pytest.approx((5 * math.sqrt(2), math.sqrt(2)))
    assert feret(np.eye(5)[::-1]).angle == pytest.approx(135)


@pytest.mark.parametrize(("length", "width"), [(40, 40), (52, 40), (60, 15), (33, 30)])
@pytest.mark.parametrize("degrees", [0, 3, 17, 30, 45, 63, 90, 118, 151, 178])
def test_rectangles_drawn_in_any_direction(length, width, degrees):
    x, y = 50.3, 47.6
    drawn = rectangle((100, 100), x, y, length, width, degrees)
    (shape,) = components(drawn)
    measured = shape.feret
    assert measured.longest == pytest.approx(math.hypot(length, width), abs=1.5)
    assert measured.shortest == pytest.approx(width, abs=1.5)
    box = measured.rectangle
    assert (box.length, box.width) == pytest.approx((length, width), abs=1.5)
    assert (box.x, box.y) == pytest.approx((x, y), abs=1)
    if length > 1.2 * width:
        assert apart(box.angle, degrees) < 3
        diagonal = math.degrees(math.atan2(width, length))
        assert min(apart(measured.angle, degrees + diagonal), apart(measured.angle, degrees - diagonal)) < 3
    redrawn = box.mask(drawn.shape)
    assert not (drawn & ~redrawn).any()
    assert redrawn.sum() < drawn.sum() * 1.15
    # Cut to the object it is the same mask, cut.
    left, top, columns, rows = shape.bounding_box
    cut = box.mask(shape.mask.shape, shape.top, shape.left)
    assert np.array_equal(cut, redrawn[top : top + rows, left : left + columns])


@pytest.mark.parametrize("diameter", [10, 25, 41.5])
def test_discs_are_as_wide_in_all_directions(diameter):
    measured = feret(ellipse((60, 60), 29.7, 30.2, diameter, diameter))
    assert measured.longest == pytest.approx(diameter, abs=1.5)
    assert measured.shortest == pytest.approx(diameter, abs=1.5)


@settings(max_examples=100, deadline=None)
@given(mask=OBJECTS)
def test_feret_is_what_projections_over_all_directions_give(mask):
    measured = feret(mask)
    corners = pixel_corners(mask)
    directions = np.radians(np.arange(0, 180, 0.25))
    along = np.stack([np.cos(directions), np.sin(directions)])
    widths = np.ptp(corners @ along, axis=0)
    # A quarter of a degree off, a width differs by no more than the length times that angle.
    slack = measured.longest * math.radians(0.25)
    assert measured.longest - slack <= widths.max() <= measured.longest + 1e-9
    assert measured.shortest - 1e-9 <= widths.min() <= measured.shortest + slack
    at_angle = np.array([math.cos(math.radians(measured.angle)), math.sin(math.radians(measured.angle))])
    assert np.ptp(corners @ at_angle) == pytest.approx(measured.longest)
    assert 0 <= measured.angle < 180
    quarter = widths.size // 2
    areas = widths[:quarter] * widths[quarter:]
    box = measured.rectangle
    assert box.length * box.width <= areas.min() + 1e-9
    assert box.length * box.width >= areas.min() - 3 * measured.longest * slack


@settings(max_examples=100, deadline=None)
@given(mask=OBJECTS, top=st.integers(-5, 5), left=st.integers(-5, 5))
def test_the_rectangle_encloses_the_object_and_touches_it(mask, top, left):
    box = feret(mask, top, left).rectangle
    assert box.length >= box.width - 1e-9
    assert 0 <= box.angle < 180
    x, y = (pixel_corners(mask) - (box.x - left, box.y - top)).T
    c, s = math.cos(math.radians(box.angle)), math.sin(math.radians(box.angle))
    u, v = x * c + y * s, y * c - x * s
    assert (u.min(), u.max()) == pytest.approx((-box.length / 2, box.length / 2))
    assert (v.min(), v.max()) == pytest.approx((-box.width / 2, box.width / 2))
    assert not (mask & ~box.mask(mask.shape, top, left)).any()


@settings(max_examples=60, deadline=None)
@given(mask=OBJECTS)
def test_a_quarter_turn_turns_the_angles(mask):
    straight, turned = feret(mask), feret(np.rot90(mask))
    assert turned.longest == pytest.approx(straight.longest)
    assert turned.shortest == pytest.approx(straight.shortest)
    assert turned.rectangle.length == pytest.approx(straight.rectangle.length)
    corners = pixel_corners(mask)
    angle = math.radians(turned.angle + 90)  # in rows and columns, rot90 turns back by 90 degrees
    assert np.ptp(corners @ [math.cos(angle), math.sin(angle)]) == pytest.approx(straight.longest)


@settings(max_examples=60, deadline=None)
@given(mask=OBJECTS)
def test_the_hull_encloses_all_pixels_and_consists_of_their_corners(mask):
    hull = convex_hull(mask)
    corners = pixel_corners(mask) + 0.5
    assert {tuple(corner) for corner in hull.tolist()} <= {tuple(corner) for corner in corners.tolist()}
    edges = np.roll(hull, -1, axis=0) - hull
    # One sense of rotation, and every corner of a pixel on the same side of each edge.
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    assert (turns < 0).all() or (turns > 0).all()
    between = corners[None] - hull[:, None]
    side = edges[:, None, 0] * between[..., 1] - edges[:, None, 1] * between[..., 0]
    assert (side * np.sign(turns[0]) >= 0).all()


def test_corners_of_a_rectangle():
    expected = {(1, 0), (5, 0), (5, 2), (1, 2)}
    assert {tuple(corner) for corner in Rectangle(3, 1, 4, 2, 0).corners.tolist()} == expected
    tilted = Rectangle(0, 0, 2 * math.sqrt(2), math.sqrt(2), 45).corners
    assert sorted(map(tuple, tilted.round(9).tolist())) == [(-1.5, -0.5), (-0.5, -1.5), (0.5, 1.5), (1.5, 0.5)]


def test_a_rectangle_beyond_the_picture():
    assert not Rectangle(50, 50, 10, 4, 30).mask((20, 20)).any()
    assert Rectangle(0, 10, 8, 3, 0).mask((20, 20)).sum() == 5 * 3
    assert Rectangle(5, 5, 100, 100, 20).mask((6, 9)).all()


def test_nothing_cannot_be_measured():
    with pytest.raises(ArgumentError, match="mask"):
        feret(np.zeros((4, 4)))


# --- overlaps ------------------------------------------------------------------------------------------------------

D = 40.0
SIZE = (120, 120)


@pytest.mark.parametrize("overlap", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_two_discs_are_cut_at_the_neck(overlap, seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, math.pi)
    step = D * (1 - overlap) / 2 * np.array([math.cos(angle), math.sin(angle)])
    middle = 60 + rng.uniform(-0.5, 0.5, 2)
    mask = ellipse(SIZE, *(middle - step), D, D) | ellipse(SIZE, *(middle + step), D, D)
    assert len(components(mask)) == 1
    cut = split_overlaps(mask, D)
    parts = components(cut)
    assert len(parts) == 2
    for part in parts:
        assert min(math.dist((part.x, part.y), middle + sign * step) for sign in (-1, 1)) < 0.1 * D
    # Thin: at most two pixels for each of the neck's length.
    neck = 2 * math.sqrt((D / 2) ** 2 - (step**2).sum())
    assert (mask & ~cut).sum() <= 2 * neck + 4


@pytest.mark.parametrize("overlap", [0.05, 0.1, 0.2])
def test_most_touching_squares_are_cut(overlap):
    # Where one side lies flat on the other there may be no neck: not all of them can be told apart.
    rng = np.random.default_rng(7)
    right = 0
    for _ in range(12):
        angle, first, second = rng.uniform(0, 180, 3)
        # Squares as wide as the diameter are 1.13 diameters across on average.
        step = 1.13 * D * (1 - overlap) / 2 * np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        mask = rectangle(SIZE, *(60 - step), D, D, first) | rectangle(SIZE, *(60 + step), D, D, second)
        parts = components(split_overlaps(mask, D))
        off = [min(math.dist((part.x, part.y), 60 + sign * step) for sign in (-1, 1)) for part in parts]
        right += len(parts) == 2 and max(off) < 0.1 * D
    assert right >= 10


def test_a_chain_and_a_cluster():
    chain = np.logical_or.reduce([ellipse((60, 260), 30 + 36 * i, 30, D, D) for i in range(6)])
    assert len(components(split_overlaps(chain, D))) == 6
    around = [(60 + 21.5 * math.cos(angle), 60 + 21.5 * math.sin(angle)) for angle in (0, 2.094, 4.189)]
    cluster = np.logical_or.reduce([ellipse(SIZE, x, y, D, D) for x, y in around])
    parts = components(split_overlaps(cluster, D, largest_hole=0))
    assert len(parts) == 3
    for x, y in around:
        assert min(math.dist((part.x, part.y), (x, y)) for part in parts) < 0.1 * D


def test_what_has_no_neck_is_dropped():
    around = [(60 + 18 * math.cos(angle), 60 + 18 * math.sin(angle)) for angle in (0, 2.094, 4.189)]
    compact = np.logical_or.reduce([ellipse((120, 240), x, y, D, D) for x, y in around])
    side_by_side = rectangle((120, 240), 180, 60, 2 * D, D, 25)
    kept, _ = without_overlaps(components(split_overlaps(compact | side_by_side, D)), D)
    assert kept == []


@pytest.mark.parametrize("degrees", [0, 11, 30, 45, 72])
def test_single_particles_stay_whole(degrees):
    singles = [
        ellipse(SIZE, 60.2, 59.7, D, D),
        ellipse(SIZE, 60.2, 59.7, 1.6 * D, D, degrees),
        rectangle(SIZE, 60.2, 59.7, D, D, degrees),
        rectangle(SIZE, 60.2, 59.7, 1.3 * D, D, degrees),
        ellipse(SIZE, 60.2, 59.7, D, D) & ~ellipse(SIZE, 60.2, 59.7, 0.6 * D, 0.6 * D),
    ]
    for mask in singles:
        assert np.array_equal(split_overlaps(mask, D), mask)


def test_rough_outlines_are_not_cut():
    rng = np.random.default_rng(5)
    for _ in range(10):
        bumps = ndimage.gaussian_filter(rng.normal(size=SIZE), 2)
        depth = ndimage.distance_transform_edt(ellipse(SIZE, 60, 60, D, D))
        depth -= ndimage.distance_transform_edt(~ellipse(SIZE, 60, 60, D, D))
        mask = ndimage.binary_fill_holes(depth + 2 * bumps / bumps.std() > 0)  # outline off by 2 pixels, 5 %
        largest = max(components(mask), key=lambda shape: shape.area)
        assert len(components(split_overlaps(largest.mask, D))) == 1


def test_nothing_small_is_cut_off():
    mask = ellipse(SIZE, 60, 60, D, D) | ellipse(SIZE, 86, 60, 14, 14)
    assert np.array_equal(split_overlaps(mask, D), mask)
    assert len(components(split_overlaps(mask, D, smallest=0.05))) == 2


def test_particles_at_the_border_and_beside_each_other():
    mask = ellipse((80, 80), 2, 40, D, D) | ellipse((80, 80), 60, 40, D, D)
    assert np.array_equal(split_overlaps(mask, D), mask)
    touching = ellipse((80, 80), 10, 40, D, D) | ellipse((80, 80), 45, 40, D, D)
    assert len(components(split_overlaps(touching, D))) == 2


@settings(max_examples=40, deadline=None)
@given(mask=MASKS, diameter=st.sampled_from([3.0, 6.0, 12.0]))
def test_cutting_adds_no_pixel_and_takes_few(mask, diameter):
    before = mask.copy()
    cut = split_overlaps(mask, diameter)
    assert np.array_equal(mask, before)
    assert not (cut & ~mask).any()
    if len(components(cut)) == len(components(mask)):
        assert (mask & ~cut).sum() <= mask.sum() / 2


def test_overlaps_are_dropped_by_length_or_area():
    size = (400, 400)
    singles = [
        ellipse(size, 40, 40, D, D),
        rectangle(size, 120, 40, D, D, 20),
        rectangle(size, 200, 40, 1.25 * D, D, 50),
        ellipse(size, 300, 40, 1.4 * D, D, 80),
    ]
    overlaps = [
        ellipse(size, 40, 150, D, D) | ellipse(size, 40, 180, D, D),  # overlap by a quarter
        rectangle(size, 140, 150, 2 * D, D),  # two squares side by side
        rectangle(size, 250, 150, 1.9 * D, 0.5 * D, 30),  # too long only
        rectangle(size, 350, 150, 1.45 * D, 1.45 * D),  # 2.7 areas
    ]
    shapes = components(np.logical_or.reduce(singles + overlaps))
    kept, dropped = without_overlaps(shapes, D)
    assert len(kept) == len(singles)
    assert len(dropped) == len(overlaps)
    assert max(shape.y for shape in kept) < 100 < min(shape.y for shape in dropped)
    assert kept + dropped == sorted(shapes, key=lambda shape: shape in dropped)
    kept, dropped = without_overlaps(shapes, D, largest=3)
    assert (len(kept), dropped) == (8, [])


def test_limits_and_diameters_are_checked():
    assert without_overlaps([], D) == ([], [])
    with pytest.raises(ArgumentError, match="diameter"):
        without_overlaps([], -1)
    with pytest.raises(ArgumentError, match="largest"):
        without_overlaps([], D, largest=0)
    with pytest.raises(ArgumentError, match="diameter"):
        split_overlaps(np.ones((4, 4)), 0)
