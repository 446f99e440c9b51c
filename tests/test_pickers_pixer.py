"""The picker `pixer`: its map of densities, its maxima, its two networks, and what it finds."""

import numpy as np
import pytest
from judging import assert_finds_particles
from scenes import four_particles
from scipy import ndimage

from cryokit.networks.devices import import_keras
from cryokit.pickers.boxes import Part
from cryokit.pickers.pixer import IGNORED, INSIDE, OUTSIDE, PixerPicker, grid_maxima

DIAMETER = 50.0  # of simulated ribosomes


@pytest.fixture(scope="module")
def trained(micrographs, labels):
    return PixerPicker(width=0.06, crops=32, per_class=80, epochs=5).fit(micrographs[:4], labels)


@pytest.mark.slow
def test_it_picks_micrographs_that_it_has_not_seen(trained, micrographs, labels):
    assert_finds_particles(trained, micrographs[4:], labels, off_centre=0.1 * DIAMETER)


@pytest.mark.slow
def test_densities_are_high_inside_particles(trained, micrographs, labels):
    micrograph = micrographs[5]
    picture, frame = trained._prepare(micrograph)
    densities = trained.densities(trained.model_.network, picture)
    assert densities.shape == picture.shape
    particles = labels[(labels["micrograph"] == micrograph.name) & (labels["view"] != "ignore")]
    x, y = frame.from_source(particles["x"], particles["y"])
    row, column = np.mgrid[: picture.shape[0], : picture.shape[1]]
    distance = np.hypot(row[..., None] - y, column[..., None] - x).min(axis=-1) / trained.working_diameter
    assert densities[distance < 0.2].mean() > 0.7
    assert densities[distance > 0.8].mean() < 0.3


@pytest.mark.slow
def test_densities_are_what_the_whole_network_gives(trained, micrographs):
    # Computed from the cells tile by tile; the network itself pads with zeros, which the middle does not see.
    keras = import_keras()
    network = trained.model_.network
    picture, _ = trained._prepare(micrographs[4])
    densities = trained.densities(network, picture)
    # Which pixels make a cell depends on where the picture begins: its own cells are among the eight beginnings.
    differences = []
    for start in range(8):
        part = picture[start : start + 392, start : start + 392]
        expected = keras.ops.convert_to_numpy(network(part[None, ..., None]))[0, ..., 0]
        middle = slice(start + 150, start + 250)
        differences.append(np.abs(densities[middle, middle] - expected[150:250, 150:250]).max())
    assert min(differences) < 1e-4
    assert np.median(differences) > 1e-3


@pytest.mark.slow
def test_the_second_network_lowers_scores_and_finds_nothing_new(trained, micrographs):
    picture, _ = trained._prepare(micrographs[4])
    maxima = trained._maxima(trained.model_.network, picture)
    candidates = trained._find(picture, 0.0)
    np.testing.assert_array_equal(candidates.places, maxima.places)
    assert (candidates.score <= maxima.score + 1e-9).all()
    middle = float(np.median(candidates.score))
    strict = trained._find(picture, middle)
    assert (strict.score >= middle).all()
    assert 0 < len(strict.x) < len(candidates.x)


def test_discs_around_particles():
    scene = four_particles()
    picker = PixerPicker()
    kind, counts = picker._classes(Part(scene.picture, scene.particles, scene.ignored))
    diameter = picker.working_diameter
    row, column = np.indices(scene.shape)
    for x, y in scene.particles:
        distance = np.hypot(column - x, row - y) / diameter
        assert (kind[distance <= INSIDE - 0.01] == 0).all()
        assert counts[distance <= INSIDE - 0.01].all()
        assert not counts[(distance > INSIDE + 0.01) & (distance < OUTSIDE - 0.01)].any()
    x, y = scene.ignored[0]
    assert not counts[np.hypot(column - x, row - y) < (IGNORED - 0.01) * diameter].any()
    area = (kind == 0).sum() / len(scene.particles)
    assert area == pytest.approx(np.pi * (INSIDE * diameter) ** 2, rel=0.05)


def test_parts_are_labelled_where_their_particles_are():
    picker = PixerPicker(crops=10)
    # A picture that itself says what each pixel is.
    scene = four_particles()
    kind, _ = picker._classes(Part(scene.picture, scene.particles, scene.ignored))
    samples = picker._parts([four_particles(kind.astype(np.float32))], np.random.default_rng(1))
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
    assert [index.tolist() for index in grid_maxima(hill, 8)] == [[13], [27]]


def test_full_size_is_a_setting():
    quarter, full = PixerPicker(), PixerPicker(size="full", width=1.0)
    assert full._config.dilations == (6, 12, 18, 24)
    assert (full._config.width, full._judge_config.width, full._judge_config.box) == (1.0, 1.0, 227)
    # The branches reach as far, in diameters.
    reaches = [picker._config.dilations[-1] / picker.working_diameter for picker in (quarter, full)]
    assert reaches[0] == pytest.approx(reaches[1], rel=0.01)
