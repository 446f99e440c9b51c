"""Scores over whole pictures: windows one by one, and all at once."""

import sys

import keras
import numpy as np
import pytest
from scipy import ndimage

from cryokit.errors import ArgumentError, ArgumentTypeError, PickerError
from cryokit.imaging.frame import Frame
from cryokit.micrograph import read
from cryokit.networks import Model, create
from cryokit.networks.scoring import ScoreMap, dense, sliding

THREE = ("top", "side", "background")
dense_module = sys.modules["cryokit.networks.scoring.dense"]  # `cryokit.networks.scoring.dense` is the function


@pytest.fixture(scope="module")
def image():
    """Blobs of many sizes in noise; its sides have no divisor in common with any stride."""
    rng = np.random.default_rng(11)
    noise = rng.normal(size=(317, 373))
    image = noise + sum(3 * s * ndimage.gaussian_filter(rng.normal(size=noise.shape), s) for s in (2, 6, 15))
    return (image / image.std()).astype(np.float32)


def lively(image):
    """A narrow network whose scores differ much from place to place, as those of a trained one do."""
    network = create("deepcryopicker", classes=THREE, padding="valid", width=0.05, seed=3).build()
    last = network.get_layer("O13")
    inner = keras.Model(network.input, network.get_layer("F12").output)
    windows = np.stack([image[r : r + 227, c : c + 227, None] for r in (0, 40, 90) for c in (0, 70, 146)])
    kernel = last.get_weights()[0]
    logits = inner.predict_on_batch(windows) @ kernel
    factor = 2 / logits.std(axis=0)
    last.set_weights([kernel * factor, -logits.mean(axis=0) * factor])
    return network


@pytest.fixture(scope="module")
def valid(image):
    return lively(image)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_dense_equals_sliding_without_padding_inside(image, valid, stride):
    one_by_one = sliding(image, valid, stride=stride, pad=stride > 8)
    for tile in (None, 227 + 3 * stride + 5):
        at_once = dense(image, valid, stride=stride, tile=tile, pad=stride > 8)
        assert at_once.frame == one_by_one.frame
        assert at_once.scores.dtype == np.float32
        np.testing.assert_allclose(at_once.scores, one_by_one.scores, atol=1e-5)
    assert one_by_one.scores.std(axis=(0, 1)).min() > 0.1  # there is something to tell apart
    np.testing.assert_allclose(one_by_one.scores.sum(axis=-1), 1, atol=1e-5)


def test_the_networks_own_stride_is_the_default(image, valid):
    assert dense(image, valid).frame.step == 32


def _scene(shape, spots, rng):
    """Noise with dark discs of 100 pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (rng.normal(size=shape) - sum(1.5 * (np.hypot(y - r, x - c) < 50) for r, c in spots)).astype(np.float32)


@pytest.fixture(scope="module")
def trained():
    """A narrow network of table 9's form, trained to tell discs in the middle of the window from others."""
    rng = np.random.default_rng(5)
    labels = np.arange(128) % 2
    patches = []
    for label in labels:
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(60, 140) if label else rng.uniform(0, 15)
        patches.append(_scene((227, 227), [(113 + far * np.sin(angle), 113 + far * np.cos(angle))], rng))
    classes = ("particle", "background")
    network = create("deepcryopicker", classes=classes, padding="same", width=0.05, seed=3).build()
    network.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    keras.utils.set_random_seed(0)
    network.fit(np.stack(patches)[..., None], labels, batch_size=16, epochs=5, verbose=0)
    return network


