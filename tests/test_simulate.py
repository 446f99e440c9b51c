"""The simulator: geometry of the truth, optics against closed forms, noise statistics, likeness to real data."""

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from projection import project
from scipy import ndimage

from cryokit.cli import main
from cryokit.coordinates import COLUMNS, IGNORE
from cryokit.errors import ArgumentError, SimulationError
from cryokit.simulate import (
    CONDITIONS,
    MODELS,
    PROTEINS,
    TRUTH_COLUMNS,
    Conditions,
    simulate,
    simulate_parts,
    simulate_set,
)
from cryokit.simulate.ctf import aberration, ctf, electron_wavelength, envelope
from cryokit.simulate.density import PROTEIN_POTENTIAL, Cloud, rotation_matrix, splat

CLEAN = dict(contamination=0, filaments=0, carbon=False, ice_gradient=0)


# --- optics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voltage", [80, 120, 200, 300])
def test_wavelength_is_de_broglies(voltage):
    h, m, e, c = 6.62607015e-34, 9.1093837015e-31, 1.602176634e-19, 299792458.0
    energy = e * voltage * 1e3
    momentum = math.sqrt(2 * m * energy * (1 + energy / (2 * m * c**2)))
    assert electron_wavelength(voltage) == pytest.approx(h / momentum * 1e10, rel=1e-6)


@pytest.mark.parametrize(("voltage", "wavelength"), [(300, 0.0197), (120, 0.0335)])
def test_ctf_of_pure_defocus_is_zero_where_the_path_difference_is_a_whole_wave(voltage, wavelength):
    for wave in (1, 2, 3):
        zero = math.sqrt(wave / (wavelength * 20000))  # 2 micrometres
        f = np.linspace(0.99, 1.01, 3) * zero
        values = ctf(f, np.zeros(3), voltage=voltage, cs=0, defocus_u=2.0, amplitude_contrast=0)
        assert values[0] * values[2] < 0
        assert abs(values[1]) < 0.02 * wave


def test_ctf_at_zero_frequency_is_the_amplitude_contrast_and_negative_at_underfocus():
    f = np.array([0.0, 0.005, 0.01])
    values = ctf(f, 0 * f, voltage=300, cs=2.7, defocus_u=2.0, amplitude_contrast=0.07)
    assert values[0] == pytest.approx(-0.07)
    assert (np.diff(values) < 0).all()
    over = ctf(f, 0 * f, voltage=300, cs=2.7, defocus_u=-2.0, amplitude_contrast=0)
    assert over[2] > 0


def test_spherical_aberration_balances_defocus_where_it_should():
    # chi = 0 again at f^2 = 2 dz / (Cs lambda^2): there both terms cancel.
    wavelength, cs, defocus = electron_wavelength(300), 2.7, 0.05
    f = np.array([math.sqrt(2 * defocus * 1e4 / (cs * 1e7 * wavelength**2))])
    assert aberration(f, 0 * f, voltage=300, cs=cs, defocus_u=defocus)[0] == pytest.approx(0, abs=1e-9)
    halfway = aberration(f / 2, 0 * f, voltage=300, cs=cs, defocus_u=defocus)[0]
    assert halfway == pytest.approx(3 / 16 * math.pi * wavelength * defocus * 1e4 * f[0] ** 2)


def test_astigmatism_gives_each_axis_its_own_defocus():
    along, across = math.radians(30), math.radians(120)
    for azimuth, defocus in ((along, 2.2), (across, 1.8), (math.radians(75), 2.0)):
        f = 0.04
        fx, fy = np.array([f * math.cos(azimuth)]), np.array([f * math.sin(azimuth)])
        astigmatic = ctf(fx, fy, voltage=200, cs=2.0, defocus_u=2.2, defocus_v=1.8, angle=30)
        assert astigmatic == pytest.approx(ctf(np.array([f]), np.zeros(1), voltage=200, cs=2.0, defocus_u=defocus))


def test_envelope_has_the_b_factor():
    assert envelope(np.array(0.08), np.array(0.06), 400) == pytest.approx(math.exp(-1))


# --- models --------------------------------------------------------------------------------------------------------


def form(protein, name):
    return next(f for f in MODELS[protein] if f.name == name)


