"""Binning and resizing: what pixels become, and where their frames say they are."""

import re
import time
import tracemalloc

import numpy as np
import pytest

from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.imaging import bin_fourier, bin_integer, resize
from cryokit.imaging.binning import resized_frame

BINNING = {"fourier": bin_fourier, "integer": bin_integer, "resize": resize}


def spot(shape, x, y, sigma):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).astype(np.float32)


def centre_of_mass(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return (image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()


@pytest.mark.parametrize(
    ("method", "factor"),
    [("fourier", f) for f in (1, 1.3, 2, 2.5, 3, 4.7, 8)]
    + [("integer", f) for f in (1, 2, 3, 4, 5, 8)]
    + [("resize", f) for f in (0.3, 0.625, 1, 1.37, 2.375)],
)
@pytest.mark.parametrize("shape", [(240, 360), (251, 199)])
@pytest.mark.parametrize(("x", "y"), [(100.0, 120.0), (97.37, 110.81), (60.5, 140.25)])
def test_a_spot_lands_where_the_frame_says(method, factor, shape, x, y):
    # Wide enough to lie below the Nyquist frequency of the coarsest grid, so that its centre of mass is exact.
    data, frame = BINNING[method](spot(shape, x, y, sigma=9.0), factor)
    assert data.shape == frame.shape
    assert frame.source == shape
    assert centre_of_mass(data) == pytest.approx(tuple(map(float, frame.from_source(x, y))), abs=2e-3 * max(1, factor))


@pytest.mark.parametrize("size", [16, 17, 64, 97])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 3.3])
@pytest.mark.parametrize("offset", [0.0, 40_000.0])
def test_fourier_binning_keeps_mean_and_slow_waves(size, factor, offset):
    old = np.arange(size)
    new = resized_frame((size, size), 1 / factor).shape[0]
    wave = 3 * np.cos(2 * np.pi * 2 * old / size + 0.4)
    binned, _ = bin_fourier((wave[:, None] + wave[None, :]).astype(np.float32) + offset, factor)
    expected = 3 * np.cos(2 * np.pi * 2 * np.arange(new) / new + 0.4)
    assert binned.dtype == np.float32
    assert np.allclose(binned, expected[:, None] + expected[None, :] + offset, atol=1e-5 + offset * 1e-6)


@pytest.mark.parametrize("frequency", [17, 20, 24, 31])
def test_fourier_binning_takes_out_what_would_alias(frequency):
    wave = np.cos(2 * np.pi * frequency * np.arange(64) / 64)
    image = np.tile(wave, (64, 1)) + 5
    assert np.allclose(bin_fourier(image, 2).data, 5, atol=1e-5)
    # The mean of blocks does not: what makes the two different.
    assert np.abs(bin_integer(image, 2).data - 5).max() > 0.04


def test_integer_binning_is_the_mean_of_blocks():
    data = np.array([[1, 3, 5, 7, 100], [3, 5, 7, 9, 100], [100, 100, 100, 100, 100]], dtype=np.uint16)
    assert bin_integer(data, 2).data.tolist() == [[3, 7]]
    assert bin_integer(data, 2).data.dtype == np.float32
    assert bin_integer(data, 1).data.tolist() == data.tolist()


def test_binning_leaves_its_input_alone():
    data = np.random.default_rng(0).normal(size=(32, 48)).astype(np.float32)
    before = data.copy()
    for binned, _ in (bin_fourier(data, 1), bin_fourier(data, 2), bin_integer(data, 1), bin_integer(data, 2)):
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
            start = time.process_time()
            bin_fourier(data, 4)
            times.append(time.process_time() - start)
        return min(times)

    # A direct transform of a prime length would take hundreds of times as long.
    assert seconds(1021) < 20 * seconds(1024) + 0.2


@pytest.mark.parametrize("factor", [0, 0.5, -2, np.nan, np.inf])
@pytest.mark.parametrize("method", ["fourier", "integer"])
def test_factors_below_one_are_refused(method, factor):
    with pytest.raises(ArgumentError, match=re.escape(repr(factor))):
        BINNING[method](np.zeros((8, 8)), factor)


def test_other_wrong_input_is_refused():
    with pytest.raises(ArgumentError, match=r"1\.5"):
        bin_integer(np.zeros((8, 8)), 1.5)
    with pytest.raises(ArgumentError, match="5"):
        bin_integer(np.zeros((8, 4)), 5)
    with pytest.raises(ArgumentTypeError, match="half"):
        bin_fourier(np.zeros((8, 8)), "half")
    for operation in BINNING.values():
        with pytest.raises(ArgumentError, match=r"\(3, 8, 8\)"):
            operation(np.zeros((3, 8, 8)), 2)
    for factor in (0, -1, np.nan, np.inf):
        with pytest.raises(ArgumentError, match="factor"):
            resize(np.zeros((8, 8)), factor)


def _waves(rows, columns):
    """Return a slow pattern with whole periods along both axes, whatever the sampling."""
    y, x = np.mgrid[:rows, :columns]
    return np.cos(2 * np.pi * 3 * y / rows) * np.cos(2 * np.pi * 5 * x / columns)


@pytest.mark.parametrize("factor", [0.625, 0.875, 1.0, 1.125, 2.375])
def test_a_pattern_is_sampled_where_the_frame_says(factor):
    resized, frame = resize(_waves(111, 90).astype(np.float32), factor)
    assert resized.dtype == np.float32
    rows, columns = frame.shape
    # Periods are parts of the sides, so the same pattern on the finer or coarser lattice is the truth.
    error = np.abs(resized - _waves(rows, columns))
    assert error[: int(0.95 * rows), : int(0.95 * columns)].max() < 0.02  # the spline does not know that it goes on


def test_sizes_of_micrographs_in_table_4():
    assert resized_frame((4096, 4096), 1.125).shape == (4608, 4608)
    assert resized_frame((2048, 2048), 1.0).shape == (2048, 2048)
    # The paper prints 3373 x 3373 and 4030 x 4030, which do not follow from its factors.
    assert resized_frame((1200, 1240), 2.375).shape == (2850, 2945)
    assert resized_frame((4096, 4096), 0.625).shape == (2560, 2560)
