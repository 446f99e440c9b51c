"""Networks: table 9 of the paper, settings, the fully convolutional form, description and saved models."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from cryokit.errors import ArgumentError, ArgumentTypeError, PickerError
from cryokit.networks import Model, available, config_from_dict, create, header, particle_classes, shipped
from cryokit.networks import model as storage
from cryokit.networks.describe import layers, multiply_adds
from cryokit.networks.fully_convolutional import fully_convolutional
from cryokit.networks.geometry import geometry

FOUR = ("top", "side", "irregular", "background")
FIVE = ("top", "side", "irregular", "negative", "background")
TWO = ("particle", "background")

# Figure 18 and table 9: name, side of the output map, channels, side of the kernel, inputs of one kernel position.
TABLE_9 = [
    ("C3", 55, 96, 11, 3),
    ("M4", 27, 96, None, None),
    ("C5", 27, 256, 5, 96),
    ("M6", 13, 256, None, None),
    ("C7", 13, 384, 3, 256),
    ("C8", 13, 384, 3, 384),
    ("C9", 13, 256, 3, 384),
    ("M10", 6, 256, None, None),
]
VALID_SIDES = {"C3": 55, "M4": 27, "C5": 23, "M6": 11, "C7": 9, "C8": 7, "C9": 5, "M10": 2}


def narrow(padding="valid", **settings):
    return create("deepcryopicker", **({"classes": TWO, "width": 0.03, "padding": padding} | settings))


def expected_rows(sides, classes):
    """name, output shape, parameters, multiply-adds: from the table's numbers alone."""
    rows = [("I1", (227, 227, 3), 0, 0)]
    for name, _, channels, kernel, inputs in TABLE_9:
        side = sides[name]
        weights = 0 if kernel is None else kernel**2 * inputs * channels
        bias = 0 if kernel is None else channels
        rows.append((name, (side, side, channels), weights + bias, weights * side**2))
    flat = sides["M10"] ** 2 * 256
    rows.append(("flatten", (flat,), 0, 0))
    for name, before, after in (("F11", flat, 4096), ("F12", 4096, 4096), ("O13", 4096, classes)):
        rows.append((name, (after,), before * after + after, before * after))
    return rows


@pytest.mark.parametrize("classes", [FOUR, FIVE], ids=len)
def test_table_9(classes):
    network = create("deepcryopicker", classes=classes, channels=3).build()
    expected = expected_rows({name: side for name, side, *_ in TABLE_9}, len(classes))
    table = layers(network)
    columns = ["name", "output_shape", "parameters", "multiply_adds"]
    assert list(table[columns].itertuples(index=False, name=None)) == expected
    total = sum(row[2] for row in expected)
    assert network.count_params() == total
    assert round(total / 1e6, 1) == 58.3
    if classes is FOUR:
        patch = np.random.default_rng(0).normal(size=(1, 227, 227, 3)).astype(np.float32)
        scores = network.predict_on_batch(patch)
        assert scores.shape == (1, 4)
        assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_valid_variant():
    network = create("deepcryopicker_valid", classes=FOUR, channels=3).build()
    table = layers(network)
    columns = ["name", "output_shape", "parameters", "multiply_adds"]
    assert list(table[columns].itertuples(index=False, name=None)) == expected_rows(VALID_SIDES, 4)
    assert round(network.count_params() / 1e6, 1) == 24.7


def test_kernels_strides_and_activations_are_the_papers():
    network = create("deepcryopicker", classes=FIVE, width=0.03).build()
    kinds = {layer.name: type(layer).__name__ for layer in network.layers}
    assert [kinds[name] for name in ("C3", "M4", "F11", "O13")] == ["Conv2D", "MaxPooling2D", "Dense", "Dense"]
    for name, _, _, kernel, _ in TABLE_9:
        layer = network.get_layer(name)
        if kernel is None:
            assert (layer.pool_size, layer.strides) == ((3, 3), (2, 2))
        else:
            assert layer.kernel_size == (kernel, kernel)
            assert layer.strides == ((4, 4) if name == "C3" else (1, 1))
            assert layer.activation.__name__ == "relu"
    sigmoid = narrow(activation="sigmoid").build()
    assert {sigmoid.get_layer(name).activation.__name__ for name in ("C3", "C9", "F12")} == {"sigmoid"}
    assert sigmoid.get_layer("O13").activation.__name__ == "softmax"


