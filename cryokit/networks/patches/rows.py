"""The table of particles that a training set is built from, and the diameter that sets the scale."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd

from cryokit._util.wording import some
from cryokit.coordinates import IGNORE
from cryokit.errors import CoordinateError, PickerError
from cryokit.networks.patches.training_set import CLASSES

logger = logging.getLogger(__name__)

BACKGROUND = CLASSES[-1]
VIEWS = CLASSES[:3]
LABELLED = (*CLASSES[:-1], IGNORE)
_SIMILAR = 1.5  # medians of one protein's diameters differ by less from micrograph to micrograph


def validated(particles: pd.DataFrame) -> pd.DataFrame:
    """Return micrograph, x, y, diameter and class of each row with proper types, index 0 ... n - 1.

    Raises
    ------
    CoordinateError
        When a column is missing, a number is not one, a class is unknown, or one place has two classes.
    """
    missing = [name for name in ("micrograph", "x", "y", "class") if name not in particles.columns]
    if missing:
        found = ", ".join(map(str, particles.columns)) or "none"
        raise CoordinateError(f"the table of particles has no column {', '.join(missing)} (columns found: {found})")
    columns = {
        name: pd.Series(particles[name].astype(str).to_numpy(object), dtype=object) for name in ("micrograph", "class")
    }
    for name in ("x", "y", "diameter"):
        values = particles[name] if name in particles.columns else np.full(len(particles), np.nan)
        try:
            columns[name] = np.asarray(values, np.float64)
        except (ValueError, TypeError) as error:
            raise CoordinateError(
                f"column {name!r} of the particles holds something else than numbers ({error})"
            ) from None
    rows = pd.DataFrame(columns)
    faults = {
        "has no finite centre": ~np.isfinite(rows[["x", "y"]]).all(axis=1),
        "has a diameter that is not a positive number": ~((rows["diameter"] > 0) | rows["diameter"].isna())
        | np.isinf(rows["diameter"]),
        "has no class of " + ", ".join(LABELLED): ~rows["class"].isin(LABELLED),
    }
    for fault, where in faults.items():
        if where.any():
            number = int(np.argmax(where))
            row = rows.loc[number]
            text = (
                f"{row['micrograph']}, x {row['x']:g}, y {row['y']:g}, diameter {row['diameter']:g}, {row['class']!r}"
            )
            hint = "; places of background are found by build itself" if row["class"] == BACKGROUND else ""
            raise CoordinateError(f"row {number} of the particles ({text}) {fault}{hint}")
    place = ["micrograph", "x", "y"]
    labelled = rows[rows["class"] != IGNORE].drop_duplicates([*place, "class"])
    twice = labelled[labelled.duplicated(place, keep=False)]
    if len(twice):
        row = twice.iloc[0]
        both = twice[(twice[place] == row[place]).all(axis=1)]["class"]
        raise CoordinateError(
            f"{row['micrograph']}, x {row['x']:g}, y {row['y']:g} is in the table of particles as "
            f"{' and as '.join(both)}; keep one of the rows"
        )
    return rows


class Diameters:
    """The particle's diameter by micrograph, in pixels as stored.

    Parameters
    ----------
    given : float, mapping of str to float, or None
        For all micrographs; for each; or the median of the rows' diameters.
    rows : pandas.DataFrame
        As `validated` returns it.

    Raises
    ------
    PickerError
        When there is none, or one is not a positive number.
    """

    def __init__(self, given: float | Mapping[str, float] | None, rows: pd.DataFrame) -> None:
        if given is None:
            given = _usual(rows)
        self.given = dict(given) if isinstance(given, Mapping) else given
        for value in self.given.values() if isinstance(self.given, dict) else [self.given]:
            if not (isinstance(value, Real) and math.isfinite(value) and value > 0):
                raise PickerError(f"diameter {value!r}: give pixels of the micrograph, more than 0")

    def of(self, name: str) -> float:
        """Return the diameter in the micrograph `name`; a PickerError where a mapping lacks it."""
        if not isinstance(self.given, dict):
            return float(self.given)
        if name not in self.given:
            raise PickerError(
                f"diameter= has no entry for the micrograph {name} (entries: {some(list(self.given))}); give one for "
                "every micrograph"
            )
        return float(self.given[name])

    def to_json(self) -> float | dict[str, float]:
        """Return a number, or one for each micrograph."""
        if isinstance(self.given, dict):
            return {name: float(value) for name, value in self.given.items()}
        return float(self.given)


def _usual(rows: pd.DataFrame) -> float:
    known = rows[rows["diameter"].notna() & (rows["class"] != IGNORE)]
    views = known[known["class"].isin(VIEWS)]
    known = views if len(views) else known
    if not len(known):
        raise PickerError("no row of the particles has a diameter; give diameter= in pixels of the micrographs")
    usual = float(known["diameter"].median())
    medians = known.groupby("micrograph")["diameter"].median()
    for name, each in medians[~medians.between(usual / _SIMILAR, usual * _SIMILAR)].items():
        logger.warning(
            "%s: its particles are %.0f pixels across, those of all micrographs %.0f; if this is another protein or "
            "magnification, give diameter={name: pixels, ...}",
            name,
            each,
            usual,
        )
    return usual
