"""LaTeX of a result: tables for the package booktabs, with everything that comes from files escaped."""

import re
import textwrap
from collections.abc import Collection, Sequence

import pandas as pd

from cryokit.benchmark import summary, tables
from cryokit.benchmark.summary import Result

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "µ": r"\textmu{}",
}  # fmt: skip
_ANY = re.compile("|".join(map(re.escape, _SPECIAL)))
# Columns of the scores that are wide enough for a page
_MAIN = ("method", "labels", "F1", "95 % interval", "SD", "F1 at 0.5", "precision", "recall", "AP", "RMS, %")
_RANGE = re.compile(r"(?<=\d)-(?=\d)")
_WITH_INTERVAL = re.compile(r"(?P<value>[\d.]+) (?P<interval>\([^()]+\))(?P<letters>(?: \w+)?)")
# Characters of a heading, and of the first column, in one line: more would make tables wider than a page
_HEADING, _FIRST = 11, 20
# Characters that a file may hold and LaTeX cannot print
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def escape(text: str) -> str:
    r"""Return a text whose characters LaTeX prints, whatever they mean to it.

    Examples
    --------
    >>> print(escape(r"50 % of \input{x}_1"))
    50 \% of \textbackslash{}input\{x\}\_1
    """
    return _ANY.sub(lambda found: _SPECIAL[found[0]], _UNPRINTABLE.sub(" ", text))


def table(frame: pd.DataFrame, caption: str, label: str, *, bold: Collection[tuple[int, int]] = ()) -> str:
    r"""Return a table for booktabs.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table whose column names are the headings; numbers have the decimals of `cryokit.benchmark.tables.DIGITS`.
    caption, label : str
        Caption, and the key that ``\ref`` finds it by.
    bold : collection of (int, int)
        Rows and columns of the cells in bold type.
    """
    numbers = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    rows = tables.formatted(frame).to_numpy().tolist()
    columns = "".join("r" if number else "l" for number in numbers)
    headings = [_stacked(_lines(name, _HEADING), column, "b") for name, column in zip(frame, columns, strict=True)]
    lines = [" & ".join(headings) + r" \\", r"\midrule"]
    for index, row in enumerate(rows):
        cells = [
            _cell(str(cell), columns[place], first=place == 0, bold=(index, place) in bold)
            for place, cell in enumerate(row)
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{tab:{label}}}",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{3pt}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _cell(text: str, column: str, *, first: bool, bold: bool) -> str:
    """Return the LaTeX of a cell: an interval goes below its value, and a long name takes several lines."""
    parts = _WITH_INTERVAL.fullmatch(text)
    if parts:
        interval = _RANGE.sub("--", escape(parts["interval"]))
        lines = [escape(parts["value"] + parts["letters"]), rf"\scriptsize {interval}"]
    else:
        lines = [_RANGE.sub("--", line) for line in _lines(text, _FIRST if first else len(text) or 1)]
    if bold:
        lines[0] = rf"\textbf{{{lines[0]}}}"
    return _stacked(lines, column, "t")


def _lines(text: str, width: int) -> list[str]:
    """Return the escaped lines of a text; single words may be longer than a line."""
    return [escape(line) for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)] or [""]


def _stacked(lines: Sequence[str], column: str, place: str) -> str:
    """Return lines below each other: aligned like the `column`, the last (b) or the first (t) of them on the row."""
    if len(lines) == 1:
        return lines[0]
    return rf"\begin{{tabular}}[{place}]{{@{{}}{column}@{{}}}}" + r"\\".join(lines) + r"\end{tabular}"


def main_tables(result: Result) -> str:
    """Return the overview of a result, one table for each ranking, and the scores on every dataset."""
    parts = [
        "% \\usepackage{booktabs} and \\usepackage{textcomp} are needed in the preamble.",
    ]
    for labels, kind in tables.RANKINGS.items():
        frame, best = tables.overview(result, labels=labels)
        if len(frame):
            caption = f"F1 with its 95 % interval, methods {kind}. {tables.marks(result)}"
            bold = {(row, column) for row, column in zip(*best.to_numpy().nonzero(), strict=True)}
            parts.append(table(frame, caption, f"overview-{'with' if labels else 'without'}-labels", bold=bold))
    for number, name in enumerate(summary.dataset_names(result), 1):
        frame = tables.scores(result, name)
        frame = frame[[column for column in _MAIN if column in frame and frame[column].notna().any()]]
        if len(frame):
            parts.append(table(frame, f"Scores on {result['datasets'][name]['title']}.", f"scores-{number}"))
    return "\n".join(parts)
