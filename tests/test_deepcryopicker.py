"""The picker `deepcryopicker`: what it learns by itself and from labels, and how it makes picks of scores."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from judging import judged

from cryokit import pickers
from cryokit.coordinates import table
from cryokit.errors import MicrographError, PickerError
from cryokit.imaging import Frame, bin_fourier
from cryokit.imaging.preparation import levelled
from cryokit.micrograph import Micrograph, write_mrc
from cryokit.networks import Model
from cryokit.networks.scoring import ScoreMap
from cryokit.pickers import component1
from cryokit.pickers.deepcryopicker import DeepCryoPicker
from cryokit.pickers.interface import Micrographs, Pictures
from cryokit.simulate import simulate_set

DIAMETER = 50.0  # of simulated ribosomes
TINY = dict(diameter=DIAMETER, width=0.02, per_class=24, epochs=1, stride=32)


@pytest.fixture(scope="module")
def picker(micrographs):
    """A picker that has taught itself on four micrographs; two more it has not seen."""
    return DeepCryoPicker(diameter=DIAMETER, width=0.06, per_class=240, epochs=8).fit(micrographs[:4])


@pytest.fixture(scope="module")
def taught(micrographs, labels):
    """The same, hardly trained, from labels."""
    return DeepCryoPicker(**TINY).fit(micrographs[:3], labels)


def bare(**settings):
    """A picker of which only what makes picks of scores is used: a pixel of the scored picture is one as stored."""
    picker = DeepCryoPicker(**settings)
    picker.diameter_, picker.factor_, picker.threshold_ = 160.0, 1.0, 0.5
    return picker


def scored(bumps, *, shape=(40, 50), classes=("top", "side", "background"), width=2.5):
    """Scores with smooth bumps at (column, row, height, class), 16 pixels apart."""
    scores = np.zeros((*shape, len(classes)), np.float32)
    row, column = np.mgrid[: shape[0], : shape[1]]
    for x, y, height, name in bumps:
        bump = height * np.exp(-0.5 * ((column - x) ** 2 + (row - y) ** 2) / width**2)
        scores[..., classes.index(name)] = np.maximum(scores[..., classes.index(name)], bump)
    scores[..., -1] = np.maximum(0, 1 - scores[..., :-1].sum(axis=-1))
    return ScoreMap(scores, classes, Frame(shape, (16 * shape[0], 16 * shape[1]), 0.0, 0.0, 16.0, 16.0))


FRAME = Frame.whole((640, 800))


# --- what it finds -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_picks_micrographs_that_it_has_not_seen(picker, micrographs, labels):
    picks, result = judged(picker, micrographs[4:], labels)
    assert result.f1 > 0.85
    true = result.picks[result.picks["outcome"] == "true"]
    assert true["distance"].median() < 0.08 * DIAMETER
    assert set(picks["view"]) == {"irregular"}
    assert (picks["diameter"] == DIAMETER).all()
    assert picks["score"].between(picker.threshold_, 1).all()


@pytest.mark.slow
def test_it_says_what_it_decided(micrographs, caplog):
    caplog.set_level(logging.INFO)
    picker = DeepCryoPicker(**TINY | dict(diameter=None)).fit(
        micrographs[:2], table(micrographs[0].name, [100, 200, 300] * 5, np.arange(30, 420, 26), diameter=47)
    )
    told = caplog.text
    assert picker.diameter_ == 47
    for decision in picker.decisions_:
        assert decision in told
    assert "15 particles in 1 micrograph" in told
    assert "47 pixels across" in told
    assert "scale" in told
    assert "threshold" in told


@pytest.mark.slow
def test_patches_are_cut_from_the_pictures_that_are_scored(taught, micrographs):
    picture, _ = taught._prepare(micrographs[0])
    table = taught.training_set_.table
    chosen = table[
        (table["micrograph"] == micrographs[0].name) & (table["rotation"] == 0) & (table["augmentation"] == "")
    ]
    index = chosen.index[0]
    row, column = round(chosen["y"].iloc[0]), round(chosen["x"].iloc[0])
    window = picture[row - 113 : row + 114, column - 113 : column + 114]
    patch = taught.training_set_.patches[index].astype(float)
    assert np.corrcoef(window.ravel(), patch.ravel())[0, 1] > 0.995
    # And the windows have about the mean and the deviation that patches have exactly.
    assert abs(window.mean()) < 0.15
    assert window.std() == pytest.approx(1, abs=0.2)


@pytest.mark.slow
def test_same_seed_same_picks(taught, micrographs, labels):
    again = DeepCryoPicker(**TINY).fit(micrographs[:3], labels)
    pd.testing.assert_frame_equal(again.pick(micrographs[4]), taught.pick(micrographs[4]), check_exact=True)
    assert again.threshold_ == taught.threshold_


def test_dense_and_sliding_scores_are_the_same(taught, micrographs):
    part = Micrograph(micrographs[4].data[:170, :190], name="part")
    dense = taught.score_map(part)
    taught.scoring = "sliding"
    try:
        sliding = taught.score_map(part)
    finally:
        taught.scoring = "dense"
    np.testing.assert_allclose(dense.scores, sliding.scores, atol=1e-4)
    assert dense.frame == sliding.frame


@pytest.mark.slow
def test_score_map_is_in_pixels_of_the_micrograph(picker, micrographs, labels):
    scores = picker.score_map(micrographs[4])
    row, column = np.unravel_index(np.argmax(scores.particle), scores.particle.shape)
    x, y = scores.frame.to_source(column, row)
    truth = labels[labels["micrograph"] == micrographs[4].name]
    assert np.hypot(truth["x"] - x, truth["y"] - y).min() < 0.2 * DIAMETER
    rows, columns = scores.particle.shape
    x, y = scores.frame.to_source(columns - 1, rows - 1)
    assert 448 - 2 * scores.frame.step < x < 449
    assert 448 - 2 * scores.frame.step < y < 449


@pytest.mark.parametrize("contrast", ["dark", "bright"])
def test_particles_are_dark_in_the_picture_and_borders_do_not_count(micrographs, contrast):
    data = micrographs[0].data if contrast == "dark" else -micrographs[0].data
    plain, _ = levelled(Micrograph(data, name="m"), DIAMETER, contrast, 3.5, 227)
    padded = np.zeros((480, 500), np.float32)
    padded[20:468, 30:478] = data
    picture, frame = levelled(Micrograph(padded, name="m"), DIAMETER, contrast, 3.5, 227)
    # Where a band ends is told by the grey values, so a line more or less may count.
    assert abs(frame.x0 - 30) <= 1
    assert abs(frame.y0 - 20) <= 1
    x, y = frame.from_source(230, 220)
    assert np.allclose(frame.to_source(x, y), (230, 220))
    around = picture[round(float(y)) - 100 : round(float(y)) + 100, round(float(x)) - 100 : round(float(x)) + 100]
    expected = plain[600:800, 600:800]
    assert np.corrcoef(around.ravel(), expected.ravel())[0, 1] > 0.95
    dark, _ = levelled(micrographs[0], DIAMETER, "dark", 3.5, 227)
    np.testing.assert_allclose(plain, dark, atol=1e-4)


# --- from scores to picks ------------------------------------------------------------------------------------------


def test_peaks_become_picks_with_their_views():
    scores = scored([(10, 12, 0.95, "top"), (30.25, 20, 0.9, "side"), (40, 35, 0.3, "top")])
    picks = bare(diameter=160)._picks(scores, FRAME, "m", 0.5)
    assert picks["view"].tolist() == ["top", "side"]
    assert picks["x"].to_numpy() == pytest.approx([160, 484], abs=3)
    assert picks["y"].to_numpy() == pytest.approx([192, 320], abs=3)
    assert len(bare(diameter=160)._picks(scores, FRAME, "m", 0.1)) == 3


def test_one_particle_is_not_picked_as_two_views():
    scores = scored([(10, 12, 0.5, "top"), (11, 12, 0.45, "side")])
    picks = bare(diameter=160)._picks(scores, FRAME, "m", 0.5)
    assert picks["view"].tolist() == ["top"]
    assert picks["score"].iloc[0] > 0.7


def test_large_even_areas_are_no_particles_at_any_threshold():
    ice = [(x, y, 1.0, "top") for x in range(20, 40, 2) for y in range(10, 30, 2)]
    scores = scored([*ice, (8, 8, 0.9, "top")])
    for threshold in (0.5, 0.05):
        picks = bare(diameter=160)._picks(scores, FRAME, "m", threshold)
        assert picks.query("score > 0.5")[["x", "y"]].to_numpy() == pytest.approx(np.array([[128, 128]]), abs=3)
    assert len(bare(diameter=160, largest=50.0)._picks(scores, FRAME, "m", 0.5)) > 1


def test_overlapping_boxes_and_the_margin():
    near = scored([(20, 20, 0.9, "top"), (26.5, 20, 0.8, "top"), (2, 30, 0.9, "side")], width=1.5)
    # 104 pixels apart, boxes of 160: they share 56 of 264 columns, an intersection over union of 0.21.
    assert len(bare(diameter=160, overlap=0.3)._picks(near, FRAME, "m", 0.5)) == 3
    assert len(bare(diameter=160, overlap=0.1)._picks(near, FRAME, "m", 0.5)) == 2
    assert bare(diameter=160, margin=0.5)._picks(near, FRAME, "m", 0.5)["view"].tolist() == ["top", "top"]


def test_what_mirrored_borders_look_like_is_no_particle():
    scores = scored([(-1, 20, 0.95, "side"), (20, 39, 0.95, "top"), (30, 2, 0.9, "top")])
    picks = bare(diameter=160)._picks(scores, FRAME, "m", 0.1)
    assert picks[["x", "y"]].to_numpy() == pytest.approx(np.array([[480, 32]]), abs=3)


# --- saved and loaded ----------------------------------------------------------------------------------------------


def test_saved_picker_picks_the_same(taught, micrographs, tmp_path):
    taught.save(tmp_path / "model")
    loaded = pickers.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.pick(micrographs[4]), taught.pick(micrographs[4]), check_exact=True)
    assert (loaded.diameter_, loaded.contrast_, loaded.decisions_) == (
        *(taught.diameter_, taught.contrast_, taught.decisions_),
    )
    assert loaded.stride == 32
    model = Model.load(tmp_path / "model")
    assert model.threshold == taught.threshold_
    assert model.working_diameter == pytest.approx(taught.factor_ * DIAMETER)
    assert model.provenance["training"]["epochs"] == 1


def test_the_method_of_a_model_is_found_without_keras(taught, tmp_path):
    taught.save(tmp_path / "model")
    code = (
        "import sys\n"
        "from cryokit import networks, pickers\n"
        "name = networks.header(sys.argv[1])['method']\n"
        "assert pickers.picker_class(name).name == 'deepcryopicker'\n"
        "assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], check=True, cwd=Path(__file__).parents[1])


def test_what_is_no_saved_picker(taught, tmp_path):
    with pytest.raises(PickerError, match="no model of this name"):
        pickers.load(tmp_path / "missing")
    model = taught.model_
    Model(model.network, model.config, 170.0, 0.5, {"kind": "windows"}).save(tmp_path / "network")
    with pytest.raises(PickerError, match="belongs to no picker"):
        pickers.load(tmp_path / "network")
    with pytest.raises(PickerError, match="'', not 'deepcryopicker'"):
        DeepCryoPicker.load(tmp_path / "network")


# --- settings and mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes_setting", "expected"),
    [
        ("4 + background", ("top", "side", "background")),
        ("4 + negative", ("top", "side", "negative")),
        ("five classes", ("top", "side", "negative", "background")),
    ],
)
@pytest.mark.parametrize("off_centre", [True, False])
def test_classes_are_those_that_are_there(micrographs, labels, classes_setting, expected, off_centre):
    rng = np.random.default_rng(0)
    particles = labels[labels["view"] == "irregular"].assign(
        **{"class": lambda rows: rng.choice(["top", "side", "negative"], len(rows))}
    )
    particles = particles[["micrograph", "x", "y", "diameter", "class"]]
    particles.iloc[:2, -1] = "irregular"  # two of that view are a mistake, not a view
    picker = DeepCryoPicker(**TINY | dict(classes_setting=classes_setting, off_centre=off_centre))
    picker.diameter_, picker.contrast_, picker.factor_ = DIAMETER, "dark", 3.5
    built = picker._training_set(Pictures(Micrographs(micrographs[:3]), picker._prepare), particles)
    assert built.classes == expected
    assert set(built.table["class"]) == set(expected)
    if classes_setting == "4 + background":
        # Background has no particle in its centre, nor, as in the paper, anywhere in its window.
        places = built.table[built.table["class"] == "background"]
        scale = 3.5
        for row in places.itertuples():
            here = particles[particles["micrograph"] == row.micrograph]
            nearest = np.hypot(here["x"] * scale - row.x, here["y"] * scale - row.y).min()
            assert nearest > (0.35 if off_centre else 0.9) * DIAMETER * scale


@pytest.mark.slow
def test_without_room_between_particles_negatives_are_the_background(micrographs):
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(25, 448, 44), np.arange(25, 448, 44)))
    crowded = pd.concat([table(each.name, x, y, diameter=DIAMETER, view="top") for each in micrographs[:2]])
    picker = DeepCryoPicker(**TINY | dict(classes_setting="five classes")).fit(micrographs[:2], crowded)
    assert picker.training_set_.classes == ("top", "negative")
    assert any("no window is free of particles" in each for each in picker.decisions_)
    with pytest.raises(PickerError, match="no sample for the class 'background'"):
        DeepCryoPicker(**TINY | dict(off_centre=False)).fit(micrographs[:2], crowded)


@pytest.mark.slow
def test_nothing_need_be_held_out(micrographs, labels):
    picker = DeepCryoPicker(**TINY, validation=0)
    picker.diameter_, picker.contrast_, picker.factor_ = DIAMETER, "dark", 1.0
    held = DeepCryoPicker(**TINY)
    held.__dict__ |= {name: picker.__dict__[name] for name in ("diameter_", "contrast_", "factor_")}
    made = {}
    for name, each in (("none", picker), ("some", held)):
        pictures = Pictures(Micrographs(micrographs[:3]), each._prepare)
        made[name] = each._training_set(pictures, each._labelled_particles(labels)).table
    assert set(made["none"]["split"]) == {"train"}
    assert set(made["none"]["micrograph"]) == {each.name for each in micrographs[:3]}
    assert set(made["some"]["split"]) == {"train", "validation"}


def test_labelled_with_a_single_micrograph(micrographs, labels):
    picker = DeepCryoPicker(**TINY).fit(micrographs[:1], labels)
    assert set(picker.training_set_.table["split"]) == {"train"}
    assert "distribution of the scores" in picker.decisions_[-1]
    assert picker.history_.table["val_loss"].isna().all()


@pytest.mark.slow
def test_micrographs_as_paths(taught, micrographs, labels, tmp_path):
    paths = [tmp_path / f"{each.name}.mrc" for each in micrographs[:3]]
    for path, micrograph in zip(paths, micrographs, strict=False):
        write_mrc(path, micrograph.data)
    by_path = DeepCryoPicker(**TINY).fit(paths, labels)
    pd.testing.assert_frame_equal(by_path.pick(paths[0]), taught.pick(micrographs[0]), check_exact=True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"classes_setting": "six"}, "classes_setting"),
        ({"training": "old"}, "training"),
        ({"scoring": "fast"}, "scoring"),
        ({"stride": 12}, "stride.*12"),
        ({"padding": "full"}, "padding"),
        ({"width": 0}, "width"),
        ({"overlap": 1.5}, "overlap.*1.5"),
        ({"largest": 0}, "largest.*0"),
        ({"margin": -1}, "margin.*-1"),
        ({"epochs": 0}, "epochs"),
        ({"per_class": 3}, "per_class.*3"),
        ({"diameter": 2}, "diameter.*2"),
    ],
)
def test_settings_that_make_no_sense(settings, told):
    with pytest.raises((ValueError, TypeError), match=told):
        DeepCryoPicker(**settings)


def test_mistakes_are_told(micrographs, labels):
    with pytest.raises(PickerError, match="no micrographs"):
        DeepCryoPicker().fit([])
    with pytest.raises(PickerError, match="not been fitted"):
        DeepCryoPicker().pick(micrographs[0])
    with pytest.raises(PickerError, match="no particle is labelled"):
        DeepCryoPicker(**TINY).fit(micrographs[:2], labels.assign(micrograph="another"))
    with pytest.raises(PickerError, match="diameter"):
        DeepCryoPicker(**TINY | dict(diameter=None)).fit(micrographs[:2], labels.assign(diameter=np.nan))
    with pytest.raises(PickerError, match="fewer than 12 of any view"):
        DeepCryoPicker(**TINY).fit(micrographs[:2], labels.groupby("micrograph").head(3))
    with pytest.raises(MicrographError, match="too few for particles of 400"):
        levelled(micrographs[0], 400, "dark", 0.375, 227)


def test_component_1_by_the_kind_of_particle(micrographs):
    found = component1.training_particles(micrographs[:2], diameter=DIAMETER)
    assert found.picker.name == "supercryoempicker"
    assert set(found.particles["class"]) == {"irregular", "negative"}
    rings = [each for each, _ in simulate_set("apoferritin", 2, seed=1, shape=(448, 512))]
    found = component1.training_particles(rings, diameter=76)
    assert found.picker.name == "autocryopicker"
    counts = found.particles["class"].value_counts()
    assert counts["top"] > 0.9 * counts.drop("negative").sum()
    assert len(found.picks) > 20


def test_component_1_without_particles():
    noise = [
        Micrograph(np.random.default_rng(i).normal(size=(400, 400)).astype(np.float32), name=f"n{i}") for i in (0, 1)
    ]
    noise = [Micrograph(bin_fourier(each.data, 1.3).data, name=each.name) for each in noise]
    with pytest.raises(PickerError, match="give the diameter"):
        component1.training_particles(noise, diameter=60)
