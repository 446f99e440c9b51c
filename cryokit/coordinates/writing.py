"""Write tables of picks in any format, to one file or a file per micrograph."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from cryokit._util.files import inside
from cryokit._util.names import coordinate_file_micrograph
from cryokit._util.validation import check_choice, check_number
from cryokit.coordinates import transforms
from cryokit.coordinates.formats import FORMATS, SCORES, WriteOptions, format_of_suffix, get_format
from cryokit.coordinates.picks import validate
from cryokit.coordinates.star import LISTS
from cryokit.errors import CoordinateError

QUALITIES = "micrographs.csv"  # that cryokit pick writes beside the picks


def write(
    picks: pd.DataFrame,
    path: str | os.PathLike,
    format: str | None = None,
    *,
    joined: bool | None = None,
    box_size: float | None = None,
    integers: bool = True,
    scores: str | None = None,
    micrographs: Mapping[str, str | os.PathLike] | None = None,
    shape: tuple[int, int] | Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Write picks to one file, whole or not at all; what the format cannot hold is left out.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks (`cryokit.coordinates.picks`).
    path : path-like
        File to write.
    format : str, optional
        Key of `FORMATS`; by default that of the file's suffix.
    joined : bool, optional
        For STAR and CSV: whether the file names the micrograph of each pick. By default it does unless all picks are
        of the one micrograph that the file is named after (without picks it does not). Topaz tables and .cs files
        always do; the other formats cannot.
    box_size : float, optional
        For box and CBOX files and label pictures: side of the boxes, or diameter of the discs, in pixels; by default
        the diameter of each pick.
    integers : bool
        For box files: whether to write whole numbers, which RELION insists on.
    scores : {"log-odds", "raw"}, optional
        "log-odds" converts probabilities to log-odds, "raw" writes scores as they are. By default scores are converted
        for Topaz tables only.
    micrographs : mapping of str to path-like, optional
        For joined STAR files and .cs files: path to write for each micrograph, by name; by default the name and
        ``.mrc``.
    shape : tuple of int, or mapping of str to tuple of int, optional
        For label pictures and .cs files: rows and columns of the micrographs, or of each micrograph by its name.

    Raises
    ------
    ArgumentError
        If an option is out of range.
    CoordinateError
        If the format cannot be identified or needs something that is not given, or if it holds one micrograph and
        there are several.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cryokit.coordinates import read, table
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "mic_1.cbox"
    >>> write(table("mic_1", x=[130], y=[230.5], score=0.9, diameter=60), file)
    >>> read(file)[["x", "y", "score", "diameter"]].values.tolist()
    [[130.0, 230.5, 0.9, 60.0]]
    """
    picks = validate(picks)
    format = format or format_of_suffix(path)
    if format is None:
        raise CoordinateError(f"{path}: no format has this suffix; give the format ({', '.join(FORMATS)})")
    known = get_format(format)
    check_choice("scores", scores, (None, *SCORES))
    if box_size is not None:
        check_number("box_size", box_size, 0, above=True)
    names = picks["micrograph"].unique().tolist()
    own = coordinate_file_micrograph(path)
    if not known.many and len(names) > 1:
        raise CoordinateError(
            f"{path}: a {known.title} holds one micrograph, the picks are of {len(names)}; write them to a folder"
        )
    if scores == "log-odds" or (scores is None and known.log_odds):
        picks = picks.assign(score=transforms.log_odds(picks["score"].to_numpy()))
    if joined is None:
        joined = bool(names) and names != [own]
    shapes = shape if isinstance(shape, Mapping) else {} if shape is None else dict.fromkeys([*names, own], shape)
    known.load().write(path, picks, WriteOptions(joined, box_size, integers, micrographs, shapes))


def write_folder(
    picks: pd.DataFrame,
    folder: str | os.PathLike,
    format: str,
    *,
    micrographs: Iterable[str] = (),
    problems: list[str] | None = None,
    **options,
) -> dict[str, Path]:
    """Write one coordinate file per micrograph.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks (`cryokit.coordinates.picks`).
    folder : path-like
        Folder to write to; made if it does not exist.
    format : str
        Key of `FORMATS`.
    micrographs : iterable of str
        Names of micrographs that get a file even if they have no picks.
    problems : list of str, optional
        List to add errors of single files to, instead of raising them; the other files are written.
    **options
        Keyword arguments of `write`, except `joined` and `micrographs`.

    Returns
    -------
    dict of str to pathlib.Path
        Files written, by the name of the micrograph.

    Raises
    ------
    ArgumentError, CoordinateError
        As `write`; no `CoordinateError` if `problems` is given.
    """
    from tqdm import tqdm

    picks = validate(picks)
    groups = dict(tuple(picks.groupby("micrograph", sort=False)))
    written = {}
    names = list(dict.fromkeys([*micrographs, *groups]))
    for name in tqdm(names, desc=f"writing {format} files", unit="file", disable=None, leave=False):
        try:
            file = coordinate_path(folder, name, format)
            write(groups.get(name, picks.iloc[:0]), file, format, joined=False, **options)
        except CoordinateError as error:
            if problems is None:
                raise
            problems.append(str(error))
        else:
            written[name] = file
    return written


def coordinate_path(folder: str | os.PathLike, micrograph: str, format: str) -> Path:
    """Return the path of a micrograph's coordinate file, such that reading the folder gives the name back.

    A name with folders (`cryokit._util.names.micrograph_names`) keeps them below `folder`.

    Parameters
    ----------
    folder : path-like
        Folder of the file.
    micrograph : str
        Name of the micrograph.
    format : str
        Key of `FORMATS`.

    Raises
    ------
    CoordinateError
        If no file can have such a name, or a link leads out of the folder.

    Examples
    --------
    >>> coordinate_path("picks", "a.b", "star").as_posix(), coordinate_path("info", "a.b", "eman2").as_posix()
    ('picks/a.b.star', 'info/a.b_info.json')
    >>> coordinate_path("picks", "a_info", "box").as_posix()  # a_info.box would be a file of micrograph "a"
    'picks/a_info_autopick.box'
    """
    ending = get_format(format).ending
    parent, stem = os.path.split(micrograph)
    for name in (f"{stem}{ending}", f"{stem}_autopick{ending}"):
        if name in (*LISTS, QUALITIES):  # lists of the folder have these names
            continue
        if Path(name).name == name and name[0] != "." and coordinate_file_micrograph(name) == stem:
            return inside(folder, f"{parent}/{name}" if parent else name, CoordinateError)
    raise CoordinateError(f"micrograph {micrograph!r}: no file can be named after it; rename the micrograph")
