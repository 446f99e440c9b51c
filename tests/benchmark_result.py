"""A result of a comparison without the comparison: made-up pickers of known quality, on made-up particles."""

from __future__ import annotations

import copy
import functools
import math

import numpy as np

from cryokit.benchmark import result_file
from cryokit.coordinates import concatenate, table
from cryokit.evaluate import by_view, evaluate

SHAPE, DIAMETER = (800, 800), 80.0
# name -> (share of the particles found, false picks for each particle, learns from labels)
METHODS = {
    "auto": (0.95, 0.05, False),
    "template": (0.85, 0.1, False),
    "autocryopicker": (0.6, 0.4, False),
    "deepcryopicker": (0.92, 0.1, False),
    "deepem": (0.8, 0.25, True),
    "deeppicker": (0.97, 0.03, True),
}
MORE = {
    **METHODS,
    "supercryoempicker": (0.55, 0.35, False),
    "deepcryopicker_negative": (0.88, 0.12, False),
    "deepcryopicker_five": (0.86, 0.15, False),
    "relion_template": (0.9, 0.1, True),
    "pixer": (0.83, 0.2, True),
    "fastparticlepicker": (0.7, 0.3, True),
    "eman2_cnn": (0.87, 0.3, True),
    "topaz": (0.78, 0.15, False),
}
SETTINGS = {
    "deepcryopicker_negative": {"classes_setting": "4 + negative"},
    "deepcryopicker_five": {"classes_setting": "five classes"},
}
PROVENANCE = {
    "cryokit": "0.1.0", "commit": "0123456789abcdef", "python": "3.12.3",
    "packages": {"numpy": "2.1.0", "keras": "3.15.0"}, "backend": "tensorflow 2.21.0",
    "machine": {"system": "Linux", "processor": "x86_64", "cores": 2, "memory_gb": 15.6, "device": "cpu"},
    "date": "2026-11-22T17:00:00Z",
}  # fmt: skip
SNR = (0.02, 0.05, 0.1, 0.2)
MICROGRAPHS = 10  # of a dataset: enough to tell six methods apart


