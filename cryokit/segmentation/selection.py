"""Good training particles: which of a micrograph's particles are clean examples of their view, and why others are not.

Top views by the paper's algorithm 1, irregular ones by its algorithm 2, side views by the Feret test; section "Perfect
'good' training particle selection" of Al-Azzawi et al. 2020, BMC Bioinformatics 21:509. All tests compare a particle
with the average of its micrograph, so that nothing has to be set for a protein.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cryokit.errors import ArgumentTypeError
from cryokit.segmentation.particles import Particle, circle_overlap
from cryokit.segmentation.shapes import rectangularity

FEWEST = 3  # particles for an average: of fewer it would only repeat them
NOTHING = "nothing in the mask"


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
        Range of the measure in which a particle is good.
    """

    particle: Particle
    good: bool
    reason: str
    measure: float
    limit: tuple[float, float]


class _Check(NamedTuple):
    """One test of a view: a measure, the range in which it is good, and the reason if it is not."""

    measure: float
    limit: tuple[float, float]
    reason: str


def select(particles: Sequence[Particle], **options: float) -> list[Decision]:
    """Decide on all particles of one micrograph, each by the test of its view.

    Parameters
    ----------
    particles : sequence of Particle
        Particles of one micrograph.
    **options
        Limits of `select_top`, `select_side` and `select_irregular`, by their names.

    Returns
    -------
    list of Decision
        Decisions in the order of the particles.

    Raises
    ------
    ArgumentTypeError
        If no test has an option of that name.
    """
    names = {test: set(test.__kwdefaults__) for test in _TESTS.values()}
    unknown = set(options) - set().union(*names.values())
    if unknown:
        raise ArgumentTypeError(f"no test has the option {', '.join(sorted(unknown))}")
    decisions: dict[int, Decision] = {}
    for view, test in _TESTS.items():
        of_view = [particle for particle in particles if particle.view == view]
        for decision in test(of_view, **{name: options[name] for name in names[test] & set(options)}):
            decisions[id(decision.particle)] = decision
    return [decisions[id(particle)] for particle in particles]


def select_top(
    particles: Sequence[Particle], *, circle_fit: float = 0.75, least_round: float = 1.1, strength: float = 0.5
) -> list[Decision]:
    """Select top views: round masks that a circle fits (algorithm 1, equation 5).

    1. The circular Hough transform found a circle, and enough of it has an edge.
    2. The circle fits the mask: a perfect full disc (their intersection over union).
    3. The mask's circularity, perimeter^2 / (4 pi area), 1 for a disc and more for everything else, is at most a tenth
       above the micrograph's average.

    Parameters
    ----------
    particles : sequence of Particle
        Top views of one micrograph.
    circle_fit : float
        Smallest intersection over union of circle and mask.
    least_round : float
        Largest circularity, relative to the average.
    strength : float
        Smallest share of the circumference that has an edge on it.

    Returns
    -------
    list of Decision
    """
    circularities = [particle.shape.circularity for particle in particles if particle.shape is not None]
    average = float(np.mean(circularities)) if len(circularities) >= FEWEST else math.inf
    decisions = []
    for particle in particles:
        circle, shape = particle.circle, particle.shape
        seen = circle.strength if circle else 0.0
        fit = circle_overlap(shape, circle) if shape and circle else math.nan
        circularity = shape.circularity if shape else math.nan
        checks = [
            _Check(seen, (strength, 1.0), f"only {seen:.2f} of a circle is seen" if seen else "no circle around it"),
            _Check(
                fit, (circle_fit, 1.0), f"mask and circle overlap by only {fit:.2f}: no full disc" if shape else NOTHING
            ),
            _Check(
                circularity,
                (0.0, least_round * average),
                f"circularity {circularity:.2f}, the average is {average:.2f}: not round",
            ),
        ]
        decisions.append(
            _decide(particle, checks, f"full disc: overlap {fit:.2f}, circularity {circularity:.2f}", checks[1])
        )
    return decisions


