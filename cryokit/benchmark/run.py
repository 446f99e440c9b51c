"""The run: every method on every dataset, cell by cell, so that nothing finished is done twice or lost."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from cryokit import __version__, coordinates
from cryokit._util.files import make_folder, write_text
from cryokit._util.wording import plural
from cryokit.benchmark import cells, results
from cryokit.benchmark import prepared_sets as data
from cryokit.benchmark.configuration import BenchmarkConfig
from cryokit.benchmark.methods import PROGRAMS, Row, class_of
from cryokit.datasets.integrity import sha256
from cryokit.errors import BenchmarkError, CryokitError
from cryokit.evaluate.paired import compare

logger = logging.getLogger(__name__)

_NEEDS_LABELS = "needs the labels of training micrographs, and this dataset has none to train on"


def run(
    config: BenchmarkConfig,
    out: str | os.PathLike,
    *,
    sources: Iterable[str | os.PathLike] = (),
    labels_from: Mapping[str, str] | None = None,
    picks: Mapping[str, str] | None = None,
    fresh: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Run a benchmark and return its result, which is written after every cell.

    Parameters
    ----------
    config : BenchmarkConfig
    out : path-like
        Folder of the run: ``result.json`` (``result.partial.json`` until the run has come to its end), ``cells/`` (an
        outcome and a log for each cell), ``picks/``, ``data/``.
    sources, labels_from
        As in `cryokit.benchmark.prepared_sets.prepare`.
    picks : mapping of str to str, optional
        Picks that somebody else made, by the name of their row: files or folders of any format.
    fresh : bool
        Compute finished cells anew, too, and simulate micrographs anew.
    progress : bool

    Returns
    -------
    dict
        As in the file; see `cryokit.benchmark.results`.

    Raises
    ------
    BenchmarkError
        When no dataset of the benchmark is there. One that is missing beside others is told and left out.
    """
    from tqdm import tqdm

    began = time.perf_counter()
    out = make_folder(out)
    extra = tuple(
        Row(name, None, {"path": os.fspath(path)}, None, name, "picks as given") for name, path in (picks or {}).items()
    )
    sets = _datasets(config, out, sources, labels_from, fresh, progress)
    tasks = [
        (prepared, row, seed)
        for prepared in sets
        for row in (*config.rows(prepared.spec), *extra)
        for seed in range(config.seeds if row.picker is not None else 1)
    ]
    named = {row.name: row for _, row, _ in tasks}
    result: dict[str, Any] = {
        "cryokit_benchmark": results.FORMAT,
        "name": config.name,
        "title": config.title,
        "note": config.note,
        "profile": config.profile,
        "config": config.raw,
        "asked": {
            "methods": list(named),
            "datasets": [prepared.spec.name for prepared in sets],
            "seeds": config.seeds,
        },
        "provenance": results.provenance(),
        "datasets": {prepared.spec.name: prepared.info for prepared in sets},
        "methods": {name: _told(row) for name, row in named.items()},
        "cells": [],
        "comparisons": [],
    }
    bar = tqdm(tasks, desc=config.name, unit="cell", disable=None if progress else True)
    for prepared, row, seed in bar:
        bar.set_postfix_str(f"{row.name} on {prepared.spec.name}")
        cell = _cell(config, out, prepared, row, seed, fresh)
        result["cells"].append({"method": row.name, "dataset": prepared.spec.name, "seed": seed, **cell})
        result["provenance"]["seconds"] = round(time.perf_counter() - began, 1)
        results.write(result, out / results.PARTIAL)
    _judge_given(result, [row.name for row in named.values() if row.picker is None])
    result["comparisons"] = comparisons(result)
    devices = {((cell.get("provenance") or {}).get("machine") or {}).get("device") for cell in result["cells"]} - {None}
    result["provenance"]["machine"]["device"] = ", ".join(sorted(devices)) or None
    _warn_of_other_sources(result)
    results.write(result, out / results.RESULT)
    (out / results.PARTIAL).unlink(missing_ok=True)
    return result


