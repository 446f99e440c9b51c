"""Teaching and benchmarking kit for particle picking in cryo-electron microscopy.

A micrograph takes one way through the package: `micrograph` reads a file into an array, a method from `pickers` finds
particles in it, `coordinates` writes them to a file, and `evaluate` compares them with labels. `simulate` makes
micrographs with known particle positions, `datasets` fetches real ones. ``cryokit/README.md`` has the whole map.

Importing `cryokit` imports none of its subpackages and so takes no time.
"""

import lazy_loader

__version__ = "0.1.0"

# On first use only, so that importing cryokit still takes no time.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"plot.explorer.widget": ["explore"]})
