"""Types of arguments, and options, that several commands share."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryokit.errors import ArgumentError
from cryokit.pickers import registry


def count(text: str) -> int:
    """Read a whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def setting(text: str) -> tuple[str, Any]:
    """Read ``NAME=VALUE``: a number, ``true``, ``false``, ``null`` or a word.

    Examples
    --------
    >>> setting("width=0.25"), setting("padding=same")
    (('width', 0.25), ('padding', 'same'))
    """
    name, sign, value = text.partition("=")
    if not (sign and name.isidentifier() and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def named_paths(words: Sequence[str], option: str = "") -> dict[str, Path]:
    """Split ``[NAME=]PATH`` into names and paths; an existing path that contains a ``=`` is taken as a path.

    Parameters
    ----------
    words : sequence of str
        What was given.
    option : str
        Words that precede each of them on the command line, for messages.

    Returns
    -------
    dict of str to pathlib.Path
        Paths by name, by default that of the file or folder.

    Raises
    ------
    ArgumentError
        If a name or a path is empty, or two names are the same.
    """
    paths = {}
    for word in words:
        name, sign, path = word.partition("=")
        if not sign or "/" in name or Path(word).exists():
            name, path = Path(word).resolve().stem, word
        if not name or not path:
            raise ArgumentError(f"{option}{word}: neither the name nor the path may be empty")
        if name in paths:
            raise ArgumentError(f"{option}{word}: two sets of picks are called {name!r}; name them (NAME=PATH)")
        paths[name] = Path(path)
    return paths


def method(text: str) -> str:
    """Read the name of a method, or the location of a picker's class."""
    try:
        registry.check_name(text)
    except ArgumentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_micrographs(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """Add the micrographs to read, at least one if they are needed, and how to read them."""
    parser.add_argument(
        "micrographs",
        nargs="+" if needed else "*",
        metavar="MICROGRAPH",
        help="MRC, TIFF, PNG or JPEG files, folders of them, or lists: RELION's micrographs*.star, or @list.txt with "
        "one path per line, with Topaz's list of images or with one of its particle tables",
    )
    parser.add_argument("--sum-frames", action="store_true", help="sum the frames of movies, which must be aligned")


def add_labels_format(group: argparse._ActionsContainer) -> None:
    """Add the format of label files."""
    group.add_argument("--labels-format", metavar="NAME", help="format of the labels (default: detected)")


def add_strip(group: argparse._ActionsContainer, of: str = "coordinate files") -> None:
    """Add what names in and of coordinate files have besides the names of the micrographs."""
    group.add_argument(
        "--strip",
        action="append",
        default=[],
        metavar="ENDING",
        help=f"ending to remove from names, of {of} and in them, to get those of the micrographs; may be repeated",
    )
    group.add_argument(
        "--strip-prefix",
        action="append",
        default=[],
        metavar="PATTERN",
        help="beginning to remove from these names, a regular expression such as 'J[0-9]+_'; may be repeated (the 21 "
        "digits that cryoSPARC puts in front are recognised without it)",
    )


def add_scale(group: argparse._ActionsContainer) -> None:
    """Add the order and the scale of coordinates, how the smaller micrographs were made, and a shift."""
    group.add_argument("--swap-xy", action="store_true", help="exchange x and y: the input has the row first")
    group.add_argument(
        "--scale", type=float, default=1.0, metavar="F", help="factor on the input: 8 if it was downsampled by 8"
    )
    group.add_argument(
        "--blocks", action="store_true", help="with --scale: downsampled by averaging blocks, not by Fourier cropping"
    )
    group.add_argument(
        "--shift",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("DX", "DY"),
        help="pixels to add to x and y after --scale: half a side of boxes whose corners were taken for centres",
    )


def add_simulation(parser: argparse.ArgumentParser, micrographs: int) -> None:
    """Add the number of simulated micrographs, with its default, their size and the random seed."""
    parser.add_argument(
        "-n", "--micrographs", type=count, default=micrographs, metavar="N", help="number (default: %(default)s)"
    )
    parser.add_argument(
        "--shape", type=count, nargs=2, default=(2048, 2048), metavar=("ROWS", "COLUMNS"), help="default: 2048 2048"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")


def add_picker(parser: argparse.ArgumentParser) -> None:
    """Add the options that make a picker; `picker_settings` reads them."""
    parser.add_argument(
        "--method",
        type=method,
        metavar="METHOD",
        help=f"picking method: {', '.join(registry.available())}; or a picker of your own, package.module:Class or "
        "path/to/file.py:Class (default: auto)",
    )
    parser.add_argument(
        "--diameter",
        type=positive,
        metavar="PX",
        help="particle diameter in pixels of the micrographs (default: estimated from them)",
    )
    parser.add_argument("--contrast", choices=("dark", "bright"), help="contrast of the particles (default: detected)")
    parser.add_argument(
        "--pretrained", action="store_true", help="auto: use the network that comes with cryokit as it is"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="random seed (default: 0)")
    parser.add_argument(
        "--set",
        dest="settings",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of the method, such as width=0.25 for deepcryopicker; can be repeated",
    )


def picker_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of `add_picker` that were given, as arguments of the method's class."""
    given = {name: getattr(options, name) for name in ("diameter", "contrast", "seed")}
    given = {name: value for name, value in given.items() if value is not None}
    if options.pretrained:
        given["pretrained"] = True
    return given | dict(options.settings)
