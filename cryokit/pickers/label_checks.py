"""Labels that a picker is given to learn from: of which micrographs they are, and whether they can be."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from cryokit._util.wording import plural, some
from cryokit.coordinates import IGNORE, validate
from cryokit.errors import PickerError
from cryokit.imaging.peaks import inside
from cryokit.micrograph import Micrograph, shape
from cryokit.pickers.interface import names_of

STRAY = 0.05  # of the labels of a micrograph may lie outside of it


class Labelled(NamedTuple):
    """Micrographs with labels.

    Attributes
    ----------
    micrographs : list of Micrograph or path
        Those that the labels name, in their order.
    labels : pandas.DataFrame
        Table of picks: theirs.
    diameter : float
        Of the particle, in pixels of the micrographs.
    told : str
        What was found, for `decisions_`.
    """

    micrographs: list[Micrograph | str | os.PathLike]
    labels: pd.DataFrame
    diameter: float
    told: str


def labelled(
    micrographs: Sequence[Micrograph | str | os.PathLike], labels: pd.DataFrame, diameter: float | None = None
) -> Labelled:
    """Return the micrographs that labels are of, and these labels.

    A micrograph that no label names has not been looked at: it is left out, not taken for empty. One that is known to
    be empty has a row of the view ``ignore``.

    Parameters
    ----------
    micrographs : sequence of Micrograph or path
        Of those given as paths only the headers are read.
    labels : pandas.DataFrame
        Table of picks.
    diameter : float, optional
        The median of the labels when not given.

    Returns
    -------
    Labelled

    Raises
    ------
    PickerError
        When no particle is labelled on any of the micrographs, no diameter is known, or labels lie outside.
    CoordinateError
        When the labels are no table of picks.
    """
    names = names_of(micrographs)
    labels = validate(labels, "the labels")
    labels = labels[labels["micrograph"].isin(names)].reset_index(drop=True)
    particles = labels[labels["view"] != IGNORE]
    if particles.empty:
        raise PickerError(
            f"no label is of these micrographs ({some(names)}); file names without their suffixes have to agree"
        )
    found = float(diameter or particles["diameter"].median())
    if not math.isfinite(found):
        raise PickerError("the labels say no diameter; give it, in pixels of the micrographs")
    named = set(labels["micrograph"])
    kept = [each for each, name in zip(micrographs, names, strict=True) if name in named]
    for micrograph, name in zip(kept, names_of(kept), strict=True):
        _check_places(labels[labels["micrograph"] == name], micrograph, name)
    left = len(micrographs) - len(kept)
    told = (
        f"labels: {plural(len(particles), 'particle')} in {plural(len(kept), 'micrograph')}"
        + (f" (left out, for they have no labels: {left})" if left else "")
        + f", {found:.0f} pixels across ({'given' if diameter else 'from the labels'})"
    )
    return Labelled(kept, labels, found, told)


def _check_places(labels: pd.DataFrame, micrograph: Micrograph | str | os.PathLike, name: str) -> None:
    rows, columns = micrograph.data.shape if isinstance(micrograph, Micrograph) else shape(micrograph)
    outside = int((~inside(labels["x"], labels["y"], (rows, columns), 0.0)).sum())
    if outside > STRAY * len(labels):
        raise PickerError(
            f"{name}: {outside} of {plural(len(labels), 'label')} lie outside its {columns} x {rows} pixels (columns x "
            "rows); labels are in pixels of the micrograph as stored, not binned"
        )
