"""Thresholds from scores alone: Otsu's against brute force, probabilities against mixtures whose truth is known."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from cryokit.thresholds import Posterior, otsu, separation

SCORES = st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=1, max_size=40)


# --- Otsu ----------------------------------------------------------------------------------------------------------


def within(scores, threshold):
    """Sum of squares that is left when both groups are replaced by their means."""
    groups = (scores[scores < threshold], scores[scores >= threshold])
    return sum(((group - group.mean()) ** 2).sum() for group in groups if group.size)


@settings(max_examples=120, deadline=None)
@given(scores=SCORES)
def test_otsu_is_the_best_of_all_splits(scores):
    scores = np.array(scores)
    threshold = otsu(scores)
    assert scores.min() <= threshold <= scores.max()
    best = min(within(scores, split) for split in np.unique(scores))
    assert within(scores, threshold) == pytest.approx(best, rel=1e-6, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(scores=SCORES, factor=st.floats(0.1, 10), shift=st.floats(-50, 50), seed=st.integers(0, 99))
def test_otsu_follows_the_scores_and_ignores_their_order(scores, factor, shift, seed):
    scores = np.array(scores)
    assume(np.unique(scores).size > 1)
    shuffled = np.random.default_rng(seed).permutation(scores)
    assert otsu(shuffled) == pytest.approx(otsu(scores))
    assert within(factor * scores + shift, otsu(factor * scores + shift)) == pytest.approx(
        factor**2 * within(scores, otsu(scores)), rel=1e-4, abs=1e-4
    )


@pytest.mark.parametrize("seed", range(3))
def test_otsu_agrees_with_scikit_image(seed):
    from skimage.filters import threshold_otsu

    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(0, 1, 4000), rng.normal(6, 1.5, 1500)])
    assert otsu(scores) == pytest.approx(threshold_otsu(scores, nbins=2000), abs=0.05)


@pytest.mark.parametrize("scores", [[3.0], [2.0, 2.0, 2.0]])
def test_otsu_of_equal_scores_is_their_value(scores):
    assert otsu(scores) == scores[0]


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.integers(-100_000, 100_000), min_size=13, max_size=40, unique=True), fewest=st.integers(1, 12)
)
def test_otsu_with_enough_in_the_upper_group(scores, fewest):
    scores = np.sort(scores) / 1000
    threshold = otsu(scores, fewest=fewest)
    assert (scores > threshold).sum() >= fewest
    allowed = scores[1 : scores.size - fewest + 1]
    assert within(scores, threshold) == pytest.approx(min(within(scores, split) for split in allowed), rel=1e-6)


def test_too_few_scores_for_the_upper_group_still_give_a_threshold():
    assert 1 <= otsu([1, 2, 9], fewest=5) <= 9
    assert otsu([4], fewest=5) == 4
    assert 0 <= separation([1, 2, 9], fewest=5) <= 1


# --- separation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_separation_of_known_distributions(seed):
    rng = np.random.default_rng(seed)
    # A half-normal distribution has the variance 1 - 2 / pi, half of a flat one a quarter of the whole.
    assert separation(rng.normal(5, 3, 100_000)) == pytest.approx(1 - 2 / np.pi, abs=0.01)
    assert separation(rng.uniform(-1, 4, 100_000)) == pytest.approx(0.25, abs=0.01)
    narrow = np.concatenate([rng.normal(0, 1, 50_000), rng.normal(20, 1, 50_000)])
    assert separation(narrow) == pytest.approx(1 / 101, abs=0.001)


@settings(max_examples=120, deadline=None)
@given(scores=SCORES)
def test_separation_is_a_fraction(scores):
    assert -1e-9 < separation(scores) <= 1


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, 2.0], [4.0] * 9])
def test_separation_of_nothing_to_split(scores):
    assert separation(scores) == 1


def test_clearer_groups_leave_less():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 1, 2000), rng.normal(0, 1, 700)
    left = [separation(np.concatenate([one, other + distance])) for distance in (2, 4, 8, 16)]
    assert left == sorted(left, reverse=True)


def test_a_few_outliers_are_no_group():
    scores = np.append(np.random.default_rng(0).normal(size=200), [40, 41])
    assert separation(scores) < 0.1
    assert separation(scores, fewest=5) > 0.5


# --- probability ---------------------------------------------------------------------------------------------------


def mixture(rng, noise, *particles, location=0.0, scale=1.0):
    """Scores and truth: `noise` Gumbel maxima, and for each (n, mean, deviation) of `particles` normal scores."""
    parts = [rng.gumbel(size=noise), *(rng.normal(mean, deviation, n) for n, mean, deviation in particles)]
    scores = np.concatenate(parts)
    return location + scale * scores, np.arange(scores.size) >= noise


def true_probability(scores, noise, *particles):
    densities = [n * stats.norm.pdf(scores, mean, deviation) for n, mean, deviation in particles]
    particle = np.sum(densities, axis=0)
    return particle / (particle + noise * stats.gumbel_r.pdf(scores))


MIXTURES = {
    "apart": (2000, (1000, 9, 1)),
    "overlapping": (2000, (1000, 5.5, 1)),
    "few particles": (3000, (90, 8, 1)),
    "mostly particles": (400, (1200, 8, 1.5)),
    "two views": (2000, (500, 7, 1), (500, 13, 1.5)),
    "few scores": (120, (60, 9, 1)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("parts", MIXTURES.values(), ids=MIXTURES)
def test_probability_of_known_mixtures(parts, seed):
    scores, truth = mixture(np.random.default_rng(seed), *parts)
    posterior = Posterior.fit(scores)
    probability = posterior(scores)
    # The probabilities add up to the number of particles, and the best decision is at 0.5: compare with knowing all.
    assert probability.mean() == pytest.approx(truth.mean(), abs=0.03)
    best = ((true_probability(scores, *parts) >= 0.5) == truth).mean()
    assert ((probability >= 0.5) == truth).mean() >= best - 0.01
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        chosen = (probability >= low) & (probability <= high)
        if chosen.sum() >= 50:
            assert truth[chosen].mean() == pytest.approx(probability[chosen].mean(), abs=0.12)


@pytest.mark.parametrize("n", [8, 30, 100, 400, 2000])
@pytest.mark.parametrize("kind", ["gumbel", "normal", "maximum of normal"])
def test_noise_alone_gives_nearly_no_particles(n, kind):
    picked = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        scores = {
            "gumbel": lambda rng=rng: rng.gumbel(0.2, 0.05, n),
            "normal": lambda rng=rng: rng.normal(0.2, 0.05, n),
            "maximum of normal": lambda rng=rng: rng.normal(0, 0.1, (n, 30)).max(axis=1),
        }[kind]()
        picked.append((Posterior.fit(scores)(scores) >= 0.5).mean())
    # The criterion that decides is statistical: one sample of eight may be unlucky.
    assert np.median(picked) == 0
    assert sum(share > 0.02 for share in picked) <= 1


@settings(max_examples=60, deadline=None)
@given(scores=st.lists(st.floats(-10, 10), max_size=60), more=st.lists(st.floats(-50, 50), min_size=1, max_size=20))
def test_probability_never_falls_with_the_score(scores, more):
    posterior = Posterior.fit(scores)
    asked = np.sort(np.array([*more, *scores]))
    probability = posterior(asked)
    assert np.isfinite(probability).all()
    assert (np.diff(probability) >= 0).all()
    assert ((probability >= 0) & (probability <= 1)).all()


@pytest.mark.parametrize("scores", [[], [0.5], [0.1] * 3 + [0.9] * 4, [0.3] * 50])
def test_too_few_or_equal_scores_say_nothing(scores):
    assert Posterior.fit(scores)([-1, 0, 0.3, 0.9, 5]).tolist() == [0] * 5


def test_one_score_among_many_far_above_does_not_break_it():
    scores = np.append(np.random.default_rng(0).gumbel(size=300), 1000.0)
    probability = Posterior.fit(scores)(scores)
    assert np.isfinite(probability).all()
    assert (probability[:-1] >= 0.5).mean() < 0.05


@pytest.mark.parametrize(("location", "scale"), [(100, 1), (0, 0.01), (-3, 50)])
def test_probability_follows_a_shift_and_a_stretch_of_the_scores(location, scale):
    parts = MIXTURES["overlapping"]
    plain, _ = mixture(np.random.default_rng(5), *parts)
    moved, _ = mixture(np.random.default_rng(5), *parts, location=location, scale=scale)
    assert Posterior.fit(moved)(moved) == pytest.approx(Posterior.fit(plain)(plain), abs=0.02)


def test_order_of_the_scores_does_not_matter():
    scores, _ = mixture(np.random.default_rng(6), *MIXTURES["two views"])
    shuffled = np.random.default_rng(7).permutation(scores)
    assert Posterior.fit(shuffled)(scores) == pytest.approx(Posterior.fit(scores)(scores), abs=1e-6)
