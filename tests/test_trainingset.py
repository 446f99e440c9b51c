"""Training sets: what is in a patch, where background may be, how micrographs are divided, what a file keeps."""

import gc
import hashlib
import itertools
import json
import logging
import math
import os
import re
import subprocess
import sys
import time
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cryokit import plot
from cryokit.errors import ArgumentError, CoordinateError, DatasetError, MicrographError, PickerError
from cryokit.imaging import Preprocessing
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.networks.patches import CLASS_SETTINGS, CLASSES, TrainingSet, augment, build, normalise, standardised
from cryokit.networks.patches.building import NoSamples
from cryokit.networks.patches.splitting import assign
from cryokit.simulate import simulate_set

PARTICLES = CLASSES[:4]


def noise(name, shape=(320, 320), seed=None):
    rng = np.random.default_rng(sum(map(ord, name)) if seed is None else seed)
    return Micrograph(rng.normal(100, 10, shape), name=name)


def table(rows):
    return pd.DataFrame(rows, columns=["micrograph", "x", "y", "diameter", "class"])


def scene(micrographs=6, per_micrograph=8, shape=(320, 320), diameter=16.0, kinds=PARTICLES):
    """Noise, in which every patch is unlike all others, and places at half pixels with the classes in turn."""
    pictures = [noise(f"m{i}", shape, seed=i) for i in range(micrographs)]
    rng = np.random.default_rng(99)
    rows = []
    for picture in pictures:
        for i in range(per_micrograph):
            x, y = rng.integers(20, shape[1] - 20) + 0.5, rng.integers(20, shape[0] - 20) + 0.5
            rows.append((picture.name, x, y, diameter, kinds[i % len(kinds)]))
    return pictures, table(rows)


def small(pictures, particles, **settings):
    """Patches of 32 x 32 pixels, one for one those of the micrograph."""
    return build(pictures, particles, **{"size": 32, "box": 2.0, "per_class": 30, "diameter": 16.0, **settings})


def disc_picture(name, diameter, places, shape=(400, 400), background=10.0, grey=0.0):
    """Dark discs with soft edges (half a pixel) on an even background, a little noise."""
    rows, columns = np.indices(shape)
    data = np.random.default_rng(0).normal(background, 0.02, shape)
    for x, y in places:
        inside = np.clip(diameter / 2 - np.hypot(columns - x, rows - y) + 0.5, 0, 1)
        data += inside * (grey - background)
    return Micrograph(data, name=name)


def touches(x, y, side, centre_x, centre_y, radius):
    """Whether the square around (x, y) and a disc have a point in common."""
    dx = max(abs(x - centre_x) - side / 2, 0)
    dy = max(abs(y - centre_y) - side / 2, 0)
    return math.hypot(dx, dy) <= radius


# ---------------------------------------------------------------------------------------------------------- patches


