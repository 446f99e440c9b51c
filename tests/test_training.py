"""Training: what is learnt, that it can be repeated and continued exactly, and what is measured afterwards."""

import io
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryokit.errors import ArgumentError, ArgumentTypeError, CryokitError, PickerError
from cryokit.networks.patches import CLASS_SETTINGS, TrainingSet
from cryokit.networks.training import (
    MODERN,
    PAPER,
    PAPER_EPOCHS,
    Samples,
    ShuffledBatches,
    TrainingSettings,
    accuracy,
    classification_table,
    confusion_matrix,
    fit_batches,
    probabilities,
    train,
)
from cryokit.networks.training.measures import PUBLISHED, distinct_settings, only_classes

REPOSITORY = Path(__file__).resolve().parent.parent
SIZE = 12
STOPPING = TrainingSettings(
    optimizer="sgd", learning_rate=0.05, schedule="constant", epochs=40, patience=2, batch_size=16, augmentation=False
)
QUICK = TrainingSettings(epochs=4, batch_size=16, learning_rate=0.02, patience=None)


def network(classes=3, *, maps=False, seed=0, dropout=0.2):
    """A few kernels, one average; or a map of one class for each position."""
    import keras

    def drawn(number):
        return keras.initializers.HeNormal(seed=100 * seed + number)

    inputs = keras.Input((None, None, 1) if maps else (SIZE, SIZE, 1))
    tensor = keras.layers.Conv2D(8, 3, activation="relu", kernel_initializer=drawn(1))(inputs)
    # Without a seed of its own: the training's must be enough.
    tensor = keras.layers.Dropout(dropout)(tensor)
    if maps:
        outputs = keras.layers.Conv2D(classes, 1, activation="softmax", kernel_initializer=drawn(2))(tensor)
    else:
        tensor = keras.layers.GlobalAveragePooling2D()(tensor)
        outputs = keras.layers.Dense(classes, activation="softmax", kernel_initializer=drawn(2))(tensor)
    return keras.Model(inputs, outputs)


def pictures(number, seed):
    """Noise (class 0), a bright disc in noise (1), or a checkerboard (2)."""
    rng = np.random.default_rng(seed)
    y = np.arange(number) % 3
    x = rng.normal(size=(number, SIZE, SIZE, 1)).astype(np.float32)
    row, column = np.mgrid[:SIZE, :SIZE]
    x[y == 1] += 4.0 * (np.hypot(row - 5.5, column - 5.5) < 4)[..., None]
    x[y == 2] += 3.0 * (-1.0) ** (row + column)[..., None]
    return Samples(x, y)


@pytest.fixture(scope="module")
def training():
    return pictures(96, seed=1)


@pytest.fixture(scope="module")
def validation():
    return pictures(48, seed=2)


@pytest.fixture(scope="module")
def doubtful():
    """Some of the labels are wrong: the more sure a network is, the greater is the loss in the end."""
    samples = pictures(48, seed=2)
    return Samples(samples.x, np.where(np.arange(48) % 4 == 0, (samples.y + 1) % 3, samples.y))


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def without_seconds(history):
    return history.table.drop(columns="seconds")


def run_and_be_killed(folder):
    """Train in a process that ends by SIGKILL in the middle of the fourth epoch."""
    from cryokit.networks.training import batches

    take = batches.TrainingBatches.__getitem__

    def deadly(self, index):
        if self.epoch == 3 and index == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return take(self, index)

    batches.TrainingBatches.__getitem__ = deadly
    settings = replace(QUICK, epochs=6)
    train(network(), pictures(96, seed=1), pictures(48, seed=2), settings, seed=3, folder=folder)


# What is learnt


def test_learns_and_keeps_the_network_clean(training, validation):
    net = network()
    history = train(net, training, validation, replace(QUICK, epochs=8))
    assert accuracy(net, pictures(60, seed=3)) > 0.95
    assert history.table["loss"].iloc[-1] < history.table["loss"].iloc[0] / 2
    assert history.table["epoch"].tolist() == list(range(1, 9))
    # Saving it must not save an optimizer with it.
    assert not net.compiled
    summary = json.loads(json.dumps(history.summary(), allow_nan=False))
    assert summary["val_loss"] == pytest.approx(history.table["val_loss"].min())
    assert summary["settings"] == replace(QUICK, epochs=8).to_dict()


