"""``cryokit pick`` on many machines: shards and their lists, SLURM's job arrays, and Dask clusters."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import running
from running import REPOSITORY, Session, leftovers, results

from cryokit._util import cluster as cluster_module
from cryokit.cli import main
from cryokit.cli.job_script import shard
from cryokit.errors import CryokitError


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path, 5)


def merge(out):
    return main(["pick", "--merge", str(out)])


def alone(session):
    """What one process makes of the session."""
    out = session.out.parent / "alone"
    assert session.pick(out=out) == 0
    session.picked()
    return results(out)


# --- shards --------------------------------------------------------------------------------------------------------


def test_shards_make_what_one_process_makes(session, capsys, caplog):
    expected = alone(session)
    assert session.pick("--shard", "1/3") == 1
    assert "--fit-only" in capsys.readouterr().err
    assert session.pick("--fit-only") == 0
    assert session.picked() == {}
    assert session.pick("--shard", "2/3") == 0
    assert session.picked() == {"m1": 1, "m4": 1}
    assert not (session.out / "picks.csv").exists()

    assert merge(session.out) == 1
    assert set(pd.read_csv(session.out / "micrographs.csv").micrograph) == {"m1", "m4"}
    told = caplog.text
    assert all(f"m{index}.mrc: has not been picked" in told for index in (0, 2, 3))

    assert session.pick("--shard", "1/3") == 0
    assert session.pick("--shard", "3/3") == 0
    assert session.picked() == {"m0": 1, "m2": 1, "m3": 1}
    assert merge(session.out) == 0
    assert results(session.out) == expected
    # Whoever does it again finds everything done, in whatever parts.
    assert session.pick("--shard", "1/2") == 0
    assert session.pick() == 0
    assert session.picked() == {}


def test_a_saved_model_needs_no_fit(session):
    expected = alone(session)
    model = session.out.parent / "alone" / "record" / "model.npz"
    words = ["pick", str(session.folder), "--out", str(session.out), "--model", str(model), "--trust"]
    for part in ("1/2", "2/2"):
        assert main([*words, "--shard", part]) == 0
    assert merge(session.out) == 0
    assert results(session.out) == expected


def test_merging_takes_away_what_is_not_recorded(session):
    """A kill between the writing of a file and its line in the record leaves the file."""
    assert session.pick("--fit-only") == 0
    assert session.pick("--shard", "1/2") == 0
    (session.out / "m1.star").write_bytes((session.out / "m0.star").read_bytes())
    assert merge(session.out) == 1
    assert not (session.out / "m1.star").exists()


def test_nothing_to_merge(session, tmp_path, capsys):
    assert merge(tmp_path / "nowhere") == 1
    assert merge(session.folder) == 1
    assert str(session.folder) in capsys.readouterr().err
    assert not (session.folder / "record").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "/", "-1/2", "1/2/3"])
def test_parts_that_make_no_sense(text):
    with pytest.raises(Exception, match="neither I/N"):
        shard(text)


@pytest.mark.parametrize(
    ("task", "first", "step", "number", "expected"),
    [(0, 0, 1, 8, "1-of-8"), (8, 1, 1, 8, "8-of-8"), (5, 3, 2, 2, "2-of-2"), (7, 3, 1, 3, None), (4, 3, 2, 2, None)],
)
def test_tasks_of_an_array(monkeypatch, task, first, step, number, expected):
    values = {"ID": task, "MIN": first, "STEP": step, "COUNT": number}
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    if expected:
        assert str(shard("slurm")) == expected
    else:
        with pytest.raises(Exception, match="I/N"):
            shard("slurm")


@pytest.mark.slow
def test_eight_shards_side_by_side_of_which_some_are_killed(tmp_path):
    session = Session(tmp_path, 24)
    expected = alone(session)
    assert session.pick("--fit-only") == 0
    for name in ("m2", "m13", "m23"):
        session.tell("die", name)
    processes = [session.start("--shard", f"{number}/8") for number in range(1, 9)]
    for process in processes:
        process.communicate(timeout=10 * running.PATIENCE)
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [-9, -9, -9, 0, 0, 0, 0, 0]
    again = [session.start("--shard", f"{number}/8") for number, code in enumerate(codes, 1) if code]
    assert [process.wait(10 * running.PATIENCE) for process in again] == [0, 0, 0]
    assert merge(session.out) == 0
    assert results(session.out) == expected
    assert leftovers(session.out) == []


# --- SLURM ---------------------------------------------------------------------------------------------------------

SBATCH = """#!/bin/bash
# Runs at once what sbatch would queue, and notes its options.
echo "$@" >> "$NOTES"
while [ $# -gt 0 ]; do
  case "$1" in
    --array=*) last=${1#--array=1-} ;;
    --wrap) job=$2; shift ;;
  esac
  shift
done
for task in $(seq ${last:-1}); do
  [ -z "$last" ] || export SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=$last
  bash -c "$job" >> "$NOTES.log" 2>&1 || exit 1
