"""``cryokit triage``: which micrographs of a folder are worth picking."""

import argparse
import logging
import os
from pathlib import Path

from cryokit.cli.arguments import add_micrographs, positive
from cryokit.cli.quiet import quiet
from cryokit.networks.devices import lean

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_micrographs(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder: micrographs.csv, the page triage.html, and the lists good.txt, poor.txt and empty.txt",
    )
    parser.add_argument(
        "--diameter",
        type=positive,
        metavar="PX",
        help="particle diameter in pixels (default: found on each micrograph)",
    )
    parser.add_argument("--contrast", choices=("dark", "bright"), help="contrast of the particles (default: detected)")


@lean()
def run(options: argparse.Namespace) -> int:
    """Judge each micrograph, and write a table, lists and a page of thumbnails."""
    from cryokit._util.files import make_folder
    from cryokit.micrograph import find
    from cryokit.micrograph.finding import write_list
    from cryokit.pickers import verdicts
    from cryokit.plot.triage_sheet import sheet, thumbnail

    paths = find(options.micrographs)
    out = make_folder(options.out)
    with quiet():
        judged, problems = verdicts.judge_files(
            paths, options.diameter, options.contrast, sum_frames=options.sum_frames, draw=thumbnail
        )
    table = verdicts.compared([item.quality for item in judged])
    verdicts.write(table, out / "micrographs.csv")
    for verdict in verdicts.VERDICTS:
        chosen = [item.path for item, row in zip(judged, table["verdict"], strict=True) if row == verdict]
        for path, reason in write_list(out / f"{verdict}.txt", chosen).items():
            logger.error("%s", reason)
            problems[os.fspath(path)] = reason
    sheet(table, [item.drawn for item in judged], problems).write(out / "triage.html")
    counts = table["verdict"].value_counts()
    logger.info("%s -> %s", ", ".join(f"{verdict}: {counts.get(verdict, 0)}" for verdict in verdicts.VERDICTS), out)
    if problems:
        logger.error("micrographs that failed: %d of %d", len(problems), len(paths))
        for problem in problems.values():
            logger.error("  %s", problem)
    return 1 if problems else 0