@pytest.mark.slow
def test_same_padding_is_approximated(trained):
    discs = [(130, 140), (150, 330), (300, 230)]
    scene = _scene((420, 460), discs, np.random.default_rng(6))
    one_by_one = sliding(scene, trained, stride=16, pad=False, classes=("particle", "background"))
    at_once = dense(scene, trained, stride=16, pad=False, classes=("particle", "background"))
    assert (at_once.frame.x0, at_once.frame.y0, at_once.scores.shape) == (113.0, 113.0, one_by_one.scores.shape)
    error = np.abs(at_once.scores - one_by_one.scores)
    agree = at_once.scores.argmax(axis=-1) == one_by_one.scores.argmax(axis=-1)
    assert np.isfinite(at_once.scores).all()
    assert error.max() > 1e-3  # it is an approximation,
    assert error.mean() < 0.08  # of a map that itself strays by several times that
    assert np.abs(one_by_one.scores - one_by_one.scores.mean(axis=(0, 1))).mean() > 0.16
    assert agree.mean() > 0.9
    for y, x in discs:
        at = round((y - 113) / 16), round((x - 113) / 16)
        assert one_by_one.particle[at] > 0.5
        assert at_once.particle[at] > 0.5
    tiled = dense(scene, trained, stride=16, pad=False, tile=420)
    np.testing.assert_allclose(tiled.scores, at_once.scores, atol=1e-5)  # the same wherever tiles end


def test_the_network_is_converted_once_and_stays_current(image, valid, monkeypatch):
    before = dense(image, valid, pad=False)
    monkeypatch.setattr(
        "cryokit.networks.fully_convolutional.fully_convolutional", None
    )  # a second conversion would fail
    kernel, bias = valid.get_layer("O13").get_weights()
    try:
        valid.get_layer("O13").set_weights([kernel, bias[::-1] + 1])
        after = dense(image, valid, pad=False)
        expected = sliding(image, valid, stride=32, pad=False)
    finally:
        valid.get_layer("O13").set_weights([kernel, bias])
    np.testing.assert_allclose(after.scores, expected.scores, atol=1e-5)
    assert np.abs(after.scores - before.scores).max() > 0.05


def test_three_channels_see_the_grey_image_three_times(image):
    network = create("deepcryopicker_valid", classes=THREE, channels=3, width=0.03).build()
    grey = create("deepcryopicker_valid", classes=THREE, channels=1, width=0.03).build()
    weights = network.get_weights()
    grey.set_weights([weights[0].sum(axis=2, keepdims=True), *weights[1:]])
    expected = sliding(image, grey, stride=64, pad=False).scores
    np.testing.assert_allclose(sliding(image, network, stride=64, pad=False).scores, expected, atol=1e-4)
    np.testing.assert_allclose(dense(image, network, pad=False).scores[::2, ::2], expected, atol=1e-4)


def lean(padding="valid", size=None):
    """A small network of convolutions throughout, like `compact`: strides, dilation, normalisation, a branch."""
    inputs = keras.Input((size, size, 1))
    tensor = keras.layers.Conv2D(6, 5, strides=2, padding=padding, kernel_initializer=_rule(1))(inputs)
    tensor = keras.layers.Activation("softplus")(keras.layers.BatchNormalization()(tensor))
    wide = keras.layers.Conv2D(6, 3, dilation_rate=2, padding=padding, kernel_initializer=_rule(2))(tensor)
    tensor = keras.layers.Add()([wide, keras.layers.Cropping2D(0 if padding == "same" else 2)(tensor)])
    tensor = keras.layers.Conv2D(8, 3, strides=2, padding=padding, activation="relu", kernel_initializer=_rule(3))(
        tensor
    )
    tensor = keras.layers.Conv2D(2, 3, padding=padding, activation="softmax", kernel_initializer=_rule(4))(tensor)
    return keras.Model(inputs, tensor)


def _rule(seed):
    return keras.initializers.HeNormal(seed=seed)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_fully_convolutional_network_in_tiles_gives_the_map_of_one_pass(image, padding):
    network = lean(padding)
    whole = dense(image, network)
    assert whole.frame.step == 4
    assert whole.scores.shape == (80, 94, 2)
    assert whole.scores[..., 0].std() > 0.05
    for tile in (60, 117, 250):
        tiled = dense(image, network, tile=tile)
        np.testing.assert_allclose(tiled.scores, whole.scores, atol=1e-5)
        assert tiled.frame == whole.frame
    # The network's own map of the image mirrored by numpy, away from the borders, where its own padding does not reach.
    centre = {"valid": 12.0, "same": 3.0}[padding]  # of what output 0 sees, from kernels, strides and padding
    before = next(size for size in range(48, 52) if (centre - size - whole.frame.x0) % 4 == 0)
    after = [48 - (side + before) % 4 for side in image.shape]  # sides are multiples of 4
    mirrored = np.pad(image, [(before, size) for size in after], mode="reflect")
    by_hand = network.predict_on_batch(mirrored[None, :, :, None])[0]
    first = int((whole.frame.x0 - centre + before) / 4)
    np.testing.assert_allclose(whole.scores, by_hand[first : first + 80, first : first + 94], atol=1e-5)