done
echo "$(wc -l < "$NOTES");cluster"
"""


def script(session, capsys, *more):
    capsys.readouterr()
    assert session.pick("--print-sbatch", *more) == 0
    path = session.out.parent / "pick it.sh"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.slow
def test_the_script_submits_fit_shards_and_lists(session, capsys, tmp_path, monkeypatch):
    expected = alone(session)
    path = script(session, capsys, "--shards", "2", "--gpu")
    assert not session.out.exists()
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text(SBATCH)
    (programs / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    subprocess.run(["bash", path, "--partition=gpu"], check=True, capture_output=True)
    fit, array, last = (tmp_path / "notes").read_text().splitlines()
    assert "--fit-only" in fit
    assert "--gres=gpu:1" in fit
    assert "--array=1-2" in array
    assert "--dependency=afterok:1 --kill-on-invalid-dep=yes " in array
    assert "--gres=gpu:1" in array
    assert "--dependency=afterany:2 " in last
    assert "gpu:1" not in last
    assert all("--partition=gpu" in line for line in (fit, array, last))
    assert results(session.out) == expected
    assert session.picked() == {f"m{index}": 1 for index in range(5)}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Return the environment of a SLURM cluster of one node, this machine, which is started for the module."""
    needed = [shutil.which(name) for name in ("slurmctld", "slurmd", "munged", "sbatch", "squeue")]
    if not all(needed) or os.geteuid() != 0:
        pytest.skip("needs SLURM and munge (apt install slurm-wlm munge), as root")
    from slurm_node import node

    with node(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.mark.slow
def test_the_script_on_a_real_cluster(session, capsys, slurm):
    expected = alone(session)
    path = script(session, capsys, "--shards", "3")
    environment = {**os.environ, **slurm, "PYTHONPATH": str(REPOSITORY)}
    words = ["bash", path, f"--output={session.control / 'job-%A-%a'}"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout
    assert re.search(r"array \d+, merge \d+", said)
    jobs_end(environment)
    assert results(session.out) == expected
    assert session.picked() == {f"m{index}": 1 for index in range(5)}


@pytest.mark.slow
def test_a_fit_that_fails_on_a_real_cluster_ends_all_jobs(session, capsys, slurm):
    path = script(session, capsys, "--shards", "2")
    shutil.rmtree(session.folder)
    environment = {**os.environ, **slurm, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(["bash", path, "--output=/dev/null"], check=True, capture_output=True, env=environment)
    jobs_end(environment)
    assert session.picked() == {}


def jobs_end(environment):
    end = time.monotonic() + 5 * running.PATIENCE
    while subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True, text=True, check=True).stdout:
        assert time.monotonic() < end, "the jobs have not ended"
        time.sleep(0.5)


# --- Dask ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def cluster(workers):
    distributed = pytest.importorskip("distributed", reason="needs the package distributed")
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as local:
        yield local


@pytest.fixture(scope="module")
def dask():
    with cluster(2) as local:
        yield local.scheduler_address


def test_workers_of_a_cluster_make_what_one_process_makes(session, dask):
    expected = alone(session)
    (session.folder / "broken.mrc").write_bytes(b"no micrograph")
    session.tell("die", "m3")
    assert session.pick("--dask", dask) == 1
    counts = session.picked()
    # What the killed worker had in hand is done again, and perhaps what it had just done.
    assert counts["m3"] == 2
    assert set(counts) == {f"m{index}" for index in range(5)}
    (session.folder / "broken.mrc").unlink()
    assert results(session.out) == expected
    assert leftovers(session.out) == []
    assert session.pick() == 0
    assert session.picked() == {}


def test_a_worker_that_is_killed_while_it_gets_the_picker(session, dask):
    expected = alone(session)
    session.tell("die", "arriving")
    assert session.pick("--dask", dask) == 0
    assert not (session.control / "die-arriving").exists()
    assert results(session.out) == expected


def test_a_plugin_that_never_arrives(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    sent = []

    class Client:
        def register_plugin(self, plugin):
            sent.append(plugin)
            raise ConnectionResetError("gone")

    with pytest.raises(OSError, match="gone"):
        cluster_module.send(Client(), "plugin")
    assert 1 < len(sent) < 20


def test_no_cluster(session, capsys, monkeypatch):
    monkeypatch.setattr("cryokit._util.cluster._WAIT", 1)
    assert session.pick("--dask", "tcp://127.0.0.1:9") == 1
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert session.pick("--dask", "tcp://127.0.0.1:9") == 1
    assert "cryokit[cluster]" in capsys.readouterr().err


@pytest.mark.slow
def test_cells_of_a_benchmark_on_a_cluster(dask, tmp_path):
    from small_benchmark import benchmark

    from cryokit.benchmark.run import run

    config = benchmark(methods=["template", {"name": "autocryopicker", "settings": {"clusters": "many"}}])
    result = run(config, tmp_path / "run", dask=dask)
    assert [(cell["method"], cell["status"]) for cell in result["cells"]] == [
        ("template", "done"),
        ("autocryopicker", "failed"),
    ]
    before = Path(tmp_path / "run" / "cells" / "template" / "sim" / "seed0.json").read_bytes()
    again = run(config, tmp_path / "run", dask=dask)
    assert Path(tmp_path / "run" / "cells" / "template" / "sim" / "seed0.json").read_bytes() == before
    assert again["cells"][0]["scores"] == result["cells"][0]["scores"]
    with pytest.raises(CryokitError, match="--dask nonsense"):
        run(config, tmp_path / "other", dask="nonsense")
