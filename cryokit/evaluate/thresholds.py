"""Choice of a threshold: from the scores alone, or from picks on labelled micrographs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from cryokit.errors import ArgumentError, PickerError
from cryokit.evaluate.against_labels import evaluate

UNDECIDED = 0.5  # probability at which a classifier has no preference
SLACK = 0.005  # of F1: smaller differences on a few micrographs are chance
NARROWEST = 0.02  # of the scores' standard deviation: no component may collapse onto a single score
VERY_STRONG = 10.0  # evidence, as a difference of the Bayesian information criterion
SATURATED = 1e-4  # probabilities closer to 0 or 1 are set to this: how close a network gets is a matter of rounding
FEWEST = 8  # scores on either side of the boundary that tell something about their distribution


def otsu(scores: ArrayLike, *, fewest: int = 1) -> float:
    """Return the threshold that splits scores into the two most compact groups (Otsu 1979).

    Unlike `skimage.filters.threshold_otsu`, it uses the scores themselves, not a histogram.

    Parameters
    ----------
    scores : array_like, shape (n,), n >= 1
        Scores in any order.
    fewest : int
        Minimum size of the upper group.

    Returns
    -------
    float
        Value midway between the two groups; the scores' value if all are equal.

    Examples
    --------
    >>> otsu([1, 2, 9, 10])
    5.5
    """
    scores = np.sort(np.asarray(scores, dtype=np.float64))
    between = _between_groups(scores, fewest)
    split = int(np.argmax(between)) if between.size else 0
    return float((scores[split] + scores[min(split + 1, scores.size - 1)]) / 2)


def separation(scores: ArrayLike, *, fewest: int = 1) -> float:
    """Return the share of the scores' variance that Otsu's split into two groups leaves unexplained.

    A normal distribution leaves 0.36, a flat one 0.25, two narrow groups nearly 0: the smaller the share, the more
    clearly particles stand out.

    Parameters
    ----------
    scores, fewest
        As for `otsu`, but there may be no score.

    Returns
    -------
    float
        Share between 0 and 1; 1 with fewer than three scores, or if all are equal.
    """
    scores = np.sort(np.asarray(scores, dtype=np.float64))
    if scores.size < 3 or scores[0] == scores[-1]:
        return 1.0
    return float(1 - _between_groups(scores, fewest).max() / scores.var())


def _between_groups(scores: NDArray, fewest: int) -> NDArray:
    """Return the variance between the two groups for every allowed split of sorted scores (at least one if n > 1)."""
    low = np.arange(1, max(scores.size - fewest + 1, min(2, scores.size)))
    below = np.cumsum(scores)[low - 1] / low
    above = (scores.sum() - below * low) / (scores.size - low)
    weight = low / scores.size
    return weight * (1 - weight) * (above - below) ** 2


@dataclass(frozen=True)
class Posterior:
    """Probability that a candidate is a particle, as a function of its score.

    Candidates are local maxima, of noise or of particles. Their scores are modelled as a mixture, fitted by expectation
    maximisation: a Gumbel distribution, the limiting law of maxima, for noise, and up to two normal distributions.
    Normal distributions well above the noise are particles (two, because views may score differently); others belong to
    the noise. The Bayesian information criterion (Schwarz 1978) selects their number. If none lies above the noise, the
    scores show no particles and the probability is 0 everywhere; likewise without very strong evidence for a mixture (a
    criterion lower by 10, Raftery 1995, Sociol. Methodol. 25:111) over a single Gumbel or normal distribution.

    Attributes
    ----------
    score : ndarray of float64, shape (n,)
        Increasing scores.
    probability : ndarray of float64, shape (n,)
        Probability at each of these scores, in [0, 1], never decreasing.
    """

    score: NDArray[np.float64]
    probability: NDArray[np.float64]

    @classmethod
    def fit(cls, scores: ArrayLike) -> Posterior:
        """Fit to the scores of candidates, particles and noise mixed.

        Parameters
        ----------
        scores : array_like, shape (n,)
            Scores in any order. With fewer than 8, or all equal, the probability is 0 everywhere.

        Returns
        -------
        Posterior
        """
        scores = np.asarray(scores, dtype=np.float64)
        if scores.size < FEWEST or min(np.ptp(scores), scores.var()) == 0:
            return cls(np.array([0.0, 1.0]), np.zeros(2))
        mixture = _best_mixture(scores)
        grid = np.linspace(scores.min(), scores.max(), 1024)
        densities = mixture.densities(grid)
        # 95 % of noise lies below its mode + 3 scales: a normal distribution centred there is part of the noise. So is
        # one with more candidates than the Gumbel that lies nearer to it than to the other normal: where particles
        # crowd, or stand out very clearly, the maxima between them follow no Gumbel distribution.
        particles = mixture.means > mixture.location + 3 * mixture.scale
        if particles.sum() == 2:
            lower, upper = np.argsort(mixture.means)
            nearer = mixture.means[lower] - mixture.location < mixture.means[upper] - mixture.means[lower]
            particles[lower] = not (nearer and mixture.weights[1 + lower] > mixture.weights[0])
        probability = densities[1:][particles].sum(axis=0) / np.maximum(densities.sum(axis=0), 1e-300)
        # A wide normal would exceed the noise at its lower flank, but no particle scores below the typical noise.
        probability[grid <= mixture.location] = 0
        return cls(grid, np.maximum.accumulate(np.clip(probability, 0, 1)))

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the probability at each score; beyond the fitted range, that of the nearer end."""
        return np.interp(scores, self.score, self.probability)


