"""Settings of a network: what makes one from nothing, and what is saved beside its weights."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cryokit.errors import PickerError

if TYPE_CHECKING:
    import keras

# Classes of a score map that are particles: the views, or all of them as one. Whatever else a network tells apart
# (background, negative) is what it leaves out.
PARTICLE_CLASSES = ("top", "side", "irregular", "particle")
# name -> module, class, and settings that the name stands for; the module is imported when the network is used.
_NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "deepcryopicker": ("cryokit.networks.architectures.deepcryopicker_net", "DeepCryoPickerConfig", {}),
    "deepcryopicker_valid": (
        "cryokit.networks.architectures.deepcryopicker_net",
        "DeepCryoPickerConfig",
        {"padding": "valid"},
    ),
    "compact": ("cryokit.networks.architectures.compact_net", "CompactConfig", {}),
    "deepem": ("cryokit.networks.architectures.deepem_net", "DeepEMConfig", {}),
    "deeppicker": ("cryokit.networks.architectures.deeppicker_net", "DeepPickerConfig", {}),
    "eman2": ("cryokit.networks.architectures.eman2_net", "Eman2Config", {}),
    "fastparticlepicker": ("cryokit.networks.architectures.fastparticlepicker_net", "FastParticlePickerConfig", {}),
    "pixer": ("cryokit.networks.architectures.pixer_net", "PixerConfig", {}),
    "pixer_classifier": ("cryokit.networks.architectures.pixer_net", "PixerClassifierConfig", {}),
}


@dataclass(frozen=True)
class NetworkConfig(ABC):
    """What every network has; subclasses add their own settings and `build` it.

    Attributes
    ----------
    classes : tuple of str
        What the network tells apart, in the order of its outputs. A list is accepted.
    channels : int
        Of the input: 1 for grey values.
    seed : int
        Of the random weights (and of dropout).

    Raises
    ------
    PickerError
        When a setting makes no sense; the message names it.
    """

    kind: ClassVar[str]

    classes: tuple[str, ...]
    channels: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        named = not isinstance(self.classes, str) and all(isinstance(name, str) and name for name in self.classes)
        if not named or len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise PickerError(f"classes {self.classes!r}: give two or more different names")
        object.__setattr__(self, "classes", tuple(self.classes))
        check_choice("channels", self.channels, (1, 3))
        check_number("seed", self.seed, 0, whole=True)

    @property
    @abstractmethod
    def window(self) -> int:
        """Side of the square of input pixels that one score sees."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Input pixels between neighbouring scores of the network's own dense map."""

    @property
    @abstractmethod
    def valid(self) -> bool:
        """Whether dense scores equal those of single windows: nothing is padded inside the network."""

    @abstractmethod
    def build(self) -> keras.Model:
        """Return a new network with random weights; the same seed gives the same weights on one backend.

        It returns probabilities (float32, also in mixed precision) of shape (batch, classes) if it judges one window,
        (batch, rows, columns, classes) if it is fully convolutional.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values, with the ``kind`` that `config_from_dict` needs.

        Examples
        --------
        >>> create("deepcryopicker_valid", classes=("particle", "background")).to_dict()["padding"]
        'valid'
        """
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"kind": self.kind} | {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


def available() -> tuple[str, ...]:
    """Return the names of the networks."""
    return tuple(_NETWORKS)


def create(name: str, **settings: Any) -> NetworkConfig:
    """Return the settings of a network, to be built by their `build`.

    Parameters
    ----------
    name : str
        One of `available`. ``deepcryopicker_valid`` is ``deepcryopicker`` with ``padding="valid"``.
    **settings
        The fields of its class; `classes` at least.

    Returns
    -------
    NetworkConfig

    Raises
    ------
    PickerError
        When there is no such network or setting (the message lists those there are), or a value makes no sense.

    Examples
    --------
    >>> create("deepcryopicker", classes=("top", "background"), widht=0.1)
    Traceback (most recent call last):
    ...
    cryokit.errors.PickerError: network 'deepcryopicker': ... 'widht'; its settings are: classes, channels, seed, ...
    """
    if name not in _NETWORKS:
        raise PickerError(f"no network is called {name!r}; there are: {', '.join(available())}")
    module, cls, implied = _NETWORKS[name]
    config = getattr(importlib.import_module(module), cls)
    known = inspect.signature(config).parameters
    try:
        inspect.signature(config).bind(**(implied | settings))
    except TypeError as error:
        raise PickerError(f"network {name!r}: {error}; its settings are: {', '.join(known)}") from None
    return config(**(implied | settings))


def config_from_dict(settings: Mapping[str, Any]) -> NetworkConfig:
    """Return the settings that `NetworkConfig.to_dict` gave.

    Raises
    ------
    PickerError
        When ``kind`` is missing or unknown, or as in `create`.

    Examples
    --------
    >>> config = create("deepcryopicker", classes=("particle", "background"), width=0.1)
    >>> config_from_dict(config.to_dict()) == config
    True
    """
    rest = dict(settings)
    return create(rest.pop("kind", None), **rest)


def particle_classes(classes: Sequence[str]) -> list[int]:
    """Return which classes are particles: the views top, side and irregular, or the single class ``particle``.

    Examples
    --------
    >>> particle_classes(("top", "side", "irregular", "negative", "background"))
    [0, 1, 2]
    """
    return [index for index, name in enumerate(classes) if name in PARTICLE_CLASSES]


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raise a PickerError, naming the setting, unless its value is one of `choices`."""
    if isinstance(value, bool) or value not in choices:
        raise PickerError(f"{name} {value!r}: give one of {', '.join(map(repr, choices))}")


def check_number(name: str, value: Any, least: float, most: float = math.inf, *, whole: bool = False) -> None:
    """Raise a PickerError, naming the setting, unless its value is a (whole) number from `least` to `most`."""
    kind = numbers.Integral if whole else numbers.Real
    right = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value) and least <= value <= most
    if not right:
        span = f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise PickerError(f"{name} {value!r}: give a {'whole ' if whole else ''}number {span}")
