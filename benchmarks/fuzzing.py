"""Read many damaged files with every reader, and count clean errors, results and faults.

    python benchmarks/fuzzing.py [NUMBER] [--readers NAME...] [--seed 1] [--out benchmarks/reliability/fuzzing.json]

`tests/mutated_files.py` makes the files: right ones with one to four changes, drawn from a seed. A fault is any other
exception than one of cryokit's that names the file in one line, more than `SECONDS` of processor time, or memory beyond
what the file can hold. The first one ends a reader's turn; the figures so far are kept, as are those of other readers,
and the same command goes on to NUMBER where fewer have been read.
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

HERE = Path(__file__).resolve().parent
SECONDS = 60.0  # of processor time, for a file of a few kB
GO = 2000  # files after which the figures are written down
sys.path.insert(0, str(HERE.parent / "tests"))


def written(rows: list[dict[str, Any]], seed: int) -> dict[str, Any]:
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
        "remarks": [f"{sum(row['files'] for row in rows):,} files together, drawn from the seed {seed}."],
        "provenance": result_file.provenance(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Read the files, reader by reader, and write the figures after every `GO` of them; 1 if there were faults."""
    import mutated_files

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", nargs="?", type=int, default=10_000, help="damaged files for each reader")
    parser.add_argument("--readers", nargs="+", choices=mutated_files.names(), default=mutated_files.names())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "reliability" / "fuzzing.json")
    given = parser.parse_args(arguments)
    out = given.out.resolve()
    logging.disable(logging.CRITICAL)
    faulty = False
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # readers look for what files name beside them and here
        for name in given.readers:
            rows = json.loads(out.read_text(encoding="utf-8"))["table"] if out.is_file() else []
            others = [row for row in rows if row["reader"] != name]
            row = next((row for row in rows if row["reader"] == name), {"files": 0, "faults": 0})
            counts = Counter({"error": row.get("clean errors", 0), "result": row.get("whole results", 0)})
            faults, began = row["faults"], time.monotonic()
            while counts.total() + faults < given.number and not faults:
                left = given.number - counts.total()
                try:
                    counts += mutated_files.outcomes(
                        name,
                        min(GO, left),
                        given.seed,
                        Path(folder) / "mutated",
                        first=counts.total(),
                        seconds=SECONDS,
                    )
                except AssertionError as error:
                    faults, faulty = faults + 1, True
                    print(error, file=sys.stderr)
                row = {
                    "reader": name,
                    "files": counts.total() + faults,
                    "clean errors": counts["error"],
                    "whole results": counts["result"],
                    "faults": faults,
                }
                text = json.dumps(written([*others, row], given.seed), indent=1)
                out.write_text(text + "\n", encoding="utf-8")
            print(f"{json.dumps(row)} {time.monotonic() - began:.0f} s", flush=True)
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
