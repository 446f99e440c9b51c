"""What a network looks at: gradients against finite differences and against networks whose gradient is known."""

import numpy as np
import pytest

from cryokit.errors import ArgumentError
from cryokit.networks.training import first_layer_kernels, saliency

SIZE = 8


def linear(classes=3, scale=1.0):
    import keras

    net = keras.Sequential(
        [keras.Input((SIZE, SIZE, 1)), keras.layers.Flatten(), keras.layers.Dense(classes, activation="softmax")]
    )
    rng = np.random.default_rng(0)
    net.set_weights([scale * rng.normal(size=(SIZE * SIZE, classes)), rng.normal(size=classes)])
    return net


def convolutional(channels=1, maps=False, dropout=0.5):
    import keras

    inputs = keras.Input((None, None, channels) if maps else (SIZE, SIZE, channels))
    tensor = keras.layers.Conv2D(5, 3, activation="tanh", kernel_initializer=keras.initializers.HeNormal(1))(inputs)
    tensor = keras.layers.Dropout(dropout)(tensor)
    if maps:
        outputs = keras.layers.Conv2D(3, 1, activation="softmax")(tensor)
    else:
        tensor = keras.layers.Flatten()(tensor)
        outputs = keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.HeNormal(2))(tensor)
    return keras.Model(inputs, outputs)


@pytest.fixture
def pictures():
    return np.random.default_rng(1).normal(size=(3, SIZE, SIZE, 1)).astype(np.float32)


@pytest.mark.parametrize("copies", [1, 5])
def test_linear_network_of_two_classes(pictures, copies):
    net = linear(2)
    kernel = net.get_weights()[0]
    # The log-odds are the difference of two linear functions, with or without noise.
    expected = (kernel[:, 1] - kernel[:, 0]).reshape(SIZE, SIZE)
    gradient = saliency(net, pictures, 1, copies=copies)
    assert gradient.shape == (3, SIZE, SIZE)
    for picture in gradient:
        np.testing.assert_allclose(picture, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(saliency(net, pictures, [0, 1, 0], copies=copies)[[0, 2]], [-expected] * 2, rtol=1e-3)


def test_agrees_with_finite_differences(pictures):
    net = convolutional()

    def odds(images, target):
        scores = np.asarray(net.predict(images, verbose=0), np.float64)
        return np.log(scores[:, target]) - np.log(scores.sum(axis=1) - scores[:, target])

    gradient = saliency(net, pictures, 2, copies=1)
    step = 0.02
    for row, column in [(0, 0), (3, 4), (7, 2)]:
        moved = np.zeros_like(pictures)
        moved[:, row, column] = step
        expected = (odds(pictures + moved, 2) - odds(pictures - moved, 2)) / (2 * step)
        np.testing.assert_allclose(gradient[:, row, column], expected, rtol=0.02, atol=2e-3)


def test_does_not_vanish_where_the_network_is_sure(pictures):
    sure = linear(3, scale=3.0)
    probability = sure.predict(pictures, verbose=0).max()
    assert probability > 0.9999
    gradient = saliency(sure, pictures, copies=1)
    kernel = sure.get_weights()[0]
    best, second, third = np.argsort(-sure.predict(pictures, verbose=0), axis=1)[0]
    expected = (kernel[:, best] - kernel[:, second]).reshape(SIZE, SIZE)
    assert third != second
    assert np.corrcoef(gradient[0].ravel(), expected.ravel())[0, 1] > 0.9
    assert np.abs(gradient).max() > 1


def test_most_probable_class_is_the_default(pictures):
    net = convolutional()
    best = net.predict(pictures, verbose=0).argmax(axis=1)
    np.testing.assert_allclose(saliency(net, pictures), saliency(net, pictures, best), atol=1e-6)


def test_pictures_do_not_influence_each_other(pictures):
    net = convolutional()
    together = saliency(net, pictures, 1, copies=1)
    alone = np.concatenate([saliency(net, pictures[i : i + 1], 1, copies=1) for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_middle_of_a_map(pictures):
    # 6 x 6 positions of 3 x 3 pixels: the four in the middle see rows and columns 2 to 5.
    even = saliency(convolutional(maps=True), pictures, 0)
    assert not even[:, :2].any()
    assert not even[:, :, 6:].any()
    assert even[:, 2:6, 2:6].all()
    odd = saliency(convolutional(maps=True), pictures[:, :7, :7], 0)
    assert odd[:, 2:5, 2:5].all()
    assert not odd[:, :, 5:].any()


def test_network_stays_as_it_is(pictures):
    net = convolutional()
    net.layers[1].trainable = False
    before = [np.array(value) for value in net.get_weights()]
    state = [variable.numpy() for variable in net.non_trainable_variables]
    saliency(net, pictures)
    for value, old in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    for value, old in zip(net.non_trainable_variables, state, strict=True):
        np.testing.assert_array_equal(value.numpy(), old)
    assert [layer.trainable for layer in net.layers[1:]] == [False, True, True, True]
    assert not net.compiled


def test_same_seed_same_saliency(pictures):
    net = convolutional()
    np.testing.assert_array_equal(saliency(net, pictures, seed=4), saliency(net, pictures, seed=4))
    assert (saliency(net, pictures, seed=4) != saliency(net, pictures, seed=5)).any()


def test_first_kernels_add_up_their_channels(pictures):
    import keras

    net = convolutional(channels=3)
    kernels = first_layer_kernels(net)
    assert kernels.shape == (5, 3, 3)
    # What the first layer does to a grey picture is correlation with them.
    grey = np.repeat(pictures, 3, axis=-1)
    tensor = keras.ops.convert_to_numpy(net.layers[1](grey))
    by_hand = np.tanh((pictures[0, 2:5, 3:6, 0] * kernels[4]).sum())
    assert tensor[0, 2, 3, 4] == pytest.approx(by_hand, abs=1e-5)
    with pytest.raises(ArgumentError, match="convolution"):
        first_layer_kernels(linear())


def test_what_cannot_be_explained(pictures):
    net = linear()
    for arguments, message in [
        ((pictures[0], 1), "pictures"),
        ((pictures, 3), r"target .* 0 to 2, not 3"),
        ((pictures, [0, 1]), r"target .* 3 "),
        ((pictures, 0.5), "target"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            saliency(net, *arguments)
    with pytest.raises(ArgumentError, match=r"copies .* 0$"):
        saliency(net, pictures, copies=0)