def select_side(
    particles: Sequence[Particle], *, rectangle_fit: float = 0.7, aspect: float = 1.5, size: float = 0.25
) -> list[Decision]:
    """Select side views: masks that fill their perfect Feret rectangle, of the usual size.

    1. The mask fills the rectangle.
    2. The rectangle is not too long for its width, as particles side by side and tubes are.
    3. Its longer side differs from the micrograph's median by at most a quarter: overlapping particles are larger,
       broken ones smaller.

    Parameters
    ----------
    particles : sequence of Particle
        Side views of one micrograph.
    rectangle_fit : float
        Smallest fraction of the rectangle that is filled.
    aspect : float
        Largest ratio of the sides, longer over shorter.
    size : float
        Largest difference from the median longer side, as a fraction of it.

    Returns
    -------
    list of Decision
    """
    lengths = [particle.shape.feret.rectangle.length for particle in particles if particle.shape is not None]
    typical = float(np.median(lengths)) if len(lengths) >= FEWEST else math.nan
    usual = (0.0, math.inf) if math.isnan(typical) else ((1 - size) * typical, (1 + size) * typical)
    decisions = []
    for particle in particles:
        if particle.shape is None:
            decisions.append(_decide(particle, [_Check(math.nan, (rectangle_fit, 1.0), NOTHING)]))
            continue
        rectangle = particle.shape.feret.rectangle
        length, ratio, fill = rectangle.length, rectangle.length / rectangle.width, rectangularity(particle.shape)
        kind = "larger" if length > typical else "smaller"
        checks = [
            _Check(fill, (rectangle_fit, 1.0), f"fills only {fill:.2f} of its rectangle"),
            _Check(ratio, (1.0, aspect), f"{ratio:.2f} times as long as wide: several particles, or a tube"),
            _Check(length, usual, f"Feret diameter {length:.0f}, {kind} than the usual {typical:.0f}"),
        ]
        good = f"perfect rectangle: filled by {fill:.2f}, {length:.0f} x {rectangle.width:.0f}"
        decisions.append(_decide(particle, checks, good, checks[0]))
    return decisions


def select_irregular(
    particles: Sequence[Particle], *, smallest: float = 0.75, largest: float = 1.5, centred: float = 0.1
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
        Limits of the mask's area, relative to the average.
    centred : float
        Largest distance of the mask's centroid from the particle's centre, in diameters.

    Returns
    -------
    list of Decision
    """
    areas = [particle.shape.area for particle in particles if particle.shape is not None]
    average = float(np.mean(areas)) if len(areas) >= FEWEST else math.nan
    limits = (0.0, math.inf) if math.isnan(average) else (smallest * average, largest * average)
    usual = "" if math.isnan(average) else f", the average is {average:.0f}"
    decisions = []
    for particle in particles:
        shape = particle.shape
        if shape is None:
            decisions.append(_decide(particle, [_Check(math.nan, limits, NOTHING)]))
            continue
        away = math.hypot(shape.x - particle.x, shape.y - particle.y) / particle.diameter
        area = f"area {shape.area:.0f}{usual}"
        kind = "too small" if shape.area < limits[0] else "several particles, or ice"
        checks = [
            _Check(shape.area, limits, f"{area}: {kind}"),
            _Check(away, (0.0, centred), f"the mask is {away:.2f} diameters off the centre"),
        ]
        decisions.append(_decide(particle, checks, area, checks[0]))
    return decisions


def _decide(particle: Particle, checks: list[_Check], reason: str = "", decisive: _Check | None = None) -> Decision:
    """Return the decision of the first check that fails; if none does, a good one with the measure of `decisive`."""
    for check in checks:
        if not check.limit[0] <= check.measure <= check.limit[1]:
            return Decision(particle, False, check.reason, check.measure, check.limit)
    return Decision(particle, True, reason, decisive.measure, decisive.limit)


_TESTS = {"top": select_top, "side": select_side, "irregular": select_irregular}
