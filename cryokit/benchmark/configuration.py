"""Configuration of a benchmark, its methods and datasets, from a YAML file.

A file has these keys; all but ``name``, ``methods`` and one of ``datasets`` and ``sweeps`` are optional.

``name``, ``title``, ``note``
    Name of the benchmark, and its heading and a remark for reports.
``methods``
    Names of rows (`cryokit.benchmark.methods.ROWS`), ``all``, locations of pickers of your own
    (``package.module:Class`` or ``path/to/file.py:Class``), or mappings that change a row or describe a new one.
``datasets``
    Simulated or real datasets. A simulated one has ``simulate``: the ``protein``, the numbers of micrographs ``train``,
    ``validation`` and ``test``, a ``seed``, the ``diameter`` of the particle in pixels, the share of ``empty``
    micrographs, and arguments of `cryokit.simulate.simulate`. Its optional ``train_on`` lists further simulated sets
    that replace its training and validation micrographs, one for each protein, and none of the tested one. A real one
    has the name of a manifest, or any name together with the folders ``micrographs`` and ``labels``; ``splits`` may
    list the micrographs' names (default: those of the manifest, or of `cryokit.datasets.manifest.assign_splits`),
    ``diameter`` gives the particle diameter in pixels if the labels do not or are wider boxes, and ``otherwise`` is a
    dataset that replaces it if it is not available. For both, ``train`` limits the number of training micrographs, and
    ``methods`` are the rows to run.
``sweeps``
    Each has an ``axis`` (an argument of the simulation, or ``train``), its ``values``, a simulated ``dataset``, and
    optionally ``methods``.
``seeds``
    Number of runs of each cell, with the seeds 0, 1, ... (default 1). A seed is that of all that a method draws: its
    training, and what it simulates for it. Methods that draw nothing run once.
``give_diameter``
    Whether methods are given the particle's diameter (default true).
``timeout``
    Minutes after which a cell is stopped (default 120).
``quick``
    Keys that replace the others in the profile ``quick``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cryokit._util.validation import check_choice, check_number
from cryokit._util.wording import shortened, shown
from cryokit._util.yaml_files import Node, read_yaml
from cryokit.benchmark.methods import OWN, Row, row
from cryokit.datasets import SPLITS
from cryokit.errors import ArgumentError, ArgumentTypeError, BenchmarkError, CryokitError

CONFIGS = Path(__file__).resolve().parent / "configs"
PROFILES = ("quick", "full")
_KEYS = ("name", "title", "note", "methods", "datasets", "sweeps", "seeds", "give_diameter", "timeout")
_REAL_KEYS = ("micrographs", "labels", "splits", "diameter", "otherwise")
_SIMULATED_KEYS = ("simulate", "train_on")
_NAME = re.compile(r"[^./\\][^/\\]*").fullmatch  # of a dataset, and of its folder
_DATASET_KEYS = ("name", "title", "note", "methods", "train", *_SIMULATED_KEYS, *_REAL_KEYS)


@dataclass(frozen=True)
class SimulatedSet:
    """Micrographs to simulate.

    Attributes
    ----------
    protein : str
        Name of the protein.
    counts : dict of str to int
        Number of micrographs by split: train, validation, test.
    seed : int
        Random seed.
    diameter : float or None
        Particle diameter in pixels, which sets the pixel size; None for the protein's usual pixel size.
    empty : float
        Share of the micrographs that show no particle, spread evenly over those of each split.
    settings : dict
        Arguments of `cryokit.simulate.simulate`.
    """

    protein: str
    counts: dict[str, int]
    seed: int = 0
    diameter: float | None = None
    empty: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset to run on.

    Attributes
    ----------
    name, title, note : str
        Name, heading and remark.
    simulate : SimulatedSet or None
        What to simulate; None for a real dataset.
    train_on : tuple of SimulatedSet
        Sets that replace its own training and validation micrographs.
    micrographs, labels : str or None
        Folders of a real dataset without a manifest.
    splits : dict of str to list of str, or None
        Names of micrographs by split.
    diameter : float or None
        Particle diameter in pixels of a real dataset, in place of what its labels say.
    train : int or None
        Largest number of training micrographs, spread over those available.
    axes : dict of str to float
        Axis of a sweep, and its value here.
    methods : tuple of Row or None
        Rows to run on this dataset; None for all of the run.
    otherwise : DatasetSpec or None
        Dataset that replaces it if it is not available.
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
        """Return the dataset and, if there is one, the dataset that replaces it."""
        return (self,) if self.otherwise is None else (self, self.otherwise)


@dataclass(frozen=True)
class BenchmarkConfig:
    """A whole benchmark; `raw` is the content of its file."""

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
        """Return the methods to run on a dataset."""
        return self.methods if dataset.methods is None else dataset.methods

    def choices(self) -> dict[str, DatasetSpec]:
        """Return all datasets by name, including those that replace others."""
        return {choice.name: choice for spec in self.datasets for choice in spec.choices()}

    def with_methods(self, methods: Iterable[str]) -> BenchmarkConfig:
        """Return the benchmark with other methods, on all datasets; those named by location are trusted."""

        def on_all(spec: DatasetSpec) -> DatasetSpec:
            return replace(spec, methods=None, otherwise=None if spec.otherwise is None else on_all(spec.otherwise))

        return replace(self, methods=rows(list(methods), trust=True), datasets=tuple(map(on_all, self.datasets)))

    def with_datasets(self, names: Iterable[str]) -> BenchmarkConfig:
        """Return the benchmark with some of its datasets only."""
        known, names = self.choices(), list(dict.fromkeys(names))
        chosen = []
        for name in names:
            check_choice("dataset", name, known)
            spec = known[name]
            # A dataset that would replace another one stands for itself if it is named, too.
            replaced = spec.otherwise is not None and spec.otherwise.name in names
            chosen.append(replace(spec, otherwise=None) if replaced else spec)
        return replace(self, datasets=tuple(chosen))

    def with_diameters(self, diameters: Mapping[str, float]) -> BenchmarkConfig:
        """Return the benchmark with other particle diameters, in pixels, of real datasets."""
        for name, diameter in diameters.items():
            check_choice("dataset with a diameter", name, [spec.name for spec in self.datasets if not spec.simulate])
            check_number(f"diameter of {name}", diameter, 0, above=True)
        specs = (replace(spec, diameter=diameters.get(spec.name, spec.diameter)) for spec in self.datasets)
        return replace(self, datasets=tuple(specs))


def available() -> tuple[str, ...]:
    """Return the names of the benchmarks that come with the package.

    Examples
    --------
    >>> "quick" in available()
    True
    """
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.yaml")))


def titles() -> dict[str, str]:
    """Return the titles of the benchmarks that come with the package by name, without checking anything."""
    return {name: _content(name)[1]["title"] for name in available()}


def read(name_or_path: str | os.PathLike, profile: str | None = None, *, trust: bool = False) -> BenchmarkConfig:
    """Read a benchmark.

    Parameters
    ----------
    name_or_path : str or path-like
        One of `available`, or a YAML file.
    profile : {"quick", "full"}, optional
        With ``quick`` the file's ``quick`` keys replace the others.
    trust : bool
        Whether pickers that the file names by location may be imported, which runs their code.

    Raises
    ------
    BenchmarkError
        If there is no such benchmark, or it is not valid; the message names the file and the key.
    """
    path, content = _content(name_or_path)
    try:
        return parse(content, profile, trust=trust)
    except CryokitError as error:
        raise BenchmarkError(f"{path}: {shortened(str(error), 2000)}") from None


def parse(content: Any, profile: str | None = None, *, trust: bool = False) -> BenchmarkConfig:
    """Make a benchmark from the content of its file.

    Parameters
    ----------
    content : mapping
        Content of the file.
    profile, trust
        As for `read`.

    Raises
    ------
    BenchmarkError
        If a key is unknown or missing, or its value makes no sense.
    PickerError
        If a picker that is named by location cannot be imported, or is not trusted.
    """
    if profile is not None:
        check_choice("profile", profile, PROFILES)
    try:
        Node(content).mapping(optional=(*_KEYS, "quick"))
        raw = dict(content)
        quick = raw.pop("quick", None) or {}
        Node(quick, "quick").mapping(optional=_KEYS)
        if profile == "quick":
            raw |= quick
        keys = Node(raw).mapping(("name",), _KEYS[1:])
        name = keys["name"].text()
        methods = rows(keys["methods"].value, trust=trust)
        specs = [_dataset(node, trust) for node in keys["datasets"].items()]
        for node in keys["sweeps"].items():
            specs += _sweep(node, trust)
        config = BenchmarkConfig(
            name=name,
            title=keys["title"].optional_text() or name,
            note=keys["note"].optional_text() or "",
            methods=methods,
            datasets=tuple(specs),
            seeds=keys["seeds"].number(1, whole=True) or 1,
            give_diameter=keys["give_diameter"].flag(True),
            timeout=keys["timeout"].number(0, above=True) or 120,
            profile=profile,
            raw=raw,
        )
    except (ArgumentError, ArgumentTypeError) as error:
        raise BenchmarkError(str(error)) from None
    if not specs:
        raise BenchmarkError("datasets: at least one dataset or sweep is needed")
    _check_unique("datasets", [choice.name for spec in specs for choice in spec.choices()])
    return config


def rows(methods: Any, *, trust: bool = False) -> tuple[Row, ...]:
    """Return the rows that a list of methods stands for; ``all`` are those that need no other program.

    Parameters
    ----------
    methods : str, or list of str and mapping
        As ``methods`` in the file.
    trust : bool
        Whether pickers that are named by location may be imported.

    Raises
    ------
    BenchmarkError
        If there is none, one is unknown, or one is named twice.
    """
    if not isinstance(methods, (str, list, tuple)) or not methods:
        raise BenchmarkError(f"methods: give a list of at least one, not {shown(methods)}")
    methods = [methods] if isinstance(methods, str) else methods
    chosen = [row(name, trust=trust) for method in methods for name in (OWN if method == "all" else (method,))]
    _check_unique("methods", [method_row.name for method_row in chosen])
    return tuple(chosen)


def _content(name_or_path: str | os.PathLike) -> tuple[Path, Any]:
    """Return the file of a benchmark, and its content."""
    path = Path(name_or_path)
    # A folder of this name is not meant: that of the run often has it.
    if not path.suffix and not path.is_file():
        path = CONFIGS / f"{name_or_path}.yaml"
        if not path.is_file():
            raise BenchmarkError(f"no benchmark is called {name_or_path!s}; there are: {', '.join(available())}")
    return path, read_yaml(path, BenchmarkError)


def _dataset(node: Node, trust: bool, axes: Mapping[str, float] | None = None) -> DatasetSpec:
    content = {"name": node.value} if isinstance(node.value, str) else node.value
    name = Node(content, node.key).mapping(("name",), _DATASET_KEYS[1:])["name"].text("a name", _NAME)
    # From here on messages name the dataset, not its number.
    node = Node(content, name)
    keys = node.mapping(_DATASET_KEYS[:1], _DATASET_KEYS[1:])
    micrographs, labels = keys["micrographs"].optional_text(), keys["labels"].optional_text()
    if (micrographs is None) != (labels is None):
        raise node.error("micrographs, labels: give both folders")
    simulated = keys["simulate"].value is not None
    if wrong := [key for key in (_REAL_KEYS if simulated else _SIMULATED_KEYS) if keys[key].value]:
        raise keys[wrong[0]].error(f"only for a {'real' if simulated else 'simulated'} dataset")
    simulate = _simulated(keys["simulate"]) if simulated else None
    otherwise = _dataset(keys["otherwise"], trust) if keys["otherwise"].value else None
    if otherwise is not None and otherwise.otherwise is not None:
        raise keys["otherwise"].error(f"{otherwise.name} has an 'otherwise' of its own; give one dataset")
    return DatasetSpec(
        name=name,
        title=keys["title"].optional_text() or "",
        note=keys["note"].optional_text() or "",
        simulate=simulate,
        train_on=_train_on(keys["train_on"], simulate),
        micrographs=micrographs,
        labels=labels,
        splits=None if keys["splits"].value is None else _splits(keys["splits"]),
        diameter=keys["diameter"].number(0, above=True),
        train=keys["train"].number(0, whole=True),
        axes=dict(axes or {}),
        methods=rows(keys["methods"].value, trust=trust) if keys["methods"].value else None,
        otherwise=otherwise,
    )


def _splits(node: Node) -> dict[str, list[str]]:
    keys = node.mapping(optional=SPLITS)
    splits = {split: [str(micrograph.value) for micrograph in keys[split].items()] for split in SPLITS}
    _check_unique(node.key, [micrograph for names in splits.values() for micrograph in names])
    return splits


def _simulated(node: Node) -> SimulatedSet:
    from cryokit.simulate import PROTEINS, Conditions

    own = ("protein", *SPLITS, "seed", "diameter", "empty")
    known = ("shape", "pixel_size", "n_particles", "snr", "defocus", "carbon")
    known = tuple(dict.fromkeys([*known, *(setting.name for setting in fields(Conditions))]))
    keys = node.mapping(own[:1], (*own[1:], *known))
    diameter = keys["diameter"].number(0, above=True)
    if diameter is not None and "pixel_size" in node.value:
        raise keys["pixel_size"].error("the diameter sets it; give one of them")
    empty = keys["empty"].number(0) or 0.0
    keys["empty"].check(empty < 1, "a share below 1, because empty micrographs alone have nothing to score")
    settings = {key: value for key, value in node.value.items() if key not in own}
    # Whether a number makes sense is left to the simulation.
    for name in settings:
        if name == "shape":
            sides = [side.number(32, whole=True) for side in keys[name].items("rows and columns")]
            keys[name].check(len(sides) == 2, "rows and columns")
        elif name == "carbon":
            keys[name].flag()
        elif name == "n_particles":
            keys[name].number(0, whole=True)
        else:
            keys[name].number()
    return SimulatedSet(
        protein=keys["protein"].choice(tuple(PROTEINS)),
        counts={split: keys[split].number(0, whole=True) or 0 for split in SPLITS},
        seed=keys["seed"].number(0, whole=True) or 0,
        diameter=diameter,
        empty=empty,
        settings=settings,
    )


def _train_on(node: Node, tested: SimulatedSet | None) -> tuple[SimulatedSet, ...]:
    sets = tuple(_simulated(item) for item in node.items())
    proteins = [simulated.protein for simulated in sets]
    if tested is not None and tested.protein in proteins:
        raise node.error(f"{tested.protein} is the protein that is tested; train on others")
    _check_unique(node.key, proteins)
    return sets


def _sweep(node: Node, trust: bool) -> list[DatasetSpec]:
    keys = node.mapping(("axis", "values", "dataset"), ("methods",))
    axis, values, methods = keys["axis"].text(), keys["values"].items(), keys["methods"].value
    keys["values"].check(bool(values), "a list of at least one value")
    base = Node(keys["dataset"].value, f"sweep of {axis}: dataset")
    dataset = base.mapping(("name", "simulate"), _DATASET_KEYS)
    dataset["simulate"].check(isinstance(dataset["simulate"].value, dict), "a mapping, for a simulated dataset")
    specs = []
    for node in values:
        node.check(node.value is not None, "a number")
        value = node.number()
        simulate = {**dataset["simulate"].value, axis: node.value}
        point = {**base.value, "name": f"{dataset['name'].text()}_{axis}_{value:g}", "simulate": simulate}
        specs.append(_dataset(Node(point | ({"methods": methods} if methods else {}), base.key), trust, {axis: value}))
    return specs


def _check_unique(place: str, names: Sequence[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise BenchmarkError(f"{place}: {shown(repeated[0])} is there twice")