@pytest.mark.parametrize(
    ("protein", "name", "megadalton", "sizes", "tolerance"),
    [
        ("klh", "didecamer", 8.0, (355, 355, 400), 25),
        ("apoferritin", "shell", 0.48, (130, 130, 130), 10),
        ("ribosome", "80S", 3.3, (270, 270, 270), 45),
        ("betagal", "tetramer", 0.465, (180, 130, 80), 15),
        ("ms2", "empty", 2.5, (270, 270, 270), 10),
        ("t20s", "20S", 0.7, (115, 115, 150), 8),
    ],
)
def test_models_have_the_mass_and_size_of_the_protein(protein, name, megadalton, sizes, tolerance):
    cloud = form(protein, name).cloud()
    # 1.21 cubic Angstrom to a dalton of protein.
    mass = cloud.weights.sum() / PROTEIN_POTENTIAL / 1.21e6
    assert mass == pytest.approx(megadalton, rel=0.35)
    assert np.allclose(np.ptp(cloud.points, axis=0), sizes, atol=tolerance)
    assert np.abs(np.average(cloud.points, axis=0, weights=cloud.weights)).max() < 0.01


@pytest.mark.parametrize("protein", PROTEINS)
def test_every_projection_has_the_same_mass(protein):
    cloud = MODELS[protein][0].cloud()
    pixel = 4.0
    side = 2 * int(cloud.radius / pixel + 10)
    masses = [
        project(cloud, rotation_matrix(*angles), (side, side), pixel).sum() * pixel**2
        for angles in [(0, 0, 0), (0, 90, 0), (40, 50, 60), (200, 120, 10)]
    ]
    assert np.allclose(masses, cloud.weights.sum(), rtol=1e-3)


def rings(picture, pixel):
    rows, columns = picture.shape
    distance = np.hypot(np.arange(rows)[:, None] - rows // 2, np.arange(columns) - columns // 2) * pixel
    return lambda low, high: picture[(distance >= low) & (distance < high)].mean()


def test_klh_from_the_top_is_a_ring_with_a_collar_inside():
    mean = rings(project(form("klh", "didecamer").cloud(), np.eye(3), (240, 240), 2.2), 2.2)
    assert mean(0, 40) < 0.05 * mean(130, 150)
    assert mean(80, 95) > 3 * mean(0, 40) + 0.05 * mean(130, 150)
    assert mean(190, 250) < 0.01 * mean(130, 150)


def test_klh_has_d5_symmetry():
    cloud = form("klh", "didecamer").cloud()
    view = lambda *angles: project(cloud, rotation_matrix(*angles), (120, 120), 4.4)  # noqa: E731
    reference = view(10, 70, 0)
    alike = lambda other: np.corrcoef(reference.ravel(), other.ravel())[0, 1]  # noqa: E731
    assert alike(view(82, 70, 0)) > 0.999
    # The two-fold axis along x: rot -> -rot with tilt -> 180 - tilt turns the projection by half a turn.
    assert alike(view(-10, 110, 180)) > 0.999
    assert alike(view(46, 70, 0)) < 0.999


def test_klh_from_the_side_has_six_stripes_across_the_axis():
    side = project(form("klh", "didecamer").cloud(), rotation_matrix(0, 90, 0), (240, 240), 2.2)
    # The axis lies along x here: rotation_matrix(0, 90, 0) takes z to -x.
    profile = side.sum(axis=0)
    peaks = [
        i for i in range(3, 237) if profile[i] == profile[i - 3 : i + 4].max() and profile[i] > 0.5 * profile.max()
    ]
    assert len(peaks) == 6
    assert 45 < np.mean(np.diff(peaks)) * 2.2 < 75


def test_apoferritin_is_hollow_from_everywhere():
    cloud = form("apoferritin", "shell").cloud()
    for angles in ((0, 0, 0), (30, 60, 0), (45, 54.7, 0)):
        mean = rings(project(cloud, rotation_matrix(*angles), (120, 120), 1.6), 1.6)
        assert mean(0, 25) < 0.75 * mean(42, 52)
        assert mean(68, 90) < 0.1 * mean(42, 52)


def test_ms2_is_hollow_or_full_of_rna():
    full, empty = (form("ms2", name).cloud() for name in ("virion", "empty"))
    for angles in ((0, 0, 0), (30, 60, 0), (45, 54.7, 0)):
        inside = [
            rings(project(cloud, rotation_matrix(*angles), (120, 120), 3.0), 3.0)(0, 60) for cloud in (full, empty)
        ]
        mean = rings(project(empty, rotation_matrix(*angles), (120, 120), 3.0), 3.0)
        assert mean(0, 60) < 0.6 * mean(110, 125)
        assert mean(140, 180) < 0.02 * mean(110, 125)
        assert inside[0] > 1.5 * inside[1]
    # About 1.1 MDa of RNA, whose potential is up to twice that of as much protein.
    rna = (full.weights.sum() - empty.weights.sum()) / PROTEIN_POTENTIAL / 1.21e6
    assert 0.8 < rna < 2.2


def test_ms2_has_icosahedral_symmetry():
    cloud = form("ms2", "empty").cloud()
    view = lambda *angles: ndimage.gaussian_filter(  # noqa: E731
        project(cloud, rotation_matrix(*angles), (100, 100), 3.2), 2
    )
    # Surface relief alone: what differs from the mean over many views.
    mean = np.mean([view(phi, theta, 0) for phi in range(0, 72, 12) for theta in range(0, 90, 15)], axis=0)
    inner = np.hypot(*(np.indices((100, 100)) - 50)) < 30
    alike = lambda a, b: np.corrcoef((a - mean)[inner], (b - mean)[inner])[0, 1]  # noqa: E731
    five = view(0, 0, 0)
    neighbour = np.degrees(np.arctan(2))  # the angle between two five-fold axes
    others = [max(alike(five, view(phi, neighbour, psi)) for psi in range(0, 72, 6)) for phi in range(0, 72, 6)]
    # Points are drawn at random, without symmetry, so no two views are the same.
    assert max(others) > 0.6
    assert np.median(others) < 0.2
    # Front and back of it are 36 degrees apart: ten-fold.
    assert alike(five, view(18, 0, 0)) < alike(five, view(72, 0, 0)) - 0.2


def test_t20s_from_the_end_is_a_seven_membered_ring_and_from_the_side_four_stripes():
    cloud = form("t20s", "20S").cloud()
    top = project(cloud, np.eye(3), (160, 160), 1.2)
    mean = rings(top, 1.2)
    assert mean(0, 8) < 0.5 * mean(32, 44)
    assert mean(63, 90) < 0.02 * mean(32, 44)
    azimuth = np.arange(0, 2 * np.pi, np.pi / 180)
    rim = ndimage.map_coordinates(top, [80 + 52 / 1.2 * np.sin(azimuth), 80 + 52 / 1.2 * np.cos(azimuth)], order=1)
    assert np.abs(np.fft.rfft(rim))[1:20].argmax() + 1 == 7
    # As in the side view of KLH the axis lies along x.
    side = project(cloud, rotation_matrix(0, 90, 0), (160, 160), 1.2)
    profile = ndimage.gaussian_filter1d(side.sum(axis=0), 2)
    peaks = [
        i for i in range(3, 157) if profile[i] == profile[i - 3 : i + 4].max() and profile[i] > 0.5 * profile.max()
    ]
    assert len(peaks) == 4
    assert 30 < np.mean(np.diff(peaks)) * 1.2 < 42
    # The middle chamber: fainter on the axis than off it, at half height between the two beta rings.
    middle = side[:, 76:85].mean(axis=1)
    assert middle[78:83].mean() < 0.95 * max(middle[45:75].max(), middle[85:115].max())


def test_t20s_has_d7_symmetry():
    cloud = form("t20s", "20S").cloud()
    view = lambda *angles: project(cloud, rotation_matrix(*angles), (80, 80), 2.4)  # noqa: E731
    alike = lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1]  # noqa: E731
    reference = view(10, 70, 0)
    assert alike(reference, view(10 + 360 / 7, 70, 0)) > 0.999
    assert alike(reference, view(-10, 110, 180)) > 0.995
    assert alike(reference, view(10 + 180 / 7, 70, 0)) < 0.99


