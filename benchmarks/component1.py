"""Measure the way from a micrograph to training particles: time, memory and accuracy, stage by stage.

    python benchmarks/component1.py --out component1.json [--data DIR] [--sizes 2048 4096] [--repeats 3] [--cores 2]
    python benchmarks/component1.py --out speed.json --skip-accuracy
    python benchmarks/component1.py --out accuracy.json --skip-speed --micrographs 6

*Speed* is measured on simulated micrographs (`CASES`) and one real micrograph of each data set: the seconds of every
stage (median of the repetitions) with its share of the picker, and those of whole pickers, good-particle selection
included. The memory of a stage is the most that it allocates (tracemalloc, in a separate pass); the memory of a picker
is the peak resident memory of a process that does nothing else, Python and libraries included (the kernel's high-water
mark, or `resource.getrusage` without /proc). Each case runs in its own processes, bound to ``--cores`` cores; reading
is measured separately. On a busy machine compare a picker's processor seconds rather than its wall-clock seconds; the
load is printed.

*Ratios* compare two stages with their obvious alternatives in the same process: a guided filter with a loop over the
pixels, and scikit-image's Hough transform.

*Accuracy* is measured with the diameter given (``--estimated``: without) and no labels, on simulated micrographs whose
seeds nothing was adjusted to, and on real ones. Micrographs that settings were chosen on (`DEVELOPMENT`) and all others
have separate rows. Precision, recall and F1 hold at the method's own threshold, average precision for all candidates;
the last columns are of the particles that good-particle selection keeps.

The folder of real micrographs (default: `shared/data` beside the repository) has a folder for each data set, with
``micrographs`` and ``labels`` (CSV) in it.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryokit import pickers
from cryokit._util.cores import usable_cores
from cryokit._util.files import make_folder, write_text
from cryokit.coordinates import IGNORE, concatenate
from cryokit.errors import CryokitError
from cryokit.evaluate import evaluate
from cryokit.imaging import STAGES, imguidedfilter
from cryokit.imaging.filters import limits, live_area
from cryokit.imaging.peaks import find_peaks
from cryokit.micrograph import Micrograph, find, read, write_mrc
from cryokit.networks import patches as trainingset
from cryokit.pickers.autocryopicker import APART, WEAKEST_CIRCLE
from cryokit.pickers.clustering import Examination
from cryokit.pickers.supercryoempicker import PER_PARTICLE
from cryokit.plot.html_report import provenance
from cryokit.segmentation import (
    blobs,
    clean,
    components,
    coverage,
    filled,
    fuzzy_cmeans,
    hough_circles,
    ibc,
    irregular_views,
    kmeans,
    objects,
    particle_mask,
    radial_votes,
    side_views,
    split_overlaps,
    super_kmeans,
    superpixel_count,
    top_views,
)
from cryokit.segmentation.particles import RADII
from cryokit.segmentation.selection import Decision, select
from cryokit.simulate import CONDITIONS, simulate, simulate_set

METHODS = ("autocryopicker", "autocryopicker_published", "supercryoempicker", "supercryoempicker_published")
PROTEINS = ("klh", "apoferritin", "ribosome", "betagal")

# Protein and diameter in pixels (None: the default of the protein). At 40 pixels nothing is binned: the most work.
CASES = (("klh", None), ("betagal", None), ("apoferritin", None), ("ribosome", None), ("ribosome", 40.0))

# Real micrographs that settings were chosen on, as slices of the sorted names.
DEVELOPMENT = {
    "apoferritin_10146": slice(0, None, 2),
    "betagal_10017": slice(0, None, 2),
    "klh_preprocessed": slice(0, 1),
}

SECONDS = {2048: 6.0, 4096: 20.0}  # for a whole picker on two cores, by side of the micrograph
MEGABYTES = 1500.0
# Data set (beginning of its name), method, figure, and the lowest value aimed at.
ACCURACY_AIMS = (
    ("apoferritin_10146", "autocryopicker", "f1", 0.90),
    ("klh", "autocryopicker", "f1", 0.80),
    ("ribosome_10028", "supercryoempicker", "f1", 0.85),
    ("betagal_10017", "supercryoempicker", "f1", 0.65),
    ("apoferritin_10146", "autocryopicker", "good_precision", 0.95),
    ("ribosome_10028", "supercryoempicker", "good_precision", 0.95),
    ("simulated klh", "autocryopicker", "good_precision", 0.95),
    ("klh", "autocryopicker", "good_precision", 0.90),
)

# The stages of each picker; merging the candidates takes the rest of its time.
_PREPARATION = ("live area", "outliers limited", *(f"preprocessing: {name}" for name in STAGES))
PARTS = {
    "autocryopicker": (
        *_PREPARATION,
        *("clustering: IBC", "gaps closed, holes filled", "radial votes", "coverage", "Hough circles of the picture"),
        *("maxima of the evidence", "objects: opened and split", "selection"),
    ),
    "supercryoempicker": (
        *_PREPARATION,
        *("clustering: super k-means", "coverage", "blobs of the mask", "blobs of the picture"),
        *("maxima of the evidence", "cleaning of super k-means' mask", "objects of super k-means' mask", "selection"),
    ),
}
NAIVE_SIDE = 256  # pixels of the crop that the loop works through
HOUGH_SIDE = 512


class Clock:
    """Calls functions and keeps, by name, the seconds or the peak of allocated bytes that each call took."""

    def __init__(self, memory: bool = False) -> None:
        self.memory = memory
        self.seen: dict[str, list[float]] = {}

    def __call__(self, name: str, function: Callable, *arguments: Any, **options: Any) -> Any:
        """Call the function and return its result."""
        if self.memory:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
        start = time.perf_counter()
        result = function(*arguments, **options)
        took = time.perf_counter() - start
        if self.memory:
            took = tracemalloc.get_traced_memory()[1] - before
        self.seen.setdefault(name, []).append(took)
        return result


def run_stages(micrograph: Micrograph, diameter: float, method: str, clock: Clock) -> None:
    """Run every stage once with the input it has in a picker, for dark particles of this diameter."""
    picker = fitted(method, diameter)
    chain = picker.preprocessing
    area = clock("live area", live_area, micrograph.data)
    image = clock("outliers limited", lambda data: np.clip(data, *limits(data)), micrograph.data[area])
    size = diameter / chain.factor(diameter)
    steps = chain._steps(image, diameter, "dark")  # the chain stops after each stage
    stages = dict(clock(f"preprocessing: {name}", next, steps) for name in STAGES)
    picture = stages["opened"]

    dark = clock("clustering: IBC", ibc, picture).labels == 0
    clock("clustering: k-means", kmeans, picture)
    clock("clustering: fuzzy c-means", fuzzy_cmeans, picture)
    count = superpixel_count(picture.shape, size, PER_PARTICLE)
    clusters = clock("clustering: super k-means", super_kmeans, picture, n=count)
    clock("choice of the cluster", particle_mask, clusters, size)

    whole = clock("gaps closed, holes filled", filled, dark, size)
    votes = clock("radial votes", radial_votes, picture, size)
    covered = clock("coverage", coverage, whole, size)
    radii = (RADII[0] * size, RADII[1] * size)
    clock("Hough circles of the picture", hough_circles, picture, radii, threshold=WEAKEST_CIRCLE)
    clock("maxima of the evidence", find_peaks, np.sqrt(votes * covered), APART * size)
    shapes = clock("objects: opened and split", objects, whole, size)
    clock("Feret diameters and rectangles", lambda: [shape.feret for shape in shapes])

    cleaned = clock("cleaning", clean, dark, size)
    clock("components", components, cleaned)
    clock("splitting of overlaps", split_overlaps, cleaned, size)
    clock("top views: Hough circles of the mask", top_views, cleaned, size)
    clock("side views", side_views, cleaned, size)
    clock("irregular views", irregular_views, cleaned, size)
    clock("blobs of the mask", blobs, clusters.labels == 0, size)
    cleaned = clock("cleaning of super k-means' mask", clean, clusters.labels == 0, size, largest_hole=0.2)
    clock("objects of super k-means' mask", objects, cleaned, size)
    clock("blobs of the picture", blobs, 1 - stages["stretched"], size)

    examination = picker.examine(micrograph)
    decisions = clock("selection", select, examination.picked)
    rows = examination.training_particles(decisions)
    if len(rows):
        clock("training set", build_training_set, micrograph, rows)


def build_training_set(micrograph: Micrograph, rows: pd.DataFrame) -> trainingset.TrainingSet | None:
    """Cut a training set of 100 patches per class from one micrograph; None if no patch lies within it."""
    classes = [name for name in trainingset.CLASSES if (rows["class"] == name).any()]
    try:
        return trainingset.build([micrograph], rows, classes=classes, per_class=100, validation=0, test=0)
    except CryokitError:
        return None


def fitted(method: str, diameter: float | None, micrographs: Iterable[Micrograph | Path] = ()) -> pickers.Picker:
    """Return a fitted picker; one for dark particles if there are no micrographs to learn from."""
    micrographs = list(micrographs)
    if micrographs:
        return pickers.create(method, diameter=diameter).fit(micrographs)
    return pickers.create(method, diameter=diameter, contrast="dark").fit([None])


def examine(picker: pickers.Picker, micrograph: Micrograph) -> tuple[Examination, list[Decision]]:
    """Process one micrograph, from grey values to good particles."""
    examination = picker.examine(micrograph)
    return examination, select(examination.picked)


def measure_stages(path: Path, diameter: float, method: str, repeats: int) -> dict[str, Any]:
    """Return median seconds and peak allocations of the stages, the micrograph's shape and the binning factor."""
    micrograph = read(path)
    clock = Clock()
    for _ in range(repeats):
        clock("reading", read, path)
        run_stages(micrograph, diameter, method, clock)
    allocations = Clock(memory=True)
    tracemalloc.start()
    run_stages(micrograph, diameter, method, allocations)
    tracemalloc.stop()
    rows = [
        {
            "stage": name,
            "seconds": statistics.median(seconds),
            "slowest": max(seconds),
            "megabytes": allocations.seen[name][0] / 1e6 if name in allocations.seen else None,
        }
        for name, seconds in clock.seen.items()
    ]
    factor = fitted(method, diameter).preprocessing.factor(diameter)
    return {"shape": list(micrograph.data.shape), "factor": factor, "stages": rows}


