"""The explorer in JupyterLab: what the browser sends becomes the package's table, and its writers save it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest

import cryokit
from cryokit import coordinates
from cryokit.coordinates import table
from cryokit.errors import ArgumentError, CoordinateError
from cryokit.evaluate import evaluate
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.framed_files import write_framed
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.plot.explorer import Explorer, explore
from cryokit.plot.explorer.contents import KINDS
from cryokit.plot.notebook_html import to_html


def small(name, shape=(64, 96)):
    return Micrograph(np.random.default_rng(0).normal(size=shape), name=name)


@pytest.fixture
def explorer():
    """An explorer of two micrographs that keeps what it sends, and what a browser would get of it."""
    picks = table(["a", "b", "a"], [10, 20, 30], [15, 25, 35], [0.9, 0.5, 0.2], 12)
    labels = table(["a"], [11], [15], diameter=12)
    scores = {"a": np.linspace(0, 1, 24 * 16).reshape(16, 24)}
    explorer = explore([small("a"), small("b")], picks, labels, scores)
    explorer.sent = []
    explorer.send = lambda content, buffers=None: explorer.sent.append((content, buffers))
    return explorer


def tell(explorer, **message):
    """Pretend that the browser has sent a message; return the answer."""
    explorer._received(explorer, message, [])
    return explorer.sent.pop() if explorer.sent else None


def test_is_there_without_an_import_of_its_own():
    assert cryokit.explore is explore


def test_contents_are_json(explorer):
    message, _ = tell(explorer, kind="contents")
    contents = json.loads(json.dumps(message, allow_nan=False))["contents"]
    assert [micrograph["name"] for micrograph in contents["micrographs"]] == ["a", "b"]
    assert contents["micrographs"][0]["picks"]["x"] == [10, 30]
    assert contents["micrographs"][0]["labels"]["x"] == [11]
    assert contents["micrographs"][1]["labels"] is None


def test_pictures_are_sent_when_they_are_asked_for(explorer):
    message, buffers = tell(explorer, kind="pictures", index=0, kinds=list(KINDS))
    layers = message["pictures"]
    assert (layers["grey"]["width"], layers["grey"]["height"]) == (96, 64)
    assert (layers["scores"]["stepX"], layers["scores"]["x0"]) == (4, 1.5)
    (tile,) = layers["grey"]["tiles"]
    assert buffers[tile["data"]][:2] == b"\xff\xd8"
    assert tell(explorer, kind="pictures", index=1, kinds=["scores"])[0]["pictures"]["scores"] is None


def test_score_maps_may_be_files(tmp_path):
    write_mrc(tmp_path / "a.mrc", small("a").data)
    frame = Frame((8, 12), (64, 96), 3.5, 2.5, 7.0, 7.5)
    write_framed(tmp_path / "maps" / "a.mrc", Picture(np.ones((8, 12)), frame))
    for scores in (tmp_path, {"a": tmp_path / "maps" / "a.mrc"}, {"a": Picture(np.ones((8, 12)), frame)}):
        explorer = explore(tmp_path / "a.mrc", scores=scores)
        explorer.sent = []
        explorer.send = lambda content, buffers=None, sent=explorer.sent: sent.append((content, buffers))
        layer = tell(explorer, kind="pictures", index=0, kinds=["scores"])[0]["pictures"]["scores"]
        assert (layer["x0"], layer["y0"], layer["stepX"], layer["stepY"]) == (3.5, 2.5, 7.0, 7.5)


def test_a_file_that_is_gone_is_said(tmp_path):
    write_mrc(tmp_path / "a.mrc", small("a").data)
    explorer = explore(tmp_path / "a.mrc")
    (tmp_path / "a.mrc").unlink()
    explorer.sent = []
    explorer.send = lambda content, buffers=None: explorer.sent.append((content, buffers))
    assert "a.mrc" in tell(explorer, kind="pictures", index=0, kinds=list(KINDS))[0]["error"]


def test_edited_picks_come_back_as_a_table(explorer):
    columns = {"x": [1, 2.5], "y": [3, 4], "score": [1, 0.25], "diameter": [12, None], "view": ["", "top"]}
    tell(explorer, kind="picks", index=0, picks=columns)
    expected = table(["a", "a", "b"], [1, 2.5, 20], [3, 4, 25], [1, 0.25, 0.5], [12, np.nan, 12], ["", "top", ""])
    assert explorer.picks.equals(expected)
    assert explorer.picks.dtypes.equals(expected.dtypes)
    explorer.threshold = 0.5
    assert explorer.picks.equals(expected[expected["score"] >= 0.5].reset_index(drop=True))
    assert explorer.all_picks.equals(expected)
    contents = tell(explorer, kind="contents")[0]["contents"]
    assert contents["micrographs"][0]["picks"]["x"] == [1, 2.5]


@pytest.mark.parametrize("name", ["picks.star", "picks.csv", "folder"])
def test_saving_is_that_of_the_writers(explorer, tmp_path, name):
    message, _ = tell(explorer, kind="save", path=str(tmp_path / name))
    assert name in message["text"]
    picks, _ = coordinates.read_folder(tmp_path / name)
    np.testing.assert_array_equal(
        picks.sort_values("x")[["x", "y", "score"]], [[10, 15, 0.9], [20, 25, 0.5], [30, 35, 0.2]]
    )


def test_saving_boxes(tmp_path):
    explorer = explore(small("a"), table("a", [20], [30], 0.5, 12))
    explorer.save(tmp_path / "a.box")
    assert coordinates.read(tmp_path / "a.box")[["x", "y", "diameter"]].to_numpy().tolist() == [[20, 30, 12]]


def test_what_cannot_be_saved_is_said(explorer, tmp_path):
    message, _ = tell(explorer, kind="save", path=str(tmp_path / "picks.box"))
    assert "picks.box" in message["text"]
    assert not (tmp_path / "picks.box").exists()


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for number, folder in enumerate("AB"):
        (tmp_path / folder).mkdir()
        write_mrc(tmp_path / folder / "001.mrc", small("a").data + number)
    explorer = explore([tmp_path / "A", tmp_path / "B"], table("B/001", [20], [30], 0.5, 12))
    assert [explorer._read(index).name for index in (0, 1)] == ["A/001", "B/001"]
    explorer.save(tmp_path / "picks")
    assert len(coordinates.read(tmp_path / "picks" / "B" / "001.star")) == 1


def test_bad_input():
    with pytest.raises(ArgumentError, match="micrographs"):
        explore([])
    with pytest.raises(ArgumentError, match="micrographs"):
        explore([small("a"), small("a")])
    with pytest.raises(CoordinateError, match="other"):
        explore(small("a"), table("other", [1], [1]))
    with pytest.raises(CoordinateError, match="score"):
        explore(small("a"), table("a", [1, 2], [1, 2], [0.5, np.nan]))
    with pytest.raises(CoordinateError, match="diameter"):
        explore(small("a"), labels=table("a", [1], [1]))


def test_pages_of_notebooks_say_what_would_be_there(explorer):
    data, _ = explorer._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output])
    page = to_html(nbformat.v4.new_notebook(cells=[cell]))
    assert "2 micrographs with 3 picks" in page
    assert "<script" not in page


def test_class_has_the_parameters_of_the_function():
    explorer = Explorer(small("a"), diameter=20)
    assert len(explorer.picks) == 0
    assert tell_contents(explorer)["newDiameter"] == 20


def tell_contents(explorer):
    explorer.send = lambda content, buffers=None: setattr(explorer, "answer", content)
    explorer._received(explorer, {"kind": "contents"}, [])
    return explorer.answer["contents"]


LESSON = Path(cryokit.__file__).parents[1] / "notebooks" / "06_klh_precision_recall.py"
(LESSON_CELL,) = (
    cell.partition("\n")[2] for cell in LESSON.read_text(encoding="utf-8").split("\n# %%") if "explore(images" in cell
)
CELLS = (
    """
