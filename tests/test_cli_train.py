"""``cryokit train``: what it saves, and what it refuses; and picking with what it saved."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cryokit import coordinates, pickers
from cryokit.cli import main
from cryokit.coordinates import concatenate
from cryokit.imaging.framed_files import read_framed
from cryokit.micrograph import read, write_mrc
from cryokit.simulate import simulate_set

DEEP = ("--method", "deepcryopicker", "--set", "width=0.02", "--set", "per_class=24", "--set", "epochs=1")
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A folder of three small micrographs, and labels of two of them."""
    folder = tmp_path_factory.mktemp("session")
    for index, (micrograph, truth) in enumerate(simulate_set("ribosome", 3, shape=(400, 420), seed=3)):
        write_mrc(folder / "micrographs" / f"{micrograph.name}.mrc", micrograph.data, pixel_size=5.36)
        if index < 2:
            coordinates.write(truth, folder / "labels" / f"{micrograph.name}.csv", "csv", joined=False)
    return folder


@pytest.fixture(scope="module")
def trained(session):
    """A model that the command trained from the labels."""
    arguments = [session / "micrographs", "--out", session / "model", *DEEP, "--set", "stride=32"]
    assert train(*arguments, "--labels", session / "labels", "--seed", 4) == 0
    return session / "model"


def run(command, *arguments):
    return main([command, *map(str, arguments)])


def train(*arguments):
    return run("train", *arguments)


def test_model_of_labels_picks_what_the_picker_picks(session, trained, tmp_path):
    header = json.loads((trained / "model.json").read_text())
    assert header["method"] == "deepcryopicker"
    assert header["settings"]["seed"] == 4
    assert header["settings"]["width"] == 0.02
    assert "2 micrographs (left out, without labels: 1), 50 pixels" in header["learned"]["decisions_"][0]
    options = ["--model", trained, "--save-maps", "--threshold", 0]
    assert run("pick", session / "micrographs", "--out", tmp_path, *options) == 0
    picks = pd.read_csv(tmp_path / "picks.csv")
    paths = sorted((session / "micrographs").iterdir())
    expected = concatenate(pickers.load(trained).pick(path, threshold=0) for path in paths)
    assert picks["x"].to_numpy() == pytest.approx(expected["x"].to_numpy(), abs=1e-3)
    assert len(expected) > 10
    scores = read_framed(tmp_path / "maps" / f"{paths[0].stem}.mrc", read(paths[0]).data.shape)
    expected = pickers.load(trained).score_map(paths[0])
    assert scores.frame == expected.frame
    assert scores.data == pytest.approx(expected.particle, abs=1e-3)


@pytest.mark.slow
def test_processes_load_a_copy_of_the_network_each(session, trained, tmp_path):
    options = ["--model", trained, "--threshold", 0, "--jobs", 2]
    assert run("pick", session / "micrographs", "--out", tmp_path, *options) == 0
    paths = sorted((session / "micrographs").iterdir())
    expected = concatenate(pickers.load(trained).pick(path, threshold=0) for path in paths)
    picks = pd.read_csv(tmp_path / "picks.csv")
    assert picks["micrograph"].tolist() == expected["micrograph"].tolist()
    # Another number of threads adds up in another order.
    columns = ["x", "y", "score"]
    assert picks[columns].to_numpy() == pytest.approx(expected[columns].to_numpy(), abs=1e-2)


