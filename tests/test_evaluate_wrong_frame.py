"""Picks in a wrong frame: what is found out, and no false alarms."""

import logging

import numpy as np
import pytest

from cryokit.coordinates import concatenate, flip_y, scale, swap_xy, table
from cryokit.coordinates.suppression import nms_distance
from cryokit.evaluate import wrong_frame
from cryokit.evaluate.wrong_frame import Frame

SHAPE = (3838, 3710)  # rows, columns
DIAMETER = 100.0


def places(random, number, diameter=DIAMETER, apart=0.9):
    """Centres of particles that do not overlap."""
    x, y = random.uniform(0, SHAPE[1], 3 * number), random.uniform(0, SHAPE[0], 3 * number)
    kept = nms_distance(x, y, random.random(3 * number), apart * diameter)[:number]
    return x[kept], y[kept]


def labelled(seed, micrographs=3, number=60):
    random = np.random.default_rng(seed)
    return concatenate(table(f"m{k}", *places(random, number), diameter=DIAMETER) for k in range(micrographs))


def picked(labels, seed, recall=1.0, precision=1.0, scored=False):
    """Picks that find some of the particles, a little beside them, and others that are false."""
    random = np.random.default_rng(seed)
    tables = []
    for name, own in labels.groupby("micrograph"):
        true = own[random.random(len(own)) < recall]
        x, y = places(random, max(1, round(len(true) * (1 / precision - 1))))
        score = [*random.uniform(0.4, 1, len(true)), *random.uniform(0, 0.7, len(x))]
        x, y = (
            np.r_[true["x"] + random.normal(0, 5, len(true)), x],
            np.r_[true["y"] + random.normal(0, 5, len(true)), y],
        )
        tables.append(table(name, x, y, score if scored else np.nan))
    return concatenate(tables)


@pytest.mark.parametrize("quality", [{}, {"recall": 0.6, "precision": 0.6}, {"recall": 0.9, "precision": 0.3}])
@pytest.mark.parametrize("micrographs", [1, 4])
@pytest.mark.parametrize("factor", [1, 3 / 2, 2, 8, 16, 2 / 3, 1 / 4])
@pytest.mark.parametrize("flipped", [False, True])
def test_scales_and_flips_are_found(quality, micrographs, factor, flipped):
    labels = labelled(1, micrographs)
    right = picked(labels, 2, scored=quality.get("precision", 1) < 0.5, **quality)
    wrong = scale(flip_y(right, SHAPE[0]) if flipped else right, 1 / factor)
    hint = wrong_frame(wrong, labels)
    if factor == 1 and not flipped:
        assert hint is None
        return
    assert hint.frame.scale == factor
    assert hint.frame.flip_y == pytest.approx(SHAPE[0], abs=4) if flipped else hint.frame.flip_y is None
    assert ("--scale" in hint.frame.options(), "--flip-y" in hint.frame.options()) == (factor != 1, flipped)
    assert hint.frame.options() in hint.warning()
    assert hint.before < hint.matches <= hint.pairs


@pytest.mark.parametrize("quality", [{}, {"recall": 0.6, "precision": 0.6}])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_exchanged_axes_are_found(quality, flipped, known):
    labels = labelled(11)
    right = picked(labels, 12, **quality)
    wrong = swap_xy(flip_y(right, SHAPE[0]) if flipped else right)
    heights = dict.fromkeys(labels["micrograph"], SHAPE[0]) if known else None
    hint = wrong_frame(wrong, labels, heights=heights)
    assert hint.frame.swapped
    assert (hint.frame.scale, hint.frame.flip_y is None) == (1, not flipped)
    assert ("--swap-xy" in hint.frame.options(), "--flip-y" in hint.frame.options()) == (True, flipped)


@pytest.mark.parametrize("share", [0.5, 0.75, 1.0, -0.5, -1.0])
def test_corners_for_centres_and_the_other_way_round(share):
    labels = labelled(3)
    right = picked(labels, 4)
    away = share * DIAMETER
    hint = wrong_frame(right.assign(x=right["x"] - away, y=right["y"] - away), labels)
    assert hint.frame.shift == pytest.approx((away, away), abs=3)
    assert (hint.frame.scale, hint.frame.flip_y) == (1, None)
    assert hint.frame.options().startswith("--shift")


