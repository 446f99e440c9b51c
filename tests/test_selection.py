"""Good and bad particles from drawn masks, each of which passes or fails one test of its view."""

import dataclasses
import math

import numpy as np
import pytest

from cryokit.errors import ArgumentTypeError
from cryokit.segmentation import Circle, Particle, components
from cryokit.segmentation.selection import select, select_irregular, select_side, select_top

SIZE = 40  # of a particle
ROW, COLUMN = np.indices((120, 120))


def disc(diameter, x=60, y=60):
    return np.hypot(COLUMN - x, ROW - y) <= diameter / 2


def box(width, height, x=60, y=60):
    return (np.abs(COLUMN - x + 0.5) <= width / 2) & (np.abs(ROW - y + 0.5) <= height / 2)


def shape_of(mask):
    (shape,) = components(mask)
    return shape


def top(mask, *, diameter=SIZE, strength=1.0, circle=True):
    around = Circle(60, 60, diameter / 2, strength) if circle else None
    shape = None if mask is None else shape_of(mask)
    return Particle(60, 60, "top", diameter, math.nan, shape, around, 0.9)


def side(mask):
    shape = None if mask is None else shape_of(mask)
    return Particle(60, 60, "side", SIZE, 0, shape, None, 0.9)


def irregular(mask, x=60, y=60):
    shape = None if mask is None else shape_of(mask)
    return Particle(x, y, "irregular", SIZE, math.nan, shape, None, 0.9)


def last(test, particle, others, **options):
    """Decide on a particle among others; return the decision on it, after making sure that it is in its place."""
    decisions = test([*others, particle], **options)
    assert len(decisions) == len(others) + 1
    assert decisions[-1].particle is particle
    assert all(decision.good for decision in decisions[:-1])
    return decisions[-1]


def assert_within_limits(decision):
    low, high = decision.limit
    assert decision.good == (low <= decision.measure <= high)


# Ordinary particles, so that there is an average to compare with.
TOPS = [top(disc(40)) for _ in range(4)]
SIDES = [side(box(40, 36)) for _ in range(4)]
IRREGULARS = [irregular(disc(36)) for _ in range(4)]


# --- top views -----------------------------------------------------------------------------------------------------


def test_full_disc():
    decision = last(select_top, top(disc(40)), TOPS)
    assert decision.good
    assert decision.measure == pytest.approx(1, abs=0.01)
    assert f"{decision.measure:.2f}" in decision.reason
    assert decision.limit == (0.75, 1.0)


def test_a_circle_that_is_hardly_seen():
    decision = last(select_top, top(disc(40), strength=0.43), TOPS)
    assert not decision.good
    assert decision.reason == "only 0.43 of a circle is seen"
    assert decision.measure == 0.43
    assert decision.limit == (0.5, 1.0)
    assert last(select_top, top(disc(40), strength=0.43), TOPS, strength=0.4).good


def test_no_circle():
    decision = last(select_top, top(disc(40), circle=False), TOPS)
    assert not decision.good
    assert "no circle" in decision.reason
    assert_within_limits(decision)


def test_a_circle_around_nothing():
    decision = last(select_top, top(None), TOPS)
    assert not decision.good
    assert "nothing in the mask" in decision.reason
    assert math.isnan(decision.measure)


@pytest.mark.parametrize(
    ("mask", "fit"),
    [
        (disc(28), 0.49),  # 28^2 / 40^2
        (disc(52), 0.59),  # 40^2 / 52^2
        (disc(40) & (ROW >= 60), 0.5),
        (disc(40, x=73), 0.416),  # two circles 0.65 radii apart: a lens of 0.588 of one, 0.588 / (2 - 0.588)
    ],
)
def test_a_circle_that_does_not_fit_the_mask(mask, fit):
    decision = last(select_top, top(mask), TOPS)
    assert not decision.good
    assert decision.measure == pytest.approx(fit, abs=0.03)
    assert f"{decision.measure:.2f}" in decision.reason
    assert_within_limits(decision)
    assert not last(select_top, top(mask), TOPS, circle_fit=fit + 0.05).good


def test_a_ring_counts_as_a_full_disc():
    ring = disc(40) & ~disc(24)
    assert select_top([top(ring) for _ in range(3)])[0].measure == pytest.approx(1, abs=0.01)


def test_a_mask_that_is_not_round():
    mask = disc(40)
    for column in range(45, 76, 6):
        mask[30:46, column : column + 2] = False  # a comb: a long outline, little area less
    decision = last(select_top, top(mask), TOPS, circle_fit=0.5)
    assert not decision.good
    assert decision.measure == pytest.approx(mask_circularity(mask))
    assert decision.measure > 1.3
    assert f"circularity {decision.measure:.2f}" in decision.reason
    # Five particles, four of them discs; the limit is a tenth above the average of all.
    average = (4 * mask_circularity(disc(40)) + decision.measure) / 5
    assert decision.limit == (0, pytest.approx(1.1 * average))
    assert f"average is {average:.2f}" in decision.reason
    assert_within_limits(decision)
    assert last(select_top, top(mask), TOPS, circle_fit=0.5, least_round=5).good


