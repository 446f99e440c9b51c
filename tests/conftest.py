"""What several test modules share."""

import os
from pathlib import Path

import hypothesis
import pytest

# The same examples at every run of continuous integration: a change is judged by what it changes. At one's desk new
# examples are tried each time.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real micrographs and reference files beside the repository; its absence skips the test."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the real micrographs (folder `shared` beside the repository) are not here")
    return folder


@pytest.fixture(scope="session")
def ribosomes() -> list:
    """Six simulated micrographs with particles 50 pixels across, and their labels."""
    from cryokit.simulate import simulate_set

    return list(simulate_set("ribosome", 6, seed=5, shape=(448, 448)))


@pytest.fixture(scope="session")
def micrographs(ribosomes) -> list:
    """Those of `ribosomes`, for pickers that learn: four to learn from, two to pick."""
    return [micrograph for micrograph, _ in ribosomes]


@pytest.fixture(scope="session")
def labels(ribosomes):
    """Those of `ribosomes`, as one table."""
    from cryokit.coordinates import concatenate

    return concatenate(truth for _, truth in ribosomes)
