"""Pick on several machines, kill some of their processes, and compare with a run that nobody disturbed.

    python benchmarks/machines.py [--only shards|dask|benchmark|slurm] [--repeats N] [--out FILE]

``shards``: the processes of ``cryokit pick --shard`` are killed and run again, then comes ``--merge``. ``dask`` and
``benchmark``: workers of a Dask cluster of processes are killed while ``--dask`` goes on. ``slurm``: the script of
``--print-sbatch`` is submitted to a SLURM cluster of one node, tasks of its array are killed, and it is submitted
again; this needs SLURM and munge, as root (``apt install slurm-wlm munge``). What is compared is what `kills` compares.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kills
import many_micrographs
import yaml

from cryokit._util.files import write_text
from cryokit._util.plain import json_text
from cryokit.benchmark import result_file
from cryokit.cli import main as cryokit

HERE = Path(__file__).resolve().parent
SHARDS, WORKERS, TASKS = 4, 3, 3
MOST = 3  # workers or tasks that are killed in one run; Dask gives up what has lost four workers
MICROGRAPHS, SIDE = 24, 320
REPEATS = {"shards": 20, "dask": 20, "benchmark": 20, "slurm": 3}
LISTS = {"picks.csv", "micrographs.csv", "autopick.star"}  # the last job makes them of what there is
SCRIPT = "script of pick --print-sbatch, on SLURM"
_CLUSTER = """\
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    local = dict(threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0)
    with LocalCluster(n_workers=int(sys.argv[1]), **local) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@dataclass
class Found:
    """What a run has come to whose processes were killed.

    Attributes
    ----------
    killed : int
        Processes that were killed before their end.
    seconds : float
        Time from the start of the work to its end.
    partial : set of str
        Files that were there under their final names with another content than at the end of an undisturbed run.
    left_before, left_after : int
        Hidden files and folders after the run, and after the next one.
    processes_left : int
        Processes that did not end with those that had started them.
    same : bool
        Whether all commands ended well and the result is the one of an undisturbed run.
    """

    killed: int = 0
    seconds: float = 0.0
    partial: set[str] = field(default_factory=set)
    left_before: int = 0
    left_after: int = 0
    processes_left: int = 0
    same: bool = False

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.same and not (self.partial or self.left_after or self.processes_left)


@dataclass(frozen=True)
class Part:
    """A way to use many machines.

    Attributes
    ----------
    name : str
        Command, for the table.
    processes : int
        Number of shards, workers or tasks.
    once : callable
        Runs it in a new folder, and kills processes at moments: seconds from the start of the work.
    """

    name: str
    processes: int
    once: Callable[[Path, dict[str, Any], Sequence[float], random.Random], Found]


def moments(draw: random.Random, seconds: float, most: int) -> list[float]:
    """Return when to kill, from one to `most` times: evenly from a bit more than the duration of the work."""
    return sorted(draw.uniform(0, 1.05 * seconds) for _ in range(draw.randint(1, most)))


def different(there: dict[str, Any], expected: dict[str, Any]) -> set[str]:
    """Return the files that are there, but are not those of an undisturbed run."""
    return {name for name, data in there.items() if name not in expected or data != expected[name]}


def table_row(part: Part, seconds: float, found: Sequence[Found]) -> dict[str, Any]:
    """Sum up the runs of a part."""
    return {
        "command": part.name,
        "processes": part.processes,
        "runs": len(found),
        "seconds undisturbed": round(seconds, 1),
        "processes killed": sum(one.killed for one in found),
        "partial files": sum(len(one.partial) for one in found),
        "processes left": sum(one.processes_left for one in found),
        "leftovers after the run": sum(one.left_before for one in found),
        "after the next run": sum(one.left_after for one in found),
        "results as undisturbed": sum(one.same for one in found),
    }


def log(out: Path) -> Path:
    """Return the file for what the commands of a run say."""
    return out.parent / f"{out.name}.log"


