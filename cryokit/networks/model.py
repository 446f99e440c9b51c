"""A trained network with everything that picking needs, as a folder: ``network.keras`` and ``model.json``.

The header (``model.json``) holds the network's settings, the scale, the threshold and the preprocessing; the weights
are in ``network.keras``. A network is made anew from its settings and then given the weights, so one trained in mixed
precision on a GPU runs in the precision that is configured where it is loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit import __version__
from cryokit._util.plain import json_text
from cryokit.errors import PickerError
from cryokit.networks.architectures.network_config import NetworkConfig, check_number, config_from_dict
from cryokit.networks.devices import import_keras

if TYPE_CHECKING:
    import keras

NETWORK, HEADER = "network.keras", "model.json"
SHIPPED = Path(__file__).resolve().parent / "shipped"
_FORMAT = 1


@dataclass
class Model:
    """A network ready to pick with.

    Attributes
    ----------
    network : keras.Model
        Built by `config`.
    config : NetworkConfig
    working_diameter : float
        The particle's diameter in input pixels of the network: the scale it was trained at.
    threshold : float
        Lowest score of a pick, between 0 and 1.
    preprocessing : dict
        JSON values that say what brings a micrograph to the network's input: ``{"kind": ..., ...}``.
    diameter : float or None
        The particle's diameter in pixels of the micrographs that it was trained for; None if it serves any.
    provenance : dict
        JSON values: seed, data, summary of the training. `save` adds the versions.
    method : str
        Of the picker that the model belongs to; empty if to none.
    settings, learned : dict
        JSON values of that picker: its constructor's arguments, and what it found out.
    companions : dict of str to (NetworkConfig, keras.Model)
        Further networks of a method that has several, each in a file of its name beside the first.
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
        for name, value in (("working_diameter", self.working_diameter), ("diameter", self.diameter)):
            if value is not None or name != "diameter":
                check_number(name, value, 1)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the model to a folder, whole or not at all; an older model there is replaced.

        Parameters
        ----------
        folder : path-like
            New, empty, or of an older model.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        PickerError
            When something else is there, a value is not JSON, or nothing can be written.
        """
        keras = import_keras()

        folder = Path(folder)
        if folder.exists() and not (folder.is_dir() and ((folder / HEADER).is_file() or not any(folder.iterdir()))):
            raise PickerError(f"{folder}: something that is not a saved model is in the way; choose another place")
        provenance = {"cryokit": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}
        content = {
            "cryokit_model": _FORMAT,
            "method": self.method,
            "config": self.config.to_dict(),
            "diameter": None if self.diameter is None else float(self.diameter),
            "working_diameter": float(self.working_diameter),
            "threshold": float(self.threshold),
            "preprocessing": self.preprocessing,
            "settings": self.settings,
            "learned": self.learned,
            "companions": {name: config.to_dict() for name, (config, _) in self.companions.items()},
            "provenance": provenance | self.provenance,
        }
        try:
            text = json_text(content, indent=2)
        except (TypeError, ValueError) as error:
            raise PickerError(
                f"{folder}: not saved, the model's header holds a value that is not JSON: {error}"
            ) from None
        networks = {NETWORK: _bare(folder, self.config, self.network)}
        networks |= {f"{name}.keras": _bare(folder, *companion) for name, companion in self.companions.items()}
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        except OSError as error:
            raise PickerError(f"{folder}: cannot be written ({error.strerror}); choose another place") from None
        try:
            new, old = temporary / "new", temporary / "old"
            new.mkdir()
            for name, network in networks.items():
                network.save(new / name)
            (new / HEADER).write_text(text, encoding="utf-8")
            # A folder cannot be renamed over a full one: the old one steps aside, and comes back if the other fails.
            if folder.exists():
                folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
        except OSError as error:
            raise PickerError(f"{folder}: cannot be written ({error}); choose another place") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return folder

    @classmethod
    def load(cls, name_or_path: str | os.PathLike) -> Model:
        """Return a saved model.

        Parameters
        ----------
        name_or_path : str or path-like
            A folder that `save` wrote, or the name of a model that comes with the package (`shipped`).

        Raises
        ------
        PickerError
            When there is none of that name or path, or it is damaged.
        """
        folder = locate(name_or_path)
        content = header(folder)
        config = config_from_dict(content["config"])
        network = _restored(folder / NETWORK, config)
        companions = {}
        for name, settings in content.get("companions", {}).items():
            companion = config_from_dict(settings)
            companions[name] = companion, _restored(folder / f"{name}.keras", companion)
        return cls(
            network=network,
            config=config,
            companions=companions,
            **{
                name: content[name]
                for name in (
                    *("diameter", "working_diameter", "threshold", "preprocessing"),
                    *("provenance", "method", "settings", "learned"),
                )
            },
        )


def _bare(folder: Path, config: NetworkConfig, network: keras.Model) -> keras.Model:
    """Return the network without an optimizer: Keras would write its state, too, thrice the size."""
    bare = config.build()
    try:
        bare.set_weights(network.get_weights())
    except ValueError as error:
        raise PickerError(f"{folder}: not saved, the network is not the one that its config builds: {error}") from None
    return bare


def _restored(path: Path, config: NetworkConfig) -> keras.Model:
    network = config.build()
    try:
        network.load_weights(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0]
        raise PickerError(f"{path}: missing, damaged or of another network ({reason})") from None
    return network


def shipped() -> tuple[str, ...]:
    """Return the names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{HEADER}")))


def locate(name_or_path: str | os.PathLike) -> Path:
    """Return the folder of a saved model; a folder that exists is taken before a shipped model of the same name.

    Raises
    ------
    PickerError
        When there is neither; the message lists the shipped ones.
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
    names = f"shipped are: {', '.join(shipped())}" if shipped() else "none is shipped"
    raise PickerError(f"{path}: no model of this name or path; {names}; or give the folder of a saved one")


def header(name_or_path: str | os.PathLike) -> dict[str, Any]:
    """Return what ``model.json`` says, without loading the network (and without importing Keras).

    Raises
    ------
    PickerError
        When there is no such model, or its header is damaged.
    """
    path = locate(name_or_path) / HEADER
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["cryokit_model"] != _FORMAT:
            raise PickerError(
                f"{path}: written in format {content['cryokit_model']!r}, this version of cryokit reads {_FORMAT}; "
                "update cryokit or train again"
            )
        needed = {"config", "diameter", "working_diameter", "threshold", "preprocessing", "provenance", "method"}
        missing = (needed | {"settings", "learned"}) - content.keys()
        if missing:
            raise KeyError(", ".join(sorted(missing)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PickerError(
            f"{path}: not the header of a saved model, or damaged ({error}); train or copy it again"
        ) from None
    return content
