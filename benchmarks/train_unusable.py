"""Train the classifier that tells usable ice from everything else, on simulated micrographs.

    python benchmarks/train_unusable.py --out cryokit/imaging/unusable.npz

Micrographs of four proteins of `cryokit.simulate` and of random ones are simulated over a wide range of sizes (8 to 130
thousandths of the micrograph), contrast, density and processing. Two thirds of them have artefacts: half of these as
`cryokit.simulate` makes them (carbon, crystals, foil, beam edge, beads, aggregates, padded borders), half painted on
without any physics, so that the classifier does not only know what the simulator does. No real micrograph is used. A
tenth is held out; the figures that are printed and kept beside the weights are measured on these.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm
from train_general import KNOWN, RANDOM, RECIPES, processed

from cryokit._util.files import replacing
from cryokit.imaging import bin_integer
from cryokit.imaging.ice_features import block_size, features
from cryokit.simulate import CONDITIONS, MODELS, Protein, SimulationError, random_protein, simulate_parts

HELD_OUT = 10  # every tenth micrograph
PIXELS = 1500  # that are learned from, per micrograph: as many of each kind as there are,
# but for small objects, which would have hardly any: up to ten times as many, until they are this share.
OFTENER, LEAST_SHARE = 10, 0.06
HIDDEN = (128, 32)
EPOCHS = 7
# There are many pixels but few micrographs, which the network would learn by heart without these.
NOISE, DROPOUT, DECAY = 0.3, 0.2, 0.01
PAINTED = ("discs", "lumps", "arc", "corner", "border", "column", "spots")


def main() -> int:
    """Simulate, train, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file for the weights")
    parser.add_argument("--micrographs", type=int, default=1500, help="how many to simulate (default 1500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes for simulating (default 2)")
    options = parser.parse_args()
    work = [(options.seed, number) for number in range(options.micrographs)]
    with get_context("spawn").Pool(options.jobs) as pool:
        examples = list(tqdm(pool.imap(example, work, chunksize=4), total=len(work), desc="simulating"))
    held_out = [example for example in examples[::HELD_OUT] if example is not None]
    training = [example for number, example in enumerate(examples) if number % HELD_OUT and example is not None]
    weights = train(np.concatenate([x for x, _ in training]), np.concatenate([y for _, y in training]), options.seed)
    figures = figures_of(weights, held_out)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    with replacing(options.out) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **weights, provenance=json.dumps({"seed": options.seed, "held_out": figures}))
    return 0


def example(work: tuple[int, int]) -> tuple[NDArray, NDArray] | None:
    """Simulate and measure one micrograph: pixels to learn from, or all pixels of one that is held out."""
    seed, number = work
    rng = np.random.default_rng([seed, number])
    scene = dirty_micrograph(rng, number)
    if scene is None:
        return None
    measured = measure(*scene)
    return chosen(*measured, rng) if number % HELD_OUT else measured


