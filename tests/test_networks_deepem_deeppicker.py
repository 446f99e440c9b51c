"""The networks of DeepEM and DeepPicker: their published layers, and dense scores equal to those of single windows."""

import json

import keras
import numpy as np
import pytest

from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.networks import config_from_dict, create
from cryokit.networks.describe import layers
from cryokit.networks.fully_convolutional import fully_convolutional
from cryokit.networks.geometry import geometry
from cryokit.networks.scoring import dense, sliding

COLUMNS = ["name", "output_shape", "parameters"]


def rows(network):
    return list(layers(network)[COLUMNS].itertuples(index=False, name=None))


def published(box, convolutions, pools, units):
    """What a chain of unpadded convolutions, each with a pooling, and of fully connected layers has to have."""
    expected, side, before = [("I0", (box, box, 1), 0)], box, 1
    for number, ((filters, kernel), (letter, pool)) in enumerate(zip(convolutions, pools, strict=True)):
        side = side - kernel + 1
        weights = kernel * kernel * before * filters + filters
        expected.append((f"C{2 * number + 1}", (side, side, filters), weights))
        side, before = side // pool, filters
        expected.append((f"{letter}{2 * number + 2}", (side, side, filters), 0))
    before *= side * side
    expected += [("flatten", (before,), 0), ("dropout", (before,), 0)]
    for name, number in units:
        expected.append((name, (number,), before * number + number))
        before = number
    return expected


def undecided_no_more(network):
    """A network with weights that make the scores of windows of noise differ."""
    rng = np.random.default_rng(1)
    # A new network of sigmoids hardly tells windows apart: to tell its outputs apart would be a matter of rounding.
    network.set_weights([4 * weights for weights in network.get_weights()])
    last = next(layer for layer in reversed(network.layers) if type(layer).__name__ == "Dense")
    noise = rng.normal(size=(32, *network.input_shape[1:])).astype(np.float32)
    features = keras.Model(network.input, last.input).predict_on_batch(noise).astype(np.float64)
    kernel = rng.normal(size=last.kernel.shape)
    values = features @ kernel
    kernel /= values.std(axis=0)
    last.set_weights([kernel, -(features @ kernel).mean(axis=0)])
    return network


def test_deepem_for_klh_is_the_published_one():
    network = create("deepem").build()
    expected = published(272, [(6, 51), (12, 20), (12, 10)], [("S", 3), ("S", 2), ("S", 2)], [("O7", 1)])
    assert rows(network) == [*expected, ("sigmoid", (2,), 0)]
    sides = {name: shape[0] for name, shape, _ in expected if name[0] in "CS"}
    assert sides == {"C1": 222, "S2": 74, "C3": 55, "S4": 27, "C5": 18, "S6": 9}
    assert network.count_params() == 15612 + 28812 + 14412 + 973
    assert all(network.get_layer(name).activation.__name__ == "sigmoid" for name in ("C1", "C3", "C5"))
    assert all(type(network.get_layer(name)).__name__ == "AveragePooling2D" for name in ("S2", "S4", "S6"))
    assert network.get_layer("dropout").rate == 0.5


def test_deepems_kernels_follow_the_box():
    for box in (65, 136, 272, 544):
        kernels = create("deepem", box=box).kernels
        np.testing.assert_allclose(np.array(kernels) / box, np.array([51, 20, 10]) / 272, atol=0.5 / box)
    # In the smaller box every step divides without rest.
    sides = [shape[0] for name, shape, _ in rows(create("deepem", box=65).build()) if name[0] in "CS"]
    assert sides == [54, 18, 14, 7, 6, 3]


def test_deepems_one_unit_gives_both_probabilities():
    network = create("deepem", box=65, classes=("background", "particle")).build()
    unit = keras.Model(network.input, network.get_layer("O7").output)
    boxes = 3 * np.random.default_rng(0).normal(size=(4, 65, 65, 1)).astype(np.float32)
    value = unit.predict_on_batch(boxes)[:, 0]
    expected = 1 / (1 + np.exp(-value.astype(np.float64)))
    scores = network.predict_on_batch(boxes)
    np.testing.assert_allclose(scores, np.column_stack([expected, 1 - expected]), atol=1e-6)
    # What is as good as impossible still has a gradient.
    weights = network.get_weights()
    network.set_weights([*weights[:-1], np.array([30.0], np.float32)])
    assert 0 < network.predict_on_batch(boxes)[:, 1].max() < 1e-10


