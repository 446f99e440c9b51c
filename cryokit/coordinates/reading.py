"""Read coordinate files of any format, one by one or a folder at once."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cryokit._util.names import coordinate_file_micrograph
from cryokit._util.wording import some
from cryokit.coordinates import transforms
from cryokit.coordinates.formats import FORMATS, PICTURE_SUFFIXES, detect, known, recognise
from cryokit.coordinates.picks import concatenate
from cryokit.errors import CoordinateError

logger = logging.getLogger(__name__)

SCORES = ("log-odds", "raw")
# What RELION 4 and later call the list of a job's coordinate files.
LISTS = ("autopick.star", "manualpick.star")
# These are coordinate files whatever they hold; other text files only if they look like it.
_SURE_ENDINGS = (".star", ".box", ".cbox", "_info.json")
_TEXT_SUFFIXES = (".tsv", ".csv", ".txt")


def read(
    path: str | os.PathLike,
    format: str | None = None,
    micrograph: str | None = None,
    *,
    scale: float = 1.0,
    blocks: bool = False,
    flip_y: int | Mapping[str, int] | None = None,
    diameter: float | None = None,
    scores: str | None = None,
) -> pd.DataFrame:
    r"""Read a coordinate file.

    Parameters
    ----------
    path : path-like
    format : str, optional
        A key of `FORMATS`; told by suffix and content when not given.
    micrograph : str, optional
        The micrograph's name where the file does not say it (the file's name does by default). From a file that names
        its micrographs only the picks of this one are returned; names are compared whole.
    scale : float, default 1
        From pixels of the file to pixels of the micrograph: 8 for picks on micrographs downsampled by 8.
    blocks : bool, default False
        How the smaller micrograph was made, see `cryokit.coordinates.transforms.scale`.
    flip_y : int or mapping of str to int, optional
        Turn the y axis around, given the micrographs' height; after `scale`, so in pixels of the micrograph.
    diameter : float, optional
        The diameter of all picks in pixels of the micrograph, instead of what the file says. Label pictures are
        searched for discs of this size.
    scores : {"log-odds", "raw"}, optional
        "log-odds" turns the file's scores into probabilities, "raw" leaves them as they are. By default Topaz's tables
        are turned and all others left.

    Returns
    -------
    pandas.DataFrame
        A table of picks (`cryokit.coordinates.table`).

    Raises
    ------
    CoordinateError
        When the file is missing, damaged or of another format, or an option is out of range.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "mic_1.box"
    >>> _ = file.write_text("100 200 60 60 0.9\n")
    >>> read(file)[["micrograph", "x", "y", "score", "diameter"]].values.tolist()
    [['mic_1', 130.0, 230.0, 0.9, 60.0]]
    """
    picks, _ = read_named(
        path, format, micrograph, scale=scale, blocks=blocks, flip_y=flip_y, diameter=diameter, scores=scores
    )
    if micrograph is not None:
        picks = picks[picks["micrograph"] == micrograph].reset_index(drop=True)
    return picks


def read_named(
    path: str | os.PathLike,
    format: str | None = None,
    micrograph: str | None = None,
    *,
    scale: float = 1.0,
    blocks: bool = False,
    flip_y: int | Mapping[str, int] | None = None,
    diameter: float | None = None,
    scores: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Read a coordinate file with the names of its micrographs, also of those without picks.

    Parameters
    ----------
    path, format, scale, blocks, flip_y, diameter, scores
        As for `read`.
    micrograph : str, optional
        The micrograph's name where the file does not say it.

    Returns
    -------
    picks : pandas.DataFrame
    micrographs : list of str
        Empty when the file would name its micrographs and has none.

    Raises
    ------
    CoordinateError
        When the file is missing, damaged or of another format, or an option is out of range.
    """
    _check_options(scale=scale, flip_y=flip_y, diameter=diameter, scores=scores)
    if not Path(path).is_file():
        raise CoordinateError(f"{path}: {'is a folder' if Path(path).is_dir() else 'no such file'}")
    format = known(format) if format else detect(path)
    module = importlib.import_module(f"cryokit.coordinates.{format}")
    if format == "pictures":
        picks, names = module.read(path, micrograph, diameter=None if diameter is None else diameter / scale)
    else:
        picks, names = module.read(path, micrograph)
    if scores == "log-odds" or (scores is None and FORMATS[format].log_odds):
        picks = picks.assign(score=transforms.probability(picks["score"].to_numpy()))
    if scale != 1:
        picks = transforms.scale(picks, scale, blocks=blocks)
    if flip_y is not None:
        picks = transforms.flip_y(picks, flip_y)
    if diameter is not None:
        picks = picks.assign(diameter=np.float64(diameter))
    return picks, names