import numpy as np
from IPython.display import display
from cryokit import coordinates, evaluate, explore
from cryokit.micrograph import Micrograph
truth, names = coordinates.read("labels.csv"), ["mic"]
judged = {"best": evaluate.evaluate(coordinates.read("picks.csv"), truth, bootstrap=0)}
images = [Micrograph(np.random.default_rng(0).normal(size=(SIZE, SIZE)), name="mic")]
""",
    LESSON_CELL,
    """
coordinates.write(explorer.picks, "back.csv", joined=True)
print(len(explorer.picks), "picks, threshold", explorer.threshold)
""",
)


@pytest.fixture
def lab(tmp_path):
    """Return a function that starts JupyterLab in a folder with a notebook and gives the notebook's address."""
    servers = []

    def start(size):
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
        for cell in CELLS:
            notebook.cells.append(nbformat.v4.new_code_cell(cell.strip().replace("SIZE", str(size))))
        nbformat.write(notebook, tmp_path / "explorer.ipynb")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
        words += ["--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url=None"]
        words += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        settings = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_DATA_DIR": str(tmp_path / "data")}
        settings |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
        settings |= {"JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces")}
        log = (tmp_path / "lab.log").open("w")
        servers.append(subprocess.Popen(words, cwd=tmp_path, env=os.environ | settings, stdout=log, stderr=log))
        address = f"http://127.0.0.1:{port}"
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
            except OSError:
                time.sleep(0.5)
            else:
                return f"{address}/lab/tree/explorer.ipynb"
        raise AssertionError((tmp_path / "lab.log").read_text())

    yield start
    for server in servers:
        server.terminate()
        server.wait(30)


