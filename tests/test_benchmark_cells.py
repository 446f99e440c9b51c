"""What a cell tells: its own memory, its views, what made it; and which cells are kept."""

import json
import subprocess
import sys

import numpy as np
import pytest
from test_benchmark_run import SIMULATED, benchmark

from cryokit.benchmark import cells, data, results
from cryokit.benchmark.errors import BenchmarkError
from cryokit.benchmark.run import run
from cryokit.coordinates.table import table
from cryokit.evaluate import evaluate


def test_memory_is_the_process_s_own_not_of_the_one_that_started_it():
    code = "from cryokit.benchmark.cells import peak_memory; print(peak_memory())"
    held = np.ones(400 << 17)  # 400 MB, touched
    alone = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 10 < alone < 300 < held.nbytes / 2**20
    assert cells.peak_memory() > 400


def test_a_cell_says_what_made_it(tmp_path):
    (cell,) = run(benchmark(), tmp_path, progress=False)["cells"]
    assert cell["provenance"]["commit"] == results.commit()
    assert cell["provenance"]["packages"]["numpy"] == np.__version__
    assert cell["provenance"]["machine"]["device"] is None  # no network was run
    assert cell["wall"] > 0


def test_cells_of_another_state_of_the_source_are_told(tmp_path, caplog):
    run(benchmark(), tmp_path, progress=False)
    (place,) = (tmp_path / "cells").rglob("seed0.json")
    place.write_text(json.dumps({**json.loads(place.read_text()), "commit": "deadbeef0000+"}))
    caplog.clear()
    (cell,) = run(benchmark(), tmp_path, progress=False)["cells"]
    assert cell["commit"] == "deadbeef0000+"
    assert "another state of the source made: deadbeef0000+ (1 cell)" in caplog.text


def test_an_interrupted_run_leaves_the_last_result_alone(tmp_path, monkeypatch):
    run(benchmark(), tmp_path, progress=False)
    whole = (tmp_path / results.RESULT).read_bytes()

    def interrupted(job, *rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(cells, "run_in_process", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(benchmark(methods=["template", "autocryopicker"]), tmp_path, progress=False)
    assert (tmp_path / results.RESULT).read_bytes() == whole
    assert len(results.load(tmp_path)["cells"]) == 1
    (tmp_path / results.RESULT).unlink()
    assert [cell["method"] for cell in results.load(tmp_path)["cells"]] == ["template"]


@pytest.mark.parametrize(
    ("called", "share"), [(["top", "side", "side"], 2 / 3), (["", "", ""], None), (["x"] * 3, None)]
)
def test_views_that_are_named_right(called, share):
    labels = table("m", [100, 300, 500], [100, 100, 100], diameter=80, view=["top", "side", "top"])
    picks = table("m", [100, 300, 500, 700], [100, 100, 100, 100], 0.9, 80, [*called, "top"])
    found = cells._named_right(evaluate(picks, labels, bootstrap=0), {"top", "side"})
    assert found == (None if share is None else pytest.approx(share))


def test_labels_of_your_own_for_simulated_micrographs_are_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="is simulated and has its labels"):
        run(benchmark(), tmp_path, labels_from={"sim": str(tmp_path)}, progress=False)


def test_methods_are_told_the_diameter_of_what_they_learn_from(tmp_path):
    prepared = data.prepare(benchmark().datasets[0], tmp_path, progress=False)
    labels = prepared.labels
    learned = labels["micrograph"].str.contains("train|validation")
    assert "labels" not in prepared.info["note"]
    assert prepared.diameter == labels.loc[learned, "diameter"].median()
    alone = {**SIMULATED, "train": 0, "validation": 0}
    asked = benchmark(datasets=[{"name": "alone", "simulate": alone}])
    assert (
        "that of the test micrographs' labels" in data.prepare(asked.datasets[0], tmp_path, progress=False).info["note"]
    )
