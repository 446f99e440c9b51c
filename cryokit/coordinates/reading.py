"""Read coordinate files of any format, one by one or a folder at once."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cryokit._util.checked_settings import Checked, checked, choice, number
from cryokit._util.csv_text import without_apostrophe
from cryokit._util.files import unreadable
from cryokit._util.names import coordinate_file_micrograph, micrograph_name, micrograph_names, same_micrograph
from cryokit._util.validation import check_number
from cryokit._util.wording import some
from cryokit.coordinates import transforms
from cryokit.coordinates.formats import FORMATS, SCORES, TEXT_SUFFIXES, detect, format_of_suffix, get_format, recognise
from cryokit.coordinates.picks import concatenate, require_utf8
from cryokit.coordinates.renaming import Additions, renamed
from cryokit.coordinates.star import LISTS, listed_files
from cryokit.coordinates.textfiles import read_columns
from cryokit.coordinates.writing import QUALITIES, coordinate_path
from cryokit.errors import ArgumentError, CoordinateError

logger = logging.getLogger(__name__)


def _height(name: str, value: int | Mapping[str, int] | None) -> int | Mapping[str, int] | None:
    if value is not None and not isinstance(value, Mapping):
        check_number(name, value, 1, whole=True)
    return value


def _shift(name: str, value: Sequence[float]) -> tuple[float, float]:
    try:
        x, y = map(float, value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be two numbers, in x and y, not {value!r}") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ArgumentError(f"{name} must be two finite numbers, not {value!r}")
    return x, y


@dataclass(frozen=True)
class ReadOptions(Checked):
    """What `read` does to the picks of a file; the attributes are its parameters."""

    scale: float = number(1.0, 0, above=True)
    blocks: bool = False
    shift: Sequence[float] = checked((0.0, 0.0), _shift)
    flip_y: int | Mapping[str, int] | None = checked(None, _height)
    diameter: float | None = number(None, 0, above=True, optional=True)
    scores: str | None = choice(None, None, *SCORES)
    swap_xy: bool = False

    def apply(self, picks: pd.DataFrame, log_odds: bool) -> pd.DataFrame:
        """Convert picks as they are in a file whose scores are `log_odds` by default, or not."""
        if self.scores == "log-odds" or (self.scores is None and log_odds):
            from scipy.special import expit  # not above: rarely needed, and slow to import

            picks = picks.assign(score=expit(picks["score"].to_numpy()))
        if self.swap_xy:
            picks = transforms.swap_xy(picks)
        if self.scale != 1:
            picks = transforms.scale(picks, self.scale, blocks=self.blocks)
        if any(self.shift):
            picks = picks.assign(x=picks["x"] + self.shift[0], y=picks["y"] + self.shift[1])
        return picks if self.diameter is None else picks.assign(diameter=np.float64(self.diameter))

    def flip(self, picks: pd.DataFrame) -> pd.DataFrame:
        """Reverse the y axis of converted picks, whose micrographs have the names that heights go by."""
        return picks if self.flip_y is None else transforms.flip_y(picks, self.flip_y)


def read(
    path: str | os.PathLike,
    format: str | None = None,
    micrograph: str | None = None,
    *,
    scale: float = 1.0,
    blocks: bool = False,
    shift: Sequence[float] = (0.0, 0.0),
    flip_y: int | Mapping[str, int] | None = None,
    diameter: float | None = None,
    scores: str | None = None,
    swap_xy: bool = False,
) -> pd.DataFrame:
    r"""Read a coordinate file.

    Parameters
    ----------
    path : path-like
        File to read.
    format : str, optional
        Key of `FORMATS`; by default identified by suffix and content.
    micrograph : str, optional
        Name of the micrograph if the file does not say it; by default it is taken from the file's name. From a file
        that names its micrographs only the picks of this one are returned; names are compared whole, folders as far as
        both have them.
    scale : float
        Scale from pixels of the file to pixels of the micrograph: 8 for picks on micrographs downsampled by 8.
    blocks : bool
        How the smaller micrograph was made, see `cryokit.coordinates.scale`.
    shift : sequence of float, length 2
        What to add to x and y in pixels (after `scale`): half a side where a table has the corners of boxes.
    flip_y : int or mapping of str to int, optional
        Height of the micrographs in pixels (after `scale` and `shift`), to reverse the y axis.
    diameter : float, optional
        Diameter of all picks in pixels of the micrograph, instead of what the file says. Label pictures are searched
        for discs of this size.
    scores : {"log-odds", "raw"}, optional
        "log-odds" converts the file's scores to probabilities, "raw" leaves them as they are. By default those of Topaz
        tables are converted and all others left.
    swap_xy : bool
        Whether to exchange x and y (before `scale`, `shift` and `flip_y`), for tables that have the row first.

    Returns
    -------
    pandas.DataFrame
        Table of picks (`cryokit.coordinates.picks`).

    Raises
    ------
    ArgumentError
        If an option is out of range.
    CoordinateError
        If the file is missing, damaged or of another format.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "mic_1.box"
    >>> _ = file.write_text("100 200 60 60 0.9\n")
    >>> read(file)[["micrograph", "x", "y", "score", "diameter"]].values.tolist()
    [['mic_1', 130.0, 230.0, 0.9, 60.0]]
    """
    options = ReadOptions(scale, blocks, shift, flip_y, diameter, scores, swap_xy)
    picks, names = _read(path, format, micrograph, options)
    if micrograph is not None:
        return options.flip(_of(picks, names, micrograph, path))
    return options.flip(renamed(picks, dict(zip(names, micrograph_names(names), strict=True))))


def _of(picks: pd.DataFrame, names: list[str], micrograph: str, path: str | os.PathLike) -> pd.DataFrame:
    """Return the picks of one micrograph out of those of a file, which calls it by its path."""
    wanted = [micrograph] if micrograph in names else [name for name in names if same_micrograph(name, micrograph)]
    if len(wanted) > 1:
        raise CoordinateError(f"{path}: micrograph {micrograph} can be {' or '.join(wanted)}; give its folder as well")
    own = picks[picks["micrograph"].isin(wanted)].reset_index(drop=True)
    return renamed(own, dict.fromkeys(wanted, micrograph))


def _read(
    path: str | os.PathLike, format: str | None, micrograph: str | None, options: ReadOptions
) -> tuple[pd.DataFrame, list[str]]:
    if trouble := unreadable(path):
        raise CoordinateError(f"{path}: {trouble}")
    known = get_format(format or detect(path))
    diameter = None if options.diameter is None else options.diameter / options.scale
    name = micrograph or coordinate_file_micrograph(path)
    try:
        picks, names = known.load().read(path, name, diameter)
    except UnicodeEncodeError:  # of pandas; a file that names its micrographs may have any name itself
        require_utf8([name], path)
        raise
    require_utf8(names, path)  # of micrographs without picks, too
    return options.apply(picks, known.log_odds), names


def read_folder(
    path: str | os.PathLike | Iterable[str | os.PathLike],
    format: str | None = None,
    *,
    endings: Iterable[str] = (),
    prefixes: Iterable[str] = (),
    problems: list[str] | None = None,
    located: bool = False,
    **options,
) -> tuple[pd.DataFrame, list[str]]:
    r"""Read the coordinate files of a folder into one table.

    All files directly in the folder are read, except hidden ones; if there are none, those in folders inside, which
    micrographs with the same file name have. Without `format`, text files that do not look like coordinates are skipped
    with a warning, label pictures are read only if there is nothing else, and a micrograph with picks in several
    formats is read from the first of them in `FORMATS`. In the folder of a RELION 4 job, the files listed in its
    ``autopick.star`` are read, and what cryokit pick wrote beside it, as a list cannot hold every path.

    Parameters
    ----------
    path : path-like or iterable of path-like
        Folder or single file, or several of either.
    format : str, optional
        Key of `FORMATS`: files with its suffix, or that look like it, are read.
    endings : iterable of str
        Endings to remove from the names of files, and from those of micrographs in files, to get the micrographs'
        own, such as ``_mask``.
    prefixes : iterable of str
        Patterns (regular expressions) of what to remove from the beginnings of these names, such as ``J[0-9]+_``.
    problems : list of str, optional
        List to add errors of single files to, instead of raising them; the picks of the other files are returned.
    located : bool
        Whether to call micrographs by their paths as far as the files tell, for `cryokit._util.names.matched`.
    **options
        Keyword arguments of `read`.

    Returns
    -------
    picks : pandas.DataFrame
        Table of picks (`cryokit.coordinates.picks`).
    micrographs : list of str
        Names of all micrographs, sorted; those without picks included as far as the files name them.

    Raises
    ------
    ArgumentError
        If an option is out of range.
    CoordinateError
        If there is nothing to read, a file cannot be read, or two files hold picks of the same micrograph, unless
        `problems` is given; all such files are named.

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
    reading = ReadOptions(**options)
    additions = Additions(endings, prefixes)
    if format:
        get_format(format)
    errors: list[str] = []
    tables = _Tables()
    for source in [path] if isinstance(path, (str, os.PathLike)) else path:
        try:
            groups = _by_format(Path(source), format)
        except CoordinateError as error:
            errors.append(str(error))
            continue
        own = _Tables()
        for kind, files in groups:
            # The same picks in a second format must not count twice: the first format that has a micrograph is taken.
            further = _read_files(files, Path(source), kind, additions, errors, reading).by_name
            for name in [name for name in further if not own.alike(name)]:
                own.add(name, *further[name], errors)
        kinds = list(dict.fromkeys(kind for kind, _ in groups))
        if len(kinds) > 1:
            logger.info("%s: %s files; each micrograph is read from the first of these", source, ", ".join(kinds))
        for name, (file, picks) in own.by_name.items():
            tables.add(name, file, picks, errors)
    if problems is not None:
        problems.extend(errors)
    elif errors:
        raise CoordinateError("\n".join(errors))
    names = sorted(tables.by_name)
    picks = concatenate(tables.by_name[name][1] for name in names)
    if located:
        return reading.flip(picks), names
    short = dict(zip(names, micrograph_names(names), strict=True))
    return reading.flip(renamed(picks, short)), sorted(short.values())


