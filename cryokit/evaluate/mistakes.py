"""Which kinds of mistakes false picks are, because each kind has its own cure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cryokit.errors import ArgumentError
from cryokit.evaluate.evaluation import Evaluation

# In the order in which they are asked for; distances in diameters
SECOND, BESIDE, BORDER, ELSE = "second pick", "off the centre", "at the border", "something else"
KINDS = (SECOND, BESIDE, BORDER, ELSE)
NEAR, FAR, MARGIN = 0.25, 0.75, 0.5


def false_kinds(evaluation: Evaluation, shapes: Mapping[str, tuple[int, int]], diameter: float) -> pd.Series:
    """Return the kind of each false pick.

    Parameters
    ----------
    evaluation : Evaluation
        Evaluation of picks.
    shapes : mapping of str to tuple of int
        Rows and columns of each micrograph.
    diameter : float
        Particle diameter in pixels.

    Returns
    -------
    pandas.Series of str
        By the index of the pick in ``evaluation.picks``: a second pick within a quarter of a diameter of a particle;
        one up to three quarters away; one less than half a diameter from the border; or something else.

    Raises
    ------
    ArgumentError
        If the shape of a micrograph with false picks is not given.
    """
    wrong = evaluation.picks[evaluation.picks["outcome"] == "false"]
    particles = evaluation.labels[evaluation.labels["outcome"] != "ignore"]
    kinds = pd.Series(ELSE, index=wrong.index, dtype=object)
    for name, here in wrong.groupby("micrograph"):
        if name not in shapes:
            raise ArgumentError(f"shapes: there is none for the micrograph {name}")
        places, size = here[["x", "y"]].to_numpy(), np.array(shapes[name][::-1])
        inside = np.minimum(places, size - 1 - places).min(axis=1) / diameter
        centres = particles.loc[particles["micrograph"] == name, ["x", "y"]].to_numpy()
        away = cKDTree(centres).query(places)[0] / diameter if len(centres) else np.full(len(places), np.inf)
        kinds[here.index] = np.select([away <= NEAR, away <= FAR, inside < MARGIN], [SECOND, BESIDE, BORDER], ELSE)
    return kinds


def f1_possible(f1: float, precision: float, recall: float, half: float = 0.005) -> bool:
    """Return whether three numbers of a table can be the precision, recall and F1 of the same picks, rounded.

    Parameters
    ----------
    f1, precision, recall : float
        Rounded values; precision and recall are above `half`.
    half : float
        Half of the last digit that is printed.

    Examples
    --------
    >>> f1_possible(0.95, 0.95, 0.95), f1_possible(0.96, 0.95, 0.95)
    (True, False)
    >>> f1_possible(0.92, 0.95, 0.88)
    True
    """
    ends = (precision - half, recall - half), (precision + half, recall + half)
    low, high = (2 * p * r / (p + r) for p, r in ends)
    # The upper ends would be rounded up, so they are excluded; rounding errors must not let them in.
    return low - half - 1e-9 <= f1 < high + half - 1e-9
