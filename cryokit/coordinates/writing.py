"""Write tables of picks in any format, to one file or a file per micrograph."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from cryokit._util.names import coordinate_file_micrograph
from cryokit.coordinates import transforms
from cryokit.coordinates.formats import FORMATS, PICTURE_SUFFIXES, known
from cryokit.coordinates.reading import LISTS, SCORES
from cryokit.coordinates.picks import validate
from cryokit.errors import CoordinateError


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
        A table of picks (`cryokit.coordinates.table`).
    path : path-like
    format : str, optional
        A key of `FORMATS`; by the file's suffix when not given.
    joined : bool, optional
        For STAR and CSV: whether the file names each pick's micrograph. By default it does unless all picks are of the
        one micrograph that the file is named after (no picks: it does not). Topaz tables always do; the other
        formats cannot.
    box_size : float, optional
        For box and CBOX files and label pictures: the side of the boxes, the diameter of the discs, in pixels; each
        pick's diameter by default.
    integers : bool, default True
        For box files: write whole numbers, which RELION insists on.
    scores : {"log-odds", "raw"}, optional
        "log-odds" turns probabilities into log-odds, "raw" writes the scores as they are. By default Topaz's tables get
        log-odds, all others the scores as they are.
    micrographs : mapping of str to path-like, optional
        For joined STAR files: the path of each micrograph to write, by name; the name and ``.mrc`` by default.
    shape : tuple of int, or mapping of str to tuple of int, optional
        For label pictures: rows and columns of the micrograph, or of each micrograph by its name.

    Raises
    ------
    CoordinateError
        When the format cannot be told or needs something that is not given, or when it holds one micrograph and there
        are several.

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
    format = known(format) if format else _format_of(path)
    if scores not in (None, *SCORES):
        raise CoordinateError(f"scores are {' or '.join(SCORES)}, not {scores!r}")
    names = picks["micrograph"].unique().tolist()
    own = coordinate_file_micrograph(path)
    if joined is None:
        joined = bool(names) and names != [own]
    if not FORMATS[format].many and len(names) > 1:
        raise CoordinateError(
            f"{path}: one {FORMATS[format].title} holds one micrograph, the picks are of {len(names)}; "
            "write them to a folder"
        )
    if scores == "log-odds" or (scores is None and FORMATS[format].log_odds):
        picks = picks.assign(score=transforms.log_odds(picks["score"].to_numpy()))
    if format == "star":
        options = {"joined": joined, "micrographs": micrographs}
    elif format == "csv":
        options = {"joined": joined}
    elif format == "box":
        options = {"box_size": box_size, "integers": integers}
    elif format == "cbox":
        options = {"box_size": box_size}
    elif format == "pictures":
        options = {"shape": _shape(shape, names[0] if names else own, path), "diameter": box_size}
    else:
        options = {}
    importlib.import_module(f"cryokit.coordinates.{format}").write(path, picks, **options)


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
        A table of picks (`cryokit.coordinates.table`).
    folder : path-like
        Made when it does not exist.
    format : str
        A key of `FORMATS`.
    micrographs : iterable of str
        Names of micrographs that get a file even if they have no picks.
    problems : list of str, optional
        Where given, what is wrong with single files is added to this list, and the others are written.
    **options
        As for `write`, but for `joined` and `micrographs`.

    Returns
    -------
    dict of str to pathlib.Path
        The files written, by the micrograph's name.

    Raises
    ------
    CoordinateError
        As `write`, unless `problems` is given.
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

    Raises
    ------
    CoordinateError
        When the name cannot be a file's.

    Examples
    --------
    >>> coordinate_path("picks", "a.b", "star").as_posix(), coordinate_path("info", "a.b", "eman2").as_posix()
    ('picks/a.b.star', 'info/a.b_info.json')
    >>> coordinate_path("picks", "a_info", "box").as_posix()  # a_info.box would be a file of micrograph "a"
    'picks/a_info_autopick.box'
    """
    ending = FORMATS[known(format)].ending
    for name in (f"{micrograph}{ending}", f"{micrograph}_autopick{ending}"):
        if name in LISTS:  # RELION's list of the folder has this name
            continue
        if Path(name).name == name and name[0] != "." and coordinate_file_micrograph(name) == micrograph:
            return Path(folder) / name
    raise CoordinateError(f"micrograph {micrograph!r}: no file can be named after it; rename the micrograph")


def write_list(
    path: str | os.PathLike,
    files: Mapping[str | os.PathLike, str | os.PathLike],
    *,
    project: str | os.PathLike = ".",
    problems: list[str] | None = None,
) -> None:
    """Write RELION's list of a picking job (``autopick.star``): see `cryokit.coordinates.star.write_list`."""
    importlib.import_module("cryokit.coordinates.star").write_list(path, files, project=project, problems=problems)


def _format_of(path: str | os.PathLike) -> str:
    name = Path(path).name.lower()
    if name.endswith(PICTURE_SUFFIXES):
        return "pictures"
    if name.endswith(".json"):
        return "eman2"
    found = next((format for format, known in FORMATS.items() if name.endswith(known.ending)), None)
    if found is None:
        raise CoordinateError(f"{path}: no format has this suffix; name the format ({', '.join(FORMATS)})")
    return found


def _shape(
    shape: tuple[int, int] | Mapping[str, tuple[int, int]] | None, micrograph: str, path: str | os.PathLike
) -> tuple[int, int]:
    if isinstance(shape, Mapping):
        shape = shape.get(micrograph)
    if shape is None:
        raise CoordinateError(f"{path}: a label picture needs the shape of micrograph {micrograph}; give it")
    return shape
