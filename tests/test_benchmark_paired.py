"""Paired comparisons: exact values by hand, behaviour under the null hypothesis, and what few micrographs allow."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryokit.errors import CoordinateError
from cryokit.evaluate import paired


def counts(tp, fp, fn, names=None):
    names = names or [f"m{index:02}" for index in range(len(tp))]
    return pd.DataFrame({"micrograph": names, "tp": tp, "fp": fp, "fn": fn})


def made_up(rng, n, found, particles=30):
    tp = rng.binomial(particles, found, n)
    return counts(tp, rng.poisson(3, n), particles - tp)


def f1(rows):
    tp, fp, fn = (sum(column) for column in zip(*rows, strict=True))
    return 2 * tp / (2 * tp + fp + fn)


def test_difference_is_that_of_the_pooled_counts():
    first, second = counts([8, 2], [2, 0], [2, 8]), counts([5, 5], [0, 5], [5, 5])
    found = paired.compare(first, second)
    # 2 * 10 / (20 + 2 + 10) and 2 * 10 / (20 + 5 + 10)
    assert found.difference == pytest.approx(20 / 32 - 20 / 35)
    assert found.micrographs == 2


def test_p_is_the_share_of_all_exchanges():
    rng = np.random.default_rng(3)
    first, second = made_up(rng, 5, 0.8), made_up(rng, 5, 0.7)
    columns = ["tp", "fp", "fn"]
    a, b = first[columns].to_numpy().tolist(), second[columns].to_numpy().tolist()
    observed = abs(f1(a) - f1(b))
    all_of_them = [
        abs(f1([pair[side] for pair, side in zip(zip(a, b, strict=True), sides, strict=True)])
            - f1([pair[1 - side] for pair, side in zip(zip(a, b, strict=True), sides, strict=True)]))
        for sides in itertools.product((0, 1), repeat=5)
    ]  # fmt: skip
    expected = sum(one >= observed - 1e-9 for one in all_of_them) / 32
    assert paired.compare(first, second).p == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_least_p(n):
    # One method better on every micrograph: nothing could be clearer.
    found = paired.compare(counts([9] * n, [1] * n, [1] * n), counts([2] * n, [8] * n, [8] * n))
    assert found.p == pytest.approx(min(1, 2 / 2**n)) == pytest.approx(paired.least_p(n))


def test_random_exchanges_come_near_to_all_of_them():
    rng = np.random.default_rng(5)
    first, second = made_up(rng, 13, 0.78), made_up(rng, 13, 0.72)
    exact = paired.compare(first, second)
    # A further micrograph on which both are the same changes no exchange, but there are too many to try them all.
    same = counts([0], [0], [0], ["nothing"])
    random = paired.compare(pd.concat([first, same]), pd.concat([second, same]), seed=1)
    assert 0.005 < exact.p < 0.9
    assert random.p == pytest.approx(exact.p, abs=0.03)
    assert random.difference == pytest.approx(exact.difference)


def test_equal_methods_are_rarely_told_apart():
    rng = np.random.default_rng(11)
    told = 0
    for _ in range(200):
        quality = rng.uniform(0.4, 0.95, 8)  # micrographs differ much more than methods
        found = paired.compare(made_up(rng, 8, quality), made_up(rng, 8, quality), replicates=500)
        told += paired.distinguishable(found.p, found.interval)
    assert told <= 20  # 5 % would be 10; binomial, beyond 20 with a chance of 0.001


def test_a_small_difference_on_every_micrograph_is_found_where_intervals_overlap():
    quality = np.linspace(0.3, 0.95, 14)
    particles = np.full(14, 100)
    tp = (quality * particles).astype(int)
    first, second = counts(tp + 2, np.full(14, 5), particles - tp - 2), counts(tp, np.full(14, 5), particles - tp)
    apart = [paired.interval(first), paired.interval(second)]
    assert apart[0][0] < apart[1][1]
    found = paired.compare(first, second)
    assert found.interval[0] > 0
    assert found.p < 0.01
    assert paired.distinguishable(found.p, found.interval)


def test_the_other_way_round():
    rng = np.random.default_rng(0)
    first, second = made_up(rng, 9, 0.8), made_up(rng, 9, 0.6)
    there, back = paired.compare(first, second), paired.compare(second, first)
    assert there.difference == pytest.approx(-back.difference)
    assert there.p == pytest.approx(back.p)
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))


def test_seeds_are_averaged_and_neither_their_order_nor_that_of_rows_matters():
    rng = np.random.default_rng(1)
    seeds = [made_up(rng, 6, 0.8).assign(seed=seed) for seed in range(3)]
    other = made_up(rng, 6, 0.7)
    found = paired.compare(pd.concat(seeds), other)
    shuffled = pd.concat(seeds).assign(seed=lambda rows: 7 - rows["seed"]).sample(frac=1, random_state=2)
    assert paired.compare(shuffled, other) == found
    added = counts(*(sum(part[name] for part in seeds) for name in ("tp", "fp", "fn")))
    tripled = counts(*(3 * other[name] for name in ("tp", "fp", "fn")))
    pooled = paired.compare(added, tripled)
    assert found.difference == pytest.approx(pooled.difference)
    assert found.p == pytest.approx(pooled.p)
    # Seeds that differ make the interval wider, seeds that are the same do not.
    assert np.ptp(found.interval) > np.ptp(pooled.interval)
    same = pd.concat([added.assign(seed=seed) for seed in range(3)])
    assert paired.compare(same, tripled).interval == pytest.approx(pooled.interval)


def test_a_micrograph_without_counts_of_a_seed_is_an_error():
    table = pd.concat([counts([1, 1], [0, 0], [0, 0]).assign(seed=seed) for seed in (0, 1)])
    with pytest.raises(CoordinateError, match="m01"):
        paired.spread(table.iloc[:-1])
    with pytest.raises(CoordinateError, match="m00"):
        paired.spread(table.drop(columns="seed"))


def test_one_micrograph_has_no_interval():
    found = paired.compare(counts([9], [0], [1]), counts([1], [0], [9]))
    assert found.p == 1
    assert all(math.isnan(end) for end in found.interval)
    assert not paired.distinguishable(found.p, found.interval)


@pytest.mark.parametrize("replicates", [1000, 5000])
def test_same_seed_same_result(replicates):
    rng = np.random.default_rng(2)
    first, second = made_up(rng, 15, 0.8), made_up(rng, 15, 0.78)
    once = paired.compare(first, second, replicates=replicates, seed=4)
    assert once == paired.compare(first, second, replicates=replicates, seed=4)
    assert once.interval != paired.compare(first, second, replicates=replicates, seed=5).interval


def test_no_picks_and_no_particles():
    nothing = counts([0, 0], [0, 0], [0, 0])
    assert paired.compare(nothing, nothing) == (0, (0, 0), 1, 2)


def test_other_micrographs_are_an_error():
    with pytest.raises(CoordinateError, match=r"m01.*zz"):
        paired.compare(counts([1, 1], [0, 0], [0, 0]), counts([1, 1], [0, 0], [0, 0], ["m00", "zz"]))
    with pytest.raises(CoordinateError, match="micrograph"):
        paired.compare(counts([], [], []), counts([], [], []))


def test_interval_covers_what_it_should():
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(150):
        low, high = paired.interval(made_up(rng, 30, 0.8))
        # tp 24, fp 3, fn 6 on average
        inside += low <= 48 / (48 + 9) <= high
    assert 0.88 < inside / 150 <= 1


# --- several comparisons ---------------------------------------------------------------------------------------------


def closed_test(p):
    """Holm's p values by their meaning: the largest Bonferroni p of all sets of hypotheses with this one in it."""
    places = range(len(p))
    sets = [chosen for size in range(1, len(p) + 1) for chosen in itertools.combinations(places, size)]
    return [max(min(1, len(s) * min(p[i] for i in s)) for s in sets if place in s) for place in places]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p):
    assert paired.holm(p).tolist() == pytest.approx(closed_test(p))


