"""``cryokit evaluate``: score anybody's picks against labels."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from cryokit._util.wording import plural, some
from cryokit.errors import CoordinateError

logger = logging.getLogger(__name__)

PLOT_SUFFIXES = (".png", ".pdf", ".svg")

EXAMPLES = """
examples:
  cryokit evaluate --picks picks/ --labels labels/
  cryokit evaluate --picks ours=picks.csv --picks cryolo=CBOX/ --labels labels/ --plot curves.png --json scores.json
  cryokit evaluate --picks EMAN/ --flip-y 4096 --labels labels/ --criterion iou --tolerance 0.5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    paths = parser.add_argument_group("what to compare")
    paths.add_argument(
        "--picks",
        action="append",
        required=True,
        metavar="[NAME=]PATH",
        help="a coordinate file or a folder of such, in any format; may be repeated, to compare pickers by NAME",
    )
    paths.add_argument("--labels", required=True, metavar="PATH", help="the truth: a folder or file, in any format")
    paths.add_argument("--format", metavar="NAME", help="the picks' format, where it cannot be told from the files")
    paths.add_argument("--labels-format", metavar="NAME", help="the labels' format, where it cannot be told")
    paths.add_argument(
        "--strip",
        action="append",
        default=[],
        metavar="ENDING",
        help="take ENDING off the names of the files to get the micrographs' names; may be repeated",
    )
    paths.add_argument(
        "--picked-only",
        action="store_true",
        help="score only micrographs that all the picks name; otherwise labelled ones without picks count as missed",
    )

    frame = parser.add_argument_group("the picks' frame (the labels must be in pixels of the micrograph as stored)")
    frame.add_argument(
        "--scale", type=float, default=1.0, metavar="F", help="multiply the picks' coordinates by F first"
    )
    frame.add_argument(
        "--blocks",
        action="store_true",
        help="with --scale: the smaller micrographs were made by averaging blocks of pixels, not by Fourier cropping",
    )
    frame.add_argument(
        "--flip-y", type=int, metavar="HEIGHT", help="the picks' y axis runs upwards on micrographs of this height"
    )

    matching = parser.add_argument_group("matching")
    matching.add_argument("--criterion", choices=("distance", "iou"), default="distance", help="default: distance")
    matching.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="largest distance of the centres as a fraction of the diameter (default 0.25), or least IoU (default 0.6)",
    )
    matching.add_argument(
        "--diameter", type=float, metavar="PX", help="of every particle, instead of what the files say"
    )
    matching.add_argument("--threshold", type=float, metavar="S", help="count only picks with at least this score")

    output = parser.add_argument_group("output")
    output.add_argument("--per-micrograph", action="store_true", help="print a line for each micrograph, too")
    output.add_argument("--sweep", action="store_true", help="print (and write) the scores at other tolerances, too")
    output.add_argument("--json", metavar="FILE", help="write everything as JSON: {NAME: {...}}")
    output.add_argument("--plot", metavar="FILE", help=f"draw the precision-recall curves ({', '.join(PLOT_SUFFIXES)})")
    output.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="replicates for intervals (default 1000)"
    )
    output.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the bootstrap (default 0)")


