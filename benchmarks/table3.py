"""Reproduce table 3 of the paper: accuracy on patches by class setting and number of epochs.

    python benchmarks/table3.py --out table3.json [--data DIR] [--epochs 20 32 64] [--presets paper modern]
    python benchmarks/table3.py --out quick.json --quick

DeepCryoPicker's network (table 9) is trained on patches of all four proteins together, in the paper's three class
settings, with the paper's training settings (SGD at 1e-4, mini-batches of 16) and with modern ones (Adam, cosine decay,
augmentation, early stopping). Accuracy is that on the test patches. They come from other micrographs than the training
and validation patches; in the paper they come from the same.

Patches of *simulated* micrographs have their true classes; particles that no expert would take (broken, overlapping,
tubes) are negatives. Patches of *real* micrographs are labelled by component 1, as in the paper: good particles by
their view, bad ones and debris as negatives. There accuracy is the agreement with component 1, mistakes included.

At full width this takes days on a CPU; use a GPU or a smaller ``--width``. ``--quick`` only shows that it runs: its
numbers mean nothing.

The folder of real micrographs (default: `shared/data` beside the repository) has a folder for each data set, with
``micrographs`` and ``labels`` (CSV) in it. Of the labels only the diameter is used.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cryokit import networks, pickers
from cryokit._util.files import make_folder, write_text
from cryokit._util.plain import json_text
from cryokit.micrograph import find, read
from cryokit.networks.patches import CLASSES, TrainingSet, build
from cryokit.networks.training import MODERN, PAPER, PAPER_EPOCHS, TrainingSettings, classification_table
from cryokit.plot.html_report import provenance
from cryokit.segmentation.selection import select
from cryokit.simulate import simulate_set

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("table3")

PRESETS = {"paper": PAPER, "modern": MODERN}
SIZE = 227  # the network's window
BOX = 1.25  # diameters: the particle's box (of table 4: 94 pixels for 76) fills nearly all of it
# Component 1's better method for each protein; the names of real data sets begin with that of the protein.
METHODS = {
    "klh": "autocryopicker",
    "apoferritin": "autocryopicker",
    "ribosome": "supercryoempicker",
    "betagal": "supercryoempicker",
}
# Real micrographs that settings were chosen on, as slices of the sorted names.
DEVELOPMENT = {
    "apoferritin_10146": slice(0, None, 2),
    "betagal_10017": slice(0, None, 2),
    "klh_preprocessed": slice(0, 1),
}
QUICK = {"width": 0.05, "epochs": [1, 2], "per_class": 24, "micrographs": 3, "side": 1024}


def simulated(proteins: Iterable[str], number: int, side: int, seed: int, per_class: int) -> TrainingSet:
    """Return patches with their true classes, from `number` simulated micrographs of each protein."""
    micrographs, tables, diameters = [], [], {}
    for protein in proteins:
        for micrograph, truth in simulate_set(protein, number, seed=seed, shape=(side, side)):
            micrographs.append(micrograph)
            tables.append(truth.assign(**{"class": truth["view"].replace({"ignore": "negative"})}))
            diameters[micrograph.name] = float(truth["diameter"].median())
    return together(micrographs, tables, diameters, per_class, seed)


def real(folder: Path, development: bool, seed: int, per_class: int) -> TrainingSet:
    """Return patches of real micrographs, labelled by component 1."""
    micrographs, tables, diameters = [], [], {}
    for place in sorted(path for path in folder.iterdir() if (path / "micrographs").is_dir()):
        method = next((name for start, name in METHODS.items() if place.name.startswith(start)), None)
        paths = find([place / "micrographs"])
        if development:
            paths = paths[DEVELOPMENT.get(place.name, slice(0))]
        if method is None or not paths:
            logger.info("%s: left out", place.name)
            continue
        labels = pd.concat([pd.read_csv(place / "labels" / f"{path.stem}.csv") for path in paths])
        diameter = float(labels["diameter"].median())
        picker = pickers.create(method, diameter=diameter, contrast="dark").fit(paths)
        for path in paths:
            examination = picker.examine(read(path))
            micrographs.append(path)
            tables.append(examination.training_particles(select(examination.picked)))
            diameters[examination.name] = diameter
        logger.info("%s: %d micrographs labelled", place.name, len(paths))
    return together(micrographs, tables, diameters, per_class, seed)


def together(
    micrographs: list, tables: list[pd.DataFrame], diameters: dict[str, float], per_class: int, seed: int
) -> TrainingSet:
    """Cut patches of the classes present in the tables."""
    rows = pd.concat(tables, ignore_index=True)
    classes = [name for name in CLASSES if name == "background" or (rows["class"] == name).any()]
    return build(
        micrographs, rows, classes=classes, per_class=per_class, size=SIZE, box=BOX, diameter=diameters, seed=seed
    )


def network(classes: tuple[str, ...], width: float, seed: int) -> keras.Model:
    """Return an untrained network for these classes."""
    return networks.create("deepcryopicker", classes=classes, width=width, seed=seed).build()


def measure(name: str, patches: TrainingSet, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train on one data set and return its rows of the table."""
    rows: list[dict[str, Any]] = []
    for preset in options.presets:
        settings: TrainingSettings = PRESETS[preset]
        table = classification_table(
            patches,
            lambda classes: network(classes, options.width, options.seed),
            epochs=options.epochs,
            settings=settings,
            seed=options.seed,
        )
        measured = [{"data": name, "preset": preset, **row} for row in table.to_dict("records")]
        show(f"{name} ({patches!r}), {preset} settings", measured)
        rows += measured
    return rows


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table, accuracies in per cent."""
    table = pd.DataFrame(rows).drop(columns=["data", "preset"])
    for column in ("train", "validation", "test", "published"):
        table[column] = [f"{100 * value:.2f}" if math.isfinite(value) else "" for value in table[column]]
    table["seconds"] = table["seconds"].round(1)
    sys.stdout.write(f"\n{title}\n{table.to_string(index=False)}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    usual = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="file for the results")
    parser.add_argument("--data", type=Path, metavar="DIR", help="real micrographs (default: shared/data, if there)")
    parser.add_argument("--development", action="store_true", help="only real micrographs that settings were chosen on")
    parser.add_argument("--epochs", type=int, nargs="+", default=list(PAPER_EPOCHS), metavar="N")
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--width", type=float, default=1.0, help="relative width of the layers (default 1)")
    parser.add_argument(
        "--per-class", type=int, default=1500, metavar="N", help="patches (default 1500, as in the paper)"
    )
    parser.add_argument(
        "--micrographs", type=int, default=6, metavar="N", help="micrographs simulated per protein (default 6)"
    )
    parser.add_argument(
        "--side", type=int, default=2048, metavar="PX", help="side of simulated micrographs (default 2048)"
    )
    parser.add_argument("--proteins", nargs="+", choices=METHODS, default=list(METHODS), help="proteins to simulate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip-simulated", action="store_true")
    parser.add_argument("--skip-real", action="store_true")
    parser.add_argument("--quick", action="store_true", help="small network, few patches: only shows that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(QUICK)
    if min(*options.epochs, options.per_class, options.micrographs) < 1 or options.side < 256:
        parser.error("--epochs, --per-class and --micrographs must be at least 1, --side at least 256")
    if options.data is None:
        options.data = usual if usual.is_dir() else None
    elif not options.data.is_dir():
        parser.error(f"--data {options.data}: no such folder")
    make_folder(options.out.parent)  # fails before the work rather than after it
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # TensorFlow warns of functions that are compiled again, as they must be for every new network.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)

    import keras

    start = time.perf_counter()
    rows = []
    counts: dict[str, Any] = {}
    if not options.skip_simulated:
        patches = simulated(options.proteins, options.micrographs, options.side, options.seed, options.per_class)
        counts["simulated"] = patches.provenance["counts"]
        rows += measure("simulated", patches, options)
    if options.data is None or options.skip_real:
        logger.info("real micrographs: none")
    else:
        patches = real(options.data, options.development, options.seed, options.per_class)
        counts["real"] = patches.provenance["counts"]
        rows += measure("real", patches, options)
    result = {
        "provenance": {**provenance(), "keras": keras.__version__, "backend": keras.backend.backend()},
        "settings": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(options).items()
            if name not in ("out", "data")
        },
        "presets": {name: PRESETS[name].to_dict() for name in options.presets},
        "patches": counts,
        "rows": rows,
        "seconds": time.perf_counter() - start,
    }
    write_text(options.out, json_text(result))


if __name__ == "__main__":
    main()
