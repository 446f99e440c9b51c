"""Silence for work that a command does on the way to something else."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what pickers decide of micrographs: the command says what comes of it."""
    loggers = [logging.getLogger(name) for name in ("cryokit.pickers", "cryokit.imaging.contrast", "tensorflow")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)  # of the files that fail
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
