"""Draw the picture in README.md: what ``make demo`` shows, for four proteins.

    python benchmarks/readme_picture.py benchmarks/readme.jpg

Three micrographs of each protein are simulated (seed 0), picked with `template` without labels or settings, and scored
against the truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from cryokit import pickers, plot
from cryokit.evaluate import evaluate
from cryokit.micrograph import Micrograph
from cryokit.simulate import simulate_set

PROTEINS = ("klh", "apoferritin", "ribosome", "betagal")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="picture to write")
    path = parser.parse_args().path

    figure, axes = plot.figure(1, 3, width=5, height=5.6)
    results = {}
    for protein in PROTEINS:
        simulated = list(simulate_set(protein, 3, seed=0))
        opened = [micrograph for micrograph, _ in simulated]
        picker = pickers.create("template").fit(opened)
        results[protein] = evaluate(
            pd.concat([picker.pick(micrograph, threshold=0) for micrograph in opened]),
            pd.concat([truth for _, truth in simulated]),
            micrographs=[micrograph.name for micrograph in opened],
            threshold=picker.threshold_,
        )
        if protein in ("klh", "ribosome"):
            ax = axes[0, int(protein == "ribosome")]
            plot.overlay(
                ax, _quarter(opened[0]), evaluation=results[protein], legend=False, title=f"{protein}, simulated"
            )
            rows, columns = _quarter(opened[0]).data.shape
            ax.set(xlim=(0, columns - 1), ylim=(rows - 1, 0))
    plot.precision_recall(axes[0, 2], results)
    axes[0, 2].set_title("template, no labels, no settings", fontsize="medium")
    plot.save(figure, path, dpi=80)


def _quarter(micrograph: Micrograph) -> Micrograph:
    rows, columns = micrograph.data.shape
    if micrograph.pixel_size < 3:  # large particles: show more of the micrograph
        rows, columns = round(1.4 * rows), round(1.4 * columns)
    return Micrograph(micrograph.data[: rows // 2, : columns // 2], micrograph.pixel_size, micrograph.name)


if __name__ == "__main__":
    main()