def test_nothing_to_correct():
    assert paired.holm([]).size == 0


@st.composite
def told_apart(draw):
    n = draw(st.integers(1, 9))
    upper = np.triu(np.array(draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))).reshape(n, n), 1)
    return upper | upper.T


@given(told_apart())
def test_letters_are_shared_by_those_that_cannot_be_told_apart_and_by_no_others(apart):
    shown = paired.letters(apart)
    n = len(apart)
    assert all(shown)
    for i, j in itertools.combinations(range(n), 2):
        assert bool(set(shown[i]) & set(shown[j])) == (not apart[i, j])
    assert "a" in shown[0]
    for letter in set("".join(shown)):
        group = [k for k in range(n) if letter in shown[k]]
        # No group can be made larger, so none is a part of another.
        assert all(apart[k, group].any() for k in range(n) if k not in group)


def test_letters_of_a_row_of_neighbours():
    apart = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) > 1
    assert paired.letters(apart) == ["a", "ab", "bc", "cd", "d"]


# --- micrographs and seeds -------------------------------------------------------------------------------------------


def seeded(rng, seeds, n, of_micrographs, of_seeds):
    """Counts whose share of found particles varies over micrographs and over seeds."""
    micrographs, trainings = rng.normal(0, of_micrographs, n), rng.normal(0, of_seeds, seeds)
    return pd.concat(
        counts(*_counted(np.clip(0.7 + micrographs + training, 0, 1))).assign(seed=seed)
        for seed, training in enumerate(trainings)
    )


