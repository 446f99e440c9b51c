"""The preprocessing chain as a whole, and the numbers that judge its stages."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from scipy.stats import mannwhitneyu

from cryokit.errors import ArgumentError, ArgumentTypeError
from cryokit.imaging import (
    STAGES,
    SUPER_OPENING,
    Preprocessing,
    adapthisteq,
    imopen,
    quality,
    snr,
    wiener2,
)
from cryokit.imaging.preparation import recorded
from cryokit.micrograph import read


def discs(shape=(400, 480), diameter=80.0, noise=2.0, seed=0):
    """A noisy micrograph with dark discs, and where they are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for row in range(80, shape[0], 120):
        for column in range(80, shape[1], 120):
            inside |= (x - column) ** 2 + (y - row) ** 2 < (diameter / 2) ** 2
    return (100 - inside + noise * rng.normal(size=shape)).astype(np.float32), inside


def darkness(picture, inside):
    """Probability that a pixel of a particle is darker than one of the background."""
    below = mannwhitneyu(picture[~inside][::5], picture[inside][::5]).statistic
    return below / (picture[~inside][::5].size * picture[inside][::5].size)


@pytest.mark.parametrize("contrast", ["dark", "bright"])
@pytest.mark.parametrize(("diameter", "shape"), [(80, (200, 240)), (40, (400, 480)), (25, (400, 480))])
def test_all_stages_are_pictures_of_the_working_size(contrast, diameter, shape):
    stages = Preprocessing().stages(discs()[0], diameter, contrast)
    assert tuple(stages) == STAGES
    for name, picture in stages.items():
        assert picture.shape == shape
        assert picture.dtype == np.float32
        assert np.isfinite(picture).all()
        if name != "binned":
            assert picture.min() >= 0
            assert picture.max() <= 1


def test_calling_the_chain_gives_its_last_stage_and_leaves_the_micrograph_alone():
    data, _ = discs()
    data.flags.writeable = False
    chain = Preprocessing()
    for diameter, contrast in ((80, "dark"), (30, "dark"), (30, "bright")):
        assert (chain(data, diameter, contrast) == chain.stages(data, diameter, contrast)["opened"]).all()


def test_particles_turn_out_dark_and_clearer_than_before():
    data, inside = discs((1000, 1000), noise=6)
    stages = Preprocessing().stages(data, 80)
    inside = inside[::2, ::2]  # binned by 2; the first pixels' centres coincide
    assert 0.5 < darkness(stages["binned"], inside) < darkness(stages["restored"], inside)
    assert darkness(stages["restored"], inside) < darkness(stages["opened"], inside)
    assert darkness(stages["opened"], inside) > 0.9


@pytest.mark.parametrize("side", [150, 256])
def test_a_crop_is_not_equalised_within_particles(side):
    # An eighth of it is a fraction of the particle: tiles of that size would make particles as bright as all else.
    data, inside = discs((side, side), noise=1)
    inside = inside[::2, ::2]
    stages = Preprocessing().stages(data, 80)
    assert darkness(stages["opened"], inside) > 0.9


def test_bright_particles_come_out_exactly_as_dark_ones():
    data, _ = discs()
    dark, bright = Preprocessing().stages(data, 60), Preprocessing().stages(-data, 60, "bright")
    assert all((dark[name] == bright[name]).all() for name in STAGES)


def test_the_scale_of_grey_values_does_not_matter():
    # Powers of two, so that rounding is the same.
    data, _ = discs()
    data -= data.mean()
    assert (Preprocessing()(data, 60) == Preprocessing()(1024 * data, 60)).all()


@pytest.mark.parametrize(("diameter", "pixels"), [(10, 3), (31, 3), (32, 5), (40, 5), (80, 5), (200, 5)])
def test_windows_are_an_eighth_of_the_diameter_but_never_under_three_pixels(diameter, pixels):
    # 0.125 * 31 = 3.9 and 0.125 * 32 = 4: the nearest odd number. Above 40 pixels the micrograph is binned to 40.
    stages = Preprocessing().stages(discs()[0], diameter)
    expected = wiener2(stages["equalised"], (pixels, pixels), border="symmetric")
    assert (stages["restored"] == expected).all()


