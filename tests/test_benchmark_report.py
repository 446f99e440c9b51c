"""The report: a notebook filled from a result file, as one HTML page."""

import re

import nbformat
import numpy as np
import pytest
from benchmark_result import METHODS, MICROGRAPHS, SHAPE, all_picks, result, truth, with_given
from html_pages import remote_parts
from scripts import BENCHMARKS

from cryokit import coordinates
from cryokit.benchmark import result_file, run_files, summary
from cryokit.cli import notebook_runner as notebooks
from cryokit.cli.benchmark_page import write_report
from cryokit.errors import BenchmarkError
from cryokit.micrograph import write_mrc

SOURCE = BENCHMARKS / "report.py"


def text_of(page):
    """What a reader of the page sees."""
    body = re.sub(r"<(style|script).*?</\1>", "", page[page.index("<body") :], flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run: the result with picks as given, one dataset's micrographs and labels, picks of two."""
    folder = tmp_path_factory.mktemp("run")
    result_file.write(with_given(result()), folder / result_file.RESULT)
    labels = coordinates.concatenate(truth("klh_sim", MICROGRAPHS))
    names = sorted(labels["micrograph"].unique())
    coordinates.write(labels, run_files.labels_file(folder, "klh_sim"), "csv", joined=True)
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for name in names:
        write_mrc(folder / "data" / "klh_sim" / f"{name}.mrc", noise, pixel_size=2.0)
    for method in ("auto", "deepem"):
        picks, _ = all_picks(method, "klh_sim", 0)
        place = run_files.picks_folder(folder, method, "klh_sim", 0)
        coordinates.write_folder(picks, place, "csv", micrographs=names)
    return folder


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "new" / "report.html"
    assert write_report(folder, out) == out
    assert "explorer" in (out.parent / "report_explorer_1.html").read_text(encoding="utf-8")
    return out.read_text(encoding="utf-8")


class TestPage:
    def test_stands_alone(self, page):
        assert remote_parts(page) == []
        assert "<script" not in page
        assert len(page) < 5_000_000

    def test_no_code(self, page):
        visible = text_of(page)
        assert "import numpy" not in visible
        assert "plt." not in visible
        assert not re.search(r"\b(In|Out) ?\[", visible)
        assert "best F1 on klh_sim" not in visible  # what is recorded for tests

    def test_numbers(self, page, folder):
        visible = text_of(page)
        content = result_file.load(folder)
        for name in summary.dataset_names(content):
            for row in summary.scores(content, name).query("seeds > 0").itertuples():
                labels = {True: "yes", False: "no", None: r"\?"}[row.labels]
                assert re.search(rf"{row.title} {labels} {row.f1:.3f}", visible)
        assert "0.955" in visible  # DeepCryoPicker's F1 in the paper's table 7

    def test_provenance_and_failures(self, page):
        visible = text_of(page)
        assert set(METHODS) <= set(re.findall(r"\w+", visible))
        for words in ("0123456789abcdef", "tensorflow 2.21.0", "MemoryError: no room | for more", "needs labels of"):
            assert words in visible

    def test_pictures(self, page):
        kinds = re.findall(r"<img[^>]+data:image/(\w+);base64", page)
        # F1, curves, localisation and time of two datasets; of one its views together and each alone, and the paper's
        # F1; a sweep. The agreement of all methods, and the best ones.
        assert kinds.count("png") == 4 * 2 + 3 + 1 + 1
        assert kinds.count("jpeg") == 2

    def test_first_screen(self, page, folder):
        content = result_file.load(folder)
        first = page[page.index('<table class="overview"') :]
        assert first.index("Without labels") < first.index("With labels") < first.index("What the numbers say")
        assert first[: first.index("</table>")].count("<tr") == 3 + len(content["methods"])

    def test_no_heading_stands_alone(self, page):
        """No section is empty: something other than a heading follows every heading."""
        visible = re.sub(r"<(style|script).*?</\1>", "", page[page.index("<body") :], flags=re.S)
        parts = re.split(r"<h2", visible)[1:]
        assert len(parts) > 8
        for part in parts:
            below = part[part.index("</h2>") :]
            assert "<img" in below or "<table" in below or "<li" in below

    def test_explorer_page_is_linked(self, page, folder):
        (link,) = set(re.findall(r'href="([^"]+explorer[^"]+)"', page))
        assert link == "report_explorer_1.html"


@pytest.mark.slow
def test_one_method_alone(tmp_path):
    """Picks as given, which have no other methods beside them, no sweep, no views and no micrographs."""
    alone = with_given(result())
    alone["cells"] = [
        cell for cell in alone["cells"] if (cell["method"], cell["dataset"]) == ("mine", "apoferritin_sim")
    ]
    alone["methods"] = {"mine": alone["methods"]["mine"]}
    alone["datasets"] = {"apoferritin_sim": alone["datasets"]["apoferritin_sim"]}
    path = result_file.write(alone, tmp_path / "alone.json")
    recorded = notebooks.recorded(notebooks.run(SOURCE, {"result_file": str(path)}, out=tmp_path / "out"))
    assert (recorded["overlays"], recorded["failures"]) == (0, 0)
    assert recorded["best F1 on apoferritin_sim"] == alone["cells"][0]["scores"]["f1"]


def test_damaged_result(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"bad\.json"):
        write_report(path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_generated_notebook_is_that_of_its_source():
    generated = nbformat.writes(notebooks.load(SOURCE), version=4).rstrip("\n") + "\n"
    assert SOURCE.with_suffix(".ipynb").read_text(encoding="utf-8") == generated, "run: make notebooks"


def test_parameters():
    assert set(notebooks.parameters(notebooks.load(SOURCE))) == {"profile", "result_file", "data", "links"}
