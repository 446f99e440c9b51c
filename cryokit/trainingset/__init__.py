"""Training sets for networks: patches of particles, rejected particles and background, cut from micrographs.

`build` makes a set, `TrainingSet` holds it, saves it and loads it, `cryokit.plot.training_sheet` shows it. A patch is a
square of `box` particle diameters, brought to `size` pixels a side, so that the particle is the same fraction of every
patch. Particles are dark in all of them.
"""

from cryokit.trainingset.augmentation import augment
from cryokit.trainingset.building import build
from cryokit.trainingset.patches import normalise, standardised
from cryokit.trainingset.storage import CLASS_SETTINGS, CLASSES, SPLITS, TrainingSet

__all__ = [
    "CLASSES",
    "CLASS_SETTINGS",
    "SPLITS",
    "TrainingSet",
    "augment",
    "build",
    "normalise",
    "standardised",
]
