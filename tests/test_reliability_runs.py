"""Locks, hidden folders of killed writers, processes that end with their starter, and the page of measurements."""

import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import running
import scripts
from running import REPOSITORY, gone, until

from cryokit._util import files, locks
from cryokit.errors import CryokitError, WriteError


def python(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


HOLD = """
import sys, time
from cryokit._util import files, locks
lock = locks.attempt(sys.argv[1]) if sys.argv[2] == "lock" else files.scratch(sys.argv[1])
if sys.argv[2] != "lock":
    (lock.__enter__() / "half").write_text("half")
print("held", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def holder():
    """Return a function that starts a process which holds a lock, or a hidden folder."""
    started = []

    def hold(path, what):
        process = python(HOLD, path, what)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()


def test_a_lock_ends_with_its_process(tmp_path, holder):
    process = holder(tmp_path / "lock", "lock")
    assert locks.attempt(tmp_path / "lock") is None
    with pytest.raises(CryokitError, match="busy"), locks.held(tmp_path / "lock", "busy"):
        pass
    process.kill()
    process.wait()
    with locks.held(tmp_path / "lock", "busy"):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()


def test_a_lock_can_be_shared(tmp_path):
    with locks.held(tmp_path / "lock", "busy", shared=True), locks.held(tmp_path / "lock", "busy", shared=True):
        assert locks.attempt(tmp_path / "lock") is None


def test_only_hidden_folders_of_dead_processes_go(tmp_path, holder):
    alive, dead = holder(tmp_path / "a.txt", "folder"), holder(tmp_path / "b.txt", "folder")
    dead.kill()
    dead.wait()
    assert len(list(tmp_path.iterdir())) == 2
    files.remove_leftovers([tmp_path, tmp_path / "no such folder"])
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.txt")
    # The next writer of the same file does not meet the one that lives, and takes away what a dead one has left.
    files.write_text(tmp_path / "a.txt", "mine")
    assert left.exists()
    alive.kill()
    alive.wait()
    files.write_text(tmp_path / "a.txt", "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_had_stepped_aside_comes_back(tmp_path):
    aside = tmp_path / ".model.0.cryokit-part" / files.ASIDE / "model"
    aside.mkdir(parents=True)
    (aside / "weights").write_text("old")
    files.remove_leftovers([tmp_path])
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_replaced_at_once(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    for content in ("one", "two"):
        with files.scratch(tmp_path / "model") as scratch:
            (scratch / "new").mkdir()
            (scratch / "new" / "weights").write_text(content)
            files.replace_folder(scratch / "new", tmp_path / "model", scratch)
        assert (tmp_path / "model" / "weights").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_disk_that_takes_no_more_is_named(tmp_path, number):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(WriteError, match=r"a\.txt"), files.replacing(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="limits of POSIX systems")
def test_a_file_larger_than_the_disk_takes(tmp_path):
    code = (
        "import resource, sys, numpy\n"
        "from cryokit.errors import WriteError\n"
        "from cryokit.micrograph import write_mrc\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))\n"
        "try: write_mrc(sys.argv[1], numpy.zeros((100, 100), numpy.float32))\n"
        "except WriteError as error: print(error)\n"
    )
    process = python(code, tmp_path / "a.mrc")
    said, _ = process.communicate(timeout=running.PATIENCE)
    assert "a.mrc" in said
    assert list(tmp_path.iterdir()) == []


def test_a_process_ends_with_the_one_that_holds_its_input(tmp_path):
    child = "from cryokit._util.lifeline import follow_input as follow; follow(); print('on', flush=True)\n"
    child += "import time; time.sleep(1000)"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    starter = python(code)
    process = int(starter.stdout.readline())
    assert not gone(process)
    starter.kill()
    starter.wait()
    until(lambda: gone(process))


def test_a_benchmark_and_its_folder_are_locked(tmp_path):
    from small_benchmark import benchmark

    from cryokit.benchmark.run import run

    (tmp_path / "run").mkdir()
    with (
        locks.held(tmp_path / "run" / "lock", "busy"),
        pytest.raises(CryokitError, match="another benchmark"),
    ):
        run(benchmark(), tmp_path / "run")


def test_an_unreadable_outcome_is_reported(tmp_path, caplog):
    from cryokit.benchmark.run import _finished

    (tmp_path / "seed0.json").write_text("{")
    assert _finished(tmp_path / "seed0.json", "key") is None
    assert "seed0.json" in caplog.text
    assert _finished(tmp_path / "seed1.json", "key") is None
    assert "seed1.json" not in caplog.text


def test_the_page_is_what_its_files_make(tmp_path):
    page = scripts.load("reliability_markdown")
    assert page.check(scripts.BENCHMARKS / "reliability", scripts.BENCHMARKS / "RELIABILITY.md") == ""
    for order, title in ((2, "Second"), (1, "First")):
        content = {"order": order, "title": title, "command": "c", "note": "n", "table": [{"a": order}]}
        (tmp_path / f"{title}.json").write_text(json.dumps(content))
    text = page.generated(tmp_path)
    assert text.index("## First") < text.index("## Second")
    assert page.check(tmp_path, tmp_path / "none.md") != ""


def test_every_broken_file_of_the_soak_is_a_micrograph_of_its_own(tmp_path):
    from cryokit.micrograph import find, write_mrc

    names = [f"m{index:02d}" for index in range(27)]
    for name in names:
        write_mrc(tmp_path / f"{name}.mrc", np.ones((4, 4), np.float32))
    wrong = scripts.load("many_micrographs").damage(tmp_path, 1)
    assert list(wrong.values()).count("link to nothing") == 2
    assert [path.stem for path in find(tmp_path)] == names


@pytest.mark.slow
def test_killed_at_random_moments():
    kills = scripts.load("kills")
    rows = list(kills.measure(10, seed=os.getpid(), only="pick, 1"))
    (row,) = rows
    assert row["partial files"] == row["processes left"] == row["after the next run"] == 0
    assert row["results as undisturbed"] == row["kills"] == 10
