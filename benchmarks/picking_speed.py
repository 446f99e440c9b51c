"""Measure how fast networks score and the default method picks and learns: time, memory and arithmetic.

    python benchmarks/picking_speed.py --out picking_speed.json [--repeats 5] [--cores 2]
    python benchmarks/picking_speed.py --out networks.json --skip-picking --skip-training [--complete]

*Networks* score one simulated micrograph of KLH (2048 x 2048, particles of 170 pixels): the network of DeepCryoPicker's
table 9 and its variant without padding, window by window (`sliding`) and at once (`dense`), at a stride of 16 pixels
and with the same weights; `dense` at the networks' own stride of 32; and the compact network, after binning to
particles of 28 pixels. Each repetition measures all of them in turn, and a ratio is the median of the repetitions'
ratios, so that a busy machine slows both of its sides. Scoring all windows one by one takes minutes: a square block of
them is timed and scaled to the exact number of windows (``--complete`` times them all). The arithmetic is that of every
batch that went through a network, counted by `cryokit.networks.describe`: a multiply-add is two operations; bytes are
the float32 outputs of all layers and the weights.

*Picking* reads an MRC file of 4096 x 4096, picks it with `auto` and writes a STAR file, for three particle diameters,
in a process bound to two cores. Seconds are medians after a first run, in which the backend compiles. Clocks around the
functions of the stages divide them; a stage within a stage is not counted twice. Memory is the peak resident memory of
``cryokit pick --model`` in a process of its own, Python and libraries included (the kernel's high-water mark).

*Training* fits `auto` to 12 simulated micrographs of apoferritin, 1240 x 1200, without labels or settings; F1 is that
on four others.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from component1 import apart, load, show, show_aims

from cryokit._util.cores import usable_cores
from cryokit._util.files import make_folder, write_text
from cryokit.micrograph import read, write_mrc
from cryokit.plot.html_report import provenance
from cryokit.simulate import simulate, simulate_set

CLASSES = ("particle", "background")
WINDOW_NETWORKS = ("deepcryopicker", "deepcryopicker_valid")
DIAMETER, WORKING = 170.0, 28.0  # KLH in pixels of the micrograph, and any particle in pixels of the compact network
BETAGAL = 191.0  # Angstrom across
PARTICLES = 400  # number in the micrograph to pick
TIMES_DENSE, TIMES_COMPACT = 12.0, 1000.0
PICKING_SECONDS, PICKING_MEGABYTES, TRAINING_SECONDS = 1.0, 800.0, 240.0

# Where the functions of each stage are looked up when they are called.
PICKING = {
    "reading": [("cryokit.pickers.file_tasks", "read_named")],
    "recorded area": [("cryokit.pickers.auto", "recorded")],
    "binning": [("cryokit.imaging.preparation", "resize")],
    "levelling": [("cryokit.imaging.preparation", "flatten")],
    "whitening": [("cryokit.imaging.preparation", "whiten")],
    "network": [("cryokit.pickers.compact_picking", "score_map")],
    "peaks": [("cryokit.pickers.compact_picking", "candidates")],
    "writing": [("cryokit.coordinates", "write"), ("cryokit.coordinates", "write_list")],
}
TRAINING = {
    "template picker": [("cryokit.pickers.template:TemplatePicker", name) for name in ("fit", "pick")],
    "component 1": [
        *(("cryokit.pickers.autocryopicker:AutoCryoPicker", name) for name in ("fit", "pick")),
        *(("cryokit.pickers.supercryoempicker:SuperCryoEMPicker", name) for name in ("fit", "pick")),
    ],
    "preparing": [("cryokit.pickers.auto", name) for name in ("recorded", "whitened")],
    "training the network": [("cryokit.pickers.compact_picking", "teach")],
    "picking with the network": [("cryokit.pickers.compact_picking", name) for name in ("score_map", "candidates")],
}
_COMMAND = """
import sys
from cryokit.cli import main
status = main(sys.argv[1:])
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")))
sys.exit(status)
"""


class Stages:
    """Context manager that puts clocks around functions; the time of an inner stage does not count for the outer one.

    Parameters
    ----------
    places : dict
        Modules (or ``module:class``) and names of functions by stage.
    """

    def __init__(self, places: dict[str, list[tuple[str, str]]]) -> None:
        self.places = places
        self.seconds = dict.fromkeys(places, 0.0)
        self._threads = threading.local()

    def __enter__(self) -> Stages:
        self._stack = contextlib.ExitStack()
        for stage, places in self.places.items():
            for place, name in places:
                module, _, cls = place.partition(":")
                owner = importlib.import_module(module)
                owner = getattr(owner, cls) if cls else owner
                original = getattr(owner, name)
                setattr(owner, name, self._timed(stage, original))
                self._stack.callback(setattr, owner, name, original)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _timed(self, stage: str, function: Callable) -> Callable:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            if not hasattr(self._threads, "inner"):
                self._threads.inner = []
            inner: list[float] = self._threads.inner
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                took = time.perf_counter() - start
                self.seconds[stage] += took - inner.pop()
                if inner:
                    inner[-1] += took

        return timed


class Arithmetic:
    """Context manager that counts the batches that go through networks."""

    def __init__(self) -> None:
        self._passes: collections.Counter[tuple[Any, tuple[int, ...]]] = collections.Counter()

    def __enter__(self) -> Arithmetic:
        self._stack = contextlib.ExitStack()
        for name in ("sliding", "dense"):
            # Not imported as attributes: those are the functions of the same names.
            module = importlib.import_module(f"cryokit.networks.scoring.{name}")
            original = module.runner
            module.runner = functools.partial(self._counted, original)
            self._stack.callback(setattr, module, "runner", original)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _counted(self, runner: Callable, network: Any) -> Callable:
        run = runner(network)

        def counted(batch: Any) -> Any:
            self._passes[network, batch.shape] += 1
            return run(batch)

        return counted

    def sums(self) -> dict[str, float]:
        """Return the multiply-adds and bytes of all passes so far."""
        from cryokit.networks.describe import layers

        total = {"multiply_adds": 0, "bytes": 0}
        for (network, shape), number in self._passes.items():
            table = layers(network, shape[1:3])
            written = sum(math.prod(output) for output in table["output_shape"])
            total["multiply_adds"] += number * shape[0] * int(table["multiply_adds"].sum())
            total["bytes"] += number * 4 * (shape[0] * written + network.count_params())
        return total


def networks(
    side: int, stride: int, repeats: int, block: int, complete: bool, width: float, seed: int
) -> dict[str, Any]:
    """Measure all ways of scoring; call it in a fresh process."""
    import numpy as np

    from cryokit.imaging.preparation import recorded, whitened
    from cryokit.networks import create
    from cryokit.networks.devices import describe_device, import_keras
    from cryokit.networks.scoring import dense, sliding
    from cryokit.pickers import compact_picking as compact

    import_keras()
    micrograph, _ = simulate("klh", shape=(side, side), seed=seed)
    data = micrograph.data
    image = (data - data.mean()) / data.std()
    on_side = (side - 1) // stride + 1  # positions of scoring with padding
    windows = on_side**2
    block = on_side if complete else min(block, on_side)
    part = np.ascontiguousarray(image[: (block - 1) * stride + 1, : (block - 1) * stride + 1])
    scale = windows / block**2
    small = create("compact", classes=CLASSES)
    judge = small.build()
    picture = whitened(recorded(micrograph), DIAMETER, "dark", WORKING)
    ways: dict[str, tuple[Callable, float]] = {}
    for name in WINDOW_NETWORKS:
        network = create(name, classes=CLASSES, width=width).build()
        ways[f"{name}, sliding, stride {stride}"] = functools.partial(sliding, part, network, stride=stride), scale
        ways[f"{name}, dense, stride {stride}"] = functools.partial(dense, image, network, stride=stride), 1.0
        ways[f"{name}, dense, own stride"] = functools.partial(dense, image, network), 1.0
    ways["compact, network alone"] = functools.partial(compact.score_map, judge, small, picture), 1.0
    ways["compact, with preparation"] = (
        lambda: compact.score_map(judge, small, whitened(recorded(micrograph), DIAMETER, "dark", WORKING)),
        1.0,
    )
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    sums, shapes = {}, {}
    for turn in range(repeats):
        for way, (score, factor) in ways.items():
            if not turn and way.startswith("compact"):
                score()  # compiling would be nearly all of some hundredths of a second
            with Arithmetic() as counted:
                start = time.perf_counter()
                scored = score()
                seconds[way].append(factor * (time.perf_counter() - start))
            sums[way] = {name: factor * value for name, value in counted.sums().items()}
            shapes[way] = scored.scores.shape[:2]
    rows = []
    for way, (_, factor) in ways.items():
        median = statistics.median(seconds[way])
        rows.append(
            {
                "way": way,
                "seconds": median,
                "minutes": median / 60,
                "spread": [min(seconds[way]), max(seconds[way])],
                "measured": f"{block**2} windows x {factor:g}" if factor != 1 else "in full",
                "scores": round(factor * math.prod(shapes[way])),
                **sums[way],
                "operations_per_second": 2 * sums[way]["multiply_adds"] / median,
            }
        )
    ratios = {}
    for name in WINDOW_NETWORKS:
        slow = seconds[f"{name}, sliding, stride {stride}"]
        for other in (f"{name}, dense, stride {stride}", f"{name}, dense, own stride", "compact, with preparation"):
            quotients = [a / b for a, b in zip(slow, seconds[other], strict=True)]
            ratios[f"{name}, sliding / {other.removeprefix(name + ', ')}"] = statistics.median(quotients)
    return {"device": describe_device(), "side": side, "windows": windows, "ways": rows, "ratios": ratios}


def make_micrograph(folder: Path, side: int, diameter: float, seed: int) -> Path:
    """Simulate beta-galactosidase at the magnification that gives it the diameter."""
    pixel_size = BETAGAL / diameter
    # The same number of particles at every magnification, but never more than have room.
    particles = min(PARTICLES, int(0.2 * (side / diameter) ** 2))
    micrograph, _ = simulate(
        "betagal", shape=(side, side), pixel_size=pixel_size, n_particles=particles, seed=seed, name="m"
    )
    path = folder / f"betagal_{diameter:g}.mrc"
    write_mrc(path, micrograph.data, pixel_size=micrograph.pixel_size)
    return path


def make_picker(path: Path, diameter: float, folder: Path) -> Path:
    """Save an `auto` picker with the general network; training would not change its speed."""
    from cryokit import pickers
    from cryokit.networks.devices import import_keras

    import_keras()
    picker = pickers.create("auto", diameter=diameter, contrast="dark", pretrained=True)
    return picker.fit([path]).save(folder)


def picking(path: Path, model: Path, out: Path, repeats: int) -> dict[str, Any]:
    """Measure picking one file; call it in a fresh process."""
    start = time.perf_counter()
    from cryokit.networks.devices import import_keras

    import_keras()
    imported = time.perf_counter()
    from cryokit import pickers
    from cryokit.pickers.many_files import pick_files

    picker = pickers.load(model)
    loaded = time.perf_counter()
    pick_files(picker, [path], out)
    first = time.perf_counter()
    seconds, busy, stages = [], [], []
    for _ in range(repeats):
        with Stages(PICKING) as clock:
            began = time.perf_counter(), time.process_time()
            result = pick_files(picker, [path], out)
            seconds.append(time.perf_counter() - began[0])
            busy.append(time.process_time() - began[1])
        stages.append({**clock.seconds, "the rest": seconds[-1] - sum(clock.seconds.values())})
    return {
        "shape": list(read(path).data.shape),
        "picks": len(result.picks),
        "seconds": statistics.median(seconds),
        "fastest": min(seconds),
        "processor_seconds": statistics.median(busy),
        "importing": imported - start,
        "loading": loaded - imported,
        "first": first - loaded,
        "stages": {name: statistics.median(seconds[name] for seconds in stages) for name in stages[0]},
    }


def command_memory(path: Path, model: Path, out: Path, cores: int) -> float | None:
    """Return the peak resident memory of the command in megabytes; None if the kernel does not report it."""
    if not Path("/proc/self/status").exists():
        return None
    words = ["pick", path, "--model", model, "--out", out]
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *map(str, words)], capture_output=True, text=True, preexec_fn=_bound(cores)
    )
    if done.returncode:
        raise RuntimeError(f"cryokit pick failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def _bound(cores: int) -> Callable[[], None] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    return lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def training(number: int, shape: tuple[int, int], seed: int) -> dict[str, Any]:
    """Measure training without labels on simulated micrographs, and the F1 on others."""
    from cryokit import pickers
    from cryokit.coordinates import concatenate
    from cryokit.evaluate import evaluate
    from cryokit.networks.devices import import_keras

    import_keras()
    pairs = list(simulate_set("apoferritin", number + 4, seed=seed, shape=shape))
    learned, others = pairs[:number], pairs[number:]
    with Stages(TRAINING) as clock:
        began = time.perf_counter(), time.process_time()
        picker = pickers.create("auto").fit([micrograph for micrograph, _ in learned])
        seconds, busy = time.perf_counter() - began[0], time.process_time() - began[1]
    result = evaluate(
        concatenate(picker.pick(micrograph) for micrograph, _ in others),
        concatenate(truth for _, truth in others),
        micrographs=[micrograph.name for micrograph, _ in others],
        bootstrap=0,
    )
    return {
        "micrographs": number,
        "shape": list(shape),
        "seconds": seconds,
        "processor_seconds": busy,
        "stages": {**clock.seconds, "the rest": seconds - sum(clock.seconds.values())},
        "decisions": picker.decisions_,
        "f1": result.f1,
    }


def aims(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare the measurements with their limits."""
    rows = []

    def aim(name: str, measured: float | None, limit: float, *, most: bool) -> None:
        if measured is not None:
            reached = measured < limit if most else measured >= limit
            rows.append({"aim": name, "measured": measured, "limit": limit, "reached": bool(reached)})

    for name, ratio in result.get("networks", {}).get("ratios", {}).items():
        if "own stride" not in name:
            aim(f"times as fast: {name}", ratio, TIMES_COMPACT if "compact" in name else TIMES_DENSE, most=False)
    for case in result.get("picking", ()):
        about = f"picking {case['shape'][0]} x {case['shape'][1]}, particle {case['diameter']:g} px"
        aim(f"{about}: seconds", case["seconds"], PICKING_SECONDS, most=True)
        aim(f"{about}: megabytes", case["megabytes"], PICKING_MEGABYTES, most=True)
    if "training" in result:
        aim(f"training on {result['training']['micrographs']}: seconds",
            result["training"]["seconds"], TRAINING_SECONDS, most=True)  # fmt: skip
    return rows


