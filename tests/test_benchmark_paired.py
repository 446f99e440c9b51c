"""Paired comparisons: exact values by hand, behaviour under the null hypothesis, and what few micrographs allow."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

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
    first, second = made_up(rng, 12, 0.78), made_up(rng, 12, 0.72)
    exact = paired.compare(first, second)
    # A 13th micrograph on which both are the same changes no exchange, but there are too many to try them all.
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


def test_order_of_rows_does_not_matter_and_seeds_are_added_up():
    rng = np.random.default_rng(1)
    seeds = [made_up(rng, 6, 0.8) for _ in range(2)]
    other = made_up(rng, 6, 0.7)
    added = counts(*(seeds[0][name] + seeds[1][name] for name in ("tp", "fp", "fn")))
    doubled = counts(*(2 * other[name] for name in ("tp", "fp", "fn")))
    found = paired.compare(pd.concat(seeds).sample(frac=1, random_state=2), other)
    expected = paired.compare(added, doubled)
    assert found.difference == pytest.approx(expected.difference)
    assert found.p == expected.p
    assert found.interval == pytest.approx(expected.interval)


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
