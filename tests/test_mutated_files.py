"""Damaged files: whatever reads them says so in one line that names the file, or returns what is whole."""

import math
import os

import mutated_files
import pytest

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
