"""What the readers of text formats share: reading text, rows and numbers with errors that name file and line."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from cryokit.errors import CoordinateError


def read_text(path: str | os.PathLike) -> str:
    """Return the text of a file.

    Raises
    ------
    CoordinateError
        When the file cannot be opened or is not text.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CoordinateError(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise CoordinateError(f"{path}: not a text file, so no coordinate file that cryokit knows")
    return text


def read_columns(path: str | os.PathLike, delimiter: str) -> dict[str, list[str]]:
    """Read a delimited text file with a header line as columns of text.

    Raises
    ------
    CoordinateError
        When the file is empty, its delimiter is another one, or a line has more or fewer fields than the header.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if any(field.strip() for field in row)]
    except csv.Error as error:
        raise CoordinateError(f"{path}: line {reader.line_num}: {error}") from None
    if not rows:
        raise CoordinateError(f"{path}: the file is empty; even a list without picks has a header line")
    header = [field.strip().lower() for field in rows[0][1]]
    other = next((mark for mark in ",;\t" if mark != delimiter and mark in header[0]), None)
    if len(header) == 1 and other:
        raise CoordinateError(
            f"{path}: the fields of its header are separated by {other!r} instead of {delimiter!r}; export it again"
        )
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise CoordinateError(f"{path}: line {line} has {len(row)} fields, its header {len(header)}")
    return {name: [row[k] for _, row in rows[1:]] for k, name in enumerate(header)}


def write_columns(columns: dict[str, Sequence], delimiter: str) -> str:
    """Return columns as delimited text with a header line; numbers in full precision, NaN as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(number, values) for values in columns.values()), strict=True))
    return text.getvalue()


def numbers(values: Iterable[str], path: str | os.PathLike, column: str) -> np.ndarray:
    """Turn a column of text into float64; empty fields become NaN.

    Raises
    ------
    CoordinateError
        When a field is no number.
    """
    result = []
    for row, value in enumerate(values, start=1):
        try:
            result.append(float(value) if value.strip() else np.nan)
        except ValueError:
            raise CoordinateError(f"{path}: {value!r} in column {column!r} of pick {row} is not a number") from None
    return np.array(result, dtype=np.float64)


def number(value: float | str) -> str:
    """Write a number in the fewest digits that give it back, without a needless ``.0``; text as it is.

    Examples
    --------
    >>> number(996.0), number(0.1), number(float("nan")), number("a")
    ('996', '0.1', '', 'a')
    """
    if isinstance(value, str):
        return value
    if np.isnan(value):
        return ""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text
