"""What can be wrong with a benchmark."""

from cryokit.errors import CryokitError


class BenchmarkError(CryokitError):
    """A benchmark cannot be run or read as asked."""
