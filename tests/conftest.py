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
