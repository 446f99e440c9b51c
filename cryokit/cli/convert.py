"""``cryokit convert``: convert coordinate files from one format to another."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryokit._util.names import MICROGRAPH_SUFFIXES, matched, micrograph_names
from cryokit._util.validation import check_number
from cryokit._util.wording import plural, some
from cryokit.cli.arguments import add_scale, add_strip
from cryokit.coordinates.formats import FORMATS, SCORES, SUFFIXES
from cryokit.errors import ArgumentError, CoordinateError, CryokitError, MicrographError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

EXAMPLES = f"""
formats, and what they keep of the picks:
{chr(10).join(f"  {format.name:<9} {format.title}: {format.summary}" for format in FORMATS.values())}

examples:
  cryokit convert picks/ --to star --out relion/                    one file per micrograph
  cryokit convert topaz.tsv --scale 8 --to box --box-size 180 --out boxes/
  cryokit convert boxes/ --to csv --out picks.csv --flip-y 4096     all in one file, y axis reversed
  cryokit convert mask.jpg --strip _mask --diameter 108 --to csv --out labels/

details:
  --out is one file for all picks if it has the suffix of a coordinate file or picture, otherwise a folder that gets one
    file per micrograph.
  --scale converts pixels of the input to pixels of the micrograph; all other lengths are in pixels of the micrograph.
  --shift comes after --swap-xy and --scale, and before --flip-y; it turns corners of boxes into centres.
  --strip and --strip-prefix take endings and beginnings off the names of the input files, and of the micrographs in
    them, to get those of --micrographs; a uid of cryoSPARC in front (21 digits) is recognised without them.
  --diameter replaces what the input says; in label pictures it is measured on the discs unless it is given.
  --micrographs is needed for label pictures and .cs files, for --flip-y without a height, for the paths in STAR files
    and for --list; picks outside of them are reported.
  --flip-y takes the height from the micrographs if none is given.
  --list needs --to star and a folder as --out; run it in the folder of the RELION project.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("input", nargs="+", metavar="INPUT", type=Path, help="coordinate files, or folders of them")
    parser.add_argument("--to", required=True, choices=FORMATS, metavar="FORMAT", help="format to write (see below)")
    parser.add_argument("--out", required=True, type=Path, metavar="PATH", help="folder, or one file for all picks")
    parser.add_argument(
        "--from", dest="source", choices=FORMATS, metavar="FORMAT", help="format of the input (default: identified)"
    )
    add_strip(parser)
    frame = parser.add_argument_group("frame and size")
    add_scale(frame)
    frame.add_argument(
        "--flip-y", nargs="?", type=int, const=True, metavar="HEIGHT", help="reverse the y axis; HEIGHT is in pixels"
    )
    frame.add_argument(
        "--micrographs", type=Path, nargs="+", default=[], metavar="PATH", help="micrographs or folders of them"
    )
    frame.add_argument("--diameter", type=float, metavar="PX", help="particle diameter (default: the input's)")
    frame.add_argument("--box-size", type=float, metavar="PX", help="side of boxes (default: the diameter)")
    frame.add_argument("--float", action="store_true", help="write fractions of a pixel to box files; not for RELION")
    scores = parser.add_argument_group("scores")
    default = "(default: log-odds for topaz, raw for others)"
    scores.add_argument("--scores-in", choices=SCORES, help=f"convert log-odds to probabilities, or not {default}")
    scores.add_argument("--scores-out", choices=SCORES, help=f"convert probabilities to log-odds, or not {default}")
    parser.add_argument(
        "--list", action="store_true", help="also write autopick.star, the list that RELION 4 and later open"
    )


def run(options: argparse.Namespace) -> int:
    """Convert all files; return 1 if some could not be read or written.

    Raises
    ------
    CryokitError
        If the options do not fit together or nothing can be read.
    """
    from cryokit.coordinates import flip_y, read_folder, renamed, write, write_folder, write_list
    from cryokit.micrograph import find

    suffixes = (*SUFFIXES, *MICROGRAPH_SUFFIXES)
    to_file = options.out.is_file() if options.out.exists() else options.out.name.lower().endswith(suffixes)
    _check(options, to_file)
    problems: list[str] = []
    files = find(options.micrographs) if options.micrographs else []
    paths = dict(zip(micrograph_names(files), files, strict=True))
    picks, names = read_folder(
        options.input,
        options.source,
        endings=options.strip,
        prefixes=options.strip_prefix,
        problems=problems,
        scale=options.scale,
        blocks=options.blocks,
        swap_xy=options.swap_xy,
        shift=options.shift,
        diameter=options.diameter,
        scores=options.scores_in,
        located=True,
    )
    called = matched(names, paths)
    picks, names = renamed(picks, called), sorted(called.values())
    if problems and not names:
        raise CoordinateError("\n".join(problems))
    shapes = {}
    if paths:
        shapes, failures = _shapes(names, paths)
        if options.flip_y is True or FORMATS[options.to].shaped:
            problems.extend(f"micrograph {name} is not converted: {reason}" for name, reason in failures.items())
            picks, names = _only(picks, names, shapes)
    if options.flip_y is not None:
        heights = {name: rows for name, (rows, _) in shapes.items()}
        picks = flip_y(picks, heights if options.flip_y is True else options.flip_y)
    _warn_of_outside(picks, shapes)
    if FORMATS[options.to].sized and options.box_size is None:
        picks, names = _sized(picks, names, options.to, problems)
    settings = {
        "box_size": options.box_size,
        "integers": not options.float,
        "scores": options.scores_out,
        "shape": shapes,
    }
    _check_apart(options, written_to=[options.out] if to_file else _outputs(names, options))
    if to_file:
        settings["micrographs"] = paths
        try:
            write(picks, options.out, options.to, **settings)
        except CoordinateError:
            picks, names = _holdable(picks, names, options, settings, problems)
            write(picks, options.out, options.to, **settings)
        logger.info("%s: %s of %s", options.out, plural(len(picks), "pick"), plural(len(names), "micrograph"))
    else:
        written = write_folder(picks, options.out, options.to, micrographs=names, problems=problems, **settings)
        count = int(picks["micrograph"].isin(list(written)).sum())
        logger.info("%s: %s in %s", options.out, plural(count, "pick"), plural(len(written), "file"))
        if options.list:
            unknown = [name for name in written if name not in paths]
            problems.extend(f"micrograph {name} is not listed: not in --micrographs" for name in unknown)
            listed = {paths[name]: file for name, file in written.items() if name in paths}
            write_list(options.out / "autopick.star", listed, problems=problems)
    for problem in problems:
        logger.error("%s", problem)
    if problems:
        logger.error("%s; everything else was converted", plural(len(problems), "problem"))
    return 1 if problems else 0


