"""The script that measures picking on many machines: when it kills, what it compares, and what it writes down."""

import json
import os
import random
import subprocess
import sys

import pytest
import scripts
from running import gone


@pytest.fixture(scope="module")
def machines():
    return scripts.load("machines")


@pytest.fixture
def marked(machines):
    """A process that carries the mark of a run."""
    environment = {**os.environ, machines.kills.MARK: "token"}
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", "--shard"], env=environment)
    yield process
    process.kill()
    process.wait()


def test_moments_lie_in_the_work_and_follow_from_the_seed(machines):
    drawn = [machines.moments(random.Random(seed), 10, 3) for seed in range(200)]
    assert {len(when) for when in drawn} == {1, 2, 3}
    assert all(when == sorted(when) for when in drawn)
    assert 0 <= min(map(min, drawn)) < 1
    assert 10 < max(map(max, drawn)) <= 10.5
    assert machines.moments(random.Random(7), 10, 3) == drawn[7]


def test_partial_files_are_those_with_another_content(machines):
    expected = {"a.star": b"a", "b.star": b"b"}
    assert machines.different({"a.star": b"a"}, expected) == set()
    assert machines.different({"a.star": b"", "b.star": b"b", "c.star": b"c"}, expected) == {"a.star", "c.star"}


def test_a_row_sums_up_runs(machines):
    found = [
        machines.Found(killed=2, partial={"a"}, left_before=3, same=True),
        machines.Found(killed=1, left_after=1, processes_left=2),
        machines.Found(killed=0, same=True),
    ]
    assert [one.well for one in found] == [False, False, True]
    row = machines.table_row(machines.Part("pick", 4, None), 1.25, found)
    assert list(row.values()) == ["pick", 4, 3, 1.2, 3, 1, 2, 3, 1, 2]


def test_rows_of_other_parts_stay_in_their_places(machines, tmp_path):
    file = tmp_path / "machines.json"
    new = [{"command": "b", "runs": 2}]
    assert machines.kills.with_others(new, file) == new
    file.write_text(json.dumps({"table": [{"command": name, "runs": 1} for name in "abc"]}))
    assert [(row["command"], row["runs"]) for row in machines.kills.with_others(new, file)] == [
        ("a", 1),
        ("b", 2),
        ("c", 1),
    ]


def test_what_was_not_measured_is_told(machines):
    row = {"command": "pick --dask", "runs": 1}
    (remark,) = machines.section([row], "munged not installed")["remarks"]
    assert "munged not installed" in remark
    assert machines.section([row, {"command": machines.SCRIPT}], "")["remarks"] == []
    page = scripts.load("reliability_markdown")
    assert remark in page.section(machines.section([row], "munged not installed"))


def test_the_script_for_slurm_is_what_the_command_prints(machines, tmp_path):
    words = ("pick", tmp_path, "--out", tmp_path / "out", "--print-sbatch", "--shards", 2)
    assert "--array=1-2" in machines.job_script(words)


def test_processes_of_a_run_are_found_and_ended(machines, marked, monkeypatch):
    monkeypatch.setattr(machines.kills, "PATIENCE", 0.1)
    assert machines.survivors("another") == []
    assert machines.doing("token", "--shard") == [marked.pid]
    assert machines.doing("token", "spawn_main") == []
    assert machines.survivors("token") == [marked.pid]
    marked.wait()
    assert gone(marked.pid)


@pytest.mark.slow
def test_shards_that_are_killed_make_what_one_process_makes():
    machines = scripts.load("machines")
    *_, row = machines.measure(["shards"], 3, seed=os.getpid())
    assert row["partial files"] == row["processes left"] == row["after the next run"] == 0
    assert row["results as undisturbed"] == row["runs"] == 3