def test_paper_settings_are_the_papers():
    assert (PAPER.optimizer, PAPER.learning_rate, PAPER.batch_size, PAPER.schedule) == ("sgd", 1e-4, 16, "constant")
    assert PAPER_EPOCHS == (20, 32, 64)
    assert not PAPER.augmentation
    assert MODERN.optimizer == "adam"
    assert TrainingSettings(**json.loads(json.dumps(MODERN.to_dict()))) == MODERN


def test_maps_are_learnt_where_weights_say_so():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, SIZE, SIZE, 1)).astype(np.float32)
    right = (x[:, 1:-1, 1:-1, 0] > 0).astype(int)
    # Half of the labels are wrong, and have no weight.
    wrong = rng.random(right.shape) < 0.5
    samples = Samples(x, np.where(wrong, 1 - right, right), ~wrong)
    net = network(2, maps=True, dropout=0.0)
    history = train(net, samples, None, replace(QUICK, epochs=20, batch_size=4))
    predicted = probabilities(net, x).argmax(axis=-1)
    assert (predicted == right).mean() > 0.95
    assert accuracy(net, samples) > 0.95
    assert history.table["accuracy"].iloc[-1] > 0.9
    assert accuracy(net, Samples(x, samples.y)) < 0.6
    assert history.table["val_loss"].isna().all()
    assert history.best_epoch == 20
    assert "val_loss" not in history.summary()


def test_class_weights_are_the_inverse_of_the_shares():
    everything = pictures(96, seed=5)
    chosen = (everything.y != 2) | (np.arange(96) < 30)
    x, y = everything.x[chosen], everything.y[chosen]
    counts = np.bincount(y)
    assert counts[2] < counts[1] / 2
    by_hand = Samples(x, y, (len(y) / (3 * counts))[y])
    networks = [network(), network()]
    settings = replace(QUICK, epochs=2, class_weights=False)
    train(networks[0], Samples(x, y), None, replace(settings, class_weights=True))
    train(networks[1], by_hand, None, settings)
    for first, second in zip(*(net.get_weights() for net in networks), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)


def test_learning_rate_rises_and_falls(training):
    settings = replace(QUICK, epochs=5, learning_rate=0.01)
    rates = train(network(), training, None, settings).table["learning_rate"]
    assert (np.diff(rates) < 0).all()
    assert rates.iloc[-1] == pytest.approx(1e-4, rel=1e-3)


def test_best_weights_are_kept_and_training_stops(training, doubtful):
    net = network()
    history = train(net, training, doubtful, STOPPING)
    assert history.stopped_early
    assert len(history.table) == history.best_epoch + 2 < 40
    chosen = probabilities(net, doubtful.x)[np.arange(48), doubtful.y]
    loss = -np.log(chosen).mean()
    assert loss == pytest.approx(history.table["val_loss"].min(), rel=1e-3)
    assert loss < history.table["val_loss"].iloc[-1]


@pytest.mark.slow
def test_mixed_precision_learns_and_leaves_no_trace(training):
    net = network()
    before = probabilities(net, training.x[:4])
    settings = replace(QUICK, epochs=8, schedule="constant", learning_rate=0.01)
    history = train(net, training, None, replace(settings, mixed_precision=True))
    assert {layer.dtype_policy.name for layer in net.layers} == {"float32"}
    assert accuracy(net, pictures(60, seed=3)) > 0.95
    assert before.dtype == probabilities(net, training.x[:4]).dtype == np.float32
    # It was on: half precision does not give the digits that single precision gives.
    single = train(network(), training, None, replace(settings, epochs=1))
    difference = abs(history.table["loss"].iloc[0] / single.table["loss"].iloc[0] - 1)
    assert 0 < difference < 0.2


