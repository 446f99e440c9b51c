"""``cryokit demo``: the main job on simulated micrographs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cryokit.cli.arguments import count
from cryokit.cli.simulate import PROTEINS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="default %(default)s")
    parser.add_argument("--protein", choices=PROTEINS, default="klh", help="default %(default)s")
    parser.add_argument("-n", "--micrographs", type=count, default=4, metavar="N", help="how many (default 4)")
    parser.add_argument(
        "--shape", type=count, nargs=2, default=(2048, 2048), metavar=("ROWS", "COLUMNS"), help="default 2048 2048"
    )
    parser.add_argument("--seed", type=int, default=0, help="default 0")


def run(options: argparse.Namespace) -> int:
    """Run the demo and say where the report is."""
    from cryokit.cli.demonstration import demo

    report, _ = demo(
        options.out,
        protein=options.protein,
        micrographs=options.micrographs,
        shape=tuple(options.shape),
        seed=options.seed,
    )
    sys.stdout.write(f"report: {report.resolve()}\n")
    return 0
