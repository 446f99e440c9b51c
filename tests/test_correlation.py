"""Normalised cross-correlation: against the definition computed pixel by pixel, and its limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryokit.imaging.correlation import SymmetricPatches


def discs(data, radius):
    """Each pixel's disc: its grey values, 0 outside of the micrograph, their distances from its centre, which count."""
    inside = [
        (i, j)
        for i in range(-radius, radius + 1)
        for j in range(-radius, radius + 1)
        if i * i + j * j <= radius * radius
    ]
    distance = np.array([np.hypot(i, j) for i, j in inside])
    for row, column in np.ndindex(data.shape):
        places = [(row + i, column + j) for i, j in inside]
        real = np.array([0 <= i < data.shape[0] and 0 <= j < data.shape[1] for i, j in places])
        values = [data[place] if recorded else 0.0 for place, recorded in zip(places, real, strict=True)]
        yield (row, column), np.array(values, dtype=np.float64), distance, real


def slow(data, reference, radius):
    """Pearson's correlation of every disc with the reference."""
    result = np.zeros(data.shape)
    for place, values, distance, _ in discs(data, radius):
        image = np.interp(distance, np.arange(len(reference)), reference)
        result[place] = np.corrcoef(values, image)[0, 1]
    return result


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("shape", "radius"), [((17, 23), 4), ((24, 16), 7), ((9, 9), 3), ((13, 12), 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_correlation_is_pearsons_with_every_disc(shape, radius, seed):
    data, reference = noise(shape, seed), noise(radius + 1, seed + 10)
    expected = slow(data, reference, radius)
    correlation = SymmetricPatches(data, radius).correlate(reference)
    assert correlation.shape == shape
    assert correlation == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("shape", "radius"), [((5, 7), 9), ((3, 40), 6), ((1, 30), 3)])
def test_radius_larger_than_the_image(shape, radius):
    data, reference = noise(shape, 3), np.linspace(1, -1, radius + 1)
    assert SymmetricPatches(data, radius).correlate(reference) == pytest.approx(slow(data, reference, radius), abs=2e-4)


@pytest.mark.parametrize("shape", [(1, 12), (12, 1), (1, 1)])
def test_single_rows_and_columns(shape):
    correlation = SymmetricPatches(noise(shape), 3).correlate(np.linspace(1, -1, 4))
    assert correlation.shape == shape
    assert np.abs(correlation).max() <= 1


def test_deviation_and_profiles_are_those_of_the_discs():
    data, radius = noise((11, 14), 5), 4
    patches = SymmetricPatches(data, radius)
    row, column = (index.ravel() for index in np.indices(data.shape))
    profiles = patches.profiles(row, column)
    assert profiles.shape == (data.size, radius + 1)
    for (place, values, distance, real), profile in zip(discs(data, radius), profiles, strict=True):
        assert patches.deviation[place] == pytest.approx(values[real].std(), rel=2e-3)
        ring = np.round(distance)
        assert profile == pytest.approx([values[ring == r].mean() for r in range(radius + 1)], abs=1e-5)
    assert patches.ring_sizes.sum() == np.sum([i * i + j * j <= 16 for i in range(-4, 5) for j in range(-4, 5)])


def test_profiles_of_no_and_of_many_pixels():
    patches = SymmetricPatches(noise((60, 50)), 3)
    assert patches.profiles(np.empty(0, int), np.empty(0, int)).shape == (0, 4)
    row, column = (index.ravel() for index in np.indices((60, 50)))
    profiles = patches.profiles(row, column)
    for chosen in (0, 1023, 1024, 1025, 2999):  # wherever the work is divided
        assert np.array_equal(profiles[chosen], patches.profiles(row[[chosen]], column[[chosen]])[0])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    radius=st.integers(3, 8),
    gain=st.floats(0.01, 1000),
    sign=st.sampled_from([-1, 1]),
)
def test_gain_does_not_matter_and_a_turned_reference_turns_the_sign(seed, radius, gain, sign):
    data, reference = noise((20, 21), seed), noise(radius + 1, seed + 1)
    plain = SymmetricPatches(data, radius).correlate(reference)
    changed = SymmetricPatches(gain * data, radius).correlate(sign * (3 * reference + 2))
    assert np.abs(plain).max() <= 1
    assert np.allclose(changed, sign * plain, atol=2e-3)


def test_the_reference_itself_is_found_with_correlation_one():
    radius, reference = 6, np.array([3, 2, 1, 0, -1, -1.5, 0])
    data = 0.01 * noise((50, 60))
    for y, x in ((20, 15), (30, 44)):
        rows, columns = np.mgrid[:50, :60]
        distance = np.hypot(rows - y, columns - x)
        data += np.where(distance <= radius, np.interp(distance, np.arange(7), reference), 0).astype(np.float32)
    correlation = SymmetricPatches(data, radius).correlate(reference)
    assert correlation[20, 15] > 0.999
    assert correlation[30, 44] > 0.999
    assert np.argmax(correlation[:, :30]) == 20 * 30 + 15


def test_flat_regions_do_not_correlate():
    data = noise((80, 80))
    data[:, :40] = 0
    correlation = SymmetricPatches(data, 5).correlate(np.array([1, 1, 0.5, 0, -0.5, -1]))
    assert np.abs(correlation[:, :34]).max() < 1e-2
    assert np.abs(correlation[:, 45:]).max() > 0.2


def test_empty_image_gives_zero():
    correlation = SymmetricPatches(np.zeros((30, 30), np.float32), 4).correlate(np.array([1, 0.5, 0, -0.5, -1]))
    assert np.abs(correlation).max() < 1e-6


def test_noise_correlates_no_more_at_the_border_than_elsewhere():
    reference = np.array([2, 2, 1.5, 1, 0, -0.5, -1, -1, -0.5])
    correlation = np.concatenate(
        [SymmetricPatches(noise((40, 400), seed), 8).correlate(reference) for seed in range(10)]
    )
    inner, border = correlation.reshape(10, 40, 400)[:, 9:-9, 9:-9], correlation.reshape(10, 40, 400)[:, [0, -1]]
    assert border.std() == pytest.approx(inner.std(), rel=0.15)


@pytest.mark.parametrize("value", [0.0, 0.1, 3.0, -1e4])
def test_a_reference_without_structure_correlates_with_nothing(value):
    correlation = SymmetricPatches(noise((30, 30)), 4).correlate(np.full(5, value))
    assert np.abs(correlation).max() < 1e-6