def test_progress_is_shown_on_a_terminal_only(training, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in [(Terminal(), True), (io.StringIO(), False)]:
        monkeypatch.setattr(sys, "stderr", stream)
        train(network(), training, None, replace(QUICK, epochs=2))
        assert ("2/2" in stream.getvalue()) == shown


# Repeated and continued


def test_same_seed_same_result(training, validation):
    networks, histories = [], []
    for seed in (1, 1, 2):
        # Whatever other code drew before must not matter.
        np.random.seed(len(networks))  # noqa: NPY002
        networks.append(network())
        chosen = replace(QUICK, epochs=2)
        histories.append(train(networks[-1], training, validation, chosen, seed=seed))
    pd.testing.assert_frame_equal(without_seconds(histories[0]), without_seconds(histories[1]), check_exact=True)
    assert same(networks[0], networks[1])
    assert not same(networks[0], networks[2])
    assert len(histories[0].table) == 2


def test_global_random_state_is_left_alone(training):
    import random

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    net = network()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    train(net, training, None, replace(QUICK, epochs=1))
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_goes_on_exactly_after_a_kill(training, validation, tmp_path):
    code = f"import test_training; test_training.run_and_be_killed({str(tmp_path / 'state')!r})"
    paths = [str(Path(__file__).parent), str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(pd.read_csv(tmp_path / "state" / "history.csv")) == 3

    settings = replace(QUICK, epochs=6)
    whole, continued = network(), network()
    expected = train(whole, training, validation, settings, seed=3)
    history = train(continued, training, validation, settings, seed=3, folder=tmp_path / "state")
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(expected), check_exact=True)
    assert history.best_epoch == expected.best_epoch
    assert same(continued, whole)

    # Once finished it is not done again, but gives the network its weights.
    again = network()
    before = (tmp_path / "state" / "training_state.npz").stat().st_mtime_ns
    repeated = train(again, training, validation, settings, seed=3, folder=tmp_path / "state")
    assert same(again, whole)
    pd.testing.assert_frame_equal(repeated.table, history.table, check_exact=True)
    assert (tmp_path / "state" / "training_state.npz").stat().st_mtime_ns == before


@pytest.mark.slow
def test_an_error_within_an_epoch_loses_that_epoch_only(training, doubtful, tmp_path, monkeypatch):
    """Early stopping and its best weights survive, too."""
    from cryokit.networks.training import callbacks

    whole = network()
    expected = train(whole, training, doubtful, STOPPING)
    interrupted_at = {expected.best_epoch, len(expected.table) - 1}  # before the first wait, and amid the last
    reseed = callbacks.reseed

    def interrupted(network, seed, epoch):
        if epoch in interrupted_at:
            interrupted_at.remove(epoch)
            raise KeyboardInterrupt
        reseed(network, seed, epoch)

    monkeypatch.setattr(callbacks, "reseed", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(network(), training, doubtful, STOPPING, folder=tmp_path)
    last = network()
    history = train(last, training, doubtful, STOPPING, folder=tmp_path)
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(expected), check_exact=True)
    assert history.stopped_early
    assert same(last, whole)


@pytest.mark.slow
def test_more_epochs_at_a_constant_rate_continue(training, tmp_path):
    settings = replace(QUICK, schedule="constant")
    train(network(), training, None, replace(settings, epochs=2), folder=tmp_path)
    longer, whole = network(), network()
    history = train(longer, training, None, settings, folder=tmp_path)
    assert (history.table["learning_rate"] == np.float32(QUICK.learning_rate)).all()
    expected = train(whole, training, None, settings)
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(expected), check_exact=True)
    assert same(longer, whole)
    with pytest.raises(ArgumentError, match=r"4 epochs.* epochs=3"):
        train(network(), training, None, replace(settings, epochs=3), folder=tmp_path)


