"""The picker `fastparticlepicker`: what it trains on, and what it finds."""

import numpy as np
import pytest
from judging import assert_finds_particles
from scenes import four_particles

from cryokit.networks.training.batches import turn
from cryokit.pickers.boxes import parts
from cryokit.pickers.fastparticlepicker import (
    FAINT,
    FAR,
    NEAR,
    REGIONS,
    FastParticlePicker,
    _Batches,
    _loss,
    turned_places,
)

DIAMETER = 50.0  # of simulated ribosomes


@pytest.fixture(scope="module")
def picker(micrographs, labels):
    return FastParticlePicker(width=0.05, steps=200).fit(micrographs[:4], labels)


@pytest.fixture(scope="module")
def batches():
    """Batches of an epoch of ten, the fourth."""
    picker = FastParticlePicker(width=0.02)
    cuts = parts([four_particles()], 240, 12, 0.8, np.random.default_rng(3))
    return _Batches(cuts, picker._config, picker.working_diameter, 3, first=30, steps=10)


@pytest.mark.slow
def test_it_picks_micrographs_that_it_has_not_seen(picker, micrographs, labels):
    assert_finds_particles(picker, micrographs[4:], labels, off_centre=0.1 * DIAMETER)
    assert len(picker.histories_[0].table) == 10


@pytest.mark.slow
def test_what_is_far_away_does_not_change_what_is_found(picker, micrographs):
    # The trunk sees the picture as a whole, and yet a box is judged by what is around it.
    picture, _ = picker._prepare(micrographs[4])
    changed = picture.copy()
    changed[:, picture.shape[1] // 2 :] = 0
    (judged_before, grid), (judged_after, _) = picker._judged(picture), picker._judged(changed)
    x, _ = grid.to_source(np.arange(grid.shape[1]), 0)
    width = picture.shape[1] / 2 - 2 * picker.working_diameter
    left = x < width
    assert width > 2 * grid.step
    assert left.sum() == pytest.approx(width / grid.step, abs=1)
    np.testing.assert_allclose(judged_before[:, left], judged_after[:, left], atol=1e-5)
    assert np.abs(judged_before[:, ~left] - judged_after[:, ~left]).max() > 1e-3


@pytest.mark.slow
def test_boxes_lie_on_a_grid_over_the_whole_picture(picker, micrographs):
    picture, _ = picker._prepare(micrographs[4])
    judged_boxes, grid = picker._judged(picture)
    assert judged_boxes.shape == (*grid.shape, 4)
    last_column, last_row = grid.to_source(grid.shape[1] - 1, grid.shape[0] - 1)
    assert (last_row, last_column) == pytest.approx(np.array(picture.shape) - 1)
    assert picker.working_diameter / 4.5 < grid.step_x <= picker.working_diameter / 4
    np.testing.assert_allclose(judged_boxes[..., :2].sum(axis=-1), 1, atol=1e-5)


@pytest.mark.slow
def test_overlapping_boxes_are_suppressed(picker, micrographs):
    picks = picker.pick(micrographs[4], threshold=0)
    x, y = picks["x"].to_numpy(), picks["y"].to_numpy()
    assert len(x) > 20
    width = np.clip(DIAMETER - np.abs(x[:, None] - x), 0, None)
    height = np.clip(DIAMETER - np.abs(y[:, None] - y), 0, None)
    shared = (width * height)[~np.eye(len(x), dtype=bool)]
    assert (shared / (2 * DIAMETER**2 - shared)).max() <= 0.3 + 0.02


def test_regions_show_particles_or_not(batches):
    diameter, rng = batches.diameter, np.random.default_rng(0)
    seen = 0
    for part in batches.parts[:6]:
        places, targets = batches._regions(part.particles, part.ignored, rng)
        assert places.shape == (REGIONS, 2)
        gap = np.linalg.norm(places[:, None] - part.particles, axis=-1)
        to_ignored = np.linalg.norm(places[:, None] - part.ignored, axis=-1).min(axis=1)
        particle, weight = targets[:, 0] == 1, targets[:, 1] == 1
        assert (gap.min(axis=1)[particle] <= NEAR * diameter + 1e-6).all()
        assert (gap.min(axis=1)[~particle & weight] >= FAR * diameter).all()
        assert (to_ignored[~particle & weight] >= FAINT * diameter).all()
        # The offset leads to the particle.
        nearest = part.particles[gap.argmin(axis=1)[particle]]
        offsets = targets[particle, 2:] * batches.config.box
        np.testing.assert_allclose(places[particle] + offsets, nearest, atol=1e-3)
        assert particle.sum() <= REGIONS / 4
        seen += particle.sum()
    assert seen > 30


def test_a_batch_depends_on_seed_and_number_only(batches):
    (pictures, boxes), targets = batches[2]
    batches[4]
    (again, boxes_again), targets_again = batches[2]
    np.testing.assert_array_equal(pictures, again)
    np.testing.assert_array_equal(boxes, boxes_again)
    np.testing.assert_array_equal(targets, targets_again)
    assert not np.array_equal(pictures, batches[3][0][0])


def test_epochs_go_on_with_the_steps(batches):
    later = _Batches(batches.parts, batches.config, batches.diameter, batches.seed, first=32, steps=8)
    assert (len(batches), len(later)) == (10, 8)
    np.testing.assert_array_equal(later[1][1], batches[3][1])


def test_crowded_and_empty_parts_fill_up_with_boxes_that_count_nothing(batches):
    rng = np.random.default_rng(1)
    everywhere = np.stack(np.meshgrid(np.arange(0, 300, 20.0), np.arange(0, 300, 20.0)), axis=-1).reshape(-1, 2)
    places, targets = batches._regions(everywhere, np.empty((0, 2)), rng)
    assert np.isfinite(places).all()
    assert targets[:, 1].sum() == targets[:, 0].sum() == REGIONS / 4
    places, targets = batches._regions(np.empty((0, 2)), np.empty((0, 2)), rng)
    assert targets[:, 0].sum() == 0
    assert targets[:, 1].all()


@pytest.mark.parametrize("way", range(8))
def test_places_turn_with_the_picture(way):
    picture = np.arange(49.0).reshape(1, 7, 7)
    places = np.array([[2.0, 5.0], [6, 0], [3, 3]])
    turned = turned_places(places, way, 7).astype(int)
    for (x, y), (u, v) in zip(places.astype(int), turned, strict=True):
        assert turn(picture, way)[0, v, u] == picture[0, y, x]


def test_loss():
    outputs = np.array([[[0.8, 0.2, 0.05, 0], [0.8, 0.2, 9, 9], [0.5, 0.5, 0, 0]]], np.float32)
    targets = np.array([[[1, 1, 0.05, 0.2], [0, 1, 0, 0], [1, 0, 5, 5]]], np.float32)
    # A particle's offsets count, the background's do not, and weight 0 is nothing.
    np.testing.assert_allclose(np.asarray(_loss(targets, outputs))[0], [-np.log(0.8) + 1.5, -np.log(0.2), 0], atol=1e-4)


@pytest.mark.parametrize(("cell", "window"), [(8, 60), (16, 120)])
def test_the_published_size_is_a_setting(cell, window):
    picker = FastParticlePicker(width=1.0, cell=cell)
    assert (picker._config.width, picker._config.stride) == (1.0, cell)
    assert (picker.window, picker.working_diameter) == (window, 6 * cell)
