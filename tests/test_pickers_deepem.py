"""The picker `deepem`: what it learns from labels and from its mistakes, and what it finds."""

import numpy as np
import pandas as pd
import pytest
from judging import assert_windows_one_by_one_score_the_same, judged
from scenes import scene
from tiny_pickers import TINY

from cryokit.errors import PickerError
from cryokit.networks.describe import layers
from cryokit.pickers import boxes as examples
from cryokit.pickers.deepem import DeepEM

DIAMETER = 50.0  # of simulated ribosomes


@pytest.fixture(scope="module")
def picker(micrographs, labels):
    """Trained on four micrographs, of which one tells the threshold; two more it has not seen."""
    return DeepEM(box=41, boxes=100, epochs=5).fit(micrographs[:4], labels)


@pytest.mark.slow
def test_it_picks_micrographs_that_it_has_not_seen(picker, micrographs, labels):
    picks, result = judged(picker, micrographs[4:], labels)
    assert result.f1 > 0.8
    assert (picks["diameter"] == DIAMETER).all()
    assert picks["score"].between(picker.threshold_, 1).all()


@pytest.mark.slow
def test_it_learns_from_its_mistakes(picker):
    assert len(picker.histories_) == 2
    assert sum("round 2" in decision for decision in picker.decisions_) == 1
    assert [training["epochs"] for training in picker.model_.provenance["trainings"]] == [5, 5]


def test_its_mistakes_are_among_the_negatives_of_the_next_round(micrographs, labels, monkeypatch):
    shown = []

    def noted(self, network, samples, settings, seed):
        shown.append((int((samples.y == 0).sum()), int((samples.y == 1).sum())))

    monkeypatch.setattr(DeepEM, "_train", noted)
    monkeypatch.setattr(DeepEM, "_false_picks", lambda self, scenes: np.zeros((7, 41, 41, 1), np.float32))
    DeepEM(**TINY["deepem"] | {"rounds": 2}).fit(micrographs[:2], labels)
    (good, bad), (still, more) = shown
    assert still == good
    assert more - bad == 4 * 7  # each in four rotations


@pytest.mark.slow
def test_mistakes_are_picks_that_are_on_nothing_known(picker, micrographs):
    picture, _ = picker._prepare(micrographs[4])
    places, nobody = picker._find(picture, 0.6).places, ()
    assert len(places) > 4
    near = places[1:] + 0.3 * picker.working_diameter / np.sqrt(2)
    for particles, ignored, expected in (
        (nobody, nobody, places),
        (near, nobody, places[:1]),
        (nobody, near, places[:1]),
        (places[:1] + 0.5 * picker.working_diameter, places[1:], places[:1]),
    ):
        boxes = picker._false_picks([scene(particles, ignored, picture=picture)])
        np.testing.assert_array_equal(boxes, examples.cut(picture, expected, picker.box))


@pytest.mark.slow
def test_one_window_after_the_other_gives_the_same_scores(picker, micrographs):
    assert_windows_one_by_one_score_the_same(picker, micrographs[4], (60, 66), stride=6)


@pytest.mark.slow
def test_the_best_picks_are_kept(picker, micrographs, monkeypatch):
    picks = picker.pick(micrographs[4], threshold=0)
    assert len(picks) > 5
    monkeypatch.setattr(picker, "most", 5)
    pd.testing.assert_frame_equal(picker.pick(micrographs[4], threshold=0), picks[:5])


def test_the_published_size_is_a_setting():
    picker = DeepEM(box=272)
    assert picker.working_diameter == pytest.approx(170)
    assert picker.window == 272
    table = layers(picker._config.build()).set_index("name")
    assert table["output_shape"]["C1"] == (222, 222, 6)
    assert table["parameters"].sum() == 51**2 * 6 + 6 + 20**2 * 72 + 12 + 10**2 * 144 + 12 + 9**2 * 12 + 1


def test_labels_are_needed(micrographs):
    with pytest.raises(PickerError, match="deepem"):
        DeepEM().fit(micrographs)