def test_folder_of_another_training_is_refused(training, validation, tmp_path):
    settings = replace(QUICK, epochs=1)
    train(network(), training, validation, settings, folder=tmp_path)
    before = (tmp_path / "training_state.npz").read_bytes()
    moved = Samples(training.x, np.roll(training.y, 1))
    cases = [
        ((network(), training, validation, settings, 1), r"seed \(0 there, 1 now\)"),
        ((network(), moved, validation, settings, 0), "training samples"),
        ((network(), training, None, settings, 0), "validation samples"),
        ((network(seed=1), training, validation, settings, 0), "initial weights"),
        ((network(), training, validation, replace(settings, epochs=2), 0), r"epochs \(1 there, 2 now\)"),
        ((network(4), training, validation, settings, 0), "initial weights"),
    ]
    for (net, first, second, chosen, seed), message in cases:
        with pytest.raises(ArgumentError, match=message) as caught:
            train(net, first, second, chosen, seed=seed, folder=tmp_path)
        assert str(tmp_path) in str(caught.value)
    assert (tmp_path / "training_state.npz").read_bytes() == before
    (tmp_path / "training_state.npz").write_bytes(before[: len(before) // 2])
    with pytest.raises(PickerError, match=r"training_state\.npz"):
        train(network(), training, validation, settings, folder=tmp_path)


def test_loss_that_is_no_number_stops_with_an_error(training, validation, tmp_path):
    net = network()
    before = net.get_weights()
    settings = TrainingSettings(optimizer="sgd", learning_rate=1e30, schedule="constant", epochs=3)
    with pytest.raises(PickerError, match=r"epoch 1: .*nan"):
        train(net, training, validation, settings, folder=tmp_path)
    # The last weights that were any good, here the first.
    for value, old in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert not (tmp_path / "training_state.npz").exists()


def test_folder_that_cannot_be_written_is_told_before_the_work(training, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CryokitError, match="file"):
        train(network(), training, None, QUICK, folder=tmp_path / "file" / "state")


# Any inputs and targets


REGRESSION = TrainingSettings(learning_rate=0.1, epochs=40, warm_up=0.1)


def line(seed=0):
    import keras

    inputs = keras.Input((3,))
    glorot = keras.initializers.GlorotUniform(seed=seed)
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer=glorot)(inputs))


@pytest.fixture(scope="module")
def points():
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    return x, (x @ [[1.0], [-2], [0.5]] + 0.3).astype(np.float32)


def test_a_regression_is_learnt_and_repeats_itself(points):
    networks = line(), line()
    histories = [
        fit_batches(net, lambda epoch: ShuffledBatches(points, 8, 1, epoch), "mean_squared_error", REGRESSION)
        for net in networks
    ]
    loss = histories[0].table["loss"]
    assert len(loss) == histories[0].best_epoch == 40
    assert loss.iloc[-1] < 1e-3 < loss.iloc[0]
    assert loss.tolist() == histories[1].table["loss"].tolist()
    assert same(*networks)
    kernel, bias = networks[0].get_weights()
    np.testing.assert_allclose(kernel[:, 0], [1, -2, 0.5], atol=0.05)
    np.testing.assert_allclose(bias, 0.3, atol=0.05)
    assert not networks[0].compiled


def test_networks_of_several_inputs_are_trained(points):
    import keras

    inputs = keras.Input((3,)), keras.Input((3,))
    glorot = keras.initializers.GlorotUniform(seed=0)
    shared = keras.layers.Dense(1, kernel_initializer=glorot)
    network = keras.Model(inputs, keras.layers.Subtract()([shared(tensor) for tensor in inputs]))
    x, y = points
    # The difference of two points' values, without the constant.
    batches = [((x[:25], x[25:]), y[:25] - y[25:])] * 4
    history = fit_batches(network, lambda epoch: batches, "mean_squared_error", REGRESSION)
    assert history.table["loss"].iloc[-1] < 1e-3
    np.testing.assert_allclose(shared.get_weights()[0][:, 0], [1, -2, 0.5], atol=0.05)


def test_a_regression_whose_loss_is_no_number_is_an_error(points):
    x, y = points
    net = line()
    before = net.get_weights()
    with pytest.raises(PickerError, match=r"epoch 3: .*nan"):
        fit_batches(
            net,
            lambda epoch: ShuffledBatches((x, y * np.nan if epoch == 2 else y), 8, 1, epoch),
            "mean_squared_error",
            REGRESSION,
        )
    # The weights of the epoch before.
    after = net.get_weights()
    assert np.isfinite(after[0]).all()
    assert not np.array_equal(after[0], before[0])


# Batches


