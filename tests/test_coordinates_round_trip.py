"""Whatever the picks are, writing and reading them loses nothing beyond the format's own precision."""

import math
import string
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from cryokit._util.names import COORDINATE_ENDINGS, micrograph_name
from cryokit.coordinates import (
    FORMATS,
    concatenate,
    coordinate_path,
    flip_y,
    read,
    read_folder,
    scale,
    swap_xy,
    table,
    transforms,
    write,
    write_folder,
)
from cryokit.errors import ArgumentError, CoordinateError

# What a format keeps: the columns besides the centre, and the error allowed (absolute, relative).
KEPT = {
    "star": (["score"], 0, 1e-8),
    "cbox": (["score", "diameter"], 1e-5, 1e-8),  # corners: 9 digits of up to about 1000
    "topaz": (["score"], 1e-12, 1e-12),
    "eman2": (["score"], 0, 0),
    "csv": (["score", "diameter", "view"], 0, 0),
    "cs": (["score"], 2e-3, 1e-6),  # fractions of 7 digits of up to 10000 pixels
}
SHAPE = (10000, 9000)

coordinate = st.floats(-500, 9000, allow_subnormal=False)
score = st.one_of(st.floats(0, 1), st.just(math.nan), st.sampled_from([0.0, 1.0]))
diameter = st.floats(2, 1000)
view = st.sampled_from(["", "top", "side", "irregular", "ignore", 'a "b", c'])
name = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=12).filter(
    lambda text: micrograph_name(text) == text and not text.startswith(".") and not text.endswith(COORDINATE_ENDINGS)
)
few = settings(max_examples=40, deadline=None)


@st.composite
def one_micrograph(draw, own_name=None):
    rows = draw(st.lists(st.tuples(coordinate, coordinate, score, diameter, view), max_size=6))
    x, y, s, d, v = zip(*rows, strict=True) if rows else ([],) * 5
    return table(own_name or draw(name), x=x, y=y, score=s, diameter=d, view=list(v))


@st.composite
def several_micrographs(draw):
    names = draw(st.lists(name, unique_by=str.lower, min_size=1, max_size=4))
    return concatenate(draw(one_micrograph(own)) for own in names), sorted(names)


def assert_same(found, expected, format):
    columns, absolute, relative = KEPT[format]
    assert found["micrograph"].tolist() == expected["micrograph"].tolist()
    for column in ["x", "y", *columns]:
        if column == "view":
            assert found[column].tolist() == expected[column].tolist()
        else:
            np.testing.assert_allclose(found[column], expected[column], atol=absolute, rtol=relative)
    for column in {"score", "diameter"} - set(columns):
        assert found[column].isna().all()


@pytest.mark.parametrize("format", KEPT)
@few
@given(several_micrographs())
def test_a_file_per_micrograph_keeps_picks_and_names(format, case):
    picks, names = case
    with tempfile.TemporaryDirectory() as folder:
        write_folder(picks, folder, format, micrographs=names, shape=SHAPE)
        found, found_names = read_folder(folder, format)
        if format in ("topaz", "cs") and len(names) == 1 and not len(picks):
            return  # a lone table without rows names no micrograph
        assert found_names == names
        assert_same(found, picks.sort_values("micrograph", kind="stable"), format)


@pytest.mark.parametrize("format", ["star", "topaz", "csv", "cs"])
@few
@given(several_micrographs())
def test_one_file_for_all_keeps_picks_and_names(format, case):
    picks, _ = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"all{FORMATS[format].ending}"
        write(picks, path, joined=True, shape=SHAPE)
        assert_same(read(path), picks, format)


@few
@given(one_micrograph("mic.01"))
def test_box_files_with_fractions_keep_centre_size_and_score(picks):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mic.01.box"
        write(picks, path, integers=False)
        found = read(path)
    np.testing.assert_allclose(found[["x", "y", "diameter"]], picks[["x", "y", "diameter"]], atol=1e-9)
    np.testing.assert_array_equal(found["score"], picks["score"])


