"""The training loop for networks that give no class probabilities."""

import numpy as np
import pytest

from cryokit.errors import PickerError
from cryokit.networks.devices import import_keras
from cryokit.networks.training.fitting import Shuffled, teach


def line(seed=0):
    keras = import_keras()
    inputs = keras.Input((3,))
    return keras.Model(
        inputs, keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))(inputs)
    )


@pytest.fixture(scope="module")
def samples():
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    return x, (x @ [[1.0], [-2], [0.5]] + 0.3).astype(np.float32)


def test_it_learns_and_repeats_itself(samples):
    one, other = line(), line()
    losses = [
        teach(net, lambda epoch: Shuffled(*samples, 8, 1, epoch), "mean_squared_error", epochs=40, rate=0.1)
        for net in (one, other)
    ]
    assert len(losses[0]) == 40
    assert losses[0][-1] < 1e-3 < losses[0][0]
    assert losses[0] == losses[1]
    kernel, bias = one.get_weights()
    np.testing.assert_allclose(kernel[:, 0], [1, -2, 0.5], atol=0.05)
    np.testing.assert_allclose(bias, 0.3, atol=0.05)
    np.testing.assert_array_equal(kernel, other.get_weights()[0])


def test_a_loss_that_is_no_number_is_an_error(samples):
    x, y = samples
    with pytest.raises(PickerError, match="epoch 1: the loss became nan; train at a rate below"):
        teach(line(), lambda epoch: Shuffled(x, y * np.nan, 8, 1, epoch), "mean_squared_error", epochs=2, rate=0.1)


def test_an_epoch_shows_every_sample_in_batches_of_one_size(samples):
    x, y = samples
    epoch = Shuffled(x, y, 8, 1, 0)
    shown = np.concatenate([epoch[k][0] for k in range(len(epoch))])
    assert [len(epoch[k][1]) for k in range(len(epoch))] == [8] * 7
    assert len(np.unique(shown, axis=0)) == 50
    again, later = Shuffled(x, y, 8, 1, 0), Shuffled(x, y, 8, 1, 1)
    np.testing.assert_array_equal(again[3][0], epoch[3][0])
    assert not np.array_equal(later[3][0], epoch[3][0])


def test_fewer_samples_than_a_batch(samples):
    x, y = samples
    epoch = Shuffled(x[:5], y[:5], 8, 1, 0)
    assert len(epoch) == 1
    assert epoch[0][0].shape == (5, 3)
