"""Settings of a network: what builds one, and what is saved beside its weights."""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryokit._util.checked_settings import CheckedSettings, checked, choice, number
from cryokit._util.validation import check_choice
from cryokit.errors import ArgumentError

if TYPE_CHECKING:
    import keras

# Classes of a score map that are particles: the views, or all of them as one. Other classes (background, negative) are
# what a network tells particles from.
PARTICLE_CLASSES = ("top", "side", "irregular", "particle")
# name -> module (imported when the network is used), class, and settings that the name stands for
_NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "deepcryopicker": ("deepcryopicker_net", "DeepCryoPickerConfig", {}),
    "deepcryopicker_valid": ("deepcryopicker_net", "DeepCryoPickerConfig", {"padding": "valid"}),
    "compact": ("compact_net", "CompactConfig", {}),
    "deepem": ("deepem_net", "DeepEMConfig", {}),
    "deeppicker": ("deeppicker_net", "DeepPickerConfig", {}),
    "eman2": ("eman2_net", "Eman2Config", {}),
    "fastparticlepicker": ("fastparticlepicker_net", "FastParticlePickerConfig", {}),
    "pixer": ("pixer_net", "PixerConfig", {}),
    "pixer_classifier": ("pixer_net", "PixerClassifierConfig", {}),
}


def check_classes(name: str, value: Any) -> tuple[str, ...]:
    """Return class names as a tuple.

    Raises
    ------
    ArgumentError
        If they are not two or more different names.
    """
    named = isinstance(value, Sequence) and not isinstance(value, str)
    named = named and all(isinstance(item, str) and item for item in value)
    if not named or len(value) < 2 or len(set(value)) < len(value):
        raise ArgumentError(f"{name} must be two or more different names, not {value!r}")
    return tuple(value)


@dataclass(frozen=True)
class NetworkConfig(CheckedSettings, ABC):
    """Settings of a network, which `build` makes from them; base class.

    Attributes
    ----------
    classes : tuple of str
        Classes that the network tells apart, in the order of its outputs. A list is accepted.
    channels : {1, 3}
        Channels of the input: 1 for grey values.
    seed : int
        Random seed of the weights and of dropout.
    valid : bool
        Whether dense scores equal those of single windows: nothing is padded inside the network.

    Raises
    ------
    ArgumentError
        If a setting has a value that it cannot have; the message names it.
    """

    kind: ClassVar[str]
    valid: ClassVar[bool] = True

    classes: tuple[str, ...] = checked(("particle", "background"), check_classes)
    channels: int = choice(1, 1, 3)
    seed: int = number(0, 0, whole=True)

    @property
    def window(self) -> int:
        """Side, in pixels, of the square of the input that one score sees: the setting `box`, where there is one."""
        return self.box

    @property
    @abstractmethod
    def stride(self) -> int:
        """Spacing of the scores of the network's own dense map, in pixels of the input."""

    @abstractmethod
    def build(self) -> keras.Model:
        """Return a new network with random weights; the same seed gives the same weights on one backend.

        It returns probabilities (float32, also in mixed precision) of shape (batch, classes) if it judges single
        windows, (batch, rows, columns, classes) if it is fully convolutional.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values, with the ``kind`` that `config_from_dict` needs.

        Examples
        --------
        >>> create("deepcryopicker_valid").to_dict()["padding"]
        'valid'
        """
        return {"kind": self.kind} | super().to_dict()


def available() -> tuple[str, ...]:
    """Return the names of the networks."""
    return tuple(_NETWORKS)


def create(name: str, **settings: Any) -> NetworkConfig:
    """Return the settings of a network; their `build` makes the network.

    Parameters
    ----------
    name : str
        Name of the network, one of `available`. ``deepcryopicker_valid`` is ``deepcryopicker`` with
        ``padding="valid"``.
    **settings
        Fields of its class.

    Returns
    -------
    NetworkConfig

    Raises
    ------
    ArgumentError
        If there is no such network or setting (the message lists those there are), or a value is not possible.

    Examples
    --------
    >>> create("deepcryopicker", widht=0.1)
    Traceback (most recent call last):
    ...
    cryokit.errors.ArgumentError: network 'deepcryopicker': ... 'widht'; its settings are classes, channels, seed, ...
    """
    check_choice("network", name, _NETWORKS)
    module, class_name, implied = _NETWORKS[name]
    config = getattr(importlib.import_module(f"cryokit.networks.architectures.{module}"), class_name)
    signature = inspect.signature(config)
    try:
        signature.bind(**(implied | settings))
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise ArgumentError(f"network {name!r}: {error}; its settings are {known}") from None
    return config(**(implied | settings))


def config_from_dict(settings: Mapping[str, Any]) -> NetworkConfig:
    """Return the settings that `NetworkConfig.to_dict` gave.

    Raises
    ------
    ArgumentError
        If ``kind`` is missing or unknown, or as in `create`.

    Examples
    --------
    >>> config = create("deepcryopicker", width=0.1)
    >>> config_from_dict(config.to_dict()) == config
    True
    """
    others = dict(settings)
    return create(others.pop("kind", None), **others)


def particle_classes(classes: Sequence[str]) -> list[int]:
    """Return the numbers of the classes that are particles: top, side and irregular views, or the class ``particle``.

    Examples
    --------
    >>> particle_classes(("top", "side", "irregular", "negative", "background"))
    [0, 1, 2]
    """
    return [number for number, name in enumerate(classes) if name in PARTICLE_CLASSES]
