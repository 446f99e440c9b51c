"""Micrographs and labels of a benchmark: simulated into the folder of the run, or found where they are."""

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
from cryokit._util.files import make_folder, write_text
from cryokit._util.names import matched, micrograph_names
from cryokit._util.wording import plural, some
from cryokit.benchmark.configuration import DatasetSpec, SimulatedSet
from cryokit.coordinates import IGNORE, concatenate
from cryokit.datasets import SPLITS, available, load
from cryokit.datasets.integrity import sha256
from cryokit.datasets.manifest import assign_splits
from cryokit.errors import ArgumentError, BenchmarkError, CryokitError, DatasetError, SimulationError
from cryokit.micrograph import find as find_micrographs
from cryokit.micrograph import read, write_mrc
from cryokit.pickers.interface import spread
from cryokit.pickers.many_files import check_usable
from cryokit.pickers.one_of_many import problem_of

logger = logging.getLogger(__name__)

UNLIKELY = 1.3  # ratio to the manifest's diameter from which labels may be boxes, which are about 1.5 diameters wide


@dataclass(frozen=True)
class Prepared:
    """A dataset with its files in place.

    Attributes
    ----------
    spec : DatasetSpec
        Configuration of the dataset.
    paths : dict of str to list of pathlib.Path
        Micrographs by split: train, validation, test.
    labels : pandas.DataFrame
        Table of picks with the labels of all micrographs.
    diameter : float
        Particle diameter in pixels that methods are given: the median of the labels of the training and validation
        micrographs, of the view in which it is longest; of the test micrographs if there are no others, or if the
        others show other proteins.
    info : dict
        Description for the result file, with ``fingerprint``, the SHA-256 of the micrographs and labels.
    """

    spec: DatasetSpec
    paths: dict[str, list[Path]]
    labels: pd.DataFrame
    diameter: float
    info: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Files:
    """Files of a dataset, and what they are."""

    paths: dict[str, list[Path]]
    labels: pd.DataFrame
    digests: dict[str, Any]
    protein: str
    manifest: str | None = None
    note: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)


