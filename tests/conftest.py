"""What several test modules share."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real micrographs and reference files beside the repository; its absence skips the test."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the real micrographs (folder `shared` beside the repository) are not here")
    return folder
