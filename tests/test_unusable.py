"""The mask of what is no usable ice, and what is filled in its place."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from cryokit.coordinates import IGNORE
from cryokit.imaging.filters import flatten
from cryokit.imaging.frame import Picture
from cryokit.imaging.ice_features import block_size, features
from cryokit.imaging.preparation import recorded, unusable_regions
from cryokit.imaging.unusable import covered, patches, unusable
from cryokit.micrograph import Micrograph, read
from cryokit.simulate import simulate_parts

CLEAN = dict(shape=(768, 768), contamination=0, carbon=False, filaments=0)
SCALES = {"apoferritin": 1.6, "klh": 4.4, "ribosome": 5.36, "betagal": 1.77, "ms2": 2.8, "t20s": 1.8}


def masked(data):
    """Return the mask at the size of the micrograph."""
    mask = unusable(data)
    y, x = np.mgrid[: data.shape[0], : data.shape[1]]
    return covered(mask, x.ravel(), y.ravel()).reshape(data.shape)


@pytest.fixture(scope="module", params=SCALES)
def clean(request):
    return simulate_parts(request.param, pixel_size=SCALES[request.param], seed=41, **CLEAN)


def test_clean_micrographs_are_usable(clean):
    assert unusable(clean.micrograph.data).data.mean() < 0.01


def test_gain_offset_and_sign_do_not_matter(clean):
    data = clean.micrograph.data
    local, overall = features(data)
    other_local, other_overall = features(data * 37 - 1000)
    assert np.abs(local - other_local).max() < 0.05
    assert np.abs(overall - other_overall).max() < 0.05


@pytest.mark.parametrize(
    "artefact",
    ["beads", "foil", *(pytest.param(name, marks=pytest.mark.slow) for name in ("aggregates", "beam_edge", "borders"))],
)
def test_artefacts_of_the_simulator_are_found(artefact):
    """On micrographs that the classifier was not trained on, most of the artefacts and hardly any of the ice."""
    found, lost = [], []
    for protein in ("apoferritin", "klh", "ribosome"):
        for seed in range(60, 63):
            settings = CLEAN | {artefact: {"beads": 50.0, "aggregates": 30.0}.get(artefact, 1.0)}
            parts = simulate_parts(protein, pixel_size=SCALES[protein], seed=seed, **settings)
            mask = masked(parts.micrograph.data)
            near = ndimage.binary_dilation(parts.unusable, iterations=12)
            if parts.unusable.any():
                found.append(mask[parts.unusable].mean())
            lost.append(mask[~near].mean())
    assert np.mean(found) > 0.75
    assert np.median(lost) < 0.01
    assert np.mean(lost) < 0.05


def dark_discs(data, radius=18, number=6, depth=3.0):
    """Paint opaque discs on a micrograph; return it with the mask of the discs."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: data.shape[0], : data.shape[1]]
    discs = np.zeros(data.shape)
    for row, column in rng.uniform(60, min(data.shape) - 60, (number, 2)):
        discs[np.hypot(y - row, x - column) < radius] = 1
    cover = ndimage.gaussian_filter(discs, 1)
    level = data.mean() - depth * data.std() + 0.3 * data.std() * rng.normal(size=data.shape)
    return (data * (1 - cover) + cover * level).astype(np.float32), discs > 0


def test_opaque_discs_are_found_and_nothing_else(clean):
    data, discs = dark_discs(clean.micrograph.data)
    mask = masked(data)
    assert mask[discs].mean() > 0.95
    assert mask[~ndimage.binary_dilation(discs, iterations=16)].mean() < 0.03


def test_what_is_filled_looks_like_the_ice_around(clean):
    original = clean.micrograph.data
    data, discs = dark_discs(original)
    filled = recorded(Micrograph(data)).data
    kept = ~ndimage.binary_dilation(masked(data), iterations=12)
    assert np.array_equal(filled[kept], data[kept])
    assert filled[discs].mean() == pytest.approx(original.mean(), abs=float(0.4 * original.std()))
    assert filled[discs].std() == pytest.approx(original.std(), rel=0.35)
    # No ringing: at the scale of the discs nothing stands out where they were.
    flat = flatten(ndimage.gaussian_filter(filled, 6), 40, contrast="dark")
    usual = np.quantile(np.abs(flat[kept]), 0.999)
    assert np.mean(np.abs(flat[~kept]) > 1.3 * usual) < 0.01


def test_nothing_is_copied_where_nothing_is_masked():
    data = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    micrograph = Micrograph(data)
    assert not unusable_regions(micrograph).data.any()
    assert np.shares_memory(recorded(micrograph).data, micrograph.data)


def test_a_wholly_masked_micrograph_stays_as_it_is():
    data = np.random.default_rng(0).normal(size=(300, 310)).astype(np.float32)
    mask = unusable(data)
    assert patches(data, Picture(np.ones_like(mask.data), mask.frame)) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (31, 40), (100, 90), (257, 511), (1025, 600), (300, 2048)])
def test_every_shape_has_a_mask(shape):
    data = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    mask = unusable(data)
    size = block_size(shape)
    assert mask.data.shape == tuple(side // size for side in shape)
    filled = patches(data, Picture(np.eye(*mask.data.shape, dtype=bool), mask.frame))
    for patch in filled:
        assert patch.data.shape == data[patch.rows, patch.columns].shape
        assert np.isfinite(patch.data).all()


def test_constant_micrographs_have_nothing_masked():
    assert not unusable(np.full((300, 300), 7, np.float32)).data.any()


@pytest.mark.parametrize(
    "name",
    [
        *("apoferritin_10146", "klh_preprocessed", "klh", "ribosome_10028"),
        pytest.param("betagal_10017", marks=pytest.mark.slow),
    ],
)
def test_labelled_particles_of_real_micrographs_are_not_masked(real_data, name):
    """The classifier has seen no real micrograph."""
    folder = real_data(name)
    hidden = []
    for path in sorted((folder / "micrographs").iterdir()):
        micrograph = read(path)
        labels = pd.read_csv(folder / "labels" / f"{micrograph.name}.csv")
        labels = labels[labels["view"] != IGNORE]
        hidden.append(covered(unusable_regions(micrograph), labels["x"], labels["y"]))
    assert np.concatenate(hidden).mean() < 0.02
