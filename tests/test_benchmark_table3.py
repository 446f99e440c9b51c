"""The script that computes table 3 anew, on a few small simulated micrographs and with a tiny network."""

from __future__ import annotations

import json

import pytest
from scripts import load

from cryokit.errors import CryokitError
from cryokit.micrograph import write_mrc
from cryokit.simulate import simulate_set


@pytest.fixture(scope="module")
def script():
    module = load("table3")
    module.SIZE = 32
    return module


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Write apoferritin as `shared/data` has it."""
    folder = tmp_path_factory.mktemp("data")
    labels = folder / "apoferritin_10146" / "labels"
    labels.mkdir(parents=True)
    for micrograph, truth in simulate_set("apoferritin", 3, seed=1, shape=(512, 512), carbon=False, n_particles=12):
        write_mrc(folder / "apoferritin_10146" / "micrographs" / f"{micrograph.name}.mrc", micrograph.data, 1.6)
        truth[["x", "y", "diameter", "view"]].to_csv(labels / f"{micrograph.name}.csv", index=False)
    (folder / "formats").mkdir()  # not a data set
    return folder


def tiny(classes, width, seed):
    import keras

    drawn = keras.initializers.HeNormal(seed)
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.layers.Conv2D(4, 5, strides=3, activation="relu", kernel_initializer=drawn),
            keras.layers.Flatten(),
            keras.layers.Dense(len(classes), "softmax", kernel_initializer=drawn),
        ]
    )


def test_simulated_patches_have_their_true_classes(script):
    patches = script.simulated(("klh", "ribosome"), 3, 512, 3, 12)
    table = patches.table
    assert set(table.loc[table["class"] == "irregular", "micrograph"].str[:3]) == {"rib"}
    assert set(table.loc[table["class"].isin(["top", "side"]), "micrograph"].str[:3]) == {"klh"}
    assert {"top", "irregular", "background"} <= set(patches.classes)
    assert patches.patches.shape[1:] == (32, 32)


@pytest.mark.slow
def test_both_kinds_of_data_and_both_presets(script, real, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "network", tiny)
    monkeypatch.setattr(script, "QUICK", {**script.QUICK, "epochs": [1], "side": 512, "per_class": 12})
    out = tmp_path / "results" / "out.json"
    script.main(["--out", str(out), "--data", str(real), "--quick", "--proteins", "apoferritin", "--seed", "5"])
    result = json.loads(out.read_text())
    assert {(row["data"], row["preset"]) for row in result["rows"]} == {
        (data, preset) for data in ("simulated", "real") for preset in ("paper", "modern")
    }
    for row in result["rows"]:
        # One view: what the paper calls four classes and another is two here.
        assert row["classes"] in ("top, background", "top, negative", "top, negative, background")
        assert 0 <= row["test"] <= 1
        assert (row["epochs"], row["published"]) == (1, None)
    assert result["presets"]["paper"]["learning_rate"] == 1e-4
    assert set(result["patches"]) == {"simulated", "real"}
    assert {"keras", "backend", "cryokit"} <= set(result["provenance"])
    assert list(out.parent.iterdir()) == [out]


def test_only_development_micrographs_where_asked(script, real):
    with pytest.raises(CryokitError, match="2"):
        script.real(real, True, 0, 12)


def test_what_is_wrong_is_told_before_the_work(script, tmp_path, capsys):
    for arguments in (["--data", str(tmp_path / "nowhere")], ["--epochs", "0"]):
        with pytest.raises(SystemExit):
            script.main(["--out", str(tmp_path / "out.json"), *arguments])
    assert "at least 1" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    with pytest.raises(CryokitError, match="file"):
        script.main(["--out", str(tmp_path / "file" / "out.json"), "--skip-real", "--skip-simulated"])


def test_network_is_the_papers(script):
    # Narrow here: the full one has 58 million weights.
    net = script.network(("top", "background"), 0.02, 0)
    assert net.input_shape == (None, 227, 227, 1)
    assert net.output_shape == (None, 2)