def _counted(share, particles=1000):
    tp = np.round(particles * share).astype(int)
    return tp, particles - tp, particles - tp  # F1 is the share


def test_standard_errors_are_those_of_the_means():
    rng = np.random.default_rng(4)
    table = seeded(rng, 4, 12, 0.05, 0.03)
    wide = (table["tp"] / 1000).to_numpy().reshape(4, 12)
    found = paired.spread(table, replicates=20_000)
    assert found.f1 == pytest.approx(wide.mean())
    # F1 is here the mean of the shares: sums of independent draws, n of n micrographs and s - 1 of s seeds.
    assert found.micrographs == pytest.approx(wide.mean(axis=0).std() / np.sqrt(12), rel=0.03)
    assert found.seeds == pytest.approx(wide.mean(axis=1).std(ddof=1) / np.sqrt(4), rel=0.03)


def test_two_seeds_against_all_draws():
    """Two micrographs and two seeds have so few draws that they can be listed."""
    table = pd.concat([counts([9, 4], [1, 3], [1, 6]).assign(seed=0), counts([6, 8], [2, 2], [4, 2]).assign(seed=1)])
    rows = table[["tp", "fp", "fn"]].to_numpy().reshape(2, 2, 3)
    values = [f1([rows[seed, one], rows[seed, other]]) for seed in (0, 1) for one in (0, 1) for other in (0, 1)]
    found = paired.spread(table, replicates=20_000)
    assert found.interval == pytest.approx((min(values), max(values)))
    of_seeds = [f1(rows[seed]) for seed in (0, 1)]
    assert found.seeds == pytest.approx(np.std(of_seeds), rel=0.02)


@pytest.mark.parametrize(("of_micrographs", "of_seeds"), [(0.08, 0.0), (0.0, 0.08)])
def test_which_part_is_which(of_micrographs, of_seeds):
    found = paired.spread(seeded(np.random.default_rng(6), 3, 14, of_micrographs, of_seeds))
    assert (found.micrographs > 10 * found.seeds) == (of_seeds == 0)
    assert (found.seeds > 10 * found.micrographs) == (of_micrographs == 0)


def test_one_seed_or_one_micrograph_has_no_such_part():
    one_seed = paired.spread(made_up(np.random.default_rng(0), 8, 0.8))
    assert one_seed.micrographs > 0
    assert math.isnan(one_seed.seeds)
    one_micrograph = paired.spread(seeded(np.random.default_rng(0), 3, 1, 0, 0.05))
    assert math.isnan(one_micrograph.micrographs)
    assert all(map(math.isnan, one_micrograph.interval))
    assert one_micrograph.seeds > 0


# --- several datasets ------------------------------------------------------------------------------------------------


def on_two(first, second):
    return pd.concat([first.assign(dataset="one"), second.assign(dataset="two")])


def test_datasets_count_alike_however_large():
    large, small = counts([90, 90], [10, 10], [10, 10]), counts([1], [1], [1])
    other_large, other_small = counts([80, 80], [20, 20], [20, 20]), counts([0], [2], [2])
    found = paired.compare(on_two(large, small), on_two(other_large, other_small))
    assert found.difference == pytest.approx((0.9 + 0.5) / 2 - (0.8 + 0) / 2)
    assert found.micrographs == 3
    assert found.p == pytest.approx(0.25)


def test_micrographs_of_single_datasets_add_up_to_a_test():
    better, worse = counts([9] * 3, [1] * 3, [1] * 3), counts([5] * 3, [5] * 3, [5] * 3)
    assert paired.compare(better, worse).p == 0.25
    assert paired.compare(on_two(better, better), on_two(worse, worse)).p == pytest.approx(2 / 64)
