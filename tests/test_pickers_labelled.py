"""What all pickers that learn from labels have in common: the labels they take, the micrographs they hold."""

import gc
import pickle
import weakref

import numpy as np
import pandas as pd
import pytest
from tiny_pickers import EACH_TINY, TINY

from cryokit import pickers
from cryokit.coordinates import table
from cryokit.errors import CoordinateError, PickerError
from cryokit.imaging.frame import Frame
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.networks.devices import using
from cryokit.networks.scoring.windows import mirror
from cryokit.pickers import interface
from cryokit.pickers.deeppicker import DeepPicker
from cryokit.pickers.interface import Micrographs
from cryokit.pickers.label_checks import hold_out
from cryokit.pickers.labelled import Candidates, LabelledPicker, particle_map


class Remembering(LabelledPicker):
    """Learns by heart: picks the scenes' particles again."""

    learned_in = "scenes_"
    working_diameter, window = 20.0, 40

    def _learn(self, scenes):
        self.scenes_ = scenes
        if sum(len(scene.particles) for scene in scenes) < 2:
            raise PickerError("too few")

    def _find(self, picture, least):
        places = np.concatenate([scene.particles for scene in self.scenes_])
        return Candidates(places[:, 0], places[:, 1], np.full(len(places), 0.9))

    def _scores(self, picture):
        return particle_map(np.full(picture.shape, 0.5), Frame.whole(picture.shape))


def assert_same_picks(one, other):
    np.testing.assert_allclose(one[["x", "y", "score"]], other[["x", "y", "score"]], atol=1e-4)


@pytest.fixture
def few(labels, micrographs):
    """Labels of the first micrograph alone."""
    return labels[labels["micrograph"] == micrographs[0].name]


def test_micrographs_without_labels_are_left_out(few, micrographs):
    picker = Remembering(validation=0.2).fit(micrographs[:4], few)
    assert [scene.name for scene in picker.scenes_] == [micrographs[0].name]
    assert "1 micrograph (left out, without labels: 3)" in picker.decisions_[0]
    # One row says that a micrograph has been looked at.
    looked_at = table(micrographs[1].name, [5.0], [5.0], diameter=50, view="ignore")
    picker = Remembering(validation=0).fit(micrographs[:4], pd.concat([few, looked_at]))
    assert [len(scene.particles) > 0 for scene in picker.scenes_] == [True, False]


def test_labels_at_another_scale_are_refused(few, micrographs):
    with pytest.raises(PickerError, match=rf"{micrographs[0].name}: .* 448 x 448"):
        Remembering().fit(micrographs[:1], few.assign(x=4 * few["x"], y=4 * few["y"]))
    # One of many that somebody put beside the picture does no harm.
    stray = few.assign(x=few["x"].where(few.index != few.index[0], 460.0))
    assert Remembering().fit(micrographs[:1], stray).scenes_


@pytest.mark.parametrize(
    "method", [each for each in pickers.registry.built_in() if each.with_labels], ids=lambda m: m.name
)
def test_whatever_learns_from_labels_refuses_those(method, few, micrographs):
    with pytest.raises(PickerError, match=f"{micrographs[0].name}: .* 448 x 448"):
        pickers.create(method.name).fit(micrographs[:1], few.assign(x=4 * few["x"], y=4 * few["y"]))


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda t: t.assign(x=np.nan), "the labels"), (lambda t: t.drop(columns="y"), "no column y")],
)
def test_what_is_no_table_of_labels_is_told(change, told, few, micrographs):
    with pytest.raises(CoordinateError, match=told):
        Remembering().fit(micrographs[:1], change(few))


def test_labels_need_only_places(few, micrographs):
    bare = few[["micrograph", "x", "y"]]
    assert len(Remembering(diameter=50).fit(micrographs[:1], bare).scenes_[0].particles) == len(few)


def test_a_fit_that_failed_leaves_nothing_to_pick_with(few, micrographs):
    picker = Remembering().fit(micrographs[:1], few)
    assert len(picker.pick(micrographs[0]))
    with pytest.raises(PickerError, match="too few"):
        picker.fit(micrographs[:1], few[few["view"] != "ignore"][:1])
    with pytest.raises(PickerError, match="'Remembering' has not been fitted"):
        picker.pick(micrographs[0])


def test_picks_are_inside_of_the_micrograph(few, micrographs):
    picker = Remembering().fit(micrographs[:1], few)
    picker.scenes_[0].particles[:4] = [[-0.4, 50], [50, -0.4], [0, 0], [5, 5]]
    picks = picker.pick(micrographs[0], threshold=0)
    assert picks[["x", "y"]].min(axis=None) >= -0.5


