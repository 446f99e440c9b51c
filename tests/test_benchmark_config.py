"""Benchmarks as YAML, and the rows of methods."""

import inspect
import re
import subprocess
import sys

import pytest

from cryokit import datasets
from cryokit._util.names import micrograph_name
from cryokit.benchmark import configuration as config
from cryokit.benchmark.methods import OWN, ROWS, row
from cryokit.errors import BenchmarkError
from cryokit.micrograph import find
from cryokit.pickers import method, picker_class
from cryokit.pickers.registry import built_in

BASE = {
    "name": "x",
    "methods": ["auto"],
    "datasets": [{"name": "a", "simulate": {"protein": "klh", "train": 1, "test": 2}}],
}


SHIPPED = ("quick", "full", "real", "klh", "classes", "unseen", "sweep")


def cost(read):
    """Return how many micrographs are picked, and how many are trained on, over all cells."""
    sets = [
        (len(read.rows(spec)) * read.seeds, [spec.simulate, *spec.train_on]) for spec in read.datasets if spec.simulate
    ]
    tested = sum(cells * made[0].counts["test"] for cells, made in sets)
    trained = sum(cells * each.counts["train"] for cells, made in sets for each in made)
    return tested, trained


def test_all_benchmarks_are_shipped():
    assert set(config.available()) == set(SHIPPED)
    assert config.titles() == {name: config.read(name).title for name in SHIPPED}


@pytest.mark.parametrize("profile", [None, *config.PROFILES])
@pytest.mark.parametrize("name", SHIPPED)
def test_datasets_of_the_shipped_benchmarks(name, profile):
    read = config.read(name, profile)
    assert read.name == name
    for spec in (choice for each in read.datasets for choice in each.choices()):
        if spec.simulate is None:
            assert spec.name in datasets.available()
            continue
        assert spec.simulate.counts["test"] > 0
        # Seeds below 5000 have served to choose defaults.
        sets = (spec.simulate, *spec.train_on)
        assert min(each.seed for each in sets) >= 5000
        assert len({each.seed for each in sets}) == len(sets)
        assert sum(each.counts["train"] for each in sets) > 0
        assert sum(each.counts["validation"] for each in sets) > 0


@pytest.mark.parametrize("name", ["classes", "klh", "sweep", "unseen"])
def test_the_quick_profile_is_less_work(name):
    quick, full = (cost(config.read(name, profile)) for profile in config.PROFILES)
    if name == "klh":  # its full profile asks for the real ones first
        full = cost(
            config.parse({**BASE, "methods": ["all"], "datasets": [config.read(name).raw["datasets"][0]["otherwise"]]})
        )
    assert quick[0] <= full[0] / 2
    assert quick[1] <= full[1] / 2


def test_every_picker_is_a_row_and_every_row_a_picker():
    assert {each.picker for each in ROWS.values()} == {entry.name for entry in built_in()}
    assert set(OWN) == {name for name, each in ROWS.items() if not method(each.picker).external}


def test_the_paper_s_split_of_klh():
    (spec,) = config.read("klh").datasets
    counts = spec.otherwise.simulate.counts
    assert counts["train"] + counts["validation"] == 60
    assert counts["test"] == 20


