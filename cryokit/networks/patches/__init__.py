"""Training sets for networks: patches of particles, rejected particles and background, cut from micrographs.

`build` makes a set, `TrainingSet` holds it, saves it and loads it, `cryokit.plot.training_sheet` shows it. A patch is a
square of `box` particle diameters, brought to `size` pixels a side, so that the particle is the same fraction of every
patch. Particles are dark in all of them.
"""

from cryokit.networks.patches.augmentation import augment
from cryokit.networks.patches.building import build
from cryokit.networks.patches.cutting import normalise, standardised
from cryokit.networks.patches.training_set import CLASS_SETTINGS, CLASSES, SPLITS, TrainingSet

__all__ = ["CLASSES", "CLASS_SETTINGS", "SPLITS", "TrainingSet", "augment", "build", "normalise", "standardised"]
