"""Read many damaged files with every reader, and count clean errors, results and faults.

    python benchmarks/fuzzing.py [NUMBER] [--readers NAME...] [--out benchmarks/reliability/fuzzing.json]

`tests/mutated_files.py` makes the files: right ones with one to four changes, drawn from a seed. A fault is any other
exception than one of cryokit's that names the file in one line, more than `SECONDS` of processor time, or memory beyond
what the file can hold. The first one ends a reader's turn; figures of other readers are kept, and the same
command goes on to NUMBER where fewer have been read without a fault.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from cryokit._util.files import write_text

HERE = Path(__file__).resolve().parent
SECONDS = 60.0  # of processor time, for a file of a few kB
SEED = 1  # `make fuzz` draws others
GO = 2000  # files after which the figures are written down
sys.path.insert(0, str(HERE.parent / "tests"))


def written(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the section of ``RELIABILITY.md``."""
    from cryokit.benchmark import result_file

    return {
        "order": 4,
        "title": "Damaged and malicious files",
        "command": "python benchmarks/fuzzing.py NUMBER --readers NAME",
        "note": (
            "Each file is a right one with one to four random changes: bits, numbers, words; parts left out, repeated "
            "or exchanged. Either cryokit says in one line what is wrong with which file, or the result is whole; "
            "anything else is a fault."
        ),
        "table": sorted(rows, key=lambda row: (-row["files"], row["reader"])),
        "remarks": [f"{sum(row['files'] for row in rows):,} files together, drawn from the seed {SEED}."],
        "provenance": result_file.provenance(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Read the files, reader by reader, and write the figures after every `GO` of them; 1 if there were faults."""
    import mutated_files

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", nargs="?", type=int, default=10_000, help="damaged files for each reader")
    parser.add_argument("--readers", nargs="+", choices=mutated_files.names(), default=mutated_files.names())
    parser.add_argument("--out", type=Path, default=HERE / "reliability" / "fuzzing.json")
    given = parser.parse_args(arguments)
    out = given.out.resolve()
    before, faults = os.getcwd(), 0
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # readers look for what files name beside them and here
            for name in given.readers:
                faults += _read(name, given.number, Path(folder), out)
            os.chdir(before)
    finally:
        os.chdir(before)
        logging.disable(logging.NOTSET)
    return 1 if faults else 0


def _read(name: str, number: int, folder: Path, out: Path) -> int:
    """Read files with one reader until there are `number` of them, or a fault; return the number of faults."""
    import mutated_files

    rows = json.loads(out.read_text(encoding="utf-8"))["table"] if out.is_file() else []
    others = [row for row in rows if row["reader"] != name]
    # After a fault, which may have been mended, from the beginning.
    sound = (row for row in rows if row["reader"] == name and not row["faults"])
    row = next(sound, {"reader": name, "files": 0, "faults": 0})
    counts = Counter({"error": row.get("clean errors", 0), "result": row.get("whole results", 0)})
    began = time.monotonic()
    while row["files"] < number and not row["faults"]:
        files, faults = min(GO, number - row["files"]), 0
        try:
            counts += mutated_files.outcomes(name, files, SEED, folder / "mutated", first=row["files"], seconds=SECONDS)
        except AssertionError as error:
            faults = 1
            print(error, file=sys.stderr)
        row = {
            "reader": name,
            "files": counts.total() + faults,
            "clean errors": counts["error"],
            "whole results": counts["result"],
            "faults": faults,
        }
        write_text(out, json.dumps(written([*others, row]), indent=1) + "\n")
    print(f"{json.dumps(row)} {time.monotonic() - began:.0f} s", flush=True)
    return row["faults"]


if __name__ == "__main__":
    sys.exit(main())
