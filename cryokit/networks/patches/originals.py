"""Going through the micrographs once: what is cut from each, and what of it is kept."""

from __future__ import annotations

import logging
import math
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.wording import plural, some
from cryokit.datasets.integrity import sha256
from cryokit.errors import MicrographError, PickerError
from cryokit.micrograph import Micrograph, MicrographLike, read
from cryokit.networks.patches import background
from cryokit.networks.patches.cutting import PatchSource
from cryokit.networks.patches.rows import BACKGROUND, Diameters

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Original:
    """A patch as it was cut."""

    micrograph: str
    x: float
    y: float
    number: int
    priority: float
    patch: NDArray[np.uint8]


class Pool:
    """The originals of one class with the lowest priorities: a random sample that needs no more memory than `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = math.inf  # a higher priority has no chance any more
        self.originals: list[Original] = []

    def __len__(self) -> int:
        return len(self.originals)

    def add(self, originals: Iterable[Original]) -> None:
        """Take in originals, and drop those with the highest priorities beyond `most`."""
        self.originals.extend(originals)
        self.originals.sort(key=lambda original: original.priority)
        if len(self.originals) >= self.most:
            del self.originals[self.most :]
            self.limit = self.originals[-1].priority


@dataclass
class Gathered:
    """The originals by class, and what happened on the way to them.

    Attributes
    ----------
    pools : dict of str to Pool
    manifest : list of dict
        One entry for each micrograph, in order of their names.
    outside : Counter
        Rows by class whose square reaches beyond the recorded area.
    problems : dict of str to str
        Micrographs that cannot be used, and why.
    elsewhere : int
        Rows on micrographs that were not given.
    """

    pools: dict[str, Pool]
    manifest: list[dict[str, Any]] = field(default_factory=list)
    outside: Counter = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)
    elsewhere: int = 0


def gather(
    micrographs: Iterable[MicrographLike],
    rows: pd.DataFrame,
    prepare: Callable[[Micrograph], PatchSource],
    pools: dict[str, Pool],
    *,
    diameters: Diameters,
    clearance: float,
    seed: int,
) -> Gathered:
    """Cut the patches of all micrographs, one micrograph in memory at a time, into pools.

    Chance is tied to the name of a micrograph and the seed, so the order of the micrographs plays no role.

    Parameters
    ----------
    micrographs : iterable of Micrograph or path
    rows : pandas.DataFrame
        As `cryokit.networks.patches.rows.validated` returns it.
    prepare : callable
        Makes a micrograph ready to cut from.
    pools : dict of str to Pool
        Empty, by class.
    diameters : Diameters
    clearance, seed
        As in `cryokit.networks.patches.build`.

    Raises
    ------
    PickerError
        When a picture is given twice.
    MicrographError
        When there is no micrograph, none can be used, or one has no name.
    """
    from tqdm import tqdm

    if isinstance(micrographs, (str, os.PathLike, Micrograph)):
        micrographs = [micrographs]
    found = Gathered(pools)
    rows_of = dict(iter(rows.groupby("micrograph")))
    empty = rows.iloc[:0]
    hashes: dict[str, str] = {}
    for item in tqdm(micrographs, desc="cutting patches", unit="micrograph", disable=None):
        try:
            micrograph = item if isinstance(item, Micrograph) else read(item)
            entry = _described(micrograph, hashes, {each["name"] for each in found.manifest})
            picture = prepare(micrograph)
        except MicrographError as error:
            found.problems[_called(item)] = str(error)
            logger.error("%s", error)
            continue
        name = micrograph.name
        diameter = diameters.of(name)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        here = rows_of.get(name, empty)
        counts = _cut_particles(name, picture, here, found, rng)
        if BACKGROUND in pools:
            counts[BACKGROUND] = _cut_background(
                name, picture, here, diameter, clearance, pools[BACKGROUND], len(rows), rng
            )
        entry.update(
            diameter=diameter,
            pixels_per_patch_pixel=picture.side / picture.size,
            enlarged=1 / picture.step,
            patches=counts,
        )
        found.manifest.append(entry)
    if not found.manifest:
        reasons = "\n  ".join(found.problems.values())
        raise MicrographError(
            f"none of the micrographs can be used:\n  {reasons}" if reasons else "no micrographs given"
        )
    found.manifest.sort(key=lambda entry: entry["name"])
    _compare_names(found, rows)
    enlarged = [entry for entry in found.manifest if entry["enlarged"] > 1]
    if enlarged:
        logger.info(
            "the patches of %s (%s) are enlarged up to %.2f times by cubic splines: they show no more than is there",
            plural(len(enlarged), "micrograph"),
            some([entry["name"] for entry in enlarged]),
            max(entry["enlarged"] for entry in enlarged),
        )
    return found


def _called(item: MicrographLike) -> str:
    return (item.name or "(no name)") if isinstance(item, Micrograph) else os.fspath(item)


def _described(micrograph: Micrograph, hashes: dict[str, str], known: set[str]) -> dict[str, Any]:
    """Begin a micrograph's entry of the manifest."""
    name = micrograph.name
    if not name:
        raise MicrographError("a micrograph has no name, so its particles cannot be told; set Micrograph.name")
    if name in known:
        raise PickerError(f"the micrograph {name} is given twice; give each once (of two with one name, rename one)")
    digest = None
    if micrograph.path is not None and os.path.isfile(micrograph.path):
        digest = sha256(micrograph.path)
        if digest in hashes:
            raise PickerError(
                f"{hashes[digest]} and {name} are the same file under two names; its patches would be in training "
                "and in the test, so leave one out"
            )
        hashes[digest] = name
    rows, columns = micrograph.data.shape
    path = None if micrograph.path is None else os.fspath(micrograph.path)
    return {"name": name, "path": path, "sha256": digest, "rows": rows, "columns": columns}


