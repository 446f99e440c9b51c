"""What the micrograph formats share: their interface, and warnings of the libraries that decode them.

A format is a module of `cryokit.micrograph` with

``TITLE``
    What its files are called in messages, with an article.
``opened(path)``
    Context manager that gives the `Images` in a file.
``shape(path) -> (rows, columns)``
    Shape of the images, from the header alone.
``labels(path)``, if its files have them
    Lines of text that programs have left in the header.

They may raise whatever their decoder raises: `cryokit.micrograph.read` and `shape` turn it into a `MicrographError`
that names the file.
"""

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from numpy.typing import NDArray

logger = logging.getLogger(__name__)
_warnings_lock = threading.Lock()


class Images(NamedTuple):
    """The images in a file while it is open: one micrograph, or the frames of a movie.

    Attributes
    ----------
    count : int
        Number of images.
    images : iterable of ndarray
        Each of shape (rows, columns), grey, or (rows, columns, samples), colours.
    pixel_sizes : tuple of float
        Angstrom per pixel in x and y as the file has them, plausible or not; 0 where it has none.
    volume : bool
        Whether the file calls its images the sections of a volume, such as a tomogram.
    """

    count: int
    images: Iterable[NDArray]
    pixel_sizes: tuple[float, float] = (0.0, 0.0)
    volume: bool = False


@contextlib.contextmanager
def quiet(path: Path) -> Iterator[None]:
    """Log warnings of decoders that open a file (an unset header field, a large picture) for debugging only."""
    # Filters of warnings are one for the whole process; the lock keeps threads from restoring each other's.
    with _warnings_lock:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            logger.debug("%s: %s", path, warning.message)
