"""What a benchmark runs: methods and datasets, from a YAML file.

A file has these keys; all but ``name``, ``methods`` and one of ``datasets`` and ``sweeps`` may be left out.

``name``, ``title``, ``note``
    Of the run.
``methods``
    Names of rows (`cryokit.benchmark.methods.ROWS`), ``all``, or mappings that change one or describe a new one.
``datasets``
    Each either simulated (``simulate``: the protein, how many micrographs ``train``, ``validation``, ``test``, a
    ``seed``, the ``diameter`` that the particle is to have in pixels, and arguments of `cryokit.simulate.simulate`),
    or real: the name of a manifest, or any name together with ``micrographs`` and ``labels`` (folders). Of a real one
    ``splits`` may list the micrographs' names; otherwise they are the manifest's, or those of
    `cryokit.datasets.manifest.assign_splits`; and ``diameter`` may say how wide its particles are in pixels, where the
    labels do not, or their boxes are wider. ``train_on``, of a simulated one, is a list of further simulated sets
    that take the place of its training and validation micrographs: one for each protein, and none of the tested one.
    ``train`` limits the training micrographs, ``methods`` the rows on this dataset. ``otherwise``, of a real one, is a
    dataset that takes its place where it is not there.
``sweeps``
    Each an ``axis`` (an argument of the simulation, or ``train``), its ``values``, a simulated ``dataset`` and
    optionally ``methods``.
``seeds``
    How often each cell is run, with the seeds 0, 1, ...
``give_diameter``
    Whether methods are told the particle's diameter (default true).
``timeout``
    Minutes after which a cell is given up (default 120).
``quick``
    Keys that take the place of the others in the profile ``quick``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cryokit.benchmark.methods import OWN, Row, row
from cryokit.errors import BenchmarkError

CONFIGS = Path(__file__).resolve().parent / "configs"
PROFILES = ("quick", "full")
_QUICK_KEYS = ("name", "title", "note", "methods", "datasets", "sweeps", "seeds", "give_diameter", "timeout")
_KEYS = (*_QUICK_KEYS, "quick")
_DATASET_KEYS = (
    *("name", "title", "note", "simulate", "micrographs", "labels", "splits", "train_on"),
    *("diameter", "methods", "train", "otherwise"),
)
_COUNTS = ("train", "validation", "test")


@dataclass(frozen=True)
class SimulatedSet:
    """Micrographs to simulate.

    Attributes
    ----------
    protein : str
    counts : dict of str to int
        Micrographs by split: train, validation, test.
    seed : int
    diameter : float or None
        Pixels that the protein's usual diameter is to have; it sets the pixel size.
    settings : dict
        Arguments of `cryokit.simulate.simulate`.
    """

    protein: str
    counts: dict[str, int]
    seed: int = 0
    diameter: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset to run on.

    Attributes
    ----------
    name, title, note : str
    simulate : SimulatedSet or None
        None for a real one.
    train_on : tuple of SimulatedSet
        Instead of its own training and validation micrographs.
    micrographs, labels : str or None
        Folders of a real one that is no manifest's.
    splits : dict of str to list of str, or None
    diameter : float or None
        Pixels, of a real one, in place of what its labels say.
    train : int or None
        At most so many training micrographs, spread over those there are.
    axes : dict of str to float
        What a sweep varies, and its value here.
    methods : tuple of Row or None
        None for all of the run.
    otherwise : DatasetSpec or None
        What takes its place where it is not there.
    """

    name: str
    title: str = ""
    note: str = ""
    simulate: SimulatedSet | None = None
    train_on: tuple[SimulatedSet, ...] = ()
    micrographs: str | None = None
    labels: str | None = None
    splits: dict[str, list[str]] | None = None
    diameter: float | None = None
    train: int | None = None
    axes: dict[str, float] = field(default_factory=dict)
    methods: tuple[Row, ...] | None = None
    otherwise: DatasetSpec | None = None

    def choices(self) -> tuple[DatasetSpec, ...]:
        """Return the dataset and the one that takes its place where it is not there, if there is such a one."""
        return (self,) if self.otherwise is None else (self, self.otherwise)


