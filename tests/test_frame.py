"""Frames: positions through cropping, binning and enlarging, both ways; and blobs through every preparation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cryokit.errors import ArgumentError
from cryokit.imaging import Preprocessing, bin_fourier, bin_integer, preparation, resize
from cryokit.imaging.binning import resized_frame
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.peaks import find_peaks
from cryokit.imaging.peaks import inside as within
from cryokit.imaging.preparation import flattened, levelled, levelled_frame, middle, recorded, rescaled, whitened
from cryokit.micrograph import Micrograph
from cryokit.networks.patches.cutting import patch_source

BORDER = 37  # columns of padding at the left, which the preparations cut off


@st.composite
def frames(draw, source=None):
    source = source or (draw(st.integers(1, 5000)), draw(st.integers(1, 5000)))
    numbers = st.floats(-100, 100)
    steps = st.floats(0.1, 20)
    shape = (draw(st.integers(1, 5000)), draw(st.integers(1, 5000)))
    return Frame(shape, source, draw(numbers), draw(numbers), draw(steps), draw(steps))


@st.composite
def chains(draw):
    outer = draw(frames())
    return outer, draw(frames(source=outer.shape))


positions = st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), max_size=5).map(
    lambda places: np.array(places, float).reshape(-1, 2).T
)


@given(frame=frames(), xy=positions)
def test_there_and_back_again(frame, xy):
    np.testing.assert_allclose(frame.from_source(*frame.to_source(*xy)), xy, rtol=1e-9, atol=1e-6)


@given(chain=chains(), xy=positions)
def test_a_composed_frame_does_both_steps(chain, xy):
    outer, inner = chain
    whole = outer.then(inner)
    assert (whole.shape, whole.source) == (inner.shape, outer.source)
    np.testing.assert_allclose(whole.to_source(*xy), outer.to_source(*inner.to_source(*xy)), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(whole.from_source(*xy), inner.from_source(*outer.from_source(*xy)), rtol=1e-6, atol=1e-3)


def test_frames_of_different_pictures_do_not_fit_together():
    with pytest.raises(ArgumentError, match=r"30 x 40.*20 x 30"):
        Frame.whole((20, 30)).then(Frame.whole((30, 40)))


@given(top=st.integers(-50, 50), left=st.integers(-50, 50), rows=st.integers(1, 90), columns=st.integers(1, 90))
def test_crops_and_paddings_shift_positions(top, left, rows, columns):
    frame = Frame.whole((100, 120)).crop(slice(top, top + rows), slice(left, left + columns))
    assert frame.shape == (rows, columns)
    assert tuple(map(float, frame.to_source(0, 0))) == (left, top)


def test_moving_a_frame_moves_its_positions_in_the_source():
    frame = Frame((10, 20), (60, 100), 3.0, 5.0, 4.0, 2.0).moved(0.5, -7)
    assert (frame.shape, frame.source, frame.step) == ((10, 20), (60, 100), pytest.approx(8**0.5))
    assert [values.tolist() for values in frame.to_source([0, 2], [0, 3])] == [[3.5, 11.5], [-2, 4]]


def test_positions_are_doubles_whatever_they_were():
    single = np.array([0.1], np.float32)
    frame = Frame.whole((5, 5))
    for values in (*frame.to_source(single, single), *frame.from_source(single, single)):
        assert values.dtype == np.float64


def blobs(shape, places, sigma):
    """Return a picture of dark Gaussian blobs in noise."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    picture = np.random.default_rng(1).normal(0, 0.25, shape)
    for x, y in places:
        picture -= np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return picture.astype(np.float32)


def found(data, distance):
    smooth = ndimage.gaussian_filter(data - np.median(data), distance / 2.5)
    x, y, score = find_peaks(smooth, distance)
    best = score > 0.5 * np.sort(score)[-15:].mean()
    return np.column_stack([x[best], y[best]])


