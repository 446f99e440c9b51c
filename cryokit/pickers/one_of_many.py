"""One micrograph of many: read under the name that it has among them, and a line about what went wrong with it."""

import logging
import os
from pathlib import Path

from cryokit._util.names import is_utf8, micrograph_name
from cryokit._util.wording import shortened
from cryokit.errors import CryokitError, MicrographError
from cryokit.micrograph import Micrograph, read

logger = logging.getLogger(__name__)


def read_named(path: Path, name: str, *, sum_frames: bool = False) -> Micrograph:
    """Read a micrograph whose results go into tables and files that are called after it.

    Parameters
    ----------
    path : path-like
        File to read.
    name : str
        Name among the other micrographs (`cryokit._util.names.micrograph_names`).
    sum_frames : bool
        Whether to sum the frames of movies.

    Raises
    ------
    MicrographError
        As `cryokit.micrograph.read`, or if the name is no text.
    """
    if not is_utf8(name):
        raise MicrographError(f"{path}: its name is no UTF-8, so no table can hold it; rename the file or its folder")
    return read(path, sum_frames=sum_frames, name=name)


def problem_of(path: Path, error: Exception) -> str:
    """Return what went wrong with a micrograph in one line that names its file, whatever the kind of the error."""
    logger.debug("%s", path, exc_info=error)
    message = str(error) or type(error).__name__
    if not isinstance(error, (CryokitError, OSError, MemoryError)):
        message = f"cannot be used ({type(error).__name__}: {shortened(message, 200)})"
    return message if os.fspath(path) in message else f"{path}: {message.removeprefix(f'{micrograph_name(path)}: ')}"
