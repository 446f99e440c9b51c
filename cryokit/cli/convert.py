"""``cryokit convert``: turn coordinate files of one format into another."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from cryokit._util.wording import plural, some

logger = logging.getLogger(__name__)

# As in cryokit.coordinates, which costs the import of pandas; a test keeps them equal.
FORMATS = ("star", "cbox", "topaz", "eman2", "box", "csv", "pictures")
SCORES = ("log-odds", "raw")
SIZED = ("cbox", "box", "pictures")  # what cannot be written without a size

EPILOG = """
formats:
  star      RELION STAR: one micrograph's picks, or all with rlnMicrographName; reads optics and particle blocks, and
            the autopick.star of a job. Keeps centre and score.
  box       EMAN1 box: corner, size, score. Whole numbers unless --float. Keeps centre, size and score.
  eman2     EMAN2 info/<micrograph>_info.json. Keeps centre and score; other keys of an existing file stay.
  cbox      crYOLO CBOX (reads the older bare columns too). Keeps centre, diameter and score.
  topaz     Topaz table; its scores are log-odds. Keeps centre and score.
  csv       micrograph, x, y, score, diameter, view: keeps everything.
  pictures  painted discs or disc masks; written as masks. Keeps centre and diameter.

examples:
  cryokit convert picks/ --to star --out relion/                    one file per micrograph
  cryokit convert topaz.tsv --scale 8 --to box --box-size 180 --out boxes/
  cryokit convert boxes/ --to csv --out picks.csv --flip-y 4096     all in one file, y axis turned around
  cryokit convert mask.jpg --strip _mask --diameter 108 --to csv --out labels/

In which pixels: --scale leads from the pixels of the input to those of the micrograph; all other lengths (--flip-y,
--diameter, --box-size) are in pixels of the micrograph.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("input", nargs="+", metavar="INPUT", type=Path, help="coordinate files, or folders of them")
    parser.add_argument(
        "--to", required=True, choices=FORMATS, metavar="FORMAT", help="star, box, eman2, cbox, topaz, csv or pictures"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="PATH",
        help=(
            "a name with the suffix of a coordinate file or picture is one file for all picks; anything else is a "
            "folder that gets one file per micrograph"
        ),
    )
    parser.add_argument(
        "--from",
        dest="source",
        choices=FORMATS,
        metavar="FORMAT",
        help="the input's format (default: told by suffix and content)",
    )
    parser.add_argument(
        "--strip",
        action="append",
        default=[],
        metavar="ENDING",
        help=("take ENDING off the input files' names to get the micrographs' names; may be repeated"),
    )
    frame = parser.add_argument_group("frame and size")
    frame.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="F",
        help="multiply coordinates and diameters, such as by 8 for picks on micrographs downsampled by 8",
    )
    frame.add_argument(
        "--blocks",
        action="store_true",
        help="with --scale: the smaller micrographs were made by averaging blocks of pixels, not by Fourier cropping",
    )
    frame.add_argument(
        "--flip-y",
        nargs="?",
        type=int,
        const=True,  # from the micrographs
        metavar="HEIGHT",
        help="turn the y axis around; HEIGHT is the micrographs' number of rows, or is read from --micrographs",
    )
    frame.add_argument(
        "--micrographs",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="micrographs or a folder of them: for --flip-y, label pictures, paths in STAR files",
    )
    frame.add_argument(
        "--diameter",
        type=float,
        metavar="PX",
        help=(
            "the particles' diameter, instead of what the input says; of the discs in label pictures (default there: "
            "estimated)"
        ),
    )
    frame.add_argument(
        "--box-size", type=float, metavar="PX", help="side of the boxes (discs) to write; default: the diameter"
    )
    frame.add_argument(
        "--float", action="store_true", help="box files: keep fractions of a pixel, which RELION does not read"
    )
    scores = parser.add_argument_group("scores")
    scores.add_argument(
        "--scores-in",
        choices=SCORES,
        help="log-odds: turn into probabilities; raw: leave (default: log-odds for topaz, else raw)",
    )
    scores.add_argument(
        "--scores-out",
        choices=SCORES,
        help="log-odds: turn probabilities into log-odds; raw: leave (default: log-odds for topaz, else raw)",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help=(
            "with --to star, a folder as --out and --micrographs: also write autopick.star, the list that RELION 4 and "
            "later open; run it in the RELION project's folder"
        ),
    )