@dataclass(frozen=True)
class BenchmarkConfig:
    """A whole benchmark; `raw` is what the file said."""

    name: str
    title: str
    note: str
    methods: tuple[Row, ...]
    datasets: tuple[DatasetSpec, ...]
    seeds: int
    give_diameter: bool
    timeout: float
    profile: str | None
    raw: dict[str, Any]

    def rows(self, dataset: DatasetSpec) -> tuple[Row, ...]:
        """Return the methods that run on a dataset."""
        return self.methods if dataset.methods is None else dataset.methods


def available() -> tuple[str, ...]:
    """Return the names of the benchmarks that come with the package.

    Examples
    --------
    >>> "quick" in available()
    True
    """
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.yaml")))


def read(name_or_path: str | os.PathLike, profile: str | None = None) -> BenchmarkConfig:
    """Read a benchmark.

    Parameters
    ----------
    name_or_path : str or path-like
        One of `available`, or a YAML file.
    profile : {"quick", "full"}, optional
        With ``quick`` the file's ``quick`` keys count.

    Raises
    ------
    BenchmarkError
        When there is none, or it is not valid; the message names the file and the key.
    """
    path, content = _content(name_or_path)
    try:
        return parse(content, profile)
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from None


def titles() -> dict[str, str]:
    """Return the titles of the benchmarks that come with the package, by their names; nothing is checked."""
    return {name: _content(name)[1]["title"] for name in available()}


def _content(name_or_path: str | os.PathLike) -> tuple[Path, Any]:
    """Return the file of a benchmark, and what it says."""
    import yaml

    path = Path(name_or_path)
    # A folder of this name is not meant: that of the run often has it.
    if not path.suffix and not path.is_file():
        path = CONFIGS / f"{name_or_path}.yaml"
        if not path.is_file():
            raise BenchmarkError(f"no benchmark is called {name_or_path!s}; there are: {', '.join(available())}")
    try:
        return path, yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None


def parse(content: Any, profile: str | None = None) -> BenchmarkConfig:
    """Make a benchmark from what its file says.

    Raises
    ------
    BenchmarkError
        When a key is unknown or missing, or its value makes no sense.
    """
    if profile is not None and profile not in PROFILES:
        raise BenchmarkError(f"profile {profile!r}: there are {' and '.join(PROFILES)}")
    content = _mapping(content, "the file", _KEYS)
    quick = _mapping(content.pop("quick", None) or {}, "quick", _QUICK_KEYS)
    if profile == "quick":
        content |= quick
    name = _text(content, "name")
    if not name:
        raise BenchmarkError("name: a benchmark needs one")
    methods = rows(content.get("methods"))
    specs = [_dataset(each) for each in _list(content.get("datasets", []), "datasets")]
    for sweep in _list(content.get("sweeps", []), "sweeps"):
        specs += _sweep(sweep)
    if not specs:
        raise BenchmarkError("datasets: at least one dataset or sweep is needed")
    names = [each.name for spec in specs for each in spec.choices()]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise BenchmarkError(f"two datasets are called {twice[0]!r}")
    return BenchmarkConfig(
        name=name,
        title=_text(content, "title") or name,
        note=_text(content, "note"),
        methods=methods,
        datasets=tuple(specs),
        seeds=_count(content.get("seeds", 1), "seeds", 1),
        give_diameter=_yes(content.get("give_diameter", True), "give_diameter"),
        timeout=_positive(content.get("timeout", 120), "timeout"),
        profile=profile,
        raw=content,
    )


