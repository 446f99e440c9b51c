"""How much a stage of the preprocessing changed the picture, in MATLAB's definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryokit.errors import MicrographError, PickerError


def mse(image: ArrayLike, reference: ArrayLike) -> float:
    """Return the mean squared error between two pictures.

    Parameters
    ----------
    image, reference : array_like of the same shape

    Raises
    ------
    MicrographError
        When the shapes differ or there is no pixel.

    Examples
    --------
    >>> mse([[0.0, 0.5]], [[0.0, 1.0]])
    0.125
    """
    image, reference = _pair(image, reference)
    return float(np.mean((image - reference) ** 2))


def psnr(image: ArrayLike, reference: ArrayLike) -> float:
    """Return the peak signal-to-noise ratio, ``10 log10(1 / mse)`` in dB: the peak of floating-point pictures is 1.

    It is MATLAB's ``psnr(image, reference)``.

    Parameters
    ----------
    image, reference : array_like of the same shape
        Grey values in [0, 1].

    Returns
    -------
    float
        Infinite for equal pictures.

    Raises
    ------
    MicrographError
        When the shapes differ or there is no pixel.

    Examples
    --------
    >>> psnr([[0.4, 0.6]], [[0.5, 0.5]])
    20.0
    """
    return _decibels(1.0, mse(image, reference))


def snr(image: ArrayLike, reference: ArrayLike) -> float:
    """Return the signal-to-noise ratio, ``10 log10(mean(reference^2) / mse)`` in dB.

    It is the second output of MATLAB's ``[peaksnr, snr] = psnr(image, reference)``.

    Parameters
    ----------
    image, reference : array_like of the same shape

    Returns
    -------
    float
        Infinite for equal pictures.

    Raises
    ------
    MicrographError
        When the shapes differ or there is no pixel.

    Examples
    --------
    >>> round(snr([[0.4, 0.6]], [[0.5, 0.5]]), 4)
    13.9794
    """
    _, reference = _pair(image, reference)
    return _decibels(float(np.mean(reference**2)), mse(image, reference))


def quality(stages: Mapping[str, NDArray], reference: str = "normalised") -> pd.DataFrame:
    """Compare the stages of `Preprocessing.stages` with one of them.

    The numbers say how far a stage went from the reference, not whether it helped: a stage that brings out particles
    changes the picture, and lowers all of them.

    Parameters
    ----------
    stages : dict of str to ndarray
        Pictures of the same shape. The stage ``binned`` is left out, because its grey values are not in [0, 1].
    reference : str
        Name of the stage to compare with.

    Returns
    -------
    pandas.DataFrame
        Columns stage, mse, psnr and snr (dB), one row a stage.

    Raises
    ------
    PickerError
        When there is no such stage.

    Examples
    --------
    >>> dark = np.full((2, 2), 0.5)
    >>> quality({"normalised": dark, "stretched": dark + 0.1})
            stage   mse  psnr        snr
    0  normalised  0.00   inf        inf
    1   stretched  0.01  20.0  13.979400
    """
    compared = [name for name in stages if name != "binned"]
    if reference not in compared:
        raise PickerError(f"there is no stage {reference!r} to compare with; there are {', '.join(compared)}")
    rows = [
        (name, mse(stages[name], stages[reference]), *(f(stages[name], stages[reference]) for f in (psnr, snr)))
        for name in compared
    ]
    return pd.DataFrame(rows, columns=["stage", "mse", "psnr", "snr"])


def _pair(image: ArrayLike, reference: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    image, reference = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    if image.shape != reference.shape or image.size == 0:
        raise MicrographError(
            f"pictures to compare need the same shape; these have {image.shape} and {reference.shape}"
        )
    return image, reference


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
