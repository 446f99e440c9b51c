"""As many patches of every class in every split as asked: choose, rotate, augment."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.wording import plural, some
from cryokit.errors import PickerError
from cryokit.networks.patches import splitting
from cryokit.networks.patches.augmentation import augment
from cryokit.networks.patches.originals import Original, Pool
from cryokit.networks.patches.rows import BACKGROUND, Diameters
from cryokit.networks.patches.training_set import COLUMNS, SPLITS

logger = logging.getLogger(__name__)

TRAIN = SPLITS[0]
MOST_COPIES = 16  # of one original in training, itself included: 4 rotations, the rest augmented
_ATTEMPTS = 5


def quotas(per_class: int, validation: float, test: float) -> dict[str, int]:
    """Return how many patches of a class go to each split; splits of the share 0 are left out.

    Examples
    --------
    >>> quotas(1500, 0.2, 0.2)
    {'train': 960, 'validation': 240, 'test': 300}
    """
    asked = {"test": max(1, round(per_class * test)) if test else 0}
    remaining = per_class - asked["test"]
    asked["validation"] = max(1, round(remaining * validation)) if validation else 0
    asked["train"] = remaining - asked["validation"]
    if asked["train"] < 1:
        raise PickerError(f"per_class {per_class!r}: too few to divide into {', '.join(n for n in SPLITS if asked[n])}")
    return {name: asked[name] for name in SPLITS if asked[name]}


def divide(pools: dict[str, Pool], asked: dict[str, int], rng: np.random.Generator) -> dict[str, str]:
    """Return the split of each micrograph that has originals.

    Raises
    ------
    PickerError
        When there are fewer micrographs than splits, or a class cannot get into the training.
    """
    names = sorted({original.micrograph for pool in pools.values() for original in pool.originals})
    if len(names) < len(asked):
        raise PickerError(
            f"{plural(len(names), 'micrograph')} with patches ({some(names)}) cannot be divided into "
            f"{', '.join(asked)}, since a micrograph belongs to one of them as a whole; give more micrographs, or pass "
            "validation=0 or test=0"
        )
    number = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(pools)), np.int64)
    for column, pool in enumerate(pools.values()):
        np.add.at(counts[:, column], [number[original.micrograph] for original in pool.originals], 1)
    shares = np.array(list(asked.values())) / sum(asked.values())
    found = splitting.assign(counts, shares, rng)
    splits = list(asked)
    for index, split in enumerate(splits):
        for name, here in zip(pools, counts.T, strict=True):
            if here[found == index].any():
                continue
            where = plural(np.count_nonzero(here), "micrograph")
            if split == TRAIN:
                raise PickerError(
                    f"the class {name!r} has patches in {where} only, and however the {len(names)} micrographs "
                    f"are divided into {', '.join(splits)}, some class is missing from the training; give more "
                    "micrographs, or pass validation=0 or test=0"
                )
            logger.warning(
                "the class %r has patches in %s only: none in the split %r, which says nothing about it",
                name,
                where,
                split,
            )
    return {name: splits[index] for name, index in zip(names, found.tolist(), strict=True)}


def fill(
    pools: dict[str, Pool],
    split_of: dict[str, str],
    asked: dict[str, int],
    *,
    share: float,
    patch_diameter: float,
    diameters: Diameters,
    first_number: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], pd.DataFrame, dict[str, float]]:
    """Put the set together.

    Parameters
    ----------
    pools : dict of str to Pool
        By class.
    split_of : dict of str to str
        By micrograph.
    asked : dict of str to int
        Patches of each class by split.
    share : float
        Of the training patches that are augmented in any case.
    patch_diameter : float
        The particle's diameter in pixels of a patch.
    diameters : Diameters
        In pixels of the micrographs.
    first_number : int
        Of the background's originals.
    rng : numpy.random.Generator

    Returns
    -------
    patches : ndarray of uint8, shape (n, size, size)
    table : pandas.DataFrame
        As `TrainingSet.table`.
    told : dict
        ``identical``: originals left out because their patch was there already; ``augmented_share`` of the training
        patches.
    """
    size = next(original.patch.shape[0] for pool in pools.values() for original in pool.originals)
    patches = np.empty((len(pools) * sum(asked.values()), size, size), np.uint8)
    rows: list[tuple] = []
    seen: set[bytes] = set()
    short: list[str] = []
    identical = 0
    for split, quota in asked.items():
        spans: dict[str, slice] = {}
        for kind, pool in pools.items():
            # The order in which micrographs came, and with it that of equal priorities, must not decide.
            here = [original for original in pool.originals if split_of[original.micrograph] == split]
            here.sort(key=lambda original: (original.micrograph, original.number))
            start = len(rows)
            for original, rotation, augmented in _copies(here, rng, MOST_COPIES if split == TRAIN else 4):
                if len(rows) - start == quota:
                    break
                patch = np.rot90(original.patch, rotation // 90)
                words = ""
                if augmented:
                    changed = _augmented(patch, seen, patch_diameter, rng)
                    if changed is None:
                        continue
                    patch, words = changed
                elif not _new(patch, seen):
                    identical += rotation == 0
                    continue
                patches[len(rows)] = patch
                rows.append(
                    (
                        *(original.micrograph, original.x, original.y, diameters.of(original.micrograph), kind, split),
                        *(rotation, words, original.number),
                    )
                )
            spans[kind] = slice(start, len(rows))
            if here and len(rows) - start < quota:
                short.append(f"{kind} {len(rows) - start} of {quota} ({split}, {plural(len(here), 'cut-out')})")
        if split == TRAIN:
            share = _same_share(patches, rows, spans, share, patch_diameter, seen, rng)
    if short:
        logger.warning("too few cut-outs for as many patches as asked, with all their copies: %s", "; ".join(short))
    if identical:
        logger.warning(
            "%s identical to another (given twice, or without any grain) left out", plural(identical, "cut-out")
        )
    if len(rows) < len(patches):
        patches = patches[: len(rows)].copy()
    return patches, _table(rows, first_number), {"identical": identical, "augmented_share": share}


def _copies(originals: Sequence[Original], rng: np.random.Generator, most: int) -> Iterator[tuple[Original, int, bool]]:
    """Go through originals in random order: as they are; then rotated; then rotated and augmented, `most` of each."""
    number = len(originals)
    for index in rng.permutation(number).tolist():
        yield originals[index], 0, False
    for index in rng.permutation(3 * number).tolist():
        yield originals[index % number], 90 * (1 + index // number), False
    for _ in range(most - 4):
        for index in rng.permutation(number).tolist():
            yield originals[index], 90 * int(rng.integers(4)), True


def _same_share(
    patches: NDArray[np.uint8],
    rows: list[tuple],
    spans: dict[str, slice],
    share: float,
    diameter: float,
    seen: set[bytes],
    rng: np.random.Generator,
) -> float:
    """Augment patches, drawn at random, until that is `share` of each class, or more where a class needs it.

    If only the rare classes were augmented, a network could tell them by the traces of the filters.

    Returns
    -------
    float
        The share of all classes.
    """
    column = list(COLUMNS).index("augmentation")
    plain = {
        kind: [index for index in range(span.start, span.stop) if not rows[index][column]]
        for kind, span in spans.items()
    }
    number = {kind: span.stop - span.start for kind, span in spans.items()}
    needed = {kind: 1 - len(plain[kind]) / number[kind] for kind in spans if number[kind]}
    most = max(needed, key=needed.get)  # not empty: the first patch of all is always new
    if needed[most] > share:
        share = needed[most]
        logger.info(
            "%.0f %% of the training patches of every class are augmented, as many as %r needs to have enough",
            100 * share,
            most,
        )
    for kind in spans:
        wanted = max(0, round(share * number[kind]) - (number[kind] - len(plain[kind])))
        for index in rng.permutation(plain[kind])[:wanted].tolist():
            changed = _augmented(patches[index], seen, diameter, rng)
            if changed is not None:
                patches[index], words = changed
                rows[index] = (*rows[index][:column], words, *rows[index][column + 1 :])
    return share


def _augmented(
    patch: NDArray[np.uint8], seen: set[bytes], diameter: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], str] | None:
    """Augment so that a new patch comes of it; None if it does not: a weak Gaussian alone may change no byte."""
    for _ in range(_ATTEMPTS):
        changed, words = augment(patch, rng, diameter=diameter)
        if _new(changed, seen):
            return changed, words
    return None


def _new(patch: NDArray[np.uint8], seen: set[bytes]) -> bool:
    """Whether the patch is none of those seen before; it is one of them from now on."""
    digest = hashlib.blake2b(np.ascontiguousarray(patch), digest_size=16).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True


def _table(rows: list[tuple], first_number: int) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=dtype)
            for (name, dtype), values in zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
        }
    )
    # Background places get numbers of their own after the last row of the particles.
    places = table["class"] == BACKGROUND
    keys = table.loc[places, ["micrograph", "original"]]
    table.loc[places, "original"] = first_number + keys.groupby(["micrograph", "original"]).ngroup()
    return table
