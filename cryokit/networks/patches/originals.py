"""Go through the micrographs once, cut patches from each, and keep a random sample of them for each class."""

import logging
import math
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.wording import plural, some
from cryokit.datasets.integrity import sha256
from cryokit.errors import MicrographError, PickerError
from cryokit.micrograph import Micrograph, MicrographLike, read
from cryokit.networks.patches.background import background_places
from cryokit.networks.patches.cutting import PatchSource
from cryokit.networks.patches.rows import BACKGROUND, Diameters

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Original:
    """A patch as it was cut, its centre in pixels of the micrograph, and its number and place in the random order."""

    micrograph: str
    diameter: float
    x: float
    y: float
    number: int
    priority: float
    patch: NDArray[np.uint8]


class Pool:
    """The originals of one class with the lowest priorities: a random sample that needs no more memory than `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = math.inf  # originals of a higher priority have no chance any more
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


def gather(
    micrographs: Iterable[MicrographLike],
    rows: pd.DataFrame,
    prepare: Callable[[Micrograph], PatchSource],
    pools: dict[str, Pool],
    *,
    diameters: Diameters,
    clearance: float,
    seed: int,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Cut the patches of all micrographs, one micrograph in memory at a time, into pools.

    Randomness is tied to the name of a micrograph and the seed, so the order of the micrographs plays no role.

    Parameters
    ----------
    micrographs : iterable of Micrograph or path
        Micrographs to cut patches from.
    rows : pandas.DataFrame
        Table as `cryokit.networks.patches.rows.labelled_rows` returns it.
    prepare : callable
        Function that makes a micrograph ready to cut from.
    pools : dict of str to Pool
        Empty pool of each class, to be filled.
    diameters : Diameters
        Particle diameter in each micrograph.
    clearance, seed
        As in `cryokit.networks.patches.build`.

    Returns
    -------
    manifest : list of dict
        One entry for each micrograph, in the order of their names.
    left_out : dict
        ``beyond_the_border``: number of rows, by class, whose square reaches beyond the recorded area;
        ``on_other_micrographs``: number of rows on micrographs that were not given; ``micrographs``: names of
        micrographs that cannot be used, and why.

    Raises
    ------
    PickerError
        If a picture is given twice, or no row is on the micrographs.
    MicrographError
        If there is no micrograph, or none can be used.
    """
    from tqdm import tqdm

    if isinstance(micrographs, (str, os.PathLike, Micrograph)):
        micrographs = [micrographs]
    manifest: list[dict[str, Any]] = []
    outside: Counter[str] = Counter()
    problems: dict[str, str] = {}
    rows_of = dict(iter(rows.groupby("micrograph")))
    for item in tqdm(micrographs, desc="cutting patches", unit="micrograph", disable=None):
        try:
            micrograph = item if isinstance(item, Micrograph) else read(item)
            entry = _entry(micrograph, manifest)
            source = prepare(micrograph)
        except MicrographError as error:
            problems[(item.name or "(no name)") if isinstance(item, Micrograph) else os.fspath(item)] = str(error)
            logger.error("%s", error)
            continue
        name, diameter = micrograph.name, diameters.of(micrograph.name)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        own_rows = rows_of.get(name, rows.iloc[:0])
        own_rows = own_rows.assign(number=own_rows.index, priority=rng.random(len(own_rows)))
        inside = source.inside(own_rows["x"], own_rows["y"])
        outside.update(kind for kind in own_rows.loc[~inside, "class"] if kind in pools)
        candidates = dict(iter(own_rows[inside].groupby("class")))
        if BACKGROUND in pools:
            radius = own_rows["diameter"].fillna(diameter).to_numpy() / 2 + clearance * diameter
            candidates[BACKGROUND] = _background(source, own_rows, radius, pools[BACKGROUND].most, len(rows), rng)
        for kind, of_kind in candidates.items():
            if kind in pools:
                chosen = of_kind[of_kind["priority"] < pools[kind].limit]
                # Copies, so that a patch does not keep all others of its micrograph in memory.
                patches = [patch.copy() for patch in source.cut(chosen["x"], chosen["y"])]
                values = chosen[["x", "y", "number", "priority"]].itertuples(index=False, name=None)
                pools[kind].add(
                    Original(name, diameter, *row, patch) for row, patch in zip(values, patches, strict=True)
                )
        entry.update(
            diameter=diameter,
            pixels_per_patch_pixel=source.side / source.size,
            enlarged=1 / source.step,
            patches={kind: len(candidates.get(kind, ())) for kind in pools},
        )
        manifest.append(entry)
    if not manifest:
        reasons = "\n  ".join(problems.values())
        raise MicrographError(
            f"none of the micrographs can be used:\n  {reasons}" if reasons else "no micrographs given"
        )
    manifest.sort(key=lambda entry: entry["name"])
    _tell_enlarged(manifest)
    elsewhere = _elsewhere([entry["name"] for entry in manifest], rows, BACKGROUND in pools)
    return manifest, {"beyond_the_border": outside, "on_other_micrographs": elsewhere, "micrographs": problems}


