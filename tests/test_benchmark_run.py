"""Running a benchmark: cells in processes of their own, resuming, failures, picks as given."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_benchmark import SIMULATED, benchmark

from cryokit import coordinates
from cryokit.benchmark import cells, result_file, run_files, summary
from cryokit.benchmark.prepared_sets import prepare
from cryokit.benchmark.run import run
from cryokit.cli import main
from cryokit.coordinates import concatenate, table
from cryokit.errors import BenchmarkError
from cryokit.evaluate import evaluate
from cryokit.evaluate.thresholds import SLACK
from cryokit.micrograph import read
from cryokit.pickers import create


def cell_of(result, method, dataset="sim"):
    (cell,) = (cell for cell in result["cells"] if (cell["method"], cell["dataset"]) == (method, dataset))
    return cell


# --- a run ---------------------------------------------------------------------------------------------------------


def test_the_result_is_what_the_picks_are_worth(small_run):
    folder, result = small_run
    assert result_file.load(folder) == json.loads((folder / result_file.RESULT).read_text())
    cell = cell_of(result, "template")
    assert cell["status"] == result_file.DONE
    # Scored again from the files: the picks as written against the truth as simulated.
    names = result["datasets"]["sim"]["micrographs"]["test"]
    picks, _ = coordinates.read_folder(run_files.picks_folder(folder, "template", "sim", 0))
    truth, _ = coordinates.read_folder(folder / "data" / "sim" / "labels")
    again = evaluate(picks, truth, micrographs=names, threshold=cell["threshold"])
    assert (again.tp, again.fp, again.fn) == tuple(cell["scores"][name] for name in ("tp", "fp", "fn"))
    assert cell["scores"]["f1"] == pytest.approx(again.f1, abs=1e-4)
    assert cell["scores"]["f1"] > 0.5
    for name, value in again.localisation.to_dict().items():
        assert cell["localisation"][name] == pytest.approx(value, abs=1e-2)
    assert sum(row["tp"] for row in cell["per_micrograph"]) == again.tp
    wide = evaluate(picks, truth, micrographs=names, threshold=cell["threshold"], tolerance=0.5)
    assert cell["wide"]["tp"] == wide.tp >= again.tp
    assert sum(cell["curve"]["true"]) + sum(cell["curve"]["false"]) == len(picks) - evaluate(picks, truth).ignored
    assert cell["seconds"]["fit"] > 0 < cell["seconds"]["pick"]
    assert 50 < cell["peak_memory_mb"] < 4000


def test_the_threshold_is_the_validation_micrographs_not_the_tested_ones(small_run):
    folder, result = small_run
    prepared = prepare(benchmark().datasets[0], folder)
    picker = create("template", diameter=prepared.diameter).fit(prepared.paths["train"])
    picks = concatenate(picker.pick(read(path), threshold=0) for path in prepared.paths["validation"])
    truth = prepared.labels[prepared.labels["micrograph"].isin(picks["micrograph"])]
    best = evaluate(picks, truth).best_f1
    threshold = cell_of(result, "template")["threshold"]
    assert evaluate(picks, truth, threshold=threshold).f1 >= best - SLACK - 1e-9


def test_a_method_that_fails_fails_alone(small_run):
    (failed,) = summary.failures(small_run[1]).to_dict("records")
    assert (failed["method"], failed["dataset"]) == ("autocryopicker", "sim")
    assert "clusters" in failed["error"]
    # A cell without scores has the same keys as one with them.
    assert set(cell_of(small_run[1], "autocryopicker")) == set(cell_of(small_run[1], "template"))


def test_a_cell_says_what_made_it_but_not_where(small_run):
    folder, result = small_run
    cell = cell_of(result, "template")
    assert cell["provenance"]["commit"] == result_file.commit()
    assert cell["provenance"]["packages"]["numpy"] == result["provenance"]["packages"]["numpy"] == np.__version__
    assert cell["provenance"]["machine"]["device"] is None  # no network was run
    assert cell["provenance"]["machine"]["cores"] >= 1
    assert cell["wall"] > 0
    assert len(result["datasets"]["sim"]["fingerprint"]) == 64
    assert str(folder) not in json.dumps(result)


def test_finished_cells_are_kept_and_failed_ones_tried_again(small_run, copied_run, monkeypatch):
    started = []
    real = cells.run_in_process
    monkeypatch.setattr(cells, "run_in_process", lambda job, *rest: started.append(job.method) or real(job, *rest))
    wrong = {"name": "autocryopicker", "settings": {"clusters": "many"}}
    again = run(benchmark(methods=["template", wrong]), copied_run)
    assert started == ["autocryopicker"]
    assert cell_of(again, "template") == cell_of(small_run[1], "template")
    # Another setting is another cell.
    started.clear()
    run(benchmark(methods=[{"name": "template", "settings": {"max_micrographs": 1}}]), copied_run)
    assert started == ["template"]


def test_cells_of_another_state_of_the_source_are_refused(copied_run):
    place = run_files.cell_file(copied_run, "template", "sim", 0)
    content = json.loads(place.read_text())
    content["provenance"]["commit"] = "deadbeef0000+"
    place.write_text(json.dumps(content))
    with pytest.raises(BenchmarkError, match="deadbeef0000"):
        run(benchmark(), copied_run)
    assert "deadbeef0000+" in json.dumps(run(benchmark(), copied_run, mixed=True))


def test_an_interrupted_run_leaves_the_last_result_alone(copied_run, monkeypatch):
    run(benchmark(), copied_run)
    whole = (copied_run / result_file.RESULT).read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cells, "run_in_process", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(benchmark(methods=["template", "supercryoempicker"]), copied_run)
    assert (copied_run / result_file.RESULT).read_bytes() == whole
    (copied_run / result_file.RESULT).unlink()
    assert [cell["method"] for cell in result_file.load(copied_run)["cells"]] == ["template"]


def test_too_long_is_a_failure(copied_run):
    result = run(benchmark(timeout=1e-4), copied_run, fresh=True)
    assert cell_of(result, "template")["status"] == result_file.FAILED
    assert f"{1e-4:g} minutes" in summary.failures(result)["error"][0]


def test_methods_with_labels_are_skipped_where_there_is_none_to_learn_from(tmp_path):
    only = {**SIMULATED, "train": 0, "validation": 0, "test": 1}
    config = benchmark(methods=["auto_labels"], datasets=[{"name": "one", "simulate": only}])
    (cell,) = run(config, tmp_path)["cells"]
    assert cell["status"] == result_file.SKIPPED
    assert "labels" in cell["error"]


def test_the_run_of_another_benchmark_is_not_replaced(copied_run):
    before = (copied_run / result_file.RESULT).read_bytes()
    with pytest.raises(BenchmarkError, match=r"'small'.*'other'"):
        run(benchmark(name="other"), copied_run)
    (copied_run / result_file.RESULT).rename(copied_run / result_file.PARTIAL)
    with pytest.raises(BenchmarkError, match=r"'small'.*'other'"):
        run(benchmark(name="other"), copied_run)
    (copied_run / result_file.RESULT).write_text("{}")
    with pytest.raises(BenchmarkError, match=r"result\.json"):
        run(benchmark(), copied_run)
    assert (copied_run / result_file.PARTIAL).read_bytes() == before


# --- datasets ------------------------------------------------------------------------------------------------------


def test_a_real_dataset_in_a_folder_of_your_own(small_run, tmp_path):
    made = small_run[0] / "data" / "sim"
    own = {"name": "mine", "micrographs": str(made), "labels": str(made / "labels")}
    result = run(benchmark(datasets=[own, {"name": "nowhere"}]), tmp_path)
    assert list(result["datasets"]) == ["mine"]
    assert result["datasets"]["mine"]["kind"] == "real"
    numbers = {split: len(names) for split, names in result["datasets"]["mine"]["micrographs"].items()}
    assert numbers == {"train": 4, "validation": 0, "test": 1}
    with pytest.raises(BenchmarkError, match="nowhere"):
        run(benchmark(datasets=[{"name": "nowhere"}]), tmp_path / "none")


def test_another_dataset_takes_the_place_of_one_that_is_not_available(copied_run, tmp_path):
    replaced = {"name": "nowhere", "otherwise": {"name": "sim", "simulate": SIMULATED}}
    assert list(run(benchmark(datasets=[replaced]), copied_run)["datasets"]) == ["sim"]
    # So where micrographs are there, but labels are missing.
    (tmp_path / "nowhere" / "micrographs").mkdir(parents=True)
    result = run(benchmark(datasets=[replaced]), copied_run, sources=[tmp_path])
    assert list(result["datasets"]) == ["sim"]


# --- picks as given ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def truth(small_run):
    """The particles with a score of 0.9, and as many weak candidates that are none."""
    labels, _ = coordinates.read_folder(small_run[0] / "data" / "sim" / "labels")
    particles = labels[labels["view"] != "ignore"].assign(score=0.9, view="")
    return concatenate([particles, particles.assign(x=particles["x"] + 0.6 * particles["diameter"], score=0.1)])


def with_picks(folder, tmp_path, picks, splits, **changes):
    """Run with picks of the micrographs of some splits; return the result and the cells of the picks."""
    names = [name for name in picks["micrograph"].unique() if any(split in name for split in splits)]
    path = tmp_path / "mine"
    coordinates.write_folder(picks[picks["micrograph"].isin(names)], path, "csv", micrographs=names)
    result = run(benchmark(**changes), folder, picks={"mine": str(path)})
    return result, [cell for cell in result["cells"] if cell["method"] == "mine"]


def test_weak_candidates_are_cut_by_the_validation_micrographs(copied_run, truth, tmp_path):
    result, (cell,) = with_picks(copied_run, tmp_path, truth, ("validation", "test"))
    assert cell["scores"]["f1"] > 0.95
    assert cell["decisions"] == []
    assert result["methods"]["mine"]["labels"] is None
    assert result["methods"]["mine"]["settings"] == {"path": "mine"}
    assert summary.against(result, "sim", "mine")["method"].tolist() == ["template"]
    # They lie where a method's picks do, so that reports can draw them.
    written, _ = coordinates.read_folder(run_files.picks_folder(copied_run, "mine", "sim", 0))
    assert len(written) == truth["micrograph"].str.contains("test").sum()


def test_without_picks_on_validation_micrographs_everything_counts(copied_run, truth, tmp_path, caplog):
    _, (cell,) = with_picks(copied_run, tmp_path, truth, ("test",))
    assert cell["scores"]["precision"] < 0.8
    (remark,) = cell["decisions"]
    assert "validation" in remark
    assert remark in caplog.text


def test_candidates_below_the_threshold_do_not_count(copied_run, truth, tmp_path):
    """However good they are: what is ranked is what the method picks."""
    _, (cell,) = with_picks(copied_run, tmp_path, truth, ("validation", "test"))
    threshold = cell["threshold"]
    assert cell["threshold_by"] == result_file.BY_VALIDATION
    missed = truth[truth["score"] > 0.5].iloc[::3]
    some = truth.drop(missed.index)
    weak = concatenate([some, missed.assign(score=threshold / 2)])
    ranked = ("precision", "recall", "f1", "accuracy", "tp", "fp", "fn")
    on_test = {}
    for name, picks in (("some", some), ("weak", weak)):
        tested = picks[picks["micrograph"].str.contains("test")]
        on_test[name] = evaluate(tested, truth[truth["score"] > 0.5].assign(score=np.nan), threshold=threshold)
    assert all(getattr(on_test["some"], key) == getattr(on_test["weak"], key) for key in ranked)
    assert on_test["some"].localisation == on_test["weak"].localisation


def test_picks_that_no_labels_went_into(copied_run, truth, tmp_path):
    coordinates.write(truth, tmp_path / "mine.csv")
    result = run(benchmark(), copied_run, picks={"mine": str(tmp_path / "mine.csv")}, unlabelled=["mine"])
    assert result["methods"]["mine"]["labels"] is False
    assert "mine" in summary.standing(result, "sim", labels=False)["method"].tolist()
    with pytest.raises(BenchmarkError, match="'yours'"):
        run(benchmark(), copied_run, picks={"mine": str(tmp_path / "mine.csv")}, unlabelled=["yours"])


def test_picks_without_scores_have_no_threshold(copied_run, truth, tmp_path):
    particles = truth[truth["score"] > 0.5].assign(score=np.nan)
    _, (cell,) = with_picks(copied_run, tmp_path, particles, ("test",))
    assert cell["scores"]["f1"] == 1
    assert cell["threshold"] is None
    assert cell["threshold_by"] == result_file.BY_NOTHING


def test_micrographs_without_picks_count_as_missed_and_are_named(copied_run, truth, tmp_path):
    _, (cell,) = with_picks(copied_run, tmp_path, truth, ("validation", "test_001"))
    assert cell["scores"]["recall"] < 0.9
    (remark,) = cell["decisions"]
    assert "apoferritin_test_002" in remark
    assert "apoferritin_test_001" not in remark


def test_picks_in_another_frame_are_told(copied_run, truth, tmp_path, caplog):
    particles = truth[truth["score"] > 0.5]
    _, (cell,) = with_picks(copied_run, tmp_path, coordinates.scale(particles, 1 / 4), ("validation", "test"))
    (remark,) = cell["decisions"]
    assert "cryokit convert --scale 4" in remark
    assert remark in caplog.text


@pytest.mark.parametrize(
    ("added", "reading"),
    [("000000000000000000007_{}", {}), ("J7_{}_DW", {"prefixes": ["J[0-9]_"], "endings": ["_DW"]})],
)
def test_picks_under_other_names(copied_run, truth, tmp_path, added, reading):
    coordinates.write(truth.assign(micrograph=truth["micrograph"].map(added.format)), tmp_path / "mine.csv")
    result = run(benchmark(), copied_run, picks={"mine": str(tmp_path / "mine.csv")}, reading=reading)
    (cell,) = [cell for cell in result["cells"] if cell["method"] == "mine"]
    assert cell["scores"]["f1"] > 0.95
    assert result["methods"]["mine"]["settings"] == {"path": "mine.csv", **reading}


@pytest.mark.slow
def test_picks_of_one_dataset_do_not_fail_on_the_others(copied_run, truth, tmp_path):
    other = {**SIMULATED, "protein": "ribosome", "seed": 10, "train": 0, "validation": 0, "test": 1}
    both = [{"name": "sim", "simulate": SIMULATED}, {"name": "new", "simulate": other}]
    result, own = with_picks(copied_run, tmp_path, truth, ("test",), datasets=both)
    assert [cell["status"] for cell in own] == [result_file.DONE, result_file.SKIPPED]
    assert result_file.FAILED not in {cell["status"] for cell in result["cells"]}
    # Picks of none of them are an error, which says what they are of.
    elsewhere = table("elsewhere_test", [10.0], [10.0], 0.5)
    result, own = with_picks(copied_run, tmp_path / "b", elsewhere, ("test",), datasets=both)
    assert [cell["status"] for cell in own] == [result_file.FAILED, result_file.FAILED]
    assert "elsewhere_test" in summary.failures(result)["error"][0]


def test_a_file_that_cannot_be_read_fails_with_its_name(copied_run, tmp_path):
    (tmp_path / "junk.txt").write_text("what is this\n")
    result = run(benchmark(), copied_run, picks={"junk": str(tmp_path / "junk.txt")})
    (failure,) = summary.failures(result)["error"]
    assert "junk.txt" in failure


# --- the result file -----------------------------------------------------------------------------------------------


def test_curves_keep_every_candidate():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 5000, (1500, 2))
    labels = table("m", xy[:, 0], xy[:, 1], diameter=20)
    found = table("m", xy[:1200, 0], xy[:1200, 1], rng.random(1200).round(2), 20)
    # As many weak candidates that are none, most of them with scores next to 0
    false = table("m", 5000 + 100 * np.arange(1.0, 1201), np.full(1200, 50.0), 10.0 ** -rng.uniform(2, 9, 1200), 20)
    evaluation = evaluate(concatenate([found, false]), labels, bootstrap=0)
    curve = json.loads(json.dumps(result_file.curve(evaluation)))
    assert sum(curve["true"]) + sum(curve["false"]) == 2400
    points = result_file.points(curve)
    assert len(points) == len(evaluation.curve)
    for name in points:
        assert points[name].to_numpy() == pytest.approx(evaluation.curve[name].to_numpy(), rel=1e-5)


def test_candidates_that_look_equal_come_in_together():
    picks = table("m", [10.0, 200.0], [10.0, 200.0], [0.5, 0.5 - 1e-9], 20)
    curve = result_file.curve(evaluate(picks, table("m", [10.0], [10.0], diameter=20), bootstrap=0))
    assert curve == {"particles": 1, "threshold": [0.5], "true": [1], "false": [1]}


def test_methods_that_draw_run_with_every_seed_and_others_once(copied_run, monkeypatch):
    seen = []

    def failed(job, timeout):
        seen.append((job.method, job.seed))
        return {"status": result_file.FAILED, "error": "not run"}

    monkeypatch.setattr(cells, "run_in_process", failed)
    result = run(benchmark(methods=["autocryopicker", "supercryoempicker", "auto"], seeds=3), copied_run)
    of_seeds = [(name, seed) for name in ("supercryoempicker", "auto") for seed in range(3)]
    assert seen == [("autocryopicker", 0), *of_seeds]
    assert [(cell["method"], cell["seed"]) for cell in result["cells"]] == seen


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"cryokit_benchmark": 2}', '{"cryokit_benchmark": 99}'])
def test_a_result_that_is_none_is_refused(content, tmp_path):
    path = Path(tmp_path / "a.json")
    if content is not None:
        path.write_text(content)
    with pytest.raises(BenchmarkError, match=r"a\.json"):
        result_file.load(path)


# --- the command ---------------------------------------------------------------------------------------------------


def test_command(copied_run, tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps(benchmark().raw))
    words = ["benchmark", "--config", str(own), "--out", str(copied_run), "--profile", "full"]
    (copied_run / result_file.RESULT).unlink()  # of a benchmark without a profile
    assert main(words) == 0
    assert f"{result_file.load(copied_run)['cells'][0]['scores']['f1']:.3f}" in capsys.readouterr().out
    own.write_text(
        json.dumps(benchmark(methods=["template", {"name": "autocryopicker", "settings": {"clusters": "many"}}]).raw)
    )
    assert main(words) == 1
    printed = capsys.readouterr()
    assert "template" in printed.out
    assert "1 of 2 cells failed" in printed.err