def test_every_sample_is_seen_in_every_epoch_and_batches_are_alike(training):
    from cryokit.networks.training.batches import TrainingBatches

    numbered = Samples(np.arange(50, dtype=np.float32).reshape(50, 1, 1, 1), np.zeros(50, int))
    orders = []
    for epoch in range(2):
        batches = TrainingBatches(numbered, 16, False, 0, epoch)
        taken = [batches[index][0].ravel() for index in range(len(batches))]
        assert [len(batch) for batch in taken] == [16] * 4
        assert set(np.concatenate(taken).tolist()) == set(range(50))
        orders.append(np.concatenate(taken))
    assert (orders[0] != orders[1]).any()
    few = TrainingBatches(Samples(training.x[:5], training.y[:5]), 8, True, 0, 0)
    assert (len(few), len(few[0][0])) == (1, 5)


def test_only_ratios_of_weights_matter(training):
    from cryokit.networks.training.batches import TrainingBatches

    weights = np.random.default_rng(0).random(96)
    samples = [Samples(training.x, training.y, factor * weights) for factor in (1, 1024)]
    batches = [TrainingBatches(weighted, 96, False, 0, 0)[0] for weighted in samples]
    for once, more in [[arrays[2] for arrays in batches], [weighted.arrays()[2] for weighted in samples]]:
        np.testing.assert_array_equal(once, more)
        assert once.mean() == pytest.approx(1, rel=1e-5)
        assert once.std() > 0.1