def measure_picker(path: Path, diameter: float, method: str, repeats: int) -> dict[str, Any]:
    """Return seconds and resident memory of a picker with selection; call it in a fresh process."""
    micrograph = read(path)
    picker = fitted(method, diameter)
    before = peak_memory()
    seconds, busy = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        examination, decisions = examine(picker, micrograph)
        seconds.append(time.perf_counter() - start[0])
        busy.append(time.process_time() - start[1])
        counts = {"picks": len(examination.picked), "good": sum(decision.good for decision in decisions)}
        del examination, decisions
    return {
        "method": method,
        "seconds": statistics.median(seconds),
        "processor_seconds": statistics.median(busy),
        "megabytes": peak_memory(),
        "megabytes_before": before,
        **counts,
    }


def peak_memory() -> float:
    """Return the peak resident memory of this process so far, in megabytes."""
    try:
        # On Linux a new process inherits the figure of getrusage from its parent.
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")) / 1e6
    except (OSError, StopIteration):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure_ratios(path: Path, diameter: float, method: str, repeats: int) -> list[dict[str, Any]]:
    """Return how many times faster per pixel two stages are than their usual counterparts (ratios of medians)."""
    picker = fitted(method, diameter)
    picture = picker.preprocessing.stages(read(path).data, diameter)["opened"]
    size = diameter / picker.preprocessing.factor(diameter)
    clock = Clock()
    small, crop = picture[:NAIVE_SIDE, :NAIVE_SIDE], picture[:HOUGH_SIDE, :HOUGH_SIDE]
    for _ in range(repeats):
        clock("naive", naive_guided_filter, small)
        clock("guided", imguidedfilter, picture)
        clock("scikit-image", skimage_circles, crop, size)
        clock("Hough", hough_circles, crop, (RADII[0] * size, RADII[1] * size))
    median = {name: statistics.median(seconds) for name, seconds in clock.seen.items()}
    naive, ours = median["naive"] / small.size, median["guided"] / picture.size
    return [
        {
            "stage": "guided filter",
            "against": f"a loop over the pixels (NumPy means of each window, {small.shape[0]} x {small.shape[1]})",
            "seconds_per_megapixel": ours * 1e6,
            "theirs": naive * 1e6,
            "ratio": naive / ours,
        },
        {
            "stage": "Hough circles",
            "against": f"skimage.transform.hough_circle (Canny edges, all whole radii, {crop.shape[0]} x "
            f"{crop.shape[1]})",
            "seconds_per_megapixel": median["Hough"] / crop.size * 1e6,
            "theirs": median["scikit-image"] / crop.size * 1e6,
            "ratio": median["scikit-image"] / median["Hough"],
        },
    ]


