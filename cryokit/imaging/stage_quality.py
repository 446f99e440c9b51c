"""How much a stage of the enhancement chain changed the picture."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryokit._util.validation import check_choice


def snr(image: ArrayLike, reference: ArrayLike) -> float:
    """Return the signal-to-noise ratio, ``10 log10(mean(reference^2) / mse)`` in dB.

    It is the second output of MATLAB's ``[peaksnr, snr] = psnr(image, reference)``; scikit-image has none.

    Parameters
    ----------
    image, reference : array_like of one shape
        Pictures.

    Returns
    -------
    float
        Infinite for equal pictures, minus infinity for an empty reference.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> round(snr([[0.4, 0.6]], [[0.5, 0.5]]), 4)
    13.9794
    """
    from skimage.metrics import mean_squared_error

    image, reference = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    noise = mean_squared_error(reference, image)
    if noise == 0:
        return float("inf")
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.mean(reference**2) / noise))


def quality(stages: Mapping[str, NDArray], reference: str = "normalised") -> pd.DataFrame:
    """Compare the stages of `Preprocessing.stages` with one of them.

    The numbers say how far a stage is from the reference, not whether it helped: a stage that brings out particles
    changes the picture, and lowers both ratios.

    Parameters
    ----------
    stages : mapping of str to ndarray
        Pictures of one shape. The stage ``binned`` is left out, because its grey values are not in [0, 1].
    reference : str
        Name of the stage to compare with.

    Returns
    -------
    pandas.DataFrame
        One row for each stage: stage, mse (mean squared error), psnr (peak signal-to-noise ratio in dB, for a peak
        of 1) and snr (dB); infinite for equal pictures.

    Raises
    ------
    ArgumentError
        If there is no such stage.

    Examples
    --------
    >>> dark = np.full((2, 2), 0.5)
    >>> quality({"normalised": dark, "stretched": dark + 0.1})
            stage   mse  psnr        snr
    0  normalised  0.00   inf        inf
    1   stretched  0.01  20.0  13.979400
    """
    from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

    pictures = {name: np.asarray(picture, np.float64) for name, picture in stages.items() if name != "binned"}
    check_choice("reference", reference, pictures)
    target = pictures[reference]
    with np.errstate(divide="ignore"):  # equal pictures
        rows = [
            (
                name,
                mean_squared_error(target, picture),
                peak_signal_noise_ratio(target, picture, data_range=1),
                snr(picture, target),
            )
            for name, picture in pictures.items()
        ]
    return pd.DataFrame(rows, columns=["stage", "mse", "psnr", "snr"])
