"""Flattened micrographs and padded borders."""

import numpy as np
import pytest
from scipy import ndimage

from cryokit.imaging.filters import live_area
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.preparation import flattened, recorded, unusable_regions
from cryokit.imaging.unusable import enlarged
from cryokit.micrograph import Micrograph
from cryokit.simulate import simulate


def noise(shape, seed=0, grain=0.0):
    data = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(data, grain, mode="wrap") if grain else data


def disc(shape, x, y, diameter):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(columns - x, rows - y) <= diameter / 2


def flat_picture(data, diameter, *, contrast, working_diameter=20.0):
    return flattened(Picture(data, Frame.whole(data.shape)), diameter, contrast, working_diameter)


def flatten(data, diameter, **settings):
    return flat_picture(data, diameter, **settings).data


# --- flatten -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contrast", ["dark", "bright"])
@pytest.mark.parametrize(("diameter", "shape"), [(60, (400, 520)), (33, (301, 399)), (15, (150, 140))])
def test_particles_come_out_bright_where_they_are(contrast, diameter, shape):
    x, y = 0.4 * shape[1], 0.6 * shape[0]
    data = 50 + noise(shape) + {"dark": -3, "bright": 3}[contrast] * disc(shape, x, y, diameter)
    flat, frame = flat_picture(data, diameter, contrast=contrast)
    factor = max(1, diameter / 20)
    assert flat.dtype == np.float32
    assert flat.shape == pytest.approx((shape[0] / factor, shape[1] / factor), abs=1)
    smooth = ndimage.gaussian_filter(flat, 5)
    row, column = np.unravel_index(smooth.argmax(), smooth.shape)
    expected = tuple(map(float, frame.from_source(x, y)))
    assert (column, row) == pytest.approx(expected, abs=1.5)
    inside = flat[disc(flat.shape, *expected, 0.8 * diameter / factor)]
    assert inside.mean() > 1.5


@pytest.mark.parametrize("diameter", [10, 20, 50, 90])
def test_noise_comes_out_with_unit_deviation(diameter):
    flat = flatten(30 + 7 * noise((500, 600), seed=diameter), diameter, contrast="dark")
    assert flat.std() == pytest.approx(1, abs=0.05)
    assert np.median(flat) == pytest.approx(0, abs=0.05)


def test_small_particles_are_not_enlarged_and_the_working_diameter_is_kept():
    data = noise((120, 160))
    assert flatten(data, 8, contrast="dark").shape == (120, 160)
    assert flatten(data, 40, contrast="dark", working_diameter=10).shape == (30, 40)


@pytest.mark.parametrize(("gain", "offset"), [(1000, 0), (0.001, 0), (1, 300), (20, -5000)])
def test_gain_and_offset_do_not_matter(gain, offset):
    data = noise((240, 260), grain=1.5)
    plain = flatten(data, 30, contrast="bright")
    assert flatten(gain * data + offset, 30, contrast="bright") == pytest.approx(plain, abs=0.02)
    assert flatten(-gain * data + offset, 30, contrast="dark") == pytest.approx(plain, abs=0.02)


def test_a_gradient_is_levelled():
    data = noise((300, 300))
    rows, columns = np.mgrid[:300, :300] / 300
    plain = flatten(data, 30, contrast="dark")
    sloping = flatten(data + 8 * columns + 5 * rows**2, 30, contrast="dark")
    inner = (slice(40, -40), slice(40, -40))
    assert (sloping - plain)[inner].std() < 0.1
    assert np.abs((sloping - plain)[inner].mean()) < 0.1


