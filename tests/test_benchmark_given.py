"""Picks that somebody else has made, beside the methods of a benchmark: what counts, and what is told."""

import pytest
from test_benchmark_run import SIMULATED, benchmark

from cryokit import coordinates
from cryokit.benchmark.run import failures, run
from cryokit.coordinates import concatenate

OTHER = {**SIMULATED, "seed": 10, "train": 0, "validation": 0, "test": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run(benchmark(), folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def truth(folder):
    """The particles with a score of 0.9, and as many weak candidates that are none."""
    found, _ = coordinates.read_folder(folder / "data" / "sim" / "labels")
    found = found[found["view"] != "ignore"].assign(score=0.9, view="")
    beside = found.assign(x=found["x"] + 0.6 * found["diameter"], score=0.1)
    return concatenate([found, beside])


def given(folder, tmp_path, picks, splits, **changes):
    """Run with picks of the micrographs of some splits; return the result and the cell of the picks."""
    names = [name for name in picks["micrograph"].unique() if any(split in name for split in splits)]
    path = tmp_path / "mine"
    coordinates.write_folder(picks[picks["micrograph"].isin(names)], path, "csv", micrographs=names)
    result = run(benchmark(**changes), folder, picks={"mine": str(path)}, progress=False)
    return result, [cell for cell in result["cells"] if cell["method"] == "mine"]


def test_weak_candidates_are_cut_by_the_validation_micrographs(folder, truth, tmp_path):
    result, (cell,) = given(folder, tmp_path, truth, ("validation", "test"))
    assert cell["scores"]["f1"] > 0.95
    assert cell["decisions"] == []
    assert result["methods"]["mine"]["labels"] is None
    # They lie where a method's picks do, so that reports can draw them.
    written, _ = coordinates.read_folder(folder / "picks" / "mine" / "sim" / "seed0")
    assert len(written) == truth["micrograph"].str.contains("test").sum()


def test_without_these_everything_counts_and_is_told(folder, truth, tmp_path, caplog):
    _, (cell,) = given(folder, tmp_path, truth, ("test",))
    assert cell["scores"]["precision"] < 0.8
    assert "every pick counts" in cell["decisions"][0]
    assert "every pick counts" in caplog.text


def test_micrographs_without_picks_count_as_missed_and_are_named(folder, truth, tmp_path):
    _, (cell,) = given(folder, tmp_path, truth, ("validation", "test_001"))
    assert cell["scores"]["recall"] < 0.9
    (told,) = cell["decisions"]
    assert "1 test micrograph of 2 without picks (apoferritin_test_002)" in told


def test_picks_of_one_dataset_do_not_fail_on_the_others(folder, truth, tmp_path):
    both = [{"name": "sim", "simulate": SIMULATED}, {"name": "new", "simulate": {**OTHER, "protein": "ribosome"}}]
    result, own = given(folder, tmp_path, truth, ("test",), datasets=both)
    assert [cell["status"] for cell in own] == ["done", "skipped"]
    assert not failures(result)
    # Of none of them they are an error, which says what they are of.
    elsewhere = truth.assign(micrograph="elsewhere_test")
    result, own = given(folder, tmp_path / "b", elsewhere, ("test",), datasets=both)
    assert [cell["status"] for cell in own] == ["failed", "failed"]
    assert "names elsewhere_test, and none of the test micrographs" in failures(result)[0]


def test_a_file_that_cannot_be_read_is_told_with_the_way_out(folder, tmp_path):
    (tmp_path / "junk.txt").write_text("what is this\n")
    result = run(benchmark(), folder, picks={"junk": str(tmp_path / "junk.txt")}, progress=False)
    (told,) = failures(result)
    assert "junk.txt" in told
    assert "cryokit convert" in told