def test_a_valid_fully_convolutional_network_slides_too(image):
    network = lean()
    part = image[:83, :70]
    for pad in (True, False):
        at_once, one_by_one = dense(part, network, pad=pad), sliding(part, network, stride=4, pad=pad)
        assert at_once.frame == one_by_one.frame
        np.testing.assert_allclose(at_once.scores, one_by_one.scores, atol=1e-5)
    with pytest.raises(ArgumentError, match="dense"):
        sliding(part, lean("same"), stride=4)


def centred(side):
    """A network that finds the brightest pixel: of its window of `side` (odd) pixels it scores the middle alone."""
    inputs = keras.Input((side, side, 1))
    tensor = keras.layers.MaxPooling2D(1, strides=2)(inputs)
    pooled = (side + 1) // 2
    output = keras.layers.Dense(2, activation="softmax")
    network = keras.Model(inputs, output(keras.layers.Flatten()(tensor)))
    kernel = np.zeros((pooled**2, 2), np.float32)
    kernel[pooled**2 // 2, 0] = 1
    output.set_weights([kernel, np.zeros(2, np.float32)])
    return network


@pytest.mark.parametrize("pad", [True, False])
def test_positions_are_where_the_image_says(pad):
    image = np.zeros((50, 71), np.float32)
    network = centred(13)
    for score, stride in ((sliding, 1), (sliding, 2), (dense, 2), (dense, 1)):
        column, row = (20 if pad else 26), 16
        image[:] = 0
        image[row, column] = 9
        scored = score(image, network, stride=stride, pad=pad, classes=("particle", "background"))
        assert scored.scores.shape[:2] == tuple(
            -(-side // stride) if pad else (side - 13) // stride + 1 for side in image.shape
        )
        best = np.unravel_index(scored.particle.argmax(), scored.particle.shape)
        x, y = scored.frame.to_source(*best[::-1])
        assert (float(x), float(y)) == (column, row)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (40, 3)])