@few
@given(one_micrograph("mic.01"), st.one_of(st.none(), st.integers(2, 401)))
def test_box_files_of_whole_numbers_are_right_to_half_a_pixel(picks, box_size):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mic.01.box"
        write(picks, path, box_size=box_size)
        words = [word for line in path.read_text().splitlines() for word in line.split()[:4]]
        found = read(path)
    assert all(word.lstrip("-").isdigit() for word in words), "RELION reads whole numbers only"
    np.testing.assert_allclose(found[["x", "y"]], picks[["x", "y"]], atol=0.5)
    np.testing.assert_allclose(found["diameter"], picks["diameter"] if box_size is None else box_size, atol=0.5)
    np.testing.assert_array_equal(found["score"], picks["score"])


@few
@given(name, st.sampled_from(sorted(FORMATS)))
def test_every_micrograph_has_a_file_name_that_leads_back_to_it(own, format):
    for text in (own, f"{own}_info", f"{own}_autopick"):
        path = coordinate_path("folder", text, format)
        assert path.parent == Path("folder")
        assert len({text, own} & {path.name}) == 0
    paths = {coordinate_path(".", text, format) for text in (own, own + "0", own + ".1", own + "_info")}
    assert len(paths) == 4


@few
@given(one_micrograph("a"), st.integers(1, 10000))
def test_flipping_y_twice_changes_nothing(picks, height):
    flipped = flip_y(picks, height)
    np.testing.assert_allclose(flipped["y"] + picks["y"], height - 1, atol=1e-9)
    np.testing.assert_allclose(flip_y(flipped, {"a": height})["y"], picks["y"], atol=1e-9)


@pytest.mark.parametrize("height", [0, 1.5, -3, {"a": 10, "b": 0}])
def test_heights_are_whole_numbers_of_rows(height):
    with pytest.raises(ArgumentError, match=r"^height "):
        flip_y(table("a", [1], [2]), height)
    assert flip_y(table("a", [1], [0]), 1)["y"].tolist() == [0]


def test_each_micrograph_is_flipped_in_its_own_height():
    picks = table(["a", "b", "a"], x=[1, 2, 3], y=[0, 1, 2])
    assert flip_y(picks, {"a": 10, "b": 5, "c": 7})["y"].tolist() == [9, 3, 7]
    with pytest.raises(CoordinateError, match="micrograph b "):
        flip_y(table(["c", "b", "a"], [1] * 3, [2] * 3), {"a": 10})


@pytest.mark.parametrize("factor", [0, -1, math.nan])
def test_factors_are_positive(factor):
    with pytest.raises(ArgumentError, match=r"^factor "):
        scale(table("a", [1], [2]), factor)


def test_the_first_pixels_of_scaled_micrographs_have_one_centre_unless_blocks_are_averaged():
    picks = table("a", [0, 10], [5, 0], diameter=20)
    assert scale(picks, 4)[["x", "y", "diameter"]].to_numpy().tolist() == [[0, 20, 80], [40, 0, 80]]
    assert scale(picks, 4, blocks=True)[["x", "y"]].to_numpy().tolist() == [[1.5, 21.5], [41.5, 1.5]]


@few
@given(one_micrograph("a"))
def test_axes_are_exchanged(picks):
    swapped = swap_xy(picks)
    assert swapped["x"].tolist() == picks["y"].tolist()
    pd.testing.assert_frame_equal(swap_xy(swapped), picks)


def test_log_odds_are_of_probabilities_and_finite():
    found = transforms.log_odds([0, 0.25, 1])
    np.testing.assert_allclose(found, [math.log(5e-324), -math.log(3), 53 * math.log(2)], rtol=1e-6)
    for outside in (-1e-9, 1.5):
        with pytest.raises(CoordinateError, match=f"{outside:g} "):
            transforms.log_odds(np.array([0.5, outside, 7]))


@few
@given(one_micrograph("a"), st.floats(0.05, 20), st.booleans())
def test_scaling_back_changes_nothing(picks, factor, blocks):
    back = scale(scale(picks, factor, blocks=blocks), 1 / factor, blocks=blocks)
    columns = ["x", "y", "diameter"]
    np.testing.assert_allclose(back[columns], picks[columns], atol=1e-7)


@few
@given(st.lists(st.floats(-30, 30)))
def test_log_odds_survive_conversion_to_probabilities(values):
    back = transforms.log_odds(expit(np.array(values)))
    # A double near 1 has steps of 1.1e-16, which at log-odds of 30 is 0.0012; below 9 nothing that matters is lost.
    np.testing.assert_allclose(back, values, atol=5e-3)
    np.testing.assert_allclose(back[np.abs(values) < 9], [v for v in values if abs(v) < 9], atol=1e-11)
