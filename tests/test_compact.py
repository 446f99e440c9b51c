"""The compact network and picking with it."""

import numpy as np
import pytest
from cryokit.imaging.prepared import Prepared

from cryokit.coordinates import table
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
        prepared = Prepared(np.clip(image, -5, 5), (660, 720), 100, 50, 28.0)
        sx, sy = prepared.to_micrograph(grid[:, 0], grid[:, 1])
        made.append((prepared, table(name, sx, sy, diameter=56)))
    return made


def test_learns_from_one_picture_and_finds_the_same_on_another(blobs):
    config = create("compact", width=0.25)
    network = config.build()
    (first, labels), (second, truth) = blobs
    compact.teach(network, config, [first], [labels], steps=250, rate=3e-3, seed=0, progress=False)
    scores = compact.score_map(network, config, second)
    picks = compact.candidates(scores, second, "b", 56.0, least=0.5)
    distance = np.hypot(
        picks["x"].to_numpy()[:, None] - truth["x"].to_numpy(), picks["y"].to_numpy()[:, None] - truth["y"].to_numpy()
    )
    assert (distance.min(axis=1) < 14).mean() > 0.9
    assert (distance.min(axis=0) < 14).mean() > 0.9
    # Blobs that the border cuts are among them.
    cut = (truth["y"] < 50 + 2 * 20) | (truth["x"] < 100 + 2 * 25)
    assert cut.any()
    assert (distance.min(axis=0)[cut.to_numpy()] < 14).mean() > 0.6


def test_positions_go_back_to_the_micrograph_as_stored():
    prepared = Prepared(np.zeros((100, 120), np.float32), (300, 360), 40, 20, 28.0)
    scores = np.zeros((25, 30, 2), np.float32)
    scores[10, 20, 0] = 1
    found = ScoreMap(scores, ("particle", "background"), x0=-0.5, y0=-0.5, step=4)
    (pick,) = compact.candidates(found, prepared, "m", 84.0).itertuples()
    # Position 20 of the map is at 79.5 in the picture, whose pixels are three of the micrograph.
    assert (pick.x, pick.y) == pytest.approx((80 * 3 - 0.5 + 40, 40 * 3 - 0.5 + 20))
    assert pick.diameter == 84


def test_margin_leaves_out_what_the_border_cuts():
    prepared = Prepared(np.zeros((100, 120), np.float32), (100, 120), 0, 0, 28.0)
    scores = np.zeros((25, 30, 2), np.float32)
    scores[10, 2, 0] = scores[12, 15, 0] = 1
    found = ScoreMap(scores, ("particle", "background"), x0=1.5, y0=1.5, step=4)
    assert len(compact.candidates(found, prepared, "m", 28.0)) == 2
    (pick,) = compact.candidates(found, prepared, "m", 28.0, margin=0.5).itertuples()
    assert pick.x == pytest.approx(61.5)


def test_views_follow_the_likeliest_particle_class():
    prepared = Prepared(np.zeros((100, 120), np.float32), (100, 120), 0, 0, 28.0)
    scores = np.zeros((25, 30, 3), np.float32)
    scores[5, 5] = (0.7, 0.2, 0.1)
    scores[15, 20] = (0.2, 0.6, 0.2)
    found = ScoreMap(scores, ("top", "side", "background"), x0=0, y0=0, step=4)
    picks = compact.candidates(found, prepared, "m", 28.0)
    assert picks["view"].tolist() == ["top", "side"]
