"""The report: a notebook filled from a result file, as one HTML page."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from benchmark_result import METHODS, SHAPE, all_picks, result, truth, with_given

from cryokit import coordinates
from cryokit.benchmark import result_file
from cryokit.cli import notebook_runner as notebooks
from cryokit.cli.benchmark_page import write_report
from cryokit.errors import CryokitError
from cryokit.micrograph import write_mrc

SOURCE = Path(__file__).resolve().parent.parent / "benchmarks" / "report.py"


def text_of(page):
    """What a reader of the page sees."""
    body = re.sub(r"<(style|script).*?</\1>", "", page[page.index("<body") :], flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def pictures(page):
    return re.findall(r"<img[^>]+data:image/(\w+);base64", page)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run: the result, one dataset's micrographs and labels, and picks of two methods."""
    folder = tmp_path_factory.mktemp("run")
    result_file.write(result(), folder / result_file.RESULT)
    labels = coordinates.concatenate(truth("klh_sim", 6))
    coordinates.write(labels, folder / "data" / "klh_sim.labels.csv", "csv", joined=True)
    (folder / "data" / "klh_sim").mkdir()
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for name in labels["micrograph"].unique():
        write_mrc(folder / "data" / "klh_sim" / f"{name}.mrc", noise, pixel_size=2.0)
    for method in ("auto", "deepem"):
        made, _ = all_picks(method, "klh_sim", 0)
        place = folder / "picks" / method / "klh_sim" / "seed0"
        coordinates.write_folder(made, place, "csv", micrographs=sorted(labels["micrograph"].unique()))
    return folder


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "new" / "report.html"
    assert write_report(run, out) == out
    return out.read_text(encoding="utf-8")


@pytest.mark.notebook
class TestPage:
    def test_stands_alone(self, page):
        assert "<script" not in page
        assert not re.findall(r"(?:src|href)=[\"']https?:", page)

    def test_no_code(self, page):
        told = text_of(page)
        assert "import numpy" not in told
        assert "plt." not in told
        assert not re.search(r"\b(In|Out) ?\[", told)
        assert "best F1 on klh_sim" not in told  # what is recorded for tests

    def test_sections(self, page):
        headings = [re.sub(r"<[^>]+>", "", heading).strip() for heading in re.findall(r"<h2[^>]*>.*?</h2>", page, re.S)]
        assert headings == [
            *("In short", "What was run", "Datasets", "Scores", "F1 with intervals", "Precision-recall curves"),
            *("View by view", "Beside the paper", "Sweeps", "Time and memory", "True, false and missed picks"),
            *("Paired tests", "Failures"),
        ]

    def test_what_it_tells(self, page):
        told = text_of(page)
        for method in METHODS:
            assert method in told
        assert "0123456789abcdef" in told
        assert "tensorflow 2.21.0" in told
        assert "MemoryError: no room | for more" in told
        assert "needs labels of training micrographs" in told
        assert "auto is first" in told
        assert "0.955" in told  # DeepCryoPicker's F1 in the paper's table 7

    def test_pictures(self, page):
        kinds = pictures(page)
        # F1 of two datasets, curves of two, views of one, a sweep of two kinds, time of two; and one overlay.
        assert kinds.count("png") == 2 + 2 + 1 + 2 + 2
        assert kinds.count("jpeg") == 1
        assert len(page) < 5_000_000


@pytest.mark.notebook
def test_result_alone(run, tmp_path):
    """A result file without the rest of its run, without sweeps and with one method only."""
    alone = result()
    alone["cells"] = [one for one in alone["cells"] if one["method"] == "auto" and one["dataset"] == "apoferritin_sim"]
    alone["methods"] = {"auto": alone["methods"]["auto"]}
    alone["datasets"] = {"apoferritin_sim": alone["datasets"]["apoferritin_sim"]}
    path = result_file.write(alone, tmp_path / "alone.json")
    executed = notebooks.run(SOURCE, {"result_file": str(path)}, out=tmp_path / "out")
    recorded = notebooks.recorded(executed)
    assert (recorded["overlays"], recorded["failures"]) == (0, 0)
    assert 0.9 < recorded["best F1 on apoferritin_sim"] < 1
    told = executed.with_suffix(".html").read_text(encoding="utf-8")
    assert "This result has no sweeps." in told
    assert "Every cell came to its end." in told


@pytest.mark.notebook
def test_picks_as_given(tmp_path):
    """They stand against each other method, in a table of their own, and their labels are not known."""
    path = result_file.write(with_given(result()), tmp_path / "given.json")
    told = text_of(write_report(path, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "mine (picks as given): F1" in told
    assert re.search(r"mine \? 0\.\d{3}", told)
    for title in ("simulated klh", "simulated apoferritin"):
        assert re.search(rf"{title}: mine \(F1 0\.\d{{3}}\)", told)
    # Nothing but them.
    alone = with_given(result())
    alone["cells"] = [one for one in alone["cells"] if one["method"] == "mine"]
    alone["methods"] = {"mine": alone["methods"]["mine"]}
    path = result_file.write(alone, tmp_path / "alone.json")
    assert "mine (picks as given): F1" in text_of(
        write_report(path, tmp_path / "alone.html").read_text(encoding="utf-8")
    )


def test_damaged_result(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(CryokitError, match=r"bad\.json"):
        write_report(path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_generated_notebook_is_that_of_its_source():
    generated = nbformat.writes(notebooks.load(SOURCE), version=4).rstrip("\n") + "\n"
    assert SOURCE.with_suffix(".ipynb").read_text(encoding="utf-8") == generated, "run: make notebooks"


def test_parameters():
    assert set(notebooks.parameters(notebooks.load(SOURCE))) == {"profile", "result_file", "data"}
