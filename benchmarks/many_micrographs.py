"""Measure picking of more and more micrographs: how time and memory grow, and what broken files do.

    python benchmarks/many_micrographs.py [--numbers 10 100 1000 10000] [--out benchmarks/reliability/throughput.json]

    python benchmarks/many_micrographs.py --soak 2000 --side 640 --method auto [--out benchmarks/reliability/soak.json]

The first picks folders of small micrographs with `template`, the second one a folder of which 1 % (`--share`)
is broken in many ways. Each run is a process of its own; memory is its peak.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryokit._util.files import write_text
from cryokit._util.plain import json_text
from cryokit.benchmark import result_file
from cryokit.micrograph import write_mrc
from cryokit.simulate import simulate

HERE = Path(__file__).resolve().parent
DIFFERENT = 8  # simulated micrographs, of which all others are shifted copies
DIAMETER = 76
_PICK = """\
import json, resource, sys, time
from cryokit.cli import main
began = time.perf_counter()
status = main(sys.argv[2:])
seconds = time.perf_counter() - began
from cryokit.benchmark.cells import peak_memory
json.dump({"status": status, "seconds": seconds, "memory_mb": peak_memory()}, open(sys.argv[1], "w"))
"""


def make(folder: Path, number: int, side: int) -> None:
    """Write micrographs: a few are simulated, the others are these, rolled, with noise of their own."""
    folder.mkdir(parents=True)
    different = [simulate("apoferritin", shape=(side, side), seed=seed)[0].data for seed in range(DIFFERENT)]
    random = np.random.default_rng(0)
    for index in range(number):
        data = np.roll(different[index % DIFFERENT], random.integers(0, side, 2), (0, 1))
        data = data + random.normal(0, 0.1 * data.std(), data.shape)
        write_mrc(folder / f"m{index:05d}.mrc", data.astype(np.float32), pixel_size=1.6)


def broken_ways(good: bytes) -> dict[str, bytes | None]:
    """Return the contents of files that cannot be picked, by what is wrong; None for a link to nothing."""
    header, pixels = good[:1024], np.frombuffer(good[1024:], np.float32)
    negative = bytearray(header)
    negative[0:4] = np.int32(-5).tobytes()
    promised = bytearray(header)
    promised[0:8] = np.array([100000, 100000], np.int32).tobytes()
    return {
        "empty": b"",
        "no MRC file": b"this is no micrograph" * 100,
        "header cut short": good[:500],
        "pixels cut short": good[: len(good) // 2],
        "negative size": bytes(negative) + good[1024:],
        "more promised than there is": bytes(promised) + good[1024:],
        "NaN": header + np.full_like(pixels, np.nan).tobytes(),
        "constant": header + np.full_like(pixels, 3).tobytes(),
        "infinite": header + np.where(np.arange(pixels.size) % 7, pixels, np.inf).astype(np.float32).tobytes(),
        "link to nothing": None,
    }


def damage(folder: Path, share: float) -> dict[str, str]:
    """Replace a share of micrographs by broken files; return what is wrong, by name."""
    paths = sorted(folder.iterdir())
    ways = broken_ways(paths[0].read_bytes())
    chosen = paths[7 :: max(1, round(1 / share))]
    wrong = {}
    for index, path in enumerate(chosen):
        way = list(ways)[index % len(ways)]
        path.unlink()
        if ways[way] is None:
            path.symlink_to(folder / f"{path.stem}.gone")
        else:
            path.write_bytes(ways[way])
        wrong[path.stem] = way
    return wrong


def picked(words: Sequence[Any], folder: Path) -> tuple[dict[str, Any], str]:
    """Run ``cryokit pick`` in a process; return its status, seconds and memory, and what it said."""
    told = folder / "told.json"
    command = [sys.executable, "-c", _PICK, str(told), "pick", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(HERE.parent)})
    return pd.read_json(told, typ="series").to_dict(), done.stderr


def throughput(numbers: Sequence[int], side: int) -> list[dict[str, Any]]:
    """Return a row for each number of micrographs."""
    rows = []
    for number in numbers:
        folder = Path(tempfile.mkdtemp(prefix="cryokit-many-"))
        try:
            make(folder / "in", number, side)
            words = [folder / "in", "--out", folder / "out", "--method", "template", "--diameter", DIAMETER]
            first, _ = picked(words, folder)
            again, _ = picked(words, folder)
            rows.append(
                {
                    "micrographs": number,
                    "seconds": round(first["seconds"], 1),
                    "micrographs per second": round(number / first["seconds"], 2),
                    "peak memory (MB)": round(first["memory_mb"]),
                    "status": int(first["status"]),
                    "seconds of the same command again": round(again["seconds"], 1),
                }
            )
            print(rows[-1], flush=True)
        finally:
            shutil.rmtree(folder)
    return rows


def soak(number: int, side: int, method: Sequence[str], share: float = 0.01) -> list[dict[str, Any]]:
    """Return one row for each way of being broken, after one for the whole."""
    folder = Path(tempfile.mkdtemp(prefix="cryokit-soak-"))
    try:
        make(folder / "in", number, side)
        wrong = damage(folder / "in", share)
        began = time.perf_counter()
        found, said = picked([folder / "in", "--out", folder / "out", *method], folder)
        listed = set(pd.read_csv(folder / "out" / "micrographs.csv")["micrograph"])
        good = {path.stem for path in (folder / "in").iterdir()} - set(wrong)
        reasons = {name: [line for line in said.splitlines() if f"{name}.mrc" in line] for name in wrong}
        rows = [
            {
                "files": "good",
                "number": len(good),
                "picked": len(good & listed),
                "listed with a reason": 0,
                "status": int(found["status"]),
                "peak memory (MB)": round(found["memory_mb"]),
                "seconds": round(time.perf_counter() - began, 1),
            }
        ]
        for way in dict.fromkeys(wrong.values()):
            names = [name for name in wrong if wrong[name] == way]
            rows.append(
                {
                    "files": way,
                    "number": len(names),
                    "picked": len(listed & set(names)),
                    "listed with a reason": sum(bool(reasons[name]) for name in names),
                }
            )
        return rows
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[10, 100, 1000, 10000])
    parser.add_argument("--soak", type=int, metavar="N")
    parser.add_argument("--share", type=float, default=0.01, help="share of broken files (default: 0.01)")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.soak:
        words = ["--method", options.method, "--diameter", str(DIAMETER)]
        content = {
            "order": 3,
            "title": f"A session of which {options.share:.0%} is broken",
            "command": f"python benchmarks/many_micrographs.py --soak {options.soak} --side {options.side} "
            f"--method {options.method} --share {options.share:g}",
            "note": f"{options.soak} micrographs of {options.side} x {options.side} pixels with `{options.method}`. A "
            "status of 1 says that there were files that failed.",
            "table": soak(options.soak, options.side, words, options.share),
        }
    else:
        content = {
            "order": 2,
            "title": "More and more micrographs",
            "command": "python benchmarks/many_micrographs.py --numbers " + " ".join(map(str, options.numbers)),
            "note": f"Micrographs of {options.side} x {options.side} pixels with `template`, one process; the time "
            "includes the start of the program and the fit.",
            "table": throughput(options.numbers, options.side),
        }
    content["provenance"] = result_file.provenance()
    name = "soak.json" if options.soak else "throughput.json"
    write_text(options.out or HERE / "reliability" / name, json_text(content))


if __name__ == "__main__":
    main()
