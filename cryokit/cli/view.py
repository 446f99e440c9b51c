"""``cryokit view``: a page on which picks can be looked at and edited."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit.cli.arguments import add_labels_format, add_micrographs, add_strip, positive

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

EXAMPLES = """
examples:
  cryokit view micrographs/ --picks picks/ --out picks.html
  cryokit view mic.mrc --picks mic.star --labels labels/ --diameter 108 --out mic.html
  cryokit view micrographs/ --picks picks/ --maps picks/ --out picks.html    after: cryokit pick --save-maps
  cryokit view mic.mrc --diameter 108 --out label.html              no picks yet: to label by hand

The page is one file for a browser, without a network: zoom, threshold, editing, download of CSV and STAR files, with
mouse, fingers or keys. A micrograph of 4096 x 4096 pixels takes about 10 MB of it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_micrographs(parser)
    parser.add_argument(
        "--picks", type=Path, metavar="PATH", help="coordinate file, or folder of coordinate files, in any format"
    )
    parser.add_argument("--labels", type=Path, metavar="PATH", help="true particles: file or folder, any format")
    parser.add_argument(
        "--maps",
        type=Path,
        metavar="PATH",
        help="score maps to lay over the micrographs: output folder of cryokit pick --save-maps, folder of maps that "
        "are called like the micrographs, or a single map",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="HTML file to write")
    parser.add_argument("--format", metavar="NAME", help="format of the picks (default: detected)")
    add_labels_format(parser)
    add_strip(parser)
    parser.add_argument(
        "--diameter", type=positive, metavar="PX", help="particle diameter in pixels (default: from the files)"
    )


def run(options: argparse.Namespace) -> int:
    """Read micrographs and picks, and write the page."""
    from tqdm import tqdm

    from cryokit import micrograph
    from cryokit._util.files import make_folder
    from cryokit._util.names import micrograph_names
    from cryokit._util.wording import plural
    from cryokit.errors import ArgumentError, CoordinateError, CryokitError, MicrographError
    from cryokit.pickers.one_of_many import read_named
    from cryokit.plot.explorer import Page
    from cryokit.plot.explorer.contents import Tables, map_files, pictures

    if options.out.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"--out {options.out}: the name must end in .html")
    paths = micrograph.find(options.micrographs)
    names = micrograph_names(paths)
    files = dict(zip(names, paths, strict=True))
    picks = labels = labelled = None
    if options.picks is not None:
        picks, _ = _coordinates(options.picks, options.format, files, options)
    if options.labels is not None:
        labels, labelled = _coordinates(options.labels, options.labels_format, files, options)
    maps = {}
    if options.maps is not None:
        maps = map_files(options.maps, files, endings=options.strip, prefixes=options.strip_prefix)
    # Before the micrographs are read, which takes longer: are the tables fit to be shown?
    try:
        tables = Tables(names, picks, labels, labelled=labelled, diameter=options.diameter)
    except CoordinateError as error:
        given = " with ".join(str(path) for path in (options.picks, options.labels) if path is not None)
        raise CoordinateError(f"{given}: {error}") from None
    make_folder(options.out.absolute().parent)

    page, problems = Page(" and ".join(names[:2]) if len(names) < 3 else f"{len(names)} micrographs"), []
    for name, path in tqdm(files.items(), desc="preparing pictures", unit="file", disable=None, leave=False):
        try:
            read = read_named(path, name, sum_frames=options.sum_frames)
            layers = pictures(read, tables.diameter)
        except (CryokitError, OSError) as error:
            problems.append(str(error))
            continue
        try:
            # A map that cannot be shown is no reason to leave the micrograph out.
            layers |= pictures(read, scores=maps.get(name), kinds=["scores"])
        except (CryokitError, OSError) as error:
            problems.append(str(error))
        page.add(read, layers)
    if not page.names:
        raise MicrographError("\n".join(problems))
    page.write(options.out, tables)
    shown = f"{plural(len(tables.picks), 'pick')} on {plural(len(page.names), 'micrograph')}"
    logger.info("%s -> %s", shown, options.out)
    if problems:
        logger.error("files that failed: %d", len(problems))
        for problem in problems:
            logger.error("  %s", problem)
    return 1 if problems else 0


def _coordinates(
    path: Path, format: str | None, files: Mapping[str, Path], options: argparse.Namespace
) -> tuple[pd.DataFrame, list[str]]:
    """Return picks or labels, and the names of their micrographs, as the micrograph files have them."""
    from cryokit._util.names import matched
    from cryokit.coordinates import read_folder, renamed

    picks, named = read_folder(
        path,
        format,
        endings=options.strip,
        prefixes=options.strip_prefix,
        diameter=options.diameter,
        located=True,
    )
    called = matched(named, files)
    return renamed(picks, called), sorted(called.values())
