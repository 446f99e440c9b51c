"""``cryokit evaluate``: score picks of any program against labels."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cryokit._util.wording import plural, some
from cryokit.cli.arguments import add_labels_format, add_scale, add_strip, named_paths
from cryokit.errors import ArgumentError, CoordinateError

if TYPE_CHECKING:
    import pandas as pd

    from cryokit.evaluate import Evaluation

logger = logging.getLogger(__name__)

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
IOU_STEPS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

EXAMPLES = """
examples:
  cryokit evaluate --picks picks/ --labels labels/
  cryokit evaluate --picks ours=picks.csv --picks cryolo=CBOX/ --labels labels/ --plot curves.png --json scores.json
  cryokit evaluate --picks EMAN/ --flip-y 4096 --labels labels/ --criterion iou --tolerance 0.5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    paths = parser.add_argument_group("input")
    paths.add_argument(
        "--picks",
        action="append",
        required=True,
        metavar="[NAME=]PATH",
        help="coordinate file, or folder of coordinate files, in any format; repeat to compare several pickers",
    )
    paths.add_argument("--labels", required=True, metavar="PATH", help="true particles: file or folder, any format")
    paths.add_argument("--format", metavar="NAME", help="format of the picks (default: detected)")
    add_labels_format(paths)
    add_strip(paths)
    paths.add_argument(
        "--picked-only",
        action="store_true",
        help="score only micrographs that all the picks name (default: labelled ones without picks count as missed)",
    )

    frame = parser.add_argument_group("frame of the picks (labels are in pixels of the micrograph as stored)")
    add_scale(frame)
    frame.add_argument(
        "--flip-y", type=int, metavar="HEIGHT", help="height of the micrographs, if the picks' y axis points upwards"
    )

    matching = parser.add_argument_group("matching")
    matching.add_argument(
        "--criterion", choices=("distance", "iou"), default="distance", help="matching criterion (default distance)"
    )
    matching.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="largest distance as a fraction of the diameter (default 0.25), or smallest IoU (default 0.6)",
    )
    matching.add_argument(
        "--diameter", type=float, metavar="PX", help="particle diameter in pixels (default: from the files)"
    )
    matching.add_argument("--threshold", type=float, metavar="S", help="lowest score that counts (default: all)")

    output = parser.add_argument_group("output")
    output.add_argument("--per-micrograph", action="store_true", help="also print a line for each micrograph")
    output.add_argument("--sweep", action="store_true", help="also print (and write) the scores at other tolerances")
    output.add_argument("--json", metavar="FILE", help="JSON file for all results: {NAME: {...}}")
    output.add_argument(
        "--plot", metavar="FILE", help=f"file for the precision-recall curves ({', '.join(PLOT_SUFFIXES)})"
    )
    output.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="bootstrap replicates for intervals (default 1000)"
    )
    output.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the bootstrap (default 0)")


