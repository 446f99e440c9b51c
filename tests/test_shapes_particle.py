"""Particles in drawn masks, and the evidence of outlines, discs and blobs, against what geometry says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cryokit.errors import ArgumentError
from cryokit.segmentation import (
    Circle,
    Circles,
    blobs,
    circle_overlap,
    components,
    coverage,
    filled,
    irregular_views,
    label_image,
    objects,
    radial_votes,
    rectangularity,
    roundness,
    shapes_at,
    side_views,
    top_views,
)

DIAMETERS = [12, 15.5, 20, 33, 40, 60]
FINDERS = [top_views, side_views, irregular_views]


def disc(shape, x, y, diameter):
    row, column = np.indices(shape)
    return np.hypot(column - x, row - y) <= diameter / 2


def soft_disc(shape, x, y, diameter):
    """As an ideal camera would record it: grey where the outline crosses a pixel."""
    row, column = np.indices(shape)
    return np.clip(diameter / 2 + 0.5 - np.hypot(column - x, row - y), 0, 1)


def ring(shape, x, y, diameter, inner):
    return disc(shape, x, y, diameter) & ~disc(shape, x, y, inner)


def rectangle(shape, x, y, length, width, angle=0.0):
    """Long side along `angle`, degrees from the x axis downwards."""
    row, column = np.indices(shape)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along, across = (column - x) * cosine + (row - y) * sine, (row - y) * cosine - (column - x) * sine
    return (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2)


def picture(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def only(mask):
    (shape,) = components(mask)
    return shape


def turned_by(one, other, turn):
    """Difference of two directions that are the same after `turn` degrees."""
    return abs((one - other + turn / 2) % turn - turn / 2)


# --- top views -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_a_disc_is_a_top_view(diameter):
    mask = disc((130, 150), 80.3, 61.6, diameter)
    (particle,) = top_views(mask, diameter)
    assert particle.view == "top"
    assert (particle.x, particle.y) == pytest.approx((80.3, 61.6), abs=0.5)
    assert particle.diameter == pytest.approx(diameter, abs=0.6)
    assert particle.diameter == 2 * particle.circle.radius
    assert math.isnan(particle.angle)
    assert particle.shape.area == mask.sum()
    assert 0.9 <= particle.score <= 1


@pytest.mark.parametrize("size", [0.75, 1.25])
def test_discs_of_another_size_than_expected_are_measured(size):
    (particle,) = top_views(disc((130, 150), 70, 60, size * 40), 40)
    assert particle.diameter == pytest.approx(size * 40, abs=1)


@pytest.mark.parametrize("size", [0.4, 1.8])
def test_discs_outside_the_range_of_radii_are_no_top_views(size):
    assert top_views(disc((130, 150), 70, 60, size * 40), 40) == []


def test_a_ring_is_a_top_view_once_it_is_filled():
    mask = ring((100, 120), 55, 48, 40, 26)
    (particle,) = top_views(filled(mask, 40), 40)
    assert (particle.x, particle.y, particle.diameter) == pytest.approx((55, 48, 40), abs=0.6)
    assert particle.shape.area == disc((100, 120), 55, 48, 40).sum()


def test_overlapping_discs_are_two_top_views():
    mask = disc((110, 160), 50, 52, 40) | disc((110, 160), 82, 60, 40)
    particles = sorted(top_views(mask, 40), key=lambda particle: particle.x)
    assert [(p.x, p.y) for p in particles] == [pytest.approx((50, 52), abs=1), pytest.approx((82, 60), abs=1)]
    assert particles[0].shape is particles[1].shape  # one object in the mask
    assert all(particle.score < 0.95 for particle in particles)


def test_strongest_circle_first():
    half = disc((120, 260), 60, 60, 40)
    half[60:] = False
    particles = top_views(half | disc((120, 260), 140, 60, 40) | disc((120, 260), 220, 60, 40)[::-1], 40, strength=0.2)
    scores = [particle.score for particle in particles]
    assert scores == sorted(scores, reverse=True)
    assert sorted(round(particle.x) for particle in particles[:2]) == [140, 220]
    assert particles[2].x == pytest.approx(60, abs=6)


def test_a_disc_cut_by_the_border_is_half_seen():
    whole, cut = disc((120, 200), 60, 60, 40), disc((120, 200), 199, 60, 40)
    particles = top_views(whole | cut, 40)
    assert [round(particle.x / 10) for particle in particles] == [6, 20]
    assert 0.4 <= particles[1].score <= 0.7


@pytest.mark.parametrize("kept", [0, 4])
def test_half_a_disc_overlaps_no_circle_well(kept):
    mask = disc((100, 100), 50, 50, 40)
    mask[:, 50 + kept :] = False
    (particle,) = top_views(mask, 40, strength=0.3)
    assert particle.score < 0.8
    # The centre of the circle can lie just beside what is left of the disc.
    assert particle.shape is None or circle_overlap(particle.shape, particle.circle) < 0.75


def test_objects_that_are_far_from_round_are_left_out():
    mask = disc((100, 260), 40, 50, 30)
    mask[50, 40:240] = True  # 16 times a disc's circularity or so
    assert top_views(mask, 30) == []
    (particle,) = top_views(mask, 30, least_round=1000)
    assert (particle.x, particle.y) == pytest.approx((40, 50), abs=1)


# --- side views ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diameter", [20, 40, 60])
@pytest.mark.parametrize("angle", [0, 15, 30, 45, 70, 90, 120, 163])
def test_a_rectangle_is_a_side_view(diameter, angle):
    length, width = 1.2 * diameter, 0.95 * diameter
    (particle,) = side_views(rectangle((130, 140), 70.4, 62.7, length, width, angle), diameter)
    assert particle.view == "side"
    assert (particle.x, particle.y) == pytest.approx((70.4, 62.7), abs=0.6)
    assert particle.diameter == pytest.approx(length, abs=1.8)  # the corners of pixels stand out
    assert turned_by(particle.angle, angle, 180) < 5
    assert particle.circle is None
    assert 0.8 <= particle.score <= 1


@pytest.mark.parametrize("angle", [0, 22, 45, 60])
def test_a_square_is_a_side_view(angle):
    (particle,) = side_views(rectangle((100, 100), 50, 47, 40, 40, angle), 40)
    assert (particle.x, particle.y) == pytest.approx((50, 47), abs=0.6)
    assert turned_by(particle.angle, angle, 90) < 3


@pytest.mark.parametrize("angle", [10, 55])
@pytest.mark.parametrize(
    ("length", "width", "why"),
    [
        (44, 20, "too long for its width"),
        (80, 40, "two side by side"),
        (20, 18, "debris"),
        (72, 50, "too large"),
    ],
)
def test_rectangles_that_are_no_side_views(length, width, angle, why):
    assert side_views(rectangle((140, 140), 70, 70, length, width, angle), 40) == [], why


def test_discs_and_triangles_are_no_side_views():
    row, column = np.indices((140, 140))
    triangle = (row >= 40) & (np.abs(column - 70) <= (row - 40) / 2) & (row < 95)
    assert only(triangle).area > 0.4 * math.pi / 4 * 40**2
    assert side_views(triangle, 40) == []
    for diameter in DIAMETERS[1:]:
        assert side_views(disc((140, 140), 70.2, 69.7, diameter), diameter) == []
    assert side_views(disc((140, 140), 69, 70, 40) | disc((140, 140), 93, 70, 40), 40) == []


def test_best_filled_rectangle_first():
    notched = rectangle((100, 300), 50, 50, 46, 36)
    notched[40:60, 20:40] = False
    mask = notched | rectangle((100, 300), 130, 50, 46, 36) | rectangle((100, 300), 220, 50, 46, 36, 30)
    particles = side_views(mask, 40)
    assert [round(particle.x, -1) for particle in particles] == [130, 220, 50]


def test_limits_of_side_views_are_options():
    long = rectangle((100, 140), 70, 50, 60, 30)
    assert side_views(long, 40) == []
    assert len(side_views(long, 40, aspect=2.5, longest=2)) == 1
    small = rectangle((100, 140), 70, 50, 22, 18)
    assert side_views(small, 40) == []
    assert len(side_views(small, 40, smallest=0.2)) == 1
    assert side_views(rectangle((100, 140), 70, 50, 42, 38, 20), 40, rectangular=0.99) == []


# --- irregular views -----------------------------------------------------------------------------------------------


def squares(sides, gap=5):
    """Squares in a row, each with its upper left corner 3 pixels from the top."""
    mask = np.zeros((3 + max(sides) + 3, sum(sides) + gap * (len(sides) + 1)), dtype=bool)
    left = gap
    for side in sides:
        mask[3 : 3 + side, left : left + side] = True
        left += side + gap
    return mask


def test_irregular_views_by_hand():
    # Areas 100, 144, 196, 256, 324; their 20th percentile is 135.2. The sides of those left average 15.
    particles = irregular_views(squares([10, 12, 14, 16, 18]), 16)
    unit = math.pi * 16**2 / 4
    assert [particle.score for particle in particles] == pytest.approx([1, 1, 196 / unit, 144 / unit])
    assert {particle.diameter for particle in particles} == {1.125 * 15}
    assert all(particle.view == "irregular" and particle.circle is None for particle in particles)
    assert all(math.isnan(particle.angle) for particle in particles)
    # The third square starts at column 5 + 10 + 5 + 12 + 5 = 37: its centre is at 37 + 6.5.
    assert (particles[2].x, particles[2].y) == (43.5, 9.5)


def test_irregular_views_take_the_middle_of_the_bounding_box():
    mask = np.zeros((40, 50), dtype=bool)
    mask[10:30, 20:24] = mask[26:30, 20:40] = True  # an L: its centre of gravity lies elsewhere
    (particle,) = irregular_views(mask, 20)
    assert (particle.x, particle.y) == (29.5, 19.5)
    assert particle.diameter == 1.125 * 20


def test_equal_areas_are_all_kept():
    assert len(irregular_views(squares([12, 12, 12]), 14)) == 3


@pytest.mark.parametrize(("percentile", "n"), [(0, 4), (20, 4), (30, 3), (90, 1)])
def test_percentile_of_irregular_views(percentile, n):
    assert len(irregular_views(squares([10, 12, 14, 16, 18]), 16, percentile=percentile)) == n


def test_holes_count_in_the_area_of_irregular_views():
    frame = squares([20])
    frame[8:18, 10:20] = False
    solid = squares([19])
    (of_frame,), (of_solid,) = irregular_views(frame, 40), irregular_views(solid, 40)
    assert of_frame.score == pytest.approx(400 / (math.pi * 400))
    assert of_frame.score > of_solid.score


def test_objects_that_are_too_long_are_no_irregular_views():
    mask = squares([16, 16])
    mask[-2, 5:46] = True
    assert max(shape.bounding_box[2] for shape in components(mask)) == 41
    assert len(irregular_views(mask, 16.4)) == 3 - 1  # 41 is 2.5 diameters
    assert [particle.diameter for particle in irregular_views(mask, 16)] == [1.125 * 16] * 2


# --- all views -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("find", FINDERS)
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (1, 40), (15, 90), (70, 80)])
def test_nothing_in_an_empty_mask(find, shape):
    assert find(np.zeros(shape, dtype=bool), 20) == []


@pytest.mark.parametrize("find", [top_views, side_views])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (9, 8), (70, 80)])
def test_a_full_mask_is_no_particle(find, shape):
    assert find(np.ones(shape, dtype=bool), 20) == []


def test_a_full_mask_is_no_irregular_particle():
    assert irregular_views(np.ones((70, 80), dtype=bool), 20) == []
    # In a picture smaller than a particle one cannot tell; there is one object, and it is a small one.
    (speck,) = irregular_views(np.ones((1, 1), dtype=bool), 20)
    assert (speck.x, speck.y) == (0, 0)
    assert speck.score < 0.01


@pytest.mark.parametrize("find", FINDERS)
def test_views_move_and_turn_with_the_mask(find):
    rng = np.random.default_rng(3)
    mask = np.zeros((260, 260), dtype=bool)
    for x, y in [(50, 60), (130, 50), (200, 190), (60, 190), (130, 120)]:
        if rng.random() < 0.5:
            mask |= disc(mask.shape, x, y, rng.uniform(36, 44))
        else:
            mask |= rectangle(mask.shape, x, y, rng.uniform(38, 46), 38, rng.uniform(0, 180))
    here = sorted((p.x, p.y, p.diameter) for p in find(mask, 40))
    assert here
    moved = sorted((p.x - 20, p.y - 7, p.diameter) for p in find(np.pad(mask, [(7, 0), (20, 0)]), 40))
    np.testing.assert_allclose(moved, here, atol=0.3)
    turned = sorted((p.y, 259 - p.x, p.diameter) for p in find(np.rot90(mask, -1), 40))
    np.testing.assert_allclose(turned, here, atol=0.3)


def test_circles_one_by_one():
    x, y, radius, strength = np.array([[1.5, 2], [3, 4], [5, 6], [0.9, 0.8]])
    assert list(Circles(x, y, radius, strength)) == [Circle(1.5, 3, 5, 0.9), Circle(2, 4, 6, 0.8)]
    assert list(Circles(*np.zeros((4, 0)))) == []


def test_object_at_each_place():
    mask = picture("##..#", "##..#", ".....", "...#.")
    shapes = components(mask)
    labels = label_image(shapes, mask.shape)
    # Places between pixels belong to the nearest; those on the very rim of the picture, too.
    at = shapes_at(shapes, labels, [0, 1.4, 1.6, 4.49, 3, -0.5, 0], [0, 1.4, 0, 0, 3.49, -0.5, 3])
    assert at == [shapes[0], shapes[0], None, shapes[1], shapes[2], shapes[0], None]
    assert shapes_at(shapes, labels, [], []) == []


# --- measures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (picture("#"), 1.0),  # the pixel is the disc
        (picture("####"), 2 / (8 - 2)),  # a disc of 4 pixels has a radius of 1.13: two of the four are in it
        (picture("##", "##"), 1.0),  # 0.71 from the centre all four
        (picture("########"), 4 / (16 - 4)),  # radius 1.6: the pixels at 0.5 and 1.5 on both sides
    ],
)
def test_roundness_by_hand(mask, expected):
    assert roundness(only(mask)) == pytest.approx(expected)


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_roundness_orders_shapes(diameter):
    at = (130, 140), 70.3, 64.6
    of_disc = roundness(only(disc(*at, diameter)))
    of_square = [roundness(only(rectangle(*at, diameter, diameter, angle))) for angle in (0, 20, 45)]
    of_rectangle = [roundness(only(rectangle(*at, 1.5 * diameter, 0.9 * diameter, angle))) for angle in (0, 20, 45)]
    assert of_disc > 0.95
    # Of a square and the disc of its area: 0.83; pixels of small ones blur that.
    assert of_square == pytest.approx([0.83] * 3, abs=0.02 + 0.6 / diameter)
    assert of_disc > max(of_square) > max(of_rectangle)


def test_roundness_and_rectangularity_ignore_holes():
    assert roundness(only(ring((60, 60), 30, 30, 40, 26))) == roundness(only(disc((60, 60), 30, 30, 40)))
    assert rectangularity(only(picture("###", "#.#", "###"))) == 1


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (picture("#"), 1.0),
        (picture("#.", "##"), 3 / 4),
        # The least rectangle around a plus stands on its corner and has an area of 8.
        (picture(".#.", "###", ".#."), 5 / 8),
        (picture("#..", "#..", "###"), 5 / 9),
    ],
)
def test_rectangularity_by_hand(mask, expected):
    assert rectangularity(only(mask)) == pytest.approx(expected)


@given(mask=hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_measures_are_shares(mask):
    for shape in components(mask):
        assert 0 < roundness(shape) <= 1
        assert 0 < rectangularity(shape) <= 1 + 1e-9


def test_overlap_with_a_circle_by_geometry():
    shape = only(disc((120, 130), 60, 55, 50))
    assert circle_overlap(shape, Circle(60, 55, 25, 1)) == pytest.approx(1, abs=0.01)
    assert circle_overlap(shape, Circle(60, 55, 12.5, 1)) == pytest.approx(1 / 4, abs=0.01)
    assert circle_overlap(shape, Circle(60, 55, 35, 1)) == pytest.approx((25 / 35) ** 2, abs=0.01)
    assert circle_overlap(shape, Circle(112, 55, 25, 1)) == 0
    # A lens of two equal circles at a distance of 20.
    lens = 2 * 25**2 * math.acos(20 / 50) - 10 * math.sqrt(4 * 25**2 - 20**2)
    expected = lens / (2 * math.pi * 25**2 - lens)
    assert circle_overlap(shape, Circle(76, 67, 25, 1)) == pytest.approx(expected, abs=0.01)
    upper = disc((120, 130), 60, 55, 50)
    upper[56:] = False
    assert circle_overlap(only(upper), Circle(60, 55, 25, 1)) == pytest.approx(0.52, abs=0.02)


def test_overlap_with_a_circle_fills_holes():
    of_ring = circle_overlap(only(ring((80, 80), 40, 40, 40, 26)), Circle(40, 40, 20, 1))
    assert of_ring == circle_overlap(only(disc((80, 80), 40, 40, 40)), Circle(40, 40, 20, 1))


@pytest.mark.parametrize("diameter", [12, 15.5, 20])
def test_overlap_with_a_circle_is_a_share(diameter):
    mask = disc((60, 60), 30.3, 28.6, diameter)
    assert circle_overlap(only(mask), Circle(30.3, 28.6, diameter / 2, 1)) <= 1


# --- objects and outlines ------------------------------------------------------------------------------------------


def test_touching_particles_are_several_objects():
    mask = disc((120, 200), 50, 60, 40) | disc((120, 200), 88, 60, 40) | disc((120, 200), 160, 60, 40)
    assert len(components(mask)) == 2
    shapes = sorted(objects(mask, 40), key=lambda shape: shape.x)
    assert [shape.x for shape in shapes] == pytest.approx([50, 88, 160], abs=1.5)
    assert [shape.area for shape in shapes] == pytest.approx([math.pi * 400] * 3, rel=0.05)


def test_strings_on_an_object_go():
    plain = disc((100, 160), 50, 50, 40)
    mask = plain.copy()
    mask[48:51, 60:150] = True
    (shape,) = objects(mask, 40)
    assert shape.bounding_box[2] <= 44
    assert shape.area == pytest.approx(plain.sum(), rel=0.05)


def test_the_border_cuts_no_more_than_it_must():
    mask = disc((100, 100), 0, 50, 40) | disc((100, 100), 99, 99, 40)
    assert sum(shape.area for shape in objects(mask, 40)) == pytest.approx(mask.sum(), rel=0.02)
    (everything,) = objects(np.ones((60, 50), dtype=bool), 40)
    assert everything.area == 3000


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (1, 1), (30, 3), (50, 60)])
def test_no_objects_in_an_empty_mask(shape):
    assert objects(np.zeros(shape, dtype=bool), 40) == []


def test_objects_of_a_mask_smaller_than_a_particle():
    assert len(objects(np.ones((5, 6), dtype=bool), 40)) == 1


def test_a_broken_ring_becomes_a_disc():
    mask = ring((100, 100), 50, 50, 40, 28)
    mask[49:52, 60:] = False  # a gap of 3 pixels
    result = filled(mask, 40)
    whole = disc((100, 100), 50, 50, 40)
    assert (result & ~whole).sum() <= 5
    assert (whole & ~result).sum() <= 5


def test_a_frame_becomes_a_square():
    mask = rectangle((100, 100), 50, 50, 40, 40, 30) & ~rectangle((100, 100), 50, 50, 30, 30, 30)
    np.testing.assert_array_equal(filled(mask, 40), rectangle((100, 100), 50, 50, 40, 40, 30))


def test_nothing_else_is_filled_or_lost():
    mask = ring((160, 160), 60, 60, 70, 60)  # encloses more than two particles
    mask[140, 140] = True  # a speck
    np.testing.assert_array_equal(filled(mask, 40), mask)
    apart = disc((100, 100), 25, 50, 40) | disc((100, 100), 72, 50, 40)
    np.testing.assert_array_equal(filled(apart, 40), apart)


@given(mask=hnp.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))), diameter=st.sampled_from([6, 15, 40]))
def test_filling_only_adds(mask, diameter):
    assert not (mask & ~filled(mask, diameter)).any()


# --- evidence: outline ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_the_outline_of_a_particle_counts_one(diameter):
    white = 1 - soft_disc((130, 140), 70, 61, diameter)
    votes = radial_votes(white, diameter)
    assert votes.shape == white.shape
    assert votes.dtype == np.float32
    assert votes[61, 70] == votes.max()
    assert votes.max() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("diameter", DIAMETERS)
@pytest.mark.parametrize(("x", "y"), [(70.5, 61.5), (70.3, 61.6), (69.75, 61)])
def test_the_outline_of_a_particle_between_pixels_or_in_a_mask_counts_about_one(diameter, x, y):
    for image in (soft_disc((130, 140), x, y, diameter), disc((130, 140), x, y, diameter)):
        votes = radial_votes(image, diameter, dark=False)
        row, column = np.unravel_index(votes.argmax(), votes.shape)
        assert (column, row) == (pytest.approx(x, abs=1), pytest.approx(y, abs=1))
        # The steps of a mask's outline turn the gradient, and places between pixels share their votes.
        assert 0.7 <= votes.max() <= 1.05


def test_votes_follow_the_contrast():
    rng = np.random.default_rng(0)
    image = np.clip(soft_disc((90, 100), 48, 40, 30) + 0.1 * rng.normal(size=(90, 100)), 0, 1)
    votes = radial_votes(image, 30, dark=False)
    np.testing.assert_allclose(radial_votes(1 - image, 30), votes, atol=1e-4)
    np.testing.assert_allclose(radial_votes(0.25 * image + 0.5, 30, dark=False), 0.25 * votes, atol=1e-4)
    assert votes.min() >= 0


def test_votes_turn_with_the_picture():
    image = soft_disc((90, 100), 48, 40, 30) + 0.5 * rectangle((90, 100), 80, 70, 20, 14)
    votes = radial_votes(image, 30, dark=False)
    np.testing.assert_allclose(radial_votes(image.T, 30, dark=False), votes.T, atol=0.02)
    np.testing.assert_allclose(radial_votes(image[::-1, ::-1], 30, dark=False), votes[::-1, ::-1], atol=0.02)


def test_particles_of_the_other_sign_get_no_votes():
    votes = radial_votes(soft_disc((100, 100), 50, 50, 40), 40, dark=True)
    assert votes[40:61, 40:61].max() < 0.05


def test_half_an_outline_gets_half_the_votes():
    image = soft_disc((100, 100), 50, 50, 40)
    # Above row 50 the picture goes on as it is there: no edge but the sides.
    image[51:] = image[50]
    assert radial_votes(image, 40, dark=False)[50, 50] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("angle", [0, 20, 45])
def test_the_middle_of_a_square_is_a_maximum_too(angle):
    votes = radial_votes(rectangle((100, 110), 55, 50, 40, 40, angle).astype(float), 40, dark=False)
    row, column = np.unravel_index(votes.argmax(), votes.shape)
    assert (column, row) == (pytest.approx(55, abs=2), pytest.approx(50, abs=2))
    # Its four sides face the centre near their middles only.
    assert votes.max() >= 0.15


def test_the_outline_of_a_ring_counts_as_much_as_that_of_a_disc():
    of_ring = radial_votes(ring((100, 100), 50, 50, 40, 24), 40, dark=False)[50, 50]
    of_disc = radial_votes(disc((100, 100), 50, 50, 40), 40, dark=False)[50, 50]
    assert of_ring == pytest.approx(of_disc, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 3), (8, 50), (60, 60)])
@pytest.mark.parametrize("value", [0, 0.3, 1])
def test_no_votes_without_an_edge(shape, value):
    np.testing.assert_array_equal(radial_votes(np.full(shape, value), 20), np.zeros(shape))


@pytest.mark.parametrize(
    "function",
    [
        radial_votes,
        coverage,
        blobs,
    ],
)
@pytest.mark.parametrize("shape", [(0, 0), (0, 5)])
def test_a_picture_without_pixels_has_no_evidence(function, shape):
    assert function(np.zeros(shape, dtype=bool), 20).shape == shape


@pytest.mark.parametrize("diameter", [0, -4])
def test_impossible_sizes_of_outlines(diameter):
    with pytest.raises(ArgumentError, match="diameter"):
        radial_votes(np.zeros((30, 30)), diameter)


# --- evidence: filling ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_a_full_disc_is_covered(diameter):
    covered = coverage(disc((130, 140), 70, 61, diameter), diameter)
    assert covered.shape == (130, 140)
    assert covered.dtype == np.float32
    assert covered[61, 70] == pytest.approx(1, abs=1e-5)
    assert covered[61, 70 + math.ceil(diameter) + 1] == pytest.approx(0, abs=1e-5)
    # On the outline of a disc lies not quite half of another one.
    assert covered[61, 70 + round(diameter / 2)] == pytest.approx(0.41, abs=0.05 + 0.5 / diameter)


@given(
    mask=hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))),
    diameter=st.sampled_from([2, 3.5, 5, 8, 12, 30]),
)
def test_coverage_counts_pixels(mask, diameter):
    radius = 0.45 * diameter
    reach = math.ceil(radius)
    offsets = [
        (down, across)
        for down in range(-reach, reach + 1)
        for across in range(-reach, reach + 1)
        if math.hypot(down, across) <= radius
    ]
    expected = np.zeros(mask.shape)
    for row, column in np.ndindex(mask.shape):
        for down, across in offsets:
            inside = 0 <= row + down < mask.shape[0] and 0 <= column + across < mask.shape[1]
            expected[row, column] += inside and mask[row + down, column + across]
    covered = coverage(mask, diameter)
    np.testing.assert_allclose(covered, expected / len(offsets), atol=1e-5)
    assert covered.min() >= 0
    assert covered.max() <= 1


def test_beyond_the_border_nothing_is_covered():
    covered = coverage(np.ones((100, 120), dtype=bool), 40)
    assert covered[50, 60] == pytest.approx(1, abs=1e-5)
    assert covered[50, 0] == pytest.approx(0.5, abs=0.03)
    assert covered[0, 0] == pytest.approx(0.25, abs=0.03)


def test_a_mask_has_rows_and_columns():
    with pytest.raises(ArgumentError, match=r"\(30,\)"):
        coverage(np.zeros(30, dtype=bool), 10)


# --- evidence: blobs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_a_disc_is_a_blob_of_one(diameter):
    response = blobs(disc((150, 160), 80.3, 70.6, diameter), diameter)
    assert response.shape == (150, 160)
    assert response.dtype == np.float32
    assert response[71, 80] == pytest.approx(1, abs=0.03)
    # Flat on top: neighbours may be higher by a trifle.
    assert response.max() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("tau", [6, 10, 20])
def test_blobs_of_a_gaussian_by_calculation(tau):
    # A Gaussian blurred by another is a Gaussian, whose Laplacian at the centre is known. Full discs have
    # (d / 2 s)^2 exp(-d^2 / 8 s^2) = 4 exp(-2) for s = d / 4, in units of 1 / s^2.
    row, column = np.indices((241, 241)) - 120
    image = np.exp(-(row**2 + column**2) / (2 * tau**2))
    s = 40 / 4
    expected = 2 * tau**2 / (tau**2 + s**2) ** 2 * s**2 / (4 * math.exp(-2))
    assert blobs(image, 40)[120, 120] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("size", [8, 14, 26, 40, 60, 120])
def test_discs_of_other_sizes_by_calculation(size):
    # In the centre of a disc of radius a: (a / s)^2 exp(-a^2 / 2 s^2), s = 10; in units of the disc with a = 2 s.
    ratio = (size / 2 / 10) ** 2
    expected = ratio * math.exp(-ratio / 2) / (4 * math.exp(-2))
    assert blobs(disc((200, 200), 100, 100, size), 40)[100, 100] == pytest.approx(expected, abs=0.05)


def test_blobs_of_two_neighbours_are_two():
    response = blobs(disc((100, 160), 60, 50, 40) | disc((100, 160), 100, 50, 40), 40)
    assert response[50, 80] < 0.7 * min(response[50, 55], response[50, 105])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 4), (80, 90)])
@pytest.mark.parametrize("value", [False, True])
def test_a_picture_without_contrast_has_no_blob(shape, value):
    np.testing.assert_allclose(blobs(np.full(shape, value), 20), np.zeros(shape), atol=0.01)
