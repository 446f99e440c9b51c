"""Crops with class maps."""

import numpy as np
import pytest

from cryokit.coordinates import table
from cryokit.errors import ArgumentError
from cryokit.imaging.frame import Frame, Picture
from cryokit.networks import create
from cryokit.networks.training.batches import TrainingBatches
from cryokit.networks.training.crops import crops
from cryokit.networks.training.samples import Samples

CONFIG = create("compact")


def picture(rows=300, columns=340):
    """Return a picture whose grey values say where they are, binned by 2."""
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return Picture(1 + y * 1000 + x, Frame((rows, columns), (rows * 2, columns * 2), 0.5, 0.5, 2.0, 2.0))


def places(samples):
    """Return x and y of every position of every crop, read from the grey values; NaN outside the picture."""
    offset = (CONFIG.window - 1) / 2
    lattice = offset + CONFIG.stride * np.arange(samples.y.shape[1])
    low, high = np.floor(lattice).astype(int), np.ceil(lattice).astype(int)

    def at(rows, columns):
        values = samples.x[:, rows][:, :, columns, 0].astype(float)
        values[values == 0] = np.nan
        return values - 1

    values = (at(low, low) + at(high, high)) / 2
    # Rows advance by 1000; half pixels in both directions.
    y = np.floor(values / 1000)
    first = at(low, low)
    return first % 1000 + 0.5, np.floor(first / 1000) + 0.5 + 0 * y


def test_positions_have_the_class_of_what_is_there():
    prepared = picture()
    labels = table("m", [2 * 80 + 0.5, 2 * 200 + 0.5], [2 * 100 + 0.5, 2 * 180 + 0.5], diameter=56)
    samples = crops([prepared], [labels], CONFIG, 60, seed=1)
    assert samples.x.shape == (60, 162, 162, 1)
    assert samples.y.shape == samples.weights.shape == (60, 24, 24)
    x, y = places(samples)
    centres = np.stack(prepared.frame.from_source(labels["x"], labels["y"]))
    distance = np.min([np.hypot(x - cx, y - cy) for cx, cy in centres.T], axis=0)
    inside = np.isfinite(distance)
    particle = samples.y == CONFIG.classes.index("particle")
    assert particle.any()
    assert particle[inside & (distance < 0.18 * 28 - 0.1)].all()
    assert not particle[inside & (distance > 0.18 * 28 + 0.1)].any()
    between = inside & (distance > 0.18 * 28 + 0.1) & (distance < 0.35 * 28 - 0.1)
    assert between.any()
    assert not samples.weights[between].any()
    assert samples.weights[inside & (distance > 0.36 * 28)].all()


def test_positions_outside_and_around_ignored_labels_have_no_weight():
    prepared = picture(200, 200)
    labels = table("m", [200.5], [200.5], diameter=56, view="ignore")
    samples = crops([prepared], [labels], CONFIG, 80, seed=2)
    x, y = places(samples)
    assert not (samples.y == CONFIG.classes.index("particle")).any()
    near = np.hypot(x - 100, y - 100) < 0.4 * 28 - 0.5
    assert near.any()
    assert not samples.weights[near].any()
    # The four pixels around a position are all beyond the border.
    lattice = np.arange(24) * CONFIG.stride + (CONFIG.window - 1) / 2
    pixels = samples.x[..., 0]
    around = [pixels[:, r][:, :, c] for r in _both(lattice) for c in _both(lattice)]
    outside = (np.stack(around) == 0).all(axis=0)
    assert outside.any()
    assert not samples.weights[outside].any()


def _both(lattice):
    return np.floor(lattice).astype(int), np.ceil(lattice).astype(int)


def test_views_are_classes_where_the_network_has_them():
    config = create("compact", classes=("top", "side", "background"))
    labels = table("m", [160.5, 400.5], [200.5, 360.5], diameter=56, view=["top", "side"])
    samples = crops([picture()], [labels], config, 40, seed=3)
    assert set(np.unique(samples.y)) == {0, 1, 2}


def test_same_seed_same_crops():
    labels = table("m", [160.5], [200.5], diameter=56)
    first, again, other = (crops([picture()], [labels], CONFIG, 5, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x)


def test_wrong_arguments_are_named():
    with pytest.raises(ArgumentError, match=r"classes.*top, side"):
        crops([picture()], [table("m")], create("compact", classes=("top", "side")), 4)
    with pytest.raises(ArgumentError, match=r"number.* 0$"):
        crops([picture()], [table("m")], CONFIG, 0)


def test_offsets_lead_from_positions_to_the_particle():
    config = create("compact", locates=True)
    prepared = picture()
    labels = table("m", [2 * 80 + 0.5, 2 * 200 + 0.5], [2 * 100 + 0.5, 2 * 180 + 0.5], diameter=56)
    samples = crops([prepared], [labels], config, 40, seed=1)
    assert samples.offsets.shape == (40, 24, 24, 2)
    x, y = places(samples)
    centres = np.stack(prepared.frame.from_source(labels["x"], labels["y"])).T
    particle = (samples.y == 0) & np.isfinite(x)
    assert particle.sum() > 50
    told = np.column_stack([x[particle], y[particle]]) + 28 * samples.offsets[particle]
    distance = np.linalg.norm(told[:, None] - centres, axis=-1).min(axis=1)
    assert distance.max() < 0.05
    assert not samples.offsets[samples.y == 1].any()


def test_offsets_turn_with_their_pictures():
    """Wherever augmentation turns a crop, all positions go on telling one centre, which is where it is marked."""
    size, centre = 9, np.array([2.3, 5.1])
    lattice = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    classes = np.ones((size, size), int)
    classes[5, 2] = 0
    pictures = np.zeros((32, size, size, 1))
    pictures[:, 5, 2] = 100
    samples = Samples(
        pictures,
        np.broadcast_to(classes, (32, size, size)),
        None,
        np.broadcast_to(centre - lattice, (32, size, size, 2)),
    )
    turned = set()
    for epoch in range(4):
        x, y = TrainingBatches(samples, 32, True, 0, epoch)[0]
        for shown, target in zip(x[..., 0], y, strict=True):
            told = lattice + target[..., 1:]
            assert np.ptp(told.reshape(-1, 2), axis=0).max() < 1e-5
            row, column = np.unravel_index(shown.argmax(), shown.shape)
            assert target[row, column, 0] == 0
            assert np.abs(told[0, 0] - (column, row)).max() < 0.5
            turned.add((int(row), int(column)))
    assert len(turned) == 8


def test_offsets_belong_to_maps():
    with pytest.raises(ArgumentError, match="offsets"):
        Samples(np.zeros((3, 8, 8, 1)), [0, 1, 1], None, np.zeros((3, 2)))