def run(options: argparse.Namespace) -> int:
    """Score the picks; return the exit status."""
    from cryokit._util.files import write_text
    from cryokit._util.names import matched, micrograph_names
    from cryokit._util.plain import json_text
    from cryokit._util.validation import check_number
    from cryokit.coordinates import IGNORE, read_folder, renamed, without_repeats
    from cryokit.evaluate import evaluate, sweep
    from cryokit.evaluate.against_labels import check_diameters, check_matching

    if options.plot and not options.plot.lower().endswith(PLOT_SUFFIXES):
        raise ArgumentError(f"--plot {options.plot}: the name must end in {' or '.join(PLOT_SUFFIXES)}")
    check_matching(options.tolerance, options.criterion, options.diameter)
    check_number("bootstrap", options.bootstrap, 0, whole=True)
    check_number("seed", options.seed, 0, whole=True)
    sources = named_paths(options.picks, "--picks ")
    inputs = {os.path.realpath(path): path for path in [options.labels, *sources.values()]}
    for option, path in (("--json", options.json), ("--plot", options.plot)):
        if path and (real := os.path.realpath(path)) in inputs:
            raise ArgumentError(f"{option} {path}: would replace the input {inputs[real]}; choose another file")
    names = {"endings": options.strip, "prefixes": options.strip_prefix, "located": True}
    labels, labelled = read_folder(options.labels, options.labels_format, diameter=options.diameter, **names)
    frame = {name: getattr(options, name) for name in ("swap_xy", "scale", "blocks", "shift", "flip_y")}
    picked = {name: read_folder(path, options.format, **frame, **names) for name, path in sources.items()}
    # Called alike only when all are known with their folders.
    called = dict(zip(labelled, micrograph_names(labelled), strict=True))
    labels, labelled = without_repeats(renamed(labels, called), options.labels), sorted(called.values())
    places = {name: path for path, name in called.items()}
    for source, (picks, named) in picked.items():
        called = matched(named, places)
        picked[source] = renamed(picks, called), sorted(called.values())
    if not labelled:
        raise CoordinateError(f"{options.labels}: the labels name no micrograph, so there is nothing to score")
    micrographs = labelled
    if options.picked_only:
        named_by_all = set.intersection(*(set(named) for _, named in picked.values()))
        micrographs = [name for name in labelled if name in named_by_all]
        if not micrographs:
            raise CoordinateError("--picked-only: no labelled micrograph is named by all picks; names must agree whole")
    try:
        check_diameters(labels[labels["micrograph"].isin(micrographs)])
    except CoordinateError as error:
        raise CoordinateError(f"{options.labels}: {error}") from None
    particles = set(labels.loc[labels["view"] != IGNORE, "micrograph"]) & set(micrographs)

    settings = {
        "micrographs": micrographs,
        "criterion": options.criterion,
        "threshold": options.threshold,
        "diameter": options.diameter,
    }
    results, sweeps, content = {}, {}, {}
    for name, (picks, named) in picked.items():
        _warn_of_missing(name, particles, named)
        try:
            results[name] = evaluate(
                picks, labels, tolerance=options.tolerance, bootstrap=options.bootstrap, seed=options.seed, **settings
            )
            if options.sweep:
                steps = {"tolerances": IOU_STEPS} if options.criterion == "iou" else {}
                sweeps[name] = sweep(picks, labels, **steps, **settings)
        except CoordinateError as error:
            raise CoordinateError(f"{sources[name]}: {error}") from None
        _warn_of_frame(name, picks, labels, options)
        content[name] = results[name].to_dict()
        if options.sweep:
            content[name]["sweep"] = sweeps[name].to_dict("records")

    sys.stdout.write(_report(results, sweeps, per_micrograph=options.per_micrograph))
    if options.json:
        write_text(options.json, json_text(content))
        logger.info("wrote %s", options.json)
    if options.plot:
        from cryokit import plot

        picture, axes = plot.figure()
        plot.precision_recall(axes[0, 0], results)
        plot.save(picture, options.plot)
        logger.info("wrote %s", options.plot)
    return 0


def _warn_of_missing(source: str, particles: set[str], picked: Sequence[str]) -> None:
    """Warn of micrographs that count as missed for want of picks; if none has picks, `evaluate` raises."""
    without = sorted(particles - set(picked))
    if without and len(without) < len(particles):
        total = plural(len(particles), "micrograph")
        message = "%s: no picks on %d of %s with particles, which count as missed (--picked-only leaves them out): %s"
        logger.warning(message, source, len(without), total, some(without))


def _warn_of_frame(source: str, picks: pd.DataFrame, labels: pd.DataFrame, options: argparse.Namespace) -> None:
    """Warn of picks that would match in another frame."""
    from cryokit.evaluate.wrong_frame import Frame, wrong_frame

    if options.diameter is not None:
        labels = labels.assign(diameter=float(options.diameter))
    used = Frame(options.scale, tuple(options.shift), options.flip_y, options.swap_xy)
    hint = wrong_frame(picks, labels, used=used)
    if hint is not None:
        logger.warning("%s: %s", source, hint.warning(given=used.options()))


def _report(results: Mapping[str, Evaluation], sweeps: Mapping[str, pd.DataFrame], *, per_micrograph: bool) -> str:
    import pandas as pd

    parts = []
    if len(results) > 1:
        rows = {
            name: {
                "picks": len(result.picks),
                "precision": result.precision,
                "recall": result.recall,
                "f1": result.f1,
                "accuracy": result.accuracy,
                "AP": result.average_precision,
                "ceiling": result.recall_ceiling,
                "best f1": result.best_f1,
                "dx, %": 100 * result.localisation.dx_share,
                "dy, %": 100 * result.localisation.dy_share,
                "RMS, %": 100 * result.localisation.rms_share,
            }
            for name, result in results.items()
        }
        table = pd.DataFrame.from_dict(rows, orient="index")
        parts.append(
            table.to_string(float_format="{:.3f}".format, na_rep="-")
            + "\ndx, dy, RMS: mean shift and root mean square distance of the true picks, in % of the diameter"
        )
    for name, result in results.items():
        heading = f"== {name}\n" if len(results) > 1 else ""
        parts.append(heading + result.summary(per_micrograph=per_micrograph))
        if name in sweeps:
            parts.append(sweeps[name].to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    return "\n\n".join(parts) + "\n"
