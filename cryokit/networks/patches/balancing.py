"""As many patches of every class in every split as asked for: choose, rotate, augment."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryokit._util.wording import plural, some
from cryokit.errors import ArgumentError, PickerError
from cryokit.networks.patches import splitting
from cryokit.networks.patches.augmentation import augment
from cryokit.networks.patches.originals import Original, Pool
from cryokit.networks.patches.rows import BACKGROUND
from cryokit.networks.patches.training_set import COLUMNS, SPLITS, TrainingSet

logger = logging.getLogger(__name__)

TRAIN = SPLITS[0]
MOST_COPIES = 16  # of one original in training, itself included: 4 rotations, the rest augmented
ROTATIONS = 4  # copies of one original elsewhere
_ATTEMPTS = 5


def quotas(per_class: int, validation: float, test: float) -> dict[str, int]:
    """Return the number of patches of a class in each split, without splits of the share 0.

    Raises
    ------
    ArgumentError
        If there are too few patches to divide.

    Examples
    --------
    >>> quotas(1500, 0.2, 0.2)
    {'train': 960, 'validation': 240, 'test': 300}
    """
    in_test = max(1, round(per_class * test)) if test else 0
    in_validation = max(1, round((per_class - in_test) * validation)) if validation else 0
    asked = dict(zip(SPLITS, (per_class - in_test - in_validation, in_validation, in_test), strict=True))
    if asked[TRAIN] < 1:
        raise ArgumentError(f"per_class must be larger than {per_class}, so that each split gets a patch")
    return {name: number for name, number in asked.items() if number}


def divide(pools: dict[str, Pool], asked: dict[str, int], rng: np.random.Generator) -> dict[str, str]:
    """Return the split of each micrograph that has originals.

    Parameters
    ----------
    pools : dict of str to Pool
        Originals of each class.
    asked : dict of str to int
        Patches of each class in each split.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    PickerError
        If there are fewer micrographs than splits, or a class cannot get into the training.
    """
    advice = "give more micrographs, or pass validation=0 or test=0"
    counts = {kind: Counter(original.micrograph for original in pool.originals) for kind, pool in pools.items()}
    names = sorted(set().union(*counts.values()))
    if len(names) < len(asked):
        raise PickerError(
            f"{plural(len(names), 'micrograph')} with patches ({some(names)}) cannot be divided into "
            f"{', '.join(asked)}, since a micrograph belongs to one of them as a whole; {advice}"
        )
    shares = np.array(list(asked.values())) / sum(asked.values())
    table = np.array([[of_kind[name] for of_kind in counts.values()] for name in names])
    splits = list(asked)
    division = np.array(splits)[splitting.assign(table, shares, rng)]
    split_of = dict(zip(names, division.tolist(), strict=True))
    for split in splits:
        for kind, of_kind in counts.items():
            if any(split_of[name] == split for name in of_kind):
                continue
            micrographs = plural(len(of_kind), "micrograph")
            if split == TRAIN:
                raise PickerError(
                    f"the class {kind!r} has patches in {micrographs} only, and however the {len(names)} micrographs "
                    f"are divided into {', '.join(asked)}, some class is missing from the training; {advice}"
                )
            logger.warning(
                "the class %r has patches in %s only: none in the split %r, which says nothing about it",
                kind,
                micrographs,
                split,
            )
    return split_of


class Filling:
    """A training set that is being filled, none of its patches twice.

    Parameters
    ----------
    capacity : int
        Largest number of patches.
    size : int
        Side of a patch in pixels.
    diameter : float
        Particle diameter in pixels of a patch.
    rng : numpy.random.Generator
        Source of randomness.

    Attributes
    ----------
    identical : int
        Number of originals left out because their patch was there already.
    augmented_share : float
        Share of the training patches that is augmented.
    """

    def __init__(self, capacity: int, size: int, diameter: float, rng: np.random.Generator) -> None:
        self.identical = 0
        self.augmented_share = 0.0
        self._patches = np.empty((capacity, size, size), np.uint8)
        self._rows: list[dict[str, Any]] = []
        self._seen: set[bytes] = set()
        self._diameter = diameter
        self._rng = rng

    def fill(self, pools: dict[str, Pool], split_of: dict[str, str], asked: dict[str, int], share: float) -> None:
        """Put in patches of each class and split.

        Parameters
        ----------
        pools : dict of str to Pool
            Originals of each class.
        split_of : dict of str to str
            Split of each micrograph.
        asked : dict of str to int
            Patches of each class in each split.
        share : float
            Share of the training patches that is augmented in any case.
        """
        short: list[str] = []
        for split, quota in asked.items():
            spans: dict[str, range] = {}
            for kind, pool in pools.items():
                # The order in which micrographs came, and with it that of equal priorities, must not decide.
                originals = [original for original in pool.originals if split_of[original.micrograph] == split]
                originals.sort(key=lambda original: (original.micrograph, original.number))
                start = len(self._rows)
                for copy in _copies(originals, self._rng, MOST_COPIES if split == TRAIN else ROTATIONS):
                    if len(self._rows) - start == quota:
                        break
                    self._add(*copy, kind, split)
                spans[kind] = range(start, len(self._rows))
                if originals and len(spans[kind]) < quota:
                    short.append(f"{kind} {len(spans[kind])} of {quota} ({split}, {plural(len(originals), 'cut-out')})")
            if split == TRAIN:
                self.augmented_share = self._augment_alike(spans, share)
        if short:
            logger.warning("too few cut-outs for as many patches as asked, with all their copies: %s", "; ".join(short))
        if self.identical:
            logger.warning(
                "%s identical to another (given twice, or without any grain) left out",
                plural(self.identical, "cut-out"),
            )

    def training_set(self, classes: tuple[str, ...], first_background: int) -> TrainingSet:
        """Return the set.

        Parameters
        ----------
        classes : tuple of str
            Names of the classes.
        first_background : int
            Number of the first original of the background.
        """
        table = pd.DataFrame(self._rows).rename(columns={"number": "original"})
        places = table["class"] == BACKGROUND
        keys = table.loc[places, ["micrograph", "original"]]
        table.loc[places, "original"] = first_background + keys.groupby(["micrograph", "original"]).ngroup()
        table = pd.DataFrame({name: pd.Series(list(table[name]), dtype=dtype) for name, dtype in COLUMNS.items()})
        number = len(table)
        patches = self._patches if number == len(self._patches) else self._patches[:number].copy()
        return TrainingSet(patches, classes, table)

    def _add(self, original: Original, rotation: int, augmented: bool, kind: str, split: str) -> None:
        """Put in a copy of an original, unless its patch is there already."""
        patch, stages = np.rot90(original.patch, rotation // 90), ""
        if augmented:
            changed = self._augmented(patch)
            if changed is None:
                return
            patch, stages = changed
        elif not self._is_new(patch):
            self.identical += rotation == 0
            return
        self._patches[len(self._rows)] = patch
        copy = {"class": kind, "split": split, "rotation": rotation, "augmentation": stages}
        self._rows.append(vars(original) | copy)

    def _augment_alike(self, spans: dict[str, range], share: float) -> float:
        """Augment random patches until they are `share` of each class, or more if one class needs it; return the share.

        If only the rare classes were augmented, a network could tell them by the traces of the filters.
        """
        plain = {
            kind: [index for index in span if not self._rows[index]["augmentation"]] for kind, span in spans.items()
        }
        needed = {kind: 1 - len(plain[kind]) / len(span) for kind, span in spans.items() if span}
        neediest = max(needed, key=needed.get)  # there is one: the first patch of all is always new
        if needed[neediest] > share:
            share = needed[neediest]
            logger.info(
                "%.0f %% of the training patches of every class are augmented, as many as %r needs to have enough",
                100 * share,
                neediest,
            )
        for kind, span in spans.items():
            wanted = max(0, round(share * len(span)) - (len(span) - len(plain[kind])))
            for index in self._rng.permutation(plain[kind])[:wanted].tolist():
                changed = self._augmented(self._patches[index])
                if changed is not None:
                    self._patches[index], self._rows[index]["augmentation"] = changed
        return share

    def _augmented(self, patch: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str] | None:
        """Return a new patch by augmentation, or None if none comes of it: a weak Gaussian alone may change no byte."""
        for _ in range(_ATTEMPTS):
            changed, stages = augment(patch, self._rng, diameter=self._diameter)
            if self._is_new(changed):
                return changed, stages
        return None

    def _is_new(self, patch: NDArray[np.uint8]) -> bool:
        """Tell whether a patch is none of those seen before, and remember it."""
        digest = hashlib.blake2b(np.ascontiguousarray(patch), digest_size=16).digest()
        new = digest not in self._seen
        self._seen.add(digest)
        return new


def _copies(originals: Sequence[Original], rng: np.random.Generator, most: int) -> Iterator[tuple[Original, int, bool]]:
    """Yield originals, rotations and whether to augment, in random order: plain; rotated; augmented, up to `most`."""
    number = len(originals)
    for index in rng.permutation(number).tolist():
        yield originals[index], 0, False
    for index in rng.permutation(3 * number).tolist():
        yield originals[index % number], 90 * (1 + index // number), False
    for _ in range(most - ROTATIONS):
        for index in rng.permutation(number).tolist():
            yield originals[index], 90 * int(rng.integers(4)), True
