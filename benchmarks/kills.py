"""Kill commands at random moments, run them again, and compare with a run that nobody disturbed.

    python benchmarks/kills.py [--kills 50] [--only NAME] [--out benchmarks/reliability/kills.json]

After each SIGKILL, every file that is there under its final name has to be that of the undisturbed run, and no process
may stay; after the same command again, everything has to be the same, and nothing hidden left.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cryokit._util.files import write_text
from cryokit._util.plain import json_text
from cryokit.benchmark import result_file
from cryokit.cli import main as cryokit
from cryokit.micrograph import write_mrc
from cryokit.simulate import simulate_set

HERE = Path(__file__).resolve().parent
MARK = "CRYOKIT_KILLS"  # environment variable by which the processes of a run are known
PATIENCE = 120.0  # seconds in which processes have to be gone


@dataclass(frozen=True)
class Command:
    """A command to kill.

    Attributes
    ----------
    name : str
    words : callable
        Words of the command, from the folder for its output.
    content : callable
        What the output comes to, by file, from that folder.
    environment : callable
        Variables for the command, from that folder.
    """

    name: str
    words: Callable[[Path], Sequence[Any]]
    content: Callable[[Path], dict[str, Any]]
    environment: Callable[[Path], dict[str, str]] = lambda out: {}


def files(out: Path) -> dict[str, Any]:
    """Return the contents of all files under their final names, but those that say how a run went."""
    found = {}
    for path in sorted(out.rglob("*")):
        parts = path.relative_to(out).parts
        if path.is_file() and parts[0] not in ("record", "lock") and not any(part.startswith(".") for part in parts):
            found["/".join(parts)] = path.read_bytes().replace(os.fsencode(out), b"OUT")
    return found


def model(out: Path) -> dict[str, Any]:
    """Return the content of a saved model."""
    if not (out / "model.npz").exists():
        return {}
    with np.load(out / "model.npz", allow_pickle=False) as archive:
        return {"model.npz": {name: archive[name].tolist() for name in archive.files}}


def scores(out: Path) -> dict[str, Any]:
    """Return the simulated micrographs and picks of a benchmark, and the scores of its cells."""
    kept = {name: data for name, data in files(out).items() if name.startswith(("data/", "picks/"))}
    for path in [*out.glob("cells/*/*/*.json"), *out.glob("result.json")]:
        if path.name.endswith(".job.json"):
            continue
        content = json.loads(path.read_text())  # whole, or this fails
        cells = content.get("cells", [content])
        kept[path.relative_to(out).as_posix()] = [cell.get("scores") for cell in cells]
    return kept


def downloaded(out: Path) -> dict[str, Any]:
    """Return the files of a dataset in the cache; what is downloaded has another name until it is whole."""
    return {name: data for name, data in files(out).items() if name.endswith(".mrc")}


def commands(folder: Path, address: str) -> list[Command]:
    """Return the commands, which share a few small micrographs."""
    images = folder / "micrographs"
    entries = []
    for micrograph, _ in simulate_set("apoferritin", 6, shape=(320, 320), seed=3):
        path = images / f"{micrograph.name}.mrc"
        write_mrc(path, micrograph.data, pixel_size=1.6)
        entries.append(
            {
                "path": f"micrographs/{path.name}",
                "role": "micrograph",
                "split": "train",
                "urls": [f"{address}/{path.name}"],
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        )
    manifest = {"schema": 1, "name": "small", "title": "Small", "citation": [], "licence": "unknown"}
    manifest |= {"pixel_size": None, "diameter": {"pixels": None, "angstrom": None}, "views": [], "verified": True}
    (folder / "small.yaml").write_text(yaml.safe_dump({**manifest, "files": entries}, sort_keys=False))
    data = {"protein": "apoferritin", "train": 1, "validation": 1, "test": 1, "seed": 9, "shape": [512, 512]}
    configuration = {"name": "tiny", "methods": ["template"], "datasets": [{"name": "sim", "simulate": data}]}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(configuration))
    template = ("--method", "template", "--diameter", 76)
    pick = ("pick", images, *template, "--overlays")
    return [
        Command("pick, 1 process", lambda out: (*pick, "--out", out), files),
        Command("pick, 2 processes", lambda out: (*pick, "--jobs", 2, "--out", out), files),
        Command("train", lambda out: ("train", images, *template, "--out", out / "model.npz"), model),
        Command("benchmark", lambda out: ("benchmark", "--config", folder / "tiny.yaml", "--out", out), scores),
        Command(
            "data fetch",
            lambda out: ("data", "fetch", folder / "small.yaml"),
            downloaded,
            lambda out: {"CRYOKIT_DATA": str(out)},
        ),
    ]


def started(command: Command, out: Path, token: str, log: str | os.PathLike = os.devnull) -> int:
    """Run a command in a copy of this process, which has imported everything, and return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        os.environ.update({MARK: token, **command.environment(out)})
        with open(log, "a") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        code = cryokit([str(word) for word in command.words(out)])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def others(token: str) -> list[int]:
    """Return the processes that a run has started, which carry its mark."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={token}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


def in_this_process(command: Command, out: Path) -> None:
    """Run a command here, so that its copies find everything imported."""
    out.mkdir()
    variables = command.environment(out)
    os.environ.update(variables)
    cryokit([str(word) for word in command.words(out)])
    for name in variables:
        del os.environ[name]


def leftovers(out: Path) -> list[str]:
    """Return what has no final name: hidden files and folders, and what downloads go to."""
    return [str(path.relative_to(out)) for path in out.rglob("*") if path.name.startswith((".", "tmp"))]


def undisturbed(command: Command, out: Path) -> tuple[dict[str, Any], float]:
    """Run a command to its end; return what it comes to, and its seconds."""
    out.mkdir()
    began = time.monotonic()
    _, status = os.waitpid(started(command, out, uuid.uuid4().hex), 0)
    if status:
        raise RuntimeError(f"{command.name}: ended with {os.waitstatus_to_exitcode(status)}")
    return command.content(out), time.monotonic() - began


def kill_once(command: Command, out: Path, expected: dict[str, Any], delay: float) -> dict[str, Any]:
    """Kill a command after some seconds, run it again, and return what was found."""
    out.mkdir()
    token = uuid.uuid4().hex
    child = started(command, out, token)
    time.sleep(delay)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    began = time.monotonic()
    while (left := others(token)) and time.monotonic() < began + PATIENCE:
        time.sleep(0.02)
    for process in left:
        os.kill(process, signal.SIGKILL)
    seconds = time.monotonic() - began
    there = command.content(out)
    partial = [name for name, data in there.items() if data != expected.get(name, data)]
    hidden = len(leftovers(out))
    _, again = os.waitpid(started(command, out, token), 0)
    after = command.content(out)
    found = {
        "killed": os.WIFSIGNALED(status),
        "seconds_to_end": seconds,
        "processes_left": len(left),
        "partial_files": partial,
        "hidden_before": hidden,
        "hidden_after": leftovers(out),
        "ended_well": again == 0,
        "same": after == expected,
    }
    shutil.rmtree(out)
    return found


def table_row(name: str, seconds: float, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the kills of a command."""
    return {
        "command": name,
        "seconds undisturbed": round(seconds, 2),
        "kills": len(found),
        "killed before its end": sum(one["killed"] for one in found),
        "partial files": sum(len(one["partial_files"]) for one in found),
        "processes left": sum(one["processes_left"] for one in found),
        "longest until all were gone (s)": round(max(one["seconds_to_end"] for one in found), 2),
        "leftovers after the kill": sum(one["hidden_before"] for one in found),
        "after the next run": sum(len(one["hidden_after"]) for one in found),
        "results as undisturbed": sum(one["same"] and one["ended_well"] for one in found),
    }


