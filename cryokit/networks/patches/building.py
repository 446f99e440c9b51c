"""Build a training set from micrographs and a table of particles."""

from __future__ import annotations

import datetime
import logging
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cryokit import __version__
from cryokit._util.plain import plain
from cryokit._util.validation import check_choice, check_number
from cryokit.errors import ArgumentError, PickerError
from cryokit.imaging.contrast import Contrast
from cryokit.imaging.preparation import CLIPPED
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.networks.patches.balancing import Filling, divide, quotas
from cryokit.networks.patches.cutting import PatchSource, patch_source
from cryokit.networks.patches.originals import Pool, gather
from cryokit.networks.patches.rows import BACKGROUND, Diameters, labelled_rows
from cryokit.networks.patches.training_set import CLASSES, TrainingSet

if TYPE_CHECKING:
    from cryokit.imaging import Preprocessing

logger = logging.getLogger(__name__)

# Originals of a class that are kept, in multiples of `per_class`: enough for every split however the micrographs are
# divided, while the memory does not grow with the number of micrographs.
KEPT = 2


class NoSamples(PickerError):
    """Classes without a sample.

    Attributes
    ----------
    classes : tuple of str
        Names of the classes.
    """

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
    contrast: Contrast = "dark",
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
       is left out (and counted): nobody knows what is outside, and a mirrored border shows particles that do not exist.
    2. *Background* places are drawn at random, spread evenly over each micrograph and over the micrographs. Their
       squares touch no disc of any row of `particles`, of whatever class.
    3. *Normalisation.* Particles are dark in every patch; mean 0 and standard deviation 1 within each, stored as bytes
       (`cryokit.networks.patches.normalise`).
    4. *Split by micrograph*, never by patch, so that each split has about its share of each class
       (`cryokit.networks.patches.splitting`). Copies of a patch stay in its split.
    5. *Balance.* Every class gets exactly `per_class` patches. If a class has more in a split, they are drawn at
       random; if it has fewer, rotations by 90, 180 and 270 degrees are added, then, in the training only, rotated
       and augmented copies (`cryokit.networks.patches.augment`), at most 16 of one cut-out, itself included. Validation
       and test hold patches as a picker meets them. No patch is there twice. If all that is not enough, the class stays
       smaller, and a warning says so. The same share of every class is augmented in the end, so that the traces of the
       filters do not give a rare class away.

    The result depends on the micrographs, the table, the settings and the seed, not on the order of the micrographs.

    Parameters
    ----------
    micrographs : iterable of Micrograph or path
        Micrographs that were searched for particles, read once, one at a time in memory. Those without rows in
        `particles` count as empty and give background. One that cannot be read is left out, with an error in the log.
    particles : pandas.DataFrame
        Particles, with the columns `micrograph` (name), `x`, `y` (centre) and `diameter` (may be NaN or missing if the
        argument `diameter` is given), all in pixels of the micrograph as stored, and `class`: ``top``, ``side``,
        ``irregular`` or ``negative`` (rejected particles, ice, debris). Rows of the class ``ignore`` and of classes
        that are not asked for make no patches, but background keeps away from them.
    classes : sequence of str
        Classes of `CLASSES`, in the order of the labels. `CLASS_SETTINGS` has the paper's.
    per_class : int
        Number of patches of each class over all splits. The paper's 1,500 are 960 for training, 240 for validation, 300
        for the test.
    size : int
        Side of a patch in its own pixels: 227 for the paper's network.
    box : float
        Side of a patch in diameters.
    diameter : float or mapping of micrograph name to float, optional
        Particle diameter that sets the scale, in pixels of the micrographs as stored. By default the median of the
        rows' diameters (of views; of all rows if there are none), one for all micrographs. Micrographs of different
        particles or magnifications need a mapping.
    contrast : {"dark", "bright"}
        Contrast of the particles in the micrographs; in the patches they are dark.
    preprocessing : cryokit.imaging.Preprocessing, optional
        Chain that each micrograph passes, at its own working scale, before patches are cut.
    augmentation : float
        Share of the training patches that is augmented in any case, for variety. The paper augments all (1.0).
    validation, test : float
        Share of all patches that is for the test, and share of the rest that is for validation; 0 for none.
    clearance : float
        Distance in diameters that background keeps from every disc.
    seed : int
        Random seed.

    Returns
    -------
    TrainingSet
        Patches ordered by split, then class. `provenance` has the keys ``cryokit``, ``numpy``, ``python``, ``built``,
        ``seed``, ``settings``, ``augmented_share_of_training``, ``micrographs`` (name, path, SHA-256 of the file,
        shape, diameter, split, ...), ``counts`` and ``left_out``.

    Raises
    ------
    ArgumentError
        If an argument is wrong.
    PickerError
        If a class has no sample, the same picture is given twice, or there are too few micrographs for the splits.
    CoordinateError
        If `particles` lacks a column, or holds an unknown class or something that is not a number.
    MicrographError
        If no micrograph can be read.

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
    for name in classes:
        check_choice("classes", name, CLASSES)
    if not classes or len(set(classes)) < len(classes):
        raise ArgumentError(f"classes must be one or more different ones of {', '.join(CLASSES)}, not {classes!r}")
    check_number("per_class", per_class, 1, 10**7, whole=True)
    check_number("size", size, 8, 1024, whole=True)
    check_number("box", box, 0.5, 20)
    check_choice("contrast", contrast, ("dark", "bright"))
    check_number("augmentation", augmentation, 0, 1)
    check_number("validation", validation, 0, 0.9)
    check_number("test", test, 0, 0.9)
    check_number("clearance", clearance, 0)
    check_number("seed", seed, 0, 2**63, whole=True)
    per_class, size, seed = int(per_class), int(size), int(seed)
    asked = quotas(per_class, validation, test)
    rows = labelled_rows(particles)
    number = Counter(rows["class"])
    # Before hours of reading: classes that the table lacks cannot be found in the micrographs.
    _require_samples({name: number[name] for name in classes if name != BACKGROUND}, Counter(), box)
    diameters = Diameters(diameter, rows)

    def prepared(micrograph: Micrograph) -> PatchSource:
        across = diameters.of(micrograph.name)
        return patch_source(micrograph, across, size=size, box=box, contrast=contrast, preprocessing=preprocessing)

    pools = {name: Pool(KEPT * per_class) for name in classes}
    manifest, left_out = gather(micrographs, rows, prepared, pools, diameters=diameters, clearance=clearance, seed=seed)
    _require_samples({name: len(pool) for name, pool in pools.items()}, left_out["beyond_the_border"], box)
    rng = np.random.default_rng(seed)
    split_of = divide(pools, asked, rng)
    filling = Filling(len(classes) * per_class, size, size / box, rng)
    filling.fill(pools, split_of, asked, augmentation)
    built = filling.training_set(classes, first_background=len(rows))
    provenance = {
        "cryokit": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "built": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seed": seed,
        "settings": {
            "classes": classes,
            "per_class": per_class,
            "size": size,
            "box": box,
            "diameter": diameters.given,
            "contrast": contrast,
            "preprocessing": None if preprocessing is None else preprocessing.to_dict(),
            "augmentation": augmentation,
            "validation": validation,
            "test": test,
            "clearance": clearance,
            "normalised_to": f"mean 0, standard deviation 1; bytes span -{CLIPPED:g} ... {CLIPPED:g}",
        },
        "augmented_share_of_training": filling.augmented_share,
        "micrographs": [{**entry, "split": split_of.get(entry["name"])} for entry in manifest],
        "counts": built.counts().to_dict("index"),
        "left_out": {**left_out, "identical": filling.identical},
    }
    built.provenance.update(plain(provenance))
    logger.info("%r", built)
    return built


def _require_samples(counts: dict[str, int], outside: Counter, box: float) -> None:
    """Refuse classes without samples: name them, say why, and how to do without."""
    reasons = {}
    for name in (name for name, number in counts.items() if not number):
        if name == BACKGROUND:
            reasons[name] = (
                f"in no micrograph does a square of {box:g} diameters touch no particle; give micrographs with more "
                "room, or a smaller box"
            )
        elif outside[name]:
            reasons[name] = f"squares of all its {outside[name]} rows reach beyond the border of a micrograph"
        else:
            reasons[name] = "the table of particles has no row of it on the micrographs"
    if reasons:
        missing = "; ".join(f"{name!r}: {reason}" for name, reason in reasons.items())
        others = ", ".join(f"{name} ({number})" for name, number in counts.items() if number) or "none"
        raise NoSamples(
            f"no sample for the class {missing}. Classes with samples: {others}. To build without, leave it out of "
            "classes=",
            list(reasons),
        )
