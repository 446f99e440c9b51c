"""Cells and their datasets: memory, views, thresholds, and what makes a cell another one."""

import shutil
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
from small_benchmark import SIMULATED, benchmark

from cryokit import coordinates
from cryokit.benchmark import cells, result_file
from cryokit.benchmark import run as run_module
from cryokit.benchmark.prepared_sets import prepare
from cryokit.coordinates import table
from cryokit.datasets import load
from cryokit.errors import BenchmarkError
from cryokit.evaluate import evaluate
from cryokit.micrograph import read, write_mrc
from cryokit.pickers import Picker, registry


def test_memory_is_the_process_s_own_not_of_the_one_that_started_it():
    code = "from cryokit.benchmark.cells import peak_memory; print(peak_memory())"
    held = np.ones(400 << 17)  # 400 MB, touched
    alone = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 10 < alone < 300 < held.nbytes / 2**20
    assert cells.peak_memory() > 400


@pytest.mark.parametrize(
    ("called", "share"), [(["top", "side", "side"], 2 / 3), (["", "", ""], None), (["x"] * 3, None)]
)
def test_views_that_are_named_right(called, share):
    labels = table("m", [100, 300, 500], [100, 100, 100], diameter=80, view=["top", "side", "top"])
    picks = table("m", [100, 300, 500, 700], [100, 100, 100, 100], 0.9, 80, [*called, "top"])
    found = cells._named_right(evaluate(picks, labels, bootstrap=0), {"top", "side"})
    assert found == (None if share is None else pytest.approx(share))


def test_labels_of_your_own_for_simulated_micrographs_are_refused(small_run, tmp_path):
    with pytest.raises(BenchmarkError, match="sim"):
        prepare(benchmark().datasets[0], small_run[0], labels_from={"sim": str(tmp_path)})


def test_methods_are_given_the_diameter_of_what_they_learn_from(small_run, tmp_path):
    prepared = prepare(benchmark().datasets[0], small_run[0])
    labels = prepared.labels
    learned = labels["micrograph"].str.contains("train|validation")
    assert prepared.diameter == labels.loc[learned, "diameter"].median()
    alone = benchmark(datasets=[{"name": "alone", "simulate": {**SIMULATED, "train": 0, "validation": 0}}])
    alone = prepare(alone.datasets[0], tmp_path)
    assert alone.diameter == alone.labels["diameter"].median()
    assert len(alone.info["note"]) > len(prepared.info["note"])


class Pretender(Picker):
    """Picks two places of every micrograph."""

    name = "pretender"
    seen: ClassVar[dict] = {}
    score: ClassVar[float] = 0.8
    unable: ClassVar[tuple[str, ...]] = ()  # endings of the names of micrographs that it fails on

    def __init__(self, validation: float = 0.2) -> None:
        self.validation = validation

    def fit(self, micrographs, labels=None):
        self.seen |= {"validation": self.validation, "labels": labels is not None}
        self.threshold_ = 0.5
        return self

    def pick(self, micrograph, *, threshold=None):
        if micrograph.name.endswith(self.unable):
            raise ValueError("never seen the like")
        return table(micrograph.name, [100.0, 300.0], [100.0, 300.0], self.score, 40)


@pytest.fixture
def pretended(copied_run, monkeypatch):
    """Return a function that runs a cell of `Pretender` in this process."""
    monkeypatch.setitem(registry._registered, "pretender", Pretender)
    prepared = prepare(benchmark().datasets[0], copied_run)

    def cell(labels, score=0.8, without=(), unable=()):
        monkeypatch.setattr(Pretender, "score", score)
        monkeypatch.setattr(Pretender, "unable", unable)
        paths = {name: [] if name in without else list(map(str, paths)) for name, paths in prepared.paths.items()}
        return cells.run(cells.Job("pretender", "sim", 0, "pretender", {}, labels, None, paths, str(copied_run)))

    return cell


def test_picks_without_scores_all_count(pretended):
    found = pretended(False, score=np.nan)
    assert found["status"] == "done"
    assert found["threshold"] is None
    assert found["own"] == {}
    assert found["scores"]["tp"] + found["scores"]["fp"] <= 4  # two picks on each of two micrographs