def with_others(rows: Sequence[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    """Return rows with those of other commands in a file of measurements, in the order of the file."""
    known = json.loads(file.read_text(encoding="utf-8"))["table"] if file.is_file() else []
    return list({row["command"]: row for row in (*known, *rows)}.values())


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder to this machine, and yield the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def measure(kills: int, seed: int = 0, only: str = "") -> Iterator[dict[str, Any]]:
    """Yield a row for each command."""
    draw = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="cryokit-kills-"))
    try:
        with served(folder / "micrographs") as address:
            for command in commands(folder, address):
                if only not in command.name:
                    continue
                in_this_process(command, folder / "first")
                expected, seconds = undisturbed(command, folder / "expected")
                found = []
                for index in range(kills):
                    delay = draw.uniform(0, 1.05 * seconds)
                    found.append(kill_once(command, folder / f"{index:03d}", expected, delay))
                    if not found[-1]["same"] or found[-1]["partial_files"] or found[-1]["hidden_after"]:
                        logging.warning("%s, killed after %.2f s: %s", command.name, delay, found[-1])
                for name in ("first", "expected"):
                    shutil.rmtree(folder / name)
                yield table_row(command.name, seconds, found)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", default="", help="part of the name of the commands to kill; others keep their rows")
    parser.add_argument("--out", type=Path, default=HERE / "reliability" / "kills.json")
    options = parser.parse_args()
    rows = []
    for row in measure(options.kills, only=options.only):
        rows.append(row)
        print(row, flush=True)
    if options.only:
        rows = with_others(rows, options.out)
    content = {
        "order": 1,
        "title": "Killed at random moments",
        "command": "python benchmarks/kills.py --kills N --only COMMAND",
        "note": "Each command was killed (SIGKILL) at moments drawn evenly from its whole duration, and run again. A "
        "file counts as partial if it has its final name, but not the content that it has in an undisturbed run.",
        "provenance": result_file.provenance(),
        "table": rows,
    }
    write_text(options.out, json_text(content))


if __name__ == "__main__":
    main()
