"""``cryokit train``: from micrographs, with or without labels, to a saved picker."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit._util.wording import plural, some
from cryokit.cli.arguments import add_picker, picker_settings
from cryokit.errors import CoordinateError, PickerError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# Methods that learn from labels; the others would not heed them.
SUPERVISED = ("auto", "deepcryopicker")
OUTSIDE = 0.01  # share of labels beyond the border of their micrographs: more are in another frame

EXAMPLES = """
examples:
  cryokit train micrographs/ --out model --diameter 76
  cryokit train micrographs/ --out model --labels labels/
  cryokit train micrographs/ --out model --method deepcryopicker --set width=0.5 --set "classes_setting=five classes"
  cryokit pick more/ --out picks --model model
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "micrographs",
        nargs="+",
        metavar="MICROGRAPH",
        help="MRC, TIFF, PNG or JPEG files, folders of them, or @list.txt with a path a line",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="MODEL", help="where to save the picker, for cryokit pick --model"
    )
    add_picker(parser)
    labels = parser.add_argument_group(
        "labels (in pixels of the micrographs as stored; without them the method finds out by itself what to learn)"
    )
    labels.add_argument(
        "--labels",
        nargs="+",
        metavar="PATH",
        help="all particles of some of the micrographs: files or folders, in any coordinate format; --diameter takes "
        "the place of their diameters",
    )
    labels.add_argument("--labels-format", metavar="NAME", help="their format, where it cannot be told")
    labels.add_argument(
        "--strip",
        action="append",
        default=[],
        metavar="ENDING",
        help="take ENDING off the names of the files to get the micrographs' names; may be repeated",
    )
    parser.add_argument("--sum-frames", action="store_true", help="sum the frames of movies that are aligned already")


def run(options: argparse.Namespace) -> int:
    """Fit a picker to the micrographs and save it."""
    from cryokit import pickers
    from cryokit._util.files import make_folder
    from cryokit.micrograph import find
    from cryokit.pickers.many_files import fit_files

    method = options.method or "auto"
    if options.labels and method not in SUPERVISED:
        raise PickerError(f"--labels: the method {method!r} does not learn from labels; {' and '.join(SUPERVISED)} do")
    if _in_the_way(options.out):
        raise PickerError(f"--out {options.out}: something that is no saved model is in the way; choose another place")
    make_folder(options.out.resolve().parent)  # before the work, not after it
    picker = pickers.create(method, **picker_settings(options))
    paths = find(options.micrographs)
    labels = None
    if options.labels:
        paths, labels = _labelled(paths, options)
    problems = fit_files(picker, paths, labels, sum_frames=options.sum_frames)
    for problem in problems.values():
        logger.error("left out: %s", problem)
    logger.info("picker saved as %s", picker.save(options.out))
    return 1 if problems else 0


def _in_the_way(out: Path) -> bool:
    """Return whether something else than a saved picker is where one shall be."""
    if out.is_dir():
        return any(out.iterdir()) and not (out / "model.json").is_file()
    return out.exists() and out.suffix != ".npz"


def _labelled(paths: Sequence[Path], options: argparse.Namespace) -> tuple[list[Path], pd.DataFrame]:
    """Return the labelled ones of the micrographs, and their labels."""
    from cryokit._util.names import micrograph_name
    from cryokit.coordinates import IGNORE, read_folder

    labels, names = read_folder(options.labels, options.labels_format, diameter=options.diameter, endings=options.strip)
    source = some(list(map(str, options.labels)))
    given = {micrograph_name(path): path for path in paths}
    known = [name for name in given if name in set(names)]
    if not known:
        raise CoordinateError(
            f"{source}: labels of {some(names) or 'no micrograph'}, but the micrographs are {some(list(given))}; their "
            "names, without folder and suffix, have to be the same (--strip takes endings off those of the labels)"
        )
    labels = labels[labels["micrograph"].isin(known)].reset_index(drop=True)
    if not (labels["view"] != IGNORE).any():
        raise CoordinateError(f"{source}: no particle is labelled on {some(known)}")
    _check_frame(labels, given, source)
    if len(known) < len(given):
        logger.info("%s without labels left out", plural(len(given) - len(known), "micrograph"))
    if len(known) < len(names):
        logger.info("labels of %s left out, which are not given", plural(len(names) - len(known), "micrograph"))
    return [given[name] for name in known], labels


def _check_frame(labels: pd.DataFrame, given: dict[str, Path], source: str) -> None:
    """Refuse labels many of which lie outside of their micrographs."""
    from cryokit.errors import MicrographError
    from cryokit.micrograph import shape

    outside, worst = 0, None
    for name, here in labels.groupby("micrograph"):
        try:
            rows, columns = shape(given[name])
        except MicrographError:  # told when it is read
            continue
        beyond = (here["x"] < -0.5) | (here["x"] > columns - 0.5) | (here["y"] < -0.5) | (here["y"] > rows - 0.5)
        outside += int(beyond.sum())
        if beyond.any() and worst is None:
            row = here[beyond].iloc[0]
            worst = f"x {row['x']:.0f}, y {row['y']:.0f} on {name} with {rows} rows and {columns} columns"
    if outside > max(1, OUTSIDE * len(labels)):
        raise CoordinateError(
            f"{source}: {outside} of {len(labels)} labels lie outside of their micrographs ({worst}); bring them to "
            "pixels of the micrographs as stored first (cryokit convert --scale, --flip-y)"
        )
