"""The APPLE picker of ASPIRE."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd

from cryokit.coordinates import concatenate, read_named, table
from cryokit.micrograph import read, write_mrc
from cryokit.pickers.external.program import Copy, ExternalPicker, run

# Shares of the windows that are taken for particles, and for not surely noise, when its classifier is trained: those of
# its defaults, which it computes for 4000 x 4000 pixels whatever the micrograph's size.
PARTICLES, DOUBTFUL = 0.03, 0.3
CONTAINER = 450  # side of the areas from which it takes references, its default
MARGIN = 1  # cut off at the border; it cannot do with none, and its own 100 are much of a small micrograph


class ApplePicker(ExternalPicker):
    """APPLE by ASPIRE's command line, ``aspire apple``: it learns from each micrograph anew, without labels.

    Its settings that depend on the micrograph's size are set by it; with its own it fails on micrographs that are not
    about 4000 pixels wide. It takes squares only: other micrographs are given to it in several that overlap. Labels say
    the diameter only. Its picks have no scores.

    Parameters
    ----------
    diameter, contrast, command
        See `ExternalPicker`.

    Notes
    -----
    Heimowitz, Anden and Singer 2018, J. Struct. Biol. 204:215.
    """

    name: ClassVar[str] = "apple"
    program: ClassVar[str] = "aspire"
    variable: ClassVar[str] = "CRYOKIT_ASPIRE"
    install: ClassVar[str] = (
        "Install ASPIRE in an environment of its own (python -m venv aspire; aspire/bin/pip install aspire)."
    )

    def _picks(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> list[pd.DataFrame]:
        return [self._one(command, copy, folder) for copy in copies]

    def _one(self, command: Sequence[str], copy: Copy, folder: Path) -> pd.DataFrame:
        data = read(copy.path).data
        tables = []
        for number, (axis, start, low, high) in enumerate(_squares(copy.shape, self.diameter_)):
            side = min(copy.shape)
            square = data[start : start + side] if axis == 0 else data[:, start : start + side]
            path = folder / "squares" / f"{copy.path.stem}s{number}.mrc"
            write_mrc(path, square)
            picks = self._square(command, path, side, folder)
            along = "y" if axis == 0 else "x"
            picks = picks.assign(**{along: picks[along] + start})
            tables.append(picks[picks[along].between(low, high, inclusive="left")])
        return concatenate(tables)

    def _square(self, command: Sequence[str], path: Path, side: int, folder: Path) -> pd.DataFrame:
        size = round(self.diameter_)
        query = size * 2 // 3 // 4 * 4  # as it computes it
        windows = 4 * side**2 / query**2
        margins = [word for edge in ("left", "right", "top", "bottom") for word in (f"--mrc_margin_{edge}", MARGIN)]
        run(
            [
                *command, "apple", "--mrc_path", path, "--output_dir", folder / "picks", "--particle_size", size,
                "--tau1", max(1, int(PARTICLES * windows)), "--tau2", max(2, int(DOUBTFUL * windows)),
                "--container_size", min(max(CONTAINER, 2 * size), side - 2 * MARGIN), *margins,
            ],
            folder,
        )  # fmt: skip
        file = folder / "picks" / f"{path.stem}_applepick.star"
        # It writes none where it finds no particle.
        return read_named(file, "star", path.stem)[0] if file.is_file() else table()


def _squares(shape: tuple[int, int], diameter: float) -> Iterator[tuple[int, int, float, float]]:
    """Yield squares that cover a micrograph: along which axis they lie, where each begins, and the part it answers for.

    What is longer by less than a particle is left out at both ends, where APPLE finds none anyway.
    """
    side, length = sorted(shape)
    axis = int(shape[1] > shape[0])
    if length - side < diameter:
        yield axis, (length - side) // 2, -math.inf, math.inf
        return
    number = math.ceil(length / side)
    starts = [round(k * (length - side) / (number - 1)) for k in range(number)]
    bounds = [-math.inf, *((a + side + b) / 2 for a, b in itertools.pairwise(starts)), math.inf]
    for k, start in enumerate(starts):
        yield axis, start, bounds[k], bounds[k + 1]