def _cut_particles(
    name: str, picture: PatchSource, here: pd.DataFrame, found: Gathered, rng: np.random.Generator
) -> dict[str, int]:
    """Offer patches of one micrograph's rows to the pools; return how many there are by class."""
    counts = {}
    priority = pd.Series(rng.random(len(here)), index=here.index)
    inside = pd.Series(picture.inside(here["x"], here["y"]), index=here.index)
    for kind, pool in found.pools.items():
        if kind == BACKGROUND:
            continue
        mine = here.index[here["class"] == kind]
        usable = mine[inside[mine].to_numpy()]
        counts[kind] = len(usable)
        if len(usable) < len(mine):
            found.outside[kind] += len(mine) - len(usable)
        kept = usable[(priority[usable] < pool.limit).to_numpy()]
        x, y = here.loc[kept, "x"].to_numpy(), here.loc[kept, "y"].to_numpy()
        pool.add(_originals(name, picture, x, y, kept.to_numpy(), priority[kept].to_numpy()))
    return counts


def _cut_background(
    name: str,
    picture: PatchSource,
    here: pd.DataFrame,
    diameter: float,
    clearance: float,
    pool: Pool,
    first_number: int,
    rng: np.random.Generator,
) -> int:
    """Offer patches of background to their pool; return how many places there are, at most as many as it takes."""
    radius = here["diameter"].fillna(diameter).to_numpy() / 2 + clearance * diameter
    x, y = background.places(picture, here["x"].to_numpy(), here["y"].to_numpy(), radius, pool.most, rng)
    # The first of every micrograph come before the second of any: background from all of them alike.
    priority = np.arange(len(x)) + rng.random(len(x))
    kept = priority < pool.limit
    # Numbers are made final when the set is put together; here they only have to differ from the rows'.
    numbers = first_number + np.arange(len(x))[kept]
    pool.add(_originals(name, picture, x[kept], y[kept], numbers, priority[kept]))
    return len(x)


def _originals(
    name: str, picture: PatchSource, x: NDArray, y: NDArray, numbers: NDArray, priorities: NDArray
) -> list[Original]:
    if not len(x):
        return []
    # Copies, so that a patch does not keep all others of its micrograph in memory.
    patches = (patch.copy() for patch in picture.cut(x, y))
    return [
        Original(name, *map(float, place), int(number), float(priority), patch)
        for *place, number, priority, patch in zip(x, y, numbers, priorities, patches, strict=True)
    ]


def _compare_names(found: Gathered, rows: pd.DataFrame) -> None:
    """Say what in the table belongs to no micrograph, and which micrographs have nothing in the table."""
    given = [entry["name"] for entry in found.manifest]
    elsewhere = rows[~rows["micrograph"].isin(given)]
    found.elsewhere = len(elsewhere)
    if len(rows) and found.elsewhere == len(rows):
        named = some(sorted(set(rows["micrograph"])))
        raise PickerError(
            f"no row of the particles is on the micrographs given: the table names {named}, the micrographs are "
            f"{some(given)}"
        )
    if found.elsewhere:
        logger.warning(
            "%s of the particles left out: their micrographs (%s) were not given or cannot be used",
            plural(found.elsewhere, "row"),
            some(sorted(set(elsewhere["micrograph"]))),
        )
    without = sorted(set(given) - set(rows["micrograph"]))
    if without and BACKGROUND in found.pools:
        logger.warning(
            "%s without rows in the table of particles (%s): taken as empty, all of it as background",
            plural(len(without), "micrograph"),
            some(without),
        )
