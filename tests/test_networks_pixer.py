"""PIXER's networks against their description."""

import numpy as np
import pytest
from published_layers import assert_as_published

from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.networks import config_from_dict, create
from cryokit.networks.describe import layers
from cryokit.networks.devices import import_keras
from cryokit.networks.geometry import geometry


def test_published_segmentation_network():
    cells = create("pixer").build().get_layer("cells")
    shapes = {
        "C1": (320, 400, 96),
        "C2": (320, 400, 96),
        "M1": (160, 200, 96),
        "C3": (160, 200, 128),
        "C4": (160, 200, 128),
        "M2": (80, 100, 128),
        "C5": (80, 100, 256),
        "C6": (80, 100, 256),
        "C7": (80, 100, 384),
        "M3": (40, 50, 384),
        **{f"B{k}_dilated": (40, 50, 1024) for k in (1, 2, 3, 4)},
        **{f"B{k}": (40, 50, 1024) for k in (1, 2, 3, 4)},
        **{f"B{k}_classes": (40, 50, 2) for k in (1, 2, 3, 4)},
        "S": (40, 50, 2),
    }
    # Kernel x kernel x channels before x filters, and a bias for each filter.
    counts = {
        "C1": 960,
        "C2": 83_040,
        "C3": 110_720,
        "C4": 147_584,
        "C5": 295_168,
        "C6": 590_080,
        "C7": 885_120,
        **{f"B{k}_dilated": 3_539_968 for k in (1, 2, 3, 4)},
        **{f"B{k}": 1_049_600 for k in (1, 2, 3, 4)},
        **{f"B{k}_classes": 2_050 for k in (1, 2, 3, 4)},
    }
    table = assert_as_published(cells, shapes, counts, (320, 400))
    assert table["parameters"].sum() == 20_479_144


def test_branches_are_dilated():
    cells = create("pixer", width=0.02).build().get_layer("cells")
    rates = [cells.get_layer(f"B{k}_dilated").dilation_rate for k in (1, 2, 3, 4)]
    assert rates == [(6, 6), (12, 12), (18, 18), (24, 24)]


def test_the_map_is_the_sum_of_the_branches_enlarged():
    keras = import_keras()
    network = create("pixer", width=0.02, dilations=(1, 2)).build()
    picture = np.random.default_rng(0).normal(size=(1, 64, 80, 1)).astype(np.float32)
    cells = network.get_layer("cells")
    branches = keras.Model(cells.input, [cells.get_layer(f"B{k}_classes").output for k in (1, 2)])(picture)
    summed = sum(keras.ops.convert_to_numpy(each) for each in branches)
    found = keras.ops.convert_to_numpy(network(picture))
    assert found.shape == (1, 64, 80, 2)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    # A pixel between the middles of four cells has the mean of their odds.
    odds = np.log(found[0, ..., 0] / found[0, ..., 1])
    cell = summed[0, ..., 0] - summed[0, ..., 1]
    expected = cell[3:5, 4:6].mean()
    assert odds[31:33, 39:41].mean() == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("dilations", [(6, 12, 18, 24), (2, 3, 5, 6)])
def test_window_is_what_a_cell_sees(dilations):
    config = create("pixer", width=0.02, dilations=dilations)
    sight = geometry(config.build().get_layer("cells"))
    assert (sight.field, sight.stride) == (config.window, config.stride)


def test_published_classification_network():
    shapes = {
        "C1": (55, 55, 96),
        "M1": (27, 27, 96),
        "C2": (27, 27, 256),
        "M2": (13, 13, 256),
        "C3": (13, 13, 384),
        "C4": (13, 13, 384),
        "C5": (13, 13, 256),
        "M5": (6, 6, 256),
        "F6": (4096,),
        "F7": (4096,),
        "classes": (2,),
    }
    counts = {
        "C1": 11 * 11 * 96 + 96,
        "C2": 5 * 5 * 96 * 256 + 256,
        "C3": 3 * 3 * 256 * 384 + 384,
        "C4": 3 * 3 * 384 * 384 + 384,
        "C5": 3 * 3 * 384 * 256 + 256,
        "F6": 6 * 6 * 256 * 4096 + 4096,
        "F7": 4096 * 4096 + 4096,
        "classes": 4096 * 2 + 2,
    }
    assert_as_published(create("pixer_classifier").build(), shapes, counts)


def test_the_classification_network_is_that_of_deepcryopicker():
    one = create("pixer_classifier", width=0.05).build()
    other = create("deepcryopicker", classes=("particle", "background"), width=0.05).build()
    assert [w.shape for w in one.get_weights()] == [w.shape for w in other.get_weights()]


def test_a_quarter_of_the_box_gives_the_same_maps():
    full, quarter = (
        layers(create("pixer_classifier", width=0.05, box=box).build()).set_index("name") for box in (227, 57)
    )
    assert (full.loc["C1":, "output_shape"] == quarter.loc["C1":, "output_shape"]).all()
    assert (full.loc["M1":, "parameters"] == quarter.loc["M1":, "parameters"]).all()
    assert quarter.loc["C1", "parameters"] == 10 * 5  # 3 x 3 and a bias for 5 filters


@pytest.mark.parametrize(
    ("name", "settings"),
    [("pixer", {"width": 0.02, "dilations": [1, 2]}), ("pixer_classifier", {"width": 0.02, "box": 57, "dropout": 0.1})],
)
def test_they_are_made_again_from_their_settings(name, settings):
    config = create(name, **settings, seed=2)
    again = config_from_dict(config.to_dict())
    assert again == config
    for one, other in zip(config.build().get_weights(), again.build().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("pixer", {"width": 0}),
        ("pixer", {"dilations": ()}),
        ("pixer", {"dilations": (0, 1)}),
        ("pixer", {"dilations": 6}),
        ("pixer_classifier", {"box": 100}),
        ("pixer_classifier", {"dropout": 1.0}),
    ],
)
def test_settings_that_make_no_sense_are_named(name, settings):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=next(iter(settings))):
        create(name, **settings)