def run(token: str, out: Path, *words: Any) -> int:
    """Start a command in a copy of this process, and return its number."""
    return kills.started(kills.Command("", lambda _: words, kills.files), out, token, log(out))


def ended(*processes: int) -> list[int]:
    """Wait for processes, and return their exit codes."""
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


def survivors(token: str) -> list[int]:
    """Return, after a while, the processes of a run that are still there, and end them."""
    end = time.monotonic() + kills.PATIENCE
    while (left := kills.others(token)) and time.monotonic() < end:
        time.sleep(0.05)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return left


def doing(token: str, word: str) -> list[int]:
    """Return the processes of a run that have a word among those of their command."""
    found = []
    for process in kills.others(token):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            if any(word.encode() in each for each in words) and b"python" in os.path.basename(words[0]):
                found.append(process)
    return found


def pick_with_shards(
    pick: Sequence[Any], out: Path, expected: dict[str, Any], when: Sequence[float], draw: random.Random
) -> Found:
    """Fit, start all shards, kill some of them, run those again, and make the lists."""
    token, found = uuid.uuid4().hex, Found()
    words = (*pick, "--out", out)
    codes = ended(run(token, out, *words, "--fit-only"))
    began = time.monotonic()
    shards = {number: run(token, out, *words, "--shard", f"{number}/{SHARDS}") for number in range(1, SHARDS + 1)}
    for moment, number in zip(when, draw.sample(sorted(shards), len(when)), strict=True):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        os.kill(shards[number], signal.SIGKILL)  # one that has ended is there until it is waited for
    of_shards = dict(zip(shards, ended(*shards.values()), strict=True))
    found.seconds = time.monotonic() - began
    found.processes_left = len(survivors(token))
    again = [number for number, code in of_shards.items() if code == -signal.SIGKILL]
    codes += [code for number, code in of_shards.items() if number not in again]
    found.killed = len(again)
    found.partial, found.left_before = different(kills.files(out), expected), len(kills.leftovers(out))
    codes += ended(*(run(token, out, *words, "--shard", f"{number}/{SHARDS}") for number in again))
    codes += ended(run(token, out, "pick", "--merge", out))
    found.left_after = len(kills.leftovers(out))
    found.same = not any(codes) and kills.files(out) == expected
    return found


@contextlib.contextmanager
def dask_cluster(token: str) -> Iterator[str]:
    """Start a cluster in processes of its own, whose workers carry the mark of a run, and yield its address."""
    cluster = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER, str(WORKERS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, kills.MARK: token, "PYTHONPATH": str(HERE.parent)},
    )
    try:
        address = cluster.stdout.readline().strip()
        if not address:
            raise RuntimeError("the Dask cluster does not start: pip install 'cryokit[cluster]'")
        yield address
    finally:
        cluster.stdin.close()
        try:
            cluster.wait(kills.PATIENCE)
        except subprocess.TimeoutExpired:
            cluster.kill()
            cluster.wait()


def on_dask(
    command: kills.Command, out: Path, expected: dict[str, Any], when: Sequence[float], draw: random.Random
) -> Found:
    """Run a command on a cluster and kill workers meanwhile; then run it once more, without a cluster."""
    token, found = uuid.uuid4().hex, Found()
    words = command.words(out)
    with dask_cluster(token) as address:
        began = time.monotonic()
        process = run(token, out, *words, "--dask", address)
        for moment in when:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            workers = doing(token, "spawn_main")
            if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None or not workers:
                continue
            os.kill(draw.choice(workers), signal.SIGKILL)
            found.killed += 1
            found.partial |= different(command.content(out), expected)
        codes = ended(process)
        found.seconds = time.monotonic() - began
        found.same = not any(codes) and command.content(out) == expected
    found.processes_left = len(survivors(token))
    found.left_before = len(kills.leftovers(out))
    codes = ended(run(token, out, *words))
    found.left_after = len(kills.leftovers(out))
    found.same = found.same and not any(codes) and command.content(out) == expected
    return found