def run(options: argparse.Namespace) -> int:
    """Score the picks; return the exit status."""
    from cryokit._util.files import write_text
    from cryokit.coordinates import IGNORE, read_folder
    from cryokit.evaluate import evaluate, sweep
    from cryokit.evaluate.evaluation import check_diameters, check_settings

    if options.plot and not options.plot.lower().endswith(PLOT_SUFFIXES):
        raise CoordinateError(f"--plot {options.plot}: a name that ends in {' or '.join(PLOT_SUFFIXES)} is needed")
    check_settings(options.tolerance, options.criterion, diameter=options.diameter, seed=options.seed)
    sources = _named(options.picks)
    endings = options.strip
    labels, labelled = read_folder(options.labels, options.labels_format, diameter=options.diameter, endings=endings)
    frame = {"scale": options.scale, "blocks": options.blocks, "flip_y": options.flip_y, "endings": endings}
    given = {name: read_folder(path, options.format, **frame) for name, path in sources.items()}
    if not labelled:
        raise CoordinateError(f"{options.labels}: the labels name no micrograph, so there is nothing to score")
    micrographs = _micrographs(labelled, {name: named for name, (_, named) in given.items()}, options.picked_only)
    try:
        check_diameters(labels[labels["micrograph"].isin(micrographs)])
    except CoordinateError as error:
        raise CoordinateError(f"{options.labels}: {error}") from None

    particles = set(labels.loc[labels["view"] != IGNORE, "micrograph"]) & set(micrographs)
    for name, (_, named) in given.items():
        _warn_of_missing(name, particles, named)

    settings = {
        "micrographs": micrographs,
        "criterion": options.criterion,
        "threshold": options.threshold,
        "diameter": options.diameter,
    }
    results, told, tolerances = {}, {}, {}
    for name, (picks, _) in given.items():
        try:
            results[name] = evaluate(
                picks,
                labels,
                tolerance=options.tolerance,
                bootstrap=options.bootstrap,
                seed=options.seed,
                **settings,
            )
            if options.sweep:
                steps = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9) if options.criterion == "iou" else None
                tolerances[name] = sweep(picks, labels, *([steps] if steps else []), **settings)
        except CoordinateError as error:
            raise CoordinateError(f"{sources[name]}: {error}") from None
        told[name] = results[name].to_dict()
        if options.sweep:
            told[name]["sweep"] = (
                tolerances[name].astype(object).where(tolerances[name].notna(), None).to_dict("records")
            )

    sys.stdout.write(_report(results, tolerances, per_micrograph=options.per_micrograph))
    if options.json:
        write_text(options.json, json.dumps(told, indent=1, allow_nan=False) + "\n")
        logger.info("wrote %s", options.json)
    if options.plot:
        from cryokit import plot

        picture, axes = plot.figure()
        plot.precision_recall(axes[0, 0], results)
        plot.save(picture, options.plot)
        logger.info("wrote %s", options.plot)
    return 0


def _named(given: list[str]) -> dict[str, Path]:
    """Turn ``[NAME=]PATH`` into names and paths; a path that holds a ``=`` itself and exists is a path."""
    sources = {}
    for word in given:
        name, sign, path = word.partition("=")
        if not sign or "/" in name or Path(word).exists():
            name, path = Path(word).resolve().stem, word
        if not name or not path:
            raise CoordinateError(f"--picks {word}: neither the name nor the path may be empty")
        if name in sources:
            raise CoordinateError(f"--picks {word}: two sets of picks are called {name!r}; name them (NAME=PATH)")
        sources[name] = Path(path)
    return sources


def _micrographs(labelled: list[str], picked: dict[str, list[str]], picked_only: bool) -> list[str]:
    """Choose the labelled micrographs to score."""
    if not picked_only:
        return labelled
    common = set.intersection(*map(set, picked.values()))
    if not common & set(labelled):
        raise CoordinateError(
            "--picked-only: no labelled micrograph is named by all the picks (names are compared whole)"
        )
    return [micrograph for micrograph in labelled if micrograph in common]


def _warn_of_missing(source: str, particles: set[str], named: list[str]) -> None:
    """Tell which micrographs count as missed for want of picks; where all do, `evaluate` raises."""
    without = sorted(particles - set(named))
    if without and len(without) < len(particles):
        verb = "has" if len(without) == 1 else "have"
        message = "%s: %d of %s with particles %s no picks: missed (--picked-only leaves such out): %s"
        total = plural(len(particles), "micrograph")
        logger.warning(message, source, len(without), total, verb, some(without))


def _report(results: dict, tolerances: dict, *, per_micrograph: bool) -> str:
    import pandas as pd

    parts = []
    if len(results) > 1:
        columns = {
            "picks": lambda result: len(result.picks),
            **{
                name: lambda result, name=name: getattr(result, name)
                for name in ("precision", "recall", "f1", "accuracy")
            },
            "AP": lambda result: result.average_precision,
            "ceiling": lambda result: result.recall_ceiling,
            "best f1": lambda result: result.best_f1,
        }
        table = pd.DataFrame(
            {title: [value(result) for result in results.values()] for title, value in columns.items()}
        )
        parts.append(table.set_axis(list(results)).to_string(float_format="{:.3f}".format))
    for name, result in results.items():
        parts.append((f"== {name}\n" if len(results) > 1 else "") + result.summary(per_micrograph=per_micrograph))
        if name in tolerances:
            parts.append(tolerances[name].to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    return "\n\n".join(parts) + "\n"