def test_without_labels_and_a_method_without_a_network(session, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert (
        train(session / "micrographs", "--out", tmp_path / "new" / "m", "--method", "template", "--diameter", 50) == 0
    )
    assert "50.0 pixels across (given)" in caplog.text
    assert str(tmp_path / "new" / "m.npz") in caplog.text
    assert pickers.load(tmp_path / "new" / "m.npz").diameter_ == 50


def test_an_older_model_is_replaced_and_nothing_else(session, trained, tmp_path, capsys, monkeypatch):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    # Before the work, not after it.
    monkeypatch.setattr("cryokit.pickers.many_files.fit_files", lambda *_, **__: pytest.fail("has begun to work"))
    for name in ("notes", "file"):
        assert train(session / "micrographs", "--out", tmp_path / name, *DEEP, "--labels", session / "labels") == 1
        assert str(tmp_path / name) in capsys.readouterr().err
    monkeypatch.undo()
    assert (tmp_path / "notes" / "a.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    older = shutil.copytree(trained, tmp_path / "older")
    assert json.loads((older / "model.json").read_text())["diameter"] == 50
    options = [*DEEP, "--set", "stride=32", "--labels", session / "labels", "--diameter", 48]
    assert train(session / "micrographs", "--out", older, *options) == 0
    assert json.loads((older / "model.json").read_text())["diameter"] == 48


def test_a_broken_micrograph_is_told_and_left_out(session, tmp_path, caplog):
    folder = tmp_path / "micrographs"
    folder.mkdir()
    for path in (session / "micrographs").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "ribosome_009.mrc").write_text("no micrograph")
    assert train(folder, "--out", tmp_path / "m", "--method", "template", "--diameter", 50) == 1
    assert "left out" in caplog.text
    assert "ribosome_009.mrc" in caplog.text
    assert (tmp_path / "m.npz").exists()


@pytest.fixture
def others(session, tmp_path):
    """Labels that do not fit: of other names, in another frame, of nothing."""
    path = session / "labels" / "ribosome_001.csv"
    labels = coordinates.read(path)
    for name, content, rows in (
        ("names", "elsewhere_001", labels),
        ("frame", "ribosome_001", labels.assign(x=labels["x"] * 4)),
        ("nothing", "ribosome_001", labels.assign(view="ignore")),
    ):
        coordinates.write(rows.assign(micrograph=content), tmp_path / name / f"{content}.csv", "csv", joined=False)
    return tmp_path


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ("names", ["elsewhere_001", "ribosome_001", "--strip"]),
        ("frame", ["ribosome_001", "420 x 400", "--scale"]),
        ("nothing", ["ribosome_001"]),
        ("missing", ["missing"]),
    ],
)
def test_labels_that_do_not_fit_are_refused(session, others, tmp_path, capsys, labels, told):
    assert train(session / "micrographs", "--out", tmp_path / "m", *DEEP, "--labels", others / labels) == 1
    error = capsys.readouterr().err
    assert all(words in error for words in told)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda labels: labels, None),
        (lambda labels: coordinates.flip_y(labels, 400), "cryokit convert --flip-y 400"),
        (lambda labels: coordinates.scale(labels, 1 / 4), "cryokit convert --scale 4"),
        (lambda labels: labels.assign(x=labels["x"] - 25, y=labels["y"] - 25), "cryokit convert --shift 25 25"),
        (lambda labels: labels.iloc[:2], None),
        (lambda labels: labels.assign(x=labels["y"]), None),
    ],
)
def test_labels_in_another_frame_are_told(session, tmp_path, caplog, monkeypatch, change, told):
    monkeypatch.setattr("cryokit.pickers.many_files.fit_files", lambda *_, **__: {})
    monkeypatch.setattr("cryokit.pickers.interface.Picker.save", lambda *_: tmp_path / "m")
    labels, _ = coordinates.read_folder(session / "labels")
    coordinates.write(change(labels), tmp_path / "labels.csv", joined=True)
    words = [session / "micrographs", "--out", tmp_path / "m", "--labels", tmp_path / "labels.csv"]
    assert train(*words, *DEEP) == 0
    messages = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(messages) == (told is not None)
    assert all(told in message for message in messages)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--method", "template", "--labels", "{session}/labels"],
            "'template' does not learn from labels; these do: auto",
        ),
        (["--method", "deepem"], "'deepem' learns from labels; give them with --labels"),
        (["--method", "template", "--pretrained"], "diameter, contrast, max_micrographs"),
        (["--method", "deepcryopicker", "--set", "widht=1"], "widht"),
        (["--method", "deepcryopicker", "--set", "stride=5"], "stride must be 1, 2, 4, 8, 16 or 32, not 5"),
    ],
)
def test_mistakes_end_with_one_line(session, tmp_path, capsys, arguments, told):
    arguments = [word.format(session=session) for word in arguments]
    assert train(session / "micrographs", "--out", tmp_path / "m", *arguments) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


@pytest.mark.parametrize("command", ["train", "pick"])
def test_help_is_light(command):
    code = (
        "import sys\n"
        "from cryokit.cli import main\n"
        "try: main([sys.argv[1], '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'numpy', 'pandas', 'keras', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, command], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--pretrained" in done.stdout
