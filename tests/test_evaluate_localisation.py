"""Where true picks lie: mean and standard error against brute force, and known shifts recovered."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryokit.coordinates import table
from cryokit.evaluate import evaluate
from cryokit.evaluate.localisation import localise

D = 100.0


def lattice(micrographs, rows=10):
    """Labels far enough apart that no pick can match the wrong one."""
    x, y = (2 * D * axis.ravel() for axis in np.meshgrid(np.arange(1.0, rows + 1), np.arange(1.0, rows + 1)))
    names = [f"m{number:02}" for number in range(micrographs)]
    return table(np.repeat(names, x.size), np.tile(x, micrographs), np.tile(y, micrographs), diameter=D)


def shifted(labels, shift, scatter, rng, shared=0.0):
    """Picks at a shift from the labels, with scatter of their own and one that a micrograph's picks share."""
    number = np.unique(labels["micrograph"], return_inverse=True)[1]
    offsets = rng.normal(0, scatter, (len(labels), 2)) + rng.normal(0, shared, (number.max() + 1, 2))[number]
    return labels.assign(x=labels["x"] + shift[0] + offsets[:, 0], y=labels["y"] + shift[1] + offsets[:, 1], score=0.5)


@given(
    st.lists(
        st.tuples(st.integers(-20, 20), st.integers(-20, 20), st.sampled_from("abcd"), st.integers(50, 90)),
        min_size=1,
        max_size=30,
    )
)
def test_mean_errors_and_rms_by_brute_force(matches):
    dx, dy, names, diameters = zip(*matches, strict=True)
    where = localise(np.column_stack([dx, dy]).astype(float), np.array(names), np.array(diameters, float))
    n = len(matches)
    assert where.matches == n
    assert where.rms == pytest.approx(math.sqrt(sum(x * x + y * y for x, y, *_ in matches) / n))
    assert where.diameter == pytest.approx(sum(diameters) / n)
    for values, mean, error in ((dx, where.dx, where.dx_error), (dy, where.dy, where.dy_error)):
        assert mean == pytest.approx(sum(values) / n)
        if n == 1:
            assert math.isnan(error)
            continue
        picks = sum((value - mean) ** 2 for value in values) / (n - 1) / n
        sums = [
            sum(value - mean for value, name in zip(values, names, strict=True) if name == each) for each in set(names)
        ]
        clusters = len(sums)
        micrographs = clusters / (clusters - 1) * sum(total**2 for total in sums) / n**2 if clusters > 1 else 0
        assert error**2 == pytest.approx(max(picks, micrographs), abs=1e-9)


def test_one_pick_on_each_micrograph_makes_both_units_the_same():
    values = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 3.0], [6.0, 0.0]])
    where = localise(values, np.arange(4), np.full(4, D))
    assert (where.dx_error, where.dy_error) == pytest.approx(tuple(values.std(axis=0, ddof=1) / 2))


@pytest.mark.parametrize("shift", [(3.0, -2.0), (0.0, 0.0), (-0.5, 1.4)])
def test_a_known_shift_is_recovered(shift):
    labels = lattice(6)
    result = evaluate(shifted(labels, shift, 4.0, np.random.default_rng(1)), labels, bootstrap=0)
    where = result.localisation
    assert where.matches == result.tp == len(labels)
    for found, error, true in ((where.dx, where.dx_error, shift[0]), (where.dy, where.dy_error, shift[1])):
        assert error == pytest.approx(4 / math.sqrt(len(labels)), rel=0.5)
        assert abs(found - true) < 3 * error
    assert where.dx_share == pytest.approx(where.dx / D)
    assert where.rms_share == pytest.approx(math.sqrt(2 * 4**2 + shift[0] ** 2 + shift[1] ** 2) / D, rel=0.05)
    assert where.shifted == (max(map(abs, shift)) > 0.01 * D)
    assert bool(where.warning()) == where.shifted


@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_three_standard_errors_hold_the_true_shift(shared):
    """Also where the picks of a micrograph share an offset, so that hundreds of them say little more than one."""
    labels = lattice(10, 5)
    rng = np.random.default_rng(7)
    distances = []
    for _ in range(60):
        picks = shifted(labels, (1.5, 0), 3.0, rng, shared)
        offsets = picks[["x", "y"]].to_numpy() - labels[["x", "y"]].to_numpy()
        where = localise(offsets, labels["micrograph"].to_numpy(str), labels["diameter"].to_numpy())
        distances.append(abs(where.dx - 1.5) / where.dx_error)
    # Of a Student's t with 9 degrees of freedom, 1.5 % lie beyond 3.
    assert np.mean(np.array(distances) > 3) <= 0.05
    assert 0.3 < np.median(distances) < 1.1


def test_a_small_or_an_uncertain_shift_is_no_warning():
    labels = lattice(4)
    rng = np.random.default_rng(2)
    small = evaluate(shifted(labels, (0.6, 0), 0.5, rng), labels, bootstrap=0).localisation
    assert small.dx > 5 * small.dx_error
    assert not small.shifted
    few = labels.groupby("micrograph").head(1)
    uncertain = evaluate(shifted(few, (2.0, 0), 8.0, rng), few, bootstrap=0).localisation
    assert not uncertain.shifted


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_either_axis_and_either_way(axis, sign):
    labels = lattice(2)
    picks = shifted(labels, (0, 0), 1.0, np.random.default_rng(3))
    where = evaluate(picks.assign(**{axis: picks[axis] + 3 * sign}), labels, bootstrap=0).localisation
    assert where.shifted
    assert np.sign(getattr(where, f"d{axis}")) == sign
    assert f"{getattr(where, f'd{axis}'):+.2f}" in where.warning()


def test_only_true_picks_at_the_operating_point_count():
    labels = lattice(1, 2)
    picks = labels.assign(x=labels["x"] + [1, 1, 1, 9], score=[0.9, 0.9, 0.9, 0.1])
    far = table("m00", [9000.0], [9000.0], 0.95)
    result = evaluate(picks, labels, threshold=0.5, bootstrap=0)
    assert (result.localisation.matches, result.localisation.dx) == (3, 1)
    assert evaluate(picks, labels, bootstrap=0).localisation.dx == 3
    assert evaluate(pd.concat([picks, far]), labels, threshold=0.5, bootstrap=0).localisation.dx == 1


def test_no_matches_are_null_in_json():
    labels = lattice(1, 2)
    result = evaluate(labels.assign(x=labels["x"] + 5000), labels, bootstrap=0)
    where = json.loads(json.dumps(result.to_dict(), allow_nan=False))["localisation"]
    assert (where["matches"], where["shifted"]) == (0, False)
    numbers = set(where) - {"matches", "shifted"}
    assert {where[name] for name in numbers} == {None}
    assert {"dx", "dy", "dx_error", "dy_error", "rms", "dx_share", "dy_share", "rms_share", "diameter"} == numbers


def test_the_order_of_rows_does_not_matter():
    labels = lattice(3, 4)
    picks = shifted(labels, (1, 1), 3.0, np.random.default_rng(5), 1.0)
    one = evaluate(picks, labels, bootstrap=0).localisation
    for seed, order in itertools.product((1, 2), ("picks", "labels")):
        rng = np.random.default_rng(seed)
        mixed = picks.iloc[rng.permutation(len(picks))] if order == "picks" else picks
        others = labels.iloc[rng.permutation(len(labels))] if order == "labels" else labels
        other = evaluate(mixed, others, bootstrap=0).localisation
        assert list(one.to_dict().values()) == pytest.approx(list(other.to_dict().values()))