def mask_circularity(mask):
    shape = shape_of(mask)
    return shape.perimeter**2 / (4 * math.pi * shape.area)


def test_the_average_is_of_the_micrograph():
    comb = disc(40)
    comb[30:46, 58:62] = False
    # Among discs it is not round; where all particles are like it, it is what is usual.
    assert not last(select_top, top(comb), [*TOPS, *TOPS]).good
    assert all(decision.good for decision in select_top([top(comb) for _ in range(5)]))


def test_two_top_views_have_no_average():
    comb = disc(40)
    comb[30:46, 58:62] = False
    assert [decision.good for decision in select_top([top(disc(40)), top(comb)])] == [True, True]
    # What needs no average is tested all the same.
    assert [decision.good for decision in select_top([top(disc(40)), top(disc(28))])] == [True, False]
    # Particles without a mask are none to take an average of.
    assert [decision.good for decision in select_top([top(None), top(disc(40)), top(comb)])] == [False, True, True]


# --- side views ----------------------------------------------------------------------------------------------------


def test_perfect_rectangle():
    decision = last(select_side, side(box(42, 36)), SIDES)
    assert decision.good
    assert decision.measure == 1
    assert decision.limit == (0.7, 1.0)
    assert "42 x 36" in decision.reason


def test_a_rectangle_that_is_not_filled():
    mask = box(40, 36)
    mask[42:62, 50:70] = False  # 400 of 1440 pixels, open to one side
    decision = last(select_side, side(mask), SIDES, rectangle_fit=0.75)
    assert not decision.good
    assert decision.measure == pytest.approx(1040 / 1440)
    assert "0.72" in decision.reason
    assert decision.limit == (0.75, 1.0)
    assert last(select_side, side(mask), SIDES).good


def test_a_rectangle_that_is_too_long_for_its_width():
    decision = last(select_side, side(box(48, 24)), SIDES)
    assert not decision.good
    assert decision.measure == pytest.approx(2)
    assert "2.00 times as long as wide" in decision.reason
    assert decision.limit == (1, 1.5)
    assert last(select_side, side(box(48, 24)), SIDES, aspect=2.1).good


@pytest.mark.parametrize(("width", "height", "word"), [(60, 50, "larger"), (26, 22, "smaller")])
def test_rectangles_of_another_size(width, height, word):
    decision = last(select_side, side(box(width, height)), SIDES)
    assert not decision.good
    assert decision.measure == width
    assert decision.reason == f"Feret diameter {width}, {word} than the usual 40"
    assert decision.limit == (30, 50)
    assert_within_limits(decision)
    assert last(select_side, side(box(width, height)), SIDES, size=0.6).good


def test_the_usual_size_is_a_median():
    huge = [side(box(110, 100)) for _ in range(2)]
    decisions = select_side([*SIDES, *huge])
    assert [decision.good for decision in decisions] == [True] * 4 + [False] * 2


def test_two_side_views_have_no_usual_size():
    assert [decision.good for decision in select_side([side(box(40, 36)), side(box(80, 70))])] == [True, True]
    assert [decision.good for decision in select_side([side(box(40, 36)), side(box(80, 30))])] == [True, False]


# --- irregular particles -------------------------------------------------------------------------------------------


def test_an_average_particle():
    decision = last(select_irregular, irregular(disc(36)), IRREGULARS)
    assert decision.good
    area = disc(36).sum()
    assert decision.measure == area
    assert decision.limit == (pytest.approx(0.75 * area), pytest.approx(1.5 * area))
    assert f"area {area}" in decision.reason


@pytest.mark.parametrize(("diameter", "words"), [(24, "too small"), (60, "several particles, or ice")])
def test_particles_far_from_the_average_area(diameter, words):
    others = [*IRREGULARS, *IRREGULARS]
    decision = last(select_irregular, irregular(disc(diameter)), others)
    area, average = disc(diameter).sum(), (8 * disc(36).sum() + disc(diameter).sum()) / 9
    assert not decision.good
    assert decision.measure == area
    assert decision.reason == f"area {area:.0f}, the average is {average:.0f}: {words}"
    assert decision.limit == (pytest.approx(0.75 * average), pytest.approx(1.5 * average))
    assert_within_limits(decision)
    assert last(select_irregular, irregular(disc(diameter)), others, smallest=0.3, largest=3).good