@pytest.mark.parametrize(("rows", "columns", "ways"), [(6, 6, 8), (6, 4, 4)])
def test_pictures_and_maps_are_turned_alike(rows, columns, ways):
    from cryokit.networks.training.batches import TrainingBatches

    rng = np.random.default_rng(0)
    ranks = rng.permutation(rows * columns).reshape(rows, columns)
    # The same picture 64 times; its map is a third of its ranks, its weights are its ranks.
    x = np.broadcast_to(ranks[None, ..., None] * 10.0, (64, rows, columns, 1))
    y = np.broadcast_to(ranks // 3, (64, rows, columns))
    batches = TrainingBatches(Samples(x, y, y + 1.0), 64, True, 0, 0)
    pictures, maps, weights = batches[0]
    seen = set()
    for picture, classes, weight in zip(pictures[..., 0], maps, weights, strict=True):
        turned = picture.ravel().argsort().argsort().reshape(picture.shape)
        np.testing.assert_array_equal(turned // 3, classes)
        np.testing.assert_allclose(weight / weight.mean(), (classes + 1) / (classes + 1).mean(), rtol=1e-5)
        seen.add(turned.tobytes())
    assert len(seen) == ways
    # Contrast and brightness differ from sample to sample, and not by much.
    spread = pictures.std(axis=(1, 2, 3)) / x[0].std()
    assert 0.79 < spread.min() < 0.85
    assert 1.15 < spread.max() < 1.21
    # Asking again gives the same, since Keras may ask in any order.
    np.testing.assert_array_equal(batches[0][0], pictures)
    np.testing.assert_array_equal(x[0, ..., 0], ranks * 10.0)


# What is refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "rmsprop"), ("schedule", "steps"), ("learning_rate", 0), ("learning_rate", math.nan),
        ("learning_rate", True), ("momentum", 1.0), ("batch_size", 0), ("epochs", 2.5), ("patience", 0),
        ("augmentation", 1), ("mixed_precision", "float16"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(name, value):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"^{name} "):
        TrainingSettings(**{name: value})


@pytest.mark.parametrize(
    ("x", "y", "weights", "message"),
    [
        (np.zeros((3, 8, 8)), [0, 1, 0], None, r"^x .*\(3, 8, 8\)"),
        (np.zeros((3, 8, 8, 1)), [0, 1], None, r"^y .*\(2,\)"),
        (np.zeros((3, 8, 8, 1)), [0.0, 1.0, 1.0], None, r"^y .*float64"),
        (np.zeros((3, 8, 8, 1)), [0, -1, 1], None, r"^y .*-1"),
        (np.zeros((0, 8, 8, 1)), [], None, r"^x .*\(0, 8, 8, 1\)"),
        (np.full((3, 8, 8, 1), [[[[0.0]]], [[[np.nan]]], [[[1.0]]]]), [0, 1, 1], None, r"^x .*sample 1 of 3"),
        (np.zeros((3, 8, 8, 1)), [0, 1, 1], [1.0, 1.0], "^weights "),
        (np.zeros((3, 8, 8, 1)), [0, 1, 1], [1.0, -1.0, 1.0], "^weights "),
        (np.zeros((3, 8, 8, 1)), [0, 1, 1], [0.0, 0.0, 0.0], "^weights "),
    ],
)
def test_samples_that_cannot_be(x, y, weights, message):
    with pytest.raises(ArgumentError, match=message):
        Samples(x, np.asarray(y), None if weights is None else np.asarray(weights))


def test_samples_that_do_not_fit_the_network(training):
    cases = [
        (network(2), training, r"^y .* 0 to 1 .* 2$"),
        (network(), Samples(training.x[:, 1:], training.y), r"^x .*\(12, 12, 1\).*\(11, 12, 1\)"),
        (network(maps=True), training, r"^y .*\(96, 10, 10\).*\(96,\)"),
        (network(), Samples(training.x, np.zeros((96, 3, 3), int)), r"^y .*\(96,\).*\(96, 3, 3\)"),
        (network(maps=True), Samples(training.x[:, :2, :2], training.y), r"^x .*\(2, 2, 1\)"),
    ]
    for net, samples, message in cases:
        with pytest.raises(ArgumentError, match=message):
            train(net, samples, None, QUICK)
    with pytest.raises(ArgumentError, match=r"seed .*-1"):
        train(network(), training, None, QUICK, seed=-1)


# Measures


def threshold_network():
    """Class 1 where the mean of a picture of 2 x 2 pixels is above 0, class 2 above 10, else class 0."""
    import keras

    inputs = keras.Input((2, 2, 1))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(inputs))
    net = keras.Model(inputs, outputs)
    net.set_weights([np.array([[0.0, 1.0, 2.0]]), np.array([0.0, 0.0, -10.0])])
    return net


def test_confusion_matrix_counts():
    means = np.array([-1.0, -2.0, 3.0, 4.0, 5.0, 11.0, 12.0, -3.0])
    truth = np.array([0, 0, 1, 1, 2, 2, 1, 1])
    samples = Samples(np.broadcast_to(means[:, None, None, None], (8, 2, 2, 1)), truth)
    matrix = confusion_matrix(threshold_network(), samples, classes=("a", "b", "c"), batch_size=3)
    assert matrix.to_numpy().tolist() == [[2, 0, 0], [1, 2, 1], [0, 1, 1]]
    assert matrix.loc["b", "c"] == 1
    assert (matrix.index.name, matrix.columns.name) == ("true", "predicted")
    assert accuracy(threshold_network(), samples) == pytest.approx(5 / 8)
    weighted = Samples(samples.x, truth, [1.0, 1.0, 1.0, 1.0, 0.0, 0.5, 0.0, 0.0])
    assert confusion_matrix(threshold_network(), weighted).loc["2"].tolist() == [0, 0, 0.5]
    assert accuracy(threshold_network(), weighted) == 1
    with pytest.raises(ArgumentError, match=r"classes .* 3 "):
        confusion_matrix(threshold_network(), samples, classes=("a", "b"))


def test_no_picture_has_no_probabilities():
    assert probabilities(threshold_network(), np.zeros((0, 2, 2, 1))).shape == (0, 3)


def training_set(classes, per_class=24):
    """Patches that can be told apart: each class with a bright bar at its own place."""
    rng = np.random.default_rng(0)
    names = np.repeat(classes, per_class)
    patches = rng.integers(100, 150, (len(names), SIZE, SIZE)).astype(np.uint8)
    for number, name in enumerate(classes):
        patches[names == name, 2 * number : 2 * number + 2] = 250
    splits = np.tile(np.repeat(["train", "validation", "test"], per_class // 3), len(classes))
    table = pd.DataFrame(
        {
            "micrograph": splits, "x": 0.0, "y": 0.0, "diameter": 8.0, "class": names, "split": splits,
            "rotation": 0, "augmentation": "", "original": np.arange(len(names)),
        }
    )  # fmt: skip
    return TrainingSet(patches, tuple(classes), table)


def flat(classes):
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((SIZE, SIZE, 1)), keras.layers.Flatten(), keras.layers.Dense(len(classes), "softmax")]
    )


def test_a_network_of_table_3_that_is_trained_already_is_measured():
    patches = training_set(("top", "background"), per_class=12)
    settings = TrainingSettings(epochs=2, patience=None, batch_size=8, augmentation=False)
    trained = flat(patches.classes)
    samples = {split: Samples(*patches.arrays(split)) for split in ("train", "validation", "test")}
    history = train(trained, samples["train"], samples["validation"], settings, seed=3)
    built = []

    def build(classes):
        built.append(classes)
        return flat(classes)

    def table(**options):
        options = {"epochs": (2,), "class_settings": {"both": patches.classes}, "seed": 3, **options}
        return classification_table(patches, build, settings=settings, trained=[(trained, history)], **options)

    row = table().iloc[0]
    assert built == []
    assert row["test"] == pytest.approx(accuracy(trained, samples["test"]))
    assert (row["epochs_trained"], row["best_epoch"]) == (2, history.best_epoch)
    for number, other in enumerate(
        ({"seed": 4}, {"epochs": (1,)}, {"class_settings": {"turned": patches.classes[::-1]}}), start=1
    ):
        table(**other)
        assert len(built) == number


@pytest.mark.slow
def test_table_3(monkeypatch):
    patches = training_set(("top", "side", "irregular", "negative", "background"))
    settings = TrainingSettings(
        optimizer="sgd", learning_rate=0.01, schedule="constant", patience=None, batch_size=8, augmentation=False
    )
    monkeypatch.setitem(PUBLISHED["4 + negative"], 4, 50.0)
    wanted = {name: CLASS_SETTINGS[name] for name in ("4 + negative", "five classes")}
    table = classification_table(patches, flat, epochs=(1, 4), settings=settings, class_settings=wanted)
    assert table["setting"].tolist() == ["4 + negative"] * 2 + ["five classes"] * 2
    assert table["epochs"].tolist() == [1, 4] * 2
    assert (table["epochs_trained"] == table["epochs"]).all()
    assert table.loc[table["epochs"] == 4, "test"].min() > 0.9
    assert ((table[["train", "validation", "test"]] >= 0) & (table[["train", "validation", "test"]] <= 1)).all(
        axis=None
    )
    assert table["published"].fillna(-1).tolist() == [-1, 0.5, -1, -1]

    # The longer training went on from the shorter one: it is what a training of its own gives.
    classes = CLASS_SETTINGS["4 + negative"]
    part = only_classes(patches, classes)
    alone = flat(classes)
    sets = [Samples(*part.arrays(split)) for split in ("train", "validation", "test")]
    history = train(alone, *sets[:2], replace(settings, epochs=4))
    row = table[(table["setting"] == "4 + negative") & (table["epochs"] == 4)].iloc[0]
    assert row["best_epoch"] == history.best_epoch
    expected = [accuracy(alone, samples) for samples in sets]
    assert [row["train"], row["validation"], row["test"]] == pytest.approx(expected)


def test_class_settings_without_the_views_that_are_not_there():
    classes = ("top", "negative", "background")
    assert distinct_settings(CLASS_SETTINGS, classes) == {
        "4 + background": ("top", "background"),
        "4 + negative": ("top", "negative"),
        "five classes": classes,
    }
    assert list(distinct_settings(CLASS_SETTINGS, ("top", "background"))) == ["4 + background"]
    with pytest.raises(ArgumentError, match="top"):
        distinct_settings(CLASS_SETTINGS, ("top",))
    with pytest.raises(ArgumentError, match="side"):
        only_classes(training_set(("top", "background")), ("top", "side"))


def test_published_table_has_the_class_settings():
    assert list(PUBLISHED) == list(CLASS_SETTINGS)
    assert all(tuple(row) == PAPER_EPOCHS for row in PUBLISHED.values())
    # Without the background it is all harder, and 64 epochs are no better than 20.
    assert [min(row.values()) for row in PUBLISHED.values()] == [99.72, 97.78, 95.91]


def test_labels_of_a_part_follow_its_classes():
    part = only_classes(training_set(("top", "negative", "background")), ("background", "top"))
    x, y = part.arrays("test")
    # The background's bar is the third.
    assert set(y[x[:, 4, 6, 0] > 1]) == {0}
    assert np.bincount(y).tolist() == [8, 8]


def test_importing_does_not_import_keras():
    code = "import sys, cryokit.networks.training, cryokit.plot.trainings; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, timeout=120).returncode == 0
