"""The script that measures scoring, picking and training, on one small simulated micrograph."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cryokit.micrograph import write_mrc
from cryokit.networks import create
from cryokit.networks.describe import multiply_adds
from cryokit.networks.scoring import dense, sliding
from cryokit.simulate import simulate

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def script():
    # The scripts are no package, so this one is loaded from its file, with the one it imports beside it.
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        specification = importlib.util.spec_from_file_location("picking_speed", BENCHMARKS / "picking_speed.py")
        module = importlib.util.module_from_spec(specification)
        patch.setitem(sys.modules, "picking_speed", module)
        specification.loader.exec_module(module)
        yield module
        sys.modules.pop("component1", None)


@pytest.fixture(scope="module")
def measured(script):
    return script.networks(256, 16, 1, 2, False, 0.02, 1)


class Clock:
    """A clock that the tests move on, so that a busy machine makes none fail."""

    now = 0.0

    @classmethod
    def perf_counter(cls):
        return cls.now


class Places:
    """Functions to be timed."""

    @staticmethod
    def inner():
        Clock.now += 0.05

    @classmethod
    def outer(cls):
        Clock.now += 0.02
        cls.inner()

    @classmethod
    def elsewhere(cls):
        thread = threading.Thread(target=cls.inner)
        thread.start()
        thread.join()


def test_inner_stages_are_not_counted_twice(script, monkeypatch):
    monkeypatch.setattr(script, "Places", Places, raising=False)
    monkeypatch.setattr(script, "time", Clock)
    place = "picking_speed:Places"
    before = Places.inner
    with script.Stages(
        {"in": [(place, "inner")], "out": [(place, "outer")], "unused": [(place, "elsewhere")]}
    ) as clock:
        Places.outer()
        Places.inner()
    assert clock.seconds["in"] == pytest.approx(0.1)
    assert clock.seconds["out"] == pytest.approx(0.02)
    assert clock.seconds["unused"] == 0
    assert Places.inner is before


def test_stages_in_other_threads_are_counted(script, monkeypatch):
    monkeypatch.setattr(script, "Places", Places, raising=False)
    monkeypatch.setattr(script, "time", Clock)
    with script.Stages({"in": [("picking_speed:Places", "inner")]}) as clock:
        Places.elsewhere()
    assert clock.seconds["in"] == pytest.approx(0.05)


def test_unknown_stage_is_an_error(script):
    with pytest.raises(AttributeError), script.Stages({"a": [("cryokit.imaging.preparation", "no_such_function")]}):
        pass


def test_arithmetic_of_windows(script):
    network = create("deepcryopicker_valid", classes=("particle", "background"), width=0.02).build()
    with script.Arithmetic() as counted:
        sliding(np.zeros((129, 65), np.float32), network, stride=64, batch_size=3)
    sums = counted.sums()
    assert sums["multiply_adds"] == 3 * 2 * multiply_adds(network)
    # The weights once for each of the two batches.
    assert sums["bytes"] > 2 * 4 * network.count_params()
    dense(np.zeros((129, 65), np.float32), network, stride=32)
    assert counted.sums() == sums


def test_all_ways_of_scoring(script, measured):
    ways = {row["way"]: row for row in measured["ways"]}
    assert measured["windows"] == 16**2
    for name in script.WINDOW_NETWORKS:
        one_by_one, at_once = ways[f"{name}, sliding, stride 16"], ways[f"{name}, dense, stride 16"]
        network = create(name, classes=script.CLASSES, width=0.02).build()
        assert one_by_one["measured"] == "4 windows x 64"
        assert one_by_one["scores"] == at_once["scores"] == 256
        assert one_by_one["multiply_adds"] == 256 * multiply_adds(network) > at_once["multiply_adds"]
        assert ways[f"{name}, dense, own stride"]["scores"] == 64
    assert ways["compact, with preparation"]["multiply_adds"] == ways["compact, network alone"]["multiply_adds"] > 0
    assert all(row["seconds"] > 0 and row["operations_per_second"] > 0 for row in measured["ways"])
    assert len(measured["ratios"]) == 6
    json.dumps(measured, allow_nan=False)
    script.show_networks(measured)


def test_complete_times_all_windows(script):
    measured = script.networks(256, 16, 1, 2, True, 0.02, 1)
    assert {row["measured"] for row in measured["ways"]} == {"in full"}
    assert {row["scores"] for row in measured["ways"] if "sliding" in row["way"]} == {256}


@pytest.fixture(scope="module")
def case(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("picking")
    micrograph, _ = simulate("apoferritin", shape=(512, 512), seed=3, carbon=False, contamination=0)
    path = folder / "m.mrc"
    write_mrc(path, micrograph.data, pixel_size=1.6)
    model = script.make_picker(path, 76.0, folder / "model")
    megabytes = script.command_memory(path, model, folder / "command", 2)
    return {"diameter": 76.0, **script.picking(path, model, folder / "out", 2), "megabytes": megabytes}, folder


@pytest.mark.slow
def test_picking_is_divided_among_stages(script, case):
    case, folder = case
    assert case["shape"] == [512, 512]
    assert case["picks"] > 10
    assert set(case["stages"]) == {*script.PICKING, "the rest"}
    assert all(case["stages"][name] > 0 for name in script.PICKING)
    assert sum(case["stages"].values()) == pytest.approx(case["seconds"], rel=0.5)
    assert (folder / "out" / "m.star").is_file()
    script.show_picking(case)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not report memory")
def test_memory_is_that_of_the_command(case):
    case, folder = case
    assert (folder / "command" / "m.star").is_file()
    assert 100 < case["megabytes"] < 3000


def test_command_that_fails(script, tmp_path):
    if Path("/proc/self/status").exists():
        with pytest.raises(RuntimeError, match="nothing"):
            script.command_memory(tmp_path / "nothing.mrc", tmp_path / "model", tmp_path / "out", 1)


def test_simulated_particles_have_the_size_asked_for(script, tmp_path):
    path = script.make_micrograph(tmp_path, 512, 64.0, 1)
    micrograph = script.read(path)
    assert micrograph.data.shape == (512, 512)
    assert 191 / micrograph.pixel_size == pytest.approx(64, rel=0.01)
