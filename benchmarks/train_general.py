"""Train the general model that comes with the package, on simulated micrographs.

    python benchmarks/train_general.py --out cryokit/networks/shipped/general

Micrographs of four proteins of `cryokit.simulate` and of random shapes (`cryokit.simulate.random_protein`) are
simulated over a wide range of contrast, defocus, density, ice, contamination and carbon, with filaments, tubes and
fragments of the particles, which are no particles. About half of them are processed afterwards as published micrographs
often are (smoothed, equalised, gamma). No real micrograph is used. A tenth is held out: the threshold is chosen on one
half of these, the figures in the model's provenance are measured on the other.

The same seed gives the same micrographs; the weights differ in the last digits between machines. About 15 minutes on
two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import math
import sys
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from cryokit.coordinates import IGNORE, concatenate
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import WORKING_DIAMETER, recorded, whitened
from cryokit.micrograph import Micrograph
from cryokit.simulate import CONDITIONS, MODELS, Protein, SimulationError, fragment, random_protein, simulate

logger = logging.getLogger("train_general")


@dataclass(frozen=True)
class Recipe:
    """How often a protein is simulated, and at what magnification.

    Sizes are what an expert would give as its diameter, in Angstrom.
    """

    share: float
    shape: tuple[int, int] = (0, 0)
    pixel_size: float = 0.0
    size: float = 0.0


RANDOM = "random"
RECIPES = {
    "klh": Recipe(0.36, (1024, 1024), 4.4, 345),
    "apoferritin": Recipe(0.14, (640, 640), 1.6, 121.6),
    "ribosome": Recipe(0.17, (512, 512), 5.36, 268),
    "betagal": Recipe(0.19, (1024, 1024), 1.77, 191),
    RANDOM: Recipe(0.14),
}
# MS2 and the T20S proteasome, which the simulator has as well, stay proteins that no network has seen.
KNOWN = tuple(kind for kind in RECIPES if kind != RANDOM)
# Users' and estimated diameters are never quite right.
DIAMETER_SPREAD = 0.12
HELD_OUT = 0.1
CROPS, POSITIONS = 6400, 20
# Learning rates relative to the first, and epochs at each; every stage draws crops of its own. At one rate throughout
# the last steps decide how well calibrated the scores are: two trainings had thresholds of 0.46 and 0.56.
STAGES = ((1.0, 8), (0.25, 4), (0.05, 2))


@dataclass(frozen=True)
class Example:
    """One simulated micrograph, prepared, with what the network has to find on it."""

    name: str
    picture: Picture
    labels: pd.DataFrame
    diameter: float


def main() -> int:
    """Simulate, train, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the model")
    parser.add_argument("--micrographs", type=int, default=900, help="how many to simulate (default 900)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes for simulating (default 2)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    work = [(kind, options.seed, number) for number, kind in enumerate(kinds(options.micrographs))]
    with get_context("spawn").Pool(options.jobs) as pool:
        made = list(tqdm(pool.imap(example, work, chunksize=4), total=len(work), desc="simulating"))
    examples = [each for each in made if each is not None]
    train_and_save(examples, options)
    return 0


def kinds(number: int) -> list[str]:
    """Return what to simulate, every kind spread evenly over the list."""
    places = [
        ((k + 0.5) / (recipe.share * number), kind)
        for kind, recipe in RECIPES.items()
        for k in range(max(1, round(recipe.share * number)))
    ]
    return [kind for _, kind in sorted(places)]


def train_and_save(examples: list[Example], options: argparse.Namespace) -> None:
    """Train on most of the examples, measure on the rest, and save the model."""
    from cryokit.evaluate import evaluate
    from cryokit.evaluate.thresholds import best_threshold
    from cryokit.networks import Model, create
    from cryokit.networks.training import TrainingSettings, train
    from cryokit.networks.training.crops import crops
    from cryokit.pickers import compact_picking as compact

    aside = max(2 * len(RECIPES), round(HELD_OUT * len(examples)))
    training, choosing, testing = examples[2 * aside :], examples[:aside], examples[aside : 2 * aside]
    labels = sum(int((each.labels["view"] != IGNORE).sum()) for each in training)
    logger.info("training on %d micrographs with %d particles", len(training), labels)

    config = create("compact", seed=options.seed)
    network = config.build()
    losses = []
    for stage, (share, epochs) in enumerate(STAGES):
        samples = crops(
            [each.picture for each in training],
            [each.labels for each in training],
            config,
            CROPS,
            seed=options.seed + stage,
            positions=POSITIONS,
        )
        settings = TrainingSettings(
            learning_rate=share * compact.FULL_RATE,
            batch_size=compact.BATCH,
            epochs=epochs,
            patience=None,
            class_weights=False,
        )
        losses += train(network, samples, None, settings, seed=options.seed + stage).table["loss"].tolist()

    def picked(part: list[Example]) -> pd.DataFrame:
        return concatenate(
            compact.candidates(
                compact.score_map(network, config, each.picture), each.picture.frame, each.name, each.diameter
            )
            for each in tqdm(part, desc="picking")
        )

    truth = {id(part): concatenate(each.labels for each in part) for part in (choosing, testing)}
    threshold = best_threshold(picked(choosing), truth[id(choosing)], micrographs=[each.name for each in choosing])
    picks, figures = picked(testing), {}
    for kind in ("all", *RECIPES):
        names = [each.name for each in testing if kind in ("all", each.name.split("_")[0])]
        result = evaluate(picks, truth[id(testing)], micrographs=names, threshold=threshold, bootstrap=0)
        figures[kind] = {
            "micrographs": len(names),
            **{name: round(float(getattr(result, name)), 4) for name in ("precision", "recall", "f1")},
            "average_precision": round(float(result.average_precision), 4),
        }
        logger.info("%s: %s", kind, figures[kind])
    provenance = {
        "made_by": "benchmarks/train_general.py",
        "seed": options.seed,
        "micrographs": len(examples),
        "particles": labels,
        "stages": STAGES,
        "loss": [round(float(loss), 5) for loss in losses],
        "simulated_micrographs_held_out": figures,
    }
    Model(network, config, WORKING_DIAMETER, threshold, {"kind": "whitened"}, provenance=provenance).save(options.out)
    sys.stdout.write(f"{options.out}: threshold {threshold:.2f}\n")


def example(work: tuple[str, int, int]) -> Example | None:
    """Simulate one micrograph; None if its conditions are impossible."""
    kind, seed, number = work
    rng = np.random.default_rng([seed, number])
    recipe = RECIPES[kind]
    if kind == RANDOM:
        whole = random_protein(seed * 100_000 + number)
        size = whole.forms[0].diameter
        pixel_size = size / rng.uniform(45, 75)
        shape = (round(rng.uniform(8, 13) * size / pixel_size),) * 2
        forms, usual = whole.forms, CONDITIONS[str(rng.choice(KNOWN))]
    else:
        size, pixel_size, shape = recipe.size, recipe.pixel_size, recipe.shape
        forms, usual = MODELS[kind], CONDITIONS[kind]

    def varied(value: float, low: float, high: float) -> float:
        return float(value * math.exp(rng.uniform(math.log(low), math.log(high))))

    settings = {
        "pixel_size": pixel_size,
        "contrast": varied(usual.contrast, 0.6, 2.2),
        "density": varied(usual.density, 0.25, 1.3),
        "mottle": usual.mottle * rng.uniform(0.3, 2.5),
        "ice": usual.ice * rng.uniform(0.4, 2),
        "b_factor": usual.b_factor * rng.uniform(0.5, 1.5),
        "clustering": rng.uniform(0, 1),
        "ice_gradient": usual.ice_gradient * rng.uniform(0.3, 4),
        "contamination": usual.contamination * float(rng.choice((0, 1, 2, 4))),
        "filaments": float(rng.choice((0, 2, 6) if kind == "klh" else (0, 10, 40), p=(0.6, 0.25, 0.15))),
        "carbon": 0.3,
        "defocus": (rng.uniform(0.6 * usual.defocus[0], 1.3 * usual.defocus[1]),) * 2,
    }
    snr = None
    if kind == RANDOM:
        snr = varied(1, 0.15, 1.6)
        settings["density"] = varied(1, 0.03, 0.35) / (math.pi / 4 * (size * 1e-4) ** 2)
        settings["contamination"] = float(rng.choice((0, 0.2, 0.5, 1))) * 30 * (200 / size) ** 2
        settings["filaments"] = 0.03 * settings["density"] * float(rng.random() < 0.3)
        settings["b_factor"] = min(settings["b_factor"], (size / WORKING_DIAMETER * 2) ** 2)

    pieces = float(rng.choice((0, 0.15, 0.4)))  # fragments for each particle
    if pieces:
        total = sum(form.share for form in forms)
        torn = max(forms, key=lambda form: form.share)
        forms = (
            *forms,
            *(
                fragment(torn, int(rng.integers(1 << 30)), part=rng.uniform(0.05, 0.35), share=pieces * total / 4)
                for _ in range(4)
            ),
        )
        settings["density"] *= 1 + pieces
    for _ in range(4):
        conditions = dataclasses.replace(usual, **settings)
        try:
            micrograph, truth = simulate(
                Protein(kind, forms),
                shape=shape,
                snr=snr,
                seed=np.random.SeedSequence([seed, number]),
                conditions=conditions,
                name=f"{kind}_{number:04d}",
            )
            break
        except SimulationError:
            settings["density"] *= 0.7
    else:
        return None
    diameter = size / pixel_size
    data = processed(micrograph.data, rng, diameter)
    given = diameter * math.exp(rng.uniform(-DIAMETER_SPREAD, DIAMETER_SPREAD))
    picture = whitened(recorded(Micrograph(data, name=micrograph.name)), given, "dark")
    return Example(micrograph.name, picture, as_labels(truth, data.shape, diameter), diameter)


def as_labels(truth: pd.DataFrame, shape: tuple[int, int], diameter: float) -> pd.DataFrame:
    """Return the truth as labels: tubes and fragments are background, whole particles at the border are particles."""
    rows, columns = shape
    to_border = np.minimum.reduce([truth["x"], truth["y"], columns - 1 - truth["x"], rows - 1 - truth["y"]])
    ignored = (truth["view"] == IGNORE) & (truth["broken"] | truth["overlap"] | (to_border >= diameter / 2))
    view = np.where(ignored, IGNORE, np.where(truth["view"] == IGNORE, "irregular", truth["view"]))
    labels = truth.assign(view=view.astype(object), diameter=diameter)
    return labels[~truth["form"].isin(("tube", "fragment"))]


def processed(data: NDArray, rng: np.random.Generator, diameter: float) -> NDArray[np.float32]:
    """Return a micrograph as recorded, or as published ones often are: smoothed, equalised, with another gamma."""
    from skimage import exposure

    data = (data - data.mean()) / data.std()
    unit = diameter / WORKING_DIAMETER
    chance = rng.random()
    if chance < 0.45:
        return data.astype(np.float32)
    if chance < 0.6:
        return ndimage.gaussian_filter(data, unit * rng.uniform(0.3, 1.0)).astype(np.float32)
    if rng.random() < 0.7:
        data = ndimage.gaussian_filter(data, unit * rng.uniform(0.2, 0.9))
    low, high = np.quantile(data, (0.005, 0.995))
    data = np.clip((data - low) / (high - low), 0, 1)
    if rng.random() < 0.4:
        data = exposure.equalize_hist(data)
    if rng.random() < 0.7:
        tile = int(rng.uniform(1.5, 8) * diameter)
        data = exposure.equalize_adapthist(data, kernel_size=tile, clip_limit=math.exp(rng.uniform(-5.8, -3)))
    return (data ** rng.uniform(0.6, 1.6)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
