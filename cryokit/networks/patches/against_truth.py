"""What is really at the places that patches were cut from, where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cryokit import coordinates
from cryokit.coordinates import IGNORE
from cryokit.evaluate import evaluate
from cryokit.networks.patches.rows import VIEWS

WHOLE, DAMAGED, NOTHING = "whole particle", "damaged particle", "nothing"


def truth_at(patches: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return which particle is at the place of each patch.

    Places are matched to particles as picks are, one to one; copies of a patch share the place of their original.

    Parameters
    ----------
    patches : pandas.DataFrame
        Table of a `TrainingSet` (columns `micrograph`, `x`, `y`, `original`), or a part of it.
    truth : pandas.DataFrame
        Table of all particles of these micrographs, with views.

    Returns
    -------
    pandas.DataFrame
        Index of `patches`; `view` (empty where no particle is, ``ignore`` for one that no expert would take) and `what`
        (`WHOLE`, `DAMAGED` or `NOTHING`).
    """
    places = patches.drop_duplicates("original")
    picks = coordinates.table(places["micrograph"], places["x"], places["y"])
    result = evaluate(picks, truth, micrographs=sorted(set(places["micrograph"])), bootstrap=0)
    view = np.append(result.labels["view"].to_numpy(object), "")[result.picks["label"]]
    view = np.where(result.picks["outcome"] == "ignored", IGNORE, view)
    view = patches["original"].map(dict(zip(places["original"], view, strict=True))).to_numpy(object)
    what = np.select([np.isin(view, VIEWS), view == IGNORE], [WHOLE, DAMAGED], NOTHING)
    return pd.DataFrame({"view": view, "what": what}, index=patches.index)