def test_heights_of_the_micrographs_are_used():
    labels = labelled(5, 2)
    heights = {"m0": SHAPE[0], "m1": SHAPE[0] + 400}
    hint = wrong_frame(flip_y(picked(labels, 6), heights), labels, heights=heights)
    assert hint.frame.flip_y == heights
    assert hint.matches == hint.pairs
    assert "--micrographs" in hint.frame.options()


@pytest.mark.parametrize(
    ("used", "right", "options"),
    [
        (Frame(scale=4), Frame(scale=8), "--scale 8"),
        (Frame(flip_y=3838), Frame(), ""),
        (Frame(scale=2, flip_y=3838), Frame(scale=2), "--scale 2"),
        (Frame(scale=2), Frame(scale=2, flip_y=3838), "--scale 2 --flip-y 3838"),
        (Frame(flip_y=3000), Frame(flip_y=3838), "--flip-y 3838"),
        (Frame(shift=(50.0, 50.0)), Frame(), ""),
        (Frame(swapped=True), Frame(), ""),
        (Frame(scale=2), Frame(swapped=True), "--swap-xy"),
    ],
)
def test_options_in_use_are_replaced(used, right, options):
    labels = labelled(7)
    xy = [right.undone(name, own[["x", "y"]].to_numpy()) for name, own in labels.groupby("micrograph")]
    read = np.concatenate([used.placed("", own) for own in xy])
    hint = wrong_frame(labels.assign(x=read[:, 0], y=read[:, 1]), labels, used=used)
    assert hint.frame.options() == options
    assert hint.matches == hint.pairs
    assert used.options() in hint.warning(given=used.options())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "kind", ["unrelated", "many", "few", "poor", "same holes", "grid", "none", "elsewhere", "ignored"]
)
def test_no_false_alarm(seed, kind):
    random = np.random.default_rng(seed)
    labels = labelled(seed, int(random.choice([1, 3])), int(random.choice([5, 40, 150])))
    if kind == "same holes":
        labels = labels[np.hypot(labels["x"] - 1000, labels["y"] - 2600) < 900]
    tables = []
    for name, own in labels.groupby("micrograph"):
        x, y = places(random, len(own))
        if kind == "many":
            x, y = places(random, 8 * len(own), apart=0.5)
        elif kind == "few":
            x, y = x[:3], y[:3]
        elif kind == "poor":
            true = own[random.random(len(own)) < 0.15]
            x, y = np.r_[true["x"], x], np.r_[true["y"], y]
        elif kind == "same holes":
            x, y = own["x"] + random.normal(0, 150, len(own)), own["y"] + random.normal(0, 150, len(own))
        elif kind == "grid":
            x, y = np.mgrid[0 : SHAPE[1] : 110, 0 : SHAPE[0] : 110].reshape(2, -1) + random.uniform(0, 110, (2, 1))
        elif kind == "none":
            x, y = x[:0], y[:0]
        name = f"other {name}" if kind == "elsewhere" else name
        tables.append(table(name, x, y, random.random(len(x)), view="ignore" if kind == "ignored" else ""))
    assert wrong_frame(concatenate(tables), labels) is None


def test_bad_picks_in_the_right_frame_are_only_bad():
    labels = labelled(8)
    assert wrong_frame(picked(labels, 9, recall=0.3, precision=0.3), labels) is None


def test_a_symmetric_arrangement_tells_nothing():
    """Picks that match as they are, and would match flipped as well."""
    x, y = np.meshgrid(np.arange(200, 3600, 200), np.arange(219, 3640, 200))
    labels = table("m", x.ravel(), y.ravel(), diameter=DIAMETER)
    assert wrong_frame(labels, labels) is None


def test_labels_without_diameters_are_left_out(caplog):
    labels = labelled(10).assign(diameter=np.nan)
    with caplog.at_level(logging.WARNING):
        assert wrong_frame(flip_y(labels, SHAPE[0]), labels) is None
    assert not caplog.messages