def show_networks(result: dict[str, Any]) -> None:
    """Print the tables of the networks."""
    rows = [
        {**row, "operations": 2 * row["multiply_adds"] / 1e9, "gigabytes": row["bytes"] / 1e9,
         "rate": row["operations_per_second"] / 1e9}
        for row in result["ways"]
    ]  # fmt: skip
    show(f"scoring {result['side']} x {result['side']} pixels; 1e9 operations, 1e9 bytes, 1e9 operations per second",
         rows, {"way": "", "seconds": ".3f", "minutes": ".3f", "measured": "", "scores": "", "operations": ".4g",
                "gigabytes": ".3g", "rate": ".0f"})  # fmt: skip
    ratios = [{"ratio": name, "times": value} for name, value in result["ratios"].items()]
    show("times as fast", ratios, {"ratio": "", "times": ".1f"})


def show_picking(case: dict[str, Any]) -> None:
    """Print one case of picking."""
    rows, columns = case["shape"]
    memory = "" if case["megabytes"] is None else f", {case['megabytes']:.0f} MB"
    print(
        f"\npicking {rows} x {columns}, particle {case['diameter']:g} px: {case['seconds']:.2f} s (fastest "
        f"{case['fastest']:.2f}, processor {case['processor_seconds']:.2f}){memory}, {case['picks']} picks; before: "
        f"importing {case['importing']:.1f} s, loading {case['loading']:.1f} s, first micrograph {case['first']:.1f} s"
    )
    show_stages(case["stages"])


