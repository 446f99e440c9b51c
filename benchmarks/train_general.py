"""Train the general model that comes with the package, on simulated micrographs.

    python benchmarks/train_general.py --out cryokit/networks/shipped/general

Micrographs of random proteins (`cryokit.simulate.random_protein`), which are most, and of the four of
`cryokit.simulate` are simulated over a wide range of contrast, defocus, density, ice, contamination and carbon, with
filaments, tubes and fragments of the particles, which are no particles; two fifths have beads, aggregates, foil, the
edge of the beam or padded borders as well, and some have no particles at all. Particles are 8 to 63 pixels across. Two
thirds are processed afterwards as published micrographs often are (smoothed, denoised, equalised, rounded to bytes).
Each is shown at about the right diameter and at one that is wrong by half an octave or more, where nothing is a
particle: so the network's scores tell the size. No real micrograph is used. A part is held out: on one half of it the
scores are calibrated and the threshold is chosen, the figures in the model's provenance are measured on the other.

The same seed gives the same micrographs; the weights differ in the last digits between machines. An hour and an hour
and a half on two cores. `--further` goes on with a model, at lower learning rates and with micrographs of its own. The
model that comes with the package was made by

    python benchmarks/train_general.py --out first
    python benchmarks/train_general.py --out general --further first --seed 1 --micrographs 5800

`--without` leaves a protein out, to measure what the model does with one that it has never seen.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import logging
import math
import sys
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, optimize, special
from tqdm import tqdm

from cryokit.coordinates import IGNORE, concatenate
from cryokit.imaging import Preprocessing, matlab
from cryokit.imaging.frame import Picture
from cryokit.imaging.preparation import WORKING_DIAMETER, middle, recorded, whitened
from cryokit.micrograph import Micrograph
from cryokit.simulate import CONDITIONS, MODELS, Protein, SimulationError, fragment, random_protein, simulate_parts

if TYPE_CHECKING:
    import keras

    from cryokit.networks import NetworkConfig
    from cryokit.networks.training import Samples

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
    "klh": Recipe(0.14, (800, 800), 5.5, 345),
    "apoferritin": Recipe(0.08, (640, 640), 1.8, 121.6),
    "ribosome": Recipe(0.08, (512, 512), 5.36, 268),
    "betagal": Recipe(0.12, (800, 800), 2.4, 191),
    RANDOM: Recipe(0.58),
}
# MS2 and the T20S proteasome, which the simulator has as well, stay proteins that no network has seen.
KNOWN = tuple(kind for kind in RECIPES if kind != RANDOM)
# Users' and estimated diameters are never quite right.
DIAMETER_SPREAD = 0.12
FINE = 0.5  # share of the micrographs whose particles are of any size from SMALLEST pixels on, as those on thumbnails
SMALLEST = 8.0
LEAST_SIDE = 128  # pixels of a micrograph
WRONG = (0.5, 2.2)  # octaves by which the wrong diameter is off
WRONG_AREA = 1000  # squared wrong diameters at most
LEAST_WRONG = 5.0  # pixels
WRONG_SHARE = 0.2  # of the crops
EMPTY, DIRTY = 0.1, 0.4  # shares of the micrographs
HELD_OUT = 0.08
CROPS, POSITIONS = 6400, 20
WIDTH = 1.25  # of the network
# Learning rates relative to the first, epochs at each, and how often crops show KLH, relative to its share: in the end
# more often, because it comes with most of what resembles a particle and is none (tubes, halves, single decamers).
# Every stage draws crops of its own.
STAGES = (
    *[(1.0, 3, 1.0)] * 4,
    *[(0.5, 3, 1.0)] * 2,
    *[(0.2, 3, 1.0), (0.05, 3, 1.0)],
    *[(0.4, 3, 2.5), (0.15, 3, 2.5), (0.04, 2, 2.5)],
)
FURTHER = ((0.4, 3, 1.0), (0.4, 3, 2.5), (0.2, 3, 1.0), (0.2, 3, 2.5), (0.1, 3, 2.5), (0.04, 3, 2.5))


@dataclass(frozen=True)
class Example:
    """One simulated micrograph, prepared, with what the network has to find on it."""

    name: str
    picture: Picture
    wrong: Picture
    labels: pd.DataFrame
    diameter: float


def main() -> int:
    """Simulate, train, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the model")
    parser.add_argument("--micrographs", type=int, default=3200, help="how many to simulate (default 3200)")
    parser.add_argument("--without", choices=KNOWN, help="protein to leave out")
    parser.add_argument("--further", metavar="MODEL", help="model to go on with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes for simulating (default 2)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    recipes = {kind: recipe for kind, recipe in RECIPES.items() if kind != options.without}
    work = [(kind, options.seed, number) for number, kind in enumerate(kinds(options.micrographs, recipes))]
    with get_context("spawn").Pool(options.jobs) as pool:
        made = list(tqdm(pool.imap(example, work, chunksize=4), total=len(work), desc="simulating"))
    examples = [each for each in made if each is not None]
    train_and_save(examples, options)
    return 0


def kinds(number: int, recipes: dict[str, Recipe]) -> list[str]:
    """Return what to simulate, every kind spread evenly over the list."""
    total = sum(recipe.share for recipe in recipes.values())
    places = [
        ((k + 0.5) * total / (recipe.share * number), kind)
        for kind, recipe in recipes.items()
        for k in range(max(1, round(recipe.share / total * number)))
    ]
    return [kind for _, kind in sorted(places)]


def train_and_save(examples: list[Example], options: argparse.Namespace) -> None:
    """Train on most of the examples, measure on the rest, and save the model."""
    from cryokit.evaluate import evaluate
    from cryokit.evaluate.reliability import calibration_error, reliability
    from cryokit.evaluate.thresholds import best_threshold
    from cryokit.networks import Model, create
    from cryokit.networks.training import TrainingSettings, train
    from cryokit.pickers import compact_picking as compact

    aside = max(2 * len(RECIPES), round(HELD_OUT * len(examples)))
    training, choosing, testing = examples[2 * aside :], examples[:aside], examples[aside : 2 * aside]
    labels = sum(int((each.labels["view"] != IGNORE).sum()) for each in training)
    logger.info("training on %d micrographs with %d particles", len(training), labels)

    if options.further:
        start = Model.load(options.further)
        config, network = start.config, start.network
    else:
        start = None
        config = create("compact", seed=options.seed, width=WIDTH, locates=True)
        network = config.build()
    losses = []
    stages = FURTHER if start else STAGES
    for stage, (share, epochs, klh) in enumerate(stages):
        settings = TrainingSettings(
            learning_rate=share * compact.FULL_RATE,
            batch_size=compact.BATCH,
            epochs=epochs,
            patience=None,
            class_weights=False,
        )
        samples = crops_of(training, config, klh, seed=options.seed + stage)
        losses += train(network, samples, None, settings, seed=options.seed + stage).table["loss"].tolist()

    def picked(part: list[Example]) -> pd.DataFrame:
        return concatenate(
            compact.candidates(
                compact.score_map(network, config, each.picture), each.picture.frame, each.name, each.diameter
            )
            for each in tqdm(part, desc="picking")
        )

    truth = {id(part): concatenate(each.labels for each in part) for part in (choosing, testing)}
    names = [each.name for each in choosing]
    for _ in range(2):  # the smoothing of the scores, which follows, is not linear in them
        calibrate(network, *scores_and_truth(picked(choosing), truth[id(choosing)], names))
    threshold = best_threshold(picked(choosing), truth[id(choosing)], micrographs=names)
    picks, figures = picked(testing), {}
    for kind in ("all", *RECIPES):
        names = [each.name for each in testing if kind in ("all", each.name.split("_")[0])]
        if not names:
            continue
        these = picks[picks["micrograph"].isin(names)]
        result = evaluate(these, truth[id(testing)], micrographs=names, threshold=threshold, bootstrap=0)
        figures[kind] = {
            "micrographs": len(names),
            **{name: round(float(getattr(result, name)), 4) for name in ("precision", "recall", "f1")},
            "average_precision": round(float(result.average_precision), 4),
        }
        logger.info("%s: %s", kind, figures[kind])
    judged = scores_and_truth(picks, truth[id(testing)], [each.name for each in testing])
    error = calibration_error(reliability(*judged))
    logger.info("expected calibration error %.4f, threshold %.3f", error, threshold)
    provenance = {
        "made_by": "benchmarks/train_general.py",
        "seed": options.seed,
        "without": options.without,
        "micrographs": len(examples),
        "particles": labels,
        "stages": stages,
        "further": start.provenance if start else None,
        "loss": [round(float(loss), 5) for loss in losses],
        "simulated_micrographs_held_out": figures,
        "expected_calibration_error": round(error, 4),
    }
    Model(network, config, WORKING_DIAMETER, threshold, {"kind": "whitened"}, provenance=provenance).save(options.out)
    sys.stdout.write(f"{options.out}: threshold {threshold:.2f}\n")


def crops_of(training: list[Example], config: NetworkConfig, klh: float, seed: int) -> Samples:
    """Return crops of micrographs at the right scale, and some at the wrong one, where nothing is a particle."""
    from cryokit.networks.training import Samples
    from cryokit.networks.training.crops import crops

    wrong = round(WRONG_SHARE * CROPS)
    nothing = training[0].labels[:0]
    oftener = np.array([klh if each.name.startswith("klh") else 1.0 for each in training])
    parts = [
        crops(
            pictures,
            labels,
            config,
            number,
            seed=seed,
            positions=POSITIONS,
            areas=oftener * [picture.data.size for picture in pictures],
        )
        for pictures, labels, number in (
            ([each.picture for each in training], [each.labels for each in training], CROPS - wrong),
            ([each.wrong for each in training], [nothing] * len(training), wrong),
        )
    ]
    names = ("x", "y", "weights", "offsets")
    return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def scores_and_truth(
    picks: pd.DataFrame, truth: pd.DataFrame, names: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the scores of all candidates that count, and which are particles."""
    from cryokit.evaluate import evaluate

    judged = evaluate(picks, truth, micrographs=names, bootstrap=0).picks
    judged = judged[judged["outcome"] != "ignored"]
    return judged["score"].to_numpy(float), (judged["outcome"] == "true").to_numpy()


def calibrate(network: keras.Model, scores: NDArray[np.float64], true: NDArray[np.bool_]) -> None:
    """Scale and shift the network's last layer so that scores are the share of particles (Platt scaling)."""
    logit = special.logit(np.clip(scores, 1e-6, 1 - 1e-6))

    def loss(factors: NDArray) -> float:
        value = factors[0] * logit + factors[1]
        return float(np.mean(np.logaddexp(0, value) - true * value))

    slope, shift = optimize.minimize(loss, (1.0, 0.0), method="Nelder-Mead").x
    kernel, bias = network.get_layer("classes").get_weights()
    kernel[..., :2] *= slope  # what follows are offsets
    bias[:2] *= slope
    bias[0] += shift
    network.get_layer("classes").set_weights([kernel, bias])
    logger.info("scores calibrated: slope %.3f, shift %.3f", slope, shift)


def example(work: tuple[str, int, int]) -> Example | None:
    """Simulate one micrograph; None if its conditions are impossible."""
    kind, seed, number = work
    rng = np.random.default_rng([seed, number])
    recipe = RECIPES[kind]
    if kind == RANDOM:
        whole = random_protein(seed * 100_000 + number)
        size = max(form.diameter for form in whole.forms)
        pixel_size = size / rng.uniform(34, 60)
        shape = (round(rng.uniform(8, 13) * size / pixel_size),) * 2
        forms, usual = whole.forms, CONDITIONS[str(rng.choice(KNOWN))]
    else:
        size, pixel_size, shape = recipe.size, recipe.pixel_size, recipe.shape
        forms, usual = MODELS[kind], CONDITIONS[kind]

    def varied(value: float, low: float, high: float) -> float:
        return float(value * math.exp(rng.uniform(math.log(low), math.log(high))))

    if rng.random() < FINE:
        # The same field, with fewer pixels.
        across = size / pixel_size
        coarser = across / varied(1, SMALLEST, across)
        pixel_size *= coarser
        shape = tuple(max(LEAST_SIDE, round(side / coarser)) for side in shape)

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
        "crystal_size": varied(usual.crystal_size, 0.6, 3),
        "filaments": float(rng.choice((0, 2, 6) if kind == "klh" else (0, 10, 40), p=(0.6, 0.25, 0.15))),
        "carbon": 0.3,
        "defocus": (rng.uniform(0.6 * usual.defocus[0], 1.3 * usual.defocus[1]),) * 2,
    }
    snr = None
    if kind == RANDOM:
        snr = varied(1, 0.15, 2.5)
        settings["density"] = varied(1, 0.03, 0.35) / (math.pi / 4 * (size * 1e-4) ** 2)
        settings["contamination"] = float(rng.choice((0, 0.2, 0.5, 1, 3))) * 30 * (200 / size) ** 2
        settings["crystal_size"] *= size / 200
        settings["filaments"] = 0.03 * settings["density"] * float(rng.random() < 0.3)
    settings["b_factor"] = min(settings["b_factor"], (size / WORKING_DIAMETER * 2) ** 2)
    if rng.random() < DIRTY:
        area = shape[0] * shape[1] * (pixel_size * 1e-4) ** 2
        settings |= {
            "beads": float(rng.choice((0, 0, 2, 6))) / area,
            "aggregates": float(rng.choice((0, 0, 1, 4))) / area,
            "foil": 0.15,
            "beam_edge": 0.15,
            "crystalline": 0.05,
            "borders": 0.15,
        }
    if rng.random() < EMPTY:
        settings |= {"density": 0.0, "filaments": 0.0}
        snr = None

    pieces = float(rng.choice((0, 0.15, 0.4))) if settings["density"] else 0.0  # fragments for each particle
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
            parts = simulate_parts(
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
    name = parts.micrograph.name
    micrograph = Micrograph(processed(parts.micrograph.data, rng, diameter), name=name)
    spread, octaves = rng.uniform(-DIAMETER_SPREAD, DIAMETER_SPREAD), rng.choice((-1, 1)) * rng.uniform(*WRONG)
    picture = whitened(recorded(micrograph), diameter * math.exp(spread), "dark")
    too_large_or_small = diameter * 2 ** (octaves if diameter * 2**octaves >= LEAST_WRONG else -octaves)
    part = middle(recorded(micrograph), too_large_or_small, WRONG_AREA)
    wrong = whitened(part, too_large_or_small, "dark")
    return Example(name, picture, wrong, as_labels(parts.truth, parts.unusable, diameter), diameter)


def as_labels(truth: pd.DataFrame, unusable: NDArray[np.bool_], diameter: float) -> pd.DataFrame:
    """Return the truth as labels: tubes and fragments are background, whole particles at the border are particles."""
    rows, columns = unusable.shape
    to_border = np.minimum.reduce([truth["x"], truth["y"], columns - 1 - truth["x"], rows - 1 - truth["y"]])
    row, column = (
        np.clip(np.rint(truth[name]).astype(int), 0, last - 1) for name, last in (("y", rows), ("x", columns))
    )
    hidden = unusable[row, column]
    ignored = (truth["view"] == IGNORE) & (truth["broken"] | truth["overlap"] | hidden | (to_border >= diameter / 2))
    view = np.where(ignored, IGNORE, np.where(truth["view"] == IGNORE, "irregular", truth["view"]))
    labels = truth.assign(view=view.astype(object), diameter=diameter)
    return labels[~truth["form"].isin(("tube", "fragment"))]


def processed(data: NDArray, rng: np.random.Generator, diameter: float) -> NDArray[np.float32]:
    """Return a micrograph as recorded, or as published ones often are: smoothed, denoised, equalised, in 8 bits."""
    data = ((data - data.mean()) / data.std()).astype(np.float32)
    unit = diameter / WORKING_DIAMETER
    chance = rng.random()
    if chance < 0.35:
        picture, rounded = data, 0.25
    elif chance < 0.55:
        picture, rounded = ndimage.gaussian_filter(data, unit * math.exp(rng.uniform(math.log(0.3), math.log(2)))), 0.7
    elif chance < 0.68:
        picture, rounded = denoised(data, rng, unit), 0.6
    elif chance < 0.8:
        # Not binned, so that the truth stays where it is.
        stage = str(rng.choice(("restored", "adaptive", "guided", "opened")))
        chain = Preprocessing(working_diameter=max(4.0, 1.01 * diameter))
        picture, rounded = chain.stages(data, diameter, keep=(stage,))[stage], 0.6
    else:
        picture, rounded = equalised(data, rng, unit, diameter), 0.6
    return in_bytes(picture, rng) if rng.random() < rounded else picture.astype(np.float32)


def equalised(data: NDArray, rng: np.random.Generator, unit: float, diameter: float) -> NDArray[np.float32]:
    """Return a micrograph, smoothed or not, with its histogram equalised, as a whole or in tiles, and another gamma."""
    from skimage import exposure

    if rng.random() < 0.7:
        data = ndimage.gaussian_filter(data, unit * rng.uniform(0.2, 0.9))
    low, high = np.quantile(data, (0.005, 0.995))
    data = np.clip((data - low) / (high - low), 0, 1)
    if rng.random() < 0.4:
        data = exposure.equalize_hist(data)
    if rng.random() < 0.7:
        tile = int(rng.uniform(1.5, 8) * diameter)
        data = exposure.equalize_adapthist(data, kernel_size=tile, clip_limit=math.exp(rng.uniform(-5.8, -3)))
    if rng.random() < 0.3:
        data = ndimage.gaussian_filter(data, unit * rng.uniform(0.3, 1.5))
    return (data ** rng.uniform(0.6, 1.6)).astype(np.float32)


def in_bytes(data: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a picture rounded to 256 grey values, and half of the time compressed as JPEG: what that adds is noise."""
    from PIL import Image

    tail = float(rng.choice((0.0, 0.001, 0.005)))
    low, high = np.quantile(data, (tail, 1 - tail))
    rounded = np.clip(np.rint((data - low) * (255 / max(high - low, 1e-9))), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        file = io.BytesIO()
        Image.fromarray(rounded).save(file, "JPEG", quality=int(rng.integers(70, 98)))
        rounded = np.asarray(Image.open(file))
    return rounded.astype(np.float32)


def denoised(data: NDArray, rng: np.random.Generator, unit: float) -> NDArray[np.float32]:
    """Return a micrograph after one of the filters that keep edges."""
    from skimage import restoration

    kind = str(rng.choice(("median", "variation", "wiener", "bilateral")))
    if kind == "median":
        return ndimage.median_filter(data, max(3, round(unit * rng.uniform(1, 3)))).astype(np.float32)
    if kind == "variation":
        return restoration.denoise_tv_chambolle(data, weight=rng.uniform(0.1, 0.8), max_num_iter=50).astype(np.float32)
    if kind == "wiener":
        return matlab.wiener2(data.astype(np.float32), (2 * max(1, round(unit * rng.uniform(0.6, 2))) + 1,) * 2)
    smooth = ndimage.gaussian_filter(data, 0.5)
    return matlab.imguidedfilter(
        smooth.astype(np.float32),
        window=(2 * max(1, round(unit * rng.uniform(0.7, 2))) + 1,) * 2,
        smoothing=rng.uniform(0.05, 1) * float(smooth.var()),
    )


if __name__ == "__main__":
    sys.exit(main())