def test_width_scales_filters_and_units_but_not_the_output():
    table = layers(create("deepcryopicker", classes=FIVE, width=0.25).build()).set_index("name")
    channels = [shape[-1] for shape in table.output_shape[["C3", "C5", "C7", "F11", "O13"]]]
    assert channels == [24, 64, 96, 1024, 5]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_one_grey_channel_equals_three_with_the_first_kernel_summed(padding):
    three, one = narrow(padding, channels=3).build(), narrow(padding, channels=1).build()
    weights = three.get_weights()
    one.set_weights([weights[0].sum(axis=2, keepdims=True), *weights[1:]])
    patches = np.random.default_rng(1).normal(size=(4, 227, 227, 1)).astype(np.float32)
    inner = [keras.Model(network.input, network.get_layer("F12").output) for network in (three, one)]
    expected = inner[0].predict_on_batch(patches.repeat(3, axis=-1))
    assert np.ptp(expected, axis=0).max() > 0.01  # the patches are told apart
    np.testing.assert_allclose(inner[1].predict_on_batch(patches), expected, rtol=1e-3, atol=1e-4)


def test_the_seed_decides_the_weights():
    first, again, other = (narrow(seed=seed).build().get_weights() for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first[0], other[0])
    same_shape = narrow(width=0.1).build()
    kernels = [same_shape.get_layer(name).get_weights()[0][:, :, :10, :10] for name in ("C7", "C8")]
    assert not np.allclose(*(kernel / kernel.std() for kernel in kernels))


def test_a_new_network_is_undecided():
    patches = np.random.default_rng(1).normal(size=(8, 227, 227, 1)).astype(np.float32)
    for padding in ("same", "valid"):
        scores = create("deepcryopicker", classes=FOUR, padding=padding, width=0.1).build().predict_on_batch(patches)
        assert np.abs(scores - 0.25).max() < 0.24


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("classes", ("particle",)),
        ("classes", ("particle", "particle")),
        ("classes", "particle"),
        ("channels", 2),
        ("channels", True),
        ("seed", -1),
        ("seed", 0.5),
        ("padding", "full"),
        ("activation", "tanh"),
        ("width", 0),
        ("width", float("nan")),
        ("dropout", 1.0),
    ],
)
def test_senseless_settings_are_named(setting, value):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=setting):
        create("deepcryopicker", **({"classes": TWO} | {setting: value}))


def test_unknown_networks_and_settings_list_the_known():
    with pytest.raises(ArgumentError, match=r"deepcryopicker_valid.*'resnet'"):
        create("resnet", classes=TWO)
    with pytest.raises(ArgumentError, match=r"'widht'.* width"):
        create("deepcryopicker", classes=TWO, widht=1)
    with pytest.raises(ArgumentError, match="None"):
        config_from_dict({"classes": TWO})
    assert available()[:3] == ("deepcryopicker", "deepcryopicker_valid", "compact")


def test_settings_survive_json():
    config = create("deepcryopicker_valid", classes=list(FIVE), width=0.5, dropout=0.5, seed=7)
    assert config.classes == FIVE
    assert (config.window, config.stride, config.valid) == (227, 32, True)
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert not create("deepcryopicker", classes=TWO).valid


def test_particle_classes():
    assert particle_classes(FIVE) == [0, 1, 2]
    assert particle_classes(("background", "particle")) == [1]
    assert particle_classes(("negative", "background")) == []


def test_probabilities_are_float32_in_mixed_precision():
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        network = narrow().build()
        assert network.get_layer("C3").compute_dtype == "bfloat16"
        patch = np.random.default_rng(0).normal(size=(1, 227, 227, 1)).astype(np.float32)
        single = network.predict_on_batch(patch)
        whole = fully_convolutional(network).predict_on_batch(patch)
    finally:
        keras.config.set_dtype_policy(before)
    assert single.dtype == whole.dtype == np.float32
    np.testing.assert_allclose(whole[0, 0], single, atol=0.02)


@pytest.mark.parametrize("stride", [32, 16, 8, 4])
def test_the_fully_convolutional_form_scores_one_window_as_the_network_does(stride):
    network = narrow(seed=5).build()
    whole = fully_convolutional(network, stride=stride)
    sight = geometry(whole)
    assert (sight.stride, sight.low, sight.field) == (stride, 0, 227)
    patches = np.random.default_rng(2).normal(size=(2, 227, 227, 1)).astype(np.float32)
    scores = whole.predict_on_batch(patches)
    assert scores.shape == (2, 1, 1, 2)
    np.testing.assert_allclose(scores[:, 0, 0], network.predict_on_batch(patches), atol=1e-5)


