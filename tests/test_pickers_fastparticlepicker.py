"""The picker `fastparticlepicker`: what it trains on, and what it finds."""

import numpy as np
import pandas as pd
import pytest
from judging import judged

from cryokit.errors import CryokitError, PickerError
from cryokit.networks.training.batches import turn
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
from cryokit.pickers.labelled import Scene

DIAMETER = 50.0  # of simulated ribosomes
TINY = dict(width=0.02, steps=2)


@pytest.fixture(scope="module")
def tiny(micrographs, labels):
    return FastParticlePicker(**TINY).fit(micrographs[:2], labels)


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    particles = np.array([[100.0, 120], [190, 130], [300, 260], [60, 300]])
    return Scene(
        "one", rng.normal(size=(400, 420)).astype(np.float32), particles, np.array([]), np.array([[210.0, 250]])
    )


def batches(scene, steps=6):
    picker = FastParticlePicker(width=0.02)
    return _Batches([scene], picker._config(), picker.working_diameter, steps, 3)


def test_it_picks_micrographs_that_it_has_not_seen(micrographs, labels):
    picker = FastParticlePicker(width=0.06, steps=300).fit(micrographs[:4], labels)
    picks, result = judged(picker, micrographs[4:], labels)
    assert result.f1 > 0.8
    true = result.picks[result.picks["outcome"] == "true"]
    assert true["distance"].median() < 0.1 * DIAMETER
    assert picks["score"].between(picker.threshold_, 1).all()


def test_same_seed_same_picks_and_a_saved_picker_picks_the_same(tiny, micrographs, labels, tmp_path):
    picks = tiny.pick(micrographs[4], threshold=0)
    assert len(picks) > 20
    again = FastParticlePicker(**TINY).fit(micrographs[:2], labels)
    pd.testing.assert_frame_equal(picks, again.pick(micrographs[4], threshold=0), check_exact=True)
    loaded = FastParticlePicker.load(tiny.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(picks, loaded.pick(micrographs[4], threshold=0), check_exact=True)
    assert loaded.threshold_ == tiny.threshold_


def test_what_is_far_away_does_not_change_what_is_found(tiny, micrographs):
    # The trunk sees the picture as a whole, and yet a box is judged by what is around it.
    picture, _ = tiny._prepare(micrographs[4])
    changed = picture.copy()
    changed[:, picture.shape[1] // 2 :] = 0
    (x, _, score), (_, _, other) = tiny._judged(picture), tiny._judged(changed)
    left = x < picture.shape[1] / 2 - 2 * tiny.working_diameter
    assert left.sum() > 100
    np.testing.assert_allclose(score[left], other[left], atol=1e-5)
    assert np.abs(score[~left] - other[~left]).max() > 1e-3


def test_overlapping_boxes_are_suppressed(tiny, micrographs):
    picks = tiny.pick(micrographs[4], threshold=0)
    x, y = picks["x"].to_numpy(), picks["y"].to_numpy()
    width = np.clip(DIAMETER - np.abs(x[:, None] - x), 0, None)
    height = np.clip(DIAMETER - np.abs(y[:, None] - y), 0, None)
    shared = (width * height)[~np.eye(len(x), dtype=bool)]
    assert (shared / (2 * DIAMETER**2 - shared)).max() <= 0.3 + 0.02


def test_regions_show_particles_or_not(scene):
    found = batches(scene)
    diameter = found.diameter
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(6):
        _, particles, ignored = found._part(rng)
        places, targets = found._regions(particles, ignored, rng)
        assert places.shape == (REGIONS, 2)
        gap = np.linalg.norm(places[:, None] - particles, axis=-1)
        kind, weight = targets[:, 0] == 1, targets[:, 1] == 1
        assert (gap.min(axis=1)[kind] <= NEAR * diameter + 1e-6).all()
        assert (gap.min(axis=1)[~kind & weight] >= FAR * diameter).all()
        assert (
            np.linalg.norm(places[:, None] - ignored, axis=-1).min(axis=1)[~kind & weight] >= FAINT * diameter
        ).all()
        # The offset leads to the particle.
        np.testing.assert_allclose(
            places[kind] + targets[kind, 2:] * found.config.box, particles[gap.argmin(axis=1)[kind]], atol=1e-3
        )
        assert kind.sum() <= REGIONS / 4
        seen += kind.sum()
    assert seen > 30


def test_a_batch_depends_on_seed_and_number_only(scene):
    found = batches(scene)
    (pictures, boxes), targets = found[2]
    found[4]
    (again, boxes_again), targets_again = found[2]
    np.testing.assert_array_equal(pictures, again)
    np.testing.assert_array_equal(boxes, boxes_again)
    np.testing.assert_array_equal(targets, targets_again)
    assert not np.array_equal(pictures, found[3][0][0])


def test_epochs_divide_the_steps(scene):
    found = batches(scene, steps=40)
    assert (found.epochs, len(found)) == (10, 4)
    # The third batch of the second epoch is the seventh.
    np.testing.assert_array_equal(found.epoch(1)[2][1], found[6][1])
    assert batches(scene, steps=3).epochs == 3


def test_crowded_and_empty_parts_fill_up_with_boxes_that_count_nothing(scene):
    found = batches(scene)
    rng = np.random.default_rng(1)
    everywhere = np.stack(np.meshgrid(np.arange(0, 300, 20.0), np.arange(0, 300, 20.0)), axis=-1).reshape(-1, 2)
    places, targets = found._regions(everywhere, np.empty((0, 2)), rng)
    assert np.isfinite(places).all()
    assert targets[:, 1].sum() == targets[:, 0].sum() == REGIONS / 4
    places, targets = found._regions(np.empty((0, 2)), np.empty((0, 2)), rng)
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
    judged = np.array([[[0.8, 0.2, 0.05, 0], [0.8, 0.2, 9, 9], [0.5, 0.5, 0, 0]]], np.float32)
    targets = np.array([[[1, 1, 0.05, 0.2], [0, 1, 0, 0], [1, 0, 5, 5]]], np.float32)
    found = np.asarray(_loss(targets, judged))[0]
    # A particle's offsets count, the background's do not, and weight 0 is nothing.
    np.testing.assert_allclose(found, [-np.log(0.8) + 1.5, -np.log(0.2), 0], atol=1e-4)


def test_the_published_size_is_a_setting():
    picker = FastParticlePicker(width=1.0, cell=16)
    config = picker._config()
    assert (config.width, config.stride) == (1.0, 16)
    assert picker.window == 120


def test_without_particles_there_is_nothing_to_learn(scene):
    picker = FastParticlePicker(**TINY)
    picker.diameter_, picker.contrast_ = 48.0, "dark"
    empty = Scene("empty", scene.picture, np.empty((0, 2)), np.array([]), scene.ignored)
    with pytest.raises(PickerError, match="no particle"):
        picker._learn([empty])


@pytest.mark.parametrize("settings", [{"width": 0}, {"cell": 12}, {"steps": 0}, {"overlap": 1.5}])
def test_settings_that_make_no_sense_are_named(settings):
    with pytest.raises(CryokitError, match=next(iter(settings))):
        FastParticlePicker(**settings)
