"""What the lessons compute with: spectra, separation of pixels, intervals, masks against labels."""

import numpy as np
import pytest

from cryokit import coordinates, evaluate, imaging
from cryokit.errors import ArgumentError
from cryokit.evaluate.pixel_separation import outline_steepness, separation, true_areas
from cryokit.plot.micrograph_figures import ctf_zeros, squares_around
from cryokit.segmentation.by_name import CLUSTERINGS, clustered
from cryokit.segmentation.decision_truth import allowed, kind


class TestPowerSpectrum:
    def test_a_wave_is_a_pair_of_points(self):
        column = np.arange(256)
        wave = np.cos(2 * np.pi * 16 * column / 64)[None] * np.ones((256, 1))
        spectrum = imaging.power_spectrum(wave, tile=64)
        assert spectrum.shape == (64, 64)
        strongest = {tuple(place) for place in np.argwhere(spectrum > 0.99 * spectrum.max())}
        assert strongest == {(32, 32 - 16), (32, 32 + 16)}

    def test_rings(self):
        row, column = np.indices((64, 64)) - 32
        means = imaging.radial_mean(np.hypot(row, column))
        assert np.abs(means - np.arange(32) - 0.5).max() < 0.6

    def test_tile_does_not_fit(self):
        with pytest.raises(ArgumentError, match="tile"):
            imaging.power_spectrum(np.eye(64), tile=128)


def test_zeros_of_the_ctf_move_inwards_with_defocus():
    near, far = ctf_zeros("apoferritin", 1.0), ctf_zeros("apoferritin", 4.0)
    assert (far < near).all()
    # Without spherical aberration and amplitude contrast the first is at 1 / sqrt(wavelength * defocus).
    assert near[0] == pytest.approx((0.0197 * 1e4) ** -0.5, rel=0.05)


class TestSeparation:
    labels = coordinates.table("a", [50, 150], [50, 150], diameter=40, view=["top", "ignore"])

    def test_areas(self):
        particle, background = true_areas((200, 200), self.labels, (200, 200), 40)
        assert particle[50, 50]
        assert not particle[150, 150]
        assert not background[50, 72]
        assert not background[150, 150]
        assert background[50, 76]
        assert not (particle & background).any()
        assert particle.sum() == pytest.approx(np.pi * 18**2, rel=0.03)

    def test_areas_of_a_binned_picture(self):
        particle, _ = true_areas((100, 100), self.labels, (200, 200), 40)
        assert particle.sum() == pytest.approx(np.pi * 9**2, rel=0.06)

    def test_dark_particles_are_told_apart(self):
        areas = true_areas((200, 200), self.labels, (200, 200), 40)
        assert separation(np.where(areas[0], 0.0, 1.0), areas) == 1
        assert separation(np.where(areas[0], 1.0, 0.0), areas) == 0
        assert separation(np.zeros((200, 200)), areas) == 0.5

    def test_a_sharp_outline_is_steeper(self):
        from scipy.ndimage import gaussian_filter

        areas = true_areas((200, 200), self.labels, (200, 200), 40)
        row, column = np.indices((200, 200))
        noise = 0.05 * np.random.default_rng(0).standard_normal((200, 200))
        sharp = (np.hypot(row - 50, column - 50) > 20) + noise
        blurred = gaussian_filter(np.hypot(row - 50, column - 50) > 20, 6, output=float) + noise
        assert outline_steepness(sharp, areas) > outline_steepness(blurred, areas)


class TestWilson:
    def test_covers_the_share_as_often_as_it_says(self):
        hits = np.random.default_rng(0).binomial(40, 0.9, 4000)
        intervals = {k: evaluate.wilson(int(k), 40) for k in np.unique(hits)}
        covered = np.mean([intervals[k][0] <= 0.9 <= intervals[k][1] for k in hits])
        assert covered == pytest.approx(0.95, abs=0.03)

    def test_ends(self):
        assert evaluate.wilson(0, 0) == (0, 1)
        assert evaluate.wilson(10, 10)[1] == pytest.approx(1)
        assert 0.6 < evaluate.wilson(10, 10)[0] < 0.8

    def test_more_hits_than_trials(self):
        with pytest.raises(ArgumentError, match="hits"):
            evaluate.wilson(3, 2)


def test_squares_lie_around_whole_particles():
    from cryokit.micrograph import Micrograph

    data = np.arange(100 * 80, dtype=np.float32).reshape(100, 80)
    labels = coordinates.table("a", [40, 3, 20], [50, 50, 20], view=["top", "top", "ignore"])
    (square,) = squares_around(Micrograph(data, name="a"), labels, 10)
    assert square[5, 5] == data[50, 40]


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_every_clustering_finds_two_grey_values(name):
    picture = np.zeros((60, 60), np.float32)
    picture[:, 30:] = 1
    labels = clustered(name, picture, 2, 20).labels
    assert len(np.unique(labels[:, :25])) == len(np.unique(labels[:, 35:])) == 1
    assert labels[0, 0] < labels[0, -1]


def test_unknown_clustering():
    with pytest.raises(ArgumentError, match="spectral"):
        clustered("spectral", np.eye(20, dtype=np.float32), 2, 5)


def test_reasons_without_numbers():
    assert kind("fills 0.61 of 2 rectangles") == "fills # of # rectangles"


@pytest.mark.parametrize(
    ("option", "limits", "expected"),
    [
        ("size", {"size": 0.2}, (-0.2, 0.2)),
        ("smallest", {"smallest": 0.4, "largest": 2}, (0.4, 2)),
        ("aspect", {"aspect": 1.5}, (-np.inf, 1.5)),
        ("circle_fit", {"circle_fit": 0.7}, (0.7, np.inf)),
    ],
)
def test_what_a_limit_allows(option, limits, expected):
    assert allowed(option, limits) == expected
