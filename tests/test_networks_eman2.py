"""The networks of EMAN2's neural boxer, against their published layers."""

import numpy as np
import pytest

from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.networks import config_from_dict, create
from cryokit.networks.describe import layers
from cryokit.networks.devices import import_keras
from cryokit.networks.geometry import geometry


def test_published_layers_of_the_finder():
    table = layers(create("eman2").build(), (64, 64))
    computed = table[table["type"] != "InputLayer"]
    assert computed["output_shape"].tolist() == [(64, 64, 20), (32, 32, 20), (32, 32, 20), (32, 32, 1)]
    # 15 x 15 pixels of every channel before, and a bias, for each filter.
    assert computed["parameters"].tolist() == [226 * 20, 0, (225 * 20 + 1) * 20, 225 * 20 + 1]
    assert computed["parameters"].sum() == 99_041


def test_published_layers_of_the_judge():
    table = layers(create("eman2", mean=True).build())
    assert table["output_shape"].tolist()[0] == (64, 64, 1)
    assert table["output_shape"].tolist()[-1] == (1,)
    assert table["parameters"].sum() == 99_041


@pytest.mark.parametrize(("box", "kernel"), [(64, 15), (32, 7), (96, 23), (16, 3)])
def test_kernels_are_in_proportion_to_the_box(box, kernel):
    config = create("eman2", box=box, filters=2)
    first = config.build().layers[1]
    assert tuple(first.kernel.shape[:2]) == (kernel, kernel)


def test_the_judge_gives_the_mean_of_the_map():
    keras = import_keras()
    finder = create("eman2", box=16, filters=3).build()
    judge = create("eman2", box=16, filters=3, mean=True).build()
    judge.set_weights(finder.get_weights())
    boxes = np.random.default_rng(0).normal(size=(4, 16, 16, 1)).astype(np.float32)
    maps = keras.ops.convert_to_numpy(finder(boxes))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(judge(boxes))[:, 0], maps.mean(axis=(1, 2, 3)), atol=1e-6)


def test_window_is_what_a_position_of_the_map_sees():
    config = create("eman2", box=32, filters=1)
    sight = geometry(config.build())
    assert (sight.field, sight.stride) == (config.window, config.stride)
    assert create("eman2", box=32, mean=True).window == 32


def test_it_is_made_again_from_its_settings():
    config = create("eman2", box=32, filters=4, mean=True, seed=3)
    again = config_from_dict(config.to_dict())
    assert again == config
    for one, other in zip(config.build().get_weights(), again.build().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("settings", [{"box": 33}, {"box": 8}, {"box": 64.5}, {"filters": 0}, {"filters": 1.5}])
def test_settings_that_make_no_sense_are_named(settings):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=next(iter(settings))):
        create("eman2", **settings)