def rows(told: Any) -> tuple[Row, ...]:
    """Return the rows that a list of methods means; ``all`` are those that need no other program.

    Raises
    ------
    BenchmarkError
        When there is none, one is unknown, or one is named twice.
    """
    told = [told] if isinstance(told, str) else _list(told, "methods")
    found = [row(name) for each in told for name in (OWN if each == "all" else (each,))]
    names = [each.name for each in found]
    if not names:
        raise BenchmarkError("methods: at least one is needed")
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise BenchmarkError(f"the method {twice[0]!r} is named twice")
    return tuple(found)


def _dataset(told: Any, axes: Mapping[str, float] | None = None) -> DatasetSpec:
    told = {"name": told} if isinstance(told, str) else _mapping(told, "datasets", _DATASET_KEYS)
    name = _text(told, "name", "datasets: ")
    if not name or set(name) & set("/\\") or name.startswith("."):
        raise BenchmarkError(f"datasets: {name!r} is no name of a dataset")
    micrographs, labels = (_text(told, key, f"{name}: ") or None for key in ("micrographs", "labels"))
    if (micrographs is None) != (labels is None):
        raise BenchmarkError(f"{name}: give both, the folders of the micrographs and of the labels")
    simulated = _simulated(told["simulate"], f"{name}: simulate") if told.get("simulate") is not None else None
    only_for = ("micrographs", "labels", "splits", "diameter", "otherwise") if simulated else ("train_on",)
    if wrong := [key for key in only_for if told.get(key)]:
        raise BenchmarkError(f"{name}: {wrong[0]}: only for a {'real' if simulated else 'simulated'} dataset")
    otherwise = _dataset(told["otherwise"]) if told.get("otherwise") else None
    if otherwise is not None and otherwise.otherwise is not None:
        raise BenchmarkError(f"{name}: otherwise: {otherwise.name} has an 'otherwise' of its own; give one dataset")
    return DatasetSpec(
        name=name,
        title=_text(told, "title", f"{name}: "),
        note=_text(told, "note", f"{name}: "),
        simulate=simulated,
        train_on=_train_on(told["train_on"], simulated, f"{name}: train_on") if told.get("train_on") else (),
        micrographs=micrographs,
        labels=labels,
        splits=None if told.get("splits") is None else _splits(told["splits"], f"{name}: splits"),
        diameter=None if told.get("diameter") is None else _positive(told["diameter"], f"{name}: diameter"),
        train=None if told.get("train") is None else _count(told["train"], f"{name}: train", 0),
        axes=dict(axes or {}),
        methods=rows(told["methods"]) if told.get("methods") else None,
        otherwise=otherwise,
    )


def _splits(told: Any, what: str) -> dict[str, list[str]]:
    told = _mapping(told, what, _COUNTS)
    splits = {key: [str(each) for each in _list(told.get(key, []), f"{what}: {key}")] for key in _COUNTS}
    every = [each for names in splits.values() for each in names]
    if twice := sorted({each for each in every if every.count(each) > 1}):
        raise BenchmarkError(f"{what}: the micrograph {twice[0]!r} is listed twice, or in two splits")
    return splits


def _simulated(told: Any, what: str) -> SimulatedSet:
    from cryokit.simulate import PROTEINS

    told = _mapping(told, what)
    protein = told.pop("protein", None)
    if protein not in PROTEINS:
        raise BenchmarkError(f"{what}: protein {protein!r} is not one of {', '.join(PROTEINS)}")
    counts = {key: _count(told.pop(key, 0), f"{what}: {key}", 0) for key in _COUNTS}
    seed = _count(told.pop("seed", 0), f"{what}: seed", 0)
    diameter = told.pop("diameter", None)
    if diameter is not None:
        diameter = _positive(diameter, f"{what}: diameter")
        if "pixel_size" in told:
            raise BenchmarkError(f"{what}: pixel_size: the diameter sets it; give one of them")
    _check_simulation(told, what)
    return SimulatedSet(protein=protein, counts=counts, seed=seed, diameter=diameter, settings=told)