def naive_guided_filter(image: np.ndarray, reach: int = 2, smoothing: float = 0.01) -> np.ndarray:
    """Apply a self-guided filter with a loop over the pixels; same result as `imguidedfilter`."""
    rows, columns = image.shape
    padded = np.pad(image, reach, mode="edge")
    slope, offset = np.empty(image.shape), np.empty(image.shape)
    side = 2 * reach + 1
    for row in range(rows):
        for column in range(columns):
            window = padded[row : row + side, column : column + side]
            mean, variance = window.mean(), window.var()
            slope[row, column] = variance / (variance + smoothing)
            offset[row, column] = mean * (1 - slope[row, column])
    result = np.empty(image.shape)
    slope, offset = (np.pad(values, reach, mode="edge") for values in (slope, offset))
    for row in range(rows):
        for column in range(columns):
            part = (slice(row, row + side), slice(column, column + side))
            result[row, column] = slope[part].mean() * image[row, column] + offset[part].mean()
    return result


def skimage_circles(picture: np.ndarray, diameter: float) -> tuple[np.ndarray, ...]:
    """Find circles with scikit-image, as in its gallery of examples."""
    from skimage.feature import canny
    from skimage.transform import hough_circle, hough_circle_peaks

    radii = np.arange(math.floor(RADII[0] * diameter), math.ceil(RADII[1] * diameter) + 1)
    accumulators = hough_circle(canny(picture, sigma=max(1.0, RADII[0] * diameter / 6)), radii)
    apart = round(RADII[0] * diameter)
    return hough_circle_peaks(accumulators, radii, min_xdistance=apart, min_ydistance=apart, threshold=0.4)