def test_rotation_follows_relions_euler_angles():
    x, y, z = np.eye(3)
    assert np.allclose(rotation_matrix(90, 0, 0) @ y, x)
    assert np.allclose(rotation_matrix(0, 90, 0) @ z, -x)
    assert np.allclose(rotation_matrix(25, 0, 35), rotation_matrix(60, 0, 0))
    turn = rotation_matrix(20, 70, -50)
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)
    # The view direction, in the model's frame, is that of tilt and rot.
    assert np.allclose(
        turn.T @ z,
        [
            math.sin(math.radians(70)) * math.cos(math.radians(20)),
            math.sin(math.radians(70)) * math.sin(math.radians(20)),
            math.cos(math.radians(70)),
        ],
    )


@pytest.mark.parametrize(("x", "y"), [(20.0, 15.0), (20.37, 15.81), (0.2, 0.4), (-3.0, 50.0)])
def test_splat_puts_a_point_where_it_belongs_and_drops_what_is_outside(x, y):
    canvas = np.zeros((30, 40), np.float32)
    splat(canvas, Cloud(np.zeros((1, 3), np.float32), np.ones(1, np.float32), 1.0), np.eye(3), x, y, 1.0)
    rows, columns = np.indices(canvas.shape)
    if y > 30 or x < 0:
        assert canvas.sum() == 0
    else:
        assert canvas.sum() == pytest.approx(1)
        assert (canvas * columns).sum() == pytest.approx(x, abs=1e-5)
        assert (canvas * rows).sum() == pytest.approx(y, abs=1e-5)


