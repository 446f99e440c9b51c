"""Dask clusters: connecting to one, and telling what became of a task."""

import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from cryokit.errors import ArgumentError, CryokitError

if TYPE_CHECKING:
    from distributed import Client, WorkerPlugin

_WAIT = 30  # seconds for the scheduler to answer
_TRIES = 5  # times that a plugin is sent


def connected(address: str) -> "Client":
    """Return a client of a Dask scheduler.

    Parameters
    ----------
    address : str
        Address such as ``tcp://node1:8786``, or the path of a scheduler's file (``scheduler.json``).

    Raises
    ------
    CryokitError
        If Dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise CryokitError("--dask needs the package distributed: pip install 'cryokit[cluster]'") from None
    try:
        if address.endswith(".json"):
            return Client(scheduler_file=address, timeout=_WAIT)
        return Client(address, timeout=_WAIT)
    except ValueError as error:
        raise ArgumentError(f"--dask {address}: is no address ({error}); give one such as tcp://node1:8786") from None
    except OSError as error:
        raise CryokitError(
            f"--dask {address}: no scheduler answers ({type(error).__name__}); start one (dask scheduler) and workers "
            f"(dask worker {address}), or correct the address"
        ) from None


def send(client: "Client", plugin: "WorkerPlugin") -> None:
    """Send a plugin to all workers, and to those that join later.

    If a worker ends meanwhile, Dask does not tell which of the others have got it, so all get it again.
    """
    for left in reversed(range(_TRIES)):
        try:
            client.register_plugin(plugin)
            return
        except OSError:
            if not left:
                raise
            time.sleep(1)


def lost(error: Exception) -> str | None:
    """Return why a task that did not end has none of our results; None if the error is the task's own."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "its workers were killed, several times (out of memory?)"
    if isinstance(error, CancelledError):
        return "the cluster has given it up; run the command again"
    return None
