"""The compact network and picking with it."""

import itertools

import numpy as np
import pytest

from cryokit.coordinates import table
from cryokit.imaging import Frame, Picture
from cryokit.networks import create
from cryokit.networks.scoring import ScoreMap
from cryokit.pickers import compact_picking as compact


def test_size_window_and_stride():
    config = create("compact")
    network = config.build()
    assert config.classes == ("particle", "background")
    assert 50_000 < network.count_params() < 200_000
    # What is said about the geometry is what the layers do.
    assert network.compute_output_shape((1, config.window, config.window, 1)) == (1, 1, 1, 2)
    with pytest.raises(ValueError, match=r"."):
        network.compute_output_shape((1, config.window - 1, config.window, 1))
    step = config.window + config.stride
    assert network.compute_output_shape((1, step, step - 1, 1)) == (1, 2, 1, 2)


def test_a_network_that_locates_has_two_more_outputs():
    network = create("compact", width=0.25, locates=True).build()
    outputs = network.predict_on_batch(np.random.default_rng(0).normal(size=(2, 90, 94, 1)).astype(np.float32))
    assert outputs.shape == (2, 6, 7, 4)
    np.testing.assert_allclose(outputs[..., :2].sum(axis=-1), 1, atol=1e-5)


def test_same_seed_same_weights():
    first, again, other = (create("compact", seed=seed, width=0.25).build() for seed in (1, 1, 2))
    picture = np.random.default_rng(0).normal(size=(1, 90, 90, 1)).astype(np.float32)
    outputs = [network.predict_on_batch(picture) for network in (first, again, other)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])


@pytest.fixture(scope="module")
def blobs():
    """Return two prepared pictures with bright blobs of 28 pixels in noise, and their labels."""
    rng = np.random.default_rng(7)
    made = []
    for name in ("a", "b"):
        image = rng.normal(size=(330, 360)).astype(np.float32)
        grid = np.stack(np.meshgrid(np.arange(20, 360, 45.0), np.arange(15, 330, 45.0)), axis=-1).reshape(-1, 2)
        grid = grid[rng.random(len(grid)) < 0.5] + rng.uniform(-6, 6, (1, 2))
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        for cx, cy in grid:
            image += 2.5 * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / (2 * 6.0**2)))
        picture = Picture(np.clip(image, -5, 5), Frame(image.shape, (800, 900), 100.5, 50.5, 2.0, 2.0))
        sx, sy = picture.frame.to_source(grid[:, 0], grid[:, 1])
        made.append((picture, table(name, sx, sy, diameter=56)))
    return made


@pytest.mark.slow
def test_learns_from_one_picture_and_finds_the_same_on_another(blobs):
    config = create("compact", width=0.25)
    network = config.build()
    (first, labels), (second, truth) = blobs
    compact.teach(network, config, [first], [labels], steps=200, rate=3e-3, seed=0)
    scores = compact.score_map(network, config, second)
    picks = compact.candidates(scores, second.frame, "b", 56.0, least=0.5)
    distance = np.hypot(
        picks["x"].to_numpy()[:, None] - truth["x"].to_numpy(), picks["y"].to_numpy()[:, None] - truth["y"].to_numpy()
    )
    assert (distance.min(axis=1) < 14).mean() > 0.9
    assert (distance.min(axis=0) < 14).mean() > 0.9
    # Blobs that the border cuts are among them.
    cut = (truth["y"] < 50 + 2 * 20) | (truth["x"] < 100 + 2 * 25)
    assert cut.any()
    assert (distance.min(axis=0)[cut.to_numpy()] < 14).mean() > 0.6


def test_centres_are_the_mean_of_what_the_positions_tell():
    scores = np.zeros((20, 24, 2), np.float32)
    lattice = np.stack(np.meshgrid(np.arange(24), np.arange(20)), -1)
    scores[8:12, 9:13, 0] = 0.9
    offsets = (np.array([10.7, 9.6]) - lattice).astype(np.float32)
    made = ScoreMap(scores, ("particle", "background"), Frame.whole((20, 24)), offsets)
    x, y = made.located(np.array([11.0]), np.array([9.0]), 2.0)
    assert (x[0], y[0]) == pytest.approx((10.7, 9.6), abs=1e-4)
    # Where nothing is told, peaks stay.
    plain = ScoreMap(scores, ("particle", "background"), Frame.whole((20, 24)))
    assert [place.tolist() for place in plain.located(np.array([3.5]), np.array([4.5]), 2.0)] == [[3.5], [4.5]]
    assert made.located(np.array([]), np.array([]), 2.0)[0].size == 0


def test_adapting_goes_half_way_to_the_pictures(blobs):
    network = create("compact", width=0.25).build()
    learned = [weight.path for weight in network.trainable_weights]
    states = [{weight.path: np.array(weight) for weight in network.weights}]
    for _ in range(3):
        compact.adapt(network, [blobs[0][0]], seed=1)
        states.append({weight.path: np.array(weight) for weight in network.weights})
    for path in learned:  # nothing is trained
        np.testing.assert_array_equal(states[0][path], states[-1][path])
    first = next(path for path in states[0] if path.endswith("norm1/moving_variance"))
    steps = [np.abs(after[first] - before[first]) for before, after in itertools.pairwise(states)]
    np.testing.assert_allclose(steps[1], steps[0] / 2, rtol=1e-3)
    np.testing.assert_allclose(steps[2], steps[0] / 4, rtol=1e-3)


def test_the_same_seed_adapts_alike(blobs):
    networks = [create("compact", width=0.25).build() for _ in range(2)]
    for network in networks:
        compact.adapt(network, [blobs[0][0]], seed=3)
    for one, other in zip(*(network.get_weights() for network in networks), strict=True):
        np.testing.assert_array_equal(one, other)


def map_of(scores, classes, frame):
    """Return a score map with a position every 4 pixels of a picture, the first one at 1.5, in the micrograph."""
    lattice = Frame(scores.shape[:2], frame.shape, 1.5, 1.5, 4.0, 4.0)
    return ScoreMap(scores, classes, lattice).within(frame)


def test_positions_go_back_to_the_micrograph_as_stored():
    frame = Frame((100, 120), (340, 420), 41.0, 21.0, 3.0, 3.0)
    scores = np.zeros((25, 30, 2), np.float32)
    scores[10, 20, 0] = 1
    picks = compact.candidates(map_of(scores, ("particle", "background"), frame), frame, "m", 84.0)
    (pick,) = picks.itertuples()
    assert (pick.x, pick.y) == pytest.approx((41 + 3 * (1.5 + 80), 21 + 3 * (1.5 + 40)))
    assert pick.diameter == 84


def test_margin_leaves_out_what_the_border_cuts():
    frame = Frame.whole((100, 120))
    scores = np.zeros((25, 30, 2), np.float32)
    scores[10, 2, 0] = scores[12, 15, 0] = 1
    found = map_of(scores, ("particle", "background"), frame)
    assert len(compact.candidates(found, frame, "m", 28.0)) == 2
    (pick,) = compact.candidates(found, frame, "m", 28.0, margin=0.5).itertuples()
    assert pick.x == pytest.approx(61.5)


def test_views_follow_the_likeliest_particle_class():
    frame = Frame.whole((100, 120))
    scores = np.zeros((25, 30, 3), np.float32)
    scores[5, 5] = (0.7, 0.2, 0.1)
    scores[15, 20] = (0.2, 0.6, 0.2)
    picks = compact.candidates(map_of(scores, ("top", "side", "background"), frame), frame, "m", 28.0)
    assert picks["view"].tolist() == ["top", "side"]
