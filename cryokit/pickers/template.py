"""Label-free template matching: references made from the micrographs themselves."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryokit._util.checked_settings import number
from cryokit.coordinates import table
from cryokit.evaluate.thresholds import Posterior, otsu, separation
from cryokit.imaging.contrast import common_contrast, contrast_score
from cryokit.imaging.correlation import SymmetricPatches
from cryokit.imaging.frame import Picture
from cryokit.imaging.peaks import find_peaks, inside, without_side_lobes
from cryokit.imaging.preparation import flattened, middle, recorded, rescaled
from cryokit.micrograph import MicrographLike
from cryokit.pickers.interface import (
    Micrographs,
    SizedPicker,
    as_micrograph,
    check_room,
    diameters_to_try,
    warn_of_range_end,
)

logger = logging.getLogger(__name__)

# Lengths as fractions of the diameter at which the references are made.
DISC = 1.0  # radius in which reference and micrograph are compared: the particle and as much of its surroundings
APART = 0.4  # smallest distance of two picks; touching particles overlap in projection
SIDE_LOBES = 0.75  # radius around a correlation peak in which there are weaker rings of itself,
SIDE_LOBE_RATIO = 3.0  # at most a third as high
WORKING_DIAMETER = 20.0  # pixels across a particle after binning
ROUNDS = 5  # of finding candidates and averaging them again
# The reference may be made a little smaller or larger than the particle, where that tells particles clearly better.
OTHER_SCALES = (0.8, 1.25)
CLEARLY = 0.95
# Hypotheses are tried on an area that holds enough particles to judge by, in squared diameters.
TRIAL_AREA = 1500.0
FIRST_GUESSES = ("blob", "texture")
LARGEST_SHARE = 2.0  # of the reference that one micrograph makes, relative to the median one
CONFIDENT = 8  # candidates needed to know what particles usually look like


@dataclass(eq=False)
class TemplatePicker(SizedPicker):
    """Template matching without labels, by a rotationally averaged reference made from the micrographs themselves.

    1. Padded borders are cropped and hot pixels limited; the micrographs are binned until a particle is 20 pixels
       across, levelled, and inverted where needed so that particles are bright (`cryokit.imaging.preparation`).
    2. The first candidates are blobs of the particle's size, found by the Laplacian of Gaussian in the grey values or
       in the texture (local variance): particles near focus are no darker than the ice around them, but rougher.
    3. The candidates above Otsu's threshold are averaged over all rotations into a reference, which is correlated with
       the micrographs. The maxima are the next candidates, and so on until the reference no longer changes.
    4. This is done from both first guesses and at a few scales around the diameter (a series of diameters if it is not
       given). The outcome whose scores fall most clearly into two groups is kept
       (`cryokit.evaluate.thresholds.separation`).
    5. The probability that a candidate is a particle comes from the distribution of the scores alone
       (`cryokit.evaluate.thresholds.Posterior`). Candidates much darker or rougher than the confident ones (ice,
       carbon) are marked down. The threshold is 0.5.

    Parameters
    ----------
    diameter : float, optional
        Particle diameter in pixels of the micrograph. By default it is estimated, between a hundredth and an eighth of
        the micrograph's shorter side and not below 12 pixels.
    contrast : {"dark", "bright"}, optional
        Whether particles are darker or brighter than their surroundings; detected by default.
    max_micrographs : int
        Largest number of micrographs, spread evenly over those given, that the reference is made from.

    Attributes
    ----------
    diameter_ : float
        Particle diameter in pixels of the micrograph, given or estimated.
    contrast_ : {"dark", "bright"}
        Contrast, given or detected.
    scale_ : float
        Diameter, in pixels of the micrograph, at which the reference was made.
    reference_ : ndarray of float32, shape (rings,)
        Radial profile of the reference in binned pixels.

    Notes
    -----
    The correlation is that of FindEM (Roseman 2003, Ultramicroscopy 94:225), see `cryokit.imaging.correlation`. Blobs
    as first candidates follow DoG Picker (Voss et al. 2009, J. Struct. Biol. 166:205). Side views of long particles
    are matched by their rotational average only. Nothing is random.
    """

    learned_in: ClassVar[str] = "reference_"

    max_micrographs: int = number(12, 1, whole=True)
    reference_: NDArray[np.float32] | None = field(default=None, init=False, repr=False)

    def fit(self, micrographs: Iterable[MicrographLike], labels: pd.DataFrame | None = None) -> TemplatePicker:
        """Make the reference; labels are not used.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Micrographs to learn from.
        labels : pandas.DataFrame, optional
            Not used.

        Returns
        -------
        TemplatePicker
            The picker itself.

        Raises
        ------
        PickerError
            If there is no micrograph, or they are too small for the diameter.
        """
        reduced = self.reduced(micrographs)
        if self.diameter is None:
            diameter = self.estimated_diameter(reduced)
            return self.make_reference(reduced, diameter, [diameter])
        return self.make_reference(reduced, self.diameter)

    def reduced(self, micrographs: Iterable[MicrographLike]) -> list[Picture]:
        """Read micrographs, find out their contrast, and keep only the detail that the finest reference can have.

        Parameters
        ----------
        micrographs : iterable of Micrograph or path
            Micrographs; at most `max_micrographs` of them are read.

        Returns
        -------
        list of Picture
            Binned micrographs, for `estimated_diameter` and `make_reference`.

        Raises
        ------
        PickerError
            If there is no micrograph, or they are too small for the diameter.
        """
        pictures, scores, seen = [], [], set()
        for micrograph in Micrographs.to_learn_from(micrographs).spread(self.max_micrographs):
            # A micrograph that is there twice has one voice.
            content = hashlib.blake2b(np.ascontiguousarray(micrograph.data)).digest()
            if content in seen:
                continue
            seen.add(content)
            picture = recorded(micrograph, fill=not self.keep_masked)
            side = min(picture.data.shape)
            if self.diameter is not None:
                check_room(micrograph.name, picture.data.shape, self.diameter)
            if self.contrast is None:
                scores.append(contrast_score(picture.data, self.diameter))
            smallest = diameters_to_try(side)[0] / 2 if self.diameter is None else self.diameter * min(OTHER_SCALES)
            pictures.append(rescaled(picture, min(1.0, WORKING_DIAMETER / smallest)))
        self.contrast_ = self.contrast or common_contrast(scores)
        return pictures

    def estimated_diameter(self, pictures: Sequence[Picture]) -> float:
        """Return the diameter at which references tell particles best.

        Parameters
        ----------
        pictures : sequence of Picture
            Output of `reduced`.

        Returns
        -------
        float
            Particle diameter in pixels of the micrographs.
        """
        side = min(min(picture.frame.shape) * picture.frame.step for picture in pictures)
        diameters = diameters_to_try(round(side))
        outcomes = self._outcomes(pictures, diameters)
        nearest = min(outcomes, key=_unexplained).scale
        step = (diameters[1] / diameters[0]) ** (1 / 3)
        outcomes += self._outcomes(pictures, [nearest / step, nearest * step])
        # Over a range around the particle's diameter references do about equally well: its middle is the estimate.
        limit = min(map(_unexplained, outcomes)) / CLEARLY
        good = [outcome.scale for outcome in outcomes if outcome.unexplained <= limit]
        diameter = math.sqrt(min(good) * max(good))
        if not diameters[0] < diameter < 0.99 * diameters[-1]:
            warn_of_range_end(diameter)
        return diameter

    def make_reference(
        self, pictures: Sequence[Picture], diameter: float, scales: Sequence[float] | None = None
    ) -> TemplatePicker:
        """Make the reference and learn which scores are particles.

        Parameters
        ----------
        pictures : sequence of Picture
            Output of `reduced`.
        diameter : float
            Particle diameter in pixels of the micrographs.
        scales : sequence of float, optional
            Diameters to make the reference at; by default the particle's, and one a little smaller and one a little
            larger where they tell particles clearly better.

        Returns
        -------
        TemplatePicker
            The picker itself.
        """
        if scales is None:
            best = min(self._outcomes(pictures, [diameter]), key=_unexplained)
            other = min(self._outcomes(pictures, [diameter * scale for scale in OTHER_SCALES]), key=_unexplained)
            if other.unexplained < CLEARLY * best.unexplained:
                best = other
        else:
            best = min(self._outcomes(pictures, scales), key=_unexplained)
        self.scale_ = float(best.scale)
        self.diameter_ = float(diameter)
        patches = [_Patches(picture, self.scale_, self.contrast_) for picture in pictures]
        # The trial saw a part; now all micrographs have their say.
        scores = [_scores(discs, best.reference) for discs in patches]
        self.reference_ = _average(patches, _candidates(scores, patches))
        self._learn_scores(patches)
        logger.info(
            "template: particles are %s, %.1f pixels across (%s); reference from %d micrograph(s)",
            self.contrast_,
            self.diameter_,
            "given" if self.diameter else "estimated",
            len(pictures),
        )
        return self

    def pick(self, micrograph: MicrographLike, *, threshold: float | None = None) -> pd.DataFrame:
        """Find the particles of one micrograph; see `Picker.pick`."""
        self._require_fitted()
        micrograph = as_micrograph(micrograph)
        threshold = self.threshold_ if threshold is None else threshold
        patches = _Patches(recorded(micrograph, fill=not self.keep_masked), self.scale_, self.contrast_)
        scores = _scores(patches, self.reference_)
        x, y, height = find_peaks(scores, APART * patches.working_diameter)
        reach = SIDE_LOBES * patches.working_diameter
        kept = without_side_lobes(x, y, height, reach, SIDE_LOBE_RATIO)
        x, y, height = x[kept], y[kept], height[kept]
        probability = self._probability(patches, height, *_pixels(x, y))
        kept = probability >= threshold
        x, y = patches.frame.to_source(x[kept], y[kept])
        picks = table(micrograph.name, x, y, probability[kept], self.diameter_)
        return self._on_ice(micrograph, picks.sort_values("score", ascending=False, kind="stable", ignore_index=True))

    def _outcomes(self, pictures: Sequence[Picture], scales: Iterable[float]) -> list[_Outcome]:
        """Make a reference at each scale, from each first guess."""
        outcomes = []
        for scale in scales:
            parts = [middle(picture, scale, TRIAL_AREA / len(pictures)) for picture in pictures]
            patches = [_Patches(part, scale, self.contrast_) for part in parts]
            for guess in FIRST_GUESSES:
                outcomes.append(_bootstrap(patches, scale, guess))
                logger.debug("scale %.1f from %s: %.3f unexplained", scale, guess, outcomes[-1].unexplained)
        return outcomes

    def _learn_scores(self, patches: Sequence[_Patches]) -> None:
        candidates = _candidates([_scores(discs, self.reference_) for discs in patches], patches)
        scores = np.concatenate([maxima.score for maxima in candidates])
        posterior = Posterior.fit(scores)
        self.posterior_ = np.stack([posterior.score, posterior.probability])
        traits = np.concatenate(
            [discs.traits(maxima.row, maxima.column) for discs, maxima in zip(patches, candidates, strict=True)]
        )
        confident = traits[posterior(scores) > 0.5]
        if len(confident) < CONFIDENT:
            confident = traits
        centre = np.median(confident, axis=0)
        deviation = 1.4826 * np.median(np.abs(confident - centre), axis=0)
        self.typical_traits_ = np.stack([centre, np.maximum(deviation, 1e-6)])

    def _probability(self, patches: _Patches, scores: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Return the probability of candidates: by their score, marked down where darkness or texture is unusual."""
        centre, deviation = self.typical_traits_
        excess = np.maximum((patches.traits(row, column) - centre) / deviation - 5, 0)
        return Posterior(*self.posterior_)(scores) * np.exp(-0.5 * (excess**2).sum(axis=1))


