"""The run: every method on every dataset, cell by cell; finished cells are kept, so a stopped run can be continued."""

import contextlib
import hashlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryokit import __version__, coordinates
from cryokit._util import locks
from cryokit._util.cluster import connected, lost
from cryokit._util.files import make_folder, remove_leftovers, write_text
from cryokit._util.json_files import read_json
from cryokit._util.wording import plural
from cryokit.benchmark import cells, result_file, run_files
from cryokit.benchmark.configuration import BenchmarkConfig
from cryokit.benchmark.methods import PROGRAMS, ROWS, Row, check_name
from cryokit.benchmark.prepared_sets import Prepared, prepare
from cryokit.errors import BenchmarkError, CryokitError, WriteError
from cryokit.pickers import identity, picker_class

logger = logging.getLogger(__name__)


def run(
    config: BenchmarkConfig,
    out: str | os.PathLike,
    *,
    sources: Iterable[str | os.PathLike] = (),
    labels_from: Mapping[str, str] | None = None,
    labels_reading: Mapping[str, Any] | None = None,
    picks: Mapping[str, str] | None = None,
    reading: Mapping[str, Any] | None = None,
    unlabelled: Iterable[str] = (),
    fresh: bool = False,
    dask: str | None = None,
    mixed: bool = False,
) -> dict[str, Any]:
    """Run a benchmark and return its result, which is written after every cell.

    Parameters
    ----------
    config : BenchmarkConfig
        Methods and datasets to run.
    out : path-like
        Folder of the run: ``result.json`` (``result.partial.json`` until the run has finished), ``cells/`` (outcome and
        log of each cell), ``picks/`` and ``data/``.
    sources : iterable of path-like
        Folders of real datasets, see `cryokit.benchmark.prepared_sets.prepare`.
    labels_from : mapping of str to str, optional
        Files or folders of your own labels by dataset, in any format.
    labels_reading : mapping of str to object, optional
        How labels in files of your own are read: arguments of `cryokit.coordinates.read_folder`.
    picks : mapping of str to str, optional
        Files or folders of picks as given, in any format, by the name of their row.
    reading : mapping of str to object, optional
        How these picks are read: arguments of `cryokit.coordinates.read_folder`.
    unlabelled : iterable of str
        Names of those of these picks that no labels went into. The others are ranked with methods that learned from
        labels.
    fresh : bool
        Whether to recompute finished cells and to simulate micrographs again.
    dask : str, optional
        Address of a Dask scheduler on whose workers the cells run; they have to see the same files by the same paths.
    mixed : bool
        Whether to keep finished cells that another state of the source has computed.

    Returns
    -------
    dict
        Content of the result file (`cryokit.benchmark.result_file`).

    Raises
    ------
    BenchmarkError
        If none of the datasets is available (one missing among others is left out with a warning), the folder holds the
        run of another benchmark or profile, or finished cells of another state of the source, or picks have the name
        of a method.
    CryokitError
        If another process runs a benchmark in the folder.
    """
    unlabelled = set(unlabelled)
    if unknown := sorted(unlabelled - set(picks or {})):
        raise BenchmarkError(f"picks without labels: {unknown[0]!r} is not the name of any picks that are given")
    given = [
        _given_row(config, name, path, reading or {}, False if name in unlabelled else None)
        for name, path in (picks or {}).items()
    ]
    _check_folder(Path(out), config)
    out = make_folder(out)
    busy = f"{out}: another benchmark runs there; wait for it, or choose another folder"
    with locks.held(out / run_files.LOCK, busy):
        _remove_leftovers(out)
        sets = _prepare_all(config, out, list(sources), labels_from, labels_reading, fresh)
        return _run(config, out, sets, given, fresh=fresh, dask=dask, mixed=mixed)


