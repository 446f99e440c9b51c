"""Damaged files: whatever reads them says so in one line that names the file, or returns what is whole."""

import json
import math
import os

import mutated_files
import pytest
import scripts

NUMBER = int(os.environ.get("CRYOKIT_MUTATIONS", 200))
SEED = int(os.environ.get("CRYOKIT_MUTATIONS_SEED", 0))
SECONDS = float(os.environ.get("CRYOKIT_MUTATIONS_SECONDS", math.inf))  # of processor time for a file: `make fuzz` only


@pytest.mark.parametrize("name", mutated_files.names())
def test_damaged_files_end_in_a_clean_error_or_a_result(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    number = max(10, NUMBER // mutated_files.readers()[name].cost)
    counts = mutated_files.outcomes(name, number, SEED, tmp_path / "mutated", seconds=SECONDS)
    assert counts.total() == number
    assert counts["error"]


def test_figures_are_added_up(tmp_path):
    fuzzing = scripts.load("fuzzing")
    words = ["--readers", "micrograph list", "--out", str(tmp_path / "fuzzing.json")]
    for number in (30, 20, 50):
        assert fuzzing.main([str(number), *words]) == 0
        (row,) = json.loads((tmp_path / "fuzzing.json").read_text())["table"]
        assert row["files"] == row["clean errors"] + row["whole results"] == max(30, number)
        assert row["faults"] == 0
    # The same files as in one go.
    counts = mutated_files.outcomes("micrograph list", 50, fuzzing.SEED, tmp_path / "mutated")
    assert (counts["error"], counts["result"]) == (row["clean errors"], row["whole results"])


def test_a_fault_is_counted_and_ends_the_reader_s_turn(tmp_path, monkeypatch, capsys):
    fuzzing = scripts.load("fuzzing")
    monkeypatch.setattr(mutated_files, "_made", {"box": mutated_files.Reader("a.box", (b"1 2 30 30\n",), fault, True)})
    assert fuzzing.main(["9", "--readers", "box", "--out", str(tmp_path / "fuzzing.json")]) == 1
    (row,) = json.loads((tmp_path / "fuzzing.json").read_text())["table"]
    assert (row["files"], row["faults"]) == (1, 1)
    assert "ZeroDivisionError" in capsys.readouterr().err


def fault(path):
    raise ZeroDivisionError
