"""The picker `deepem`: what it learns from labels, from its mistakes, and what it finds."""

import numpy as np
import pandas as pd
import pytest
from judging import judged

from cryokit.errors import CryokitError, PickerError
from cryokit.networks import training
from cryokit.networks.describe import layers
from cryokit.networks.scoring import dense, sliding
from cryokit.pickers import boxes as examples
from cryokit.pickers.deepem import DeepEM
from cryokit.pickers.labelled import Scene

DIAMETER = 50.0  # of simulated ribosomes
TINY = dict(box=41, boxes=16, epochs=1, rounds=1, stride=12)


@pytest.fixture(scope="module")
def picker(micrographs, labels):
    """Trained on four micrographs, of which one tells the threshold; two more it has not seen."""
    return DeepEM(boxes=120, epochs=6).fit(micrographs[:4], labels)


@pytest.fixture(scope="module")
def hasty(micrographs, labels):
    return DeepEM(**TINY).fit(micrographs[:3], labels)


def test_it_picks_micrographs_that_it_has_not_seen(picker, micrographs, labels):
    picks, result = judged(picker, micrographs[4:], labels)
    assert result.f1 > 0.8
    assert (picks["diameter"] == DIAMETER).all()
    assert picks["score"].between(picker.threshold_, 1).all()


def test_it_learns_from_its_mistakes(picker):
    assert len(picker.histories_) == 2
    (told,) = [each for each in picker.decisions_ if "false pick" in each]
    assert told.startswith("round 2: ")
    trainings = picker.model_.provenance["trainings"]
    assert [each["epochs"] for each in trainings] == [6, 6]


def test_its_mistakes_are_among_the_negatives_of_the_next_round(micrographs, labels, monkeypatch):
    shown = []
    real = training.train

    def recorded(network, samples, *rest, **more):
        shown.append((int((samples.y == 0).sum()), int((samples.y == 1).sum())))
        return real(network, samples, *rest, **more)

    monkeypatch.setattr(training, "train", recorded)
    monkeypatch.setattr(DeepEM, "_mistakes", lambda self, scenes: np.zeros((7, 41, 41, 1), np.float32))
    DeepEM(**TINY | {"rounds": 2}).fit(micrographs[:2], labels)
    (good, bad), (still, more) = shown
    assert still == good
    assert more - bad == 4 * 7  # each in four rotations


def test_mistakes_are_picks_that_are_on_nothing_known(picker, micrographs):
    picture, _ = picker._prepare(micrographs[4])
    found = picker._find(picture, 0.6)
    places, nothing, nobody = np.column_stack([found.x, found.y]), np.empty(0, object), np.empty((0, 2))
    assert len(places) > 4
    near = places[1:] + 0.3 * picker.working_diameter / np.sqrt(2)
    for particles, ignored, expected in (
        (nobody, nobody, places),
        (near, nobody, places[:1]),
        (nobody, near, places[:1]),
        (places[:1] + 0.5 * picker.working_diameter, places[1:], places[:1]),
    ):
        boxes = picker._mistakes([Scene("known", picture, particles, nothing, ignored)])
        np.testing.assert_array_equal(boxes, examples.cut(picture, expected, picker.box))


def test_one_window_after_the_other_gives_the_same_scores(picker, micrographs):
    picture, _ = picker._prepare(micrographs[4])
    found = picker._find(picture, 0.5)
    column, row = (max(0, int(each[0]) - 45) for each in (found.x, found.y))
    part = picture[row : row + 90, column : column + 100]
    whole, single = (score(part, picker.model_, stride=6) for score in (dense, sliding))
    assert np.ptp(single.particle) > 0.1
    np.testing.assert_allclose(whole.scores, single.scores, atol=1e-4)


def test_the_best_picks_are_kept(picker, micrographs):
    every = picker.pick(micrographs[4], threshold=0)
    picker.most = 5
    try:
        few = picker.pick(micrographs[4], threshold=0)
    finally:
        picker.most = 2000
    assert len(every) > 5
    pd.testing.assert_frame_equal(few, every[:5])


def test_a_saved_picker_picks_the_same(hasty, micrographs, tmp_path):
    again = DeepEM.load(hasty.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.pick(micrographs[5], threshold=0), hasty.pick(micrographs[5], threshold=0))
    assert again.threshold_ == hasty.threshold_
    assert (again.box, again.stride) == (41, 12)