def test_methods_with_labels_learn_from_all_of_them_and_choose_no_threshold(pretended):
    found = pretended(True)
    assert Pretender.seen == {"validation": 0.0, "labels": True}
    assert found["own_threshold"] is None
    assert found["own"] == {}
    # Without labelled micrographs for the threshold, and without labels, a method does as it does by itself.
    for labels, without in ((True, ("validation",)), (False, ())):
        found = pretended(labels, without=without)
        assert Pretender.seen == {"validation": 0.2, "labels": labels}
        assert found["own_threshold"] == 0.5


def test_a_micrograph_that_a_method_cannot_pick_counts_as_one_without_picks(pretended):
    able = pretended(False)
    found = pretended(False, unable=("test_002", "validation_001"))
    first, second = found["per_micrograph"]
    assert first == able["per_micrograph"][0]
    assert second["tp"] == second["fp"] == 0
    assert second["fn"] == second["particles"] == able["per_micrograph"][1]["particles"]
    assert found["scores"]["fn"] == able["scores"]["fn"] + able["per_micrograph"][1]["tp"]
    assert [(one["micrograph"], one["what"]) for one in found["unpicked"]] == [
        ("apoferritin_validation_001", result_file.NOT_PICKED),
        ("apoferritin_test_002", result_file.NOT_PICKED),
    ]
    assert able["unpicked"] == []


def test_a_method_that_fails_on_every_test_micrograph_has_failed(pretended):
    with pytest.raises(ValueError, match="the like"):
        pretended(False, unable=("001", "002"))


