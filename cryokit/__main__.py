"""Run the command line with ``python -m cryokit``."""

import sys

from cryokit.cli import main

sys.exit(main())