def test_images_smaller_than_the_window(valid, shape):
    small = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    at_once, one_by_one = dense(small, valid), sliding(small, valid, stride=32)
    assert at_once.scores.shape[:2] == tuple(-(-side // 32) for side in shape)
    np.testing.assert_allclose(at_once.scores, one_by_one.scores, atol=1e-5)
    with pytest.raises(ArgumentError, match=f"{shape[0]} x {shape[1]}.* 227"):
        dense(small, valid, pad=False)


def _watch(monkeypatch):
    """Note the shape of every batch that the network is given."""
    shapes = []

    def runner(network):
        run = original(network)

        def noted(batch):
            shapes.append(batch.shape)
            return run(batch)

        return noted

    original = dense_module.runner
    monkeypatch.setattr(dense_module, "runner", runner)
    return shapes


def test_tiles_bound_what_the_network_is_given(monkeypatch):
    shapes = _watch(monkeypatch)
    large = np.random.default_rng(0).normal(size=(900, 700)).astype(np.float32)
    network = lean()
    expected = dense(large, network, tile=1000)
    assert len(shapes) == 1
    shapes.clear()
    tiled = dense(large, network, tile=200)
    assert len(set(shapes)) == 1  # compiled once
    assert max(shapes[0][1:3]) <= 200
    assert len(shapes) <= 6 * 5
    np.testing.assert_allclose(tiled.scores, expected.scores, atol=1e-5)


def test_the_default_tile_follows_from_the_networks_activations(monkeypatch):
    shapes = _watch(monkeypatch)
    large = np.zeros((1500, 1500), np.float32)
    network = lean()
    # The largest two layers in a row: 6 and 6 channels at every other pixel, 4 bytes each; the first takes 4 pixels.
    monkeypatch.setattr(dense_module, "TILE_BYTES", (300 - 4) ** 2 * (6 + 6) / 2**2 * 4)
    dense(large, network)
    assert 250 < max(shapes[0][1:3]) <= 300
    # Less than one score takes: still one at a time.
    shapes.clear()
    monkeypatch.setattr(dense_module, "TILE_BYTES", 1)
    dense(large[:20, :20], network)
    assert set(shapes) == {(1, 25, 25, 1)}


def test_a_whole_model_brings_its_class_names(image):
    config = create("deepcryopicker_valid", classes=THREE, width=0.03)
    model = Model(config.build(), config, working_diameter=150, threshold=0.5, preprocessing={})
    for scored in (dense(image, model, pad=False), sliding(image, model, stride=64, pad=False)):
        assert scored.classes == THREE
        np.testing.assert_allclose(scored.particle, 1 - scored.scores[..., 2], atol=1e-5)
    nameless = dense(image, model.network, pad=False)
    assert nameless.classes == ("0", "1", "2")
    with pytest.raises(PickerError, match="classes"):
        nameless.particle  # noqa: B018
    with pytest.raises(ArgumentError, match=r"classes.* 3 "):
        dense(image, model.network, classes=("particle", "background"))


def test_score_maps_are_written_with_their_own_pixel_size(tmp_path):
    scores = np.random.default_rng(0).dirichlet((1, 1, 1), size=(6, 9)).astype(np.float32)
    scored = ScoreMap(scores, THREE, Frame((6, 9), (96, 144), 0.0, 0.0, 16.0, 16.0))
    scored.write_mrc(tmp_path / "scores.mrc", pixel_size=1.35)
    again = read(tmp_path / "scores.mrc")
    assert again.pixel_size == pytest.approx(16 * 1.35)
    np.testing.assert_allclose(again.data, scores[..., 0] + scores[..., 1], atol=1e-6)
    scored.write_mrc(tmp_path / "unknown.mrc")
    assert read(tmp_path / "unknown.mrc").pixel_size is None
    with pytest.raises(ArgumentError, match=r"scores\.png"):
        scored.write_mrc(tmp_path / "scores.png")


def test_wrong_arguments_are_named(image, valid):
    for stride in (0, 2.5):
        with pytest.raises(ArgumentError, match=f"stride .*{stride}"):
            sliding(image, valid, stride=stride)
    with pytest.raises(ArgumentTypeError, match=r"stride .*True"):
        sliding(image, valid, stride=True)
    with pytest.raises(ArgumentError, match=r"batch_size .*0"):
        sliding(image, valid, stride=32, batch_size=0)
    with pytest.raises(ArgumentError, match=r"stride .*5"):
        dense(image, valid, stride=5)
    with pytest.raises(ArgumentError, match=r"tile .*227.* 100"):
        dense(image, valid, tile=100)
    for score in (dense, lambda *arguments: sliding(*arguments, stride=32)):
        with pytest.raises(ArgumentError, match=r"\(1, 317, 373\)"):
            score(image[None], valid)
        with pytest.raises(ArgumentError, match="NaN"):
            score(np.where(image > 2, np.nan, image), valid)


def test_a_batch_that_is_not_full_changes_nothing(image, valid):
    full = sliding(image, valid, stride=32, pad=False, batch_size=3)
    np.testing.assert_allclose(
        sliding(image, valid, stride=32, pad=False, batch_size=64).scores, full.scores, atol=1e-5
    )


def test_poolings_that_drop_rows_do_not_shift_the_map(image):
    layers = keras.layers
    window = keras.Input((16, 16, 1))
    seen = layers.Conv2D(4, 2, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed=1))(window)
    seen = layers.Flatten()(layers.MaxPooling2D(4)(seen))  # 15 rows: three are dropped
    scores = layers.Dense(2, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=2))(seen)
    network = keras.Model(window, scores)
    classes = ("particle", "background")
    exact, at_once = (
        sliding(image, network, stride=4, classes=classes),
        dense(image, network, stride=4, classes=classes),
    )
    assert at_once.scores.std() > 0.01
    np.testing.assert_allclose(at_once.scores, exact.scores, atol=1e-5)
    assert at_once.frame == exact.frame
