"""The notebook on preprocessing: what theory and the simulation's truth demand of its results."""

import math
import re

import pytest
from html_pages import remote_parts, without_alternative_text

NOTEBOOK = "01_preprocessing"
PROTEINS = ("apoferritin", "klh", "ribosome", "betagal")


def rayleigh_deviation(alpha):
    """Standard deviation of a Rayleigh distribution that is cut off at 1, by summing up its density."""
    grey = [(i + 0.5) / 10_000 for i in range(10_000)]
    density = [x * math.exp(-(x**2) / (2 * alpha**2)) for x in grey]
    mean = sum(x * d for x, d in zip(grey, density, strict=True)) / sum(density)
    return math.sqrt(sum((x - mean) ** 2 * d for x, d in zip(grey, density, strict=True)) / sum(density))


@pytest.mark.parametrize("protein", PROTEINS)
class TestStages:
    def test_rising_functions_leave_the_order_of_pixels(self, results, protein):
        stages = results[f"auc by stage, {protein}"]
        assert stages["normalised"] == stages["binned"]
        # Clipping and 64 grey levels make ties, and a tie counts half.
        assert stages["stretched"] == pytest.approx(stages["binned"], abs=0.005)
        assert stages["equalised"] == pytest.approx(stages["binned"], abs=0.01)

    def test_neighbours_tell_particles_from_ice(self, results, protein):
        stages = results[f"auc by stage, {protein}"]
        assert stages["binned"] > 0.5
        assert stages["micrograph"] < stages["binned"] < stages["restored"]
        assert stages["adaptive"] < stages["guided"]
        assert stages["opened"] > stages["binned"] + 0.05

    def test_equalised_is_uniform(self, results, protein):
        assert results[f"standard deviation, {protein}, equalised"] == pytest.approx(12**-0.5, rel=0.03)

    def test_adaptive_is_rayleigh(self, results, protein):
        assert results[f"standard deviation, {protein}, adaptive"] == pytest.approx(rayleigh_deviation(0.4), rel=0.05)

    def test_guided_filter_keeps_outlines_that_averaging_blurs(self, results, protein):
        assert results[f"outline, {protein}, guided"] > results[f"outline, {protein}, averaged"]
        assert results[f"outline, {protein}, guided"] > 1

    def test_scale_matters_more_than_clip_limits(self, results, protein):
        assert results[f"auc range by scale, {protein}"] > results[f"auc range by clip limits, {protein}"]

    def test_psnr_falls_where_truth_gains(self, results, protein):
        # A picture that is unlike the noisy one by a fifth of the full range has 14 dB.
        assert 10 < results[f"psnr, {protein}, opened"] < 20


class TestLessons:
    def test_opening_again_changes_nothing(self, results):
        assert results["difference between one opening and all"] == 0

    def test_best_pixels_are_not_best_picks(self, results):
        assert results["f1 at 40 px"] > 0.9
        assert results["f1 at 10 px"] < min(results["f1 at 20 px"], results["f1 at 40 px"]) - 0.05

    @pytest.mark.parametrize(
        ("mistake", "wrong", "right", "gain"),
        [
            ("ice gradient", "without CLAHE", "CLAHE", 0.2),
            ("hot pixels", "as they are", "limited", 0.005),
            ("wrong contrast", "as bright", "as dark", 0.4),
        ],
    )
    def test_mistakes_cost_separation(self, results, mistake, wrong, right, gain):
        assert results[f"auc, {mistake}, {right}"] > results[f"auc, {mistake}, {wrong}"] + gain

    def test_wrong_contrast_turns_the_order_of_pixels(self, results):
        assert results["auc, wrong contrast, as bright"] < 0.5
        assert results["auc, wrong contrast, as dark"] == pytest.approx(
            results["auc by stage, apoferritin"]["opened"], abs=1e-4
        )

    def test_remedies_lead_back(self, results):
        spotless = results["auc by stage, apoferritin"]["opened"]
        assert results["auc, hot pixels, limited"] == pytest.approx(spotless, abs=0.005)
        assert results["auc, repeated border, as it is"] < spotless - 0.01

    def test_adaptive_equalisation_darkens_empty_ice(self, results):
        """It takes dark pixels from the ice between particles and gives them to ice without any."""
        twice, never = (
            {half: results[f"dark ice, {half}, {what}"] for half in ("empty half", "other half")}
            for what in ("CLAHE twice", "without")
        )
        assert twice["empty half"] > 3 * twice["other half"]
        assert twice["empty half"] > never["empty half"]
        assert twice["other half"] < never["other half"]


class TestPage:
    def test_has_pictures_and_formulas(self, notebook):
        assert remote_parts(notebook.page) == []
        assert without_alternative_text(notebook.page) == []
        assert notebook.tallest <= 730, "a projector of 1280 x 720 would cut it"
        assert notebook.pictures >= 15
        assert notebook.formulas >= 10
        assert not re.findall(r"<code>\\[a-z]", notebook.page), "a formula could not be drawn"

    def test_warns_of_nothing(self, notebook):
        assert notebook.warnings == []


@pytest.mark.long
def test_other_parameters(run_notebook, tmp_path):
    """Leave out all that can be left out, and bin particles to few pixels."""
    given = {
        "data": "simulated",
        "seed": 3,
        "contrast": "dark",
        "working_diameter": 20,
        "clahe_clip_limits": [],
        "guided_times": 0,
        "opening_radii": [],
    }
    notebook = run_notebook(NOTEBOOK, given, out=tmp_path)
    assert notebook.warnings == []
    stages = notebook.results["auc by stage, apoferritin"]
    assert stages["opened"] == stages["guided"]
    # Without adaptive rounds and filters, all that follows the Wiener filter are rising functions.
    assert stages["opened"] == pytest.approx(stages["restored"], abs=0.01)


@pytest.mark.long
@pytest.mark.real
def test_real_micrographs(shared, run_notebook, tmp_path):
    notebook = run_notebook(NOTEBOOK, {"data": str(shared / "data")}, out=tmp_path)
    assert notebook.warnings == []
    results = notebook.results
    stages = {name.split(", ")[1]: value for name, value in results.items() if name.startswith("auc by stage, ")}
    for name in ("apoferritin", "klh", "ribosome"):  # the fourth was published denoised
        assert stages[name]["opened"] > stages[name]["binned"] + 0.1, name
    # The same session after a published chain: ours has to tell particles from ice at least as well.
    assert stages["klh"]["opened"] > results["auc, klh_preprocessed as published"]
