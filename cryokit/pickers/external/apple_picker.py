"""The APPLE picker of ASPIRE."""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd

from cryokit import coordinates
from cryokit.coordinates import concatenate, table
from cryokit.micrograph import read, write_mrc
from cryokit.pickers.external.program import Copy, ExternalPicker, run

# Shares of the windows that count as particles, and as not surely noise, when its classifier is trained: those of its
# defaults, which it computes for 4000 x 4000 pixels whatever the size of the micrograph.
PARTICLES, DOUBTFUL = 0.03, 0.3
CONTAINER = 450  # side of the areas from which it takes references, its default
MARGIN = 1  # pixels cut off at the border; it cannot do with none, and its own 100 are much of a small micrograph


class ApplePicker(ExternalPicker):
    """APPLE by ASPIRE's command line, ``aspire apple``: it learns from each micrograph anew, without labels.

    Those of its settings that depend on the size of the micrograph are set here: with its defaults APPLE fails on
    micrographs that are not about 4000 pixels wide. It takes squares only, so other micrographs are divided into
    several that overlap. Labels only give the diameter. The picks have no scores.

    Parameters
    ----------
    diameter, contrast, command
        See `ExternalPicker`.

    Notes
    -----
    Heimowitz, Anden and Singer 2018, J. Struct. Biol. 204:215.
    """

    program: ClassVar[str] = "aspire"
    variable: ClassVar[str] = "CRYOKIT_ASPIRE"
    install: ClassVar[str] = (
        "Install ASPIRE in an environment of its own (python -m venv aspire; aspire/bin/pip install aspire)."
    )

    def _picks(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> list[pd.DataFrame]:
        return [self._pick_copy(command, copy, folder) for copy in copies]

    def _pick_copy(self, command: Sequence[str], copy: Copy, folder: Path) -> pd.DataFrame:
        data = read(copy.path).data
        tables = []
        for number, (axis, start, low, high) in enumerate(_squares(copy.shape, self.diameter_)):
            side = min(copy.shape)
            square = data[start : start + side] if axis == 0 else data[:, start : start + side]
            path = folder / "squares" / f"{copy.path.stem}s{number}.mrc"
            write_mrc(path, square)
            picks = self._pick_square(command, path, side, folder)
            along = "y" if axis == 0 else "x"
            picks = picks.assign(**{along: picks[along] + start})
            tables.append(picks[picks[along].between(low, high, inclusive="left")])
        return concatenate(tables)

    def _pick_square(self, command: Sequence[str], path: Path, side: int, folder: Path) -> pd.DataFrame:
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
        # It writes none for a square without particles.
        return coordinates.read(file, "star", path.stem) if file.is_file() else table()


def _squares(shape: tuple[int, int], diameter: float) -> Iterator[tuple[int, int, float, float]]:
    """Yield squares that cover a micrograph: the axis along which they lie, the start of each, and its share of picks.

    The share is the interval between the middles of the overlaps with its neighbours. Where the micrograph is longer
    than the square by less than a particle, both ends are left out: APPLE finds nothing there anyway.
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
