"""The picker `eman2_cnn`: its references, its two networks, and what it finds."""

import numpy as np
import pandas as pd
import pytest
from judging import judged

from cryokit.errors import CryokitError, PickerError
from cryokit.micrograph import Micrograph
from cryokit.pickers import eman2_cnn
from cryokit.pickers.eman2_cnn import BOX_DIAMETERS, Eman2CnnPicker
from cryokit.pickers.labelled import Scene

DIAMETER = 50.0  # of simulated ribosomes
SMALL = dict(box=20, filters=8, rotated=200, epochs=12)
TINY = dict(box=16, filters=2, rotated=20, epochs=1)


@pytest.fixture(scope="module")
def picker(micrographs, labels):
    return Eman2CnnPicker(**SMALL).fit(micrographs[:4], labels)


def scene(seed=0, shape=(200, 240), spots=((60, 50), (150, 120), (90, 150)), ignored=()):
    """A scene of noise with a few dark spots."""
    picture = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    row, column = np.mgrid[: shape[0], : shape[1]]
    for x, y in (*spots, *ignored):
        picture -= 2 * np.exp(-0.5 * ((column - x) ** 2 + (row - y) ** 2) / 25)
    return Scene(
        "scene", picture, np.array(spots, float).reshape(-1, 2), np.array([]), np.array(ignored, float).reshape(-1, 2)
    )


def test_it_picks_micrographs_that_it_has_not_seen(picker, micrographs, labels):
    picks, result = judged(picker, micrographs[4:], labels)
    assert result.f1 > 0.8
    true = result.picks[result.picks["outcome"] == "true"]
    assert true["distance"].median() < 0.08 * DIAMETER
    assert picks["score"].between(picker.threshold_, 1).all()
    assert picker.pick(micrographs[4])["score"].is_monotonic_decreasing


def test_it_has_both_networks_and_tells_its_references(picker):
    assert set(picker.model_.companions) == {"judge"}
    told = " ".join(picker.decisions_)
    for kind in ("good", "background", "bad"):
        assert kind in told
    losses = picker.model_.provenance["losses"]
    assert set(losses) == {"finder", "judge"}
    assert losses["finder"][-1] < 0.5 * losses["finder"][0]
    assert losses["judge"][-1] < losses["judge"][0]


def test_the_second_network_only_rejects(picker, micrographs):
    with_judge = picker.pick(micrographs[4], threshold=0)
    companions, picker.model_.companions = picker.model_.companions, {}
    try:
        without = picker.pick(micrographs[4], threshold=0)
    finally:
        picker.model_.companions = companions
    kept = without.merge(with_judge, on=["x", "y", "score"])
    assert len(kept) == len(with_judge) <= len(without)


def test_the_second_network_can_reject_everything(picker, micrographs, monkeypatch):
    assert len(picker.pick(micrographs[4], threshold=0))
    monkeypatch.setattr(eman2_cnn, "GOOD", np.inf)
    assert not len(picker.pick(micrographs[4], threshold=0))


def test_a_candidate_needs_the_deviations_and_the_score(picker, micrographs):
    everything = picker.pick(micrographs[4], threshold=0)
    assert set(map(tuple, picker.pick(micrographs[4])[["x", "y"]].to_numpy())) == set(
        map(tuple, everything.loc[everything["score"] >= picker.threshold_, ["x", "y"]].to_numpy())
    )
    before = picker.deviations
    picker.deviations = 4.0
    try:
        fewer = picker.pick(micrographs[4], threshold=0)
    finally:
        picker.deviations = before
    assert len(fewer) < len(everything)
    assert fewer["score"].min() > everything["score"].min()


