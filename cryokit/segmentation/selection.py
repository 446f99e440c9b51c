"""Good training particles: which of a micrograph's particles are clean examples of their view, and why others are not.

Top views by the paper's algorithm 1, irregular ones by its algorithm 2, side views by the Feret test; section "Perfect
'good' training particle selection" of Al-Azzawi et al. 2020, BMC Bioinformatics 21:509. All compare a particle with the
average of its micrograph, so that nothing has to be set for a protein.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cryokit.segmentation import Particle, circle_overlap, rectangularity

FEWEST = 3  # particles that an average is taken of; of fewer it would only repeat them


@dataclass(frozen=True, eq=False)
class Decision:
    """Whether a particle is a good example of its view.

    Attributes
    ----------
    particle : Particle
    good : bool
    reason : str
        The test that decided, in words, with its number.
    measure : float
        That number; NaN where there was nothing to measure.
    limit : (float, float)
        Within which it is good.
    """

    particle: Particle
    good: bool
    reason: str
    measure: float
    limit: tuple[float, float]


def select(particles: Sequence[Particle], **options: float) -> list[Decision]:
    """Decide on all particles of one micrograph, each by the test of its view.

    Parameters
    ----------
    particles : sequence of Particle
    **options
        Limits of `select_top`, `select_side` and `select_irregular`, by their names.

    Returns
    -------
    list of Decision
        In the order of the particles.

    Raises
    ------
    TypeError
        When no test has an option of that name.
    """
    names = {test: set(test.__kwdefaults__ or ()) for test in _TESTS.values()}
    unknown = set(options) - set().union(*names.values())
    if unknown:
        raise TypeError(f"no test has the option {', '.join(sorted(unknown))}")
    decided: dict[int, Decision] = {}
    for view, test in _TESTS.items():
        of_view = [particle for particle in particles if particle.view == view]
        for decision in test(of_view, **{name: options[name] for name in names[test] & set(options)}):
            decided[id(decision.particle)] = decision
    return [decided[id(particle)] for particle in particles]


def select_top(
    particles: Sequence[Particle], *, circle_fit: float = 0.75, least_round: float = 1.1, strength: float = 0.5
) -> list[Decision]:
    """Select top views: round masks that a circle fits (algorithm 1, equation 5).

    1. The circular Hough transform found a circle, and saw enough of it.
    2. The circle fits the mask: a perfect full disc (their intersection over union).
    3. The mask's circularity, perimeter^2 / (4 pi area), 1 for a disc and more for all else, is not above the
       micrograph's average by more than a tenth.

    Parameters
    ----------
    particles : sequence of Particle
        Top views of one micrograph.
    circle_fit : float
        Least intersection over union of circle and mask.
    least_round : float
        Largest circularity, in averages.
    strength : float
        Least share of the circumference that was seen.

    Returns
    -------
    list of Decision
    """
    measurable = [p for p in particles if p.shape is not None]
    average = float(np.mean([p.shape.circularity for p in measurable])) if len(measurable) >= FEWEST else math.inf
    decisions = []
    for particle in particles:
        if particle.circle is None:
            seen, fit = 0.0, 0.0
        else:
            seen = particle.circle.strength
            fit = 0.0 if particle.shape is None else circle_overlap(particle.shape, particle.circle)
        circularity = math.nan if particle.shape is None else particle.shape.circularity
        if seen < strength:
            words = f"only {seen:.2f} of a circle is seen" if seen else "no circle around it"
            decisions.append(Decision(particle, False, words, seen, (strength, 1.0)))
        elif particle.shape is None:
            decisions.append(Decision(particle, False, "nothing in the mask", math.nan, (circle_fit, 1.0)))
        elif fit < circle_fit:
            words = f"mask and circle overlap by {fit:.2f} only: no full disc"
            decisions.append(Decision(particle, False, words, fit, (circle_fit, 1.0)))
        elif circularity > least_round * average:
            words = f"circularity {circularity:.2f}, the average is {average:.2f}: not round"
            decisions.append(Decision(particle, False, words, circularity, (0.0, least_round * average)))
        else:
            words = f"full disc: overlap {fit:.2f}, circularity {circularity:.2f}"
            decisions.append(Decision(particle, True, words, fit, (circle_fit, 1.0)))
    return decisions


def select_side(
    particles: Sequence[Particle], *, rectangle_fit: float = 0.7, aspect: float = 1.5, size: float = 0.25
) -> list[Decision]:
    """Select side views: masks that fill their perfect Feret rectangle, of the usual size.

    1. The mask fills the rectangle.
    2. The rectangle is not too long for its width: particles side by side, tubes.
    3. Its longer side differs from the median of the micrograph by no more than a quarter: overlapping particles are
       larger, broken ones smaller.

    Parameters
    ----------
    particles : sequence of Particle
        Side views of one micrograph.
    rectangle_fit : float
        Least part of the rectangle that is filled.
    aspect : float
        Longer side over shorter side, at most.
    size : float
        Largest difference from the median longer side, as a fraction of it.

    Returns
    -------
    list of Decision
    """
    lengths = [particle.shape.feret.rectangle.length for particle in particles if particle.shape is not None]
    typical = float(np.median(lengths)) if len(lengths) >= FEWEST else math.nan
    decisions = []
    for particle in particles:
        if particle.shape is None:
            decisions.append(Decision(particle, False, "nothing in the mask", math.nan, (rectangle_fit, 1.0)))
            continue
        rectangle = particle.shape.feret.rectangle
        fill = rectangularity(particle.shape)
        ratio = rectangle.length / rectangle.width
        limits = ((1 - size) * typical, (1 + size) * typical)
        if fill < rectangle_fit:
            words = f"fills {fill:.2f} of its rectangle only"
            decisions.append(Decision(particle, False, words, fill, (rectangle_fit, 1.0)))
        elif ratio > aspect:
            words = f"{ratio:.2f} times as long as wide: several particles, or a tube"
            decisions.append(Decision(particle, False, words, ratio, (1.0, aspect)))
        elif abs(rectangle.length - typical) > size * typical:
            kind = "larger" if rectangle.length > typical else "smaller"
            words = f"Feret diameter {rectangle.length:.0f}, {kind} than the usual {typical:.0f}"
            decisions.append(Decision(particle, False, words, rectangle.length, limits))
        else:
            words = f"perfect rectangle: filled by {fill:.2f}, {rectangle.length:.0f} x {rectangle.width:.0f}"
            decisions.append(Decision(particle, True, words, fill, (rectangle_fit, 1.0)))
    return decisions


def select_irregular(
    particles: Sequence[Particle],
    *,
    smallest: float = 0.75,
    largest: float = 1.5,
    centred: float = 0.1,
) -> list[Decision]:
    """Select irregular particles: masks of about the micrograph's average area (algorithm 2, equation 6), well centred.

    1. The mask's area is neither far below the average (noise, broken particles) nor far above it (several particles,
       ice).
    2. The mask lies around the centre of the particle, as the paper's figure 17 shows for good ones.

    Parameters
    ----------
    particles : sequence of Particle
        Irregular particles of one micrograph.
    smallest, largest : float
        Limits of the mask's area, in averages.
    centred : float
        Diameters; largest distance of the mask's centroid from the particle's centre.

    Returns
    -------
    list of Decision
    """
    areas = [particle.shape.area for particle in particles if particle.shape is not None]
    known = len(areas) >= FEWEST
    average = float(np.mean(areas)) if known else math.nan
    limits = (smallest * average, largest * average) if known else (0.0, math.inf)
    usual = f", the average is {average:.0f}" if known else ""
    decisions = []
    for particle in particles:
        if particle.shape is None:
            decisions.append(Decision(particle, False, "nothing in the mask", math.nan, limits))
            continue
        area = particle.shape.area
        away = math.hypot(particle.shape.x - particle.x, particle.shape.y - particle.y) / particle.diameter
        if area < limits[0]:
            words = f"area {area:.0f}{usual}: too small"
            decisions.append(Decision(particle, False, words, area, limits))
        elif area > limits[1]:
            words = f"area {area:.0f}{usual}: several particles, or ice"
            decisions.append(Decision(particle, False, words, area, limits))
        elif away > centred:
            words = f"the mask is {away:.2f} diameters off the centre"
            decisions.append(Decision(particle, False, words, away, (0.0, centred)))
        else:
            words = f"area {area:.0f}{usual}"
            decisions.append(Decision(particle, True, words, area, limits))
    return decisions


_TESTS = {"top": select_top, "side": select_side, "irregular": select_irregular}