def truth(dataset, micrographs, particles=20):
    rng = np.random.default_rng(sum(map(ord, dataset)))
    two = dataset.startswith("klh")
    for index in range(micrographs):
        places = rng.permutation(49)[:particles]
        x, y = 100.0 * (places % 7) + 90, 100.0 * (places // 7) + 90
        view = rng.choice(["top", "side"], particles) if two else np.full(particles, "top")
        yield table(f"{dataset}_{index:02}", x, y, diameter=DIAMETER, view=view)


def picks(labels, found, false, seed):
    rng = np.random.default_rng(seed)
    n = len(labels)
    hit = labels[rng.random(n) < found]
    jitter = rng.normal(0, 4, (2, len(hit)))
    score = np.clip(rng.normal(0.8, 0.12, len(hit)), 0.01, 0.99)
    right = table(
        hit["micrograph"].to_numpy(), hit["x"] + jitter[0], hit["y"] + jitter[1], score, DIAMETER, hit["view"]
    )
    m = rng.poisson(false * n)
    wrong = table(
        labels["micrograph"].iloc[0],
        *(rng.uniform(0, SHAPE[0], (2, m))),
        np.clip(rng.normal(0.55, 0.15, m), 0.01, 0.99),
        DIAMETER,
        rng.choice(["top", "side"], m),
    )
    return concatenate([right, wrong])


def all_picks(method, dataset, seed, micrographs=MICROGRAPHS, snr=None, methods=METHODS):
    share, false, _ = methods[method]
    quality = 1.0 if snr is None else 1 - math.exp(-snr / 0.05)
    number = list(methods).index(method)
    labels = list(truth(dataset, micrographs))
    return concatenate(
        picks(part, share * quality, false / max(quality, 0.1), 1000 * number + 100 * seed + 10 * len(dataset) + index)
        for index, part in enumerate(labels)
    ), concatenate(labels)


def cell(method, dataset, seed, snr=None, methods=METHODS, micrographs=MICROGRAPHS):
    made, labels = all_picks(method, dataset, seed, micrographs, snr, methods)
    names = sorted(set(labels["micrograph"]))
    settings = {"micrographs": names, "bootstrap": 0}
    found = evaluate(made, labels, threshold=0.5, **{**settings, "bootstrap": 50})
    # Points of a sweep are not shown by view, nor at the methods' own thresholds.
    several = dataset.startswith("klh") and snr is None
    views = by_view(made.assign(view=""), labels, threshold=0.5, **settings) if several else {}
    own, wide = found, found
    if not snr:
        own = evaluate(made, labels, threshold=0.6, **settings)
        wide = evaluate(made, labels, threshold=0.5, tolerance=result_file.WIDE, **settings)
    scores, curve = result_file.scores, result_file.curve
    return {
        "method": method, "dataset": dataset, "seed": seed, "status": "done", "error": None,
        "seconds": {"fit": 10.0 + 7 * len(method) + seed, "pick": 0.2 * len(method)},
        "peak_memory_mb": 500.0 + 20 * len(method),
        "threshold": 0.5, "own_threshold": 0.6, "threshold_by": result_file.BY_VALIDATION,
        "scores": scores(found), "own": scores(own), "wide": scores(wide),
        "localisation": result_file.localisation(found),
        "views": {view: scores(one) for view, one in views.items()},
        "view_named_right": 0.75 + 0.25 * seed if views and method == "deepcryopicker" else None,
        "per_micrograph": result_file.per_micrograph(found),
        "curve": curve(found), "view_curves": {view: curve(one) for view, one in views.items()},
        "decisions": ["threshold 0.5, the best on the validation micrographs"],
        "wall": 10.0, "provenance": PROVENANCE,
    }  # fmt: skip


def without(method, dataset, seed, status, error):
    """A cell that has no scores."""
    return {
        "method": method,
        "dataset": dataset,
        "seed": seed,
        **result_file.empty_cell(),
        "status": status,
        "error": error,
    }


def described(dataset, micrographs=MICROGRAPHS, axes=None):
    labels = concatenate(truth(dataset, micrographs))
    names = sorted(set(labels["micrograph"]))
    protein = "klh" if dataset.startswith("klh") else "apoferritin"
    return {
        "title": f"simulated {protein}" + "".join(f", {axis} {value:g}" for axis, value in (axes or {}).items()),
        "kind": "simulated", "protein": protein, "diameter": DIAMETER, "fingerprint": "0" * 64, "manifest": None,
        "micrographs": {"train": ["t1", "t2", "t3", "t4"], "validation": ["v1", "v2"], "test": names},
        "particles": {"train": 80, "validation": 40, "test": len(labels)},
        "views": labels["view"].value_counts().sort_index().to_dict(), "axes": axes or {}, "note": "made up",
    }  # fmt: skip


@functools.cache
def _result(many):
    methods = MORE if many else METHODS
    datasets = {name: described(name) for name in (["klh_sim"] if many else ["klh_sim", "apoferritin_sim"])}
    cells = [
        cell(method, dataset, seed, methods=methods)
        for dataset in datasets
        for method in methods
        for seed in ((0,) if many else (0, 1))
    ]
    for snr in () if many else SNR:
        name = f"klh_snr_{snr:g}"
        datasets[name] = described(name, 3, {"snr": snr})
        cells += [cell(method, name, 0, snr, methods, 3) for method in methods]
    failed = without("autocryopicker", "apoferritin_sim", 1, "failed", "MemoryError: no room | for more")
    skipped = without(
        "deepem", "apoferritin_sim", 0, "skipped", "needs labels of training micrographs, and this dataset has none"
    )
    replaced = {(one["method"], one["dataset"], one["seed"]): one for one in (failed, skipped)}
    replaced["deepem", "apoferritin_sim", 1] = {**skipped, "seed": 1}
    cells = [replaced.get((one["method"], one["dataset"], one["seed"]), one) for one in cells]
    return {
        "cryokit_benchmark": result_file.FORMAT, "name": "made_up", "title": "Made-up pickers", "note": "",
        "profile": "quick", "config": {"seeds": 2},
        "provenance": {**PROVENANCE, "seconds": 612.3},
        "datasets": datasets,
        "methods": {
            name: {"title": name.replace("_", " "), "picker": name.removesuffix("_negative").removesuffix("_five"),
                   "settings": SETTINGS.get(name, {}), "labels": labels, "source": "made up"}
            for name, (_, _, labels) in methods.items()
        },
        "cells": cells,
    }  # fmt: skip


def with_given(known, name="mine", like="template"):
    """The result with a row of somebody's picks, as good as those of another row."""
    known["methods"][name] = {"title": name, "picker": None, "settings": {}, "labels": None, "source": "picks as given"}
    same = [one for one in known["cells"] if one["method"] == like and one["seed"] == 0]
    none = {"own": {}, "own_threshold": None, "seconds": {"fit": None, "pick": None}}
    known["cells"] += [copy.deepcopy({**one, **none, "method": name}) for one in same]
    return known


def result(many=False):
    """A result of 6 methods on 2 datasets, with 2 seeds, a sweep, a failed and a skipped cell; or of `many` on one."""
    return copy.deepcopy(_result(many))