def run(options: argparse.Namespace) -> int:
    """Convert; return 1 when some file could not be read or written, after all others were.

    Raises
    ------
    CryokitError
        When the options do not fit together or nothing could be read.
    """
    from cryokit.coordinates import flip_y, read_folder, write, write_folder, write_list
    from cryokit.coordinates.transforms import check_height
    from cryokit.errors import CoordinateError

    to_file = _is_file(options.out)
    if options.list and (options.to != "star" or to_file or not options.micrographs):
        raise CoordinateError("--list needs --to star, a folder as --out, and --micrographs")
    own_heights = options.flip_y is True
    if own_heights and not options.micrographs:
        raise CoordinateError("--flip-y needs the micrographs' height: give it a number of rows, or --micrographs")
    if options.flip_y is not None and not own_heights:
        check_height(options.flip_y)
    if options.box_size is not None and not 0 < options.box_size < float("inf"):
        raise CoordinateError(f"--box-size has to be a positive number of pixels, not {options.box_size:g}")
    if options.to == "pictures" and not options.micrographs:
        raise CoordinateError("--to pictures needs --micrographs, for the pictures' size")

    problems: list[str] = []
    paths = _micrographs(options.micrographs)
    picks, names = read_folder(
        options.input,
        options.source,
        endings=options.strip,
        problems=problems,
        scale=options.scale,
        blocks=options.blocks,
        diameter=options.diameter,
        scores=options.scores_in,
    )
    if problems and not names:
        raise CoordinateError("\n".join(problems))
    shapes = {}
    if own_heights or options.to == "pictures":
        shapes = _shapes(names, paths, problems)
        names = [name for name in names if name in shapes]
        picks = picks[picks["micrograph"].isin(names)]
    if options.flip_y is not None:
        picks = flip_y(picks, {name: rows for name, (rows, _) in shapes.items()} if own_heights else options.flip_y)
    if options.to in SIZED and options.box_size is None:
        unsized = picks.loc[~(picks["diameter"] > 0), "micrograph"].unique().tolist()
        if unsized:
            told = f"--to {options.to} needs a size, and picks of {some(unsized)} have no diameter; give --box-size"
            if set(picks["micrograph"]) <= set(unsized):
                raise CoordinateError("\n".join([*problems, told]))
            problems.append(f"{told}; not converted: {plural(len(unsized), 'micrograph')}")
            names = [name for name in names if name not in set(unsized)]
            picks = picks[picks["micrograph"].isin(names)]
    settings = {
        "box_size": options.box_size,
        "integers": not options.float,
        "scores": options.scores_out,
        "shape": shapes,
    }
    if to_file:
        write(picks, options.out, options.to, micrographs=paths, **settings)
        logger.info("%s: %s of %s", options.out, plural(len(picks), "pick"), plural(len(names), "micrograph"))
    else:
        written = write_folder(picks, options.out, options.to, micrographs=names, problems=problems, **settings)
        count = int(picks["micrograph"].isin(list(written)).sum())
        logger.info("%s: %s in %s", options.out, plural(count, "pick"), plural(len(written), "file"))
        if options.list:
            unknown = [name for name in written if name not in paths]
            problems.extend(f"micrograph {name} is not among --micrographs, so not listed" for name in unknown)
            listed = {paths[name]: file for name, file in written.items() if name in paths}
            write_list(options.out / "autopick.star", listed, problems=problems)
    for problem in problems:
        logger.error("%s", problem)
    if problems:
        logger.error("%s; everything else was converted", plural(len(problems), "problem"))
    return 1 if problems else 0


def _is_file(path: Path) -> bool:
    from cryokit._util.names import COORDINATE_SUFFIXES, MICROGRAPH_SUFFIXES

    if path.exists():
        return path.is_file()
    return path.name.lower().endswith((*COORDINATE_SUFFIXES, *MICROGRAPH_SUFFIXES))


def _micrographs(given: list[Path] | None) -> dict[str, Path]:
    """Return the micrograph files by name."""
    if not given:
        return {}
    from cryokit._util.names import micrograph_name
    from cryokit.micrograph import find

    return {micrograph_name(path): path for path in find(given)}


def _shapes(names: list[str], paths: dict[str, Path], problems: list[str]) -> dict[str, tuple[int, int]]:
    """Return the rows and columns of micrographs from their files' headers; what is wrong goes to `problems`."""
    from cryokit.errors import MicrographError
    from cryokit.micrograph.loading import shape

    shapes = {}
    for name in names:
        if name not in paths:
            problems.append(f"micrograph {name} is not among --micrographs, so its size is not known; not converted")
            continue
        try:
            shapes[name] = shape(paths[name])
        except MicrographError as error:
            problems.append(f"{error}; the picks of {name} are not converted")
    return shapes
