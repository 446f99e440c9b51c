"""``python -m cryokit`` is the same as ``cryokit``."""

import sys

from cryokit.cli import main

sys.exit(main())
