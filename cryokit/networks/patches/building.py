"""Build a training set from micrographs and a table of particles."""

from __future__ import annotations

import datetime
import logging
import math
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cryokit import __version__
from cryokit.errors import PickerError
from cryokit.imaging.preparation import CLIPPED
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.networks.patches.balancing import divide, fill, quotas
from cryokit.networks.patches.cutting import PatchSource, prepare
from cryokit.networks.patches.originals import Pool, gather
from cryokit.networks.patches.rows import BACKGROUND, Diameters, validated
from cryokit.networks.patches.training_set import CLASSES, TrainingSet

if TYPE_CHECKING:
    from cryokit.imaging import Preprocessing

logger = logging.getLogger(__name__)

# So many originals of a class are kept, in multiples of `per_class`: enough for every split however the micrographs are
# divided, while the memory does not grow with the number of micrographs.
KEPT = 2
LARGEST_SHARE = 0.9
LARGEST_SIZE = 1024


class NoSamples(PickerError):
    """Classes without a sample; `classes` are their names."""

    def __init__(self, message: str, classes: Sequence[str]) -> None:
        super().__init__(message)
        self.classes = tuple(classes)


def build(
    micrographs: Iterable[MicrographLike],
    particles: pd.DataFrame,
    *,
    classes: Sequence[str] = CLASSES,
    per_class: int = 1500,
    size: int = 64,
    box: float = 1.5,
    diameter: float | Mapping[str, float] | None = None,
    contrast: Literal["dark", "bright"] = "dark",
    preprocessing: Preprocessing | None = None,
    augmentation: float = 0.0,
    validation: float = 0.2,
    test: float = 0.2,
    clearance: float = 0.0,
    seed: int = 0,
) -> TrainingSet:
    r"""Cut a balanced training set, divided by micrograph, from micrographs with known particles.

    1. *Patches.* Each micrograph loses padded borders and hot pixels and is binned until `box` diameters are `size`
       pixels; squares of `size` pixels are cut around the particles. Where the micrograph is coarser than that, the
       patches are enlarged by cubic splines, and a message says so. A square that would reach beyond the recorded area
       is left out (and counted): what is outside is unknown, and a mirrored border shows particles that do not exist.
    2. *Background* places are drawn at random, spread evenly over each micrograph and over the micrographs. Their
       squares touch no disc of any row of `particles`, of whatever class.
    3. *Normalisation.* Particles are dark in every patch; mean 0 and standard deviation 1 within each, stored as bytes
       (`cryokit.networks.patches.normalise`).
    4. *Split by micrograph*, never by patch, so that each split has about its share of each class
       (`cryokit.networks.patches.splitting`). Copies of a patch stay in its split.
    5. *Balance.* Every class gets exactly `per_class` patches. Where a class has more in a split, they are drawn at
       random; where it has fewer, rotations by 90, 180 and 270 degrees are added, then, in the training only, rotated
       and augmented copies (`cryokit.networks.patches.augment`), at most 16 of one cut-out, itself included. Validation
       and test hold patches as a picker meets them. No patch is ever there twice. If all that is not enough, the
       class stays smaller, and a warning says so. The same share of every class is augmented in the end, so that the
       traces of the filters do not give a rare class away.

    The result depends on the micrographs, the table, the settings and the seed, not on the order of the micrographs.

    Parameters
    ----------
    micrographs : iterable of Micrograph or path
        Gone through once, one at a time in memory. Give only micrographs that were searched for particles: those
        without rows in `particles` count as empty and give background. One that cannot be read is left out, with an
        error in the log.
    particles : pandas.DataFrame
        Columns `micrograph` (name), `x`, `y` (centre) and `diameter` (may be NaN where the argument `diameter` is
        given), all in pixels of the micrograph as stored, and `class`: ``top``, ``side``, ``irregular`` or ``negative``
        (rejected particles, ice, debris). Rows of the class ``ignore`` and of classes that are not asked for make no
        patches, but background keeps away from them.
    classes : sequence of str
        Of `CLASSES`; their order is that of the labels. `CLASS_SETTINGS` has the paper's.
    per_class : int
        Patches of each class over all splits. The paper's 1,500 are 960 for training, 240 for validation, 300 for the
        test.
    size : int
        Pixels along a side: 227 for the paper's network.
    box : float
        Side of a patch in diameters.
    diameter : float or mapping of micrograph name to float, optional
        What sets the scale, in pixels as stored. By default the median of the rows' diameters (of views; of all rows
        where there are none), one for all micrographs. Micrographs of different particles or magnifications need a
        mapping.
    contrast : {"dark", "bright"}
        How particles are in the micrographs; in the patches they are dark.
    preprocessing : cryokit.imaging.Preprocessing, optional
        Passed over each micrograph, at its own working scale, before patches are cut.
    augmentation : float
        Share of the training patches that is augmented in any case, for variety. The paper augments all (1.0).
    validation, test : float
        The test's share of all, and the validation's share of what remains; 0 for none.
    clearance : float
        Added to the radius of every disc that background keeps away from, in diameters.
    seed : int

    Returns
    -------
    TrainingSet
        Ordered by split, then class. `provenance` has the keys ``cryokit``, ``numpy``, ``python``, ``built``, ``seed``,
        ``settings``, ``augmented_share_of_training``, ``micrographs`` (name, path, SHA-256 of the file, shape,
        diameter, split, ...), ``counts`` and ``left_out``.

    Raises
    ------
    PickerError
        When an argument is wrong, a class has no sample, the same picture is given twice, or there are too few
        micrographs for the splits.
    CoordinateError
        When `particles` lacks a column, or holds an unknown class or something that is not a number.
    MicrographError
        When no micrograph can be read.

    Examples
    --------
    >>> micrographs = [Micrograph(np.random.default_rng(i).normal(size=(128, 128)), name=f"m{i}") for i in range(3)]
    >>> particles = pd.DataFrame({"micrograph": ["m0", "m1", "m2"], "x": 64, "y": 60, "diameter": 16, "class": "top"})
    >>> training_set = build(micrographs, particles, classes=("top", "background"), per_class=10, size=24)
    >>> training_set.counts()
                train  validation  test
    top             6           2     2
    background      6           2     2
    >>> x, y = training_set.arrays("train")
    >>> x.shape, y.shape
    ((12, 24, 24, 1), (12,))
    """
    classes = tuple(classes)
    _check(classes, per_class, size, box, contrast, clearance, seed)
    for name, share, most in [
        ("augmentation", augmentation, 1.0),
        ("validation", validation, LARGEST_SHARE),
        ("test", test, LARGEST_SHARE),
    ]:
        if not 0 <= share <= most:
            raise PickerError(f"{name} {share!r}: give a share between 0 and {most:g}")
    asked = quotas(per_class, validation, test)
    rows = validated(particles)
    given = Counter(rows["class"])
    # Before hours of reading: what is missing from the table cannot be found in the micrographs.
    _require_samples({name: given[name] for name in classes if name != BACKGROUND}, Counter(), box)
    diameters = Diameters(diameter, rows)

    def ready(micrograph: Micrograph) -> PatchSource:
        diameter = diameters.of(micrograph.name)
        return prepare(micrograph, diameter, size=size, box=box, contrast=contrast, preprocessing=preprocessing)

    pools = {name: Pool(KEPT * per_class) for name in classes}
    found = gather(micrographs, rows, ready, pools, diameters=diameters, clearance=clearance, seed=seed)
    _require_samples({name: len(pool) for name, pool in pools.items()}, found.outside, box)
    rng = np.random.default_rng(seed)
    split_of = divide(pools, asked, rng)
    patches, table, told = fill(
        pools,
        split_of,
        asked,
        share=augmentation,
        patch_diameter=size / box,
        diameters=diameters,
        first_number=len(rows),
        rng=rng,
    )
    built = TrainingSet(patches, classes, table)
    built.provenance.update(
        {
            "cryokit": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "built": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "seed": int(seed),
            "settings": {
                "classes": list(classes),
                "per_class": int(per_class),
                "size": int(size),
                "box": box,
                "diameter": diameters.to_json(),
                "contrast": contrast,
                "preprocessing": None if preprocessing is None else preprocessing.to_dict(),
                "augmentation": augmentation,
                "validation": validation,
                "test": test,
                "clearance": clearance,
                "normalised_to": f"mean 0, standard deviation 1; bytes span -{CLIPPED:g} ... {CLIPPED:g}",
            },
            "augmented_share_of_training": told["augmented_share"],
            "micrographs": [{**entry, "split": split_of.get(entry["name"])} for entry in found.manifest],
            "counts": {name: {split: int(n) for split, n in row.items()} for name, row in built.counts().iterrows()},
            "left_out": {
                "beyond_the_border": dict(found.outside),
                "on_other_micrographs": found.elsewhere,
                "identical": told["identical"],
                "micrographs": found.problems,
            },
        }
    )
    logger.info("%r", built)
    return built