@pytest.mark.real
def test_real_micrographs_that_defaults_were_chosen_on_are_not_tested(real_data):
    places = {}
    for spec in config.read("real").datasets:
        names = sorted(micrograph_name(path) for path in find(real_data(spec.name) / "micrographs"))
        places[spec.name] = {split: sorted(names.index(name) for name in spec.splits[split]) for split in spec.splits}
    # One micrograph there is, and nothing was ever chosen on it.
    for name in ("klh", "ribosome_10028"):
        assert places.pop(name) == {"train": [], "validation": [], "test": [0]}
    assert set(places) == {"apoferritin_10146", "betagal_10017", "klh_preprocessed"}
    for split in places.values():
        learned, tested = sorted(split["train"] + split["validation"]), split["test"]
        number = len(learned) + len(tested)
        assert learned == list(range(0, number, 2))
        assert tested == list(range(1, number, 2))


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
        ({"metods": []}, "the file: unknown key 'metods'"),
        ({"quick": {"quick": {}}}, "quick: unknown key 'quick'"),
        ({"methods": ["deepme"]}, "did you mean deepem"),
        ({"methods": ["auto", "auto"]}, "named twice"),
        ({"methods": []}, "at least one"),
        ({"methods": [{"name": "auto", "wdith": 1}]}, "unknown 'wdith'"),
        ({"methods": [{"name": "auto", "labels": "yes"}]}, "labels: give true or false"),
        ({"methods": [{"name": "auto", "title": 3}]}, "title: give a text"),
        (
            {"methods": [{"name": "auto", "settings": {"foo": 1}}]},
            r"'auto': settings: unknown 'foo'; there are: .*pre",
        ),
        ({"methods": [{"name": "topaz", "settings": {"epcohs": 1}}]}, r"'topaz': settings: unknown 'epcohs'; .*epochs"),
        ({"methods": [{"name": "auto", "settings": [1]}]}, "settings: give a mapping"),
        ({"methods": [{"name": "auto", "settings": None}]}, "settings: give a mapping"),
        ({"methods": [{"name": "a/b", "picker": "auto"}]}, "a name has letters"),
        ({"methods": [{"name": ".a", "picker": "auto"}]}, "does not begin with a dot"),
        ({"methods": [{"name": "a", "picker": "topax"}]}, "'a': picker: .*'topax'.* topaz"),
        ({"methods": [{"name": "a", "picker": ["auto"]}]}, "'a': picker: "),
        ({"methods": [{"name": "mine", "picker": None}]}, "'mine': settings: .*need the path"),
        ({"methods": [{"name": "mine", "picker": None, "settings": {"path": 3}}]}, "need the path"),
        ({"methods": [{"name": "mine", "picker": None, "settings": {"path": "p", "sclae": 8}}]}, "unknown 'sclae'"),
        (
            {"methods": [{"name": "m", "picker": None, "settings": {"path": "p"}, "labels": True}]},
            "labels: leave it out",
        ),
        ({"methods": [{"name": "auto", "picker": None, "settings": {"path": "p"}}]}, "a name of their own"),
        ({"datasets": []}, "at least one dataset"),
        ({"datasets": [*BASE["datasets"], *BASE["datasets"]]}, "two datasets are called 'a'"),
        ({"datasets": [{"name": "../a"}]}, "no name"),
        ({"datasets": [{"name": "a", "simulate": {"protein": "klx"}}]}, "protein 'klx'"),
        ({"datasets": [{"name": "a", "simulate": {}}]}, "protein None"),
        ({"datasets": [{"name": "a", "simulate": "klh"}]}, "a: simulate: give a mapping"),
        *(
            ({"datasets": [{"name": "a", "simulate": {"protein": "klh", **wrong}}]}, f"a: simulate: {told}")
            for wrong, told in (
                ({"train": -1}, "train: give a whole number"),
                ({"protein": ["klh"]}, "protein .* is not one of"),
                ({"diameter": "big"}, "diameter: give a number, not 'big'"),
                ({"diameter": 0}, "diameter: give a number above 0"),
                ({"diameter": 90, "pixel_size": 2}, "pixel_size: the diameter sets it"),
                ({"snrr": 1}, "unknown 'snrr'; there are: .*snr"),
                ({"snr": "low"}, "snr: give a number"),
                ({"snr": float("nan")}, "snr: give a number"),
                ({"shape": [512]}, "shape: give rows and columns"),
                ({"shape": 512}, "shape: give a list"),
                ({"carbon": 0.5}, "carbon: give true or false"),
            )
        ),
        ({"datasets": [{"name": "a", "title": 3}]}, "a: title: give a text"),
        ({"datasets": [{"name": ["a"]}]}, "datasets: name: give a text"),
        ({"datasets": [{"name": "a", "micrographs": 3, "labels": 4}]}, "a: micrographs: give a text"),
        ({"datasets": [{"name": "a", "micrographs": "x"}]}, "give both"),
        ({"datasets": [{"name": "a", "splits": {"train": ["m"], "test": ["m"]}}]}, "in two splits"),
        ({"datasets": [{"name": "a", "splits": ["m", "n"]}]}, "a: splits: give a mapping"),
        ({"datasets": [{"name": "a", "splits": {"tst": []}}]}, "a: splits: unknown key 'tst'; there are: .*test"),
        ({"datasets": [{"name": "a", "splits": {"test": "m"}}]}, "a: splits: test: give a list"),
        ({"datasets": [{**BASE["datasets"][0], "splits": {"test": ["m"]}}]}, "splits: only for a real dataset"),
        ({"datasets": [{**BASE["datasets"][0], "otherwise": {"name": "b"}}]}, "otherwise: only for a real dataset"),
        ({"datasets": [{"name": "b", "otherwise": {"name": "c", "otherwise": {"name": "d"}}}]}, "c has an 'otherwise'"),
        ({"datasets": [*BASE["datasets"], {"name": "b", "otherwise": {"name": "a"}}]}, "two datasets are called 'a'"),
        ({"datasets": [{"name": "b", "train_on": [{"protein": "klh"}]}]}, "train_on: only for a simulated dataset"),
        (
            {"datasets": [{**BASE["datasets"][0], "train_on": [{"protein": "ms2"}, {"protein": "klh"}]}]},
            "a: train_on: klh is the protein that is tested",
        ),
        (
            {"datasets": [{**BASE["datasets"][0], "train_on": [{"protein": "ms2"}, {"protein": "ms2", "seed": 1}]}]},
            "a: train_on: there are two sets of ms2",
        ),
        ({"sweeps": [{"axis": "snr", "values": [], "dataset": BASE["datasets"][0]}]}, "a sweep needs"),
        ({"sweeps": [{"axis": "snr", "values": [1], "dataset": {"name": "a"}}]}, "snr: dataset: a sweep needs a simu"),
        (
            {"sweeps": [{"axis": "snr", "values": ["a"], "dataset": BASE["datasets"][0]}]},
            "of snr: values: give a number",
        ),
        (
            {"sweeps": [{"axis": "train", "values": [0.5], "dataset": BASE["datasets"][0]}]},
            "train: give a whole number",
        ),
        ({"sweeps": [{"axis": "snrr", "values": [1], "dataset": BASE["datasets"][0]}]}, "unknown 'snrr'"),
        (
            {"sweeps": [{"axis": "snr", "values": [1], "dataset": {"simulate": {"protein": "klh"}}}]},
            "sweep of snr: dataset: name",
        ),
        (
            {"sweeps": [{"axis": "snr", "values": [1], "dataset": {"name": "b", "simulate": "klh"}}]},
            "sweep of snr: simulate: give a mapping",
        ),
        ({"seeds": 0}, "seeds: give a whole number of at least 1"),
        ({"timeout": "soon"}, "timeout: give a number, not 'soon'"),
        ({"timeout": 0}, "timeout: give a number above 0"),
        ({"give_diameter": "maybe"}, "give_diameter: give true or false"),
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