@dataclass(frozen=True)
class _Mixture:
    location: float  # mode of the noise
    scale: float  # of the noise
    weights: NDArray  # of the noise, then of each normal
    means: NDArray  # of the normals
    deviations: NDArray  # of the normals
    criterion: float = np.inf

    def densities(self, scores: NDArray) -> NDArray:
        """Return the weighted densities of the noise and of each normal, shape (1 + normals, n)."""
        z = (scores - self.location) / self.scale
        noise = np.exp(-z - np.exp(np.minimum(-z, 700.0))) / self.scale
        z = (scores - self.means[:, None]) / self.deviations[:, None]
        normals = np.exp(-0.5 * z**2) / (self.deviations[:, None] * np.sqrt(2 * np.pi))
        return self.weights[:, None] * np.vstack([noise, normals])


def _best_mixture(scores: NDArray) -> _Mixture:
    scores = np.sort(scores)
    split = otsu(scores)
    median = np.median(scores)
    # Expectation maximisation finds the optimum nearest to its start. These three suit particles that are half of the
    # candidates, particles that are a handful, and one view that scores far above the other.
    starts = {split, otsu(scores[scores < split]), median + 6 * np.median(np.abs(scores - median))}
    starts = sorted(start for start in starts if scores[0] < start < scores[-1])
    noise = _mixture(scores, 0, scores[-1])
    fitted = [_mixture(scores, normals, start) for normals in (1, 2) for start in starts]
    best = min([noise, *fitted], key=lambda mixture: mixture.criterion)
    # Noise that follows no Gumbel distribution must not pass for particles without noise: this is the criterion of a
    # single normal distribution.
    one_bell = 2 * math.log(scores.size) + scores.size * (math.log(2 * math.pi * scores.var()) + 1)
    return best if best.criterion < min(noise.criterion, one_bell) - VERY_STRONG else noise


