"""JSON files that can come from anywhere."""

import json
import os
from typing import Any

from cryokit._util.files import read_bytes
from cryokit._util.wording import shortened
from cryokit.errors import CryokitError


def read_json(path: str | os.PathLike, error: type[CryokitError], title: str) -> Any:
    """Return the content of a JSON file.

    Parameters
    ----------
    path : path-like
        File to read.
    error : type
        Class of the error to raise.
    title : str
        What the file should be, with an article.

    Raises
    ------
    CryokitError
        If the file cannot be read, is not JSON, or has numbers that JSON has not (NaN, infinity); of the class `error`.
    """
    data = read_bytes(path, error, title)
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:  # lists within lists without end
        raise error(f"{path}: not {title}, or damaged ({shortened(str(problem))})") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