def dirty_micrograph(rng: np.random.Generator, number: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Simulate a micrograph, dirty or not, and return it with the mask of what is unusable; None if impossible."""
    kind = str(rng.choice((RANDOM,) * 5 + KNOWN))
    side = int(rng.choice((320, 512, 640, 800, 1024, 1280)))
    diameter = max(side * math.exp(rng.uniform(math.log(0.008), math.log(0.13))), 8.0)
    if kind == RANDOM:
        protein = random_protein(900_000 + number)
        forms, size, usual = protein.forms, protein.forms[0].diameter, CONDITIONS[str(rng.choice(KNOWN))]
    else:
        forms, size, usual = MODELS[kind], RECIPES[kind].size, CONDITIONS[kind]

    def varied(value: float, low: float, high: float) -> float:
        return float(value * math.exp(rng.uniform(math.log(low), math.log(high))))

    pixel_size = size / diameter
    area = (side * pixel_size) ** 2 * 1e-8
    settings = {
        "pixel_size": pixel_size,
        "contrast": varied(usual.contrast, 0.6, 2.2),
        "mottle": usual.mottle * rng.uniform(0.3, 2.5),
        "ice": usual.ice * rng.uniform(0.4, 2),
        "clustering": rng.uniform(0, 1),
        "ice_gradient": usual.ice_gradient * rng.uniform(0.3, 5),
        "defocus": (rng.uniform(0.6 * usual.defocus[0], 1.3 * usual.defocus[1]),) * 2,
        "b_factor": min(usual.b_factor * rng.uniform(0.5, 1.5), 4 * (size / 14) ** 2),
        "density": varied(1, 0.01, 0.35) / (math.pi / 4 * (size * 1e-4) ** 2) * float(rng.random() > 0.15),
        "carbon": 0.0,
        "contamination": 0.0,
        "filaments": 0.0,
    }
    dirty, painted = rng.random() < 0.65, rng.random() < 0.5
    if dirty:
        settings |= {"contamination": float(rng.choice((0, 3, 10, 40))) / max(4 * area, 0.1), "carbon": 0.15}
    if dirty and not painted:
        settings |= {
            "beads": float(rng.choice((0, 0, 4, 15))) / area,
            "aggregates": float(rng.choice((0, 0, 3, 10))) / area,
            "foil": 0.25,
            "beam_edge": 0.25,
            "borders": 0.25,
        }
    snr = varied(1, 0.1, 1.8) if rng.random() < 0.7 else varied(1, 1, 40)
    shape = (side, side + int(rng.integers(-40, 40)))
    for _ in range(4):
        try:
            parts = simulate_parts(
                Protein(kind, forms),
                shape=shape,
                snr=snr if settings["density"] else None,
                seed=int(rng.integers(1 << 30)),
                conditions=dataclasses.replace(usual, **settings),
            )
            break
        except SimulationError:
            settings["density"] *= 0.6
    else:
        return None
    data, mask = parts.micrograph.data, parts.unusable.copy()
    if dirty and painted:
        for kind in rng.choice(PAINTED, size=rng.integers(1, 4), replace=False):
            data, hidden = paint(data, str(kind), rng)
            mask |= hidden
    if rng.random() < 0.5:
        data = processed(data, rng, diameter)
    if rng.random() < 0.3:
        data = -data
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    data, mask = (np.rot90(picture, turns) for picture in (data, mask))
    return (data.T, mask.T) if mirrored else (data, mask)


def paint(data: NDArray, kind: str, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Paint an artefact on a micrograph; return the result and what is hidden."""
    rows, columns = data.shape
    longest, spread, middle = max(data.shape), float(data.std()), float(np.median(data))
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    data = data.copy()
    hidden = np.zeros(data.shape, bool)
    direction = rng.uniform(0, 2 * np.pi)
    if kind in ("border", "column"):
        widest = 0.08 * longest if kind == "border" else longest / 250 + 2
        width = int(rng.uniform(1, widest))
        start = 0 if kind == "border" else int(rng.integers(rows - width))
        if kind == "border" and rng.random() < 0.7:
            data[:width] = data[width]
        elif kind == "border":
            data[:width] = float(rng.choice((0.0, middle)))
        else:
            level = middle + rng.choice((-1, 1)) * rng.uniform(2, 10) * spread
            data[start : start + width] = level + 0.3 * spread * rng.standard_normal((width, columns))
        hidden[start : start + width] = True
        return data, hidden
    if kind == "arc":
        radius = rng.uniform(0.45, 1.4) * longest
        away = radius - rng.uniform(0.2, 0.48) * longest
        hidden = np.hypot(y - rows / 2 + away * np.sin(direction), x - columns / 2 + away * np.cos(direction)) > radius
    elif kind == "corner":
        along = (x - columns / 2) * np.cos(direction) + (y - rows / 2) * np.sin(direction)
        hidden = along > rng.uniform(0.15, 0.45) * longest
    else:
        number = rng.integers(5, 60) if kind == "spots" else rng.integers(1, 14)
        for _ in range(number):
            share = math.exp(rng.uniform(math.log(0.008), math.log(0.09)))
            radius = max(rng.uniform(0.002, 0.008) * longest, 1.5) if kind == "spots" else share * longest
            dy, dx = y - rng.uniform(0, rows), x - rng.uniform(0, columns)
            if kind == "lumps":
                azimuth = np.arctan2(dy, dx)
                radius = radius * (
                    1 + sum(rng.normal(0, 0.2 / n) * np.cos(n * azimuth + rng.uniform(0, 6.3)) for n in (2, 3, 4, 5))
                )
            hidden |= np.hypot(dx, dy) < radius
    cover = ndimage.gaussian_filter(hidden.astype(np.float32), math.exp(rng.uniform(math.log(0.5), math.log(8))))
    strength = math.exp(rng.uniform(math.log(1.2), math.log(8))) * spread * (-1 if rng.random() < 0.8 else 1)
    noise = ndimage.gaussian_filter(rng.standard_normal(data.shape), rng.choice((0, 0, 1, 2)))
    if rng.random() < 0.5:
        fill = data + strength
    elif kind == "arc" and rng.random() < 0.5:
        fill = float(rng.choice((0.0, middle))) + rng.uniform(0, 0.4) * spread * noise
    else:
        fill = middle + strength + rng.uniform(0, 1.2) * spread * noise
    return (data * (1 - cover) + cover * fill).astype(np.float32), cover > 0.5


def measure(data: NDArray, mask: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the features of each pixel of the small copy, and which share of it is unusable."""
    local, overall = features(np.ascontiguousarray(data, np.float32))
    local = local.reshape(-1, local.shape[-1])
    inputs = np.hstack([local, np.broadcast_to(overall, (len(local), len(overall)))])
    return inputs.astype(np.float16), bin_integer(mask.astype(np.float32), block_size(data.shape)).data.ravel()


def chosen(inputs: NDArray, share: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray[np.bool_]]:
    """Return pixels to learn from; those at a rim are neither usable nor not."""
    hidden, ice = np.flatnonzero(share > 0.5), np.flatnonzero(share <= 0)
    part = len(hidden) / max(1, len(hidden) + len(ice))
    oftener = min(OFTENER, max(1.0, LEAST_SHARE / part)) if part else 0
    places = np.concatenate(
        [
            rng.choice(hidden, round(PIXELS * part * oftener)),
            rng.choice(ice, min(len(ice), round(PIXELS * (1 - part))), replace=False),
        ]
    )
    return inputs[places], share[places] > 0.5


def train(inputs: NDArray, unusable: NDArray, seed: int) -> dict[str, NDArray[np.float32]]:
    """Train a small perceptron; return its weights, with the scaling of the inputs in the first layer."""
    import keras

    keras.utils.set_random_seed(seed)
    mean, deviation = inputs.mean(axis=0, dtype=np.float32), inputs.std(axis=0, dtype=np.float32) + 1e-3
    network = keras.Sequential([keras.Input(inputs.shape[1:])])
    network.add(keras.layers.Dropout(DROPOUT))
    network.add(keras.layers.GaussianNoise(NOISE))
    for width in HIDDEN:
        network.add(keras.layers.Dense(width, activation="relu"))
    network.add(keras.layers.Dropout(DROPOUT))
    network.add(keras.layers.Dense(1, activation="sigmoid"))
    batches = EPOCHS * len(inputs) // 2048
    rates = keras.optimizers.schedules.CosineDecay(3e-3, batches)
    network.compile(keras.optimizers.AdamW(rates, weight_decay=DECAY), "binary_crossentropy")
    network.fit((inputs - mean) / deviation, unusable, batch_size=2048, epochs=EPOCHS, verbose=2)
    weights = [np.asarray(weight, np.float32) for weight in network.get_weights()]
    weights[0] /= deviation[:, None]
    weights[1] -= mean @ weights[0]
    names = [f"{part}{layer}" for layer in range(len(HIDDEN) + 1) for part in ("kernel", "bias")]
    return dict(zip(names, weights, strict=True))


def figures_of(weights: dict[str, NDArray], held_out: list[tuple[NDArray, NDArray]]) -> dict[str, float]:
    """Return how much of the unusable area is found, and how much of the usable one is taken for it."""
    hits, falses = [], []
    for inputs, share in held_out:
        values = inputs.astype(np.float32)
        for layer in range(len(HIDDEN) + 1):
            values = values @ weights[f"kernel{layer}"] + weights[f"bias{layer}"]
            values = np.maximum(values, 0) if layer < len(HIDDEN) else values
        masked = values[:, 0] > 0
        if (share > 0.5).any():
            hits.append(masked[share > 0.5].mean())
        if (share <= 0).any():
            falses.append(masked[share <= 0].mean())
    return {
        "micrographs": len(held_out),
        "unusable_found": round(float(np.mean(hits)), 4),
        "unusable_found_median": round(float(np.median(hits)), 4),
        "usable_lost": round(float(np.mean(falses)), 4),
    }


if __name__ == "__main__":
    sys.exit(main())
