"""The template picker on micrographs whose truth is known, on real ones, and on those that break pickers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from cryokit import coordinates, pickers
from cryokit._util.files import write_text
from cryokit.coordinates import COLUMNS, concatenate, table
from cryokit.errors import MicrographError, PickerError
from cryokit.evaluate import evaluate
from cryokit.micrograph import Micrograph, find, write_mrc
from cryokit.pickers.interface import Micrographs, spread
from cryokit.simulate import simulate, simulate_set


@dataclass(frozen=True)
class Scene:
    """Four small micrographs of one protein: two to fit a picker to, two that it has not seen."""

    protein: str
    diameter: float
    shape: tuple
    conditions: dict = field(default_factory=dict, hash=False)

    @cache  # noqa: B019  scenes live as long as the module
    def simulated(self):
        series = list(simulate_set(self.protein, 4, seed=11, shape=self.shape, **self.conditions))
        return [micrograph for micrograph, _ in series], concatenate(truth for _, truth in series)

    @property
    def seen(self):
        return self.simulated()[0][:2]

    @property
    def unseen(self):
        return self.simulated()[0][2:]

    @property
    def truth(self):
        return self.simulated()[1]

    @cache  # noqa: B019
    def picker(self):
        return pickers.create("template", diameter=self.diameter).fit(self.seen)


# Beta-galactosidase is brought to a signal at which people still see it in a single micrograph. A small micrograph
# holds so few particles of KLH, which is large, that crystals would outnumber them: there are none.
SCENES = {
    "apoferritin": Scene("apoferritin", 76, (640, 768)),
    "ribosome": Scene("ribosome", 50, (512, 576)),
    "betagal": Scene("betagal", 108, (1024, 960), {"snr": 1.2}),
    "klh": Scene("klh", 170, (1408, 1536), {"n_particles": 45, "contamination": 0, "carbon": False}),
}
APOFERRITIN = SCENES["apoferritin"]


@pytest.fixture(params=SCENES)
def scene(request):
    return SCENES[request.param]


@pytest.fixture(params=["apoferritin", "klh"])
def round_or_not(request):
    return SCENES[request.param]


def scored(picker, micrographs, truth, **settings):
    picks = concatenate(picker.pick(micrograph) for micrograph in micrographs)
    names = [micrograph.name for micrograph in micrographs]
    return evaluate(picks, truth, micrographs=names, bootstrap=0, **settings)


def changed(micrographs, change):
    return [Micrograph(change(each.data), name=each.name) for each in micrographs]


def noise(shape, seed=0):
    return Micrograph(np.random.default_rng(seed).normal(100, 10, shape), name=f"noise_{seed}")


def assert_same(one, other):
    pd.testing.assert_frame_equal(one, other, check_exact=True)


# --- how well ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protein", "least"),
    [("apoferritin", 0.93), ("ribosome", 0.9), pytest.param("betagal", 0.8, marks=pytest.mark.slow)],
)
def test_particles_of_unseen_micrographs_are_found(protein, least):
    scene = SCENES[protein]
    assert scored(scene.picker(), scene.unseen, scene.truth).f1 >= least


def test_klh_top_views_are_found_and_little_else_that_is_none():
    # One rotational average cannot stand for rings and rectangles at once; at this density the rings win.
    result = scored(SCENES["klh"].picker(), SCENES["klh"].unseen, SCENES["klh"].truth)
    recall = result.per_view.set_index("view").recall
    assert recall["top"] >= 0.9
    assert result.precision >= 0.8


def test_no_systematic_offset(scene):
    result = scored(scene.picker(), scene.seen + scene.unseen, scene.truth)
    found = result.picks[result.picks.outcome == "true"]
    particles = result.labels.loc[found.label]
    for axis in "xy":
        error = found[axis].to_numpy() - particles[axis].to_numpy()
        # Views with one heavy side scatter: half a pixel, or what chance gives.
        assert abs(error.mean()) <= 0.5 + 3 * error.std() / np.sqrt(error.size)


@pytest.mark.parametrize("spread", [0.5, 3])
@pytest.mark.parametrize(("shape", "diameter"), [((701, 843), 47), ((500, 520), 33.3), ((260, 400), 18)])
def test_discs_are_found_where_they_are(shape, diameter, spread):
    # Discs with a soft edge at places between the pixels; neither size nor shape is a multiple of the binning.
    rng = np.random.default_rng(int(diameter))
    cells = np.stack(np.meshgrid(*(np.arange(1, size / diameter / 2 - 1) for size in shape), indexing="ij"), axis=-1)
    centres = (cells.reshape(-1, 2) + rng.uniform(-0.2, 0.2, (cells[..., 0].size, 2))) * 2 * diameter
    centres = centres[rng.random(len(centres)) < 0.6]
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    data = 100 + rng.normal(0, spread, shape)
    for y, x in centres:
        data -= 2 / (1 + np.exp((np.hypot(rows - y, columns - x) - diameter / 2) / 1.5))
    micrograph = Micrograph(data, name="discs")
    # Few discs without any structure are taken for beads, unless the picker is told to look there, too.
    picks = pickers.create("template", diameter=diameter, keep_masked=True).fit([micrograph]).pick(micrograph)
    distance, pick = cKDTree(picks[["y", "x"]]).query(centres)
    assert distance.max() < 0.25 * diameter
    assert len(picks) <= 1.1 * len(centres)
    assert np.median(distance) < 0.1 * diameter
    error = picks[["y", "x"]].to_numpy()[pick] - centres
    assert np.abs(error.mean(axis=0)).max() < 0.35


def test_diameter_is_estimated():
    scene = Scene("ribosome", 50, (480, 512))
    picker = pickers.create("template", max_micrographs=1).fit(scene.seen)
    assert 0.7 * 50 <= picker.diameter_ <= 1.4 * 50
    known = pickers.create("template", diameter=50, max_micrographs=1).fit(scene.seen)
    assert scored(picker, scene.unseen, scene.truth).f1 >= scored(known, scene.unseen, scene.truth).f1 - 0.1
    assert (picker.pick(scene.unseen[0]).diameter == picker.diameter_).all()


# --- what comes out ------------------------------------------------------------------------------------------------


def test_table_of_picks(scene):
    micrograph = scene.unseen[0]
    picks = scene.picker().pick(micrograph, threshold=0)
    assert tuple(picks.columns) == COLUMNS
    assert set(picks.micrograph) == {micrograph.name}
    assert (picks.diameter == scene.diameter).all()
    assert picks.score.between(0, 1).all()
    assert picks.score.is_monotonic_decreasing
    assert picks.x.between(-0.5, scene.shape[1] - 0.5).all()
    assert picks.y.between(-0.5, scene.shape[0] - 0.5).all()
    distance, _ = cKDTree(picks[["x", "y"]]).query(picks[["x", "y"]], k=2)
    assert distance[:, 1].min() > 0.3 * scene.diameter


def test_a_lower_threshold_adds_picks_and_changes_none(scene):
    picker, micrograph = scene.picker(), scene.unseen[0]
    everything = picker.pick(micrograph, threshold=0)
    assert len(everything) > len(picker.pick(micrograph))
    for threshold in (None, 0.2, 0.9, 1.01):
        kept = everything[everything.score >= (picker.threshold_ if threshold is None else threshold)]
        assert_same(picker.pick(micrograph, threshold=threshold), kept.reset_index(drop=True))


def test_the_same_again(round_or_not):
    again = pickers.create("template", diameter=round_or_not.diameter).fit(round_or_not.seen)
    assert_same(
        again.pick(round_or_not.unseen[0], threshold=0), round_or_not.picker().pick(round_or_not.unseen[0], threshold=0)
    )


def test_saved_and_loaded(scene, tmp_path):
    picker = scene.picker()
    path = picker.save(tmp_path / "new" / "my.picker")
    assert path == tmp_path / "new" / "my.picker.npz"
    for loaded in (pickers.load(path), pickers.load(tmp_path / "new" / "my.picker"), type(picker).load(path)):
        assert_same(loaded.pick(scene.unseen[0], threshold=0), picker.pick(scene.unseen[0], threshold=0))
        assert (loaded.diameter, loaded.contrast, loaded.contrast_) == (scene.diameter, None, "dark")
    assert pickers.load(path).save(tmp_path / "again.npz") == tmp_path / "again.npz"
    assert_same(pickers.load(tmp_path / "again.npz").pick(scene.unseen[0]), picker.pick(scene.unseen[0]))


def test_bright_copies_give_the_same_picks(round_or_not):
    bright = changed(round_or_not.seen, np.negative)
    picker = pickers.create("template", diameter=round_or_not.diameter).fit(bright)
    assert picker.contrast_ == "bright"
    picks = picker.pick(*changed(round_or_not.unseen[:1], np.negative))
    assert_same(picks, round_or_not.picker().pick(round_or_not.unseen[0]))


def test_given_contrast_is_taken():
    picker = pickers.create("template", diameter=76, contrast="bright").fit(APOFERRITIN.seen[:1])
    assert picker.contrast_ == "bright"


def test_paths_do_as_well_as_micrographs(tmp_path):
    paths = [
        write_mrc(tmp_path / f"{each.name}.mrc", each.data) or tmp_path / f"{each.name}.mrc"
        for each in APOFERRITIN.seen
    ]
    picker = pickers.create("template", diameter=76).fit(iter(paths))
    assert_same(picker.pick(paths[0]), APOFERRITIN.picker().pick(APOFERRITIN.seen[0]))
    assert_same(picker.pick(str(paths[0])), APOFERRITIN.picker().pick(APOFERRITIN.seen[0]))


def test_labels_are_not_looked_at():
    nonsense = table(APOFERRITIN.seen[0].name, x=[1, 2, 3], y=[4, 5, 6], diameter=900)
    picker = pickers.create("template", diameter=76).fit(APOFERRITIN.seen, labels=nonsense)
    assert_same(picker.pick(APOFERRITIN.seen[0]), APOFERRITIN.picker().pick(APOFERRITIN.seen[0]))


# --- difficult micrographs -----------------------------------------------------------------------------------------


def test_gain_and_offset_do_not_matter():
    others = changed(APOFERRITIN.seen + APOFERRITIN.unseen, lambda data: 0.01 * data - 3)
    picker = pickers.create("template", diameter=76).fit(others[:2])
    assert scored(picker, others[2:], APOFERRITIN.truth).f1 >= 0.93


@pytest.mark.parametrize("value", [30, 1e5, -1e5])
def test_hot_and_dead_pixels(value):
    rng = np.random.default_rng(0)

    def spoilt(data):
        data = data.copy()
        data[rng.integers(0, data.shape[0], 25), rng.integers(0, data.shape[1], 25)] = data.mean() + value * data.std()
        return data

    spoilt_ones = changed(APOFERRITIN.seen + APOFERRITIN.unseen, spoilt)
    picker = pickers.create("template", diameter=76).fit(spoilt_ones[:2])
    assert picker.contrast_ == "dark"
    assert scored(picker, spoilt_ones[2:], APOFERRITIN.truth).f1 >= 0.93
    assert scored(APOFERRITIN.picker(), spoilt_ones[2:], APOFERRITIN.truth).f1 >= 0.93


@pytest.mark.parametrize("mode", ["constant", "edge"])
def test_padded_borders(mode):
    banded = changed(APOFERRITIN.seen + APOFERRITIN.unseen, lambda data: np.pad(data, [(25, 0), (60, 30)], mode=mode))
    truth = APOFERRITIN.truth.assign(x=APOFERRITIN.truth.x + 60, y=APOFERRITIN.truth.y + 25)
    picker = pickers.create("template", diameter=76).fit(banded[:2])
    assert scored(picker, banded[2:], truth).f1 >= 0.93
    for micrograph in banded[2:]:
        picks = picker.pick(micrograph, threshold=0)
        assert picks.x.between(59, 60 + 768).all()
        assert picks.y.min() >= 24


def test_crops():
    corner = 150, 230
    crops = changed(
        APOFERRITIN.seen + APOFERRITIN.unseen,
        lambda data: data[corner[0] : corner[0] + 256, corner[1] : corner[1] + 256],
    )
    truth = APOFERRITIN.truth.assign(x=APOFERRITIN.truth.x - corner[1], y=APOFERRITIN.truth.y - corner[0])
    inside = truth.x.between(0, 255) & truth.y.between(0, 255)
    whole = truth.x.between(38, 217) & truth.y.between(38, 217)
    truth.loc[~whole, "view"] = "ignore"
    picker = pickers.create("template", diameter=76).fit(crops[:2])
    assert scored(picker, crops, truth[inside]).f1 >= 0.85
    assert scored(APOFERRITIN.picker(), crops, truth[inside]).f1 >= 0.85


@pytest.mark.parametrize("seed", [3, 7])
def test_a_crystal_is_not_taken_for_the_particle(seed):
    # With some forty candidates on all of them, and one crystal that outshines these.
    series = list(simulate_set("apoferritin", 4, seed=seed, shape=(448, 512)))
    micrographs = [micrograph for micrograph, _ in series]
    picker = pickers.create("template", diameter=76).fit(micrographs)
    assert scored(picker, micrographs, concatenate(truth for _, truth in series)).f1 >= 0.9


@pytest.mark.parametrize("seed", range(3))
def test_without_particles_there_are_hardly_any_picks(seed):
    empty, truth = simulate("apoferritin", shape=(640, 768), n_particles=0, seed=100 + seed)
    assert len(truth) == 0
    # 640 x 768 pixels have room for about 90 particles.
    assert len(APOFERRITIN.picker().pick(empty)) <= 3
    assert len(APOFERRITIN.picker().pick(noise((640, 768), seed))) == 0


@pytest.mark.parametrize("diameter", [30, 60])
def test_noise_alone_is_not_taken_for_particles(diameter):
    picked = []
    for seed in range(4):
        micrograph = noise((320, 400), seed)
        picker = pickers.create("template", diameter=diameter, contrast="dark").fit([micrograph])
        picked.append(len(picker.pick(micrograph)))
    assert np.median(picked) == 0
    assert sum(n > 5 for n in picked) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_a_single_particle_is_found(seed):
    micrograph, truth = simulate(
        "apoferritin", shape=(640, 768), n_particles=1, seed=100 + seed, broken_fraction=0, overlap_fraction=0
    )
    picks = APOFERRITIN.picker().pick(micrograph)
    assert np.hypot(picks.x[0] - truth.x[0], picks.y[0] - truth.y[0]) < 0.1 * 76
    assert len(picks) <= 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (16, 16), (40, 200)])
def test_tiny_micrographs_do_not_break_a_fitted_picker(shape):
    assert len(APOFERRITIN.picker().pick(noise(shape))) == 0


def test_micrographs_of_different_shapes():
    shapes = ((640, 768), (500, 768), (640, 400), (300, 310))
    cut = [
        Micrograph(each.data[:rows, :columns], name=each.name)
        for each, (rows, columns) in zip(APOFERRITIN.seen + APOFERRITIN.unseen, shapes, strict=True)
    ]
    picker = pickers.create("template", diameter=76).fit(cut)
    assert scored(picker, APOFERRITIN.unseen, APOFERRITIN.truth).f1 >= 0.9


# --- errors --------------------------------------------------------------------------------------------------------


def test_too_small_micrographs():
    with pytest.raises(PickerError, match=r"noise_0: 100 .* 76"):
        pickers.create("template", diameter=76, contrast="dark").fit([noise((400, 100))])
    with pytest.raises(PickerError, match="64 pixels"):
        pickers.create("template", contrast="dark").fit([noise((300, 64))])


def test_no_micrographs():
    with pytest.raises(PickerError, match="no micrographs"):
        pickers.create("template", diameter=76).fit([])


def test_constant_micrograph():
    with pytest.raises(MicrographError, match="variation"):
        pickers.create("template", diameter=30).fit([Micrograph(np.full((300, 300), 7.0))])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("diameter", value) for value in (3, -76, float("nan"), float("inf"), "76")),
        *(("contrast", "darkish"), ("max_micrographs", 0)),
    ],
)
def test_impossible_settings(name, value):
    with pytest.raises(TypeError if value == "76" else ValueError, match=f"{name}.*{value}"):
        pickers.create("template", **{name: value})


def test_not_fitted(tmp_path):
    picker = pickers.create("template", diameter=76)
    with pytest.raises(PickerError, match="'template'"):
        picker.pick(noise((200, 200)))
    with pytest.raises(PickerError, match="'template'"):
        picker.save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_damaged_saved_pickers(tmp_path):
    whole = APOFERRITIN.picker().save(tmp_path / "a.npz")
    cut, text, other = tmp_path / "cut.npz", tmp_path / "text.npz", tmp_path / "other.npz"
    cut.write_bytes(whole.read_bytes()[:300])
    write_text(text, "not a picker")
    np.savez(other, a=np.zeros(3))
    for path in (cut, text, other, tmp_path / "missing.npz", tmp_path):
        with pytest.raises(PickerError, match=path.name):
            pickers.load(path)


# --- what all pickers share ----------------------------------------------------------------------------------------


@given(n=st.integers(0, 60), most=st.integers(1, 70))
def test_spread_takes_the_ends_and_keeps_the_order(n, most):
    items = list(range(n))
    chosen = spread(items, most)
    assert len(chosen) == min(n, most)
    assert chosen == sorted(set(chosen))
    if 2 <= most < n:
        assert (chosen[0], chosen[-1]) == (0, n - 1)
        gaps = np.diff(chosen)
        assert gaps.max() - gaps.min() <= 1


def test_micrographs_are_read_when_their_turn_comes(tmp_path):
    write_mrc(tmp_path / "a.mrc", noise((20, 30)).data)
    ready = noise((10, 10))
    micrographs = Micrographs(iter([ready, tmp_path / "a.mrc", str(tmp_path / "missing.mrc")]))
    assert micrographs.names == ["noise_0", "a", "missing"]
    assert [micrographs.shape(index) for index in (0, 1)] == [(10, 10), (20, 30)]
    for chosen in (micrographs, micrographs.subset([0, 1, 2]), Micrographs(micrographs), micrographs.spread(None)):
        iterator = iter(chosen)
        assert next(iterator) is ready
        assert next(iterator).name == "a"
        with pytest.raises(MicrographError, match="missing"):
            next(iterator)
        assert list(chosen.problems) == list(micrographs.problems) == [str(tmp_path / "missing.mrc")]
    assert micrographs.spread(2).names == ["noise_0", "missing"]
    with pytest.raises(PickerError):
        Micrographs.to_learn_from([])


def test_a_sequence_of_one_s_own_is_not_copied():
    class Numbered(Sequence):
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            asked.append(index)
            return noise((8, 8), index)

    asked = []
    assert [micrograph.name for micrograph in Micrographs(Numbered()).spread(3)] == [
        "noise_0",
        "noise_500",
        "noise_999",
    ]
    assert asked == [0, 500, 999]


def test_no_more_micrographs_are_read_than_asked_for(tmp_path):
    write_mrc(tmp_path / "a.mrc", APOFERRITIN.seen[0].data)
    missing = [tmp_path / f"missing_{i}.mrc" for i in range(5)]
    picker = pickers.create("template", diameter=76, max_micrographs=1)
    assert picker.fit([tmp_path / "a.mrc", *missing]).contrast_ == "dark"


# --- real micrographs ----------------------------------------------------------------------------------------------


def real(real_data, dataset, n=None):
    paths = find(real_data(dataset) / "micrographs")[:n]
    labels, _ = coordinates.read_folder(real_data(dataset) / "labels")
    return paths, labels


def real_f1(picker, paths, labels):
    picks = concatenate(picker.pick(path) for path in paths)
    return evaluate(picks, labels, micrographs=[path.stem for path in paths], bootstrap=0).f1


@pytest.mark.slow
@pytest.mark.real
def test_real_apoferritin(real_data):
    paths, labels = real(real_data, "apoferritin_10146")
    known = pickers.create("template", diameter=76).fit(paths)
    assert real_f1(known, paths, labels) >= 0.95
    # The estimate from two micrographs, the score on three others, to save time.
    estimated = pickers.create("template").fit(paths[:2])
    assert real_f1(estimated, paths[2:5], labels) >= real_f1(known, paths[2:5], labels) - 0.03


@pytest.mark.slow
@pytest.mark.real
def test_real_ribosome(real_data):
    paths, labels = real(real_data, "ribosome_10028")
    known = real_f1(pickers.create("template", diameter=50).fit(paths), paths, labels)
    assert known >= 0.94
    assert real_f1(pickers.create("template").fit(paths), paths, labels) >= known - 0.03


@pytest.mark.real
@pytest.mark.parametrize(
    ("dataset", "diameter", "n", "least"),
    [
        pytest.param("klh", None, None, 0.85, marks=pytest.mark.slow),
        ("klh_preprocessed", 170, None, 0.85),
        pytest.param("betagal_10017", 108, 2, 0.74, marks=pytest.mark.slow),
    ],
)
def test_other_real_micrographs(real_data, dataset, diameter, n, least):
    paths, labels = real(real_data, dataset, n)
    assert real_f1(pickers.create("template", diameter=diameter).fit(paths), paths, labels) >= least
