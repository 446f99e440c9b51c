"""Copies of the lessons: readers keep what they have changed, and saving one leaves its source as it is."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import jupytext
import nbformat
import pytest
from jupytext.config import JupytextConfiguration
from traitlets.config.loader import KVArgParseConfigLoader

from cryokit._util.resources import folder
from cryokit.cli import lesson_copies, main, notebook_runner
from cryokit.cli.exercises import sources as exercise_sources
from cryokit.errors import NotebookError

LESSON = '# %% [markdown]\n# # One\n\n# %% tags=["parameters"]\nprofile = "quick"\n\n# %%\n{code}\n'


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A folder with the sources of one lesson, which stands for `notebooks`."""
    place = tmp_path / "repository" / "notebooks"
    (place / "site").mkdir(parents=True)
    (place / "README.md").write_text("# Start\n\n[one](00_one.py), [map](../cryokit/README.md)\n", encoding="utf-8")
    (place / "site" / "index.md").write_text("# Site\n", encoding="utf-8")
    (place / "00_one.py").write_text(LESSON.format(code="1"), encoding="utf-8")
    for module in (lesson_copies, notebook_runner, exercise_sources):
        monkeypatch.setattr(module, "folder", lambda name: place)
    return place


def code(path):
    return nbformat.read(path, 4).cells[-1].source


