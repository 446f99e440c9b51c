"""Draw simulated micrographs beside real ones: pictures, particles, power spectra and grey levels.

Writes one PNG for every data set in the folder of real micrographs (default: `shared/data` beside the repository). It
shows a real and a simulated micrograph at the same display contrast, single particles of both, their radial power
spectra and grey-level histograms, at full resolution and low-passed, all in standard deviations of the picture.

    python benchmarks/compare_simulation.py OUT [--data DIR] [--proteins klh ...] [--seed 0]

The micrographs of beta-galactosidase and klh_preprocessed were denoised before they were published: compare their
shapes with the low-passed simulation, not their spectra.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from scipy import ndimage

from cryokit.micrograph import Micrograph, find, read
from cryokit.simulate import simulate

FOLDERS = {
    "klh": "klh",
    "apoferritin": "apoferritin_10146",
    "ribosome": "ribosome_10028",
    "betagal": "betagal_10017",
}
DENOISED = ("betagal",)
VIEWS = ("top", "side", "irregular", "ignore")


def radial_power(data: np.ndarray, tile: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Return spatial frequency (1 / pixel) and mean power by Welch's method with half-overlapping Hann windows."""
    tile = min(tile, *data.shape)
    window = np.outer(np.hanning(tile), np.hanning(tile))
    power, count = np.zeros((tile, tile)), 0
    for row in range(0, data.shape[0] - tile + 1, tile // 2):
        for column in range(0, data.shape[1] - tile + 1, tile // 2):
            part = data[row : row + tile, column : column + tile]
            power += np.abs(np.fft.fft2((part - part.mean()) * window)) ** 2
            count += 1
    power /= count * (window**2).sum()
    frequency = np.fft.fftfreq(tile)
    ring = np.round(np.hypot(frequency[:, None], frequency[None, :]) * tile).astype(int).ravel()
    mean = np.bincount(ring, power.ravel()) / np.bincount(ring)
    return np.arange(1, tile // 2 + 1) / tile, mean[1 : tile // 2 + 1]


def standardised(data: np.ndarray) -> np.ndarray:
    """Return grey levels in robust standard deviations from the median, dark negative."""
    low, middle, high = np.percentile(data, [15.87, 50, 84.13])
    return (data - middle) / max((high - low) / 2, 1e-9)


def gallery(data: np.ndarray, labels: pd.DataFrame, view: str, count: int) -> np.ndarray | None:
    """Return `count` particles of one view side by side, or None if there are none."""
    rows = labels[labels["view"] == view]
    half = int(np.ceil(0.75 * labels.loc[labels["view"] != "ignore", "diameter"].max()))
    inside = rows[rows.x.between(half, data.shape[1] - half - 1) & rows.y.between(half, data.shape[0] - half - 1)].head(
        count
    )
    if inside.empty:
        return None
    tiles = [data[y - half : y + half, x - half : x + half] for x, y in inside[["x", "y"]].round().astype(int).values]  # noqa: PD011
    tiles += [np.zeros_like(tiles[0])] * (count - len(tiles))
    return np.hstack(tiles)


def compare(protein: str, real: list[tuple[Micrograph, pd.DataFrame]], out: Path, seed: int) -> Path:
    """Draw one protein's comparison and return its file."""
    import matplotlib.pyplot as plt

    micrograph, labels = real[seed % len(real)]
    made, truth = simulate(protein, shape=micrograph.data.shape, n_particles=len(labels), seed=seed)
    diameter = float(labels["diameter"].max())
    sigma = diameter / 30
    if protein in DENOISED:
        soft = [
            micrograph.data,
            ndimage.gaussian_filter(made.data, 2.6 * sigma) - ndimage.gaussian_filter(made.data, 10 * sigma),
        ]
        pairs = {"as published | band-passed": soft}
    else:
        pairs = {
            "as recorded": [micrograph.data, made.data],
            "low-passed": [ndimage.gaussian_filter(a, sigma) for a in (micrograph.data, made.data)],
        }
    pairs = {key: [standardised(a) for a in pair] for key, pair in pairs.items()}
    views = [view for view in VIEWS if (labels["view"] == view).any() or (truth["view"] == view).any()]
    figure, axes = plt.subplots(
        len(pairs) + len(views) + 1, 2, figsize=(20, 10 * len(pairs) + 4 * len(views) + 6),
        height_ratios=[10] * len(pairs) + [3] * len(views) + [6], layout="constrained",
    )  # fmt: skip
    grey = dict(cmap="gray", vmin=-3, vmax=3, interpolation="none")
    for row, (key, pair) in enumerate(pairs.items()):
        for column, (data, title) in enumerate(zip(pair, (micrograph.name, made.name), strict=True)):
            axes[row, column].imshow(data, **grey)
            axes[row, column].set_title(f"{title}: {key}")
    softest = list(pairs.values())[-1]
    for row, view in enumerate(views, start=len(pairs)):
        for column, (data, where) in enumerate(zip(softest, (labels, truth), strict=True)):
            picture = gallery(data, where, view, 6)
            if picture is not None:
                axes[row, column].imshow(picture, **grey)
            axes[row, column].set_title(f"{view}, low-passed")
    for axis in axes[:-1].flat:
        axis.set_axis_off()
    spectrum, histogram = axes[-1]
    for style, (key, pair) in zip(("-", "--"), pairs.items(), strict=False):
        for data, colour, title in zip(pair, ("C0", "C1"), ("real", "simulated"), strict=True):
            if style == "-":
                spectrum.semilogy(*radial_power(data), colour, label=title)
            histogram.hist(
                data.ravel(), bins=np.linspace(-6, 6, 121), density=True, histtype="step", color=colour, ls=style,
                label=f"{title}, {key}",
            )  # fmt: skip
    spectrum.set(xlabel="spatial frequency (1 / pixel)", ylabel="power (standard deviations squared)")
    histogram.set(xlabel="grey level (robust standard deviations)", ylabel="density", yscale="log", ylim=(1e-5, 1))
    spectrum.legend()
    histogram.legend()
    path = out / f"compare_{protein}.png"
    figure.savefig(path, dpi=60)
    plt.close(figure)
    return path


def main() -> None:
    """Run from the command line."""
    repository = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="output folder")
    parser.add_argument("--data", type=Path, default=repository.parent / "shared" / "data", help="real micrographs")
    parser.add_argument("--proteins", nargs="+", choices=FOLDERS, default=tuple(FOLDERS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    mpl.use("Agg")
    options.out.mkdir(parents=True, exist_ok=True)
    for protein in options.proteins:
        folder = options.data / FOLDERS[protein]
        if not folder.is_dir():
            parser.error(f"no folder {folder}; name the folder of real micrographs with --data")
        real = [
            (read(path), pd.read_csv(folder / "labels" / f"{path.stem}.csv")) for path in find([folder / "micrographs"])
        ]
        print(compare(protein, real, options.out, options.seed))


if __name__ == "__main__":
    main()
