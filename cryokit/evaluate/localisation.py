"""Localisation: how far true picks lie from the particles they match, and whether they are shifted all alike."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

NOTABLE = 0.01  # of the diameter: a smaller mean shift is not worth a warning
SIGNIFICANT = 3.0  # standard errors, of many matches


@dataclass(frozen=True)
class Localisation:
    """Mean shift and scatter of true picks about the labels that they match.

    Attributes
    ----------
    matches : int
        Number of true picks.
    dx, dy : float
        Mean of pick minus label, in pixels: positive where picks lie to the right of the labels, or below them. NaN
        without matches.
    dx_error, dy_error : float
        Standard errors of `dx` and `dy`; NaN with fewer than two matches.
    rms : float
        Root mean square distance between pick and label, in pixels.
    diameter : float
        Mean diameter of the matched labels, in pixels.
    dx_share, dy_share, rms_share : float
        `dx`, `dy` and `rms` as shares of the diameter.

    Notes
    -----
    A standard error is the larger of two. One takes each pick for an independent observation. The other takes the
    micrograph for the unit, because the matches on a micrograph may share an offset (its labeller's, its drift): the
    deviations from the mean are added up within each micrograph, and the sums, not the deviations, are taken to be
    independent (the cluster-robust estimate of Liang and Zeger, Biometrika 73:13-22, 1986, with the factor
    ``n / (n - 1)`` for few micrographs). The latter is itself uncertain with few micrographs and may come out too small
    by chance, hence the larger of the two. With a single micrograph only the former exists, so an offset that only this
    micrograph has cannot be told from one that all have.

    A shift is significant if it is more than three standard errors; of few matches, if it is more than Student's t
    requires for the same p of 0.0027 (4.1 standard errors with 10 matches).

    Matching cuts off distances beyond the tolerance, so a shift that is no longer small against it is underestimated.
    """

    matches: int
    dx: float
    dy: float
    dx_error: float
    dy_error: float
    rms: float
    diameter: float
    dx_share: float
    dy_share: float
    rms_share: float

    @property
    def shifted(self) -> bool:
        """Whether `dx` or `dy` is more than 1 % of the diameter and significant (see the notes)."""
        if self.matches < 2:
            return False
        limit = stdtrit(self.matches - 1, ndtr(SIGNIFICANT))
        return any(
            abs(shift) > NOTABLE * self.diameter and abs(shift) > limit * error
            for shift, error in ((self.dx, self.dx_error), (self.dy, self.dy_error))
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes and `shifted`."""
        return asdict(self) | {"shifted": self.shifted}

    def warning(self) -> str:
        """Return one line that says how the picks are shifted and what to check; an empty string if they are not."""
        if not self.shifted:
            return ""
        return (
            f"picks are shifted by {self.dx:+.2f} px in x and {self.dy:+.2f} px in y, {100 * self.dx_share:+.1f} and "
            f"{100 * self.dy_share:+.1f} % of the diameter (over {100 * NOTABLE:g} % and {SIGNIFICANT:g} standard "
            "errors): check that picks and labels have the same binning and pixel origin"
        )


def localise(offsets: NDArray[np.float64], micrographs: NDArray[Any], diameters: NDArray[np.float64]) -> Localisation:
    """Measure where picks lie from the labels that they match.

    Parameters
    ----------
    offsets : ndarray of float, shape (n, 2)
        Pick minus label, x and y in pixels.
    micrographs : ndarray, shape (n,)
        Name or number of each match's micrograph.
    diameters : ndarray of float, shape (n,)
        Diameters of the matched labels in pixels.

    Examples
    --------
    >>> localise(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array(["a", "a"]), np.array([100.0, 100.0])).dx_error
    1.0
    """
    n = len(offsets)
    if not n:
        return Localisation(0, *[np.nan] * 9)
    mean = offsets.mean(axis=0)
    deviations = offsets - mean
    number = np.unique(micrographs, return_inverse=True)[1]
    sums = np.stack([np.bincount(number, column) for column in deviations.T], axis=1)
    errors = np.fmax(_standard_error(deviations, n), _standard_error(sums, n))
    rms, diameter = np.sqrt((offsets**2).sum(axis=1).mean()), diameters.mean()
    return Localisation(n, *map(float, (*mean, *errors, rms, diameter, *mean / diameter, rms / diameter)))


def _standard_error(parts: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the standard error of the mean of n values whose deviations from it add up to independent `parts`."""
    k = len(parts)
    if k < 2:
        return np.full(2, np.nan)
    return np.sqrt(k / (k - 1) * (parts**2).sum(axis=0)) / n
