"""The command line of the comparison: what is run, what is refused, what is written, and how it ends."""

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
from cryokit.benchmark import result_file, summary, tables
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
    """Run nothing: return a list to which the configurations are added that would have been run."""
    found = []

    def prepare_all(config, *_):
        found.append(config)
        raise BenchmarkError("would run now")

    monkeypatch.setattr(run_module, "_prepare_all", prepare_all)
    return found


def refused(capsys, *words):
    assert main(["benchmark", *map(str, words)]) == 1
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1
    return printed.err


def misused(capsys, *words):
    with pytest.raises(SystemExit, match="2"):
        main(["benchmark", *map(str, words)])
    return capsys.readouterr().err.splitlines()[-1]


def test_a_result_is_shown_again_without_a_run(made, asked, tmp_path, capsys):
    before = made.read_bytes()
    assert main(["benchmark", "--result", str(made.parent), "--summary", str(tmp_path / "small.json")]) == 0
    result = result_file.load(made)
    assert capsys.readouterr().out == tables.text(result)
    small = result_file.load(tmp_path / "small.json")
    assert [cell["scores"] for cell in small["cells"]] == [cell["scores"] for cell in result["cells"]]
    assert not any(cell["curve"] for cell in small["cells"])
    assert tables.text(small) == tables.text(result)
    assert not asked
    assert made.read_bytes() == before


def test_micrographs_that_could_not_be_used_end_a_run_with_their_names(own, tmp_path, monkeypatch, capsys):
    result = benchmark_result.result()
    dataset = next(iter(result["datasets"]))
    cell = next(cell for cell in result["cells"] if cell["dataset"] == dataset and cell["method"] == "auto")
    result["datasets"][dataset]["left_out"] = {"tiny": "tiny: 16 pixels are too few"}
    cell["unpicked"] = [{"micrograph": "m1", "what": result_file.NOT_PICKED, "error": "m1: cannot be used"}]
    monkeypatch.setattr(run_module, "run", lambda *_, **__: result)
    words = ["benchmark", "--config", str(own), "--out", str(tmp_path / "run")]
    assert main(words) == 1
    printed = capsys.readouterr()
    for reason in ("tiny: 16 pixels are too few", "m1: cannot be used"):
        assert printed.out.count(reason) == printed.err.count(reason) == 1
    failures = tables.failures(result)
    assert failures["method"].tolist()[-2:] == ["all methods", summary.title(result, "auto")]
    assert failures["seeds"].tolist()[-2:] == ["", str(cell["seed"])]
    # They are in the file, and looking at a result is no failure.
    path = result_file.write(result, tmp_path / "again" / "result.json")
    assert main(["benchmark", "--result", str(path)]) == 0
    assert tables.failures(result_file.load(path)).equals(failures)


def test_the_report_is_of_the_result_given(made, tmp_path, monkeypatch):
    from cryokit.cli import benchmark_page

    calls = []
    monkeypatch.setattr(benchmark_page, "write_report", lambda *words, **named: calls.append((*words, named)))
    words = ["benchmark", "--result", str(made), "--report", str(tmp_path / "a.html"), "--data", str(tmp_path)]
    assert main(words) == 0
    assert calls == [(made, tmp_path / "a.html", {"data": [tmp_path]})]


def test_a_result_is_exclusive_with_a_run(made, own, capsys):
    for words in (
        ["--out", "run"],
        ["--config", "klh"],
        ["--profile", "quick"],
        ["--trust"],
        ["--methods", "auto"],
        ["--datasets", "klh_sim"],
        ["--seeds", "1"],
        ["--picks", f"mine={own}"],
        ["--strip", "_DW"],
        ["--strip-prefix", "J1_"],
        ["--labels", f"klh={own}"],
        ["--diameter", "klh=160"],
        ["--fresh"],
    ):
        assert words[0] in refused(capsys, "--result", made, *words)
    assert "none.json" in refused(capsys, "--result", made.parent / "none.json")
    assert "own.yaml" in refused(capsys, "--result", own)
    assert "--out" in refused(capsys, "--config", own)
    assert "--picks" in refused(capsys, "--config", own, "--out", "run", "--strip", "_DW")


