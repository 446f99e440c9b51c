"""The picker `eman2_cnn`: its references, its two networks, and what it finds."""

import numpy as np
import pytest
import tiny_pickers
from judging import assert_finds_particles
from scenes import scene

from cryokit.errors import PickerError
from cryokit.micrograph import Micrograph
from cryokit.pickers import eman2_cnn
from cryokit.pickers.eman2_cnn import Eman2CnnPicker

DIAMETER = 50.0  # of simulated ribosomes
SMALL = dict(box=20, filters=8, rotated=200, epochs=12)
TINY = tiny_pickers.TINY["eman2_cnn"]


@pytest.fixture(scope="module")
def picker(micrographs, labels):
    return Eman2CnnPicker(**SMALL).fit(micrographs[:4], labels)


@pytest.fixture
def spots():
    """A scene of noise with a few dark spots."""
    places = ((60, 50), (150, 120), (90, 150))
    picture = np.random.default_rng(0).normal(size=(200, 240)).astype(np.float32)
    row, column = np.indices(picture.shape)
    for x, y in places:
        picture -= 2 * np.exp(-0.5 * ((column - x) ** 2 + (row - y) ** 2) / 25)
    return scene(places, picture=picture)


@pytest.mark.slow
def test_it_picks_micrographs_that_it_has_not_seen(picker, micrographs, labels):
    assert_finds_particles(picker, micrographs[4:], labels, off_centre=0.08 * DIAMETER)
    assert picker.pick(micrographs[4])["score"].is_monotonic_decreasing


@pytest.mark.slow
def test_it_has_both_networks_and_tells_its_references(picker):
    assert set(picker.model_.companions) == {"judge"}
    assert set(picker.model_.provenance["references"]) == {"good", "background", "bad"}
    for history in picker.histories_:
        losses = history.table["loss"].to_numpy()
        assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_the_second_network_only_rejects(picker, micrographs, monkeypatch):
    with_judge = picker.pick(micrographs[4], threshold=0)
    monkeypatch.setattr(picker.model_, "companions", {})
    without = picker.pick(micrographs[4], threshold=0)
    kept = without.merge(with_judge, on=["x", "y", "score"])
    assert len(kept) == len(with_judge) <= len(without)


@pytest.mark.slow
def test_the_second_network_can_reject_everything(picker, micrographs, monkeypatch):
    assert len(picker.pick(micrographs[4], threshold=0))
    monkeypatch.setattr(eman2_cnn, "GOOD", np.inf)
    assert not len(picker.pick(micrographs[4], threshold=0))


@pytest.mark.slow
def test_a_candidate_needs_the_deviations_and_the_score(picker, micrographs, monkeypatch):
    everything = picker.pick(micrographs[4], threshold=0)
    best = everything[everything["score"] >= picker.threshold_]
    assert picker.pick(micrographs[4])[["x", "y"]].to_numpy().tolist() == best[["x", "y"]].to_numpy().tolist()
    monkeypatch.setattr(picker, "deviations", 4.0)
    fewer = picker.pick(micrographs[4], threshold=0)
    assert len(fewer) < len(everything)
    assert fewer["score"].min() > everything["score"].min()


def test_references_are_rotated_to_as_many_as_asked_for(spots):
    boxes = Eman2CnnPicker(box=20, rotated=50)._boxes([spots], [spots.particles], np.random.default_rng(0))
    assert boxes.shape == (50, 20, 20, 1)
    # The middle stays the middle, whatever the angle: a spot is dark in each of them.
    middle = boxes[:, 8:12, 8:12].mean(axis=(1, 2, 3))
    corners = boxes[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=(1, 2))
    assert (middle < corners - 0.5).all()
    assert not np.allclose(boxes[0], boxes[3])


def test_a_rotation_by_no_angle_is_the_box_itself(spots):
    class Still:
        def uniform(self, low, high, shape):
            return np.zeros(shape)

    boxes = Eman2CnnPicker(box=20, rotated=5)._boxes([spots], [np.array([[59.5, 49.5]])], Still())
    np.testing.assert_allclose(boxes[0, ..., 0], np.clip(spots.picture[40:60, 50:70], -4, 4), atol=1e-3)


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
    assert picker.model_.provenance["references"]["bad"] < 5
    assert picker.model_.companions == {}
    assert Eman2CnnPicker.load(picker.save(tmp_path / "model")).model_.companions == {}


def test_fewer_than_five_references_are_too_few(micrographs, labels):
    few = labels[(labels["micrograph"] == micrographs[0].name) & (labels["view"] != "ignore")].head(4)
    with pytest.raises(PickerError, match="4 good"):
        Eman2CnnPicker(**TINY).fit(micrographs[:1], few)


def test_the_published_size_is_a_setting():
    picker = Eman2CnnPicker(box=64)
    assert (picker._config.kernel, picker._config.filters) == (15, 20)
    assert picker.working_diameter * 1.5 == picker.window == 64


@pytest.mark.slow
def test_an_even_micrograph_has_no_picks(picker):
    flat = Micrograph(np.full((448, 448), 7.0, np.float32), name="flat")
    assert len(picker.pick(flat)) == 0
