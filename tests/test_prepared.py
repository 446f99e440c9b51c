"""Micrographs as the compact network sees them."""

import numpy as np
import pytest
from scipy import ndimage

from cryokit.imaging.filters import flatten, whiten
from cryokit.imaging.prepared import prepare
from cryokit.simulate import simulate


@pytest.fixture(scope="module")
def apoferritin():
    return simulate("apoferritin", shape=(620, 700), seed=3, carbon=False, snr=3)


def power(image, low, high):
    """Return the mean power between two frequencies in waves per pixel."""
    spectrum = np.abs(np.fft.rfft2(image)) ** 2
    frequency = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1]))
    return spectrum[(frequency >= low) & (frequency < high)].mean()


def test_scale_contrast_and_positions(apoferritin):
    micrograph, truth = apoferritin
    prepared = prepare(micrograph.data, 76, "dark")
    assert prepared.diameter == pytest.approx(28, rel=0.01)
    assert prepared.image.dtype == np.float32
    assert np.abs(prepared.image).max() <= 5
    whole = truth[truth["view"] == "top"]
    x, y = prepared.from_micrograph(whole["x"], whole["y"])
    smooth = ndimage.gaussian_filter(prepared.image, 8)  # wide enough to fill the hollow of the shell
    inside = (x > 5) & (y > 5) & (x < prepared.image.shape[1] - 6) & (y < prepared.image.shape[0] - 6)
    at = smooth[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    assert np.mean(at > np.median(smooth)) > 0.9  # bright, and where they should be
    back = prepared.to_micrograph(x, y)
    np.testing.assert_allclose(back, [whole["x"], whole["y"]], atol=1e-9)


def test_the_turned_contrast_gives_the_same_picture(apoferritin):
    data = apoferritin[0].data
    np.testing.assert_allclose(prepare(data, 76, "dark").image, prepare(-data, 76, "bright").image, atol=1e-3)


def test_a_padded_border_is_left_out_and_counted(apoferritin):
    data = apoferritin[0].data
    padded = np.pad(data, ((0, 0), (40, 24)), constant_values=data.mean())
    plain, prepared = prepare(data, 76, "dark"), prepare(padded, 76, "dark")
    assert (prepared.left, prepared.shape) == (40, data.shape)
    np.testing.assert_allclose(prepared.image, plain.image, atol=1e-5)
    assert float(prepared.to_micrograph(0, 0)[0]) == pytest.approx(float(plain.to_micrograph(0, 0)[0]) + 40)


def test_small_particles_are_enlarged():
    data = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(200, 240)), 1)
    prepared = prepare(data, 14, "dark")
    assert prepared.image.shape == (400, 480)
    assert prepared.diameter == pytest.approx(28)


def test_whitening_takes_back_what_a_filter_did(apoferritin):
    # The promise: a linear filter on the whole micrograph does not change what the network sees.
    data = apoferritin[0].data
    smoothed = ndimage.gaussian_filter(data, 2.0)
    alike = np.corrcoef(prepare(data, 76, "dark").image.ravel(), prepare(smoothed, 76, "dark").image.ravel())[0, 1]
    flat = [flatten(each, 76, contrast="dark", working_diameter=28).ravel() for each in (data, smoothed)]
    assert alike > 0.98 > np.corrcoef(*flat)[0, 1]


def test_whitened_spectra_agree_between_white_and_coloured_noise():
    rng = np.random.default_rng(5)
    white = rng.normal(size=(512, 512)).astype(np.float32)
    coloured = ndimage.gaussian_filter(rng.normal(size=(512, 512)), 1.5).astype(np.float32)
    bands = [(0.03, 0.08), (0.08, 0.15), (0.15, 0.25), (0.25, 0.35)]
    ratios = [power(whiten(white, 28), *band) / power(whiten(coloured, 28), *band) for band in bands]
    before = [power(white, *band) / power(coloured, *band) for band in bands]
    assert max(ratios) / min(ratios) < 1.3
    assert max(before) / min(before) > 100


def test_a_constant_picture_stays_one():
    assert not whiten(np.zeros((64, 64), np.float32), 28).any()
