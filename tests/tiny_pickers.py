"""Settings with which the network pickers are trained in seconds, to learn hardly anything; and a tiny picker."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from cryokit.coordinates import table
from cryokit.pickers import Picker

TINY = {
    "deepem": dict(box=41, boxes=16, epochs=1, rounds=1, stride=12),
    "deeppicker": dict(pretrain=False, width=0.25, boxes=16, epochs=1, stride=16),
    "eman2_cnn": dict(box=16, filters=2, rotated=20, epochs=1),
    "fastparticlepicker": dict(width=0.02, steps=2),
    "pixer": dict(width=0.02, crops=8, per_class=16, epochs=1),
}
# In `make test` DeepEM, the quickest, stands for all of them.
EACH_TINY = [name if name == "deepem" else pytest.param(name, marks=pytest.mark.slow) for name in TINY]
OBEDIENT = f"{__file__}:Obedient"


class Obedient(Picker):
    """Picks the brightest pixels, and tells a test what it does: by files in the folder `control`.

    Each micrograph is noted in ``picked-<name>`` with the process that picks it. Before it is picked, ``die-<name>``
    kills that process, once, ``always-die-<name>`` whenever it is tried, and ``wait-<name>`` makes it wait for ever.
    ``die-arriving`` kills the first process to which the picker is sent.
    """

    name = "obedient"
    max_micrographs = 2

    def __init__(self, control="", number=3, diameter=10):
        self.control, self.number, self.diameter = control, number, diameter

    def __setstate__(self, state):
        vars(self).update(state)
        if self.control:
            _die_once(Path(self.control) / "die-arriving")

    def fit(self, micrographs, labels=None):
        self.mean_ = float(np.mean([micrograph.data.mean() for micrograph in micrographs]))
        if self.control:
            (Path(self.control) / "fitted").write_text("")
        return self

    def pick(self, micrograph, *, threshold=None):
        if self.control:
            self._obey(Path(self.control), micrograph.name.replace("/", "_"))
        best = np.argsort(micrograph.data, axis=None)[-self.number :]
        y, x = np.unravel_index(best, micrograph.data.shape)
        score = 1 / (1 + np.exp(self.mean_ - micrograph.data[y, x].astype(float)))
        return table(micrograph.name, x, y, score, 10)

    def _obey(self, control, name):
        with open(control / f"picked-{name}", "a") as file:
            file.write(f"{os.getpid()}\n")
        _die_once(control / f"die-{name}")
        if (control / f"always-die-{name}").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while (control / f"wait-{name}").exists():
            time.sleep(0.01)


def _die_once(order):
    if order.exists():
        order.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
