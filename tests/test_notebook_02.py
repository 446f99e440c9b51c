"""The notebook on clustering: what its text says has to be true of its run."""

import pytest
from html_pages import remote_parts, without_alternative_text

NOTEBOOK = "02_clustering"
GIVEN = {"cluster_numbers": [2, 4, 8], "noise_levels": [0.1, 3]}  # the ends of the curves, and the default k


def test_kmeans_and_fuzzy_cmeans_are_nearly_the_same(results):
    alike = results["adjusted Rand index, k-means and fuzzy c-means"]
    assert alike > 0.85
    assert results["adjusted Rand index, k-means and IBC"] < alike - 0.2
    assert results["adjusted Rand index, k-means and super k-means"] < alike - 0.2
    assert results["Dice, IBC and k-means with the best k"] > 0.8


def test_superpixels_take_the_time(results):
    assert results["times as long as k-means, super k-means"] > 2


def test_the_formula_shown_is_the_one_that_chooses(results):
    assert results["clusters that particle_cluster chooses"] == results["clusters with the largest q"]


def test_cleaning_helps(results):
    assert results["objects after cleaning"] < results["objects before cleaning"] / 4
    before, after = (results[f"Dice with the true discs, IBC, {when} cleaning"] for when in ("before", "after"))
    assert after > before + 0.1


def test_particles_are_rounder(results):
    assert 1 <= results["median circularity, on particles"] < results["median circularity, elsewhere"]


def test_strong_circles_are_particles(results):
    assert results["circles of strength 0.5 and more"] >= 3
    assert results["of these on true particles"] > 0.75 * results["circles of strength 0.5 and more"]


def test_cutting_makes_single_particles(results):
    assert results["objects of one particle after cutting"] > results["objects of one particle before cutting"] + 3


@pytest.mark.parametrize(
    ("protein", "method", "least"),
    [("klh", "autocryopicker", 0.8), ("apoferritin", "autocryopicker", 0.9), ("ribosome", "supercryoempicker", 0.85)],
)
def test_pickers(results, protein, method, least):
    improved, published = results[f"F1, {protein}, {method}"], results[f"F1, {protein}, {method}_published"]
    assert improved > least
    assert 0.4 < published < improved
    found = results[f"of these found by the improved one, {protein}"]
    assert found >= results[f"missed as published, {protein}"] / 2


@pytest.mark.parametrize("protein", ["klh", "apoferritin"])
def test_circles_in_the_picture_depend_less_on_k(results, protein):
    improved, published = (
        results[f"worst F1, k > 2, {protein}, {method}"] for method in ("improved picker", "published picker")
    )
    assert improved > published + 0.2


@pytest.mark.parametrize("protein", ["klh", "apoferritin", "ribosome"])
def test_few_clusters_cost_precision_and_many_recall(results, protein):
    precision, recall = results[f"precision by k, {protein}"], results[f"recall by k, {protein}"]
    assert precision["2"] < precision["4"]
    assert recall["8"] < recall["2"]


def test_noise_costs_particles_but_not_the_mask(results):
    for protein in ("klh", "apoferritin", "ribosome"):
        noisy, clear = (results[f"F1 of the picker, {protein}, SNR {ratio}"] for ratio in ("0.1", "3"))
        assert clear > 0.85
        assert noisy < clear - 0.1
    assert results["smallest share of the mask"] > 0.1
    assert results["largest share of the mask"] < 2 * results["smallest share of the mask"]


def test_mistakes_show(results):
    right = results["F1, no mistake"]
    assert right > 0.8
    for mistake in ("wrong contrast", "diameter twice too large", "three times the clusters"):
        assert results[f"F1, {mistake}"] < right - 0.2
    assert results["recall, wrong contrast"] < 0.5


def test_empty_ice(results):
    picks = {name.split(", ")[1]: value for name, value in results.items() if name.startswith("picks in empty ice")}
    assert len(picks) == 4
    assert picks["supercryoempicker"] < picks["supercryoempicker_published"] / 2
    # Less than four a micrograph of 512 x 512 pixels, where 20 particles would lie.
    assert max(picks["autocryopicker"], picks["autocryopicker_published"]) < 5 * 4


def test_page(notebook):
    assert remote_parts(notebook.page) == []
    assert without_alternative_text(notebook.page) == []
    assert notebook.tallest <= 730, "a projector of 1280 x 720 would cut it"
    assert notebook.pictures >= 18
    assert notebook.formulas >= 8


def test_warns_of_nothing(notebook):
    assert notebook.warnings == []


@pytest.mark.long
@pytest.mark.real
def test_real_micrographs(shared, run_notebook, tmp_path):
    results = run_notebook(NOTEBOOK, {"data": str(shared / "data"), "shown": "apoferritin"}, out=tmp_path).results
    assert results["F1, klh, autocryopicker"] > 0.8
    assert results["F1, apoferritin, autocryopicker"] > 0.9
    assert results["F1, ribosome, supercryoempicker"] > 0.85
