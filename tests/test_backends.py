"""The same weights give the same picks, whichever backend Keras runs on.

Every backend that is installed here takes part, each in a process of its own: Keras chooses its backend once. The
environments of ``make backends`` have TensorFlow and one other.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cryokit.networks.devices import import_keras

REPOSITORY = Path(__file__).resolve().parent.parent
INSTALLED = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name) is not None]
# name -> settings of the network, stride of the scores
NETWORKS = {
    "deepcryopicker_valid": ({"width": 0.03}, 8),
    "deepcryopicker": ({"width": 0.03}, 16),
    "compact": ({}, None),
}
CLASSES = ("particle", "background")

PICK = """
import json, sys
import numpy as np
from cryokit.networks import Model
from cryokit.imaging.peaks import find_peaks
from cryokit.networks.scoring import dense

image, *jobs = json.loads(sys.argv[1])
result = {}
for name, folder, stride in jobs:
    model = Model.load(folder)
    scored = dense(np.load(image), model, stride=stride)
    column, row, score = find_peaks(scored.particle, 3.0, model.threshold)
    x, y = scored.frame.to_source(column, row)
    result[name] = {"x": x.tolist(), "y": y.tolist(), "score": score.tolist()}
loaded = [name for name in ("tensorflow", "jax", "torch") if name in sys.modules]
sys.stdout.write("\\n" + json.dumps([result, loaded]))
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    from cryokit.simulate import simulate

    micrograph, _ = simulate("apoferritin", shape=(400, 450), seed=3)
    data = micrograph.data
    path = tmp_path_factory.mktemp("image") / "image.npy"
    np.save(path, ((data - data.mean()) / data.std()).astype(np.float32))
    return path


def steep(network, image, stride):
    """Make random weights so steep that scores differ from place to place; return the scores of particles."""
    from cryokit.networks.scoring import dense

    last = [layer for layer in network.layers if layer.weights][-1]
    for _ in range(12):
        scores = dense(image, network, stride=stride, classes=CLASSES).particle
        if scores.std() > 0.1:
            return scores
        # Centred, and three times as steep.
        odds = np.median(np.log(scores) - np.log1p(-scores))
        kernel, bias = last.get_weights()
        last.set_weights([3 * kernel, 3 * (bias - odds * np.array([0.5, -0.5], bias.dtype))])
    raise AssertionError("the scores are the same everywhere")


@pytest.fixture(scope="module")
def found(image, tmp_path_factory):
    """Picks by backend and network, and the backends that each process has loaded."""
    import_keras()
    from cryokit import networks

    jobs = []
    for name, (settings, stride) in NETWORKS.items():
        config = networks.create(name, classes=CLASSES, seed=1, **settings)
        network = config.build()
        threshold = float(np.median(steep(network, np.load(image), stride)))
        model = networks.Model(network, config, 60.0, threshold, preprocessing={"kind": "none"})
        jobs.append((name, str(model.save(tmp_path_factory.mktemp("models") / name)), stride))
    picks, loaded = {}, {}
    for backend in INSTALLED:
        done = subprocess.run(
            [sys.executable, "-c", PICK, json.dumps([str(image), *jobs])],
            cwd=REPOSITORY,
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, f"{backend}: {done.stderr}"
        picks[backend], loaded[backend] = json.loads(done.stdout.splitlines()[-1])
    return picks, loaded


@pytest.mark.skipif(len(INSTALLED) < 2, reason=f"only {', '.join(INSTALLED)} is installed; see make backends")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_picks_on_every_backend(name, found):
    first, *others = INSTALLED
    expected = found[0][first][name]
    assert len(expected["x"]) >= 5
    assert np.ptp(expected["score"]) > 0.01
    for backend in others:
        got = found[0][backend][name]
        assert len(got["x"]) == len(expected["x"]), backend
        # Scores that differ by rounding may come in another order.
        order, other = (np.lexsort((each["x"], np.round(each["y"]))) for each in (expected, got))
        for column, tolerance in (("x", 0.01), ("y", 0.01), ("score", 1e-4)):
            difference = np.array(expected[column])[order] - np.array(got[column])[other]
            assert np.abs(difference).max() < tolerance, (backend, column)


@pytest.mark.parametrize("backend", [name for name in INSTALLED if name != "tensorflow"])
def test_tensorflow_is_not_needed_with_another_backend(backend, found):
    assert backend in found[1][backend]
    assert "tensorflow" not in found[1][backend]
