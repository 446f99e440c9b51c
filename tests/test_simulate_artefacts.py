"""Artefacts of simulated micrographs: what they hide, and that they leave the rest as it was."""

import numpy as np
import pytest
from scipy import ndimage

from cryokit import micrograph
from cryokit.cli import main
from cryokit.coordinates import IGNORE
from cryokit.errors import ArgumentError
from cryokit.simulate import ARTEFACTS, simulate_parts

SETTINGS = dict(shape=(512, 480), contamination=0, carbon=False, seed=3)
MATTER = ("beads", "aggregates", "foil", "beam_edge")


@pytest.fixture(scope="module")
def clean():
    return simulate_parts("apoferritin", **SETTINGS)


@pytest.fixture(scope="module", params=ARTEFACTS)
def altered(request):
    amount = {"beads": 1500.0, "aggregates": 300.0}.get(request.param, 1.0)
    return request.param, simulate_parts("apoferritin", **SETTINGS, **{request.param: amount})


def test_nothing_is_hidden_without_artefacts(clean):
    assert not clean.unusable.any()


def test_particles_stay_where_they_were_and_the_hidden_ones_are_not_asked_for(clean, altered):
    _, parts = altered
    columns = ["x", "y", "phi", "theta", "psi"]
    assert parts.truth[columns].equals(clean.truth[columns])
    row, column = (
        np.clip(np.rint(parts.truth[axis]).astype(int), 0, side - 1)
        for axis, side in zip("yx", parts.unusable.shape, strict=True)
    )
    hidden = parts.unusable[row, column]
    assert (parts.truth["view"] == IGNORE).eq((clean.truth["view"] == IGNORE) | hidden).all()


def test_matter_is_darker_than_ice(altered):
    name, parts = altered
    if name not in MATTER:
        pytest.skip("no matter")
    share = parts.unusable.mean()
    assert 0.0005 < share < 0.7
    assert parts.background[parts.unusable].mean() < 0.97 * parts.background[~parts.unusable].mean()


def test_ice_beside_an_artefact_is_as_bright_as_without(clean, altered):
    name, parts = altered
    if name == "crystalline":
        assert parts.unusable.all()
        return
    outside = ndimage.distance_transform_edt(~parts.unusable) > 40  # off the fringes
    assert parts.micrograph.data[outside].mean() == pytest.approx(clean.micrograph.data[outside].mean(), rel=0.02)


def test_padded_borders_hold_one_value_or_a_repeated_line():
    for seed in range(4):
        parts = simulate_parts("apoferritin", **{**SETTINGS, "seed": seed}, borders=1.0)
        data, mask = parts.micrograph.data, parts.unusable
        assert mask.any()
        rows, columns = mask.all(axis=1), mask.all(axis=0)
        assert (mask == rows[:, None] | columns).all()
        for lines in (data[rows][:, ~columns], data[:, columns][~rows].T):
            assert not len(lines) or len(np.unique(lines, axis=0)) <= 2


def test_the_same_seed_gives_the_same_bytes():
    first, second = (simulate_parts("klh", **{**SETTINGS, **ARTEFACTS}) for _ in range(2))
    assert np.array_equal(first.micrograph.data, second.micrograph.data)
    assert np.array_equal(first.unusable, second.unusable)


def test_a_probability_above_one_is_an_error():
    with pytest.raises(ArgumentError, match="foil"):
        simulate_parts("klh", **SETTINGS, foil=1.5)


def test_masks_are_written_beside_the_micrographs(tmp_path):
    command = ["simulate", "apoferritin", "--shape", "256", "256", "-n", "2", "--artefacts", "foil", "beads"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    for number in (1, 2):
        mask = micrograph.read(tmp_path / "masks" / f"apoferritin_00{number}.mrc").data
        assert set(np.unique(mask)) == {0, 1}
        assert mask.shape == (256, 256)
