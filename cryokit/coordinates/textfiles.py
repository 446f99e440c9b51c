"""Shared by the readers of text formats: text, rows and numbers, with errors that name the file and the line."""

import csv
import io
import os
from collections.abc import Iterable, Sequence

import numpy as np

from cryokit._util.files import read_bytes
from cryokit._util.wording import shortened
from cryokit.coordinates.picks import TOMOGRAM
from cryokit.errors import CoordinateError

MOST_COLUMNS = 1000


def read_text(path: str | os.PathLike) -> str:
    """Return the text of a file.

    Raises
    ------
    CoordinateError
        If the file cannot be opened, is not text, or is larger than `cryokit._util.files.LARGEST`.
    """
    data = read_bytes(path, CoordinateError, "a coordinate file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise CoordinateError(f"{path}: not a text file, so not a coordinate file that cryokit can read")
    return text


def header_fields(text: str, delimiter: str) -> set[str]:
    """Return the fields of the first line that is not blank, in lower case."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return {field.strip(' "').lower() for field in header.split(delimiter)}


def read_columns(path: str | os.PathLike, delimiter: str) -> dict[str, list[str]]:
    """Read a delimited text file with a header line as columns of text.

    Raises
    ------
    CoordinateError
        If the file is empty or has another delimiter, a column twice or more than `MOST_COLUMNS`, or a line has more or
        fewer fields than the header.
    """
    text = read_text(path)
    if any(line.count(delimiter) >= MOST_COLUMNS for line in text.splitlines()):
        raise CoordinateError(f"{path}: has more than {MOST_COLUMNS} columns, so it is no table of picks")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if any(field.strip() for field in row)]
    except csv.Error as error:
        raise CoordinateError(f"{path}: line {reader.line_num}: {error}") from None
    if not rows:
        raise CoordinateError(f"{path}: empty; a file without picks still needs its header line")
    header = [field.strip().lower() for field in rows[0][1]]
    other = next((mark for mark in ",;\t" if mark != delimiter and mark in header[0]), None)
    if len(header) == 1 and other:
        raise CoordinateError(f"{path}: fields are separated by {other!r} instead of {delimiter!r}; export it again")
    if repeated := [name for name in dict.fromkeys(header) if header.count(name) > 1 and name]:
        raise CoordinateError(f"{path}: column {shortened(repeated[0])} is there twice; leave one out")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise CoordinateError(f"{path}: line {line} has {len(row)} fields, the header {len(header)}")
    return {name: [row[k] for _, row in rows[1:]] for k, name in enumerate(header)}


def read_number_rows(path: str | os.PathLike, columns: Sequence[int], volume: Sequence[int] = ()) -> np.ndarray:
    """Read whitespace-separated numbers without a header.

    Parameters
    ----------
    path : path-like
        File to read. Blank lines and lines that begin with ``#`` are skipped.
    columns : sequence of int
        Allowed numbers of columns in ascending order; lines may differ.
    volume : sequence of int
        Numbers of columns that the format has for tomograms, unless they are allowed.

    Returns
    -------
    ndarray of float64, shape (lines, max(columns))
        NaN where a line has no value.

    Raises
    ------
    CoordinateError
        If a line has another number of columns, or a field is not a number.
    """
    rows = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        fields = text.split()
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) not in columns:
            allowed = " to ".join(map(str, dict.fromkeys((columns[0], columns[-1]))))
            hint = f"; are these x y z? If so, the file {TOMOGRAM}" if len(fields) in volume else ""
            raise CoordinateError(f"{path}: line {line} has {len(fields)} columns instead of {allowed}{hint}")
        fields += ["nan"] * (columns[-1] - len(fields))
        rows.append(numbers(("nan" if field == "<NA>" else field for field in fields), path, line=line))
    return np.array(rows, dtype=np.float64).reshape(-1, columns[-1])


def numbers(values: Iterable[str], path: str | os.PathLike, column: str = "", *, line: int | None = None) -> np.ndarray:
    """Convert a column of text, or the fields of a line, to float64; empty fields become NaN.

    Raises
    ------
    CoordinateError
        If a field is not a number.
    """
    result = []
    for row, value in enumerate(values, start=1):
        try:
            result.append(float(value) if value.strip() else np.nan)
        except ValueError:
            place = f"column {shortened(column)!r} of pick {row}" if line is None else f"column {row} of line {line}"
            raise CoordinateError(f"{path}: {shortened(value)!r} in {place} is not a number") from None
    return np.array(result, dtype=np.float64)
