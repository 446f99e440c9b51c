"""The first notebook: the results that its text relies on."""

import pytest
from html_pages import remote_parts, without_alternative_text

NOTEBOOK = "00_micrographs_and_picks"


def test_finds_most_particles_and_not_all(results):
    assert 0.85 < results["f1"] < 0.99
    assert results["recall"] < results["precision"]
    assert 0.8 < results["average_precision"] < 1


def test_single_pixels_tell_nothing(results):
    assert -0.5 < results["shift of the mean"] < 0


@pytest.mark.parametrize("defocus", ["1", "2.5", "4"])
def test_thon_rings_lie_where_theory_puts_them(results, defocus):
    assert results[f"power at the zeros over power between them, {defocus} µm"] < 0.95


def test_rings_of_the_form_factor_stay(results):
    near, far = results["minima of the form factor"].values()
    assert near == pytest.approx(far, rel=0.1)


def test_mistakes_show(results):
    mistakes = {name: value for name, value in results.items() if name.startswith("f1, ")}
    assert len(mistakes) >= 4
    assert max(mistakes.values()) < results["f1"] - 0.2, mistakes


def test_writes_files(notebook, results):
    assert list(notebook.folder.glob("*.mrc"))
    assert list(notebook.folder.glob("*.star"))
    written, read = results["written and read"]
    assert written == read > 0


def test_page(notebook):
    assert remote_parts(notebook.page) == []
    assert without_alternative_text(notebook.page) == []
    assert notebook.tallest <= 730, "a projector of 1280 x 720 would cut it"
    assert notebook.pictures >= 10
    assert notebook.formulas >= 5


def test_warns_of_nothing(notebook):
    assert notebook.warnings == []


@pytest.mark.long
def test_what_is_to_be_tried(run_notebook, tmp_path):
    """Half the signal: no picks, and the lesson goes on; double: hardly any error."""
    faint = run_notebook(NOTEBOOK, {"snr": 0.1, "data": "simulated"}, out=tmp_path / "faint").results
    assert faint["recall"] < 0.1
    assert faint["highest score"] < 0.5
    clear = run_notebook(NOTEBOOK, {"snr": 0.4, "data": "simulated"}, out=tmp_path / "clear").results
    assert min(clear["precision"], clear["recall"]) > 0.95


@pytest.mark.long
@pytest.mark.real
def test_micrograph_of_your_own(real_data, run_notebook, tmp_path):
    folder = real_data("apoferritin_10146")
    label = min((folder / "labels").glob("*.csv"))
    (picture,) = (folder / "micrographs").glob(f"{label.stem}.*")
    parameters = {"micrograph_path": str(picture), "labels_path": str(label)}
    assert run_notebook(NOTEBOOK, parameters, out=tmp_path).results["f1"] > 0.9


@pytest.mark.long
@pytest.mark.real
def test_real_micrographs(shared, run_notebook, tmp_path):
    notebook = run_notebook(NOTEBOOK, {"data": str(shared / "data")}, out=tmp_path)
    assert notebook.results["f1"] > 0.9
    assert "Real micrographs" in notebook.page
