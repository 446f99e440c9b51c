"""Proteins that do not exist: random shapes and fragments."""

import dataclasses

import numpy as np
import pytest

from cryokit.errors import ArgumentError
from cryokit.simulate import CONDITIONS, MODELS, Protein, fragment, random_protein, simulate
from cryokit.simulate.random_proteins import CONFORMATIONS, KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_fills_about_the_size_asked_for(kind):
    for seed in range(4):
        forms = random_protein(seed, kind=kind, diameter=240).forms
        assert len(forms) == (CONFORMATIONS if kind == "flexible" else 1)
        for form in forms:
            cloud = form.cloud()
            assert len(cloud.points) > 200
            assert 0.4 * 240 < form.diameter < 1.2 * 240
            # What counts as the diameter holds nearly all of the mass.
            inside = np.linalg.norm(cloud.points, axis=1) <= form.diameter / 2
            assert 0.8 < cloud.weights[inside].sum() / cloud.weights.sum() <= 1


def test_a_flexible_protein_has_conformations():
    extents = [form.diameter for form in random_protein(1, kind="flexible", diameter=240).forms]
    assert max(extents) - min(extents) > 2


def test_a_shell_is_hollow_and_a_globule_is_not():
    (shell,) = random_protein(3, kind="shell", diameter=300).forms
    (globule,) = random_protein(3, kind="globule", diameter=300).forms
    inner = [np.linalg.norm(form.cloud().points, axis=1) < 0.2 * form.diameter for form in (shell, globule)]
    assert inner[0].mean() < 0.01 < inner[1].mean()


def test_same_seed_same_protein_and_others_differ():
    first, again, other = (random_protein(seed).forms[0].cloud().points for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.allclose(first, other)


def test_a_made_up_protein_is_simulated_with_conditions_of_its_own():
    protein = random_protein(4, kind="barrel", diameter=200)
    conditions = dataclasses.replace(CONDITIONS["ribosome"], pixel_size=4.0, carbon=0)
    micrograph, truth = simulate(protein, shape=(400, 400), n_particles=6, conditions=conditions, seed=2, snr=3)
    assert micrograph.name == f"{protein.name}_2"
    assert truth["form"].tolist() == ["barrel"] * 6
    whole = truth[truth["view"] == "irregular"]
    dark = [
        micrograph.data[round(y) - 8 : round(y) + 9, round(x) - 8 : round(x) + 9].mean()
        for x, y in zip(whole.x, whole.y, strict=True)
    ]
    assert np.mean(dark) < micrograph.data.mean() - 0.1 * micrograph.data.std()


def test_without_conditions_a_made_up_protein_is_refused():
    with pytest.raises(ArgumentError, match="conditions"):
        simulate(random_protein(0), shape=(128, 128))


@pytest.mark.parametrize("setting", [{"kind": "cube"}, {"diameter": 0}])
def test_a_protein_that_cannot_be_made_up(setting):
    with pytest.raises(ArgumentError, match=next(iter(setting))):
        random_protein(0, **setting)


def test_a_fragment_is_a_piece_that_nobody_takes():
    whole = MODELS["klh"][0]
    piece = fragment(whole, 1, part=0.25)
    assert piece.view == "ignore"
    assert len(piece.cloud().points) == pytest.approx(0.25 * len(whole.cloud().points), rel=0.02)
    assert piece.diameter < whole.diameter
    assert np.average(piece.cloud().points, axis=0, weights=piece.cloud().weights) == pytest.approx([0, 0, 0], abs=0.1)
    protein = Protein("klh", (whole, piece))
    _, truth = simulate(protein, shape=(700, 700), n_particles=8, conditions=CONDITIONS["klh"], seed=3, carbon=False)
    assert set(truth.loc[truth["form"] == "fragment", "view"]) <= {"ignore"}
