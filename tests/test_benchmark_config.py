"""Benchmarks as YAML, and the rows of methods."""

import pytest

from cryokit.benchmark import config
from cryokit.benchmark.errors import BenchmarkError
from cryokit.benchmark.methods import OWN, PROGRAMS, ROWS, row
from cryokit.pickers import available

BASE = {
    "name": "x",
    "methods": ["auto"],
    "datasets": [{"name": "a", "simulate": {"protein": "klh", "train": 1, "test": 2}}],
}


def test_every_shipped_benchmark_is_valid_in_every_profile():
    assert {"quick", "full", "real", "klh", "classes", "unseen", "sweep"} <= set(config.available())
    for name in config.available():
        for profile in (None, *config.PROFILES):
            read = config.read(name, profile)
            assert read.methods
            assert read.datasets
            assert read.title


def test_every_picker_is_a_row_and_every_row_a_picker():
    assert {each.picker for each in ROWS.values()} == {*available(), *PROGRAMS}
    assert set(OWN) == {name for name, each in ROWS.items() if each.picker in available()}


def test_the_paper_s_split_of_klh():
    (spec,) = config.read("klh").datasets
    counts = spec.otherwise.simulate.counts
    assert counts["train"] + counts["validation"] == 60
    assert counts["test"] == 20


def test_splits_of_the_real_micrographs_do_not_overlap_and_keep_the_tested_apart():
    for spec in config.read("real").datasets:
        every = [name for names in spec.splits.values() for name in names]
        assert len(every) == len(set(every))
        assert spec.splits["test"]


def test_quick_keys_take_the_place_of_the_others():
    told = {**BASE, "seeds": 3, "quick": {"seeds": 1}}
    assert config.parse(dict(told), "quick").seeds == 1
    assert config.parse(dict(told), "full").seeds == 3


def test_a_sweep_varies_one_thing():
    told = {
        "name": "x",
        "methods": ["all"],
        "sweeps": [
            {"axis": "snr", "values": [0.1, 0.2], "dataset": {**BASE["datasets"][0], "methods": ["auto"]}},
            {"axis": "train", "values": [1, 4], "dataset": BASE["datasets"][0], "methods": ["template"]},
        ],
    }
    read = config.parse(told)
    assert [spec.name for spec in read.datasets] == ["a_snr_0.1", "a_snr_0.2", "a_train_1", "a_train_4"]
    assert [spec.axes for spec in read.datasets] == [{"snr": 0.1}, {"snr": 0.2}, {"train": 1}, {"train": 4}]
    assert read.datasets[0].simulate.settings == {"snr": 0.1}
    assert read.datasets[3].simulate.counts["train"] == 4
    assert [each.name for each in read.rows(read.datasets[0])] == ["auto"]
    assert [each.name for each in read.rows(read.datasets[2])] == ["template"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metods": []}, "unknown key 'metods'"),
        ({"methods": ["deepme"]}, "did you mean deepem"),
        ({"methods": ["auto", "auto"]}, "named twice"),
        ({"methods": []}, "at least one"),
        ({"methods": [{"name": "auto", "wdith": 1}]}, "unknown 'wdith'"),
        ({"methods": [{"name": "auto", "labels": "yes"}]}, "true or false"),
        ({"datasets": []}, "at least one dataset"),
        ({"datasets": [*BASE["datasets"], *BASE["datasets"]]}, "two datasets are called 'a'"),
        ({"datasets": [{"name": "../a"}]}, "no name"),
        ({"datasets": [{"name": "a", "simulate": {"protein": "klx"}}]}, "protein 'klx'"),
        ({"datasets": [{"name": "a", "simulate": {"protein": "klh", "train": -1}}]}, "whole number"),
        ({"datasets": [{"name": "a", "micrographs": "x"}]}, "give both"),
        ({"datasets": [{"name": "a", "splits": {"train": ["m"], "test": ["m"]}}]}, "in two splits"),
        ({"sweeps": [{"axis": "snr", "values": [], "dataset": BASE["datasets"][0]}]}, "a sweep needs"),
        ({"seeds": 0}, "whole number of at least 1"),
        ({"name": ""}, "needs one"),
    ],
)
def test_what_is_wrong_is_told(change, told):
    with pytest.raises(BenchmarkError, match=told):
        config.parse({**BASE, **change})


def test_the_file_is_named(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("name: [")
    with pytest.raises(BenchmarkError, match=r"own\.yaml: is not valid YAML"):
        config.read(path)
    path.write_text("name: x\nmethods: [auto]\ndatasets: [{name: klh}]\n")
    assert config.read(path).datasets[0].name == "klh"
    with pytest.raises(BenchmarkError, match=r"cannot be read"):
        config.read(tmp_path / "none.yaml")
    with pytest.raises(BenchmarkError, match=r"no benchmark is called fast; there are: .*quick"):
        config.read("fast")
    with pytest.raises(BenchmarkError, match=r"profile 'slow'"):
        config.parse(BASE, "slow")


def test_rows_change_known_ones_and_describe_new_ones():
    wide = row({"name": "deepcryopicker", "settings": {"width": 0.25}})
    assert (wide.picker, wide.labels, wide.settings) == ("deepcryopicker", False, {"width": 0.25})
    given = row({"name": "mine", "picker": None, "settings": {"path": "picks"}})
    assert given.picker is None
    assert given.to_dict()["title"] == "mine"
    with pytest.raises(BenchmarkError, match=r"is a name, or a mapping"):
        row(3)