@dataclass(frozen=True)
class DataSet:
    """Micrographs with labels: paths of real ones, simulated ones in memory."""

    name: str
    group: str
    micrographs: tuple[Micrograph | Path, ...]
    labels: pd.DataFrame

    @property
    def diameter(self) -> float:
        """Diameter of the largest view in pixels."""
        return float(self.labels.loc[self.labels["view"] != IGNORE, "diameter"].max())


def real_sets(folder: Path) -> list[DataSet]:
    """Return the data sets in a folder, each split into micrographs that settings were chosen on and others."""
    sets = []
    for place in sorted(path for path in folder.iterdir() if (path / "micrographs").is_dir()):
        paths = find([place / "micrographs"])
        chosen = paths[DEVELOPMENT[place.name]] if place.name in DEVELOPMENT else []
        for group, members in (("development", chosen), ("other", [path for path in paths if path not in chosen])):
            if members:
                tables = [pd.read_csv(place / "labels" / f"{path.stem}.csv").assign(micrograph=path.stem)
                          for path in members]  # fmt: skip
                sets.append(DataSet(place.name, group, tuple(members), pd.concat(tables, ignore_index=True)))
    return sets


def simulated_set(protein: str, count: int, seed: int, side: int = 2048) -> DataSet:
    """Return simulated micrographs of a protein."""
    pairs = list(simulate_set(protein, count, seed=seed, shape=(side, side)))
    return DataSet(
        f"simulated {protein}",
        "other",
        tuple(micrograph for micrograph, _ in pairs),
        concatenate(truth for _, truth in pairs),
    )