# --- truth ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protein", "pixel_size"),
    [("klh", 6.0), ("apoferritin", 1.6), ("ribosome", 5.36), ("betagal", 1.77), ("ms2", 3.8), ("t20s", 1.8)],
)
def test_truth_is_the_centre_of_mass_of_what_is_drawn(protein, pixel_size):
    checked = 0
    for seed in range(12):
        # A lens that shows the projected potential itself: in focus, amplitude contrast only.
        parts = simulate_parts(
            protein, shape=(400, 440), pixel_size=pixel_size, n_particles=1, seed=seed, defocus=0, cs=0, b_factor=0,
            astigmatism=0, amplitude_contrast=1, mtf=1, overlap_fraction=0, broken_fraction=0, **CLEAN,
        )  # fmt: skip
        (x, y, diameter) = parts.truth.loc[0, ["x", "y", "diameter"]]
        reach = 0.75 * diameter
        if not (reach < x < 439 - reach and reach < y < 399 - reach):
            continue
        rows, columns = np.indices(parts.signal.shape)
        near = np.hypot(columns - x, rows - y) < reach
        weight = -parts.signal * near
        assert (weight * columns).sum() / weight.sum() == pytest.approx(x, abs=0.1)
        assert (weight * rows).sum() / weight.sum() == pytest.approx(y, abs=0.1)
        assert x % 1 != 0
        checked += 1
    assert checked >= 3


def test_truth_gives_the_orientation_that_was_drawn():
    parts = simulate_parts(
        "betagal", shape=(256, 256), n_particles=1, seed=0, defocus=0, cs=0, b_factor=0, astigmatism=0,
        amplitude_contrast=1, mtf=1, broken_fraction=0, overlap_fraction=0, **CLEAN,
    )  # fmt: skip
    row = parts.truth.loc[0]
    cloud = form("betagal", "tetramer").cloud()
    expected = np.zeros((256, 256), np.float32)
    splat(expected, cloud, rotation_matrix(row.phi, row.theta, row.psi), row.x, row.y, 1.77)
    wrong = np.zeros((256, 256), np.float32)
    splat(wrong, cloud, rotation_matrix(row.phi, row.theta, row.psi + 60), row.x, row.y, 1.77)
    near = np.hypot(*(np.indices((256, 256)) - np.array([row.y, row.x])[:, None, None])) < 60
    soft = lambda a: ndimage.gaussian_filter(a, 3)[near]  # noqa: E731
    alike = lambda a: np.corrcoef(soft(a), -soft(parts.signal))[0, 1]  # noqa: E731
    assert alike(expected) > 0.99
    assert alike(expected) > alike(wrong) + 0.1


def test_truth_is_a_table_of_picks_with_further_columns():
    micrograph, truth = simulate("klh", shape=(1024, 900), n_particles=12, seed=5)
    assert tuple(truth.columns) == COLUMNS + TRUTH_COLUMNS
    assert len(truth) == 12
    assert (truth["micrograph"] == micrograph.name).all()
    assert truth.x.between(-0.5, 899.5).all()
    assert truth.y.between(-0.5, 1023.5).all()
    assert set(truth["view"]) <= {"top", "side", IGNORE}
    assert micrograph.data.shape == (1024, 900)
    assert micrograph.data.dtype == np.float32
    assert micrograph.pixel_size == CONDITIONS["klh"].pixel_size


@pytest.mark.parametrize(
    ("protein", "view", "pixels"),
    [("klh", "top", 148), ("klh", "side", 170), ("apoferritin", "top", 76), ("ribosome", "irregular", 50),
     ("betagal", "irregular", 108), ("ms2", "top", 95.7), ("t20s", "top", 60), ("t20s", "side", 80)],
)  # fmt: skip
def test_diameters_are_those_of_labels_on_real_micrographs(protein, view, pixels):
    _, truth = simulate(protein, shape=(1024, 1024), n_particles=15, seed=1)
    assert np.allclose(truth.diameter[truth["view"] == view], pixels, atol=0.5)
    _, larger = simulate(
        protein, shape=(512, 512), pixel_size=2 * CONDITIONS[protein].pixel_size, n_particles=9, seed=1
    )
    assert np.allclose(larger.diameter[larger["view"] == view], pixels / 2, atol=0.5)


