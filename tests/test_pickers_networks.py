"""What all compared methods with networks have in common: repeatable trainings, saved models, and settings."""

import numpy as np
import pandas as pd
import pytest
from scenes import scene
from tiny_pickers import EACH_TINY, TINY

from cryokit import pickers
from cryokit.errors import ArgumentError, PickerError
from cryokit.networks.scoring import sliding
from cryokit.pickers import boxes as examples
from cryokit.pickers.interface import Micrographs
from cryokit.pickers.label_checks import hold_out

WRONG = {
    "deepem": [
        *(("box", 8), ("boxes", 0), ("rounds", 0), ("epochs", 1.5), ("batch_size", 0), ("learning_rate", 0)),
        *(("dropout", 1), ("stride", 5), ("stride", True), ("most", 0), ("validation", 0.9), ("seed", -1)),
    ],
    "deeppicker": [
        *(("pretrain", "yes"), ("pretrain", 1), ("training", "fast"), ("stride", 3), ("stride", True), ("rounds", -1)),
        *(("boxes", 0), ("epochs", 0), ("width", 0), ("max_micrographs", 0), ("diameter", 2), ("contrast", "grey")),
    ],
    "eman2_cnn": [("references", 4), ("rotated", 0), ("deviations", -1), ("epochs", 0), ("box", 31), ("filters", 0)],
    "fastparticlepicker": [("width", 0), ("cell", 12), ("steps", 0), ("overlap", 1.5)],
    "pixer": [("size", "half"), ("width", 0), ("crops", 0), ("per_class", 0), ("epochs", 1.5)],
    "relion_template": [
        *(("particles", 0), ("classes", 0), ("resolution", 0), ("step", 0), ("step", 200), ("validation", 0.8)),
    ],
}


@pytest.mark.parametrize("name", EACH_TINY)
def test_same_seed_same_picks_and_a_saved_picker_picks_the_same(name, micrographs, labels, tmp_path):
    picker, again = (pickers.create(name, **TINY[name]).fit(micrographs[:2], labels) for _ in range(2))
    picks = picker.pick(micrographs[4], threshold=0)
    assert len(picks)
    pd.testing.assert_frame_equal(again.pick(micrographs[4], threshold=0), picks, check_exact=True)
    loaded = pickers.load(picker.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.pick(micrographs[4], threshold=0), picks, check_exact=True)
    assert loaded.settings() == picker.settings() | TINY[name]
    for learned in ("threshold_", "diameter_", "contrast_", "decisions_"):
        assert getattr(loaded, learned) == getattr(picker, learned)
    assert set(loaded.model_.companions) == set(picker.model_.companions)
    # The course of each training is there after `fit`, its summary in the saved model.
    assert [history.seed for history in picker.histories_] == [0] * len(picker.histories_)
    assert len(loaded.model_.provenance["trainings"]) == len(picker.histories_) > 0


@pytest.mark.parametrize(("name", "setting", "value"), [(name, *case) for name in WRONG for case in WRONG[name]])
def test_senseless_settings_are_named(name, setting, value):
    with pytest.raises(ArgumentError, match=setting):
        pickers.create(name, **{setting: value})


def test_whole_numbers_may_be_floats():
    assert pickers.create("deepem", rounds=2.0, seed=1.0).settings()["rounds"] == 2


def test_the_micrographs_to_learn_from_must_show_particles(micrographs, labels):
    # Of three micrographs one is held out: here the only one with particles.
    _, held_out = hold_out(Micrographs(micrographs[:3]), 0.2, seed=0)
    chosen = labels[labels["micrograph"].isin([micrograph.name for micrograph in micrographs[:3]])]
    without = chosen.assign(view=chosen["view"].where(chosen["micrograph"].isin(held_out.names), "ignore"))
    with pytest.raises(PickerError, match="no particle"):
        pickers.create("pixer", **TINY["pixer"]).fit(micrographs[:3], without)