def test_same_seed_same_picks_and_a_saved_picker_picks_the_same(micrographs, labels, tmp_path):
    one, other = (Eman2CnnPicker(**TINY).fit(micrographs[:2], labels) for _ in range(2))
    picks = one.pick(micrographs[4], threshold=0)
    pd.testing.assert_frame_equal(picks, other.pick(micrographs[4], threshold=0), check_exact=True)
    loaded = Eman2CnnPicker.load(one.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(picks, loaded.pick(micrographs[4], threshold=0), check_exact=True)
    assert loaded.threshold_ == one.threshold_
    assert loaded.decisions_ == one.decisions_


def test_references_are_rotated_to_as_many_as_asked_for():
    picker = Eman2CnnPicker(box=20, rotated=50)
    scenes = [scene()]
    boxes = picker._boxes([scenes[0].picture], [scenes[0].particles], np.random.default_rng(0))
    assert boxes.shape == (50, 20, 20, 1)
    # The middle stays the middle, whatever the angle: a spot is dark in each of them.
    middle = boxes[:, 8:12, 8:12].mean(axis=(1, 2, 3))
    corners = boxes[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=(1, 2))
    assert (middle < corners - 0.5).all()
    assert not np.allclose(boxes[0], boxes[3])


def test_a_rotation_by_no_angle_is_the_box_itself(monkeypatch):
    class Still:
        def uniform(self, low, high, shape):
            return np.zeros(shape)

    picker = Eman2CnnPicker(box=20, rotated=5)
    picture = scene().picture
    boxes = picker._boxes([picture], [np.array([[59.5, 49.5]])], Still())
    np.testing.assert_allclose(boxes[0, ..., 0], np.clip(picture[40:60, 50:70], -4, 4), atol=1e-3)


def test_the_blob_is_at_the_middle_of_the_box():
    blob = Eman2CnnPicker(box=32)._blob()[..., 0]
    assert blob.shape == (16, 16)
    np.testing.assert_allclose(blob, blob[::-1, ::-1], atol=1e-6)
    assert 0.8 < blob.max() <= 1
    # EMAN2's standard deviation: 5 positions of 32, so 2.5 of 16.
    line = blob[8] / blob[8].sum()
    assert np.sqrt((line * (np.arange(16) - 7.5) ** 2).sum()) == pytest.approx(2.5, rel=0.05)


def test_ignored_labels_are_bad_references(micrographs, labels):
    chosen = labels[labels["micrograph"] == micrographs[0].name]
    particles = chosen[chosen["view"] != "ignore"]
    marked = particles.copy()
    marked.loc[marked.index[:6], "view"] = "ignore"
    picker = Eman2CnnPicker(**TINY, deviations=10.0).fit(micrographs[:1], marked)
    # With such a threshold there are no false candidates; what is bad is what the labels ignore.
    assert picker.model_.provenance["references"]["bad"] == 6
    assert picker.model_.provenance["references"]["good"] == len(particles) - 6


def test_without_bad_references_all_candidates_are_kept(micrographs, labels, tmp_path):
    particles = labels[labels["view"] != "ignore"]
    picker = Eman2CnnPicker(**TINY, deviations=10.0).fit(micrographs[:1], particles)
    assert picker.model_.companions == {}
    assert "all candidates are kept" in " ".join(picker.decisions_)
    loaded = Eman2CnnPicker.load(picker.save(tmp_path / "model"))
    assert loaded.model_.companions == {}


def test_fewer_than_five_references_are_too_few(micrographs, labels):
    few = labels[(labels["micrograph"] == micrographs[0].name) & (labels["view"] != "ignore")].head(4)
    with pytest.raises(PickerError, match="4 good references"):
        Eman2CnnPicker(**TINY).fit(micrographs[:1], few)


def test_the_published_size_is_a_setting():
    picker = Eman2CnnPicker(box=64)
    config = picker._config(mean=False)
    assert (config.kernel, config.filters) == (15, 20)
    assert picker.working_diameter * BOX_DIAMETERS == picker.window == 64


@pytest.mark.parametrize(
    "settings", [{"references": 4}, {"rotated": 0}, {"deviations": -1}, {"epochs": 0}, {"box": 31}]
)
def test_settings_that_make_no_sense_are_named(settings):
    with pytest.raises(CryokitError, match=next(iter(settings))):
        Eman2CnnPicker(**settings)


def test_an_even_micrograph_has_no_picks(picker):
    flat = Micrograph(np.full((448, 448), 7.0, np.float32), name="flat")
    assert len(picker.pick(flat)) == 0
