"""Labels from what several pickers agree on."""

import numpy as np
import pytest

from cryokit.coordinates import table
from cryokit.pickers.consensus import agreement, as_labels, mutual_trust, vote

DIAMETER = 40.0


def pickers_of(truth, rng, *, miss, false, jitter=3.0):
    """Return picks that miss a share of the truth and have as large a share of false ones."""
    kept = truth[rng.random(len(truth)) >= miss]
    wrong = rng.uniform(0, 2000, (round(false * len(truth)), 2))
    xy = np.concatenate([kept + rng.normal(0, jitter, kept.shape), wrong])
    return table("m", xy[:, 0], xy[:, 1], rng.uniform(0.85, 1, len(xy)), DIAMETER)


@pytest.fixture
def truth():
    places = np.stack(np.meshgrid(np.arange(50, 2000, 90.0), np.arange(50, 2000, 90.0)), axis=-1)
    return places.reshape(-1, 2)[::2]


def outcome(picks, truth):
    distance = np.hypot(picks["x"].to_numpy()[:, None] - truth[:, 0], picks["y"].to_numpy()[:, None] - truth[:, 1])
    right = (distance.min(axis=1) < 0.25 * DIAMETER).sum()
    return right / max(len(picks), 1), right / len(truth)


def test_a_majority_is_better_than_each_of_its_members(truth):
    rng = np.random.default_rng(1)
    sources = [[pickers_of(truth, rng, miss=0.15, false=0.25)] for _ in range(3)]
    trust = mutual_trust(sources, DIAMETER)
    labels = as_labels(vote([each[0] for each in sources], trust, DIAMETER, "m"), certain=0.5)
    precision, recall = outcome(labels[labels["view"] == ""], truth)
    each = [outcome(source[0], truth) for source in sources]
    assert precision > max(p for p, _ in each) + 0.1
    assert recall > max(r for _, r in each)


def test_labels_are_what_nearly_all_found_and_the_rest_is_not_asked_about(truth):
    rng = np.random.default_rng(1)
    sources = [[pickers_of(truth, rng, miss=0.15, false=0.25)] for _ in range(3)]
    trust = mutual_trust(sources, DIAMETER)
    labels = as_labels(vote([each[0] for each in sources], trust, DIAMETER, "m"))
    precision, _ = outcome(labels[labels["view"] == ""], truth)
    assert precision > 0.99
    # As background count only the particles that no picker found, or one alone.
    _, mentioned = outcome(labels, truth)
    assert mentioned > 0.97


def test_who_agrees_with_nobody_is_not_trusted(truth):
    rng = np.random.default_rng(2)
    good = [[pickers_of(truth, rng, miss=0.1, false=0.1)] for _ in range(2)]
    nonsense = [table("m", *rng.uniform(0, 2000, (2, 300)), 0.9, DIAMETER)]
    trust = mutual_trust([*good, nonsense], DIAMETER)
    assert trust[2] < 0.25 * min(trust[:2])
    labels = as_labels(vote([good[0][0], good[1][0], nonsense[0]], trust, DIAMETER, "m"))
    precision, _ = outcome(labels[labels["view"] == ""], truth)
    assert precision > 0.95


def test_positions_are_averaged_between_pickers(truth):
    rng = np.random.default_rng(3)
    sources = [pickers_of(truth, rng, miss=0, false=0, jitter=2) for _ in range(3)]
    labels = vote(sources, [1, 1, 1], DIAMETER, "m")

    def error(picks):
        distance = np.hypot(picks["x"].to_numpy()[:, None] - truth[:, 0], picks["y"].to_numpy()[:, None] - truth[:, 1])
        return np.sqrt((distance.min(axis=1) ** 2).mean())

    assert error(labels) < 0.75 * min(error(source) for source in sources)


def test_no_label_twice(truth):
    rng = np.random.default_rng(4)
    sources = [pickers_of(truth, rng, miss=0.1, false=0.1, jitter=4) for _ in range(3)]
    xy = vote(sources, [1, 1, 1], DIAMETER, "m")[["x", "y"]].to_numpy()
    distance = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(xy))
    assert distance.min() >= 0.25 * DIAMETER


def test_nothing_found_by_anybody():
    nothing = table("m")
    assert len(vote([nothing, nothing], [1, 1], DIAMETER, "m")) == 0
    assert agreement([nothing], [nothing], DIAMETER) == 0
    assert mutual_trust([[nothing], [nothing]], DIAMETER).tolist() == [0, 0]


def test_weak_picks_do_not_count_as_agreement():
    weak, sure = table("m", [10], [10], 0.3, DIAMETER), table("m", [10], [10], 0.9, DIAMETER)
    assert agreement([weak], [sure], DIAMETER) == 0
    assert agreement([sure], [sure], DIAMETER) == 1


def test_two_picks_of_one_particle_are_one_agreement():
    twice, once = table("m", [10, 14], [10, 10], 0.9), table("m", [12], [10], 0.9)
    assert agreement([twice], [once], DIAMETER) == pytest.approx(2 / 3)
    assert agreement([once], [twice], DIAMETER) == pytest.approx(2 / 3)


def test_doubtful_picks_become_ignore_labels():
    labels = as_labels(table("m", [1, 2, 3], [1, 2, 3], [0.9, 0.6, 0.1]))
    assert labels["x"].tolist() == [1, 2]
    assert labels["view"].tolist() == ["", "ignore"]
