"""The notebook on the comparison: what its text says has to be true of its run."""

import json
import statistics

import pytest
from html_pages import remote_parts, without_alternative_text

from cryokit import coordinates
from cryokit.benchmark import result_file as result_files
from cryokit.benchmark import run_files
from cryokit.evaluate import evaluate

NOTEBOOK = "06_klh_precision_recall"
QUICKER = {"joining": []}  # nothing that trains a network
FOUR = ["auto_pretrained", "template", "autocryopicker", "relion_template"]
JOINING = ["deepcryopicker", "deepem", "deeppicker"]
WITH_LABELS = {"relion_template", "deepem", "deeppicker"}
REPORTED = {"relion_template", "deepem", "deeppicker", "deepcryopicker"}
LEAST = {"auto_pretrained": 0.85, "relion_template": 0.85, "template": 0.5, "BlobPicker": 0.4}


@pytest.fixture(scope="module")
def methods(notebook):
    """The methods that the notebook compares."""
    return {*notebook.given.get("methods", FOUR), "BlobPicker"}


@pytest.fixture(scope="module")
def all_methods(notebook, methods):
    """These, and those that join later."""
    return methods | set(notebook.given.get("joining", JOINING))


@pytest.fixture(scope="module")
def run(notebook):
    """The folder of the run that the notebook has made."""
    return notebook.folder / "run"


def test_all_methods_come_to_their_end(results, run, methods, all_methods):
    assert results["methods"] == len(methods)
    assert results["failed or skipped"] == []
    assert {*methods, *results["methods that joined"]} == all_methods
    assert set(result_files.load(run)["methods"]) == {*all_methods, "by_hand"}


def test_methods_pick(results, methods, all_methods):
    f1 = results["F1"]
    with_joined = results["F1 with those that joined"]
    assert set(with_joined) == all_methods
    assert with_joined.items() >= f1.items()
    assert all(with_joined[method] > 0.6 for method in all_methods - methods), with_joined
    assert set(f1) == methods
    assert all(f1[method] > LEAST.get(method, 0.6) for method in methods), f1
    assert max(f1.values()) == f1[results["first"]]
    assert results["best F1 without labels"] == max(f1[method] for method in methods - WITH_LABELS)
    assert results["best F1 with labels"] == max(f1[method] for method in methods & WITH_LABELS)


def test_side_views_are_the_harder_ones(results, methods):
    side, top = results["F1 of side views"], results["F1 of top views"]
    assert set(side) == set(top) == methods
    for method in ("template", "autocryopicker"):
        assert side[method] < top[method] - 0.1


def test_methods_miss_different_particles(results):
    assert (
        results["found by all methods"] < results["the most that one method finds"] <= results["found by some method"]
    )
    assert results["found by some method"] > 0.95


def test_false_picks_are_told_apart(results, run, methods):
    kinds = results["false picks by kind"]
    assert set(kinds) == {"second pick", "off the centre", "at the border", "something else"}
    assert sum(kinds.values()) == sum(results["false picks"].values())
    # The overlays and the table are of the same matching.
    cells = {cell["method"]: cell["scores"] for cell in result_files.load(run)["cells"]}
    assert results["false picks"] == {method: cells[method]["fp"] for method in methods}


def test_paper_is_quoted_where_it_has_numbers(results, notebook, methods):
    assert results["methods with reported numbers"] == len(methods & REPORTED)
    assert "reported" in notebook.page


def test_curves_keep_every_candidate(results, run):
    truth = run_files.labels(run, "klh_simulated")
    for method, points in results["points of curves"].items():
        picks, names = coordinates.read_folder(run_files.picks_folder(run, method, "klh_simulated", 0), "csv")
        scores = evaluate(picks, truth, micrographs=names, bootstrap=0).curve["threshold"]
        assert points == len({f"{score:.6g}" for score in scores}), method  # results keep six digits


