"""The notebook on good particles and the training set made of them."""

import numpy as np
import pytest
from html_pages import remote_parts, without_alternative_text

from cryokit.networks.patches import TrainingSet

NOTEBOOK = "03_good_particle_selection"
PROTEINS = ("KLH", "apoferritin", "ribosome", "betagal")


@pytest.fixture(scope="module")
def saved(notebook):
    return TrainingSet.load(notebook.folder / "klh.npz")


class TestGoodParticleSelection:
    @pytest.mark.parametrize("protein", ["KLH", "apoferritin", "ribosome"])
    def test_good_ones_are_particles(self, protein, results):
        assert results[protein]["precision, good"] >= 0.95

    @pytest.mark.parametrize("protein", PROTEINS)
    def test_selection_makes_labels_cleaner(self, protein, results):
        numbers = results[protein]
        assert numbers["clean, good"] > numbers["clean, picked"]
        # Where almost every pick is a particle already, one wrong pick decides: compare no finer than that.
        assert numbers["precision, good"] >= numbers["precision, picked"] - 1 / numbers["good"]
        assert 20 < numbers["good"] < numbers["picked"]
        assert 0.3 < numbers["kept"] < 1

    @pytest.mark.parametrize("protein", ["KLH", "apoferritin", "ribosome"])
    def test_most_wrong_labels_go(self, protein, results):
        numbers = results[protein]
        assert 1 - numbers["clean, good"] < (1 - numbers["clean, picked"]) / 2

    def test_table_1_counts_the_same_particles(self, results):
        table = results["table 1"]
        kinds = {"KLH top", "KLH side", "apoferritin top", "ribosome irregular", "betagal irregular"}
        assert set(table) == kinds
        picked, good = np.array(list(table.values())).T
        assert (good < picked).all()
        assert picked.sum() == sum(results[protein]["picked"] for protein in PROTEINS)
        assert results["rejected"] == picked.sum() - good.sum()
        assert 0 < results["rejected although clean"] < results["rejected"]

    def test_class_without_samples_is_refused(self, results):
        assert results["the class without samples is refused"] is True

    def test_training_set_is_balanced_and_split_by_micrograph(self, results, saved):
        assert results["patches"] == {"top": 72, "side": 72, "negative": 72, "background": 72}
        assert results["splits of a micrograph, at most"] == 1
        assert saved.counts().sum(axis=1).to_dict() == results["patches"]
        assert (saved.counts() > 0).all(axis=None)
        splits = saved.table.groupby("micrograph")["split"].unique()
        assert all(len(split) == 1 for split in splits)
        assert results["read again it is the same"] is True

    def test_saved_set_says_where_it_comes_from(self, saved):
        named = {entry["name"]: entry["split"] for entry in saved.provenance["micrographs"]}
        assert dict(zip(saved.table["micrograph"], saved.table["split"], strict=True)).items() <= named.items()
        assert saved.provenance["settings"]["per_class"] == 72

    def test_particles_among_the_negatives(self, results):
        shares = [results[f"whole particles among the negatives, {way}"] for way in ("rejected", "near misses", "all")]
        assert 1 > shares[0] > shares[1] > shares[2] > 0
        drawn = results["whole particles among the negatives of the training set"]
        assert drawn == pytest.approx(shares[1], abs=0.15)

    def test_too_small_a_diameter_shows_in_the_truth_only(self, results):
        assert results["clean share of good, diameter x 0.7"] < results["clean share of good, diameter x 1"] - 0.2
        assert results["share of good, diameter x 0.7"] > results["share of good, diameter x 1"] - 0.1

    def test_too_large_a_diameter_shows_by_itself(self, results):
        assert results["share of good, diameter x 1.4"] < 0.5 * results["share of good, diameter x 1"]

    def test_page(self, notebook):
        assert remote_parts(notebook.page) == []
        assert without_alternative_text(notebook.page) == []
        assert notebook.tallest <= 730, "a projector of 1280 x 720 would cut it"
        assert notebook.pictures >= 14
        assert notebook.formulas >= 4

    def test_warns_of_nothing(self, notebook):
        assert notebook.warnings == []

    @pytest.mark.long
    @pytest.mark.real
    def test_real_micrographs(self, shared, run_notebook, tmp_path):
        results = run_notebook(NOTEBOOK, {"data": str(shared / "data")}, out=tmp_path).results
        least = {"KLH": 0.9, "apoferritin": 0.95, "ribosome": 0.95}
        found = {protein: results[protein]["precision, good"] for protein in least}
        assert all(found[protein] >= precision for protein, precision in least.items()), found
        assert all(results["patches"][name] > 0 for name in ("top", "side", "negative", "background"))
