"""Prepare micrographs for whatever looks for particles in them: the one place where this is done.

=========== ================================================= ==============================
function    what it does                                      who uses it
=========== ================================================= ==============================
`recorded`  crops padded borders, limits hot pixels           every picker
`flattened` bins to the particle's scale and levels           template
`whitened`  the same, with one power spectrum for all         auto
`levelled`  resizes to a window's scale, levels every window  networks that judge windows
=========== ================================================= ==============================

The enhancement chain of DeepCryoPicker (`cryokit.imaging.Preprocessing`) begins with `recorded`, too. Each function
returns a `Picture`: the pixels, and their frame in the micrograph as stored.
"""

import hashlib
import logging
import math
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit.errors import MicrographError
from cryokit.imaging.binning import resize, resized_frame
from cryokit.imaging.contrast import Contrast, common_contrast, contrast_score
from cryokit.imaging.filters import flatten, limits, live_area, whiten
from cryokit.imaging.frame import Frame, Picture
from cryokit.imaging.unusable import Patch, patches, unusable
from cryokit.micrograph import Micrograph

logger = logging.getLogger(__name__)

WORKING_DIAMETER = 28.0  # pixels across a particle for the compact network
# Pixels across a particle that show everything there is to see. Finer detail is noise in most micrographs, and a window
# full of noise makes a network learn the noise of its few training patches.
DETAIL = 48.0
# Where a micrograph is even (padding, the shadow of a crystal), noise must not be raised without limit.
LEAST_DEVIATION = 0.2  # relative to the median
CLIPPED = 4.0  # standard deviations that a levelled picture and a training patch span to either side of the mean


class _Recorded(NamedTuple):
    rows: slice
    columns: slice
    low: float
    high: float
    mask: Picture
    patches: list[Patch]


# What is known of a micrograph is kept as long as the micrograph: some methods prepare it at a dozen scales.
_known: weakref.WeakKeyDictionary[Micrograph, _Recorded] = weakref.WeakKeyDictionary()
# Files are read once for each pass over them. Their masks, which take longest, are kept by what the pixels are.
_masks: OrderedDict[bytes, Picture] = OrderedDict()
KEPT_MASKS = 64
# Squares of larger values overflow where they are summed, and those of smaller differences vanish.
LARGEST_VALUE, SMALLEST_RANGE = 1e12, 1e-12
_SAMPLES = 128  # pixels along each side that, with the sum of all, tell one micrograph from another


def recorded(micrograph: Micrograph, *, fill: bool = True) -> Picture:
    """Crop a micrograph to what was recorded, limit hot pixels, and fill what is no usable ice.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph as stored.
    fill : bool
        Whether to fill what is no usable ice.

    Returns
    -------
    Picture
        Pixels without padded borders (`cryokit.imaging.filters.live_area`) and outliers
        (`cryokit.imaging.filters.limits`), and with unusable regions filled (`cryokit.imaging.unusable`); a
        view of the micrograph where nothing had to be changed.

    Raises
    ------
    MicrographError
        If pixels are NaN, infinite or beyond `LARGEST_VALUE`, or hardly differ.
    """
    known = _recording(micrograph)
    data = micrograph.data[known.rows, known.columns]
    if np.isfinite(known.low):
        data = np.clip(data, known.low, known.high)
    filled = known.patches if fill else []
    if filled and not np.isfinite(known.low):
        data = data.copy()
    for patch in filled:
        data[patch.rows, patch.columns] = patch.data
    return Picture(data, Frame.whole(micrograph.data.shape).crop(known.rows, known.columns))


def unusable_regions(micrograph: Micrograph) -> Picture:
    """Return the mask of what `recorded` fills, and its frame in the micrograph.

    Raises
    ------
    MicrographError
        If pixels are NaN, infinite or beyond `LARGEST_VALUE`, or hardly differ.
    """
    return _recording(micrograph).mask


def _recording(micrograph: Micrograph) -> _Recorded:
    known = _known.get(micrograph)
    if known is None:
        check_values(micrograph)
        rows, columns = live_area(micrograph.data)
        area = micrograph.data[rows, columns]
        low, high = float(area.min()), float(area.max())
        lowest, highest = limits(area)
        outliers = low < lowest or high > highest
        area = np.clip(area, lowest, highest) if outliers else area
        mask = _mask(area)
        frame = Frame.whole(micrograph.data.shape).crop(rows, columns).then(mask.frame)
        known = _Recorded(
            rows,
            columns,
            *((lowest, highest) if outliers else (-np.inf, np.inf)),
            Picture(mask.data, frame),
            patches(area, mask),
        )
        _known[micrograph] = known
    return known


