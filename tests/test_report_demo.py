"""The HTML report, and the demo that writes one."""

import base64
import io
import os
import re
from html.parser import HTMLParser

import imageio.v3 as imageio
import numpy as np
import pandas as pd
import pytest

from cryokit import coordinates, plot
from cryokit.cli import main
from cryokit.cli.demo import demo
from cryokit.errors import CryokitError
from cryokit.evaluate import evaluate
from cryokit.micrograph import read
from cryokit.plot.html_report import Report, provenance


class Page(HTMLParser):
    """What a browser would see: what it loads, the texts by tag, and whether every tag is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.images, self.open, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action") and tag != "a":
                self.loaded.append(value)
            if tag == "img" and name == "src":
                self.images.append(value)
        if tag not in ("meta", "img", "br", "link", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def of(self, tag):
        return [text for where, text in self.texts if where == tag]


def assert_self_contained(text):
    page = Page(text)
    assert all(link.startswith("data:") for link in page.loaded)
    for pattern in (r"url\(", r"@import", r"<script", r"<link", r"<iframe"):
        assert not re.search(pattern, text)
    return page


def pixels(source):
    kind, data = source.split(",", 1)
    assert kind == "data:image/png;base64"
    return imageio.imread(io.BytesIO(base64.b64decode(data)))


# --- report --------------------------------------------------------------------------------------------------------


def test_parts_appear_in_their_order_and_pictures_are_inside(tmp_path):
    report = Report("Picks & more")
    report.heading("One <1>")
    report.text("a < b & c")
    report.commands("cryokit pick *.mrc\n  --out picks")
    figure, axes = plot.figure(width=3, height=2)
    axes[0, 0].imshow(np.eye(4))
    report.figure(figure, "An “identity”")
    report.heading("Two")
    path = report.write(tmp_path / "new" / "report.html")
    assert path == tmp_path / "new" / "report.html"
    text = path.read_text(encoding="utf-8")
    page = assert_self_contained(text)
    assert page.of("title") == page.of("h1") == ["Picks & more"]
    assert page.of("h2") == ["One <1>", "Two"]
    assert page.of("p") == ["a < b & c"]
    assert page.of("pre") == ["cryokit pick *.mrc\n  --out picks"]
    assert page.of("figcaption") == ["An “identity”"]
    (image,) = page.images
    assert pixels(image).std() > 1
    assert text.index("One") < text.index("a &lt; b") < text.index("<img") < text.index("Two")


def test_tables_keep_whole_numbers_whole():
    table = pd.DataFrame(
        {"name": ["a<b", "c"], "n": [3, 1000], "share": [0.12345, np.nan], "what": ["", "x"], "ok": [True, False]}
    )
    report = Report("t")
    report.table(table)
    report.table(table[["share"]], digits=1)
    page = Page(report.to_html())
    assert page.of("th") == ["name", "n", "share", "what", "ok", "share"]
    assert page.of("td") == ["a<b", "3", "0.123", "True", "c", "1000", "-", "x", "False", "0.1", "-"]


def test_empty_table_and_empty_report():
    report = Report("t")
    report.table(pd.DataFrame({"a": []}))
    assert Page(report.to_html()).of("th") == ["a"]
    assert Page(Report("t").to_html()).of("h1") == ["t"]


def test_names_that_are_no_text_are_shown(tmp_path):
    report = Report("a title")
    report.text(f"{os.fsdecode(b'n_' + bytes([255]))}.mrc: cannot be read")
    assert r"n_\udcff.mrc" in report.write(tmp_path / "report.html").read_text(encoding="utf-8")


def test_report_says_what_made_it():
    import platform

    found = provenance()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", found["at"])
    footer = " ".join(Page(Report("t").to_html()).of("footer"))
    assert all(value in footer for value in found.values())


# --- demo ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    path, result = demo(out, protein="ribosome", micrographs=2, shape=(512, 544), method="template", seed=2)
    return out, path, result


def test_demo_leaves_micrographs_labels_picks_and_report(shown):
    out, path, _ = shown
    names = ["ribosome_001", "ribosome_002"]
    assert path == out / "report.html"
    for folder, ending in (("micrographs", ".mrc"), ("labels", ".csv"), ("picks", ".star")):
        assert {f"{name}{ending}" for name in names} <= {file.name for file in (out / folder).iterdir()}
    micrograph = read(out / "micrographs" / "ribosome_001.mrc")
    assert micrograph.data.shape == (512, 544)
    assert micrograph.pixel_size == pytest.approx(5.36)


def test_demo_picks_well_and_the_files_say_the_same(shown):
    out, _, result = shown
    assert result.f1 > 0.85
    labels, names = coordinates.read_folder(out / "labels")
    picks, _ = coordinates.read_folder(out / "picks")
    again = evaluate(picks, labels, micrographs=names, bootstrap=0)
    assert (again.tp, again.fp, again.fn) == (result.tp, result.fp, result.fn)
    # The curve reaches beyond the picks, down to the last candidate.
    assert result.recall_ceiling >= result.recall
    assert len(result.curve) > len(picks.score.unique())


def test_demo_report_is_self_contained_and_holds_the_numbers(shown):
    _, path, result = shown
    page = assert_self_contained(path.read_text(encoding="utf-8"))
    assert "ribosome" in page.of("title")[0]
    cells = page.of("td")
    for number in (result.precision, result.recall, result.f1, result.average_precision, result.recall_ceiling):
        assert f"{number:.3f}" in cells
    low, high = result.intervals["f1"]
    assert any(f"{low:.3f}" in cell and f"{high:.3f}" in cell for cell in cells)
    for row in result.per_micrograph.itertuples():
        start = cells.index(row.micrograph)
        assert cells[start + 1 : start + 6] == [str(n) for n in (row.particles, row.picks, row.tp, row.fp, row.fn)]
    assert len(page.images) == 3  # the curve and two micrographs
    assert all(pixels(image).std() > 1 for image in page.images)
    assert "cryokit pick" in page.of("pre")[0]


def test_demo_explorer_shows_the_same_numbers(shown, browser):
    out, _, result = shown
    page = browser((out / "report.html").as_uri())
    page.get_by_role("link", name="explorer").click()
    page.wait_for_url("**/explorer.html")
    page.evaluate("() => explorer.ready")
    counts = page.evaluate("() => explorer.counts(explorer.micrographs)")
    assert [counts[name] for name in ("tp", "fp", "fn", "ignored")] == [result.tp, result.fp, result.fn, result.ignored]
    page.close()


@pytest.mark.slow
def test_demo_command(tmp_path, capsys):
    arguments = ["--protein", "ribosome", "-n", "1", "--shape", "512", "640", "--seed", "7"]
    assert main(["demo", "--out", str(tmp_path), *arguments]) == 0
    report = tmp_path / "report.html"
    assert capsys.readouterr().out == f"report: {report.resolve()}\n"
    assert "picked by auto" in report.read_text(encoding="utf-8")
    assert read(tmp_path / "micrographs" / "ribosome_001.mrc").data.shape == (512, 640)


def test_demo_into_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(CryokitError, match="out"):
        demo(tmp_path / "out", protein="ribosome", micrographs=1, shape=(64, 64))
