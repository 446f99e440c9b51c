"""Decide from a micrograph itself whether its particles are dark or bright, and say so when it does not show.

Particles are compact and the ice between them is not, so the grey values at the particles' scale are skewed to the
particles' side: dark particles give a longer dark tail. That skewness decides. It is measured

- after a wide band-pass (difference of two Gaussians, standard deviations of 1/16 and 1/2 of the particle diameter),
  which takes out shot noise on one side and gradients of the ice on the other, and keeps a particle's parts (rings,
  domains) as well as its outline: in densely packed micrographs only the parts are skewed, in sparse ones the whole;
- in 3 x 3 to 6 x 6 tiles of about four diameters, each centred and scaled by its own median and median absolute
  deviation and limited to 4 of these, so that ice crystals, carbon edges and borders are outliers of a few tiles;
- as the mean over tiles, each limited to 0.5, so that no tile outvotes the others.

The method is this package's own. Its lengths were chosen with an eye on all the real micrographs of the tests, which
therefore show that it works there, not how often it fails elsewhere. It cannot see particles packed so densely that
they cover more than half of the area without any structure inside, nor particles that the noise drowns (it says so).
Shot noise of a few electrons a pixel is itself skewed to the bright side; binning makes that negligible in micrographs
of the usual size.
"""

import itertools
import logging
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.validation import check_number
from cryokit.errors import MicrographError
from cryokit.imaging.binning import bin_integer

logger = logging.getLogger(__name__)

Contrast: TypeAlias = Literal["dark", "bright"]  # of particles: darker or brighter than their surroundings

USUAL_DIAMETER = 0.05  # of the longer side: particles are a fiftieth to a tenth, and the band is wide
FINE, COARSE = 1 / 16, 1 / 2  # standard deviations of the band's Gaussians, in diameters
FINE_PIXELS = 1.5  # least standard deviation of the finer one after binning, in pixels: what they sample well
FEWEST_PIXELS = 64  # along the shorter side after binning
TILE = 4.0  # approximate side of a tile in diameters: a smaller tile may show nothing but one particle
TILES = (3, 6)  # fewest and most tiles along each side
OUTLIER = 4.0  # robust standard deviations
LARGEST_VOTE = 0.5  # of a tile
DOUBTFUL = 2.0  # standard errors of the mean over tiles or micrographs
DOUBTFUL_MEAN = 0.05  # of the scores of several micrographs


def contrast_score(data: NDArray, diameter: float | None = None) -> float:
    """Return how far the particles are darker (negative) or brighter (positive) than their surroundings.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.
    diameter : float, optional
        Approximate particle diameter in pixels. The default, a twentieth of the longer side, serves particles from a
        fiftieth to a tenth.

    Returns
    -------
    float
        Robust skewness between -0.5 and 0.5 (see the module's text); that of ``-data`` is its negative. Particles
        that the eye can see give 0.1 and more.

    Raises
    ------
    ArgumentError
        If the diameter is not a positive number.
    MicrographError
        If the micrograph is constant, or has pixels that are NaN or infinite.
    """
    return float(_votes(data, diameter).mean())


def detect_contrast(data: NDArray, diameter: float | None = None) -> Contrast:
    """Return whether the particles of a micrograph are dark or bright.

    A micrograph that does not show it (the score within two standard errors of zero, estimated from its tiles) gives a
    warning; look at it and state the contrast, or ask several micrographs of the session by `contrast_score`.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Micrograph.
    diameter : float, optional
        As in `contrast_score`.

    Returns
    -------
    {"dark", "bright"}
        Contrast; the opposite for ``-data``.

    Raises
    ------
    ArgumentError, MicrographError
        As in `contrast_score`.
    """
    votes = _votes(data, diameter)
    error = votes.std(ddof=1) / math.sqrt(votes.size) if votes.size > 1 else math.inf
    return _decided(float(votes.mean()), DOUBTFUL * error)


def common_contrast(scores: Sequence[float]) -> Contrast:
    """Return the contrast that all micrographs of a set have, from the `contrast_score` of each.

    Their sum decides. A set that does not show it (the mean within 0.05 or two standard errors of zero) gives a
    warning.

    Parameters
    ----------
    scores : sequence of float
        Score of each micrograph, at least one.

    Returns
    -------
    {"dark", "bright"}
    """
    error = float(np.std(scores)) / math.sqrt(len(scores))
    return _decided(float(np.mean(scores)), max(DOUBTFUL_MEAN, DOUBTFUL * error))


def _decided(score: float, doubtful: float) -> Contrast:
    """Return the contrast by the sign of a score, with a warning where the score is below `doubtful`."""
    contrast: Contrast = "bright" if score > 0 else "dark"
    if abs(score) < doubtful:
        logger.warning(
            "particles look %s, but this is doubtful (score %+.2f); look at a micrograph and give the contrast",
            contrast,
            score,
        )
    return contrast


def _votes(data: NDArray, diameter: float | None) -> NDArray[np.float64]:
    """Return the skewness of each tile, limited to what one tile may say, without tiles that are even."""
    data = np.asarray(data)
    if diameter is None:
        diameter = USUAL_DIAMETER * max(data.shape)
    check_number("diameter", diameter, 0, above=True)
    # However large the particle, enough pixels have to be left for statistics.
    factor = max(1, int(min(FINE * diameter / FINE_PIXELS, min(data.shape) / FEWEST_PIXELS)))
    # The mean of blocks keeps a hot pixel in one block, from which the median takes it out.
    small = ndimage.median_filter(bin_integer(data, factor).data, size=3)
    if not np.isfinite(small).all():
        raise MicrographError("the contrast of a micrograph with NaN or infinite pixels cannot be seen; replace them")
    band = ndimage.gaussian_filter(small, FINE * diameter / factor)
    band -= ndimage.gaussian_filter(small, COARSE * diameter / factor)
    rounding = 1e-6 * np.abs(small).max()
    tiles = int(np.clip(min(data.shape) / (TILE * diameter), *TILES))
    rows, columns = (np.linspace(0, size, tiles + 1).astype(int) for size in band.shape)
    votes = []
    for (top, bottom), (left, right) in itertools.product(itertools.pairwise(rows), itertools.pairwise(columns)):
        tile = band[top:bottom, left:right].astype(np.float64).ravel()
        if tile.size == 0:
            continue
        tile -= np.median(tile)
        spread = 1.4826 * np.median(np.abs(tile))
        if spread <= rounding:
            continue
        np.clip(tile / spread, -OUTLIER, OUTLIER, out=tile)
        tile -= tile.mean()
        skewness = np.mean(tile**3) / np.mean(tile**2) ** 1.5
        votes.append(np.clip(skewness, -LARGEST_VOTE, LARGEST_VOTE))
    if not votes:
        raise MicrographError(
            "a micrograph without any variation at the particles' scale does not show their contrast; leave it out"
        )
    return np.array(votes)