def _mixture(scores: NDArray, normals: int, start: float, rounds: int = 200) -> _Mixture:
    """Fit a mixture to sorted scores, starting with those above `start` as particles."""
    high = scores[scores >= start]
    share = high.size / scores.size if normals else 0.0
    mixture = _Mixture(
        *_fit_gumbel(scores, (scores < start) if normals else np.ones(scores.size)),
        np.append(1 - share, np.full(normals, share / max(normals, 1))),
        np.quantile(high, (np.arange(normals) + 0.5) / max(normals, 1)),
        np.full(normals, max(high.std() / max(normals, 1), 1e-3 * np.ptp(scores))),
    )
    narrowest = NARROWEST * scores.std()
    likelihood = -np.inf
    for _ in range(rounds):
        densities = np.maximum(mixture.densities(scores), 1e-300)
        total = densities.sum(axis=0)
        previous, likelihood = likelihood, float(np.log(total).sum())
        if abs(likelihood - previous) < 1e-6 * abs(likelihood):
            break
        shares = densities / total
        weight = np.maximum(shares.sum(axis=1), 1e-12)
        means = shares[1:] @ scores / weight[1:]
        variances = (shares[1:] * (scores - means[:, None]) ** 2).sum(axis=1) / weight[1:]
        location, scale = _fit_gumbel(scores, shares[0])
        # A wide normal over the noise would turn half of it into particles; real ones stand clear of it.
        widest = np.maximum((means - location) / 2, narrowest)
        deviations = np.clip(np.sqrt(variances), narrowest, widest)
        mixture = _Mixture(location, scale, weight / scores.size, means, deviations)
    parameters = 2 + 3 * normals
    return replace(mixture, criterion=parameters * np.log(scores.size) - 2 * likelihood)


def _fit_gumbel(scores: NDArray, weights: NDArray) -> tuple[float, float]:
    """Return mode and scale from L-moments of sorted, weighted scores (Hosking 1990, J. R. Stat. Soc. B 52:105)."""
    weights = weights / max(weights.sum(), 1e-12)
    rank = np.cumsum(weights) - weights / 2
    mean = weights @ scores
    scale = (2 * (weights @ (scores * rank)) - mean) / math.log(2)
    scale = max(scale, NARROWEST * scores.std())
    return float(mean - np.euler_gamma * scale), float(scale)


def threshold_from_scores(scores: ArrayLike, *, default: float = UNDECIDED) -> float:
    """Choose the threshold of a network's picks from the distribution of their scores, without labels.

    The probabilities of a network's peaks gather near 0 and 1, but where best to separate them depends on how many
    particles there are and how confident the network is. Their log-odds are modelled as a mixture of particles (normal)
    and noise (Gumbel, since peaks are maxima of it, or normal, whichever is likelier), fitted by expectation
    maximisation from the network's own decision at `default`. Each pick's probability of being a particle gives the
    expected F1 of the picks above any threshold; the threshold with the largest expected F1 is returned.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Probabilities in [0, 1] of candidates, weak ones included; NaN are left out.
    default : float
        Decision boundary of the network. It is returned if one side of it has fewer than 8 scores, as when nearly all
        or nearly none are particles, or if the two groups do not lie on both sides of it.

    Returns
    -------
    float
        Lowest score of a particle.

    Raises
    ------
    ArgumentError
        If a score is not in [0, 1], or `default` is not between 0 and 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> odds = np.concatenate([rng.normal(-2, 1, 900), rng.normal(5, 1, 100)])
    >>> 0.7 < threshold_from_scores(1 / (1 + np.exp(-odds))) < 0.95
    True
    """
    if not 0 < default < 1:
        raise ArgumentError(f"default must be between 0 and 1, not {default:g}")
    scores = np.asarray(scores, dtype=np.float64).ravel()
    scores = np.sort(scores[~np.isnan(scores)])
    if scores.size and not 0 <= scores[0] <= scores[-1] <= 1:
        raise ArgumentError(f"scores must be probabilities from 0 to 1, not {scores[0]:g} to {scores[-1]:g}")
    odds = logit(np.clip(scores, SATURATED, 1 - SATURATED))
    boundary = logit(default)
    above = int((odds >= boundary).sum())
    if min(above, odds.size - above) < FEWEST or np.ptp(odds[:-above]) == 0 or np.ptp(odds[-above:]) == 0:
        return default
    mixture = _mixture(odds, 1, boundary)
    noise, particles, densities = max(
        ((mixture.location, float(mixture.means[0]), mixture.densities(odds)), _two_normals(odds, boundary)),
        key=lambda fit: float(np.log(np.maximum(fit[2].sum(axis=0), 1e-300)).sum()),
    )
    if not noise < boundary < particles:
        return default
    probability = densities[1] / np.maximum(densities.sum(axis=0), 1e-300)
    probability[odds <= noise] = 0  # the wider group exceeds the other at its far flank
    probability = np.maximum.accumulate(probability)[::-1]
    # The expected number of particles among the k best picks is sum(probability[:k]).
    expected = 2 * np.cumsum(probability) / (np.arange(1, odds.size + 1) + probability.sum())
    falling = odds[::-1]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))  # equal scores come in together
    best = int(np.argmax(expected[last]))
    lower = falling[last[min(best + 1, last.size - 1)]]
    return float(expit((falling[last[best]] + lower) / 2))