def test_a_folder_of_that_name_is_not_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    assert config.read("real").name == "real"


def test_rows_change_known_ones_and_describe_new_ones():
    wide = row({"name": "deepcryopicker", "settings": {"width": 0.25}})
    assert (wide.picker, wide.labels, wide.settings) == ("deepcryopicker", False, {"width": 0.25})
    kept = row({"name": "deepcryopicker_five", "title": "Five"})
    assert (kept.title, kept.settings) == ("Five", {"classes_setting": "five classes"})
    given = row({"name": "mine", "picker": None, "settings": {"path": "picks", "scale": 8}})
    assert given.picker is None
    assert given.labels is None
    assert given.to_dict()["title"] == "mine"
    with pytest.raises(BenchmarkError, match=r"is a name, or a mapping"):
        row(3)


def test_settings_of_all_rows_are_of_their_classes():
    for each in ROWS.values():
        row({"name": "other", "picker": each.picker, "settings": {"diameter": 50, **each.settings}})


def test_every_option_for_given_picks_can_be_read(tmp_path):
    from cryokit import coordinates

    (tmp_path / "a.box").write_text("100 200 60 60 0.9\n")
    told = {
        **{"path": str(tmp_path), "format": "box", "endings": ["_x"], "scale": 2.0, "blocks": True, "flip_y": 2000},
        **{"diameter": 80.0, "scores": "raw"},
    }
    settings = dict(row({"name": "mine", "picker": None, "settings": told}).settings)
    picks, _ = coordinates.read_folder(settings.pop("path"), **settings)
    assert picks["diameter"].tolist() == [80.0]


def test_how_short_topaz_is_trained_is_told():
    told = ROWS["topaz_labels"]
    assert "briefly" in told.title
    default = {name: each.default for name, each in inspect.signature(picker_class("topaz")).parameters.items()}
    length = re.search(r"(\d+) x (\d+) minibatches of (\d+)", told.source)
    assert [int(number) for number in length.groups()] == [
        default[name] for name in ("epochs", "minibatches", "minibatch_size")
    ]


def test_listing_imports_no_method():
    heavy = {"keras", "pandas", "scipy", "sklearn"}
    listed = "import sys; from cryokit.cli import main; main(['benchmark', '--list']); "
    listed += f"print({heavy!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "topaz_labels" in done.stdout