def _check_simulation(settings: Mapping[str, Any], what: str) -> None:
    """Refuse what `cryokit.simulate.simulate` does not know; whether a number makes sense is its own business."""
    from cryokit.simulate import Conditions

    known = ("shape", "pixel_size", "n_particles", "snr", "defocus", "carbon")
    known = tuple(dict.fromkeys((*known, *(each.name for each in fields(Conditions)))))
    for name, value in settings.items():
        if name not in known:
            there_are = ", ".join(("protein", *_COUNTS, "seed", "diameter", *known))
            raise BenchmarkError(f"{what}: unknown {name!r}; there are: {there_are}")
        if name == "shape":
            if len([_count(side, f"{what}: shape", 32) for side in _list(value, f"{what}: shape")]) != 2:
                raise BenchmarkError(f"{what}: shape: give rows and columns, not {value!r}")
        elif name == "carbon":
            _yes(value, f"{what}: carbon")
        elif name == "n_particles":
            _count(value, f"{what}: n_particles", 0)
        else:
            _number(value, f"{what}: {name}")


def _train_on(told: Any, tested: SimulatedSet, what: str) -> tuple[SimulatedSet, ...]:
    sets = tuple(_simulated(each, what) for each in _list(told, what))
    proteins = [each.protein for each in sets]
    if tested.protein in proteins:
        raise BenchmarkError(f"{what}: {tested.protein} is the protein that is tested; train on others")
    if twice := sorted({each for each in proteins if proteins.count(each) > 1}):
        raise BenchmarkError(f"{what}: there are two sets of {twice[0]}; make them one, with more micrographs")
    return sets


def _sweep(told: Any) -> list[DatasetSpec]:
    told = _mapping(told, "sweeps", ("axis", "values", "dataset", "methods"))
    axis, values = _text(told, "axis", "sweeps: "), _list(told.get("values"), "sweeps: values")
    if not axis or not values or not told.get("dataset"):
        raise BenchmarkError("sweeps: a sweep needs an axis, values and a simulated dataset")
    what = f"sweep of {axis}"
    base = _mapping(told["dataset"], f"{what}: dataset", _DATASET_KEYS)
    if base.get("simulate") is None:
        raise BenchmarkError(f"{what}: dataset: a sweep needs a simulated one")
    name, simulate = _text(base, "name", f"{what}: dataset: "), _mapping(base["simulate"], f"{what}: simulate")
    if not name:
        raise BenchmarkError(f"{what}: dataset: name: it needs one")
    specs = []
    for value in values:
        number = _number(value, f"{what}: values")
        made = {**base, "name": f"{name}_{axis}_{value:g}", "simulate": {**simulate, axis: value}}
        if told.get("methods"):
            made["methods"] = told["methods"]
        specs.append(_dataset(made, {axis: number}))
    return specs


def _mapping(value: Any, what: str, known: Collection[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BenchmarkError(f"{what}: give a mapping of keys to values, not {value!r}")
    if known is not None and (unknown := [key for key in value if key not in known]):
        raise BenchmarkError(f"{what}: unknown key {unknown[0]!r}; there are: {', '.join(known)}")
    return dict(value)


def _list(value: Any, what: str) -> list:
    if not isinstance(value, (list, tuple)):
        raise BenchmarkError(f"{what}: give a list, not {value!r}")
    return list(value)


def _text(content: Mapping[str, Any], key: str, where: str = "") -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise BenchmarkError(f"{where}{key}: give a text, not {value!r}")
    return value.strip()


def _yes(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise BenchmarkError(f"{what}: give true or false, not {value!r}")
    return value


def _count(value: Any, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BenchmarkError(f"{what}: give a whole number of at least {least}, not {value!r}")
    return value


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BenchmarkError(f"{what}: give a number, not {value!r}")
    return float(value)


def _positive(value: Any, what: str) -> float:
    if not _number(value, what) > 0:
        raise BenchmarkError(f"{what}: give a number above 0, not {value!r}")
    return float(value)