def job_script(words: Sequence[Any]) -> str:
    """Return what a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = cryokit([str(word) for word in words])
    if code:
        raise RuntimeError(f"cryokit {' '.join(map(str, words))}: ended with {code}")
    return said.getvalue()


def submitted(script: Path, environment: dict[str, str]) -> None:
    """Submit the jobs of a script."""
    words = ["bash", str(script), f"--output={script.parent / 'job-%A-%a.log'}"]
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, **environment})


def jobs_done(environment: dict[str, str], token: str, when: Sequence[float], draw: random.Random) -> tuple[int, float]:
    """Wait for all jobs, killing tasks at moments counted from the first; return their number and the seconds."""
    left, killed, began, last = list(when), 0, None, time.monotonic()
    end = last + 10 * kills.PATIENCE
    while subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True, check=True).stdout.strip():
        tasks = doing(token, "--shard")
        now = time.monotonic()
        if now > end:
            raise RuntimeError("the jobs do not end")
        if tasks:
            began, last = began or now, now
        # A moment at which no task is running waits for the next one.
        if tasks and left and now > began + left[0]:
            left.pop(0)
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(tasks), signal.SIGKILL)
                killed += 1
        time.sleep(0.3)
    return killed, last - (began or last)


def on_slurm(
    pick: Sequence[Any],
    variables: dict[str, str],
    out: Path,
    expected: dict[str, Any],
    when: Sequence[float],
    draw: random.Random,
) -> Found:
    """Submit the script, kill tasks of the array, and submit it again."""
    token, found = uuid.uuid4().hex, Found()
    environment = {**os.environ, **variables, kills.MARK: token, "PYTHONPATH": str(HERE.parent)}
    script = out.parent / f"{out.name}-script" / "pick.sh"
    write_text(script, job_script((*pick, "--out", out, "--print-sbatch", "--shards", TASKS)))
    submitted(script, environment)
    found.killed, found.seconds = jobs_done(environment, token, when, draw)
    found.processes_left = len(survivors(token))
    found.partial = different(kills.files(out), expected) - LISTS
    found.left_before = len(kills.leftovers(out))
    if when:
        submitted(script, environment)
        jobs_done(environment, token, (), draw)
    found.left_after = len(kills.leftovers(out))
    found.same = kills.files(out) == expected
    return found


def slurm_lacks() -> str:
    """Return why there can be no SLURM cluster here; empty if there can."""
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch", "squeue") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (apt install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "its daemons need root"


def measured(part: Part, command: kills.Command, folder: Path, repeats: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the row of a part after each of its runs.

    Parameters
    ----------
    part : Part
    command : kills.Command
        What one process does in its place.
    folder : pathlib.Path
        Folder for what is written.
    repeats : int
        Number of runs.
    seed : int
        Random seed.
    """
    draw = random.Random(f"{part.name} {seed}")
    kills.in_this_process(command, folder / "first")
    expected, _ = kills.undisturbed(command, folder / "expected")
    calm = part.once(folder / "calm", expected, (), draw)
    if not calm.well:
        raise RuntimeError(f"{part.name}: {calm} without any kill")
    found = []
    for index in range(repeats):
        out = folder / f"{index:03d}"
        when = moments(draw, calm.seconds, min(MOST, part.processes))
        found.append(part.once(out, expected, when, draw))
        if not found[-1].well:
            said = log(out).read_text(errors="replace")[-4000:] if log(out).exists() else ""
            logging.warning("%s, run %d, killed at %s: %s\n%s", part.name, index, when, found[-1], said)
        else:
            shutil.rmtree(out)
        yield table_row(part, calm.seconds, found)