def score(data: DataSet, method: str, estimated: bool = False) -> dict[str, Any]:
    """Return the accuracy of a method on a data set, before and after good-particle selection."""
    picker = fitted(method, None if estimated else data.diameter, data.micrographs)
    candidates, good, names = [], [], []
    for item in data.micrographs:
        micrograph = item if isinstance(item, Micrograph) else read(item)
        examination, decisions = examine(picker, micrograph)
        candidates.append(examination.picks(0))
        kept = [decision.particle for decision in decisions if decision.good]
        x, y = examination.frame.to_source([particle.x for particle in kept], [particle.y for particle in kept])
        good.append(pd.DataFrame({"micrograph": micrograph.name, "x": x, "y": y, "score": 1.0}))
        names.append(micrograph.name)
    options = dict(micrographs=names, bootstrap=0)
    result = evaluate(concatenate(candidates), data.labels, threshold=picker.threshold_, **options)
    kept = evaluate(pd.concat(good, ignore_index=True), data.labels, **options)
    return {
        "data_set": data.name,
        "group": data.group,
        "method": method,
        "diameter": picker.diameter_,
        "diameter_estimated": estimated,
        "contrast": picker.contrast_,
        "micrographs": len(names),
        "particles": result.tp + result.fn,
        "picks": len(result.picks),
        **{name: getattr(result, name) for name in ("precision", "recall", "f1", "average_precision", "best_f1")},
        "good": len(kept.picks),
        "good_precision": kept.precision,
        "good_recall": kept.recall,
    }


def score_simulated(protein: str, count: int, seed: int, method: str, estimated: bool) -> dict[str, Any]:
    """Simulate a data set and score a method on it; for a process of its own."""
    return score(simulated_set(protein, count, seed), method, estimated)


def make(folder: Path, protein: str, side: int, diameter: float | None, seed: int) -> tuple[Path, float]:
    """Simulate a micrograph into a file, at the magnification that gives its particles the diameter."""
    own = {"klh": 170.0, "apoferritin": 76.0, "betagal": 108.0, "ribosome": 50.0}[protein]
    pixel_size = CONDITIONS[protein].pixel_size * (1 if diameter is None else own / diameter)
    micrograph, truth = simulate(protein, shape=(side, side), pixel_size=pixel_size, seed=seed)
    path = folder / f"{protein}_{side}_{diameter or own:g}.mrc"
    write_mrc(path, micrograph.data, pixel_size=micrograph.pixel_size)
    diameters = truth.loc[truth["view"] != IGNORE, "diameter"]
    return path, float(diameters.max()) if len(diameters) else diameter or own


