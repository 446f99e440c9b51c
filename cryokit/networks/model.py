"""A trained network with everything that picking needs, as a folder: ``network.keras`` and ``model.json``.

The header (``model.json``) holds the network's settings, the scale, the threshold and the preprocessing; the weights
are in ``network.keras``. The network is built from its settings and then given the weights, so a network trained in
mixed precision on a GPU runs in the precision that is set where it is loaded.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit import __version__
from cryokit._util.files import inside, replace_folder, scratch, writing
from cryokit._util.json_files import read_json
from cryokit._util.plain import json_text
from cryokit._util.validation import check_number
from cryokit._util.wording import shortened, shown
from cryokit.errors import ArgumentError, ArgumentTypeError, PickerError
from cryokit.networks.architectures.network_config import NetworkConfig, config_from_dict
from cryokit.networks.devices import import_keras, using

if TYPE_CHECKING:
    import keras

NETWORK, HEADER = "network.keras", "model.json"
SHIPPED = Path(__file__).resolve().parent / "shipped"
_FORMAT = 1
# Attributes of a `Model` that the header holds as they are.
_PICKING = ("diameter", "working_diameter", "threshold", "preprocessing")
_IN_HEADER = ("method", *_PICKING, "settings", "learned", "provenance")


@dataclass
class Model:
    """A network ready to pick with.

    Attributes
    ----------
    network : keras.Model
        Network that `config` builds.
    config : NetworkConfig
        Settings of the network.
    working_diameter : float
        Particle diameter in input pixels of the network: the scale it was trained at.
    threshold : float
        Lowest score of a pick, between 0 and 1.
    preprocessing : dict
        JSON values that say how a micrograph becomes the network's input: ``{"kind": ..., ...}``.
    diameter : float or None
        Particle diameter in pixels of the micrographs that the model was trained for; None if it serves any.
    provenance : dict
        JSON values: seed, data, summary of the training. `save` adds the versions.
    method : str
        Name of the picker that the model belongs to; empty if it belongs to none.
    settings, learned : dict
        JSON values of that picker: the arguments of its constructor, and what it learned.
    companions : dict of str to (NetworkConfig, keras.Model)
        Further networks of a method that has several. Each is saved in a file of its name beside the first.
    """

    network: keras.Model
    config: NetworkConfig
    working_diameter: float
    threshold: float
    preprocessing: dict[str, Any]
    diameter: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    method: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)
    companions: dict[str, tuple[NetworkConfig, keras.Model]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, 0, 1)
        check_number("working_diameter", self.working_diameter, 1)
        if self.diameter is not None:
            check_number("diameter", self.diameter, 1)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the model to a folder, whole or not at all; an older model there is replaced.

        Parameters
        ----------
        folder : path-like
            Folder that does not exist yet, is empty, or holds an older model.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        PickerError
            If the folder holds something else, a value is not JSON, or nothing can be written.
        """
        keras = import_keras()

        folder = Path(folder)
        if folder.exists() and not (folder.is_dir() and ((folder / HEADER).is_file() or not any(folder.iterdir()))):
            raise PickerError(f"{folder}: holds something other than a saved model; choose another folder")
        versions = {"cryokit": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}
        content = {"cryokit_model": _FORMAT, "config": self.config.to_dict()}
        content |= {name: getattr(self, name) for name in _IN_HEADER}
        content["companions"] = {name: config.to_dict() for name, (config, _) in self.companions.items()}
        content["provenance"] = versions | self.provenance
        try:
            text = json_text(content, indent=2)
        except (TypeError, ValueError) as error:
            raise PickerError(f"{folder}: not saved, {HEADER} cannot hold a value that is not JSON ({error})") from None
        networks = {NETWORK: _bare(folder, self.config, self.network)}
        networks |= {f"{name}.keras": _bare(folder, *companion) for name, companion in self.companions.items()}
        try:
            with scratch(folder) as temporary, writing(folder):
                new = temporary / "new"
                new.mkdir()
                for name, network in networks.items():
                    network.save(new / name)
                (new / HEADER).write_text(text, encoding="utf-8")
                replace_folder(new, folder, temporary)
        except OSError as error:
            raise PickerError(f"{folder}: cannot be written ({error}); choose another folder") from None
        return folder

    def __getstate__(self) -> dict[str, Any]:
        # Pickled as settings and weights, like a saved model: Keras would send along the optimizer's state, and cannot
        # restore layers that it does not know.
        networks = {"network": (self.config, self.network), **self.companions}
        weights = {name: (config, network.get_weights()) for name, (config, network) in networks.items()}
        return {**vars(self), "network": None, "companions": weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        with using():
            for name, (config, weights) in state["companions"].items():
                network = config.build()
                network.set_weights(weights)
                self.companions[name] = config, network
        self.network = self.companions.pop("network")[1]

    @classmethod
    def load(cls, name_or_path: str | os.PathLike) -> Model:
        """Return a saved model.

        Parameters
        ----------
        name_or_path : str or path-like
            Folder that `save` wrote, or the name of a model that comes with the package (`shipped`).

        Raises
        ------
        PickerError
            If there is no model of that name or path, or it is damaged.
        """
        folder = locate(name_or_path)
        content = header(folder)
        try:
            config = config_from_dict(content["config"])
            others = {name: config_from_dict(settings) for name, settings in content.get("companions", {}).items()}
        except (ArgumentError, ArgumentTypeError, TypeError) as error:
            raise PickerError(f"{folder / HEADER}: damaged ({error}); train or copy it again") from None
        companions = {
            name: (companion, _restored(inside(folder, f"{name}.keras", PickerError), companion))
            for name, companion in others.items()
        }
        in_header = {name: content[name] for name in _IN_HEADER}
        try:
            return cls(_restored(folder / NETWORK, config), config, companions=companions, **in_header)
        except (ArgumentError, ArgumentTypeError) as error:
            raise PickerError(f"{folder / HEADER}: damaged ({error}); train or copy it again") from None


def _bare(folder: Path, config: NetworkConfig, network: keras.Model) -> keras.Model:
    """Return the network without an optimizer, whose state Keras would write, too: three times the size."""
    bare = config.build()
    try:
        bare.set_weights(network.get_weights())
    except ValueError as error:
        raise PickerError(f"{folder}: not saved, the network is not the one that its config builds ({error})") from None
    return bare


def _restored(path: Path, config: NetworkConfig) -> keras.Model:
    try:
        network = config.build()
        with warnings.catch_warnings():
            # Keras only warns of layers that are missing from the file, and leaves their weights random.
            warnings.filterwarnings("error", "Skipping nested container")
            network.load_weights(path)
    # Damaged bytes raise errors of many kinds on their way through zip, HDF5 and Keras.
    except Exception as error:
        reason = shortened(" ".join(str(error).split()), 200)
        raise PickerError(
            f"{path}: missing, damaged or of another network than {HEADER} says ({reason}); train or copy it again"
        ) from None
    return network


def shipped() -> tuple[str, ...]:
    """Return the names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{HEADER}")))


def locate(name_or_path: str | os.PathLike) -> Path:
    """Return the folder of a saved model; an existing folder takes precedence over a shipped model of the same name.

    Raises
    ------
    PickerError
        If there is neither; the message lists the shipped models.
    """
    path = Path(name_or_path)
    if path.name == HEADER and path.is_file():
        return path.parent
    if (path / HEADER).is_file():
        return path
    if os.fspath(name_or_path) in shipped():
        return SHIPPED / path
    if path.exists():
        raise PickerError(f"{path}: not a saved model; give the folder that holds {HEADER} and {NETWORK}")
    raise PickerError(
        f"{path}: no model of this name or path; give the folder of a saved model, or the name of one that comes with "
        f"cryokit ({', '.join(shipped()) or 'none here'})"
    )


def header(name_or_path: str | os.PathLike) -> dict[str, Any]:
    """Return the content of ``model.json``, without loading the network (and without importing Keras).

    Raises
    ------
    PickerError
        If there is no such model, or its header is damaged.
    """
    path = locate(name_or_path) / HEADER
    content = read_json(path, PickerError, "the header of a saved model")
    try:
        if content["cryokit_model"] != _FORMAT:
            raise PickerError(
                f"{path}: written in format {shown(content['cryokit_model'])}, but this version reads {_FORMAT}; "
                "update cryokit or train again"
            )
        missing = {"config", *_IN_HEADER} - content.keys()
        if missing:
            raise KeyError(", ".join(sorted(missing)))
        mappings = {"config", "preprocessing", "settings", "learned", "provenance"}
        wrong = [name for name in mappings if not isinstance(content[name], dict)]
        wrong += [] if isinstance(content["method"], str) else ["method"]
        wrong += [] if isinstance(content.get("companions", {}), dict) else ["companions"]
        if wrong:
            raise TypeError(f"{wrong[0]} is {shortened(shown(content[wrong[0]]))}")
    except (KeyError, TypeError, AttributeError) as error:
        raise PickerError(
            f"{path}: not the header of a saved model, or damaged ({error}); train or copy it again"
        ) from None
    return content