PREPARATIONS = {
    "recorded": lambda micrograph, diameter: recorded(micrograph),
    "binned by Fourier": lambda micrograph, diameter: binned(bin_fourier, micrograph, 2.3),
    "binned by blocks": lambda micrograph, diameter: binned(bin_integer, micrograph, 3),
    "enlarged": lambda micrograph, diameter: binned(resize, micrograph, 1.37),
    "flattened": lambda micrograph, diameter: negated(flattened(recorded(micrograph), diameter, "dark", 20.0)),
    "whitened": lambda micrograph, diameter: negated(whitened(recorded(micrograph), diameter, "dark")),
    "whitened once reduced": lambda micrograph, diameter: negated(
        whitened(rescaled(recorded(micrograph), min(1.0, 40 / diameter)), diameter, "dark")
    ),
    "levelled": lambda micrograph, diameter: levelled(micrograph, diameter, "dark", 36 / diameter, 64),
    "enhanced": lambda micrograph, diameter: enhanced(micrograph, diameter),
    "patches": lambda micrograph, diameter: patches(micrograph, diameter),
    "middle": lambda micrograph, diameter: middle(recorded(micrograph), diameter, 64.0),
}


def negated(picture):
    return Picture(-picture.data, picture.frame)


def binned(operation, micrograph, factor):
    picture = recorded(micrograph)
    data, frame = operation(picture.data, factor)
    return Picture(data, picture.frame.then(frame))


def enhanced(micrograph, diameter):
    picture, chain = recorded(micrograph), Preprocessing(clahe_distribution="uniform")
    frame = picture.frame.then(chain.frame(picture.data.shape, diameter))
    return Picture(chain.stages(picture.data, diameter, keep=("stretched",))["stretched"], frame)


def patches(micrograph, diameter):
    source = patch_source(micrograph, diameter, size=48, box=1.5, contrast="dark", preprocessing=None)
    return Picture(source.data, source.frame)


@pytest.fixture
def nothing_masked(monkeypatch):
    """Lone blobs this dark are no particles."""

    def nothing(data):
        return Picture(np.zeros(data.shape, bool), Frame.whole(data.shape))

    monkeypatch.setattr(preparation, "unusable", nothing)


@pytest.mark.usefixtures("nothing_masked")
@pytest.mark.parametrize("diameter", [17.0, 41.0, 92.0])
@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("name", PREPARATIONS)
def test_blobs_are_found_where_they_were_put(name, odd, diameter):
    shape = (round(10 * diameter) + odd, round(11 * diameter) + 1 - odd)
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(1.4, 10, 1.6), np.arange(1.3, 9, 1.6)), -1).reshape(-1, 2)
    places = grid * diameter + rng.uniform(-0.5, 0.5, grid.shape)
    data = np.pad(blobs(shape, places, diameter / 4), ((0, 0), (BORDER, 0)), mode="edge")
    picture = PREPARATIONS[name](Micrograph(data, name="blobs"), diameter)
    assert picture.data.shape == picture.frame.shape
    assert picture.frame.source == data.shape
    at = found(-picture.data.astype(float), 0.5 * diameter / picture.frame.step)
    x, y = picture.frame.to_source(at[:, 0], at[:, 1])
    expected = places + np.array([BORDER, 0])
    inside = picture.frame.from_source(*expected.T)
    margin = 0.7 * diameter / picture.frame.step
    expected = expected[within(*inside, picture.frame.shape, margin)]
    assert len(expected) > 5
    distance = np.hypot(x[:, None] - expected[:, 0], y[:, None] - expected[:, 1])
    nearest = distance.argmin(axis=0)
    shift = np.column_stack([x, y])[nearest] - expected
    # Noise moves single blobs; all of them together must not be off by 0.5 % of the diameter.
    assert np.abs(shift).max() < 0.1 * diameter
    assert np.abs(shift.mean(axis=0)).max() < max(0.005 * diameter, 0.15)


@pytest.mark.parametrize(("shape", "diameter", "factor"), [((301, 400), 60.0, 1.3), ((512, 333), 150.0, 0.4)])
def test_the_frame_of_a_levelled_picture_is_known_without_making_it(shape, diameter, factor):
    micrograph = Micrograph(np.random.default_rng(0).normal(size=shape), name="noise")
    picture = levelled(micrograph, diameter, "dark", factor, 33)
    assert picture.frame == levelled_frame(recorded(micrograph).frame, diameter, factor)
    assert picture.frame.shape == picture.data.shape


def test_resized_pictures_have_the_announced_frame():
    for factor in (0.31, 0.5, 1.0, 1.7, 2.375):
        data, frame = resize(np.ones((124, 120)), factor)
        assert frame == resized_frame((124, 120), factor)
        assert data.shape == frame.shape == (round(124 * factor), round(120 * factor))