def apart(function: Callable, *arguments: Any, cores: int) -> Any:
    """Call a function in a new process bound to `cores` cores, and return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_bind, initargs=(cores,)) as pool:
        return pool.submit(function, *arguments).result()


def _bind(cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def measure_case(
    run: Callable, name: str, path: Path, diameter: float, methods: Iterable[str], repeats: int
) -> dict[str, Any]:
    """Measure stages and pickers on one micrograph, each in a process started by `run`."""
    before = load()
    case = {"case": name, "diameter": diameter, **run(measure_stages, path, diameter, "autocryopicker", repeats)}
    case["pickers"] = [run(measure_picker, path, diameter, method, repeats) for method in methods]
    case["load"] = [before, load()]
    wholes = {picker["method"]: picker["seconds"] for picker in case["pickers"]}
    for row in case["stages"]:
        for method, parts in PARTS.items():
            if row["stage"] in parts and method in wholes:
                row[f"share_of_{method}"] = row["seconds"] / wholes[method]
    return case


def load() -> float | None:
    """Return the load average of the last minute, None if the system does not have it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def speed_aims(cases: Iterable[dict]) -> list[dict[str, Any]]:
    """Compare time and memory of the two pickers with their limits."""
    rows = []
    for case in cases:
        side = max(case["shape"])
        limit = next((seconds for size, seconds in sorted(SECONDS.items()) if side <= size), None)
        for picker in case["pickers"]:
            if picker["method"] in PARTS:
                about = f"{case['case']}, {picker['method']}"
                if limit is not None:
                    rows.append(_aim(f"{about}: seconds", picker["seconds"], limit, picker["seconds"] < limit))
                rows.append(
                    _aim(f"{about}: megabytes", picker["megabytes"], MEGABYTES, picker["megabytes"] < MEGABYTES)
                )
    return rows


def accuracy_aims(scores: Iterable[dict]) -> list[dict[str, Any]]:
    """Compare F1 and the precision of good particles with the lowest values aimed at."""
    return [
        _aim(f"{row['data_set']} ({row['group']}), {method}: {figure}", row[figure], least, row[figure] >= least)
        for data_set, method, figure, least in ACCURACY_AIMS
        for row in scores
        if row["method"] == method
        and (row["data_set"] == data_set or row["data_set"].startswith(f"{data_set}_"))
        and not row["diameter_estimated"]
    ]


def _aim(name: str, measured: float, limit: float, reached: bool) -> dict[str, Any]:
    return {"aim": name, "measured": measured, "limit": limit, "reached": bool(reached)}


def show(title: str, rows: list[dict], columns: dict[str, str]) -> None:
    """Print columns of the rows as a table; `columns` gives the format of each by name."""
    print(f"\n{title}")
    table = pd.DataFrame({name: [_cell(row.get(name), spec) for row in rows] for name, spec in columns.items()})
    print(table.to_string(index=False), flush=True)


def _cell(value: Any, spec: str) -> str:
    return "" if value is None else format(value, spec)


def show_case(case: dict[str, Any]) -> None:
    """Print the two tables of one case."""
    rows, columns = case["shape"]
    shares = {key: ".0%" for key in (f"share_of_{method}" for method in PARTS)}
    loads = ", ".join("?" if value is None else f"{value:.1f}" for value in case["load"])
    title = f"{case['case']}: {rows} x {columns}, particle {case['diameter']:.0f} px, binned by {case['factor']:.2f}"
    show(f"{title} (load {loads})", case["stages"], {"stage": "", "seconds": ".3f", "megabytes": ".0f", **shares})
    show("whole pickers, with selection", case["pickers"],
         {"method": "", "seconds": ".2f", "processor_seconds": ".2f", "megabytes": ".0f", "megabytes_before": ".0f",
          "picks": "", "good": ""})  # fmt: skip


def measure_speed(options: argparse.Namespace, run: Callable, folder: Path) -> dict[str, Any]:
    """Measure the speed of all cases."""
    cases, ratios = [], []
    for side in options.sizes:
        for protein, diameter in CASES:
            path, largest = run(make, folder, protein, side, diameter, options.seed)
            name = f"simulated {path.stem.replace('_', ' ')}"
            cases.append(measure_case(run, name, path, largest, options.methods, options.repeats))
            show_case(cases[-1])
            if protein == "klh":
                ratios += [{"case": name, **row} for row in
                           run(measure_ratios, path, largest, "autocryopicker", options.repeats)]  # fmt: skip
            path.unlink()
    for data in real_sets(options.data) if options.data else []:
        if data.group == "other":
            path = data.micrographs[0]
            cases.append(measure_case(run, data.name, path, data.diameter, options.methods, options.repeats))
            show_case(cases[-1])
    if ratios:
        show("times faster than", ratios,
             {"case": "", "stage": "", "against": "", "seconds_per_megapixel": ".4f", "theirs": ".4f",
              "ratio": ".1f"})  # fmt: skip
    aims = speed_aims(cases)
    show_aims(aims)
    return {"cases": cases, "ratios": ratios, "aims": aims}


