"""The displacement that a network gives its peaks, measured by turning pictures."""

import numpy as np
import pytest
from scipy import ndimage

from cryokit.networks.scoring import turn_bias


def spots(shape, places):
    image = np.zeros(shape, np.float32)
    for x, y in places:
        image[y, x] = 1
    return ndimage.gaussian_filter(image, 2)


def off_by(shift):
    """Return a finder of spots that sees them all beside their places."""

    def locate(picture):
        top = (picture == ndimage.maximum_filter(picture, 9)) & (picture > 0.5 * picture.max())
        y, x = np.nonzero(top)
        return x + shift[0], y + shift[1]

    return locate


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [spots(shape, rng.permutation(64)[:40, None] // [1, 8] % 8 * 20 + 15) for shape in [(180, 190), (171, 181)]]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.25, -0.5), (-2.0, 1.5)])
def test_a_known_displacement_is_measured(pictures, shift):
    assert turn_bias(off_by(shift), pictures, diameter=40) == pytest.approx(shift, abs=1e-6)


def test_too_few_spots_say_nothing():
    assert turn_bias(off_by((1, 1)), [spots((60, 60), [(20, 30), (40, 20)])], diameter=40) == (0.0, 0.0)
    assert turn_bias(lambda picture: (np.empty(0), np.empty(0)), [np.zeros((9, 9))], diameter=40) == (0.0, 0.0)
