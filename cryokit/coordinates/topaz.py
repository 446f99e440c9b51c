"""Topaz tables: tab-separated, header ``image_name x_coord y_coord [score]``, names of micrographs without suffix.

The scores are log-likelihood ratios (the log-odds of Topaz's network: -6 means p = 0.0025). `cryokit.coordinates`
converts them to probabilities with the logistic function when it reads, and back when it writes, unless told not to.
The coordinates are those of the micrographs that Topaz was given, as a rule downsampled: scale them. Topaz itself drops
the fraction of a coordinate when it trains. Diameters and views are not kept.
"""

import os
import re

import numpy as np
import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.names import located_name
from cryokit.coordinates.formats import WriteOptions
from cryokit.coordinates.picks import refuse_depths, require_columns, table, validate
from cryokit.coordinates.textfiles import header_fields, numbers, read_columns
from cryokit.errors import CoordinateError

_NEEDED = ("image_name", "x_coord", "y_coord")


def recognises(text: str) -> bool:
    """Tell whether the header of a text is that of a Topaz table."""
    return set(_NEEDED) <= header_fields(text, "\t")


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a Topaz table (see `cryokit.coordinates.formats`); `micrograph` is not used, as the file names its own."""
    columns = read_columns(path, "\t")
    require_columns(columns, _NEEDED, path)
    refuse_depths(numbers(columns.get("z_coord", ()), path, "z_coord"), path)
    x, y = (numbers(columns[name], path, name) for name in _NEEDED[1:])
    score = numbers(columns["score"], path, "score") if "score" in columns else np.nan
    names = [located_name(name) for name in columns["image_name"]]
    return validate(table(names, x, y, score), path), list(dict.fromkeys(names))


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write a Topaz table; without any score the column is left out (see `cryokit.coordinates.formats`)."""
    for name in picks["micrograph"].unique():
        if re.search(r"[\t\r\n\"]", name):
            raise CoordinateError(
                f"{path}: a Topaz table cannot hold the name {name!r} (no tabs, line breaks or quotation marks); "
                "rename the micrograph"
            )
    columns = ["micrograph", "x", "y", *(["score"] if picks["score"].notna().any() else [])]
    header = [*_NEEDED, "score"][: len(columns)]
    write_text(path, picks.to_csv(columns=columns, header=header, sep="\t", index=False, lineterminator="\n"))
