"""Runs of ``cryokit pick`` that are run again: what is done, what is kept, what is refused, and what a kill leaves."""

import errno
import json
import os
import signal
import threading
from pathlib import Path

import pandas as pd
import pytest
import running
from running import Session, gone, leftovers, results, until

from cryokit import coordinates
from cryokit._util import files as written_files
from cryokit._util import locks
from cryokit.cli import main
from cryokit.pickers import picking_record, picking_run

LISTS = {"picks.csv", "micrographs.csv", "autopick.star"}


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


def lines_of(out):
    return (Path(out) / "record" / "done.jsonl").read_text().splitlines()


def agree(out):
    """Check that the lists are of the coordinate files beside them."""
    picks = pd.read_csv(out / "picks.csv")
    names = pd.read_csv(out / "micrographs.csv").micrograph.tolist()
    assert sorted(names) == sorted(path.stem for path in out.glob("*.star") if path.name != "autopick.star")
    listed = set(coordinates.star.listed_files(out / "autopick.star")) if names else set()
    assert {Path(path).stem for path in listed} == set(names)
    for name in names:
        own = coordinates.read(out / f"{name}.star")
        assert own.x.tolist() == pytest.approx(picks[picks.micrograph == name].x.tolist())
        assert own.score.tolist() == pytest.approx(picks[picks.micrograph == name].score.tolist())


# --- what is done again --------------------------------------------------------------------------------------------


def test_the_same_again_does_nothing(session):
    assert session.pick() == 0
    assert session.picked() == {"m0": 1, "m1": 1, "m2": 1, "m3": 1}
    before = results(session.out)
    assert set(before) == {"m0.star", "m1.star", "m2.star", "m3.star", *LISTS}
    (session.control / "fitted").unlink()
    assert session.pick() == 0
    assert session.picked() == {}
    assert not (session.control / "fitted").exists()
    assert results(session.out) == before


def test_what_is_missing_failed_or_changed_is_done(session):
    (session.folder / "broken.mrc").write_bytes(b"no micrograph")
    assert session.pick() == 1
    session.picked()
    assert "broken" not in (session.out / "micrographs.csv").read_text()
    session.add(1, seed=77)
    (session.out / "m2.star").unlink()
    session.add(8)
    session.add(9)
    os.replace(session.folder / "m9.mrc", session.folder / "broken.mrc")
    assert session.pick() == 0
    assert session.picked() == {"m1": 1, "m2": 1, "m8": 1, "broken": 1}
    agree(session.out)
    assert session.pick(out=session.out.parent / "other") == 0
    assert coordinates.read(session.out / "m1.star").x.tolist() == pytest.approx(
        coordinates.read(session.out.parent / "other" / "m1.star").x.tolist()
    )


def test_files_of_a_micrograph_that_is_broken_now_go(session):
    assert session.pick("--overlays") == 0
    (session.folder / "m1.mrc").write_bytes(b"no micrograph any more")
    assert session.pick("--overlays") == 1
    assert not (session.out / "m1.star").exists()
    assert not (session.out / "overlays" / "m1.png").exists()
    agree(session.out)


