"""The table of picks: its columns and types, what is refused, and labels that repeat a particle."""

import logging

import numpy as np
import pandas as pd
import pytest

from cryokit.coordinates import COLUMNS, concatenate, table, validate, without_repeats
from cryokit.coordinates.picks import refuse_depths, require_columns, sizes
from cryokit.errors import ArgumentError, CoordinateError

TYPES = {"micrograph": object, "x": float, "y": float, "score": float, "diameter": float, "view": object}


def test_single_values_are_repeated_and_columns_have_their_types():
    picks = table("a", x=[1, 2], y=np.array([3, 4], np.float32), diameter=7)
    assert picks.dtypes.to_dict() == TYPES
    assert tuple(picks) == COLUMNS
    assert picks.drop(columns="score").to_numpy().tolist() == [["a", 1.0, 3.0, 7.0, ""], ["a", 2.0, 4.0, 7.0, ""]]
    assert picks["score"].isna().all()
    assert table().dtypes.to_dict() == TYPES
    assert len(table()) == 0
    assert table(x=[1], y=[2])["micrograph"].tolist() == [""]
    one = table("a", x=1, y=2, score=0.5, view="top")
    assert one.drop(columns="diameter").to_numpy().tolist() == [["a", 1.0, 2.0, 0.5, "top"]]


def test_columns_of_a_table_are_its_own():
    x = np.array([1.0, 2.0])
    picks = table("a", x=x, y=x)
    picks.loc[0, "x"] = 9
    assert x.tolist() == [1, 2]
    assert picks["y"].tolist() == [1, 2]


@pytest.mark.parametrize("column", ["micrograph", "y", "score", "diameter", "view"])
def test_columns_of_different_lengths_are_refused_by_name(column):
    values = {"x": [1, 2], "y": [3, 4], column: ["1", "2", "3"]}
    with pytest.raises(ArgumentError, match=f"{column}.* 2 "):
        table(**values)


def test_validating_fills_in_converts_and_numbers_anew():
    given = pd.DataFrame({"x": ["1", "2.5"], "note": 0, "y": [3, 4], "micrograph": [7, "b"]}, index=[5, 5])
    picks = validate(given)
    assert picks.dtypes.to_dict() == TYPES
    assert picks.index.tolist() == [0, 1]
    assert tuple(picks) == COLUMNS
    assert picks[["micrograph", "x", "y", "view"]].to_numpy().tolist() == [["7", 1.0, 3.0, ""], ["b", 2.5, 4.0, ""]]
    assert picks[["score", "diameter"]].isna().all(axis=None)
    views = validate(given.assign(view=[None, "side"], score=[0.5, 1]))
    assert views["view"].tolist() == ["", "side"]
    assert views["score"].tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"x": [1]}, "no column micrograph, y; .* x"),
        ({}, "micrograph, x, y"),
        ({"micrograph": ["a"], "x": ["one"], "y": [2]}, "'x'.*one"),
        ({"micrograph": ["a"], "x": [1], "y": [2], "score": [{}]}, "'score'"),
        ({"micrograph": ["a"] * 3, "x": [1, 1, np.inf], "y": [1, 2, 3]}, "pick 3 "),
        ({"micrograph": ["a"] * 3, "x": [1, 1, 1], "y": [1, np.nan, np.nan]}, "pick 2 "),
    ],
)
def test_what_is_no_table_of_picks_is_refused_with_its_source(columns, named):
    with pytest.raises(CoordinateError, match=rf"^a\.csv: .*{named}"):
        validate(pd.DataFrame(columns), "a.csv")


def test_missing_columns_are_all_named_and_long_lists_cut():
    require_columns([1, "x"], ["x"], "a.csv")
    with pytest.raises(CoordinateError, match=r"^a\.csv: .* x, y;"):
        require_columns([1], ["x", "y"], "a.csv")
    with pytest.raises(CoordinateError) as caught:
        require_columns([f"column {number}" for number in range(1000)], ["x"], "a.csv")
    assert 300 < len(str(caught.value)) < 400


@pytest.mark.parametrize("depths", [[], [0, 0], [1, 1, 1], [np.nan], [np.nan, 0]])
def test_dummy_depths_are_no_tomogram(depths):
    refuse_depths(depths, "a.csv")
    refuse_depths(iter(depths), "a.csv")


@pytest.mark.parametrize("depths", [[0, 1], [2], [0.5], [np.nan, -1], [3, 3]])
def test_depths_are_a_tomogram(depths):
    with pytest.raises(CoordinateError, match=r"^a\.csv: .*tomogram"):
        refuse_depths(depths, "a.csv")


