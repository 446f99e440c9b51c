"""RELION's reference-based picking: class averages of labelled particles, rotated and correlated with micrographs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import expit, logit

from cryokit._util.checked_settings import number
from cryokit.errors import PickerError
from cryokit.evaluate import matching
from cryokit.imaging.frame import Frame
from cryokit.imaging.peaks import find_peaks
from cryokit.networks.scoring import ScoreMap
from cryokit.pickers import class_averages as averaging
from cryokit.pickers.labelled import Candidates, LabelledPicker, Scene, particle_map
from cryokit.pickers.places import distance_to_nearest

WORKING_DIAMETER = 24.0  # pixels across a particle
MASK = 1.1  # diameter of the circle in which reference and micrograph are compared, in particle diameters
WINDOW = 2.0  # side in diameters of the window that levels the picture: wider than the mask, which levels by itself
APART = 0.5  # smallest distance between two picks in diameters, RELION's default
MATCH = 0.25  # largest distance in diameters between a candidate and its label
MOST = 10  # classes
TO_A_CLASS = 20  # particles per class on average
FEWEST = 5  # particles of a class that is kept: averages of fewer are noise
RELATIVE_RESOLUTION = 10.0  # periods across a particle if the pixel size is not known: 20 A for one of 200 A
SAME = 0.98  # correlation of two rotations of a reference above which one is enough
DEVIATION = 0.1  # smallest standard deviation within the mask, relative to the median: padding has none
_BATCH = 12  # rotations transformed at once


@dataclass(eq=False)
class RelionTemplatePicker(LabelledPicker):
    """Picker that works as RELION-2's autopicking does, with references made from labelled particles.

    1. *Scale.* Micrographs are binned until a particle is 24 pixels across (RELION bins to the references' resolution),
       and low-pass filtered as the references are.
    2. *References.* Up to 100 particles of each view are aligned (rotation and shift) and sorted into classes by
       iterated multi-reference alignment: one class per 20 particles, 10 in all at most. Their averages, low-pass
       filtered to 20 Angstrom, are the references; those of fewer than 5 particles are dropped.
    3. *Correlation.* Each reference is rotated in steps of 5 degrees and correlated with the micrograph inside a
       circular mask, locally normalised, by Fourier transforms. The largest value over references and rotations is
       the figure of merit. Rotations that correlate by more than 0.98 with an earlier one are left out: one remains of
       a ring, half of the rotations of a reference with two-fold symmetry.
    4. *Candidates* are peaks at least half a diameter apart. A logistic function of the figure of merit, fitted to the
       candidates on the labelled micrographs (Platt 1999), gives their probability.

    Differences from RELION:

    - The CTF is ignored, so the references are as defocused as the particles they are made of.
    - The figure of merit is the correlation coefficient itself, of which RELION takes a likelihood ratio.
    - RELION's noise-level threshold on the local standard deviation is left to the normalisation.

    Random are the choice of the particles that make the references, and of those that their classes begin with.

    Parameters
    ----------
    diameter, contrast, validation, seed
        See `LabelledPicker`.
    particles : int
        Largest number of particles of each view that make the references, drawn at random.
    classes : int
        Largest number of classes of all views together, divided equally among the views.
    resolution : float
        Resolution of the low-pass filter in Angstrom. If no micrograph has a pixel size, the filter is a tenth of the
        diameter. The picture, in which a particle is at most 24 pixels across, ends at a twelfth of the diameter by
        itself, so finer resolutions change nothing.
    step : float
        Angle in degrees between rotations of a reference.

    Attributes
    ----------
    references_ : ndarray of float32, shape (classes, side, side)
        References at the working scale, particles dark, with mean 0 and norm 1 within the mask.
    views_ : list of str
        View of each reference; "" if the labels have none.
    period_ : float
        Period of the low-pass filter in pixels of the picture.
    calibration_ : tuple of (float, float)
        Slope and offset of the log-odds of a figure of merit.

    Notes
    -----
    Scheres 2015, J. Struct. Biol. 189:114; Fernandez-Leiro and Scheres 2017, Acta Cryst. D73:496.
    """

    learned_in: ClassVar[str] = "references_"

    particles: int = number(100, 1, whole=True)
    classes: int = number(MOST, 1, whole=True)
    resolution: float = number(20.0, 0, above=True)
    step: float = number(5.0, 0, 180, above=True)
    references_: NDArray[np.float32] | None = field(default=None, init=False, repr=False)
    views_: list[str] = field(default_factory=list, init=False, repr=False)
    period_: float = field(default=0.0, init=False, repr=False)
    calibration_: tuple[float, float] = field(default=(1.0, 0.0), init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._rotated: NDArray[np.float32] | None = None

    @property
    def working_diameter(self) -> float:
        """Particle diameter in pixels of the picture."""
        return min(WORKING_DIAMETER, self.diameter_)

    @property
    def window(self) -> int:
        """Side of the window in which the picture is levelled, in pixels."""
        return round(WINDOW * self.working_diameter)

    @property
    def _radius(self) -> float:
        return MASK * self.working_diameter / 2

    def _learn(self, scenes: Sequence[Scene]) -> None:
        self._choose_period([scene.pixel_size for scene in scenes if scene.pixel_size])
        rng = np.random.default_rng(self.seed)
        groups = self._groups(scenes, rng)
        references, self.views_ = [], []
        for view, boxes in groups.items():
            number = max(1, min(self.classes // len(groups), len(boxes) // TO_A_CLASS))
            averages, members = averaging.class_averages(boxes, number, self._radius, self.working_diameter, rng)
            kept = max(1, int((members >= FEWEST).sum()))  # the largest come first
            references.append(averages[:kept])
            self.views_ += [view] * kept
            subject = f"references of {view} views" if view else "references"
            self._decide(f"{subject}: averages of {', '.join(map(str, members[:kept]))} particles")
        references = averaging.low_passed(np.concatenate(references), self.period_)
        self.references_ = averaging.standardised(references, averaging.circle(references.shape[-1], self._radius))
        self._rotate_references()
        self._decide(f"{len(self._rotated)} rotations of {len(self.references_)} references")
        self._calibrate(scenes)

    def _choose_period(self, pixel_sizes: list[float]) -> None:
        if not pixel_sizes:
            self.period_ = self.working_diameter / RELATIVE_RESOLUTION
            self._decide(f"no pixel size is known: references low-pass filtered to {self.diameter_ / 10:.1f} pixels")
            return
        pixel = float(np.median(pixel_sizes)) * self.diameter_ / self.working_diameter
        self.period_ = self.resolution / pixel
        if self.period_ < 2:
            self._decide(f"references end at {2 * pixel:.0f} Angstrom, with the picture's pixels of {pixel:.1f}")

    def _groups(self, scenes: Sequence[Scene], rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Return the particles to average, by view."""
        side = 2 * math.ceil((MASK / 2 + averaging.SHIFT) * self.working_diameter) + 1
        boxes_of: dict[str, list[NDArray]] = {}
        for scene in scenes:
            for view in np.unique(scene.views):
                places = scene.particles[scene.views == view]
                boxes_of.setdefault(str(view), []).append(averaging.cut(scene.picture, places, side))
        groups = {view: np.concatenate(boxes) for view, boxes in sorted(boxes_of.items())}
        # If there are more views than classes, the most frequent ones.
        frequent = sorted(groups, key=lambda view: -len(groups[view]))[: self.classes]
        return {
            view: boxes[np.sort(rng.choice(len(boxes), min(self.particles, len(boxes)), replace=False))]
            for view, boxes in groups.items()
            if view in frequent
        }

    def _rotate_references(self) -> None:
        """Rotate the references in steps, and leave out what is nearly the same."""
        mask = averaging.circle(self.references_.shape[-1], self._radius)
        rotated = []
        for reference in self.references_:
            kept = np.empty((0, int(mask.sum())), np.float32)
            for degrees in np.arange(0, 360, self.step):
                image = averaging.standardised(averaging.turned(reference, degrees)[None], mask)[0]
                if not (kept @ image[mask] > SAME).any():
                    kept = np.concatenate([kept, image[None, mask]])
                    rotated.append(image)
        self._rotated = np.stack(rotated)

    def _merit(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the figure of merit of every pixel: the largest correlation coefficient, -1 to 1."""
        if self._rotated is None:  # after loading
            self._rotate_references()
        side = self._rotated.shape[-1]
        image = np.pad(averaging.low_passed(picture, self.period_), side // 2, mode="reflect")
        shape = tuple(fft.next_fast_len(size, real=True) for size in image.shape)

        def spectrum(pixels: NDArray) -> NDArray:
            return fft.rfft2(pixels, shape, workers=averaging.THREADS)

        def correlated(image_spectrum: NDArray, kernels: NDArray) -> NDArray:
            planes = image_spectrum * np.conj(spectrum(kernels))
            maps = fft.irfft2(planes, shape, overwrite_x=True, workers=averaging.THREADS)
            return maps[..., : picture.shape[0], : picture.shape[1]]

        disc = averaging.circle(side, self._radius).astype(np.float32)
        image_spectrum = spectrum(image)
        total, squares = correlated(image_spectrum, disc), correlated(spectrum(image * image), disc)
        norm = np.sqrt(np.maximum(squares - total**2 / disc.sum(), 0))
        best = np.full(picture.shape, -np.inf, np.float32)
        for first in range(0, len(self._rotated), _BATCH):
            maps = correlated(image_spectrum, self._rotated[first : first + _BATCH])
            np.maximum(best, maps.max(axis=0), out=best)
        return best / np.maximum(norm, max(DEVIATION * float(np.median(norm)), 1e-12))

    def _candidates(self, picture: NDArray[np.float32], least: float = -np.inf) -> Candidates:
        return Candidates(*find_peaks(self._merit(picture), APART * self.working_diameter, least))

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        slope, offset = self.calibration_
        return particle_map(expit(slope * self._merit(picture) + offset), Frame.whole(picture.shape))

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        slope, offset = self.calibration_
        # The score rises with the merit, so peaks of one are peaks of the other.
        lowest = (logit(least) - offset) / slope - 1e-6 if 0 < least < 1 else -np.inf
        candidates = self._candidates(picture, lowest)
        return candidates._replace(score=expit(slope * candidates.score + offset))

    def _calibrate(self, scenes: Sequence[Scene]) -> None:
        """Learn which figure of merit is how probable: Platt's logistic regression on the labelled candidates."""
        diameter = self.working_diameter
        merits, true = [], []
        for scene in scenes:
            candidates = self._candidates(scene.picture)
            diameters = np.full(len(scene.particles), diameter)
            pairs = matching.candidates(candidates.places, scene.particles, diameters, tolerance=MATCH)
            hit = np.zeros(len(candidates.x), bool)
            hit[matching.match(pairs, candidates.score).pick] = True
            counts = hit | (distance_to_nearest(candidates.places, scene.ignored) > diameter / 2)
            merits.append(candidates.score[counts])
            true.append(hit[counts])
        self.calibration_ = platt(np.concatenate(merits), np.concatenate(true))
        slope, offset = self.calibration_
        self._decide(f"a figure of merit of {-offset / slope:.2f} is as often a particle as not")


def platt(values: NDArray, true: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit the log-odds of being true as a straight line of a value.

    Targets lie inside of 0 and 1 by as much as one further example of the other kind would move them (Platt 1999, in
    Advances in Large Margin Classifiers), so that groups that do not overlap give no step.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Values, such as figures of merit.
    true : ndarray of bool, shape (n,)
        Which of them are true.

    Returns
    -------
    slope, offset : float
        Line of the log-odds; the slope is above 0.

    Raises
    ------
    PickerError
        If all or none are true, or the true ones do not have the larger values.

    Examples
    --------
    >>> values = np.array([0.1, 0.2, 0.3, 0.5, 0.6, 0.7])
    >>> slope, offset = platt(values, values > 0.4)
    >>> round(-offset / slope, 3)
    0.4
    """
    positives = int(true.sum())
    negatives = len(true) - positives
    if not (positives and negatives):
        raise PickerError(
            f"the references find {'nothing but particles' if positives else 'none of the labelled particles'}, so "
            "their scores mean nothing; check labels and diameter, or give more micrographs"
        )
    from sklearn.linear_model import LogisticRegression

    target = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    middle, width = float(np.mean(values)), max(float(np.std(values)), 1e-12)
    scaled = (np.tile(values, 2)[:, None] - middle) / width
    # A target between 0 and 1 is an example of both kinds, with weights.
    model = LogisticRegression(C=np.inf, tol=1e-8).fit(
        scaled, np.repeat([1, 0], len(values)), sample_weight=np.concatenate([target, 1 - target])
    )
    slope = float(model.coef_[0, 0]) / width
    if not slope > 0:
        raise PickerError(
            "particles fit the references no better than other places do; check that labels, diameter and micrographs "
            "belong together"
        )
    return slope, float(model.intercept_[0]) - slope * middle