def test_contents_are_compared_when_asked_for(session):
    assert session.pick() == 0
    session.picked()
    state = (session.folder / "m1.mrc").stat()
    session.add(1, seed=77)
    os.utime(session.folder / "m1.mrc", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert session.pick() == 0
    assert session.picked() == {}
    assert session.pick("--verify") == 0
    assert session.picked() == {"m1": 1}


def test_a_clock_that_was_set_back_changes_nothing_but_times(session):
    assert session.pick() == 0
    session.picked()
    session.add(4)
    os.utime(session.folder / "m4.mrc", (0, 0))
    state = (session.folder / "m0.mrc").stat()
    os.utime(session.folder / "m0.mrc", ns=(state.st_atime_ns, state.st_mtime_ns - 10**15))
    assert session.pick() == 0
    assert session.picked() == {"m0": 1, "m4": 1}
    agree(session.out)


def test_only_new_ones(session):
    (session.folder / "broken.mrc").write_bytes(b"no micrograph")
    assert session.pick() == 1
    session.picked()
    session.add(1, seed=77)
    session.add(4)
    assert session.pick("--only-new") == 0
    assert session.picked() == {"m4": 1}
    assert len(pd.read_csv(session.out / "micrographs.csv")) == 5


def test_lists_that_were_removed_are_made_without_picking(session):
    assert session.pick() == 0
    before, _ = results(session.out), session.picked()
    (session.out / "picks.csv").unlink()
    assert session.pick() == 0
    assert session.picked() == {}
    assert results(session.out) == before


@pytest.mark.parametrize("more", [["--threshold", "0.9"], ["--overlays"], ["--format", "box"], ["--set", "number=2"]])
def test_other_settings_are_refused(session, capsys, more):
    assert session.pick() == 0
    before, _ = results(session.out), session.picked()
    assert session.pick(*more) == 1
    told = capsys.readouterr().err
    assert "--fresh" in told
    assert str(session.out) in told
    assert len(told.splitlines()) == 1
    assert session.picked() == {}
    assert results(session.out) == before


def test_fresh_removes_what_the_run_has_made(session):
    assert session.pick("--overlays") == 0
    (session.out / "notes.txt").write_text("mine")
    assert session.pick("--format", "box", "--fresh") == 0
    assert set(results(session.out)) == {
        "m0.box",
        "m1.box",
        "m2.box",
        "m3.box",
        "picks.csv",
        "micrographs.csv",
        "notes.txt",
    }
    assert len(lines_of(session.out)) == 4


def test_micrographs_that_came_later_are_added(session, tmp_path):
    assert session.pick() == 0
    session.picked()
    other = tmp_path / "later"
    other.mkdir()
    os.replace(session.folder / "m3.mrc", other / "m9.mrc")
    assert main([*session.words()[:1], str(other), *session.words()[2:]]) == 0
    assert session.picked() == {"m9": 1}
    assert set(pd.read_csv(session.out / "micrographs.csv").micrograph) == {"m0", "m1", "m2", "m3", "m9"}


def test_names_that_repeat_later_are_refused(session, tmp_path, capsys):
    assert session.pick() == 0
    other = tmp_path / "later"
    other.mkdir()
    os.replace(session.folder / "m3.mrc", other / "m0.mrc")
    assert main([*session.words()[:1], str(other), *session.words()[2:]]) == 1
    assert "m0" in capsys.readouterr().err
    agree(session.out)


def test_a_picker_that_cannot_be_saved_is_fitted_again(session, caplog, monkeypatch):
    from cryokit.errors import PickerError
    from cryokit.pickers import Picker

    def refused(self, path):
        raise PickerError("cannot be saved")

    monkeypatch.setattr(Picker, "save", refused)
    assert session.pick() == 0
    assert "cannot be saved" in caplog.text
    session.add(4)
    session.picked()
    assert session.pick() == 0
    assert session.picked() == {"m4": 1}


# --- damaged records -----------------------------------------------------------------------------------------------


def test_a_line_that_was_cut_short_is_done_again(session):
    assert session.pick() == 0
    before, _ = results(session.out), session.picked()
    journal = session.out / "record" / "done.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])
    (session.out / "picks.csv").unlink()
    assert session.pick() == 0
    assert session.picked() == {"m3": 1}
    assert results(session.out) == before


@pytest.mark.parametrize("damage", ["{}", "\0\0\0", '{"path": "a", "name": "b", "turn": "soon"}', "[1]"])
def test_a_damaged_line_is_an_error_and_nothing_is_lost(session, capsys, damage):
    assert session.pick() == 0
    journal = session.out / "record" / "done.jsonl"
    lines = journal.read_text().splitlines()
    lines[1] = damage
    journal.write_text("\n".join(lines) + "\n")
    before = journal.read_bytes()
    assert session.pick() == 1
    told = capsys.readouterr().err
    assert "done.jsonl" in told
    assert "--fresh" in told
    assert journal.read_bytes() == before


@pytest.mark.parametrize("name", ["run.json", "inputs.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_record_is_an_error(session, capsys, name, content):
    assert session.pick() == 0
    (session.out / "record" / name).write_bytes(content)
    assert session.pick() == 1
    assert name in capsys.readouterr().err
    assert (session.out / "record" / name).read_bytes() == content
    assert session.pick("--fresh") == 0
    agree(session.out)


def test_another_model_or_version_is_refused(session, capsys, monkeypatch):
    assert session.pick() == 0
    session.add(4)
    monkeypatch.setattr(picking_record, "__version__", "0.0.0")
    assert session.pick() == 1
    monkeypatch.undo()
    (session.out / "record" / "model.npz").write_bytes(b"another")
    assert session.pick() == 1
    told = capsys.readouterr().err
    assert "run.json" in told
    assert "model.npz" in told


# --- while it runs -------------------------------------------------------------------------------------------------


def test_lists_are_not_there_while_files_change(session, monkeypatch):
    assert session.pick() == 0
    there = []
    add = picking_record.Record.add

    def noted(self, result):
        there.append(LISTS & set(results(session.out)))
        add(self, result)

    monkeypatch.setattr(picking_record.Record, "add", noted)
    session.add(1, seed=77)
    session.add(4)
    assert session.pick() == 0
    assert there == [set(), set()]
    agree(session.out)


def test_two_runs_into_one_folder(session, capsys):
    assert session.pick() == 0
    before = results(session.out)
    with locks.held(session.out / "record" / "lock", "busy"):
        assert session.pick() == 1
    told = capsys.readouterr().err
    assert str(session.out) in told
    assert str(os.getpid()) in told
    assert results(session.out) == before
    assert session.pick() == 0


@pytest.mark.parametrize("place", ["m2.star", "done.jsonl", "picks.csv", "run.json"])
def test_a_full_disk_ends_the_run_and_loses_nothing(session, capsys, monkeypatch, place):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    replace, writing = os.replace, picking_record.open if hasattr(picking_record, "open") else open

    def refused(source, target):
        if os.path.basename(target) == place:
            raise full
        replace(source, target)

    def cut_short(path, *more, **others):
        file = writing(path, *more, **others)
        if os.path.basename(path) == place and more == ("ab",) and len(lines_of(session.out)) == 2:
            file.write(b'{"half": ')
            file.close()
            raise full
        return file

    monkeypatch.setattr(written_files.os, "replace", refused)
    monkeypatch.setattr(picking_record, "open", cut_short, raising=False)
    assert session.pick() == 1
    told = capsys.readouterr().err
    assert place in told
    assert len(told.splitlines()) == 1
    assert leftovers(session.out) == []
    done = {"m2.star": 2, "done.jsonl": 2, "picks.csv": 4, "run.json": 0}[place]
    monkeypatch.undo()
    session.picked()
    assert session.pick() == 0
    assert len(session.picked()) == 4 - done
    agree(session.out)
    assert session.pick(out=session.out.parent / "other") == 0
    assert results(session.out) == results(session.out.parent / "other")


def test_what_arrives_is_picked_when_it_is_complete(session):
    """Steps of a session being recorded, each after the look before."""
    m5 = session.folder / "m5.mrc"

    def half():
        session.add(5)
        m5.write_bytes(m5.read_bytes()[:1000])

    def whole():
        session.add(5)

    class Steps(threading.Event):
        left = (half, whole, lambda: None, lambda: session.add(6), lambda: None, lambda: None)
        seen = 0

        def wait(self, timeout=None):
            if self.seen == len(self.left):
                self.set()
            else:
                self.left[self.seen]()
                self.seen += 1
            return self.is_set()

    picked = []
    stop = Steps()
    with picking_record.opened(session.out) as record:
        rounds = picking_run.arrivals(lambda: sorted(session.folder.iterdir()), record, stop, 1.0)
        for paths in rounds:
            assert all(path.stat().st_size > 1000 for path in paths)
            picked.append([path.stem for path in paths])
            for path in paths:
                item = picking_run.Item(path, path.stem)
                signature = picking_run.Signature.of(path)
                entry = picking_record.Entry(path, 0, 0, 1, item, signature, None, True)
                record.entries[picking_record.key_of(path)] = entry
    assert picked == [["m0", "m1", "m2", "m3"], ["m5"], ["m6"]]


def test_watching_until_a_signal(session):
    process = session.start("--watch", "--poll", "0.05", "--fit-after", "4")
    try:
        session.process_at("m3")
        until((session.out / "picks.csv").exists)
        session.add(4)
        session.process_at("m4")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=running.PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, output
    agree(session.out)
    assert len(pd.read_csv(session.out / "micrographs.csv")) == 5
    assert leftovers(session.out) == []


# --- killed --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    session = Session(tmp_path_factory.mktemp("uninterrupted"))
    assert session.pick("--overlays") == 0
    return {name: data for name, data in results(session.out).items() if name != "autopick.star"}


@pytest.mark.parametrize(
    ("jobs", "number"),
    [
        *((1, signal.SIGKILL), (1, signal.SIGTERM), (2, signal.SIGKILL)),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((1, signal.SIGHUP), (2, signal.SIGTERM), (2, signal.SIGHUP))
        ),
    ],
)
def test_ended_by_a_signal_it_leaves_no_process_and_loses_nothing(session, uninterrupted, number, jobs):
    session.tell("wait", "m2")
    process = session.start("--overlays", "--jobs", jobs)
    worker = session.process_at("m2")
    assert (worker == process.pid) == (jobs == 1)
    process.send_signal(number)
    process.communicate(timeout=running.PATIENCE)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    until(lambda: gone(worker))
    assert not LISTS & set(results(session.out))
    session.untell("wait", "m2")
    session.picked()
    assert session.pick("--overlays") == 0
    assert session.picked()["m2"] == 1
    assert leftovers(session.out) == []
    agree(session.out)
    again = {name: data for name, data in results(session.out).items() if name != "autopick.star"}
    assert again == uninterrupted


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(session):
    session.tell("die", "m1")
    session.tell("always-die", "m2")
    assert session.pick("--jobs", 2) == 1
    (failed,) = (line for line in map(json.loads, lines_of(session.out)) if "problem" in line)
    assert failed["name"] == "m2"
    assert set(pd.read_csv(session.out / "micrographs.csv").micrograph) == {"m0", "m1", "m3"}
    session.untell("always-die", "m2")
    session.picked()
    assert session.pick("--jobs", 2) == 0
    assert session.picked() == {"m2": 1}
    agree(session.out)


def test_half_written_files_of_killed_processes_go(session):
    assert session.pick() == 0
    for name in ("m1.star", "gone.star"):
        place = session.out / f".{name}.0.cryokit-part"
        place.mkdir()
        (place / name).write_text("half")
    with written_files.scratch(session.out / "mine.star") as mine:
        assert session.pick() == 0
        assert leftovers(session.out) == [mine]
