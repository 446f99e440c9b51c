"""What all pickers that learn from labels have in common: which labels they take, and what becomes of bad ones."""

import json

import numpy as np
import pandas as pd
import pytest

from cryokit import pickers
from cryokit.coordinates import table
from cryokit.errors import CoordinateError, PickerError
from cryokit.micrograph import Micrograph
from cryokit.networks.devices import using
from cryokit.networks.scoring.running import mirror
from cryokit.pickers import saving as storage
from cryokit.pickers.deeppicker import DeepPicker
from cryokit.pickers.labelled import Found, LabelledPicker

TINY = {
    "deepem": dict(box=41, boxes=16, epochs=1, rounds=1, stride=12),
    "deeppicker": dict(pretrain=False, width=0.25, boxes=16, epochs=1, stride=16),
    "eman2_cnn": dict(box=16, filters=2, rotated=20, epochs=1),
    "fastparticlepicker": dict(width=0.02, steps=2),
    "pixer": dict(width=0.02, crops=8, per_class=16, epochs=1),
}


class Remembering(LabelledPicker):
    """Learns by heart: picks the scenes' particles again."""

    name = "remembering"
    learned_in = "scenes_"
    working_diameter, window = 20.0, 40

    def _learn(self, scenes):
        self.scenes_ = scenes
        if sum(len(scene.particles) for scene in scenes) < 2:
            raise PickerError("too few")

    def _find(self, picture, least):
        every = np.concatenate([scene.particles for scene in self.scenes_])
        return Found(every[:, 0], every[:, 1], np.full(len(every), 0.9))

    def save(self, path):
        raise NotImplementedError

    load = save


@pytest.fixture
def few(labels, micrographs):
    """Labels of the first micrograph alone."""
    return labels[labels["micrograph"] == micrographs[0].name]


def test_micrographs_without_labels_are_left_out(few, micrographs):
    picker = Remembering(validation=0.2).fit(micrographs[:4], few)
    assert [scene.name for scene in picker.scenes_] == [micrographs[0].name]
    assert "1 micrograph (left out, for they have no labels: 3)" in picker.decisions_[0]
    # One row says that a micrograph has been looked at.
    looked_at = table(micrographs[1].name, [5.0], [5.0], diameter=50, view="ignore")
    picker = Remembering(validation=0).fit(micrographs[:4], pd.concat([few, looked_at]))
    assert [len(scene.particles) > 0 for scene in picker.scenes_] == [True, False]


def test_labels_at_another_scale_are_refused(few, micrographs):
    with pytest.raises(PickerError, match=r"lie outside its 448 x 448 pixels .* not binned"):
        Remembering().fit(micrographs[:1], few.assign(x=4 * few["x"], y=4 * few["y"]))
    # One of many that somebody put beside the picture does no harm.
    stray = few.assign(x=few["x"].where(few.index != few.index[0], 460.0))
    assert Remembering().fit(micrographs[:1], stray).scenes_


@pytest.mark.parametrize("name", ["auto", "deepcryopicker", "relion_template", *TINY])
def test_whatever_learns_from_labels_refuses_those(name, few, micrographs):
    with pytest.raises(PickerError, match="not binned"):
        pickers.create(name).fit(micrographs[:1], few.assign(x=4 * few["x"], y=4 * few["y"]))


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
    with pytest.raises(PickerError, match="has not been fitted"):
        picker.pick(micrographs[0])


def test_picks_are_inside_of_the_micrograph(few, micrographs):
    picker = Remembering().fit(micrographs[:1], few)
    picker.scenes_[0].particles[:4] = [[-0.4, 50], [50, -0.4], [0, 0], [5, 5]]
    picks = picker.pick(micrographs[0], threshold=0)
    assert picks[["x", "y"]].min(axis=None) >= -0.5


@pytest.mark.parametrize("name", TINY)
def test_networks_learn_in_half_precision_too(name, micrographs, labels):
    with using(precision="mixed_bfloat16"):
        picker = pickers.create(name, **TINY[name]).fit(micrographs[:2], labels)
        picks = picker.pick(micrographs[4], threshold=0)
    assert picks["score"].between(0, 1).all()
    assert np.isfinite(picks[["x", "y"]].to_numpy()).all()


def test_settings_may_be_numbers_of_numpy(tmp_path, micrographs, labels):
    settings = TINY["deepem"] | dict(diameter=np.float32(50), seed=np.int64(1))
    picker = pickers.create("deepem", **settings).fit(micrographs[:1], labels)
    again = pickers.load(picker.save(tmp_path / "deepem"))
    assert (again.diameter, again.seed) == (50, 1)
    header = storage.write(tmp_path / "a", "m", {"seed": np.int64(1)}, {}, {})
    assert json.loads(str(np.load(header)["cryokit_picker"]))["settings"] == {"seed": 1}


def test_what_begins_with_dark_particles_looks_whether_they_are(few, micrographs):
    negative = Micrograph(-micrographs[0].data, name=micrographs[0].name)
    picker = DeepPicker()
    picker.diameter_ = 50.0
    assert picker._contrast([negative]) == "bright"
    assert picker._contrast([micrographs[0]]) == "dark"
    picker.contrast_ = "bright"
    picture = picker._prepare(negative)[0]
    picker.contrast_ = "dark"
    np.testing.assert_allclose(picture, picker._prepare(micrographs[0])[0], atol=1e-4)


def test_mirror_goes_on_and_on():
    assert mirror(np.arange(-7, 8), 3).tolist() == [1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]
    assert mirror(np.arange(-2, 3), 1).tolist() == [0] * 5
