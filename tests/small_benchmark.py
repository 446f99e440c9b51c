"""A benchmark of seconds: one method on five small simulated micrographs. `small_run` in conftest.py has run it."""

from cryokit.benchmark import configuration

SIMULATED = {"protein": "apoferritin", "train": 2, "validation": 1, "test": 2, "seed": 9, "shape": [512, 512]}


def benchmark(**changes):
    content = {"name": "small", "methods": ["template"], "datasets": [{"name": "sim", "simulate": SIMULATED}]}
    return configuration.parse({**content, **changes})
