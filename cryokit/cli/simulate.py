"""``cryokit simulate``: micrographs with known truth, as MRC files with labels."""

import argparse
import logging
from pathlib import Path

from cryokit.cli.arguments import add_simulation, positive
from cryokit.simulate import ARTEFACTS, PROTEINS

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("protein", metavar="PROTEIN", choices=PROTEINS, help=", ".join(PROTEINS))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for MRC files and labels")
    add_simulation(parser, micrographs=1)
    parser.add_argument("--particles", type=int, metavar="N", help="per micrograph (default: usual for the protein)")
    parser.add_argument("--pixel-size", type=positive, metavar="A", help="Angstrom (default: usual for the protein)")
    parser.add_argument("--snr", type=float, help="signal-to-noise ratio below 1/20 A (default: follows from the dose)")
    parser.add_argument("--dose", type=float, metavar="E", help="electrons per square Angstrom")
    parser.add_argument("--defocus", type=float, metavar="UM", help="mean underfocus (default: drawn per micrograph)")
    parser.add_argument("--contamination", type=float, metavar="N", help="ice crystals per square micrometre")
    carbon = parser.add_mutually_exclusive_group()
    carbon.add_argument("--carbon", action="store_true", default=None, help="show the carbon edge on every micrograph")
    carbon.add_argument("--no-carbon", action="store_false", dest="carbon", help="on none (default: on some)")
    parser.add_argument(
        "--artefacts",
        nargs="+",
        choices=ARTEFACTS,
        default=(),
        metavar="NAME",
        help=f"on every micrograph, with masks in DIR/masks: {', '.join(ARTEFACTS)}",
    )


def run(options: argparse.Namespace) -> int:
    """Write the micrographs ``<protein>_001.mrc`` and so on, ``labels/<micrograph>.csv``, and masks of artefacts."""
    from tqdm import tqdm

    from cryokit._util.files import inside, make_folder, write_text
    from cryokit.micrograph import write_mrc
    from cryokit.simulate import simulate_set_parts

    make_folder(options.out)
    given = {name: getattr(options, name) for name in ("dose", "contamination") if getattr(options, name) is not None}
    simulated = simulate_set_parts(
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
        **{name: ARTEFACTS[name] for name in options.artefacts},
    )
    for parts in tqdm(simulated, total=options.micrographs, unit="micrograph", disable=None):
        micrograph, truth = parts.micrograph, parts.truth
        if options.artefacts:
            mask = parts.unusable.astype("int8")
            write_mrc(inside(options.out, f"masks/{micrograph.name}.mrc"), mask, pixel_size=micrograph.pixel_size)
        write_mrc(options.out / f"{micrograph.name}.mrc", micrograph.data, pixel_size=micrograph.pixel_size)
        labels = truth[["x", "y", "diameter", "view"]].to_csv(index=False, float_format="%.3f")
        write_text(inside(options.out, f"labels/{micrograph.name}.csv"), labels)
    logger.info("micrographs: %d -> %s, their labels -> %s", options.micrographs, options.out, options.out / "labels")
    return 0
