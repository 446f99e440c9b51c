"""The picker `relion_template`: its references, its figure of merit, and what it finds."""

import numpy as np
import pandas as pd
import pytest
from judging import judged
from projection import project

from cryokit.coordinates import IGNORE, concatenate, table
from cryokit.errors import PickerError
from cryokit.micrograph import Micrograph
from cryokit.pickers import class_averages as averaging
from cryokit.pickers.relion_template import RelionTemplatePicker, platt
from cryokit.simulate import CONDITIONS, MODELS, simulate_set
from cryokit.simulate.ctf import ctf
from cryokit.simulate.density import rotation_matrix


@pytest.fixture(scope="module")
def klh():
    """At half the usual magnification: particles are 85 pixels across."""
    return list(simulate_set("klh", 5, seed=31, shape=(1024, 1024), pixel_size=4.4, n_particles=32))


@pytest.fixture(scope="module")
def micrographs(klh):
    return [micrograph for micrograph, _ in klh]


@pytest.fixture(scope="module")
def labels(klh):
    return concatenate(truth for _, truth in klh)


@pytest.fixture(scope="module")
def picker(micrographs, labels):
    return RelionTemplatePicker().fit(micrographs[:4], labels)


def alike(reference, projection):
    """Largest correlation over rotations and small shifts, of a projection at the reference's scale."""
    side = reference.shape[0]
    mask = averaging.circle(side, side / 2)
    best = -1.0
    for degrees in range(0, 360, 5):
        turned = averaging.turned(projection, degrees)
        for shift in ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)):
            moved = np.roll(turned, shift, (0, 1))
            best = max(best, np.corrcoef(moved[mask], reference[mask])[0, 1])
    return best


def test_it_picks_micrographs_that_it_has_not_seen(picker, micrographs, labels):
    picks, result = judged(picker, micrographs[4:], labels)
    assert result.f1 > 0.93
    assert result.average_precision > 0.93
    true = result.picks[result.picks["outcome"] == "true"]
    assert true["distance"].median() < 0.03 * picker.diameter_
    assert picks["score"].between(picker.threshold_, 1).all()
    assert picker.pick(micrographs[4])["score"].is_monotonic_decreasing
    assert len(picker.pick(micrographs[4], threshold=0)) > 2 * len(picker.pick(micrographs[4]))


def test_references_are_the_projections_of_the_views(picker):
    assert sorted(set(picker.views_)) == ["side", "top"]
    side = picker.references_.shape[-1]
    pixel = 4.4 * picker.diameter_ / picker.working_diameter
    cloud = MODELS["klh"][0].cloud()
    top, lying = (project(cloud, rotation_matrix(0, tilt, 0), (side, side), pixel) for tilt in (0, 90))
    # Particles dark, and ringed by the defocus.
    top, lying = _through_the_lens(top, pixel), _through_the_lens(lying, pixel)
    for reference, view in zip(picker.references_, picker.views_, strict=True):
        own, other = (lying, top) if view == "side" else (top, lying)
        assert alike(reference, own) > max(0.75, alike(reference, other) + 0.1)


def _through_the_lens(image, pixel):
    usual = CONDITIONS["klh"]
    fy, fx = np.fft.fftfreq(image.shape[0], pixel)[:, None], np.fft.rfftfreq(image.shape[1], pixel)
    transfer = ctf(
        fx,
        fy,
        voltage=usual.voltage,
        cs=usual.cs,
        defocus_u=np.mean(usual.defocus),
        amplitude_contrast=usual.amplitude_contrast,
        b_factor=usual.b_factor,
    )
    return np.fft.irfft2(np.fft.rfft2(image) * transfer, image.shape)