def test_deeppicker_is_the_published_one():
    network = create("deeppicker").build()
    expected = published(64, [(8, 9), (16, 5), (32, 3), (64, 2)], [("M", 2)] * 4, [("F9", 128), ("O10", 2)])
    assert rows(network) == expected
    assert [shape[0] for name, shape, _ in expected if name[0] in "CM"] == [56, 28, 24, 12, 10, 5, 4, 2]
    assert network.count_params() == 49_922
    assert all(network.get_layer(f"C{n}").activation.__name__ == "relu" for n in (1, 3, 5, 7))
    assert all(type(network.get_layer(f"M{n}")).__name__ == "MaxPooling2D" for n in (2, 4, 6, 8))
    assert network.get_layer("dropout").rate == 0.5
    assert network.get_layer("O10").activation.__name__ == "softmax"


def test_deeppickers_weight_decay():
    network = create("deeppicker", weight_decay=5e-4).build()
    decayed = [network.get_layer(name).get_weights()[0] for name in ("F9", "O10")]
    expected = 5e-4 / 2 * sum(float((kernel.astype(np.float64) ** 2).sum()) for kernel in decayed)
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-5)
    assert create("deeppicker", weight_decay=0).build().losses == []


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6, 12])
def test_deepems_dense_scores_are_those_of_windows(stride):
    network = undecided_no_more(create("deepem", box=65).build())
    image = np.random.default_rng(2).normal(size=(75, 80)).astype(np.float32)
    pad = stride > 2
    whole, single = (score(image, network, stride=stride, pad=pad) for score in (dense, sliding))
    assert np.ptp(single.scores[..., 0]) > 0.1
    np.testing.assert_allclose(whole.scores, single.scores, atol=1e-4)
    assert whole.frame == single.frame


@pytest.mark.parametrize("stride", [2, 4, 16])
def test_deeppickers_dense_scores_are_those_of_windows(stride):
    network = undecided_no_more(create("deeppicker").build())
    image = np.random.default_rng(3).normal(size=(76, 90)).astype(np.float32)
    whole, single = (score(image, network, stride=stride, pad=stride > 2) for score in (dense, sliding))
    assert np.ptp(single.scores[..., 0]) > 0.1
    np.testing.assert_allclose(whole.scores, single.scores, atol=1e-4)


@pytest.mark.parametrize("kind", ["AveragePooling2D", "MaxPooling2D"])
def test_poolings_of_any_step_become_dilated_ones(kind):
    """Overlapping pooling, with a convolution behind it that has to be dilated in its turn."""
    inputs = keras.Input((24, 24, 1))
    tensor = keras.layers.Conv2D(3, 3, kernel_initializer=keras.initializers.GlorotUniform(seed=0))(inputs)
    tensor = getattr(keras.layers, kind)(4, strides=2)(tensor)
    tensor = getattr(keras.layers, kind)(2, strides=2)(tensor)
    tensor = keras.layers.Conv2D(2, 5, kernel_initializer=keras.initializers.GlorotUniform(seed=1))(tensor)
    network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(tensor)))
    image = np.random.default_rng(4).normal(size=(1, 31, 33, 1)).astype(np.float32)
    whole = fully_convolutional(network, stride=1)
    windows = np.stack([image[0, i : i + 24, j : j + 24] for i in range(8) for j in range(10)])
    expected = network.predict_on_batch(windows).reshape(8, 10, 2)
    np.testing.assert_allclose(whole.predict_on_batch(image)[0, :8, :10], expected, atol=1e-5)


def test_layers_that_are_used_again_are_followed():
    """An activation of its own is in the network and in its fully convolutional form."""
    inputs = keras.Input((20, 20, 1))
    tensor = keras.layers.ReLU()(keras.layers.Conv2D(2, 5)(inputs))
    tensor = keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(tensor)))
    network = keras.Model(inputs, keras.layers.Softmax()(tensor))
    for stride in (4, 2):
        whole = fully_convolutional(network, stride=stride)
        sight = geometry(whole)
        assert (sight.stride, sight.low, sight.field) == (stride, 0, 20)


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("deepem", {"classes": ("top", "side", "background")}, "classes"),
        ("deepem", {"box": 16}, "box"),
        ("deepem", {"box": 65.5}, "box"),
        ("deepem", {"dropout": 1.0}, "dropout"),
        ("deeppicker", {"width": 0}, "width"),
        ("deeppicker", {"dropout": -0.1}, "dropout"),
        ("deeppicker", {"weight_decay": -1}, "weight_decay"),
    ],
)
def test_senseless_settings_are_named(name, settings, named):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=named):
        create(name, **settings)


@pytest.mark.parametrize(("name", "settings"), [("deepem", {"box": 65}), ("deeppicker", {"width": 0.5})])
def test_settings_and_seeds(name, settings):
    config = create(name, seed=3, **settings)
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.valid
    first, again, other = (create(name, seed=seed, **settings).build().get_weights() for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first[0], other[0])
    assert not np.allclose(first[2].ravel()[:50], other[2].ravel()[:50])