def test_views_of_klh_agree_with_their_tilt_and_tubes_are_ignored():
    truth = pd.concat(t for _, t in simulate_set("klh", 4, shape=(512, 512), pixel_size=8.8, n_particles=40, seed=2))
    assert truth.theta[truth["view"] == "top"].max() < 20
    assert (truth.theta[truth["view"] == "side"] - 90).abs().max() < 20
    tubes = truth[truth.form == "tube"]
    assert len(tubes) > 4
    assert (tubes["view"] == IGNORE).all()
    assert tubes.diameter.min() > 1.4 * truth.diameter[truth["view"] == "side"].max()


def test_both_views_of_t20s_and_both_kinds_of_ms2_occur():
    truth = pd.concat(t for _, t in simulate_set("t20s", 2, shape=(700, 700), n_particles=30, seed=2))
    assert (truth["view"] == "top").sum() > 5
    assert (truth["view"] == "side").sum() > (truth["view"] == "top").sum()
    assert truth.theta[truth["view"] == "top"].max() < 25
    assert (truth.theta[truth["view"] == "side"] - 90).abs().max() < 30
    _, truth = simulate("ms2", n_particles=60, seed=2)
    assert set(truth.form) == {"virion", "empty"}
    assert set(truth["view"]) <= {"top", IGNORE}


def test_flags_of_overlapping_and_broken_particles_say_what_is_drawn():
    settings = dict(shape=(1024, 1024), n_particles=100, seed=3, overlap_fraction=0.2, broken_fraction=0.1)
    _, truth = simulate("apoferritin", **settings)
    assert truth.broken.sum() == 10
    assert (truth["view"][truth.broken] == IGNORE).all()
    assert truth.overlap.sum() >= 20
    for a, b in itertools.combinations(truth.itertuples(), 2):
        distance = math.hypot(a.x - b.x, a.y - b.y) / a.diameter
        if distance < 0.85:
            assert a.overlap
            assert b.overlap
        if distance < 0.6:
            assert a.view == b.view == IGNORE
    _, calm = simulate("apoferritin", **{**settings, "n_particles": 60, "overlap_fraction": 0, "broken_fraction": 0})
    assert not calm.overlap.any()
    assert not calm.broken.any()
    centres = calm[["x", "y"]].to_numpy()
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 1e9 * np.eye(len(calm))
    assert gaps.min() > 0.85 * 76
    away = np.minimum.reduce([calm.x, calm.y, 1023 - calm.x, 1023 - calm.y])
    assert ((calm["view"] == IGNORE) == (away < 0.25 * 76)).all()


def test_a_broken_particle_has_lost_a_good_part():
    whole, broken = (
        simulate_parts(
            "apoferritin", shape=(300, 300), n_particles=1, seed=8, broken_fraction=fraction, overlap_fraction=0,
            amplitude_contrast=1, defocus=0, cs=0, mtf=1, **CLEAN,
        )
        for fraction in (0, 1)
    )  # fmt: skip
    assert broken.truth.broken[0]
    assert whole.truth.x[0] == broken.truth.x[0]
    x, y = whole.truth.loc[0, ["x", "y"]]
    near = np.hypot(np.arange(300) - x, np.arange(300)[:, None] - y) < 45
    assert 0.25 < broken.signal[near].sum() / whole.signal[near].sum() < 0.85


def test_clustering_crowds_the_particles():
    def crowding(clustering):
        nearest = []
        for _, truth in simulate_set(
            "ribosome",
            6,
            shape=(1024, 1024),
            n_particles=60,
            seed=4,
            clustering=clustering,
            overlap_fraction=0,
            **CLEAN,
        ):
            counts, *_ = np.histogram2d(truth.x, truth.y, bins=4, range=[[0, 1024]] * 2)
            nearest.append(counts.var() / counts.mean())
        return np.mean(nearest)

    assert crowding(1.0) > 1.5 * crowding(0.0)


# --- micrograph ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protein", PROTEINS)
def test_same_seed_same_bytes(protein):
    first, truth = simulate(protein, shape=(256, 300), n_particles=3, seed=7)
    second, again = simulate(protein, shape=(256, 300), n_particles=3, seed=7)
    other, _ = simulate(protein, shape=(256, 300), n_particles=3, seed=8)
    assert first.data.tobytes() == second.data.tobytes()
    pd.testing.assert_frame_equal(truth, again)
    assert not np.array_equal(first.data, other.data)


def test_dirt_and_dose_do_not_move_the_particles():
    _, truth = simulate("apoferritin", shape=(400, 400), n_particles=8, seed=3, contamination=0)
    _, dirty = simulate("apoferritin", shape=(400, 400), n_particles=8, seed=3, contamination=300, dose=5)
    pd.testing.assert_frame_equal(truth, dirty)


