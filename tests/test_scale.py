"""The scale rule of section 2.2, with table 4 of the paper."""

import math

import numpy as np
import pytest

from cryokit.errors import ArgumentError
from cryokit.imaging.scale import scale_factor

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
    assert scale_factor(max(boxes)) == factor
    assert [math.ceil(box * factor) for box in boxes] == scaled


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
    with pytest.raises(ArgumentError, match="1816"):
        scale_factor(1816)


@pytest.mark.parametrize(("box", "name"), [(0, "box"), (-3, "box"), (float("nan"), "box")])
def test_senseless_boxes_are_named(box, name):
    with pytest.raises(ArgumentError, match=name):
        scale_factor(box)


def test_senseless_window_and_step_are_named():
    with pytest.raises(ArgumentError, match="window"):
        scale_factor(94, 0)
    with pytest.raises(ArgumentError, match="step"):
        scale_factor(94, step=0)
