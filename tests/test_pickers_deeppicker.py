"""The picker `deeppicker`: other molecules, labels, and what it teaches itself without labels."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from judging import assert_windows_one_by_one_score_the_same, judged

from cryokit.errors import PickerError
from cryokit.micrograph import Micrograph
from cryokit.networks import create
from cryokit.pickers import deeppicker
from cryokit.pickers.deeppicker import DeepPicker
from cryokit.pickers.interface import Micrographs, Pictures

DIAMETER = 50.0  # of simulated ribosomes


@pytest.fixture(scope="module", autouse=True)
def few_others():
    """A third of the other molecules: most of the time of these tests would go there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deeppicker, "OTHERS", 16)
        _forget()
        yield
    _forget()


def _forget():
    deeppicker._other_molecule.cache_clear()
    deeppicker._other_weights.cache_clear()


@pytest.fixture(scope="module")
def taught(micrographs, labels):
    """Trained from labels on four micrographs, of which one tells the threshold; two more it has not seen."""
    return DeepPicker(boxes=100).fit(micrographs[:4], labels)


@pytest.fixture(scope="module")
def alone(micrographs):
    """Trained without labels."""
    return DeepPicker(diameter=DIAMETER, boxes=100).fit(micrographs[:4])


@pytest.mark.slow
def test_it_learns_from_labels(taught, micrographs, labels):
    assert judged(taught, micrographs[4:], labels)[1].f1 > 0.8
    assert "held out" in taught.decisions_[-1]


@pytest.mark.slow
def test_it_learns_without_labels(alone, micrographs, labels):
    assert judged(alone, micrographs[4:], labels)[1].f1 > 0.7
    assert alone.contrast_ == "dark"
    assert alone.diameter_ == DIAMETER
    assert alone.threshold_ >= 0.5
    assert len(alone.histories_) == 2
    assert all(any(f"round {turn}" in decision for decision in alone.decisions_) for turn in (1, 2))


@pytest.mark.slow
def test_its_own_picks_change_what_others_have_taught_it(alone):
    before = deeppicker._other_weights(alone._config, alone._settings)
    after = alone.model_.network.get_weights()
    assert any(not np.allclose(*weights) for weights in zip(before, after, strict=True))


@pytest.mark.slow
def test_bright_particles_are_found_to_be_bright(alone, micrographs):
    picker = DeepPicker(diameter=DIAMETER, rounds=0)
    picker.fit([Micrograph(-micrograph.data, name=micrograph.name) for micrograph in micrographs[:2]])
    assert picker.contrast_ == "bright"
    # Of the same picture, turned round, the network has the same opinion.
    dark = DeepPicker(diameter=DIAMETER, rounds=0, contrast="dark").fit(micrographs[:2])
    negative = Micrograph(-micrographs[4].data, name=micrographs[4].name)
    pd.testing.assert_frame_equal(
        picker.pick(negative, threshold=0.3), dark.pick(micrographs[4], threshold=0.3), rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
def test_the_diameter_is_estimated(micrographs):
    picker = DeepPicker(rounds=0).fit(micrographs[:1])
    assert DIAMETER / 1.7 < picker.diameter_ < DIAMETER * 1.7
    assert any("(estimated)" in decision for decision in picker.decisions_)


@pytest.mark.slow
def test_its_own_labels_are_the_better_half_of_its_picks(alone, micrographs):
    pictures = Pictures(Micrographs(micrographs[:2]), alone._prepare)
    candidates = [alone._find(picture.data, 0.3) for picture in pictures]
    picked = np.concatenate([found.score[found.score >= 0.5] for found in candidates])
    scenes = alone._labelled_by_itself(pictures)
    assert [scene.name for scene in scenes] == [micrograph.name for micrograph in micrographs[:2]]
    assert 0 < sum(len(scene.particles) for scene in scenes) <= len(picked) / 2 + 1
    for scene, found in zip(scenes, candidates, strict=True):
        sure = len(scene.particles)
        # The best first: those that are learned from lead the list.
        np.testing.assert_array_equal(np.concatenate([scene.particles, scene.ignored]), found.places)
        assert (found.score[:sure] >= 0.8).all()


def test_noise_teaches_nothing():
    rng = np.random.default_rng(0)
    noise = [Micrograph(rng.normal(size=(400, 400)).astype(np.float32), name=f"noise{n}") for n in range(2)]
    picker = DeepPicker(diameter=DIAMETER, contrast="dark", rounds=1).fit(noise)
    assert not picker.histories_


def test_other_molecules_are_learned_once(monkeypatch):
    settings = dataclasses.replace(deeppicker.SETTINGS["modern"], epochs=1)
    first = deeppicker._other_weights(create("deeppicker", width=0.25), settings)
    monkeypatch.setattr(deeppicker, "train", None)
    again = deeppicker._other_weights(create("deeppicker", width=0.25), settings)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_molecules_differ():
    scenes = [deeppicker._other_molecule(0, number) for number in range(16)]
    assert len({scene.name for scene in scenes}) == 16
    assert len({scene.name.split("_")[0] for scene in scenes}) >= 4  # kinds of shapes
    for scene in scenes:
        assert min(scene.picture.shape) >= 64
        assert (scene.particles >= 0).all()
        assert (scene.particles < scene.picture.shape[::-1]).all()


def test_the_papers_training_is_a_setting():
    settings = DeepPicker(training="paper")._settings
    assert (settings.optimizer, settings.momentum, settings.learning_rate) == ("sgd", 0.9, 0.01)
    assert (settings.schedule, settings.epochs) == ("staircase", 40)
    assert DeepPicker(training="paper", epochs=3)._settings.epochs == 3


@pytest.mark.slow
def test_one_window_after_the_other_gives_the_same_scores(taught, micrographs):
    assert_windows_one_by_one_score_the_same(taught, micrographs[4], (90, 100), stride=8)


@pytest.mark.slow
def test_a_saved_picker_picks_the_same(alone, micrographs, tmp_path):
    again = DeepPicker.load(alone.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.pick(micrographs[5]), alone.pick(micrographs[5]))
    assert (again.threshold_, again.contrast_, again.diameter_) == (alone.threshold_, "dark", DIAMETER)


def test_nothing_to_learn_from():
    for labels in (None, pd.DataFrame({"micrograph": [], "x": [], "y": [], "view": []})):
        with pytest.raises(PickerError, match="no micrographs"):
            DeepPicker().fit([], labels)