def _run(
    config: BenchmarkConfig,
    out: Path,
    sets: Sequence[Prepared],
    given: Sequence[Row],
    *,
    fresh: bool,
    dask: str | None,
    mixed: bool,
) -> dict[str, Any]:
    """Run the cells of prepared datasets."""
    from tqdm import tqdm

    began = time.perf_counter()
    tasks = [
        (prepared, row, seed)
        for prepared in sets
        for row in (*config.rows(prepared.spec), *given)
        for seed in range(config.seeds if row.random else 1)
    ]
    if not (fresh or mixed):
        _refuse_other_sources(config, out, tasks)
    rows = {row.name: row for _, row, _ in tasks}
    result: dict[str, Any] = {
        "cryokit_benchmark": result_file.FORMAT,
        "name": config.name,
        "title": config.title,
        "note": config.note,
        "profile": config.profile,
        "config": config.raw,
        "provenance": result_file.provenance(),
        "datasets": {prepared.spec.name: prepared.info for prepared in sets},
        "methods": {name: row.to_dict() for name, row in rows.items()},
        "cells": [],
    }
    planned = [_planned(config, out, prepared, row, seed, fresh) for prepared, row, seed in tasks]
    outcomes: list[dict[str, Any] | None] = [None] * len(tasks)
    done = _on_cluster(planned, config, dask) if dask else _here(planned, config)
    with tqdm(total=len(tasks), desc=config.name, unit="cell", disable=None) as bar:
        for number, outcome in done:
            prepared, row, seed = tasks[number]
            bar.update()
            bar.set_postfix_str(f"{row.name} on {prepared.spec.name}")
            cell = {"method": row.name, "dataset": prepared.spec.name, "seed": seed}
            outcomes[number] = cell | result_file.empty_cell() | outcome
            result["cells"] = [outcome for outcome in outcomes if outcome is not None]
            result["provenance"]["seconds"] = round(time.perf_counter() - began, 1)
            result_file.write(result, out / result_file.PARTIAL)
    for row in rows.values():
        if row.picker is None:
            _judge_given([cell for cell in result["cells"] if cell["method"] == row.name])
    result_file.write(result, out / result_file.RESULT)
    (out / result_file.PARTIAL).unlink(missing_ok=True)
    return result


def _given_row(config: BenchmarkConfig, name: str, path: str, reading: Mapping[str, Any], labels: bool | None) -> Row:
    """Return the row of picks as given; the name of a method is refused, because one row would stand for both."""
    taken = {row.name for spec in config.choices().values() for row in config.rows(spec)}
    if name in taken | {row.name for row in config.methods} | set(ROWS):
        raise BenchmarkError(f"picks {name!r}: there is a method of this name; choose another name")
    settings = {"path": os.fspath(path), **reading}
    return Row(check_name(name, "picks"), None, settings, labels, name, "picks as given")


def _check_folder(out: Path, config: BenchmarkConfig) -> None:
    """Refuse a folder with the run of another benchmark or profile, whose result would be lost."""
    for path in (out / result_file.RESULT, out / result_file.PARTIAL):
        if not path.exists():
            continue
        try:
            held = result_file.load(path)
            name, profile = held["name"], held["profile"]
        except (BenchmarkError, KeyError):
            raise BenchmarkError(f"{path}: not a readable result; choose another folder, or remove it") from None
        # Benchmarks made in Python have no profile.
        if name != config.name or (None not in (profile, config.profile) and profile != config.profile):
            raise BenchmarkError(
                f"{out}: holds a run of the benchmark {name!r} (profile {profile}), which one of {config.name!r} "
                f"(profile {config.profile}) would replace; choose another folder, or remove {path.name} in it"
            )


def _judge_given(own: Sequence[dict[str, Any]]) -> None:
    """Skip picks as given on datasets that they are not of; those that are of no dataset have failed."""
    if not any(cell["status"] == result_file.DONE for cell in own):
        for cell in own:
            cell["status"] = result_file.FAILED
    for cell in own:
        for remark in cell["decisions"]:
            logger.warning("%s on %s: %s", cell["method"], cell["dataset"], remark)