def test_micrographs_that_a_method_cannot_be_fitted_with_are_left_out_and_listed(pretended, copied_run, monkeypatch):
    def fit(self, micrographs, labels=None):
        self.seen["fitted"] = [micrograph.name for micrograph in micrographs]
        return self

    monkeypatch.setattr(Pretender, "fit", fit)
    write_mrc(copied_run / "data" / "sim" / "apoferritin_train_001.mrc", np.ones((512, 512), np.float32))
    found = pretended(False)
    assert Pretender.seen["fitted"] == ["apoferritin_train_002"]
    (problem,) = found["unpicked"]
    assert (problem["micrograph"], problem["what"]) == ("apoferritin_train_001", result_file.NOT_LEARNED)
    assert str(copied_run) not in problem["error"]


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return a folder of datasets with one, "mine": three micrographs with labels that say nothing of diameters."""
    root = tmp_path_factory.mktemp("real")
    rng = np.random.default_rng(3)
    for name in ("a", "b", "c"):
        (root / "mine" / "micrographs").mkdir(parents=True, exist_ok=True)
        write_mrc(root / "mine" / "micrographs" / f"{name}.mrc", rng.normal(size=(64, 64)).astype(np.float32))
        labels = table(name, [20.0, 40.0], [20.0, 40.0])
        coordinates.write_folder(labels, root / "mine" / "labels", "topaz", micrographs=[name])
    return root


def mine(**content):
    return benchmark(datasets=[{"name": "mine", "splits": {"train": ["a"], "test": ["b", "c"]}, **content}]).datasets[0]


def test_labels_that_do_not_say_how_wide_particles_are(real, tmp_path):
    with pytest.raises(BenchmarkError, match=r"mine.*diameter"):
        prepare(mine(), tmp_path, sources=[real])
    prepared = prepare(mine(diameter=16), tmp_path, sources=[real])
    assert prepared.diameter == 16
    assert (prepared.labels["diameter"] == 16).all()


def test_micrographs_that_no_method_can_use_are_left_out_for_all(real, tmp_path):
    shutil.copytree(real / "mine", tmp_path / "mine")
    noise = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    useless = {
        "tiny": noise[:16, :16],
        "row": noise[:1],
        "constant": np.full((64, 64), 3, np.float32),
        "huge": noise * np.float32(1e36),
    }
    for name, data in useless.items():
        write_mrc(tmp_path / "mine" / "micrographs" / f"{name}.mrc", data)
        labels = table(name, [5.0], [0.0])
        coordinates.write_folder(labels, tmp_path / "mine" / "labels", "topaz", micrographs=[name])
    splits = {"train": ["a", "tiny"], "test": ["b", "row", "c", "constant", "huge"]}
    prepared = prepare(mine(diameter=16, splits=splits), tmp_path / "run", sources=[tmp_path])
    assert set(prepared.info["left_out"]) == set(useless)
    assert all(name in reason and str(tmp_path) not in reason for name, reason in prepared.info["left_out"].items())
    # What is left is the comparison without them.
    without = prepare(mine(diameter=16), tmp_path / "run", sources=[real])
    assert without.info["left_out"] == {}
    assert prepared.info["micrographs"] == without.info["micrographs"]
    assert prepared.info["fingerprint"] == without.info["fingerprint"]
    assert prepared.labels.equals(without.labels)


def test_nothing_is_compared_where_no_test_micrograph_can_be_used(real, tmp_path):
    shutil.copytree(real / "mine", tmp_path / "mine")
    for name in ("b", "c"):
        write_mrc(tmp_path / "mine" / "micrographs" / f"{name}.mrc", np.zeros((64, 64), np.float32))
    with pytest.raises(BenchmarkError, match=r"b: every pixel.*c: every pixel"):
        prepare(mine(diameter=16), tmp_path / "run", sources=[tmp_path])


def test_labels_of_your_own_under_other_names(real, tmp_path):
    labels, _ = coordinates.read_folder(real / "mine" / "labels")
    coordinates.write(labels.assign(micrograph=labels["micrograph"].map("J7_{}_DW".format)), tmp_path / "all.csv")
    own = {"mine": str(tmp_path / "all.csv")}
    with pytest.raises(BenchmarkError, match="none of its test micrographs"):
        prepare(mine(diameter=16), tmp_path, sources=[real], labels_from=own)
    reading = {"prefixes": ["J[0-9]_"], "endings": ["_DW"]}
    prepared = prepare(mine(diameter=16), tmp_path, sources=[real], labels_from=own, labels_reading=reading)
    assert prepared.labels[["micrograph", "x", "y"]].equals(labels[["micrograph", "x", "y"]])


def test_labels_that_are_boxes_are_suspected(tmp_path, caplog):
    # The manifest of KLH has its own diameter; a box is wider.
    usual = load("klh").manifest.diameter_pixels
    names = [file.micrograph for file in load("klh").manifest.select("micrograph") if file.split == "test"][:2]
    for name in names:
        (tmp_path / "klh" / "micrographs").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).normal(size=(600, 600))
        write_mrc(tmp_path / "klh" / "micrographs" / f"{name}.mrc", noise.astype(np.float32))
        boxes = table(name, [300.0], [300.0], diameter=1.7 * usual)
        coordinates.write_folder(boxes, tmp_path / "klh" / "labels", "box", micrographs=[name])
    spec = benchmark(datasets=["klh"]).datasets[0]
    prepared = prepare(spec, tmp_path / "run", sources=[tmp_path])
    assert prepared.diameter == pytest.approx(1.7 * usual, abs=1)
    assert f"--diameter klh={usual:g}" in caplog.text
    caplog.clear()
    spec = benchmark(datasets=[{"name": "klh", "diameter": usual}]).datasets[0]
    assert prepare(spec, tmp_path / "run", sources=[tmp_path]).diameter == usual
    assert not caplog.text


def test_micrographs_of_the_splits_that_are_not_there_are_told(real, tmp_path, caplog):
    content = mine(diameter=16, splits={"train": ["a"], "validation": ["typo"], "test": ["b"]})
    prepared = prepare(content, tmp_path, sources=[real])
    assert "typo" in prepared.info["note"]
    assert "typo" in caplog.text


def test_fresh_simulates_afresh(copied_run):
    spec = benchmark().datasets[0]
    first = prepare(spec, copied_run)
    (path,) = first.paths["validation"]
    right = path.read_bytes()
    path.write_bytes(right[:2000] + right[1000:2000] + right[3000:])
    assert prepare(spec, copied_run).info["fingerprint"] != first.info["fingerprint"]
    assert prepare(spec, copied_run, fresh=True).info["fingerprint"] == first.info["fingerprint"]
    assert path.read_bytes()[1024:] == right[1024:]  # the header has a time


def test_other_conditions_make_other_micrographs(small_run, copied_run):
    first = prepare(benchmark().datasets[0], small_run[0])
    noisier = benchmark(datasets=[{"name": "sim", "simulate": {**SIMULATED, "snr": 0.05}}])
    other = prepare(noisier.datasets[0], copied_run)
    assert other.info["fingerprint"] != first.info["fingerprint"]
    assert not np.array_equal(read(other.paths["test"][0]).data, read(first.paths["test"][0]).data)


def test_more_training_micrographs_leave_the_others_as_they_are(small_run, tmp_path):
    more = benchmark(datasets=[{"name": "sim", "simulate": {**SIMULATED, "train": 3}}])
    other = prepare(more.datasets[0], tmp_path)
    for split in ("validation", "test"):
        for path in other.paths[split]:
            assert path.read_bytes() == (small_run[0] / "data" / "sim" / path.name).read_bytes()


def test_proteins_to_learn_from_are_others_than_the_tested(tmp_path):
    new = {
        "name": "new",
        "simulate": {"protein": "ribosome", "test": 1, "train": 5, "shape": [512, 512], "diameter": 40},
        "train_on": [{"protein": "apoferritin", "train": 1, "validation": 1, "shape": [512, 512], "diameter": 40}],
    }
    prepared = prepare(benchmark(datasets=[new]).datasets[0], tmp_path)
    assert {split: len(paths) for split, paths in prepared.paths.items()} == {"train": 1, "validation": 1, "test": 1}
    assert prepared.paths["train"][0].name.startswith("apoferritin")
    # The magnification is such that both have the same diameter.
    medians = prepared.labels.groupby("micrograph")["diameter"].median()
    assert medians.to_numpy() == pytest.approx(40, abs=0.5)


def test_what_makes_a_cell_another_one(tmp_path, monkeypatch):
    (tmp_path / "weights").write_text("first")
    paths = {"train": [], "validation": [], "test": ["a.mrc"]}

    def key(settings=None, picker="cryolo"):
        job = cells.Job("m", "d", 0, picker, settings or {}, False, 20.0, paths, "folder")
        return run_module._key(job, "fingerprint")

    keys = [key(), key({"weights": str(tmp_path / "weights")})]
    (tmp_path / "weights").write_text("second")
    keys.append(key({"weights": str(tmp_path / "weights")}))
    monkeypatch.setenv("CRYOKIT_CRYOLO", "elsewhere")
    keys.append(key())
    monkeypatch.setenv("CRYOKIT_PRECISION", "mixed_float16")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    # A method that runs no program does not depend on where one is.
    before = key(picker="template")
    monkeypatch.setenv("CRYOKIT_CRYOLO", "here")
    assert key(picker="template") == before


def test_picks_that_a_list_of_files_leads_to_are_looked_at(tmp_path):
    job = tmp_path / "AutoPick" / "job002"
    (job / "Movies").mkdir(parents=True)
    listed = "data_coordinate_files\n\nloop_\n_rlnMicrographName #1\n_rlnMicrographCoordinates #2\n"
    (job / "autopick.star").write_text(listed + "Movies/m.mrc AutoPick/job002/Movies/m_autopick.star\n")
    picks = table("m", [10.0, 20.0], [10.0, 20.0], 0.5)
    digests = []
    for number in (1, 2):
        coordinates.write(picks[:number], job / "Movies" / "m_autopick.star", "star", joined=False)
        digests.append(run_module._digest({"path": str(job)}))
    assert digests[0] != digests[1]
    assert "m_autopick" not in digests[0]  # a digest, not an error


def test_dirty_and_empty_micrographs_with_their_masks(tmp_path):
    dirty = {**SIMULATED, "train": 1, "validation": 1, "test": 4, "empty": 0.5, "beads": 200, "borders": 1}
    prepared = prepare(benchmark(datasets=[{"name": "dirty", "simulate": dirty}]).datasets[0], tmp_path)
    counts = prepared.labels["micrograph"].value_counts()
    names = prepared.info["micrographs"]["test"]
    # Every second one, of those that methods learn from, too: the first of a single one is not empty.
    assert [counts.get(name, 0) > 0 for name in names] == [True, False, True, False]
    assert len(prepared.paths["test"]) == 4
    for path in prepared.paths["test"]:
        mask = read(path.parent / "masks" / path.name).data
        assert mask.shape == read(path).data.shape
        assert 0 < mask.mean() < 0.9
        # What the mask hides is not counted.
        own = prepared.labels[(prepared.labels["micrograph"] == path.stem) & (prepared.labels["view"] != "ignore")]
        assert not mask[own["y"].round().astype(int).clip(0, 511), own["x"].round().astype(int).clip(0, 511)].any()


def test_clean_micrographs_have_no_masks(small_run):
    assert not list((small_run[0] / "data").rglob("masks"))