def run_by_a_reader(path):
    notebook = nbformat.read(path, 4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(notebook, path)


class TestCopy:
    def test_everything_of_the_package(self, tmp_path):
        copied = lesson_copies.copy(tmp_path / "work")
        shown = sorted(path.name for path in (tmp_path / "work").iterdir() if not path.name.startswith("."))
        lessons = {name for name in shown if name[0].isdigit()}
        assert lessons == {f"{name}.ipynb" for name in notebook_runner.available()}
        assert {"Start.ipynb", *lessons} <= set(shown)
        assert not list((tmp_path / "work").rglob("*.py"))
        exercises = list((tmp_path / "work" / "exercises").glob("*.ipynb"))
        assert len(exercises) == len(exercise_sources.available())
        assert not any("BEGIN" in path.read_text(encoding="utf-8") for path in exercises), "solutions or hidden tests"
        assert len(copied.written) >= len(lessons) + 1
        assert lesson_copies.copy(tmp_path / "work") == lesson_copies.Copied()

    def test_start_page_leads_to_the_copies(self, sources, tmp_path):
        lesson_copies.copy(tmp_path / "work")
        (cell,) = nbformat.read(tmp_path / "work" / "Start.ipynb", 4).cells
        assert cell.source == "# Start\n\n[one](00_one.ipynb), map\n"

    def test_new_versions_replace_what_nobody_has_changed(self, sources, tmp_path):
        lesson_copies.copy(tmp_path)
        (sources / "00_one.py").write_text(LESSON.format(code="2"), encoding="utf-8")
        (sources / "01_two.py").write_text(LESSON.format(code="3"), encoding="utf-8")
        copied = lesson_copies.copy(tmp_path)
        assert sorted(path.name for path in copied.written) == ["00_one.ipynb", "01_two.ipynb"]
        assert (code(tmp_path / "00_one.ipynb"), code(tmp_path / "01_two.ipynb")) == ("2", "3")

    def test_readers_keep_what_they_have_changed(self, sources, tmp_path, caplog):
        mine, new = tmp_path / "00_one.ipynb", tmp_path / "00_one.new.ipynb"
        lesson_copies.copy(tmp_path)
        run_by_a_reader(mine)
        before = mine.read_bytes()
        assert lesson_copies.copy(tmp_path) == lesson_copies.Copied(), "the lesson is the same"
        for version in ("2", "3"):
            (sources / "00_one.py").write_text(LESSON.format(code=version), encoding="utf-8")
            assert lesson_copies.copy(tmp_path).beside == [new]
            assert str(new) in caplog.text
            assert mine.read_bytes() == before
            assert code(new) == version
        run_by_a_reader(new)
        (sources / "00_one.py").write_text(LESSON.format(code="4"), encoding="utf-8")
        (another,) = lesson_copies.copy(tmp_path).beside
        assert (code(another), code(new), mine.read_bytes()) == ("4", "3", before)

    def test_a_file_of_the_same_name_is_kept(self, sources, tmp_path):
        (tmp_path / "00_one.ipynb").write_text("mine", encoding="utf-8")
        copied = lesson_copies.copy(tmp_path)
        assert (tmp_path / "00_one.ipynb").read_text(encoding="utf-8") == "mine"
        assert [path.name for path in copied.beside] == ["00_one.new.ipynb"]

    def test_deleted_copies_come_back(self, sources, tmp_path):
        lesson_copies.copy(tmp_path)
        (tmp_path / "00_one.ipynb").unlink()
        assert lesson_copies.copy(tmp_path).written == [tmp_path / "00_one.ipynb"]

    def test_sources_are_no_place_for_copies(self, capsys):
        with pytest.raises(NotebookError, match="sources"):
            lesson_copies.copy(folder("notebooks"))
        assert main(["notebooks", "copy", str(folder("notebooks"))]) == 1

    def test_damaged_record(self, sources, tmp_path):
        (tmp_path / ".cryokit").mkdir()
        (tmp_path / ".cryokit" / "copied.json").write_text("[]", encoding="utf-8")
        with pytest.raises(NotebookError, match=r"copied\.json"):
            lesson_copies.copy(tmp_path)


def saved_in_jupyterlab(words, root, path):
    """Change a cell of a notebook as JupyterLab does that was started with these words, and save it."""
    settings = [word for word in words if word.startswith("--JupytextConfiguration.")]
    config = KVArgParseConfigLoader(settings, classes=[JupytextConfiguration]).load_config()
    manager = jupytext.TextFileContentsManager(config=config, root_dir=str(root))
    model = manager.get(path)
    model["content"]["cells"][-1]["source"] = "changed = True"
    manager.save(model, path)


class TestSaving:
    @pytest.fixture
    def repository(self, tmp_path):
        """A copy of a lesson, its source, and the settings at the top of the repository."""
        top = folder("notebooks").parent
        (tmp_path / "notebooks").mkdir()
        for name in (
            "pyproject.toml",
            "notebooks/00_micrographs_and_picks.py",
            "notebooks/00_micrographs_and_picks.ipynb",
        ):
            shutil.copy(top / name, tmp_path / name)
        return tmp_path

    @pytest.mark.parametrize("root", [".", "notebooks"])
    def test_readers_leave_the_source_as_it_is(self, repository, root):
        source = repository / "notebooks" / "00_micrographs_and_picks.py"
        before = source.read_bytes()
        path = source.with_suffix(".ipynb").relative_to(repository / root).as_posix()
        saved_in_jupyterlab(lesson_copies.lab_command(repository / root), repository / root, path)
        assert "changed = True" in source.with_suffix(".ipynb").read_text(encoding="utf-8")
        assert source.read_bytes() == before

    def test_authors_write_the_source(self, repository):
        source = repository / "notebooks" / "00_micrographs_and_picks.py"
        tagged = source.read_text(encoding="utf-8").count('tags=["parameters"]')
        words = lesson_copies.lab_command(repository, author=True)
        saved_in_jupyterlab(words, repository, "notebooks/00_micrographs_and_picks.ipynb")
        text = source.read_text(encoding="utf-8")
        assert text.endswith("changed = True\n")
        assert text.count('tags=["parameters"]') == tagged == 1
        assert text.startswith("# %% [markdown]\n"), "metadata of the notebook do not belong into the source"


@pytest.mark.slow
def test_lab_opens_copies(tmp_path):
    """`cryokit notebooks lab` in a real JupyterLab: the start page, each lesson once, and a copy that is saved."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "cryokit", "notebooks", "lab", "--dir", str(tmp_path / "work"), "--"]
    words += ["--no-browser", f"--port={port}", "--IdentityProvider.token=word"]
    settings = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    sources = {path: path.read_bytes() for path in folder("notebooks").glob("*.*")}

    def ask(path, data=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"Authorization": "token word"})
        if data is not None:
            request.data, request.method = json.dumps(data).encode(), "PUT"
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.url, answer.read()

    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(words, cwd=tmp_path, env=os.environ | settings, stdout=log, stderr=log)
        try:
            while server.poll() is None:
                try:
                    ask("api")
                    break
                except OSError:
                    time.sleep(0.5)
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert ask("")[0].partition("?")[0].endswith("/lab/tree/Start.ipynb")
            listed = [entry["name"] for entry in json.loads(ask("api/contents/")[1])["content"]]
            numbered = sorted(name for name in listed if name[0].isdigit())
            assert numbered == [f"{name}.ipynb" for name in notebook_runner.available()]
            model = json.loads(ask(f"api/contents/{numbered[0]}")[1])
            model["content"]["cells"][-1]["source"] = "changed"
            ask(f"api/contents/{numbered[0]}", {"type": "notebook", "content": model["content"]})
        finally:
            server.terminate()
            server.wait(60)
    assert code(tmp_path / "work" / numbered[0]) == "changed"
    assert {path: path.read_bytes() for path in folder("notebooks").glob("*.*")} == sources
