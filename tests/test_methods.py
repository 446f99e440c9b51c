"""The registry of methods: every combination that it allows, by the command line; and pickers of one's own."""

import json
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_pickers import TINY

from cryokit import coordinates, pickers
from cryokit.cli import main
from cryokit.coordinates import concatenate
from cryokit.errors import ArgumentError, ArgumentTypeError, PickerError
from cryokit.imaging.framed_files import read_framed
from cryokit.micrograph import read, write_mrc
from cryokit.pickers import Picker, auto, compact_picking, deeppicker, registry, size_search

SETTINGS = {
    **TINY,
    "auto": dict(steps=2),
    "deepcryopicker": dict(width=0.02, per_class=24, epochs=1, stride=32),
    "relion_template": dict(particles=20, step=30),
    "deeppicker": TINY["deeppicker"] | dict(pretrain=True, rounds=1),
}
QUICK = {("deepem", True), ("relion_template", True)}  # of the methods that train, those in `make test`


def combination(method, labels):
    """A method, with labels or without; slow if it trains a network."""
    trains = method.name in SETTINGS and (method.with_labels if labels else method.without_labels)
    marks = [pytest.mark.slow] if trains and (method.name, labels) not in QUICK else []
    return pytest.param(method, labels, id=f"{method.name}-{'labels' if labels else 'alone'}", marks=marks)


COMBINATIONS = [
    combination(method, labels) for method in registry.built_in() if not method.external for labels in (False, True)
]

# A blob detector: all that a method of one's own has to be.
BLOBS = '''
import numpy as np
from scipy import ndimage
from cryokit.coordinates import table
from cryokit.pickers import Picker


class Blobs(Picker):
    """Dark blobs of the particle's size: maxima of the Laplacian of Gaussian."""

    title = "Blobs"

    def __init__(self, diameter=50.0):
        self.diameter = diameter

    def pick(self, micrograph, *, threshold=None):
        blobs = ndimage.gaussian_laplace(micrograph.data, self.diameter / 2**1.5)
        blobs = (blobs - np.median(blobs)) / blobs.std()
        peak = (blobs == ndimage.maximum_filter(blobs, int(self.diameter / 2))) & (blobs > 0)
        y, x = np.nonzero(peak)
        picks = table(micrograph.name, x, y, 1 - np.exp(-blobs[peak] / 2), self.diameter)
        least = self.threshold_ if threshold is None else threshold
        return picks[picks["score"] >= least].sort_values("score", ascending=False, ignore_index=True)
'''


@pytest.fixture(scope="module")
def session(tmp_path_factory, ribosomes):
    """A folder of three small micrographs and their labels."""
    folder = tmp_path_factory.mktemp("session")
    for micrograph, truth in ribosomes[:3]:
        write_mrc(folder / "micrographs" / f"{micrograph.name}.mrc", micrograph.data, pixel_size=5.36)
        coordinates.write(truth, folder / "labels" / f"{micrograph.name}.csv", "csv", joined=False)
    return folder


