"""Running a benchmark: cells in processes of their own, resuming, failures, somebody's picks."""

import json

import numpy as np
import pytest

from cryokit import coordinates
from cryokit.benchmark import cells, result_file
from cryokit.benchmark import configuration as config
from cryokit.benchmark import prepared_sets as data
from cryokit.benchmark.run import failures, run
from cryokit.cli import main
from cryokit.errors import BenchmarkError
from cryokit.evaluate import evaluate
from cryokit.micrograph import read

SIMULATED = {"protein": "apoferritin", "train": 2, "validation": 1, "test": 2, "seed": 9, "shape": [512, 512]}


def benchmark(**changes):
    told = {"name": "small", "methods": ["template"], "datasets": [{"name": "sim", "simulate": SIMULATED}]}
    return config.parse({**told, **changes})


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return the folder and the result of a run with a method that works and one whose setting is nonsense."""
    folder = tmp_path_factory.mktemp("run")
    asked = benchmark(methods=["template", {"name": "autocryopicker", "settings": {"clusters": "many"}}])
    return folder, asked, run(asked, folder, progress=False)


def test_the_result_is_what_the_picks_are_worth(ran):
    folder, _, result = ran
    assert result_file.load(folder) == json.loads((folder / result_file.RESULT).read_text())
    (cell,) = (each for each in result["cells"] if each["method"] == "template")
    assert cell["status"] == "done"
    # Scored again from the files: the picks as written against the truth as simulated.
    names = result["datasets"]["sim"]["micrographs"]["test"]
    picks, _ = coordinates.read_folder(folder / "picks" / "template" / "sim" / "seed0")
    truth, _ = coordinates.read_folder(folder / "data" / "sim" / "labels")
    again = evaluate(picks, truth, micrographs=names, threshold=cell["threshold"])
    assert (again.tp, again.fp, again.fn) == tuple(cell["scores"][name] for name in ("tp", "fp", "fn"))
    assert cell["scores"]["f1"] == pytest.approx(again.f1, abs=1e-4)
    assert cell["scores"]["f1"] > 0.5
    assert sum(row["tp"] for row in cell["per_micrograph"]) == again.tp
    assert cell["seconds"]["fit"] > 0 < cell["seconds"]["pick"]
    assert 50 < cell["peak_memory_mb"] < 4000


def test_the_threshold_is_the_validation_micrographs_not_the_tested_ones(ran):
    folder, _, result = ran
    (cell,) = (each for each in result["cells"] if each["method"] == "template")
    picker_picks = {}
    from cryokit.pickers import create

    prepared = data.prepare(benchmark().datasets[0], folder, progress=False)
    picker = create("template", diameter=prepared.diameter).fit(prepared.paths["train"])
    for path in prepared.paths["validation"]:
        picker_picks[path.stem] = picker.pick(read(path), threshold=0)
    (picks,) = picker_picks.values()
    truth = prepared.labels_of("validation")
    best = evaluate(picks, truth).best_f1
    assert evaluate(picks, truth, threshold=cell["threshold"]).f1 >= best - cells.SLACK - 1e-9


def test_a_method_that_fails_fails_alone(ran):
    _, _, result = ran
    (failed,) = failures(result)
    assert failed.startswith("autocryopicker on sim (seed 0): ")
    assert "clusters" in failed


def test_the_provenance_names_versions_and_data_but_no_place(ran):
    folder, _, result = ran
    told = result["provenance"]
    assert told["packages"]["numpy"] == np.__version__
    assert told["machine"]["cores"] >= 1
    assert len(result["datasets"]["sim"]["fingerprint"]) == 64
    assert str(folder) not in json.dumps(result)


def test_finished_cells_are_kept_and_failed_ones_tried_again(ran, monkeypatch):
    folder, asked, before = ran
    started = []
    real = cells.run_in_process
    monkeypatch.setattr(cells, "run_in_process", lambda job, *rest: started.append(job.method) or real(job, *rest))
    again = run(asked, folder, progress=False)
    assert started == ["autocryopicker"]
    assert again["cells"][0] == before["cells"][0]
    # Another setting is another cell.
    started.clear()
    changed = benchmark(methods=[{"name": "template", "settings": {"max_micrographs": 1}}])
    run(changed, folder, progress=False)
    assert started == ["template"]


def test_other_conditions_make_other_micrographs(ran, tmp_path):
    first = data.prepare(benchmark().datasets[0], tmp_path, progress=False)
    kept = first.paths["test"][0].stat().st_mtime_ns
    same = data.prepare(benchmark().datasets[0], tmp_path, progress=False)
    assert same.paths["test"][0].stat().st_mtime_ns == kept
    assert same.fingerprint == first.fingerprint
    noisier = {**SIMULATED, "snr": 0.05}
    other = data.prepare(
        benchmark(datasets=[{"name": "sim", "simulate": noisier}]).datasets[0], tmp_path, progress=False
    )
    assert other.fingerprint != first.fingerprint
    assert not np.array_equal(
        read(other.paths["test"][0]).data, read(ran[0] / "data/sim/apoferritin_test_001.mrc").data
    )


def test_more_training_micrographs_leave_the_tested_ones_as_they_are(ran, tmp_path):
    more = {**SIMULATED, "train": 3}
    other = data.prepare(benchmark(datasets=[{"name": "sim", "simulate": more}]).datasets[0], tmp_path, progress=False)
    for split in ("validation", "test"):
        for path in other.paths[split]:
            assert path.read_bytes() == (ran[0] / "data" / "sim" / path.name).read_bytes()


def test_proteins_to_learn_from_are_others_than_the_tested(tmp_path):
    told = {
        "name": "new",
        "simulate": {"protein": "ribosome", "test": 1, "train": 5, "shape": [512, 512], "diameter": 40},
        "train_on": [{"protein": "apoferritin", "train": 1, "validation": 1, "shape": [512, 512], "diameter": 40}],
    }
    prepared = data.prepare(benchmark(datasets=[told]).datasets[0], tmp_path, progress=False)
    assert {split: len(paths) for split, paths in prepared.paths.items()} == {"train": 1, "validation": 1, "test": 1}
    assert prepared.paths["train"][0].name.startswith("apoferritin")
    # The magnification is such that both have the same diameter.
    medians = prepared.labels.groupby("micrograph")["diameter"].median()
    assert medians.to_numpy() == pytest.approx(40, abs=0.5)


def test_somebody_s_picks_are_scored_like_a_method_s(ran, tmp_path):
    folder, _, result = ran
    truth, _ = coordinates.read_folder(folder / "data" / "sim" / "labels")
    names = result["datasets"]["sim"]["micrographs"]["test"]
    mine = truth[truth["micrograph"].isin(names)].assign(score=np.nan)
    coordinates.write_folder(mine, tmp_path / "mine", "star", micrographs=names)
    found = run(benchmark(), folder, picks={"mine": str(tmp_path / "mine")}, progress=False)
    (cell,) = (each for each in found["cells"] if each["method"] == "mine")
    assert cell["scores"]["f1"] == 1
    assert cell["threshold"] is None
    assert found["methods"]["mine"]["settings"] == {"path": "mine"}
    assert [{each["first"], each["second"]} for each in found["comparisons"]] == [{"mine", "template"}]
    # Picks of other micrographs are an error of that row.
    coordinates.write_folder(mine.assign(micrograph="other"), tmp_path / "wrong", "star", micrographs=["other"])
    found = run(benchmark(), folder, picks={"wrong": str(tmp_path / "wrong")}, progress=False)
    assert "none of the test micrographs" in failures(found)[0]


def test_methods_with_labels_are_skipped_where_there_is_none_to_learn_from(tmp_path):
    only = {**SIMULATED, "train": 0, "validation": 0, "test": 1}
    asked = benchmark(methods=["auto_labels"], datasets=[{"name": "one", "simulate": only}])
    (cell,) = run(asked, tmp_path, progress=False)["cells"]
    assert cell["status"] == "skipped"
    assert "labels" in cell["error"]


def test_too_long_is_a_failure(tmp_path):
    result = run(benchmark(timeout=1e-4), tmp_path, progress=False)
    assert "took longer" in failures(result)[0]


def test_a_real_dataset_in_a_folder_of_your_own(ran, tmp_path):
    made = ran[0] / "data" / "sim"
    asked = benchmark(
        datasets=[
            {"name": "mine", "micrographs": str(made), "labels": str(made / "labels")},
            {"name": "nowhere"},
        ]
    )
    result = run(asked, tmp_path, progress=False)
    assert list(result["datasets"]) == ["mine"]
    told = result["datasets"]["mine"]
    assert told["kind"] == "real"
    assert {split: len(names) for split, names in told["micrographs"].items()} == {
        "train": 4,
        "validation": 0,
        "test": 1,
    }
    with pytest.raises(BenchmarkError, match="none of the datasets is there"):
        run(benchmark(datasets=[{"name": "nowhere"}]), tmp_path, progress=False)


def test_another_dataset_takes_the_place_of_one_that_is_not_there(tmp_path):
    told = {"name": "nowhere", "otherwise": {"name": "sim", "simulate": SIMULATED}}
    assert list(run(benchmark(datasets=[told]), tmp_path, progress=False)["datasets"]) == ["sim"]


def test_curves_are_thinned_but_keep_their_ends():
    rng = np.random.default_rng(0)
    from cryokit.coordinates import concatenate, table

    xy = rng.uniform(0, 5000, (1500, 2))
    labels = table("m", xy[:, 0], xy[:, 1], diameter=20)
    picks = table("m", xy[:, 0], xy[:, 1], rng.random(1500), 20)
    found = evaluate(picks, labels, bootstrap=0)
    told = result_file.curve(found)
    assert len(told["recall"]) <= result_file.POINTS
    assert told["recall"][-1] == pytest.approx(found.curve["recall"].iloc[-1], abs=1e-4)
    # What follows the last true pick belongs to it: the curve ends where the picks do.
    false = table("m", 5000 + 100 * np.arange(1.0, 400), np.full(399, 50.0), np.linspace(0.001, 1e-5, 399), 20)
    longer = result_file.curve(evaluate(concatenate([picks, false]), labels, bootstrap=0))
    assert len(longer["recall"]) <= result_file.POINTS
    assert longer["precision"][-1] == pytest.approx(1500 / 1899, abs=1e-3)
    assert longer["threshold"][-1] == pytest.approx(1e-5)
    assert told["threshold"][0] == pytest.approx(found.curve["threshold"].iloc[0], abs=1e-4)
    assert np.diff(told["recall"]).min() >= 0


def test_a_result_that_is_none_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be read"):
        result_file.load(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(BenchmarkError, match="not a benchmark's result"):
        result_file.load(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"cryokit_benchmark": 99}')
    with pytest.raises(BenchmarkError, match="format 99"):
        result_file.load(tmp_path / "a.json")


def test_command(ran, tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps(benchmark().raw))
    assert main(["benchmark", "--config", str(own), "--out", str(ran[0])]) == 0
    assert "template" in capsys.readouterr().out
    assert main(["benchmark", "--list"]) == 0
    listed = capsys.readouterr().out
    assert "quick" in listed
    assert "deepem" in listed
    for words, told in (
        (["--config", str(own)], "--out"),
        (["--config", str(own), "--out", str(tmp_path / "o"), "--datasets", "x"], "no dataset of this benchmark"),
        (["--config", str(own), "--out", str(tmp_path / "o"), "--picks", "x"], "NAME=PATH"),
        (["--config", str(own), "--out", str(tmp_path / "o"), "--picks", "x=nowhere"], "does not exist"),
        (["--config", str(own), "--out", str(tmp_path / "o"), "--picks", f"template={own}"], "another name"),
    ):
        assert main(["benchmark", *words]) == 1
        assert told in capsys.readouterr().err


def test_command_ends_with_the_list_of_failures(ran, capsys):
    own = ran[0] / "own.yaml"
    own.write_text(json.dumps(ran[1].raw))
    assert main(["benchmark", "--config", str(own), "--out", str(ran[0])]) == 1
    told = capsys.readouterr()
    assert "template" in told.out
    assert "1 of 2 cells failed" in told.err
