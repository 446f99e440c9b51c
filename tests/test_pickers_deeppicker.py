"""The picker `deeppicker`: other molecules, labels, and what it teaches itself without labels."""

import numpy as np
import pandas as pd
import pytest
from judging import judged

from cryokit.errors import CryokitError, PickerError
from cryokit.micrograph import Micrograph
from cryokit.networks import create
from cryokit.networks.scoring import dense, sliding
from cryokit.pickers import deeppicker
from cryokit.pickers.deeppicker import DeepPicker

DIAMETER = 50.0  # of simulated ribosomes
TINY = dict(pretrain=False, width=0.25, boxes=16, epochs=1, stride=16)


@pytest.fixture(scope="module", autouse=True)
def few_others():
    """A third of the other molecules: most of the time of these tests would go there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deeppicker, "OTHERS", 16)
        _forget()
        yield
    _forget()


def _forget():
    deeppicker._other_molecules.cache_clear()
    deeppicker._other_weights.cache_clear()


@pytest.fixture(scope="module")
def taught(micrographs, labels):
    """Trained from labels on four micrographs, of which one tells the threshold; two more it has not seen."""
    return DeepPicker(boxes=100).fit(micrographs[:4], labels)


@pytest.fixture(scope="module")
def alone(micrographs):
    """Trained without labels."""
    return DeepPicker(diameter=DIAMETER, boxes=100).fit(micrographs[:4])


@pytest.fixture(scope="module")
def hasty(micrographs, labels):
    return DeepPicker(**TINY).fit(micrographs[:3], labels)


def test_it_learns_from_labels(taught, micrographs, labels):
    assert judged(taught, micrographs[4:], labels)[1].f1 > 0.8
    assert any("1 micrograph held out" in each for each in taught.decisions_)


def test_it_learns_without_labels(alone, micrographs, labels):
    assert judged(alone, micrographs[4:], labels)[1].f1 > 0.7
    assert alone.contrast_ == "dark"
    told = "\n".join(alone.decisions_)
    assert "began with 16 simulated micrographs of other molecules" in told
    assert "50 pixels across (given)" in told
    assert "round 2: learns from" in told
    assert "from the distribution of the scores" in told


def test_its_own_picks_change_what_others_have_taught_it(alone):
    before = deeppicker._other_weights(alone._config, alone.training, alone.epochs)
    after = alone.model_.network.get_weights()
    assert any(not np.allclose(one, other) for one, other in zip(before, after, strict=True))


def test_bright_particles_are_found_to_be_bright(alone, micrographs):
    picker = DeepPicker(diameter=DIAMETER, rounds=0)
    picker.fit([Micrograph(-each.data, name=each.name) for each in micrographs[:2]])
    assert picker.contrast_ == "bright"
    # Of the same picture, turned round, the network has the same opinion.
    dark = DeepPicker(diameter=DIAMETER, rounds=0, contrast="dark").fit(micrographs[:2])
    negative = Micrograph(-micrographs[4].data, name=micrographs[4].name)
    pd.testing.assert_frame_equal(
        picker.pick(negative, threshold=0.3), dark.pick(micrographs[4], threshold=0.3), rtol=1e-3, atol=1e-3
    )


def test_the_diameter_is_estimated(micrographs):
    picker = DeepPicker(rounds=0).fit(micrographs[:1])
    assert DIAMETER / 1.7 < picker.diameter_ < DIAMETER * 1.7
    assert any("(estimated)" in each for each in picker.decisions_)


def test_its_own_labels_are_the_better_half_of_its_picks(alone, micrographs):
    pictures = {each.name: alone._prepare(each)[0] for each in micrographs[:2]}
    found = {name: alone._find(picture, 0.3) for name, picture in pictures.items()}
    picked = np.concatenate([each.score[each.score >= 0.5] for each in found.values()])
    scenes = alone._labelled_by_itself(pictures)
    sure = sum(len(scene.particles) for scene in scenes)
    assert 0 < sure <= len(picked) / 2 + 1
    for scene in scenes:
        here = found[scene.name]
        places = np.column_stack([here.x, here.y])
        assert len(scene.particles) + len(scene.ignored) == len(places)
        # The best first: those that are learned from lead the list.
        np.testing.assert_array_equal(scene.particles, places[: len(scene.particles)])
        assert (here.score[: len(scene.particles)] >= 0.8).all()


def test_noise_teaches_nothing():
    rng = np.random.default_rng(0)
    noise = [Micrograph(rng.normal(size=(400, 400)).astype(np.float32), name=f"noise{n}") for n in range(2)]
    picker = DeepPicker(diameter=DIAMETER, contrast="dark", rounds=1).fit(noise)
    assert any("too few to learn from" in each for each in picker.decisions_)


def test_other_molecules_are_learned_once(monkeypatch):
    config = create("deeppicker", width=0.25)
    first = deeppicker._other_weights(config, "modern", 1)
    monkeypatch.setattr(deeppicker, "_train", None)
    again = deeppicker._other_weights(create("deeppicker", width=0.25), "modern", 1)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_molecules_differ():
    scenes = deeppicker._other_molecules(0)
    assert len({scene.name for scene in scenes}) == 16
    assert len({scene.name.split("_")[0] for scene in scenes}) >= 4  # kinds of shapes
    for scene in scenes:
        assert min(scene.picture.shape) >= 64
        assert (scene.particles >= 0).all()
        assert (scene.particles < scene.picture.shape[::-1]).all()


def test_the_papers_rate_falls_every_400_steps(monkeypatch):
    from cryokit.networks import training

    called = []

    def train(network, samples, validation, settings, *, seed):
        called.append((settings.optimizer, settings.momentum, settings.learning_rate, settings.epochs, seed))

    monkeypatch.setattr(training, "train", train)
    samples = training.Samples(np.zeros((5000, 64, 64, 1), np.float32), np.zeros(5000, int))
    deeppicker._train(None, samples, "paper", 11, 0)  # 100 steps of 50 an epoch
    assert [each[3] for each in called] == [4, 4, 3]
    assert [each[:2] for each in called] == [("sgd", 0.9)] * 3
    np.testing.assert_allclose([each[2] for each in called], [0.01, 0.0095, 0.009025])
    assert len({each[4] for each in called}) == 3


def test_one_window_after_the_other_gives_the_same_scores(taught, micrographs):
    picture, _ = taught._prepare(micrographs[4])
    found = taught._find(picture, 0.5)
    column, row = (max(0, int(each[0]) - 45) for each in (found.x, found.y))
    part = picture[row : row + 90, column : column + 100]
    whole, single = (score(part, taught.model_, stride=8) for score in (dense, sliding))
    assert np.ptp(single.particle) > 0.1
    np.testing.assert_allclose(whole.scores, single.scores, atol=1e-4)


def test_a_saved_picker_picks_the_same(alone, micrographs, tmp_path):
    again = DeepPicker.load(alone.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.pick(micrographs[5]), alone.pick(micrographs[5]))
    assert (again.threshold_, again.contrast_, again.diameter_) == (alone.threshold_, "dark", DIAMETER)


def test_same_seed_same_picks(hasty, micrographs, labels):
    again = DeepPicker(**TINY).fit(micrographs[:3], labels)
    pd.testing.assert_frame_equal(again.pick(micrographs[4], threshold=0), hasty.pick(micrographs[4], threshold=0))


def test_nothing_to_learn_from():
    for labels in (None, pd.DataFrame({"micrograph": [], "x": [], "y": [], "view": []})):
        with pytest.raises(PickerError, match="no micrographs"):
            DeepPicker().fit([], labels)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("pretrain", "yes"), ("pretrain", 1), ("training", "fast"), ("stride", 3), ("stride", True)),
        *(("rounds", -1), ("boxes", 0), ("epochs", 0), ("width", 0), ("max_micrographs", 0), ("diameter", 2)),
    ],
)
def test_senseless_settings_are_named(setting, value):
    with pytest.raises(CryokitError, match=setting):
        DeepPicker(**{setting: value})
