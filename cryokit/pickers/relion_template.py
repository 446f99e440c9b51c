"""RELION's reference-based picking: class averages of labelled particles, rotated and correlated with micrographs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize
from scipy.spatial import cKDTree
from scipy.special import expit

from cryokit._util.validation import check_number
from cryokit.errors import PickerError
from cryokit.imaging.frame import Frame
from cryokit.imaging.peaks import find_peaks
from cryokit.pickers import class_averages as averaging
from cryokit.pickers.labelled import Candidates, LabelledPicker, Scene, particle_map

if TYPE_CHECKING:
    from cryokit.networks.scoring import ScoreMap

WORKING_DIAMETER = 24.0  # pixels across a particle
MASK = 1.1  # diameters across the circle in which reference and micrograph are compared
WINDOW = 2.0  # diameters across the window that levels the picture: wider than the mask, which levels by itself
APART = 0.5  # diameters between two picks at least, RELION's default
MATCH = 0.25  # diameters between a candidate and the label that it belongs to
MOST = 10  # classes
TO_A_CLASS = 20  # particles on average
FEWEST = 5  # particles of a class that is kept: averages of fewer are noise
RELATIVE_RESOLUTION = 10.0  # periods across a particle, where the pixel size is not known: 20 A for one of 200 A
SAME = 0.98  # correlation of two rotations of a reference of which one is enough
DEVIATION = 0.1  # of the picture in the mask, at least, relative to the median: padding has none
_BATCH = 12  # rotations transformed at once


class RelionTemplatePicker(LabelledPicker):
    """RELION-2's autopicking with references that are made from labelled particles.

    1. Micrographs are binned until a particle is 24 pixels across (RELION bins to the references' resolution), and
       low-pass filtered as the references are.
    2. Up to 100 particles of each view are aligned (rotation and shift) and sorted into classes by iterated
       multi-reference alignment, one class to 20 particles, 10 in all at most. Their averages, low-pass filtered to
       20 Angstrom, are the references; those of fewer than 5 particles are dropped.
    3. Each reference is turned in steps of 5 degrees and correlated with the micrograph inside a circular mask, locally
       normalised, by Fourier transforms. The largest over references and rotations is the figure of merit. Rotations
       that correlate by more than 0.98 with an earlier one are left out, so that of a ring one is left, and of a
       two-fold symmetric reference half.
    4. Peaks at least half a diameter apart are the candidates. A logistic function of the figure of merit, fitted to
       the candidates on the labelled micrographs (Platt 1999), gives their probability.

    Parameters
    ----------
    diameter, contrast, validation, seed
        See `LabelledPicker`.
    particles : int
        Of each view, at most, that make the references; drawn at random.
    classes : int
        Of all views together, at most, divided equally among the views.
    resolution : float
        Angstrom, of the low-pass filter. Where no micrograph says its pixel size the filter is a tenth of the diameter.
        The picture, in which a particle is at most 24 pixels across, ends at a twelfth of the diameter by itself: less
        than that changes nothing.
    step : float
        Degrees between rotations of a reference.

    Attributes
    ----------
    references_ : ndarray of float32, shape (classes, side, side)
        At the working scale, particles dark, mean 0 and norm 1 within the mask.
    views_ : list of str
        Of each reference; "" where the labels say none.
    period_ : float
        Of the low-pass filter, pixels of the picture.
    calibration_ : tuple of (float, float)
        Slope and offset of the log-odds of a figure of merit.

    Notes
    -----
    Scheres 2015, J. Struct. Biol. 189:114; Fernandez-Leiro and Scheres 2017, Acta Cryst. D73:496. What differs: the CTF
    is ignored, so the references are as defocused as the particles they are made of; the figure of merit is the
    correlation coefficient itself, where RELION takes a likelihood ratio of it; RELION's noise-level threshold on the
    local standard deviation is left to the normalisation. What is random are the particles that make the references and
    those that their classes begin with.
    """

    learned_in: ClassVar[str] = "references_"

    def __init__(
        self,
        diameter: float | None = None,
        contrast: Literal["dark", "bright"] | None = None,
        particles: int = 100,
        classes: int = MOST,
        resolution: float = 20.0,
        step: float = 5.0,
        validation: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(diameter, contrast, validation, seed)
        check_number("particles", particles, 1, whole=True)
        check_number("classes", classes, 1, whole=True)
        check_number("resolution", resolution, 0, above=True)
        check_number("step", step, 0, 180, above=True)
        self.particles = particles
        self.classes = classes
        self.resolution = resolution
        self.step = step
        self.references_: NDArray[np.float32] | None = None
        self.views_: list[str] = []
        self.period_ = 0.0
        self.calibration_ = (1.0, 0.0)
        self._rotated: NDArray[np.float32] | None = None

    @property
    def working_diameter(self) -> float:
        """Pixels across a particle in the picture."""
        return min(WORKING_DIAMETER, self.diameter_)

    @property
    def window(self) -> int:
        """Side of the window in which the picture is levelled, pixels."""
        return round(WINDOW * self.working_diameter)

    def _learn(self, scenes: Sequence[Scene]) -> None:
        sizes = [scene.pixel_size for scene in scenes if scene.pixel_size]
        if not sizes:
            self.period_ = self.working_diameter / RELATIVE_RESOLUTION
            self._decide(f"no pixel size is known: references low-pass filtered to {self.diameter_ / 10:.1f} pixels")
        else:
            pixel = float(np.median(sizes)) * self.diameter_ / self.working_diameter
            self.period_ = self.resolution / pixel
            if self.period_ < 2:
                self._decide(f"references end at {2 * pixel:.0f} Angstrom, with the picture's pixels of {pixel:.1f}")
        rng = np.random.default_rng(self.seed)
        groups = self._groups(scenes, rng)
        if not groups:
            raise PickerError("no particle is labelled, so there is nothing to make references of")
        references, self.views_ = [], []
        radius = MASK * self.working_diameter / 2
        for view, boxes in groups.items():
            number = max(1, min(self.classes // len(groups), len(boxes) // TO_A_CLASS))
            found, members = averaging.class_averages(boxes, number, radius, self.working_diameter, rng)
            kept = max(1, int((members >= FEWEST).sum()))  # the largest come first
            found, members = found[:kept], members[:kept]
            references.append(found)
            self.views_ += [view] * kept
            told = f"references of {view} views" if view else "references"
            self._decide(f"{told}: averages of {', '.join(map(str, members))} particles")
        references = averaging.low_passed(np.concatenate(references), self.period_)
        self.references_ = averaging.standardised(references, averaging.circle(references.shape[-1], radius))
        self._rotate_references()
        self._decide(f"{len(self._rotated)} rotations of {len(self.references_)} references")
        self._calibrate(scenes)

    def _groups(self, scenes: Sequence[Scene], rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Return the particles to average, by view."""
        side = 2 * math.ceil((MASK / 2 + averaging.SHIFT) * self.working_diameter) + 1
        every: dict[str, list[NDArray]] = {}
        for scene in scenes:
            for view in np.unique(scene.views):
                places = scene.particles[scene.views == view]
                every.setdefault(str(view), []).append(averaging.cut(scene.picture, places, side))
        groups = {view: np.concatenate(boxes) for view, boxes in sorted(every.items())}
        # More views than classes: the most frequent ones.
        views = sorted(groups, key=lambda view: -len(groups[view]))[: self.classes]
        return {
            view: boxes[np.sort(rng.choice(len(boxes), min(self.particles, len(boxes)), replace=False))]
            for view, boxes in groups.items()
            if view in views
        }

    def _rotate_references(self) -> None:
        """Rotate the references in steps, and leave out what is nearly the same."""
        mask = averaging.circle(self.references_.shape[-1], MASK * self.working_diameter / 2)
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
        if self._rotated is None:  # a picker that was loaded
            self._rotate_references()
        side = self._rotated.shape[-1]
        half = side // 2
        image = np.pad(averaging.low_passed(picture, self.period_), half, mode="reflect")
        shape = tuple(fft.next_fast_len(size, real=True) for size in image.shape)
        mask = averaging.circle(side, MASK * self.working_diameter / 2)

        def spectrum(small: NDArray) -> NDArray:
            return np.conj(fft.rfft2(small, shape, workers=averaging.THREADS))

        def correlated(planes: NDArray) -> NDArray:
            found = fft.irfft2(planes, shape, overwrite_x=True, workers=averaging.THREADS)
            return found[..., : picture.shape[0], : picture.shape[1]]

        seen = fft.rfft2(image, shape, workers=averaging.THREADS)
        disc = spectrum(mask.astype(np.float32))
        total = correlated(seen * disc)
        squares = correlated(fft.rfft2(image * image, shape, workers=averaging.THREADS) * disc)
        norm = np.sqrt(np.maximum(squares - total**2 / mask.sum(), 0))
        best = np.full(picture.shape, -np.inf, np.float32)
        for first in range(0, len(self._rotated), _BATCH):
            maps = correlated(seen * spectrum(self._rotated[first : first + _BATCH]))
            np.maximum(best, maps.max(axis=0), out=best)
        return best / np.maximum(norm, max(DEVIATION * float(np.median(norm)), 1e-12))

    def _candidates(self, picture: NDArray[np.float32], least: float = -np.inf) -> Candidates:
        return Candidates(*find_peaks(self._merit(picture), APART * self.working_diameter, least))

    def _scores(self, picture: NDArray[np.float32]) -> ScoreMap:
        slope, offset = self.calibration_
        return particle_map(expit(slope * self._merit(picture) + offset), Frame.whole(picture.shape))

    def _find(self, picture: NDArray[np.float32], least: float) -> Candidates:
        slope, offset = self.calibration_
        # The score follows the merit, so peaks of one are peaks of the other.
        lowest = (math.log(least) - math.log1p(-least) - offset) / slope - 1e-6 if 0 < least < 1 else -np.inf
        x, y, merit = self._candidates(picture, lowest)
        return Candidates(x, y, expit(slope * merit + offset))

    def _calibrate(self, scenes: Sequence[Scene]) -> None:
        """Learn which figure of merit is how probable: Platt's logistic regression on the labelled candidates."""
        merits, true = [], []
        for scene in scenes:
            x, y, merit = self._candidates(scene.picture)
            places = np.column_stack([x, y])
            near = MATCH * self.working_diameter
            hit = np.zeros(len(merit), bool)
            if len(scene.particles) and len(merit):
                # Of each particle the best candidate; a second one on it is wrong.
                distance, nearest = cKDTree(scene.particles).query(places)
                close = np.flatnonzero(distance <= near)  # best first
                hit[close[np.unique(nearest[close], return_index=True)[1]]] = True
            left_out = np.zeros(len(merit), bool)
            if len(scene.ignored) and len(merit):
                left_out = ~hit & (cKDTree(scene.ignored).query(places)[0] <= self.working_diameter / 2)
            merits.append(merit[~left_out])
            true.append(hit[~left_out])
        self.calibration_ = platt(np.concatenate(merits), np.concatenate(true))
        slope, offset = self.calibration_
        self._decide(f"a figure of merit of {-offset / slope:.2f} is as often a particle as not")


def platt(values: NDArray, true: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit the log-odds of being true as a straight line of a value.

    Targets are drawn in from 0 and 1 by as much as a further example on the other side would (Platt 1999, in Advances
    in Large Margin Classifiers), so that groups that do not overlap give no step.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    true : ndarray of bool, shape (n,)

    Returns
    -------
    slope, offset : float
        The slope is above 0.

    Raises
    ------
    PickerError
        When all or none are true, or the true ones do not have the larger values.

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
            "the references find "
            + ("nothing but particles" if positives else "none of the labelled particles")
            + ", so their scores mean nothing; check labels and diameter, or give more micrographs"
        )
    target = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    middle, width = float(np.mean(values)), max(float(np.std(values)), 1e-12)
    scaled = (values - middle) / width

    def loss(line: NDArray) -> tuple[float, NDArray]:
        odds = line[0] * scaled + line[1]
        off = expit(odds) - target
        return float(np.sum(np.logaddexp(0, odds) - target * odds)), np.array([off @ scaled, off.sum()])

    found = optimize.minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS")
    slope, offset = found.x[0] / width, found.x[1] - found.x[0] * middle / width
    if not slope > 0:
        raise PickerError(
            "particles fit the references no better than other places do; check that labels, diameter and micrographs "
            "belong together"
        )
    return float(slope), float(offset)
