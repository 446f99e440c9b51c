"""The notebook on picking with a network: what its text says has to be true of its run."""

import pytest
from html_pages import remote_parts, without_alternative_text

from cryokit import coordinates

NOTEBOOK = "05_gpu_picking"
QUICKER = {"width": 0.08, "micrographs": 4}


def test_table_4_follows_from_the_window_but_not_its_micrographs(results):
    assert results["rows of table 4 with the paper's factor"] == 5
    assert results["rows of table 4 whose micrographs do not follow"] == ["apoferritin", "ribosome"]


def test_dense_scores_equal_sliding_ones(results):
    assert results["largest difference, valid"] < 1e-4
    assert results["largest difference, tiles"] < 1e-4


def test_same_padding_is_an_approximation(results):
    assert results["mean difference, valid padding"] < 1e-5
    assert results["decided otherwise, valid padding"] == 0
    assert 1e-3 < results["mean difference, same padding"] < 0.3
    assert 0 < results["decided otherwise, same padding"] < 0.2


def test_arithmetic(results):
    words = "sliding takes so many times the operations"
    dense, own, compact = (results[f"{words}, {way}"] for way in ("dense", "dense, own stride", "compact"))
    assert 12 < dense < own < compact
    assert compact > 1000


def test_cleaning_leaves_particles(results):
    # Whether anything larger than a particle is left differs from training to training.
    strict, tolerant = (results[f"areas left out, closeness {close}"] for close in ("0.1", "0.3"))
    assert 0 <= strict <= tolerant
    left = [results[f"positions left, closeness {close}"] for close in ("0.3", "0.1")]
    assert 0 < left[0] <= left[1] <= results["positions above the threshold"]
    assert (tolerant > 0) == (left[0] < results["positions above the threshold"])
    assert results["true particles lost, closeness 0.3"] <= 1


def test_suppression_leaves_one_pick_a_particle(results):
    candidates, by_view = results["picks, all candidates"], results["picks, IoU, each view by itself"]
    together, distance = results["picks, IoU, all views together"], results["picks, distance, all together"]
    assert candidates > 5 * by_view
    assert by_view >= together
    assert abs(together - distance) < 0.1 * together
    assert results["F1, all candidates"] < 0.3
    # The network is a narrow one.
    assert results["F1, IoU, all views together"] >= results["F1, IoU, each view by itself"]
    assert results["F1, IoU, each view by itself"] > 3 * results["F1, all candidates"]


def test_views_by_themselves_pick_particles_twice(results):
    often, seldom = results["particles picked twice"]
    assert often > seldom
    assert often > 5


def test_limit_of_overlap_depends_on_the_direction(results):
    # (1 - d) / (1 + d) = 0.3 side by side; along the diagonal (1 - s)^2 / (2 - (1 - s)^2) = 0.3 with s = d / sqrt(2).
    assert results["distance at the limit, side by side"] == pytest.approx(7 / 13, abs=1e-3)
    assert results["distance at the limit, diagonal"] == pytest.approx(2**0.5 * (1 - (6 / 13) ** 0.5), abs=1e-3)


def test_peaks_between_positions_are_nearer_to_the_centre(results):
    assert results["off the centre, peaks"] < results["off the centre, positions"] < 0.2


def test_device_and_precision(results, notebook):
    assert ("there is no GPU" in notebook.page) == (results["gpu"] is None)
    same = {name: share for name, share in results.items() if name.startswith("same picks")}
    assert f"same picks, {results['device']}, mixed_bfloat16" in same
    assert same[f"same picks, {results['device']}, float32"] == 1
    assert min(same.values()) > 0.9
    assert results["batch and single, largest difference"] < 1e-4
    assert all(results[f"seconds a micrograph, {method}"] > 0 for method in ("deepcryopicker", "auto"))


def test_reading_ahead_saves_time(results):
    # Half, if reading and picking take the same time, and there is nothing before the first or after the last.
    assert results["reading ahead, part of the time"] < 0.85


def test_new_micrographs_are_picked(results):
    assert results["F1, auto"] > 0.9
    assert results["F1, deepcryopicker"] > 0.75
    assert results["average precision, auto"] > 0.95
    assert results["problems, auto"] == results["problems, deepcryopicker"] == 0


def test_star_files_hold_the_picks(results, notebook):
    assert results["picks read back"] == results["picks written"] > 100
    assert results["largest error of a position in the STAR file"] < 1e-3
    picks, names = coordinates.read_folder(notebook.folder / "auto_picks", format="star")
    assert len(picks) == results["picks written"]
    assert "carbon" in names
    assert len(names) == notebook.given.get("micrographs", 8) // 2 + 1


def test_scores_of_the_general_network_are_near_to_probabilities(results):
    # Some 200 candidates in five bins: the standard error of a share is about 0.08.
    assert results["candidates, general network"] > 100
    assert results["calibration error, general network"] < 0.2
    assert results["calibration error, held-out simulation"] < 0.05


def test_wrong_scale_shows(results):
    right = results["F1, as trained"]
    assert right > 0.5
    for mistake in ("particles 0.6 times as large", "particles 1.6 times as large", "bright for dark"):
        assert results[f"F1, {mistake}"] < right - 0.1


def test_page(notebook):
    assert remote_parts(notebook.page) == []
    assert without_alternative_text(notebook.page) == []
    assert notebook.pictures >= 11


def test_warns_of_nothing(notebook):
    assert notebook.warnings == []