def test_a_longer_set_begins_like_a_shorter_one_and_nothing_repeats():
    short = list(simulate_set("betagal", 2, shape=(200, 200), n_particles=2, seed=1))
    long = list(simulate_set("betagal", 3, shape=(200, 200), n_particles=2, seed=1, name="a"))
    for (a, truth), (b, same) in zip(short, long, strict=False):
        assert np.array_equal(a.data, b.data)
        assert truth.x.equals(same.x)
    assert [m.name for m, _ in short] == ["betagal_001", "betagal_002"]
    assert [m.name for m, _ in long] == ["a_001", "a_002", "a_003"]
    assert not np.array_equal(long[0][0].data, long[1][0].data)


@pytest.mark.parametrize("protein", PROTEINS)
def test_particles_are_dark_under_focus_and_bright_over_focus(protein):
    for defocus, sign in ((2.0, -1), (-2.0, 1)):
        parts = simulate_parts(
            protein, shape=(512, 512), n_particles=4, seed=2, defocus=defocus, amplitude_contrast=0.0,
            pixel_size=max(3.0, CONDITIONS[protein].pixel_size), **CLEAN,
        )  # fmt: skip
        assert sign * (np.abs(parts.signal) ** 2 * parts.signal).sum() > 0


def low_passed_variance(data, pixel_size, mask=None):
    f = np.hypot(np.fft.fftfreq(data.shape[0], pixel_size)[:, None], np.fft.fftfreq(data.shape[1], pixel_size)[None, :])
    passed = np.fft.ifft2(np.fft.fft2(data) * (f <= min(1 / 20, 0.5 / pixel_size))).real
    return passed[mask].var() if mask is not None else passed.var()


@pytest.mark.parametrize(
    ("protein", "snr", "pixel_size"),
    [("apoferritin", 0.5, None), ("apoferritin", 0.05, 3.2), ("ribosome", 1.0, None), ("klh", 0.2, 4.4)],
)
def test_snr_measured_is_snr_asked(protein, snr, pixel_size):
    parts = simulate_parts(protein, shape=(512, 512), n_particles=10, seed=6, snr=snr, pixel_size=pixel_size)
    truth = parts.truth[parts.truth["view"] != IGNORE]
    rows, columns = np.indices((512, 512))
    discs = np.zeros((512, 512), bool)
    for x, y, diameter in truth[["x", "y", "diameter"]].to_numpy():
        discs |= (columns - x) ** 2 + (rows - y) ** 2 <= (diameter / 2) ** 2
    pixel = parts.micrograph.pixel_size
    measured = low_passed_variance(parts.signal, pixel, discs) / low_passed_variance(parts.noise, pixel)
    assert measured == pytest.approx(snr, rel=0.12)
    assert parts.snr == pytest.approx(measured, rel=0.01)


def test_snr_follows_the_dose():
    settings = dict(shape=(512, 512), n_particles=12, seed=6, ice=0, mottle=0, **CLEAN)
    low, high = (simulate_parts("apoferritin", dose=dose, **settings).snr for dose in (10, 40))
    assert high / low == pytest.approx(4, rel=0.1)


def test_parts_add_up():
    parts = simulate_parts("klh", shape=(400, 400), n_particles=3, seed=1, carbon=True)
    assert np.allclose(parts.signal + parts.background + parts.noise, parts.micrograph.data, rtol=1e-5)
    assert abs(parts.noise.mean()) < 0.01 * parts.micrograph.data.mean()


@pytest.mark.parametrize("dose", [2.0, 30.0])
def test_shot_noise_is_poisson(dose):
    parts = simulate_parts("betagal", shape=(512, 512), n_particles=0, dose=dose, mtf=1, ice=0, mottle=0, **CLEAN)
    mean = dose * 1.77**2
    data = parts.micrograph.data
    assert data.mean() == pytest.approx(mean, rel=0.01)
    assert data.var() == pytest.approx(mean, rel=0.02)
    assert np.array_equal(data, np.round(data))


def test_detector_takes_from_the_noise_what_its_mtf_says():
    parts = simulate_parts("apoferritin", shape=(512, 512), n_particles=0, dose=20, mtf=0.3, ice=0, mottle=0, **CLEAN)
    power = np.abs(np.fft.fft2(parts.noise)) ** 2 / parts.noise.size / (20 * 1.6**2)
    f = np.abs(np.fft.fftfreq(512))
    for low, high in ((0.05, 0.15), (0.35, 0.45)):
        ring = (np.hypot(f[:, None], f[None, :]) >= low) & (np.hypot(f[:, None], f[None, :]) < high)
        expected = (0.3 ** (2 * (np.hypot(f[:, None], f[None, :])[ring] / 0.5) ** 2)).mean()
        assert power[ring].mean() == pytest.approx(expected, rel=0.05)


