"""PNG and JPEG pictures of micrographs, of 8 or 16 bits; they have no pixel size."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import imageio.v3

from cryokit._util.declared_sizes import check_picture
from cryokit.errors import MicrographError
from cryokit.micrograph.images import Images, quiet

logger = logging.getLogger(__name__)

TITLE = "a PNG or JPEG file"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Images]:
    """Open a picture."""
    with quiet(path):
        check_picture(path, MicrographError)
        file = imageio.v3.imopen(path, "r", plugin="pillow")
    with file as picture:
        mode = picture.metadata(index=0)["mode"]
        # Grey pictures as they are; palettes, transparency and other colour spaces as red, green, blue, opacity.
        grey = mode in ("1", "L", "I", "F") or mode.startswith("I;16")
        image = picture.read(index=0) if grey else picture.read(index=0, mode="RGBA")
    if not grey and _is_deep_png(path):
        logger.warning("%s: 16 bits per channel are read as 8; save it as grey PNG or TIFF to keep them all", path)
    yield Images(1, [image])


def shape(path: Path) -> tuple[int, int]:
    """Return the rows and columns of a picture."""
    with quiet(path):
        check_picture(path, MicrographError)
        return imageio.v3.improps(path, index=0, plugin="pillow").shape[:2]


def _is_deep_png(path: Path) -> bool:
    """Tell whether the header of a file is that of a PNG picture of 16 bits per channel."""
    with open(path, "rb") as file:
        start = file.read(25)
    return start.startswith(b"\x89PNG") and start[24] == 16
