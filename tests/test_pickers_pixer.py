"""The picker `pixer`: its map of densities, its maxima, its two networks, and what it finds."""

import numpy as np
import pandas as pd
import pytest
from judging import judged
from scipy import ndimage

from cryokit.errors import CryokitError, PickerError
from cryokit.networks.devices import import_keras
from cryokit.pickers.labelled import Scene
from cryokit.pickers.pixer import IGNORED, INSIDE, OUTSIDE, PixerPicker, grid_maxima

DIAMETER = 50.0  # of simulated ribosomes
TINY = dict(width=0.02, crops=8, per_class=16, epochs=1)


@pytest.fixture(scope="module")
def tiny(micrographs, labels):
    return PixerPicker(**TINY).fit(micrographs[:2], labels)


@pytest.fixture(scope="module")
def trained(micrographs, labels):
    return PixerPicker(width=0.06, crops=32, per_class=80, epochs=5).fit(micrographs[:4], labels)


def test_it_picks_micrographs_that_it_has_not_seen(trained, micrographs, labels):
    picks, result = judged(trained, micrographs[4:], labels)
    assert result.f1 > 0.8
    true = result.picks[result.picks["outcome"] == "true"]
    assert true["distance"].median() < 0.1 * DIAMETER
    assert picks["score"].between(trained.threshold_, 1).all()


def test_densities_are_high_inside_particles(trained, micrographs, labels):
    micrograph = micrographs[5]
    picture, frame = trained._prepare(micrograph)
    densities = trained.densities(trained.model_.network, picture)
    assert densities.shape == picture.shape
    here = labels[(labels["micrograph"] == micrograph.name) & (labels["view"] != "ignore")]
    x, y = frame.from_micrograph(here["x"], here["y"])
    row, column = np.mgrid[: picture.shape[0], : picture.shape[1]]
    distance = np.hypot(row[..., None] - y, column[..., None] - x).min(axis=-1) / trained.working_diameter
    assert densities[distance < 0.2].mean() > 0.7
    assert densities[distance > 0.8].mean() < 0.3


def test_densities_are_what_the_whole_network_gives(tiny, micrographs):
    # Computed from the cells tile by tile; the network itself pads with zeros, which the middle does not see.
    keras = import_keras()
    network = tiny.model_.network
    picture, _ = tiny._prepare(micrographs[4])
    found = tiny.densities(network, picture)
    # Which pixels make a cell depends on where the picture begins: its own cells are among the eight beginnings.
    differences = []
    for start in range(8):
        part = picture[start : start + 392, start : start + 392]
        expected = keras.ops.convert_to_numpy(network(part[None, ..., None]))[0, ..., 0]
        middle = slice(start + 150, start + 250)
        differences.append(np.abs(found[middle, middle] - expected[150:250, 150:250]).max())
    assert min(differences) < 1e-4
    assert np.median(differences) > 1e-3


def test_the_second_network_lowers_scores_and_finds_nothing_new(trained, micrographs):
    picture, _ = trained._prepare(micrographs[4])
    maxima = trained._maxima(trained.model_.network, picture)
    found = trained._find(picture, 0.0)
    np.testing.assert_array_equal(found.x, maxima.x)
    assert (found.score <= maxima.score + 1e-9).all()
    strict = trained._find(picture, 0.5)
    assert (strict.score >= 0.5).all()
    assert 0 < len(strict.x) < len(found.x)