def _by_format(source: Path, format: str | None) -> list[tuple[str, list[Path]]]:
    """Return the files to read by format, the preferred format first."""
    if source.is_file():
        return [(format or detect(source), [source])]
    if not source.is_dir():
        raise CoordinateError(f"{source}: {unreadable(source) or 'no such file or folder'}")
    lists = [source / name for name in LISTS if (source / name).is_file()]
    if lists and format in (None, "star"):
        return [("star", lists), ("star", _unlisted(source, lists))]
    groups, skipped = _grouped(_files(source), format)
    if not groups:
        inside = [file for folder in _folders(source) for file in _files(folder)]
        groups, further = _grouped(inside, format)
        skipped += further
        if format is None:
            groups.pop("pictures", None)  # of a folder inside they can be anything
    elif len(groups) > 1:
        groups.pop("pictures", None)
    reason = f"skipped, as the first line is not a coordinate record: {some(skipped, 10)}"
    if not groups:
        also = f"; {reason}" if skipped else ""
        raise CoordinateError(f"{source}: no {format or 'coordinate'} files in this folder{also}")
    if skipped and not format:
        logger.warning("%s: %s", source, reason)
    return list(groups.items())


def _grouped(files: Iterable[Path], format: str | None) -> tuple[dict[str, list[Path]], list[str]]:
    """Return files by their format, if it is the one that is wanted, and the names of text files in none."""
    groups: dict[str, list[Path]] = {name: [] for name in FORMATS}
    skipped = []
    for file in files:
        kind = _kind(file, format)
        if kind:
            groups[kind].append(file)
        elif file.suffix.lower() in TEXT_SUFFIXES:
            skipped.append(file.name if file.stat().st_size else f"{file.name} (empty)")
    return {kind: files for kind, files in groups.items() if files and format in (None, kind)}, skipped


