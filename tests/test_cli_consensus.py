"""``cryokit consensus``: pairs, finders and coordinates, against a brute-force count."""

import itertools

import numpy as np
import pandas as pd
import pytest

from cryokit import coordinates
from cryokit.cli import main
from cryokit.coordinates import table
from cryokit.evaluate import evaluate
from cryokit.pickers.consensus import SAME, found_by, shared_particles

DIAMETER = 20.0


def random_picks(rng, most=6):
    """Return picks so close to each other that many pairs are possible."""
    size = rng.integers(0, most + 1)
    return table("m", *rng.integers(0, 24, (2, size)).astype(float), rng.random(size))


def most_pairs(first, second):
    """Return the size of the largest one-to-one matching, by trying all."""
    small, large = sorted((first[["x", "y"]].to_numpy(), second[["x", "y"]].to_numpy()), key=len)
    near = np.hypot(*(small[:, None] - large[None]).transpose(2, 0, 1)) <= SAME * DIAMETER
    orders = itertools.permutations(range(len(large)), len(small))
    return max(sum(near[row, column] for row, column in enumerate(order)) for order in orders)


@pytest.mark.parametrize("seed", range(20))
def test_pairs_are_as_many_as_possible(seed):
    rng = np.random.default_rng(seed)
    first, second = random_picks(rng), random_picks(rng)
    both = shared_particles(first, second, DIAMETER)
    assert both == shared_particles(second, first, DIAMETER) == most_pairs(first, second)


@pytest.mark.parametrize("seed", range(20))
def test_every_particle_has_the_finders_that_a_count_gives(seed):
    rng = np.random.default_rng(seed)
    tables = [random_picks(rng) for _ in range(4)]
    particles, found = found_by(tables, DIAMETER, "m")
    assert found.any(axis=1).all()
    assert particles["score"].tolist() == found.mean(axis=1).tolist()
    assert (np.diff(particles["score"]) <= 0).all()
    for source, picks in enumerate(tables):
        # No pick is counted for two particles, and none that could be is left out.
        assert found[:, source].sum() == most_pairs(picks, particles)
        for particle in np.flatnonzero(found[:, source]):
            place = particles.loc[particle, ["x", "y"]].to_numpy(float)
            assert np.hypot(*(picks[["x", "y"]].to_numpy() - place).T).min() <= SAME * DIAMETER


@pytest.fixture
def class_files(tmp_path):
    """Three files named after who made them: two particles found by all, one by two, one by one."""
    places = {"anna": [50, 150, 250], "ben": [53, 148, 350], "cleo": [50, 150, 252]}
    for name, x in places.items():
        coordinates.write(table(name, x, [60] * 3, 0.3), tmp_path / f"{name}.star")
    return [tmp_path / f"{name}.star" for name in places]


def test_files_named_after_people_are_of_one_micrograph(class_files, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["consensus", *map(str, class_files), "--diameter", "40", "--micrograph", "mic", "--out", str(out)]
    assert main(words) == 0
    picks, names = coordinates.read_folder(out / "picks")
    assert names == ["mic"]
    assert picks["x"].tolist() == pytest.approx([51, 149 + 1 / 3, 251])
    assert picks["score"].tolist() == pytest.approx([1, 1, 2 / 3])
    agreement = pd.read_csv(out / "agreement.csv")
    assert agreement["both"].tolist() == [2, 3, 2]
    assert agreement["agreement"].tolist() == pytest.approx([2 / 3, 1, 2 / 3])
    particles = pd.read_csv(out / "particles.csv")
    assert particles[["anna", "ben", "cleo"]].sum(axis=1).tolist() == [3, 3, 2, 1]
    assert "3 of 3: 2" in capsys.readouterr().out


@pytest.mark.parametrize(("at_least", "particles"), [(1, 4), (2, 3), (3, 2)])
def test_at_least(class_files, tmp_path, at_least, particles):
    words = ["--diameter", "40", "--at-least", str(at_least), "--out", str(tmp_path / "out")]
    assert main(["consensus", *map(str, class_files), *words]) == 0
    assert len(coordinates.read_folder(tmp_path / "out" / "picks")[0]) == particles


def test_agreement_is_that_of_evaluate(tmp_path):
    rng = np.random.default_rng(3)
    for name in ("one", "two"):
        for micrograph in ("a", "b"):
            # Near enough for rivals, too far apart for repeats of one particle, which are left out of labels.
            places = 30 * np.argwhere(rng.random((9, 9)) < 0.6) + rng.uniform(-12, 12)
            picks = table(micrograph, *places.T, diameter=50)
            coordinates.write(picks, tmp_path / name / f"{micrograph}.csv")
    words = [str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]
    assert main(["consensus", *words]) == 0
    first, second = (coordinates.read_folder(tmp_path / name)[0] for name in ("one", "two"))
    expected = evaluate(first, second, bootstrap=0)
    (row,) = pd.read_csv(tmp_path / "out" / "agreement.csv").to_dict("records")
    assert (row["both"], row["agreement"]) == (expected.tp, pytest.approx(expected.f1))


def test_a_micrograph_that_one_does_not_name_counts_as_without_picks(tmp_path, caplog):
    coordinates.write_folder(table(["a", "b"], [10, 10], [10, 10], diameter=20), tmp_path / "one", "csv")
    coordinates.write_folder(table(["a"], [10], [10], diameter=20), tmp_path / "two", "csv")
    words = [str(tmp_path / "one"), str(tmp_path / "two"), "--at-least", "1", "--out", str(tmp_path / "out")]
    assert main(["consensus", *words]) == 0
    picks, _ = coordinates.read_folder(tmp_path / "out" / "picks")
    assert dict(zip(picks["micrograph"], picks["score"], strict=True)) == {"a": 1, "b": 0.5}
    assert [record.levelname for record in caplog.records if str(tmp_path / "two") in record.getMessage()] == [
        "WARNING"
    ]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["one.star"], "one.star"),
        (["one.star", "two.star"], "--diameter"),
        (["one.star", "two.star", "--at-least", "3"], "--at-least 3"),
        (["one.star", "missing.star", "--diameter", "9"], "missing.star"),
        (["first.csv", "second.csv"], "--strip"),
    ],
)
def test_bad_input_is_one_line(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        coordinates.write(table(name, [1], [1]), f"{name}.star")
    for name in ("first", "second"):
        coordinates.write(table(f"mic_{name}", [1], [1], diameter=5), f"{name}.csv")
    assert main(["consensus", *words, "--out", "out"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line
