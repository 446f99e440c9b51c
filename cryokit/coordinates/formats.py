"""The coordinate formats, and telling which of them a file is in.

Everything that reads, writes or lists formats goes by `FORMATS`. A format is a module of this package and a line
there; the module has three functions:

``recognises(text) -> bool``
    Whether the text of a file looks like this format. Suffixes such as ``.txt`` say nothing.
``read(path, micrograph, diameter=None) -> (picks, names)``
    The table of picks (`cryokit.coordinates.picks`) in a file, with centres in pixels of the file and scores as they
    are there, and the names of the file's micrographs, also of those without picks. `micrograph` is the name to use
    where the file does not say it; `diameter`, in pixels of the file, is what to look for in pictures.
``write(path, picks, options) -> None``
    Write a table of picks, whole or not at all; `options` are `WriteOptions`.

Both raise a `CoordinateError` that names the file.
"""

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from cryokit._util.validation import check_choice
from cryokit.errors import CoordinateError


@dataclass(frozen=True)
class Format:
    """What is known of a format without importing its module.

    Attributes
    ----------
    name : str
        Name on the command line and in `FORMATS`.
    ending : str
        What follows the name of the micrograph in the name of a coordinate file.
    title : str
        Name for people.
    summary : str
        What a file keeps of the picks, for the command line's help.
    tested : str
        Whose files its reader is tested with; how it was made if there were none at hand.
    many : bool
        Whether one file can hold the picks of several micrographs.
    certain : bool
        Whether the suffix alone identifies the format. Otherwise the content does.
    sized : bool
        Whether picks need a diameter or a box size to be written.
    shaped : bool
        Whether the shapes of the micrographs are needed to write it.
    log_odds : bool
        Whether scores in the file are log-odds, which are read as probabilities.
    further_suffixes : tuple of str
        Suffixes of its files other than that of `ending`.
    module : str
        Name of its module in `cryokit.coordinates`, if not `name`.
    """

    name: str
    ending: str
    title: str
    summary: str
    tested: str
    many: bool = False
    certain: bool = False
    sized: bool = False
    shaped: bool = False
    log_odds: bool = False
    further_suffixes: tuple[str, ...] = ()
    module: str = ""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of files of this format."""
        return (Path(f"name{self.ending}").suffix, *self.further_suffixes)

    def load(self) -> ModuleType:
        """Import the format's module."""
        return importlib.import_module(f"cryokit.coordinates.{self.module or self.name}")


# In the order of preference where a folder holds the same picks in several formats.
_FORMATS = (
    Format(
        "star",
        ".star",
        "RELION STAR file",
        "centre, score; also reads a job's autopick.star",
        "RELION 3.1, CryoSegNet, manual picks",
        many=True,
    ),
    Format(
        "cbox",
        ".cbox",
        "crYOLO CBOX file",
        "centre, diameter, score",
        "none (made after its description)",
        certain=True,
        sized=True,
    ),
    Format("topaz", ".tsv", "Topaz table", "centre, score (log-odds in the file)", "Topaz", many=True, log_odds=True),
    Format(
        "cs",
        ".cs",
        "cryoSPARC .cs file",
        "centre (fractions of the micrograph), score",
        "none (made after its description)",
        many=True,
        certain=True,
        shaped=True,
    ),
    Format(
        "eman2",
        "_info.json",
        "EMAN2 info file",
        "centre, score; other keys of the file are kept",
        "none (made after its description)",
        certain=True,
    ),
    Format(
        "box",
        ".box",
        "EMAN1 box file",
        "corner, size, score; whole pixels by default",
        "crYOLO, Topaz, DeepPicker, manual picks",
        certain=True,
        sized=True,
    ),
    Format(
        "csv",
        ".csv",
        "CSV table",
        "micrograph, x, y, score, diameter, view: everything; also reads CryoPPP's headers",
        "cryokit, and CryoPPP's headers",
        many=True,
    ),
    Format(
        "pictures",
        ".png",
        "label picture",
        "centre, diameter; reads painted discs and disc masks, writes masks",
        "CryoSegNet, DeepCryoPicker",
        certain=True,
        sized=True,
        shaped=True,
        further_suffixes=(".jpg", ".jpeg", ".tif", ".tiff"),
        module="label_pictures",
    ),
)
FORMATS = {format.name: format for format in _FORMATS}
# How scores are converted: between log-odds and probabilities, or not.
SCORES = ("log-odds", "raw")
# Text files with these suffixes may hold anything.
TEXT_SUFFIXES = (".tsv", ".csv", ".txt")
# Suffixes of coordinate files. Those of label pictures, which micrographs may have as well, are left out.
SUFFIXES = (*(suffix for format in _FORMATS if format.name != "pictures" for suffix in format.suffixes), ".txt")


@dataclass(frozen=True)
class WriteOptions:
    """Options of the formats' `write` functions; each format uses those that concern it.

    Attributes
    ----------
    joined : bool
        Whether the file names the micrograph of each pick.
    box_size : float or None
        Side of the boxes, or diameter of the discs, in pixels; the diameter of each pick if None.
    integers : bool
        Whether box files hold whole numbers only.
    micrographs : mapping of str to path-like, or None
        Path to write for each micrograph, by name.
    shapes : mapping of str to tuple of int
        Rows and columns of the micrographs, by name.
    """

    joined: bool = False
    box_size: float | None = None
    integers: bool = True
    micrographs: Mapping[str, str | os.PathLike] | None = None
    shapes: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def get_format(name: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    ArgumentError
        If there is no such format.
    """
    check_choice("format", name, FORMATS)
    return FORMATS[name]


def detect(path: str | os.PathLike) -> str:
    """Identify the format of a coordinate file by its suffix, and by its content where the suffix is not enough.

    Parameters
    ----------
    path : path-like
        Existing file.

    Returns
    -------
    str
        Key of `FORMATS`.

    Raises
    ------
    CoordinateError
        If the file cannot be read or its format cannot be identified.
    """
    # A file that its suffix names but that does not look like it: the format's reader says what is wrong.
    format = recognise(path) or format_of_suffix(path)
    if format is None:
        raise CoordinateError(f"{path}: not in a known format or empty; give its format ({', '.join(FORMATS)})")
    return format


def recognise(path: str | os.PathLike) -> str | None:
    """Identify the format of a file that looks like a coordinate file; None if it does not.

    Raises
    ------
    CoordinateError
        If the content has to be looked at and is not text.
    """
    from cryokit.coordinates.textfiles import read_text  # not above: this module is light to import

    format = format_of_suffix(path)
    if format is not None and FORMATS[format].certain:
        return format
    text = read_text(path)
    return next((format.name for format in _FORMATS if format.load().recognises(text)), None)


def format_of_suffix(path: str | os.PathLike) -> str | None:
    """Return the format whose suffix a file name has; None if there is none."""
    name = Path(path).name.lower()
    return next((format.name for format in _FORMATS if name.endswith(format.suffixes)), None)
