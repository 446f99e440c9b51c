"""The table of particles that a training set is built from, and the diameter that sets the scale."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from cryokit._util.validation import check_number
from cryokit._util.wording import some
from cryokit.coordinates import IGNORE, validate
from cryokit.coordinates.picks import require_columns
from cryokit.errors import ArgumentError, CoordinateError
from cryokit.networks.patches.training_set import CLASSES

logger = logging.getLogger(__name__)

BACKGROUND = CLASSES[-1]
VIEWS = CLASSES[:3]
LABELLED = (*CLASSES[:-1], IGNORE)
_SIMILAR = 1.5  # largest ratio of the median diameters, from micrograph to micrograph, of one protein
_TABLE = "the table of particles"


def labelled_rows(particles: pd.DataFrame) -> pd.DataFrame:
    """Return micrograph, x, y, diameter and class of each row with proper types, index 0 ... n - 1.

    Parameters
    ----------
    particles : pandas.DataFrame
        Table of particles as `cryokit.networks.patches.build` takes it.

    Raises
    ------
    CoordinateError
        If a column is missing, a value is not a number, a class is unknown, or a place has two classes.
    """
    require_columns(particles.columns, ("micrograph", "x", "y", "class"), _TABLE)
    rows = validate(particles, _TABLE)[["micrograph", "x", "y", "diameter"]]
    rows["class"] = particles["class"].astype(str).to_numpy(object)
    wrong_diameter = (rows["diameter"] <= 0) | np.isinf(rows["diameter"])
    for name, wrong, allowed in (
        ("diameter", wrong_diameter, "above 0, or NaN for none"),
        ("class", ~rows["class"].isin(LABELLED), f"one of {', '.join(LABELLED)} (build itself finds background)"),
    ):
        if wrong.any():
            row = rows.loc[wrong.idxmax()]
            where = f"row {row.name} ({row['micrograph']}, x {row['x']:g}, y {row['y']:g})"
            raise CoordinateError(f"{_TABLE}: {where} has the {name} {row[name]}; it must be {allowed}")
    place = ["micrograph", "x", "y"]
    labelled = rows[rows["class"] != IGNORE].drop_duplicates([*place, "class"])
    repeated = labelled[labelled.duplicated(place, keep=False)]
    if len(repeated):
        row = repeated.iloc[0]
        classes = repeated.loc[(repeated[place] == row[place]).all(axis=1), "class"]
        raise CoordinateError(
            f"{_TABLE}: {row['micrograph']}, x {row['x']:g}, y {row['y']:g} has the classes {' and '.join(classes)}; "
            "keep one of the rows"
        )
    return rows


class Diameters:
    """The particle diameter in each micrograph, in pixels of the micrograph as stored.

    Parameters
    ----------
    diameter : float, mapping of str to float, or None
        Diameter in all micrographs, or in each; by default the median of the rows' diameters.
    rows : pandas.DataFrame
        Table as `labelled_rows` returns it.

    Attributes
    ----------
    given : float or dict of str to float
        Diameter in all micrographs, or in each.

    Raises
    ------
    ArgumentError
        If there is none, or one is not a positive number.
    """

    def __init__(self, diameter: float | Mapping[str, float] | None, rows: pd.DataFrame) -> None:
        if diameter is None:
            diameter = _usual(rows)
        for value in diameter.values() if isinstance(diameter, Mapping) else [diameter]:
            check_number("diameter", value, 0, above=True)
        self.given = (
            {name: float(value) for name, value in diameter.items()}
            if isinstance(diameter, Mapping)
            else float(diameter)
        )

    def of(self, name: str) -> float:
        """Return the diameter in the micrograph `name`.

        Raises
        ------
        ArgumentError
            If diameters were given for other micrographs only.
        """
        if not isinstance(self.given, dict):
            return self.given
        if name not in self.given:
            raise ArgumentError(
                f"diameter has no entry for the micrograph {name} (entries: {some(list(self.given))}); give one for "
                "every micrograph"
            )
        return self.given[name]


def _usual(rows: pd.DataFrame) -> float:
    """Return the median diameter of the views, or of all classes where no view has a diameter."""
    known = rows[rows["diameter"].notna() & (rows["class"] != IGNORE)]
    views = known[known["class"].isin(VIEWS)]
    known = views if len(views) else known
    if not len(known):
        raise ArgumentError("diameter must be given in pixels of the micrographs: no row of the particles has one")
    usual = float(known["diameter"].median())
    medians = known.groupby("micrograph")["diameter"].median()
    for name, median in medians[~medians.between(usual / _SIMILAR, usual * _SIMILAR)].items():
        logger.warning(
            "%s: its particles are %.0f pixels across, those of all micrographs %.0f; if this is another protein or "
            "magnification, give diameter={name: pixels, ...}",
            name,
            median,
            usual,
        )
    return usual
