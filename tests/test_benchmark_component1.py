"""The script that measures component 1, on one small simulated micrograph."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryokit.imaging import STAGES, imguidedfilter
from cryokit.micrograph import write_mrc
from cryokit.simulate import simulate

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "component1.py"
DIAMETER = 76.0


@pytest.fixture(scope="module")
def script():
    # The scripts are no package, so this one is loaded from its file.
    specification = importlib.util.spec_from_file_location("component1", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules["component1"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["component1"]


@pytest.fixture(scope="module")
def simulated():
    return simulate("apoferritin", shape=(384, 384), seed=3, carbon=False, contamination=0)


@pytest.fixture
def in_process():
    """A stand-in for the script's `apart` that runs functions in this process instead of a new one."""
    return lambda function, *arguments, **options: function(*arguments)


def test_every_part_of_a_picker_is_measured(script, simulated, tmp_path, in_process):
    path = tmp_path / "small.mrc"
    write_mrc(path, simulated[0].data, pixel_size=1.6)
    case = script.measure_case(in_process, "small", path, DIAMETER, list(script.PARTS), 1)
    assert case["shape"] == [384, 384]
    assert case["factor"] == pytest.approx(1.9)
    measured = {row["stage"]: row for row in case["stages"]}
    assert {f"preprocessing: {name}" for name in STAGES} <= set(measured)
    for method, parts in script.PARTS.items():
        assert set(parts) <= set(measured)
        for name, row in measured.items():
            assert (f"share_of_{method}" in row) == (name in parts)
    assert {"training set", "reading", "selection", "clustering: k-means"} <= set(measured)
    assert all(row["seconds"] >= 0 for row in case["stages"])
    # Binning in Fourier space needs at least a spectrum as large as the micrograph.
    assert measured["preprocessing: binned"]["megabytes"] > 1
    auto, _ = case["pickers"]
    assert auto["picks"] >= auto["good"] > 2
    assert auto["megabytes"] >= auto["megabytes_before"] > 10
    json.dumps(case, allow_nan=False)
    script.show_case(case)


def test_naive_guided_filter_is_the_same_filter(script):
    image = np.random.default_rng(0).random((20, 17))
    np.testing.assert_allclose(
        script.naive_guided_filter(image), imguidedfilter(image, window=(5, 5), smoothing=0.01), atol=1e-12
    )


def test_skimage_finds_the_same_disc(script):
    row, column = np.mgrid[:90, :100]
    picture = (np.hypot(column - 55, row - 40) > 20).astype(float)
    _, x, y, radius = script.skimage_circles(picture, 40)
    assert (abs(x[0] - 55), abs(y[0] - 40), abs(radius[0] - 20)) <= (1, 1, 1)


def real_data(folder, micrograph, truth, names):
    """Write a data set with the layout of `shared/data`."""
    labels = folder / "labels"
    labels.mkdir(parents=True)
    for name in names:
        write_mrc(folder / "micrographs" / f"{name}.mrc", micrograph.data, pixel_size=1.6)
        truth[["x", "y", "diameter", "view"]].to_csv(labels / f"{name}.csv", index=False)


def test_development_and_other_micrographs_stay_apart(script, simulated, tmp_path):
    micrograph, truth = simulated
    real_data(tmp_path / "apoferritin_10146", micrograph, truth, "cab")
    real_data(tmp_path / "something_else", micrograph, truth, "d")
    sets = script.real_sets(tmp_path)
    members = {(data.name, data.group): [path.stem for path in data.micrographs] for data in sets}
    assert members == {
        ("apoferritin_10146", "development"): ["a", "c"],
        ("apoferritin_10146", "other"): ["b"],
        ("something_else", "other"): ["d"],
    }
    assert all(set(data.labels["micrograph"]) == {path.stem for path in data.micrographs} for data in sets)
    assert sets[0].diameter == pytest.approx(DIAMETER)


def test_score_counts_picks_and_good_particles(script, simulated):
    micrograph, truth = simulated
    data = script.DataSet("small", "other", (micrograph,), truth)
    row = script.score(data, "autocryopicker")
    assert row["particles"] == (truth["view"] != "ignore").sum()
    assert row["f1"] > 0.8
    assert 0 < row["good"] < row["picks"]
    # Selection is for precision, at the cost of recall.
    assert row["good_precision"] >= row["precision"] - 0.02
    assert row["good_recall"] <= row["recall"]
    assert row["contrast"] == "dark"
    # With labels elsewhere the picks are false: the score does not come from the picks alone.
    moved = script.DataSet("small", "other", (micrograph,), truth.assign(x=truth["x"] + 40))
    assert script.score(moved, "autocryopicker")["f1"] < 0.3


def test_simulated_particles_have_the_size_asked_for(script, tmp_path):
    path, diameter = script.make(tmp_path, "ribosome", 512, 40.0, 1)
    assert path.is_file()
    assert diameter == pytest.approx(40, rel=0.01)


def test_whole_run_writes_one_file(script, simulated, tmp_path, in_process, monkeypatch):
    data = tmp_path / "data"
    real_data(data / "apoferritin_10146", *simulated, "ab")
    out = tmp_path / "results" / "out.json"
    monkeypatch.setattr(script, "apart", in_process)
    monkeypatch.setattr(script, "PROTEINS", ())
    script.main(["--out", str(out), "--data", str(data), "--sizes", "--repeats", "1", "--methods", "autocryopicker"])
    result = json.loads(out.read_text())
    assert {"cryokit", "numpy", "cores", "load"} <= set(result["provenance"])
    assert [case["case"] for case in result["speed"]["cases"]] == ["apoferritin_10146"]
    assert [row["group"] for row in result["accuracy"]["scores"]] == ["development", "other"]
    assert {aim["aim"] for aim in result["accuracy"]["aims"]} == {
        f"apoferritin_10146 ({group}), autocryopicker: {figure}"
        for group in ("development", "other")
        for figure in ("f1", "good_precision")
    }
    assert list(out.parent.iterdir()) == [out]


def test_missing_folder_is_refused_before_the_work(script, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main(["--out", str(tmp_path / "out.json"), "--data", str(tmp_path / "nowhere")])
    assert "nowhere" in capsys.readouterr().err


def test_no_training_set_where_there_is_no_room(script, simulated):
    micrograph, _ = simulated
    rows = pd.DataFrame({"micrograph": [micrograph.name], "x": 2.0, "y": 2.0, "diameter": DIAMETER, "class": "top"})
    assert script.build_training_set(micrograph, rows) is None
