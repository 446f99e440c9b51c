"""Measure whether picks lie on their particles: the mean shift and the scatter of every picker with a scale of its own.

    python benchmarks/localisation.py --out localisation.json
    python benchmarks/localisation.py --out part.json --methods template autocryopicker --diameters 30 80

Apoferritin, ribosomes and top views of KLH are simulated with a known place for every particle, at diameters for which
pickers enlarge (30 pixels) and bin (80, 190 and 300 pixels), with even and odd numbers of rows and columns. Each picker
is given the diameter; those that need labels get those of the same micrographs, since what is measured is where a
method puts its picks, not how well it finds particles. `cryokit.evaluate.localisation` says what the figures are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cryokit import pickers
from cryokit._util.files import write_text
from cryokit.coordinates import IGNORE, concatenate
from cryokit.evaluate import evaluate
from cryokit.micrograph import Micrograph
from cryokit.simulate import CONDITIONS, MODELS, Protein, simulate

METHODS = {
    "template": ("template", {}),
    "autocryopicker": ("autocryopicker", {}),
    "supercryoempicker": ("supercryoempicker", {}),
    "auto --pretrained": ("auto", {"pretrained": True}),
    "auto": ("auto", {}),
    "deepcryopicker": ("deepcryopicker", {}),
    "relion_template": ("relion_template", {}),
}
# Diameter in Angstrom that an expert would give, and whether only top views are simulated.
PROTEINS = {"apoferritin": (121.6, False), "ribosome": (268.0, False), "klh": (345.0, True)}
DIAMETERS = (30, 80, 190, 300)
SIDE = 11.0  # diameters along a micrograph
SNR = 1.0


def main() -> int:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON file for the figures")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--proteins", nargs="+", choices=PROTEINS, default=list(PROTEINS), metavar="NAME")
    parser.add_argument("--diameters", nargs="+", type=int, default=DIAMETERS, metavar="PX")
    parser.add_argument("--micrographs", type=int, default=8, help="simulated micrographs per case (default 8)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    options = parser.parse_args()
    cases = [(protein, diameter) for protein in options.proteins for diameter in options.diameters]
    rows = []
    for protein, diameter in tqdm(cases, desc="measuring", unit="case"):
        simulated = [scene(protein, diameter, options.seed + index) for index in range(options.micrographs)]
        for method in options.methods:
            row = {"method": method, "protein": protein, "diameter": diameter, **measured(method, diameter, simulated)}
            rows.append(row)
            tqdm.write(json.dumps(row))
        write_text(options.out, json.dumps({"seed": options.seed, "snr": SNR, "rows": rows}, indent=1) + "\n")
    sys.stdout.write(pd.DataFrame(rows).round(2).to_string(index=False) + "\n")
    return 0


def scene(protein: str, diameter: float, number: int) -> tuple[Micrograph, pd.DataFrame]:
    """Simulate one micrograph; its size is even or odd by turns."""
    size, only_tops = PROTEINS[protein]
    forms = tuple(form for form in MODELS[protein] if form.view == "top" or not only_tops)
    rows, columns = round(SIDE * diameter) + number % 2, round(SIDE * diameter) + number // 2 % 2
    conditions = CONDITIONS[protein]
    settings = {"pixel_size": size / diameter, "contamination": 0.0, "carbon": 0.0, "filaments": 0.0}
    settings["density"] = 0.25 / (math.pi / 4 * (size * 1e-4) ** 2)
    micrograph, truth = simulate(
        Protein(protein, forms),
        shape=(rows, columns),
        snr=SNR,
        seed=np.random.SeedSequence([7, number]),
        conditions=dataclasses.replace(conditions, **settings),
        name=f"{protein}_{diameter}_{number}",
    )
    return micrograph, truth.assign(diameter=np.where(truth["view"] == IGNORE, truth["diameter"], float(diameter)))


def measured(method: str, diameter: float, simulated: list[tuple[Micrograph, pd.DataFrame]]) -> dict[str, float]:
    """Return F1, mean shift and scatter of a method's picks, lengths in % of the diameter."""
    name, settings = METHODS[method]
    micrographs = [micrograph for micrograph, _ in simulated]
    truth = concatenate(table for _, table in simulated)
    labels = None if pickers.method(name).without_labels else truth
    picker = pickers.create(name, diameter=diameter, **settings).fit(micrographs, labels)
    picks = concatenate(picker.pick(micrograph) for micrograph in micrographs)
    result = evaluate(picks, truth, micrographs=[micrograph.name for micrograph in micrographs], bootstrap=0)
    place = result.localisation
    lengths = {key: 100 * getattr(place, key) / diameter for key in ("dx", "dx_error", "dy", "dy_error", "rms")}
    return {"f1": result.f1, "matched": place.matches, **lengths}


if __name__ == "__main__":
    sys.exit(main())
