"""``cryokit pick``: from micrographs to coordinate files."""

from __future__ import annotations

import argparse
import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit import coordinates
from cryokit.cli.arguments import add_micrographs, add_picker, count, picker_settings, positive
from cryokit.cli.job_script import add_job_script, shard
from cryokit.errors import ArgumentError
from cryokit.networks.devices import lean

if TYPE_CHECKING:
    from cryokit.pickers import Picker
    from cryokit.pickers.file_tasks import Outputs, Task
    from cryokit.pickers.picking_record import Record
    from cryokit.pickers.picking_run import Summary

logger = logging.getLogger(__name__)

FORMATS = tuple(name for name in coordinates.FORMATS if name != "pictures")


EXAMPLES = """
examples:
  cryokit pick micrographs --out picks                     the same again does only what is missing or has changed
  cryokit pick session --out picks --watch                 pick what a microscope writes, until Ctrl-C
  cryokit pick micrographs --out picks --jobs 4            four processes
  cryokit pick micrographs --out picks --dask tcp://node1:8786
  cryokit pick micrographs --out picks --print-sbatch --shards 8 > pick.sh   and: bash pick.sh
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.set_defaults(usage_error=parser.error)
    add_micrographs(parser, needed=False)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="output folder: a coordinate file per micrograph, picks.csv with all picks, micrographs.csv with "
        "verdicts, and record/, which says what has been done, so that the same command goes on from there",
    )
    add_picker(parser)
    parser.add_argument(
        "--model",
        metavar="PATH",
        help="saved picker to use instead of fitting one: a file, a folder, or the name of a model that comes with "
        "cryokit",
    )
    parser.add_argument(
        "--trust", action="store_true", help="run the code of a picker that the model names by module or file"
    )
    parser.add_argument("--save-model", type=Path, metavar="PATH", help="save the fitted picker, for --model")
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="lowest score of a pick (default: the method's own threshold)"
    )
    parser.add_argument(
        "--format",
        type=_formats,
        default=("star",),
        metavar="F[,F...]",
        help=f"format of the coordinate files: {', '.join(FORMATS)} (default: star)",
    )
    parser.add_argument("--overlays", action="store_true", help="draw the picks on each micrograph (overlays/*.png)")
    parser.add_argument(
        "--save-maps",
        action="store_true",
        help="write the score map of each micrograph, the probability of a particle (maps/*.mrc), for cryokit view "
        "--maps; the header says where it lies in the micrograph",
    )
    parser.add_argument(
        "--save-masks",
        action="store_true",
        help="write what was not looked at: foil, carbon, beam edge, crystals, beads, borders (masks/*.mrc); "
        "--set keep_masked=true keeps picks that lie there",
    )
    again = parser.add_argument_group("running again (by default, what is missing, failed or has changed is done)")
    again.add_argument("--fresh", action="store_true", help="remove the run that the folder holds, and begin anew")
    again.add_argument(
        "--verify", action="store_true", help="compare contents of micrographs, not only their sizes and times"
    )
    again.add_argument("--only-new", action="store_true", help="pick only micrographs that have never been tried")
    again.add_argument("--watch", action="store_true", help="pick what arrives in the folders, until Ctrl-C or SIGTERM")
    again.add_argument(
        "--poll",
        type=positive,
        default=10.0,
        metavar="S",
        help="with --watch: seconds between two looks; a file is complete if it has not changed in between "
        "(default: 10)",
    )
    again.add_argument(
        "--fit-after",
        type=count,
        metavar="N",
        help="with --watch: fit the picker when there are N micrographs (default: as many as the method learns from, "
        "12 for most)",
    )
    many = parser.add_argument_group("many processes and machines")
    many.add_argument("--jobs", type=count, default=1, metavar="N", help="number of processes (default: 1)")
    many.add_argument("--dask", metavar="ADDRESS", help="pick on the workers of this Dask scheduler (cryokit[cluster])")
    many.add_argument("--fit-only", action="store_true", help="fit the picker, keep it in the folder, and pick nothing")
    many.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="pick the I-th of N parts, beside others; with 'slurm' the task of a job array. The picker must have been "
        "fitted: --fit-only before, or --model. Lists are made by --merge afterwards",
    )
    many.add_argument("--merge", type=Path, metavar="DIR", help="make the lists of what all shards have done in DIR")
    add_job_script(many)


@lean()
def run(options: argparse.Namespace) -> int:
    """Fit a picker to the micrographs, or load one, and pick those that are left."""
    from cryokit._util.validation import check_number

    if options.merge is not None:
        if options.micrographs or options.out is not None:
            options.usage_error("--merge DIR has its micrographs and settings; leave out what else is given")
        return _merged(options.merge)
    if not options.micrographs or options.out is None:
        options.usage_error("micrographs and --out DIR are needed (or --merge DIR)")
    _check_together(options)
    if options.threshold is not None:
        check_number("--threshold", options.threshold, 0, 1)
    if options.print_sbatch:
        from cryokit.cli.job_script import write_script

        return write_script(options)
    return _watch(options) if options.watch else _once(options)


def _check_together(options: argparse.Namespace) -> None:
    """Refuse options that exclude each other."""
    pairs = [
        ("watch", "shard"),
        ("watch", "fit_only"),
        ("watch", "only_new"),
        ("shard", "fresh"),
        ("shard", "fit_only"),
    ]
    pairs += [("verify", "only_new"), ("shard", "dask")]
    if options.jobs > 1:
        pairs.append(("dask", "jobs"))
    for one, other in pairs:
        if getattr(options, one) and getattr(options, other):
            names = [f"--{name.replace('_', '-')}" for name in (one, other)]
            raise ArgumentError(f"{names[0]} and {names[1]} exclude each other; leave out one of them")
    if options.model is not None:
        given = [name for name in ("method", "save_model", "fit_only") if getattr(options, name)]
        given = [f"--{name.replace('_', '-')}" for name in (*given, *picker_settings(options))]
        if given:
            raise ArgumentError(f"--model has its own settings; leave out {', '.join(given)}")


def _once(options: argparse.Namespace) -> int:
    """Pick the micrographs that are there."""
    from cryokit.micrograph import find
    from cryokit.pickers.engines import engine
    from cryokit.pickers.many_files import check_pixel_sizes
    from cryokit.pickers.picking_run import Summary, finish, named, pick, to_do

    paths = find(options.micrographs)
    check_pixel_sizes(paths)
    summary = Summary()
    with _opened(options) as (record, picker, settings, outputs):
        items = named(record, paths)
        outputs.check(items)
        picker = _begun(options, record, picker, settings, outputs, paths)
        if options.fit_only:
            record.add_inputs(items)
            logger.info("fitted picker: %s", record.folder)
            return 0
        record.add_inputs(items)
        part = options.shard.part(items) if options.shard else items
        left = to_do(record, part, verify=options.verify, only_new=options.only_new)
        summary.kept = len(part) - len(left)
        if summary.kept:
            logger.info("picked before: %d of %d micrographs -> %s", summary.kept, len(part), options.out)
        if left:
            with engine(_task(options, picker), jobs=min(options.jobs, len(left)), dask=options.dask) as worker:
                pick(record, worker, left, summary)
        if options.shard:
            logger.info("shard %s done; the lists are made by: cryokit pick --merge %s", options.shard, options.out)
        else:
            finish(record, summary)
    return _told(summary, options.out, len(left), lists=not options.shard)


def _watch(options: argparse.Namespace) -> int:
    """Pick what arrives, until a signal says that it is enough."""
    from cryokit._util.lifeline import ended_by_signals
    from cryokit.errors import MicrographError
    from cryokit.micrograph import find
    from cryokit.pickers.engines import engine
    from cryokit.pickers.many_files import check_pixel_sizes
    from cryokit.pickers.picking_run import Summary, arrivals, finish, named, pick

    stop = threading.Event()

    def end(number: int) -> None:
        if stop.is_set():
            raise SystemExit(128 + number)
        logger.info("ending after the micrograph in hand")
        stop.set()

    def found() -> list[Path]:
        try:
            return find(options.micrographs)
        except MicrographError as error:
            if "no micrographs in" not in str(error):
                raise
            return []

    summary, waiting = Summary(), []
    with (
        _opened(options) as (record, picker, settings, outputs),
        contextlib.ExitStack() as stack,
        ended_by_signals(end),
    ):
        worker = None
        least = options.fit_after or picker.max_micrographs or 1
        logger.info("watching %s every %g s; Ctrl-C ends it", ", ".join(options.micrographs), options.poll)
        for arrived in arrivals(found, record, stop, options.poll):
            waiting += [path for path in arrived if path not in waiting]
            if worker is None and not _fitted(options, record) and len(waiting) < least:
                logger.info("the picker is fitted when there are %d micrographs", least)
                continue
            items = named(record, waiting)
            outputs.check(items)
            if worker is None:
                check_pixel_sizes(waiting)
                picker = _begun(options, record, picker, settings, outputs, waiting)
                task = _task(options, picker)
                worker = stack.enter_context(engine(task, jobs=options.jobs, dask=options.dask))
            record.add_inputs(items)
            pick(record, worker, items, summary, stop)
            waiting = []
            if not stop.is_set():
                finish(record, summary)
        stack.close()
        if record.run is not None:
            finish(record, summary)
        elif waiting:
            logger.warning("nothing picked: %d of the %d micrographs to fit the picker to", len(waiting), least)
    return _told(summary, options.out, summary.done + len(summary.problems))


def _merged(out: Path) -> int:
    from cryokit.pickers.picking_record import opened
    from cryokit.pickers.picking_run import merge

    if not out.is_dir():
        raise ArgumentError(f"--merge {out}: no such folder")
    with opened(out) as record:
        summary = merge(record)
        number = len(record.inputs)
    return _told(summary, out, number)


@contextlib.contextmanager
def _opened(options: argparse.Namespace) -> Iterator[tuple[Record, Picker, dict[str, Any], Outputs]]:
    """Open the record of the output folder, and refuse to go on with other settings than it has."""
    from cryokit import pickers
    from cryokit.pickers import identity, many_files, registry, saving
    from cryokit.pickers.picking_record import opened

    settings: dict[str, Any] = {"model": None, "method": None}
    if options.model is not None:
        picker = pickers.load(options.model, trust=options.trust)
        settings["model"] = identity.saved(Path(saving.place(options.model)))
    else:
        given = picker_settings(options)
        picker = pickers.create(options.method or "auto", **given)
        method = registry.saved_name(type(picker))
        settings |= {"method": method, "code": identity.code(method), "settings": given}
        settings["files"] = identity.files(given)
    if options.save_maps:
        many_files.check_maps(registry.described(type(picker)))
    names = ("threshold", "format", "overlays", "save_maps", "save_masks", "sum_frames")
    settings |= {name: getattr(options, name) for name in names}
    outputs = _task(options, picker).outputs
    with opened(options.out, shard=options.shard, fresh=options.fresh) as record:
        if record.run is not None:
            record.check(settings)
        yield record, picker, settings, outputs


def _fitted(options: argparse.Namespace, record: Record) -> bool:
    return options.model is not None or record.model is not None


def _begun(
    options: argparse.Namespace,
    record: Record,
    picker: Picker,
    settings: dict[str, Any],
    outputs: Outputs,
    paths: list[Path],
) -> Picker:
    """Return the fitted picker: the one of the record, or one that is fitted now and kept in it."""
    from cryokit.errors import PickerError
    from cryokit.pickers.many_files import fit_files

    if options.model is not None:
        if record.run is None:
            record.begin(settings, outputs, None, {"path": None, "hash": settings["model"]})
        return picker
    if (kept := record.model) is not None:
        picker = type(picker).load(kept)
    elif options.shard:
        raise PickerError(
            f"{options.out}: no fitted picker, which all shards need to have in common; run the same command with "
            "--fit-only in place of --shard first, or give --model"
        )
    else:
        fit_files(picker, paths, sum_frames=options.sum_frames)
        record.begin(settings, outputs, picker, None)
    if options.save_model is not None:
        logger.info("picker saved as %s", picker.save(options.save_model))
    return picker


def _task(options: argparse.Namespace, picker: Picker) -> Task:
    from cryokit.pickers.many_files import picking_task

    draw = None
    if options.overlays:
        from cryokit.plot import save_overlay as draw
    return picking_task(
        picker,
        options.out,
        formats=options.format,
        threshold=options.threshold,
        draw=draw,
        maps=options.save_maps,
        masks=options.save_masks,
        sum_frames=options.sum_frames,
        signed=True,
    )


def _told(summary: Summary, out: Path, tried: int, *, lists: bool = True) -> int:
    """Say what has come of a run, and return the exit status."""
    if lists:
        micrographs = summary.done + summary.kept
        logger.info("particles: %d, micrographs: %d -> %s", summary.picks, micrographs, out)
    if summary.problems:
        logger.error("micrographs that failed: %d of %d", len(summary.problems), tried)
        for problem in summary.problems.values():
            logger.error("  %s", problem)
    return 1 if summary.problems else 0


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [word for word in chosen if word not in FORMATS]
    if unknown or not chosen:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'}: choose from {', '.join(FORMATS)}")
    return chosen
