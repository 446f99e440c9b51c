"""Thon rings in power spectra."""

import dataclasses
import math

import numpy as np
import pytest

from cryokit.imaging import Frame, Picture
from cryokit.imaging.thon_rings import thon_rings
from cryokit.simulate import CONDITIONS, simulate
from cryokit.simulate.ctf import electron_wavelength


def picture(data):
    return Picture(data, Frame.whole(data.shape))


@pytest.mark.parametrize(("protein", "defocus"), [("ribosome", 2.2), ("ribosome", 3.2), ("ms2", 2.2), ("ms2", 3.2)])
def test_the_defocus_of_the_rings_is_that_of_the_simulation(protein, defocus):
    conditions = dataclasses.replace(CONDITIONS[protein], defocus=(defocus, defocus))
    micrograph, _ = simulate(protein, shape=(768, 768), seed=5, conditions=conditions)
    rings = thon_rings(picture(micrograph.data))
    wavelength = electron_wavelength(conditions.voltage)
    assert rings.defocus(conditions.pixel_size, wavelength) == pytest.approx(defocus, rel=0.05)
    assert rings.correlation > 0.6
    # The first ring lies at sqrt(wavelength defocus), and nothing is seen beyond the Nyquist frequency.
    first = math.sqrt(wavelength * defocus * 1e4)
    assert 2 * conditions.pixel_size < rings.resolution(conditions.pixel_size) < first


@pytest.mark.parametrize("side", [300, 512, 900])
def test_noise_has_no_rings(side):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        white = rng.normal(size=(side, side)).astype(np.float32)
        for data in (white, np.cumsum(white, axis=1)):
            assert math.isnan(thon_rings(picture(data)).limit)


def test_units_offset_and_sign_do_not_matter():
    micrograph, _ = simulate("ribosome", shape=(600, 600), seed=1)
    first = thon_rings(picture(micrograph.data))
    for data in (7 - 3 * micrograph.data, micrograph.data.T, micrograph.data[::-1]):
        rings = thon_rings(picture(np.ascontiguousarray(data)))
        assert rings.rings == pytest.approx(first.rings, rel=0.03)
        assert rings.limit == pytest.approx(first.limit, rel=0.15)


def test_what_is_masked_is_not_looked_at():
    micrograph, _ = simulate("ribosome", shape=(1024, 1024), seed=2)
    whole = thon_rings(picture(micrograph.data))
    spoilt = micrograph.data.copy()
    spoilt[:512] = 40 * np.random.default_rng(0).normal(size=(512, 1024))
    assert math.isnan(thon_rings(picture(spoilt)).limit)
    mask = np.zeros((256, 256), bool)
    mask[:128] = True
    masked = thon_rings(picture(spoilt), Picture(mask, Frame((256, 256), spoilt.shape, 1.5, 1.5, 4.0, 4.0)))
    assert masked.rings == pytest.approx(whole.rings, rel=0.05)


@pytest.mark.parametrize("shape", [(64, 900), (127, 127)])
def test_too_small_a_picture_tells_nothing(shape):
    rings = thon_rings(picture(np.random.default_rng(0).normal(size=shape)))
    assert math.isnan(rings.limit)
    assert rings.correlation == 0
