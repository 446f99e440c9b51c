"""What the tests of interrupted runs share: tiny micrographs, commands in processes, and waiting for events."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from tiny_pickers import OBEDIENT

from cryokit.cli import main
from cryokit.micrograph import write_mrc

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE = 120  # seconds after which what a test waits for will not happen any more


class Session:
    """A folder of tiny micrographs, `m0.mrc` and so on, and a folder to control the picker with."""

    def __init__(self, folder, number=4):
        self.folder, self.control, self.out = folder / "session", folder / "control", folder / "out"
        self.control.mkdir()
        for index in range(number):
            self.add(index)

    def add(self, index, seed=None):
        data = np.random.default_rng(index if seed is None else seed).normal(size=(48, 64)).astype(np.float32)
        write_mrc(self.folder / f"m{index}.mrc", data)

    def words(self, *more, out=None):
        out = self.out if out is None else out
        picker = ["--method", OBEDIENT, "--set", f"control={self.control}"]
        return [str(word) for word in ("pick", self.folder, "--out", out, *picker, *more)]

    def pick(self, *more, out=None):
        """Run the command in this process."""
        return main(self.words(*more, out=out))

    def start(self, *more, out=None):
        """Run the command in a process of its own, in a group of its own."""
        return start(*self.words(*more, out=out))

    def tell(self, order, name):
        (self.control / f"{order}-{name}").write_text("")

    def untell(self, order, name):
        (self.control / f"{order}-{name}").unlink()

    def picked(self):
        """The micrographs that were picked since the last call, with the number of times."""
        notes = sorted(self.control.glob("picked-*"))
        counts = {note.name.removeprefix("picked-"): len(note.read_text().split()) for note in notes}
        for note in notes:
            note.unlink()
        return counts

    def process_at(self, name):
        """Wait until a micrograph is being picked, and return the process that does it."""
        note = self.control / f"picked-{name}"
        until(lambda: note.exists() and note.read_text().endswith("\n"))
        return int(note.read_text().split()[-1])


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "cryokit", *map(str, words)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_heeding_signals,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def _heeding_signals():
    """Undo what `nohup` has done, and what shells do to commands in the background, as which the tests may run."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def until(condition):
    """Wait for something that happens in another process."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what the test waits for has not happened"
        time.sleep(0.02)


def gone(process):
    """Tell whether a process has ended; one that waits to be reaped has."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def results(out):
    """The contents of all files of a run but its record, without the name of the folder."""
    files = [path for path in sorted(Path(out).rglob("*")) if path.is_file()]
    return {
        path.relative_to(out).as_posix(): path.read_bytes().replace(str(out).encode(), b"OUT")
        for path in files
        if path.relative_to(out).parts[0] != "record"
    }


def leftovers(folder):
    return [path for path in Path(folder).rglob(".*")]