def test_there_is_one_round_of_adaptive_equalisation_for_each_clip_limit():
    data, _ = discs((700, 700))
    once, twice = (Preprocessing(clahe_clip_limits=limits).stages(data, 80) for limits in ((0.02,), (0.02, 0.99)))
    expected = adapthisteq(once["adaptive"], clip_limit=0.99, distribution="rayleigh")
    assert (twice["adaptive"] == expected).all()


def test_stretched_stages_saturate_the_given_shares():
    stages = Preprocessing(stretch=(0.05, 0.99)).stages(discs()[0], 80)
    for name in ("stretched", "guided"):
        assert np.mean(stages[name] == 0) == pytest.approx(0.05, abs=0.002)
        assert np.mean(stages[name] == 1) == pytest.approx(0.01, abs=0.002)


def test_repetitions_and_openings_can_be_left_out():
    data, _ = discs()
    stages = Preprocessing(guided_times=0, clahe_clip_limits=(), opening_radii=(0, 0)).stages(data, 80)
    assert (stages["opened"] == stages["guided"]).all()
    # Without adaptive rounds there are only the levels of the histogram equalisation.
    assert np.unique(stages["adaptive"]).size <= 64


def test_each_opening_is_applied():
    stages = Preprocessing(opening_radii=(0.025, 0.025, 0.075, 0.05)).stages(discs()[0], 80)
    expected = stages["guided"]
    for radius in (1, 1, 3, 2):
        expected = imopen(expected, radius)
    assert (stages["opened"] == expected).all()


def test_a_larger_disc_removes_larger_specks():
    # The first of SuperCryoEMPicker's discs has 29 pixels, AutoCryoPicker's have 5 each.
    data, _ = discs()
    auto, large = Preprocessing()(data, 80), Preprocessing(opening_radii=SUPER_OPENING)(data, 80)
    assert (large <= auto).all()
    assert large.mean() < auto.mean()


@pytest.mark.parametrize("diameter", [4, 40, 500])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 5), (1, 64), (64, 1), (37, 41), (256, 256)])
def test_tiny_and_empty_micrographs_have_a_picture(shape, diameter):
    rng = np.random.default_rng(0)
    for data in (rng.normal(size=shape), rng.integers(0, 2, shape).astype(np.uint8), np.full(shape, -3.7, np.float32)):
        for name, picture in Preprocessing().stages(data, diameter).items():
            assert np.isfinite(picture).all(), name


@pytest.mark.parametrize("value", [0, 0.1, 1, -1e6, 123456.7])
@pytest.mark.parametrize("contrast", ["dark", "bright"])
def test_a_constant_micrograph_is_all_background(value, contrast):
    stages = Preprocessing().stages(np.full((90, 110), value, np.float32), 60, contrast)
    assert all((stages[name] == 1).all() for name in STAGES[1:])


def test_bands_spots_and_outliers_leave_no_gaps():
    data, _ = discs()
    band, spot, half = data.copy(), np.zeros_like(data), data.copy()
    band[:, :60] = 0
    spot[200, 200] = 1e6
    half[:200] = 1e4
    for odd in (band, spot, half):
        for name, picture in Preprocessing().stages(odd, 80).items():
            assert np.isfinite(picture).all(), name


def test_parameters_survive_json():
    chain = Preprocessing(guided_times=2, opening_radii=SUPER_OPENING, clahe_tiles=(4, 6), stretch=(0, 0.98))
    again = Preprocessing(**json.loads(json.dumps(chain.to_dict())))
    assert again == chain
    assert hash(again) == hash(chain)


def test_micrographs_are_never_enlarged():
    assert Preprocessing().factor(108) == pytest.approx(2.7)
    assert Preprocessing(working_diameter=20).factor(108) == pytest.approx(5.4)
    assert Preprocessing().factor(39.9) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("working_diameter", 0),
        ("working_diameter", math.nan),
        ("stretch", (0.99, 0.01)),
        ("stretch", (0.5,)),
        ("stretch", 0.01),
        ("bins", 1),
        ("bins", 6.5),
        ("wiener_window", -0.1),
        ("clahe_clip_limits", (0.02, 2)),
        ("clahe_clip_limits", ("a",)),
        ("clahe_tiles", (8, 0)),
        ("clahe_tiles", 8),
        ("clahe_distribution", "normal"),
        ("clahe_alpha", 0),
        ("guided_window", "wide"),
        ("guided_smoothing", -1),
        ("guided_times", -1),
        ("opening_radii", (-0.1,)),
        ("opening_radii", (math.inf,)),
    ],
)
def test_impossible_parameters_are_named(name, value):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=name):
        Preprocessing(**{name: value})