class _Patches(SymmetricPatches):
    """Discs of one micrograph, binned to the working diameter and levelled."""

    def __init__(self, picture: Picture, scale: float, contrast: str) -> None:
        self.flat, self.frame = flattened(picture, scale, contrast, WORKING_DIAMETER)
        self.working_diameter = min(scale, WORKING_DIAMETER)
        super().__init__(self.flat, math.ceil(DISC * self.working_diameter))

    def traits(self, row: NDArray, column: NDArray) -> NDArray[np.float64]:
        """Return what tells ice and carbon from particles: darkness and log texture, shape (n, 2)."""
        darkness = ndimage.gaussian_filter(self.flat, self.working_diameter / 4)
        return np.column_stack([darkness[row, column], np.log(self.deviation[row, column])])

    def first_guess(self, kind: str) -> NDArray:
        """Return a map whose maxima are blobs of the particle's size, in grey values or in texture."""
        image = self.flat
        if kind == "texture":
            fine = ndimage.gaussian_filter(image, 1) - ndimage.gaussian_filter(image, self.working_diameter / 4)
            image = np.log(ndimage.gaussian_filter(fine**2, self.working_diameter / 6) + 1e-3)
        # At this scale a disc of the particle's diameter responds most strongly.
        return -ndimage.gaussian_laplace(image, self.working_diameter / (2 * math.sqrt(2)))