def _entry(micrograph: Micrograph, manifest: list[dict[str, Any]]) -> dict[str, Any]:
    """Begin the entry of a micrograph, unless it is in the manifest already."""
    name, path = micrograph.name, micrograph.path
    if not name:
        raise MicrographError("a micrograph has no name, which its particles are found by; set Micrograph.name")
    digest = sha256(path) if path is not None and os.path.isfile(path) else None
    for other in manifest:
        if other["name"] == name:
            raise PickerError(
                f"the micrograph {name} is given twice; give each once (of two with one name, rename one)"
            )
        if digest is not None and other["sha256"] == digest:
            raise PickerError(
                f"{other['name']} and {name} are the same file under two names; leave one out, or its patches could be "
                "in the training and the test"
            )
    rows, columns = micrograph.data.shape
    path = None if path is None else os.fspath(path)
    return {"name": name, "path": path, "sha256": digest, "rows": rows, "columns": columns}


def _background(
    source: PatchSource, rows: pd.DataFrame, radius: NDArray, most: int, first_number: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return places of background away from the discs around all rows, with numbers and random priorities.

    The numbers are made final when the set is put together; here they only have to differ from those of the rows.
    """
    x, y = background_places(source, rows["x"].to_numpy(), rows["y"].to_numpy(), radius, most, rng)
    order = np.arange(len(x))
    # The first place of every micrograph comes before the second of any: background from all of them alike.
    return pd.DataFrame({"x": x, "y": y, "number": first_number + order, "priority": order + rng.random(len(x))})


def _tell_enlarged(manifest: list[dict[str, Any]]) -> None:
    enlarged = [entry for entry in manifest if entry["enlarged"] > 1]
    if enlarged:
        logger.info(
            "the patches of %s (%s) are enlarged up to %.2f times by cubic splines, which adds no detail",
            plural(len(enlarged), "micrograph"),
            some([entry["name"] for entry in enlarged]),
            max(entry["enlarged"] for entry in enlarged),
        )


def _elsewhere(names: list[str], rows: pd.DataFrame, background: bool) -> int:
    """Return the number of rows on other micrographs; warn of them, and of micrographs without rows."""
    elsewhere = rows[~rows["micrograph"].isin(names)]
    named = some(sorted(set(elsewhere["micrograph"])))
    if len(rows) and len(elsewhere) == len(rows):
        raise PickerError(
            f"no row of the particles is on the micrographs given: the table names {named}, the micrographs are "
            f"{some(names)}"
        )
    if len(elsewhere):
        logger.warning(
            "%s of the particles left out: their micrographs (%s) were not given or cannot be used",
            plural(len(elsewhere), "row"),
            named,
        )
    without = sorted(set(names) - set(rows["micrograph"]))
    if without and background:
        logger.warning(
            "%s without rows in the table of particles (%s): taken as empty, all of it as background",
            plural(len(without), "micrograph"),
            some(without),
        )
    return len(elsewhere)