def test_the_fully_convolutional_form_has_the_same_variables_not_copies():
    network = narrow(dropout=0.5).build()
    whole = fully_convolutional(network, stride=16)
    patch = np.random.default_rng(2).normal(size=(1, 227, 227, 1)).astype(np.float32)
    before = whole.predict_on_batch(patch)
    network.get_layer("O13").bias.assign([3.0, 0.0])
    after = whole.predict_on_batch(patch)
    assert after[0, 0, 0, 0] > before[0, 0, 0, 0] + 0.3
    np.testing.assert_allclose(after[0, 0], network.predict_on_batch(patch), atol=1e-5)
    assert {id(v) for v in whole.trainable_variables} == {id(v) for v in network.trainable_variables}


@pytest.mark.parametrize("stride", [0, 3, 64, 8.0, True])
def test_strides_that_do_not_divide_are_refused(stride):
    with pytest.raises(ArgumentError, match=r"stride .* 1, 2, 4, 8, 16 or 32"):
        fully_convolutional(narrow().build(), stride=stride)


def test_networks_without_a_fully_convolutional_form_are_refused():
    inputs = keras.Input((32, 32, 1))
    tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    network = keras.Model(inputs, keras.layers.Dense(2)(tensor))
    with pytest.raises(ArgumentError, match="GlobalAveragePooling2D"):
        fully_convolutional(network)


def _seen(network, size, output):
    """First and last input row that decide an output row, found by changing one row after the other."""
    image = np.random.default_rng(3).normal(size=(1, size, size, 1)).astype(np.float32)
    before = network.predict_on_batch(image)[0, output]
    seen = []
    for row in range(size):
        changed = image.copy()
        changed[0, row] += 5
        if np.abs(network.predict_on_batch(changed)[0, output] - before).max() > 1e-5:
            seen.append(row)
    return seen[0], seen[-1]


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_geometry_tells_what_an_output_sees(padding):
    inputs = keras.Input((None, None, 1))
    tensor = keras.layers.Conv2D(4, 5, strides=2, padding=padding, activation="softplus")(inputs)
    tensor = keras.layers.BatchNormalization()(tensor)
    branch = keras.layers.Conv2D(4, 3, dilation_rate=2, padding=padding, activation="softplus")(tensor)
    crop = 0 if padding == "same" else 2
    tensor = keras.layers.Add()([branch, keras.layers.Cropping2D(crop)(tensor)])
    tensor = keras.layers.AveragePooling2D(2, padding=padding)(tensor)
    network = keras.Model(inputs, keras.layers.Conv2D(2, 3, padding=padding)(tensor))
    sight = geometry(network)
    assert sight.stride == 4
    output = 3
    assert _seen(network, 48, output) == (4 * output + sight.low, 4 * output + sight.high)


def test_geometry_refuses_what_it_does_not_follow():
    with pytest.raises(ArgumentError, match="one map"):
        geometry(narrow().build())
    inputs = keras.Input((None, None, 1))
    with pytest.raises(ArgumentError, match="UpSampling2D"):
        geometry(keras.Model(inputs, keras.layers.UpSampling2D()(inputs)))
    with pytest.raises(ArgumentError, match="rows and columns"):
        geometry(keras.Model(inputs, keras.layers.Conv2D(2, (3, 5))(inputs)))


def test_arithmetic_of_a_whole_image():
    network = narrow().build()
    whole = fully_convolutional(network, stride=32)
    assert multiply_adds(whole, (227, 227)) == multiply_adds(network)
    # 3 x 2 windows, 32 pixels apart, share what they have in common.
    shared = multiply_adds(whole, (227 + 64, 227 + 32))
    assert multiply_adds(network) < shared < 6 * multiply_adds(network)
    assert layers(whole, (291, 259)).output_shape.iloc[-1] == (3, 2, 2)
    with pytest.raises(ArgumentError, match="shape"):
        layers(whole)
    with pytest.raises(ArgumentError, match=r"227 x 227 .* 64 x 64"):
        layers(network, (64, 64))


@pytest.fixture(scope="module")
def model():
    config = narrow(classes=FOUR, seed=4)
    network = config.build()
    rng = np.random.default_rng(0)  # weights that no seed of the network gives
    network.set_weights([w + rng.normal(scale=0.05, size=w.shape).astype(np.float32) for w in network.get_weights()])
    return Model(
        network=network,
        config=config,
        working_diameter=150,
        threshold=np.float32(0.4),
        preprocessing={"kind": "flatten", "contrast": "dark"},
        diameter=80.5,
        provenance={"seed": 4},
        method="deepcryopicker",
        settings={"stride": 16},
        learned={"contrast": "dark"},
    )