@dataclass(frozen=True)
class _Outcome:
    scale: float
    reference: NDArray[np.float32]
    unexplained: float


@dataclass(frozen=True)
class _Candidates:
    row: NDArray
    column: NDArray
    score: NDArray


_unexplained = attrgetter("unexplained")


def _scores(patches: _Patches, reference: NDArray) -> NDArray[np.float32]:
    """Return the score map: the geometric mean of normalised and plain cross-correlation.

    The normalised one alone takes faint but well-shaped noise for particles, the plain one alone takes carbon.
    """
    typical = np.median(patches.deviation)
    return patches.correlate(reference) * np.sqrt(patches.deviation / typical)


def _bootstrap(patches: Sequence[_Patches], scale: float, guess: str) -> _Outcome:
    maps = [discs.first_guess(guess) for discs in patches]
    reference = np.zeros(patches[0].radius + 1, np.float32)
    for _ in range(ROUNDS):
        previous, reference = reference, _average(patches, _candidates(maps, patches))
        maps = [_scores(discs, reference) for discs in patches]
        if np.allclose(previous, reference, atol=1e-3):
            break
    scores = np.concatenate([candidates.score for candidates in _candidates(maps, patches)])
    return _Outcome(scale, reference, separation(scores, fewest=_fewest(scores)))