def _check(options: argparse.Namespace, to_file: bool) -> None:
    """Refuse options that do not fit together, before anything is read."""
    if options.list and (options.to != "star" or to_file or not options.micrographs):
        raise ArgumentError("--list needs --to star, a folder as --out, and --micrographs")
    if options.flip_y is True and not options.micrographs:
        raise ArgumentError("--flip-y needs the height of the micrographs: give it, or --micrographs")
    if options.flip_y is not None and options.flip_y is not True:
        check_number("--flip-y", options.flip_y, 1, whole=True)
    if options.box_size is not None:
        check_number("--box-size", options.box_size, 0, above=True)
    if FORMATS[options.to].shaped and not options.micrographs:
        raise ArgumentError(f"--to {options.to} needs --micrographs, for their rows and columns")


def _outputs(names: list[str], options: argparse.Namespace) -> list[Path]:
    from cryokit.coordinates import coordinate_path

    outputs = []
    for name in names:
        with contextlib.suppress(CoordinateError):  # writing will say so
            outputs.append(coordinate_path(options.out, name, options.to))
    return outputs


def _check_apart(options: argparse.Namespace, written_to: list[Path]) -> None:
    """Refuse to write over what has been read."""
    read = {os.path.realpath(path) for path in [*options.input, *options.micrographs]}
    for path in written_to:
        real = os.path.realpath(path)
        if os.path.exists(real) and (real in read or os.path.dirname(real) in read):
            raise ArgumentError(f"--out {options.out}: {path} is there, and an input; choose another place")


def _holdable(
    picks: pd.DataFrame, names: list[str], options: argparse.Namespace, settings: dict[str, Any], problems: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the picks that one file of a format can hold; micrographs that it cannot name are added to `problems`."""
    from cryokit.coordinates import write

    refused = []
    with tempfile.TemporaryDirectory() as folder:
        for name, own in picks.groupby("micrograph", sort=False):
            try:
                write(own[:1], Path(folder) / options.out.name, options.to, joined=True, **settings)
            except CryokitError as error:
                problems.append(str(error).replace(folder, str(options.out.parent)))
                refused.append(name)
    if len(refused) == picks["micrograph"].nunique():
        raise CoordinateError("\n".join(problems))
    return _only(picks, names, set(names) - set(refused))


def _only(picks: pd.DataFrame, names: list[str], wanted: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the picks and names of the wanted micrographs."""
    return picks[picks["micrograph"].isin(list(wanted))], [name for name in names if name in wanted]


def _sized(picks: pd.DataFrame, names: list[str], format: str, problems: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the micrographs whose picks all have a diameter; the others are added to `problems`.

    Raises
    ------
    CoordinateError
        If no micrograph with picks is left.
    """
    unsized = set(picks.loc[~(picks["diameter"] > 0), "micrograph"])
    if not unsized:
        return picks, names
    reason = f"--to {format} needs a size, and picks of {some(sorted(unsized))} have no diameter; give --box-size"
    if set(picks["micrograph"]) <= unsized:
        raise CoordinateError("\n".join([*problems, reason]))
    problems.append(f"{reason}; not converted: {plural(len(unsized), 'micrograph')}")
    return _only(picks, names, set(names) - unsized)


def _warn_of_outside(picks: pd.DataFrame, shapes: Mapping[str, tuple[int, int]]) -> None:
    """Warn of picks outside of their micrographs: they betray a wrong frame, and other programs stop at them."""
    outside = {}
    for name, own in picks.groupby("micrograph", sort=False):
        if name in shapes:
            rows, columns = shapes[name]
            within = own["x"].between(-0.5, columns - 0.5) & own["y"].between(-0.5, rows - 0.5)
            outside[name] = int((~within).sum())
    if any(outside.values()):
        logger.warning(
            "%d of %s lie outside of their micrographs (a wrong --scale, --shift or --flip-y?): %s",
            sum(outside.values()),
            plural(len(picks), "pick"),
            some([f"{name} ({number})" for name, number in outside.items() if number], 5),
        )


def _shapes(names: Iterable[str], paths: Mapping[str, Path]) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Return the rows and columns of micrographs from the headers of their files, and why others have none, by name."""
    from cryokit.micrograph import shape

    shapes, failures = {}, {}
    for name in names:
        if name not in paths:
            failures[name] = "not in --micrographs, so its size is unknown"
            continue
        try:
            shapes[name] = shape(paths[name])
        except MicrographError as error:
            failures[name] = str(error)
    return shapes, failures