def test_published_table_contradicts_itself(results):
    assert results["rows of table 7 with an impossible F1"] == ["deepcryopicker, side"]
    assert 0 < results["lead in recall, in standard errors"] < 2


def test_unseen_proteins_can_be_picked(results):
    assert min(results["best F1 on unseen proteins"].values()) > 0.8


def test_few_micrographs_show_little(results):
    assert results["least p of two micrographs"] == 0.5
    # 2 / 2^6: no two methods on six micrographs can be told apart any better.
    assert results["least p here"] >= 1 / 32
    fewest, most = results["turned around, the fewest and the most micrographs"]
    assert fewest > most


@pytest.mark.long
def test_one_micrograph_turns_neighbours_around(results):
    assert results["turned around with one micrograph, at most"] > 0.2


def test_threshold_of_the_test_flatters(results):
    assert 0 < results["what the best threshold would add, at most"] < 0.2
    assert results["what validation adds to the own threshold, mean"] > 0


def test_own_picks_are_scored_as_they_were_made(results, notebook):
    planned, scored = results["by hand, planned"], results["by hand, scored"]
    # Clicks that are 0.05 diameters off on average are within the 0.25 that count.
    assert scored == planned
    particles = json.loads((notebook.folder / "run" / "result.json").read_text(encoding="utf-8"))
    particles = particles["datasets"]["klh_simulated"]["particles"]["test"]
    expected = 2 * planned["true"] / (planned["true"] + planned["false"] + particles)
    assert results["F1, by hand"] == pytest.approx(expected, abs=1e-9)
    assert results["F1, by hand, in the table"] == pytest.approx(expected, abs=1e-4)
    picks, names = coordinates.read_folder(notebook.folder / "by_hand")
    assert len(picks) == planned["true"] + planned["false"]
    assert len(names) == 6


def test_finished_cells_are_kept(results, all_methods):
    assert results["rows of the table with picks added"] == len(all_methods) + 1
    assert results["exit status of the command"] == 0
    assert results["cells kept"] == len(all_methods)


def test_wrong_frames_score_next_to_nothing(results):
    assert results["F1, as they are"] == results["F1, by hand"] > 0.7
    for mistake in ("corner for centre", "y from the other end", "binned by 2"):
        assert results[f"F1, {mistake}"] < 0.2
    assert results["other names are refused"]


def test_labels_are_the_ceiling_and_a_consensus_is_better(results):
    f1 = dict(results["F1 of labels"])
    consensus = f1.pop("two of three")
    # But for labels on what counts neither way.
    assert results["F1 of a perfect picker by labels"] == pytest.approx(f1, abs=0.01)
    assert statistics.mean(results["agreement of two people"]) < statistics.mean(f1.values()) < consensus


@pytest.mark.long
def test_finished_run_is_shown_without_computing(results, run, all_methods, run_notebook, tmp_path):
    before = (run / "result.json").read_bytes()
    again = run_notebook(NOTEBOOK, {"result": str(run)}, out=tmp_path).results
    assert (run / "result.json").read_bytes() == before
    assert not (tmp_path / NOTEBOOK / "run").exists()
    assert again["F1"].items() > results["F1"].items()
    assert again["methods"] == len(all_methods) + 1
    assert again["found by some method"] >= results["found by some method"]


@pytest.mark.long
def test_result_alone_is_shown_too(results, run, run_notebook, tmp_path):
    content = result_files.reduced(result_files.load(run))
    result_files.write(content, tmp_path / "small.json")
    again = run_notebook(NOTEBOOK, {"result": str(tmp_path / "small.json")}, out=tmp_path / "out").results
    assert again["F1"].items() > results["F1"].items()
    assert "found by all methods" not in again  # needs the picks


def test_page(notebook):
    assert remote_parts(notebook.page) == []
    assert without_alternative_text(notebook.page) == []
    assert notebook.pictures >= 13
    assert notebook.page.count("<details>") == notebook.page.count("</details>") == 5


def test_warns_of_nothing(notebook):
    assert notebook.warnings == []