@pytest.mark.slow
def test_the_explorer_of_lesson_06_in_jupyterlab(browser, lab, tmp_path):
    rng = np.random.default_rng(0)
    labels = table("mic", *rng.uniform(100, 3900, (2, 1000)), diameter=60)
    scattered = labels.iloc[:700].assign(x=labels["x"] + 4, score=rng.uniform(0.3, 1, 1000)[:700])
    picks = coordinates.concatenate([scattered, table("mic", *rng.uniform(100, 3900, (2, 300)), rng.random(300), 60)])
    coordinates.write(labels, tmp_path / "labels.csv", joined=True)
    coordinates.write(picks, tmp_path / "picks.csv", joined=True)
    address = lab(4096)
    page = browser(address, (1280, 900))
    page.get_by_text("(ipykernel) | Idle").wait_for(timeout=90_000)
    page.get_by_text("from cryokit import coordinates, evaluate").first.click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("[1]:").wait_for(timeout=60_000)
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".ce-wait[hidden]", state="attached", timeout=120_000)

    slider = page.get_by_label("Threshold", exact=True)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=10)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('[data-count=fn]').textContent !== '300'")
    page.wait_for_timeout(200)  # for the last redraw
    threshold = float(page.get_by_label("Threshold, as a number").input_value())
    assert 0.4 < threshold < 0.6
    result = evaluate(picks, labels, threshold=threshold, bootstrap=0)
    cell = page.locator("[data-count]").evaluate_all(
        "(cells) => Object.fromEntries(cells.map((cell) => [cell.dataset.count, Number(cell.textContent)]))"
    )
    assert [cell[name] for name in ("tp", "fp", "fn", "ignored")] == [result.tp, result.fp, result.fn, result.ignored]

    stage = page.locator(".ce-stage")
    stage.focus()
    # Letters that JupyterLab would take for commands of its own: B adds a cell, X cuts one, M makes it Markdown.
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    for key in ("b", "b", "a", "Enter", "Shift+ArrowRight", "x"):
        page.keyboard.press(key)
    assert "Removed" in page.locator(".ce-status").inner_text()
    page.keyboard.press("a")
    assert "Added" in page.locator(".ce-status").inner_text()
    for key, words in (("u", "Undone"), ("y", "Done again")):
        page.keyboard.press(key)
        assert words in page.locator(".ce-status").inner_text()
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    page.get_by_label("File name").fill("saved.star")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_function(
        "() => /saved.star: /.test(document.querySelector('.ce-status').textContent)", timeout=30_000
    )

    page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text(f"picks, threshold {threshold}").wait_for(timeout=60_000)
    back, saved = coordinates.read(tmp_path / "back.csv"), coordinates.read(tmp_path / "saved.star")
    assert len(back) == len(saved) == len(result.picks) + 1
    np.testing.assert_allclose(saved[["x", "y"]], back[["x", "y"]], rtol=1e-8)
    assert [url for url in page.requests if not re.match(r"(http|ws)://127\.0\.0\.1|data:|blob:", url)] == []
    page.close()