def measure_accuracy(options: argparse.Namespace, run: Callable) -> dict[str, Any]:
    """Score all data sets with all methods."""
    scores = []
    for estimated in (False, True) if options.estimated else (False,):
        for method in options.methods:
            for protein in PROTEINS:
                arguments = (protein, options.micrographs, options.seed, method, estimated)
                scores.append(_logged(run(score_simulated, *arguments)))
            for data in real_sets(options.data) if options.data else []:
                scores.append(_logged(run(score, data, method, estimated)))
    scores.sort(key=lambda row: (row["data_set"], row["group"], row["method"], row["diameter_estimated"]))
    show("accuracy at the method's own threshold, average precision, and good particles", scores,
         {"data_set": "", "group": "", "method": "", "diameter": ".0f", "micrographs": "", "particles": "", "picks": "",
          "precision": ".3f", "recall": ".3f", "f1": ".3f", "average_precision": ".3f", "good": "",
          "good_precision": ".3f", "good_recall": ".3f"})  # fmt: skip
    aims = accuracy_aims(scores)
    show_aims(aims)
    return {"scores": scores, "aims": aims}


def _logged(row: dict[str, Any]) -> dict[str, Any]:
    """Print the row at once: all of them take a quarter of an hour."""
    print(
        f"{row['data_set']} ({row['group']}), {row['method']}: F1 {row['f1']:.3f}, good {row['good_precision']:.3f}",
        flush=True,
    )
    return row


def show_aims(aims: list[dict[str, Any]]) -> None:
    """Print the aims, and which were reached."""
    rows = [{**row, "reached": "reached" if row["reached"] else "MISSED"} for row in aims]
    show("aims", rows, {"aim": "", "measured": ".3g", "limit": ".4g", "reached": ""})


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    repository = Path(__file__).resolve().parent.parent
    usual = repository.parent / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="file for the results")
    parser.add_argument("--data", type=Path, metavar="DIR", help="real micrographs (default: shared/data, if there)")
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[2048, 4096], metavar="PX", help="sides of simulated micrographs"
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repetitions (default 3)")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="number of cores (default 2)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--micrographs", type=int, default=3, metavar="N", help="micrographs simulated per protein")
    parser.add_argument("--seed", type=int, default=90210, help="random seed of the simulations")
    parser.add_argument("--estimated", action="store_true", help="measure accuracy without the diameter, too")
    parser.add_argument("--skip-speed", action="store_true")
    parser.add_argument("--skip-accuracy", action="store_true")
    options = parser.parse_args(arguments)
    if options.repeats < 1 or options.micrographs < 1 or options.cores < 1 or min(options.sizes, default=256) < 256:
        parser.error("--repeats, --micrographs and --cores must be at least 1, --sizes at least 256")
    if options.data is None:
        options.data = usual if usual.is_dir() else None
    elif not options.data.is_dir():
        parser.error(f"--data {options.data}: no such folder")
    make_folder(options.out.parent)  # fails before the work rather than after it
    cores = min(options.cores, usable_cores())
    os.environ.update(OMP_NUM_THREADS=str(cores), OPENBLAS_NUM_THREADS=str(cores))
    run = functools.partial(apart, cores=cores)
    result: dict[str, Any] = {
        "provenance": {**provenance(), "cores": cores, "cores_of_the_machine": os.cpu_count(), "load": load()},
        "settings": {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()},
    }
    print(f"{cores} of {os.cpu_count()} cores, load {load()}; real micrographs: {options.data or 'none'}")
    if not options.skip_speed:
        with tempfile.TemporaryDirectory() as folder:
            result["speed"] = measure_speed(options, run, Path(folder))
    if not options.skip_accuracy:
        result["accuracy"] = measure_accuracy(options, run)
    write_text(options.out, json.dumps(result, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
