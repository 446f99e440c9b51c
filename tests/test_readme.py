"""The README files: their commands exist, their links lead somewhere, and the picker of 20 lines picks."""

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from cryokit import coordinates
from cryokit.cli import COMMANDS, main
from cryokit.evaluate import evaluate
from cryokit.micrograph import write_mrc
from cryokit.simulate import simulate

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MAP = (REPOSITORY / "cryokit" / "README.md").read_text(encoding="utf-8")
PAGE = (REPOSITORY / "cryokit" / "cli" / "many_machines.md").read_text(encoding="utf-8")
# Without what the shell does with the output.
COMMAND_LINES = re.findall(r"^cryokit [^>\n]*", f"{README}\n{PAGE}", re.MULTILINE)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_command_is_valid(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("picks", "CBOX"):  # some options are checked while they are parsed
        (tmp_path / folder).mkdir()
    words = shlex.split(line, comments=True)[1:]
    module = importlib.import_module(COMMANDS[words[0]][0])
    monkeypatch.setattr(module, "run", lambda options: 0)
    assert main(words) == 0


@pytest.mark.parametrize(
    ("text", "folder"),
    [(README, REPOSITORY), (MAP, REPOSITORY / "cryokit"), (PAGE, REPOSITORY / "cryokit" / "cli")],
    ids=["README", "cryokit/README", "many_machines"],
)
def test_links_and_paths_exist(text, folder):
    paths = re.findall(r"\]\(([^):]+)\)", text)
    paths += [f"../{path}" if folder != REPOSITORY else path for path in re.findall(r"`(benchmarks/[\w/.]+)`", text)]
    assert paths
    assert [path for path in paths if not (folder / path).exists()] == []


def test_map_names_every_folder_and_only_existing_modules():
    folders = {path.parent.name for path in (REPOSITORY / "cryokit").glob("*/__init__.py")}
    assert folders <= set(re.findall(r"`(\w+)/`", MAP))
    modules = re.findall(r"`([\w/]+\.py)`", MAP)
    assert modules
    places = REPOSITORY / "cryokit", REPOSITORY
    assert [module for module in modules if not any((place / module).is_file() for place in places)] == []


def test_map_names_existing_functions():
    names = re.findall(r"`(cryokit(?:\.\w+)+)(?:\(.*?\))?`", MAP)
    assert names
    for name in names:
        parts = name.split(".")
        thing = importlib.import_module("cryokit")
        for depth, part in enumerate(parts[1:], start=2):
            if not hasattr(thing, part):
                importlib.import_module(".".join(parts[:depth]))
            thing = getattr(thing, part)


def test_own_picker_picks(tmp_path, monkeypatch):
    (source,) = (
        block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "class BlobPicker" in block
    )
    assert len(source.splitlines()) <= 20
    monkeypatch.chdir(tmp_path)
    Path("my_picker.py").write_text(source, encoding="utf-8")
    micrograph, truth = simulate("ribosome", shape=(1024, 1024), seed=3, name="ribosome")
    write_mrc("ribosome.mrc", micrograph.data, pixel_size=micrograph.pixel_size)
    words = ["pick", "ribosome.mrc", "--out", "picks", "--method", "my_picker.py:BlobPicker", "--diameter", "50"]
    assert main([*words, "--save-model", "blobs.npz"]) == 0
    picks, _ = coordinates.read_folder("picks", format="star")
    assert evaluate(picks, truth, micrographs=["ribosome"], bootstrap=0).f1 > 0.85
    # Saved and loaded it picks the same.
    assert main(["pick", "ribosome.mrc", "--out", "again", "--model", "blobs.npz", "--trust"]) == 0
    again, _ = coordinates.read_folder("again", format="star")
    np.testing.assert_array_equal(picks[["x", "y"]], again[["x", "y"]])
