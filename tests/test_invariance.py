"""What must not change the picks: units, sign, direction, order, an empty micrograph, one that is there twice."""

import dataclasses

import numpy as np
import pytest

from cryokit.coordinates import concatenate
from cryokit.evaluate import evaluate
from cryokit.micrograph import Micrograph
from cryokit.pickers.auto import AutoPicker
from cryokit.simulate import simulate_set

SIDE = 512

pytestmark = pytest.mark.slow  # the size is estimated for every one of them


@pytest.fixture(scope="module")
def session():
    """Return three simulated micrographs and their truth."""
    pairs = list(simulate_set("ribosome", 3, shape=(SIDE, SIDE), pixel_size=8, seed=11, carbon=False))
    return [micrograph for micrograph, _ in pairs], concatenate(truth for _, truth in pairs)


def f1(micrographs, truth, judged=None):
    """Pick micrographs without a setting, and judge those with the names given."""
    names = judged or [micrograph.name for micrograph in micrographs]
    picker = AutoPicker(pretrained=True).fit(micrographs)
    picks = concatenate(picker.pick(micrograph) for micrograph in micrographs if micrograph.name in names)
    return evaluate(picks, truth[truth["micrograph"].isin(names)], micrographs=names, bootstrap=0).f1


@pytest.fixture(scope="module")
def usual(session):
    result = f1(*session)
    assert result > 0.9
    return result


def changed(micrographs, function):
    return [
        dataclasses.replace(micrograph, data=np.ascontiguousarray(function(micrograph.data)))
        for micrograph in micrographs
    ]


GREY_VALUES = {"gain and offset": lambda data: 25.0 * data - 300, "negative": lambda data: -data}
# The function of the pixels, and that of x and y.
DIRECTIONS = {
    "flipped": (lambda data: data[::-1], lambda x, y: (x, SIDE - 1 - y)),
    "mirrored": (lambda data: data[:, ::-1], lambda x, y: (SIDE - 1 - x, y)),
    "turned": (np.rot90, lambda x, y: (y, SIDE - 1 - x)),
    "transposed": (np.transpose, lambda x, y: (y, x)),
}


@pytest.mark.parametrize("change", GREY_VALUES)
def test_grey_values(session, usual, change):
    micrographs, truth = session
    assert f1(changed(micrographs, GREY_VALUES[change]), truth) == pytest.approx(usual, abs=0.01)


@pytest.mark.parametrize("change", DIRECTIONS)
def test_direction(session, usual, change):
    micrographs, truth = session
    turn, places = DIRECTIONS[change]
    x, y = places(truth["x"], truth["y"])
    assert f1(changed(micrographs, turn), truth.assign(x=x, y=y)) == pytest.approx(usual, abs=0.01)


def test_order(session, usual):
    micrographs, truth = session
    assert f1(micrographs[::-1], truth) == pytest.approx(usual, abs=0.01)


def test_one_micrograph_twice(session, usual):
    micrographs, truth = session
    again = dataclasses.replace(micrographs[0], name="again")
    names = [micrograph.name for micrograph in micrographs]
    assert f1([*micrographs, again], truth, names) == pytest.approx(usual, abs=0.01)


def test_an_empty_micrograph(session, usual):
    micrographs, truth = session
    noise = np.random.default_rng(0).normal(micrographs[0].data.mean(), micrographs[0].data.std(), (SIDE, SIDE))
    empty = Micrograph(noise.astype(np.float32), name="empty")
    # Among all, its picks, if there are any, are false ones.
    assert f1([empty, *micrographs], truth) == pytest.approx(usual, abs=0.01)
