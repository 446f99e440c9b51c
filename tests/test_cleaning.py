"""Cleaning of score maps: joined areas against a flood fill by hand, and ice that goes while particles stay."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cryokit.errors import ArgumentError
from cryokit.imaging.peaks import find_peaks
from cryokit.imaging.score_cleaning import clean, joined_areas, largest_area

# Steps of 1/8 are exact: a difference is at the closeness or it is not.
MAPS = arrays(
    np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 8).map(lambda n: n / 8)
)
CLOSENESS = st.sampled_from([0.0, 0.125, 0.25, 1.0])


def flooded(scores, threshold, closeness):
    """Sets of pixels, each grown from its first pixel over close neighbours."""
    rows, columns = scores.shape
    left = {place for place in np.ndindex(scores.shape) if scores[place] >= threshold}
    areas = []
    while left:
        growing, area = [min(left)], set()
        while growing:
            place = growing.pop()
            if place in area:
                continue
            area.add(place)
            for row in range(max(place[0] - 1, 0), min(place[0] + 2, rows)):
                for column in range(max(place[1] - 1, 0), min(place[1] + 2, columns)):
                    if (row, column) in left and abs(scores[row, column] - scores[place]) <= closeness:
                        growing.append((row, column))
        areas.append(area)
        left -= area
    return areas


@settings(max_examples=150, deadline=None)
@given(scores=MAPS, threshold=st.sampled_from([0.25, 0.5]), closeness=CLOSENESS, cut_off=st.integers(1, 20))
def test_joined_areas_and_what_stays(scores, threshold, closeness, cut_off):
    areas = flooded(scores, threshold, closeness)
    labels = joined_areas(scores, threshold, closeness=closeness)
    assert (labels == 0).tolist() == (scores < threshold).tolist()
    assert [set(map(tuple, np.argwhere(labels == label + 1).tolist())) for label in range(labels.max())] == areas
    stays = {place for area in areas if len(area) <= cut_off for place in area}
    kept = clean(scores, threshold, cut_off, closeness=closeness)
    assert set(map(tuple, np.argwhere(kept).tolist())) == stays


def test_a_row_end_is_no_neighbour_of_the_next_row():
    scores = np.zeros((6, 20))
    scores[2, 10:], scores[3, :10] = 0.9, 0.9  # touch at (2, 10) and (3, 9), a corner
    assert joined_areas(scores, 0.5).max() == 1
    scores[2, 10] = scores[3, 9] = 0
    assert joined_areas(scores, 0.5).max() == 2
    assert clean(scores, 0.5, 9).sum() == 18
    assert not clean(scores, 0.5, 8).any()


def test_closeness_in_decimal_digits_holds_for_float32():
    scores = np.array([[0.6, 0.7, 0.8, 0.9]], dtype=np.float32)
    assert joined_areas(scores, 0.5, closeness=0.11).max() == 1
    assert joined_areas(scores, 0.5, closeness=0.09).max() == 4


def spot(shape, row, column, sigma):
    rows, columns = np.indices(shape)
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))


def test_ice_goes_and_particles_stay():
    # A map at a step of 8 pixels: particles of 160 pixels across are hills of 20, ice is a plateau with a steep rim.
    shape, rng = (120, 160), np.random.default_rng(3)
    particles = [(20, 30), (20, 120), (60, 25), (97, 40), (100, 135)]
    scores = sum(0.95 * spot(shape, *place, 4) for place in particles)
    rows, columns = np.indices(shape)
    ice = 0.97 / (1 + np.exp((np.hypot(rows - 55, columns - 90) - 28) / 0.7))
    scores = np.clip(np.maximum(scores, ice) + rng.normal(0, 0.01, shape), 0, 1)
    before = find_peaks(scores, 12, 0.5)
    assert len(before[0]) > len(particles) + 5
    kept = clean(scores, 0.5, largest_area(160, 8))
    x, y, _ = find_peaks(scores, 12, 0.5, allowed=kept)
    peaks = sorted((round(row), round(column)) for column, row in zip(x, y, strict=True))
    assert len(peaks) == len(particles)
    assert np.abs(np.array(peaks) - sorted(particles)).max() <= 1


def test_touching_particles_are_no_ice():
    # Peaks of a network are steep: the pixels of two hills that merge differ by more than the closeness.
    shape = (60, 100)
    scores = sum(spot(shape, 30, 20 + 14 * n, 3.5) for n in range(5))
    assert len(find_peaks(scores, 9, 0.3, allowed=clean(scores, 0.3, largest_area(14)))[0]) == 5


def test_nan_is_no_candidate():
    scores = np.full((4, 4), 0.9)
    scores[1, 1] = np.nan
    assert clean(scores, 0.5, 100).sum() == 15
    assert joined_areas(scores, 0.5)[1, 1] == 0


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1)])
def test_small_and_empty_maps(shape):
    assert clean(np.ones(shape), 0.5, 4).tolist() == np.ones(shape, bool).tolist()


def test_a_large_map_takes_little_time():
    scores = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    start = time.process_time()
    kept = clean(scores, 0.2, 50)
    assert time.process_time() - start < 10  # about 1
    assert kept.shape == scores.shape


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: clean(np.zeros((3, 3, 2)), 0.5, 4), r"scores.*\(3, 3, 2\)"),
        (lambda: clean(np.zeros((3, 3)), 0.5, 0), "largest_area.*0"),
        (lambda: clean(np.zeros((3, 3)), 0.5, 4, closeness=-1), "closeness.*-1"),
        (lambda: joined_areas(np.zeros((3, 3)), 0.5, closeness=np.nan), "closeness.*nan"),
        (lambda: largest_area(0), "diameter.*0"),
        (lambda: largest_area(10, -1), "step.*-1"),
        (lambda: largest_area(10, particles=0), "particles.*0"),
    ],
)
def test_wrong_arguments_are_named(call, named):
    with pytest.raises(ArgumentError, match=named):
        call()
