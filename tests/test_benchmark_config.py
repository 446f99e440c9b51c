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
from cryokit.errors import ArgumentError, BenchmarkError
from cryokit.micrograph import find
from cryokit.pickers import method, picker_class
from cryokit.pickers.registry import built_in

BASE = {
    "name": "x",
    "methods": ["auto"],
    "datasets": [{"name": "a", "simulate": {"protein": "klh", "train": 1, "test": 2}}],
}


SHIPPED = ("quick", "full", "real", "klh", "classes", "unseen", "sweep", "dirty")


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


@pytest.mark.parametrize("name", ["classes", "dirty", "klh", "sweep", "unseen"])
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
    content = {**BASE, "seeds": 3, "quick": {"seeds": 1}}
    assert config.parse(dict(content), "quick").seeds == 1
    assert config.parse(dict(content), "full").seeds == 3


def test_a_sweep_varies_one_thing():
    content = {
        "name": "x",
        "methods": ["all"],
        "sweeps": [
            {"axis": "snr", "values": [0.1, 0.2], "dataset": {**BASE["datasets"][0], "methods": ["auto"]}},
            {"axis": "train", "values": [1, 4], "dataset": BASE["datasets"][0], "methods": ["template"]},
        ],
    }
    read = config.parse(content)
    assert [spec.name for spec in read.datasets] == ["a_snr_0.1", "a_snr_0.2", "a_train_1", "a_train_4"]
    assert [spec.axes for spec in read.datasets] == [{"snr": 0.1}, {"snr": 0.2}, {"train": 1}, {"train": 4}]
    assert read.datasets[0].simulate.settings == {"snr": 0.1}
    assert read.datasets[3].simulate.counts["train"] == 4
    assert [each.name for each in read.rows(read.datasets[0])] == ["auto"]
    assert [each.name for each in read.rows(read.datasets[2])] == ["template"]


def changed_method(**values):
    return {"methods": [values]}


def dataset(**values):
    return {"datasets": [{"name": "a", **values}]}


def simulated(**values):
    return dataset(simulate={"protein": "klh", **values})


def sweep(**values):
    return {"sweeps": [{"axis": "snr", "values": [1], "dataset": BASE["datasets"][0], **values}]}