def _files(folder: Path) -> list[Path]:
    """Return what may be coordinate files in a folder, also links and pipes that cannot be read."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith(".") and not entry.is_dir())
    return sorted(entry for entry in entries if entry.name != QUALITIES)


def _folders(folder: Path) -> list[Path]:
    """Return the folders inside a folder, at any depth, without links and hidden ones."""
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            found += [entry, *_folders(entry)]
    return found


def _unlisted(source: Path, lists: list[Path]) -> list[Path]:
    """Return the STAR files that ``cryokit pick`` wrote beside a list which cannot hold the paths of their micrographs.

    Other STAR files there are of an earlier run.
    """
    if not (source / QUALITIES).is_file():
        return []
    columns = read_columns(source / QUALITIES, ",")
    names = {without_apostrophe(name) for name in columns.get("micrograph", ())}
    listed = {path for file in lists for path in listed_files(file)}
    tails: dict[int, set[str]] = {}
    unlisted = []
    for name in sorted(names):
        with contextlib.suppress(CoordinateError):  # no file can be named so
            file = coordinate_path(source, name, "star")
            inner = file.relative_to(source).as_posix()
            depth = inner.count("/") + 1
            if depth not in tails:
                tails[depth] = {"/".join(path.split("/")[-depth:]) for path in listed}
            if inner not in tails[depth] and file.is_file():
                unlisted.append(file)
    return unlisted


def _kind(file: Path, wanted: str | None) -> str | None:
    """Return the format of a file in a folder; None if it is not a coordinate file, or not seen to be one."""
    format = format_of_suffix(file)
    name = file.name.lower()
    if file.suffix.lower() in TEXT_SUFFIXES:
        format = format if format == wanted else None
    elif format is None or not (format == "pictures" or name.endswith(FORMATS[format].ending)):
        return None  # a JSON file that is not EMAN2's, say
    try:
        return recognise(file) or format
    except CoordinateError:
        return format  # and its reader says what is wrong


def _read_files(
    files: list[Path], source: Path, format: str, additions: Additions, errors: list[str], options: ReadOptions
) -> _Tables:
    """Read files of one format into a table for each micrograph; errors are added to `errors`."""
    from tqdm import tqdm

    tables = _Tables()
    for file in tqdm(files, desc=f"reading {format} files", unit="file", disable=None, leave=False):
        own = coordinate_file_micrograph(file)
        if file.is_relative_to(source) and file.parent != source and file != source:
            own = f"{file.parent.relative_to(source).as_posix()}/{own}"
        try:
            picks, names = _read(file, format, own, options)
            # A file that would name its micrographs and has no picks: in a folder it stands for the micrograph it is
            # named after.
            if not names and len(files) > 1:
                names = [own]
            own_names = additions.removed_from(names, file)
        except CoordinateError as error:
            errors.append(str(error))
            continue
        groups = dict(tuple(renamed(picks, own_names).groupby("micrograph", sort=False)))
        for name in own_names.values():
            tables.add(name, file, groups.get(name, picks.iloc[:0]).reset_index(drop=True), errors)
    return tables


class _Tables:
    """Tables of picks by micrograph, each with the file that it is from."""

    def __init__(self) -> None:
        self.by_name: dict[str, tuple[Path, pd.DataFrame]] = {}
        self._by_stem: dict[str, list[str]] = defaultdict(list)

    def alike(self, name: str) -> list[str]:
        """Return the names among those of the tables that can be of this micrograph."""
        if name in self.by_name:
            return [name]
        return [other for other in self._by_stem[micrograph_name(name)] if same_micrograph(name, other)]

    def add(self, name: str, file: Path, picks: pd.DataFrame, errors: list[str]) -> None:
        """Add the picks of a micrograph, unless another file has given some already."""
        for other in self.alike(name):
            first = self.by_name[other][0]
            if first != file:
                errors.append(f"{first} and {file} both hold picks of micrograph {name}; read only one of them")
                return
        self.by_name[name] = file, picks
        self._by_stem[micrograph_name(name)].append(name)
