"""Tables as the text of CSV files, in which no spreadsheet finds a formula.

A cell of text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return would be computed by the program
that opens the file, and the name of a file can be anything. Such a text gets an apostrophe before it (as OWASP, CSV
injection, recommends), and so does one that begins with apostrophes and such a character, so that reading can undo it.
"""

import csv
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")


def csv_text(table: "pd.DataFrame", *, float_format: str | None = None) -> str:
    """Return the text of a table, in which columns of text are defused and lines end with a line feed."""
    texts = table.select_dtypes(["object", "string"]).columns
    defused = table.assign(**{name: table[name].map(_with_apostrophe) for name in texts})
    # Python before 3.13 leaves a carriage return in a field without quotation marks.
    returns = any(defused[name].astype(str).str.contains("\r").any() for name in texts)
    quoting = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    return defused.to_csv(index=False, float_format=float_format, lineterminator="\n", quoting=quoting)


def without_apostrophe(text: str) -> str:
    """Return a text as it was before it was defused.

    Examples
    --------
    >>> without_apostrophe("'=1+1"), without_apostrophe("'=1+1'"[1:]), without_apostrophe("'a'")
    ('=1+1', "=1+1'", "'a'")
    """
    return text[1:] if _DEFUSED.match(text) else text


def _with_apostrophe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