@pytest.fixture
def blobs(tmp_path):
    """The location of a picker of one's own."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "blobs.py").write_text(BLOBS)
    return f"{tmp_path / 'own' / 'blobs.py'}:Blobs"


@pytest.fixture
def small(monkeypatch):
    """Training of the default method, and of DeepPicker on other molecules, in a few steps."""
    for module, name, value in (
        *((auto, "LABEL_STEPS", 1), (auto, "MORE_STEPS", 1)),
        *((size_search, "STEPS", 1), (compact_picking, "CROPS", 16)),
        *((deeppicker, "OTHERS", 3), (deeppicker, "BOXES_EACH", 8)),
    ):
        monkeypatch.setattr(module, name, value)
    deeppicker._other_weights.cache_clear()
    deeppicker._other_molecule.cache_clear()
    yield
    deeppicker._other_weights.cache_clear()
    deeppicker._other_molecule.cache_clear()


def run(*words):
    return main([str(word) for word in words])


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- the registry --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", registry.built_in(), ids=lambda entry: entry.name)
def test_the_registry_and_the_classes_agree(entry):
    cls = pickers.picker_class(entry.name)
    assert entry.location == f"{cls.__module__}:{cls.__qualname__}"
    # What a class says of itself, also whether it makes score maps, is what the registry says.
    assert registry.described(cls) == pickers.method(entry.name) == entry
    assert entry.title
    assert entry.source
    assert entry.without_labels or entry.with_labels
    assert entry.external == hasattr(cls, "program")
    assert registry.saved_name(cls) == entry.name


def test_listing_the_methods_is_light():
    code = (
        "import sys; from cryokit import pickers; assert pickers.available()[0] == 'auto'; "
        "pickers.method('topaz'); assert not {'numpy', 'pandas', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_and_settings_are_told_with_those_there_are():
    with pytest.raises(ArgumentError, match=r"'tempalte'.* template"):
        pickers.create("tempalte")
    with pytest.raises(ArgumentTypeError, match=r"'diametre'.*diameter, contrast, max_micrographs"):
        pickers.create("template", diametre=76)
    with pytest.raises(ValueError, match="diameter"):  # as users of NumPy expect
        pickers.create("template", diameter=-76)
    with pytest.raises(TypeError, match="diameter"):
        pickers.create("template", diameter="76")


# --- every combination, through the command line -------------------------------------------------------------------


@pytest.mark.parametrize(("method", "labels"), COMBINATIONS)
@pytest.mark.usefixtures("small")
def test_what_the_registry_allows_works_and_what_it_does_not_is_refused(method, labels, session, tmp_path, capsys):
    settings = SETTINGS.get(method.name, {}).items()
    settings = [word for name, value in settings for word in ("--set", f"{name}={json.dumps(value)}")]
    options = ["--method", method.name, "--diameter", 50, *settings]
    given = ["--labels", session / "labels"] if labels else []
    status = run("train", session / "micrographs", "--out", tmp_path / "model", *options, *given)
    if not (method.with_labels if labels else method.without_labels):
        assert status == 1
        assert repr(method.name) in capsys.readouterr().err
        assert contents(tmp_path) == []
        return
    assert status == 0
    model = next(tmp_path.glob("model*"))
    maps = ["--save-maps"] if method.score_maps else []
    assert (
        run("pick", session / "micrographs", "--out", tmp_path / "picks", "--model", model, "--threshold", 0, *maps)
        == 0
    )
    picker = pickers.load(model)
    assert picker.name == method.name
    assert picker.settings()["diameter"] == 50
    paths = sorted((session / "micrographs").iterdir())
    expected = concatenate(picker.pick(path, threshold=0) for path in paths)
    picks = pd.read_csv(tmp_path / "picks" / "picks.csv")
    assert len(picks) > 0
    assert picks[["x", "y"]].to_numpy() == pytest.approx(expected[["x", "y"]].to_numpy(), abs=1e-2)
    assert picks[["x", "y"]].to_numpy().min() >= -0.5
    assert picks[["x", "y"]].to_numpy().max() <= 447.5
    written = [name for name in contents(tmp_path / "picks") if name.startswith("maps/")]
    assert written == ([f"maps/{path.stem}.mrc" for path in paths] if method.score_maps else [])
    if method.score_maps:
        scores = read_framed(tmp_path / "picks" / written[0], (448, 448))
        assert 0 <= scores.data.min() < scores.data.max() <= 1
        # The map covers the micrograph.
        frame = picker.score_map(paths[0]).frame
        assert scores.frame == frame
        for (x, y), (low, high) in (
            (frame.to_source(0, 0), (-50, 50)),
            (frame.to_source(*frame.shape[::-1]), (397, 498)),
        ):
            assert low <= x <= high
            assert low <= y <= high
        size = read(tmp_path / "picks" / written[0]).pixel_size
        assert size == pytest.approx(5.36 * frame.step_x, rel=1e-4)


@pytest.mark.parametrize(
    "method", [method for method in registry.built_in() if not method.score_maps], ids=lambda m: m.name
)
def test_methods_without_score_maps_say_so_before_they_work(method, session, tmp_path, capsys):
    settings = ["--set", "weights=network.h5"] if method.name == "cryolo" else []
    options = ["--method", method.name, "--diameter", 50, "--save-maps", *settings]
    assert run("pick", session / "micrographs", "--out", tmp_path, *options) == 1
    assert repr(method.name) in capsys.readouterr().err


# --- a picker of one's own -----------------------------------------------------------------------------------------


def test_twenty_lines_are_a_method_in_pick_and_train(blobs, session, tmp_path, capsys):
    assert len(textwrap.dedent(BLOBS).strip().splitlines()) <= 25
    assert run("pick", session / "micrographs", "--out", tmp_path / "a", "--method", blobs, "--diameter", 50) == 0
    assert (
        run("evaluate", "--picks", tmp_path / "a", "--labels", session / "labels", "--json", tmp_path / "a.json") == 0
    )
    (scores,) = json.loads((tmp_path / "a.json").read_text()).values()
    assert scores["f1"] > 0.5
    options = ["--method", blobs, "--diameter", 50]
    assert run("train", session / "micrographs", "--out", tmp_path / "model", *options) == 0
    # A saved picker that names a file may be somebody else's.
    again = ["pick", session / "micrographs", "--out", tmp_path / "b", "--model", tmp_path / "model.npz"]
    capsys.readouterr()
    assert run(*again) == 1
    told = capsys.readouterr().err
    assert "model.npz" in told
    assert blobs in told
    assert "--trust" in told
    assert run(*again, "--trust", "--jobs", 2) == 0
    assert (tmp_path / "a" / "picks.csv").read_bytes() == (tmp_path / "b" / "picks.csv").read_bytes()
    # It neither learns from labels nor makes maps.
    assert run("train", session / "micrographs", "--out", tmp_path / "c", *options, "--labels", session / "labels") == 1
    assert "'Blobs' does not learn from labels" in capsys.readouterr().err
    assert run("pick", session / "micrographs", "--out", tmp_path / "d", *options, "--save-maps") == 1
    assert "'Blobs'" in capsys.readouterr().err


def test_the_benchmark_compares_it_like_any_other(blobs, tmp_path, capsys):
    simulated = {"protein": "ribosome", "validation": 1, "test": 1, "seed": 9, "shape": [448, 448]}
    asked = {"name": "own", "methods": ["template"], "datasets": [{"name": "sim", "simulate": simulated}]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(asked))
    command = ["benchmark", "--config", tmp_path / "own.yaml", "--profile", "full", "--out", tmp_path / "run"]
    assert run(*command, "--methods", blobs) == 0
    assert "Blobs" in capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["methods"]["Blobs"] == {
        **{"title": "Blobs", "picker": "blobs.py:Blobs", "settings": {}, "labels": False, "source": ""}
    }
    (cell,) = result["cells"]
    assert cell["status"] == "done"
    assert cell["seconds"]["pick"] > 0
    assert cell["scores"]["f1"] > 0.5
    # A configuration that names it is trusted only if its user says so.
    asked["methods"] = [{"name": "mine", "picker": blobs, "settings": {"diameter": 70}}]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(asked))
    assert run(*command[:-1], tmp_path / "other") == 1
    told = capsys.readouterr().err
    assert blobs in told
    assert "--trust" in told
    assert run(*command[:-1], tmp_path / "other", "--trust") == 0
    result = json.loads((tmp_path / "other" / "result.json").read_text())
    assert result["methods"]["mine"]["settings"] == {"diameter": 70}
    assert {cell["status"] for cell in result["cells"]} == {"done"}


def test_modules_entry_points_and_registered_classes(tmp_path, session, monkeypatch):
    (tmp_path / "blob_package").mkdir()
    (tmp_path / "blob_package" / "__init__.py").write_text(BLOBS)
    information = tmp_path / "blob_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: blob-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[cryokit.pickers]\nannounced = blob_package:Blobs\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_registered", {})
    registry._announced.cache_clear()
    monkeypatch.delitem(sys.modules, "blob_package", raising=False)
    assert "announced" in pickers.available()
    by_module, announced = pickers.picker_class("blob_package:Blobs"), pickers.picker_class("announced")
    assert by_module is announced
    path = sorted((session / "micrographs").iterdir())[0]
    picks = pickers.create("announced", diameter=50).pick(read(path))

    @pickers.register
    class Lower(announced):
        name = "lower"
        threshold_ = 0.3

    assert pickers.available()[-2:] == ("announced", "lower")
    assert pickers.method("lower").title == "lower"
    picker = pickers.create("lower", diameter=50)
    assert len(picker.pick(read(path))) > len(picks)
    # By its name a saved picker needs no trust: it is what was registered here.
    saved = picker.save(tmp_path / "lower")
    assert type(pickers.load(saved)) is Lower
    monkeypatch.setattr(registry, "_registered", {})
    with pytest.raises(ArgumentError, match="'lower'"):
        pickers.load(saved)
    registry._announced.cache_clear()


@pytest.mark.parametrize("name", ["auto", "a:b"])
def test_names_that_cannot_be_registered(name):
    cls = type("Own", (Picker,), {"name": name})
    with pytest.raises(ArgumentError, match=name):
        pickers.register(cls)
    with pytest.raises(ArgumentTypeError, match="dict"):
        pickers.register(dict)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1", "derived from Picker"),
        ("class Blobs: pass", "derived from Picker"),
        ("def (", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("1 / 0", "ZeroDivisionError"),
        (None, "blobs.py"),
    ],
)
def test_files_without_a_picker(code, words, tmp_path):
    if code is not None:
        (tmp_path / "blobs.py").write_text(code)
    for _ in range(2):  # what failed is not kept
        with pytest.raises(PickerError, match=words):
            pickers.picker_class(f"{tmp_path / 'blobs.py'}:Blobs")


def test_a_file_may_register_its_picker_and_is_still_found_again(blobs, session, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    path = blobs.rpartition(":")[0]
    with open(path, "a") as file:
        file.write("\n\nfrom cryokit.pickers import register\n\nregister(Blobs)\n")
    options = ["--method", blobs, "--diameter", 50, "--save-model", tmp_path / "model.npz", "--jobs", 2]
    assert run("pick", session / "micrographs", "--out", tmp_path / "a", *options) == 0
    assert "Blobs" in pickers.available()
    monkeypatch.setattr(registry, "_registered", {})
    assert pickers.load(tmp_path / "model.npz", trust=True).diameter == 50


def test_a_file_that_was_edited_is_read_again(blobs):
    path = blobs.rpartition(":")[0]
    assert pickers.create(blobs).diameter == 50
    with open(path, "a") as file:
        file.write("\n\nclass Larger(Blobs):\n    threshold_ = 0.9\n")
    assert pickers.create(f"{path}:Larger").threshold_ == 0.9


# --- what is saved -------------------------------------------------------------------------------------------------


class Learner(Picker):
    """Learns an array, a number and something that is of use after `fit` only."""

    learned_in = "mean_"
    transient = ("all_",)

    def __init__(self, power=2, *, exact=False):
        self.power = power
        self.exact = exact

    def fit(self, micrographs, labels=None):
        self.all_ = [micrograph.data for micrograph in micrographs]
        self.mean_ = np.mean(self.all_, axis=0) ** self.power
        self.count_ = len(self.all_)
        self._decide(f"{self.count_} micrographs")
        return self

    def pick(self, micrograph, *, threshold=None):
        self._require_fitted()
        raise NotImplementedError


def test_settings_arrays_and_values_are_saved_by_default(micrographs, tmp_path):
    picker = Learner(3, exact=True).fit(micrographs[:2])
    path = picker.save(tmp_path / "new" / "my.picker")
    assert path == tmp_path / "new" / "my.picker.npz"
    again = Learner.load(path)
    assert (again.settings(), again.count_, again.decisions_) == ({"power": 3, "exact": True}, 2, ["2 micrographs"])
    assert again.mean_.dtype == np.float32
    np.testing.assert_array_equal(again.mean_, picker.mean_)
    assert not hasattr(again, "all_")
    with pytest.raises(PickerError, match="Learner"):
        pickers.load(path)  # names this module: not without trust
    assert type(pickers.load(path, trust=True)) is Learner
    # Nor are training sets sent to other processes.
    assert pickle.loads(pickle.dumps(picker)).all_ is None
    assert len(picker.all_) == 2


def test_what_cannot_be_saved_is_named(micrographs, tmp_path):
    picker = Learner()
    with pytest.raises(PickerError, match="'Learner' has not been fitted"):
        picker.save(tmp_path / "a")
    picker.fit(micrographs[:1])
    for value in (object(), np.array([None, 1])):
        picker.mean_ = value
        with pytest.raises(PickerError, match="mean_"):
            picker.save(tmp_path / "a")
    assert contents(tmp_path) == []


def test_a_picker_of_another_class_is_refused(micrographs, tmp_path):
    path = Learner().fit(micrographs[:1]).save(tmp_path / "learner")
    with pytest.raises(PickerError, match=r"learner\.npz"):
        pickers.picker_class("template").load(path)
