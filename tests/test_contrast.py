"""Dark or bright particles, on real micrographs and on phantoms."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryokit.errors import ArgumentError, MicrographError
from cryokit.imaging import contrast_score, detect_contrast
from cryokit.micrograph import find, read

OPPOSITE = {"dark": "bright", "bright": "dark"}
DIAMETERS = {"apoferritin_10146": 76, "betagal_10017": 108, "klh": 160, "klh_preprocessed": 160, "ribosome_10028": 50}


def phantom(seed, diameter=40, particles=60, size=640, strength=-1.0):
    """Discs of grey value `strength` in noise of unit variance that is partly slow."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(size, size)) + 40 * ndimage.gaussian_filter(rng.normal(size=(size, size)), 20)
    y, x = np.mgrid[:diameter, :diameter] - (diameter - 1) / 2
    disc = strength * (np.hypot(x, y) < diameter / 2)
    for left, top in rng.integers(0, size - diameter, (particles, 2)):
        image[top : top + diameter, left : left + diameter] += disc
    return image.astype(np.float32)


@pytest.mark.real
@pytest.mark.parametrize(
    "dataset", [pytest.param(name, marks=pytest.mark.slow) if name == "betagal_10017" else name for name in DIAMETERS]
)
def test_real_micrographs_are_dark_and_their_negatives_bright(real_data, dataset, caplog):
    for path in find(real_data(dataset) / "micrographs"):
        data = read(path).data
        assert detect_contrast(data) == "dark", path.name
        assert detect_contrast(data, DIAMETERS[dataset]) == "dark", path.name
        assert detect_contrast(-data) == "bright", path.name
    assert "doubtful" not in caplog.text


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("diameter", "particles"), [(24, 40), (24, 250), (40, 20), (40, 80), (80, 25)])
def test_phantoms(seed, diameter, particles):
    for strength, contrast in ((-1.5, "dark"), (1.5, "bright")):
        image = phantom(seed, diameter, particles, strength=strength)
        assert detect_contrast(image) == contrast
        assert detect_contrast(image, diameter) == contrast


def spoiled(image, how):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    rng = np.random.default_rng(5)
    if how == "bright blobs":
        for centre_x, centre_y in rng.uniform(0, image.shape[0], (3, 2)):
            image = image + 20 * (np.hypot(x - centre_x, y - centre_y) < 40)
    elif how == "bright half":
        image = image + 10 * ndimage.gaussian_filter((x + 0.3 * y < 300).astype(float), 3)
    elif how == "gradient":
        image = image + 30 * (x / image.shape[1]) ** 2
    elif how == "hot pixels":
        image = image.copy()
        image[rng.integers(0, image.shape[0], 60), rng.integers(0, image.shape[1], 60)] += 1000
    elif how == "bright frame":
        image = np.where((y < 60) | (x > image.shape[1] - 60), image.max(), image)
    return image


@pytest.mark.parametrize("how", ["bright blobs", "bright half", "gradient", "hot pixels", "bright frame"])
def test_what_is_no_particle_does_not_decide(how):
    image = phantom(seed=11)
    assert detect_contrast(spoiled(image, how)) == "dark"
    assert detect_contrast(-spoiled(image, how)) == "bright"


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(40, 200), st.integers(40, 200)),
    diameter=st.one_of(st.none(), st.floats(4, 40)),
    scale=st.floats(1e-3, 1e4),
    offset=st.floats(-1e3, 1e3),
)
def test_the_negative_is_always_the_opposite(seed, shape, diameter, scale, offset):
    image = np.random.default_rng(seed).gamma(2.0, size=shape).astype(np.float32)
    score = contrast_score(image, diameter)
    assert -0.5 <= score <= 0.5
    assert contrast_score(-image, diameter) == pytest.approx(-score, abs=1e-6)
    if abs(score) > 1e-3:
        assert detect_contrast(-image, diameter) == OPPOSITE[detect_contrast(image, diameter)]
        # Neither gain nor offset of the detector matters.
        assert contrast_score(image * scale + scale * offset, diameter) == pytest.approx(score, abs=0.02)


def test_noise_without_particles_is_called_doubtful(caplog):
    called = 0
    for seed in range(20):
        caplog.clear()
        detect_contrast(np.random.default_rng(seed).normal(size=(512, 512)))
        called += "doubtful" in caplog.text
    assert called >= 15  # two standard errors: 19 expected


def test_large_micrographs_take_little_time():
    image = np.tile(phantom(0, size=512), (8, 8))
    start = time.process_time()  # not the clock: a busy machine does not count
    assert detect_contrast(image) == "dark"
    assert time.process_time() - start < 5  # about 0.2


def test_a_micrograph_in_which_nothing_shows_is_an_error():
    for even in (np.full((64, 64), 3.0), np.zeros((500, 400), np.float32)):
        with pytest.raises(MicrographError, match="variation"):
            detect_contrast(even)
    with pytest.raises(MicrographError, match="NaN"):
        detect_contrast(np.where(np.eye(64) > 0, np.nan, phantom(0, size=64)))
    for diameter in (0, -5, np.nan):
        with pytest.raises(ArgumentError, match=f"diameter.*{diameter}"):
            detect_contrast(phantom(0, size=64), diameter)
