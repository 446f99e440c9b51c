"""Patches: their grain, what changes them by mishap, and what is at their places."""

import numpy as np
import pandas as pd
import pytest

from cryokit.coordinates import table
from cryokit.errors import ArgumentError
from cryokit.networks.patches.against_truth import DAMAGED, NOTHING, WHOLE, truth_at
from cryokit.networks.patches.grain import best_split, coarsened, grain, with_noise_of
from cryokit.networks.patches.mishaps import greyed, likeness, mishaps, zoomed


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal((6, 64, 64, 1)).astype(np.float32)


class TestGrain:
    def test_white_noise_has_none(self, noise):
        assert np.abs(grain(noise)).max() < 0.06

    @pytest.mark.parametrize("wanted", [0.7, 0.9])
    def test_coarsened_reaches_what_is_wanted(self, noise, wanted):
        coarse = coarsened(noise, wanted)
        assert grain(coarse) == pytest.approx(np.full(6, wanted), abs=0.03)
        assert coarse.std(axis=(1, 2)) == pytest.approx(np.ones((6, 1)), abs=1e-3)

    def test_what_is_coarse_stays(self, noise):
        coarse = coarsened(noise, 0.9)
        assert np.array_equal(coarsened(coarse, 0.5), coarse)

    def test_noise_of_others_brings_their_grain_and_keeps_the_shape(self, noise):
        square = np.zeros((1, 64, 64, 1), np.float32)
        square[0, 20:44, 20:44] = -2
        coarse = coarsened(noise, 0.9)
        patch = square + coarse[:1]
        patch = (patch - patch.mean()) / patch.std()
        fine = with_noise_of(patch, noise, 4)
        assert grain(fine)[0] < grain(patch)[0] - 0.1
        assert likeness(patch, fine, 24)[0] > 0.8
        assert fine.std() == pytest.approx(1, abs=1e-3)

    def test_shape(self):
        with pytest.raises(ArgumentError, match="pictures"):
            grain(np.zeros((4, 4)))

    def test_split_of_what_overlaps(self):
        limit, share = best_split([1, 2, 3, 2.5, 4, 5], [False] * 3 + [True] * 3)
        assert share == pytest.approx(5 / 6)
        assert 2 < limit < 4

    def test_split_needs_two_groups(self):
        with pytest.raises(ArgumentError, match="members"):
            best_split([1, 2], [True, True])


class TestMishaps:
    def test_every_one_changes_the_patches(self, noise):
        changed = mishaps(noise)
        original = changed.pop("as trained")
        assert len(changed) == 5
        assert all(each.shape == noise.shape and not np.allclose(each, original) for each in changed.values())

    def test_zoomed_keeps_the_middle(self):
        picture = np.zeros((1, 41, 41, 1), np.float32)
        picture[0, 15:26, 15:26] = 1
        wide = zoomed(picture, 2)[0, 20, :, 0]
        assert (wide > 0.5 * wide.max()).sum() == pytest.approx(22, abs=1)

    def test_greyed_takes_the_share(self, noise):
        order = np.abs(noise[..., 0])
        changed = greyed(noise, order, 0.25)
        assert (changed == 0).mean() == pytest.approx(0.25, abs=1e-3)
        assert np.abs(changed).max() < np.abs(noise).max()

    def test_likeness(self):
        square, ring = np.zeros((2, 1, 64, 64, 1))
        square[0, 22:42, 22:42] = 1
        ring[0, 4:60, 4:60] = 1
        ring[0, 12:52, 12:52] = 0
        assert likeness(square, -square, 20) == pytest.approx([-1])
        assert likeness(square, ring, 20)[0] < 0.2


def test_truth_at_places():
    truth = table("m", [100, 200, 300], [100, 100, 100], diameter=40, view=["top", "ignore", "side"])
    patches = pd.DataFrame({"micrograph": "m", "x": [101, 200, 400, 101], "y": 100.0, "original": [0, 1, 2, 0]})
    there = truth_at(patches, truth)
    assert list(there["what"]) == [WHOLE, DAMAGED, NOTHING, WHOLE]
    assert list(there["view"]) == ["top", "ignore", "", "top"]
