"""Cleaning the particle mask: from the pixels of a cluster to the areas of particles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cryokit.errors import CryokitError

EIGHT = np.ones((3, 3), dtype=bool)  # neighbours across a corner belong to the same object, as in MATLAB


def as_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    """Return a mask as a two-dimensional array of bool; everything but 0 is True.

    Raises
    ------
    CryokitError
        When it has not two dimensions.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise CryokitError(f"a mask has rows and columns, this array is of shape {mask.shape}; give one micrograph's")
    return mask.astype(bool, copy=False)


def particle_area(diameter: float) -> float:
    """Return the area of a disc of the particle's diameter, the unit in which areas are given.

    Raises
    ------
    CryokitError
        When the diameter is not a positive number.
    """
    if not (math.isfinite(diameter) and diameter > 0):
        raise CryokitError(f"diameter {diameter}: has to be a positive number of pixels")
    return math.pi * diameter**2 / 4


def fill_holes(mask: ArrayLike, largest: float = math.inf) -> NDArray[np.bool_]:
    """Fill the holes of a mask, up to a size.

    A hole is background that no path of horizontal and vertical steps connects with the border (MATLAB's
    ``imfill(mask, 'holes')``).

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
    largest : float
        Pixels; larger holes stay open.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Examples
    --------
    >>> ring = np.ones((3, 3), dtype=bool); ring[1, 1] = False
    >>> bool(fill_holes(ring).all()), bool(fill_holes(ring, largest=0).all())
    (True, False)
    """
    mask = as_mask(mask)
    # In a frame of background, all background that reaches the border is one component: the first that is found.
    background, n = ndimage.label(np.pad(~mask, 1, constant_values=True))
    if n == 1:
        return mask.copy()
    filled = np.bincount(background.ravel(), minlength=n + 1) <= largest
    filled[0], filled[1] = True, False  # 0 is the mask itself
    return filled[background[1:-1, 1:-1]]


def clean(
    mask: ArrayLike,
    diameter: float,
    *,
    smallest: float = 0.2,
    smallest_again: float | None = None,
    radius: float = 0.025,
    erosion: float | None = None,
    closing: float | None = None,
    dilation: float | None = None,
    largest_hole: float = 1.0,
    largest: float | None = None,
) -> NDArray[np.bool_]:
    """Clean a particle mask: speckles go, gaps within particles close, outlines get smooth.

    The steps of AutoCryoPicker and SuperCryoEMPicker, in their order: remove small areas, erode, fill holes, close,
    remove small areas, dilate, fill holes. Their sizes are 250 pixels (500 after super clustering) and discs of
    radius 1, for particles of about 40 pixels; here areas are given in particles (pi / 4 diameter^2) and radii in
    diameters, so that the same values serve every scale.

    Beyond the border of the picture there is neither particle nor background: it erodes nothing there, and encloses
    no hole.

    Parameters
    ----------
    mask : array_like of bool, shape (rows, columns)
        True where particles are.
    diameter : float
        Of the particle, in pixels of `mask`.
    smallest : float
        Areas; smaller objects are removed first. 0.2 are the 250 pixels for intensity clusters; 0.4 the 500 for super
        clusters.
    smallest_again : float, optional
        Areas; smaller objects are removed after closing. Default: `smallest`.
    radius : float
        Diameters; of the discs that erode, close and dilate. Rounded to pixels; below half a pixel nothing is done.
    erosion, closing, dilation : float, optional
        Diameters; another radius for one of the three. Default: `radius`.
    largest_hole : float
        Areas; larger holes stay open. Unlike the published method, which fills them all: a chain of touching
        particles or a rim of carbon around empty background would become one object as large as the micrograph. Holes
        in particles, the pale centre of a ring, are smaller than a particle. `math.inf` fills all.
    largest : float, optional
        Areas; larger objects (ice, carbon, aggregates) are removed last. Default: none is.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Raises
    ------
    CryokitError
        When the mask has not two dimensions, or a size is not a number or negative.

    Examples
    --------
    >>> mask = np.zeros((60, 60), dtype=bool)
    >>> mask[10:40, 10:40] = True; mask[25, 25] = False; mask[50:53, 50:53] = True
    >>> cleaned = clean(mask, diameter=40)
    >>> bool(cleaned[25, 25]), bool(cleaned[51, 51])
    (True, False)
    """
    stages = clean_stages(
        mask,
        diameter,
        smallest=smallest,
        smallest_again=smallest_again,
        radius=radius,
        erosion=erosion,
        closing=closing,
        dilation=dilation,
        largest_hole=largest_hole,
        largest=largest,
    )
    return list(stages.values())[-1]


