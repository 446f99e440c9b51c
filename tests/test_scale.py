"""The scale rule of section 2.2, with table 4 of the paper, and resizing by it."""

import math

import numpy as np
import pytest

from cryokit.errors import MicrographError, PickerError
from cryokit.imaging.scale import rescale, rescaled_shape, scale_coordinates, scale_factor, unscale_coordinates

# boxes of all views, best factor, scaled boxes: as printed in table 4
TABLE_4 = {
    "apoferritin": ([94], 2.375, [224]),
    "klh": ([187, 221], 1.0, [187, 221]),
    "ribosome": ([320], 0.625, [200]),
    "betagal": ([188], 1.125, [212]),
}


@pytest.mark.parametrize("protein", TABLE_4)
def test_table_4(protein):
    boxes, factor, scaled = TABLE_4[protein]
    assert scale_factor(boxes) == factor
    assert [math.ceil(box * factor) for box in boxes] == scaled


def test_one_box_may_be_a_number():
    assert scale_factor(320) == scale_factor([320]) == 0.625


@pytest.mark.parametrize("window", [227, 64])
@pytest.mark.parametrize("step", [0.125, 0.1, 0.25])
def test_the_next_step_does_not_fit(window, step):
    for box in np.random.default_rng(0).uniform(6, 200, 50):
        factor = scale_factor(box, window, step)
        assert factor * box < window <= (factor + step) * box + 1e-6
        assert factor / step == pytest.approx(round(factor / step))


def test_a_box_as_large_as_the_window_is_not_smaller():
    assert scale_factor(227) == 0.875
    # 227 / (1816 * 0.125) is exactly one step
    with pytest.raises(PickerError, match="bin the micrographs"):
        scale_factor(1816)


@pytest.mark.parametrize(("box", "name"), [(0, "box"), (-3, "box"), (float("nan"), "box"), ([], "box")])
def test_senseless_boxes_are_named(box, name):
    with pytest.raises(PickerError, match=name):
        scale_factor(box)


def test_senseless_window_step_and_factor_are_named():
    with pytest.raises(PickerError, match="window"):
        scale_factor(94, 0)
    with pytest.raises(PickerError, match="step"):
        scale_factor(94, step=0)
    for factor in (0, -1, math.nan, math.inf):
        with pytest.raises(PickerError, match="resize"):
            rescale(np.zeros((8, 8)), factor)


def test_an_image_has_rows_and_columns():
    for factor in (0.5, 2):
        with pytest.raises(MicrographError):
            rescale(np.zeros(9), factor)


def _waves(rows, columns):
    """A slow pattern with whole periods along both axes, whatever the sampling."""
    y, x = np.mgrid[:rows, :columns]
    return np.cos(2 * np.pi * 3 * y / rows) * np.cos(2 * np.pi * 5 * x / columns)


@pytest.mark.parametrize("factor", [0.625, 0.875, 1.0, 1.125, 2.375])
def test_a_pattern_is_sampled_where_the_coordinates_say(factor):
    image = _waves(111, 90).astype(np.float32)
    resized = rescale(image, factor)
    rows, columns = rescaled_shape(image.shape, factor)
    assert resized.dtype == np.float32
    assert resized.shape == (rows + rows % 2, columns + columns % 2)
    assert not resized[rows:].any()
    assert not resized[:, columns:].any()
    # periods are parts of the sides, so the same pattern on the finer or coarser lattice is the truth
    expected = _waves(rows, columns)
    error = np.abs(resized[:rows, :columns] - expected)
    inner = error[: int(0.95 * rows), : int(0.95 * columns)]  # the spline does not know that the pattern goes on
    assert inner.max() < 0.02


@pytest.mark.parametrize("factor", [0.625, 2.375])
def test_a_spot_is_where_its_coordinates_go_and_back(factor):
    y, x = np.mgrid[:97, :120]
    spot = np.exp(-((x - 70.3) ** 2 + (y - 31.6) ** 2) / (2 * 4.0**2))
    resized = rescale(spot, factor)
    rows, columns = np.mgrid[: resized.shape[0], : resized.shape[1]]
    found = (resized * columns).sum() / resized.sum(), (resized * rows).sum() / resized.sum()
    expected = scale_coordinates(70.3, 31.6, spot.shape, factor)
    assert found == pytest.approx(tuple(map(float, expected)), abs=0.02)
    assert unscale_coordinates(*expected, spot.shape, factor) == pytest.approx((70.3, 31.6))


def test_table_4_micrograph_sizes_follow_only_in_part():
    assert rescaled_shape((4096, 4096), 1.125) == (4608, 4608)
    assert rescaled_shape((2048, 2048), 1.0) == (2048, 2048)
    # printed: 3373 x 3373 and 4030 x 4030
    assert rescaled_shape((1200, 1240), 2.375) == (2850, 2945)
    assert rescaled_shape((4096, 4096), 0.625) == (2560, 2560)