def read_folder(
    path: str | os.PathLike | Iterable[str | os.PathLike],
    format: str | None = None,
    *,
    endings: Iterable[str] = (),
    problems: list[str] | None = None,
    **options,
) -> tuple[pd.DataFrame, list[str]]:
    r"""Read the coordinate files of a folder into one table.

    Files directly in the folder count, hidden ones do not. Without `format`, text files that do not look like
    coordinates are passed over with a warning, label pictures count only if there is nothing else, and a micrograph
    whose picks are there in several formats is read from one (the first in `FORMATS`). In the folder of a RELION 4 job,
    the files that its ``autopick.star`` lists are read.

    Parameters
    ----------
    path : path-like or iterable of path-like
        A folder; or a single file; or several of either.
    format : str, optional
        A key of `FORMATS`: files that have its suffix or look like it are read.
    endings : iterable of str
        What is taken off the end of a file's name to get the micrograph's, such as ``_mask``.
    problems : list of str, optional
        Where given, what is wrong with single files is added to this list, and the others' picks are returned.
    **options
        As for `read`.

    Returns
    -------
    picks : pandas.DataFrame
        A table of picks (`cryokit.coordinates.table`).
    micrographs : list of str
        All micrographs, sorted; those without picks included as far as the files name them.

    Raises
    ------
    CoordinateError
        When an option is out of range; and, unless `problems` is given, when there is nothing to read, a file cannot be
        read or two files hold picks of the same micrograph (all such files are named).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "mic_1.box").write_text("100 200 60 60\n")
    >>> _ = (folder / "mic_10.box").write_text("")
    >>> picks, micrographs = read_folder(folder)
    >>> len(picks), micrographs
    (1, ['mic_1', 'mic_10'])
    """
    _check_options(**options)
    found: list[str] = []
    picks_of: dict[str, pd.DataFrame] = {}
    source_of: dict[str, Path] = {}
    for source in [path] if isinstance(path, (str, os.PathLike)) else path:
        try:
            groups = _groups(Path(source), format)
        except CoordinateError as error:
            found.append(str(error))
            continue
        parts: dict[str, tuple[Path, pd.DataFrame]] = {}
        for kind, files in groups.items():
            # The same picks in a second format must not count twice: the first format that has a micrograph is taken.
            parts = {**_read_files(files, kind, tuple(endings), found, options), **parts}
        if len(groups) > 1:
            logger.info(
                "%s: %s files; each micrograph's picks are read once, from the first", source, ", ".join(groups)
            )
        for name, (file, picks) in parts.items():
            if name in source_of:
                found.append(_twice(source_of[name], file, name))
            else:
                source_of[name], picks_of[name] = file, picks
    if problems is not None:
        problems.extend(found)
    elif found:
        raise CoordinateError("\n".join(found))
    return concatenate(picks_of[name] for name in sorted(picks_of)), sorted(picks_of)


