"""What a benchmark runs: methods and datasets, from a YAML file.

A file has these keys; all but ``name``, ``methods`` and one of ``datasets`` and ``sweeps`` may be left out.

``name``, ``title``, ``note``
    Of the run.
``methods``
    Names of rows (`cryokit.benchmark.methods.ROWS`), ``all``, or mappings that change one or describe a new one.
``datasets``
    Each either simulated (``simulate``: the protein, how many micrographs ``train``, ``validation``, ``test``, a
    ``seed``, and arguments of `cryokit.simulate.simulate`), or real: the name of a manifest, or any name together with
    ``micrographs`` and ``labels`` (folders). ``splits`` may list the micrographs' names; otherwise they are the
    manifest's, or those of `cryokit.datasets.manifest.assign_splits`. ``train_on`` is a list of further simulated sets
    that take the place of the training and validation micrographs (proteins that the tested one is not among).
    ``methods`` limits the rows on this dataset. ``otherwise`` is a dataset that takes its place where it is not there.
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

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryokit.benchmark.errors import BenchmarkError
from cryokit.benchmark.methods import OWN, Row, row

CONFIGS = Path(__file__).resolve().parent / "configs"
PROFILES = ("quick", "full")
_KEYS = (*("name", "title", "note", "methods", "datasets", "sweeps", "seeds", "give_diameter", "timeout", "quick"),)
_DATASET_KEYS = (
    *("name", "title", "note", "simulate", "micrographs", "labels", "splits", "train_on"),
    *("methods", "train", "otherwise"),
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
    train: int | None = None
    axes: dict[str, float] = field(default_factory=dict)
    methods: tuple[Row, ...] | None = None
    otherwise: DatasetSpec | None = None


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
    import yaml

    path = Path(name_or_path)
    if not path.suffix and not path.exists():
        path = CONFIGS / f"{name_or_path}.yaml"
        if not path.is_file():
            raise BenchmarkError(f"no benchmark is called {name_or_path!s}; there are: {', '.join(available())}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return parse(content, profile)
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from None


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
    quick = _mapping(content.pop("quick", None) or {}, "quick", _KEYS)
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
    names = [spec.name for spec in specs]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise BenchmarkError(f"two datasets are called {twice[0]!r}")
    return BenchmarkConfig(
        name=name,
        title=_text(content, "title") or name,
        note=_text(content, "note"),
        methods=methods,
        datasets=tuple(specs),
        seeds=_count(content.get("seeds", 1), "seeds", 1),
        give_diameter=bool(content.get("give_diameter", True)),
        timeout=float(content.get("timeout", 120)),
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
    name = _text(told, "name")
    if not name or "/" in name or name.startswith("."):
        raise BenchmarkError(f"datasets: {name!r} is no name of a dataset")
    if bool(told.get("micrographs")) != bool(told.get("labels")):
        raise BenchmarkError(f"{name}: give both, the folders of the micrographs and of the labels")
    splits = told.get("splits")
    if splits is not None:
        splits = {key: [str(each) for each in _list(splits.get(key, []), f"{name}: {key}")] for key in _COUNTS}
        every = [each for names in splits.values() for each in names]
        if len(every) != len(set(every)):
            raise BenchmarkError(f"{name}: a micrograph is in two splits")
    return DatasetSpec(
        name=name,
        title=_text(told, "title"),
        note=_text(told, "note"),
        simulate=_simulated(told["simulate"], name) if told.get("simulate") else None,
        train_on=tuple(_simulated(each, name) for each in _list(told.get("train_on", []), f"{name}: train_on")),
        micrographs=told.get("micrographs"),
        labels=told.get("labels"),
        splits=splits,
        train=None if told.get("train") is None else _count(told["train"], f"{name}: train", 0),
        axes=dict(axes or {}),
        methods=rows(told["methods"]) if told.get("methods") else None,
        otherwise=_dataset(told["otherwise"]) if told.get("otherwise") else None,
    )


def _simulated(told: Any, name: str) -> SimulatedSet:
    told = dict(_mapping(told, f"{name}: simulate"))
    protein = told.pop("protein", None)
    from cryokit.simulate import PROTEINS

    if protein not in PROTEINS:
        raise BenchmarkError(f"{name}: protein {protein!r} is not one of {', '.join(PROTEINS)}")
    counts = {key: _count(told.pop(key, 0), f"{name}: {key}", 0) for key in _COUNTS}
    diameter = told.pop("diameter", None)
    if "shape" in told:
        told["shape"] = [_count(side, f"{name}: shape", 32) for side in _list(told["shape"], f"{name}: shape")]
    return SimulatedSet(
        protein=protein,
        counts=counts,
        seed=_count(told.pop("seed", 0), f"{name}: seed", 0),
        diameter=None if diameter is None else float(diameter),
        settings=told,
    )


def _sweep(told: Any) -> list[DatasetSpec]:
    told = _mapping(told, "sweeps", ("axis", "values", "dataset", "methods"))
    axis, values = _text(told, "axis"), _list(told.get("values"), "sweeps: values")
    base = _mapping(told.get("dataset"), f"sweep of {axis}: dataset", _DATASET_KEYS)
    if not axis or not values or not base.get("simulate"):
        raise BenchmarkError("a sweep needs an axis, values and a simulated dataset")
    specs = []
    for value in values:
        made = {**base, "name": f"{base['name']}_{axis}_{value:g}", "simulate": {**base["simulate"], axis: value}}
        if told.get("methods"):
            made["methods"] = told["methods"]
        specs.append(_dataset(made, {axis: float(value)}))
    return specs


def _mapping(value: Any, what: str, known: Sequence[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BenchmarkError(f"{what}: give a mapping of keys to values, not {value!r}")
    if known is not None and (unknown := [key for key in value if key not in known]):
        raise BenchmarkError(f"{what}: unknown key {unknown[0]!r}; there are: {', '.join(known)}")
    return dict(value)


def _list(value: Any, what: str) -> list:
    if not isinstance(value, (list, tuple)):
        raise BenchmarkError(f"{what}: give a list, not {value!r}")
    return list(value)


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise BenchmarkError(f"{key}: give a text, not {value!r}")
    return value.strip()


def _count(value: Any, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BenchmarkError(f"{what}: give a whole number of at least {least}, not {value!r}")
    return value
