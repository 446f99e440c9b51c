"""The process that runs another program: ``python -m cryokit.pickers.external.program_process FOLDER WORD...``.

The program knows nothing of cryokit, so this process watches in its place whether its starter lives
(`cryokit._util.lifeline`). When the starter has ended, by whatever signal, it ends the program with all that this has
started, and removes the folder, which holds copies of micrographs.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

from cryokit._util.lifeline import follow_input

NOT_RUN = 126  # exit status that shells have for this


def main() -> int:
    """Run the program that the command line names in its folder, and return its exit status as a shell does."""
    folder, *words = sys.argv[1:]
    # The program has its own Python with its own packages.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        program = subprocess.Popen(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"cannot be run ({error.strerror}); is it the program's executable?\n")
        return NOT_RUN

    ending = threading.Event()

    def end() -> None:
        ending.set()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(program.pid, signal.SIGKILL)
            else:
                program.kill()
        shutil.rmtree(folder, ignore_errors=True)

    follow_input(end)
    status = program.wait()
    if ending.is_set():
        threading.Event().wait()  # for the other thread, which ends this process when the folder is gone
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main())