def _check_options(
    *,
    scale: float = 1.0,
    blocks: bool = False,
    flip_y: int | Mapping[str, int] | None = None,
    diameter: float | None = None,
    scores: str | None = None,
) -> None:
    """Refuse options that are wrong whatever the files hold."""
    transforms.check_scale(scale)
    if flip_y is not None and not isinstance(flip_y, Mapping):
        transforms.check_height(flip_y)
    if diameter is not None and not 0 < diameter < np.inf:
        raise CoordinateError(
            f"the diameter (diameter=, --diameter) has to be a positive number of pixels, not {diameter:g}"
        )
    if scores not in (None, *SCORES):
        raise CoordinateError(f"scores are {' or '.join(SCORES)}, not {scores!r}")


def _groups(source: Path, format: str | None) -> dict[str, list[Path]]:
    """Return the files to read, by format, the preferred format first."""
    if format:
        known(format)
    if source.is_file():
        return {format or detect(source): [source]}
    if not source.is_dir():
        raise CoordinateError(f"{source}: no such file or folder")
    lists = [source / name for name in LISTS if (source / name).is_file()]
    if lists and format in (None, "star"):
        return {"star": lists}
    groups: dict[str, list[Path]] = {name: [] for name in FORMATS}
    skipped = []
    for file in sorted(entry for entry in source.iterdir() if entry.is_file() and not entry.name.startswith(".")):
        kind = _kind(file, format)
        if kind:
            groups[kind].append(file)
        elif file.suffix.lower() in _TEXT_SUFFIXES:
            skipped.append(file.name if file.stat().st_size else f"{file.name} (empty)")
    groups = {kind: files for kind, files in groups.items() if files}
    if format:
        groups = {kind: files for kind, files in groups.items() if kind == format}
    elif len(groups) > 1:
        groups.pop("pictures", None)
    if not groups:
        passed = f"; passed over, for no coordinates by the first line: {some(skipped)}" if skipped else ""
        raise CoordinateError(f"{source}: no {format or 'coordinate'} files in this folder{passed}")
    if skipped and not format:
        logger.warning("%s: passed over, for no coordinates by the first line: %s", source, some(skipped, 10))
    return groups


def _kind(file: Path, format: str | None) -> str | None:
    """Tell the format of a file in a folder where `format` is looked for; None when it is no coordinate file."""
    name = file.name.lower()
    if name.endswith(PICTURE_SUFFIXES):
        return "pictures"
    if name.endswith(_SURE_ENDINGS):
        by_suffix = next(kind for kind in FORMATS if name.endswith(FORMATS[kind].ending))
    elif name.endswith(_TEXT_SUFFIXES):
        by_suffix = format if format and name.endswith(FORMATS[format].ending) else None
    else:
        return None
    try:
        return recognise(file) or by_suffix
    except CoordinateError:
        return by_suffix  # and its reader says what is wrong


def _read_files(
    files: list[Path], kind: str, endings: tuple[str, ...], found: list[str], options: dict
) -> dict[str, tuple[Path, pd.DataFrame]]:
    """Read files of one format into tables by micrograph; what is wrong is added to `found`."""
    from tqdm import tqdm

    result: dict[str, tuple[Path, pd.DataFrame]] = {}
    for file in tqdm(files, desc=f"reading {kind} files", unit="file", disable=None, leave=False):
        own = coordinate_file_micrograph(file)
        ending = next((text for text in endings if own.endswith(text) and own != text), "")
        own = own.removesuffix(ending)
        try:
            picks, names = read_named(file, kind, own, **options)
        except CoordinateError as error:
            found.append(str(error))
            continue
        # A file that names its micrographs and has no picks: in a folder it stands for the micrograph of its own name.
        if not names and len(files) > 1:
            names = [own]
        groups = dict(tuple(picks.groupby("micrograph", sort=False)))
        for name in names:
            if name in result:
                found.append(_twice(result[name][0], file, name))
            else:
                result[name] = file, groups.get(name, picks.iloc[:0]).reset_index(drop=True)
    return result


def _twice(first: Path, second: Path, name: str) -> str:
    return f"{first} and {second} both hold picks of micrograph {name}; read only one of them"