def test_ice_shows_thon_rings():
    settings = dict(shape=(512, 512), n_particles=0, defocus=2.0, astigmatism=0, mtf=1, mottle=0, **CLEAN)
    noise = simulate_parts("apoferritin", ice=3, **settings).noise
    power = np.abs(np.fft.fft2(noise)) ** 2
    f = np.fft.fftfreq(512, 1.6)
    radius = np.hypot(f[:, None], f[None, :])
    at = lambda wanted: power[np.abs(radius - wanted) < 0.0015].mean()  # noqa: E731
    wavelength = 0.0197
    zeros = [math.sqrt(n / (wavelength * 20000)) for n in (1, 2)]
    peaks = [math.sqrt((n + 0.5) / (wavelength * 20000)) for n in (0, 1)]
    assert at(peaks[0]) > 1.5 * at(zeros[0])
    assert at(peaks[1]) > 1.5 * at(zeros[1])


def test_carbon_is_there_darker_and_free_of_particles():
    for seed in range(4):
        settings = dict(shape=(700, 800), n_particles=15, seed=seed, contamination=0, filaments=0, ice_gradient=0)
        parts = simulate_parts("apoferritin", carbon=True, **settings)
        clean = simulate_parts("apoferritin", carbon=False, **settings)
        relative = parts.background / np.median(clean.background)
        film = ndimage.uniform_filter(relative, 15) < 0.96
        assert 0.02 < film.mean() < 0.45
        x, y = parts.truth.x.round().astype(int), parts.truth.y.round().astype(int)
        whole = parts.truth["view"] != IGNORE
        assert not film[y[whole].clip(0, 699), x[whole].clip(0, 799)].any()
        assert np.std(relative[film]) > 1.5 * np.std(relative[~film])
        assert np.allclose(clean.background, np.median(clean.background), rtol=1e-3)


def test_contamination_is_dark_blobs_beside_the_particles():
    counts = []
    for contamination in (0, 100):
        parts = simulate_parts(
            "apoferritin", shape=(800, 800), n_particles=10, seed=2, contamination=contamination, carbon=False,
            ice_gradient=0,
        )  # fmt: skip
        dark = parts.background < 0.96 * np.median(parts.background)
        counts.append(dark.mean())
    assert counts[0] == 0
    assert 0.005 < counts[1] < 0.3


def test_ice_gradient_is_the_deviation_of_the_background():
    parts = simulate_parts("klh", shape=(600, 500), n_particles=0, ice_gradient=0.05, contamination=0, filaments=0,
                           carbon=False)  # fmt: skip
    assert parts.background.std() / parts.background.mean() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("protein", PROTEINS)
@pytest.mark.parametrize("shape", [(32, 32), (64, 100), (256, 256)])
@pytest.mark.parametrize("n_particles", [0, 1])
def test_small_micrographs_and_few_particles(protein, shape, n_particles):
    for seed, carbon in ((0, True), (1, False)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            micrograph, truth = simulate(
                protein, shape=shape, n_particles=n_particles, seed=seed, carbon=carbon, contamination=200
            )
        assert micrograph.data.shape == shape
        assert np.isfinite(micrograph.data).all()
        assert len(truth) == n_particles
        assert tuple(truth.columns) == COLUMNS + TRUTH_COLUMNS


def test_every_particle_overlapping_or_broken_still_works():
    _, truth = simulate("klh", shape=(600, 600), n_particles=5, seed=0, overlap_fraction=1, broken_fraction=1)
    assert len(truth) == 5
    assert (truth["view"] == IGNORE).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(protein="lysozyme"), "'klh'.*'lysozyme'"),
        (dict(n_particles=-1), "n_particles .*-1"),
        (dict(shape=(20, 400)), "shape .*20"),
        (dict(snr=0), "snr .*0"),
        (dict(dose=-3), "dose .*-3"),
        (dict(mtf=1.5), "mtf .*1.5"),
        (dict(pixel_size=0), "pixel_size .*0"),
        (dict(defocus=40), "defocus .*40"),
        (dict(brightness=3), "'brightness'"),
        (dict(overlap_fraction=2), "overlap_fraction .*2"),
    ],
)
def test_settings_out_of_range_are_one_clear_error(settings, words):
    with pytest.raises(ArgumentError, match=words):
        simulate(**{"protein": "klh", "shape": (256, 256), **settings})


def test_more_particles_than_there_is_room_for():
    with pytest.raises(SimulationError, match="1000"):
        simulate("klh", shape=(256, 256), n_particles=1000)


