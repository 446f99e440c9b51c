"""``cryokit train``: from micrographs, with or without labels, to a saved picker."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit._util.wording import plural, some
from cryokit.cli.arguments import add_labels_format, add_micrographs, add_picker, add_strip, picker_settings
from cryokit.errors import ArgumentError, CoordinateError
from cryokit.pickers import registry

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

EXAMPLES = """
examples:
  cryokit train micrographs/ --out model --diameter 76
  cryokit train micrographs/ --out model --labels labels/
  cryokit train micrographs/ --out model --method deepem --labels labels/
  cryokit train micrographs/ --out model --method deepcryopicker --set width=0.5 --set "classes_setting=five classes"
  cryokit pick more/ --out picks --model model
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_micrographs(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="MODEL", help="file or folder of the saved picker (pick --model)"
    )
    add_picker(parser)
    labels = parser.add_argument_group("labels, in pixels of the micrographs as stored")
    labels.add_argument(
        "--labels",
        nargs="+",
        metavar="PATH",
        help="files or folders, in any coordinate format, with all particles of some of the micrographs; --diameter "
        "overrides their diameters (default: learn without labels)",
    )
    add_labels_format(labels)
    add_strip(labels)


def run(options: argparse.Namespace) -> int:
    """Fit a picker to the micrographs and save it."""
    from cryokit import pickers
    from cryokit._util.files import make_folder
    from cryokit.micrograph import find
    from cryokit.pickers.many_files import check_pixel_sizes, fit_files

    method = registry.method(options.method or "auto")
    if options.labels and not method.with_labels:
        able = ", ".join(entry.name for entry in registry.built_in() if entry.with_labels)
        raise ArgumentError(f"--labels: method {method.name!r} does not learn from labels; these do: {able}")
    if not options.labels and not method.without_labels:
        raise ArgumentError(f"method {method.name!r} learns from labels; give them with --labels")
    if _occupied(options.out):
        raise ArgumentError(f"--out {options.out}: is there already, and no saved model; choose another place")
    make_folder(options.out.resolve().parent)  # before the work, not after it
    picker = pickers.create(options.method or "auto", **picker_settings(options))
    paths = find(options.micrographs)
    check_pixel_sizes(paths)
    labels = _labels(paths, options) if options.labels else None
    if labels is not None:
        _warn_of_frame(paths, labels, options)
    problems = fit_files(picker, paths, labels, sum_frames=options.sum_frames)
    for problem in problems.values():
        logger.error("left out: %s", problem)
    logger.info("picker saved as %s", picker.save(options.out))
    return 1 if problems else 0


def _occupied(out: Path) -> bool:
    """Return whether something other than a saved picker is where one is to be written."""
    if out.is_dir():
        return any(out.iterdir()) and not (out / "model.json").is_file()
    return out.exists() and out.suffix != ".npz"


def _labels(paths: Sequence[Path], options: argparse.Namespace) -> pd.DataFrame:
    """Return the labels of the micrographs."""
    from cryokit._util.names import matched, micrograph_names
    from cryokit.coordinates import read_folder, renamed

    labels, labelled = read_folder(
        options.labels,
        options.labels_format,
        diameter=options.diameter,
        endings=options.strip,
        prefixes=options.strip_prefix,
        located=True,
    )
    names = micrograph_names(paths)
    called = matched(labelled, dict(zip(names, paths, strict=True)))
    labels, labelled = renamed(labels, called), sorted(called.values())
    if not set(names) & set(labelled):
        raise CoordinateError(
            f"{some(list(map(str, options.labels)))}: labels of {some(labelled) or 'no micrograph'}, but the "
            f"micrographs are {some(names)}; their names, without folder and suffix, have to be the same (--strip "
            "and --strip-prefix remove endings and beginnings from those of the labels)"
        )
    if others := len(set(labelled) - set(names)):
        logger.info("labels of %s left out, which are not given", plural(others, "micrograph"))
    return labels


def _warn_of_frame(paths: Sequence[Path], labels: pd.DataFrame, options: argparse.Namespace) -> None:
    """Warn if the labels fit what is found without them on a few micrographs only in another frame."""
    from cryokit.cli.quiet import quiet
    from cryokit.pickers.label_checks import frame_of_labels

    with quiet():
        hint = frame_of_labels(paths, labels, options.diameter, options.contrast, sum_frames=options.sum_frames)
    if hint is not None:
        logger.warning("--labels: %s", hint.warning("cryokit convert"))