def _judge_given(result: dict[str, Any], names: Sequence[str]) -> None:
    """Let picks that are of one dataset be none of the others; those that are of none have failed."""
    for name in names:
        own = [cell for cell in result["cells"] if cell["method"] == name]
        if not any(cell["status"] == cells.DONE for cell in own):
            for cell in own:
                cell["status"] = cells.FAILED
        for cell in own:
            for told in cell.get("decisions") or ():
                logger.warning("%s on %s: %s", name, cell["dataset"], told)


def _warn_of_other_sources(result: Mapping[str, Any]) -> None:
    now = result["provenance"]["commit"]
    made = Counter(cell.get("commit") for cell in result["cells"] if cell["status"] == cells.DONE)
    others = {commit: number for commit, number in made.items() if commit != now}
    if others:
        told = ", ".join(f"{commit or 'unknown'} ({plural(number, 'cell')})" for commit, number in others.items())
        logger.warning("finished cells were kept that another state of the source made: %s; --fresh repeats them", told)


def comparisons(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare on each dataset the method with the highest F1, and `auto`, with every other, micrograph by micrograph.

    Parameters
    ----------
    result : mapping
        With its cells.

    Returns
    -------
    list of dict
        ``dataset``, ``first``, ``second``, ``difference`` (F1 of the first minus that of the second), ``interval``,
        ``p``, ``micrographs``.
    """
    found = []
    for dataset in result["datasets"]:
        counts: dict[str, pd.DataFrame] = {}
        for cell in result["cells"]:
            if cell["dataset"] == dataset and cell["status"] == cells.DONE:
                rows = pd.DataFrame(cell["per_micrograph"])
                counts[cell["method"]] = pd.concat([counts[cell["method"]], rows]) if cell["method"] in counts else rows
        pooled = {name: _f1(table) for name, table in counts.items()}
        if not pooled:
            continue
        leaders = dict.fromkeys([max(pooled, key=pooled.__getitem__), *(("auto",) if "auto" in pooled else ())])
        done = set()
        for first in leaders:
            for second in counts:
                if second == first or (second, first) in done:
                    continue
                done.add((first, second))
                compared = compare(counts[first], counts[second])
                found.append({"dataset": dataset, "first": first, "second": second, **compared._asdict()})
    return found


def _f1(table: pd.DataFrame) -> float:
    tp, fp, fn = (int(table[name].sum()) for name in ("tp", "fp", "fn"))
    return 2 * tp / max(1, 2 * tp + fp + fn)


def failures(result: Mapping[str, Any]) -> list[str]:
    """Return what failed, a line for each cell."""
    return [
        f"{cell['method']} on {cell['dataset']} (seed {cell['seed']}): {cell['error']}"
        for cell in result["cells"]
        if cell["status"] == cells.FAILED
    ]


def _told(row: Row) -> dict[str, Any]:
    told = row.to_dict()
    if row.picker is None:
        # Where somebody's picks lie is no part of the result.
        told["settings"] = {**told["settings"], "path": Path(told["settings"]["path"]).name}
    return told


def _datasets(
    config: BenchmarkConfig,
    out: Path,
    sources: Iterable[str | os.PathLike],
    labels_from: Mapping[str, str] | None,
    fresh: bool,
    progress: bool,
) -> list[data.Prepared]:
    told: dict[str, Any] = {"sources": list(sources), "labels_from": labels_from, "fresh": fresh, "progress": progress}
    if unknown := sorted(set(labels_from or {}) - {each.name for spec in config.datasets for each in spec.choices()}):
        raise BenchmarkError(f"labels are given for {unknown[0]!r}, which is no dataset of this benchmark")
    found, lacking = [], []
    for spec in config.datasets:
        try:
            prepared = data.prepare(spec, out, **told)
        except CryokitError as error:
            if spec.simulate is not None:
                raise
            if spec.otherwise is None:
                lacking.append(str(error))
                continue
            logger.warning("%s; in its place: %s", error, spec.otherwise.title or spec.otherwise.name)
            spec = spec.otherwise
            prepared = data.prepare(spec, out, **told)
        # All methods read the same labels, in one format.
        coordinates.write(prepared.labels, out / "data" / f"{spec.name}.labels.csv", "csv", joined=True)
        found.append(prepared)
    for reason in lacking:
        logger.warning("left out: %s", reason)
    if not found:
        raise BenchmarkError("none of the datasets is there: " + "; ".join(lacking))
    return found


def _cell(
    config: BenchmarkConfig, out: Path, prepared: data.Prepared, row: Row, seed: int, fresh: bool
) -> dict[str, Any]:
    """Return the outcome of a cell, from its file if it was finished before."""
    if row.labels and not prepared.paths["train"]:
        return {"status": cells.SKIPPED, "error": _NEEDS_LABELS}
    name = prepared.spec.name
    place = out / "cells" / row.name / name / f"seed{seed}.json"
    settings = dict(row.settings)
    given = Path(settings.pop("path")) if row.picker is None else None
    job = cells.Job(
        method=row.name,
        dataset=name,
        seed=seed,
        picker=row.picker,
        settings=settings,
        labels=bool(row.labels),
        diameter=prepared.diameter if config.give_diameter else None,
        micrographs={split: [os.fspath(path.resolve()) for path in paths] for split, paths in prepared.paths.items()},
        truth=os.fspath((out / "data" / f"{name}.labels.csv").resolve()),
        picks=os.fspath((out / "picks" / row.name / name / f"seed{seed}").resolve()),
        out=os.fspath(place.resolve()),
        given=None if given is None else os.fspath(given.resolve()),
    )
    key = _key(job, prepared.fingerprint)
    if not fresh and (kept := _finished(place, key)) is not None:
        return kept
    make_folder(place.parent)
    began = time.perf_counter()
    try:
        outcome = cells.run_in_process(job, 60 * config.timeout, place.with_suffix(".log"))
    except (CryokitError, OSError) as error:
        outcome = {"status": cells.FAILED, "error": str(error)}
    outcome = {"commit": results.commit(), "key": key, **outcome, "wall": round(time.perf_counter() - began, 1)}
    write_text(place, json.dumps(outcome))
    if outcome["status"] == cells.DONE:
        told = outcome["scores"]
        logger.info("%s on %s: F1 %.3f, average precision %.3f", row.name, name, told["f1"], told["average_precision"])
    else:
        logger.error("%s on %s %s: %s", row.name, name, outcome["status"], outcome["error"])
    return {name: value for name, value in outcome.items() if name != "key"}


def _key(job: cells.Job, fingerprint: str) -> str:
    """Return what an outcome depends on, but for the source: two equal keys are the same cell."""
    told = asdict(job)
    for path in ("picks", "out", "truth", "micrographs", "given"):
        told.pop(path)
    told |= {"data": fingerprint, "version": __version__, "backend": results.backend()}
    variables = ["CRYOKIT_DEVICE", "CRYOKIT_PRECISION"]
    if job.picker in PROGRAMS:
        variables.append(class_of(job.picker).variable)
    told["environment"] = {name: os.environ.get(name) for name in variables}
    told["files"] = {
        name: sha256(Path(value))
        for name, value in job.settings.items()
        if isinstance(value, str) and value and Path(value).is_file()
    }
    told["given"] = None if job.given is None else _digest(job.given, job.settings)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _digest(given: str, settings: Mapping[str, Any]) -> str:
    """Return what somebody's picks are: not their files alone, since one may list others."""
    try:
        picks, names = coordinates.read_folder(given, **settings)
    except CryokitError as error:  # the cell will say so
        return str(error)
    return hashlib.sha256((picks.to_csv(index=False) + "\n".join(names)).encode()).hexdigest()


def _finished(place: Path, key: str) -> dict[str, Any] | None:
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not (isinstance(kept, dict) and kept.get("status") == cells.DONE and kept.get("key") == key):
        return None
    return {name: value for name, value in kept.items() if name != "key"}
