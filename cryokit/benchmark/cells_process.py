"""The process of a cell: ``python -m cryokit.benchmark.cells_process JOB.json``.

It watches whether its starter lives from its first moment on, which importing the rest would delay by seconds.
"""

import sys

from cryokit._util.lifeline import follow_input


def main() -> int:
    """Do the job in the file that the command line names."""
    follow_input()
    from cryokit.benchmark import cells

    return cells.main(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