def test_same_seed_same_picks_and_a_saved_picker_picks_the_same(tiny, micrographs, labels, tmp_path):
    picks = tiny.pick(micrographs[4], threshold=0)
    assert len(picks)
    again = PixerPicker(**TINY).fit(micrographs[:2], labels)
    pd.testing.assert_frame_equal(picks, again.pick(micrographs[4], threshold=0), check_exact=True)
    loaded = PixerPicker.load(tiny.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(picks, loaded.pick(micrographs[4], threshold=0), check_exact=True)
    assert set(loaded.model_.companions) == {"classifier"}
    assert loaded.threshold_ == tiny.threshold_


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    particles = np.array([[100.0, 120], [190, 130], [300, 260], [60, 300]])
    return Scene(
        "one", rng.normal(size=(400, 420)).astype(np.float32), particles, np.array([]), np.array([[210.0, 250]])
    )


def test_discs_around_particles(scene):
    picker = PixerPicker()
    kind, counts = picker._discs(scene)
    diameter = picker.working_diameter
    row, column = np.mgrid[:400, :420]
    for x, y in scene.particles:
        distance = np.hypot(column - x, row - y) / diameter
        assert (kind[distance <= INSIDE - 0.01] == 0).all()
        assert counts[distance <= INSIDE - 0.01].all()
        assert not counts[(distance > INSIDE + 0.01) & (distance < OUTSIDE - 0.01)].any()
    x, y = scene.ignored[0]
    assert not counts[np.hypot(column - x, row - y) < (IGNORED - 0.01) * diameter].any()
    area = (kind == 0).sum() / len(scene.particles)
    assert area == pytest.approx(np.pi * (INSIDE * diameter) ** 2, rel=0.05)


def test_parts_are_labelled_where_their_particles_are(scene):
    picker = PixerPicker(crops=10)
    # A picture that says itself what each pixel is.
    kind, _ = picker._discs(scene)
    marked = Scene("one", kind.astype(np.float32), scene.particles, scene.views, scene.ignored)
    samples = picker._parts([marked], np.random.default_rng(1))
    np.testing.assert_array_equal(samples.x[..., 0], samples.y)
    assert samples.x.shape[1] % 8 == 0
    assert (samples.y == 0).any(axis=(1, 2)).mean() > 0.5
    # What is cut off at the edge of a part cannot be known.
    assert not samples.weights[:, 0].any()
    assert not samples.weights[:, :, -1].any()


def test_maxima_of_a_grid():
    rng = np.random.default_rng(3)
    values = ndimage.gaussian_filter(rng.normal(size=(70, 83)), 2)
    row, column = grid_maxima(values, 9)
    cells = {(r // 9, c // 9) for r, c in zip(row, column, strict=True)}
    assert len(cells) == len(row) > 10
    for r, c in zip(row, column, strict=True):
        assert values[r, c] == values[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2].max()
        i, j = r // 9 * 9, c // 9 * 9
        assert values[r, c] == values[i : i + 9, j : j + 9].max()
    assert np.unravel_index(values.argmax(), values.shape) in set(zip(row, column, strict=True))


def test_a_slope_is_no_maximum():
    row, column = np.mgrid[:40, :40]
    hill = np.exp(-((row - 13) ** 2 + (column - 27) ** 2) / 200)
    assert [each.tolist() for each in grid_maxima(hill, 8)] == [[13], [27]]


def test_full_size_is_a_setting():
    segmentation, classification = PixerPicker(size="full", width=1.0)._configs()
    assert segmentation.dilations == (6, 12, 18, 24)
    assert (segmentation.width, classification.width, classification.box) == (1.0, 1.0, 227)
    quarter, full = PixerPicker(), PixerPicker(size="full")
    # The branches reach as far, in diameters.
    assert quarter._configs()[0].dilations[-1] / quarter.working_diameter == pytest.approx(
        full._configs()[0].dilations[-1] / full.working_diameter, rel=0.01
    )


def test_without_particles_there_is_nothing_to_learn(scene):
    picker = PixerPicker(**TINY)
    picker.diameter_, picker.contrast_ = 48.0, "dark"
    empty = Scene("empty", scene.picture, np.empty((0, 2)), np.array([]), scene.ignored)
    with pytest.raises(PickerError, match="no particle"):
        picker._learn([empty])


@pytest.mark.parametrize("settings", [{"size": "half"}, {"width": 0}, {"crops": 0}, {"per_class": 0}, {"epochs": 1.5}])
def test_settings_that_make_no_sense_are_named(settings):
    with pytest.raises(CryokitError, match=next(iter(settings))):
        PixerPicker(**settings)