def test_sizes_are_one_for_all_or_those_of_the_picks():
    picks = table("a", x=[1, 2], y=[3, 4], diameter=[5, 6.5])
    assert sizes(picks, None, "a.box").tolist() == [5, 6.5]
    assert sizes(picks, 0.5, "a.box").tolist() == [0.5, 0.5]
    same = sizes(picks, 8, "a.box")
    assert (same.tolist(), same.dtype) == ([8, 8], float)
    assert sizes(table(), None, "a.box").size == 0
    for diameter in ([5, np.nan], [0, 5], [5, -1]):
        with pytest.raises(CoordinateError, match=r"^a\.box: "):
            sizes(picks.assign(diameter=diameter), None, "a.box")


def test_tables_are_joined_with_a_new_index():
    joined = concatenate([table("a", [1], [2]), table(), table("b", [3, 4], [5, 6])])
    assert joined.index.tolist() == [0, 1, 2]
    assert joined["micrograph"].tolist() == ["a", "b", "b"]
    assert joined.dtypes.to_dict() == TYPES
    assert tuple(concatenate(picks.assign(note=1) for picks in [table("a", [1], [2])])) == COLUMNS
    pd.testing.assert_frame_equal(concatenate([]), table())


# --- labels that repeat a particle -----------------------------------------------------------------------------------


def test_the_larger_of_two_labels_of_a_particle_stays(caplog):
    labels = table(["a", "a", "b", "a"], x=[10, 11, 10, 50], y=[5, 5, 5, 5], diameter=[20, 40, 20, 20], view="top")
    with caplog.at_level(logging.WARNING):
        kept = without_repeats(labels, "labels.csv")
    assert kept[["micrograph", "x"]].to_numpy().tolist() == [["a", 11], ["b", 10], ["a", 50]]
    assert kept.index.tolist() == [0, 1, 2]
    assert tuple(kept) == COLUMNS
    (message,) = caplog.messages
    assert message.startswith("labels.csv: 1 of 4 labels ")
    assert message.endswith(": a (1)")


def test_labels_at_a_twentieth_of_the_diameter_are_one_particle():
    # The diameter of the one that stays counts: 2 pixels of 40.
    pair = table("a", x=[10, 12], y=[5, 5], diameter=[40, 20])
    assert without_repeats(pair)["x"].tolist() == [10]
    assert without_repeats(pair.assign(x=[10, 12.001]))["x"].tolist() == [10, 12.001]
    assert without_repeats(pair.assign(x=[10, 11.5], y=[5, 6.5]))["x"].tolist() == [10, 11.5]
    assert without_repeats(pair.assign(diameter=[20, 40]))["x"].tolist() == [12]
    # Without a diameter only the same place is the same particle.
    same = table("a", x=[3, 3, 3.001], y=[4, 4, 4])
    assert without_repeats(same)["x"].tolist() == [3, 3.001]


def test_of_equal_labels_the_left_then_the_upper_then_the_first_view_stays():
    equal = table("a", x=[2, 1, 1, 1], y=[1, 2, 1, 1], diameter=100, view=["", "side", "top", "side"])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        kept = without_repeats(equal.iloc[order].reset_index(drop=True))
        assert kept[["x", "y", "view"]].to_numpy().tolist() == [[1, 1, "side"]]


def test_a_repeat_takes_no_other_label_with_it():
    # The middle one repeats the first and is 2 pixels from the third, which is 4 from the first.
    row = table("a", x=[10, 12, 14], y=[5, 5, 5], diameter=[40, 40, 40])
    assert without_repeats(row)["x"].tolist() == [10, 14]


def test_ignored_areas_and_unrepeated_labels_stay(caplog):
    areas = table("a", x=[5, 5, 5], y=[5, 5, 5], diameter=10, view=["top", "ignore", "ignore"])
    assert without_repeats(areas) is areas
    assert not caplog.messages
    twice = concatenate([areas, areas.iloc[:1].assign(view="side")])
    assert without_repeats(twice)["view"].tolist() == ["ignore", "ignore", "side"]
    assert len(caplog.messages) == 1


def test_micrographs_with_repeats_are_named_in_their_order(caplog):
    without_repeats(table(["b", "a", "b", "a", "a"], x=[1] * 5, y=[1] * 5, diameter=10))
    assert caplog.messages[0].endswith(": b (1), a (2)")
