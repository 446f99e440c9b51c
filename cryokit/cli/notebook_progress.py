"""The progress bar of a running notebook: its name, how many of its cells are done, and the time since its start."""

import shutil
import threading
from typing import Any

from papermill.engines import NBClientEngine, papermill_engines

ENGINE = "cryokit"  # name under which papermill knows `TickingEngine`


def bar(name: str) -> dict[str, Any]:
    """Return the settings of the bar of a notebook, for tqdm; there is no bar where standard error is not a terminal.

    Parameters
    ----------
    name : str
        Name of the notebook.
    """
    size = shutil.get_terminal_size()
    return {
        "desc": name,
        "bar_format": "{desc}: {n_fmt} of {total_fmt} cells |{bar:20}| {elapsed}",
        # Told, because tqdm shows nothing on a terminal that does not know its own size.
        "ncols": size.columns,
        "nrows": size.lines,
        "disable": None,
        "leave": False,
    }


class TickingEngine(NBClientEngine):
    """Papermill's engine with a clock that goes on while a long cell runs."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Execute the notebook, and draw its bar anew every second."""
        done = threading.Event()
        shown = nb_man.pbar

        def tick():
            while not done.wait(1):
                shown.refresh()

        ticking = threading.Thread(target=tick, daemon=True)
        if shown is not None:
            ticking.start()
        try:
            return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)
        finally:
            done.set()
            if shown is not None:
                ticking.join()


papermill_engines.register(ENGINE, TickingEngine)
