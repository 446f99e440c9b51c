"""The first notebook: the results that its text relies on."""

import pytest
from html_pages import remote_parts

NOTEBOOK = "00_micrographs_and_picks"


def test_finds_the_particles(results):
    assert results["f1"] > 0.8
    assert results["average_precision"] > 0.8


def test_mistakes_show(results):
    mistakes = {name: value for name, value in results.items() if name.startswith("f1, ")}
    assert len(mistakes) >= 4
    assert max(mistakes.values()) < results["f1"] - 0.2, mistakes


def test_writes_files(notebook):
    assert list(notebook.folder.glob("*.mrc"))
    assert list(notebook.folder.glob("*.star"))


def test_page(notebook):
    assert remote_parts(notebook.page) == []
    assert notebook.pictures >= 6
    assert notebook.formulas >= 5


def test_warns_of_nothing(notebook):
    assert notebook.warnings == []


@pytest.mark.slow
@pytest.mark.real
def test_micrograph_of_your_own(real_data, run_notebook, tmp_path):
    folder = real_data("apoferritin_10146")
    label = min((folder / "labels").glob("*.csv"))
    (picture,) = (folder / "micrographs").glob(f"{label.stem}.*")
    parameters = {"micrograph_path": str(picture), "labels_path": str(label)}
    assert run_notebook(NOTEBOOK, parameters, out=tmp_path).results["f1"] > 0.9
