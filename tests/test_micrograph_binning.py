"""Binning, and where coordinates go."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryokit.errors import MicrographError
from cryokit.imaging import bin_coordinates, bin_fourier, bin_integer, binned_shape, unbin_coordinates

BINNING = {"fourier": bin_fourier, "integer": bin_integer}


def spot(shape, x, y, sigma):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).astype(np.float32)


def centre_of_mass(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return (image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()


@pytest.mark.parametrize(
    ("method", "factor"),
    [("fourier", f) for f in (1, 1.3, 2, 2.5, 3, 4.7, 8)] + [("integer", f) for f in (1, 2, 3, 4, 5, 8)],
)
@pytest.mark.parametrize("shape", [(240, 360), (251, 199)])
@pytest.mark.parametrize(("x", "y"), [(100.0, 120.0), (97.37, 110.81), (60.5, 140.25)])
def test_a_spot_lands_where_bin_coordinates_says(method, factor, shape, x, y):
    # Wide enough to lie below the Nyquist frequency of the coarsest grid, so that its centre of mass is exact.
    binned = BINNING[method](spot(shape, x, y, sigma=9.0), factor)
    expected = bin_coordinates(x, y, shape, factor, method=method)
    assert binned.shape == binned_shape(shape, factor, method=method)
    assert centre_of_mass(binned) == pytest.approx(expected, abs=2e-3)


@settings(max_examples=100, deadline=None)
@given(
    method=st.sampled_from(["fourier", "integer"]),
    factor=st.integers(1, 9),
    fraction=st.floats(0, 0.99),
    shape=st.tuples(st.integers(20, 5000), st.integers(20, 5000)),
    points=st.lists(st.tuples(st.floats(-10, 5000), st.floats(-10, 5000)), max_size=5),
)
def test_unbinning_undoes_binning(method, factor, fraction, shape, points):
    factor = factor + fraction if method == "fourier" else factor
    x, y = (np.array([point[axis] for point in points]) for axis in (0, 1))
    there = bin_coordinates(x, y, shape, factor, method=method)
    back = unbin_coordinates(*there, shape, factor, method=method)
    assert np.allclose(back[0], x, atol=1e-6)
    assert np.allclose(back[1], y, atol=1e-6)


@pytest.mark.parametrize("size", [16, 17, 64, 97])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.3])
@pytest.mark.parametrize("offset", [0.0, 40_000.0])
def test_fourier_binning_keeps_mean_and_slow_waves(size, factor, offset):
    old = np.arange(size)
    new = binned_shape((size, size), factor)[0]
    wave = 3 * np.cos(2 * np.pi * 2 * old / size + 0.4)
    binned = bin_fourier((wave[:, None] + wave[None, :]).astype(np.float32) + offset, factor)
    expected = 3 * np.cos(2 * np.pi * 2 * np.arange(new) / new + 0.4)
    assert binned.dtype == np.float32
    assert np.allclose(binned, expected[:, None] + expected[None, :] + offset, atol=1e-5 + offset * 1e-6)


@pytest.mark.parametrize("frequency", [17, 20, 24, 31])
def test_fourier_binning_takes_out_what_would_alias(frequency):
    wave = np.cos(2 * np.pi * frequency * np.arange(64) / 64)
    image = np.tile(wave, (64, 1)) + 5
    assert np.allclose(bin_fourier(image, 2), 5, atol=1e-5)
    # The mean of blocks does not: what makes the two different.
    assert np.abs(bin_integer(image, 2) - 5).max() > 0.04


def test_integer_binning_is_the_mean_of_blocks():
    data = np.array([[1, 3, 5, 7, 100], [3, 5, 7, 9, 100], [100, 100, 100, 100, 100]], dtype=np.uint16)
    assert bin_integer(data, 2).tolist() == [[3, 7]]
    assert bin_integer(data, 2).dtype == np.float32
    assert bin_integer(data, 1).tolist() == data.tolist()


def test_binning_leaves_its_input_alone():
    data = np.random.default_rng(0).normal(size=(32, 48)).astype(np.float32)
    before = data.copy()
    for binned in (bin_fourier(data, 1), bin_fourier(data, 2), bin_integer(data, 1), bin_integer(data, 2)):
        binned += 1
    assert np.array_equal(data, before)


def test_fourier_binning_needs_less_memory_than_the_micrograph():
    data = np.random.default_rng(0).normal(size=(1500, 1600)).astype(np.float32)
    bin_fourier(data[:200, :200], 4)  # what is imported is not counted
    tracemalloc.start()
    try:
        bin_fourier(data, 4)
        assert tracemalloc.get_traced_memory()[1] < data.nbytes
    finally:
        tracemalloc.stop()


def test_large_prime_sizes_are_not_slow():
    def seconds(size):
        data = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            bin_fourier(data, 4)
            times.append(time.perf_counter() - start)
        return min(times)

    # A direct transform of a prime length would take hundreds of times as long.
    assert seconds(1021) < 20 * seconds(1024) + 0.2


@pytest.mark.parametrize("factor", [0, 0.5, -2, np.nan, np.inf])
@pytest.mark.parametrize("method", ["fourier", "integer"])
def test_factors_below_one_are_refused(method, factor):
    with pytest.raises(MicrographError, match="at least 1"):
        BINNING[method](np.zeros((8, 8)), factor)


def test_other_wrong_input_is_refused():
    with pytest.raises(MicrographError, match="not whole"):
        bin_integer(np.zeros((8, 8)), 1.5)
    with pytest.raises(MicrographError, match="nothing would be left"):
        bin_integer(np.zeros((8, 4)), 5)
    with pytest.raises(MicrographError, match="shape"):
        bin_fourier(np.zeros((3, 8, 8)), 2)
    with pytest.raises(MicrographError, match="unknown way"):
        bin_coordinates(0, 0, (8, 8), 2, method="spline")
