"""Types of arguments that several commands share."""

from __future__ import annotations

import argparse
import json
from typing import Any

# As cryokit.pickers.available(), which costs the import of pandas; a test compares them.
METHODS = (
    "auto",
    "template",
    "autocryopicker",
    "autocryopicker_published",
    "supercryoempicker",
    "supercryoempicker_published",
    "deepcryopicker",
    "relion_template",
    "deepem",
    "deeppicker",
    "pixer",
    "fastparticlepicker",
    "eman2_cnn",
)


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


def add_picker(parser: argparse._ActionsContainer) -> None:
    """Describe the options that make a picker; `picker_settings` reads them."""
    parser.add_argument("--method", choices=METHODS, help="how to find particles (default auto)")
    parser.add_argument(
        "--diameter",
        type=positive,
        metavar="PX",
        help="of the particle, in pixels of the micrographs (default: estimated from them)",
    )
    parser.add_argument(
        "--contrast", choices=("dark", "bright"), help="are particles dark or bright (default: detected)"
    )
    parser.add_argument(
        "--pretrained", action="store_true", help="with auto: use the network that comes with cryokit as it is"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of a method that draws random numbers (default 0)")
    parser.add_argument(
        "--set",
        dest="settings",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of the method, such as width=0.25 of deepcryopicker; may be repeated",
    )


def picker_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was given of the options of `add_picker`, as arguments of the method's class."""
    given = {name: getattr(options, name) for name in ("diameter", "contrast", "seed")}
    given = {name: value for name, value in given.items() if value is not None}
    if options.pretrained:
        given["pretrained"] = True
    return given | dict(options.settings)
