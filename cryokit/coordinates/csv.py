"""CSV files with a header line: the one format that keeps every column of a table of picks, in full precision.

Columns ``x`` and ``y`` are required; ``micrograph``, ``score``, ``diameter`` and ``view`` are optional, and others are
ignored. Other usual names of these columns are known (CryoPPP: ``X-Coordinate,Y-Coordinate,Diameter``, and
``Micrographs Filename``), see `cryokit.coordinates.headers`. Without a column ``micrograph`` (label files:
``x,y,diameter,view``) the file's name says which one it is.

A text that a spreadsheet would take for a formula, as it begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage
return, is written with an apostrophe before it, which reading takes off again (`cryokit._util.csv_text`).
"""

import os
from collections.abc import Iterable

import pandas as pd

from cryokit._util.csv_text import csv_text, without_apostrophe
from cryokit._util.files import replacing, write_text
from cryokit._util.names import located_name
from cryokit.coordinates.formats import WriteOptions
from cryokit.coordinates.headers import say, usual_columns
from cryokit.coordinates.picks import COLUMNS, NUMERIC, refuse_depths, require_columns, table, validate
from cryokit.coordinates.textfiles import header_fields, numbers, read_columns


def recognises(text: str) -> bool:
    """Tell whether the header of a text names x and y."""
    return {"x", "y"} <= usual_columns(header_fields(text, ",")).keys()


def read(path: str | os.PathLike, micrograph: str, diameter: float | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV file of picks or labels (see `cryokit.coordinates.formats`)."""
    fields = read_columns(path, ",")
    meant = usual_columns(fields)
    if not {"x", "y"} <= meant.keys():
        require_columns(fields, ("x", "y"), path)
    columns = {column: fields[field] for column, field in meant.items()}
    for name in {*NUMERIC, "z"} & columns.keys():
        columns[name] = numbers(columns[name], path, meant[name])
    refuse_depths(columns.pop("z", ()), path)
    say(fields, path)
    picks = pd.DataFrame(columns)
    if "view" in columns:
        picks["view"] = [without_apostrophe(view) for view in columns["view"]]
    if "micrograph" not in columns:
        return validate(picks.assign(micrograph=micrograph), path), [micrograph]
    picks["micrograph"] = [located_name(without_apostrophe(name)) for name in columns["micrograph"]]
    return validate(picks, path), list(dict.fromkeys(picks["micrograph"]))


def write_tables(path: str | os.PathLike, tables: Iterable[pd.DataFrame]) -> None:
    """Write many tables of picks as one joined file, as `write` would write them together, but one after the other."""
    empty = table()
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(csv_text(empty[list(COLUMNS)]))
        for picks in tables:
            file.write(csv_text(picks[list(COLUMNS)]).partition("\n")[2])


def write(path: str | os.PathLike, picks: pd.DataFrame, options: WriteOptions) -> None:
    """Write a CSV file, with the column ``micrograph`` if joined (see `cryokit.coordinates.formats`)."""
    columns = [name for name in COLUMNS if options.joined or name != "micrograph"]
    write_text(path, csv_text(picks[columns]))