def test_same_seed_same_picks(hasty, micrographs, labels):
    again = DeepEM(**TINY).fit(micrographs[:3], labels)
    pd.testing.assert_frame_equal(again.pick(micrographs[4], threshold=0), hasty.pick(micrographs[4], threshold=0))


def test_the_published_size_is_a_setting():
    picker = DeepEM(box=272)
    assert picker.working_diameter == pytest.approx(170)
    assert picker.window == 272
    table = layers(picker._config.build()).set_index("name")
    assert table["output_shape"]["C1"] == (222, 222, 6)
    assert table["parameters"].sum() == 51**2 * 6 + 6 + 20**2 * 72 + 12 + 10**2 * 144 + 12 + 9**2 * 12 + 1


def test_labels_are_needed(micrographs):
    with pytest.raises(PickerError, match="learns from labels"):
        DeepEM().fit(micrographs)


# --- boxes, for all pickers that learn from them -------------------------------------------------------------------


def scene(particles, *, ignored=(), shape=(200, 240), seed=0):
    picture = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    particles, ignored = (np.array(places, float).reshape(-1, 2) for places in (particles, ignored))
    return Scene(f"scene{seed}", picture, particles, np.full(len(particles), ""), ignored)


@pytest.mark.parametrize("size", [41, 42])
def test_boxes_are_what_is_scored_there(size):
    """At the borders, too, and for windows of an even side, whose centre is between pixels."""
    import keras

    inputs = keras.Input((size, size, 1))
    network = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs)))
    picture = scene([]).picture[:50, :60]
    scores = sliding(picture, network, stride=7)
    row, column = (each.ravel() for each in np.indices(scores.scores.shape[:2]))
    x, y = scores.to_image(row, column)
    boxes = examples.cut(picture, np.column_stack([x, y]), size)
    np.testing.assert_allclose(network.predict_on_batch(boxes), scores.scores.reshape(-1, 2), atol=1e-5)
    nearby = examples.cut(picture, np.column_stack([x + 0.49, y - 0.49]), size)
    np.testing.assert_array_equal(nearby, boxes)


def test_boxes_of_particles():
    scenes = [scene([(50, 60), (120, 90)]), scene([(100, 100)], seed=1), scene([], seed=2)]
    every = examples.particles(scenes, 15, None, np.random.default_rng(0))
    centres = sorted(float(each.picture[int(y), int(x)]) for each in scenes for x, y in each.particles)
    assert sorted(every[:, 7, 7, 0].tolist()) == centres
    # Each as often as another, the first time at its centre.
    more = examples.particles(scenes, 15, 9, np.random.default_rng(0), shift=3)
    assert sorted(more[:3, 7, 7, 0].tolist()) == centres
    assert len(more) == 9
    for value in centres:
        seen = [np.argwhere(box[..., 0] == np.float32(value)) for box in more]
        offsets = np.array([place[0] - 7 for place in seen if len(place)])
        assert len(offsets) == 3
        assert (np.hypot(*offsets.T) <= 3 + np.sqrt(0.5)).all()
    assert examples.particles(scenes[2:], 15, 9, np.random.default_rng(0)).shape == (0, 15, 15, 1)


def test_boxes_of_background_are_on_no_particle():
    scenes = [scene([(50, 60)], ignored=[(150, 90)]), scene([(100, 100)], seed=1)]
    boxes = examples.background(scenes, 3, 101, 40.0, np.random.default_rng(0))
    assert boxes.shape == (101, 3, 3, 1)
    shares = []
    for each in scenes:
        row, column = np.nonzero(np.isin(each.picture, boxes[:, 1, 1, 0]))
        shares.append(len(row))
        for x, y in each.occupied:
            assert np.hypot(column - x, row - y).min() > 0.4 * 40 - 1
    assert min(shares) > 45


def test_whitened_boxes():
    boxes = np.random.default_rng(0).normal(3, 5, (4, 9, 9, 1))
    boxes[1] = 7
    white = examples.whitened(boxes)
    np.testing.assert_allclose(white.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(white.std(axis=(1, 2, 3)), [1, 0, 1, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("box", 8), ("boxes", 0), ("rounds", 0), ("epochs", 1.5), ("batch_size", 0), ("learning_rate", 0)),
        *(("dropout", 1), ("stride", 5), ("stride", True), ("most", 0), ("validation", 0.9), ("seed", -1)),
    ],
)
def test_senseless_settings_are_named(setting, value):
    with pytest.raises(CryokitError, match=setting):
        DeepEM(**{setting: value})