@pytest.mark.parametrize("option", ["--report", "--summary"])
def test_a_file_that_would_replace_the_result_is_refused(option, made, own, asked, tmp_path, capsys):
    before = made.read_bytes()
    for place in (made, made.parent):
        assert f"{option} {made}" in refused(capsys, "--result", place, option, made)
    assert f"{option} {tmp_path}" in refused(capsys, "--result", made, option, tmp_path)
    out = tmp_path / "out"
    assert f"{option} {out}" in refused(capsys, "--config", own, "--out", out, option, out / "result.json")
    assert made.read_bytes() == before
    assert not asked


def test_a_folder_with_the_run_of_another_benchmark_or_profile_is_refused(made, own, asked, tmp_path, capsys):
    assert "'made_up'" in refused(capsys, "--config", own, "--out", made.parent)
    there = {**benchmark_result.result(), "name": "own", "profile": "full"}
    result_file.write(there, tmp_path / "run" / "result.json")
    assert "full" in refused(capsys, "--config", own, "--out", tmp_path / "run")
    assert not asked
    # A run of the same one is gone on with.
    refused(capsys, "--config", own, "--profile", "full", "--out", tmp_path / "run")
    assert asked


def test_options_reach_the_configuration(own, asked, tmp_path, capsys):
    words = ["--methods", "auto", "pixer", "--datasets", "real", "--diameter", "real=33.5", "--seeds", "3"]
    refused(capsys, "--config", own, "--out", tmp_path / "run", *words)
    (config,) = asked
    assert [row.name for row in config.methods] == ["auto", "pixer"]
    assert [(spec.name, spec.diameter) for spec in config.datasets] == [("real", 33.5)]
    assert config.seeds == 3


def test_wrong_values_of_options_are_named(own, asked, tmp_path, capsys):
    words = ("--config", own, "--out", tmp_path / "run")
    for option, value in (
        ("--diameter", "real"),
        ("--diameter", "real=wide"),
        ("--diameter", "real=0"),
        ("--picks", "x"),
        ("--picks", "x=nowhere"),
        ("--labels", "=x"),
        ("--seeds", "0"),
    ):
        message = misused(capsys, *words, option, value)
        assert option in message
        assert value.rpartition("=")[2] in message
    for option, value in (("--diameter", "other=20"), ("--datasets", "x"), ("--methods", "deepme")):
        assert value.partition("=")[0] in refused(capsys, *words, option, value)
    assert "'mine'" in refused(capsys, *words, "--picks", f"mine={own}", "--picks", f"mine={tmp_path}")
    assert not asked


def test_a_folder_with_the_name_of_a_benchmark_is_not_taken_for_its_file(asked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "klh").mkdir()
    refused(capsys, "--config", "klh", "--out", "klh")
    assert asked[0].name == "klh"


@pytest.mark.parametrize(
    "name",
    [
        "../../mine",
        "/mine",
        ".mine",
        "my picks",
        "a\\b",
        "template",  # a method of the run
        "wide",  # of a dataset
        "narrow",  # of what may replace a dataset
        "eman2_cnn",  # not run, but known
    ],
)
def test_names_of_picks(name, own, asked, capsys):
    words = ("--config", own, "--out", own.parent / "run")
    assert repr(name) in refused(capsys, *words, "--picks", f"{name}={own}")
    assert not asked
    assert not (own.parent / "run").exists()
    refused(capsys, *words, "--picks", f"mine+2.0-b={own}")
    assert asked


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


@pytest.mark.slow
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
            assert waited(300, lambda: started.exists() or process.poll() is not None)
            assert started.exists(), (tmp_path / "said").read_text()
            cell = int(started.read_text())
            assert cell != process.pid
            assert alive(cell)
            process.send_signal(number)
            assert process.wait(120) == 128 + number
            assert waited(120, lambda: not alive(cell))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if started.exists() and alive(int(started.read_text())):
                os.killpg(int(started.read_text()), signal.SIGKILL)