def test_the_figure_of_merit_is_the_largest_correlation_coefficient_in_the_circle(picker, micrographs):
    picture, _ = picker._prepare(micrographs[4])
    merit = picker._merit(picture)
    assert merit.shape == picture.shape
    assert -1 <= merit.min() < merit.max() <= 1.0001
    smooth = averaging.low_passed(picture, picker.period_)
    half = picker.references_.shape[-1] // 2
    mask = averaging.circle(2 * half + 1, 1.1 * picker.working_diameter / 2)
    for row, column in ((40, 50), (111, 60), (97, 130)):
        box = smooth[row - half : row + half + 1, column - half : column + half + 1][mask]
        expected = max(
            np.corrcoef(averaging.turned(reference, degrees)[mask], box)[0, 1]
            for reference in picker.references_
            for degrees in range(0, 360, 5)
        )
        # Rotations that are as good as the same are left out.
        assert merit[row, column] == pytest.approx(expected, abs=0.025)


def test_the_figure_of_merit_does_not_depend_on_orientation_brightness_or_contrast(picker, micrographs):
    picture, _ = picker._prepare(micrographs[4])
    merit = picker._merit(picture)
    np.testing.assert_allclose(picker._merit(3 * picture + 5), merit, atol=5e-3)
    assert np.abs(np.rot90(picker._merit(np.rot90(picture).copy()), -1) - merit).max() < 0.05
    side = next(r for r, view in zip(picker.references_, picker.views_, strict=True) if view == "side")
    merits = []
    for degrees in np.arange(0, 180, 7.3):
        scene = np.random.default_rng(3).normal(0, 0.01, (120, 120)).astype(np.float32)
        box = averaging.turned(side, degrees)
        scene[40 : 40 + len(box), 50 : 50 + len(box)] += box
        merit = picker._merit(scene)
        assert np.unravel_index(merit.argmax(), merit.shape) == (40 + len(box) // 2, 50 + len(box) // 2)
        merits.append(merit.max())
    assert min(merits) > 0.9
    assert np.ptp(merits) < 0.08


def test_symmetric_references_need_fewer_rotations(picker):
    def rotations(reference):
        other = RelionTemplatePicker()
        other.diameter_, other.references_ = picker.diameter_, reference[None].astype(np.float32)
        other._rotate_references()
        return len(other._rotated)

    row, column = np.indices(picker.references_.shape[1:]) - picker.references_.shape[-1] // 2
    radius, azimuth = np.hypot(row, column), np.arctan2(row, column)
    ring = np.exp(-(((radius - 8) / 2) ** 2))
    assert rotations(ring) == 1
    bar = np.exp(-((column / 2) ** 2) - (row / 9) ** 2)
    assert rotations(bar) <= 36
    assert rotations(bar + np.exp(-((column - 7) ** 2 + (row - 5) ** 2) / 6)) > 36
    assert rotations(ring * (1 + np.cos(6 * azimuth))) <= 12


def test_saved_and_loaded_it_picks_the_same(picker, micrographs, tmp_path):
    path = picker.save(tmp_path / "references")
    assert path.suffix == ".npz"
    again = RelionTemplatePicker.load(path)
    assert (again.views_, again.decisions_) == (picker.views_, picker.decisions_)
    pd.testing.assert_frame_equal(again.pick(micrographs[4], threshold=0), picker.pick(micrographs[4], threshold=0))


@pytest.mark.slow
def test_same_seed_same_references_and_limits_are_kept(micrographs, labels):
    settings = dict(particles=20, classes=2, step=30, validation=0)
    first, second, other = (
        RelionTemplatePicker(**settings, seed=seed).fit(micrographs[:2], labels) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.references_, second.references_)
    assert first.calibration_ == second.calibration_
    assert not np.array_equal(first.references_, other.references_)
    assert len(first.references_) == 2
    assert sum("20 particles" in decision for decision in first.decisions_) == 2


@pytest.mark.slow
def test_more_particles_make_more_classes_within_the_limit(micrographs, labels):
    plain = labels.assign(view=np.where(labels["view"] == IGNORE, IGNORE, ""))
    few, many = (RelionTemplatePicker(classes=n, step=30, validation=0).fit(micrographs[:3], plain) for n in (1, 4))
    assert (len(few.references_), few.views_) == (1, [""])
    assert 2 <= len(many.references_) <= 4


def test_without_pixel_size_the_filter_follows_the_diameter(micrographs, labels, picker):
    settings = dict(particles=20, classes=2, step=30, validation=0)
    unknown = [Micrograph(micrograph.data, None, micrograph.name, None) for micrograph in micrographs[:2]]
    other = RelionTemplatePicker(**settings).fit(unknown, labels)
    assert other.period_ == pytest.approx(other.working_diameter / 10)
    # 20 Angstrom are less than a pixel of the picture here, 374 / 24 Angstrom wide.
    assert picker.period_ == pytest.approx(20 / (374 / 24), rel=0.02)
    coarser = RelionTemplatePicker(**settings, resolution=60).fit(micrographs[:2], labels)
    assert coarser.period_ == pytest.approx(60 / (374 / 24), rel=0.02)


def test_two_shapes_are_told_apart_and_averaged():
    rng = np.random.default_rng(5)
    side = 41
    row, column = np.indices((side, side)) - side // 2
    bar = np.exp(-((column / 3) ** 2) - (row / 11) ** 2)
    ring = np.exp(-(((np.hypot(row, column) - 9) / 2.5) ** 2))
    images = []
    for k in range(40):
        image = averaging.turned((bar, ring)[k % 2], rng.uniform(0, 360))
        image = np.roll(image, rng.integers(-2, 3, 2), (0, 1))
        images.append(image + rng.normal(0, 0.5, image.shape))
    averages, members = averaging.class_averages(np.array(images, np.float32), 2, 15, 26, rng)
    assert members.tolist() == [20, 20]
    best = [[alike(average, shape) for shape in (bar, ring)] for average in averages]
    assert sorted(np.argmax(best, axis=1).tolist()) == [0, 1]
    assert np.max(best, axis=1).min() > 0.8


def test_boxes_are_cut_between_the_pixels():
    row, column = np.mgrid[:60, :70]
    picture = np.exp(-((column - 30.3) ** 2 + (row - 20.7) ** 2) / 8).astype(np.float32)
    (box,) = averaging.cut(picture, np.array([[30.3, 20.7]]), 15)
    offset = np.arange(15) - 7
    assert box.shape == (15, 15)
    assert (box * offset).sum() / box.sum() == pytest.approx(0, abs=0.01)
    assert (box * offset[:, None]).sum() / box.sum() == pytest.approx(0, abs=0.01)
    assert np.isfinite(averaging.cut(picture, np.array([[-0.4, 59.4]]), 15)).all()


def test_low_pass_keeps_long_periods_and_removes_short_ones():
    def wave(period):
        return np.sin(2 * np.pi * np.arange(96) / period) * np.ones((96, 1))

    assert np.allclose(averaging.low_passed(wave(12), 8), wave(12), atol=1e-4)
    assert np.abs(averaging.low_passed(wave(6), 8)).max() < 1e-4
    assert np.array_equal(averaging.low_passed(wave(3), 1.5), wave(3).astype(np.float32))


def test_platt_gives_the_shares_of_overlapping_groups():
    rng = np.random.default_rng(0)
    true = np.repeat([False, True], 4000)
    slope, offset = platt(np.where(true, rng.normal(0.6, 0.1, 8000), rng.normal(0.3, 0.1, 8000)), true)
    # Two normals of equal width: log-odds (0.6 - 0.3) / 0.1^2 (x - 0.45).
    assert slope == pytest.approx(30, rel=0.1)
    assert -offset / slope == pytest.approx(0.45, abs=0.01)


def test_bad_input_is_one_clear_error(micrographs, labels):
    with pytest.raises(PickerError, match="relion_template"):
        RelionTemplatePicker().fit(micrographs[:1])
    with pytest.raises(PickerError, match=micrographs[0].name):
        RelionTemplatePicker().fit(micrographs[:1], table("other", [1], [1], diameter=85))
    with pytest.raises(PickerError, match="relion_template"):
        RelionTemplatePicker().pick(micrographs[0])
    for values, true in (([0.4, 0.1], [False, True]), ([0.4, 0.1], [True, True]), ([0.4, 0.1], [False, False])):
        with pytest.raises(PickerError):
            platt(np.array(values), np.array(true))