KLH = BASE["datasets"][0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"metods": []}, "'metods'.*methods"),
        ({"quick": {"quick": {}}}, "quick.*'quick'"),
        ({"methods": ["deepme"]}, "deepem"),
        ({"methods": ["auto", "auto"]}, "methods.*'auto'"),
        ({"methods": []}, "methods"),
        (changed_method(name="auto", wdith=1), "'wdith'"),
        (changed_method(name="auto", labels="yes"), "labels.*'yes'"),
        (changed_method(name="auto", title=3), "title.*3"),
        (changed_method(name="auto", settings={"foo": 1}), "'auto': settings.*'foo'.*pretrained"),
        (changed_method(name="topaz", settings={"epcohs": 1}), "'topaz': settings.*'epcohs'.*epochs"),
        (changed_method(name="auto", settings=[1]), r"settings.*\[1\]"),
        (changed_method(name="auto", settings=None), "settings.*None"),
        (changed_method(name="a/b", picker="auto"), "'a/b'"),
        (changed_method(name=".a", picker="auto"), "'.a'"),
        (changed_method(name="a", picker="topax"), "picker.*'topax'.*topaz"),
        (changed_method(name="a", picker=["auto"]), "picker.*'auto'"),
        (changed_method(name="mine", picker=None), "'mine'.*path"),
        (changed_method(name="mine", picker=None, settings={"path": 3}), "'mine'.*path"),
        (changed_method(name="mine", picker=None, settings={"path": "p", "sclae": 8}), "'sclae'"),
        (changed_method(name="m", picker=None, settings={"path": "p"}, labels="some"), "'m': labels"),
        (changed_method(name="auto", picker=None, settings={"path": "p"}), "'auto'"),
        ({"datasets": []}, "datasets"),
        ({"datasets": [KLH, KLH]}, "datasets.*'a'"),
        (dataset(name="../a"), r"'\.\./a'"),
        (dataset(simulate={"protein": "klx"}), "a.simulate.protein.*'klx'"),
        (dataset(simulate={}), "a.simulate.*'protein'"),
        (dataset(simulate="klh"), "a.simulate.*'klh'"),
        (simulated(train=-1), "a.simulate.train.*-1"),
        (simulated(protein=["klh"]), "a.simulate.protein"),
        (simulated(diameter="big"), "a.simulate.diameter.*'big'"),
        (simulated(diameter=0), "a.simulate.diameter.* 0$"),
        (simulated(diameter=90, pixel_size=2), "a.simulate.pixel_size"),
        (simulated(snrr=1), "a.simulate.*'snrr'.* snr,"),
        (simulated(snr="low"), "a.simulate.snr.*'low'"),
        (simulated(snr=float("nan")), "a.simulate.snr.*nan"),
        (simulated(shape=[512]), r"a.simulate.shape.*\[512\]"),
        (simulated(shape=512), "a.simulate.shape.*512"),
        (simulated(shape=[512, 16]), "a.simulate.shape.*16"),
        (simulated(carbon=0.5), "a.simulate.carbon.*0.5"),
        (simulated(n_particles=-1), "a.simulate.n_particles.*-1"),
        (dataset(title=3), "a.title.*3"),
        (dataset(name=["a"]), r"name.*\['a'\]"),
        (dataset(micrographs=3, labels=4), "a.micrographs.*3"),
        (dataset(micrographs="x"), "a: micrographs, labels"),
        (dataset(splits={"train": ["m"], "test": ["m"]}), "a.splits.*'m'"),
        (dataset(splits=["m", "n"]), "a.splits"),
        (dataset(splits={"tst": []}), "a.splits.*'tst'.*test"),
        (dataset(splits={"test": "m"}), "a.splits.test.*'m'"),
        ({"datasets": [{**KLH, "splits": {"test": ["m"]}}]}, "a.splits"),
        ({"datasets": [{**KLH, "otherwise": {"name": "b"}}]}, "a.otherwise"),
        (dataset(otherwise={"name": "c", "otherwise": {"name": "d"}}), "a.otherwise.*c"),
        ({"datasets": [KLH, {"name": "b", "otherwise": {"name": "a"}}]}, "datasets.*'a'"),
        (dataset(train_on=[{"protein": "klh"}]), "a.train_on"),
        ({"datasets": [{**KLH, "train_on": [{"protein": "ms2"}, {"protein": "klh"}]}]}, "a.train_on.*klh"),
        ({"datasets": [{**KLH, "train_on": [{"protein": "ms2"}, {"protein": "ms2"}]}]}, "a.train_on.*ms2"),
        (sweep(values=[]), "sweeps.*values"),
        (sweep(dataset={"name": "a"}), "snr: dataset.*'simulate'"),
        (sweep(values=["a"]), "values.*'a'"),
        (sweep(axis="train", values=[0.5]), "train.*0.5"),
        (sweep(axis="snrr"), "snrr"),
        (sweep(dataset={"simulate": {"protein": "klh"}}), "snr: dataset.*'name'"),
        (sweep(dataset={"name": "b", "simulate": "klh"}), "snr: dataset.simulate.*'klh'"),
        ({"datasets": [{"name": "a", "simulate": {"protein": "klh", "empty": 1}}]}, "empty.* 1"),
        ({"seeds": 0}, "seeds.* 0$"),
        ({"timeout": "soon"}, "timeout.*'soon'"),
        ({"timeout": 0}, "timeout.* 0$"),
        ({"give_diameter": "maybe"}, "give_diameter.*'maybe'"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_wrong_is_named(change, named):
    with pytest.raises(BenchmarkError, match=named):
        config.parse({**BASE, **change})


def test_the_file_is_named(tmp_path):
    path = tmp_path / "own.yaml"
    for content in ("name: [", "name: x\nmethods: [auto]\nseeds: 0\ndatasets: [{name: klh}]\n"):
        path.write_text(content)
        with pytest.raises(BenchmarkError, match=r"own\.yaml"):
            config.read(path)
    path.write_text("name: x\nmethods: [auto]\ndatasets: [{name: klh}]\n")
    assert config.read(path).datasets[0].name == "klh"
    with pytest.raises(BenchmarkError, match=r"none\.yaml"):
        config.read(tmp_path / "none.yaml")
    with pytest.raises(BenchmarkError, match=r"fast.*quick"):
        config.read("fast")
    with pytest.raises(ArgumentError, match=r"profile.*'slow'"):
        config.parse(BASE, "slow")


class TestChanged:
    """The changes that the options of the command make."""

    BOTH = config.parse(
        {
            "name": "own",
            "methods": ["template"],
            "datasets": [
                {
                    "name": "real",
                    "methods": ["autocryopicker"],
                    "otherwise": {"name": "made", "simulate": {"protein": "klh", "test": 1}, "methods": ["deepem"]},
                },
                {"name": "other", "simulate": {"protein": "ms2", "test": 1}},
            ],
        }
    )

    def test_methods_are_those_of_all_datasets(self):
        changed = self.BOTH.with_methods(["auto", "pixer"])
        for spec in changed.choices().values():
            assert [one.name for one in changed.rows(spec)] == ["auto", "pixer"]

    def test_datasets(self):
        for names in (["made"], ["made", "real"], ["real", "other"]):
            assert [spec.name for spec in self.BOTH.with_datasets(names).datasets] == names
        # Where both are asked for, none replaces the other: it would be there twice.
        assert self.BOTH.with_datasets(["made", "real"]).datasets[1].otherwise is None
        assert self.BOTH.with_datasets(["real", "other"]).datasets[0].otherwise.name == "made"
        with pytest.raises(ArgumentError, match=r"made.*'nowhere'"):
            self.BOTH.with_datasets(["nowhere"])

    def test_diameters_are_of_real_datasets(self):
        assert [spec.diameter for spec in self.BOTH.with_diameters({"real": 33.5}).datasets] == [33.5, None]
        for name, diameter in (("other", 20), ("real", 0), ("real", float("nan"))):
            with pytest.raises(ArgumentError, match=name):
                self.BOTH.with_diameters({name: diameter})


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
    assert row({"name": "mine", "picker": None, "settings": {"path": "picks"}, "labels": False}).labels is False
    assert given.to_dict()["title"] == "mine"
    with pytest.raises(ArgumentError, match="3"):
        row(3)


def test_settings_of_all_rows_are_of_their_classes():
    for each in ROWS.values():
        row({"name": "other", "picker": each.picker, "settings": {"diameter": 50, **each.settings}})


def test_every_option_for_given_picks_can_be_read(tmp_path):
    from cryokit import coordinates

    (tmp_path / "a.box").write_text("100 200 60 60 0.9\n")
    content = {
        **{"path": str(tmp_path), "format": "box", "endings": ["_x"], "scale": 2.0, "blocks": True, "flip_y": 2000},
        **{"diameter": 80.0, "scores": "raw"},
    }
    settings = dict(row({"name": "mine", "picker": None, "settings": content}).settings)
    picks, _ = coordinates.read_folder(settings.pop("path"), **settings)
    assert picks["diameter"].tolist() == [80.0]


def test_how_short_topaz_is_trained_is_told():
    content = ROWS["topaz_labels"]
    assert "briefly" in content.title
    default = {name: each.default for name, each in inspect.signature(picker_class("topaz")).parameters.items()}
    length = re.search(r"(\d+) x (\d+) minibatches of (\d+)", content.source)
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
