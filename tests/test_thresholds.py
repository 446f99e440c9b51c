"""Thresholds from scores alone: Otsu's against brute force, probabilities against mixtures whose truth is known."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from cryokit.coordinates import concatenate, table
from cryokit.errors import ArgumentError, PickerError
from cryokit.evaluate import evaluate
from cryokit.evaluate.thresholds import Posterior, best_threshold, otsu, separation, threshold_from_scores

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


# --- threshold of a network's scores, without labels ---------------------------------------------------------------


def network_scores(rng, n, share, *, noise="gumbel", centre=-4.0, spread=1.0, particle=3.5, width=1.5):
    """Scores of peaks as float32 probabilities, and which are particles."""
    truth = rng.random(n) < share
    draw = rng.gumbel(centre, spread, n) if noise == "gumbel" else rng.normal(centre, 1.3 * spread, n)
    odds = np.where(truth, rng.normal(particle, width, n), draw)
    return (1 / (1 + np.exp(-odds))).astype(np.float32), truth


def f1(scores, truth, threshold):
    taken = scores >= threshold
    return 2 * (taken & truth).sum() / max(taken.sum() + truth.sum(), 1)


def best_f1(scores, truth):
    order = np.argsort(-scores)
    return (2 * np.cumsum(truth[order]) / (np.arange(1, scores.size + 1) + truth.sum())).max()


@pytest.mark.parametrize("noise", ["gumbel", "normal"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 0.9, 0.98])
def test_threshold_of_clear_scores_is_nearly_the_best(share, noise):
    for seed in range(4):
        scores, truth = network_scores(np.random.default_rng(seed), 1000, share, noise=noise, centre=-5)
        # The best is known only afterwards: it finds the gap that one particle left by chance.
        assert f1(scores, truth, threshold_from_scores(scores)) >= best_f1(scores, truth) - 0.02 - 1 / truth.sum()


@pytest.mark.parametrize(
    ("centre", "particle", "share"),
    [(-1.5, 4.0, 0.15), (-1.5, 4.0, 0.4), (-2.0, 5.0, 0.05), (-5.0, 2.0, 0.5), (-5.0, 2.0, 0.9), (-6.0, 1.5, 0.7)],
    ids=str,
)
def test_threshold_is_better_than_one_half_for_networks_that_are_too_sure_or_not_sure_enough(centre, particle, share):
    chosen, half, best = [], [], []
    for seed in range(6):
        scores, truth = network_scores(
            np.random.default_rng(seed), 1500, share, centre=centre, particle=particle, width=1.2
        )
        threshold = threshold_from_scores(scores)
        assert (threshold > 0.5) == (centre > -3)
        chosen.append(f1(scores, truth, threshold))
        half.append(f1(scores, truth, 0.5))
        best.append(best_f1(scores, truth))
    assert np.mean(chosen) > np.mean(half) + 0.01
    assert np.mean(chosen) > np.mean(best) - 0.02


@pytest.mark.parametrize("cut", [0.02, 0.1, 0.3])
def test_weak_candidates_may_be_missing(cut):
    for seed in range(4):
        scores, truth = network_scores(np.random.default_rng(seed), 1500, 0.4, centre=-3)
        scores, truth = scores[scores >= cut], truth[scores >= cut]
        assert f1(scores, truth, threshold_from_scores(scores)) >= best_f1(scores, truth) - 0.04


@pytest.mark.parametrize("n", [1, 20, 200, 2000])
def test_particles_alone_are_all_kept_and_noise_alone_gives_nothing(n):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        particles, _ = network_scores(rng, n, 1.0, particle=5)
        assert (particles >= threshold_from_scores(particles)).mean() > 0.97
        noise, _ = network_scores(rng, n, 0.0, centre=-6)
        assert (noise >= threshold_from_scores(noise)).sum() <= 0.01 * n


def test_two_groups_of_particles_are_not_parted():
    # Top views score higher than side views; hardly any noise passed the network.
    rng = np.random.default_rng(0)
    odds = np.concatenate([rng.normal(8, 0.7, 300), rng.normal(2.5, 0.7, 300), rng.gumbel(-4, 1, 5)])
    assert threshold_from_scores(1 / (1 + np.exp(-odds))) == 0.5


def test_ice_below_the_boundary_is_no_particle():
    rng = np.random.default_rng(0)
    odds = np.concatenate([rng.normal(-7, 0.7, 300), rng.normal(-2, 0.5, 100)])
    assert (1 / (1 + np.exp(-odds)) >= threshold_from_scores(1 / (1 + np.exp(-odds)))).sum() <= 1


def test_saturated_scores():
    scores = np.concatenate([np.zeros(400), np.ones(300), np.linspace(0.001, 0.2, 40), np.linspace(0.9, 0.999, 30)])
    assert 0.2 < threshold_from_scores(scores.astype(np.float32)) < 0.9
    assert threshold_from_scores(np.repeat([0.0, 1.0], 50)) == 0.5


@settings(max_examples=60, deadline=None)
@given(scores=st.lists(st.floats(0, 1), max_size=80), default=st.sampled_from([0.2, 0.5, 0.7]))
def test_any_scores_give_a_threshold_between_zero_and_one(scores, default):
    threshold = threshold_from_scores(scores, default=default)
    assert 0 < threshold < 1
    assert threshold == threshold_from_scores([*scores[::-1], np.nan], default=default)


def test_scores_that_are_no_probabilities_are_refused():
    with pytest.raises(ArgumentError, match=r"scores.*-3.*7"):
        threshold_from_scores([-3, 7])
    with pytest.raises(ArgumentError, match=r"default.*1$"):
        threshold_from_scores([0.5], default=1.0)


# --- threshold of labelled micrographs -----------------------------------------------------------------------------


def labelled(seed=0, micrographs=4, particles=40, spurious=30):
    """Picks on a lattice, some of them of particles, and the labels; scores overlap."""
    rng = np.random.default_rng(seed)
    x, y = (100.0 * axis.ravel() for axis in np.meshgrid(np.arange(1, 11), np.arange(1, 11)))
    picks, labels = [], []
    for number in range(micrographs):
        place = rng.permutation(100)[: particles + spurious]
        true = place[:particles]
        labels.append(table(f"m{number}", x[true], y[true], diameter=50))
        score = np.concatenate([rng.beta(6, 2, particles), rng.beta(2, 6, spurious)])
        picks.append(table(f"m{number}", x[place] + 3, y[place] - 2, score=score, diameter=50))
    return concatenate(picks), concatenate(labels)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_threshold_of_labelled_picks_has_the_largest_f1(seed):
    picks, labels = labelled(seed)
    threshold = best_threshold(picks, labels)
    chosen = evaluate(picks, labels, threshold=threshold, bootstrap=0).f1
    others = [evaluate(picks, labels, threshold=other, bootstrap=0).f1 for other in np.linspace(0, 1, 41)]
    assert chosen >= max(others)
    assert threshold not in picks["score"].to_numpy()  # between two scores


def test_threshold_lies_between_the_scores_in_the_widest_gap_of_those_with_the_same_f1():
    labels = table("a", x=[100, 300], y=[100, 100], diameter=50)

    def choose(*scores):  # particle, nothing, nothing, particle, nothing
        return best_threshold(table("a", x=[100, 500, 600, 300, 700], y=100 * np.ones(5), score=scores), labels)

    # One pick or four: F1 2 / 3 both times.
    assert choose(0.95, 0.5, 0.45, 0.4, 0.1) == pytest.approx(0.725)
    assert choose(0.95, 0.8, 0.75, 0.5, 0.1) == pytest.approx(0.3)
    assert choose(0.95, 0.3, 0.25, 0.9, 0.1) == pytest.approx(0.6)  # two, both true


def test_micrographs_and_diameter_are_passed_on():
    picks, labels = labelled(0)
    picks.loc[picks["micrograph"] != "m0", "score"] = 0.9
    assert best_threshold(picks, labels, micrographs=["m0"]) == best_threshold(
        picks[picks["micrograph"] == "m0"], labels[labels["micrograph"] == "m0"]
    )
    with pytest.raises(PickerError, match="diameter"):
        best_threshold(picks, labels, diameter=4)


def test_picks_without_scores_have_no_threshold():
    picks, labels = labelled(0)
    with pytest.raises(PickerError, match="scores"):
        best_threshold(picks.assign(score=np.nan), labels)
    with pytest.raises(PickerError):
        best_threshold(picks.iloc[:0], labels)


def test_slack_takes_the_threshold_nearest_to_one_half_among_those_as_good():
    # 40 particles, all found; one false pick at 0.8 makes the thresholds between 0.8 and 0.9 a little better.
    labels = table("a", x=np.arange(40) * 100.0, y=np.zeros(40), diameter=80)
    x = np.append(np.arange(40) * 100.0, 50.0)
    picks = table("a", x=x, y=np.append(np.zeros(40), 5000.0), score=np.append(np.full(40, 0.9), 0.8))
    assert 0.8 < best_threshold(picks, labels) < 0.9
    assert best_threshold(picks, labels, slack=0.005) == pytest.approx(0.8, abs=0.01)
    assert best_threshold(picks, labels, slack=0.05) == pytest.approx(0.5, abs=0.31)
    assert best_threshold(picks, labels, slack=0.05) < 0.81


def test_with_slack_what_is_left_out_stays_out():
    labels = table("a", x=[100, 300], y=[100, 300], diameter=80)
    picks = table("a", x=[100, 300, 600], y=[100, 300, 50], score=[0.99, 0.95, 0.90])
    threshold = best_threshold(picks, labels, slack=0.005)
    assert (picks["score"] >= threshold).tolist() == [True, True, False]