def test_holes_do_not_count_in_the_area():
    ring = disc(36) & ~disc(28)
    decision = last(select_irregular, irregular(ring), IRREGULARS)
    assert not decision.good
    assert decision.measure == ring.sum()


def test_a_mask_beside_the_centre():
    decision = last(select_irregular, irregular(disc(36), x=57, y=56), IRREGULARS)
    assert not decision.good
    assert decision.measure == pytest.approx(5 / SIZE)
    assert decision.reason == f"the mask is {5 / SIZE:.2f} diameters off the centre"
    assert decision.limit == (0, 0.1)
    assert last(select_irregular, irregular(disc(36), x=57, y=56), IRREGULARS, centred=0.15).good
    assert last(select_irregular, irregular(disc(36), x=58, y=60), IRREGULARS).good


@pytest.mark.parametrize(
    ("rule", "view", "others"), [(select_side, side, SIDES), (select_irregular, irregular, IRREGULARS)]
)
def test_a_particle_without_a_mask(rule, view, others):
    decision = last(rule, view(None), others)
    assert not decision.good
    assert "nothing in the mask" in decision.reason
    assert math.isnan(decision.measure)


def test_two_irregular_particles_have_no_average():
    decisions = select_irregular([irregular(disc(36)), irregular(disc(80))])
    assert [decision.good for decision in decisions] == [True, True]
    decisions = select_irregular([irregular(disc(36)), irregular(disc(36), x=40)])
    assert [decision.good for decision in decisions] == [True, False]


def test_words_without_an_average():
    (decision,) = select_irregular([irregular(disc(36))])
    assert "nan" not in decision.reason
    assert_within_limits(decision)


# --- all views -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", [select, select_top, select_side, select_irregular])
def test_no_particles(test):
    assert test([]) == []


@pytest.mark.parametrize("test", [select_top, select_side, select_irregular])
def test_one_particle_is_judged_alone(test):
    particle = {select_top: TOPS, select_side: SIDES, select_irregular: IRREGULARS}[test][0]
    (decision,) = test([particle])
    assert decision.good
    assert decision.particle is particle


def mixed():
    particles = [*TOPS, *SIDES, *IRREGULARS]
    particles += [top(disc(28)), side(box(60, 50)), irregular(disc(24)), top(None), side(None), irregular(None)]
    order = np.random.default_rng(5).permutation(len(particles))
    return [particles[index] for index in order]


def test_views_are_judged_among_themselves_in_the_order_given():
    particles = mixed()
    decisions = select(particles)
    assert [decision.particle for decision in decisions] == particles
    for view, test in (("top", select_top), ("side", select_side), ("irregular", select_irregular)):
        expected = test([particle for particle in particles if particle.view == view])
        of_view = [decision for decision in decisions if decision.particle.view == view]
        assert [(d.good, d.reason) for d in of_view] == [(d.good, d.reason) for d in expected]
        assert [d.good for d in of_view].count(True) == 4


def test_options_reach_the_test_that_has_them():
    def good(view, **options):
        return sum(decision.good for decision in select(mixed(), **options) if decision.particle.view == view)

    assert good("top", circle_fit=0.4) == 5
    assert good("side", size=0.6) == 5
    assert good("irregular", smallest=0.3) == 5
    assert good("top", smallest=0.3) == 4
    assert [good(view, circle_fit=0.4, size=0.6, smallest=0.3) for view in ("top", "side", "irregular")] == [5] * 3


@pytest.mark.parametrize("particles", [[], TOPS])
def test_unknown_options(particles):
    with pytest.raises(ArgumentTypeError, match=r"circle_fitt, sice"):
        select(particles, sice=3, aspect=2, circle_fitt=0.5)


def test_a_reason_names_the_number_that_decided():
    for decision in select(mixed()):
        assert decision.reason
        if not math.isnan(decision.measure) and decision.measure > 0:
            numbers = {f"{decision.measure:.0f}", f"{decision.measure:.2f}"}
            assert any(number in decision.reason for number in numbers), decision.reason


def test_decisions_lie_within_their_limits():
    decisions = select(mixed(), circle_fit=0.7)
    for decision in decisions:
        if not math.isnan(decision.measure):
            # A disc of pixels may be larger than pi r^2 by a little.
            decision = dataclasses.replace(decision, measure=min(decision.measure, decision.limit[1]))
            if decision.good:
                assert_within_limits(decision)
        else:
            assert not decision.good


def test_the_measure_of_a_small_full_disc_lies_within_its_limits():
    mask = np.hypot(COLUMN - 60.3, ROW - 58.6) <= 10
    circle = Circle(60.3, 58.6, 10, 1.0)
    particle = Particle(60.3, 58.6, "top", 20, math.nan, shape_of(mask), circle, 0.9)
    (decision,) = select_top([particle])
    assert decision.good
    assert_within_limits(decision)
