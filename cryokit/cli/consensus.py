"""``cryokit consensus``: what several programs or people found on the same micrographs."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryokit._util.names import coordinate_file_micrograph
from cryokit._util.wording import plural, some
from cryokit.cli.arguments import add_strip, count, named_paths, positive
from cryokit.errors import ArgumentError, CoordinateError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

EXAMPLES = """
examples:
  cryokit consensus anna.star ben.star cleo.star --diameter 108 --out consensus
  cryokit consensus cryolo=CBOX/ topaz=topaz.tsv ours=picks/ --at-least 2 --out consensus

output:
  picks/NAME.star   particles of each micrograph that enough found; the score is the share of those who found it
  particles.csv     all particles, with a column for each source: 1 if it found the particle
  agreement.csv     each pair: the particles that both found, and their F1 if one's picks were the truth

details:
  Two picks are of the same particle if they are at most a quarter of a diameter apart, matched one to one.
  Files that hold one micrograph each, named after the file, are taken to be of the same micrograph.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "picks",
        nargs="+",
        metavar="[NAME=]PATH",
        help="coordinate file, or folder of coordinate files, of each program or person, in any format",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    parser.add_argument(
        "--at-least",
        type=count,
        metavar="N",
        help="number of sources that have to have found a particle (default: more than half of them)",
    )
    parser.add_argument(
        "--diameter", type=positive, metavar="PX", help="particle diameter in pixels (default: from the files)"
    )
    parser.add_argument("--format", metavar="NAME", help="format of the files (default: detected)")
    parser.add_argument(
        "--micrograph",
        default="consensus",
        metavar="NAME",
        help="name of the micrograph, if each file is named after who picked it (default: %(default)s)",
    )
    add_strip(parser)


def run(options: argparse.Namespace) -> int:
    """Compare the sources, and write what enough of them found."""
    import pandas as pd

    from cryokit._util.csv_text import csv_text
    from cryokit._util.files import make_folder, write_text
    from cryokit.coordinates import concatenate, write_folder
    from cryokit.pickers.consensus import found_by

    paths = named_paths(options.picks)
    if len(paths) < 2:
        raise ArgumentError(f"{options.picks[0]}: nothing to compare it with; name the picks of two sources or more")
    enough = len(paths) // 2 + 1 if options.at_least is None else options.at_least
    if enough > len(paths):
        raise ArgumentError(f"--at-least {enough}: there are only {len(paths)} sources")
    sources, micrographs = _read(paths, options)
    diameter = options.diameter or _diameter(sources)
    out = make_folder(options.out)

    groups = {name: dict(tuple(picks.groupby("micrograph", sort=False))) for name, picks in sources.items()}
    tables = {
        micrograph: [groups[name].get(micrograph, picks.iloc[:0]) for name, picks in sources.items()]
        for micrograph in micrographs
    }
    agreement = _agreement(list(sources), tables.values(), diameter)
    parts, rows = [], []
    for micrograph, of_each in tables.items():
        particles, found = found_by(of_each, diameter, micrograph)
        parts.append(particles[found.sum(axis=1) >= enough])
        by_source = pd.DataFrame(found.astype(int), columns=list(sources))
        rows.append(pd.concat([particles.drop(columns="view"), by_source], axis=1))
    particles, chosen = pd.concat(rows, ignore_index=True), concatenate(parts)
    write_folder(chosen, out / "picks", "star", micrographs=micrographs)
    write_text(out / "particles.csv", csv_text(particles))
    write_text(out / "agreement.csv", csv_text(agreement))

    finders = particles[list(sources)].sum(axis=1)
    sys.stdout.write(
        _summary(sources, agreement, [int((finders == number).sum()) for number in range(len(sources) + 1)])
    )
    found = plural(len(chosen), "particle")
    logger.info("found by %d or more of %d: %s -> %s", enough, len(sources), found, out / "picks")
    return 0


def _read(paths: Mapping[str, Path], options: argparse.Namespace) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the picks of each source, and the names of the micrographs that any of them has."""
    from cryokit._util.names import matched
    from cryokit.coordinates import IGNORE, read_folder, renamed

    sources, named, known = {}, {}, {}
    for name, path in paths.items():
        strip = {"endings": options.strip, "prefixes": options.strip_prefix}
        picks, located = read_folder(path, options.format, **strip, located=True)
        called = matched(located, known)
        known |= {called[place]: place for place in located if called[place] not in known}
        named[name] = sorted(called.values())
        picks = renamed(picks, called)
        sources[name] = picks[picks["view"] != IGNORE]
    own = [[coordinate_file_micrograph(path)] if path.is_file() else None for path in paths.values()]
    if list(named.values()) == own and len({name for (name,) in own}) == len(own):
        logger.info(
            "the files are taken to be of the same micrograph, called %s here (--micrograph)", options.micrograph
        )
        return {name: picks.assign(micrograph=options.micrograph) for name, picks in sources.items()}, [
            options.micrograph
        ]
    micrographs = sorted(set().union(*named.values()))
    if not any(set(first) & set(second) for first, second in itertools.combinations(named.values(), 2)):
        listed = "; ".join(f"{name}: {some(names) or 'none'}" for name, names in named.items())
        raise CoordinateError(
            f"no two sources have a micrograph of the same name ({listed}); names are compared whole: rename the "
            "files, or strip what was added to their names (--strip)"
        )
    for name, path in paths.items():
        without = [micrograph for micrograph in micrographs if micrograph not in set(named[name])]
        if without:
            message = "%s: does not name %s, which count as without picks: %s"
            logger.warning(message, path, plural(len(without), "micrograph"), some(without))
    return sources, micrographs


def _diameter(sources: Mapping[str, pd.DataFrame]) -> float:
    """Return the median diameter of all picks."""
    import pandas as pd

    diameters = pd.concat([picks["diameter"] for picks in sources.values()])
    diameters = diameters[diameters > 0]
    if not len(diameters):
        raise CoordinateError(f"{', '.join(sources)}: the picks have no diameter; give the particle's (--diameter)")
    return float(diameters.median())


def _agreement(names: Sequence[str], tables: Sequence[Sequence[pd.DataFrame]], diameter: float) -> pd.DataFrame:
    """Return a table with a row for each pair of sources."""
    import pandas as pd

    from cryokit.evaluate import metrics
    from cryokit.pickers.consensus import shared_particles

    rows = []
    for first, second in itertools.combinations(range(len(names)), 2):
        both = sum(shared_particles(of_each[first], of_each[second], diameter) for of_each in tables)
        of_first, of_second = (sum(len(of_each[source]) for of_each in tables) for source in (first, second))
        agreed = metrics.rates(both, of_first - both, of_second - both)["f1"]
        rows.append((names[first], names[second], of_first, of_second, both, agreed))
    return pd.DataFrame(rows, columns=["first", "second", "picks_first", "picks_second", "both", "agreement"])


def _summary(sources: Mapping[str, pd.DataFrame], agreement: pd.DataFrame, finders: Sequence[int]) -> str:
    lines = ["agreement of each pair (F1 if one's picks were the truth)"]
    lines += [f"  {agreement.to_string(index=False, float_format='{:.3f}'.format)}".replace("\n", "\n  "), ""]
    lines.append("particles by the number of sources that found them")
    lines += [f"  {number} of {len(sources)}: {finders[number]}" for number in range(len(sources), 0, -1)]
    return "\n".join(lines) + "\n"