def _check(
    classes: tuple[str, ...], per_class: int, size: int, box: float, contrast: str, clearance: float, seed: int
) -> None:
    unknown = [name for name in classes if name not in CLASSES]
    if unknown or not classes or len(set(classes)) < len(classes):
        raise PickerError(f"classes {classes!r}: give some of {', '.join(CLASSES)}, each once")
    for name, value, least, most in [
        ("per_class", per_class, 1, 10**7),
        ("size", size, 8, LARGEST_SIZE),
        ("seed", seed, 0, 2**63),
    ]:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
            raise PickerError(f"{name} {value!r}: give a whole number between {least} and {most}")
    if not 0.5 <= box <= 20:
        raise PickerError(f"box {box!r}: give the side of a patch in diameters, between 0.5 and 20")
    if contrast not in ("dark", "bright"):
        raise PickerError(f"contrast {contrast!r}: particles are 'dark' or 'bright'; cryokit.imaging.detect_contrast")
    if not (math.isfinite(clearance) and clearance >= 0):
        raise PickerError(f"clearance {clearance!r}: give diameters, 0 or more")


def _require_samples(counts: dict[str, int], outside: Counter, box: float) -> None:
    """Refuse classes without samples: name them, say why, and how to do without."""
    empty = [name for name, number in counts.items() if not number]
    if not empty:
        return
    reasons = []
    for name in empty:
        if name == BACKGROUND:
            reasons.append(
                f"'background': in no micrograph does a square of {box:g} diameters touch no particle; give "
                "micrographs with more room, or a smaller box"
            )
        elif outside[name]:
            reasons.append(f"{name!r}: squares of all its {outside[name]} rows reach beyond the border of a micrograph")
        else:
            reasons.append(f"{name!r}: the table of particles has no row of it on the micrographs")
    others = {name: number for name, number in counts.items() if number}
    having = ", ".join(f"{name} ({number})" for name, number in others.items()) or "none"
    raise NoSamples(
        f"no sample for the class {'; '.join(reasons)}. Classes with samples: {having}. To build without, leave it out "
        f"of classes=",
        empty,
    )
