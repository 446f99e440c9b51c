"""``cryokit pick``: from micrographs to coordinate files."""

import argparse
import logging
from pathlib import Path

from cryokit import coordinates
from cryokit.cli.arguments import add_micrographs, add_picker, count, picker_settings
from cryokit.networks.devices import lean

logger = logging.getLogger(__name__)

FORMATS = tuple(name for name in coordinates.FORMATS if name != "pictures")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_micrographs(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder: a coordinate file per micrograph, picks.csv with all picks, micrographs.csv with verdicts",
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
        help="write the score map of each micrograph, the probability of a particle (maps/*.mrc)",
    )
    parser.add_argument(
        "--save-masks",
        action="store_true",
        help="write what was not looked at: foil, carbon, beam edge, crystals, beads, borders (masks/*.mrc); "
        "--set keep_masked=true keeps picks that lie there",
    )
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="number of processes (default: 1)")


@lean()
def run(options: argparse.Namespace) -> int:
    """Fit a picker to the micrographs, or load one, and pick them all."""
    from cryokit import pickers
    from cryokit._util.files import make_folder
    from cryokit._util.validation import check_number
    from cryokit.errors import ArgumentError
    from cryokit.micrograph import find
    from cryokit.pickers.many_files import check_maps, check_pixel_sizes, fit_files, pick_files
    from cryokit.pickers.registry import described

    if options.threshold is not None:
        check_number("--threshold", options.threshold, 0, 1)
    paths = find(options.micrographs)
    check_pixel_sizes(paths)
    make_folder(options.out)  # before the work, not after it
    if options.model is not None:
        given = [name for name in ("method", "save_model") if getattr(options, name)]
        given = [f"--{name.replace('_', '-')}" for name in (*given, *picker_settings(options))]
        if given:
            raise ArgumentError(f"--model has its own settings; leave out {', '.join(given)}")
        picker = pickers.load(options.model, trust=options.trust)
    else:
        picker = pickers.create(options.method or "auto", **picker_settings(options))
    if options.save_maps:
        check_maps(described(type(picker)))
    draw = None
    if options.overlays:
        from cryokit.plot import save_overlay as draw
    if options.model is None:
        fit_files(picker, paths, sum_frames=options.sum_frames)
        if options.save_model is not None:
            logger.info("picker saved as %s", picker.save(options.save_model))
    result = pick_files(
        picker,
        paths,
        options.out,
        formats=options.format,
        threshold=options.threshold,
        draw=draw,
        maps=options.save_maps,
        masks=options.save_masks,
        sum_frames=options.sum_frames,
        jobs=options.jobs,
    )
    logger.info("particles: %d, micrographs: %d -> %s", len(result.picks), len(result.micrographs), options.out)
    if result.problems:
        logger.error("micrographs that failed: %d of %d", len(result.problems), len(paths))
        for problem in result.problems.values():
            logger.error("  %s", problem)
    return 1 if result.problems else 0


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [word for word in chosen if word not in FORMATS]
    if unknown or not chosen:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'}: choose from {', '.join(FORMATS)}")
    return chosen