def show_stages(stages: dict[str, float]) -> None:
    """Print the seconds of each stage."""
    total = sum(stages.values())
    rows = [{"stage": name, "seconds": value, "share": value / total} for name, value in stages.items()]
    show("by stage", rows, {"stage": "", "seconds": ".3f", "share": ".0%"})


@contextlib.contextmanager
def folders() -> Iterator[Path]:
    """Yield a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="cryokit-picking-speed-") as folder:
        yield Path(folder)


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="file for the results")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="repetitions (default 5)")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="number of cores (default 2)")
    parser.add_argument("--side", type=int, default=2048, metavar="PX", help="side of the micrograph to score")
    parser.add_argument("--stride", type=int, default=16, metavar="PX", help="stride of sliding and dense (default 16)")
    parser.add_argument("--block", type=int, default=8, metavar="N", help="time N x N windows of sliding (default 8)")
    parser.add_argument("--complete", action="store_true", help="time all windows of sliding: minutes each time")
    parser.add_argument("--width", type=float, default=1.0, help="relative width of table 9's network (default 1)")
    parser.add_argument("--picked", type=int, default=4096, metavar="PX", help="side of the micrograph to pick")
    parser.add_argument("--diameters", type=float, nargs="+", default=[108.0, 150.0, 200.0], metavar="PX")
    parser.add_argument("--micrographs", type=int, default=12, metavar="N", help="micrographs to train on (default 12)")
    parser.add_argument("--seed", type=int, default=90210, help="random seed of the simulations")
    parser.add_argument("--skip-networks", action="store_true")
    parser.add_argument("--skip-picking", action="store_true")
    parser.add_argument("--skip-training", action="store_true")
    options = parser.parse_args(arguments)
    if min(options.repeats, options.cores, options.block, options.micrographs) < 1 or options.side < 256:
        parser.error("--repeats, --cores, --block and --micrographs must be at least 1, --side at least 256")
    make_folder(options.out.parent)  # fails before the work rather than after it
    cores = min(options.cores, usable_cores())
    os.environ.update(OMP_NUM_THREADS=str(cores), OPENBLAS_NUM_THREADS=str(cores))
    run = functools.partial(apart, cores=cores)
    result: dict[str, Any] = {
        "provenance": {**provenance(), "cores": cores, "cores_of_the_machine": os.cpu_count(), "load": load()},
        "settings": {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()},
    }
    print(f"{cores} of {os.cpu_count()} cores, load {load()}")
    if not options.skip_networks:
        result["networks"] = run(networks, options.side, options.stride, options.repeats, options.block,
                                 options.complete, options.width, options.seed)  # fmt: skip
        show_networks(result["networks"])
    if not options.skip_picking:
        result["picking"] = []
        for diameter in options.diameters:
            with folders() as folder:
                path = run(make_micrograph, folder, options.picked, diameter, options.seed)
                model = run(make_picker, path, diameter, folder / "model")
                case = {"diameter": diameter, **run(picking, path, model, folder / "out", options.repeats)}
                case["megabytes"] = command_memory(path, model, folder / "out", cores)
            result["picking"].append(case)
            show_picking(case)
    if not options.skip_training:
        result["training"] = run(training, options.micrographs, (1200, 1240), options.seed)
        trained = result["training"]
        print(
            f"\ntraining on {trained['micrographs']} micrographs: {trained['seconds']:.0f} s (processor "
            f"{trained['processor_seconds']:.0f} s), F1 {trained['f1']:.3f} on others"
        )
        show_stages(trained["stages"])
    result["load_afterwards"] = load()
    result["aims"] = aims(result)
    show_aims(result["aims"])
    write_text(options.out, json.dumps(result, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