def test_a_patch_is_the_square_around_its_centre_turned_as_the_table_says():
    pictures, particles = scene()
    built = small(pictures, particles)
    data = {picture.name: picture.data for picture in pictures}
    assert set(built.table["rotation"]) == {0, 90, 180, 270}
    checked = 0
    for patch, row in zip(built.patches, built.table.itertuples(), strict=True):
        if row.augmentation:
            continue
        left, top = int(row.x - 15.5), int(row.y - 15.5)  # centres lie between pixels, so there is nothing to round
        cut = data[row.micrograph][top : top + 32, left : left + 32].astype(np.float64)
        expected = (cut - cut.mean()) / cut.std()
        # In the direction of the hands of a clock is the transposed with its columns reversed; three times is -90.
        for _ in range((360 - row.rotation) // 90 % 4):
            expected = expected.T[:, ::-1]
        np.testing.assert_allclose(standardised(patch), expected.clip(-4, 4), atol=4 / 255 + 1e-3)
        checked += 1
    assert checked > 100


def test_rotations_are_counter_clockwise_as_seen():
    """A dark spot right of the centre is above it after 90 degrees, with row 0 at the top."""
    pictures = [disc_picture("a", 6, [(100 + 8, 100)], (200, 200))]
    built = small(pictures, table([("a", 100, 100, 16, "top")]), classes=("top",), per_class=4, validation=0, test=0)
    seen = {
        rotation: ndimage.center_of_mass(standardised(patch) < -1)
        for patch, rotation in zip(built.patches, built.table["rotation"], strict=True)
    }
    centre = np.array([15.5, 15.5])
    for rotation, direction in {0: (0, 8), 90: (-8, 0), 180: (0, -8), 270: (8, 0)}.items():
        np.testing.assert_allclose(np.array(seen[rotation]) - centre, direction, atol=1)


@pytest.mark.parametrize(
    ("diameter", "size", "preprocessed"),
    [
        *((d, s, False) for d, s in [(16, 32), (40, 32), (57.3, 33), (10, 40), (30, 227), (31, 64)]),
        # Below, at and above the working diameter of 40 pixels; the windows of the chain blur smaller discs too much.
        *((d, s, True) for d, s in [(31, 64), (30, 227), (57.3, 33), (90, 100), (90, 80), (90, 64)]),
    ],
)
def test_particles_have_the_same_size_in_every_patch(diameter, size, preprocessed, caplog):
    """`box` diameters fill a patch, whether the micrograph is binned for it or the patch is enlarged."""
    box = 2.0
    places = [(120.3, 110.7), (119.6, 300.2), (290.1, 130.4)]
    picture = disc_picture("a", diameter, places)
    particles = table([("a", x, y, diameter, "top") for x, y in places])
    chain = Preprocessing(clahe_clip_limits=(), wiener_window=0.05, guided_times=0, opening_radii=())
    with caplog.at_level(logging.INFO):
        built = build(
            [picture],
            particles,
            classes=("top",),
            per_class=3,
            size=size,
            box=box,
            validation=0,
            test=0,
            preprocessing=chain if preprocessed else None,
        )
    assert built.patches.shape == (3, size, size)
    assert set(built.table["rotation"]) == {0}
    for patch in standardised(built.patches):
        # Equalised histograms make grain out of an even background.
        patch = ndimage.gaussian_filter(patch, size / 30) if preprocessed else patch
        middle = (patch[size // 2, size // 2] + np.median(patch[:3])) / 2
        objects, _ = ndimage.label(patch < middle)
        dark = objects == objects[size // 2, size // 2]
        across = 2 * math.sqrt(dark.sum() / math.pi)
        assert across == pytest.approx(size / box, rel=0.12 if preprocessed else 0.03)
        centre = np.array(ndimage.center_of_mass(dark))
        # Half a pixel from starting at a whole one.
        np.testing.assert_allclose(centre, (size - 1) / 2, atol=0.6 if not preprocessed else 0.04 * size)
    entry = built.provenance["micrographs"][0]
    if not preprocessed:
        assert entry["enlarged"] == pytest.approx(max(1, size / (diameter * box)))
        assert ("enlarged" in caplog.text) == (diameter * box < size)
        assert entry["pixels_per_patch_pixel"] == pytest.approx(diameter * box / size)


def test_enlarged_patches_are_centred_to_a_fraction_of_a_pixel():
    places = [(60 + i * 40 + 0.137 * i, 70 + 0.21 * i) for i in range(7)]
    picture = disc_picture("a", 14, places)
    built = build(
        [picture],
        table([("a", x, y, 14, "top") for x, y in places]),
        **dict(classes=("top",), per_class=7, size=84, box=2, validation=0, test=0),
    )
    weights = np.clip(-standardised(built.patches), 0, None)
    for patch in weights:
        np.testing.assert_allclose(ndimage.center_of_mass(patch), 41.5, atol=0.25)  # of a pixel three times as fine


def test_enlarging_interpolates_smoothly():
    """A wave is where it has to be between the pixels."""
    rows, columns = np.indices((120, 130))

    def wave(x, y):
        return np.sin(x / 2.1) + np.cos(y / 2.7 + 1)

    picture = Micrograph(wave(columns, rows), name="a")
    x, y = 61.83, 55.27
    built = build(
        [picture],
        table([("a", x, y, 10, "top")]),
        **dict(classes=("top",), per_class=1, size=61, box=2, validation=0, test=0),
    )
    offsets = (np.arange(61) - 30) * 20 / 61
    expected = wave(x + offsets[None, :], y + offsets[:, None])
    expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(standardised(built.patches[0]), expected, atol=0.03)


def test_bright_particles_become_dark():
    pictures, particles = scene()
    negative = [Micrograph(-picture.data, name=picture.name) for picture in pictures]
    dark = small(pictures, particles)
    bright = small(negative, particles, contrast="bright")
    np.testing.assert_allclose(dark.patches.astype(int), bright.patches.astype(int), atol=1)
    wrong = small(negative, particles)
    assert np.corrcoef(dark.patches[0].ravel(), wrong.patches[0].ravel())[0, 1] < -0.99


def test_each_micrograph_at_its_own_scale():
    places = [(100.5, 100.5), (250.5, 250.5)]
    pictures = [disc_picture("small", 20, places), disc_picture("large", 60, places)]
    particles = table([(n, x, y, d, "top") for n, d in (("small", 20), ("large", 60)) for x, y in places])
    settings = dict(classes=("top",), per_class=4, size=40, box=2, validation=0, test=0)
    built = build(pictures, particles, diameter={"small": 20, "large": 60}, **settings)
    for patch in standardised(built.patches):
        assert (patch < 0.5 * (patch.min() + patch.max())).sum() == pytest.approx(math.pi * 10**2, rel=0.06)
    assert dict(built.table.groupby("micrograph")["diameter"].first()) == {"small": 20, "large": 60}
    with pytest.raises(ArgumentError, match=r"diameter.*large"):
        build(pictures, particles, diameter={"small": 20}, **settings)


def test_different_particle_sizes_without_a_mapping_are_told(caplog):
    places = [(100.5, 100.5), (250.5, 250.5)]
    pictures = [disc_picture("small", 20, places), disc_picture("large", 60, places)]
    particles = table([(n, x, y, d, "top") for n, d in (("small", 20), ("large", 60)) for x, y in places])
    build(pictures, particles, classes=("top",), per_class=4, size=40, box=1.5, validation=0, test=0)
    assert "small" in caplog.text
    assert "diameter=" in caplog.text


def test_squares_beyond_the_border_are_left_out_and_counted():
    picture = noise("a")
    edge = 15.5  # from the centre of a square of 32 pixels to that of its outermost
    inside = [(edge, 100.5), (319 - edge, 100.5), (100.5, edge), (100.5, 319 - edge), (edge, edge)]
    outside = [(edge - 1, 120.5), (320 - edge, 120.5), (120.5, edge - 1), (120.5, 320 - edge), (-50, 900), (0, 0)]
    particles = table([("a", x, y, 16, "top") for x, y in inside + outside])
    built = small([picture], particles, classes=("top",), validation=0, test=0)
    assert set(built.table["original"]) == set(range(len(inside)))
    assert built.provenance["left_out"]["beyond_the_border"] == {"top": len(outside)}


def test_padding_is_outside():
    data = noise("a").data.copy()
    data[:, :30] = 0
    data[-25:] = data[-26]
    built = small(
        [Micrograph(data, name="a")],
        table([("a", 60, 150, 16, "top"), ("a", 40, 150, 16, "top"), ("a", 150, 285, 16, "top")]),
        **dict(classes=("top", "background"), validation=0, test=0),
    )
    tops = built.table[built.table["class"] == "top"]
    assert set(tops["original"]) == {0}
    places = built.table[built.table["class"] == "background"]
    assert places["x"].min() - 16 >= 29.4
    assert places["y"].max() + 16 <= 295.6


@given(
    st.floats(0.1, 100),
    st.floats(-1000, 1000),
    st.integers(0, 1000),
)
def test_normalisation_does_not_see_gain_and_offset(gain, offset, seed):
    patch = np.random.default_rng(seed).normal(size=(3, 16, 16))
    once, again = normalise(patch), normalise(gain * patch + offset)
    assert np.abs(once.astype(int) - again.astype(int)).max() <= 1
    values = standardised(once)
    np.testing.assert_allclose(values.mean(axis=(1, 2)), 0, atol=0.02)
    np.testing.assert_allclose(values.std(axis=(1, 2)), 1, atol=0.02)


def test_normalisation_limits_and_even_patches():
    patch = np.random.default_rng(0).normal(size=(64, 64))
    patch[3, 4], patch[5, 6] = 30, -30
    bytes_ = normalise(patch)
    assert bytes_[3, 4] == 255
    assert bytes_[5, 6] == 0
    for level in (0.0, 7.3, -1e6, 1e-30):
        assert (normalise(np.full((8, 8), level)) == 128).all()


# ------------------------------------------------------------------------------------------------------- background


@pytest.mark.parametrize("clearance", [0.0, 0.5])
@pytest.mark.parametrize(("size", "box", "diameter"), [(32, 2.0, 16.0), (24, 1.5, 41.3), (48, 1.5, 20.0)])
def test_background_touches_no_particle(size, box, diameter, clearance):
    """Of any class, asked for or not, of any size; by brute force."""
    pictures, particles = scene(micrographs=4, per_micrograph=12, shape=(500, 620))
    rng = np.random.default_rng(5)
    particles["diameter"] = diameter * rng.uniform(0.5, 2, len(particles))
    particles.loc[::7, "diameter"] = np.nan
    particles.loc[::5, "class"] = "ignore"
    particles.loc[3, ["x", "y"]] = (-3.0, 200.0)  # the rim of a disc reaches in
    built = build(
        pictures,
        particles,
        **dict(classes=("top", "background"), per_class=100, size=size, box=box, diameter=diameter),
        **dict(clearance=clearance, seed=3),
    )
    places = built.table[(built.table["class"] == "background")]
    places = places.drop_duplicates("original")
    assert len(places) > 20
    for place in places.itertuples():
        # To the centres of the outermost pixels of a patch, which may be larger than the micrograph's.
        reach = box * diameter / 2 * (size - 1) / size * 0.99
        assert reach <= place.x <= 619 - reach
        assert reach <= place.y <= 499 - reach
        for disc in particles[particles["micrograph"] == place.micrograph].itertuples():
            radius = (diameter if math.isnan(disc.diameter) else disc.diameter) / 2 + clearance * diameter
            assert not touches(place.x, place.y, box * diameter, disc.x, disc.y, radius)


def test_background_is_found_in_the_only_gap():
    """A grid of discs leaves one square free."""
    grid = [(x, y) for x in range(8, 320, 12) for y in range(8, 320, 12)]
    gap = [(x, y) for x, y in grid if not (150 < x < 210 and 90 < y < 150)]
    particles = table([("a", x, y, 12, "negative") for x, y in gap])
    built = small([noise("a")], particles, classes=("background",), validation=0, test=0, per_class=4)
    assert built.table["x"].between(150, 210).all()
    assert built.table["y"].between(90, 150).all()


def test_background_is_spread():
    """Every quarter of an empty micrograph has its share, no two places are close, all micrographs give alike."""
    pictures = [noise(f"m{i}", (256, 256)) for i in range(3)]
    built = small(pictures, table([]).astype({"x": float}), classes=("background",), per_class=90, validation=0, test=0)
    assert (built.table["rotation"] == 0).all()
    for _, places in built.table.groupby("micrograph"):
        assert 20 <= len(places) <= 40
        quarters = places.groupby([places["x"] > 128, places["y"] > 128]).size()
        assert len(quarters) == 4
        assert quarters.min() >= 2
        for a, b in itertools.combinations(places[["x", "y"]].to_numpy(), 2):
            assert np.abs(a - b).max() >= 16 - 2


def test_no_room_for_background_is_told():
    particles = table([("a", x, y, 16, "top") for x in range(20, 310, 14) for y in range(20, 310, 14)])
    with pytest.raises(NoSamples, match="2 diameters") as error:
        small([noise("a")], particles, classes=("top", "background"), validation=0, test=0)
    assert error.value.classes == ("background",)


# ------------------------------------------------------------------------------------------------ splits and balance


def test_no_micrograph_and_no_original_is_in_two_splits():
    built = small(*scene(micrographs=9))
    assert built.table.groupby("micrograph")["split"].agg(set).map(len).eq(1).all()
    assert built.table.groupby("original")["split"].agg(set).map(len).eq(1).all()
    assert set(built.table["split"]) == {"train", "validation", "test"}
    by_name = {entry["name"]: entry["split"] for entry in built.provenance["micrographs"]}
    assert (built.table["micrograph"].map(by_name) == built.table["split"]).all()


def test_classes_are_balanced_exactly():
    pictures, particles = scene(micrographs=8, per_micrograph=40)
    # Of very different frequency.
    particles.loc[(particles["class"] == "side") & (particles.index % 3 > 0), "class"] = "top"
    built = small(pictures, particles, per_class=50)
    expected = pd.DataFrame({"train": 32, "validation": 8, "test": 10}, index=list(CLASSES))
    pd.testing.assert_frame_equal(built.counts(), expected, check_dtype=False)
    assert built.provenance["counts"]["top"] == {"train": 32, "validation": 8, "test": 10}


@pytest.mark.parametrize("share", [dict(validation=0), dict(test=0), dict(validation=0, test=0)])
def test_splits_can_be_left_out(share):
    built = small(*scene(), **share)
    assert (built.counts().sum(axis=1) == 30).all()
    for name in share:
        assert (built.counts()[name] == 0).all()
        with pytest.raises(DatasetError, match=f"'{name}'.*train"):
            built.subset(name)


def test_the_papers_numbers():
    from cryokit.networks.patches.balancing import quotas

    assert quotas(1500, 0.2, 0.2) == {"train": 960, "validation": 240, "test": 300}
    for per_class, validation, test in itertools.product((3, 4, 7, 100), (0, 0.1, 0.5), (0, 0.2)):
        asked = quotas(per_class, validation, test)
        assert sum(asked.values()) == per_class
        assert min(asked.values()) >= 1


def test_originals_come_before_rotations_and_these_before_augmentation():
    built = small(*scene(micrographs=3, per_micrograph=8), per_class=100, validation=0, test=0)
    rare = built.table["class"] != "background"
    for _, rows in built.table[rare].groupby("class"):
        plain = rows[rows["augmentation"] == ""]
        assert not plain.duplicated(["original", "rotation"]).any()
        # 6 originals make 24 by rotation; the rest of 96 (16 of each) is augmented.
        assert len(plain) == 24
        assert set(plain.groupby("original").size()) == {4}
        assert rows.groupby("original").size().between(15, 16).all()
    # The same share of all classes, so that nobody can tell them by it.
    shares = (built.table["augmentation"] != "").groupby(built.table["class"]).mean()
    assert shares.max() - shares.min() < 0.02
    assert built.provenance["augmented_share_of_training"] == pytest.approx(shares.max(), abs=0.01)
    enough = small(*scene(micrographs=3, per_micrograph=40), per_class=30, validation=0, test=0)
    assert (enough.table["rotation"] == 0).all()
    some = small(*scene(micrographs=3, per_micrograph=24), per_class=30, validation=0, test=0)
    for kind in PARTICLES:
        rows = some.table[some.table["class"] == kind]
        assert (rows["rotation"] == 0).sum() == 18
        assert (rows["augmentation"] == "").all()


def test_too_few_give_fewer_with_a_warning_and_never_twice_the_same(caplog):
    built = small(*scene(micrographs=3, per_micrograph=4), per_class=200)
    assert len(np.unique(built.patches.reshape(len(built), -1), axis=0)) == len(built)
    counts = built.counts().loc[list(PARTICLES)]
    assert counts["train"].isin([14, 15, 16]).all()
    assert (counts[["validation", "test"]] == 4).all(axis=None)
    # Nobody meets augmented patches but the network while it learns.
    assert set(built.table.loc[built.table["split"] != "train", "augmentation"]) == {""}
    assert f"top {counts.loc['top', 'train']} of 128" in caplog.text


def test_rows_given_twice_make_no_copies(caplog):
    pictures, particles = scene(micrographs=3)
    twice = pd.concat([particles, particles], ignore_index=True)
    built = small(pictures, twice, validation=0, test=0)
    assert len(np.unique(built.patches.reshape(len(built), -1), axis=0)) == len(built)
    assert built.provenance["left_out"]["identical"] > 0
    assert "identical" in caplog.text


def test_a_patch_that_looks_the_same_turned_is_there_once(caplog):
    even = Micrograph(np.full((200, 200), 5.0), name="a")
    built = small([even], table([]), classes=("background",), per_class=9, validation=0, test=0)
    assert (built.table["augmentation"] == "").sum() <= 1
    assert len(np.unique(built.patches.reshape(len(built), -1), axis=0)) == len(built)


def test_augmentation_of_a_share_of_the_training():
    built = small(*scene(micrographs=9, per_micrograph=40), per_class=50, augmentation=0.5)
    augmented = (built.table["augmentation"] != "").groupby([built.table["split"], built.table["class"]]).sum()
    assert (augmented["train"] == 16).all()
    assert (augmented[["validation", "test"]] == 0).all()


def test_a_class_of_one_micrograph_is_trained_and_told(caplog):
    pictures, particles = scene()
    particles = particles[(particles["class"] != "negative") | (particles["micrograph"] == "m3")]
    built = small(pictures, particles)
    counts = built.counts().loc["negative"]
    assert counts["train"] > 0
    assert counts["validation"] == counts["test"] == 0
    for split in ("validation", "test"):
        assert re.search(f"'negative'.* 1 micrograph .*'{split}'", caplog.text)


def test_classes_that_cannot_all_be_trained():
    pictures = [noise(name) for name in "abc"]
    particles = table([("a", 100, 100, 16, "top"), ("b", 100, 100, 16, "side"), ("c", 100, 100, 16, "irregular")])
    with pytest.raises(PickerError, match=r"1 micrograph .*validation=0"):
        small(pictures, particles, classes=("top", "side", "irregular"))


def test_too_few_micrographs_for_the_splits():
    pictures, particles = scene(micrographs=2)
    with pytest.raises(PickerError, match=r"2 micrographs .*m0, m1.*validation=0"):
        small(pictures, particles)
    assert len(small(pictures, particles, validation=0)) == 150


@given(st.integers(0, 10_000))
def test_micrographs_are_divided_as_well_as_can_be(seed):
    """Against all divisions: none deviates clearly less from the shares without losing a class."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.64, 0.16, 0.2])
    counts = rng.integers(0, 40, (6, 3)) + np.eye(6, 3, dtype=int)

    def judge(division):
        actual = np.array([counts[np.array(division) == k].sum(axis=0) for k in range(3)]) / counts.sum(axis=0)
        return (actual == 0).sum(), (((actual - shares[:, None]) ** 2) / shares[:, None]).sum()

    divisions = [d for d in itertools.product(range(3), repeat=6) if len(set(d)) == 3]
    best = min(map(judge, divisions))
    absent, deviation = judge(assign(counts, shares, np.random.default_rng(0)))
    assert absent == best[0]
    assert deviation <= 1.2 * best[1] + 0.02


def test_many_micrographs_are_divided_by_the_shares():
    counts = np.random.default_rng(0).poisson([3, 50, 200], (200, 3)) + 1
    shares = np.array([0.64, 0.16, 0.2])
    division = assign(counts, shares, np.random.default_rng(0))
    for split, share in enumerate(shares):
        np.testing.assert_allclose(counts[division == split].sum(axis=0) / counts.sum(axis=0), share, atol=0.02)


def test_a_rare_class_is_in_every_split():
    """Only one division in nine of these micrographs has it everywhere; the others are even enough by themselves."""
    rng = np.random.default_rng(4)
    for _ in range(5):
        counts = np.column_stack([rng.integers(20, 60, 30), rng.integers(0, 9, 30), np.arange(30) % 10 == 0])
        shares = np.array([0.64, 0.16, 0.2])
        division = assign(counts, shares, rng)
        assert set(division[counts[:, 2] > 0]) == {0, 1, 2}
        for kind in range(2):
            actual = np.bincount(division, counts[:, kind]) / counts[:, kind].sum()
            np.testing.assert_allclose(actual, shares, atol=0.03)


def test_the_seed_decides_and_the_order_of_micrographs_does_not():
    pictures, particles = scene(micrographs=5, per_micrograph=40)
    first = small(pictures, particles, seed=1, augmentation=0.5)
    again = small(pictures[::-1], particles, seed=1, augmentation=0.5)
    other = small(pictures, particles, seed=2, augmentation=0.5)
    np.testing.assert_array_equal(first.patches, again.patches)
    pd.testing.assert_frame_equal(first.table, again.table)
    assert not first.table.equals(other.table)


# ------------------------------------------------------------------------------------------------------- what refuses


def test_an_empty_class_is_refused_before_anything_is_read():
    pictures, particles = scene()
    read = []

    def stream():
        for picture in pictures:
            read.append(picture)
            yield picture

    particles = particles[particles["class"] != "side"]
    with pytest.raises(NoSamples, match=r"'side'.*top \(12\).*irregular \(12\)") as error:
        small(stream(), particles)
    assert error.value.classes == ("side",)
    assert not read
    assert len(small(stream(), particles, classes=("top", "irregular", "background"))) == 90


def test_a_class_that_is_all_at_the_border_is_refused():
    pictures, particles = scene()
    particles.loc[particles["class"] == "irregular", "x"] = 3.0
    with pytest.raises(NoSamples, match=r"'irregular'.* 12 .*top \(12\)"):
        small(pictures, particles)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"class": "round"}, r"row 0 .*class round"),
        ({"class": "background"}, r"row 0 .*class background"),
        ({"x": np.nan}, "1"),
        ({"diameter": -3.0}, r"row 0 .*diameter -3"),
        ({"diameter": 0.0}, r"row 0 .*diameter 0"),
        ({"diameter": np.inf}, r"row 0 .*diameter inf"),
    ],
)
def test_wrong_rows_are_named(change, named):
    pictures, particles = scene()
    for name, value in change.items():
        particles.loc[0, name] = value
    with pytest.raises(CoordinateError, match=named):
        small(pictures, particles)


def test_wrong_tables_are_refused():
    pictures, particles = scene()
    with pytest.raises(CoordinateError, match="class"):
        small(pictures, particles.drop(columns="class"))
    with pytest.raises(CoordinateError, match="'y'"):
        small(pictures, particles.assign(y="here"))
    both = pd.concat([particles, particles.iloc[:1].assign(**{"class": "negative"})])
    with pytest.raises(CoordinateError, match=r"m0.* top and negative"):
        small(pictures, both)
    with pytest.raises(ArgumentError, match="diameter"):
        build(pictures, particles.drop(columns="diameter"))
    with pytest.raises(PickerError, match=r"other.* m0"):
        small(pictures, particles.assign(micrograph="other"))


@pytest.mark.parametrize(
    "settings",
    [
        dict(classes=()),
        dict(classes=("top", "top")),
        dict(classes=("top", "cat")),
        dict(per_class=0),
        dict(per_class=2),
        dict(size=4),
        dict(size=32.5),
        dict(box=0),
        dict(diameter=0),
        dict(diameter=float("nan")),
        dict(contrast="grey"),
        dict(augmentation=1.5),
        dict(validation=-0.1),
        dict(test=1.0),
        dict(clearance=-1),
        dict(seed=-1),
    ],
)
def test_wrong_settings_are_named(settings):
    with pytest.raises(ArgumentError, match=f"^{next(iter(settings))} "):
        small(*scene(micrographs=3), **settings)


def test_rows_on_other_micrographs_and_micrographs_without_rows_are_told(caplog):
    pictures, particles = scene()
    built = small([*pictures[:-1], noise("empty")], particles)
    assert built.provenance["left_out"]["on_other_micrographs"] == 8
    assert re.search(r"8 rows .*\(m5\)", caplog.text)
    assert re.search(r"1 micrograph .*\(empty\)", caplog.text)


# -------------------------------------------------------------------------------------------------------------- files


def test_micrographs_from_files_with_their_hashes(tmp_path, caplog):
    pictures, particles = scene(micrographs=4)
    for picture in pictures:
        write_mrc(tmp_path / f"{picture.name}.mrc", picture.data)
    (tmp_path / "broken.mrc").write_bytes(b"\0" * 2000)
    paths = sorted(tmp_path.glob("*.mrc"))
    built = small(paths, particles)
    np.testing.assert_array_equal(built.patches, small(pictures, particles).patches)
    assert [entry["name"] for entry in built.provenance["micrographs"]] == ["m0", "m1", "m2", "m3"]
    for entry in built.provenance["micrographs"]:
        content = (tmp_path / f"{entry['name']}.mrc").read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert (entry["rows"], entry["columns"]) == (320, 320)
    assert list(built.provenance["left_out"]["micrographs"]) == [str(tmp_path / "broken.mrc")]
    assert "broken.mrc" in caplog.text
    with pytest.raises(MicrographError, match=r"broken\.mrc"):
        small([tmp_path / "broken.mrc"], particles)
    with pytest.raises(MicrographError):
        small([], particles)
    (tmp_path / "copy.mrc").write_bytes((tmp_path / "m0.mrc").read_bytes())
    with pytest.raises(PickerError, match="m0 and copy "):
        small([*paths, tmp_path / "copy.mrc"], particles)


def test_micrographs_given_twice_and_without_finite_pixels():
    pictures, particles = scene(micrographs=4)
    with pytest.raises(PickerError, match="m1"):
        small([*pictures, pictures[1]], particles)
    hole = pictures[2].data.copy()
    hole[5, 5] = np.nan
    built = small([*pictures[:2], Micrograph(hole, name="m2"), pictures[3]], particles)
    assert list(built.provenance["left_out"]["micrographs"]) == ["m2"]
    assert "m2" not in set(built.table["micrograph"])


@pytest.mark.slow
def test_micrographs_are_gone_through_once_and_one_at_a_time():
    names = [f"m{i}" for i in range(6)]
    particles = scene()[1]
    alive, most, started = weakref.WeakSet(), 0, 0

    class Counted(Micrograph):
        __hash__ = object.__hash__

    def stream():
        nonlocal most, started
        for i, name in enumerate(names):
            started += 1
            picture = Counted(np.random.default_rng(i).normal(100, 10, (320, 320)), name=name)
            alive.add(picture)
            gc.collect()
            most = max(most, len(alive))
            yield picture
            del picture

    built = small(stream(), particles)
    assert started == 6
    assert most <= 2  # the one in work, and the one that is being made
    np.testing.assert_array_equal(built.patches, small(scene()[0], particles).patches)


def test_memory_does_not_grow_with_the_number_of_particles():
    from cryokit.networks.patches.originals import Original, Pool

    pool = Pool(10)
    rng = np.random.default_rng(0)
    priorities = rng.random(500)
    for part in np.split(np.arange(500), 20):
        pool.add([Original("a", 1.0, 0.0, 0.0, int(i), float(priorities[i]), np.zeros((1, 1), np.uint8)) for i in part])
        assert len(pool) <= 10
    assert [original.number for original in pool.originals] == np.argsort(priorities)[:10].tolist()


# --------------------------------------------------------------------------------------------------------- TrainingSet


@pytest.fixture(scope="module")
def built():
    return small(*scene(micrographs=6), per_class=40)


def test_the_set_for_keras(built):
    x, y = built.arrays("test")
    rows = built.table[built.table["split"] == "test"]
    assert x.shape == (len(rows), 32, 32, 1)
    assert x.dtype == np.float32
    assert [built.classes[k] for k in y] == rows["class"].tolist()
    np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), 0, atol=0.05)
    np.testing.assert_allclose(x.std(axis=(1, 2, 3)), 1, atol=0.05)
    part = built.subset("test")
    np.testing.assert_array_equal(part.patches, built.patches[rows.index])
    assert part.counts()["test"].sum() == len(part) == len(rows)
    assert [built.classes[k] for k in built.labels] == built.table["class"].tolist()


def test_the_order_of_the_classes_is_that_of_the_labels():
    built = small(*scene(), classes=("background", "top"))
    assert built.classes == ("background", "top")
    np.testing.assert_array_equal(built.labels, (built.table["class"] == "top").astype(int))


def test_the_papers_class_settings():
    assert "negative" not in CLASS_SETTINGS["4 + background"]
    assert "background" not in CLASS_SETTINGS["4 + negative"]
    pictures, particles = scene()
    for classes in CLASS_SETTINGS.values():
        assert set(small(pictures, particles, classes=classes).table["class"]) == set(classes)


def test_background_keeps_its_distance_when_negatives_are_no_class():
    pictures, particles = scene(per_micrograph=20)
    built = small(pictures, particles, classes=CLASS_SETTINGS["4 + background"])
    negatives = particles[particles["class"] == "negative"]
    for place in built.table[built.table["class"] == "background"].itertuples():
        for row in negatives[negatives["micrograph"] == place.micrograph].itertuples():
            assert not touches(place.x, place.y, 32, row.x, row.y, 8)


def test_what_is_saved_comes_back(built, tmp_path):
    path = built.save(tmp_path / "new" / "set")
    assert path == tmp_path / "new" / "set.npz"
    assert [file.name for file in path.parent.iterdir()] == ["set.npz"]
    loaded = TrainingSet.load(path)
    np.testing.assert_array_equal(loaded.patches, built.patches)
    pd.testing.assert_frame_equal(loaded.table, built.table)
    assert loaded.classes == built.classes
    assert loaded.provenance == built.provenance
    assert json.loads(json.dumps(built.provenance)) == built.provenance
    for name in ("seed", "settings", "cryokit", "built", "counts", "micrographs"):
        assert name in built.provenance
    np.load(path, allow_pickle=False)


def test_a_failed_save_leaves_the_older_file(built, tmp_path, monkeypatch):
    path = built.save(tmp_path / "set.npz")
    before = path.read_bytes()

    def fails(file, **arrays):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="disk full"):
        built.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["set.npz"]


class Runs:
    """Something that makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_files_that_are_no_training_set(built, tmp_path):
    whole = built.save(tmp_path / "set.npz").read_bytes()
    middle = len(whole) // 3
    files = {
        "short.npz": whole[: len(whole) // 2],
        "flipped.npz": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "text.npz": b"no archive at all",
        "empty.npz": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "code.npz", cryokit_training_set=np.array(Runs(tmp_path / "ran"), dtype=object))
    np.save(tmp_path / "array.npz.npy", np.zeros(3))
    for name in [*files, "other.npz", "code.npz", "array.npz.npy"]:
        with pytest.raises(DatasetError, match=name.replace(".", r"\.")):
            TrainingSet.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(DatasetError, match=r"missing\.npz"):
        TrainingSet.load(tmp_path / "missing.npz")


def test_parts_that_do_not_fit_are_refused(built):
    with pytest.raises(DatasetError, match=r"200 .*199"):
        TrainingSet(built.patches[1:], built.classes, built.table)
    with pytest.raises(DatasetError, match="float64"):
        TrainingSet(built.patches.astype(float), built.classes, built.table)
    with pytest.raises(DatasetError, match="'background'"):
        TrainingSet(built.patches, built.classes[:-1], built.table)
    with pytest.raises(DatasetError, match="rotation"):
        TrainingSet(built.patches, built.classes, built.table.drop(columns="rotation"))
    assert "40" in repr(built)
    assert len(repr(built)) < 200


# -------------------------------------------------------------------------------------------------------- augmentation


def test_augmentation_changes_patches_and_says_how():
    patch = normalise(ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64, 64)), 2))
    words, deviations, masks = set(), [], set()
    for seed in range(80):
        changed, description = augment(patch, np.random.default_rng(seed))
        again = augment(patch, np.random.default_rng(seed))
        np.testing.assert_array_equal(changed, again[0])
        assert changed.shape == patch.shape
        assert changed.dtype == np.uint8
        assert not np.array_equal(changed, patch)
        # Still the same picture.
        assert np.corrcoef(changed.ravel(), patch.ravel())[0, 1] > 0.5
        for part in description.split(" + "):
            words.add(part.split()[0])
            if part.startswith("gaussian"):
                deviations.append(float(part.split()[1]))
                masks.add(part[part.index("(") :])
    assert words == {"gaussian", "histeq", "wiener2", "adapthisteq", "imguidedfilter", "imopen"}
    assert 0 <= min(deviations) < 0.2
    assert 0.8 < max(deviations) <= 1
    assert masks == {"(3 x 3)", "(5 x 5)"}


@pytest.mark.parametrize("size", [8, 33, 227])
def test_augmentation_of_any_patch(size):
    for patch in (np.full((size, size), 128, np.uint8), normalise(np.random.default_rng(1).normal(size=(size, size)))):
        for seed in range(6):
            assert augment(patch, np.random.default_rng(seed))[0].shape == (size, size)


# ---------------------------------------------------------------------------------------------------- the whole thing


def test_simulated_particles_are_told_from_background():
    """Particles are dark in the middle of their patches and background is not, in micrographs as a microscope's."""
    series = list(simulate_set("apoferritin", 4, seed=3, shape=(800, 800), n_particles=24, snr=0.5))
    particles = pd.concat([truth for _, truth in series], ignore_index=True)
    particles["class"] = "top"
    built = build((m for m, _ in series), particles, classes=("top", "background"), per_class=40, size=48, box=1.3)
    means = {}
    rows, columns = np.indices((48, 48))
    inside = np.hypot(rows - 23.5, columns - 23.5) < 0.45 * 48 / 1.3
    for name in built.classes:
        patches = standardised(built.patches[(built.table["class"] == name).to_numpy()])
        means[name] = patches[:, inside].mean(axis=1) - patches[:, ~inside].mean(axis=1)
    # A threshold between the two classes' means sorts nearly all.
    threshold = (means["top"].mean() + means["background"].mean()) / 2
    assert means["top"].mean() < means["background"].mean()
    assert (means["top"] < threshold).mean() > 0.9
    assert (means["background"] > threshold).mean() > 0.9


def test_it_is_fast():
    pictures, particles = scene(micrographs=5, per_micrograph=120, shape=(1024, 1024), diameter=50.0)
    started = time.process_time()
    built = build(pictures, particles, per_class=300, size=64)
    assert time.process_time() - started < 5
    assert len(built) == 1500


@pytest.mark.real
def test_real_micrographs(real_data):
    folder = real_data("apoferritin_10146")
    labels = []
    paths = sorted(path for path in folder.rglob("*.png"))[:3]
    for path in paths:
        labels.append(pd.read_csv(folder / "labels" / f"{path.stem}.csv").assign(micrograph=path.stem))
    particles = pd.concat(labels, ignore_index=True).rename(columns={"view": "class"})
    built = build(paths, particles, classes=("top", "background"), per_class=60)
    assert (built.counts().sum(axis=1) == 60).all()
    tops = standardised(built.patches[(built.table["class"] == "top").to_numpy()]).mean(axis=0)
    rows, columns = np.indices(tops.shape)
    radius = np.hypot(rows - 31.5, columns - 31.5)
    # The average of rings is a dark ring.
    assert tops[(radius > 12) & (radius < 21)].mean() < tops[radius > 25].mean() - 0.2


def test_importing_is_light():
    heavy = ("skimage", "matplotlib", "sklearn")
    code = f"import sys, cryokit.networks.patches; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------------------- contact sheet


@pytest.fixture
def ax():
    return plot.figure()[1][0, 0]


def squares(ax, size):
    """The squares of a drawn sheet by row."""
    sheet = np.asarray(ax.images[0].get_array())
    step = size + max(1, size // 32)
    return [
        [sheet[top : top + size, left : left + size] for left in range(0, sheet.shape[1], step)]
        for top in range(0, sheet.shape[0], step)
    ]


def test_the_sheet_shows_every_class_in_its_row(ax, built):
    assert plot.training_sheet(ax, built, 5, seed=1) is ax
    assert [text.get_text() for text in ax.get_yticklabels()] == [f"{name} (40)" for name in built.classes]
    rows = squares(ax, 32)
    centres = [32 * k + k + 15.5 for k in range(5)]
    np.testing.assert_allclose(ax.get_yticks(), centres)
    for name, row in zip(built.classes, rows, strict=True):
        assert len(row) == 5
        members = built.patches[(built.table["class"] == name).to_numpy()].reshape(40, -1)
        drawn = set()
        for square in row:
            fit = [np.corrcoef(square.ravel(), member)[0, 1] for member in members]
            assert max(fit) > 0.95
            drawn.add(int(np.argmax(fit)))
        assert len(drawn) == 5


def test_the_sheet_is_drawn_by_seed(built):
    def drawn(seed):
        return np.asarray(plot.training_sheet(plot.figure()[1][0, 0], built, seed=seed).images[0].get_array())

    np.testing.assert_array_equal(drawn(0), drawn(0))
    assert not np.array_equal(drawn(0), drawn(1))


def test_the_sheet_of_few_patches(ax, built):
    few = TrainingSet(built.patches[:2], built.classes, built.table[:2])
    plot.training_sheet(ax, few, 4)
    rows = squares(ax, 32)
    assert [len(row) for row in rows] == [4] * 5
    assert all(square.std() > 0 for square in rows[0][:2])
    assert all(np.isnan(square).all() for row in rows for square in row[2:])
    assert ax.get_yticklabels()[1].get_text() == "side (0)"
    with pytest.raises(ArgumentError, match=r"per_class.*0"):
        plot.training_sheet(ax, few, 0)