def prepare(
    spec: DatasetSpec,
    folder: str | os.PathLike,
    *,
    sources: Iterable[str | os.PathLike] = (),
    labels_from: Mapping[str, str] | None = None,
    labels_reading: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> Prepared:
    """Bring the files of a dataset into place.

    Parameters
    ----------
    spec : DatasetSpec
        Configuration of the dataset.
    folder : path-like
        Folder of the run; simulated micrographs are kept in its ``data``.
    sources : iterable of path-like
        Folders to look for real datasets in, each ``<dataset>/micrographs`` and ``<dataset>/labels``; the cache of
        ``cryokit data fetch`` comes last.
    labels_from : mapping of str to str, optional
        Files or folders of your own labels by dataset, in any format.
    labels_reading : mapping of str to object, optional
        How label files are read that are not those of a manifest: arguments of `cryokit.coordinates.read_folder`.
    fresh : bool
        Whether to simulate existing micrographs again.

    Returns
    -------
    Prepared

    Raises
    ------
    BenchmarkError
        If its files are not available, no test micrograph has labels, or nothing gives the particle's diameter.
    """
    labels_from = (labels_from or {}).get(spec.name)
    if spec.simulate is not None:
        if labels_from is not None:
            raise BenchmarkError(f"{spec.name}: is simulated and has its labels; leave out your own")
        files = _simulated(spec, Path(folder) / "data" / spec.name, fresh)
    else:
        files = _real(spec, [Path(source) for source in sources], labels_from, labels_reading or {})
    paths = dict(files.paths)
    if spec.train is not None:
        paths["train"] = spread(paths["train"], spec.train) if spec.train else []
    called = _names(path for split in SPLITS for path in files.paths[split])
    names = {split: [called[path] for path in paths[split]] for split in SPLITS}
    particles = files.labels[files.labels["view"] != IGNORE]
    by_split = {split: particles[particles["micrograph"].isin(names[split])] for split in SPLITS}
    if by_split["test"].empty:
        raise BenchmarkError(f"{spec.name}: no test micrograph has labels, so there is nothing to score")
    known = pd.concat([by_split["train"], by_split["validation"]])
    notes = [spec.note, files.note]
    if not names["train"]:
        notes.append("no training micrographs: methods without labels are fitted on the test micrographs alone")
    if not names["validation"]:
        notes.append("no validation micrographs: thresholds are the methods' own")
    if spec.train_on or known.empty:
        known = by_split["test"]
        notes.append("methods are given the diameter of the test micrographs' labels")
    views = by_split["test"]["view"].value_counts().sort_index()
    fingerprint = hashlib.sha256(json.dumps([names, files.digests], sort_keys=True).encode()).hexdigest()
    info = {
        "title": spec.title or spec.name,
        "kind": "real" if spec.simulate is None else "simulated",
        "protein": files.protein,
        "diameter": float(known.groupby("view")["diameter"].median().max()),
        "fingerprint": fingerprint,
        "manifest": files.manifest,
        "micrographs": names,
        "particles": {split: len(table) for split, table in by_split.items()},
        "views": {view or "particle": int(number) for view, number in views.items()},
        "axes": dict(spec.axes),
        "note": "; ".join(note for note in notes if note),
        "left_out": dict(files.left_out),
    }
    return Prepared(spec, paths, files.labels, info["diameter"], info)


def _simulated(spec: DatasetSpec, folder: Path, fresh: bool) -> _Files:
    """Simulate the micrographs, unless that has been done."""
    from tqdm import tqdm

    from cryokit.simulate import simulate_parts
    from cryokit.simulate.conditions import ARTEFACTS

    # Test micrographs come first, so that a set with more training micrographs has the same ones.
    sets = [(spec.simulate, ("test",) if spec.train_on else ("test", "validation", "train"))]
    sets += [(other, ("validation", "train")) for other in spec.train_on]
    recipe = json.dumps([__version__, *(dataclasses.asdict(simulated) for simulated, _ in sets)], sort_keys=True)
    tasks = [task for simulated, splits in sets for task in _tasks(simulated, splits)]
    done = folder / "recipe.json"
    if fresh or not (done.is_file() and done.read_text(encoding="utf-8") == recipe):
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        bar = tqdm(tasks, desc=f"simulating {spec.name}", unit="micrograph", disable=None)
        for _, name, protein, settings in bar:
            try:
                parts = simulate_parts(protein, name=name, **settings)
            except (TypeError, ArgumentError, SimulationError) as error:
                raise BenchmarkError(f"{spec.name}: {error}; see cryokit.simulate.simulate for its arguments") from None
            micrograph = parts.micrograph
            coordinates.write(parts.truth, folder / "labels" / f"{name}.csv", "csv", joined=False)
            if any(settings.get(artefact) for artefact in ARTEFACTS):
                mask = parts.unusable.astype(np.int8)
                write_mrc(folder / "masks" / f"{name}.mrc", mask, pixel_size=micrograph.pixel_size)
            write_mrc(folder / f"{name}.mrc", micrograph.data, pixel_size=micrograph.pixel_size)
        # Written last, so that an interrupted set is not taken for a whole one.
        write_text(done, recipe)
    places = {name: (folder / f"{name}.mrc", folder / "labels" / f"{name}.csv") for _, name, *_ in tasks}
    proteins = sorted(other.protein for other in spec.train_on)
    return _Files(
        paths={split: [places[name][0] for kept, name, *_ in tasks if kept == split] for split in SPLITS},
        labels=concatenate(coordinates.read(labels, format="csv") for _, labels in places.values()),
        digests={name: [sha256(path) for path in paths] for name, paths in places.items()},
        protein=spec.simulate.protein,
        note=f"trained on {', '.join(proteins)}" if proteins else "",
    )


def _tasks(simulated: SimulatedSet, splits: Iterable[str]) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return split, name, protein and settings of each micrograph."""
    from cryokit.simulate import MODELS

    places = [(split, index) for split in splits for index in range(1, simulated.counts[split] + 1)]
    settings = dict(simulated.settings)
    if simulated.diameter is not None:
        settings["pixel_size"] = MODELS[simulated.protein][0].diameter / simulated.diameter
    children = np.random.SeedSequence(simulated.seed).spawn(len(places))
    return [
        (
            split,
            f"{simulated.protein}_{split}_{index:03d}",
            simulated.protein,
            {**settings, **({"n_particles": 0} if _is_empty(index, simulated.empty) else {}), "seed": child},
        )
        for (split, index), child in zip(places, children, strict=True)
    ]


def _is_empty(index: int, share: float) -> bool:
    """Return whether the micrograph of this number, from 1, is one of the evenly spread empty ones."""
    return math.floor(index * share) > math.floor((index - 1) * share)


def _real(spec: DatasetSpec, sources: list[Path], labels_from: str | None, labels_reading: Mapping[str, Any]) -> _Files:
    """Find the micrographs and labels of a real dataset; micrographs without a label file are left out."""
    dataset = load(spec.name) if spec.name in available() else None
    folder = next((source / spec.name for source in sources if (source / spec.name / "micrographs").is_dir()), None)
    if spec.micrographs is not None or folder is not None:
        files = find_micrographs(spec.micrographs or folder / "micrographs")
        labels_from = labels_from or spec.labels or folder / "labels"
    elif dataset is not None:
        try:
            pairs = dataset.pairs(partial=True)
            labels = dataset.labels(partial=True) if labels_from is None else None
        except DatasetError as error:
            raise BenchmarkError(str(error)) from None
        files = [path for path, _ in pairs]
        called = _names(files)
        labelled = [called[path] for path, label in pairs if label is not None]
    else:
        raise BenchmarkError(
            f"{spec.name}: neither a dataset with a manifest ({', '.join(available())}) nor a folder in one of those "
            "given with --data"
        )
    by_name = {name: path for path, name in _names(files).items()}
    if labels_from is not None:
        labels, labelled = coordinates.read_folder(labels_from, **labels_reading, located=True)
        called = matched(labelled, by_name)
        labels, labelled = coordinates.renamed(labels, called), list(called.values())
        if folder is None and spec.micrographs is None and len(dataset.manifest.views) == 1:
            labels = labels.assign(view=labels["view"].where(labels["view"] != "", dataset.manifest.views[0]))
    if spec.splits is not None:
        splits = {name: split for split, names in spec.splits.items() for name in names}
    elif dataset is not None and dataset.manifest.files:
        splits = {file.micrograph: file.split for file in dataset.manifest.select("micrograph")}
    else:
        splits = assign_splits(by_name)
    labels = _with_diameters(spec, labels, None if dataset is None else dataset.manifest.diameter_pixels)
    usable = {name: path for name, path in by_name.items() if name in set(labelled)}
    left_out = _left_out({name: path for name, path in usable.items() if splits.get(name) in SPLITS}, labels)
    usable = {name: path for name, path in usable.items() if name not in left_out}
    paths = {split: [path for name, path in usable.items() if splits.get(name) == split] for split in SPLITS}
    if not paths["test"]:
        found = "; ".join([f"{plural(len(files), 'micrograph')} found", *left_out.values()])
        raise BenchmarkError(f"{spec.name}: none of its test micrographs is available with labels ({found})")
    note = ""
    if spec.splits is not None and (missing := [name for name in splits if name not in {**usable, **left_out}]):
        note = f"micrographs of its splits that are not available with labels: {some(missing)}"
        logger.warning("%s: %s", spec.name, note)
    labels = labels[~labels["micrograph"].isin(list(left_out))]
    labels = coordinates.without_repeats(labels, f"{spec.name}: labels")
    digests = {name: sha256(path) for name, path in usable.items() if splits.get(name) in SPLITS}
    used = labels[labels["micrograph"].isin(digests)].sort_values(["micrograph", "y", "x"])
    digests["labels"] = hashlib.sha256(used.to_csv(index=False, float_format="%.3f").encode()).hexdigest()
    manifest = None if dataset is None else sha256(dataset.manifest.source)
    return _Files(paths, labels, digests, spec.name, manifest, note, left_out)


def _left_out(paths: Mapping[str, Path], labels: pd.DataFrame) -> dict[str, str]:
    """Return the micrographs that no method can use, and why: they are left out for all methods alike."""
    reasons = {}
    diameter = float(labels["diameter"].median())
    for name, path in paths.items():
        try:
            check_usable(read(path, name=name), None if math.isnan(diameter) else diameter)
        except CryokitError as error:
            logger.error("left out: %s", problem := problem_of(path, error))
            reasons[name] = problem.replace(os.fspath(path), name)  # results name no folders
    return reasons


def _names(paths: Iterable[Path]) -> dict[Path, str]:
    paths = list(paths)
    return dict(zip(paths, micrograph_names(paths), strict=True))


def _with_diameters(spec: DatasetSpec, labels: pd.DataFrame, usual: float | None) -> pd.DataFrame:
    """Return the labels with a diameter each: that of the configuration, their own, or that of the manifest."""
    if spec.diameter is not None:
        return labels.assign(diameter=spec.diameter)
    own = float(labels["diameter"].median())
    if math.isnan(own) and usual is None:
        raise BenchmarkError(
            f"{spec.name}: the labels give no particle diameter; give --diameter {spec.name}=PIXELS, or 'diameter' in "
            "the configuration"
        )
    if usual is not None and not math.isnan(own) and not usual / UNLIKELY < own < usual * UNLIKELY:
        message = "%s: the labels are %g pixels wide, but the particle %g by the manifest; if they are boxes, give %s"
        logger.warning(message, spec.name, own, usual, f"--diameter {spec.name}={usual:g}")
    return labels.assign(diameter=labels["diameter"].fillna(usual if usual is not None else own))
