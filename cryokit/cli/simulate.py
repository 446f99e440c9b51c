"""``cryokit simulate``: micrographs whose truth is known, as MRC files with labels."""

from __future__ import annotations

import argparse
from pathlib import Path

# As in cryokit.simulate.PROTEINS, which costs the import of scipy; a test keeps them equal.
PROTEINS = ("klh", "apoferritin", "ribosome", "betagal")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("protein", metavar="PROTEIN", choices=PROTEINS, help=", ".join(PROTEINS))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the MRC files and labels")
    parser.add_argument("-n", "--micrographs", type=_count, default=1, metavar="N", help="how many (default 1)")
    parser.add_argument("--particles", type=int, metavar="N", help="per micrograph (default: usual for the protein)")
    parser.add_argument(
        "--shape", type=int, nargs=2, default=(2048, 2048), metavar=("ROWS", "COLUMNS"), help="default 2048 2048"
    )
    parser.add_argument("--pixel-size", type=float, metavar="A", help="Angstrom (default: usual for the protein)")
    parser.add_argument("--snr", type=float, help="signal-to-noise ratio below 1/20 A (default: follows from the dose)")
    parser.add_argument("--dose", type=float, metavar="E", help="electrons per square Angstrom")
    parser.add_argument("--defocus", type=float, metavar="UM", help="mean underfocus (default: drawn per micrograph)")
    parser.add_argument("--contamination", type=float, metavar="N", help="ice crystals per square micrometre")
    carbon = parser.add_mutually_exclusive_group()
    carbon.add_argument("--carbon", action="store_true", default=None, help="show the carbon edge on every micrograph")
    carbon.add_argument("--no-carbon", action="store_false", dest="carbon", help="on none (default: on some)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files (default 0)")


def run(options: argparse.Namespace) -> int:
    """Write the micrographs ``<protein>_001.mrc`` and so on, and ``labels/<micrograph>.csv``."""
    from tqdm import tqdm

    from cryokit.files import write_text
    from cryokit.micrograph import write_mrc
    from cryokit.simulate import simulate_set

    given = {name: getattr(options, name) for name in ("dose", "contamination") if getattr(options, name) is not None}
    made = simulate_set(
        options.protein,
        options.micrographs,
        seed=options.seed,
        shape=tuple(options.shape),
        n_particles=options.particles,
        pixel_size=options.pixel_size,
        snr=options.snr,
        defocus=options.defocus,
        carbon=options.carbon,
        **given,
    )
    for micrograph, truth in tqdm(made, total=options.micrographs, unit="micrograph", disable=None):
        write_mrc(options.out / f"{micrograph.name}.mrc", micrograph.data, pixel_size=micrograph.pixel_size)
        labels = truth[["x", "y", "diameter", "view"]].to_csv(index=False, float_format="%.3f")
        write_text(options.out / "labels" / f"{micrograph.name}.csv", labels)
    return 0


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value