def check_values(micrograph: Micrograph) -> None:
    """Check that the pixels of a micrograph are numbers that can be calculated with.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph as stored.

    Raises
    ------
    MicrographError
        If pixels are NaN, infinite or beyond `LARGEST_VALUE`, or hardly differ.
    """
    low, high = float(micrograph.data.min(initial=0)), float(micrograph.data.max(initial=0))
    problem = ""
    if not (np.isfinite(low) and np.isfinite(high)):
        problem = "has pixels that are NaN or infinite; replace them or leave the micrograph out"
    elif max(-low, high) > LARGEST_VALUE:
        problem = f"has pixels of {max(-low, high):g}, which are no counts; leave the micrograph out or export it again"
    elif 0 < np.ptp(micrograph.data) < SMALLEST_RANGE:
        problem = "has pixels that hardly differ; leave the micrograph out or export it again"
    if problem:
        raise MicrographError(f"{micrograph.path or micrograph.name}: {problem}")


def _mask(area: NDArray) -> Picture:
    """Return `unusable(area)`, which is found once for the same pixels."""
    rows, columns = (max(1, side // _SAMPLES) for side in area.shape)
    content = hashlib.sha1(np.ascontiguousarray(area[::rows, ::columns]), usedforsecurity=False)
    content.update(repr((area.shape, area.dtype.str, float(area.sum(dtype=np.float64)))).encode())
    key = content.digest()
    mask = _masks.pop(key, None)
    _masks[key] = mask = unusable(area) if mask is None else mask
    while len(_masks) > KEPT_MASKS:
        _masks.popitem(last=False)
    return mask


def rescaled(picture: Picture, factor: float) -> Picture:
    """Resize a picture, and say where its pixels are in the source of the picture.

    Parameters
    ----------
    picture : Picture
        Picture and its frame.
    factor : float
        Size of the result relative to the picture.

    Returns
    -------
    Picture
        As `cryokit.imaging.resize` returns it, but with the frame in the source of `picture`.
    """
    data, frame = resize(picture.data, factor)
    return Picture(data, picture.frame.then(frame))


def flattened(picture: Picture, diameter: float, contrast: Contrast, working_diameter: float) -> Picture:
    """Bin a picture to the particle's scale, level it, and count grey values in noise, particles bright.

    Parameters
    ----------
    picture : Picture
        Recorded micrograph, or a binned one.
    diameter : float
        Particle diameter in pixels of the micrograph.
    contrast : {"dark", "bright"}
        Whether particles are darker or brighter than their surroundings in the micrograph.
    working_diameter : float
        Particle diameter after binning, in pixels. Smaller particles are not enlarged.

    Returns
    -------
    Picture
        Output of `cryokit.imaging.filters.flatten`.
    """
    data, frame = rescaled(picture, min(1.0, working_diameter * picture.frame.step / diameter))
    return Picture(flatten(data, diameter / frame.step, contrast=contrast), frame)


def whitened(
    picture: Picture, diameter: float, contrast: Contrast, working_diameter: float = WORKING_DIAMETER
) -> Picture:
    """Bring a picture to the particle's scale and make its noise the same as in all others, particles bright.

    The picture is binned or enlarged until a particle is `working_diameter` pixels across, levelled
    (`cryokit.imaging.filters.flatten`) and whitened (`cryokit.imaging.filters.whiten`). This is what the compact
    network sees.

    Parameters
    ----------
    picture : Picture
        Recorded micrograph, or a binned one.
    diameter : float
        Particle diameter in pixels of the micrograph.
    contrast : {"dark", "bright"}
        Whether particles are darker or brighter than their surroundings in the micrograph.
    working_diameter : float
        Particle diameter in the result, in pixels.

    Returns
    -------
    Picture
        Grey values in robust standard deviations.
    """
    data, frame = rescaled(picture, working_diameter * picture.frame.step / diameter)
    across = diameter / frame.step
    return Picture(whiten(flatten(data, across, contrast=contrast), across), frame)


def levelled(
    micrograph: Micrograph, diameter: float, contrast: Contrast, factor: float, window: int, *, fill: bool = True
) -> Picture:
    """Bring a micrograph to the scale of a network that judges windows, and level every window, particles dark.

    Detail finer than a `DETAIL`-th of the particle is removed by binning; then the micrograph is resized and levelled:
    the mean of the window around each pixel is subtracted and the difference divided by the standard deviation in the
    window. So every window has about the mean 0 and the deviation 1 that patches of a training set have exactly, and
    one picture serves all windows.

    Parameters
    ----------
    micrograph : Micrograph
        Micrograph as stored.
    diameter : float
        Particle diameter in pixels of the micrograph.
    contrast : {"dark", "bright"}
        Whether particles are darker or brighter than their surroundings in the micrograph.
    factor : float
        Size of the picture relative to the micrograph.
    window : int
        Side of the network's window in pixels of the picture.
    fill : bool
        As in `recorded`.

    Returns
    -------
    Picture
        Grey values in standard deviations, limited to `CLIPPED`.

    Raises
    ------
    MicrographError
        If pixels are NaN or infinite, or the resized micrograph is smaller than a window.
    """
    picture = recorded(micrograph, fill=fill)
    detail = max(1.0, diameter / DETAIL)
    frame = levelled_frame(picture.frame, diameter, factor)
    if min(frame.shape) < window:
        rows, columns = picture.frame.shape
        raise MicrographError(
            f"{micrograph.path or micrograph.name}: {rows} x {columns} pixels are too few for particles of "
            f"{diameter:.0f}; give the diameter in pixels of the micrograph as stored"
        )
    data = resize(picture.data if contrast == "dark" else -picture.data, 1 / detail).data
    data -= np.median(data)
    data = resize(data, factor * detail).data
    data = data - ndimage.uniform_filter(data, window, mode="reflect")
    deviation = np.sqrt(ndimage.uniform_filter(data * data, window, mode="reflect"))
    data /= np.maximum(deviation, max(LEAST_DEVIATION * float(np.median(deviation)), 1e-20))
    return Picture(np.clip(data, -CLIPPED, CLIPPED, out=data), frame)


def levelled_frame(frame: Frame, diameter: float, factor: float) -> Frame:
    """Return the frame of the picture that `levelled` makes, without making it.

    Parameters
    ----------
    frame : Frame
        Frame of the recorded micrograph.
    diameter, factor : float
        Arguments of `levelled`.
    """
    detail = max(1.0, diameter / DETAIL)
    binned = resized_frame(frame.shape, 1 / detail)
    return frame.then(binned).then(resized_frame(binned.shape, factor * detail))


def detected_contrast(micrographs: Iterable[Micrograph], diameter: float | None = None) -> Contrast:
    """Return whether the particles of a set of micrographs are dark or bright (`cryokit.imaging.common_contrast`).

    Parameters
    ----------
    micrographs : iterable of Micrograph
        Micrographs of one session; one that cannot tell is passed over with a warning.
    diameter : float, optional
        Approximate particle diameter in pixels of the micrographs.

    Returns
    -------
    {"dark", "bright"}
        ``"dark"``, with a warning, if no micrograph can tell.
    """
    scores = []
    for micrograph in micrographs:
        try:
            scores.append(contrast_score(recorded(micrograph).data, diameter))
        except MicrographError as error:
            logger.warning("%s: %s", micrograph.name, error)
    if not scores:
        logger.warning("no micrograph shows whether particles are dark or bright; taking them for dark")
        return "dark"
    return common_contrast(scores)


def middle(picture: Picture, diameter: float, area: float) -> Picture:
    """Return the middle of a picture: a part is enough to try a diameter on.

    Parameters
    ----------
    picture : Picture
        Picture and its frame.
    diameter : float
        Particle diameter in pixels of the micrograph.
    area : float
        Largest area of the part, in squared diameters.

    Returns
    -------
    Picture
        The whole picture where it is no larger.
    """
    side = max(1, round(math.sqrt(area) * diameter / picture.frame.step))
    rows, columns = (
        slice(start, min(start + side, size)) for size in picture.data.shape for start in [max(0, (size - side) // 2)]
    )
    return Picture(picture.data[rows, columns], picture.frame.crop(rows, columns))
