"""The search for the particle's diameter by a network's scores."""

import math

import numpy as np
import pytest

from cryokit.pickers.size_search import search, sureness


def network(diameter, particles=60, width=0.3):
    """Return what a network would see: sure of particles at the right diameter, of nothing elsewhere."""

    def scores_at(tried):
        right = math.exp(-0.5 * (math.log2(tried / diameter) / width) ** 2)
        return np.concatenate([np.full(particles, 0.95 * right), np.full(40, 0.05)])

    return scores_at


@pytest.mark.parametrize("diameter", [6.5, 11, 23.7, 80, 131, 380])
def test_the_diameter_is_found_between_those_tried(diameter):
    found = search(network(diameter), 6, 400)
    assert found.diameter == pytest.approx(diameter, rel=0.06)
    assert found.ambiguity < 0.2
    assert not found.doubtful or diameter in (6.5, 380)
    assert len(found.diameters) == len(found.evidence) < 25
    assert (np.diff(found.diameters) > 0).all()


def test_nothing_seen_is_no_diameter():
    found = search(lambda diameter: np.array([0.1, 0.2]), 6, 400)
    assert math.isnan(found.diameter)
    assert found.ambiguity == 1
    assert not found.evidence.any()
    assert found.doubtful


def test_two_sizes_that_the_network_is_as_sure_of_are_ambiguous():
    one, other = network(20), network(120)
    found = search(lambda tried: np.concatenate([one(tried), other(tried)]), 6, 400)
    # Around the other one fewer diameters were tried, so its evidence is less.
    assert found.ambiguity > 0.5
    assert found.doubtful == (found.ambiguity > 0.6)


def test_few_particles_prove_less_than_many():
    values = [sureness(np.full(number, 0.9)) for number in (0, 1, 5, 50, 500)]
    assert values[0] == 0
    assert (np.diff(values) > 0).all()
    assert values[-1] < 1


def test_sure_scores_are_worth_more_than_doubtful_ones():
    assert sureness(np.full(50, 0.95)) > 2 * sureness(np.full(50, 0.6))
    assert sureness(np.full(50, 0.45)) == 0