def test_a_saved_model_comes_back_whole(model, tmp_path):
    folder = model.save(tmp_path / "models" / "mine")
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "network.keras"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mine"]
    again = Model.load(folder)
    assert again.config == model.config
    assert again.threshold == pytest.approx(0.4)
    for name in ("working_diameter", "preprocessing", "diameter", "method", "settings", "learned"):
        assert getattr(again, name) == getattr(model, name)
    assert again.provenance["seed"] == 4
    assert again.provenance["keras"] == keras.__version__
    patch = np.random.default_rng(0).normal(size=(3, 227, 227, 1)).astype(np.float32)
    for a, b in zip(again.network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(again.network.predict_on_batch(patch), model.network.predict_on_batch(patch), atol=1e-6)


def test_optimizer_state_is_not_saved(model, tmp_path):
    small = (model.save(tmp_path / "a") / "network.keras").stat().st_size
    network = model.config.build()
    network.compile("adam", "sparse_categorical_crossentropy")
    network.train_on_batch(np.zeros((2, 227, 227, 1), np.float32), np.zeros(2, int))
    trained = Model(network, model.config, 150, 0.5, {}).save(tmp_path / "b") / "network.keras"
    assert trained.stat().st_size < 1.1 * small
    assert Model.load(tmp_path / "b").diameter is None


def test_saving_replaces_an_older_model_only(model, tmp_path, monkeypatch):
    folder = model.save(tmp_path / "mine")
    before = (folder / "model.json").read_bytes()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(type(model.network), "save", fail)
    with pytest.raises(PickerError, match="disk full"):
        model.save(folder)
    assert (folder / "model.json").read_bytes() == before
    assert list(tmp_path.iterdir()) == [folder]
    monkeypatch.undo()
    changed = Model(model.network, model.config, 99, 0.5, {})
    changed.save(folder)
    assert header(folder)["working_diameter"] == 99
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("keep")
    with pytest.raises(PickerError, match="other"):
        model.save(other)
    assert (other / "notes.txt").read_text() == "keep"
    with pytest.raises(PickerError, match="JSON"):
        Model(model.network, model.config, 99, 0.5, {"path": tmp_path}).save(tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_models_are_found_by_name_or_path(model, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PickerError, match="general"):
        Model.load("general")
    model.save(tmp_path / "shipped" / "general")
    assert shipped() == ("general",)
    assert header("general")["threshold"] == pytest.approx(0.4)
    assert Model.load("general").config == model.config
    with pytest.raises(PickerError, match=r"generla.*general"):
        header("generla")
    with pytest.raises(PickerError, match=r"model\.json"):
        header(tmp_path)


def test_damaged_models_are_said_to_be(model, tmp_path):
    folder = model.save(tmp_path / "mine")
    weights = (folder / "network.keras").read_bytes()
    for damage in (weights[: len(weights) // 2], b"", None):
        (folder / "network.keras").unlink() if damage is None else (folder / "network.keras").write_bytes(damage)
        with pytest.raises(PickerError, match=r"network\.keras"):
            Model.load(folder)
    content = json.loads((folder / "model.json").read_text())
    for damaged in ("{", "[]", json.dumps({"cryokit_model": 1}), json.dumps(content | {"cryokit_model": 99})):
        (folder / "model.json").write_text(damaged)
        with pytest.raises(PickerError, match=r"model\.json"):
            header(folder)


def test_weights_of_another_network_are_refused(model, tmp_path):
    folder = model.save(tmp_path / "mine")
    content = json.loads((folder / "model.json").read_text())
    content["config"]["width"] = 0.05
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(PickerError, match=r"network\.keras"):
        Model.load(folder)


def test_a_network_that_is_not_its_configs_is_not_saved(model, tmp_path):
    with pytest.raises(PickerError, match="config"):
        Model(model.network, narrow(classes=FOUR, width=0.05), 150, 0.5, {}).save(tmp_path / "a")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "value"), [("threshold", 1.5), ("working_diameter", 0), ("diameter", -1)])
def test_senseless_values_of_a_model_are_named(model, name, value):
    settings = {"working_diameter": 20, "threshold": 0.5, "diameter": None} | {name: value}
    with pytest.raises(ArgumentError, match=name):
        Model(model.network, model.config, preprocessing={}, **settings)


def test_headers_and_settings_need_no_keras(model, tmp_path):
    folder = model.save(tmp_path / "mine")
    code = (
        "import sys; from cryokit.networks import *; import cryokit.networks.scoring, cryokit.imaging.scale; "
        f"config_from_dict(header({str(folder)!r})['config']); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