def measure(names: Sequence[str], repeats: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the row of each part, anew after each run."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cryokit-machines-")))
        many_micrographs.make(folder / "micrographs", MICROGRAPHS, SIDE)
        options = ("--method", "template", "--diameter", many_micrographs.DIAMETER, "--overlays")
        pick = ("pick", folder / "micrographs", *options)
        alone = kills.Command("pick", lambda out: (*pick, "--out", out), kills.files)
        data = {"protein": "apoferritin", "train": 1, "validation": 1, "test": 2, "shape": [512, 512]}
        sets = [{"name": f"sim{seed}", "simulate": {**data, "seed": seed}} for seed in (9, 10, 11)]
        configuration = {"name": "tiny", "methods": ["template"], "datasets": sets}
        write_text(folder / "tiny.yaml", yaml.safe_dump(configuration))
        cells = ("benchmark", "--config", folder / "tiny.yaml")
        benchmark = kills.Command("benchmark", lambda out: (*cells, "--out", out), kills.scores)

        def with_shards(out: Path, *more: Any) -> Found:
            return pick_with_shards(pick, out, *more)

        def with_dask(out: Path, *more: Any) -> Found:
            return on_dask(alone, out, *more)

        def cells_on_dask(out: Path, *more: Any) -> Found:
            return on_dask(benchmark, out, *more)

        def with_slurm(out: Path, *more: Any) -> Found:
            return on_slurm(pick, variables, out, *more)

        parts = {
            "shards": (Part("pick --shard, pick --merge", SHARDS, with_shards), alone),
            "dask": (Part("pick --dask", WORKERS, with_dask), alone),
            "benchmark": (Part("benchmark --dask", WORKERS, cells_on_dask), benchmark),
            "slurm": (Part(SCRIPT, TASKS, with_slurm), alone),
        }
        for name in names:
            if name == "slurm":
                sys.path.append(str(HERE.parent / "tests"))
                from slurm_node import node

                daemons = folder / "daemons"
                daemons.mkdir()
                variables = stack.enter_context(node(daemons))
            place = folder / name
            place.mkdir()
            yield from measured(*parts[name], place, repeats or REPEATS[name], seed)


def section(table: Sequence[dict[str, Any]], lacking: str) -> dict[str, Any]:
    """Return the section of ``RELIABILITY.md``.

    Parameters
    ----------
    table : sequence of dict
        Rows of the parts.
    lacking : str
        What SLURM lacks here, which is only told if it has no row.
    """
    without = not any(row["command"] == SCRIPT for row in table)
    return {
        "order": 1,
        "title": "Many machines",
        "command": "python benchmarks/machines.py --repeats N --only shards|dask|benchmark|slurm",
        "note": f"In each run, one to {MOST} processes were killed (SIGKILL) at moments drawn evenly from the whole "
        "duration of the work: shards, which were then started again before `--merge`; workers of a Dask cluster of "
        "processes, whose work the cluster did again by itself; tasks of a SLURM job array, after which the script "
        f"was submitted once more. What came of {MICROGRAPHS} micrographs of {SIDE} x {SIDE} pixels (coordinate files, "
        "pictures and lists), or of a benchmark of three cells (micrographs, picks and scores), is compared, byte for "
        "byte, with what one undisturbed process makes.",
        "provenance": result_file.provenance(),
        "table": list(table),
        "remarks": [f"The {SCRIPT} was not measured: {lacking or 'add it by --only slurm'}."] if without else [],
    }


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=REPEATS, help="what to measure; the others keep their rows")
    parser.add_argument("--repeats", type=int, metavar="N", help="number of runs (default: 20, with SLURM 3)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the moments")
    parser.add_argument("--out", type=Path, default=HERE / "reliability" / "machines.json")
    options = parser.parse_args()
    names = [options.only] if options.only else list(REPEATS)
    if lacking := slurm_lacks():
        names = [name for name in names if name != "slurm"]
    rows = {}
    for row in measure(names, options.repeats, options.seed):
        print(row, flush=True)
        rows[row["command"]] = row
        # After each run: what was measured is kept.
        table = kills.with_others(list(rows.values()), options.out) if options.only else list(rows.values())
        write_text(options.out, json_text(section(table, lacking)))


if __name__ == "__main__":
    main()
