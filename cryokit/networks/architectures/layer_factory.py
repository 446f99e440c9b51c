"""What the architectures share: layers with weights drawn from one seed, and the layers of AlexNet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cryokit.networks.architectures.network_config import NetworkConfig
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras
    from keras.layers import Layer


class LayerFactory:
    """Makes the layers of one network.

    Layers of the same shape must not start with the same weights, so each has a seed of its own, which follows from the
    network's. The number of filters and units is multiplied by the network's setting `width`, where it has one.

    Parameters
    ----------
    config : NetworkConfig
        Settings of the network.
    activation : {"relu", "sigmoid"}
        Activation of convolutions and connected layers; their weights are drawn by He's or Glorot's rule.
    padding : {"valid", "same"}
        Padding of convolutions.
    """

    def __init__(self, config: NetworkConfig, activation: str = "relu", padding: str = "valid") -> None:
        self.keras = import_keras()
        self.layers = self.keras.layers
        self.config, self.width = config, getattr(config, "width", 1.0)
        self.activation, self.padding = activation, padding
        self._seeds = itertools.count(1000 * config.seed)

    def scaled(self, number: int) -> int:
        """Return a number of filters or units times the network's width, at least 1."""
        return max(1, round(self.width * number))

    def initializer(self, scale: float | None = None) -> keras.initializers.Initializer:
        """Return the initializer of the next layer: by the activation's rule, or of the variance `scale` / inputs."""
        seed = next(self._seeds)
        if scale is not None:
            return self.keras.initializers.VarianceScaling(scale, seed=seed)
        rule = "HeNormal" if self.activation == "relu" else "GlorotUniform"
        return getattr(self.keras.initializers, rule)(seed=seed)

    def convolution(self, name: str, filters: int, size: int, *, scale: float | None = None, **settings: Any) -> Layer:
        """Return a convolution of `size` x `size`; `settings` are those of `keras.layers.Conv2D`."""
        settings = {"activation": self.activation, "padding": self.padding} | settings
        return self.layers.Conv2D(
            self.scaled(filters), size, kernel_initializer=self.initializer(scale), name=name, **settings
        )

    def pooling(self, name: str, size: int = 3, stride: int = 2, padding: str = "valid") -> Layer:
        """Return a max-pooling."""
        return self.layers.MaxPooling2D(size, strides=stride, padding=padding, name=name)

    def connected(self, name: str, units: int, **settings: Any) -> Layer:
        """Return a fully connected layer."""
        return self.layers.Dense(
            self.scaled(units), activation=self.activation, kernel_initializer=self.initializer(), name=name, **settings
        )

    def dropout(self, name: str, rate: float) -> list[Layer]:
        """Return a dropout layer, none if nothing is dropped."""
        return [self.layers.Dropout(rate, seed=next(self._seeds), name=name)] if rate else []

    def output(self, name: str, units: int, activation: str | None = "softmax", **settings: Any) -> Layer:
        """Return the last layer of a network."""
        return self.layers.Dense(
            units,
            activation=activation,
            # A hundredth of the usual variance: a new network is undecided, not sure of the wrong class.
            kernel_initializer=self.initializer(0.01),
            # Probabilities keep their digits also where the rest is computed in half precision.
            dtype="float32",
            name=name,
            **settings,
        )

    def alexnet(self, names: str, kernel: int, stride: int, *, first: str = "valid", pooling: str = "valid") -> list:
        """Return AlexNet's five convolutions and the max-poolings after the first two of them.

        Parameters
        ----------
        names : str
            Names of the seven layers.
        kernel, stride : int
            Of the first convolution; 11 and 4 in AlexNet.
        first, pooling : {"valid", "same"}
            Padding of the first convolution, and of the poolings.
        """
        conv1, pool1, conv2, pool2, conv3, conv4, conv5 = names.split()
        return [
            self.convolution(conv1, 96, kernel, strides=stride, padding=first),
            self.pooling(pool1, padding=pooling),
            self.convolution(conv2, 256, 5),
            self.pooling(pool2, padding=pooling),
            self.convolution(conv3, 384, 3),
            self.convolution(conv4, 384, 3),
            self.convolution(conv5, 256, 3),
        ]

    def two_connected(self, names: str, dropout: float) -> list[Layer]:
        """Return AlexNet's two fully connected layers, each followed by dropout."""
        chain = []
        for name in names.split():
            chain += [self.connected(name, 4096), *self.dropout(f"{name}_dropout", dropout)]
        return chain

    def network(self, name: str, input_name: str, side: int | None, chain: Iterable[Layer]) -> keras.Model:
        """Return a chain of layers as a network.

        Parameters
        ----------
        name, input_name : str
            Names of the network and of its input.
        side : int or None
            Side of the square pictures that the network takes; None for pictures of any size.
        chain : iterable of keras.layers.Layer
            Layers in the order in which they are applied.
        """
        picture = self.keras.Input((side, side, self.config.channels), name=input_name)
        return self.keras.Model(picture, through(picture, chain), name=name)


def through(tensor: keras.KerasTensor, layers: Iterable[Layer]) -> keras.KerasTensor:
    """Return what a chain of layers makes of a tensor."""
    for layer in layers:
        tensor = layer(tensor)
    return tensor
