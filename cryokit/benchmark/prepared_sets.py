"""The micrographs and labels of a benchmark: simulated once into the run's folder, or found where they are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryokit import __version__, coordinates
from cryokit._util.files import make_folder, replacing, write_text
from cryokit._util.names import micrograph_name
from cryokit._util.wording import plural, some
from cryokit.benchmark.configuration import DatasetSpec, SimulatedSet
from cryokit.coordinates import IGNORE, concatenate
from cryokit.datasets import SPLITS, Dataset, available, load
from cryokit.datasets.integrity import sha256
from cryokit.datasets.manifest import assign_splits
from cryokit.errors import BenchmarkError, DatasetError
from cryokit.micrograph import find as find_micrographs
from cryokit.micrograph import write_mrc
from cryokit.pickers.interface import spread

logger = logging.getLogger(__name__)

UNLIKELY = 1.3  # times wider or narrower than the manifest has it: perhaps boxes, which are about 1.5 diameters wide


@dataclass(frozen=True)
class Prepared:
    """A dataset with its files in place.

    Attributes
    ----------
    spec : DatasetSpec
    paths : dict of str to list of pathlib.Path
        Micrographs by split: train, validation, test.
    labels : pandas.DataFrame
        Table of picks: the truth of all of them.
    diameter : float
        Of the particle, in pixels, as methods are told it: the median of the labels of the training and validation
        micrographs, of the view in which it is longest; where there are none, or they show other proteins, of the
        test micrographs.
    fingerprint : str
        SHA-256 of what the micrographs and labels are.
    info : dict
        What the result file tells about the dataset.
    """

    spec: DatasetSpec
    paths: dict[str, list[Path]]
    labels: pd.DataFrame
    diameter: float
    fingerprint: str
    info: dict[str, Any] = field(repr=False)

    def labels_of(self, split: str) -> pd.DataFrame:
        """Return the labels of one split."""
        return self.labels[self.labels["micrograph"].isin([micrograph_name(path) for path in self.paths[split]])]


def prepare(
    spec: DatasetSpec,
    folder: str | os.PathLike,
    *,
    sources: Iterable[str | os.PathLike] = (),
    labels_from: Mapping[str, str] | None = None,
    fresh: bool = False,
    progress: bool = True,
) -> Prepared:
    """Bring a dataset's files into place.

    Parameters
    ----------
    spec : DatasetSpec
    folder : path-like
        Of the run; simulated micrographs are kept in its ``data``.
    sources : iterable of path-like
        Folders to look for real datasets in, each ``<dataset>/micrographs`` and ``<dataset>/labels``; the cache of
        ``cryokit data fetch`` is looked at last.
    labels_from : mapping of str to str, optional
        Folders of labels of your own, by dataset, for a dataset that has none or others.
    fresh : bool
        Simulate micrographs that are there already once more, too.
    progress : bool

    Returns
    -------
    Prepared

    Raises
    ------
    BenchmarkError
        When its files are not there, no test micrograph has labels, or nothing says how wide the particle is.
    """
    if spec.simulate is not None and spec.name in (labels_from or {}):
        raise BenchmarkError(f"{spec.name}: is simulated and has its labels; leave out those of your own")
    if spec.simulate is not None:
        paths, labels, marks, more = _simulated(spec, Path(folder) / "data" / spec.name, fresh, progress)
        protein, kind, manifest = spec.simulate.protein, "simulated", None
    else:
        paths, labels, marks, manifest, more = _real(
            spec, [Path(each) for each in sources], (labels_from or {}).get(spec.name)
        )
        protein, kind = spec.name, "real"
    if spec.train is not None:
        paths["train"] = spread(paths["train"], spec.train) if spec.train else []
    names = {split: [micrograph_name(path) for path in paths[split]] for split in SPLITS}
    particles = labels[labels["view"] != IGNORE]
    counts = {split: int(particles["micrograph"].isin(names[split]).sum()) for split in SPLITS}
    tested = particles[particles["micrograph"].isin(names["test"])]
    if tested.empty:
        raise BenchmarkError(f"{spec.name}: no test micrograph has labels, so there is nothing to compare methods on")
    learned = particles[particles["micrograph"].isin([*names["train"], *names["validation"]])]
    known = tested if spec.train_on or learned.empty else learned
    views = tested["view"].value_counts().sort_index()
    fingerprint = hashlib.sha256(json.dumps([names, marks], sort_keys=True).encode()).hexdigest()
    notes = [spec.note, more]
    if not names["train"]:
        notes.append("no training micrographs: methods without labels are fitted on those tested, without their labels")
    if not names["validation"]:
        notes.append("no validation micrographs: thresholds are the methods' own")
    if known is tested:
        notes.append("the diameter that methods are told is that of the test micrographs' labels")
    info = {
        "title": spec.title or spec.name,
        "kind": kind,
        "protein": protein,
        "diameter": float(known.groupby("view")["diameter"].median().max()),
        "fingerprint": fingerprint,
        "manifest": manifest,
        "micrographs": names,
        "particles": counts,
        "views": {str(view or "particle"): int(number) for view, number in views.items()},
        "axes": dict(spec.axes),
        "note": "; ".join(note for note in notes if note),
    }
    return Prepared(spec, paths, labels, info["diameter"], fingerprint, info)


def _simulated(
    spec: DatasetSpec, folder: Path, fresh: bool, progress: bool
) -> tuple[dict[str, list[Path]], pd.DataFrame, Any, str]:
    """Simulate the micrographs, unless that has been done; return paths, labels, and what they were made from."""
    from tqdm import tqdm

    # Tested ones first: a set with more training micrographs has the same ones to test.
    order = ("test", "validation", "train")
    sets = [(spec.simulate, order if not spec.train_on else ("test",))]
    sets += [(each, ("validation", "train")) for each in spec.train_on]
    recipe = json.dumps([__version__, *(dataclasses.asdict(each) for each, _ in sets)], sort_keys=True)
    tasks = [task for each, splits in sets for task in _tasks(each, splits)]
    paths = {split: [folder / f"{name}.mrc" for kept, name, *_ in tasks if kept == split] for split in SPLITS}
    done = folder / "recipe.json"
    if fresh or not (done.is_file() and done.read_text(encoding="utf-8") == recipe):
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        bar = tqdm(tasks, desc=f"simulating {spec.name}", unit="micrograph", disable=None if progress else True)
        for _, name, protein, settings in bar:
            _make(folder, name, protein, settings)
        # Last: a set that was interrupted is not taken for a whole one.
        write_text(done, recipe)
    labels = concatenate(coordinates.read(folder / "labels" / f"{name}.csv", format="csv") for _, name, *_ in tasks)
    trained = sorted({each.protein for each in spec.train_on})
    marks = {name: [sha256(folder / f"{name}.mrc"), sha256(folder / "labels" / f"{name}.csv")] for _, name, *_ in tasks}
    return paths, labels, marks, f"trained on {', '.join(trained)}" if trained else ""


def _tasks(made: SimulatedSet, splits: Iterable[str]) -> list[tuple[str, str, str, dict[str, Any]]]:
    from cryokit.simulate.density import MODELS

    wanted = [(split, index) for split in splits for index in range(1, made.counts[split] + 1)]
    settings = dict(made.settings)
    if "shape" in settings:
        settings["shape"] = tuple(settings["shape"])
    if made.diameter is not None:
        settings["pixel_size"] = MODELS[made.protein][0].diameter / made.diameter
    children = np.random.SeedSequence(made.seed).spawn(len(wanted))
    return [
        (split, f"{made.protein}_{split}_{index:03d}", made.protein, {**settings, "seed": child})
        for (split, index), child in zip(wanted, children, strict=True)
    ]


def _make(folder: Path, name: str, protein: str, settings: dict[str, Any]) -> None:
    from cryokit.simulate import SimulationError, simulate

    try:
        micrograph, truth = simulate(protein, name=name, **settings)
    except (TypeError, SimulationError) as error:
        raise BenchmarkError(f"{folder.name}: {error}; see cryokit.simulate.simulate for its arguments") from None
    coordinates.write(truth, folder / "labels" / f"{name}.csv", "csv", joined=False)
    with replacing(folder / f"{name}.mrc") as path:
        write_mrc(path, micrograph.data, pixel_size=micrograph.pixel_size)


def _real(
    spec: DatasetSpec, sources: list[Path], labels_from: str | None
) -> tuple[dict[str, list[Path]], pd.DataFrame, Any, str | None, str]:
    """Find the micrographs and labels of a real dataset; those without a label file are left out, and told."""
    manifest = load(spec.name).manifest if spec.name in available() else None
    folders = [each / spec.name for each in sources if (each / spec.name / "micrographs").is_dir()]
    if spec.micrographs is not None:
        files = find_micrographs(spec.micrographs)
        labels, labelled = coordinates.read_folder(labels_from or spec.labels)
    elif folders:
        files = find_micrographs(folders[0] / "micrographs")
        labels, labelled = coordinates.read_folder(labels_from or folders[0] / "labels")
    elif manifest is not None:
        files, labels, labelled = _fetched(load(spec.name), labels_from)
    else:
        raise BenchmarkError(
            f"{spec.name}: is no dataset of a manifest ({', '.join(available())}), and no folder of that name is among "
            "those given with --data"
        )
    by_name = {micrograph_name(path): path for path in files}
    if spec.splits is not None:
        splits = {name: split for split, names in spec.splits.items() for name in names}
    elif manifest is not None and manifest.files:
        splits = {file.micrograph: file.split for file in manifest.select("micrograph")}
    else:
        splits = assign_splits(by_name)
    labelled = set(labelled)
    paths = {
        split: [path for name, path in by_name.items() if splits.get(name) == split and name in labelled]
        for split in SPLITS
    }
    if not paths["test"]:
        raise BenchmarkError(
            f"{spec.name}: none of its test micrographs is there with labels ({plural(len(files), 'file')} found)"
        )
    told = ""
    if spec.splits is not None and (lost := [name for name in splits if name not in labelled or name not in by_name]):
        told = f"{some(lost)} of its splits {'is' if len(lost) == 1 else 'are'} not there with labels"
        logger.warning("%s: %s", spec.name, told)
    labels = _with_diameters(spec, labels, None if manifest is None else manifest.diameter_pixels)
    used = [path for split in SPLITS for path in paths[split]]
    marks = {micrograph_name(path): sha256(path) for path in used}
    named = labels[labels["micrograph"].isin(marks)].sort_values(["micrograph", "y", "x"])
    marks["labels"] = hashlib.sha256(named.to_csv(index=False, float_format="%.3f").encode()).hexdigest()
    return paths, labels, marks, None if manifest is None else sha256(manifest.source), told


def _with_diameters(spec: DatasetSpec, labels: pd.DataFrame, usual: float | None) -> pd.DataFrame:
    """Return the labels with a diameter each: that of the configuration, their own, or that of the manifest."""
    if spec.diameter is not None:
        return labels.assign(diameter=spec.diameter)
    own = float(labels["diameter"].median())
    if math.isnan(own) and usual is None:
        raise BenchmarkError(
            f"{spec.name}: its labels say where particles are, but not how wide they are; give --diameter "
            f"{spec.name}=PIXELS, or 'diameter' in the configuration"
        )
    if usual is not None and not math.isnan(own) and not usual / UNLIKELY < own < usual * UNLIKELY:
        logger.warning(
            "%s: its labels are %g pixels wide, its particles %g by the manifest; if these are sides of boxes, give "
            "--diameter %s=%g: the tolerance of a true pick follows from it",
            *(spec.name, own, usual, spec.name, usual),
        )
    return labels.assign(diameter=labels["diameter"].fillna(usual if usual is not None else own))


def _fetched(dataset: Dataset, labels_from: str | None) -> tuple[list[Path], pd.DataFrame, list[str]]:
    try:
        pairs = dataset.pairs(labels_from=labels_from, partial=True)
        labels = dataset.labels(labels_from=labels_from, partial=True)
    except DatasetError as error:
        raise BenchmarkError(str(error)) from None
    return [path for path, _ in pairs], labels, [micrograph_name(path) for path, label in pairs if label is not None]
