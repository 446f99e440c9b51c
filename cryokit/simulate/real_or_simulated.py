"""Micrographs of a protein for a lesson: real ones where they are at hand, else simulated ones."""

from __future__ import annotations

import dataclasses
import os
from typing import NamedTuple

import pandas as pd

from cryokit._util.validation import check_choice, check_number
from cryokit._util.wording import plural
from cryokit.coordinates import concatenate
from cryokit.errors import DatasetError
from cryokit.micrograph import Micrograph, read
from cryokit.simulate.rendering import simulate_set

# protein of a simulation -> its real, labelled micrographs
REAL_DATASETS = {
    "apoferritin": "apoferritin_10146",
    "klh": "klh",
    "ribosome": "ribosome_10028",
    "betagal": "betagal_10017",
}


class Sample(NamedTuple):
    """Micrographs, the particles on them, and where they come from."""

    images: list[Micrograph]
    truth: pd.DataFrame  # of real micrographs, what people have labelled
    real: bool
    origin: str  # a sentence for the reader


def real_or_simulated(
    protein: str, n: int, *, data: str = "auto", seed: int = 0, also: tuple[str, ...] = (), **settings
) -> Sample:
    """Return micrographs of a protein with their particles.

    Parameters
    ----------
    protein : {"apoferritin", "klh", "ribosome", "betagal"}
        Protein.
    n : int
        Number of micrographs; of real ones at most as many.
    data : str
        ``"auto"`` for real micrographs if ``cryokit data fetch`` has brought labelled ones, else simulated ones;
        ``"simulated"``; or a folder with real ones, as for `cryokit.datasets.labelled_pairs`.
    seed : int
        Random seed of the simulation.
    also : tuple of str
        Names of further datasets of the protein, whose micrographs come after those of its own.
    **settings
        Keyword arguments of `simulate_set`, for simulated micrographs only.

    Returns
    -------
    Sample
        Real micrographs have the pixel size of their dataset if their files have none.

    Raises
    ------
    DatasetError
        If the folder does not exist, or has no labelled micrographs of the protein.

    Examples
    --------
    >>> sample = real_or_simulated("apoferritin", 1, data="simulated", shape=(256, 256), n_particles=4)
    >>> sample.real, len(sample.images), len(sample.truth)
    (False, 1, 4)
    """
    from cryokit.datasets import labelled_pairs

    check_choice("protein", protein, REAL_DATASETS)
    check_number("n", n, 1, whole=True)
    name = REAL_DATASETS[protein]
    pairs = []
    if data != "simulated":
        folder = None if data == "auto" else os.path.expanduser(data)
        pairs = [(each, *pair) for each in (name, *also) for pair in labelled_pairs(each, folder)][:n]
        if not pairs and data != "auto":
            raise DatasetError(
                f"{data}: no labelled micrographs of {protein} (in {name}/micrographs and {name}/labels)"
            )
    if pairs:
        images = [_opened(path, each) for each, path, _ in pairs]
        truth = concatenate(
            labels.assign(micrograph=image.name) for image, (_, _, labels) in zip(images, pairs, strict=True)
        )
        used = " and ".join(dict.fromkeys(each for each, _, _ in pairs))
        origin = f"Real micrographs: {plural(len(images), 'micrograph')} of {used}, labelled by people."
        return Sample(images, truth, True, origin)
    simulated = list(simulate_set(protein, n, seed=seed, **settings))
    origin = f"Simulated: {plural(n, 'micrograph')} of {protein}, seed {seed}, with every particle known."
    if data == "auto":
        origin += f" No labelled real ones of {protein} have been fetched."
    return Sample([image for image, _ in simulated], concatenate(truth for _, truth in simulated), False, origin)


def _opened(path: str | os.PathLike, name: str) -> Micrograph:
    """Read a micrograph of a dataset, with the dataset's pixel size if the file has none."""
    from cryokit.datasets import load

    image = read(path)
    return image if image.pixel_size else dataclasses.replace(image, pixel_size=load(name).manifest.pixel_size)