def _refuse_other_sources(config: BenchmarkConfig, out: Path, tasks: Iterable[tuple[Prepared, Row, int]]) -> None:
    """Refuse to add to finished cells of another state of the source: such numbers do not belong together."""
    commits: Counter[str] = Counter()
    for prepared, row, seed in tasks:
        job = _job(config, out, prepared, row, seed)
        kept = _finished(job.out, _key(job, prepared.info["fingerprint"])) if job.out.is_file() else None
        if kept is not None:
            commits[kept["provenance"]["commit"] or "unknown"] += 1
    del commits[result_file.commit() or "unknown"]
    if commits:
        states = ", ".join(f"{commit} ({plural(number, 'cell')})" for commit, number in commits.items())
        raise BenchmarkError(
            f"{out}: has finished cells from another state of the source: {states}; --fresh recomputes them, --mixed "
            "keeps them, another folder begins anew"
        )


def _prepare_all(
    config: BenchmarkConfig,
    out: Path,
    sources: Iterable[str | os.PathLike],
    labels_from: Mapping[str, str] | None,
    labels_reading: Mapping[str, Any] | None,
    fresh: bool,
) -> list[Prepared]:
    """Prepare every dataset, or the one that replaces it if it is not available."""
    if unknown := sorted(set(labels_from or {}) - set(config.choices())):
        raise BenchmarkError(f"labels are given for {unknown[0]!r}, which is no dataset of this benchmark")
    sets, missing = [], []
    for spec in config.datasets:
        for choice in spec.choices():
            try:
                prepared = prepare(
                    choice,
                    out,
                    sources=sources,
                    labels_from=labels_from,
                    labels_reading=labels_reading,
                    fresh=fresh,
                )
            except CryokitError as error:
                if choice.simulate is not None:
                    raise
                missing.append(str(error))
                hint = f"; trying {choice.otherwise.name} in its place" if choice.otherwise else ""
                logger.warning("%s%s", error, hint)
                continue
            # All methods read the same labels, in one format.
            coordinates.write(prepared.labels, run_files.labels_file(out, choice.name), "csv", joined=True)
            sets.append(prepared)
            break
    if not sets:
        raise BenchmarkError(f"no dataset is available: {'; '.join(missing)}")
    return sets


_Planned = tuple[cells.Job | None, str, dict[str, Any] | None]  # a cell, its key, and its outcome if that is known


def _planned(config: BenchmarkConfig, out: Path, prepared: Prepared, row: Row, seed: int, fresh: bool) -> _Planned:
    """Return what a cell has to do, or its outcome from its file if it was finished before."""
    if row.labels and not prepared.paths["train"]:
        return None, "", {"status": result_file.SKIPPED, "error": "learns from labels, but has no training micrographs"}
    job = _job(config, out, prepared, row, seed)
    key = _key(job, prepared.info["fingerprint"])
    return job, key, None if fresh else _finished(job.out, key)


def _here(planned: Sequence[_Planned], config: BenchmarkConfig) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the outcomes of cells, with their numbers, one after the other on this machine."""
    for number, (job, key, known) in enumerate(planned):
        yield number, known or _kept(job, key, run_cell(job, 60 * config.timeout))


def _on_cluster(
    planned: Sequence[_Planned], config: BenchmarkConfig, address: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the outcomes of cells, with their numbers, as the workers of a Dask cluster are done with them."""
    yield from ((number, known) for number, (_, _, known) in enumerate(planned) if known)
    with contextlib.closing(connected(address)) as client:
        from distributed import as_completed

        numbers = {
            client.submit(run_cell, job, 60 * config.timeout, pure=False): number
            for number, (job, _, known) in enumerate(planned)
            if not known
        }
        for future in as_completed(list(numbers)):
            number = numbers.pop(future)
            try:
                outcome = future.result()
            except Exception as error:
                if (reason := lost(error)) is None:
                    raise
                outcome = {"status": result_file.FAILED, "error": reason}
            job, key, _ = planned[number]
            yield number, _kept(job, key, outcome)


