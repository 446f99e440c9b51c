"""The network of FastParticlePicker: CaffeNet's layers, and region-of-interest pooling against its definition."""

import math

import numpy as np
import pytest
from published_layers import assert_as_published

from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.networks import config_from_dict, create
from cryokit.networks.custom_layers import RegionPooling
from cryokit.networks.devices import import_keras
from cryokit.networks.geometry import geometry


def pooled(features, boxes, bins=2, largest=8.0):
    keras = import_keras()
    layer = RegionPooling(bins, largest)
    return keras.ops.convert_to_numpy(layer([np.float32(features), np.float32(boxes)]))


def by_definition(features, box, bins):
    """Max over the cells that each bin of one box touches."""
    left, top, right, bottom = box
    rows, columns, channels = features.shape
    out = np.empty((bins, bins, channels))
    for i in range(bins):
        for j in range(bins):
            y0, y1 = top + (bottom - top) * i / bins, top + (bottom - top) * (i + 1) / bins
            x0, x1 = left + (right - left) * j / bins, left + (right - left) * (j + 1) / bins
            down = np.clip(np.arange(math.floor(y0), math.ceil(y1)), 0, rows - 1)
            across = np.clip(np.arange(math.floor(x0), math.ceil(x1)), 0, columns - 1)
            out[i, j] = features[np.ix_(down, across)].max(axis=(0, 1))
    return out


@pytest.fixture(scope="module")
def published():
    """The network in its full width."""
    return create("fastparticlepicker").build()


def test_published_trunk(published):
    trunk = published.get_layer("trunk")
    shapes = {
        "C1": (120, 160, 96),
        "M1": (60, 80, 96),
        "C2": (60, 80, 256),
        "M2": (30, 40, 256),
        "C3": (30, 40, 384),
        "C4": (30, 40, 384),
        "C5": (30, 40, 256),
    }
    counts = {
        "C1": 11 * 11 * 96 + 96,
        "C2": 5 * 5 * 96 * 256 + 256,
        "C3": 3 * 3 * 256 * 384 + 384,
        "C4": 3 * 3 * 384 * 384 + 384,
        "C5": 3 * 3 * 384 * 256 + 256,
    }
    assert_as_published(trunk, shapes, counts, (480, 640))


def test_published_head(published):
    head = published.get_layer("head")
    counts = {name: head.get_layer(name).count_params() for name in ("F6", "F7", "classes", "offsets")}
    assert counts == {
        "F6": 6 * 6 * 256 * 4096 + 4096,
        "F7": 4096 * 4096 + 4096,
        "classes": 4096 * 2 + 2,
        "offsets": 4096 * 2 + 2,
    }
    assert head.count_params() == 54_550_532


def test_part_of_the_map_gives_what_all_of_it_gives():
    # Edges on cells: rounding must not decide which cells are touched, or parts of a map differ from all of it.
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 90, 40, 3))
    corner = np.column_stack([rng.integers(0, 20, 200) / 3, rng.integers(90, 230, 200) / 3])
    boxes = np.concatenate([corner, corner + 8], axis=1)
    whole = pooled(features, boxes[None], bins=6)
    part = pooled(features[:, 29:], (boxes - [0, 29, 0, 29])[None], bins=6)
    np.testing.assert_array_equal(part, whole)


def test_pooling_of_a_box_on_whole_cells():
    features = np.arange(16.0).reshape(1, 4, 4, 1)
    found = pooled(features, [[[0, 0, 4, 4], [2, 0, 4, 2]]])
    assert found.shape == (1, 2, 2, 2, 1)
    assert found[0, 0, ..., 0].tolist() == [[5, 7], [13, 15]]
    assert found[0, 1, ..., 0].tolist() == [[2, 3], [6, 7]]


def test_pooling_is_as_defined_in_any_box_of_any_picture():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 9, 12, 3))
    start = rng.uniform(-2, 8, (2, 40, 2))
    boxes = np.concatenate([start, start + rng.uniform(0.5, 7.9, (2, 40, 2))], axis=-1).astype(np.float32)
    for bins in (2, 3, 6):
        found = pooled(features, boxes, bins)
        for k in range(2):
            for n in range(40):
                # Edges that fall on a border of cells may be rounded to either side of it; random ones do not.
                expected = by_definition(features[k], boxes[k, n].astype(np.float64), bins)
                np.testing.assert_allclose(found[k, n], expected, atol=1e-6)


def test_the_trunk_learns_through_the_pooling():
    keras = import_keras()
    network = create("fastparticlepicker", width=0.02, cell=8, box=32, dropout=0).build()
    before = network.get_layer("trunk").get_weights()
    network.compile(optimizer=keras.optimizers.SGD(0.1), loss="mean_squared_error")
    rng = np.random.default_rng(1)
    pictures = rng.normal(size=(2, 64, 64, 1)).astype(np.float32)
    boxes = create("fastparticlepicker", width=0.02, cell=8, box=32).boxes(rng.uniform(20, 44, (2, 5, 2)))
    network.fit((pictures, boxes), rng.normal(size=(2, 5, 4)).astype(np.float32), verbose=0)
    changed = [np.abs(a - b).max() > 0 for a, b in zip(before, network.get_layer("trunk").get_weights(), strict=True)]
    assert all(changed[::2])  # the kernels


@pytest.mark.parametrize("cell", [8, 16])
def test_boxes_are_where_the_cells_look(cell):
    config = create("fastparticlepicker", width=0.02, cell=cell, box=6 * cell)
    sight = geometry(config.build().get_layer("trunk"))
    assert sight.stride == config.stride == cell
    # The middle of what cell 5 sees is at 5.5 of the map.
    middle = cell * 5 + (sight.low + sight.high) / 2
    left, top, right, bottom = config.boxes(np.array([middle, middle]))
    assert (left + right) / 2 == pytest.approx(5.5)
    assert (top, bottom) == (left, right)
    assert right - left == pytest.approx(6)


def test_probabilities_add_up():
    config = create("fastparticlepicker", width=0.02, cell=8, box=48)
    rng = np.random.default_rng(2)
    keras = import_keras()
    judged = config.build()(
        [rng.normal(size=(1, 96, 88, 1)).astype(np.float32), config.boxes(np.full((1, 7, 2), 40.0))]
    )
    judged = keras.ops.convert_to_numpy(judged)
    assert judged.shape == (1, 7, 4)
    np.testing.assert_allclose(judged[..., :2].sum(axis=-1), 1, atol=1e-5)


def test_it_is_made_again_from_its_settings():
    config = create("fastparticlepicker", width=0.02, cell=8, box=48, seed=4)
    again = config_from_dict(config.to_dict())
    assert again == config
    for one, other in zip(config.build().get_weights(), again.build().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("settings", [{"width": 0}, {"cell": 12}, {"box": 10}, {"dropout": 1.0}])
def test_settings_that_make_no_sense_are_named(settings):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=next(iter(settings))):
        create("fastparticlepicker", **settings)