# --- examples to learn from ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [41, 42])
def test_boxes_are_what_is_scored_there(size):
    """At the borders, too, and for windows of an even side, whose centre is between pixels."""
    import keras

    inputs = keras.Input((size, size, 1))
    network = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs)))
    picture = scene(shape=(50, 60)).picture
    scores = sliding(picture, network, stride=7)
    row, column = (index.ravel() for index in np.indices(scores.scores.shape[:2]))
    x, y = scores.frame.to_source(column, row)
    boxes = examples.cut(picture, np.column_stack([x, y]), size)
    np.testing.assert_allclose(network.predict_on_batch(boxes), scores.scores.reshape(-1, 2), atol=1e-5)
    nearby = examples.cut(picture, np.column_stack([x + 0.49, y - 0.49]), size)
    np.testing.assert_array_equal(nearby, boxes)


def test_boxes_of_particles():
    scenes = [scene([(50, 60), (120, 90)]), scene([(100, 100)], seed=1), scene(seed=2)]
    values = sorted(float(part.picture[int(y), int(x)]) for part in scenes for x, y in part.particles)
    once = examples.particles(scenes, 15, 3, np.random.default_rng(0), shift=3)
    assert sorted(once[:, 7, 7, 0].tolist()) == values
    # Each as often as another, the first time at its centre.
    boxes = examples.particles(scenes, 15, 9, np.random.default_rng(0), shift=3)
    assert sorted(boxes[:3, 7, 7, 0].tolist()) == values
    assert len(boxes) == 9
    for value in values:
        places = [np.argwhere(box[..., 0] == np.float32(value)) for box in boxes]
        offsets = np.array([place[0] - 7 for place in places if len(place)])
        assert len(offsets) == 3
        assert (np.hypot(*offsets.T) <= 3 + np.sqrt(0.5)).all()


def test_boxes_of_background_are_on_no_particle():
    scenes = [scene([(50, 60)], [(150, 90)]), scene([(100, 100)], seed=1)]
    boxes = examples.background(scenes, 3, 101, 40.0, np.random.default_rng(0))
    assert boxes.shape == (101, 3, 3, 1)
    shares = []
    for labelled in scenes:
        row, column = np.nonzero(np.isin(labelled.picture, boxes[:, 1, 1, 0]))
        shares.append(len(row))
        for x, y in labelled.occupied:
            assert np.hypot(column - x, row - y).min() > 0.4 * 40 - 1
    assert min(shares) > 45


def test_without_room_for_background_there_is_nothing_to_learn():
    crowded = np.stack(np.meshgrid(np.arange(0, 60, 5.0), np.arange(0, 60, 5.0)), axis=-1).reshape(-1, 2)
    with pytest.raises(PickerError, match="background"):
        examples.background([scene(crowded, shape=(60, 60))], 15, 5, 40.0, np.random.default_rng(0))


def test_whitened_boxes():
    boxes = np.random.default_rng(0).normal(3, 5, (4, 9, 9, 1))
    boxes[1] = 7
    white = examples.whitened(boxes)
    np.testing.assert_allclose(white.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(white.std(axis=(1, 2, 3)), [1, 0, 1, 1], atol=1e-5)


def test_parts_are_cut_where_their_labels_say():
    # Bright pixels where the particles are, so that each part itself shows where they are in it.
    particles = np.array([(100, 120), (190, 130), (300, 260), (60, 300)])
    picture = np.zeros((400, 420), np.float32)
    picture[particles[:, 1], particles[:, 0]] = 1
    labelled = scene(particles, [(210, 250)], picture=picture)
    parts = examples.parts([labelled, scene(seed=1)], 120, 20, 0.7, np.random.default_rng(1))
    shown = 0
    for part in parts:
        assert part.picture.shape == (120, 120)
        inside = ((part.particles >= 0) & (part.particles < 120)).all(axis=1)
        x, y = part.particles[inside].astype(int).T
        expected = np.zeros((120, 120))
        expected[y, x] = 1
        np.testing.assert_array_equal(part.picture, expected)
        np.testing.assert_allclose(part.ignored - part.particles[0], [(110, 130)])
        shown += inside.sum()
    assert shown >= 10


def test_parts_larger_than_the_picture_are_mirrored():
    labelled = scene([(20, 30)], shape=(50, 60))
    (part,) = examples.parts([labelled], 100, 1, 0.0, np.random.default_rng(0))
    x, y = part.particles[0].astype(int)
    assert part.picture[y, x] == labelled.picture[30, 20]