def test_settings_may_be_numbers_of_numpy(tmp_path, micrographs, labels):
    settings = TINY["deepem"] | dict(diameter=np.float32(50), seed=np.int64(1))
    picker = pickers.create("deepem", **settings).fit(micrographs[:1], labels)
    again = pickers.load(picker.save(tmp_path / "deepem"))
    assert (again.diameter, again.seed) == (50, 1)
    assert again.settings() == picker.settings()


def test_networks_are_pickled_without_their_training(micrographs, labels):
    picker = pickers.create("deepem", **TINY["deepem"]).fit(micrographs[:1], labels)
    assert len(picker.histories_) == 1
    again = pickle.loads(pickle.dumps(picker))
    assert again.histories_ is None
    assert len(picker.histories_) == 1
    assert_same_picks(again.pick(micrographs[4], threshold=0), picker.pick(micrographs[4], threshold=0))


# --- memory --------------------------------------------------------------------------------------------------------


def test_hold_out_divides_the_micrographs():
    micrographs = Micrographs([f"m{number}.mrc" for number in range(10)])
    for share, expected in ((0, 0), (0.01, 1), (0.25, 2), (0.5, 5)):
        training, held_out = hold_out(micrographs, share, seed=1)
        assert len(held_out) == expected
        assert sorted(training.names + held_out.names) == micrographs.names
        assert training.names == sorted(training.names)
    assert hold_out(micrographs, 0.5, seed=1)[1].names != hold_out(micrographs, 0.5, seed=2)[1].names
    assert len(hold_out(micrographs.subset(range(2)), 0.5, seed=1)[1]) == 0


@pytest.fixture
def prepared(monkeypatch):
    """The names of the micrographs that labelled pickers have prepared."""
    names, original = [], LabelledPicker._prepare

    def noted(self, micrograph):
        names.append(micrograph.name)
        return original(self, micrograph)

    monkeypatch.setattr(LabelledPicker, "_prepare", noted)
    return names


@pytest.mark.parametrize("name", EACH_TINY)
def test_networks_learn_without_room_for_pictures_and_in_half_precision(
    name, micrographs, labels, prepared, monkeypatch
):
    monkeypatch.setattr(interface, "MEMORY", 0)
    with using(precision="mixed_bfloat16"):
        picker = pickers.create(name, **TINY[name]).fit(micrographs[:2], labels)
        # One pass after the other, not one preparation for each of many crops; the last two choose the threshold and
        # centre the picks.
        assert max(prepared.count(micrograph.name) for micrograph in micrographs[:2]) <= 7
        picks = picker.pick(micrographs[4], threshold=0)
    assert picks["score"].between(0, 1).all()
    assert np.isfinite(picks[["x", "y"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("name", "settings"), [("relion_template", dict(particles=20, step=30.0)), ("deepem", TINY["deepem"])]
)
def test_the_room_for_pictures_makes_no_difference(name, settings, micrographs, labels, prepared, monkeypatch):
    picks = []
    for memory in (1 << 30, 0):
        monkeypatch.setattr(interface, "MEMORY", memory)
        prepared.clear()
        picker = pickers.create(name, **settings).fit(micrographs[:3], labels)
        most = max(prepared.count(micrograph.name) for micrograph in micrographs[:3])
        assert most == 1 if memory else most > 1
        picks.append(picker.pick(micrographs[4], threshold=0))
    assert_same_picks(*picks)


@pytest.mark.slow
def test_a_pass_reads_each_file_once_and_keeps_none(tmp_path, micrographs, labels, monkeypatch):
    paths = []
    for micrograph in micrographs[:4]:
        paths.append(tmp_path / f"{micrograph.name}.mrc")
        write_mrc(paths[-1], micrograph.data)
    alive, read = [], interface.files.read

    def noted(path, **options):
        gc.collect()
        assert sum(reference() is not None for reference in alive) <= 1
        micrograph = read(path, **options)
        alive.append(weakref.ref(micrograph))
        return micrograph

    monkeypatch.setattr(interface.files, "read", noted)
    Remembering().fit(paths, labels)
    assert len(alive) == 4


def test_what_begins_with_dark_particles_looks_whether_they_are(few, micrographs):
    negative = Micrograph(-micrographs[0].data, name=micrographs[0].name)
    picker = DeepPicker()
    picker.diameter_ = 50.0
    assert picker._contrast(Micrographs([negative])) == "bright"
    assert picker._contrast(Micrographs([micrographs[0]])) == "dark"
    picker.contrast_ = "bright"
    picture = picker._prepare(negative)[0]
    picker.contrast_ = "dark"
    np.testing.assert_allclose(picture, picker._prepare(micrographs[0])[0], atol=1e-4)


def test_mirror_goes_on_and_on():
    assert mirror(np.arange(-7, 8), 3).tolist() == [1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]
    assert mirror(np.arange(-2, 3), 1).tolist() == [0] * 5
