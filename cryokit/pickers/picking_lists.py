"""The lists of a folder with picks: ``picks.csv``, ``micrographs.csv`` and RELION's ``autopick.star``.

They are made last and whole, of the coordinate files beside them, and removed before any of these changes: whenever a
process is killed, lists are absent or right.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from cryokit import coordinates
from cryokit._util.files import writing
from cryokit._util.names import coordinate_file_micrograph
from cryokit._util.wording import some
from cryokit.coordinates import concatenate
from cryokit.coordinates.csv import write_tables
from cryokit.pickers import verdicts
from cryokit.pickers.file_tasks import Item, Outputs

logger = logging.getLogger(__name__)

PICKS, QUALITIES, RELION = "picks.csv", "micrographs.csv", "autopick.star"
_TOGETHER = 100  # micrographs whose picks are in memory at a time


@dataclass(frozen=True)
class Listed:
    """A micrograph that has been picked; its picks are got when they are written."""

    item: Item
    quality: verdicts.Quality
    picks: Callable[[], pd.DataFrame]


def remove_lists(outputs: Outputs) -> None:
    """Remove the lists of a folder, since coordinate files are about to change."""
    # The one that names the others goes first.
    for name in (RELION, PICKS, QUALITIES):
        with writing(outputs.folder / name):
            (outputs.folder / name).unlink(missing_ok=True)


def have_lists(outputs: Outputs) -> bool:
    """Tell whether a folder has all its lists."""
    wanted = [PICKS, QUALITIES, *([RELION] if "star" in outputs.formats else [])]
    return all((outputs.folder / name).is_file() for name in wanted)


def write_lists(outputs: Outputs, listed: Sequence[Listed]) -> pd.DataFrame:
    """Write the lists of a folder, and return the qualities.

    Parameters
    ----------
    outputs : Outputs
        What has been written of each micrograph.
    listed : sequence of Listed
        Micrographs that have been picked, in the order of the lists.

    Returns
    -------
    pandas.DataFrame
        Quality of each micrograph (`cryokit.pickers.verdicts.compared`).
    """
    remove_lists(outputs)
    _warn_of_missing_picks([entry.quality for entry in listed])
    write_tables(outputs.folder / PICKS, _tables(listed))
    qualities = verdicts.compared([entry.quality for entry in listed])
    verdicts.write(qualities, outputs.folder / QUALITIES)
    # Without STAR files an older list would lead readers of the folder to older picks.
    if "star" in outputs.formats:
        files = {entry.item.path: outputs.coordinates(entry.item.name)["star"] for entry in listed}
        unlisted: list[str] = []
        coordinates.write_list(outputs.folder / RELION, files, problems=unlisted)
        for problem in unlisted:
            logger.warning("%s", problem)
    return qualities


def warn_of_older_results(folder: Path, names: Iterable[str]) -> None:
    """Warn of coordinate files of other micrographs in a folder."""
    files = {os.path.basename(name) for name in names}
    older = [
        file.name
        for file in sorted(folder.iterdir())
        if file.name.lower().endswith(coordinates.SUFFIXES)
        and file.name not in (PICKS, QUALITIES, RELION)
        and coordinate_file_micrograph(file) not in files
    ]
    if older:
        logger.warning("%s holds coordinate files of other micrographs, which stay there: %s", folder, some(older))


def _tables(listed: Iterable[Listed]) -> Iterator[pd.DataFrame]:
    left = iter(listed)
    while part := list(islice(left, _TOGETHER)):
        yield concatenate(entry.picks() for entry in part)


def _warn_of_missing_picks(qualities: Sequence[verdicts.Quality]) -> None:
    """Warn if most micrographs are without picks: their number alone would not tell an empty one from a failure."""
    empty = [quality.micrograph for quality in qualities if not quality.picks]
    if empty and len(empty) >= len(qualities) / 2:
        logger.warning(
            "no particles in %d of %d micrographs (%s); if there are any, give --diameter and --contrast, or look "
            "at the candidates of a lower --threshold (--overlays)",
            len(empty),
            len(qualities),
            some(empty),
        )
