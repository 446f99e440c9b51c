"""Labels to learn from: whether they fit the micrographs, and which micrographs are held out."""

import logging
import math
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cryokit._util.names import micrograph_names
from cryokit._util.wording import plural, some
from cryokit.coordinates import IGNORE, concatenate, validate, without_repeats
from cryokit.errors import CryokitError, PickerError
from cryokit.evaluate.wrong_frame import Hint, wrong_frame
from cryokit.imaging.peaks import inside
from cryokit.micrograph import Micrograph, MicrographLike
from cryokit.pickers.interface import Micrographs
from cryokit.pickers.one_of_many import read_named
from cryokit.pickers.template import TemplatePicker

logger = logging.getLogger(__name__)

STRAY = 0.05  # share of the labels of a micrograph that may lie outside of it
LOOKED_AT = 2  # micrographs, to see whether labels are in their frame
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
    labels = without_repeats(labels[labels["micrograph"].isin(names)].reset_index(drop=True))
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


def frame_of_labels(
    paths: Sequence[str | os.PathLike],
    labels: pd.DataFrame,
    diameter: float | None = None,
    contrast: str | None = None,
    *,
    sum_frames: bool = False,
) -> Hint | None:
    """Find out whether labels fit their micrographs in another frame only.

    Particles are found without the labels, by template matching on a few micrographs with many labels.

    Parameters
    ----------
    paths : sequence of path-like
        Micrographs.
    labels : pandas.DataFrame
        Table of picks of these micrographs.
    diameter : float, optional
        Particle diameter in pixels of the micrographs; default: the median of the labels.
    contrast : {"dark", "bright"}, optional
        Contrast of the particles; detected by default.
    sum_frames : bool
        Whether to sum the frames of movies.

    Returns
    -------
    cryokit.evaluate.wrong_frame.Hint or None
        None if they fit as they are, or it cannot be told.
    """
    particles = labels[labels["view"] != IGNORE]
    counts = particles["micrograph"].value_counts()
    named = zip(micrograph_names(paths), paths, strict=True)
    chosen = sorted(named, key=lambda pair: -counts.get(pair[0], 0))[:LOOKED_AT]
    try:
        micrographs = [read_named(path, name, sum_frames=sum_frames) for name, path in chosen]
        heights = {micrograph.name: len(micrograph.data) for micrograph in micrographs}
        own = float(particles["diameter"].median())
        for across in [diameter] if diameter else [scale * own for scale in _scales(micrographs, particles)]:
            if not across > 0:
                continue
            picker = TemplatePicker(diameter=across, contrast=contrast).fit(micrographs)
            found = concatenate(picker.pick(micrograph) for micrograph in micrographs).assign(diameter=across)
            if (hint := wrong_frame(particles, found, heights=heights)) is not None:
                return hint
    except CryokitError as error:  # whoever learns from them says what is wrong, or does not mind
        logger.debug("labels are not compared with what is found without them: %s", error)
    return None


def _scales(micrographs: Sequence[Micrograph], particles: pd.DataFrame) -> list[int]:
    """Return by what whole numbers labels may have to be multiplied: 1, or before it as far as they stay inside."""
    reach = math.inf
    for micrograph in micrographs:
        own = particles[particles["micrograph"] == micrograph.name]
        rows, columns = micrograph.data.shape
        if len(own):
            reach = min(reach, columns / max(own["x"].max(), 1.0), rows / max(own["y"].max(), 1.0))
    return [int(reach), 1] if 2 <= reach < math.inf else [1]


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