def _two_normals(scores: NDArray, start: float, rounds: int = 200) -> tuple[float, float, NDArray[np.float64]]:
    """Fit two normal distributions to sorted scores; return their means and weighted densities, shape (2, n)."""
    share = np.stack([scores < start, scores >= start]).astype(np.float64)
    narrowest = NARROWEST * scores.std()
    for _ in range(rounds):
        weight = np.maximum(share.sum(axis=1, keepdims=True), 1e-9)
        means = (share * scores).sum(axis=1, keepdims=True) / weight
        spread = np.sqrt((share * (scores - means) ** 2).sum(axis=1, keepdims=True) / weight)
        spread = np.maximum(spread, narrowest)
        densities = weight / scores.size * np.exp(-0.5 * ((scores - means) / spread) ** 2)
        densities /= spread * math.sqrt(2 * math.pi)
        before, share = share, densities / np.maximum(densities.sum(axis=0), 1e-300)
        if np.abs(share - before).max() < 1e-4:
            break
    return float(means[0, 0]), float(means[1, 0]), densities


def best_threshold(
    picks: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    micrographs: Iterable[str] | None = None,
    diameter: float | None = None,
    slack: float = 0.0,
) -> float:
    """Choose the threshold with the largest F1 on labelled micrographs that the picker has not learned from.

    Parameters
    ----------
    picks : pandas.DataFrame
        Table of picks with scores, weak ones included.
    labels : pandas.DataFrame
        Table of picks that holds the true particles.
    micrographs, diameter
        As for `cryokit.evaluate.evaluate`.
    slack : float
        Tolerated loss of F1. Of all thresholds within it, the one nearest to 0.5 is chosen: on few micrographs the very
        largest F1 is chance, and 0.5 is what a network was trained for (`SLACK` is a sensible value).

    Returns
    -------
    float
        Threshold midway between the lowest score above it and the next lower one; of several with the same F1, the one
        in the widest gap.

    Raises
    ------
    PickerError
        If the picks have no scores, or none of them matches a label.
    CoordinateError
        If a table is not what `cryokit.evaluate.evaluate` needs.

    Examples
    --------
    >>> from cryokit.coordinates import table
    >>> labels = table("a", x=[100, 300], y=[100, 300], diameter=80)
    >>> picks = table("a", x=[104, 300, 600], y=[103, 305, 50], score=[0.8, 0.9, 0.3])
    >>> best_threshold(picks, labels)
    0.55
    """
    result = evaluate(picks, labels, micrographs=micrographs, diameter=diameter, bootstrap=0)
    if not result.scored:
        raise PickerError("no threshold can be chosen: the picks have no scores")
    if not result.best_f1 > 0:
        raise PickerError(
            "no threshold can be chosen: no pick matches a label; check the micrographs' names, the frame of the "
            "coordinates and the diameter"
        )
    score, f1 = result.curve["threshold"].to_numpy(), result.curve["f1"].to_numpy()
    lower = np.append(score[1:], score[-1])
    if slack > 0:
        good = np.flatnonzero(f1 >= f1.max() - slack)
        # Picks, and so the F1, are the same from a score down to the next lower one, which itself is excluded.
        above = lower[good] + 0.05 * (score - lower)[good]
        nearest = np.where(above <= UNDECIDED, np.minimum(UNDECIDED, score[good]), above)
        return float(nearest[np.argmin(np.abs(nearest - UNDECIDED))])
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    chosen = best[np.argmax((score - lower)[best])]
    return float((score[chosen] + lower[chosen]) / 2)