def test_every_protein_has_a_model_and_conditions():
    assert tuple(MODELS) == PROTEINS


def test_own_conditions_replace_the_proteins():
    conditions = Conditions(
        pixel_size=3, voltage=200, cs=1.4, defocus=(1, 1), dose=10, mtf=1, ice=0, mottle=0, contrast=1, density=0,
        b_factor=0,
    )  # fmt: skip
    micrograph, truth = simulate("apoferritin", shape=(128, 128), conditions=conditions, **CLEAN)
    assert micrograph.pixel_size == 3
    assert truth.empty
    assert micrograph.data.mean() == pytest.approx(90, rel=0.01)


# --- command -------------------------------------------------------------------------------------------------------


def test_command_writes_micrographs_and_labels(tmp_path):
    import mrcfile

    words = ["simulate", "apoferritin", "-n", "2", "--shape", "200", "240", "--particles", "5", "--seed", "3"]
    assert main([*words, "--out", str(tmp_path / "a")]) == 0
    assert main([*words, "--out", str(tmp_path / "b")]) == 0
    for name in ("apoferritin_001", "apoferritin_002"):
        with mrcfile.open(tmp_path / "a" / f"{name}.mrc") as file, mrcfile.open(tmp_path / "b" / f"{name}.mrc") as twin:
            assert file.data.shape == (200, 240)
            assert file.voxel_size.x == pytest.approx(1.6)
            assert np.array_equal(file.data, twin.data)
        labels = pd.read_csv(tmp_path / "a" / "labels" / f"{name}.csv")
        assert list(labels.columns) == ["x", "y", "diameter", "view"]
        assert len(labels) == 5
    expected = list(simulate_set("apoferritin", 2, seed=3, shape=(200, 240), n_particles=5))[1][1]
    assert np.allclose(labels.x, expected.x, atol=1e-3)


def test_command_passes_settings_on_and_reports_errors(tmp_path, capsys):
    words = ["simulate", "betagal", "--shape", "128", "128", "--out", str(tmp_path)]
    assert main([*words, "--particles", "0", "--dose", "8", "--pixel-size", "2", "--no-carbon", "--defocus", "1"]) == 0
    import mrcfile

    with mrcfile.open(tmp_path / "betagal_001.mrc") as file:
        assert file.data.mean() == pytest.approx(32, rel=0.05)
    assert (tmp_path / "labels" / "betagal_001.csv").read_text().strip() == "x,y,diameter,view"
    assert main([*words, "--particles", "900"]) == 1
    assert "900" in capsys.readouterr().err


# --- likeness ------------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(
    ("protein", "folder"),
    [
        pytest.param("klh", "klh", marks=pytest.mark.slow),
        ("apoferritin", "apoferritin_10146"),
        ("ribosome", "ribosome_10028"),
    ],
)
def test_power_spectrum_and_grey_levels_are_like_real_ones(real_data, protein, folder):
    from cryokit.micrograph import find, read

    real = [read(path) for path in find([real_data(folder) / "micrographs"])[-3:]]
    labels = [pd.read_csv(real_data(folder) / "labels" / f"{m.name}.csv") for m in real]
    shape = real[0].data.shape
    made = [m for m, _ in simulate_set(protein, 3, shape=shape, n_particles=len(labels[0]), carbon=False, seed=1)]

    def spectrum(data, side=256):
        window = np.outer(np.hanning(side), np.hanning(side))
        tiles = [
            data[r : r + side, c : c + side]
            for r in range(0, data.shape[0] - side + 1, side)
            for c in range(0, data.shape[1] - side + 1, side)
        ]
        power = np.mean([np.abs(np.fft.fft2((t - t.mean()) * window)) ** 2 for t in tiles], axis=0)
        f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
        edges = np.linspace(0.02, 0.5, 25)
        rings = [power[(f >= low) & (f < high)].mean() for low, high in itertools.pairwise(edges)]
        return np.log(np.array(rings) / np.mean(rings))

    def skew(data):
        small = data[: shape[0] // 8 * 8, : shape[1] // 8 * 8].reshape(shape[0] // 8, 8, shape[1] // 8, 8).mean((1, 3))
        return ((small - small.mean()) ** 3).mean() / small.std() ** 3

    apart = np.mean([spectrum(m.data) for m in real], axis=0) - np.mean([spectrum(m.data) for m in made], axis=0)
    assert np.abs(apart).mean() < 0.25  # the power agrees to a quarter, over the two decades that it falls
    assert np.abs(apart).max() < 0.8
    assert np.mean([skew(m.data) for m in made]) == pytest.approx(np.mean([skew(m.data) for m in real]), abs=0.8)
