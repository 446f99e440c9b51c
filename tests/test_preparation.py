"""Micrographs prepared for pickers: scale, contrast, positions, whitening."""

import gc
import weakref

import numpy as np
import pytest
from scipy import ndimage

from cryokit.errors import MicrographError
from cryokit.imaging.filters import whiten
from cryokit.imaging.preparation import detected_contrast, flattened, levelled, recorded, whitened
from cryokit.micrograph import Micrograph
from cryokit.simulate import simulate


@pytest.fixture(scope="module")
def apoferritin():
    return simulate("apoferritin", shape=(620, 700), seed=3, carbon=False, snr=3)


def of(data):
    return recorded(Micrograph(np.asarray(data, np.float32), name="made"))


def power(image, low, high):
    """Return the mean power between two frequencies in waves per pixel."""
    spectrum = np.abs(np.fft.rfft2(image)) ** 2
    frequency = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1]))
    return spectrum[(frequency >= low) & (frequency < high)].mean()


def test_particles_are_bright_and_where_they_should_be(apoferritin):
    micrograph, truth = apoferritin
    data, frame = whitened(recorded(micrograph), 76, "dark")
    assert 76 / frame.step == pytest.approx(28, rel=0.01)
    assert data.dtype == np.float32
    assert np.abs(data).max() <= 5
    whole = truth[truth["view"] == "top"]
    x, y = frame.from_source(whole["x"], whole["y"])
    smooth = ndimage.gaussian_filter(data, 8)  # wide enough to fill the hollow of the shell
    inside = (x > 5) & (y > 5) & (x < data.shape[1] - 6) & (y < data.shape[0] - 6)
    at_particles = smooth[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    assert np.mean(at_particles > np.median(smooth)) > 0.9


def test_the_opposite_contrast_gives_the_same_picture(apoferritin):
    data = apoferritin[0].data
    for prepared in (whitened, lambda *arguments: flattened(*arguments, 20.0)):
        np.testing.assert_allclose(
            prepared(of(data), 76, "dark").data, prepared(of(-data), 76, "bright").data, atol=1e-3
        )


def test_a_padded_border_is_cut_off_and_counted(apoferritin):
    data = apoferritin[0].data
    padded = np.pad(data, ((0, 0), (40, 24)), constant_values=data.mean())
    plain, cropped = whitened(of(data), 76, "dark"), whitened(of(padded), 76, "dark")
    np.testing.assert_allclose(cropped.data, plain.data, atol=1e-5)
    assert cropped.frame.source == padded.shape
    assert float(cropped.frame.to_source(0, 0)[0]) == pytest.approx(float(plain.frame.to_source(0, 0)[0]) + 40)


def test_small_particles_are_enlarged():
    data = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(200, 240)), 1)
    data, frame = whitened(of(data), 14, "dark")
    assert data.shape == (400, 480)
    assert 14 / frame.step == pytest.approx(28)


def test_hot_pixels_are_limited_and_the_micrograph_stays_as_it_is(apoferritin):
    data = apoferritin[0].data.copy()
    data[100, 200] = hot = 1e6
    micrograph = Micrograph(data, name="hot")
    assert recorded(micrograph).data.max() < 1000
    assert recorded(micrograph).data.max() < 1000  # and again, from what is known of it
    assert micrograph.data.max() == hot


def test_what_is_known_of_a_micrograph_does_not_keep_it(apoferritin):
    micrograph = Micrograph(apoferritin[0].data.copy(), name="gone")
    recorded(micrograph)
    alive = weakref.ref(micrograph)
    del micrograph
    gc.collect()
    assert alive() is None


def test_pixels_that_are_no_numbers_name_the_micrograph(apoferritin):
    data = apoferritin[0].data.copy()
    data[3, 4] = np.nan
    with pytest.raises(MicrographError, match="broken"):
        recorded(Micrograph(data, name="broken"))


def test_a_micrograph_smaller_than_a_window_is_named():
    with pytest.raises(MicrographError, match=r"small: 60 x 80"):
        levelled(Micrograph(np.random.default_rng(0).normal(size=(60, 80)), name="small"), 40, "dark", 1.0, 64)


def test_levelled_windows_have_mean_0_and_deviation_1(apoferritin):
    data, _ = levelled(apoferritin[0], 76, "dark", 0.5, 65)
    windows = np.lib.stride_tricks.sliding_window_view(data, (65, 65))[::40, ::40]
    assert np.abs(windows.mean(axis=(2, 3))).max() < 0.3
    assert windows.std(axis=(2, 3)) == pytest.approx(1, abs=0.2)


def test_a_micrograph_that_cannot_tell_the_contrast_is_passed_over(apoferritin, caplog):
    flat = Micrograph(np.ones((300, 300), np.float32), name="flat")
    assert detected_contrast([flat, apoferritin[0]], 76) == "dark"
    assert detected_contrast([Micrograph(-apoferritin[0].data, name="turned")], 76) == "bright"
    assert "flat" in caplog.text


def test_whitening_undoes_a_filter(apoferritin):
    # The promise: a linear filter on the whole micrograph does not change what the network sees.
    data = apoferritin[0].data
    smoothed = ndimage.gaussian_filter(data, 2.0)
    white = [whitened(of(each), 76, "dark").data.ravel() for each in (data, smoothed)]
    flat = [flattened(of(each), 76, "dark", 28.0).data.ravel() for each in (data, smoothed)]
    assert np.corrcoef(*white)[0, 1] > 0.98 > np.corrcoef(*flat)[0, 1]


def test_whitened_spectra_of_white_and_coloured_noise_agree():
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
