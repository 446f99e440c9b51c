"""The command line of the comparison: what is run, what is refused, what is told, and how it ends."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import benchmark_result
import numpy as np
import pytest
import yaml

from cryokit import coordinates
from cryokit.benchmark import result_file, summary, verdict
from cryokit.benchmark import run as run_module
from cryokit.cli import main
from cryokit.coordinates import table
from cryokit.errors import BenchmarkError
from cryokit.micrograph import write_mrc

OWN = {
    "name": "own",
    "methods": ["template"],
    "datasets": [
        {
            "name": "real",
            "methods": ["autocryopicker", {"name": "wide", "picker": "deepcryopicker"}],
            "otherwise": {
                "name": "made",
                "simulate": {"protein": "klh", "test": 1},
                "methods": ["deepem", {"name": "narrow", "picker": "deepem"}],
            },
        },
        {"name": "other", "simulate": {"protein": "ms2", "test": 1}},
    ],
}


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(OWN))
    return path


@pytest.fixture
def made(tmp_path):
    """Return the file of a result."""
    return result_file.write(benchmark_result.result(), tmp_path / "made" / "result.json")


@pytest.fixture
def asked(monkeypatch):
    """Run nothing: return a list that what would have been run is added to."""
    found = []

    def run(config, *_, **__):
        found.append(config)
        raise BenchmarkError("would run now")

    monkeypatch.setattr(run_module, "run", run)
    return found


def refused(capsys, *words):
    assert main(["benchmark", *map(str, words)]) == 1
    told = capsys.readouterr()
    assert not told.out
    assert told.err.count("\n") == 1
    return told.err


def test_a_result_is_told_again_without_a_run(made, asked, tmp_path, capsys):
    before = made.read_bytes()
    assert main(["benchmark", "--result", str(made.parent), "--summary", str(tmp_path / "small.json")]) == 0
    told = capsys.readouterr().out
    result = result_file.load(made)
    assert summary.text(result) in told
    small = result_file.load(tmp_path / "small.json")
    assert [cell["scores"] for cell in small["cells"]] == [cell["scores"] for cell in result["cells"]]
    assert not any(cell["curve"] for cell in small["cells"])
    assert not asked
    assert made.read_bytes() == before


def test_who_is_ahead_of_whom_is_told_below_the_tables(made, capsys):
    assert main(["benchmark", "--result", str(made)]) == 0
    told = capsys.readouterr().out
    result = result_file.load(made)
    below = told.partition(summary.text(result))[2]
    for name in ("klh_sim", "apoferritin_sim"):
        title = result["datasets"][name]["title"]
        (part,) = (each for each in below.split("\n\n") if each.strip().startswith(f"{title}:"))
        told = [line.strip() for line in part.strip().splitlines()[1:]]
        assert told == [verdict.plain(line) for line in verdict.dataset(result, name)]


def test_the_report_is_of_the_result_given(made, tmp_path, monkeypatch):
    from cryokit.cli import benchmark_page as html

    calls = []
    monkeypatch.setattr(html, "write_report", lambda *words, **named: calls.append((*words, named)) or words[1])
    words = ["benchmark", "--result", str(made), "--report", str(tmp_path / "a.html"), "--data", str(tmp_path)]
    assert main(words) == 0
    assert calls == [(made, tmp_path / "a.html", {"data": [tmp_path]})]


def test_a_result_is_exclusive_with_a_run(made, own, capsys):
    for words in (
        ["--out", "run"],
        ["--config", "klh"],
        ["--profile", "quick"],
        ["--methods", "auto"],
        ["--datasets", "klh_sim"],
        ["--seeds", "1"],
        ["--picks", "mine=picks"],
        ["--labels", "klh=labels"],
        ["--diameter", "klh=160"],
        ["--fresh"],
    ):
        assert f"so {words[0]} has no place beside it" in refused(capsys, "--result", made, *words)
    assert "cannot be read" in refused(capsys, "--result", made.parent / "none.json")
    assert "not a benchmark's result" in refused(capsys, "--result", own)


@pytest.mark.parametrize("option", ["--report", "--summary"])
def test_a_file_that_would_replace_the_result_is_refused(option, made, own, asked, tmp_path, capsys):
    before = made.read_bytes()
    for place in (made, made.parent):
        assert "is the result itself" in refused(capsys, "--result", place, option, made)
    assert "is a folder" in refused(capsys, "--result", made, option, tmp_path)
    out = tmp_path / "out"
    assert "is the result itself" in refused(capsys, "--config", own, "--out", out, option, out / "result.json")
    assert made.read_bytes() == before
    assert not asked


def test_a_folder_with_the_run_of_another_benchmark_is_refused(made, own, asked, tmp_path, capsys):
    told = refused(capsys, "--config", own, "--out", made.parent)
    assert "holds a run of the benchmark 'made_up', which one of 'own' would replace" in told
    assert "choose another --out" in told
    made.rename(made.with_name("result.partial.json"))
    assert "'made_up'" in refused(capsys, "--config", own, "--out", made.parent)
    made.write_text("{}")
    assert "choose another --out" in refused(capsys, "--config", own, "--out", made.parent)
    assert not asked
    # A run of the same one is gone on with.
    result_file.write({**benchmark_result.result(), "name": "own"}, tmp_path / "run" / "result.json")
    assert "would run now" in refused(capsys, "--config", own, "--out", tmp_path / "run")


def test_a_folder_with_the_run_of_another_profile_is_refused(made, own, asked, tmp_path, capsys):
    there = {**benchmark_result.result(), "name": "own", "profile": "full"}
    result_file.write(there, tmp_path / "run" / "result.json")
    told = refused(capsys, "--config", own, "--out", tmp_path / "run")
    assert "the benchmark 'own' in the profile full, which one of the profile quick would replace" in told
    assert not asked
    refused(capsys, "--config", own, "--profile", "full", "--out", tmp_path / "run")
    assert asked


def test_diameters_are_of_real_datasets(own, asked, capsys):
    words = ("--config", own, "--out", own.parent / "run", "--diameter")
    for given, told in (
        ("real", "give DATASET=PIXELS"),
        ("real=wide", "give DATASET=PIXELS"),
        ("real=0", "give DATASET=PIXELS"),
        ("other=20", "no real dataset of this benchmark; there are: real"),
    ):
        assert told in refused(capsys, *words, given)
    assert not asked
    refused(capsys, *words, "real=33.5")
    assert [spec.diameter for spec in asked[0].datasets] == [33.5, None]


def test_a_folder_with_the_name_of_a_benchmark_is_not_taken_for_its_file(asked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "klh").mkdir()
    refused(capsys, "--config", "klh", "--out", "klh")
    assert asked[0].name == "klh"


def test_methods_are_those_of_a_dataset_that_takes_another_s_place_too(own, asked, capsys):
    refused(capsys, "--config", own, "--out", own.parent / "run", "--methods", "auto", "pixer")
    (config,) = asked
    for spec in (config.datasets[0], config.datasets[0].otherwise, config.datasets[1]):
        assert [row.name for row in config.rows(spec)] == ["auto", "pixer"]


def test_a_dataset_that_takes_another_s_place_can_be_asked_for(own, asked, capsys):
    for words in (["made"], ["made", "real"], ["real", "other"]):
        refused(capsys, "--config", own, "--out", own.parent / "run", "--datasets", *words)
    assert [[spec.name for spec in config.datasets] for config in asked] == [
        ["made"],
        ["made", "real"],
        ["real", "other"],
    ]
    # Where both are asked for, none takes the other's place: it would be there twice.
    assert [config.datasets[-1].otherwise for config in asked] == [None, None, None]
    assert asked[2].datasets[0].otherwise.name == "made"
    told = refused(capsys, "--config", own, "--out", own.parent / "run", "--datasets", "nowhere")
    assert "there are: real, made, other" in told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../../mine", "letters, digits"),
        ("/mine", "letters, digits"),
        (".mine", "does not begin with a dot"),
        ("my picks", "letters, digits"),
        ("a\\b", "letters, digits"),
        ("template", "a method of this name"),  # of the run
        ("wide", "a method of this name"),  # of a dataset
        ("narrow", "a method of this name"),  # of what may take a dataset's place
        ("eman2_cnn", "a method of this name"),  # not run, but known
    ],
)
def test_names_of_picks(name, told, own, asked, capsys):
    words = ("--config", own, "--out", own.parent / "run")
    assert told in refused(capsys, *words, "--picks", f"{name}={own}")
    assert not asked
    assert not (own.parent / "run").exists()
    assert "would run now" in refused(capsys, *words, "--picks", f"mine+2.0-b={own}")


def waited(seconds, found):
    end = time.monotonic() + seconds
    while not found() and time.monotonic() < end:
        time.sleep(0.05)
    return found()


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM that a process can act on")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_ended_ends_the_cell_at_work(name, tmp_path):
    image = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    write_mrc(tmp_path / "micrographs" / "a.mrc", image, pixel_size=2.0)
    labels = table("a", [20.0, 40.0], [20.0, 40.0], diameter=16.0)
    coordinates.write(labels, tmp_path / "labels" / "a.csv", "csv", joined=False)
    # A program that does not end by itself; who started it is the process of the cell.
    program, started = tmp_path / "topaz", tmp_path / "cell"
    program.write_text(f"#!/bin/sh\necho $PPID > '{started}.new'\nmv '{started}.new' '{started}'\nexec sleep 300\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    dataset = {"name": "own", "splits": {"test": ["a"]}}
    dataset |= {kind: str(tmp_path / kind) for kind in ("micrographs", "labels")}
    config = tmp_path / "own.yaml"
    config.write_text(json.dumps({"name": "own", "methods": ["topaz"], "datasets": [dataset]}))
    words = [sys.executable, "-m", "cryokit", "benchmark", "--config", config, "--out", tmp_path / "run"]
    number = getattr(signal, name)

    def heeded():
        signal.signal(number, signal.SIG_DFL)  # under nohup the tests ignore one, and what they start inherits that

    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen(
            words,
            env={**os.environ, "CRYOKIT_TOPAZ": str(program)},
            stdout=said,
            stderr=said,
            start_new_session=True,
            preexec_fn=heeded,
        )
        try:
            assert waited(120, lambda: started.exists() or process.poll() is not None)
            assert started.exists(), (tmp_path / "said").read_text()
            cell = int(started.read_text())
            assert cell != process.pid
            assert alive(cell)
            process.send_signal(number)
            assert process.wait(60) == 128 + number
            assert waited(20, lambda: not alive(cell))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if started.exists() and alive(int(started.read_text())):
                os.killpg(int(started.read_text()), signal.SIGKILL)
