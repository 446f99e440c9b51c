"""Write ``RELIABILITY.md`` from the measurements in a folder: a JSON file is a section.

    python benchmarks/reliability_markdown.py [FOLDER] [FILE]

A file has the keys ``title``, ``command`` (how it was measured), ``note``, ``provenance``
(`cryokit.benchmark.result_file.provenance`), ``table`` (a list of rows, which are mappings from column to value), and,
to place it among the others, ``order``. ``remarks``, a list of sentences, may follow the table. The same files give the
same bytes; `check` compares a file with what would be generated.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryokit._util.files import write_text

HERE = Path(__file__).resolve().parent
_BEGINNING = """\
# Reliability

What happens to long runs when processes are killed, workers are lost, files are broken and micrographs are many.
Generated from the files in `reliability/` by `python benchmarks/reliability_markdown.py`; changes by hand are lost."""


def section(content: Mapping[str, Any]) -> str:
    """Return the section of one measurement.

    Examples
    --------
    >>> print(section({"title": "A", "command": "b", "note": "C.", "table": [{"n": 1, "share": 0.5}, {"n": 2000}]}))
    ## A
    <BLANKLINE>
    C.
    <BLANKLINE>
    `b`
    <BLANKLINE>
    | n | share |
    | --: | --: |
    | 1 | 0.5 |
    | 2,000 | - |
    """
    rows = content["table"]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    numbers = {name for name in columns if all(isinstance(row.get(name, 0), int | float) for row in rows)}
    lines = [columns, ["--:" if name in numbers else ":--" for name in columns]]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    remarks = "\n".join(f"- {sentence}" for sentence in content.get("remarks", ()))
    parts = [f"## {content['title']}", content["note"], f"`{content['command']}`{_where(content)}", table, remarks]
    return "\n\n".join(part for part in parts if part)


def generated(folder: str | os.PathLike) -> str:
    """Return the document on the measurements in a folder."""
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))]
    contents.sort(key=lambda content: content.get("order", 100))
    return "\n\n".join([_BEGINNING, *map(section, contents)]) + "\n"


def check(folder: str | os.PathLike, file: str | os.PathLike) -> str:
    """Return the first lines in which a file differs from what would be generated; empty if none does."""
    present = Path(file).read_text(encoding="utf-8").splitlines() if Path(file).is_file() else []
    lines = difflib.unified_diff(present, generated(folder).splitlines(), str(file), "generated", lineterm="", n=1)
    return "\n".join(line for _, line in zip(range(40), lines, strict=False))


def _where(content: Mapping[str, Any]) -> str:
    known = content.get("provenance", {})
    machine = known.get("machine", {})
    parts = [known.get("date", "")[:10]]
    if machine:
        parts.append(f"{machine['cores']} cores, {machine['memory_gb']:g} GB")
    if "cryokit" in known:
        parts.append(f"cryokit {known['cryokit']}")
    return f" ({'; '.join(part for part in parts if part)})" if known else ""


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("|", r"\|")


def main(folder: str = str(HERE / "reliability"), file: str = str(HERE / "RELIABILITY.md")) -> None:
    """Write the document."""
    write_text(file, generated(folder))
    print(f"{file}: written")


if __name__ == "__main__":
    main(*sys.argv[1:])
