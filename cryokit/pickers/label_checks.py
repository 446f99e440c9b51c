"""Labels to learn from: whether they fit the micrographs, and which micrographs are held out."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from cryokit._util.wording import plural, some
from cryokit.coordinates import IGNORE, validate
from cryokit.errors import PickerError
from cryokit.imaging.peaks import inside
from cryokit.micrograph import MicrographLike
from cryokit.pickers.interface import Micrographs

STRAY = 0.05  # share of the labels of a micrograph that may lie outside of it
FEWEST_TO_DIVIDE = 3  # micrographs: of fewer, none is held out


class Labelled(NamedTuple):
    """Micrographs with their labels.

    Attributes
    ----------
    micrographs : Micrographs
        Those that the labels name, in their order.
    labels : pandas.DataFrame
        Table of picks of these micrographs.
    diameter : float
        Particle diameter in pixels of the micrographs.
    decision : str
        Summary for `Picker.decisions_`.
    """

    micrographs: Micrographs
    labels: pd.DataFrame
    diameter: float
    decision: str


def labelled(micrographs: Iterable[MicrographLike], labels: pd.DataFrame, diameter: float | None = None) -> Labelled:
    """Return the micrographs that labels are of, and these labels.

    A micrograph that no label names is left out, rather than taken for empty: nobody has looked at it. One that is
    known to be empty has a row of the view ``ignore``.

    Parameters
    ----------
    micrographs : iterable of Micrograph or path
        Of files only the headers are read.
    labels : pandas.DataFrame
        Table of picks.
    diameter : float, optional
        Particle diameter; default: the median of the labels.

    Returns
    -------
    Labelled

    Raises
    ------
    PickerError
        If no particle is labelled on any of the micrographs, no diameter is known, or labels lie outside.
    CoordinateError
        If the labels are no table of picks.
    """
    micrographs = Micrographs(micrographs)
    names = micrographs.names
    labels = validate(labels, "the labels")
    labels = labels[labels["micrograph"].isin(names)].reset_index(drop=True)
    particles = labels[labels["view"] != IGNORE]
    if particles.empty:
        raise PickerError(
            f"no particle is labelled on these micrographs ({some(names)}); their names, without folders and suffixes, "
            "have to be those in the labels"
        )
    across = float(diameter or particles["diameter"].median())
    if not math.isfinite(across):
        raise PickerError("the labels have no diameter; give it, in pixels of the micrographs")
    by_name = dict(tuple(labels.groupby("micrograph")))
    kept = micrographs.subset(index for index, name in enumerate(names) if name in by_name)
    for index, name in enumerate(kept.names):
        _check_places(by_name[name], kept.shape(index), name)
    left_out = len(micrographs) - len(kept)
    decision = (
        f"labels: {plural(len(particles), 'particle')} in {plural(len(kept), 'micrograph')}"
        + (f" (left out, without labels: {left_out})" if left_out else "")
        + f", {across:.0f} pixels across ({'given' if diameter else 'from the labels'})"
    )
    return Labelled(kept, labels, across, decision)


def _check_places(labels: pd.DataFrame, shape: tuple[int, int], name: str) -> None:
    outside = int((~inside(labels["x"], labels["y"], shape, 0.0)).sum())
    if outside > STRAY * len(labels):
        raise PickerError(
            f"{name}: {outside} of {plural(len(labels), 'label')} lie outside its {shape[1]} x {shape[0]} pixels "
            "(columns x rows); labels have to be in pixels of the micrograph as stored, not binned (cryokit convert "
            "--scale, --flip-y)"
        )


def hold_out(micrographs: Micrographs, share: float, seed: int) -> tuple[Micrographs, Micrographs]:
    """Divide micrographs into those to learn from and those to choose a threshold on.

    Parameters
    ----------
    micrographs : Micrographs
        Labelled micrographs.
    share : float
        Share that is held out: at least one micrograph of three or more; none of fewer, or with 0.
    seed : int
        Random seed of the choice.

    Returns
    -------
    training, held_out : Micrographs

    Examples
    --------
    >>> training, held_out = hold_out(Micrographs(["a.mrc", "b.mrc", "c.mrc", "d.mrc"]), 0.25, seed=0)
    >>> training.names, held_out.names
    (['a', 'b', 'd'], ['c'])
    """
    number = max(1, round(share * len(micrographs))) if share and len(micrographs) >= FEWEST_TO_DIVIDE else 0
    order = np.random.default_rng(seed).permutation(len(micrographs))
    return micrographs.subset(sorted(order[number:])), micrographs.subset(sorted(order[:number]))
