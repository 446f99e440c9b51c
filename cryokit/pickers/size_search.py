"""The particle's diameter, told by a network: at the right scale it is surest of what it sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryokit.errors import PickerError
from cryokit.imaging.contrast import Contrast
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import WORKING_DIAMETER, middle, recorded, rescaled, whitened
from cryokit.micrograph import Micrograph
from cryokit.networks.scoring import ScoreMap
from cryokit.pickers.compact_picking import candidates

SMALLEST = 6.0  # pixels across a particle
LARGEST = 1 / 5  # of the shorter side of the micrographs
STEPS = 2  # diameters tried to an octave; the network sees particles that are a quarter of an octave off
FINER = 6  # the same, around the best
AREA = 800.0  # of a micrograph that is looked at, in squared diameters
SURE = 0.5  # score of what counts as seen
DOUBTS = 8.0  # particles of which the network would be wrong: few prove nothing
UNCLEAR = 0.6  # evidence of another diameter, more than an octave away, relative to that of the best
FAINT = 0.3  # evidence below which little was seen
CREDIBLE = 0.25  # evidence that nine of ten simulated micrographs without particles do not reach, whatever their dirt


@dataclass(frozen=True)
class SizeEvidence:
    """What a search for the diameter has found.

    Attributes
    ----------
    diameter : float
        Best diameter in pixels; NaN if nothing was seen at any.
    diameters, evidence : ndarray of float64, shape (n,)
        Diameters that were tried, ascending, and how sure the network was at each, from 0 to 1.
    """

    diameter: float
    diameters: NDArray[np.float64]
    evidence: NDArray[np.float64]

    @property
    def ambiguity(self) -> float:
        """Best evidence more than an octave away, relative to that of the best diameter: 0 is clear, 1 a draw."""
        if not math.isfinite(self.diameter):
            return 1.0
        far = np.abs(np.log2(self.diameters / self.diameter)) > 1
        return float(self.evidence[far].max(initial=0.0) / self.evidence.max())

    @property
    def credible(self) -> bool:
        """Whether more was seen than noise and dirt show."""
        return math.isfinite(self.diameter) and float(self.evidence.max()) >= CREDIBLE

    @property
    def doubtful(self) -> bool:
        """Whether little was seen, another diameter is nearly as likely, or the best is at an end of the range."""
        at_end = not self.diameters[0] * 1.02 < self.diameter < self.diameters[-1] / 1.02
        return at_end or self.evidence.max() < FAINT or self.ambiguity > UNCLEAR


def look(
    micrographs: Iterable[Micrograph], contrast: Contrast, score_map: Callable[[Picture], ScoreMap]
) -> SizeEvidence:
    """Look at micrographs at all diameters from 6 pixels to a fifth of their shorter side.

    Parameters
    ----------
    micrographs : iterable of Micrograph
        Micrographs of the same particles; those of all together are counted.
    contrast : {"dark", "bright"}
        Whether particles are darker or brighter than their surroundings.
    score_map : callable
        Scores a picture prepared by `cryokit.imaging.preparation.whitened`.

    Returns
    -------
    SizeEvidence

    Raises
    ------
    PickerError
        If the micrographs are too small.
    """
    pyramids = [_Pyramid(micrograph) for micrograph in micrographs]
    side = min(pyramid.side for pyramid in pyramids)
    if LARGEST * side < 1.5 * SMALLEST:
        raise PickerError(
            f"micrographs of {side:.0f} pixels are too small to estimate the particle's diameter; give it"
        )

    def scores_at(diameter: float) -> NDArray:
        scores = []
        for pyramid in pyramids:
            picture = whitened(pyramid.part(diameter), diameter, contrast)
            scores.append(candidates(score_map(picture), picture.frame, "", diameter)["score"])
        return np.concatenate(scores)

    return search(scores_at, SMALLEST, LARGEST * side)


def search(scores_at: Callable[[float], NDArray], smallest: float, largest: float) -> SizeEvidence:
    """Try diameters, half an octave apart and then, around the best, a sixth.

    Parameters
    ----------
    scores_at : callable
        Returns the scores, from 0 to 1, of the candidates that the network sees at a diameter.
    smallest, largest : float
        Range of diameters in pixels.

    Returns
    -------
    SizeEvidence
    """
    number = 1 + max(1, round(STEPS * math.log2(largest / smallest)))
    tried = {float(diameter): sureness(scores_at(diameter)) for diameter in np.geomspace(smallest, largest, number)}
    best = max(tried, key=tried.__getitem__)
    if tried[best] <= 0:
        return SizeEvidence(math.nan, *_columns(tried))
    for _ in range(2):  # the second time only where the best lies at the end of what was tried around
        for step in (-2, -1, 1, 2):
            diameter = best * 2 ** (step / FINER)
            near = min(abs(math.log2(other / diameter)) for other in tried)
            if smallest / 1.01 <= diameter <= largest * 1.01 and near > 0.5 / FINER:
                tried[diameter] = sureness(scores_at(diameter))
        best = max(tried, key=tried.__getitem__)
    return SizeEvidence(_top(*_columns(tried)), *_columns(tried))


def sureness(scores: NDArray) -> float:
    """Return how sure a network is of its candidates: the share that it is sure of, if there are enough of them."""
    scores = np.asarray(scores, float)
    sure = scores[scores > SURE]
    return float((2 * sure - 1).sum() / (scores.sum() + DOUBTS))


class _Pyramid:
    """A micrograph at several sizes, each half of the one before, made when they are asked for."""

    def __init__(self, micrograph: Micrograph) -> None:
        self.levels = [recorded(micrograph)]
        self.side = min(self.levels[0].data.shape)

    def part(self, diameter: float) -> Picture:
        """Return enough of the micrograph to try a diameter on, with no more detail than that needs."""
        level = max(0, int(math.log2(diameter / (2 * WORKING_DIAMETER)))) if diameter > 2 * WORKING_DIAMETER else 0
        while len(self.levels) <= level:
            self.levels.append(rescaled(self.levels[-1], 0.5))
        return middle(self.levels[level], diameter, AREA)


def _columns(tried: dict[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    diameters = np.array(sorted(tried))
    return diameters, np.array([tried[diameter] for diameter in diameters])


def _top(diameters: NDArray[np.float64], evidence: NDArray[np.float64]) -> float:
    """Return the middle of the range in which the evidence is nearly the best, each diameter weighted by its excess."""
    octave = np.log2(diameters)
    near = np.abs(octave - octave[evidence.argmax()]) <= 0.51
    excess = np.maximum(evidence[near] - 0.8 * evidence.max(), 0)
    # Diameters are not evenly spaced: each stands for the range that is nearest to it.
    width = np.gradient(octave[near]) if near.sum() > 1 else np.ones(1)
    return float(2 ** np.average(octave[near], weights=excess * width))