def _candidates(maps: Sequence[NDArray], patches: Sequence[_Patches]) -> list[_Candidates]:
    candidates = []
    for scores, discs in zip(maps, patches, strict=True):
        x, y, score = find_peaks(scores, APART * discs.working_diameter)
        # A disc mostly outside says little about the particle.
        kept = inside(x, y, scores.shape, discs.radius // 2)
        candidates.append(_Candidates(*_pixels(x[kept], y[kept]), score[kept]))
    return candidates


def _pixels(x: NDArray, y: NDArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the pixels at positions."""
    return np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)


def _fewest(scores: NDArray) -> int:
    """Return the smallest number of candidates that make a reference: a few ice crystals above all others must not."""
    return max(5, round(0.01 * scores.size))


def _average(patches: Sequence[_Patches], candidates: Sequence[_Candidates]) -> NDArray[np.float32]:
    """Return the rotational average of the candidates above Otsu's threshold, with mean 0 in the disc."""
    scores = np.concatenate([maxima.score for maxima in candidates])
    threshold = otsu(scores, fewest=_fewest(scores)) if scores.size else 0.0
    chosen = [maxima.score >= threshold for maxima in candidates]
    counts = np.array([int(part.sum()) for part in chosen])
    # A single micrograph, dirty perhaps, does not outvote the others.
    shares = np.minimum(counts, max(CONFIDENT, LARGEST_SHARE * float(np.median(counts)))) / np.maximum(counts, 1)
    total = np.zeros(patches[0].radius + 1)
    for discs, maxima, part, share in zip(patches, candidates, chosen, shares, strict=True):
        total += share * discs.profiles(maxima.row[part], maxima.column[part]).sum(axis=0)
    profile = total / max(float((shares * counts).sum()), 1.0)
    weights = patches[0].ring_sizes / patches[0].ring_sizes.sum()
    return (profile - profile @ weights).astype(np.float32)
