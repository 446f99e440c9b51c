"""LaTeX of a result: tables for the package booktabs, with everything that comes from files escaped."""

import re
from collections.abc import Collection

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
    lines = [" & ".join(escape(str(name)) for name in frame) + r" \\", r"\midrule"]
    for index, row in enumerate(rows):
        cells = [_RANGE.sub("--", escape(str(cell))) for cell in row]
        cells = [rf"\textbf{{{cell}}}" if (index, place) in bold else cell for place, cell in enumerate(cells)]
        lines.append(" & ".join(cells) + r" \\")
    columns = "".join("r" if number else "l" for number in numbers)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{tab:{label}}}",
            r"\small",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


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
        frame = frame[[column for column in _MAIN if column in frame]]
        if len(frame):
            parts.append(table(frame, f"Scores on {result['datasets'][name]['title']}.", f"scores-{number}"))
    return "\n".join(parts)