def run_cell(job: cells.Job, timeout: float) -> dict[str, Any]:
    """Run a cell on this machine, whatever it comes to.

    Parameters
    ----------
    job : cryokit.benchmark.cells.Job
        Task of the cell.
    timeout : float
        Seconds after which it is killed.

    Returns
    -------
    dict
        As of `cryokit.benchmark.cells.run_in_process`, with the seconds that it took.
    """
    began = time.perf_counter()
    try:
        make_folder(job.out.parent)
        outcome = cells.run_in_process(job, timeout)
    except WriteError:  # would spoil all other cells as well
        raise
    except (CryokitError, OSError) as error:
        outcome = {"status": result_file.FAILED, "error": str(error)}
    return {**outcome, "wall": round(time.perf_counter() - began, 1)}


def _kept(job: cells.Job, key: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """Write the outcome of a cell, say what it is, and return it."""
    write_text(job.out, json.dumps({"key": key, **outcome}))
    name = f"{job.method} on {job.dataset}"
    if outcome["status"] == result_file.DONE:
        scores = outcome["scores"]
        logger.info("%s: F1 %.3f, AP %.3f", name, scores["f1"], scores["average_precision"])
    else:
        logger.error("%s %s: %s", name, outcome["status"], outcome["error"])
    return outcome


def _remove_leftovers(out: Path) -> None:
    """Remove what killed runs have left: half-written files, and tasks of cells."""
    inner = [out / name for name in ("cells", "picks", "data")]
    remove_leftovers([out, *inner, *(path for folder in inner for path in folder.rglob("*") if path.is_dir())])
    for task in (out / "cells").rglob(f"*{cells.TASK}"):
        task.unlink()


def _job(config: BenchmarkConfig, out: Path, prepared: Prepared, row: Row, seed: int) -> cells.Job:
    settings = dict(row.settings)
    if row.picker is None:
        settings["path"] = _resolved(settings["path"])
    return cells.Job(
        method=row.name,
        dataset=prepared.spec.name,
        seed=seed,
        picker=row.picker,
        settings=settings,
        labels=bool(row.labels),
        diameter=prepared.diameter if config.give_diameter else None,
        micrographs={split: [_resolved(path) for path in paths] for split, paths in prepared.paths.items()},
        folder=_resolved(out),
    )


def _resolved(path: str | os.PathLike) -> str:
    return os.fspath(Path(path).resolve())


def _key(job: cells.Job, fingerprint: str) -> str:
    """Return a digest of all that an outcome depends on, except the source: cells with equal keys are the same."""
    content = asdict(job) | {"format": result_file.FORMAT}
    del content["folder"], content["micrographs"]
    variables = ["CRYOKIT_DEVICE", "CRYOKIT_PRECISION"]
    if job.picker in PROGRAMS:
        variables.append(picker_class(job.picker).variable)
    content |= {
        "data": fingerprint,
        "version": __version__,
        "backend": result_file.backend(),
        "environment": {name: os.environ.get(name) for name in variables},
        # The code of a picker of your own may change from run to run, cryokit's has a version.
        "code": identity.code(job.picker),
    }
    if job.picker is None:
        content["settings"] = _digest(job.settings)
    else:
        content["files"] = identity.files(job.settings)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest(settings: Mapping[str, Any]) -> str:
    """Return a digest of picks as given: of the picks, because a file may only list the files that hold them."""
    try:
        picks, names = coordinates.read_folder(**settings)
    except CryokitError as error:  # the cell will report it
        return str(error)
    return hashlib.sha256((picks.to_csv(index=False) + "\n".join(names)).encode()).hexdigest()


def _finished(place: Path, key: str) -> dict[str, Any] | None:
    """Return the outcome in a cell's file, if it is that of the cell; one that cannot be read is reported."""
    if not os.path.lexists(place):
        return None
    try:
        kept = read_json(place, BenchmarkError, "the outcome of a cell")
    except BenchmarkError as error:
        logger.warning("%s; the cell is computed again", error)
        return None
    if isinstance(kept, dict) and kept.pop("key", None) == key and kept.get("status") == result_file.DONE:
        return kept
    return None