@pytest.mark.parametrize("diameter", [0, -5, math.nan, math.inf, None, "40"])
def test_a_diameter_is_a_positive_number(diameter):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"diameter .* {diameter!r}$"):
        Preprocessing()(np.zeros((9, 9)), diameter)


def test_contrast_is_dark_or_bright_and_a_micrograph_has_two_dimensions():
    with pytest.raises(ArgumentError, match="'white'"):
        Preprocessing()(np.zeros((9, 9)), 40, "white")
    with pytest.raises(ArgumentError, match=r"\(9, 9, 3\)"):
        Preprocessing()(np.zeros((9, 9, 3)), 40)


# Quality


def test_error_and_ratios_by_hand():
    # Errors 0.1, 0, 0.1, 0: mean square 0.005. 10 log10(1 / 0.005) = 23.0103; mean square of the reference
    # (1 + 0.25 + 0.25 + 0) / 4 = 0.375, 10 log10(0.375 / 0.005) = 10 log10(75) = 18.7506.
    reference, image = np.array([[1.0, 0.5], [0.5, 0.0]]), np.array([[0.9, 0.5], [0.6, 0.0]])
    same, changed = quality({"reference": reference, "image": image}, "reference").itertuples(index=False)
    assert same == ("reference", 0, math.inf, math.inf)
    assert changed == ("image", *(pytest.approx(value, abs=1e-4) for value in (0.005, 23.0103, 18.7506)))
    assert snr(image, reference) == changed.snr


def test_an_empty_reference_has_no_signal():
    assert snr(np.full((3, 3), 0.2, np.float32), np.zeros((3, 3))) == -math.inf


def test_quality_lists_the_stages_that_can_be_compared():
    stages = Preprocessing().stages(discs()[0], 80)
    listed = quality(stages)
    assert listed.stage.tolist() == list(STAGES[1:])
    assert listed.mse[0] == 0
    assert (listed.mse[1:] > 0).all()
    # Where the reference is the same, both ratios differ by its power alone.
    assert np.allclose((listed.psnr - listed.snr)[1:], -10 * np.log10(np.mean(stages["normalised"] ** 2)))
    assert quality(stages, "restored").set_index("stage").mse["restored"] == 0


@pytest.mark.parametrize("name", ["binned", "sharpened"])
def test_quality_needs_a_reference_that_can_be_compared(name):
    with pytest.raises(ArgumentError, match=f"normalised.*'{name}'"):
        quality(Preprocessing().stages(discs()[0], 80), name)


def test_pictures_of_different_shapes_are_not_compared():
    with pytest.raises(ValueError, match="dimensions"):
        snr(np.zeros((3, 1)), np.zeros((3, 3)))


@pytest.mark.real
@pytest.mark.parametrize(
    ("dataset", "diameter"), [("klh", 170), ("apoferritin_10146", 76), ("ribosome_10028", 50), ("betagal_10017", 108)]
)
def test_real_particles_are_darker_after_the_chain_than_before(real_data, dataset, diameter):
    path = sorted((real_data(dataset) / "micrographs").iterdir())[0]
    labels = pd.read_csv(real_data(dataset) / "labels" / f"{path.stem}.csv")
    data, frame = recorded(read(path))
    chain = Preprocessing()
    stages = chain.stages(data, diameter)
    before, after = stages["binned"], stages["opened"]
    radius = 0.4 * diameter / chain.factor(diameter)
    x, y = chain.frame(data.shape, diameter).from_source(*frame.from_source(labels.x, labels.y))
    elsewhere = np.ones(after.shape, bool)
    elsewhere[y.round().astype(int), x.round().astype(int)] = False
    inside = ndimage.distance_transform_edt(elsewhere) < radius
    assert 0.5 < darkness(before, inside) < darkness(after, inside)
