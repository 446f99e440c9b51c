"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use, at least 1.

    On Linux these are the cores of its affinity mask, which a batch system or a container may have limited; elsewhere
    all cores of the machine.

    Examples
    --------
    >>> usable_cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