def test_a_crystal_does_not_change_the_scale_of_the_rest():
    data = noise((300, 300))
    dirty = data - 30 * disc(data.shape, 60, 60, 20)
    plain, flat = (flatten(image, 30, contrast="dark") for image in (data, dirty))
    assert np.abs(flat).max() <= 5
    far = (slice(150, None), slice(150, None))
    assert (flat * plain)[far].sum() / (plain[far] ** 2).sum() == pytest.approx(1, abs=0.1)
    assert np.corrcoef(flat[far].ravel(), plain[far].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("shape", [(90, 131), (40, 300), (17, 23)])
def test_levelling_is_a_gaussian_filter_that_mirrors_the_border(shape):
    data = noise(shape, seed=4) + np.linspace(0, 5, shape[1])
    centred = data - np.median(data)
    expected = centred - ndimage.gaussian_filter(centred, 12, mode="reflect")
    expected /= 1.4826 * np.median(np.abs(expected))
    np.testing.assert_allclose(
        flatten(data, 12, contrast="bright", working_diameter=12), np.clip(expected, -5, 5), atol=1e-4
    )


def test_input_is_left_alone_and_a_constant_image_gives_zeros():
    data = noise((64, 64)).astype(np.float32)
    before = data.copy()
    for diameter in (10, 40):
        flatten(data, diameter, contrast="dark")
    assert np.array_equal(data, before)
    flat = flatten(np.full((64, 64), 7.0), 10, contrast="dark")
    assert np.isfinite(flat).all()
    assert np.abs(flat).max() == 0


# --- outliers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1e7, 100, 1e4, 1e7])
@pytest.mark.parametrize("shape", [(64, 64), (700, 900)])
def test_hot_pixels_are_limited_and_all_others_left_alone(value, shape):
    data = (50 + noise(shape)).astype(np.float32)
    hot = data.copy()
    hot[5, 7] = hot[40, 3] = value
    before = hot.copy()
    limited = recorded(Micrograph(hot)).data
    assert np.array_equal(hot, before)
    assert limited.dtype == np.float32
    changed = limited != data
    assert np.argwhere(changed).tolist() == [[5, 7], [40, 3]]
    assert np.abs(limited[changed] - 50).max() < 15


def test_what_is_no_outlier_stays():
    plain = noise((200, 200)).astype(np.float32)
    assert np.array_equal(recorded(Micrograph(plain)).data, plain)
    crystal = disc(plain.shape, 60, 60, 20)
    crystals = Micrograph((plain - 30 * crystal).astype(np.float32))
    hidden = enlarged(unusable_regions(crystals), plain.shape)
    assert hidden[crystal > 0.5].all()
    kept = ~ndimage.binary_dilation(hidden, iterations=5)
    assert np.array_equal(recorded(crystals).data[kept], plain[kept])
    counts = np.random.default_rng(0).poisson(0.5, (300, 300)).astype(np.float32)
    assert np.array_equal(recorded(Micrograph(counts)).data, counts)


def test_an_image_of_hardly_any_grey_values_is_left_alone():
    for data in (np.zeros((30, 30)), np.eye(2000)):
        assert np.array_equal(recorded(Micrograph(data)).data, data)


# --- live_area -----------------------------------------------------------------------------------------------------


def padded(data, before, after, axis, kind, rng):
    """Pad one axis as programs do, keeping the size of the recorded part."""
    width = [(0, 0), (0, 0)]
    width[axis] = (before, after)
    if kind == "replicated":
        return np.pad(data, width, mode="edge")
    if kind == "nearly":  # lossy compression, or a filter afterwards
        result = np.pad(data, width, mode="edge")
        return result + 0.1 * rng.normal(size=result.shape)
    return np.pad(data, width, constant_values=kind)


@pytest.mark.parametrize("kind", ["replicated", "nearly", 0.0, 1000.0])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("before", "after"), [(12, 0), (0, 9), (20, 31), (2, 2)])
def test_padded_borders_are_found(kind, axis, before, after):
    data = 100 + noise((300, 340), seed=before)
    image = padded(data, before, after, axis, kind, np.random.default_rng(1))
    area = live_area(image)
    expected = [slice(0, image.shape[0]), slice(0, image.shape[1])]
    expected[axis] = slice(before, before + data.shape[axis])
    for lines, wanted in zip(area, expected, strict=True):
        # Of a replicated line and its original either may be called the recorded one.
        assert abs(lines.start - wanted.start) <= 1
        assert abs(lines.stop - wanted.stop) <= 1


def test_a_single_replicated_line_is_found():
    data = np.pad(noise((300, 340)), [(1, 0), (0, 1)], mode="edge")
    assert live_area(data) == (slice(1, 301), slice(0, 340))


def test_all_four_sides_at_once():
    data = noise((300, 340), grain=1)
    image = np.pad(data, [(11, 17), (23, 5)], constant_values=3)
    rows, columns = live_area(image)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (11, 311, 23, 363)


@pytest.mark.parametrize("grain", [0, 1, 3])
@pytest.mark.parametrize("shape", [(200, 200), (64, 400), (1000, 90)])
def test_nothing_is_cut_off_noise(grain, shape):
    for seed in range(20):
        assert live_area(noise(shape, seed, grain)) == (slice(0, shape[0]), slice(0, shape[1]))


@pytest.mark.parametrize("protein", ["klh", "apoferritin", "ribosome", "betagal"])
@pytest.mark.parametrize("carbon", [False, True])
def test_nothing_is_cut_off_micrographs_without_padding(protein, carbon):
    micrograph, _ = simulate(protein, shape=(384, 480), seed=4, carbon=carbon, n_particles=5)
    assert live_area(micrograph.data) == (slice(0, 384), slice(0, 480))


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (40, 3), (15, 15), (64, 64)])
def test_constant_images_are_left_whole(shape):
    assert live_area(np.zeros(shape)) == (slice(0, shape[0]), slice(0, shape[1]))


@pytest.mark.parametrize("shape", [(1, 1), (2, 15), (15, 15)])
def test_a_handful_of_lines_is_left_whole(shape):
    data = noise(shape)
    data[0] = data[-1] = 0
    assert live_area(data) == (slice(0, shape[0]), slice(0, shape[1]))


def test_a_dead_band_inside_is_no_border():
    data = noise((200, 200))
    data[15:20] = 0
    assert live_area(data) == (slice(0, 200), slice(0, 200))


def test_never_more_than_an_eighth_of_a_side():
    data = noise((160, 160))
    data[:70] = 0
    rows, columns = live_area(data)
    assert rows.start == pytest.approx(20, abs=1)
    assert rows.stop == 160
    assert columns == slice(0, 160)