def clean_stages(
    mask: ArrayLike,
    diameter: float,
    *,
    smallest: float = 0.2,
    smallest_again: float | None = None,
    radius: float = 0.025,
    erosion: float | None = None,
    closing: float | None = None,
    dilation: float | None = None,
    largest_hole: float = 1.0,
    largest: float | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """Return the mask after every step of `clean`, by name and in order.

    Parameters
    ----------
    mask, diameter, smallest, smallest_again, radius, erosion, closing, dilation, largest_hole, largest
        As for `clean`.

    Returns
    -------
    dict of str to ndarray of bool, shape (rows, columns)
        "without_small", "eroded", "filled", "closed", "without_small_again", "dilated", "filled_again" and, if
        `largest` is given, "without_large". The last is the result of `clean`.

    Raises
    ------
    CryokitError
        As for `clean`.

    Examples
    --------
    >>> list(clean_stages(np.ones((4, 4)), 3))[:3]
    ['without_small', 'eroded', 'filled']
    """
    mask = as_mask(mask)
    area = particle_area(diameter)
    sizes = {
        "smallest": smallest,
        "smallest_again": smallest if smallest_again is None else smallest_again,
        "erosion": radius if erosion is None else erosion,
        "closing": radius if closing is None else closing,
        "dilation": radius if dilation is None else dilation,
        "largest_hole": largest_hole,
        "largest": math.inf if largest is None else largest,
    }
    for name, size in sizes.items():
        if not size >= 0:
            raise CryokitError(f"{name} {size}: has to be 0 or more, a fraction of the particle")

    def pixels(name: str) -> int:
        # No disc can do more than one that is as large as the picture.
        return math.floor(min(sizes[name] * diameter + 0.5, max(mask.shape)))

    stages = {"without_small": _of_area(mask, sizes["smallest"] * area, math.inf)}
    stages["eroded"] = _eroded(stages["without_small"], pixels("erosion"))
    stages["filled"] = fill_holes(stages["eroded"], largest_hole * area)
    stages["closed"] = _closed(stages["filled"], pixels("closing"))
    stages["without_small_again"] = _of_area(stages["closed"], sizes["smallest_again"] * area, math.inf)
    stages["dilated"] = _dilated(stages["without_small_again"], pixels("dilation"))
    stages["filled_again"] = fill_holes(stages["dilated"], largest_hole * area)
    if largest is not None:
        stages["without_large"] = _of_area(stages["filled_again"], 0, largest * area)
    return stages


def _of_area(mask: NDArray, smallest: float, largest: float) -> NDArray[np.bool_]:
    labels, n = ndimage.label(mask, structure=EIGHT)
    area = np.bincount(labels.ravel(), minlength=n + 1)
    kept = (area >= smallest) & (area <= largest)
    kept[0] = False
    return kept[labels]


def _dilated(mask: NDArray, radius: int) -> NDArray[np.bool_]:
    """Dilate with a disc, row by row of the disc: 4 x radius shifts instead of one for each of its pixels."""
    result = mask.copy()
    wide, width = mask.copy(), 0  # the mask widened to both sides by `width`
    for rows in range(radius, -1, -1):
        while width < math.isqrt(radius**2 - rows**2):
            width += 1
            wide[:, width:] |= mask[:, :-width]
            wide[:, :-width] |= mask[:, width:]
        if rows == 0:
            result |= wide
        else:
            result[rows:] |= wide[:-rows]
            result[:-rows] |= wide[rows:]
    return result


def _eroded(mask: NDArray, radius: int) -> NDArray[np.bool_]:
    return ~_dilated(~mask, radius)


def _closed(mask: NDArray, radius: int) -> NDArray[np.bool_]:
    # What grows over the border has to shrink back from there.
    framed = _eroded(_dilated(np.pad(mask, radius), radius), radius)
    return framed[radius : radius + mask.shape[0], radius : radius + mask.shape[1]]
